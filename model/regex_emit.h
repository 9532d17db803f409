/* model/regex_emit.h: syntax tree to pcre2 pattern. */
#pragma once

#include "regex_ast.h"

void regex__emit(const struct regex_node *node, struct strbuf *out);
void regex__emit_class(const struct regex_class *class, struct strbuf *out);
