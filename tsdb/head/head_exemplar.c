/* Exemplars: a ring of the newest ones. */
#include "head_impl.h"

#include <stdlib.h>
#include <string.h>

#include "narthex/base/vec.h"

enum { EXEMPLAR_LABEL_RUNES_MAX = 128 };

struct kept_exemplar {
    series_ref ref; /* 0: empty */
    struct exemplar exemplar;
    void *memory; /* of the labels */
};

struct head_exemplars {
    struct kept_exemplar *ring;
    uint32_t capacity;
    uint64_t added;       /* ever; number n, from 0, is in ring[n % capacity] */
    struct htable newest; /* of every series: ring index */
};

struct head_exemplars *head__exemplars_create(int64_t exemplars_max)
{
    struct head_exemplars *exemplars = MEM_NEW(MEM_HEAD, struct head_exemplars);
    htable_init(&exemplars->newest, MEM_HEAD);
    head__exemplars_resize(exemplars, exemplars_max);
    return exemplars;
}

void head__exemplars_destroy(struct head_exemplars *exemplars)
{
    for (uint32_t i = 0; i < exemplars->capacity; i++)
        mem_free(MEM_HEAD, exemplars->ring[i].memory);
    mem_free(MEM_HEAD, exemplars->ring);
    htable_deinit(&exemplars->newest);
    mem_free(MEM_HEAD, exemplars);
}

static bool is_newest_of(const void *owner, uint32_t item, const void *key)
{
    const struct head_exemplars *exemplars = owner;
    return exemplars->ring[item].ref == *(const series_ref *)key;
}

static uint32_t find_newest(const struct head_exemplars *exemplars, series_ref ref)
{
    return htable_find(&exemplars->newest, hash_mix(0, ref), is_newest_of, exemplars, &ref);
}

static size_t count_runes(struct str s)
{
    size_t count = 0;
    for (size_t i = 0; i < s.size; i++)
        count += ((uint8_t)s.data[i] & 0xc0) != 0x80;
    return count;
}

err_t head__exemplar_judge(const struct head_exemplars *exemplars, series_ref ref,
                           const struct exemplar *exemplar)
{
    if (exemplars->capacity == 0)
        return ERR_UNAVAILABLE;
    size_t runes = 0;
    for (uint32_t i = 0; i < exemplar->labels.count; i++)
        runes += count_runes(exemplar->labels.items[i].name) +
                 count_runes(exemplar->labels.items[i].value);
    if (runes > EXEMPLAR_LABEL_RUNES_MAX)
        return ERR_INVALID;
    uint32_t item = find_newest(exemplars, ref);
    if (item == HTABLE_NONE)
        return OK;
    const struct exemplar *last = &exemplars->ring[item].exemplar;
    if (exemplar->t_ms > last->t_ms)
        return OK;
    bool same = exemplar->t_ms == last->t_ms &&
                double_bits(exemplar->value) == double_bits(last->value) &&
                labels_equal(exemplar->labels, last->labels);
    return same ? ERR_DUPLICATE : ERR_OUT_OF_ORDER;
}

/* Labels and their strings in one block. */
static void *copy_labels(struct labels labels, struct labels *copy)
{
    size_t size = labels.count * sizeof(struct label);
    for (uint32_t i = 0; i < labels.count; i++)
        size += labels.items[i].name.size + labels.items[i].value.size;
    struct label *items = mem_alloc(MEM_HEAD, size);
    char *at = (char *)(items + labels.count);
    for (uint32_t i = 0; i < labels.count; i++) {
        struct str parts[2] = {labels.items[i].name, labels.items[i].value};
        for (int j = 0; j < 2; j++) {
            if (parts[j].size > 0)
                memcpy(at, parts[j].data, parts[j].size);
            parts[j].data = at;
            at += parts[j].size;
        }
        items[i] = (struct label){parts[0], parts[1]};
    }
    *copy = (struct labels){items, labels.count};
    return items;
}

void head__exemplar_add(struct head_exemplars *exemplars, series_ref ref,
                        const struct exemplar *exemplar)
{
    /* Judged when it was staged; another commit may have come first. */
    if (head__exemplar_judge(exemplars, ref, exemplar) != OK)
        return;
    uint32_t item = (uint32_t)(exemplars->added++ % exemplars->capacity);
    struct kept_exemplar *kept = &exemplars->ring[item];
    if (kept->ref != 0) {
        htable_remove(&exemplars->newest, hash_mix(0, kept->ref), item);
        mem_free(MEM_HEAD, kept->memory);
    }
    uint32_t last = find_newest(exemplars, ref);
    if (last != HTABLE_NONE)
        htable_remove(&exemplars->newest, hash_mix(0, ref), last);
    kept->ref = ref;
    kept->exemplar = *exemplar;
    kept->memory = copy_labels(exemplar->labels, &kept->exemplar.labels);
    htable_insert(&exemplars->newest, hash_mix(0, ref), item);
}

/* Number of the oldest one that is kept. */
static uint64_t oldest(const struct head_exemplars *exemplars)
{
    return exemplars->added > exemplars->capacity ? exemplars->added - exemplars->capacity : 0;
}

static struct kept_exemplar *numbered(const struct head_exemplars *exemplars, uint64_t number)
{
    return &exemplars->ring[number % exemplars->capacity];
}

void head__exemplars_resize(struct head_exemplars *exemplars, int64_t exemplars_max)
{
    uint32_t capacity = exemplars_max <= 0               ? 0
                        : exemplars_max > UINT32_MAX / 2 ? UINT32_MAX / 2
                                                         : (uint32_t)exemplars_max;
    if (capacity == exemplars->capacity)
        return;
    struct head_exemplars old = *exemplars;
    exemplars->ring = MEM_NEW_ARRAY(MEM_HEAD, struct kept_exemplar, capacity);
    exemplars->capacity = capacity;
    exemplars->added = 0;
    htable_init(&exemplars->newest, MEM_HEAD);
    for (uint64_t i = oldest(&old); i < old.added; i++) {
        struct kept_exemplar *kept = numbered(&old, i);
        if (capacity > 0)
            head__exemplar_add(exemplars, kept->ref, &kept->exemplar);
        mem_free(MEM_HEAD, kept->memory);
    }
    mem_free(MEM_HEAD, old.ring);
    htable_deinit(&old.newest);
}

uint64_t head__exemplars_encode(const struct head_exemplars *exemplars, uint64_t from,
                                size_t bytes_max, struct strbuf *body)
{
    if (from < oldest(exemplars))
        from = oldest(exemplars);
    for (; from < exemplars->added && body->size < bytes_max; from++) {
        const struct kept_exemplar *kept = numbered(exemplars, from);
        wal_encode_exemplar(body, kept->ref, kept->exemplar.t_ms, kept->exemplar.value,
                            kept->exemplar.labels);
    }
    return from < exemplars->added ? from : UINT64_MAX;
}

/* ---- reading ---- */

static int by_time(const void *a, const void *b)
{
    const struct exemplar *x = a, *y = b;
    return x->t_ms < y->t_ms ? -1 : x->t_ms > y->t_ms;
}

static int by_labels(const void *a, const void *b)
{
    const struct exemplar_series *x = a, *y = b;
    return labels_compare(x->labels, y->labels);
}

struct found_series {
    series_ref ref;
    struct exemplar_series series;
    size_t capacity;
};

struct collector {
    struct found_series *found;
    uint32_t count;
    uint32_t capacity;
    struct htable by_ref;
};

static bool found_is(const void *owner, uint32_t item, const void *key)
{
    const struct collector *collector = owner;
    return collector->found[item].ref == *(const series_ref *)key;
}

static struct found_series *found_of(struct collector *collector, series_ref ref)
{
    uint64_t hash = hash_mix(0, ref);
    uint32_t item = htable_find(&collector->by_ref, hash, found_is, collector, &ref);
    if (item == HTABLE_NONE) {
        item = collector->count;
        VEC_PUSH(MEM_HEAD, collector->found, collector->count, collector->capacity,
                 (struct found_series){.ref = ref});
        htable_insert(&collector->by_ref, hash, item);
    }
    return &collector->found[item];
}

static void collect(struct head *head, int64_t min_t_ms, int64_t max_t_ms,
                    const struct selector *selectors, size_t selector_count, struct arena *arena,
                    struct collector *collector)
{
    const struct head_exemplars *exemplars = head->exemplars;
    for (uint64_t i = oldest(exemplars); i < exemplars->added; i++) {
        const struct kept_exemplar *kept = numbered(exemplars, i);
        const struct head_series *series = head__series_of_ref(head, kept->ref);
        if (series == NULL || kept->exemplar.t_ms < min_t_ms || kept->exemplar.t_ms > max_t_ms)
            continue;
        struct label items[SERIES_LABELS_MAX];
        struct labels labels = head__series_labels(head, series, items);
        bool wanted = false;
        for (size_t j = 0; j < selector_count && !wanted; j++)
            wanted = matchers_match(selectors[j].matchers, selectors[j].count, labels);
        if (!wanted)
            continue;
        struct found_series *found = found_of(collector, kept->ref);
        if (found->series.count == 0)
            found->series.labels = labels_copy(arena, labels);
        struct exemplar copy = kept->exemplar;
        copy.labels = labels_copy(arena, copy.labels);
        VEC_PUSH(MEM_HEAD, found->series.items, found->series.count, found->capacity, copy);
    }
}

err_t head_reader_exemplars(struct head_reader *reader, int64_t min_t_ms, int64_t max_t_ms,
                            const struct selector *selectors, size_t selector_count,
                            struct arena *arena, struct exemplar_list *list, struct strbuf *why)
{
    struct head *head = reader->head;
    struct collector collector = {0};
    htable_init(&collector.by_ref, MEM_HEAD);
    mutex_lock(&head->write_lock);
    collect(head, min_t_ms, max_t_ms, selectors, selector_count, arena, &collector);
    mutex_unlock(&head->write_lock);
    htable_deinit(&collector.by_ref);
    list->count = collector.count;
    list->items = ARENA_NEW_ARRAY(arena, struct exemplar_series, collector.count);
    for (uint32_t i = 0; i < collector.count; i++) {
        struct exemplar_series *series = &collector.found[i].series;
        qsort(series->items, series->count, sizeof *series->items, by_time);
        list->items[i] = *series;
        list->items[i].items = ARENA_NEW_ARRAY(arena, struct exemplar, series->count);
        memcpy(list->items[i].items, series->items, series->count * sizeof *series->items);
        mem_free(MEM_HEAD, series->items);
    }
    mem_free(MEM_HEAD, collector.found);
    qsort(list->items, list->count, sizeof *list->items, by_labels);
    return arena_exhausted(arena)
               ? err_fail(why, ERR_LIMIT, "exemplars need more memory than the query may use")
               : OK;
}
