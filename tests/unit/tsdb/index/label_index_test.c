#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "narthex/base/mem.h"
#include "narthex/tsdb/label_index.h"

enum { SERIES = 300, LABELS_MAX = 4 };

/* No readers: what is replaced can go at once. */
static void free_now(void *context, void (*free_block)(void *, void *, size_t), void *owner,
                     void *block, size_t size)
{
    (void)context;
    free_block(owner, block, size);
}

struct fixture {
    struct label_index *index;
    struct arena arena;
    struct labels labels[SERIES];
    uint32_t pairs[SERIES][LABELS_MAX];
    bool gone[SERIES];
};

static int set_up(void **state)
{
    struct fixture *f = MEM_NEW(MEM_TEST, struct fixture);
    f->index = label_index_create((struct retirer){free_now, NULL});
    label_index_set_exclusive(f->index, false);
    arena_init(&f->arena, MEM_TEST, SIZE_MAX);
    for (uint32_t i = 0; i < SERIES; i++) {
        struct label *items = ARENA_NEW_ARRAY(&f->arena, struct label, LABELS_MAX);
        uint32_t count = 0;
        items[count++] = (struct label){STR("__name__"), arena_printf(&f->arena, "m%u", i % 7)};
        items[count++] = (struct label){STR("id"), arena_printf(&f->arena, "%u", i)};
        if (i % 2 == 0)
            items[count++] = (struct label){STR("job"), arena_printf(&f->arena, "j%u", i % 3)};
        if (i % 5 == 0)
            items[count++] = (struct label){STR("zone"), STR("z")};
        f->labels[i] = (struct labels){items, count};
        for (uint32_t j = 0; j < count; j++)
            f->pairs[i][j] = label_index_pair(f->index, items[j].name, items[j].value);
        label_index_add_series(f->index, f->pairs[i], count, i);
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    label_index_destroy(f->index);
    arena_deinit(&f->arena);
    mem_free(MEM_TEST, f);
    return 0;
}

static void expect_as_naive(struct fixture *f, const struct matcher *matchers, size_t count)
{
    struct strbuf why = STRBUF_INIT;
    struct id_view found;
    assert_int_equal(label_index_select(f->index, matchers, count, &f->arena, &found, &why), OK);
    size_t at = 0;
    for (uint32_t i = 0; i < SERIES; i++) {
        if (f->gone[i] || !matchers_match(matchers, count, f->labels[i]))
            continue;
        assert_true(at < found.count);
        assert_int_equal(found.items[at++], i);
    }
    assert_int_equal(at, found.count);
    strbuf_deinit(&why);
}

static const struct {
    enum matcher_kind kind;
    const char *name, *value;
} choices[] = {
    {MATCH_EQUAL, "__name__", "m3"},    {MATCH_EQUAL, "__name__", "none"},
    {MATCH_EQUAL, "job", ""},           {MATCH_NOT_EQUAL, "job", ""},
    {MATCH_NOT_EQUAL, "job", "j0"},     {MATCH_EQUAL, "missing", ""},
    {MATCH_NOT_EQUAL, "missing", ""},   {MATCH_EQUAL, "missing", "x"},
    {MATCH_REGEX, "id", "1.*"},         {MATCH_REGEX, "id", "1|2|33|999"},
    {MATCH_REGEX, "job", "j[01]|"},     {MATCH_REGEX, "job", ".*"},
    {MATCH_REGEX, "job", ".+"},         {MATCH_NOT_REGEX, "id", "(1|2).*"},
    {MATCH_NOT_REGEX, "job", "j0|j2"},  {MATCH_NOT_REGEX, "job", "j0|"},
    {MATCH_NOT_REGEX, "missing", ".+"}, {MATCH_NOT_REGEX, "missing", ".*"},
    {MATCH_NOT_EQUAL, "zone", "z"},     {MATCH_REGEX, "__name__", "m[2-4]"},
};
enum { CHOICES = sizeof choices / sizeof choices[0] };

/* Every pair of matchers, alone and together. */
static void all_matchers_select_as_a_scan_does(void **state)
{
    struct fixture *f = *state;
    struct strbuf why = STRBUF_INIT;
    struct matcher matchers[CHOICES];
    for (size_t i = 0; i < CHOICES; i++)
        assert_int_equal(matcher_init(&matchers[i], choices[i].kind, str_from_cstr(choices[i].name),
                                      str_from_cstr(choices[i].value), &why),
                         OK);
    expect_as_naive(f, NULL, 0);
    for (size_t i = 0; i < CHOICES; i++) {
        expect_as_naive(f, &matchers[i], 1);
        for (size_t j = 0; j < CHOICES; j++) {
            struct matcher both[2] = {matchers[i], matchers[j]};
            expect_as_naive(f, both, 2);
        }
    }
    for (size_t i = 0; i < CHOICES; i++)
        matcher_deinit(&matchers[i]);
    strbuf_deinit(&why);
}

static void a_sweep_leaves_no_trace(void **state)
{
    struct fixture *f = *state;
    uint32_t dead[SERIES];
    uint32_t dead_count = 0;
    uint64_t pairs_before = label_index_pair_count(f->index);
    for (uint32_t i = 0; i < SERIES; i++) {
        if (i % 3 == 0)
            continue;
        f->gone[i] = true;
        label_index_drop_series(f->index, f->pairs[i], f->labels[i].count);
        dead[dead_count++] = i;
    }
    label_index_sweep(f->index, (struct id_view){dead, dead_count});
    expect_as_naive(f, NULL, 0);
    struct strbuf why = STRBUF_INIT;
    struct matcher matcher;
    assert_int_equal(matcher_init(&matcher, MATCH_REGEX, STR("id"), STR("1.*"), &why), OK);
    expect_as_naive(f, &matcher, 1);
    matcher_deinit(&matcher);
    /* Each series had an id of its own, and nobody is left of two jobs. */
    assert_int_equal(label_index_pair_count(f->index), pairs_before - dead_count - 2);
    /* A pair that went is made anew, and may get an old number. */
    uint32_t again = label_index_pair(f->index, STR("id"), STR("1"));
    assert_int_equal(label_index_pair_series(f->index, again), 0);
    struct label label = label_index_label(f->index, again);
    assert_true(str_equal_cstr(label.value, "1"));
    strbuf_deinit(&why);
}

/* More names than any honest target has: they take memory, no more, and that is given back. */
static void any_number_of_names_comes_and_goes(void **state)
{
    (void)state;
    enum { NAMES = 70000 };
    struct label_index *index = label_index_create((struct retirer){free_now, NULL});
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    uint32_t *pairs = MEM_NEW_ARRAY(MEM_TEST, uint32_t, NAMES);
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < NAMES; i++) {
            struct str name = arena_printf(&arena, "n%u_%u", round, i);
            pairs[i] = label_index_pair(index, name, STR("v"));
            assert_true(pairs[i] != LABEL_PAIR_NONE);
        }
        label_index_add_series(index, pairs, NAMES, round);
        assert_true(str_equal(label_index_label(index, pairs[NAMES - 1]).name,
                              arena_printf(&arena, "n%u_%u", round, (unsigned)NAMES - 1)));
        assert_int_equal(label_index_name_count(index), NAMES);
        label_index_drop_series(index, pairs, NAMES);
        label_index_sweep(index, (struct id_view){&round, 1});
        assert_int_equal(label_index_find_name(index, STR("n0_7")), UINT32_MAX);
    }
    mem_free(MEM_TEST, pairs);
    arena_deinit(&arena);
    label_index_destroy(index);
}

static void series_may_come_in_any_order_in_a_replay(void **state)
{
    (void)state;
    struct label_index *index = label_index_create((struct retirer){free_now, NULL});
    uint32_t pair = label_index_pair(index, STR("a"), STR("b"));
    static const uint32_t order[] = {5, 3, 9, 1, 7, 2, 8, 0, 6, 4};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        label_index_add_series(index, &pair, 1, order[i]);
    struct arena arena;
    struct strbuf why = STRBUF_INIT;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct id_view found;
    assert_int_equal(label_index_select(index, NULL, 0, &arena, &found, &why), OK);
    assert_int_equal(found.count, 10);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(found.items[i], i);
    arena_deinit(&arena);
    label_index_destroy(index);
    strbuf_deinit(&why);
}

static void set_operations_agree_with_bitmaps(void **state)
{
    (void)state;
    uint64_t random = 7;
    for (int round = 0; round < 2000; round++) {
        bool in_a[256] = {false}, in_b[256] = {false};
        uint32_t a[256], b[256], out[512];
        size_t a_count = 0, b_count = 0;
        uint32_t density = 1 + (uint32_t)round % 40;
        for (uint32_t i = 0; i < 256; i++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407U;
            in_a[i] = (random >> 40) % density == 0;
            in_b[i] = (random >> 50) % (41 - density) == 0;
            if (in_a[i])
                a[a_count++] = i;
            if (in_b[i])
                b[b_count++] = i;
        }
        struct id_view x = {a, a_count}, y = {b, b_count};
        size_t both = id_set_intersect(x, y, out), at = 0;
        for (uint32_t i = 0; i < 256; i++)
            if (in_a[i] && in_b[i])
                assert_int_equal(out[at++], i);
        assert_int_equal(at, both);
        size_t rest = id_set_subtract(x, y, out);
        at = 0;
        for (uint32_t i = 0; i < 256; i++) {
            if (in_a[i] && !in_b[i])
                assert_int_equal(out[at++], i);
        }
        assert_int_equal(at, rest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_matchers_select_as_a_scan_does, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_sweep_leaves_no_trace, set_up, tear_down),
        cmocka_unit_test(any_number_of_names_comes_and_goes),
        cmocka_unit_test(series_may_come_in_any_order_in_a_replay),
        cmocka_unit_test(set_operations_agree_with_bitmaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
