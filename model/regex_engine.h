/* model/regex_engine.h: running a pattern, with or without captures.
 *
 * pcre2's JIT does the work. Text that is not UTF-8 is matched as if every bad byte were U+FFFD, as
 * RE2 reads it. Immutable after creation; any thread may match.
 */
#pragma once

#include "regex_ast.h"

struct regex_engine;

/* `pattern` is the full pattern as Go would get it (wrapped already). It must parse. */
struct regex_engine *regex__engine_create(struct str pattern);
void regex__engine_destroy(struct regex_engine *engine);

/* A part of the text; begin SIZE_MAX when the group took no part in the match. */
struct regex_span {
    size_t begin;
    size_t end;
};

/* Leftmost match anywhere in text (patterns carry their own anchors). With `spans`, fills
 * spans[0..span_count): the whole match, then groups; missing ones are absent. */
bool regex__engine_match(struct regex_engine *engine, struct str text, struct regex_span *spans,
                         uint32_t span_count);
/* Groups, the whole match not counted, and their names ([count + 1], number 0 is the whole). */
uint32_t regex__engine_capture_count(const struct regex_engine *engine);
const struct str *regex__engine_capture_names(const struct regex_engine *engine);
