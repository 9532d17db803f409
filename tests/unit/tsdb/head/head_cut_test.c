/* What leaves the head with a cut takes all of its memory along. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "head_impl.h"

enum { PAGES = 3 };

static void add_series(struct head *head, int from, int to)
{
    struct strbuf why = STRBUF_INIT;
    mutex_lock(&head->write_lock);
    for (int i = from; i < to; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        struct label label = {STR("n"), str_from_cstr(text)};
        struct labels labels = {&label, 1};
        struct head_series *series;
        assert_int_equal(head__series_create_locked(head, labels, labels_hash(labels),
                                                    HEAD_ORDINALS_MAX, &series, &why),
                         OK);
    }
    mutex_unlock(&head->write_lock);
    strbuf_deinit(&why);
}

static void cut(struct head *head, int64_t t_ms)
{
    head_begin_cut(head, t_ms);
    head_finish_cut(head, t_ms);
    assert_true(head_drop_cut(head));
    head_reclaim(head);
}

static int pages_in_use(const struct head *head)
{
    int count = 0;
    for (int i = 0; i < PAGES + 1; i++)
        count += atomic_load_explicit(&head->series_pages[i], memory_order_relaxed) != NULL;
    return count;
}

static void pages_of_collected_series_go(void **state)
{
    (void)state;
    struct head_options options = {0};
    struct head *head = head_create(&options);
    add_series(head, 0, PAGES * SERIES_PAGE_SIZE + 1);
    cut(head, 1);
    /* They might have been made for a commit that is on its way. */
    assert_int_equal(pages_in_use(head), PAGES + 1);
    head_begin_cut(head, 2);
    head_finish_cut(head, 2);
    /* Whoever reads meanwhile may look at a page that goes. */
    struct head_reader reader;
    head_reader_open(head, &reader);
    assert_true(head_drop_cut(head));
    head_reclaim(head);
    assert_int_equal(head->stats.series_count, 0);
    /* The last one may get further series. */
    assert_int_equal(pages_in_use(head), 1);
    assert_null(head__series(head, 0));
    head_reader_close(&reader);
    add_series(head, 0, 1);
    assert_non_null(head__series(head, PAGES * SERIES_PAGE_SIZE + 1));
    head_destroy(head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_of_collected_series_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
