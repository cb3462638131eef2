/*
 * view.c - one shape of a message for API answers and live events
 */
#include "conversation/view.h"

#include "text/json.h"

/* The web channel's external id is "<channel>:<visitor>:<client_message_id>". */
static struct str
client_message_id(const struct message *message)
{
    struct str rest = message->external_message_id;
    struct str channel, visitor;

    if (!str_eq_c(message->source, "web") || rest.len == 0)
        return STR_EMPTY;
    if (!str_split(&rest, ':', &channel) || !str_split(&rest, ':', &visitor))
        return STR_EMPTY;
    return rest;
}

/* Those that are kept: each is fetched by its number. */
static void
add_files(json_t *view, const json_t *attachments)
{
    static const char *const shown[] = {"kind", "mime_type", "file_name", "size_bytes"};
    json_t *files = json_array(), *attachment;
    size_t i;

    json_array_foreach (attachments, i, attachment) {
        json_t *file = NULL;

        if (json_get_str(attachment, "object").len == 0)
            continue;
        file = json_object();
        json_set_int(file, "number", (int64_t)i);
        for (size_t k = 0; k < sizeof shown / sizeof shown[0]; k++)
            if (json_object_get(attachment, shown[k]) != NULL)
                json_set(file, shown[k], json_incref(json_object_get(attachment, shown[k])));
        json_array_append_new(files, file);
    }
    if (json_array_size(files) > 0)
        json_set(view, "attachments", json_incref(files));
    json_decref(files);
}

json_t *
message_view(const struct message *message)
{
    json_t *view = json_object();
    json_t *metadata = NULL, *citations;
    char time[32];
    struct err err;

    json_set_str(view, "id", ID_STR(message->id));
    json_set_str(view, "conversation_id", ID_STR(message->conversation_id));
    json_set_int(view, "seq", message->seq);
    json_set_str(view, "role", message->role);
    json_set_str(view, "text", message->body);
    json_set_str(view, "created_at", time_format_rfc3339(message->created_at_us, time));
    json_set_str(view, "client_message_id", client_message_id(message));
    if (message->delivery.len > 0)
        json_set_str(view, "delivery", message->delivery);
    if (message->answers_to_seq > 0)
        json_set_int(view, "answers_to_seq", message->answers_to_seq);
    if (json_parse(message->metadata, &metadata, &err) == ST_OK) {
        citations = json_get_array(metadata, "citations");
        if (citations != NULL)
            json_set(view, "citations", json_incref(citations));
        add_files(view, json_get_array(metadata, "attachments"));
        json_decref(metadata);
    }
    return view;
}

struct str
chat_topic(struct channel_id channel_id, struct str external_chat_id, struct arena *arena)
{
    return arena_printf(arena, "chat:%s:%.*s", channel_id.id.text, STR_ARG(external_chat_id));
}

struct str
chat_lane(struct channel_id channel_id, struct str external_chat_id, struct arena *arena)
{
    return arena_printf(arena, "%s:%.*s", channel_id.id.text, STR_ARG(external_chat_id));
}

void
message_publish(struct live_hub *hub, const struct tenant_scope *scope,
                const struct message *message, struct arena *arena)
{
    json_auto_t *view = message_view(message);

    live_publish(hub, scope, chat_topic(message->channel_id, message->external_chat_id, arena),
                 STR("message"), json_text(view, arena));
}

void
chat_publish_reset(struct live_hub *hub, const struct tenant_scope *scope,
                   struct channel_id channel_id, struct str external_chat_id, struct arena *arena)
{
    live_publish(hub, scope, chat_topic(channel_id, external_chat_id, arena), STR("reset"),
                 STR("{}"));
}
