/* Deletion: tombstones of the head (logged) and of the blocks (a file in each). */
#include "db_impl.h"

/* Commits wait while they are deleted from. */
enum { SERIES_PER_LOCK = 8192 };

static err_t delete_in_block(struct db *db, struct db_block *block, int64_t min_t_ms,
                             int64_t max_t_ms, struct selector selector, struct strbuf *why)
{
    struct arena arena;
    arena_init(&arena, MEM_BLOCK, SIZE_MAX);
    struct id_view ordinals;
    err_t err = db__block_select(block->handle->block, selector, &arena, &ordinals, why);
    if (err == OK && ordinals.count > 0) {
        struct tombstones *tombstones = tombstones_copy(block->tombstones);
        for (size_t i = 0; i < ordinals.count; i++)
            tombstones_add(tombstones, ordinals.items[i], min_t_ms, max_t_ms);
        err = tombstones_store(tombstones, db->fs, block->handle->path, why);
        if (err == OK)
            db__view_replace(db, &block, 1, db__block_with_tombstones(block, tombstones), false);
        else
            tombstones_destroy(tombstones);
    }
    arena_deinit(&arena);
    return err;
}

static err_t delete_in_head(struct db *db, int64_t min_t_ms, int64_t max_t_ms,
                            struct selector selector, struct strbuf *why)
{
    struct arena arena;
    arena_init(&arena, MEM_HEAD, SIZE_MAX);
    struct head_reader reader;
    head_reader_open(db->head, &reader);
    struct id_view ordinals;
    err_t err = head_reader_select(&reader, selector, &arena, &ordinals, why);
    for (size_t i = 0; i < ordinals.count && err == OK; i += SERIES_PER_LOCK) {
        size_t left = ordinals.count - i;
        err = head_delete(db->head, ordinals.items + i,
                          left > SERIES_PER_LOCK ? SERIES_PER_LOCK : left, min_t_ms, max_t_ms, why);
    }
    head_reader_close(&reader);
    arena_deinit(&arena);
    return err;
}

err_t db__delete_samples(struct storage *storage, int64_t min_t_ms, int64_t max_t_ms,
                         struct selector selector, struct strbuf *why)
{
    struct db *db = db__of(storage);
    /* Not while a block is being cut or merged: what is deleted must not come back with it. */
    mutex_lock(&db->maintain_lock);
    err_t err = delete_in_head(db, min_t_ms, max_t_ms, selector, why);
    struct db_view *view = db__view_get(db);
    for (uint32_t i = 0; i < view->block_count && err == OK; i++) {
        const struct block_meta *meta = block_meta(view->blocks[i]->handle->block);
        if (meta->min_t_ms <= max_t_ms && meta->max_t_ms > min_t_ms)
            err = delete_in_block(db, view->blocks[i], min_t_ms, max_t_ms, selector, why);
    }
    db__view_put(view);
    mutex_unlock(&db->maintain_lock);
    return err;
}
