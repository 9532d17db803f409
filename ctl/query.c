/* narthexctl query …: asks a server, prints as promtool does or as the server's JSON. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl.h"
#include "narthex/base/number.h"
#include "narthex/model/labels.h"

enum { RANGE_DEFAULT_S = 300, RANGE_POINTS = 250 };

/* Asks and returns the "data" of the answer; NULL after printing what was wrong. */
static json_t *ask(const char *url, json_t **whole)
{
    struct strbuf body = STRBUF_INIT;
    struct strbuf why = STRBUF_INIT;
    long status = 0;
    json_t *data = NULL;
    *whole = NULL;
    if (ctl_get(url, &status, &body, &why) != OK) {
        fprintf(stderr, "query error: %s\n", strbuf_cstr(&why));
    } else {
        json_error_t error;
        *whole = json_loadb(strbuf_cstr(&body), body.size, 0, &error);
        data = json_object_get(*whole, "data");
        if (data == NULL)
            fprintf(stderr, "query error: %s: %s\n",
                    *whole == NULL ? "bad_response"
                                   : json_string_value(json_object_get(*whole, "errorType")),
                    *whole == NULL ? "not JSON"
                                   : json_string_value(json_object_get(*whole, "error")));
    }
    strbuf_deinit(&why);
    strbuf_deinit(&body);
    return data;
}

static void print_metric(const json_t *metric)
{
    struct label_builder builder = {0};
    struct strbuf text = STRBUF_INIT;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)metric, name, value)
        label_builder_set(&builder, str_from_cstr(name),
                          str_from(json_string_value(value), json_string_length(value)));
    labels_print_metric(label_builder_labels(&builder), &text);
    fputs(strbuf_cstr(&text), stdout);
    label_builder_deinit(&builder);
    strbuf_deinit(&text);
}

/* VALUE @[SECONDS], or the JSON of a histogram. */
static void print_point(const json_t *point)
{
    char time[NUMBER_TEXT_MAX + 1];
    const json_t *value = json_array_get(point, 1);
    time[number_format_json(json_number_value(json_array_get(point, 0)), time)] = '\0';
    if (json_is_string(value)) {
        printf("%s @[%s]\n", json_string_value(value), time);
    } else {
        char *text = json_dumps(value, JSON_COMPACT);
        printf("%s @[%s]\n", text, time);
        free(text);
    }
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
    if (strcmp(type, "scalar") == 0 || strcmp(type, "string") == 0) {
        printf("%s: ", type);
        print_point(result);
        return;
    }
    size_t index;
    json_t *series;
    json_array_foreach((json_t *)result, index, series)
    {
        print_metric(json_object_get(series, "metric"));
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

static int run_query(const struct ctl_arguments *arguments, const char *url)
{
    json_t *whole;
    json_t *data = ask(url, &whole);
    int status = data == NULL ? CTL_FAILED : CTL_OK;
    if (data != NULL && ctl_wants_json(arguments)) {
        json_dumpf(json_object_get(data, "result"), stdout, JSON_COMPACT);
        printf("\n");
    } else if (data != NULL) {
        print_result(data);
    }
    json_decref(whole);
    return status;
}

static void start_url(struct strbuf *url, const char *server, const char *path)
{
    size_t size = strlen(server);
    while (size > 0 && server[size - 1] == '/')
        size--;
    strbuf_add(url, server, size);
    strbuf_add_cstr(url, path);
}

static void add_option(struct strbuf *url, const struct ctl_arguments *arguments, const char *name)
{
    const char *value = ctl_option(arguments, name, NULL);
    if (value != NULL)
        ctl_add_param(url, name, value);
}

static void add_matchers(struct strbuf *url, const struct ctl_arguments *arguments)
{
    for (uint32_t i = 0; i < arguments->option_count; i++) {
        if (str_equal(arguments->options[i].name, STR("match")))
            ctl_add_param(url, "match[]", arguments->options[i].value);
    }
}

int ctl_query_instant(const struct ctl_arguments *arguments)
{
    struct strbuf url = STRBUF_INIT;
    start_url(&url, arguments->rest[0], "/api/v1/query");
    ctl_add_param(&url, "query", arguments->rest[1]);
    add_option(&url, arguments, "time");
    int status = run_query(arguments, strbuf_cstr(&url));
    strbuf_deinit(&url);
    return status;
}

int ctl_query_range(const struct ctl_arguments *arguments)
{
    struct strbuf url = STRBUF_INIT;
    char end[32], start[32], step[32];
    double end_s = strtod(ctl_option(arguments, "end", "0"), NULL);
    if (end_s == 0)
        end_s = (double)time(NULL);
    double start_s = strtod(ctl_option(arguments, "start", "0"), NULL);
    if (start_s == 0)
        start_s = end_s - RANGE_DEFAULT_S;
    snprintf(end, sizeof end, "%.3f", end_s);
    snprintf(start, sizeof start, "%.3f", start_s);
    snprintf(step, sizeof step, "%.0f", fmax(floor((end_s - start_s) / RANGE_POINTS), 1));
    start_url(&url, arguments->rest[0], "/api/v1/query_range");
    ctl_add_param(&url, "query", arguments->rest[1]);
    ctl_add_param(&url, "start", ctl_option(arguments, "start", start));
    ctl_add_param(&url, "end", ctl_option(arguments, "end", end));
    ctl_add_param(&url, "step", ctl_option(arguments, "step", step));
    int status = run_query(arguments, strbuf_cstr(&url));
    strbuf_deinit(&url);
    return status;
}

/* Prints each element of a list on a line. */
static int run_list(const struct ctl_arguments *arguments, const char *url, bool metrics)
{
    json_t *whole;
    json_t *data = ask(url, &whole);
    int status = data == NULL ? CTL_FAILED : CTL_OK;
    size_t index;
    json_t *item;
    if (data != NULL && ctl_wants_json(arguments)) {
        json_dumpf(data, stdout, JSON_COMPACT);
        printf("\n");
    } else if (data != NULL) {
        json_array_foreach(data, index, item)
        {
            if (metrics)
                print_metric(item);
            else
                fputs(json_string_value(item), stdout);
            printf("\n");
        }
    }
    json_decref(whole);
    return status;
}

int ctl_query_series(const struct ctl_arguments *arguments)
{
    struct strbuf url = STRBUF_INIT;
    start_url(&url, arguments->rest[0], "/api/v1/series");
    add_matchers(&url, arguments);
    add_option(&url, arguments, "start");
    add_option(&url, arguments, "end");
    int status = run_list(arguments, strbuf_cstr(&url), true);
    strbuf_deinit(&url);
    return status;
}

int ctl_query_labels(const struct ctl_arguments *arguments)
{
    struct strbuf url = STRBUF_INIT;
    struct strbuf path = STRBUF_INIT;
    strbuf_printf(&path, "/api/v1/label/%s/values", arguments->rest[1]);
    start_url(&url, arguments->rest[0], strbuf_cstr(&path));
    add_matchers(&url, arguments);
    add_option(&url, arguments, "start");
    add_option(&url, arguments, "end");
    int status = run_list(arguments, strbuf_cstr(&url), false);
    strbuf_deinit(&path);
    strbuf_deinit(&url);
    return status;
}
