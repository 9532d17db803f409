#include "scrape_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct cache_line line(uint64_t hash, series_ref ref)
{
    return (struct cache_line){.key_hash = hash, .key_size = 5, .ref = ref};
}

static void test_rewriting_keeps_the_order_of_this_scrape(void **state)
{
    (void)state;
    struct scrape_cache cache = {0};
    struct scrape_rewrite rewrite;
    scrape_rewrite_init(&rewrite);
    scrape_rewrite_begin(&rewrite, &cache, 0);
    for (uint64_t i = 1; i <= 4; i++) {
        struct cache_line made = line(i * 100, i);
        scrape_rewrite_push(&rewrite, &cache, &made, true);
    }
    scrape_rewrite_end(&rewrite, &cache, false);
    assert_int_equal(cache.count, 4);

    /* Second scrape: 1, then 3, a new 5, 3 again; 2 and 4 are gone. */
    scrape_rewrite_begin(&rewrite, &cache, 1);
    bool is_new = false;
    struct cache_line *found = scrape_rewrite_find(&rewrite, &cache, 1, 300, 5, &is_new);
    assert_non_null(found);
    assert_false(is_new);
    assert_int_equal(found->flags & CACHE_LINE_TAKEN, 0);
    found->flags |= CACHE_LINE_TAKEN;
    scrape_rewrite_push(&rewrite, &cache, found, false);
    assert_null(scrape_rewrite_find(&rewrite, &cache, 3, 500, 5, &is_new));
    assert_null(scrape_rewrite_find(&rewrite, &cache, 3, 300, 6, &is_new));
    struct cache_line made = line(500, 5);
    scrape_rewrite_push(&rewrite, &cache, &made, true);
    found = scrape_rewrite_find(&rewrite, &cache, 3, 500, 5, &is_new);
    assert_true(found != NULL && is_new);
    found = scrape_rewrite_find(&rewrite, &cache, 3, 100, 5, &is_new);
    assert_int_equal(found->flags & CACHE_LINE_TAKEN, CACHE_LINE_TAKEN);
    scrape_rewrite_end(&rewrite, &cache, false);
    assert_int_equal(cache.count, 3);
    assert_int_equal(cache.lines[0].ref, 1);
    assert_int_equal(cache.lines[1].ref, 3);
    assert_int_equal(cache.lines[2].ref, 5);
    assert_int_equal(cache.lines[1].flags, 0);

    /* A failed scrape loses nothing. */
    scrape_rewrite_begin(&rewrite, &cache, 0);
    scrape_rewrite_end(&rewrite, &cache, true);
    assert_int_equal(cache.count, 3);
    scrape_cache_deinit(&cache);
    scrape_rewrite_deinit(&rewrite);
}

/* Against a plain search: lines near and far, gone, new and repeated; hashes that share bits of the
 * filter, so that the table is asked for keys that are not there. */
static void test_lines_are_found_wherever_they_are(void **state)
{
    (void)state;
    enum { LINES = 200, SCRAPES = 200 };
    struct scrape_cache cache = {0};
    struct scrape_rewrite rewrite;
    scrape_rewrite_init(&rewrite);
    uint64_t random = 11;
    for (uint32_t scrape = 0; scrape < SCRAPES; scrape++) {
        bool seen[2 * LINES] = {false};
        bool old[2 * LINES] = {false};
        for (uint32_t i = 0; i < cache.count; i++)
            old[cache.lines[i].ref] |= (cache.lines[i].flags & CACHE_LINE_DUPLICATE) == 0;
        uint32_t cursor = 0;
        scrape_rewrite_begin(&rewrite, &cache, 0);
        for (uint32_t i = 0; i < LINES; i++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
            uint32_t ref = (uint32_t)(random >> 60 == 0 ? random >> 33 : i + scrape % 7);
            ref %= 2 * LINES;
            uint64_t hash = (uint64_t)ref / 4 + (uint64_t)(ref % 4) * CACHE_KNOWN_BITS;
            bool is_new = false;
            struct cache_line *found =
                scrape_rewrite_find(&rewrite, &cache, cursor, hash, 5, &is_new);
            assert_int_equal(found != NULL, old[ref] || seen[ref]);
            struct cache_line made = line(hash, ref);
            if (found != NULL) {
                assert_int_equal(found->ref, ref);
                assert_int_equal(is_new || (found->flags & CACHE_LINE_TAKEN) != 0, seen[ref]);
                made = *found;
            }
            if (seen[ref]) {
                made.flags |= CACHE_LINE_DUPLICATE;
            } else if (found != NULL) {
                cursor = (uint32_t)(found - cache.lines) + 1;
                found->flags |= CACHE_LINE_TAKEN;
            }
            scrape_rewrite_push(&rewrite, &cache, &made, found == NULL);
            seen[ref] = true;
        }
        scrape_rewrite_end(&rewrite, &cache, false);
        assert_int_equal(cache.count, LINES);
    }
    scrape_cache_deinit(&cache);
    scrape_rewrite_deinit(&rewrite);
}

static int compare_hashes(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* Keys of every size, and all that differ from them in one bit, under two seeds. */
static void test_key_hashes_differ(void **state)
{
    (void)state;
    enum { SIZE_MAX_TRIED = 100, HASHES_MAX = 2 * SIZE_MAX_TRIED * (SIZE_MAX_TRIED * 8 + 1) };
    static uint64_t hashes[HASHES_MAX];
    static const uint64_t seeds[2] = {0, UINT64_C(0x1234567890abcdef)};
    size_t count = 0;
    for (size_t s = 0; s < 2; s++) {
        for (size_t size = 0; size < SIZE_MAX_TRIED; size++) {
            char key[SIZE_MAX_TRIED];
            memset(key, 'a', sizeof key);
            hashes[count++] = scrape_key_hash(key, size, seeds[s]);
            for (size_t bit = 0; bit < size * 8; bit++) {
                key[bit / 8] = (char)(key[bit / 8] ^ 1 << bit % 8);
                hashes[count++] = scrape_key_hash(key, size, seeds[s]);
                key[bit / 8] = 'a';
            }
        }
    }
    qsort(hashes, count, sizeof hashes[0], compare_hashes);
    for (size_t i = 1; i < count; i++)
        assert_true(hashes[i - 1] != hashes[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rewriting_keeps_the_order_of_this_scrape),
        cmocka_unit_test(test_lines_are_found_wherever_they_are),
        cmocka_unit_test(test_key_hashes_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
