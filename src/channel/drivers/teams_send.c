/*
 * teams_send.c - what the product asks of Teams: send, type, probe, fetch what was attached
 *
 * Marked text goes as Teams' small XML, where everything but our own tags is escaped; should that
 * be refused, once more as plain text. Buttons are an Adaptive Card under the last part: a pressed
 * one comes back as a message with the button's words.
 */
#include <string.h>

#include "base/buf.h"
#include "channel/drivers/teams.h"
#include "channel/markup.h"
#include "text/json.h"
#include "text/text.h"

#define SEND_DEADLINE_MS 20000
#define LOSSY_DEADLINE_MS 5000
#define MEDIA_DEADLINE_MS 60000
#define LOSSY_ARENA_BYTES (1024 * 1024)
#define TEXT_MAX_BYTES (64 * 1024)
#define PATH_MAX_BYTES 4096
#define ACTIONS_EACH 6 /* Teams shows no more in one set */
#define BUTTONS_MAX 30
#define CARD_TYPE "application/vnd.microsoft.card.adaptive"

/* --- rendering --- */

static void
open_link(struct buf *out, struct str url)
{
    buf_append_c(out, "<a href=\"");
    markup_escape_html(out, url);
    buf_append_c(out, "\">");
}

static void
close_link(struct buf *out, struct str url)
{
    (void)url;
    buf_append_c(out, "</a>");
}

static const struct markup_style xml_style = {
    .bold = {"<b>", "</b>"},
    .italic = {"<i>", "</i>"},
    .code = {"<code>", "</code>"},
    .bullet = "\xe2\x80\xa2 ",
    .line_break = "<br/>",
    .text = markup_escape_html,
    .link_open = open_link,
    .link_close = close_link,
};

size_t
teams_split(struct channel *channel, struct str text, struct arena *arena, struct str **parts_out)
{
    (void)channel;
    return markup_split(text, TEAMS_TEXT_MAX_UNITS, arena, parts_out);
}

/* --- cards --- */

static json_t *
action_of(const json_t *button)
{
    struct str title = json_get_str(button, "title"), url = json_get_str(button, "url");
    json_t *action = json_object();

    json_set_str(action, "type", url.len > 0 ? STR("Action.OpenUrl") : STR("Action.Submit"));
    json_set_str(action, "title", title);
    if (url.len > 0) {
        json_set_str(action, "url", url);
        return action;
    }
    json_t *data = json_object(), *back = json_object(), *value = json_object();

    json_set_str(value, "id", json_get_str(button, "id"));
    json_set_str(back, "type", STR("messageBack"));
    json_set_str(back, "text", title);
    json_set_str(back, "displayText", title);
    json_set(back, "value", value);
    json_set_str(data, "id", json_get_str(button, "id"));
    json_set(data, "msteams", back);
    json_set(action, "data", data);
    return action;
}

static enum status
check_button(const json_t *button, struct err *err)
{
    bool has_id = json_get_str(button, "id").len > 0, has_url = json_get_str(button, "url").len > 0;

    if (json_get_str(button, "title").len == 0 || has_id == has_url)
        return err_set(err, ST_INVALID, "a button needs a title, and an id or a url");
    return ST_OK;
}

/* Sets of six, one under the other. */
static enum status
add_card(json_t *attachments, const json_t *buttons, struct err *err)
{
    json_t *card = json_object(), *content = json_object(), *body = json_array(), *actions = NULL;
    json_t *button;
    size_t i;

    json_array_append_new(attachments, card);
    json_set_str(card, "contentType", STR(CARD_TYPE));
    json_set(card, "content", content);
    json_set_str(content, "type", STR("AdaptiveCard"));
    json_set_str(content, "version", STR("1.4"));
    json_set(content, "body", body);
    json_array_foreach (buttons, i, button) {
        enum status st = check_button(button, err);

        if (st != ST_OK)
            return st;
        if (i % ACTIONS_EACH == 0) {
            json_t *set = json_object();

            actions = json_array();
            json_set_str(set, "type", STR("ActionSet"));
            json_set(set, "actions", actions);
            json_array_append_new(body, set);
        }
        json_array_append_new(actions, action_of(button));
    }
    return ST_OK;
}

/* --- media --- */

static bool
is_picture(const json_t *attachment)
{
    return str_starts_with(json_get_str(attachment, "mime_type"), STR("image/")) ||
           str_eq_c(json_get_str(attachment, "kind"), "image");
}

static void
add_picture(json_t *attachments, const json_t *attachment)
{
    struct str type = json_get_str(attachment, "mime_type");
    json_t *picture = json_object();

    json_set_str(picture, "contentType", type.len > 0 ? type : STR("image/*"));
    json_set_str(picture, "contentUrl", json_get_str(attachment, "url"));
    json_set_str(picture, "name", json_get_str(attachment, "file_name"));
    json_array_append_new(attachments, picture);
}

/* Files of other kinds a bot cannot post into every chat: a link can. */
static struct str
link_file(struct str text, const json_t *attachment, struct arena *arena)
{
    struct str name = json_get_str(attachment, "file_name");
    struct str url = json_get_str(attachment, "url");

    return arena_printf(arena, "%.*s%s[%.*s](%.*s)", STR_ARG(text), text.len > 0 ? "\n" : "",
                        STR_ARG(name.len > 0 ? name : url), STR_ARG(url));
}

/* --- activities --- */

static enum status
add_extras(const struct teams_sending *sending, json_t *activity, struct str *text, struct err *err)
{
    const struct outbound *outbound = sending->outbound;
    const json_t *buttons = json_get_array(outbound->metadata, "buttons");
    const json_t *files = json_get_array(outbound->metadata, "attachments");
    json_t *attachments, *one;
    enum status st = ST_OK;
    size_t i;

    if (outbound->part + 1 < outbound->part_count)
        return ST_OK;
    attachments = json_array();
    json_array_foreach (files, i, one) {
        if (json_get_str(one, "url").len == 0)
            st = err_set(err, ST_INVALID, "an attachment needs a url");
        else if (is_picture(one))
            add_picture(attachments, one);
        else
            *text = link_file(*text, one, sending->arena);
    }
    if (json_array_size(buttons) > BUTTONS_MAX)
        *text = channel_list_buttons(*text, outbound->metadata, sending->arena);
    else if (st == ST_OK && json_array_size(buttons) > 0)
        st = add_card(attachments, buttons, err);
    if (json_array_size(attachments) > 0)
        json_set(activity, "attachments", json_incref(attachments));
    json_decref(attachments);
    return st;
}

/* Only the first part of an answer points at what it answers, and only within its conversation. */
static void
add_reply(const struct teams_sending *sending, json_t *activity)
{
    const struct outbound *outbound = sending->outbound;
    struct str conversation_id, activity_id;
    struct str replied = outbound->reply_to_external_id.len > 0 ? outbound->reply_to_external_id
                                                                : outbound->answers_external_id;

    if (outbound->part > 0 || sending->activity_id.len > 0 || sending->stream_id.len > 0 ||
        !teams_message_parse(replied, &conversation_id, &activity_id) ||
        !str_eq(conversation_id, sending->chat.conversation_id))
        return;
    json_set_str(activity, "replyToId", activity_id);
}

static enum status
make_activity(struct teams_sending *sending, json_t *activity, struct err *err)
{
    struct str text = sending->outbound->text;
    json_t *from = json_object(), *conversation = json_object();
    enum status st;

    json_set_str(activity, "type", STR("message"));
    json_set_str(from, "id",
                 arena_printf(sending->arena, "28:%.*s", STR_ARG(sending->teams->app_id)));
    json_set(activity, "from", from);
    json_set_str(conversation, "id", sending->chat.conversation_id);
    json_set(activity, "conversation", conversation);
    add_reply(sending, activity);
    st = add_extras(sending, activity, &text, err);
    struct str xml = markup_render(text, &xml_style, sending->arena, &sending->has_marks);
    if (sending->has_marks && !sending->is_plain) {
        json_set_str(activity, "textFormat", STR("xml"));
        json_set_str(activity, "text", xml);
    } else {
        json_set_str(activity, "textFormat", STR("plain"));
        json_set_str(activity, "text", markup_render(text, &markup_plain, sending->arena, NULL));
    }
    return st;
}

struct str
teams_path_of(struct str conversation_id, struct str activity_id, struct arena *arena)
{
    struct buf path;
    struct str out;

    buf_init(&path, PATH_MAX_BYTES);
    buf_append_c(&path, "/v3/conversations/");
    buf_append_url_escaped(&path, conversation_id);
    buf_append_c(&path, "/activities");
    if (activity_id.len > 0) {
        buf_append_byte(&path, '/');
        buf_append_url_escaped(&path, activity_id);
    }
    out = arena_str(arena, buf_str(&path));
    buf_deinit(&path);
    return out;
}

static enum status
post_once(struct teams_sending *sending, json_t **answer_out, struct err *err)
{
    json_auto_t *activity = json_object();
    bool is_new = sending->activity_id.len == 0;
    const struct teams_call call = {
        .method = is_new ? "POST" : "PUT",
        .service_url = sending->chat.service_url,
        .path = teams_path_of(sending->chat.conversation_id, sending->activity_id, sending->arena),
        .body = activity,
        .deadline_ms = SEND_DEADLINE_MS,
    };
    enum status st = make_activity(sending, activity, err);

    if (sending->stream_id.len > 0)
        teams_mark_stream(activity, "final", sending->stream_id, 0);
    *answer_out = NULL;
    return st == ST_OK ? teams_call(sending->teams, &call, sending->arena, answer_out, err) : st;
}

enum status
teams_post(struct teams_sending *sending, json_t **answer_out, struct err *err)
{
    struct channel *channel = &sending->teams->base;
    enum status st = teams_chat_parse(channel->record->settings,
                                      sending->outbound->external_chat_id, &sending->chat, err);

    *answer_out = NULL;
    if (st == ST_OK && sending->outbound->text.len > TEXT_MAX_BYTES)
        st = err_set(err, ST_TOO_LARGE, "the message was not split into parts");
    if (st != ST_OK)
        return st;
    st = post_once(sending, answer_out, err);
    if (st == ST_INVALID && sending->has_marks) {
        sending->is_plain = true;
        st = post_once(sending, answer_out, err);
    }
    return st;
}

enum status
teams_send(struct channel *channel, const struct outbound *outbound, struct arena *arena,
           struct delivery *delivery_out, struct err *err)
{
    struct teams_sending sending = {
        .teams = teams_of(channel), .outbound = outbound, .arena = arena};
    json_t *answer = NULL;
    enum status st = teams_post(&sending, &answer, err);
    struct str id = json_get_str(answer, "id");

    if (st == ST_OK) {
        /* Accepted without an id (202): a name of ours, which no activity of theirs has. */
        if (!teams_id_is_valid(id) || str_find_byte(id, '|') >= 0)
            id = arena_printf(arena, "parley-%s-%u", outbound->message_id.id.text, outbound->part);
        delivery_out->external_message_id =
            teams_message_format(arena, sending.teams->app_id, sending.chat.conversation_id, id);
    }
    json_decref(answer);
    return st;
}

/* Lossy: what fails is forgotten, the next one comes soon. */
void
teams_typing(struct channel *channel, struct str external_chat_id)
{
    struct teams_chat chat;
    struct err ignored;
    json_t *answer = NULL;

    if (teams_chat_parse(channel->record->settings, external_chat_id, &chat, &ignored) != ST_OK)
        return;
    struct arena *arena = arena_create(LOSSY_ARENA_BYTES);
    json_auto_t *activity = json_object();
    const struct teams_call call = {.method = "POST",
                                    .service_url = chat.service_url,
                                    .path = teams_path_of(chat.conversation_id, STR_EMPTY, arena),
                                    .body = activity,
                                    .deadline_ms = LOSSY_DEADLINE_MS};

    json_set_str(activity, "type", STR("typing"));
    if (teams_call(teams_of(channel), &call, arena, &answer, &ignored) == ST_OK)
        json_decref(answer);
    arena_destroy(&arena);
}

/* --- the account --- */

/* A token shows that the password is right; keys, that messages can be proven. */
enum status
teams_probe(struct channel *channel, struct arena *arena, struct str *account_out, struct err *err)
{
    struct teams_channel *teams = teams_of(channel);
    struct openid_wanted wanted = teams_wanted(channel->record);
    struct str token;
    enum status st = teams_token(teams, STR_EMPTY, arena, &token, err);

    if (st == ST_OK)
        st = openid_prefetch(channel->env->openid, &wanted, err);
    if (st == ST_OK)
        *account_out = arena_printf(arena, "bot %.*s", STR_ARG(teams->app_id));
    return st;
}

/* --- what was attached --- */

struct streaming {
    const struct media_sink *sink;
    size_t given;
    bool is_too_large;
};

static bool
stream(struct str bytes, void *context)
{
    struct streaming *streaming = context;

    streaming->given += bytes.len;
    streaming->is_too_large = streaming->given > streaming->sink->max_bytes;
    return !streaming->is_too_large && streaming->sink->write(bytes, streaming->sink->context);
}

/* Our token goes to the connector's hosts and nowhere else: links to files carry a proof of their
 * own. */
enum status
teams_fetch_media(struct channel *channel, const json_t *attachment, const struct media_sink *sink,
                  struct arena *arena, struct str *mime_type_out, struct err *err)
{
    struct teams_channel *teams = teams_of(channel);
    struct str url = json_get_str(attachment, "url"), token = STR_EMPTY;
    bool is_connector = teams_url_is_of_service(channel->record->settings, url);
    struct streaming streaming = {.sink = sink};
    struct http_reply reply;
    enum status st = ST_OK;

    if (!is_connector && !str_starts_with(url, STR("https://")))
        return err_set(err, ST_INVALID, "the attachment has no https address");
    if (is_connector)
        st = teams_token(teams, STR_EMPTY, arena, &token, err);
    if (st != ST_OK)
        return st;
    const struct http_header header = {.name = "Authorization",
                                       .value = arena_printf(arena, "Bearer %.*s", STR_ARG(token))};
    const struct http_call call = {.method = "GET",
                                   .url = url,
                                   .url_is_secret = true,
                                   .headers = &header,
                                   .header_count = is_connector ? 1 : 0,
                                   .deadline_ms = MEDIA_DEADLINE_MS,
                                   .sink = stream,
                                   .sink_context = &streaming};
    st = http_client_call(channel->env->http, &call, arena, &reply, err);
    if (st == ST_UNCERTAIN)
        return err_set_detail(err, ST_UNAVAILABLE, "the attachment did not come to its end");
    if (st != ST_OK)
        return err_wrap(err, "teams attachment");
    if (streaming.is_too_large)
        return err_set(err, ST_TOO_LARGE, "the attachment is larger than %zu bytes",
                       sink->max_bytes);
    if (reply.ended_by_sink)
        return err_set(err, ST_INVALID, "the attachment was not taken");
    if (reply.status == 404 || reply.status == 410)
        return err_set(err, ST_NOT_FOUND, "Teams has the attachment no longer");
    if (reply.status != 200) {
        json_t *answer = NULL;

        st = teams_sort_answer(reply.status, STR_EMPTY, reply.retry_after_ms, &answer, err);
        return st == ST_OK ? err_set_detail(err, ST_UNAVAILABLE, "http %d", reply.status) : st;
    }
    *mime_type_out = reply.content_type;
    return ST_OK;
}
