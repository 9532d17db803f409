/* /api/v1/rules, alerts, alertmanagers: the parameters are judged as ever; the lists are empty
 * until there are rules to evaluate. */
#include "request.h"

/* Of the URL only, as Prometheus reads these. */
static struct str url_param(const struct http_request *request, const char *name)
{
    for (uint32_t i = 0; i < request->param_count; i++) {
        if (!request->params[i].from_body && str_equal_cstr(request->params[i].name, name))
            return request->params[i].value;
    }
    return STR("");
}

static bool selectors_are_fine(struct http_request *request)
{
    struct str *texts;
    size_t count = http__params_all(request, "match[]", &texts);
    struct strbuf why = STRBUF_INIT;
    bool fine = true;
    for (size_t i = 0; i < count && fine; i++) {
        struct selector selector;
        if (promql_parse_selector(texts[i], false, &request->arena, &selector, &why) == OK) {
            promql_selector_deinit(&selector);
            continue;
        }
        http__api_error(request, API_BAD_DATA, strbuf_cstr(&why));
        fine = false;
    }
    strbuf_deinit(&why);
    return fine;
}

static bool type_is_fine(struct http_request *request)
{
    struct str type = url_param(request, "type");
    if (type.size == 0 || str_equal_nocase(type, STR("alert")) ||
        str_equal_nocase(type, STR("record")))
        return true;
    struct strbuf why = STRBUF_INIT;
    char *lower = arena_alloc(&request->arena, type.size);
    for (size_t i = 0; i < type.size; i++)
        lower[i] =
            (char)(type.data[i] >= 'A' && type.data[i] <= 'Z' ? type.data[i] | 32 : type.data[i]);
    strbuf_add_cstr(&why, "not supported value ");
    strbuf_add_quoted(&why, str_from(lower, type.size));
    http__api_invalid_parameter(request, "type", strbuf_cstr(&why));
    strbuf_deinit(&why);
    return false;
}

static bool exclusion_is_fine(struct http_request *request)
{
    struct str text = url_param(request, "exclude_alerts");
    bool value;
    if (text.size == 0 || http__parse_bool(text, &value))
        return true;
    struct strbuf why = STRBUF_INIT;
    strbuf_add_cstr(&why, "error converting exclude_alerts: strconv.ParseBool: parsing ");
    strbuf_add_quoted(&why, text);
    strbuf_add_cstr(&why, ": invalid syntax");
    http__api_invalid_parameter(request, "exclude_alerts", strbuf_cstr(&why));
    strbuf_deinit(&why);
    return false;
}

static bool page_is_fine(struct http_request *request)
{
    struct str limit = url_param(request, "group_limit");
    struct str token = url_param(request, "group_next_token");
    struct strbuf why = STRBUF_INIT;
    const char *name = "group_limit";
    int64_t value = 0;
    if (limit.size == 0) {
        name = "group_next_token";
        if (token.size > 0)
            strbuf_add_cstr(&why, "group_limit needs to be present in order to paginate over the "
                                  "groups");
    } else if (!http__parse_int(limit, &value, &why)) {
        struct str reason = arena_str(&request->arena, strbuf_str(&why));
        strbuf_clear(&why);
        strbuf_printf(&why, "group_limit needs to be a valid number: %s", reason.data);
    } else if (value <= 0) {
        strbuf_add_cstr(&why, "group_limit needs to be greater than 0");
    } else if (token.size > 0) {
        /* No group has any token yet. */
        name = "group_next_token";
        strbuf_printf(&why, "invalid group_next_token '%.*s'. were rule groups changed?",
                      STR_ARG(token));
    }
    bool fine = why.size == 0;
    if (!fine)
        http__api_invalid_parameter(request, name, strbuf_cstr(&why));
    strbuf_deinit(&why);
    return fine;
}

void http__rules(struct http_request *request)
{
    if (http__bad_escape(request) || !selectors_are_fine(request) || !type_is_fine(request) ||
        !exclusion_is_fine(request) || !page_is_fine(request))
        return;
    strbuf_add_cstr(http__api_begin(request), "{\"groups\":[]}");
    http__api_end(request, NULL, 0, NULL, 0);
}

void http__alerts(struct http_request *request)
{
    strbuf_add_cstr(http__api_begin(request), "{\"alerts\":[]}");
    http__api_end(request, NULL, 0, NULL, 0);
}

void http__alertmanagers(struct http_request *request)
{
    strbuf_add_cstr(http__api_begin(request),
                    "{\"activeAlertmanagers\":[],\"droppedAlertmanagers\":[]}");
    http__api_end(request, NULL, 0, NULL, 0);
}
