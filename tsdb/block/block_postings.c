#include "block_postings.h"

#include <stdlib.h>

#include "narthex/base/hash.h"

enum { POSTING_PART_FIRST = 8, POSTING_PART_MAX = 4096 };

struct block__posting_part {
    struct block__posting_part *next;
    uint16_t used;
    uint16_t capacity;
    uint8_t bytes[];
};

void block__postings_init(struct block__postings *postings)
{
    *postings = (struct block__postings){0};
    arena_init(&postings->memory, MEM_BLOCK, SIZE_MAX);
    htable_init(&postings->table, MEM_BLOCK);
    postings->previous = MEM_NEW_ARRAY(MEM_BLOCK, uint32_t, BLOCK_LABELS_MAX);
}

void block__postings_deinit(struct block__postings *postings)
{
    arena_deinit(&postings->memory);
    htable_deinit(&postings->table);
    mem_free(MEM_BLOCK, postings->items);
    mem_free(MEM_BLOCK, postings->previous);
}

static void list_append(struct block__postings *postings, struct block__posting_list *list,
                        const uint8_t *bytes, size_t size)
{
    struct block__posting_part *part = list->last;
    if (part == NULL || (size_t)(part->capacity - part->used) < size) {
        size_t capacity = part == NULL ? POSTING_PART_FIRST : (size_t)part->capacity * 2;
        if (capacity > POSTING_PART_MAX)
            capacity = POSTING_PART_MAX;
        if (capacity < size)
            capacity = size;
        part = arena_alloc(&postings->memory, sizeof *part + capacity);
        *part = (struct block__posting_part){.capacity = (uint16_t)capacity};
        if (list->last == NULL)
            list->first = part;
        else
            list->last->next = part;
        list->last = part;
    }
    memcpy(part->bytes + part->used, bytes, size);
    part->used = (uint16_t)(part->used + size);
    list->size += (uint32_t)size;
}

static void list_flush_run(struct block__postings *postings, struct block__posting_list *list)
{
    if (list->run_length == 0)
        return;
    uint8_t bytes[2 * BLOCK__UV_BYTES_MAX];
    uint64_t gap = list->run_first - list->next;
    uint8_t *end = block__put_uv(bytes, gap << 1 | (list->run_length > 1));
    if (list->run_length > 1)
        end = block__put_uv(end, list->run_length - 2);
    list->next = list->run_first + list->run_length;
    list->run_length = 0;
    list_append(postings, list, bytes, (size_t)(end - bytes));
}

static void list_add(struct block__postings *postings, struct block__posting_list *list,
                     uint32_t series)
{
    list->series_count++;
    if (list->run_length > 0 && list->run_first + list->run_length == series) {
        list->run_length++;
        return;
    }
    list_flush_run(postings, list);
    list->run_first = series;
    list->run_length = 1;
}

static bool label_equal(struct block_label a, struct block_label b)
{
    return a.name == b.name && a.value == b.value;
}

static bool list_has_label(const void *owner, uint32_t item, const void *key)
{
    const struct block__postings *postings = owner;
    const struct block_label *label = key;
    return label_equal(postings->items[item].label, *label);
}

static uint32_t postings_find_or_add(struct block__postings *postings, struct block_label label)
{
    uint64_t hash = hash_mix(label.name, label.value);
    uint32_t item = htable_find(&postings->table, hash, list_has_label, postings, &label);
    if (item != HTABLE_NONE)
        return item;
    VEC_PUSH(MEM_BLOCK, postings->items, postings->count, postings->capacity,
             (struct block__posting_list){.label = label});
    htable_insert(&postings->table, hash, postings->count - 1);
    return postings->count - 1;
}

void block__postings_add(struct block__postings *postings, uint32_t series,
                         const struct block_label *labels, uint32_t label_count)
{
    for (uint32_t i = 0; i < label_count; i++) {
        /* Neighbours in label order share most pairs: no hashing for those. */
        uint32_t item = i < postings->previous_count ? postings->previous[i] : HTABLE_NONE;
        if (item == HTABLE_NONE || !label_equal(postings->items[item].label, labels[i]))
            item = postings_find_or_add(postings, labels[i]);
        postings->previous[i] = item;
        list_add(postings, &postings->items[item], series);
    }
    postings->previous_count = label_count;
}

static int list_compare(const void *left, const void *right)
{
    const struct block_label *a = &((const struct block__posting_list *)left)->label;
    const struct block_label *b = &((const struct block__posting_list *)right)->label;
    if (a->name != b->name)
        return a->name < b->name ? -1 : 1;
    return a->value < b->value ? -1 : a->value > b->value;
}

static err_t postings_write_lists(struct block__postings *postings, struct block__output *output,
                                  uint64_t section[2], struct strbuf *why)
{
    section[0] = output->position;
    for (uint32_t i = 0; i < postings->count; i++) {
        list_flush_run(postings, &postings->items[i]);
        const struct block__posting_part *part = postings->items[i].first;
        for (; part != NULL; part = part->next)
            TRY(block__output_add(output, part->bytes, part->used, why));
    }
    section[1] = output->position - section[0];
    if (section[1] > UINT32_MAX)
        return err_fail(why, ERR_LIMIT, "postings of a block are larger than 4 GiB");
    return block__output_align(output, why);
}

static err_t postings_write_pairs(const struct block__postings *postings,
                                  struct block__output *output, uint64_t section[2],
                                  struct strbuf *why)
{
    section[0] = output->position;
    uint32_t offset = 0;
    for (uint32_t i = 0; i < postings->count; i++) {
        const struct block__posting_list *list = &postings->items[i];
        uint8_t entry[BLOCK__PAIR_ENTRY_BYTES];
        uint8_t *at = block__put32(entry, list->label.value);
        at = block__put32(at, list->series_count);
        block__put32(at, offset);
        offset += list->size;
        TRY(block__output_add(output, entry, sizeof entry, why));
    }
    section[1] = output->position - section[0];
    return block__output_align(output, why);
}

static err_t postings_write_names(const struct block__postings *postings,
                                  struct block__output *output, uint64_t section[2],
                                  struct strbuf *why)
{
    section[0] = output->position;
    for (uint32_t first = 0; first < postings->count;) {
        uint32_t name = postings->items[first].label.name;
        uint32_t end = first;
        while (end < postings->count && postings->items[end].label.name == name)
            end++;
        uint8_t entry[BLOCK__NAME_ENTRY_BYTES];
        uint8_t *at = block__put32(entry, name);
        at = block__put32(at, first);
        block__put32(at, end - first);
        TRY(block__output_add(output, entry, sizeof entry, why));
        first = end;
    }
    section[1] = output->position - section[0];
    return block__output_align(output, why);
}

err_t block__postings_write(struct block__postings *postings, struct block__output *output,
                            uint64_t sections[][2], struct strbuf *why)
{
    /* Sorting moves the lists; the table and `previous` would point to the wrong ones. */
    htable_clear(&postings->table);
    postings->previous_count = 0;
    if (postings->count > 0)
        qsort(postings->items, postings->count, sizeof *postings->items, list_compare);
    TRY(postings_write_lists(postings, output, sections[BLOCK__POSTINGS], why));
    TRY(postings_write_pairs(postings, output, sections[BLOCK__PAIRS], why));
    return postings_write_names(postings, output, sections[BLOCK__NAMES], why);
}
