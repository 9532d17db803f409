/* /api/v1/admin/tsdb/import: samples of an OpenMetrics text become blocks of the running database.
 * The text is the request's body, or with ?path= a file below the data folder. */
#include "request.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "narthex/tsdb/db_import.h"

static bool is_canceled(void *context)
{
    struct http_request *request = context;
    return atomic_load_explicit(&request->cancel, memory_order_relaxed);
}

/* Neither absolute nor leading out of the folder by itself; said of files that are not there too.
 */
static bool stays_below(struct str path)
{
    if (path.size == 0 || path.data[0] == '/')
        return false;
    for (size_t at = 0; at <= path.size;) {
        size_t end = str_find(path, '/', at);
        if (end == SIZE_MAX)
            end = path.size;
        if (str_equal(str_from(path.data + at, end - at), STR("..")))
            return false;
        at = end + 1;
    }
    return true;
}

/* The file that the path names, in the arena: a regular one below the data folder, wherever links
 * lead. Errors quote the text, which nobody shall read of other files this way; a pipe would never
 * end. NULL with the reason otherwise. */
static const char *find_file(struct http_request *request, struct str path, const char **reason)
{
    const char *folder = db_path(request->services->db);
    const char *text = arena_printf(&request->arena, "%s/%.*s", folder, STR_ARG(path)).data;
    char *root = realpath(folder, NULL);
    char *real = realpath(text, NULL);
    struct stat info;
    const char *found = NULL;
    size_t size = root == NULL ? 0 : strlen(root);
    if (!stays_below(path) || str_find(path, '\0', 0) != SIZE_MAX || root == NULL)
        *reason = "not below the data folder";
    else if (real == NULL)
        found = text; /* cannot be opened either, and the error says why */
    else if (strncmp(real, root, size) != 0 || real[size] != '/')
        *reason = "not below the data folder";
    else if (stat(real, &info) != 0 || !S_ISREG(info.st_mode))
        *reason = "not a regular file";
    else
        found = arena_str(&request->arena, str_from_cstr(real)).data;
    free(real);
    free(root);
    return found;
}

static void answer(struct http_request *request, const struct db_import_result *result)
{
    struct strbuf *out = http__api_begin(request);
    strbuf_printf(out, "{\"numSamples\":%llu,\"numBlocks\":%u",
                  (unsigned long long)result->sample_count, result->block_count);
    if (result->sample_count > 0)
        strbuf_printf(out, ",\"minTime\":%lld,\"maxTime\":%lld", (long long)result->min_t_ms,
                      (long long)result->max_t_ms);
    strbuf_add_char(out, '}');
    http__api_end(request, NULL, 0, NULL, 0);
}

void http__import(struct http_request *request)
{
    struct str path = http__param(request, "path");
    if (!http__admin_is_on(request))
        return;
    struct db_import_options options = {.is_canceled = is_canceled, .context = request};
    if (path.size == 0) {
        options.file = request->upload_path;
        options.name = "body";
    } else {
        const char *reason = "there is a body too";
        options.file = request->upload_bytes > 0 ? NULL : find_file(request, path, &reason);
        options.name = arena_str(&request->arena, path).data;
        if (options.file == NULL) {
            http__api_invalid_parameter(request, "path", reason);
            return;
        }
    }
    struct db_import_result result;
    struct strbuf why = STRBUF_INIT;
    err_t err = options.file == NULL
                    ? err_fail(&why, ERR_UNAVAILABLE, "the server is not ready")
                    : db_import_openmetrics(request->services->db, &options, &result, &why);
    if (err == OK)
        answer(request, &result);
    else
        http__api_error(request, err == ERR_DUPLICATE ? API_BAD_DATA : http__api_error_of(err),
                        strbuf_cstr(&why));
    strbuf_deinit(&why);
}
