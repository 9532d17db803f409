/* exporters/collection.h: what a collector works with.
 *
 * One collection is one request. Collectors run one after another on the request's thread, under
 * the exporter's lock, and share the scratch memory here.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/arena.h"
#include "narthex/base/err.h"
#include "narthex/base/fs.h"
#include "narthex/base/thread.h"
#include "narthex/exporters/host_exporter.h"
#include "narthex/model/exposition_writer.h"
#include "text_fields.h"

enum {
    COLLECT_FILE_BYTES_MAX = 16 * 1024 * 1024,
    COLLECT_KEPT_FILES_MAX = 32,
    COLLECT_ARENA_BYTES_MAX = 64 * 1024 * 1024,
};

struct cpu_history;
struct statvfs_worker;

/* A file below procfs that stays open between collections. */
struct kept_file {
    const char *name; /* static */
    int fd;
};

struct host_exporter {
    /* constant */
    char *procfs;
    char *sysfs;
    char *rootfs;
    char *udev_data;
    char *textfiles; /* "" for none */

    bool *enabled; /* by collector; constant once the first collection began */

    struct mutex lock; /* one collection at a time */
    /* guarded by lock */
    struct kept_file kept[COLLECT_KEPT_FILES_MAX];
    uint32_t kept_count;
    struct cpu_history *cpus;
    struct statvfs_worker *statvfs;
};

struct collection {
    struct host_exporter *exporter;
    struct metric_writer *writer;
    struct strbuf text; /* of the file read last */
    struct strbuf path; /* of that file */
    struct strbuf name; /* scratch for names of metrics */
    struct strbuf why;  /* the fault of the running collector */
    struct arena arena; /* emptied after each collector */
};

/* Reading. Each fills collection->text and gives a view of it, valid until the next read. */
/* A file of procfs that is read at every scrape: its descriptor is kept. `name` is static. */
err_t collection__read_proc(struct collection *collection, const char *name, struct str *text);
/* Any file; the path is put together from printf's arguments. */
err_t collection__read(struct collection *collection, struct str *text, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* As collection__read, then trimmed; false for every failure: attributes come and go, and the
 * kernel answers EINVAL for some (the speed of a link that is down). */
bool collection__attribute(struct collection *collection, struct str *value, const char *format,
                           ...) __attribute__((format(printf, 3, 4)));
/* As collection__attribute for decimal or 0x… numbers. */
bool collection__number(struct collection *collection, double *value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Writing. */
void collection__family(struct collection *collection, const char *name, enum metric_type type,
                        const char *help);
/* One label. */
void collection__value_of(struct collection *collection, const char *label, struct str of,
                          double value);
/* A family with one sample that has no labels. */
void collection__single(struct collection *collection, const char *name, enum metric_type type,
                        const char *help, double value);
/* Replaces what may not stand in a metric's name. */
void collection__make_legal(struct strbuf *name);

/* The collectors. ERR_NOT_FOUND: this machine has no such thing. */
err_t collect__arp(struct collection *collection);
err_t collect__bonding(struct collection *collection);
err_t collect__conntrack(struct collection *collection);
err_t collect__cpu(struct collection *collection);
err_t collect__cpufreq(struct collection *collection);
err_t collect__diskstats(struct collection *collection);
err_t collect__dmi(struct collection *collection);
err_t collect__edac(struct collection *collection);
err_t collect__entropy(struct collection *collection);
err_t collect__filefd(struct collection *collection);
err_t collect__filesystem(struct collection *collection);
err_t collect__hwmon(struct collection *collection);
err_t collect__interrupts(struct collection *collection);
err_t collect__loadavg(struct collection *collection);
err_t collect__mdadm(struct collection *collection);
err_t collect__meminfo(struct collection *collection);
err_t collect__netclass(struct collection *collection);
err_t collect__netdev(struct collection *collection);
err_t collect__netstat(struct collection *collection);
err_t collect__nvme(struct collection *collection);
err_t collect__os(struct collection *collection);
err_t collect__powersupplyclass(struct collection *collection);
err_t collect__pressure(struct collection *collection);
err_t collect__processes(struct collection *collection);
err_t collect__rapl(struct collection *collection);
err_t collect__schedstat(struct collection *collection);
err_t collect__selinux(struct collection *collection);
err_t collect__sockstat(struct collection *collection);
err_t collect__softnet(struct collection *collection);
err_t collect__stat(struct collection *collection);
err_t collect__textfile(struct collection *collection);
err_t collect__thermal_zone(struct collection *collection);
err_t collect__time(struct collection *collection);
err_t collect__timex(struct collection *collection);
err_t collect__udp_queues(struct collection *collection);
err_t collect__uname(struct collection *collection);
err_t collect__vmstat(struct collection *collection);

void cpu_history__destroy(struct cpu_history *history);
