#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "narthex/base/mem.h"
#include "narthex/model/relabel.h"

/* A rule in one line; NULL leaves the default. Sources are separated by commas. */
struct rule_text {
    const char *action;
    const char *sources;
    const char *target;
    const char *regex;
    const char *replacement;
    const char *separator;
    uint64_t modulus;
};

static struct str config_str(const char *text)
{
    return str_from(mem_dup(MEM_CONFIG, text, strlen(text)), strlen(text));
}

static void make_rule(const struct rule_text *text, struct relabel_rule *rule)
{
    struct strbuf why = STRBUF_INIT;
    relabel_rule_init(rule);
    if (text->action != NULL)
        assert_true(relabel_action_parse(str_from_cstr(text->action), &rule->action));
    if (text->sources != NULL) {
        rule->source_labels_set = true;
        rule->source_labels = MEM_NEW_ARRAY(MEM_CONFIG, struct str, 8);
        for (const char *at = text->sources; *at != '\0';) {
            size_t size = strcspn(at, ",");
            rule->source_labels[rule->source_label_count++] =
                str_from(mem_dup(MEM_CONFIG, at, size), size);
            at += size + (at[size] == ',');
        }
    }
    if (text->target != NULL)
        rule->target_label = config_str(text->target);
    if (text->replacement != NULL)
        rule->replacement = config_str(text->replacement);
    if (text->separator != NULL)
        rule->separator = config_str(text->separator);
    if (text->regex != NULL) {
        rule->regex_set = true;
        rule->regex_text = config_str(text->regex);
        assert_int_equal(regex_compile(rule->regex_text, &rule->regex, &why), OK);
    }
    rule->modulus = text->modulus;
    strbuf_deinit(&why);
}

static void set_labels(struct label_builder *builder, char *text)
{
    for (char *pair = strtok(text, ","); pair != NULL; pair = strtok(NULL, ",")) {
        char *value = strchr(pair, '=');
        assert_non_null(value);
        label_builder_set(builder, str_from(pair, (size_t)(value - pair)),
                          str_from_cstr(value + 1));
    }
}

static void check(const char *before, const struct rule_text *texts, uint32_t count,
                  const char *after, enum name_scheme scheme)
{
    struct relabel_rule rules[4];
    struct label_builder builder = {0};
    struct arena arena;
    struct strbuf out = STRBUF_INIT;
    char buffer[256];
    uint32_t dropped_by = UINT32_MAX;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    assert_true(strlen(before) < sizeof buffer);
    strcpy(buffer, before);
    set_labels(&builder, buffer);
    for (uint32_t i = 0; i < count; i++)
        make_rule(&texts[i], &rules[i]);
    if (relabel_apply(rules, count, scheme, &builder, &arena, &dropped_by)) {
        labels_print(label_builder_labels(&builder), &out);
        assert_int_equal(dropped_by, UINT32_MAX);
    } else {
        strbuf_printf(&out, "dropped by %u", dropped_by);
    }
    assert_string_equal(strbuf_cstr(&out), after);
    for (uint32_t i = 0; i < count; i++)
        relabel_rule_deinit(&rules[i]);
    label_builder_deinit(&builder);
    arena_deinit(&arena);
    strbuf_deinit(&out);
}

#define RULE(...) (&(struct rule_text){__VA_ARGS__})
#define CHECK(before, rule, after) check(before, rule, 1, after, NAME_SCHEME_UTF8)

static void replace_expands_and_deletes(void **state)
{
    (void)state;
    CHECK("a=x", RULE(.sources = "a", .target = "b"), "{a=\"x\", b=\"x\"}");
    CHECK("a=x,c=y", RULE(.sources = "a,c", .target = "b"), "{a=\"x\", b=\"x;y\", c=\"y\"}");
    CHECK("a=x,c=y", RULE(.sources = "a,zz,c", .target = "b", .separator = "-"),
          "{a=\"x\", b=\"x--y\", c=\"y\"}");
    CHECK(
        "a=foo:80",
        RULE(.sources = "a", .target = "h", .regex = "(.*):(\\d+)", .replacement = "${2}_$1x$1$$"),
        "{a=\"foo:80\", h=\"80_foo$\"}");
    CHECK("a=foo", RULE(.sources = "a", .target = "h", .regex = "bar"), "{a=\"foo\"}");
    CHECK("a=foo", RULE(.sources = "zz", .target = "a"), "{}");
    CHECK("a=foo", RULE(.target = "b", .replacement = "const"), "{a=\"foo\", b=\"const\"}");
    CHECK("a=foo", RULE(.sources = "a", .target = "a", .regex = "", .replacement = "z"),
          "{a=\"foo\"}");
    CHECK("a=n=v",
          RULE(.sources = "a", .target = "${1}_x", .regex = "(.*)=(.*)", .replacement = "$2"),
          "{a=\"n=v\", n_x=\"v\"}");
}

static void invalid_expanded_targets_have_no_effect(void **state)
{
    (void)state;
    struct rule_text rule = {.sources = "a", .target = "$1", .replacement = "v"};
    check("a=x-y", &rule, 1, "{a=\"x-y\"}", NAME_SCHEME_LEGACY);
    check("a=x-y", &rule, 1, "{a=\"x-y\", \"x-y\"=\"v\"}", NAME_SCHEME_UTF8);
}

static void keep_and_drop(void **state)
{
    (void)state;
    CHECK("a=x", RULE(.action = "keep", .sources = "a", .regex = "x"), "{a=\"x\"}");
    CHECK("a=x", RULE(.action = "keep", .sources = "a", .regex = "y"), "dropped by 0");
    CHECK("a=x", RULE(.action = "Drop", .sources = "a", .regex = "x|y"), "dropped by 0");
    CHECK("a=x", RULE(.action = "drop", .sources = "b", .regex = ".+"), "{a=\"x\"}");
    CHECK("a=x,b=x", RULE(.action = "keepequal", .sources = "a", .target = "b"),
          "{a=\"x\", b=\"x\"}");
    CHECK("a=x,b=y", RULE(.action = "keepequal", .sources = "a", .target = "b"), "dropped by 0");
    CHECK("a=x,b=x", RULE(.action = "dropequal", .sources = "a", .target = "b"), "dropped by 0");
    struct rule_text chain[] = {
        {.action = "keep", .sources = "a", .regex = "x"},
        {.sources = "a", .target = "b", .replacement = "1"},
        {.action = "drop", .sources = "b", .regex = "1"},
    };
    check("a=x", chain, 3, "dropped by 2", NAME_SCHEME_UTF8);
}

static void names_are_mapped_dropped_and_kept(void **state)
{
    (void)state;
    CHECK("__meta_a=1,b=2", RULE(.action = "labelmap", .regex = "__meta_(.+)"),
          "{__meta_a=\"1\", a=\"1\", b=\"2\"}");
    CHECK("a=1,aa=2", RULE(.action = "labelmap", .regex = "a", .replacement = "aa"),
          "{a=\"1\", aa=\"1\"}");
    CHECK("xb=1,xa=2", RULE(.action = "labelmap", .regex = "(.).", .replacement = "$1"),
          "{x=\"1\", xa=\"2\", xb=\"1\"}");
    CHECK("xa=2,xb=1", RULE(.action = "labelmap", .regex = "(.).", .replacement = "$1"),
          "{x=\"1\", xa=\"2\", xb=\"1\"}");
    CHECK("a=1,b=2,ab=3", RULE(.action = "labeldrop", .regex = "a.*"), "{b=\"2\"}");
    CHECK("a=1,b=2,ab=3", RULE(.action = "labelkeep", .regex = "a.*"), "{a=\"1\", ab=\"3\"}");
}

static void hashes_and_cases(void **state)
{
    (void)state;
    /* md5sum of "foo": acbd18db4cc2f85cedef654fccc4a4d8, of which the last 8 bytes mod 1000. */
    CHECK("a=foo", RULE(.action = "hashmod", .sources = "a", .target = "m", .modulus = 1000),
          "{a=\"foo\", m=\"696\"}");
    CHECK("a=\xc3\x89"
          "Ab\xc4\xb0",
          RULE(.action = "lowercase", .sources = "a", .target = "b"),
          "{a=\"\xc3\x89"
          "Ab\xc4\xb0\", b=\"\xc3\xa9"
          "abi\"}");
    CHECK("a=stra\xc3\x9f"
          "e \xcf\x83",
          RULE(.action = "uppercase", .sources = "a", .target = "a"),
          "{a=\"STRA\xc3\x9f"
          "E \xce\xa3\"}");
}

static void validation_has_its_texts(void **state)
{
    (void)state;
    static const struct {
        struct rule_text rule;
        enum name_scheme scheme;
        const char *error; /* NULL: valid */
    } cases[] = {
        {{.action = "hashmod", .target = "a"},
         NAME_SCHEME_UTF8,
         "relabel configuration for hashmod requires non-zero modulus"},
        {{.action = "replace"},
         NAME_SCHEME_UTF8,
         "relabel configuration for replace action requires 'target_label' value"},
        {{.target = "a-b"},
         NAME_SCHEME_LEGACY,
         "\"a-b\" is invalid 'target_label' for replace action"},
        {{.target = "a-b"}, NAME_SCHEME_UTF8, NULL},
        {{.target = "a${1}_$2x"}, NAME_SCHEME_LEGACY, NULL},
        {{.target = "$1-"},
         NAME_SCHEME_LEGACY,
         "\"$1-\" is invalid 'target_label' for replace action"},
        {{.target = "${1"},
         NAME_SCHEME_LEGACY,
         "\"${1\" is invalid 'target_label' for replace action"},
        {{.target = "0$1"},
         NAME_SCHEME_LEGACY,
         "\"0$1\" is invalid 'target_label' for replace action"},
        {{.action = "lowercase", .target = "${3}"},
         NAME_SCHEME_LEGACY,
         "\"${3}\" is invalid 'target_label' for lowercase action"},
        {{.action = "uppercase", .target = "a", .replacement = "x"},
         NAME_SCHEME_UTF8,
         "'replacement' can not be set for uppercase action"},
        {{.action = "labelmap", .replacement = "\\1"},
         NAME_SCHEME_LEGACY,
         "\"\\\\1\" is invalid 'replacement' for labelmap action"},
        {{.action = "labelmap"}, NAME_SCHEME_LEGACY, NULL},
        {{.action = "dropequal", .target = "a", .regex = "(.*)"},
         NAME_SCHEME_UTF8,
         "dropequal action requires only 'source_labels' and `target_label`, and no other fields"},
        {{.action = "keepequal", .target = "a", .separator = ","},
         NAME_SCHEME_UTF8,
         "keepequal action requires only 'source_labels' and `target_label`, and no other fields"},
        {{.action = "labeldrop", .regex = "a", .sources = ""},
         NAME_SCHEME_UTF8,
         "labeldrop action requires only 'regex', and no other fields"},
        {{.action = "labelkeep", .regex = "a", .modulus = 3},
         NAME_SCHEME_UTF8,
         "labelkeep action requires only 'regex', and no other fields"},
        {{.action = "labelkeep", .regex = "a"}, NAME_SCHEME_UTF8, NULL},
        {{.action = "drop"}, NAME_SCHEME_UTF8, NULL},
    };
    struct strbuf why = STRBUF_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct relabel_rule rule;
        strbuf_clear(&why);
        make_rule(&cases[i].rule, &rule);
        err_t err = relabel_rule_validate(&rule, cases[i].scheme, &why);
        assert_int_equal(err, cases[i].error == NULL ? OK : ERR_INVALID);
        assert_string_equal(strbuf_cstr(&why), cases[i].error == NULL ? "" : cases[i].error);
        relabel_rule_deinit(&rule);
    }
    enum relabel_action action;
    assert_false(relabel_action_parse(STR("x"), &action));
    strbuf_deinit(&why);
    assert_int_equal(mem_bytes(MEM_CONFIG), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replace_expands_and_deletes),
        cmocka_unit_test(invalid_expanded_targets_have_no_effect),
        cmocka_unit_test(keep_and_drop),
        cmocka_unit_test(names_are_mapped_dropped_and_kept),
        cmocka_unit_test(hashes_and_cases),
        cmocka_unit_test(validation_has_its_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
