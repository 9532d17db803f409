/* Damaged files: an error or unaffected data, never a crash and never wrong data. */
#include <fcntl.h>
#include <inttypes.h>

#include "block_fixture.h"
#include "block_format.h"
#include "narthex/base/hash.h"

struct damage {
    struct model *model;
    char folder[128];
    int fd; /* of the block's file, writable */
    uint8_t *bytes;
    size_t size;
};

static void damage_set_up(struct fixture *fixture, struct damage *damage, uint32_t group_count,
                          uint32_t series_count)
{
    damage->model = model_create(fixture->seed, group_count, series_count, 1000000);
    struct block_writer_options options = fixture_options(fixture, 1);
    assert_int_equal(model_write(damage->model, &options, &fixture->why), OK);
    snprintf(damage->folder, sizeof damage->folder, "%s", fixture_block_path(fixture, &options));
    char path[160];
    snprintf(path, sizeof path, "%s/block", damage->folder);
    struct strbuf content = STRBUF_INIT;
    assert_int_equal(fs_read_file(path, 1 << 28, &content, &fixture->why), OK);
    damage->size = content.size;
    damage->bytes = mem_alloc(MEM_TEST, content.size);
    memcpy(damage->bytes, content.data, content.size);
    strbuf_deinit(&content);
    damage->fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(damage->fd >= 0);
}

static void damage_tear_down(struct damage *damage)
{
    close(damage->fd);
    mem_free(MEM_TEST, damage->bytes);
    model_destroy(damage->model);
}

static void put_byte(const struct damage *damage, size_t at, uint8_t byte)
{
    assert_int_equal(pwrite(damage->fd, &byte, 1, (off_t)at), 1);
}

/* Reads one series; what comes without error must be right (unless `any` data will do). Returns
 * whether all of it came. */
static bool read_series(const struct model *model, struct block_cursor *cursor, uint32_t s,
                        bool any, struct strbuf *why)
{
    struct arena arena;
    struct labels labels;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    bool whole = block_cursor_labels(cursor, s, &arena, &labels, why) == OK;
    if (whole && !any)
        expect_same_labels(&model->series[s], labels);
    arena_deinit(&arena);
    if (block_cursor_seek(cursor, s, INT64_MIN, INT64_MAX, why) != OK)
        return false;
    for (uint32_t c = 0;; c++) {
        struct block_column_info info;
        struct block_column_data data;
        struct column_stats stats;
        bool found;
        if (block_cursor_next(cursor, &info, &found, why) != OK)
            return false;
        if (!found) {
            assert_true(any || c == model->series[s].column_count);
            return whole;
        }
        if (info.has_stats)
            whole &= block_cursor_stats(cursor, &stats, why) == OK;
        if (block_cursor_decode(cursor, &data, why) != OK)
            whole = false;
        else if (!any)
            expect_same_column(model, &model->series[s].columns[c], &info, &data);
    }
}

/* Number of series that can be read whole; 0 if the block does not open. */
static uint32_t read_block(const struct damage *damage, bool any, struct strbuf *why)
{
    struct block *block;
    err_t err = block_open(damage->folder, &block, why);
    if (err != OK) {
        assert_true(err == ERR_CORRUPT || err == ERR_UNSUPPORTED);
        return 0;
    }
    uint32_t whole = 0;
    uint32_t count = block_meta(block)->counts.series;
    assert_true(any || count == damage->model->series_count);
    struct block_cursor *cursor = block_cursor_create(block);
    for (uint32_t s = 0; s < damage->model->series_count && s < count; s++)
        whole += read_series(damage->model, cursor, s, any, why);
    block_cursor_destroy(cursor);
    err = block_verify(block, why);
    assert_true(err == OK || err == ERR_CORRUPT);
    assert_true(any || err == ERR_CORRUPT);
    block_close(block);
    return whole;
}

static void a_flipped_bit_gives_an_error_or_right_data(void **state)
{
    struct fixture *fixture = *state;
    struct damage damage;
    damage_set_up(fixture, &damage, 1, 6);
    for (size_t at = 0; at < damage.size; at++) {
        uint8_t flip = (uint8_t)(1u << (at % 8));
        put_byte(&damage, at, damage.bytes[at] ^ flip);
        read_block(&damage, false, &fixture->why);
        assert_non_null(strstr(strbuf_cstr(&fixture->why), "block: "));
        put_byte(&damage, at, damage.bytes[at]);
    }
    damage_tear_down(&damage);
}

static void a_truncated_file_does_not_open(void **state)
{
    struct fixture *fixture = *state;
    struct damage damage;
    damage_set_up(fixture, &damage, 1, 6);
    for (size_t size = damage.size; size-- > 0;) {
        struct block *block;
        assert_int_equal(ftruncate(damage.fd, (off_t)size), 0);
        assert_int_equal(block_open(damage.folder, &block, &fixture->why), ERR_CORRUPT);
    }
    damage_tear_down(&damage);
}

static void damage_in_one_page_leaves_the_rest_readable(void **state)
{
    struct fixture *fixture = *state;
    struct damage damage;
    damage_set_up(fixture, &damage, 4, 300);
    uint32_t pages_offset_at = BLOCK__PAGES * 16;
    const uint8_t *footer = damage.bytes + damage.size - BLOCK__FOOTER_BYTES;
    uint64_t table = block__get64(footer + pages_offset_at);
    uint64_t page_count = block__get64(footer + pages_offset_at + 8) / BLOCK__PAGE_ENTRY_BYTES;
    assert_true(page_count > 10);
    size_t at = block__get64(damage.bytes + table + page_count / 2 * BLOCK__PAGE_ENTRY_BYTES);
    put_byte(&damage, at, damage.bytes[at] ^ 1);
    uint32_t whole = read_block(&damage, false, &fixture->why);
    print_message("%u of 300 series are whole, error: %s\n", whole, strbuf_cstr(&fixture->why));
    assert_true(whole > 150 && whole < 300);
    damage_tear_down(&damage);
}

/* Recomputes all checksums of a block held in memory. */
static void reseal(uint8_t *bytes, size_t size)
{
    uint8_t *footer = bytes + size - BLOCK__FOOTER_BYTES;
    uint64_t checked = block__get64(footer + BLOCK__FOOT_CHECKSUMS_OFFSET);
    uint64_t pieces = (checked + BLOCK__PIECE_BYTES - 1) / BLOCK__PIECE_BYTES;
    for (uint64_t i = 0; i < pieces; i++) {
        uint64_t start = i * BLOCK__PIECE_BYTES;
        uint64_t length =
            checked - start < BLOCK__PIECE_BYTES ? checked - start : BLOCK__PIECE_BYTES;
        block__put32(bytes + checked + i * 4, hash_crc32c(0, bytes + start, length));
    }
    block__put32(footer + BLOCK__FOOT_CHECKSUMS_CRC, hash_crc32c(0, bytes + checked, pieces * 4));
    block__put32(footer + BLOCK__FOOT_CRC, hash_crc32c(0, footer, BLOCK__FOOT_CRC));
}

static void wrong_bytes_under_right_checksums_are_safe(void **state)
{
    struct fixture *fixture = *state;
    struct damage damage;
    struct model_random random = {fixture->seed};
    damage_set_up(fixture, &damage, 2, 20);
    uint8_t *copy = mem_alloc(MEM_TEST, damage.size);
    for (int round = 0; round < 4000; round++) {
        memcpy(copy, damage.bytes, damage.size);
        uint32_t changes = 1 + random_below(&random, 4);
        for (uint32_t i = 0; i < changes; i++) {
            /* The tables at the end and the section list matter most. */
            size_t span = round % 3 == 0 ? damage.size : 2000;
            if (span > damage.size)
                span = damage.size;
            size_t at = damage.size - 1 - random_below(&random, (uint32_t)span);
            if (at >= damage.size - BLOCK__FOOTER_BYTES + BLOCK__FOOT_CHECKSUMS_OFFSET)
                at = damage.size - BLOCK__FOOTER_BYTES;
            copy[at] =
                (uint8_t)(random_below(&random, 2) ? random_next(&random)
                                                   : copy[at] ^ (1u << random_below(&random, 8)));
        }
        reseal(copy, damage.size);
        assert_int_equal(pwrite(damage.fd, copy, damage.size, 0), damage.size);
        read_block(&damage, true, &fixture->why);
    }
    mem_free(MEM_TEST, copy);
    damage_tear_down(&damage);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_flipped_bit_gives_an_error_or_right_data),
        TEST(a_truncated_file_does_not_open),
        TEST(damage_in_one_page_leaves_the_rest_readable),
        TEST(wrong_bytes_under_right_checksums_are_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
