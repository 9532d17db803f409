/* Writing sealed columns: which kind, and in which form. */
#include <assert.h>

#include "column_decimal.h"
#include "column_kernels.h"
#include "int_stream.h"
#include "narthex/tsdb/column.h"

/* Hinted packing is taken when within this many percent of the last full search. */
enum { HINT_TOLERANCE_PERCENT = 106 };

size_t column_size_max(uint32_t row_count)
{
    return 1 + row_count * sizeof(double) + COLUMN_SLACK_BYTES;
}

static size_t seal_raw(const double *values, uint32_t row_count, uint8_t *out)
{
    *out = COLUMN_KIND_RAW;
    memcpy(out + 1, values, row_count * sizeof *values);
    return 1 + row_count * sizeof *values;
}

static size_t seal_constant(double v, uint8_t *out)
{
    uint32_t exponent = 0;
    int64_t m;
    if (column__decimal_find(v, &exponent, &m) && column__uv_size(column__zigzag(m)) < 9) {
        *out = (uint8_t)(COLUMN_KIND_CONST | exponent << 3);
        return (size_t)(column__put_zv(out + 1, m) - out);
    }
    *out = COLUMN_KIND_CONST | COLUMN_CONST_RAW << 3;
    column__store_u64(out + 1, column__double_bits(v));
    return 9;
}

static bool all_equal(const double *values, uint32_t row_count)
{
    uint64_t first = column__double_bits(values[0]);
    for (uint32_t i = 1; i < row_count; i++)
        if (column__double_bits(values[i]) != first)
            return false;
    return true;
}

static uint8_t *write_specials(const struct decimal_split *split, const double *values,
                               uint8_t *out)
{
    *out++ = (uint8_t)(split->special_count | (split->all_stale ? SPECIALS_ALL_STALE : 0));
    for (uint32_t i = 0; i < split->special_count; i++) {
        uint32_t row = split->special_rows[i];
        *out++ = (uint8_t)row;
        if (split->all_stale)
            continue;
        column__store_u64(out, column__double_bits(values[row]));
        out += 8;
    }
    return out;
}

static size_t specials_size(const struct decimal_split *split)
{
    if (split->special_count == 0)
        return 0;
    return 1 + split->special_count * (split->all_stale ? 1 : 9);
}

static size_t seal_int(const double *values, const struct decimal_split *split,
                       const struct int_plan *plan, uint8_t *out)
{
    uint8_t *at = out;
    *at++ = COLUMN_KIND_INT | int_plan_flags(plan);
    *at++ = (uint8_t)(split->exponent | (split->special_count > 0 ? COLUMN_SPECIALS : 0) |
                      (split->wide ? COLUMN_WIDE : 0) | (plan->zigzag ? COLUMN_ZIGZAG : 0));
    if (split->special_count > 0)
        at = write_specials(split, values, at);
    at = int_plan_write(plan, split->integers, split->count, at);
    return (size_t)(at - out);
}

/* v = decimal of few digits + a few units in the last place: what adding up decimals in floating
 * point gives. */
struct deculp {
    uint32_t exponent;
    bool wide;
    int64_t integers[COLUMN_ROWS_MAX];
    int64_t ulps[COLUMN_ROWS_MAX];
};

static bool split_deculp(const double *values, uint32_t row_count, uint32_t exponent,
                         struct deculp *split)
{
    double power = column__powers[exponent];
    split->exponent = exponent;
    split->wide = false;
    for (uint32_t i = 0; i < row_count; i++) {
        double scaled = values[i] * power;
        if (!(scaled < 0x1p50 && scaled > -0x1p50))
            return false;
        split->integers[i] = (int64_t)(scaled + (scaled < 0 ? -0.5 : 0.5));
        double back = (double)split->integers[i] / power;
        split->ulps[i] = (int64_t)(column__image(column__double_bits(values[i])) -
                                   column__image(column__double_bits(back)));
    }
    return true;
}

struct general_choice {
    uint64_t size_bits;
    uint32_t kind; /* BITS or DECULP */
    struct int_plan plan;
    struct int_plan ulp_plan;
    struct deculp deculp;
    int64_t images[COLUMN_ROWS_MAX];
};

static void try_deculp(const double *values, uint32_t row_count, bool rice,
                       struct general_choice *choice)
{
    static const uint8_t exponents[] = {2, 3, 6, 9};
    for (size_t i = 0; i < sizeof exponents; i++) {
        struct deculp split;
        struct int_plan plan, ulp_plan;
        if (!split_deculp(values, row_count, exponents[i], &split))
            break;
        int_plan_search(split.integers, row_count, rice, &plan);
        int_plan_search(split.ulps, row_count, rice, &ulp_plan);
        uint64_t size_bits = 24 + plan.size_bits + ulp_plan.size_bits;
        if (size_bits >= choice->size_bits)
            continue;
        choice->size_bits = size_bits;
        choice->kind = COLUMN_KIND_DECULP;
        choice->plan = plan;
        choice->ulp_plan = ulp_plan;
        choice->deculp = split;
    }
}

static size_t seal_deculp(const struct general_choice *choice, uint32_t row_count, uint8_t *out)
{
    uint8_t *at = out;
    *at++ = COLUMN_KIND_DECULP | int_plan_flags(&choice->plan);
    *at++ = (uint8_t)(choice->deculp.exponent | (choice->plan.zigzag ? COLUMN_ZIGZAG : 0));
    at = int_plan_write(&choice->plan, choice->deculp.integers, row_count, at);
    *at++ = (uint8_t)(int_plan_flags(&choice->ulp_plan) | choice->ulp_plan.zigzag);
    at = int_plan_write(&choice->ulp_plan, choice->deculp.ulps, row_count, at);
    return (size_t)(at - out);
}

/* For columns that are no decimals. */
static size_t seal_general(const double *values, uint32_t row_count, bool rice, uint8_t *out)
{
    struct general_choice choice;
    for (uint32_t i = 0; i < row_count; i++)
        choice.images[i] = (int64_t)column__image(column__double_bits(values[i]));
    int_plan_search(choice.images, row_count, rice, &choice.plan);
    choice.kind = COLUMN_KIND_BITS;
    choice.size_bits = 16 + choice.plan.size_bits;
    try_deculp(values, row_count, rice, &choice);
    if (choice.size_bits / 8 >= row_count * sizeof *values)
        return seal_raw(values, row_count, out);
    if (choice.kind == COLUMN_KIND_DECULP)
        return seal_deculp(&choice, row_count, out);
    out[0] = COLUMN_KIND_BITS | int_plan_flags(&choice.plan);
    out[1] = choice.plan.zigzag ? COLUMN_ZIGZAG : 0;
    return (size_t)(int_plan_write(&choice.plan, choice.images, row_count, out + 2) - out);
}

static size_t seal_search(const double *values, uint32_t row_count, bool rice, uint8_t *out)
{
    size_t raw_size = 1 + row_count * sizeof *values;
    struct decimal_split split;
    size_t size = raw_size;
    if (column__decimal_split(values, row_count, 0, &split)) {
        struct int_plan plan;
        int_plan_search(split.integers, split.count, rice, &plan);
        if (2 + specials_size(&split) + plan.size_bits / 8 < raw_size)
            size = seal_int(values, &split, &plan, out);
    } else {
        size = seal_general(values, row_count, rice, out);
    }
    return size < raw_size ? size : seal_raw(values, row_count, out);
}

size_t column_seal(const double *values, uint32_t row_count, struct column_hint *hint, uint8_t *out)
{
    assert(row_count >= 1 && row_count <= COLUMN_ROWS_MAX);
    (void)hint;
    if (all_equal(values, row_count))
        return seal_constant(values[0], out);
    return seal_search(values, row_count, false, out);
}

size_t column_seal_small(const double *values, uint32_t row_count, uint8_t *out)
{
    assert(row_count >= 1 && row_count <= COLUMN_ROWS_MAX);
    if (all_equal(values, row_count))
        return seal_constant(values[0], out);
    return seal_search(values, row_count, true, out);
}
