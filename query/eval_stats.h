/* query/eval_stats.h: what a query read and held (private to query/; spec promql.md 8.1, 8.2). */
#pragma once

#include "eval.h"

/* Adds up the scopes into the root's; fills totals, the peak and, if asked for, the steps. */
void eval_stats__fill(struct eval *eval, struct op *root, struct query_result *result);
