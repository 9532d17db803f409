/* promqltest [--store reference|db] [--threads N] [--immediate-names] [--quiet] FILE…: runs PromQL
 * test scripts.
 *
 * Prints each failing case and a line of figures per file; exits with 1 if anything failed, 2 if a
 * file could not be read, 77 if there is no file to run. A folder stands for its *.test files.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "narthex/base/fs.h"
#include "narthex/base/log.h"
#include "narthex/base/vec.h"
#include "narthex/tsdb/db.h"

#include "reference_store.h"
#include "runner.h"

static const int64_t block_range_ms = INT64_C(365) * 86400 * 1000; /* all in the head */

enum { EXIT_SKIPPED = 77, SAMPLES_MAX = 10000, TIMEOUT_MS = 100000, LOOKBACK_MS = 300000 };

struct options {
    bool use_db;          /* the real database instead of the reference store */
    bool immediate_names; /* names are dropped at once, as the server does by default */
    uint32_t threads;
    bool quiet;
    const char **paths;
    size_t path_count;
    size_t path_capacity;
};

struct figures {
    size_t passed;
    size_t failed;
};

/* ---- store and engine ---- */

struct bench {
    struct db *db; /* NULL: the reference store */
    char *folder;  /* of the database */
    struct storage *storage;
    struct query_engine *engine;
};

static err_t db_bench_open(struct bench *bench, struct strbuf *why)
{
    const char *base = getenv("TMPDIR");
    struct strbuf pattern = STRBUF_INIT;
    strbuf_printf(&pattern, "%s/promqltest.XXXXXX", base == NULL ? "/tmp" : base);
    bench->folder = mem_dup(MEM_TEST, pattern.data, pattern.size);
    strbuf_deinit(&pattern);
    if (mkdtemp(bench->folder) == NULL)
        return err_fail_errno(why, errno, "%s", bench->folder);
    struct db_options options = {
        .path = bench->folder,
        .no_lockfile = true,
        .no_background = true,
        .block_range_ms = block_range_ms,
        .exemplars_max = 0,
    };
    TRY(db_open(&options, &bench->db, why));
    bench->storage = db_storage(bench->db);
    return OK;
}

static err_t bench_open(struct bench *bench, const struct options *options, struct strbuf *why)
{
    *bench = (struct bench){0};
    if (options->use_db)
        TRY(db_bench_open(bench, why));
    else
        bench->storage = reference_store_create();
    struct query_engine_options engine_options = {
        .storage = bench->storage,
        .max_samples = SAMPLES_MAX,
        .timeout_ms = TIMEOUT_MS,
        .lookback_ms = LOOKBACK_MS,
        .threads = options->threads,
        .features = {.experimental_functions = true,
                     .extended_range_selectors = true,
                     .binop_fill_modifiers = true,
                     .delayed_name_removal = !options->immediate_names,
                     .start_timestamps = true},
    };
    bench->engine = query_engine_create(&engine_options);
    return OK;
}

static void bench_close(struct bench *bench)
{
    if (bench->engine != NULL)
        query_engine_destroy(bench->engine);
    if (bench->db != NULL)
        db_close(bench->db);
    else if (bench->storage != NULL)
        reference_store_destroy(bench->storage);
    if (bench->folder != NULL) {
        struct strbuf why = STRBUF_INIT;
        if (fs_remove_tree(fs_system(), bench->folder, &why) != OK)
            printf("%s\n", strbuf_cstr(&why));
        strbuf_deinit(&why);
    }
    mem_free(MEM_TEST, bench->folder);
    *bench = (struct bench){0};
}

/* ---- files ---- */

static err_t read_file(const char *path, struct strbuf *out, struct strbuf *why)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return err_fail_errno(why, errno, "%s", path);
    char buffer[65536];
    size_t size;
    while ((size = fread(buffer, 1, sizeof buffer, file)) > 0)
        strbuf_add(out, buffer, size);
    bool failed = ferror(file) != 0;
    fclose(file);
    return failed ? err_fail(why, ERR_IO, "%s: cannot be read", path) : OK;
}

static err_t run_command(const struct command *command, struct bench *bench,
                         const struct options *options, struct strbuf *why)
{
    switch (command->kind) {
    case COMMAND_CLEAR:
        bench_close(bench);
        return bench_open(bench, options, why);
    case COMMAND_LOAD:
        return load_run(&command->load, bench->storage, why);
    case COMMAND_EVAL:
        return eval_run(&command->eval, bench->engine, why);
    }
    return OK;
}

static struct figures run_script(const char *path, const struct script *script,
                                 const struct options *options)
{
    struct figures figures = {0, 0};
    struct bench bench;
    struct strbuf problem = STRBUF_INIT;
    bool open = bench_open(&bench, options, &problem) == OK;
    if (!open) {
        printf("%s: %s\n", path, strbuf_cstr(&problem));
        figures.failed++;
    }
    strbuf_deinit(&problem);
    for (size_t i = 0; open && i < script->count; i++) {
        const struct command *command = &script->commands[i];
        struct strbuf why = STRBUF_INIT;
        err_t err = run_command(command, &bench, options, &why);
        if (err != OK) {
            figures.failed++;
            if (!options->quiet)
                printf("%s:%u: %s\n", path, command->line, strbuf_cstr(&why));
        } else if (command->kind == COMMAND_EVAL) {
            figures.passed++;
        }
        strbuf_deinit(&why);
        open = bench.engine != NULL;
    }
    bench_close(&bench);
    return figures;
}

/* 0, 1 for failing cases, 2 for a file that cannot be read. */
static int run_file(const char *path, const struct options *options, struct figures *total)
{
    struct strbuf text = STRBUF_INIT;
    struct strbuf why = STRBUF_INIT;
    int status = 2;
    if (read_file(path, &text, &why) == OK) {
        struct script script;
        if (script_parse(&script, strbuf_str(&text), &why) == OK) {
            struct figures figures = run_script(path, &script, options);
            printf("%s: %zu passed, %zu failed\n", path, figures.passed, figures.failed);
            total->passed += figures.passed;
            total->failed += figures.failed;
            status = figures.failed > 0 ? 1 : 0;
        } else {
            printf("%s: %s\n", path, strbuf_cstr(&why));
        }
        script_deinit(&script);
    } else {
        printf("%s\n", strbuf_cstr(&why));
    }
    fflush(stdout);
    strbuf_deinit(&text);
    strbuf_deinit(&why);
    return status;
}

/* ---- command line ---- */

static int is_test(const struct dirent *entry)
{
    return str_ends_with(str_from_cstr(entry->d_name), STR(".test"));
}

/* A file, or the scripts of a folder in the order of their names. */
static void add_path(struct options *options, const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, is_test, alphasort);
    if (count < 0) {
        if (errno == ENOTDIR)
            VEC_PUSH(MEM_TEST, options->paths, options->path_count, options->path_capacity,
                     mem_dup(MEM_TEST, path, strlen(path)));
        return;
    }
    for (int i = 0; i < count; i++) {
        struct strbuf full = STRBUF_INIT;
        strbuf_printf(&full, "%s/%s", path, entries[i]->d_name);
        VEC_PUSH(MEM_TEST, options->paths, options->path_count, options->path_capacity,
                 mem_dup(MEM_TEST, full.data, full.size));
        strbuf_deinit(&full);
        free(entries[i]);
    }
    free(entries);
}

static bool parse_options(int argc, char **argv, struct options *options)
{
    for (int i = 1; i < argc; i++) {
        struct str arg = str_from_cstr(argv[i]);
        uint64_t threads;
        if (str_equal_cstr(arg, "--quiet")) {
            options->quiet = true;
        } else if (str_equal_cstr(arg, "--immediate-names")) {
            options->immediate_names = true;
        } else if (str_equal_cstr(arg, "--threads") && i + 1 < argc &&
                   str_to_uint64(str_from_cstr(argv[i + 1]), &threads) && threads <= 64) {
            options->threads = (uint32_t)threads;
            i++;
        } else if (str_equal_cstr(arg, "--store") && i + 1 < argc &&
                   (strcmp(argv[i + 1], "reference") == 0 || strcmp(argv[i + 1], "db") == 0)) {
            options->use_db = strcmp(argv[++i], "db") == 0;
        } else if (str_starts_with(arg, STR("--"))) {
            fprintf(stderr, "promqltest: bad option %s\n", argv[i]);
            return false;
        } else {
            add_path(options, argv[i]);
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    struct figures total = {0, 0};
    int status = 2;
    log_configure(LOG_LEVEL_WARN, LOG_FORMAT_LOGFMT);
    if (parse_options(argc, argv, &options)) {
        status = options.path_count == 0 ? EXIT_SKIPPED : 0;
        for (size_t i = 0; i < options.path_count; i++) {
            int one = run_file(options.paths[i], &options, &total);
            status = one > status ? one : status;
        }
        if (options.path_count == 0)
            printf("no test scripts found: skipped\n");
        else
            printf("total: %zu passed, %zu failed\n", total.passed, total.failed);
    }
    for (size_t i = 0; i < options.path_count; i++)
        mem_free(MEM_TEST, (void *)(uintptr_t)options.paths[i]);
    mem_free(MEM_TEST, options.paths);
    return status;
}
