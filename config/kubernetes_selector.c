/* Label selectors of Kubernetes: "app=web,tier!=db,env in (prod,test),team,!old,cores>4". */
#include "schema_discovery.h"

enum { NAME_MAX_BYTES = 63, PREFIX_MAX_BYTES = 253 };

struct reader {
    struct str text;
    size_t at;
};

static void skip_blanks(struct reader *r)
{
    while (r->at < r->text.size && (r->text.data[r->at] == ' ' || r->text.data[r->at] == '\t'))
        r->at++;
}

/* Whether the next byte is `c`, which is then taken. */
static bool take(struct reader *r, char c)
{
    skip_blanks(r);
    if (r->at >= r->text.size || r->text.data[r->at] != c)
        return false;
    r->at++;
    return true;
}

static bool is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static struct str take_word(struct reader *r)
{
    skip_blanks(r);
    size_t start = r->at;
    while (r->at < r->text.size) {
        char c = r->text.data[r->at];
        if (!is_alphanumeric(c) && c != '-' && c != '_' && c != '.' && c != '/')
            break;
        r->at++;
    }
    return str_from(r->text.data + start, r->at - start);
}

static bool is_name(struct str s)
{
    return s.size > 0 && s.size <= NAME_MAX_BYTES && is_alphanumeric(s.data[0]) &&
           is_alphanumeric(s.data[s.size - 1]) && str_find(s, '/', 0) == SIZE_MAX;
}

/* name or prefix/name, the prefix being a DNS name. */
static bool is_key(struct str s)
{
    size_t slash = str_find(s, '/', 0);
    if (slash == SIZE_MAX)
        return is_name(s);
    if (slash == 0 || slash > PREFIX_MAX_BYTES)
        return false;
    for (size_t i = 0; i < slash; i++) {
        char c = s.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '.'))
            return false;
    }
    return is_name(str_from(s.data + slash + 1, s.size - slash - 1));
}

static bool take_value(struct reader *r)
{
    struct str value = take_word(r);
    return value.size == 0 || is_name(value);
}

static bool take_number(struct reader *r)
{
    int64_t number;
    return str_to_int64(take_word(r), &number);
}

static bool take_set(struct reader *r)
{
    if (!take(r, '('))
        return false;
    do {
        if (!take_value(r))
            return false;
    } while (take(r, ','));
    return take(r, ')');
}

static bool take_requirement(struct reader *r)
{
    bool absent = take(r, '!');
    if (!is_key(take_word(r)))
        return false;
    if (absent)
        return true;
    if (take(r, '!'))
        return take(r, '=') && take_value(r);
    if (take(r, '=')) {
        (void)take(r, '=');
        return take_value(r);
    }
    if (take(r, '>') || take(r, '<'))
        return take_number(r);
    size_t before = r->at;
    struct str word = take_word(r);
    if (str_equal(word, STR("in")) || str_equal(word, STR("notin")))
        return take_set(r);
    r->at = before;
    return word.size == 0;
}

bool kubernetes_label_selector_is_valid(struct str text)
{
    struct reader r = {text, 0};
    skip_blanks(&r);
    if (r.at == text.size)
        return true;
    do {
        if (!take_requirement(&r))
            return false;
    } while (take(&r, ','));
    skip_blanks(&r);
    return r.at == text.size;
}
