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
