/* Start timestamps in OpenMetrics text: `NAME_created` lines of counters, summaries and histograms,
 * which stand behind the samples they tell about.
 *
 * The first sample of a family makes a second reader walk to the family's end and note what these
 * lines say by a hash of family name and labels (not le, not quantile; their order does not count).
 * Every line is so read twice, whatever the body holds; the hash is as good as equality, as the
 * scrape cache takes it.
 */
#include <math.h>
#include <stdlib.h>

#include "exposition_parser.h"
#include "narthex/base/hash.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"

struct start {
    uint64_t key;
    int64_t t_ms;
    uint32_t order; /* the first line of a key counts */
};

struct start_reader {
    struct exposition *ahead;
    struct arena arena; /* of one key's labels */
    struct arena_mark arena_start;
    bool family_read; /* `starts` is of the family at hand */
    struct start *starts;
    uint32_t count;
    uint32_t capacity;
};

#define CREATED STR("_created")

void exposition__starts_begin(struct exposition *exposition)
{
    if (exposition->starts == NULL) {
        exposition->starts = MEM_NEW(MEM_SCRAPE, struct start_reader);
        exposition->starts->ahead = exposition_create();
        arena_init(&exposition->starts->arena, MEM_SCRAPE, SIZE_MAX);
        arena_alloc(&exposition->starts->arena, 1); /* the first chunk stays */
        exposition->starts->arena_start = arena_mark(&exposition->starts->arena);
    }
    exposition->starts->family_read = false;
}

void exposition__starts_destroy(struct start_reader *reader)
{
    if (reader == NULL)
        return;
    exposition_destroy(reader->ahead);
    arena_deinit(&reader->arena);
    mem_free(MEM_SCRAPE, reader->starts);
    mem_free(MEM_SCRAPE, reader);
}

static bool has_starts(enum metadata_type type)
{
    return type == METADATA_COUNTER || type == METADATA_SUMMARY || type == METADATA_HISTOGRAM;
}

/* The family's name: without what the type's samples add to it. */
static struct str base_name(struct str name, enum metadata_type type)
{
    static const struct {
        struct str suffix;
        enum metadata_type type;
    } suffixes[] = {
        {STR_INIT("_total"), METADATA_COUNTER},   {STR_INIT("_bucket"), METADATA_HISTOGRAM},
        {STR_INIT("_count"), METADATA_HISTOGRAM}, {STR_INIT("_sum"), METADATA_HISTOGRAM},
        {STR_INIT("_count"), METADATA_SUMMARY},   {STR_INIT("_sum"), METADATA_SUMMARY},
    };
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        if (suffixes[i].type == type && str_ends_with(name, suffixes[i].suffix))
            return str_from(name.data, name.size - suffixes[i].suffix.size);
    }
    return name;
}

static bool is_part(struct str label_name, enum metadata_type type)
{
    return (type == METADATA_HISTOGRAM && str_equal(label_name, STR("le"))) ||
           (type == METADATA_SUMMARY && str_equal(label_name, STR("quantile")));
}

/* Of an entry's family name and labels; *created tells whether it is a line of this kind. */
static uint64_t hash_key(struct start_reader *reader, const struct exposition_entry *entry,
                         bool *created)
{
    struct label *labels;
    uint32_t count;
    arena_reset_to(&reader->arena, reader->arena_start);
    exposition__text_key_labels(entry->key, entry->type, &reader->arena, &labels, &count);
    struct str name = labels[0].value;
    *created = str_ends_with(name, CREATED);
    name = *created ? str_from(name.data, name.size - CREATED.size) : base_name(name, entry->type);
    uint64_t hash = hash_str(name);
    for (uint32_t i = 1; i < count; i++) {
        if (labels[i].value.size > 0 && !is_part(labels[i].name, entry->type))
            hash += hash_bytes_seeded(labels[i].value.data, labels[i].value.size,
                                      hash_str(labels[i].name));
    }
    return hash;
}

/* Whether the line may be of this kind; cheap, and true for some that are not. */
static bool may_be_created(const struct exposition_entry *entry)
{
    return has_starts(entry->type) &&
           memmem(entry->key.data, entry->key.size, CREATED.data, CREATED.size) != NULL;
}

static int by_key(const void *a, const void *b)
{
    const struct start *x = a;
    const struct start *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

/* Seconds as milliseconds; 0, which is none, for what no clock has shown. */
static int64_t to_start_ms(double seconds)
{
    double ms = seconds * 1000;
    return ms >= 1 && ms < 0x1p62 ? (int64_t)ms : 0;
}

/* From the entry given last to the family's end. */
static void read_family(const struct exposition *exposition)
{
    struct start_reader *reader = exposition->starts;
    struct exposition *ahead = reader->ahead;
    struct strbuf why = STRBUF_INIT;
    struct exposition_entry entry;
    ahead->format = exposition->format;
    ahead->options = (struct exposition_options){0};
    ahead->lexer = exposition->lexer;
    ahead->lexer.at = exposition->entry_start;
    ahead->lexer.state = LEX_INIT;
    ahead->type = exposition->type;
    ahead->ended = false;
    reader->count = 0;
    reader->family_read = true;
    while (exposition_next(ahead, &entry, &why) == OK && entry.kind == EXPOSITION_SAMPLE) {
        bool created = may_be_created(&entry);
        uint64_t key = created ? hash_key(reader, &entry, &created) : 0;
        struct start start = {key, to_start_ms(entry.value), reader->count};
        if (created)
            VEC_PUSH(MEM_SCRAPE, reader->starts, reader->count, reader->capacity, start);
    }
    strbuf_deinit(&why);
    if (reader->count > 1)
        qsort(reader->starts, reader->count, sizeof *reader->starts, by_key);
}

/* The first start with that key, or 0. */
static int64_t find_start(const struct start_reader *reader, uint64_t key)
{
    uint32_t low = 0;
    uint32_t high = reader->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (reader->starts[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < reader->count && reader->starts[low].key == key ? reader->starts[low].t_ms : 0;
}

void exposition__starts_apply(struct exposition *exposition, struct exposition_entry *entry)
{
    struct start_reader *reader = exposition->starts;
    if (entry->kind != EXPOSITION_SAMPLE) {
        reader->family_read = false;
        return;
    }
    if (!has_starts(entry->type))
        return;
    if (!reader->family_read)
        read_family(exposition);
    if (reader->count == 0)
        return;
    bool created;
    uint64_t key = hash_key(reader, entry, &created);
    if (created)
        entry->kind = EXPOSITION_START;
    else
        entry->start_ms = find_start(reader, key);
}
