/* tests/support/exposition_dump.h: an exposition as lines of text, for tables of expected results.
 *
 *     sample KEY | {labels} | value [@timestamp] [start=ms]
 *     histogram {labels} | text of the histogram's fields [@timestamp] [start=ms]
 *     exemplar {labels} value [@timestamp]
 *     type NAME counter
 *     help NAME text        (Go-quoted)
 *     unit NAME text
 *     comment text
 *     start KEY value
 *     error text
 *
 * Values are written with 17 significant digits, timestamps in milliseconds. The end gives no line.
 */
#pragma once

#include "narthex/model/exposition.h"

void exposition_dump(enum exposition_format format, const struct exposition_options *options,
                     struct str body, struct strbuf *out);
