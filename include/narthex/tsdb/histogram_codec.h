/* tsdb/histogram_codec.h: native histograms as bytes, exactly as they are given.
 *
 *     u8 kind | hint << 1; zv schema; f64 zero threshold; count zero count; count count; f64 sum
 *     twice (positive, negative): uv spans, spans × (zv offset, uv length), count per bucket
 *     uv custom bounds, f64 each
 *
 * A count is uv for integer histograms and f64 for float ones. Used by the log and where a single
 * histogram is stored; columns of them are in histogram_column.h.
 */
#pragma once

#include "narthex/base/arena.h"
#include "narthex/base/strbuf.h"
#include "narthex/model/histogram.h"

/* Bytes of the largest one that is stored, about 8000 buckets of a float histogram: COLUMN_ROWS_MAX
 * of them fit into a column of a block. Nothing smaller fails to be decoded. */
enum { HISTOGRAM_STORED_BYTES_MAX = 1 << 16 };

/* Appends the histogram to out. */
void histogram_encode(struct strbuf *out, const struct histogram *histogram);
/* Decodes into the arena. ERR_CORRUPT; any bytes are safe. */
err_t histogram_decode(struct str bytes, struct arena *arena, struct histogram *histogram,
                       struct strbuf *why);
