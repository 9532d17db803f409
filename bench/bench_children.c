/* tsdb-bench restart, memory: what needs a process of its own.
 *
 * A child fills a database and ends without closing it, as a killed server does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "counting_fs.h"
#include "narthex/base/mem.h"
#include "scrape_fleet.h"
#include "tsdb_bench.h"

enum {
    JOB_AND_INSTANCE = 2,
    RESTART_SERIES = 200000,
    RESTART_ROWS = 120,
    MEMORY_SERIES = 500000,
    MEMORY_ROWS = 240
};

/* What this process alone keeps in memory: pages of its own and shared ones, and pages of files
 * that are not written yet. */
struct resident {
    double anonymous;
    double shared;
    double dirty_files;
};

static struct resident resident_bytes(void)
{
    char line[512], name[64];
    struct resident resident = {0};
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        if (strncmp(line, "RssAnon:", 8) == 0)
            resident.anonymous = strtod(line + 8, NULL) * 1024;
        if (strncmp(line, "RssShmem:", 9) == 0)
            resident.shared = strtod(line + 9, NULL) * 1024;
    }
    if (status != NULL)
        fclose(status);
    /* Mappings of files have an inode; what is anonymous in them was counted above. */
    unsigned long inode = 0;
    double kilobytes;
    FILE *maps = fopen("/proc/self/smaps", "r");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        unsigned long found;
        if (sscanf(line, "%*x-%*x %*s %*x %*s %lu", &found) == 1)
            inode = found;
        else if (inode != 0 && sscanf(line, "%63s %lf", name, &kilobytes) == 2) {
            if (strcmp(name, "Shared_Dirty:") == 0 || strcmp(name, "Private_Dirty:") == 0)
                resident.dirty_files += kilobytes * 1024;
            else if (strcmp(name, "Anonymous:") == 0)
                resident.dirty_files -= kilobytes * 1024;
        }
    }
    if (maps != NULL)
        fclose(maps);
    return resident;
}

static double anonymous_bytes(void)
{
    return resident_bytes().anonymous;
}

/* What a child tells its parent. */
struct child_figures {
    double series;
    double samples;
    double labels;                               /* of a series, on average */
    struct resident empty;                       /* before the first sample */
    double first_bytes;                          /* anonymous ones after the first row */
    struct resident full;                        /* after the last row */
    double peak_bytes;                           /* the most there was of all three */
    double written_bytes[WRITTEN_COUNT];         /* into files, until the last row */
    double subsystem_bytes[MEM_SUBSYSTEM_COUNT]; /* grown since the first sample */
};

static double sum_of(struct resident resident)
{
    return resident.anonymous + resident.shared + resident.dirty_files;
}

static void keep_peak(struct child_figures *figures)
{
    double now = sum_of(resident_bytes());
    if (now > figures->peak_bytes)
        figures->peak_bytes = now;
}

/* The database is maintained after every row: a server does it every second. */
static void fill_by_commits(struct bench *bench, struct db *db, struct fleet *fleet, uint32_t rows,
                            struct child_figures *figures)
{
    for (uint32_t row = 0; row < rows; row++) {
        figures->samples += (double)fleet_render(fleet);
        bench_check(bench, fleet_commit(fleet, &bench->why));
        bench_check(bench, db_maintain(db, &bench->why));
        if (row == 0)
            figures->first_bytes = anonymous_bytes();
    }
}

static void fill_by_scrapes(struct bench *bench, struct db *db, const struct fleet *fleet,
                            uint32_t rows, struct child_figures *figures)
{
    struct scrape_fleet *scraped;
    bench_check(bench, scrape_fleet_create(fleet, db_storage(db), &scraped, &bench->why));
    for (uint32_t row = 0; row < rows; row++) {
        uint64_t samples;
        bench_check(bench, scrape_fleet_row(scraped, &samples, &bench->why));
        figures->samples += (double)samples;
        if (row % 5 == 4)
            keep_peak(figures);
        bench_check(bench, db_maintain(db, &bench->why));
        if (row == 0)
            figures->first_bytes = anonymous_bytes();
    }
}

static void fill_in_child(struct bench *bench, const char *name, uint32_t series, uint32_t rows,
                          bool scrapes, struct child_figures *figures)
{
    struct fleet *fleet = fleet_create(bench_corpus(bench), series, bench->options.seed);
    struct counting_fs counting;
    counting_fs_init(&counting);
    bench->fs = &counting.table;
    struct db *db = bench_db_open(bench, name);
    if (!scrapes)
        bench_check(bench, fleet_attach(fleet, db_storage(db), &bench->why));
    figures->empty = resident_bytes();
    for (int i = 0; i < MEM_SUBSYSTEM_COUNT; i++)
        figures->subsystem_bytes[i] = -(double)mem_bytes((enum mem_subsystem)i);
    if (scrapes)
        fill_by_scrapes(bench, db, fleet, rows, figures);
    else
        fill_by_commits(bench, db, fleet, rows, figures);
    figures->full = resident_bytes();
    for (uint32_t i = 0; i < fleet_target_count(fleet); i++) {
        const struct corpus_job *job = fleet_target_job(fleet, i);
        for (uint32_t slot = 0; slot < job->series_count; slot++)
            figures->labels += job->series[slot].labels.count + JOB_AND_INSTANCE;
    }
    figures->labels /= fleet_series_count(fleet);
    figures->series = fleet_series_count(fleet);
    for (int i = 0; i < MEM_SUBSYSTEM_COUNT; i++)
        figures->subsystem_bytes[i] += (double)mem_bytes((enum mem_subsystem)i);
    bench_check(bench, db_sync(db, &bench->why));
    for (int i = 0; i < WRITTEN_COUNT; i++)
        figures->written_bytes[i] = (double)counting.bytes[i];
}

/* Runs fill_in_child in a child that ends without closing its database. */
static void fill_and_die(struct bench *bench, const char *name, uint32_t series, uint32_t rows,
                         bool scrapes, struct child_figures *figures)
{
    int ends[2];
    *figures = (struct child_figures){0};
    bench_corpus(bench);
    if (pipe(ends) != 0)
        exit(1);
    pid_t child = fork();
    if (child == 0) {
        fill_in_child(bench, name, series, rows, scrapes, figures);
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

static void report_folder(struct bench *bench, const char *path, const char *folder, double samples)
{
    char full[384], name[64];
    snprintf(full, sizeof full, "%s/%s", path, folder);
    snprintf(name, sizeof name, "restart/disk, %s", folder);
    report_add_value(bench->report, name, "B/sample", (double)fs_tree_bytes(full, NULL) / samples);
}

/* What keeps a start short costs writing: everything beside the log, for each byte of the log. */
static void report_written(struct bench *bench, const struct child_figures *figures)
{
    static const char *const names[] = {
        [WRITTEN_LOG] = "restart/written, log",
        [WRITTEN_CHECKPOINT] = "restart/written, checkpoints",
        [WRITTEN_SEALED] = "restart/written, sealed",
        [WRITTEN_SERIES] = "restart/written, series",
        [WRITTEN_OTHER] = "restart/written, other",
    };
    double beside = 0;
    for (int i = 0; i < WRITTEN_COUNT; i++) {
        report_add_value(bench->report, names[i], "B/sample",
                         figures->written_bytes[i] / figures->samples);
        beside += i == WRITTEN_LOG ? 0 : figures->written_bytes[i];
    }
    report_add_value(bench->report, "restart/checkpoint bytes by log bytes", "",
                     beside / figures->written_bytes[WRITTEN_LOG]);
}

void bench_restart(struct bench *bench)
{
    uint32_t series = bench->options.series > 0 ? bench->options.series : RESTART_SERIES;
    uint32_t rows = bench->options.samples > 0 ? bench->options.samples : RESTART_ROWS;
    struct child_figures figures;
    struct rounds open = {.wall = true}, answer = {.wall = true}, cpu = {0};
    char path[320];
    fill_and_die(bench, "restart", series, rows, false, &figures);
    snprintf(path, sizeof path, "%s/restart", bench->folder);
    report_add_value(bench->report, "restart/series", "series", figures.series);
    double before = (figures.full.anonymous - figures.empty.anonymous) / figures.series;
    report_add_value(bench->report, "restart/anon before", "B/series", before);
    report_folder(bench, path, "wal", figures.samples);
    report_folder(bench, path, "sealed", figures.samples);
    report_folder(bench, path, "series", figures.samples);
    report_add_value(bench->report, "restart/disk per sample", "B/sample",
                     (double)fs_tree_bytes(path, NULL) / figures.samples);

    report_written(bench, &figures);

    double empty_bytes = anonymous_bytes();
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
    report_add_value(bench->report, "restart/anon after", "B/series",
                     (anonymous_bytes() - empty_bytes) / figures.series);
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
    fill_and_die(bench, "memory", series, rows, true, &figures);
    report_add_value(bench->report, "memory/series", "series", figures.series);
    report_add_value(bench->report, "memory/labels of a series", "",
                     figures.labels + SCRAPE_FLEET_LABELS);
    report_add_value(bench->report, "memory/anon after one row", "B/series",
                     (figures.first_bytes - figures.empty.anonymous) / figures.series);
    report_add_value(bench->report, "memory/anon after all rows", "B/series",
                     (figures.full.anonymous - figures.empty.anonymous) / figures.series);
    report_add_value(bench->report, "memory/shared after all rows", "B/series",
                     (figures.full.shared - figures.empty.shared) / figures.series);
    report_add_value(bench->report, "memory/dirty file pages after all rows", "B/series",
                     (figures.full.dirty_files - figures.empty.dirty_files) / figures.series);
    report_add_value(bench->report, "memory/sum at its peak", "B/series",
                     (figures.peak_bytes - sum_of(figures.empty)) / figures.series);
    for (int i = 0; i < MEM_SUBSYSTEM_COUNT; i++) {
        double bytes = figures.subsystem_bytes[i] / figures.series;
        if (i == MEM_TEST || bytes < 1)
            continue;
        snprintf(name, sizeof name, "memory/%s", mem_subsystem_name((enum mem_subsystem)i));
        report_add_value(bench->report, name, "B/series", bytes);
    }
}
