/* From raw series text to labels. */
#include <assert.h>
#include <stdlib.h>

#include "exposition_parser.h"
#include "narthex/base/mem.h"
#include "narthex/base/number.h"

/* Text without its backslash escapes; a view of text itself when it has none. */
static struct str unescape(struct str text, struct arena *arena)
{
    if (str_find(text, '\\', 0) == SIZE_MAX)
        return text;
    char *out = arena_alloc(arena, text.size);
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        char following = i + 1 < text.size ? text.data[i + 1] : '\0';
        if (c == '\\' && (following == '\\' || following == '"' || following == 'n')) {
            c = following == 'n' ? '\n' : following;
            i++;
        }
        out[size++] = c;
    }
    return str_from(out, size);
}

/* le of histograms and quantile of summaries in the one form of OpenMetrics. */
static struct str normalise(struct label label, enum metadata_type type, struct arena *arena)
{
    bool applies = (type == METADATA_HISTOGRAM && str_equal(label.name, STR("le"))) ||
                   (type == METADATA_SUMMARY && str_equal(label.name, STR("quantile")));
    double v;
    bool range;
    char text[NUMBER_TEXT_MAX];
    if (!applies || !number_parse(label.value, &v, &range))
        return label.value;
    struct str formatted = str_from(text, number_format_openmetrics(v, text));
    return str_equal(formatted, label.value) ? label.value : arena_str(arena, formatted);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The quoted text at key[at], whose inside is returned; *at moves behind it. NULs between a
 * backslash and what it escapes do not count, see lexer__next. */
static struct str take_quoted(struct str key, size_t *at)
{
    size_t from = ++*at;
    while (key.data[*at] != '"') {
        if (key.data[(*at)++] != '\\')
            continue;
        while (key.data[*at] == '\0')
            (*at)++;
        (*at)++;
    }
    return str_from(key.data + from, (*at)++ - from);
}

/* As take_quoted for a label value. NULs behind the closing quote are taken for a part of it, and
 * then the last byte of the whole, not the quote, is cut off: that is how the format's own reader
 * sees it. */
static struct str take_value(struct str key, size_t *at)
{
    struct str value = take_quoted(key, at);
    while (*at < key.size && key.data[*at] == '\0') {
        value.size++;
        (*at)++;
    }
    return value;
}

static struct str take_plain(struct str key, size_t *at)
{
    size_t from = *at;
    while (*at < key.size && key.data[*at] != '=' && !is_blank(key.data[*at]))
        (*at)++;
    assert(*at > from);
    return str_from(key.data + from, *at - from);
}

static void skip_blanks(struct str key, size_t *at)
{
    while (*at < key.size && is_blank(key.data[*at]))
        (*at)++;
}

/* Most pairs that the text can hold: every pair has an '='. Values may have more of them, which
 * wastes a little room. */
static uint32_t count_pairs_max(struct str text)
{
    uint32_t count = 0;
    for (size_t at = str_find(text, '=', 0); at != SIZE_MAX; at = str_find(text, '=', at + 1))
        count++;
    return count;
}

/* Reads pairs up to the closing brace as they are written, from behind the opening one. A quoted
 * text without a value, which is the metric name, goes to *name. */
static uint32_t take_pairs(struct str text, size_t at, struct label *pairs, struct str *name)
{
    uint32_t count = 0;
    for (;;) {
        skip_blanks(text, &at);
        assert(at < text.size);
        if (text.data[at] == ',') {
            at++;
            continue;
        }
        if (text.data[at] == '}')
            return count;
        struct str item = text.data[at] == '"' ? take_quoted(text, &at) : take_plain(text, &at);
        skip_blanks(text, &at);
        if (text.data[at] != '=') {
            *name = item;
            continue;
        }
        at++;
        while (is_blank(text.data[at]) || text.data[at] == '\0') /* NULs behind blanks pass too */
            at++;
        pairs[count++] = (struct label){item, take_value(text, &at)};
    }
}

void exposition__text_key_labels(struct str key, enum metadata_type type, struct arena *arena,
                                 struct label **items, uint32_t *count)
{
    struct label *labels = ARENA_NEW_ARRAY(arena, struct label, 1 + count_pairs_max(key));
    *items = labels;
    *count = 1;
    labels[0].name = LABEL_NAME;
    /* Blanks before a name are part of it; before a brace they are not. */
    size_t at = 0;
    skip_blanks(key, &at);
    if (key.data[at] != '{') {
        while (at < key.size && key.data[at] != '{' && !is_blank(key.data[at]))
            at++;
        labels[0].value = str_from(key.data, at);
        skip_blanks(key, &at);
    }
    if (at < key.size)
        *count += take_pairs(key, at + 1, labels + 1, &labels[0].value);
    labels[0].value = unescape(labels[0].value, arena);
    for (uint32_t i = 1; i < *count; i++) {
        labels[i].name = unescape(labels[i].name, arena);
        labels[i].value = unescape(labels[i].value, arena);
        labels[i].value = normalise(labels[i], type, arena);
    }
}

static int compare_names(const void *a, const void *b)
{
    return str_compare(((const struct label *)a)->name, ((const struct label *)b)->name);
}

struct labels exposition__exemplar_labels(struct str text, struct arena *arena)
{
    struct str name;
    struct label *items = ARENA_NEW_ARRAY(arena, struct label, count_pairs_max(text));
    uint32_t count = take_pairs(text, 0, items, &name);
    qsort(items, count, sizeof *items, compare_names);
    return (struct labels){items, count};
}

static int compare_pointers(const void *a, const void *b)
{
    const struct label *left = *(const struct label *const *)a;
    const struct label *right = *(const struct label *const *)b;
    int order = str_compare(left->name, right->name);
    return order != 0 ? order : left < right ? -1 : left > right;
}

/* Sorting keeps a line with very many labels from costing their square. */
static const struct label *find_duplicate_sorted(const struct label *items, uint32_t count)
{
    const struct label *found = NULL;
    const struct label **sorted = MEM_NEW_ARRAY(MEM_MODEL, const struct label *, count);
    for (uint32_t i = 0; i < count; i++)
        sorted[i] = &items[i];
    qsort(sorted, count, sizeof *sorted, compare_pointers);
    for (uint32_t i = 1; i < count; i++) {
        bool repeated = str_equal(sorted[i - 1]->name, sorted[i]->name);
        if (repeated && (found == NULL || sorted[i] < found))
            found = sorted[i];
    }
    mem_free(MEM_MODEL, sorted);
    return found;
}

const struct label *exposition_find_duplicate(const struct label *items, uint32_t count)
{
    enum { PAIRWISE_MAX = 40 };
    if (count > PAIRWISE_MAX)
        return find_duplicate_sorted(items, count);
    for (uint32_t i = 1; i < count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (str_equal(items[i].name, items[k].name))
                return &items[i];
        }
    }
    return NULL;
}
