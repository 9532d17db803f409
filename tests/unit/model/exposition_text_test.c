#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "exposition_dump.h"

struct text_case {
    struct str body;
    const char *dump;
};

#define CASE(body, dump)                                                                           \
    {                                                                                              \
        STR_INIT(body), dump                                                                       \
    }

static void check(const struct text_case *cases, size_t count)
{
    struct exposition_options options = {0};
    struct strbuf out = STRBUF_INIT;
    for (size_t i = 0; i < count; i++) {
        /* An exact copy on the heap, so that the sanitizers see a read past the end. */
        char *body = malloc(cases[i].body.size + (cases[i].body.size == 0));
        if (cases[i].body.size > 0)
            memcpy(body, cases[i].body.data, cases[i].body.size);
        strbuf_clear(&out);
        exposition_dump(EXPOSITION_TEXT, &options, str_from(body, cases[i].body.size), &out);
        assert_string_equal(strbuf_cstr(&out), cases[i].dump);
        free(body);
    }
    strbuf_deinit(&out);
}

#define CHECK(cases) check(cases, sizeof(cases) / sizeof(cases)[0])

static void legal_pages(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        CASE("", ""),
        CASE("\n\n \n", ""),
        CASE("a 1\n", "sample a | {__name__=\"a\"} | 1\n"),
        CASE("a 1", "sample a | {__name__=\"a\"} | 1\n"),
        CASE("#", "comment #\n"),
        CASE("a-1\n", "sample a | {__name__=\"a\"} | -1\n"),
        CASE("a\t1\t2", "sample a | {__name__=\"a\"} | 1 @2\n"),
        CASE("a  +Inf  1234567890123\n", "sample a | {__name__=\"a\"} | inf @1234567890123\n"),
        CASE("a nan\n", "sample a | {__name__=\"a\"} | nan\n"),
        CASE("  a 1\n", "sample   a | {__name__=\"  a\"} | 1\n"),
        CASE("a{} 1\n", "sample a{} | {__name__=\"a\"} | 1\n"),
        CASE("a{b=\"c\"}1\n", "sample a{b=\"c\"} | {__name__=\"a\", b=\"c\"} | 1\n"),
        CASE("a {b=\"c\",}1\n", "sample a {b=\"c\",} | {__name__=\"a\", b=\"c\"} | 1\n"),
        CASE("a{ b = \"c\" d=\"\" } 1\n",
             "sample a{ b = \"c\" d=\"\" } | {__name__=\"a\", b=\"c\", d=\"\"} | 1\n"),
        CASE("a{b=\"x\\\"y\\\\z\\nw\\q\"} 1\n",
             "sample a{b=\"x\\\"y\\\\z\\nw\\q\"} | {__name__=\"a\", "
             "b=\"x\\\"y\\\\z\\nw\\\\q\"} | 1\n"),
        CASE("a{b=\"x\ny\"} 1\n", "sample a{b=\"x\ny\"} | {__name__=\"a\", b=\"x\\ny\"} | 1\n"),
        CASE("a{b=\"\xc3\xa9\"} 1\n",
             "sample a{b=\"\xc3\xa9\"} | {__name__=\"a\", b=\"\xc3\xa9\"} | 1\n"),
        CASE("{\"na.me\",\"l.x\"=\"v\"} 1\n",
             "sample {\"na.me\",\"l.x\"=\"v\"} | {__name__=\"na.me\", \"l.x\"=\"v\"} | 1\n"),
        CASE("{l=\"v\", \"na\\\"me\"} 1\n",
             "sample {l=\"v\", \"na\\\"me\"} | {__name__=\"na\\\"me\", l=\"v\"} | 1\n"),
        CASE("a{__name__=\"b\"} 1\n",
             "sample a{__name__=\"b\"} | {__name__=\"a\", __name__=\"b\"} | 1\n"),
        CASE("a 1\n\0b 2\n", "sample a | {__name__=\"a\"} | 1\n"),
        CASE("# HELP a some \\\\ text\\n\\\"\n# TYPE a counter\n#TYPE a gauge\n# UNIT a b\n#\n",
             "help a \"some \\\\ text\\n\\\\\\\"\"\ntype a counter\ncomment #TYPE a gauge\n"
             "comment # UNIT a b\ncomment #\n"),
        CASE("#  TYPE \t \"x y\"\tuntyped\n# HELP a\n# HELP a \t\n",
             "type x y unknown\nhelp a \"\"\nhelp a \"\"\n"),
        CASE("# comment without newline at the end",
             "comment # comment without newline at the end\n"),
    };
    CHECK(cases);
}

static void le_and_quantile_are_normalised(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        CASE("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"0.50\"} 1\n"
             "x{le=\"1000000\",quantile=\"1\"} 1\nx{le=\"+Inf\"} 1\nx{le=\"abc\"} 1\n",
             "type h histogram\n"
             "sample h_bucket{le=\"1\"} | {__name__=\"h_bucket\", le=\"1.0\"} | 1\n"
             "sample h_bucket{le=\"0.50\"} | {__name__=\"h_bucket\", le=\"0.5\"} | 1\n"
             "sample x{le=\"1000000\",quantile=\"1\"} | {__name__=\"x\", le=\"1e+06\", "
             "quantile=\"1\"} | 1\n"
             "sample x{le=\"+Inf\"} | {__name__=\"x\", le=\"+Inf\"} | 1\n"
             "sample x{le=\"abc\"} | {__name__=\"x\", le=\"abc\"} | 1\n"),
        CASE(
            "# TYPE s summary\ns{quantile=\"1\",le=\"1\"} 1\n# TYPE g gauge\ns{quantile=\"1\"} 2\n",
            "type s summary\n"
            "sample s{quantile=\"1\",le=\"1\"} | {__name__=\"s\", quantile=\"1.0\", le=\"1\"} | 1\n"
            "type g gauge\n"
            "sample s{quantile=\"1\"} | {__name__=\"s\", quantile=\"1\"} | 2\n"),
    };
    CHECK(cases);
}

static void defects_have_their_texts(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        CASE("a\n", "error expected value after metric, got \"\\n\" (\"INVALID\") while parsing: "
                    "\"a\\n\"\n"),
        CASE("a true\n", "error strconv.ParseFloat: parsing \"true\": invalid syntax while "
                         "parsing: \"a true\"\n"),
        CASE("a 1e999", "error strconv.ParseFloat: parsing \"1e999\": value out of range while "
                        "parsing: \"a 1e999\"\n"),
        CASE("a 0x1p3", "error unsupported character in float while parsing: \"a 0x1p3\"\n"),
        CASE("a 1_0", "error unsupported character in float while parsing: \"a 1_0\"\n"),
        CASE("a 1 -5\n", "error expected timestamp or new record, got \"-\" (\"INVALID\") while "
                         "parsing: \"a 1 -\"\n"),
        CASE("a 1 2 3", "error expected next entry after timestamp, got \"3\\n\" (\"TIMESTAMP\") "
                        "while parsing: \"a 1 2 3\\n\"\n"),
        CASE("a 1 99999999999999999999",
             "error strconv.ParseInt: parsing \"99999999999999999999\": value out of range while "
             "parsing: \"a 1 99999999999999999999\"\n"),
        CASE("{a=\"b\"} 1", "error metric name not set while parsing: \"{a=\\\"b\\\"} 1\"\n"),
        CASE("a{\"b\"}1", "error metric name already set while parsing: \"a{\\\"b\\\"}\"\n"),
        CASE("a{b}1", "error expected equal, got \"}1\" (\"BCLOSE\") while parsing: \"a{b}1\"\n"),
        CASE("a{,}1",
             "error expected label name, got \",}\" (\"COMMA\") while parsing: \"a{,}\"\n"),
        CASE("a{b=c}1",
             "error expected label value, got \"c\" (\"INVALID\") while parsing: \"a{b=c\"\n"),
        CASE("a{b=\"\xff\"}1", "error invalid UTF-8 label value: \"\\\"\\xff\\\"\"\n"),
        CASE("a{b=\"c", "error expected label value, got \"\\\"c\\n\" (\"INVALID\") while parsing: "
                        "\"a{b=\\\"c\\n\"\n"),
        CASE("1a 2\n", "error expected a valid start token, got \"1\" (\"INVALID\") while parsing: "
                       "\"1\"\n"),
        CASE("a 1\r\n", "error strconv.ParseFloat: parsing \"1\\r\": invalid syntax while parsing: "
                        "\"a 1\\r\"\n"),
        CASE("# TYPE a  gauge\n", "error invalid metric type \" gauge\"\n"),
        CASE("# TYPE a stateset\n", "error invalid metric type \"stateset\"\n"),
        CASE("# HELP a \xff\n", "error help text \"\\xff\" is not a valid utf8 string\n"),
        CASE("# HELP 1 b\n", "error expected metric name after HELP, got \"1\" (\"INVALID\") while "
                             "parsing: \"# HELP 1\"\n"),
        CASE("a 1\nb 2 x\n",
             "sample a | {__name__=\"a\"} | 1\n"
             "error expected timestamp or new record, got \"x\" (\"INVALID\") while "
             "parsing: \"b 2 x\"\n"),
    };
    CHECK(cases);
}

static void known_keys_give_the_same_entries(void **state)
{
    (void)state;
    struct str body = STR("a{b=\"c\"} 1\n\n\na 2 3\n# x\nab 4\na {b=\"c\"} 5\na 0x1\n");
    struct exposition_options options = {0};
    struct exposition *exposition = exposition_create();
    struct exposition_entry entry;
    struct strbuf why = STRBUF_INIT;
    exposition_start(exposition, EXPOSITION_TEXT, &options, body);
    assert_ptr_equal(exposition_peek(exposition).data, body.data);
    assert_true(exposition_next_known(exposition, 8, STR("2"), &entry));
    assert_true(str_equal(entry.key, STR("a{b=\"c\"}")));
    assert_true(entry.value == 1);
    assert_int_equal(exposition_peek(exposition).data[0], 'a');
    entry.value = -7;
    assert_true(exposition_next_known(exposition, 1, STR("2"), &entry));
    assert_true(entry.value == -7); /* the same text: not converted */
    assert_true(str_equal(entry.value_text, STR("2")));
    assert_true(entry.has_timestamp && entry.timestamp_ms == 3);
    assert_int_equal(exposition_peek(exposition).size, 0);
    assert_int_equal(exposition_next(exposition, &entry, &why), OK);
    assert_int_equal(entry.kind, EXPOSITION_COMMENT);
    /* "a" begins these lines but is the key of none. */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(exposition_peek(exposition).data[0], 'a');
        assert_false(exposition_next_known(exposition, 1, STR(""), &entry));
        assert_int_equal(exposition_next(exposition, &entry, &why), OK);
        assert_true(entry.value == 4 + i);
    }
    assert_false(exposition_next_known(exposition, 1, STR("0"), &entry));
    assert_int_equal(exposition_next(exposition, &entry, &why), ERR_INVALID);
    exposition_destroy(exposition);
    strbuf_deinit(&why);
}

static void duplicates_are_found(void **state)
{
    (void)state;
    struct label items[] = {
        {STR("a"), STR("1")}, {STR("b"), STR("1")}, {STR("a"), STR("1")}, {STR("b"), STR("2")}};
    assert_null(exposition_find_duplicate(items, 2));
    assert_ptr_equal(exposition_find_duplicate(items, 4), &items[2]);

    enum { MANY = 100 };
    static char names[MANY][4];
    struct label many[MANY];
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "%d", i);
        many[i] = (struct label){str_from_cstr(names[i]), STR("")};
    }
    assert_null(exposition_find_duplicate(many, MANY));
    many[70].name = STR("30");
    many[90].name = STR("7");
    assert_ptr_equal(exposition_find_duplicate(many, MANY), &many[70]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(legal_pages),
        cmocka_unit_test(le_and_quantile_are_normalised),
        cmocka_unit_test(defects_have_their_texts),
        cmocka_unit_test(known_keys_give_the_same_entries),
        cmocka_unit_test(duplicates_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
