/* Writes a syntax tree as a pcre2 pattern (UTF, DOTALL). pcre2 never sees the user's own text:
 * every construct is spelled so that it means there what it means in RE2. */
#include "regex_emit.h"

static void emit_rune(uint32_t rune, struct strbuf *out)
{
    bool plain = (rune >= '0' && rune <= '9') || (rune >= 'a' && rune <= 'z') ||
                 (rune >= 'A' && rune <= 'Z') || rune == '_' || rune == ' ' || rune == '/' ||
                 rune == ':' || rune == ',' || rune == '=';
    if (plain)
        strbuf_add_char(out, (char)rune);
    else
        strbuf_printf(out, "\\x{%x}", rune);
}

void regex__emit_class(const struct regex_class *class, struct strbuf *out)
{
    if (class->range_count == 0 && class->property_count == 0) {
        strbuf_add_cstr(out, class->negated ? "." : "(*F)");
        return;
    }
    strbuf_add_cstr(out, class->negated ? "[^" : "[");
    for (uint32_t i = 0; i < class->range_count; i++) {
        emit_rune(class->ranges[i].low, out);
        if (class->ranges[i].high == class->ranges[i].low)
            continue;
        strbuf_add_char(out, '-');
        emit_rune(class->ranges[i].high, out);
    }
    for (uint32_t i = 0; i < class->property_count; i++)
        strbuf_printf(out, "\\%c{%s}", class->properties[i].negated ? 'P' : 'p',
                      class->properties[i].name);
    strbuf_add_char(out, ']');
}

static void emit_literal(const struct regex_node *node, struct strbuf *out)
{
    if (rune_is_surrogate(node->rune)) {
        strbuf_add_cstr(out, "(*F)"); /* no valid text has it */
        return;
    }
    if (node->fold)
        strbuf_add_cstr(out, "(?i:");
    emit_rune(node->rune, out);
    if (node->fold)
        strbuf_add_char(out, ')');
}

static void emit_children(const struct regex_node *node, const char *separator, struct strbuf *out)
{
    for (const struct regex_node *child = node->child; child != NULL; child = child->next) {
        if (child != node->child)
            strbuf_add_cstr(out, separator);
        regex__emit(child, out);
    }
}

static void emit_repeat(const struct regex_node *node, struct strbuf *out)
{
    strbuf_add_cstr(out, "(?:");
    regex__emit(node->child, out);
    strbuf_add_char(out, ')');
    int min = node->repeat.min;
    int max = node->repeat.max;
    if (min == 0 && max < 0)
        strbuf_add_char(out, '*');
    else if (min == 1 && max < 0)
        strbuf_add_char(out, '+');
    else if (min == 0 && max == 1)
        strbuf_add_char(out, '?');
    else if (max < 0)
        strbuf_printf(out, "{%d,}", min);
    else
        strbuf_printf(out, "{%d,%d}", min, max);
    if (!node->greedy)
        strbuf_add_char(out, '?');
}

void regex__emit(const struct regex_node *node, struct strbuf *out)
{
    /* Assertions whose pcre2 shorthand differs at a final newline are spelled as look-arounds. */
    static const char *const fixed[] = {
        [REGEX_EMPTY] = "(?:)",
        [REGEX_ANY] = ".",
        [REGEX_BEGIN_TEXT] = "\\A",
        [REGEX_END_TEXT] = "\\z",
        [REGEX_BEGIN_LINE] = "(?<![^\\n])",
        [REGEX_END_LINE] = "(?![^\\n])",
        [REGEX_WORD_BOUNDARY] = "\\b",
        [REGEX_NO_WORD_BOUNDARY] = "\\B",
    };
    switch ((enum regex_op)node->op) {
    case REGEX_LITERAL:
        emit_literal(node, out);
        return;
    case REGEX_CLASS:
        regex__emit_class(node->class, out);
        return;
    case REGEX_CAPTURE:
        strbuf_add_char(out, '(');
        emit_children(node, "", out);
        strbuf_add_char(out, ')');
        return;
    case REGEX_REPEAT:
        emit_repeat(node, out);
        return;
    case REGEX_CONCAT:
        emit_children(node, "", out);
        return;
    case REGEX_ALTERNATE:
        strbuf_add_cstr(out, "(?:");
        emit_children(node, "|", out);
        strbuf_add_char(out, ')');
        return;
    default:
        strbuf_add_cstr(out, fixed[node->op]);
        return;
    }
}
