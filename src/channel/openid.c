/*
 * openid.c - keys of issuers, kept and fetched again; tokens that were proven, remembered
 *
 * One lock guards everything that changes; fetching and RSA happen outside it. Of several requests
 * that need the same keys one fetches, those without any key wait for it.
 */
#include "channel/openid.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "base/thread.h"
#include "channel/openid_token.h"
#include "text/json.h"

#define ISSUERS_MAX 256
#define TOKENS_MAX 1024 /* of one issuer */
#define FETCH_DEADLINE_MS 5000
#define WAIT_FOR_FETCH_US (12 * US_PER_S) /* two fetches and a little */
#define ANSWER_MAX_BYTES (512 * 1024)
#define FETCH_ARENA_BYTES (4 * 1024 * 1024)
#define TOKEN_ARENA_BYTES (64 * 1024)

struct openid_proof {
    _Atomic int refs;
    json_t *claims;
    struct openid_keys *keys; /* a reference: key is one of them */
    const struct openid_key *key;
};

/* What is known behind one metadata address. */
struct issuer {
    char *metadata_url;
    struct openid_keys *keys;         /* NULL until the first fetch succeeds */
    int64_t fetched_us, attempted_us; /* monotonic */
    bool was_attempted, has_failed;   /* of the last attempt */
    bool is_fetching;
    unsigned users; /* requests that look at it now */
    int64_t used_us;
    struct map tokens; /* token -> struct openid_proof, one reference each */
};

struct openid {
    struct http_client *http;
    struct clock *clock;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t fetched;
    struct map issuers; /* metadata address -> struct issuer */
};

/* --- proofs --- */

static const struct openid_proof *
proof_ref(const struct openid_proof *proof)
{
    atomic_fetch_add(&((struct openid_proof *)(uintptr_t)proof)->refs, 1);
    return proof;
}

void
openid_proof_unref(const struct openid_proof **proof_ptr)
{
    struct openid_proof *proof = (struct openid_proof *)(uintptr_t)*proof_ptr;

    *proof_ptr = NULL;
    if (proof == NULL || atomic_fetch_sub(&proof->refs, 1) > 1)
        return;
    json_decref(proof->claims);
    openid_keys_unref(&proof->keys);
    free(proof);
}

/* Takes both references. */
static struct openid_proof *
proof_create(json_t *claims, struct openid_keys *keys, const struct openid_key *key)
{
    struct openid_proof *proof = calloc(1, sizeof *proof);

    if (proof == NULL)
        abort();
    atomic_init(&proof->refs, 1);
    proof->claims = claims;
    proof->keys = keys;
    proof->key = key;
    return proof;
}

struct str
openid_claim(const struct openid_proof *proof, const char *name)
{
    return json_get_str(proof->claims, name);
}

bool
openid_is_endorsed(const struct openid_proof *proof, struct str channel)
{
    const json_t *list = proof->key->endorsements;
    size_t i;
    json_t *one;

    if (json_array_size(list) == 0)
        return true;
    json_array_foreach (list, i, one) {
        if (json_is_string(one) &&
            str_eq(str_of(json_string_value(one), json_string_length(one)), channel))
            return true;
    }
    return false;
}

/* --- issuers; callers hold the lock --- */

static void
forget_tokens(struct issuer *issuer)
{
    struct map_entry *entry;

    MAP_FOREACH (&issuer->tokens, entry) {
        const struct openid_proof *proof = entry->value;

        openid_proof_unref(&proof);
    }
    map_deinit(&issuer->tokens);
    map_init(&issuer->tokens, TOKENS_MAX);
}

static void
issuer_destroy(struct issuer *issuer)
{
    forget_tokens(issuer);
    map_deinit(&issuer->tokens);
    openid_keys_unref(&issuer->keys);
    free(issuer->metadata_url);
    free(issuer);
}

static void
make_room(struct openid *openid)
{
    struct issuer *oldest = NULL;
    struct map_entry *entry;

    if (openid->issuers.count < ISSUERS_MAX)
        return;
    MAP_FOREACH (&openid->issuers, entry) {
        struct issuer *issuer = entry->value;

        if (issuer->users == 0 && (oldest == NULL || issuer->used_us < oldest->used_us))
            oldest = issuer;
    }
    if (oldest == NULL)
        return;
    (void)map_remove(&openid->issuers, str_from_c(oldest->metadata_url));
    issuer_destroy(oldest);
}

/* Counted in users. NULL: more addresses are in use at this moment than are kept. */
static struct issuer *
issuer_enter(struct openid *openid, struct str metadata_url, int64_t now_us)
{
    struct issuer *issuer = map_find(&openid->issuers, metadata_url);
    void *replaced;
    struct err ignored;

    if (issuer == NULL) {
        make_room(openid);
        issuer = calloc(1, sizeof *issuer);
        if (issuer == NULL)
            abort();
        map_init(&issuer->tokens, TOKENS_MAX);
        issuer->metadata_url = str_dup(metadata_url);
        if (map_put(&openid->issuers, metadata_url, issuer, &replaced, &ignored) != ST_OK) {
            issuer_destroy(issuer);
            return NULL;
        }
    }
    issuer->used_us = now_us;
    issuer->users++;
    return issuer;
}

static void
remember_token(struct issuer *issuer, struct str token, const struct openid_proof *proof)
{
    void *replaced = NULL;
    struct err ignored;

    if (proof->keys != issuer->keys) /* replaced meanwhile */
        return;
    if (issuer->tokens.count >= TOKENS_MAX)
        forget_tokens(issuer);
    if (map_put(&issuer->tokens, token, (void *)(uintptr_t)proof, &replaced, &ignored) != ST_OK)
        return;
    (void)proof_ref(proof);
    const struct openid_proof *former = replaced;

    openid_proof_unref(&former);
}

static bool
is_stale(const struct issuer *issuer, int64_t now_us)
{
    return now_us - issuer->fetched_us >= OPENID_KEYS_FRESH_US;
}

enum decision {
    DECIDE_USE,    /* the key at hand */
    DECIDE_FETCH,  /* or wait for whoever does */
    DECIDE_REFUSE, /* it is too early to ask again */
};

static enum decision
decide(const struct issuer *issuer, bool has_key, int64_t now_us)
{
    int64_t interval_us = issuer->has_failed || has_key || issuer->keys == NULL
                              ? OPENID_RETRY_US
                              : OPENID_UNKNOWN_KEY_US;
    bool is_early = issuer->was_attempted && now_us - issuer->attempted_us < interval_us;

    if (has_key)
        return !is_stale(issuer, now_us) || is_early || issuer->is_fetching ? DECIDE_USE
                                                                            : DECIDE_FETCH;
    if (issuer->is_fetching)
        return DECIDE_FETCH;
    return is_early ? DECIDE_REFUSE : DECIDE_FETCH;
}

/* --- fetching; without the lock --- */

static enum status
get(struct openid *openid, struct str url, struct arena *arena, struct str *body_out,
    struct err *err)
{
    const struct http_call call = {.method = "GET",
                                   .url = url,
                                   .deadline_ms = FETCH_DEADLINE_MS,
                                   .max_response_bytes = ANSWER_MAX_BYTES};
    struct http_reply reply;
    enum status st = http_client_call(openid->http, &call, arena, &reply, err);

    if (st != ST_OK)
        return st;
    if (reply.status != 200)
        return err_set_detail(err, ST_UNAVAILABLE, "http %d", reply.status);
    *body_out = reply.body;
    return ST_OK;
}

/* Keys are as trustworthy as the way they came: not over http when the metadata was not. */
static bool
is_as_safe(struct str jwks_uri, struct str metadata_url)
{
    return str_starts_with(jwks_uri, STR("https://")) ||
           (str_starts_with(jwks_uri, STR("http://")) &&
            str_starts_with(metadata_url, STR("http://")));
}

static enum status
fetch(struct openid *openid, struct str metadata_url, struct openid_keys **keys_out,
      struct err *err)
{
    struct arena *arena = arena_create(FETCH_ARENA_BYTES);
    struct str body = STR_EMPTY, issuer = STR_EMPTY, jwks_uri = STR_EMPTY;
    enum status st = get(openid, metadata_url, arena, &body, err);

    *keys_out = NULL;
    if (st == ST_OK)
        st = openid_metadata_read(body, arena, &issuer, &jwks_uri, err);
    if (st == ST_OK && !is_as_safe(jwks_uri, metadata_url))
        st = err_set_detail(err, ST_INVALID, "jwks_uri is not https");
    if (st == ST_OK)
        st = get(openid, jwks_uri, arena, &body, err);
    if (st == ST_OK)
        st = openid_keys_read(body, issuer, keys_out, err);
    arena_destroy(&arena);
    if (st != ST_OK)
        LOG_ERR(LOG_WARN, "openid.fetch_failed", err, log_str("url", metadata_url));
    return st;
}

/* With the lock, which it lets go meanwhile. */
static void
refresh(struct openid *openid, struct issuer *issuer)
{
    struct openid_keys *keys = NULL;
    struct err err;

    issuer->is_fetching = true;
    pthread_mutex_unlock(&openid->lock);
    enum status st = fetch(openid, str_from_c(issuer->metadata_url), &keys, &err);
    pthread_mutex_lock(&openid->lock);
    issuer->is_fetching = false;
    issuer->was_attempted = true;
    issuer->has_failed = st != ST_OK;
    issuer->attempted_us = clock_mono_us(openid->clock);
    if (st == ST_OK) {
        openid_keys_unref(&issuer->keys);
        issuer->keys = keys;
        issuer->fetched_us = issuer->attempted_us;
        forget_tokens(issuer);
    }
    pthread_cond_broadcast(&openid->fetched);
}

/* --- looking up; with the lock --- */

static enum status
refuse(const struct issuer *issuer, struct err *err)
{
    if (issuer->keys != NULL && !issuer->has_failed)
        return err_set(err, ST_DENIED, "the token is signed with an unknown key");
    err_set(err, ST_UNAVAILABLE, "the keys of the token's issuer cannot be fetched");
    err->retry_after_ms = (int)(OPENID_RETRY_US / US_PER_MS);
    return ST_UNAVAILABLE;
}

/* An empty kid: any key, for whoever wants to know that there are keys. */
static enum status
find_key(struct openid *openid, struct issuer *issuer, struct str kid, bool may_block,
         const struct openid_key **key_out, struct err *err)
{
    int64_t give_up_us = clock_mono_us(clock_system()) + WAIT_FOR_FETCH_US;

    for (;;) {
        const struct openid_key *key = kid.len == 0 && issuer->keys != NULL
                                           ? issuer->keys->keys
                                           : openid_keys_find(issuer->keys, kid);

        switch (decide(issuer, key != NULL, clock_mono_us(openid->clock))) {
        case DECIDE_USE:
            *key_out = key;
            return ST_OK;
        case DECIDE_REFUSE:
            return refuse(issuer, err);
        case DECIDE_FETCH:
            break;
        }
        if (!may_block)
            return err_set_detail(err, ST_BUSY, "the issuer's keys have to be fetched");
        if (!issuer->is_fetching)
            refresh(openid, issuer);
        else if (!cond_wait_until(&openid->fetched, &openid->lock, give_up_us))
            return refuse(&(struct issuer){.has_failed = true}, err);
    }
}

static enum status
check_issuer(const struct openid_keys *keys, const struct openid_wanted *wanted, struct err *err)
{
    if (!str_eq(keys->issuer, wanted->issuer))
        return err_set(err, ST_DENIED, "the metadata is of another issuer");
    return ST_OK;
}

/* A proof of before, or NULL. */
static const struct openid_proof *
recall(struct openid *openid, const struct issuer *issuer, struct str token)
{
    const struct openid_proof *proof = map_find(&issuer->tokens, token);

    if (proof == NULL || is_stale(issuer, clock_mono_us(openid->clock)))
        return NULL;
    return proof_ref(proof);
}

/* Without the lock: reads the token, finds the key, checks the signature. */
static enum status
prove(struct openid *openid, struct issuer *issuer, const struct openid_wanted *wanted,
      struct str text, struct arena *arena, const struct openid_proof **proof_out, struct err *err)
{
    const struct openid_key *key = NULL;
    struct openid_keys *keys = NULL;
    struct openid_token token;
    enum status st = openid_token_read(text, arena, &token, err);

    if (st == ST_OK)
        st = openid_claims_check(token.claims, wanted, clock_wall_us(openid->clock), err);
    if (st == ST_OK) {
        pthread_mutex_lock(&openid->lock);
        st = find_key(openid, issuer, token.kid, wanted->may_block, &key, err);
        if (st == ST_OK)
            keys = openid_keys_ref(issuer->keys);
        pthread_mutex_unlock(&openid->lock);
    }
    if (st == ST_OK)
        st = check_issuer(keys, wanted, err);
    if (st == ST_OK)
        st = openid_signature_check(key, &token, err);
    if (st != ST_OK) {
        openid_keys_unref(&keys);
        json_decref(token.claims);
        return st;
    }
    *proof_out = proof_create(token.claims, keys, key);
    return ST_OK;
}

enum status
openid_check(struct openid *openid, const struct openid_wanted *wanted, struct str token,
             const struct openid_proof **proof_out, struct err *err)
{
    const struct openid_proof *known = NULL;
    enum status st;

    *proof_out = NULL;
    pthread_mutex_lock(&openid->lock);
    struct issuer *issuer =
        issuer_enter(openid, wanted->metadata_url, clock_mono_us(openid->clock));
    if (issuer != NULL)
        known = recall(openid, issuer, token);
    pthread_mutex_unlock(&openid->lock);
    if (issuer == NULL)
        return err_set_detail(err, ST_UNAVAILABLE, "more than %d token issuers", ISSUERS_MAX);

    if (known != NULL) {
        *proof_out = known;
        st = openid_claims_check(known->claims, wanted, clock_wall_us(openid->clock), err);
        if (st == ST_OK)
            st = check_issuer(known->keys, wanted, err);
    } else {
        struct arena *arena = arena_create(TOKEN_ARENA_BYTES);

        st = prove(openid, issuer, wanted, token, arena, proof_out, err);
        arena_destroy(&arena);
    }
    pthread_mutex_lock(&openid->lock);
    if (st == ST_OK && known == NULL)
        remember_token(issuer, token, *proof_out);
    issuer->users--;
    pthread_mutex_unlock(&openid->lock);
    if (st != ST_OK)
        openid_proof_unref(proof_out);
    return st;
}

enum status
openid_prefetch(struct openid *openid, const struct openid_wanted *wanted, struct err *err)
{
    const struct openid_key *key;
    enum status st;

    pthread_mutex_lock(&openid->lock);
    struct issuer *issuer =
        issuer_enter(openid, wanted->metadata_url, clock_mono_us(openid->clock));
    st = issuer == NULL
             ? err_set_detail(err, ST_UNAVAILABLE, "more than %d token issuers", ISSUERS_MAX)
             : find_key(openid, issuer, STR_EMPTY, true, &key, err);
    if (st == ST_OK && check_issuer(issuer->keys, wanted, err) != ST_OK)
        st = err_set(err, ST_INVALID, "the OpenID metadata is of another issuer");
    if (issuer != NULL)
        issuer->users--;
    pthread_mutex_unlock(&openid->lock);
    return st;
}

/* --- beginning and end --- */

struct openid *
openid_create(struct http_client *http, struct clock *clock)
{
    struct openid *openid = calloc(1, sizeof *openid);

    if (openid == NULL)
        abort();
    openid->http = http;
    openid->clock = clock;
    map_init(&openid->issuers, ISSUERS_MAX);
    pthread_mutex_init(&openid->lock, NULL);
    cond_init(&openid->fetched);
    return openid;
}

void
openid_destroy(struct openid **openid_ptr)
{
    struct openid *openid = *openid_ptr;
    struct map_entry *entry;

    *openid_ptr = NULL;
    if (openid == NULL)
        return;
    MAP_FOREACH (&openid->issuers, entry) {
        issuer_destroy(entry->value);
    }
    map_deinit(&openid->issuers);
    pthread_cond_destroy(&openid->fetched);
    pthread_mutex_destroy(&openid->lock);
    free(openid);
}
