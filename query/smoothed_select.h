/* query/smoothed_select.h: `metric smoothed` (private to query/; spec promql.md 3). */
#pragma once

#include "samples.h"

/* Fills a row of a selector whose times reach a lookback to both sides. */
err_t smoothed_select__fill(struct op *op, const struct select_times *times,
                            const struct select_hints *hints, struct lane *lane,
                            const struct series *series, struct row *row, struct strbuf *why);
