/* bench/prometheus_chunk.h: what Prometheus' histogram chunks would take. */
#pragma once

#include <stdint.h>

#include "narthex/model/histogram.h"

/* Bytes of the chunks of integer histograms `count` apart by a constant step, of 120 samples each:
 * bits counted by the published encoding, nothing is written. Layouts that change are counted as
 * that of a chunk's last row, as chunks are recoded when buckets appear. Tested against chunks that
 * Prometheus 2.42 wrote: `compare_histograms`. */
uint64_t prometheus_chunk_bytes(const struct histogram *rows, uint32_t count);
