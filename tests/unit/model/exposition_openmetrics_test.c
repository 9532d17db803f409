#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
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

static void check(const struct text_case *cases, size_t count, bool start_timestamps)
{
    struct exposition_options options = {.start_timestamps = start_timestamps};
    struct strbuf out = STRBUF_INIT;
    for (size_t i = 0; i < count; i++) {
        /* An exact copy on the heap, so that the sanitizers see a read past the end. */
        char *body = malloc(cases[i].body.size + (cases[i].body.size == 0));
        if (cases[i].body.size > 0)
            memcpy(body, cases[i].body.data, cases[i].body.size);
        strbuf_clear(&out);
        exposition_dump(EXPOSITION_OPENMETRICS, &options, str_from(body, cases[i].body.size), &out);
        assert_string_equal(strbuf_cstr(&out), cases[i].dump);
        free(body);
    }
    strbuf_deinit(&out);
}

#define CHECK(cases) check(cases, sizeof(cases) / sizeof(cases)[0], false)

static void legal_pages(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        CASE("# EOF", ""),
        CASE("# EOF\n", ""),
        CASE("a 1\n# EOF\n", "sample a | {__name__=\"a\"} | 1\n"),
        CASE("a{} 1 1.5\n# EOF\n", "sample a{} | {__name__=\"a\"} | 1 @1500\n"),
        CASE("a{b=\"x\\\"\",} -Inf -1.0005\n# EOF\n",
             "sample a{b=\"x\\\"\",} | {__name__=\"a\", b=\"x\\\"\"} | -inf @-1000\n"),
        CASE("{\"na.me\",b=\"c\"} 1e3 1e3\n# EOF\n",
             "sample {\"na.me\",b=\"c\"} | {__name__=\"na.me\", b=\"c\"} | 1000 @1000000\n"),
        CASE("# HELP a say \\\"it\\\\\\n\n# TYPE a_seconds gaugehistogram\n"
             "# UNIT a_seconds seconds\n# UNIT \"b c\" \n# HELP a \n# EOF",
             "help a \"say \\\"it\\\\\\n\"\ntype a_seconds gaugehistogram\n"
             "unit a_seconds seconds\nunit b c \nhelp a \"\"\n"),
        CASE("# TYPE a histogram\na_bucket{le=\"1\"} 1\n# TYPE a gaugehistogram\n"
             "a_bucket{le=\"1\"} 1\n# EOF",
             "type a histogram\n"
             "sample a_bucket{le=\"1\"} | {__name__=\"a_bucket\", le=\"1.0\"} | 1\n"
             "type a gaugehistogram\n"
             "sample a_bucket{le=\"1\"} | {__name__=\"a_bucket\", le=\"1\"} | 1\n"),
        CASE("a 1 # {} 2\nb 1 3 # {z=\"\\n\",\"y.z\"=\"1\"} -0.5 1.25\nc 2\n# EOF\n",
             "sample a | {__name__=\"a\"} | 1\nexemplar {} 2\n"
             "sample b | {__name__=\"b\"} | 1 @3000\n"
             "exemplar {\"y.z\"=\"1\", z=\"\\\\n\"} -0.5 @1250\n"
             "sample c | {__name__=\"c\"} | 2\n"),
    };
    CHECK(cases);
}

static void defects_have_their_texts(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        CASE("", "error data does not end with # EOF\n"),
        CASE("a 1\n", "sample a | {__name__=\"a\"} | 1\nerror data does not end with # EOF\n"),
        CASE("# EOF\n\n", "error unexpected data after # EOF\n"),
        CASE("\n# EOF\n", "error expected a valid start token, got \"\\n\" (\"INVALID\") while "
                          "parsing: \"\\n\"\n"),
        CASE("# comment\n# EOF\n", "error expected a valid start token, got \"# c\" (\"INVALID\") "
                                   "while parsing: \"# c\"\n"),
        CASE("a  1\n# EOF\n", "error expected value after metric, got \"  \" (\"INVALID\") while "
                              "parsing: \"a  \"\n"),
        CASE("a\t1\n# EOF\n", "error expected value after metric, got \"\\t\" (\"INVALID\") while "
                              "parsing: \"a\\t\"\n"),
        CASE("a{ b=\"c\"} 1\n# EOF\n",
             "error expected label name, got \" \" (\"INVALID\") while parsing: \"a{ \"\n"),
        CASE("a{b=\"c\"d=\"e\"} 1\n# EOF\n", "error expected comma or brace close, got \"d=\" "
                                             "(\"LNAME\") while parsing: \"a{b=\\\"c\\\"d=\"\n"),
        CASE("a{b=\"x\ny\"} 1\n# EOF\n", "error expected label value, got \"\\\"x\\n\" "
                                         "(\"INVALID\") while parsing: \"a{b=\\\"x\\n\"\n"),
        CASE("a 1 NaN\n# EOF\n", "error invalid timestamp NaN\n"),
        CASE("a 1 -Inf\n# EOF\n", "error invalid timestamp -Inf\n"),
        CASE("a 1 2 # {} 1 +Inf\n# EOF\n", "error invalid exemplar timestamp +Inf\n"),
        CASE("a 1 # {\"b\"} 1\n# EOF\n", "error expected label name, got \"} \" (\"BCLOSE\") while "
                                         "parsing: \"a 1 # {\\\"b\\\"} \"\n"),
        CASE("# UNIT a_b c\n# EOF\n", "error unit \"c\" not a suffix of metric \"a_b\"\n"),
        CASE("# UNIT b b\n# EOF\n", "error unit \"b\" not a suffix of metric \"b\"\n"),
        CASE("# TYPE a untyped\n# EOF\n", "error invalid metric type \"untyped\"\n"),
        CASE("# HELP a\n# EOF\n", "error expected text in HELP\n"),
    };
    CHECK(cases);
}

static void created_lines_are_starts(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        /* Of the first line with its labels, in whatever order; cut off to milliseconds. */
        CASE(
            "# TYPE a counter\na_total{b=\"c\",d=\"e\"} 1\na_total{b=\"f\"} 2\n"
            "a_created{d=\"e\",b=\"c\"} 1.50048828125\na_created{d=\"e\",b=\"c\"} 9\n# EOF\n",
            "type a counter\n"
            "sample a_total{b=\"c\",d=\"e\"} | {__name__=\"a_total\", b=\"c\", d=\"e\"} | 1 "
            "start=1500\n"
            "sample a_total{b=\"f\"} | {__name__=\"a_total\", b=\"f\"} | 2\n"
            "start a_created{d=\"e\",b=\"c\"} 1.50048828125\nstart a_created{d=\"e\",b=\"c\"} 9\n"),
        /* A family ends at the next line that is no sample. */
        CASE("# TYPE a counter\na_total 1\n# HELP a x\na_created 2\na_total 3\n# EOF\n",
             "type a counter\nsample a_total | {__name__=\"a_total\"} | 1\nhelp a \"x\"\n"
             "start a_created 2\nsample a_total | {__name__=\"a_total\"} | 3 start=2000\n"),
        /* Names in quotes, with escapes; an exemplar on the way stays where it is. */
        CASE("# TYPE \"a.b\" counter\n{\"a.b_total\",c=\"\\\\\"} 1 # {t=\"x\"} 3\n"
             "{\"a.b_created\",c=\"\\\\\"} 2 5 # {t=\"y\"} 4\n# EOF\n",
             "type a.b counter\n"
             "sample {\"a.b_total\",c=\"\\\\\"} | {__name__=\"a.b_total\", c=\"\\\\\"} | 1 "
             "start=2000\nexemplar {t=\"x\"} 3\n"
             "start {\"a.b_created\",c=\"\\\\\"} 2\n"),
        /* No type of these, or no clock's time. */
        CASE("# TYPE a gauge\na 1\na_created 2\n# TYPE b counter\nb_total 1\nb_created -2\n"
             "# TYPE c counter\nc_total 1\nc_created +Inf\n# EOF\n",
             "type a gauge\nsample a | {__name__=\"a\"} | 1\n"
             "sample a_created | {__name__=\"a_created\"} | 2\n"
             "type b counter\nsample b_total | {__name__=\"b_total\"} | 1\nstart b_created -2\n"
             "type c counter\nsample c_total | {__name__=\"c_total\"} | 1\nstart c_created inf\n"),
        /* A defect further on is told where it stands. */
        CASE("# TYPE a counter\na_total 1\na_created 2\na_total{ 3\n# EOF\n",
             "type a counter\nsample a_total | {__name__=\"a_total\"} | 1 start=2000\n"
             "start a_created 2\n"
             "error expected label name, got \" \" (\"INVALID\") while parsing: \"a_total{ \"\n"),
    };
    check(cases, sizeof cases / sizeof cases[0], true);
}

static void known_keys_need_plain_lines(void **state)
{
    (void)state;
    struct exposition_options options = {0};
    struct exposition *exposition = exposition_create();
    struct exposition_entry entry;
    struct strbuf why = STRBUF_INIT;
    exposition_start(exposition, EXPOSITION_OPENMETRICS, &options,
                     STR("a 1\na 2 3.5\na 4 # {} 1\n# EOF\n"));
    assert_int_equal(exposition_peek(exposition).data[0], 'a');
    assert_true(exposition_next_known(exposition, 1, STR(""), &entry));
    assert_true(entry.value == 1 && !entry.has_timestamp);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(exposition_peek(exposition).data[0], 'a');
        assert_false(exposition_next_known(exposition, 1, STR(""), &entry));
        assert_int_equal(exposition_next(exposition, &entry, &why), OK);
        assert_true(entry.value == 2 + 2 * i);
    }
    assert_true(entry.has_exemplar);
    assert_int_equal(exposition_peek(exposition).size, 0);
    assert_int_equal(exposition_next(exposition, &entry, &why), OK);
    assert_int_equal(entry.kind, EXPOSITION_END);
    exposition_destroy(exposition);
    strbuf_deinit(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(legal_pages),
        cmocka_unit_test(defects_have_their_texts),
        cmocka_unit_test(created_lines_are_starts),
        cmocka_unit_test(known_keys_need_plain_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
