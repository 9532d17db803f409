/* http/listen.h: the sockets that clients connect to. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "narthex/base/err.h"
#include "narthex/base/strbuf.h"

struct listener {
    int fd;        /* libmicrohttpd's once its daemon has started */
    uint16_t port; /* 0: none */
    char *path;    /* of a Unix socket; NULL: none */
    dev_t device;  /* of its file, */
    ino_t inode;   /* to remove no other */
};

/* "host:port", ":port", "[v6]:port" or "unix:///path". A Unix socket's file gets mode 0777 less the
 * umask; one that is there already is replaced if nobody listens on it. ERR_INVALID for a bad
 * address, ERR_IO when it cannot be bound. After an error there is nothing to close. */
err_t listen__open(const char *address, struct listener *listener, struct strbuf *why);
/* Closes the socket and removes its file. */
void listen__close(struct listener *listener);
/* Removes the file of a Unix socket, unless another process has put its own there. */
void listen__remove(struct listener *listener);
