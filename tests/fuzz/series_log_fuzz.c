/* Property: any bytes in a file of series are loaded without harm, also with checksums made to fit.
 * All that is loaded has labels that can be read, and written anew it is loaded the same again. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "narthex/base/fs.h"
#include "narthex/base/log.h"
#include "tsdb/head/series_log_impl.h"

enum { RECORD_ALIGNMENT = 8, EDITS_MAX = 8 };

static char root[64];
static struct strbuf good; /* a file with two records */

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void path_of(char *path, size_t size, const char *name)
{
    snprintf(path, size, "%s%s", root, name);
}

static void remove_folder(void)
{
    struct strbuf why = STRBUF_INIT;
    require(fs_remove_tree(fs_system(), root, &why) == OK);
    strbuf_deinit(&why);
    strbuf_deinit(&good);
}

static err_t no_sync(struct fs_file *file, struct strbuf *why)
{
    (void)file;
    (void)why;
    return OK;
}

static err_t no_sync_dir(void *context, const char *path, struct strbuf *why)
{
    (void)context;
    (void)path;
    (void)why;
    return OK;
}

static struct head *open_head(void)
{
    static struct fs fs; /* the real one, which need not survive a power loss */
    fs = *fs_system();
    fs.sync = no_sync;
    fs.sync_dir = no_sync_dir;
    struct head_options options = {0};
    struct strbuf why = STRBUF_INIT;
    struct head *head = head_create(&options);
    require(head_open_files(head, &fs, root, &why) == OK);
    require(series_log_load(head->series_log, head, NULL, &why) == OK);
    strbuf_deinit(&why);
    return head;
}

static void write_series(struct head *head)
{
    struct strbuf why = STRBUF_INIT;
    require(series_log_update(head->series_log, head, &why) == OK);
    strbuf_deinit(&why);
}

static void add_series(struct head *head, const char *value)
{
    struct label items[] = {{STR("job"), STR("j")}, {STR("name"), str_from_cstr(value)}};
    struct labels labels = {items, 2};
    struct head_series *series;
    struct strbuf why = STRBUF_INIT;
    mutex_lock(&head->write_lock);
    require(head__series_create_locked(head, labels, labels_hash(labels), HEAD_ORDINALS_MAX,
                                       &series, &why) == OK);
    mutex_unlock(&head->write_lock);
    strbuf_deinit(&why);
}

static void prepare(void)
{
    char path[96];
    struct strbuf why = STRBUF_INIT;
    log_configure(LOG_LEVEL_ERROR + 1, LOG_FORMAT_LOGFMT);
    snprintf(root, sizeof root, "/tmp/narthex_series_fuzz.XXXXXX");
    require(mkdtemp(root) != NULL);
    atexit(remove_folder);
    struct head *head = open_head();
    add_series(head, "a");
    add_series(head, "b");
    write_series(head);
    add_series(head, "c");
    write_series(head);
    head_destroy(head);
    path_of(path, sizeof path, "/series/00000001");
    require(fs_read_file(path, SIZE_MAX, &good, &why) == OK);
    strbuf_deinit(&why);
}

/* Makes the checksums of the header and of records of a right size right. */
static void mend(uint8_t *data, size_t size)
{
    if (size < SERIES_LOG_HEADER_SIZE)
        return;
    memcpy(data, good.data, 6);
    coding_store_u32(data + 8, 1);
    coding_store_u32(data + 12, hash_crc32c(0, data, 12));
    for (size_t at = SERIES_LOG_HEADER_SIZE; size - at >= SERIES_RECORD_HEADER_SIZE;) {
        uint32_t record_size = coding_load_u32(data + at + 4);
        if (record_size < SERIES_RECORD_HEADER_SIZE || record_size > size - at)
            return;
        coding_store_u32(data + at, hash_crc32c(0, data + at + 4, record_size - 4));
        at += (record_size + RECORD_ALIGNMENT - 1) / RECORD_ALIGNMENT * RECORD_ALIGNMENT;
        if (at > size)
            return;
    }
}

/* Reads all that was loaded; the number of series. */
static uint64_t count_series(const struct head *head)
{
    uint64_t count = 0;
    volatile size_t bytes = 0;
    struct label items[SERIES_LABELS_MAX];
    uint32_t end = atomic_load_explicit(&head->ordinal_count, memory_order_relaxed);
    for (uint32_t ordinal = 0; ordinal < end; ordinal++) {
        const struct head_series *series = head__series(head, ordinal);
        if (series == NULL)
            continue;
        struct labels labels = head__series_labels(head, series, items);
        bytes = bytes + (size_t)labels_hash(labels);
        count++;
    }
    require(count == head->stats.series_count);
    return count;
}

static uint64_t load_and_write_anew(void)
{
    struct head *head = open_head();
    uint64_t count = count_series(head);
    series_log_invalidate(head->series_log);
    write_series(head);
    head_destroy(head);
    return count;
}

static void load(const void *data, size_t size)
{
    char path[96];
    struct strbuf why = STRBUF_INIT;
    path_of(path, sizeof path, "/series");
    require(fs_remove_tree(fs_system(), path, &why) == OK);
    require(fs_make_dirs(fs_system(), path, &why) == OK);
    path_of(path, sizeof path, "/series/00000001");
    FILE *file = fopen(path, "wb");
    require(file != NULL && fwrite(data, 1, size, file) == size && fclose(file) == 0);
    uint64_t first = load_and_write_anew();
    /* Of two series with the same labels and a wrong hash one goes when the hash is right. */
    uint64_t second = load_and_write_anew();
    require(second <= first);
    require(load_and_write_anew() == second);
    strbuf_deinit(&why);
}

/* Takes the input for places in a good file and what to write there. */
static void change_good_file(const uint8_t *data, size_t size)
{
    struct strbuf out = STRBUF_INIT;
    strbuf_add(&out, good.data, good.size);
    for (size_t i = 0; i + 2 < size && i < 3 * EDITS_MAX; i += 3)
        out.data[(data[i] | (size_t)data[i + 1] << 8) % out.size] = (char)data[i + 2];
    mend((uint8_t *)out.data, out.size);
    load(out.data, out.size);
    strbuf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (root[0] == '\0')
        prepare();
    if (size % 2 == 0) {
        change_good_file(data, size);
        return 0;
    }
    uint8_t *copy = mem_alloc(MEM_TEST, size);
    memcpy(copy, data, size);
    mend(copy, size);
    load(copy, size);
    mem_free(MEM_TEST, copy);
    return 0;
}
