/*
 * tell.c - rows into the data of outgoing events: ids and states, texts apart
 */
#include "conversation/tell.h"

#include "text/json.h"

static void
set_time(json_t *data, const char *key, int64_t at_us)
{
    char text[32];

    if (at_us != 0)
        json_set_str(data, key, time_format_rfc3339(at_us, text));
}

/* None is left out. */
static void
set_id(json_t *data, const char *key, struct str id)
{
    if (id.len > 0)
        json_set_str(data, key, id);
}

static enum status
tell(struct store_tx *tx, enum event_kind kind, struct str affinity, const json_t *data,
     struct str text, struct err *err)
{
    const struct event_telling telling = {
        .kind = kind, .affinity = affinity, .data = data, .text = text};

    return events_tell(tx, &telling, NULL, err);
}

static enum status
tell_words(struct store_tx *tx, enum event_kind kind, const json_t *data,
           const struct message *message, struct err *err)
{
    const struct event_telling telling = {.kind = kind,
                                          .affinity = ID_STR(message->conversation_id),
                                          .data = data,
                                          .text = message->body,
                                          .message_id = message->id};

    return events_tell(tx, &telling, NULL, err);
}

enum status
tell_message(struct store_tx *tx, enum event_kind kind, struct message_id id, struct err *err)
{
    json_auto_t *data = NULL;
    struct message message;
    bool heard;
    enum status st = events_are_heard(tx, kind, &heard, err);

    if (st != ST_OK || !heard)
        return st;
    st = message_get(tx, id, store_tx_arena(tx), &message, err);
    if (st != ST_OK)
        return st;
    data = json_object();
    set_id(data, "message_id", ID_STR(message.id));
    set_id(data, "conversation_id", ID_STR(message.conversation_id));
    set_id(data, "contact_id", ID_STR(message.contact_id));
    set_id(data, "channel_id", ID_STR(message.channel_id));
    set_id(data, "user_id", ID_STR(message.user_id));
    json_set_str(data, "source", message.source);
    json_set_str(data, "role", message.role);
    json_set_int(data, "seq", message.seq);
    set_id(data, "external_message_id", message.external_message_id);
    if (message.delivery.len > 0)
        json_set_str(data, "delivery", message.delivery);
    set_time(data, "created_at", message.created_at_us);
    set_time(data, "deleted_at", message.deleted_at_us);
    return tell_words(tx, kind, data, &message, err);
}

enum event_kind
tell_delivery_kind(struct str state)
{
    static const struct {
        const char *state;
        enum event_kind kind;
    } kinds[] = {
        {"sent", EVENT_MESSAGE_SENT},           {"delivered", EVENT_MESSAGE_DELIVERED},
        {"read", EVENT_MESSAGE_READ},           {"failed", EVENT_MESSAGE_FAILED},
        {"uncertain", EVENT_MESSAGE_UNCERTAIN},
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (str_eq_c(state, kinds[i].state))
            return kinds[i].kind;
    return EVENT_KINDS;
}

enum status
tell_conversation(struct store_tx *tx, enum event_kind kind, struct conversation_id id,
                  struct err *err)
{
    json_auto_t *data = NULL;
    struct conversation conversation;
    bool heard;
    enum status st = events_are_heard(tx, kind, &heard, err);

    if (st != ST_OK || !heard)
        return st;
    st = conversation_get(tx, id, store_tx_arena(tx), &conversation, err);
    if (st != ST_OK)
        return st;
    data = json_object();
    set_id(data, "conversation_id", ID_STR(conversation.id));
    set_id(data, "contact_id", ID_STR(conversation.contact_id));
    set_id(data, "channel_id", ID_STR(conversation.channel_id));
    set_id(data, "user_id", ID_STR(conversation.user_id));
    json_set_str(data, "source", conversation.source);
    json_set_str(data, "conversation_status", conversation.status);
    json_set_bool(data, "hand_off_to_human", conversation.hand_off_to_human);
    return tell(tx, kind, ID_STR(conversation.id), data, STR_EMPTY, err);
}

enum status
tell_escalation(struct store_tx *tx, enum event_kind kind, struct escalation_id id, struct err *err)
{
    json_auto_t *data = NULL;
    struct escalation escalation;
    bool heard;
    enum status st = events_are_heard(tx, kind, &heard, err);

    if (st != ST_OK || !heard)
        return st;
    st = escalation_get(tx, id, store_tx_arena(tx), &escalation, err);
    if (st != ST_OK)
        return st;
    data = json_object();
    set_id(data, "escalation_id", ID_STR(escalation.id));
    set_id(data, "conversation_id", ID_STR(escalation.conversation_id));
    set_id(data, "message_id", ID_STR(escalation.message_id));
    json_set_str(data, "reason", escalation.reason);
    json_set_str(data, "status", escalation.status);
    set_id(data, "resolved_by", escalation.resolved_by);
    return tell(tx, kind, ID_STR(escalation.conversation_id), data, escalation.draft, err);
}

enum status
tell_contacts(struct store_tx *tx, enum event_kind kind, struct contact_id id,
              struct contact_id other, const char *how, struct err *err)
{
    json_auto_t *data = json_object();

    set_id(data, "contact_id", ID_STR(id));
    set_id(data, "other_contact_id", ID_STR(other));
    if (how != NULL)
        json_set_str(data, "linked_by", str_from_c(how));
    return tell(tx, kind, ID_STR(id), data, STR_EMPTY, err);
}
