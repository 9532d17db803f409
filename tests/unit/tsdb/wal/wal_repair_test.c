/* What salvage leaves of a damaged file reads without damage and holds all whole records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "narthex/base/mem.h"
#include "narthex/tsdb/wal.h"

enum { RECORDS = 20 };

static err_t count_late(void *context, const struct wal_late *sample, struct strbuf *why)
{
    (void)why;
    uint64_t *sum = context;
    *sum += (uint64_t)sample->value;
    return OK;
}

/* A segment of RECORDS records, each with one late sample of value 1 << i. */
static void make_file(struct strbuf *out)
{
    char path[] = "/tmp/narthex_wal_repair.XXXXXX";
    struct strbuf why = STRBUF_INIT;
    struct strbuf body = STRBUF_INIT;
    struct wal *wal;
    uint32_t segment;
    assert_non_null(mkdtemp(path));
    struct wal_options options = {.fs = fs_system(), .path = path, .first_segment = 7};
    assert_int_equal(wal_open(&options, &wal, &why), OK);
    for (int i = 0; i < RECORDS; i++) {
        struct wal_late sample = {.number = (uint64_t)i + 1, .ref = 1, .value = 1 << i};
        strbuf_clear(&body);
        wal_encode_late(&body, &sample, 1);
        assert_int_equal(wal_begin(wal, &segment, &why), OK);
        assert_int_equal(wal_append(wal, &body, INT64_MIN, &why), OK);
    }
    assert_int_equal(wal_close(wal, &why), OK);
    char file[64];
    snprintf(file, sizeof file, "%s/00000007", path);
    assert_int_equal(fs_read_file(file, 1 << 20, out, &why), OK);
    assert_int_equal(fs_remove_tree(fs_system(), path, &why), OK);
    strbuf_deinit(&body);
    strbuf_deinit(&why);
}

static uint64_t read_sum(const struct strbuf *file, struct wal_replay_result *result)
{
    uint64_t sum = 0, good_bytes;
    struct strbuf why = STRBUF_INIT;
    struct wal_handler handler = {.context = &sum, .late = count_late};
    *result = (struct wal_replay_result){0};
    assert_int_equal(
        wal_replay_bytes(file->data, file->size, 7, false, &handler, result, &good_bytes, &why),
        OK);
    strbuf_deinit(&why);
    return sum;
}

static void a_flipped_byte_costs_one_record(void **state)
{
    (void)state;
    struct strbuf file = STRBUF_INIT;
    make_file(&file);
    for (size_t at = 0; at < file.size; at++) {
        struct strbuf left = STRBUF_INIT;
        struct wal_salvage salvage;
        struct wal_replay_result result;
        file.data[at] = (char)(file.data[at] ^ 0x55);
        wal_salvage_bytes(file.data, file.size, 7, &left, &salvage);
        uint64_t lost = ((1u << RECORDS) - 1) - read_sum(&left, &result);
        assert_int_equal(result.damaged_records, 0);
        /* The header's bytes cost nothing but the header. */
        bool in_header = at < 16;
        assert_int_equal(salvage.kept_records, in_header ? RECORDS : RECORDS - 1);
        assert_int_equal(salvage.lost_places, 1);
        assert_true(in_header ? lost == 0 : lost != 0 && (lost & (lost - 1)) == 0);
        assert_true(salvage.first_lost_at <= at);
        file.data[at] = (char)(file.data[at] ^ 0x55);
        strbuf_deinit(&left);
    }
    strbuf_deinit(&file);
}

static void a_cut_file_keeps_the_records_before(void **state)
{
    (void)state;
    struct strbuf file = STRBUF_INIT;
    make_file(&file);
    for (size_t size = 0; size <= file.size; size++) {
        struct strbuf left = STRBUF_INIT;
        struct wal_salvage salvage;
        struct wal_replay_result result;
        wal_salvage_bytes(file.data, size, 7, &left, &salvage);
        uint64_t sum = read_sum(&left, &result);
        assert_int_equal(result.damaged_records, 0);
        assert_true(sum == (UINT64_C(1) << salvage.kept_records) - 1);
        strbuf_deinit(&left);
    }
    strbuf_deinit(&file);
}

static void names_tell_what_a_file_is(void **state)
{
    (void)state;
    uint32_t number;
    assert_int_equal(wal_file_kind(STR("00000012"), &number), WAL_FILE_SEGMENT);
    assert_int_equal(number, 12);
    assert_int_equal(wal_file_kind(STR("checkpoint.00000003"), &number), WAL_FILE_CHECKPOINT);
    assert_int_equal(number, 3);
    assert_int_equal(wal_file_kind(STR("checkpoint.00000003.tmp"), &number), WAL_FILE_OTHER);
    assert_int_equal(wal_file_kind(STR("notes"), &number), WAL_FILE_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flipped_byte_costs_one_record),
        cmocka_unit_test(a_cut_file_keeps_the_records_before),
        cmocka_unit_test(names_tell_what_a_file_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
