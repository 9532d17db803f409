/* Property: a JSON list read an element at a time has the elements that reading it whole gives, and
 * is refused when that is. The input's bytes are tokens of JSON, or themselves. */
#include <stdlib.h>

#include "discovery_json.h"

static const char *const tokens[] = {
    "[",      "]",       "{",  "}",  ",",  ":",     " ",   "1",    "\"",   "\\",       "\n",  "-2",
    "\"a\":", "\"b,]\"", "{}", "[]", "tr", "false", "nul", "null", "\\\"", "\"\\\\\"", "\xff"};
enum { INPUT_BYTES_MAX = 1000 }; /* jansson nests 2048 deep, and the whole is one level deeper */
enum { TOKEN_COUNT = sizeof tokens / sizeof tokens[0] };

/* The elements one by one, as a list again; NULL when it is refused. */
static json_t *read_by_element(struct str text)
{
    struct discovery_json_list list = {.text = text};
    struct strbuf why = STRBUF_INIT;
    json_t *all = json_array();
    json_t *element;
    err_t err;
    while ((err = discovery_json_next(&list, &element, &why)) == OK && element != NULL)
        json_array_append_new(all, element);
    if (err != OK) {
        if (why.size == 0)
            abort();
        json_decref(all);
        all = NULL;
    }
    strbuf_deinit(&why);
    return all;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strbuf text = STRBUF_INIT;
    if (size < 1 || size > INPUT_BYTES_MAX)
        return 0;
    for (size_t i = 1; i < size; i++) {
        if ((data[0] & 1) != 0)
            strbuf_add_cstr(&text, tokens[data[i] % TOKEN_COUNT]);
        else
            strbuf_add_char(&text, (char)data[i]);
    }
    /* jansson takes a NUL for the end; reading by element does not. */
    bool has_nul = str_find(strbuf_str(&text), '\0', 0) != SIZE_MAX;
    json_t *whole =
        json_loadb(text.data == NULL ? "" : text.data, text.size, JSON_DECODE_ANY, NULL);
    json_t *parts = read_by_element(strbuf_str(&text));
    bool is_list = !has_nul && json_is_array(whole);
    bool is_null = !has_nul && json_is_null(whole);
    if (parts != NULL && is_list && !json_equal(parts, whole))
        abort();
    if ((parts == NULL) != !(is_list || is_null))
        abort();
    json_decref(whole);
    json_decref(parts);
    strbuf_deinit(&text);
    return 0;
}
