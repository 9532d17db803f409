/* A body gives the same entries and the same error to the quick reader with its exact fallback, to
 * the exact reader alone, to a reader that knows all keys from the time before, and, starts apart,
 * to one that looks for start timestamps. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "model/exposition_parser.h"
#include "narthex/base/hash.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct known_line {
    size_t key_size;
    uint64_t key_hash;
    struct str value_text;
};

struct known_lines {
    struct known_line *items;
    uint32_t count;
    uint32_t capacity;
};

static bool same_entry(const struct exposition_entry *a, const struct exposition_entry *b)
{
    return a->kind == b->kind && str_equal(a->key, b->key) &&
           str_equal(a->value_text, b->value_text) &&
           double_bits(a->value) == double_bits(b->value) && a->has_timestamp == b->has_timestamp &&
           a->timestamp_ms == b->timestamp_ms && a->has_exemplar == b->has_exemplar &&
           str_equal(a->name, b->name) && str_equal(a->text, b->text) && a->type == b->type;
}

/* Start timestamps add to samples or take lines out of them, and change nothing else. */
static void compare_starts(struct str body)
{
    struct exposition_options plain_options = {0};
    struct exposition_options options = {.start_timestamps = true};
    struct exposition *plain = exposition_create();
    struct exposition *starts = exposition_create();
    struct strbuf why_plain = STRBUF_INIT;
    struct strbuf why_starts = STRBUF_INIT;
    struct exposition_entry a = {.kind = EXPOSITION_COMMENT};
    struct exposition_entry b;
    exposition_start(plain, EXPOSITION_OPENMETRICS, &plain_options, body);
    exposition_start(starts, EXPOSITION_OPENMETRICS, &options, body);
    while (a.kind != EXPOSITION_END) {
        err_t err_plain = exposition_next(plain, &a, &why_plain);
        err_t err_starts = exposition_next(starts, &b, &why_starts);
        assert(err_plain == err_starts);
        if (err_plain != OK)
            break;
        assert(b.start_ms >= 0 && (b.start_ms == 0 || b.kind == EXPOSITION_SAMPLE));
        if (b.kind == EXPOSITION_START)
            b.kind = EXPOSITION_SAMPLE;
        assert(same_entry(&a, &b));
    }
    assert(str_equal(strbuf_str(&why_plain), strbuf_str(&why_starts)));
    exposition_destroy(plain);
    exposition_destroy(starts);
    strbuf_deinit(&why_plain);
    strbuf_deinit(&why_starts);
}

/* As exposition_next without the quick reader. */
static err_t next_exact(struct exposition *exposition, struct exposition_entry *entry,
                        struct strbuf *why)
{
    exposition->exemplar.labels.size = 0;
    if (exposition->ended)
        return exposition_next(exposition, entry, why);
    return exposition->format == EXPOSITION_TEXT
               ? exposition__text_next(exposition, entry, why)
               : exposition__openmetrics_next(exposition, entry, why);
}

/* Labels and exemplars must come out of every legal sample. */
static void use_entry(struct exposition *exposition, enum exposition_format format,
                      const struct exposition_entry *entry)
{
    struct arena arena;
    struct label *items;
    uint32_t count;
    struct exposition_exemplar exemplar;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    exposition_key_labels(format, entry->key, entry->type, &arena, &items, &count);
    assert(count >= 1);
    exposition_find_duplicate(items, count);
    bool given = exposition_next_exemplar(exposition, &arena, &exemplar);
    assert(given == entry->has_exemplar || format == EXPOSITION_PROTOBUF);
    arena_deinit(&arena);
}

static void compare_readers(enum exposition_format format, struct str body,
                            struct known_lines *lines)
{
    struct exposition_options options = {0};
    struct exposition *quick = exposition_create();
    struct exposition *exact = exposition_create();
    struct strbuf why_quick = STRBUF_INIT;
    struct strbuf why_exact = STRBUF_INIT;
    struct exposition_entry a;
    struct exposition_entry b;
    exposition_start(quick, format, &options, body);
    exposition_start(exact, format, &options, body);
    for (;;) {
        err_t err_quick = exposition_next(quick, &a, &why_quick);
        err_t err_exact = next_exact(exact, &b, &why_exact);
        assert(err_quick == err_exact);
        if (err_quick != OK)
            break;
        assert(same_entry(&a, &b));
        if (a.kind == EXPOSITION_END)
            break;
        if (a.kind != EXPOSITION_SAMPLE)
            continue;
        use_entry(quick, format, &a);
        struct known_line line = {a.key.size, hash_str(a.key), a.value_text};
        VEC_PUSH(MEM_TEST, lines->items, lines->count, lines->capacity, line);
    }
    assert(str_equal(strbuf_str(&why_quick), strbuf_str(&why_exact)));
    exposition_destroy(quick);
    exposition_destroy(exact);
    strbuf_deinit(&why_quick);
    strbuf_deinit(&why_exact);
}

/* Walks again with the keys in hand: at every sample line the one that belongs there must either be
 * declined or give the same value text. */
static void walk_with_keys(enum exposition_format format, struct str body,
                           const struct known_lines *lines)
{
    struct exposition_options options = {0};
    struct exposition *exposition = exposition_create();
    struct exposition_entry entry;
    struct strbuf why = STRBUF_INIT;
    uint32_t line = 0;
    exposition_start(exposition, format, &options, body);
    while (line < lines->count) {
        const struct known_line *known = &lines->items[line];
        struct str rest = exposition_peek(exposition);
        bool taken = rest.size > known->key_size &&
                     hash_bytes(rest.data, known->key_size) == known->key_hash &&
                     exposition_next_known(exposition, known->key_size, STR(""), &entry);
        if (!taken && exposition_next(exposition, &entry, &why) != OK)
            break;
        if (entry.kind != EXPOSITION_SAMPLE)
            continue;
        assert(entry.key.size == known->key_size);
        assert(str_equal(entry.value_text, known->value_text));
        line++;
    }
    assert(line == lines->count);
    exposition_destroy(exposition);
    strbuf_deinit(&why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* An exact copy on the heap shows every read past the end. */
    char *copy = malloc(size + (size == 0));
    assert(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    struct str body = str_from(copy, size);
    for (enum exposition_format format = EXPOSITION_TEXT; format <= EXPOSITION_OPENMETRICS;
         format++) {
        struct known_lines lines = {0};
        compare_readers(format, body, &lines);
        walk_with_keys(format, body, &lines);
        mem_free(MEM_TEST, lines.items);
    }
    compare_starts(body);
    struct exposition_options native = {.native_histograms = true, .always_classic = true};
    struct exposition *exposition = exposition_create();
    struct exposition_entry entry = {.kind = EXPOSITION_COMMENT};
    struct strbuf why = STRBUF_INIT;
    exposition_start(exposition, EXPOSITION_PROTOBUF, &native, body);
    while (entry.kind != EXPOSITION_END && exposition_next(exposition, &entry, &why) == OK) {
        if (entry.kind == EXPOSITION_SAMPLE || entry.kind == EXPOSITION_HISTOGRAM)
            use_entry(exposition, EXPOSITION_PROTOBUF, &entry);
    }
    exposition_destroy(exposition);
    strbuf_deinit(&why);
    free(copy);
    return 0;
}
