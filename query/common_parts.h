/* query/common_parts.h: equal parts of a query are evaluated once (private to query/).
 *
 * common_parts.c numbers the expressions so that equal ones have equal numbers; shared_operator.c
 * lets several readers take the rows of one operator. What limits and statistics count stays as if
 * every reader had evaluated the part itself.
 */
#pragma once

#include "eval.h"

/* Numbers the tree, which must be prepared: durations and "@" have their values. Sets eval->classes
 * when a part that selects something occurs twice, else leaves it NULL. */
void common_parts__find(struct eval *eval, struct expr *root, uint32_t node_count);

/* Whether the part is one that occurs more than once. */
bool common_parts__repeated(const struct eval *eval, const struct expr *expr);

/* The operator of a part that occurs more than once: a reader of the one evaluation at the scope's
 * steps. */
err_t op_shared__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                        struct op **op, struct strbuf *why);
/* Whether the operator is such a reader, and the operator that did its work: NULL if it never ran.
 */
bool op_shared__worker(const struct op *op, const struct op **worker);
