#include "regex_expand.h"

/* Letters and digits of other scripts count too. They are so rare here that code made for the
 * question is cheap enough. */
static bool is_unicode_word(struct str rune)
{
    struct regex_code *code = regex__code_create(STR("\\A[\\p{L}\\p{Nd}]\\z"));
    bool matches = regex__code_match(code, rune, NULL, 0) == REGEX_MATCH;
    regex__code_destroy(code);
    return matches;
}

static size_t name_size(struct str text, size_t from)
{
    size_t end = from;
    while (end < text.size) {
        char c = text.data[end];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '_') {
            end++;
            continue;
        }
        uint32_t rune;
        size_t length = str_decode_rune(str_from(text.data + end, text.size - end), &rune);
        if (length < 2 || !is_unicode_word(str_from(text.data + end, length)))
            break;
        end += length;
    }
    return end - from;
}

/* Reads name or {name} at text (behind the '$'). Returns the bytes used, 0 if malformed. */
static size_t reference_name(struct str text, struct str *name)
{
    size_t from = text.size > 0 && text.data[0] == '{';
    size_t size = name_size(text, from);
    *name = str_from(text.data + from, size);
    if (size == 0)
        return 0;
    if (from == 0)
        return size;
    return from + size < text.size && text.data[from + size] == '}' ? size + 2 : 0;
}

static struct regex_span find_group(struct str name, const struct regex_span *spans,
                                    const struct str *names, uint32_t count)
{
    struct regex_span absent = {SIZE_MAX, SIZE_MAX};
    uint64_t number;
    if (str_to_uint64(name, &number) && (name.size == 1 || name.data[0] != '0'))
        return number < count ? spans[number] : absent;
    for (uint32_t i = 1; i < count; i++) {
        if (str_equal(names[i], name) && spans[i].begin != SIZE_MAX)
            return spans[i];
    }
    return absent;
}

void regex__expand(struct str text, struct str replacement, const struct regex_span *spans,
                   const struct str *names, uint32_t count, struct strbuf *out)
{
    while (replacement.size > 0) {
        size_t dollar = str_find(replacement, '$', 0);
        size_t plain = dollar == SIZE_MAX ? replacement.size : dollar;
        strbuf_add(out, replacement.data, plain);
        if (dollar == SIZE_MAX)
            return;
        struct str rest = str_from(replacement.data + plain + 1, replacement.size - plain - 1);
        struct str name;
        size_t used = 0;
        if (rest.size > 0 && rest.data[0] == '$') {
            strbuf_add_char(out, '$');
            used = 1;
        } else if ((used = reference_name(rest, &name)) == 0) {
            strbuf_add_char(out, '$');
        } else {
            struct regex_span span = find_group(name, spans, names, count);
            if (span.begin != SIZE_MAX && span.end > span.begin)
                strbuf_add(out, text.data + span.begin, span.end - span.begin);
        }
        replacement = str_from(rest.data + used, rest.size - used);
    }
}
