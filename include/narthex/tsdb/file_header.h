/* tsdb/file_header.h: names and first bytes of files of the log, of sealed windows and of series.
 * Names are numbers of eight digits or more. Headers:
 *
 *      0       5         6       7    8         12        16
 *      | magic | version | flags | 0  | number  | crc32c of bytes 0..11 |
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/str.h"
#include "narthex/base/strbuf.h"

enum { FILE_HEADER_SIZE = 16, FILE_HEADER_MAGIC_SIZE = 5 };

/* `number` is that in the file's name. */
void file_header_put(struct strbuf *out, const char *magic, uint8_t version, uint8_t flags,
                     uint32_t number);
/* The version; 0 when the bytes do not begin with such a header. */
uint8_t file_header_version(const void *data, size_t size, const char *magic, uint32_t number);

/* Whether the name is such a number, from 1 to UINT32_MAX - 1. */
bool file_name_number(struct str name, uint32_t *number);
