#include "narthex/base/str.h"

static char lower_ascii(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool str_equal_nocase(struct str a, struct str b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++) {
        if (lower_ascii(a.data[i]) != lower_ascii(b.data[i]))
            return false;
    }
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
    while (s.size > 0 && is_blank(s.data[0])) {
        s.data++;
        s.size--;
    }
    while (s.size > 0 && is_blank(s.data[s.size - 1]))
        s.size--;
    return s;
}

size_t str_find(struct str s, char byte, size_t from)
{
    if (from >= s.size)
        return SIZE_MAX;
    const char *found = memchr(s.data + from, byte, s.size - from);
    return found == NULL ? SIZE_MAX : (size_t)(found - s.data);
}

size_t str_decode_rune(struct str s, uint32_t *rune)
{
    if (s.size == 0)
        return 0;
    const unsigned char *p = (const unsigned char *)s.data;
    if (p[0] < 0x80) {
        *rune = p[0];
        return 1;
    }
    size_t length = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || s.size < length)
        return 0;
    uint32_t value = p[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (p[i] & 0x3fu);
    }
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < smallest[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *rune = value;
    return length;
}

bool str_is_utf8(struct str s)
{
    while (s.size > 0) {
        /* Eight ASCII bytes at a time: most text has nothing else. */
        uint64_t word;
        if (s.size >= sizeof word) {
            memcpy(&word, s.data, sizeof word);
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                s.data += sizeof word;
                s.size -= sizeof word;
                continue;
            }
        }
        uint32_t rune;
        size_t length = str_decode_rune(s, &rune);
        if (length == 0)
            return false;
        s.data += length;
        s.size -= length;
    }
    return true;
}

size_t str_encode_rune(uint32_t rune, char out[4])
{
    if (rune < 0x80) {
        out[0] = (char)rune;
        return 1;
    }
    if (rune < 0x800) {
        out[0] = (char)(0xc0 | rune >> 6);
        out[1] = (char)(0x80 | (rune & 0x3f));
        return 2;
    }
    if (rune < 0x10000) {
        out[0] = (char)(0xe0 | rune >> 12);
        out[1] = (char)(0x80 | (rune >> 6 & 0x3f));
        out[2] = (char)(0x80 | (rune & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | rune >> 18);
    out[1] = (char)(0x80 | (rune >> 12 & 0x3f));
    out[2] = (char)(0x80 | (rune >> 6 & 0x3f));
    out[3] = (char)(0x80 | (rune & 0x3f));
    return 4;
}

bool str_to_uint64(struct str s, uint64_t *value)
{
    uint64_t result = 0;
    if (s.size == 0)
        return false;
    for (size_t i = 0; i < s.size; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(s.data[i] - '0');
        if (result > (UINT64_MAX - digit) / 10)
            return false;
        result = result * 10 + digit;
    }
    *value = result;
    return true;
}

bool str_to_int64(struct str s, int64_t *value)
{
    bool negative = s.size > 0 && s.data[0] == '-';
    if (s.size > 0 && (s.data[0] == '-' || s.data[0] == '+')) {
        s.data++;
        s.size--;
    }
    uint64_t magnitude;
    if (!str_to_uint64(s, &magnitude))
        return false;
    if (magnitude > (uint64_t)INT64_MAX + negative)
        return false;
    *value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}
