/* tsdb/retire.h: memory that readers may still hold.
 *
 * Structures that are read without a lock replace parts of themselves. The old part goes to a
 * retirer, which frees it once no reader can have it (the head's epochs).
 */
#pragma once

#include <stddef.h>

struct retirer {
    /* Calls free_block(owner, block, size) later, from any thread. */
    void (*retire)(void *context, void (*free_block)(void *owner, void *block, size_t size),
                   void *owner, void *block, size_t size);
    void *context;
};
