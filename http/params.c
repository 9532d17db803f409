/* Request parameters: splitting, decoding and the typed forms of spec http-api.md 1.2. */
#include "request.h"

#include "narthex/base/api_time.h"
#include "narthex/base/number.h"

bool http__unescape(struct arena *arena, struct str text, bool plus_is_blank, struct str *out)
{
    char *to = arena_alloc(arena, text.size + 1);
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '%') {
            int high = i + 1 < text.size ? number_hex_digit(text.data[i + 1]) : -1;
            int low = i + 2 < text.size ? number_hex_digit(text.data[i + 2]) : -1;
            if (high < 0 || low < 0) {
                size_t rest = text.size - i;
                *out = str_from(text.data + i, rest < 3 ? rest : 3);
                return false;
            }
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_blank) {
            c = ' ';
        }
        to[size++] = c;
    }
    to[size] = '\0';
    *out = str_from(to, size);
    return true;
}

void http__param_add(struct http_request *request, struct str name, struct str value,
                     bool from_body)
{
    if (request->param_count == HTTP_PARAMS_MAX)
        return;
    /* The array lives in the arena and doubles there. */
    if ((request->param_count & (request->param_count - 1)) == 0) {
        uint32_t capacity = request->param_count == 0 ? 1 : request->param_count * 2;
        struct http_param *grown = ARENA_NEW_ARRAY(&request->arena, struct http_param, capacity);
        for (uint32_t i = 0; i < request->param_count; i++)
            grown[i] = request->params[i];
        request->params = grown;
    }
    request->params[request->param_count++] = (struct http_param){name, value, from_body};
}

void http__params_parse(struct http_request *request, struct str query, bool from_body)
{
    size_t at = 0;
    while (at < query.size && request->param_count < HTTP_PARAMS_MAX) {
        size_t end = str_find(query, '&', at);
        if (end == SIZE_MAX)
            end = query.size;
        struct str pair = str_from(query.data + at, end - at);
        at = end + 1;
        if (pair.size == 0 || str_find(pair, ';', 0) != SIZE_MAX)
            continue; /* Go refuses semicolons as separators and drops the pair */
        size_t equal = str_find(pair, '=', 0);
        struct str name = str_from(pair.data, equal == SIZE_MAX ? pair.size : equal);
        struct str value =
            equal == SIZE_MAX ? STR("") : str_from(pair.data + equal + 1, pair.size - equal - 1);
        struct http_param param;
        if (!http__unescape(&request->arena, name, true, &param.name)) {
            request->has_bad_escape = true;
            request->bad_escape = param.name;
            continue;
        }
        if (!http__unescape(&request->arena, value, true, &param.value)) {
            request->has_bad_escape = true;
            request->bad_escape = param.value;
            continue;
        }
        http__param_add(request, param.name, param.value, from_body);
    }
}

bool http__has_param(const struct http_request *request, const char *name)
{
    for (uint32_t i = 0; i < request->param_count; i++) {
        if (str_equal_cstr(request->params[i].name, name))
            return true;
    }
    return false;
}

struct str http__param(const struct http_request *request, const char *name)
{
    for (uint32_t i = 0; i < request->param_count; i++) {
        if (str_equal_cstr(request->params[i].name, name))
            return request->params[i].value;
    }
    return STR("");
}

size_t http__params_all(struct http_request *request, const char *name, struct str **values)
{
    size_t count = 0;
    *values = ARENA_NEW_ARRAY(&request->arena, struct str, request->param_count);
    for (uint32_t i = 0; i < request->param_count; i++) {
        if (str_equal_cstr(request->params[i].name, name))
            (*values)[count++] = request->params[i].value;
    }
    return count;
}

bool http__parse_int(struct str text, int64_t *value, struct strbuf *why)
{
    if (str_to_int64(text, value))
        return true;
    size_t digits_from = text.size > 0 && (text.data[0] == '-' || text.data[0] == '+');
    bool is_number = text.size > digits_from;
    for (size_t i = digits_from; i < text.size; i++)
        is_number = is_number && text.data[i] >= '0' && text.data[i] <= '9';
    strbuf_clear(why);
    strbuf_add_cstr(why, "strconv.Atoi: parsing ");
    strbuf_add_quoted(why, text);
    strbuf_add_cstr(why, is_number ? ": value out of range" : ": invalid syntax");
    return false;
}

err_t http__parse_limit(struct str text, size_t *limit, struct strbuf *why)
{
    int64_t value;
    *limit = 0;
    if (text.size == 0)
        return OK;
    if (!http__parse_int(text, &value, why))
        return ERR_INVALID;
    if (value < 0)
        return err_fail(why, ERR_INVALID, "limit must be non-negative");
    *limit = (size_t)value;
    return OK;
}

bool http__optional_time(struct http_request *request, const char *name, int64_t *t_ms)
{
    struct str text = http__param(request, name);
    struct strbuf why = STRBUF_INIT;
    struct strbuf whole = STRBUF_INIT;
    err_t err = text.size == 0 ? OK : api_time_parse(text, t_ms, &why);
    if (err != OK) {
        strbuf_printf(&whole, "invalid time value for '%s': %s", name, strbuf_cstr(&why));
        http__api_invalid_parameter(request, name, strbuf_cstr(&whole));
    }
    strbuf_deinit(&whole);
    strbuf_deinit(&why);
    return err == OK;
}

bool http__bad_escape(struct http_request *request)
{
    if (!request->has_bad_escape)
        return false;
    struct strbuf text = STRBUF_INIT;
    strbuf_add_cstr(&text, "error parsing form values: invalid URL escape ");
    strbuf_add_quoted(&text, request->bad_escape);
    http__api_error(request, API_BAD_DATA, strbuf_cstr(&text));
    strbuf_deinit(&text);
    return true;
}

bool http__parse_bool(struct str text, bool *value)
{
    static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"};
    static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        if (str_equal_cstr(text, yes[i]))
            return *value = true, true;
        if (str_equal_cstr(text, no[i]))
            return *value = false, true;
    }
    return false;
}
