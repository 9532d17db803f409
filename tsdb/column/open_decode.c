/* Reading views of open columns: presence first, then values. */
#include <assert.h>

#include "column_bytes.h"
#include "column_kernels.h"
#include "narthex/tsdb/open_column.h"
#include "open_buffer.h"

/* Bits [first, last) of the bitmap. */
static void set_range(uint64_t bitmap[4], uint32_t first, uint32_t last)
{
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t start = first > i * 64 ? first - i * 64 : 0;
        uint32_t end = last > i * 64 ? last - i * 64 : 0;
        if (start >= 64 || end <= start) {
            bitmap[i] = 0;
            continue;
        }
        uint64_t up_to_end = end >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << end) - 1;
        bitmap[i] = up_to_end & ~UINT64_C(0) << start;
    }
}

/* Rows below the limit that the view's samples belong to; the writer may have set bits of rows
 * newer than the view, so at most view->count of them are taken. */
static uint32_t present_rows(const struct open_column_view *view, uint32_t row_limit,
                             uint64_t bitmap[4])
{
    uint64_t below[4];
    uint32_t count = 0;
    set_range(below, 0, row_limit);
    for (uint32_t i = 0; i < 4; i++) {
        bitmap[i] = below[i] & atomic_load_explicit(&open_buffer_bitmap(view->buffer)[i],
                                                    memory_order_relaxed);
        count += (uint32_t)__builtin_popcountll(bitmap[i]);
    }
    for (uint32_t i = 4; i-- > 0 && count > view->count;) {
        while (bitmap[i] != 0 && count > view->count) {
            bitmap[i] &= ~(UINT64_C(1) << (63 - __builtin_clzll(bitmap[i])));
            count--;
        }
    }
    return count;
}

uint32_t open_column_decode(const struct open_column_view *view, uint32_t row_limit, double *values,
                            uint64_t present_bitmap[4])
{
    assert(row_limit <= COLUMN_ROWS_MAX);
    uint32_t count;
    if (view->buffer != NULL && (view->buffer->flags & OPEN_BUFFER_GAPS)) {
        count = present_rows(view, row_limit, present_bitmap);
    } else {
        uint32_t below = row_limit > view->row0 ? row_limit - view->row0 : 0;
        count = view->count < below ? view->count : below;
        set_range(present_bitmap, view->row0, view->row0 + count);
    }
    if (view->buffer != NULL) {
        open_buffer_decode(view->buffer, count, values);
        return count;
    }
    column__kernels->fill(double_from_bits(view->constant_bits), count, values);
    return count;
}
