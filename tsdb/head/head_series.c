/* Series records: labels to ordinals and back. */
#include "head_impl.h"

#include <string.h>

#include "narthex/tsdb/histogram_codec.h"

struct labels head__series_labels(const struct head *head, const struct head_series *series,
                                  struct label *items)
{
    for (uint32_t i = 0; i < series->label_count; i++)
        items[i] = label_index_label(head->index, series->pairs[i]);
    return (struct labels){items, series->label_count};
}

static bool series_has_labels(const void *owner, uint32_t ordinal, const void *key)
{
    const struct head *head = owner;
    const struct head_series *series = head__series(head, ordinal);
    const struct labels *labels = key;
    if (series->label_count != labels->count)
        return false;
    for (uint32_t i = 0; i < labels->count; i++) {
        struct label label = label_index_label(head->index, series->pairs[i]);
        if (!str_equal(label.value, labels->items[i].value) ||
            !str_equal(label.name, labels->items[i].name))
            return false;
    }
    return true;
}

struct head_series *head__series_find_locked(struct head *head, struct labels labels, uint64_t hash)
{
    uint32_t ordinal = htable_find(&head->series_by_labels, hash, series_has_labels, head, &labels);
    return ordinal == HTABLE_NONE ? NULL : head__series(head, ordinal);
}

static size_t series_size(uint32_t label_count)
{
    return sizeof(struct head_series) + label_count * sizeof(uint32_t);
}

static_assert(sizeof(struct head_series) + SERIES_LABELS_MAX * sizeof(uint32_t) > SLAB_SIZE_MAX,
              "series_alloc needs both ways");

static void free_series(void *owner, void *block, size_t size)
{
    if (size <= SLAB_SIZE_MAX)
        slab_free(owner, block, size);
    else
        mem_free(MEM_HEAD, block);
}

static struct head_series *series_alloc(struct head *head, uint32_t label_count)
{
    size_t size = series_size(label_count);
    struct head_series *series =
        size <= SLAB_SIZE_MAX ? slab_alloc(head->pool, size) : mem_alloc(MEM_HEAD, size);
    memset(series, 0, size);
    series->label_count = (uint16_t)label_count;
    return series;
}

static void set_record(struct head *head, uint32_t ordinal, struct head_series *series)
{
    _Atomic(_Atomic(struct head_series *) *) *page_at =
        &head->series_pages[ordinal / SERIES_PAGE_SIZE];
    _Atomic(struct head_series *) *page = atomic_load_explicit(page_at, memory_order_relaxed);
    if (page == NULL) {
        page = MEM_NEW_ARRAY(MEM_HEAD, _Atomic(struct head_series *), SERIES_PAGE_SIZE);
        atomic_store_explicit(page_at, page, memory_order_release);
    }
    atomic_store_explicit(&page[ordinal % SERIES_PAGE_SIZE], series, memory_order_release);
    /* Stored last: whoever sees the count sees the page. */
    if (ordinal >= atomic_load_explicit(&head->ordinal_count, memory_order_relaxed))
        atomic_store_explicit(&head->ordinal_count, ordinal + 1, memory_order_release);
}

static size_t label_bytes(struct labels labels)
{
    size_t size = 0;
    for (uint32_t i = 0; i < labels.count; i++)
        size += labels.items[i].name.size + labels.items[i].value.size;
    return size;
}

/* False: there are too many. Those that were made stay until the next sweep. */
static bool intern_labels(struct head *head, struct labels labels, uint32_t *pairs)
{
    for (uint32_t i = 0; i < labels.count; i++) {
        pairs[i] = label_index_pair(head->index, labels.items[i].name, labels.items[i].value);
        if (pairs[i] == LABEL_PAIR_NONE)
            return false;
    }
    return true;
}

err_t head__series_create_locked(struct head *head, struct labels labels, uint64_t hash,
                                 uint32_t ordinal, struct head_series **result, struct strbuf *why)
{
    if (labels.count > SERIES_LABELS_MAX)
        return err_fail(why, ERR_INVALID, "series with %u labels; at most %d are possible",
                        labels.count, SERIES_LABELS_MAX);
    if (label_bytes(labels) > SERIES_LABEL_BYTES_MAX)
        return err_fail(why, ERR_INVALID, "series with labels of more than %d bytes",
                        SERIES_LABEL_BYTES_MAX);
    if (ordinal == HEAD_ORDINALS_MAX)
        ordinal = atomic_load_explicit(&head->ordinal_count, memory_order_relaxed);
    if (ordinal >= HEAD_ORDINALS_MAX || head->ref_base + ordinal + 1 > UINT32_MAX)
        return err_fail(why, ERR_LIMIT, "too many series were created since the start");
    struct head_series *series = series_alloc(head, labels.count);
    series->ordinal = ordinal;
    series->left_t_ms = INT64_MIN;
    if (!intern_labels(head, labels, series->pairs)) {
        free_series(head->pool, series, series_size(labels.count));
        return err_fail(why, ERR_LIMIT, "too many label names or values in memory");
    }
    set_record(head, ordinal, series);
    /* The postings come last: a reader that finds the ordinal there finds the record. */
    label_index_add_series(head->index, series->pairs, series->label_count, ordinal);
    htable_insert(&head->series_by_labels, hash, ordinal);
    head->stats.series_created++;
    head->stats.series_count++;
    *result = series;
    return OK;
}

void head__series_restore(struct head *head, uint32_t ordinal, const uint32_t *pairs,
                          uint32_t count)
{
    struct head_series *series = series_alloc(head, count);
    series->ordinal = ordinal;
    series->left_t_ms = INT64_MIN;
    memcpy(series->pairs, pairs, count * sizeof *pairs);
    set_record(head, ordinal, series);
    label_index_add_series(head->index, series->pairs, count, ordinal);
    head->stats.series_created++;
    head->stats.series_count++;
}

void head__series_remove_locked(struct head *head, struct head_series *series)
{
    struct label items[SERIES_LABELS_MAX];
    uint64_t hash = labels_hash(head__series_labels(head, series, items));
    htable_remove(&head->series_by_labels, hash, series->ordinal);
    label_index_drop_series(head->index, series->pairs, series->label_count);
    set_record(head, series->ordinal, NULL);
    struct head_place *place = atomic_load_explicit(&series->newest, memory_order_relaxed);
    if (place != NULL) {
        place->group->slot_refs[place->slot] = 0;
        place->group->dead_count++;
    }
    while (place != NULL) {
        struct head_place *older = atomic_load_explicit(&place->older, memory_order_relaxed);
        if (place != &series->first)
            head__retire(head, free_series, head->pool, place, sizeof *place);
        place = older;
    }
    head__retire(head, free_series, head->pool, series, series_size(series->label_count));
    head->series_changed = true;
    head->stats.series_removed++;
    head->stats.series_count--;
}

static void free_page(void *owner, void *page, size_t size)
{
    (void)owner;
    (void)size;
    mem_free(MEM_HEAD, page);
}

static bool page_is_empty(_Atomic(struct head_series *) *page)
{
    for (uint32_t i = 0; i < SERIES_PAGE_SIZE; i++) {
        if (atomic_load_explicit(&page[i], memory_order_relaxed) != NULL)
            return false;
    }
    return true;
}

void head__series_free_pages_locked(struct head *head, uint32_t end)
{
    for (uint32_t i = 0; i < end / SERIES_PAGE_SIZE; i++) {
        _Atomic(struct head_series *) *page =
            atomic_load_explicit(&head->series_pages[i], memory_order_relaxed);
        if (page == NULL || !page_is_empty(page))
            continue;
        atomic_store_explicit(&head->series_pages[i], NULL, memory_order_release);
        head__retire(head, free_page, NULL, (void *)page, 0);
    }
}

void head__series_free_all(struct head *head)
{
    for (uint32_t i = 0; i < SERIES_PAGES_MAX; i++) {
        _Atomic(struct head_series *) *page =
            atomic_load_explicit(&head->series_pages[i], memory_order_relaxed);
        if (page == NULL)
            continue;
        for (uint32_t j = 0; j < SERIES_PAGE_SIZE; j++) {
            struct head_series *series = atomic_load_explicit(&page[j], memory_order_relaxed);
            if (series != NULL && series_size(series->label_count) > SLAB_SIZE_MAX)
                mem_free(MEM_HEAD, series);
        }
        mem_free(MEM_HEAD, (void *)page);
    }
    mem_free(MEM_HEAD, (void *)head->series_pages);
}

/* Last bit set in 4 words; -1: none. */
static int last_row(const uint64_t rows[4])
{
    for (int i = 3; i >= 0; i--) {
        if (rows[i] != 0)
            return 64 * i + 63 - __builtin_clzll(rows[i]);
    }
    return -1;
}

/* The newest histogram of the samples, encoded. */
static struct str last_histogram(struct head *head, const struct slot_samples *samples)
{
    if (samples->open_histograms != NULL)
        return open_histograms_last(samples->open_histograms);
    struct histogram histograms[COLUMN_ROWS_MAX];
    struct arena arena;
    struct strbuf why = STRBUF_INIT;
    arena_init(&arena, MEM_HEAD, SIZE_MAX);
    strbuf_clear(&head->last_histogram);
    if (head__slot_decode_histograms(samples, false, &arena, histograms, &why) == OK)
        histogram_encode(&head->last_histogram, &histograms[samples->histogram_count - 1]);
    else /* damaged in its file since it was sealed: equal to no histogram */
        strbuf_add_cstr(&head->last_histogram, "damaged");
    strbuf_deinit(&why);
    arena_deinit(&arena);
    return strbuf_str(&head->last_histogram);
}

bool head__series_last_locked(struct head *head, const struct head_series *series, int64_t *t_ms,
                              double *value, struct str *histogram)
{
    struct slot_samples *samples = &head->last_samples;
    for (struct head_place *place = atomic_load_explicit(&series->newest, memory_order_relaxed);
         place != NULL; place = atomic_load_explicit(&place->older, memory_order_relaxed)) {
        for (struct head_window *window =
                 atomic_load_explicit(&place->group->newest, memory_order_relaxed);
             window != NULL; window = atomic_load_explicit(&window->older, memory_order_relaxed)) {
            uint32_t rows = atomic_load_explicit(&window->row_count, memory_order_relaxed);
            head__slot_load(window, place->slot, rows, samples);
            int float_row = last_row(samples->float_rows);
            int histogram_row = last_row(samples->histogram_rows);
            if (float_row < 0 && histogram_row < 0)
                continue;
            int row = float_row > histogram_row ? float_row : histogram_row;
            *t_ms = atomic_load_explicit(&window->rows, memory_order_relaxed)->t_ms[row];
            *histogram = (struct str){NULL, 0};
            if (histogram_row > float_row) {
                *histogram = last_histogram(head, samples);
                return true;
            }
            struct strbuf why = STRBUF_INIT;
            if (head__slot_decode_floats(samples, &why) == OK)
                *value = samples->values[samples->float_count - 1];
            else /* damaged in its file since it was sealed: like no value that anybody sends */
                *value = double_from_bits(~UINT64_C(0));
            strbuf_deinit(&why);
            return true;
        }
    }
    return false;
}
