/* Late samples in memory: see head_late.h. */
#include "head_late.h"

#include <string.h>

#include "narthex/base/vec.h"

err_t head__late_judge(const struct head *head, int64_t t_ms)
{
    /* After a cut and a restart the blocks' end stands for the newest sample. */
    int64_t newest_t_ms = head->max_t_ms;
    if (head->append_floor_ms > newest_t_ms)
        newest_t_ms = head->append_floor_ms - 1;
    int64_t oldest_t_ms;
    if (__builtin_sub_overflow(newest_t_ms, head->out_of_order_window_ms, &oldest_t_ms))
        return OK;
    return t_ms >= oldest_t_ms ? OK : ERR_TOO_OLD;
}

/* ---- runs ---- */

static late_slot *slot_of(struct head *head, uint32_t ordinal)
{
    late_page *pages = atomic_load_explicit(&head->late.pages, memory_order_relaxed);
    if (pages == NULL) {
        pages = mem_calloc(MEM_HEAD, SERIES_PAGES_MAX, sizeof *pages);
        atomic_store_explicit(&head->late.pages, pages, memory_order_release);
    }
    late_page *page_at = &pages[ordinal / SERIES_PAGE_SIZE];
    late_slot *page = atomic_load_explicit(page_at, memory_order_relaxed);
    if (page == NULL) {
        page = MEM_NEW_ARRAY(MEM_HEAD, late_slot, SERIES_PAGE_SIZE);
        atomic_store_explicit(page_at, page, memory_order_release);
    }
    return &page[ordinal % SERIES_PAGE_SIZE];
}

static uint32_t run_count(const struct late_run *run)
{
    return atomic_load_explicit(&run->count, memory_order_relaxed);
}

static struct late_run *run_create(uint32_t capacity, bool has_extras, uint64_t first_number,
                                   struct late_run *older)
{
    size_t entry_size = sizeof(struct late_sample) + sizeof(uint32_t) +
                        (has_extras ? sizeof(struct late_extra) : 0);
    struct late_run *run = mem_alloc(MEM_HEAD_DATA, sizeof *run + capacity * entry_size);
    run->older = older;
    run->first_number = first_number;
    run->capacity = (uint16_t)capacity;
    run->has_extras = has_extras;
    atomic_init(&run->count, 0);
    return run;
}

static void free_data(void *owner, void *block, size_t size)
{
    (void)owner;
    (void)size;
    mem_free(MEM_HEAD_DATA, block);
}

static void retire_data(struct head *head, void *block)
{
    head__retire(head, free_data, NULL, block, 0);
}

static void run_append(struct late_run *run, const struct late_entry *entry)
{
    uint32_t count = run_count(run);
    assert(count < run->capacity);
    head__late_samples(run)[count] = (struct late_sample){entry->t_ms, entry->value};
    head__late_numbers(run)[count] = (uint32_t)(entry->number - run->first_number);
    if (run->has_extras)
        head__late_extras(run)[count] = (struct late_extra){entry->start_t_ms, entry->histogram};
    /* Readers that see the count see the entry. */
    atomic_store_explicit(&run->count, count + 1, memory_order_release);
}

/* A run with room for the entry, in place of the newest one or in front of it. */
static struct late_run *run_with_room(struct head *head, late_slot *slot,
                                      const struct late_entry *entry)
{
    struct late_run *run = atomic_load_explicit(slot, memory_order_relaxed);
    bool has_extras = entry->start_t_ms != 0 || entry->histogram != NULL;
    struct late_run *larger;
    if (run == NULL || run_count(run) == LATE_RUN_ENTRIES_MAX ||
        entry->number < run->first_number || entry->number - run->first_number > UINT32_MAX) {
        larger = run_create(LATE_RUN_ENTRIES_FIRST, has_extras, entry->number, run);
    } else if (run_count(run) < run->capacity && (run->has_extras || !has_extras)) {
        return run;
    } else {
        uint32_t capacity = run_count(run) < run->capacity ? run->capacity : 2u * run->capacity;
        if (capacity > LATE_RUN_ENTRIES_MAX)
            capacity = LATE_RUN_ENTRIES_MAX;
        larger = run_create(capacity, run->has_extras || has_extras, run->first_number, run->older);
        for (uint32_t i = 0; i < run_count(run); i++) {
            struct late_entry kept = head__late_entry(run, i);
            run_append(larger, &kept);
        }
        retire_data(head, run);
    }
    atomic_store_explicit(slot, larger, memory_order_release);
    head->series_changed = head->series_changed || run == NULL;
    return larger;
}

/* Looks into the newest run only. */
bool head__late_has_time(const struct head *head, uint32_t ordinal, int64_t t_ms)
{
    const struct late_run *run = head__late_run(head, ordinal);
    for (uint32_t i = 0; run != NULL && i < run_count(run); i++) {
        if (head__late_samples(run)[i].t_ms == t_ms)
            return true;
    }
    return false;
}

static struct late_bytes *copy_bytes(struct str text)
{
    if (text.size == 0)
        return NULL;
    struct late_bytes *bytes = mem_alloc(MEM_HEAD_DATA, sizeof *bytes + text.size);
    bytes->size = (uint32_t)text.size;
    memcpy(bytes->data, text.data, text.size);
    return bytes;
}

bool head__late_add(struct head *head, uint32_t ordinal, const struct wal_late *sample)
{
    struct head_late *late = &head->late;
    if (head__late_has_time(head, ordinal, sample->t_ms))
        return false;
    struct late_entry entry = {
        .t_ms = sample->t_ms,
        .start_t_ms = sample->start_t_ms,
        .number = sample->number,
        .value = sample->value,
        .histogram = copy_bytes(sample->histogram),
    };
    run_append(run_with_room(head, slot_of(head, ordinal), &entry), &entry);
    if (late->sample_count++ == 0) {
        late->min_t_ms = sample->t_ms;
        late->max_t_ms = sample->t_ms;
    }
    if (sample->t_ms < late->min_t_ms)
        late->min_t_ms = sample->t_ms;
    if (sample->t_ms > late->max_t_ms)
        late->max_t_ms = sample->t_ms;
    return true;
}

/* ---- samples that leave ---- */

/* What is to go: by number, or by time. */
struct leaving {
    uint64_t number; /* up to this one; 0: all numbers of the times below */
    int64_t min_t_ms;
    int64_t max_t_ms;
};

static bool leaves(const struct late_entry *entry, const struct leaving *leaving)
{
    if (leaving->number > 0)
        return entry->number <= leaving->number;
    return entry->t_ms >= leaving->min_t_ms && entry->t_ms <= leaving->max_t_ms;
}

static uint32_t count_leaving(const struct late_run *run, const struct leaving *leaving)
{
    uint32_t count = 0;
    for (; run != NULL; run = run->older) {
        for (uint32_t i = 0; i < run_count(run); i++) {
            struct late_entry entry = head__late_entry(run, i);
            count += leaves(&entry, leaving);
        }
    }
    return count;
}

/* The run without what leaves, its older ones likewise; NULL when nothing stays. */
static struct late_run *run_without(struct head *head, struct late_run *run,
                                    const struct leaving *leaving)
{
    struct late_run *kept = NULL;
    struct late_run *newer = NULL;
    for (struct late_run *older; run != NULL; run = older) {
        older = run->older;
        uint32_t count = run_count(run);
        struct late_run *copy = run_create(count, run->has_extras, run->first_number, NULL);
        for (uint32_t i = 0; i < count; i++) {
            struct late_entry entry = head__late_entry(run, i);
            if (!leaves(&entry, leaving))
                run_append(copy, &entry);
            else if (entry.histogram != NULL)
                retire_data(head, entry.histogram);
        }
        retire_data(head, run);
        if (run_count(copy) == 0) {
            mem_free(MEM_HEAD_DATA, copy);
            continue;
        }
        if (newer == NULL)
            kept = copy;
        else
            newer->older = copy;
        newer = copy;
    }
    return kept;
}

static void remove_leaving(struct head *head, late_slot *slot, const struct leaving *leaving)
{
    struct late_run *run = atomic_load_explicit(slot, memory_order_relaxed);
    uint32_t count = count_leaving(run, leaving);
    if (count == 0)
        return;
    struct late_run *kept = run_without(head, run, leaving);
    atomic_store_explicit(slot, kept, memory_order_release);
    head->series_changed = head->series_changed || kept == NULL;
    head->late.sample_count -= count;
}

void head__late_delete(struct head *head, uint32_t ordinal, int64_t min_t_ms, int64_t max_t_ms)
{
    if (head__late_run(head, ordinal) == NULL)
        return;
    struct leaving leaving = {.min_t_ms = min_t_ms, .max_t_ms = max_t_ms};
    remove_leaving(head, slot_of(head, ordinal), &leaving);
}

static void free_page(void *owner, void *page, size_t size)
{
    (void)owner;
    (void)size;
    mem_free(MEM_HEAD, page);
}

void head__late_forget(struct head *head, uint64_t number)
{
    late_page *pages = atomic_load_explicit(&head->late.pages, memory_order_relaxed);
    struct leaving leaving = {.number = number};
    for (uint32_t i = 0; pages != NULL && number > 0 && i < SERIES_PAGES_MAX; i++) {
        late_slot *page = atomic_load_explicit(&pages[i], memory_order_relaxed);
        bool empty = true;
        for (uint32_t j = 0; page != NULL && j < SERIES_PAGE_SIZE; j++) {
            remove_leaving(head, &page[j], &leaving);
            empty &= atomic_load_explicit(&page[j], memory_order_relaxed) == NULL;
        }
        if (page != NULL && empty) {
            atomic_store_explicit(&pages[i], NULL, memory_order_release);
            head__retire(head, free_page, NULL, (void *)page, 0);
        }
    }
}

bool head__late_newest(const struct head *head, uint32_t ordinal, int64_t min_t_ms,
                       int64_t max_t_ms, int64_t *newest_t_ms)
{
    bool found = false;
    for (const struct late_run *run = head__late_run(head, ordinal); run != NULL;
         run = run->older) {
        for (uint32_t i = 0; i < run_count(run); i++) {
            int64_t t_ms = head__late_samples(run)[i].t_ms;
            if (t_ms < min_t_ms || t_ms > max_t_ms || (found && t_ms <= *newest_t_ms))
                continue;
            *newest_t_ms = t_ms;
            found = true;
        }
    }
    return found;
}

static void encode_run(const struct head *head, uint32_t ordinal, const struct late_run *run,
                       struct strbuf *body)
{
    struct wal_late samples[LATE_RUN_ENTRIES_MAX];
    uint32_t count = run_count(run);
    for (uint32_t i = 0; i < count; i++) {
        struct late_entry entry = head__late_entry(run, i);
        samples[i] = (struct wal_late){
            .number = entry.number,
            .ref = head__ref(head, ordinal),
            .t_ms = entry.t_ms,
            .start_t_ms = entry.start_t_ms,
            .value = entry.value,
        };
        if (entry.histogram != NULL)
            samples[i].histogram = str_from(entry.histogram->data, entry.histogram->size);
    }
    wal_encode_late(body, samples, count);
}

void head__late_encode(const struct head *head, uint32_t ordinal, struct strbuf *body)
{
    const struct late_run **runs = NULL;
    uint32_t count = 0, capacity = 0;
    for (const struct late_run *run = head__late_run(head, ordinal); run != NULL; run = run->older)
        VEC_PUSH(MEM_HEAD, runs, count, capacity, run);
    /* Oldest first: of samples at one time the first one counts. */
    while (count > 0)
        encode_run(head, ordinal, runs[--count], body);
    mem_free(MEM_HEAD, (void *)runs);
}

/* ---- after a flush ---- */

err_t head_late_finish_flush(struct head *head, uint64_t late_to, struct strbuf *why)
{
    err_t err = OK;
    mutex_lock(&head->write_lock);
    if (head->wal != NULL) {
        uint32_t segment;
        err = wal_begin(head->wal, &segment, why);
        strbuf_clear(&head->body);
        wal_encode_late_flushed(&head->body, late_to);
        if (err == OK)
            err = wal_append(head->wal, &head->body, INT64_MIN, why);
    }
    if (err == OK) {
        mutex_lock(&head->epochs.lock);
        head->epochs.late_flushed = late_to;
        head->late.pending_epoch = head->epochs.epoch;
        mutex_unlock(&head->epochs.lock);
        head->late.pending_number = late_to;
        head->late.pending = true;
    }
    mutex_unlock(&head->write_lock);
    return err;
}

void head_late_drop(struct head *head)
{
    mutex_lock(&head->write_lock);
    if (head->late.pending && !head__readers_before(head, head->late.pending_epoch)) {
        head->late.pending = false;
        head__late_forget(head, head->late.pending_number);
        head__publish_locked(head, head->sequence);
    }
    mutex_unlock(&head->write_lock);
}

void head__late_free_all(struct head *head)
{
    late_page *pages = atomic_load_explicit(&head->late.pages, memory_order_relaxed);
    for (uint32_t i = 0; pages != NULL && i < SERIES_PAGES_MAX; i++) {
        late_slot *page = atomic_load_explicit(&pages[i], memory_order_relaxed);
        for (uint32_t j = 0; page != NULL && j < SERIES_PAGE_SIZE; j++) {
            struct late_run *run = atomic_load_explicit(&page[j], memory_order_relaxed);
            for (struct late_run *older; run != NULL; run = older) {
                older = run->older;
                for (uint32_t k = 0; run->has_extras && k < run_count(run); k++)
                    mem_free(MEM_HEAD_DATA, head__late_extras(run)[k].histogram);
                mem_free(MEM_HEAD_DATA, run);
            }
        }
        mem_free(MEM_HEAD, (void *)page);
    }
    mem_free(MEM_HEAD, (void *)pages);
}
