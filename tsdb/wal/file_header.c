#include "narthex/tsdb/file_header.h"

#include <string.h>

#include "narthex/base/coding.h"
#include "narthex/base/hash.h"

enum { VERSION_AT = 5, NUMBER_AT = 8, CHECKSUM_AT = 12, NAME_DIGITS = 8 };

void file_header_put(struct strbuf *out, const char *magic, uint8_t version, uint8_t flags,
                     uint32_t number)
{
    size_t start = out->size;
    strbuf_add(out, magic, FILE_HEADER_MAGIC_SIZE);
    coding_put_u8(out, version);
    coding_put_u8(out, flags);
    coding_put_u8(out, 0);
    coding_put_u32(out, number);
    coding_put_u32(out, hash_crc32c(0, out->data + start, CHECKSUM_AT));
}

uint8_t file_header_version(const void *bytes, size_t size, const char *magic, uint32_t number)
{
    const uint8_t *data = bytes;
    bool good = size >= FILE_HEADER_SIZE && memcmp(data, magic, FILE_HEADER_MAGIC_SIZE) == 0 &&
                coding_load_u32(data + NUMBER_AT) == number &&
                coding_load_u32(data + CHECKSUM_AT) == hash_crc32c(0, data, CHECKSUM_AT);
    return good ? data[VERSION_AT] : 0;
}

bool file_name_number(struct str name, uint32_t *number)
{
    uint64_t value;
    if (name.size < NAME_DIGITS || !str_to_uint64(name, &value) || value == 0 ||
        value >= UINT32_MAX)
        return false;
    *number = (uint32_t)value;
    return true;
}
