/* ctl/progress.h: a bar on standard error while something takes long, when that is a terminal. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct ctl_progress {
    const char *what; /* "Reading" */
    uint64_t total;   /* in any unit; 0: not known */
    bool on;
    int64_t drawn_ns; /* 0: nothing stands there */
};

/* `total` 0: not known, the count is shown instead. */
void ctl_progress_start(struct ctl_progress *progress, const char *what, uint64_t total);
/* Drawn a few times a second. */
void ctl_progress_set(struct ctl_progress *progress, uint64_t done);
/* Takes the bar away, before a line is printed and at the end. */
void ctl_progress_clear(struct ctl_progress *progress);
