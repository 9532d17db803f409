/* Lines of a test script into commands. */
#include "script.h"

#include "narthex/base/number.h"
#include "narthex/query/ast.h"

struct reader {
    struct script *script;
    struct str *lines; /* trimmed; comments are empty lines */
    size_t count;
    size_t at;
    struct strbuf *why;
};

static const struct promql_features all_features = {
    .experimental_functions = true,
    .extended_range_selectors = true,
    .binop_fill_modifiers = true,
};

/* ---- words ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Takes the next word off *text. */
static struct str take_word(struct str *text)
{
    *text = str_trim(*text);
    size_t size = 0;
    while (size < text->size && !is_blank(text->data[size]))
        size++;
    struct str word = {text->data, size};
    *text = str_trim(str_from(text->data + size, text->size - size));
    return word;
}

/* Takes a fixed word off *text. */
static bool take_fixed(struct str *text, const char *word)
{
    struct str rest = *text;
    if (!str_equal_nocase(take_word(&rest), str_from_cstr(word)))
        return false;
    *text = rest;
    return true;
}

static err_t fail(const struct reader *reader, size_t line, const char *message, struct str detail)
{
    return err_fail(reader->why, ERR_INVALID, "line %zu: %s%.*s", line + 1, message,
                    STR_ARG(detail));
}

/* As fail, with the text that *why holds already. */
static err_t fail_why(const struct reader *reader, size_t line)
{
    struct strbuf text = STRBUF_INIT;
    strbuf_add_str(&text, strbuf_str(reader->why));
    err_t err = fail(reader, line, "", strbuf_str(&text));
    strbuf_deinit(&text);
    return err;
}

static err_t take_duration(const struct reader *reader, size_t line, struct str *text, int64_t *ms)
{
    struct str word = take_word(text);
    if (promql_parse_duration(word, ms, reader->why) != OK)
        return fail_why(reader, line);
    return OK;
}

static err_t expect_word(const struct reader *reader, size_t line, struct str *text,
                         const char *word)
{
    if (!take_fixed(text, word))
        return fail(reader, line, "expected the word ", str_from_cstr(word));
    return OK;
}

static struct str next_line(struct reader *reader)
{
    return reader->at < reader->count ? reader->lines[reader->at] : STR("");
}

static void add_series(struct reader *reader, struct series_lines *list, struct series_line line)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        struct series_line *items =
            ARENA_NEW_ARRAY(&reader->script->arena, struct series_line, capacity);
        for (size_t i = 0; i < list->count; i++)
            items[i] = list->items[i];
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = line;
}

/* ---- load ---- */

struct pending_offsets {
    bool set;
    struct labels labels;
    struct item_list items;
};

static err_t load_line(struct reader *reader, struct load_command *load,
                       struct pending_offsets *pending)
{
    struct arena *arena = &reader->script->arena;
    struct str text = next_line(reader);
    struct series_line line = {.line = (uint32_t)reader->at + 1};
    size_t size;
    if (series_metric_parse(arena, text, &line.labels, &size, reader->why) != OK)
        return fail_why(reader, reader->at);
    struct str rest = {text.data + size, text.size - size};
    if (str_starts_with(rest, STR("@st"))) {
        *pending = (struct pending_offsets){.set = true, .labels = line.labels};
        rest = str_from(rest.data + 3, rest.size - 3);
        if (series_offsets_parse(arena, rest, &pending->items, reader->why) != OK)
            return fail_why(reader, reader->at);
        return OK;
    }
    if (series_line_parse(arena, text, &line, reader->why) != OK)
        return fail_why(reader, reader->at);
    if (pending->set) {
        if (!labels_equal(pending->labels, line.labels))
            return fail(reader, reader->at, "start timestamps of another metric", STR(""));
        if (pending->items.count != line.values.count)
            return fail(reader, reader->at, "not as many start timestamps as samples", STR(""));
        line.start_offsets = pending->items.items;
        pending->set = false;
    }
    add_series(reader, &load->series, line);
    return OK;
}

static err_t parse_load(struct reader *reader, struct str rest, struct load_command *load)
{
    TRY(take_duration(reader, reader->at - 1, &rest, &load->step_ms));
    if (rest.size > 0)
        return fail(reader, reader->at - 1, "unexpected ", rest);
    struct pending_offsets pending = {0};
    for (; next_line(reader).size > 0; reader->at++)
        TRY(load_line(reader, load, &pending));
    if (pending.set)
        return fail(reader, reader->at - 1, "start timestamps without samples", STR(""));
    return OK;
}

/* ---- expect ---- */

static err_t add_expectation(struct reader *reader, struct eval_command *eval,
                             enum expect_kind kind, enum expect_match match, struct str text)
{
    struct expectation *expectation = ARENA_NEW(&reader->script->arena, struct expectation);
    *expectation = (struct expectation){
        .kind = kind, .match = match, .text = text, .next = eval->expectations};
    eval->expectations = expectation;
    if (match == EXPECT_REGEX && regex_compile(text, &expectation->regex, reader->why) != OK)
        return fail_why(reader, reader->at);
    if (kind == EXPECT_FAIL)
        eval->fail = true;
    return OK;
}

static err_t expect_matching(struct reader *reader, struct eval_command *eval,
                             enum expect_kind kind, struct str rest)
{
    if (kind == EXPECT_FAIL && eval->fail)
        return fail(reader, reader->at, "more than one failure expected", STR(""));
    rest = str_trim(rest);
    enum expect_match match = EXPECT_ANY;
    if (str_starts_with(rest, STR("msg:")))
        match = EXPECT_TEXT;
    else if (str_starts_with(rest, STR("regex:")))
        match = EXPECT_REGEX;
    else if (rest.size > 0)
        return fail(reader, reader->at, "expected msg: or regex:, got ", rest);
    size_t prefix = match == EXPECT_TEXT ? 4 : match == EXPECT_REGEX ? 6 : 0;
    struct str text = str_trim(str_from(rest.data + prefix, rest.size - prefix));
    return add_expectation(reader, eval, kind, match, text);
}

static err_t expect_string(struct reader *reader, struct eval_command *eval, struct str text)
{
    struct parsed_query query;
    struct arena *arena = &reader->script->arena;
    if (promql_parse(text, &all_features, arena, &query, reader->why) != OK)
        return fail_why(reader, reader->at);
    bool is_string = query.root->kind == EXPR_STRING;
    if (is_string) {
        eval->has_string = true;
        eval->string = query.root->string;
    }
    parsed_query_deinit(&query);
    return is_string ? OK : fail(reader, reader->at, "expected a string", STR(""));
}

static err_t expect_range_vector(struct reader *reader, struct eval_command *eval, struct str rest)
{
    size_t line = reader->at;
    eval->has_range_vector = true;
    TRY(expect_word(reader, line, &rest, "vector"));
    TRY(expect_word(reader, line, &rest, "from"));
    TRY(take_duration(reader, line, &rest, &eval->vector_start_ms));
    TRY(expect_word(reader, line, &rest, "to"));
    TRY(take_duration(reader, line, &rest, &eval->vector_end_ms));
    TRY(expect_word(reader, line, &rest, "step"));
    return take_duration(reader, line, &rest, &eval->vector_step_ms);
}

/* A line that began with "expect". */
static err_t expect_line(struct reader *reader, struct eval_command *eval, struct str rest)
{
    struct str word = take_word(&rest);
    if (str_equal_cstr(word, "ordered")) {
        eval->ordered = true;
        return OK;
    }
    if (str_equal_cstr(word, "no_warn")) {
        eval->no_warn = true;
        return OK;
    }
    if (str_equal_cstr(word, "no_info")) {
        eval->no_info = true;
        return OK;
    }
    if (str_equal_cstr(word, "string"))
        return expect_string(reader, eval, rest);
    if (str_equal_cstr(word, "range"))
        return expect_range_vector(reader, eval, rest);
    static const char *const kinds[] = {
        [EXPECT_FAIL] = "fail", [EXPECT_WARN] = "warn", [EXPECT_INFO] = "info"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (str_equal_cstr(word, kinds[i]))
            return expect_matching(reader, eval, (enum expect_kind)i, rest);
    }
    return fail(reader, reader->at, "unknown expectation ", word);
}

static bool has_expectation(const struct eval_command *eval, enum expect_kind kind)
{
    for (const struct expectation *e = eval->expectations; e != NULL; e = e->next) {
        if (e->kind == kind)
            return true;
    }
    return false;
}

/* ---- eval ---- */

/* "expected_fail_message TEXT" of the old form; replaces the bare expectation. */
static err_t legacy_failure(struct reader *reader, struct eval_command *eval, bool regex,
                            struct str text)
{
    eval->expectations = NULL;
    return add_expectation(reader, eval, EXPECT_FAIL, regex ? EXPECT_REGEX : EXPECT_TEXT, text);
}

/* One line under an eval; *done when nothing may follow. */
static err_t eval_line(struct reader *reader, struct eval_command *eval, bool *done)
{
    struct str text = next_line(reader);
    struct str rest = text;
    struct str word = take_word(&rest);
    *done = false;
    if (str_equal_cstr(word, "expect"))
        return expect_line(reader, eval, rest);
    if (str_equal_cstr(word, "expected_fail_message") ||
        str_equal_cstr(word, "expected_fail_regexp")) {
        *done = true;
        return legacy_failure(reader, eval, str_equal_cstr(word, "expected_fail_regexp"), rest);
    }
    bool range;
    if (number_parse(text, &eval->scalar, &range)) {
        *done = true;
        eval->has_scalar = true;
        return OK;
    }
    struct series_line line = {.line = (uint32_t)reader->at + 1};
    if (series_line_parse(&reader->script->arena, text, &line, reader->why) != OK)
        return fail_why(reader, reader->at);
    if (!eval->range && !eval->has_range_vector && line.values.count != 1)
        return fail(reader, reader->at, "an instant query has one value a series", STR(""));
    add_series(reader, &eval->series, line);
    return OK;
}

static err_t eval_times(struct reader *reader, struct eval_command *eval, struct str *rest)
{
    size_t line = reader->at - 1;
    if (take_fixed(rest, "instant")) {
        if (take_fixed(rest, "at"))
            TRY(take_duration(reader, line, rest, &eval->start_ms));
        eval->end_ms = eval->start_ms;
        return OK;
    }
    eval->range = true;
    TRY(expect_word(reader, line, rest, "range"));
    TRY(expect_word(reader, line, rest, "from"));
    TRY(take_duration(reader, line, rest, &eval->start_ms));
    TRY(expect_word(reader, line, rest, "to"));
    TRY(take_duration(reader, line, rest, &eval->end_ms));
    TRY(expect_word(reader, line, rest, "step"));
    TRY(take_duration(reader, line, rest, &eval->step_ms));
    if (eval->step_ms <= 0 || eval->end_ms < eval->start_ms)
        return fail(reader, line, "bad range", STR(""));
    return OK;
}

static err_t check_query(struct reader *reader, const struct eval_command *eval, size_t line)
{
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct parsed_query query;
    err_t err = promql_parse(eval->query, &all_features, &arena, &query, reader->why);
    if (err == OK)
        parsed_query_deinit(&query);
    else
        err = fail_why(reader, line);
    arena_deinit(&arena);
    return err;
}

static err_t legacy_kind(struct reader *reader, struct eval_command *eval, struct str command)
{
    static const struct {
        const char *command;
        enum expect_kind kind;
    } kinds[] = {
        {"eval_fail", EXPECT_FAIL}, {"eval_warn", EXPECT_WARN}, {"eval_info", EXPECT_INFO}};
    if (str_equal_nocase(command, STR("eval")))
        return OK;
    if (str_equal_nocase(command, STR("eval_ordered"))) {
        eval->ordered = true;
        return OK;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (str_equal_nocase(command, str_from_cstr(kinds[i].command)))
            return add_expectation(reader, eval, kinds[i].kind, EXPECT_ANY, STR(""));
    }
    return fail(reader, reader->at - 1, "unknown command ", command);
}

static err_t parse_eval(struct reader *reader, struct str command, struct str rest,
                        struct eval_command *eval)
{
    size_t line = reader->at - 1;
    TRY(legacy_kind(reader, eval, command));
    TRY(eval_times(reader, eval, &rest));
    eval->query = rest;
    TRY(check_query(reader, eval, line));
    bool done = false;
    for (; !done && next_line(reader).size > 0; reader->at++)
        TRY(eval_line(reader, eval, &done));
    if ((eval->no_warn && has_expectation(eval, EXPECT_WARN)) ||
        (eval->no_info && has_expectation(eval, EXPECT_INFO)))
        return fail(reader, line, "expectations contradict each other", STR(""));
    if (eval->ordered && eval->range)
        return fail(reader, line, "a range query is never ordered", STR(""));
    return OK;
}

/* ---- the file ---- */

static err_t parse_command(struct reader *reader)
{
    struct command command = {.line = (uint32_t)reader->at + 1};
    struct str rest = next_line(reader);
    struct str word = take_word(&rest);
    reader->at++;
    if (str_equal_nocase(word, STR("clear"))) {
        command.kind = COMMAND_CLEAR;
    } else if (str_equal_nocase(word, STR("load")) ||
               str_equal_nocase(word, STR("load_with_nhcb"))) {
        command.kind = COMMAND_LOAD;
        command.load.with_nhcb = word.size > 4;
        TRY(parse_load(reader, rest, &command.load));
    } else if (word.size >= 4 && str_equal_nocase(str_from(word.data, 4), STR("eval"))) {
        command.kind = COMMAND_EVAL;
        TRY(parse_eval(reader, word, rest, &command.eval));
    } else {
        return fail(reader, reader->at - 1, "unknown command ", word);
    }
    struct script *script = reader->script;
    if (script->count == script->capacity) {
        size_t capacity = script->capacity == 0 ? 64 : script->capacity * 2;
        struct command *commands = ARENA_NEW_ARRAY(&script->arena, struct command, capacity);
        for (size_t i = 0; i < script->count; i++)
            commands[i] = script->commands[i];
        script->commands = commands;
        script->capacity = capacity;
    }
    script->commands[script->count++] = command;
    return OK;
}

static void split_lines(struct reader *reader, struct str text)
{
    size_t count = 1;
    for (size_t i = 0; i < text.size; i++)
        count += text.data[i] == '\n';
    reader->lines = ARENA_NEW_ARRAY(&reader->script->arena, struct str, count);
    size_t from = 0;
    while (reader->count < count) {
        size_t to = str_find(text, '\n', from);
        if (to == SIZE_MAX)
            to = text.size;
        struct str line = str_trim(str_from(text.data + from, to - from));
        reader->lines[reader->count++] = str_starts_with(line, STR("#")) ? STR("") : line;
        from = to + 1;
    }
}

err_t script_parse(struct script *script, struct str text, struct strbuf *why)
{
    *script = (struct script){0};
    arena_init(&script->arena, MEM_TEST, SIZE_MAX);
    struct reader reader = {.script = script, .why = why};
    split_lines(&reader, arena_str(&script->arena, text));
    while (reader.at < reader.count) {
        if (next_line(&reader).size == 0)
            reader.at++;
        else
            TRY(parse_command(&reader));
    }
    return OK;
}

void script_deinit(struct script *script)
{
    for (size_t i = 0; i < script->count; i++) {
        if (script->commands[i].kind != COMMAND_EVAL)
            continue;
        for (struct expectation *e = script->commands[i].eval.expectations; e != NULL; e = e->next)
            regex_destroy(e->regex);
    }
    arena_deinit(&script->arena);
}
