/* The resolver file, read as resolv.conf(5) describes it. */
#include <arpa/inet.h>
#include <string.h>

#include "discovery_dns.h"
#include "narthex/base/fs.h"

enum { CONF_BYTES_MAX = 1 << 20, NDOTS_MAX = 15, DNS_PORT = 53 };

/* The first word of *rest, which moves behind it; empty at the end. */
static struct str next_word(struct str *rest)
{
    size_t start = 0;
    while (start < rest->size && strchr(" \t\r", rest->data[start]) != NULL)
        start++;
    size_t end = start;
    while (end < rest->size && strchr(" \t\r", rest->data[end]) == NULL)
        end++;
    struct str word = str_from(rest->data + start, end - start);
    *rest = str_from(rest->data + end, rest->size - end);
    return word;
}

static bool is_address(struct str text)
{
    char name[INET6_ADDRSTRLEN + 1];
    size_t zone = str_find(text, '%', 0);
    size_t size = zone == SIZE_MAX ? text.size : zone;
    unsigned char address[16];
    if (size >= sizeof name)
        return false;
    memcpy(name, text.data, size);
    name[size] = '\0';
    return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

static void add_server(struct resolver_conf *conf, struct str text, struct strbuf *servers)
{
    uint64_t port = DNS_PORT;
    size_t bracket = str_find(text, ']', 0);
    if (text.size > 0 && text.data[0] == '[' && bracket != SIZE_MAX) {
        struct str after = str_from(text.data + bracket + 1, text.size - bracket - 1);
        bool has_port = after.size > 1 && after.data[0] == ':' &&
                        str_to_uint64(str_from(after.data + 1, after.size - 1), &port);
        if ((after.size > 0 && !has_port) || port == 0 || port > UINT16_MAX)
            return;
        text = str_from(text.data + 1, bracket - 1);
    }
    if (!is_address(text) || conf->server_count == RESOLVER_SERVERS_MAX)
        return;
    bool is_ipv6 = str_find(text, ':', 0) != SIZE_MAX;
    strbuf_printf(servers, is_ipv6 ? "%s[%.*s]:%u" : "%s%.*s:%u", conf->server_count > 0 ? "," : "",
                  STR_ARG(text), (unsigned)port);
    conf->server_count++;
}

/* The last of `domain` and `search` counts. */
static void set_search(struct resolver_conf *conf, struct str words, bool only_first)
{
    conf->search_count = 0;
    for (struct str word = next_word(&words); word.size > 0; word = next_word(&words)) {
        if (conf->search_count == RESOLVER_SEARCH_MAX || (only_first && conf->search_count == 1))
            return;
        while (word.size > 0 && word.data[word.size - 1] == '.')
            word.size--;
        conf->search[conf->search_count++] = arena_str(&conf->arena, word);
    }
}

static void set_options(struct resolver_conf *conf, struct str words)
{
    static const struct str prefix = STR_INIT("ndots:");
    for (struct str word = next_word(&words); word.size > 0; word = next_word(&words)) {
        uint64_t ndots;
        if (str_starts_with(word, prefix) &&
            str_to_uint64(str_from(word.data + prefix.size, word.size - prefix.size), &ndots))
            conf->ndots = ndots > NDOTS_MAX ? NDOTS_MAX : (uint32_t)ndots;
    }
}

void resolver_conf_parse(struct str text, struct resolver_conf *conf)
{
    struct strbuf servers = STRBUF_INIT;
    *conf = (struct resolver_conf){.ndots = 1};
    arena_init(&conf->arena, MEM_DISCOVERY, SIZE_MAX);
    for (size_t start = 0; start < text.size;) {
        size_t end = str_find(text, '\n', start);
        if (end == SIZE_MAX)
            end = text.size;
        struct str line = str_from(text.data + start, end - start);
        struct str keyword = next_word(&line);
        if (str_equal(keyword, STR("nameserver")))
            add_server(conf, next_word(&line), &servers);
        else if (str_equal(keyword, STR("domain")))
            set_search(conf, line, true);
        else if (str_equal(keyword, STR("search")))
            set_search(conf, line, false);
        else if (str_equal(keyword, STR("options")))
            set_options(conf, line);
        start = end + 1;
    }
    conf->servers = arena_str(&conf->arena, strbuf_str(&servers));
    strbuf_deinit(&servers);
}

err_t resolver_conf_read(const char *path, struct resolver_conf *conf, struct strbuf *why)
{
    struct strbuf text = STRBUF_INIT;
    *conf = (struct resolver_conf){0};
    err_t err = fs_read_file(path, CONF_BYTES_MAX, &text, why);
    if (err == OK)
        resolver_conf_parse(strbuf_str(&text), conf);
    strbuf_deinit(&text);
    return err;
}

void resolver_conf_deinit(struct resolver_conf *conf)
{
    arena_deinit(&conf->arena);
}

static bool is_absolute(struct str name)
{
    return name.size > 0 && name.data[name.size - 1] == '.';
}

uint32_t resolver_candidate_count(const struct resolver_conf *conf, struct str name)
{
    return is_absolute(name) ? 1 : conf->search_count + 1;
}

void resolver_candidate_add(const struct resolver_conf *conf, struct str name, uint32_t index,
                            struct strbuf *out)
{
    strbuf_add_str(out, name);
    if (is_absolute(name))
        return;
    uint32_t dots = 0;
    for (size_t i = 0; i < name.size; i++)
        dots += name.data[i] == '.';
    uint32_t own_index = dots >= conf->ndots ? 0 : conf->search_count;
    if (index == own_index)
        return;
    struct str domain = conf->search[own_index == 0 ? index - 1 : index];
    if (domain.size > 0)
        strbuf_printf(out, ".%.*s", STR_ARG(domain));
}
