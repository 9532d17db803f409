#include "scrape_schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "scrape_timers.h"

static const int64_t ms = 1000000;

static void test_phase_is_on_the_wall_clock(void **state)
{
    (void)state;
    struct scrape_schedule s;
    /* Offset 4 s of 15 s; the wall clock stands 10 s into an interval: 9 s to wait. */
    scrape_schedule_start(&s, 15000, (uint64_t)(4000 * ms), 1000000 * INT64_C(15000) + 10000, 77);
    assert_int_equal(s.due_ns, 77 + 9000 * ms);
    scrape_schedule_start(&s, 15000, (uint64_t)(10000 * ms), 1000000 * INT64_C(15000) + 10000, 77);
    assert_int_equal(s.due_ns, 77);
    scrape_schedule_start(&s, 15000, UINT64_MAX, 3, 0);
    assert_true(s.due_ns >= 0 && s.due_ns < 15000 * ms);
}

static void test_missed_ticks_are_dropped(void **state)
{
    (void)state;
    struct scrape_schedule s;
    scrape_schedule_start(&s, 1000, 0, 0, 0);
    scrape_schedule_advance(&s, 5 * ms);
    assert_int_equal(s.due_ns, 1000 * ms);
    /* Busy until 4.3 s: the scrape that begins then makes up for the ticks at 1, 2, 3 and 4 s. */
    scrape_schedule_advance(&s, 4300 * ms);
    assert_int_equal(s.due_ns, 5000 * ms);
    /* Late, but before the next one; a little early, as timers fire; and next to the next one,
     * whose timestamp it might share. */
    scrape_schedule_advance(&s, 5989 * ms);
    assert_int_equal(s.due_ns, 6000 * ms);
    scrape_schedule_advance(&s, 5999 * ms);
    assert_int_equal(s.due_ns, 7000 * ms);
    scrape_schedule_advance(&s, 7990 * ms);
    assert_int_equal(s.due_ns, 9000 * ms);
    scrape_schedule_advance(&s, 10000 * ms);
    assert_int_equal(s.due_ns, 11000 * ms);
}

static void test_small_delays_do_not_show(void **state)
{
    (void)state;
    struct scrape_schedule s;
    scrape_schedule_start(&s, 15000, 0, 30000, 0);
    assert_int_equal(scrape_schedule_stamp(&s, 30000, 0, 2, true), 30000);
    scrape_schedule_advance(&s, 0);
    assert_int_equal(scrape_schedule_stamp(&s, 45002, 15002 * ms, 2, true), 45000);
    scrape_schedule_advance(&s, 15002 * ms);
    assert_int_equal(scrape_schedule_stamp(&s, 60003, 30003 * ms, 2, true), 60003);
    scrape_schedule_advance(&s, 30003 * ms);
    assert_int_equal(scrape_schedule_stamp(&s, 75001, 45001 * ms, 2, false), 75001);
}

static void test_wall_clock_jumps_move_no_scrape(void **state)
{
    (void)state;
    struct scrape_schedule s;
    scrape_schedule_start(&s, 10000, 0, 0, 0);
    assert_int_equal(scrape_schedule_stamp(&s, 0, 0, 2, true), 0);
    scrape_schedule_advance(&s, 0);
    /* An hour and 3.3 s forward, then back: schedule unchanged, timestamps regular again at once.
     */
    assert_int_equal(scrape_schedule_stamp(&s, 3613301, 10001 * ms, 2, true), 3613300);
    scrape_schedule_advance(&s, 10001 * ms);
    assert_int_equal(s.due_ns, 20000 * ms);
    assert_int_equal(scrape_schedule_stamp(&s, 3623302, 20002 * ms, 2, true), 3623300);
    scrape_schedule_advance(&s, 20002 * ms);
    assert_int_equal(scrape_schedule_stamp(&s, 29501, 30001 * ms, 2, true), 29500);
    scrape_schedule_advance(&s, 30001 * ms);
    assert_int_equal(s.due_ns, 40000 * ms);
}

static void test_jumps_are_noticed_once(void **state)
{
    (void)state;
    struct wall_watch watch = {0};
    assert_int_equal(wall_watch_jump(&watch, 1700000000000, 5 * ms), 0);
    /* Slewing, however far it leads in the end. */
    for (int64_t i = 1; i <= 5000; i++)
        assert_int_equal(wall_watch_jump(&watch, 1700000000000 + 999 * i, (5 + 1000 * i) * ms), 0);
    int64_t wall_ms = 1700000000000 + 999 * INT64_C(5000);
    int64_t now_ns = (5 + 1000 * INT64_C(5000)) * ms;
    assert_int_equal(wall_watch_jump(&watch, wall_ms + 3600000, now_ns), 3600000);
    assert_int_equal(wall_watch_jump(&watch, wall_ms + 3600000, now_ns), 0);
    assert_int_equal(wall_watch_jump(&watch, wall_ms - 3600000, now_ns), -7200000);
    assert_int_equal(wall_watch_jump(&watch, wall_ms - 3600000 + 999, now_ns), 0);
    /* Asleep for a minute. */
    assert_int_equal(wall_watch_jump(&watch, wall_ms - 3600000 + 61000, now_ns), 60001);
}

/* The monotonic clock stood still: the schedule goes on where it was, on timestamps of now. */
static void test_a_suspend_moves_no_scrape(void **state)
{
    (void)state;
    struct scrape_schedule s;
    scrape_schedule_start(&s, 10000, 0, 0, 0);
    assert_int_equal(scrape_schedule_stamp(&s, 0, 0, 2, true), 0);
    scrape_schedule_advance(&s, 0);
    assert_int_equal(scrape_schedule_stamp(&s, 7204001, 10001 * ms, 2, true), 7204000);
    scrape_schedule_advance(&s, 10001 * ms);
    assert_int_equal(s.due_ns, 20000 * ms);
    assert_int_equal(scrape_schedule_stamp(&s, 7214001, 20001 * ms, 2, true), 7214000);
}

static void test_targets_share_moments(void **state)
{
    (void)state;
    assert_int_equal(scrape_schedule_gather(15000, 0), 0);
    assert_int_equal(scrape_schedule_gather(15000, 249 * (uint64_t)ms), 0);
    assert_int_equal(scrape_schedule_gather(15000, 250 * (uint64_t)ms), 250 * ms);
    assert_int_equal(scrape_schedule_gather(3200, 15100 * (uint64_t)ms), 2300 * ms);
    /* Too short an interval to share anything. */
    assert_int_equal(scrape_schedule_gather(31, 45 * (uint64_t)ms + 7), 14 * ms + 7);
}

static void test_timers_fire_in_order(void **state)
{
    (void)state;
    enum { COUNT = 100 };
    struct scrape_timers timers = {0};
    struct scrape_timer items[COUNT] = {0};
    for (uint32_t i = 0; i < COUNT; i++)
        scrape_timers_set(&timers, &items[i], (i * 37) % COUNT);
    for (uint32_t i = 0; i < COUNT; i += 3)
        scrape_timers_remove(&timers, &items[i]);
    scrape_timers_set(&timers, &items[1], 1000);
    scrape_timers_remove(&timers, &items[0]);
    assert_null(scrape_timers_take(&timers, -1));
    int64_t last = -1;
    uint32_t fired = 0;
    struct scrape_timer *timer;
    while ((timer = scrape_timers_take(&timers, 1000)) != NULL) {
        assert_true(timer->due_ns >= last);
        assert_int_equal(timer->id, 0);
        last = timer->due_ns;
        fired++;
    }
    assert_int_equal(fired, COUNT - 34);
    assert_int_equal(last, 1000);
    assert_int_equal(scrape_timers_next(&timers), INT64_MAX);
    scrape_timers_deinit(&timers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_phase_is_on_the_wall_clock),
        cmocka_unit_test(test_missed_ticks_are_dropped),
        cmocka_unit_test(test_small_delays_do_not_show),
        cmocka_unit_test(test_wall_clock_jumps_move_no_scrape),
        cmocka_unit_test(test_jumps_are_noticed_once),
        cmocka_unit_test(test_a_suspend_moves_no_scrape),
        cmocka_unit_test(test_targets_share_moments),
        cmocka_unit_test(test_timers_fire_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
