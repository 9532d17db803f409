/* Bodies that may be larger than memory: written to a file beside the data as they come. */
#include "exchange.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "narthex/base/log.h"

#define IMPORT_PATH "/api/v1/admin/tsdb/import"

bool upload__wanted(const struct http_exchange *exchange)
{
    const struct http_request *request = &exchange->request;
    struct str path = request->raw_path;
    struct str prefix = exchange->server->route_prefix;
    if (str_starts_with(path, prefix))
        path = str_from(path.data + prefix.size, path.size - prefix.size);
    /* acquire: pairs with the release store after the services were filled in */
    return str_equal(path, STR(IMPORT_PATH)) && request->options->enable_admin_api &&
           (request->method == HTTP_POST || request->method == HTTP_PUT) &&
           atomic_load_explicit(&request->services->state, memory_order_acquire) == SERVER_READY;
}

void upload__begin(struct http_exchange *exchange)
{
    struct http_request *request = &exchange->request;
    /* A start of the database removes what ends so. */
    struct str path =
        arena_printf(&request->arena, "%s/upload-XXXXXX.tmp", db_path(request->services->db));
    exchange->upload_path = (char *)path.data;
    exchange->upload_file = mkostemps(exchange->upload_path, (int)strlen(".tmp"), O_CLOEXEC);
    if (exchange->upload_file < 0) {
        exchange->upload_errno = errno;
        exchange->upload_path = NULL;
    }
    request->upload_path = exchange->upload_path;
}

void upload__add(struct http_exchange *exchange, const char *data, size_t size)
{
    exchange->request.upload_bytes += size;
    while (size > 0 && exchange->upload_errno == 0) {
        ssize_t written = write(exchange->upload_file, data, size);
        if (written < 0 && errno != EINTR)
            exchange->upload_errno = errno;
        if (written > 0) {
            data += written;
            size -= (size_t)written;
        }
    }
}

bool upload__is_whole(struct http_exchange *exchange)
{
    if (exchange->upload_errno == 0)
        return true;
    struct strbuf why = STRBUF_INIT;
    strbuf_printf(&why, "the upload cannot be kept: %s", strerror(exchange->upload_errno));
    http__api_error(&exchange->request, API_INTERNAL, strbuf_cstr(&why));
    strbuf_deinit(&why);
    return false;
}

void upload__end(struct http_exchange *exchange)
{
    if (exchange->upload_path == NULL)
        return;
    close(exchange->upload_file);
    if (unlink(exchange->upload_path) != 0)
        LOG_WARN("cannot remove an upload", "path", exchange->upload_path, "err", strerror(errno));
    exchange->upload_path = NULL;
}
