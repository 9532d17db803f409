/* What there is to say of the blocks, and work on them. */
#include <stdio.h>

#include "db_maintain.h"

enum { ULID_TEXT_SIZE = 27 };

size_t db_blocks(struct db *db, struct db_block_info **infos)
{
    struct db_view *view = db__view_get(db);
    size_t count = view->block_count;
    size_t source_count = 0;
    for (size_t i = 0; i < count; i++)
        source_count += block_meta(view->blocks[i]->handle->block)->source_count;
    *infos = mem_alloc(MEM_BLOCK, count * sizeof **infos + source_count * ULID_TEXT_SIZE + 1);
    char(*sources)[ULID_TEXT_SIZE] = (void *)(*infos + count);
    for (size_t i = 0; i < count; i++) {
        const struct block *block = view->blocks[i]->handle->block;
        const struct block_meta *meta = block_meta(block);
        struct db_block_info *info = &(*infos)[i];
        *info = (struct db_block_info){
            .min_t_ms = meta->min_t_ms,
            .max_t_ms = meta->max_t_ms,
            .sample_count = meta->counts.samples,
            .float_sample_count = meta->counts.float_samples,
            .series_count = meta->counts.series,
            .column_count = meta->counts.columns,
            .bytes = block_bytes(block),
            .level = meta->level,
            .source_count = meta->source_count,
            .sources = sources,
        };
        for (uint32_t s = 0; s < meta->source_count; s++, sources++)
            snprintf(*sources, sizeof *sources, "%s", meta->sources[s].text);
        snprintf(info->ulid, sizeof info->ulid, "%s", meta->ulid.text);
    }
    db__view_put(view);
    return count;
}

err_t db_flush_head(struct db *db, struct strbuf *why)
{
    mutex_lock(&db->maintain_lock);
    struct head_stats stats;
    head_stats(db->head, &stats);
    err_t err = OK;
    if (stats.max_t_ms != INT64_MIN && stats.max_t_ms != INT64_MAX)
        err = db__cut_head(db, stats.max_t_ms + 1, why);
    else
        err = db__flush_late(db, why);
    mutex_unlock(&db->maintain_lock);
    return err;
}

err_t db_checkpoint(struct db *db, struct strbuf *why)
{
    mutex_lock(&db->maintain_lock);
    err_t err = head_checkpoint(db->head, why);
    mutex_unlock(&db->maintain_lock);
    return err;
}
