#include "regex_pcre.h"

#include <assert.h>
#include <pthread.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "narthex/base/mem.h"

enum {
    JIT_STACK_FIRST_BYTES = 32 << 10,
    JIT_STACK_MAX_BYTES = 1 << 20,
    PAIRS_FIRST = 8,
    /* Steps of backtracking before the automaton takes over: about a millisecond. */
    MATCH_LIMIT = 100000,
};

struct regex_code {
    pcre2_code *code;
    bool jit;
};

/* Per-thread working memory. */
struct scratch {
    pcre2_match_data *data;
    uint32_t pair_count;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t scratch_key;
/* Only carries the two allocation functions; made once, lives as long as the process. */
static pcre2_general_context *general_context;

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

static void init_once(void)
{
    int failed = pthread_key_create(&scratch_key, scratch_destroy);
    assert(failed == 0);
    (void)failed;
    general_context = pcre2_general_context_create(pcre2_alloc, pcre2_release, NULL);
}

static struct scratch *scratch_get(uint32_t pairs)
{
    struct scratch *scratch = pthread_getspecific(scratch_key);
    if (scratch == NULL) {
        scratch = MEM_NEW(MEM_MODEL, struct scratch);
        scratch->context = pcre2_match_context_create(general_context);
        scratch->stack =
            pcre2_jit_stack_create(JIT_STACK_FIRST_BYTES, JIT_STACK_MAX_BYTES, general_context);
        pcre2_jit_stack_assign(scratch->context, NULL, scratch->stack);
        pcre2_set_match_limit(scratch->context, MATCH_LIMIT);
        pthread_setspecific(scratch_key, scratch);
    }
    if (scratch->data == NULL || pairs > scratch->pair_count) {
        pcre2_match_data_free(scratch->data);
        scratch->pair_count = pairs < PAIRS_FIRST ? PAIRS_FIRST : pairs;
        scratch->data = pcre2_match_data_create(scratch->pair_count, general_context);
    }
    return scratch;
}

struct regex_code *regex__code_create(struct str pattern)
{
    pthread_once(&once, init_once);
    pcre2_compile_context *context = pcre2_compile_context_create(general_context);
    pcre2_set_parens_nest_limit(context, UINT32_MAX);
    int error;
    PCRE2_SIZE where;
    pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)pattern.data, pattern.size,
                      PCRE2_UTF | PCRE2_DOTALL | PCRE2_NEVER_UCP, &error, &where, context);
    pcre2_compile_context_free(context);
    if (compiled == NULL)
        return NULL;
    struct regex_code *code = MEM_NEW(MEM_MODEL, struct regex_code);
    code->code = compiled;
    code->jit = pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE) == 0;
    return code;
}

void regex__code_destroy(struct regex_code *code)
{
    if (code == NULL)
        return;
    pcre2_code_free(code->code);
    mem_free(MEM_MODEL, code);
}

enum regex_verdict regex__code_match(const struct regex_code *code, struct str text,
                                     struct regex_span *spans, uint32_t span_count)
{
    struct scratch *scratch = scratch_get(span_count);
    PCRE2_SPTR subject = (PCRE2_SPTR)(text.data == NULL ? "" : text.data);
    int result = code->jit ? pcre2_jit_match(code->code, subject, text.size, 0, 0, scratch->data,
                                             scratch->context)
                           : pcre2_match(code->code, subject, text.size, 0, PCRE2_NO_UTF_CHECK,
                                         scratch->data, scratch->context);
    if (result == PCRE2_ERROR_NOMATCH)
        return REGEX_NO_MATCH;
    if (result < 0)
        return REGEX_GAVE_UP;
    const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(scratch->data);
    /* 0: more groups than pairs, all pairs are filled. */
    uint32_t filled = result == 0 ? scratch->pair_count : (uint32_t)result;
    for (uint32_t i = 0; i < span_count; i++) {
        spans[i] = i < filled ? (struct regex_span){offsets[2 * i], offsets[2 * i + 1]}
                              : (struct regex_span){SIZE_MAX, SIZE_MAX};
    }
    return REGEX_MATCH;
}
