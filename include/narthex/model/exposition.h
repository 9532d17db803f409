/* model/exposition.h: reading what targets expose (spec config-and-scrape.md, section 4).
 *
 * An exposition walks over one body and gives its entries in order: samples, native histograms,
 * TYPE, HELP, UNIT and comments. Samples are identified by their key, which is the raw text of
 * metric name and labels; labels are only built on demand, so that a scraper that knows the key
 * never pays for them. The three formats share the interface:
 *
 *     exposition_start(exposition, format, &options, body);
 *     for (;;) {
 *         TRY(exposition_next(exposition, &entry, why));
 *         if (entry.kind == EXPOSITION_END)
 *             break;
 *         …
 *     }
 *
 * The body must not change or go away while it is walked; all views point into it or into the
 * exposition's own buffers (said where). One owner at a time; reused from scrape to scrape. Apart
 * from first growth of its buffers nothing allocates.
 *
 * Known keys: with the key's size and hash kept per line, the next line can be recognised without
 * looking for its parts:
 *
 *     struct str rest = exposition_peek(exposition);
 *     if (rest.size > size && hash_bytes(rest.data, size) == hash &&
 *         exposition_next_known(exposition, size, &entry))
 *         … the sample's key is rest.data[0..size) …
 *     else
 *         TRY(exposition_next(exposition, &entry, why));
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/arena.h"
#include "narthex/base/err.h"
#include "narthex/base/str.h"
#include "narthex/base/strbuf.h"
#include "narthex/model/histogram.h"
#include "narthex/model/labels.h"
#include "narthex/model/metadata.h"

enum exposition_format {
    EXPOSITION_TEXT, /* Prometheus text 0.0.4 and 1.0.0 */
    EXPOSITION_OPENMETRICS,
    EXPOSITION_PROTOBUF,
};

enum exposition_kind {
    EXPOSITION_SAMPLE,
    EXPOSITION_HISTOGRAM, /* a native histogram; EXPOSITION_PROTOBUF only */
    EXPOSITION_TYPE,
    EXPOSITION_HELP,
    EXPOSITION_UNIT,
    EXPOSITION_COMMENT,
    EXPOSITION_START, /* a `_created` line, as a sample; only with options.start_timestamps */
    EXPOSITION_END,   /* nothing follows; asking again gives END again */
};

struct exposition_entry {
    enum exposition_kind kind;
    /* SAMPLE and HISTOGRAM. Text formats: a part of the body. Protobuf: in the exposition's buffer
     * until the next entry. Equal keys mean equal labels (under an equal `type`). */
    struct str key;
    /* SAMPLE: the value's text (empty for protobuf) and the value; NaNs are NORMAL_NAN_BITS. */
    struct str value_text;
    double value;
    const struct histogram *histogram; /* HISTOGRAM: valid until the next entry */
    bool has_timestamp;
    int64_t timestamp_ms;
    int64_t start_ms;   /* start timestamp: protobuf's, OpenMetrics' by option; 0 is none */
    bool beside_native; /* of the classic form of a histogram that was given as a native one */
    /* Whether exposition_next_exemplar has something to give. */
    bool has_exemplar;
    /* TYPE, HELP, UNIT: the family's name as written (without quotes, not unescaped). */
    struct str name;
    /* HELP: raw text, see exposition_help; UNIT: the unit; COMMENT: the whole line. */
    struct str text;
    /* TYPE: the family's type; SAMPLE: the type of the latest TYPE line. */
    enum metadata_type type;
};

/* All zero is what a text format needs. */
struct exposition_options {
    /* Protobuf: give native histograms (scrape_native_histograms); otherwise only their classic
     * form. */
    bool native_histograms;
    /* Protobuf: give the classic form besides the native one. */
    bool always_classic;
    /* OpenMetrics: `_created` lines of counters, summaries and histograms are the start timestamps
     * of their series, not samples (EXPOSITION_START). The body must then be walked by
     * exposition_next alone: known lines have no start. */
    bool start_timestamps;
};

struct exposition;

struct exposition *exposition_create(void);
void exposition_destroy(struct exposition *exposition);
/* Begins a body. */
void exposition_start(struct exposition *exposition, enum exposition_format format,
                      const struct exposition_options *options, struct str body);

/* The next entry. ERR_INVALID with Prometheus' text ends the walk: the body has a defect there. */
err_t exposition_next(struct exposition *exposition, struct exposition_entry *entry,
                      struct strbuf *why);

/* Where the latest entry begins in the body, the one that failed included; SIZE_MAX for protobuf.
 */
size_t exposition_entry_start(const struct exposition *exposition);

/* The unread rest where a line begins (blank lines skipped), else empty: at the end, and always for
 * protobuf. Does not move. */
struct str exposition_peek_line(struct exposition *exposition);
/* The unread rest if a sample line may begin there (blank lines skipped), else empty: at comments,
 * at the end, and always for protobuf. Does not move. */
struct str exposition_peek(struct exposition *exposition);
/* As exposition_next for a line whose key is known to be the first key_size bytes of the rest
 * (their bytes equal those of a key that exposition_next gave before). Returns false without having
 * moved when the line is anything but "key value\n" or "key value timestamp\n": exposition_next
 * then tells what it is. `same_text` is the value text of last time, or empty; when the text is the
 * same the value is not converted again and entry->value is left alone. */
bool exposition_next_known(struct exposition *exposition, size_t key_size, struct str same_text,
                           struct exposition_entry *entry);

/* The same for many lines at a time, by a caller that walks the rest itself: reads the value of a
 * line whose key ends at `at`, which must be "key value\n". Returns the start of the next line,
 * NULL to decline. *same tells that the text was `same_text`; *value is left alone then. That text
 * is shorter than EXPOSITION_SAME_BYTES, and so many bytes can be read there.
 * *text_size: of the value's text, which begins at at + 1. */
enum { EXPOSITION_SAME_BYTES = 16 };
const char *exposition_plain_value(const char *at, const char *end, struct str same_text,
                                   double *value, size_t *text_size, bool *same);
/* Passes over so many bytes of whole lines: such that exposition_plain_value has read, and comments
 * that equal those exposition_next gave before in this format. `type` is what the latest TYPE line
 * says by then. */
void exposition_skip_known(struct exposition *exposition, size_t size, enum metadata_type type);
/* The type of the latest TYPE line. */
enum metadata_type exposition_type(const struct exposition *exposition);

/* The unread rest if a comment line begins there (blank lines skipped), else empty. Does not move.
 */
struct str exposition_peek_comment(struct exposition *exposition);
/* Passes over a TYPE, HELP or UNIT line of line_size bytes, newline included, that equals one that
 * exposition_next gave before in this format. `type` is what a TYPE line says, NULL for others. */
void exposition_skip_comment(struct exposition *exposition, size_t line_size,
                             const enum metadata_type *type);

/* Labels of a key, name first when there is one, then as written: not sorted, empty values and
 * repeated names included (exposition_find_duplicate). `type` is the entry's: le and quantile are
 * normalised under histogram and summary. Values are views of the key, or of `arena` where they
 * had escapes. *items is in the arena. The key must come from an entry of that format. */
void exposition_key_labels(enum exposition_format format, struct str key, enum metadata_type type,
                           struct arena *arena, struct label **items, uint32_t *count);
/* First name that occurs twice, or NULL. */
const struct label *exposition_find_duplicate(const struct label *items, uint32_t count);

/* One exemplar of the current sample or histogram. Labels are sorted. */
struct exposition_exemplar {
    struct labels labels;
    double value;
    bool has_timestamp;
    int64_t timestamp_ms;
};
/* The next exemplar of the latest entry, in `arena` (views of the body where no escapes were);
 * false when there is none left. */
bool exposition_next_exemplar(struct exposition *exposition, struct arena *arena,
                              struct exposition_exemplar *exemplar);

/* Appends the help text with its escapes resolved. */
void exposition_help(enum exposition_format format, struct str text, struct strbuf *out);

/* --- choosing a format (exposition_negotiate.c) --- */

/* In the order of scraper/scrape_config.h's enum scrape_protocol. */
enum exposition_protocol {
    EXPOSITION_PROTOCOL_NONE,
    EXPOSITION_PROTOCOL_PROTO,
    EXPOSITION_PROTOCOL_OPENMETRICS_0_0_1,
    EXPOSITION_PROTOCOL_OPENMETRICS_1_0_0,
    EXPOSITION_PROTOCOL_TEXT_0_0_4,
    EXPOSITION_PROTOCOL_TEXT_1_0_0,
};

/* Format of an answer by its Content-Type header ("" when missing) and the fallback protocol (or
 * NONE). ERR_INVALID with the texts of section 4.1. */
err_t exposition_format_choose(struct str content_type, enum exposition_protocol fallback,
                               enum exposition_format *format, struct strbuf *why);
/* Appends the value of the Accept header for protocols in order of preference; `escaping` is the
 * scheme asked for in the 1.0.0 text forms. */
void exposition_accept_header(const enum exposition_protocol *protocols, uint32_t count,
                              enum name_escaping escaping, struct strbuf *out);
