/* base/md5.h: MD5 (RFC 1321). Not for secrets: relabeling's hashmod is defined by it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { MD5_BYTES = 16 };

void md5_digest(const void *data, size_t size, uint8_t digest[MD5_BYTES]);
