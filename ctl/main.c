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
    const char *flags; /* see ctl_arguments_read */
    int (*run)(const struct ctl_arguments *arguments);
    uint32_t rest_min; /* words after the options */
};

static const struct command commands[] = {
    {"check", "config", "FILE…", "", ctl_check_config, 1},
    {"check", "metrics", "[--extended] [--lint=all|none] <FILE", "extended lint= format=/o",
     ctl_check_metrics, 0},
    {"check", "web-config", "FILE…", "", ctl_check_web_config, 1},
    {"check", "healthy", "[--url=URL]", "url=", ctl_check_healthy, 0},
    {"check", "ready", "[--url=URL]", "url=", ctl_check_ready, 0},
    {"query", "instant", "[--time=T] [--format=json] URL EXPR", "time= format=/o",
     ctl_query_instant, 2},
    {"query", "range", "[--start=T] [--end=T] [--step=D] [--format=json] URL EXPR",
     "start= end= step= format=/o", ctl_query_range, 2},
    {"query", "series", "--match=SELECTOR… [--start=T] [--end=T] URL",
     "match= start= end= format=/o", ctl_query_series, 1},
    {"query", "labels", "[--start=T] [--end=T] [--match=SELECTOR…] URL NAME",
     "start= end= match= format=/o", ctl_query_labels, 2},
    {"tsdb", "list", "[DIR]", "", ctl_tsdb_list, 0},
    {"tsdb", "dump", "[--min-time=MS] [--max-time=MS] [--match=SELECTOR…] [DIR]",
     "min-time= max-time= match=", ctl_tsdb_dump, 0},
    {"tsdb", "dump-openmetrics", "[--min-time=MS] [--max-time=MS] [--match=SELECTOR…] [DIR]",
     "min-time= max-time= match=", ctl_tsdb_dump_openmetrics, 0},
    {"tsdb", "verify", "[DIR]", "", ctl_tsdb_verify, 0},
    {"tsdb", "repair", "[DIR]", "", ctl_tsdb_repair, 0},
    {"tsdb", "create-blocks-from",
     "openmetrics [--quiet] [--samples-in-memory=N] INPUT [OUTPUT] | --url=URL INPUT",
     "quiet/q samples-in-memory= url=", ctl_tsdb_create_blocks, 2},
    {"promql", "format", "QUERY", "", ctl_promql_format, 1},
    {"promql", "label-matchers", "set [--type=(=|!=|=~|!~)] QUERY NAME VALUE | delete QUERY NAME",
     "type=/t", ctl_promql_label_matchers, 3},
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static void print_help(void)
{
    printf("usage: narthexctl <command> [<options>] [<arguments>]\n\nCommands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        printf("  %s %s %s\n", commands[i].group, commands[i].name, commands[i].usage);
}

int main(int argc, char **argv)
{
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    /* promtool's switch for its promql commands; nothing here needs it. */
    if (argc >= 2 && strcmp(argv[1], "--experimental") == 0) {
        argc--;
        argv++;
    }
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_help();
        return CTL_OK;
    }
    if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
        printf("narthexctl, version %s\n", NARTHEX_VERSION);
        return CTL_OK;
    }
    if (argc < 3)
        return ctl_usage_error("a command has two words");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].group, argv[1]) != 0 || strcmp(commands[i].name, argv[2]) != 0)
            continue;
        struct ctl_arguments arguments = {0};
        if (!ctl_arguments_read(argc - 3, argv + 3, commands[i].flags, &arguments))
            return CTL_FAILED;
        if (ctl_switch(&arguments, "help")) {
            printf("usage: narthexctl %s %s %s\n", argv[1], argv[2], commands[i].usage);
            return CTL_OK;
        }
        if (arguments.rest_count < commands[i].rest_min)
            return ctl_usage_error("required argument not provided");
        return commands[i].run(&arguments);
    }
    return ctl_usage_error("unknown command");
}
