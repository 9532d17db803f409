#include "matrix_parts.h"

#include <assert.h>

#include "request.h"

enum {
    LONG_POINTS_MIN = 16384, /* about HTTP_WHOLE_BYTES_MAX */
    PART_POINTS = 2048,
    POINT_BYTES = 40,      /* and a little more than most take */
    SERIES_POINTS = 4,     /* what a series weighs without its labels */
    LABEL_BYTES_POINT = 16 /* so many bytes of labels weigh as much as a point; six times as many
                              when all are escaped */
};

static size_t labels_bytes(struct labels labels)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < labels.count; i++)
        bytes += labels.items[i].name.size + labels.items[i].value.size;
    return bytes;
}

static size_t beginning_weight(const struct query_series *series)
{
    return SERIES_POINTS + labels_bytes(series->labels) / LABEL_BYTES_POINT;
}

static void add_start(struct matrix_parts *parts, size_t series, uint32_t point)
{
    parts->starts[parts->count++] = (struct matrix_place){series, point};
}

/* `weight` is that of all. A part that is not full and what follows it were too heavy together. */
static void cut(struct arena *arena, size_t series_count, size_t weight, struct matrix_parts *parts)
{
    size_t count_max = 2 * (weight / PART_POINTS) + 3;
    parts->starts = ARENA_NEW_ARRAY(arena, struct matrix_place, count_max);
    add_start(parts, 0, 0);
    size_t room = PART_POINTS;
    for (size_t s = 0; s < series_count; s++) {
        size_t beginning = beginning_weight(&parts->series[s]);
        if (beginning >= PART_POINTS)
            beginning = PART_POINTS - 1; /* a point has room beside it */
        if (beginning >= room) {
            add_start(parts, s, 0);
            room = PART_POINTS;
        }
        room -= beginning;
        uint32_t left = parts->series[s].float_count;
        while (left > room) {
            left -= (uint32_t)room;
            add_start(parts, s, parts->series[s].float_count - left);
            room = PART_POINTS;
        }
        room -= left;
    }
    add_start(parts, series_count, 0);
    assert(parts->count <= count_max);
    parts->count--;
}

bool matrix_parts_cut(struct arena *arena, const struct query_result *result, size_t series_count,
                      struct matrix_parts *parts)
{
    if (result->type != QUERY_MATRIX)
        return false;
    size_t points = 0, beginnings = 0;
    const struct query_series *longest = NULL;
    for (size_t s = 0; s < series_count; s++) {
        const struct query_series *series = &result->series[s];
        if (series->histogram_count > 0 || series->float_count == 0)
            return false;
        points += series->float_count;
        beginnings += beginning_weight(series);
        if (longest == NULL || series->float_count > longest->float_count)
            longest = series;
    }
    if (points < LONG_POINTS_MIN || beginnings > points)
        return false;
    *parts = (struct matrix_parts){.series = result->series};
    parts->bytes_about = (points + beginnings) * POINT_BYTES;
    json_times_learn(&parts->times, longest);
    cut(arena, series_count, points + beginnings, parts);
    return true;
}

void matrix_parts_deinit(struct matrix_parts *parts)
{
    json_times_deinit(&parts->times);
}

void matrix_parts_render(const struct matrix_parts *parts, size_t index, struct strbuf *out)
{
    struct matrix_place at = parts->starts[index], end = parts->starts[index + 1];
    strbuf_reserve(out, PART_POINTS * POINT_BYTES);
    while (at.series < end.series || at.point < end.point) {
        const struct query_series *series = &parts->series[at.series];
        uint32_t last = at.series < end.series ? series->float_count : end.point;
        if (at.point == 0) {
            strbuf_add_cstr(out, at.series == 0 ? "{\"metric\":" : ",{\"metric\":");
            json_add_labels(out, series->labels);
            strbuf_add_cstr(out, ",\"values\":[");
        }
        json_add_float_points(out, &parts->times, series, at.point, last);
        if (at.series == end.series)
            return;
        strbuf_add_cstr(out, "]}");
        at = (struct matrix_place){at.series + 1, 0};
    }
}
