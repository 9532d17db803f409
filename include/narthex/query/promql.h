/* query/promql.h: what can be done with query text without running it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/arena.h"
#include "narthex/base/err.h"
#include "narthex/base/strbuf.h"
#include "narthex/model/matcher.h"
#include "narthex/tsdb/storage.h"

/* Switches of --enable-feature that change the language or the engine. */
struct promql_features {
    bool experimental_functions;   /* promql-experimental-functions */
    bool extended_range_selectors; /* promql-extended-range-selectors */
    bool binop_fill_modifiers;     /* promql-binop-fill-modifiers */
    bool delayed_name_removal;     /* promql-delayed-name-removal */
    bool per_step_stats;           /* promql-per-step-stats */
    bool start_timestamps;         /* use-start-timestamps */
    bool type_and_unit_labels;     /* type-and-unit-labels */
    bool no_duration_expressions;  /* off only for tests: the 3.14 server has them on */
};

/* Errors below are ERR_INVALID with "L:C: parse error: MSG". */

/* The pretty printed form of a query (/api/v1/format_query). */
err_t promql_format(struct str text, const struct promql_features *features, struct strbuf *out,
                    struct strbuf *why);
/* The JSON tree of /api/v1/parse_query. */
err_t promql_parse_json(struct str text, const struct promql_features *features, struct strbuf *out,
                        struct strbuf *why);
/* A match[] parameter: a bare selector; `selector` and its matchers are allocated in `arena`, and
 * promql_selector_deinit frees their regexes. Fails with "match[] must contain at least one
 * non-empty matcher" when every matcher accepts "" unless allow_empty. */
err_t promql_parse_selector(struct str text, bool allow_empty, struct arena *arena,
                            struct selector *selector, struct strbuf *why);
void promql_selector_deinit(struct selector *selector);
/* All vector selectors of an expression, for query_exemplars; free each as above. */
err_t promql_expression_selectors(struct str text, const struct promql_features *features,
                                  struct arena *arena, struct selector **selectors, size_t *count,
                                  struct strbuf *why);
/* Prometheus duration ("1h30m", "0"), milliseconds; ERR_INVALID with its text. */
err_t promql_parse_duration(struct str text, int64_t *ms, struct strbuf *why);
