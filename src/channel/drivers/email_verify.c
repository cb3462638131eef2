/*
 * email_verify.c - who delivered the webhook
 *
 *   all        the channel's webhook_secret, as the password of HTTP Basic or as ?secret=
 *   mailgun    that, and hex(HMAC-SHA256(signing key, timestamp + token)), which covers no body
 *   sendgrid   ECDSA (P-256, SHA-256) over timestamp + body, when its verification key was given:
 *              then the secret is not asked for. While keys are replaced the one before counts, too
 *   postmark   signs nothing: the secret alone
 *
 * The secret is looked at before a form is parsed, so that strangers reach no parser. A mailbox
 * takes no webhooks.
 */
#include "channel/drivers/email.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <sodium.h>
#include <string.h>

#include "channel/secrets.h"
#include "text/json.h"

#define TOLERANCE_US (15 * 60 * US_PER_S)
#define KEY_MAX_BYTES 512
#define SIGNATURE_MAX_BYTES 200

/* --- the secret --- */

/* The password of "Authorization: Basic ..."; in buffer. */
static struct str
basic_password(const struct http_request *request, char *buffer, size_t size)
{
    struct str value = http_request_header(request, "Authorization"), rest, user;
    size_t length = 0;

    if (!str_eq_nocase(str_sub(value, 0, 6), STR("Basic ")))
        return STR_EMPTY;
    value = str_trim(str_sub(value, 6, value.len));
    if (value.len == 0 ||
        sodium_base642bin((unsigned char *)buffer, size, value.ptr, value.len, NULL, &length, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0)
        return STR_EMPTY;
    rest = str_of(buffer, length);
    if (str_find_byte(rest, ':') < 0 || !str_split(&rest, ':', &user))
        return STR_EMPTY;
    return rest;
}

static bool
shows_secret(const struct channel_record *record, const struct http_request *request)
{
    char buffer[512];
    bool by_query = channel_secret_is(record, "webhook_secret", EMAIL_SECRET_MIN_LEN,
                                      http_request_query(request, "secret"));
    bool by_password = channel_secret_is(record, "webhook_secret", EMAIL_SECRET_MIN_LEN,
                                         basic_password(request, buffer, sizeof buffer));

    sodium_memzero(buffer, sizeof buffer);
    return by_query || by_password;
}

static bool
is_fresh(struct str timestamp, struct clock *clock)
{
    int64_t seconds, age_us;

    if (!str_to_i64(timestamp, &seconds) || seconds < 0 || seconds > INT64_MAX / US_PER_S)
        return false;
    age_us = clock_wall_us(clock) - seconds * US_PER_S;
    return age_us <= TOLERANCE_US && age_us >= -TOLERANCE_US;
}

/* --- Mailgun --- */

struct mailgun_proof {
    struct str timestamp, token, signature;
};

/* Of a form, or of the JSON of an event; what is absent stays empty. */
static void
read_mailgun_proof(const struct webhook *webhook, struct arena *arena, json_t **json_out,
                   struct mailgun_proof *proof)
{
    struct str type = http_request_header(webhook->request, "Content-Type");
    struct email_form form;
    struct err ignored;

    *json_out = NULL;
    if (str_starts_with(type, STR("application/json"))) {
        if (json_parse(webhook->body, json_out, &ignored) != ST_OK)
            return;
        const json_t *signature = json_get_object(*json_out, "signature");

        proof->timestamp = json_get_str(signature, "timestamp");
        proof->token = json_get_str(signature, "token");
        proof->signature = json_get_str(signature, "signature");
    } else if (email_form_read(type, webhook->body, arena, &form, &ignored) == ST_OK) {
        proof->timestamp = email_form_get(&form, "timestamp");
        proof->token = email_form_get(&form, "token");
        proof->signature = email_form_get(&form, "signature");
    }
}

static enum status
verify_mailgun(const struct channel_record *record, const struct webhook *webhook,
               struct clock *clock, struct err *err)
{
    struct mailgun_proof proof = {.token = STR_EMPTY};
    json_auto_t *root = NULL;

    read_mailgun_proof(webhook, webhook->request->arena, &root, &proof);
    const struct str pieces[] = {proof.timestamp, proof.token};
    const struct hmac_proof hmac = {.hash = HMAC_SHA256,
                                    .text = HMAC_HEX,
                                    .pieces = pieces,
                                    .piece_count = 2,
                                    .shown = proof.signature};
    if (proof.token.len == 0 ||
        !channel_secret_signed(record, "signing_key", EMAIL_SECRET_MIN_LEN, &hmac))
        return err_set(err, ST_DENIED, "wrong or missing signature of Mailgun");
    if (!is_fresh(proof.timestamp, clock))
        return err_set(err, ST_DENIED, "the signature of Mailgun is too old");
    return ST_OK;
}

/* --- SendGrid --- */

/* The present one, and the one before. */
static const char *const key_names[] = {"verification_key", "previous_verification_key"};
#define KEY_NAMES (sizeof key_names / sizeof key_names[0])

/* The key is a base64 SubjectPublicKeyInfo. NULL: it is none. */
static gnutls_pubkey_t
read_key(struct str text)
{
    unsigned char bytes[KEY_MAX_BYTES];
    size_t length = 0;
    gnutls_pubkey_t key = NULL;

    if (text.len == 0 || sodium_base642bin(bytes, sizeof bytes, text.ptr, text.len, "\r\n ",
                                           &length, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        return NULL;
    const gnutls_datum_t der = {bytes, (unsigned)length};

    if (gnutls_pubkey_init(&key) != 0)
        return NULL;
    if (gnutls_pubkey_import(key, &der, GNUTLS_X509_FMT_DER) != 0 ||
        gnutls_pubkey_get_pk_algorithm(key, NULL) != GNUTLS_PK_ECDSA) {
        gnutls_pubkey_deinit(key);
        return NULL;
    }
    return key;
}

enum status
email_verification_key_check(const json_t *credentials, struct err *err)
{
    for (size_t i = 0; i < KEY_NAMES; i++) {
        gnutls_pubkey_t key;

        if (json_object_get(credentials, key_names[i]) == NULL)
            continue;
        key = read_key(json_get_str(credentials, key_names[i]));
        if (key == NULL)
            return err_set(err, ST_INVALID, "%s must be SendGrid's public key, as it shows it",
                           key_names[i]);
        gnutls_pubkey_deinit(key);
    }
    return ST_OK;
}

static bool
is_signed(gnutls_pubkey_t key, struct str timestamp, struct str body, struct str signature)
{
    unsigned char digest[32], bytes[SIGNATURE_MAX_BYTES];
    size_t length = 0;
    gnutls_hash_hd_t hash;
    const gnutls_datum_t digest_datum = {digest, sizeof digest};

    if (signature.len == 0 ||
        sodium_base642bin(bytes, sizeof bytes, signature.ptr, signature.len, NULL, &length, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) != 0)
        return false;
    (void)gnutls_hash(hash, timestamp.ptr, timestamp.len);
    if (body.len > 0)
        (void)gnutls_hash(hash, body.ptr, body.len);
    gnutls_hash_deinit(hash, digest);
    const gnutls_datum_t signature_datum = {bytes, (unsigned)length};

    return gnutls_pubkey_verify_hash2(key, GNUTLS_SIGN_ECDSA_SHA256, 0, &digest_datum,
                                      &signature_datum) >= 0;
}

static bool
is_signed_by(const struct channel_record *record, const char *name, struct str timestamp,
             struct str body, struct str signature)
{
    gnutls_pubkey_t key = read_key(json_get_str(record->credentials, name));
    bool is_valid = key != NULL && is_signed(key, timestamp, body, signature);

    if (key != NULL)
        gnutls_pubkey_deinit(key);
    return is_valid;
}

static enum status
verify_sendgrid(const struct channel_record *record, const struct webhook *webhook,
                struct clock *clock, struct err *err)
{
    struct str timestamp =
        http_request_header(webhook->request, "X-Twilio-Email-Event-Webhook-Timestamp");
    struct str signature =
        http_request_header(webhook->request, "X-Twilio-Email-Event-Webhook-Signature");
    bool is_valid = false;

    for (size_t i = 0; timestamp.len > 0 && !is_valid && i < KEY_NAMES; i++)
        is_valid = is_signed_by(record, key_names[i], timestamp, webhook->body, signature);
    if (!is_valid)
        return err_set(err, ST_DENIED, "wrong or missing signature of SendGrid");
    if (!is_fresh(timestamp, clock))
        return err_set(err, ST_DENIED, "the signature of SendGrid is too old");
    return ST_OK;
}

enum status
email_verify(const struct channel_record *record, const struct webhook *webhook,
             const struct channel_env *env, struct err *err)
{
    enum email_inbound inbound = email_inbound_of(record);

    if (webhook->request == NULL)
        return err_set(err, ST_DENIED, "no request to verify");
    if (inbound == EMAIL_IMAP)
        return err_set(err, ST_DENIED, "this channel reads its mailbox and takes no webhooks");
    if (inbound == EMAIL_SENDGRID &&
        json_object_get(record->credentials, "verification_key") != NULL)
        return verify_sendgrid(record, webhook, env->clock, err);
    if (!shows_secret(record, webhook->request))
        return err_set(err, ST_DENIED, "wrong or missing webhook_secret");
    return inbound == EMAIL_MAILGUN ? verify_mailgun(record, webhook, env->clock, err) : ST_OK;
}
