/* /api/v1/search/…: names and values found by parts of them (spec http-api.md 1.11).
 *
 * A text matches a search term when it holds the term; else the chosen fuzzy algorithm gives it a
 * score from 0 to 1, and it matches when that is above 0 and reaches the threshold. Scores rank
 * equal texts (1) over prefixes (0.95), other parts (0.9) and fuzzy matches (below). */
#include "request.h"

#include <math.h>
#include <stdlib.h>

enum {
    SEARCH_TERMS_MAX = 32,
    SEARCH_LIMIT_DEFAULT = 100,
    SEARCH_BATCH_DEFAULT = 100,
    SEARCH_RANGE_MS = 3600 * 1000,
    SEARCH_TEXT_MAX = 4096, /* longer texts are matched by parts only */
};

#define SCORE_PREFIX 0.95
#define SCORE_PART 0.9

enum search_subject { SEARCH_METRICS, SEARCH_LABELS, SEARCH_VALUES };

struct search {
    enum search_subject subject;
    struct str *terms; /* in lower case unless case_sensitive */
    size_t term_count;
    bool jaro_winkler;
    bool case_sensitive;
    bool include_score;
    bool include_metadata;
    bool by_score;
    bool descending;
    double threshold; /* 0 to 1 */
    size_t limit;     /* 0: none */
    size_t batch_size;
    int64_t start_ms;
    int64_t end_ms;
    struct str label;
    struct selector *selectors;
    size_t selector_count;
};

struct hit {
    struct str text;
    double score;
};

/* ---- matching ---- */

static struct str lowered(struct arena *arena, struct str text)
{
    char *out = arena_alloc(arena, text.size + 1);
    for (size_t i = 0; i < text.size; i++)
        out[i] =
            (char)(text.data[i] >= 'A' && text.data[i] <= 'Z' ? text.data[i] | 32 : text.data[i]);
    return str_from(out, text.size);
}

/* All bytes of the term in order; the closer together they stand, the better. */
static double subsequence_score(struct str term, struct str text)
{
    size_t at = 0, first = 0, last = 0;
    for (size_t i = 0; i < term.size; i++) {
        size_t hit = str_find(text, term.data[i], at);
        if (hit == SIZE_MAX)
            return 0;
        if (i == 0)
            first = hit;
        last = hit;
        at = hit + 1;
    }
    return (double)term.size / (double)(last - first + 1);
}

/* Similarity by Jaro and Winkler: shares of common bytes near each other, prefixes of up to four
 * count more. */
static double jaro_winkler_score(struct str a, struct str b)
{
    enum { PREFIX_MAX = 4 };
    bool in_a[SEARCH_TEXT_MAX] = {false}, in_b[SEARCH_TEXT_MAX] = {false};
    size_t longer = a.size > b.size ? a.size : b.size;
    size_t window = longer / 2 > 0 ? longer / 2 - 1 : 0;
    size_t common = 0;
    for (size_t i = 0; i < a.size; i++) {
        size_t from = i > window ? i - window : 0;
        size_t to = i + window + 1 < b.size ? i + window + 1 : b.size;
        for (size_t j = from; j < to; j++) {
            if (in_b[j] || a.data[i] != b.data[j])
                continue;
            in_a[i] = in_b[j] = true;
            common++;
            break;
        }
    }
    if (common == 0)
        return 0;
    size_t swapped = 0;
    for (size_t i = 0, j = 0; i < a.size; i++) {
        if (!in_a[i])
            continue;
        while (!in_b[j])
            j++;
        swapped += a.data[i] != b.data[j++];
    }
    double m = (double)common;
    double jaro = (m / (double)a.size + m / (double)b.size + (m - (double)swapped / 2) / m) / 3;
    size_t prefix = 0;
    while (prefix < PREFIX_MAX && prefix < a.size && prefix < b.size &&
           a.data[prefix] == b.data[prefix])
        prefix++;
    return jaro + (double)prefix * 0.1 * (1 - jaro);
}

static double term_score(const struct search *search, struct str term, struct str text)
{
    if (str_equal(term, text))
        return 1;
    if (str_starts_with(text, term))
        return SCORE_PREFIX;
    if (memmem(text.data, text.size, term.data, term.size) != NULL)
        return SCORE_PART;
    if (text.size > SEARCH_TEXT_MAX || term.size > SEARCH_TEXT_MAX || text.size == 0)
        return 0;
    double score =
        search->jaro_winkler ? jaro_winkler_score(term, text) : subsequence_score(term, text);
    return score < search->threshold ? 0 : score * SCORE_PART;
}

/* The best of all terms; 1 without any. */
static double score_of(const struct search *search, struct str text)
{
    double best = search->term_count == 0 ? 1 : 0;
    struct arena arena;
    arena_init(&arena, MEM_HTTP, SIZE_MAX);
    if (!search->case_sensitive)
        text = lowered(&arena, text);
    for (size_t i = 0; i < search->term_count && best < 1; i++)
        best = fmax(best, term_score(search, search->terms[i], text));
    arena_deinit(&arena);
    return best;
}

/* ---- parameters ---- */

static bool fail(struct http_request *request, const char *name, const char *text)
{
    http__api_invalid_parameter(request, name, text);
    return false;
}

static bool read_bool(struct http_request *request, const char *name, bool *value)
{
    struct str text = http__param(request, name);
    return text.size == 0 || http__parse_bool(text, value) ||
           fail(request, name, "must be a boolean");
}

static bool read_size(struct http_request *request, const char *name, size_t *value)
{
    struct strbuf why = STRBUF_INIT;
    struct str text = http__param(request, name);
    bool ok = text.size == 0 || http__parse_limit(text, value, &why) == OK ||
              fail(request, name, strbuf_cstr(&why));
    strbuf_deinit(&why);
    return ok;
}

/* One of two words; *second tells which. */
static bool read_choice(struct http_request *request, const char *name, const char *first_word,
                        const char *second_word, bool *second)
{
    struct str text = http__param(request, name);
    if (text.size == 0)
        return true;
    *second = str_equal_cstr(text, second_word);
    if (*second || str_equal_cstr(text, first_word))
        return true;
    struct str why =
        arena_printf(&request->arena, "must be \"%s\" or \"%s\"", first_word, second_word);
    return fail(request, name, why.data);
}

static bool read_terms(struct http_request *request, struct search *search)
{
    search->term_count = http__params_all(request, "search[]", &search->terms);
    if (search->term_count > SEARCH_TERMS_MAX)
        return fail(request, "search[]", "at most 32 terms are allowed");
    for (size_t i = 0; i < search->term_count && !search->case_sensitive; i++)
        search->terms[i] = lowered(&request->arena, search->terms[i]);
    return true;
}

static bool read_threshold(struct http_request *request, struct search *search)
{
    int64_t percent = 0;
    struct str text = http__param(request, "fuzz_threshold");
    if (text.size > 0 && (!str_to_int64(text, &percent) || percent < 0 || percent > 100))
        return fail(request, "fuzz_threshold", "must be an integer between 0 and 100");
    search->threshold = (double)percent / 100;
    return true;
}

static bool read_order(struct http_request *request, struct search *search)
{
    if (!read_choice(request, "sort_by", "alpha", "score", &search->by_score) ||
        !read_choice(request, "sort_dir", "asc", "dsc", &search->descending))
        return false;
    if (search->by_score && search->term_count == 0)
        return fail(request, "sort_by", "score needs search[]");
    if (search->by_score && http__param(request, "sort_dir").size > 0)
        return fail(request, "sort_dir", "is for sort_by=alpha only");
    return true;
}

static bool read_limits(struct http_request *request, struct search *search)
{
    int64_t cap = request->services->search_max_limit;
    search->limit = SEARCH_LIMIT_DEFAULT;
    search->batch_size = SEARCH_BATCH_DEFAULT;
    if (!read_size(request, "limit", &search->limit) ||
        !read_size(request, "batch_size", &search->batch_size))
        return false;
    if (cap > 0 && (search->limit == 0 || search->limit > (size_t)cap)) {
        struct str why =
            arena_printf(&request->arena, "must be between 1 and %lld", (long long)cap);
        return fail(request, "limit", why.data);
    }
    if (search->batch_size == 0)
        search->batch_size = SEARCH_BATCH_DEFAULT;
    return true;
}

static bool read_selectors(struct http_request *request, struct search *search)
{
    struct str *texts;
    struct strbuf why = STRBUF_INIT;
    size_t count = http__params_all(request, "match[]", &texts);
    bool ok = true;
    search->selectors = ARENA_NEW_ARRAY(&request->arena, struct selector, count);
    for (size_t i = 0; i < count && ok; i++) {
        ok = promql_parse_selector(texts[i], false, &request->arena, &search->selectors[i], &why) ==
             OK;
        search->selector_count += ok;
        if (!ok)
            fail(request, "match[]", strbuf_cstr(&why));
    }
    strbuf_deinit(&why);
    return ok;
}

static bool read_search(struct http_request *request, struct search *search)
{
    search->case_sensitive = true;
    search->end_ms = clock_wall_ms(request->services->clock);
    search->start_ms = search->end_ms - SEARCH_RANGE_MS;
    if (search->subject == SEARCH_VALUES) {
        search->label = http__param(request, "label");
        if (search->label.size == 0) {
            http__api_error(request, API_BAD_DATA, "missing required parameter \"label\"");
            return false;
        }
    } else {
        search->label = search->subject == SEARCH_METRICS ? LABEL_NAME : STR("");
    }
    return read_bool(request, "case_sensitive", &search->case_sensitive) &&
           read_bool(request, "include_score", &search->include_score) &&
           read_bool(request, "include_metadata", &search->include_metadata) &&
           read_choice(request, "fuzz_alg", "subsequence", "jarowinkler", &search->jaro_winkler) &&
           read_threshold(request, search) && read_terms(request, search) &&
           read_order(request, search) && read_limits(request, search) &&
           http__optional_time(request, "start", &search->start_ms) &&
           http__optional_time(request, "end", &search->end_ms) && read_selectors(request, search);
}

/* ---- finding ---- */

static int compare_texts(const void *a, const void *b)
{
    return str_compare(((const struct hit *)a)->text, ((const struct hit *)b)->text);
}

static int compare_scores(const void *a, const void *b)
{
    double x = ((const struct hit *)a)->score, y = ((const struct hit *)b)->score;
    return x != y ? (x < y) - (x > y) : compare_texts(a, b);
}

/* All names or values, sorted, without repeats, in the arena. */
static err_t list_texts(struct http_request *request, const struct search *search,
                        struct querier *querier, struct hit **hits, size_t *count,
                        struct strbuf *why)
{
    size_t rounds = search->selector_count == 0 ? 1 : search->selector_count;
    struct str_list *lists = ARENA_NEW_ARRAY(&request->arena, struct str_list, rounds);
    size_t total = 0;
    for (size_t i = 0; i < rounds; i++) {
        struct selector selector = {0};
        if (search->selector_count > 0)
            selector = search->selectors[i];
        if (search->subject == SEARCH_LABELS)
            TRY(querier_label_names(querier, selector, 0, &request->arena, &lists[i], why));
        else
            TRY(querier_label_values(querier, search->label, selector, 0, &request->arena,
                                     &lists[i], why));
        total += lists[i].count;
    }
    *hits = ARENA_NEW_ARRAY(&request->arena, struct hit, total);
    *count = 0;
    for (size_t i = 0; i < rounds; i++) {
        for (size_t j = 0; j < lists[i].count; j++)
            (*hits)[(*count)++].text = lists[i].items[j];
    }
    if (rounds > 1)
        qsort(*hits, *count, sizeof **hits, compare_texts);
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        if (kept == 0 || !str_equal((*hits)[kept - 1].text, (*hits)[i].text))
            (*hits)[kept++] = (*hits)[i];
    }
    *count = kept;
    return OK;
}

static void keep_matching(const struct search *search, struct hit *hits, size_t *count)
{
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        hits[i].score = score_of(search, hits[i].text);
        if (hits[i].score > 0)
            hits[kept++] = hits[i];
    }
    *count = kept;
    if (search->by_score)
        qsort(hits, kept, sizeof *hits, compare_scores);
    for (size_t i = 0; search->descending && i < kept / 2; i++) {
        struct hit swapped = hits[i];
        hits[i] = hits[kept - 1 - i];
        hits[kept - 1 - i] = swapped;
    }
}

/* ---- answering ---- */

static void add_metadata(struct http_request *request, struct strbuf *out, struct str metric)
{
    struct metadata_view view;
    scrape_manager_metadata(request->services->scraper, metric, &request->arena, &view);
    if (view.count == 0)
        return;
    const struct metadata *metadata = &view.items[0].metadata;
    strbuf_printf(out, ",\"type\":\"%s\",\"help\":", metadata_type_name(metadata->type));
    json_add_string(out, metadata->help, true);
    strbuf_add_cstr(out, ",\"unit\":");
    json_add_string(out, metadata->unit, true);
}

static void add_hit(struct http_request *request, const struct search *search, struct strbuf *out,
                    const struct hit *hit)
{
    strbuf_add_cstr(out, search->subject == SEARCH_VALUES ? "{\"value\":" : "{\"name\":");
    json_add_string(out, hit->text, true);
    if (search->include_score) {
        strbuf_add_cstr(out, ",\"score\":");
        json_add_number(out, hit->score);
    }
    if (search->include_metadata && search->subject == SEARCH_METRICS)
        add_metadata(request, out, hit->text);
    strbuf_add_char(out, '}');
}

static void answer(struct http_request *request, const struct search *search,
                   const struct hit *hits, size_t found)
{
    struct strbuf *out = &request->response.body;
    size_t count = search->limit > 0 && found > search->limit ? search->limit : found;
    request->response.status = 200;
    request->response.content_type = "application/x-ndjson; charset=utf-8";
    size_t at = 0;
    do {
        size_t end = count - at < search->batch_size ? count : at + search->batch_size;
        strbuf_add_cstr(out, "{\"results\":[");
        for (size_t i = at; i < end; i++) {
            if (i > at)
                strbuf_add_char(out, ',');
            add_hit(request, search, out, &hits[i]);
        }
        strbuf_add_cstr(out, "]}\n");
        at = end;
    } while (at < count);
    strbuf_printf(out, "{\"status\":\"success\",\"has_more\":%s}\n",
                  count < found ? "true" : "false");
}

static void run(struct http_request *request, enum search_subject subject)
{
    struct search search = {.subject = subject};
    struct strbuf why = STRBUF_INIT;
    struct querier *querier;
    if (!request->services->search_api) {
        http__api_error(request, API_UNAVAILABLE, "search API disabled");
        return;
    }
    if (!http__bad_escape(request) && read_search(request, &search)) {
        struct hit *hits;
        size_t count;
        err_t err = storage_querier_open(request->services->storage, search.start_ms, search.end_ms,
                                         &querier, &why);
        if (err == OK) {
            err = list_texts(request, &search, querier, &hits, &count, &why);
            querier_close(querier);
        }
        if (err != OK) {
            http__api_error(request, API_EXECUTION, strbuf_cstr(&why));
        } else {
            keep_matching(&search, hits, &count);
            answer(request, &search, hits, count);
        }
    }
    for (size_t i = 0; i < search.selector_count; i++)
        promql_selector_deinit(&search.selectors[i]);
    strbuf_deinit(&why);
}

void http__search_metric_names(struct http_request *request)
{
    run(request, SEARCH_METRICS);
}

void http__search_label_names(struct http_request *request)
{
    run(request, SEARCH_LABELS);
}

void http__search_label_values(struct http_request *request)
{
    run(request, SEARCH_VALUES);
}
