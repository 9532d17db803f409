#include "negotiate.h"

#include "narthex/base/number.h"

enum { RANGES_MAX = 32 };

/* One media range of Accept. */
struct media_range {
    struct str type;
    struct str params; /* from the first ';' on */
    double quality;
};

/* Next item up to `separator`; *rest goes on behind it. */
static struct str take_item(struct str *rest, char separator)
{
    size_t end = str_find(*rest, separator, 0);
    struct str item = str_from(rest->data, end == SIZE_MAX ? rest->size : end);
    size_t used = end == SIZE_MAX ? rest->size : end + 1;
    *rest = str_from(rest->data + used, rest->size - used);
    return str_trim(item);
}

static struct str param_of(struct str params, struct str name)
{
    while (params.size > 0) {
        struct str value = take_item(&params, ';');
        struct str key = take_item(&value, '=');
        if (!str_equal_nocase(key, name))
            continue;
        value = str_trim(value);
        if (value.size >= 2 && value.data[0] == '"' && value.data[value.size - 1] == '"')
            value = str_from(value.data + 1, value.size - 2);
        return value;
    }
    return STR("");
}

/* Sorted by quality, equal ones in their order. */
static size_t parse_accept(struct str accept, struct media_range ranges[RANGES_MAX])
{
    size_t count = 0;
    while (accept.size > 0 && count < RANGES_MAX) {
        struct str item = take_item(&accept, ',');
        struct media_range range = {.quality = 1};
        range.type = take_item(&item, ';');
        range.params = item;
        bool overflow;
        struct str quality = param_of(range.params, STR("q"));
        if (quality.size > 0 && !number_parse(quality, &range.quality, &overflow))
            range.quality = 1;
        size_t at = count++;
        for (; at > 0 && ranges[at - 1].quality < range.quality; at--)
            ranges[at] = ranges[at - 1];
        ranges[at] = range;
    }
    return count;
}

static const struct {
    struct str name;
    enum name_escaping escaping;
} escapings[] = {
    {STR_INIT("allow-utf-8"), NAME_ESCAPING_NONE},
    {STR_INIT("underscores"), NAME_ESCAPING_UNDERSCORES},
    {STR_INIT("dots"), NAME_ESCAPING_DOTS},
    {STR_INIT("values"), NAME_ESCAPING_VALUES},
};

static void read_escaping(struct str params, struct exposition_form *form)
{
    struct str wanted = param_of(params, STR("escaping"));
    for (size_t i = 0; i < sizeof escapings / sizeof *escapings; i++) {
        if (str_equal(wanted, escapings[i].name))
            form->escaping = escapings[i].escaping;
    }
}

struct exposition_form negotiate__exposition(struct http_request *request)
{
    struct media_range ranges[RANGES_MAX];
    struct exposition_form form = {.escaping = NAME_ESCAPING_UNDERSCORES};
    size_t count = parse_accept(request->accept, ranges);
    const char *type = "text/plain; version=0.0.4; charset=utf-8";
    for (size_t i = 0; i < count; i++) {
        struct str params = ranges[i].params;
        struct str version = param_of(params, STR("version"));
        read_escaping(params, &form);
        if (str_equal(ranges[i].type, STR("application/vnd.google.protobuf")) &&
            str_equal(param_of(params, STR("proto")), STR("io.prometheus.client.MetricFamily")) &&
            str_equal(param_of(params, STR("encoding")), STR("delimited"))) {
            form.protobuf = true;
            type = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
                   "encoding=delimited";
            break;
        }
        if (!str_equal(ranges[i].type, STR("text/plain")))
            continue;
        if (str_equal(version, STR("1.0.0")))
            type = "text/plain; version=1.0.0; charset=utf-8";
        if (version.size == 0 || str_equal(version, STR("1.0.0")) ||
            str_equal(version, STR("0.0.4")))
            break;
    }
    for (size_t i = 0; i < sizeof escapings / sizeof *escapings; i++) {
        if (escapings[i].escaping == form.escaping)
            form.content_type =
                arena_printf(&request->arena, "%s; escaping=%.*s", type, STR_ARG(escapings[i].name))
                    .data;
    }
    return form;
}
