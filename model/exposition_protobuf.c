/* Reader of delimited io.prometheus.client.MetricFamily messages.
 *
 * A key is the series' name and, behind a 0xff each, its label names and values as they come; the
 * byte cannot occur in UTF-8, which all parts are. le and quantile are the last label.
 */
#include <math.h>
#include <stdlib.h>

#include "exposition_parser.h"
#include "narthex/base/mem.h"
#include "narthex/base/number.h"
#include "narthex/base/vec.h"
#include "protobuf_metric.h"

enum { KEY_SEPARATOR = 0xff, LENGTH_VARINT_MAX = 5 };

/* Positions of a metric's classic series: _count, _sum, then quantiles or buckets. */
enum { POSITION_COUNT = -2, POSITION_SUM = -1 };

enum stage {
    STAGE_FAMILY, /* between families */
    STAGE_UNIT,
    STAGE_TYPE,
    STAGE_SERIES, /* the current metric's series from `position` on */
    STAGE_HISTOGRAM,
};

struct protobuf_reader {
    struct str rest; /* of the body */
    enum stage stage;
    struct protobuf_family family;
    struct protobuf_metric metric;
    int32_t position;
    bool position_done; /* the series given last was the metric's last */
    bool classic_after; /* give the classic form of the native histogram given last */
    bool beside_native; /* that form is being given */
    bool first_given;   /* something of the current family's first metric was given */
    bool in_histogram;  /* the entry given last is a native histogram */
    /* Exemplars of the entry given last. */
    uint32_t exemplar_at;
    uint32_t exemplar_end;
    struct strbuf key;
    struct histogram histogram;
    struct histogram_span *spans; /* of the histogram, positive ones first */
    uint32_t span_count;
    uint32_t span_capacity;
    union histogram_count *counts;
    uint32_t count_count;
    uint32_t count_capacity;
};

void exposition__protobuf_start(struct exposition *exposition)
{
    if (exposition->protobuf == NULL)
        exposition->protobuf = MEM_NEW(MEM_SCRAPE, struct protobuf_reader);
    struct protobuf_reader *reader = exposition->protobuf;
    reader->rest = str_from(exposition->lexer.data, exposition->lexer.size);
    reader->stage = STAGE_FAMILY;
    reader->exemplar_at = 0;
    reader->exemplar_end = 0;
}

void exposition__protobuf_destroy(struct protobuf_reader *reader)
{
    if (reader == NULL)
        return;
    protobuf_metric_deinit(&reader->metric);
    strbuf_deinit(&reader->key);
    mem_free(MEM_SCRAPE, reader->spans);
    mem_free(MEM_SCRAPE, reader->counts);
    mem_free(MEM_SCRAPE, reader);
}

/* --- families --- */

/* The next length-prefixed message; *found is false at the body's end. */
static err_t take_message(struct protobuf_reader *reader, struct str *message, bool *found,
                          struct strbuf *why)
{
    struct str rest = reader->rest;
    uint64_t size;
    *found = rest.size > 0;
    if (!*found)
        return OK;
    if (!protobuf_varint(&rest, &size) || reader->rest.size - rest.size > LENGTH_VARINT_MAX)
        return err_fail(why, ERR_INVALID, "clientpb: invalid varint encountered");
    if (size > rest.size)
        return err_fail(why, ERR_INVALID,
                        "clientpb: insufficient length of buffer, expected at least %llu bytes, "
                        "got %zu bytes",
                        (unsigned long long)size + (reader->rest.size - rest.size),
                        reader->rest.size);
    *message = str_from(rest.data, (size_t)size);
    reader->rest = str_from(rest.data + size, rest.size - (size_t)size);
    return OK;
}

static err_t check_family(const struct protobuf_family *family, struct strbuf *why)
{
    if (!metric_name_is_valid(family->name, NAME_SCHEME_UTF8))
        return err_fail(why, ERR_INVALID, "invalid metric name: %.*s", STR_ARG(family->name));
    strbuf_clear(why);
    if (!str_is_utf8(family->help)) {
        strbuf_add_cstr(why, "invalid help for metric ");
        strbuf_add_quoted(why, family->name);
        strbuf_printf(why, ": %.*s", STR_ARG(family->help));
        return ERR_INVALID;
    }
    if (family->type >= PROTOBUF_TYPE_COUNT) {
        strbuf_add_cstr(why, "unknown metric type for metric ");
        strbuf_add_quoted(why, family->name);
        strbuf_printf(why, ": %d", (int)family->type);
        return ERR_INVALID;
    }
    return OK;
}

static enum metadata_type metadata_of(uint64_t type)
{
    static const enum metadata_type types[] = {
        [PROTOBUF_COUNTER] = METADATA_COUNTER,
        [PROTOBUF_GAUGE] = METADATA_GAUGE,
        [PROTOBUF_SUMMARY] = METADATA_SUMMARY,
        [PROTOBUF_UNTYPED] = METADATA_UNKNOWN,
        [PROTOBUF_HISTOGRAM] = METADATA_HISTOGRAM,
        [PROTOBUF_GAUGE_HISTOGRAM] = METADATA_GAUGEHISTOGRAM,
    };
    return types[type];
}

static bool is_histogram(const struct protobuf_reader *reader)
{
    return reader->family.type == PROTOBUF_HISTOGRAM ||
           reader->family.type == PROTOBUF_GAUGE_HISTOGRAM;
}

static bool is_native(const struct exposition *exposition)
{
    const struct protobuf_reader *reader = exposition->protobuf;
    const struct protobuf_metric *metric = &reader->metric;
    return exposition->options.native_histograms && is_histogram(reader) &&
           (metric->positive.span_count > 0 || metric->negative.span_count > 0 ||
            metric->zero_threshold > 0 || metric->zero_count > 0);
}

static err_t next_family(struct exposition *exposition, bool *found, struct strbuf *why)
{
    struct protobuf_reader *reader = exposition->protobuf;
    struct str message;
    do {
        TRY(take_message(reader, &message, found, why));
        if (!*found)
            return OK;
        TRY(protobuf_family_read(message, &reader->family, why));
    } while (!reader->family.has_metrics);
    TRY(check_family(&reader->family, why));
    bool has_metric;
    TRY(protobuf_metric_next(&reader->family, &reader->metric, &has_metric, why));
    exposition->type = metadata_of(reader->family.type);
    reader->position = POSITION_COUNT;
    reader->position_done = false;
    reader->classic_after = false;
    reader->beside_native = false;
    return OK;
}

/* --- series --- */

static void add_key_part(struct strbuf *key, struct str name, struct str value)
{
    strbuf_add_char(key, (char)KEY_SEPARATOR);
    strbuf_add_str(key, name);
    strbuf_add_char(key, (char)KEY_SEPARATOR);
    strbuf_add_str(key, value);
}

static err_t build_key(struct protobuf_reader *reader, const char *suffix, const char *part_name,
                       double part_bound, struct strbuf *why)
{
    struct strbuf *key = &reader->key;
    strbuf_clear(key);
    strbuf_add_str(key, reader->family.name);
    strbuf_add_cstr(key, suffix);
    for (uint32_t i = 0; i < reader->metric.label_count; i++) {
        struct label label = reader->metric.labels[i];
        if (!str_is_utf8(label.name))
            return err_fail(why, ERR_INVALID, "invalid label name: %.*s", STR_ARG(label.name));
        if (!str_is_utf8(label.value))
            return err_fail(why, ERR_INVALID, "invalid label value: %.*s", STR_ARG(label.value));
        add_key_part(key, label.name, label.value);
    }
    if (part_name != NULL) {
        char text[NUMBER_TEXT_MAX];
        struct str bound = str_from(text, number_format_openmetrics(part_bound, text));
        add_key_part(key, str_from_cstr(part_name), bound);
    }
    return OK;
}

void exposition__protobuf_key_labels(struct str key, struct arena *arena, struct label **items,
                                     uint32_t *count)
{
    uint32_t separators = 0;
    for (size_t i = 0; i < key.size; i++)
        separators += (unsigned char)key.data[i] == KEY_SEPARATOR;
    struct label *labels = ARENA_NEW_ARRAY(arena, struct label, 1 + separators / 2);
    /* Parts: the name, then names and values in turn. */
    size_t at = 0;
    for (uint32_t part = 0; part <= separators; part++) {
        size_t end = str_find(key, (char)KEY_SEPARATOR, at);
        end = end == SIZE_MAX ? key.size : end;
        struct str text = str_from(key.data + at, end - at);
        if (part == 0)
            labels[0] = (struct label){LABEL_NAME, text};
        else if (part % 2 == 1)
            labels[(part + 1) / 2].name = text;
        else
            labels[part / 2].value = text;
        at = end + 1;
    }
    *items = labels;
    *count = 1 + separators / 2;
}

static double count_of(const struct protobuf_metric *metric)
{
    return metric->count_float != 0 ? metric->count_float : (double)metric->count;
}

static double canonical(double value)
{
    return isnan(value) ? double_from_bits(NORMAL_NAN_BITS) : value;
}

static void fill_common(const struct exposition *exposition, enum exposition_kind kind,
                        struct exposition_entry *entry)
{
    const struct protobuf_reader *reader = exposition->protobuf;
    *entry = (struct exposition_entry){
        .kind = kind,
        .key = strbuf_str(&reader->key),
        .has_timestamp = reader->metric.timestamp_ms != 0,
        .timestamp_ms = reader->metric.timestamp_ms,
        .start_ms = reader->metric.start_ms,
        .beside_native = reader->beside_native,
        .type = exposition->type,
    };
}

/* A summary's quantile or a histogram's bucket; the +Inf bucket is made up when it is missing. */
static err_t give_part(struct exposition *exposition, double *value, struct strbuf *why)
{
    struct protobuf_reader *reader = exposition->protobuf;
    const struct protobuf_metric *metric = &reader->metric;
    uint32_t index = (uint32_t)reader->position;
    if (reader->family.type == PROTOBUF_SUMMARY) {
        *value = metric->parts[index].value;
        reader->position_done = index + 1 == metric->part_count;
        return build_key(reader, "", "quantile", metric->parts[index].bound, why);
    }
    bool made_up = index == metric->part_count;
    double bound = made_up ? INFINITY : metric->parts[index].bound;
    *value = made_up ? count_of(metric) : metric->parts[index].value;
    reader->position_done = bound == INFINITY && index + 1 >= metric->part_count;
    if (!made_up && metric->parts[index].exemplar.data != NULL) {
        reader->exemplar_at = index;
        reader->exemplar_end = index + 1;
    }
    return build_key(reader, "_bucket", "le", bound, why);
}

/* The classic series at the current position. */
static err_t give_series(struct exposition *exposition, struct exposition_entry *entry,
                         struct strbuf *why)
{
    struct protobuf_reader *reader = exposition->protobuf;
    const struct protobuf_metric *metric = &reader->metric;
    bool has_parts = is_histogram(reader) || reader->family.type == PROTOBUF_SUMMARY;
    double value = metric->value;
    reader->in_histogram = false;
    if (!has_parts) {
        TRY(build_key(reader, "", NULL, 0, why));
        reader->position_done = true;
        reader->exemplar_end = metric->exemplar.data != NULL ? 1 : 0;
    } else if (reader->position == POSITION_COUNT) {
        value = count_of(metric);
        TRY(build_key(reader, "_count", NULL, 0, why));
    } else if (reader->position == POSITION_SUM) {
        value = metric->sum;
        TRY(build_key(reader, "_sum", NULL, 0, why));
        reader->position_done = reader->family.type == PROTOBUF_SUMMARY && metric->part_count == 0;
    } else {
        TRY(give_part(exposition, &value, why));
    }
    fill_common(exposition, EXPOSITION_SAMPLE, entry);
    entry->value = canonical(value);
    entry->has_exemplar = reader->exemplar_at < reader->exemplar_end;
    return OK;
}

/* --- native histograms --- */

static err_t check_spans(const struct protobuf_reader *reader, const struct protobuf_side *side,
                         const char *name, uint32_t have, struct strbuf *why)
{
    uint64_t required = 0;
    for (uint32_t i = 0; i < side->span_count; i++)
        required += side->spans[i].length;
    if (required == have)
        return OK;
    strbuf_clear(why);
    strbuf_add_cstr(why, "histogram ");
    strbuf_add_quoted(why, reader->family.name);
    strbuf_printf(why, ": %s side: spans require %llu buckets, have %u", name,
                  (unsigned long long)required, have);
    return ERR_INVALID;
}

/* Appends the side's buckets that are not empty, in spans as long as possible; absolute counts. */
static void add_side(struct protobuf_reader *reader, const struct protobuf_side *side, bool floats)
{
    int64_t index = 0;    /* of the bucket */
    int64_t kept_end = 0; /* index behind the bucket added last */
    bool first = true;
    uint32_t at = 0;
    uint64_t total = 0;
    for (uint32_t i = 0; i < side->span_count; i++) {
        index += side->spans[i].offset;
        for (uint32_t k = 0; k < side->spans[i].length; k++, at++, index++) {
            union histogram_count count = {.i = 0};
            if (floats)
                count.f = side->counts[at];
            else
                count.i = total += (uint64_t)side->deltas[at];
            if (floats ? count.f == 0 : count.i == 0)
                continue;
            if (first || index != kept_end) {
                struct histogram_span span = {(int32_t)(index - kept_end), 0};
                VEC_PUSH(MEM_SCRAPE, reader->spans, reader->span_count, reader->span_capacity,
                         span);
            }
            first = false;
            reader->spans[reader->span_count - 1].length++;
            kept_end = index + 1;
            VEC_PUSH(MEM_SCRAPE, reader->counts, reader->count_count, reader->count_capacity,
                     count);
        }
    }
}

static void build_histogram(struct protobuf_reader *reader, bool floats)
{
    const struct protobuf_metric *metric = &reader->metric;
    struct histogram *h = &reader->histogram;
    reader->span_count = 0;
    reader->count_count = 0;
    add_side(reader, &metric->positive, floats);
    uint32_t positive_spans = reader->span_count;
    uint32_t positive_counts = reader->count_count;
    add_side(reader, &metric->negative, floats);
    *h = (struct histogram){
        .kind = floats ? HISTOGRAM_FLOAT : HISTOGRAM_INTEGER,
        .hint = reader->family.type == PROTOBUF_GAUGE_HISTOGRAM ? HISTOGRAM_HINT_GAUGE
                                                                : HISTOGRAM_HINT_UNKNOWN,
        .schema = metric->schema,
        .zero_threshold = metric->zero_threshold,
        .sum = canonical(metric->sum),
        .positive = {reader->spans, reader->counts, positive_spans, positive_counts},
    };
    if (reader->span_count > positive_spans)
        h->negative = (struct histogram_side){
            reader->spans + positive_spans, reader->counts + positive_counts,
            reader->span_count - positive_spans, reader->count_count - positive_counts};
    if (floats) {
        h->count.f = metric->count_float;
        h->zero_count.f = metric->zero_count_float;
    } else {
        h->count.i = metric->count;
        h->zero_count.i = metric->zero_count;
    }
}

static err_t give_histogram(struct exposition *exposition, struct exposition_entry *entry,
                            struct strbuf *why)
{
    struct protobuf_reader *reader = exposition->protobuf;
    const struct protobuf_metric *metric = &reader->metric;
    bool floats = metric->count_float > 0 || metric->zero_count_float > 0;
    uint32_t positive = floats ? metric->positive.count_count : metric->positive.delta_count;
    uint32_t negative = floats ? metric->negative.count_count : metric->negative.delta_count;
    TRY(build_key(reader, "", NULL, 0, why));
    TRY(check_spans(reader, &metric->positive, "positive", positive, why));
    TRY(check_spans(reader, &metric->negative, "negative", negative, why));
    build_histogram(reader, floats);
    fill_common(exposition, EXPOSITION_HISTOGRAM, entry);
    entry->histogram = &reader->histogram;
    reader->in_histogram = true;
    reader->classic_after = exposition->options.always_classic && metric->part_count > 0;
    reader->exemplar_end = metric->exemplar_count > 0 ? metric->exemplar_count : metric->part_count;
    entry->has_exemplar = reader->exemplar_end > 0;
    return OK;
}

/* --- the walk --- */

/* Goes to the next thing to give; *found is false at the end of the body. */
static err_t advance(struct exposition *exposition, bool *found, struct strbuf *why)
{
    struct protobuf_reader *reader = exposition->protobuf;
    *found = true;
    if (reader->stage == STAGE_HISTOGRAM && reader->classic_after) {
        reader->classic_after = false;
        reader->beside_native = true;
        reader->stage = STAGE_SERIES;
        reader->position = POSITION_COUNT;
        reader->position_done = false;
        return OK;
    }
    if (reader->stage == STAGE_SERIES && !reader->position_done) {
        reader->position++;
        return OK;
    }
    /* As Prometheus has it, a family that began with classic histograms goes on with them until one
     * that has native buckets has been given in its classic form. */
    bool native_wanted = reader->stage == STAGE_HISTOGRAM || is_native(exposition);
    reader->position = POSITION_COUNT;
    reader->position_done = false;
    reader->beside_native = false;
    TRY(protobuf_metric_next(&reader->family, &reader->metric, found, why));
    reader->stage = native_wanted && is_native(exposition) ? STAGE_HISTOGRAM : STAGE_SERIES;
    return OK;
}

static void give_metadata(struct exposition *exposition, struct exposition_entry *entry)
{
    struct protobuf_reader *reader = exposition->protobuf;
    *entry = (struct exposition_entry){.name = reader->family.name, .type = exposition->type};
    switch (reader->stage) {
    case STAGE_FAMILY:
        entry->kind = EXPOSITION_HELP;
        entry->text = reader->family.help;
        reader->stage = reader->family.unit.size > 0 ? STAGE_UNIT : STAGE_TYPE;
        break;
    case STAGE_UNIT:
        entry->kind = EXPOSITION_UNIT;
        entry->text = reader->family.unit;
        reader->stage = STAGE_TYPE;
        break;
    default:
        entry->kind = EXPOSITION_TYPE;
        reader->stage = is_native(exposition) ? STAGE_HISTOGRAM : STAGE_SERIES;
        reader->first_given = false;
        break;
    }
}

err_t exposition__protobuf_next(struct exposition *exposition, struct exposition_entry *entry,
                                struct strbuf *why)
{
    struct protobuf_reader *reader = exposition->protobuf;
    bool found = true;
    reader->exemplar_at = 0;
    reader->exemplar_end = 0;
    if (reader->stage == STAGE_SERIES || reader->stage == STAGE_HISTOGRAM) {
        if (reader->first_given)
            TRY(advance(exposition, &found, why));
        reader->first_given = true;
        if (!found)
            reader->stage = STAGE_FAMILY;
    }
    if (reader->stage == STAGE_FAMILY) {
        TRY(next_family(exposition, &found, why));
        exposition->ended = !found;
        *entry = (struct exposition_entry){.kind = EXPOSITION_END};
        if (!found)
            return OK;
    }
    if (reader->stage == STAGE_HISTOGRAM)
        return give_histogram(exposition, entry, why);
    if (reader->stage == STAGE_SERIES)
        return give_series(exposition, entry, why);
    give_metadata(exposition, entry);
    return OK;
}

/* --- exemplars --- */

static int compare_names(const void *a, const void *b)
{
    return str_compare(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static struct str exemplar_message(const struct protobuf_reader *reader, uint32_t at)
{
    const struct protobuf_metric *metric = &reader->metric;
    if (!is_histogram(reader))
        return metric->exemplar;
    if (reader->in_histogram && metric->exemplar_count > 0)
        return metric->exemplars[at];
    return metric->parts[at].exemplar;
}

bool exposition__protobuf_exemplar(struct exposition *exposition, struct arena *arena,
                                   struct exposition_exemplar *exemplar)
{
    struct protobuf_reader *reader = exposition->protobuf;
    while (reader->exemplar_at < reader->exemplar_end) {
        struct str message = exemplar_message(reader, reader->exemplar_at++);
        struct protobuf_exemplar found;
        struct labels labels;
        struct strbuf why = STRBUF_INIT;
        bool legal = message.data != NULL &&
                     protobuf_exemplar_read(message, arena, &found, &labels, &why) == OK;
        strbuf_deinit(&why);
        /* A native histogram's exemplars are ordered by time, so those without one are left out. */
        if (!legal || (reader->in_histogram && !found.has_timestamp))
            continue;
        qsort((struct label *)labels.items, labels.count, sizeof *labels.items, compare_names);
        *exemplar = (struct exposition_exemplar){labels, found.value, found.has_timestamp,
                                                 found.timestamp_ms};
        return true;
    }
    return false;
}
