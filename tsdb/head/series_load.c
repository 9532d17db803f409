/* Reading the series of the head: records and postings on one core, the hash table on another. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "narthex/base/log.h"
#include "narthex/base/vec.h"
#include "series_log_impl.h"

enum { ALIGNMENT = 8, REF_SLACK = 65536, PREFETCH_AHEAD = 16 };

void series_log__put_file_header(struct strbuf *out, uint32_t number, bool whole)
{
    file_header_put(out, SERIES_LOG_MAGIC, SERIES_LOG_VERSION, whole ? SERIES_LOG_WHOLE : 0,
                    number);
}

bool series_log__header_is_good(const void *bytes, size_t size, uint32_t number)
{
    return file_header_version(bytes, size, SERIES_LOG_MAGIC, number) == SERIES_LOG_VERSION;
}

bool series_log__must_be_whole(const void *bytes, size_t at)
{
    const uint8_t *data = bytes;
    return (data[6] & SERIES_LOG_WHOLE) != 0 && at == SERIES_LOG_HEADER_SIZE;
}

/* ---- records ---- */

static bool label_counts_fit(const struct series_record *record)
{
    const struct series_head *heads = (const struct series_head *)(const void *)record->heads;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < record->series_count; i++) {
        sum += heads[i].label_count;
        if (heads[i].ref == 0 || heads[i].label_count > SERIES_LABELS_MAX)
            return false;
    }
    return sum == record->label_count;
}

err_t series_record_get(const uint8_t *data, size_t size, struct series_record *record,
                        struct strbuf *why)
{
    if (size < SERIES_RECORD_HEADER_SIZE || memcmp(data + 8, SERIES_RECORD_MARK, 4) != 0)
        return err_fail(why, ERR_CORRUPT, "no record");
    *record = (struct series_record){
        .size = coding_load_u32(data + 4),
        .pair_count = coding_load_u32(data + 12),
        .series_count = coding_load_u32(data + 16),
        .pairs_size = coding_load_u32(data + 20),
        .label_count = coding_load_u32(data + 24),
    };
    size_t wanted = SERIES_RECORD_HEADER_SIZE +
                    (size_t)record->series_count * sizeof(struct series_head) +
                    (size_t)record->label_count * sizeof(uint32_t) + record->pairs_size;
    wanted = (wanted + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (record->size > size || record->size != wanted)
        return err_fail(why, ERR_CORRUPT, "impossible sizes");
    if (coding_load_u32(data) != hash_crc32c(0, data + 4, record->size - 4))
        return err_fail(why, ERR_CORRUPT, "wrong checksum");
    record->heads = data + SERIES_RECORD_HEADER_SIZE;
    record->labels =
        (const uint32_t *)(const void *)(record->heads +
                                         record->series_count * sizeof(struct series_head));
    record->pairs = (const uint8_t *)(record->labels + record->label_count);
    return label_counts_fit(record) ? OK : err_fail(why, ERR_CORRUPT, "impossible contents");
}

/* ---- collecting what the files hold ---- */

struct loaded_record {
    struct series_record record;
    uint32_t file; /* pairs are numbered through one file */
};

struct loading {
    struct head *head;
    struct fs_mapping *mappings;
    uint32_t mapping_count;
    uint32_t mapping_capacity;
    struct loaded_record *records;
    uint32_t record_count;
    uint32_t record_capacity;
    uint64_t series_count;
    bool damaged;
    /* of the file at work; LABEL_PAIR_NONE: there was no room for it */
    uint32_t *pairs;
    uint32_t pair_count;
    uint32_t pair_capacity;
    struct str *names;
    uint32_t name_count;
    uint32_t name_capacity;
    /* ordinals whose hash an earlier one has */
    struct same_hash {
        uint32_t earlier;
        uint32_t later;
    } * same;
    uint32_t same_count;
    uint32_t same_capacity;
};

static void report_damage(const char *path, size_t at, size_t size, const char *what)
{
    char offset[24], bytes[24];
    snprintf(offset, sizeof offset, "%zu", at);
    snprintf(bytes, sizeof bytes, "%zu", size);
    LOG_ERROR("a file of series is damaged; the log is asked for them", "path", path, "offset",
              offset, "bytes", bytes, "err", what);
}

static size_t next_record(const struct fs_mapping *mapping, size_t at)
{
    struct strbuf why = STRBUF_INIT;
    struct series_record ignored;
    at = (at + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    while (at < mapping->size &&
           series_record_get(mapping->data + at, mapping->size - at, &ignored, &why) != OK)
        at += ALIGNMENT;
    strbuf_deinit(&why);
    return at < mapping->size ? at : mapping->size;
}

/* A damaged record leaves a mark: pairs after it have unknown numbers. */
static void collect_records(struct loading *loading, const struct fs_mapping *mapping,
                            const char *path, bool last)
{
    struct strbuf why = STRBUF_INIT;
    size_t at = SERIES_LOG_HEADER_SIZE;
    while (at < mapping->size) {
        struct loaded_record found = {.file = loading->mapping_count};
        strbuf_clear(&why);
        if (series_record_get(mapping->data + at, mapping->size - at, &found.record, &why) == OK) {
            loading->series_count += found.record.series_count;
            VEC_PUSH(MEM_HEAD, loading->records, loading->record_count, loading->record_capacity,
                     found);
            at += found.record.size;
            continue;
        }
        size_t next = next_record(mapping, at + 1);
        if (last && next == mapping->size && !series_log__must_be_whole(mapping->data, at))
            break; /* the torn end of a crash: nothing depends on it yet */
        loading->damaged = true;
        report_damage(path, at, next - at, strbuf_cstr(&why));
        if (next < mapping->size)
            report_damage(path, next, mapping->size - next, "it refers to what was lost");
        break;
    }
    strbuf_deinit(&why);
}

static err_t collect_files(struct series_log *log, struct loading *loading, struct strbuf *why)
{
    for (uint32_t number = log->first_number; number != 0 && number <= log->last_number; number++) {
        char *path = series_log__path(log, number);
        struct fs_mapping mapping = {NULL, 0};
        err_t err = fs_exists(path) ? fs_map(path, &mapping, why) : OK;
        if (err == OK && series_log__header_is_good(mapping.data, mapping.size, number)) {
            if ((mapping.data[6] & SERIES_LOG_WHOLE) != 0) {
                loading->record_count = 0;
                loading->series_count = 0;
            }
            collect_records(loading, &mapping, path, number == log->last_number);
        } else if (err == OK && mapping.size > SERIES_LOG_HEADER_SIZE) {
            loading->damaged = true;
            report_damage(path, 0, mapping.size, "no file of series");
        }
        mem_free(MEM_HEAD, path);
        TRY(err);
        VEC_PUSH(MEM_HEAD, loading->mappings, loading->mapping_count, loading->mapping_capacity,
                 mapping);
    }
    return OK;
}

/* ---- making series ---- */

static bool read_pairs(struct loading *loading, const struct series_record *record)
{
    struct byte_reader in = byte_reader_of(record->pairs, record->pairs_size);
    for (uint32_t i = 0; i < record->pair_count && !in.failed; i++) {
        uint32_t name = (uint32_t)byte_reader_uv_max(&in, loading->name_count);
        if (name == loading->name_count && !in.failed) {
            struct str text = byte_reader_str(&in);
            VEC_PUSH(MEM_HEAD, loading->names, loading->name_count, loading->name_capacity, text);
        }
        struct str value = byte_reader_str(&in);
        if (in.failed || value.size == 0)
            return false;
        VEC_PUSH(MEM_HEAD, loading->pairs, loading->pair_count, loading->pair_capacity,
                 label_index_pair(loading->head->index, loading->names[name], value));
    }
    return !in.failed;
}

static bool ordinal_of(const struct head *head, uint32_t ref, uint32_t *ordinal)
{
    *ordinal = (uint32_t)(ref - head->ref_base - 1);
    return ref > head->ref_base && *ordinal < HEAD_ORDINALS_MAX;
}

static void make_series(struct loading *loading, const struct series_record *record)
{
    struct head *head = loading->head;
    const struct series_head *heads = (const struct series_head *)(const void *)record->heads;
    const uint32_t *labels = record->labels;
    uint32_t pairs[SERIES_LABELS_MAX];
    for (uint32_t i = 0; i < record->series_count; i++) {
        uint32_t count = heads[i].label_count, ordinal;
        bool good = ordinal_of(head, heads[i].ref, &ordinal) && head__series(head, ordinal) == NULL;
        for (uint32_t j = 0; j < count && good; j++) {
            good = labels[j] < loading->pair_count && loading->pairs[labels[j]] != LABEL_PAIR_NONE;
            if (good)
                pairs[j] = loading->pairs[labels[j]];
        }
        if (good)
            head__series_restore(head, ordinal, pairs, count);
        labels += count;
    }
}

static void make_all_series(struct loading *loading)
{
    uint32_t file = UINT32_MAX;
    bool good = true;
    for (uint32_t i = 0; i < loading->record_count; i++) {
        const struct loaded_record *loaded = &loading->records[i];
        if (loaded->file != file) {
            file = loaded->file;
            loading->pair_count = 0;
            loading->name_count = 0;
            good = true;
        }
        good = good && read_pairs(loading, &loaded->record);
        if (good)
            make_series(loading, &loaded->record);
    }
}

/* ---- the hash table ---- */

static bool any_item(const void *owner, uint32_t item, const void *key)
{
    (void)owner;
    (void)item;
    (void)key;
    return true;
}

static void hash_record(struct loading *loading, const struct series_record *record)
{
    struct head *head = loading->head;
    struct htable *table = &head->series_by_labels;
    const struct series_head *heads = (const struct series_head *)(const void *)record->heads;
    for (uint32_t i = 0; i < record->series_count; i++) {
        uint32_t ordinal;
        if (i + PREFETCH_AHEAD < record->series_count)
            htable_prefetch(table, heads[i + PREFETCH_AHEAD].hash);
        if (!ordinal_of(head, heads[i].ref, &ordinal))
            continue;
        uint32_t same = htable_find(table, heads[i].hash, any_item, NULL, NULL);
        if (same != HTABLE_NONE)
            VEC_PUSH(MEM_HEAD, loading->same, loading->same_count, loading->same_capacity,
                     (struct same_hash){same, ordinal});
        if (same != ordinal)
            htable_insert(table, heads[i].hash, ordinal);
    }
}

static void load_part(void *context, uint32_t index)
{
    struct loading *loading = context;
    if (index == 0) {
        make_all_series(loading);
        return;
    }
    for (uint32_t i = 0; i < loading->record_count; i++)
        hash_record(loading, &loading->records[i].record);
}

/* Entries of series that were not made after all. */
static void drop_unmade(struct loading *loading)
{
    struct head *head = loading->head;
    for (uint32_t i = 0; i < loading->record_count; i++) {
        const struct series_record *record = &loading->records[i].record;
        const struct series_head *heads = (const struct series_head *)(const void *)record->heads;
        for (uint32_t j = 0; j < record->series_count; j++) {
            uint32_t ordinal;
            if (ordinal_of(head, heads[j].ref, &ordinal) && head__series(head, ordinal) == NULL)
                htable_remove(&head->series_by_labels, heads[j].hash, ordinal);
        }
    }
}

/* A series that was collected and came back has two numbers: the later one counts. */
static void settle_same(struct loading *loading)
{
    struct head *head = loading->head;
    for (uint32_t i = 0; i < loading->same_count; i++) {
        struct head_series *earlier = head__series(head, loading->same[i].earlier);
        struct head_series *later = head__series(head, loading->same[i].later);
        if (earlier == NULL || later == NULL || earlier == later ||
            earlier->label_count != later->label_count ||
            memcmp(earlier->pairs, later->pairs, earlier->label_count * sizeof earlier->pairs[0]) !=
                0)
            continue;
        head__series_remove_locked(head, earlier->ordinal < later->ordinal ? earlier : later);
    }
}

static void set_ref_base(struct loading *loading)
{
    uint64_t lowest = UINT64_MAX;
    for (uint32_t i = 0; i < loading->record_count; i++) {
        const struct series_record *record = &loading->records[i].record;
        const struct series_head *heads = (const struct series_head *)(const void *)record->heads;
        for (uint32_t j = 0; j < record->series_count; j++)
            lowest = heads[j].ref < lowest ? heads[j].ref : lowest;
    }
    if (lowest == UINT64_MAX)
        return;
    loading->head->ref_base = lowest - 1 > REF_SLACK ? lowest - 1 - REF_SLACK : 0;
    loading->head->ref_base_set = true;
}

err_t series_log_load(struct series_log *log, struct head *head, struct worker_pool *pool,
                      struct strbuf *why)
{
    struct loading loading = {.head = head};
    err_t err = log->last_number == 0 ? OK : collect_files(log, &loading, why);
    if (err == OK && loading.series_count > 0) {
        set_ref_base(&loading);
        htable_reserve(&head->series_by_labels, (uint32_t)loading.series_count);
        worker_pool_run(pool, 2, load_part, &loading);
        if (head->stats.series_count != loading.series_count)
            drop_unmade(&loading);
        settle_same(&loading);
    }
    if (loading.damaged)
        series_log_invalidate(log);
    for (uint32_t i = 0; i < loading.mapping_count; i++)
        fs_unmap(&loading.mappings[i]);
    log->written_to = atomic_load_explicit(&head->ordinal_count, memory_order_relaxed);
    mem_free(MEM_HEAD, loading.mappings);
    mem_free(MEM_HEAD, loading.records);
    mem_free(MEM_HEAD, loading.pairs);
    mem_free(MEM_HEAD, loading.names);
    mem_free(MEM_HEAD, loading.same);
    return err;
}
