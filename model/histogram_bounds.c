#include "histogram_bounds.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <pthread.h>

#include "narthex/base/number.h"

/* ---- bounds ---- */

enum { FRACTIONS_MAX = 1 << HISTOGRAM_SCHEMA_MAX };

/* fractions[s][i] = 2^(i / 2^s) / 2; built by the rule that gives Prometheus' constants to the bit:
 * each table interleaves the one before with its products by 2^(2^-s). */
static double fractions[HISTOGRAM_SCHEMA_MAX + 1][FRACTIONS_MAX];
static pthread_once_t fractions_once = PTHREAD_ONCE_INIT;

static void build_fractions(void)
{
    static const double factors[HISTOGRAM_SCHEMA_MAX + 1] = {
        0,
        1.414213562373095, /* one unit below the square root, as in the original */
        1.189207115002721,
        1.0905077326652577,
        1.0442737824274138,
        1.0218971486541166,
        1.0108892860517005,
        1.0054299011128027,
        1.0027112750502025,
    };
    fractions[0][0] = 0.5;
    for (int s = 1; s <= HISTOGRAM_SCHEMA_MAX; s++) {
        for (int k = 0; k < 1 << (s - 1); k++) {
            fractions[s][2 * k] = fractions[s - 1][k];
            fractions[s][2 * k + 1] = fractions[s - 1][k] * factors[s];
        }
    }
}

double histogram_exponential_bound(int32_t index, int32_t schema)
{
    if (schema < 0) {
        int64_t exponent = (int64_t)index * (INT64_C(1) << -schema);
        if (exponent == 1024)
            return DBL_MAX;
        return ldexp(1, exponent > 2000 ? 2000 : exponent < -2000 ? -2000 : (int)exponent);
    }
    pthread_once(&fractions_once, build_fractions);
    assert(schema <= HISTOGRAM_SCHEMA_MAX);
    double fraction = fractions[schema][index & ((1 << schema) - 1)];
    int exponent = (index >> schema) + 1;
    if (fraction == 0.5 && exponent == 1025)
        return DBL_MAX;
    return ldexp(fraction, exponent);
}

/* ---- walking ---- */

void side_cursor__init(struct side_cursor *cursor, const struct histogram_side *side)
{
    *cursor = (struct side_cursor){.side = side};
    if (side->span_count > 0)
        cursor->next_index = side->spans[0].offset;
}

bool side_cursor__next(struct side_cursor *cursor)
{
    const struct histogram_side *side = cursor->side;
    while (cursor->span < side->span_count && cursor->within == side->spans[cursor->span].length) {
        cursor->within = 0;
        cursor->span++;
        if (cursor->span < side->span_count)
            cursor->next_index += side->spans[cursor->span].offset;
    }
    if (cursor->span >= side->span_count || cursor->at >= side->bucket_count)
        return false;
    cursor->index = cursor->next_index++;
    cursor->count = side->counts[cursor->at++].f;
    cursor->within++;
    return true;
}

void reduced_cursor__init(struct reduced_cursor *cursor, const struct histogram_side *side,
                          int32_t from_schema, int32_t schema, double zero_threshold)
{
    *cursor = (struct reduced_cursor){
        .shift = from_schema - schema, .schema = schema, .zero_threshold = zero_threshold};
    side_cursor__init(&cursor->side, side);
    cursor->pending = side_cursor__next(&cursor->side);
}

bool reduced_cursor__next(struct reduced_cursor *cursor)
{
    while (cursor->pending) {
        int32_t index = histogram__reduced_index(cursor->side.index, cursor->shift);
        double count = 0;
        do {
            count += cursor->side.count;
            cursor->pending = side_cursor__next(&cursor->side);
        } while (cursor->pending &&
                 histogram__reduced_index(cursor->side.index, cursor->shift) == index);
        if (cursor->schema != HISTOGRAM_SCHEMA_CUSTOM &&
            histogram_exponential_bound(index, cursor->schema) <= cursor->zero_threshold)
            continue;
        cursor->index = index;
        cursor->count = count;
        return true;
    }
    return false;
}

/* Adds to *count what a side has below *threshold; true if the threshold was raised. */
static bool swallow(const struct histogram *h, const struct histogram_side *side, double *threshold,
                    double *count)
{
    struct side_cursor cursor;
    side_cursor__init(&cursor, side);
    while (side_cursor__next(&cursor)) {
        if (histogram_exponential_bound(cursor.index - 1, h->schema) >= *threshold)
            return false;
        *count += cursor.count;
        double upper = histogram_exponential_bound(cursor.index, h->schema);
        if (upper <= *threshold)
            continue;
        if (cursor.count == 0)
            return false;
        *threshold = upper;
        return true;
    }
    return false;
}

double histogram__zero_count_at(const struct histogram *h, double *threshold)
{
    for (;;) {
        double count = h->zero_count.f;
        swallow(h, &h->positive, threshold, &count);
        if (!swallow(h, &h->negative, threshold, &count))
            return count;
    }
}

uint32_t histogram__common_bounds(const double *a, uint32_t a_count, const double *b,
                                  uint32_t b_count, double *common)
{
    uint32_t count = 0;
    uint32_t i = 0;
    uint32_t k = 0;
    while (i < a_count && k < b_count) {
        if (a[i] == b[k]) {
            common[count++] = a[i];
            i++;
            k++;
        } else if (a[i] < b[k]) {
            i++;
        } else {
            k++;
        }
    }
    return count;
}

uint32_t histogram__find_bound(const double *from, uint32_t from_count, int32_t index,
                               const double *bounds, uint32_t bound_count)
{
    if (index < 0 || (uint32_t)index >= from_count)
        return bound_count;
    uint32_t at = 0;
    while (at < bound_count && bounds[at] < from[index])
        at++;
    return at;
}

/* ---- all buckets ---- */

static struct histogram_bucket custom_bucket(const struct histogram *h, int32_t index, double count)
{
    int32_t last = (int32_t)h->custom_value_count;
    return (struct histogram_bucket){
        .lower = index <= 0 ? -INFINITY : h->custom_values[index - 1 < last ? index - 1 : last - 1],
        .upper = index >= last ? INFINITY : h->custom_values[index],
        .count = count,
        .lower_inclusive = index <= 0,
        .upper_inclusive = true,
    };
}

static struct histogram_bucket positive_bucket(const struct histogram *h, int32_t index,
                                               double count)
{
    if (histogram_uses_custom_buckets(h))
        return custom_bucket(h, index, count);
    double lower = histogram_exponential_bound(index - 1, h->schema);
    return (struct histogram_bucket){
        .lower = lower < h->zero_threshold ? h->zero_threshold : lower,
        .upper = histogram_exponential_bound(index, h->schema),
        .count = count,
        .upper_inclusive = true,
    };
}

static struct histogram_bucket negative_bucket(const struct histogram *h, int32_t index,
                                               double count)
{
    double upper = -histogram_exponential_bound(index - 1, h->schema);
    return (struct histogram_bucket){
        .lower = -histogram_exponential_bound(index, h->schema),
        .upper = upper > -h->zero_threshold ? -h->zero_threshold : upper,
        .count = count,
        .lower_inclusive = true,
    };
}

struct histogram_bucket_list histogram_buckets(struct arena *arena, const struct histogram *h)
{
    uint32_t room = h->negative.bucket_count + h->positive.bucket_count + 1;
    struct histogram_bucket *items = arena_alloc(arena, room * sizeof *items);
    uint32_t count = h->negative.bucket_count;
    struct side_cursor cursor;
    side_cursor__init(&cursor, &h->negative);
    uint32_t at = count;
    while (at > 0 && side_cursor__next(&cursor))
        items[--at] = negative_bucket(h, cursor.index, cursor.count);
    assert(at == 0);
    if (h->zero_count.f > 0)
        items[count++] = (struct histogram_bucket){-h->zero_threshold, h->zero_threshold,
                                                   h->zero_count.f, true, true};
    side_cursor__init(&cursor, &h->positive);
    while (side_cursor__next(&cursor))
        items[count++] = positive_bucket(h, cursor.index, cursor.count);
    return (struct histogram_bucket_list){items, count};
}

static void print_number(struct strbuf *out, double v)
{
    char text[NUMBER_TEXT_MAX];
    strbuf_add(out, text, number_format_general(v, 6, text));
}

void histogram_print(const struct histogram *h, struct strbuf *out)
{
    struct arena arena;
    arena_init(&arena, MEM_MODEL, SIZE_MAX);
    strbuf_add_cstr(out, "{count:");
    print_number(out, h->count.f);
    strbuf_add_cstr(out, ", sum:");
    print_number(out, h->sum);
    struct histogram_bucket_list list = histogram_buckets(&arena, h);
    for (uint32_t i = 0; i < list.count; i++) {
        const struct histogram_bucket *bucket = &list.items[i];
        if (bucket->count == 0)
            continue;
        strbuf_add_cstr(out, ", ");
        strbuf_add_char(out, bucket->lower_inclusive ? '[' : '(');
        print_number(out, bucket->lower);
        strbuf_add_char(out, ',');
        print_number(out, bucket->upper);
        strbuf_add_char(out, bucket->upper_inclusive ? ']' : ')');
        strbuf_add_char(out, ':');
        print_number(out, bucket->count);
    }
    strbuf_add_char(out, '}');
    arena_deinit(&arena);
}
