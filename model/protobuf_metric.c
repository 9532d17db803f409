#include "protobuf_metric.h"

#include "narthex/base/mem.h"
#include "narthex/base/vec.h"

void protobuf_metric_deinit(struct protobuf_metric *metric)
{
    struct protobuf_side *sides[] = {&metric->positive, &metric->negative};
    for (int i = 0; i < 2; i++) {
        mem_free(MEM_SCRAPE, sides[i]->spans);
        mem_free(MEM_SCRAPE, sides[i]->deltas);
        mem_free(MEM_SCRAPE, sides[i]->counts);
    }
    mem_free(MEM_SCRAPE, metric->labels);
    mem_free(MEM_SCRAPE, metric->parts);
    mem_free(MEM_SCRAPE, metric->exemplars);
    *metric = (struct protobuf_metric){0};
}

/* Empties the metric and keeps the arrays. */
static void metric_clear(struct protobuf_metric *metric)
{
    struct protobuf_metric kept = *metric;
    *metric = (struct protobuf_metric){
        .labels = kept.labels,
        .label_capacity = kept.label_capacity,
        .parts = kept.parts,
        .part_capacity = kept.part_capacity,
        .positive = kept.positive,
        .negative = kept.negative,
        .exemplars = kept.exemplars,
        .exemplar_capacity = kept.exemplar_capacity,
    };
    struct protobuf_side *sides[] = {&metric->positive, &metric->negative};
    for (int i = 0; i < 2; i++) {
        sides[i]->span_count = 0;
        sides[i]->delta_count = 0;
        sides[i]->count_count = 0;
    }
}

err_t protobuf_family_read(struct str message, struct protobuf_family *family, struct strbuf *why)
{
    struct protobuf_field field;
    *family = (struct protobuf_family){.metrics = message};
    while (message.size > 0) {
        TRY(protobuf_next(&message, &field, why));
        if (field.number == 1)
            family->name = field.bytes;
        else if (field.number == 2)
            family->help = field.bytes;
        else if (field.number == 3)
            family->type = field.value;
        else if (field.number == 4)
            family->has_metrics = true;
        else if (field.number == 5)
            family->unit = field.bytes;
    }
    return OK;
}

static err_t read_label(struct str message, struct label *label, struct strbuf *why)
{
    struct protobuf_field field;
    *label = (struct label){STR(""), STR("")};
    while (message.size > 0) {
        TRY(protobuf_next(&message, &field, why));
        if (field.number == 1)
            label->name = field.bytes;
        else if (field.number == 2)
            label->value = field.bytes;
    }
    return OK;
}

/* google.protobuf.Timestamp in milliseconds, cut off. */
static err_t read_timestamp(struct str message, int64_t *t_ms, struct strbuf *why)
{
    struct protobuf_field field;
    uint64_t seconds = 0;
    int32_t nanos = 0;
    while (message.size > 0) {
        TRY(protobuf_next(&message, &field, why));
        if (field.number == 1)
            seconds = field.value;
        else if (field.number == 2)
            nanos = (int32_t)field.value;
    }
    /* Wraps around as Go's arithmetic does. */
    *t_ms = (int64_t)(seconds * 1000 + (uint64_t)(int64_t)(nanos / 1000000));
    return OK;
}

/* Gauge, untyped and counter agree in field 1; the others only a counter has. */
static err_t read_simple(struct str message, struct protobuf_metric *metric, struct strbuf *why)
{
    struct protobuf_field field;
    while (message.size > 0) {
        TRY(protobuf_next(&message, &field, why));
        if (field.number == 1)
            metric->value = protobuf_double(&field);
        else if (field.number == 2)
            metric->exemplar = field.bytes;
        else if (field.number == 3)
            TRY(read_timestamp(field.bytes, &metric->start_ms, why));
    }
    return OK;
}

static err_t read_quantile(struct str message, struct protobuf_part *part, struct strbuf *why)
{
    struct protobuf_field field;
    *part = (struct protobuf_part){0};
    while (message.size > 0) {
        TRY(protobuf_next(&message, &field, why));
        if (field.number == 1)
            part->bound = protobuf_double(&field);
        else if (field.number == 2)
            part->value = protobuf_double(&field);
    }
    return OK;
}

static err_t read_bucket(struct str message, struct protobuf_part *part, struct strbuf *why)
{
    struct protobuf_field field;
    uint64_t count = 0;
    double count_float = 0;
    *part = (struct protobuf_part){0};
    while (message.size > 0) {
        TRY(protobuf_next(&message, &field, why));
        if (field.number == 1)
            count = field.value;
        else if (field.number == 2)
            part->bound = protobuf_double(&field);
        else if (field.number == 3)
            part->exemplar = field.bytes;
        else if (field.number == 4)
            count_float = protobuf_double(&field);
    }
    part->value = count_float != 0 ? count_float : (double)count;
    return OK;
}

static void add_part(struct protobuf_metric *metric, struct protobuf_part part)
{
    VEC_PUSH(MEM_SCRAPE, metric->parts, metric->part_count, metric->part_capacity, part);
}

static err_t read_summary(struct str message, struct protobuf_metric *metric, struct strbuf *why)
{
    struct protobuf_field field;
    struct protobuf_part part;
    while (message.size > 0) {
        TRY(protobuf_next(&message, &field, why));
        if (field.number == 1)
            metric->count = field.value;
        else if (field.number == 2)
            metric->sum = protobuf_double(&field);
        else if (field.number == 3) {
            TRY(read_quantile(field.bytes, &part, why));
            add_part(metric, part);
        } else if (field.number == 4) {
            TRY(read_timestamp(field.bytes, &metric->start_ms, why));
        }
    }
    return OK;
}

static err_t read_span(struct str message, struct protobuf_side *side, struct strbuf *why)
{
    struct protobuf_field field;
    struct histogram_span span = {0, 0};
    while (message.size > 0) {
        TRY(protobuf_next(&message, &field, why));
        if (field.number == 1)
            span.offset = (int32_t)protobuf_sint(&field);
        else if (field.number == 2)
            span.length = (uint32_t)field.value;
    }
    VEC_PUSH(MEM_SCRAPE, side->spans, side->span_count, side->span_capacity, span);
    return OK;
}

/* Repeated numbers come packed or one by one. */
static err_t read_deltas(const struct protobuf_field *field, struct protobuf_side *side,
                         struct strbuf *why)
{
    struct str rest = field->bytes;
    uint64_t raw = field->value;
    if (field->wire == PROTOBUF_VARINT) {
        VEC_PUSH(MEM_SCRAPE, side->deltas, side->delta_count, side->delta_capacity,
                 protobuf_sint_of(raw));
        return OK;
    }
    while (rest.size > 0) {
        if (!protobuf_varint(&rest, &raw))
            return err_fail(why, ERR_INVALID, "unexpected EOF");
        VEC_PUSH(MEM_SCRAPE, side->deltas, side->delta_count, side->delta_capacity,
                 protobuf_sint_of(raw));
    }
    return OK;
}

static err_t read_counts(const struct protobuf_field *field, struct protobuf_side *side,
                         struct strbuf *why)
{
    double value = protobuf_double(field);
    if (field->wire == PROTOBUF_FIXED64) {
        VEC_PUSH(MEM_SCRAPE, side->counts, side->count_count, side->count_capacity, value);
        return OK;
    }
    if (field->bytes.size % sizeof value != 0)
        return err_fail(why, ERR_INVALID, "unexpected EOF");
    for (size_t at = 0; at < field->bytes.size; at += sizeof value) {
        memcpy(&value, field->bytes.data + at, sizeof value);
        VEC_PUSH(MEM_SCRAPE, side->counts, side->count_count, side->count_capacity, value);
    }
    return OK;
}

static err_t read_native_field(const struct protobuf_field *field, struct protobuf_metric *metric,
                               struct strbuf *why)
{
    switch (field->number) {
    case 5:
        metric->schema = (int32_t)protobuf_sint(field);
        return OK;
    case 6:
        metric->zero_threshold = protobuf_double(field);
        return OK;
    case 7:
        metric->zero_count = field->value;
        return OK;
    case 8:
        metric->zero_count_float = protobuf_double(field);
        return OK;
    case 9:
        return read_span(field->bytes, &metric->negative, why);
    case 10:
        return read_deltas(field, &metric->negative, why);
    case 11:
        return read_counts(field, &metric->negative, why);
    case 12:
        return read_span(field->bytes, &metric->positive, why);
    case 13:
        return read_deltas(field, &metric->positive, why);
    case 14:
        return read_counts(field, &metric->positive, why);
    case 16:
        VEC_PUSH(MEM_SCRAPE, metric->exemplars, metric->exemplar_count, metric->exemplar_capacity,
                 field->bytes);
        return OK;
    default:
        return OK;
    }
}

static err_t read_histogram(struct str message, struct protobuf_metric *metric, struct strbuf *why)
{
    struct protobuf_field field;
    struct protobuf_part part;
    while (message.size > 0) {
        TRY(protobuf_next(&message, &field, why));
        switch (field.number) {
        case 1:
            metric->count = field.value;
            break;
        case 2:
            metric->sum = protobuf_double(&field);
            break;
        case 3:
            TRY(read_bucket(field.bytes, &part, why));
            add_part(metric, part);
            break;
        case 4:
            metric->count_float = protobuf_double(&field);
            break;
        case 15:
            TRY(read_timestamp(field.bytes, &metric->start_ms, why));
            break;
        default:
            TRY(read_native_field(&field, metric, why));
            break;
        }
    }
    return OK;
}

/* Number of the field in which a metric of the type has its value. */
static uint32_t value_field(uint64_t type)
{
    static const uint32_t fields[] = {
        [PROTOBUF_COUNTER] = 3, [PROTOBUF_GAUGE] = 2,     [PROTOBUF_SUMMARY] = 4,
        [PROTOBUF_UNTYPED] = 5, [PROTOBUF_HISTOGRAM] = 7, [PROTOBUF_GAUGE_HISTOGRAM] = 7,
    };
    return fields[type];
}

static err_t read_metric(struct str message, uint64_t type, struct protobuf_metric *metric,
                         struct strbuf *why)
{
    struct protobuf_field field;
    metric_clear(metric);
    while (message.size > 0) {
        TRY(protobuf_next(&message, &field, why));
        if (field.number == 1) {
            struct label label;
            TRY(read_label(field.bytes, &label, why));
            VEC_PUSH(MEM_SCRAPE, metric->labels, metric->label_count, metric->label_capacity,
                     label);
        } else if (field.number == 6) {
            metric->timestamp_ms = (int64_t)field.value;
        } else if (field.number != value_field(type)) {
            continue;
        } else if (field.number == 4) {
            TRY(read_summary(field.bytes, metric, why));
        } else if (field.number == 7) {
            TRY(read_histogram(field.bytes, metric, why));
        } else {
            TRY(read_simple(field.bytes, metric, why));
        }
    }
    return OK;
}

err_t protobuf_metric_next(struct protobuf_family *family, struct protobuf_metric *metric,
                           bool *found, struct strbuf *why)
{
    struct protobuf_field field;
    *found = false;
    while (!*found && family->metrics.size > 0) {
        TRY(protobuf_next(&family->metrics, &field, why));
        *found = field.number == 4;
    }
    return *found ? read_metric(field.bytes, family->type, metric, why) : OK;
}

err_t protobuf_exemplar_read(struct str message, struct arena *arena,
                             struct protobuf_exemplar *exemplar, struct labels *labels,
                             struct strbuf *why)
{
    struct protobuf_field field;
    uint32_t count = 0;
    for (struct str rest = message; rest.size > 0;) {
        TRY(protobuf_next(&rest, &field, why));
        count += field.number == 1;
    }
    struct label *items = ARENA_NEW_ARRAY(arena, struct label, count);
    *exemplar = (struct protobuf_exemplar){0};
    *labels = (struct labels){items, count};
    while (message.size > 0) {
        TRY(protobuf_next(&message, &field, why));
        if (field.number == 1) {
            TRY(read_label(field.bytes, items++, why));
        } else if (field.number == 2) {
            exemplar->value = protobuf_double(&field);
        } else if (field.number == 3) {
            exemplar->has_timestamp = true;
            TRY(read_timestamp(field.bytes, &exemplar->timestamp_ms, why));
        }
    }
    return OK;
}
