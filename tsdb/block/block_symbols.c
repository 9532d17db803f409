/* Collects the strings of a block and sorts them. */
#include <stdlib.h>

#include "narthex/base/hash.h"
#include "narthex/base/htable.h"
#include "narthex/base/vec.h"
#include "narthex/tsdb/block.h"

struct symbol_entry {
    struct str text;
    uint32_t ordinal; /* after the write */
};

struct block_symbols {
    struct arena memory; /* the strings */
    struct symbol_entry *items;
    uint32_t count;
    uint32_t capacity;
    struct htable table;
};

struct block_symbols *block_symbols_create(void)
{
    struct block_symbols *symbols = MEM_NEW(MEM_BLOCK, struct block_symbols);
    arena_init(&symbols->memory, MEM_BLOCK, SIZE_MAX);
    htable_init(&symbols->table, MEM_BLOCK);
    return symbols;
}

void block_symbols_destroy(struct block_symbols *symbols)
{
    if (symbols == NULL)
        return;
    arena_deinit(&symbols->memory);
    htable_deinit(&symbols->table);
    mem_free(MEM_BLOCK, symbols->items);
    mem_free(MEM_BLOCK, symbols);
}

static bool symbol_equal(const void *owner, uint32_t item, const void *key)
{
    const struct block_symbols *symbols = owner;
    const struct str *text = key;
    return str_equal(symbols->items[item].text, *text);
}

void block_symbols_add(struct block_symbols *symbols, struct str symbol)
{
    uint64_t hash = hash_str(symbol);
    if (htable_find(&symbols->table, hash, symbol_equal, symbols, &symbol) != HTABLE_NONE)
        return;
    VEC_PUSH(MEM_BLOCK, symbols->items, symbols->count, symbols->capacity,
             (struct symbol_entry){.text = arena_str(&symbols->memory, symbol)});
    htable_insert(&symbols->table, hash, symbols->count - 1);
}

void block_symbols_add_labels(struct block_symbols *symbols, struct labels labels)
{
    for (uint32_t i = 0; i < labels.count; i++) {
        block_symbols_add(symbols, labels.items[i].name);
        block_symbols_add(symbols, labels.items[i].value);
    }
}

static int symbol_compare(const void *left, const void *right)
{
    const struct symbol_entry *const *a = left;
    const struct symbol_entry *const *b = right;
    return str_compare((*a)->text, (*b)->text);
}

err_t block_symbols_write(struct block_symbols *symbols, struct block_writer *writer,
                          struct strbuf *why)
{
    if (symbols->count == 0)
        return OK;
    struct symbol_entry **order = MEM_NEW_ARRAY(MEM_BLOCK, struct symbol_entry *, symbols->count);
    for (uint32_t i = 0; i < symbols->count; i++)
        order[i] = &symbols->items[i];
    qsort(order, symbols->count, sizeof *order, symbol_compare);
    err_t err = OK;
    for (uint32_t i = 0; i < symbols->count && err == OK; i++) {
        order[i]->ordinal = i;
        err = block_writer_add_symbol(writer, order[i]->text, why);
    }
    mem_free(MEM_BLOCK, order);
    return err;
}

uint32_t block_symbols_find(const struct block_symbols *symbols, struct str symbol)
{
    uint32_t item = htable_find(&symbols->table, hash_str(symbol), symbol_equal, symbols, &symbol);
    return item == HTABLE_NONE ? BLOCK_NONE : symbols->items[item].ordinal;
}
