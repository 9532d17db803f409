/* textfile: metrics that jobs leave as *.prom files in a folder.
 *
 * A file counts as a whole or, if anything in it is wrong, not at all. Families may be spread over
 * files, so all samples are gathered first. Two files that give a family different types, or the
 * same series twice, would spoil the whole answer: the later one's samples are left out.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "collection.h"
#include "narthex/base/hash.h"
#include "narthex/base/htable.h"
#include "narthex/base/log.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"
#include "narthex/model/exposition.h"

struct text_family {
    struct str name;
    struct str help;
    enum metric_type type;
    bool has_type;
    uint32_t type_file, help_file; /* which file gave them */
};

struct text_sample {
    struct str key; /* name and labels as written */
    struct str family;
    const struct label *labels; /* the metric's name first */
    uint32_t label_count;
    uint32_t position;
    double value;
};

/* All files of one collection. Texts are in the collection's arena. */
struct textfiles {
    struct collection *collection;
    struct exposition *exposition;
    struct text_family *families;
    uint32_t family_count;
    uint32_t family_capacity;
    struct text_sample *samples;
    uint32_t sample_count;
    uint32_t sample_capacity;
    struct htable by_name; /* of families */
    struct htable by_key;  /* of samples */
    uint32_t file;         /* number of the one being read */
    bool has_fault;
};

static bool is_legal_name(struct str name)
{
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
        if (!letter && !(c >= '0' && c <= '9' && i > 0))
            return false;
    }
    return name.size > 0;
}

static bool has_name(const void *owner, uint32_t item, const void *key)
{
    const struct textfiles *files = owner;
    return str_equal(files->families[item].name, *(const struct str *)key);
}

/* The family of this name, made if needed. The pointer is good until the next call. */
static struct text_family *get_family(struct textfiles *files, struct str name)
{
    uint64_t hash = hash_str(name);
    uint32_t found = htable_find(&files->by_name, hash, has_name, files, &name);
    if (found != HTABLE_NONE)
        return &files->families[found];
    htable_insert(&files->by_name, hash, files->family_count);
    VEC_PUSH(MEM_EXPORTER, files->families, files->family_count, files->family_capacity,
             (struct text_family){.name = name, .type = METRIC_UNTYPED});
    return &files->families[files->family_count - 1];
}

static enum metric_type type_of(enum metadata_type type)
{
    switch (type) {
    case METADATA_COUNTER:
        return METRIC_COUNTER;
    case METADATA_GAUGE:
        return METRIC_GAUGE;
    case METADATA_HISTOGRAM:
        return METRIC_HISTOGRAM;
    case METADATA_SUMMARY:
        return METRIC_SUMMARY;
    default:
        return METRIC_UNTYPED;
    }
}

/* Whether a sample of this name belongs to a family of several series, such as x_bucket to x. */
static bool is_part_of(struct str name, struct str family, enum metric_type type)
{
    if (type != METRIC_HISTOGRAM && type != METRIC_SUMMARY)
        return false;
    if (!str_starts_with(name, family))
        return false;
    struct str suffix = str_from(name.data + family.size, name.size - family.size);
    return str_equal(suffix, STR("_sum")) || str_equal(suffix, STR("_count")) ||
           (type == METRIC_HISTOGRAM && str_equal(suffix, STR("_bucket")));
}

static bool has_key(const void *owner, uint32_t item, const void *key)
{
    const struct textfiles *files = owner;
    return str_equal(files->samples[item].key, *(const struct str *)key);
}

/* What the walk over one file remembers. */
struct file_walk {
    struct str family; /* of the latest TYPE line */
    enum metric_type type;
    bool conflicts; /* that family has another type elsewhere */
};

static err_t add_sample(struct textfiles *files, const struct file_walk *walk,
                        const struct exposition_entry *entry)
{
    struct strbuf *why = &files->collection->why;
    if (entry->has_timestamp)
        return err_fail(why, ERR_INVALID, "timestamps are not supported");
    struct text_sample sample = {
        .key = entry->key, .position = files->sample_count, .value = entry->value};
    struct label *labels;
    exposition_key_labels(EXPOSITION_TEXT, entry->key, METADATA_UNKNOWN, &files->collection->arena,
                          &labels, &sample.label_count);
    sample.labels = labels;
    for (uint32_t i = 0; i < sample.label_count; i++) {
        if (!is_legal_name(i == 0 ? labels[i].value : labels[i].name))
            return err_fail(why, ERR_INVALID, "name not supported: %.*s", STR_ARG(entry->key));
    }
    if (exposition_find_duplicate(labels, sample.label_count) != NULL)
        return err_fail(why, ERR_INVALID, "label given twice: %.*s", STR_ARG(entry->key));
    struct str name = sample.label_count > 0 ? labels[0].value : STR("");
    bool is_part = is_part_of(name, walk->family, walk->type);
    sample.family = get_family(files, is_part ? walk->family : name)->name;
    uint64_t hash = hash_str(sample.key);
    bool is_repeated =
        htable_find(&files->by_key, hash, has_key, files, &sample.key) != HTABLE_NONE;
    if (is_repeated || (walk->conflicts && (is_part || str_equal(name, walk->family)))) {
        files->has_fault = true;
        return OK;
    }
    htable_insert(&files->by_key, hash, files->sample_count);
    VEC_PUSH(MEM_EXPORTER, files->samples, files->sample_count, files->sample_capacity, sample);
    return OK;
}

static void add_type(struct textfiles *files, struct file_walk *walk,
                     const struct exposition_entry *entry)
{
    struct text_family *family = get_family(files, entry->name);
    walk->family = entry->name;
    walk->type = type_of(entry->type);
    walk->conflicts = family->has_type && family->type != walk->type;
    if (!family->has_type) {
        family->type = walk->type;
        family->has_type = true;
        family->type_file = files->file;
    }
}

static void add_help(struct textfiles *files, const struct exposition_entry *entry)
{
    struct text_family *family = get_family(files, entry->name);
    struct strbuf *text = &files->collection->name;
    if (family->help.size > 0)
        return;
    strbuf_clear(text);
    exposition_help(EXPOSITION_TEXT, entry->text, text);
    family->help = arena_str(&files->collection->arena, strbuf_str(text));
    family->help_file = files->file;
}

static err_t walk_file(struct textfiles *files, struct str body)
{
    static const struct exposition_options plain;
    struct file_walk walk = {.type = METRIC_UNTYPED};
    exposition_start(files->exposition, EXPOSITION_TEXT, &plain, body);
    for (;;) {
        struct exposition_entry entry;
        TRY(exposition_next(files->exposition, &entry, &files->collection->why));
        if (entry.kind == EXPOSITION_END)
            return OK;
        if (entry.kind == EXPOSITION_TYPE)
            add_type(files, &walk, &entry);
        else if (entry.kind == EXPOSITION_HELP)
            add_help(files, &entry);
        else if (entry.kind == EXPOSITION_SAMPLE)
            TRY(add_sample(files, &walk, &entry));
    }
}

/* Takes back what the file at hand gave before its fault was found: samples from `first` on, and
 * what it said of families. */
static void take_back(struct textfiles *files, uint32_t first)
{
    while (files->sample_count > first) {
        const struct text_sample *last = &files->samples[--files->sample_count];
        htable_remove(&files->by_key, hash_str(last->key), files->sample_count);
    }
    for (uint32_t i = 0; i < files->family_count; i++) {
        struct text_family *family = &files->families[i];
        if (family->has_type && family->type_file == files->file) {
            family->has_type = false;
            family->type = METRIC_UNTYPED;
        }
        if (family->help_file == files->file)
            family->help = STR("");
    }
}

/* Writes the file's time of change if all of it was taken. */
static void read_file(struct textfiles *files, const char *folder, const char *name)
{
    struct collection *collection = files->collection;
    uint32_t first = files->sample_count;
    files->file++;
    struct stat status;
    struct str body;
    err_t err = collection__read(collection, &body, "%s/%s", folder, name);
    if (err == OK && stat(collection->path.data, &status) != 0)
        err = err_fail_errno(&collection->why, errno, "stat %s", collection->path.data);
    if (err == OK)
        err = walk_file(files, arena_str(&collection->arena, body));
    if (err != OK) {
        take_back(files, first);
        files->has_fault = true;
        LOG_ERROR("textfile not taken", "file", name, "err", strbuf_cstr(&collection->why));
        return;
    }
    struct str path = arena_printf(&collection->arena, "%s/%s", folder, name);
    collection__value_of(collection, "file", path,
                         (double)status.st_mtim.tv_sec + (double)status.st_mtim.tv_nsec / 1e9);
}

static void read_folder(struct textfiles *files, const char *folder)
{
    struct fs_list names;
    if (fs_list_dir(folder, &names, &files->collection->why) != OK) {
        files->has_fault = true;
        LOG_ERROR("textfile folder not read", "err", strbuf_cstr(&files->collection->why));
        return;
    }
    collection__family(files->collection, "node_textfile_mtime_seconds", METRIC_GAUGE,
                       "Last change of a file that was read, in seconds since 1970.");
    for (size_t i = 0; i < names.count; i++) {
        if (str_ends_with(str_from_cstr(names.names[i]), STR(".prom")))
            read_file(files, folder, names.names[i]);
    }
    fs_list_free(&names);
}

static int compare_samples(const void *a, const void *b)
{
    const struct text_sample *x = a;
    const struct text_sample *y = b;
    int order = str_compare(x->family, y->family);
    return order != 0 ? order : x->position < y->position ? -1 : x->position > y->position;
}

static void write_samples(struct textfiles *files)
{
    struct collection *collection = files->collection;
    if (files->sample_count > 0)
        qsort(files->samples, files->sample_count, sizeof *files->samples, compare_samples);
    for (uint32_t i = 0; i < files->sample_count; i++) {
        const struct text_sample *sample = &files->samples[i];
        if (i == 0 || !str_equal(sample->family, files->samples[i - 1].family)) {
            const struct text_family *family = get_family(files, sample->family);
            metric_writer_family(collection->writer, family->name, family->type,
                                 family->help.size > 0 ? family->help
                                                       : STR("Read from a text file."));
        }
        size_t count = sample->label_count - 1;
        struct str *names = ARENA_NEW_ARRAY(&collection->arena, struct str, count + 1);
        struct str *values = ARENA_NEW_ARRAY(&collection->arena, struct str, count + 1);
        for (size_t at = 0; at < count; at++) {
            names[at] = sample->labels[at + 1].name;
            values[at] = sample->labels[at + 1].value;
        }
        struct str name = sample->labels[0].value;
        struct str suffix =
            arena_str(&collection->arena,
                      str_from(name.data + sample->family.size, name.size - sample->family.size));
        metric_writer_sample(collection->writer, suffix.data, names, values, count, sample->value);
    }
}

err_t collect__textfile(struct collection *collection)
{
    struct textfiles files = {.collection = collection, .exposition = exposition_create()};
    htable_init(&files.by_name, MEM_EXPORTER);
    htable_init(&files.by_key, MEM_EXPORTER);
    if (collection->exporter->textfiles[0] != '\0')
        read_folder(&files, collection->exporter->textfiles);
    collection__single(collection, "node_textfile_scrape_error", METRIC_GAUGE,
                       "1 if a text file, or the folder, could not be taken, 0 if not.",
                       files.has_fault);
    write_samples(&files);
    htable_deinit(&files.by_name);
    htable_deinit(&files.by_key);
    mem_free(MEM_EXPORTER, files.samples);
    mem_free(MEM_EXPORTER, files.families);
    exposition_destroy(files.exposition);
    return OK;
}
