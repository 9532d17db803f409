#include "bucket_usage.h"

#include <math.h>
#include <string.h>

#include "narthex/base/hash.h"
#include "narthex/base/vec.h"

void usage_init(struct bucket_usage *usage)
{
    *usage = (struct bucket_usage){0};
    htable_init(&usage->by_key, MEM_QUERY);
}

void usage_deinit(struct bucket_usage *usage)
{
    for (uint32_t i = 0; i < usage->bucket_count; i++)
        mem_free(MEM_QUERY, (char *)(uintptr_t)usage->keys[i].data);
    mem_free(MEM_QUERY, usage->keys);
    mem_free(MEM_QUERY, usage->now);
    mem_free(MEM_QUERY, usage->before);
    htable_deinit(&usage->by_key);
}

static bool key_equal(const void *owner, uint32_t item, const void *key)
{
    const struct bucket_usage *usage = owner;
    return str_equal(usage->keys[item], *(const struct str *)key);
}

static uint32_t find_or_add(struct bucket_usage *usage, struct str key)
{
    uint64_t hash = hash_str(key);
    uint32_t found = htable_find(&usage->by_key, hash, key_equal, usage, &key);
    if (found != HTABLE_NONE)
        return found;
    uint32_t capacity = usage->capacity, capacity_of_before = usage->capacity;
    uint32_t added = usage->bucket_count++;
    VEC_RESERVE(MEM_QUERY, usage->keys, usage->capacity, usage->bucket_count);
    VEC_RESERVE(MEM_QUERY, usage->now, capacity, usage->bucket_count);
    VEC_RESERVE(MEM_QUERY, usage->before, capacity_of_before, usage->bucket_count);
    usage->keys[added] = str_from(mem_dup(MEM_QUERY, key.data, key.size), key.size);
    usage->now[added] = 0;
    usage->before[added] = 0;
    htable_insert(&usage->by_key, hash, added);
    return added;
}

void usage_set(struct bucket_usage *usage, struct str key, double count)
{
    uint32_t bucket = find_or_add(usage, key);
    usage->now[bucket] = count;
}

static void add(struct usage_spread *spread, double value)
{
    spread->min = spread->count == 0 || value < spread->min ? value : spread->min;
    spread->max = spread->count == 0 || value > spread->max ? value : spread->max;
    spread->sum += value;
    spread->count++;
}

double usage_average(const struct usage_spread *spread)
{
    return spread->count == 0 ? 0 : spread->sum / (double)spread->count;
}

void usage_end_scrape(struct bucket_usage *usage)
{
    uint32_t populated = 0, changed = 0;
    double delta = 0;
    for (uint32_t i = 0; i < usage->bucket_count; i++) {
        double difference = fabs(usage->now[i] - usage->before[i]);
        populated += usage->now[i] > 0;
        changed += difference > 0;
        delta += difference;
    }
    add(&usage->populated, populated);
    if (usage->scrape_count++ > 0) {
        add(&usage->changed, changed);
        add(&usage->delta, delta);
    }
    if (usage->bucket_count > 0) {
        memcpy(usage->before, usage->now, usage->bucket_count * sizeof *usage->now);
        memset(usage->now, 0, usage->bucket_count * sizeof *usage->now);
    }
}
