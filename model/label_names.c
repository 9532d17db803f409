/* Name schemes: what a metric or label name may be, and how illegal ones are escaped. */
#include "narthex/model/labels.h"

#include "narthex/base/number.h"

enum { RUNE_REPLACEMENT = 0xfffd, UNESCAPE_DIGITS_MAX = 6 };

/* Legal at byte position `at` of a legacy name; `colon` for metric names. */
static bool legacy_rune(uint32_t rune, size_t at, bool colon)
{
    return (rune >= 'a' && rune <= 'z') || (rune >= 'A' && rune <= 'Z') || rune == '_' ||
           (colon && rune == ':') || (at > 0 && rune >= '0' && rune <= '9');
}

static bool name_is_valid(struct str name, enum name_scheme scheme, bool colon)
{
    if (name.size == 0)
        return false;
    if (scheme == NAME_SCHEME_UTF8)
        return str_is_utf8(name);
    for (size_t i = 0; i < name.size; i++) {
        if (!legacy_rune((unsigned char)name.data[i], i, colon))
            return false;
    }
    return true;
}

bool metric_name_is_valid(struct str name, enum name_scheme scheme)
{
    return name_is_valid(name, scheme, true);
}

bool label_name_is_valid(struct str name, enum name_scheme scheme)
{
    return name_is_valid(name, scheme, false);
}

/* Decodes one rune; a bad byte is U+FFFD of length 1 with *valid false. */
static size_t next_rune(struct str name, size_t at, uint32_t *rune, bool *valid)
{
    size_t length = str_decode_rune(str_from(name.data + at, name.size - at), rune);
    *valid = length > 0;
    if (length == 0) {
        *rune = RUNE_REPLACEMENT;
        length = 1;
    }
    return length;
}

static void escape_rune(uint32_t rune, bool valid, bool legal, enum name_escaping escaping,
                        struct strbuf *out)
{
    if (escaping == NAME_ESCAPING_DOTS && rune == '_')
        strbuf_add_cstr(out, "__");
    else if (escaping == NAME_ESCAPING_DOTS && rune == '.')
        strbuf_add_cstr(out, "_dot_");
    else if (escaping == NAME_ESCAPING_VALUES && rune == '_')
        strbuf_add_cstr(out, "__");
    else if (legal)
        strbuf_add_char(out, (char)rune);
    else if (escaping == NAME_ESCAPING_UNDERSCORES)
        strbuf_add_char(out, '_');
    else if (escaping == NAME_ESCAPING_DOTS)
        strbuf_add_cstr(out, "__");
    else if (!valid)
        strbuf_add_cstr(out, "_FFFD_");
    else
        strbuf_printf(out, "_%x_", rune);
}

void name_escape(struct str name, enum name_escaping escaping, struct strbuf *out)
{
    bool legal_name = name.size == 0 || metric_name_is_valid(name, NAME_SCHEME_LEGACY);
    if (name.size == 0 || escaping == NAME_ESCAPING_NONE ||
        (legal_name && escaping != NAME_ESCAPING_DOTS)) {
        strbuf_add_str(out, name);
        return;
    }
    if (escaping == NAME_ESCAPING_VALUES)
        strbuf_add_cstr(out, "U__");
    for (size_t at = 0; at < name.size;) {
        uint32_t rune;
        bool valid;
        size_t length = next_rune(name, at, &rune, &valid);
        escape_rune(rune, valid, legacy_rune(rune, at, true), escaping, out);
        at += length;
    }
}

/* Reads hex digits and the closing '_' at name[at]; 0 on a defect, else the bytes used. */
static size_t unescape_hex(struct str name, size_t at, uint32_t *rune)
{
    uint32_t value = 0;
    size_t from = at;
    for (; at < name.size && name.data[at] != '_'; at++) {
        int digit = number_hex_digit(name.data[at]);
        if (digit < 0 || at - from >= UNESCAPE_DIGITS_MAX)
            return 0;
        value = value << 4 | (uint32_t)digit;
    }
    if (at == name.size || at == from || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *rune = value;
    return at + 1 - from;
}

void name_unescape_values(struct str name, struct strbuf *out)
{
    if (!str_starts_with(name, STR("U__"))) {
        strbuf_add_str(out, name);
        return;
    }
    size_t rollback = out->size;
    for (size_t at = 3; at < name.size;) {
        char c = name.data[at++];
        if (c != '_') {
            strbuf_add_char(out, c);
            continue;
        }
        if (at < name.size && name.data[at] == '_') {
            strbuf_add_char(out, '_');
            at++;
            continue;
        }
        uint32_t rune;
        size_t used = unescape_hex(name, at, &rune);
        if (used == 0) {
            out->size = rollback;
            strbuf_add_str(out, name);
            return;
        }
        char text[4];
        strbuf_add(out, text, str_encode_rune(rune, text));
        at += used;
    }
}
