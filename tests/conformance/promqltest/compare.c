/* What a query gave against what the script expects. */
#include "runner.h"

#include <float.h>
#include <math.h>

#include "narthex/base/number.h"
#include "narthex/model/histogram_math.h"

static const double epsilon = 1e-6;

bool values_almost_equal(double a, double b)
{
    if (value_is_stale(a) || value_is_stale(b))
        return value_is_stale(a) && value_is_stale(b);
    if (isnan(a) && isnan(b))
        return true;
    if (a == b)
        return true;
    double size = fabs(a) + fabs(b);
    double difference = fabs(a - b);
    if (a == 0 || b == 0 || size < DBL_MIN)
        return difference < epsilon * DBL_MIN;
    return difference / (size < DBL_MAX ? size : DBL_MAX) < epsilon;
}

/* ---- histograms ---- */

static bool sides_almost_equal(const struct histogram_side *a, const struct histogram_side *b)
{
    if (a->span_count != b->span_count || a->bucket_count != b->bucket_count)
        return false;
    for (uint32_t i = 0; i < a->span_count; i++) {
        if (a->spans[i].offset != b->spans[i].offset || a->spans[i].length != b->spans[i].length)
            return false;
    }
    for (uint32_t i = 0; i < a->bucket_count; i++) {
        if (!values_almost_equal(a->counts[i].f, b->counts[i].f))
            return false;
    }
    return true;
}

bool histograms_almost_equal(struct arena *scratch, const struct histogram *expected,
                             const struct histogram *got, bool with_hint)
{
    const struct histogram *a = histogram_compact(scratch, expected);
    const struct histogram *b = histogram_compact(scratch, got);
    return a->schema == b->schema && a->zero_threshold == b->zero_threshold &&
           (!with_hint || a->hint == b->hint) && histogram_same_bounds(a, b) &&
           values_almost_equal(a->count.f, b->count.f) && values_almost_equal(a->sum, b->sum) &&
           values_almost_equal(a->zero_count.f, b->zero_count.f) &&
           sides_almost_equal(&a->positive, &b->positive) &&
           sides_almost_equal(&a->negative, &b->negative);
}

/* ---- one value ---- */

/* A float or a histogram of a result. */
struct point {
    int64_t t_ms;
    double value;
    const struct histogram *histogram;
};

static void print_point(struct strbuf *out, double value, const struct histogram *histogram)
{
    if (histogram != NULL) {
        static const char *const hints[] = {"", " reset", " not_reset", " gauge"};
        histogram_print(histogram, out);
        strbuf_printf(out, " schema %d%s", histogram->schema, hints[histogram->hint]);
        return;
    }
    char text[NUMBER_TEXT_MAX];
    if (value_is_stale(value))
        strbuf_add_cstr(out, "stale");
    else
        strbuf_add(out, text, number_format_json(value, text));
}

static bool point_matches(const struct item *expected, const struct point *got)
{
    if (expected->kind == ITEM_FLOAT)
        return got->histogram == NULL && values_almost_equal(expected->value, got->value);
    if (got->histogram == NULL)
        return false;
    struct arena scratch;
    arena_init(&scratch, MEM_TEST, SIZE_MAX);
    bool equal =
        histograms_almost_equal(&scratch, expected->histogram, got->histogram, expected->has_hint);
    arena_deinit(&scratch);
    return equal;
}

static err_t fail_point(struct strbuf *why, struct labels labels, const struct item *expected,
                        const struct point *got)
{
    strbuf_clear(why);
    labels_print(labels, why);
    if (got != NULL)
        strbuf_printf(why, " at %lld ms", (long long)got->t_ms);
    strbuf_add_cstr(why, ": expected ");
    if (expected == NULL)
        strbuf_add_cstr(why, "nothing");
    else
        print_point(why, expected->value, expected->histogram);
    strbuf_add_cstr(why, ", got ");
    if (got == NULL)
        strbuf_add_cstr(why, "nothing");
    else
        print_point(why, got->value, got->histogram);
    return ERR_INVALID;
}

static const struct series_line *find_line(const struct eval_command *eval, struct labels labels,
                                           size_t *index)
{
    const struct series_line *found = NULL;
    for (size_t i = 0; i < eval->series.count; i++) {
        /* Of equal lines the last one counts, at the place of the first. */
        if (!labels_equal(eval->series.items[i].labels, labels))
            continue;
        if (found == NULL)
            *index = i;
        found = &eval->series.items[i];
    }
    return found;
}

/* ---- vectors ---- */

struct labelled_point {
    struct labels labels;
    struct point point;
};

static err_t check_vector(const struct eval_command *eval, const struct labelled_point *points,
                          size_t count, struct strbuf *why)
{
    bool *seen = MEM_NEW_ARRAY(MEM_TEST, bool, eval->series.count + 1);
    err_t err = OK;
    for (size_t i = 0; i < count && err == OK; i++) {
        size_t index = 0;
        const struct series_line *line = find_line(eval, points[i].labels, &index);
        if (line == NULL) {
            err = fail_point(why, points[i].labels, NULL, &points[i].point);
        } else if (eval->ordered && index != i) {
            err = err_fail(why, ERR_INVALID, "series %zu is at place %zu of the result", index, i);
        } else if (seen[index]) {
            err = err_fail(why, ERR_INVALID, "a series is twice in the result");
        } else if (!point_matches(&line->values.items[0], &points[i].point)) {
            err = fail_point(why, line->labels, &line->values.items[0], &points[i].point);
        }
        seen[index] = true;
    }
    for (size_t i = 0; i < eval->series.count && err == OK; i++) {
        const struct series_line *line = &eval->series.items[i];
        size_t index = i;
        find_line(eval, line->labels, &index);
        if (!seen[index])
            err = fail_point(why, line->labels, &line->values.items[0], NULL);
    }
    mem_free(MEM_TEST, seen);
    return err;
}

static struct point series_point(const struct query_series *series, size_t index)
{
    if (index < series->float_count)
        return (struct point){.t_ms = series->float_t_ms[index], .value = series->floats[index]};
    index -= series->float_count;
    return (struct point){.t_ms = series->histogram_t_ms[index],
                          .histogram = series->histograms[index]};
}

static size_t series_point_count(const struct query_series *series)
{
    return (size_t)series->float_count + series->histogram_count;
}

static bool point_at(const struct query_series *series, int64_t t_ms, struct point *point)
{
    for (size_t i = 0; i < series_point_count(series); i++) {
        *point = series_point(series, i);
        if (point->t_ms == t_ms)
            return true;
    }
    return false;
}

/* The points at one time, in the order of the result. */
static err_t check_points_at(const struct eval_command *eval, const struct query_result *result,
                             int64_t t_ms, struct strbuf *why)
{
    struct labelled_point *points =
        MEM_NEW_ARRAY(MEM_TEST, struct labelled_point, result->series_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < result->series_count; i++) {
        const struct query_series *series = &result->series[i];
        points[count].labels = series->labels;
        if (point_at(series, t_ms, &points[count].point))
            count++;
    }
    err_t err = OK;
    if (!eval->has_scalar)
        err = check_vector(eval, points, count, why);
    else if (count != 1 || points[0].point.histogram != NULL ||
             !values_almost_equal(eval->scalar, points[0].point.value))
        err = err_fail(why, ERR_INVALID, "expected the scalar %g, got %zu series, first %g",
                       eval->scalar, count, count == 0 ? NAN : points[0].point.value);
    mem_free(MEM_TEST, points);
    return err;
}

err_t check_middle(const struct eval_command *eval, const struct query_result *result, int64_t t_ms,
                   struct strbuf *why)
{
    if (result->type != QUERY_MATRIX)
        return err_fail(why, ERR_INVALID, "a range query gave no matrix");
    return check_points_at(eval, result, t_ms, why);
}

/* ---- matrices ---- */

static err_t check_matrix_series(const struct series_line *line, const struct query_series *series,
                                 int64_t start_ms, int64_t step_ms, struct strbuf *why)
{
    size_t wanted = 0;
    for (size_t i = 0; i < line->values.count; i++) {
        const struct item *item = &line->values.items[i];
        if (item->kind == ITEM_OMITTED)
            continue;
        wanted++;
        struct point point;
        int64_t t_ms = start_ms + (int64_t)i * step_ms;
        if (!point_at(series, t_ms, &point)) {
            err_t err = fail_point(why, line->labels, item, NULL);
            strbuf_printf(why, " at %lld ms", (long long)t_ms);
            return err;
        }
        if (!point_matches(item, &point))
            return fail_point(why, line->labels, item, &point);
    }
    if (wanted == series_point_count(series))
        return OK;
    return err_fail(why, ERR_INVALID, "series %.*s has %zu points, expected %zu",
                    STR_ARG(labels_get(line->labels, LABEL_NAME)), series_point_count(series),
                    wanted);
}

static bool has_points(const struct series_line *line)
{
    for (size_t i = 0; i < line->values.count; i++) {
        if (line->values.items[i].kind != ITEM_OMITTED)
            return true;
    }
    return false;
}

static err_t check_matrix(const struct eval_command *eval, const struct query_result *result,
                          int64_t start_ms, int64_t step_ms, struct strbuf *why)
{
    if (result->type != QUERY_MATRIX)
        return err_fail(why, ERR_INVALID, "the result is no matrix");
    for (size_t i = 0; i < result->series_count; i++) {
        const struct query_series *series = &result->series[i];
        if (i > 0 && labels_compare(result->series[i - 1].labels, series->labels) >= 0)
            return err_fail(why, ERR_INVALID, "the matrix is not sorted by labels");
        size_t index = 0;
        const struct series_line *line = find_line(eval, series->labels, &index);
        struct point first = series_point_count(series) == 0 ? (struct point){.value = NAN}
                                                             : series_point(series, 0);
        if (line == NULL)
            return fail_point(why, series->labels, NULL, &first);
        TRY(check_matrix_series(line, series, start_ms, step_ms, why));
    }
    for (size_t i = 0; i < eval->series.count; i++) {
        const struct series_line *line = &eval->series.items[i];
        bool found = !has_points(line);
        for (size_t j = 0; j < result->series_count && !found; j++)
            found = labels_equal(result->series[j].labels, line->labels);
        if (!found)
            return fail_point(why, line->labels, &line->values.items[0], NULL);
    }
    return OK;
}

err_t check_range(const struct eval_command *eval, const struct query_result *result,
                  struct strbuf *why)
{
    return check_matrix(eval, result, eval->start_ms, eval->step_ms, why);
}

/* ---- instant results ---- */

err_t check_instant(const struct eval_command *eval, const struct query_result *result,
                    struct strbuf *why)
{
    switch (result->type) {
    case QUERY_SCALAR:
        if (!eval->has_scalar)
            return err_fail(why, ERR_INVALID, "unexpected scalar %g", result->scalar);
        if (!values_almost_equal(eval->scalar, result->scalar))
            return err_fail(why, ERR_INVALID, "expected the scalar %.17g, got %.17g", eval->scalar,
                            result->scalar);
        return OK;
    case QUERY_STRING:
        if (!eval->has_string || !str_equal(eval->string, result->string))
            return err_fail(why, ERR_INVALID, "expected the string \"%.*s\", got \"%.*s\"",
                            STR_ARG(eval->string), STR_ARG(result->string));
        return OK;
    case QUERY_VECTOR:
        if (eval->has_scalar || eval->has_string || eval->has_range_vector)
            return err_fail(why, ERR_INVALID, "unexpected vector");
        return check_points_at(eval, result, result->t_ms, why);
    case QUERY_MATRIX:
        if (!eval->has_range_vector)
            return err_fail(why, ERR_INVALID, "unexpected range vector");
        return check_matrix(eval, result, eval->vector_start_ms, eval->vector_step_ms, why);
    }
    return OK;
}

/* ---- annotations ---- */

static bool annotation_matches(const struct expectation *expectation, struct str text)
{
    switch (expectation->match) {
    case EXPECT_ANY:
        return true;
    case EXPECT_TEXT:
        return str_equal(expectation->text, text);
    case EXPECT_REGEX:
        return regex_search(expectation->regex, text);
    }
    return false;
}

static err_t check_kind(const struct eval_command *eval, enum expect_kind kind, bool forbidden,
                        const struct str *texts, size_t count, struct strbuf *why)
{
    const char *name = kind == EXPECT_WARN ? "warning" : "info";
    if (forbidden && count > 0)
        return err_fail(why, ERR_INVALID, "unexpected %s: %.*s", name, STR_ARG(texts[0]));
    bool any = false;
    for (const struct expectation *e = eval->expectations; e != NULL; e = e->next) {
        if (e->kind != kind)
            continue;
        any = true;
        bool met = false;
        for (size_t i = 0; i < count; i++)
            met = met || annotation_matches(e, texts[i]);
        if (!met)
            return err_fail(why, ERR_INVALID, "expected %s \"%.*s\", got %zu, first \"%.*s\"", name,
                            STR_ARG(e->text), count, STR_ARG(count == 0 ? STR("") : texts[0]));
    }
    for (size_t i = 0; any && i < count; i++) {
        bool met = false;
        for (const struct expectation *e = eval->expectations; e != NULL; e = e->next)
            met = met || (e->kind == kind && annotation_matches(e, texts[i]));
        if (!met)
            return err_fail(why, ERR_INVALID, "unexpected %s: %.*s", name, STR_ARG(texts[i]));
    }
    return OK;
}

err_t check_annotations(const struct eval_command *eval, const struct query_result *result,
                        struct strbuf *why)
{
    TRY(check_kind(eval, EXPECT_WARN, eval->no_warn, result->warnings, result->warning_count, why));
    return check_kind(eval, EXPECT_INFO, eval->no_info, result->infos, result->info_count, why);
}
