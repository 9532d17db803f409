/* Whatever text number_parse and number_scan take, strtod reads the same value from it. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "narthex/base/number.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_same(double ours, double theirs)
{
    if (isnan(ours)) {
        assert(isnan(theirs));
        return;
    }
    assert(memcmp(&ours, &theirs, sizeof ours) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* An exact copy on the heap shows every read past the end. */
    char *text = malloc(size + 1);
    assert(text != NULL);
    if (size > 0)
        memcpy(text, data, size);

    double v = 0;
    bool range = false;
    bool whole = number_parse(str_from(text, size), &v, &range);
    double scanned = 0;
    size_t used = number_scan(text, size, &scanned);
    assert(used <= size);
    text[size] = '\0';
    if (whole || range)
        expect_same(v, strtod(text, NULL));
    if (used > 0) {
        text[used] = '\0';
        expect_same(scanned, strtod(text, NULL));
    }
    free(text);
    return 0;
}
