#include "ingest_nhcb.h"

#include <math.h>
#include <stdlib.h>

#include "narthex/base/mem.h"
#include "narthex/base/number.h"
#include "narthex/base/vec.h"
#include "scrape_ingest.h"

void nhcb_init(struct nhcb *nhcb)
{
    *nhcb = (struct nhcb){0};
    arena_init(&nhcb->arena, MEM_SCRAPE, SIZE_MAX);
    arena_init(&nhcb->line, MEM_SCRAPE, SIZE_MAX);
}

void nhcb_deinit(struct nhcb *nhcb)
{
    arena_deinit(&nhcb->arena);
    arena_deinit(&nhcb->line);
    strbuf_deinit(&nhcb->key);
    strbuf_deinit(&nhcb->line_key);
    mem_free(MEM_SCRAPE, nhcb->buckets);
    mem_free(MEM_SCRAPE, nhcb->exemplars.items);
}

/* ---- one line ---- */

enum line_part { PART_NONE, PART_BUCKET, PART_COUNT, PART_SUM };

struct classic_line {
    enum line_part part;
    struct str base; /* name without suffix */
    struct str le;
    struct label *labels; /* with the name and le still in it */
    uint32_t label_count;
};

static bool cut_suffix(struct str name, struct str suffix, struct str *base)
{
    if (!str_ends_with(name, suffix))
        return false;
    *base = str_from(name.data, name.size - suffix.size);
    return true;
}

static struct str label_value(const struct classic_line *line, struct str name)
{
    for (uint32_t i = 0; i < line->label_count; i++) {
        if (str_equal(line->labels[i].name, name))
            return line->labels[i].value;
    }
    return STR("");
}

static void classify(struct scrape_ingest *ingest, const struct exposition_entry *entry,
                     struct classic_line *line)
{
    arena_deinit(&ingest->nhcb.line);
    *line = (struct classic_line){0};
    exposition_key_labels(ingest->task->format, entry->key, entry->type, &ingest->nhcb.line,
                          &line->labels, &line->label_count);
    struct str name = label_value(line, LABEL_NAME);
    line->le = label_value(line, STR("le"));
    if (cut_suffix(name, STR("_bucket"), &line->base) && line->le.size > 0)
        line->part = PART_BUCKET;
    else if (cut_suffix(name, STR("_count"), &line->base) && line->le.size == 0)
        line->part = PART_COUNT;
    else if (cut_suffix(name, STR("_sum"), &line->base) && line->le.size == 0)
        line->part = PART_SUM;
    if (!str_equal(line->base, ingest__type_name(ingest)))
        line->part = PART_NONE;
}

static bool is_own_label(const struct label *label)
{
    return !str_equal(label->name, LABEL_NAME) && !str_equal(label->name, STR("le"));
}

static void write_key(const struct classic_line *line, struct strbuf *key)
{
    strbuf_clear(key);
    strbuf_add_str(key, line->base);
    for (uint32_t i = 0; i < line->label_count; i++) {
        if (!is_own_label(&line->labels[i]))
            continue;
        strbuf_add_char(key, '\xfe');
        strbuf_add_str(key, line->labels[i].name);
        strbuf_add_char(key, '\xff');
        strbuf_add_str(key, line->labels[i].value);
    }
}

static void begin_histogram(struct nhcb *nhcb, const struct classic_line *line,
                            const struct exposition_entry *entry)
{
    arena_deinit(&nhcb->arena);
    nhcb->active = true;
    strbuf_clear(&nhcb->key);
    strbuf_add_str(&nhcb->key, strbuf_str(&nhcb->line_key));
    nhcb->labels = ARENA_NEW_ARRAY(&nhcb->arena, struct label, line->label_count + 1);
    nhcb->label_count = 0;
    for (uint32_t i = 0; i < line->label_count; i++) {
        const struct label *label = &line->labels[i];
        bool name = str_equal(label->name, LABEL_NAME);
        if (!name && !is_own_label(label))
            continue;
        nhcb->labels[nhcb->label_count++] =
            (struct label){arena_str(&nhcb->arena, label->name),
                           arena_str(&nhcb->arena, name ? line->base : label->value)};
    }
    nhcb->has_timestamp = entry->has_timestamp;
    nhcb->timestamp_ms = entry->timestamp_ms;
    nhcb->start_ms = entry->start_ms;
    nhcb->bucket_count = 0;
    nhcb->has_count = false;
    nhcb->sum = 0;
    nhcb->defect = false;
    nhcb->exemplars.count = 0;
}

static void add_line(struct nhcb *nhcb, const struct classic_line *line, double value)
{
    double bound;
    bool range;
    switch (line->part) {
    case PART_BUCKET:
        if (!number_parse(line->le, &bound, &range) || isnan(bound)) {
            nhcb->defect = true;
            return;
        }
        VEC_PUSH(MEM_SCRAPE, nhcb->buckets, nhcb->bucket_count, nhcb->bucket_capacity,
                 (struct nhcb_bucket){bound, value});
        return;
    case PART_COUNT:
        nhcb->has_count = true;
        nhcb->count = value;
        return;
    case PART_SUM:
        nhcb->sum = value;
        return;
    case PART_NONE:
        return;
    }
}

err_t ingest__nhcb_collect(struct scrape_ingest *ingest, const struct exposition_entry *entry,
                           bool *collected, struct strbuf *why)
{
    struct nhcb *nhcb = &ingest->nhcb;
    struct classic_line line;
    classify(ingest, entry, &line);
    *collected = line.part != PART_NONE && !entry->beside_native;
    if (!*collected)
        return ingest__nhcb_finish(ingest, why);
    write_key(&line, &nhcb->line_key);
    bool same = nhcb->active && nhcb->has_timestamp == entry->has_timestamp &&
                (!entry->has_timestamp || nhcb->timestamp_ms == entry->timestamp_ms) &&
                str_equal(strbuf_str(&nhcb->key), strbuf_str(&nhcb->line_key));
    if (!same && nhcb->active) {
        TRY(ingest__nhcb_finish(ingest, why));
        classify(ingest, entry, &line); /* finishing used the line's memory */
    }
    if (!same)
        begin_histogram(nhcb, &line, entry);
    add_line(nhcb, &line, entry->value);
    nhcb->line_exemplars = nhcb->exemplars.count;
    if (entry->has_exemplar && ingest->task->options->exemplar_storage)
        ingest__read_exemplars(ingest, &nhcb->exemplars, &nhcb->arena);
    return OK;
}

/* Takes an entry with exemplars that were read before. */
static err_t take_with_exemplars(struct scrape_ingest *ingest, struct exposition_entry *entry,
                                 uint32_t first, struct strbuf *why)
{
    struct found_exemplars *list = &ingest->nhcb.exemplars;
    entry->has_exemplar = list->count > first;
    if (entry->has_exemplar) {
        ingest->given_exemplars = list->items + first;
        ingest->given_exemplar_count = list->count - first;
    }
    err_t err = ingest__take_sample(ingest, entry, why);
    ingest->given_exemplars = NULL;
    return err;
}

err_t ingest__nhcb_take_classic(struct scrape_ingest *ingest, const struct exposition_entry *entry,
                                struct strbuf *why)
{
    struct exposition_entry classic = *entry;
    return take_with_exemplars(ingest, &classic, ingest->nhcb.line_exemplars, why);
}

/* ---- the histogram ---- */

static int by_bound(const void *a, const void *b)
{
    const struct nhcb_bucket *x = a;
    const struct nhcb_bucket *y = b;
    return (x->bound > y->bound) - (x->bound < y->bound);
}

/* Sorts, completes +Inf and checks: cumulative, not negative, the count of all. What is wrong, or
 * NULL. */
static const char *complete(struct nhcb *nhcb)
{
    if (nhcb->defect)
        return "a bucket boundary is not a number";
    if (nhcb->bucket_count == 0 && !nhcb->has_count)
        return "no buckets and no count";
    if (nhcb->bucket_count > 1)
        qsort(nhcb->buckets, nhcb->bucket_count, sizeof *nhcb->buckets, by_bound);
    const struct nhcb_bucket *last =
        nhcb->bucket_count == 0 ? NULL : &nhcb->buckets[nhcb->bucket_count - 1];
    if (!nhcb->has_count)
        nhcb->count = last->count;
    if (last == NULL || !isinf(last->bound))
        VEC_PUSH(MEM_SCRAPE, nhcb->buckets, nhcb->bucket_count, nhcb->bucket_capacity,
                 (struct nhcb_bucket){INFINITY, nhcb->count});
    double before = 0;
    for (uint32_t i = 0; i < nhcb->bucket_count; i++) {
        const struct nhcb_bucket *bucket = &nhcb->buckets[i];
        bool ascending = i == 0 || bucket->bound > bucket[-1].bound;
        if (!ascending || !(bucket->count >= before))
            return "bucket counts are not cumulative";
        before = bucket->count;
    }
    return before == nhcb->count ? NULL : "bucket counts and count differ";
}

static bool is_whole(double v)
{
    return v < 9007199254740992.0 && v == floor(v);
}

static bool all_whole(const struct nhcb *nhcb)
{
    for (uint32_t i = 0; i < nhcb->bucket_count; i++) {
        if (!is_whole(nhcb->buckets[i].count))
            return false;
    }
    return true;
}

static union histogram_count to_count(double v, bool whole)
{
    return whole ? (union histogram_count){.i = (uint64_t)v} : (union histogram_count){.f = v};
}

static const struct histogram *make(struct nhcb *nhcb)
{
    struct arena *arena = &nhcb->line;
    uint32_t n = nhcb->bucket_count;
    bool whole = all_whole(nhcb);
    struct histogram *h = ARENA_NEW(arena, struct histogram);
    union histogram_count *counts = ARENA_NEW_ARRAY(arena, union histogram_count, n);
    double *bounds = ARENA_NEW_ARRAY(arena, double, n);
    struct histogram_span *span = ARENA_NEW(arena, struct histogram_span);
    double before = 0;
    for (uint32_t i = 0; i < n; i++) {
        counts[i] = to_count(nhcb->buckets[i].count - before, whole);
        before = nhcb->buckets[i].count;
        bounds[i] = nhcb->buckets[i].bound;
    }
    span->length = n;
    h->kind = whole ? HISTOGRAM_INTEGER : HISTOGRAM_FLOAT;
    h->schema = HISTOGRAM_SCHEMA_CUSTOM;
    h->count = to_count(nhcb->count, whole);
    h->sum = nhcb->sum;
    h->positive = (struct histogram_side){span, counts, 1, n};
    h->custom_values = bounds;
    h->custom_value_count = n - 1; /* +Inf is understood */
    return h;
}

err_t ingest__nhcb_finish(struct scrape_ingest *ingest, struct strbuf *why)
{
    struct nhcb *nhcb = &ingest->nhcb;
    if (!nhcb->active)
        return OK;
    nhcb->active = false;
    arena_deinit(&nhcb->line);
    const char *defect = complete(nhcb);
    const struct histogram *h = defect == NULL ? make(nhcb) : NULL;
    if (h != NULL && histogram_validate(h, why) != OK)
        defect = "invalid buckets";
    if (defect != NULL && ingest->task->format != EXPOSITION_PROTOBUF)
        return OK; /* silently lost, as in Prometheus */
    struct str type_name = ingest__type_name(ingest);
    if (defect != NULL)
        return err_fail(why, ERR_INVALID, "histogram \"%.*s\": %s", STR_ARG(type_name), defect);
    struct exposition_entry entry = {
        .kind = EXPOSITION_HISTOGRAM,
        .key = strbuf_str(&nhcb->key),
        .histogram = h,
        .has_timestamp = nhcb->has_timestamp,
        .timestamp_ms = nhcb->timestamp_ms,
        .start_ms = nhcb->start_ms,
        .type = METADATA_HISTOGRAM,
    };
    ingest->given_labels = nhcb->labels;
    ingest->given_label_count = nhcb->label_count;
    err_t err = take_with_exemplars(ingest, &entry, 0, why);
    ingest->given_labels = NULL;
    return err;
}
