/* server/default_config.h: the configuration of a start without a file. */
#pragma once

#include <stdbool.h>

#include "narthex/base/strbuf.h"

/* YAML that scrapes the server at `listen_address` (host:port), and this host's metrics there. */
void default_config_print(const char *listen_address, bool host_metrics, struct strbuf *out);
