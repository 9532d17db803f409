#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "narthex/base/mem.h"
#include "narthex/model/regex.h"
#include "regex_engine.h"

static struct regex *compile(struct str pattern)
{
    struct regex *regex;
    struct strbuf why = STRBUF_INIT;
    if (regex_compile(pattern, &regex, &why) != OK)
        fail_msg("%.*s: %s", STR_ARG(pattern), strbuf_cstr(&why));
    strbuf_deinit(&why);
    return regex;
}

static void illegal_patterns_have_their_texts(void **state)
{
    (void)state;
    static const struct {
        struct str pattern;
        const char *error;
    } cases[] = {
        {STR_INIT("a(b"), "missing closing ): `^(?s:a(b)$`"},
        {STR_INIT("a))"), "unexpected ): `^(?s:a)))$`"},
        {STR_INIT("\\"), "missing closing ): `^(?s:\\)$`"},
        {STR_INIT("\\Q*"), "missing closing ): `^(?s:\\Q*)$`"},
        {STR_INIT("(?"), "missing closing ): `^(?s:(?)$`"},
        {STR_INIT("[a"), "missing closing ]: `[a)$`"},
        {STR_INIT("[]a"), "missing closing ]: `[]a)$`"},
        {STR_INIT("*a"), "missing argument to repetition operator: `*`"},
        {STR_INIT("|+?"), "missing argument to repetition operator: `+?`"},
        {STR_INIT("(?:(?i)*)"), "missing argument to repetition operator: `*`"},
        {STR_INIT("a**"), "invalid nested repetition operator: `**`"},
        {STR_INIT("a++"), "invalid nested repetition operator: `++`"},
        {STR_INIT("a{2}{3}"), "invalid nested repetition operator: `{2}{3}`"},
        {STR_INIT("x{1001}"), "invalid repeat count: `{1001}`"},
        {STR_INIT("x{2,1}"), "invalid repeat count: `{2,1}`"},
        {STR_INIT("x{99999999999}"), "invalid repeat count: `{99999999999}`"},
        {STR_INIT("(?:x{500}){3}"), "invalid repeat count: `{3}`"},
        {STR_INIT("[b-a]"), "invalid character class range: `b-a`"},
        {STR_INIT("[[:foo:]]"), "invalid character class range: `[:foo:]`"},
        {STR_INIT("\\pX"), "invalid character class range: `\\pX`"},
        {STR_INIT("\\p{L"), "invalid character class range: `\\p{L)$`"},
        {STR_INIT("[a-\\d]"), "invalid escape sequence: `\\d`"},
        {STR_INIT("\\C"), "invalid escape sequence: `\\C`"},
        {STR_INIT("\\Z"), "invalid escape sequence: `\\Z`"},
        {STR_INIT("\\K"), "invalid escape sequence: `\\K`"},
        {STR_INIT("(a)\\1"), "invalid escape sequence: `\\1`"},
        {STR_INIT("\\x4"), "invalid escape sequence: `\\x4)`"},
        {STR_INIT("\\x{110000}"), "invalid escape sequence: `\\x{110000`"},
        {STR_INIT("(?=a)"), "invalid or unsupported Perl syntax: `(?=`"},
        {STR_INIT("(?>a)"), "invalid or unsupported Perl syntax: `(?>`"},
        {STR_INIT("(?i-)a"), "invalid or unsupported Perl syntax: `(?i-)`"},
        {STR_INIT("(?P=n)"), "invalid or unsupported Perl syntax: `(?P`"},
        {STR_INIT("(?<=a)"), "invalid named capture: `(?<=a))$`"},
        {STR_INIT("(?<n.>a)"), "invalid named capture: `(?<n.>`"},
        {STR_INIT("(?P<>a)"), "invalid named capture: `(?P<>`"},
        {STR_INIT("a\xff"), "invalid UTF-8: `\xff)$`"},
        {STR_INIT("\\Qa\xffq\\E"), "invalid UTF-8: `\xffq`"},
    };
    struct strbuf why = STRBUF_INIT;
    struct strbuf expected = STRBUF_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct regex *regex = NULL;
        strbuf_clear(&expected);
        strbuf_printf(&expected, "error parsing regexp: %s", cases[i].error);
        assert_int_equal(regex_compile(cases[i].pattern, &regex, &why), ERR_INVALID);
        assert_string_equal(strbuf_cstr(&why), strbuf_cstr(&expected));
    }
    strbuf_deinit(&why);
    strbuf_deinit(&expected);
    assert_int_equal(mem_bytes(MEM_MODEL), 0);
}

static void depth_and_size_are_limited(void **state)
{
    (void)state;
    struct strbuf pattern = STRBUF_INIT;
    struct strbuf why = STRBUF_INIT;
    struct regex *regex = NULL;
    for (int i = 0; i < 100000; i++)
        strbuf_add_char(&pattern, '(');
    for (int i = 0; i < 100000; i++)
        strbuf_add_char(&pattern, ')');
    assert_int_equal(regex_compile(strbuf_str(&pattern), &regex, &why), ERR_INVALID);
    assert_non_null(strstr(strbuf_cstr(&why), "expression nests too deeply: `^(?s:((("));

    strbuf_clear(&pattern);
    for (int i = 0; i < 10000; i++)
        strbuf_add_cstr(&pattern, "a{1000}");
    assert_int_equal(regex_compile(strbuf_str(&pattern), &regex, &why), ERR_INVALID);
    assert_non_null(strstr(strbuf_cstr(&why), "expression too large: `"));

    /* Groups that leave no trace may nest as deep as they like. */
    strbuf_clear(&pattern);
    for (int i = 0; i < 50000; i++)
        strbuf_add_cstr(&pattern, "(?:");
    strbuf_add_char(&pattern, 'a');
    for (int i = 0; i < 50000; i++)
        strbuf_add_char(&pattern, ')');
    regex = compile(strbuf_str(&pattern));
    assert_true(regex_matches(regex, STR("a")));
    regex_destroy(regex);
    strbuf_deinit(&pattern);
    strbuf_deinit(&why);
}

static const struct {
    struct str pattern;
    struct str text;
    bool matches;
} match_cases[] = {
    {STR_INIT(""), STR_INIT(""), true},
    {STR_INIT(""), STR_INIT("a"), false},
    {STR_INIT("a|b"), STR_INIT("ab"), false},
    {STR_INIT("a||b"), STR_INIT(""), true},
    {STR_INIT("."), STR_INIT("\n"), true},
    {STR_INIT("(?-s:.)"), STR_INIT("\n"), false},
    {STR_INIT("a$"), STR_INIT("a\n"), false},
    {STR_INIT("(?m)a$\nb"), STR_INIT("a\nb"), true},
    {STR_INIT("(?m:a\n^)"), STR_INIT("a\n"), true},
    {STR_INIT("\\s"), STR_INIT("\v"), false},
    {STR_INIT("\\v"), STR_INIT("\v"), true},
    {STR_INIT("\\v"), STR_INIT("\n"), false},
    {STR_INIT("[[:space:]]"), STR_INIT("\v"), true},
    {STR_INIT("\\w+"), STR_INIT("\xc3\xa9"), false},
    {STR_INIT("\\pL+"), STR_INIT("\xc3\xa9t\xc3\xa9"), true},
    {STR_INIT("\\p{Greek}"), STR_INIT("\xcf\x83"), true},
    {STR_INIT("\\P{^Lu}"), STR_INIT("A"), true},
    {STR_INIT("(?i)stra\xc3\x9f"
              "e"),
     STR_INIT("STRA\xe1\xba\x9e"
              "E"),
     true},
    {STR_INIT("(?i)k"), STR_INIT("\xe2\x84\xaa"), true}, /* Kelvin sign */
    {STR_INIT("(?i)[j-l]"), STR_INIT("\xe2\x84\xaa"), true},
    {STR_INIT("(?i:[^k])"), STR_INIT("K"), false},
    {STR_INIT("(?i)\\W"), STR_INIT("\xc5\xbf"), false}, /* long s folds to s */
    {STR_INIT("a{,2}"), STR_INIT("a{,2}"), true},
    {STR_INIT("\\Qa.b\\E+"), STR_INIT("a.bb"), true},
    {STR_INIT("a)|(b"), STR_INIT("xb"), true}, /* wrapped as text: ^(?s:a)|(b)$ */
    {STR_INIT("a)|(b"), STR_INIT("bx"), false},
    {STR_INIT("x*"), STR_INIT("xxxx"), true},
    {STR_INIT("^^a$$"), STR_INIT("a"), true},
    {STR_INIT("(^a|b)c"), STR_INIT("ac"), true},
    {STR_INIT("a^b"), STR_INIT("ab"), false},
    {STR_INIT("\\x{10FFFF}"), STR_INIT("\xf4\x8f\xbf\xbf"), true},
    {STR_INIT("[^\\x{d800}]"), STR_INIT("a"), true},
    {STR_INIT("a\\x00b"), STR_INIT("a\0b"), true},
    /* Bytes that are not UTF-8 count as U+FFFD, one each. */
    {STR_INIT("a.b"),
     STR_INIT("a\xff"
              "b"),
     true},
    {STR_INIT("a..b"),
     STR_INIT("a\xff\xc3"
              "b"),
     true},
    {STR_INIT("\xef\xbf\xbd"), STR_INIT("\xff"), true},
    {STR_INIT("a.*"), STR_INIT("a\xff"), true},
    {STR_INIT("[^a]"), STR_INIT("\xff"), true},
    /* Strings with gaps. */
    {STR_INIT("a.*b"), STR_INIT("ab"), true},
    {STR_INIT("a.+b"), STR_INIT("ab"), false},
    {STR_INIT("a.*b.+c"), STR_INIT("axbbc"), true},
    {STR_INIT("a.*ab"), STR_INIT("ab"), false},
    {STR_INIT(".*x.*|y.+"), STR_INIT("axb"), true},
    {STR_INIT(".*x.*|y.+"), STR_INIT("y"), false},
    {STR_INIT(".+.+"), STR_INIT("\xc3\xa9"), false},
};

static void matching_is_that_of_re2(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof match_cases / sizeof match_cases[0]; i++) {
        struct regex *regex = compile(match_cases[i].pattern);
        if (regex_matches(regex, match_cases[i].text) != match_cases[i].matches)
            fail_msg("case %zu: %.*s", i, STR_ARG(match_cases[i].pattern));
        regex_destroy(regex);
    }
}

static void sets_prefixes_and_wildcards_are_known(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *set; /* comma separated; NULL: no set */
        const char *prefix;
        bool all;
    } cases[] = {
        {"a|b|c", "a,b,c", "", false},  {"lit", "lit", "lit", false},
        {"x[12]", "x1,x2", "x", false}, {"a(b|c)?d", "abd,acd,ad", "a", false},
        {"b|a|b", "a,b", "", false},    {"a{2}", "aa", "a", false},
        {"^(a|b)$", "a,b", "", false},  {"(?i)a", NULL, "", false},
        {"ab.*", NULL, "ab", false},    {"ab+c", NULL, "ab", false},
        {"ab?c", "abc,ac", "a", false}, {"a(bc|bd).*", NULL, "a", false},
        {".*", NULL, "", true},         {".+", NULL, "", false},
        {"(.*)", NULL, "", true},       {"|.+", NULL, "", true},
        {"^.*$", NULL, "", true},       {"(?-s:.*)", NULL, "", false},
        {"[a-z]+", NULL, "", false},
    };
    struct strbuf set = STRBUF_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct regex *regex = compile(str_from_cstr(cases[i].pattern));
        struct regex_set items = regex_set(regex);
        strbuf_clear(&set);
        for (size_t k = 0; k < items.count; k++)
            strbuf_printf(&set, "%s%.*s", k == 0 ? "" : ",", STR_ARG(items.items[k]));
        assert_string_equal(strbuf_cstr(&set), cases[i].set == NULL ? "" : cases[i].set);
        assert_int_equal(items.count == 0, cases[i].set == NULL);
        assert_true(str_equal_cstr(regex_prefix(regex), cases[i].prefix));
        assert_int_equal(regex_matches_all(regex), cases[i].all);
        regex_destroy(regex);
    }
    strbuf_deinit(&set);
}

static void expansion_follows_the_template(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *text;
        const char *replacement;
        const char *expanded; /* NULL: no match */
    } cases[] = {
        {"(a)(b)?", "a", "$1-$2-$3", "a--"},
        {"(?P<n>a)(?<m>b)", "ab", "$m$n${n}x$nx", "baax"},
        {"(a)", "a", "$1x|${1}x|$$1|$|$-|${|${}|${1", "|ax|$1|$|$-|${|${}|${1"},
        {"(a)", "a", "$01|$0|$00|$99999999999999999999", "|a||"},
        {"(a)", "a", "$\xc3\xa9|$1\xe2\x86\x92", "|a\xe2\x86\x92"},
        {"(a)", "b", "$1", NULL},
        {"(.)(.*)", "\xff\xc3\xa9z", "$2$1", "\xc3\xa9z\xff"},
        {"((a)|b)*", "ab", "$1$2", "ba"},
        {"(|a)*", "aa", "[$1]", "[a]"},
        {"(?:([ab])|())*", "ab", "[$1]", "[b]"},
    };
    struct strbuf out = STRBUF_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct regex *regex = compile(str_from_cstr(cases[i].pattern));
        strbuf_clear(&out);
        bool matched = regex_expand(regex, str_from_cstr(cases[i].text),
                                    str_from_cstr(cases[i].replacement), &out);
        assert_int_equal(matched, cases[i].expanded != NULL);
        assert_string_equal(strbuf_cstr(&out), matched ? cases[i].expanded : "");
        regex_destroy(regex);
    }
    strbuf_deinit(&out);
}

/* Patterns that cost a backtracking matcher exponential time, and one too large for pcre2. */
static void no_legal_pattern_fails(void **state)
{
    (void)state;
    struct strbuf text = STRBUF_INIT;
    for (int i = 0; i < 2000; i++)
        strbuf_add_char(&text, 'a');
    static const char *const hard[] = {"(a*)*b|(a+)+c?", "(?:a|a)*(?:a|aa)*c?",
                                       "(.*)(.*)(.*)(.*)a"};
    for (size_t i = 0; i < sizeof hard / sizeof hard[0]; i++) {
        struct regex *regex = compile(str_from_cstr(hard[i]));
        assert_true(regex_matches(regex, strbuf_str(&text)));
        strbuf_add_char(&text, 'x');
        assert_false(regex_matches(regex, strbuf_str(&text)));
        text.size--;
        regex_destroy(regex);
    }

    struct strbuf pattern = STRBUF_INIT;
    for (int i = 0; i < 20000; i++)
        strbuf_printf(&pattern, "%s[0-9]item%d", i == 0 ? "" : "|", i);
    struct regex *large = compile(strbuf_str(&pattern));
    assert_true(regex_matches(large, STR("7item19999")));
    assert_false(regex_matches(large, STR("item19999")));
    regex_destroy(large);
    strbuf_deinit(&pattern);
    strbuf_deinit(&text);
}

static void both_ways_of_matching_agree(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "^(?s:(a|ab)(c|bcd)(d*))$",    "^(?s:(a+)(a+?)b{0,2}(.*))$",
        "^(?s:(?i:K)[\\W\\d]+\\pL?)$", "(a)|b$",
        "^(?s:((?m:^a$|b)\n?)*)$",
    };
    static const char *const texts[] = {"abcd", "aaabb",  "k1\xc3\xa9", "\xe2\x84\xaa-",
                                        "",     "b\na\n", "xab"};
    struct strbuf why = STRBUF_INIT;
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        struct regex_engine *engine;
        assert_int_equal(regex__engine_create(str_from_cstr(patterns[i]), &engine, &why), OK);
        for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++) {
            struct regex_span quick[4] = {0};
            struct regex_span exact[4] = {0};
            struct str text = str_from_cstr(texts[k]);
            bool matches = regex__engine_match_exact(engine, text, exact, 4);
            enum regex_verdict verdict = regex__engine_match_quick(engine, text, quick, 4);
            assert_int_equal(verdict, matches ? REGEX_MATCH : REGEX_NO_MATCH);
            if (matches)
                assert_memory_equal(quick, exact, sizeof quick);
        }
        regex__engine_destroy(engine);
    }
    strbuf_deinit(&why);
}

static void search_is_not_anchored(void **state)
{
    (void)state;
    struct regex *regex = compile(STR("b+c"));
    assert_true(regex_search(regex, STR("abbcd")));
    assert_false(regex_search(regex, STR("abbd")));
    assert_false(regex_matches(regex, STR("abbcd")));
    regex_destroy(regex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(illegal_patterns_have_their_texts),
        cmocka_unit_test(depth_and_size_are_limited),
        cmocka_unit_test(matching_is_that_of_re2),
        cmocka_unit_test(sets_prefixes_and_wildcards_are_known),
        cmocka_unit_test(expansion_follows_the_template),
        cmocka_unit_test(no_legal_pattern_fails),
        cmocka_unit_test(both_ways_of_matching_agree),
        cmocka_unit_test(search_is_not_anchored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
