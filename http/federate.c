/* /federate: the newest sample of every matching series, as text or protobuf. */
#include "federate.h"

#include <stdlib.h>

#include "narthex/base/number.h"
#include "narthex/model/exposition_writer.h"

/* One request; lives in its arena until the answer is sent. */
struct federation {
    struct http_request *request;
    struct exposition_form form;
    struct labels external;
    int64_t start_ms;
    int64_t end_ms;
    const struct selector *selectors;
    size_t selector_count;
    struct querier *querier;
    struct federated *items; /* sorted by name, then labels */
    size_t count;
    size_t next;          /* to be written */
    struct str last_name; /* written before */
};

static int compare_federated(const void *a, const void *b)
{
    const struct federated *x = a;
    const struct federated *y = b;
    int order = str_compare(labels_get(x->labels, LABEL_NAME), labels_get(y->labels, LABEL_NAME));
    return order != 0 ? order : labels_compare(x->labels, y->labels);
}

struct labels federate__labels(struct arena *arena, const struct federated *item,
                               struct labels external)
{
    struct label *out =
        ARENA_NEW_ARRAY(arena, struct label, item->labels.count + external.count + 1);
    struct label empty = {STR("instance"), STR("")};
    uint32_t count = 0;
    for (uint32_t i = 0; i < item->labels.count; i++) {
        if (!str_equal(item->labels.items[i].name, LABEL_NAME))
            out[count++] = item->labels.items[i];
    }
    /* The empty instance stands among the external labels by its name. */
    bool needs_instance =
        !labels_has(item->labels, empty.name) && !labels_has(external, empty.name);
    for (uint32_t i = 0; i < external.count; i++) {
        const struct label *label = &external.items[i];
        if (needs_instance && str_compare(label->name, empty.name) > 0) {
            out[count++] = empty;
            needs_instance = false;
        }
        if (!labels_has(item->labels, label->name))
            out[count++] = *label;
    }
    if (needs_instance)
        out[count++] = empty;
    return (struct labels){out, count};
}

/* ---- text ---- */

static struct str escaped(struct arena *arena, struct str name, enum name_escaping escaping)
{
    struct strbuf out = STRBUF_INIT;
    name_escape(name, escaping, &out);
    struct str copy = arena_str(arena, strbuf_str(&out));
    strbuf_deinit(&out);
    return copy;
}

static void add_line(struct strbuf *out, struct arena *arena, const struct federated *item,
                     struct str name, struct labels labels, enum name_escaping escaping)
{
    char text[NUMBER_TEXT_MAX];
    struct label *items = ARENA_NEW_ARRAY(arena, struct label, labels.count);
    for (uint32_t i = 0; i < labels.count; i++)
        items[i] =
            (struct label){escaped(arena, labels.items[i].name, escaping), labels.items[i].value};
    exposition_add_key(out, name, (struct labels){items, labels.count});
    strbuf_add_char(out, ' ');
    strbuf_add(out, text, number_format_general(item->value, 6, text));
    strbuf_printf(out, " %lld\n", (long long)item->t_ms);
}

static void write_item(struct federation *f, const struct federated *item, struct strbuf *out)
{
    struct arena *arena = &f->request->arena;
    if (item->histogram != NULL)
        return; /* has no form in this text */
    struct arena_mark mark = arena_mark(arena);
    struct str raw_name = labels_get(item->labels, LABEL_NAME);
    struct str name = escaped(arena, raw_name, f->form.escaping);
    if (!str_equal(raw_name, f->last_name)) {
        strbuf_add_cstr(out, "# TYPE ");
        if (metric_name_is_valid(name, NAME_SCHEME_LEGACY))
            strbuf_add_str(out, name);
        else
            exposition_add_quoted(out, name);
        strbuf_add_cstr(out, " untyped\n");
    }
    f->last_name = raw_name;
    add_line(out, arena, item, name, federate__labels(arena, item, f->external), f->form.escaping);
    arena_reset_to(arena, mark);
}

static bool next_items(void *context, struct strbuf *out)
{
    struct federation *f = context;
    size_t full = out->size + HTTP_PIECE_BYTES;
    while (f->next < f->count && out->size < full) {
        if (f->form.protobuf)
            f->next += federate__write_family(out, f->items + f->next, f->count - f->next,
                                              f->external, f->form.escaping);
        else
            write_item(f, &f->items[f->next++], out);
    }
    return f->next < f->count;
}

static void close_federation(void *context)
{
    struct federation *f = context;
    querier_close(f->querier);
}

/* ---- collecting ---- */

/* Takes sample i of a column. */
static bool take(struct arena *arena, const struct sample_column *column, uint32_t i,
                 struct federated *item)
{
    item->t_ms = column->t_ms[i];
    item->histogram = NULL;
    item->value = 0;
    if (column->kind == SAMPLES_FLOAT) {
        item->value = column->values[i];
        return !value_is_stale(item->value);
    }
    if (histogram_is_stale(&column->histograms[i]))
        return false;
    item->histogram = histogram_to_float(arena, &column->histograms[i]);
    return true;
}

/* Newest sample at or before `end_ms`; *found false when there is none or it is stale. */
static err_t newest(struct arena *arena, struct series_cursor *cursor, const struct series *series,
                    int64_t start_ms, int64_t end_ms, struct federated *item, bool *found,
                    struct strbuf *why)
{
    struct sample_column_info info;
    bool more;
    *found = false;
    item->labels = series->labels;
    TRY(series_cursor_seek(cursor, series, start_ms, end_ms, why));
    for (;;) {
        TRY(series_cursor_next(cursor, &info, &more, why));
        if (!more || info.first_t_ms > end_ms)
            return OK;
        struct sample_column column;
        TRY(series_cursor_decode(cursor, &column, why));
        uint32_t last = column.count;
        for (uint32_t i = 0; i < column.count; i++) {
            if (column.t_ms[i] > start_ms && column.t_ms[i] <= end_ms)
                last = i;
        }
        if (last < column.count)
            *found = take(arena, &column, last, item);
    }
}

static void sort_and_unite(struct federation *f)
{
    if (f->count > 0)
        qsort(f->items, f->count, sizeof *f->items, compare_federated);
    size_t kept = 0;
    for (size_t i = 0; i < f->count; i++) {
        if (kept == 0 || !labels_equal(f->items[kept - 1].labels, f->items[i].labels))
            f->items[kept++] = f->items[i];
    }
    f->count = kept;
}

static err_t collect(struct federation *f, struct strbuf *why)
{
    struct arena *arena = &f->request->arena;
    struct select_hints hints = {.start_ms = f->start_ms, .end_ms = f->end_ms};
    struct series_cursor *cursor;
    TRY(querier_cursor_open(f->querier, &hints, &cursor, why));
    err_t err = OK;
    for (size_t s = 0; s < f->selector_count; s++) {
        struct series_list list;
        /* A selector of nothing is no wish for everything. */
        if (f->selectors[s].count == 0)
            continue;
        TRY_OUT(querier_select(f->querier, f->selectors[s], &hints, arena, &list, why));
        struct federated *grown = ARENA_NEW_ARRAY(arena, struct federated, f->count + list.count);
        for (size_t i = 0; i < f->count; i++)
            grown[i] = f->items[i];
        f->items = grown;
        for (size_t i = 0; i < list.count; i++) {
            bool found;
            TRY_OUT(newest(arena, cursor, &list.items[i], f->start_ms, f->end_ms,
                           &f->items[f->count], &found, why));
            f->count += found && labels_has(list.items[i].labels, LABEL_NAME);
        }
    }
    sort_and_unite(f);
out:
    series_cursor_close(cursor);
    return err;
}

static err_t answer(struct http_request *request, const struct selector *selectors, size_t count,
                    struct strbuf *why)
{
    struct federation *f = ARENA_NEW(&request->arena, struct federation);
    f->request = request;
    f->form = negotiate__exposition(request);
    f->end_ms = clock_wall_ms(request->services->clock);
    f->start_ms = f->end_ms - request->services->lookback_ms;
    f->selectors = selectors;
    f->selector_count = count;
    request->response.status = 200;
    request->response.content_type = f->form.content_type;
    TRY(storage_querier_open(request->services->storage, f->start_ms, f->end_ms, &f->querier, why));
    err_t err = collect(f, why);
    if (err != OK) {
        querier_close(f->querier);
        return err;
    }
    f->external = request->services->external_labels(request->services->owner, &request->arena);
    http__answer_pieces(
        request, (struct http_pieces){.next = next_items, .close = close_federation, .context = f});
    return OK;
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
    if (err == OK)
        err = answer(request, selectors, parsed, &why);
    if (err != OK) {
        strbuf_add_char(&why, '\n');
        http__text(request, err == ERR_INVALID ? 400 : 500, strbuf_cstr(&why));
    }
    for (size_t i = 0; i < parsed; i++)
        promql_selector_deinit(&selectors[i]);
    strbuf_deinit(&why);
}
