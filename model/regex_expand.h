/* model/regex_expand.h: replacement templates (spec promql.md 6.4). */
#pragma once

#include "regex_engine.h"

/* Appends `replacement` with $1 ${1} $name ${name} $$ resolved against spans[0..count) of text;
 * names[i] is the name of group i. Unknown groups are empty, a malformed '$' stays. */
void regex__expand(struct str text, struct str replacement, const struct regex_span *spans,
                   const struct str *names, uint32_t count, struct strbuf *out);
