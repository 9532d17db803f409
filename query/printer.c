/* Expressions back to text. */
#include "narthex/query/printer.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "narthex/base/duration.h"
#include "narthex/base/number.h"

enum { LINE_BYTES_MAX = 100, INDENT_BYTES = 2, NUMBER_EXPONENT_MAX = 6 };

struct printer {
    struct strbuf *out;
    size_t size_max; /* printing more is pointless: the caller only asks whether it fits */
    /* An arithmetic operator follows what is printed now: it would go on with an offset in
     * parentheses that has no sign. Possible when "@" stood between them in the source. */
    bool arithmetic_follows;
};

static void print(const struct printer *printer, const struct expr *expr);

static void print_number(struct strbuf *out, double value, bool is_duration)
{
    if (is_duration) {
        duration_print((int64_t)round(value * 1000), out);
        return;
    }
    char text[NUMBER_TEXT_MAX];
    strbuf_add(out, text, number_format_general(value, NUMBER_EXPONENT_MAX, text));
}

static const char *duration_op_text(enum duration_op op)
{
    switch (op) {
    case DURATION_ADD:
        return " + ";
    case DURATION_SUB:
        return " - ";
    case DURATION_MUL:
        return " * ";
    case DURATION_DIV:
        return " / ";
    case DURATION_MOD:
        return " % ";
    case DURATION_POW:
        return " ^ ";
    default:
        return NULL;
    }
}

static void print_duration_expr(struct strbuf *out, const struct duration_expr *expr)
{
    if (expr->wrapped)
        strbuf_add_char(out, '(');
    switch (expr->op) {
    case DURATION_LITERAL:
        print_number(out, expr->seconds, expr->is_duration);
        break;
    case DURATION_STEP:
        strbuf_add_cstr(out, "step()");
        break;
    case DURATION_RANGE:
        strbuf_add_cstr(out, "range()");
        break;
    case DURATION_NEGATE:
        strbuf_add_char(out, '-');
        print_duration_expr(out, expr->lhs);
        break;
    case DURATION_MIN_OF:
    case DURATION_MAX_OF:
        strbuf_add_cstr(out, expr->op == DURATION_MIN_OF ? "min_of(" : "max_of(");
        print_duration_expr(out, expr->lhs);
        strbuf_add_cstr(out, ", ");
        print_duration_expr(out, expr->rhs);
        strbuf_add_char(out, ')');
        break;
    default: {
        /* A literal does not remember its parentheses; the sign of a base needs them. */
        const struct duration_expr *lhs = expr->lhs;
        bool signed_base =
            expr->op == DURATION_POW && lhs->op == DURATION_LITERAL && signbit(lhs->seconds);
        if (signed_base)
            strbuf_add_char(out, '(');
        print_duration_expr(out, lhs);
        if (signed_base)
            strbuf_add_char(out, ')');
        strbuf_add_cstr(out, duration_op_text(expr->op));
        print_duration_expr(out, expr->rhs);
        break;
    }
    }
    if (expr->wrapped)
        strbuf_add_char(out, ')');
}

static void print_duration(struct strbuf *out, const struct duration *duration)
{
    if (duration->expr == NULL)
        duration_print(duration->ms, out);
    else
        print_duration_expr(out, duration->expr);
}

/* ---- selectors ---- */

static void print_at(struct strbuf *out, const struct time_modifiers *when)
{
    switch (when->at) {
    case AT_NONE:
        return;
    case AT_TIME: {
        uint64_t ms = when->at_ms < 0 ? -(uint64_t)when->at_ms : (uint64_t)when->at_ms;
        strbuf_printf(out, " @ %s%llu.%03u", when->at_ms < 0 ? "-" : "",
                      (unsigned long long)(ms / 1000), (unsigned)(ms % 1000));
        return;
    }
    case AT_START:
        strbuf_add_cstr(out, " @ start()");
        return;
    case AT_END:
        strbuf_add_cstr(out, " @ end()");
        return;
    }
}

static void print_modifiers(const struct printer *printer, const struct time_modifiers *when)
{
    struct strbuf *out = printer->out;
    print_at(out, when);
    const struct duration_expr *expr = when->offset.expr;
    if (expr == NULL && when->offset.ms == 0)
        return;
    strbuf_add_cstr(out, " offset ");
    /* Bare arithmetic would end the offset at its first operator. */
    bool bare = expr != NULL && duration_op_text(expr->op) != NULL && !expr->wrapped;
    if (printer->arithmetic_follows && (bare || (expr != NULL && expr->wrapped)))
        strbuf_add_char(out, '+');
    if (bare)
        strbuf_add_char(out, '(');
    print_duration(out, &when->offset);
    if (bare)
        strbuf_add_char(out, ')');
}

static int compare_text(const void *a, const void *b)
{
    return str_compare(strbuf_str(a), strbuf_str(b));
}

static bool is_own_name(const struct vector_selector *selector, const struct matcher *matcher)
{
    return selector->name.size > 0 && matcher->kind == MATCH_EQUAL &&
           str_equal(matcher->name, LABEL_NAME) && str_equal(matcher->value, selector->name);
}

/* Name and matchers, the latter sorted as texts. */
static void print_name_and_matchers(struct strbuf *out, const struct vector_selector *selector)
{
    strbuf_add_str(out, selector->name);
    size_t count = selector->selector.count;
    struct strbuf *texts = MEM_NEW_ARRAY(MEM_QUERY, struct strbuf, count + 1);
    size_t shown = 0;
    for (size_t i = 0; i < count; i++) {
        const struct matcher *matcher = &selector->selector.matchers[i];
        if (!is_own_name(selector, matcher))
            matcher_print(matcher, &texts[shown++]);
    }
    qsort(texts, shown, sizeof *texts, compare_text);
    if (shown > 0 || selector->name.size == 0) {
        strbuf_add_char(out, '{');
        for (size_t i = 0; i < shown; i++) {
            if (i > 0)
                strbuf_add_char(out, ',');
            strbuf_add_str(out, strbuf_str(&texts[i]));
        }
        strbuf_add_char(out, '}');
    }
    for (size_t i = 0; i < shown; i++)
        strbuf_deinit(&texts[i]);
    mem_free(MEM_QUERY, texts);
}

static void print_selector(const struct printer *printer, const struct vector_selector *selector,
                           const struct duration *range)
{
    struct strbuf *out = printer->out;
    print_name_and_matchers(out, selector);
    if (range != NULL) {
        strbuf_add_char(out, '[');
        print_duration(out, range);
        strbuf_add_char(out, ']');
    }
    if (selector->anchored)
        strbuf_add_cstr(out, " anchored");
    if (selector->smoothed)
        strbuf_add_cstr(out, " smoothed");
    print_modifiers(printer, &selector->when);
}

static void print_subquery_suffix(const struct printer *printer, const struct subquery *subquery)
{
    struct strbuf *out = printer->out;
    strbuf_add_char(out, '[');
    print_duration(out, &subquery->range);
    strbuf_add_char(out, ':');
    if (subquery->has_step)
        print_duration(out, &subquery->step);
    strbuf_add_char(out, ']');
    print_modifiers(printer, &subquery->when);
}

/* ---- operators ---- */

static void print_labels(struct strbuf *out, const struct str *labels, uint32_t count)
{
    strbuf_add_char(out, '(');
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            strbuf_add_cstr(out, ", ");
        if (label_name_is_valid(labels[i], NAME_SCHEME_LEGACY))
            strbuf_add_str(out, labels[i]);
        else
            strbuf_add_quoted(out, labels[i]);
    }
    strbuf_add_char(out, ')');
}

static void print_fill(struct strbuf *out, const char *word, double value)
{
    strbuf_printf(out, " %s (", word);
    print_number(out, value, false);
    strbuf_add_char(out, ')');
}

static void print_fills(struct strbuf *out, const struct vector_matching *matching)
{
    const struct fill_value *left = &matching->fill_left;
    const struct fill_value *right = &matching->fill_right;
    bool same = left->value == right->value || (isnan(left->value) && isnan(right->value));
    if (left->set && right->set && same) {
        print_fill(out, "fill", left->value);
        return;
    }
    if (left->set)
        print_fill(out, "fill_left", left->value);
    if (right->set)
        print_fill(out, "fill_right", right->value);
}

/* The operator and everything that belongs to it, without blanks around. */
static void print_operator(struct strbuf *out, const struct binary *binary)
{
    strbuf_add_cstr(out, binary_op_text(binary->op));
    if (binary->return_bool)
        strbuf_add_cstr(out, " bool");
    const struct vector_matching *matching = binary->matching;
    if (matching == NULL)
        return;
    bool grouped = matching->card == CARD_MANY_TO_ONE || matching->card == CARD_ONE_TO_MANY;
    if (matching->on || matching->label_count > 0 || grouped) {
        strbuf_add_cstr(out, matching->on ? " on " : " ignoring ");
        print_labels(out, matching->labels, matching->label_count);
    }
    if (grouped) {
        bool left = matching->card == CARD_MANY_TO_ONE;
        strbuf_add_cstr(out, left ? " group_left " : " group_right ");
        print_labels(out, matching->include, matching->include_count);
    }
    print_fills(out, matching);
}

static void print_aggregation_head(struct strbuf *out, const struct aggregation *aggregation)
{
    strbuf_add_cstr(out, aggregation_op_text(aggregation->op));
    if (!aggregation->without && aggregation->grouping_count == 0)
        return;
    strbuf_add_cstr(out, aggregation->without ? " without " : " by ");
    print_labels(out, aggregation->grouping, aggregation->grouping_count);
    strbuf_add_char(out, ' ');
}

/* What stands in brackets of its own; nothing outside follows it. */
static void print_enclosed(const struct printer *printer, const struct expr *expr)
{
    struct printer inner = *printer;
    inner.arithmetic_follows = false;
    print(&inner, expr);
}

static void print_call(const struct printer *printer, const struct call *call)
{
    strbuf_add_str(printer->out, call->function->name);
    strbuf_add_char(printer->out, '(');
    for (uint32_t i = 0; i < call->arg_count; i++) {
        if (i > 0)
            strbuf_add_cstr(printer->out, ", ");
        print_enclosed(printer, call->args[i]);
    }
    strbuf_add_char(printer->out, ')');
}

static void print_aggregation(const struct printer *printer, const struct aggregation *aggregation)
{
    print_aggregation_head(printer->out, aggregation);
    strbuf_add_char(printer->out, '(');
    if (aggregation->param != NULL) {
        print_enclosed(printer, aggregation->param);
        strbuf_add_cstr(printer->out, ", ");
    }
    print_enclosed(printer, aggregation->expr);
    strbuf_add_char(printer->out, ')');
}

static void print_binary(const struct printer *printer, const struct binary *binary)
{
    const struct expr *lhs = binary->lhs;
    struct printer left = *printer;
    left.arithmetic_follows = binary->op <= BINARY_POW;
    /* A sign would take the whole power as its operand. */
    if (binary->op == BINARY_POW && lhs->kind == EXPR_NUMBER && lhs->number.value == INFINITY)
        strbuf_add_cstr(printer->out, "Inf");
    else
        print(&left, lhs);
    strbuf_add_char(printer->out, ' ');
    print_operator(printer->out, binary);
    strbuf_add_char(printer->out, ' ');
    print(printer, binary->rhs);
}

static void print(const struct printer *printer, const struct expr *expr)
{
    struct strbuf *out = printer->out;
    if (out->size > printer->size_max)
        return;
    switch (expr->kind) {
    case EXPR_NUMBER:
        print_number(out, expr->number.value, expr->number.is_duration);
        break;
    case EXPR_STRING:
        strbuf_add_quoted(out, expr->string);
        break;
    case EXPR_VECTOR_SELECTOR:
        print_selector(printer, &expr->vector_selector, NULL);
        break;
    case EXPR_MATRIX_SELECTOR:
        print_selector(printer, &expr->matrix_selector.vector->vector_selector,
                       &expr->matrix_selector.range);
        break;
    case EXPR_SUBQUERY:
        print_enclosed(printer, expr->subquery.expr);
        print_subquery_suffix(printer, &expr->subquery);
        break;
    case EXPR_CALL:
        print_call(printer, &expr->call);
        break;
    case EXPR_AGGREGATION:
        print_aggregation(printer, &expr->aggregation);
        break;
    case EXPR_BINARY:
        print_binary(printer, &expr->binary);
        break;
    case EXPR_UNARY:
        strbuf_add_char(out, expr->unary.negate ? '-' : '+');
        print(printer, expr->unary.expr);
        break;
    case EXPR_PAREN:
        strbuf_add_char(out, '(');
        print_enclosed(printer, expr->paren);
        strbuf_add_char(out, ')');
        break;
    }
}

void expr_print(const struct expr *expr, struct strbuf *out)
{
    struct printer printer = {.out = out, .size_max = SIZE_MAX};
    print(&printer, expr);
}

/* ---- several lines ---- */

static void pretty(const struct printer *printer, const struct expr *expr, size_t level);

static bool fits_on_a_line(const struct expr *expr)
{
    struct strbuf text = STRBUF_INIT;
    struct printer printer = {.out = &text, .size_max = LINE_BYTES_MAX};
    print(&printer, expr);
    bool fits = text.size <= LINE_BYTES_MAX;
    strbuf_deinit(&text);
    return fits;
}

static void indent(struct strbuf *out, size_t level)
{
    for (size_t i = 0; i < level * INDENT_BYTES; i++)
        strbuf_add_char(out, ' ');
}

/* On lines of its own within brackets. */
static void pretty_enclosed(const struct printer *printer, const struct expr *expr, size_t level)
{
    struct printer inner = *printer;
    inner.arithmetic_follows = false;
    indent(printer->out, level);
    pretty(&inner, expr, level);
}

static void pretty_call(const struct printer *printer, const struct call *call, size_t level)
{
    struct strbuf *out = printer->out;
    strbuf_add_str(out, call->function->name);
    strbuf_add_cstr(out, "(\n");
    for (uint32_t i = 0; i < call->arg_count; i++) {
        if (i > 0)
            strbuf_add_cstr(out, ",\n");
        pretty_enclosed(printer, call->args[i], level + 1);
    }
    strbuf_add_char(out, '\n');
    indent(out, level);
    strbuf_add_char(out, ')');
}

static void pretty_aggregation(const struct printer *printer, const struct aggregation *aggregation,
                               size_t level)
{
    struct strbuf *out = printer->out;
    print_aggregation_head(out, aggregation);
    strbuf_add_cstr(out, "(\n");
    if (aggregation->param != NULL) {
        pretty_enclosed(printer, aggregation->param, level + 1);
        strbuf_add_cstr(out, ",\n");
    }
    pretty_enclosed(printer, aggregation->expr, level + 1);
    strbuf_add_char(out, '\n');
    indent(out, level);
    strbuf_add_char(out, ')');
}

/* The caller has written the indentation of the first line, except a binary's: its left side stands
 * deeper than the operator. */
static void pretty_binary(const struct printer *printer, const struct binary *binary, size_t level)
{
    struct strbuf *out = printer->out;
    struct printer left = *printer;
    left.arithmetic_follows = binary->op <= BINARY_POW;
    indent(out, 1);
    pretty(&left, binary->lhs, level + 1);
    strbuf_add_char(out, '\n');
    indent(out, level);
    print_operator(out, binary);
    strbuf_add_char(out, '\n');
    indent(out, level + 1);
    pretty(printer, binary->rhs, level + 1);
}

static void pretty(const struct printer *printer, const struct expr *expr, size_t level)
{
    struct strbuf *out = printer->out;
    if (fits_on_a_line(expr)) {
        print(printer, expr);
        return;
    }
    switch (expr->kind) {
    case EXPR_CALL:
        pretty_call(printer, &expr->call, level);
        break;
    case EXPR_AGGREGATION:
        pretty_aggregation(printer, &expr->aggregation, level);
        break;
    case EXPR_BINARY:
        pretty_binary(printer, &expr->binary, level);
        break;
    case EXPR_PAREN:
        strbuf_add_cstr(out, "(\n");
        pretty_enclosed(printer, expr->paren, level + 1);
        strbuf_add_char(out, '\n');
        indent(out, level);
        strbuf_add_char(out, ')');
        break;
    case EXPR_SUBQUERY:
        pretty(printer, expr->subquery.expr, level);
        print_subquery_suffix(printer, &expr->subquery);
        break;
    case EXPR_UNARY: {
        /* The sign takes the place of whatever indentation the operand begins with. */
        struct strbuf operand = STRBUF_INIT;
        struct printer inner = *printer;
        inner.out = &operand;
        pretty(&inner, expr->unary.expr, level);
        strbuf_add_char(out, expr->unary.negate ? '-' : '+');
        strbuf_add_str(out, str_trim(strbuf_str(&operand)));
        strbuf_deinit(&operand);
        break;
    }
    default:
        print(printer, expr);
        break;
    }
}

void expr_print_pretty(const struct expr *expr, struct strbuf *out)
{
    struct printer printer = {.out = out, .size_max = SIZE_MAX};
    pretty(&printer, expr, 0);
}
