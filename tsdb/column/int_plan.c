/* Choosing how to write a stream: predictor, centre, width(s), exceptions.
 *
 * Each candidate (predictor, centre) is judged by the histogram of its residuals' bit lengths, from
 * which the sizes of all packed and dual forms follow exactly. */
#include <assert.h>
#include <math.h>

#include "column_kernels.h"
#include "int_stream.h"

/* Percent of its size at which a form that is slower to read is compared with plain packing. */
enum { SCORE_PACKED = 100, SCORE_SPLIT = 103, SCORE_RICE = 105 };

struct search {
    uint64_t gcd;
    uint64_t first_difference; /* in units of gcd */
    uint64_t best_score;
    uint32_t header_bits; /* first integer and gcd */
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
    uint8_t centre_kind;
    bool zigzag;
    uint32_t longest;
    uint32_t length_sum;
    uint64_t negative_exception_bits; /* of residuals below the centre, without zigzag */
    uint32_t present_count;
    uint8_t present[COLUMN_LENGTHS];  /* 0 and the lengths that occur, ascending */
    uint16_t lengths[COLUMN_LENGTHS]; /* how often; defined up to the longest */
};

static uint64_t number_of(int64_t residual, uint64_t centre, bool zigzag)
{
    uint64_t x = (uint64_t)residual - centre;
    return zigzag ? coding_zigzag((int64_t)x) : x;
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
    form.centre_kind = candidate->centre_kind;
    form.zigzag = candidate->zigzag;
    *search->best = form;
}

/* No form stores a residual in fewer bits than its length, and all but packed ones add a bit. */
static bool can_win(const struct search *search, const struct candidate *candidate,
                    uint32_t added_per_residual, uint32_t score_percent)
{
    uint64_t least = candidate->header_bits + candidate->length_sum +
                     (uint64_t)added_per_residual * candidate->count;
    return least * score_percent < search->best_score;
}

/* All dual forms of the larger width present[larger]. */
static void offer_dual(struct search *search, const struct candidate *candidate, uint32_t larger,
                       struct int_plan plan, uint32_t exception_count, uint64_t exceptions)
{
    uint32_t count = candidate->count;
    uint32_t small_count = exception_count;
    plan.form = INT_STREAM_DUAL;
    for (uint32_t i = 0; i < larger; i++) {
        uint32_t small = candidate->present[i];
        small_count += candidate->lengths[small];
        plan.width_small = (uint8_t)small;
        uint64_t body =
            (uint64_t)small_count * small + (uint64_t)(count - small_count) * plan.width;
        offer(search, candidate, exceptions + 8 + count + body, SCORE_SPLIT, plan);
    }
}

/* All packed and dual forms: widths are lengths that occur, from the longest down. */
static void offer_widths(struct search *search, const struct candidate *candidate)
{
    uint64_t exceptions = 0;
    uint32_t exception_count = 0;
    uint32_t count = candidate->count;
    bool dual = can_win(search, candidate, 1, SCORE_SPLIT);
    for (uint32_t i = candidate->present_count; i-- > 0;) {
        uint32_t width = candidate->present[i];
        if (width < candidate->longest) {
            uint32_t longer = candidate->present[i + 1];
            uint32_t added = candidate->lengths[longer];
            exception_count += added;
            exceptions += longer == 64 && !candidate->zigzag
                              ? candidate->negative_exception_bits
                              : added * exception_bits(candidate, longer);
            if (exceptions * SCORE_SPLIT >= search->best_score)
                return;
        }
        uint64_t extra = exception_count > 0 ? exceptions + 8 : 0;
        struct int_plan plan = {.width = (uint8_t)width, .exceptions = exception_count > 0};
        offer(search, candidate, extra + (uint64_t)count * width,
              exception_count > 0 ? SCORE_SPLIT : SCORE_PACKED, plan);
        if (dual)
            offer_dual(search, candidate, i, plan, exception_count, extra);
    }
}

static void offer_rice(struct search *search, const struct candidate *candidate)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < candidate->count; i++) {
        uint64_t u = number_of(candidate->residuals[i], candidate->centre, candidate->zigzag);
        sum += u < UINT64_C(1) << 40 ? u : 0;
    }
    assert(candidate->count > 0);
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

/* Exceptions that residuals below the centre would be, where lower ones have 64 bits. */
static uint64_t negative_exception_bits(const int64_t *residuals, uint32_t count, uint64_t centre)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < count; i++) {
        int64_t x = (int64_t)((uint64_t)residuals[i] - centre);
        if (x < 0)
            bits += 8 + 8 * column__uv_size(coding_zigzag(x));
    }
    return bits;
}

static void find_present(struct candidate *candidate)
{
    candidate->present[0] = 0;
    candidate->present_count = 1;
    for (uint32_t length = 1; length <= candidate->longest; length++) {
        candidate->present[candidate->present_count] = (uint8_t)length;
        candidate->present_count += candidate->lengths[length] > 0;
    }
}

static void consider(struct search *search, const int64_t *residuals, uint32_t count,
                     uint32_t predictor, enum int_centre centre_kind, int64_t centre)
{
    struct candidate candidate;
    candidate.residuals = residuals;
    candidate.count = count;
    candidate.centre = (uint64_t)centre;
    candidate.predictor = (uint8_t)predictor;
    candidate.centre_kind = (uint8_t)centre_kind;
    candidate.zigzag = centre_kind == INT_CENTRE_ZERO || centre_kind == INT_CENTRE_MEAN;
    candidate.negative_exception_bits = 0;
    candidate.header_bits =
        search->header_bits + 8 + 8 * (uint32_t)column__uv_size(coding_zigzag(centre));
    if (predictor == 2)
        candidate.header_bits +=
            8 * column__uv_size(coding_zigzag((int64_t)search->first_difference));
    candidate.length_sum =
        column__kernels->count_lengths(residuals, count, (uint64_t)centre, candidate.zigzag,
                                       candidate.lengths, &candidate.longest);
    /* Residuals below the centre are exceptions of a few bytes, whatever their length says. */
    if (!candidate.zigzag && candidate.longest == 64)
        candidate.negative_exception_bits =
            negative_exception_bits(residuals, count, (uint64_t)centre);
    else if (!can_win(search, &candidate, 0, SCORE_PACKED))
        return;
    find_present(&candidate);
    offer_widths(search, &candidate);
    if (search->rice && count > 0 && candidate.longest > 1 &&
        can_win(search, &candidate, 1, SCORE_RICE))
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
    assert(count > 0);
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

/* The centre of a kind; false if it is not worth a try or the same as another. */
static bool centre_of(const int64_t *residuals, uint32_t count, uint32_t predictor,
                      enum int_centre kind, int64_t *centre)
{
    *centre = 0;
    switch (kind) {
    case INT_CENTRE_MINIMUM:
        *centre = minimum_of(residuals, count);
        return true;
    case INT_CENTRE_ZERO:
        return true;
    case INT_CENTRE_MEAN:
        *centre = mean_of(residuals, count);
        return *centre != 0;
    default:
        *centre = predictor == 1 ? smallest_rise(residuals, count) : -1;
        return *centre >= 0;
    }
}

static void consider_centres(struct search *search, const int64_t *residuals, uint32_t count,
                             uint32_t predictor)
{
    for (enum int_centre kind = INT_CENTRE_MINIMUM; kind < INT_CENTRE_KINDS; kind++) {
        int64_t centre;
        if (centre_of(residuals, count, predictor, kind, &centre))
            consider(search, residuals, count, predictor, kind, centre);
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

struct exact_divisor exact_divisor_of(uint64_t divisor)
{
    assert(divisor > 0);
    struct exact_divisor exact = {.shift = (uint32_t)__builtin_ctzll(divisor)};
    uint64_t odd = divisor >> exact.shift;
    /* Newton: odd is its own inverse modulo 8, and each step doubles the bits that are right. */
    exact.inverse = odd;
    for (uint32_t bits = 3; bits < 64; bits *= 2)
        exact.inverse *= 2 - odd * exact.inverse;
    return exact;
}

static void divide_all(int64_t *differences, uint32_t count, uint64_t gcd)
{
    struct exact_divisor divisor = exact_divisor_of(gcd);
    for (uint32_t i = 0; i < count; i++)
        differences[i] = exact_divide(differences[i], divisor);
}

/* A predictor is tried if its spread is at most this many times the smallest one. (1.3 costs 1 % in
 * size on recorded scrapes and saves 1 ns a sample.) */
#define SPREAD_TOLERANCE 2.0

/* Differences in units of the common divisor, and the sums and differences of those. */
struct residuals {
    uint32_t counts[INT_PREDICTORS];
    int64_t values[INT_PREDICTORS][COLUMN_ROWS_MAX];
};

static void residuals_for(struct residuals *residuals, uint32_t predictor)
{
    const int64_t *differences = residuals->values[1];
    uint32_t count = residuals->counts[1];
    residuals->counts[predictor] = predictor == 2 ? count - 1 : count;
    if (predictor == 0)
        sums_from_first(differences, count, residuals->values[0]);
    else if (predictor == 2)
        second_differences(differences, count, residuals->values[2]);
}

static struct search search_begin(const int64_t *integers, uint32_t count,
                                  struct residuals *residuals, struct int_plan *plan)
{
    int64_t *differences = residuals->values[1];
    residuals->counts[1] = count - 1;
    differences_of(integers, count, differences);
    struct search search = {
        .gcd = common_divisor(differences, count - 1),
        .best_score = UINT64_MAX,
        .header_bits = 8 * (uint32_t)column__uv_size(coding_zigzag(integers[0])),
        .best = plan,
    };
    /* 2^63 is no int64; such differences are random anyway. */
    if (search.gcd > INT64_MAX)
        search.gcd = 1;
    if (search.gcd > 1) {
        divide_all(differences, count - 1, search.gcd);
        search.header_bits += 8 * (uint32_t)column__uv_size(search.gcd);
    }
    search.first_difference = (uint64_t)differences[0];
    return search;
}

/* One integer: a stream without residuals. */
static struct int_plan plan_single(const int64_t *integers)
{
    return (struct int_plan){
        .gcd = 1,
        .predictor = 1,
        .zigzag = true,
        .size_bits = 16 + 8 * column__uv_size(coding_zigzag(integers[0])),
    };
}

struct int_plan int_plan_search(const int64_t *integers, uint32_t count, bool rice)
{
    if (count == 1)
        return plan_single(integers);
    struct int_plan plan = {0};
    struct residuals residuals;
    struct search search = search_begin(integers, count, &residuals, &plan);
    search.rice = rice;
    /* The order decides between equals: differences first. */
    static const uint8_t predictors[INT_PREDICTORS] = {1, 0, 2};
    double spreads[INT_PREDICTORS];
    double smallest = INFINITY;
    uint32_t tried = count > 3 ? INT_PREDICTORS : INT_PREDICTORS - 1;
    for (uint32_t i = 0; i < tried; i++) {
        uint32_t predictor = predictors[i];
        residuals_for(&residuals, predictor);
        const int64_t *values = residuals.values[predictor];
        uint32_t residual_count = residuals.counts[predictor];
        spreads[i] =
            column__kernels->spread(values, residual_count, mean_of(values, residual_count));
        smallest = spreads[i] < smallest ? spreads[i] : smallest;
    }
    for (uint32_t i = 0; i < tried; i++) {
        uint32_t predictor = predictors[i];
        if (spreads[i] <= smallest * SPREAD_TOLERANCE)
            consider_centres(&search, residuals.values[predictor], residuals.counts[predictor],
                             predictor);
    }
    assert(search.best_score != UINT64_MAX);
    return plan;
}

uint8_t int_plan_hint(const struct int_plan *plan)
{
    return (uint8_t)(plan->predictor | plan->centre_kind << 2);
}

bool int_plan_retry(const int64_t *integers, uint32_t count, uint8_t hint, struct int_plan *plan)
{
    uint32_t predictor = hint & 3;
    enum int_centre centre_kind = hint >> 2;
    if (predictor >= INT_PREDICTORS || centre_kind >= INT_CENTRE_KINDS || count < 4)
        return false;
    struct residuals residuals;
    struct search search = search_begin(integers, count, &residuals, plan);
    residuals_for(&residuals, predictor);
    const int64_t *values = residuals.values[predictor];
    uint32_t residual_count = residuals.counts[predictor];
    int64_t centre;
    if (!centre_of(values, residual_count, predictor, centre_kind, &centre))
        return false;
    consider(&search, values, residual_count, predictor, centre_kind, centre);
    return true;
}

uint8_t int_plan_flags(const struct int_plan *plan)
{
    return (uint8_t)(plan->predictor << STREAM_PREDICTOR_SHIFT | (plan->gcd > 1 ? STREAM_GCD : 0) |
                     (plan->exceptions ? STREAM_EXCEPTIONS : 0) |
                     (plan->form != INT_STREAM_PACKED ? STREAM_SPLIT : 0));
}
