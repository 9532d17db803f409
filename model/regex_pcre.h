/* model/regex_pcre.h: the only place that talks to pcre2. */
#pragma once

#include "regex_nfa.h"

struct regex_code;

/* Compiled form of a pattern in pcre2's syntax (UTF, DOTALL), with JIT where there is one; NULL
 * when pcre2 refuses it, which for our patterns means too large. Any thread may match. */
struct regex_code *regex__code_create(struct str pattern);
void regex__code_destroy(struct regex_code *code);

enum regex_verdict {
    REGEX_MATCH,
    REGEX_NO_MATCH,
    REGEX_GAVE_UP, /* a limit was hit: ask the automaton */
};
/* Text must be UTF-8. Fills spans[0..span_count) on a match; groups the pattern does not have are
 * absent. */
enum regex_verdict regex__code_match(const struct regex_code *code, struct str text,
                                     struct regex_span *spans, uint32_t span_count);
