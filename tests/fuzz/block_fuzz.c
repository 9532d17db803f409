/* Property: whatever bytes a block's file holds, even under right checksums, opening it, reading
 * all of it and merging it with a sound block ends with data or an error. The input is a list of
 * edits (two bytes of position, one of value) to a block written at the start. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "narthex/base/hash.h"
#include "narthex/base/mem.h"
#include "narthex/tsdb/block.h"
#include "narthex/tsdb/block_merge.h"
#include "tsdb/block/block_format.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZ_SERIES = 12, FUZZ_WINDOWS = 3 };

static char parent[] = "/dev/shm/narthex_block_fuzz.XXXXXX";
static char folder[128];    /* of the block that is edited */
static struct block *sound; /* one like it */
static uint8_t *original;
static uint8_t *edited;
static size_t original_size;
static int file;

static void must(err_t err, const struct strbuf *why)
{
    if (err != OK) {
        fprintf(stderr, "%s\n", strbuf_cstr(why));
        abort();
    }
}

static void write_times(struct block_writer *writer, uint32_t *group, struct strbuf *why)
{
    uint8_t bytes[FUZZ_WINDOWS][4096];
    struct block_window windows[FUZZ_WINDOWS];
    for (uint32_t w = 0; w < FUZZ_WINDOWS; w++) {
        int64_t times[COLUMN_ROWS_MAX];
        uint32_t rows = 10 + 20 * w;
        for (uint32_t i = 0; i < rows; i++)
            times[i] = 100000 * w + 1000 * i + (w == 1 ? i * i % 7 : 0);
        windows[w] = (struct block_window){bytes[w], time_column_seal(times, rows, bytes[w]), rows};
    }
    must(block_writer_add_group(writer, 1, windows, FUZZ_WINDOWS, group, why), why);
}

static void write_column(struct block_writer *writer, uint32_t group, uint32_t s, uint32_t w,
                         struct strbuf *why)
{
    uint8_t bytes[4096];
    uint8_t starts[4096];
    double values[COLUMN_ROWS_MAX];
    int64_t start_times[COLUMN_ROWS_MAX] = {0};
    struct column_stats stats;
    uint64_t present[BLOCK_PRESENT_WORDS] = {0x2ff};
    uint32_t rows = 10 + 20 * w;
    struct block_column column = {.group = group, .window = w, .row_count = rows, .bytes = bytes};
    if (s % 4 == 1) {
        column.present = present;
        rows = (uint32_t)__builtin_popcountll(present[0]);
    }
    for (uint32_t i = 0; i < rows; i++)
        values[i] = s % 3 == 0 ? 5 : i * i % 11 + s;
    if (column_stats_compute(values, rows, &stats))
        column.stats = &stats;
    column.size = column_seal(values, rows, NULL, bytes);
    if (s % 5 == 2) {
        column.start_times = starts;
        column.start_times_size = time_column_seal(start_times, rows, starts);
    }
    if (s % 6 == 3)
        column.kind = BLOCK_COLUMN_HISTOGRAM;
    must(block_writer_add_column(writer, &column, why), why);
}

static void write_block(uint8_t number, struct strbuf *why)
{
    struct block_writer_options options = {.fs = fs_system(), .parent = parent};
    const uint8_t random[10] = {number};
    struct block_writer *writer;
    uint32_t group;
    char text[8];
    block_ulid_make(0, random, &options.meta.ulid);
    snprintf(folder, sizeof folder, "%s/%s", parent, options.meta.ulid.text);
    must(block_writer_open(&options, &writer, why), why);
    for (uint32_t i = 0; i < FUZZ_SERIES + 2; i++) {
        snprintf(text, sizeof text, "s%02u", i);
        must(block_writer_add_symbol(writer, str_from_cstr(text), why), why);
    }
    write_times(writer, &group, why);
    for (uint32_t s = 0; s < FUZZ_SERIES; s++) {
        const struct block_label labels[2] = {{0, s / 4}, {1, s}};
        must(block_writer_begin_series(writer, labels, 2, why), why);
        for (uint32_t w = s % 7 == 6; w < FUZZ_WINDOWS; w += 1 + (s == 4))
            write_column(writer, group, s, w, why);
    }
    must(block_writer_finish(writer, why), why);
}

static void remove_files(void)
{
    struct strbuf why = STRBUF_INIT;
    block_close(sound);
    if (fs_remove_tree(fs_system(), parent, &why) != OK)
        fprintf(stderr, "%s\n", strbuf_cstr(&why));
    strbuf_deinit(&why);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    struct strbuf why = STRBUF_INIT;
    struct strbuf content = STRBUF_INIT;
    if (mkdtemp(parent) == NULL || atexit(remove_files) != 0)
        abort();
    write_block(1, &why);
    must(block_open(folder, &sound, &why), &why);
    write_block(0, &why);
    char path[160];
    snprintf(path, sizeof path, "%s/" BLOCK__FILE_NAME, folder);
    must(fs_read_file(path, 1 << 20, &content, &why), &why);
    original_size = content.size;
    original = mem_alloc(MEM_TEST, original_size);
    edited = mem_alloc(MEM_TEST, original_size);
    memcpy(original, content.data, original_size);
    file = open(path, O_RDWR | O_CLOEXEC);
    strbuf_deinit(&content);
    strbuf_deinit(&why);
    return file < 0;
}

static void reseal(uint8_t *bytes, size_t size)
{
    uint8_t *footer = bytes + size - BLOCK__FOOTER_BYTES;
    uint64_t checked = block__get64(footer + BLOCK__FOOT_CHECKSUMS_OFFSET);
    uint64_t pieces = (checked + BLOCK__PIECE_BYTES - 1) / BLOCK__PIECE_BYTES;
    for (uint64_t i = 0; i < pieces; i++) {
        uint64_t start = i * BLOCK__PIECE_BYTES;
        uint64_t left = checked - start;
        uint64_t length = left < BLOCK__PIECE_BYTES ? left : BLOCK__PIECE_BYTES;
        block__put32(bytes + checked + i * 4, hash_crc32c(0, bytes + start, length));
    }
    block__put32(footer + BLOCK__FOOT_CHECKSUMS_CRC, hash_crc32c(0, bytes + checked, pieces * 4));
    block__put32(footer + BLOCK__FOOT_CRC, hash_crc32c(0, footer, BLOCK__FOOT_CRC));
}

static err_t select_all(void *context, const uint8_t *bytes, size_t size, uint32_t count,
                        const uint8_t *index, uint32_t kept_count, struct strbuf *out,
                        struct strbuf *why)
{
    (void)context;
    (void)count;
    (void)index;
    (void)kept_count;
    (void)why;
    strbuf_add(out, bytes, size);
    return OK;
}

static void merge_with_sound(const struct block *block, struct strbuf *why)
{
    static const struct block_histogram_codec codec = {.select = select_all};
    struct tombstones *tombstones = tombstones_create();
    tombstones_add(tombstones, 2, 3000, 107000);
    tombstones_add(tombstones, 3, 101000, 202000);
    const struct block_merge_input inputs[2] = {{sound, NULL}, {block, tombstones}};
    struct block_merge_options options = {
        .fs = fs_system(), .parent = parent, .histograms = &codec};
    struct block_merge_result result;
    const uint8_t random[10] = {2};
    block_ulid_make(0, random, &options.meta.ulid);
    if (block_merge(inputs, 2, &options, &result, why) == OK && result.written) {
        struct strbuf path = STRBUF_INIT;
        struct block *merged;
        strbuf_printf(&path, "%s/%s", parent, options.meta.ulid.text);
        must(block_open(strbuf_cstr(&path), &merged, why), why);
        block_close(merged);
        must(fs_remove_tree(fs_system(), strbuf_cstr(&path), why), why);
        strbuf_deinit(&path);
    }
    tombstones_destroy(tombstones);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* The place of the checksum table stays: without it nothing else would be reached. */
    size_t fixed = original_size - BLOCK__FOOTER_BYTES + BLOCK__FOOT_CHECKSUMS_OFFSET;
    memcpy(edited, original, original_size);
    for (size_t i = 0; i + 3 <= size; i += 3) {
        size_t at = (size_t)(data[i] | data[i + 1] << 8);
        edited[at % fixed] = data[i + 2];
    }
    reseal(edited, original_size);
    if (pwrite(file, edited, original_size, 0) != (ssize_t)original_size)
        abort();
    struct strbuf why = STRBUF_INIT;
    struct block *block;
    if (block_open(folder, &block, &why) == OK) {
        err_t err = block_verify(block, &why);
        if (err != OK && err != ERR_CORRUPT)
            abort();
        struct block_section_bytes bytes;
        block_section_bytes(block, &bytes);
        merge_with_sound(block, &why);
        block_close(block);
    }
    strbuf_deinit(&why);
    return 0;
}
