/* Any query string or form body is split into pairs that, escaped again, give the same pairs; any
 * time, duration and limit parses or is refused with a text. */
#include <assert.h>
#include <stdint.h>

#include "narthex/base/api_time.h"
#include "request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_escaped(struct strbuf *out, struct str text)
{
    for (size_t i = 0; i < text.size; i++)
        strbuf_printf(out, "%%%02X", (unsigned char)text.data[i]);
}

static void parse(struct http_request *request, struct str text)
{
    *request = (struct http_request){0};
    arena_init(&request->arena, MEM_TEST, SIZE_MAX);
    http__params_parse(request, text, false);
}

static void check_pairs(struct str text)
{
    struct http_request first, second;
    struct strbuf again = STRBUF_INIT;
    parse(&first, text);
    for (uint32_t i = 0; i < first.param_count; i++) {
        strbuf_add_cstr(&again, i == 0 ? "" : "&");
        add_escaped(&again, first.params[i].name);
        strbuf_add_char(&again, '=');
        add_escaped(&again, first.params[i].value);
    }
    parse(&second, strbuf_str(&again));
    assert(first.param_count == second.param_count);
    assert(!second.has_bad_escape);
    for (uint32_t i = 0; i < first.param_count; i++) {
        assert(str_equal(first.params[i].name, second.params[i].name));
        assert(str_equal(first.params[i].value, second.params[i].value));
    }
    arena_deinit(&first.arena);
    arena_deinit(&second.arena);
    strbuf_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_from((const char *)data, size);
    struct strbuf why = STRBUF_INIT;
    int64_t ms;
    size_t limit;
    bool flag;
    check_pairs(text);
    assert(api_time_parse(text, &ms, &why) == OK || why.size > 0);
    strbuf_clear(&why);
    assert(api_duration_parse(text, &ms, &why) == OK || why.size > 0);
    strbuf_clear(&why);
    assert(http__parse_limit(text, &limit, &why) == OK || why.size > 0);
    flag = http__parse_bool(text, &flag);
    strbuf_deinit(&why);
    return 0;
}
