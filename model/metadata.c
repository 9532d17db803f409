#include "narthex/model/metadata.h"

const char *metadata_type_name(enum metadata_type type)
{
    static const char *const names[] = {
        [METADATA_UNKNOWN] = "unknown",
        [METADATA_COUNTER] = "counter",
        [METADATA_GAUGE] = "gauge",
        [METADATA_HISTOGRAM] = "histogram",
        [METADATA_GAUGEHISTOGRAM] = "gaugehistogram",
        [METADATA_SUMMARY] = "summary",
        [METADATA_INFO] = "info",
        [METADATA_STATESET] = "stateset",
    };
    return names[type];
}
