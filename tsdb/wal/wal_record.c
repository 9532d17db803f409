/* Records: checksum, compression and the way into a buffer. */
#include <lz4.h>
#include <string.h>

#include "narthex/base/coding.h"
#include "narthex/base/hash.h"
#include "narthex/tsdb/file_header.h"
#include "wal_format.h"

enum { COMPRESS_BYTES_MIN = 128 };

void wal__put_file_header(struct strbuf *out, uint32_t number)
{
    file_header_put(out, WAL_MAGIC, WAL_VERSION, 0, number);
}

/* Compresses body into out after `start`; 0 when that does not save an eighth. */
static size_t compress(struct strbuf *out, const struct strbuf *body)
{
    if (body->size < COMPRESS_BYTES_MIN)
        return 0;
    size_t limit = body->size - body->size / 8;
    char *to = strbuf_reserve(out, limit);
    int size = LZ4_compress_default(body->data, to, (int)body->size, (int)limit);
    return size <= 0 ? 0 : (size_t)size;
}

err_t wal__put_record(struct strbuf *out, enum wal_record_kind kind, const struct strbuf *body,
                      struct strbuf *why)
{
    if (body->size > WAL_RECORD_BYTES_MAX)
        return err_fail(why, ERR_LIMIT, "commit of %zu bytes is larger than the log takes (%d)",
                        body->size, WAL_RECORD_BYTES_MAX);
    size_t start = out->size;
    memset(strbuf_reserve(out, WAL_RECORD_HEADER_SIZE), 0, WAL_RECORD_HEADER_SIZE);
    strbuf_commit(out, WAL_RECORD_HEADER_SIZE);
    size_t compressed = compress(out, body);
    if (compressed != 0)
        strbuf_commit(out, compressed);
    else
        strbuf_add(out, body->data, body->size);
    uint8_t *header = (uint8_t *)out->data + start;
    size_t stored = out->size - start - WAL_RECORD_HEADER_SIZE;
    coding_store_u32(header + 4, (uint32_t)stored);
    coding_store_u32(header + 8, (uint32_t)body->size);
    header[WAL_RECORD_MARK_OFFSET] = WAL_RECORD_MARK;
    header[13] = (uint8_t)kind;
    header[14] = compressed != 0 ? WAL_CODEC_LZ4 : WAL_CODEC_NONE;
    coding_store_u32(header, hash_crc32c(0, header + 4, WAL_RECORD_HEADER_SIZE - 4 + stored));
    return OK;
}
