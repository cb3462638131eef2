/*
 * meta_test_support.c - the signature of Meta's webhooks, and ways to forge it
 */
#include "channel/meta_test_support.h"

#include "channel/secrets.h"
#include "text/json.h"

static struct str
signature(struct test_env *env, struct str secret, struct str body)
{
    const struct hmac_proof proof = {
        .hash = HMAC_SHA256, .text = HMAC_HEX, .pieces = &body, .piece_count = 1};

    return hmac_sign(secret, &proof, env->arena);
}

bool
meta_test_prove(const struct channel_record *record, struct test_env *env, struct str body,
                int forge, struct conformance_proof *proof_out)
{
    struct str secret = json_get_str(record->credentials, "app_secret");
    struct str good = signature(env, secret.ptr == NULL ? STR("") : secret, body);
    struct arena *arena = env->arena;
    const struct str shown[] = {
        arena_printf(arena, "sha256=%.*s", STR_ARG(good)),
        STR(""),
        STR("sha256="),
        good,
        arena_printf(arena, "sha1=%.*s", STR_ARG(good)),
        arena_printf(arena, "sha256=%.*s0", STR_ARG(good)),
        arena_printf(arena, "sha256=%.*s", STR_ARG(str_sub(good, 0, 63))),
        arena_printf(arena, "sha256=%.*s", STR_ARG(signature(env, STR("another"), body))),
        arena_printf(arena, "sha256=%.*s", STR_ARG(signature(env, STR("verify-token-1"), body))),
        arena_printf(arena, "sha256=%.*s", STR_ARG(signature(env, secret, STR("other")))),
        STR("sha256=0000000000000000000000000000000000000000000000000000000000000000"),
    };
    const size_t count = sizeof shown / sizeof shown[0];

    if ((size_t)forge > count)
        return false;
    *proof_out = (struct conformance_proof){
        .target = "/hook",
        .headers = {{.name = "X-Hub-Signature-256",
                     .value = shown[(size_t)forge < count ? (size_t)forge : 0]}},
        .header_count = (size_t)forge < count ? 1 : 0};
    return true;
}
