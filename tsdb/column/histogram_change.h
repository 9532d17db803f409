/* A histogram as what changed since the one before: records of open histograms.
 *
 *     u8 bit 0 change, bits 1-2 hint | changes        or     u8 0 | histogram_encode
 *
 * Numbers in order: zero count, count, sum, positive buckets, negative buckets. Changes: a bitmap
 * of the numbers that differ, of which only the bytes that are not 0 are kept, with a bitmap of
 * those in front; then zv of the difference for integer counts, a change of double (base/coding.h)
 * for the others.
 */
#pragma once

#include "narthex/base/arena.h"
#include "narthex/base/coding.h"
#include "narthex/model/histogram.h"

enum {
    HISTOGRAM_CHANGE_NUMBERS_MAX = 1024,
    /* Bytes of the longest change. */
    HISTOGRAM_CHANGE_SIZE_MAX = 1 + HISTOGRAM_CHANGE_NUMBERS_MAX / 64 +
                                HISTOGRAM_CHANGE_NUMBERS_MAX / 8 +
                                HISTOGRAM_CHANGE_NUMBERS_MAX * CODING_CHANGE_MAX,
};

/* Writes the record that leads from one encoded histogram to the next; returns its size, or 0 when
 * their layouts differ or there are too many numbers: then the record is a byte 0 and `now`. */
size_t histogram_change_write(struct str before, struct str now,
                              uint8_t out[HISTOGRAM_CHANGE_SIZE_MAX]);

/* Reads a record of either kind; `before` may be NULL for the second one. Spans and bounds are
 * shared with `before`. */
err_t histogram_change_read(struct str record, const struct histogram *before, struct arena *arena,
                            struct histogram *now, struct strbuf *why);
