/* Property: any bytes decode to an error or to histograms, and whatever those are, sealing them
 * gives a column, and appending them one by one an open form, that decode to the same. The first
 * input byte is the row count. The same holds for histograms made up from the bytes. */
#include <stdlib.h>
#include <string.h>

#include "narthex/base/coding.h"
#include "narthex/base/mem.h"
#include "narthex/tsdb/histogram_codec.h"
#include "narthex/tsdb/histogram_column.h"
#include "narthex/tsdb/open_histograms.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_same(const struct histogram *a, const struct histogram *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!histogram_identical(&a[i], &b[i]))
            abort();
    }
}

static void seal(const struct histogram *rows, uint32_t count, struct arena *arena)
{
    struct histogram back[COLUMN_ROWS_MAX];
    struct strbuf out = STRBUF_INIT, why = STRBUF_INIT;
    histogram_column_encode(&out, rows, count);
    if (histogram_column_decode((const uint8_t *)out.data, out.size, count, false, arena, back,
                                &why) != OK)
        abort();
    must_be_same(rows, back, count);
    strbuf_deinit(&out);
    strbuf_deinit(&why);
}

static void append(const struct histogram *rows, uint32_t count, struct arena *arena)
{
    struct histogram back[COLUMN_ROWS_MAX];
    struct open_histograms slot = {.last = NULL};
    struct open_histograms_memory memory = {0};
    struct strbuf bytes = STRBUF_INIT, why = STRBUF_INIT;
    for (uint32_t i = 0; i < count; i++) {
        strbuf_clear(&bytes);
        histogram_encode(&bytes, &rows[i]);
        if (open_histograms_append(&slot, i, strbuf_str(&bytes), &memory, &why) != OK)
            abort();
    }
    struct open_histograms_view view = open_histograms_view(&slot);
    if (open_histograms_decode(&view, COLUMN_ROWS_MAX, arena, back) != count)
        abort();
    must_be_same(rows, back, count);
    open_histograms_free(&slot);
    strbuf_deinit(&bytes);
    strbuf_deinit(&why);
}

/* ---- histograms made up ---- */

static struct histogram_side make_side(struct byte_reader *in, struct arena *arena)
{
    struct histogram_side side = {.span_count = byte_reader_u8(in) % 4};
    struct histogram_span *spans = ARENA_NEW_ARRAY(arena, struct histogram_span, 4);
    for (uint32_t i = 0; i < side.span_count; i++) {
        spans[i].offset = (int8_t)byte_reader_u8(in) / (i == 0 ? 1 : 8);
        spans[i].length = byte_reader_u8(in) % 8;
        side.bucket_count += spans[i].length;
    }
    if (byte_reader_u8(in) == 0)
        side.bucket_count = 1; /* perhaps not what the spans say */
    side.spans = spans;
    return side;
}

/* The counts before, some of them changed. */
static void move_counts(struct byte_reader *in, struct arena *arena, struct histogram_side *side)
{
    union histogram_count *counts =
        ARENA_NEW_ARRAY(arena, union histogram_count, side->bucket_count + 1);
    for (uint32_t i = 0; i < side->bucket_count; i++) {
        counts[i].i = side->counts == NULL ? 0 : side->counts[i].i;
        uint8_t change = byte_reader_u8(in);
        counts[i].i += change < 128 ? 0 : (uint64_t)(change - 160) << (change % 8 * change % 60);
    }
    side->counts = counts;
}

static void make_rows(struct byte_reader in, uint32_t count, struct arena *arena,
                      struct histogram *rows)
{
    struct histogram now = {0};
    for (uint32_t i = 0; i < count; i++) {
        uint8_t change = byte_reader_u8(&in);
        if (change % 16 == 0) {
            now.kind = (enum histogram_kind)(change >> 4 & 1);
            now.schema = change >> 5;
            now.zero_threshold = change > 128 ? 0x1p-128 : 0;
        }
        if (change % 8 == 0) {
            now.positive = make_side(&in, arena);
            now.negative = make_side(&in, arena);
        }
        now.hint = (enum histogram_hint)(change % 32 == 1 ? change >> 6 : now.hint);
        now.sum += change;
        now.zero_count.i += change % 4 == 2;
        now.count.i += change;
        move_counts(&in, arena, &now.positive);
        move_counts(&in, arena, &now.negative);
        rows[i] = now;
        if (change % 32 == 2)
            rows[i] = (struct histogram){.kind = (enum histogram_kind)(change >> 7),
                                         .sum = double_from_bits(STALE_NAN_BITS)};
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 4096)
        return 0;
    uint32_t count = 1 + data[0] % COLUMN_ROWS_MAX;
    struct histogram rows[COLUMN_ROWS_MAX];
    struct strbuf why = STRBUF_INIT;
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    uint8_t *column = mem_calloc(MEM_TEST, 1, size - 1 + COLUMN_SLACK_BYTES);
    memcpy(column, data + 1, size - 1);
    if (histogram_column_decode(column, size - 1, count, false, &arena, rows, &why) == OK) {
        seal(rows, count, &arena);
        append(rows, count, &arena);
    }
    make_rows(byte_reader_of(column, size - 1), count, &arena, rows);
    seal(rows, count, &arena);
    append(rows, count, &arena);
    mem_free(MEM_TEST, column);
    strbuf_deinit(&why);
    arena_deinit(&arena);
    return 0;
}
