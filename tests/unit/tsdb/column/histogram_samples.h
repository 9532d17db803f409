/* Series of native histograms for tests: seeded, of many shapes. */
#pragma once

#include "column_samples.h"
#include "narthex/base/arena.h"
#include "narthex/model/histogram.h"
#include "narthex/tsdb/column.h"

enum { SAMPLE_BUCKETS_MAX = 40 };

struct histogram_source {
    struct random_source *random;
    struct arena *arena;
    enum histogram_kind kind;
    bool derived;          /* counts are the sums of the others */
    uint32_t change_every; /* rows between changes of the layout; 0: never */
    uint32_t first[2];     /* side i has the buckets [first, first + count) */
    uint32_t count[2];
    uint64_t numbers[2][3 * SAMPLE_BUCKETS_MAX];
    uint64_t zero;
    double sum;
    struct histogram scheme;
};

static inline union histogram_count sample_count_of(const struct histogram_source *s, uint64_t n)
{
    union histogram_count count = {.i = n};
    if (s->kind == HISTOGRAM_FLOAT)
        count.f = (double)n / (n % 7 == 0 ? 3 : 1);
    return count;
}

static inline struct histogram_source histogram_source_new(struct random_source *random,
                                                           struct arena *arena)
{
    struct histogram_source s = {.random = random, .arena = arena};
    s.kind = random_below(random, 3) == 0 ? HISTOGRAM_FLOAT : HISTOGRAM_INTEGER;
    s.derived = random_below(random, 4) != 0;
    s.change_every = (uint32_t)random_below(random, 3) * 20;
    for (uint32_t i = 0; i < 2; i++) {
        s.first[i] = (uint32_t)random_below(random, SAMPLE_BUCKETS_MAX);
        s.count[i] = (uint32_t)random_below(random, SAMPLE_BUCKETS_MAX);
    }
    s.scheme.schema = (int32_t)random_below(random, 8) - 3;
    s.scheme.zero_threshold = random_below(random, 2) == 0 ? 0x1p-128 : 1e-3;
    if (random_below(random, 4) == 0) {
        static const double bounds[] = {0.005, 0.1, 0.5, 1, 10, INFINITY};
        s.scheme.schema = HISTOGRAM_SCHEMA_CUSTOM;
        s.scheme.custom_values = bounds;
        s.scheme.custom_value_count = (uint32_t)random_below(random, 7);
    }
    return s;
}

/* Spans over some or all buckets of the side, in one of several ways of writing them. */
static inline struct histogram_side sample_side(struct histogram_source *s, uint32_t side,
                                                uint64_t *total)
{
    uint32_t count = s->count[side];
    struct histogram_span *spans = ARENA_NEW_ARRAY(s->arena, struct histogram_span, count + 1);
    union histogram_count *counts = ARENA_NEW_ARRAY(s->arena, union histogram_count, count + 1);
    struct histogram_side out = {.spans = spans, .counts = counts};
    uint32_t end = 20; /* so that indices may be negative */
    for (uint32_t i = s->first[side]; i < s->first[side] + count; i++) {
        if (i % 11 == 3)
            continue; /* no such bucket */
        int32_t gap = (int32_t)i - (int32_t)end;
        if (out.span_count > 0 && gap == 0)
            spans[out.span_count - 1].length++;
        else
            spans[out.span_count++] = (struct histogram_span){gap, 1};
        end = i + 1;
        uint64_t number = s->numbers[side][i];
        counts[out.bucket_count++] = sample_count_of(s, number);
        *total += number;
    }
    return out;
}

static inline void sample_observe(struct histogram_source *s)
{
    for (uint32_t side = 0; side < 2; side++) {
        for (uint32_t i = 0; i < 3 * SAMPLE_BUCKETS_MAX; i += 1 + i % 3)
            s->numbers[side][i] += random_below(s->random, 3) * random_below(s->random, 1 + i * i);
    }
    s->zero += random_below(s->random, 20) == 0;
    s->sum += (double)random_below(s->random, 100000) / 1000.0;
}

/* The next histogram of the series. */
static inline struct histogram histogram_sample(struct histogram_source *s, uint32_t row)
{
    sample_observe(s);
    if (s->change_every > 0 && row % s->change_every == s->change_every - 1) {
        uint32_t side = (uint32_t)random_below(s->random, 2);
        if (s->first[side] > 0 && random_below(s->random, 2) == 0)
            s->first[side]--;
        s->count[side] += s->count[side] < SAMPLE_BUCKETS_MAX;
    }
    if (random_below(s->random, 200) == 0)
        memset(s->numbers, 0, sizeof s->numbers); /* a counter reset */
    struct histogram h = s->scheme;
    uint64_t total = s->zero;
    if (random_below(s->random, 60) == 0) {
        h = (struct histogram){.kind = HISTOGRAM_FLOAT, .sum = double_from_bits(STALE_NAN_BITS)};
        return h;
    }
    h.kind = s->kind;
    h.hint = random_below(s->random, 30) == 0 ? (enum histogram_hint)random_below(s->random, 4)
                                              : HISTOGRAM_HINT_UNKNOWN;
    h.sum = s->sum;
    h.positive = sample_side(s, 0, &total);
    if (h.schema != HISTOGRAM_SCHEMA_CUSTOM)
        h.negative = sample_side(s, 1, &total);
    h.zero_count = sample_count_of(s, s->zero);
    h.count = sample_count_of(s, s->derived ? total : total + row);
    return h;
}
