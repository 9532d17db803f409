/* Sums of float histograms (spec promql.md 7.2). */
#include "narthex/model/histogram_math.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "histogram_bounds.h"

void kahan_add(double x, double *sum, double *compensation)
{
    double s = *sum;
    double t = s + x;
    if (isinf(t))
        *compensation = 0;
    else if (fabs(s) >= fabs(x))
        *compensation += (s - t) + x;
    else
        *compensation += (x - t) + s;
    *sum = t;
}

/* ---- lists ---- */

static void list_reserve(struct arena *arena, struct histogram_list *list, uint32_t wanted)
{
    if (wanted <= list->capacity)
        return;
    uint32_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
    while (capacity < wanted)
        capacity *= 2;
    int32_t *index = arena_alloc(arena, capacity * sizeof *index);
    double *count = arena_alloc(arena, capacity * sizeof *count);
    double *compensation = arena_alloc(arena, capacity * sizeof *compensation);
    if (list->size > 0) {
        memcpy(index, list->index, list->size * sizeof *index);
        memcpy(count, list->count, list->size * sizeof *count);
        memcpy(compensation, list->compensation, list->size * sizeof *compensation);
    }
    list->index = index;
    list->count = count;
    list->compensation = compensation;
    list->capacity = capacity;
}

/* Position of the bucket, made with 0 if absent; *hint is where to start looking. */
static uint32_t list_place(struct arena *arena, struct histogram_list *list, int32_t index,
                           uint32_t *hint)
{
    uint32_t at = *hint;
    while (at < list->size && list->index[at] < index)
        at++;
    *hint = at;
    if (at < list->size && list->index[at] == index)
        return at;
    list_reserve(arena, list, list->size + 1);
    uint32_t rest = list->size - at;
    memmove(list->index + at + 1, list->index + at, rest * sizeof *list->index);
    memmove(list->count + at + 1, list->count + at, rest * sizeof *list->count);
    memmove(list->compensation + at + 1, list->compensation + at,
            rest * sizeof *list->compensation);
    list->index[at] = index;
    list->count[at] = 0;
    list->compensation[at] = 0;
    list->size++;
    return at;
}

static void list_init(struct arena *arena, struct histogram_list *list,
                      const struct histogram_side *side)
{
    *list = (struct histogram_list){.size = 0};
    list_reserve(arena, list, side->bucket_count);
    struct side_cursor cursor;
    side_cursor__init(&cursor, side);
    while (side_cursor__next(&cursor)) {
        list->index[list->size] = cursor.index;
        list->count[list->size] = cursor.count;
        list->compensation[list->size++] = 0;
    }
}

/* Maps every index; the mapping keeps the order, so that equal ones are neighbours. */
static void list_remap(struct histogram_list *list, int32_t (*map)(const void *, int32_t),
                       const void *context)
{
    uint32_t size = 0;
    for (uint32_t i = 0; i < list->size; i++) {
        int32_t index = map(context, list->index[i]);
        if (size > 0 && list->index[size - 1] == index) {
            kahan_add(list->count[i], &list->count[size - 1], &list->compensation[size - 1]);
            list->compensation[size - 1] += list->compensation[i];
            continue;
        }
        list->index[size] = index;
        list->count[size] = list->count[i];
        list->compensation[size++] = list->compensation[i];
    }
    list->size = size;
}

static int32_t map_reduced(const void *context, int32_t index)
{
    return histogram__reduced_index(index, *(const int32_t *)context);
}

/* ---- sums ---- */

void histogram_sum_init(struct histogram_sum *sum, struct arena *arena, const struct histogram *h)
{
    assert(h->kind == HISTOGRAM_FLOAT);
    *sum = (struct histogram_sum){
        .arena = arena,
        .hint = h->hint,
        .schema = h->schema,
        .zero_threshold = h->zero_threshold,
        .zero_count = h->zero_count.f,
        .count = h->count.f,
        .sum = h->sum,
        .custom_value_count = h->custom_value_count,
    };
    if (h->custom_value_count > 0) {
        size_t size = h->custom_value_count * sizeof *h->custom_values;
        sum->custom_values = memcpy(arena_alloc(arena, size), h->custom_values, size);
    }
    list_init(arena, &sum->positive, &h->positive);
    list_init(arena, &sum->negative, &h->negative);
}

void histogram_sum_reduce(struct histogram_sum *sum, int32_t schema)
{
    if (sum->schema <= schema)
        return;
    int32_t shift = sum->schema - schema;
    list_remap(&sum->positive, map_reduced, &shift);
    list_remap(&sum->negative, map_reduced, &shift);
    sum->schema = schema;
}

/* ---- the zero bucket ---- */

/* As histogram__zero_count_at, for the buckets of a sum. */
static bool swallow(const struct histogram_sum *sum, const struct histogram_list *list,
                    double *threshold, double *count)
{
    for (uint32_t i = 0; i < list->size; i++) {
        if (histogram_exponential_bound(list->index[i] - 1, sum->schema) >= *threshold)
            return false;
        *count += list->count[i] + list->compensation[i];
        double upper = histogram_exponential_bound(list->index[i], sum->schema);
        if (upper <= *threshold)
            continue;
        if (list->count[i] == 0)
            return false;
        *threshold = upper;
        return true;
    }
    return false;
}

/* Removes what is now in the zero bucket. */
static void list_trim(struct histogram_list *list, int32_t schema, double threshold)
{
    uint32_t gone = 0;
    while (gone < list->size &&
           histogram_exponential_bound(list->index[gone] - 1, schema) < threshold)
        gone++;
    uint32_t rest = list->size - gone;
    if (gone == 0)
        return;
    memmove(list->index, list->index + gone, rest * sizeof *list->index);
    memmove(list->count, list->count + gone, rest * sizeof *list->count);
    memmove(list->compensation, list->compensation + gone, rest * sizeof *list->compensation);
    list->size = rest;
}

static void raise_threshold(struct histogram_sum *sum, double threshold)
{
    double count;
    do {
        count = sum->zero_count;
        swallow(sum, &sum->positive, &threshold, &count);
    } while (swallow(sum, &sum->negative, &threshold, &count));
    sum->zero_count = count;
    sum->zero_threshold = threshold;
    list_trim(&sum->positive, sum->schema, threshold);
    list_trim(&sum->negative, sum->schema, threshold);
}

/* Brings both to one threshold; returns the zero count of h at it. */
static double reconcile_zero_buckets(struct histogram_sum *sum, const struct histogram *h)
{
    double count = h->zero_count.f;
    double threshold = h->zero_threshold;
    while (threshold != sum->zero_threshold) {
        if (sum->zero_threshold > threshold) {
            threshold = sum->zero_threshold;
            count = histogram__zero_count_at(h, &threshold);
        }
        if (threshold > sum->zero_threshold)
            raise_threshold(sum, threshold);
    }
    return count;
}

/* ---- adding ---- */

static bool combine_hints(struct histogram_sum *sum, enum histogram_hint hint)
{
    if (sum->hint == hint)
        return false;
    if (sum->hint == HISTOGRAM_HINT_GAUGE || hint == HISTOGRAM_HINT_GAUGE) {
        sum->hint = HISTOGRAM_HINT_GAUGE;
        return false;
    }
    bool collision = sum->hint != HISTOGRAM_HINT_UNKNOWN && hint != HISTOGRAM_HINT_UNKNOWN;
    sum->hint = HISTOGRAM_HINT_UNKNOWN;
    return collision;
}

static void add_exponential_side(struct histogram_sum *sum, struct histogram_list *list,
                                 const struct histogram *h, const struct histogram_side *side,
                                 double sign)
{
    struct reduced_cursor cursor;
    uint32_t hint = 0;
    reduced_cursor__init(&cursor, side, h->schema, sum->schema, sum->zero_threshold);
    while (reduced_cursor__next(&cursor)) {
        uint32_t at = list_place(sum->arena, list, cursor.index, &hint);
        kahan_add(sign * cursor.count, &list->count[at], &list->compensation[at]);
    }
}

static void add_exponential(struct histogram_sum *sum, const struct histogram *h, double sign)
{
    double zero_count = reconcile_zero_buckets(sum, h);
    kahan_add(sign * zero_count, &sum->zero_count, &sum->zero_compensation);
    histogram_sum_reduce(sum, h->schema);
    add_exponential_side(sum, &sum->positive, h, &h->positive, sign);
    add_exponential_side(sum, &sum->negative, h, &h->negative, sign);
}

struct bound_map {
    const double *from;
    uint32_t from_count;
    const double *to;
    uint32_t to_count;
};

static int32_t map_bound(const void *context, int32_t index)
{
    const struct bound_map *map = context;
    return (int32_t)histogram__find_bound(map->from, map->from_count, index, map->to,
                                          map->to_count);
}

static void drop_empty(struct histogram_list *list)
{
    uint32_t size = 0;
    for (uint32_t i = 0; i < list->size; i++) {
        if (list->count[i] == 0)
            continue;
        list->index[size] = list->index[i];
        list->count[size] = list->count[i];
        list->compensation[size++] = list->compensation[i];
    }
    list->size = size;
}

/* True if the bounds differed: only those that both have remain. */
static bool add_custom(struct histogram_sum *sum, const struct histogram *h, double sign)
{
    struct histogram mine = {.custom_values = sum->custom_values,
                             .custom_value_count = sum->custom_value_count};
    bool same = histogram_same_bounds(&mine, h);
    if (!same) {
        double *common = arena_alloc(sum->arena, (sum->custom_value_count + 1) * sizeof *common);
        uint32_t count = histogram__common_bounds(sum->custom_values, sum->custom_value_count,
                                                  h->custom_values, h->custom_value_count, common);
        struct bound_map map = {sum->custom_values, sum->custom_value_count, common, count};
        list_remap(&sum->positive, map_bound, &map);
        sum->custom_values = common;
        sum->custom_value_count = count;
    }
    struct side_cursor cursor;
    uint32_t hint = 0;
    side_cursor__init(&cursor, &h->positive);
    while (side_cursor__next(&cursor)) {
        int32_t index = cursor.index;
        if (!same)
            index = (int32_t)histogram__find_bound(h->custom_values, h->custom_value_count, index,
                                                   sum->custom_values, sum->custom_value_count);
        uint32_t at = list_place(sum->arena, &sum->positive, index, &hint);
        kahan_add(sign * cursor.count, &sum->positive.count[at], &sum->positive.compensation[at]);
    }
    if (!same)
        drop_empty(&sum->positive);
    return !same;
}

static struct histogram_outcome add_signed(struct histogram_sum *sum, const struct histogram *h,
                                           double sign)
{
    struct histogram_outcome outcome = {false, false, false};
    bool custom = histogram_uses_custom_buckets(h);
    if (custom != (sum->schema == HISTOGRAM_SCHEMA_CUSTOM)) {
        outcome.incompatible = true;
        return outcome;
    }
    outcome.hint_collision = combine_hints(sum, h->hint);
    if (custom)
        outcome.reconciled = add_custom(sum, h, sign);
    else
        add_exponential(sum, h, sign);
    kahan_add(sign * h->count.f, &sum->count, &sum->count_compensation);
    kahan_add(sign * h->sum, &sum->sum, &sum->sum_compensation);
    return outcome;
}

struct histogram_outcome histogram_sum_add(struct histogram_sum *sum, const struct histogram *h)
{
    return add_signed(sum, h, 1);
}

struct histogram_outcome histogram_sum_subtract(struct histogram_sum *sum,
                                                const struct histogram *h)
{
    return add_signed(sum, h, -1);
}

/* ---- scaling ---- */

static void map_list(struct histogram_list *list, double factor, bool divide)
{
    for (uint32_t i = 0; i < list->size; i++) {
        list->count[i] = divide ? list->count[i] / factor : list->count[i] * factor;
        list->compensation[i] =
            divide ? list->compensation[i] / factor : list->compensation[i] * factor;
    }
}

static void map_sum(struct histogram_sum *sum, double factor, bool divide)
{
    double *numbers[] = {&sum->zero_count, &sum->zero_compensation,
                         &sum->count,      &sum->count_compensation,
                         &sum->sum,        &sum->sum_compensation};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        *numbers[i] = divide ? *numbers[i] / factor : *numbers[i] * factor;
    map_list(&sum->positive, factor, divide);
    map_list(&sum->negative, factor, divide);
    if (factor < 0)
        sum->hint = HISTOGRAM_HINT_GAUGE;
}

void histogram_sum_scale(struct histogram_sum *sum, double factor)
{
    map_sum(sum, factor, false);
}

void histogram_sum_divide(struct histogram_sum *sum, double divisor)
{
    if (divisor == 0) {
        /* 0/0 compensations would turn infinities into NaN. */
        sum->zero_count += sum->zero_compensation;
        sum->count += sum->count_compensation;
        sum->sum += sum->sum_compensation;
        sum->zero_count /= divisor;
        sum->count /= divisor;
        sum->sum /= divisor;
        sum->zero_compensation = sum->count_compensation = sum->sum_compensation = 0;
        sum->positive.size = sum->negative.size = 0;
        return;
    }
    map_sum(sum, divisor, true);
}

/* ---- averages ---- */

static bool side_is_large(const struct histogram_side *side, double limit)
{
    for (uint32_t i = 0; i < side->bucket_count; i++) {
        if (!(fabs(side->counts[i].f) < limit))
            return true;
    }
    return false;
}

static bool list_is_large(const struct histogram_list *list, double limit)
{
    for (uint32_t i = 0; i < list->size; i++) {
        if (!(fabs(list->count[i]) < limit))
            return true;
    }
    return false;
}

/* Whether adding could overflow: cheap and never wrong in the other direction. */
static bool may_overflow(const struct histogram_sum *sum, const struct histogram *h)
{
    double limit = DBL_MAX / 4;
    return !(fabs(sum->count) < limit) || !(fabs(sum->sum) < limit) ||
           !(fabs(sum->zero_count) < limit) || !(fabs(h->count.f) < limit) ||
           !(fabs(h->sum) < limit) || !(fabs(h->zero_count.f) < limit) ||
           list_is_large(&sum->positive, limit) || list_is_large(&sum->negative, limit) ||
           side_is_large(&h->positive, limit) || side_is_large(&h->negative, limit);
}

static bool list_overflowed(const struct histogram_list *list)
{
    for (uint32_t i = 0; i < list->size; i++) {
        if (isinf(list->count[i]))
            return true;
    }
    return false;
}

static bool sum_overflowed(const struct histogram_sum *sum)
{
    return isinf(sum->count) || isinf(sum->sum) || isinf(sum->zero_count) ||
           list_overflowed(&sum->positive) || list_overflowed(&sum->negative);
}

static void list_copy(struct arena *arena, struct histogram_list *to,
                      const struct histogram_list *from)
{
    *to = (struct histogram_list){.size = 0};
    list_reserve(arena, to, from->size);
    if (from->size > 0) {
        memcpy(to->index, from->index, from->size * sizeof *to->index);
        memcpy(to->count, from->count, from->size * sizeof *to->count);
        memcpy(to->compensation, from->compensation, from->size * sizeof *to->compensation);
    }
    to->size = from->size;
}

struct histogram_outcome histogram_average_add(struct histogram_sum *sum, const struct histogram *h,
                                               double n, bool *incremental)
{
    if (!*incremental && !may_overflow(sum, h))
        return histogram_sum_add(sum, h);
    if (!*incremental) {
        struct histogram_sum trial = *sum;
        list_copy(sum->arena, &trial.positive, &sum->positive);
        list_copy(sum->arena, &trial.negative, &sum->negative);
        struct histogram_outcome outcome = histogram_sum_add(&trial, h);
        if (outcome.incompatible || !sum_overflowed(&trial)) {
            *sum = trial;
            return outcome;
        }
        *incremental = true;
        histogram_sum_divide(sum, n - 1);
    }
    histogram_sum_scale(sum, (n - 1) / n);
    return histogram_sum_add(sum, histogram_divide(sum->arena, h, n));
}

/* ---- back to plain histograms ---- */

static struct histogram_side list_side(const struct histogram_list *list, struct arena *arena,
                                       bool compact)
{
    struct histogram_side side = {NULL, NULL, 0, 0};
    if (list->size == 0)
        return side;
    struct histogram_span *spans = arena_alloc(arena, list->size * sizeof *spans);
    union histogram_count *counts = arena_alloc(arena, list->size * sizeof *counts);
    int32_t end = 0; /* index after the last bucket taken */
    for (uint32_t i = 0; i < list->size; i++) {
        double count = list->count[i] + list->compensation[i];
        if (compact && count == 0)
            continue;
        if (side.span_count == 0 || list->index[i] != end)
            spans[side.span_count++] = (struct histogram_span){list->index[i] - end, 0};
        spans[side.span_count - 1].length++;
        counts[side.bucket_count++].f = count;
        end = list->index[i] + 1;
    }
    side.spans = spans;
    side.counts = counts;
    return side;
}

struct histogram *histogram_sum_finish(const struct histogram_sum *sum, struct arena *arena,
                                       bool compact)
{
    struct histogram *h = ARENA_NEW(arena, struct histogram);
    h->kind = HISTOGRAM_FLOAT;
    h->hint = sum->hint;
    h->schema = sum->schema;
    h->zero_threshold = sum->zero_threshold;
    h->zero_count.f = sum->zero_count + sum->zero_compensation;
    h->count.f = sum->count + sum->count_compensation;
    h->sum = sum->sum + sum->sum_compensation;
    h->positive = list_side(&sum->positive, arena, compact);
    h->negative = list_side(&sum->negative, arena, compact);
    h->custom_value_count = sum->custom_value_count;
    if (sum->custom_value_count > 0) {
        size_t size = sum->custom_value_count * sizeof *sum->custom_values;
        h->custom_values = memcpy(arena_alloc(arena, size), sum->custom_values, size);
    }
    return h;
}

/* ---- one operation ---- */

struct histogram *histogram_add(struct arena *arena, const struct histogram *a,
                                const struct histogram *b, struct histogram_outcome *outcome)
{
    struct histogram_sum sum;
    histogram_sum_init(&sum, arena, a);
    *outcome = histogram_sum_add(&sum, b);
    return histogram_sum_finish(&sum, arena, true);
}

struct histogram *histogram_subtract(struct arena *arena, const struct histogram *a,
                                     const struct histogram *b, struct histogram_outcome *outcome)
{
    struct histogram_sum sum;
    histogram_sum_init(&sum, arena, a);
    *outcome = histogram_sum_subtract(&sum, b);
    return histogram_sum_finish(&sum, arena, true);
}

struct histogram *histogram_multiply(struct arena *arena, const struct histogram *h, double factor)
{
    struct histogram_sum sum;
    histogram_sum_init(&sum, arena, h);
    histogram_sum_scale(&sum, factor);
    return histogram_sum_finish(&sum, arena, false);
}

struct histogram *histogram_divide(struct arena *arena, const struct histogram *h, double divisor)
{
    struct histogram_sum sum;
    histogram_sum_init(&sum, arena, h);
    histogram_sum_divide(&sum, divisor);
    return histogram_sum_finish(&sum, arena, false);
}

struct histogram *histogram_compact(struct arena *arena, const struct histogram *h)
{
    struct histogram_sum sum;
    histogram_sum_init(&sum, arena, h);
    return histogram_sum_finish(&sum, arena, true);
}
