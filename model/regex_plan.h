/* model/regex_plan.h: what a pattern tells without an engine.
 *
 * Many patterns are a finite set of strings or strings with gaps ("a.*b|c.+"). Such alternatives
 * are kept as byte strings in which GAP_ANY stands for ".*" and GAP_SOME for ".+" (dot matching
 * newline); both bytes cannot occur in UTF-8.
 */
#pragma once

#include "regex_ast.h"

enum { GAP_ANY = 0xff, GAP_SOME = 0xfe };

enum regex_plan_kind {
    REGEX_PLAN_NONE,  /* needs the engine */
    REGEX_PLAN_SET,   /* exactly these strings match; sorted, unique */
    REGEX_PLAN_GLOBS, /* a string matches if one of these does */
};

struct regex_plan {
    enum regex_plan_kind kind;
    struct str *items;
    uint32_t count;
    struct str prefix; /* of every match */
};

/* All memory is the arena's. */
void regex__plan_make(const struct regex_ast *ast, struct arena *arena, struct regex_plan *plan);
/* For the kinds SET and GLOBS. */
bool regex__plan_matches(const struct regex_plan *plan, struct str text);
