/*
 * twilio_send.c - what the product asks of Twilio: send, type, probe, register, fetch media
 *
 * Making a message knows no idempotency key: an answer that does not come is uncertain. What became
 * of a message is told to StatusCallback, the channel's own webhook. Buttons exist only within
 * templates there, so they are written as a list.
 */
#include "channel/drivers/twilio.h"

#include <string.h>

#include "channel/markup.h"
#include "text/json.h"

#define SEND_DEADLINE_MS 20000
#define LOSSY_DEADLINE_MS 5000
#define MEDIA_DEADLINE_MS 60000
#define LOSSY_ARENA_BYTES ((size_t)1024 * 1024)
#define FORM_MAX_BYTES ((size_t)64 * 1024)
#define TEXT_MAX_BYTES                                                                             \
    ((size_t)32 * 1024) /* 1600 units of text, with marks and a list to spare                      \
                         */
#define MMS_MEDIA_MAX 10
#define WHATSAPP_MEDIA_MAX 1
#define REDIRECTS_MAX 3
/* Of the connection to us: three more attempts within Twilio's 15 s, on any failure. */
#define CONNECTION_OVERRIDES "#rc=3&rp=all"

/* A GET changes nothing, so without an answer it is simply to be done again. */
static enum status
settle_reading(enum status st, struct err *err)
{
    if (st != ST_UNCERTAIN)
        return st;
    err_set(err, ST_UNAVAILABLE, "Twilio did not answer");
    return ST_UNAVAILABLE;
}

static struct str
account_url(const struct twilio_channel *twilio, struct arena *arena, const char *rest)
{
    return arena_printf(arena, "%.*s/2010-04-01/Accounts/%.*s%s", STR_ARG(twilio->api_base),
                        STR_ARG(twilio->account_sid), rest);
}

static struct str
with_prefix(const struct twilio_channel *twilio, struct str address, struct arena *arena)
{
    return arena_printf(arena, "%s%.*s", twilio->kind->prefix, STR_ARG(address));
}

/* --- what is sent --- */

struct sending {
    struct twilio_channel *twilio;
    const struct outbound *outbound;
    struct arena *arena;
    struct buf form;
};

/* template {name: the content's sid, parameters: [text, ...]}: the first is {{1}}. */
static enum status
add_template(struct sending *sending, const json_t *template, struct err *err)
{
    struct str name = json_get_str(template, "name");
    json_auto_t *variables = json_object();
    json_t *parameter;
    size_t i;

    if (!str_starts_with(name, STR("HX")) || name.len > 64)
        return err_set(err, ST_INVALID, "a template of Twilio is named by its content sid, HX...");
    json_array_foreach (json_get_array(template, "parameters"), i, parameter) {
        char key[24];

        (void)snprintf(key, sizeof key, "%zu", i + 1);
        if (!json_is_string(parameter))
            return err_set(err, ST_INVALID, "parameters of a template are texts");
        json_set(variables, key, json_incref(parameter));
    }
    form_append(&sending->form, "ContentSid", name);
    if (json_object_size(variables) > 0)
        form_append(&sending->form, "ContentVariables", json_text(variables, sending->arena));
    return ST_OK;
}

/* The first ones as media, the rest as addresses under the text. */
static struct str
add_media(struct sending *sending, struct str text)
{
    const json_t *attachments = json_get_array(sending->outbound->metadata, "attachments");
    size_t max = sending->twilio->kind->is_whatsapp ? WHATSAPP_MEDIA_MAX : MMS_MEDIA_MAX;
    size_t i, sent = 0;
    json_t *attachment;

    json_array_foreach (attachments, i, attachment) {
        struct str url = json_get_str(attachment, "url");

        if (url.len == 0)
            continue;
        if (sent++ < max)
            form_append(&sending->form, "MediaUrl", url);
        else
            text = arena_printf(sending->arena, "%.*s\n%.*s", STR_ARG(text), STR_ARG(url));
    }
    return text;
}

static enum status
add_content(struct sending *sending, struct err *err)
{
    const struct outbound *outbound = sending->outbound;
    const json_t *template = json_get_object(outbound->metadata, "template");
    struct str text = outbound->text;
    size_t before = sending->form.len;

    if (template != NULL)
        return add_template(sending, template, err);
    if (text.len > TEXT_MAX_BYTES)
        return err_set(err, ST_TOO_LARGE, "the message was not split into parts");
    if (outbound->part + 1 >= outbound->part_count) {
        text = channel_list_buttons(text, outbound->metadata, sending->arena);
        text = add_media(sending, text);
    }
    text =
        markup_render(text, sending->twilio->kind->is_whatsapp ? &markup_whatsapp : &markup_plain,
                      sending->arena, NULL);
    if (str_trim(text).len > 0) {
        form_append(&sending->form, "Body", text);
        if (!sending->twilio->kind->is_whatsapp)
            form_append(&sending->form, "SmartEncoded", STR("true"));
    }
    if (sending->form.len == before)
        return err_set(err, ST_INVALID, "the message has neither text nor media");
    return ST_OK;
}

static enum status
make_form(struct sending *sending, struct err *err)
{
    const struct twilio_channel *twilio = sending->twilio;
    struct buf *form = &sending->form;

    form_append(form, "To",
                with_prefix(twilio, sending->outbound->external_chat_id, sending->arena));
    if (twilio->from.len > 0)
        form_append(form, "From", with_prefix(twilio, twilio->from, sending->arena));
    if (twilio->service_sid.len > 0)
        form_append(form, "MessagingServiceSid", twilio->service_sid);
    struct str callback = twilio_webhook_url(twilio->base.record, twilio->base.env, sending->arena);
    if (callback.len > 0) /* what is told at this address is told of this part */
        form_append(form, "StatusCallback",
                    arena_printf(sending->arena, "%.*s?" TWILIO_REFERENCE "=%.*s",
                                 STR_ARG(callback),
                                 STR_ARG(channel_reference(sending->outbound, sending->arena))));
    enum status st = add_content(sending, err);
    return st == ST_OK ? buf_check(form, err) : st;
}

enum status
twilio_send(struct channel *channel, const struct outbound *outbound, struct arena *arena,
            struct delivery *delivery_out, struct err *err)
{
    struct sending sending = {.twilio = twilio_of(channel), .outbound = outbound, .arena = arena};
    json_t *answer = NULL;

    buf_init(&sending.form, FORM_MAX_BYTES);
    enum status st = make_form(&sending, err);
    if (st == ST_OK)
        st = twilio_call(sending.twilio, account_url(sending.twilio, arena, "/Messages.json"),
                         TWILIO_BY_KEY, buf_str(&sending.form), SEND_DEADLINE_MS, arena, &answer,
                         err);
    if (st == ST_OK) {
        struct str sid = json_get_str(answer, "sid");

        if (sid.len > 0)
            delivery_out->external_message_id = arena_printf(
                arena, "%.*s:%.*s", STR_ARG(sending.twilio->account_sid), STR_ARG(sid));
        else
            st = err_set_detail(err, ST_UNCERTAIN, "twilio accepted without a message's sid");
    }
    json_decref(answer);
    buf_deinit(&sending.form);
    return st;
}

/* --- typing --- */

void
twilio_typing(struct channel *channel, struct str external_chat_id)
{
    struct twilio_channel *twilio = twilio_of(channel);
    struct arena *arena = arena_create(LOSSY_ARENA_BYTES);
    struct str sid = twilio_last_message_copy(twilio, external_chat_id, arena);
    json_t *answer = NULL;
    struct err ignored;
    struct buf form;

    buf_init(&form, FORM_MAX_BYTES);
    form_append(&form, "messageId", sid);
    form_append(&form, "channel", STR("whatsapp"));
    if (sid.len > 0 &&
        twilio_call(
            twilio,
            arena_printf(arena, "%.*s/v2/Indicators/Typing.json", STR_ARG(twilio->messaging_base)),
            TWILIO_BY_KEY, buf_str(&form), LOSSY_DEADLINE_MS, arena, &answer, &ignored) == ST_OK)
        json_decref(answer);
    buf_deinit(&form);
    arena_destroy(&arena);
}

/* --- the account --- */

enum status
twilio_probe(struct channel *channel, struct arena *arena, struct str *account_out, struct err *err)
{
    struct twilio_channel *twilio = twilio_of(channel);
    struct str sender = twilio->from.len > 0 ? twilio->from : twilio->service_sid;
    json_t *account = NULL, *messages = NULL;

    /* The token is what proves webhooks, so it is asked about even where calls go by a key. */
    enum status st = twilio_call(twilio, account_url(twilio, arena, ".json"), TWILIO_BY_TOKEN,
                                 STR_EMPTY, SEND_DEADLINE_MS, arena, &account, err);
    if (st == ST_OK && !str_eq_c(json_get_str(account, "status"), "active"))
        st = err_set(err, ST_DENIED, "Twilio says that the account is not active");
    if (st == ST_OK && twilio->authorization != NULL &&
        strcmp(twilio->authorization, twilio->token_authorization) != 0)
        st = twilio_call(twilio, account_url(twilio, arena, "/Messages.json?PageSize=1"),
                         TWILIO_BY_KEY, STR_EMPTY, SEND_DEADLINE_MS, arena, &messages, err);
    if (st == ST_OK)
        *account_out = arena_printf(
            arena, "%.*s (%.*s)", STR_ARG(json_get_str(account, "friendly_name")), STR_ARG(sender));
    json_decref(account);
    json_decref(messages);
    return settle_reading(st, err);
}

/* The sid of the number in Twilio's list of that kind. ST_INVALID: it is not there. */
static enum status
find_number(struct twilio_channel *twilio, bool short_code, struct arena *arena,
            struct str *sid_out, struct str *url_out, struct err *err)
{
    json_t *answer = NULL;
    struct buf query;

    buf_init(&query, FORM_MAX_BYTES);
    form_append(&query, short_code ? "ShortCode" : "PhoneNumber", twilio->from);
    struct str rest =
        arena_printf(arena, "/%s.json?%.*s", short_code ? "SMS/ShortCodes" : "IncomingPhoneNumbers",
                     STR_ARG(buf_str(&query)));
    buf_deinit(&query);
    enum status st = twilio_call(twilio, account_url(twilio, arena, rest.ptr), TWILIO_BY_KEY,
                                 STR_EMPTY, SEND_DEADLINE_MS, arena, &answer, err);
    if (st == ST_OK) {
        const json_t *found = json_array_get(
            json_get_array(answer, short_code ? "short_codes" : "incoming_phone_numbers"), 0);

        *sid_out = arena_str(arena, json_get_str(found, "sid"));
        *url_out = arena_str(arena, json_get_str(found, "sms_url"));
        if (sid_out->len == 0)
            st = err_set(err, ST_INVALID, "the account has no number %.*s", STR_ARG(twilio->from));
    }
    json_decref(answer);
    return st;
}

enum status
twilio_register(struct channel *channel, struct str url, struct err *err)
{
    struct twilio_channel *twilio = twilio_of(channel);
    struct arena *arena = arena_create(LOSSY_ARENA_BYTES);
    bool by_service = twilio->service_sid.len > 0;
    bool short_code = !by_service && !str_starts_with(twilio->from, STR("+"));
    struct str own = json_get_str(channel->record->settings, "webhook_url");
    struct str sid = STR_EMPTY, target = STR_EMPTY, former = STR_EMPTY;
    json_t *answer = NULL;
    enum status st = ST_OK;
    struct buf form;

    if (own.len > 0)
        url = own;
    if (by_service) {
        target = arena_printf(arena, "%.*s/v1/Services/%.*s", STR_ARG(twilio->messaging_base),
                              STR_ARG(twilio->service_sid));
    } else {
        st = find_number(twilio, short_code, arena, &sid, &former, err);
        if (st == ST_OK)
            target = account_url(
                twilio, arena,
                arena_printf(arena, "/%s/%.*s.json",
                             short_code ? "SMS/ShortCodes" : "IncomingPhoneNumbers", STR_ARG(sid))
                    .ptr);
    }
    buf_init(&form, FORM_MAX_BYTES);
    form_append(&form, by_service ? "InboundRequestUrl" : "SmsUrl",
                arena_printf(arena, "%.*s" CONNECTION_OVERRIDES, STR_ARG(url)));
    form_append(&form, by_service ? "InboundMethod" : "SmsMethod", STR("POST"));
    if (st == ST_OK)
        st = twilio_call(twilio, target, TWILIO_BY_KEY, buf_str(&form), SEND_DEADLINE_MS, arena,
                         &answer, err);
    json_decref(answer);
    buf_deinit(&form);
    arena_destroy(&arena);
    return settle_reading(st, err);
}

/* WhatsApp's senders have an address of their own: Senders API, which is read only here because an
 * update replaces more than the address. ST_INVALID: ours is not among them; a sandbox never is. */
static enum status
find_sender(struct twilio_channel *twilio, struct arena *arena, struct str *url_out,
            struct err *err)
{
    struct str id = arena_printf(arena, "whatsapp:%.*s", STR_ARG(twilio->from));
    json_auto_t *answer = NULL;
    json_t *sender;
    size_t i;
    enum status st =
        twilio_call(twilio,
                    arena_printf(arena, "%.*s/v2/Channels/Senders?Channel=whatsapp&PageSize=1000",
                                 STR_ARG(twilio->messaging_base)),
                    TWILIO_BY_KEY, STR_EMPTY, SEND_DEADLINE_MS, arena, &answer, err);

    if (st != ST_OK)
        return st;
    json_array_foreach (json_get_array(answer, "senders"), i, sender) {
        const json_t *webhook = json_get_object(sender, "webhook");

        if (!str_eq(json_get_str(sender, "sender_id"), id))
            continue;
        *url_out = arena_str(arena, json_get_str(webhook, "callback_url"));
        return ST_OK;
    }
    return err_set(err, ST_INVALID, "the account has no WhatsApp sender %.*s",
                   STR_ARG(twilio->from));
}

enum status
twilio_registered(struct channel *channel, struct arena *arena, struct str *url_out,
                  struct str *trouble_out, struct err *err)
{
    struct twilio_channel *twilio = twilio_of(channel);
    struct str sid = STR_EMPTY;
    json_t *answer = NULL;
    enum status st;

    *trouble_out = STR("");
    if (twilio->service_sid.len > 0) {
        st =
            twilio_call(twilio,
                        arena_printf(arena, "%.*s/v1/Services/%.*s",
                                     STR_ARG(twilio->messaging_base), STR_ARG(twilio->service_sid)),
                        TWILIO_BY_KEY, STR_EMPTY, SEND_DEADLINE_MS, arena, &answer, err);
        *url_out = arena_str(arena, json_get_str(answer, "inbound_request_url"));
        json_decref(answer);
    } else if (twilio->kind->is_whatsapp) {
        st = find_sender(twilio, arena, url_out, err);
    } else {
        st = find_number(twilio, !str_starts_with(twilio->from, STR("+")), arena, &sid, url_out,
                         err);
    }
    return settle_reading(st, err);
}

/* --- media --- */

static enum status
sort_media(const struct http_reply *reply, bool at_twilio, struct err *err)
{
    if (reply->ended_by_sink)
        return err_set(err, ST_INVALID, "the media was not taken");
    if (reply->status >= 200 && reply->status < 300)
        return ST_OK;
    if (reply->status == 404 || reply->status == 410)
        return err_set(err, ST_NOT_FOUND, "Twilio has this media no longer");
    if (at_twilio && (reply->status == 401 || reply->status == 403))
        return err_set(err, ST_DENIED, "Twilio refuses the credentials for its media");
    enum status st = reply->status == 429 ? ST_BUSY : ST_UNAVAILABLE;

    err_set_detail(err, st, "media: http %d", reply->status);
    err->retry_after_ms = reply->retry_after_ms > 0 ? reply->retry_after_ms
                          : st == ST_BUSY           ? 1000
                                                    : 0;
    return st;
}

/* Twilio sends on to a signed address of its store, which must not see our credentials. */
enum status
twilio_fetch_media(struct channel *channel, const json_t *attachment, const struct media_sink *sink,
                   struct arena *arena, struct str *mime_type_out, struct err *err)
{
    struct twilio_channel *twilio = twilio_of(channel);
    struct str url = json_get_str(attachment, "url");
    struct str own = arena_printf(arena, "%.*s/", STR_ARG(twilio->api_base));
    const struct http_header headers[] = {
        {.name = "Authorization", .value = str_from_c(twilio->authorization)}};
    struct http_reply reply = {.status = 302, .location = url};
    enum status st = ST_OK;
    bool at_twilio = false;

    if (url.len == 0)
        return err_set(err, ST_INVALID, "the attachment has no address");
    for (int hop = 0; st == ST_OK && reply.status >= 300 && reply.status < 400; hop++) {
        if (hop > REDIRECTS_MAX || reply.location.len == 0)
            return err_set_detail(err, ST_UNAVAILABLE, "media: redirected without an end");
        at_twilio = hop == 0 && str_starts_with(url, own);
        const struct http_call call = {.method = "GET",
                                       .url = reply.location,
                                       .url_is_secret = !at_twilio,
                                       .headers = headers,
                                       .header_count = at_twilio ? 1 : 0,
                                       .deadline_ms = MEDIA_DEADLINE_MS,
                                       .max_response_bytes = sink->max_bytes,
                                       .sink = sink->write,
                                       .sink_context = sink->context};

        st = http_client_call(channel->env->http, &call, arena, &reply, err);
    }
    if (st == ST_UNCERTAIN)
        return err_set_detail(err, ST_UNAVAILABLE, "media: the answer was cut off");
    if (st == ST_OK)
        st = sort_media(&reply, at_twilio, err);
    if (st == ST_OK)
        *mime_type_out = reply.content_type;
    return st;
}
