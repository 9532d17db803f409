/* narthexctl query …: asks a server, prints as promtool does or as the server's JSON. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "narthex/base/api_time.h"
#include "narthex/base/clock.h"
#include "narthex/base/number.h"
#include "narthex/model/labels.h"

enum { RANGE_DEFAULT_MS = 300000, RANGE_POINTS = 250 };

static void print_metric(const json_t *metric, bool braces_only)
{
    struct label_builder builder = {0};
    struct strbuf text = STRBUF_INIT;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)metric, name, value)
        label_builder_set(&builder, str_from_cstr(name),
                          str_from(json_string_value(value), json_string_length(value)));
    if (braces_only)
        labels_print(label_builder_labels(&builder), &text);
    else
        labels_print_metric(label_builder_labels(&builder), &text);
    fputs(strbuf_cstr(&text), stdout);
    label_builder_deinit(&builder);
    strbuf_deinit(&text);
}

/* ---- samples ---- */

/* As Go's %f has the count and the sum, and %g a bound. */
static void print_histogram(const json_t *histogram)
{
    static const char *const open[] = {"(", "[", "(", "["};
    static const char *const close[] = {"]", ")", ")", "]"};
    const char *count = json_string_value(json_object_get(histogram, "count"));
    const char *sum = json_string_value(json_object_get(histogram, "sum"));
    size_t index;
    json_t *bucket;
    printf("Count: %f, Sum: %f, Buckets: [", count == NULL ? 0 : strtod(count, NULL),
           sum == NULL ? 0 : strtod(sum, NULL));
    json_array_foreach(json_object_get(histogram, "buckets"), index, bucket)
    {
        size_t boundaries = (size_t)json_integer_value(json_array_get(bucket, 0)) & 3;
        const char *texts[3];
        for (size_t i = 0; i < 3; i++) {
            texts[i] = json_string_value(json_array_get(bucket, i + 1));
            texts[i] = texts[i] == NULL ? "" : texts[i];
        }
        printf("%s%s%s,%s%s:%s", index == 0 ? "" : " ", open[boundaries], texts[0], texts[1],
               close[boundaries], texts[2]);
    }
    printf("]");
}

/* VALUE @[SECONDS] */
static void print_point(const json_t *point)
{
    char time[NUMBER_TEXT_MAX + 1];
    const json_t *value = json_array_get(point, 1);
    time[number_format_json(json_number_value(json_array_get(point, 0)), time)] = '\0';
    if (json_is_string(value))
        fputs(json_string_value(value), stdout);
    else
        print_histogram(value);
    printf(" @[%s]\n", time);
}

static void print_points(const json_t *points)
{
    size_t index;
    json_t *point;
    json_array_foreach((json_t *)points, index, point) print_point(point);
}

static void print_result(const json_t *data)
{
    const char *type = json_string_value(json_object_get(data, "resultType"));
    const json_t *result = json_object_get(data, "result");
    if (type != NULL && (strcmp(type, "scalar") == 0 || strcmp(type, "string") == 0)) {
        printf("%s: ", type);
        print_point(result);
        return;
    }
    if (json_array_size(result) == 0)
        printf("\n");
    size_t index;
    json_t *series;
    json_array_foreach((json_t *)result, index, series)
    {
        print_metric(json_object_get(series, "metric"), false);
        const json_t *value = json_object_get(series, "value");
        const json_t *histogram = json_object_get(series, "histogram");
        if (value != NULL || histogram != NULL) {
            printf(" => ");
            print_point(value != NULL ? value : histogram);
            continue;
        }
        printf(" =>\n");
        print_points(json_object_get(series, "values"));
        print_points(json_object_get(series, "histograms"));
    }
}

/* ---- asking ---- */

static void print_json(const json_t *value)
{
    json_dumpf(value, stdout, JSON_COMPACT);
    printf("\n");
}

static void print_samples(const struct ctl_arguments *arguments, const json_t *data)
{
    if (ctl_wants_json(arguments))
        print_json(json_object_get(data, "result"));
    else
        print_result(data);
}

/* A list as it came, or line by line. */
static void print_list(const struct ctl_arguments *arguments, const json_t *data,
                       void (*print_line)(const json_t *item))
{
    size_t index;
    json_t *item;
    if (ctl_wants_json(arguments)) {
        print_json(data);
        return;
    }
    json_array_foreach((json_t *)data, index, item)
    {
        print_line(item);
    }
}

static void print_series_line(const json_t *item)
{
    print_metric(item, true);
    printf("\n");
}

static void print_series(const struct ctl_arguments *arguments, const json_t *data)
{
    print_list(arguments, data, print_series_line);
}

static void print_value_line(const json_t *item)
{
    if (json_is_string(item))
        printf("%s\n", json_string_value(item));
}

static void print_values(const struct ctl_arguments *arguments, const json_t *data)
{
    print_list(arguments, data, print_value_line);
}

static int ask(const struct ctl_arguments *arguments, const char *path, const struct strbuf *params,
               bool post, void (*print)(const struct ctl_arguments *arguments, const json_t *data))
{
    struct ctl_client *client;
    struct strbuf why = STRBUF_INIT;
    int status = CTL_FAILED;
    if (ctl_client_open(arguments, &client, &why) == OK) {
        json_t *whole;
        json_t *data = ctl_client_ask(client, arguments->rest[0], path, params, post, &whole);
        if (data != NULL) {
            print(arguments, data);
            status = CTL_OK;
        }
        json_decref(whole);
        ctl_client_close(client);
    } else {
        ctl_fail(&why);
    }
    strbuf_deinit(&why);
    return status;
}

/* Judges a time here, so that the text is promtool's. *t_ms is left alone when it is not given. */
static bool read_time(const struct ctl_arguments *arguments, const char *name, const char *called,
                      int64_t *t_ms)
{
    const char *text = ctl_option(arguments, name, NULL);
    struct strbuf why = STRBUF_INIT;
    bool good = text == NULL || api_time_parse(str_from_cstr(text), t_ms, &why) == OK;
    if (!good)
        fprintf(stderr, "error parsing %s time: %s\n", called, strbuf_cstr(&why));
    strbuf_deinit(&why);
    return good;
}

static void add_time(struct strbuf *params, const char *name, int64_t t_ms)
{
    char text[25];
    text[number_format_timestamp(t_ms, text)] = '\0';
    ctl_add_param(params, name, text);
}

int ctl_query_instant(const struct ctl_arguments *arguments)
{
    struct strbuf params = STRBUF_INIT;
    int64_t t_ms = INT64_MIN;
    int status = CTL_FAILED;
    if (read_time(arguments, "time", "evaluation", &t_ms)) {
        ctl_add_param(&params, "query", arguments->rest[1]);
        if (t_ms != INT64_MIN)
            add_time(&params, "time", t_ms);
        status = ask(arguments, "/query", &params, true, print_samples);
    }
    strbuf_deinit(&params);
    return status;
}

int ctl_query_range(const struct ctl_arguments *arguments)
{
    struct strbuf params = STRBUF_INIT;
    char step[32];
    int64_t end_ms = clock_wall_ms(clock_system());
    int status = CTL_FAILED;
    if (!read_time(arguments, "end", "end", &end_ms))
        return CTL_FAILED;
    int64_t start_ms = end_ms - RANGE_DEFAULT_MS;
    if (!read_time(arguments, "start", "start", &start_ms))
        return CTL_FAILED;
    if (start_ms >= end_ms) {
        fprintf(stderr, "start time is not before end time\n");
        return CTL_FAILED;
    }
    double range_s = ((double)end_ms - (double)start_ms) / 1000;
    snprintf(step, sizeof step, "%.0f", fmax(floor(range_s / RANGE_POINTS), 1));
    ctl_add_param(&params, "query", arguments->rest[1]);
    add_time(&params, "start", start_ms);
    add_time(&params, "end", end_ms);
    ctl_add_param(&params, "step", ctl_option(arguments, "step", step));
    status = ask(arguments, "/query_range", &params, true, print_samples);
    strbuf_deinit(&params);
    return status;
}

/* The selectors and the range, which is all time by default. */
static bool add_selection(struct strbuf *params, const struct ctl_arguments *arguments)
{
    int64_t start_ms = INT64_MIN, end_ms = INT64_MIN;
    if (!read_time(arguments, "start", "start", &start_ms) ||
        !read_time(arguments, "end", "end", &end_ms))
        return false;
    for (uint32_t i = 0; i < arguments->option_count; i++) {
        if (str_equal(arguments->options[i].name, STR("match")))
            ctl_add_param(params, "match[]", arguments->options[i].value);
    }
    if (start_ms != INT64_MIN)
        add_time(params, "start", start_ms);
    if (end_ms != INT64_MIN)
        add_time(params, "end", end_ms);
    return true;
}

int ctl_query_series(const struct ctl_arguments *arguments)
{
    struct strbuf params = STRBUF_INIT;
    int status = CTL_FAILED;
    if (!ctl_switch(arguments, "match"))
        return ctl_usage_error("required flag --match not provided");
    if (add_selection(&params, arguments))
        status = ask(arguments, "/series", &params, true, print_series);
    strbuf_deinit(&params);
    return status;
}

int ctl_query_labels(const struct ctl_arguments *arguments)
{
    struct strbuf params = STRBUF_INIT;
    struct strbuf path = STRBUF_INIT;
    int status = CTL_FAILED;
    if (add_selection(&params, arguments)) {
        strbuf_add_cstr(&path, "/label/");
        ctl_url_escape(&path, arguments->rest[1]);
        strbuf_add_cstr(&path, "/values");
        status = ask(arguments, strbuf_cstr(&path), &params, false, print_values);
    }
    strbuf_deinit(&path);
    strbuf_deinit(&params);
    return status;
}
