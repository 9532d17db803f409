/* Late samples: those older than the newest one of their series, inside the out-of-order window.
 *
 *     pages ── by ordinal ─► run ─► older run ─► …        entries in the order of commits
 *
 * Only series with late samples have a run, so the others pay nothing. Entries never change once
 * their run's count covers them; readers sort what they may see (head_late_read). A run that is
 * full gets a newer one in front. What goes to a block or is deleted leaves by new runs in place of
 * the old ones, which are retired.
 *
 * Every late sample has a number. A reader sees those above what was in blocks when it opened, up
 * to the newest commit's. Of several late samples of a series at one time the first one counts.
 */
#pragma once

#include "head_appender.h"

enum { LATE_RUN_ENTRIES_MAX = 240, LATE_RUN_ENTRIES_FIRST = 4 };

struct late_bytes {
    uint32_t size;
    char data[];
};

/* An entry as it is given and taken. */
struct late_entry {
    int64_t t_ms;
    int64_t start_t_ms;
    uint64_t number;
    double value;
    struct late_bytes *histogram; /* NULL: a float */
};

struct late_sample {
    int64_t t_ms;
    double value;
};

struct late_extra {
    int64_t start_t_ms;
    struct late_bytes *histogram;
};

/* Behind it: samples, extras when it has those, and numbers counted from the first one: 20 bytes
 * for a plain sample. */
struct late_run {
    struct late_run *older;
    uint64_t first_number;
    uint16_t capacity;
    bool has_extras;        /* histograms or start times */
    _Atomic uint32_t count; /* release after the entry */
};

static inline struct late_sample *head__late_samples(const struct late_run *run)
{
    return (struct late_sample *)(void *)(run + 1);
}

static inline struct late_extra *head__late_extras(const struct late_run *run)
{
    return (struct late_extra *)(void *)(head__late_samples(run) + run->capacity);
}

static inline uint32_t *head__late_numbers(const struct late_run *run)
{
    struct late_extra *extras = head__late_extras(run);
    return (uint32_t *)(void *)(run->has_extras ? extras + run->capacity : extras);
}

static inline struct late_entry head__late_entry(const struct late_run *run, uint32_t i)
{
    struct late_extra extra = {0, NULL};
    if (run->has_extras)
        extra = head__late_extras(run)[i];
    return (struct late_entry){
        .t_ms = head__late_samples(run)[i].t_ms,
        .start_t_ms = extra.start_t_ms,
        .number = run->first_number + head__late_numbers(run)[i],
        .value = head__late_samples(run)[i].value,
        .histogram = extra.histogram,
    };
}

/* Any thread. */
static inline struct late_run *head__late_run(const struct head *head, uint32_t ordinal)
{
    late_page *pages = atomic_load_explicit(&head->late.pages, memory_order_acquire);
    if (pages == NULL)
        return NULL;
    late_slot *page =
        atomic_load_explicit(&pages[ordinal / SERIES_PAGE_SIZE], memory_order_acquire);
    return page == NULL
               ? NULL
               : atomic_load_explicit(&page[ordinal % SERIES_PAGE_SIZE], memory_order_acquire);
}

/* All below need the write lock. */

/* Whether a sample of that time, which is too late for its series, may be kept as a late one: OK or
 * ERR_TOO_OLD. */
err_t head__late_judge(const struct head *head, int64_t t_ms);
/* Whether a late sample of that time is seen to be there; others are left out by readers. */
bool head__late_has_time(const struct head *head, uint32_t ordinal, int64_t t_ms);
/* Keeps a sample unless one of that time is seen to be there (false); `histogram` is copied. */
bool head__late_add(struct head *head, uint32_t ordinal, const struct wal_late *sample);
/* Newest time of the series' late samples in the range; false when there is none. */
bool head__late_newest(const struct head *head, uint32_t ordinal, int64_t min_t_ms,
                       int64_t max_t_ms, int64_t *newest_t_ms);
void head__late_delete(struct head *head, uint32_t ordinal, int64_t min_t_ms, int64_t max_t_ms);
/* Forgets late samples up to the number. */
void head__late_forget(struct head *head, uint64_t number);
/* Log entries of the series' late samples: for a checkpoint. */
void head__late_encode(const struct head *head, uint32_t ordinal, struct strbuf *body);
void head__late_free_all(struct head *head);

/* ---- head_late_commit.c ---- */

/* A sample that cannot be appended in order; `refusal` says why. Stages it when the window takes
 * it, else counts it; returns its outcome. `discard`: it is wanted in order or not at all. */
err_t head__late_stage(struct head_appender *appender, const struct staged_sample *sample,
                       err_t refusal, bool discard);
/* The same for a sample that was staged and came too late for another commit. */
void head__late_stage_again(struct head_appender *appender, const struct staged_sample *sample,
                            err_t refusal);
/* The staged late samples: into the log record, then into memory. */
void head__late_encode_staged(struct head_appender *appender);
void head__late_apply_staged(struct head_appender *appender);
