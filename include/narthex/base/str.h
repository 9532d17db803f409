/* base/str.h: borrowed byte strings.
 *
 * A struct str is a view: pointer and size, no terminating NUL, any bytes. Whoever hands one out
 * says how long it stays valid. Nothing here allocates.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *data; /* may be NULL only when size is 0 */
    size_t size;
};

/* View of a string literal. */
#define STR(literal) ((struct str){("" literal ""), sizeof(literal) - 1})
/* As STR, for static initialisers. */
#define STR_INIT(literal)                                                                          \
    {                                                                                              \
        ("" literal ""), sizeof(literal) - 1                                                       \
    }
/* printf arguments for "%.*s". */
#define STR_ARG(s) (int)(s).size, (s).data

static inline struct str str_from(const char *data, size_t size)
{
    return (struct str){data, size};
}

static inline struct str str_from_cstr(const char *text)
{
    return (struct str){text, text == NULL ? 0 : strlen(text)};
}

static inline bool str_equal(struct str a, struct str b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool str_equal_cstr(struct str a, const char *text)
{
    return str_equal(a, str_from_cstr(text));
}

/* Bytewise order; a proper prefix is smaller. Result <0, 0, >0. */
static inline int str_compare(struct str a, struct str b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size == 0 ? 0 : memcmp(a.data, b.data, size);
    if (order != 0)
        return order;
    return a.size < b.size ? -1 : a.size > b.size;
}

static inline bool str_starts_with(struct str s, struct str prefix)
{
    return s.size >= prefix.size &&
           (prefix.size == 0 || memcmp(s.data, prefix.data, prefix.size) == 0);
}

static inline bool str_ends_with(struct str s, struct str suffix)
{
    return s.size >= suffix.size && (suffix.size == 0 || memcmp(s.data + s.size - suffix.size,
                                                                suffix.data, suffix.size) == 0);
}

/* ASCII case-insensitive equality. */
bool str_equal_nocase(struct str a, struct str b);

/* Without leading and trailing blanks, tabs, CR and LF. */
struct str str_trim(struct str s);

/* Index of the first `byte` at or after `from`, or SIZE_MAX. */
size_t str_find(struct str s, char byte, size_t from);

/* Whether all bytes form valid UTF-8 (no surrogates, no overlong forms, at most U+10FFFF). */
bool str_is_utf8(struct str s);

/* Decodes the code point at s[0..]; returns its byte length 1 to 4, or 0 if the bytes there are not
 * valid UTF-8 (or s is empty). */
size_t str_decode_rune(struct str s, uint32_t *rune);

/* Writes the UTF-8 form of `rune` (at most U+10FFFF) to out; returns its length, 1 to 4. */
size_t str_encode_rune(uint32_t rune, char out[4]);

/* Whole of `s` as a decimal integer; false on anything else or on overflow. */
bool str_to_int64(struct str s, int64_t *value);
bool str_to_uint64(struct str s, uint64_t *value);
