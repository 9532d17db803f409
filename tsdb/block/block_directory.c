#include "block_directory.h"

static err_t corrupt_at(const struct block *block, const uint8_t *at, const char *what,
                        struct strbuf *why)
{
    return block__corrupt(block, (uint64_t)(at - block->mapping.data), what, why);
}

/* ---- chunks ---- */

static err_t chunk_first_series(const struct block *block, uint32_t index, uint32_t *series,
                                struct strbuf *why)
{
    const uint8_t *entry;
    TRY(block__entry(block, BLOCK__CHUNKS, index, BLOCK__CHUNK_ENTRY_BYTES, &entry, why));
    *series = block__get32(entry + 12);
    return OK;
}

/* Index of the last chunk that begins at or before `series`. */
static err_t chunk_find(const struct block *block, uint32_t series, uint32_t *index,
                        struct strbuf *why)
{
    uint32_t low = 0;
    uint32_t high = block->chunk_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        uint32_t first;
        TRY(chunk_first_series(block, middle, &first, why));
        if (first <= series)
            low = middle;
        else
            high = middle;
    }
    *index = low;
    return OK;
}

static err_t chunk_parse(const struct block *block, const uint8_t *bytes, uint32_t size,
                         struct block__chunk_view *chunk, struct strbuf *why)
{
    const uint8_t *at = bytes + 1;
    const uint8_t *end = bytes + size;
    uint64_t page;
    uint64_t page_offset;
    uint64_t labels_size;
    if (size < 1 || !block__get_uv(&at, end, &page) || !block__get_uv(&at, end, &page_offset) ||
        !block__get_uv(&at, end, &labels_size) || page > block->meta.counts.pages ||
        page_offset > BLOCK_COLUMN_BYTES_MAX || labels_size > (uint64_t)(end - at))
        return corrupt_at(block, bytes, "head of a series chunk is malformed", why);
    chunk->series_count = bytes[0] + 1u;
    chunk->page = (uint32_t)page;
    chunk->page_offset = (uint32_t)page_offset;
    chunk->labels = at;
    chunk->directory = at + labels_size;
    chunk->end = end;
    return OK;
}

/* Loads the chunk that holds `series`, unless it is loaded already. */
static err_t load_chunk(const struct block *block, uint32_t series, struct block__chunk_view *chunk,
                        struct strbuf *why)
{
    assert(series < block->meta.counts.series);
    if (chunk->index != BLOCK_NONE && series - chunk->first_series < chunk->series_count)
        return OK;
    chunk->index = BLOCK_NONE;
    if (block->chunk_count == 0)
        return block__corrupt(block, block->sections[BLOCK__CHUNKS].offset,
                              "series chunks are missing", why);
    uint32_t index;
    TRY(chunk_find(block, series, &index, why));
    const uint8_t *entry;
    TRY(block__entry(block, BLOCK__CHUNKS, index, BLOCK__CHUNK_ENTRY_BYTES, &entry, why));
    uint64_t offset = block__get64(entry);
    uint32_t size = block__get32(entry + 8);
    chunk->first_series = block__get32(entry + 12);
    uint32_t end = block->meta.counts.series;
    if (index + 1 < block->chunk_count)
        TRY(chunk_first_series(block, index + 1, &end, why));
    const uint8_t *bytes;
    TRY(block__view(block, offset, size, &bytes, why));
    TRY(chunk_parse(block, bytes, size, chunk, why));
    if (end - chunk->first_series != chunk->series_count ||
        series - chunk->first_series >= chunk->series_count)
        return corrupt_at(block, bytes, "series chunk has the wrong number of series", why);
    chunk->index = index;
    return OK;
}

/* ---- labels ---- */

/* Moves a symbol number by a zigzag difference; false if the result is no symbol. */
static bool symbol_move(const struct block *block, const uint8_t **at, const uint8_t *end,
                        uint32_t *symbol)
{
    uint64_t zigzag;
    if (!block__get_uv(at, end, &zigzag))
        return false;
    uint64_t moved = *symbol + (uint64_t)block__unzigzag(zigzag);
    *symbol = (uint32_t)moved;
    return moved < block->meta.counts.symbols;
}

static bool labels_parse(const struct block *block, struct block__label_walk *walk)
{
    const uint8_t *end = walk->chunk.directory;
    const uint8_t *at = walk->at;
    uint64_t count;
    if (!block__get_uv(&at, end, &count) || count > BLOCK_LABELS_MAX ||
        (count + 7) / 8 > (uint64_t)(end - at))
        return false;
    const uint8_t *same = at;
    at += (count + 7) / 8;
    for (uint32_t i = 0; i < count; i++) {
        struct block_label *label = &walk->labels[i];
        if (same[i / 8] >> (i % 8) & 1) {
            if (i >= walk->count)
                return false;
        } else {
            if (i >= walk->count)
                *label = (struct block_label){0, 0};
            if (!symbol_move(block, &at, end, &label->name) ||
                !symbol_move(block, &at, end, &label->value))
                return false;
        }
        if (i > 0 && walk->labels[i - 1].name >= label->name)
            return false;
    }
    walk->count = (uint32_t)count;
    walk->at = at;
    walk->next_series++;
    return true;
}

err_t block__label_walk_to(const struct block *block, struct block__label_walk *walk,
                           uint32_t series, struct strbuf *why)
{
    uint32_t before = walk->chunk.index;
    TRY(load_chunk(block, series, &walk->chunk, why));
    if (walk->chunk.index != before || series + 1 < walk->next_series) {
        walk->at = walk->chunk.labels;
        walk->next_series = walk->chunk.first_series;
        walk->count = 0;
    }
    while (walk->next_series <= series) {
        if (!labels_parse(block, walk)) {
            walk->chunk.index = BLOCK_NONE;
            return corrupt_at(block, walk->at, "labels of a series are malformed", why);
        }
    }
    return OK;
}

/* ---- directory ---- */

static err_t open_run(const struct block *block, struct block__directory_walk *walk,
                      struct strbuf *why)
{
    uint64_t head;
    uint64_t first = 0;
    uint64_t count;
    if (!block__get_uv(&walk->at, walk->chunk.end, &head))
        return corrupt_at(block, walk->at, "run of windows is malformed", why);
    uint64_t group = walk->run_group + (uint64_t)block__unzigzag(head >> BLOCK__RUN_SHIFT);
    if (group >= block->meta.counts.groups)
        return corrupt_at(block, walk->at, "run of windows has an unknown group", why);
    walk->run_group = (uint32_t)group;
    walk->run_more = (head & BLOCK__RUN_MORE) != 0;
    if (head & BLOCK__RUN_PARTIAL) {
        if (!block__get_uv(&walk->at, walk->chunk.end, &first) ||
            !block__get_uv(&walk->at, walk->chunk.end, &count) || first >= UINT32_MAX ||
            count > UINT32_MAX - 1 - first)
            return corrupt_at(block, walk->at, "run of windows is malformed", why);
    } else {
        struct block__group_place place;
        TRY(block__group_place(block, walk->run_group, &place, why));
        count = place.window_count;
    }
    walk->run_next_window = (uint32_t)first;
    walk->run_end_window = (uint32_t)(first + count);
    return OK;
}

/* Gives the record its place and moves on by its bytes. */
static err_t place_record(const struct block *block, struct block__directory_walk *walk,
                          struct block__record *record, struct strbuf *why)
{
    uint64_t size = (uint64_t)record->size + record->start_times_size;
    if (size == 0)
        return OK;
    for (int moved = 0; moved < 2; moved++) {
        if (walk->page_raw_size == 0) {
            if (walk->page >= block->meta.counts.pages)
                break;
            struct block__page_place place;
            TRY(block__page_place(block, walk->page, &place, why));
            walk->page_raw_size = place.raw_size;
        }
        if (walk->page_offset < walk->page_raw_size) {
            if (size > walk->page_raw_size - walk->page_offset)
                break;
            record->page = walk->page;
            record->page_offset = walk->page_offset;
            walk->page_offset += (uint32_t)size;
            return OK;
        }
        walk->page++;
        walk->page_offset = 0;
        walk->page_raw_size = 0;
    }
    return corrupt_at(block, walk->at, "column reaches beyond its page", why);
}

static bool take_stats(struct block__directory_walk *walk, struct block__record *record)
{
    const uint8_t *at = walk->at;
    if (at >= walk->chunk.end || *at > (uint64_t)(walk->chunk.end - at - 1))
        return false;
    record->stats_size = *at;
    record->stats = at + 1;
    if (column_stats_are_usable(record->stats, record->stats_size))
        record->flags |= BLOCK__STATS;
    walk->at = at + 1 + record->stats_size;
    return true;
}

/* The inline constant of `size` bytes at the walk's place becomes the record's and the latest. */
static bool take_constant(struct block__directory_walk *walk, struct block__record *record,
                          uint64_t size)
{
    if (size > (uint64_t)(walk->chunk.end - walk->at))
        return false;
    if (size > 0) {
        walk->constant = walk->at;
        walk->constant_size = (uint32_t)size;
        walk->at += size;
    }
    record->flags |= BLOCK__CONSTANT;
    record->constant = walk->constant;
    record->constant_size = walk->constant_size;
    return walk->constant_size > 0;
}

static bool take_byte(struct block__directory_walk *walk, uint8_t *byte)
{
    if (walk->at >= walk->chunk.end)
        return false;
    *byte = *walk->at++;
    return true;
}

static bool take_size(struct block__directory_walk *walk, uint32_t *size)
{
    uint64_t value;
    if (!block__get_uv(&walk->at, walk->chunk.end, &value) || value == 0 ||
        value > BLOCK_COLUMN_BYTES_MAX)
        return false;
    *size = (uint32_t)value;
    return true;
}

static bool take_rows(struct block__directory_walk *walk, struct block__record *record)
{
    uint8_t byte;
    switch (record->flags & BLOCK__ROWS_MASK) {
    case BLOCK__ROWS_ALL:
        return true;
    case BLOCK__ROWS_RANGE:
        if (!take_byte(walk, &record->row0) || !take_byte(walk, &byte) ||
            record->row0 + byte + 1u > COLUMN_ROWS_MAX)
            return false;
        record->row_count = (uint8_t)(byte + 1u);
        return true;
    case BLOCK__ROWS_BITMAP:
        if (!take_byte(walk, &byte) || byte == 0 || byte > COLUMN_ROWS_MAX / 8 ||
            byte > walk->chunk.end - walk->at)
            return false;
        record->bitmap = walk->at;
        record->bitmap_size = byte;
        walk->at += byte;
        return true;
    default:
        return false;
    }
}

static bool take_general(struct block__directory_walk *walk, struct block__record *record)
{
    uint8_t flags;
    uint8_t constant_size;
    if (!take_byte(walk, &flags))
        return false;
    record->flags = flags & (uint8_t)~BLOCK__STATS;
    if (!take_rows(walk, record))
        return false;
    if (flags & BLOCK__CONSTANT) {
        if ((flags & BLOCK__HISTOGRAM) || !take_byte(walk, &constant_size) ||
            !take_constant(walk, record, constant_size))
            return false;
    } else if (!take_size(walk, &record->size)) {
        return false;
    }
    if ((flags & BLOCK__START_TIMES) && !take_size(walk, &record->start_times_size))
        return false;
    return (flags & BLOCK__STATS) == 0 || take_stats(walk, record);
}

/* Reads the record after `code`; false if it is malformed. *absent: it stands for no column. */
static bool take_record(const struct block *block, struct block__directory_walk *walk,
                        uint64_t code, struct block__record *record, bool *absent)
{
    uint64_t extra = 0;
    uint64_t left = walk->run_end_window - walk->run_next_window;
    *absent = false;
    record->window_count = 1;
    switch (code) {
    case BLOCK__CODE_REPEAT:
        return take_constant(walk, record, 0);
    case BLOCK__CODE_REPEAT_RUN:
        if (!block__get_uv(&walk->at, walk->chunk.end, &extra) || left < 2 || extra > left - 2)
            return false;
        record->window_count = (uint32_t)extra + 2;
        return take_constant(walk, record, 0);
    case BLOCK__CODE_ABSENT:
        if (!block__get_uv(&walk->at, walk->chunk.end, &extra) || extra >= left)
            return false;
        record->window_count = (uint32_t)extra + 1;
        *absent = true;
        return true;
    case BLOCK__CODE_GENERAL:
        return take_general(walk, record);
    default:
        if (code <= BLOCK__CODE_COLUMN)
            return take_constant(walk, record, code - BLOCK__CODE_CONSTANT);
        if (code - BLOCK__CODE_COLUMN > BLOCK_COLUMN_BYTES_MAX)
            return false;
        record->size = (uint32_t)(code - BLOCK__CODE_COLUMN);
        return !block->simple_has_stats || take_stats(walk, record);
    }
}

err_t block__directory_walk_next(const struct block *block, struct block__directory_walk *walk,
                                 struct block__record *record, bool *found, struct strbuf *why)
{
    *found = false;
    while (!walk->series_done) {
        if (walk->run_next_window == walk->run_end_window) {
            if (!walk->run_more) {
                walk->series_done = true;
                return OK;
            }
            TRY(open_run(block, walk, why));
            continue;
        }
        uint64_t code;
        bool absent;
        *record = (struct block__record){.window = walk->run_next_window};
        if (!block__get_uv(&walk->at, walk->chunk.end, &code) ||
            !take_record(block, walk, code, record, &absent))
            return corrupt_at(block, walk->at, "record of a column is malformed", why);
        if ((record->flags & BLOCK__SHARED) == 0)
            walk->run_next_window += record->window_count;
        if (absent)
            continue;
        TRY(place_record(block, walk, record, why));
        *found = true;
        return OK;
    }
    return OK;
}

static err_t begin_series(const struct block *block, struct block__directory_walk *walk,
                          struct strbuf *why)
{
    walk->series_done = false;
    walk->constant = NULL;
    walk->constant_size = 0;
    return open_run(block, walk, why);
}

err_t block__directory_walk_to(const struct block *block, struct block__directory_walk *walk,
                               uint32_t series, struct strbuf *why)
{
    uint32_t before = walk->chunk.index;
    TRY(load_chunk(block, series, &walk->chunk, why));
    err_t err = OK;
    if (walk->chunk.index != before || series <= walk->series) {
        walk->at = walk->chunk.directory;
        walk->page = walk->chunk.page;
        walk->page_offset = walk->chunk.page_offset;
        walk->page_raw_size = 0;
        walk->run_group = 0;
        walk->series = walk->chunk.first_series;
        TRY_OUT(begin_series(block, walk, why));
    }
    while (walk->series < series) {
        struct block__record record;
        bool found = true;
        while (found)
            TRY_OUT(block__directory_walk_next(block, walk, &record, &found, why));
        walk->series++;
        TRY_OUT(begin_series(block, walk, why));
    }
out:
    if (err != OK)
        walk->chunk.index = BLOCK_NONE;
    return err;
}
