/* Property: any bytes in a log segment are read without harm, and what is read is well-formed: rows
 * refer to slots they have, slots ascend, and reading the good part again gives the same records.
 */
#include <stdint.h>
#include <stdlib.h>

#include "narthex/base/log.h"
#include "narthex/tsdb/wal.h"

struct seen {
    uint64_t rows;
    uint64_t series;
    uint64_t late;
};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static err_t on_series(void *context, uint64_t ref, struct labels labels, struct strbuf *why)
{
    struct seen *seen = context;
    (void)why;
    require(ref > 0);
    require(labels.count == 0 || labels.items != NULL);
    seen->series++;
    return OK;
}

static err_t on_row(void *context, const struct wal_row *row, struct strbuf *why)
{
    struct seen *seen = context;
    (void)why;
    double sum = 0;
    for (uint32_t i = 0; i < row->sample_count; i++) {
        require(row->slots[i] < row->slot_count);
        require(i == 0 || row->slots[i - 1] < row->slots[i]);
        sum += row->values[i];
    }
    for (uint32_t i = 0; i < row->histogram_count; i++)
        require(row->histograms[i].slot < row->slot_count);
    for (uint32_t i = 0; i < row->start_count; i++)
        require(row->starts[i].slot < row->slot_count);
    volatile double sink = sum; /* every value was read */
    (void)sink;
    seen->rows++;
    return OK;
}

static err_t on_late(void *context, const struct wal_late *sample, struct strbuf *why)
{
    struct seen *seen = context;
    (void)why;
    require(sample->number > 0);
    uint32_t sum = 0;
    for (size_t i = 0; i < sample->histogram.size; i++)
        sum += (uint8_t)sample->histogram.data[i];
    volatile uint32_t sink = sum; /* every byte was read */
    (void)sink;
    seen->late++;
    return OK;
}

static struct seen read_all(const uint8_t *data, size_t size, uint64_t *good_bytes)
{
    struct seen seen = {0};
    struct wal_handler handler = {
        .context = &seen, .series = on_series, .row = on_row, .late = on_late};
    struct wal_replay_result result = {0};
    struct strbuf why = STRBUF_INIT;
    require(wal_replay_bytes(data, size, 1, true, &handler, &result, good_bytes, &why) == OK);
    require(*good_bytes <= size);
    strbuf_deinit(&why);
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool quiet = false;
    if (!quiet)
        log_configure(LOG_LEVEL_ERROR + 1, LOG_FORMAT_LOGFMT);
    quiet = true;
    uint64_t good_bytes, again_bytes;
    struct seen first = read_all(data, size, &good_bytes);
    struct seen again = read_all(data, good_bytes, &again_bytes);
    require(first.rows == again.rows && first.series == again.series && first.late == again.late);
    return 0;
}
