/* query/ast.h: PromQL as a typed tree, and the parser that makes it.
 *
 * Nodes, names and lists live in the arena given to promql_parse; only the matchers own heap memory
 * (their compiled regexes), which parsed_query_deinit gives back. `start` and `end` are byte
 * offsets into the query's text, end exclusive; annotations point at `start`. After promql_parse
 * the tree is type-checked: every node's `type` is right, arguments fit their function, sides fit
 * their operator. Durations that depend on the query's step or range have no value before
 * promql_prepare. A tree has one owner; it may be read by many threads once prepared.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/arena.h"
#include "narthex/base/err.h"
#include "narthex/base/strbuf.h"
#include "narthex/model/matcher.h"
#include "narthex/query/functions.h"
#include "narthex/query/promql.h"
#include "narthex/tsdb/storage.h"

enum {
    PROMQL_DEPTH_MAX = 1000, /* nesting of parentheses, calls and operators; deeper is an error */
    PROMQL_TEXT_BYTES_MAX = 16 << 20,
};

enum expr_kind {
    EXPR_NUMBER,
    EXPR_STRING,
    EXPR_VECTOR_SELECTOR,
    EXPR_MATRIX_SELECTOR,
    EXPR_SUBQUERY,
    EXPR_CALL,
    EXPR_AGGREGATION,
    EXPR_BINARY,
    EXPR_UNARY,
    EXPR_PAREN,
};

/* ---- durations ---- */

enum duration_op {
    DURATION_LITERAL,
    DURATION_STEP,   /* step() */
    DURATION_RANGE,  /* range() */
    DURATION_NEGATE, /* unary, lhs only */
    DURATION_ADD,
    DURATION_SUB,
    DURATION_MUL,
    DURATION_DIV,
    DURATION_MOD,
    DURATION_POW,
    DURATION_MIN_OF,
    DURATION_MAX_OF,
};

/* A tree of duration arithmetic in float64 seconds. */
struct duration_expr {
    enum duration_op op;
    uint32_t start;
    uint32_t end;
    bool wrapped;     /* written in parentheses */
    bool is_duration; /* literal written as "5m" rather than as a number */
    double seconds;   /* DURATION_LITERAL */
    struct duration_expr *lhs;
    struct duration_expr *rhs;
};

struct duration {
    int64_t ms;                 /* valid at once when expr is NULL, else after promql_prepare */
    struct duration_expr *expr; /* NULL: a plain literal, or absent (ms 0) */
};

/* ---- parts of nodes ---- */

enum at_kind { AT_NONE, AT_TIME, AT_START, AT_END };

/* What may follow a selector or a subquery. */
struct time_modifiers {
    struct duration offset; /* may be negative */
    enum at_kind at;
    int64_t at_ms; /* AT_TIME; after promql_prepare also AT_START and AT_END */
};

struct vector_selector {
    struct str name; /* the name as written outside the braces, or empty */
    /* Every matcher, also the one of `name` (then the last). */
    struct selector selector;
    struct time_modifiers when;
    bool anchored;
    bool smoothed;
    bool may_match_empty; /* second argument of info() */
};

struct matrix_selector {
    struct expr *vector; /* EXPR_VECTOR_SELECTOR; holds offset, @, anchored and smoothed */
    struct duration range;
};

struct subquery {
    struct expr *expr;
    struct duration range;
    struct duration step; /* 0 without expr: the engine's default step */
    bool has_step;
    struct time_modifiers when;
};

struct call {
    const struct function *function;
    struct expr **args;
    uint32_t arg_count;
};

enum aggregation_op {
    AGGREGATION_AVG,
    AGGREGATION_BOTTOMK,
    AGGREGATION_COUNT,
    AGGREGATION_COUNT_VALUES,
    AGGREGATION_GROUP,
    AGGREGATION_LIMITK,
    AGGREGATION_LIMIT_RATIO,
    AGGREGATION_MAX,
    AGGREGATION_MIN,
    AGGREGATION_QUANTILE,
    AGGREGATION_STDDEV,
    AGGREGATION_STDVAR,
    AGGREGATION_SUM,
    AGGREGATION_TOPK,
};

struct aggregation {
    enum aggregation_op op;
    struct expr *expr;
    struct expr *param;         /* k, φ, ratio or label name; NULL for operators without one */
    bool without;               /* false with no labels: everything into one group */
    const struct str *grouping; /* as written, duplicates included */
    uint32_t grouping_count;
};

enum binary_op {
    BINARY_ADD,
    BINARY_SUB,
    BINARY_MUL,
    BINARY_DIV,
    BINARY_MOD,
    BINARY_POW,
    BINARY_ATAN2,
    BINARY_EQUAL,
    BINARY_NOT_EQUAL,
    BINARY_LESS,
    BINARY_LESS_EQUAL,
    BINARY_GREATER,
    BINARY_GREATER_EQUAL,
    BINARY_TRIM_UPPER, /* </ keeps observations below */
    BINARY_TRIM_LOWER, /* >/ keeps observations above */
    BINARY_AND,
    BINARY_OR,
    BINARY_UNLESS,
};

enum match_card { CARD_ONE_TO_ONE, CARD_MANY_TO_ONE, CARD_ONE_TO_MANY, CARD_MANY_TO_MANY };

struct fill_value {
    bool set;
    double value;
};

struct vector_matching {
    enum match_card
        card; /* group_left: many to one; group_right: one to many; set operators: many to many */
    bool on;  /* labels are the ones to match on, else the ones to ignore */
    const struct str *labels;
    uint32_t label_count;
    const struct str *include; /* labels of group_left/group_right */
    uint32_t include_count;
    struct fill_value fill_left; /* for a missing left side */
    struct fill_value fill_right;
};

struct binary {
    enum binary_op op;
    bool return_bool;
    struct expr *lhs;
    struct expr *rhs;
    const struct vector_matching *matching; /* NULL unless both sides are vectors */
};

struct unary {
    bool negate; /* else unary plus */
    struct expr *expr;
};

struct number_literal {
    double value;
    bool is_duration; /* written as "5m": seconds */
};

struct expr {
    enum expr_kind kind;
    enum expr_type type;
    uint32_t start;
    uint32_t end;
    uint32_t ordinal; /* 0 … parsed_query.node_count - 1, each once: an index for side tables */
    uint32_t height;  /* levels below, at most PROMQL_DEPTH_MAX: recursion over a tree is bounded */
    union {
        struct number_literal number;
        struct str string;
        struct vector_selector vector_selector;
        struct matrix_selector matrix_selector;
        struct subquery subquery;
        struct call call;
        struct aggregation aggregation;
        struct binary binary;
        struct unary unary;
        struct expr *paren;
    };
};

/* ---- parsing ---- */

struct matcher_list;

struct parsed_query {
    struct str text; /* as given; must outlive error and annotation rendering only */
    struct expr *root;
    uint32_t node_count;
    struct matcher_list *matchers; /* all that own memory, also of nodes that a reader replaced */
};

/* Parses and type-checks. On ERR_INVALID nothing needs to be released. */
err_t promql_parse(struct str text, const struct promql_features *features, struct arena *arena,
                   struct parsed_query *query, struct strbuf *why);
/* Frees the matchers' regexes; call before the arena goes. */
void parsed_query_deinit(struct parsed_query *query);

struct prepare_times {
    int64_t start_ms; /* instant queries: the evaluation time, twice */
    int64_t end_ms;
    int64_t step_ms; /* 0 for instant queries */
};

/* Gives every duration expression its value and every "@ start()" and "@ end()" its time.
 * ERR_INVALID with "S:E: duration must be greater than 0" and the like. May be repeated with other
 * times. */
err_t promql_prepare(struct parsed_query *query, const struct prepare_times *times,
                     struct strbuf *why);

/* Line and column, both from 1, of a byte offset; a column counts bytes. */
struct text_position {
    uint32_t line;
    uint32_t column;
};
struct text_position text_position_at(struct str text, uint32_t offset);

/* ---- walking ---- */

/* The direct sub-expressions in the order they are written: an aggregation's parameter, then its
 * expression; lhs, rhs; a matrix selector's vector selector. */
size_t expr_child_count(const struct expr *expr);
struct expr *expr_child(const struct expr *expr, size_t index);

enum walk_step { WALK_INTO, WALK_OVER, WALK_STOP };
typedef enum walk_step (*expr_visit_fn)(void *context, struct expr *expr);
/* Pre-order; the visitor says whether to descend. Returns false if it said WALK_STOP. */
bool expr_walk(struct expr *root, expr_visit_fn visit, void *context);

/* Without enclosing parentheses. */
struct expr *expr_strip_parens(struct expr *expr);

/* ---- words ---- */

/* "scalar", "string", "instant vector", "range vector", "none". */
const char *expr_type_text(enum expr_type type);
/* "vector" and "matrix" instead of the long names. */
const char *expr_type_name(enum expr_type type);
const char *aggregation_op_text(enum aggregation_op op);
const char *binary_op_text(enum binary_op op);
bool binary_op_is_comparison(enum binary_op op);
bool binary_op_is_set(enum binary_op op);
