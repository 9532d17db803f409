/* Life of a head, its settings and its figures. */
#include "head_late.h"
#include "series_log.h"

enum { WINDOW_RANGE_MS_DEFAULT = 2 * 60 * 60 * 1000 };

static void retire_of_index(void *context, void (*free_block)(void *, void *, size_t), void *owner,
                            void *block, size_t size)
{
    head__retire(context, free_block, owner, block, size);
}

static void free_slab_block(void *owner, void *block, size_t size)
{
    slab_free(owner, block, size);
}

static void retire_of_column(void *context, void *block, size_t size)
{
    struct head *head = context;
    head__retire(head, free_slab_block, head->pool, block, size);
}

struct head *head_create(const struct head_options *options)
{
    struct head *head = MEM_NEW(MEM_HEAD, struct head);
    head->window_range_ms =
        options->window_range_ms == 0 ? WINDOW_RANGE_MS_DEFAULT : options->window_range_ms;
    head->sync_each_commit = options->sync_each_commit;
    head->pool = slab_pool_create(MEM_HEAD_DATA);
    head->index = label_index_create((struct retirer){retire_of_index, head});
    head->column_memory = (struct open_column_memory){head->pool, retire_of_column, head};
    head->series_pages = mem_calloc(MEM_HEAD, SERIES_PAGES_MAX, sizeof *head->series_pages);
    head->min_t_ms = INT64_MAX;
    head->max_t_ms = INT64_MIN;
    head->append_floor_ms = INT64_MIN;
    atomic_init(&head->min_valid_ms, INT64_MIN);
    head->exemplars = head__exemplars_create(options->exemplars_max);
    head->metadata = head__metadata_create();
    mutex_init(&head->write_lock);
    head__epochs_init(&head->epochs);
    htable_init(&head->series_by_labels, MEM_HEAD);
    htable_init(&head->sources_by_key, MEM_HEAD);
    return head;
}

err_t head_open_files(struct head *head, const struct fs *fs, const char *folder,
                      struct strbuf *why)
{
    struct strbuf path = STRBUF_INIT;
    strbuf_printf(&path, "%s/series", folder);
    err_t err = series_log_open(fs, strbuf_cstr(&path), &head->series_log, why);
    strbuf_clear(&path);
    strbuf_printf(&path, "%s/sealed", folder);
    if (err == OK)
        err = sealed_store_open(fs, strbuf_cstr(&path), &head->sealed, why);
    strbuf_deinit(&path);
    return err;
}

void head_destroy(struct head *head)
{
    for (uint32_t i = 0; i < head->group_count; i++) {
        if (head->groups[i] != NULL)
            head__group_destroy(head, head->groups[i]);
    }
    head__epochs_deinit(&head->epochs);
    head__series_free_all(head);
    head__late_free_all(head);
    for (uint32_t i = 0; i < head->source_count; i++)
        mem_free(MEM_HEAD, head->sources[i].lanes);
    mem_free(MEM_HEAD, head->sources);
    mem_free(MEM_HEAD, head->groups);
    mem_free(MEM_HEAD, head->unlogged);
    mem_free(MEM_HEAD, atomic_load_explicit(&head->deletions, memory_order_relaxed));
    strbuf_deinit(&head->body);
    strbuf_deinit(&head->scratch);
    strbuf_deinit(&head->last_histogram);
    htable_deinit(&head->series_by_labels);
    htable_deinit(&head->sources_by_key);
    head__exemplars_destroy(head->exemplars);
    head__metadata_destroy(head->metadata);
    label_index_destroy(head->index);
    slab_pool_destroy(head->pool);
    sealed_store_close(head->sealed);
    series_log_close(head->series_log);
    mutex_deinit(&head->write_lock);
    mem_free(MEM_HEAD, head);
}

void head_set_wal(struct head *head, struct wal *wal)
{
    mutex_lock(&head->write_lock);
    head->wal = wal;
    label_index_set_exclusive(head->index, false);
    mutex_unlock(&head->write_lock);
}

void head_set_exemplars_max(struct head *head, int64_t exemplars_max)
{
    mutex_lock(&head->write_lock);
    head__exemplars_resize(head->exemplars, exemplars_max);
    mutex_unlock(&head->write_lock);
}

void head_set_out_of_order_window(struct head *head, int64_t window_ms)
{
    mutex_lock(&head->write_lock);
    head->out_of_order_window_ms = window_ms;
    mutex_unlock(&head->write_lock);
}

static uint64_t count_windows(const struct head *head, uint64_t *columns, uint64_t *sealed_bytes)
{
    uint64_t windows = 0;
    for (uint32_t i = 0; i < head->group_count; i++) {
        const struct head_group *group = head->groups[i];
        if (group == NULL)
            continue;
        const struct head_window *window =
            atomic_load_explicit(&group->newest, memory_order_relaxed);
        for (; window != NULL;
             window = atomic_load_explicit(&window->older, memory_order_relaxed)) {
            const struct sealed_window *sealed =
                atomic_load_explicit(&window->sealed, memory_order_relaxed);
            windows++;
            *columns += sealed != NULL ? sealed->slot_count : group->slot_count;
            *sealed_bytes += sealed != NULL ? sealed->bytes : 0;
        }
    }
    return windows;
}

static void extent_locked(const struct head *head, struct head_extent *extent)
{
    *extent = (struct head_extent){
        .min_t_ms = head->min_t_ms,
        .max_t_ms = head->max_t_ms,
        .late_count = head->late.sample_count,
        .late_min_t_ms = head->late.sample_count > 0 ? head->late.min_t_ms : INT64_MAX,
        .late_max_t_ms = head->late.sample_count > 0 ? head->late.max_t_ms : INT64_MIN,
    };
}

void head_extent(struct head *head, struct head_extent *extent)
{
    mutex_lock(&head->write_lock);
    extent_locked(head, extent);
    mutex_unlock(&head->write_lock);
}

void head_stats(struct head *head, struct head_stats *stats)
{
    struct head_extent extent;
    mutex_lock(&head->write_lock);
    extent_locked(head, &extent);
    *stats = head->stats;
    stats->min_t_ms = extent.min_t_ms;
    stats->max_t_ms = extent.max_t_ms;
    stats->min_valid_ms = atomic_load_explicit(&head->min_valid_ms, memory_order_relaxed);
    stats->unsealed_windows = head->closed_count;
    stats->column_count = 0;
    stats->sealed_bytes = 0;
    count_windows(head, &stats->column_count, &stats->sealed_bytes);
    stats->late_count = extent.late_count;
    stats->late_min_t_ms = extent.late_min_t_ms;
    stats->late_max_t_ms = extent.late_max_t_ms;
    stats->open_bytes = slab_used_bytes(head->pool);
    mutex_unlock(&head->write_lock);
}

bool head_metadata(struct head *head, series_ref ref, struct arena *arena,
                   struct metadata *metadata)
{
    mutex_lock(&head->write_lock);
    bool found = head__metadata_get(head->metadata, ref, arena, metadata);
    mutex_unlock(&head->write_lock);
    return found;
}
