/* Whole-body compression of answers (spec http-api.md 2, "Compression"). */
#include "exchange.h"

#include <libdeflate.h>

enum { COMPRESS_LEVEL = 3 };

enum encoding { ENCODING_NONE, ENCODING_GZIP, ENCODING_ZLIB };

/* First of gzip and deflate that stands alone in the header. */
static enum encoding choose(struct str accepted)
{
    size_t at = 0;
    while (at < accepted.size) {
        size_t comma = str_find(accepted, ',', at);
        size_t end = comma == SIZE_MAX ? accepted.size : comma;
        struct str token = str_trim(str_from(accepted.data + at, end - at));
        if (str_equal(token, STR("gzip")))
            return ENCODING_GZIP;
        if (str_equal(token, STR("deflate")))
            return ENCODING_ZLIB;
        at = end + 1;
    }
    return ENCODING_NONE;
}

void compress__body(struct http_request *request)
{
    enum encoding encoding = choose(request->accept_encoding);
    http__header(request, "Vary", STR("Accept-Encoding"));
    if (encoding == ENCODING_NONE || request->response.body.size == 0)
        return;
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(COMPRESS_LEVEL);
    if (compressor == NULL)
        return;
    struct strbuf *body = &request->response.body;
    struct strbuf packed = STRBUF_INIT;
    size_t bound = encoding == ENCODING_GZIP
                       ? libdeflate_gzip_compress_bound(compressor, body->size)
                       : libdeflate_zlib_compress_bound(compressor, body->size);
    char *to = strbuf_reserve(&packed, bound);
    size_t size = encoding == ENCODING_GZIP
                      ? libdeflate_gzip_compress(compressor, body->data, body->size, to, bound)
                      : libdeflate_zlib_compress(compressor, body->data, body->size, to, bound);
    libdeflate_free_compressor(compressor);
    if (size == 0) {
        strbuf_deinit(&packed);
        return;
    }
    strbuf_commit(&packed, size);
    strbuf_deinit(body);
    *body = packed;
    http__header(request, "Content-Encoding",
                 encoding == ENCODING_GZIP ? STR("gzip") : STR("deflate"));
}
