/* What is left of a damaged file of the log, as a file without damage. */
#include <string.h>

#include "wal_files.h"

enum wal_file_kind wal_file_kind(struct str name, uint32_t *number)
{
    if (file_name_number(name, number))
        return WAL_FILE_SEGMENT;
    if (wal__is_checkpoint(name, number))
        return WAL_FILE_CHECKPOINT;
    return WAL_FILE_OTHER;
}

static void lose(struct wal_salvage *result, size_t from, size_t to)
{
    if (result->lost_places++ == 0)
        result->first_lost_at = from;
    result->lost_bytes += to - from;
}

void wal_salvage_bytes(const void *data, size_t size, uint32_t number, struct strbuf *out,
                       struct wal_salvage *result)
{
    *result = (struct wal_salvage){0};
    const uint8_t *bytes = data;
    size_t at = WAL_FILE_HEADER_SIZE;
    if (!wal__header_is_good(data, size, number)) {
        at = wal__find_record(data, size, 0);
        lose(result, 0, at);
    }
    wal__put_file_header(out, number);
    while (at < size) {
        size_t record_size = wal__record_size(data, size, at);
        if (record_size > 0) {
            strbuf_add(out, (const char *)bytes + at, record_size);
            result->kept_records++;
            at += record_size;
            continue;
        }
        size_t next = wal__find_record(data, size, at + 1);
        lose(result, at, next);
        at = next;
    }
}
