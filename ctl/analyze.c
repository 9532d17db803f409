/* narthexctl tsdb analyze: which labels a block's series have, which of them come and go, and how
 * full its columns are. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "block_rows.h"
#include "narthex/base/vec.h"
#include "narthex/query/promql.h"

/* Something that is counted; the strings live as long as the block. */
struct entry {
    uint64_t count;
    struct str name;
    struct str value; /* "name=value"; empty: the name alone */
};

struct entry_list {
    const char *title;
    const char *key; /* in JSON */
    struct entry *items;
    size_t count;
    size_t capacity;
};

enum list_kind {
    CHURN_PAIRS,
    CHURN_NAMES,
    COMMON_PAIRS,
    VALUE_LENGTHS,
    NAME_CARDINALITY,
    METRIC_CARDINALITY,
    LIST_COUNT,
};

enum { FULLNESS_STEPS = 10 };

/* Columns of one kind. */
struct column_sizes {
    uint64_t count;
    uint64_t samples;
    uint64_t bytes;
    uint64_t bytes_min, bytes_max;
    uint64_t fullness[FULLNESS_STEPS]; /* [i]: up to (i + 1) tenths of COLUMN_ROWS_MAX samples */
};

struct analysis {
    const struct block *block;
    const struct block_meta *meta;
    const struct ctl_arguments *arguments;
    struct arena arena;
    struct selector selector; /* count 0: all series */
    /* per series */
    bool *selected;
    int64_t *uncovered_ms; /* of the block's range */
    uint32_t matched;
    uint64_t pair_count;
    uint64_t posting_count;
    struct entry_list lists[LIST_COUNT];
    struct column_sizes floats, histograms;
};

/* ---- reading ---- */

static void count_column(struct column_sizes *sizes, uint32_t samples, uint64_t bytes)
{
    uint32_t step = (samples * FULLNESS_STEPS + COLUMN_ROWS_MAX - 1) / COLUMN_ROWS_MAX - 1;
    sizes->fullness[step < FULLNESS_STEPS ? step : FULLNESS_STEPS - 1]++;
    sizes->bytes_min = sizes->count == 0 || bytes < sizes->bytes_min ? bytes : sizes->bytes_min;
    sizes->bytes_max = bytes > sizes->bytes_max ? bytes : sizes->bytes_max;
    sizes->bytes += bytes;
    sizes->samples += samples;
    sizes->count++;
}

/* A series that has no sample in a part of the range came or went there. */
static err_t read_columns(struct analysis *a, struct block_cursor *cursor, uint32_t series,
                          struct strbuf *why)
{
    struct block_column_info info;
    struct block_column column;
    bool found;
    bool extended = ctl_switch(a->arguments, "extended");
    a->uncovered_ms[series] = a->meta->max_t_ms - a->meta->min_t_ms;
    TRY(block_cursor_seek(cursor, series, INT64_MIN, INT64_MAX, why));
    for (;;) {
        TRY(block_cursor_next(cursor, &info, &found, why));
        if (!found)
            return OK;
        a->uncovered_ms[series] -= info.last_t_ms - info.first_t_ms;
        if (!extended)
            continue;
        TRY(block_cursor_raw(cursor, &column, why));
        count_column(info.kind == BLOCK_COLUMN_FLOAT ? &a->floats : &a->histograms, info.count,
                     info.constant ? 0 : column.size);
    }
}

static err_t read_series(struct analysis *a, struct strbuf *why)
{
    uint32_t count = a->meta->counts.series;
    struct block_cursor *cursor = block_cursor_create(a->block);
    err_t err = OK;
    a->selected = ARENA_NEW_ARRAY(&a->arena, bool, count + 1);
    a->uncovered_ms = ARENA_NEW_ARRAY(&a->arena, int64_t, count + 1);
    for (uint32_t i = 0; i < count && err == OK; i++) {
        struct arena_mark mark = arena_mark(&a->arena);
        struct labels labels;
        err = block_cursor_labels(cursor, i, &a->arena, &labels, why);
        a->selected[i] =
            err == OK && matchers_match(a->selector.matchers, a->selector.count, labels);
        arena_reset_to(&a->arena, mark);
        if (a->selected[i]) {
            a->matched++;
            err = read_columns(a, cursor, i, why);
        }
    }
    block_cursor_destroy(cursor);
    return err;
}

static void add(struct analysis *a, enum list_kind kind, uint64_t count, struct str name,
                struct str value)
{
    struct entry_list *list = &a->lists[kind];
    VEC_PUSH(MEM_BLOCK, list->items, list->count, list->capacity,
             (struct entry){count, name, value});
}

/* What a name sums up over its values. */
struct name_sums {
    uint64_t values;
    uint64_t value_bytes;
    int64_t uncovered_ms;
};

static err_t read_pair(struct analysis *a, struct str name, uint32_t index, uint32_t **postings,
                       struct name_sums *sums, struct strbuf *why)
{
    struct block_pair pair;
    uint64_t series = 0;
    int64_t uncovered_ms = 0;
    TRY(block_pair(a->block, index, &pair, why));
    *postings = mem_realloc(MEM_BLOCK, *postings, pair.series_count * sizeof **postings);
    TRY(block_postings(a->block, index, *postings, why));
    for (uint32_t i = 0; i < pair.series_count; i++) {
        uint32_t ordinal = (*postings)[i];
        if (!a->selected[ordinal])
            continue;
        series++;
        uncovered_ms += a->uncovered_ms[ordinal];
    }
    if (series == 0)
        return OK;
    int64_t range_ms = a->meta->max_t_ms - a->meta->min_t_ms;
    a->pair_count++;
    a->posting_count += series;
    sums->values++;
    sums->value_bytes += pair.value.size;
    sums->uncovered_ms += uncovered_ms;
    add(a, CHURN_PAIRS, (uint64_t)(uncovered_ms / range_ms), name, pair.value);
    add(a, COMMON_PAIRS, series, name, pair.value);
    if (str_equal(name, LABEL_NAME))
        add(a, METRIC_CARDINALITY, series, pair.value, STR(""));
    return OK;
}

static err_t read_names(struct analysis *a, struct strbuf *why)
{
    uint32_t *postings = NULL;
    err_t err = OK;
    int64_t range_ms = a->meta->max_t_ms - a->meta->min_t_ms;
    for (uint32_t i = 0; i < block_name_count(a->block) && err == OK; i++) {
        struct block_name name;
        struct name_sums sums = {0};
        TRY_OUT(block_name(a->block, i, &name, why));
        for (uint32_t p = 0; p < name.pair_count; p++)
            TRY_OUT(read_pair(a, name.name, name.first_pair + p, &postings, &sums, why));
        if (sums.values == 0)
            continue;
        add(a, CHURN_NAMES, (uint64_t)(sums.uncovered_ms / range_ms), name.name, STR(""));
        add(a, VALUE_LENGTHS, sums.value_bytes, name.name, STR(""));
        add(a, NAME_CARDINALITY, sums.values, name.name, STR(""));
    }
out:
    mem_free(MEM_BLOCK, postings);
    return err;
}

static int by_count(const void *left, const void *right)
{
    const struct entry *x = left, *y = right;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    int order = str_compare(x->name, y->name);
    return order != 0 ? order : str_compare(x->value, y->value);
}

static void finish_lists(struct analysis *a)
{
    int64_t limit = strtoll(ctl_option(a->arguments, "limit", "20"), NULL, 10);
    for (size_t i = 0; i < LIST_COUNT; i++) {
        struct entry_list *list = &a->lists[i];
        if (list->count > 0)
            qsort(list->items, list->count, sizeof *list->items, by_count);
        if (limit < 0 || (uint64_t)limit < list->count)
            list->count = limit < 0 ? 0 : (size_t)limit;
    }
}

/* ---- printing ---- */

static void print_entry(const struct entry_list *list, const struct entry *entry)
{
    bool is_pair = list->key[0] == 'p';
    printf("%llu %.*s", (unsigned long long)entry->count, STR_ARG(entry->name));
    if (is_pair)
        printf("=%.*s", STR_ARG(entry->value));
    printf("\n");
}

static void print_columns(const char *what, const struct column_sizes *sizes)
{
    if (sizes->count == 0)
        return;
    printf("Fullness: Amount of samples in %s columns (100%% is %d samples)\n", what,
           COLUMN_ROWS_MAX);
    for (int i = 0; i < FULLNESS_STEPS; i++) {
        printf("%7d%%: ", (i + 1) * (100 / FULLNESS_STEPS));
        for (uint64_t bar = 0; bar < 100 * sizes->fullness[i] / sizes->count; bar++)
            putchar('#');
        printf("\n");
    }
    printf("\nSize of %s columns: min/avg/max %llu/%.1f/%llu bytes, %.2f bytes a sample\n", what,
           (unsigned long long)sizes->bytes_min, (double)sizes->bytes / (double)sizes->count,
           (unsigned long long)sizes->bytes_max, (double)sizes->bytes / (double)sizes->samples);
}

static void print_text(const struct analysis *a)
{
    struct strbuf duration = STRBUF_INIT;
    ctl_go_duration_add(&duration, a->meta->max_t_ms - a->meta->min_t_ms);
    printf("Block ID: %s\nDuration: %s\nTotal Series: %u\n", a->meta->ulid.text,
           strbuf_cstr(&duration), a->meta->counts.series);
    if (a->selector.count > 0)
        printf("Matched series: %u\n", a->matched);
    printf("Label names: %u\nPostings (unique label pairs): %llu\n"
           "Postings entries (total label pairs): %llu\n",
           block_name_count(a->block), (unsigned long long)a->pair_count,
           (unsigned long long)a->posting_count);
    for (size_t i = 0; i < LIST_COUNT; i++) {
        printf("\n%s:\n", a->lists[i].title);
        for (size_t e = 0; e < a->lists[i].count; e++)
            print_entry(&a->lists[i], &a->lists[i].items[e]);
    }
    if (ctl_switch(a->arguments, "extended")) {
        printf("\nCompaction analysis:\n");
        print_columns("float", &a->floats);
        print_columns("histogram", &a->histograms);
    }
    strbuf_deinit(&duration);
}

static json_t *columns_json(const struct column_sizes *sizes)
{
    json_t *fullness = json_array();
    for (int i = 0; i < FULLNESS_STEPS; i++)
        json_array_append_new(fullness, json_integer((json_int_t)sizes->fullness[i]));
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "columns", (json_int_t)sizes->count,
                     "samples", (json_int_t)sizes->samples, "bytes", (json_int_t)sizes->bytes,
                     "minBytes", (json_int_t)sizes->bytes_min, "maxBytes",
                     (json_int_t)sizes->bytes_max, "fullness", fullness);
}

static void print_json(const struct analysis *a)
{
    json_t *root = json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "ulid", a->meta->ulid.text, "minTime",
        (json_int_t)a->meta->min_t_ms, "maxTime", (json_int_t)a->meta->max_t_ms, "numSeries",
        (json_int_t)a->meta->counts.series, "matchedSeries", (json_int_t)a->matched, "labelNames",
        (json_int_t)block_name_count(a->block), "labelPairs", (json_int_t)a->pair_count, "postings",
        (json_int_t)a->posting_count);
    for (size_t i = 0; i < LIST_COUNT; i++) {
        const struct entry_list *list = &a->lists[i];
        json_t *items = json_array();
        for (size_t e = 0; e < list->count; e++) {
            const struct entry *entry = &list->items[e];
            json_t *item = json_pack("{s:I, s:s%}", "count", (json_int_t)entry->count, "name",
                                     entry->name.data, entry->name.size);
            if (list->key[0] == 'p')
                json_object_set_new(item, "value",
                                    json_stringn(entry->value.data, entry->value.size));
            json_array_append_new(items, item);
        }
        json_object_set_new(root, list->key, items);
    }
    if (ctl_switch(a->arguments, "extended")) {
        json_object_set_new(root, "floatColumns", columns_json(&a->floats));
        json_object_set_new(root, "histogramColumns", columns_json(&a->histograms));
    }
    json_dumpf(root, stdout, JSON_COMPACT);
    printf("\n");
    json_decref(root);
}

/* ---- the whole ---- */

static err_t analyze_block(struct analysis *a, struct strbuf *why)
{
    const char *match = ctl_option(a->arguments, "match", NULL);
    if (match != NULL)
        TRY(promql_parse_selector(str_from_cstr(match), true, &a->arena, &a->selector, why));
    err_t err = read_series(a, why);
    if (err == OK)
        err = read_names(a, why);
    if (err == OK) {
        finish_lists(a);
        if (ctl_wants_json(a->arguments))
            print_json(a);
        else
            print_text(a);
    }
    if (match != NULL)
        promql_selector_deinit(&a->selector);
    return err;
}

static int analyze(const char *folder, const char *ulid, const struct ctl_arguments *arguments)
{
    struct block *block;
    struct strbuf why = STRBUF_INIT;
    char path[4096];
    struct analysis a = {
        .arguments = arguments,
        .lists = {{.title = "Label pairs most involved in churning", .key = "pairsByChurn"},
                  {.title = "Label names most involved in churning", .key = "namesByChurn"},
                  {.title = "Most common label pairs", .key = "pairsBySeries"},
                  {.title = "Label names with highest cumulative label value length",
                   .key = "namesByValueLength"},
                  {.title = "Highest cardinality labels", .key = "namesByValues"},
                  {.title = "Highest cardinality metric names", .key = "metricsBySeries"}},
    };
    snprintf(path, sizeof path, "%s/%s", folder, ulid);
    arena_init(&a.arena, MEM_BLOCK, SIZE_MAX);
    err_t err = ctl_block_open(path, &block, &why);
    if (err == OK) {
        a.block = block;
        a.meta = block_meta(block);
        err = analyze_block(&a, &why);
        for (size_t i = 0; i < LIST_COUNT; i++)
            mem_free(MEM_BLOCK, a.lists[i].items);
        block_close(block);
    }
    if (err != OK)
        fprintf(stderr, "%s\n", strbuf_cstr(&why));
    arena_deinit(&a.arena);
    strbuf_deinit(&why);
    return err == OK ? CTL_OK : CTL_FAILED;
}

/* Only blocks are looked at: what is in the head yet, is not. */
int ctl_tsdb_analyze(const struct ctl_arguments *arguments)
{
    const char *folder = ctl_folder(arguments);
    const char *wanted = arguments->rest_count > 1 ? arguments->rest[1] : NULL;
    struct ctl_block_rows rows = {0};
    struct block_ulid ulid = {""};
    int failures = ctl_block_rows_read(&rows, folder);
    for (uint32_t i = 0; i < rows.count; i++) {
        if (wanted == NULL || str_equal_cstr(str_from_cstr(rows.items[i].ulid.text), wanted))
            ulid = rows.items[i].ulid;
    }
    mem_free(MEM_BLOCK, rows.items);
    if (ulid.text[0] != '\0')
        return analyze(folder, ulid.text, arguments);
    if (failures == 0)
        fprintf(stderr, "block %s not found\n", wanted == NULL ? "" : wanted);
    return CTL_FAILED;
}
