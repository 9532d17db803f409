/* Error texts and positions of the parser and the type checker (spec promql.md 1.4). */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include "narthex/query/ast.h"

struct failure {
    const char *query;
    const char *error;
};

static const struct promql_features all_features = {
    .experimental_functions = true,
    .extended_range_selectors = true,
    .binop_fill_modifiers = true,
};
static const struct promql_features default_features;

static void check_failures(const struct failure *failures, size_t count,
                           const struct promql_features *features)
{
    size_t wrong = 0;
    for (size_t i = 0; i < count; i++) {
        struct arena arena;
        arena_init(&arena, MEM_TEST, SIZE_MAX);
        struct strbuf why = STRBUF_INIT;
        struct parsed_query query;
        err_t err = promql_parse(str_from_cstr(failures[i].query), features, &arena, &query, &why);
        if (err == OK) {
            print_error("%s\n  expected: %s\n  got: no error\n", failures[i].query,
                        failures[i].error);
            parsed_query_deinit(&query);
            wrong++;
        } else if (err != ERR_INVALID || strcmp(strbuf_cstr(&why), failures[i].error) != 0) {
            print_error("%s\n  expected: %s\n  got:      %s\n", failures[i].query,
                        failures[i].error, strbuf_cstr(&why));
            wrong++;
        }
        strbuf_deinit(&why);
        arena_deinit(&arena);
    }
    assert_int_equal(wrong, 0);
}

#define CHECK(table, features) check_failures(table, sizeof(table) / sizeof *(table), features)

/* long function: a table */
static void contexts_of_unexpected_tokens(void **state)
{
    (void)state;
    static const struct failure failures[] = {
        {"", "unknown position: parse error: no expression found in input"},
        {"  \n # only a comment", "1:1: parse error: no expression found in input"},
        {"foo bar", "1:5: parse error: unexpected identifier \"bar\""},
        {"foo a:b", "1:5: parse error: unexpected metric identifier \"a:b\""},
        {"1 +", "1:4: parse error: unexpected end of input"},
        {"1 * *", "1:5: parse error: unexpected <op:*>"},
        {"foo and AND and", "1:16: parse error: unexpected end of input"},
        {"foo \"abc\"", "1:5: parse error: unexpected string \"\\\"abc\\\"\""},
        {"foo \"abcdefghijkl\"", "1:5: parse error: unexpected string \"\\\"abcdefghi\"..."},
        {"foo 12", "1:5: parse error: unexpected number \"12\""},
        {"foo 12m", "1:5: parse error: unexpected duration \"12m\""},
        {"foo NaN", "1:5: parse error: unexpected number \"NaN\""},
        {"foo = 1", "1:5: parse error: unexpected \"=\""},
        {"foo start", "1:5: parse error: unexpected \"start\""},
        {"foo sum(x)", "1:5: parse error: unexpected <aggr:sum>"},
        {"foo by (x)", "1:5: parse error: unexpected <by>"},
        {"\nfoo\n  bar", "3:3: parse error: unexpected identifier \"bar\""},
        {"a:b(1)", "1:4: parse error: unexpected \"(\""},
        {"sum(a b)", "1:7: parse error: unexpected identifier \"b\" in aggregation"},
        {"sum by (a) b", "1:12: parse error: unexpected identifier \"b\" in aggregation"},
        {"sum(x) by (a) by (b)", "1:15: parse error: unexpected <by>"},
        {"sum by x (a)",
         "1:8: parse error: unexpected identifier \"x\" in grouping opts, expected \"(\""},
        {"sum by (==) (a)",
         "1:9: parse error: unexpected <op:==> in grouping opts, expected label"},
        {"sum by (a b) (c)", "1:11: parse error: unexpected identifier \"b\" in grouping opts, "
                             "expected \",\" or \")\""},
        {"sum by (a, =) (c)",
         "1:12: parse error: unexpected \"=\" in grouping opts, expected label"},
        {"sum by (without) (c)",
         "1:9: parse error: unexpected <without> in grouping opts, expected label"},
        {"a + on b",
         "1:8: parse error: unexpected identifier \"b\" in grouping opts, expected \"(\""},
        {"a + on(b) group_left",
         "1:21: parse error: unexpected end of input in grouping opts, expected \"(\""},
        {"foo{a b}",
         "1:7: parse error: unexpected identifier \"b\" in label matching, expected label matching "
         "operator"},
        {"foo{a=b}",
         "1:7: parse error: unexpected identifier \"b\" in label matching, expected string"},
        {"foo{a=\"b\" c}", "1:11: parse error: unexpected identifier \"c\" in label matching, "
                           "expected \",\" or \"}\""},
        {"foo{,}",
         "1:5: parse error: unexpected \",\" in label matching, expected identifier or \"}\""},
        {"foo{a=\"b\",,}",
         "1:11: parse error: unexpected \",\" in label matching, expected identifier or \"}\""},
        {"{\"foo\" bar}",
         "1:8: parse error: unexpected identifier \"bar\" in label matching, expected \",\" or "
         "\"}\""},
        {"foo offset", "1:11: parse error: unexpected end of input in offset, expected number, "
                       "duration, step(), or range()"},
        {"foo offset bar", "1:12: parse error: unexpected identifier \"bar\" in offset, expected "
                           "number, duration, step(), or range()"},
        {"foo @", "1:6: parse error: unexpected end of input in @, expected timestamp"},
        {"foo @ start", "1:12: parse error: unexpected end of input in @, expected timestamp"},
        {"foo[]", "1:5: parse error: unexpected \"]\" in subquery or range selector, expected "
                  "number, duration, step(), or range()"},
        {"foo[5m 6m]", "1:8: parse error: unexpected duration \"6m\" in subquery or range, "
                       "expected \":\" or \"]\""},
        {"foo[5m*]", "1:8: parse error: unexpected \"]\" in subquery or range selector, expected "
                     "number, duration, step(), or range()"},
        {"foo[5m:*]", "1:8: parse error: unexpected <op:*> in subquery selector, expected number, "
                      "duration, step(), range(), or \"]\""},
        {"foo[5m:1m 1m]",
         "1:11: parse error: unexpected duration \"1m\" in subquery selector, expected \"]\""},
        {"sum(foo offset)", "1:15: parse error: unexpected \")\" in offset, expected number, "
                            "duration, step(), or range()"},
        {"abs(a,)", "1:6: parse error: trailing commas not allowed in function call args"},
        {"sum(a,)", "1:6: parse error: trailing commas not allowed in function call args"},
        {"offset 100 + 2", "1:8: parse error: unexpected number \"100\""},
        {"m offset (5m) + foo", "1:17: parse error: unexpected identifier \"foo\" in offset, "
                                "expected number, duration, step(), or range()"},
    };
    CHECK(failures, &all_features);
}

static void lexer_errors(void **state)
{
    (void)state;
    static const struct failure failures[] = {
        {"}", "1:1: parse error: unexpected character: '}'"},
        {"foo ; bar", "1:5: parse error: unexpected character: ';'"},
        {"foo \x80", "1:5: parse error: unexpected character: '\xef\xbf\xbd'"},
        {"foo =~ 1", "1:5: parse error: unexpected character after '=': '~'"},
        {"foo !~ 1", "1:5: parse error: unexpected character after '!': '~'"},
        {"foo{a>1}", "1:6: parse error: unexpected character inside braces: '>'"},
        {"foo{a!1}", "1:6: parse error: unexpected character after '!' inside braces: '1'"},
        {"foo{{", "1:5: parse error: unexpected left brace '{'"},
        {"foo{a=\"x\"", "1:10: parse error: unexpected end of input inside braces"},
        {"foo)", "1:4: parse error: unexpected right parenthesis ')'"},
        {"(foo", "1:5: parse error: unclosed left parenthesis"},
        {"foo]", "1:4: parse error: unexpected right bracket ']'"},
        {"foo[5m[", "1:7: parse error: unexpected left bracket '['"},
        {"foo[5m", "1:7: parse error: unclosed left bracket"},
        {"foo[5m foo]", "1:8: parse error: unexpected character: 'f', expected ':'"},
        {"foo[5m:1m:1m]", "1:10: parse error: unexpected colon ':'"},
        {"foo[", "1:5: parse error: unexpected end of input in duration expression"},
        {"foo[a]", "1:5: parse error: unexpected character in duration expression: 'a'"},
        {"foo[# c\n5m]", "1:5: parse error: unexpected character in duration expression: '#'"},
        {"foo[:5m]", "1:5: parse error: unexpected colon before duration in duration expression"},
        {"1m1", "1:1: parse error: bad number or duration syntax: \"1m1\""},
        {"5mm", "1:1: parse error: bad number or duration syntax: \"5mm\""},
        {"2.5.", "1:1: parse error: bad number or duration syntax: \"2.5.\""},
        {"0de", "1:1: parse error: bad number or duration syntax: \"0de\""},
        {"1_", "1:1: parse error: bad number or duration syntax: \"1_\""},
        {"1__0", "1:1: parse error: bad number or duration syntax: \"1__\""},
        {"0x1.8", "1:1: parse error: bad number or duration syntax: \"0x1.\""},
        {"1e", "1:1: parse error: bad number or duration syntax: \"1e\""},
        {"5hs", "1:1: parse error: unknown unit \"hs\" in duration \"5hs\""},
        {"1s1h", "1:1: parse error: not a valid duration string: \"1s1h\""},
        {"1d1d", "1:1: parse error: not a valid duration string: \"1d1d\""},
        {"300000y", "1:1: parse error: duration out of range"},
        {"foo[10000000000]", "1:5: parse error: duration out of range"},
        {"1e999", "1:1: parse error: error parsing number: strconv.ParseFloat: parsing \"1e999\": "
                  "value out of range"},
        {"1_+2", "1:1: parse error: error parsing number: strconv.ParseFloat: parsing \"1_\": "
                 "invalid syntax"},
        {".5.", "1:1: parse error: error parsing number: strconv.ParseFloat: parsing \".5.\": "
                "invalid syntax"},
        {"\"abc", "1:1: parse error: unterminated quoted string"},
        {"'a\nb'", "1:1: parse error: unterminated quoted string"},
        {"`abc", "1:1: parse error: unterminated raw string"},
        {"\"a\x80\"", "1:1: parse error: invalid UTF-8 rune"},
        {"\"\\", "1:1: parse error: escape sequence not terminated"},
        {"\"\\x4", "1:1: parse error: escape sequence not terminated"},
        {"\"\\c\"", "1:1: parse error: unknown escape sequence U+0063 'c'"},
        {"\"\\'\"", "1:1: parse error: unknown escape sequence U+0027 '''"},
        {"\"\\.\"", "1:1: parse error: unknown escape sequence U+002E '.'"},
        {"\"\\x.\"", "1:1: parse error: illegal character U+002E '.' in escape sequence"},
        {"\"\\400\"", "1:1: parse error: escape sequence is an invalid Unicode code point"},
        {"\"\\ud800\"", "1:1: parse error: escape sequence is an invalid Unicode code point"},
        {"\"\\U00110000\"", "1:1: parse error: escape sequence is an invalid Unicode code point"},
    };
    CHECK(failures, &all_features);
}

static void semantic_errors(void **state)
{
    (void)state;
    static const struct failure failures[] = {
        {"nope(1)", "1:1: parse error: unknown function with name \"nope\""},
        {"Start()", "1:1: parse error: unknown function with name \"Start\""},
        {"sum()", "1:1: parse error: no arguments for aggregate expression provided"},
        {"sum(a, b)", "1:1: parse error: wrong number of arguments for aggregate expression "
                      "provided, expected 1, got 2"},
        {"topk(a)", "1:1: parse error: wrong number of arguments for aggregate expression "
                    "provided, expected 2, got 1"},
        {"sum by (\"\") (a)", "1:9: parse error: invalid label name for grouping: \"\""},
        {"a anchored smoothed",
         "1:1: parse error: anchored and smoothed modifiers cannot be used together"},
        {"a[5m:1m] anchored",
         "1:1: parse error: anchored modifier is not supported for subqueries"},
        {"a[5m:1m] smoothed",
         "1:1: parse error: smoothed modifier is not supported for subqueries"},
        {"(a) smoothed", "1:1: parse error: smoothed modifier not implemented"},
        {"a[0]", "1:3: parse error: duration must be greater than 0"},
        {"a[-5m]", "1:3: parse error: duration must be greater than 0"},
        {"a[5m:0s]", "1:6: parse error: duration must be greater than 0"},
        {"a[5m/0]", "1:5: parse error: division by zero"},
        {"a[5m%0]", "1:5: parse error: modulo by zero"},
        {"1[5m]", "1:2: parse error: ranges only allowed for vector selectors"},
        {"(a)[5m]", "1:4: parse error: ranges only allowed for vector selectors"},
        {"a offset 1m[5m]", "1:12: parse error: no offset modifiers allowed before range"},
        {"a @ 1[5m]", "1:6: parse error: no @ modifiers allowed before range"},
        {"1 offset 5m",
         "1:1: parse error: offset modifier must be preceded by an instant vector selector or "
         "range vector selector or a subquery"},
        {"a offset 1m offset 2m", "1:1: parse error: offset may not be set multiple times"},
        {"abs(a) @ 5", "1:1: parse error: @ modifier must be preceded by an instant vector "
                       "selector or range vector selector or a subquery"},
        {"a @ 1 @ 2", "1:1: parse error: @ <timestamp> may not be set multiple times"},
        {"a @ start() @ end()", "1:1: parse error: @ <timestamp> may not be set multiple times"},
        {"a @ NaN", "1:1: parse error: timestamp out of bounds for @ modifier: NaN"},
        {"a @ -Inf", "1:1: parse error: timestamp out of bounds for @ modifier: -Inf"},
        {"a @ 1e20",
         "1:1: parse error: timestamp out of bounds for @ modifier: 100000000000000000000.000000"},
        {"a{b=~\"(\"}", "1:3: parse error: error parsing regexp: missing closing ): `^(?s:()$`"},
    };
    CHECK(failures, &all_features);
}

static void type_errors(void **state)
{
    (void)state;
    static const struct failure failures[] = {
        {"sum(1)", "1:5: parse error: expected type instant vector in aggregation expression, "
                   "got scalar"},
        {"topk(a, b)",
         "1:6: parse error: expected type scalar in aggregation parameter, got instant vector"},
        {"count_values(1, b)",
         "1:14: parse error: expected type string in aggregation parameter, got scalar"},
        {"rate(a)", "1:6: parse error: expected type range vector in call to function \"rate\", "
                    "got instant vector"},
        {"abs(a[5m])", "1:5: parse error: expected type instant vector in call to function "
                       "\"abs\", got range vector"},
        {"label_join(a, \"x\", 1)", "1:20: parse error: expected type string in call to function "
                                    "\"label_join\", got scalar"},
        {"time(1)", "1:1: parse error: expected 0 argument(s) in call to \"time\", got 1"},
        {"round()", "1:1: parse error: expected at least 1 argument(s) in call to \"round\", got "
                    "0"},
        {"round(a, 1, 2)",
         "1:1: parse error: expected at most 2 argument(s) in call to \"round\", got 3"},
        {"info(a, b)", "1:9: parse error: expected label selectors only, got vector selector "
                       "instead"},
        {"info(a, abs(b))", "1:9: parse error: expected label selectors only"},
        {"info(a, 1)", "1:1: parse error: expected type instant vector in call to function "
                       "\"info\", got scalar"},
        {"a + bool b", "1:3: parse error: bool modifier can only be used on comparison operators"},
        {"1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier"},
        {"a + on(x) group_left(x) b",
         "1:3: parse error: label \"x\" must not occur in ON and GROUP clause at once"},
        {"a + b[5m]", "1:5: parse error: binary expression must contain only scalar and instant "
                      "vector types"},
        {"\"x\" + 1", "1:1: parse error: binary expression must contain only scalar and instant "
                      "vector types"},
        {"1 + on(x) a", "1:1: parse error: vector matching only allowed between instant vectors"},
        {"1 + fill(2) a",
         "1:1: parse error: filling in missing series only allowed between instant vectors"},
        {"a and on(x) group_left b", "1:1: parse error: no grouping allowed for \"and\" operation"},
        {"a or fill(1) b",
         "1:1: parse error: filling in missing series not allowed for set operators"},
        {"1 and a",
         "1:1: parse error: set operator \"and\" not allowed in binary scalar expression"},
        {"-\"x\"", "1:1: parse error: unary expression only allowed on expressions of type scalar "
                   "or instant vector, got \"string\""},
        {"-a[5m]", "1:1: parse error: unary expression only allowed on expressions of type scalar "
                   "or instant vector, got \"range vector\""},
        {"1[5m:1m]", "1:1: parse error: subquery is only allowed on instant vector, got scalar "
                     "instead"},
        {"a[5m][5m:1m]", "1:1: parse error: subquery is only allowed on instant vector, got "
                         "matrix instead"},
        {"foo{__name__=\"bar\"}",
         "1:1: parse error: metric name must not be set twice: \"foo\" or \"bar\""},
        {"foo{\"bar\"}", "1:1: parse error: metric name must not be set twice: \"foo\" or \"bar\""},
        {"{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"},
        {"{a=~\".*\"}",
         "1:1: parse error: vector selector must contain at least one non-empty matcher"},
    };
    CHECK(failures, &all_features);
}

static void features_switched_off(void **state)
{
    (void)state;
    static const struct failure failures[] = {
        {"limitk(1, a)", "1:1: parse error: limitk() is experimental and must be enabled with "
                         "--enable-feature=promql-experimental-functions"},
        {"limit_ratio(1, a)",
         "1:1: parse error: limit_ratio() is experimental and must be enabled with "
         "--enable-feature=promql-experimental-functions"},
        {"step()", "1:1: parse error: function \"step\" is not enabled"},
        {"a anchored", "1:1: parse error: anchored modifier is experimental and not enabled"},
        {"a[5m] smoothed", "1:1: parse error: smoothed modifier is experimental and not enabled"},
        {"a + fill(1) b", "1:1: parse error: binop fill modifiers are experimental and not "
                          "enabled"},
    };
    CHECK(failures, &default_features);
    static const struct promql_features no_durations = {.no_duration_expressions = true};
    static const struct failure duration_failures[] = {
        {"a[5m+1m]", "1:3: parse error: experimental duration expression is not enabled"},
    };
    CHECK(duration_failures, &no_durations);
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    struct strbuf deep = STRBUF_INIT;
    for (int i = 0; i < 100000; i++)
        strbuf_add_char(&deep, '(');
    struct strbuf chain = STRBUF_INIT;
    strbuf_add_cstr(&chain, "1");
    for (int i = 0; i < 100000; i++)
        strbuf_add_cstr(&chain, "+1");
    const struct failure failures[] = {
        {strbuf_cstr(&deep),
         "1:1001: parse error: expression is nested more than 1000 levels deep"},
        {strbuf_cstr(&chain), "1:1: parse error: expression is nested more than 1000 levels deep"},
    };
    CHECK(failures, &all_features);
    strbuf_deinit(&deep);
    strbuf_deinit(&chain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contexts_of_unexpected_tokens),
        cmocka_unit_test(lexer_errors),
        cmocka_unit_test(semantic_errors),
        cmocka_unit_test(type_errors),
        cmocka_unit_test(features_switched_off),
        cmocka_unit_test(nesting_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
