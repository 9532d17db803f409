/* exporters/text_fields.h: lines and blank-separated fields of the kernel's text files. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/number.h"
#include "narthex/base/str.h"

/* Takes the next line without its LF off *rest; false at the end. */
static inline bool text_next_line(struct str *rest, struct str *line)
{
    if (rest->size == 0)
        return false;
    size_t end = str_find(*rest, '\n', 0);
    size_t size = end == SIZE_MAX ? rest->size : end;
    *line = str_from(rest->data, size);
    size_t used = size + (end != SIZE_MAX);
    *rest = str_from(rest->data + used, rest->size - used);
    return true;
}

/* Takes the next field off *line; false if there is none. */
static inline bool text_next_field(struct str *line, struct str *field)
{
    size_t at = 0;
    while (at < line->size && (line->data[at] == ' ' || line->data[at] == '\t'))
        at++;
    size_t begin = at;
    while (at < line->size && line->data[at] != ' ' && line->data[at] != '\t')
        at++;
    *field = str_from(line->data + begin, at - begin);
    *line = str_from(line->data + at, line->size - at);
    return at > begin;
}

/* Takes the text before the first `byte` off *s, and the byte; false if there is none. */
static inline bool text_cut(struct str *s, char byte, struct str *before)
{
    size_t at = str_find(*s, byte, 0);
    if (at == SIZE_MAX)
        return false;
    *before = str_from(s->data, at);
    *s = str_from(s->data + at + 1, s->size - at - 1);
    return true;
}

/* The whole of s as a decimal number. */
static inline bool text_to_double(struct str s, double *value)
{
    return s.size > 0 && number_scan(s.data, s.size, value) == s.size;
}

/* The whole of s as hexadecimal digits, with or without 0x. */
static inline bool text_to_hex(struct str s, uint64_t *value)
{
    if (str_starts_with(s, STR("0x")))
        s = str_from(s.data + 2, s.size - 2);
    if (s.size == 0 || s.size > 16)
        return false;
    uint64_t result = 0;
    for (size_t i = 0; i < s.size; i++) {
        char c = s.data[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return false;
        result = result << 4 | (uint64_t)digit;
    }
    *value = result;
    return true;
}
