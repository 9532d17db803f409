/* grammar_probe SEED COUNT: generated queries, one JSON line each, with our parser's verdict:
 * {"query":"…","error":"…"} (error "" when it parses). For comparison with other parsers. */
#include <stdio.h>
#include <stdlib.h>

#include "narthex/query/ast.h"

#include "promql_generator.h"

enum { CHOICES_MAX = 48 };

static uint64_t state;

/* splitmix64 */
static uint64_t next_random(void)
{
    uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void print_json(struct str text)
{
    putchar('"');
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

/* Removes, doubles or replaces a character. */
static void mutate(struct strbuf *text)
{
    static const char characters[] = "ab1.(){}[],:=!~<>+-*/%^@\" ";
    if (text->size == 0)
        return;
    size_t at = next_random() % text->size;
    char c = characters[next_random() % (sizeof characters - 1)];
    switch (next_random() % 3) {
    case 0:
        memmove(text->data + at, text->data + at + 1, text->size - at - 1);
        text->size--;
        break;
    case 1:
        strbuf_add_char(text, ' ');
        memmove(text->data + at + 1, text->data + at, text->size - at - 1);
        text->data[at] = c;
        break;
    default:
        text->data[at] = c;
        break;
    }
}

static void judge(struct str text)
{
    static const struct promql_features features = {
        .experimental_functions = true,
        .extended_range_selectors = true,
        .binop_fill_modifiers = true,
    };
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct strbuf why = STRBUF_INIT;
    struct parsed_query query;
    err_t err = promql_parse(text, &features, &arena, &query, &why);
    if (err == OK)
        parsed_query_deinit(&query);
    printf("{\"query\":");
    print_json(text);
    printf(",\"error\":");
    print_json(strbuf_str(&why));
    printf("}\n");
    strbuf_deinit(&why);
    arena_deinit(&arena);
}

int main(int argc, char **argv)
{
    state = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 20000;
    for (uint64_t i = 0; i < count; i++) {
        uint8_t choices[CHOICES_MAX];
        for (size_t j = 0; j < sizeof choices; j++)
            choices[j] = (uint8_t)next_random();
        struct strbuf text = STRBUF_INIT;
        promql_generate(choices, 1 + next_random() % sizeof choices, &text);
        for (uint64_t edits = next_random() % 3; edits > 0; edits--)
            mutate(&text);
        judge(strbuf_str(&text));
        strbuf_deinit(&text);
    }
    return 0;
}
