/* query_fixture.h: a store to query and results as text, for the tests of the engine. */
#pragma once

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "narthex/base/hash.h"
#include "narthex/base/number.h"
#include "narthex/query/engine.h"
#include "reference_store.h"

/* One label per line of text: "name=value", up to eight, separated by commas. NaN is no sample. */
static inline void fixture_append(struct storage *storage, const char *text, const double *values,
                                  size_t count, int64_t step_ms)
{
    struct strbuf why = STRBUF_INIT;
    struct label labels[8];
    uint32_t label_count = 0;
    while (*text != '\0') {
        size_t size = strcspn(text, ",");
        size_t name = strcspn(text, "=");
        labels[label_count++] =
            (struct label){str_from(text, name), str_from(text + name + 1, size - name - 1)};
        text += size + (text[size] == ',');
    }
    struct appender *appender;
    assert_int_equal(storage_appender_open(storage, &appender, &why), OK);
    source_ref source = storage_source_open(storage, hash_str(str_from_cstr(text)));
    struct append_options options = {.t_max_ms = 0};
    series_ref ref;
    bool created;
    for (size_t i = 0; i < count; i++) {
        if (isnan(values[i]))
            continue;
        appender_begin(appender, source, &options);
        assert_int_equal(
            appender_series(appender, (struct labels){labels, label_count}, &ref, &created, &why),
            OK);
        uint8_t outcome;
        struct append_batch batch = {.count = 1,
                                     .refs = &ref,
                                     .t_all_ms = (int64_t)i * step_ms,
                                     .values = &values[i],
                                     .outcomes = &outcome};
        assert_int_equal(appender_add(appender, &batch, &why), OK);
        assert_int_equal(outcome, OK);
        assert_int_equal(appender_commit(appender, &why), OK);
    }
    appender_close(appender);
    storage_source_close(storage, source);
    strbuf_deinit(&why);
}

/* A line per series: labels, values with times; then warnings and infos. */
static inline void fixture_print(const struct query_result *result, struct strbuf *out)
{
    char text[NUMBER_TEXT_MAX];
    if (result->type == QUERY_SCALAR)
        strbuf_add(out, text, number_format_plain(result->scalar, text));
    if (result->type == QUERY_STRING)
        strbuf_add_str(out, result->string);
    for (size_t i = 0; i < result->series_count; i++) {
        const struct query_series *series = &result->series[i];
        labels_print_metric(series->labels, out);
        for (uint32_t k = 0; k < series->float_count; k++) {
            strbuf_add_char(out, ' ');
            strbuf_add(out, text, number_format_plain(series->floats[k], text));
            strbuf_printf(out, "@%lld", (long long)series->float_t_ms[k]);
        }
        strbuf_add_char(out, '\n');
    }
    for (size_t i = 0; i < result->warning_count; i++)
        strbuf_printf(out, "%.*s\n", STR_ARG(result->warnings[i]));
    for (size_t i = 0; i < result->info_count; i++)
        strbuf_printf(out, "%.*s\n", STR_ARG(result->infos[i]));
}
