#include "narthex/tsdb/column_stats.h"

#include <assert.h>
#include <math.h>

#include "column_decimal.h"

/* The first byte; docs/format/column.md, "Statistics". */
enum {
    STATS_EXPONENT_MASK = 15,
    STATS_RAW = 15, /* for an exponent: doubles as they are */
    STATS_FLAGS_SHIFT = 4,
    STATS_FLAGS_MASK = COLUMN_STATS_MONOTONE | COLUMN_STATS_SUM_EXACT | COLUMN_STATS_FALLS,
    STATS_SECOND_FORM = 1 << 7,
};

/* The first byte of the first form. */
enum {
    STATS1_MONOTONE = 1 << 0,
    STATS1_SUM_EXACT = 1 << 1,
    STATS1_HAS_NAN = 1 << 2,
    STATS1_FALLS = 1 << 4,
    STATS1_STALE = 1 << 5,
    STATS1_DECIMAL = 1 << 6,
};

static bool is_whole(double v)
{
    double rounded = (v + COLUMN_ROUNDING_MAGIC) - COLUMN_ROUNDING_MAGIC;
    return double_bits(rounded) == double_bits(v);
}

/* ---- computing ---- */

/* One pass without branches: the chains of dependent additions run beside each other. */
bool column_stats_compute(const double *values, uint32_t row_count, struct column_stats *stats)
{
    assert(row_count >= 1 && row_count <= COLUMN_ROWS_MAX);
    double previous = values[0];
    double min = previous, max = previous, sum = previous, magnitude_sum = fabs(previous);
    bool whole = is_whole(previous); /* told for magnitudes below 2^51 only */
    bool ordered = previous == previous;
    bool falls = false;
    for (uint32_t i = 1; i < row_count; i++) {
        double v = values[i];
        falls |= v < previous;
        ordered &= v == v;
        min = v < min ? v : min;
        max = v > max ? v : max;
        sum += v;
        magnitude_sum += fabs(v);
        whole &= is_whole(v);
        previous = v;
    }
    if (!ordered)
        return false;
    *stats = (struct column_stats){.first = values[0], .last = previous, .min = min, .max = max};
    if (whole && magnitude_sum < 0x1p51) {
        stats->flags |= COLUMN_STATS_SUM_EXACT;
        stats->sum = sum;
    }
    if (falls)
        stats->flags |= COLUMN_STATS_FALLS;
    /* A zero of the other sign is neither a fall nor a rise, yet min would not be first. */
    else if (double_bits(min) == double_bits(stats->first) &&
             double_bits(max) == double_bits(stats->last))
        stats->flags |= COLUMN_STATS_MONOTONE;
    return true;
}

bool column_stats_of_constant(double value, uint32_t row_count, struct column_stats *stats)
{
    assert(row_count >= 1 && row_count <= COLUMN_ROWS_MAX);
    if (isnan(value))
        return false;
    *stats = (struct column_stats){
        .first = value,
        .last = value,
        .min = value,
        .max = value,
        .flags = COLUMN_STATS_MONOTONE,
    };
    if (is_whole(value) && fabs(value) * row_count < 0x1p51) {
        stats->flags |= COLUMN_STATS_SUM_EXACT;
        stats->sum = value * row_count;
    }
    return true;
}

/* ---- encoding ---- */

/* The statistics as decimal integers. */
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
    return true;
}

/* What `count` rows on a straight line from `first` to `first + rise` add up to. */
static uint64_t line_sum(uint64_t first, uint64_t rise, uint32_t count)
{
    return first * count + (uint64_t)((int64_t)(rise * count) >> 1);
}

static uint8_t *put_decimals(const struct column_stats *stats, const struct decimal_stats *decimals,
                             uint32_t row_count, uint8_t *at)
{
    uint64_t first = (uint64_t)decimals->first;
    uint64_t rise = (uint64_t)decimals->last - first;
    at = column__put_zv(at, decimals->first);
    if (stats->flags & COLUMN_STATS_MONOTONE) {
        at = coding_write_uv(at, rise);
    } else {
        bool down = decimals->last < decimals->first;
        uint64_t low = (uint64_t)(down ? decimals->last : decimals->first);
        uint64_t high = (uint64_t)(down ? decimals->first : decimals->last);
        at = column__put_zv(at, (int64_t)rise);
        at = coding_write_uv(at, low - (uint64_t)decimals->min);
        at = coding_write_uv(at, (uint64_t)decimals->max - high);
    }
    if (stats->flags & COLUMN_STATS_SUM_EXACT) {
        uint64_t sum = (uint64_t)(int64_t)stats->sum;
        at = column__put_zv(at, (int64_t)(sum - line_sum(first, rise, row_count)));
    }
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
    if (stats->flags & COLUMN_STATS_MONOTONE)
        return at;
    at = put_double(at, stats->min);
    return put_double(at, stats->max);
}

/* Longest: five varints. */
enum { DECIMALS_SIZE_MAX = 5 * CODING_VARINT_MAX };

size_t column_stats_encode(const struct column_stats *stats, uint32_t row_count, uint8_t *out)
{
    bool exact = (stats->flags & COLUMN_STATS_SUM_EXACT) != 0;
    struct decimal_stats decimals;
    uint8_t *end = put_raw(stats, out + 1);
    uint32_t exponent = STATS_RAW;
    if (find_decimals(stats, &decimals)) {
        uint8_t packed[DECIMALS_SIZE_MAX];
        size_t size = (size_t)(put_decimals(stats, &decimals, row_count, packed) - packed);
        if (exact || size <= (size_t)(end - out) - 1) {
            exponent = decimals.exponent;
            memcpy(out + 1, packed, size);
            end = out + 1 + size;
        }
    }
    *out = (uint8_t)(STATS_SECOND_FORM | stats->flags << STATS_FLAGS_SHIFT | exponent);
    assert(!exact || exponent == 0);
    assert(end - out <= COLUMN_STATS_SIZE_MAX);
    return (size_t)(end - out);
}

/* ---- decoding ---- */

static double decimal_value(uint64_t mantissa, double power)
{
    return (double)(int64_t)mantissa / power;
}

static void get_decimals(struct byte_reader *reader, uint32_t exponent, uint32_t row_count,
                         struct column_stats *stats)
{
    double power = column__powers[exponent];
    bool monotone = (stats->flags & COLUMN_STATS_MONOTONE) != 0;
    uint64_t first = (uint64_t)byte_reader_zv(reader);
    uint64_t rise = monotone ? byte_reader_uv(reader) : (uint64_t)byte_reader_zv(reader);
    uint64_t last = first + rise;
    stats->first = stats->min = decimal_value(first, power);
    stats->last = stats->max = decimal_value(last, power);
    if (!monotone) {
        bool down = (int64_t)last < (int64_t)first;
        stats->min = decimal_value((down ? last : first) - byte_reader_uv(reader), power);
        stats->max = decimal_value((down ? first : last) + byte_reader_uv(reader), power);
    }
    if (stats->flags & COLUMN_STATS_SUM_EXACT)
        stats->sum =
            (double)(int64_t)((uint64_t)byte_reader_zv(reader) + line_sum(first, rise, row_count));
}

static void get_raw(struct byte_reader *reader, struct column_stats *stats)
{
    stats->first = stats->min = byte_reader_double(reader);
    stats->last = stats->max = byte_reader_double(reader);
    if (!(stats->flags & COLUMN_STATS_MONOTONE)) {
        stats->min = byte_reader_double(reader);
        stats->max = byte_reader_double(reader);
    }
}

/* Decimals of the first form: all in differences to the first value, sums of every kind. */
static void get_first_form_decimals(struct byte_reader *reader, uint32_t row_count,
                                    struct column_stats *stats)
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
    bool exact = (stats->flags & COLUMN_STATS_SUM_EXACT) != 0;
    uint64_t sum = (uint64_t)byte_reader_zv(reader) + first * row_count;
    if (exact)
        stats->sum = decimal_value(sum, power);
    /* Units in the last place of a rounded sum; the sum of the values before a fall, likewise. */
    uint32_t unused = !exact + (stats->flags & COLUMN_STATS_FALLS ? 1 + !exact : 0);
    while (unused-- > 0)
        byte_reader_uv(reader);
}

/* Of columns without NaNs and stale markers. */
static void get_first_form(struct byte_reader *reader, uint8_t head, uint32_t row_count,
                           struct column_stats *stats)
{
    stats->flags = (head & STATS1_MONOTONE ? COLUMN_STATS_MONOTONE : 0) |
                   (head & STATS1_SUM_EXACT ? COLUMN_STATS_SUM_EXACT : 0) |
                   (head & STATS1_FALLS ? COLUMN_STATS_FALLS : 0);
    byte_reader_uv(reader); /* changes */
    if (head & STATS1_FALLS)
        byte_reader_uv(reader); /* falls */
    if (head & STATS1_DECIMAL) {
        get_first_form_decimals(reader, row_count, stats);
        return;
    }
    get_raw(reader, stats);
    double sum = byte_reader_double(reader);
    if (stats->flags & COLUMN_STATS_SUM_EXACT)
        stats->sum = sum;
    if (head & STATS1_FALLS)
        byte_reader_double(reader); /* sum of the values before a fall */
}

bool column_stats_are_usable(const uint8_t *in, size_t in_size)
{
    return in_size > 0 &&
           ((in[0] & STATS_SECOND_FORM) || (in[0] & (STATS1_HAS_NAN | STATS1_STALE)) == 0);
}

err_t column_stats_decode(const uint8_t *in, size_t in_size, uint32_t row_count,
                          struct column_stats *stats, size_t *consumed)
{
    *stats = (struct column_stats){0};
    *consumed = 0;
    if (!column_stats_are_usable(in, in_size))
        return ERR_CORRUPT;
    struct byte_reader reader = byte_reader_of(in, in_size);
    uint8_t head = byte_reader_u8(&reader);
    uint32_t exponent = head & STATS_EXPONENT_MASK;
    if (head & STATS_SECOND_FORM) {
        stats->flags = head >> STATS_FLAGS_SHIFT & STATS_FLAGS_MASK;
        if ((stats->flags & COLUMN_STATS_SUM_EXACT) && exponent != 0)
            return ERR_CORRUPT;
        if (exponent == STATS_RAW)
            get_raw(&reader, stats);
        else if (exponent <= COLUMN_EXPONENT_TRIED)
            get_decimals(&reader, exponent, row_count, stats);
        else
            return ERR_CORRUPT;
    } else {
        get_first_form(&reader, head, row_count, stats);
    }
    *consumed = (size_t)(reader.at - in);
    return reader.failed ? ERR_CORRUPT : OK;
}
