#include "synthetic_starts.h"

#include <math.h>
#include <string.h>

#include "narthex/base/mem.h"
#include "narthex/base/vec.h"
#include "narthex/model/histogram_math.h"

struct synthetic_starts *synthetic_starts_create(void)
{
    struct synthetic_starts *starts = MEM_NEW(MEM_SCRAPE, struct synthetic_starts);
    htable_init(&starts->table, MEM_SCRAPE);
    arena_init(&starts->arena, MEM_SCRAPE, SIZE_MAX);
    return starts;
}

static void forget_histograms(struct synthetic_start *start)
{
    mem_free(MEM_SCRAPE, start->last_h);
    mem_free(MEM_SCRAPE, start->base_h);
    start->last_h = NULL;
    start->base_h = NULL;
}

void synthetic_starts_destroy(struct synthetic_starts *starts)
{
    if (starts == NULL)
        return;
    for (uint32_t i = 0; i < starts->count; i++)
        forget_histograms(&starts->items[i]);
    mem_free(MEM_SCRAPE, starts->items);
    htable_deinit(&starts->table);
    arena_deinit(&starts->arena);
    mem_free(MEM_SCRAPE, starts);
}

/* ---- by key ---- */

static bool same_key(const void *owner, uint32_t item, const void *key)
{
    const struct synthetic_starts *starts = owner;
    const struct synthetic_start *wanted = key;
    return starts->items[item].key_hash == wanted->key_hash &&
           starts->items[item].key_size == wanted->key_size;
}

struct synthetic_start *synthetic_starts_get(struct synthetic_starts *starts, uint64_t key_hash,
                                             uint32_t key_size, uint32_t scrape, bool *is_new)
{
    struct synthetic_start made = {.key_hash = key_hash, .key_size = key_size};
    uint32_t item = htable_find(&starts->table, key_hash, same_key, starts, &made);
    *is_new = item == HTABLE_NONE;
    if (*is_new) {
        item = starts->count;
        VEC_PUSH(MEM_SCRAPE, starts->items, starts->count, starts->capacity, made);
        htable_insert(&starts->table, key_hash, item);
    }
    struct synthetic_start *start = &starts->items[item];
    starts->seen_count += start->seen != scrape;
    start->seen = scrape;
    return start;
}

void synthetic_starts_end(struct synthetic_starts *starts, uint32_t scrape)
{
    bool complete = starts->seen_count == starts->count;
    starts->seen_count = 0;
    if (complete)
        return;
    uint32_t kept = 0;
    htable_clear(&starts->table);
    for (uint32_t i = 0; i < starts->count; i++) {
        struct synthetic_start *start = &starts->items[i];
        if (start->seen != scrape) {
            forget_histograms(start);
            continue;
        }
        htable_insert(&starts->table, start->key_hash, kept);
        starts->items[kept++] = *start;
    }
    starts->count = kept;
}

/* ---- samples ---- */

static void set_kind(struct synthetic_start *start, bool of_histograms)
{
    if (start->of_histograms == of_histograms)
        return;
    forget_histograms(start);
    start->start_ms = 0;
    start->of_histograms = of_histograms;
}

bool synthetic_start_value(struct synthetic_start *start, int64_t t_ms, double *value)
{
    set_kind(start, false);
    if (isnan(*value))
        return true;
    if (start->start_ms == 0) {
        start->start_ms = t_ms;
        start->last = *value;
        start->base = *value;
        return false;
    }
    /* The first sample over again: its body is read twice, or it has a time of its own. */
    if (t_ms <= start->start_ms)
        return false;
    if (*value < start->last) {
        start->start_ms = t_ms - 1;
        start->base = 0;
    }
    start->last = *value;
    *value -= start->base;
    return true;
}

static size_t side_bytes(const struct histogram_side *side)
{
    return side->bucket_count * sizeof *side->counts + side->span_count * sizeof *side->spans;
}

/* Moves `size` bytes to *at. */
static void *put(char **at, const void *data, size_t size)
{
    void *copy = *at;
    if (size > 0)
        memcpy(copy, data, size);
    *at += size;
    return copy;
}

/* A copy in one block, in place of an old one. */
static struct histogram *keep(struct histogram *old, const struct histogram *h)
{
    size_t values_bytes = h->custom_value_count * sizeof *h->custom_values;
    struct histogram *copy =
        mem_realloc(MEM_SCRAPE, old,
                    sizeof *h + values_bytes + side_bytes(&h->positive) + side_bytes(&h->negative));
    char *at = (char *)(copy + 1);
    *copy = *h;
    copy->custom_values = put(&at, h->custom_values, values_bytes);
    copy->positive.counts =
        put(&at, h->positive.counts, h->positive.bucket_count * sizeof *h->positive.counts);
    copy->negative.counts =
        put(&at, h->negative.counts, h->negative.bucket_count * sizeof *h->negative.counts);
    copy->positive.spans =
        put(&at, h->positive.spans, h->positive.span_count * sizeof *h->positive.spans);
    copy->negative.spans =
        put(&at, h->negative.spans, h->negative.span_count * sizeof *h->negative.spans);
    return copy;
}

static struct histogram_side side_to_integer(struct arena *arena, const struct histogram_side *side)
{
    struct histogram_side made = *side;
    union histogram_count *counts =
        ARENA_NEW_ARRAY(arena, union histogram_count, side->bucket_count + 1);
    for (uint32_t i = 0; i < side->bucket_count; i++)
        counts[i].i = (uint64_t)side->counts[i].f;
    made.counts = counts;
    return made;
}

/* Back from floats: differences of whole numbers are whole below 2^53. */
static void to_integer(struct arena *arena, struct histogram *h)
{
    h->kind = HISTOGRAM_INTEGER;
    h->count.i = (uint64_t)h->count.f;
    h->zero_count.i = (uint64_t)h->zero_count.f;
    h->positive = side_to_integer(arena, &h->positive);
    h->negative = side_to_integer(arena, &h->negative);
}

bool synthetic_start_histogram(struct synthetic_starts *starts, struct synthetic_start *start,
                               int64_t t_ms, const struct histogram **histogram)
{
    const struct histogram *given = *histogram;
    struct arena *arena = &starts->arena;
    arena_deinit(arena);
    const struct histogram *now =
        given->kind == HISTOGRAM_FLOAT ? given : histogram_to_float(arena, given);
    set_kind(start, true);
    if (start->start_ms == 0) {
        start->start_ms = t_ms;
        start->last_h = keep(start->last_h, now);
        start->base_h = keep(start->base_h, now);
        return false;
    }
    if (t_ms <= start->start_ms)
        return false;
    bool reset = histogram_detect_reset(now, start->last_h);
    struct histogram *less = NULL;
    if (!reset && start->base_h != NULL) {
        struct histogram_outcome outcome;
        less = histogram_subtract(arena, now, start->base_h, &outcome);
        reset = outcome.incompatible;
    }
    start->last_h = keep(start->last_h, now);
    if (reset) {
        start->start_ms = t_ms - 1;
        mem_free(MEM_SCRAPE, start->base_h);
        start->base_h = NULL;
    }
    if (start->base_h == NULL)
        return true;
    less->hint = given->hint;
    if (given->kind == HISTOGRAM_INTEGER)
        to_integer(arena, less);
    *histogram = less;
    return true;
}
