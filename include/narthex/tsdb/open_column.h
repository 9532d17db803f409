/* tsdb/open_column.h: the column of a slot while its window is being written (append form).
 *
 * One writer appends, any number of readers decode, nobody locks.
 *
 *     struct open_column (40 bytes)                 struct open_buffer (slab block)
 *     state ── pointer 48 | row0 8 | count 8 ──────► first, class, exponent, capacity, specials
 *     last sample, last mantissa                    [presence bitmap 32 B]
 *     class, exponent, capacity (copies)            elements: 1, 2, 4 (deltas) or 8 bytes (raw)
 *     hint for the next seal                        specials: 8 bytes + index
 *
 * A slot whose samples are all equal and without gaps has no buffer. Everything needed to read a
 * buffer is in it or in the state word, so one acquire load of that word gives a consistent view.
 * Elements already written never change; widening, a raised exponent or growth make a new
 * buffer, and the old one goes to the retire callback, to be freed when no reader can hold it.
 *
 * Readers choose a row limit: the number of rows the group had published (acquire) before the view
 * was taken. Rows at or above it are not looked at, even if already written.
 *
 * Window change: open_column_take empties the slot for the next window. A reader must find out
 * whether the window it wants is still the slot's: load the group's window number (acquire), take
 * the view, issue an acquire fence, load the number again; if it moved, discard the view and look
 * for the taken or sealed column instead. The writer advances that number, then issues a release
 * fence, before it takes the slots.
 */
#pragma once

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/tsdb/column.h"
#include "narthex/tsdb/slab.h"

struct open_buffer;

/* Zeroed = empty. All fields belong to open_column.c, except `hint`, which belongs to whoever
 * seals the slot's columns (it is not touched here, so that may be another thread). */
struct open_column {
    _Atomic uint64_t state;     /* pointer, row0, count: see above; release stores */
    _Atomic uint64_t last_bits; /* newest sample; also the constant while there is no buffer */
    int64_t last_mantissa;      /* writer only, classes 1, 2, 4 */
    struct column_hint hint;
    uint8_t element_size; /* 0, 1, 2, 4, 8: writer's copies of the buffer's header */
    uint8_t exponent;
    uint8_t capacity; /* elements */
    uint8_t flags;
    uint32_t user; /* free for the owner of the slot */
};
static_assert(sizeof(struct open_column) == 40, "the head counts on 40 bytes a slot");

/* Where buffers come from and go to. One per writer thread or shared; the pool is thread-safe. */
struct open_column_memory {
    struct slab_pool *pool;
    /* Takes ownership of a replaced buffer: call slab_free(pool, block, size) once no reader can
     * hold a view of it. NULL frees at once (no concurrent readers). */
    void (*retire)(void *context, void *block, size_t size);
    void *context;
};

/* A consistent picture of a slot. Valid while the buffer is not freed, that is inside the epoch in
 * which it was taken, or for as long as the caller owns it (open_column_take). */
struct open_column_view {
    const struct open_buffer *buffer; /* NULL: `count` times the constant, or empty */
    uint64_t constant_bits;
    uint16_t row0;  /* row of the first sample */
    uint16_t count; /* samples, from row0 on with gaps if the buffer has a bitmap */
};

/* Appends the sample of `row`, which must be greater than any row appended before and less than
 * COLUMN_ROWS_MAX. Rows in between become gaps. Cannot fail. One writer per slot at a time. */
void open_column_append(struct open_column *slot, uint32_t row, double v,
                        struct open_column_memory *memory);

/* The same for one row of many slots: slots[i] gets values[i]. Slots behind the first `count`, of
 * which `ahead` are in the array too, are those that the next call will begin with: they are only
 * brought into the cache. OPEN_COLUMN_AHEAD of them are enough. */
enum { OPEN_COLUMN_AHEAD = 32 };
void open_column_append_row(struct open_column *const *slots, uint32_t count, uint32_t ahead,
                            uint32_t row, const double *values, struct open_column_memory *memory);

/* Brings the slot and its buffer's tail into the cache, for a writer that will append to it soon.
 */
static inline void open_column_prefetch(const struct open_column *slot)
{
    __builtin_prefetch(slot, 1);
}
void open_column_prefetch_buffer(const struct open_column *slot);

/* Any thread: what the slot holds now. */
struct open_column_view open_column_view(const struct open_column *slot);

/* Decodes the samples of rows below row_limit: values[0..n) dense in row order, n is returned
 * (0 to COLUMN_ROWS_MAX; values must hold COLUMN_ROWS_MAX), and present_bitmap has bit r of word
 * r / 64 set for each row r that is there. Bit for bit what was appended. */
uint32_t open_column_decode(const struct open_column_view *view, uint32_t row_limit, double *values,
                            uint64_t present_bitmap[4]);

/* Writer: empties the slot for the next window and hands its contents over; give the view to
 * open_column_release when its column is sealed and published. The hint stays. */
struct open_column_view open_column_take(struct open_column *slot);

/* Passes the view's buffer (if any) to the retire callback; the view is dead afterwards. */
void open_column_release(struct open_column_view *view, struct open_column_memory *memory);

/* Bytes of the view's buffer as asked from the slab, 0 without one: for memory accounting. */
size_t open_column_buffer_size(const struct open_column_view *view);
