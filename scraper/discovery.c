#include "narthex/scraper/discovery.h"

#include <stddef.h>

#include "discovery_mechanism.h"

static const struct discovery_mechanism *const mechanisms[] = {
    &discovery_consul, &discovery_dns,  &discovery_docker,     &discovery_dockerswarm,
    &discovery_file,   &discovery_http, &discovery_kubernetes,
};

const struct discovery_mechanism *discovery_mechanism_find(struct str name)
{
    for (size_t i = 0; i < sizeof mechanisms / sizeof mechanisms[0]; i++) {
        if (str_equal(mechanisms[i]->name, name))
            return mechanisms[i];
    }
    return NULL;
}

bool discovery_supported(struct str mechanism)
{
    return discovery_mechanism_find(mechanism) != NULL;
}

void discovery_mechanisms_register(struct metrics *metrics)
{
    for (size_t i = 0; i < sizeof mechanisms / sizeof mechanisms[0]; i++) {
        if (mechanisms[i]->register_metrics != NULL)
            mechanisms[i]->register_metrics(metrics);
    }
}
