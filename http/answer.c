/* Answers: the API's envelope, errors, plain texts. */
#include "request.h"

void http__header(struct http_request *request, const char *name, struct str value)
{
    struct http_response *response = &request->response;
    if (response->header_count < HTTP_RESPONSE_HEADERS_MAX)
        response->headers[response->header_count++] = (struct http_header){name, value};
}

void http__plain(struct http_request *request, unsigned status, const char *text)
{
    request->response.status = status;
    request->response.content_type = "text/plain; charset=utf-8";
    strbuf_clear(&request->response.body);
    strbuf_add_cstr(&request->response.body, text);
}

void http__text(struct http_request *request, unsigned status, const char *text)
{
    http__plain(request, status, text);
    http__header(request, "X-Content-Type-Options", STR("nosniff"));
}

void http__answer_pieces(struct http_request *request, struct http_pieces pieces)
{
    struct strbuf *body = &request->response.body;
    bool more = true;
    while (pieces.next != NULL && more && body->size < HTTP_WHOLE_BYTES_MAX)
        more = pieces.next(pieces.context, body);
    if (more)
        request->response.pieces = pieces;
    else
        pieces.close(pieces.context);
}

enum api_error http__api_error_of(err_t err)
{
    switch (err) {
    case ERR_INVALID:
        return API_BAD_DATA;
    case ERR_EXECUTION:
    case ERR_LIMIT:
    case ERR_UNSUPPORTED:
        return API_EXECUTION;
    case ERR_TIMEOUT:
        return API_TIMEOUT;
    case ERR_CANCELED:
        return API_CANCELED;
    case ERR_NOT_FOUND:
        return API_NOT_FOUND;
    case ERR_UNAVAILABLE:
        return API_UNAVAILABLE;
    default:
        return API_INTERNAL;
    }
}

void http__api_error(struct http_request *request, enum api_error kind, const char *text)
{
    static const struct {
        unsigned status;
        const char *type;
    } kinds[] = {
        [API_BAD_DATA] = {400, "bad_data"},   [API_EXECUTION] = {422, "execution"},
        [API_CANCELED] = {499, "canceled"},   [API_TIMEOUT] = {503, "timeout"},
        [API_INTERNAL] = {500, "internal"},   [API_UNAVAILABLE] = {500, "unavailable"},
        [API_NOT_FOUND] = {404, "not_found"},
    };
    struct strbuf *body = &request->response.body;
    request->response.status = kinds[kind].status;
    request->response.content_type = "application/json";
    strbuf_clear(body);
    strbuf_printf(body, "{\"status\":\"error\",\"errorType\":\"%s\",\"error\":", kinds[kind].type);
    json_add_string(body, str_from_cstr(text), true);
    strbuf_add_char(body, '}');
}

void http__api_invalid_parameter(struct http_request *request, const char *name, const char *text)
{
    struct strbuf whole = STRBUF_INIT;
    strbuf_printf(&whole, "invalid parameter \"%s\": %s", name, text);
    http__api_error(request, API_BAD_DATA, strbuf_cstr(&whole));
    strbuf_deinit(&whole);
}

struct strbuf *http__api_begin(struct http_request *request)
{
    struct strbuf *body = &request->response.body;
    request->response.status = 200;
    request->response.content_type = "application/json";
    strbuf_clear(body);
    strbuf_add_cstr(body, "{\"status\":\"success\",\"data\":");
    return body;
}

static void add_texts(struct strbuf *body, const char *key, const struct str *texts, size_t count)
{
    if (count == 0)
        return;
    strbuf_printf(body, ",\"%s\":[", key);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            strbuf_add_char(body, ',');
        json_add_string(body, texts[i], true);
    }
    strbuf_add_char(body, ']');
}

void http__api_end_in(struct strbuf *out, const struct str *warnings, size_t warning_count,
                      const struct str *infos, size_t info_count)
{
    add_texts(out, "warnings", warnings, warning_count);
    add_texts(out, "infos", infos, info_count);
    strbuf_add_char(out, '}');
}

void http__api_end(struct http_request *request, const struct str *warnings, size_t warning_count,
                   const struct str *infos, size_t info_count)
{
    http__api_end_in(&request->response.body, warnings, warning_count, infos, info_count);
}
