/* tsdb-bench restart, memory: what needs a process of its own.
 *
 * A child fills a database and ends without closing it, as a killed server does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "narthex/base/fs.h"
#include "narthex/base/mem.h"
#include "tsdb_bench.h"

enum { RESTART_SERIES = 200000, RESTART_ROWS = 120, MEMORY_SERIES = 500000, MEMORY_ROWS = 240 };

/* RssAnon of this process in bytes. */
static double anonymous_bytes(void)
{
    char line[256];
    double kilobytes = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, "RssAnon:", 8) == 0)
            kilobytes = strtod(line + 8, NULL);
    if (status != NULL)
        fclose(status);
    return kilobytes * 1024;
}

/* What a child tells its parent. */
struct child_figures {
    double series;
    double samples;
    double empty_bytes; /* RssAnon before the first sample */
    double first_bytes; /* after the first row */
    double full_bytes;  /* after the last row */
    double peak_bytes;
    double subsystem_bytes[MEM_SUBSYSTEM_COUNT]; /* grown since the first sample */
};

static void fill_in_child(struct bench *bench, const char *name, uint32_t series, uint32_t rows,
                          struct child_figures *figures)
{
    struct fleet *fleet = fleet_create(bench_corpus(bench), series, bench->options.seed);
    struct db *db = bench_db_open(bench, name);
    bench_check(bench, fleet_attach(fleet, db_storage(db), &bench->why));
    fleet_render(fleet); /* touches the fleet's own memory */
    figures->empty_bytes = anonymous_bytes();
    for (int i = 0; i < MEM_SUBSYSTEM_COUNT; i++)
        figures->subsystem_bytes[i] = -(double)mem_bytes((enum mem_subsystem)i);
    bench_check(bench, fleet_commit(fleet, &bench->why));
    figures->first_bytes = anonymous_bytes();
    for (uint32_t row = 1; row < rows; row += 20) {
        figures->samples += (double)bench_fill(bench, db, fleet, rows - row < 20 ? rows - row : 20);
        double now = anonymous_bytes();
        if (now > figures->peak_bytes)
            figures->peak_bytes = now;
    }
    figures->full_bytes = anonymous_bytes();
    figures->series = fleet_series_count(fleet);
    for (int i = 0; i < MEM_SUBSYSTEM_COUNT; i++)
        figures->subsystem_bytes[i] += (double)mem_bytes((enum mem_subsystem)i);
    bench_check(bench, db_sync(db, &bench->why));
}

/* Runs fill_in_child in a child that ends without closing its database. */
static void fill_and_die(struct bench *bench, const char *name, uint32_t series, uint32_t rows,
                         struct child_figures *figures)
{
    int ends[2];
    *figures = (struct child_figures){0};
    bench_corpus(bench);
    if (pipe(ends) != 0)
        exit(1);
    pid_t child = fork();
    if (child == 0) {
        fill_in_child(bench, name, series, rows, figures);
        _exit(write(ends[1], figures, sizeof *figures) == sizeof *figures ? 0 : 1);
    }
    close(ends[1]);
    bool told = read(ends[0], figures, sizeof *figures) == sizeof *figures;
    close(ends[0]);
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0 || !told) {
        fprintf(stderr, "tsdb-bench: the child that fills %s failed\n", name);
        exit(1);
    }
}

/* Number of series that the database answers for the last five minutes. */
static size_t count_series(struct bench *bench, struct db *db)
{
    int64_t min_ms, max_ms;
    struct querier *querier;
    struct series_list list;
    struct matcher matcher;
    struct arena arena;
    if (!storage_time_range(db_storage(db), &min_ms, &max_ms))
        return 0;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    bench_check(bench, matcher_init(&matcher, MATCH_EQUAL, STR("instance"), STR("host-0:9100"),
                                    &bench->why));
    bench_check(bench, storage_querier_open(db_storage(db), max_ms - 300000, max_ms, &querier,
                                            &bench->why));
    const struct select_hints hints = {.start_ms = max_ms - 300000, .end_ms = max_ms};
    bench_check(bench, querier_select(querier, (struct selector){&matcher, 1}, &hints, &arena,
                                      &list, &bench->why));
    size_t count = list.count;
    querier_close(querier);
    matcher_deinit(&matcher);
    arena_deinit(&arena);
    return count;
}

void bench_restart(struct bench *bench)
{
    uint32_t series = bench->options.series > 0 ? bench->options.series : RESTART_SERIES;
    uint32_t rows = bench->options.samples > 0 ? bench->options.samples : RESTART_ROWS;
    struct child_figures figures;
    struct rounds open = {.wall = true}, answer = {.wall = true}, cpu = {0};
    char path[320];
    fill_and_die(bench, "restart", series, rows, &figures);
    snprintf(path, sizeof path, "%s/restart", bench->folder);
    report_add_value(bench->report, "restart/series", "series", figures.series);
    report_add_value(bench->report, "restart/disk per sample", "B/sample",
                     (double)fs_tree_bytes(path) / figures.samples);

    rounds_start(&open);
    rounds_start(&cpu);
    struct db *db = bench_db_reopen(bench, "restart");
    rounds_stop(&cpu, 1);
    rounds_stop(&open, 1);
    rounds_start(&answer);
    size_t count = count_series(bench, db);
    rounds_stop(&answer, 1);
    if (count == 0) {
        fprintf(stderr, "tsdb-bench: the restarted database answers nothing\n");
        exit(1);
    }
    report_add(bench->report, "restart/open after a kill (wall)", "ms", &open, 1e6);
    report_add(bench->report, "restart/open after a kill (CPU)", "ms", &cpu, 1e6);
    report_add(bench->report, "restart/first answer (wall)", "ms", &answer, 1e6);
    db_close(db);
}

void bench_memory(struct bench *bench)
{
    uint32_t series = bench->options.series > 0 ? bench->options.series : MEMORY_SERIES;
    uint32_t rows = bench->options.samples > 0 ? bench->options.samples : MEMORY_ROWS;
    struct child_figures figures;
    char name[64];
    fill_and_die(bench, "memory", series, rows, &figures);
    report_add_value(bench->report, "memory/series", "series", figures.series);
    report_add_value(bench->report, "memory/anon after one row", "B/series",
                     (figures.first_bytes - figures.empty_bytes) / figures.series);
    report_add_value(bench->report, "memory/anon after all rows", "B/series",
                     (figures.full_bytes - figures.empty_bytes) / figures.series);
    report_add_value(bench->report, "memory/anon at its peak", "B/series",
                     (figures.peak_bytes - figures.empty_bytes) / figures.series);
    for (int i = 0; i < MEM_SUBSYSTEM_COUNT; i++) {
        double bytes = figures.subsystem_bytes[i] / figures.series;
        if (i == MEM_TEST || bytes < 1)
            continue;
        snprintf(name, sizeof name, "memory/%s", mem_subsystem_name((enum mem_subsystem)i));
        report_add_value(bench->report, name, "B/series", bytes);
    }
}
