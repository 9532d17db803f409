#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "narthex/base/md5.h"

/* The test suite of RFC 1321, and the lengths around the padding's edge. */
static void known_digests(void **state)
{
    (void)state;
    static const char digits[] = "1234567890";
    static const struct {
        const char *text;
        unsigned repeat;
        const char *hex;
    } cases[] = {
        {"", 1, "d41d8cd98f00b204e9800998ecf8427e"},
        {"a", 1, "0cc175b9c0f1b6a831c399e269772661"},
        {"abc", 1, "900150983cd24fb0d6963f7d28e17f72"},
        {"message digest", 1, "f96b697d7cb7938d525a2f31aaf161d0"},
        {"abcdefghijklmnopqrstuvwxyz", 1, "c3fcd3d76192e4007dfb496cca67e13b"},
        {digits, 8, "57edf4a22be3c955ac49da2e2107b67a"},
        {"x", 55, "04364420e25c512fd958a70738aa8f72"},
        {"x", 56, "668a72d5ba17f08e62dabcafad6db14b"},
        {"x", 64, "c1bb4f81d892b2d57947682aeb252456"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[128] = "";
        char hex[2 * MD5_BYTES + 1];
        uint8_t digest[MD5_BYTES];
        for (unsigned k = 0; k < cases[i].repeat; k++)
            strcat(text, cases[i].text);
        md5_digest(text, strlen(text), digest);
        for (size_t k = 0; k < MD5_BYTES; k++)
            snprintf(hex + 2 * k, 3, "%02x", digest[k]);
        assert_string_equal(hex, cases[i].hex);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(known_digests)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
