/* model/regex_nfa.h: linear-time matching of a syntax tree.
 *
 * A program of few instructions run by a list of threads in order of preference (Thompson's
 * construction, Pike's simulation), so that no pattern and text take more than size(pattern) x
 * size(text) steps. It is the slow, exact way: it takes over where pcre2 gives up (its match limit,
 * its 64 KiB limit on compiled patterns) and where its captures differ from RE2's. Text is any
 * bytes; one that is not UTF-8 counts as U+FFFD.
 */
#pragma once

#include "regex_ast.h"

struct regex_program;

/* A part of the text; begin SIZE_MAX when the group took no part in the match. */
struct regex_span {
    size_t begin;
    size_t end;
};

/* The tree and its classes must outlive the program; new classes go to `arena`. */
struct regex_program *regex__program_create(const struct regex_ast *ast, struct arena *arena);
void regex__program_destroy(struct regex_program *program);
/* Leftmost match by RE2's preferences; fills spans[0..span_count) as regex__engine_match does. Any
 * thread. */
bool regex__program_match(const struct regex_program *program, struct str text,
                          struct regex_span *spans, uint32_t span_count);
/* Whether the node can match the empty string. */
bool regex__is_nullable(const struct regex_node *node);
