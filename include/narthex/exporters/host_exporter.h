/* exporters/host_exporter.h: metrics of this machine under the names of the node exporter.
 *
 * A host_exporter reads procfs, sysfs and the mounted file systems when it is asked; nothing runs
 * in between. Names, types and labels are those that dashboards and alert rules of the node
 * exporter ask for; docs/exporters.md lists the collectors.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "narthex/base/err.h"
#include "narthex/base/str.h"
#include "narthex/base/strbuf.h"
#include "narthex/model/exposition_writer.h"

/* Roots; NULL takes the default. The strings are copied. */
struct host_exporter_options {
    const char *procfs;    /* "/proc" */
    const char *sysfs;     /* "/sys" */
    const char *rootfs;    /* "/": the host's root seen from a container; stripped from labels */
    const char *udev_data; /* "/run/udev/data" */
    const char *textfiles; /* none: folder of *.prom files that are shown, too */
};

/* Which collectors run for one request; no names at all: every one. At most one list may be given.
 */
struct host_exporter_filter {
    const struct str *only;
    size_t only_count;
    const struct str *except;
    size_t except_count;
};

struct host_exporter;

/* options may be NULL. */
struct host_exporter *host_exporter_create(const struct host_exporter_options *options);
/* No collection may be running. */
void host_exporter_destroy(struct host_exporter *exporter);

/* Switches a collector on or off; interrupts and processes begin switched off. Before the first
 * collection only. Errors: ERR_INVALID for an unknown name. */
err_t host_exporter_switch(struct host_exporter *exporter, struct str collector, bool on,
                           struct strbuf *why);

/* Appends all families to the writer, then node_scrape_collector_{duration_seconds,success}. A
 * collector that fails shows there and does not fail the call. Takes at most a little longer than
 * 5 s, however many mounted file systems hang. filter may be NULL. Any thread; calls take turns.
 * Errors: ERR_INVALID for the name of a collector that is unknown or switched off, or both
 * lists; nothing is written then. */
err_t host_exporter_collect(struct host_exporter *exporter, struct metric_writer *writer,
                            const struct host_exporter_filter *filter, struct strbuf *why);

/* Appends process_*: CPU time, memory and files of the calling process. Any thread. */
void process_exporter_collect(struct metric_writer *writer);
