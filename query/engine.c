#include "narthex/query/engine.h"

#include <assert.h>
#include <string.h>

#include "common_parts.h"
#include "engine_state.h"
#include "eval.h"
#include "eval_stats.h"
#include "result.h"

enum {
    ENGINE_CONCURRENCY_DEFAULT = 20,
    ENGINE_SAMPLES_DEFAULT = 50 * 1000 * 1000,
    ENGINE_TIMEOUT_DEFAULT_MS = 2 * 60 * 1000,
    ENGINE_LOOKBACK_DEFAULT_MS = 5 * 60 * 1000,
    ENGINE_SUBQUERY_STEP_DEFAULT_MS = 60 * 1000,
    TRIM_BYTES = 32 * 1024 * 1024, /* memory of that size goes back to the system at once */
};

/* ---- the engine ---- */

struct query_engine *query_engine_create(const struct query_engine_options *options)
{
    assert(options->storage != NULL);
    struct query_engine *engine = MEM_NEW(MEM_QUERY, struct query_engine);
    engine->options = *options;
    struct query_engine_options *o = &engine->options;
    if (o->clock == NULL)
        o->clock = clock_system();
    if (o->max_concurrency == 0)
        o->max_concurrency = ENGINE_CONCURRENCY_DEFAULT;
    if (o->max_samples == 0)
        o->max_samples = ENGINE_SAMPLES_DEFAULT;
    if (o->timeout_ms == 0)
        o->timeout_ms = ENGINE_TIMEOUT_DEFAULT_MS;
    if (o->lookback_ms <= 0)
        o->lookback_ms = ENGINE_LOOKBACK_DEFAULT_MS;
    if (o->subquery_step_ms == 0)
        o->subquery_step_ms = ENGINE_SUBQUERY_STEP_DEFAULT_MS;
    if (o->threads > EVAL_LANES_MAX - 1)
        o->threads = EVAL_LANES_MAX - 1;
    atomic_store(&engine->subquery_step_ms, o->subquery_step_ms);
    if (o->threads > 0)
        engine->pool = worker_pool_create("query", o->threads);
    engine__metrics_init(&engine->metrics, o);
    mutex_init(&engine->lock);
    cond_init(&engine->released);
    mutex_init(&engine->log_lock);
    return engine;
}

void query_engine_destroy(struct query_engine *engine)
{
    if (engine == NULL)
        return;
    assert(engine->running == 0);
    struct strbuf why = STRBUF_INIT;
    err_t err = query_engine_set_log_file(engine, NULL, &why);
    assert(err == OK);
    strbuf_deinit(&why);
    if (engine->pool != NULL)
        worker_pool_destroy(engine->pool);
    mutex_deinit(&engine->log_lock);
    cond_deinit(&engine->released);
    mutex_deinit(&engine->lock);
    mem_free(MEM_QUERY, engine);
}

void query_engine_set_subquery_step(struct query_engine *engine, int64_t step_ms)
{
    assert(step_ms > 0);
    atomic_store_explicit(&engine->subquery_step_ms, step_ms, memory_order_relaxed);
}

void query_engine_help(struct query_engine *engine, uint32_t count,
                       void (*task)(void *context, uint32_t index), void *context)
{
    worker_pool_run(engine->pool, count, task, context);
}

/* ---- one query ---- */

static double seconds_since(const struct clock *clock, int64_t from_ns)
{
    return (double)(clock_monotonic_ns(clock) - from_ns) / 1e9;
}

static err_t check_type(const struct query_request *request, const struct expr *root,
                        struct strbuf *why)
{
    if (!request->range || root->type == EXPR_TYPE_SCALAR || root->type == EXPR_TYPE_VECTOR)
        return OK;
    return err_fail(why, ERR_INVALID,
                    "invalid expression type \"%s\" for range query, must be Scalar or instant "
                    "Vector",
                    expr_type_text(root->type));
}

static err_t make_grid(const struct query_request *request, struct grid *grid, struct strbuf *why)
{
    *grid = (struct grid){request->start_ms, 1, 1};
    if (!request->range)
        return OK;
    assert(request->step_ms > 0);
    int64_t span = time__subtract(request->end_ms, request->start_ms);
    int64_t count = span < 0 ? 0 : span / request->step_ms + 1;
    if (count == 0)
        return err_fail(why, ERR_INVALID, "end timestamp must not be before start time");
    if (count > EVAL_STEPS_MAX)
        return err_fail(why, ERR_LIMIT, "too many steps: %lld", (long long)count);
    *grid = (struct grid){request->start_ms, request->step_ms, (uint32_t)count};
    return OK;
}

static void init_eval(struct eval *eval, struct query_engine *engine,
                      const struct query_request *request, struct engine_ticket *ticket,
                      struct arena *arena, const struct arena *result, int64_t deadline_ns)
{
    *eval = (struct eval){
        .options = &engine->options,
        .request = request,
        .text = request->text,
        .pool = request->trial != NULL ? NULL : engine->pool,
        .lane_count = request->trial != NULL ? 1 : engine->options.threads + 1,
        .lookback_ms =
            request->lookback_ms > 0 ? request->lookback_ms : engine->options.lookback_ms,
        .subquery_step_ms = atomic_load_explicit(&engine->subquery_step_ms, memory_order_relaxed),
        .deadline_ns = deadline_ns,
        .trial_end_ns =
            request->trial != NULL ? ticket->arrived_ns + request->trial->time_ns : INT64_MAX,
        .cancel = request->cancel,
        .kill = &ticket->kill,
        .progress = &ticket->samples,
        .delayed_names = engine->options.features.delayed_name_removal,
        .arena = arena,
        .result = result,
        .min_t_ms = INT64_MAX,
        .max_t_ms = INT64_MIN,
    };
    annotations__init(&eval->annotations);
}

static err_t evaluate_root(struct eval *eval, const struct expr *root, struct scope *scope,
                           struct op **op, struct query_result *result, struct strbuf *why)
{
    const struct clock *clock = eval->options->clock;
    int64_t prepared_from = clock_monotonic_ns(clock);
    if (root->type == EXPR_TYPE_STRING) {
        result->type = QUERY_STRING;
        result->string = arena_str(&result->arena, expr_strip_parens((struct expr *)root)->string);
        return OK;
    }
    if (root->type == EXPR_TYPE_MATRIX) {
        TRY(result__matrix(eval, root, result, why));
        result->stats.inner_eval_s = seconds_since(clock, prepared_from);
        return OK;
    }
    TRY(plan__build(eval, scope, root, op, why));
    TRY(eval__open(eval, why));
    result->stats.preparation_s = seconds_since(clock, prepared_from);
    int64_t evaluated_from = clock_monotonic_ns(clock);
    TRY(result__collect(eval, *op, root, result, why));
    result->stats.inner_eval_s = seconds_since(clock, evaluated_from);
    int64_t sorted_from = clock_monotonic_ns(clock);
    if (result->type == QUERY_MATRIX)
        result__sort(result);
    result->stats.result_sort_s = seconds_since(clock, sorted_from);
    return OK;
}

static err_t evaluate(struct eval *eval, struct parsed_query *parsed, struct query_result *result,
                      struct strbuf *why)
{
    const struct query_request *request = eval->request;
    struct grid grid;
    TRY(make_grid(request, &grid, why));
    struct prepare_times times = {
        .start_ms = request->start_ms,
        .end_ms = request->range ? request->end_ms : request->start_ms,
        .step_ms = request->range ? request->step_ms : 0,
    };
    TRY(promql_prepare(parsed, &times, why));
    plan__mark_invariant(eval, parsed->root, parsed->node_count);
    common_parts__find(eval, parsed->root, parsed->node_count);
    struct scope *scope = eval__scope(eval, SCOPE_ROOT, NULL, grid);
    struct op *op = NULL;
    result->t_ms = request->start_ms;
    TRY(evaluate_root(eval, parsed->root, scope, &op, result, why));
    eval_stats__fill(eval, op, result);
    if ((uint64_t)eval->limit_samples > eval->options->max_samples)
        return eval__too_many_samples(why);
    struct str_array warnings =
        annotations__render(&eval->annotations, true, eval->text, &result->arena);
    struct str_array infos =
        annotations__render(&eval->annotations, false, eval->text, &result->arena);
    result->warnings = warnings.items;
    result->warning_count = warnings.count;
    result->infos = infos.items;
    result->info_count = infos.count;
    return OK;
}

static int64_t deadline_of(const struct query_engine *engine, const struct query_request *request,
                           int64_t now_ns)
{
    int64_t timeout_ms = engine->options.timeout_ms;
    if (request->timeout_ms > 0 && request->timeout_ms < timeout_ms)
        timeout_ms = request->timeout_ms;
    return now_ns + timeout_ms * 1000000;
}

static bool gave_up(const struct query_request *request)
{
    return request->trial != NULL && request->trial->gave_up;
}

static err_t check_trial(struct query_trial *trial, const struct query_result *result,
                         struct strbuf *why)
{
    uint64_t points = 0;
    for (size_t i = 0; i < result->series_count; i++) {
        if (result->series[i].histogram_count > 0)
            return eval__give_up(trial, why);
        points += result->series[i].float_count;
    }
    return points > trial->points ? eval__give_up(trial, why) : OK;
}

static err_t run_admitted(struct query_engine *engine, const struct query_request *request,
                          struct engine_ticket *ticket, struct arena *arena,
                          struct parsed_query *parsed, int64_t deadline_ns,
                          struct query_result *result, struct strbuf *why)
{
    const struct clock *clock = engine->options.clock;
    struct eval eval;
    init_eval(&eval, engine, request, ticket, arena, &result->arena, deadline_ns);
    err_t err = evaluate(&eval, parsed, result, why);
    if (err == OK && request->trial != NULL)
        err = check_trial(request->trial, result, why);
    ticket->held_bytes = mem_bytes(MEM_QUERY);
    eval__deinit(&eval);
    struct query_stats *stats = &result->stats;
    stats->queue_s = (double)(ticket->admitted_ns - ticket->arrived_ns) / 1e9;
    stats->eval_total_s = seconds_since(clock, ticket->admitted_ns);
    stats->exec_total_s = seconds_since(clock, ticket->arrived_ns);
    if (!gave_up(request))
        engine__metrics_query(&engine->metrics, stats);
    return err;
}

err_t query_run(struct query_engine *engine, const struct query_request *request,
                struct query_result **result, struct strbuf *why)
{
    *result = NULL;
    struct arena arena;
    arena_init(&arena, MEM_QUERY, SIZE_MAX);
    struct parsed_query parsed;
    err_t err = promql_parse(request->text, &engine->options.features, &arena, &parsed, why);
    if (err != OK) {
        arena_deinit(&arena);
        return err;
    }
    struct engine_ticket ticket = {.kill = false};
    ticket.arrived_ns = clock_monotonic_ns(engine->options.clock);
    int64_t deadline_ns = deadline_of(engine, request, ticket.arrived_ns);
    struct query_result *made = MEM_NEW(MEM_QUERY, struct query_result);
    arena_init(&made->arena, MEM_QUERY, SIZE_MAX);
    TRY_OUT(check_type(request, parsed.root, why));
    TRY_OUT(engine__enter(engine, request, &ticket, deadline_ns, why));
    err = run_admitted(engine, request, &ticket, &arena, &parsed, deadline_ns, made, why);
    engine__leave(engine, &ticket);
    if (!gave_up(request))
        engine__log_query(engine, request, &made->stats, err, strbuf_str(why));
out:
    parsed_query_deinit(&parsed);
    arena_deinit(&arena);
    if (ticket.held_bytes >= TRIM_BYTES)
        mem_trim();
    if (err == OK)
        *result = made;
    else
        query_result_destroy(made);
    return err;
}

void query_result_destroy(struct query_result *result)
{
    if (result == NULL)
        return;
    bool large = result->arena.allocated_bytes >= TRIM_BYTES;
    arena_deinit(&result->arena);
    mem_free(MEM_QUERY, result);
    if (large)
        mem_trim();
}
