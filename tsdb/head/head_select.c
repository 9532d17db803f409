/* Finding series, label names and values; cardinality. */
#include "head_late.h"

#include <stdlib.h>
#include <string.h>

/* A series that readers may see: not collected, and with samples. */
static const struct head_series *visible_series(const struct head *head, uint32_t ordinal)
{
    const struct head_series *series = head__series(head, ordinal);
    if (series == NULL || (atomic_load_explicit(&series->newest, memory_order_acquire) == NULL &&
                           head__late_run(head, ordinal) == NULL))
        return NULL;
    return series;
}

err_t head_reader_select(struct head_reader *reader, struct selector selector, struct arena *arena,
                         struct id_view *ordinals, struct strbuf *why)
{
    struct head *head = reader->head;
    TRY(label_index_select(head->index, selector.matchers, selector.count, arena, ordinals, why));
    uint32_t *ids = (uint32_t *)ordinals->items;
    size_t count = 0;
    for (size_t i = 0; i < ordinals->count; i++) {
        if (visible_series(head, ids[i]) != NULL)
            ids[count++] = ids[i];
    }
    ordinals->count = count;
    return OK;
}

struct labels head_reader_labels(struct head_reader *reader, uint32_t ordinal, struct arena *arena)
{
    const struct head_series *series = head__series(reader->head, ordinal);
    if (series == NULL)
        return (struct labels){NULL, 0}; /* collected since it was selected */
    struct label *items = ARENA_NEW_ARRAY(arena, struct label, series->label_count);
    return head__series_labels(reader->head, series, items);
}

static uint32_t metric_name_pair(const struct head *head, const struct head_series *series,
                                 uint32_t name)
{
    for (uint32_t i = 0; series != NULL && i < series->label_count; i++) {
        if (label_index_pair_name(head->index, series->pairs[i]) == name)
            return series->pairs[i];
    }
    return LABEL_PAIR_NONE;
}

void head_reader_metric_names(struct head_reader *reader, struct id_view ordinals,
                              struct arena *arena, struct series *items)
{
    const struct head *head = reader->head;
    uint32_t name = label_index_find_name(reader->head->index, LABEL_NAME);
    uint32_t last_pair = LABEL_PAIR_NONE;
    struct labels last = {NULL, 0};
    for (size_t i = 0; i < ordinals.count && !arena_exhausted(arena); i++) {
        uint32_t pair = metric_name_pair(head, head__series(head, ordinals.items[i]), name);
        if (pair != last_pair) {
            last_pair = pair;
            last = (struct labels){NULL, 0};
            if (pair != LABEL_PAIR_NONE) {
                struct label *label = ARENA_NEW_ARRAY(arena, struct label, 1);
                *label = label_index_label(head->index, pair);
                last = (struct labels){label, 1};
            }
        }
        items[i].labels = last;
    }
}

/* ---- names and values ---- */

struct marking {
    struct head *head;
    uint8_t *seen; /* by name, or by pair of the wanted name */
    size_t seen_size;
    void (*add)(void *context, struct str text);
    void *context;
};

static bool mark(struct marking *marking, uint32_t id)
{
    if (id >= marking->seen_size) {
        size_t size = (size_t)id + id / 2 + 64;
        marking->seen = mem_realloc(MEM_POSTINGS, marking->seen, size);
        memset(marking->seen + marking->seen_size, 0, size - marking->seen_size);
        marking->seen_size = size;
    }
    bool fresh = marking->seen[id] == 0;
    marking->seen[id] = 1;
    return fresh;
}

err_t head_reader_names(struct head_reader *reader, struct selector selector,
                        void (*add)(void *context, struct str text), void *context,
                        struct strbuf *why)
{
    struct head *head = reader->head;
    struct arena arena;
    arena_init(&arena, MEM_QUERY, SIZE_MAX);
    struct id_view ordinals;
    struct marking marking = {.head = head, .add = add, .context = context};
    err_t err = head_reader_select(reader, selector, &arena, &ordinals, why);
    for (size_t i = 0; err == OK && i < ordinals.count; i++) {
        const struct head_series *series = visible_series(head, ordinals.items[i]);
        for (uint32_t j = 0; series != NULL && j < series->label_count; j++) {
            uint32_t name = label_index_pair_name(head->index, series->pairs[j]);
            if (mark(&marking, name))
                add(context, label_index_name(head->index, name));
        }
    }
    mem_free(MEM_POSTINGS, marking.seen);
    arena_deinit(&arena);
    return err;
}

static void values_of_all(struct head *head, uint32_t name,
                          void (*add)(void *context, struct str text), void *context)
{
    struct id_view pairs = label_index_name_pairs(head->index, name);
    for (size_t i = 0; i < pairs.count; i++) {
        if (label_index_pair_series(head->index, pairs.items[i]) > 0)
            add(context, label_index_label(head->index, pairs.items[i]).value);
    }
}

err_t head_reader_values(struct head_reader *reader, struct str name_text, struct selector selector,
                         void (*add)(void *context, struct str text), void *context,
                         struct strbuf *why)
{
    struct head *head = reader->head;
    uint32_t name = label_index_find_name(head->index, name_text);
    if (name == UINT32_MAX)
        return OK;
    if (selector.count == 0) {
        values_of_all(head, name, add, context);
        return OK;
    }
    struct arena arena;
    arena_init(&arena, MEM_QUERY, SIZE_MAX);
    struct id_view ordinals;
    struct marking marking = {.head = head, .add = add, .context = context};
    err_t err = head_reader_select(reader, selector, &arena, &ordinals, why);
    for (size_t i = 0; err == OK && i < ordinals.count; i++) {
        const struct head_series *series = visible_series(head, ordinals.items[i]);
        for (uint32_t j = 0; series != NULL && j < series->label_count; j++) {
            uint32_t pair = series->pairs[j];
            if (label_index_pair_name(head->index, pair) == name && mark(&marking, pair))
                add(context, label_index_label(head->index, pair).value);
        }
    }
    mem_free(MEM_POSTINGS, marking.seen);
    arena_deinit(&arena);
    return err;
}

/* ---- cardinality ---- */

/* The `limit` largest, kept by insertion. */
struct top_list {
    struct name_count *items;
    size_t count;
    size_t limit;
    struct arena *arena;
};

static void top_init(struct top_list *top, size_t limit, struct arena *arena)
{
    *top = (struct top_list){
        .items = ARENA_NEW_ARRAY(arena, struct name_count, limit + 1),
        .limit = limit,
        .arena = arena,
    };
}

static bool top_wants(const struct top_list *top, uint64_t value)
{
    return value > 0 && top->limit > 0 &&
           (top->count < top->limit || top->items[top->count - 1].value < value);
}

static void top_add(struct top_list *top, struct str name, uint64_t value)
{
    size_t at = top->count < top->limit ? top->count++ : top->count - 1;
    for (; at > 0 && top->items[at - 1].value < value; at--)
        top->items[at] = top->items[at - 1];
    top->items[at] = (struct name_count){name, value};
}

struct top_lists {
    struct top_list metrics, values, bytes, pairs;
};

static void count_name(struct head *head, uint32_t name, struct arena *arena,
                       struct top_lists *tops, uint64_t *pair_count)
{
    struct id_view pairs = label_index_name_pairs(head->index, name);
    if (pairs.count == 0)
        return;
    struct str text = label_index_name(head->index, name);
    bool is_metric = str_equal(text, LABEL_NAME);
    uint64_t values = 0, bytes = 0;
    for (size_t i = 0; i < pairs.count; i++) {
        uint32_t series = label_index_pair_series(head->index, pairs.items[i]);
        if (series == 0)
            continue;
        struct label label = label_index_label(head->index, pairs.items[i]);
        values++;
        bytes += label.value.size;
        if (is_metric && top_wants(&tops->metrics, series))
            top_add(&tops->metrics, arena_str(arena, label.value), series);
        if (top_wants(&tops->pairs, series))
            top_add(&tops->pairs,
                    arena_printf(arena, "%.*s=%.*s", STR_ARG(text), STR_ARG(label.value)), series);
    }
    *pair_count += values;
    text = arena_str(arena, text);
    if (top_wants(&tops->values, values))
        top_add(&tops->values, text, values);
    if (top_wants(&tops->bytes, bytes))
        top_add(&tops->bytes, text, bytes);
}

void head_cardinality(struct head *head, size_t limit, struct arena *arena,
                      struct cardinality *result)
{
    struct head_stats stats;
    head_stats(head, &stats);
    *result = (struct cardinality){
        .series_count = stats.series_count,
        .column_count = stats.column_count,
        .min_t_ms = stats.min_t_ms,
        .max_t_ms = stats.max_t_ms,
    };
    struct top_lists tops;
    struct top_list *all[] = {&tops.metrics, &tops.values, &tops.bytes, &tops.pairs};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        top_init(all[i], limit, arena);
    struct head_reader reader;
    head_reader_open(head, &reader);
    for (uint32_t name = 0; name < label_index_name_count(head->index); name++)
        count_name(head, name, arena, &tops, &result->label_pair_count);
    head_reader_close(&reader);
    result->series_by_metric = (struct name_count_list){tops.metrics.items, tops.metrics.count};
    result->values_by_label = (struct name_count_list){tops.values.items, tops.values.count};
    result->bytes_by_label = (struct name_count_list){tops.bytes.items, tops.bytes.count};
    result->series_by_pair = (struct name_count_list){tops.pairs.items, tops.pairs.count};
}
