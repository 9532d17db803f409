/* base/log_line.h: the parts of the log that tests drive without a clock or stderr. */
#pragma once

#include <stdarg.h>

#include "narthex/base/log.h"
#include "narthex/base/strbuf.h"

/* Whether a line of this site may be written in `second`; *cut then says how many were left out
 * since the last one that was. Any thread. */
bool log__admit(struct log_site *site, int64_t second, uint32_t *cut);

/* Appends one line with its newline; `pairs` are keys and values ended by NULL. */
void log__add_line(struct strbuf *out, enum log_format format, int64_t wall_ms,
                   enum log_level level, const char *message, uint32_t cut, va_list pairs);
