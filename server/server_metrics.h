/* server/server_metrics.h: own metrics that belong to no layer (spec http-api.md 6). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/metrics.h"

struct server_metrics {
    struct metric *reload_successful;
    struct metric *reload_success_seconds;
    struct metric *ready;
    struct metric *memory_budget;
    struct metric_family *memory; /* narthex_memory_bytes{subsystem} */
};

/* `own` must live as long as `metrics`. */
void server_metrics_init(struct server_metrics *own, struct metrics *metrics);
void server_metrics_reload(struct server_metrics *own, bool success, int64_t now_ms);
void server_metrics_ready(struct server_metrics *own, bool ready);
