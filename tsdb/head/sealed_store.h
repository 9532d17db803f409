/* The files of sealed windows. Format: docs/format/sealed.md.
 *
 * One thread at a time writes, syncs and trims (the maintenance thread); windows may be let go by
 * whoever holds the head's write lock. Records are read through mappings that live as long as
 * anybody pins their file.
 */
#pragma once

#include "narthex/base/fs.h"
#include "sealed_format.h"

struct sealed_store;
struct sealed_file;

/* Where a record was written. */
struct sealed_place {
    struct sealed_file *file;
    const uint8_t *data; /* of the record, mapped */
    uint64_t end;        /* offset in the file behind it */
};

/* Looks at what is in the folder (made if absent) and begins no file yet. */
err_t sealed_store_open(const struct fs *fs, const char *path, struct sealed_store **store,
                        struct strbuf *why);
/* All pins must be gone. Files stay. */
void sealed_store_close(struct sealed_store *store);

/* Called for every good record of the files that were there at the open, in their order. The
 * callback pins what it keeps. */
err_t sealed_store_read(struct sealed_store *store,
                        err_t (*record)(void *context, const struct sealed_record *record,
                                        const struct sealed_place *place, struct strbuf *why),
                        void *context, struct strbuf *why);

/* Appends records (whole, one after the other) of one kind in one write; *place is that of the
 * first. After an error nothing of it counts. */
err_t sealed_store_write(struct sealed_store *store, enum sealed_kind kind, const void *records,
                         size_t size, struct sealed_place *place, struct strbuf *why);
/* Ends the current files: the next records begin new ones. */
void sealed_store_roll(struct sealed_store *store);
/* All that was written is safe from a power loss when OK is returned. */
err_t sealed_store_sync(struct sealed_store *store, struct strbuf *why);
/* Removes files without a needed window. Only after a sync of what replaces them. */
void sealed_store_trim(struct sealed_store *store);

/* The window at a place: needed (until it is merged or cut) and pinned (until its memory is freed).
 * Any thread. */
void sealed_file_pin(struct sealed_file *file);
void sealed_file_unpin(struct sealed_file *file);
void sealed_file_needed(struct sealed_file *file);
void sealed_file_forget(struct sealed_file *file);
/* Whether what ends at `end` was synced. Maintenance thread only. */
bool sealed_file_is_synced(const struct sealed_file *file, uint64_t end);

const char *sealed_file_path(const struct sealed_file *file);
