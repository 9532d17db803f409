#include "narthex/model/matcher.h"

#include "narthex/base/mem.h"

static struct str copy_str(struct str s)
{
    return str_from(mem_dup(MEM_MODEL, s.data, s.size), s.size);
}

err_t matcher_init(struct matcher *matcher, enum matcher_kind kind, struct str name,
                   struct str value, struct strbuf *why)
{
    struct regex *regex = NULL;
    if (kind == MATCH_REGEX || kind == MATCH_NOT_REGEX)
        TRY(regex_compile(value, &regex, why));
    *matcher = (struct matcher){kind, copy_str(name), copy_str(value), regex};
    return OK;
}

void matcher_deinit(struct matcher *matcher)
{
    mem_free(MEM_MODEL, (char *)matcher->name.data);
    mem_free(MEM_MODEL, (char *)matcher->value.data);
    regex_destroy(matcher->regex);
    *matcher = (struct matcher){0};
}

bool matcher_matches(const struct matcher *matcher, struct str value)
{
    switch (matcher->kind) {
    case MATCH_EQUAL:
        return str_equal(matcher->value, value);
    case MATCH_NOT_EQUAL:
        return !str_equal(matcher->value, value);
    case MATCH_REGEX:
        return regex_matches(matcher->regex, value);
    case MATCH_NOT_REGEX:
        break;
    }
    return !regex_matches(matcher->regex, value);
}

bool matcher_matches_empty(const struct matcher *matcher)
{
    return matcher_matches(matcher, STR(""));
}

bool matchers_match(const struct matcher *matchers, size_t count, struct labels labels)
{
    for (size_t i = 0; i < count; i++) {
        if (!matcher_matches(&matchers[i], labels_get(labels, matchers[i].name)))
            return false;
    }
    return true;
}

const char *matcher_kind_text(enum matcher_kind kind)
{
    static const char *const texts[] = {"=", "!=", "=~", "!~"};
    return texts[kind];
}

void matcher_print(const struct matcher *matcher, struct strbuf *out)
{
    if (label_name_is_valid(matcher->name, NAME_SCHEME_LEGACY))
        strbuf_add_str(out, matcher->name);
    else
        strbuf_add_quoted(out, matcher->name);
    strbuf_add_cstr(out, matcher_kind_text(matcher->kind));
    strbuf_add_quoted(out, matcher->value);
}
