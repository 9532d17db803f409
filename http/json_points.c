#include "json_points.h"

#include <assert.h>
#include <string.h>

#include "narthex/base/mem.h"
#include "narthex/base/number.h"

enum {
    LEARNT_MAX = 16384,   /* a range query has 11,001 steps at most; raw samples share no times */
    POINTS_PER_TURN = 64, /* between looks at the buffer's room */
    VALUE_BYTES = 32,     /* with what ends a point; copied with a size known to the compiler */
    POINT_BYTES_MAX = JSON_TIME_BYTES + NUMBER_JSON_TEXT_MAX + VALUE_BYTES,
};

static uint8_t write_time(int64_t t_ms, char to[JSON_TIME_BYTES])
{
    to[0] = ',';
    to[1] = '[';
    size_t size = 2 + number_format_timestamp(t_ms, to + 2);
    to[size++] = ',';
    to[size++] = '"';
    assert(size <= JSON_TIME_BYTES);
    return (uint8_t)size;
}

void json_times_learn(struct json_times *times, const struct query_series *series)
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
        times->sizes[i] = write_time(times->t_ms[i], times->texts[i]);
}

void json_times_deinit(struct json_times *times)
{
    mem_free(MEM_HTTP, times->t_ms);
    mem_free(MEM_HTTP, times->texts);
    mem_free(MEM_HTTP, times->sizes);
    *times = (struct json_times){0};
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

/* How far the times are looked through: the first that is not before the next point. */
static bool find_next_time(const struct json_times *times, uint32_t *at, int64_t t_ms)
{
    while (*at < times->count && times->t_ms[*at] < t_ms)
        (*at)++;
    return *at < times->count && times->t_ms[*at] == t_ms;
}

/* Points one after another, and what the next one may have in common with the one before. */
struct point_writer {
    const struct json_times *times;
    uint32_t time; /* find_next_time */
    char *to;
    uint64_t bits;    /* of the value before */
    const char *text; /* of it, where it was written last; NULL: not yet */
    size_t text_size; /* with what ends a point */
    bool is_kept;     /* `kept` has it: bytes just written are slow to read in other sizes */
    char kept[VALUE_BYTES];
};

static void put_time(struct point_writer *w, int64_t t_ms)
{
    const struct json_times *times = w->times;
    if (!find_next_time(times, &w->time, t_ms)) {
        w->to += write_time(t_ms, w->to);
        return;
    }
    memcpy(w->to, times->texts[w->time], JSON_TIME_BYTES);
    w->to += times->sizes[w->time];
}

static void put_value(struct point_writer *w, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    if (w->text != NULL && bits == w->bits) {
        if (!w->is_kept)
            memcpy(w->kept, w->text, VALUE_BYTES);
        w->is_kept = true;
        memcpy(w->to, w->kept, VALUE_BYTES);
    } else {
        size_t size = number_format_json(v, w->to);
        memcpy(w->to + size, "\"]", 2);
        w->text = w->to;
        w->text_size = size + 2;
        assert(w->text_size <= VALUE_BYTES);
        w->bits = bits;
        w->is_kept = false;
    }
    w->to += w->text_size;
}

static void add_some(struct strbuf *out, struct point_writer *w, const struct query_series *series,
                     uint32_t first, uint32_t end)
{
    char *begin = strbuf_reserve(out, (size_t)(end - first) * POINT_BYTES_MAX);
    w->to = begin;
    w->text = NULL;
    for (uint32_t p = first; p < end; p++) {
        put_time(w, series->float_t_ms[p]);
        put_value(w, series->floats[p]);
    }
    size_t size = (size_t)(w->to - begin);
    if (first == 0)
        memmove(begin, begin + 1, --size); /* no comma before the first point */
    strbuf_commit(out, size);
}

void json_add_float_points(struct strbuf *out, const struct json_times *times,
                           const struct query_series *series, uint32_t first, uint32_t end)
{
    if (first == end)
        return;
    struct point_writer w = {.times = times, .time = find_time(times, series->float_t_ms[first])};
    while (first < end) {
        uint32_t count = end - first < POINTS_PER_TURN ? end - first : POINTS_PER_TURN;
        add_some(out, &w, series, first, first + count);
        first += count;
    }
}

size_t json_float_points_size(const struct json_times *times, const struct query_series *series,
                              uint32_t first, uint32_t end)
{
    if (first == end)
        return 0;
    uint32_t at = find_time(times, series->float_t_ms[first]);
    uint64_t bits_before = 0;
    size_t value_size = 0; /* of the point before */
    size_t size = 0;
    for (uint32_t p = first; p < end; p++) {
        char text[JSON_TIME_BYTES];
        int64_t t_ms = series->float_t_ms[p];
        size += find_next_time(times, &at, t_ms) ? times->sizes[at] : write_time(t_ms, text);
        uint64_t bits;
        memcpy(&bits, &series->floats[p], sizeof bits);
        if (value_size == 0 || bits != bits_before)
            value_size = number_json_size(series->floats[p]) + 2;
        bits_before = bits;
        size += value_size;
    }
    return first == 0 ? size - 1 : size;
}
