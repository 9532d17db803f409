#include "client.h"

#include <stdio.h>
#include <string.h>

#include "narthex/base/vec.h"
#include "narthex/config/http_client_file.h"
#include "narthex/scraper/http_client.h"

enum { QUERY_TIMEOUT_MS = 120000 };

struct ctl_client {
    struct http_client_file *file;
    struct http_client_config plain;
    struct http_client *http;
    struct name_value *headers;
    uint32_t header_count;
    uint32_t header_capacity;
};

static void add_headers(struct ctl_client *client, const struct ctl_arguments *arguments)
{
    for (uint32_t i = 0; i < arguments->option_count; i++) {
        if (!str_equal(arguments->options[i].name, STR("header")))
            continue;
        const char *text = arguments->options[i].value;
        const char *equal = strchr(text, '='); /* was seen to be there */
        struct name_value header = {str_from(text, (size_t)(equal - text)),
                                    str_from_cstr(equal + 1)};
        VEC_PUSH(MEM_HTTP, client->headers, client->header_count, client->header_capacity, header);
    }
}

err_t ctl_client_open(const struct ctl_arguments *arguments, struct ctl_client **out,
                      struct strbuf *why)
{
    const char *path = ctl_option(arguments, "http.config.file", NULL);
    struct ctl_client *client = MEM_NEW(MEM_HTTP, struct ctl_client);
    client->plain = (struct http_client_config){.follow_redirects = true, .enable_http2 = true};
    err_t err = OK;
    if (path != NULL)
        TRY_OUT(http_client_file_load(path, &client->file, why));
    TRY_OUT(http_client_create(client->file == NULL ? &client->plain
                                                    : http_client_file_config(client->file),
                               &client->http, why));
    add_headers(client, arguments);
    *out = client;
out:
    if (err != OK)
        ctl_client_close(client);
    return err;
}

void ctl_client_close(struct ctl_client *client)
{
    if (client == NULL)
        return;
    http_client_destroy(client->http);
    http_client_file_free(client->file);
    mem_free(MEM_HTTP, client->headers);
    mem_free(MEM_HTTP, client);
}

err_t ctl_client_fetch(struct ctl_client *client, const char *url, const struct strbuf *form,
                       int64_t timeout_ms, uint32_t *status, struct strbuf *body,
                       struct strbuf *why)
{
    static const struct name_value own[] = {
        {STR_INIT("User-Agent"), STR_INIT("narthexctl/" NARTHEX_VERSION)},
        {STR_INIT("Content-Type"), STR_INIT("application/x-www-form-urlencoded")},
    };
    struct name_value *headers =
        MEM_NEW_ARRAY(MEM_HTTP, struct name_value, client->header_count + 2);
    size_t count = form == NULL ? 1 : 2;
    memcpy(headers, own, count * sizeof *own);
    if (client->header_count > 0)
        memcpy(headers + count, client->headers, client->header_count * sizeof *headers);
    struct http_request request = {
        .method = form == NULL ? "GET" : "POST",
        .url = str_from_cstr(url),
        .headers = headers,
        .header_count = count + client->header_count,
        .body = form == NULL ? STR("") : strbuf_str(form),
        .timeout_ms = timeout_ms,
    };
    struct http_answer answer = {0};
    err_t err = http_client_fetch(client->http, &request, SIZE_MAX / 2, &answer, body, why);
    *status = answer.status;
    mem_free(MEM_HTTP, headers);
    return err;
}

void ctl_url_add(struct strbuf *url, const char *server, const char *path)
{
    size_t size = strlen(server);
    while (size > 0 && server[size - 1] == '/')
        size--;
    if (strstr(server, "://") == NULL)
        strbuf_add_cstr(url, "http://");
    strbuf_add(url, server, size);
    strbuf_add_cstr(url, path);
}

void ctl_url_escape(struct strbuf *out, const char *text)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789-_.~";
    for (; *text != '\0'; text++) {
        if (strchr(unreserved, *text) != NULL)
            strbuf_add_char(out, *text);
        else
            strbuf_printf(out, "%%%02X", (unsigned char)*text);
    }
}

void ctl_add_param(struct strbuf *params, const char *name, const char *value)
{
    if (params->size > 0)
        strbuf_add_char(params, '&');
    ctl_url_escape(params, name);
    strbuf_add_char(params, '=');
    ctl_url_escape(params, value);
}

/* ---- the API ---- */

static err_t send(struct ctl_client *client, const char *url, const struct strbuf *params,
                  bool post, uint32_t *status, struct strbuf *body, struct strbuf *why)
{
    if (post) {
        TRY(ctl_client_fetch(client, url, params, QUERY_TIMEOUT_MS, status, body, why));
        if (*status != 403 && *status != 405 && *status != 501)
            return OK;
        strbuf_clear(body);
    }
    struct strbuf whole = STRBUF_INIT;
    strbuf_add_cstr(&whole, url);
    if (params->size > 0)
        strbuf_printf(&whole, "?%s", strbuf_cstr(params));
    err_t err =
        ctl_client_fetch(client, strbuf_cstr(&whole), NULL, QUERY_TIMEOUT_MS, status, body, why);
    strbuf_deinit(&whole);
    return err;
}

/* Where no API can have spoken, the status says what is wrong. */
static void print_http_error(uint32_t status, const struct strbuf *body)
{
    struct str detail = str_trim(strbuf_str(body));
    if (status >= 400 && status <= 599)
        fprintf(stderr, "query error: %s_error: %s error: %u", status < 500 ? "client" : "server",
                status < 500 ? "client" : "server", status);
    else
        fprintf(stderr, "query error: bad_response: bad response code %u", status);
    if (detail.size > 0)
        fprintf(stderr, " (detail: %.*s)", STR_ARG(detail));
    fputc('\n', stderr);
}

static void print_warnings(const json_t *whole)
{
    size_t index;
    json_t *text;
    json_array_foreach(json_object_get(whole, "warnings"), index, text)
        fprintf(stderr, "query warning: %s\n", json_string_value(text));
}

static json_t *read_answer(uint32_t status, const struct strbuf *body, json_t **whole)
{
    if (status / 100 != 2 && status != 400 && status != 422) {
        print_http_error(status, body);
        return NULL;
    }
    json_error_t error;
    *whole = json_loadb(strbuf_cstr(body), body->size, 0, &error);
    const char *text = json_string_value(json_object_get(*whole, "error"));
    const char *type = json_string_value(json_object_get(*whole, "errorType"));
    json_t *data = json_object_get(*whole, "data");
    if (*whole == NULL) {
        fprintf(stderr, "query error: bad_response: no JSON: %s\n", error.text);
        return NULL;
    }
    if (text != NULL || data == NULL) {
        fprintf(stderr, "query error: %s: %s\n", type == NULL ? "bad_response" : type,
                text == NULL ? "no data" : text);
        return NULL;
    }
    print_warnings(*whole);
    return data;
}

json_t *ctl_client_ask(struct ctl_client *client, const char *server, const char *path,
                       const struct strbuf *params, bool post, json_t **whole)
{
    struct strbuf url = STRBUF_INIT;
    struct strbuf body = STRBUF_INIT;
    struct strbuf why = STRBUF_INIT;
    uint32_t status = 0;
    json_t *data = NULL;
    *whole = NULL;
    ctl_url_add(&url, server, "/api/v1");
    strbuf_add_cstr(&url, path);
    if (send(client, strbuf_cstr(&url), params, post, &status, &body, &why) != OK)
        fprintf(stderr, "query error: %s\n", strbuf_cstr(&why));
    else
        data = read_answer(status, &body, whole);
    strbuf_deinit(&why);
    strbuf_deinit(&body);
    strbuf_deinit(&url);
    return data;
}
