/* The bytes of one small histogram column, worked through in docs/format/column.md. If this test
 * fails, columns written before can no longer be read: that takes a new version of the files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "narthex/tsdb/histogram_column.h"

static const struct histogram_span spans[] = {{-1, 1}, {2, 2}};
static const union histogram_count counts[3][3] = {
    {{.i = 4}, {.i = 7}, {.i = 1}},
    {{.i = 4}, {.i = 9}, {.i = 1}},
    {{.i = 4}, {.i = 14}, {.i = 1}},
};

/* Three scrapes, then the end of the series. */
static void make_rows(struct histogram rows[4])
{
    for (uint32_t i = 0; i < 3; i++) {
        uint64_t total = 0;
        for (uint32_t bucket = 0; bucket < 3; bucket++)
            total += counts[i][bucket].i;
        rows[i] = (struct histogram){.schema = 3,
                                     .zero_threshold = 0x1p-128,
                                     .count.i = total,
                                     .sum = 2.5,
                                     .positive = {spans, counts[i], 2, 3}};
    }
    rows[3] = (struct histogram){.kind = HISTOGRAM_FLOAT, .sum = double_from_bits(STALE_NAN_BITS)};
}

static const uint8_t golden[] = {
    0x0d, 0x03, 0x06, 0x00, 0x02, 0x01, 0x01, 0x04, 0x02, 0x00, 0x04, 0x02, 0x18, 0x00,
    0x02, 0x08, 0x32, 0x0b, 0x00, 0x04, 0x08, 0x03, 0x0e, 0x00, 0x2a, 0x00, 0x01,
};

static void a_column_has_these_bytes(void **state)
{
    (void)state;
    struct histogram rows[4], back[4];
    struct strbuf out = STRBUF_INIT, why = STRBUF_INIT;
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    make_rows(rows);
    histogram_column_encode(&out, rows, 4);
    assert_int_equal(out.size, sizeof golden);
    assert_memory_equal(out.data, golden, sizeof golden);
    assert_int_equal(
        histogram_column_decode((const uint8_t *)out.data, out.size, 4, false, &arena, back, &why),
        OK);
    for (uint32_t i = 0; i < 4; i++)
        assert_true(histogram_identical(&rows[i], &back[i]));
    strbuf_deinit(&out);
    strbuf_deinit(&why);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_column_has_these_bytes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
