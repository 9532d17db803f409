#include "json_points.h"

#include <string.h>

#include "narthex/base/mem.h"
#include "narthex/base/number.h"

enum {
    POINT_BYTES_MAX = JSON_TIME_BYTES + NUMBER_TEXT_MAX + 8,
    LEARNT_MAX = 16384,    /* a range query has 11,001 steps at most; raw samples share no times */
    TEXT_BLOCK_BYTES = 32, /* most values: copied with a size known to the compiler */
};

/* Takes the series' times as the ones to look up, if they are more than before. */
static void learn(struct json_times *times, const struct query_series *series)
{
    if (series->float_count <= times->count || series->float_count > LEARNT_MAX)
        return;
    json_times_deinit(times);
    uint32_t count = times->count = series->float_count;
    times->t_ms = mem_alloc(MEM_HTTP, count * sizeof *times->t_ms);
    times->texts = mem_alloc(MEM_HTTP, count * sizeof *times->texts);
    times->sizes = mem_alloc(MEM_HTTP, count);
    memcpy(times->t_ms, series->float_t_ms, count * sizeof *times->t_ms);
    for (uint32_t i = 0; i < count; i++)
        times->sizes[i] = (uint8_t)number_format_timestamp(times->t_ms[i], times->texts[i]);
}

/* The first time that is not before t_ms. */
static uint32_t find_time(const struct json_times *times, int64_t t_ms)
{
    uint32_t low = 0, high = times->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (times->t_ms[middle] < t_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t add_time(const struct json_times *times, uint32_t *at, int64_t t_ms, char *to)
{
    while (*at < times->count && times->t_ms[*at] < t_ms)
        (*at)++;
    if (*at == times->count || times->t_ms[*at] != t_ms)
        return number_format_timestamp(t_ms, to);
    memcpy(to, times->texts[*at], JSON_TIME_BYTES);
    return times->sizes[*at];
}

void json_add_float_points(struct strbuf *out, struct json_times *times,
                           const struct query_series *series, uint32_t first, uint32_t end)
{
    char text[NUMBER_TEXT_MAX]; /* of the value before */
    size_t text_size = 0;
    uint64_t text_bits = 0;
    learn(times, series);
    uint32_t at = first < end ? find_time(times, series->float_t_ms[first]) : 0;
    for (uint32_t p = first; p < end; p++) {
        char *to = strbuf_reserve(out, POINT_BYTES_MAX);
        uint64_t bits;
        memcpy(&bits, &series->floats[p], sizeof bits);
        if (text_size == 0 || bits != text_bits) {
            text_size = number_format_json(series->floats[p], text);
            text_bits = bits;
        }
        size_t size = 0;
        if (p > 0)
            to[size++] = ',';
        to[size++] = '[';
        size += add_time(times, &at, series->float_t_ms[p], to + size);
        to[size++] = ',';
        to[size++] = '"';
        memcpy(to + size, text, text_size <= TEXT_BLOCK_BYTES ? TEXT_BLOCK_BYTES : text_size);
        size += text_size;
        to[size++] = '"';
        to[size++] = ']';
        strbuf_commit(out, size);
    }
}

void json_times_deinit(struct json_times *times)
{
    mem_free(MEM_HTTP, times->t_ms);
    mem_free(MEM_HTTP, times->texts);
    mem_free(MEM_HTTP, times->sizes);
    *times = (struct json_times){0};
}
