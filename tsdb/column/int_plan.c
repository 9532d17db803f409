/* Choosing how to write a stream: predictor, centre, width(s), exceptions.
 *
 * Each candidate (predictor, centre) is judged by the histogram of its residuals' bit lengths, from
 * which the sizes of all packed and dual forms follow exactly. */
#include <assert.h>

#include "int_stream.h"

/* Percent of its size at which a form that is slower to read is compared with plain packing. */
enum { SCORE_PACKED = 100, SCORE_SPLIT = 103, SCORE_RICE = 105 };

enum { LENGTH_COUNT = 65 };

struct search {
    uint64_t gcd;
    uint64_t first_difference; /* in units of gcd */
    uint64_t best_score;
    uint32_t integer_count;
    bool rice;
    struct int_plan *best;
};

/* One way to turn residuals into unsigned numbers, and how long those are. */
struct candidate {
    const int64_t *residuals;
    uint32_t count;
    uint64_t header_bits;
    uint64_t centre;
    uint8_t predictor;
    bool zigzag;
    uint32_t longest;
    uint16_t lengths[LENGTH_COUNT];
    uint64_t negative_exception_bits; /* of residuals below the centre, without zigzag */
};

static uint64_t number_of(int64_t residual, uint64_t centre, bool zigzag)
{
    uint64_t x = (uint64_t)residual - centre;
    return zigzag ? column__zigzag((int64_t)x) : x;
}

/* u8 position and zv of a number of `length` bits. */
static uint64_t exception_bits(const struct candidate *candidate, uint32_t length)
{
    uint32_t bits = candidate->zigzag ? length : length + 1;
    return 8 + 8 * (bits == 0 ? 1 : (bits + 6) / 7);
}

static void offer(struct search *search, const struct candidate *candidate, uint64_t bits,
                  uint32_t score_percent, struct int_plan form)
{
    uint64_t size_bits = bits + candidate->header_bits;
    uint64_t score = size_bits * score_percent;
    if (score >= search->best_score)
        return;
    search->best_score = score;
    form.gcd = search->gcd;
    form.centre = candidate->centre;
    form.size_bits = size_bits;
    form.predictor = candidate->predictor;
    form.zigzag = candidate->zigzag;
    *search->best = form;
}

/* All packed and dual forms: widths are lengths that occur, from the longest down. */
static void offer_widths(struct search *search, const struct candidate *candidate)
{
    uint64_t exceptions = 0;
    uint32_t exception_count = 0;
    uint32_t count = candidate->count;
    for (uint32_t width = candidate->longest;; width--) {
        if (width < candidate->longest) {
            uint32_t longer = candidate->lengths[width + 1];
            exception_count += longer;
            exceptions += width + 1 == 64 && !candidate->zigzag
                              ? candidate->negative_exception_bits
                              : longer * exception_bits(candidate, width + 1);
            if (exceptions * SCORE_SPLIT >= search->best_score)
                return;
        }
        if (width > 0 && candidate->lengths[width] == 0)
            continue;
        uint64_t extra = exception_count > 0 ? exceptions + 8 : 0;
        struct int_plan plan = {.width = (uint8_t)width, .exceptions = exception_count > 0};
        offer(search, candidate, extra + (uint64_t)count * width,
              exception_count > 0 ? SCORE_SPLIT : SCORE_PACKED, plan);
        if (width == 0)
            return;
        plan.form = INT_STREAM_DUAL;
        uint32_t small_count = exception_count;
        for (uint32_t small = 0; small < width; small++) {
            small_count += candidate->lengths[small];
            if (small > 0 && candidate->lengths[small] == 0)
                continue;
            plan.width_small = (uint8_t)small;
            uint64_t body = (uint64_t)small_count * small + (uint64_t)(count - small_count) * width;
            offer(search, candidate, extra + 8 + count + body, SCORE_SPLIT, plan);
        }
    }
}

static void offer_rice(struct search *search, const struct candidate *candidate)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < candidate->count; i++) {
        uint64_t u = number_of(candidate->residuals[i], candidate->centre, candidate->zigzag);
        sum += u < UINT64_C(1) << 40 ? u : 0;
    }
    uint32_t middle = column__bit_length(sum / candidate->count);
    uint32_t width_min = middle > 2 ? middle - 2 : 0;
    for (uint32_t width = width_min; width <= middle && width <= STREAM_RICE_WIDTH_MAX; width++) {
        uint64_t bits = 0;
        uint64_t extra = 0;
        for (uint32_t i = 0; i < candidate->count; i++) {
            uint64_t u = number_of(candidate->residuals[i], candidate->centre, candidate->zigzag);
            uint64_t quotient = u >> width;
            if (quotient > STREAM_RICE_QUOTIENT_MAX) {
                extra += exception_bits(candidate, column__bit_length(u));
                quotient = 0;
            }
            bits += width + quotient + 1;
        }
        struct int_plan plan = {
            .width = (uint8_t)width, .form = INT_STREAM_RICE, .exceptions = extra > 0};
        offer(search, candidate, bits + extra + 8 * (extra > 0), SCORE_RICE, plan);
    }
}

static void consider(struct search *search, const int64_t *residuals, uint32_t count,
                     uint32_t predictor, int64_t centre, bool zigzag)
{
    struct candidate candidate = {
        .residuals = residuals,
        .count = count,
        .centre = (uint64_t)centre,
        .predictor = (uint8_t)predictor,
        .zigzag = zigzag,
    };
    for (uint32_t i = 0; i < count; i++) {
        uint64_t u = number_of(residuals[i], (uint64_t)centre, zigzag);
        uint32_t length = column__bit_length(u);
        candidate.lengths[length]++;
        if (length == 64 && !zigzag)
            candidate.negative_exception_bits +=
                8 + 8 * column__uv_size(column__zigzag((int64_t)u));
        if (length > candidate.longest)
            candidate.longest = length;
    }
    candidate.header_bits = 8 + 8 * column__uv_size(column__zigzag(centre));
    if (predictor == 2)
        candidate.header_bits +=
            8 * column__uv_size(column__zigzag((int64_t)search->first_difference));
    offer_widths(search, &candidate);
    if (search->rice && count > 0 && candidate.longest > 1)
        offer_rice(search, &candidate);
}

static int64_t minimum_of(const int64_t *residuals, uint32_t count)
{
    int64_t minimum = residuals[0];
    for (uint32_t i = 1; i < count; i++)
        if (residuals[i] < minimum)
            minimum = residuals[i];
    return minimum;
}

/* Rounded towards zero; sums that overflow give a poor centre, never a wrong one. */
static int64_t mean_of(const int64_t *residuals, uint32_t count)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += (uint64_t)residuals[i];
    return (int64_t)sum / (int64_t)count;
}

/* The smallest residual that is not negative if only a few are negative, else -1. */
static int64_t smallest_rise(const int64_t *residuals, uint32_t count)
{
    int64_t smallest = INT64_MAX;
    uint32_t negative_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (residuals[i] < 0)
            negative_count++;
        else if (residuals[i] < smallest)
            smallest = residuals[i];
    }
    return negative_count > count / 8 || smallest == INT64_MAX ? -1 : smallest;
}

static void consider_centres(struct search *search, const int64_t *residuals, uint32_t count,
                             uint32_t predictor)
{
    if (count == 0) {
        consider(search, residuals, 0, predictor, 0, true);
        return;
    }
    int64_t minimum = minimum_of(residuals, count);
    consider(search, residuals, count, predictor, minimum, false);
    consider(search, residuals, count, predictor, 0, true);
    int64_t mean = mean_of(residuals, count);
    if (mean != 0)
        consider(search, residuals, count, predictor, mean, true);
    if (predictor == 1 && minimum < 0) {
        int64_t rise = smallest_rise(residuals, count);
        if (rise >= 0)
            consider(search, residuals, count, predictor, rise, false);
    }
}

static uint64_t magnitude(int64_t x)
{
    return x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
}

/* Greatest common divisor of all differences, 1 if there is none worth its byte. */
static uint64_t common_divisor(const int64_t *differences, uint32_t count)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < count; i++)
        all |= magnitude(differences[i]);
    if (all == 0)
        return 1;
    uint32_t twos = (uint32_t)__builtin_ctzll(all);
    uint64_t divisor = 0;
    for (uint32_t i = 0; i < count && divisor != 1; i++) {
        uint64_t x = magnitude(differences[i]) >> twos;
        while (x != 0) {
            uint64_t rest = divisor % x;
            divisor = x;
            x = rest;
        }
    }
    return divisor << twos;
}

static void second_differences(const int64_t *differences, uint32_t count, int64_t *out)
{
    for (uint32_t i = 0; i + 1 < count; i++)
        out[i] = (int64_t)((uint64_t)differences[i + 1] - (uint64_t)differences[i]);
}

static void sums_from_first(const int64_t *differences, uint32_t count, int64_t *out)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += (uint64_t)differences[i];
        out[i] = (int64_t)sum;
    }
}

static void differences_of(const int64_t *integers, uint32_t count, int64_t *out)
{
    for (uint32_t i = 0; i + 1 < count; i++)
        out[i] = (int64_t)((uint64_t)integers[i + 1] - (uint64_t)integers[i]);
}

static void divide_all(int64_t *differences, uint32_t count, uint64_t gcd)
{
    if ((gcd & (gcd - 1)) == 0) {
        uint32_t shift = (uint32_t)__builtin_ctzll(gcd);
        for (uint32_t i = 0; i < count; i++)
            differences[i] >>= shift;
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        differences[i] /= (int64_t)gcd;
}

void int_plan_search(const int64_t *integers, uint32_t count, bool rice, struct int_plan *plan)
{
    int64_t differences[COLUMN_ROWS_MAX];
    int64_t others[COLUMN_ROWS_MAX];
    uint32_t difference_count = count - 1;
    differences_of(integers, count, differences);
    struct search search = {
        .gcd = common_divisor(differences, difference_count),
        .best_score = UINT64_MAX,
        .integer_count = count,
        .rice = rice,
        .best = plan,
    };
    /* 2^63 is no int64; such differences are random anyway. */
    if (search.gcd > INT64_MAX)
        search.gcd = 1;
    if (search.gcd > 1)
        divide_all(differences, difference_count, search.gcd);
    search.first_difference = difference_count > 0 ? (uint64_t)differences[0] : 0;

    consider_centres(&search, differences, difference_count, 1);
    if (difference_count > 0) {
        sums_from_first(differences, difference_count, others);
        consider_centres(&search, others, difference_count, 0);
    }
    if (difference_count > 2) {
        second_differences(differences, difference_count, others);
        consider_centres(&search, others, difference_count - 1, 2);
    }
    plan->size_bits += 8 * column__uv_size(column__zigzag(integers[0]));
    if (plan->gcd > 1)
        plan->size_bits += 8 * column__uv_size(plan->gcd);
}

uint8_t int_plan_flags(const struct int_plan *plan)
{
    return (uint8_t)(plan->predictor << STREAM_PREDICTOR_SHIFT | (plan->gcd > 1 ? STREAM_GCD : 0) |
                     (plan->exceptions ? STREAM_EXCEPTIONS : 0) |
                     (plan->form != INT_STREAM_PACKED ? STREAM_SPLIT : 0));
}
