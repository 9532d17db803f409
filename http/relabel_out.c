/* Relabel rules and steps as JSON. */
#include "relabel_out.h"

/* A member with a text, left out when it is empty, as Go does. */
static void add_text(struct strbuf *out, const char *name, struct str text)
{
    if (text.size == 0)
        return;
    strbuf_printf(out, "%s\"%s\":", out->data[out->size - 1] == '{' ? "" : ",", name);
    json_add_string(out, text, true);
}

void json_add_relabel_rule(struct strbuf *out, const struct relabel_rule *rule)
{
    strbuf_add_char(out, '{');
    for (uint32_t i = 0; i < rule->source_label_count; i++) {
        strbuf_add_cstr(out, i == 0 ? "\"source_labels\":[" : ",");
        json_add_string(out, rule->source_labels[i], true);
    }
    if (rule->source_label_count > 0)
        strbuf_add_char(out, ']');
    add_text(out, "separator", rule->separator);
    add_text(out, "regex", rule->regex_text);
    if (rule->modulus > 0)
        strbuf_printf(out, ",\"modulus\":%llu", (unsigned long long)rule->modulus);
    add_text(out, "target_label", rule->target_label);
    add_text(out, "replacement", rule->replacement);
    add_text(out, "action", str_from_cstr(relabel_action_text(rule->action)));
    strbuf_add_char(out, '}');
}
