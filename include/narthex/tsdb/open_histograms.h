/* tsdb/open_histograms.h: the histograms of a slot while its window is being written.
 *
 * As open_column.h is to column.h: one writer appends, any number of readers decode, nobody locks.
 *
 *     struct open_histograms          struct open_histogram_buffer
 *     buffer ───────────────────────► rows and bytes of a histogram column   (immutable)
 *     last: newest, as encoded        records of later rows, changes only    (size: release store)
 *     (the writer's)
 *
 * A record holds what changed since the histogram before it; when there are enough of them they
 * are encoded into the column and a new buffer takes the place of the old one, which goes to the
 * retire callback.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/arena.h"
#include "narthex/base/strbuf.h"
#include "narthex/model/histogram.h"

struct open_histogram_buffer;
struct open_histogram_last;

/* Zeroed = empty. */
struct open_histograms {
    _Atomic(struct open_histogram_buffer *) buffer; /* release stores */
    struct open_histogram_last *last;               /* the writer's */
};

/* Takes ownership of a replaced buffer: open_histograms_free_buffer once no reader can hold it. A
 * NULL function frees at once. */
struct open_histograms_memory {
    void (*retire)(void *context, void *buffer);
    void *context;
};

/* Appends the histogram of `row`, as histogram_encode wrote it; rows ascend and are below
 * COLUMN_ROWS_MAX. ERR_CORRUPT, and nothing is added, when the bytes are no histogram. */
err_t open_histograms_append(struct open_histograms *slot, uint32_t row, struct str bytes,
                             const struct open_histograms_memory *memory, struct strbuf *why);

/* Writer: the newest histogram as encoded, empty when there is none. Valid until the next append.
 */
struct str open_histograms_last(const struct open_histograms *slot);

/* Any thread: what the slot holds now; valid while its buffer is not freed. */
struct open_histograms_view {
    const struct open_histogram_buffer *buffer; /* NULL: nothing */
    uint32_t size;
};
struct open_histograms_view open_histograms_view(const struct open_histograms *slot);

/* Sets the bits of the rows below row_limit; returns how many there are. */
uint32_t open_histograms_rows(const struct open_histograms_view *view, uint32_t row_limit,
                              uint64_t rows[4]);

/* Decodes the histograms of the rows below row_limit, in their order, into histograms[], which
 * holds COLUMN_ROWS_MAX; what they point to is in the arena. Returns how many there are. */
uint32_t open_histograms_decode(const struct open_histograms_view *view, uint32_t row_limit,
                                struct arena *arena, struct histogram *histograms);

/* Frees what the slot holds; no reader may use it. The slot is empty afterwards. */
void open_histograms_free(struct open_histograms *slot);
void open_histograms_free_buffer(void *buffer);

/* Bytes that the slot holds, for memory accounting. */
size_t open_histograms_size(const struct open_histograms *slot);
