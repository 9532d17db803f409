#include <string.h>

#include "eval.h"

uint32_t bits__count(const uint64_t *bits, uint32_t steps)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < bits__words(steps); i++)
        count += (uint32_t)__builtin_popcountll(bits[i]);
    return count;
}

void bits__fill(uint64_t *bits, uint32_t steps)
{
    uint32_t words = bits__words(steps);
    memset(bits, 0xff, words * sizeof *bits);
    if (steps % 64 != 0)
        bits[words - 1] = (UINT64_C(1) << (steps % 64)) - 1;
}

bool bits__any(const uint64_t *bits, uint32_t steps)
{
    for (uint32_t i = 0; i < bits__words(steps); i++) {
        if (bits[i] != 0)
            return true;
    }
    return false;
}

bool bits__overlap(const uint64_t *a, const uint64_t *b, uint32_t steps)
{
    for (uint32_t i = 0; i < bits__words(steps); i++) {
        if ((a[i] & b[i]) != 0)
            return true;
    }
    return false;
}

void row__init(struct row *row, struct arena *arena, uint32_t steps)
{
    *row = (struct row){.labels = {NULL, 0}};
    row->values = arena_alloc(arena, steps * sizeof *row->values);
    row->present = arena_calloc(arena, bits__words(steps), sizeof *row->present);
}

void row__set_histogram(struct row *row, struct arena *arena, uint32_t steps, uint32_t step,
                        const struct histogram *h)
{
    if (row->histograms == NULL)
        row->histograms = arena_calloc(arena, steps, sizeof *row->histograms);
    row->histograms[step] = h;
    row->values[step] = 0;
    bits__set(row->present, step);
}

void row_set__init(struct row_set *set, struct eval *eval, uint32_t steps)
{
    *set = (struct row_set){.arena = eval__arena(eval), .steps = steps};
    eval__table(eval, &set->index);
}

static struct row *push(struct row_set *set, const struct row *row)
{
    if (set->count == set->capacity) {
        uint32_t capacity = set->capacity == 0 ? 16 : set->capacity * 2;
        struct row *items = arena_alloc(set->arena, capacity * sizeof *items);
        if (set->count > 0)
            memcpy(items, set->items, set->count * sizeof *items);
        set->items = items;
        set->capacity = capacity;
    }
    set->items[set->count] = *row;
    return &set->items[set->count++];
}

static bool row_equal(const void *owner, uint32_t item, const void *key)
{
    const struct row_set *set = owner;
    return labels_equal(set->items[item].labels, *(const struct labels *)key);
}

struct row *row_set__get(struct row_set *set, struct labels labels, bool *created)
{
    uint64_t hash = labels_hash(labels);
    uint32_t at = htable_find(&set->index, hash, row_equal, set, &labels);
    *created = at == HTABLE_NONE;
    if (!*created)
        return &set->items[at];
    struct row row;
    row__init(&row, set->arena, set->steps);
    row.labels = labels;
    htable_insert(&set->index, hash, set->count);
    return push(set, &row);
}

static void copy_cells(struct row_set *set, struct row *to, const struct row *from)
{
    for (uint32_t i = 0; i < set->steps; i++) {
        if (!bits__get(from->present, i))
            continue;
        const struct histogram *h = row__histogram(from, i);
        if (h == NULL)
            row__set(to, i, from->values[i]);
        else if (i > 0 && from->histograms[i - 1] == h && bits__get(from->present, i - 1))
            row__set_histogram(to, set->arena, set->steps, i, to->histograms[i - 1]);
        else
            row__set_histogram(to, set->arena, set->steps, i, histogram_copy(set->arena, h));
    }
}

struct row *row_set__append(struct row_set *set, const struct row *row)
{
    struct row copy;
    row__init(&copy, set->arena, set->steps);
    copy.labels = row->labels;
    copy.drop_name = row->drop_name;
    if (row->histograms == NULL) {
        memcpy(copy.values, row->values, set->steps * sizeof *copy.values);
        memcpy(copy.present, row->present, bits__words(set->steps) * sizeof *copy.present);
    } else {
        copy_cells(set, &copy, row);
    }
    return push(set, &copy);
}

err_t rows__same_labelset(struct strbuf *why)
{
    return err_fail(why, ERR_EXECUTION, "vector cannot contain metrics with the same labelset");
}

err_t row_set__merge(struct row_set *set, const struct row *row, struct strbuf *why)
{
    if (!bits__any(row->present, set->steps))
        return OK;
    uint64_t hash = labels_hash(row->labels);
    uint32_t at = htable_find(&set->index, hash, row_equal, set, &row->labels);
    if (at == HTABLE_NONE) {
        htable_insert(&set->index, hash, set->count);
        row_set__append(set, row);
        return OK;
    }
    struct row *into = &set->items[at];
    if (bits__overlap(into->present, row->present, set->steps))
        return rows__same_labelset(why);
    copy_cells(set, into, row);
    into->drop_name = into->drop_name || row->drop_name;
    return OK;
}

err_t row_set__collect(struct row_set *set, struct op *op, struct strbuf *why)
{
    struct batch batch;
    for (;;) {
        TRY(op__next(op, &batch, why));
        if (batch.count == 0)
            return OK;
        for (uint32_t i = 0; i < batch.count; i++) {
            if (!op->unique)
                TRY(row_set__merge(set, &batch.rows[i], why));
            else if (bits__any(batch.rows[i].present, set->steps))
                row_set__append(set, &batch.rows[i]);
        }
    }
}
