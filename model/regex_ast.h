/* model/regex_ast.h: syntax tree of a regular expression, shared by the parser, the emitter, the
 * planner and the automaton. All nodes live in the arena given to the parser. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/arena.h"
#include "narthex/base/err.h"
#include "narthex/base/str.h"
#include "narthex/base/strbuf.h"

enum {
    REGEX_REPEAT_MAX = 1000, /* largest count, also of the product of nested ones */
    REGEX_HEIGHT_MAX = 1000, /* nesting of the tree; recursion over it is bounded by this */
    REGEX_SIZE_MAX = (128 << 20) / 40, /* instructions Go's limit of 128 MiB leaves */
    RUNE_MAX = 0x10ffff,
    SURROGATE_FIRST = 0xd800,
    SURROGATE_LAST = 0xdfff,
    RUNE_BAD = 0xfffd, /* what a byte that is not UTF-8 counts as, width 1 */
};

static inline bool rune_is_surrogate(uint32_t rune)
{
    return rune >= SURROGATE_FIRST && rune <= SURROGATE_LAST;
}

enum regex_op {
    REGEX_EMPTY,   /* matches the empty string */
    REGEX_LITERAL, /* one rune */
    REGEX_CLASS,   /* one rune of a set */
    REGEX_ANY,     /* any rune */
    REGEX_BEGIN_TEXT,
    REGEX_END_TEXT,
    REGEX_BEGIN_LINE,
    REGEX_END_LINE,
    REGEX_WORD_BOUNDARY,
    REGEX_NO_WORD_BOUNDARY,
    REGEX_CAPTURE,
    REGEX_REPEAT,
    REGEX_CONCAT,
    REGEX_ALTERNATE,
};

struct regex_range {
    uint32_t low;
    uint32_t high;
};

/* A Unicode property inside a class, in pcre2's spelling ("Lu", "sc:Greek"). */
struct regex_property {
    const char *name;
    bool negated;
};

/* Union of ranges and properties, or its complement. Ranges are sorted and disjoint and have case
 * folding already applied. */
struct regex_class {
    struct regex_range *ranges;
    uint32_t range_count;
    struct regex_property *properties;
    uint32_t property_count;
    bool negated;
};

struct regex_node {
    struct regex_node *next;  /* sibling */
    struct regex_node *child; /* first child: CAPTURE, REPEAT (one), CONCAT, ALTERNATE (many) */
    union {
        uint32_t rune;                   /* LITERAL */
        const struct regex_class *class; /* CLASS */
        uint32_t capture;                /* CAPTURE: 1-based number */
        struct {
            int16_t min;
            int16_t max; /* -1: no limit */
        } repeat;
    };
    uint8_t op;
    bool fold;       /* LITERAL: either case */
    bool greedy;     /* REPEAT */
    uint16_t height; /* of the tree below, itself counted; at most REGEX_HEIGHT_MAX */
};

struct regex_ast {
    struct regex_node *root;
    uint32_t capture_count;    /* groups, the whole match not counted */
    struct str *capture_names; /* [capture_count + 1]; empty: unnamed */
};

/* Parses RE2 syntax with Perl extensions, as Go's regexp.Compile takes it. `pattern` must outlive
 * the tree. ERR_INVALID with "error parsing regexp: …". */
err_t regex__parse(struct str pattern, struct arena *arena, struct regex_ast *ast,
                   struct strbuf *why);

/* "error parsing regexp: CODE: `text`". */
err_t regex__fail(struct strbuf *why, const char *code, struct str text);

/* --- classes (regex_class.c) --- */

/* Growing set while a class is read. All zero is empty; memory of MEM_MODEL until deinit. */
struct regex_class_builder {
    struct regex_range *ranges;
    uint32_t count;
    uint32_t capacity;
    struct regex_property *properties;
    uint32_t property_count;
    uint32_t property_capacity;
};
void regex__class_deinit(struct regex_class_builder *builder);
void regex__class_add(struct regex_class_builder *builder, uint32_t low, uint32_t high, bool fold);
/* \d \D \s \S \w \W; false if `letter` is none of them. */
bool regex__class_add_perl(struct regex_class_builder *builder, char letter, bool fold);
/* Reads \pX, \p{Name}, \P… at text (which begins with \p or \P). */
err_t regex__class_add_property(struct regex_class_builder *builder, struct str text, bool fold,
                                size_t *used, struct strbuf *why);
/* Normalised copy in the arena. */
const struct regex_class *regex__class_finish(struct regex_class_builder *builder, bool negated,
                                              struct arena *arena);
/* Reads a whole [...] at text[0]. */
err_t regex__class_parse(struct str text, bool fold, struct arena *arena, size_t *used,
                         const struct regex_class **class, struct strbuf *why);
/* Reads the escape at text (which begins with a backslash) as one rune. */
err_t regex__escape_parse(struct str text, size_t *used, uint32_t *rune, struct strbuf *why);
/* First rune of text, which is not empty; bad UTF-8 is an error. */
err_t regex__rune_parse(struct str text, size_t *used, uint32_t *rune, struct strbuf *why);
/* OK, or the error of the first bad byte. */
err_t regex__utf8_check(struct str text, struct strbuf *why);
/* pcre2's spelling of a property name as Go takes it, or NULL. */
const char *regex__property_find(struct str name);
/* Whether the set is exactly all runes. */
bool regex__class_is_all(const struct regex_class *class);
