/* Rewriting a query so that all its selectors read at one time. */
#include "runner.h"

#include "narthex/query/ast.h"
#include "narthex/query/functions.h"
#include "narthex/query/printer.h"

struct pinning {
    int64_t t_ms;
    bool possible;
};

static void pin(struct time_modifiers *when, int64_t t_ms)
{
    if (when->at == AT_TIME)
        return;
    when->at = AT_TIME;
    when->at_ms = t_ms;
}

static enum walk_step visit(void *context, struct expr *expr)
{
    struct pinning *pinning = context;
    switch (expr->kind) {
    case EXPR_VECTOR_SELECTOR:
        pin(&expr->vector_selector.when, pinning->t_ms);
        return WALK_OVER;
    case EXPR_SUBQUERY:
        /* What is inside follows the subquery's own times. */
        pin(&expr->subquery.when, pinning->t_ms);
        return WALK_OVER;
    case EXPR_CALL:
        if (function_reads_time(expr->call.function->id))
            pinning->possible = false;
        return WALK_INTO;
    default:
        return WALK_INTO;
    }
}

err_t query_pin(struct str text, int64_t t_ms, struct strbuf *pinned, bool *possible,
                struct strbuf *why)
{
    static const struct promql_features features = {
        .experimental_functions = true,
        .extended_range_selectors = true,
        .binop_fill_modifiers = true,
    };
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct parsed_query query;
    err_t err = promql_parse(text, &features, &arena, &query, why);
    if (err == OK) {
        struct pinning pinning = {t_ms, true};
        expr_walk(query.root, visit, &pinning);
        *possible = pinning.possible;
        strbuf_clear(pinned);
        expr_print(query.root, pinned);
        parsed_query_deinit(&query);
    }
    arena_deinit(&arena);
    return err;
}
