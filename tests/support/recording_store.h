/* recording_store.h: a store that remembers one commit: the value of each label set, stale markers
 * apart. Series are never forgotten. One thread. */
#pragma once

#include "narthex/tsdb/storage.h"

enum { RECORDED_SERIES_MAX = 4096 };

struct recorder {
    struct storage storage;
    struct appender appender;
    struct strbuf names[RECORDED_SERIES_MAX]; /* printed labels by ref */
    uint32_t name_count;
    bool present[RECORDED_SERIES_MAX]; /* in this commit, by ref */
    double values[RECORDED_SERIES_MAX];
    bool stale[RECORDED_SERIES_MAX];
};

struct recorder *recorder_create(void);
void recorder_destroy(struct recorder *recorder);
/* A sample that is no marker was committed for the series. */
bool recorder_has(const struct recorder *recorder, uint32_t ref);
bool recorder_has_marker(const struct recorder *recorder, uint32_t ref);
/* Number of the series with the same labels as series `ref` of another recorder; 0: none. */
uint32_t recorder_find_same(const struct recorder *recorder, const struct recorder *other,
                            uint32_t ref);
