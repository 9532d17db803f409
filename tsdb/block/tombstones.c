/* Deleted intervals of a block's series; file layout in docs/format/block.md. */
#include "narthex/tsdb/tombstones.h"

#include <assert.h>
#include <string.h>

#include "block_bytes.h"
#include "narthex/base/hash.h"

#define TOMBSTONES_MAGIC "narthexT"
enum {
    TOMBSTONES_VERSION = 1,
    TOMBSTONES_HEAD_BYTES = 16,
    TOMBSTONES_FILE_BYTES_MAX = 1 << 30,
};

struct tombstone_series {
    uint32_t series;
    uint32_t count;
    uint32_t capacity;
    struct tombstone_interval *items;
};

/* Sorted by series. */
struct tombstones {
    struct tombstone_series *items;
    uint32_t count;
    uint32_t capacity;
};

struct tombstones *tombstones_create(void)
{
    return MEM_NEW(MEM_BLOCK, struct tombstones);
}

void tombstones_destroy(struct tombstones *tombstones)
{
    if (tombstones == NULL)
        return;
    for (uint32_t i = 0; i < tombstones->count; i++)
        mem_free(MEM_BLOCK, tombstones->items[i].items);
    mem_free(MEM_BLOCK, tombstones->items);
    mem_free(MEM_BLOCK, tombstones);
}

struct tombstones *tombstones_copy(const struct tombstones *tombstones)
{
    struct tombstones *copy = tombstones_create();
    for (uint32_t i = 0; i < tombstones->count; i++) {
        const struct tombstone_series *series = &tombstones->items[i];
        for (uint32_t j = 0; j < series->count; j++)
            tombstones_add(copy, series->series, series->items[j].min_t_ms,
                           series->items[j].max_t_ms);
    }
    return copy;
}

/* Index of the first entry whose series is not below `series`. */
static uint32_t tombstones_find(const struct tombstones *tombstones, uint32_t series)
{
    uint32_t low = 0;
    uint32_t high = tombstones->count;
    if (high > 0 && tombstones->items[high - 1].series < series)
        return high; /* adding in order */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (tombstones->items[middle].series < series)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct tombstone_series *tombstones_entry(struct tombstones *tombstones, uint32_t series)
{
    uint32_t at = tombstones_find(tombstones, series);
    if (at < tombstones->count && tombstones->items[at].series == series)
        return &tombstones->items[at];
    VEC_RESERVE(MEM_BLOCK, tombstones->items, tombstones->capacity, tombstones->count + 1);
    memmove(&tombstones->items[at + 1], &tombstones->items[at],
            (tombstones->count - at) * sizeof *tombstones->items);
    tombstones->items[at] = (struct tombstone_series){.series = series};
    tombstones->count++;
    return &tombstones->items[at];
}

/* Whether b begins after a with at least one millisecond between them. */
static bool interval_is_apart(const struct tombstone_interval *a,
                              const struct tombstone_interval *b)
{
    return a->max_t_ms < b->min_t_ms && a->max_t_ms + 1 < b->min_t_ms;
}

void tombstones_add(struct tombstones *tombstones, uint32_t series, int64_t min_t_ms,
                    int64_t max_t_ms)
{
    assert(min_t_ms <= max_t_ms);
    struct tombstone_series *entry = tombstones_entry(tombstones, series);
    struct tombstone_interval added = {min_t_ms, max_t_ms};
    uint32_t first = 0;
    while (first < entry->count && interval_is_apart(&entry->items[first], &added))
        first++;
    uint32_t end = first;
    while (end < entry->count && !interval_is_apart(&added, &entry->items[end])) {
        if (entry->items[end].min_t_ms < added.min_t_ms)
            added.min_t_ms = entry->items[end].min_t_ms;
        if (entry->items[end].max_t_ms > added.max_t_ms)
            added.max_t_ms = entry->items[end].max_t_ms;
        end++;
    }
    VEC_RESERVE(MEM_BLOCK, entry->items, entry->capacity, entry->count + 1);
    memmove(&entry->items[first + 1], &entry->items[end],
            (entry->count - end) * sizeof *entry->items);
    entry->items[first] = added;
    entry->count = entry->count - (end - first) + 1;
}

const struct tombstone_interval *tombstones_get(const struct tombstones *tombstones,
                                                uint32_t series, uint32_t *count)
{
    uint32_t at = tombstones_find(tombstones, series);
    *count = 0;
    if (at == tombstones->count || tombstones->items[at].series != series)
        return NULL;
    *count = tombstones->items[at].count;
    return tombstones->items[at].items;
}

uint64_t tombstones_count(const struct tombstones *tombstones)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < tombstones->count; i++)
        count += tombstones->items[i].count;
    return count;
}

uint32_t tombstones_series_count(const struct tombstones *tombstones)
{
    return tombstones->count;
}

/* ---- the file ---- */

static void make_path(const char *block_path, struct strbuf *path)
{
    strbuf_printf(path, "%s/tombstones", block_path);
}

static err_t remove_file(const struct fs *fs, const char *path, const char *block_path,
                         struct strbuf *why)
{
    if (!fs_exists(path))
        return OK;
    TRY(fs->unlink(fs->context, path, why));
    return fs->sync_dir(fs->context, block_path, why);
}

err_t tombstones_store(const struct tombstones *tombstones, const struct fs *fs,
                       const char *block_path, struct strbuf *why)
{
    struct strbuf path = STRBUF_INIT;
    make_path(block_path, &path);
    err_t err;
    if (tombstones->count == 0) {
        err = remove_file(fs, strbuf_cstr(&path), block_path, why);
        strbuf_deinit(&path);
        return err;
    }
    struct block__bytes out = {0};
    block__bytes_add(&out, TOMBSTONES_MAGIC, 8);
    block__bytes_add_u32(&out, TOMBSTONES_VERSION);
    block__bytes_add_u32(&out, tombstones->count);
    for (uint32_t i = 0; i < tombstones->count; i++) {
        const struct tombstone_series *series = &tombstones->items[i];
        block__bytes_add_u32(&out, series->series);
        block__bytes_add_u32(&out, series->count);
        block__bytes_add(&out, series->items, series->count * sizeof *series->items);
    }
    block__bytes_add_u32(&out, hash_crc32c(0, out.items, out.count));
    err = fs_write_atomic(fs, strbuf_cstr(&path), out.items, out.count, why);
    block__bytes_deinit(&out);
    strbuf_deinit(&path);
    return err;
}
static_assert(sizeof(struct tombstone_interval) == 16, "written as it lies in memory");

/* Fills `tombstones` from the entries in [at, end); false if they are malformed. */
static bool parse_entries(const uint8_t *at, const uint8_t *end, uint32_t series_count,
                          struct tombstones *tombstones)
{
    uint64_t series_min = 0;
    for (uint32_t i = 0; i < series_count; i++) {
        if (end - at < 8)
            return false;
        uint32_t series = block__get32(at);
        uint32_t count = block__get32(at + 4);
        at += 8;
        if (series < series_min || count == 0 || count > (uint64_t)(end - at) / 16)
            return false;
        series_min = (uint64_t)series + 1;
        struct tombstone_interval before = {0, 0};
        for (uint32_t j = 0; j < count; j++, at += 16) {
            struct tombstone_interval interval = {(int64_t)block__get64(at),
                                                  (int64_t)block__get64(at + 8)};
            if (interval.min_t_ms > interval.max_t_ms ||
                (j > 0 && !interval_is_apart(&before, &interval)))
                return false;
            tombstones_add(tombstones, series, interval.min_t_ms, interval.max_t_ms);
            before = interval;
        }
    }
    return at == end;
}

static err_t parse_file(const struct strbuf *content, const char *path,
                        struct tombstones *tombstones, struct strbuf *why)
{
    const uint8_t *bytes = (const uint8_t *)content->data;
    size_t size = content->size;
    if (size < TOMBSTONES_HEAD_BYTES + 4 || memcmp(bytes, TOMBSTONES_MAGIC, 8) != 0)
        return err_fail(why, ERR_CORRUPT, "%s: offset 0: not a tombstone file", path);
    if (hash_crc32c(0, bytes, size - 4) != block__get32(bytes + size - 4))
        return err_fail(why, ERR_CORRUPT, "%s: offset 0: checksum does not match", path);
    if (block__get32(bytes + 8) != TOMBSTONES_VERSION)
        return err_fail(why, ERR_UNSUPPORTED, "%s: tombstone version %u, only %d is known", path,
                        block__get32(bytes + 8), TOMBSTONES_VERSION);
    if (!parse_entries(bytes + TOMBSTONES_HEAD_BYTES, bytes + size - 4, block__get32(bytes + 12),
                       tombstones))
        return err_fail(why, ERR_CORRUPT, "%s: offset %d: intervals are malformed", path,
                        TOMBSTONES_HEAD_BYTES);
    return OK;
}

err_t tombstones_load(const char *block_path, struct tombstones **result, struct strbuf *why)
{
    struct strbuf path = STRBUF_INIT;
    struct strbuf content = STRBUF_INIT;
    struct tombstones *tombstones = tombstones_create();
    err_t err = OK;
    make_path(block_path, &path);
    if (fs_exists(strbuf_cstr(&path))) {
        TRY_OUT(fs_read_file(strbuf_cstr(&path), TOMBSTONES_FILE_BYTES_MAX, &content, why));
        TRY_OUT(parse_file(&content, strbuf_cstr(&path), tombstones, why));
    }
out:
    strbuf_deinit(&path);
    strbuf_deinit(&content);
    if (err != OK)
        tombstones_destroy(tombstones);
    else
        *result = tombstones;
    return err;
}
