#include "narthex/tsdb/open_histograms.h"

#include <assert.h>
#include <string.h>

#include "histogram_change.h"
#include "narthex/base/mem.h"
#include "narthex/tsdb/histogram_codec.h"
#include "narthex/tsdb/histogram_column.h"

enum {
    /* Records are encoded into the column when there are this many of them, */
    TAIL_ROWS_MAX = 32,
    /* or this many bytes in at least so many records. */
    TAIL_BYTES_MAX = 1024,
    TAIL_ROWS_MIN = 16,
    ROOM_MIN = 128,
};

struct open_histogram_buffer {
    uint32_t capacity;       /* of data, slack not counted */
    uint32_t column_size;    /* a histogram column is data[0..column_size) */
    uint64_t column_rows[4]; /* its rows */
    uint32_t column_count;
    uint32_t record_count; /* the writer's */
    _Atomic uint32_t size; /* records: data[column_size..size), each u8 row, str record */
    uint8_t data[];
};

struct open_histogram_last {
    uint32_t size;
    uint32_t capacity;
    char bytes[];
};

static bool row_is_set(const uint64_t rows[4], uint32_t row)
{
    return (rows[row / 64] >> (row % 64) & 1) != 0;
}

static void set_row(uint64_t rows[4], uint32_t row)
{
    rows[row / 64] |= UINT64_C(1) << (row % 64);
}

/* ---- reading ---- */

struct open_histograms_view open_histograms_view(const struct open_histograms *slot)
{
    const struct open_histogram_buffer *buffer =
        atomic_load_explicit(&slot->buffer, memory_order_acquire);
    return (struct open_histograms_view){
        .buffer = buffer,
        .size = buffer == NULL ? 0 : atomic_load_explicit(&buffer->size, memory_order_acquire),
    };
}

static struct byte_reader records_of(const struct open_histograms_view *view)
{
    return byte_reader_of(view->buffer->data + view->buffer->column_size,
                          view->size - view->buffer->column_size);
}

uint32_t open_histograms_rows(const struct open_histograms_view *view, uint32_t row_limit,
                              uint64_t rows[4])
{
    memset(rows, 0, 4 * sizeof rows[0]);
    uint32_t count = 0;
    if (view->buffer == NULL)
        return 0;
    for (uint32_t row = 0; row < row_limit && row < COLUMN_ROWS_MAX; row++) {
        if (row_is_set(view->buffer->column_rows, row)) {
            set_row(rows, row);
            count++;
        }
    }
    struct byte_reader in = records_of(view);
    while (in.at < in.end) {
        uint8_t row = byte_reader_u8(&in);
        byte_reader_str(&in);
        assert(!in.failed);
        if (row >= row_limit)
            break;
        set_row(rows, row);
        count++;
    }
    return count;
}

/* All rows of the buffer up to the limit; those of the column whatever the limit. */
static uint32_t decode_all(const struct open_histograms_view *view, uint32_t row_limit,
                           struct arena *arena, struct histogram *histograms)
{
    const struct open_histogram_buffer *buffer = view->buffer;
    struct strbuf why = STRBUF_INIT;
    err_t err = OK;
    uint32_t count = buffer->column_count;
    if (count > 0)
        err = histogram_column_decode(buffer->data, buffer->column_size, count, false, arena,
                                      histograms, &why);
    struct byte_reader in = records_of(view);
    while (in.at < in.end && err == OK) {
        uint8_t row = byte_reader_u8(&in);
        struct str record = byte_reader_str(&in);
        assert(!in.failed);
        if (row >= row_limit)
            break;
        err = histogram_change_read(record, count == 0 ? NULL : &histograms[count - 1], arena,
                                    &histograms[count], &why);
        count++;
    }
    assert(err == OK); /* written by this process */
    strbuf_deinit(&why);
    return count;
}

uint32_t open_histograms_decode(const struct open_histograms_view *view, uint32_t row_limit,
                                struct arena *arena, struct histogram *histograms)
{
    if (view->buffer == NULL)
        return 0;
    uint32_t count = decode_all(view, row_limit, arena, histograms);
    for (uint32_t row = row_limit; row < COLUMN_ROWS_MAX; row++)
        count -= row_is_set(view->buffer->column_rows, row);
    return count;
}

/* ---- writing ---- */

static struct open_histogram_buffer *new_buffer(uint32_t capacity)
{
    struct open_histogram_buffer *buffer =
        mem_calloc(MEM_HEAD_DATA, 1, sizeof *buffer + capacity + COLUMN_SLACK_BYTES);
    buffer->capacity = capacity;
    return buffer;
}

void open_histograms_free_buffer(void *buffer)
{
    mem_free(MEM_HEAD_DATA, buffer);
}

static void replace(struct open_histograms *slot, struct open_histogram_buffer *old,
                    struct open_histogram_buffer *buffer,
                    const struct open_histograms_memory *memory)
{
    atomic_store_explicit(&slot->buffer, buffer, memory_order_release);
    if (old == NULL)
        return;
    if (memory->retire == NULL)
        open_histograms_free_buffer(old);
    else
        memory->retire(memory->context, old);
}

/* A copy with room for `added` more bytes. */
static struct open_histogram_buffer *grown_copy(const struct open_histogram_buffer *old,
                                                uint32_t added)
{
    uint32_t size = old == NULL ? 0 : atomic_load_explicit(&old->size, memory_order_relaxed);
    struct open_histogram_buffer *buffer =
        new_buffer(size + added + (size / 4 > ROOM_MIN ? size / 4 : ROOM_MIN));
    if (old == NULL)
        return buffer;
    uint32_t capacity = buffer->capacity;
    memcpy(buffer, old, sizeof *old);
    memcpy(buffer->data, old->data, size);
    buffer->capacity = capacity;
    return buffer;
}

/* A buffer whose column holds what the old one's column and records do. */
static struct open_histogram_buffer *settled_copy(const struct open_histograms *slot,
                                                  uint32_t added)
{
    struct open_histograms_view view = open_histograms_view(slot);
    struct histogram histograms[COLUMN_ROWS_MAX];
    struct arena arena;
    struct strbuf column = STRBUF_INIT;
    arena_init(&arena, MEM_HEAD, SIZE_MAX);
    uint32_t count = decode_all(&view, COLUMN_ROWS_MAX, &arena, histograms);
    uint32_t done = view.buffer->column_count;
    strbuf_add(&column, view.buffer->data, view.buffer->column_size);
    histogram_column_encode(&column, histograms + done, count - done);
    uint32_t size = (uint32_t)column.size;
    struct open_histogram_buffer *buffer = new_buffer(size + added + ROOM_MIN);
    memcpy(buffer->data, column.data, size);
    buffer->column_size = size;
    buffer->column_count = count;
    open_histograms_rows(&view, COLUMN_ROWS_MAX, buffer->column_rows);
    atomic_init(&buffer->size, size);
    strbuf_deinit(&column);
    arena_deinit(&arena);
    return buffer;
}

/* A buffer with room for `added` bytes. */
static struct open_histogram_buffer *make_room(struct open_histograms *slot, uint32_t added,
                                               const struct open_histograms_memory *memory)
{
    struct open_histogram_buffer *old = atomic_load_explicit(&slot->buffer, memory_order_relaxed);
    uint32_t size = old == NULL ? 0 : atomic_load_explicit(&old->size, memory_order_relaxed);
    bool settle =
        old != NULL &&
        (old->record_count >= TAIL_ROWS_MAX ||
         (old->record_count >= TAIL_ROWS_MIN && size - old->column_size >= TAIL_BYTES_MAX));
    if (old != NULL && !settle && added <= old->capacity - size)
        return old;
    struct open_histogram_buffer *buffer =
        settle ? settled_copy(slot, added) : grown_copy(old, added);
    replace(slot, old, buffer, memory);
    return buffer;
}

static void set_last(struct open_histograms *slot, struct str bytes)
{
    struct open_histogram_last *last = slot->last;
    uint32_t size = (uint32_t)bytes.size;
    if (last == NULL || size > last->capacity) {
        uint32_t capacity = size + size / 8;
        last = mem_realloc(MEM_HEAD_DATA, last, sizeof *last + capacity);
        last->capacity = capacity;
        slot->last = last;
    }
    last->size = size;
    memcpy(last->bytes, bytes.data, size);
}

struct str open_histograms_last(const struct open_histograms *slot)
{
    return slot->last == NULL ? (struct str){NULL, 0}
                              : str_from(slot->last->bytes, slot->last->size);
}

static err_t check(struct str bytes, struct strbuf *why)
{
    struct arena arena;
    struct histogram histogram;
    arena_init(&arena, MEM_HEAD, SIZE_MAX);
    err_t err = histogram_decode(bytes, &arena, &histogram, why);
    arena_deinit(&arena);
    return err;
}

err_t open_histograms_append(struct open_histograms *slot, uint32_t row, struct str bytes,
                             const struct open_histograms_memory *memory, struct strbuf *why)
{
    assert(row < COLUMN_ROWS_MAX);
    uint8_t change[HISTOGRAM_CHANGE_SIZE_MAX];
    size_t size =
        slot->last == NULL ? 0 : histogram_change_write(open_histograms_last(slot), bytes, change);
    struct str record = str_from((const char *)change, size);
    if (size == 0) {
        TRY(check(bytes, why));
        record.size = 1 + bytes.size;
    }
    struct open_histogram_buffer *buffer =
        make_room(slot, (uint32_t)(1 + CODING_VARINT_MAX + record.size), memory);
    uint32_t from = atomic_load_explicit(&buffer->size, memory_order_relaxed);
    uint8_t *out = buffer->data + from;
    *out++ = (uint8_t)row;
    out = coding_write_uv(out, record.size);
    if (size == 0) {
        *out++ = 0;
        memcpy(out, bytes.data, bytes.size);
        out += bytes.size;
    } else {
        memcpy(out, change, size);
        out += size;
    }
    buffer->record_count++;
    atomic_store_explicit(&buffer->size, (uint32_t)(out - buffer->data), memory_order_release);
    set_last(slot, bytes);
    return OK;
}

void open_histograms_free(struct open_histograms *slot)
{
    open_histograms_free_buffer(atomic_load_explicit(&slot->buffer, memory_order_relaxed));
    mem_free(MEM_HEAD_DATA, slot->last);
    atomic_store_explicit(&slot->buffer, NULL, memory_order_relaxed);
    slot->last = NULL;
}

size_t open_histograms_size(const struct open_histograms *slot)
{
    const struct open_histogram_buffer *buffer =
        atomic_load_explicit(&slot->buffer, memory_order_acquire);
    size_t size = sizeof *slot;
    if (buffer != NULL)
        size += sizeof *buffer + buffer->capacity + COLUMN_SLACK_BYTES;
    if (slot->last != NULL)
        size += sizeof *slot->last + slot->last->capacity;
    return size;
}
