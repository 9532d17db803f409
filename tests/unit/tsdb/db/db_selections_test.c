/* Selections kept for equal selectors: when they count, when not, and how much is kept. */
#include "db_rig.h"

#include <string.h>

#include "db_impl.h"

enum { RANGE_MS = 100000 };

static int set_up(void **state)
{
    int result = db_rig_set_up(state);
    struct db_rig *rig = *state;
    rig->options.block_range_ms = RANGE_MS;
    rig->options.out_of_order_window_ms = RANGE_MS;
    if (result == 0)
        db_rig_open(rig);
    return result;
}

static struct querier *open_querier(struct db_rig *rig)
{
    struct querier *querier;
    assert_int_equal(
        storage_querier_open(db_storage(rig->db), INT64_MIN, INT64_MAX, &querier, &rig->why), OK);
    return querier;
}

static void select_names(struct db_rig *rig, struct querier *querier, enum matcher_kind kind,
                         const char *value, struct strbuf *names)
{
    struct matcher matcher;
    struct arena arena;
    struct series_list list;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    assert_int_equal(matcher_init(&matcher, kind, STR("__name__"), str_from_cstr(value), &rig->why),
                     OK);
    assert_int_equal(
        querier_select(querier, (struct selector){&matcher, 1}, NULL, &arena, &list, &rig->why),
        OK);
    strbuf_clear(names);
    for (size_t i = 0; i < list.count; i++)
        strbuf_printf(names, "%.*s ", STR_ARG(labels_get(list.items[i].labels, LABEL_NAME)));
    matcher_deinit(&matcher);
    arena_deinit(&arena);
}

/* What a new querier finds; `hit`: from what was kept. */
static void check(struct db_rig *rig, enum matcher_kind kind, const char *value, const char *wanted,
                  bool hit)
{
    struct strbuf names = STRBUF_INIT;
    uint64_t hits = rig->db->selections.hit_count;
    struct querier *querier = open_querier(rig);
    select_names(rig, querier, kind, value, &names);
    querier_close(querier);
    assert_string_equal(strbuf_cstr(&names), wanted);
    assert_int_equal(rig->db->selections.hit_count - hits, hit);
    strbuf_deinit(&names);
}

static void equal_selectors_share(void **state)
{
    struct db_rig *rig = *state;
    assert_int_equal(db_rig_append_float(rig, "b", 1000, 1), OK);
    assert_int_equal(db_rig_append_float(rig, "a", 1000, 1), OK);
    check(rig, MATCH_REGEX, "a|b", "a b ", false);
    check(rig, MATCH_REGEX, "a|b", "a b ", true);
    check(rig, MATCH_NOT_REGEX, "a|b", "", false);
    check(rig, MATCH_EQUAL, "a|b", "", false);
    /* Samples of known series change nothing. */
    assert_int_equal(db_rig_append_float(rig, "a", 2000, 1), OK);
    check(rig, MATCH_REGEX, "a|b", "a b ", true);
    check(rig, MATCH_NOT_REGEX, "a|b", "", true);
}

static void new_series_are_found(void **state)
{
    struct db_rig *rig = *state;
    assert_int_equal(db_rig_append_float(rig, "b", 2 * RANGE_MS, 1), OK);
    check(rig, MATCH_REGEX, ".+", "b ", false);
    check(rig, MATCH_REGEX, ".+", "b ", true);
    assert_int_equal(db_rig_append_float(rig, "a", 2 * RANGE_MS, 1), OK);
    check(rig, MATCH_REGEX, ".+", "a b ", false);
    check(rig, MATCH_REGEX, ".+", "a b ", true);
    /* One that has nothing but a late sample. */
    assert_int_equal(db_rig_append_float(rig, "c", RANGE_MS + 1, 1), OK);
    check(rig, MATCH_REGEX, ".+", "a b c ", false);
}

static void collected_series_are_gone(void **state)
{
    struct db_rig *rig = *state;
    struct strbuf names = STRBUF_INIT;
    assert_int_equal(db_rig_append_float(rig, "old", 1000, 1), OK);
    struct querier *before = open_querier(rig);
    select_names(rig, before, MATCH_REGEX, ".+", &names);
    assert_string_equal(strbuf_cstr(&names), "old ");
    select_names(rig, before, MATCH_REGEX, ".+", &names); /* this one holds what is kept */
    assert_string_equal(strbuf_cstr(&names), "old ");
    querier_close(before);
    for (int i = 1; i < 8; i++) {
        assert_int_equal(db_rig_append_float(rig, "new", i * (int64_t)RANGE_MS, 1), OK);
        assert_int_equal(db_maintain(rig->db, &rig->why), OK);
    }
    uint64_t misses = rig->db->selections.miss_count;
    struct querier *after = open_querier(rig);
    struct db_querier *self = (struct db_querier *)after;
    struct arena arena;
    struct id_view ordinals;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    assert_int_equal(
        head_reader_select(&self->head, (struct selector){NULL, 0}, &arena, &ordinals, &rig->why),
        OK);
    assert_int_equal(ordinals.count, 1); /* else the head still has it, and this shows nothing */
    select_names(rig, after, MATCH_REGEX, ".+", &names);
    assert_string_equal(strbuf_cstr(&names), "new old "); /* old: from a block */
    assert_int_equal(rig->db->selections.miss_count, misses + 1);
    querier_close(after);
    arena_deinit(&arena);
    strbuf_deinit(&names);
}

static void little_is_kept(void **state)
{
    struct db_rig *rig = *state;
    struct db_selections *selections = &rig->db->selections;
    assert_int_equal(db_rig_append_float(rig, "a", 1000, 1), OK);
    for (int i = 0; i < 3 * DB_SELECTIONS_MAX; i++) {
        char value[32];
        snprintf(value, sizeof value, "a|x%d", i);
        check(rig, MATCH_REGEX, value, "a ", false);
        check(rig, MATCH_REGEX, value, "a ", true);
    }
    check(rig, MATCH_REGEX, "a|x0", "a ", false);
    static struct db_found_series items[DB_SELECTION_BYTES_MAX / sizeof(struct db_found_series)];
    size_t count = sizeof items / sizeof items[0];
    size_t bytes = selections->bytes;
    db__selection_keep(selections, STR("large"), 1000, items, count);
    assert_int_equal(selections->bytes, bytes);
    for (int i = 0; i < 8; i++) {
        char key[2] = {(char)('a' + i), 0};
        db__selection_keep(selections, str_from_cstr(key), 1000, items, count - 100);
        assert_true(selections->bytes <= DB_SELECTIONS_BYTES_MAX);
    }
    struct db_selection *kept = db__selection_get(selections, STR("h"), 1000);
    assert_non_null(kept);
    assert_int_equal(kept->count, count - 100);
    assert_null(db__selection_get(selections, STR("a"), 1000));
    assert_null(db__selection_get(selections, STR("h"), 1001));
    db__selection_put(selections, kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equal_selectors_share, set_up, db_rig_tear_down),
        cmocka_unit_test_setup_teardown(new_series_are_found, set_up, db_rig_tear_down),
        cmocka_unit_test_setup_teardown(collected_series_are_gone, set_up, db_rig_tear_down),
        cmocka_unit_test_setup_teardown(little_is_kept, set_up, db_rig_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
