/* narthexctl tsdb create-blocks-from openmetrics: into a folder, or into a running server. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "block_rows.h"
#include "client.h"
#include "narthex/base/fs.h"
#include "narthex/tsdb/db_import.h"
#include "progress.h"

struct import {
    struct ctl_block_rows rows;
    struct ctl_progress progress;
    bool failed; /* a block that was made cannot be read */
};

static void note_block(void *context, const char *path)
{
    struct import *import = context;
    import->failed |= ctl_block_rows_add(&import->rows, path) != 0;
}

static void note_samples(void *context, uint64_t samples)
{
    struct import *import = context;
    ctl_progress_set(&import->progress, samples);
}

/* Lines that may be samples; 0 when the file cannot be read. */
static uint64_t count_samples(const char *file)
{
    struct fs_mapping mapping;
    struct strbuf why = STRBUF_INIT;
    uint64_t count = 0;
    if (fs_map(file, &mapping, &why) == OK) {
        const char *at = (const char *)mapping.data;
        const char *end = at + mapping.size;
        while (at < end) {
            const char *newline = memchr(at, '\n', (size_t)(end - at));
            count += *at != '#' && *at != '\n';
            at = newline == NULL ? end : newline + 1;
        }
        fs_unmap(&mapping);
    }
    strbuf_deinit(&why);
    return count;
}

/* Opened for its lock and its checks; a server sees the blocks when it opens the folder. */
static err_t import_into_folder(const struct ctl_arguments *arguments, size_t samples_in_memory,
                                struct strbuf *why)
{
    struct db *target;
    const char *file = arguments->rest[0];
    const char *folder = arguments->rest_count > 1 ? arguments->rest[1] : "data";
    struct db_options options = {.path = folder, .no_background = true};
    struct import import = {0};
    struct db_import_options db_import = {
        .file = file,
        .samples_in_memory = samples_in_memory,
        .block_made = note_block,
        .progress = note_samples,
        .context = &import,
    };
    struct db_import_result result;
    TRY(db_open(&options, &target, why));
    bool watched = isatty(STDERR_FILENO) == 1;
    ctl_progress_start(&import.progress, "Importing", watched ? count_samples(file) : 0);
    err_t err = db_import_openmetrics(target, &db_import, &result, why);
    ctl_progress_clear(&import.progress);
    db_close(target);
    if (ctl_switch(arguments, "quiet"))
        mem_free(MEM_BLOCK, import.rows.items);
    else
        ctl_block_rows_print(&import.rows, arguments);
    if (err == OK && import.failed)
        err = err_fail(why, ERR_CORRUPT, "%s: a new block cannot be read", folder);
    return err;
}

static void note_bytes(void *context, uint64_t bytes)
{
    ctl_progress_set(context, bytes);
}

static err_t import_into_server(const char *file, const char *url, bool quiet, struct strbuf *why)
{
    struct strbuf address = STRBUF_INIT;
    struct strbuf body = STRBUF_INIT;
    struct strbuf ignored = STRBUF_INIT;
    struct ctl_progress progress;
    uint64_t size = 0;
    long status = 0;
    if (fs_file_size(file, &size, &ignored) != OK)
        size = 0; /* the sending says what is wrong */
    ctl_url_add(&address, url, "/api/v1/admin/tsdb/import");
    ctl_progress_start(&progress, "Sending", size);
    err_t err =
        ctl_post_file(strbuf_cstr(&address), file, note_bytes, &progress, &status, &body, why);
    ctl_progress_clear(&progress);
    if (err == OK && status != 200)
        err = err_fail(why, ERR_IO, "server returned HTTP status %ld: %s", status,
                       strbuf_cstr(&body));
    if (err == OK && !quiet)
        printf("%s\n", strbuf_cstr(&body));
    strbuf_deinit(&ignored);
    strbuf_deinit(&body);
    strbuf_deinit(&address);
    return err;
}

int ctl_tsdb_create_blocks(const struct ctl_arguments *arguments)
{
    const char *url = ctl_option(arguments, "url", NULL);
    const char *limit = ctl_option(arguments, "samples-in-memory", NULL);
    uint64_t samples = 0;
    if (limit != NULL && (!str_to_uint64(str_from_cstr(limit), &samples) ||
                          samples < DB_IMPORT_SAMPLES_MIN || samples > SIZE_MAX / 2)) {
        fprintf(stderr, "narthexctl: error: --samples-in-memory is a number of %d or more\n",
                DB_IMPORT_SAMPLES_MIN);
        return CTL_FAILED;
    }
    if (url != NULL && (limit != NULL || arguments->rest_count > 1)) {
        fprintf(stderr,
                "narthexctl: error: --url takes neither a folder nor --samples-in-memory\n");
        return CTL_FAILED;
    }
    struct strbuf why = STRBUF_INIT;
    err_t err = url != NULL ? import_into_server(arguments->rest[0], url,
                                                 ctl_switch(arguments, "quiet"), &why)
                            : import_into_folder(arguments, samples, &why);
    int status = err == OK ? CTL_OK : ctl_fail(&why);
    strbuf_deinit(&why);
    return status;
}
