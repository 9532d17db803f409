#include "narthex/scraper/discovery.h"

bool discovery_supported(struct str mechanism)
{
    (void)mechanism;
    return false;
}
