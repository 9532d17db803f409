#include "narthex/base/strbuf.h"

#include <assert.h>
#include <stdio.h>

#include "narthex/base/mem.h"

enum { STRBUF_FIRST_BYTES = 64 };

void strbuf_deinit(struct strbuf *buf)
{
    mem_free(MEM_TEXT, buf->data);
    *buf = (struct strbuf)STRBUF_INIT;
}

void strbuf_clear(struct strbuf *buf)
{
    buf->size = 0;
    if (buf->data != NULL)
        buf->data[0] = '\0';
}

char *strbuf_reserve(struct strbuf *buf, size_t extra)
{
    size_t wanted = buf->size + extra + 1;
    assert(wanted > extra);
    if (wanted > buf->capacity) {
        size_t capacity = buf->capacity == 0 ? STRBUF_FIRST_BYTES : buf->capacity * 2;
        if (capacity < wanted)
            capacity = wanted;
        buf->data = mem_realloc(MEM_TEXT, buf->data, capacity);
        buf->capacity = capacity;
    }
    return buf->data + buf->size;
}

void strbuf_commit(struct strbuf *buf, size_t size)
{
    assert(buf->size + size < buf->capacity);
    buf->size += size;
    buf->data[buf->size] = '\0';
}

void strbuf_add(struct strbuf *buf, const void *data, size_t size)
{
    char *to = strbuf_reserve(buf, size);
    if (size > 0)
        memcpy(to, data, size);
    strbuf_commit(buf, size);
}

void strbuf_add_str(struct strbuf *buf, struct str s)
{
    strbuf_add(buf, s.data, s.size);
}

void strbuf_add_cstr(struct strbuf *buf, const char *text)
{
    strbuf_add(buf, text, strlen(text));
}

void strbuf_add_char(struct strbuf *buf, char c)
{
    strbuf_add(buf, &c, 1);
}

void strbuf_add_uint(struct strbuf *buf, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    strbuf_add(buf, digits + at, sizeof digits - at);
}

void strbuf_add_int(struct strbuf *buf, int64_t value)
{
    if (value < 0) {
        strbuf_add_char(buf, '-');
        strbuf_add_uint(buf, 0 - (uint64_t)value);
    } else {
        strbuf_add_uint(buf, (uint64_t)value);
    }
}

void strbuf_vprintf(struct strbuf *buf, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    char *to = strbuf_reserve(buf, STRBUF_FIRST_BYTES);
    size_t room = buf->capacity - buf->size;
    int size = vsnprintf(to, room, format, args);
    assert(size >= 0);
    if ((size_t)size >= room) {
        to = strbuf_reserve(buf, (size_t)size);
        vsnprintf(to, (size_t)size + 1, format, again);
    }
    va_end(again);
    strbuf_commit(buf, (size_t)size);
}

void strbuf_printf(struct strbuf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    strbuf_vprintf(buf, format, args);
    va_end(args);
}

/* Close to Go's unicode.IsPrint: control, format, private and unassigned ranges that occur in
 * practice are escaped; everything else above ASCII is taken as printable. */
static bool rune_is_printable(uint32_t rune)
{
    if (rune < 0x20 || rune == 0x7f)
        return false;
    if (rune < 0x7f)
        return true;
    if (rune <= 0xa0 || rune == 0xad)
        return false;
    if ((rune >= 0x2000 && rune <= 0x200f) || (rune >= 0x2028 && rune <= 0x202f) ||
        (rune >= 0x205f && rune <= 0x206f) || rune == 0x1680 || rune == 0x3000 || rune == 0xfeff)
        return false;
    if ((rune >= 0xe000 && rune <= 0xf8ff) || rune >= 0xe0000)
        return false;
    return (rune & 0xfffe) != 0xfffe;
}

static void add_escaped_rune(struct strbuf *buf, uint32_t rune)
{
    static const char *const names = "abtnvfr"; /* U+0007 to U+000D */
    if (rune >= 7 && rune <= 13)
        strbuf_printf(buf, "\\%c", names[rune - 7]);
    else if (rune < 0x80)
        strbuf_printf(buf, "\\x%02x", rune);
    else if (rune < 0x10000)
        strbuf_printf(buf, "\\u%04x", rune);
    else
        strbuf_printf(buf, "\\U%08x", rune);
}

void strbuf_add_quoted(struct strbuf *buf, struct str s)
{
    strbuf_add_char(buf, '"');
    while (s.size > 0) {
        uint32_t rune = 0;
        size_t length = str_decode_rune(s, &rune);
        if (length == 0) {
            strbuf_printf(buf, "\\x%02x", (unsigned char)s.data[0]);
            length = 1;
        } else if (rune == '"' || rune == '\\') {
            strbuf_add_char(buf, '\\');
            strbuf_add_char(buf, (char)rune);
        } else if (rune_is_printable(rune)) {
            strbuf_add(buf, s.data, length);
        } else {
            add_escaped_rune(buf, rune);
        }
        s.data += length;
        s.size -= length;
    }
    strbuf_add_char(buf, '"');
}
