/* model/exposition_writer.h: the text format 0.0.4, as exporters and our own /metrics write it.
 *
 * Values have the form of Go's client library (shortest digits, exponent from 1e+06 on). Label
 * values and HELP are escaped; bytes that are not UTF-8 become U+FFFD. One owner at a time.
 */
#pragma once

#include <stddef.h>

#include "narthex/base/metrics.h"
#include "narthex/base/str.h"
#include "narthex/base/strbuf.h"
#include "narthex/model/labels.h"

/* Content-Type of what is written here. */
#define EXPOSITION_TEXT_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Writes families one after another into a buffer of the caller. */
struct metric_writer {
    struct strbuf *out;
    struct strbuf header; /* HELP and TYPE of the current family, until its first sample */
    struct strbuf name;   /* of the current family */
};

void metric_writer_init(struct metric_writer *writer, struct strbuf *out);
void metric_writer_deinit(struct metric_writer *writer);

/* Begins a family. HELP and TYPE are written with its first sample, so that a family without
 * samples leaves no trace. Each family may be begun once in a text. Names must be legal metric
 * names; help may be empty (then there is no HELP line). The views need not outlive the call. */
void metric_writer_family(struct metric_writer *writer, struct str name, enum metric_type type,
                          struct str help);
/* Adds a sample to the family: its name is the family's with `suffix` ("" for none). Labels stand
 * in the given order; those with an empty value are written as they are. */
void metric_writer_sample(struct metric_writer *writer, const char *suffix, const struct str *names,
                          const struct str *values, size_t label_count, double value);
/* Adds a sample without labels and suffix. */
void metric_writer_value(struct metric_writer *writer, double value);

/* Appends the whole registry, families sorted by name. Any thread. */
void exposition_write_metrics(struct strbuf *out, struct metrics *metrics);

/* Single lines of stored series, bytes as they are stored. */
/* "s" with backslash, quote and newline escaped. */
void exposition_add_quoted(struct strbuf *out, struct str s);
/* name{a="b",c="d"} as both text formats take it: names that only UTF-8 allows stand in quotes, the
 * metric's within the braces. A label __name__ among `labels` is left out. */
void exposition_add_key(struct strbuf *out, struct str name, struct labels labels);
