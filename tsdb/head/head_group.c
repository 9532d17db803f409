/* Sources, groups, slots and the rows of windows: the writing side. Everything here needs the write
 * lock. */
#include "head_impl.h"

#include <string.h>

#include "narthex/base/log.h"
#include "narthex/base/vec.h"

static const uint32_t row_capacities[] = {8, 32, 96, COLUMN_ROWS_MAX};

/* ---- sources ---- */

static bool source_has_key(const void *owner, uint32_t item, const void *key)
{
    const struct head *head = owner;
    return head->sources[item].key == *(const uint64_t *)key;
}

uint32_t head__source_index(struct head *head, uint64_t key)
{
    uint64_t hash = hash_mix(0, key);
    uint32_t index = htable_find(&head->sources_by_key, hash, source_has_key, head, &key);
    if (index != HTABLE_NONE)
        return index;
    index = head->source_count;
    VEC_PUSH(MEM_HEAD, head->sources, head->source_count, head->source_capacity,
             (struct head_source){.key = key});
    htable_insert(&head->sources_by_key, hash, index);
    return index;
}

void head__source_renew(struct head *head, uint32_t index)
{
    struct head_source *source = &head->sources[index];
    struct head_group *lane = source->lane_count == 0 ? NULL : source->lanes[0];
    if (lane == NULL || lane->slot_count < RENEW_SLOTS_MIN ||
        lane->dead_count < lane->slot_count / 2)
        return;
    struct head_window *window = atomic_load_explicit(&lane->newest, memory_order_relaxed);
    if (window != NULL)
        head__window_close(head, window);
    lane->source = SOURCE_RETIRED;
    source->lanes[0] = NULL; /* the new one takes its place */
    head__group_create(head, index, source->key, lane->lane, 0);
    source = &head->sources[index];
    source->lanes[0] = source->lanes[--source->lane_count];
}

source_ref head_source_open(struct head *head, uint64_t key)
{
    mutex_lock(&head->write_lock);
    uint32_t index = head__source_index(head, key);
    head->sources[index].open = true;
    mutex_unlock(&head->write_lock);
    return index + 1;
}

void head_source_close(struct head *head, source_ref source)
{
    mutex_lock(&head->write_lock);
    assert(source > 0 && source <= head->source_count);
    struct head_source *at = &head->sources[source - 1];
    at->open = false;
    for (uint32_t i = 0; i < at->lane_count; i++) {
        struct head_window *window =
            atomic_load_explicit(&at->lanes[i]->newest, memory_order_relaxed);
        if (window != NULL)
            head__window_close(head, window);
    }
    mutex_unlock(&head->write_lock);
}

/* ---- groups ---- */

void head__group_reserve(struct head *head, uint32_t id)
{
    while (head->group_count < id)
        VEC_PUSH(MEM_HEAD, head->groups, head->group_count, head->group_capacity, NULL);
}

struct head_group *head__group_create(struct head *head, uint32_t source, uint64_t key,
                                      uint32_t lane, uint32_t id)
{
    struct head_group *group = MEM_NEW(MEM_HEAD, struct head_group);
    if (id == 0)
        id = head->group_count + 1;
    head__group_reserve(head, id);
    assert(head->groups[id - 1] == NULL);
    head->groups[id - 1] = group;
    group->id = id;
    group->source = source;
    group->key = key;
    group->lane = lane;
    group->last_t_ms = INT64_MIN;
    group->floor_t_ms = INT64_MIN;
    group->staged_t_ms = INT64_MIN;
    if (source != SOURCE_NONE) {
        struct head_source *at = &head->sources[source];
        VEC_PUSH(MEM_HEAD, at->lanes, at->lane_count, at->lane_capacity, group);
    }
    head->stats.group_count++;
    return group;
}

static void give_slot(struct head *head, struct head_group *group, uint32_t slot,
                      struct head_series *series)
{
    int64_t last_t_ms = series->left_t_ms;
    double value;
    struct str histogram;
    struct head_place *old = atomic_load_explicit(&series->newest, memory_order_relaxed);
    struct head_place *place = &series->first;
    if (old != NULL) {
        struct head_group *left = old->group;
        head__series_last_locked(head, series, &last_t_ms, &value, &histogram);
        VEC_PUSH(MEM_HEAD, left->dead_slots, left->dead_slot_count, left->dead_slot_capacity,
                 (struct dead_slot){old->slot, left->slot_refs[old->slot]});
        left->slot_refs[old->slot] = 0;
        left->dead_count++;
        series->left_t_ms = last_t_ms;
        place = slab_alloc(head->pool, sizeof *place);
    }
    if (last_t_ms > group->floor_t_ms)
        group->floor_t_ms = last_t_ms;
    group->slot_refs[slot] = (uint32_t)head__ref(head, series->ordinal);
    place->group = group;
    place->slot = slot;
    atomic_store_explicit(&place->older, old, memory_order_relaxed);
    atomic_store_explicit(&series->newest, place, memory_order_release);
    head->series_changed = head->series_changed || old == NULL;
}

uint32_t head__group_take_series(struct head *head, struct head_group *group,
                                 struct head_series *series)
{
    uint32_t slot = group->slot_count++;
    VEC_RESERVE(MEM_HEAD, group->slot_refs, group->slot_capacity, group->slot_count);
    give_slot(head, group, slot, series);
    return slot;
}

void head__group_give_slot(struct head *head, struct head_group *group, uint32_t slot,
                           struct head_series *series)
{
    assert(slot < group->slot_count && group->slot_refs[slot] == 0);
    group->dead_count--;
    give_slot(head, group, slot, series);
}

/* ---- rows ---- */

static void free_rows(void *owner, void *block, size_t size)
{
    (void)owner;
    (void)size;
    struct window_rows *rows = block;
    mem_free(MEM_HEAD, rows->t_ms);
    mem_free(MEM_HEAD, rows->sequences);
    mem_free(MEM_HEAD, rows);
}

struct window_rows *head__rows_create(uint32_t capacity)
{
    struct window_rows *rows = MEM_NEW(MEM_HEAD, struct window_rows);
    rows->capacity = capacity;
    rows->t_ms = mem_alloc(MEM_HEAD, capacity * sizeof *rows->t_ms);
    rows->sequences = mem_alloc(MEM_HEAD, capacity * sizeof *rows->sequences);
    return rows;
}

static void rows_grow(struct head *head, struct head_window *window)
{
    struct window_rows *old = atomic_load_explicit(&window->rows, memory_order_relaxed);
    size_t step = 0;
    while (row_capacities[step] <= old->capacity)
        step++;
    struct window_rows *rows = head__rows_create(row_capacities[step]);
    memcpy(rows->t_ms, old->t_ms, old->capacity * sizeof *rows->t_ms);
    memcpy(rows->sequences, old->sequences, old->capacity * sizeof *rows->sequences);
    atomic_store_explicit(&window->rows, rows, memory_order_release);
    head__retire(head, free_rows, NULL, old, 0);
}

/* The first window of a group is a part of a whole one, so that those of many groups do not end
 * together. */
static uint32_t rows_max_of(const struct head *head, const struct head_group *group)
{
    uint32_t rows_max = head->sealed == NULL ? COLUMN_ROWS_MAX : SHORT_ROWS;
    if (head->sealed != NULL && group->window_numbers == 1)
        rows_max = 1 + (uint32_t)(hash_mix(group->key, group->lane) % rows_max);
    return rows_max;
}

static struct head_window *window_create(const struct head *head, struct head_group *group)
{
    struct head_window *window = MEM_NEW(MEM_HEAD, struct head_window);
    window->group = group;
    window->number = ++group->window_numbers;
    window->rows_max = (uint16_t)rows_max_of(head, group);
    atomic_init(&window->rows, head__rows_create(row_capacities[0]));
    return window;
}

void head__window_close(struct head *head, struct head_window *window)
{
    if (window->closed)
        return;
    window->closed = true;
    if (head->closed_last == NULL)
        head->closed_first = window;
    else
        head->closed_last->next_closed = window;
    head->closed_last = window;
    head->closed_count++;
}

int64_t head__range_of(const struct head *head, int64_t t_ms)
{
    int64_t range = t_ms / head->window_range_ms;
    return t_ms % head->window_range_ms < 0 ? range - 1 : range;
}

/* Whether a row at t fits behind the window's rows. */
static bool window_takes(const struct head *head, const struct head_window *window, int64_t t_ms)
{
    uint32_t count = atomic_load_explicit(&window->row_count, memory_order_relaxed);
    if (window->closed || count == window->rows_max)
        return false;
    const struct window_rows *rows = atomic_load_explicit(&window->rows, memory_order_relaxed);
    return count == 0 || head__range_of(head, rows->t_ms[0]) == head__range_of(head, t_ms);
}

struct head_window *head__group_begin_row(struct head *head, struct head_group *group, int64_t t_ms,
                                          uint32_t *row)
{
    struct head_window *window = atomic_load_explicit(&group->newest, memory_order_relaxed);
    if (window == NULL || !window_takes(head, window, t_ms)) {
        struct head_window *fresh = window_create(head, group);
        if (window != NULL)
            head__window_close(head, window);
        atomic_init(&fresh->older, window);
        atomic_store_explicit(&group->newest, fresh, memory_order_release);
        window = fresh;
    }
    *row = atomic_load_explicit(&window->row_count, memory_order_relaxed);
    if (*row == atomic_load_explicit(&window->rows, memory_order_relaxed)->capacity)
        rows_grow(head, window);
    return window;
}

void head__group_end_row(struct head_group *group, struct head_window *window, uint32_t row,
                         int64_t t_ms, uint64_t sequence)
{
    struct window_rows *rows = atomic_load_explicit(&window->rows, memory_order_relaxed);
    rows->t_ms[row] = t_ms;
    rows->sequences[row] = sequence;
    group->last_t_ms = t_ms;
    group->sequence++;
    if (row == 0) {
        window->first_sequence = group->sequence;
        window->first_segment = group->wal.segment;
    }
    window->last_sequence = group->sequence;
    atomic_store_explicit(&window->row_count, row + 1, memory_order_release);
}

/* ---- slots of a window ---- */

static void free_table(void *owner, void *block, size_t size)
{
    (void)owner;
    (void)size;
    mem_free(MEM_HEAD, block);
}

/* Address of a slot's element, its page made if needed. */
static void *table_slot(struct head *head, _Atomic(struct slot_table *) *table_at, uint32_t slot,
                        uint32_t slot_count, size_t element_size)
{
    struct slot_table *table = atomic_load_explicit(table_at, memory_order_relaxed);
    uint32_t page_number = slot / SLOT_PAGE_SIZE;
    if (table == NULL || page_number >= table->page_count) {
        uint32_t page_count = (slot_count + SLOT_PAGE_SIZE - 1) / SLOT_PAGE_SIZE;
        if (table != NULL)
            page_count += page_count / 4;
        struct slot_table *grown =
            mem_calloc(MEM_HEAD, 1, sizeof *grown + page_count * sizeof grown->pages[0]);
        grown->page_count = page_count;
        for (uint32_t i = 0; table != NULL && i < table->page_count; i++)
            atomic_init(&grown->pages[i],
                        atomic_load_explicit(&table->pages[i], memory_order_relaxed));
        atomic_store_explicit(table_at, grown, memory_order_release);
        if (table != NULL)
            head__retire(head, free_table, NULL, table, 0);
        table = grown;
    }
    char *page = atomic_load_explicit(&table->pages[page_number], memory_order_relaxed);
    if (page == NULL) {
        page = slab_alloc(head->pool, SLOT_PAGE_SIZE * element_size);
        memset(page, 0, SLOT_PAGE_SIZE * element_size);
        atomic_store_explicit(&table->pages[page_number], page, memory_order_release);
    }
    return page + (slot % SLOT_PAGE_SIZE) * element_size;
}

/* Columns of the slots, whose pages are made if needed. */
static void find_columns(struct head *head, struct head_window *window, const uint32_t *slots,
                         uint32_t count, struct open_column **columns)
{
    struct open_column *page = NULL;
    uint32_t page_number = UINT32_MAX;
    for (uint32_t i = 0; i < count; i++) {
        if (slots[i] / SLOT_PAGE_SIZE != page_number) {
            page_number = slots[i] / SLOT_PAGE_SIZE;
            page = table_slot(head, &window->slots, page_number * SLOT_PAGE_SIZE,
                              window->group->slot_count, sizeof *page);
        }
        columns[i] = &page[slots[i] % SLOT_PAGE_SIZE];
    }
}

void head__window_append(struct head *head, struct head_window *window, uint32_t row,
                         const uint32_t *slots, const double *values, uint32_t count)
{
    enum { AT_ONCE = 256 };
    struct open_column *columns[AT_ONCE + OPEN_COLUMN_AHEAD];
    uint32_t found = 0;
    for (uint32_t at = 0; at < count;) {
        uint32_t left = count - at;
        uint32_t wanted = left < AT_ONCE + OPEN_COLUMN_AHEAD ? left : AT_ONCE + OPEN_COLUMN_AHEAD;
        find_columns(head, window, slots + at + found, wanted - found, columns + found);
        uint32_t now = left < AT_ONCE ? left : AT_ONCE;
        open_column_append_row(columns, now, wanted - now, row, values + at, &head->column_memory);
        found = wanted - now;
        memcpy(columns, columns + now, found * sizeof columns[0]);
        at += now;
    }
}

void head__window_add_start(struct head *head, struct head_window *window, uint32_t slot,
                            uint32_t row, int64_t start_t_ms)
{
    struct open_column *column =
        table_slot(head, &window->starts, slot, window->group->slot_count, sizeof *column);
    open_column_append(column, row, (double)start_t_ms, &head->column_memory);
}

static void free_histograms(void *owner, void *buffer, size_t size)
{
    (void)owner;
    (void)size;
    open_histograms_free_buffer(buffer);
}

static void retire_histograms(void *context, void *buffer)
{
    head__retire(context, free_histograms, NULL, buffer, 0);
}

err_t head__window_add_histogram(struct head *head, struct head_window *window, uint32_t slot,
                                 uint32_t row, struct str bytes, struct strbuf *why)
{
    struct open_histograms *histograms =
        table_slot(head, &window->histograms, slot, window->group->slot_count, sizeof *histograms);
    struct open_histograms_memory memory = {retire_histograms, head};
    return open_histograms_append(histograms, row, bytes, &memory, why);
}

/* ---- end ---- */

static void free_columns(struct head *head, struct slot_table *table)
{
    struct open_column_memory memory = {.pool = head->pool};
    for (uint32_t i = 0; table != NULL && i < table->page_count; i++) {
        struct open_column *page = atomic_load_explicit(&table->pages[i], memory_order_relaxed);
        if (page == NULL)
            continue;
        for (uint32_t j = 0; j < SLOT_PAGE_SIZE; j++) {
            struct open_column_view view = open_column_take(&page[j]);
            open_column_release(&view, &memory);
        }
        slab_free(head->pool, page, SLOT_PAGE_SIZE * sizeof *page);
    }
    mem_free(MEM_HEAD, table);
}

static void free_column_table(void *owner, void *block, size_t size)
{
    (void)size;
    free_columns(owner, block);
}

static void free_histogram_table(void *owner, void *block, size_t size)
{
    struct head *head = owner;
    struct slot_table *table = block;
    (void)size;
    for (uint32_t i = 0; i < table->page_count; i++) {
        struct open_histograms *page = atomic_load_explicit(&table->pages[i], memory_order_relaxed);
        if (page == NULL)
            continue;
        for (uint32_t j = 0; j < SLOT_PAGE_SIZE; j++)
            open_histograms_free(&page[j]);
        slab_free(head->pool, page, SLOT_PAGE_SIZE * sizeof *page);
    }
    mem_free(MEM_HEAD, table);
}

void head__window_retire_open_form(struct head *head, struct head_window *window)
{
    struct slot_table *table = atomic_load_explicit(&window->slots, memory_order_relaxed);
    atomic_store_explicit(&window->slots, NULL, memory_order_release);
    if (table != NULL)
        head__retire(head, free_column_table, head, table, 0);
    table = atomic_load_explicit(&window->starts, memory_order_relaxed);
    if (table != NULL) {
        atomic_store_explicit(&window->starts, NULL, memory_order_release);
        head__retire(head, free_column_table, head, table, 0);
    }
    table = atomic_load_explicit(&window->histograms, memory_order_relaxed);
    if (table != NULL) {
        atomic_store_explicit(&window->histograms, NULL, memory_order_release);
        head__retire(head, free_histogram_table, head, table, 0);
    }
}

void head__window_free(struct head_window *window)
{
    free_rows(NULL, atomic_load_explicit(&window->rows, memory_order_relaxed), 0);
    head__sealed_free(atomic_load_explicit(&window->sealed, memory_order_relaxed));
    mem_free(MEM_HEAD, window);
}

static void free_window(void *owner, void *block, size_t size)
{
    (void)owner;
    (void)size;
    head__window_free(block);
}

void head__window_retire(struct head *head, struct head_window *window)
{
    head__window_retire_open_form(head, window);
    head__retire(head, free_window, NULL, window, 0);
}

void head__group_free(void *owner, void *block, size_t size)
{
    (void)owner;
    (void)size;
    struct head_group *group = block;
    wal_group_deinit(&group->wal);
    mem_free(MEM_HEAD, group->slot_refs);
    mem_free(MEM_HEAD, group->dead_slots);
    mem_free(MEM_HEAD, group->hints);
    mem_free(MEM_HEAD, group);
}

void head__group_destroy(struct head *head, struct head_group *group)
{
    struct head_window *window = atomic_load_explicit(&group->newest, memory_order_relaxed);
    while (window != NULL) {
        struct head_window *older = atomic_load_explicit(&window->older, memory_order_relaxed);
        head__window_retire(head, window);
        window = older;
    }
    head__group_free(NULL, group, 0);
}
