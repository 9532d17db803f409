/* JSON as Prometheus writes it: compact, Go's escaping, numbers in its forms. */
#include "request.h"

#include <math.h>
#include <time.h>

#include "narthex/base/number.h"
#include "narthex/model/histogram_math.h"

static bool needs_escape(unsigned char c, bool html)
{
    return c < 0x20 || c == '"' || c == '\\' || c >= 0x80 ||
           (html && (c == '<' || c == '>' || c == '&'));
}

static void add_escaped(struct strbuf *out, uint32_t rune)
{
    switch (rune) {
    case '"':
    case '\\':
        strbuf_add_char(out, '\\');
        strbuf_add_char(out, (char)rune);
        break;
    case '\n':
        strbuf_add_cstr(out, "\\n");
        break;
    case '\r':
        strbuf_add_cstr(out, "\\r");
        break;
    case '\t':
        strbuf_add_cstr(out, "\\t");
        break;
    default: {
        static const char digits[] = "0123456789abcdef";
        char *to = strbuf_reserve(out, 6);
        to[0] = '\\';
        to[1] = 'u';
        for (int i = 0; i < 4; i++)
            to[2 + i] = digits[rune >> (12 - 4 * i) & 15];
        strbuf_commit(out, 6);
        break;
    }
    }
}

void json_add_string(struct strbuf *out, struct str s, bool html)
{
    strbuf_add_char(out, '"');
    size_t start = 0;
    size_t i = 0;
    while (i < s.size) {
        unsigned char c = (unsigned char)s.data[i];
        if (!needs_escape(c, html)) {
            i++;
            continue;
        }
        strbuf_add(out, s.data + start, i - start);
        uint32_t rune;
        size_t length = str_decode_rune(str_from(s.data + i, s.size - i), &rune);
        if (length == 0) {
            strbuf_add_cstr(out, "\\ufffd");
            length = 1;
        } else if (rune >= 0x80 && rune != 0x2028 && rune != 0x2029) {
            strbuf_add(out, s.data + i, length);
        } else {
            add_escaped(out, rune);
        }
        i += length;
        start = i;
    }
    strbuf_add(out, s.data + start, i - start);
    strbuf_add_char(out, '"');
}

void json_add_labels(struct strbuf *out, struct labels labels)
{
    strbuf_add_char(out, '{');
    for (uint32_t i = 0; i < labels.count; i++) {
        if (i > 0)
            strbuf_add_char(out, ',');
        json_add_string(out, labels.items[i].name, false);
        strbuf_add_char(out, ':');
        json_add_string(out, labels.items[i].value, false);
    }
    strbuf_add_char(out, '}');
}

void json_add_timestamp(struct strbuf *out, int64_t t_ms)
{
    char *to = strbuf_reserve(out, 24);
    strbuf_commit(out, number_format_timestamp(t_ms, to));
}

void json_add_value(struct strbuf *out, double v)
{
    char *to = strbuf_reserve(out, NUMBER_TEXT_MAX + 2);
    to[0] = '"';
    size_t size = number_format_json(v, to + 1);
    to[size + 1] = '"';
    strbuf_commit(out, size + 2);
}

void json_add_number(struct strbuf *out, double v)
{
    if (!isfinite(v))
        v = 0; /* JSON has no such number */
    char *to = strbuf_reserve(out, NUMBER_TEXT_MAX);
    strbuf_commit(out, number_format_json(v, to));
}

void json_add_time(struct strbuf *out, int64_t t_ms)
{
    if (t_ms == 0) {
        strbuf_add_cstr(out, "\"0001-01-01T00:00:00Z\"");
        return;
    }
    time_t seconds = t_ms / 1000;
    int ms = (int)(t_ms % 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    strbuf_printf(out, "\"%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1,
                  tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    if (ms % 10 != 0)
        strbuf_printf(out, ".%03d", ms);
    else if (ms % 100 != 0)
        strbuf_printf(out, ".%02d", ms / 10);
    else if (ms != 0)
        strbuf_printf(out, ".%d", ms / 100);
    strbuf_add_cstr(out, "Z\"");
}

/* How a bucket's bounds are meant: 0 (lo,up], 1 [lo,up), 2 (lo,up), 3 [lo,up]. */
static int bounds_rule(const struct histogram_bucket *bucket)
{
    if (bucket->lower_inclusive)
        return bucket->upper_inclusive ? 3 : 1;
    return bucket->upper_inclusive ? 0 : 2;
}

void json_add_histogram(struct strbuf *out, const struct histogram *h)
{
    struct arena arena;
    arena_init(&arena, MEM_HTTP, SIZE_MAX);
    struct histogram_bucket_list buckets = histogram_buckets(&arena, h);
    strbuf_add_cstr(out, "{\"count\":");
    json_add_value(out, h->count.f);
    strbuf_add_cstr(out, ",\"sum\":");
    json_add_value(out, h->sum);
    bool any = false;
    for (uint32_t i = 0; i < buckets.count; i++) {
        const struct histogram_bucket *bucket = &buckets.items[i];
        if (bucket->count == 0)
            continue;
        strbuf_printf(out, any ? ",[%d," : ",\"buckets\":[[%d,", bounds_rule(bucket));
        any = true;
        json_add_value(out, bucket->lower);
        strbuf_add_char(out, ',');
        json_add_value(out, bucket->upper);
        strbuf_add_char(out, ',');
        json_add_value(out, bucket->count);
        strbuf_add_char(out, ']');
    }
    strbuf_add_cstr(out, any ? "]}" : "}");
    arena_deinit(&arena);
}
