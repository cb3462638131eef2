/*
 * channel_bench.c - what it costs to prove and to read one webhook, driver by driver
 *
 * usage: channel_bench [ROUNDS]   (ninja -C build src/channel/channel_bench); a JSON line a sample
 *
 * One signed message of each provider is posted to a server in this process; its handler verifies
 * and parses it again and again, in turn with a bare HMAC-SHA256 over the same bytes (GnuTLS) and a
 * bare parse of the same fields as JSON (jansson), a block of each, so that a slow moment meets
 * all. Of the blocks the median counts. "teams" shows the same token each time, as senders do until
 * it ends; "teams, new token" one that was never seen: its bare counterpart is a bare RSA
 * verification in place of the HMAC. That of SendGrid's signature is a bare ECDSA one of the same
 * bytes; that of Mailgun's, which covers no body, an HMAC of what it covers.
 */
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel_bench_bodies.h"
#include "channel/channel_driver.h"
#include "channel/drivers/email.h"
#include "channel/drivers/teams.h"
#include "channel/drivers/twilio.h"
#include "channel/openid.h"
#include "channel/secrets.h"
#include "channel/web_session.h"
#include "text/json.h"

#define BLOCK 100
#define ROUNDS_MAX 1001
#define NEW_TOKENS 500
#define TOKENS_BLOCK 25
#define ARENA_BYTES (1024 * 1024)
#define HEADERS_MAX 3

struct bench;

struct sample {
    const char *name;
    const char *source, *settings, *credentials, *body;
    /* Sets the headers that prove the body, those with a name; values in the bench's arena. */
    void (*sign)(struct bench *bench, const struct channel_record *record, struct str body,
                 struct http_header headers[HEADERS_MAX]);
    /* Where the proof stands in the body: makes the whole of it. May be NULL. */
    struct str (*complete)(struct bench *bench, const struct channel_record *record,
                           struct str body);
};

/* A figure a block, in microseconds for one. */
struct figures {
    double verify[ROUNDS_MAX], parse[ROUNDS_MAX], hmac[ROUNDS_MAX], json[ROUNDS_MAX];
    unsigned count;
};

struct bench {
    struct arena *arena;      /* of the run */
    struct arena *iterations; /* reset after each */
    struct clock *clock;
    struct http_client *http;
    struct http_server *server;
    struct channel_env env;
    struct channel_registry *registry;
    gnutls_privkey_t key;
    char *modulus, *exponent;
    unsigned rounds, tokens;
    /* Of the sample under way. */
    const struct channel_record *record;
    struct channel *channel;
    struct str proof;         /* the header's value: signed bytes too, when it is a token */
    struct str covered;       /* what the proof covers; empty: proof and body */
    gnutls_privkey_t ecdsa;   /* of the sample's signatures; NULL: they are none */
    gnutls_datum_t signature; /* by it */
    bool is_measured;
    struct figures figures;
};

/* Records of this program live as long as it does. */
const struct channel_record *
channel_record_ref(const struct channel_record *record)
{
    return record;
}

void
channel_record_unref(const struct channel_record **record)
{
    *record = NULL;
}

static void
must(bool good, const char *what, const struct err *err)
{
    if (good)
        return;
    (void)fprintf(stderr, "channel_bench: %s: %s\n", what, err == NULL ? "" : err->detail);
    exit(1);
}

/* --- an issuer of tokens --- */

static char *
encode(const void *bytes, size_t length)
{
    size_t max = sodium_base64_encoded_len(length, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    char *out = malloc(max);

    must(out != NULL, "memory", NULL);
    (void)sodium_bin2base64(out, max, bytes, length, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return out;
}

static void
make_key(struct bench *bench)
{
    gnutls_datum_t modulus, exponent;

    must(gnutls_privkey_init(&bench->key) >= 0 &&
             gnutls_privkey_generate(bench->key, GNUTLS_PK_RSA, 2048, 0) >= 0 &&
             gnutls_privkey_export_rsa_raw2(bench->key, &modulus, &exponent, NULL, NULL, NULL, NULL,
                                            NULL, NULL, GNUTLS_EXPORT_FLAG_NO_LZ) >= 0,
         "an RSA key", NULL);
    bench->modulus = encode(modulus.data, modulus.size);
    bench->exponent = encode(exponent.data, exponent.size);
    gnutls_free(modulus.data);
    gnutls_free(exponent.data);
}

static void
answer_metadata(struct http_request *request, struct http_response *response, void *context)
{
    struct bench *bench = context;

    http_respond(response, 200, "application/json",
                 arena_printf(request->arena,
                              "{\"issuer\":\"https://api.botframework.com\",\"jwks_uri\":"
                              "\"http://127.0.0.1:%u/keys\"}",
                              http_server_port(bench->server)));
}

static void
answer_keys(struct http_request *request, struct http_response *response, void *context)
{
    struct bench *bench = context;

    http_respond(response, 200, "application/json",
                 arena_printf(request->arena,
                              "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"k\",\"n\":\"%s\",\"e\":\"%s\","
                              "\"endorsements\":[\"msteams\"]}]}",
                              bench->modulus, bench->exponent));
}

/* --- proofs --- */

static void
sign_telegram(struct bench *bench, const struct channel_record *record, struct str body,
              struct http_header headers[HEADERS_MAX])
{
    (void)bench;
    (void)body;
    headers[0] = (struct http_header){"X-Telegram-Bot-Api-Secret-Token",
                                      json_get_str(record->credentials, "secret_token")};
}

static void
sign_web(struct bench *bench, const struct channel_record *record, struct str body,
         struct http_header headers[HEADERS_MAX])
{
    struct visitor_id visitor = {{""}};
    struct str token;
    struct err err;

    (void)body;
    must(web_session_issue(record, visitor, bench->clock, bench->arena, &token, &err) == ST_OK,
         "a session", &err);
    headers[0] = (struct http_header){"Authorization",
                                      arena_printf(bench->arena, "Bearer %.*s", STR_ARG(token))};
}

static void
sign_twilio(struct bench *bench, const struct channel_record *record, struct str body,
            struct http_header headers[HEADERS_MAX])
{
    struct hmac_proof proof = {.hash = HMAC_SHA1, .text = HMAC_BASE64};
    struct str *pieces;
    struct form form;
    struct err err;

    must(form_parse(body, bench->arena, &form, &err) == ST_OK, "a form", &err);
    struct str url = arena_printf(bench->arena, "%.*s/hook", STR_ARG(bench->env.public_url));
    proof.piece_count = twilio_signed_pieces(url, &form, bench->arena, &pieces);
    proof.pieces = pieces;
    headers[0] = (struct http_header){
        "X-Twilio-Signature",
        hmac_sign(json_get_str(record->credentials, "auth_token"), &proof, bench->arena)};
}

static void
sign_meta(struct bench *bench, const struct channel_record *record, struct str body,
          struct http_header headers[HEADERS_MAX])
{
    const struct hmac_proof proof = {
        .hash = HMAC_SHA256, .text = HMAC_HEX, .pieces = &body, .piece_count = 1};
    struct str mac =
        hmac_sign(json_get_str(record->credentials, "app_secret"), &proof, bench->arena);

    headers[0] = (struct http_header){"X-Hub-Signature-256",
                                      arena_printf(bench->arena, "sha256=%.*s", STR_ARG(mac))};
}

static void
sign_slack(struct bench *bench, const struct channel_record *record, struct str body,
           struct http_header headers[HEADERS_MAX])
{
    struct str when =
        arena_printf(bench->arena, "%lld", (long long)(clock_wall_us(bench->clock) / US_PER_S));
    const struct str pieces[] = {STR("v0:"), when, STR(":"), body};
    const struct hmac_proof proof = {
        .hash = HMAC_SHA256, .text = HMAC_HEX, .pieces = pieces, .piece_count = 4};
    struct str mac =
        hmac_sign(json_get_str(record->credentials, "signing_secret"), &proof, bench->arena);

    headers[0] = (struct http_header){"X-Slack-Request-Timestamp", when};
    headers[1] = (struct http_header){"X-Slack-Signature",
                                      arena_printf(bench->arena, "v0=%.*s", STR_ARG(mac))};
}

static void
sign_basic(struct bench *bench, const struct channel_record *record, struct str body,
           struct http_header headers[HEADERS_MAX])
{
    (void)body;
    char text[256];
    struct str plain = arena_printf(bench->arena, "parley:%.*s",
                                    STR_ARG(json_get_str(record->credentials, "webhook_secret")));

    sodium_bin2base64(text, sizeof text, (const unsigned char *)plain.ptr, plain.len,
                      sodium_base64_VARIANT_ORIGINAL);
    headers[0] =
        (struct http_header){"Authorization", arena_printf(bench->arena, "Basic %s", text)};
    headers[1] = (struct http_header){"Content-Type", STR("application/json")};
}

static void
sign_mailgun(struct bench *bench, const struct channel_record *record, struct str body,
             struct http_header headers[HEADERS_MAX])
{
    sign_basic(bench, record, body, headers);
    headers[1].value = STR("application/x-www-form-urlencoded");
}

/* The mail with its proof, which is made anew each time. */
static struct str
complete_mailgun(struct bench *bench, const struct channel_record *record, struct str mail)
{
    long long now_s = clock_wall_us(bench->clock) / US_PER_S;
    struct hmac_proof proof = {
        .hash = HMAC_SHA256, .text = HMAC_HEX, .pieces = &bench->covered, .piece_count = 1};
    static const char token[] = "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f6071829";

    bench->covered = arena_printf(bench->arena, "%lld%s", now_s, token);
    struct str mac =
        hmac_sign(json_get_str(record->credentials, "signing_key"), &proof, bench->arena);
    return arena_printf(bench->arena, "%.*s&timestamp=%lld&token=%s&signature=%.*s", STR_ARG(mail),
                        now_s, token, STR_ARG(mac));
}

static struct str
base64(struct bench *bench, const gnutls_datum_t *bytes)
{
    size_t size = sodium_base64_ENCODED_LEN(bytes->size, sodium_base64_VARIANT_ORIGINAL);
    char *text = arena_alloc(bench->arena, size);

    (void)sodium_bin2base64(text, size, bytes->data, bytes->size, sodium_base64_VARIANT_ORIGINAL);
    return str_from_c(text);
}

/* With a key pair of its own, whose public one becomes the record's. */
static void
sign_sendgrid(struct bench *bench, const struct channel_record *record, struct str body,
              struct http_header headers[HEADERS_MAX])
{
    struct str when =
        arena_printf(bench->arena, "%lld", (long long)(clock_wall_us(bench->clock) / US_PER_S));
    gnutls_pubkey_t public_key;
    gnutls_datum_t der;

    bench->covered = arena_printf(bench->arena, "%.*s%.*s", STR_ARG(when), STR_ARG(body));
    const gnutls_datum_t data = {(unsigned char *)(uintptr_t)bench->covered.ptr,
                                 (unsigned)bench->covered.len};

    must(gnutls_privkey_init(&bench->ecdsa) >= 0 &&
             gnutls_privkey_generate(bench->ecdsa, GNUTLS_PK_ECDSA,
                                     GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0) >= 0 &&
             gnutls_privkey_sign_data2(bench->ecdsa, GNUTLS_SIGN_ECDSA_SHA256, 0, &data,
                                       &bench->signature) >= 0 &&
             gnutls_pubkey_init(&public_key) >= 0 &&
             gnutls_pubkey_import_privkey(public_key, bench->ecdsa, 0, 0) >= 0 &&
             gnutls_pubkey_export2(public_key, GNUTLS_X509_FMT_DER, &der) >= 0,
         "an ECDSA key", NULL);
    json_set_str((json_t *)(uintptr_t)record->credentials, "verification_key", base64(bench, &der));
    headers[0] = (struct http_header){"X-Twilio-Email-Event-Webhook-Timestamp", when};
    headers[1] = (struct http_header){"X-Twilio-Email-Event-Webhook-Signature",
                                      base64(bench, &bench->signature)};
    headers[2] = (struct http_header){"Content-Type", STR(SENDGRID_TYPE)};
    gnutls_pubkey_deinit(public_key);
    gnutls_free(der.data);
}

static void
sign_teams(struct bench *bench, const struct channel_record *record, struct str body,
           struct http_header headers[HEADERS_MAX])
{
    static const char header[] = "{\"alg\":\"RS256\",\"kid\":\"k\",\"x5t\":\"k\",\"typ\":\"JWT\"}";
    long long now_s = clock_wall_us(bench->clock) / US_PER_S;
    struct str claims =
        arena_printf(bench->arena,
                     "{\"serviceurl\":\"" SERVICE "\",\"nbf\":%lld,\"exp\":%lld,\"iss\":"
                     "\"https://api.botframework.com\",\"aud\":\"" APP "\",\"n\":%u}",
                     now_s - 300, now_s + 3600, bench->tokens++);
    char *head = encode(header, sizeof header - 1), *middle = encode(claims.ptr, claims.len);
    struct str text = arena_printf(bench->arena, "%s.%s", head, middle);
    const gnutls_datum_t data = {(unsigned char *)(uintptr_t)text.ptr, (unsigned)text.len};
    gnutls_datum_t signature;

    (void)record;
    (void)body;
    must(gnutls_privkey_sign_data2(bench->key, GNUTLS_SIGN_RSA_SHA256, 0, &data, &signature) >= 0,
         "a signature", NULL);
    char *tail = encode(signature.data, signature.size);

    headers[0] = (struct http_header){
        "Authorization", arena_printf(bench->arena, "Bearer %.*s.%s", STR_ARG(text), tail)};
    gnutls_free(signature.data);
    free(head);
    free(middle);
    free(tail);
}

/* --- measuring --- */

static double
elapsed_us(const struct timespec *from)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)(now.tv_sec - from->tv_sec) * 1e6 + (double)(now.tv_nsec - from->tv_nsec) / 1e3;
}

static double
time_verify(struct bench *bench, const struct webhook *webhook)
{
    struct channel_verification verification = {.registry = bench->registry, .webhook = webhook};
    struct timespec from;
    struct err err;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    for (unsigned i = 0; i < BLOCK; i++) {
        must(channel_verify(bench->record, &verification, &err) == ST_OK, "not proven", &err);
        arena_reset(bench->iterations);
    }
    return elapsed_us(&from) / BLOCK;
}

static double
time_parse(struct bench *bench, const struct webhook *webhook)
{
    struct inbound_batch batch;
    struct timespec from;
    struct err err;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    for (unsigned i = 0; i < BLOCK; i++) {
        must(channel_parse(bench->channel, webhook, bench->iterations, &batch, &err) == ST_OK &&
                 batch.count == 1 && batch.items[0].kind == INBOUND_MESSAGE,
             "not a message", &err);
        inbound_batch_deinit(&batch);
        arena_reset(bench->iterations);
    }
    return elapsed_us(&from) / BLOCK;
}

static double
time_hmac(struct str bytes)
{
    unsigned char mac[32];
    struct timespec from;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    for (unsigned i = 0; i < BLOCK; i++)
        must(gnutls_hmac_fast(GNUTLS_MAC_SHA256, "0123456789abcdef0123456789abcdef", 32, bytes.ptr,
                              bytes.len, mac) == 0,
             "HMAC", NULL);
    return elapsed_us(&from) / BLOCK;
}

static double
time_ecdsa(const struct bench *bench, struct str bytes)
{
    const gnutls_datum_t data = {(unsigned char *)(uintptr_t)bytes.ptr, (unsigned)bytes.len};
    gnutls_pubkey_t key;
    struct timespec from;

    must(gnutls_pubkey_init(&key) >= 0 &&
             gnutls_pubkey_import_privkey(key, bench->ecdsa, 0, 0) >= 0,
         "ECDSA", NULL);
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    for (unsigned i = 0; i < BLOCK; i++)
        must(gnutls_pubkey_verify_data2(key, GNUTLS_SIGN_ECDSA_SHA256, 0, &data,
                                        &bench->signature) >= 0,
             "ECDSA", NULL);
    double each_us = elapsed_us(&from) / BLOCK;

    gnutls_pubkey_deinit(key);
    return each_us;
}

/* The body as JSON: itself, or the fields of a form as one object. */
static struct str
json_of(struct bench *bench, struct str body)
{
    json_auto_t *object = NULL;
    struct email_form form;
    struct err err;
    struct str type = STR("application/x-www-form-urlencoded");

    if (body.len > 0 && body.ptr[0] == '{')
        return body;
    if (str_starts_with(body, STR("--")))
        type = STR(SENDGRID_TYPE);
    object = json_object();
    must(email_form_read(type, body, bench->arena, &form, &err) == ST_OK, "a form", &err);
    for (size_t i = 0; i < form.count; i++)
        json_set_str(object, arena_cstr(bench->arena, form.fields[i].name), form.fields[i].value);
    return json_text(object, bench->arena);
}

static double
time_json(struct str text)
{
    struct timespec from;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    for (unsigned i = 0; i < BLOCK; i++) {
        json_t *parsed = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);

        must(parsed != NULL, "JSON", NULL);
        json_decref(parsed);
    }
    return elapsed_us(&from) / BLOCK;
}

static void
answer_hook(struct http_request *request, struct http_response *response, void *context)
{
    struct bench *bench = context;
    struct http_request copy = *request; /* whose arena can be emptied */
    const struct webhook webhook = {.body = request->body, .request = &copy};
    struct figures *figures = &bench->figures;
    struct str json = json_of(bench, request->body);
    struct str bytes =
        arena_printf(bench->arena, "%.*s%.*s", STR_ARG(bench->proof), STR_ARG(request->body));

    if (bench->covered.len > 0)
        bytes = bench->covered;

    copy.arena = bench->iterations;
    for (unsigned i = 0; i < bench->rounds; i++) {
        double verify = time_verify(bench, &webhook), parse = time_parse(bench, &webhook);

        if (!bench->is_measured || figures->count == ROUNDS_MAX)
            continue;
        figures->verify[figures->count] = verify;
        figures->parse[figures->count] = parse;
        figures->hmac[figures->count] =
            bench->ecdsa != NULL ? time_ecdsa(bench, bytes) : time_hmac(bytes);
        figures->json[figures->count] = time_json(json);
        figures->count++;
    }
    http_respond(response, 200, "text/plain", STR("measured"));
}

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double
median(double *values, unsigned count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

static void
post(struct bench *bench, const struct http_header headers[HEADERS_MAX], struct str body)
{
    size_t count = 0;
    struct arena *arena = arena_create(ARENA_BYTES);
    struct http_reply reply;
    struct err err;

    while (count < HEADERS_MAX && headers[count].name != NULL)
        count++;
    const struct http_call call = {
        .method = "POST",
        .url = arena_printf(arena, "http://127.0.0.1:%u/hook", http_server_port(bench->server)),
        .headers = headers,
        .header_count = count,
        .body = body,
        .deadline_ms = 120000};

    must(http_client_call(bench->http, &call, arena, &reply, &err) == ST_OK && reply.status == 200,
         "a post", &err);
    arena_destroy(&arena);
}

static struct channel_record *
make_record(const struct bench *bench, const struct sample *sample)
{
    struct channel_record *record = ARENA_NEW(bench->arena, struct channel_record);
    json_t *settings = json_loads(sample->settings, 0, NULL);

    record->id = ID_NEW(channel_id);
    record->source = str_from_c(sample->source);
    record->status = STR("active");
    record->revision = 1;
    record->credentials = json_loads(sample->credentials, 0, NULL);
    must(settings != NULL && record->credentials != NULL, sample->name, NULL);
    if (strcmp(sample->source, "teams") == 0)
        json_set_str(settings, "openid_metadata",
                     arena_printf(bench->arena, "http://127.0.0.1:%u/metadata",
                                  http_server_port(bench->server)));
    record->settings = settings;
    return record;
}

static void
say(const char *name, struct figures *figures, size_t bytes)
{
    double verify = median(figures->verify, figures->count);
    double parse = median(figures->parse, figures->count);
    double hmac = median(figures->hmac, figures->count),
           json = median(figures->json, figures->count);

    printf("{\"name\":\"%s\",\"bytes\":%zu,\"verify_us\":%.3f,\"parse_us\":%.3f,\"proof_us\":%.3f,"
           "\"json_us\":%.3f,\"ratio\":%.3f}\n",
           name, bytes, verify, parse, hmac, json, (verify + parse) / (hmac + json));
}

static double
time_tokens(struct bench *bench, const struct str *tokens)
{
    struct openid_wanted wanted = teams_wanted(bench->record);
    const struct openid_proof *proof;
    struct timespec from;
    struct err err;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    for (size_t i = 0; i < TOKENS_BLOCK; i++) {
        must(openid_check(bench->env.openid, &wanted, tokens[i], &proof, &err) == ST_OK,
             "not proven", &err);
        openid_proof_unref(&proof);
    }
    return elapsed_us(&from) / TOKENS_BLOCK;
}

static double
time_rsa(const struct bench *bench, struct str token)
{
    const gnutls_datum_t data = {(unsigned char *)(uintptr_t)token.ptr, (unsigned)token.len};
    gnutls_pubkey_t public_key;
    gnutls_datum_t signature;
    struct timespec from;

    must(gnutls_pubkey_init(&public_key) >= 0 &&
             gnutls_pubkey_import_privkey(public_key, bench->key, 0, 0) >= 0 &&
             gnutls_privkey_sign_data2(bench->key, GNUTLS_SIGN_RSA_SHA256, 0, &data, &signature) >=
                 0,
         "RSA", NULL);
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    for (size_t i = 0; i < TOKENS_BLOCK; i++)
        must(gnutls_pubkey_verify_data2(public_key, GNUTLS_SIGN_RSA_SHA256, 0, &data, &signature) >=
                 0,
             "RSA", NULL);
    double each_us = elapsed_us(&from) / TOKENS_BLOCK;

    gnutls_free(signature.data);
    gnutls_pubkey_deinit(public_key);
    return each_us;
}

/* What a token costs when it is new takes the place of what it costs when it is known; the rest of
 * the verification, and the parsing, are as measured before. */
static void
measure_new_tokens(struct bench *bench,
                   void (*sign)(struct bench *, const struct channel_record *, struct str,
                                struct http_header *),
                   struct str body)
{
    struct figures *figures = &bench->figures;
    double verify = median(figures->verify, figures->count);
    unsigned blocks = NEW_TOKENS / TOKENS_BLOCK;
    struct str tokens[TOKENS_BLOCK];
    struct http_header headers[HEADERS_MAX] = {{.name = NULL}};

    figures->parse[0] = median(figures->parse, figures->count);
    figures->json[0] = median(figures->json, figures->count);
    for (unsigned i = 0; i < blocks; i++) {
        for (size_t k = 0; k < TOKENS_BLOCK; k++) {
            sign(bench, bench->record, body, headers);
            tokens[k] = str_sub(headers[0].value, strlen("Bearer "), headers[0].value.len);
        }
        double new_us = time_tokens(bench, tokens), known_us = time_tokens(bench, tokens);

        figures->verify[i] = verify - known_us + new_us;
        figures->hmac[i] = time_rsa(bench, tokens[0]);
        figures->parse[i] = figures->parse[0];
        figures->json[i] = figures->json[0];
    }
    figures->count = blocks;
    say("teams, new token", figures, body.len + bench->proof.len);
}

static void
run(struct bench *bench, const struct sample *sample, unsigned rounds)
{
    struct str body = str_from_c(sample->body);
    struct http_header headers[HEADERS_MAX] = {{.name = NULL}};
    struct err err;

    bench->record = make_record(bench, sample);
    must(channel_acquire(bench->registry, bench->record, &bench->channel, &err) == ST_OK,
         sample->name, &err);
    bench->covered = STR_EMPTY;
    if (sample->complete != NULL)
        body = sample->complete(bench, bench->record, body);
    sample->sign(bench, bench->record, body, headers);
    /* A token's bytes are proven as well; a secret or an HMAC only proves. */
    bench->proof =
        sample->sign == sign_teams || sample->sign == sign_web ? headers[0].value : STR_EMPTY;
    bench->figures.count = 0;
    bench->is_measured = false;
    bench->rounds = 2;
    post(bench, headers, body);
    bench->is_measured = true;
    bench->rounds = rounds;
    post(bench, headers, body);
    say(sample->name, &bench->figures, body.len + bench->proof.len);
    if (sample->sign == sign_teams)
        measure_new_tokens(bench, sample->sign, body);
    if (bench->ecdsa != NULL) {
        gnutls_privkey_deinit(bench->ecdsa);
        gnutls_free(bench->signature.data);
        bench->ecdsa = NULL;
    }
    channel_release(&bench->channel);
}

static const struct sample samples[] = {
    {"telegram", "telegram", "{\"bot_username\":\"parley_bot\"}",
     "{\"bot_token\":\"7000000001:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw\",\"secret_token\":"
     "\"s3cr3t-Token_1\"}",
     "{\"update_id\":910000001,\"message\":{\"message_id\":1365,\"from\":{\"id\":1111111,"
     "\"is_bot\":false,\"first_name\":\"Ada\",\"last_name\":\"Lee\",\"username\":\"adalee\","
     "\"language_code\":\"en\"},\"chat\":{\"id\":1111111,\"first_name\":\"Ada\",\"last_name\":"
     "\"Lee\",\"username\":\"adalee\",\"type\":\"private\"},\"date\":1700000000,\"text\":\"" TEXT
     "\"}}",
     sign_telegram, NULL},
    {"web", "web", "{}", "{\"secret\":\"0123456789abcdef0123456789abcdef\"}",
     "{\"client_message_id\":\"0193d1f2-a7b8-4c1e-9f3a-5b6c7d8e9f00\",\"text\":\"" TEXT
     "\",\"metadata\":{\"page\":\"https://shop.example/rental\",\"locale\":\"en\"}}",
     sign_web, NULL},
    {"twilio_sms", "twilio_sms", "{}",
     "{\"account_sid\":\"AC0123456789abcdef0123456789abcdef\",\"auth_token\":"
     "\"6f1d0c5a2b7e49d38c04aa55ee120987\"}",
     SMS_BODY, sign_twilio, NULL},
    {"twilio_whatsapp", "twilio_whatsapp", "{}",
     "{\"account_sid\":\"AC0123456789abcdef0123456789abcdef\",\"auth_token\":"
     "\"6f1d0c5a2b7e49d38c04aa55ee120987\"}",
     "SmsMessageSid=SM00000000000000000000000000000002&NumMedia=0&ProfileName=Ada+Lee&"
     "MessageType=text&SmsSid=SM00000000000000000000000000000002&WaId=15557654321&"
     "SmsStatus=received&Body=Good+morning%2C+what+does+a+puncture+repair+cost%2C+and+is+the+"
     "shop+open+on+Saturday%3F&To=whatsapp%3A%2B15551230000&NumSegments=1&ReferralNumMedia=0&"
     "MessageSid=SM00000000000000000000000000000002&AccountSid=AC0123456789abcdef0123456789abcdef&"
     "From=whatsapp%3A%2B15557654321&ApiVersion=2010-04-01",
     sign_twilio, NULL},
    {"whatsapp_business", "whatsapp_business", "{}",
     "{\"phone_number_id\":\"200100300400500\",\"access_token\":\"EAAtest0123456789abcdef\","
     "\"app_secret\":\"0123456789abcdef0123456789abcdef\",\"verify_token\":\"verify-token-1\"}",
     WHATSAPP_BODY, sign_meta, NULL},
    {"slack", "slack", "{}",
     "{\"app_id\":\"A0000000001\",\"team_id\":\"T0000000001\",\"bot_token\":"
     "\"xoxb-71828182845-90452353602-AbCdEfGhIjKlMnOp\",\"signing_secret\":"
     "\"8f742231b10e8888abcd99yyyzzz85a5\"}",
     SLACK_BODY, sign_slack, NULL},
    {"email, Postmark", "email",
     "{\"address\":\"support@shop.example\",\"inbound\":\"postmark\",\"smtp_host\":\"127.0.0.1\","
     "\"smtp_security\":\"none\"}",
     "{\"webhook_secret\":\"s3cret-of-the-webhook-01\"}", POSTMARK_BODY, sign_basic, NULL},
    {"email, Mailgun", "email",
     "{\"address\":\"support@shop.example\",\"inbound\":\"mailgun\",\"smtp_host\":\"127.0.0.1\","
     "\"smtp_security\":\"none\"}",
     "{\"webhook_secret\":\"s3cret-of-the-webhook-01\",\"signing_key\":\"key-1234567890abcdef\"}",
     MAILGUN_MAIL, sign_mailgun, complete_mailgun},
    {"email, SendGrid", "email",
     "{\"address\":\"support@shop.example\",\"inbound\":\"sendgrid\",\"smtp_host\":\"127.0.0.1\","
     "\"smtp_security\":\"none\"}",
     "{\"webhook_secret\":\"s3cret-of-the-webhook-01\"}", SENDGRID_MAIL(TEXT), sign_sendgrid, NULL},
    {"instagram", "instagram", "{}",
     "{\"instagram_account_id\":\"17841400000000001\",\"access_token\":"
     "\"IGAAtest0123456789abcdef\","
     "\"app_secret\":\"0123456789abcdef0123456789abcdef\",\"verify_token\":\"verify-token-1\"}",
     "{\"object\":\"instagram\",\"entry\":[{\"time\":1750000000124,\"id\":\"17841400000000001\","
     "\"messaging\":[{\"sender\":{\"id\":\"900100200300\"},\"recipient\":{\"id\":"
     "\"17841400000000001\"},\"timestamp\":1750000000123,\"message\":{\"mid\":"
     "\"aWdfZAG1faXRlbToxOklHTWVzc2FnZAUlEOjE3ODQxNDAwMDAwMDAwMDAxOjM0MDI4MjM2Njg0\",\"text\":"
     "\"" TEXT "\"}}]}]}",
     sign_meta, NULL},
    {"teams", "teams", "{}", "{\"app_id\":\"" APP "\",\"app_password\":\"pass-word-1\"}",
     TEAMS_BODY, sign_teams, NULL},
};

/* A driver that nobody measures is said to be none that is fast. */
static void
say_what_is_not_measured(void)
{
    for (size_t i = 0; channel_drivers_built_in[i] != NULL; i++) {
        const char *source = channel_drivers_built_in[i]->source;
        bool is_measured = false;

        for (size_t k = 0; k < sizeof samples / sizeof samples[0]; k++)
            is_measured = is_measured || strcmp(samples[k].source, source) == 0;
        if (!is_measured)
            printf("{\"name\":\"%s\"}\n", source);
    }
}

int
main(int argc, char **argv)
{
    static const struct http_route routes[] = {
        {.method = HTTP_POST, .pattern = "/hook", .handler = answer_hook},
        {.method = HTTP_GET, .pattern = "/metadata", .handler = answer_metadata},
        {.method = HTTP_GET, .pattern = "/keys", .handler = answer_keys}};
    const struct http_client_config http = {.allow_private_addresses = true};
    struct bench *bench = calloc(1, sizeof *bench);
    int64_t rounds = 201;
    struct err err;

    must(bench != NULL, "memory", NULL);
    must(argc < 2 ||
             (str_to_i64(str_from_c(argv[1]), &rounds) && rounds > 0 && rounds <= ROUNDS_MAX),
         "ROUNDS", NULL);
    const struct http_server_config config = {.listen = "127.0.0.1:0",
                                              .epoll_threads = 1,
                                              .workers = 3,
                                              .max_queued = 8,
                                              .max_connections = 16,
                                              .idle_timeout_s = 120,
                                              .max_body_bytes = 65536,
                                              .context = bench};
    bench->arena = arena_create((size_t)64 * ARENA_BYTES);
    bench->iterations = arena_create(ARENA_BYTES);
    bench->clock = clock_system();
    make_key(bench);
    must(http_client_create(&http, &bench->http, &err) == ST_OK, "a client", &err);
    bench->env = (struct channel_env){.http = bench->http,
                                      .clock = bench->clock,
                                      .public_url = STR("https://parley.example"),
                                      .openid = openid_create(bench->http, bench->clock)};
    must(channel_registry_create(&bench->env, NULL, channel_drivers_built_in, &bench->registry,
                                 &err) == ST_OK &&
             http_server_start(&config, routes, sizeof routes / sizeof routes[0], &bench->server,
                               &err) == ST_OK,
         "a server", &err);
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++)
        if (channel_driver_find(bench->registry, str_from_c(samples[i].source)) != NULL)
            run(bench, &samples[i], (unsigned)rounds);
    say_what_is_not_measured();
    http_server_stop(&bench->server, 5000);
    channel_registry_destroy(&bench->registry);
    openid_destroy(&bench->env.openid);
    http_client_destroy(&bench->http);
    gnutls_privkey_deinit(bench->key);
    free(bench->modulus);
    free(bench->exponent);
    arena_destroy(&bench->arena);
    arena_destroy(&bench->iterations);
    free(bench);
    return 0;
}
