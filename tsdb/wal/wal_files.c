#include "wal_files.h"

#include <stdio.h>

#include "narthex/base/mem.h"

enum { NUMBER_DIGITS = 8 };
#define CHECKPOINT_PREFIX "checkpoint."

static char *path_of(const char *dir, const char *prefix, uint32_t number)
{
    size_t size = strlen(dir) + strlen(prefix) + 16;
    char *path = mem_alloc(MEM_WAL, size);
    snprintf(path, size, "%s/%s%08u", dir, prefix, number);
    return path;
}

char *wal__segment_path(const char *dir, uint32_t number)
{
    return path_of(dir, "", number);
}

char *wal__checkpoint_path(const char *dir, uint32_t number)
{
    return path_of(dir, CHECKPOINT_PREFIX, number);
}

bool wal__is_segment(struct str name, uint32_t *number)
{
    uint64_t value;
    if (name.size < NUMBER_DIGITS || !str_to_uint64(name, &value) || value == 0 ||
        value >= UINT32_MAX)
        return false;
    *number = (uint32_t)value;
    return true;
}

bool wal__is_checkpoint(struct str name, uint32_t *number)
{
    struct str prefix = STR(CHECKPOINT_PREFIX);
    return str_starts_with(name, prefix) &&
           wal__is_segment(str_from(name.data + prefix.size, name.size - prefix.size), number);
}
