/* Symbols, label names, label values and postings of an open block. */
#include "block_file.h"

err_t block_symbol(const struct block *block, uint32_t symbol, struct str *text, struct strbuf *why)
{
    const struct block__section_place *strings = &block->sections[BLOCK__SYMBOL_BYTES];
    uint64_t at = block->sections[BLOCK__SYMBOL_OFFSETS].offset + (uint64_t)symbol * 4;
    if (symbol >= block->meta.counts.symbols)
        return block__corrupt(block, at, "symbol number is too large", why);
    const uint8_t *offsets;
    TRY(block__view(block, at, 8, &offsets, why));
    uint32_t start = block__get32(offsets);
    uint32_t end = block__get32(offsets + 4);
    if (start > end || end > strings->size)
        return block__corrupt(block, at, "symbol offsets do not ascend", why);
    const uint8_t *bytes;
    TRY(block__view(block, strings->offset + start, end - start, &bytes, why));
    *text = str_from((const char *)bytes, end - start);
    return OK;
}

uint32_t block_name_count(const struct block *block)
{
    return block->name_count;
}

err_t block_name(const struct block *block, uint32_t index, struct block_name *name,
                 struct strbuf *why)
{
    assert(index < block->name_count);
    const uint8_t *entry;
    TRY(block__entry(block, BLOCK__NAMES, index, BLOCK__NAME_ENTRY_BYTES, &entry, why));
    name->first_pair = block__get32(entry + 4);
    name->pair_count = block__get32(entry + 8);
    if (name->first_pair > block->pair_count ||
        name->pair_count > block->pair_count - name->first_pair)
        return block__corrupt(block, block->sections[BLOCK__NAMES].offset,
                              "label name has impossible pairs", why);
    return block_symbol(block, block__get32(entry), &name->name, why);
}

err_t block_find_name(const struct block *block, struct str text, struct block_name *name,
                      bool *found, struct strbuf *why)
{
    uint32_t low = 0;
    uint32_t high = block->name_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        TRY(block_name(block, middle, name, why));
        int order = str_compare(name->name, text);
        if (order == 0) {
            *found = true;
            return OK;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = false;
    return OK;
}

err_t block_pair(const struct block *block, uint32_t pair, struct block_pair *result,
                 struct strbuf *why)
{
    assert(pair < block->pair_count);
    const uint8_t *entry;
    TRY(block__entry(block, BLOCK__PAIRS, pair, BLOCK__PAIR_ENTRY_BYTES, &entry, why));
    result->series_count = block__get32(entry + 4);
    if (result->series_count == 0 || result->series_count > block->meta.counts.series)
        return block__corrupt(block, block->sections[BLOCK__PAIRS].offset,
                              "label pair has an impossible number of series", why);
    return block_symbol(block, block__get32(entry), &result->value, why);
}

err_t block_find_pair(const struct block *block, const struct block_name *name, struct str value,
                      uint32_t *pair, struct strbuf *why)
{
    uint32_t low = name->first_pair;
    uint32_t high = name->first_pair + name->pair_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct block_pair found;
        TRY(block_pair(block, middle, &found, why));
        int order = str_compare(found.value, value);
        if (order == 0) {
            *pair = middle;
            return OK;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *pair = BLOCK_NONE;
    return OK;
}

/* Encoded postings of a pair: from its offset to that of the next one. */
static err_t postings_bytes(const struct block *block, uint32_t pair, const uint8_t **bytes,
                            uint64_t *size, struct strbuf *why)
{
    const struct block__section_place *section = &block->sections[BLOCK__POSTINGS];
    const uint8_t *entry;
    *size = 0;
    TRY(block__entry(block, BLOCK__PAIRS, pair, BLOCK__PAIR_ENTRY_BYTES, &entry, why));
    uint64_t start = block__get32(entry + 8);
    uint64_t end = section->size;
    if (pair + 1 < block->pair_count) {
        TRY(block__entry(block, BLOCK__PAIRS, pair + 1, BLOCK__PAIR_ENTRY_BYTES, &entry, why));
        end = block__get32(entry + 8);
    }
    if (start > end || end > section->size)
        return block__corrupt(block, section->offset, "offsets of postings do not ascend", why);
    *size = end - start;
    return block__view(block, section->offset + start, end - start, bytes, why);
}

/* Whether the bytes hold exactly `count` ascending numbers below `limit`; then they are in out. */
static bool postings_decode(const uint8_t *at, const uint8_t *end, uint32_t count, uint64_t limit,
                            uint32_t *out)
{
    uint64_t next = 0;
    uint32_t filled = 0;
    while (filled < count) {
        uint64_t token;
        uint64_t length = 1;
        if (!block__get_uv(&at, end, &token))
            return false;
        if (token & 1) {
            if (!block__get_uv(&at, end, &length) || length > UINT32_MAX)
                return false;
            length += 2;
        }
        uint64_t gap = token >> 1;
        if (gap >= limit || length > count - filled || next + gap + length > limit)
            return false;
        next += gap;
        for (uint64_t i = 0; i < length; i++)
            out[filled++] = (uint32_t)next++;
    }
    return at == end;
}

err_t block_postings(const struct block *block, uint32_t pair, uint32_t *ordinals,
                     struct strbuf *why)
{
    struct block_pair info;
    const uint8_t *bytes;
    uint64_t size;
    TRY(block_pair(block, pair, &info, why));
    TRY(postings_bytes(block, pair, &bytes, &size, why));
    if (!postings_decode(bytes, bytes + size, info.series_count, block->meta.counts.series,
                         ordinals))
        return block__corrupt(block, (uint64_t)(bytes - block->mapping.data),
                              "postings are malformed", why);
    return OK;
}

err_t block_group(const struct block *block, uint32_t group, struct block_group *result,
                  struct strbuf *why)
{
    assert(group < block->meta.counts.groups);
    struct block__group_place place;
    TRY(block__group_place(block, group, &place, why));
    struct block_window last;
    TRY(block__window(block, &place, place.window_count - 1, &last, why));
    struct time_column_summary summary;
    if (time_column_peek(last.times, last.times_size, last.row_count, &summary) != OK)
        return block__corrupt(block, place.offset, "time column is malformed", why);
    *result = (struct block_group){
        .key = place.key,
        .window_count = place.window_count,
        .first_ms = block__window_first_ms(&place, 0),
        .last_ms = summary.last_ms,
    };
    return OK;
}

err_t block_group_window(const struct block *block, uint32_t group, uint32_t window,
                         struct block_window *result, struct strbuf *why)
{
    assert(group < block->meta.counts.groups);
    struct block__group_place place;
    TRY(block__group_place(block, group, &place, why));
    assert(window < place.window_count);
    return block__window(block, &place, window, result, why);
}
