/* bench/scrape_fleet.h: a fleet that is scraped: bodies go through parser, positional caches and
 * batches of the scraper into a database, without network. */
#pragma once

#include "fleet.h"
#include "narthex/tsdb/storage.h"

/* Labels of a target besides job and instance. */
enum { SCRAPE_FLEET_LABELS = 5 };

struct scrape_fleet;

/* `fleet` says what the targets show and is borrowed. */
err_t scrape_fleet_create(const struct fleet *fleet, struct storage *storage,
                          struct scrape_fleet **scraped, struct strbuf *why);
/* Scrapes every target once; returns the number of samples. */
err_t scrape_fleet_row(struct scrape_fleet *scraped, uint64_t *samples, struct strbuf *why);
