/* "{{schema:0 sum:5 count:4 buckets:[1 2 1]}}": a histogram in a test script. */
#include "script.h"

#include "narthex/base/number.h"

enum { NUMBERS_MAX = 4096 };

struct numbers {
    double *items;
    uint32_t count;
};

/* What has been said, before it becomes a histogram. */
struct description {
    struct arena *arena;
    struct histogram histogram;
    struct numbers positive;
    struct numbers negative;
    struct numbers custom;
    double positive_offset;
    double negative_offset;
    bool has_hint;
};

static err_t number_list(struct description *d, struct str text, struct numbers *out,
                         struct strbuf *why)
{
    out->items = ARENA_NEW_ARRAY(d->arena, double, text.size / 2 + 1);
    out->count = 0;
    size_t at = 0;
    while (at < text.size) {
        if (text.data[at] == ' ' || text.data[at] == '\t') {
            at++;
            continue;
        }
        size_t from = at;
        while (at < text.size && text.data[at] != ' ' && text.data[at] != '\t')
            at++;
        struct str word = {text.data + from, at - from};
        bool range;
        if (out->count >= NUMBERS_MAX || !number_parse(word, &out->items[out->count], &range))
            return err_fail(why, ERR_INVALID, "bad number \"%.*s\" in histogram", STR_ARG(word));
        out->count++;
    }
    return OK;
}

static err_t one_number(struct str text, double *out, struct strbuf *why)
{
    bool range;
    if (number_parse(text, out, &range))
        return OK;
    return err_fail(why, ERR_INVALID, "bad number \"%.*s\" in histogram", STR_ARG(text));
}

static err_t hint(struct description *d, struct str word, struct strbuf *why)
{
    static const char *const words[] = {
        [HISTOGRAM_HINT_UNKNOWN] = "unknown",
        [HISTOGRAM_HINT_RESET] = "reset",
        [HISTOGRAM_HINT_NOT_RESET] = "not_reset",
        [HISTOGRAM_HINT_GAUGE] = "gauge",
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (str_equal_nocase(word, str_from_cstr(words[i]))) {
            d->histogram.hint = (enum histogram_hint)i;
            d->has_hint = true;
            return OK;
        }
    }
    return err_fail(why, ERR_INVALID, "unknown counter_reset_hint \"%.*s\"", STR_ARG(word));
}

static err_t scalar_key(struct description *d, size_t key, struct str value, struct strbuf *why)
{
    double schema = 0;
    struct histogram *h = &d->histogram;
    double *const places[] = {&schema,
                              &h->sum,
                              &h->count.f,
                              &h->zero_count.f,
                              &h->zero_threshold,
                              &d->positive_offset,
                              &d->negative_offset};
    TRY(one_number(value, places[key], why));
    if (key == 0)
        h->schema = (int32_t)schema;
    return OK;
}

static const char *const keys[] = {
    "schema",   "sum",     "count",     "z_bucket",      "z_bucket_w",        "offset",
    "n_offset", "buckets", "n_buckets", "custom_values", "counter_reset_hint"};
enum { KEY_COUNT = sizeof keys / sizeof *keys, KEY_SCALARS = 7 };

static err_t key_value(struct description *d, size_t key, struct str value, struct strbuf *why)
{
    if (key < KEY_SCALARS)
        return scalar_key(d, key, value, why);
    if (key == KEY_COUNT - 1)
        return hint(d, value, why);
    struct numbers *const lists[] = {&d->positive, &d->negative, &d->custom};
    if (value.size < 2 || value.data[0] != '[' || value.data[value.size - 1] != ']')
        return err_fail(why, ERR_INVALID, "%s of a histogram wants [numbers]", keys[key]);
    return number_list(d, str_from(value.data + 1, value.size - 2), lists[key - KEY_SCALARS], why);
}

/* One "key:value"; *at is moved behind it. */
static err_t pair(struct description *d, struct str text, size_t *at, uint32_t *seen,
                  struct strbuf *why)
{
    size_t colon = str_find(text, ':', *at);
    if (colon == SIZE_MAX)
        return err_fail(why, ERR_INVALID, "histogram wants key:value");
    struct str name = {text.data + *at, colon - *at};
    size_t end = colon + 1;
    bool list = end < text.size && text.data[end] == '[';
    while (end < text.size && (list ? text.data[end] != ']' : text.data[end] != ' '))
        end++;
    if (list && end < text.size)
        end++;
    struct str value = {text.data + colon + 1, end - colon - 1};
    *at = end;
    for (size_t key = 0; key < KEY_COUNT; key++) {
        if (!str_equal_nocase(name, str_from_cstr(keys[key])))
            continue;
        if ((*seen & (1u << key)) != 0)
            return err_fail(why, ERR_INVALID, "duplicate key \"%s\" in histogram", keys[key]);
        *seen |= 1u << key;
        return key_value(d, key, value, why);
    }
    return err_fail(why, ERR_INVALID, "unknown histogram key \"%.*s\"", STR_ARG(name));
}

/* One span from the offset on. */
static struct histogram_side make_side(struct arena *arena, struct numbers numbers, double offset)
{
    struct histogram_side side = {0};
    if (numbers.count == 0)
        return side;
    struct histogram_span *span = ARENA_NEW(arena, struct histogram_span);
    *span = (struct histogram_span){.offset = (int32_t)offset, .length = numbers.count};
    union histogram_count *counts = ARENA_NEW_ARRAY(arena, union histogram_count, numbers.count);
    for (uint32_t i = 0; i < numbers.count; i++)
        counts[i].f = numbers.items[i];
    return (struct histogram_side){
        .spans = span, .counts = counts, .span_count = 1, .bucket_count = numbers.count};
}

err_t histogram_text_parse(struct arena *arena, struct str text, struct histogram **histogram,
                           bool *has_hint, struct strbuf *why)
{
    struct description d = {.arena = arena, .histogram = {.kind = HISTOGRAM_FLOAT}};
    uint32_t seen = 0;
    size_t at = 0;
    for (;;) {
        while (at < text.size && (text.data[at] == ' ' || text.data[at] == '\t'))
            at++;
        if (at >= text.size)
            break;
        TRY(pair(&d, text, &at, &seen, why));
    }
    d.histogram.positive = make_side(arena, d.positive, d.positive_offset);
    d.histogram.negative = make_side(arena, d.negative, d.negative_offset);
    d.histogram.custom_values = d.custom.items;
    d.histogram.custom_value_count = d.custom.count;
    *histogram = ARENA_NEW(arena, struct histogram);
    **histogram = d.histogram;
    *has_hint = d.has_hint;
    return OK;
}
