/* What can be done with query text: the JSON tree, selectors, durations, prepared times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "narthex/query/ast.h"
#include "narthex/query/printer.h"

static const struct promql_features all_features = {
    .experimental_functions = true,
    .extended_range_selectors = true,
    .binop_fill_modifiers = true,
};

struct example {
    const char *query;
    const char *result;
};

static void json_trees(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"1.5", "{\"type\":\"numberLiteral\",\"val\":\"1.5\"}"},
        {"\"<a>\n\"", NULL},
        {"'<a>\\n'", "{\"type\":\"stringLiteral\",\"val\":\"\\u003ca\\u003e\\n\"}"},
        {"-(x)", "{\"expr\":{\"expr\":{\"anchored\":false,\"matchers\":[{\"name\":\"__name__\","
                 "\"type\":\"=\",\"value\":\"x\"}],\"name\":\"x\",\"offset\":0,\"offsetExpr\":null,"
                 "\"smoothed\":false,\"startOrEnd\":null,\"timestamp\":null,"
                 "\"type\":\"vectorSelector\"},\"type\":\"parenExpr\"},\"op\":\"-\","
                 "\"type\":\"unaryExpr\"}"},
        {"x{a!~\"b\"}[5m] @ start() offset -(step())",
         "{\"anchored\":false,\"matchers\":[{\"name\":\"a\",\"type\":\"!~\",\"value\":\"b\"},"
         "{\"name\":\"__name__\",\"type\":\"=\",\"value\":\"x\"}],\"name\":\"x\",\"offset\":0,"
         "\"offsetExpr\":{\"lhs\":null,\"op\":\"-\",\"rhs\":{\"lhs\":null,\"op\":\"step\","
         "\"rhs\":null,\"type\":\"durationExpr\",\"wrapped\":true},\"type\":\"durationExpr\","
         "\"wrapped\":false},\"range\":300000,\"rangeExpr\":null,\"smoothed\":false,"
         "\"startOrEnd\":\"start\",\"timestamp\":null,\"type\":\"matrixSelector\"}"},
        {"sum without (a) (1)", NULL},
        {"round(vector(1))",
         "{\"args\":[{\"args\":[{\"type\":\"numberLiteral\",\"val\":\"1\"}],\"func\":{"
         "\"argTypes\":[\"scalar\"],\"name\":\"vector\",\"returnType\":\"vector\","
         "\"variadic\":0},\"type\":\"call\"}],\"func\":{\"argTypes\":[\"vector\",\"scalar\"],"
         "\"name\":\"round\",\"returnType\":\"vector\",\"variadic\":1},\"type\":\"call\"}"},
        {"vector(1) </ on(a) group_left(b) fill_left(2) vector(1)",
         "{\"bool\":false,\"lhs\":{\"args\":[{\"type\":\"numberLiteral\",\"val\":\"1\"}],"
         "\"func\":{\"argTypes\":[\"scalar\"],\"name\":\"vector\",\"returnType\":\"vector\","
         "\"variadic\":0},\"type\":\"call\"},\"matching\":{\"card\":\"many-to-one\","
         "\"fillValues\":{\"lhs\":2,\"rhs\":null},\"include\":[\"b\"],\"labels\":[\"a\"],"
         "\"on\":true},\"op\":\"\\u003c/\",\"rhs\":{\"args\":[{\"type\":\"numberLiteral\","
         "\"val\":\"1\"}],\"func\":{\"argTypes\":[\"scalar\"],\"name\":\"vector\","
         "\"returnType\":\"vector\",\"variadic\":0},\"type\":\"call\"},\"type\":\"binaryExpr\"}"},
        {"topk by (a) (1, vector(2))",
         "{\"expr\":{\"args\":[{\"type\":\"numberLiteral\",\"val\":\"2\"}],\"func\":{"
         "\"argTypes\":[\"scalar\"],\"name\":\"vector\",\"returnType\":\"vector\","
         "\"variadic\":0},\"type\":\"call\"},\"grouping\":[\"a\"],\"op\":\"topk\",\"param\":{"
         "\"type\":\"numberLiteral\",\"val\":\"1\"},\"type\":\"aggregation\",\"without\":false}"},
        {"vector(1)[5m:] @ 1.5",
         "{\"expr\":{\"args\":[{\"type\":\"numberLiteral\",\"val\":\"1\"}],\"func\":{"
         "\"argTypes\":[\"scalar\"],\"name\":\"vector\",\"returnType\":\"vector\","
         "\"variadic\":0},\"type\":\"call\"},\"offset\":0,\"offsetExpr\":null,\"range\":300000,"
         "\"rangeExpr\":null,\"startOrEnd\":null,\"step\":0,\"stepExpr\":null,"
         "\"timestamp\":1500,\"type\":\"subquery\"}"},
    };
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        struct strbuf out = STRBUF_INIT;
        struct strbuf why = STRBUF_INIT;
        err_t err = promql_parse_json(str_from_cstr(examples[i].query), &all_features, &out, &why);
        if (examples[i].result == NULL) {
            assert_int_equal(err, ERR_INVALID);
            assert_int_equal(out.size, 0);
        } else {
            assert_int_equal(err, OK);
            assert_string_equal(strbuf_cstr(&out), examples[i].result);
        }
        strbuf_deinit(&out);
        strbuf_deinit(&why);
    }
}

static void selectors_of_match_parameters(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"up", NULL},
        {"{__name__=~\"a.*\",b!=\"\"}", NULL},
        {"sum{a=\"b\"}", NULL},
        {"foo{__name__=\"bar\"}", NULL}, /* no type checks here */
        {"{a=~\".*\"}", "match[] must contain at least one non-empty matcher"},
        {"{}", "match[] must contain at least one non-empty matcher"},
        {"foo(", "1:4: parse error: unexpected \"(\""},
        {"", "unknown position: parse error: unexpected end of input"},
        {"up[5m]", "1:3: parse error: unexpected \"[\""},
        {"1", "1:1: parse error: unexpected number \"1\""},
        {"up{a=~\"(\"}", "1:4: parse error: error parsing regexp: missing closing ): `^(?s:()$`"},
    };
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        struct arena arena;
        arena_init(&arena, MEM_TEST, SIZE_MAX);
        struct strbuf why = STRBUF_INIT;
        struct selector selector;
        err_t err =
            promql_parse_selector(str_from_cstr(examples[i].query), false, &arena, &selector, &why);
        if (examples[i].result == NULL)
            assert_int_equal(err, OK);
        else
            assert_string_equal(strbuf_cstr(&why), examples[i].result);
        if (err == OK)
            promql_selector_deinit(&selector);
        strbuf_deinit(&why);
        arena_deinit(&arena);
    }
}

static void selectors_of_an_expression(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct strbuf why = STRBUF_INIT;
    struct selector *selectors;
    size_t count;
    assert_int_equal(promql_expression_selectors(STR("rate(a[5m]) + on(x) sum(b{c=~\"d\"}[1h:])"),
                                                 &all_features, &arena, &selectors, &count, &why),
                     ERR_INVALID);
    assert_int_equal(
        promql_expression_selectors(STR("rate(a[5m]) + on(x) sum_over_time(b{c=~\"d\"}[1h:])"),
                                    &all_features, &arena, &selectors, &count, &why),
        OK);
    assert_int_equal(count, 2);
    assert_int_equal(selectors[0].count, 1);
    assert_true(str_equal(selectors[0].matchers[0].value, STR("a")));
    assert_int_equal(selectors[1].count, 2);
    for (size_t i = 0; i < count; i++)
        promql_selector_deinit(&selectors[i]);
    assert_int_equal(
        promql_expression_selectors(STR("1 + 1"), &all_features, &arena, &selectors, &count, &why),
        OK);
    assert_int_equal(count, 0);
    strbuf_deinit(&why);
    arena_deinit(&arena);
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
        const char *error;
    } examples[] = {
        {"0", 0, NULL},
        {"1ms", 1, NULL},
        {"1h30m", 5400000, NULL},
        {"1y2w3d4h5m6s7ms", 33019506007, NULL},
        {"", 0, "empty duration string"},
        {"5", 0, "not a valid duration string: \"5\""},
        {"-5m", 0, "not a valid duration string: \"-5m\""},
        {"5m1h", 0, "not a valid duration string: \"5m1h\""},
        {"1.5h", 0, "unknown unit \".\" in duration \"1.5h\""},
        {"99999999999999999999s", 0, "duration out of range"},
        {"293y", 0, "duration out of range"},
    };
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        struct strbuf why = STRBUF_INIT;
        int64_t ms = 0;
        err_t err = promql_parse_duration(str_from_cstr(examples[i].text), &ms, &why);
        if (examples[i].error == NULL) {
            assert_int_equal(err, OK);
            assert_int_equal(ms, examples[i].ms);
        } else {
            assert_string_equal(strbuf_cstr(&why), examples[i].error);
        }
        strbuf_deinit(&why);
    }
}

/* Range in ms of the matrix selector after preparation, or the error. */
static void prepared_durations(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        int64_t range_ms;
        int64_t offset_ms;
        const char *error;
    } examples[] = {
        {"a[5m]", 300000, 0, NULL},
        {"a[0.1]", 100, 0, NULL},
        {"a[1h/2]", 1800000, 0, NULL},
        {"a[2^3]", 8000, 0, NULL},
        {"a[2^3^0]", 2000, 0, NULL},
        {"a[10-4-3]", 3000, 0, NULL},
        {"a[1h30m % 1h]", 1800000, 0, NULL},
        {"a[step()]", 15000, 0, NULL},
        {"a[range()]", 600000, 0, NULL},
        {"a[min_of(step(),10)]", 10000, 0, NULL},
        {"a[max_of(step(),10)]", 15000, 0, NULL},
        {"a[1] offset -5", 1000, -5000, NULL},
        {"a[1] offset -(2*3)", 1000, -6000, NULL},
        {"a[1] offset (2)+3*4", 1000, 14000, NULL},
        {"a[1] offset step()", 1000, 15000, NULL},
        {"a[1] offset -step()", 1000, -15000, NULL},
        {"a[1m-1m]", 0, 0, "2:7: duration must be greater than 0"},
        {"a[1/(step()-15)]", 0, 0, "2:14: division by zero"},
        {"a[1%(step()-15)]", 0, 0, "2:14: modulo by zero"},
        {"a[10^400]", 0, 0, "2:8: duration is NaN or infinite"},
        {"a[10^12]", 0, 0, "2:7: duration is out of range"},
    };
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        struct arena arena;
        arena_init(&arena, MEM_TEST, SIZE_MAX);
        struct strbuf why = STRBUF_INIT;
        struct parsed_query query;
        assert_int_equal(
            promql_parse(str_from_cstr(examples[i].query), &all_features, &arena, &query, &why),
            OK);
        struct prepare_times times = {0, 600000, 15000};
        err_t err = promql_prepare(&query, &times, &why);
        if (examples[i].error == NULL) {
            assert_int_equal(err, OK);
            const struct matrix_selector *matrix = &query.root->matrix_selector;
            assert_int_equal(matrix->range.ms, examples[i].range_ms);
            assert_int_equal(matrix->vector->vector_selector.when.offset.ms, examples[i].offset_ms);
        } else {
            assert_int_equal(err, ERR_INVALID);
            assert_string_equal(strbuf_cstr(&why), examples[i].error);
        }
        parsed_query_deinit(&query);
        strbuf_deinit(&why);
        arena_deinit(&arena);
    }
}

static void function_table_is_sorted(void **state)
{
    (void)state;
    size_t experimental = 0;
    for (size_t i = 0; i < FUNCTION_COUNT; i++) {
        const struct function *function = function_get((enum function_id)i);
        assert_int_equal(function->id, i);
        assert_ptr_equal(function_find(function->name), function);
        experimental += function->experimental;
    }
    assert_int_equal(FUNCTION_COUNT, 90);
    assert_int_equal(experimental, 17);
    assert_null(function_find(STR("holt_winters")));
    assert_null(function_find(STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_trees),
        cmocka_unit_test(selectors_of_match_parameters),
        cmocka_unit_test(selectors_of_an_expression),
        cmocka_unit_test(durations),
        cmocka_unit_test(prepared_durations),
        cmocka_unit_test(function_table_is_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
