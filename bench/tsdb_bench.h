/* bench/tsdb_bench.h: what the subcommands of tsdb-bench share. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bench_corpus.h"
#include "bench_report.h"
#include "fleet.h"
#include "narthex/tsdb/db.h"

struct bench_options {
    const char *corpus; /* folder of recorded scrapes, or NULL */
    const char *shape;  /* synthetic shape, or NULL */
    uint32_t series;    /* 0: the subcommand's own choice */
    uint32_t samples;   /* rows; 0: the subcommand's own choice */
    uint32_t row_step;  /* of a recorded corpus */
    uint32_t rounds;
    uint32_t threads; /* workers of the query engine besides the caller */
    uint64_t seed;
    const char *work; /* parent of temporary folders */
    const char *against;
    const char *only; /* run only queries that contain this text; NULL: all */
    bool json;
    bool scalar;
};

struct bench {
    struct bench_options options;
    struct corpus corpus;
    bool corpus_loaded;
    struct report *report;
    const struct fs *fs; /* of databases; NULL: the real one */
    char folder[256];    /* temporary, removed at the end */
    struct strbuf why;
};

/* Ends the program with the text of bench->why unless err is OK. */
void bench_check(struct bench *bench, err_t err);
/* The corpus of the options, loaded at the first call. */
const struct corpus *bench_corpus(struct bench *bench);
/* Opens a database in an empty folder NAME of the temporary folder; no thread of its own runs. */
struct db *bench_db_open(struct bench *bench, const char *name);
/* As above, keeping what the folder holds. */
struct db *bench_db_reopen(struct bench *bench, const char *name);
/* Stores `rows` more rows, maintaining the database every 20 rows; returns the samples stored. */
uint64_t bench_fill(struct bench *bench, struct db *db, struct fleet *fleet, uint32_t rows);

/* The subcommands. */
void bench_ingest(struct bench *bench);  /* bench_ingest.c */
void bench_restart(struct bench *bench); /* bench_children.c */
void bench_memory(struct bench *bench);
void bench_seal(struct bench *bench); /* bench_columns.c */
void bench_decode(struct bench *bench);
void bench_histograms(struct bench *bench); /* bench_histograms.c */
void bench_references(struct bench *bench); /* bench_references.c */
void bench_compact(struct bench *bench);    /* bench_blocks.c */
void bench_select(struct bench *bench);     /* bench_reads.c */
void bench_query(struct bench *bench);
void bench_parse(struct bench *bench); /* bench_parse.c */
