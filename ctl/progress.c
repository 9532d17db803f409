#include "progress.h"

#include <stdio.h>
#include <unistd.h>

#include "narthex/base/clock.h"

enum { BAR_CELLS = 40, DRAW_EVERY_MS = 100 };

void ctl_progress_start(struct ctl_progress *progress, const char *what, uint64_t total)
{
    *progress = (struct ctl_progress){what, total, isatty(STDERR_FILENO) == 1, 0};
    ctl_progress_set(progress, 0);
}

void ctl_progress_set(struct ctl_progress *progress, uint64_t done)
{
    if (!progress->on)
        return;
    int64_t now_ns = clock_monotonic_ns(clock_system());
    if (progress->drawn_ns != 0 && now_ns - progress->drawn_ns < DRAW_EVERY_MS * INT64_C(1000000))
        return;
    progress->drawn_ns = now_ns;
    if (progress->total == 0) {
        fprintf(stderr, "\r%s %llu\033[K", progress->what, (unsigned long long)done);
    } else {
        uint64_t part = done < progress->total ? done : progress->total;
        int filled = (int)((double)part / (double)progress->total * BAR_CELLS);
        fprintf(stderr, "\r%s [%.*s%*s] %3d%%\033[K", progress->what, filled,
                "########################################", BAR_CELLS - filled, "",
                (int)((double)part / (double)progress->total * 100));
    }
    fflush(stderr);
}

void ctl_progress_clear(struct ctl_progress *progress)
{
    if (progress->drawn_ns != 0)
        fprintf(stderr, "\r\033[K");
    progress->drawn_ns = 0;
}
