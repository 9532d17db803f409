/* Open histograms give every reader what was appended before it looked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "histogram_samples.h"
#include "narthex/tsdb/histogram_codec.h"
#include "narthex/tsdb/open_histograms.h"

enum { RETIRED_MAX = 64 };

/* Replaced buffers, which a reader may still hold. */
struct retired {
    void *buffers[RETIRED_MAX];
    uint32_t count;
};

static void retire(void *context, void *buffer)
{
    struct retired *retired = context;
    assert_true(retired->count < RETIRED_MAX);
    retired->buffers[retired->count++] = buffer;
}

static void check_view(const struct open_histograms_view *view, const struct histogram *rows,
                       const uint8_t *numbers, uint32_t count, uint32_t row_limit)
{
    struct histogram back[COLUMN_ROWS_MAX];
    uint64_t bitmap[4];
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    uint32_t expected = 0;
    while (expected < count && numbers[expected] < row_limit)
        expected++;
    assert_int_equal(open_histograms_rows(view, row_limit, bitmap), expected);
    for (uint32_t i = 0; i < expected; i++)
        assert_true(bitmap[numbers[i] / 64] >> (numbers[i] % 64) & 1);
    assert_int_equal(open_histograms_decode(view, row_limit, &arena, back), expected);
    for (uint32_t i = 0; i < expected; i++)
        assert_true(histogram_identical(&rows[i], &back[i]));
    arena_deinit(&arena);
}

static void views_stay_as_they_were(void **state)
{
    (void)state;
    struct random_source random = random_source_seeded(31);
    struct histogram rows[COLUMN_ROWS_MAX];
    uint8_t numbers[COLUMN_ROWS_MAX];
    for (uint32_t trial = 0; trial < 60; trial++) {
        struct arena arena;
        arena_init(&arena, MEM_TEST, SIZE_MAX);
        struct histogram_source source = histogram_source_new(&random, &arena);
        struct open_histograms slot = {.last = NULL};
        struct retired retired = {0};
        struct open_histograms_memory memory = {retire, &retired};
        struct open_histograms_view early = {0};
        uint32_t early_count = 0, count = 0;
        struct strbuf bytes = STRBUF_INIT, why = STRBUF_INIT;
        for (uint32_t row = 0; row < COLUMN_ROWS_MAX; row++) {
            if (random_below(&random, 10) == 0)
                continue;
            if (random_below(&random, 80) == 0)
                source = histogram_source_new(&random, &arena);
            rows[count] = histogram_sample(&source, row);
            numbers[count] = (uint8_t)row;
            strbuf_clear(&bytes);
            histogram_encode(&bytes, &rows[count++]);
            assert_int_equal(open_histograms_append(&slot, row, strbuf_str(&bytes), &memory, &why),
                             OK);
            assert_true(str_equal(open_histograms_last(&slot), strbuf_str(&bytes)));
            if (row == trial) {
                early = open_histograms_view(&slot);
                early_count = count;
            }
        }
        struct open_histograms_view view = open_histograms_view(&slot);
        for (uint32_t limit = 0; limit <= COLUMN_ROWS_MAX; limit += 17)
            check_view(&view, rows, numbers, count, limit);
        check_view(&view, rows, numbers, count, COLUMN_ROWS_MAX);
        if (early_count > 0)
            check_view(&early, rows, numbers, early_count, COLUMN_ROWS_MAX);
        for (uint32_t i = 0; i < retired.count; i++)
            open_histograms_free_buffer(retired.buffers[i]);
        open_histograms_free(&slot);
        strbuf_deinit(&bytes);
        strbuf_deinit(&why);
        arena_deinit(&arena);
    }
}

static void malformed_bytes_are_refused(void **state)
{
    (void)state;
    struct random_source random = random_source_seeded(32);
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct histogram_source source = histogram_source_new(&random, &arena);
    struct open_histograms slot = {.last = NULL};
    struct open_histograms_memory memory = {0};
    struct histogram rows[2];
    static const uint8_t numbers[] = {0, 2};
    struct strbuf bytes = STRBUF_INIT, why = STRBUF_INIT;
    rows[0] = histogram_sample(&source, 0);
    histogram_encode(&bytes, &rows[0]);
    assert_int_equal(open_histograms_append(&slot, 0, strbuf_str(&bytes), &memory, &why), OK);
    for (size_t cut = 0; cut < bytes.size; cut++)
        assert_int_equal(open_histograms_append(&slot, 1, str_from(bytes.data, cut), &memory, &why),
                         ERR_CORRUPT);
    strbuf_add_char(&bytes, 0);
    assert_int_equal(open_histograms_append(&slot, 1, strbuf_str(&bytes), &memory, &why),
                     ERR_CORRUPT);
    strbuf_clear(&bytes);
    rows[1] = histogram_sample(&source, 2);
    histogram_encode(&bytes, &rows[1]);
    assert_int_equal(open_histograms_append(&slot, 2, strbuf_str(&bytes), &memory, &why), OK);
    struct open_histograms_view view = open_histograms_view(&slot);
    check_view(&view, rows, numbers, 2, COLUMN_ROWS_MAX);
    open_histograms_free(&slot);
    strbuf_deinit(&bytes);
    strbuf_deinit(&why);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_stay_as_they_were),
        cmocka_unit_test(malformed_bytes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
