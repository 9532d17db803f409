#include "narthex/model/histogram.h"

#include <math.h>
#include <string.h>

static double count_value(const struct histogram *h, union histogram_count count)
{
    return h->kind == HISTOGRAM_INTEGER ? (double)count.i : count.f;
}

static bool count_is_negative(const struct histogram *h, union histogram_count count)
{
    return h->kind == HISTOGRAM_FLOAT && count.f < 0;
}

static err_t validate_side(const struct histogram *h, const struct histogram_side *side,
                           const char *name, double *total, struct strbuf *why)
{
    uint64_t wanted = 0;
    for (uint32_t i = 0; i < side->span_count; i++) {
        if (i > 0 && side->spans[i].offset < 0)
            return err_fail(why, ERR_INVALID,
                            "%s side: span number %u with offset %d: histogram has a span whose "
                            "offset is negative",
                            name, i + 1, side->spans[i].offset);
        wanted += side->spans[i].length;
    }
    if (wanted != side->bucket_count)
        return err_fail(why, ERR_INVALID,
                        "%s side: spans need %llu buckets, have %u buckets: histogram spans "
                        "specify different number of buckets than provided",
                        name, (unsigned long long)wanted, side->bucket_count);
    for (uint32_t i = 0; i < side->bucket_count; i++) {
        if (count_is_negative(h, side->counts[i]))
            return err_fail(why, ERR_INVALID,
                            "%s side: bucket number %u has observation count of %g: histogram has "
                            "a bucket whose observation count is negative",
                            name, i + 1, side->counts[i].f);
        *total += count_value(h, side->counts[i]);
    }
    return OK;
}

static err_t validate_custom_bounds(const struct histogram *h, struct strbuf *why)
{
    const double *bounds = h->custom_values;
    for (uint32_t i = 0; i < h->custom_value_count; i++) {
        if (!isfinite(bounds[i]))
            return err_fail(why, ERR_INVALID,
                            "custom buckets: bound is %s: histogram custom "
                            "bounds must be finite",
                            isnan(bounds[i]) ? "NaN"
                            : bounds[i] > 0  ? "+Inf"
                                             : "-Inf");
        if (i > 0 && !(bounds[i] > bounds[i - 1]))
            return err_fail(why, ERR_INVALID,
                            "custom buckets: previous bound is %f and current is %f: histogram "
                            "custom bounds must be in strictly increasing order",
                            bounds[i - 1], bounds[i]);
    }
    uint64_t reach = 0;
    for (uint32_t i = 0; i < h->positive.span_count; i++) {
        if (h->positive.spans[i].offset < 0)
            return err_fail(why, ERR_INVALID,
                            "custom buckets: span number %u with offset %d: histogram has a span "
                            "whose offset is negative",
                            i + 1, h->positive.spans[i].offset);
        reach += (uint64_t)h->positive.spans[i].offset + h->positive.spans[i].length;
    }
    if (reach > (uint64_t)h->custom_value_count + 1)
        return err_fail(why, ERR_INVALID,
                        "custom buckets: only %u custom bounds defined which is insufficient to "
                        "cover total span length of %llu: histogram custom bounds are too few",
                        h->custom_value_count, (unsigned long long)reach);
    return OK;
}

static err_t validate_custom(const struct histogram *h, struct strbuf *why)
{
    TRY(validate_custom_bounds(h, why));
    if (count_value(h, h->zero_count) != 0)
        return err_fail(why, ERR_INVALID, "custom buckets: must have zero count of 0");
    if (h->zero_threshold != 0)
        return err_fail(why, ERR_INVALID, "custom buckets: must have zero threshold of 0");
    if (h->negative.span_count != 0)
        return err_fail(why, ERR_INVALID, "custom buckets: must not have negative spans");
    if (h->negative.bucket_count != 0)
        return err_fail(why, ERR_INVALID, "custom buckets: must not have negative buckets");
    return OK;
}

static err_t validate_total(const struct histogram *h, double total, struct strbuf *why)
{
    total += count_value(h, h->zero_count);
    if (h->kind == HISTOGRAM_FLOAT) {
        /* Float counts may differ from the sum of buckets by rounding. */
        return OK;
    }
    double count = (double)h->count.i;
    if (isnan(h->sum) ? total > count : total != count)
        return err_fail(
            why, ERR_INVALID, "%.0f observations found in buckets, but the Count field is %llu: %s",
            total, (unsigned long long)h->count.i,
            isnan(h->sum) ? "histogram's observation count should be at least the number of "
                            "observations found in the buckets"
                          : "histogram's observation count should equal the number of "
                            "observations found in the buckets (in absence of NaN)");
    return OK;
}

err_t histogram_validate(const struct histogram *h, struct strbuf *why)
{
    /* A stale marker carries no buckets that could be wrong. */
    if (histogram_is_stale(h))
        return OK;
    if (h->schema == HISTOGRAM_SCHEMA_CUSTOM) {
        TRY(validate_custom(h, why));
    } else {
        if (h->schema < HISTOGRAM_SCHEMA_MIN || h->schema > HISTOGRAM_SCHEMA_MAX)
            return err_fail(why, ERR_INVALID,
                            "histogram has an invalid schema, which must be between -4 and 8 for "
                            "exponential buckets, or -53 for custom buckets, got schema %d",
                            h->schema);
        if (h->custom_value_count != 0)
            return err_fail(why, ERR_INVALID,
                            "histogram with exponential schema must not have custom bounds");
    }
    double total = 0;
    TRY(validate_side(h, &h->negative, "negative", &total, why));
    TRY(validate_side(h, &h->positive, "positive", &total, why));
    if (count_is_negative(h, h->zero_count))
        return err_fail(why, ERR_INVALID,
                        "zero bucket has observation count of %g: histogram has a bucket whose "
                        "observation count is negative",
                        h->zero_count.f);
    if (count_is_negative(h, h->count))
        return err_fail(why, ERR_INVALID,
                        "histogram's observation count is negative: observation count is %g",
                        h->count.f);
    return validate_total(h, total, why);
}

static struct histogram_side copy_side(struct arena *arena, const struct histogram_side *side,
                                       bool to_float)
{
    struct histogram_side copy = {.span_count = side->span_count,
                                  .bucket_count = side->bucket_count};
    if (side->span_count > 0) {
        size_t size = side->span_count * sizeof *side->spans;
        copy.spans = memcpy(arena_alloc(arena, size), side->spans, size);
    }
    if (side->bucket_count > 0) {
        size_t size = side->bucket_count * sizeof *side->counts;
        union histogram_count *counts = arena_alloc(arena, size);
        if (to_float) {
            for (uint32_t i = 0; i < side->bucket_count; i++)
                counts[i].f = (double)side->counts[i].i;
        } else {
            memcpy(counts, side->counts, size);
        }
        copy.counts = counts;
    }
    return copy;
}

static struct histogram *copy_histogram(struct arena *arena, const struct histogram *h,
                                        bool to_float)
{
    struct histogram *copy = arena_alloc(arena, sizeof *copy);
    *copy = *h;
    copy->positive = copy_side(arena, &h->positive, to_float);
    copy->negative = copy_side(arena, &h->negative, to_float);
    if (h->custom_value_count > 0) {
        size_t size = h->custom_value_count * sizeof *h->custom_values;
        copy->custom_values = memcpy(arena_alloc(arena, size), h->custom_values, size);
    } else {
        copy->custom_values = NULL;
    }
    return copy;
}

struct histogram *histogram_copy(struct arena *arena, const struct histogram *h)
{
    return copy_histogram(arena, h, false);
}

struct histogram *histogram_to_float(struct arena *arena, const struct histogram *h)
{
    bool convert = h->kind == HISTOGRAM_INTEGER;
    struct histogram *copy = copy_histogram(arena, h, convert);
    if (convert) {
        copy->kind = HISTOGRAM_FLOAT;
        copy->count.f = (double)h->count.i;
        copy->zero_count.f = (double)h->zero_count.i;
    }
    return copy;
}

static bool sides_identical(const struct histogram_side *a, const struct histogram_side *b)
{
    if (a->span_count != b->span_count || a->bucket_count != b->bucket_count)
        return false;
    if (a->span_count > 0 && memcmp(a->spans, b->spans, a->span_count * sizeof *a->spans) != 0)
        return false;
    return a->bucket_count == 0 ||
           memcmp(a->counts, b->counts, a->bucket_count * sizeof *a->counts) == 0;
}

bool histogram_identical(const struct histogram *a, const struct histogram *b)
{
    if (a->kind != b->kind || a->hint != b->hint || a->schema != b->schema)
        return false;
    if (double_bits(a->zero_threshold) != double_bits(b->zero_threshold))
        return false;
    if (a->zero_count.i != b->zero_count.i || a->count.i != b->count.i)
        return false;
    if (double_bits(a->sum) != double_bits(b->sum))
        return false;
    if (!sides_identical(&a->positive, &b->positive) ||
        !sides_identical(&a->negative, &b->negative))
        return false;
    if (a->custom_value_count != b->custom_value_count)
        return false;
    return a->custom_value_count == 0 ||
           memcmp(a->custom_values, b->custom_values,
                  a->custom_value_count * sizeof *a->custom_values) == 0;
}
