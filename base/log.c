#include "narthex/base/log.h"

#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include "log_line.h"
#include "narthex/base/clock.h"
#include "narthex/base/strbuf.h"

static enum log_level configured_level = LOG_LEVEL_INFO;
static enum log_format configured_format = LOG_FORMAT_LOGFMT;

void log_configure(enum log_level level, enum log_format format)
{
    configured_level = level;
    configured_format = format;
}

bool log_enabled(enum log_level level)
{
    return level >= configured_level;
}

bool log__admit(struct log_site *site, int64_t second, uint32_t *cut)
{
    /* Relaxed throughout: a line too many when two threads meet at a new second is harmless. */
    int64_t seen = atomic_load_explicit(&site->second, memory_order_relaxed);
    if (seen != second &&
        atomic_compare_exchange_strong_explicit(&site->second, &seen, second, memory_order_relaxed,
                                                memory_order_relaxed))
        atomic_store_explicit(&site->lines, 0, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&site->lines, 1, memory_order_relaxed) >= LOG_SITE_BURST) {
        atomic_fetch_add_explicit(&site->cut, 1, memory_order_relaxed);
        return false;
    }
    *cut = atomic_exchange_explicit(&site->cut, 0, memory_order_relaxed);
    return true;
}

static void add_time(struct strbuf *out, int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strbuf_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900, utc.tm_mon + 1,
                  utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, (int)(wall_ms % 1000));
}

static const char *level_name(enum log_level level)
{
    static const char *const names[] = {"DEBUG", "INFO", "WARN", "ERROR"};
    return names[level];
}

static bool is_bare(const char *text)
{
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text <= ' ' || *text >= 0x7f || *text == '"' || *text == '=' || *text == '\\')
            return false;
    }
    return true;
}

static void add_logfmt_value(struct strbuf *out, const char *text)
{
    if (is_bare(text))
        strbuf_add_cstr(out, text);
    else
        strbuf_add_quoted(out, str_from_cstr(text));
}

static void add_json_string(struct strbuf *out, const char *text)
{
    struct str s = str_from_cstr(text);
    strbuf_add_char(out, '"');
    while (s.size > 0) {
        uint32_t rune;
        size_t length = str_decode_rune(s, &rune);
        if (length == 0) {
            strbuf_add_cstr(out, "\\ufffd");
            length = 1;
        } else if (rune == '"' || rune == '\\') {
            strbuf_add_char(out, '\\');
            strbuf_add_char(out, (char)rune);
        } else if (rune < 0x20) {
            strbuf_printf(out, "\\u%04x", rune);
        } else {
            strbuf_add(out, s.data, length);
        }
        s.data += length;
        s.size -= length;
    }
    strbuf_add_char(out, '"');
}

static void add_pair(struct strbuf *out, enum log_format format, const char *key, const char *value)
{
    if (format == LOG_FORMAT_LOGFMT) {
        strbuf_add_char(out, ' ');
        strbuf_add_cstr(out, key);
        strbuf_add_char(out, '=');
        add_logfmt_value(out, value);
    } else {
        strbuf_add_char(out, ',');
        add_json_string(out, key);
        strbuf_add_char(out, ':');
        add_json_string(out, value);
    }
}

void log__add_line(struct strbuf *out, enum log_format format, int64_t wall_ms,
                   enum log_level level, const char *message, uint32_t cut, va_list pairs)
{
    bool json = format == LOG_FORMAT_JSON;
    strbuf_add_cstr(out, json ? "{\"time\":\"" : "time=");
    add_time(out, wall_ms);
    if (json)
        strbuf_add_char(out, '"');
    add_pair(out, format, "level", level_name(level));
    add_pair(out, format, "msg", message);
    for (const char *key; (key = va_arg(pairs, const char *)) != NULL;) {
        const char *value = va_arg(pairs, const char *);
        add_pair(out, format, key, value == NULL ? "" : value);
        /* A key without a value ended the list. */
        if (value == NULL)
            break;
    }
    if (cut > 0)
        strbuf_printf(out, json ? ",\"lines_left_out\":%u" : " lines_left_out=%u", cut);
    strbuf_add_cstr(out, json ? "}\n" : "\n");
}

void log_write(struct log_site *site, enum log_level level, const char *message, ...)
{
    uint32_t cut = 0;
    const struct clock *clock = clock_system();
    if (!log__admit(site, clock_monotonic_ns(clock) / 1000000000, &cut))
        return;
    struct strbuf line = STRBUF_INIT;
    va_list pairs;
    va_start(pairs, message);
    log__add_line(&line, configured_format, clock_wall_ms(clock), level, message, cut, pairs);
    va_end(pairs);
    /* One write a line, so that lines of several threads do not mix; there is nowhere to report a
     * failing stderr. */
    ssize_t written = write(STDERR_FILENO, line.data, line.size);
    (void)written;
    strbuf_deinit(&line);
}
