#include "prometheus_chunk.h"

#include <string.h>

enum {
    CHUNK_SAMPLES = 120,
    CHUNK_HEAD_BYTES = 2 + 1,
    CHUNK_FRAME_BYTES = 1 + 2 + 4,
    NUMBERS = 512
};

static uint64_t signed_bits(int64_t x)
{
    static const struct {
        uint8_t bits, prefix;
    } classes[] = {{3, 2}, {6, 3}, {9, 4}, {12, 5}, {18, 6}, {25, 7}, {56, 8}};
    if (x == 0)
        return 1;
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        int64_t limit = INT64_C(1) << (classes[i].bits - 1);
        if (x > -limit && x <= limit)
            return classes[i].bits + classes[i].prefix;
    }
    return 64 + 8;
}

/* A sum against the one before; the window of bits is kept as long as it fits. */
static uint64_t sum_bits(uint64_t x, uint32_t *leading, uint32_t *trailing)
{
    if (x == 0)
        return 1;
    uint32_t lead = (uint32_t)__builtin_clzll(x), trail = (uint32_t)__builtin_ctzll(x);
    lead = lead > 31 ? 31 : lead;
    if (*leading != UINT32_MAX && lead >= *leading && trail >= *trailing)
        return 2 + 64 - *leading - *trailing;
    *leading = lead;
    *trailing = trail;
    return 2 + 5 + 6 + 64 - lead - trail;
}

/* Zero count, count and the buckets of `layout` as differences between neighbours. */
static uint32_t numbers_of(const struct histogram *row, const struct histogram *layout,
                           int64_t *numbers)
{
    uint32_t n = 0, own = 0;
    int64_t index = 0, own_index = 0, before = 0;
    numbers[n++] = (int64_t)row->zero_count.i;
    numbers[n++] = (int64_t)row->count.i;
    uint32_t own_span = 0, own_used = 0;
    if (row->positive.span_count > 0)
        own_index = row->positive.spans[0].offset;
    for (uint32_t span = 0; span < layout->positive.span_count; span++) {
        index += layout->positive.spans[span].offset;
        for (uint32_t i = 0; i < layout->positive.spans[span].length; i++, index++) {
            int64_t count = 0;
            if (own < row->positive.bucket_count && own_index == index) {
                count = (int64_t)row->positive.counts[own++].i;
                own_index++;
                if (++own_used == row->positive.spans[own_span].length &&
                    ++own_span < row->positive.span_count) {
                    own_used = 0;
                    own_index += row->positive.spans[own_span].offset;
                }
            }
            if (n < NUMBERS)
                numbers[n++] = count - before;
            before = count;
        }
    }
    return n;
}

static uint64_t layout_bits(const struct histogram *layout)
{
    uint64_t bits = signed_bits(layout->schema) + 8 * (layout->zero_threshold == 0x1p-128 ? 1 : 9);
    for (uint32_t i = 0; i < layout->positive.span_count; i++)
        bits += signed_bits(layout->positive.spans[i].length) +
                signed_bits(layout->positive.spans[i].offset);
    return bits + 2 * signed_bits(1) + 64 * layout->custom_value_count;
}

static uint64_t chunk_bytes(const struct histogram *rows, uint32_t count)
{
    const struct histogram *layout = &rows[count - 1];
    int64_t before[NUMBERS], deltas[NUMBERS], now[NUMBERS];
    uint32_t leading = UINT32_MAX, trailing = 0;
    uint64_t bits = layout_bits(layout);
    memset(deltas, 0, sizeof deltas);
    for (uint32_t row = 0; row < count; row++) {
        uint32_t n = numbers_of(&rows[row], layout, now);
        bits += row == 0 ? 72 + 64 : row == 1 ? 4 + 12 : 1; /* the time, and the first sum */
        for (uint32_t i = 0; i < n; i++) {
            int64_t delta = row == 0 ? 0 : now[i] - before[i];
            bits += signed_bits(row == 0 ? now[i] : delta - deltas[i]);
            deltas[i] = delta;
            before[i] = now[i];
        }
        if (row > 0)
            bits += sum_bits(double_bits(rows[row].sum) ^ double_bits(rows[row - 1].sum), &leading,
                             &trailing);
    }
    return (bits + 7) / 8 + CHUNK_HEAD_BYTES + CHUNK_FRAME_BYTES;
}

uint64_t prometheus_chunk_bytes(const struct histogram *rows, uint32_t count)
{
    uint64_t bytes = 0;
    for (uint32_t from = 0; from < count; from += CHUNK_SAMPLES)
        bytes +=
            chunk_bytes(rows + from, count - from < CHUNK_SAMPLES ? count - from : CHUNK_SAMPLES);
    return bytes;
}
