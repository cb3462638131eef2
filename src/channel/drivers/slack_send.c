/*
 * slack_send.c - what the product asks of Slack: send, type, probe, fetch files
 *
 * A message carries its text, which Slack shows in notifications and wherever blocks are not shown;
 * with buttons or pictures it has blocks as well. When Slack refuses the blocks, the text is sent
 * by itself with the buttons as a list.
 */
#include "channel/drivers/slack.h"

#include <string.h>

#include "channel/markup.h"
#include "text/json.h"
#include "text/text.h"

#define SEND_DEADLINE_MS 20000
#define LOSSY_DEADLINE_MS 5000
#define MEDIA_DEADLINE_MS 60000
#define LOSSY_ARENA_BYTES ((size_t)1024 * 1024)
#define FORM_MAX_BYTES 1024
#define TEXT_MAX_BYTES ((size_t)64 * 1024)
#define SECTION_MAX_UNITS 3000
#define SECTION_SPLIT_UNITS 2000 /* with room for what escapes add */
#define BUTTONS_MAX 25
#define BUTTON_TEXT_MAX 75
#define BUTTON_VALUE_MAX 2000
#define SECTIONS_MAX 20

/* --- blocks --- */

static json_t *
text_object(const char *type, struct str text)
{
    json_t *object = json_object();

    json_set_str(object, "type", str_from_c(type));
    json_set_str(object, "text", text);
    return object;
}

/* False: a part came out longer than a section may be. */
static bool
add_sections(json_t *blocks, struct str text, struct arena *arena)
{
    struct str *parts;
    size_t count = markup_split(text, SECTION_SPLIT_UNITS, arena, &parts);

    for (size_t i = 0; i < count; i++) {
        struct str rendered = markup_render(parts[i], &slack_mrkdwn, arena, NULL);
        json_t *section = json_object();

        json_array_append_new(blocks, section);
        json_set_str(section, "type", STR("section"));
        json_set(section, "text", text_object("mrkdwn", rendered));
        if (text_utf16_len(rendered) > SECTION_MAX_UNITS)
            return false;
    }
    return count <= SECTIONS_MAX;
}

static void
add_images(json_t *blocks, const json_t *metadata)
{
    size_t i;
    json_t *attachment;

    json_array_foreach (json_get_array(metadata, "attachments"), i, attachment) {
        struct str url = json_get_str(attachment, "url"),
                   name = json_get_str(attachment, "file_name");

        if (url.len == 0 || !str_eq_c(json_get_str(attachment, "kind"), "image"))
            continue;
        json_t *image = json_object();
        json_array_append_new(blocks, image);
        json_set_str(image, "type", STR("image"));
        json_set_str(image, "image_url", url);
        json_set_str(image, "alt_text", name.len > 0 ? name : STR("image"));
    }
}

/* False: too many or too long for buttons. */
static bool
add_buttons(json_t *blocks, const json_t *metadata)
{
    const json_t *buttons = json_get_array(metadata, "buttons");
    json_t *actions, *elements, *button;
    size_t i;

    if (json_array_size(buttons) == 0)
        return true;
    if (json_array_size(buttons) > BUTTONS_MAX)
        return false;
    actions = json_object();
    elements = json_array();
    json_array_append_new(blocks, actions);
    json_set_str(actions, "type", STR("actions"));
    json_set(actions, "elements", elements);
    json_array_foreach (buttons, i, button) {
        struct str title = json_get_str(button, "title"), id = json_get_str(button, "id");
        struct str url = json_get_str(button, "url");
        json_t *element = json_object();
        char action_id[32];

        json_array_append_new(elements, element);
        (void)snprintf(action_id, sizeof action_id, "button_%zu", i);
        json_set_str(element, "type", STR("button"));
        json_set_str(element, "action_id", str_from_c(action_id));
        json_set(element, "text", text_object("plain_text", title));
        json_set_str(element, url.len > 0 ? "url" : "value", url.len > 0 ? url : id);
        if (title.len == 0 || text_utf16_len(title) > BUTTON_TEXT_MAX ||
            (id.len == 0) == (url.len == 0) || text_utf16_len(id) > BUTTON_VALUE_MAX)
            return false;
    }
    return true;
}

/* NULL: none are needed, or none would be taken. */
static json_t *
make_blocks(const struct outbound *outbound, struct arena *arena)
{
    json_t *blocks = json_array();
    const json_t *metadata = outbound->metadata;

    add_images(blocks, metadata);
    size_t images = json_array_size(blocks);
    bool has_buttons = json_array_size(json_get_array(metadata, "buttons")) > 0;

    json_array_clear(blocks);
    if ((images == 0 && !has_buttons) || outbound->part + 1 < outbound->part_count ||
        !add_sections(blocks, outbound->text, arena)) {
        json_decref(blocks);
        return NULL;
    }
    add_images(blocks, metadata);
    if (!add_buttons(blocks, metadata)) {
        json_decref(blocks);
        return NULL;
    }
    return blocks;
}

/* --- text --- */

/* Addresses of what blocks do not show. */
static struct str
with_attachments(struct str text, const json_t *metadata, bool images_are_shown,
                 struct arena *arena)
{
    size_t i;
    json_t *attachment;

    json_array_foreach (json_get_array(metadata, "attachments"), i, attachment) {
        struct str url = json_get_str(attachment, "url");
        bool is_image = str_eq_c(json_get_str(attachment, "kind"), "image");

        if (url.len > 0 && !(is_image && images_are_shown))
            text = arena_printf(arena, "%.*s%s%.*s", STR_ARG(text), text.len > 0 ? "\n" : "",
                                STR_ARG(url));
    }
    return text;
}

enum status
slack_add_content(json_t *parameters, const struct outbound *outbound, bool as_plain,
                  struct arena *arena, struct err *err)
{
    struct outbound whole = *outbound;
    bool is_last = outbound->part + 1 >= outbound->part_count;

    if (outbound->text.len > TEXT_MAX_BYTES)
        return err_set(err, ST_TOO_LARGE, "the message was not split into parts");
    if (is_last && !as_plain)
        whole.text = with_attachments(outbound->text, outbound->metadata, true, arena);
    json_t *blocks = as_plain ? NULL : make_blocks(&whole, arena);
    struct str text = outbound->text;

    if (is_last && blocks == NULL)
        text = channel_list_buttons(with_attachments(text, outbound->metadata, false, arena),
                                    outbound->metadata, arena);
    if (str_trim(text).len == 0 && blocks == NULL)
        return err_set(err, ST_INVALID, "the message is empty");
    if (blocks != NULL) {
        json_set(parameters, "blocks", blocks);
        text = markup_render(text, &markup_plain, arena, NULL);
        json_set_bool(parameters, "mrkdwn", false);
    } else {
        text = markup_render(text, &slack_mrkdwn, arena, NULL);
    }
    json_set_str(parameters, "text", text);
    return ST_OK;
}

/* --- sending --- */

struct posting {
    struct slack_channel *slack;
    const struct outbound *outbound;
    struct slack_chat chat;
    unsigned deadline_ms;
    bool as_plain, blocks_refused;
};

static enum status
post_once(struct posting *posting, struct arena *arena, json_t **answer_out, struct err *err)
{
    const struct outbound *outbound = posting->outbound;
    const struct slack_chat *chat = &posting->chat;
    json_auto_t *parameters = json_object();
    json_t *payload = json_object(), *metadata = json_object();

    json_set_str(payload, "id", ID_STR(outbound->message_id));
    json_set_int(payload, "part", outbound->part);
    json_set_str(metadata, "event_type", STR("parley_message"));
    json_set(metadata, "event_payload", payload);
    json_set(parameters, "metadata", metadata);
    json_set_str(parameters, "channel", chat->channel_id);
    if (chat->thread_ts.len > 0)
        json_set_str(parameters, "thread_ts", chat->thread_ts);
    json_set_bool(parameters, "unfurl_links", false);
    json_set_bool(parameters, "unfurl_media", false);
    enum status st = slack_add_content(parameters, outbound, posting->as_plain, arena, err);
    if (st == ST_OK)
        st = slack_call(posting->slack, "chat.postMessage", parameters, posting->deadline_ms, arena,
                        answer_out, &posting->blocks_refused, err);
    return st;
}

enum status
slack_post(struct slack_channel *slack, const struct outbound *outbound, unsigned deadline_ms,
           struct arena *arena, struct delivery *delivery_out, struct err *err)
{
    struct posting posting = {.slack = slack, .outbound = outbound, .deadline_ms = deadline_ms};
    json_t *answer = NULL;
    enum status st = slack_chat_parse(outbound->external_chat_id, &posting.chat, err);

    if (st == ST_OK)
        st = post_once(&posting, arena, &answer, err);
    if (st == ST_INVALID && posting.blocks_refused) {
        posting.as_plain = true;
        st = post_once(&posting, arena, &answer, err);
    }
    if (st == ST_OK) {
        struct str channel_id = json_get_str(answer, "channel"), ts = json_get_str(answer, "ts");
        int64_t when_us;

        if (slack_id_is_valid(channel_id) && slack_ts_read(ts, &when_us))
            delivery_out->external_message_id = slack_message_format(slack, arena, channel_id, ts);
        else
            st = err_set_detail(err, ST_UNCERTAIN, "slack accepted without a message's ts");
    }
    json_decref(answer);
    return st;
}

enum status
slack_send(struct channel *channel, const struct outbound *outbound, struct arena *arena,
           struct delivery *delivery_out, struct err *err)
{
    return slack_post(slack_of(channel), outbound, SEND_DEADLINE_MS, arena, delivery_out, err);
}

/* Slack shows it in assistants' threads alone, and takes it away with the answer. */
void
slack_typing(struct channel *channel, struct str external_chat_id)
{
    struct slack_chat chat;
    json_t *answer = NULL;
    struct err ignored;

    if (slack_chat_parse(external_chat_id, &chat, &ignored) != ST_OK || chat.thread_ts.len == 0 ||
        !slack_is_direct(chat.channel_id, STR_EMPTY))
        return;
    struct arena *arena = arena_create(LOSSY_ARENA_BYTES);
    json_auto_t *parameters = json_object();

    json_set_str(parameters, "channel_id", chat.channel_id);
    json_set_str(parameters, "thread_ts", chat.thread_ts);
    json_set_str(parameters, "status", STR("is typing..."));
    if (slack_call(slack_of(channel), "assistant.threads.setStatus", parameters, LOSSY_DEADLINE_MS,
                   arena, &answer, NULL, &ignored) == ST_OK)
        json_decref(answer);
    arena_destroy(&arena);
}

/* --- the account --- */

enum status
slack_probe(struct channel *channel, struct arena *arena, struct str *account_out, struct err *err)
{
    struct slack_channel *slack = slack_of(channel);
    struct buf nothing;
    json_t *answer = NULL;

    buf_init(&nothing, 1);
    enum status st = slack_read(slack, "auth.test", &nothing, arena, &answer, err);

    if (st == ST_OK) {
        struct str team = json_get_str(answer, "team_id");
        bool of_enterprise = slack->team_id.ptr[0] == 'E';

        if (of_enterprise)
            team = json_get_str(answer, "enterprise_id");
        if (!str_eq(team, slack->team_id))
            st = err_set(err, ST_INVALID, "bot_token is of the workspace %.*s, not of team_id",
                         STR_ARG(str_sub(team, 0, SLACK_ID_MAX)));
        slack_learn_user(slack, json_get_str(answer, "user_id"));
        *account_out = arena_printf(arena, "@%.*s in %.*s", STR_ARG(json_get_str(answer, "user")),
                                    STR_ARG(json_get_str(answer, "team")));
    }
    json_decref(answer);
    buf_deinit(&nothing);
    return st;
}

/* --- files --- */

/* From other workspaces' channels a file comes by its id alone. */
static enum status
find_url(struct slack_channel *slack, const json_t *attachment, struct arena *arena,
         struct str *url_out, struct err *err)
{
    struct str url = json_get_str(attachment, "url"), id = json_get_str(attachment, "file_id");
    json_t *answer = NULL;
    enum status st = ST_OK;

    *url_out = url;
    if (url.len > 0)
        return ST_OK;
    if (!slack_id_is_valid(id))
        return err_set(err, ST_INVALID, "the attachment has no file_id");
    struct buf form;

    buf_init(&form, FORM_MAX_BYTES);
    form_append(&form, "file", id);
    st = slack_read(slack, "files.info", &form, arena, &answer, err);
    buf_deinit(&form);
    if (st == ST_OK) {
        const json_t *file = json_get_object(answer, "file");

        url = json_get_str(file, "url_private_download");
        *url_out = arena_str(arena, url.len > 0 ? url : json_get_str(file, "url_private"));
        if (url_out->len == 0)
            st = err_set(err, ST_NOT_FOUND, "Slack has no address for this file");
    }
    json_decref(answer);
    return st;
}

/* Without the right to read files Slack shows its page for signing in, as a redirect or with 200.
 */
static enum status
sort_file(const struct http_reply *reply, struct str wanted_type, struct err *err)
{
    bool is_page = str_starts_with(reply->content_type, STR("text/html")) &&
                   !str_starts_with(wanted_type, STR("text/html"));

    if (reply->ended_by_sink)
        return err_set(err, ST_INVALID, "the file was not taken");
    if ((reply->status >= 300 && reply->status < 400) || reply->status == 401 ||
        reply->status == 403 || (reply->status == 200 && is_page))
        return err_set(err, ST_DENIED, "Slack refuses its files: is the scope files:read granted?");
    if (reply->status >= 200 && reply->status < 300)
        return ST_OK;
    if (reply->status == 404 || reply->status == 410)
        return err_set(err, ST_NOT_FOUND, "Slack has this file no longer");
    enum status st = reply->status == 429 ? ST_BUSY : ST_UNAVAILABLE;

    err_set_detail(err, st, "file: http %d", reply->status);
    err->retry_after_ms = reply->retry_after_ms > 0 ? reply->retry_after_ms
                          : st == ST_BUSY           ? 1000
                                                    : 0;
    return st;
}

enum status
slack_fetch_media(struct channel *channel, const json_t *attachment, const struct media_sink *sink,
                  struct arena *arena, struct str *mime_type_out, struct err *err)
{
    struct slack_channel *slack = slack_of(channel);
    struct str own = arena_printf(arena, "%.*s/", STR_ARG(slack->files_base));
    const struct http_header headers[] = {
        {.name = "Authorization", .value = str_from_c(slack->authorization)}};
    struct http_reply reply;
    struct str url;
    enum status st = find_url(slack, attachment, arena, &url, err);

    if (st != ST_OK)
        return st;
    /* Files of other services are only linked: the token is not theirs to see. */
    if (!str_starts_with(url, own))
        return err_set(err, ST_NOT_FOUND, "the file is not kept by Slack");
    const struct http_call call = {.method = "GET",
                                   .url = url,
                                   .headers = headers,
                                   .header_count = 1,
                                   .deadline_ms = MEDIA_DEADLINE_MS,
                                   .max_response_bytes = sink->max_bytes,
                                   .sink = sink->write,
                                   .sink_context = sink->context};

    st = http_client_call(channel->env->http, &call, arena, &reply, err);
    if (st == ST_UNCERTAIN)
        return err_set_detail(err, ST_UNAVAILABLE, "file: the answer was cut off");
    if (st == ST_OK)
        st = sort_file(&reply, json_get_str(attachment, "mime_type"), err);
    if (st == ST_OK)
        *mime_type_out = reply.content_type;
    return st;
}
