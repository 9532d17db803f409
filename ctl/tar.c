#include "tar.h"

#include <assert.h>
#include <libdeflate.h>
#include <stdio.h>

#include "narthex/base/fs.h"
#include "narthex/base/mem.h"

enum { TAR_BLOCK = 512, GZIP_LEVEL = 6 };

/* The header of POSIX.1-1988: numbers are octal digits in text. */
struct tar_header {
    char name[100];
    char mode[8];
    char uid[8];
    char gid[8];
    char size[12];
    char mtime[12];
    char checksum[8];
    char type;
    char link_name[100];
    char magic[6];
    char version[2];
    char user[32];
    char group[32];
    char major[8];
    char minor[8];
    char prefix[155];
    char padding[12];
};
static_assert(sizeof(struct tar_header) == TAR_BLOCK, "a header is a block");

static void add_zeros(struct strbuf *tar, size_t count)
{
    memset(strbuf_reserve(tar, count), 0, count);
    strbuf_commit(tar, count);
}

void ctl_tar_add(struct strbuf *tar, const char *name, struct str content)
{
    struct tar_header header = {.type = '0', .magic = "ustar", .version = {'0', '0'}};
    unsigned sum = 0;
    assert(strlen(name) < sizeof header.name);
    snprintf(header.name, sizeof header.name, "%s", name);
    snprintf(header.mode, sizeof header.mode, "%07o", 0644);
    snprintf(header.uid, sizeof header.uid, "%07o", 0);
    snprintf(header.gid, sizeof header.gid, "%07o", 0);
    snprintf(header.size, sizeof header.size, "%011llo", (unsigned long long)content.size);
    snprintf(header.mtime, sizeof header.mtime, "%011o", 0);
    memset(header.checksum, ' ', sizeof header.checksum);
    for (size_t i = 0; i < sizeof header; i++)
        sum += ((const unsigned char *)&header)[i];
    snprintf(header.checksum, sizeof header.checksum, "%06o", sum);
    strbuf_add(tar, &header, sizeof header);
    strbuf_add_str(tar, content);
    add_zeros(tar, (TAR_BLOCK - content.size % TAR_BLOCK) % TAR_BLOCK);
}

err_t ctl_tar_write(struct strbuf *tar, const char *path, struct strbuf *why)
{
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(GZIP_LEVEL);
    add_zeros(tar, 2 * TAR_BLOCK);
    if (compressor == NULL)
        return err_fail(why, ERR_IO, "%s: the compressor cannot start", path);
    size_t size_max = libdeflate_gzip_compress_bound(compressor, tar->size);
    char *bytes = mem_alloc(MEM_HTTP, size_max);
    size_t size = libdeflate_gzip_compress(compressor, tar->data, tar->size, bytes, size_max);
    assert(size > 0); /* the bound is enough */
    err_t err = fs_write_atomic(fs_system(), path, bytes, size, why);
    mem_free(MEM_HTTP, bytes);
    libdeflate_free_compressor(compressor);
    return err;
}
