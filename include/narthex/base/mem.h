/* base/mem.h: the one gate to malloc.
 *
 * Every allocation names the subsystem that pays for it; the sums are shown on /metrics. Running
 * out of memory aborts, so callers have no such branch. All functions may be called from any
 * thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum mem_subsystem {
    MEM_BASE,      /* threads, logs, own metrics */
    MEM_TEXT,      /* strbufs */
    MEM_CONFIG,    /* configuration as loaded */
    MEM_MODEL,     /* labels, matchers, regexes outside a query */
    MEM_HEAD,      /* groups, slots, series records */
    MEM_HEAD_DATA, /* open buffers and sealed columns kept in memory */
    MEM_SYMBOLS,   /* interned label names and values */
    MEM_POSTINGS,  /* label index of the head */
    MEM_WAL,       /* record building, replay */
    MEM_BLOCK,     /* open blocks, compaction */
    MEM_SCRAPE,    /* targets, caches, bodies */
    MEM_DISCOVERY, /* target groups */
    MEM_QUERY,     /* query arenas and results */
    MEM_HTTP,      /* requests and answers */
    MEM_EXPORTER,  /* collectors */
    MEM_TEST,
    MEM_SUBSYSTEM_COUNT,
};

void *mem_alloc(enum mem_subsystem subsystem, size_t size);
/* Zeroed memory for count elements of size bytes; aborts if the product overflows. */
void *mem_calloc(enum mem_subsystem subsystem, size_t count, size_t size);
/* As realloc; `pointer` may be NULL and must have come from the same subsystem. */
void *mem_realloc(enum mem_subsystem subsystem, void *pointer, size_t size);
/* Frees what the functions above gave under the same subsystem; NULL is ignored. Of queries' large
 * blocks up to 8 MiB are kept for the next query. */
void mem_free(enum mem_subsystem subsystem, void *pointer);
/* Copy of size bytes plus a NUL. */
char *mem_dup(enum mem_subsystem subsystem, const void *data, size_t size);

/* Gives memory that was freed back to the operating system, which malloc else keeps for later.
 * Takes about a millisecond for each 10 MiB given back: for the end of large pieces of work. */
void mem_trim(void);

/* Lets malloc keep at least so many freed bytes, 256 KiB to 64 MiB, at the end of each of its
 * arenas; at first that is 128 KiB, which a short query takes, gives back and has to ask for again.
 * Once, at the start of the process. */
void mem_keep_freed(size_t bytes);

/* Bytes now allocated for a subsystem, as malloc rounds them; mapped files are not in it. */
int64_t mem_bytes(enum mem_subsystem subsystem);
/* The same for all subsystems together. */
int64_t mem_total_bytes(void);

/* What the process shall take at most, as mem_total_bytes counts; 0, as at first: no limit. Nothing
 * is refused here: those who begin something ask how much room is left. Any thread. */
void mem_set_budget(int64_t bytes);
int64_t mem_budget(void);
enum mem_pressure {
    MEM_PLENTY,
    MEM_OVER,     /* the budget is used up: no new queries */
    MEM_FAR_OVER, /* by an eighth of it more: no new series either */
};
enum mem_pressure mem_pressure(void);

const char *mem_subsystem_name(enum mem_subsystem subsystem);

/* One zeroed object of a type. */
#define MEM_NEW(subsystem, type) ((type *)mem_calloc((subsystem), 1, sizeof(type)))
#define MEM_NEW_ARRAY(subsystem, type, count)                                                      \
    ((type *)mem_calloc((subsystem), (count), sizeof(type)))
