#include "annotations.h"

#include <math.h>
#include <stdlib.h>

#include "narthex/base/hash.h"
#include "narthex/base/number.h"
#include "narthex/base/strbuf.h"
#include "narthex/base/vec.h"
#include "narthex/query/ast.h"

void annotations__init(struct annotations *annotations)
{
    *annotations = (struct annotations){.items = NULL};
    mutex_init(&annotations->lock);
    arena_init(&annotations->arena, MEM_QUERY, SIZE_MAX);
    htable_init(&annotations->index, MEM_QUERY);
}

void annotations__deinit(struct annotations *annotations)
{
    htable_deinit(&annotations->index);
    mem_free(MEM_QUERY, annotations->items);
    arena_deinit(&annotations->arena);
    mutex_deinit(&annotations->lock);
}

struct annotation_key {
    bool warning;
    struct str text;
};

static bool item_equal(const void *owner, uint32_t item, const void *key)
{
    const struct annotations *annotations = owner;
    const struct annotation_key *wanted = key;
    const struct annotation *found = &annotations->items[item];
    return found->warning == wanted->warning && str_equal(found->text, wanted->text);
}

static void merge(struct annotation *into, const struct annotation *from)
{
    /* The smaller position wins, so that the order of arrival does not matter. */
    if (from->offset < into->offset)
        into->offset = from->offset;
    into->occurrences += from->occurrences;
    if (from->samples == 0)
        return;
    into->samples += from->samples;
    into->t_min_ms = from->t_min_ms < into->t_min_ms ? from->t_min_ms : into->t_min_ms;
    into->t_max_ms = from->t_max_ms > into->t_max_ms ? from->t_max_ms : into->t_max_ms;
    into->bucket_min = fmin(from->bucket_min, into->bucket_min);
    into->bucket_max = fmax(from->bucket_max, into->bucket_max);
    into->difference_max = fmax(from->difference_max, into->difference_max);
}

void annotations__add(struct annotations *annotations, const struct annotation *annotation)
{
    struct annotation_key key = {annotation->warning, annotation->text};
    uint64_t hash = hash_mix(hash_str(annotation->text), annotation->warning);
    mutex_lock(&annotations->lock);
    annotations->added++;
    annotations->merged += annotation->counted || annotation->samples > 0;
    uint32_t at = htable_find(&annotations->index, hash, item_equal, annotations, &key);
    if (at != HTABLE_NONE) {
        merge(&annotations->items[at], annotation);
    } else {
        struct annotation copy = *annotation;
        copy.text = arena_str(&annotations->arena, annotation->text);
        htable_insert(&annotations->index, hash, annotations->count);
        VEC_PUSH(MEM_QUERY, annotations->items, annotations->count, annotations->capacity, copy);
    }
    mutex_unlock(&annotations->lock);
}

struct annotation_counts annotations__counts(struct annotations *annotations)
{
    mutex_lock(&annotations->lock);
    struct annotation_counts counts = {annotations->added, annotations->merged};
    mutex_unlock(&annotations->lock);
    return counts;
}

static void add_text(struct annotations *annotations, bool warning, uint32_t offset,
                     struct str text)
{
    struct annotation annotation = {.warning = warning, .text = text, .offset = offset};
    annotations__add(annotations, &annotation);
}

void annotations__warn(struct annotations *annotations, uint32_t offset, const char *text)
{
    add_text(annotations, true, offset, str_from_cstr(text));
}

void annotations__info(struct annotations *annotations, uint32_t offset, const char *text)
{
    add_text(annotations, false, offset, str_from_cstr(text));
}

static void add_name(struct annotations *annotations, bool warning, uint32_t offset,
                     const char *text, const char *joint, struct str name)
{
    struct strbuf full = STRBUF_INIT;
    strbuf_add_cstr(&full, text);
    strbuf_add_cstr(&full, joint);
    strbuf_add_quoted(&full, name);
    add_text(annotations, warning, offset, strbuf_str(&full));
    strbuf_deinit(&full);
}

void annotations__warn_name(struct annotations *annotations, uint32_t offset, const char *text,
                            struct str name)
{
    add_name(annotations, true, offset, text, "", name);
}

void annotations__info_name(struct annotations *annotations, uint32_t offset, const char *text,
                            struct str name)
{
    add_name(annotations, false, offset, text, "", name);
}

void annotations__warn_for(struct annotations *annotations, uint32_t offset, const char *text,
                           struct str name)
{
    if (name.size == 0)
        annotations__warn(annotations, offset, text);
    else
        add_name(annotations, true, offset, text, " for metric name ", name);
}

void annotations__info_for(struct annotations *annotations, uint32_t offset, const char *text,
                           struct str name)
{
    if (name.size == 0)
        annotations__info(annotations, offset, text);
    else
        add_name(annotations, false, offset, text, " for metric name ", name);
}

static void add_general(struct strbuf *out, double v)
{
    char text[NUMBER_TEXT_MAX];
    strbuf_add(out, text, number_format_general(v, 6, text));
}

void annotations__invalid_quantile(struct annotations *annotations, uint32_t offset, double q)
{
    struct strbuf text = STRBUF_INIT;
    strbuf_add_cstr(&text, "quantile value should be between 0 and 1, got ");
    add_general(&text, q);
    add_text(annotations, true, offset, strbuf_str(&text));
    strbuf_deinit(&text);
}

static int compare_shown(const void *a, const void *b)
{
    const struct annotation *left = *(const struct annotation *const *)a;
    const struct annotation *right = *(const struct annotation *const *)b;
    if (left->offset != right->offset)
        return left->offset < right->offset ? -1 : 1;
    return str_compare(left->text, right->text);
}

/* RFC 3339 in UTC, whole seconds. */
static void add_time(struct strbuf *out, int64_t t_ms)
{
    int64_t seconds = t_ms / 1000 - (t_ms % 1000 < 0);
    int64_t days = seconds / 86400 - (seconds % 86400 < 0);
    int64_t rest = seconds - days * 86400;
    /* Civil date from days since 1970 (Howard Hinnant, "chrono-compatible low-level date
     * algorithms"). */
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int64_t day = doy - (153 * mp + 2) / 5 + 1;
    int64_t month = mp < 10 ? mp + 3 : mp - 9;
    int64_t year = yoe + era * 400 + (month <= 2);
    strbuf_printf(out, "%04lld-%02lld-%02lldT%02lld:%02lld:%02lldZ", (long long)year,
                  (long long)month, (long long)day, (long long)(rest / 3600),
                  (long long)(rest / 60 % 60), (long long)(rest % 60));
}

static struct str render(const struct annotation *annotation, struct str query_text,
                         struct arena *arena)
{
    struct strbuf out = STRBUF_INIT;
    strbuf_add_cstr(&out, annotation->warning ? "PromQL warning: " : "PromQL info: ");
    strbuf_add_str(&out, annotation->text);
    if (annotation->samples > 0) {
        strbuf_add_cstr(&out, ", from buckets ");
        add_general(&out, annotation->bucket_min);
        strbuf_add_cstr(&out, " to ");
        add_general(&out, annotation->bucket_max);
        strbuf_printf(&out, ", with a max diff of %.2g, over %llu samples from ",
                      annotation->difference_max, (unsigned long long)annotation->samples);
        add_time(&out, annotation->t_min_ms);
        strbuf_add_cstr(&out, " to ");
        add_time(&out, annotation->t_max_ms);
    }
    if (annotation->counted && annotation->occurrences > 1)
        strbuf_printf(&out, " (%llu occurrences)", (unsigned long long)annotation->occurrences);
    struct text_position at = text_position_at(query_text, annotation->offset);
    strbuf_printf(&out, " (%u:%u)", at.line, at.column);
    struct str text = arena_str(arena, strbuf_str(&out));
    strbuf_deinit(&out);
    return text;
}

struct str_array annotations__render(struct annotations *annotations, bool warnings,
                                     struct str query_text, struct arena *arena)
{
    const struct annotation **shown =
        arena_alloc(arena, (size_t)annotations->count * sizeof *shown + 1);
    size_t count = 0;
    for (uint32_t i = 0; i < annotations->count; i++) {
        if (annotations->items[i].warning == warnings)
            shown[count++] = &annotations->items[i];
    }
    if (count > 0)
        qsort(shown, count, sizeof *shown, compare_shown);
    size_t kept = count > ANNOTATIONS_SHOWN_MAX ? ANNOTATIONS_SHOWN_MAX : count;
    struct str *items = arena_alloc(arena, (kept + 1) * sizeof *items);
    for (size_t i = 0; i < kept; i++)
        items[i] = render(shown[i], query_text, arena);
    if (count > kept) {
        items[kept] = arena_printf(arena, "%zu more %s annotations omitted", count - kept,
                                   warnings ? "warning" : "info");
        kept++;
    }
    return (struct str_array){items, kept};
}
