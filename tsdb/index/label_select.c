/* Selection: matchers to postings to ordinals.
 *
 * A matcher that does not match the empty value keeps the series that carry a matching pair; one
 * that does removes the series that carry a pair it does not match. Lists of one name are disjoint.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "label_index_impl.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"
#include "narthex/model/regex.h"

/* The lists of one matcher, and what to do with their union. */
struct operand {
    struct id_view *lists;
    uint32_t count;
    uint32_t capacity;
    size_t total; /* ids in all lists */
    bool subtract;
};

static void add_pair(struct label_index *index, struct operand *operand, uint32_t id)
{
    struct id_view view = id_list__view(&label_index__pair(index, id)->series);
    if (view.count == 0)
        return;
    VEC_PUSH(MEM_POSTINGS, operand->lists, operand->count, operand->capacity, view);
    operand->total += view.count;
}

static void add_value(struct label_index *index, struct operand *operand, uint32_t name,
                      struct str value)
{
    uint32_t pair = label_index__find_pair(index, name, value);
    if (pair != LABEL_PAIR_NONE)
        add_pair(index, operand, pair);
}

/* All pairs of the name whose matching is `wanted`. */
static void add_scanned(struct label_index *index, struct operand *operand, uint32_t name,
                        const struct matcher *matcher, bool wanted)
{
    struct id_view pairs = label_index_name_pairs(index, name);
    struct str prefix = {NULL, 0};
    bool positive = matcher->kind == MATCH_REGEX && wanted;
    if (positive)
        prefix = regex_prefix(matcher->regex);
    for (size_t i = 0; i < pairs.count; i++) {
        const struct label_pair *pair = label_index__pair(index, pairs.items[i]);
        struct str value = str_from(pair->value, pair->value_size);
        if (positive && !str_starts_with(value, prefix))
            continue;
        if (matcher_matches(matcher, value) == wanted)
            add_pair(index, operand, pairs.items[i]);
    }
}

static void operand_build(struct label_index *index, const struct matcher *matcher,
                          struct operand *operand)
{
    operand->subtract = matcher_matches_empty(matcher);
    uint32_t name = label_index_find_name(index, matcher->name);
    if (name == HTABLE_NONE)
        return;
    bool regex = matcher->kind == MATCH_REGEX || matcher->kind == MATCH_NOT_REGEX;
    bool negative = matcher->kind == MATCH_NOT_EQUAL || matcher->kind == MATCH_NOT_REGEX;
    /* "Pairs with one of these values" is what is kept by = and =~, and removed by != and !~. */
    if (negative == operand->subtract && !regex && matcher->value.size > 0) {
        add_value(index, operand, name, matcher->value);
        return;
    }
    if (negative == operand->subtract && regex) {
        struct regex_set set = regex_set(matcher->regex);
        if (set.count > 0) {
            for (size_t i = 0; i < set.count; i++)
                add_value(index, operand, name, set.items[i]);
            return;
        }
    }
    add_scanned(index, operand, name, matcher, !operand->subtract);
}

static int compare_ids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* The union of the operand's lists; in memory of MEM_POSTINGS unless it is one list (then *owned is
 * NULL). */
static struct id_view operand_union(const struct operand *operand, uint32_t **owned)
{
    *owned = NULL;
    if (operand->count == 0)
        return (struct id_view){NULL, 0};
    if (operand->count == 1)
        return operand->lists[0];
    uint32_t *ids = mem_alloc(MEM_POSTINGS, operand->total * sizeof *ids);
    size_t count = 0;
    for (uint32_t i = 0; i < operand->count; i++) {
        memcpy(ids + count, operand->lists[i].items, operand->lists[i].count * sizeof *ids);
        count += operand->lists[i].count;
    }
    qsort(ids, count, sizeof *ids, compare_ids);
    size_t distinct = 1;
    for (size_t i = 1; i < count; i++) {
        if (ids[i] != ids[distinct - 1])
            ids[distinct++] = ids[i];
    }
    *owned = ids;
    return (struct id_view){ids, distinct};
}

static void apply(const struct operand *operand, struct id_view *result, uint32_t *ids)
{
    uint32_t *owned;
    struct id_view view = operand_union(operand, &owned);
    result->count = operand->subtract ? id_set_subtract(*result, view, ids)
                                      : id_set_intersect(*result, view, ids);
    mem_free(MEM_POSTINGS, owned);
}

/* Start: the smallest list to keep, or everything. */
static err_t first_ids(struct label_index *index, const struct operand *smallest,
                       struct arena *arena, struct id_view *result, struct strbuf *why)
{
    uint32_t *owned = NULL;
    struct id_view view =
        smallest == NULL ? id_list__view(&index->all) : operand_union(smallest, &owned);
    uint32_t *ids = arena_try_alloc(arena, (view.count + 1) * sizeof *ids);
    if (ids == NULL) {
        mem_free(MEM_POSTINGS, owned);
        return err_fail(why, ERR_LIMIT, "selection of %zu series needs too much memory",
                        view.count);
    }
    if (view.count > 0)
        memcpy(ids, view.items, view.count * sizeof *ids);
    mem_free(MEM_POSTINGS, owned);
    *result = (struct id_view){ids, view.count};
    return OK;
}

err_t label_index_select(struct label_index *index, const struct matcher *matchers,
                         size_t matcher_count, struct arena *arena, struct id_view *ordinals,
                         struct strbuf *why)
{
    struct operand *operands = MEM_NEW_ARRAY(MEM_POSTINGS, struct operand, matcher_count + 1);
    struct operand *smallest = NULL;
    for (size_t i = 0; i < matcher_count; i++) {
        operand_build(index, &matchers[i], &operands[i]);
        if (!operands[i].subtract && (smallest == NULL || operands[i].total < smallest->total))
            smallest = &operands[i];
    }
    err_t err = first_ids(index, smallest, arena, ordinals, why);
    for (int subtract = 0; subtract <= 1 && err == OK; subtract++) {
        for (size_t i = 0; i < matcher_count && ordinals->count > 0; i++) {
            if (&operands[i] != smallest && operands[i].subtract == (subtract == 1))
                apply(&operands[i], ordinals, (uint32_t *)ordinals->items);
        }
    }
    for (size_t i = 0; i < matcher_count; i++)
        mem_free(MEM_POSTINGS, operands[i].lists);
    mem_free(MEM_POSTINGS, operands);
    return err;
}
