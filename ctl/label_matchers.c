/* narthexctl promql label-matchers: one matcher set in, or deleted from, all selectors of a query.
 */
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "narthex/query/ast.h"
#include "narthex/query/printer.h"

struct edit {
    struct arena arena;
    struct str name;
    const struct matcher *set; /* NULL: delete */
};

static enum walk_step edit_selector(void *context, struct expr *expr)
{
    struct edit *edit = context;
    if (expr->kind != EXPR_VECTOR_SELECTOR)
        return WALK_INTO;
    struct selector *selector = &expr->vector_selector.selector;
    struct matcher *matchers = arena_alloc(&edit->arena, (selector->count + 1) * sizeof *matchers);
    size_t count = 0;
    bool found = false;
    for (size_t i = 0; i < selector->count; i++) {
        bool named = str_equal(selector->matchers[i].name, edit->name);
        found |= named;
        if (!named)
            matchers[count++] = selector->matchers[i];
        else if (edit->set != NULL)
            matchers[count++] = *edit->set;
    }
    if (!found && edit->set != NULL)
        matchers[count++] = *edit->set;
    *selector = (struct selector){matchers, count};
    return WALK_INTO;
}

/* Prints the query as it is afterwards. */
static int edit_query(const char *text, struct str name, const struct matcher *set)
{
    struct promql_features features = {.experimental_functions = true,
                                       .extended_range_selectors = true,
                                       .binop_fill_modifiers = true};
    struct edit edit = {.name = name, .set = set};
    struct parsed_query query;
    struct strbuf why = STRBUF_INIT;
    struct strbuf out = STRBUF_INIT;
    arena_init(&edit.arena, MEM_QUERY, SIZE_MAX);
    err_t err = promql_parse(str_from_cstr(text), &features, &edit.arena, &query, &why);
    if (err == OK) {
        expr_walk(query.root, edit_selector, &edit);
        expr_print_pretty(query.root, &out);
        printf("%s\n", strbuf_cstr(&out));
        parsed_query_deinit(&query);
    } else {
        fprintf(stderr, "%s\n", strbuf_cstr(&why));
    }
    arena_deinit(&edit.arena);
    strbuf_deinit(&out);
    strbuf_deinit(&why);
    return err == OK ? CTL_OK : CTL_FAILED;
}

int ctl_promql_set_matcher(const struct ctl_arguments *arguments)
{
    const char *type = ctl_option(arguments, "type", "=");
    struct strbuf why = STRBUF_INIT;
    struct matcher matcher;
    enum matcher_kind kind = MATCH_EQUAL;
    while (kind < MATCH_NOT_REGEX && strcmp(matcher_kind_text(kind), type) != 0)
        kind++;
    int status = CTL_FAILED;
    if (strcmp(matcher_kind_text(kind), type) != 0) {
        fprintf(stderr, "invalid label match type: %s\n", type);
    } else if (matcher_init(&matcher, kind, str_from_cstr(arguments->rest[1]),
                            str_from_cstr(arguments->rest[2]), &why) != OK) {
        fprintf(stderr, "%s\n", strbuf_cstr(&why));
    } else {
        status = edit_query(arguments->rest[0], matcher.name, &matcher);
        matcher_deinit(&matcher);
    }
    strbuf_deinit(&why);
    return status;
}

int ctl_promql_delete_matcher(const struct ctl_arguments *arguments)
{
    return edit_query(arguments->rest[0], str_from_cstr(arguments->rest[1]), NULL);
}
