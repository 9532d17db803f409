#include "histogram_change.h"

#include <string.h>

#include "narthex/tsdb/histogram_codec.h"

enum {
    CHANGE = 1,
    CHANGE_HINT_SHIFT = 1,
    CHANGE_MAX = 7,
    BITMAP_SIZE_MAX = HISTOGRAM_CHANGE_NUMBERS_MAX / 8,
};

/* Two encoded histograms read side by side. */
struct change_writer {
    struct byte_reader before;
    struct byte_reader now;
    bool floats;
    bool fits; /* same layout, not too many numbers */
    uint32_t count;
    uint8_t bitmap[BITMAP_SIZE_MAX];
    uint8_t *out;
};

static uint64_t same_uv(struct change_writer *self)
{
    uint64_t a = byte_reader_uv(&self->before), b = byte_reader_uv(&self->now);
    if (a != b)
        self->fits = false;
    return b;
}

static void same_double(struct change_writer *self)
{
    if (byte_reader_u64(&self->before) != byte_reader_u64(&self->now))
        self->fits = false;
}

static void add_number(struct change_writer *self, bool is_double)
{
    uint64_t a = is_double ? byte_reader_u64(&self->before) : byte_reader_uv(&self->before);
    uint64_t b = is_double ? byte_reader_u64(&self->now) : byte_reader_uv(&self->now);
    uint32_t number = self->count++;
    if (number >= HISTOGRAM_CHANGE_NUMBERS_MAX)
        self->fits = false;
    if (!self->fits || a == b)
        return;
    self->bitmap[number / 8] |= (uint8_t)(1u << number % 8);
    self->out = is_double ? coding_write_change(self->out, b, a)
                          : coding_write_uv(self->out, coding_zigzag((int64_t)(b - a)));
}

static void add_side(struct change_writer *self)
{
    uint64_t spans = same_uv(self);
    for (uint64_t i = 0; i < 2 * spans && self->fits && !self->now.failed; i++)
        same_uv(self);
    uint64_t buckets = same_uv(self);
    for (uint64_t i = 0; i < buckets && self->fits && !self->now.failed; i++)
        add_number(self, self->floats);
}

static void add_all(struct change_writer *self)
{
    same_uv(self); /* schema */
    same_double(self);
    add_number(self, self->floats);
    add_number(self, self->floats);
    add_number(self, true);
    add_side(self);
    add_side(self);
    uint64_t bounds = same_uv(self);
    for (uint64_t i = 0; i < bounds && self->fits && !self->now.failed; i++)
        same_double(self);
}

/* The bitmap's bytes that are not 0, after a bitmap of them. Returns the end. */
static uint8_t *write_bitmap(const struct change_writer *self, uint8_t *out)
{
    uint32_t size = (self->count + 7) / 8;
    uint8_t *mask = out;
    out += (size + 7) / 8;
    memset(mask, 0, (size_t)(out - mask));
    for (uint32_t i = 0; i < size; i++) {
        if (self->bitmap[i] == 0)
            continue;
        mask[i / 8] |= (uint8_t)(1u << i % 8);
        *out++ = self->bitmap[i];
    }
    return out;
}

size_t histogram_change_write(struct str before, struct str now,
                              uint8_t out[HISTOGRAM_CHANGE_SIZE_MAX])
{
    uint8_t numbers[HISTOGRAM_CHANGE_NUMBERS_MAX * CODING_CHANGE_MAX];
    struct change_writer self = {
        .before = byte_reader_of(before.data, before.size),
        .now = byte_reader_of(now.data, now.size),
        .fits = true,
        .out = numbers,
    };
    uint8_t first = byte_reader_u8(&self.now);
    self.floats = (first & 1) == HISTOGRAM_FLOAT;
    if ((byte_reader_u8(&self.before) & 1) != (first & 1))
        return 0;
    add_all(&self);
    if (!self.fits || self.before.failed || self.now.failed || self.now.at != self.now.end)
        return 0;
    out[0] = (uint8_t)(CHANGE | (first >> 1) << CHANGE_HINT_SHIFT);
    uint8_t *end = write_bitmap(&self, out + 1);
    size_t size = (size_t)(self.out - numbers);
    memcpy(end, numbers, size);
    return (size_t)(end - out) + size;
}

/* ---- reading ---- */

struct change_reader {
    struct byte_reader in;
    bool floats;
    uint32_t number;
    uint8_t bitmap[BITMAP_SIZE_MAX];
};

static void read_bitmap(struct change_reader *self, uint32_t count)
{
    uint32_t size = (count + 7) / 8;
    const uint8_t *mask = byte_reader_take(&self->in, (size + 7) / 8);
    for (uint32_t i = 0; mask != NULL && i < size; i++) {
        if ((mask[i / 8] >> i % 8 & 1) != 0)
            self->bitmap[i] = byte_reader_u8(&self->in);
    }
}

static uint64_t read_number(struct change_reader *self, uint64_t before, bool is_double)
{
    uint32_t number = self->number++;
    if ((self->bitmap[number / 8] >> number % 8 & 1) == 0)
        return before;
    return is_double ? byte_reader_change(&self->in, before)
                     : before + (uint64_t)byte_reader_zv(&self->in);
}

static void read_counts(struct change_reader *self, struct arena *arena,
                        struct histogram_side *side)
{
    union histogram_count *counts =
        arena_alloc(arena, ((size_t)side->bucket_count + 1) * sizeof *counts);
    for (uint32_t i = 0; i < side->bucket_count; i++)
        counts[i].i = read_number(self, side->counts[i].i, self->floats);
    side->counts = counts;
}

err_t histogram_change_read(struct str record, const struct histogram *before, struct arena *arena,
                            struct histogram *now, struct strbuf *why)
{
    struct change_reader self = {.in = byte_reader_of(record.data, record.size)};
    uint8_t first = byte_reader_u8(&self.in);
    if (first == 0 && !self.in.failed)
        return histogram_decode(str_from(record.data + 1, record.size - 1), arena, now, why);
    if (before == NULL || (first & CHANGE) == 0 || first > CHANGE_MAX)
        return err_fail(why, ERR_CORRUPT, "malformed histogram");
    uint64_t count = 3 + (uint64_t)before->positive.bucket_count + before->negative.bucket_count;
    if (count > HISTOGRAM_CHANGE_NUMBERS_MAX)
        return err_fail(why, ERR_CORRUPT, "malformed histogram");
    *now = *before;
    now->hint = (enum histogram_hint)(first >> CHANGE_HINT_SHIFT);
    self.floats = before->kind == HISTOGRAM_FLOAT;
    read_bitmap(&self, (uint32_t)count);
    now->zero_count.i = read_number(&self, before->zero_count.i, self.floats);
    now->count.i = read_number(&self, before->count.i, self.floats);
    now->sum = double_from_bits(read_number(&self, double_bits(before->sum), true));
    read_counts(&self, arena, &now->positive);
    read_counts(&self, arena, &now->negative);
    if (self.in.failed || self.in.at != self.in.end)
        return err_fail(why, ERR_CORRUPT, "malformed histogram");
    return OK;
}
