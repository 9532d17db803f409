/* The housekeeper and what it does. */
#pragma once

#include "db_impl.h"

/* Counters are there from now on; those that are looked up when /metrics is read, from
 * db__metrics_start on. */
void db__metrics_register(struct db *db, struct metrics *metrics);
void db__metrics_start(struct db *db, struct metrics *metrics);
void db__housekeeper_start(struct db *db);
void db__housekeeper_stop(struct db *db);

/* <folder>/<name>, to be freed under MEM_BLOCK. */
char *db__join(const char *folder, const char *name);
void db__ulid_make(struct db *db, struct block_ulid *ulid);

/* Largest multiple of the range that is not above t. */
int64_t db__range_start(int64_t t_ms, int64_t range_ms);

/* ---- db_cut.c: under the maintain lock ---- */
/* Writes what the head holds of [min_t_ms, end_t_ms) into a block under `parent`; *written false
 * when that is nothing. The head stays as it is. */
err_t db__write_head_block(struct db *db, const char *parent, int64_t min_t_ms, int64_t end_t_ms,
                           struct block_ulid *ulid, bool *written, struct strbuf *why);
/* Takes a block that was written into the database's folder into the view. */
err_t db__adopt_block(struct db *db, const char *ulid, struct strbuf *why);
/* Moves everything before end_t_ms, and all late samples, from the head into blocks. */
err_t db__cut_head(struct db *db, int64_t end_t_ms, struct strbuf *why);

/* Begins a series of the head in a block whose symbols were written. Empties the arena. */
err_t db__begin_series(struct head_reader *reader, uint32_t ordinal, struct block_writer *writer,
                       struct block_symbols *symbols, struct arena *arena, struct strbuf *why);

/* ---- db_late.c: under the maintain lock ---- */
/* Writes blocks of the head's late samples under `parent`; the head stays as it is. */
err_t db__write_late_blocks(struct db *db, const char *parent, struct strbuf *why);
/* Moves the late samples from the head into blocks. */
err_t db__flush_late(struct db *db, struct strbuf *why);

/* ---- db_compact.c: under the maintain lock ---- */
/* Merges as long as there is something to merge. */
err_t db__compact(struct db *db, struct strbuf *why);
/* Removes blocks by age and size. */
void db__retain(struct db *db);
