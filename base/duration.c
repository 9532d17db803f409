#include "narthex/base/duration.h"

#include <stdbool.h>
#include <stdlib.h>

struct duration_unit {
    const char *name;
    int64_t ms;
};

static const struct duration_unit duration_units[] = {
    {"y", INT64_C(365) * 86400000},
    {"w", INT64_C(7) * 86400000},
    {"d", 86400000},
    {"h", 3600000},
    {"m", 60000},
    {"s", 1000},
    {"ms", 1},
};
enum { DURATION_UNIT_COUNT = sizeof duration_units / sizeof *duration_units };

static err_t not_a_duration(struct str text, struct strbuf *why)
{
    strbuf_clear(why);
    strbuf_add_cstr(why, "not a valid duration string: ");
    strbuf_add_quoted(why, text);
    return ERR_INVALID;
}

static err_t unknown_unit(struct str unit, struct str text, struct strbuf *why)
{
    strbuf_clear(why);
    strbuf_add_cstr(why, "unknown unit ");
    strbuf_add_quoted(why, unit);
    strbuf_add_cstr(why, " in duration ");
    strbuf_add_quoted(why, text);
    return ERR_INVALID;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Index of the unit named by text, or DURATION_UNIT_COUNT. */
static int find_unit(struct str text)
{
    int unit = 0;
    while (unit < DURATION_UNIT_COUNT && !str_equal_cstr(text, duration_units[unit].name))
        unit++;
    return unit;
}

err_t duration_parse(struct str text, int64_t *ms, struct strbuf *why)
{
    if (text.size == 0)
        return err_fail(why, ERR_INVALID, "empty duration string");
    *ms = 0;
    if (str_equal(text, STR("0")))
        return OK;
    int next_unit = 0;
    size_t at = 0;
    while (at < text.size) {
        size_t digits = at;
        while (at < text.size && is_digit(text.data[at]))
            at++;
        uint64_t count;
        size_t digits_end = at;
        if (digits == digits_end)
            return not_a_duration(text, why);
        if (!str_to_uint64(str_from(text.data + digits, digits_end - digits), &count))
            return err_fail(why, ERR_INVALID, "duration out of range");
        while (at < text.size && !is_digit(text.data[at]))
            at++;
        if (at == digits_end)
            return not_a_duration(text, why);
        struct str name = str_from(text.data + digits_end, at - digits_end);
        int unit = find_unit(name);
        if (unit == DURATION_UNIT_COUNT)
            return unknown_unit(name, text, why);
        if (unit < next_unit)
            return not_a_duration(text, why);
        next_unit = unit + 1;
        int64_t part;
        /* Prometheus keeps durations in nanoseconds; its limit is ours. */
        if (count > INT64_MAX ||
            __builtin_mul_overflow((int64_t)count, duration_units[unit].ms, &part) ||
            __builtin_add_overflow(*ms, part, ms) || *ms > INT64_MAX / 1000000)
            return err_fail(why, ERR_INVALID, "duration out of range");
    }
    return OK;
}

void duration_print(int64_t ms, struct strbuf *out)
{
    if (ms == 0) {
        strbuf_add_cstr(out, "0s");
        return;
    }
    uint64_t rest = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    if (ms < 0)
        strbuf_add_char(out, '-');
    for (int unit = 0; unit < DURATION_UNIT_COUNT; unit++) {
        uint64_t size = (uint64_t)duration_units[unit].ms;
        bool only_exact = unit < 2;
        if (rest / size == 0 || (only_exact && rest % size != 0))
            continue;
        strbuf_add_uint(out, rest / size);
        strbuf_add_cstr(out, duration_units[unit].name);
        rest %= size;
    }
}

static const char *const size_prefixes = "KMGTPE";

/* Value of a size unit ("B", "KB", "KiB", …), or 0. *binary tells KiB from KB; B fits both (-1). */
static int64_t size_unit(struct str unit, int *binary)
{
    *binary = -1;
    if (str_equal(unit, STR("B")))
        return 1;
    for (int i = 0; size_prefixes[i] != '\0'; i++) {
        if (unit.size < 2 || unit.data[0] != size_prefixes[i])
            continue;
        struct str rest = str_from(unit.data + 1, unit.size - 1);
        *binary = str_equal(rest, STR("iB"));
        if (*binary || str_equal(rest, STR("B")))
            return INT64_C(1) << (10 * (i + 1));
    }
    return 0;
}

static err_t bad_size(const char *what, struct str text, struct strbuf *why)
{
    return err_fail(why, ERR_INVALID, "units: %s %.*s", what, STR_ARG(text));
}

err_t byte_size_parse(struct str text, int64_t *bytes, struct strbuf *why)
{
    struct str whole = text;
    bool negative = text.size > 0 && text.data[0] == '-';
    if (negative)
        text = str_from(text.data + 1, text.size - 1);
    *bytes = 0;
    if (str_equal(text, STR("0")))
        return OK;
    if (text.size == 0)
        return bad_size("invalid", whole, why);
    double total = 0;
    int seen_binary = -1;
    size_t at = 0;
    while (at < text.size) {
        size_t digits = at;
        bool fraction = false;
        for (; at < text.size && (is_digit(text.data[at]) || (text.data[at] == '.' && !fraction));
             at++)
            fraction |= text.data[at] == '.';
        char number[64];
        size_t digit_count = at - digits;
        if (digit_count == 0 || digit_count >= sizeof number)
            return bad_size("invalid", whole, why);
        memcpy(number, text.data + digits, digit_count);
        number[digit_count] = '\0';
        size_t unit_at = at;
        while (at < text.size && !is_digit(text.data[at]) && text.data[at] != '.')
            at++;
        struct str unit = str_from(text.data + unit_at, at - unit_at);
        int binary;
        int64_t size = size_unit(unit, &binary);
        bool mixed = binary >= 0 && seen_binary >= 0 && binary != seen_binary;
        if (size == 0 || mixed)
            return err_fail(why, ERR_INVALID, "units: unknown unit %.*s in %.*s", STR_ARG(unit),
                            STR_ARG(whole));
        if (binary >= 0)
            seen_binary = binary;
        total += strtod(number, NULL) * (double)size;
    }
    if (total >= 9.2e18)
        return bad_size("overflow in", whole, why);
    *bytes = negative ? -(int64_t)total : (int64_t)total;
    return OK;
}

void byte_size_print(int64_t bytes, struct strbuf *out)
{
    if (bytes == 0) {
        strbuf_add_cstr(out, "0B");
        return;
    }
    for (int i = 5; i >= 0; i--) {
        int64_t size = INT64_C(1) << (10 * (i + 1));
        if (bytes < size)
            continue;
        strbuf_add_int(out, bytes / size);
        strbuf_add_char(out, size_prefixes[i]);
        strbuf_add_cstr(out, "iB");
        bytes %= size;
    }
    if (bytes > 0) {
        strbuf_add_int(out, bytes);
        strbuf_add_char(out, 'B');
    }
}
