/* Records of sealed windows: golden bytes, truncation, flipped bits, damage between records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "narthex/base/mem.h"
#include "sealed_format.h"

static const uint32_t offsets[] = {0, 5, 5};

/* Group 7 with two slots, the second without samples; rows 3 and 4 at 1 s and 2 s. */
static void put_example(struct strbuf *out)
{
    struct sealed_record record = {
        .kind = SEALED_SHORT,
        .row_count = 2,
        .group = 7,
        .lane = 1,
        .source_key = 0x1122334455667788,
        .first_sequence = 3,
        .last_sequence = 4,
        .slot_count = 2,
        .offsets = offsets,
        .times = (const uint8_t *)"tt",
        .times_size = 2,
        .refs = (const uint8_t *)"\x0a\x02", /* 5, 6 */
        .refs_size = 2,
        .entries = (const uint8_t *)"\x01\x00\x01\x01\xf8",
        .entries_size = 5,
    };
    sealed_put_record(out, &record);
}

static void the_bytes_are_those_of_the_page(void **state)
{
    static const uint8_t golden[] = {
        0x72, 0xef, 0x53, 0x8b, 0x78, 0x00, 0x00, 0x00, 'N',  'X',  'S',  'W',  0x01, 0x00, 0x02,
        0x00, 0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33,
        0x22, 0x11, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00,
        0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00,
        0x00, 't',  't',  0x0a, 0x02, 0x01, 0x00, 0x01, 0x01, 0xf8};
    (void)state;
    struct strbuf out = STRBUF_INIT;
    put_example(&out);
    assert_int_equal(out.size, 120);
    for (size_t i = 0; i < sizeof golden; i++)
        if ((uint8_t)out.data[i] != golden[i])
            print_message("byte %zu is 0x%02x\n", i, (uint8_t)out.data[i]);
    assert_memory_equal(out.data, golden, sizeof golden);
    for (size_t i = sizeof golden; i < out.size; i++)
        assert_int_equal(out.data[i], 0);
    strbuf_deinit(&out);

    sealed_put_file_header(&out, 9);
    assert_int_equal(out.size, SEALED_FILE_HEADER_SIZE);
    assert_memory_equal(out.data, "NXSEA\2\0\0\x09\0\0\0", 12);
    assert_true(sealed_file_header_is_good((const uint8_t *)out.data, out.size, 9));
    assert_false(sealed_file_header_is_good((const uint8_t *)out.data, out.size, 8));
    assert_false(sealed_file_header_is_good((const uint8_t *)out.data, out.size - 1, 9));
    for (uint8_t version = 0; version <= 3; version++) {
        strbuf_clear(&out);
        file_header_put(&out, SEALED_MAGIC, version, 0, 9);
        assert_int_equal(sealed_file_header_is_good((const uint8_t *)out.data, out.size, 9),
                         version == 1 || version == 2);
    }
    strbuf_deinit(&out);
}

static void a_record_comes_back(void **state)
{
    (void)state;
    struct strbuf out = STRBUF_INIT, why = STRBUF_INIT;
    struct sealed_record record;
    uint32_t refs[2];
    put_example(&out);
    assert_int_equal(sealed_get_record((const uint8_t *)out.data, out.size, &record, &why), OK);
    assert_int_equal(record.kind, SEALED_SHORT);
    assert_int_equal(record.size, out.size);
    assert_int_equal(record.group, 7);
    assert_int_equal(record.last_sequence, 4);
    assert_memory_equal(record.offsets, offsets, sizeof offsets);
    assert_memory_equal(record.times, "tt", 2);
    assert_int_equal(record.entries_size, 5);
    assert_int_equal(sealed_get_refs(&record, refs, &why), OK);
    assert_int_equal(refs[0], 5);
    assert_int_equal(refs[1], 6);
    record.refs_size = 1;
    assert_int_equal(sealed_get_refs(&record, refs, &why), ERR_CORRUPT);
    strbuf_deinit(&out);
    strbuf_deinit(&why);
}

static void what_is_cut_or_flipped_is_no_record(void **state)
{
    (void)state;
    struct strbuf out = STRBUF_INIT, why = STRBUF_INIT;
    struct sealed_record record;
    put_example(&out);
    for (size_t size = 0; size < out.size; size++) {
        uint8_t *copy = (uint8_t *)mem_dup(MEM_TEST, out.data, size);
        assert_int_equal(sealed_get_record(copy, size, &record, &why), ERR_CORRUPT);
        mem_free(MEM_TEST, copy);
    }
    for (size_t bit = 0; bit < out.size * 8; bit++) {
        out.data[bit / 8] = (char)(out.data[bit / 8] ^ (1 << (bit % 8)));
        assert_int_equal(sealed_get_record((const uint8_t *)out.data, out.size, &record, &why),
                         ERR_CORRUPT);
        out.data[bit / 8] = (char)(out.data[bit / 8] ^ (1 << (bit % 8)));
    }
    strbuf_deinit(&out);
    strbuf_deinit(&why);
}

static void the_next_record_is_found_behind_damage(void **state)
{
    (void)state;
    struct strbuf out = STRBUF_INIT;
    put_example(&out);
    size_t first = out.size;
    strbuf_add(&out, "damage..", 8);
    put_example(&out);
    const uint8_t *data = (const uint8_t *)out.data;
    assert_int_equal(sealed_find_record(data, out.size, 0), 0);
    assert_int_equal(sealed_find_record(data, out.size, 1), first + 8);
    assert_int_equal(sealed_find_record(data, out.size, first), first + 8);
    assert_int_equal(sealed_find_record(data, out.size, first + 9), out.size);
    assert_int_equal(sealed_find_record(data, 0, 0), 0);
    strbuf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bytes_are_those_of_the_page),
        cmocka_unit_test(a_record_comes_back),
        cmocka_unit_test(what_is_cut_or_flipped_is_no_record),
        cmocka_unit_test(the_next_record_is_found_behind_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
