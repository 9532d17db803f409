/* What the words of a command line mean, as promtool reads them. */
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "narthex/base/api_time.h"
#include "narthex/base/vec.h"

struct flag {
    struct str name;
    bool has_value;
    bool repeats;
    struct str choices; /* "a|b", "#", "~", "%"; empty: anything */
};

int ctl_usage_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "narthexctl: error: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, ", try --help\n");
    va_end(args);
    return CTL_FAILED;
}

int ctl_fail(const struct strbuf *why)
{
    fprintf(stderr, "narthexctl: error: %s\n", strbuf_cstr(why));
    return CTL_FAILED;
}

const char *ctl_option(const struct ctl_arguments *arguments, const char *name,
                       const char *fallback)
{
    for (uint32_t i = 0; i < arguments->option_count; i++) {
        if (str_equal_cstr(arguments->options[i].name, name))
            return arguments->options[i].value;
    }
    return fallback;
}

int64_t ctl_option_ms(const struct ctl_arguments *arguments, const char *name, const char *fallback)
{
    struct strbuf why = STRBUF_INIT;
    int64_t ms = 0;
    err_t err = api_duration_parse(str_from_cstr(ctl_option(arguments, name, fallback)), &ms, &why);
    (void)err; /* read_flag has judged it */
    strbuf_deinit(&why);
    return ms;
}

bool ctl_switch(const struct ctl_arguments *arguments, const char *name)
{
    return ctl_option(arguments, name, NULL) != NULL;
}

bool ctl_wants_json(const struct ctl_arguments *arguments)
{
    return strcmp(ctl_option(arguments, "format", ""), "json") == 0;
}

void ctl_arguments_deinit(struct ctl_arguments *arguments)
{
    mem_free(MEM_BASE, arguments->options);
    mem_free(MEM_BASE, arguments->rest);
    *arguments = (struct ctl_arguments){0};
}

/* Finds by name, or by the short form when that is not 0. */
static bool find_in(const char *flags, struct str name, char letter, struct flag *flag)
{
    while (flags != NULL && *flags != '\0') {
        size_t size = strcspn(flags, " ");
        size_t name_size = strcspn(flags, " =/");
        const char *slash = memchr(flags, '/', size);
        const char *end = slash == NULL ? flags + size : slash;
        bool found = letter != 0 ? slash != NULL && slash[1] == letter
                                 : str_equal(str_from(flags, name_size), name);
        if (found) {
            const char *kind = flags + name_size;
            *flag = (struct flag){.name = str_from(flags, name_size), .has_value = *kind == '='};
            kind += flag->has_value;
            flag->repeats = *kind == '+';
            kind += flag->repeats;
            flag->choices = str_from(kind, (size_t)(end - kind));
            return true;
        }
        flags += size + strspn(flags + size, " ");
    }
    return false;
}

static bool find_flag(const struct ctl_reader *reader, struct str name, char letter,
                      struct flag *flag)
{
    for (size_t i = 0; i < sizeof reader->flags / sizeof *reader->flags; i++) {
        if (find_in(reader->flags[i], name, letter, flag))
            return true;
    }
    return false;
}

static bool refuse(const char *what, const char *word)
{
    ctl_usage_error("%s '%s'", what, word);
    return false;
}

static bool is_one_of(struct str choices, struct str value)
{
    for (size_t at = 0; at <= choices.size;) {
        size_t end = str_find(choices, '|', at);
        end = end == SIZE_MAX ? choices.size : end;
        if (str_equal(str_from(choices.data + at, end - at), value))
            return true;
        at = end + 1;
    }
    return false;
}

static bool check_value(const struct flag *flag, const char *value)
{
    struct strbuf why = STRBUF_INIT;
    struct str text = str_from_cstr(value);
    int64_t number;
    if (str_equal(flag->choices, STR("#"))) {
        if (!str_to_int64(text, &number))
            strbuf_printf(&why, "strconv.ParseInt: parsing \"%s\": invalid syntax", value);
    } else if (str_equal(flag->choices, STR("~"))) {
        if (api_duration_parse(text, &number, &why) == OK)
            strbuf_clear(&why);
    } else if (str_equal(flag->choices, STR("%"))) {
        if (str_find(text, '=', 0) == SIZE_MAX)
            strbuf_printf(&why, "expected KEY=VALUE got '%s'", value);
    } else if (flag->choices.size > 0 && !is_one_of(flag->choices, text)) {
        strbuf_add_cstr(&why, "enum value must be one of ");
        for (size_t i = 0; i < flag->choices.size; i++)
            strbuf_add_char(&why, flag->choices.data[i] == '|' ? ',' : flag->choices.data[i]);
        strbuf_printf(&why, ", got '%s'", value);
    }
    bool good = why.size == 0;
    if (!good)
        ctl_usage_error("%s", strbuf_cstr(&why));
    strbuf_deinit(&why);
    return good;
}

static bool record(struct ctl_arguments *arguments, const struct flag *flag, const char *value)
{
    for (uint32_t i = 0; i < arguments->option_count && !flag->repeats; i++) {
        if (str_equal(arguments->options[i].name, flag->name)) {
            ctl_usage_error("flag '%.*s' cannot be repeated", STR_ARG(flag->name));
            return false;
        }
    }
    if (!check_value(flag, value))
        return false;
    VEC_PUSH(MEM_BASE, arguments->options, arguments->option_count, arguments->option_capacity,
             (struct ctl_option){flag->name, value});
    return true;
}

static bool read_long(struct ctl_reader *reader, const char *word)
{
    const char *equal = strchr(word, '=');
    size_t size = equal == NULL ? strlen(word) : (size_t)(equal - word);
    struct str name = str_from(word + 2, size - 2);
    struct flag flag;
    /* --no-name takes a switch back, and none is on by itself. */
    struct str negated =
        str_starts_with(name, STR("no-")) ? str_from(name.data + 3, name.size - 3) : STR("");
    if (find_flag(reader, name, 0, &flag)) {
        if (!flag.has_value && equal != NULL)
            return refuse("a switch takes no value:", word);
        if (flag.has_value && equal == NULL && reader->at == reader->argc)
            return refuse("expected argument for flag", word);
        const char *value = !flag.has_value ? ""
                            : equal != NULL ? equal + 1
                                            : reader->argv[reader->at++];
        return record(reader->arguments, &flag, value);
    }
    if (negated.size > 0 && find_flag(reader, negated, 0, &flag) && !flag.has_value)
        return true;
    return refuse("unknown long flag", word);
}

/* -o json, -ojson, -rq */
static bool read_short(struct ctl_reader *reader, const char *word)
{
    for (const char *at = word + 1; *at != '\0'; at++) {
        struct flag flag;
        char shown[] = {'-', *at, '\0'};
        if (!find_flag(reader, STR(""), *at, &flag))
            return refuse("unknown short flag", shown);
        if (flag.has_value) {
            if (at[1] == '\0' && reader->at == reader->argc)
                return refuse("expected argument for flag", shown);
            return record(reader->arguments, &flag,
                          at[1] != '\0' ? at + 1 : reader->argv[reader->at++]);
        }
        if (!record(reader->arguments, &flag, ""))
            return false;
    }
    return true;
}

bool ctl_reader_next(struct ctl_reader *reader, const char **word)
{
    *word = NULL;
    while (reader->at < reader->argc) {
        const char *next = reader->argv[reader->at++];
        if (reader->flags_ended || next[0] != '-' || next[1] == '\0') {
            *word = next;
            return true;
        }
        if (strcmp(next, "--") == 0)
            reader->flags_ended = true;
        else if (!(next[1] == '-' ? read_long(reader, next) : read_short(reader, next)))
            return false;
    }
    return true;
}
