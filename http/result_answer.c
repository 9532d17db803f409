/* Results of queries as JSON, piece by piece. */
#include "result_answer.h"

#include "matrix_parts.h"
#include "narthex/base/number.h"

enum { POINTS_PER_TURN = 4096 };

/* How far the answer is written; lives in the request's arena. */
struct result_writer {
    struct http_request *request;
    struct query_result *result;
    size_t count; /* series to write */
    bool is_cut;
    size_t series;       /* the next one */
    uint32_t floats;     /* points of it that are written */
    uint32_t histograms; /* the same */
    struct json_times times;
    struct matrix_parts parts; /* instead of what counts above */
    struct strbuf head;        /* what comes before them */
    struct strbuf tail;        /* and behind */
};

static void add_float_point(struct strbuf *out, int64_t t_ms, double v)
{
    strbuf_add_char(out, '[');
    json_add_timestamp(out, t_ms);
    strbuf_add_char(out, ',');
    json_add_value(out, v);
    strbuf_add_char(out, ']');
}

static void add_histogram_point(struct strbuf *out, int64_t t_ms, const struct histogram *h)
{
    strbuf_add_char(out, '[');
    json_add_timestamp(out, t_ms);
    strbuf_add_char(out, ',');
    json_add_histogram(out, h);
    strbuf_add_char(out, ']');
}

static void begin_series(struct result_writer *w, struct strbuf *out)
{
    strbuf_add_cstr(out, w->series == 0 ? "{\"metric\":" : ",{\"metric\":");
    json_add_labels(out, w->result->series[w->series].labels);
}

static void add_sample(struct result_writer *w, struct strbuf *out)
{
    const struct query_series *series = &w->result->series[w->series];
    begin_series(w, out);
    if (series->float_count > 0) {
        strbuf_add_cstr(out, ",\"value\":");
        add_float_point(out, series->float_t_ms[0], series->floats[0]);
    } else {
        strbuf_add_cstr(out, ",\"histogram\":");
        add_histogram_point(out, series->histogram_t_ms[0], series->histograms[0]);
    }
    strbuf_add_char(out, '}');
    w->series++;
}

static void add_floats(struct result_writer *w, struct strbuf *out,
                       const struct query_series *series)
{
    uint32_t left = series->float_count - w->floats;
    uint32_t end = w->floats + (left < POINTS_PER_TURN ? left : POINTS_PER_TURN);
    if (w->floats == 0) {
        strbuf_add_cstr(out, ",\"values\":[");
        json_times_learn(&w->times, series);
    }
    json_add_float_points(out, &w->times, series, w->floats, end);
    if (end == series->float_count)
        strbuf_add_char(out, ']');
    w->floats = end;
}

static void add_histogram(struct result_writer *w, struct strbuf *out,
                          const struct query_series *series)
{
    uint32_t i = w->histograms++;
    strbuf_add_cstr(out, i == 0 ? ",\"histograms\":[" : ",");
    add_histogram_point(out, series->histogram_t_ms[i], series->histograms[i]);
    if (w->histograms == series->histogram_count)
        strbuf_add_char(out, ']');
}

/* Some points of the next series, and its end when they are the last. */
static void add_points(struct result_writer *w, struct strbuf *out)
{
    const struct query_series *series = &w->result->series[w->series];
    if (w->floats == 0 && w->histograms == 0)
        begin_series(w, out);
    if (w->floats < series->float_count)
        add_floats(w, out, series);
    else if (w->histograms < series->histogram_count)
        add_histogram(w, out, series);
    if (w->floats < series->float_count || w->histograms < series->histogram_count)
        return;
    strbuf_add_char(out, '}');
    w->floats = w->histograms = 0;
    w->series++;
}

static void end_answer(struct result_writer *w, struct strbuf *out)
{
    const struct query_result *result = w->result;
    struct http_request *request = w->request;
    struct str stats = http__param(request, "stats");
    if (stats.size > 0) {
        strbuf_add_cstr(out, ",\"stats\":");
        query_stats_add_json(out, &result->stats);
    }
    strbuf_add_char(out, '}');
    struct str *warnings = ARENA_NEW_ARRAY(&request->arena, struct str, result->warning_count + 2);
    size_t count = 0;
    for (size_t i = 0; i < result->warning_count; i++)
        warnings[count++] = result->warnings[i];
    if (w->is_cut)
        warnings[count++] = STR("results truncated due to limit");
    if (stats.size > 0 && !str_equal(stats, STR("true")) && !str_equal(stats, STR("all"))) {
        struct strbuf quoted = STRBUF_INIT;
        strbuf_add_quoted(&quoted, stats);
        warnings[count++] =
            arena_printf(&request->arena,
                         "value %s for parameter \"stats\" is deprecated and will be rejected in "
                         "the next major release, use \"true\" or \"all\"",
                         strbuf_cstr(&quoted));
        strbuf_deinit(&quoted);
    }
    http__api_end_in(out, warnings, count, result->infos, result->info_count);
}

static bool next_series(void *context, struct strbuf *out)
{
    struct result_writer *w = context;
    size_t full = out->size + HTTP_PIECE_BYTES;
    while (w->series < w->count && out->size < full) {
        if (w->result->type == QUERY_VECTOR)
            add_sample(w, out);
        else
            add_points(w, out);
    }
    if (w->series < w->count)
        return true;
    strbuf_add_char(out, ']');
    end_answer(w, out);
    return false;
}

static void make_part(void *context, size_t index, struct strbuf *out)
{
    struct result_writer *w = context;
    if (index == 0)
        strbuf_add_str(out, strbuf_str(&w->head));
    matrix_parts_render(&w->parts, index, out);
    if (index + 1 == w->parts.count)
        strbuf_add_str(out, strbuf_str(&w->tail));
}

static size_t measure_part(void *context, size_t index)
{
    struct result_writer *w = context;
    size_t size = matrix_parts_measure(&w->parts, index);
    size += index == 0 ? w->head.size : 0;
    return size + (index + 1 == w->parts.count ? w->tail.size : 0);
}

static void close_writer(void *context)
{
    struct result_writer *w = context;
    json_times_deinit(&w->times);
    matrix_parts_deinit(&w->parts);
    strbuf_deinit(&w->head);
    strbuf_deinit(&w->tail);
    query_result_destroy(w->result);
}

/* A scalar or a string with its time, a shortest float of seconds. */
static void add_single(struct strbuf *out, const struct query_result *result)
{
    strbuf_add_char(out, '[');
    json_add_number(out, (double)result->t_ms / 1000);
    strbuf_add_char(out, ',');
    if (result->type == QUERY_SCALAR) {
        char text[NUMBER_TEXT_MAX];
        strbuf_add_char(out, '"');
        strbuf_add(out, text, number_format_plain(result->scalar, text));
        strbuf_add_char(out, '"');
    } else {
        json_add_string(out, result->string, true);
    }
    strbuf_add_char(out, ']');
}

static void add_series(struct result_writer *w, struct strbuf *out)
{
    struct http_request *request = w->request;
    struct http_pieces pieces = {.close = close_writer, .context = w};
    if (matrix_parts_cut(&request->arena, w->result, w->count, &w->parts)) {
        w->head = *out;
        *out = (struct strbuf)STRBUF_INIT;
        strbuf_add_char(&w->tail, ']');
        end_answer(w, &w->tail);
        pieces.make = make_part;
        pieces.measure = measure_part;
        pieces.part_count = w->parts.count;
        pieces.bytes_about = w->parts.bytes_about;
    } else {
        pieces.next = next_series;
    }
    http__answer_pieces(request, pieces);
}

void result__answer(struct http_request *request, struct query_result *result, size_t limit)
{
    static const char *const types[] = {[QUERY_SCALAR] = "scalar",
                                        [QUERY_STRING] = "string",
                                        [QUERY_VECTOR] = "vector",
                                        [QUERY_MATRIX] = "matrix"};
    struct strbuf *out = http__api_begin(request);
    struct result_writer *w = ARENA_NEW(&request->arena, struct result_writer);
    w->request = request;
    w->result = result;
    w->is_cut = limit > 0 && result->series_count > limit;
    w->count = w->is_cut ? limit : result->series_count;
    strbuf_printf(out, "{\"resultType\":\"%s\",\"result\":", types[result->type]);
    if (result->type == QUERY_VECTOR || result->type == QUERY_MATRIX) {
        strbuf_add_char(out, '[');
        add_series(w, out);
    } else {
        add_single(out, result);
        end_answer(w, out);
        close_writer(w);
    }
}
