/* Canonical and pretty printed forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "narthex/query/printer.h"

struct example {
    const char *query;
    const char *printed; /* NULL: as written */
};

static const struct promql_features all_features = {
    .experimental_functions = true,
    .extended_range_selectors = true,
    .binop_fill_modifiers = true,
};

static void check(const char *text, const char *printed,
                  void (*print)(const struct expr *, struct strbuf *))
{
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct strbuf why = STRBUF_INIT;
    struct strbuf out = STRBUF_INIT;
    struct parsed_query query;
    if (promql_parse(str_from_cstr(text), &all_features, &arena, &query, &why) != OK)
        fail_msg("%s: %s", text, strbuf_cstr(&why));
    print(query.root, &out);
    assert_string_equal(strbuf_cstr(&out), printed);
    parsed_query_deinit(&query);
    strbuf_deinit(&out);
    strbuf_deinit(&why);
    arena_deinit(&arena);
}

/* long function: a table */
static void canonical_forms(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"1", NULL},
        {"1000000", "1e+06"},
        {"0x10", "16"},
        {"017", "15"},
        {"08", "8"},
        {"1_000", "1000"},
        {".5", "0.5"},
        {"5m", NULL},
        {"-1h30m", NULL},
        {"90m", "1h30m"},
        {"inf", "+Inf"},
        {"-NaN", "NaN"},
        {"\"a\\\"b\"", NULL},
        {"'a'", "\"a\""},
        {"foo", NULL},
        {"foo{}", "foo"},
        {"foo{b=\"1\", a!=\"2\",}", "foo{a!=\"2\",b=\"1\"}"},
        {"{__name__=~\"a|b\"}", NULL},
        {"{\"a.b\"}", "{__name__=\"a.b\"}"},
        {"foo{\"x.y\"=\"1\"}", NULL},
        {"foo[5m]", NULL},
        {"foo[300]", "foo[5m]"},
        {"foo offset 5m", NULL},
        {"foo offset -1w", NULL},
        {"foo offset 0s", "foo"},
        {"foo offset 1m @ 12.5", "foo @ 12.500 offset 1m"},
        {"foo @ -1", "foo @ -1.000"},
        {"foo[5m] @ start() offset 1m", NULL},
        {"foo @ end()", NULL},
        {"foo[5m] anchored", NULL},
        {"foo smoothed", NULL},
        {"foo[5m:1m]", NULL},
        {"foo[5m:]", NULL},
        {"foo[5m:1m] @ 1 offset 2m", "foo[5m:1m] @ 1.000 offset 2m"},
        {"foo[1m+1m]", "foo[1m + 1m]"},
        {"foo[(1m+step())*2]", "foo[(1m + step()) * 2]"},
        {"foo[min_of(range(),max_of(1,2m))]", "foo[min_of(range(), max_of(1, 2m))]"},
        {"foo offset (1m+1m)", "foo offset (1m + 1m)"},
        {"foo offset -(1m+step())", "foo offset -(1m + step())"},
        {"foo offset ((-2)^2)", "foo offset ((-2) ^ 2)"},
        {"foo offset (1m+1m) @ 1 + x", "foo @ 1.000 offset +(1m + 1m) + x"},
        {"sum(foo offset (1m+1m)) + x", "sum(foo offset (1m + 1m)) + x"},
        {"foo offset (1m+1m) == x", "foo offset (1m + 1m) == x"},
        {"sum(foo)", NULL},
        {"sum(foo)by(a,b)", "sum by (a, b) (foo)"},
        {"SUM without() (foo)", "sum without () (foo)"},
        {"sum by () (foo)", "sum(foo)"},
        {"sum by (\"a.b\", c) (foo)", NULL},
        {"topk(5,foo)", "topk(5, foo)"},
        {"a+b", "a + b"},
        {"a and b", NULL},
        {"a AND b", "a and b"},
        {"a == bool b", NULL},
        {"a + on() b", "a + on () b"},
        {"a + ignoring() b", "a + b"},
        {"a + ignoring(x) b", "a + ignoring (x) b"},
        {"a + ignoring() group_left b", "a + ignoring () group_left () b"},
        {"a * on(x, y) group_right(z) b", "a * on (x, y) group_right (z) b"},
        {"a + fill(1) b", "a + fill (1) b"},
        {"a + on(x) group_left fill_right(-1) fill_left(2m) b",
         "a + on (x) group_left () fill_left (120) fill_right (-1) b"},
        {"a </ 5", NULL},
        {"-1 ^ 2", NULL},
        {"-a * b", NULL},
        {"+a", NULL},
        {"--a", NULL},
        {"(a + b) / c", NULL},
        {"rate(foo[5m])", NULL},
        {"label_replace(a,'b','$1','c','(.*)')",
         "label_replace(a, \"b\", \"$1\", \"c\", \"(.*)\")"},
        {"time()", NULL},
        {"start() + step", NULL},
        {"sum # comment\n (a)", "sum(a)"},
    };
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        const char *printed = examples[i].printed == NULL ? examples[i].query : examples[i].printed;
        check(examples[i].query, printed, expr_print);
        check(printed, printed, expr_print); /* printing settles at once */
    }
}

static void long_queries_are_broken(void **state)
{
    (void)state;
    check("sum by (job) (rate(foo[5m]))", "sum by (job) (rate(foo[5m]))", expr_print_pretty);
    check("histogram_quantile(0.99, sum by (le, job) (rate(request_duration_seconds_bucket{"
          "job=\"api\",code!=\"500\"}[5m]))) "
          "/ on (job) group_left () (scalar(foo) + bar)",
          "  histogram_quantile(\n"
          "    0.99,\n"
          "    sum by (le, job) (rate(request_duration_seconds_bucket{code!=\"500\",job=\"api\"}"
          "[5m]))\n"
          "  )\n"
          "/ on (job) group_left ()\n"
          "  (scalar(foo) + bar)",
          expr_print_pretty);
    check("topk(10, sum without (instance) ("
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa "
          "+ bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb))",
          "topk(\n"
          "  10,\n"
          "  sum without (instance) (\n"
          "      aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
          "    +\n"
          "      bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n"
          "  )\n"
          ")",
          expr_print_pretty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_forms),
        cmocka_unit_test(long_queries_are_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
