/* ctl/tar.h: an archive of files, made in memory. */
#pragma once

#include "narthex/base/err.h"
#include "narthex/base/strbuf.h"

/* Appends a file (POSIX ustar); the name has at most 99 bytes. */
void ctl_tar_add(struct strbuf *tar, const char *name, struct str content);
/* Ends the archive and writes it, compressed with gzip. */
err_t ctl_tar_write(struct strbuf *tar, const char *path, struct strbuf *why);
