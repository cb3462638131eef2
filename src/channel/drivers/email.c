/*
 * email.c - the e-mail driver: its table, settings and ids
 *
 * One channel is one address. Mails come from a mailbox that is polled (email_poll.c), or from a
 * provider that hands them over (Mailgun, SendGrid, Postmark), each with its proof: see
 * email_verify.c. Answers leave by SMTP.
 */
#include "channel/drivers/email.h"

#include <gmime/gmime.h>
#include <string.h>

#include "base/id.h"
#include "text/json.h"

#define NAME_MAX_BYTES 200
#define SECRET_MADE_BYTES 24
#define FOLDERS_MAX 8
#define FOLDER_MAX_BYTES 200
/* Clocks differ: a mail that came just before the channel is its own, too. */
#define SINCE_MARGIN_US (60 * US_PER_S)

static const char *const inbound_words[] = {"imap", "mailgun", "sendgrid", "postmark"};
static const char *const security_words[] = {"tls", "starttls", "none"};

static const char *const setting_keys[] = {"address",
                                           "name",
                                           "inbound",
                                           "use_reply_to",
                                           "smtp_host",
                                           "smtp_port",
                                           "smtp_security",
                                           "imap_host",
                                           "imap_port",
                                           "imap_security",
                                           "imap_folders",
                                           "imap_since",
                                           "oauth_token_url",
                                           "oauth_client_id",
                                           "oauth_scope",
                                           "authserv_id",
                                           NULL};
static const char *const credential_keys[] = {"username",
                                              "password",
                                              "smtp_username",
                                              "smtp_password",
                                              "webhook_secret",
                                              "previous_webhook_secret",
                                              "signing_key",
                                              "previous_signing_key",
                                              "verification_key",
                                              "previous_verification_key",
                                              "oauth_client_secret",
                                              "oauth_refresh_token",
                                              NULL};

/* --- settings --- */

/* Index of the word in the list of count, fallback when the key is absent, -1 when it is another.
 */
static int
read_word(const json_t *settings, const char *key, const char *const *words, int count,
          int fallback)
{
    struct str word = json_get_str(settings, key);

    if (json_object_get(settings, key) == NULL)
        return fallback;
    for (int i = 0; i < count; i++)
        if (str_eq_c(word, words[i]))
            return i;
    return -1;
}

enum email_inbound
email_inbound_of(const struct channel_record *record)
{
    int inbound = read_word(record->settings, "inbound", inbound_words, 4, EMAIL_IMAP);

    return inbound < 0 ? EMAIL_IMAP : (enum email_inbound)inbound;
}

static struct str
domain_of(struct str address)
{
    ptrdiff_t at = str_find_byte(address, '@');

    return at < 0 ? STR_EMPTY : str_sub(address, (size_t)at + 1, address.len);
}

static unsigned
default_port(const char *protocol, enum mail_security security)
{
    if (strcmp(protocol, "smtp") == 0)
        return security == MAIL_TLS ? 465 : security == MAIL_STARTTLS ? 587 : 25;
    return security == MAIL_TLS ? 993 : 143;
}

/* <protocol>_host, _port and _security. ST_INVALID. */
static enum status
read_server(const json_t *settings, const char *protocol, struct mail_server *server,
            struct err *err)
{
    char host_key[16], port_key[16], security_key[24];
    int security;
    int64_t port;

    (void)snprintf(host_key, sizeof host_key, "%s_host", protocol);
    (void)snprintf(port_key, sizeof port_key, "%s_port", protocol);
    (void)snprintf(security_key, sizeof security_key, "%s_security", protocol);
    server->host = json_get_str(settings, host_key);
    security = read_word(settings, security_key, security_words, 3, MAIL_TLS);
    if (!mail_host_is_valid(server->host))
        return err_set(err, ST_INVALID, "%s must be the name of the mail server", host_key);
    if (security < 0)
        return err_set(err, ST_INVALID, "%s must be \"tls\", \"starttls\" or \"none\"",
                       security_key);
    server->security = (enum mail_security)security;
    port = json_get_int(
        settings, port_key,
        json_object_get(settings, port_key) == NULL ? default_port(protocol, server->security) : 0);
    if (port < 1 || port > 65535)
        return err_set(err, ST_INVALID, "%s must be a whole number from 1 to 65535", port_key);
    server->port = (unsigned)port;
    return ST_OK;
}

/* No line breaks or NUL, so that it can stand in a header and in a login. */
static bool
is_line(struct str s, size_t max)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < ' ' || s.ptr[i] == 127)
            return false;
    return s.len <= max;
}

/* ST_INVALID: something of it is missing. */
static enum status
read_oauth(struct email_channel *email, const json_t *settings, const json_t *credentials,
           struct err *err)
{
    struct oauth_client *client = &email->oauth_client;

    *client = (struct oauth_client){
        .token_url = json_get_str(settings, "oauth_token_url"),
        .client_id = json_get_str(settings, "oauth_client_id"),
        .scope = json_get_str(settings, "oauth_scope"),
        .client_secret = json_get_str(credentials, "oauth_client_secret"),
        .refresh_token = json_get_str(credentials, "oauth_refresh_token"),
    };
    if (client->token_url.len == 0)
        return client->refresh_token.len == 0
                   ? ST_OK
                   : err_set(err, ST_INVALID, "oauth_token_url is missing: where tokens are given");
    if (!channel_is_api_base(client->token_url))
        return err_set(err, ST_INVALID, "oauth_token_url must be the address of a token endpoint");
    if (client->client_id.len == 0 || client->refresh_token.len == 0 || email->imap.user.len == 0)
        return err_set(err, ST_INVALID,
                       "oauth_client_id, oauth_refresh_token and username are needed with "
                       "oauth_token_url");
    if (email->imap.password.len > 0)
        return err_set(err, ST_INVALID, "either password or oauth_refresh_token, not both");
    return ST_OK;
}

/* Shared by check_spec and open: the record may be older than a rule. */
static enum status
read_settings(struct email_channel *email, const json_t *settings, const json_t *credentials,
              struct err *err)
{
    int inbound = read_word(settings, "inbound", inbound_words, 4, EMAIL_IMAP);
    enum status st;

    email->address = json_get_str(settings, "address");
    email->name = json_get_str(settings, "name");
    email->domain = domain_of(email->address);
    email->authserv_id = json_get_str(settings, "authserv_id");
    email->uses_reply_to = json_get_bool(settings, "use_reply_to", false);
    email->folders = json_get_array(settings, "imap_folders");
    if (!email_address_is_valid(email->address))
        return err_set(err, ST_INVALID, "address must be the mail address of this channel");
    if (!is_line(email->name, NAME_MAX_BYTES))
        return err_set(err, ST_INVALID, "name must be one line of at most %d bytes",
                       NAME_MAX_BYTES);
    if (json_object_get(settings, "authserv_id") != NULL && !mail_host_is_valid(email->authserv_id))
        return err_set(err, ST_INVALID,
                       "authserv_id must be the name that your mail server gives itself in "
                       "Authentication-Results");
    if (inbound < 0)
        return err_set(err, ST_INVALID,
                       "inbound must be \"imap\", \"mailgun\", \"sendgrid\" or \"postmark\"");
    email->inbound = (enum email_inbound)inbound;
    st = read_server(settings, "smtp", &email->smtp, err);
    if (st == ST_OK && email->inbound == EMAIL_IMAP)
        st = read_server(settings, "imap", &email->imap, err);
    if (st == ST_OK && json_object_get(settings, "imap_since") != NULL &&
        time_parse_rfc3339(json_get_str(settings, "imap_since"), &email->since_us, err) != ST_OK)
        return err_set(err, ST_INVALID, "imap_since must be a time, 2026-11-28T12:00:00Z");
    email->imap.user = json_get_str(credentials, "username");
    email->imap.password = json_get_str(credentials, "password");
    email->smtp.user = json_get_str(credentials, "smtp_username");
    email->smtp.password = json_get_str(credentials, "smtp_password");
    if (email->smtp.user.len == 0) {
        email->smtp.user = email->imap.user;
        email->smtp.password = email->imap.password;
    }
    return st == ST_OK ? read_oauth(email, settings, credentials, err) : st;
}

static enum status
check_types(const json_t *settings, const json_t *credentials, struct err *err)
{
    static const char *const text_keys[] = {"name", "oauth_token_url", "oauth_client_id",
                                            "oauth_scope", NULL};
    const json_t *reply_to = json_object_get(settings, "use_reply_to");
    const char *key;
    json_t *value;

    for (size_t i = 0; text_keys[i] != NULL; i++) {
        value = json_object_get(settings, text_keys[i]);
        if (value != NULL && (!json_is_string(value) ||
                              !is_line(json_get_str(settings, text_keys[i]), NAME_MAX_BYTES)))
            return err_set(err, ST_INVALID, "%s must be one line of text", text_keys[i]);
    }
    if (reply_to != NULL && !json_is_boolean(reply_to))
        return err_set(err, ST_INVALID, "use_reply_to must be true or false");
    json_object_foreach ((json_t *)(uintptr_t)credentials, key, value)
        if (!json_is_string(value) || !is_line(json_get_str(credentials, key), 4096))
            return err_set(err, ST_INVALID, "%.40s must be one line of text", key);
    return ST_OK;
}

/* What proves the deliveries of each kind; ST_INVALID names what is missing. */
static enum status
check_proof(const struct email_channel *email, const json_t *credentials, struct err *err)
{
    struct str previous = json_get_str(credentials, "previous_webhook_secret");

    if (email->inbound == EMAIL_IMAP)
        return email->imap.user.len > 0 &&
                       (email->imap.password.len > 0 || email->oauth_client.token_url.len > 0)
                   ? ST_OK
                   : err_set(err, ST_INVALID, "username and password of the mailbox are needed");
    if (json_get_str(credentials, "webhook_secret").len < EMAIL_SECRET_MIN_LEN ||
        (previous.ptr != NULL && previous.len < EMAIL_SECRET_MIN_LEN))
        return err_set(err, ST_INVALID, "webhook_secret must have at least %d characters",
                       EMAIL_SECRET_MIN_LEN);
    if (email->inbound == EMAIL_MAILGUN &&
        json_get_str(credentials, "signing_key").len < EMAIL_SECRET_MIN_LEN)
        return err_set(err, ST_INVALID, "signing_key must be Mailgun's HTTP webhook signing key");
    return ST_OK;
}

static void
make_secret(char out[2 * SECRET_MADE_BYTES + 1])
{
    unsigned char bytes[SECRET_MADE_BYTES];

    random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* Which mails are the channel's: by default those that come from now on. */
static enum status
complete_mailbox(json_t *settings, struct err *err)
{
    const json_t *folders = json_object_get(settings, "imap_folders");
    size_t i;
    json_t *folder;
    char now[32];

    if (folders != NULL && (!json_is_array(folders) || json_array_size(folders) == 0 ||
                            json_array_size(folders) > FOLDERS_MAX))
        return err_set(err, ST_INVALID, "imap_folders must be a list of 1 to %d names",
                       FOLDERS_MAX);
    json_array_foreach (folders, i, folder) {
        struct str name = str_of(json_string_value(folder), json_string_length(folder));

        if (name.len == 0 || !is_line(name, FOLDER_MAX_BYTES))
            return err_set(err, ST_INVALID, "imap_folders must be names of at most %d bytes",
                           FOLDER_MAX_BYTES);
    }
    if (json_object_get(settings, "imap_since") == NULL)
        json_set_str(settings, "imap_since",
                     time_format_rfc3339(clock_wall_us(clock_system()) - SINCE_MARGIN_US, now));
    return ST_OK;
}

static enum status
email_check_spec(struct channel_spec *spec, json_t *settings, json_t *credentials,
                 struct arena *arena, struct err *err)
{
    struct email_channel email = {.inbound = EMAIL_IMAP};
    enum status st = check_types(settings, credentials, err);

    if (st == ST_OK)
        st = read_settings(&email, settings, credentials, err);
    if (st == ST_OK && email.inbound != EMAIL_IMAP &&
        json_object_get(credentials, "webhook_secret") == NULL) {
        char secret[2 * SECRET_MADE_BYTES + 1];

        make_secret(secret);
        json_set_str(credentials, "webhook_secret", str_from_c(secret));
        explicit_bzero(secret, sizeof secret);
    }
    if (st == ST_OK && email.inbound == EMAIL_IMAP)
        st = complete_mailbox(settings, err);
    if (st == ST_OK)
        st = check_proof(&email, credentials, err);
    if (st == ST_OK)
        st = email_verification_key_check(credentials, err);
    if (st != ST_OK)
        return st;
    char *address = arena_cstr(arena, email.address);
    for (char *at = address; *at != '\0'; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at += 'a' - 'A';
    spec->account = str_from_c(address);
    return ST_OK;
}

/* --- opening --- */

static enum status
email_open(struct channel *channel, struct err *err)
{
    struct email_channel *email = email_of(channel);
    const struct channel_record *record = channel->record;
    enum status st = read_settings(email, record->settings, record->credentials, err);

    email->smtp.cancel = email->imap.cancel = channel->env->stopping;
    if (st == ST_OK)
        st = check_proof(email, record->credentials, err);
    if (st != ST_OK)
        return st;
    if (email->inbound == EMAIL_IMAP)
        email->box = email_box_create();
    if (email->oauth_client.token_url.len > 0) {
        email->oauth_client.http = channel->env->http;
        email->oauth_client.clock = channel->env->clock;
        email->oauth = oauth_create(&email->oauth_client);
    }
    return ST_OK;
}

static void
email_close(struct channel *channel)
{
    email_box_destroy(&email_of(channel)->box);
    oauth_destroy(&email_of(channel)->oauth);
}

static void
email_start(void)
{
    g_mime_init();
}

struct str
email_id_format(const struct email_channel *email, struct str message_id, struct arena *arena)
{
    return arena_printf(arena, "%.*s:%.*s", STR_ARG(email->base.record->account),
                        STR_ARG(message_id));
}

struct str
email_own_id(const struct email_channel *email, const struct outbound *outbound,
             struct arena *arena)
{
    return arena_printf(arena, "parley.%s.%u@%.*s", outbound->message_id.id.text, outbound->part,
                        STR_ARG(email->domain));
}

void
email_note_about(const struct email_channel *email, struct str message_id, struct inbound *item,
                 struct arena *arena)
{
    struct str rest = message_id, word, id, part;

    if (message_id.len == 0)
        return;
    item->about_external_message_id = email_id_format(email, message_id, arena);
    /* As email_own_id makes it. */
    if (str_split(&rest, '.', &word) && str_eq_c(word, "parley") && str_split(&rest, '.', &id) &&
        str_split(&rest, '@', &part))
        item->reference = arena_printf(arena, "%.*s:%.*s", STR_ARG(id), STR_ARG(part));
}

/* Every provider has its own way of carrying the secret. */
static const char *
email_setup(const struct channel_record *record)
{
    struct str inbound = json_get_str(record->settings, "inbound");

    if (str_eq_c(inbound, "mailgun"))
        return "at Mailgun, Receiving, make a route that forwards to this, with the channel's "
               "webhook_secret in place of SECRET:\n  {url}?secret=SECRET";
    if (str_eq_c(inbound, "sendgrid"))
        return "at SendGrid, Settings, enter this in Inbound Parse and in Event Webhook, with the "
               "channel's webhook_secret in place of SECRET:\n  {url}?secret=SECRET";
    return "at Postmark, enter this at the inbound stream and at the Delivery, Bounce and Spam "
           "Complaint webhooks, with parley:SECRET@ in front of the host, where SECRET is the "
           "channel's webhook_secret:\n  {url}";
}

const struct channel_driver channel_driver_email = {
    .source = "email",
    .caps = CHANNEL_REPORTS_DELIVERY | CHANNEL_CAN_POLL | CHANNEL_CARRIES_MEDIA |
            CHANNEL_SENDS_MEDIA | CHANNEL_ENCLOSES | CHANNEL_FINDS,
    .size = sizeof(struct email_channel),
    .burst_window_ms = 2000,
    .setting_keys = setting_keys,
    .credential_keys = credential_keys,
    .start = email_start,
    .check_spec = email_check_spec,
    .open = email_open,
    .close = email_close,
    .verify = email_verify,
    .parse = email_parse,
    .split = email_split,
    .send = email_send,
    .probe = email_probe,
    .find = email_find,
    .setup = email_setup,
    .poll = email_poll,
    .is_polled = email_is_polled,
    .read_carried = email_read_carried,
    .renew_credentials = email_renew_credentials,
    .inherit = email_inherit,
};
