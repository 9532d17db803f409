/* ctl/ctl.h: the commands of narthexctl and what they share. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/err.h"
#include "narthex/base/strbuf.h"

enum { CTL_OK = 0, CTL_FAILED = 1, CTL_LINT = 3 };

struct ctl_option {
    struct str name;
    const char *value; /* "" for a switch */
};

/* What follows the command's words on the command line: flags and the rest. All zero is empty;
 * strings are borrowed from argv. */
struct ctl_arguments {
    struct ctl_option *options;
    uint32_t option_count;
    uint32_t option_capacity;
    const char **rest;
    uint32_t rest_count;
    uint32_t rest_capacity;
};

/* ---- arguments (ctl/arguments.c) ---- */

/* Reads a command line by lists of flags. A list has names parted by blanks, each with
 *     =          a value behind it, --name=value or --name value
 *     =+         the same, may be repeated
 *     =a|b       the same, one of these
 *     =#         the same, a number
 *     =~         the same, a duration
 *     =%         the same, NAME=VALUE
 *     /c         a short form -c, at the end
 * as in "match=+ quiet/q format=promql|json/o limit=#". */
struct ctl_reader {
    int argc;
    char **argv;
    int at; /* the next word */
    bool flags_ended;
    const char *flags[3]; /* lists that hold now; NULL: none */
    struct ctl_arguments *arguments;
};
/* Records flags up to the next word that is none, which is *word; NULL at the end. False after
 * saying on stderr what is wrong. */
bool ctl_reader_next(struct ctl_reader *reader, const char **word);
void ctl_arguments_deinit(struct ctl_arguments *arguments);
/* Says it on stderr as promtool does; returns CTL_FAILED. */
int ctl_usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Says on stderr that something went wrong, with the text of `why`; returns CTL_FAILED. */
int ctl_fail(const struct strbuf *why);
bool ctl_switch(const struct ctl_arguments *arguments, const char *name);
/* Whether --format=json was given. */
bool ctl_wants_json(const struct ctl_arguments *arguments);
/* Value of an option, or `fallback`. */
const char *ctl_option(const struct ctl_arguments *arguments, const char *name,
                       const char *fallback);
/* Value of a duration, which was checked when it was read. */
int64_t ctl_option_ms(const struct ctl_arguments *arguments, const char *name,
                      const char *fallback);

/* Each returns the exit status. */
int ctl_check_config(const struct ctl_arguments *arguments);
int ctl_check_metrics(const struct ctl_arguments *arguments);
int ctl_check_web_config(const struct ctl_arguments *arguments);
int ctl_check_healthy(const struct ctl_arguments *arguments);
int ctl_check_ready(const struct ctl_arguments *arguments);
int ctl_check_service_discovery(const struct ctl_arguments *arguments);
int ctl_query_instant(const struct ctl_arguments *arguments);
int ctl_query_range(const struct ctl_arguments *arguments);
int ctl_query_series(const struct ctl_arguments *arguments);
int ctl_query_labels(const struct ctl_arguments *arguments);
int ctl_query_analyze(const struct ctl_arguments *arguments);
int ctl_debug_all(const struct ctl_arguments *arguments);
int ctl_debug_metrics(const struct ctl_arguments *arguments);
int ctl_debug_pprof(const struct ctl_arguments *arguments);
int ctl_tsdb_list(const struct ctl_arguments *arguments);
int ctl_tsdb_analyze(const struct ctl_arguments *arguments);
int ctl_tsdb_dump(const struct ctl_arguments *arguments);
int ctl_tsdb_dump_openmetrics(const struct ctl_arguments *arguments);
int ctl_tsdb_verify(const struct ctl_arguments *arguments);
int ctl_tsdb_repair(const struct ctl_arguments *arguments);
int ctl_tsdb_create_blocks(const struct ctl_arguments *arguments);
int ctl_promql_format(const struct ctl_arguments *arguments);
int ctl_promql_set_matcher(const struct ctl_arguments *arguments);
int ctl_promql_delete_matcher(const struct ctl_arguments *arguments);
/* Commands of promtool for parts of Prometheus that this version does not have. */
int ctl_no_rules(const struct ctl_arguments *arguments);
int ctl_no_remote_write(const struct ctl_arguments *arguments);
int ctl_no_write_bench(const struct ctl_arguments *arguments);

/* ---- the data folder (ctl/tsdb.c) ---- */

/* The data folder that the command is about. */
const char *ctl_folder(const struct ctl_arguments *arguments);
/* Calls `visit` with the path of each block below the folder; counts its failures. */
int ctl_each_block(const char *folder, int (*visit)(const char *path, void *context),
                   void *context);
