/* scraper/discovery_probe.h: which targets a job would have, without scraping them; for tools. */
#pragma once

#include "narthex/base/arena.h"
#include "narthex/base/err.h"
#include "narthex/scraper/scrape_config.h"

/* What was found and what relabeling made of it. */
struct discovery_probe_target {
    struct labels discovered_labels; /* empty when refused */
    struct labels labels; /* with internal ones; empty: dropped by relabeling, or refused */
    struct str error;     /* why what relabeling left is no target; empty: it is, or was dropped */
};

struct discovery_probe {
    const struct discovery_probe_target *items; /* in order of discovery, no two of equal labels */
    size_t count;
};

/* Runs the job's discovery for timeout_ms, if it has any, and gives what it found last with the
 * static targets; faults of discovery are logged. Everything is in `arena`. Fails when the job's
 * HTTP client cannot be made. */
err_t discovery_probe_job(const struct scrape_config *job, int64_t timeout_ms, struct arena *arena,
                          struct discovery_probe *probe, struct strbuf *why);

/* Reads a file of targets as file_sd does: ERR_INVALID with what is wrong in it, ERR_NOT_FOUND and
 * ERR_IO with "open PATH: …". */
err_t discovery_probe_file(const char *path, struct strbuf *why);
