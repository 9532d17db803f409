/* Passwords, rate limit, and the file as it changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "web_guard.h"

/* "secret", cost 4 */
#define HASH "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"

static char folder[] = "/tmp/web_guard_XXXXXX";
static char path[64];

static void write_file(const char *text)
{
    char next[80];
    snprintf(next, sizeof next, "%s.new", path);
    FILE *file = fopen(next, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(rename(next, path), 0);
}

static struct web_guard *start(const char *text)
{
    struct web_guard *guard;
    struct strbuf why = STRBUF_INIT;
    write_file(text);
    if (web_guard_create(path, &guard, &why) != OK)
        fail_msg("%s", strbuf_cstr(&why));
    strbuf_deinit(&why);
    return guard;
}

static enum web_verdict judge(struct web_guard *guard, const char *authorization, bool hash)
{
    struct web_state *state = web_guard_pin(guard);
    const struct web_config *config = web_state_config(state);
    assert_non_null(config);
    struct str header = str_from_cstr(authorization);
    enum web_verdict verdict = web_guard_judge(guard, config, header);
    if (verdict == WEB_ASK && hash)
        verdict = web_guard_verify(guard, config, header) ? WEB_ADMIT : WEB_DENY;
    web_state_unpin(state);
    return verdict;
}

static void without_a_file_all_pass(void **unused)
{
    (void)unused;
    struct web_guard *guard;
    struct strbuf why = STRBUF_INIT;
    assert_int_equal(web_guard_create("", &guard, &why), OK);
    assert_null(guard);
    assert_true(web_guard_take_token(guard, 1));
    assert_false(web_guard_has_tls(guard));
    assert_null(web_guard_pin(guard));
}

static void passwords_are_hashed_once(void **unused)
{
    (void)unused;
    static const char right[] = "Basic YWxpY2U6c2VjcmV0";   /* alice:secret */
    static const char wrong[] = "Basic YWxpY2U6U2VjcmV0";   /* alice:Secret */
    static const char unknown[] = "Basic Ym9iOnNlY3JldA=="; /* bob:secret */
    struct web_guard *guard = start("basic_auth_users: {alice: " HASH "}\n");
    assert_int_equal(judge(guard, right, false), WEB_ASK);
    assert_int_equal(judge(guard, right, true), WEB_ADMIT);
    assert_int_equal(judge(guard, right, false), WEB_ADMIT);
    assert_int_equal(judge(guard, wrong, true), WEB_DENY);
    assert_int_equal(judge(guard, wrong, false), WEB_DENY);
    assert_int_equal(judge(guard, unknown, true), WEB_DENY);
    static const char *const none[] = {"",           "Basic",    "Basic ",
                                       "Basic ====", "Bearer x", "Basic YWxpY2U="};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(judge(guard, none[i], false), WEB_DENY);
    /* Another hash for the same user: what was remembered is of no use. */
    write_file("basic_auth_users: {alice: $2b$04$zzzzzzzzzzzzzzzzzzzzzu"
               "2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW}\n");
    assert_int_equal(judge(guard, right, false), WEB_ASK);
    assert_int_equal(judge(guard, right, true), WEB_DENY);
    web_guard_destroy(guard);
}

static void guesses_do_not_push_out_what_is_right(void **unused)
{
    (void)unused;
    static const char right[] = "Basic YWxpY2U6c2VjcmV0"; /* alice:secret */
    struct web_guard *guard = start("basic_auth_users: {alice: " HASH "}\n");
    assert_int_equal(judge(guard, right, true), WEB_ADMIT);
    for (int i = 0; i < 250; i++) {
        char guess[32]; /* alice: and two bytes more */
        snprintf(guess, sizeof guess, "Basic YWxpY2U6%c%c%c=", 'A' + i % 26, 'a' + i / 26, 'A');
        assert_int_equal(judge(guard, guess, true), WEB_DENY);
    }
    assert_int_equal(judge(guard, right, false), WEB_ADMIT);
    web_guard_destroy(guard);
}

static void a_broken_file_has_no_config_until_mended(void **unused)
{
    (void)unused;
    struct web_guard *guard = start("{}\n");
    struct web_state *before = web_guard_pin(guard);
    write_file("basic_auth_users: [\n");
    struct web_state *broken = web_guard_pin(guard);
    assert_null(web_state_config(broken));
    assert_non_null(web_state_config(before)); /* pinned ones stay */
    write_file("http_server_config: {headers: {X-Frame-Options: deny}}\n");
    struct web_state *mended = web_guard_pin(guard);
    assert_int_equal(web_state_config(mended)->header_count, 1);
    web_state_unpin(before);
    web_state_unpin(broken);
    web_state_unpin(mended);
    web_guard_destroy(guard);
}

static void tokens_come_back_one_an_interval(void **unused)
{
    (void)unused;
    struct web_guard *guard = start("rate_limit: {interval: 1s, burst: 2}\n");
    const int64_t second = 1000000000;
    assert_true(web_guard_take_token(guard, second));
    assert_true(web_guard_take_token(guard, second));
    assert_false(web_guard_take_token(guard, second));
    assert_false(web_guard_take_token(guard, second * 19 / 10));
    assert_true(web_guard_take_token(guard, second * 2));
    assert_false(web_guard_take_token(guard, second * 2));
    assert_true(web_guard_take_token(guard, second * 100));
    assert_true(web_guard_take_token(guard, second * 100));
    assert_false(web_guard_take_token(guard, second * 100));
    web_guard_destroy(guard);
}

static int make_folder(void **unused)
{
    (void)unused;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/web.yml", folder);
    return 0;
}

static int remove_folder(void **unused)
{
    (void)unused;
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_file_all_pass),
        cmocka_unit_test(passwords_are_hashed_once),
        cmocka_unit_test(guesses_do_not_push_out_what_is_right),
        cmocka_unit_test(a_broken_file_has_no_config_until_mended),
        cmocka_unit_test(tokens_come_back_one_an_interval),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
