/* Writing sealed columns: which kind, and in which form. */
#include <assert.h>

#include "column_decimal.h"
#include "column_kernels.h"
#include "int_stream.h"
#include "narthex/tsdb/column.h"

/* A hinted encoding is taken when its size is within these bounds of what the last search reached.
 */
enum { HINT_PERCENT_MIN = 70, HINT_PERCENT_MAX = 106 };

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
    if (column__decimal_find(v, &exponent, &m) && column__uv_size(coding_zigzag(m)) < 9) {
        *out = (uint8_t)(COLUMN_KIND_CONST | exponent << 3);
        return (size_t)(column__put_zv(out + 1, m) - out);
    }
    *out = COLUMN_KIND_CONST | COLUMN_CONST_RAW << 3;
    column__store_u64(out + 1, double_bits(v));
    return 9;
}

static bool all_equal(const double *values, uint32_t row_count)
{
    uint64_t first = double_bits(values[0]);
    for (uint32_t i = 1; i < row_count; i++)
        if (double_bits(values[i]) != first)
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
        column__store_u64(out, double_bits(values[row]));
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
        split->ulps[i] =
            (int64_t)(column__image(double_bits(values[i])) - column__image(double_bits(back)));
    }
    return true;
}

/* What the encodings for columns that are no decimals would take. */
struct general_choice {
    uint64_t size_bits;
    uint32_t kind; /* BITS or DECULP */
    struct int_plan plan;
    struct int_plan ulp_plan;
    struct deculp deculp;
    int64_t images[COLUMN_ROWS_MAX];
};

/* Stream headers of DECULP beyond the plans: bytes 0 and 1 and the second stream's. */
enum { HEAD_BITS = 16, DECULP_HEAD_BITS = 24 };

/* Bits the rows of a sample would need as decimal steps and ulps; SIZE_MAX if no decimals. */
static uint64_t estimate_deculp(const double *values, uint32_t row_count, uint32_t exponent)
{
    enum { PAIRS = 24 };
    uint64_t bits = 0;
    uint32_t step = row_count > 2 * PAIRS ? row_count / PAIRS : 2;
    uint32_t pair_count = 0;
    for (uint32_t row = 0; row + 1 < row_count; row += step, pair_count++) {
        struct deculp pair;
        if (!split_deculp(values + row, 2, exponent, &pair))
            return UINT64_MAX;
        bits += column__bit_length(coding_zigzag(pair.integers[1] - pair.integers[0])) +
                column__bit_length(coding_zigzag(pair.ulps[1]));
    }
    return pair_count == 0 ? UINT64_MAX : bits * row_count / pair_count;
}

/* The exponent that looks best, or 0 if none looks clearly better than `size_bits`. */
static uint32_t guess_deculp(const double *values, uint32_t row_count, uint64_t size_bits)
{
    static const uint8_t exponents[] = {2, 3, 6, 9};
    enum { GUESS_PERCENT = 92 };
    uint32_t best = 0;
    /* The estimate is a lower bound rather than a mean; two searches are not worth a few percent.
     */
    size_bits = size_bits * GUESS_PERCENT / 100;
    for (size_t i = 0; i < sizeof exponents; i++) {
        uint64_t bits = estimate_deculp(values, row_count, exponents[i]);
        if (bits < size_bits) {
            size_bits = bits;
            best = exponents[i];
        }
    }
    return best;
}

static void try_deculp(const double *values, uint32_t row_count, uint32_t exponent, bool rice,
                       struct general_choice *choice)
{
    struct deculp *split = &choice->deculp;
    if (exponent == 0 || !split_deculp(values, row_count, exponent, split))
        return;
    struct int_plan plan = int_plan_search(split->integers, row_count, rice);
    choice->ulp_plan = int_plan_search(split->ulps, row_count, rice);
    uint64_t size_bits = DECULP_HEAD_BITS + plan.size_bits + choice->ulp_plan.size_bits;
    if (size_bits >= choice->size_bits)
        return;
    choice->size_bits = size_bits;
    choice->kind = COLUMN_KIND_DECULP;
    choice->plan = plan;
}

static void image_all(const double *values, uint32_t row_count, int64_t *images)
{
    for (uint32_t i = 0; i < row_count; i++)
        images[i] = (int64_t)column__image(double_bits(values[i]));
}

static size_t write_deculp(const struct general_choice *choice, uint32_t row_count, uint8_t *out)
{
    uint8_t *at = out;
    *at++ = COLUMN_KIND_DECULP | int_plan_flags(&choice->plan);
    *at++ = (uint8_t)(choice->deculp.exponent | (choice->plan.zigzag ? COLUMN_ZIGZAG : 0));
    at = int_plan_write(&choice->plan, choice->deculp.integers, row_count, at);
    *at++ = (uint8_t)(int_plan_flags(&choice->ulp_plan) | choice->ulp_plan.zigzag);
    at = int_plan_write(&choice->ulp_plan, choice->deculp.ulps, row_count, at);
    return (size_t)(at - out);
}

static size_t write_bits(const struct general_choice *choice, uint32_t row_count, uint8_t *out)
{
    out[0] = COLUMN_KIND_BITS | int_plan_flags(&choice->plan);
    out[1] = choice->plan.zigzag ? COLUMN_ZIGZAG : 0;
    return (size_t)(int_plan_write(&choice->plan, choice->images, row_count, out + 2) - out);
}

static size_t write_general(const double *values, const struct general_choice *choice,
                            uint32_t row_count, uint8_t *out)
{
    if (choice->size_bits / 8 >= row_count * sizeof *values)
        return seal_raw(values, row_count, out);
    if (choice->kind == COLUMN_KIND_DECULP)
        return write_deculp(choice, row_count, out);
    return write_bits(choice, row_count, out);
}

/* Remembers a choice; `size_bits` is the column's. */
static void remember(struct column_hint *hint, uint32_t kind, uint32_t exponent,
                     const struct int_plan *plan, const struct int_plan *ulp_plan,
                     uint64_t size_bits, uint32_t row_count)
{
    if (hint == NULL)
        return;
    *hint = (struct column_hint){
        .kind = (uint8_t)kind,
        .exponent = (uint8_t)exponent,
        .form = int_plan_hint(plan),
        .ulp_form = ulp_plan == NULL ? 0 : int_plan_hint(ulp_plan),
        .bits_per_row_x64 = (uint32_t)(size_bits * 64 / row_count),
    };
}

/* For columns that are no decimals. */
static size_t seal_general(const double *values, uint32_t row_count, bool rice,
                           struct column_hint *hint, uint8_t *out)
{
    struct general_choice choice;
    image_all(values, row_count, choice.images);
    choice.plan = int_plan_search(choice.images, row_count, rice);
    choice.kind = COLUMN_KIND_BITS;
    choice.size_bits = HEAD_BITS + choice.plan.size_bits;
    try_deculp(values, row_count, guess_deculp(values, row_count, choice.size_bits), rice, &choice);
    bool ulps = choice.kind == COLUMN_KIND_DECULP;
    remember(hint, choice.kind, ulps ? choice.deculp.exponent : 0, &choice.plan,
             ulps ? &choice.ulp_plan : NULL, choice.size_bits, row_count);
    return write_general(values, &choice, row_count, out);
}

static size_t seal_search(const double *values, uint32_t row_count, bool rice,
                          struct column_hint *hint, uint8_t *out)
{
    size_t raw_size = 1 + row_count * sizeof *values;
    struct decimal_split split;
    size_t size = raw_size;
    if (column__decimal_split(values, row_count, 0, &split)) {
        struct int_plan plan = int_plan_search(split.integers, split.count, rice);
        uint64_t size_bits = HEAD_BITS + 8 * specials_size(&split) + plan.size_bits;
        remember(hint, COLUMN_KIND_INT, split.exponent, &plan, NULL, size_bits, row_count);
        if (size_bits / 8 < raw_size)
            size = seal_int(values, &split, &plan, out);
    } else {
        size = seal_general(values, row_count, rice, hint, out);
    }
    return size < raw_size ? size : seal_raw(values, row_count, out);
}

/* Whether a hinted size is close enough to what the last search reached. Much smaller is not: the
 * series has changed its ways, and a search may find still less. */
static bool is_as_hinted(const struct column_hint *hint, uint64_t size_bits, uint32_t row_count)
{
    uint64_t x64_percent = size_bits * 64 * 100 / row_count;
    return x64_percent <= (uint64_t)hint->bits_per_row_x64 * HINT_PERCENT_MAX &&
           x64_percent >= (uint64_t)hint->bits_per_row_x64 * HINT_PERCENT_MIN &&
           size_bits < row_count * UINT64_C(64);
}

static size_t retry_int(const double *values, uint32_t row_count, const struct column_hint *hint,
                        uint8_t *out)
{
    struct decimal_split split;
    struct int_plan plan;
    if (!column__decimal_split(values, row_count, hint->exponent, &split) ||
        !int_plan_retry(split.integers, split.count, hint->form, &plan))
        return 0;
    uint64_t size_bits = HEAD_BITS + 8 * specials_size(&split) + plan.size_bits;
    return is_as_hinted(hint, size_bits, row_count) ? seal_int(values, &split, &plan, out) : 0;
}

static size_t retry_general(const double *values, uint32_t row_count,
                            const struct column_hint *hint, uint8_t *out)
{
    struct general_choice choice = {.kind = hint->kind};
    if (column__looks_decimal(values, row_count))
        return 0;
    if (hint->kind == COLUMN_KIND_BITS) {
        image_all(values, row_count, choice.images);
        if (!int_plan_retry(choice.images, row_count, hint->form, &choice.plan))
            return 0;
        choice.size_bits = HEAD_BITS + choice.plan.size_bits;
    } else {
        if (!split_deculp(values, row_count, hint->exponent, &choice.deculp) ||
            !int_plan_retry(choice.deculp.integers, row_count, hint->form, &choice.plan) ||
            !int_plan_retry(choice.deculp.ulps, row_count, hint->ulp_form, &choice.ulp_plan))
            return 0;
        choice.size_bits = DECULP_HEAD_BITS + choice.plan.size_bits + choice.ulp_plan.size_bits;
    }
    if (!is_as_hinted(hint, choice.size_bits, row_count))
        return 0;
    return write_general(values, &choice, row_count, out);
}

/* Encodes as the hint says if that is good enough; 0 otherwise. */
static size_t seal_hinted(const double *values, uint32_t row_count, const struct column_hint *hint,
                          uint8_t *out)
{
    if (hint->exponent > COLUMN_EXPONENT_MAX)
        return 0;
    size_t size = 0;
    if (hint->kind == COLUMN_KIND_INT)
        size = retry_int(values, row_count, hint, out);
    else if (hint->kind == COLUMN_KIND_BITS ||
             (hint->kind == COLUMN_KIND_DECULP && hint->exponent > 0))
        size = retry_general(values, row_count, hint, out);
    return size < 1 + row_count * sizeof *values ? size : 0;
}

size_t column_seal(const double *values, uint32_t row_count, struct column_hint *hint, uint8_t *out)
{
    assert(row_count >= 1 && row_count <= COLUMN_ROWS_MAX);
    if (all_equal(values, row_count))
        return seal_constant(values[0], out);
    size_t size = hint == NULL ? 0 : seal_hinted(values, row_count, hint, out);
    return size > 0 ? size : seal_search(values, row_count, false, hint, out);
}

size_t column_seal_small(const double *values, uint32_t row_count, uint8_t *out)
{
    assert(row_count >= 1 && row_count <= COLUMN_ROWS_MAX);
    if (all_equal(values, row_count))
        return seal_constant(values[0], out);
    return seal_search(values, row_count, true, NULL, out);
}
