/* Merging blocks: symbols, then groups, then series by series in label order. */
#include "narthex/tsdb/block_merge.h"

#include <stdlib.h>

#include "merge_parts.h"

static void merge_init(struct merge *merge, const struct block_merge_input *inputs,
                       uint32_t input_count)
{
    merge->input_count = input_count;
    merge->inputs = MEM_NEW_ARRAY(MEM_BLOCK, struct merge__input, input_count);
    for (uint32_t i = 0; i < input_count; i++) {
        struct merge__input *input = &merge->inputs[i];
        input->block = inputs[i].block;
        input->cursor = block_cursor_create(input->block);
        block_cursor_set_tombstones(input->cursor, inputs[i].tombstones);
        input->symbol_map = MEM_NEW_ARRAY(MEM_BLOCK, uint32_t,
                                          (size_t)block_meta(input->block)->counts.symbols + 1);
    }
    merge->column_bytes = mem_alloc(MEM_BLOCK, column_size_max(COLUMN_ROWS_MAX));
    merge->start_time_bytes = mem_alloc(MEM_BLOCK, time_column_size_max(COLUMN_ROWS_MAX));
    merge->time_bytes = mem_alloc(MEM_BLOCK, time_column_size_max(COLUMN_ROWS_MAX));
}

static void merge_deinit(struct merge *merge)
{
    for (uint32_t i = 0; i < merge->input_count; i++) {
        struct merge__input *input = &merge->inputs[i];
        block_cursor_destroy(input->cursor);
        mem_free(MEM_BLOCK, input->symbol_map);
        mem_free(MEM_BLOCK, input->group_map);
        mem_free(MEM_BLOCK, input->group_windows);
    }
    for (uint32_t i = 0; i < MERGE_MADE_WINDOWS; i++)
        mem_free(MEM_BLOCK, merge->made[i].times);
    mem_free(MEM_BLOCK, merge->inputs);
    mem_free(MEM_BLOCK, merge->windows);
    mem_free(MEM_BLOCK, merge->column_bytes);
    mem_free(MEM_BLOCK, merge->start_time_bytes);
    mem_free(MEM_BLOCK, merge->time_bytes);
    strbuf_deinit(&merge->histogram);
    strbuf_deinit(&merge->joined);
}

/* ---- meta ---- */

static int ulid_compare(const void *left, const void *right)
{
    return memcmp(left, right, sizeof(struct block_ulid));
}

/* Sources of all inputs, sorted, each once; *count of them. */
static struct block_ulid *collect_sources(const struct merge *merge, uint32_t *count)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < merge->input_count; i++)
        total += block_meta(merge->inputs[i].block)->source_count;
    struct block_ulid *sources = MEM_NEW_ARRAY(MEM_BLOCK, struct block_ulid, (size_t)total + 1);
    uint32_t filled = 0;
    for (uint32_t i = 0; i < merge->input_count; i++) {
        const struct block_meta *meta = block_meta(merge->inputs[i].block);
        memcpy(sources + filled, meta->sources, meta->source_count * sizeof *sources);
        filled += meta->source_count;
    }
    qsort(sources, filled, sizeof *sources, ulid_compare);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < filled; i++) {
        if (kept == 0 || ulid_compare(&sources[kept - 1], &sources[i]) != 0)
            sources[kept++] = sources[i];
    }
    *count = kept;
    return sources;
}

static err_t open_writer(struct merge *merge, struct strbuf *why)
{
    const struct block_merge_options *options = merge->options;
    struct block_writer_options writer_options = {
        .fs = options->fs,
        .parent = options->parent,
        .meta = options->meta,
        .compress_hard = !options->compress_fast,
        .drop_stats = options->drop_stats,
    };
    struct block_meta *meta = &writer_options.meta;
    bool range_is_open = meta->min_t_ms == meta->max_t_ms;
    bool level_is_open = meta->level == 0;
    for (uint32_t i = 0; i < merge->input_count; i++) {
        const struct block_meta *from = block_meta(merge->inputs[i].block);
        if (range_is_open && (i == 0 || from->min_t_ms < meta->min_t_ms))
            meta->min_t_ms = from->min_t_ms;
        if (range_is_open && (i == 0 || from->max_t_ms > meta->max_t_ms))
            meta->max_t_ms = from->max_t_ms;
        /* What a merge holds of late samples must go on being known as such: a start replays the
         * log up to the end of blocks that hold none. */
        meta->flags |= from->flags;
        if (level_is_open && from->level >= meta->level)
            meta->level = from->level + 1;
    }
    struct block_ulid *sources = NULL;
    if (meta->source_count == 0) {
        sources = collect_sources(merge, &meta->source_count);
        meta->sources = sources;
    }
    err_t err = meta->source_count > BLOCK_SOURCES_MAX
                    ? err_fail(why, ERR_LIMIT, "merged block has too many sources")
                    : block_writer_open(&writer_options, &merge->writer, why);
    mem_free(MEM_BLOCK, sources);
    return err;
}

/* ---- symbols ---- */

static err_t merge_symbols(struct merge *merge, struct strbuf *why)
{
    uint32_t *next = MEM_NEW_ARRAY(MEM_BLOCK, uint32_t, merge->input_count);
    struct str *heads = MEM_NEW_ARRAY(MEM_BLOCK, struct str, merge->input_count);
    err_t err = OK;
    for (uint32_t i = 0; i < merge->input_count; i++) {
        if (block_meta(merge->inputs[i].block)->counts.symbols > 0)
            TRY_OUT(block_symbol(merge->inputs[i].block, 0, &heads[i], why));
    }
    for (uint32_t ordinal = 0;; ordinal++) {
        uint32_t best = BLOCK_NONE;
        for (uint32_t i = 0; i < merge->input_count; i++) {
            if (next[i] < block_meta(merge->inputs[i].block)->counts.symbols &&
                (best == BLOCK_NONE || str_compare(heads[i], heads[best]) < 0))
                best = i;
        }
        if (best == BLOCK_NONE)
            break;
        struct str symbol = heads[best];
        TRY_OUT(block_writer_add_symbol(merge->writer, symbol, why));
        for (uint32_t i = 0; i < merge->input_count; i++) {
            const struct block *block = merge->inputs[i].block;
            if (next[i] >= block_meta(block)->counts.symbols || !str_equal(heads[i], symbol))
                continue;
            merge->inputs[i].symbol_map[next[i]] = ordinal;
            if (++next[i] < block_meta(block)->counts.symbols) {
                TRY_OUT(block_symbol(block, next[i], &heads[i], why));
                if (str_compare(symbol, heads[i]) >= 0) {
                    err =
                        err_fail(why, ERR_CORRUPT, "%s: symbols do not ascend", block_path(block));
                    goto out;
                }
            }
        }
    }
out:
    mem_free(MEM_BLOCK, next);
    mem_free(MEM_BLOCK, heads);
    return err;
}

/* ---- series ---- */

static int compare_labels(const struct block_label *a, uint32_t a_count,
                          const struct block_label *b, uint32_t b_count)
{
    for (uint32_t i = 0; i < a_count && i < b_count; i++) {
        if (a[i].name != b[i].name)
            return a[i].name < b[i].name ? -1 : 1;
        if (a[i].value != b[i].value)
            return a[i].value < b[i].value ? -1 : 1;
    }
    return a_count < b_count ? -1 : a_count > b_count;
}

static int compare_inputs(const struct merge__input *a, const struct merge__input *b)
{
    return compare_labels(a->labels, a->label_count, b->labels, b->label_count);
}

static bool input_has_series(const struct merge__input *input)
{
    return input->series < block_meta(input->block)->counts.series;
}

/* Fetches the labels of the input's current series; they must be above those of the one before. */
static err_t input_load_labels(struct merge__input *input, struct strbuf *why)
{
    if (!input_has_series(input))
        return OK;
    const struct block_label *labels;
    uint32_t count;
    TRY(block_cursor_label_symbols(input->cursor, input->series, &labels, &count, why));
    struct block_label mapped[BLOCK_LABELS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        mapped[i].name = input->symbol_map[labels[i].name];
        mapped[i].value = input->symbol_map[labels[i].value];
    }
    if (input->series > 0 && compare_labels(input->labels, input->label_count, mapped, count) >= 0)
        return err_fail(why, ERR_CORRUPT, "%s: series do not ascend", block_path(input->block));
    memcpy(input->labels, mapped, count * sizeof *mapped);
    input->label_count = count;
    return OK;
}

/* Numbers of the inputs whose current series is the lowest; 0 when all are used up. */
static uint32_t next_members(const struct merge *merge, uint32_t *members)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < merge->input_count; i++) {
        if (!input_has_series(&merge->inputs[i]))
            continue;
        int order = count == 0 ? 0 : compare_inputs(&merge->inputs[i], &merge->inputs[members[0]]);
        if (order < 0)
            count = 0;
        if (order <= 0)
            members[count++] = i;
    }
    return count;
}

static err_t merge_series(struct merge *merge, uint32_t *members, struct strbuf *why)
{
    const struct block_merge_options *options = merge->options;
    for (uint32_t i = 0; i < merge->input_count; i++)
        TRY(input_load_labels(&merge->inputs[i], why));
    for (;;) {
        uint32_t count = next_members(merge, members);
        if (count == 0)
            return OK;
        if (options->is_canceled != NULL && options->is_canceled(options->cancel_context))
            return err_fail(why, ERR_CANCELED, "merging of blocks was canceled");
        const struct merge__input *first = &merge->inputs[members[0]];
        TRY(block_writer_begin_series(merge->writer, first->labels, first->label_count, why));
        TRY(merge__columns(merge, members, count, why));
        for (uint32_t i = 0; i < count; i++) {
            merge->inputs[members[i]].series++;
            TRY(input_load_labels(&merge->inputs[members[i]], why));
        }
    }
}

static err_t write_all(struct merge *merge, struct strbuf *why)
{
    TRY(merge_symbols(merge, why));
    TRY(merge__groups(merge, why));
    uint32_t *members = MEM_NEW_ARRAY(MEM_BLOCK, uint32_t, merge->input_count);
    err_t err = merge_series(merge, members, why);
    mem_free(MEM_BLOCK, members);
    return err;
}

err_t block_merge(const struct block_merge_input *inputs, uint32_t input_count,
                  const struct block_merge_options *options, struct block_merge_result *result,
                  struct strbuf *why)
{
    assert(input_count >= 1 && input_count <= BLOCK_MERGE_INPUTS_MAX);
    *result = (struct block_merge_result){0};
    struct merge *merge = MEM_NEW(MEM_BLOCK, struct merge);
    merge->options = options;
    merge->result = result;
    merge_init(merge, inputs, input_count);
    err_t err = open_writer(merge, why);
    if (err == OK) {
        err = write_all(merge, why);
        block_writer_counts(merge->writer, &result->counts);
        result->written = err == OK && result->counts.series > 0;
        if (result->written)
            err = block_writer_finish(merge->writer, why);
        else
            block_writer_abort(merge->writer);
        result->written = result->written && err == OK;
    }
    merge_deinit(merge);
    mem_free(MEM_BLOCK, merge);
    return err;
}
