/* What clients send besides pairs: any JSON label set is read or refused with a text, and what was
 * read, written as JSON, reads the same; any multipart form gives fields that are parts of it. */
#include <assert.h>
#include <stdint.h>

#include "labels_json.h"
#include "request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool read_set(struct str text, struct arena *arena, struct strbuf *json)
{
    struct label_builder builder = {0};
    struct strbuf why = STRBUF_INIT;
    bool ok = labels_json_read(text, arena, &builder, &why) == OK;
    assert(ok || why.size > 0);
    if (ok)
        json_add_labels(json, label_builder_labels(&builder));
    label_builder_deinit(&builder);
    strbuf_deinit(&why);
    return ok;
}

static void check_labels(struct str text)
{
    struct arena arena;
    struct strbuf first = STRBUF_INIT, second = STRBUF_INIT;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    if (read_set(text, &arena, &first)) {
        bool ok = read_set(strbuf_str(&first), &arena, &second);
        assert(ok);
        assert(str_equal(strbuf_str(&first), strbuf_str(&second)));
    }
    strbuf_deinit(&first);
    strbuf_deinit(&second);
    arena_deinit(&arena);
}

/* Pieces of an object in the order that the bytes choose, which reach behind the JSON parser. */
static void check_composed(const uint8_t *data, size_t size)
{
    static const char *const parts[] = {
        "{",    "}",   "\"a\"", ":",           ",",       "\"b\\u0000\"", "[",
        "null", "1e9", "true",  "\"\\ud800\"", "\"<&>\"", "\"",           "\"\""};
    struct strbuf text = STRBUF_INIT;
    for (size_t i = 0; i < size && i < 64; i++)
        strbuf_add_cstr(&text, parts[data[i] % (sizeof parts / sizeof *parts)]);
    check_labels(strbuf_str(&text));
    strbuf_deinit(&text);
}

static void check_multipart(struct str type, struct str body)
{
    struct http_request request = {0};
    arena_init(&request.arena, MEM_TEST, SIZE_MAX);
    http__multipart_parse(&request, type, body);
    size_t total = 0;
    for (uint32_t i = 0; i < request.param_count; i++)
        total += request.params[i].name.size + request.params[i].value.size;
    assert(total <= body.size);
    arena_deinit(&request.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_from((const char *)data, size);
    check_labels(text);
    check_composed(data, size);
    check_multipart(STR("multipart/form-data; boundary=b"), text);
    size_t cut = size == 0 ? 0 : data[0] % size;
    check_multipart(str_from(text.data, cut), str_from(text.data + cut, size - cut));
    return 0;
}
