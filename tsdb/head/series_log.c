/* Writing the series of the head. */
#include "series_log.h"

#include <stdio.h>
#include <string.h>

#include "narthex/base/log.h"
#include "narthex/base/vec.h"
#include "series_log_impl.h"

/* A record ends after so many series, or when its pairs have so many bytes. */
enum { SERIES_PER_RECORD = 4096, PAIR_BYTES_PER_RECORD = 16 << 20, BUFFER_KEPT_BYTES = 64 << 10 };
#define UNFINISHED_SUFFIX ".tmp"

static char *file_path(const char *dir, uint32_t number, const char *suffix)
{
    size_t size = strlen(dir) + strlen(suffix) + 16;
    char *path = mem_alloc(MEM_HEAD, size);
    snprintf(path, size, "%s/%08u%s", dir, number, suffix);
    return path;
}

char *series_log__path(const struct series_log *log, uint32_t number)
{
    return file_path(log->path, number, "");
}

/* A file that was not whole yet when the server stopped. */
static void remove_unfinished(const struct fs *fs, const char *dir, const char *name)
{
    struct strbuf path = STRBUF_INIT, why = STRBUF_INIT;
    strbuf_printf(&path, "%s/%s", dir, name);
    if (str_ends_with(str_from_cstr(name), STR(UNFINISHED_SUFFIX)) &&
        fs->unlink(fs->context, strbuf_cstr(&path), &why) != OK)
        LOG_WARN("cannot remove an unfinished file of series", "err", strbuf_cstr(&why));
    strbuf_deinit(&path);
    strbuf_deinit(&why);
}

err_t series_log_open(const struct fs *fs, const char *path, struct series_log **result,
                      struct strbuf *why)
{
    TRY(fs_make_dirs(fs, path, why));
    struct fs_list list;
    TRY(fs_list_dir(path, &list, why));
    for (size_t i = 0; i < list.count; i++)
        remove_unfinished(fs, path, list.names[i]);
    struct series_log *log = MEM_NEW(MEM_HEAD, struct series_log);
    log->fs = fs;
    log->path = mem_dup(MEM_HEAD, path, strlen(path));
    log->first_number = UINT32_MAX;
    for (size_t i = 0; i < list.count; i++) {
        uint32_t number;
        if (!file_name_number(str_from_cstr(list.names[i]), &number))
            continue;
        if (number < log->first_number)
            log->first_number = number;
        if (number > log->last_number)
            log->last_number = number;
    }
    fs_list_free(&list);
    *result = log;
    return OK;
}

static void end_file(struct series_log *log)
{
    struct strbuf why = STRBUF_INIT;
    if (log->file != NULL && log->fs->close(log->file, &why) != OK)
        LOG_WARN("closing a file of series failed", "err", strbuf_cstr(&why));
    log->file = NULL;
    strbuf_deinit(&why);
}

void series_log_close(struct series_log *log)
{
    if (log == NULL)
        return;
    end_file(log);
    strbuf_deinit(&log->out);
    strbuf_deinit(&log->pairs);
    mem_free(MEM_HEAD, log->heads);
    mem_free(MEM_HEAD, log->labels);
    mem_free(MEM_HEAD, log->pair_numbers);
    mem_free(MEM_HEAD, log->name_numbers);
    mem_free(MEM_HEAD, log->path);
    mem_free(MEM_HEAD, log);
}

void series_log_invalidate(struct series_log *log)
{
    log->stale = true;
}

/* ---- records ---- */

/* Number + 1 of an id in the file; 0: none yet. */
static uint32_t *number_of(uint32_t **numbers, uint32_t *capacity, uint32_t id)
{
    if (id >= *capacity) {
        uint32_t wanted = id + id / 2 + 64;
        *numbers = mem_realloc(MEM_HEAD, *numbers, wanted * sizeof **numbers);
        memset(*numbers + *capacity, 0, (wanted - *capacity) * sizeof **numbers);
        *capacity = wanted;
    }
    return &(*numbers)[id];
}

static void put_pair(struct series_log *log, const struct label_index *index, uint32_t pair)
{
    struct label label = label_index_label(index, pair);
    uint32_t *name =
        number_of(&log->name_numbers, &log->name_capacity, label_index_pair_name(index, pair));
    bool fresh = *name == 0;
    if (fresh)
        *name = ++log->name_count;
    coding_put_uv(&log->pairs, *name - 1);
    if (fresh)
        coding_put_str(&log->pairs, label.name);
    coding_put_str(&log->pairs, label.value);
}

static void put_series(struct series_log *log, const struct head *head,
                       const struct head_series *series)
{
    struct label items[SERIES_LABELS_MAX];
    VEC_PUSH(MEM_HEAD, log->heads, log->head_count, log->head_capacity,
             (struct series_head){
                 .hash = labels_hash(head__series_labels(head, series, items)),
                 .ref = (uint32_t)head__ref(head, series->ordinal),
                 .label_count = series->label_count,
             });
    for (uint32_t i = 0; i < series->label_count; i++) {
        uint32_t *number = number_of(&log->pair_numbers, &log->pair_capacity, series->pairs[i]);
        if (*number == 0) {
            *number = ++log->pair_count;
            log->new_pairs++;
            put_pair(log, head->index, series->pairs[i]);
        }
        VEC_PUSH(MEM_HEAD, log->labels, log->label_count, log->label_capacity, *number - 1);
    }
}

static void put_record(struct series_log *log)
{
    strbuf_clear(&log->out);
    size_t heads_size = log->head_count * sizeof *log->heads;
    size_t labels_size = log->label_count * sizeof *log->labels;
    size_t size = SERIES_RECORD_HEADER_SIZE + heads_size + labels_size + log->pairs.size;
    size_t padding = (8 - size % 8) % 8;
    size += padding;
    coding_put_u32(&log->out, 0);
    coding_put_u32(&log->out, (uint32_t)size);
    strbuf_add(&log->out, SERIES_RECORD_MARK, 4);
    coding_put_u32(&log->out, log->new_pairs);
    coding_put_u32(&log->out, log->head_count);
    coding_put_u32(&log->out, (uint32_t)log->pairs.size);
    coding_put_u32(&log->out, log->label_count);
    coding_put_u32(&log->out, 0);
    strbuf_add(&log->out, log->heads, heads_size);
    strbuf_add(&log->out, log->labels, labels_size);
    strbuf_add_str(&log->out, strbuf_str(&log->pairs));
    strbuf_add(&log->out, "\0\0\0\0\0\0\0", padding);
    uint8_t *data = (uint8_t *)log->out.data;
    coding_store_u32(data, hash_crc32c(0, data + 4, size - 4));
    strbuf_clear(&log->pairs);
    log->head_count = 0;
    log->label_count = 0;
    log->new_pairs = 0;
}

/* ---- files ---- */

static err_t begin_file(struct series_log *log, bool whole, struct strbuf *why)
{
    log->number = log->last_number + 1;
    char *path = file_path(log->path, log->number, whole ? UNFINISHED_SUFFIX : "");
    err_t err = OK;
    if (whole && fs_exists(path))
        err = log->fs->unlink(log->fs->context, path, why);
    if (err == OK)
        err = log->fs->open(log->fs->context, path, FS_OPEN_CREATE_NEW, &log->file, why);
    if (err == OK) {
        /* Also when the write fails: the number is taken. */
        log->last_number = log->number;
        strbuf_clear(&log->out);
        series_log__put_file_header(&log->out, log->number, whole);
        err = log->fs->write(log->file, log->out.data, log->out.size, why);
    }
    mem_free(MEM_HEAD, path);
    if (log->pair_capacity > 0)
        memset(log->pair_numbers, 0, log->pair_capacity * sizeof *log->pair_numbers);
    if (log->name_capacity > 0)
        memset(log->name_numbers, 0, log->name_capacity * sizeof *log->name_numbers);
    log->pair_count = 0;
    log->name_count = 0;
    log->dir_synced = false;
    return err;
}

/* All series with ordinals in [from, to). */
static err_t write_series(struct series_log *log, struct head *head, uint32_t from, uint32_t to,
                          struct strbuf *why)
{
    while (from < to) {
        uint32_t end = to - from > SERIES_PER_RECORD ? from + SERIES_PER_RECORD : to;
        mutex_lock(&head->write_lock);
        for (; from < end && log->pairs.size < PAIR_BYTES_PER_RECORD; from++) {
            const struct head_series *series = head__series(head, from);
            if (series != NULL)
                put_series(log, head, series);
        }
        mutex_unlock(&head->write_lock);
        if (log->head_count == 0)
            continue;
        put_record(log);
        TRY(log->fs->write(log->file, log->out.data, log->out.size, why));
    }
    return OK;
}

static void remove_before(struct series_log *log, uint32_t number)
{
    struct strbuf why = STRBUF_INIT;
    for (; log->first_number < number; log->first_number++) {
        char *path = series_log__path(log, log->first_number);
        if (fs_exists(path) && log->fs->unlink(log->fs->context, path, &why) != OK)
            LOG_WARN("cannot remove an old file of series", "err", strbuf_cstr(&why));
        mem_free(MEM_HEAD, path);
    }
    strbuf_deinit(&why);
}

/* Writes all series to a new file, which then replaces the others. */
static err_t write_anew(struct series_log *log, struct head *head, uint32_t to, struct strbuf *why)
{
    end_file(log);
    TRY(begin_file(log, true, why));
    TRY(write_series(log, head, 0, to, why));
    TRY(log->fs->sync(log->file, why));
    char *from = file_path(log->path, log->number, UNFINISHED_SUFFIX);
    char *path = series_log__path(log, log->number);
    err_t err = log->fs->rename(log->fs->context, from, path, why);
    if (err == OK)
        err = log->fs->sync_dir(log->fs->context, log->path, why);
    mem_free(MEM_HEAD, from);
    mem_free(MEM_HEAD, path);
    TRY(err);
    remove_before(log, log->number);
    log->dir_synced = true;
    log->stale = false;
    return OK;
}

static err_t write_new(struct series_log *log, struct head *head, uint32_t to, struct strbuf *why)
{
    if (log->file == NULL)
        TRY(begin_file(log, false, why));
    if (log->number < log->first_number)
        log->first_number = log->number;
    TRY(write_series(log, head, log->written_to, to, why));
    TRY(log->fs->sync(log->file, why));
    if (!log->dir_synced)
        TRY(log->fs->sync_dir(log->fs->context, log->path, why));
    log->dir_synced = true;
    return OK;
}

/* Many new series make large records, which come seldom: what is kept counts in the budget. */
static void give_back(struct strbuf *buf)
{
    if (buf->capacity > BUFFER_KEPT_BYTES)
        strbuf_deinit(buf);
}

err_t series_log_update(struct series_log *log, struct head *head, struct strbuf *why)
{
    uint32_t to = atomic_load_explicit(&head->ordinal_count, memory_order_acquire);
    if (!log->stale && log->written_to >= to)
        return OK;
    err_t err = log->stale ? write_anew(log, head, to, why) : write_new(log, head, to, why);
    give_back(&log->out);
    if (err == OK) {
        give_back(&log->pairs);
        log->written_to = to;
        return OK;
    }
    /* What the file holds by now is not known: a new one, and in it whatever this one may lack. */
    end_file(log);
    if (log->stale) {
        char name[32];
        snprintf(name, sizeof name, "%08u" UNFINISHED_SUFFIX, log->number);
        remove_unfinished(log->fs, log->path, name);
    }
    strbuf_clear(&log->pairs);
    give_back(&log->pairs);
    log->head_count = 0;
    log->label_count = 0;
    log->new_pairs = 0;
    return err;
}
