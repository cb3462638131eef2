/*
 * secrets_test.c - a channel's secret and the one before it, shown and signed with
 */
#include "channel/secrets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "channel/channel_test_support.h"

#define KEY "key"
#define TEXT "The quick brown fox jumps over the lazy dog"

/* The well-known values of this key and text, whole and in pieces. */
static void
test_values(void **state)
{
    static const struct {
        enum hmac_hash hash;
        enum hmac_text text;
        const char *want;
    } cases[] = {
        {HMAC_SHA256, HMAC_HEX, "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"},
        {HMAC_SHA256, HMAC_BASE64, "97yD9DBThCSxMpjmqm+xQ+9NWaFJRhdZl0edvC0aPNg="},
        {HMAC_SHA1, HMAC_HEX, "de7c9b85b8b78aa6bc8a7a36f70a90701c9db4d9"},
        {HMAC_SHA1, HMAC_BASE64, "3nybhbi3iqa8ino29wqQcBydtNk="},
    };
    const struct str whole[] = {STR(TEXT)};
    const struct str pieces[] = {STR("The quick "), STR(""), STR_EMPTY,
                                 STR("brown fox jumps over the lazy dog")};
    struct arena *arena = arena_create(1024 * 1024);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hmac_proof proof = {cases[i].hash, cases[i].text, whole, 1, STR_EMPTY};

        assert_true(str_eq_c(hmac_sign(STR(KEY), &proof, arena), cases[i].want));
        proof.pieces = pieces;
        proof.piece_count = 4;
        assert_true(str_eq_c(hmac_sign(STR(KEY), &proof, arena), cases[i].want));
    }
    arena_destroy(&arena);
}

static void
test_rotation(void **state)
{
    static const struct {
        const char *credentials, *secret;
        bool counts;
    } cases[] = {
        {"{\"s\": \"current-secret\"}", "current-secret", true},
        {"{\"s\": \"current-secret\"}", "former-secret", false},
        {"{\"s\": \"current-secret\", \"previous_s\": \"former-secret\"}", "current-secret", true},
        {"{\"s\": \"current-secret\", \"previous_s\": \"former-secret\"}", "former-secret", true},
        {"{\"s\": \"current-secret\", \"previous_s\": \"former-secret\"}", "another", false},
        {"{\"s\": \"current-secret\", \"previous_s\": \"short\"}", "short", false},
        {"{\"s\": \"current-secret\", \"previous_s\": \"\"}", "", false},
        {"{\"s\": \"current-secret\"}", "", false},
        {"{\"s\": \"short\", \"previous_s\": \"former-secret\"}", "former-secret", false},
        {"{\"s\": \"short\"}", "short", false},
        {"{\"s\": 7}", "7", false},
        {"{}", "", false},
        {"{\"previous_s\": \"former-secret\"}", "former-secret", false},
    };
    const struct str body[] = {STR("body")};
    struct arena *arena = arena_create(1024 * 1024);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct channel_record *record = test_record("fake", "{}", cases[i].credentials);
        struct hmac_proof proof = {HMAC_SHA256, HMAC_HEX, body, 1, STR_EMPTY};
        struct str secret = str_from_c(cases[i].secret);

        proof.shown = hmac_sign(secret, &proof, arena);
        if (channel_secret_is(record, "s", 8, secret) != cases[i].counts ||
            channel_secret_signed(record, "s", 8, &proof) != cases[i].counts)
            fail_msg("%s with \"%s\"", cases[i].credentials, cases[i].secret);
        /* Of other bytes it is no proof, nor is a part of it. */
        const struct str other[] = {STR("bodz")};
        struct hmac_proof forged = proof;
        forged.pieces = other;
        assert_false(channel_secret_signed(record, "s", 8, &forged));
        proof.shown.len--;
        assert_false(channel_secret_signed(record, "s", 8, &proof));
        test_record_release(&record);
    }
    assert_int_equal(test_records_alive(), 0);
    arena_destroy(&arena);
}

static void
test_masking(void **state)
{
    static const struct {
        const char *text, *secret, *want;
    } cases[] = {
        {"nothing here", "token", "nothing here"},
        {"a token, a token", "token", "a *****, a *****"},
        {"tokentoken", "token", "**********"},
        {"toke", "token", "toke"},
        {"", "token", ""},
        {"text", "", "text"},
    };
    struct arena *arena = arena_create(1024 * 1024), *small = arena_create(64);
    char long_text[200];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_true(
            str_eq_c(secret_masked(str_from_c(cases[i].text), str_from_c(cases[i].secret), arena),
                     cases[i].want));
    memset(long_text, 'x', sizeof long_text);
    memcpy(long_text, "token", 5);
    assert_int_equal(secret_masked(str_of(long_text, sizeof long_text), STR("token"), small).len,
                     0);
    arena_destroy(&small);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_masking),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_rotation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
