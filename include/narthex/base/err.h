/* base/err.h: the one error type and the one way to forward it.
 *
 * A function that can fail returns err_t and nothing else; OK is 0. The code says what kind of
 * fault it was, so that callers can decide; text is added only where outside input (network, disk,
 * configuration, query) is judged, through a `struct strbuf *why` that the caller owns.
 * Broken invariants are not errors: they assert().
 */
#pragma once

#include "narthex/base/strbuf.h"

#if defined(__clang__)
#define ERR_MUST_USE __attribute__((warn_unused_result))
#else
#define ERR_MUST_USE
#endif

typedef enum ERR_MUST_USE err {
    OK = 0,
    ERR_INVALID,       /* outside input is malformed: a bad query, bad YAML, a bad parameter */
    ERR_NOT_FOUND,     /* the named thing does not exist */
    ERR_EXISTS,        /* it exists and must not */
    ERR_CORRUPT,       /* stored bytes fail their checksum or describe nothing possible */
    ERR_IO,            /* the operating system refused: errno is in the text */
    ERR_NO_SPACE,      /* ENOSPC or a quota of ours */
    ERR_LIMIT,         /* a configured limit was exceeded (samples, bytes, body size) */
    ERR_TIMEOUT,       /* a deadline passed */
    ERR_CANCELED,      /* somebody asked us to stop */
    ERR_UNSUPPORTED,   /* legal, and not built yet: the text names it */
    ERR_UNAVAILABLE,   /* switched off or not ready */
    ERR_EXECUTION,     /* a legal query failed while it ran */
    ERR_STALE_REF,     /* a series_ref whose series has been collected: add it again by labels */
    ERR_OUT_OF_ORDER,  /* sample older than the newest one of its series */
    ERR_DUPLICATE,     /* sample with the timestamp of the newest one and another value */
    ERR_OUT_OF_BOUNDS, /* sample outside the time range that can still be appended */
    ERR_TOO_OLD,       /* sample older than the out-of-order window */
} err_t;

/* Forwards any failure of `expression` to the caller. */
#define TRY(expression)                                                                            \
    do {                                                                                           \
        err_t try_err_ = (expression);                                                             \
        if (try_err_ != OK)                                                                        \
            return try_err_;                                                                       \
    } while (0)

/* As TRY, but goes to the function's clean-up label `out`, leaving the code in `err`. */
#define TRY_OUT(expression)                                                                        \
    do {                                                                                           \
        err = (expression);                                                                        \
        if (err != OK)                                                                             \
            goto out;                                                                              \
    } while (0)

/* Replaces *why by the formatted text and returns `code`. Use: return err_fail(why, ERR_…, …); */
err_t err_fail(struct strbuf *why, err_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As err_fail with ": <strerror(errno_value)>" appended; ENOSPC and EDQUOT become ERR_NO_SPACE,
 * ENOENT ERR_NOT_FOUND, EEXIST ERR_EXISTS, everything else ERR_IO. */
err_t err_fail_errno(struct strbuf *why, int errno_value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Short English word for a code, for logs and tests; static storage. */
const char *err_name(err_t code);
