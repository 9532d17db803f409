#include "promql_text.h"

static uint32_t rune_at(struct str text, size_t offset, struct str *bytes)
{
    uint32_t rune = 0xfffd;
    *bytes = STR("\xef\xbf\xbd");
    if (offset >= text.size)
        return rune;
    struct str rest = {text.data + offset, text.size - offset};
    size_t size = str_decode_rune(rest, &rune);
    if (size == 0)
        return 0xfffd;
    *bytes = str_from(rest.data, size);
    return rune;
}

void promql_add_quoted_rune(struct strbuf *out, struct str text, size_t offset)
{
    struct str bytes;
    uint32_t rune = rune_at(text, offset, &bytes);
    if (rune == '\'') {
        strbuf_add_cstr(out, "'\\''");
        return;
    }
    if (rune == '"') {
        strbuf_add_cstr(out, "'\"'");
        return;
    }
    /* The string form differs from the rune form in nothing but the quotes around it. */
    size_t begin = out->size;
    strbuf_add_quoted(out, bytes);
    out->data[begin] = '\'';
    out->data[out->size - 1] = '\'';
}

void promql_add_rune_name(struct strbuf *out, struct str text, size_t offset)
{
    struct str bytes;
    uint32_t rune = rune_at(text, offset, &bytes);
    strbuf_printf(out, "U+%04X", (unsigned)rune);
    struct strbuf quoted = STRBUF_INIT;
    strbuf_add_quoted(&quoted, bytes);
    /* Printable characters quote to themselves. */
    bool printable = rune == '"' || rune == '\\' || quoted.size == bytes.size + 2;
    strbuf_deinit(&quoted);
    if (printable) {
        strbuf_add_cstr(out, " '");
        strbuf_add_str(out, bytes);
        strbuf_add_char(out, '\'');
    }
}
