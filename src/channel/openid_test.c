/*
 * openid_test.c - tokens of an issuer on this machine: what counts, what does not, and how often
 * keys are fetched
 */
#include "channel/openid.h"

#include <pthread.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "channel/openid_test_support.h"
#include "channel/openid_token.h"
#include "text/json.h"

#define NOW_S 1800000000
#define NOW_US (INT64_C(1800000000) * US_PER_S)
#define HEADER "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"key-1\"}"
#define CLAIMS                                                                                     \
    "{\"iss\":\"" TEST_ISSUER_NAME "\",\"aud\":\"app\",\"nbf\":1799999900,\"exp\":1800003600,"     \
    "\"serviceurl\":\"https://s.example/\"}"

struct scene {
    struct test_issuer *issuer;
    struct clock *clock;
    struct http_client *http;
    struct openid *openid;
    struct arena *arena;
    struct openid_wanted wanted;
};

static int
setup(void **state)
{
    const struct http_client_config http = {.allow_private_addresses = true};
    struct scene *scene = calloc(1, sizeof *scene);
    struct err err;

    assert_non_null(scene);
    scene->issuer = test_issuer_start();
    scene->clock = clock_create_manual(NOW_US);
    assert_int_equal(http_client_create(&http, &scene->http, &err), ST_OK);
    scene->openid = openid_create(scene->http, scene->clock);
    scene->arena = arena_create(4 * 1024 * 1024);
    scene->wanted = (struct openid_wanted){test_issuer_metadata_url(scene->issuer, scene->arena),
                                           STR(TEST_ISSUER_NAME), STR("app"), true};
    *state = scene;
    return 0;
}

static int
teardown(void **state)
{
    struct scene *scene = *state;

    openid_destroy(&scene->openid);
    test_issuer_stop(&scene->issuer);
    http_client_destroy(&scene->http);
    arena_destroy(&scene->arena);
    clock_destroy(&scene->clock);
    free(scene);
    return 0;
}

static enum status
check(struct scene *scene, struct str token)
{
    const struct openid_proof *proof;
    struct err err = {.code = ST_OK};
    enum status st = openid_check(scene->openid, &scene->wanted, token, &proof, &err);

    assert_true((st == ST_OK) == (proof != NULL));
    if (st != ST_OK)
        assert_int_equal(err.code, st);
    if (st == ST_UNAVAILABLE)
        assert_true(err.retry_after_ms > 0);
    openid_proof_unref(&proof);
    return st;
}

static enum status
check_signed(struct scene *scene, const char *header, const char *claims)
{
    return check(scene, test_issuer_sign(scene->issuer, header, claims, scene->arena));
}

static void
test_headers_and_claims(void **state)
{
    struct scene *scene = *state;
    static const struct {
        const char *name, *header, *claims;
        enum status want;
    } cases[] = {
        {"good", HEADER, CLAIMS, ST_OK},
        {"alg none", "{\"alg\":\"none\",\"kid\":\"key-1\"}", CLAIMS, ST_DENIED},
        {"alg HS256", "{\"alg\":\"HS256\",\"kid\":\"key-1\"}", CLAIMS, ST_DENIED},
        {"alg in lower case", "{\"alg\":\"rs256\",\"kid\":\"key-1\"}", CLAIMS, ST_DENIED},
        {"no kid", "{\"alg\":\"RS256\"}", CLAIMS, ST_DENIED},
        {"kid is a number", "{\"alg\":\"RS256\",\"kid\":1}", CLAIMS, ST_DENIED},
        {"critical extension", "{\"alg\":\"RS256\",\"kid\":\"key-1\",\"crit\":[\"b64\"]}", CLAIMS,
         ST_DENIED},
        {"unknown kid", "{\"alg\":\"RS256\",\"kid\":\"key-9\"}", CLAIMS, ST_DENIED},
        {"other issuer", HEADER, "{\"iss\":\"https://x\",\"aud\":\"app\",\"exp\":1800003600}",
         ST_DENIED},
        {"other audience", HEADER,
         "{\"iss\":\"" TEST_ISSUER_NAME "\",\"aud\":\"other\",\"exp\":1800003600}", ST_DENIED},
        {"audience in a list", HEADER,
         "{\"iss\":\"" TEST_ISSUER_NAME "\",\"aud\":[\"x\",\"app\"],\"exp\":1800003600}", ST_OK},
        {"no audience", HEADER, "{\"iss\":\"" TEST_ISSUER_NAME "\",\"exp\":1800003600}", ST_DENIED},
        {"no expiry", HEADER, "{\"iss\":\"" TEST_ISSUER_NAME "\",\"aud\":\"app\"}", ST_DENIED},
        {"expiry is text", HEADER,
         "{\"iss\":\"" TEST_ISSUER_NAME "\",\"aud\":\"app\",\"exp\":\"1800003600\"}", ST_DENIED},
        {"expired, within skew", HEADER,
         "{\"iss\":\"" TEST_ISSUER_NAME "\",\"aud\":\"app\",\"exp\":1799999701}", ST_OK},
        {"expired at the skew", HEADER,
         "{\"iss\":\"" TEST_ISSUER_NAME "\",\"aud\":\"app\",\"exp\":1799999700}", ST_DENIED},
        {"begins within skew", HEADER,
         "{\"iss\":\"" TEST_ISSUER_NAME "\",\"aud\":\"app\",\"exp\":1800003600,"
         "\"nbf\":1800000300}",
         ST_OK},
        {"begins later", HEADER,
         "{\"iss\":\"" TEST_ISSUER_NAME "\",\"aud\":\"app\",\"exp\":1800003600,"
         "\"nbf\":1800000301}",
         ST_DENIED},
        {"claims are a list", HEADER, "[1]", ST_DENIED},
        {"claims are cut", HEADER, "{\"iss\":", ST_DENIED},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum status st = check_signed(scene, cases[i].header, cases[i].claims);

        if (st != cases[i].want)
            fail_msg("%s: %s", cases[i].name, status_name(st));
    }
    assert_int_equal(test_issuer_fetches(scene->issuer), 1);
}

static void
test_every_byte_counts(void **state)
{
    struct scene *scene = *state;
    struct str token = test_issuer_sign(scene->issuer, HEADER, CLAIMS, scene->arena);
    char *copy = arena_cstr(scene->arena, token);

    assert_int_equal(check(scene, token), ST_OK);
    for (size_t i = 0; i < token.len; i += 7) {
        char was = copy[i];

        copy[i] = was == 'A' ? 'B' : 'A';
        assert_int_equal(check(scene, str_from_c(copy)), ST_DENIED);
        copy[i] = was;
        assert_int_equal(check(scene, str_sub(token, 0, i)), ST_DENIED);
    }
    assert_int_equal(check(scene, str_from_c(copy)), ST_OK);
    assert_int_equal(check(scene, STR("")), ST_DENIED);
    assert_int_equal(check(scene, STR("a.b.c")), ST_DENIED);
    assert_int_equal(check(scene, arena_printf(scene->arena, "%s.", copy)), ST_DENIED);
    assert_int_equal(check(scene, arena_printf(scene->arena, "%s=", copy)), ST_DENIED);
    assert_int_equal(check(scene, arena_printf(scene->arena, "%9000d", 1)), ST_DENIED);
}

static void
test_never_blocks_unless_allowed(void **state)
{
    struct scene *scene = *state;

    scene->wanted.may_block = false;
    assert_int_equal(check_signed(scene, HEADER, CLAIMS), ST_BUSY);
    /* Nonsense is refused without asking for a worker. */
    assert_int_equal(check(scene, STR("a.b.c")), ST_DENIED);
    assert_int_equal(check_signed(scene, HEADER, "{\"iss\":\"https://x\"}"), ST_DENIED);
    assert_int_equal(test_issuer_fetches(scene->issuer), 0);
    scene->wanted.may_block = true;
    assert_int_equal(check_signed(scene, HEADER, CLAIMS), ST_OK);
    scene->wanted.may_block = false;
    assert_int_equal(check_signed(scene, HEADER, CLAIMS), ST_OK);
    assert_int_equal(test_issuer_fetches(scene->issuer), 1);
}

static void
test_unknown_keys_are_asked_for_rarely(void **state)
{
    struct scene *scene = *state;
    const char *newer = "{\"alg\":\"RS256\",\"kid\":\"key-2\"}";

    assert_int_equal(check_signed(scene, HEADER, CLAIMS), ST_OK);
    test_issuer_publish(scene->issuer, "key-2", NULL);
    for (int i = 0; i < 5; i++)
        assert_int_equal(check_signed(scene, newer, CLAIMS), ST_DENIED);
    assert_int_equal(test_issuer_fetches(scene->issuer), 1);
    clock_advance_us(scene->clock, OPENID_UNKNOWN_KEY_US);
    scene->wanted.may_block = false;
    assert_int_equal(check_signed(scene, newer, CLAIMS), ST_BUSY);
    scene->wanted.may_block = true;
    assert_int_equal(check_signed(scene, newer, CLAIMS), ST_OK);
    assert_int_equal(test_issuer_fetches(scene->issuer), 2);
    /* The key that was withdrawn counts no longer, not even for a token that was proven with it. */
    assert_int_equal(check_signed(scene, HEADER, CLAIMS), ST_DENIED);
    for (int i = 0; i < 5; i++)
        assert_int_equal(check_signed(scene, HEADER, CLAIMS), ST_DENIED);
    assert_int_equal(test_issuer_fetches(scene->issuer), 2);
}

static void
test_old_keys_stay_until_new_ones_come(void **state)
{
    struct scene *scene = *state;
    const char *claims = "{\"iss\":\"" TEST_ISSUER_NAME "\",\"aud\":\"app\",\"exp\":1900000000}";

    assert_int_equal(check_signed(scene, HEADER, claims), ST_OK);
    clock_advance_us(scene->clock, OPENID_KEYS_FRESH_US);
    test_issuer_fail(scene->issuer, 503);
    assert_int_equal(check_signed(scene, HEADER, claims), ST_OK);
    assert_int_equal(test_issuer_fetches(scene->issuer), 1); /* it failed at the metadata */
    test_issuer_fail(scene->issuer, 200);
    assert_int_equal(check_signed(scene, HEADER, claims), ST_OK);
    assert_int_equal(test_issuer_fetches(scene->issuer), 1); /* too early to try again */
    clock_advance_us(scene->clock, OPENID_RETRY_US);
    assert_int_equal(check_signed(scene, HEADER, claims), ST_OK);
    assert_int_equal(test_issuer_fetches(scene->issuer), 2);
    assert_int_equal(check_signed(scene, HEADER, claims), ST_OK);
    assert_int_equal(test_issuer_fetches(scene->issuer), 2);
}

static void
test_an_issuer_that_cannot_be_asked(void **state)
{
    struct scene *scene = *state;
    struct err err;
    static const struct {
        const char *name, *metadata, *keys;
        enum status want;
    } cases[] = {
        {"metadata is no JSON", "<html>", NULL, ST_UNAVAILABLE},
        {"no jwks_uri", "{\"issuer\":\"" TEST_ISSUER_NAME "\"}", NULL, ST_UNAVAILABLE},
        {"keys over another scheme",
         "{\"issuer\":\"" TEST_ISSUER_NAME "\",\"jwks_uri\":\"ftp://127.0.0.1/keys\"}", NULL,
         ST_UNAVAILABLE},
        {"no keys", NULL, "{\"keys\":[]}", ST_UNAVAILABLE},
        {"keys is no list", NULL, "{\"keys\":{}}", ST_UNAVAILABLE},
        {"only an EC key", NULL, "{\"keys\":[{\"kty\":\"EC\",\"kid\":\"key-1\",\"n\":\"AQ\"}]}",
         ST_UNAVAILABLE},
        {"a key of 16 bits", NULL,
         "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"key-1\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
         ST_UNAVAILABLE},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_issuer_say(scene->issuer, cases[i].metadata, cases[i].keys);
        enum status st = check_signed(scene, HEADER, CLAIMS);
        if (st != cases[i].want)
            fail_msg("%s: %s", cases[i].name, status_name(st));
        clock_advance_us(scene->clock, OPENID_RETRY_US);
    }
    test_issuer_say(scene->issuer, NULL, NULL);
    scene->wanted.issuer = STR("https://other.example");
    assert_int_equal(openid_prefetch(scene->openid, &scene->wanted, &err), ST_INVALID);
    assert_int_equal(check_signed(scene, HEADER,
                                  "{\"iss\":\"https://other.example\",\"aud\":\"app\","
                                  "\"exp\":1800003600}"),
                     ST_DENIED);
    scene->wanted.issuer = STR(TEST_ISSUER_NAME);
    assert_int_equal(openid_prefetch(scene->openid, &scene->wanted, &err), ST_OK);
    assert_int_equal(check_signed(scene, HEADER, CLAIMS), ST_OK);
}

static void
test_a_known_token_is_judged_again(void **state)
{
    struct scene *scene = *state;
    struct str token = test_issuer_sign(scene->issuer, HEADER, CLAIMS, scene->arena);
    const struct openid_proof *proof;
    struct err err;

    assert_int_equal(openid_check(scene->openid, &scene->wanted, token, &proof, &err), ST_OK);
    assert_true(str_eq_c(openid_claim(proof, "serviceurl"), "https://s.example/"));
    assert_int_equal(openid_claim(proof, "nbf").len, 0);
    assert_true(openid_is_endorsed(proof, STR("msteams")));
    assert_false(openid_is_endorsed(proof, STR("webchat")));
    openid_proof_unref(&proof);

    scene->wanted.audience = STR("another bot");
    assert_int_equal(check(scene, token), ST_DENIED);
    scene->wanted.audience = STR("");
    assert_int_equal(check(scene, token), ST_DENIED);
    scene->wanted.audience = STR("app");
    assert_int_equal(check(scene, token), ST_OK);
    clock_advance_us(scene->clock, INT64_C(3899) * US_PER_S);
    assert_int_equal(check(scene, token), ST_OK);
    clock_advance_us(scene->clock, US_PER_S);
    assert_int_equal(check(scene, token), ST_DENIED);

    test_issuer_publish(scene->issuer, "key-1", NULL);
    clock_advance_us(scene->clock, OPENID_KEYS_FRESH_US);
    token = test_issuer_sign(
        scene->issuer, HEADER,
        "{\"iss\":\"" TEST_ISSUER_NAME "\",\"aud\":\"app\",\"exp\":1900000000}", scene->arena);
    assert_int_equal(openid_check(scene->openid, &scene->wanted, token, &proof, &err), ST_OK);
    assert_true(openid_is_endorsed(proof, STR("anything"))); /* none are named */
    openid_proof_unref(&proof);
}

struct asking {
    struct scene *scene;
    struct str token;
    enum status st;
};

static void *
ask(void *arg)
{
    struct asking *asking = arg;
    const struct openid_proof *proof;
    struct err err;

    asking->st =
        openid_check(asking->scene->openid, &asking->scene->wanted, asking->token, &proof, &err);
    openid_proof_unref(&proof);
    return NULL;
}

static void
test_one_fetches_for_all(void **state)
{
    struct scene *scene = *state;
    struct str token = test_issuer_sign(scene->issuer, HEADER, CLAIMS, scene->arena);
    struct asking asking[4];
    pthread_t threads[4];

    test_issuer_hold(scene->issuer, true);
    for (int i = 0; i < 4; i++) {
        asking[i] = (struct asking){scene, token, ST_INTERNAL};
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &asking[i]), 0);
    }
    test_issuer_await_held(scene->issuer);
    test_issuer_hold(scene->issuer, false);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(asking[i].st, ST_OK);
    }
    assert_int_equal(test_issuer_fetches(scene->issuer), 1);
}

/* Addresses that channels made up do not push out the one in use, nor grow without end. */
static void
test_many_addresses(void **state)
{
    struct scene *scene = *state;
    struct openid_wanted usual = scene->wanted;

    assert_int_equal(check_signed(scene, HEADER, CLAIMS), ST_OK);
    for (int i = 0; i < 600; i++) {
        scene->wanted = usual;
        scene->wanted.may_block = false;
        scene->wanted.metadata_url = arena_printf(scene->arena, "http://127.0.0.1:1/%d", i);
        clock_advance_us(scene->clock, 1);
        assert_int_equal(check_signed(scene, HEADER, CLAIMS), ST_BUSY);
        scene->wanted = usual;
        assert_int_equal(check_signed(scene, HEADER, CLAIMS), ST_OK);
    }
    assert_int_equal(test_issuer_fetches(scene->issuer), 1);
}

/* RFC 7515, A.2. */
static void
test_published_vector(void **state)
{
    static const char keys_text[] =
        "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"rfc\",\"e\":\"AQAB\",\"n\":\""
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-"
        "4qPCJrcS2mJPMEzP1Pt0Bm"
        "4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-"
        "bSf63kpaSHSXndS5z5"
        "rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_"
        "I5IhlJH7aGh"
        "yxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\"}]}";
    static const char signature[] =
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
        "O8W2Fp"
        "5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_"
        "nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMH"
        "lb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-"
        "eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w"
        "9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    unsigned char raw[256];
    size_t length = 0;
    struct openid_keys *keys;
    struct err err;
    struct openid_token token = {
        .signed_text = STR("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogIm"
                           "h0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"),
    };

    (void)state;
    assert_int_equal(sodium_base642bin(raw, sizeof raw, signature, strlen(signature), NULL, &length,
                                       NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING),
                     0);
    token.signature = str_of((const char *)raw, length);
    assert_int_equal(openid_keys_read(str_from_c(keys_text), STR("x"), &keys, &err), ST_OK);
    const struct openid_key *key = openid_keys_find(keys, STR("rfc"));

    assert_non_null(key);
    assert_null(openid_keys_find(keys, STR("rfd")));
    assert_int_equal(openid_signature_check(key, &token, &err), ST_OK);
    raw[200] ^= 1;
    assert_int_equal(openid_signature_check(key, &token, &err), ST_DENIED);
    raw[200] ^= 1;
    token.signed_text.len--;
    assert_int_equal(openid_signature_check(key, &token, &err), ST_DENIED);
    openid_keys_unref(&keys);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_headers_and_claims, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_byte_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_never_blocks_unless_allowed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_keys_are_asked_for_rarely, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_keys_stay_until_new_ones_come, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_issuer_that_cannot_be_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_known_token_is_judged_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_fetches_for_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_addresses, setup, teardown),
        cmocka_unit_test(test_published_vector),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
