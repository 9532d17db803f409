/* Exemplars of samples and of histograms made of samples (spec 3.6). */
#include <stdlib.h>
#include <string.h>

#include "narthex/base/mem.h"
#include "narthex/base/vec.h"
#include "scrape_ingest.h"

void ingest__read_exemplars(struct scrape_ingest *ingest, struct found_exemplars *list,
                            struct arena *arena)
{
    struct exposition_exemplar found;
    while (exposition_next_exemplar(ingest->exposition, arena, &found))
        VEC_PUSH(MEM_SCRAPE, list->items, list->count, list->capacity, found);
}

static int by_time(const void *a, const void *b)
{
    const struct exposition_exemplar *x = a;
    const struct exposition_exemplar *y = b;
    if (x->timestamp_ms != y->timestamp_ms)
        return x->timestamp_ms < y->timestamp_ms ? -1 : 1;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return labels_compare(x->labels, y->labels);
}

/* Times are filled in, and those of histograms that have none are left out: the storage could not
 * tell them from repetitions. */
static uint32_t date(struct exposition_exemplar *items, uint32_t count, bool histogram,
                     int64_t t_ms)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct exposition_exemplar item = items[i];
        if (!item.has_timestamp && histogram)
            continue;
        if (!item.has_timestamp)
            item.timestamp_ms = t_ms;
        items[kept++] = item;
    }
    return kept;
}

void ingest__add_exemplars(struct scrape_ingest *ingest, const struct exposition_entry *entry,
                           series_ref ref, int64_t t_ms)
{
    struct exposition_exemplar *items = ingest->given_exemplars;
    uint32_t count = ingest->given_exemplar_count;
    if (items == NULL) {
        arena_reset_to(&ingest->arena, ingest->arena_start);
        ingest->exemplars.count = 0;
        ingest__read_exemplars(ingest, &ingest->exemplars, &ingest->arena);
        items = ingest->exemplars.items;
        count = ingest->exemplars.count;
    }
    count = date(items, count, entry->kind == EXPOSITION_HISTOGRAM, t_ms);
    if (count > 1)
        qsort(items, count, sizeof *items, by_time);
    uint32_t late = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct exemplar exemplar = {items[i].labels, items[i].value, items[i].timestamp_ms};
        /* An exemplar never fails a scrape. */
        struct strbuf why = STRBUF_INIT;
        late +=
            appender_add_exemplar(ingest->task->appender, ref, &exemplar, &why) == ERR_OUT_OF_ORDER;
        strbuf_deinit(&why);
    }
    /* A histogram shows its old exemplars again beside a new one: that is no fault. */
    if (late == count)
        ingest->result->exemplars_out_of_order += late;
}
