#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fault_fs.h"
#include "narthex/base/coding.h"
#include "narthex/base/hash.h"
#include "narthex/base/mem.h"
#include "narthex/tsdb/wal.h"

/* What a replay found, as text. */
struct found {
    struct strbuf text;
};

static err_t on_series(void *context, uint64_t ref, struct labels labels, struct strbuf *why)
{
    struct found *found = context;
    (void)why;
    strbuf_printf(&found->text, "series %llu ", (unsigned long long)ref);
    labels_print(labels, &found->text);
    strbuf_add_cstr(&found->text, "\n");
    return OK;
}

static err_t on_row(void *context, const struct wal_row *row, struct strbuf *why)
{
    struct found *found = context;
    (void)why;
    strbuf_printf(&found->text, "row %u/%llu t=%lld:", row->group,
                  (unsigned long long)row->sequence, (long long)row->t_ms);
    for (uint32_t i = 0; i < row->sample_count; i++)
        strbuf_printf(&found->text, " %u=%g", row->slot_refs[row->slots[i]], row->values[i]);
    for (uint32_t i = 0; i < row->histogram_count; i++)
        strbuf_printf(&found->text, " %u:%.*s", row->histograms[i].slot,
                      STR_ARG(row->histograms[i].bytes));
    for (uint32_t i = 0; i < row->start_count; i++)
        strbuf_printf(&found->text, " %u@%lld", row->starts[i].slot,
                      (long long)row->starts[i].start_t_ms);
    strbuf_add_cstr(&found->text, "\n");
    return OK;
}

static const struct wal_handler text_handler = {.series = on_series, .row = on_row};

struct fixture {
    char path[64];
    struct wal *wal;
    struct wal_group group;
    struct strbuf body;
    struct strbuf why;
    struct found found;
    uint32_t slot_refs[64];
    uint32_t slot_count;
    uint64_t sequence;
};

static void open_wal(struct fixture *f, uint32_t first_segment, uint64_t segment_bytes)
{
    struct wal_options options = {.fs = fs_system(),
                                  .path = f->path,
                                  .first_segment = first_segment,
                                  .segment_bytes = segment_bytes};
    assert_int_equal(wal_open(&options, &f->wal, &f->why), OK);
}

static int set_up(void **state)
{
    struct fixture *f = MEM_NEW(MEM_TEST, struct fixture);
    snprintf(f->path, sizeof f->path, "/tmp/narthex_wal_test.XXXXXX");
    *state = f;
    return mkdtemp(f->path) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (f->wal != NULL)
        assert_int_equal(wal_close(f->wal, &f->why), OK);
    int result = fs_remove_tree(fs_system(), f->path, &f->why) == OK ? 0 : -1;
    wal_group_deinit(&f->group);
    strbuf_deinit(&f->body);
    strbuf_deinit(&f->why);
    strbuf_deinit(&f->found.text);
    mem_free(MEM_TEST, f);
    return result;
}

static void encode_series(struct fixture *f, uint32_t ref)
{
    struct label label = {STR("a"), STR("b")};
    wal_encode_series(&f->body, ref, (struct labels){&label, 1});
    f->slot_refs[f->slot_count++] = ref;
}

/* A row in which slots [0, count) have values base, base + 1, … */
static void encode_row(struct fixture *f, uint32_t segment, int64_t t_ms, double base,
                       uint32_t count)
{
    uint32_t slots[64];
    double values[64];
    for (uint32_t i = 0; i < count; i++) {
        slots[i] = i;
        values[i] = base + i;
    }
    struct wal_row row = {.group = 1,
                          .source_key = 5,
                          .sequence = ++f->sequence,
                          .t_ms = t_ms,
                          .slot_refs = f->slot_refs,
                          .slot_count = f->slot_count,
                          .sample_count = count,
                          .slots = slots,
                          .values = values};
    wal_encode_row(&f->body, &row, &f->group, segment);
}

static void append(struct fixture *f, int64_t t_ms)
{
    assert_int_equal(wal_append(f->wal, &f->body, t_ms, &f->why), OK);
    strbuf_clear(&f->body);
}

static struct wal_replay_result replay(struct fixture *f)
{
    struct wal_replay_result result;
    struct wal_handler handler = text_handler;
    handler.context = &f->found;
    strbuf_clear(&f->found.text);
    assert_int_equal(wal_replay(fs_system(), f->path, &handler, &result, &f->why), OK);
    return result;
}

/* The bytes that docs/format/wal.md works out. */
static void bodies_have_the_documented_bytes(void **state)
{
    struct fixture *f = *state;
    static const uint8_t first[] = {
        0x01, 0x01, 0x01, 0x01, 0x61, 0x01, 0x62,                         /* series */
        0x02, 0x12, 0x00, 0x00, 0x00, 0x01, 0x03, 0x01, 0xd0, 0x0f,       /* row */
        0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, /* slots */
        0x01, 0x0c,                                                       /* values */
    };
    encode_series(f, 1);
    encode_row(f, 1, 1000, 3, 1);
    assert_int_equal(f->body.size, sizeof first);
    assert_memory_equal(f->body.data, first, sizeof first);

    static const uint8_t second[] = {
        0x02, 0x0a, 0x00, 0x00, 0x00, 0x01, 0x02, 0x02, 0xa0, 0x1f, 0x01, 0x00, 0x01, 0x0d, 0x0c,
    };
    strbuf_clear(&f->body);
    encode_row(f, 1, 2000, 2.5, 1);
    assert_int_equal(f->body.size, sizeof second);
    assert_memory_equal(f->body.data, second, sizeof second);
}

static void files_have_the_documented_header(void **state)
{
    struct fixture *f = *state;
    open_wal(f, 7, 0);
    encode_series(f, 1);
    append(f, INT64_MIN);
    struct strbuf file = STRBUF_INIT;
    char path[96];
    snprintf(path, sizeof path, "%s/00000007", f->path);
    assert_int_equal(fs_read_file(path, 1000, &file, &f->why), OK);
    static const uint8_t header[] = {'N', 'X', 'W', 'A', 'L', 2, 0, 0, 7, 0, 0, 0};
    assert_int_equal(file.size, 16 + 16 + 7);
    assert_memory_equal(file.data, header, sizeof header);
    static const uint8_t record[] = {7, 0, 0, 0, 7, 0, 0, 0, 0xc5, 1, 0, 0, 1, 1, 1};
    assert_memory_equal(file.data + 20, record, sizeof record);
    strbuf_deinit(&file);
}

static void late_samples_have_the_documented_bytes(void **state)
{
    struct fixture *f = *state;
    const struct wal_late samples[] = {
        {.number = 3, .ref = 5, .t_ms = 1000, .value = 2.5},
        {.number = 4, .ref = 4, .t_ms = 900, .start_t_ms = 800, .histogram = STR_INIT("hist")},
    };
    wal_encode_late(&f->body, samples, 2);
    wal_encode_late_flushed(&f->body, 300);
    static const uint8_t expected[] = {
        8, 2,                                                         /* two samples */
        0, 3, 10,   0xd0, 0x0f, 0, 0,   0,   0,   0,   0,    4, 0x40, /* number, ref, t, 2.5 */
        3, 1, 1,    0xc7, 0x01, 4, 'h', 'i', 's', 't', 0xc8,          /* histogram and start */
        1, 9, 0xac, 2,                                                /* flushed up to 300 */
    };
    assert_int_equal(f->body.size, sizeof expected);
    assert_memory_equal(f->body.data, expected, sizeof expected);
}

/* Version 1 is version 2 without late samples. */
static void files_of_version_1_are_read(void **state)
{
    struct fixture *f = *state;
    open_wal(f, 1, 0);
    encode_series(f, 1);
    encode_row(f, 1, 1000, 10, 1);
    append(f, 1000);
    assert_int_equal(wal_close(f->wal, &f->why), OK);
    f->wal = NULL;
    struct strbuf file = STRBUF_INIT;
    char path[96];
    snprintf(path, sizeof path, "%s/00000001", f->path);
    assert_int_equal(fs_read_file(path, 1000, &file, &f->why), OK);
    file.data[5] = 1;
    coding_store_u32((uint8_t *)file.data + 12, hash_crc32c(0, file.data, 12));
    assert_int_equal(fs_write_atomic(fs_system(), path, file.data, file.size, &f->why), OK);
    strbuf_deinit(&file);
    struct wal_replay_result result = replay(f);
    assert_int_equal(result.sample_count, 1);
    assert_int_equal(result.damaged_bytes, 0);
}

static void what_was_appended_is_replayed(void **state)
{
    struct fixture *f = *state;
    open_wal(f, 1, 0);
    uint32_t segment;
    assert_int_equal(wal_begin(f->wal, &segment, &f->why), OK);
    encode_series(f, 1);
    encode_series(f, 2);
    encode_row(f, segment, 1000, 10, 2);
    append(f, 1000);
    encode_series(f, 9);
    encode_row(f, segment, 2000, 0.1, 3);
    append(f, 2000);
    encode_row(f, segment, 3000, -1e300, 1);
    append(f, 3000);
    struct wal_replay_result result = replay(f);
    assert_string_equal(strbuf_cstr(&f->found.text),
                        "series 1 {a=\"b\"}\nseries 2 {a=\"b\"}\nrow 1/1 t=1000: 1=10 2=11\n"
                        "series 9 {a=\"b\"}\nrow 1/2 t=2000: 1=0.1 2=1.1 9=2.1\n"
                        "row 1/3 t=3000: 1=-1e+300\n");
    assert_int_equal(result.next_segment, 2);
    assert_int_equal(result.damaged_bytes, 0);
    assert_int_equal(result.torn_bytes, 0);
}

static void extras_are_replayed(void **state)
{
    struct fixture *f = *state;
    open_wal(f, 1, 0);
    encode_series(f, 1);
    encode_series(f, 2);
    struct wal_histogram histogram = {1, STR("bytes")};
    struct wal_start start = {0, 900};
    uint32_t slot = 0;
    double value = 1;
    struct wal_row row = {.group = 4,
                          .sequence = 1,
                          .t_ms = 1000,
                          .slot_refs = f->slot_refs,
                          .slot_count = 2,
                          .sample_count = 1,
                          .slots = &slot,
                          .values = &value,
                          .histograms = &histogram,
                          .histogram_count = 1,
                          .starts = &start,
                          .start_count = 1};
    wal_encode_row(&f->body, &row, &f->group, 1);
    append(f, 1000);
    replay(f);
    assert_non_null(strstr(strbuf_cstr(&f->found.text), "row 4/1 t=1000: 1=1 1:bytes 0@900\n"));
}

/* Every segment can be read without the ones before it. */
static void segments_stand_alone(void **state)
{
    struct fixture *f = *state;
    open_wal(f, 1, 200);
    encode_series(f, 1);
    for (int i = 0; i < 50; i++) {
        uint32_t segment;
        assert_int_equal(wal_begin(f->wal, &segment, &f->why), OK);
        encode_row(f, segment, 1000 + i, i, 1);
        append(f, 1000 + i);
    }
    assert_true(wal_current_segment(f->wal) > 3);
    char path[96];
    snprintf(path, sizeof path, "%s/00000001", f->path);
    assert_int_equal(fs_system()->unlink(NULL, path, &f->why), OK);
    struct wal_replay_result result = replay(f);
    assert_int_equal(result.skipped_rows, 0);
    assert_non_null(strstr(strbuf_cstr(&f->found.text), "row 1/50 t=1049: 1=49\n"));
}

static void a_torn_tail_is_cut_at_every_byte(void **state)
{
    struct fixture *f = *state;
    open_wal(f, 1, 0);
    encode_series(f, 1);
    encode_row(f, 1, 1000, 1, 1);
    append(f, 1000);
    struct strbuf file = STRBUF_INIT;
    char path[96];
    snprintf(path, sizeof path, "%s/00000001", f->path);
    uint64_t first_size;
    assert_int_equal(fs_file_size(path, &first_size, &f->why), OK);
    encode_row(f, 1, 2000, 2, 1);
    append(f, 2000);
    assert_int_equal(fs_read_file(path, 10000, &file, &f->why), OK);
    struct wal_handler handler = text_handler;
    handler.context = &f->found;
    for (size_t size = first_size; size < file.size; size++) {
        struct wal_replay_result result = {0};
        uint64_t good_bytes;
        strbuf_clear(&f->found.text);
        assert_int_equal(
            wal_replay_bytes(file.data, size, 1, true, &handler, &result, &good_bytes, &f->why),
            OK);
        assert_int_equal(good_bytes, first_size);
        assert_string_equal(strbuf_cstr(&f->found.text),
                            "series 1 {a=\"b\"}\nrow 1/1 t=1000: 1=1\n");
    }
    strbuf_deinit(&file);
}

/* A flipped bit costs at most its own record; the rest of its group waits for a full row. */
static void a_flipped_bit_is_confined(void **state)
{
    struct fixture *f = *state;
    open_wal(f, 1, 0);
    encode_series(f, 1);
    encode_row(f, 1, 1000, 1, 1);
    append(f, 1000);
    for (int i = 2; i <= 3; i++) {
        encode_row(f, 1, 1000 * i, i, 1);
        append(f, 1000 * i);
    }
    wal_group_forget(&f->group);
    encode_row(f, 1, 4000, 4, 1);
    append(f, 4000);
    struct strbuf file = STRBUF_INIT;
    char path[96];
    snprintf(path, sizeof path, "%s/00000001", f->path);
    assert_int_equal(fs_read_file(path, 10000, &file, &f->why), OK);
    struct wal_handler handler = text_handler;
    handler.context = &f->found;
    for (size_t bit = 16 * 8; bit < file.size * 8; bit++) {
        struct wal_replay_result result = {0};
        uint64_t good_bytes;
        strbuf_clear(&f->found.text);
        file.data[bit / 8] = (char)(file.data[bit / 8] ^ (1 << (bit % 8)));
        assert_int_equal(wal_replay_bytes(file.data, file.size, 1, false, &handler, &result,
                                          &good_bytes, &f->why),
                         OK);
        file.data[bit / 8] = (char)(file.data[bit / 8] ^ (1 << (bit % 8)));
        assert_true(result.damaged_records > 0);
        bool last_record_hit = strstr(strbuf_cstr(&f->found.text), "row 1/4 t=4000: 1=4\n") == NULL;
        if (last_record_hit)
            assert_non_null(strstr(strbuf_cstr(&f->found.text), "row 1/3 t=3000: 1=3\n"));
    }
    strbuf_deinit(&file);
}

/* A record that was synced by another thread and then taken back: the next one, just as long, is
 * not on the disk. */
static void what_is_taken_back_is_not_synced(void **state)
{
    struct fixture *f = *state;
    struct fault_fs *faulty = fault_fs_create();
    struct wal_options options = {
        .fs = fault_fs_table(faulty), .path = f->path, .first_segment = 1};
    assert_int_equal(wal_open(&options, &f->wal, &f->why), OK);
    encode_series(f, 1);
    encode_row(f, 1, 1000, 1, 1);
    append(f, 1000);
    assert_int_equal(wal_sync(f->wal, &f->why), OK);
    wal_group_forget(&f->group);
    encode_row(f, 1, 2000, 2, 1);
    append(f, 2000);
    assert_int_equal(wal_sync(f->wal, &f->why), OK);
    assert_true(wal_take_back(f->wal));
    wal_group_forget(&f->group);
    encode_row(f, 1, 3000, 3, 1);
    append(f, 3000);
    assert_int_equal(wal_sync(f->wal, &f->why), OK);
    assert_int_equal(wal_close(f->wal, &f->why), OK);
    f->wal = NULL;
    fault_fs_lose_power(faulty, 0);
    fault_fs_destroy(faulty);
    replay(f);
    assert_non_null(strstr(strbuf_cstr(&f->found.text), "t=1000: 1=1"));
    assert_null(strstr(strbuf_cstr(&f->found.text), "t=2000"));
    assert_non_null(strstr(strbuf_cstr(&f->found.text), "t=3000: 1=3"));
}

static void a_checkpoint_replaces_old_segments(void **state)
{
    struct fixture *f = *state;
    open_wal(f, 1, 0);
    encode_series(f, 1);
    encode_row(f, 1, 1000, 1, 1);
    append(f, 1000);
    assert_int_equal(wal_roll(f->wal, &f->why), OK);
    uint32_t segment;
    assert_int_equal(wal_begin(f->wal, &segment, &f->why), OK);
    encode_row(f, segment, 5000, 5, 1);
    append(f, 5000);

    struct wal_checkpoint *checkpoint;
    assert_int_equal(wal_checkpoint_begin(f->wal, 1, &checkpoint, &f->why), OK);
    assert_null(checkpoint); /* the first segment is still needed */
    assert_int_equal(wal_checkpoint_begin(f->wal, 2, &checkpoint, &f->why), OK);
    f->slot_count = 0;
    encode_series(f, 1);
    assert_int_equal(wal_checkpoint_add(checkpoint, &f->body, &f->why), OK);
    assert_int_equal(wal_checkpoint_finish(checkpoint, &f->why), OK);
    replay(f);
    assert_string_equal(strbuf_cstr(&f->found.text), "series 1 {a=\"b\"}\nrow 1/2 t=5000: 1=5\n");
}

static void an_unfinished_checkpoint_is_not_used(void **state)
{
    struct fixture *f = *state;
    open_wal(f, 1, 0);
    encode_series(f, 1);
    encode_row(f, 1, 1000, 1, 1);
    append(f, 1000);
    assert_int_equal(wal_roll(f->wal, &f->why), OK);
    struct wal_checkpoint *checkpoint;
    assert_int_equal(wal_checkpoint_begin(f->wal, 2, &checkpoint, &f->why), OK);
    wal_checkpoint_abort(checkpoint);
    replay(f);
    assert_string_equal(strbuf_cstr(&f->found.text), "series 1 {a=\"b\"}\nrow 1/1 t=1000: 1=1\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bodies_have_the_documented_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_have_the_documented_header, set_up, tear_down),
        cmocka_unit_test_setup_teardown(late_samples_have_the_documented_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_of_version_1_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_appended_is_replayed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(extras_are_replayed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(segments_stand_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_torn_tail_is_cut_at_every_byte, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flipped_bit_is_confined, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_taken_back_is_not_synced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_checkpoint_replaces_old_segments, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_unfinished_checkpoint_is_not_used, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
