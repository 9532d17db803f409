/* model/regex_engine.h: running a pattern, with or without captures.
 *
 * pcre2's JIT does the work; the automaton of regex_nfa.h takes over where that cannot. Text that
 * is not UTF-8 is matched as if every bad byte were U+FFFD, as RE2 reads it. Any thread may match.
 */
#pragma once

#include "regex_pcre.h"

struct regex_engine;

/* `pattern` is the full pattern as Go would get it (wrapped already). ERR_INVALID if it does not
 * parse. */
err_t regex__engine_create(struct str pattern, struct regex_engine **engine, struct strbuf *why);
void regex__engine_destroy(struct regex_engine *engine);

/* Leftmost match anywhere in text (patterns carry their own anchors). With `spans`, fills
 * spans[0..span_count): the whole match, then groups; missing ones are absent. */
bool regex__engine_match(struct regex_engine *engine, struct str text, struct regex_span *spans,
                         uint32_t span_count);
/* The two ways of matching by themselves, for tests that compare them; the first may give up. */
enum regex_verdict regex__engine_match_quick(struct regex_engine *engine, struct str text,
                                             struct regex_span *spans, uint32_t span_count);
bool regex__engine_match_exact(struct regex_engine *engine, struct str text,
                               struct regex_span *spans, uint32_t span_count);
/* Groups, the whole match not counted, and their names ([count + 1], number 0 is the whole). */
uint32_t regex__engine_capture_count(const struct regex_engine *engine);
const struct str *regex__engine_capture_names(const struct regex_engine *engine);
