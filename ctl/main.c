/* narthexctl: checks configurations, asks servers, looks into data folders. Arguments, output and
 * exit statuses follow promtool where it has the command (spec http-api.md 5). */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl.h"
#include "narthex/base/log.h"
#include "narthex/base/vec.h"

/* Flags are lists as struct ctl_reader has them. */
static const char global_flags[] = "help/h version experimental enable-feature=+";
static const struct {
    const char *name;
    const char *flags;
} groups[] = {
    {"check", "query.lookback-delta=~"},
    {"query", "format=promql|json/o http.config.file= header=+%"},
    {"debug", "http.config.file="},
    {"push", "http.config.file="},
    {"test", "junit="},
    {"tsdb", NULL},
    {"promql", NULL},
};

struct command {
    const char *words;
    const char *usage;
    const char *flags;
    /* Names of what follows the flags, parted by commas: "?" in front of what may be left out, "+"
     * behind the last when there may be more of it, "@" in front of files that must exist. */
    const char *rest;
    int (*run)(const struct ctl_arguments *arguments);
};

static const struct command commands[] = {
    {"check config",
     "[--syntax-only] [--agent] [--lint=all|none|duplicate-rules|too-long-scrape-interval] "
     "[--lint-fatal] [--ignore-unknown-fields] [--query.lookback-delta=D] FILE…",
     "syntax-only agent lint= lint-fatal ignore-unknown-fields", "@config-files+",
     ctl_check_config},
    {"check web-config", "FILE…", NULL, "@web-config-files+", ctl_check_web_config},
    {"check metrics", "[--extended] [--lint=all|none] [--format=json] <FILE",
     "extended lint=all|none format=text|json/o", "", ctl_check_metrics},
    {"check healthy", "[--url=URL] [--http.config.file=FILE]", "url= http.config.file=", "",
     ctl_check_healthy},
    {"check ready", "[--url=URL] [--http.config.file=FILE]", "url= http.config.file=", "",
     ctl_check_ready},
    {"check service-discovery", "[--timeout=D] FILE JOB", "timeout=~", "@config-file,job",
     ctl_check_service_discovery},
    {"check rules", "FILE… (not built yet)", "lint= lint-fatal ignore-unknown-fields",
     "?rule-files+", ctl_no_rules},
    {"query instant",
     "[--time=T] [--format=json] [--header=NAME=VALUE…] [--http.config.file=FILE] URL EXPR",
     "time=", "server,expr", ctl_query_instant},
    {"query range",
     "[--start=T] [--end=T] [--step=D] [--format=json] [--header=NAME=VALUE…] "
     "[--http.config.file=FILE] URL EXPR",
     "start= end= step=~", "server,expr", ctl_query_range},
    {"query series",
     "--match=SELECTOR… [--start=T] [--end=T] [--format=json] [--header=NAME=VALUE…] "
     "[--http.config.file=FILE] URL",
     "match=+ start= end=", "server", ctl_query_series},
    {"query labels",
     "[--start=T] [--end=T] [--match=SELECTOR…] [--format=json] [--header=NAME=VALUE…] "
     "[--http.config.file=FILE] URL NAME",
     "start= end= match=+", "server,name", ctl_query_labels},
    {"query analyze",
     "--server=URL --type=histogram --match=SELECTOR… [--duration=D] [--time=T] [--format=json] "
     "[--header=NAME=VALUE…] [--http.config.file=FILE]",
     "server= type=histogram duration=~ time= match=+", "", ctl_query_analyze},
    {"debug all", "[--http.config.file=FILE] URL", NULL, "server", ctl_debug_all},
    {"debug metrics", "[--http.config.file=FILE] URL", NULL, "server", ctl_debug_metrics},
    {"debug pprof", "URL (there are no profiles)", NULL, "server", ctl_debug_pprof},
    {"push metrics", "URL [FILE…] (not built yet)",
     "label=+% timeout=~ header=+% protobuf_message= remote-write.path=",
     "remote-write-url,?metric-files+", ctl_no_remote_write},
    {"test rules", "FILE… (not built yet)",
     "run=+ debug diff ignore-unknown-fields coverage coverage-threshold=", "test-rule-file+",
     ctl_no_rules},
    {"tsdb list", "[--human-readable] [--format=json] [DIR]", "human-readable/r format=text|json/o",
     "?db path", ctl_tsdb_list},
    {"tsdb analyze", "[--limit=N] [--extended] [--match=SELECTOR] [--format=json] [DIR [BLOCK]]",
     "limit=# extended match= format=text|json/o", "?db path,?block id", ctl_tsdb_analyze},
    {"tsdb dump",
     "[--min-time=MS] [--max-time=MS] [--match=SELECTOR…] [--format=prom|seriesjson] [DIR]",
     "min-time=# max-time=# match=+ format=prom|seriesjson sandbox-dir-root=", "?db path",
     ctl_tsdb_dump},
    {"tsdb dump-openmetrics", "[--min-time=MS] [--max-time=MS] [--match=SELECTOR…] [DIR]",
     "min-time=# max-time=# match=+ sandbox-dir-root=", "?db path", ctl_tsdb_dump_openmetrics},
    {"tsdb verify", "[--format=json] [DIR]", "format=text|json/o", "?db path", ctl_tsdb_verify},
    {"tsdb repair", "[DIR]", NULL, "?db path", ctl_tsdb_repair},
    {"tsdb create-blocks-from openmetrics",
     "[--human-readable] [--quiet] [--samples-in-memory=N] [--format=json] INPUT [OUTPUT] | "
     "--url=URL INPUT",
     "human-readable/r quiet/q samples-in-memory=# format=text|json/o url=",
     "@input file,?output directory", ctl_tsdb_create_blocks},
    {"tsdb create-blocks-from rules", "FILE… (not built yet)",
     "human-readable/r quiet/q start= end= url= output-dir= eval-interval=~ http.config.file=",
     "rule-files+", ctl_no_rules},
    {"tsdb bench write", "[FILE] (see tsdb-bench)", "out= metrics=# scrapes=#", "?file",
     ctl_no_write_bench},
    {"promql format", "QUERY", NULL, "query", ctl_promql_format},
    {"promql label-matchers set", "[--type=(=|!=|=~|!~)] QUERY NAME VALUE", "type=/t",
     "query,name,value", ctl_promql_set_matcher},
    {"promql label-matchers delete", "QUERY NAME", NULL, "query,name", ctl_promql_delete_matcher},
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

/* Lines of all commands whose words begin so. */
static void print_help(const char *words)
{
    printf("usage: narthexctl <command> [<options>] [<arguments>]\n\nCommands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strncmp(commands[i].words, words, strlen(words)) == 0)
            printf("  %s %s\n", commands[i].words, commands[i].usage);
    }
}

/* How many commands' words begin with `words`, and end there or go on with another word. *whole is
 * the one that ends there. */
static size_t count_commands(const struct strbuf *words, const struct command **whole)
{
    size_t count = 0;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const char *candidate = commands[i].words;
        if (words->size > 0 && strncmp(candidate, words->data, words->size) != 0)
            continue;
        char next = candidate[words->size];
        count += words->size == 0 || next == '\0' || next == ' ';
        if (next == '\0')
            *whole = &commands[i];
    }
    return count;
}

static const char *group_flags(const char *name)
{
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        if (strcmp(groups[i].name, name) == 0)
            return groups[i].flags;
    }
    return NULL;
}

/* The words of the command; *command stays NULL when --help or --version end the line early. */
static bool read_command(struct ctl_reader *reader, const struct command **command,
                         struct strbuf *words)
{
    const char *word;
    *command = NULL;
    while (*command == NULL) {
        if (!ctl_reader_next(reader, &word))
            return false;
        if (word == NULL)
            return true;
        struct str known = strbuf_str(words);
        if (words->size == 0)
            reader->flags[1] = group_flags(word);
        if (words->size > 0)
            strbuf_add_char(words, ' ');
        strbuf_add_cstr(words, word);
        if (count_commands(words, command) == 0) {
            words->size = known.size;
            ctl_usage_error("expected command but got \"%s\"", word);
            return false;
        }
    }
    reader->flags[2] = (*command)->flags;
    return true;
}

static bool check_file(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        ctl_usage_error("path '%s' does not exist", path);
        return false;
    }
    if (S_ISDIR(status.st_mode)) {
        ctl_usage_error("'%s' is a directory", path);
        return false;
    }
    return true;
}

/* Holds the rest of the line to what the command takes. */
static bool check_rest(const struct command *command, const struct ctl_arguments *arguments)
{
    uint32_t at = 0;
    bool more = false;
    for (const char *name = command->rest; *name != '\0';) {
        bool optional = *name == '?';
        bool is_file = *name == '@';
        name += optional || is_file;
        size_t size = strcspn(name, ",");
        more = name[size - 1] == '+';
        if (at == arguments->rest_count && !optional) {
            ctl_usage_error("required argument '%.*s' not provided", (int)(size - more), name);
            return false;
        }
        uint32_t end = more ? arguments->rest_count : at + 1;
        for (; at < end && at < arguments->rest_count; at++) {
            if (is_file && !check_file(arguments->rest[at]))
                return false;
        }
        name += size + (name[size] == ',');
    }
    if (at < arguments->rest_count) {
        ctl_usage_error("unexpected %s", arguments->rest[at]);
        return false;
    }
    return true;
}

static int run(struct ctl_reader *reader, struct strbuf *words)
{
    const struct command *command;
    const char *word = NULL;
    struct ctl_arguments *arguments = reader->arguments;
    if (!read_command(reader, &command, words))
        return CTL_FAILED;
    do {
        if (!ctl_reader_next(reader, &word))
            return CTL_FAILED;
        if (word != NULL)
            VEC_PUSH(MEM_BASE, arguments->rest, arguments->rest_count, arguments->rest_capacity,
                     word);
    } while (word != NULL);
    if (ctl_switch(arguments, "version")) {
        printf("narthexctl, version %s\n", NARTHEX_VERSION);
        return CTL_OK;
    }
    if (ctl_switch(arguments, "help") || (command == NULL && words->size == 0)) {
        print_help(strbuf_cstr(words));
        return CTL_OK;
    }
    if (command == NULL)
        return ctl_usage_error("must select a subcommand of '%s'", strbuf_cstr(words));
    return check_rest(command, arguments) ? command->run(arguments) : CTL_FAILED;
}

int main(int argc, char **argv)
{
    struct ctl_arguments arguments = {0};
    struct ctl_reader reader = {
        .argc = argc, .argv = argv, .at = 1, .flags = {global_flags}, .arguments = &arguments};
    struct strbuf words = STRBUF_INIT;
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    if (argc >= 2 && strcmp(argv[1], "help") == 0) { /* help check config: the same as --help */
        reader.at = 2;
        VEC_PUSH(MEM_BASE, arguments.options, arguments.option_count, arguments.option_capacity,
                 (struct ctl_option){STR("help"), ""});
    }
    int status = run(&reader, &words);
    strbuf_deinit(&words);
    ctl_arguments_deinit(&arguments);
    return status;
}
