/* Quick reader: lines of the ordinary shape,
 *
 *     name{label="value",label="value"} value [timestamp]\n
 *     # HELP name text\n
 *     # TYPE name type\n
 *
 * with names of plain identifiers, in the braces blanks behind commas at most, and nothing after
 * the timestamp. It declines everything else, and the exact reader then tells what it is. Both text
 * formats agree on these lines except for blanks and timestamps.
 */
#include <assert.h>
#include <math.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "exposition_parser.h"
#include "narthex/base/number.h"

enum { CLASS_METRIC = 1, CLASS_LABEL = 2, CLASS_DIGIT = 4 };

#define METRIC_OR_LABEL (CLASS_METRIC | CLASS_LABEL)

static const uint8_t byte_classes[256] = {
    ['0' ... '9'] = CLASS_DIGIT, ['A' ... 'Z'] = METRIC_OR_LABEL,
    ['_'] = METRIC_OR_LABEL,     ['a' ... 'z'] = METRIC_OR_LABEL,
    [':'] = CLASS_METRIC,
};

static bool has_class(const char *at, unsigned classes)
{
    return (byte_classes[(unsigned char)*at] & classes) != 0;
}

/* First byte of at[0..) that is a quote, a backslash, a newline or not ASCII; `end` if none. */
static const char *find_special(const char *at, const char *end)
{
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i newline = _mm_set1_epi8('\n');
    for (; end - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i special = _mm_or_si128(
            _mm_cmpeq_epi8(bytes, quote),
            _mm_or_si128(_mm_cmpeq_epi8(bytes, backslash), _mm_cmpeq_epi8(bytes, newline)));
        unsigned mask = (unsigned)_mm_movemask_epi8(_mm_or_si128(special, bytes));
        if (mask != 0)
            return at + __builtin_ctz(mask);
    }
#endif
    while (at < end && *at != '"' && *at != '\\' && *at != '\n' && (unsigned char)*at < 0x80)
        at++;
    return at;
}

/* Behind the closing quote of the value that begins at `at`; NULL to decline. */
static const char *skip_value(const char *at, const char *end)
{
    const char *begin = at;
    bool ascii = true;
    for (;;) {
        at = find_special(at, end);
        if (at == end || *at == '\n' || *at == '\0')
            return NULL;
        if (*at == '"')
            break;
        if (*at == '\\') {
            if (end - at < 2 || (unsigned char)at[1] >= 0x80 || at[1] == '\n' || at[1] == '\0')
                return NULL;
            at += 2;
        } else {
            ascii = false;
            at++;
        }
    }
    if (!ascii && !str_is_utf8(str_from(begin, (size_t)(at - begin))))
        return NULL;
    return at + 1;
}

/* Behind the closing brace of labels whose opening brace is at `at`; NULL to decline. */
static const char *skip_braces(const char *at, const char *end, bool blanks)
{
    at++;
    while (at < end && *at != '}') {
        if (!has_class(at, CLASS_LABEL))
            return NULL;
        while (at < end && has_class(at, CLASS_LABEL | CLASS_DIGIT))
            at++;
        if (end - at < 2 || at[0] != '=' || at[1] != '"')
            return NULL;
        at = skip_value(at + 2, end);
        if (at == NULL || at == end || (*at != ',' && *at != '}'))
            return NULL;
        if (*at == ',')
            at++;
        while (blanks && at < end && *at == ' ')
            at++;
    }
    return at < end ? at + 1 : NULL;
}

size_t exposition__quick_key(const struct exposition *exposition)
{
    const struct lexer *lexer = &exposition->lexer;
    /* Behind an imagined final newline the position is past the end. */
    if (lexer->state != LEX_INIT || lexer->at >= lexer->size)
        return 0;
    const char *begin = lexer->data + lexer->at;
    const char *end = lexer->data + lexer->size;
    const char *at = begin;
    if (!has_class(at, CLASS_METRIC))
        return 0;
    while (at < end && has_class(at, CLASS_METRIC | CLASS_DIGIT))
        at++;
    if (at < end && *at == '{')
        at = skip_braces(at, end, exposition->format == EXPOSITION_TEXT);
    return at == NULL || at == end ? 0 : (size_t)(at - begin);
}

bool exposition__quick_metadata(struct exposition *exposition, struct exposition_entry *entry)
{
    struct lexer *lexer = &exposition->lexer;
    enum { WORD_BYTES = 7 }; /* "# HELP " */
    if (lexer->state != LEX_INIT || lexer->at >= lexer->size ||
        lexer->size - lexer->at <= WORD_BYTES)
        return false;
    const char *word = lexer->data + lexer->at;
    const char *end = lexer->data + lexer->size;
    bool help = memcmp(word, "# HELP ", WORD_BYTES) == 0;
    if (!help && memcmp(word, "# TYPE ", WORD_BYTES) != 0)
        return false;
    const char *name = word + WORD_BYTES;
    const char *at = name;
    if (!has_class(at, CLASS_METRIC))
        return false;
    while (at < end && has_class(at, CLASS_METRIC | CLASS_DIGIT))
        at++;
    if (end - at < 2 || at[0] != ' ' || at[1] == ' ' || at[1] == '\t' || at[1] == '\n')
        return false;
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    if (newline == NULL || (newline + 1 < end && newline[1] == '\0')) /* NULs there are special */
        return false;
    struct str text = str_from(at + 1, (size_t)(newline - at) - 1);
    bool openmetrics = exposition->format == EXPOSITION_OPENMETRICS;
    if (help ? !str_is_utf8(text) : !exposition__type_parse(text, openmetrics, &exposition->type))
        return false;
    *entry = (struct exposition_entry){
        .kind = help ? EXPOSITION_HELP : EXPOSITION_TYPE,
        .name = str_from(name, (size_t)(at - name)),
        .text = text,
        .type = exposition->type,
    };
    exposition->exemplar.labels.size = 0;
    exposition->entry_start = lexer->at;
    lexer->at = (size_t)(newline + 1 - lexer->data);
    return true;
}

/* Digits up to the newline as milliseconds; NULL to decline. */
static const char *read_timestamp(const char *at, const char *end, int64_t *t_ms)
{
    enum { DIGITS_MAX = 18 };
    const char *begin = at;
    int64_t value = 0;
    while (at < end && has_class(at, CLASS_DIGIT) && at - begin < DIGITS_MAX)
        value = value * 10 + (*at++ - '0');
    if (at == begin || at == end || *at != '\n')
        return NULL;
    *t_ms = value;
    return at;
}

static bool ends_value(const char *at, const char *end)
{
    return at < end && (*at == '\n' || *at == ' ');
}

static bool is_same(const char *at, size_t left, struct str same_text)
{
    return same_text.size > 0 && same_text.size < left && at[0] == same_text.data[0] &&
           memcmp(at, same_text.data, same_text.size) == 0;
}

static const char *convert_value(const char *at, size_t left, double *value)
{
    double v;
    size_t used = number_scan(at, left, &v);
    if (used == 0)
        return NULL;
    *value = isnan(v) ? double_from_bits(NORMAL_NAN_BITS) : v;
    return at + used;
}

/* The value at `at`; the end of its text, or NULL to decline. */
static const char *read_value(const char *at, const char *end, struct str same_text, double *value)
{
    size_t left = (size_t)(end - at);
    if (is_same(at, left, same_text) && ends_value(at + same_text.size, end))
        return at + same_text.size;
    const char *behind = convert_value(at, left, value);
    return behind != NULL && ends_value(behind, end) ? behind : NULL;
}

/* The same of a whole short line: text and newline. */
static bool is_same_line(const char *at, size_t left, struct str same_text)
{
#if defined(__SSE2__)
    if (left >= EXPOSITION_SAME_BYTES) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i text = _mm_loadu_si128((const __m128i *)(const void *)same_text.data);
        unsigned different = ~(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, text));
        return same_text.size > 0 && (different & ((1u << same_text.size) - 1)) == 0 &&
               at[same_text.size] == '\n';
    }
#endif
    return is_same(at, left, same_text) && at[same_text.size] == '\n';
}

const char *exposition_plain_value(const char *at, const char *end, struct str same_text,
                                   double *value, size_t *text_size, bool *same)
{
    assert(same_text.size < EXPOSITION_SAME_BYTES);
    if (at >= end || *at != ' ')
        return NULL;
    size_t left = (size_t)(end - ++at);
    *same = is_same_line(at, left, same_text);
    if (*same)
        return at + same_text.size + 1;
    double v;
    const char *behind = convert_value(at, left, &v);
    if (behind == NULL || behind == end || *behind != '\n')
        return NULL;
    *value = v;
    *text_size = (size_t)(behind - at);
    return behind + 1;
}

bool exposition__quick_value(struct exposition *exposition, size_t key_size, struct str same_text,
                             struct exposition_entry *entry)
{
    struct lexer *lexer = &exposition->lexer;
    bool openmetrics = exposition->format == EXPOSITION_OPENMETRICS;
    const char *key = lexer->data + lexer->at;
    const char *end = lexer->data + lexer->size;
    const char *at = key + key_size;
    if (at >= end || *at != ' ')
        return false;
    at++;
    while (!openmetrics && at < end && *at == ' ')
        at++;
    const char *text = at;
    at = read_value(at, end, same_text, &entry->value);
    if (at == NULL)
        return false;
    size_t text_size = (size_t)(at - text);
    bool has_timestamp = *at == ' ';
    int64_t t_ms = 0;
    if (has_timestamp && (openmetrics || (at = read_timestamp(at + 1, end, &t_ms)) == NULL))
        return false;

    entry->kind = EXPOSITION_SAMPLE;
    entry->key = str_from(key, key_size);
    entry->value_text = str_from(text, text_size);
    entry->histogram = NULL;
    entry->has_timestamp = has_timestamp;
    entry->timestamp_ms = t_ms;
    entry->start_ms = 0;
    entry->beside_native = false;
    entry->has_exemplar = false;
    entry->name = (struct str){NULL, 0};
    entry->text = (struct str){NULL, 0};
    entry->type = exposition->type;
    exposition->exemplar.labels.size = 0;
    exposition->entry_start = lexer->at;
    lexer->at = (size_t)(at + 1 - lexer->data);
    return true;
}
