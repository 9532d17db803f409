#include "column_decimal.h"

#include <math.h>

#include "column_kernels.h"
#include "narthex/base/number.h"

const double column__powers[COLUMN_EXPONENT_MAX + 1] = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
};

/* Integers of a scaled column stay below this, so that division gives them back. */
#define MANTISSA_LIMIT ((int64_t)1 << 51)

bool column__decimal_find(double v, uint32_t *exponent, int64_t *m)
{
    for (uint32_t e = *exponent; e <= COLUMN_EXPONENT_TRIED; e++) {
        if (column__decimal_at(v, e, m)) {
            *exponent = e;
            return true;
        }
        if (!(fabs(v) < 0x1p51))
            return false;
    }
    return false;
}

/* Multiplies the integers so far to the exponent; false if one grows too large. */
static bool raise_exponent(struct decimal_split *split, uint32_t exponent)
{
    int64_t factor = (int64_t)number_powers_of_ten[exponent - split->exponent];
    for (uint32_t i = 0; i < split->count; i++)
        if (split->integers[i] >= MANTISSA_LIMIT / factor ||
            split->integers[i] <= -MANTISSA_LIMIT / factor)
            return false;
    for (uint32_t i = 0; i < split->count; i++)
        split->integers[i] *= factor;
    split->exponent = exponent;
    return true;
}

/* Handles the row at which the fast conversion stopped: a larger integer, a higher exponent, or a
 * special. */
static void add_awkward(struct decimal_split *split, double v, uint32_t row)
{
    uint32_t exponent = split->exponent;
    int64_t m;
    if (isfinite(v) && double_bits(v) != UINT64_C(1) << 63 &&
        column__decimal_find(v, &exponent, &m) &&
        (exponent == split->exponent || raise_exponent(split, exponent))) {
        split->integers[split->count++] = m;
        return;
    }
    if (!value_is_stale(v))
        split->all_stale = false;
    split->special_rows[split->special_count++] = (uint8_t)row;
}

bool column__looks_decimal(const double *values, uint32_t row_count)
{
    uint32_t step = row_count / 8;
    uint32_t failure_count = 0;
    if (step == 0)
        return true;
    for (uint32_t i = 0; i < 8; i++) {
        uint32_t exponent = 0;
        int64_t m;
        double v = values[i * step];
        failure_count += isfinite(v) && !column__decimal_find(v, &exponent, &m);
        if (failure_count == 3)
            return false;
    }
    return true;
}

static bool is_wide(const struct decimal_split *split)
{
    for (uint32_t i = 0; i < split->count; i++)
        if (split->integers[i] >= COLUMN_WIDE_LIMIT || split->integers[i] <= -COLUMN_WIDE_LIMIT)
            return true;
    return false;
}

bool column__decimal_split(const double *values, uint32_t row_count, uint32_t exponent_start,
                           struct decimal_split *split)
{
    split->exponent = exponent_start;
    split->count = 0;
    split->special_count = 0;
    split->all_stale = true;
    uint32_t limit = row_count / 8 + 1;
    uint32_t row = column__kernels->to_decimal(values, row_count, column__powers[exponent_start],
                                               split->integers);
    split->count = row;
    if (row < row_count && !column__looks_decimal(values, row_count))
        return false;
    while (row < row_count) {
        add_awkward(split, values[row], row);
        row++;
        if (split->special_count > limit && !split->all_stale)
            return false;
        uint32_t done = column__kernels->to_decimal(values + row, row_count - row,
                                                    column__powers[split->exponent],
                                                    split->integers + split->count);
        split->count += done;
        row += done;
    }
    split->wide = is_wide(split);
    return split->count > 0 && split->special_count <= SPECIALS_COUNT_MASK;
}
