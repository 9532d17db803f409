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

static void begin_series(const struct matrix_parts *parts, const struct query_series *series,
                         struct strbuf *out)
{
    strbuf_add_cstr(out, series == parts->series ? "{\"metric\":" : ",{\"metric\":");
    json_add_labels(out, series->labels);
    strbuf_add_cstr(out, ",\"values\":[");
}

static const char series_end[] = "]}";

/* The series of a part, one after another. */
struct part_walk {
    const struct matrix_parts *parts;
    struct matrix_place at;
    struct matrix_place end;
    /* the one that next_series found, and its points in the part */
    const struct query_series *series;
    uint32_t first;
    uint32_t last;
    bool ends; /* with them */
};

static struct part_walk walk_part(const struct matrix_parts *parts, size_t index)
{
    return (struct part_walk){
        .parts = parts, .at = parts->starts[index], .end = parts->starts[index + 1]};
}

static bool next_series(struct part_walk *walk)
{
    struct matrix_place at = walk->at, end = walk->end;
    if (at.series > end.series || (at.series == end.series && at.point == end.point))
        return false;
    walk->series = &walk->parts->series[at.series];
    walk->ends = at.series < end.series;
    walk->first = at.point;
    walk->last = walk->ends ? walk->series->float_count : end.point;
    walk->at = (struct matrix_place){at.series + 1, 0};
    return true;
}

size_t matrix_parts_measure(const struct matrix_parts *parts, size_t index)
{
    size_t size = 0;
    struct strbuf beginning = STRBUF_INIT;
    struct part_walk walk = walk_part(parts, index);
    while (next_series(&walk)) {
        strbuf_clear(&beginning);
        if (walk.first == 0)
            begin_series(parts, walk.series, &beginning);
        size += beginning.size;
        size += json_float_points_size(&parts->times, walk.series, walk.first, walk.last);
        if (walk.ends)
            size += sizeof series_end - 1;
    }
    strbuf_deinit(&beginning);
    return size;
}

void matrix_parts_render(const struct matrix_parts *parts, size_t index, struct strbuf *out)
{
    strbuf_reserve(out, PART_POINTS * POINT_BYTES);
    struct part_walk walk = walk_part(parts, index);
    while (next_series(&walk)) {
        if (walk.first == 0)
            begin_series(parts, walk.series, out);
        json_add_float_points(out, &parts->times, walk.series, walk.first, walk.last);
        if (walk.ends)
            strbuf_add_cstr(out, series_end);
    }
}
