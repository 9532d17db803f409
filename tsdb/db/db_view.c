/* Blocks and views of them: counted, replaced as a whole. */
#include "db_impl.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "narthex/base/log.h"

#define TEMPORARY_SUFFIX ".tmp"

static bool drop_reference(_Atomic uint32_t *references)
{
    /* Release what this user read; acquire what the others did before freeing. */
    return atomic_fetch_sub_explicit(references, 1, memory_order_acq_rel) == 1;
}

static void doom(struct block_handle *handle)
{
    if (atomic_load_explicit(&handle->doomed, memory_order_relaxed))
        return;
    fs_tree_bytes(handle->path, &handle->doomed_bytes);
    atomic_fetch_add_explicit(&handle->db->doomed_bytes, handle->doomed_bytes,
                              memory_order_relaxed);
    atomic_store_explicit(&handle->doomed, true, memory_order_relaxed);
}

static void handle_put(struct block_handle *handle)
{
    if (!drop_reference(&handle->references))
        return;
    block_close(handle->block);
    if (atomic_load_explicit(&handle->doomed, memory_order_relaxed)) {
        struct strbuf why = STRBUF_INIT;
        if (fs_remove_tree(handle->db->fs, handle->path, &why) != OK)
            LOG_WARN("cannot remove an old block", "err", strbuf_cstr(&why));
        strbuf_deinit(&why);
        atomic_fetch_sub_explicit(&handle->db->doomed_bytes, handle->doomed_bytes,
                                  memory_order_release);
    }
    mem_free(MEM_BLOCK, handle->path);
    mem_free(MEM_BLOCK, handle);
}

static void put_block(struct db_block *block)
{
    if (!drop_reference(&block->references))
        return;
    handle_put(block->handle);
    tombstones_destroy(block->tombstones);
    mem_free(MEM_BLOCK, block);
}

void db__view_put(struct db_view *view)
{
    if (!drop_reference(&view->references))
        return;
    for (uint32_t i = 0; i < view->block_count; i++)
        put_block(view->blocks[i]);
    mem_free(MEM_BLOCK, view);
}

struct db_view *db__view_get(struct db *db)
{
    mutex_lock(&db->view_lock);
    struct db_view *view = db->view;
    atomic_fetch_add_explicit(&view->references, 1, memory_order_relaxed);
    mutex_unlock(&db->view_lock);
    return view;
}

static err_t open_block(struct db *db, const char *path, struct db_block **result,
                        struct strbuf *why)
{
    struct block *block;
    TRY(block_open(path, &block, why));
    struct tombstones *tombstones;
    err_t err = tombstones_load(path, &tombstones, why);
    if (err != OK) {
        block_close(block);
        return err;
    }
    struct block_handle *handle = MEM_NEW(MEM_BLOCK, struct block_handle);
    atomic_init(&handle->references, 1);
    handle->block = block;
    handle->db = db;
    handle->path = mem_dup(MEM_BLOCK, path, strlen(path));
    struct db_block *opened = MEM_NEW(MEM_BLOCK, struct db_block);
    atomic_init(&opened->references, 1);
    opened->handle = handle;
    opened->tombstones = tombstones;
    *result = opened;
    return OK;
}

err_t db__block_open(struct db *db, const char *path, struct db_block **block, struct strbuf *why)
{
    err_t err = open_block(db, path, block, why);
    db__count(db->metrics.reloads, 1);
    db__count(db->metrics.reloads_failed, err != OK);
    return err;
}

struct db_block *db__block_with_tombstones(struct db_block *block, struct tombstones *tombstones)
{
    struct db_block *other = MEM_NEW(MEM_BLOCK, struct db_block);
    atomic_init(&other->references, 1);
    other->handle = block->handle;
    atomic_fetch_add_explicit(&block->handle->references, 1, memory_order_relaxed);
    other->tombstones = tombstones;
    return other;
}

static int by_time(const void *a, const void *b)
{
    const struct block_meta *x = block_meta((*(struct db_block *const *)a)->handle->block);
    const struct block_meta *y = block_meta((*(struct db_block *const *)b)->handle->block);
    if (x->min_t_ms != y->min_t_ms)
        return x->min_t_ms < y->min_t_ms ? -1 : 1;
    return strcmp(x->ulid.text, y->ulid.text);
}

/* A block that was rewritten is as old as before. */
static const char *oldest_source(const struct block_meta *meta)
{
    return meta->source_count > 0 ? meta->sources[0].text : meta->ulid.text;
}

bool db__block_precedes(const struct db_block *a, const struct db_block *b)
{
    const struct block_meta *x = block_meta(a->handle->block);
    const struct block_meta *y = block_meta(b->handle->block);
    bool x_late = (x->flags & BLOCK_FLAG_OUT_OF_ORDER) != 0;
    bool y_late = (y->flags & BLOCK_FLAG_OUT_OF_ORDER) != 0;
    if (x_late != y_late)
        return y_late;
    int order = strcmp(oldest_source(x), oldest_source(y));
    if (order == 0)
        order = strcmp(x->ulid.text, y->ulid.text);
    return x_late ? order < 0 : order > 0;
}

static bool is_among(const struct db_block *block, struct db_block *const *blocks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (blocks[i]->handle == block->handle)
            return true;
    }
    return false;
}

void db__view_replace(struct db *db, struct db_block *const *removed, size_t removed_count,
                      struct db_block *added, bool for_good)
{
    for (size_t i = 0; for_good && i < removed_count; i++)
        doom(removed[i]->handle);
    mutex_lock(&db->view_lock);
    struct db_view *old = db->view;
    struct db_view *view =
        mem_alloc(MEM_BLOCK, sizeof *view + (old->block_count + 1) * sizeof view->blocks[0]);
    atomic_init(&view->references, 1);
    view->block_count = 0;
    for (uint32_t i = 0; i < old->block_count; i++) {
        if (is_among(old->blocks[i], removed, removed_count))
            continue;
        atomic_fetch_add_explicit(&old->blocks[i]->references, 1, memory_order_relaxed);
        view->blocks[view->block_count++] = old->blocks[i];
    }
    if (added != NULL)
        view->blocks[view->block_count++] = added;
    qsort(view->blocks, view->block_count, sizeof view->blocks[0], by_time);
    db->view = view;
    mutex_unlock(&db->view_lock);
    db__view_put(old);
}

void db__view_add(struct db *db, struct db_block *block)
{
    db__view_replace(db, NULL, 0, block, false);
}

static err_t load_entry(struct db *db, const char *name, struct strbuf *why)
{
    struct str text = {name, strlen(name)};
    size_t size = strlen(db->path) + text.size + 2;
    char *path = mem_alloc(MEM_BLOCK, size);
    snprintf(path, size, "%s/%s", db->path, text.data);
    err_t err = OK;
    if (str_ends_with(text, STR(TEMPORARY_SUFFIX))) {
        err = fs_remove_tree(db->fs, path, why);
    } else if (block_ulid_is_valid(text)) {
        struct db_block *block;
        err = db__block_open(db, path, &block, why);
        if (err == OK) {
            db__view_add(db, block);
        } else if (err == ERR_CORRUPT || err == ERR_NOT_FOUND) {
            /* One bad block must not keep the others from being served. */
            LOG_ERROR("block left out", "path", path, "err", strbuf_cstr(why));
            err = OK;
        }
    }
    mem_free(MEM_BLOCK, path);
    return err;
}

/* Blocks whose parents are still there too (a crash between writing and removing): the parents go.
 */
static void drop_replaced(struct db *db)
{
    struct db_view *view = db__view_get(db);
    for (uint32_t i = 0; i < view->block_count; i++) {
        const struct block_meta *old = block_meta(view->blocks[i]->handle->block);
        for (uint32_t j = 0; j < view->block_count; j++) {
            const struct block_meta *other = block_meta(view->blocks[j]->handle->block);
            bool replaced = i != j && other->level > old->level &&
                            other->min_t_ms <= old->min_t_ms && other->max_t_ms >= old->max_t_ms &&
                            old->source_count > 0;
            for (uint32_t k = 0; replaced && k < old->source_count; k++) {
                bool found = false;
                for (uint32_t l = 0; l < other->source_count && !found; l++)
                    found = strcmp(old->sources[k].text, other->sources[l].text) == 0;
                replaced = found;
            }
            if (!replaced)
                continue;
            LOG_INFO("removing a block that a larger one contains", "ulid", old->ulid.text);
            db__view_replace(db, &view->blocks[i], 1, NULL, true);
            break;
        }
    }
    db__view_put(view);
}

err_t db__view_load(struct db *db, struct strbuf *why)
{
    db->view = mem_alloc(MEM_BLOCK, sizeof *db->view);
    atomic_init(&db->view->references, 1);
    db->view->block_count = 0;
    struct fs_list list;
    TRY(fs_list_dir(db->path, &list, why));
    err_t err = OK;
    for (size_t i = 0; i < list.count && err == OK; i++)
        err = load_entry(db, list.names[i], why);
    fs_list_free(&list);
    if (err == OK)
        drop_replaced(db);
    return err;
}
