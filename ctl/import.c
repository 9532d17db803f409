/* narthexctl tsdb create-blocks-from openmetrics: into a folder, or into a running server. */
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "narthex/tsdb/db_import.h"

static void print_block(void *context, const char *path)
{
    bool *failed = context;
    *failed |= ctl_block_print(path) != 0;
}

/* Opened for its lock and its checks; a server sees the blocks when it opens the folder. */
static err_t import_into_folder(const char *file, const char *folder, bool quiet,
                                size_t samples_in_memory, struct strbuf *why)
{
    struct db *target;
    struct db_options options = {.path = folder, .no_background = true};
    bool failed = false;
    struct db_import_options import = {
        .file = file,
        .samples_in_memory = samples_in_memory,
        .block_made = quiet ? NULL : print_block,
        .context = &failed,
    };
    struct db_import_result result;
    TRY(db_open(&options, &target, why));
    if (!quiet)
        ctl_block_print_heading();
    err_t err = db_import_openmetrics(target, &import, &result, why);
    db_close(target);
    if (err == OK && failed)
        err = err_fail(why, ERR_CORRUPT, "%s: a new block cannot be read", folder);
    return err;
}

static err_t import_into_server(const char *file, const char *url, bool quiet, struct strbuf *why)
{
    struct strbuf address = STRBUF_INIT;
    struct strbuf body = STRBUF_INIT;
    long status = 0;
    strbuf_add_cstr(&address, url);
    while (address.size > 0 && address.data[address.size - 1] == '/')
        address.size--;
    strbuf_add_cstr(&address, "/api/v1/admin/tsdb/import");
    err_t err = ctl_post_file(strbuf_cstr(&address), file, &status, &body, why);
    if (err == OK && status != 200)
        err = err_fail(why, ERR_IO, "server returned HTTP status %ld: %s", status,
                       strbuf_cstr(&body));
    if (err == OK && !quiet)
        printf("%s\n", strbuf_cstr(&body));
    strbuf_deinit(&body);
    strbuf_deinit(&address);
    return err;
}

int ctl_tsdb_create_blocks(const struct ctl_arguments *arguments)
{
    if (strcmp(arguments->rest[0], "openmetrics") != 0) {
        fprintf(stderr, "narthexctl: error: blocks are created from openmetrics only\n");
        return CTL_FAILED;
    }
    const char *url = ctl_option(arguments, "url", NULL);
    const char *limit = ctl_option(arguments, "samples-in-memory", NULL);
    bool quiet = ctl_option(arguments, "quiet", NULL) != NULL;
    uint64_t samples = 0;
    if (limit != NULL && (!str_to_uint64(str_from_cstr(limit), &samples) ||
                          samples < DB_IMPORT_SAMPLES_MIN || samples > SIZE_MAX / 2)) {
        fprintf(stderr, "narthexctl: error: --samples-in-memory is a number of %d or more\n",
                DB_IMPORT_SAMPLES_MIN);
        return CTL_FAILED;
    }
    if (url != NULL && (limit != NULL || arguments->rest_count > 2)) {
        fprintf(stderr,
                "narthexctl: error: --url takes neither a folder nor --samples-in-memory\n");
        return CTL_FAILED;
    }
    const char *folder = arguments->rest_count > 2 ? arguments->rest[2] : "data";
    struct strbuf why = STRBUF_INIT;
    err_t err = url != NULL ? import_into_server(arguments->rest[1], url, quiet, &why)
                            : import_into_folder(arguments->rest[1], folder, quiet, samples, &why);
    if (err != OK)
        fprintf(stderr, "narthexctl: error: %s\n", strbuf_cstr(&why));
    strbuf_deinit(&why);
    return err == OK ? CTL_OK : CTL_FAILED;
}
