/* Histogram columns give back what was put in, and survive what was not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "histogram_samples.h"
#include "narthex/base/coding.h"
#include "narthex/tsdb/histogram_codec.h"
#include "narthex/tsdb/histogram_column.h"

static err_t decode_copy(const char *data, size_t size, uint32_t count, bool to_float,
                         struct arena *arena, struct histogram *out)
{
    /* At the end of a heap block, so that the address sanitizer sees reads beyond the slack. */
    uint8_t *copy = mem_alloc(MEM_TEST, size + COLUMN_SLACK_BYTES);
    memcpy(copy, data, size);
    memset(copy + size, 0xff, COLUMN_SLACK_BYTES);
    struct strbuf why = STRBUF_INIT;
    err_t err = histogram_column_decode(copy, size, count, to_float, arena, out, &why);
    assert_int_equal(err == OK, why.size == 0);
    strbuf_deinit(&why);
    mem_free(MEM_TEST, copy);
    return err;
}

static void assert_identical(const struct histogram *a, const struct histogram *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        assert_true(histogram_identical(&a[i], &b[i]));
}

static uint32_t make_rows(struct random_source *random, struct arena *arena,
                          struct histogram rows[COLUMN_ROWS_MAX])
{
    struct histogram_source source = histogram_source_new(random, arena);
    uint32_t count = 1 + (uint32_t)random_below(random, COLUMN_ROWS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = histogram_sample(&source, i);
        if (random_below(random, 100) == 0)
            source = histogram_source_new(random, arena); /* another scheme */
    }
    return count;
}

static void rows_come_back(void **state)
{
    (void)state;
    struct random_source random = random_source_seeded(21);
    struct histogram rows[COLUMN_ROWS_MAX], back[COLUMN_ROWS_MAX];
    for (uint32_t trial = 0; trial < 300; trial++) {
        struct arena arena;
        arena_init(&arena, MEM_TEST, SIZE_MAX);
        uint32_t count = make_rows(&random, &arena, rows);
        struct strbuf out = STRBUF_INIT;
        histogram_column_encode(&out, rows, count);
        assert_int_equal(decode_copy(out.data, out.size, count, false, &arena, back), OK);
        assert_identical(rows, back, count);
        assert_int_equal(decode_copy(out.data, out.size, count, true, &arena, back), OK);
        for (uint32_t i = 0; i < count; i++)
            assert_true(histogram_identical(histogram_to_float(&arena, &rows[i]), &back[i]));
        strbuf_deinit(&out);
        arena_deinit(&arena);
    }
}

static void columns_join(void **state)
{
    (void)state;
    struct random_source random = random_source_seeded(22);
    struct histogram rows[COLUMN_ROWS_MAX], back[COLUMN_ROWS_MAX];
    for (uint32_t trial = 0; trial < 50; trial++) {
        struct arena arena;
        arena_init(&arena, MEM_TEST, SIZE_MAX);
        uint32_t count = make_rows(&random, &arena, rows);
        uint32_t half = count / 2;
        struct strbuf out = STRBUF_INIT;
        if (half > 0)
            histogram_column_encode(&out, rows, half);
        histogram_column_encode(&out, rows + half, count - half);
        assert_int_equal(decode_copy(out.data, out.size, count, false, &arena, back), OK);
        assert_identical(rows, back, count);
        strbuf_deinit(&out);
        arena_deinit(&arena);
    }
}

static void selections_hold_what_was_selected(void **state)
{
    (void)state;
    struct random_source random = random_source_seeded(23);
    struct histogram rows[COLUMN_ROWS_MAX], back[COLUMN_ROWS_MAX];
    for (uint32_t trial = 0; trial < 50; trial++) {
        struct arena arena;
        arena_init(&arena, MEM_TEST, SIZE_MAX);
        uint32_t count = make_rows(&random, &arena, rows);
        struct strbuf all = STRBUF_INIT, some = STRBUF_INIT, why = STRBUF_INIT;
        uint8_t index[COLUMN_ROWS_MAX];
        uint32_t kept = 0;
        for (uint32_t i = 0; i < count; i++) {
            if (i + 1 == count || random_below(&random, 2) == 0)
                index[kept++] = (uint8_t)i;
        }
        histogram_column_encode(&all, rows, count);
        assert_int_equal(histogram_column_select((const uint8_t *)all.data, all.size, count, index,
                                                 kept, &some, &why),
                         OK);
        assert_int_equal(decode_copy(some.data, some.size, kept, false, &arena, back), OK);
        for (uint32_t i = 0; i < kept; i++)
            assert_true(histogram_identical(&rows[index[i]], &back[i]));
        strbuf_deinit(&all);
        strbuf_deinit(&some);
        strbuf_deinit(&why);
        arena_deinit(&arena);
    }
}

/* Layouts that no section can describe, next to ones that it can. */
static void odd_layouts_come_back(void **state)
{
    (void)state;
    static const struct histogram_span back_step[] = {{5, 2}, {-4, 1}};
    static const struct histogram_span far[] = {{INT32_MAX, 2}};
    static const struct histogram_span nothing[] = {{3, 0}, {2, 1}, {0, 2}};
    static const union histogram_count counts[] = {{.i = 3}, {.i = UINT64_MAX}, {.i = 0}};
    struct histogram rows[] = {
        {.positive = {back_step, counts, 2, 3}},
        {.positive = {back_step, counts, 2, 1}, .count.i = 4},
        {.positive = {far, counts, 1, 2}},
        {.positive = {nothing, counts, 3, 3}, .zero_threshold = -0.0},
        {.negative = {nothing, counts, 3, 3}, .zero_threshold = -0.0, .sum = NAN},
        {.schema = 3, .zero_count.i = UINT64_MAX},
        {.sum = double_from_bits(STALE_NAN_BITS)},
        {.schema = 3, .kind = HISTOGRAM_FLOAT, .count.f = NAN, .zero_count.f = -0.0},
    };
    enum { ROWS = sizeof rows / sizeof rows[0] };
    struct histogram back[ROWS];
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    for (uint32_t from = 0; from < ROWS; from++) {
        struct strbuf out = STRBUF_INIT;
        histogram_column_encode(&out, rows + from, ROWS - from);
        assert_int_equal(decode_copy(out.data, out.size, ROWS - from, false, &arena, back), OK);
        assert_identical(rows + from, back, ROWS - from);
        strbuf_deinit(&out);
    }
    arena_deinit(&arena);
}

/* Columns of version 1 of blocks: records without a section around them. */
static void records_of_old_blocks_are_read(void **state)
{
    (void)state;
    struct random_source random = random_source_seeded(24);
    struct histogram rows[COLUMN_ROWS_MAX], back[COLUMN_ROWS_MAX];
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    uint32_t count = make_rows(&random, &arena, rows);
    struct strbuf out = STRBUF_INIT, record = STRBUF_INIT;
    for (uint32_t i = 0; i < count; i++) {
        strbuf_clear(&record);
        histogram_encode(&record, &rows[i]);
        coding_put_str(&out, strbuf_str(&record));
    }
    assert_int_equal(decode_copy(out.data, out.size, count, false, &arena, back), OK);
    assert_identical(rows, back, count);
    strbuf_deinit(&out);
    strbuf_deinit(&record);
    arena_deinit(&arena);
}

static void damage_is_survived(void **state)
{
    (void)state;
    struct random_source random = random_source_seeded(25);
    struct histogram rows[COLUMN_ROWS_MAX], back[COLUMN_ROWS_MAX];
    uint32_t refused = 0;
    for (uint32_t trial = 0; trial < 20; trial++) {
        struct arena arena;
        arena_init(&arena, MEM_TEST, SIZE_MAX);
        uint32_t count = make_rows(&random, &arena, rows) % 12 + 1;
        struct strbuf out = STRBUF_INIT;
        histogram_column_encode(&out, rows, count);
        struct arena_mark mark = arena_mark(&arena);
        for (size_t cut = 0; cut < out.size; cut++) {
            assert_int_equal(decode_copy(out.data, cut, count, false, &arena, back), ERR_CORRUPT);
            arena_reset_to(&arena, mark);
        }
        for (size_t bit = 0; bit < out.size * 8; bit++) {
            out.data[bit / 8] ^= (char)(1 << bit % 8);
            refused += decode_copy(out.data, out.size, count, bit % 2, &arena, back) != OK;
            out.data[bit / 8] ^= (char)(1 << bit % 8);
            arena_reset_to(&arena, mark);
        }
        strbuf_deinit(&out);
        arena_deinit(&arena);
    }
    assert_true(refused > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back),
        cmocka_unit_test(columns_join),
        cmocka_unit_test(selections_hold_what_was_selected),
        cmocka_unit_test(odd_layouts_come_back),
        cmocka_unit_test(records_of_old_blocks_are_read),
        cmocka_unit_test(damage_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
