#include "recording_store.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "narthex/base/mem.h"

static struct recorder *recorder_of(struct appender *appender)
{
    return (struct recorder *)(void *)((char *)appender - offsetof(struct recorder, appender));
}

static void record_begin(struct appender *appender, source_ref source,
                         const struct append_options *options)
{
    (void)source;
    (void)options;
    struct recorder *r = recorder_of(appender);
    memset(r->present, 0, sizeof r->present);
    memset(r->stale, 0, sizeof r->stale);
}

static err_t record_series(struct appender *appender, struct labels labels, series_ref *ref,
                           bool *created, struct strbuf *why)
{
    (void)why;
    struct recorder *r = recorder_of(appender);
    struct strbuf text = STRBUF_INIT;
    labels_print(labels, &text);
    uint32_t i = 1;
    while (i <= r->name_count && !str_equal(strbuf_str(&r->names[i]), strbuf_str(&text)))
        i++;
    *created = i > r->name_count;
    if (*created) {
        assert(i < RECORDED_SERIES_MAX);
        r->names[i] = text;
        r->name_count = i;
    } else {
        strbuf_deinit(&text);
    }
    *ref = i;
    return OK;
}

static err_t record_add(struct appender *appender, const struct append_batch *batch,
                        struct strbuf *why)
{
    (void)why;
    struct recorder *r = recorder_of(appender);
    for (size_t i = 0; i < batch->count; i++) {
        series_ref ref = batch->refs[i];
        assert(ref >= 1 && ref <= r->name_count);
        batch->outcomes[i] = r->present[ref] ? ERR_DUPLICATE : OK;
        if (r->present[ref])
            continue;
        r->present[ref] = true;
        r->values[ref] = batch->values[i];
        r->stale[ref] = value_is_stale(batch->values[i]);
    }
    return OK;
}

static err_t record_commit(struct appender *appender, struct strbuf *why)
{
    (void)appender;
    (void)why;
    return OK;
}

static void record_rollback(struct appender *appender)
{
    (void)appender;
}

static source_ref record_source_open(struct storage *storage, uint64_t key)
{
    (void)storage;
    return key;
}

static const struct appender_ops record_ops = {
    .begin = record_begin,
    .series = record_series,
    .add = record_add,
    .commit = record_commit,
    .rollback = record_rollback,
};
static const struct storage_ops record_storage_ops = {.source_open = record_source_open};

struct recorder *recorder_create(void)
{
    struct recorder *r = MEM_NEW(MEM_TEST, struct recorder);
    r->appender.ops = &record_ops;
    r->storage.ops = &record_storage_ops;
    return r;
}

void recorder_destroy(struct recorder *recorder)
{
    for (uint32_t i = 1; i <= recorder->name_count; i++)
        strbuf_deinit(&recorder->names[i]);
    mem_free(MEM_TEST, recorder);
}

bool recorder_has(const struct recorder *recorder, uint32_t ref)
{
    return recorder->present[ref] && !recorder->stale[ref];
}

bool recorder_has_marker(const struct recorder *recorder, uint32_t ref)
{
    return recorder->present[ref] && recorder->stale[ref];
}

uint32_t recorder_find_same(const struct recorder *recorder, const struct recorder *other,
                            uint32_t ref)
{
    for (uint32_t i = 1; i <= recorder->name_count; i++) {
        if (str_equal(strbuf_str(&recorder->names[i]), strbuf_str(&other->names[ref])))
            return i;
    }
    return 0;
}
