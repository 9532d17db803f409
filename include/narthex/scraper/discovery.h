/* scraper/discovery.h: finding targets by something else than static_configs.
 *
 * The loader asks which mechanisms this build can run and fills the settings below
 * (spec discovery.md 2); strings are owned by the configuration's arena. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/str.h"
#include "narthex/scraper/http_config.h"

/* Whether <mechanism>_sd_configs ("file", "http", …) can be run. */
bool discovery_supported(struct str mechanism);

/* discovery_config.settings of "file". */
struct file_discovery_config {
    const struct str *files; /* absolute; one glob in the last path element allowed */
    uint32_t file_count;
    int64_t refresh_interval_ms; /* default 5 m */
};

/* discovery_config.settings of "http". */
struct http_discovery_config {
    struct str url;
    int64_t refresh_interval_ms; /* default 60 s; also the timeout of one request */
    struct http_client_config http;
};
