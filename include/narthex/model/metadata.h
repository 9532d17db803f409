/* model/metadata.h: what a metric family says about itself. */
#pragma once

#include "narthex/base/str.h"

enum metadata_type {
    METADATA_UNKNOWN,
    METADATA_COUNTER,
    METADATA_GAUGE,
    METADATA_HISTOGRAM,
    METADATA_GAUGEHISTOGRAM,
    METADATA_SUMMARY,
    METADATA_INFO,
    METADATA_STATESET,
};

/* The word of OpenMetrics and of the HTTP API ("counter", "gaugehistogram", …); static storage. */
const char *metadata_type_name(enum metadata_type type);
