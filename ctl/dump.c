/* narthexctl tsdb dump, dump-openmetrics: every sample of a data folder as text, log included. The
 * folder must not be in use. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctl.h"
#include "narthex/base/fs.h"
#include "narthex/base/number.h"
#include "narthex/model/exposition_writer.h"
#include "narthex/model/histogram_math.h"
#include "narthex/query/promql.h"
#include "narthex/tsdb/db.h"
#include "progress.h"

/* Go's %g has an exponent from 1e+06 on. */
enum { FLUSH_BYTES = 1 << 20, GO_EXPONENT_MAX = 6 };

struct dump {
    struct db *db;
    struct arena arena;
    int64_t min_t_ms;
    int64_t max_t_ms;
    bool openmetrics;
    bool labels_only; /* a line of JSON for each series */
    struct ctl_progress progress;
    struct strbuf key; /* of the series */
    struct strbuf out;
};

static void flush(struct dump *dump, size_t least)
{
    if (dump->out.size < least)
        return;
    fwrite(dump->out.data, 1, dump->out.size, stdout);
    strbuf_clear(&dump->out);
}

static void print_value(struct dump *dump, const struct sample_column *column, uint32_t i)
{
    if (column->kind == SAMPLES_HISTOGRAM) {
        histogram_print(&column->histograms[i], &dump->out);
        return;
    }
    char *to = strbuf_reserve(&dump->out, NUMBER_TEXT_MAX);
    strbuf_commit(&dump->out, number_format_general(column->values[i], GO_EXPONENT_MAX, to));
}

static void print_column(struct dump *dump, const struct sample_column *column)
{
    for (uint32_t i = 0; i < column->count; i++) {
        int64_t t_ms = column->t_ms[i];
        /* OpenMetrics has no native histograms. */
        bool skipped = dump->openmetrics && column->kind == SAMPLES_HISTOGRAM;
        if (t_ms < dump->min_t_ms || t_ms > dump->max_t_ms || skipped)
            continue;
        strbuf_add_str(&dump->out, strbuf_str(&dump->key));
        strbuf_add_char(&dump->out, ' ');
        print_value(dump, column, i);
        if (dump->openmetrics)
            strbuf_printf(&dump->out, " %s%lld.%03lld\n", t_ms < 0 ? "-" : "",
                          llabs((long long)t_ms) / 1000, llabs((long long)t_ms) % 1000);
        else
            strbuf_printf(&dump->out, " %lld\n", (long long)t_ms);
    }
    flush(dump, FLUSH_BYTES);
}

static void print_labels(struct dump *dump, struct labels labels)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < labels.count; i++)
        json_object_setn_new_nocheck(
            object, labels.items[i].name.data, labels.items[i].name.size,
            json_stringn_nocheck(labels.items[i].value.data, labels.items[i].value.size));
    char *text = json_dumps(object, JSON_COMPACT);
    if (text != NULL)
        strbuf_printf(&dump->out, "%s\n", text);
    free(text);
    json_decref(object);
    flush(dump, FLUSH_BYTES);
}

static err_t dump_series(struct dump *dump, struct series_cursor *cursor,
                         const struct series *series, struct strbuf *why)
{
    strbuf_clear(&dump->key);
    if (dump->openmetrics)
        exposition_add_key(&dump->key, labels_get(series->labels, LABEL_NAME), series->labels);
    else
        labels_print(series->labels, &dump->key);
    TRY(series_cursor_seek(cursor, series, dump->min_t_ms, dump->max_t_ms, why));
    for (;;) {
        struct sample_column_info info;
        struct sample_column column;
        bool found;
        TRY(series_cursor_next(cursor, &info, &found, why));
        if (!found)
            return OK;
        if (dump->labels_only) {
            print_labels(dump, series->labels);
            return OK;
        }
        TRY(series_cursor_decode(cursor, &column, why));
        print_column(dump, &column);
    }
}

static err_t dump_selection(struct dump *dump, struct querier *querier, struct selector selector,
                            struct strbuf *why)
{
    struct select_hints hints = {
        .start_ms = dump->min_t_ms, .end_ms = dump->max_t_ms, .keep_integers = true};
    struct series_list list;
    struct series_cursor *cursor;
    TRY(querier_select(querier, selector, &hints, &dump->arena, &list, why));
    TRY(querier_cursor_open(querier, &hints, &cursor, why));
    err_t err = OK;
    ctl_progress_start(&dump->progress, "Dumping", list.count);
    dump->progress.on &= isatty(STDOUT_FILENO) == 0; /* the samples move there */
    for (size_t i = 0; i < list.count && err == OK; i++) {
        err = dump_series(dump, cursor, &list.items[i], why);
        ctl_progress_set(&dump->progress, i + 1);
    }
    ctl_progress_clear(&dump->progress);
    series_cursor_close(cursor);
    return err;
}

/* All selections of --match one after another, or everything. */
static err_t dump_all(struct dump *dump, const struct ctl_arguments *arguments, struct strbuf *why)
{
    struct querier *querier;
    TRY(storage_querier_open(db_storage(dump->db), dump->min_t_ms, dump->max_t_ms, &querier, why));
    err_t err = OK;
    uint32_t selections = 0;
    for (uint32_t i = 0; i < arguments->option_count && err == OK; i++) {
        if (!str_equal(arguments->options[i].name, STR("match")))
            continue;
        struct selector selector;
        selections++;
        err = promql_parse_selector(str_from_cstr(arguments->options[i].value), true, &dump->arena,
                                    &selector, why);
        if (err == OK) {
            err = dump_selection(dump, querier, selector, why);
            promql_selector_deinit(&selector);
        }
    }
    if (selections == 0)
        err = dump_selection(dump, querier, (struct selector){0}, why);
    querier_close(querier);
    return err;
}

/* What the reader of the flags has found to be a number. */
static int64_t read_time(const struct ctl_arguments *arguments, const char *name, int64_t fallback)
{
    const char *text = ctl_option(arguments, name, NULL);
    if (text != NULL)
        (void)str_to_int64(str_from_cstr(text), &fallback);
    return fallback;
}

static int run(const struct ctl_arguments *arguments, bool openmetrics)
{
    struct dump dump = {.openmetrics = openmetrics};
    dump.labels_only = strcmp(ctl_option(arguments, "format", "prom"), "seriesjson") == 0;
    struct strbuf why = STRBUF_INIT;
    const char *folder = ctl_folder(arguments);
    dump.min_t_ms = read_time(arguments, "min-time", INT64_MIN);
    dump.max_t_ms = read_time(arguments, "max-time", INT64_MAX);
    struct db_options options = {.path = folder, .no_background = true};
    struct fs_list list;
    arena_init(&dump.arena, MEM_QUERY, SIZE_MAX);
    /* db_open would make the folder. */
    err_t err = fs_list_dir(folder, &list, &why);
    if (err == OK) {
        fs_list_free(&list);
        err = db_open(&options, &dump.db, &why);
    }
    if (err == OK) {
        err = dump_all(&dump, arguments, &why);
        if (openmetrics && err == OK)
            strbuf_add_cstr(&dump.out, "# EOF\n");
        flush(&dump, 1);
        db_close(dump.db);
    }
    if (err != OK)
        fprintf(stderr, "narthexctl: error: %s\n", strbuf_cstr(&why));
    strbuf_deinit(&why);
    strbuf_deinit(&dump.key);
    strbuf_deinit(&dump.out);
    arena_deinit(&dump.arena);
    bool written = fflush(stdout) == 0 && ferror(stdout) == 0;
    if (!written)
        fprintf(stderr, "narthexctl: error: not all could be written\n");
    return err == OK && written ? CTL_OK : CTL_FAILED;
}

int ctl_tsdb_dump(const struct ctl_arguments *arguments)
{
    return run(arguments, false);
}

int ctl_tsdb_dump_openmetrics(const struct ctl_arguments *arguments)
{
    return run(arguments, true);
}
