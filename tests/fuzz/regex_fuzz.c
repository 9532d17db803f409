/* Any pattern either gets an error text or matches alike in pcre2 and in the automaton, groups
 * included, and what the plan tells without an engine agrees with both. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "model/regex_engine.h"
#include "narthex/model/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SPAN_COUNT = 12, PATTERN_BYTES_MAX = 200 };

static void compare_ways(struct str wrapped, struct str text, bool matches)
{
    struct regex_engine *engine;
    struct strbuf why = STRBUF_INIT;
    struct regex_span quick[SPAN_COUNT] = {0};
    struct regex_span exact[SPAN_COUNT] = {0};
    err_t err = regex__engine_create(wrapped, &engine, &why);
    assert(err == OK);
    assert(regex__engine_match_exact(engine, text, NULL, 0) == matches);
    enum regex_verdict verdict = regex__engine_match_quick(engine, text, NULL, 0);
    assert(verdict == REGEX_GAVE_UP || (verdict == REGEX_MATCH) == matches);
    verdict = regex__engine_match_quick(engine, text, quick, SPAN_COUNT);
    if (verdict == REGEX_MATCH) {
        bool again = regex__engine_match_exact(engine, text, exact, SPAN_COUNT);
        assert(again);
        assert(memcmp(quick, exact, sizeof quick) == 0);
    }
    regex__engine_destroy(engine);
    strbuf_deinit(&why);
}

static void check_plan(const struct regex *regex, struct str text, bool matches)
{
    struct regex_set set = regex_set(regex);
    bool in_set = false;
    for (size_t i = 0; i < set.count; i++)
        in_set = in_set || str_equal(set.items[i], text);
    assert(set.count == 0 || in_set == matches);
    assert(!matches || str_starts_with(text, regex_prefix(regex)));
    assert(matches || !regex_matches_all(regex));
}

/* The first byte is the pattern's size; the rest of the input is the text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    size_t pattern_size = data[0] % PATTERN_BYTES_MAX;
    if (pattern_size > size - 1)
        pattern_size = size - 1;
    struct str pattern = str_from((const char *)data + 1, pattern_size);
    struct str text = str_from((const char *)data + 1 + pattern_size, size - 1 - pattern_size);
    struct strbuf why = STRBUF_INIT;
    struct regex *regex;
    if (regex_compile(pattern, &regex, &why) != OK) {
        assert(str_starts_with(strbuf_str(&why), STR("error parsing regexp: ")));
        strbuf_deinit(&why);
        return 0;
    }
    strbuf_clear(&why);
    strbuf_add_cstr(&why, "^(?s:");
    strbuf_add_str(&why, pattern);
    strbuf_add_cstr(&why, ")$");
    /* Every rest of the text is a text, and short ones match more often. */
    for (size_t at = 0; at <= text.size && at < 8; at++) {
        struct str rest = str_from(text.data + at, text.size - at);
        bool matches = regex_matches(regex, rest);
        compare_ways(strbuf_str(&why), rest, matches);
        check_plan(regex, rest, matches);
    }
    regex_destroy(regex);
    strbuf_deinit(&why);
    return 0;
}
