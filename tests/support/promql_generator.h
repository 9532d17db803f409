/* promql_generator.h: query text out of choices, for fuzzing and differential tests.
 *
 * Every byte of the input is one choice in the grammar, so that mutated inputs give nearby queries.
 * Most queries parse; types are often wrong, as they should be in a test of the checker.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "narthex/base/strbuf.h"

/* Appends the query that the bytes stand for; bounded by the number of bytes. */
void promql_generate(const uint8_t *choices, size_t size, struct strbuf *out);
