/* Characters of PromQL and Go's way of quoting one of them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/str.h"
#include "narthex/base/strbuf.h"

static inline bool promql_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static inline bool promql_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool promql_is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static inline bool promql_is_alphanumeric(char c)
{
    return promql_is_alpha(c) || promql_is_digit(c);
}

/* The code point at an offset as Go's %q prints a rune ('}', '\n'); the replacement character for
 * bytes that are not UTF-8 and beyond the end. */
void promql_add_quoted_rune(struct strbuf *out, struct str text, size_t offset);
/* The same as Go's %#U: U+002E '.'. */
void promql_add_rune_name(struct strbuf *out, struct str text, size_t offset);
