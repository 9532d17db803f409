#include "regex_engine.h"

#include <pthread.h>
#include <stdatomic.h>

#include "narthex/base/mem.h"
#include "regex_emit.h"

struct regex_engine {
    struct arena arena; /* tree and names */
    struct regex_ast ast;
    struct regex_code *code; /* NULL: too large for pcre2 */
    /* pcre2 takes one more, empty turn of a loop whose body can be empty, and RE2 does not: then
     * the groups inside differ, though not what matches. */
    bool captures_differ;
    /* Set when pcre2 gave up once: the pattern is of the kind that backtracks. Relaxed: a late
     * reader only loses time. */
    atomic_bool gave_up;
    pthread_mutex_t lock;                    /* makes the program, which uses the arena */
    _Atomic(struct regex_program *) program; /* released by its maker, acquired by readers */
};

static bool has_capture(const struct regex_node *node)
{
    if (node->op == REGEX_CAPTURE)
        return true;
    for (const struct regex_node *child = node->child; child != NULL; child = child->next) {
        if (has_capture(child))
            return true;
    }
    return false;
}

static bool has_empty_loop(const struct regex_node *node)
{
    if (node->op == REGEX_REPEAT && (node->repeat.max < 0 || node->repeat.max > 1) &&
        regex__is_nullable(node->child) && has_capture(node->child))
        return true;
    for (const struct regex_node *child = node->child; child != NULL; child = child->next) {
        if (has_empty_loop(child))
            return true;
    }
    return false;
}

err_t regex__engine_create(struct str pattern, struct regex_engine **engine, struct strbuf *why)
{
    struct regex_engine *made = MEM_NEW(MEM_MODEL, struct regex_engine);
    arena_init(&made->arena, MEM_MODEL, SIZE_MAX);
    struct str kept = arena_str(&made->arena, pattern);
    err_t err = regex__parse(kept, &made->arena, &made->ast, why);
    if (err != OK) {
        arena_deinit(&made->arena);
        mem_free(MEM_MODEL, made);
        return err;
    }
    struct strbuf text = STRBUF_INIT;
    regex__emit(made->ast.root, &text);
    made->code = regex__code_create(strbuf_str(&text));
    strbuf_deinit(&text);
    made->captures_differ = has_empty_loop(made->ast.root);
    pthread_mutex_init(&made->lock, NULL);
    *engine = made;
    return OK;
}

void regex__engine_destroy(struct regex_engine *engine)
{
    if (engine == NULL)
        return;
    regex__program_destroy(atomic_load_explicit(&engine->program, memory_order_acquire));
    regex__code_destroy(engine->code);
    pthread_mutex_destroy(&engine->lock);
    arena_deinit(&engine->arena);
    mem_free(MEM_MODEL, engine);
}

uint32_t regex__engine_capture_count(const struct regex_engine *engine)
{
    return engine->ast.capture_count;
}

const struct str *regex__engine_capture_names(const struct regex_engine *engine)
{
    return engine->ast.capture_names;
}

/* Copy of text with every bad byte replaced by U+FFFD. */
static void make_valid(struct str text, struct strbuf *out)
{
    for (size_t at = 0; at < text.size;) {
        uint32_t rune;
        size_t length = str_decode_rune(str_from(text.data + at, text.size - at), &rune);
        if (length == 0) {
            strbuf_add_cstr(out, "\xef\xbf\xbd");
            at++;
        } else {
            strbuf_add(out, text.data + at, length);
            at += length;
        }
    }
}

/* Offset in the original text of an offset in its valid copy. */
static size_t original_offset(struct str text, size_t valid_offset)
{
    size_t at = 0;
    size_t valid = 0;
    while (valid < valid_offset) {
        uint32_t rune;
        size_t length = str_decode_rune(str_from(text.data + at, text.size - at), &rune);
        at += length == 0 ? 1 : length;
        valid += length == 0 ? 3 : length;
    }
    return at;
}

enum regex_verdict regex__engine_match_quick(struct regex_engine *engine, struct str text,
                                             struct regex_span *spans, uint32_t span_count)
{
    if (engine->code == NULL || atomic_load_explicit(&engine->gave_up, memory_order_relaxed) ||
        (span_count > 1 && engine->captures_differ))
        return REGEX_GAVE_UP;
    if (str_is_utf8(text))
        return regex__code_match(engine->code, text, spans, span_count);
    struct strbuf valid = STRBUF_INIT;
    make_valid(text, &valid);
    enum regex_verdict verdict =
        regex__code_match(engine->code, strbuf_str(&valid), spans, span_count);
    for (uint32_t i = 0; verdict == REGEX_MATCH && i < span_count; i++) {
        if (spans[i].begin == SIZE_MAX)
            continue;
        spans[i].begin = original_offset(text, spans[i].begin);
        spans[i].end = original_offset(text, spans[i].end);
    }
    strbuf_deinit(&valid);
    return verdict;
}

bool regex__engine_match_exact(struct regex_engine *engine, struct str text,
                               struct regex_span *spans, uint32_t span_count)
{
    struct regex_program *program = atomic_load_explicit(&engine->program, memory_order_acquire);
    if (program == NULL) {
        pthread_mutex_lock(&engine->lock);
        program = atomic_load_explicit(&engine->program, memory_order_relaxed);
        if (program == NULL) {
            program = regex__program_create(&engine->ast, &engine->arena);
            atomic_store_explicit(&engine->program, program, memory_order_release);
        }
        pthread_mutex_unlock(&engine->lock);
    }
    return regex__program_match(program, text, spans, span_count);
}

bool regex__engine_match(struct regex_engine *engine, struct str text, struct regex_span *spans,
                         uint32_t span_count)
{
    enum regex_verdict verdict = regex__engine_match_quick(engine, text, spans, span_count);
    if (verdict != REGEX_GAVE_UP)
        return verdict == REGEX_MATCH;
    if (engine->code != NULL && !(span_count > 1 && engine->captures_differ))
        atomic_store_explicit(&engine->gave_up, true, memory_order_relaxed);
    return regex__engine_match_exact(engine, text, spans, span_count);
}
