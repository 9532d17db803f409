#include "regex_nfa.h"

#include <assert.h>

#include "narthex/base/vec.h"
#include "regex_emit.h"
#include "regex_pcre.h"
#include "unicode_case.h"

enum op {
    OP_RUNE,
    OP_SET,
    OP_ANY,
    OP_ASSERT, /* arg: an enum regex_op */
    OP_SPLIT,  /* next is preferred to other */
    OP_SAVE,   /* arg: slot, 2 x group for its begin, + 1 for its end */
    OP_MATCH,
};

struct instruction {
    enum op op;
    uint32_t arg;
    uint32_t next;
    uint32_t other;
};

/* A class ready for questions. Properties are asked of pcre2, rune by rune. */
struct rune_set {
    const struct regex_class *class;
    uint64_t ascii[2];
    struct regex_code *code; /* NULL: ranges tell everything */
};

struct regex_program {
    struct instruction *code;
    uint32_t count;
    uint32_t capacity;
    struct rune_set *sets;
    uint32_t set_count;
    uint32_t set_capacity;
    uint32_t start;
    struct arena *arena; /* while compiling */
};

/* --- sets --- */

static bool in_ranges(const struct regex_class *class, uint32_t rune)
{
    uint32_t low = 0;
    uint32_t high = class->range_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (class->ranges[middle].high < rune)
            low = middle + 1;
        else
            high = middle;
    }
    return low < class->range_count && class->ranges[low].low <= rune;
}

static bool in_class(const struct rune_set *set, uint32_t rune)
{
    char text[4];
    if (set->code == NULL)
        return in_ranges(set->class, rune) != set->class->negated;
    return regex__code_match(set->code, str_from(text, str_encode_rune(rune, text)), NULL, 0) ==
           REGEX_MATCH;
}

static bool set_has(const struct rune_set *set, uint32_t rune)
{
    if (rune < 0x80)
        return (set->ascii[rune / 64] >> rune % 64 & 1) != 0;
    return in_class(set, rune);
}

static uint32_t add_set(struct regex_program *program, const struct regex_class *class)
{
    struct rune_set set = {.class = class};
    if (class->property_count > 0) {
        struct strbuf text = STRBUF_INIT;
        strbuf_add_cstr(&text, "\\A");
        regex__emit_class(class, &text);
        strbuf_add_cstr(&text, "\\z");
        set.code = regex__code_create(strbuf_str(&text));
        assert(set.code != NULL);
        strbuf_deinit(&text);
    }
    for (uint32_t rune = 0; rune < 0x80; rune++)
        set.ascii[rune / 64] |= (uint64_t)in_class(&set, rune) << rune % 64;
    VEC_PUSH(MEM_MODEL, program->sets, program->set_count, program->set_capacity, set);
    return program->set_count - 1;
}

/* --- compiling: each function gives the entry of code that goes on at `next` --- */

static uint32_t compile(struct regex_program *program, const struct regex_node *node,
                        uint32_t next);

static uint32_t add(struct regex_program *program, enum op op, uint32_t arg, uint32_t next,
                    uint32_t other)
{
    struct instruction instruction = {op, arg, next, other};
    VEC_PUSH(MEM_MODEL, program->code, program->count, program->capacity, instruction);
    return program->count - 1;
}

bool regex__is_nullable(const struct regex_node *node)
{
    switch ((enum regex_op)node->op) {
    case REGEX_LITERAL:
    case REGEX_CLASS:
    case REGEX_ANY:
        return false;
    case REGEX_CAPTURE:
        return regex__is_nullable(node->child);
    case REGEX_REPEAT:
        return node->repeat.min == 0 || regex__is_nullable(node->child);
    case REGEX_CONCAT:
        for (const struct regex_node *child = node->child; child != NULL; child = child->next) {
            if (!regex__is_nullable(child))
                return false;
        }
        return true;
    case REGEX_ALTERNATE:
        for (const struct regex_node *child = node->child; child != NULL; child = child->next) {
            if (regex__is_nullable(child))
                return true;
        }
        return false;
    default:
        return true;
    }
}

static uint32_t compile_fold(struct regex_program *program, uint32_t rune, uint32_t next)
{
    struct regex_class_builder builder = {0};
    regex__class_add(&builder, rune, rune, true);
    const struct regex_class *class = regex__class_finish(&builder, false, program->arena);
    regex__class_deinit(&builder);
    return add(program, OP_SET, add_set(program, class), next, 0);
}

/* Children from the last to the first, since code is built backwards. */
static uint32_t compile_concat(struct regex_program *program, const struct regex_node *node,
                               uint32_t next)
{
    const struct regex_node **children = NULL;
    uint32_t count = 0;
    uint32_t capacity = 0;
    for (const struct regex_node *child = node->child; child != NULL; child = child->next)
        VEC_PUSH(MEM_MODEL, children, count, capacity, child);
    while (count > 0)
        next = compile(program, children[--count], next);
    mem_free(MEM_MODEL, children);
    return next;
}

static uint32_t compile_alternate(struct regex_program *program, const struct regex_node *node,
                                  uint32_t next)
{
    uint32_t first = UINT32_MAX;
    uint32_t previous = UINT32_MAX;
    for (const struct regex_node *child = node->child; child != NULL; child = child->next) {
        uint32_t entry = compile(program, child, next);
        uint32_t at = child->next == NULL ? entry : add(program, OP_SPLIT, 0, entry, 0);
        if (previous == UINT32_MAX)
            first = at;
        else
            program->code[previous].other = at;
        previous = at;
    }
    return first;
}

static uint32_t add_choice(struct regex_program *program, bool greedy, uint32_t body,
                           uint32_t after)
{
    return greedy ? add(program, OP_SPLIT, 0, body, after) : add(program, OP_SPLIT, 0, after, body);
}

/* One or more: body, then a choice between the body again and what follows. */
static uint32_t compile_plus(struct regex_program *program, const struct regex_node *node,
                             uint32_t next, uint32_t *choice)
{
    *choice = add_choice(program, node->greedy, 0, next);
    uint32_t body = compile(program, node->child, *choice);
    if (node->greedy)
        program->code[*choice].next = body;
    else
        program->code[*choice].other = body;
    return body;
}

static uint32_t compile_repeat(struct regex_program *program, const struct regex_node *node,
                               uint32_t next)
{
    int min = node->repeat.min;
    int max = node->repeat.max;
    uint32_t entry = next;
    if (max < 0) {
        uint32_t choice;
        entry = compile_plus(program, node, next, &choice);
        if (min > 0)
            min--;
        else if (regex__is_nullable(node->child))
            entry = add_choice(program, node->greedy, entry, next);
        else
            entry = choice;
    } else {
        for (int i = min; i < max; i++) {
            uint32_t body = compile(program, node->child, entry);
            entry = add_choice(program, node->greedy, body, next);
        }
    }
    for (int i = 0; i < min; i++)
        entry = compile(program, node->child, entry);
    return entry;
}

static uint32_t compile(struct regex_program *program, const struct regex_node *node, uint32_t next)
{
    switch ((enum regex_op)node->op) {
    case REGEX_EMPTY:
        return next;
    case REGEX_LITERAL:
        if (node->fold)
            return compile_fold(program, node->rune, next);
        return add(program, OP_RUNE, node->rune, next, 0);
    case REGEX_CLASS:
        return add(program, OP_SET, add_set(program, node->class), next, 0);
    case REGEX_ANY:
        return add(program, OP_ANY, 0, next, 0);
    case REGEX_CAPTURE:
        next = add(program, OP_SAVE, 2 * node->capture + 1, next, 0);
        next = compile(program, node->child, next);
        return add(program, OP_SAVE, 2 * node->capture, next, 0);
    case REGEX_REPEAT:
        return compile_repeat(program, node, next);
    case REGEX_CONCAT:
        return compile_concat(program, node, next);
    case REGEX_ALTERNATE:
        return compile_alternate(program, node, next);
    default:
        return add(program, OP_ASSERT, node->op, next, 0);
    }
}

struct regex_program *regex__program_create(const struct regex_ast *ast, struct arena *arena)
{
    struct regex_program *program = MEM_NEW(MEM_MODEL, struct regex_program);
    program->arena = arena;
    uint32_t end = add(program, OP_MATCH, 0, 0, 0);
    end = add(program, OP_SAVE, 1, end, 0);
    end = compile(program, ast->root, end);
    program->start = add(program, OP_SAVE, 0, end, 0);
    program->arena = NULL;
    return program;
}

void regex__program_destroy(struct regex_program *program)
{
    if (program == NULL)
        return;
    for (uint32_t i = 0; i < program->set_count; i++)
        regex__code_destroy(program->sets[i].code);
    mem_free(MEM_MODEL, program->sets);
    mem_free(MEM_MODEL, program->code);
    mem_free(MEM_MODEL, program);
}

/* --- running --- */

/* Offsets of a thread's groups; free ones are chained through their first element. */
union slots {
    union slots *next_free;
    size_t offsets[1]; /* slot_count of them */
};

struct thread {
    uint32_t at;
    union slots *slots; /* NULL when no spans are wanted */
};

/* Threads in order of preference; `seen` tells where in `threads` an instruction stands. */
struct thread_list {
    struct thread *threads;
    uint32_t *order;  /* instructions in the order they were added */
    uint32_t *places; /* place of an instruction in `order`, valid if order[place] is it */
    uint32_t order_count;
    uint32_t count;
};

/* Work still to do while following jumps: an instruction, or a slot to restore. */
struct pending {
    uint32_t at;
    uint32_t slot; /* UINT32_MAX: `at` is to be followed */
    size_t offset;
};

struct run {
    const struct regex_program *program;
    struct str text;
    uint32_t slot_count;
    size_t *current; /* slots while jumps are followed */
    union slots *free_slots;
    struct pending *stack;
    uint32_t stack_count;
    uint32_t stack_capacity;
    /* Around the position: runes, or UINT32_MAX beyond the text. */
    uint32_t before;
    uint32_t after;
};

static union slots *take_slots(struct run *run)
{
    union slots *slots = run->free_slots;
    if (slots != NULL)
        run->free_slots = slots->next_free;
    else
        slots = mem_alloc(MEM_MODEL, run->slot_count * sizeof(size_t));
    memcpy(slots->offsets, run->current, run->slot_count * sizeof(size_t));
    return slots;
}

static void free_slots(struct run *run, union slots *slots)
{
    if (slots == NULL)
        return;
    slots->next_free = run->free_slots;
    run->free_slots = slots;
}

static bool is_word(uint32_t rune)
{
    return (rune >= 'a' && rune <= 'z') || (rune >= 'A' && rune <= 'Z') ||
           (rune >= '0' && rune <= '9') || rune == '_';
}

static bool assertion_holds(const struct run *run, uint32_t assertion)
{
    switch ((enum regex_op)assertion) {
    case REGEX_BEGIN_TEXT:
        return run->before == UINT32_MAX;
    case REGEX_END_TEXT:
        return run->after == UINT32_MAX;
    case REGEX_BEGIN_LINE:
        return run->before == UINT32_MAX || run->before == '\n';
    case REGEX_END_LINE:
        return run->after == UINT32_MAX || run->after == '\n';
    case REGEX_WORD_BOUNDARY:
        return is_word(run->before) != is_word(run->after);
    default:
        return is_word(run->before) == is_word(run->after);
    }
}

static bool mark_seen(struct thread_list *list, uint32_t at)
{
    uint32_t place = list->places[at];
    if (place < list->order_count && list->order[place] == at)
        return false;
    list->places[at] = list->order_count;
    list->order[list->order_count++] = at;
    return true;
}

static void push(struct run *run, uint32_t at, uint32_t slot, size_t offset)
{
    struct pending pending = {at, slot, offset};
    VEC_PUSH(MEM_MODEL, run->stack, run->stack_count, run->stack_capacity, pending);
}

/* Follows everything that consumes no rune from `at`, in order of preference, and adds threads that
 * wait for a rune (or have matched). run->current holds the slots on entry and on return. */
static void add_threads(struct run *run, struct thread_list *list, uint32_t at, size_t position)
{
    push(run, at, UINT32_MAX, 0);
    while (run->stack_count > 0) {
        struct pending pending = run->stack[--run->stack_count];
        if (pending.slot != UINT32_MAX) {
            run->current[pending.slot] = pending.offset;
            continue;
        }
        if (!mark_seen(list, pending.at))
            continue;
        const struct instruction *instruction = &run->program->code[pending.at];
        switch (instruction->op) {
        case OP_SPLIT:
            push(run, instruction->other, UINT32_MAX, 0);
            push(run, instruction->next, UINT32_MAX, 0);
            break;
        case OP_ASSERT:
            if (assertion_holds(run, instruction->arg))
                push(run, instruction->next, UINT32_MAX, 0);
            break;
        case OP_SAVE:
            if (instruction->arg < run->slot_count) {
                push(run, 0, instruction->arg, run->current[instruction->arg]);
                run->current[instruction->arg] = position;
            }
            push(run, instruction->next, UINT32_MAX, 0);
            break;
        default:
            list->threads[list->count++] =
                (struct thread){pending.at, run->slot_count > 0 ? take_slots(run) : NULL};
            break;
        }
    }
}

static bool consumes(const struct regex_program *program, const struct instruction *instruction,
                     uint32_t rune)
{
    switch (instruction->op) {
    case OP_RUNE:
        return instruction->arg == rune;
    case OP_SET:
        return set_has(&program->sets[instruction->arg], rune);
    default:
        return instruction->op == OP_ANY;
    }
}

/* Rune at a position and its length; UINT32_MAX at the end. */
static uint32_t rune_at(struct str text, size_t position, size_t *length)
{
    uint32_t rune;
    *length = 0;
    if (position >= text.size)
        return UINT32_MAX;
    *length = str_decode_rune(str_from(text.data + position, text.size - position), &rune);
    if (*length > 0)
        return rune;
    *length = 1;
    return RUNE_BAD;
}

/* Lets every thread of `now` take `rune` and go on in `then`, at the position behind it. A thread
 * that has matched ends all less preferred ones; its slots go to *best. */
static bool step(struct run *run, struct thread_list *now, struct thread_list *then, uint32_t rune,
                 size_t position, size_t *best)
{
    bool matched = false;
    for (uint32_t i = 0; i < now->count; i++) {
        struct thread thread = now->threads[i];
        const struct instruction *instruction = &run->program->code[thread.at];
        if (!matched && instruction->op == OP_MATCH) {
            matched = true;
            if (run->slot_count > 0)
                memcpy(best, thread.slots->offsets, run->slot_count * sizeof *best);
        } else if (!matched && rune != UINT32_MAX && consumes(run->program, instruction, rune)) {
            if (run->slot_count > 0)
                memcpy(run->current, thread.slots->offsets, run->slot_count * sizeof(size_t));
            add_threads(run, then, instruction->next, position);
        }
        free_slots(run, thread.slots);
    }
    now->count = 0;
    now->order_count = 0;
    return matched;
}

static void list_init(struct thread_list *list, uint32_t count)
{
    *list = (struct thread_list){
        .threads = MEM_NEW_ARRAY(MEM_MODEL, struct thread, count),
        .order = MEM_NEW_ARRAY(MEM_MODEL, uint32_t, count),
        .places = MEM_NEW_ARRAY(MEM_MODEL, uint32_t, count),
    };
}

static void list_deinit(struct thread_list *list, struct run *run)
{
    for (uint32_t i = 0; i < list->count; i++)
        free_slots(run, list->threads[i].slots);
    mem_free(MEM_MODEL, list->threads);
    mem_free(MEM_MODEL, list->order);
    mem_free(MEM_MODEL, list->places);
}

/* Walks over the text. best[] gets the slots of the preferred match. */
static bool walk(struct run *run, struct thread_list *lists, size_t *best)
{
    struct thread_list *now = &lists[0];
    struct thread_list *then = &lists[1];
    bool matched = false;
    size_t position = 0;
    size_t length;
    run->before = UINT32_MAX;
    run->after = rune_at(run->text, 0, &length);
    for (;;) {
        /* A new attempt is the least preferred thread, and there is none after a match. */
        if (!matched) {
            for (uint32_t i = 0; i < run->slot_count; i++)
                run->current[i] = SIZE_MAX;
            add_threads(run, now, run->program->start, position);
        }
        if (now->count == 0 && matched)
            return true;
        uint32_t rune = run->after;
        size_t following = position + length;
        size_t next_length;
        run->before = rune;
        run->after = rune_at(run->text, following, &next_length);
        matched |= step(run, now, then, rune, following, best);
        if (rune == UINT32_MAX || (matched && run->slot_count == 0))
            return matched;
        position = following;
        length = next_length;
        struct thread_list *swapped = now;
        now = then;
        then = swapped;
    }
}

bool regex__program_match(const struct regex_program *program, struct str text,
                          struct regex_span *spans, uint32_t span_count)
{
    struct run run = {.program = program, .text = text, .slot_count = 2 * span_count};
    struct thread_list lists[2];
    size_t *best = MEM_NEW_ARRAY(MEM_MODEL, size_t, run.slot_count + 1);
    run.current = MEM_NEW_ARRAY(MEM_MODEL, size_t, run.slot_count + 1);
    list_init(&lists[0], program->count);
    list_init(&lists[1], program->count);
    bool matched = walk(&run, lists, best);
    for (uint32_t i = 0; matched && i < span_count; i++) {
        bool present = best[2 * i] != SIZE_MAX && best[2 * i + 1] != SIZE_MAX;
        spans[i] = present ? (struct regex_span){best[2 * i], best[2 * i + 1]}
                           : (struct regex_span){SIZE_MAX, SIZE_MAX};
    }
    list_deinit(&lists[0], &run);
    list_deinit(&lists[1], &run);
    while (run.free_slots != NULL) {
        union slots *slots = run.free_slots;
        run.free_slots = slots->next_free;
        mem_free(MEM_MODEL, slots);
    }
    mem_free(MEM_MODEL, run.stack);
    mem_free(MEM_MODEL, run.current);
    mem_free(MEM_MODEL, best);
    return matched;
}
