/* Running test scripts (spec promql.md 9.4, 9.5). */
#pragma once

#include "narthex/query/engine.h"

#include "script.h"

/* Absolute tolerance of PromQL tests: relative 1e-6, stale markers and NaNs by kind. */
bool values_almost_equal(double a, double b);
bool histograms_almost_equal(struct arena *scratch, const struct histogram *expected,
                             const struct histogram *got, bool with_hint);

/* Fills the store with what the load says, one commit. */
err_t load_run(const struct load_command *load, struct storage *storage, struct strbuf *why);
/* The histograms with custom buckets that classic series of a load stand for. */
err_t load_add_nhcb(const struct load_command *load, struct arena *arena, struct series_lines *out,
                    struct strbuf *why);

/* Each returns ERR_INVALID with what differs. `t_ms` tells which point of a matrix is meant. */
err_t check_annotations(const struct eval_command *eval, const struct query_result *result,
                        struct strbuf *why);
err_t check_instant(const struct eval_command *eval, const struct query_result *result,
                    struct strbuf *why);
err_t check_range(const struct eval_command *eval, const struct query_result *result,
                  struct strbuf *why);
err_t check_middle(const struct eval_command *eval, const struct query_result *result, int64_t t_ms,
                   struct strbuf *why);

/* The query with all its selectors fixed at `t_ms`; *possible false when that would change its
 * meaning. */
err_t query_pin(struct str query, int64_t t_ms, struct strbuf *pinned, bool *possible,
                struct strbuf *why);

/* All evaluations that an eval stands for. */
err_t eval_run(const struct eval_command *eval, struct query_engine *engine, struct strbuf *why);
