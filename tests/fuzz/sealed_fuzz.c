/* Property: any bytes in a file of sealed windows are read without harm, also with a checksum made
 * to fit, and records that are found lie one after the other inside the bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "narthex/base/coding.h"
#include "narthex/base/hash.h"
#include "narthex/base/mem.h"
#include "narthex/tsdb/column.h"
#include "tsdb/head/sealed_format.h"

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* Makes the checksum of a record of the right size right. */
static void mend(uint8_t *data, size_t size)
{
    if (size < SEALED_RECORD_HEADER_SIZE)
        return;
    uint32_t record_size = coding_load_u32(data + 4);
    if (record_size >= SEALED_RECORD_HEADER_SIZE && record_size <= size)
        coding_store_u32(data, hash_crc32c(0, data + 4, record_size - 4));
}

static void read_all(const uint8_t *data, size_t size)
{
    struct strbuf why = STRBUF_INIT;
    for (size_t at = sealed_find_record(data, size, 0); at < size;) {
        struct sealed_record record;
        require(at % 8 == 0);
        require(sealed_get_record(data + at, size - at, &record, &why) == OK);
        require(record.size <= size - at);
        require(record.entries + record.entries_size + COLUMN_SLACK_BYTES <=
                data + at + record.size);
        uint32_t *refs = mem_alloc(MEM_TEST, (record.slot_count + 1) * sizeof *refs);
        if (sealed_get_refs(&record, refs, &why) == OK && record.slot_count > 0)
            require(refs[record.slot_count - 1] <= UINT32_MAX);
        mem_free(MEM_TEST, refs);
        at = sealed_find_record(data, size, at + record.size);
    }
    strbuf_deinit(&why);
}

/* Takes the input for places in a good record and what to write there. */
static void change_good_record(const uint8_t *data, size_t size)
{
    static const uint32_t offsets[] = {0, 4, 9};
    static const struct sealed_record record = {
        .kind = SEALED_MERGED,
        .row_count = 3,
        .group = 1,
        .first_sequence = 1,
        .last_sequence = 3,
        .slot_count = 2,
        .offsets = offsets,
        .times = (const uint8_t *)"times",
        .times_size = 5,
        .refs = (const uint8_t *)"\2\2",
        .refs_size = 2,
        .entries = (const uint8_t *)"aaaabbbbb",
        .entries_size = 9,
    };
    struct strbuf out = STRBUF_INIT;
    sealed_put_record(&out, &record);
    sealed_put_record(&out, &record);
    for (size_t i = 0; i + 1 < size && i < 16; i += 2)
        out.data[data[i] % out.size] = (char)data[i + 1];
    mend((uint8_t *)out.data, out.size);
    read_all((const uint8_t *)out.data, out.size);
    strbuf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = mem_alloc(MEM_TEST, size + 1);
    if (size > 0)
        memcpy(copy, data, size);
    read_all(copy, size);
    mend(copy, size);
    read_all(copy, size);
    mem_free(MEM_TEST, copy);
    change_good_record(data, size);
    return 0;
}
