/* /federate: the newest sample of every matching series in text format 0.0.4. */
#include "request.h"

#include <stdlib.h>

#include "narthex/base/number.h"

struct federated {
    struct labels labels;
    int64_t t_ms;
    double value;
};

static int compare_federated(const void *a, const void *b)
{
    const struct federated *x = a;
    const struct federated *y = b;
    int order = str_compare(labels_get(x->labels, LABEL_NAME), labels_get(y->labels, LABEL_NAME));
    return order != 0 ? order : labels_compare(x->labels, y->labels);
}

static void add_label_value(struct strbuf *out, struct str value)
{
    for (size_t i = 0; i < value.size; i++) {
        char c = value.data[i];
        if (c == '\\' || c == '"')
            strbuf_add_char(out, '\\');
        if (c == '\n')
            strbuf_add_cstr(out, "\\n");
        else
            strbuf_add_char(out, c);
    }
}

static void add_label(struct strbuf *out, bool *first, struct str name, struct str value)
{
    strbuf_add_char(out, *first ? '{' : ',');
    *first = false;
    strbuf_add_str(out, name);
    strbuf_add_cstr(out, "=\"");
    add_label_value(out, value);
    strbuf_add_char(out, '"');
}

static void add_line(struct strbuf *out, const struct federated *item, struct labels external)
{
    char text[NUMBER_TEXT_MAX];
    struct str name = labels_get(item->labels, LABEL_NAME);
    bool first = true;
    strbuf_add_str(out, name);
    for (uint32_t i = 0; i < item->labels.count; i++) {
        const struct label *label = &item->labels.items[i];
        if (!str_equal(label->name, LABEL_NAME))
            add_label(out, &first, label->name, label->value);
    }
    /* The empty instance stands among the external labels by its name. */
    bool needs_instance =
        !labels_has(item->labels, STR("instance")) && !labels_has(external, STR("instance"));
    for (uint32_t i = 0; i < external.count; i++) {
        const struct label *label = &external.items[i];
        if (needs_instance && str_compare(label->name, STR("instance")) > 0) {
            add_label(out, &first, STR("instance"), STR(""));
            needs_instance = false;
        }
        if (!labels_has(item->labels, label->name))
            add_label(out, &first, label->name, label->value);
    }
    if (needs_instance)
        add_label(out, &first, STR("instance"), STR(""));
    strbuf_add_cstr(out, first ? " " : "} ");
    strbuf_add(out, text, number_format_general(item->value, 6, text));
    strbuf_printf(out, " %lld\n", (long long)item->t_ms);
}

/* Newest float at or before `end_ms`; false when there is none or it is stale. */
static err_t newest(struct series_cursor *cursor, const struct series *series, int64_t start_ms,
                    int64_t end_ms, struct federated *item, bool *found, struct strbuf *why)
{
    struct sample_column_info info;
    bool more;
    *found = false;
    TRY(series_cursor_seek(cursor, series, start_ms, end_ms, why));
    for (;;) {
        TRY(series_cursor_next(cursor, &info, &more, why));
        if (!more)
            break;
        if (info.first_t_ms > end_ms)
            break;
        struct sample_column column;
        TRY(series_cursor_decode(cursor, &column, why));
        for (uint32_t i = 0; i < column.count; i++) {
            if (column.t_ms[i] <= start_ms || column.t_ms[i] > end_ms)
                continue;
            *found = column.kind == SAMPLES_FLOAT && !value_is_stale(column.values[i]);
            item->t_ms = column.t_ms[i];
            item->value = column.kind == SAMPLES_FLOAT ? column.values[i] : 0;
        }
    }
    item->labels = series->labels;
    return OK;
}

static err_t collect(struct http_request *request, struct querier *querier,
                     const struct selector *selectors, size_t selector_count, int64_t start_ms,
                     int64_t end_ms, struct strbuf *why)
{
    struct select_hints hints = {.start_ms = start_ms, .end_ms = end_ms};
    struct series_cursor *cursor;
    TRY(querier_cursor_open(querier, &hints, &cursor, why));
    struct federated *items = NULL;
    size_t count = 0;
    err_t err = OK;
    for (size_t s = 0; s < selector_count; s++) {
        struct series_list list;
        /* A selector of nothing is no wish for everything. */
        if (selectors[s].count == 0)
            continue;
        TRY_OUT(querier_select(querier, selectors[s], &hints, &request->arena, &list, why));
        struct federated *grown =
            ARENA_NEW_ARRAY(&request->arena, struct federated, count + list.count);
        for (size_t i = 0; i < count; i++)
            grown[i] = items[i];
        items = grown;
        for (size_t i = 0; i < list.count; i++) {
            bool found;
            TRY_OUT(newest(cursor, &list.items[i], start_ms, end_ms, &items[count], &found, why));
            count += found && labels_has(list.items[i].labels, LABEL_NAME);
        }
    }
    if (count > 0)
        qsort(items, count, sizeof *items, compare_federated);
    struct labels external =
        request->services->external_labels(request->services->owner, &request->arena);
    struct str last_name = STR("");
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && labels_equal(items[i - 1].labels, items[i].labels))
            continue;
        struct str name = labels_get(items[i].labels, LABEL_NAME);
        if (!str_equal(name, last_name))
            strbuf_printf(&request->response.body, "# TYPE %.*s untyped\n", STR_ARG(name));
        last_name = name;
        add_line(&request->response.body, &items[i], external);
    }
out:
    series_cursor_close(cursor);
    return err;
}

void http__federate(struct http_request *request)
{
    struct str *texts;
    size_t count = http__params_all(request, "match[]", &texts);
    struct selector *selectors = ARENA_NEW_ARRAY(&request->arena, struct selector, count);
    struct strbuf why = STRBUF_INIT;
    size_t parsed = 0;
    err_t err = OK;
    for (; parsed < count && err == OK; parsed++) {
        err = promql_parse_selector(texts[parsed], true, &request->arena, &selectors[parsed], &why);
        if (err != OK)
            break;
    }
    request->response.status = 200;
    request->response.content_type = "text/plain; version=0.0.4; charset=utf-8; "
                                     "escaping=underscores";
    if (err == OK && count > 0) {
        int64_t end_ms = clock_wall_ms(request->services->clock);
        int64_t start_ms = end_ms - request->services->lookback_ms;
        struct querier *querier;
        err = storage_querier_open(request->services->storage, start_ms, end_ms, &querier, &why);
        if (err == OK) {
            err = collect(request, querier, selectors, count, start_ms, end_ms, &why);
            querier_close(querier);
        }
    }
    if (err != OK) {
        strbuf_add_char(&why, '\n');
        http__text(request, err == ERR_INVALID ? 400 : 500, strbuf_cstr(&why));
    }
    for (size_t i = 0; i < parsed; i++)
        promql_selector_deinit(&selectors[i]);
    strbuf_deinit(&why);
}
