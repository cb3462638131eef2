/*
 * whatsapp_send.c - what the product asks of WhatsApp: send, type, mark read, probe, register,
 * fetch
 *
 * Accepted is not delivered: states follow by webhook. The API has no idempotency key, so what was
 * sent without an answer is uncertain; so is a part of several messages of which only some left.
 */
#include "channel/drivers/whatsapp.h"

#include <sodium.h>
#include <string.h>

#include "channel/markup.h"
#include "text/json.h"

#define SEND_DEADLINE_MS 20000
#define LOSSY_DEADLINE_MS 5000
#define LOSSY_ARENA_BYTES (512 * 1024)
#define REGISTER_DEADLINE_MS 30000 /* Meta asks our address meanwhile */
#define SHA256_HEX_LEN 64

static struct str
messages_path(const struct whatsapp_channel *whatsapp, struct arena *arena)
{
    return arena_printf(arena, "%.*s/messages", STR_ARG(whatsapp->number_id));
}

/* --- sending --- */

size_t
whatsapp_split(struct channel *channel, struct str text, struct arena *arena,
               struct str **parts_out)
{
    (void)channel;
    return markup_split(text, WHATSAPP_TEXT_MAX_UNITS, arena, parts_out);
}

static struct str
wamid_of_answer(const json_t *answer)
{
    return json_get_str(json_array_get(json_get_array(answer, "messages"), 0), "id");
}

enum status
whatsapp_send(struct channel *channel, const struct outbound *outbound, struct arena *arena,
              struct delivery *delivery_out, struct err *err)
{
    struct whatsapp_channel *whatsapp = whatsapp_of(channel);
    struct whatsapp_messages messages;
    struct str wamid;
    enum status st = whatsapp_compose(whatsapp, outbound, arena, &messages, err);

    if (st != ST_OK)
        return st;
    st = meta_send(&whatsapp->account, messages_path(whatsapp, arena), messages.items,
                   messages.count, wamid_of_answer, arena, &wamid, err);
    if (st == ST_OK)
        delivery_out->external_message_id =
            arena_printf(arena, "%.*s:%.*s", STR_ARG(whatsapp->number_id), STR_ARG(wamid));
    whatsapp_messages_deinit(&messages);
    return st;
}

/* --- lossy calls: what fails is forgotten, the next one comes soon --- */

static void
mark_read(struct whatsapp_channel *whatsapp, struct str wamid, bool is_typing, struct arena *arena)
{
    json_auto_t *body = json_object();
    json_t *answer = NULL, *indicator = json_object();
    struct meta_error error;
    struct err ignored;

    json_set_str(body, "messaging_product", STR("whatsapp"));
    json_set_str(body, "status", STR("read"));
    json_set_str(body, "message_id", wamid);
    json_set_str(indicator, "type", STR("text"));
    if (is_typing)
        json_set(body, "typing_indicator", indicator);
    else
        json_decref(indicator);
    if (meta_call(&whatsapp->account, messages_path(whatsapp, arena), body, LOSSY_DEADLINE_MS,
                  arena, &answer, &error, &ignored) == ST_OK)
        json_decref(answer);
}

void
whatsapp_typing(struct channel *channel, struct str external_chat_id)
{
    struct whatsapp_channel *whatsapp = whatsapp_of(channel);
    struct arena *arena = arena_create(LOSSY_ARENA_BYTES);
    struct str wamid = whatsapp_heard_get(&whatsapp->heard, external_chat_id, arena);

    /* Groups have no indicator. */
    if (wamid.len > 0 && !str_starts_with(external_chat_id, STR("group:")))
        mark_read(whatsapp, wamid, true, arena);
    arena_destroy(&arena);
}

void
whatsapp_acknowledge(struct channel *channel, struct str acknowledge)
{
    struct arena *arena = arena_create(LOSSY_ARENA_BYTES);

    mark_read(whatsapp_of(channel), acknowledge, false, arena);
    arena_destroy(&arena);
}

/* --- the account --- */

enum status
whatsapp_probe(struct channel *channel, struct arena *arena, struct str *account_out,
               struct err *err)
{
    struct whatsapp_channel *whatsapp = whatsapp_of(channel);
    json_t *answer = NULL;
    struct meta_error ignored;
    struct str path = arena_printf(arena, "%.*s?fields=display_phone_number,verified_name",
                                   STR_ARG(whatsapp->number_id));
    enum status st =
        meta_call(&whatsapp->account, path, NULL, SEND_DEADLINE_MS, arena, &answer, &ignored, err);

    if (st != ST_OK)
        return st;
    struct str number = json_get_str(answer, "display_phone_number");
    struct str name = json_get_str(answer, "verified_name");

    if (number.len == 0)
        st = err_set(err, ST_INVALID, "phone_number_id names no phone number");
    else
        *account_out = arena_printf(arena, "%.*s (%.*s)", STR_ARG(number), STR_ARG(name));
    json_decref(answer);
    return st;
}

static enum status
call_plain(struct whatsapp_channel *whatsapp, struct str path, const json_t *body,
           struct arena *arena, struct err *err)
{
    json_t *answer = NULL;
    struct meta_error ignored;
    enum status st = meta_call(&whatsapp->account, path, body, REGISTER_DEADLINE_MS, arena, &answer,
                               &ignored, err);

    json_decref(answer);
    return st;
}

/* The number's own callback address, whatever the app has; the account's events go to the app once
 * it is subscribed. */
enum status
whatsapp_register(struct channel *channel, struct str url, struct err *err)
{
    struct whatsapp_channel *whatsapp = whatsapp_of(channel);
    struct arena *arena = arena_create(LOSSY_ARENA_BYTES);
    struct str waba = json_get_str(channel->record->settings, "waba_id");
    json_auto_t *nothing = json_object(), *body = json_object();
    json_t *configuration = json_object();
    enum status st = ST_OK;

    json_set_str(configuration, "override_callback_uri", url);
    json_set_str(configuration, "verify_token",
                 json_get_str(channel->record->credentials, "verify_token"));
    json_set(body, "webhook_configuration", configuration);
    if (waba.len > 0)
        st = call_plain(whatsapp, arena_printf(arena, "%.*s/subscribed_apps", STR_ARG(waba)),
                        nothing, arena, err);
    if (st == ST_OK)
        st = call_plain(whatsapp, whatsapp->number_id, body, arena, err);
    arena_destroy(&arena);
    return st;
}

/* Whatever address is registered: to an account whose events go to no app nothing is delivered.
 * What cannot be asked is not held against it. */
static bool
no_app_is_subscribed(struct whatsapp_channel *whatsapp, struct arena *arena)
{
    struct str waba = json_get_str(whatsapp->base.record->settings, "waba_id");
    json_auto_t *answer = NULL;
    struct meta_error ignored;
    struct err err;

    if (waba.len == 0 ||
        meta_call(&whatsapp->account, arena_printf(arena, "%.*s/subscribed_apps", STR_ARG(waba)),
                  NULL, SEND_DEADLINE_MS, arena, &answer, &ignored, &err) != ST_OK)
        return false;
    const json_t *apps = json_get_array(answer, "data");

    return apps != NULL && json_array_size(apps) == 0;
}

enum status
whatsapp_registered(struct channel *channel, struct arena *arena, struct str *url_out,
                    struct str *trouble_out, struct err *err)
{
    struct whatsapp_channel *whatsapp = whatsapp_of(channel);
    json_auto_t *answer = NULL;
    struct meta_error ignored;
    struct str path =
        arena_printf(arena, "%.*s?fields=webhook_configuration", STR_ARG(whatsapp->number_id));
    enum status st =
        meta_call(&whatsapp->account, path, NULL, SEND_DEADLINE_MS, arena, &answer, &ignored, err);
    const json_t *configuration = json_get_object(answer, "webhook_configuration");

    *trouble_out = STR("");
    if (st != ST_OK)
        return st;
    /* The nearest one counts: the number's, its account's, the app's. */
    *url_out = json_get_str(configuration, "phone_number");
    if (url_out->len == 0)
        *url_out = json_get_str(configuration, "whatsapp_business_account");
    if (url_out->len == 0)
        *url_out = json_get_str(configuration, "application");
    *url_out = arena_str(arena, *url_out);
    if (no_app_is_subscribed(whatsapp, arena))
        *trouble_out = STR("no app is subscribed to the WhatsApp Business account: nothing comes");
    return ST_OK;
}

enum status
whatsapp_template_state(struct channel *channel, const json_t *template, struct arena *arena,
                        struct str *words_out, struct err *err)
{
    struct whatsapp_channel *whatsapp = whatsapp_of(channel);
    struct str waba = json_get_str(channel->record->settings, "waba_id");
    struct str name = json_get_str(template, "name"), state = STR_EMPTY;
    struct str language = json_get_str(template, "language");
    json_auto_t *answer = NULL;
    struct meta_error ignored;
    const json_t *found;
    enum status st;
    size_t i;

    if (waba.len == 0) {
        *words_out = STR("give waba_id: then the window_template can be looked up");
        return ST_OK;
    }
    st = meta_call(&whatsapp->account,
                   arena_printf(arena,
                                "%.*s/message_templates?fields=name,language,status&name=%.*s",
                                STR_ARG(waba), STR_ARG(name)),
                   NULL, SEND_DEADLINE_MS, arena, &answer, &ignored, err);
    if (st != ST_OK)
        return st;
    json_array_foreach (json_get_array(answer, "data"), i, found) {
        if (str_eq(json_get_str(found, "name"), name) &&
            (language.len == 0 || str_eq(json_get_str(found, "language"), language)))
            state = json_get_str(found, "status");
    }
    if (state.len == 0)
        return err_set(err, ST_INVALID, "WhatsApp has no template %.*s in the language %.*s",
                       STR_ARG(name), STR_ARG(language));
    if (!str_eq_c(state, "APPROVED"))
        return err_set(err, ST_INVALID, "WhatsApp calls the template %.*s %.*s", STR_ARG(name),
                       STR_ARG(state));
    return ST_OK;
}

/* --- files --- */

/* Passes bytes on and takes their measure. */
struct hashing {
    const struct media_sink *sink;
    crypto_hash_sha256_state state;
};

static bool
hash_and_write(struct str bytes, void *context)
{
    struct hashing *hashing = context;

    (void)crypto_hash_sha256_update(&hashing->state, (const unsigned char *)bytes.ptr, bytes.len);
    return hashing->sink->write(bytes, hashing->sink->context);
}

static enum status
check_hash(struct hashing *hashing, struct str want, struct err *err)
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    char hex[SHA256_HEX_LEN + 1];

    (void)crypto_hash_sha256_final(&hashing->state, digest);
    sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
    if (want.len == SHA256_HEX_LEN && !str_eq_c(want, hex))
        return err_set_detail(err, ST_UNAVAILABLE, "the file is not the one that was sent");
    return ST_OK;
}

/* The id gives an address for five minutes; the address takes the same token. */
static enum status
find_file(struct whatsapp_channel *whatsapp, struct str id, size_t max_bytes, struct arena *arena,
          struct str *url_out, struct err *err)
{
    json_t *answer = NULL;
    struct meta_error error;
    struct str path =
        arena_printf(arena, "%.*s?phone_number_id=%.*s", STR_ARG(id), STR_ARG(whatsapp->number_id));
    enum status st =
        meta_call(&whatsapp->account, path, NULL, SEND_DEADLINE_MS, arena, &answer, &error, err);

    if (error.code == 100) /* no such object: ids of media end after seven days */
        return err_set(err, ST_NOT_FOUND, "WhatsApp has the file no longer");
    if (st != ST_OK)
        return st;
    int64_t size = json_get_int(answer, "file_size", 0);

    *url_out = arena_str(arena, json_get_str(answer, "url"));
    json_decref(answer);
    if (size < 0 || (uint64_t)size > max_bytes)
        return err_set(err, ST_TOO_LARGE, "the file has %lld bytes, over the limit",
                       (long long)size);
    if (url_out->len == 0)
        return err_set_detail(err, ST_UNAVAILABLE, "whatsapp gave no address for the file");
    return ST_OK;
}

enum status
whatsapp_fetch_media(struct channel *channel, const json_t *attachment,
                     const struct media_sink *sink, struct arena *arena, struct str *mime_type_out,
                     struct err *err)
{
    struct whatsapp_channel *whatsapp = whatsapp_of(channel);
    struct str id = json_get_str(attachment, "file_id"), url;
    struct hashing hashing = {.sink = sink};
    const struct media_sink hashing_sink = {
        .max_bytes = sink->max_bytes, .write = hash_and_write, .context = &hashing};

    *mime_type_out = STR_EMPTY;
    if (!meta_is_number(id, 64))
        return err_set(err, ST_INVALID, "the attachment has no valid file_id");
    enum status st = find_file(whatsapp, id, sink->max_bytes, arena, &url, err);
    if (st != ST_OK)
        return st;
    (void)crypto_hash_sha256_init(&hashing.state);
    st = meta_fetch(&whatsapp->account, url, true, &hashing_sink, arena, mime_type_out, err);
    return st == ST_OK ? check_hash(&hashing, json_get_str(attachment, "sha256"), err) : st;
}
