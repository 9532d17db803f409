#include "narthex/tsdb/column_stats.h"

#include <assert.h>
#include <math.h>

#include "column_decimal.h"

/* Bits of the first byte beyond enum column_stats_flag. */
enum {
    STATS_PUBLIC_FLAGS = COLUMN_STATS_MONOTONE | COLUMN_STATS_SUM_EXACT | COLUMN_STATS_HAS_NAN |
                         COLUMN_STATS_HAS_INF,
    STATS_RESETS = 1 << 4,
    STATS_STALE = 1 << 5,
    STATS_DECIMAL = 1 << 6,
    STATS_KNOWN = (1 << 7) - 1,
};

/* What decides over the flags. */
struct tally {
    double magnitude_sum;
    bool whole; /* integers, none of them -0; told for magnitudes below 2^51 only */
};

static bool is_whole(double v)
{
    double rounded = (v + COLUMN_ROUNDING_MAGIC) - COLUMN_ROUNDING_MAGIC;
    return double_bits(rounded) == double_bits(v);
}

static void add_first(struct column_stats *stats, struct tally *tally, double v)
{
    stats->first = stats->last = stats->min = stats->max = stats->sum = v;
    stats->count = 1;
    tally->magnitude_sum = fabs(v);
    tally->whole = is_whole(v);
}

/* The samples after the first, all of them ordinary. One pass without branches: the chains of
 * dependent additions run beside each other. False if there was a NaN: *stats is then spoilt. */
static bool add_ordered(struct column_stats *stats, struct tally *tally, const double *values,
                        uint32_t count)
{
    double previous = stats->last;
    double min = stats->min, max = stats->max, sum = stats->sum;
    double reset_sum = 0, magnitude_sum = tally->magnitude_sum;
    uint32_t resets = 0, changes = 0;
    bool whole = tally->whole;
    bool ordered = previous == previous;
    for (uint32_t i = 0; i < count; i++) {
        double v = values[i];
        bool falls = v < previous;
        ordered &= v == v;
        min = v < min ? v : min;
        max = v > max ? v : max;
        sum += v;
        magnitude_sum += fabs(v);
        reset_sum += falls ? previous : 0;
        resets += falls;
        changes += v != previous;
        whole &= is_whole(v);
        previous = v;
    }
    stats->last = previous;
    stats->min = min;
    stats->max = max;
    stats->sum = sum;
    stats->reset_sum = reset_sum;
    stats->reset_count = (uint16_t)resets;
    stats->change_count = (uint16_t)changes;
    stats->count = (uint16_t)(stats->count + count);
    *tally = (struct tally){.magnitude_sum = magnitude_sum, .whole = whole};
    return ordered;
}

/* Any sample but a stale marker, after the first. */
static void add_any(struct column_stats *stats, double v)
{
    double previous = stats->last;
    if (v < previous) {
        stats->reset_count++;
        stats->reset_sum += previous;
    }
    if (v != previous && !(isnan(v) && isnan(previous)))
        stats->change_count++;
    if (v < stats->min || isnan(stats->min))
        stats->min = v;
    if (v > stats->max || isnan(stats->max))
        stats->max = v;
    stats->last = v;
    stats->sum += v;
    stats->count++;
}

/* Columns with NaNs or stale markers; sums with NaN are never exact. */
static void compute_any(const double *values, uint32_t row_count, struct column_stats *stats,
                        struct tally *tally)
{
    *stats = (struct column_stats){0};
    for (uint32_t i = 0; i < row_count; i++) {
        double v = values[i];
        if (value_is_stale(v)) {
            stats->stale_count++;
            continue;
        }
        if (isnan(v))
            stats->flags |= COLUMN_STATS_HAS_NAN;
        if (stats->count == 0) {
            add_first(stats, tally, v);
            continue;
        }
        add_any(stats, v);
        tally->magnitude_sum += fabs(v);
        tally->whole = tally->whole && is_whole(v);
    }
}

static bool has_infinity(const double *values, uint32_t row_count)
{
    for (uint32_t i = 0; i < row_count; i++)
        if (isinf(values[i]))
            return true;
    return false;
}

void column_stats_compute(const double *values, uint32_t row_count, struct column_stats *stats)
{
    assert(row_count >= 1 && row_count <= COLUMN_ROWS_MAX);
    *stats = (struct column_stats){0};
    struct tally tally = {.whole = true};
    add_first(stats, &tally, values[0]);
    if (!add_ordered(stats, &tally, values + 1, row_count - 1))
        compute_any(values, row_count, stats, &tally);
    if (stats->count == 0)
        return;
    if (!(tally.magnitude_sum < INFINITY) && has_infinity(values, row_count))
        stats->flags |= COLUMN_STATS_HAS_INF;
    if (tally.whole && tally.magnitude_sum < 0x1p51)
        stats->flags |= COLUMN_STATS_SUM_EXACT;
    /* A zero of the other sign is neither a fall nor a rise, yet min would not be first. */
    bool ends_are_extremes = double_bits(stats->min) == double_bits(stats->first) &&
                             double_bits(stats->max) == double_bits(stats->last);
    if (stats->reset_count == 0 && ends_are_extremes && !(stats->flags & COLUMN_STATS_HAS_NAN))
        stats->flags |= COLUMN_STATS_MONOTONE;
}

void column_stats_of_constant(double value, uint32_t row_count, struct column_stats *stats)
{
    assert(row_count >= 1 && row_count <= COLUMN_ROWS_MAX);
    if (is_whole(value) && fabs(value) * row_count < 0x1p51) {
        *stats = (struct column_stats){
            .first = value,
            .last = value,
            .min = value,
            .max = value,
            .sum = value * row_count,
            .count = (uint16_t)row_count,
            .flags = COLUMN_STATS_MONOTONE | COLUMN_STATS_SUM_EXACT,
        };
        return;
    }
    double values[COLUMN_ROWS_MAX];
    for (uint32_t i = 0; i < row_count; i++)
        values[i] = value;
    column_stats_compute(values, row_count, stats);
}

/* The statistics as decimal integers, see the format page. */
struct decimal_stats {
    uint32_t exponent;
    int64_t first;
    int64_t last;
    int64_t min;
    int64_t max;
};

static bool find_decimals(const struct column_stats *stats, struct decimal_stats *decimals)
{
    const double values[4] = {stats->first, stats->last, stats->min, stats->max};
    int64_t *mantissas[4] = {&decimals->first, &decimals->last, &decimals->min, &decimals->max};
    uint32_t exponent = 0;
    int64_t m;
    for (uint32_t i = 0; i < 4; i++)
        if (!column__decimal_find(values[i], &exponent, &m))
            return false;
    for (uint32_t i = 0; i < 4; i++)
        if (!column__decimal_at(values[i], exponent, mantissas[i]))
            return false;
    decimals->exponent = exponent;
    return isfinite(stats->sum) && isfinite(stats->reset_sum);
}

/* A sum as the nearest decimal and the units in the last place it is off. */
static void split_sum(double sum, uint32_t exponent, int64_t *mantissa, int64_t *ulps)
{
    double scaled = sum * column__powers[exponent];
    *mantissa = fabs(scaled) < 0x1p63 ? (int64_t)rint(scaled) : 0;
    double back = (double)*mantissa / column__powers[exponent];
    *ulps = (int64_t)(column__image(double_bits(sum)) - column__image(double_bits(back)));
}

static double join_sum(int64_t mantissa, int64_t ulps, uint32_t exponent)
{
    double back = (double)mantissa / column__powers[exponent];
    return double_from_bits(column__image(column__image(double_bits(back)) + (uint64_t)ulps));
}

static uint8_t *put_sum(const struct column_stats *stats, double sum, uint32_t exponent,
                        uint64_t base, uint8_t *at)
{
    int64_t mantissa, ulps;
    split_sum(sum, exponent, &mantissa, &ulps);
    assert(ulps == 0 || !(stats->flags & COLUMN_STATS_SUM_EXACT));
    at = column__put_zv(at, (int64_t)((uint64_t)mantissa - base));
    return stats->flags & COLUMN_STATS_SUM_EXACT ? at : column__put_zv(at, ulps);
}

static uint8_t *put_decimals(const struct column_stats *stats, const struct decimal_stats *decimals,
                             uint8_t *at)
{
    uint64_t first = (uint64_t)decimals->first;
    *at++ = (uint8_t)decimals->exponent;
    at = column__put_zv(at, decimals->first);
    at = column__put_zv(at, (int64_t)((uint64_t)decimals->last - first));
    if (!(stats->flags & COLUMN_STATS_MONOTONE)) {
        at = coding_write_uv(at, first - (uint64_t)decimals->min);
        at = coding_write_uv(at, (uint64_t)decimals->max - first);
    }
    at = put_sum(stats, stats->sum, decimals->exponent, first * stats->count, at);
    if (stats->reset_count > 0)
        at = put_sum(stats, stats->reset_sum, decimals->exponent, 0, at);
    return at;
}

static uint8_t *put_double(uint8_t *at, double v)
{
    column__store_u64(at, double_bits(v));
    return at + sizeof v;
}

static uint8_t *put_raw(const struct column_stats *stats, uint8_t *at)
{
    at = put_double(at, stats->first);
    at = put_double(at, stats->last);
    if (!(stats->flags & COLUMN_STATS_MONOTONE)) {
        at = put_double(at, stats->min);
        at = put_double(at, stats->max);
    }
    at = put_double(at, stats->sum);
    return stats->reset_count > 0 ? put_double(at, stats->reset_sum) : at;
}

/* Longest: exponent and eight varints. */
enum { DECIMALS_SIZE_MAX = 1 + 8 * CODING_VARINT_MAX };

size_t column_stats_encode(const struct column_stats *stats, uint32_t row_count, uint8_t *out)
{
    assert(stats->count + stats->stale_count == row_count);
    uint8_t *at = out + 1;
    *out = (uint8_t)(stats->flags | (stats->reset_count > 0 ? STATS_RESETS : 0) |
                     (stats->stale_count > 0 ? STATS_STALE : 0));
    if (stats->stale_count > 0)
        at = coding_write_uv(at, stats->stale_count);
    if (stats->count == 0)
        return (size_t)(at - out);
    at = coding_write_uv(at, stats->change_count);
    if (stats->reset_count > 0)
        at = coding_write_uv(at, stats->reset_count);

    uint8_t *end = put_raw(stats, at);
    struct decimal_stats decimals;
    if (find_decimals(stats, &decimals)) {
        uint8_t packed[DECIMALS_SIZE_MAX];
        size_t size = (size_t)(put_decimals(stats, &decimals, packed) - packed);
        if (size <= (size_t)(end - at)) {
            *out |= STATS_DECIMAL;
            memcpy(at, packed, size);
            end = at + size;
        }
    }
    assert(end - out <= COLUMN_STATS_SIZE_MAX);
    return (size_t)(end - out);
}

static double get_sum(struct byte_reader *reader, const struct column_stats *stats,
                      uint32_t exponent, uint64_t base)
{
    int64_t mantissa = (int64_t)((uint64_t)byte_reader_zv(reader) + base);
    int64_t ulps = stats->flags & COLUMN_STATS_SUM_EXACT ? 0 : byte_reader_zv(reader);
    return join_sum(mantissa, ulps, exponent);
}

static double decimal_value(uint64_t mantissa, double power)
{
    return (double)(int64_t)mantissa / power;
}

static void get_decimals(struct byte_reader *reader, struct column_stats *stats)
{
    uint32_t exponent = byte_reader_u8(reader);
    if (exponent > COLUMN_EXPONENT_MAX) {
        reader->failed = true;
        return;
    }
    double power = column__powers[exponent];
    uint64_t first = (uint64_t)byte_reader_zv(reader);
    stats->first = stats->min = decimal_value(first, power);
    stats->last = stats->max = decimal_value(first + (uint64_t)byte_reader_zv(reader), power);
    if (!(stats->flags & COLUMN_STATS_MONOTONE)) {
        stats->min = decimal_value(first - byte_reader_uv(reader), power);
        stats->max = decimal_value(first + byte_reader_uv(reader), power);
    }
    stats->sum = get_sum(reader, stats, exponent, first * stats->count);
    if (stats->reset_count > 0)
        stats->reset_sum = get_sum(reader, stats, exponent, 0);
}

static void get_raw(struct byte_reader *reader, struct column_stats *stats)
{
    stats->first = stats->min = byte_reader_double(reader);
    stats->last = stats->max = byte_reader_double(reader);
    if (!(stats->flags & COLUMN_STATS_MONOTONE)) {
        stats->min = byte_reader_double(reader);
        stats->max = byte_reader_double(reader);
    }
    stats->sum = byte_reader_double(reader);
    if (stats->reset_count > 0)
        stats->reset_sum = byte_reader_double(reader);
}

/* A count between the bounds. */
static uint16_t get_count(struct byte_reader *reader, uint32_t minimum, uint32_t maximum)
{
    uint64_t count = byte_reader_uv(reader);
    if (count < minimum || count > maximum) {
        reader->failed = true;
        return 0;
    }
    return (uint16_t)count;
}

err_t column_stats_decode(const uint8_t *in, size_t in_size, uint32_t row_count,
                          struct column_stats *stats, size_t *consumed)
{
    struct byte_reader reader = byte_reader_of(in, in_size);
    *stats = (struct column_stats){0};
    uint8_t head = byte_reader_u8(&reader);
    if (head & ~STATS_KNOWN)
        return ERR_CORRUPT;
    stats->flags = head & STATS_PUBLIC_FLAGS;
    if (head & STATS_STALE)
        stats->stale_count = get_count(&reader, 1, row_count);
    stats->count = (uint16_t)(row_count - stats->stale_count);
    if (stats->count > 0) {
        stats->change_count = get_count(&reader, 0, stats->count - 1);
        if (head & STATS_RESETS)
            stats->reset_count = get_count(&reader, 1, stats->count - 1);
        if (reader.failed)
            return ERR_CORRUPT;
        if (head & STATS_DECIMAL)
            get_decimals(&reader, stats);
        else
            get_raw(&reader, stats);
    }
    *consumed = (size_t)(reader.at - in);
    return reader.failed ? ERR_CORRUPT : OK;
}
