/* Property: any bytes decode to an error or to values, and whatever values those are, sealing them
 * in each way gives bytes that decode to the same bits. The first input byte is the row count, the
 * second the state of the hint; RAW columns let the fuzzer choose values freely. */
#include <stdlib.h>
#include <string.h>

#include "narthex/base/mem.h"
#include "narthex/tsdb/column.h"
#include "narthex/tsdb/column_stats.h"
#include "narthex/tsdb/time_column.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t sealed[2200];

static void must_come_back(const double *values, uint32_t row_count, size_t size)
{
    double back[COLUMN_ROWS_MAX];
    if (size > 1 + row_count * sizeof *values ||
        column_decode(sealed, size, row_count, back) != OK ||
        memcmp(values, back, row_count * sizeof *values) != 0)
        abort();
}

static void seal_in_each_way(const double *values, uint32_t row_count, uint8_t hint_bytes)
{
    struct column_hint hint;
    memset(&hint, 0, sizeof hint);
    must_come_back(values, row_count, column_seal(values, row_count, &hint, sealed));
    must_come_back(values, row_count, column_seal(values, row_count, &hint, sealed));
    memset(&hint, hint_bytes, sizeof hint);
    must_come_back(values, row_count, column_seal(values, row_count, &hint, sealed));
    must_come_back(values, row_count, column_seal_small(values, row_count, sealed));
}

static void check_stats(const double *values, uint32_t row_count)
{
    struct column_stats stats, back;
    uint8_t bytes[COLUMN_STATS_SIZE_MAX];
    size_t consumed;
    memset(&stats, 0, sizeof stats);
    if (!column_stats_compute(values, row_count, &stats))
        return;
    size_t size = column_stats_encode(&stats, row_count, bytes);
    if (column_stats_decode(bytes, size, row_count, &back, &consumed) != OK || consumed != size ||
        memcmp(&stats, &back, sizeof stats) != 0)
        abort();
}

static void check_times(const uint8_t *bytes, size_t size, uint32_t row_count)
{
    int64_t times[COLUMN_ROWS_MAX], back[COLUMN_ROWS_MAX];
    if (time_column_decode(bytes, size, row_count, times) != OK)
        return;
    size_t sealed_size = time_column_seal(times, row_count, sealed);
    if (time_column_decode(sealed, sealed_size, row_count, back) != OK ||
        memcmp(times, back, row_count * sizeof *times) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 2048)
        return 0;
    uint32_t row_count = 1 + data[0] % COLUMN_ROWS_MAX;
    size_t column_size = size - 2;
    uint8_t *column = mem_calloc(MEM_TEST, 1, column_size + COLUMN_SLACK_BYTES);
    memcpy(column, data + 2, column_size);
    double values[COLUMN_ROWS_MAX];
    if (column_decode(column, column_size, row_count, values) == OK) {
        seal_in_each_way(values, row_count, data[1]);
        check_stats(values, row_count);
    }
    check_times(column, column_size, row_count);
    mem_free(MEM_TEST, column);
    return 0;
}
