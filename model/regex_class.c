/* Sets of runes: bracket expressions, Perl and POSIX classes, escapes. Case folding is applied to
 * the ranges here, so that a class means the same whatever the engine's own folding does. */
#include <stdlib.h>

#include "narthex/base/mem.h"
#include "narthex/base/number.h"
#include "narthex/base/vec.h"
#include "regex_ast.h"
#include "unicode_case.h"

static err_t class_fail(struct strbuf *why, struct str text)
{
    return regex__fail(why, "invalid character class range", text);
}

err_t regex__rune_parse(struct str text, size_t *used, uint32_t *rune, struct strbuf *why)
{
    *used = str_decode_rune(text, rune);
    if (*used == 0)
        return regex__fail(why, "invalid UTF-8", text);
    return OK;
}

err_t regex__utf8_check(struct str text, struct strbuf *why)
{
    while (text.size > 0) {
        size_t used;
        uint32_t rune;
        TRY(regex__rune_parse(text, &used, &rune, why));
        text = str_from(text.data + used, text.size - used);
    }
    return OK;
}

void regex__class_deinit(struct regex_class_builder *builder)
{
    mem_free(MEM_MODEL, builder->ranges);
    mem_free(MEM_MODEL, builder->properties);
}

static void add_range(struct regex_class_builder *builder, uint32_t low, uint32_t high)
{
    struct regex_range range = {low, high};
    VEC_PUSH(MEM_MODEL, builder->ranges, builder->count, builder->capacity, range);
}

void regex__class_add(struct regex_class_builder *builder, uint32_t low, uint32_t high, bool fold)
{
    add_range(builder, low, high);
    if (!fold)
        return;
    for (uint32_t rune = low; rune <= high; rune = rune_fold_next(rune)) {
        uint32_t orbit[3];
        uint32_t count = rune_fold_others(rune, orbit);
        for (uint32_t i = 0; i < count; i++)
            add_range(builder, orbit[i], orbit[i]);
    }
}

static void add_property(struct regex_class_builder *builder, const char *name, bool negated)
{
    struct regex_property property = {name, negated};
    VEC_PUSH(MEM_MODEL, builder->properties, builder->property_count, builder->property_capacity,
             property);
}

static int compare_ranges(const void *a, const void *b)
{
    const struct regex_range *left = a;
    const struct regex_range *right = b;
    return left->low < right->low ? -1 : left->low > right->low;
}

/* Sorts and merges overlapping or touching ranges. */
static void normalise(struct regex_class_builder *builder)
{
    if (builder->count < 2)
        return;
    qsort(builder->ranges, builder->count, sizeof *builder->ranges, compare_ranges);
    uint32_t kept = 0;
    for (uint32_t i = 1; i < builder->count; i++) {
        struct regex_range *last = &builder->ranges[kept];
        struct regex_range range = builder->ranges[i];
        if (range.low > last->high + 1)
            builder->ranges[++kept] = range;
        else if (range.high > last->high)
            last->high = range.high;
    }
    builder->count = kept + 1;
}

/* Adds the complement of `of` (ranges only). */
static void add_complement(struct regex_class_builder *builder, struct regex_class_builder *of)
{
    normalise(of);
    uint32_t low = 0;
    for (uint32_t i = 0; i < of->count; i++) {
        if (of->ranges[i].low > low)
            add_range(builder, low, of->ranges[i].low - 1);
        low = of->ranges[i].high + 1;
    }
    if (low <= RUNE_MAX)
        add_range(builder, low, RUNE_MAX);
}

/* Takes surrogates off the ends of ranges: no valid text has them, and pcre2 refuses them. */
static void clip_surrogates(struct regex_class_builder *builder)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < builder->count; i++) {
        struct regex_range range = builder->ranges[i];
        if (rune_is_surrogate(range.low))
            range.low = SURROGATE_LAST + 1;
        if (rune_is_surrogate(range.high))
            range.high = SURROGATE_FIRST - 1;
        if (range.low <= range.high)
            builder->ranges[kept++] = range;
    }
    builder->count = kept;
}

const struct regex_class *regex__class_finish(struct regex_class_builder *builder, bool negated,
                                              struct arena *arena)
{
    normalise(builder);
    clip_surrogates(builder);
    struct regex_class *class = ARENA_NEW(arena, struct regex_class);
    class->negated = negated;
    class->range_count = builder->count;
    class->property_count = builder->property_count;
    if (builder->count > 0) {
        class->ranges = ARENA_NEW_ARRAY(arena, struct regex_range, builder->count);
        memcpy(class->ranges, builder->ranges, builder->count * sizeof *class->ranges);
    }
    if (builder->property_count > 0) {
        class->properties = ARENA_NEW_ARRAY(arena, struct regex_property, builder->property_count);
        memcpy(class->properties, builder->properties,
               builder->property_count * sizeof *class->properties);
    }
    return class;
}

bool regex__class_is_all(const struct regex_class *class)
{
    return !class->negated && class->range_count == 1 && class->ranges[0].low == 0 &&
           class->ranges[0].high == RUNE_MAX;
}

/* --- named sets --- */

/* Pairs "low high" of ASCII characters. */
static void add_pairs(struct regex_class_builder *builder, struct str pairs, bool negated,
                      bool fold)
{
    struct regex_class_builder set = {0};
    for (size_t i = 0; i + 1 < pairs.size; i += 2)
        regex__class_add(&set, (unsigned char)pairs.data[i], (unsigned char)pairs.data[i + 1],
                         fold);
    if (negated) {
        add_complement(builder, &set);
    } else {
        for (uint32_t i = 0; i < set.count; i++)
            add_range(builder, set.ranges[i].low, set.ranges[i].high);
    }
    regex__class_deinit(&set);
}

bool regex__class_add_perl(struct regex_class_builder *builder, char letter, bool fold)
{
    switch (letter) {
    case 'd':
    case 'D':
        add_pairs(builder, STR("09"), letter == 'D', fold);
        return true;
    case 's':
    case 'S': /* no vertical tab, unlike pcre2 */
        add_pairs(builder, STR("\t\n\f\r  "), letter == 'S', fold);
        return true;
    case 'w':
    case 'W':
        add_pairs(builder, STR("09AZ__az"), letter == 'W', fold);
        return true;
    default:
        return false;
    }
}

/* Reads "[:name:]" or "[:^name:]" at text; *used is 0 when it is not of that form. */
static err_t add_posix(struct regex_class_builder *builder, struct str text, bool fold,
                       size_t *used, struct strbuf *why)
{
    static const struct {
        struct str name;
        struct str pairs;
    } sets[] = {
        {STR_INIT("alnum"), STR_INIT("09AZaz")},
        {STR_INIT("alpha"), STR_INIT("AZaz")},
        {STR_INIT("ascii"), STR_INIT("\0\x7f")},
        {STR_INIT("blank"), STR_INIT("\t\t  ")},
        {STR_INIT("cntrl"), STR_INIT("\0\x1f\x7f\x7f")},
        {STR_INIT("digit"), STR_INIT("09")},
        {STR_INIT("graph"), STR_INIT("!~")},
        {STR_INIT("lower"), STR_INIT("az")},
        {STR_INIT("print"), STR_INIT(" ~")},
        {STR_INIT("punct"), STR_INIT("!/:@[`{~")},
        {STR_INIT("space"), STR_INIT("\t\r  ")},
        {STR_INIT("upper"), STR_INIT("AZ")},
        {STR_INIT("word"), STR_INIT("09AZ__az")},
        {STR_INIT("xdigit"), STR_INIT("09AFaf")},
    };
    *used = 0;
    size_t end = 2;
    while (end + 1 < text.size && !(text.data[end] == ':' && text.data[end + 1] == ']'))
        end++;
    if (end + 1 >= text.size)
        return OK;
    *used = end + 2;
    bool negated = text.data[2] == '^';
    size_t from = negated ? 3 : 2;
    struct str name = end < from ? STR("") : str_from(text.data + from, end - from);
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        if (!str_equal(name, sets[i].name))
            continue;
        add_pairs(builder, sets[i].pairs, negated, fold);
        return OK;
    }
    return class_fail(why, str_from(text.data, *used));
}

err_t regex__class_add_property(struct regex_class_builder *builder, struct str text, bool fold,
                                size_t *used, struct strbuf *why)
{
    bool negated = text.data[1] == 'P';
    struct str rest = str_from(text.data + 2, text.size - 2);
    size_t length;
    uint32_t rune;
    if (rest.size == 0)
        return class_fail(why, text);
    TRY(regex__rune_parse(rest, &length, &rune, why));
    struct str name = str_from(rest.data, length);
    *used = 2 + length;
    if (rune == '{') {
        size_t end = str_find(rest, '}', 0);
        if (end == SIZE_MAX)
            return class_fail(why, text);
        name = str_from(rest.data + 1, end - 1);
        TRY(regex__utf8_check(name, why));
        *used = 2 + end + 1;
    }
    if (name.size > 0 && name.data[0] == '^') {
        negated = !negated;
        name = str_from(name.data + 1, name.size - 1);
    }
    const char *found = regex__property_find(name);
    if (found == NULL)
        return class_fail(why, str_from(text.data, *used));
    /* A folded letter case takes the other cases in. */
    if (fold && (strcmp(found, "Lu") == 0 || strcmp(found, "Ll") == 0 || strcmp(found, "Lt") == 0))
        found = "L&";
    if (strcmp(found, "ASCII") == 0)
        add_pairs(builder, STR("\0\x7f"), negated, fold);
    else if (strcmp(found, "Any") == 0 && !negated)
        add_range(builder, 0, RUNE_MAX);
    else if (strcmp(found, "Assigned") == 0)
        add_property(builder, "Cn", !negated);
    else
        add_property(builder, found, negated);
    return OK;
}

/* --- escapes --- */

/* Reads one rune and moves *at behind it; *rune is RUNE_MAX + 1 at the end of the text. */
static err_t next_rune(struct str text, size_t *at, uint32_t *rune, struct strbuf *why)
{
    *rune = RUNE_MAX + 1;
    if (*at >= text.size)
        return OK;
    size_t used;
    TRY(regex__rune_parse(str_from(text.data + *at, text.size - *at), &used, rune, why));
    *at += used;
    return OK;
}

/* After "\x": two hex digits or {digits}. *valid tells whether a rune was read. */
static err_t parse_hex(struct str text, size_t *at, uint32_t *rune, bool *valid, struct strbuf *why)
{
    uint32_t c;
    *valid = false;
    TRY(next_rune(text, at, &c, why));
    if (c != '{') {
        int high = number_hex_digit((int)c);
        TRY(next_rune(text, at, &c, why));
        int low = number_hex_digit((int)c);
        *valid = high >= 0 && low >= 0;
        *rune = (uint32_t)(high * 16 + low);
        return OK;
    }
    uint32_t value = 0;
    for (uint32_t digits = 0;; digits++) {
        TRY(next_rune(text, at, &c, why));
        if (c == '}') {
            *valid = digits > 0;
            *rune = value;
            return OK;
        }
        int digit = number_hex_digit((int)c);
        if (digit < 0 || (value = value * 16 + (uint32_t)digit) > RUNE_MAX)
            return OK;
    }
}

static bool is_alnum(uint32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool parse_octal(struct str text, uint32_t first, size_t *at, uint32_t *rune)
{
    /* A single digit other than 0 would be a backreference. */
    if (first != '0' && (*at >= text.size || text.data[*at] < '0' || text.data[*at] > '7'))
        return false;
    *rune = first - '0';
    for (int i = 1; i < 3 && *at < text.size && text.data[*at] >= '0' && text.data[*at] <= '7'; i++)
        *rune = *rune * 8 + (uint32_t)(text.data[(*at)++] - '0');
    return true;
}

err_t regex__escape_parse(struct str text, size_t *used, uint32_t *rune, struct strbuf *why)
{
    static const char names[] = "afnrtv";
    static const char values[] = "\a\f\n\r\t\v";
    size_t at = 1;
    uint32_t c;
    if (text.size < 2)
        return regex__fail(why, "trailing backslash at end of expression", STR(""));
    TRY(next_rune(text, &at, &c, why));
    bool valid = true;
    const char *named = c < 0x80 && c != 0 ? strchr(names, (int)c) : NULL;
    if (c >= '0' && c <= '7')
        valid = parse_octal(text, c, &at, rune);
    else if (c == 'x')
        TRY(parse_hex(text, &at, rune, &valid, why));
    else if (named != NULL)
        *rune = (unsigned char)values[named - names];
    else if (c < 0x80 && !is_alnum(c))
        *rune = c;
    else
        valid = false;
    if (!valid)
        return regex__fail(why, "invalid escape sequence", str_from(text.data, at));
    *used = at;
    return OK;
}

/* --- bracket expressions --- */

static err_t class_rune(struct str whole, size_t *at, uint32_t *rune, struct strbuf *why)
{
    struct str rest = str_from(whole.data + *at, whole.size - *at);
    size_t used;
    if (rest.size == 0)
        return regex__fail(why, "missing closing ]", whole);
    if (rest.data[0] == '\\')
        TRY(regex__escape_parse(rest, &used, rune, why));
    else
        TRY(regex__rune_parse(rest, &used, rune, why));
    *at += used;
    return OK;
}

static err_t class_range(struct regex_class_builder *builder, struct str whole, size_t *at,
                         bool fold, struct strbuf *why)
{
    size_t from = *at;
    uint32_t low;
    TRY(class_rune(whole, at, &low, why));
    uint32_t high = low;
    if (*at + 1 < whole.size && whole.data[*at] == '-' && whole.data[*at + 1] != ']') {
        *at += 1;
        TRY(class_rune(whole, at, &high, why));
        if (high < low)
            return class_fail(why, str_from(whole.data + from, *at - from));
    }
    regex__class_add(builder, low, high, fold);
    return OK;
}

static err_t class_item(struct regex_class_builder *builder, struct str whole, size_t *at,
                        bool fold, struct strbuf *why)
{
    struct str rest = str_from(whole.data + *at, whole.size - *at);
    char second = rest.size > 1 ? rest.data[1] : '\0';
    size_t used = 0;
    if (rest.data[0] == '[' && rest.size > 2 && second == ':')
        TRY(add_posix(builder, rest, fold, &used, why));
    else if (rest.data[0] == '\\' && (second == 'p' || second == 'P'))
        TRY(regex__class_add_property(builder, rest, fold, &used, why));
    else if (rest.data[0] == '\\' && regex__class_add_perl(builder, second, fold))
        used = 2;
    *at += used;
    return used > 0 ? OK : class_range(builder, whole, at, fold, why);
}

err_t regex__class_parse(struct str text, bool fold, struct arena *arena, size_t *used,
                         const struct regex_class **class, struct strbuf *why)
{
    struct regex_class_builder builder = {0};
    err_t err = OK;
    size_t at = 1;
    bool negated = at < text.size && text.data[at] == '^';
    if (negated)
        at++;
    for (bool first = true; first || at >= text.size || text.data[at] != ']'; first = false) {
        if (at >= text.size)
            TRY_OUT(regex__fail(why, "missing closing ]", text));
        TRY_OUT(class_item(&builder, text, &at, fold, why));
    }
    *used = at + 1;
    *class = regex__class_finish(&builder, negated, arena);
out:
    regex__class_deinit(&builder);
    return err;
}
