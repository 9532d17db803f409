/* One "eval": the query as written, and the variants that must give the same. */
#include "runner.h"

enum { MIDDLE_STEP_MS = 60000, PINNED_TIMES = 5 };

static err_t check_failure(const struct eval_command *eval, struct strbuf *message,
                           struct strbuf *why)
{
    for (const struct expectation *e = eval->expectations; e != NULL; e = e->next) {
        if (e->kind != EXPECT_FAIL)
            continue;
        struct str text = strbuf_str(message);
        bool met =
            e->match == EXPECT_ANY ||
            (e->match == EXPECT_TEXT ? str_equal(text, e->text) : regex_search(e->regex, text));
        if (!met)
            return err_fail(why, ERR_INVALID, "expected the error \"%.*s\", got \"%.*s\"",
                            STR_ARG(e->text), STR_ARG(text));
    }
    return OK;
}

/* Runs and judges failure; *result is NULL when the query failed as expected. */
static err_t run(const struct eval_command *eval, struct query_engine *engine,
                 const struct query_request *request, struct query_result **result,
                 struct strbuf *why)
{
    struct strbuf message = STRBUF_INIT;
    *result = NULL;
    err_t err = query_run(engine, request, result, &message);
    if (err == OK && eval->fail) {
        query_result_destroy(*result);
        *result = NULL;
        err = err_fail(why, ERR_INVALID, "expected the query to fail");
    } else if (err != OK && !eval->fail) {
        err = err_fail(why, ERR_INVALID, "the query failed: %s", strbuf_cstr(&message));
    } else if (err != OK) {
        err = check_failure(eval, &message, why);
    }
    strbuf_deinit(&message);
    return err;
}

static err_t run_range(const struct eval_command *eval, struct query_engine *engine,
                       struct strbuf *why)
{
    struct query_request request = {
        .text = eval->query,
        .range = true,
        .start_ms = eval->start_ms,
        .end_ms = eval->end_ms,
        .step_ms = eval->step_ms,
    };
    struct query_result *result;
    TRY(run(eval, engine, &request, &result, why));
    if (result == NULL)
        return OK;
    err_t err = check_annotations(eval, result, why);
    if (err == OK)
        err = check_range(eval, result, why);
    query_result_destroy(result);
    return err;
}

static bool contains(struct str text, const char *part)
{
    return memmem(text.data, text.size, part, strlen(part)) != NULL;
}

static bool may_run_as_range(const struct eval_command *eval, struct str text)
{
    return !eval->fail && !eval->has_string && !eval->has_range_vector && !eval->ordered &&
           !contains(text, "start()") && !contains(text, "end()") && !contains(text, "range()") &&
           !contains(text, "step()");
}

/* The same query as the middle step of a range. */
static err_t run_middle(const struct eval_command *eval, struct query_engine *engine,
                        struct str text, int64_t t_ms, struct strbuf *why)
{
    struct query_request request = {
        .text = text,
        .range = true,
        .start_ms = t_ms - MIDDLE_STEP_MS,
        .end_ms = t_ms + MIDDLE_STEP_MS,
        .step_ms = MIDDLE_STEP_MS,
    };
    struct query_result *result;
    TRY(run(eval, engine, &request, &result, why));
    err_t err = check_middle(eval, result, t_ms, why);
    query_result_destroy(result);
    return err;
}

static err_t run_instant(const struct eval_command *eval, struct query_engine *engine,
                         struct str text, int64_t t_ms, struct strbuf *why)
{
    struct query_request request = {.text = text, .start_ms = t_ms, .end_ms = t_ms};
    struct query_result *result;
    TRY(run(eval, engine, &request, &result, why));
    if (result == NULL)
        return OK;
    err_t err = check_annotations(eval, result, why);
    if (err == OK)
        err = check_instant(eval, result, why);
    query_result_destroy(result);
    return err;
}

/* Says which variant differed. */
static err_t explain(err_t err, const char *how, struct str text, int64_t t_ms, struct strbuf *why)
{
    if (err == OK)
        return OK;
    struct strbuf what = STRBUF_INIT;
    strbuf_add_str(&what, strbuf_str(why));
    strbuf_clear(why);
    strbuf_printf(why, "%s at %lld ms: %.*s\n    ", how, (long long)t_ms, STR_ARG(text));
    strbuf_add_str(why, strbuf_str(&what));
    strbuf_deinit(&what);
    return err;
}

static err_t run_both(const struct eval_command *eval, struct query_engine *engine, struct str text,
                      int64_t t_ms, struct strbuf *why)
{
    err_t err = run_instant(eval, engine, text, t_ms, why);
    TRY(explain(err, "instant", text, t_ms, why));
    if (!may_run_as_range(eval, text))
        return OK;
    return explain(run_middle(eval, engine, text, t_ms, why), "middle of a range", text, t_ms, why);
}

err_t eval_run(const struct eval_command *eval, struct query_engine *engine, struct strbuf *why)
{
    if (eval->range)
        return explain(run_range(eval, engine, why), "range", eval->query, eval->start_ms, why);
    TRY(run_both(eval, engine, eval->query, eval->start_ms, why));
    struct strbuf pinned = STRBUF_INIT;
    bool possible = false;
    int64_t t = eval->start_ms;
    err_t err = query_pin(eval->query, t, &pinned, &possible, why);
    const int64_t times[PINNED_TIMES] = {-10 * t, 0, t / 5, t, 10 * t};
    static const int64_t times_of_zero[] = {-1000, 0, 1000};
    const int64_t *list = t == 0 ? times_of_zero : times;
    size_t count = t == 0 ? 3 : PINNED_TIMES;
    for (size_t i = 0; i < count && err == OK && possible; i++)
        err = run_both(eval, engine, strbuf_str(&pinned), list[i], why);
    strbuf_deinit(&pinned);
    return err;
}
