/* "metric{a="b"} 1 2+3x4 _ {{…}}x5": a series line of a test script, expanded. */
#include "script.h"

#include "narthex/base/number.h"
#include "narthex/model/histogram_math.h"
#include "narthex/query/promql.h"

enum { REPEAT_MAX = 1000000 };

void item_list_add(struct arena *arena, struct item_list *list, struct item item)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        struct item *items = ARENA_NEW_ARRAY(arena, struct item, capacity);
        for (size_t i = 0; i < list->count; i++)
            items[i] = list->items[i];
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = item;
}

/* ---- metric ---- */

/* Index behind the closing brace; strings may hold braces. */
static size_t skip_braces(struct str text, size_t at)
{
    char quote = 0;
    for (; at < text.size; at++) {
        char c = text.data[at];
        if (quote != 0) {
            if (c == '\\' && quote != '`')
                at++;
            else if (c == quote)
                quote = 0;
        } else if (c == '"' || c == '\'' || c == '`') {
            quote = c;
        } else if (c == '}') {
            return at + 1;
        }
    }
    return text.size;
}

err_t series_metric_parse(struct arena *arena, struct str text, struct labels *labels, size_t *size,
                          struct strbuf *why)
{
    size_t end = 0;
    while (end < text.size && strchr(" \t{@", text.data[end]) == NULL)
        end++;
    if (end < text.size && text.data[end] == '{')
        end = skip_braces(text, end);
    struct selector selector;
    TRY(promql_parse_selector(str_from(text.data, end), true, arena, &selector, why));
    struct label_builder builder = {0};
    err_t err = OK;
    for (size_t i = 0; i < selector.count && err == OK; i++) {
        const struct matcher *matcher = &selector.matchers[i];
        if (matcher->kind != MATCH_EQUAL)
            err = err_fail(why, ERR_INVALID, "a series wants label=\"value\"");
        else if (matcher->value.size > 0)
            label_builder_set(&builder, matcher->name, matcher->value);
    }
    if (err == OK)
        *labels = labels_copy(arena, label_builder_labels(&builder));
    label_builder_deinit(&builder);
    promql_selector_deinit(&selector);
    *size = end;
    return err;
}

/* ---- items ---- */

struct item_text {
    struct str text;
    size_t at;
};

static char peek(const struct item_text *item)
{
    return item->at < item->text.size ? item->text.data[item->at] : 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip_digits(struct item_text *item)
{
    while (is_digit(peek(item)))
        item->at++;
}

/* A number with an optional sign; words end before an 'x'. */
static err_t scan_number(struct item_text *item, double *value, struct strbuf *why)
{
    size_t from = item->at;
    if (peek(item) == '+' || peek(item) == '-')
        item->at++;
    if (is_digit(peek(item)) || peek(item) == '.') {
        skip_digits(item);
        if (peek(item) == '.')
            item->at++;
        skip_digits(item);
        if (peek(item) == 'e' || peek(item) == 'E') {
            item->at++;
            if (peek(item) == '+' || peek(item) == '-')
                item->at++;
            skip_digits(item);
        }
    } else {
        item->at += item->text.size - item->at < 3 ? item->text.size - item->at : 3;
    }
    struct str word = {item->text.data + from, item->at - from};
    bool range;
    if (!number_parse(word, value, &range))
        return err_fail(why, ERR_INVALID, "bad value \"%.*s\"", STR_ARG(item->text));
    return OK;
}

/* "xN", or nothing: then *times is 0. */
static err_t scan_times(struct item_text *item, uint64_t *times, struct strbuf *why)
{
    *times = 0;
    if (item->at == item->text.size)
        return OK;
    struct str digits = {item->text.data + item->at + 1, item->text.size - item->at - 1};
    if (peek(item) != 'x' || !str_to_uint64(digits, times) || *times > REPEAT_MAX)
        return err_fail(why, ERR_INVALID, "bad repetition in \"%.*s\"", STR_ARG(item->text));
    return OK;
}

static err_t float_item(struct arena *arena, struct str word, struct item_list *list,
                        struct strbuf *why)
{
    struct item_text text = {word, 0};
    double value;
    double increment = 0;
    uint64_t times;
    TRY(scan_number(&text, &value, why));
    bool stepping = peek(&text) == '+' || peek(&text) == '-';
    if (stepping)
        TRY(scan_number(&text, &increment, why));
    TRY(scan_times(&text, &times, why));
    for (uint64_t i = 0; i <= times; i++) {
        item_list_add(arena, list, (struct item){.kind = ITEM_FLOAT, .value = value});
        if (stepping)
            value += increment;
    }
    return OK;
}

/* "{{…}}" at text[*at]; moves behind it. */
static err_t braced(struct arena *arena, struct item_text *item, struct histogram **histogram,
                    bool *has_hint, struct strbuf *why)
{
    struct str text = item->text;
    if (text.size - item->at < 4 || memcmp(text.data + item->at, "{{", 2) != 0)
        return err_fail(why, ERR_INVALID, "histogram wants {{…}} in \"%.*s\"", STR_ARG(text));
    size_t from = item->at + 2;
    size_t to = from;
    while (to + 1 < text.size && (text.data[to] != '}' || text.data[to + 1] != '}'))
        to++;
    if (to + 1 >= text.size)
        return err_fail(why, ERR_INVALID, "histogram is not closed in \"%.*s\"", STR_ARG(text));
    item->at = to + 2;
    return histogram_text_parse(arena, str_from(text.data + from, to - from), histogram, has_hint,
                                why);
}

static err_t histogram_item(struct arena *arena, struct str word, struct item_list *list,
                            struct strbuf *why)
{
    struct item_text text = {word, 0};
    struct item item = {.kind = ITEM_HISTOGRAM};
    struct histogram *current;
    struct histogram *increment = NULL;
    TRY(braced(arena, &text, &current, &item.has_hint, why));
    char sign = peek(&text);
    if (sign == '+' || sign == '-') {
        text.at++;
        TRY(braced(arena, &text, &increment, &item.has_hint, why));
        if (current->schema > increment->schema)
            return err_fail(why, ERR_INVALID, "cannot merge from schema %d to %d",
                            increment->schema, current->schema);
    }
    uint64_t times;
    TRY(scan_times(&text, &times, why));
    for (uint64_t i = 0; i <= times; i++) {
        item.histogram = current;
        item_list_add(arena, list, item);
        if (increment == NULL || i == times)
            continue;
        struct histogram_outcome outcome = {0};
        current = sign == '+' ? histogram_add(arena, current, increment, &outcome)
                              : histogram_subtract(arena, current, increment, &outcome);
        if (outcome.incompatible)
            return err_fail(why, ERR_INVALID, "histograms cannot be combined");
    }
    return OK;
}

static err_t one_item(struct arena *arena, struct str word, struct item_list *list,
                      struct strbuf *why)
{
    if (word.data[0] == '{')
        return histogram_item(arena, word, list, why);
    if (word.data[0] == '_') {
        struct item_text text = {word, 1};
        uint64_t times;
        TRY(scan_times(&text, &times, why));
        for (uint64_t i = 0; i < (word.size == 1 ? 1 : times); i++)
            item_list_add(arena, list, (struct item){.kind = ITEM_OMITTED});
        return OK;
    }
    if (str_equal_cstr(word, "stale")) {
        item_list_add(arena, list,
                      (struct item){.kind = ITEM_FLOAT, .value = double_from_bits(STALE_NAN_BITS)});
        return OK;
    }
    return float_item(arena, word, list, why);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The next word; blanks within {{ }} belong to it. */
static bool next_word(struct str text, size_t *at, struct str *word)
{
    while (*at < text.size && is_blank(text.data[*at]))
        (*at)++;
    size_t from = *at;
    int depth = 0;
    while (*at < text.size && (depth > 0 || !is_blank(text.data[*at]))) {
        if (text.data[*at] == '{')
            depth++;
        else if (text.data[*at] == '}')
            depth--;
        (*at)++;
    }
    *word = str_from(text.data + from, *at - from);
    return word->size > 0;
}

err_t series_line_parse(struct arena *arena, struct str text, struct series_line *line,
                        struct strbuf *why)
{
    size_t at = 0;
    TRY(series_metric_parse(arena, text, &line->labels, &at, why));
    line->values = (struct item_list){NULL, 0, 0};
    struct str word;
    while (next_word(text, &at, &word))
        TRY(one_item(arena, word, &line->values, why));
    return OK;
}

/* ---- start timestamps ---- */

static err_t signed_duration(struct item_text *item, double *ms, struct strbuf *why)
{
    bool negate = peek(item) == '-';
    if (negate || peek(item) == '+')
        item->at++;
    size_t from = item->at;
    while (peek(item) != 0 && strchr("+-x", peek(item)) == NULL)
        item->at++;
    int64_t value;
    TRY(promql_parse_duration(str_from(item->text.data + from, item->at - from), &value, why));
    *ms = (double)(negate ? -value : value);
    return OK;
}

static err_t offset_item(struct arena *arena, struct str word, struct item_list *list,
                         struct strbuf *why)
{
    struct item_text text = {word, 0};
    double ms;
    double increment = 0;
    uint64_t times;
    TRY(signed_duration(&text, &ms, why));
    if (peek(&text) == '+' || peek(&text) == '-')
        TRY(signed_duration(&text, &increment, why));
    TRY(scan_times(&text, &times, why));
    for (uint64_t i = 0; i <= times; i++) {
        item_list_add(arena, list, (struct item){.kind = ITEM_FLOAT, .value = ms});
        ms += increment;
    }
    return OK;
}

err_t series_offsets_parse(struct arena *arena, struct str text, struct item_list *list,
                           struct strbuf *why)
{
    size_t at = 0;
    struct str word;
    while (next_word(text, &at, &word)) {
        if (word.data[0] == '_')
            TRY(one_item(arena, word, list, why));
        else
            TRY(offset_item(arena, word, list, why));
    }
    return OK;
}
