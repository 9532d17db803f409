/* Relabeling with every step written down. */
#pragma once

#include "narthex/scraper/scrape_why.h"

/* steps[0..rule_count) of `labels`. Each step begins anew with all rules up to its own, as it is
 * with the rules in one go: some look at the order in which labels were added. */
void scrape_trace_steps(const struct relabel_rule *rules, uint32_t rule_count,
                        enum name_scheme scheme, struct labels labels, struct arena *arena,
                        struct relabel_step_view *steps);
/* Number of the first step whose output does not match, or that dropped the labels; rule_count when
 * there is none. *before is what that rule saw. */
uint32_t scrape_trace_first_lost(const struct relabel_step_view *steps, uint32_t rule_count,
                                 struct labels labels, struct selector selector,
                                 struct labels *before);
