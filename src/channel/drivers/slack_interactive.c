/*
 * slack_interactive.c - pressed buttons, chosen entries and slash commands become inbound items
 *
 * Slack has no id for a press: who, when and what together are one. A command is seen by nobody but
 * its sender, so outside of a direct conversation its answer goes there.
 */
#include "channel/drivers/slack.h"

#include "text/json.h"

#define ACTION_ID_MAX 255
#define TRIGGER_MAX 128

/* --- pressed and chosen --- */

static struct str
label_of(const json_t *action)
{
    const json_t *chosen = json_get_object(action, "selected_option");
    const json_t *text = json_get_object(chosen != NULL ? chosen : action, "text");

    return json_get_str(text, "text");
}

/* What stands behind the label; lists, dates and users have values of their own. */
static struct str
data_of(const json_t *action)
{
    static const char *const keys[] = {
        "value",         "selected_date",         "selected_time",
        "selected_user", "selected_conversation", "selected_channel"};
    struct str value = json_get_str(json_get_object(action, "selected_option"), "value");

    for (size_t i = 0; value.len == 0 && i < sizeof keys / sizeof keys[0]; i++)
        value = json_get_str(action, keys[i]);
    return value;
}

static void
set_interactive(struct slack_reading *reading, const json_t *action, struct str channel_id,
                struct str message_ts)
{
    json_t *interactive = json_object();
    struct str label = label_of(action), data = data_of(action);

    json_set_str(interactive, "type", json_get_str(action, "type"));
    json_set_str(interactive, "data", data.len > 0 ? data : label);
    json_set_str(interactive, "label", label.len > 0 ? label : data);
    if (message_ts.len > 0)
        json_set_str(interactive, "external_message_id",
                     slack_message_format(reading->slack, reading->arena, channel_id, message_ts));
    json_set(reading->item->metadata, "interactive", interactive);
    reading->item->text = slack_keep(reading, label.len > 0 ? label : data);
}

static struct str
thread_of(const json_t *payload, struct str channel_id, struct str message_ts)
{
    const json_t *container = json_get_object(payload, "container");
    struct str thread = json_get_str(container, "thread_ts");

    if (thread.len == 0)
        thread = json_get_str(json_get_object(payload, "message"), "thread_ts");
    if (thread.len == 0 && !slack_is_direct(channel_id, STR_EMPTY))
        thread = message_ts;
    return thread.len > 0 ? thread : STR("");
}

/* False: it is no press that somebody waits for an answer to. */
static bool
read_action(struct slack_reading *reading)
{
    struct inbound *item = reading->item;
    const json_t *payload = reading->body, *user = json_get_object(payload, "user");
    const json_t *action = json_array_get(json_get_array(payload, "actions"), 0);
    struct slack_chat chat = {.channel_id =
                                  json_get_str(json_get_object(payload, "channel"), "id")};
    struct str message_ts = json_get_str(json_get_object(payload, "container"), "message_ts");
    struct str user_id = json_get_str(user, "id"), when = json_get_str(action, "action_ts");
    struct str action_id = json_get_str(action, "action_id"), name = json_get_str(user, "name");
    int64_t ignored_us;

    chat.thread_ts = thread_of(payload, chat.channel_id, message_ts);
    if (!slack_id_is_valid(chat.channel_id) || !slack_id_is_valid(user_id) ||
        !slack_ts_read(when, &item->timestamp_us) || action_id.len == 0 ||
        action_id.len > ACTION_ID_MAX || label_of(action).len + data_of(action).len == 0 ||
        (chat.thread_ts.len > 0 && !slack_ts_read(chat.thread_ts, &ignored_us)) ||
        (message_ts.len > 0 && !slack_ts_read(message_ts, &ignored_us)))
        return false;
    item->external_message_id = arena_printf(
        reading->arena, "%.*s:%.*s:act:%.*s:%.*s:%.*s", STR_ARG(reading->slack->app_id),
        STR_ARG(reading->slack->team_id), STR_ARG(user_id), STR_ARG(when), STR_ARG(action_id));
    item->external_user_id = slack_keep(reading, user_id);
    item->external_chat_id = slack_chat_format(reading->arena, &chat);
    item->display_name = slack_keep(reading, name.len > 0 ? name : json_get_str(user, "username"));
    item->wants_answer = true;
    set_interactive(reading, action, chat.channel_id, message_ts);
    json_set_str(item->metadata, "raw_kind", STR("block_actions"));
    json_set_bool(item->metadata, "addressed", true);
    if (chat.thread_ts.len > 0)
        json_set_str(item->metadata, "thread", chat.thread_ts);
    return true;
}

enum status
slack_read_interaction(struct slack_reading *reading, struct err *err)
{
    struct str type = json_get_str(reading->body, "type");
    bool of_enterprise = reading->slack->team_id.ptr[0] == 'E';
    const json_t *origin = json_get_object(reading->body, of_enterprise ? "enterprise" : "team");
    struct str origin_id = json_get_str(origin, "id");
    enum status st = slack_check_origin(reading->slack, json_get_str(reading->body, "api_app_id"),
                                        origin_id, err);

    if (st == ST_OK && (type.len == 0 || origin_id.len == 0))
        st = err_set(err, ST_INVALID, "this is no interaction of Slack");
    if (st != ST_OK)
        return st;
    if (str_eq_c(type, "block_actions") && read_action(reading))
        return ST_OK;
    reading->item->external_user_id =
        slack_keep(reading, json_get_str(json_get_object(reading->body, "user"), "id"));
    json_set_str(reading->item->metadata, "raw_kind", type);
    slack_become_event(reading, "callback", STR_EMPTY);
    return ST_OK;
}

/* --- commands --- */

enum status
slack_read_command(struct slack_reading *reading, const struct form *form, struct err *err)
{
    struct inbound *item = reading->item;
    struct str user = form_get(form, "user_id"), channel_id = form_get(form, "channel_id");
    struct str command = form_get(form, "command"), text = str_trim(form_get(form, "text"));
    struct str trigger = form_get(form, "trigger_id");
    bool is_new = str_eq_c(command, "/new") || str_eq_c(command, "/reset"), mentions_us;
    bool of_enterprise = reading->slack->team_id.ptr[0] == 'E';
    struct str origin_id = form_get(form, of_enterprise ? "enterprise_id" : "team_id");
    enum status st =
        slack_check_origin(reading->slack, form_get(form, "api_app_id"), origin_id, err);

    if (st != ST_OK)
        return st;
    if (origin_id.len == 0 || !slack_id_is_valid(user) || !slack_id_is_valid(channel_id) ||
        trigger.len == 0 || trigger.len > TRIGGER_MAX)
        return err_set(err, ST_INVALID, "a command without workspace, user, channel or trigger_id");
    item->timestamp_us = clock_wall_us(reading->slack->base.env->clock);
    item->external_user_id = slack_keep(reading, user);
    item->external_chat_id =
        slack_keep(reading, slack_is_direct(channel_id, STR_EMPTY) ? channel_id : user);
    item->display_name = slack_keep(reading, form_get(form, "user_name"));
    item->text =
        slack_text_read(text.len > 0 ? text : command, STR_EMPTY, reading->arena, &mentions_us);
    json_set_str(item->metadata, "raw_kind", STR("command"));
    json_t *named = json_object();
    json_set_str(named, "name", str_sub(command, 1, command.len));
    json_set_str(named, "argument", text.len > 0 ? text : STR(""));
    json_set(item->metadata, "command", named);
    if (is_new && text.len == 0) {
        slack_become_event(reading, "new_conversation", trigger);
        return ST_OK;
    }
    item->external_message_id =
        arena_printf(reading->arena, "%.*s:%.*s:cmd:%.*s", STR_ARG(reading->slack->app_id),
                     STR_ARG(reading->slack->team_id), STR_ARG(trigger));
    item->wants_answer = true;
    item->starts_new_conversation = is_new;
    return ST_OK;
}
