/* Selectors and what may follow them. */
#include "promql_parser.h"

#include <assert.h>
#include <math.h>

/* ---- matchers ---- */

/* The array of one selector while it is read; `list` frees what it holds whatever happens. */
struct matcher_builder {
    struct matcher_list *list;
    size_t capacity;
};

static void builder_init(struct parser *parser, struct matcher_builder *builder)
{
    builder->capacity = 0;
    builder->list = ARENA_NEW(parser->arena, struct matcher_list);
    builder->list->next = parser->query->matchers;
    parser->query->matchers = builder->list;
}

static err_t builder_add(struct parser *parser, struct matcher_builder *builder,
                         enum matcher_kind kind, struct str name, struct str value,
                         uint32_t position)
{
    struct matcher_list *list = builder->list;
    if (list->count == builder->capacity) {
        size_t capacity = list->count == 0 ? 4 : list->count * 2;
        struct matcher *items = ARENA_NEW_ARRAY(parser->arena, struct matcher, capacity);
        for (size_t i = 0; i < list->count; i++)
            items[i] = list->items[i];
        list->items = items;
        builder->capacity = capacity;
    }
    struct strbuf message = STRBUF_INIT;
    err_t err = matcher_init(&list->items[list->count], kind, name, value, &message);
    if (err == OK)
        list->count++;
    else
        err = parser__fail_text(parser, position, strbuf_str(&message));
    strbuf_deinit(&message);
    return err;
}

static bool matcher_operator(enum token_kind kind, enum matcher_kind *out)
{
    switch (kind) {
    case TOKEN_ASSIGN:
        *out = MATCH_EQUAL;
        return true;
    case TOKEN_NOT_EQUAL:
        *out = MATCH_NOT_EQUAL;
        return true;
    case TOKEN_MATCH_REGEX:
        *out = MATCH_REGEX;
        return true;
    case TOKEN_MATCH_NOT_REGEX:
        *out = MATCH_NOT_REGEX;
        return true;
    default:
        return false;
    }
}

static err_t matcher(struct parser *parser, struct matcher_builder *builder)
{
    if (parser->token.kind != TOKEN_IDENTIFIER && parser->token.kind != TOKEN_STRING)
        return parser__unexpected(parser,
                                  (struct parse_context){"label matching", "identifier or \"}\""});
    struct token token = parser__take(parser);
    bool quoted = token.kind == TOKEN_STRING;
    struct str name = quoted ? promql_string_decode(parser->arena, token.text) : token.text;
    enum matcher_kind kind;
    if (!matcher_operator(parser->token.kind, &kind)) {
        if (!quoted)
            return parser__unexpected(
                parser, (struct parse_context){"label matching", "label matching operator"});
        /* A string alone is the metric's name; what follows it must be looked at first. */
        if (parser->token.kind == TOKEN_ERROR)
            return parser__unexpected(parser, parser->context);
        return builder_add(parser, builder, MATCH_EQUAL, LABEL_NAME, name, token.start);
    }
    parser__take(parser);
    if (parser->token.kind != TOKEN_STRING)
        return parser__unexpected(parser, (struct parse_context){"label matching", "string"});
    struct token value = parser__take(parser);
    return builder_add(parser, builder, kind, name, promql_string_decode(parser->arena, value.text),
                       token.start);
}

static err_t matchers(struct parser *parser, struct matcher_builder *builder)
{
    parser__take(parser);
    if (parser->token.kind != TOKEN_RIGHT_BRACE)
        TRY(matcher(parser, builder));
    while (parser->token.kind != TOKEN_RIGHT_BRACE) {
        struct parse_context after_matcher = {"label matching", "\",\" or \"}\""};
        TRY(parser__expect(parser, TOKEN_COMMA, after_matcher));
        if (parser->token.kind != TOKEN_RIGHT_BRACE)
            TRY(matcher(parser, builder));
    }
    parser__take(parser);
    return OK;
}

err_t parser__selector(struct parser *parser, const struct token *name, struct expr **out)
{
    uint32_t start = name == NULL ? parser->token.start : name->start;
    struct expr *expr = parser__new_expr(parser, EXPR_VECTOR_SELECTOR, start);
    expr->type = EXPR_TYPE_VECTOR;
    struct vector_selector *selector = &expr->vector_selector;
    struct matcher_builder builder;
    builder_init(parser, &builder);
    if (parser->token.kind == TOKEN_LEFT_BRACE)
        TRY(matchers(parser, &builder));
    if (name != NULL) {
        selector->name = arena_str(parser->arena, name->text);
        TRY(builder_add(parser, &builder, MATCH_EQUAL, LABEL_NAME, name->text, start));
    }
    selector->selector.matchers = builder.list->items;
    selector->selector.count = builder.list->count;
    *out = expr;
    return parser__finish_expr(parser, expr, parser->last_end);
}

/* ---- modifiers ---- */

static struct expr *matrix_vector(struct expr *expr)
{
    return expr->kind == EXPR_MATRIX_SELECTOR ? expr->matrix_selector.vector : expr;
}

/* The place of offset and @, or NULL if they may not stand after this expression. */
static struct time_modifiers *time_modifiers_of(struct expr *expr)
{
    struct expr *target = matrix_vector(expr);
    if (target->kind == EXPR_VECTOR_SELECTOR)
        return &target->vector_selector.when;
    if (target->kind == EXPR_SUBQUERY)
        return &target->subquery.when;
    return NULL;
}

static void extend(struct parser *parser, struct expr *expr)
{
    expr->end = parser->last_end;
    matrix_vector(expr)->end = parser->last_end;
}

static err_t offset_modifier(struct parser *parser, struct expr *expr)
{
    parser__take(parser);
    struct duration duration;
    TRY(parser__offset_duration(parser, &duration));
    struct time_modifiers *when = time_modifiers_of(expr);
    if (when == NULL)
        return parser__fail(parser, expr->start,
                            "offset modifier must be preceded by an instant vector selector or "
                            "range vector selector or a subquery");
    if (when->offset.ms != 0 || when->offset.expr != NULL)
        return parser__fail(parser, expr->start, "offset may not be set multiple times");
    when->offset = duration;
    extend(parser, expr);
    return OK;
}

static err_t set_at_time(struct parser *parser, const struct expr *expr, double seconds,
                         int64_t *ms)
{
    static const double limit = 9223372036854775808.0;
    if (isnan(seconds) || seconds >= limit || seconds <= -limit) {
        const char *text = isnan(seconds) ? "NaN" : seconds > 0 ? "+Inf" : "-Inf";
        if (isnan(seconds) || isinf(seconds))
            return parser__fail(parser, expr->start, "timestamp out of bounds for @ modifier: %s",
                                text);
        return parser__fail(parser, expr->start, "timestamp out of bounds for @ modifier: %f",
                            seconds);
    }
    double scaled = round(seconds * 1000);
    if (scaled >= limit)
        *ms = INT64_MAX;
    else if (scaled < -limit)
        *ms = INT64_MIN;
    else
        *ms = (int64_t)scaled;
    return OK;
}

static const struct parse_context at_context = {"@", "timestamp"};

static err_t at_literal(struct parser *parser, double *seconds)
{
    bool negate = parser->token.kind == TOKEN_SUB;
    if (negate || parser->token.kind == TOKEN_ADD)
        parser__take(parser);
    if (parser->token.kind != TOKEN_NUMBER && parser->token.kind != TOKEN_DURATION)
        return parser__unexpected(parser, at_context);
    struct token token = parser__take(parser);
    TRY(parser__literal(parser, token, seconds));
    if (negate)
        *seconds = -*seconds;
    return OK;
}

static err_t at_modifier(struct parser *parser, struct expr *expr)
{
    parser__take(parser);
    enum at_kind kind = AT_TIME;
    int64_t ms = 0;
    enum token_kind word = parser->token.kind;
    if (word == TOKEN_START_WORD || word == TOKEN_END_WORD) {
        kind = word == TOKEN_START_WORD ? AT_START : AT_END;
        parser__take(parser);
        TRY(parser__expect(parser, TOKEN_LEFT_PAREN, at_context));
        TRY(parser__expect(parser, TOKEN_RIGHT_PAREN, at_context));
    } else {
        double seconds;
        TRY(at_literal(parser, &seconds));
        TRY(set_at_time(parser, expr, seconds, &ms));
    }
    struct time_modifiers *when = time_modifiers_of(expr);
    if (when == NULL)
        return parser__fail(parser, expr->start,
                            "@ modifier must be preceded by an instant vector selector or range "
                            "vector selector or a subquery");
    if (when->at != AT_NONE)
        return parser__fail(parser, expr->start, "@ <timestamp> may not be set multiple times");
    when->at = kind;
    when->at_ms = ms;
    extend(parser, expr);
    return OK;
}

static err_t extended_modifier(struct parser *parser, struct expr *expr)
{
    bool anchored = parser->token.kind == TOKEN_ANCHORED;
    const char *name = anchored ? "anchored" : "smoothed";
    parser__take(parser);
    if (!parser->features->extended_range_selectors)
        return parser__fail(parser, expr->start, "%s modifier is experimental and not enabled",
                            name);
    struct expr *target = matrix_vector(expr);
    if (target->kind == EXPR_SUBQUERY)
        return parser__fail(parser, expr->start, "%s modifier is not supported for subqueries",
                            name);
    if (target->kind != EXPR_VECTOR_SELECTOR)
        return parser__fail(parser, expr->start, "%s modifier not implemented", name);
    struct vector_selector *selector = &target->vector_selector;
    if (anchored)
        selector->anchored = true;
    else
        selector->smoothed = true;
    if (selector->anchored && selector->smoothed)
        return parser__fail(parser, expr->start,
                            "anchored and smoothed modifiers cannot be used together");
    extend(parser, expr);
    return OK;
}

/* ---- ranges ---- */

static err_t matrix(struct parser *parser, struct duration range, uint32_t bracket,
                    struct expr **expr)
{
    struct expr *vector = *expr;
    if (vector->kind != EXPR_VECTOR_SELECTOR)
        return parser__fail(parser, bracket, "ranges only allowed for vector selectors");
    const struct time_modifiers *when = &vector->vector_selector.when;
    if (when->offset.ms != 0 || when->offset.expr != NULL)
        return parser__fail(parser, bracket, "no offset modifiers allowed before range");
    if (when->at != AT_NONE)
        return parser__fail(parser, bracket, "no @ modifiers allowed before range");
    struct expr *matrix = parser__new_expr(parser, EXPR_MATRIX_SELECTOR, vector->start);
    matrix->type = EXPR_TYPE_MATRIX;
    matrix->matrix_selector = (struct matrix_selector){.vector = vector, .range = range};
    *expr = matrix;
    return parser__finish_expr(parser, matrix, parser->last_end);
}

static err_t subquery(struct parser *parser, struct duration range, struct expr **expr)
{
    struct expr *inner = *expr;
    struct expr *outer = parser__new_expr(parser, EXPR_SUBQUERY, inner->start);
    outer->type = EXPR_TYPE_MATRIX;
    outer->subquery = (struct subquery){.expr = inner, .range = range};
    if (parser->token.kind != TOKEN_RIGHT_BRACKET) {
        struct parse_context context = {"subquery selector",
                                        "number, duration, step(), range(), or \"]\""};
        TRY(parser__positive_duration(parser, context, &outer->subquery.step));
        outer->subquery.has_step = true;
    }
    TRY(parser__expect(parser, TOKEN_RIGHT_BRACKET,
                       (struct parse_context){"subquery selector", "\"]\""}));
    *expr = outer;
    return parser__finish_expr(parser, outer, parser->last_end);
}

static err_t range_or_subquery(struct parser *parser, struct expr **expr)
{
    struct token bracket = parser__take(parser);
    struct parse_context context = {"subquery or range selector",
                                    "number, duration, step(), or range()"};
    struct duration range;
    TRY(parser__positive_duration(parser, context, &range));
    if (parser->token.kind == TOKEN_RIGHT_BRACKET) {
        parser__take(parser);
        return matrix(parser, range, bracket.start, expr);
    }
    TRY(parser__expect(parser, TOKEN_COLON,
                       (struct parse_context){"subquery or range", "\":\" or \"]\""}));
    return subquery(parser, range, expr);
}

bool parser__at_postfix(const struct parser *parser)
{
    switch (parser->token.kind) {
    case TOKEN_OFFSET:
    case TOKEN_AT:
    case TOKEN_ANCHORED:
    case TOKEN_SMOOTHED:
    case TOKEN_LEFT_BRACKET:
        return true;
    default:
        return false;
    }
}

err_t parser__postfix(struct parser *parser, struct expr **expr)
{
    switch (parser->token.kind) {
    case TOKEN_OFFSET:
        return offset_modifier(parser, *expr);
    case TOKEN_AT:
        return at_modifier(parser, *expr);
    case TOKEN_LEFT_BRACKET:
        return range_or_subquery(parser, expr);
    default:
        assert(parser->token.kind == TOKEN_ANCHORED || parser->token.kind == TOKEN_SMOOTHED);
        return extended_modifier(parser, *expr);
    }
}
