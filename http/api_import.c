/* /api/v1/admin/tsdb/import: samples of an OpenMetrics text become blocks of the running database.
 * The text is the request's body, or with ?path= a file below the data folder. */
#include "request.h"

#include "narthex/tsdb/db_import.h"

static bool is_canceled(void *context)
{
    struct http_request *request = context;
    return atomic_load_explicit(&request->cancel, memory_order_relaxed);
}

/* Neither absolute nor leading out of the folder. */
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
    } else if (stays_below(path) && request->upload_bytes == 0) {
        options.file =
            arena_printf(&request->arena, "%s/%.*s", db_path(request->services->db), STR_ARG(path))
                .data;
        options.name = arena_str(&request->arena, path).data;
    } else {
        http__api_invalid_parameter(request, "path",
                                    request->upload_bytes > 0 ? "there is a body too"
                                                              : "not below the data folder");
        return;
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
