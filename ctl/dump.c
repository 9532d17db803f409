/* narthexctl tsdb dump, dump-openmetrics: every sample of a data folder as text, log included. The
 * folder must not be in use. */
#include <stdio.h>
#include <stdlib.h>

#include "ctl.h"
#include "narthex/base/fs.h"
#include "narthex/base/number.h"
#include "narthex/model/exposition_writer.h"
#include "narthex/model/histogram_math.h"
#include "narthex/query/promql.h"
#include "narthex/tsdb/db.h"

/* Go's %g has an exponent from 1e+06 on. */
enum { FLUSH_BYTES = 1 << 20, GO_EXPONENT_MAX = 6 };

struct dump {
    struct db *db;
    struct arena arena;
    int64_t min_t_ms;
    int64_t max_t_ms;
    bool openmetrics;
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
    for (size_t i = 0; i < list.count && err == OK; i++)
        err = dump_series(dump, cursor, &list.items[i], why);
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

static bool read_time(const struct ctl_arguments *arguments, const char *name, int64_t fallback,
                      int64_t *t_ms)
{
    const char *text = ctl_option(arguments, name, NULL);
    *t_ms = fallback;
    return text == NULL || str_to_int64(str_from_cstr(text), t_ms);
}

static int run(const struct ctl_arguments *arguments, bool openmetrics)
{
    struct dump dump = {.openmetrics = openmetrics};
    struct strbuf why = STRBUF_INIT;
    const char *folder = ctl_folder(arguments);
    if (!read_time(arguments, "min-time", INT64_MIN, &dump.min_t_ms) ||
        !read_time(arguments, "max-time", INT64_MAX, &dump.max_t_ms)) {
        fprintf(stderr, "narthexctl: error: --min-time and --max-time are milliseconds\n");
        return CTL_FAILED;
    }
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
