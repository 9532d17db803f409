/* The URL a target is scraped at (spec 2.1), escaped as Go's net/url does. */
#include <stdlib.h>

#include "narthex/base/mem.h"
#include "narthex/base/vec.h"
#include "scrape_target.h"

static bool is_unreserved(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

/* An address is a host, whatever it looks like. */
static void add_host(struct strbuf *out, struct str address)
{
    for (size_t i = 0; i < address.size; i++) {
        char c = address.data[i];
        bool plain =
            is_unreserved((unsigned char)c) || (c != '\0' && strchr("!$&'()*+,;=:[]<>\"", c));
        if (plain)
            strbuf_add_char(out, c);
        else
            strbuf_printf(out, "%%%02X", (unsigned char)c);
    }
}

static void add_path(struct strbuf *out, struct str path)
{
    if (path.size > 0 && path.data[0] != '/')
        strbuf_add_char(out, '/');
    for (size_t i = 0; i < path.size; i++) {
        char c = path.data[i];
        bool plain = is_unreserved((unsigned char)c) || (c != '\0' && strchr("$&+,/:;=@", c));
        if (plain)
            strbuf_add_char(out, c);
        else
            strbuf_printf(out, "%%%02X", (unsigned char)c);
    }
}

static void add_query_text(struct strbuf *out, struct str text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (is_unreserved(c))
            strbuf_add_char(out, (char)c);
        else if (c == ' ')
            strbuf_add_char(out, '+');
        else
            strbuf_printf(out, "%%%02X", c);
    }
}

/* One name=value of the query; equal names keep the order of their values. */
struct pair {
    struct str name;
    struct str value;
    uint32_t order;
};

static int pair_compare(const void *a, const void *b)
{
    const struct pair *x = a;
    const struct pair *y = b;
    int order = str_compare(x->name, y->name);
    return order != 0 ? order : (x->order > y->order) - (x->order < y->order);
}

static bool has_param(const struct scrape_config *config, struct str name)
{
    for (uint32_t i = 0; i < config->param_count; i++) {
        if (str_equal(config->params[i].name, name) && config->params[i].value_count > 0)
            return true;
    }
    return false;
}

struct pairs {
    struct pair *items;
    uint32_t count;
    uint32_t capacity;
};

static void add_pair(struct pairs *pairs, struct str name, struct str value)
{
    VEC_PUSH(MEM_SCRAPE, pairs->items, pairs->count, pairs->capacity,
             (struct pair){name, value, pairs->count});
}

/* The configured lists, first values replaced by __param_<name>, and further __param_ labels. */
static void collect_pairs(const struct scrape_config *config, struct labels labels,
                          struct pairs *pairs)
{
    struct str prefix = STR("__param_");
    struct strbuf name = STRBUF_INIT;
    for (uint32_t i = 0; i < config->param_count; i++) {
        const struct query_param *param = &config->params[i];
        strbuf_clear(&name);
        strbuf_add_str(&name, prefix);
        strbuf_add_str(&name, param->name);
        for (uint32_t k = 0; k < param->value_count; k++) {
            bool replaced = k == 0 && labels_has(labels, strbuf_str(&name));
            add_pair(pairs, param->name,
                     replaced ? labels_get(labels, strbuf_str(&name)) : param->values[k]);
        }
    }
    strbuf_deinit(&name);
    for (uint32_t i = 0; i < labels.count; i++) {
        struct str label = labels.items[i].name;
        if (!str_starts_with(label, prefix))
            continue;
        struct str rest = str_from(label.data + prefix.size, label.size - prefix.size);
        if (!has_param(config, rest))
            add_pair(pairs, rest, labels.items[i].value);
    }
}

void scrape_target_write_url(const struct scrape_config *config, struct labels labels,
                             struct strbuf *out)
{
    struct str scheme = labels_get(labels, STR("__scheme__"));
    strbuf_add_str(out, scheme);
    strbuf_add_cstr(out, scheme.size > 0 ? "://" : "//");
    add_host(out, labels_get(labels, STR("__address__")));
    add_path(out, labels_get(labels, STR("__metrics_path__")));

    struct pairs pairs = {0};
    collect_pairs(config, labels, &pairs);
    if (pairs.count > 0)
        qsort(pairs.items, pairs.count, sizeof *pairs.items, pair_compare);
    for (uint32_t i = 0; i < pairs.count; i++) {
        strbuf_add_char(out, i == 0 ? '?' : '&');
        add_query_text(out, pairs.items[i].name);
        strbuf_add_char(out, '=');
        add_query_text(out, pairs.items[i].value);
    }
    mem_free(MEM_SCRAPE, pairs.items);
}

/* ---- reading it ---- */

static err_t fail_parse(struct str url, struct strbuf *why, const char *what, struct str part)
{
    strbuf_clear(why);
    strbuf_add_cstr(why, "parse ");
    strbuf_add_quoted(why, url);
    strbuf_printf(why, ": %s", what);
    if (part.size > 0)
        strbuf_add_quoted(why, part);
    return ERR_INVALID;
}

/* A host may hold escaped bytes that are no ASCII, and the percent sign of an IPv6 zone. */
static err_t check_escapes(struct str url, struct str host, struct strbuf *why)
{
    for (size_t i = 0; i + 2 < host.size; i++) {
        struct str escape = str_from(host.data + i, 3);
        if (escape.data[0] == '%' && escape.data[1] < '8' && !str_equal(escape, STR("%25")))
            return fail_parse(url, why, "invalid URL escape ", escape);
    }
    return OK;
}

static bool is_optional_port(struct str text)
{
    for (size_t i = 1; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    }
    return text.size == 0 || text.data[0] == ':';
}

static size_t find_last(struct str text, char c)
{
    size_t at = text.size;
    while (at > 0 && text.data[at - 1] != c)
        at--;
    return at == 0 ? SIZE_MAX : at - 1;
}

err_t scrape_target_check_url(struct str url, struct strbuf *why)
{
    size_t from = str_find(url, '/', 0) + 2;
    size_t end = str_find(url, '/', from);
    struct str host = str_from(url.data + from, (end == SIZE_MAX ? url.size : end) - from);
    bool bracketed = host.size > 0 && host.data[0] == '[';
    size_t at = find_last(host, bracketed ? ']' : ':');
    if (bracketed && at == SIZE_MAX)
        return fail_parse(url, why, "missing ']' in host", STR(""));
    struct str port = at == SIZE_MAX ? STR("") : str_from(host.data + at, host.size - at);
    if (bracketed)
        port = str_from(port.data + 1, port.size - 1);
    if (!is_optional_port(port)) {
        (void)fail_parse(url, why, "invalid port ", port);
        strbuf_add_cstr(why, " after host");
        return ERR_INVALID;
    }
    return check_escapes(url, host, why);
}
