#include "scrape_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

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
    struct cache_line *found = scrape_rewrite_find(&rewrite, &cache, 300, 5, &is_new);
    assert_non_null(found);
    assert_false(is_new);
    assert_int_equal(found->flags & CACHE_LINE_TAKEN, 0);
    found->flags |= CACHE_LINE_TAKEN;
    scrape_rewrite_push(&rewrite, &cache, found, false);
    assert_null(scrape_rewrite_find(&rewrite, &cache, 500, 5, &is_new));
    assert_null(scrape_rewrite_find(&rewrite, &cache, 300, 6, &is_new));
    struct cache_line made = line(500, 5);
    scrape_rewrite_push(&rewrite, &cache, &made, true);
    found = scrape_rewrite_find(&rewrite, &cache, 500, 5, &is_new);
    assert_true(found != NULL && is_new);
    found = scrape_rewrite_find(&rewrite, &cache, 100, 5, &is_new);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rewriting_keeps_the_order_of_this_scrape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
