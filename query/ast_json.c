/* The tree of /api/v1/parse_query: objects with alphabetical keys, times in milliseconds. */
#include <math.h>

#include "narthex/base/number.h"
#include "narthex/query/ast.h"

static void write_expr(struct strbuf *out, const struct expr *expr);

/* ---- JSON ---- */

/* Go's default escaping: also < > & and the line separators of JavaScript, bytes that are not UTF-8
 * as replacement characters. */
static void write_string(struct strbuf *out, struct str text)
{
    strbuf_add_char(out, '"');
    size_t at = 0;
    while (at < text.size) {
        uint32_t rune;
        struct str rest = {text.data + at, text.size - at};
        size_t size = str_decode_rune(rest, &rune);
        if (size == 0) {
            strbuf_add_cstr(out, "\\ufffd");
            at++;
            continue;
        }
        at += size;
        if (rune == '"' || rune == '\\') {
            strbuf_add_char(out, '\\');
            strbuf_add_char(out, (char)rune);
        } else if (rune == '\n') {
            strbuf_add_cstr(out, "\\n");
        } else if (rune == '\r') {
            strbuf_add_cstr(out, "\\r");
        } else if (rune == '\t') {
            strbuf_add_cstr(out, "\\t");
        } else if (rune < 0x20 || rune == '<' || rune == '>' || rune == '&' || rune == 0x2028 ||
                   rune == 0x2029) {
            strbuf_printf(out, "\\u%04x", (unsigned)rune);
        } else {
            strbuf_add(out, rest.data, size);
        }
    }
    strbuf_add_char(out, '"');
}

/* `,"key":`, or without the comma for the first one. */
static void write_key(struct strbuf *out, const char *key)
{
    if (out->data[out->size - 1] != '{')
        strbuf_add_char(out, ',');
    strbuf_printf(out, "\"%s\":", key);
}

static void write_bool(struct strbuf *out, const char *key, bool value)
{
    write_key(out, key);
    strbuf_add_cstr(out, value ? "true" : "false");
}

static void write_int(struct strbuf *out, const char *key, int64_t value)
{
    write_key(out, key);
    strbuf_add_int(out, value);
}

static void write_text(struct strbuf *out, const char *key, struct str value)
{
    write_key(out, key);
    write_string(out, value);
}

static void write_child(struct strbuf *out, const char *key, const struct expr *expr)
{
    write_key(out, key);
    if (expr == NULL)
        strbuf_add_cstr(out, "null");
    else
        write_expr(out, expr);
}

static void write_strings(struct strbuf *out, const char *key, const struct str *items,
                          uint32_t count)
{
    write_key(out, key);
    strbuf_add_char(out, '[');
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            strbuf_add_char(out, ',');
        write_string(out, items[i]);
    }
    strbuf_add_char(out, ']');
}

static void write_end(struct strbuf *out, const char *type)
{
    write_text(out, "type", str_from_cstr(type));
    strbuf_add_char(out, '}');
}

/* ---- durations ---- */

static void write_number_literal(struct strbuf *out, double value)
{
    char text[NUMBER_TEXT_MAX];
    strbuf_add_cstr(out, "{\"type\":\"numberLiteral\"");
    write_text(out, "val", str_from(text, number_format_plain(value, text)));
    strbuf_add_char(out, '}');
}

static void write_duration_expr(struct strbuf *out, const struct duration_expr *expr)
{
    static const char *const ops[] = {
        [DURATION_STEP] = "step",     [DURATION_RANGE] = "range",   [DURATION_NEGATE] = "-",
        [DURATION_ADD] = "+",         [DURATION_SUB] = "-",         [DURATION_MUL] = "*",
        [DURATION_DIV] = "/",         [DURATION_MOD] = "%",         [DURATION_POW] = "^",
        [DURATION_MIN_OF] = "min_of", [DURATION_MAX_OF] = "max_of",
    };
    if (expr == NULL) {
        strbuf_add_cstr(out, "null");
        return;
    }
    if (expr->op == DURATION_LITERAL) {
        write_number_literal(out, expr->seconds);
        return;
    }
    bool negate = expr->op == DURATION_NEGATE;
    strbuf_add_char(out, '{');
    write_key(out, "lhs");
    write_duration_expr(out, negate ? NULL : expr->lhs);
    write_text(out, "op", str_from_cstr(ops[expr->op]));
    write_key(out, "rhs");
    write_duration_expr(out, negate ? expr->lhs : expr->rhs);
    write_text(out, "type", STR("durationExpr"));
    write_bool(out, "wrapped", expr->wrapped);
    strbuf_add_char(out, '}');
}

static void write_duration(struct strbuf *out, const char *key, const char *expr_key,
                           const struct duration *duration)
{
    write_int(out, key, duration->expr == NULL ? duration->ms : 0);
    write_key(out, expr_key);
    write_duration_expr(out, duration->expr);
}

/* ---- selectors ---- */

static void write_start_or_end(struct strbuf *out, const struct time_modifiers *when)
{
    write_key(out, "startOrEnd");
    bool named = when->at == AT_START || when->at == AT_END;
    const char *name = when->at == AT_START ? "\"start\"" : "\"end\"";
    strbuf_add_cstr(out, named ? name : "null");
}

static void write_timestamp(struct strbuf *out, const struct time_modifiers *when)
{
    if (when->at == AT_TIME) {
        write_int(out, "timestamp", when->at_ms);
    } else {
        write_key(out, "timestamp");
        strbuf_add_cstr(out, "null");
    }
}

static void write_matchers(struct strbuf *out, const struct selector *selector)
{
    write_key(out, "matchers");
    strbuf_add_char(out, '[');
    for (size_t i = 0; i < selector->count; i++) {
        const struct matcher *matcher = &selector->matchers[i];
        strbuf_add_cstr(out, i == 0 ? "{" : ",{");
        write_text(out, "name", matcher->name);
        write_text(out, "type", str_from_cstr(matcher_kind_text(matcher->kind)));
        write_text(out, "value", matcher->value);
        strbuf_add_char(out, '}');
    }
    strbuf_add_char(out, ']');
}

static void write_selector(struct strbuf *out, const struct vector_selector *selector,
                           const struct duration *range)
{
    strbuf_add_char(out, '{');
    write_bool(out, "anchored", selector->anchored);
    write_matchers(out, &selector->selector);
    write_text(out, "name", selector->name);
    write_duration(out, "offset", "offsetExpr", &selector->when.offset);
    if (range != NULL)
        write_duration(out, "range", "rangeExpr", range);
    write_bool(out, "smoothed", selector->smoothed);
    write_start_or_end(out, &selector->when);
    write_timestamp(out, &selector->when);
    write_end(out, range == NULL ? "vectorSelector" : "matrixSelector");
}

static void write_subquery(struct strbuf *out, const struct subquery *subquery)
{
    strbuf_add_char(out, '{');
    write_child(out, "expr", subquery->expr);
    write_duration(out, "offset", "offsetExpr", &subquery->when.offset);
    write_duration(out, "range", "rangeExpr", &subquery->range);
    write_start_or_end(out, &subquery->when);
    write_duration(out, "step", "stepExpr", &subquery->step);
    write_timestamp(out, &subquery->when);
    write_end(out, "subquery");
}

/* ---- operators and calls ---- */

static void write_call(struct strbuf *out, const struct call *call)
{
    const struct function *function = call->function;
    strbuf_add_char(out, '{');
    write_key(out, "args");
    strbuf_add_char(out, '[');
    for (uint32_t i = 0; i < call->arg_count; i++) {
        if (i > 0)
            strbuf_add_char(out, ',');
        write_expr(out, call->args[i]);
    }
    strbuf_add_char(out, ']');
    write_key(out, "func");
    strbuf_add_cstr(out, "{\"argTypes\":[");
    for (uint32_t i = 0; i < function->arg_type_count; i++)
        strbuf_printf(out, "%s\"%s\"", i == 0 ? "" : ",", expr_type_name(function->arg_types[i]));
    strbuf_add_char(out, ']');
    write_text(out, "name", function->name);
    write_text(out, "returnType", str_from_cstr(expr_type_name(function->return_type)));
    write_int(out, "variadic", function->variadic);
    strbuf_add_char(out, '}');
    write_end(out, "call");
}

static void write_fill(struct strbuf *out, const char *key, const struct fill_value *fill)
{
    write_key(out, key);
    if (!fill->set || !isfinite(fill->value)) {
        strbuf_add_cstr(out, "null"); /* JSON has no infinities */
        return;
    }
    char text[NUMBER_TEXT_MAX];
    strbuf_add(out, text, number_format_json(fill->value, text));
}

static void write_matching(struct strbuf *out, const struct vector_matching *matching)
{
    static const char *const cards[] = {
        [CARD_ONE_TO_ONE] = "one-to-one",
        [CARD_MANY_TO_ONE] = "many-to-one",
        [CARD_ONE_TO_MANY] = "one-to-many",
        [CARD_MANY_TO_MANY] = "many-to-many",
    };
    if (matching == NULL) {
        strbuf_add_cstr(out, "null");
        return;
    }
    strbuf_add_char(out, '{');
    write_text(out, "card", str_from_cstr(cards[matching->card]));
    write_key(out, "fillValues");
    strbuf_add_char(out, '{');
    write_fill(out, "lhs", &matching->fill_left);
    write_fill(out, "rhs", &matching->fill_right);
    strbuf_add_char(out, '}');
    write_strings(out, "include", matching->include, matching->include_count);
    write_strings(out, "labels", matching->labels, matching->label_count);
    write_bool(out, "on", matching->on);
    strbuf_add_char(out, '}');
}

static void write_binary(struct strbuf *out, const struct binary *binary)
{
    strbuf_add_char(out, '{');
    write_bool(out, "bool", binary->return_bool);
    write_child(out, "lhs", binary->lhs);
    write_key(out, "matching");
    write_matching(out, binary->matching);
    write_text(out, "op", str_from_cstr(binary_op_text(binary->op)));
    write_child(out, "rhs", binary->rhs);
    write_end(out, "binaryExpr");
}

static void write_aggregation(struct strbuf *out, const struct aggregation *aggregation)
{
    strbuf_add_char(out, '{');
    write_child(out, "expr", aggregation->expr);
    write_strings(out, "grouping", aggregation->grouping, aggregation->grouping_count);
    write_text(out, "op", str_from_cstr(aggregation_op_text(aggregation->op)));
    write_child(out, "param", aggregation->param);
    write_text(out, "type", STR("aggregation"));
    write_bool(out, "without", aggregation->without);
    strbuf_add_char(out, '}');
}

static void write_expr(struct strbuf *out, const struct expr *expr)
{
    switch (expr->kind) {
    case EXPR_NUMBER:
        write_number_literal(out, expr->number.value);
        break;
    case EXPR_STRING:
        strbuf_add_cstr(out, "{\"type\":\"stringLiteral\"");
        write_text(out, "val", expr->string);
        strbuf_add_char(out, '}');
        break;
    case EXPR_VECTOR_SELECTOR:
        write_selector(out, &expr->vector_selector, NULL);
        break;
    case EXPR_MATRIX_SELECTOR:
        write_selector(out, &expr->matrix_selector.vector->vector_selector,
                       &expr->matrix_selector.range);
        break;
    case EXPR_SUBQUERY:
        write_subquery(out, &expr->subquery);
        break;
    case EXPR_CALL:
        write_call(out, &expr->call);
        break;
    case EXPR_AGGREGATION:
        write_aggregation(out, &expr->aggregation);
        break;
    case EXPR_BINARY:
        write_binary(out, &expr->binary);
        break;
    case EXPR_UNARY:
        strbuf_add_char(out, '{');
        write_child(out, "expr", expr->unary.expr);
        write_text(out, "op", expr->unary.negate ? STR("-") : STR("+"));
        write_end(out, "unaryExpr");
        break;
    case EXPR_PAREN:
        strbuf_add_char(out, '{');
        write_child(out, "expr", expr->paren);
        write_end(out, "parenExpr");
        break;
    }
}

err_t promql_parse_json(struct str text, const struct promql_features *features, struct strbuf *out,
                        struct strbuf *why)
{
    struct arena arena;
    arena_init(&arena, MEM_QUERY, SIZE_MAX);
    struct parsed_query query;
    err_t err = promql_parse(text, features, &arena, &query, why);
    if (err == OK) {
        write_expr(out, query.root);
        parsed_query_deinit(&query);
    }
    arena_deinit(&arena);
    return err;
}
