#include "wal_files.h"

#include <stdio.h>

#include "narthex/base/mem.h"

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

bool wal__is_checkpoint(struct str name, uint32_t *number)
{
    struct str prefix = STR(CHECKPOINT_PREFIX);
    return str_starts_with(name, prefix) &&
           file_name_number(str_from(name.data + prefix.size, name.size - prefix.size), number);
}
