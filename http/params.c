/* Request parameters: splitting, decoding and the typed forms of spec http-api.md 1.2. */
#include "request.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "narthex/base/duration.h"
#include "narthex/base/number.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 32) >= 'a' && (c | 32) <= 'f')
        return (c | 32) - 'a' + 10;
    return -1;
}

bool http__unescape(struct arena *arena, struct str text, bool plus_is_blank, struct str *out)
{
    char *to = arena_alloc(arena, text.size + 1);
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '%') {
            int high = i + 1 < text.size ? hex_digit(text.data[i + 1]) : -1;
            int low = i + 2 < text.size ? hex_digit(text.data[i + 2]) : -1;
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

/* Two or four digits at text[at]; -1 on anything else. */
static int digits(struct str text, size_t at, size_t count)
{
    int value = 0;
    if (at + count > text.size)
        return -1;
    for (size_t i = at; i < at + count; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -1;
        value = value * 10 + (text.data[i] - '0');
    }
    return value;
}

static int64_t days_from_civil(int64_t year, int month, int day)
{
    /* Days since 1970-01-01 in the proleptic Gregorian calendar, months counted from March. */
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static bool zone_offset(struct str text, size_t at, int64_t *minutes)
{
    if (at < text.size && text.data[at] == 'Z')
        return *minutes = 0, at + 1 == text.size;
    int hours = digits(text, at + 1, 2);
    int rest = digits(text, at + 4, 2);
    if (at + 6 != text.size || hours < 0 || hours > 23 || rest < 0 || rest > 59 ||
        text.data[at + 3] != ':' || (text.data[at] != '+' && text.data[at] != '-'))
        return false;
    *minutes = (text.data[at] == '-' ? -1 : 1) * (hours * 60 + rest);
    return true;
}

/* 2015-07-01T20:10:51.781Z or with an offset such as +02:00. */
static bool parse_rfc3339(struct str text, int64_t *t_ms)
{
    int year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
    int hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
    static const int month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (year < 0 || month < 1 || month > 12 || day < 1 || day > month_days[month - 1] || hour < 0 ||
        hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if ((month == 2 && day == 29 && !leap) || text.data[4] != '-' || text.data[7] != '-' ||
        text.data[10] != 'T' || text.data[13] != ':' || text.data[16] != ':')
        return false;
    size_t at = 19;
    int64_t fraction_ms = 0;
    if (at < text.size && text.data[at] == '.') {
        int64_t scale = 100;
        size_t start = ++at;
        for (; at < text.size && text.data[at] >= '0' && text.data[at] <= '9'; at++) {
            fraction_ms += (text.data[at] - '0') * scale;
            scale /= 10;
        }
        if (at == start)
            return false;
    }
    int64_t offset_minutes;
    if (!zone_offset(text, at, &offset_minutes))
        return false;
    int64_t seconds = days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 +
                      second - offset_minutes * 60;
    *t_ms = seconds * 1000 + fraction_ms;
    return true;
}

/* strconv.ParseFloat: underscores may stand between digits, or behind the 0x. */
static bool parse_go_float(struct str text, double *value)
{
    char plain[NUMBER_TEXT_MAX];
    bool range = false;
    size_t size = 0;
    if (str_find(text, '_', 0) == SIZE_MAX)
        return number_parse(text, value, &range);
    if (text.size >= sizeof plain)
        return false;
    bool hex = false;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        hex = hex || c == 'x' || c == 'X';
        if (c != '_') {
            plain[size++] = c;
            continue;
        }
        char before = i > 0 ? text.data[i - 1] : ' ';
        char after = i + 1 < text.size ? text.data[i + 1] : ' ';
        bool digit_before = (before >= '0' && before <= '9') ||
                            (hex && (hex_digit(before) >= 0 || (before | 32) == 'x'));
        bool digit_after = (after >= '0' && after <= '9') || (hex && hex_digit(after) >= 0);
        if (!digit_before || !digit_after)
            return false;
    }
    return number_parse(str_from(plain, size), value, &range);
}

/* Limits that clients of Go's API library send for "all time". */
static bool parse_limit_time(struct str text, int64_t *t_ms)
{
    if (str_equal(text, STR("-292273086-05-16T16:47:06Z"))) {
        *t_ms = -INT64_C(9223372036854775) * 1000;
        return true;
    }
    if (str_equal(text, STR("292277025-08-18T07:12:54.999999999Z"))) {
        *t_ms = INT64_C(9223372036854775) * 1000;
        return true;
    }
    return false;
}

err_t http__parse_time(struct str text, int64_t *t_ms, struct strbuf *why)
{
    double seconds;
    if (parse_go_float(text, &seconds)) {
        double whole;
        double fraction = modf(seconds, &whole);
        double ms = whole * 1000 + round(fraction * 1000);
        /* What is beyond int64, NaN and infinities included, ends at its limits. */
        if (isnan(ms) || ms <= -9.2e18)
            *t_ms = INT64_MIN;
        else
            *t_ms = ms >= 9.2e18 ? INT64_MAX : (int64_t)ms;
        return OK;
    }
    if (parse_rfc3339(text, t_ms) || parse_limit_time(text, t_ms))
        return OK;
    strbuf_clear(why);
    strbuf_add_cstr(why, "cannot parse ");
    strbuf_add_quoted(why, text);
    strbuf_add_cstr(why, " to a valid timestamp");
    return ERR_INVALID;
}

err_t http__parse_duration(struct str text, int64_t *ms, struct strbuf *why)
{
    double seconds;
    bool overflows = false;
    if (parse_go_float(text, &seconds)) {
        double ns = seconds * 1e9;
        if (ns <= 9.2233720368547748e18 && ns >= -9.2233720368547748e18) {
            *ms = (int64_t)ns / 1000000;
            /* Steps below a millisecond count as what they are: not zero. */
            if (*ms == 0 && ns > 0)
                *ms = 1;
            return OK;
        }
        overflows = true;
    } else if (duration_parse(text, ms, why) == OK) {
        return OK;
    }
    strbuf_clear(why);
    strbuf_add_cstr(why, "cannot parse ");
    strbuf_add_quoted(why, text);
    strbuf_add_cstr(why, " to a valid duration");
    if (overflows)
        strbuf_add_cstr(why, ". It overflows int64");
    return ERR_INVALID;
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
    err_t err = text.size == 0 ? OK : http__parse_time(text, t_ms, &why);
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
