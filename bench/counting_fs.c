#include "counting_fs.h"

#include <string.h>

#include "narthex/base/mem.h"

/* What the database takes for a struct fs_file. */
struct counting_file {
    struct counting_fs *owner;
    struct fs_file *file;
    enum written kind;
};

static struct counting_file *file_of(struct fs_file *file)
{
    return (struct counting_file *)(void *)file;
}

static enum written kind_of(const char *path)
{
    static const struct {
        const char *part;
        enum written kind;
    } parts[] = {{"/wal/checkpoint", WRITTEN_CHECKPOINT},
                 {"/wal/", WRITTEN_LOG},
                 {"/sealed/", WRITTEN_SEALED},
                 {"/series/", WRITTEN_SERIES}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (strstr(path, parts[i].part) != NULL)
            return parts[i].kind;
    }
    return WRITTEN_OTHER;
}

static err_t counting_open(void *context, const char *path, enum fs_open_mode mode,
                           struct fs_file **file, struct strbuf *why)
{
    struct fs_file *real;
    TRY(fs_system()->open(fs_system()->context, path, mode, &real, why));
    struct counting_file *counted = MEM_NEW(MEM_TEST, struct counting_file);
    *counted = (struct counting_file){context, real, kind_of(path)};
    *file = (struct fs_file *)(void *)counted;
    return OK;
}

static err_t counting_write(struct fs_file *file, const void *data, size_t size, struct strbuf *why)
{
    struct counting_file *counted = file_of(file);
    counted->owner->bytes[counted->kind] += size;
    return fs_system()->write(counted->file, data, size, why);
}

static err_t counting_sync(struct fs_file *file, struct strbuf *why)
{
    return fs_system()->sync(file_of(file)->file, why);
}

static err_t counting_truncate(struct fs_file *file, uint64_t size, struct strbuf *why)
{
    return fs_system()->truncate(file_of(file)->file, size, why);
}

static err_t counting_close(struct fs_file *file, struct strbuf *why)
{
    struct counting_file *counted = file_of(file);
    err_t err = fs_system()->close(counted->file, why);
    mem_free(MEM_TEST, counted);
    return err;
}

void counting_fs_init(struct counting_fs *counting)
{
    *counting = (struct counting_fs){.table = *fs_system()};
    counting->table.open = counting_open;
    counting->table.write = counting_write;
    counting->table.sync = counting_sync;
    counting->table.truncate = counting_truncate;
    counting->table.close = counting_close;
    counting->table.context = counting;
}
