/* Damaged bytes give an error or other values, never a fault. Inputs are copied to the end of a
 * heap block, slack included, so that the address sanitizer sees any read beyond. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "column_samples.h"
#include "narthex/base/mem.h"
#include "narthex/tsdb/column.h"
#include "narthex/tsdb/time_column.h"

static uint8_t encoded[2200];

static err_t decode_copy(size_t size, uint32_t count, double *values)
{
    uint8_t *copy = mem_alloc(MEM_TEST, size + COLUMN_SLACK_BYTES);
    memcpy(copy, encoded, size);
    memset(copy + size, 0xff, COLUMN_SLACK_BYTES);
    err_t err = column_decode(copy, size, count, values);
    mem_free(MEM_TEST, copy);
    return err;
}

static void every_truncation_is_an_error(void **state)
{
    (void)state;
    struct random_source source = random_source_seeded(11);
    double values[COLUMN_ROWS_MAX];
    for (uint32_t trial = 0; trial < 300; trial++) {
        uint32_t count = sample_column(&source, values);
        size_t size = trial % 2 ? column_seal(values, count, NULL, encoded)
                                : column_seal_small(values, count, encoded);
        for (size_t cut = 0; cut < size; cut++)
            assert_int_equal(decode_copy(cut, count, values), ERR_CORRUPT);
        assert_int_equal(decode_copy(size + 1, count, values), ERR_CORRUPT);
    }
}

static void bit_flips_are_survived(void **state)
{
    (void)state;
    struct random_source source = random_source_seeded(12);
    double values[COLUMN_ROWS_MAX];
    uint32_t refused = 0;
    for (uint32_t trial = 0; trial < 400; trial++) {
        uint32_t count = sample_column(&source, values);
        size_t size = trial % 2 ? column_seal(values, count, NULL, encoded)
                                : column_seal_small(values, count, encoded);
        size_t bits = size * 8 < 200 ? size * 8 : 200;
        for (size_t bit = 0; bit < bits; bit++) {
            encoded[bit / 8] ^= (uint8_t)(1 << bit % 8);
            refused += decode_copy(size, count, values) != OK;
            encoded[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
    assert_true(refused > 0);
}

static void random_bytes_are_survived(void **state)
{
    (void)state;
    struct random_source source = random_source_seeded(13);
    double values[COLUMN_ROWS_MAX];
    int64_t times[COLUMN_ROWS_MAX];
    for (uint32_t trial = 0; trial < 100000; trial++) {
        size_t size = random_below(&source, 64);
        for (size_t i = 0; i < size; i++)
            encoded[i] = (uint8_t)(random_u64(&source) >> (random_u64(&source) % 8));
        uint32_t count = 1 + (uint32_t)random_below(&source, 20);
        err_t err = decode_copy(size, count, values);
        assert_true(err == OK || err == ERR_CORRUPT);
        memset(encoded + size, 0xff, COLUMN_SLACK_BYTES);
        err = time_column_decode(encoded, size, count, times);
        assert_true(err == OK || err == ERR_CORRUPT);
    }
}

static void wrong_row_counts_are_survived(void **state)
{
    (void)state;
    struct random_source source = random_source_seeded(14);
    double values[COLUMN_ROWS_MAX];
    for (uint32_t trial = 0; trial < 300; trial++) {
        uint32_t count = sample_column(&source, values);
        size_t size = column_seal(values, count, NULL, encoded);
        for (uint32_t other = 1; other <= COLUMN_ROWS_MAX; other++) {
            err_t err = decode_copy(size, other, values);
            assert_true(err == OK || err == ERR_CORRUPT);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_truncation_is_an_error),
        cmocka_unit_test(bit_flips_are_survived),
        cmocka_unit_test(random_bytes_are_survived),
        cmocka_unit_test(wrong_row_counts_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
