/* Times and durations as clients of the HTTP API and command lines spell them. */
#include "narthex/base/api_time.h"

#include <ctype.h>
#include <math.h>

#include "narthex/base/duration.h"
#include "narthex/base/number.h"

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
                            (hex && (isxdigit((unsigned char)before) || (before | 32) == 'x'));
        bool digit_after =
            (after >= '0' && after <= '9') || (hex && isxdigit((unsigned char)after));
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

err_t api_time_parse(struct str text, int64_t *t_ms, struct strbuf *why)
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

err_t api_duration_parse(struct str text, int64_t *ms, struct strbuf *why)
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
