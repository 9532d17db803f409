/* Groups of the new block: groups of one key follow each other in lanes that do not overlap in
 * time, and short neighbours among their windows become one. */
#include <stdlib.h>

#include "merge_parts.h"

enum {
    LANES_MAX = 64,         /* of one key that are open for more groups */
    SHORT_WINDOW_ROWS = 60, /* shorter windows are joined with a neighbour if both fit into one */
};

struct source_group {
    uint64_t key;
    int64_t first_ms;
    int64_t last_ms;
    uint32_t input;
    uint32_t group;
    uint32_t window_count;
    uint32_t next; /* in its lane, BLOCK_NONE at the end */
};

struct lane {
    uint32_t first;
    uint32_t last;
};

/* A lane's windows while they are collected. */
struct lane_windows {
    struct block__bytes times;
    struct block_window *items; /* times are offsets into `times` until the end */
    uint64_t *offsets;
    uint32_t count;
    uint32_t capacity;
    uint32_t offset_capacity;
    /* The window that may still grow. */
    uint32_t rows;
    uint32_t parts;
    struct block_window single; /* as it was, with one part */
    struct merge__window *first_part;
    int64_t joined[COLUMN_ROWS_MAX];
};

static int source_compare(const void *left, const void *right)
{
    const struct source_group *a = left;
    const struct source_group *b = right;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    if (a->first_ms != b->first_ms)
        return a->first_ms < b->first_ms ? -1 : 1;
    if (a->input != b->input)
        return a->input < b->input ? -1 : 1;
    return a->group < b->group ? -1 : a->group > b->group;
}

static err_t list_sources(struct merge *merge, struct source_group **sources, uint32_t *count,
                          uint64_t *window_count, struct strbuf *why)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < merge->input_count; i++)
        total += block_meta(merge->inputs[i].block)->counts.groups;
    if (total >= UINT32_MAX)
        return err_fail(why, ERR_LIMIT, "blocks to be merged have too many groups");
    *sources = MEM_NEW_ARRAY(MEM_BLOCK, struct source_group, total + 1);
    *count = 0;
    *window_count = 0;
    for (uint32_t i = 0; i < merge->input_count; i++) {
        struct merge__input *input = &merge->inputs[i];
        uint32_t groups = block_meta(input->block)->counts.groups;
        input->group_map = MEM_NEW_ARRAY(MEM_BLOCK, uint32_t, (size_t)groups + 1);
        input->group_windows = MEM_NEW_ARRAY(MEM_BLOCK, uint64_t, (size_t)groups + 1);
        for (uint32_t g = 0; g < groups; g++) {
            struct block_group group;
            TRY(block_group(input->block, g, &group, why));
            input->group_windows[g] = *window_count;
            *window_count += group.window_count;
            (*sources)[(*count)++] = (struct source_group){
                group.key, group.first_ms, group.last_ms, i, g, group.window_count, BLOCK_NONE};
        }
    }
    return OK;
}

/* ---- windows of a lane ---- */

static void lane_push(struct lane_windows *lane, const uint8_t *times, size_t size, uint32_t rows)
{
    VEC_RESERVE(MEM_BLOCK, lane->offsets, lane->offset_capacity, lane->count + 1);
    lane->offsets[lane->count] = lane->times.count;
    VEC_PUSH(MEM_BLOCK, lane->items, lane->count, lane->capacity,
             (struct block_window){NULL, size, rows});
    block__bytes_add(&lane->times, times, size);
}

static void lane_flush(struct lane_windows *lane, uint8_t *buffer)
{
    if (lane->parts == 1) {
        lane_push(lane, lane->single.times, lane->single.times_size, lane->rows);
    } else if (lane->parts > 1) {
        size_t size = time_column_seal(lane->joined, lane->rows, buffer);
        lane_push(lane, buffer, size, lane->rows);
    }
    lane->parts = 0;
    lane->rows = 0;
}

static err_t decode_times(const struct block *block, const struct block_window *window,
                          int64_t *times, struct strbuf *why)
{
    if (time_column_decode(window->times, window->times_size, window->row_count, times) != OK)
        return err_fail(why, ERR_CORRUPT, "%s: a time column is malformed", block_path(block));
    return OK;
}

static err_t lane_add(struct lane_windows *lane, const struct block *block,
                      const struct block_window *window, struct merge__window *place,
                      uint8_t *buffer, struct strbuf *why)
{
    uint32_t rows = window->row_count;
    bool joins = lane->parts > 0 && lane->rows + rows <= COLUMN_ROWS_MAX &&
                 (lane->rows < SHORT_WINDOW_ROWS || rows < SHORT_WINDOW_ROWS);
    if (!joins) {
        lane_flush(lane, buffer);
        lane->single = *window;
        lane->first_part = place;
    } else {
        if (lane->parts == 1)
            TRY(decode_times(block, &lane->single, lane->joined, why));
        TRY(decode_times(block, window, lane->joined + lane->rows, why));
        lane->first_part->joined = true;
    }
    *place = (struct merge__window){lane->count, (uint8_t)lane->rows, joins};
    lane->rows += rows;
    lane->parts++;
    return OK;
}

static err_t lane_write(struct merge *merge, struct lane_windows *lane, uint64_t key,
                        uint32_t *group, struct strbuf *why)
{
    lane_flush(lane, merge->time_bytes);
    for (uint32_t i = 0; i < lane->count; i++)
        lane->items[i].times = lane->times.items + lane->offsets[i];
    return block_writer_add_group(merge->writer, key, lane->items, lane->count, group, why);
}

static err_t write_lane(struct merge *merge, const struct source_group *sources, uint32_t first,
                        struct lane_windows *lane, struct strbuf *why)
{
    lane->times.count = 0;
    lane->count = 0;
    for (uint32_t s = first; s != BLOCK_NONE; s = sources[s].next) {
        const struct source_group *source = &sources[s];
        const struct merge__input *input = &merge->inputs[source->input];
        struct merge__window *places = &merge->windows[input->group_windows[source->group]];
        for (uint32_t w = 0; w < source->window_count; w++) {
            struct block_window window;
            TRY(block_group_window(input->block, source->group, w, &window, why));
            TRY(lane_add(lane, input->block, &window, &places[w], merge->time_bytes, why));
        }
    }
    uint32_t group;
    TRY(lane_write(merge, lane, sources[first].key, &group, why));
    for (uint32_t s = first; s != BLOCK_NONE; s = sources[s].next)
        merge->inputs[sources[s].input].group_map[sources[s].group] = group;
    return OK;
}

/* Writes the groups [from, end), all of one key. */
static err_t write_key(struct merge *merge, struct source_group *sources, uint32_t from,
                       uint32_t end, struct lane_windows *windows, struct strbuf *why)
{
    struct lane lanes[LANES_MAX];
    uint32_t lane_count = 0;
    for (uint32_t s = from; s < end; s++) {
        uint32_t i = 0;
        while (i < lane_count && sources[lanes[i].last].last_ms >= sources[s].first_ms)
            i++;
        if (i < lane_count) {
            sources[lanes[i].last].next = s;
            lanes[i].last = s;
            continue;
        }
        if (lane_count == LANES_MAX) {
            TRY(write_lane(merge, sources, lanes[0].first, windows, why));
            memmove(&lanes[0], &lanes[1], (LANES_MAX - 1) * sizeof *lanes);
            lane_count--;
        }
        lanes[lane_count++] = (struct lane){s, s};
    }
    for (uint32_t i = 0; i < lane_count; i++)
        TRY(write_lane(merge, sources, lanes[i].first, windows, why));
    return OK;
}

err_t merge__groups(struct merge *merge, struct strbuf *why)
{
    struct source_group *sources = NULL;
    struct lane_windows windows = {0};
    uint32_t count = 0;
    uint64_t window_count = 0;
    err_t err;
    TRY_OUT(list_sources(merge, &sources, &count, &window_count, why));
    merge->windows = MEM_NEW_ARRAY(MEM_BLOCK, struct merge__window, window_count + 1);
    if (count > 0)
        qsort(sources, count, sizeof *sources, source_compare);
    for (uint32_t from = 0; from < count;) {
        uint32_t end = from;
        while (end < count && sources[end].key == sources[from].key)
            end++;
        TRY_OUT(write_key(merge, sources, from, end, &windows, why));
        from = end;
    }
out:
    mem_free(MEM_BLOCK, sources);
    mem_free(MEM_BLOCK, windows.items);
    mem_free(MEM_BLOCK, windows.offsets);
    block__bytes_deinit(&windows.times);
    return err;
}
