/* server/feature_names.h: the names of --enable-feature (spec http-api.md 3). */
#pragma once

#include "flags.h"

/* Switches on what the flag's lists name. Names without effect here, and unknown ones, are kept for
 * server_features_warn. ERR_INVALID for two that exclude each other. */
err_t server_features_set(struct server_flags *flags, struct strbuf *why);
void server_features_warn(const struct server_flags *flags);
