#include "narthex/model/regex.h"

#include <stdatomic.h>

#include "narthex/base/mem.h"
#include "regex_engine.h"
#include "regex_expand.h"
#include "regex_plan.h"

struct regex {
    struct arena arena; /* pattern, plan */
    struct str wrapped; /* ^(?s:pattern)$ */
    struct str pattern;
    struct regex_plan plan;
    /* Made on first use, since most patterns are answered by their plan; stored with release and
     * read with acquire. */
    _Atomic(struct regex_engine *) engine;
    _Atomic(struct regex_engine *) search; /* of the bare pattern */
};

/* The engine in the slot, made if there is none yet; NULL if the pattern is not legal. */
static struct regex_engine *engine_get(_Atomic(struct regex_engine *) *slot, struct str pattern)
{
    struct regex_engine *engine = atomic_load_explicit(slot, memory_order_acquire);
    if (engine != NULL)
        return engine;
    struct regex_engine *made = NULL;
    struct strbuf why = STRBUF_INIT;
    err_t err = regex__engine_create(pattern, &made, &why);
    strbuf_deinit(&why);
    if (err != OK)
        return NULL;
    if (atomic_compare_exchange_strong_explicit(slot, &engine, made, memory_order_acq_rel,
                                                memory_order_acquire))
        return made;
    regex__engine_destroy(made);
    return engine;
}

#define WRAP_BEFORE STR("^(?s:")
#define WRAP_AFTER STR(")$")

static struct str wrap(struct arena *arena, struct str pattern)
{
    size_t size = WRAP_BEFORE.size + pattern.size + WRAP_AFTER.size;
    char *text = arena_alloc(arena, size);
    memcpy(text, WRAP_BEFORE.data, WRAP_BEFORE.size);
    if (pattern.size > 0)
        memcpy(text + WRAP_BEFORE.size, pattern.data, pattern.size);
    memcpy(text + WRAP_BEFORE.size + pattern.size, WRAP_AFTER.data, WRAP_AFTER.size);
    return str_from(text, size);
}

err_t regex_compile(struct str pattern, struct regex **regex, struct strbuf *why)
{
    struct arena scratch;
    struct regex_ast ast;
    struct regex *made = MEM_NEW(MEM_MODEL, struct regex);
    arena_init(&made->arena, MEM_MODEL, SIZE_MAX);
    arena_init(&scratch, MEM_MODEL, SIZE_MAX);
    err_t err = OK;
    made->wrapped = wrap(&made->arena, pattern);
    made->pattern = str_from(made->wrapped.data + WRAP_BEFORE.size, pattern.size);
    if (pattern.size > REGEX_PATTERN_BYTES_MAX)
        TRY_OUT(regex__fail(why, "expression too large", made->wrapped));
    TRY_OUT(regex__parse(made->wrapped, &scratch, &ast, why));
    regex__plan_make(&ast, &made->arena, &made->plan);
    if (made->plan.kind == REGEX_PLAN_NONE)
        engine_get(&made->engine, made->wrapped);
    *regex = made;
    made = NULL;
out:
    arena_deinit(&scratch);
    regex_destroy(made);
    return err;
}

void regex_destroy(struct regex *regex)
{
    if (regex == NULL)
        return;
    regex__engine_destroy(atomic_load_explicit(&regex->engine, memory_order_acquire));
    regex__engine_destroy(atomic_load_explicit(&regex->search, memory_order_acquire));
    arena_deinit(&regex->arena);
    mem_free(MEM_MODEL, regex);
}

/* The lazily made engines are the only mutable part; see struct regex. */
static struct regex_engine *matching_engine(const struct regex *regex)
{
    return engine_get(&((struct regex *)regex)->engine, regex->wrapped);
}

bool regex_matches(const struct regex *regex, struct str text)
{
    if (regex->plan.kind != REGEX_PLAN_NONE)
        return regex__plan_matches(&regex->plan, text);
    if (!str_starts_with(text, regex->plan.prefix))
        return false;
    return regex__engine_match(matching_engine(regex), text, NULL, 0);
}

struct regex_set regex_set(const struct regex *regex)
{
    if (regex->plan.kind != REGEX_PLAN_SET || regex->plan.count > REGEX_SET_MAX)
        return (struct regex_set){NULL, 0};
    return (struct regex_set){regex->plan.items, regex->plan.count};
}

struct str regex_prefix(const struct regex *regex)
{
    return regex->plan.prefix;
}

static bool has_lone_gap(const struct regex *regex, unsigned char gap)
{
    for (uint32_t i = 0; regex->plan.kind == REGEX_PLAN_GLOBS && i < regex->plan.count; i++) {
        struct str item = regex->plan.items[i];
        if (item.size == 1 && (unsigned char)item.data[0] == gap)
            return true;
    }
    return false;
}

bool regex_matches_all(const struct regex *regex)
{
    return has_lone_gap(regex, GAP_ANY) ||
           (has_lone_gap(regex, GAP_SOME) && regex_matches(regex, STR("")));
}

bool regex_search(const struct regex *regex, struct str text)
{
    /* "a)|(b" is legal when wrapped and not by itself. */
    struct regex_engine *engine = engine_get(&((struct regex *)regex)->search, regex->pattern);
    return engine != NULL && regex__engine_match(engine, text, NULL, 0);
}

bool regex_expand(const struct regex *regex, struct str text, struct str replacement,
                  struct strbuf *out)
{
    enum { SPANS_INLINE = 16 };
    struct regex_span inline_spans[SPANS_INLINE];
    struct regex_engine *engine = matching_engine(regex);
    uint32_t count = regex__engine_capture_count(engine) + 1;
    struct regex_span *spans = inline_spans;
    if (count > SPANS_INLINE)
        spans = MEM_NEW_ARRAY(MEM_MODEL, struct regex_span, count);
    bool matched = regex__engine_match(engine, text, spans, count);
    if (matched)
        regex__expand(text, replacement, spans, regex__engine_capture_names(engine), count, out);
    if (spans != inline_spans)
        mem_free(MEM_MODEL, spans);
    return matched;
}
