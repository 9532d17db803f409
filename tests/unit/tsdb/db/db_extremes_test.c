/* What no honest source sends is refused or stored, and stops nothing. */
#include "db_rig.h"

#include <string.h>

static const int64_t NOW_MS = INT64_C(1760000000000);

/* ---- histograms ---- */

/* A float histogram of `spans` spans of `length` buckets each. */
static struct histogram wide_histogram(struct arena *arena, uint32_t spans, uint32_t length)
{
    struct histogram_span *items = ARENA_NEW_ARRAY(arena, struct histogram_span, spans);
    for (uint32_t i = 0; i < spans; i++)
        items[i] = (struct histogram_span){i == 0 ? 0 : 1, length};
    union histogram_count *counts = ARENA_NEW_ARRAY(arena, union histogram_count, spans * length);
    for (uint32_t i = 0; i < spans * length; i++)
        counts[i].f = 1;
    return (struct histogram){.kind = HISTOGRAM_FLOAT,
                              .schema = 8,
                              .count.f = spans * length,
                              .sum = 1,
                              .positive = {items, counts, spans, spans * length}};
}

static void expect_histogram(struct db_rig *rig, int64_t t_ms, uint32_t spans, uint32_t length,
                             err_t outcome)
{
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct histogram histogram = wide_histogram(&arena, spans, length);
    struct label label = {STR("__name__"), STR("h")};
    assert_int_equal(db_rig_append(rig, (struct labels){&label, 1}, t_ms, 0, &histogram), outcome);
    arena_deinit(&arena);
}

static void a_histogram_too_large_is_refused(void **state)
{
    struct db_rig *rig = *state;
    db_rig_open(rig);
    expect_histogram(rig, NOW_MS, 1, 8000, OK);
    expect_histogram(rig, NOW_MS + 1, 1, 8200, ERR_INVALID);
    expect_histogram(rig, NOW_MS + 2, 70000, 1, ERR_INVALID);
    expect_histogram(rig, NOW_MS + 3, 1, (1 << 20) + 1, ERR_INVALID);
    assert_int_equal(db_rig_append_float(rig, "f", NOW_MS + 4, 1), OK);
    assert_int_equal(db_rig_count_samples(rig->db), 2);
    db_rig_reopen(rig);
    assert_int_equal(db_rig_count_samples(rig->db), 2);
}

/* The largest that are taken fit into a column of a block, however they differ. */
static void the_largest_histograms_go_to_a_block(void **state)
{
    struct db_rig *rig = *state;
    db_rig_open(rig);
    struct arena arena;
    struct label label = {STR("__name__"), STR("h")};
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct histogram histogram = wide_histogram(&arena, 1, 8000);
    uint64_t random = 1;
    for (int row = 0; row < 250; row++) {
        union histogram_count *counts = (union histogram_count *)histogram.positive.counts;
        histogram.count.f = 0;
        for (uint32_t i = 0; i < histogram.positive.bucket_count; i++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
            counts[i].f = (double)(random >> 11) * 0x1p-53;
            histogram.count.f += counts[i].f;
        }
        assert_int_equal(
            db_rig_append(rig, (struct labels){&label, 1}, NOW_MS + row, 0, &histogram), OK);
    }
    assert_int_equal(db_flush_head(rig->db, &rig->why), OK);
    assert_int_equal(db_rig_count_samples(rig->db), 250);
    arena_deinit(&arena);
}

/* ---- labels ---- */

static void labels_too_large_are_refused(void **state)
{
    struct db_rig *rig = *state;
    db_rig_open(rig);
    size_t size = (16 << 20) + 1;
    char *text = mem_alloc(MEM_TEST, size);
    memset(text, 'x', size);
    struct label label = {STR("a"), str_from(text, size)};
    assert_int_equal(db_rig_append(rig, (struct labels){&label, 1}, NOW_MS, 1, NULL), ERR_INVALID);
    label.value.size = 8 << 20;
    assert_int_equal(db_rig_append(rig, (struct labels){&label, 1}, NOW_MS, 1, NULL), OK);
    mem_free(MEM_TEST, text);
    db_rig_reopen(rig);
    assert_int_equal(db_rig_count_samples(rig->db), 1);
}

static void any_number_of_label_names_is_stored(void **state)
{
    enum { SERIES = 140, LABELS = 500 };
    struct db_rig *rig = *state;
    db_rig_open(rig);
    char names[LABELS][16];
    struct label labels[LABELS];
    for (int i = 0; i < SERIES; i++) {
        for (int j = 0; j < LABELS; j++) {
            snprintf(names[j], sizeof names[j], "n%06d", i * LABELS + j);
            labels[j] = (struct label){str_from_cstr(names[j]), STR("v")};
        }
        assert_int_equal(db_rig_append(rig, (struct labels){labels, LABELS}, NOW_MS + i, 1, NULL),
                         OK);
    }
    db_rig_reopen(rig);
    assert_int_equal(db_rig_count_samples(rig->db), SERIES);
}

/* ---- times ---- */

/* From the oldest time that is taken to the newest one; those outside would have distances that are
 * no numbers. */
static void samples_may_lie_at_both_ends_of_time(void **state)
{
    static const int64_t times[] = {-SAMPLE_T_MS_MAX, -NOW_MS, -1, NOW_MS, SAMPLE_T_MS_MAX};
    enum { COUNT = sizeof times / sizeof times[0] };
    struct db_rig *rig = *state;
    rig->options.out_of_order_window_ms = INT64_MAX;
    db_rig_open(rig);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(db_rig_append_float(rig, "a", times[i], i), OK);
        assert_int_equal(db_maintain(rig->db, &rig->why), OK);
        assert_int_equal(db_rig_count_samples(rig->db), i + 1);
    }
    assert_int_equal(db_rig_append_float(rig, "a", SAMPLE_T_MS_MAX + 1, 1), ERR_OUT_OF_BOUNDS);
    assert_int_equal(db_rig_append_float(rig, "b", INT64_MIN, 1), ERR_OUT_OF_BOUNDS);
    db_rig_reopen(rig);
    assert_int_equal(db_rig_count_samples(rig->db), COUNT);
    assert_int_equal(db_flush_head(rig->db, &rig->why), OK);
    assert_int_equal(db_maintain(rig->db, &rig->why), OK);
    assert_int_equal(db_rig_count_samples(rig->db), COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_histogram_too_large_is_refused, db_rig_set_up,
                                        db_rig_tear_down),
        cmocka_unit_test_setup_teardown(the_largest_histograms_go_to_a_block, db_rig_set_up,
                                        db_rig_tear_down),
        cmocka_unit_test_setup_teardown(labels_too_large_are_refused, db_rig_set_up,
                                        db_rig_tear_down),
        cmocka_unit_test_setup_teardown(any_number_of_label_names_is_stored, db_rig_set_up,
                                        db_rig_tear_down),
        cmocka_unit_test_setup_teardown(samples_may_lie_at_both_ends_of_time, db_rig_set_up,
                                        db_rig_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
