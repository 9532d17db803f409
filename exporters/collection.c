#include "collection.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

enum { READ_BYTES = 16 * 1024 };

/* Index of the file among the kept ones, opened if needed. */
static err_t keep_open(struct collection *collection, const char *name, uint32_t *index)
{
    struct host_exporter *exporter = collection->exporter;
    uint32_t i = 0;
    while (i < exporter->kept_count && strcmp(exporter->kept[i].name, name) != 0)
        i++;
    if (i == exporter->kept_count) {
        int fd = open(collection->path.data, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return err_fail_errno(&collection->why, errno, "open %s", collection->path.data);
        assert(i < COLLECT_KEPT_FILES_MAX);
        exporter->kept[i] = (struct kept_file){name, fd};
        exporter->kept_count++;
    }
    *index = i;
    return OK;
}

err_t collection__read_proc(struct collection *collection, const char *name, struct str *text)
{
    struct strbuf *out = &collection->text;
    strbuf_clear(out);
    strbuf_clear(&collection->path);
    strbuf_printf(&collection->path, "%s/%s", collection->exporter->procfs, name);
    uint32_t index = 0;
    TRY(keep_open(collection, name, &index));
    struct kept_file *file = &collection->exporter->kept[index];
    for (;;) {
        char *to = strbuf_reserve(out, READ_BYTES);
        ssize_t got = pread(file->fd, to, READ_BYTES, (off_t)out->size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            /* Opened anew next time: a kept file may have lost its object. */
            int failure = errno;
            close(file->fd);
            *file = collection->exporter->kept[--collection->exporter->kept_count];
            return err_fail_errno(&collection->why, failure, "read %s", collection->path.data);
        }
        strbuf_commit(out, (size_t)got);
        if (got == 0)
            break;
        if (out->size > COLLECT_FILE_BYTES_MAX)
            return err_fail(&collection->why, ERR_LIMIT, "%s is too large", collection->path.data);
    }
    *text = strbuf_str(out);
    return OK;
}

static err_t read_path(struct collection *collection, struct str *text, const char *format,
                       va_list args)
{
    strbuf_clear(&collection->path);
    strbuf_vprintf(&collection->path, format, args);
    strbuf_clear(&collection->text);
    TRY(fs_read_file(collection->path.data, COLLECT_FILE_BYTES_MAX, &collection->text,
                     &collection->why));
    *text = strbuf_str(&collection->text);
    return OK;
}

err_t collection__read(struct collection *collection, struct str *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    err_t err = read_path(collection, text, format, args);
    va_end(args);
    return err;
}

bool collection__attribute(struct collection *collection, struct str *value, const char *format,
                           ...)
{
    va_list args;
    va_start(args, format);
    err_t err = read_path(collection, value, format, args);
    va_end(args);
    if (err != OK)
        return false;
    *value = str_trim(*value);
    return true;
}

bool collection__number(struct collection *collection, double *value, const char *format, ...)
{
    struct str text;
    va_list args;
    va_start(args, format);
    err_t err = read_path(collection, &text, format, args);
    va_end(args);
    if (err != OK)
        return false;
    text = str_trim(text);
    if (text_to_double(text, value))
        return true;
    uint64_t hex;
    if (!str_starts_with(text, STR("0x")) || !text_to_hex(text, &hex))
        return false;
    *value = (double)hex;
    return true;
}

void collection__family(struct collection *collection, const char *name, enum metric_type type,
                        const char *help)
{
    metric_writer_family(collection->writer, str_from_cstr(name), type, str_from_cstr(help));
}

static void add_value(struct collection *collection, double value)
{
    metric_writer_value(collection->writer, value);
}

void collection__value_of(struct collection *collection, const char *label, struct str of,
                          double value)
{
    struct str name = str_from_cstr(label);
    metric_writer_sample(collection->writer, "", &name, &of, 1, value);
}

void collection__single(struct collection *collection, const char *name, enum metric_type type,
                        const char *help, double value)
{
    collection__family(collection, name, type, help);
    add_value(collection, value);
}

void collection__make_legal(struct strbuf *name)
{
    for (size_t i = 0; i < name->size; i++) {
        char c = name->data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
        if (!letter && !(c >= '0' && c <= '9' && i > 0))
            name->data[i] = '_';
    }
}
