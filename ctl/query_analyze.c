/* narthexctl query analyze: how many buckets of histograms are in use, classic and native ones, by
 * the samples that a server has of them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bucket_usage.h"
#include "client.h"
#include "narthex/base/api_time.h"
#include "narthex/base/clock.h"
#include "narthex/base/duration.h"
#include "narthex/base/hash.h"
#include "narthex/base/number.h"
#include "narthex/base/vec.h"
#include "narthex/model/labels.h"
#include "table.h"

/* Series of one bucket of a classic histogram. */
struct bucket_series {
    double le;
    const char *le_text;
    const json_t *values;
    size_t at; /* next value to be looked at */
};

struct histogram_usage {
    struct str name; /* of the whole: name{labels}; in the arena */
    bool native;
    bool shown; /* false: known by its sum only, buckets are to be asked for */
    struct bucket_series *buckets;
    uint32_t bucket_count;
    uint32_t bucket_capacity;
    struct bucket_usage usage;
};

struct usages {
    struct arena arena;
    struct htable by_name;
    struct histogram_usage *items;
    uint32_t count;
    uint32_t capacity;
    json_t *answers; /* all of them: series point into them */
};

static bool name_equal(const void *owner, uint32_t item, const void *key)
{
    const struct usages *usages = owner;
    return str_equal(usages->items[item].name, *(const struct str *)key);
}

static struct histogram_usage *find_or_add(struct usages *usages, struct str name, bool may_add)
{
    uint64_t hash = hash_str(name);
    uint32_t found = htable_find(&usages->by_name, hash, name_equal, usages, &name);
    if (found != HTABLE_NONE || !may_add)
        return found == HTABLE_NONE ? NULL : &usages->items[found];
    VEC_PUSH(MEM_QUERY, usages->items, usages->count, usages->capacity,
             (struct histogram_usage){.name = arena_str(&usages->arena, name)});
    usage_init(&usages->items[usages->count - 1].usage);
    htable_insert(&usages->by_name, hash, usages->count - 1);
    return &usages->items[usages->count - 1];
}

static void usages_deinit(struct usages *usages)
{
    for (uint32_t i = 0; i < usages->count; i++) {
        usage_deinit(&usages->items[i].usage);
        mem_free(MEM_QUERY, usages->items[i].buckets);
    }
    mem_free(MEM_QUERY, usages->items);
    htable_deinit(&usages->by_name);
    json_decref(usages->answers);
    arena_deinit(&usages->arena);
}

/* ---- sorting the answer ---- */

/* The histogram that a series belongs to, by its name without `ending` and its labels without le.
 */
static void print_base(const json_t *metric, size_t ending, struct strbuf *out)
{
    struct label_builder builder = {0};
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)metric, name, value)
    {
        struct str text = str_from(json_string_value(value), json_string_length(value));
        bool is_name = strcmp(name, "__name__") == 0;
        if (is_name)
            text.size -= ending;
        if (is_name || ending == 0 || strcmp(name, "le") != 0)
            label_builder_set(&builder, str_from_cstr(name), text);
    }
    labels_print_metric(label_builder_labels(&builder), out);
    label_builder_deinit(&builder);
}

static void add_native(struct usages *usages, const json_t *series)
{
    struct strbuf name = STRBUF_INIT;
    struct strbuf key = STRBUF_INIT;
    print_base(json_object_get(series, "metric"), 0, &name);
    struct histogram_usage *histogram = find_or_add(usages, strbuf_str(&name), true);
    size_t index, b;
    json_t *point, *bucket;
    if (!histogram->shown) { /* selectors may overlap */
        histogram->native = histogram->shown = true;
        json_array_foreach(json_object_get(series, "histograms"), index, point)
        {
            json_t *buckets = json_object_get(json_array_get(point, 1), "buckets");
            json_array_foreach(buckets, b, bucket)
            {
                const char *lower = json_string_value(json_array_get(bucket, 1));
                const char *upper = json_string_value(json_array_get(bucket, 2));
                const char *count = json_string_value(json_array_get(bucket, 3));
                if (lower == NULL || upper == NULL || count == NULL)
                    continue;
                strbuf_clear(&key);
                strbuf_printf(&key, "%s %s", lower, upper);
                usage_set(&histogram->usage, strbuf_str(&key), strtod(count, NULL));
            }
            usage_end_scrape(&histogram->usage);
        }
    }
    strbuf_deinit(&key);
    strbuf_deinit(&name);
}

/* `only_known`: leave out what no selector chose. */
static void add_bucket(struct usages *usages, const json_t *series, bool only_known)
{
    const json_t *metric = json_object_get(series, "metric");
    const char *le = json_string_value(json_object_get(metric, "le"));
    struct strbuf name = STRBUF_INIT;
    struct bucket_series bucket = {.le_text = le, .values = json_object_get(series, "values")};
    bool range;
    if (number_parse(str_from_cstr(le), &bucket.le, &range)) {
        print_base(metric, strlen("_bucket"), &name);
        struct histogram_usage *histogram = find_or_add(usages, strbuf_str(&name), !only_known);
        bool known = histogram == NULL;
        for (uint32_t i = 0; !known && i < histogram->bucket_count; i++)
            known = histogram->buckets[i].le == bucket.le;
        if (!known) {
            histogram->shown = true;
            VEC_PUSH(MEM_QUERY, histogram->buckets, histogram->bucket_count,
                     histogram->bucket_capacity, bucket);
        }
    }
    strbuf_deinit(&name);
}

/* A selector may name the sum of a classic histogram: its buckets are asked for by themselves. */
static void add_sum(struct usages *usages, const json_t *series)
{
    struct strbuf name = STRBUF_INIT;
    print_base(json_object_get(series, "metric"), strlen("_sum"), &name);
    find_or_add(usages, strbuf_str(&name), true);
    strbuf_deinit(&name);
}

static void add_series(struct usages *usages, const json_t *data, bool only_known)
{
    size_t index;
    json_t *series;
    json_array_foreach(json_object_get(data, "result"), index, series)
    {
        const json_t *metric = json_object_get(series, "metric");
        struct str name = str_from_cstr(json_string_value(json_object_get(metric, "__name__")));
        if (json_object_get(series, "histograms") != NULL)
            add_native(usages, series);
        else if (str_ends_with(name, STR("_bucket")) && json_object_get(metric, "le") != NULL)
            add_bucket(usages, series, only_known);
        else if (str_ends_with(name, STR("_sum")))
            add_sum(usages, series);
    }
}

/* ---- classic histograms ---- */

static int by_le(const void *a, const void *b)
{
    const struct bucket_series *x = a, *y = b;
    return (x->le > y->le) - (x->le < y->le);
}

static double value_at(const json_t *values, size_t index, int part)
{
    const json_t *item = json_array_get(json_array_get(values, index), (size_t)part);
    const char *text = json_string_value(item);
    return text == NULL ? json_number_value(item) : strtod(text, NULL);
}

/* Scrapes at which every bucket has a sample, in order. */
static void walk_scrapes(struct histogram_usage *histogram)
{
    struct bucket_series *first = &histogram->buckets[0];
    qsort(histogram->buckets, histogram->bucket_count, sizeof *histogram->buckets, by_le);
    for (; first->at < json_array_size(first->values); first->at++) {
        double time = value_at(first->values, first->at, 0);
        double below = 0;
        bool whole = true;
        for (uint32_t i = 1; i < histogram->bucket_count && whole; i++) {
            struct bucket_series *bucket = &histogram->buckets[i];
            size_t count = json_array_size(bucket->values);
            while (bucket->at < count && value_at(bucket->values, bucket->at, 0) < time)
                bucket->at++;
            whole = bucket->at < count && value_at(bucket->values, bucket->at, 0) == time;
        }
        if (!whole)
            continue;
        for (uint32_t i = 0; i < histogram->bucket_count; i++) {
            struct bucket_series *bucket = &histogram->buckets[i];
            double cumulative = value_at(bucket->values, bucket->at, 1);
            usage_set(&histogram->usage, str_from_cstr(bucket->le_text), cumulative - below);
            below = cumulative;
        }
        usage_end_scrape(&histogram->usage);
    }
}

/* ---- asking ---- */

static bool ask(struct usages *usages, struct ctl_client *client,
                const struct ctl_arguments *arguments, const char *selector, int64_t t_ms,
                bool only_known)
{
    struct strbuf query = STRBUF_INIT;
    struct strbuf params = STRBUF_INIT;
    char time[25];
    json_t *whole;
    strbuf_printf(&query, "%s[", selector);
    duration_print(ctl_option_ms(arguments, "duration", "1h"), &query);
    strbuf_add_char(&query, ']');
    time[number_format_timestamp(t_ms, time)] = '\0';
    ctl_add_param(&params, "query", strbuf_cstr(&query));
    ctl_add_param(&params, "time", time);
    json_t *data = ctl_client_ask(client, ctl_option(arguments, "server", ""), "/query", &params,
                                  true, &whole);
    bool good = data != NULL;
    if (good) {
        add_series(usages, data, only_known);
        json_array_append_new(usages->answers, whole);
    } else {
        json_decref(whole);
    }
    strbuf_deinit(&params);
    strbuf_deinit(&query);
    return good;
}

/* Name of the metric in "name{labels}". */
static struct str metric_name(struct str name)
{
    size_t brace = str_find(name, '{', 0);
    return brace == SIZE_MAX ? name : str_from(name.data, brace);
}

/* Once for each metric of which only sums were selected. */
static bool ask_for_buckets(struct usages *usages, struct ctl_client *client,
                            const struct ctl_arguments *arguments, int64_t t_ms)
{
    bool good = true;
    for (uint32_t i = 0; i < usages->count && good; i++) {
        struct str name = metric_name(usages->items[i].name);
        bool asked = usages->items[i].shown;
        for (uint32_t k = 0; k < i && !asked; k++)
            asked = !usages->items[k].shown && str_equal(metric_name(usages->items[k].name), name);
        if (asked)
            continue;
        struct strbuf selector = STRBUF_INIT;
        struct str bucket = arena_printf(&usages->arena, "%.*s_bucket", STR_ARG(name));
        strbuf_add_cstr(&selector, "{__name__=");
        strbuf_add_quoted(&selector, bucket);
        strbuf_add_char(&selector, '}');
        good = ask(usages, client, arguments, strbuf_cstr(&selector), t_ms, true);
        strbuf_deinit(&selector);
    }
    return good;
}

static bool ask_all(struct usages *usages, const struct ctl_arguments *arguments, int64_t t_ms)
{
    struct ctl_client *client;
    struct strbuf why = STRBUF_INIT;
    bool good = ctl_client_open(arguments, &client, &why) == OK;
    if (!good) {
        ctl_fail(&why);
    } else {
        for (uint32_t i = 0; i < arguments->option_count && good; i++) {
            if (str_equal(arguments->options[i].name, STR("match")))
                good = ask(usages, client, arguments, arguments->options[i].value, t_ms, false);
        }
        good = good && ask_for_buckets(usages, client, arguments, t_ms);
        ctl_client_close(client);
    }
    for (uint32_t i = 0; i < usages->count && good; i++) {
        if (usages->items[i].bucket_count > 0)
            walk_scrapes(&usages->items[i]);
    }
    strbuf_deinit(&why);
    return good;
}

/* ---- printing ---- */

static int by_name(const void *a, const void *b)
{
    const struct histogram_usage *x = a, *y = b;
    return str_compare(x->name, y->name);
}

static void add_spread(struct ctl_table *table, const struct usage_spread *spread)
{
    if (spread->count == 0)
        ctl_table_add(table, "-");
    else
        ctl_table_add(table, "%.0f/%.3f/%.0f", spread->min, usage_average(spread), spread->max);
}

static void print_table(struct usages *usages)
{
    static const char *const headings[] = {"TYPE",    "SCRAPES", "BUCKETS", "POPULATED",
                                           "CHANGED", "DELTA",   "SERIES"};
    struct ctl_table table = {
        .arena = &usages->arena, .column_count = 7, .gap = 2, .last_ragged = true};
    uint64_t buckets[2] = {0}, histograms[2] = {0};
    for (size_t i = 0; i < sizeof headings / sizeof *headings; i++)
        ctl_table_add(&table, "%s", headings[i]);
    for (uint32_t i = 0; i < usages->count; i++) {
        const struct histogram_usage *histogram = &usages->items[i];
        if (!histogram->shown)
            continue;
        histograms[histogram->native]++;
        buckets[histogram->native] += histogram->usage.bucket_count;
        ctl_table_add(&table, "%s", histogram->native ? "native" : "classic");
        ctl_table_add(&table, "%llu", (unsigned long long)histogram->usage.scrape_count);
        ctl_table_add(&table, "%u", histogram->usage.bucket_count);
        add_spread(&table, &histogram->usage.populated);
        add_spread(&table, &histogram->usage.changed);
        add_spread(&table, &histogram->usage.delta);
        ctl_table_add(&table, "%.*s", STR_ARG(histogram->name));
    }
    ctl_table_print(&table, stdout);
    printf("\n%llu classic histograms with %llu buckets, %llu native histograms with %llu buckets; "
           "POPULATED, CHANGED and DELTA are min/avg/max of a scrape\n",
           (unsigned long long)histograms[0], (unsigned long long)buckets[0],
           (unsigned long long)histograms[1], (unsigned long long)buckets[1]);
}

static json_t *spread_json(const struct usage_spread *spread)
{
    return json_pack("{s:f, s:f, s:f}", "min", spread->min, "avg", usage_average(spread), "max",
                     spread->max);
}

static void print_json(const struct usages *usages)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < usages->count; i++) {
        const struct histogram_usage *histogram = &usages->items[i];
        if (!histogram->shown)
            continue;
        json_array_append_new(list, json_pack("{s:s%, s:s, s:I, s:I, s:o, s:o, s:o}", "series",
                                              histogram->name.data, histogram->name.size, "type",
                                              histogram->native ? "native" : "classic", "scrapes",
                                              (json_int_t)histogram->usage.scrape_count, "buckets",
                                              (json_int_t)histogram->usage.bucket_count,
                                              "populated", spread_json(&histogram->usage.populated),
                                              "changed", spread_json(&histogram->usage.changed),
                                              "delta", spread_json(&histogram->usage.delta)));
    }
    json_dumpf(list, stdout, JSON_COMPACT);
    printf("\n");
    json_decref(list);
}

int ctl_query_analyze(const struct ctl_arguments *arguments)
{
    static const char *const required[] = {"server", "type", "match"};
    struct strbuf why = STRBUF_INIT;
    int64_t t_ms = clock_wall_ms(clock_system());
    const char *time = ctl_option(arguments, "time", NULL);
    for (size_t i = 0; i < sizeof required / sizeof *required; i++) {
        if (!ctl_switch(arguments, required[i]))
            return ctl_usage_error("required flag --%s not provided", required[i]);
    }
    if (time != NULL && api_time_parse(str_from_cstr(time), &t_ms, &why) != OK) {
        fprintf(stderr, "error parsing time: %s\n", strbuf_cstr(&why));
        strbuf_deinit(&why);
        return CTL_FAILED;
    }
    struct usages usages = {.answers = json_array()};
    arena_init(&usages.arena, MEM_QUERY, SIZE_MAX);
    htable_init(&usages.by_name, MEM_QUERY);
    bool good = ask_all(&usages, arguments, t_ms);
    if (good) {
        if (usages.count > 0)
            qsort(usages.items, usages.count, sizeof *usages.items, by_name);
        if (ctl_wants_json(arguments))
            print_json(&usages);
        else
            print_table(&usages);
    }
    usages_deinit(&usages);
    return good ? CTL_OK : CTL_FAILED;
}
