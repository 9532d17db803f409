/* What the words of a command line mean, as promtool reads them. */
#include <stdio.h>
#include <string.h>

#include "ctl.h"

struct flag {
    struct str name;
    bool has_value;
};

int ctl_usage_error(const char *text)
{
    fprintf(stderr, "narthexctl: error: %s, try --help\n", text);
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

bool ctl_switch(const struct ctl_arguments *arguments, const char *name)
{
    return ctl_option(arguments, name, NULL) != NULL;
}

bool ctl_wants_json(const struct ctl_arguments *arguments)
{
    return strcmp(ctl_option(arguments, "format", ""), "json") == 0;
}

/* Finds by name, or by the short form when that is not 0. */
static bool find_flag(const char *flags, struct str name, char letter, struct flag *flag)
{
    while (*flags != '\0') {
        size_t size = strcspn(flags, " ");
        size_t name_size = strcspn(flags, " =/");
        const char *slash = memchr(flags, '/', size);
        flag->name = str_from(flags, name_size);
        flag->has_value = flags[name_size] == '=';
        if (letter != 0 ? slash != NULL && slash[1] == letter : str_equal(flag->name, name))
            return true;
        flags += size + strspn(flags + size, " ");
    }
    return false;
}

static bool refuse(const char *format, const char *word)
{
    struct strbuf text = STRBUF_INIT;
    strbuf_add_cstr(&text, format);
    strbuf_printf(&text, " '%s'", word);
    ctl_usage_error(strbuf_cstr(&text));
    strbuf_deinit(&text);
    return false;
}

/* Reads the flag at argv[*at]; moves to its value when that is a word of its own. */
static bool read_flag(int argc, char **argv, int *at, const char *flags,
                      struct ctl_arguments *arguments)
{
    char *word = argv[*at];
    bool is_long = word[1] == '-';
    const char *equal = is_long ? strchr(word, '=') : NULL;
    size_t size = equal == NULL ? strlen(word) : (size_t)(equal - word);
    struct flag flag;
    const char *value = equal == NULL ? "" : equal + 1;
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        flag = (struct flag){STR("help"), false};
    else if (!find_flag(flags, is_long ? str_from(word + 2, size - 2) : STR(""),
                        is_long ? 0 : word[1], &flag))
        return refuse(is_long ? "unknown long flag" : "unknown short flag", word);
    if (flag.has_value && equal == NULL) {
        bool joined = !is_long && word[2] != '\0'; /* -ojson */
        if (!joined && *at + 1 == argc)
            return refuse("expected argument for flag", word);
        value = joined ? word + 2 : argv[++*at];
    }
    arguments->options[arguments->option_count].name = flag.name;
    arguments->options[arguments->option_count++].value = value;
    return true;
}

bool ctl_arguments_read(int argc, char **argv, const char *flags, struct ctl_arguments *arguments)
{
    bool flags_ended = false;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (arguments->option_count == CTL_ARGUMENTS_MAX ||
            arguments->rest_count == CTL_ARGUMENTS_MAX) {
            ctl_usage_error("too many arguments");
            return false;
        }
        if (!flags_ended && strcmp(word, "--") == 0)
            flags_ended = true;
        else if (flags_ended || word[0] != '-' || word[1] == '\0')
            arguments->rest[arguments->rest_count++] = word;
        else if (!read_flag(argc, argv, &i, flags, arguments))
            return false;
    }
    return true;
}
