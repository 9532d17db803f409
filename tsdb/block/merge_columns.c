/* Columns of one series from several blocks. */
#include "block_cursor.h"
#include "merge_parts.h"
#include "narthex/base/hash.h"

/* ---- encoding anew ---- */

/* Adds samples to the writer as a float column; `column` has its place. */
static err_t add_floats(struct merge *merge, const struct merge__samples *samples,
                        struct block_column *column, struct strbuf *why)
{
    struct column_stats stats;
    column->kind = BLOCK_COLUMN_FLOAT;
    column->bytes = merge->column_bytes;
    column->size = column_seal_small(samples->values, samples->count, merge->column_bytes);
    if (column_stats_compute(samples->values, samples->count, &stats))
        column->stats = &stats;
    if (samples->has_start_times) {
        column->start_times = merge->start_time_bytes;
        column->start_times_size =
            time_column_seal(samples->start_times, samples->count, merge->start_time_bytes);
    }
    merge->result->columns_encoded++;
    err_t err = block_writer_add_column(merge->writer, column, why);
    column->stats = NULL; /* they were this function's */
    return err;
}

static err_t flush_join(struct merge *merge, struct strbuf *why)
{
    if (!merge->join_open)
        return OK;
    struct block_column column = {
        .group = merge->join_group,
        .window = merge->join_window,
        .present = merge->join_present,
        .cut = merge->join_cut,
    };
    merge->join_open = false;
    return add_floats(merge, &merge->join, &column, why);
}

static void append_sample(struct merge__samples *samples, const struct block_column_data *data,
                          uint32_t index)
{
    uint32_t at = samples->count++;
    assert(at < COLUMN_ROWS_MAX);
    samples->times[at] = data->t_ms[index];
    samples->start_times[at] = data->start_t_ms == NULL ? 0 : data->start_t_ms[index];
    samples->has_start_times |= data->start_t_ms != NULL;
    if (data->values != NULL)
        samples->values[at] = data->values[index];
}

static void samples_clear(struct merge__samples *samples)
{
    samples->count = 0;
    samples->has_start_times = false;
}

/* Decodes the input's float column into the one being collected for its new window. */
static err_t join_column(struct merge *merge, struct merge__input *input,
                         const struct block_column *place, struct strbuf *why)
{
    if (merge->join_open &&
        (place->cut || merge->join_group != place->group || merge->join_window != place->window))
        TRY(flush_join(merge, why));
    if (!merge->join_open) {
        merge->join_open = true;
        merge->join_cut = place->cut;
        merge->join_group = place->group;
        merge->join_window = place->window;
        memset(merge->join_present, 0, sizeof merge->join_present);
        samples_clear(&merge->join);
    }
    struct block_column_data data;
    TRY(block_cursor_decode(input->cursor, &data, why));
    for (uint32_t i = 0; i < data.count; i++)
        append_sample(&merge->join, &data, i);
    for (uint32_t i = 0; i < BLOCK_PRESENT_WORDS; i++)
        merge->join_present[i] |= place->present[i];
    return OK;
}

/* ---- columns by themselves ---- */

static void shift_rows(uint64_t words[BLOCK_PRESENT_WORDS], uint32_t offset)
{
    uint32_t jump = offset / 64;
    uint32_t shift = offset % 64;
    for (uint32_t i = BLOCK_PRESENT_WORDS; i-- > 0;) {
        uint64_t word = i >= jump ? words[i - jump] << shift : 0;
        if (shift > 0 && i > jump)
            word |= words[i - jump - 1] >> (64 - shift);
        words[i] = word;
    }
}

static void point_to(struct block_column *column, const struct strbuf *bytes)
{
    column->kind = BLOCK_COLUMN_HISTOGRAM;
    column->bytes = (const uint8_t *)bytes->data;
    column->size = bytes->size;
}

/* Appends a column of some samples of a histogram column. */
static err_t select_histograms(struct merge *merge, const struct block_column_data *data,
                               const uint8_t *index, uint32_t count, struct strbuf *out,
                               struct strbuf *why)
{
    const struct block_histogram_codec *codec = merge->options->histograms;
    if (codec == NULL)
        return err_fail(why, ERR_UNSUPPORTED, "histograms cannot be cut here");
    uint8_t encoded[COLUMN_ROWS_MAX];
    for (uint32_t i = 0; i < count; i++)
        encoded[i] = data->encoded_index == NULL ? index[i] : data->encoded_index[index[i]];
    return codec->select(codec->context, data->bytes, data->size, data->encoded_count, encoded,
                         count, out, why);
}

/* Writes what tombstones left of a histogram column. */
static err_t write_cut_histograms(struct merge *merge, struct merge__input *input,
                                  struct block_column *column, struct strbuf *why)
{
    struct block_column_data data;
    uint8_t index[COLUMN_ROWS_MAX];
    TRY(block_cursor_decode(input->cursor, &data, why));
    for (uint32_t i = 0; i < data.count; i++)
        index[i] = (uint8_t)i;
    strbuf_clear(&merge->histogram);
    TRY(select_histograms(merge, &data, index, data.count, &merge->histogram, why));
    point_to(column, &merge->histogram);
    merge->result->columns_encoded++;
    if (data.start_t_ms != NULL) {
        column->start_times = merge->start_time_bytes;
        column->start_times_size =
            time_column_seal(data.start_t_ms, data.count, merge->start_time_bytes);
    }
    return block_writer_add_column(merge->writer, column, why);
}

/* Copies a column's bytes to its new place. */
static err_t copy_column(struct merge *merge, struct merge__input *input,
                         const struct block_column *place, struct strbuf *why)
{
    struct block_column column;
    struct column_stats stats;
    TRY(block_cursor_raw(input->cursor, &column, why));
    column.group = place->group;
    column.window = place->window;
    column.present = place->present;
    if (input->info.has_stats && !input->info.constant) {
        TRY(block_cursor_stats(input->cursor, &stats, why));
        column.stats = &stats;
    }
    merge->result->columns_copied++;
    return block_writer_add_column(merge->writer, &column, why);
}

static err_t move_column(struct merge *merge, struct merge__input *input, struct strbuf *why)
{
    const struct block_column_info *info = &input->info;
    const struct merge__window *window =
        &merge->windows[input->group_windows[info->group] + info->window];
    bool filtered = block__cursor_is_filtered(input->cursor);
    uint64_t present[BLOCK_PRESENT_WORDS];
    block__cursor_present(input->cursor, present);
    shift_rows(present, window->row_offset);
    struct block_column place = {
        .group = input->group_map[info->group],
        .window = window->window,
        .present = present,
        .cut = info->cut,
    };
    if (info->kind == BLOCK_COLUMN_FLOAT && (filtered || window->joined))
        return join_column(merge, input, &place, why);
    TRY(flush_join(merge, why));
    if (filtered)
        return write_cut_histograms(merge, input, &place, why);
    return copy_column(merge, input, &place, why);
}

/* ---- overlap ---- */

/* Group whose only window has these timestamps; made if there is none. */
static err_t made_window(struct merge *merge, const struct merge__samples *samples, uint32_t *group,
                         struct strbuf *why)
{
    size_t size = time_column_seal(samples->times, samples->count, merge->time_bytes);
    uint64_t hash = hash_mix(hash_bytes(merge->time_bytes, size), samples->count);
    struct merge__made_window *made = &merge->made[hash % MERGE_MADE_WINDOWS];
    if (made->times != NULL && made->row_count == samples->count && made->times_size == size &&
        memcmp(made->times, merge->time_bytes, size) == 0) {
        *group = made->group;
        return OK;
    }
    mem_free(MEM_BLOCK, made->times);
    made->times = mem_alloc(MEM_BLOCK, size);
    memcpy(made->times, merge->time_bytes, size);
    made->times_size = size;
    made->row_count = samples->count;
    struct block_window window = {made->times, size, samples->count};
    TRY(block_writer_add_group(merge->writer, 0, &window, 1, &made->group, why));
    *group = made->group;
    return OK;
}

/* The samples taken from one column of one input become part of the column being collected. */
static err_t end_segment(struct merge *merge, struct strbuf *why)
{
    if (merge->segment_input == NULL)
        return OK;
    const struct block_column_data *data = &merge->segment_input->data;
    merge->segment_input = NULL;
    merge->segments++;
    return select_histograms(merge, data, merge->segment_index, merge->segment_count,
                             &merge->joined, why);
}

/* Whether samples of several columns may become one column. */
static bool joins_histograms(const struct merge *merge)
{
    const struct block_histogram_codec *codec = merge->options->histograms;
    return codec != NULL && codec->join != NULL;
}

static err_t add_overlap_histograms(struct merge *merge, struct block_column *column,
                                    struct strbuf *why)
{
    const struct merge__samples *samples = &merge->overlap;
    TRY(end_segment(merge, why));
    point_to(column, &merge->joined);
    if (merge->segments > 1) {
        const struct block_histogram_codec *codec = merge->options->histograms;
        strbuf_clear(&merge->histogram);
        TRY(codec->join(codec->context, column->bytes, column->size, samples->count,
                        &merge->histogram, why));
        point_to(column, &merge->histogram);
    }
    /* The neighbours come from another column: its layout may differ. */
    column->cut = true;
    if (samples->has_start_times) {
        column->start_times = merge->start_time_bytes;
        column->start_times_size =
            time_column_seal(samples->start_times, samples->count, merge->start_time_bytes);
    }
    merge->result->columns_encoded++;
    return block_writer_add_column(merge->writer, column, why);
}

/* Writes the merged samples collected so far as one column. */
static err_t flush_overlap(struct merge *merge, struct strbuf *why)
{
    struct merge__samples *samples = &merge->overlap;
    if (samples->count == 0)
        return OK;
    struct block_column column = {.row_count = samples->count};
    TRY(made_window(merge, samples, &column.group, why));
    if (merge->overlap_histograms)
        TRY(add_overlap_histograms(merge, &column, why));
    else
        TRY(add_floats(merge, samples, &column, why));
    samples_clear(samples);
    strbuf_clear(&merge->joined);
    merge->segments = 0;
    return OK;
}

/* The input's column is left: its bytes go away. */
static err_t leave_column(struct merge *merge, const struct merge__input *input, struct strbuf *why)
{
    if (merge->segment_input != input)
        return OK;
    return joins_histograms(merge) ? end_segment(merge, why) : flush_overlap(merge, why);
}

static err_t overlap_add(struct merge *merge, const struct merge__input *input, struct strbuf *why)
{
    bool histogram = input->info.kind == BLOCK_COLUMN_HISTOGRAM;
    if (merge->overlap_histograms != histogram || merge->overlap.count == COLUMN_ROWS_MAX)
        TRY(flush_overlap(merge, why));
    merge->overlap_histograms = histogram;
    if (histogram && merge->segment_input != input) {
        if (merge->segment_input != NULL)
            TRY(leave_column(merge, merge->segment_input, why));
        merge->segment_input = input;
        merge->segment_count = 0;
    }
    if (histogram)
        merge->segment_index[merge->segment_count++] = (uint8_t)input->position;
    append_sample(&merge->overlap, &input->data, input->position);
    return OK;
}

static err_t input_next_column(struct merge__input *input, struct strbuf *why)
{
    input->decoded = false;
    input->position = 0;
    return block_cursor_next(input->cursor, &input->info, &input->has_column, why);
}

static err_t input_next_sample(struct merge *merge, struct merge__input *input, struct strbuf *why)
{
    if (++input->position < input->data.count)
        return OK;
    TRY(leave_column(merge, input, why));
    return input_next_column(input, why);
}

/* Earliest time that the input still has. */
static int64_t input_time(const struct merge__input *input)
{
    return input->decoded ? input->data.t_ms[input->position] : input->info.first_t_ms;
}

/* The input whose next sample is the earliest, the last of them if several; BLOCK_NONE at the
 * end. */
static uint32_t earliest(const struct merge *merge, const uint32_t *members, uint32_t member_count)
{
    uint32_t best = BLOCK_NONE;
    for (uint32_t i = 0; i < member_count; i++) {
        const struct merge__input *input = &merge->inputs[members[i]];
        if (input->has_column &&
            (best == BLOCK_NONE || input_time(input) <= input_time(&merge->inputs[best])))
            best = members[i];
    }
    return best;
}

static bool any_decoded(const struct merge *merge, const uint32_t *members, uint32_t member_count)
{
    for (uint32_t i = 0; i < member_count; i++) {
        const struct merge__input *input = &merge->inputs[members[i]];
        if (input->has_column && input->decoded)
            return true;
    }
    return false;
}

/* Decodes every column that begins at or before the earliest sample; returns its time. */
static err_t decode_earliest(struct merge *merge, const uint32_t *members, uint32_t member_count,
                             int64_t *t_ms, struct strbuf *why)
{
    *t_ms = input_time(&merge->inputs[earliest(merge, members, member_count)]);
    for (uint32_t i = 0; i < member_count; i++) {
        struct merge__input *input = &merge->inputs[members[i]];
        if (!input->has_column || input->decoded || input->info.first_t_ms > *t_ms)
            continue;
        TRY(block_cursor_decode(input->cursor, &input->data, why));
        input->decoded = true;
    }
    return OK;
}

/* Merges sample by sample, from the earliest column on, until no column is half used. */
static err_t merge_overlap(struct merge *merge, const uint32_t *members, uint32_t member_count,
                           struct strbuf *why)
{
    do {
        int64_t t_ms;
        TRY(decode_earliest(merge, members, member_count, &t_ms, why));
        TRY(overlap_add(merge, &merge->inputs[earliest(merge, members, member_count)], why));
        for (uint32_t i = 0; i < member_count; i++) {
            struct merge__input *same = &merge->inputs[members[i]];
            if (same->has_column && same->decoded && input_time(same) == t_ms)
                TRY(input_next_sample(merge, same, why));
        }
    } while (any_decoded(merge, members, member_count));
    return flush_overlap(merge, why);
}

static bool overlaps_another(const struct merge *merge, const uint32_t *members,
                             uint32_t member_count, uint32_t number)
{
    int64_t last_ms = merge->inputs[number].info.last_t_ms;
    for (uint32_t i = 0; i < member_count; i++) {
        const struct merge__input *other = &merge->inputs[members[i]];
        if (members[i] != number && other->has_column && other->info.first_t_ms <= last_ms)
            return true;
    }
    return false;
}

err_t merge__columns(struct merge *merge, const uint32_t *members, uint32_t member_count,
                     struct strbuf *why)
{
    for (uint32_t i = 0; i < member_count; i++) {
        struct merge__input *input = &merge->inputs[members[i]];
        TRY(block_cursor_seek(input->cursor, input->series, INT64_MIN, INT64_MAX, why));
        TRY(input_next_column(input, why));
    }
    for (;;) {
        uint32_t number = earliest(merge, members, member_count);
        if (number == BLOCK_NONE)
            break;
        if (overlaps_another(merge, members, member_count, number)) {
            TRY(flush_join(merge, why));
            TRY(merge_overlap(merge, members, member_count, why));
        } else {
            TRY(move_column(merge, &merge->inputs[number], why));
            TRY(input_next_column(&merge->inputs[number], why));
        }
    }
    return flush_join(merge, why);
}
