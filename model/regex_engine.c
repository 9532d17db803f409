#include "regex_engine.h"

#include <assert.h>
#include <pthread.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "narthex/base/mem.h"
#include "regex_emit.h"

struct regex_engine {
    struct arena arena; /* names */
    struct regex_ast ast;
    pcre2_code *code;
    bool jit;
};

/* --- per-thread working memory of pcre2 --- */

struct scratch {
    pcre2_match_data *data;
    uint32_t pair_count;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

enum { JIT_STACK_FIRST_BYTES = 32 << 10, JIT_STACK_MAX_BYTES = 1 << 20, PAIRS_FIRST = 8 };

static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;
static pthread_key_t scratch_key;

static void *pcre2_alloc(size_t size, void *context)
{
    (void)context;
    return mem_alloc(MEM_MODEL, size);
}

static void pcre2_release(void *pointer, void *context)
{
    (void)context;
    mem_free(MEM_MODEL, pointer);
}

static void scratch_destroy(void *pointer)
{
    struct scratch *scratch = pointer;
    pcre2_match_data_free(scratch->data);
    pcre2_jit_stack_free(scratch->stack);
    pcre2_match_context_free(scratch->context);
    mem_free(MEM_MODEL, scratch);
}

static pcre2_general_context *general_context;

static void scratch_key_create(void)
{
    int failed = pthread_key_create(&scratch_key, scratch_destroy);
    assert(failed == 0);
    (void)failed;
    general_context = pcre2_general_context_create(pcre2_alloc, pcre2_release, NULL);
}

static struct scratch *scratch_get(uint32_t pairs)
{
    pthread_once(&scratch_once, scratch_key_create);
    struct scratch *scratch = pthread_getspecific(scratch_key);
    if (scratch == NULL) {
        scratch = MEM_NEW(MEM_MODEL, struct scratch);
        scratch->context = pcre2_match_context_create(general_context);
        scratch->stack =
            pcre2_jit_stack_create(JIT_STACK_FIRST_BYTES, JIT_STACK_MAX_BYTES, general_context);
        pcre2_jit_stack_assign(scratch->context, NULL, scratch->stack);
        pthread_setspecific(scratch_key, scratch);
    }
    if (scratch->data == NULL || pairs > scratch->pair_count) {
        pcre2_match_data_free(scratch->data);
        scratch->pair_count = pairs < PAIRS_FIRST ? PAIRS_FIRST : pairs;
        scratch->data = pcre2_match_data_create(scratch->pair_count, general_context);
    }
    return scratch;
}

/* --- compiling --- */

struct regex_engine *regex__engine_create(struct str pattern)
{
    struct strbuf text = STRBUF_INIT;
    struct regex_engine *engine = MEM_NEW(MEM_MODEL, struct regex_engine);
    arena_init(&engine->arena, MEM_MODEL, SIZE_MAX);
    struct str kept = arena_str(&engine->arena, pattern);
    err_t err = regex__parse(kept, &engine->arena, &engine->ast, &text);
    assert(err == OK);
    (void)err;
    strbuf_clear(&text);
    regex__emit(engine->ast.root, &text);
    pthread_once(&scratch_once, scratch_key_create);
    pcre2_compile_context *context = pcre2_compile_context_create(general_context);
    pcre2_set_parens_nest_limit(context, UINT32_MAX);
    int code;
    PCRE2_SIZE where;
    engine->code = pcre2_compile((PCRE2_SPTR)strbuf_cstr(&text), text.size,
                                 PCRE2_UTF | PCRE2_DOTALL | PCRE2_NO_UTF_CHECK | PCRE2_NEVER_UCP,
                                 &code, &where, context);
    pcre2_compile_context_free(context);
    strbuf_deinit(&text);
    assert(engine->code != NULL);
    engine->jit = pcre2_jit_compile(engine->code, PCRE2_JIT_COMPLETE) == 0;
    return engine;
}

void regex__engine_destroy(struct regex_engine *engine)
{
    if (engine == NULL)
        return;
    pcre2_code_free(engine->code);
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

/* --- matching --- */

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

static bool match_valid(struct regex_engine *engine, struct str text, struct regex_span *spans,
                        uint32_t span_count)
{
    struct scratch *scratch = scratch_get(span_count);
    PCRE2_SPTR subject = (PCRE2_SPTR)(text.data == NULL ? "" : text.data);
    int result = engine->jit ? pcre2_jit_match(engine->code, subject, text.size, 0, 0,
                                               scratch->data, scratch->context)
                             : pcre2_match(engine->code, subject, text.size, 0, PCRE2_NO_UTF_CHECK,
                                           scratch->data, scratch->context);
    if (result < 0)
        return false;
    const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(scratch->data);
    for (uint32_t i = 0; i < span_count; i++) {
        bool present = i <= engine->ast.capture_count && (result == 0 || i < (uint32_t)result);
        spans[i] = present ? (struct regex_span){offsets[2 * i], offsets[2 * i + 1]}
                           : (struct regex_span){SIZE_MAX, SIZE_MAX};
    }
    return true;
}

bool regex__engine_match(struct regex_engine *engine, struct str text, struct regex_span *spans,
                         uint32_t span_count)
{
    if (str_is_utf8(text))
        return match_valid(engine, text, spans, span_count);
    struct strbuf valid = STRBUF_INIT;
    make_valid(text, &valid);
    bool matched = match_valid(engine, strbuf_str(&valid), spans, span_count);
    for (uint32_t i = 0; matched && i < span_count; i++) {
        if (spans[i].begin == SIZE_MAX)
            continue;
        spans[i].begin = original_offset(text, spans[i].begin);
        spans[i].end = original_offset(text, spans[i].end);
    }
    strbuf_deinit(&valid);
    return matched;
}
