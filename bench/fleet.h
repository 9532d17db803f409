/* bench/fleet.h: many distinct targets made of one corpus.
 *
 * Copies of the corpus' jobs take turns until the wanted number of series is reached. Every copy
 * has its own instance label, starts at its own row, and its counters run at a rate of their own
 * and go on rising when the recording begins anew. One owner.
 */
#pragma once

#include <stdint.h>

#include "bench_corpus.h"
#include "narthex/tsdb/storage.h"

struct fleet;

enum { FLEET_INTERVAL_MS = 15000 };

/* Keeps `corpus`; `series_count` is rounded up to whole targets. */
struct fleet *fleet_create(const struct corpus *corpus, uint32_t series_count, uint64_t seed);
void fleet_destroy(struct fleet *fleet);
uint32_t fleet_series_count(const struct fleet *fleet);
uint32_t fleet_target_count(const struct fleet *fleet);

/* Makes all targets write to `storage` from now on; their series are created with their first
 * samples. */
err_t fleet_attach(struct fleet *fleet, struct storage *storage, struct strbuf *why);
void fleet_detach(struct fleet *fleet);

/* Computes the next row of every target, so that storing it can be timed alone; returns its number
 * of samples. */
uint64_t fleet_render(struct fleet *fleet);
/* Stores the rendered row, one commit a target. */
err_t fleet_commit(struct fleet *fleet, struct strbuf *why);
/* Timestamp of target 0's latest row. */
int64_t fleet_newest_ms(const struct fleet *fleet);
const struct corpus_job *fleet_target_job(const struct fleet *fleet, uint32_t index);
/* What target `index` shows at `row`: values[slot] for all series of its job, absent ones included.
 * `job` stays the corpus'. May be called by several threads. */
void fleet_target_row(const struct fleet *fleet, uint32_t index, uint32_t row,
                      const struct corpus_job **job, double *values);
