/* model/histogram.h: native histograms (spec promql.md, section 7).
 *
 * One struct for integer and float histograms; bucket counts are absolute (never differences), in
 * the order of the spans. Storage keeps integers exactly; the query engine works on the float kind
 * only (histogram_to_float). The struct is a view: arrays belong to whoever made it (an arena, a
 * cursor's buffer) and live as long as that says. Arithmetic is in model/histogram_math.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/arena.h"
#include "narthex/base/err.h"
#include "narthex/base/strbuf.h"

enum histogram_kind { HISTOGRAM_INTEGER, HISTOGRAM_FLOAT };

enum histogram_hint {
    HISTOGRAM_HINT_UNKNOWN,
    HISTOGRAM_HINT_RESET,
    HISTOGRAM_HINT_NOT_RESET,
    HISTOGRAM_HINT_GAUGE,
};

enum {
    HISTOGRAM_SCHEMA_MIN = -4,
    HISTOGRAM_SCHEMA_MAX = 8,
    HISTOGRAM_SCHEMA_RESERVED_MIN = -9, /* reduced to the range above on ingestion */
    HISTOGRAM_SCHEMA_RESERVED_MAX = 52,
    HISTOGRAM_SCHEMA_CUSTOM = -53, /* custom bounds (NHCB) */
};

/* The first offset is absolute, the others are the gap to the end of the span before. */
struct histogram_span {
    int32_t offset;
    uint32_t length;
};

union histogram_count {
    uint64_t i; /* HISTOGRAM_INTEGER */
    double f;   /* HISTOGRAM_FLOAT */
};

struct histogram_side {
    const struct histogram_span *spans;
    const union histogram_count *counts; /* as many as the span lengths add up to */
    uint32_t span_count;
    uint32_t bucket_count;
};

struct histogram {
    enum histogram_kind kind;
    enum histogram_hint hint;
    int32_t schema;
    double zero_threshold;
    union histogram_count zero_count;
    union histogram_count count;
    double sum; /* the stale bit pattern marks a stale histogram */
    struct histogram_side positive;
    struct histogram_side negative; /* empty with custom bounds */
    const double *custom_values;    /* ascending upper bounds, HISTOGRAM_SCHEMA_CUSTOM only */
    uint32_t custom_value_count;
};

/* Bit patterns with a meaning (spec promql.md 3). */
#define STALE_NAN_BITS UINT64_C(0x7ff0000000000002)
#define NORMAL_NAN_BITS UINT64_C(0x7ff8000000000001)

static inline uint64_t double_bits(double v)
{
    uint64_t bits;
    __builtin_memcpy(&bits, &v, sizeof bits);
    return bits;
}

static inline double double_from_bits(uint64_t bits)
{
    double v;
    __builtin_memcpy(&v, &bits, sizeof v);
    return v;
}

static inline bool value_is_stale(double v)
{
    return double_bits(v) == STALE_NAN_BITS;
}

static inline bool histogram_is_stale(const struct histogram *h)
{
    return value_is_stale(h->sum);
}

/* Whether spans and counts agree, no span is negative, custom bounds ascend, and so on; ERR_INVALID
 * with Prometheus' text otherwise. What comes from outside is validated before it is stored. */
err_t histogram_validate(const struct histogram *h, struct strbuf *why);

/* Deep copy into the arena; the second converts integer counts to doubles besides. */
struct histogram *histogram_copy(struct arena *arena, const struct histogram *h);
struct histogram *histogram_to_float(struct arena *arena, const struct histogram *h);

/* Same kind, hint, layout and bit patterns everywhere: what storage promises to keep. */
bool histogram_identical(const struct histogram *a, const struct histogram *b);

/* Whether a counter goes on from one stored histogram to the next one: no explicit reset, the same
 * layout parameters, no count that fell. What storage gives such a histogram back as is
 * HISTOGRAM_HINT_NOT_RESET (spec promql.md 7.4). Any kinds. */
bool histogram_continues_run(const struct histogram *before, const struct histogram *after);
