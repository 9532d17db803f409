/* Bytes as the format page states them: a change here is a change of every containing format. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "column_samples.h"
#include "narthex/tsdb/column.h"
#include "narthex/tsdb/time_column.h"

static uint8_t padded[2200];

static void decodes_to(const uint8_t *bytes, size_t size, const double *values, uint32_t count)
{
    double back[COLUMN_ROWS_MAX];
    memset(padded, 0, sizeof padded);
    memcpy(padded, bytes, size);
    assert_int_equal(column_decode(padded, size, count, back), OK);
    assert_memory_equal(back, values, count * sizeof *values);
}

static void seals_to(const double *values, uint32_t count, const uint8_t *bytes, size_t size)
{
    assert_int_equal(column_seal(values, count, NULL, padded), size);
    assert_memory_equal(padded, bytes, size);
    decodes_to(bytes, size, values, count);
}

#define BYTES(...) ((const uint8_t[]){__VA_ARGS__}), sizeof((const uint8_t[]){__VA_ARGS__})

static void constants(void **state)
{
    (void)state;
    seals_to((double[]){42, 42, 42}, 3, BYTES(0x00, 0x54));
    seals_to((double[]){0.5}, 1, BYTES(0x08, 0x0a));
    seals_to((double[]){-0.0}, 1, BYTES(0xf8, 0, 0, 0, 0, 0, 0, 0, 0x80));
    seals_to((double[]){sample_from_bits(0x7ff0000000000002)}, 1,
             BYTES(0xf8, 2, 0, 0, 0, 0, 0, 0xf0, 0x7f));
}

static void packed_example_of_the_page(void **state)
{
    (void)state;
    seals_to((double[]){10.5, 11, 11.5, 12.5}, 4,
             BYTES(0x29, 0x01, 0x01, 0xd2, 0x01, 0x05, 0x02, 0x04));
}

static void stale_marker_takes_two_bytes(void **state)
{
    (void)state;
    double stale = sample_from_bits(0x7ff0000000000002);
    seals_to((double[]){1, 2, 3, 4, 5, stale}, 6, BYTES(0x09, 0x20, 0x81, 0x05, 0x00, 0x02, 0x02));
}

static void raw(void **state)
{
    (void)state;
    double values[2] = {sample_from_bits(0x0123456789abcdef), sample_from_bits(0xfedcba9876543210)};
    decodes_to(BYTES(0x04, 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01, 0x10, 0x32, 0x54, 0x76,
                     0x98, 0xba, 0xdc, 0xfe),
               values, 2);
}

static void dual_with_exception_and_second_differences(void **state)
{
    (void)state;
    /* INT, predictor 1, exceptions, split; W 4, W1 1; first 0; centre 0, zigzag; exception at
     * residual 2: +1000; classes 0 1 0 0; small 1 (-1), 0, 0; large 10 (+5). */
    decodes_to(BYTES(0xc9, 0x80, 0x04, 0x01, 0x00, 0x00, 0x01, 0x02, 0xd0, 0x0f, 0x02, 0x01, 0x0a),
               (double[]){0, -1, 4, 1004, 1004}, 5);
    /* Predictor 2: first 7, centre 1, first difference 3, W 0. */
    decodes_to(BYTES(0x11, 0x00, 0x00, 0x0e, 0x02, 0x06), (double[]){7, 10, 14, 19}, 4);
    /* Predictor 0, Rice: 2 low bits 1 3, quotients 0 and 2. */
    decodes_to(BYTES(0x81, 0x00, 0x82, 0x00, 0x00, 0x0d, 0x09), (double[]){0, 1, 11}, 3);
}

static void bits_and_deculp(void **state)
{
    (void)state;
    /* BITS: 1.0 and its two upper neighbours, delta, centre 1, W 0. */
    double up = nextafter(1, 2);
    decodes_to(BYTES(0x0a, 0x00, 0x00, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0xf0, 0x7f, 0x02),
               (double[]){1, up, nextafter(up, 2)}, 3);
    /* DECULP e 2: 0.1, 0.2, 0.3 with ulps 0, 0, 1. */
    decodes_to(BYTES(0x0b, 0x02, 0x00, 0x14, 0x14, 0x08, 0x01, 0x00, 0x00, 0x02),
               (double[]){0.1, 0.2, 0.1 + 0.2}, 3);
}

static void times_to(const int64_t *times, uint32_t count, const uint8_t *bytes, size_t size)
{
    int64_t back[COLUMN_ROWS_MAX];
    assert_int_equal(time_column_seal(times, count, padded), size);
    assert_memory_equal(padded, bytes, size);
    assert_int_equal(time_column_decode(padded, size, count, back), OK);
    assert_memory_equal(back, times, count * sizeof *times);
}

static void time_columns(void **state)
{
    (void)state;
    times_to((int64_t[]){1000}, 1, BYTES(0x00, 0xd0, 0x0f));
    times_to((int64_t[]){1000, 6000, 11000}, 3, BYTES(0x00, 0xd0, 0x0f, 0x90, 0x4e));
    times_to((int64_t[]){1000, 6000, 11001}, 3,
             BYTES(0x09, 0xd0, 0x0f, 0xa2, 0x9c, 0x01, 0x00, 0x01, 0x00, 0x90, 0x4e, 0x02));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constants),
        cmocka_unit_test(packed_example_of_the_page),
        cmocka_unit_test(stale_marker_takes_two_bytes),
        cmocka_unit_test(raw),
        cmocka_unit_test(dual_with_exception_and_second_differences),
        cmocka_unit_test(bits_and_deculp),
        cmocka_unit_test(time_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
