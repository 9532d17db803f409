/* Names and labels of stored series as the text formats write them. */
#include "narthex/model/exposition_writer.h"

void exposition_add_quoted(struct strbuf *out, struct str s)
{
    strbuf_add_char(out, '"');
    for (size_t i = 0; i < s.size; i++) {
        char c = s.data[i];
        if (c == '\\' || c == '"' || c == '\n')
            strbuf_add_char(out, '\\');
        strbuf_add_char(out, c == '\n' ? 'n' : c);
    }
    strbuf_add_char(out, '"');
}

void exposition_add_key(struct strbuf *out, struct str name, struct labels labels)
{
    bool plain = metric_name_is_valid(name, NAME_SCHEME_LEGACY);
    const char *separator = "{";
    if (plain) {
        strbuf_add_str(out, name);
    } else if (name.size > 0) {
        strbuf_add_char(out, '{');
        exposition_add_quoted(out, name);
        separator = ",";
    }
    for (uint32_t i = 0; i < labels.count; i++) {
        struct label label = labels.items[i];
        if (str_equal(label.name, LABEL_NAME))
            continue;
        strbuf_add_cstr(out, separator);
        separator = ",";
        if (label_name_is_valid(label.name, NAME_SCHEME_LEGACY))
            strbuf_add_str(out, label.name);
        else
            exposition_add_quoted(out, label.name);
        strbuf_add_char(out, '=');
        exposition_add_quoted(out, label.value);
    }
    if (separator[0] == ',')
        strbuf_add_char(out, '}');
}
