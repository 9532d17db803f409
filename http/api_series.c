/* /api/v1/series, labels, label/<name>/values. */
#include "request.h"

#include <stdlib.h>

struct series_request {
    int64_t start_ms;
    int64_t end_ms;
    size_t limit;
    struct selector *selectors;
    size_t selector_count;
    struct str label; /* values of it; empty: names */
};

/* What an answer lists; lives in the request's arena until it is sent. */
struct listing {
    struct querier *querier;   /* the views are its */
    struct series_list series; /* one of both */
    struct str_list texts;
    size_t count;
    size_t next;
    bool is_cut;
};

static void free_selectors(struct series_request *r)
{
    for (size_t i = 0; i < r->selector_count; i++)
        promql_selector_deinit(&r->selectors[i]);
}

/* limit, start, end and match[]; prefixed: selector errors name their parameter. */
static bool read_request(struct http_request *request, bool prefixed, struct series_request *r)
{
    struct strbuf why = STRBUF_INIT;
    *r = (struct series_request){0};
    bool ok = http__parse_limit(http__param(request, "limit"), &r->limit, &why) == OK;
    if (!ok)
        http__api_invalid_parameter(request, "limit", strbuf_cstr(&why));
    r->start_ms = INT64_MIN;
    r->end_ms = INT64_MAX;
    ok = ok && http__optional_time(request, "start", &r->start_ms) &&
         http__optional_time(request, "end", &r->end_ms);
    struct str *texts;
    size_t count = http__params_all(request, "match[]", &texts);
    r->selectors = ARENA_NEW_ARRAY(&request->arena, struct selector, count);
    for (size_t i = 0; i < count && ok; i++) {
        if (promql_parse_selector(texts[i], false, &request->arena, &r->selectors[i], &why) == OK) {
            r->selector_count++;
            continue;
        }
        if (prefixed)
            http__api_invalid_parameter(request, "match[]", strbuf_cstr(&why));
        else
            http__api_error(request, API_BAD_DATA, strbuf_cstr(&why));
        ok = false;
    }
    strbuf_deinit(&why);
    if (!ok)
        free_selectors(r);
    return ok;
}

static int compare_series(const void *a, const void *b)
{
    return labels_compare(((const struct series *)a)->labels, ((const struct series *)b)->labels);
}

/* All selections in one sorted list without repeats. */
static err_t select_all(struct http_request *request, const struct series_request *r,
                        struct listing *listing, struct strbuf *why)
{
    struct series_list *all = &listing->series;
    struct select_hints hints = {
        .start_ms = r->start_ms, .end_ms = r->end_ms, .function = STR("series")};
    struct series_list *lists =
        ARENA_NEW_ARRAY(&request->arena, struct series_list, r->selector_count);
    size_t total = 0;
    for (size_t i = 0; i < r->selector_count; i++) {
        TRY(querier_select(listing->querier, r->selectors[i], &hints, &request->arena, &lists[i],
                           why));
        total += lists[i].count;
    }
    all->items = ARENA_NEW_ARRAY(&request->arena, struct series, total);
    for (size_t i = 0; i < r->selector_count; i++) {
        for (size_t s = 0; s < lists[i].count; s++)
            all->items[all->count++] = lists[i].items[s];
    }
    if (r->selector_count > 1)
        qsort(all->items, all->count, sizeof *all->items, compare_series);
    size_t kept = 0;
    for (size_t i = 0; i < all->count; i++) {
        if (kept == 0 || !labels_equal(all->items[kept - 1].labels, all->items[i].labels))
            all->items[kept++] = all->items[i];
    }
    listing->count = all->count = kept;
    return OK;
}

static int compare_strs(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

/* Label names, or the values of one, over all selectors (or all series). */
static err_t list_all(struct http_request *request, const struct series_request *r,
                      struct listing *listing, struct strbuf *why)
{
    struct querier *querier = listing->querier;
    struct str_list *all = &listing->texts;
    size_t rounds = r->selector_count == 0 ? 1 : r->selector_count;
    for (size_t i = 0; i < rounds; i++) {
        struct selector selector =
            r->selector_count == 0 ? (struct selector){NULL, 0} : r->selectors[i];
        struct str_list list = {0};
        if (r->label.size == 0)
            TRY(querier_label_names(querier, selector, 0, &request->arena, &list, why));
        else
            TRY(querier_label_values(querier, r->label, selector, 0, &request->arena, &list, why));
        struct str *merged = ARENA_NEW_ARRAY(&request->arena, struct str, all->count + list.count);
        for (size_t s = 0; s < all->count; s++)
            merged[s] = all->items[s];
        for (size_t s = 0; s < list.count; s++)
            merged[all->count + s] = list.items[s];
        all->items = merged;
        all->count += list.count;
    }
    if (rounds > 1)
        qsort(all->items, all->count, sizeof *all->items, compare_strs);
    size_t kept = 0;
    for (size_t i = 0; i < all->count; i++) {
        if (kept == 0 || !str_equal(all->items[kept - 1], all->items[i]))
            all->items[kept++] = all->items[i];
    }
    listing->count = all->count = kept;
    return OK;
}

static bool next_items(void *context, struct strbuf *out)
{
    static const struct str truncated[] = {STR_INIT("results truncated due to limit")};
    struct listing *listing = context;
    size_t full = out->size + HTTP_PIECE_BYTES;
    for (; listing->next < listing->count && out->size < full; listing->next++) {
        if (listing->next > 0)
            strbuf_add_char(out, ',');
        if (listing->series.items != NULL)
            json_add_labels(out, listing->series.items[listing->next].labels);
        else
            json_add_string(out, listing->texts.items[listing->next], true);
    }
    if (listing->next < listing->count)
        return true;
    strbuf_add_char(out, ']');
    http__api_end_in(out, truncated, listing->is_cut, NULL, 0);
    return false;
}

static void close_listing(void *context)
{
    struct listing *listing = context;
    querier_close(listing->querier);
}

/* Answers with what `find` finds. */
static void answer(struct http_request *request, const struct series_request *r,
                   err_t (*find)(struct http_request *, const struct series_request *,
                                 struct listing *, struct strbuf *))
{
    struct strbuf why = STRBUF_INIT;
    struct listing *listing = ARENA_NEW(&request->arena, struct listing);
    err_t err = storage_querier_open(request->services->storage, r->start_ms, r->end_ms,
                                     &listing->querier, &why);
    if (err == OK) {
        err = find(request, r, listing, &why);
        if (err != OK)
            querier_close(listing->querier);
    }
    if (err != OK) {
        http__api_error(request, API_EXECUTION, strbuf_cstr(&why));
    } else {
        listing->is_cut = r->limit > 0 && listing->count > r->limit;
        listing->count = listing->is_cut ? r->limit : listing->count;
        strbuf_add_char(http__api_begin(request), '[');
        http__answer_pieces(
            request,
            (struct http_pieces){.next = next_items, .close = close_listing, .context = listing});
    }
    strbuf_deinit(&why);
}

void http__series(struct http_request *request)
{
    struct series_request r;
    if (http__bad_escape(request))
        return;
    if (!http__has_param(request, "match[]")) {
        http__api_error(request, API_BAD_DATA, "no match[] parameter provided");
        return;
    }
    if (!read_request(request, true, &r))
        return;
    answer(request, &r, select_all);
    free_selectors(&r);
}

static void answer_texts(struct http_request *request, struct str label)
{
    struct series_request r;
    if (!read_request(request, label.size > 0, &r))
        return;
    r.label = label;
    answer(request, &r, list_all);
    free_selectors(&r);
}

void http__labels(struct http_request *request)
{
    answer_texts(request, STR(""));
}

void http__label_values(struct http_request *request)
{
    struct strbuf unescaped = STRBUF_INIT;
    struct str name = request->path_param;
    if (str_starts_with(name, STR("U__"))) {
        name_unescape_values(name, &unescaped);
        name = strbuf_str(&unescaped);
    }
    if (!label_name_is_valid(name, NAME_SCHEME_UTF8)) {
        struct strbuf text = STRBUF_INIT;
        strbuf_add_cstr(&text, "invalid label name: ");
        strbuf_add_quoted(&text, name);
        http__api_error(request, API_BAD_DATA, strbuf_cstr(&text));
        strbuf_deinit(&text);
    } else {
        answer_texts(request, name);
    }
    strbuf_deinit(&unescaped);
}
