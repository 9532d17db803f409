/* tsdb-bench: times the parts of the database.
 *
 *     tsdb-bench COMMAND|all [OPTIONS]
 *
 * with the commands ingest, seal, decode, histograms, references, select, query, compact, restart,
 * parse and memory.
 *
 * Data are recorded scrapes (--corpus DIR with JOB/UNIX_MILLISECONDS.txt; by default what
 * $NARTHEX_SHARED/corpus holds, unpacked beside the program) or a synthetic --shape. Times are CPU
 * time of the process unless a name says wall; the table gives the median round and the range.
 */
#include <getopt.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "narthex/base/fs.h"
#include "narthex/tsdb/column.h"
#include "tsdb_bench.h"

extern char **environ;

enum { ROWS_DEFAULT = 480, BODIES_MAX = 60, MAINTAIN_ROWS = 20 };

void bench_check(struct bench *bench, err_t err)
{
    if (err == OK)
        return;
    fprintf(stderr, "tsdb-bench: %s: %s\n", err_name(err), strbuf_cstr(&bench->why));
    exit(1);
}

static bool run_tar(const char *archive, const char *folder)
{
    const char *const arguments[] = {"tar", "-x", "--zstd", "-f", archive, "-C", folder, NULL};
    pid_t child;
    int status;
    return posix_spawnp(&child, "tar", NULL, NULL, (char *const *)arguments, environ) == 0 &&
           waitpid(child, &status, 0) == child && status == 0;
}

/* Unpacks the shared recordings into build/…/corpus; false when there are none. */
static bool unpack_corpus(struct bench *bench, struct strbuf *folder)
{
    const char *shared = getenv("NARTHEX_SHARED");
    char program[4096];
    ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
    struct strbuf path = STRBUF_INIT;
    struct fs_list names;
    if (shared == NULL || size <= 0)
        return false;
    program[size] = 0;
    *strrchr(program, '/') = 0;
    strbuf_printf(folder, "%s/../corpus", program);
    if (fs_exists(strbuf_cstr(folder)))
        return true;
    strbuf_printf(&path, "%s/corpus", shared);
    if (fs_list_dir(strbuf_cstr(&path), &names, &bench->why) != OK) {
        strbuf_deinit(&path);
        return false;
    }
    struct strbuf unpacked = STRBUF_INIT;
    strbuf_printf(&unpacked, "%s.%ld", strbuf_cstr(folder), (long)getpid());
    bool done = fs_make_dirs(fs_system(), strbuf_cstr(&unpacked), &bench->why) == OK;
    for (size_t i = 0; i < names.count && done; i++) {
        if (!str_ends_with(str_from_cstr(names.names[i]), STR(".tar.zst")))
            continue;
        strbuf_clear(&path);
        strbuf_printf(&path, "%s/corpus/%s", shared, names.names[i]);
        done = run_tar(strbuf_cstr(&path), strbuf_cstr(&unpacked));
    }
    done = done && rename(strbuf_cstr(&unpacked), strbuf_cstr(folder)) == 0;
    fs_list_free(&names);
    strbuf_deinit(&path);
    strbuf_deinit(&unpacked);
    return done;
}

const struct corpus *bench_corpus(struct bench *bench)
{
    const struct bench_options *options = &bench->options;
    uint32_t rows = options->samples > 0 ? options->samples : ROWS_DEFAULT;
    uint32_t series = options->series > 0 ? options->series : 1000;
    if (bench->corpus_loaded)
        return &bench->corpus;
    bench->corpus_loaded = true;
    struct strbuf folder = STRBUF_INIT;
    if (options->corpus != NULL)
        strbuf_add_cstr(&folder, options->corpus);
    if (options->shape == NULL && (folder.size > 0 || unpack_corpus(bench, &folder)))
        bench_check(bench, corpus_load(&bench->corpus, strbuf_cstr(&folder), options->row_step,
                                       rows, BODIES_MAX, &bench->why));
    else
        bench_check(bench, corpus_make_shape(&bench->corpus,
                                             options->shape != NULL ? options->shape : "node",
                                             series, rows, options->seed, &bench->why));
    fprintf(stderr, "corpus: %s, %u jobs, %llu series, %llu samples\n", bench->corpus.title,
            bench->corpus.job_count, (unsigned long long)bench->corpus.series_count,
            (unsigned long long)bench->corpus.sample_count);
    strbuf_deinit(&folder);
    return &bench->corpus;
}

struct db *bench_db_reopen(struct bench *bench, const char *name)
{
    char path[320];
    struct db *db;
    snprintf(path, sizeof path, "%s/%s", bench->folder, name);
    struct db_options options = {.path = path, .fs = bench->fs, .no_background = true};
    bench_check(bench, db_open(&options, &db, &bench->why));
    return db;
}

struct db *bench_db_open(struct bench *bench, const char *name)
{
    char path[320];
    snprintf(path, sizeof path, "%s/%s", bench->folder, name);
    bench_check(bench, fs_remove_tree(fs_system(), path, &bench->why));
    return bench_db_reopen(bench, name);
}

uint64_t bench_fill(struct bench *bench, struct db *db, struct fleet *fleet, uint32_t rows)
{
    uint64_t samples = 0;
    for (uint32_t row = 0; row < rows; row++) {
        samples += fleet_render(fleet);
        bench_check(bench, fleet_commit(fleet, &bench->why));
        if ((row + 1) % MAINTAIN_ROWS == 0)
            bench_check(bench, db_maintain(db, &bench->why));
    }
    return samples;
}

static const struct {
    const char *name;
    void (*run)(struct bench *bench);
} commands[] = {
    {"parse", bench_parse},           {"seal", bench_seal},
    {"decode", bench_decode},         {"histograms", bench_histograms},
    {"references", bench_references}, {"ingest", bench_ingest},
    {"select", bench_select},         {"query", bench_query},
    {"compact", bench_compact},       {"restart", bench_restart},
    {"memory", bench_memory},
};

static bool run_commands(struct bench *bench, const char *name)
{
    bool known = false;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(name, "all") != 0 && strcmp(name, commands[i].name) != 0)
            continue;
        commands[i].run(bench);
        known = true;
    }
    return known;
}

static int usage(FILE *out)
{
    fprintf(out, "usage: tsdb-bench COMMAND|all [OPTIONS]\n\nCommands:\n");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(out, "  %s\n", commands[i].name);
    fprintf(out,
            "\nOptions:\n"
            "  --corpus DIR      recorded scrapes, JOB/UNIX_MILLISECONDS.txt\n"
            "  --row-step N      of them every N-th scrape\n"
            "  --shape NAME      synthetic: node, k8s, wide, churn, hostile, sets\n"
            "  --series N        of a shape\n"
            "  --samples N       of each series\n"
            "  --seed S          of what is random\n"
            "  --rounds N        of each measurement; the median counts\n"
            "  --threads N       of queries\n"
            "  --only TEXT       only queries that contain it\n"
            "  --scalar          no vector kernels\n"
            "  --work DIR        where temporary databases are made (default: current folder)\n"
            "  --json            for programs\n"
            "  --against FILE    ratios to what --json printed\n");
    return 2;
}

static bool parse_options(int argc, char **argv, struct bench_options *options)
{
    static const struct option known[] = {
        {"corpus", required_argument, NULL, 'c'},  {"shape", required_argument, NULL, 's'},
        {"series", required_argument, NULL, 'n'},  {"samples", required_argument, NULL, 'r'},
        {"seed", required_argument, NULL, 'e'},    {"rounds", required_argument, NULL, 'o'},
        {"threads", required_argument, NULL, 't'}, {"work", required_argument, NULL, 'w'},
        {"json", no_argument, NULL, 'j'},          {"against", required_argument, NULL, 'a'},
        {"scalar", no_argument, NULL, 'p'},        {"row-step", required_argument, NULL, 'k'},
        {"only", required_argument, NULL, 'q'},    {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        uint64_t number = optarg == NULL ? 0 : strtoull(optarg, NULL, 10);
        switch (option) {
        case 'c':
            options->corpus = optarg;
            break;
        case 's':
            options->shape = optarg;
            break;
        case 'n':
            options->series = (uint32_t)number;
            break;
        case 'r':
            options->samples = (uint32_t)number;
            break;
        case 'e':
            options->seed = number;
            break;
        case 'o':
            options->rounds = (uint32_t)number;
            break;
        case 't':
            options->threads = (uint32_t)number;
            break;
        case 'w':
            options->work = optarg;
            break;
        case 'j':
            options->json = true;
            break;
        case 'a':
            options->against = optarg;
            break;
        case 'p':
            options->scalar = true;
            break;
        case 'k':
            options->row_step = (uint32_t)number;
            break;
        case 'q':
            options->only = optarg;
            break;
        default:
            return false;
        }
    }
    return optind + 1 == argc && options->row_step > 0 && options->rounds > 0 &&
           options->rounds <= ROUNDS_MAX;
}

int main(int argc, char **argv)
{
    static struct bench bench = {.options = {.row_step = 1, .rounds = 5, .seed = 1, .work = "."}};
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        usage(stdout);
        return 0;
    }
    if (!parse_options(argc, argv, &bench.options))
        return usage(stderr);
    snprintf(bench.folder, sizeof bench.folder, "%s/tsdb-bench.%ld", bench.options.work,
             (long)getpid());
    bench_check(&bench, fs_make_dirs(fs_system(), bench.folder, &bench.why));
    if (bench.options.scalar)
        column_kernels_use_scalar();
    bench.report = report_create();
    int status = run_commands(&bench, argv[optind]) ? 0 : usage(stderr);
    if (status == 0 && bench.options.json)
        report_print_json(bench.report);
    else if (status == 0)
        bench_check(&bench, report_print(bench.report, bench.options.against, &bench.why));
    bench_check(&bench, fs_remove_tree(fs_system(), bench.folder, &bench.why));
    report_destroy(bench.report);
    if (bench.corpus_loaded)
        corpus_deinit(&bench.corpus);
    strbuf_deinit(&bench.why);
    return status;
}
