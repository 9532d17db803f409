#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "narthex/model/labels.h"

static void assert_text(struct strbuf *buf, const char *expected)
{
    assert_string_equal(strbuf_cstr(buf), expected);
    strbuf_clear(buf);
}

static struct labels build(struct label_builder *builder, const char *const *pairs)
{
    label_builder_clear(builder);
    for (; pairs[0] != NULL; pairs += 2)
        label_builder_set(builder, str_from_cstr(pairs[0]), str_from_cstr(pairs[1]));
    return label_builder_labels(builder);
}

#define BUILD(builder, ...) build((builder), (const char *const[]){__VA_ARGS__, NULL})

static void builder_sorts_replaces_and_removes(void **state)
{
    (void)state;
    struct label_builder builder = {0};
    struct labels labels =
        BUILD(&builder, "job", "x", "__name__", "up", "a", "1", "a", "2", "job", "");
    assert_int_equal(labels.count, 2);
    assert_true(str_equal(labels.items[0].name, STR("__name__")));
    assert_true(str_equal(labels_get(labels, STR("a")), STR("2")));
    assert_false(labels_has(labels, STR("job")));
    assert_int_equal(labels_get(labels, STR("zz")).size, 0);
    label_builder_deinit(&builder);
    assert_int_equal(mem_bytes(MEM_MODEL), 0);
}

static void large_sets_are_sorted_and_found(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    char names[COUNT][8];
    struct label_builder builder = {0};
    for (unsigned i = 0; i < COUNT; i++) {
        unsigned mixed = i * 7919 % COUNT;
        int size = snprintf(names[i], sizeof names[i], "n%03u", mixed);
        label_builder_set(&builder, str_from(names[i], (size_t)size), STR("v"));
    }
    struct labels labels = label_builder_labels(&builder);
    for (unsigned i = 1; i < COUNT; i++)
        assert_true(str_compare(labels.items[i - 1].name, labels.items[i].name) < 0);
    for (unsigned i = 0; i < COUNT; i++)
        assert_true(labels_has(labels, str_from_cstr(names[i])));
    assert_false(labels_has(labels, STR("n")));
    assert_false(labels_has(labels, STR("n9999")));
    label_builder_deinit(&builder);
}

/* Sets of every size up to 200 with names that repeat and values that are empty. */
static void assigning_is_setting_one_by_one(void **state)
{
    (void)state;
    enum { COUNT = 200, NAMES = 70 };
    struct label items[COUNT];
    char names[NAMES][8], values[10][8];
    struct label_builder assigned = {0}, set = {0};
    uint64_t random = 11;
    for (int i = 0; i < NAMES; i++)
        snprintf(names[i], sizeof names[i], "n%d", i);
    values[0][0] = '\0';
    for (int i = 1; i < 10; i++)
        snprintf(values[i], sizeof values[i], "v%d", i);
    for (uint32_t i = 0; i < COUNT; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        items[i] = (struct label){str_from_cstr(names[(random >> 33) % NAMES]),
                                  str_from_cstr(values[(random >> 50) % 10])};
        label_builder_set(&set, items[i].name, items[i].value);
        label_builder_assign(&assigned, items, i + 1);
        assert_true(labels_equal(label_builder_labels(&assigned), label_builder_labels(&set)));
    }
    label_builder_deinit(&assigned);
    label_builder_deinit(&set);
}

static void order_is_by_name_then_value_then_length(void **state)
{
    (void)state;
    struct label_builder one = {0};
    struct label_builder two = {0};
    struct labels a = BUILD(&one, "a", "1");
    struct labels b = BUILD(&two, "a", "1", "b", "2");
    assert_true(labels_compare(a, b) < 0);
    assert_true(labels_compare(b, a) > 0);
    b = BUILD(&two, "a", "1");
    assert_int_equal(labels_compare(a, b), 0);
    assert_true(labels_equal(a, b));
    assert_int_equal(labels_hash(a), labels_hash(b));
    b = BUILD(&two, "a", "10");
    assert_true(labels_compare(a, b) < 0);
    assert_false(labels_equal(a, b));
    b = BUILD(&two, "B", "0");
    assert_true(labels_compare(b, a) < 0);
    label_builder_deinit(&one);
    label_builder_deinit(&two);
}

static void print_quotes_what_is_no_identifier(void **state)
{
    (void)state;
    struct strbuf out = STRBUF_INIT;
    struct label_builder builder = {0};
    labels_print((struct labels){NULL, 0}, &out);
    assert_text(&out, "{}");
    struct labels labels = BUILD(&builder, "__name__", "up", "job", "a\"b\n");
    labels_print(labels, &out);
    assert_text(&out, "{__name__=\"up\", job=\"a\\\"b\\n\"}");
    labels_print_metric(labels, &out);
    assert_text(&out, "up{job=\"a\\\"b\\n\"}");
    labels_print_metric(BUILD(&builder, "__name__", "up"), &out);
    assert_text(&out, "up");
    labels_print_metric(BUILD(&builder, "__name__", "na.me", "la.bel", "x"), &out);
    assert_text(&out, "{\"na.me\", \"la.bel\"=\"x\"}");
    labels_print_metric(BUILD(&builder, "a", "1"), &out);
    assert_text(&out, "{a=\"1\"}");
    strbuf_deinit(&out);
    label_builder_deinit(&builder);
}

static void copies_are_independent(void **state)
{
    (void)state;
    struct arena arena;
    struct label_builder builder = {0};
    char value[] = "one";
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    label_builder_set(&builder, STR("a"), str_from(value, 3));
    struct labels deep = labels_copy(&arena, label_builder_labels(&builder));
    struct labels shallow = labels_copy_shallow(&arena, label_builder_labels(&builder));
    value[0] = 'X';
    assert_true(str_equal(deep.items[0].value, STR("one")));
    assert_true(str_equal(shallow.items[0].value, STR("Xne")));
    label_builder_reset(&builder, deep);
    assert_true(labels_equal(label_builder_labels(&builder), deep));
    label_builder_deinit(&builder);
    arena_deinit(&arena);
}

static void schemes_judge_names(void **state)
{
    (void)state;
    assert_true(metric_name_is_valid(STR("a:b_9"), NAME_SCHEME_LEGACY));
    assert_false(metric_name_is_valid(STR("9a"), NAME_SCHEME_LEGACY));
    assert_false(metric_name_is_valid(STR(""), NAME_SCHEME_UTF8));
    assert_true(metric_name_is_valid(STR("9 a.\xc3\xa9"), NAME_SCHEME_UTF8));
    assert_false(metric_name_is_valid(STR("a\xff"), NAME_SCHEME_UTF8));
    assert_false(label_name_is_valid(STR("a:b"), NAME_SCHEME_LEGACY));
    assert_true(label_name_is_valid(STR("__x1"), NAME_SCHEME_LEGACY));
}

static void escaping_follows_the_schemes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum name_escaping escaping;
        const char *escaped;
    } cases[] = {
        {"a.b c", NAME_ESCAPING_NONE, "a.b c"},
        {"a.b c", NAME_ESCAPING_UNDERSCORES, "a_b_c"},
        {"1a\xc3\xa9", NAME_ESCAPING_UNDERSCORES, "_a_"},
        {"a_b.c d", NAME_ESCAPING_DOTS, "a__b_dot_c__d"},
        {"a_b", NAME_ESCAPING_DOTS, "a__b"},
        {"a_b", NAME_ESCAPING_VALUES, "a_b"},
        {"a_b.c\xc3\xa9", NAME_ESCAPING_VALUES, "U__a__b_2e_c_e9_"},
        {"a.\xff", NAME_ESCAPING_VALUES, "U__a_2e__FFFD_"},
        {"1a", NAME_ESCAPING_VALUES, "U___31_a"},
        {"", NAME_ESCAPING_VALUES, ""},
    };
    struct strbuf out = STRBUF_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        name_escape(str_from_cstr(cases[i].name), cases[i].escaping, &out);
        assert_text(&out, cases[i].escaped);
    }
    strbuf_deinit(&out);
}

static void unescaping_reverses_or_leaves(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"U__a__b_2e_c_e9_", "a_b.c\xc3\xa9"},
        {"plain_name", "plain_name"},
        {"U__a_", "U__a_"},
        {"U__a_2e", "U__a_2e"},
        {"U__a_zz_", "U__a_zz_"},
        {"U__a_1234567_", "U__a_1234567_"},
        {"U__a_d800_", "U__a_d800_"},
        {"U__a_1F600_", "a\xf0\x9f\x98\x80"},
        {"U__", ""},
    };
    struct strbuf out = STRBUF_INIT;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        name_unescape_values(str_from_cstr(pairs[i][0]), &out);
        assert_text(&out, pairs[i][1]);
    }
    strbuf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builder_sorts_replaces_and_removes),
        cmocka_unit_test(large_sets_are_sorted_and_found),
        cmocka_unit_test(assigning_is_setting_one_by_one),
        cmocka_unit_test(order_is_by_name_then_value_then_length),
        cmocka_unit_test(print_quotes_what_is_no_identifier),
        cmocka_unit_test(copies_are_independent),
        cmocka_unit_test(schemes_judge_names),
        cmocka_unit_test(escaping_follows_the_schemes),
        cmocka_unit_test(unescaping_reverses_or_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
