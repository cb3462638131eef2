/*
 * delivery.c - reports of providers, matched with what was sent by the provider's id
 */
#include "conversation/delivery.h"

#include "conversation/conversation_sql.h"
#include "conversation/delivery_sql.h"
#include "conversation/tell.h"
#include "conversation/envelope.h"
#include "text/json.h"

#define PARTS_ROOM 8
#define REASON_MAX_BYTES 300

static const struct {
    const char *name;
    int rank; /* as DELIVERY_RANK has it */
} states[] = {[DELIVERY_SENT] = {"sent", 1},
              [DELIVERY_FAILED] = {"failed", 2},
              [DELIVERY_WINDOW_CLOSED] = {"window_closed", 2},
              [DELIVERY_DELIVERED] = {"delivered", 3},
              [DELIVERY_READ] = {"read", 4}};

struct str
delivery_state_name(enum delivery_state state)
{
    return str_from_c(states[state].name);
}

/* DELIVERY_NONE: it has not left, or nobody knows. */
static enum delivery_state
state_of(struct str name)
{
    for (int i = DELIVERY_SENT; i <= DELIVERY_WINDOW_CLOSED; i++)
        if (str_eq_c(name, states[i].name))
            return (enum delivery_state)i;
    return DELIVERY_NONE;
}

enum status
delivery_list(struct store_tx *tx, struct message_id message_id, struct arena *arena,
              struct delivery_part **parts_out, size_t *count_out, struct err *err)
{
    struct store_rows *rows = NULL;
    size_t room = 0;
    enum status st = store_query(tx, &SQL_DELIVERY_PARTS, ARGS(sv_id(message_id)), &rows, err);

    *parts_out = NULL;
    *count_out = 0;
    if (st != ST_OK)
        return st;
    while (store_rows_next(rows)) {
        if (*count_out == room) {
            struct delivery_part *more =
                ARENA_NEW_N(arena, struct delivery_part, room == 0 ? PARTS_ROOM : 2 * room);

            for (size_t i = 0; i < room; i++)
                more[i] = (*parts_out)[i];
            *parts_out = more;
            room = room == 0 ? PARTS_ROOM : 2 * room;
        }
        (*parts_out)[(*count_out)++] = (struct delivery_part){
            .part = store_col_int(rows, 0),
            .state = arena_str(arena, store_col_text(rows, 1)),
            .external_message_id = arena_str(arena, store_col_text(rows, 2)),
            .reason = arena_str(arena, store_col_text(rows, 3)),
            .updated_at_us = store_col_int(rows, 4),
        };
    }
    return store_rows_close(&rows, err);
}

static enum status
move_part(struct store_tx *tx, struct message_id message_id, int64_t part,
          enum delivery_state state, struct str reason, int64_t now_us, bool *moved_out,
          struct err *err)
{
    int64_t changed = 0;
    enum status st =
        store_exec(tx, &SQL_DELIVERY_REPORTED,
                   ARGS(sv_id(message_id), sv_int(part), sv_text(str_from_c(states[state].name)),
                        sv_text(reason), sv_int(now_us), sv_int(states[state].rank)),
                   &changed, err);

    *moved_out = changed > 0;
    return st;
}

/* What holds for all parts; DELIVERY_NONE while one of them has not left. */
static enum delivery_state
state_of_all(const struct delivery_part *parts, size_t count)
{
    enum delivery_state least = DELIVERY_READ;
    bool failed = false, window_closed = false;
    size_t counted = 0;

    for (size_t i = 0; i < count; i++) {
        enum delivery_state state = state_of(parts[i].state);

        if (str_eq_c(parts[i].state, DELIVERY_REPLACED))
            continue;
        if (state == DELIVERY_NONE)
            return DELIVERY_NONE;
        counted++;
        failed = failed || state == DELIVERY_FAILED;
        window_closed = window_closed || state == DELIVERY_WINDOW_CLOSED;
        if (states[state].rank < states[least].rank)
            least = state;
    }
    if (counted == 0)
        return DELIVERY_NONE;
    return window_closed ? DELIVERY_WINDOW_CLOSED : failed ? DELIVERY_FAILED : least;
}

static struct str
stamp(struct str envelope, const char *step, int64_t at_us, struct arena *arena)
{
    json_auto_t *json = NULL;
    struct err ignored;

    if (json_parse(envelope, &json, &ignored) != ST_OK ||
        envelope_stamp(json, step, at_us, &ignored) != ST_OK)
        return STR_EMPTY; /* messages of people begin without an envelope */
    return json_text(json, arena);
}

static enum status
lock_message(struct store_tx *tx, struct message_id id, struct message *message_out,
             struct err *err)
{
    struct store_rows *rows = NULL;
    struct arena *arena = store_tx_arena(tx);
    enum status st = store_query_one(tx, &SQL_DELIVERY_MESSAGE, ARGS(sv_id(id)), &rows, err);

    if (st != ST_OK)
        return st;
    *message_out = (struct message){
        .id = id,
        .conversation_id = STORE_COL_ID(rows, 0, conversation_id),
        .delivery = arena_str(arena, store_col_text(rows, 1)),
        .envelope = arena_str(arena, store_col_text(rows, 2)),
    };
    return store_rows_close(&rows, err);
}

/* message is locked. */
static enum status
settle(struct store_tx *tx, const struct message *message, int64_t at_us,
       struct delivery_change *change, struct err *err)
{
    struct arena *arena = store_tx_arena(tx);
    struct delivery_part *parts;
    enum delivery_state state;
    const char *name;
    size_t count;
    enum status st = delivery_list(tx, message->id, arena, &parts, &count, err);

    if (st != ST_OK)
        return st;
    state = state_of_all(parts, count);
    if (state == DELIVERY_NONE || state_of(message->delivery) == DELIVERY_NONE ||
        state_of(message->delivery) == state)
        return ST_OK;
    if (state == DELIVERY_WINDOW_CLOSED) {
        if (state_of(message->delivery) != DELIVERY_FAILED) /* else it was dealt with */
            change->window_closed = message->id;
        return ST_OK;
    }
    name = states[state].name;
    st = store_exec(tx, &SQL_MESSAGE_REPORTED,
                    ARGS(sv_id(message->id), sv_text(str_from_c(name)),
                         sv_text(stamp(message->envelope, name, at_us, arena))),
                    NULL, err);
    if (st == ST_OK)
        st = tell_message(tx, tell_delivery_kind(str_from_c(name)), message->id, err);
    if (st == ST_OK && state == DELIVERY_FAILED)
        st = conversation_set_status(tx, message->conversation_id, STATUS_FAILED, err);
    *change = (struct delivery_change){message->id, message->conversation_id, name, {{""}}, {{""}}};
    return st;
}

enum status
delivery_settle(struct store_tx *tx, struct message_id message_id, int64_t at_us,
                struct delivery_change *change_out, struct err *err)
{
    struct message message;
    enum status st = lock_message(tx, message_id, &message, err);

    *change_out = (struct delivery_change){.delivery = NULL};
    return st == ST_OK ? settle(tx, &message, at_us, change_out, err) : st;
}

enum status
delivery_note_part(struct store_tx *tx, struct channel_id channel_id, struct message_id message_id,
                   int64_t part, struct str external_message_id, int64_t now_us, struct err *err)
{
    struct store_rows *rows = NULL;
    enum delivery_state state;
    struct str reason;
    bool moved;
    enum status st = store_query_one(tx, &SQL_RECEIPT_KNOWN,
                                     ARGS(sv_id(channel_id), sv_text(external_message_id),
                                          sv_id(message_id), sv_int(part), sv_int(now_us)),
                                     &rows, err);

    if (st != ST_OK)
        return st;
    state = state_of(store_col_text(rows, 0));
    reason = arena_str(store_tx_arena(tx), store_col_text(rows, 1));
    st = store_rows_close(&rows, err);
    if (st == ST_OK && state != DELIVERY_SENT && state != DELIVERY_NONE)
        st = move_part(tx, message_id, part, state, reason, now_us, &moved, err);
    return st;
}

/* The receipt's row, and by it what the report is about: none for what was not sent by us, or not
 * recorded yet. */
static enum status
put_report(struct store_tx *tx, const struct channel_record *channel, const struct inbound *inbound,
           struct str reason, int64_t now_us, struct message_id *message_out, int64_t *part_out,
           struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st =
        store_query_one(tx, &SQL_RECEIPT_REPORT,
                        ARGS(sv_id(channel->id), sv_text(inbound->about_external_message_id),
                             sv_text(str_from_c(states[inbound->delivery_state].name)),
                             sv_text(reason), sv_int(now_us)),
                        &rows, err);

    if (st != ST_OK)
        return st;
    *message_out = STORE_COL_ID(rows, 0, message_id);
    *part_out = store_col_int(rows, 1);
    return store_rows_close(&rows, err);
}

enum status
delivery_replace(struct store_tx *tx, const struct message *message, struct str metadata,
                 int64_t now_us, struct err *err)
{
    enum status st =
        store_exec(tx, &SQL_DELIVERY_REPLACE, ARGS(sv_id(message->id), sv_int(now_us)), NULL, err);

    if (st != ST_OK)
        return st;
    return store_exec(
        tx, &SQL_MESSAGE_REPLACE,
        ARGS(sv_id(message->id), sv_text(metadata),
             sv_text(stamp(message->envelope, "window_closed", now_us, store_tx_arena(tx)))),
        NULL, err);
}

enum status
delivery_fail(struct store_tx *tx, const struct message *message, const char *step, int64_t now_us,
              struct err *err)
{
    enum status st =
        store_exec(tx, &SQL_MESSAGE_REPORTED,
                   ARGS(sv_id(message->id), sv_text(STR("failed")),
                        sv_text(stamp(message->envelope, step, now_us, store_tx_arena(tx)))),
                   NULL, err);

    if (st == ST_OK)
        st = tell_message(tx, tell_delivery_kind(STR("failed")), message->id, err);
    return st == ST_OK ? conversation_set_status(tx, message->conversation_id, STATUS_FAILED, err)
                       : st;
}

/* "<message id>:<part>" */
static bool
read_reference(struct str reference, struct message_id *message_out, int64_t *part_out)
{
    struct str rest = reference, id;
    struct err ignored;

    return str_split(&rest, ':', &id) && rest.ptr != NULL && str_to_i64(rest, part_out) &&
           *part_out >= 0 && ID_PARSE(id, message_out, &ignored) == ST_OK;
}

/* The provider gives back our own reference of a part: whatever we knew of it, it has left. Before
 * the receipt's row is touched, in the order in which a sender locks the two. */
static enum status
reconcile(struct store_tx *tx, const struct channel_record *channel, const struct inbound *inbound,
          int64_t now_us, struct message_id *message_out, int64_t *part_out, bool *left_out,
          struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st;

    *message_out = (struct message_id){{""}};
    *left_out = false;
    if (!read_reference(inbound->reference, message_out, part_out))
        return ST_OK;
    st = store_query_one(tx, &SQL_DELIVERY_RECONCILE,
                         ARGS(sv_id(*message_out), sv_int(*part_out),
                              sv_text(inbound->about_external_message_id), sv_id(channel->id),
                              sv_int(now_us)),
                         &rows, err);
    if (st == ST_NOT_FOUND) {
        *message_out = (struct message_id){{""}};
        return ST_OK;
    }
    if (st != ST_OK)
        return st;
    *left_out = str_eq_c(store_col_text(rows, 0), "sent");
    return store_rows_close(&rows, err);
}

/* Of a part that has left although nobody knew: a failure is the message's end, after everything
 * else its job goes on. */
static enum status
resume(struct store_tx *tx, const struct message *message, enum delivery_state state,
       struct delivery_change *change, struct err *err)
{
    enum status st;

    if (state == DELIVERY_WINDOW_CLOSED)
        change->window_closed = message->id;
    else if (state != DELIVERY_FAILED)
        change->resumed = message->id;
    if (state != DELIVERY_FAILED)
        return ST_OK;
    st = message_set_delivery(tx, message->id, "failed", STR_EMPTY, err);
    if (st == ST_OK)
        st = conversation_set_status(tx, message->conversation_id, STATUS_FAILED, err);
    *change =
        (struct delivery_change){message->id, message->conversation_id, "failed", {{""}}, {{""}}};
    return st;
}

/* Moves the part and its message, when the report is about one that we know. */
static enum status
apply(struct store_tx *tx, const struct channel_record *channel, const struct inbound *inbound,
      int64_t now_us, struct message_id *about_out, struct delivery_change *change, struct err *err)
{
    bool failed = inbound->delivery_state == DELIVERY_FAILED ||
                  inbound->delivery_state == DELIVERY_WINDOW_CLOSED;
    bool moved = false, left = false;
    struct str reason = STR_EMPTY;
    struct message_id referred;
    struct message message;
    int64_t part = 0, referred_part = 0;
    enum status st;

    if (inbound->about_external_message_id.len == 0)
        return ST_OK;
    if (failed)
        reason = str_sub(inbound->delivery_reason, 0,
                         str_utf8_floor(inbound->delivery_reason, REASON_MAX_BYTES));
    st = reconcile(tx, channel, inbound, now_us, &referred, &referred_part, &left, err);
    if (st == ST_OK)
        st = put_report(tx, channel, inbound, reason, now_us, about_out, &part, err);
    if (st == ST_OK && id_is_none(&about_out->id) && !id_is_none(&referred.id)) {
        *about_out = referred;
        part = referred_part;
        st = delivery_note_part(tx, channel->id, referred, part, inbound->about_external_message_id,
                                now_us, err);
    }
    if (st != ST_OK || id_is_none(&about_out->id))
        return st;
    st = lock_message(tx, *about_out, &message, err);
    if (st == ST_NOT_FOUND) /* removed since */
        return ST_OK;
    if (st == ST_OK)
        st = move_part(tx, *about_out, part, inbound->delivery_state, reason, now_us, &moved, err);
    if (st == ST_OK && moved)
        st = settle(tx, &message, inbound->timestamp_us > 0 ? inbound->timestamp_us : now_us,
                    change, err);
    if (st == ST_OK && left)
        st = resume(tx, &message, inbound->delivery_state, change, err);
    return st;
}

enum status
conversation_record_delivery(struct store_tx *tx, const struct channel_record *channel,
                             const struct inbound *inbound, int64_t now_us,
                             struct delivery_change *change_out, struct err *err)
{
    struct message_id about = {{""}};
    struct id_text id = id_new();
    enum status st;

    *change_out = (struct delivery_change){.delivery = NULL};
    st = apply(tx, channel, inbound, now_us, &about, change_out, err);
    if (st != ST_OK)
        return st;
    return store_exec(tx, &SQL_EVENT_INSERT,
                      ARGS(sv_text(id_str(&id)), sv_id(channel->id),
                           sv_text(inbound->external_event_id), sv_text(inbound->event_kind),
                           sv_id(about), sv_text(inbound->raw), sv_int(now_us), sv_null()),
                      NULL, err);
}

void
delivery_publish(struct live_hub *hub, const struct tenant_scope *scope,
                 const struct delivery_change *change, struct arena *arena)
{
    if (change->delivery == NULL)
        return;
    live_publish(hub, scope, STR("inbox"), STR("delivery"),
                 arena_printf(arena,
                              "{\"message_id\":\"%s\",\"conversation_id\":\"%s\","
                              "\"delivery\":\"%s\"}",
                              change->message_id.id.text, change->conversation_id.id.text,
                              change->delivery));
}
