/* Matchers against the label index of a block: the same rules as in the head. */
#include <stdlib.h>
#include <string.h>

#include "db_impl.h"
#include "narthex/base/vec.h"
#include "narthex/model/regex.h"

struct operand {
    uint32_t *ids; /* ascending, MEM_BLOCK */
    size_t count;
    size_t capacity;
    bool subtract;
};

static err_t add_pair(const struct block *block, uint32_t pair, struct operand *operand,
                      struct strbuf *why)
{
    struct block_pair info;
    TRY(block_pair(block, pair, &info, why));
    VEC_RESERVE(MEM_BLOCK, operand->ids, operand->capacity, operand->count + info.series_count);
    TRY(block_postings(block, pair, operand->ids + operand->count, why));
    operand->count += info.series_count;
    return OK;
}

static err_t add_value(const struct block *block, const struct block_name *name, struct str value,
                       struct operand *operand, struct strbuf *why)
{
    uint32_t pair;
    TRY(block_find_pair(block, name, value, &pair, why));
    return pair == BLOCK_NONE ? OK : add_pair(block, pair, operand, why);
}

static err_t add_scanned(const struct block *block, const struct block_name *name,
                         const struct matcher *matcher, bool wanted, struct operand *operand,
                         struct strbuf *why)
{
    for (uint32_t i = 0; i < name->pair_count; i++) {
        struct block_pair info;
        TRY(block_pair(block, name->first_pair + i, &info, why));
        if (matcher_matches(matcher, info.value) == wanted)
            TRY(add_pair(block, name->first_pair + i, operand, why));
    }
    return OK;
}

static int compare_ids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Fills the operand with the union of the postings that the matcher keeps or removes. */
static err_t operand_build(const struct block *block, const struct matcher *matcher,
                           struct operand *operand, struct strbuf *why)
{
    operand->subtract = matcher_matches_empty(matcher);
    struct block_name name;
    bool found;
    TRY(block_find_name(block, matcher->name, &name, &found, why));
    if (!found)
        return OK;
    bool regex = matcher->kind == MATCH_REGEX || matcher->kind == MATCH_NOT_REGEX;
    bool negative = matcher->kind == MATCH_NOT_EQUAL || matcher->kind == MATCH_NOT_REGEX;
    struct regex_set set = {NULL, 0};
    if (negative == operand->subtract && regex)
        set = regex_set(matcher->regex);
    if (negative == operand->subtract && !regex && matcher->value.size > 0)
        return add_value(block, &name, matcher->value, operand, why);
    if (set.count == 0) {
        TRY(add_scanned(block, &name, matcher, !operand->subtract, operand, why));
    } else {
        for (size_t i = 0; i < set.count; i++)
            TRY(add_value(block, &name, set.items[i], operand, why));
    }
    if (operand->count == 0)
        return OK;
    qsort(operand->ids, operand->count, sizeof *operand->ids, compare_ids);
    size_t distinct = 1;
    for (size_t i = 1; i < operand->count; i++) {
        if (operand->ids[i] != operand->ids[distinct - 1])
            operand->ids[distinct++] = operand->ids[i];
    }
    operand->count = distinct;
    return OK;
}

static err_t combine(const struct block *block, struct operand *operands, size_t operand_count,
                     struct arena *arena, struct id_view *ordinals, struct strbuf *why)
{
    const struct operand *smallest = NULL;
    for (size_t i = 0; i < operand_count; i++) {
        if (!operands[i].subtract && (smallest == NULL || operands[i].count < smallest->count))
            smallest = &operands[i];
    }
    size_t count = smallest != NULL ? smallest->count : block_meta(block)->counts.series;
    uint32_t *ids = arena_try_alloc(arena, (count + 1) * sizeof *ids);
    if (ids == NULL)
        return err_fail(why, ERR_LIMIT, "selection of %zu series needs too much memory", count);
    for (size_t i = 0; i < count; i++)
        ids[i] = smallest != NULL ? smallest->ids[i] : (uint32_t)i;
    *ordinals = (struct id_view){ids, count};
    for (size_t i = 0; i < operand_count; i++) {
        struct id_view view = {operands[i].ids, operands[i].count};
        if (&operands[i] == smallest)
            continue;
        ordinals->count = operands[i].subtract ? id_set_subtract(*ordinals, view, ids)
                                               : id_set_intersect(*ordinals, view, ids);
    }
    return OK;
}

err_t db__block_select(const struct block *block, struct selector selector, struct arena *arena,
                       struct id_view *ordinals, struct strbuf *why)
{
    struct operand *operands = MEM_NEW_ARRAY(MEM_BLOCK, struct operand, selector.count + 1);
    err_t err = OK;
    for (size_t i = 0; i < selector.count && err == OK; i++)
        err = operand_build(block, &selector.matchers[i], &operands[i], why);
    if (err == OK)
        err = combine(block, operands, selector.count, arena, ordinals, why);
    for (size_t i = 0; i < selector.count; i++)
        mem_free(MEM_BLOCK, operands[i].ids);
    mem_free(MEM_BLOCK, operands);
    return err;
}
