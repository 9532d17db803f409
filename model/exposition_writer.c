#include "narthex/model/exposition_writer.h"

#include <assert.h>

#include "narthex/base/number.h"

void metric_writer_init(struct metric_writer *writer, struct strbuf *out)
{
    *writer = (struct metric_writer){.out = out};
}

void metric_writer_deinit(struct metric_writer *writer)
{
    strbuf_deinit(&writer->header);
    strbuf_deinit(&writer->name);
}

static bool needs_care(char c, bool quoted)
{
    return c == '\\' || c == '\n' || (quoted && c == '"') || (unsigned char)c >= 0x80;
}

/* Text with \\, \n and (in quotes) \" escaped and each run of bytes that are not UTF-8 replaced. */
static void add_escaped(struct strbuf *out, struct str s, bool quoted)
{
    bool in_bad_run = false;
    while (s.size > 0) {
        size_t plain = 0;
        while (plain < s.size && !needs_care(s.data[plain], quoted))
            plain++;
        strbuf_add(out, s.data, plain);
        in_bad_run &= plain == 0;
        s = str_from(s.data + plain, s.size - plain);
        if (s.size == 0)
            break;
        uint32_t rune;
        size_t length = str_decode_rune(s, &rune);
        if (length > 1) {
            strbuf_add(out, s.data, length);
        } else if (length == 1) {
            strbuf_add_char(out, '\\');
            strbuf_add_char(out, rune == '\n' ? 'n' : (char)rune);
        } else if (!in_bad_run) {
            strbuf_add_cstr(out, "\xef\xbf\xbd");
        }
        in_bad_run = length == 0;
        length += length == 0;
        s = str_from(s.data + length, s.size - length);
    }
}

static const char *type_name(enum metric_type type)
{
    static const char *const names[] = {
        [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge",
        [METRIC_SUMMARY] = "summary", [METRIC_HISTOGRAM] = "histogram",
        [METRIC_UNTYPED] = "untyped",
    };
    return names[type];
}

void metric_writer_family(struct metric_writer *writer, struct str name, enum metric_type type,
                          struct str help)
{
    assert(name.size > 0);
    strbuf_clear(&writer->name);
    strbuf_add_str(&writer->name, name);
    strbuf_clear(&writer->header);
    if (help.size > 0) {
        strbuf_add_cstr(&writer->header, "# HELP ");
        strbuf_add_str(&writer->header, name);
        strbuf_add_char(&writer->header, ' ');
        add_escaped(&writer->header, help, false);
        strbuf_add_char(&writer->header, '\n');
    }
    strbuf_printf(&writer->header, "# TYPE %.*s %s\n", STR_ARG(name), type_name(type));
}

void metric_writer_sample(struct metric_writer *writer, const char *suffix, const struct str *names,
                          const struct str *values, size_t label_count, double value)
{
    assert(writer->name.size > 0);
    struct strbuf *out = writer->out;
    strbuf_add_str(out, strbuf_str(&writer->header));
    strbuf_clear(&writer->header);

    strbuf_add_str(out, strbuf_str(&writer->name));
    strbuf_add_cstr(out, suffix);
    for (size_t i = 0; i < label_count; i++) {
        strbuf_add_char(out, i == 0 ? '{' : ',');
        strbuf_add_str(out, names[i]);
        strbuf_add(out, "=\"", 2);
        add_escaped(out, values[i], true);
        strbuf_add_char(out, '"');
    }
    strbuf_add_cstr(out, label_count > 0 ? "} " : " ");
    strbuf_commit(out, number_format_general(value, 6, strbuf_reserve(out, NUMBER_TEXT_MAX)));
    strbuf_add_char(out, '\n');
}

void metric_writer_value(struct metric_writer *writer, double value)
{
    metric_writer_sample(writer, "", NULL, NULL, 0, value);
}

static void write_family(void *context, struct str name, enum metric_type type, struct str help)
{
    metric_writer_family(context, name, type, help);
}

static void write_sample(void *context, struct str name, const char *suffix,
                         const struct str *names, const struct str *values, size_t label_count,
                         double value)
{
    (void)name;
    metric_writer_sample(context, suffix, names, values, label_count, value);
}

void exposition_write_metrics(struct strbuf *out, struct metrics *metrics)
{
    struct metric_writer writer;
    metric_writer_init(&writer, out);
    const struct metrics_visitor visitor = {write_family, write_sample, &writer};
    metrics_visit(metrics, &visitor);
    metric_writer_deinit(&writer);
}
