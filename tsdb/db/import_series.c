/* The samples of an OpenMetrics file with their series numbered. */
#include <string.h>

#include "import_series.h"
#include "narthex/base/hash.h"
#include "narthex/base/vec.h"

err_t import_series_open(struct import_series *series, const char *path, const char *name,
                         struct strbuf *why)
{
    *series = (struct import_series){.file_name = name};
    TRY(fs_map(path, &series->file, why));
    series->exposition = exposition_create();
    arena_init(&series->arena, MEM_BLOCK, SIZE_MAX);
    htable_init(&series->keys_by_text, MEM_BLOCK);
    htable_init(&series->sources_by_key, MEM_BLOCK);
    return OK;
}

void import_series_close(struct import_series *series)
{
    exposition_destroy(series->exposition);
    label_builder_deinit(&series->builder);
    arena_deinit(&series->arena);
    htable_deinit(&series->keys_by_text);
    htable_deinit(&series->sources_by_key);
    mem_free(MEM_BLOCK, series->keys);
    mem_free(MEM_BLOCK, series->sources);
    fs_unmap(&series->file);
}

void import_series_rewind(struct import_series *series)
{
    struct exposition_options options = {0};
    exposition_start(series->exposition, EXPOSITION_OPENMETRICS, &options,
                     str_from((const char *)series->file.data, series->file.size));
    series->place = NULL;
}

/* ---- errors ---- */

static size_t line_of(const struct import_series *series, const char *place)
{
    size_t line = 1;
    for (const char *c = (const char *)series->file.data; c < place; c++)
        line += *c == '\n';
    return line;
}

static err_t fail_at(struct import_series *series, struct strbuf *why, const char *text)
{
    return err_fail(why, ERR_INVALID, "%s: line %zu: %s", series->file_name,
                    line_of(series, series->place), text);
}

/* The parser says what is wrong, not where: it stopped behind the latest good entry. */
static err_t fail_parse(struct import_series *series, err_t err, struct strbuf *why)
{
    struct strbuf text = STRBUF_INIT;
    strbuf_add_str(&text, strbuf_str(why));
    if (series->place == NULL)
        err = err_fail(why, err, "%s: line 1: %s", series->file_name, strbuf_cstr(&text));
    else
        err = err_fail(why, err, "%s: after the entry in line %zu: %s", series->file_name,
                       line_of(series, series->place), strbuf_cstr(&text));
    strbuf_deinit(&text);
    return err;
}

/* ---- labels ---- */

/* Labels of a key; the view lives until the next call. */
static err_t build_labels(struct import_series *series, struct str key, enum metadata_type type,
                          struct labels *labels, struct strbuf *why)
{
    struct label *items;
    uint32_t count;
    arena_deinit(&series->arena);
    exposition_key_labels(EXPOSITION_OPENMETRICS, key, type, &series->arena, &items, &count);
    const struct label *twice = exposition_find_duplicate(items, count);
    if (twice != NULL) {
        struct strbuf text = STRBUF_INIT;
        strbuf_printf(&text, "label name \"%.*s\" is not unique", STR_ARG(twice->name));
        err_t err = fail_at(series, why, strbuf_cstr(&text));
        strbuf_deinit(&text);
        return err;
    }
    label_builder_clear(&series->builder);
    for (uint32_t i = 0; i < count; i++)
        label_builder_set(&series->builder, items[i].name, items[i].value);
    *labels = label_builder_labels(&series->builder);
    return OK;
}

/* ---- numbering ---- */

static bool same_source(const void *owner, uint32_t item, const void *key)
{
    const struct import_series *series = owner;
    return series->sources[item] == *(const uint64_t *)key;
}

static uint32_t number_source(struct import_series *series, struct labels labels)
{
    uint64_t key = hash_mix(hash_str(labels_get(labels, STR("job"))),
                            hash_str(labels_get(labels, STR("instance"))));
    uint32_t number = htable_find(&series->sources_by_key, key, same_source, series, &key);
    if (number != HTABLE_NONE)
        return number;
    number = series->source_count;
    VEC_PUSH(MEM_BLOCK, series->sources, series->source_count, series->source_capacity, key);
    htable_insert(&series->sources_by_key, key, number);
    return number;
}

static bool same_key(const void *owner, uint32_t item, const void *key)
{
    const struct import_series *series = owner;
    const struct import_key *wanted = key;
    return series->keys[item].type == wanted->type &&
           str_equal(series->keys[item].text, wanted->text);
}

static err_t number_key(struct import_series *series, const struct exposition_entry *entry,
                        uint32_t *number, struct strbuf *why)
{
    struct import_key key = {.text = entry->key, .type = entry->type};
    uint64_t hash = hash_mix(hash_str(key.text), (uint64_t)key.type);
    *number = htable_find(&series->keys_by_text, hash, same_key, series, &key);
    if (*number != HTABLE_NONE)
        return OK;
    struct labels labels;
    TRY(build_labels(series, key.text, key.type, &labels, why));
    key.source = number_source(series, labels);
    *number = series->key_count;
    VEC_PUSH(MEM_BLOCK, series->keys, series->key_count, series->key_capacity, key);
    htable_insert(&series->keys_by_text, hash, *number);
    return OK;
}

err_t import_series_next(struct import_series *series, struct import_entry *entry,
                         struct strbuf *why)
{
    struct exposition_entry raw;
    for (;;) {
        err_t err = exposition_next(series->exposition, &raw, why);
        if (err != OK)
            return fail_parse(series, err, why);
        *entry = (struct import_entry){.ended = raw.kind == EXPOSITION_END};
        if (entry->ended)
            return OK;
        series->place = raw.kind == EXPOSITION_SAMPLE ? raw.key.data : raw.name.data;
        if (raw.kind == EXPOSITION_SAMPLE)
            break;
    }
    if (!raw.has_timestamp)
        return fail_at(series, why, "expected timestamp, got none");
    TRY(number_key(series, &raw, &entry->series, why));
    entry->t_ms = raw.timestamp_ms;
    entry->value = raw.value;
    entry->source = series->keys[entry->series].source;
    return OK;
}

/* ---- the store's side ---- */

struct str import_series_key(const struct import_series *series, uint32_t number)
{
    return series->keys[number].text;
}

uint64_t import_series_source(const struct import_series *series, uint32_t source)
{
    return series->sources[source];
}

err_t import_series_ref(struct import_series *series, uint32_t number, struct appender *appender,
                        series_ref *ref, struct strbuf *why)
{
    struct import_key *key = &series->keys[number];
    if (key->ref == 0) {
        struct labels labels;
        series->place = key->text.data;
        TRY(build_labels(series, key->text, key->type, &labels, why));
        TRY(appender_series(appender, labels, &key->ref, NULL, why));
    }
    *ref = key->ref;
    return OK;
}

void import_series_forget_refs(struct import_series *series)
{
    for (uint32_t i = 0; i < series->key_count; i++)
        series->keys[i].ref = 0;
}
