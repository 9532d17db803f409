/* narthexctl: checks configurations, asks servers, looks into data folders. Arguments, output and
 * exit statuses follow promtool where it has the command (spec http-api.md 5). */
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "narthex/base/log.h"

struct command {
    const char *group;
    const char *name;
    const char *usage;
    int (*run)(const struct ctl_arguments *arguments);
    uint32_t rest_min; /* words after the options */
};

static const struct command commands[] = {
    {"check", "config", "FILE…", ctl_check_config, 1},
    {"check", "web-config", "FILE…", ctl_check_web_config, 1},
    {"check", "healthy", "[--url=URL]", ctl_check_healthy, 0},
    {"check", "ready", "[--url=URL]", ctl_check_ready, 0},
    {"query", "instant", "[--time=T] [--format=json] URL EXPR", ctl_query_instant, 2},
    {"query", "range", "[--start=T] [--end=T] [--step=D] [--format=json] URL EXPR", ctl_query_range,
     2},
    {"query", "series", "--match=SELECTOR… [--start=T] [--end=T] URL", ctl_query_series, 1},
    {"query", "labels", "[--start=T] [--end=T] [--match=SELECTOR…] URL NAME", ctl_query_labels, 2},
    {"tsdb", "list", "[DIR]", ctl_tsdb_list, 0},
    {"tsdb", "dump", "[--min-time=MS] [--max-time=MS] [--match=SELECTOR…] [DIR]", ctl_tsdb_dump, 0},
    {"tsdb", "dump-openmetrics", "[--min-time=MS] [--max-time=MS] [--match=SELECTOR…] [DIR]",
     ctl_tsdb_dump_openmetrics, 0},
    {"tsdb", "verify", "[DIR]", ctl_tsdb_verify, 0},
    {"tsdb", "repair", "[DIR]", ctl_tsdb_repair, 0},
    {"tsdb", "create-blocks-from",
     "openmetrics [--quiet] [--samples-in-memory=N] INPUT [OUTPUT] | --url=URL INPUT",
     ctl_tsdb_create_blocks, 2},
    {"promql", "format", "QUERY", ctl_promql_format, 1},
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

const char *ctl_option(const struct ctl_arguments *arguments, const char *name,
                       const char *fallback)
{
    for (uint32_t i = 0; i < arguments->option_count; i++) {
        if (str_equal_cstr(arguments->options[i].name, name))
            return arguments->options[i].value;
    }
    return fallback;
}

static int usage_error(const char *text)
{
    fprintf(stderr, "narthexctl: error: %s, try --help\n", text);
    return CTL_FAILED;
}

static void print_help(void)
{
    printf("usage: narthexctl <command> [<options>] [<arguments>]\n\nCommands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        printf("  %s %s %s\n", commands[i].group, commands[i].name, commands[i].usage);
}

/* False when there are too many. */
static bool read_arguments(int argc, char **argv, struct ctl_arguments *arguments)
{
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (arguments->option_count == CTL_ARGUMENTS_MAX ||
            arguments->rest_count == CTL_ARGUMENTS_MAX)
            return false;
        if (strncmp(word, "--", 2) != 0) {
            arguments->rest[arguments->rest_count++] = word;
            continue;
        }
        const char *equal = strchr(word, '=');
        size_t size = equal == NULL ? strlen(word + 2) : (size_t)(equal - word - 2);
        arguments->options[arguments->option_count].name = str_from(word + 2, size);
        arguments->options[arguments->option_count++].value = equal == NULL ? "" : equal + 1;
    }
    return true;
}

int main(int argc, char **argv)
{
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_help();
        return CTL_OK;
    }
    if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
        printf("narthexctl, version %s\n", NARTHEX_VERSION);
        return CTL_OK;
    }
    if (argc < 3)
        return usage_error("a command has two words");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].group, argv[1]) != 0 || strcmp(commands[i].name, argv[2]) != 0)
            continue;
        struct ctl_arguments arguments = {0};
        if (!read_arguments(argc - 3, argv + 3, &arguments))
            return usage_error("too many arguments");
        if (arguments.rest_count < commands[i].rest_min)
            return usage_error("required argument not provided");
        return commands[i].run(&arguments);
    }
    return usage_error("unknown command");
}
