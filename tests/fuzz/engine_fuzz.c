/* Well-typed queries over a small store give the same answer, bit for bit, with no helping threads
 * and with three. Each input byte is one choice. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "narthex/base/strbuf.h"
#include "narthex/query/engine.h"
#include "narthex/query/functions.h"
#include "reference_store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum { SERIES = 24, SAMPLES = 40, INTERVAL_MS = 15000, DEPTH_MAX = 5 };

/* ---- data ---- */

static struct storage *storage;
static struct query_engine *engines[2][2]; /* by delayed names, by threads */

static double sample_value(int series, int i)
{
    static const double odd[] = {0, -0.0, 1e308, -1e308, 5e-324};
    if (series % 6 == 5)
        return i % 11 == 3 ? NAN : i % 7 == 5 ? INFINITY : odd[i % 5];
    if (series % 6 == 4)
        return sin(i * 0.7 + series);
    return i > 20 && series % 2 == 1 ? (i - 20) * 1.5 : i * (series + 1.0);
}

static void fill_histogram(struct histogram *h, struct histogram_span *span,
                           union histogram_count *counts, double *bounds, int series, int i)
{
    int steps = i % 17;
    *span = (struct histogram_span){series % 3 - 1, 3};
    for (int k = 0; k < 3; k++)
        counts[k].f = steps * (k + 1);
    *h = (struct histogram){.kind = HISTOGRAM_FLOAT,
                            .schema = i < 25 ? series % 3 : 0,
                            .zero_threshold = series % 4 == 0 ? 0.001 : 0,
                            .zero_count = {.f = steps},
                            .count = {.f = 7 * steps},
                            .sum = steps * 3.5,
                            .positive = {span, counts, 1, 3}};
    if (series % 5 != 0)
        return;
    span->offset = 0;
    bounds[0] = 1;
    bounds[1] = i < 10 ? 2 : 3;
    h->schema = HISTOGRAM_SCHEMA_CUSTOM;
    h->zero_threshold = 0;
    h->zero_count.f = 0;
    h->count.f = 6 * steps;
    h->custom_values = bounds;
    h->custom_value_count = 2;
}

static void add_series(struct appender *appender, source_ref source, int s)
{
    static const struct str names[] = {STR_INIT("m_total"), STR_INIT("m_bucket"), STR_INIT("g"),
                                       STR_INIT("target_info")};
    static const struct str les[] = {STR_INIT("0.5"), STR_INIT("1"), STR_INIT("+Inf")};
    struct label labels[] = {
        {STR("__name__"), names[s % 4]},
        {STR("a"), s / 4 % 2 == 0 ? STR("x") : STR("y")},
        {STR("instance"), s / 8 == 0   ? STR("i")
                          : s / 8 == 1 ? STR("j")
                                       : STR("k")},
        {STR("le"), les[s % 3]},
    };
    struct append_options options = {.t_max_ms = 0};
    struct strbuf why = STRBUF_INIT;
    err_t err = OK;
    for (int i = s % 5; i < SAMPLES && err == OK; i += s % 7 == 6 ? 3 : 1) {
        series_ref ref;
        bool created;
        double value = sample_value(s, i);
        struct histogram h;
        struct histogram_span span;
        union histogram_count counts[3];
        double bounds[2];
        const struct histogram *histogram = NULL;
        if (s % 3 == 2 || (s % 8 == 1 && i > 30)) {
            fill_histogram(&h, &span, counts, bounds, s, i);
            histogram = &h;
        }
        uint8_t outcome;
        int64_t start_ms = i > 5 ? (int64_t)(i / 10) * 10 * INTERVAL_MS + 1 : 0;
        struct append_batch batch = {.count = 1,
                                     .refs = &ref,
                                     .t_all_ms = (int64_t)i * INTERVAL_MS,
                                     .values = &value,
                                     .histograms = &histogram,
                                     .start_t_ms = &start_ms,
                                     .outcomes = &outcome};
        appender_begin(appender, source, &options);
        err = appender_series(appender, (struct labels){labels, 4}, &ref, &created, &why);
        if (err == OK)
            err = appender_add(appender, &batch, &why);
        if (err == OK)
            err = appender_commit(appender, &why);
    }
    assert(err == OK);
    strbuf_deinit(&why);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    storage = reference_store_create();
    struct appender *appender;
    struct strbuf why = STRBUF_INIT;
    err_t err = storage_appender_open(storage, &appender, &why);
    assert(err == OK);
    source_ref source = storage_source_open(storage, 1);
    for (int s = 0; s < SERIES; s++)
        add_series(appender, source, s);
    appender_close(appender);
    for (int delayed = 0; delayed < 2; delayed++) {
        for (int threads = 0; threads < 2; threads++) {
            struct query_engine_options options = {
                .storage = storage,
                .threads = threads == 0 ? 0 : 3,
                .max_samples = 200000,
                .memory_bytes_max = 64 << 20,
                .features = {.experimental_functions = true,
                             .extended_range_selectors = true,
                             .binop_fill_modifiers = true,
                             .delayed_name_removal = delayed == 1,
                             .start_timestamps = delayed == 1},
            };
            engines[delayed][threads] = query_engine_create(&options);
        }
    }
    strbuf_deinit(&why);
    return 0;
}

/* ---- queries ---- */

struct choices {
    const uint8_t *data;
    size_t size;
    struct strbuf *out;
};

static unsigned choose(struct choices *choices, unsigned below)
{
    if (choices->size == 0)
        return 0;
    choices->size--;
    return *choices->data++ % below;
}

static void pick(struct choices *choices, const char *const *texts, unsigned count)
{
    strbuf_add_cstr(choices->out, texts[choose(choices, count)]);
}
#define PICK(choices, texts) pick((choices), (texts), sizeof(texts) / sizeof((texts)[0]))

static void add_typed(struct choices *choices, enum expr_type type, int depth);

static void add_selector(struct choices *choices)
{
    static const char *const selectors[] = {"m_total",
                                            "g",
                                            "m_bucket",
                                            "{__name__=~\"m_.*\"}",
                                            "target_info{a=\"x\"}",
                                            "g{le!=\"1\"}",
                                            "{instance=~\"i|j\"}",
                                            "nothing"};
    static const char *const modifiers[] = {"",          "",         "",          " offset 1m",
                                            " @ 300",    " @ end()", " smoothed", " offset -30s",
                                            " anchored", ""};
    PICK(choices, selectors);
    PICK(choices, modifiers);
}

static void add_matrix(struct choices *choices, int depth)
{
    static const char *const selectors[] = {"m_total[2m]",
                                            "g[1m]",
                                            "{__name__=~\"m_.*\"}[3m]",
                                            "m_bucket[90s] offset 30s",
                                            "m_total[2m] anchored",
                                            "g[2m] smoothed",
                                            "m_bucket[1m] @ 400"};
    static const char *const ranges[] = {"[2m:30s]", "[1m:]", "[5m:1m] offset 1m",
                                         "[3m:20s] @ 500"};
    if (choose(choices, 3) > 0 || depth >= DEPTH_MAX) {
        PICK(choices, selectors);
        return;
    }
    strbuf_add_char(choices->out, '(');
    add_typed(choices, EXPR_TYPE_VECTOR, depth + 1);
    strbuf_add_char(choices->out, ')');
    PICK(choices, ranges);
}

static void add_call(struct choices *choices, const struct function *function, int depth)
{
    uint32_t count = function->arg_type_count;
    if (function->variadic != 0 && choose(choices, 2) == 0)
        count--;
    strbuf_add_str(choices->out, function->name);
    strbuf_add_char(choices->out, '(');
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            strbuf_add_cstr(choices->out, ", ");
        if (function->id == FUNCTION_INFO && i == 1)
            strbuf_add_cstr(choices->out, "{le=~\".+\"}");
        else
            add_typed(choices, function->arg_types[i], depth + 1);
    }
    strbuf_add_char(choices->out, ')');
}

/* A function of this type, the first from a chosen one onwards. */
static const struct function *choose_function(struct choices *choices, enum expr_type type)
{
    unsigned at = choose(choices, FUNCTION_COUNT);
    while (function_get((enum function_id)at)->return_type != type)
        at = (at + 1) % FUNCTION_COUNT;
    return function_get((enum function_id)at);
}

static void add_aggregation(struct choices *choices, int depth)
{
    static const char *const operators[] = {"sum",
                                            "avg",
                                            "count",
                                            "min",
                                            "max",
                                            "stddev",
                                            "group",
                                            "topk(2, ",
                                            "bottomk(1, ",
                                            "limitk(3, ",
                                            "quantile(0.3, ",
                                            "count_values(\"v\", ",
                                            "limit_ratio(0.5, "};
    static const char *const groupings[] = {"", " by (a)", " without (le)", " by (__name__, le)"};
    unsigned op = choose(choices, sizeof operators / sizeof operators[0]);
    strbuf_add_cstr(choices->out, operators[op]);
    if (op < 7)
        strbuf_add_char(choices->out, '(');
    add_typed(choices, EXPR_TYPE_VECTOR, depth + 1);
    strbuf_add_char(choices->out, ')');
    PICK(choices, groupings);
}

static void add_binary(struct choices *choices, int depth)
{
    static const char *const operators[] = {" + ",
                                            " - ",
                                            " * ",
                                            " / ",
                                            " ^ ",
                                            " % ",
                                            " == ",
                                            " > ",
                                            " </ ",
                                            " >/ ",
                                            " > bool ",
                                            " and ",
                                            " or ",
                                            " unless ",
                                            " - on (a, instance, le) ",
                                            " * ignoring (le) group_left ",
                                            " + on (instance) group_right (a) ",
                                            " + on (a, le, instance) fill(1) "};
    strbuf_add_char(choices->out, '(');
    add_typed(choices, EXPR_TYPE_VECTOR, depth + 1);
    PICK(choices, operators);
    add_typed(choices, EXPR_TYPE_VECTOR, depth + 1);
    strbuf_add_char(choices->out, ')');
}

static void add_vector(struct choices *choices, int depth)
{
    static const char *const scaled[] = {" * 2", " </ 1", " >= 3", " == bool 0", " + time()"};
    unsigned what = depth >= DEPTH_MAX ? 0 : choose(choices, 7);
    if (what <= 1) {
        add_selector(choices);
    } else if (what == 2) {
        add_aggregation(choices, depth);
    } else if (what == 3) {
        add_binary(choices, depth);
    } else if (what == 4) {
        strbuf_add_cstr(choices->out, "(-");
        add_typed(choices, EXPR_TYPE_VECTOR, depth + 1);
        PICK(choices, scaled);
        strbuf_add_char(choices->out, ')');
    } else {
        add_call(choices, choose_function(choices, EXPR_TYPE_VECTOR), depth);
    }
}

static void add_typed(struct choices *choices, enum expr_type type, int depth)
{
    static const char *const scalars[] = {"1", "0.9", "-1", "NaN", "2", "time()", "0.5", "1e9"};
    static const char *const strings[] = {"\"a\"",    "\"le\"",       "\"$1\"",
                                          "\"(.*)\"", "\"__name__\"", "\"\""};
    if (type == EXPR_TYPE_VECTOR)
        add_vector(choices, depth);
    else if (type == EXPR_TYPE_MATRIX)
        add_matrix(choices, depth);
    else if (type == EXPR_TYPE_STRING)
        PICK(choices, strings);
    else if (depth < DEPTH_MAX && choose(choices, 4) == 0)
        add_call(choices, choose_function(choices, EXPR_TYPE_SCALAR), depth);
    else
        PICK(choices, scalars);
}

/* ---- comparing ---- */

static void expect_same_series(const struct query_series *a, const struct query_series *b)
{
    assert(labels_equal(a->labels, b->labels));
    assert(a->float_count == b->float_count && a->histogram_count == b->histogram_count);
    for (uint32_t i = 0; i < a->float_count; i++) {
        assert(a->float_t_ms[i] == b->float_t_ms[i]);
        assert(double_bits(a->floats[i]) == double_bits(b->floats[i]));
    }
    for (uint32_t i = 0; i < a->histogram_count; i++) {
        assert(a->histogram_t_ms[i] == b->histogram_t_ms[i]);
        assert(histogram_identical(a->histograms[i], b->histograms[i]));
    }
}

static void expect_same(const struct query_result *a, const struct query_result *b)
{
    assert(a->type == b->type && a->series_count == b->series_count);
    for (size_t i = 0; i < a->series_count; i++)
        expect_same_series(&a->series[i], &b->series[i]);
    assert(a->warning_count == b->warning_count && a->info_count == b->info_count);
    for (size_t i = 0; i < a->warning_count; i++)
        assert(str_equal(a->warnings[i], b->warnings[i]));
    for (size_t i = 0; i < a->info_count; i++)
        assert(str_equal(a->infos[i], b->infos[i]));
    assert(a->stats.total_queryable_samples == b->stats.total_queryable_samples);
    assert(a->stats.peak_samples == b->stats.peak_samples);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strbuf text = STRBUF_INIT;
    struct choices choices = {data, size, &text};
    struct query_request request = {.range = choose(&choices, 2) == 0,
                                    .start_ms = (int64_t)choose(&choices, 64) * 10000,
                                    .step_ms = 1000 * (int64_t)(1 + choose(&choices, 90))};
    request.end_ms = request.start_ms + (int64_t)choose(&choices, 100) * 5000;
    unsigned delayed = choose(&choices, 2);
    add_typed(&choices, EXPR_TYPE_VECTOR, 0);
    request.text = strbuf_str(&text);
    if (getenv("ENGINE_FUZZ_PRINT") != NULL)
        fprintf(stderr, "%s\n", strbuf_cstr(&text));
    struct query_result *results[2];
    struct strbuf why[2] = {STRBUF_INIT, STRBUF_INIT};
    err_t errs[2];
    for (int i = 0; i < 2; i++)
        errs[i] = query_run(engines[delayed][i], &request, &results[i], &why[i]);
    assert(errs[0] == errs[1]);
    if (errs[0] == OK)
        expect_same(results[0], results[1]);
    else
        assert(str_equal(strbuf_str(&why[0]), strbuf_str(&why[1])));
    for (int i = 0; i < 2; i++) {
        query_result_destroy(results[i]);
        strbuf_deinit(&why[i]);
    }
    strbuf_deinit(&text);
    return 0;
}
