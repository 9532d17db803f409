/* Reading the log back: files in order, records with their checksums, damage confined. */
#include <assert.h>
#include <inttypes.h>
#include <lz4.h>
#include <stdio.h>
#include <string.h>

#include "narthex/base/coding.h"
#include "narthex/base/hash.h"
#include "narthex/base/log.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"
#include "narthex/tsdb/file_header.h"
#include "wal_files.h"

struct record_view {
    const uint8_t *stored;
    uint32_t stored_size;
    uint32_t raw_size;
    uint8_t kind;
    uint8_t codec;
};

/* Records that are decompressed together and kept until their rows are done. */
struct record_batch {
    struct batch_record {
        struct record_view view;
        size_t offset; /* in the file */
        size_t body_offset;
        bool good;
    } * records;
    uint32_t count;
    uint32_t capacity;
    uint8_t *bodies;
    size_t bodies_size;
};

enum { BATCH_BYTES = 128 << 20 };

struct file_reader {
    uint32_t number;
    struct record_batch batch; /* when the handler takes raw rows */
    const uint8_t *data;
    size_t size;
    struct wal_decoder *decoder;
    const struct wal_handler *handler;
    struct wal_replay_result *result;
    struct strbuf body;
    int64_t max_t_ms;
    bool complete; /* an end entry was seen */
};

bool wal__header_is_good(const void *bytes, size_t size, uint32_t number)
{
    uint8_t version = file_header_version(bytes, size, WAL_MAGIC, number);
    return version >= WAL_VERSION_MIN && version <= WAL_VERSION;
}

/* Whether a whole, unharmed record begins at `at`. */
static bool record_at(const struct file_reader *reader, size_t at, struct record_view *record)
{
    if (reader->size - at < WAL_RECORD_HEADER_SIZE)
        return false;
    const uint8_t *header = reader->data + at;
    record->stored_size = coding_load_u32(header + 4);
    record->raw_size = coding_load_u32(header + 8);
    record->kind = header[13];
    record->codec = header[14];
    record->stored = header + WAL_RECORD_HEADER_SIZE;
    if (header[WAL_RECORD_MARK_OFFSET] != WAL_RECORD_MARK ||
        record->stored_size > reader->size - at - WAL_RECORD_HEADER_SIZE ||
        record->raw_size > WAL_RECORD_BYTES_MAX)
        return false;
    return coding_load_u32(header) ==
           hash_crc32c(0, header + 4, WAL_RECORD_HEADER_SIZE - 4 + (size_t)record->stored_size);
}

/* First record at or after `at`; the file's size when there is none. */
static size_t find_record(const struct file_reader *reader, size_t at)
{
    struct record_view ignored;
    while (at + WAL_RECORD_HEADER_SIZE <= reader->size) {
        const uint8_t *mark = memchr(reader->data + at + WAL_RECORD_MARK_OFFSET, WAL_RECORD_MARK,
                                     reader->size - at - WAL_RECORD_MARK_OFFSET);
        if (mark == NULL)
            break;
        at = (size_t)(mark - reader->data) - WAL_RECORD_MARK_OFFSET;
        if (record_at(reader, at, &ignored))
            return at;
        at++;
    }
    return reader->size;
}

size_t wal__record_size(const void *data, size_t size, size_t at)
{
    struct file_reader reader = {.data = data, .size = size};
    struct record_view record;
    return record_at(&reader, at, &record) ? WAL_RECORD_HEADER_SIZE + (size_t)record.stored_size
                                           : 0;
}

size_t wal__find_record(const void *data, size_t size, size_t at)
{
    struct file_reader reader = {.data = data, .size = size};
    return find_record(&reader, at);
}

/* LZ4 never expands more than 255 times: a larger claim is damage, and not allocated. */
static bool sizes_are_possible(const struct record_view *record)
{
    if (record->codec == WAL_CODEC_LZ4)
        return record->raw_size / 255 <= record->stored_size + 1;
    return record->codec == WAL_CODEC_NONE && record->raw_size == record->stored_size;
}

static err_t read_record(struct file_reader *reader, const struct record_view *record,
                         struct strbuf *why)
{
    const void *body = record->stored;
    size_t size = record->stored_size;
    if (!sizes_are_possible(record))
        return err_fail(why, ERR_CORRUPT, "impossible size or unknown codec %u", record->codec);
    if (record->codec == WAL_CODEC_LZ4) {
        strbuf_clear(&reader->body);
        char *to = strbuf_reserve(&reader->body, record->raw_size);
        int got = LZ4_decompress_safe((const char *)record->stored, to, (int)record->stored_size,
                                      (int)record->raw_size);
        if (got < 0 || (uint32_t)got != record->raw_size)
            return err_fail(why, ERR_CORRUPT, "compressed bytes are damaged");
        body = to;
        size = record->raw_size;
    }
    reader->result->record_count++;
    return wal__decode_body(reader->decoder, body, size, reader->handler, reader->result,
                            &reader->max_t_ms, &reader->complete, why);
}

static void report_damage(uint32_t number, size_t at, size_t size, const char *what)
{
    char segment[16], offset[24], bytes[24];
    snprintf(segment, sizeof segment, "%08u", number);
    snprintf(offset, sizeof offset, "%zu", at);
    snprintf(bytes, sizeof bytes, "%zu", size);
    LOG_ERROR("write-ahead log is damaged; going on behind the damage", "segment", segment,
              "offset", offset, "bytes", bytes, "err", what);
}

/* ---- batches ---- */

static void inflate_one(void *context, uint32_t index)
{
    struct record_batch *batch = context;
    struct batch_record *record = &batch->records[index];
    uint8_t *to = batch->bodies + record->body_offset;
    record->good = sizes_are_possible(&record->view);
    if (!record->good)
        return;
    if (record->view.codec == WAL_CODEC_NONE)
        memcpy(to, record->view.stored, record->view.raw_size);
    else
        record->good =
            LZ4_decompress_safe((const char *)record->view.stored, (char *)to,
                                (int)record->view.stored_size,
                                (int)record->view.raw_size) == (int)record->view.raw_size;
}

static err_t read_batched(struct file_reader *reader, const struct batch_record *record,
                          struct strbuf *why)
{
    if (!record->good)
        return err_fail(why, ERR_CORRUPT, "compressed bytes are damaged");
    reader->result->record_count++;
    return wal__decode_body(reader->decoder, reader->batch.bodies + record->body_offset,
                            record->view.raw_size, reader->handler, reader->result,
                            &reader->max_t_ms, &reader->complete, why);
}

static err_t flush_batch(struct file_reader *reader, struct strbuf *why)
{
    struct record_batch *batch = &reader->batch;
    err_t err = OK;
    if (batch->count == 0)
        return OK;
    batch->bodies = mem_alloc(MEM_WAL, batch->bodies_size + 1);
    worker_pool_run(reader->handler->pool, batch->count, inflate_one, batch);
    for (uint32_t i = 0; i < batch->count && err == OK; i++) {
        err = read_batched(reader, &batch->records[i], why);
        if (err == ERR_CORRUPT) {
            reader->result->damaged_records++;
            report_damage(reader->number, batch->records[i].offset,
                          batch->records[i].view.stored_size, strbuf_cstr(why));
            err = OK;
        }
    }
    if (err == OK && reader->handler->rows_end != NULL)
        err = reader->handler->rows_end(reader->handler->context, reader->result, why);
    mem_free(MEM_WAL, batch->bodies);
    batch->bodies = NULL;
    batch->bodies_size = 0;
    batch->count = 0;
    return err;
}

static err_t add_to_batch(struct file_reader *reader, const struct record_view *record,
                          size_t offset, struct strbuf *why)
{
    struct record_batch *batch = &reader->batch;
    size_t size = sizes_are_possible(record) ? record->raw_size : 0;
    if (batch->count > 0 && batch->bodies_size + size > BATCH_BYTES)
        TRY(flush_batch(reader, why));
    VEC_PUSH(MEM_WAL, batch->records, batch->count, batch->capacity,
             (struct batch_record){*record, offset, batch->bodies_size, false});
    batch->bodies_size += size;
    return OK;
}

/* *good_bytes: end of the last good record when what follows is a torn tail, else the file's size.
 */
static err_t read_file(struct file_reader *reader, uint32_t number, bool last, uint64_t *good_bytes,
                       struct strbuf *why)
{
    *good_bytes = reader->size;
    size_t at = WAL_FILE_HEADER_SIZE;
    if (!wal__header_is_good(reader->data, reader->size, number)) {
        if (last && reader->size < WAL_FILE_HEADER_SIZE) {
            *good_bytes = 0;
            reader->result->torn_bytes += reader->size;
            return OK;
        }
        at = 0; /* look for records all the same */
    }
    while (at < reader->size) {
        struct record_view record;
        if (record_at(reader, at, &record)) {
            err_t err = reader->handler->raw_row != NULL ? add_to_batch(reader, &record, at, why)
                                                         : read_record(reader, &record, why);
            if (err == ERR_CORRUPT) {
                reader->result->damaged_records++;
                report_damage(number, at, record.stored_size, strbuf_cstr(why));
            } else if (err != OK) {
                return err;
            }
            at += WAL_RECORD_HEADER_SIZE + (size_t)record.stored_size;
            continue;
        }
        size_t next = find_record(reader, at + 1);
        if (next == reader->size && last) {
            *good_bytes = at;
            reader->result->torn_bytes += reader->size - at;
            return OK;
        }
        reader->result->damaged_bytes += next - at;
        reader->result->damaged_records++;
        report_damage(number, at, next - at, "no valid record");
        at = next;
    }
    return OK;
}

err_t wal_replay_bytes(const void *data, size_t size, uint32_t number, bool last,
                       const struct wal_handler *handler, struct wal_replay_result *result,
                       uint64_t *good_bytes, struct strbuf *why)
{
    struct file_reader reader = {.data = data,
                                 .size = size,
                                 .number = number,
                                 .decoder = wal__decoder_create(),
                                 .handler = handler,
                                 .result = result,
                                 .max_t_ms = INT64_MIN};
    err_t err = read_file(&reader, number, last, good_bytes, why);
    if (err == OK)
        err = flush_batch(&reader, why);
    mem_free(MEM_WAL, reader.batch.records);
    if (err == OK && handler->segment_end != NULL)
        handler->segment_end(handler->context, number, *good_bytes, reader.max_t_ms);
    wal__decoder_destroy(reader.decoder);
    strbuf_deinit(&reader.body);
    return err;
}

/* What is read may be in the page cache only: the process that wrote it died before its sync. What
 * is made of it (sealed windows) must not outlive it. */
static err_t sync_file(const struct fs *fs, const char *path, struct strbuf *why)
{
    struct fs_file *file;
    TRY(fs->open(fs->context, path, FS_OPEN_APPEND, &file, why));
    return fs_close_after(fs, file, fs->sync(file, why), why);
}

static err_t replay_segment(const struct fs *fs, const char *dir, uint32_t number, bool last,
                            const struct wal_handler *handler, struct wal_replay_result *result,
                            struct strbuf *why)
{
    char *path = wal__segment_path(dir, number);
    struct fs_mapping mapping;
    err_t err = sync_file(fs, path, why);
    if (err == OK)
        err = fs_map(path, &mapping, why);
    if (err == OK) {
        uint64_t good_bytes;
        err = wal_replay_bytes(mapping.data, mapping.size, number, last, handler, result,
                               &good_bytes, why);
        size_t size = mapping.size;
        fs_unmap(&mapping);
        if (err == OK && good_bytes < size) {
            char bytes[24];
            snprintf(bytes, sizeof bytes, "%" PRIu64, size - good_bytes);
            LOG_WARN("cut the torn end of the write-ahead log", "path", path, "bytes", bytes);
            err = fs_cut(fs, path, good_bytes, why);
        }
    }
    mem_free(MEM_WAL, path);
    return err;
}

/* Whether the file is complete; a first pass with no handler. */
bool wal_checkpoint_is_complete(const void *data, size_t size, uint32_t number)
{
    struct wal_handler none = {0};
    struct wal_replay_result result = {0};
    struct strbuf why = STRBUF_INIT;
    struct file_reader reader = {.data = data,
                                 .size = size,
                                 .decoder = wal__decoder_create(),
                                 .handler = &none,
                                 .result = &result,
                                 .max_t_ms = INT64_MIN};
    uint64_t good_bytes;
    bool good = wal__header_is_good(data, size, number) &&
                read_file(&reader, number, false, &good_bytes, &why) == OK && reader.complete;
    wal__decoder_destroy(reader.decoder);
    strbuf_deinit(&reader.body);
    strbuf_deinit(&why);
    return good;
}

/* Replays the newest complete checkpoint; *covered is its number, 0: none. */
static err_t replay_checkpoint(const char *dir, const struct fs_list *list,
                               const struct wal_handler *handler, struct wal_replay_result *result,
                               uint32_t *covered, struct strbuf *why)
{
    struct wal_handler quiet = *handler;
    quiet.segment_end = NULL;
    *covered = 0;
    for (size_t i = list->count; i-- > 0 && *covered == 0;) {
        uint32_t number;
        if (!wal__is_checkpoint(str_from_cstr(list->names[i]), &number))
            continue;
        char *path = wal__checkpoint_path(dir, number);
        struct fs_mapping mapping;
        err_t err = fs_map(path, &mapping, why);
        if (err == OK) {
            if (wal_checkpoint_is_complete(mapping.data, mapping.size, number)) {
                uint64_t good_bytes;
                *covered = number;
                err = wal_replay_bytes(mapping.data, mapping.size, number, false, &quiet, result,
                                       &good_bytes, why);
            } else {
                LOG_ERROR("checkpoint is damaged; trying an older one", "path", path);
            }
            fs_unmap(&mapping);
        }
        mem_free(MEM_WAL, path);
        TRY(err);
    }
    return OK;
}

static uint32_t highest_segment(const struct fs_list *list)
{
    uint32_t highest = 0;
    for (size_t i = 0; i < list->count; i++) {
        uint32_t number;
        if (file_name_number(str_from_cstr(list->names[i]), &number) && number > highest)
            highest = number;
    }
    return highest;
}

static err_t replay_list(const struct fs *fs, const char *dir, const struct fs_list *list,
                         const struct wal_handler *handler, struct wal_replay_result *result,
                         struct strbuf *why)
{
    uint32_t covered;
    TRY(replay_checkpoint(dir, list, handler, result, &covered, why));
    uint32_t highest = highest_segment(list);
    result->next_segment = (highest > covered ? highest : covered) + 1;
    for (size_t i = 0; i < list->count; i++) {
        uint32_t number;
        if (!file_name_number(str_from_cstr(list->names[i]), &number))
            continue;
        if (number <= covered) {
            char *path = wal__segment_path(dir, number);
            err_t err = fs->unlink(fs->context, path, why);
            mem_free(MEM_WAL, path);
            TRY(err);
            continue;
        }
        if (handler->segment != NULL)
            TRY(handler->segment(handler->context, number, highest, why));
        TRY(replay_segment(fs, dir, number, number == highest, handler, result, why));
    }
    return OK;
}

err_t wal_replay(const struct fs *fs, const char *path, const struct wal_handler *handler,
                 struct wal_replay_result *result, struct strbuf *why)
{
    *result = (struct wal_replay_result){.next_segment = 1};
    if (!fs_exists(path))
        return OK;
    struct fs_list list;
    TRY(fs_list_dir(path, &list, why));
    err_t err = replay_list(fs, path, &list, handler, result, why);
    fs_list_free(&list);
    return err;
}
