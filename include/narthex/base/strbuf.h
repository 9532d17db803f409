/* base/strbuf.h: growable byte buffer.
 *
 * All zero is an empty buffer. `data` always has a NUL after `size` bytes once anything was added
 * (strbuf_cstr gives "" before that). Growth is by doubling; memory is counted under MEM_TEXT.
 * One owner, no locking.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/str.h"

struct strbuf {
    char *data;
    size_t size;
    size_t capacity;
};

#define STRBUF_INIT                                                                                \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }

void strbuf_deinit(struct strbuf *buf);
/* Empties the buffer and keeps its memory. */
void strbuf_clear(struct strbuf *buf);
/* Makes room for `extra` more bytes and the NUL; returns where they go. */
char *strbuf_reserve(struct strbuf *buf, size_t extra);
/* Declares that `size` bytes after a strbuf_reserve were filled. */
void strbuf_commit(struct strbuf *buf, size_t size);
void strbuf_add(struct strbuf *buf, const void *data, size_t size);
void strbuf_add_str(struct strbuf *buf, struct str s);
void strbuf_add_cstr(struct strbuf *buf, const char *text);
void strbuf_add_char(struct strbuf *buf, char c);
void strbuf_add_uint(struct strbuf *buf, uint64_t value);
void strbuf_add_int(struct strbuf *buf, int64_t value);
void strbuf_printf(struct strbuf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void strbuf_vprintf(struct strbuf *buf, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
/* Go's %q: double quotes, \" \\ \a \b \f \n \r \t \v, \xHH for bytes that are not UTF-8, \uHHHH and
 * \UHHHHHHHH for code points that are not printable. Prometheus' error texts use it. */
void strbuf_add_quoted(struct strbuf *buf, struct str s);

static inline struct str strbuf_str(const struct strbuf *buf)
{
    return (struct str){buf->data, buf->size};
}

static inline const char *strbuf_cstr(const struct strbuf *buf)
{
    return buf->data == NULL ? "" : buf->data;
}
