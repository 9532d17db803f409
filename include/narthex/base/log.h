/* base/log.h: logfmt or JSON lines on stderr.
 *
 *     LOG_WARN("scrape failed", "target", url, "err", text);
 *
 * Keys and values alternate, all C strings, ended by the macro. A call site that logs more than
 * LOG_SITE_BURST lines in a second is cut, and says how many lines it left out. Any thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };
enum { LOG_SITE_BURST = 10 };

struct log_site {
    _Atomic int64_t second; /* the second that `lines` counts */
    _Atomic uint32_t lines;
    _Atomic uint32_t cut; /* lines left out since the last one written */
};

/* Set once before threads start. */
void log_configure(enum log_level level, enum log_format format);
bool log_enabled(enum log_level level);
void log_write(struct log_site *site, enum log_level level, const char *message, ...)
    __attribute__((sentinel));

#define LOG_AT(level, ...)                                                                         \
    do {                                                                                           \
        static struct log_site log_site_;                                                          \
        if (log_enabled(level))                                                                    \
            log_write(&log_site_, (level), __VA_ARGS__, (const char *)0);                          \
    } while (0)
#define LOG_DEBUG(...) LOG_AT(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define LOG_INFO(...) LOG_AT(LOG_LEVEL_INFO, __VA_ARGS__)
#define LOG_WARN(...) LOG_AT(LOG_LEVEL_WARN, __VA_ARGS__)
#define LOG_ERROR(...) LOG_AT(LOG_LEVEL_ERROR, __VA_ARGS__)
