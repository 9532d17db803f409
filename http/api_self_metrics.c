/* /api/v1/status/self_metrics: our own metrics as JSON, in the form that protobuf's JSON mapping
 * gives the MetricFamily messages of Prometheus' client libraries.
 *
 * The text of /metrics is read back with the parser of expositions, so that both always say the
 * same. */
#include "request.h"

#include <math.h>

#include "narthex/base/number.h"
#include "narthex/model/exposition.h"
#include "narthex/model/exposition_writer.h"
#include "narthex/model/regex.h"

struct self_metrics {
    struct strbuf *out;
    struct arena *arena;
    struct regex *pattern; /* NULL: all */
    struct str help;
    struct str family; /* its name; empty: not shown */
    enum metadata_type type;
    bool any_family;
    bool any_metric;
    /* The histogram or summary being put together. */
    struct strbuf parts; /* its buckets or quantiles */
    double sum;
};

/* Numbers that JSON has not are strings. */
static void add_double(struct strbuf *out, double v)
{
    if (isnan(v))
        strbuf_add_cstr(out, "\"NaN\"");
    else if (isinf(v))
        strbuf_add_cstr(out, v > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    else
        json_add_number(out, v);
}

static void end_family(struct self_metrics *self)
{
    if (self->family.size > 0 && self->any_metric)
        strbuf_add_cstr(self->out, "]}");
    self->family = STR("");
    self->any_metric = false;
}

static void begin_metric(struct self_metrics *self, const struct label *labels, uint32_t count,
                         struct str left_out)
{
    static const char *const types[] = {
        [METADATA_COUNTER] = "COUNTER",
        [METADATA_GAUGE] = "GAUGE",
        [METADATA_HISTOGRAM] = "HISTOGRAM",
        [METADATA_SUMMARY] = "SUMMARY",
    };
    struct strbuf *out = self->out;
    if (!self->any_metric) {
        strbuf_add_cstr(out, self->any_family ? ",{\"name\":" : "{\"name\":");
        json_add_string(out, self->family, true);
        strbuf_add_cstr(out, ",\"help\":");
        json_add_string(out, self->help, true);
        strbuf_printf(out, ",\"type\":\"%s\",\"metric\":[",
                      self->type < sizeof types / sizeof *types && types[self->type] != NULL
                          ? types[self->type]
                          : "UNTYPED");
        self->any_family = true;
    }
    strbuf_add_cstr(out, self->any_metric ? ",{\"label\":[" : "{\"label\":[");
    self->any_metric = true;
    bool first = true;
    for (uint32_t i = 0; i < count; i++) {
        if (str_equal(labels[i].name, LABEL_NAME) || str_equal(labels[i].name, left_out))
            continue;
        strbuf_add_cstr(out, first ? "{\"name\":" : ",{\"name\":");
        first = false;
        json_add_string(out, labels[i].name, true);
        strbuf_add_cstr(out, ",\"value\":");
        json_add_string(out, labels[i].value, true);
        strbuf_add_char(out, '}');
    }
    strbuf_add_char(out, ']');
}

static struct str label_of(const struct label *labels, uint32_t count, struct str name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (str_equal(labels[i].name, name))
            return labels[i].value;
    }
    return STR("");
}

static void add_plain(struct self_metrics *self, const struct label *labels, uint32_t count,
                      double value)
{
    begin_metric(self, labels, count, STR(""));
    strbuf_add_cstr(self->out, self->type == METADATA_COUNTER ? ",\"counter\":{\"value\":"
                               : self->type == METADATA_GAUGE ? ",\"gauge\":{\"value\":"
                                                              : ",\"untyped\":{\"value\":");
    add_double(self->out, value);
    strbuf_add_cstr(self->out, "}}");
}

/* One line of a histogram or summary; its _count comes last and completes it. */
static void add_part(struct self_metrics *self, const struct label *labels, uint32_t count,
                     struct str suffix, double value)
{
    bool histogram = self->type == METADATA_HISTOGRAM;
    struct str limit_name = histogram ? STR("le") : STR("quantile");
    double limit = 0;
    bool range;
    if (str_equal(suffix, STR("_sum"))) {
        self->sum = value;
    } else if (str_equal(suffix, STR("_count"))) {
        begin_metric(self, labels, count, limit_name);
        strbuf_printf(self->out, ",\"%s\":{\"sampleCount\":\"%.0f\",\"sampleSum\":",
                      histogram ? "histogram" : "summary", value);
        add_double(self->out, self->sum);
        if (self->parts.size > 0)
            strbuf_printf(self->out, ",\"%s\":[%s]", histogram ? "bucket" : "quantile",
                          strbuf_cstr(&self->parts));
        strbuf_add_cstr(self->out, "}}");
        strbuf_clear(&self->parts);
    } else if (number_parse(label_of(labels, count, limit_name), &limit, &range)) {
        if (self->parts.size > 0)
            strbuf_add_char(&self->parts, ',');
        if (histogram) {
            strbuf_printf(&self->parts, "{\"cumulativeCount\":\"%.0f\",\"upperBound\":", value);
            add_double(&self->parts, limit);
        } else {
            strbuf_add_cstr(&self->parts, "{\"quantile\":");
            add_double(&self->parts, limit);
            strbuf_add_cstr(&self->parts, ",\"value\":");
            add_double(&self->parts, value);
        }
        strbuf_add_char(&self->parts, '}');
    }
}

static void add_entry(struct self_metrics *self, const struct exposition_entry *entry)
{
    switch (entry->kind) {
    case EXPOSITION_HELP: {
        struct strbuf help = STRBUF_INIT;
        end_family(self);
        exposition_help(EXPOSITION_TEXT, entry->text, &help);
        self->help = arena_str(self->arena, strbuf_str(&help));
        strbuf_deinit(&help);
        break;
    }
    case EXPOSITION_TYPE:
        end_family(self);
        self->type = entry->type;
        if (self->pattern == NULL || regex_matches(self->pattern, entry->name))
            self->family = arena_str(self->arena, entry->name);
        break;
    case EXPOSITION_SAMPLE: {
        struct label *labels;
        uint32_t count;
        if (self->family.size == 0)
            break;
        exposition_key_labels(EXPOSITION_TEXT, entry->key, entry->type, self->arena, &labels,
                              &count);
        struct str name = label_of(labels, count, LABEL_NAME);
        struct str suffix = str_from(name.data + self->family.size, name.size - self->family.size);
        if (self->type == METADATA_HISTOGRAM || self->type == METADATA_SUMMARY)
            add_part(self, labels, count, suffix, entry->value);
        else
            add_plain(self, labels, count, entry->value);
        break;
    }
    default:
        break;
    }
}

static err_t add_all(struct http_request *request, struct self_metrics *self, struct strbuf *why)
{
    struct strbuf text = STRBUF_INIT;
    struct exposition *exposition = exposition_create();
    struct exposition_options options = {0};
    struct exposition_entry entry;
    exposition_write_metrics(&text, request->services->metrics);
    request->services->process_metrics(request->services->owner, &text);
    exposition_start(exposition, EXPOSITION_TEXT, &options, strbuf_str(&text));
    err_t err;
    while ((err = exposition_next(exposition, &entry, why)) == OK && entry.kind != EXPOSITION_END)
        add_entry(self, &entry);
    end_family(self);
    exposition_destroy(exposition);
    strbuf_deinit(&text);
    return err;
}

void http__self_metrics(struct http_request *request)
{
    struct str pattern = http__param(request, "metric_name_pattern");
    struct strbuf why = STRBUF_INIT;
    struct self_metrics self = {.arena = &request->arena};
    if (pattern.size > 0 && regex_compile(pattern, &self.pattern, &why) != OK) {
        http__api_invalid_parameter(request, "metric_name_pattern", strbuf_cstr(&why));
        strbuf_deinit(&why);
        return;
    }
    self.out = http__api_begin(request);
    strbuf_add_char(self.out, '[');
    if (add_all(request, &self, &why) != OK) {
        http__api_error(request, API_INTERNAL, strbuf_cstr(&why));
    } else {
        strbuf_add_char(self.out, ']');
        http__api_end(request, NULL, 0, NULL, 0);
    }
    strbuf_deinit(&self.parts);
    regex_destroy(self.pattern);
    strbuf_deinit(&why);
}
