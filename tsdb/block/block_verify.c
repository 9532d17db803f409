/* Reads a whole block and checks that all of it makes sense. */
#include "block_file.h"
#include "narthex/base/mem.h"

static err_t verify_symbols(const struct block *block, struct strbuf *why)
{
    struct str before = {NULL, 0};
    for (uint32_t i = 0; i < block->meta.counts.symbols; i++) {
        struct str symbol;
        TRY(block_symbol(block, i, &symbol, why));
        if (i > 0 && str_compare(before, symbol) >= 0)
            return block__corrupt(block, block->sections[BLOCK__SYMBOL_BYTES].offset,
                                  "symbols do not ascend", why);
        before = symbol;
    }
    return OK;
}

static err_t verify_label_index(const struct block *block, uint64_t *pair_series,
                                struct strbuf *why)
{
    uint32_t *ordinals = MEM_NEW_ARRAY(MEM_BLOCK, uint32_t, (size_t)block->meta.counts.series + 1);
    err_t err = OK;
    uint32_t next_pair = 0;
    for (uint32_t i = 0; i < block->name_count; i++) {
        struct block_name name;
        TRY_OUT(block_name(block, i, &name, why));
        if (name.first_pair != next_pair || name.pair_count == 0) {
            err = block__corrupt(block, block->sections[BLOCK__NAMES].offset,
                                 "label names do not cover the pairs", why);
            goto out;
        }
        next_pair += name.pair_count;
    }
    for (uint32_t i = 0; i < block->pair_count; i++) {
        struct block_pair pair;
        TRY_OUT(block_pair(block, i, &pair, why));
        TRY_OUT(block_postings(block, i, ordinals, why));
        *pair_series += pair.series_count;
    }
out:
    mem_free(MEM_BLOCK, ordinals);
    return err;
}

static err_t verify_columns(struct block_cursor *cursor, uint32_t series,
                            struct block_counts *counts, struct strbuf *why)
{
    TRY(block_cursor_seek(cursor, series, INT64_MIN, INT64_MAX, why));
    for (;;) {
        struct block_column_info info;
        struct block_column_data data;
        struct column_stats stats;
        bool found;
        TRY(block_cursor_next(cursor, &info, &found, why));
        if (!found)
            return OK;
        TRY(block_cursor_decode(cursor, &data, why));
        if (info.has_stats)
            TRY(block_cursor_stats(cursor, &stats, why));
        counts->columns++;
        counts->samples += info.count;
        if (info.kind == BLOCK_COLUMN_FLOAT)
            counts->float_samples += info.count;
    }
}

static err_t verify_series(const struct block *block, struct block_cursor *cursor,
                           uint64_t pair_series, struct strbuf *why)
{
    struct block_counts counts = {0};
    uint64_t label_count = 0;
    for (uint32_t i = 0; i < block->meta.counts.series; i++) {
        const struct block_label *labels;
        uint32_t count;
        TRY(block_cursor_label_symbols(cursor, i, &labels, &count, why));
        label_count += count;
        TRY(verify_columns(cursor, i, &counts, why));
    }
    const struct block_counts *wanted = &block->meta.counts;
    if (counts.samples != wanted->samples || counts.columns != wanted->columns ||
        counts.float_samples != wanted->float_samples || label_count != pair_series)
        return block__corrupt(block, block->sections[BLOCK__META].offset,
                              "counts of the block do not agree with its contents", why);
    return OK;
}

err_t block_verify(const struct block *block, struct strbuf *why)
{
    for (uint64_t at = 0; at < block->checked_size; at += BLOCK__PIECE_BYTES) {
        const uint8_t *bytes;
        TRY(block__view(block, at, 1, &bytes, why));
    }
    uint64_t pair_series = 0;
    TRY(verify_symbols(block, why));
    TRY(verify_label_index(block, &pair_series, why));
    struct block_cursor *cursor = block_cursor_create(block);
    err_t err = verify_series(block, cursor, pair_series, why);
    block_cursor_destroy(cursor);
    return err;
}
