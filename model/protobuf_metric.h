/* model/protobuf_metric.h: messages of io.prometheus.client as plain structs (spec
 * config-and-scrape.md, section 4.3). Strings and sub-messages are views of the body. */
#pragma once

#include "narthex/base/protobuf.h"
#include "narthex/model/histogram.h"
#include "narthex/model/labels.h"

enum protobuf_type {
    PROTOBUF_COUNTER,
    PROTOBUF_GAUGE,
    PROTOBUF_SUMMARY,
    PROTOBUF_UNTYPED,
    PROTOBUF_HISTOGRAM,
    PROTOBUF_GAUGE_HISTOGRAM,
    PROTOBUF_TYPE_COUNT,
};

struct protobuf_family {
    struct str name;
    struct str help;
    struct str unit;
    uint64_t type;
    bool has_metrics;
    struct str metrics; /* the rest of the family's message, where metrics are looked for */
};

/* A bucket of a histogram or a quantile of a summary. */
struct protobuf_part {
    double bound; /* upper bound, quantile */
    double value; /* cumulative count, value */
    struct str exemplar;
};

/* Buckets of one sign of a native histogram. */
struct protobuf_side {
    struct histogram_span *spans;
    uint32_t span_count;
    uint32_t span_capacity;
    int64_t *deltas;
    uint32_t delta_count;
    uint32_t delta_capacity;
    double *counts;
    uint32_t count_count;
    uint32_t count_capacity;
};

/* One metric; the arrays are reused from metric to metric. */
struct protobuf_metric {
    struct label *labels;
    uint32_t label_count;
    uint32_t label_capacity;
    int64_t timestamp_ms; /* 0: none */
    int64_t start_ms;     /* 0: none */
    double value;         /* counter, gauge, untyped */
    struct str exemplar;  /* of a counter */

    /* Summary and histogram. */
    uint64_t count;
    double count_float;
    double sum;
    struct protobuf_part *parts;
    uint32_t part_count;
    uint32_t part_capacity;
    /* Native histogram. */
    int32_t schema;
    double zero_threshold;
    uint64_t zero_count;
    double zero_count_float;
    struct protobuf_side positive;
    struct protobuf_side negative;
    struct str *exemplars;
    uint32_t exemplar_count;
    uint32_t exemplar_capacity;
};

void protobuf_metric_deinit(struct protobuf_metric *metric);
/* ERR_INVALID on malformed bytes. */
err_t protobuf_family_read(struct str message, struct protobuf_family *family, struct strbuf *why);
/* Takes the next metric off the family; *found is false at its end. Only the part that belongs to
 * the family's type, which must be a known one, is read. */
err_t protobuf_metric_next(struct protobuf_family *family, struct protobuf_metric *metric,
                           bool *found, struct strbuf *why);

struct protobuf_exemplar {
    double value;
    bool has_timestamp;
    int64_t timestamp_ms;
};
/* Labels as they come, in the arena. */
err_t protobuf_exemplar_read(struct str message, struct arena *arena,
                             struct protobuf_exemplar *exemplar, struct labels *labels,
                             struct strbuf *why);
