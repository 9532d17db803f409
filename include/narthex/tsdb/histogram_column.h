/* tsdb/histogram_column.h: columns of native histograms.
 *
 * As a column of floats holds the values of one slot in one window, a histogram column holds its
 * histograms: 1 to COLUMN_ROWS_MAX of them, dense, each exactly as it was given (layout, hint, bit
 * patterns, stale markers). Inside, rows of the same layout share one description and every bucket
 * is a sub-column of its own. Layout: docs/format/column.md, part 7. A column knows neither its row
 * count nor its size; the file that holds it does.
 *
 * Two columns one after the other are a column with the rows of both.
 *
 * No locks, no I/O; any thread on distinct outputs. Memory: a matrix of rows × buckets while it
 * works.
 */
#pragma once

#include "narthex/base/arena.h"
#include "narthex/base/strbuf.h"
#include "narthex/model/histogram.h"
#include "narthex/tsdb/column.h"

/* Appends the column of histograms[0..count), 1 <= count <= COLUMN_ROWS_MAX. COLUMN_SLACK_BYTES
 * after the end of `out` are readable. */
void histogram_column_encode(struct strbuf *out, const struct histogram *histograms,
                             uint32_t count);

/* Decodes a whole column into histograms[0..count); what they point to is in the arena. `to_float`:
 * integer counts are converted, as histogram_to_float does. `in` must be readable for in_size +
 * COLUMN_SLACK_BYTES bytes. ERR_CORRUPT if the bytes do not describe `count` histograms; any bytes
 * are safe. */
err_t histogram_column_decode(const uint8_t *in, size_t in_size, uint32_t count, bool to_float,
                              struct arena *arena, struct histogram *histograms,
                              struct strbuf *why);

/* Appends a column with the histograms index[0..kept_count) (ascending, at least one) of the
 * `count` ones in `in`. Errors as for decode. */
err_t histogram_column_select(const uint8_t *in, size_t in_size, uint32_t count,
                              const uint8_t *index, uint32_t kept_count, struct strbuf *out,
                              struct strbuf *why);
