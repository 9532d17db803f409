/* Federated samples as MetricFamily messages of Prometheus' client data model, each behind its
 * length. */
#include "federate.h"

#include "narthex/base/protobuf.h"

/* Field numbers of io.prometheus.client. */
enum {
    FAMILY_NAME = 1,
    FAMILY_TYPE = 3,
    FAMILY_METRIC = 4,
    METRIC_LABEL = 1,
    METRIC_UNTYPED_VALUE = 5,
    METRIC_TIMESTAMP_MS = 6,
    METRIC_HISTOGRAM_VALUE = 7,
    LABEL_PAIR_NAME = 1,
    LABEL_PAIR_VALUE = 2,
    UNTYPED_VALUE = 1,
    HISTOGRAM_SAMPLE_SUM = 2,
    HISTOGRAM_BUCKET = 3,
    HISTOGRAM_SAMPLE_COUNT_FLOAT = 4,
    HISTOGRAM_SCHEMA = 5,
    HISTOGRAM_ZERO_THRESHOLD = 6,
    HISTOGRAM_ZERO_COUNT_FLOAT = 8,
    HISTOGRAM_NEGATIVE_SPAN = 9,
    HISTOGRAM_NEGATIVE_COUNT = 11,
    HISTOGRAM_POSITIVE_SPAN = 12,
    HISTOGRAM_POSITIVE_COUNT = 14,
    BUCKET_UPPER_BOUND = 2,
    BUCKET_CUMULATIVE_COUNT_FLOAT = 4,
    SPAN_OFFSET = 1,
    SPAN_LENGTH = 2,
    TYPE_UNTYPED = 3,
    TYPE_HISTOGRAM = 4,
};

static void add_side(struct strbuf *out, const struct histogram_side *side, uint32_t span_field,
                     uint32_t count_field)
{
    for (uint32_t i = 0; i < side->span_count; i++) {
        struct strbuf span = STRBUF_INIT;
        protobuf_add_sint(&span, SPAN_OFFSET, side->spans[i].offset);
        protobuf_add_uint(&span, SPAN_LENGTH, side->spans[i].length);
        protobuf_add_bytes(out, span_field, strbuf_str(&span));
        strbuf_deinit(&span);
    }
    for (uint32_t i = 0; i < side->bucket_count; i++)
        protobuf_add_double(out, count_field, side->counts[i].f);
}

/* Buckets of custom bounds have no native form in this message: they go as classic ones. */
static void add_classic_buckets(struct strbuf *out, const struct histogram *h)
{
    struct arena arena;
    arena_init(&arena, MEM_HTTP, SIZE_MAX);
    double *counts = ARENA_NEW_ARRAY(&arena, double, h->custom_value_count + 1);
    int64_t index = 0;
    uint32_t at = 0;
    for (uint32_t s = 0; s < h->positive.span_count; s++) {
        index += h->positive.spans[s].offset;
        for (uint32_t i = 0; i < h->positive.spans[s].length; i++, index++, at++) {
            if (index >= 0 && index <= h->custom_value_count)
                counts[index] = h->positive.counts[at].f;
        }
    }
    double cumulative = 0;
    for (uint32_t i = 0; i <= h->custom_value_count; i++) {
        struct strbuf bucket = STRBUF_INIT;
        cumulative += counts[i];
        protobuf_add_double(&bucket, BUCKET_UPPER_BOUND,
                            i == h->custom_value_count ? __builtin_inf() : h->custom_values[i]);
        protobuf_add_double(&bucket, BUCKET_CUMULATIVE_COUNT_FLOAT, cumulative);
        protobuf_add_bytes(out, HISTOGRAM_BUCKET, strbuf_str(&bucket));
        strbuf_deinit(&bucket);
    }
    arena_deinit(&arena);
}

static void add_histogram(struct strbuf *out, const struct histogram *h)
{
    struct strbuf message = STRBUF_INIT;
    protobuf_add_double(&message, HISTOGRAM_SAMPLE_SUM, h->sum);
    protobuf_add_double(&message, HISTOGRAM_SAMPLE_COUNT_FLOAT, h->count.f);
    if (h->schema == HISTOGRAM_SCHEMA_CUSTOM) {
        add_classic_buckets(&message, h);
    } else {
        protobuf_add_sint(&message, HISTOGRAM_SCHEMA, h->schema);
        protobuf_add_double(&message, HISTOGRAM_ZERO_THRESHOLD, h->zero_threshold);
        protobuf_add_double(&message, HISTOGRAM_ZERO_COUNT_FLOAT, h->zero_count.f);
        add_side(&message, &h->negative, HISTOGRAM_NEGATIVE_SPAN, HISTOGRAM_NEGATIVE_COUNT);
        add_side(&message, &h->positive, HISTOGRAM_POSITIVE_SPAN, HISTOGRAM_POSITIVE_COUNT);
    }
    protobuf_add_bytes(out, METRIC_HISTOGRAM_VALUE, strbuf_str(&message));
    strbuf_deinit(&message);
}

static void add_label(struct strbuf *metric, const struct label *label, enum name_escaping escaping)
{
    struct strbuf pair = STRBUF_INIT;
    struct strbuf name = STRBUF_INIT;
    name_escape(label->name, escaping, &name);
    protobuf_add_bytes(&pair, LABEL_PAIR_NAME, strbuf_str(&name));
    protobuf_add_bytes(&pair, LABEL_PAIR_VALUE, label->value);
    protobuf_add_bytes(metric, METRIC_LABEL, strbuf_str(&pair));
    strbuf_deinit(&name);
    strbuf_deinit(&pair);
}

static void add_metric(struct strbuf *family, const struct federated *item, struct labels external,
                       enum name_escaping escaping)
{
    struct strbuf metric = STRBUF_INIT;
    struct arena arena;
    arena_init(&arena, MEM_HTTP, SIZE_MAX);
    struct labels labels = federate__labels(&arena, item, external);
    for (uint32_t i = 0; i < labels.count; i++)
        add_label(&metric, &labels.items[i], escaping);
    if (item->histogram != NULL) {
        add_histogram(&metric, item->histogram);
    } else {
        struct strbuf untyped = STRBUF_INIT;
        protobuf_add_double(&untyped, UNTYPED_VALUE, item->value);
        protobuf_add_bytes(&metric, METRIC_UNTYPED_VALUE, strbuf_str(&untyped));
        strbuf_deinit(&untyped);
    }
    protobuf_add_uint(&metric, METRIC_TIMESTAMP_MS, (uint64_t)item->t_ms);
    protobuf_add_bytes(family, FAMILY_METRIC, strbuf_str(&metric));
    arena_deinit(&arena);
    strbuf_deinit(&metric);
}

size_t federate__write_family(struct strbuf *out, const struct federated *items, size_t count,
                              struct labels external, enum name_escaping escaping)
{
    struct strbuf family = STRBUF_INIT;
    struct strbuf name = STRBUF_INIT;
    struct str raw_name = labels_get(items[0].labels, LABEL_NAME);
    bool histograms = items[0].histogram != NULL;
    name_escape(raw_name, escaping, &name);
    protobuf_add_bytes(&family, FAMILY_NAME, strbuf_str(&name));
    protobuf_add_uint(&family, FAMILY_TYPE, histograms ? TYPE_HISTOGRAM : TYPE_UNTYPED);
    size_t taken = 0;
    while (taken < count && (items[taken].histogram != NULL) == histograms &&
           str_equal(labels_get(items[taken].labels, LABEL_NAME), raw_name))
        add_metric(&family, &items[taken++], external, escaping);
    protobuf_add_varint(out, family.size);
    strbuf_add_str(out, strbuf_str(&family));
    strbuf_deinit(&name);
    strbuf_deinit(&family);
    return taken;
}
