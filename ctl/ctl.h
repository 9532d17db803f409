/* ctl/ctl.h: the commands of narthexctl and what they share. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/err.h"
#include "narthex/base/strbuf.h"

enum { CTL_OK = 0, CTL_FAILED = 1, CTL_LINT = 3, CTL_ARGUMENTS_MAX = 64 };

/* What follows the command's words on the command line: --name=value and the rest. */
struct ctl_arguments {
    struct {
        struct str name;
        const char *value; /* "" for a switch */
    } options[CTL_ARGUMENTS_MAX];
    uint32_t option_count;
    const char *rest[CTL_ARGUMENTS_MAX];
    uint32_t rest_count;
};

/* ---- arguments (ctl/arguments.c) ---- */

/* Reads the words by the command's flags: names parted by blanks, with "=" behind those that have a
 * value and "/c" behind those with a short form: "match= quiet/q format=/o". Both --name=value and
 * --name value are understood. False after saying on stderr what is wrong. */
bool ctl_arguments_read(int argc, char **argv, const char *flags, struct ctl_arguments *arguments);
/* Says it on stderr as promtool does; returns CTL_FAILED. */
int ctl_usage_error(const char *text);
bool ctl_switch(const struct ctl_arguments *arguments, const char *name);
/* Whether --format=json was given. */
bool ctl_wants_json(const struct ctl_arguments *arguments);
/* Value of an option, or `fallback`. */
const char *ctl_option(const struct ctl_arguments *arguments, const char *name,
                       const char *fallback);

/* Each returns the exit status. */
int ctl_check_config(const struct ctl_arguments *arguments);
int ctl_check_metrics(const struct ctl_arguments *arguments);
int ctl_check_web_config(const struct ctl_arguments *arguments);
int ctl_check_healthy(const struct ctl_arguments *arguments);
int ctl_check_ready(const struct ctl_arguments *arguments);
int ctl_query_instant(const struct ctl_arguments *arguments);
int ctl_query_range(const struct ctl_arguments *arguments);
int ctl_query_series(const struct ctl_arguments *arguments);
int ctl_query_labels(const struct ctl_arguments *arguments);
int ctl_tsdb_list(const struct ctl_arguments *arguments);
int ctl_tsdb_dump(const struct ctl_arguments *arguments);
int ctl_tsdb_dump_openmetrics(const struct ctl_arguments *arguments);
int ctl_tsdb_verify(const struct ctl_arguments *arguments);
int ctl_tsdb_repair(const struct ctl_arguments *arguments);
int ctl_tsdb_create_blocks(const struct ctl_arguments *arguments);
int ctl_promql_format(const struct ctl_arguments *arguments);
int ctl_promql_label_matchers(const struct ctl_arguments *arguments);

/* ---- rows about blocks (ctl/tsdb.c) ---- */

/* The data folder that the command is about. */
const char *ctl_folder(const struct ctl_arguments *arguments);
/* Calls `visit` with the path of each block below the folder; counts its failures. */
int ctl_each_block(const char *folder, int (*visit)(const char *path, void *context),
                   void *context);
void ctl_block_print_heading(void);
/* The row of the block in the folder `path`; 1 and a line on stderr when it cannot be read. */
int ctl_block_print(const char *path);

/* ---- HTTP (ctl/client.c) ---- */

/* GET url; the body is appended. ERR_IO when nothing answered. */
err_t ctl_get(const char *url, long *status, struct strbuf *body, struct strbuf *why);
/* POSTs the file as it is, without a limit of time; the answer's body is appended. ERR_NOT_FOUND
 * and the like when the file cannot be read. */
err_t ctl_post_file(const char *url, const char *file, long *status, struct strbuf *body,
                    struct strbuf *why);
/* Appends name=value, percent-encoded, with ? or & in front. */
void ctl_add_param(struct strbuf *url, const char *name, const char *value);
