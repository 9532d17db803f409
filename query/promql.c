/* What can be done with query text without running it: selectors and durations. */
#include "narthex/query/promql.h"

#include "narthex/query/printer.h"

#include "promql_number.h"
#include "promql_parser.h"

err_t promql_format(struct str text, const struct promql_features *features, struct strbuf *out,
                    struct strbuf *why)
{
    struct arena arena;
    arena_init(&arena, MEM_QUERY, SIZE_MAX);
    struct parsed_query query;
    err_t err = promql_parse(text, features, &arena, &query, why);
    if (err == OK) {
        expr_print_pretty(query.root, out);
        parsed_query_deinit(&query);
    }
    arena_deinit(&arena);
    return err;
}

static bool selector_matches_empty(const struct selector *selector)
{
    for (size_t i = 0; i < selector->count; i++) {
        if (!matcher_matches_empty(&selector->matchers[i]))
            return false;
    }
    return true;
}

err_t promql_parse_selector(struct str text, bool allow_empty, struct arena *arena,
                            struct selector *selector, struct strbuf *why)
{
    struct parsed_query query;
    *selector = (struct selector){NULL, 0};
    TRY(promql__parse_selector(text, arena, &query, why));
    struct selector parsed = query.root->vector_selector.selector;
    if (!allow_empty && selector_matches_empty(&parsed)) {
        parsed_query_deinit(&query);
        return err_fail(why, ERR_INVALID, "match[] must contain at least one non-empty matcher");
    }
    *selector = parsed;
    return OK;
}

void promql_selector_deinit(struct selector *selector)
{
    /* The parser made the array in an arena, writable; readers see it as constant. */
    struct matcher *matchers = (struct matcher *)(uintptr_t)selector->matchers;
    for (size_t i = 0; i < selector->count; i++)
        matcher_deinit(&matchers[i]);
    *selector = (struct selector){NULL, 0};
}

struct selector_collector {
    struct selector *items; /* NULL while counting */
    size_t count;
};

static enum walk_step collect_selector(void *context, struct expr *expr)
{
    struct selector_collector *collector = context;
    if (expr->kind != EXPR_VECTOR_SELECTOR)
        return WALK_INTO;
    if (collector->items != NULL)
        collector->items[collector->count] = expr->vector_selector.selector;
    collector->count++;
    return WALK_OVER;
}

err_t promql_expression_selectors(struct str text, const struct promql_features *features,
                                  struct arena *arena, struct selector **selectors, size_t *count,
                                  struct strbuf *why)
{
    struct parsed_query query;
    *selectors = NULL;
    *count = 0;
    TRY(promql_parse(text, features, arena, &query, why));
    struct selector_collector collector = {NULL, 0};
    expr_walk(query.root, collect_selector, &collector);
    if (collector.count == 0)
        return OK;
    collector.items = ARENA_NEW_ARRAY(arena, struct selector, collector.count);
    collector.count = 0;
    expr_walk(query.root, collect_selector, &collector);
    *selectors = collector.items;
    *count = collector.count;
    return OK;
}

err_t promql_parse_duration(struct str text, int64_t *ms, struct strbuf *why)
{
    return promql_duration_value(text, ms, why);
}
