/* query/printer.h: expressions back to text. */
#pragma once

#include "narthex/base/strbuf.h"
#include "narthex/query/ast.h"

/* The canonical form on one line, as the rules API, annotations and error texts show it; parsing it
 * again gives an equal tree. */
void expr_print(const struct expr *expr, struct strbuf *out);

/* Broken into lines where a line would be longer than 100 characters (format_query). */
void expr_print_pretty(const struct expr *expr, struct strbuf *out);
