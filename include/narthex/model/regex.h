/* model/regex.h: RE2-syntax regular expressions on pcre2.
 *
 * A parser of RE2 syntax decides what is legal, with Go's error text, and emits an equivalent pcre2
 * pattern (docs: spec promql.md 3, architecture.md "Regular expressions"). Matching is anchored at
 * both ends with dot matching newline, ^(?s:RE)$, and heeds case unless the pattern says otherwise.
 * Text is any bytes; one that is not UTF-8 counts as U+FFFD, as in RE2.
 *
 * Finite sets ("a|b|c") and strings with gaps ("a.*b|.+c") are answered without an engine, which is
 * then made only when captures are asked for. Everything else runs on pcre2's JIT; when its match
 * limit is hit, a pattern is too large for it, or its captures would differ from RE2's, a
 * linear-time automaton (model/regex_nfa.h) takes over. No legal pattern fails.
 *
 * A compiled regex is immutable to its users and may be used from any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/err.h"
#include "narthex/base/str.h"
#include "narthex/base/strbuf.h"

struct regex;

enum { REGEX_PATTERN_BYTES_MAX = 1 << 20, REGEX_SET_MAX = 1024 };

/* ERR_INVALID with Go's text, for example
 *   error parsing regexp: missing closing ): `^(?s:a(b)$`
 * (the pattern shown is the wrapped one, as Prometheus shows it). */
err_t regex_compile(struct str pattern, struct regex **regex, struct strbuf *why);
void regex_destroy(struct regex *regex);

/* Whether the whole of text matches. */
bool regex_matches(const struct regex *regex, struct str text);

/* What can be known without matching, for index look-ups. */
/* All strings that match, when the pattern is a small finite set ("a|b|c", "x[12]", "lit"); count 0
 * when it is not. The views live as long as the regex. */
struct regex_set {
    const struct str *items;
    size_t count;
};
struct regex_set regex_set(const struct regex *regex);
/* Case-sensitive literal every match begins with; may be empty. */
struct str regex_prefix(const struct regex *regex);
/* Whether the pattern matches every string (".*"). */
bool regex_matches_all(const struct regex *regex);

/* Anchored match with captures, for label_replace and relabeling: on a match appends the expansion
 * of `replacement` ($1 ${1} $name ${name} $$, spec promql.md 6.4) to out and returns true. */
bool regex_expand(const struct regex *regex, struct str text, struct str replacement,
                  struct strbuf *out);
/* Unanchored search, for `expect … regex:` lines and filters. */
bool regex_search(const struct regex *regex, struct str text);
