#include "narthex/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

err_t err_fail(struct strbuf *why, err_t code, const char *format, ...)
{
    strbuf_clear(why);
    va_list args;
    va_start(args, format);
    strbuf_vprintf(why, format, args);
    va_end(args);
    return code;
}

err_t err_fail_errno(struct strbuf *why, int errno_value, const char *format, ...)
{
    strbuf_clear(why);
    va_list args;
    va_start(args, format);
    strbuf_vprintf(why, format, args);
    va_end(args);
    char text[128];
    strbuf_printf(why, ": %s", strerror_r(errno_value, text, sizeof text));
    switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
        return ERR_NO_SPACE;
    case ENOENT:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_EXISTS;
    default:
        return ERR_IO;
    }
}

const char *err_name(err_t code)
{
    static const char *const names[] = {
        [OK] = "ok",
        [ERR_INVALID] = "invalid",
        [ERR_NOT_FOUND] = "not found",
        [ERR_EXISTS] = "exists",
        [ERR_CORRUPT] = "corrupt",
        [ERR_IO] = "input/output",
        [ERR_NO_SPACE] = "no space",
        [ERR_LIMIT] = "limit exceeded",
        [ERR_TIMEOUT] = "timed out",
        [ERR_CANCELED] = "canceled",
        [ERR_UNSUPPORTED] = "unsupported",
        [ERR_UNAVAILABLE] = "unavailable",
        [ERR_EXECUTION] = "execution",
        [ERR_STALE_REF] = "stale series reference",
        [ERR_OUT_OF_ORDER] = "out of order sample",
        [ERR_DUPLICATE] = "duplicate sample for timestamp",
        [ERR_OUT_OF_BOUNDS] = "out of bounds",
        [ERR_TOO_OLD] = "too old sample",
    };
    return names[code];
}
