/* /api/v1/admin/tsdb: deleting, cleaning, snapshots; off unless --web.enable-admin-api. */
#include "request.h"

bool http__admin_is_on(struct http_request *request)
{
    if (!request->options->enable_admin_api)
        http__api_error(request, API_UNAVAILABLE, "admin APIs disabled");
    return request->options->enable_admin_api;
}

void http__delete_series(struct http_request *request)
{
    int64_t start_ms = INT64_MIN, end_ms = INT64_MAX;
    struct str *texts;
    if (!http__admin_is_on(request) || http__bad_escape(request))
        return;
    size_t count = http__params_all(request, "match[]", &texts);
    if (count == 0) {
        http__api_error(request, API_BAD_DATA, "no match[] parameter provided");
        return;
    }
    if (!http__optional_time(request, "start", &start_ms) ||
        !http__optional_time(request, "end", &end_ms))
        return;
    struct strbuf why = STRBUF_INIT;
    request->response.status = 204;
    for (size_t i = 0; i < count; i++) {
        struct selector selector;
        if (promql_parse_selector(texts[i], true, &request->arena, &selector, &why) != OK) {
            http__api_invalid_parameter(request, "match[]", strbuf_cstr(&why));
            break;
        }
        err_t err =
            storage_delete_samples(request->services->storage, start_ms, end_ms, selector, &why);
        promql_selector_deinit(&selector);
        if (err != OK) {
            http__api_error(request, API_INTERNAL, strbuf_cstr(&why));
            break;
        }
    }
    strbuf_deinit(&why);
}

void http__clean_tombstones(struct http_request *request)
{
    struct strbuf why = STRBUF_INIT;
    if (!http__admin_is_on(request))
        return;
    if (db_clean_tombstones(request->services->db, &why) != OK)
        http__api_error(request, API_INTERNAL, strbuf_cstr(&why));
    else
        request->response.status = 204;
    strbuf_deinit(&why);
}

void http__snapshot(struct http_request *request)
{
    struct str text = http__param(request, "skip_head");
    bool skip_head = false;
    struct strbuf why = STRBUF_INIT;
    struct strbuf name = STRBUF_INIT;
    if (!http__admin_is_on(request))
        return;
    if (text.size > 0 && !http__parse_bool(text, &skip_head)) {
        strbuf_add_cstr(&why, "unable to parse boolean: strconv.ParseBool: parsing ");
        strbuf_add_quoted(&why, text);
        strbuf_add_cstr(&why, ": invalid syntax");
        http__api_invalid_parameter(request, "skip_head", strbuf_cstr(&why));
    } else if (db_snapshot(request->services->db, skip_head, &name, &why) != OK) {
        http__api_error(request, API_INTERNAL, strbuf_cstr(&why));
    } else {
        struct strbuf *out = http__api_begin(request);
        strbuf_add_cstr(out, "{\"name\":");
        json_add_string(out, strbuf_str(&name), true);
        strbuf_add_char(out, '}');
        http__api_end(request, NULL, 0, NULL, 0);
    }
    strbuf_deinit(&name);
    strbuf_deinit(&why);
}
