/* Opens a block and gives checked views of its bytes. */
#include <inttypes.h>
#include <stdlib.h>

#include "block_file.h"
#include "narthex/base/hash.h"

err_t block__corrupt(const struct block *block, uint64_t offset, const char *what,
                     struct strbuf *why)
{
    return err_fail(why, ERR_CORRUPT, "%s: offset %" PRIu64 ": %s", block->file_path, offset, what);
}

/* ---- checked bytes ---- */

static err_t verify_piece(const struct block *block, uint64_t piece, struct strbuf *why)
{
    uint64_t start = piece * BLOCK__PIECE_BYTES;
    uint64_t size = block->checked_size - start;
    if (size > BLOCK__PIECE_BYTES)
        size = BLOCK__PIECE_BYTES;
    uint32_t crc = hash_crc32c(0, block->mapping.data + start, size);
    if (crc != block__get32(block->checksums + piece * 4))
        return block__corrupt(block, start, "checksum of 4096 bytes does not match", why);
    atomic_fetch_or_explicit(&block->verified[piece / 64], UINT64_C(1) << (piece % 64),
                             memory_order_relaxed);
    return OK;
}

err_t block__view(const struct block *block, uint64_t offset, uint64_t size, const uint8_t **bytes,
                  struct strbuf *why)
{
    if (offset > block->checked_size || size > block->checked_size - offset)
        return block__corrupt(block, offset, "range reaches beyond the file", why);
    *bytes = block->mapping.data + offset;
    if (size == 0)
        return OK;
    uint64_t last = (offset + size - 1) / BLOCK__PIECE_BYTES;
    for (uint64_t piece = offset / BLOCK__PIECE_BYTES; piece <= last; piece++) {
        uint64_t word = atomic_load_explicit(&block->verified[piece / 64], memory_order_relaxed);
        if ((word >> (piece % 64) & 1) == 0)
            TRY(verify_piece(block, piece, why));
    }
    return OK;
}

err_t block__entry(const struct block *block, enum block__section section, uint32_t index,
                   uint32_t entry_size, const uint8_t **entry, struct strbuf *why)
{
    uint64_t at = (uint64_t)index * entry_size;
    assert(at + entry_size <= block->sections[section].size);
    return block__view(block, block->sections[section].offset + at, entry_size, entry, why);
}

err_t block__page_place(const struct block *block, uint32_t page, struct block__page_place *place,
                        struct strbuf *why)
{
    const uint8_t *entry;
    TRY(block__entry(block, BLOCK__PAGES, page, BLOCK__PAGE_ENTRY_BYTES, &entry, why));
    *place = (struct block__page_place){
        .offset = block__get64(entry),
        .stored_size = block__get32(entry + 8),
        .raw_size = block__get32(entry + 12),
    };
    if (place->raw_size == 0 || place->raw_size > BLOCK_COLUMN_BYTES_MAX ||
        place->stored_size == 0 || place->stored_size > place->raw_size)
        return block__corrupt(block, place->offset, "page has an impossible size", why);
    return OK;
}

err_t block__group_place(const struct block *block, uint32_t group,
                         struct block__group_place *place, struct strbuf *why)
{
    const uint8_t *entry;
    TRY(block__entry(block, BLOCK__GROUPS, group, BLOCK__GROUP_ENTRY_BYTES, &entry, why));
    *place = (struct block__group_place){
        .key = block__get64(entry),
        .offset = block__get64(entry + 8),
        .window_count = block__get32(entry + 16),
        .size = block__get32(entry + 20),
    };
    uint64_t table_size = (uint64_t)place->window_count * BLOCK__WINDOW_ENTRY_BYTES;
    if (place->window_count == 0 || table_size > place->size)
        return block__corrupt(block, place->offset, "group has an impossible size", why);
    return block__view(block, place->offset, table_size, &place->table, why);
}

err_t block__window(const struct block *block, const struct block__group_place *group,
                    uint32_t window, struct block_window *result, struct strbuf *why)
{
    assert(window < group->window_count);
    const uint8_t *entry = group->table + (size_t)window * BLOCK__WINDOW_ENTRY_BYTES;
    uint32_t rows_and_size = block__get32(entry + 12);
    uint64_t at =
        (uint64_t)group->window_count * BLOCK__WINDOW_ENTRY_BYTES + block__get32(entry + 8);
    result->row_count = (rows_and_size & 0xff) + 1;
    result->times_size = rows_and_size >> 8;
    if (result->row_count > COLUMN_ROWS_MAX || at + result->times_size > group->size)
        return block__corrupt(block, group->offset, "window table of a group is malformed", why);
    return block__view(block, group->offset + at, result->times_size, &result->times, why);
}

/* ---- opening ---- */

static err_t parse_footer(struct block *block, struct strbuf *why)
{
    const uint8_t *data = block->mapping.data;
    size_t size = block->mapping.size;
    if (size < BLOCK__HEADER_BYTES + BLOCK__FOOTER_BYTES)
        return block__corrupt(block, 0, "file is too short for a block", why);
    if (memcmp(data, BLOCK__MAGIC_HEAD, 8) != 0)
        return block__corrupt(block, 0, "not a block", why);
    uint64_t footer_offset = size - BLOCK__FOOTER_BYTES;
    const uint8_t *footer = data + footer_offset;
    if (memcmp(footer + BLOCK__FOOT_MAGIC, BLOCK__MAGIC_FOOT, 8) != 0)
        return block__corrupt(block, footer_offset, "no footer: the file was cut off", why);
    if (hash_crc32c(0, footer, BLOCK__FOOT_CRC) != block__get32(footer + BLOCK__FOOT_CRC))
        return block__corrupt(block, footer_offset, "checksum of the footer does not match", why);
    uint32_t version = block__get32(footer + BLOCK__FOOT_VERSION);
    if (version < BLOCK__VERSION_OLDEST || version > BLOCK__VERSION)
        return err_fail(why, ERR_UNSUPPORTED,
                        "%s: block version %" PRIu32 ", only %d to %d are known", block->file_path,
                        version, BLOCK__VERSION_OLDEST, BLOCK__VERSION);
    block->checked_size = block__get64(footer + BLOCK__FOOT_CHECKSUMS_OFFSET);
    if (block->checked_size < BLOCK__HEADER_BYTES || block->checked_size > footer_offset)
        return block__corrupt(block, footer_offset, "checksum table is out of bounds", why);
    uint64_t pieces = (block->checked_size + BLOCK__PIECE_BYTES - 1) / BLOCK__PIECE_BYTES;
    if (pieces * 4 != footer_offset - block->checked_size)
        return block__corrupt(block, footer_offset, "checksum table has the wrong size", why);
    block->checksums = data + block->checked_size;
    if (hash_crc32c(0, block->checksums, pieces * 4) !=
        block__get32(footer + BLOCK__FOOT_CHECKSUMS_CRC))
        return block__corrupt(block, block->checked_size,
                              "checksum of the checksum table does not match", why);
    block->verified = mem_calloc(MEM_BLOCK, (pieces + 63) / 64, sizeof *block->verified);
    for (int i = 0; i < BLOCK__SECTION_COUNT; i++) {
        struct block__section_place *section = &block->sections[i];
        section->offset = block__get64(footer + 16 * i);
        section->size = block__get64(footer + 16 * i + 8);
        if (section->offset > block->checked_size ||
            section->size > block->checked_size - section->offset)
            return block__corrupt(block, footer_offset, "section is out of bounds", why);
    }
    return OK;
}

static bool ulid_copy(const uint8_t *from, struct block_ulid *ulid)
{
    memcpy(ulid->text, from, BLOCK_ULID_SIZE);
    ulid->text[BLOCK_ULID_SIZE] = '\0';
    return block_ulid_is_valid(str_from(ulid->text, BLOCK_ULID_SIZE));
}

/* Layout: docs/format/block.md, "Meta". `at` has BLOCK__META_FIXED_BYTES. */
static bool parse_meta_fixed(struct block *block, const uint8_t *at)
{
    struct block_meta *meta = &block->meta;
    if (!ulid_copy(at, &meta->ulid))
        return false;
    at += BLOCK_ULID_SIZE;
    meta->min_t_ms = (int64_t)block__get64(at);
    meta->max_t_ms = (int64_t)block__get64(at + 8);
    meta->level = block__get32(at + 16);
    meta->flags = block__get32(at + 20);
    block->simple_has_stats = at[24] != 0;
    at += 25;
    meta->counts.samples = block__get64(at);
    meta->counts.float_samples = block__get64(at + 8);
    meta->counts.columns = block__get64(at + 16);
    meta->counts.series = block__get32(at + 24);
    at += 28;
    block->times_bytes = block__get64(at);
    block->label_bytes = block__get64(at + 8);
    block->directory_bytes = block__get64(at + 16);
    block->stats_bytes = block__get64(at + 24);
    block->page_raw_bytes = block__get64(at + 32);
    meta->source_count = block__get32(at + 40);
    return meta->source_count <= BLOCK_SOURCES_MAX;
}

static err_t parse_meta(struct block *block, struct strbuf *why)
{
    const struct block__section_place *section = &block->sections[BLOCK__META];
    const uint8_t *bytes;
    TRY(block__view(block, section->offset, section->size, &bytes, why));
    bool good = section->size >= BLOCK__META_FIXED_BYTES && parse_meta_fixed(block, bytes) &&
                section->size ==
                    BLOCK__META_FIXED_BYTES + (uint64_t)block->meta.source_count * BLOCK_ULID_SIZE;
    if (!good)
        return block__corrupt(block, section->offset, "meta is malformed", why);
    block->sources = MEM_NEW_ARRAY(MEM_BLOCK, struct block_ulid, block->meta.source_count + 1);
    bytes += BLOCK__META_FIXED_BYTES;
    for (uint32_t i = 0; i < block->meta.source_count; i++) {
        if (!ulid_copy(bytes + (size_t)i * BLOCK_ULID_SIZE, &block->sources[i]))
            return block__corrupt(block, section->offset, "source is not a ULID", why);
    }
    block->meta.sources = block->sources;
    return OK;
}

/* Number of entries of a table, which must fill its section and fit 32 bits. */
static err_t count_entries(const struct block *block, enum block__section section,
                           uint32_t entry_size, uint32_t *count, struct strbuf *why)
{
    const struct block__section_place *place = &block->sections[section];
    uint64_t entries = place->size / entry_size;
    if (place->size % entry_size != 0 || entries >= UINT32_MAX)
        return block__corrupt(block, place->offset, "table has an impossible size", why);
    *count = (uint32_t)entries;
    return OK;
}

static err_t count_tables(struct block *block, struct strbuf *why)
{
    struct block_counts *counts = &block->meta.counts;
    uint32_t offsets = 0;
    TRY(count_entries(block, BLOCK__SYMBOL_OFFSETS, 4, &offsets, why));
    if (offsets == 0)
        return block__corrupt(block, block->sections[BLOCK__SYMBOL_OFFSETS].offset,
                              "symbol offsets are missing", why);
    counts->symbols = offsets - 1;
    TRY(count_entries(block, BLOCK__GROUPS, BLOCK__GROUP_ENTRY_BYTES, &counts->groups, why));
    TRY(count_entries(block, BLOCK__PAGES, BLOCK__PAGE_ENTRY_BYTES, &counts->pages, why));
    TRY(count_entries(block, BLOCK__CHUNKS, BLOCK__CHUNK_ENTRY_BYTES, &block->chunk_count, why));
    if (counts->series > (uint64_t)block->chunk_count * BLOCK__CHUNK_SERIES_MAX)
        return block__corrupt(block, block->sections[BLOCK__META].offset,
                              "more series than the chunks can hold", why);
    TRY(count_entries(block, BLOCK__NAMES, BLOCK__NAME_ENTRY_BYTES, &block->name_count, why));
    return count_entries(block, BLOCK__PAIRS, BLOCK__PAIR_ENTRY_BYTES, &block->pair_count, why);
}

err_t block_open(const char *path, struct block **result, struct strbuf *why)
{
    struct block *block = MEM_NEW(MEM_BLOCK, struct block);
    struct strbuf file_path = STRBUF_INIT;
    strbuf_printf(&file_path, "%s/" BLOCK__FILE_NAME, path);
    block->path = mem_dup(MEM_BLOCK, path, strlen(path));
    block->file_path = mem_dup(MEM_BLOCK, file_path.data, file_path.size);
    strbuf_deinit(&file_path);
    err_t err;
    const uint8_t *header;
    TRY_OUT(fs_map(block->file_path, &block->mapping, why));
    TRY_OUT(parse_footer(block, why));
    TRY_OUT(block__view(block, 0, BLOCK__HEADER_BYTES, &header, why));
    TRY_OUT(parse_meta(block, why));
    TRY_OUT(count_tables(block, why));
    *result = block;
out:
    if (err != OK)
        block_close(block);
    return err;
}

void block_close(struct block *block)
{
    if (block == NULL)
        return;
    fs_unmap(&block->mapping);
    mem_free(MEM_BLOCK, block->verified);
    mem_free(MEM_BLOCK, block->sources);
    mem_free(MEM_BLOCK, block->path);
    mem_free(MEM_BLOCK, block->file_path);
    mem_free(MEM_BLOCK, block);
}

const struct block_meta *block_meta(const struct block *block)
{
    return &block->meta;
}

const char *block_path(const struct block *block)
{
    return block->path;
}

uint64_t block_bytes(const struct block *block)
{
    return block->mapping.size;
}

void block_section_bytes(const struct block *block, struct block_section_bytes *bytes)
{
    const struct block__section_place *sections = block->sections;
    *bytes = (struct block_section_bytes){
        .symbols = sections[BLOCK__SYMBOL_BYTES].size + sections[BLOCK__SYMBOL_OFFSETS].size,
        .series = block->label_bytes,
        .postings = sections[BLOCK__POSTINGS].size + sections[BLOCK__PAIRS].size +
                    sections[BLOCK__NAMES].size,
        .times = block->times_bytes + sections[BLOCK__GROUPS].size,
        .directory = block->directory_bytes + sections[BLOCK__CHUNKS].size,
        .statistics = block->stats_bytes,
        .pages = sections[BLOCK__PAGES].size,
        .page_raw = block->page_raw_bytes,
    };
    for (uint32_t page = 0; page < block->meta.counts.pages; page++) {
        const uint8_t *entry = block->mapping.data + sections[BLOCK__PAGES].offset +
                               (uint64_t)page * BLOCK__PAGE_ENTRY_BYTES;
        bytes->pages += block__get32(entry + 8);
    }
    bytes->overhead = block->mapping.size - bytes->symbols - bytes->series - bytes->postings -
                      bytes->times - bytes->directory - bytes->statistics - bytes->pages;
}
