/* Files of sealed windows and of series, read by tools. */
#include "narthex/tsdb/head_files.h"

#include "sealed_format.h"
#include "series_log_impl.h"

enum { ALIGNMENT = 8 };

static void damage(struct head_file_check *check, size_t from, size_t to)
{
    if (check->damaged_places++ == 0)
        check->first_damage_at = from;
    check->damaged_bytes += to - from;
}

void head_check_sealed(const void *data, size_t size, uint32_t number,
                       struct head_file_check *check, struct strbuf *whole)
{
    const uint8_t *bytes = data;
    struct strbuf why = STRBUF_INIT;
    size_t at = SEALED_FILE_HEADER_SIZE;
    *check = (struct head_file_check){0};
    if (!sealed_file_header_is_good(data, size, number)) {
        at = sealed_find_record(data, size, 0);
        if (size >= SEALED_FILE_HEADER_SIZE)
            damage(check, 0, at);
        else
            check->torn_bytes = size;
    }
    if (whole != NULL)
        sealed_put_file_header(whole, number);
    while (at < size) {
        struct sealed_record record;
        if (sealed_get_record(bytes + at, size - at, &record, &why) == OK) {
            check->record_count++;
            check->item_count += (uint64_t)record.row_count * record.slot_count;
            if (whole != NULL)
                strbuf_add(whole, (const char *)bytes + at, record.size);
            at += record.size;
            continue;
        }
        size_t next = sealed_find_record(data, size, at + 1);
        if (next == size)
            check->torn_bytes += next - at;
        else
            damage(check, at, next);
        at = next;
    }
    strbuf_deinit(&why);
}

/* Whether a whole record begins anywhere behind `at`. */
static bool series_follow(const uint8_t *bytes, size_t size, size_t at)
{
    struct strbuf why = STRBUF_INIT;
    struct series_record ignored;
    bool found = false;
    for (at = at / ALIGNMENT * ALIGNMENT + ALIGNMENT; at < size && !found; at += ALIGNMENT)
        found = series_record_get(bytes + at, size - at, &ignored, &why) == OK;
    strbuf_deinit(&why);
    return found;
}

void head_check_series(const void *data, size_t size, uint32_t number, bool last,
                       struct head_file_check *check)
{
    const uint8_t *bytes = data;
    struct strbuf why = STRBUF_INIT;
    size_t at = SERIES_LOG_HEADER_SIZE;
    *check = (struct head_file_check){0};
    if (!series_log__header_is_good(data, size, number)) {
        if (size > SERIES_LOG_HEADER_SIZE)
            damage(check, 0, size);
        at = size;
    }
    while (at < size) {
        struct series_record record;
        if (series_record_get(bytes + at, size - at, &record, &why) == OK) {
            check->record_count++;
            check->item_count += record.series_count;
            at += record.size;
            continue;
        }
        /* Records behind a damaged one count labels from it. */
        if (!last || series_follow(bytes, size, at) || series_log__must_be_whole(data, at))
            damage(check, at, size);
        else
            check->torn_bytes = size - at;
        break;
    }
    strbuf_deinit(&why);
}
