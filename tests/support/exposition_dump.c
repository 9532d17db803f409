#include "exposition_dump.h"

static void dump_count(const struct histogram *h, union histogram_count count, struct strbuf *out)
{
    if (h->kind == HISTOGRAM_INTEGER)
        strbuf_printf(out, " %llu", (unsigned long long)count.i);
    else
        strbuf_printf(out, " %.17g", count.f);
}

static void dump_side(const struct histogram *h, const char *name,
                      const struct histogram_side *side, struct strbuf *out)
{
    strbuf_printf(out, " %s", name);
    for (uint32_t i = 0; i < side->span_count; i++)
        strbuf_printf(out, " %d:%u", side->spans[i].offset, side->spans[i].length);
    strbuf_add_cstr(out, " =");
    for (uint32_t i = 0; i < side->bucket_count; i++)
        dump_count(h, side->counts[i], out);
}

static void dump_histogram(const struct histogram *h, struct strbuf *out)
{
    strbuf_printf(out, "%s schema=%d hint=%d sum=%.17g count",
                  h->kind == HISTOGRAM_INTEGER ? "integer" : "float", h->schema, (int)h->hint,
                  h->sum);
    dump_count(h, h->count, out);
    strbuf_printf(out, " zero=%.17g", h->zero_threshold);
    dump_count(h, h->zero_count, out);
    dump_side(h, "positive", &h->positive, out);
    dump_side(h, "negative", &h->negative, out);
}

static void dump_exemplars(struct exposition *exposition, struct arena *arena, struct strbuf *out)
{
    struct exposition_exemplar exemplar;
    while (exposition_next_exemplar(exposition, arena, &exemplar)) {
        strbuf_add_cstr(out, "exemplar ");
        labels_print(exemplar.labels, out);
        strbuf_printf(out, " %.17g", exemplar.value);
        if (exemplar.has_timestamp)
            strbuf_printf(out, " @%lld", (long long)exemplar.timestamp_ms);
        strbuf_add_char(out, '\n');
    }
}

static void dump_sample(enum exposition_format format, const struct exposition_entry *entry,
                        struct arena *arena, struct strbuf *out)
{
    struct label *items;
    uint32_t count;
    exposition_key_labels(format, entry->key, entry->type, arena, &items, &count);
    if (entry->kind == EXPOSITION_HISTOGRAM) {
        strbuf_add_cstr(out, "histogram ");
    } else {
        strbuf_add_cstr(out, "sample ");
        if (format != EXPOSITION_PROTOBUF) {
            strbuf_add_str(out, entry->key);
            strbuf_add_cstr(out, " | ");
        }
    }
    labels_print((struct labels){items, count}, out);
    strbuf_add_cstr(out, " | ");
    if (entry->kind == EXPOSITION_HISTOGRAM)
        dump_histogram(entry->histogram, out);
    else
        strbuf_printf(out, "%.17g", entry->value);
    if (entry->has_timestamp)
        strbuf_printf(out, " @%lld", (long long)entry->timestamp_ms);
    if (entry->start_ms != 0)
        strbuf_printf(out, " start=%lld", (long long)entry->start_ms);
    strbuf_add_char(out, '\n');
}

static void dump_entry(struct exposition *exposition, enum exposition_format format,
                       const struct exposition_entry *entry, struct arena *arena,
                       struct strbuf *out)
{
    struct strbuf help = STRBUF_INIT;
    switch (entry->kind) {
    case EXPOSITION_SAMPLE:
    case EXPOSITION_HISTOGRAM:
        dump_sample(format, entry, arena, out);
        if (entry->has_exemplar)
            dump_exemplars(exposition, arena, out);
        break;
    case EXPOSITION_TYPE:
        strbuf_printf(out, "type %.*s %s\n", STR_ARG(entry->name), metadata_type_name(entry->type));
        break;
    case EXPOSITION_HELP:
        strbuf_printf(out, "help %.*s ", STR_ARG(entry->name));
        exposition_help(format, entry->text, &help);
        strbuf_add_quoted(out, strbuf_str(&help));
        strbuf_add_char(out, '\n');
        break;
    case EXPOSITION_UNIT:
        strbuf_printf(out, "unit %.*s %.*s\n", STR_ARG(entry->name), STR_ARG(entry->text));
        break;
    case EXPOSITION_START:
        strbuf_printf(out, "start %.*s %.17g\n", STR_ARG(entry->key), entry->value);
        break;
    case EXPOSITION_COMMENT:
        strbuf_printf(out, "comment %.*s\n", STR_ARG(entry->text));
        break;
    case EXPOSITION_END:
        break;
    }
    strbuf_deinit(&help);
}

void exposition_dump(enum exposition_format format, const struct exposition_options *options,
                     struct str body, struct strbuf *out)
{
    struct exposition *exposition = exposition_create();
    struct exposition_entry entry;
    struct strbuf why = STRBUF_INIT;
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    exposition_start(exposition, format, options, body);
    do {
        if (exposition_next(exposition, &entry, &why) != OK) {
            strbuf_add_cstr(out, "error ");
            strbuf_add_str(out, strbuf_str(&why));
            strbuf_add_char(out, '\n');
            break;
        }
        dump_entry(exposition, format, &entry, &arena, out);
    } while (entry.kind != EXPOSITION_END);
    exposition_destroy(exposition);
    strbuf_deinit(&why);
    arena_deinit(&arena);
}
