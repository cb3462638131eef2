/*
 * say.c - what we add: answers, states, hand-over, escalations
 */
#include "conversation/conversation.h"
#include "conversation/conversation_sql.h"
#include "conversation/tell.h"

/* Runs an update of one conversation; ST_NOT_FOUND when it changed nothing. */
static enum status
change_one(struct store_tx *tx, const struct store_sql *sql, const struct store_value *args,
           size_t arg_count, const char *what, struct err *err)
{
    int64_t changed = 0;
    enum status st = store_exec(tx, sql, args, arg_count, &changed, err);

    if (st == ST_OK && changed == 0)
        return err_set(err, ST_NOT_FOUND, "no such %s", what);
    return st;
}

/* The same where it may change nothing. changed_out: whether it did and somebody hears of that. */
static enum status
change_told(struct store_tx *tx, enum event_kind kind, const struct store_sql *sql,
            const struct store_value *args, size_t arg_count, bool *changed_out, struct err *err)
{
    int64_t changed = 0;
    bool heard;
    enum status st = events_are_heard(tx, kind, &heard, err);

    if (st == ST_OK)
        st = store_exec(tx, sql, args, arg_count, heard ? &changed : NULL, err);
    *changed_out = changed > 0;
    return st;
}

struct outbound_place {
    struct channel_id channel_id;
    struct user_id user_id;
    struct contact_id contact_id;
    struct str external_chat_id, source;
};

static enum status
find_place(struct store_tx *tx, struct conversation_id id, struct outbound_place *out,
           struct err *err)
{
    struct store_rows *rows = NULL;
    struct arena *arena = store_tx_arena(tx);
    enum status st =
        store_query_one(tx, &SQL_CONVERSATION_FOR_OUTBOUND, ARGS(sv_id(id)), &rows, err);

    if (st == ST_NOT_FOUND)
        return err_set(err, ST_NOT_FOUND, "no such conversation");
    if (st != ST_OK)
        return st;
    out->channel_id = STORE_COL_ID(rows, 0, channel_id);
    out->user_id = STORE_COL_ID(rows, 1, user_id);
    out->contact_id = STORE_COL_ID(rows, 2, contact_id);
    out->external_chat_id = arena_str(arena, store_col_text(rows, 3));
    out->source = arena_str(arena, store_col_text(rows, 4));
    return store_rows_close(&rows, err);
}

/* What was said in the web chat is there at once; elsewhere the sender says when it left. */
static enum status
tell_outbound(struct store_tx *tx, const struct outbound_spec *spec, struct err *err)
{
    enum status st = ST_OK;

    if (str_eq_c(str_from_c(spec->delivery), "delivered"))
        st = tell_message(tx, EVENT_MESSAGE_SENT, spec->id, err);
    if (st == ST_OK && spec->status != NULL)
        st = tell_conversation(tx, EVENT_CONVERSATION_STATUS, spec->conversation_id, err);
    if (st == ST_OK && spec->hand_off_to_human)
        st = tell_conversation(tx, EVENT_CONVERSATION_HANDED_OFF, spec->conversation_id, err);
    return st;
}

enum status
conversation_add_outbound(struct store_tx *tx, const struct outbound_spec *spec, int64_t now_us,
                          int64_t *seq_out, struct err *err)
{
    struct str metadata = spec->metadata.ptr == NULL ? STR("{}") : spec->metadata;
    struct str envelope = spec->envelope.ptr == NULL ? STR("{}") : spec->envelope;
    struct store_value from = sv_null(), to = sv_null();
    struct outbound_place place;
    struct store_rows *rows = NULL;
    enum status st;

    st = find_place(tx, spec->conversation_id, &place, err);
    if (st != ST_OK)
        return st;
    st = store_query_one(tx, &SQL_CONVERSATION_OUTBOUND,
                         ARGS(sv_id(spec->conversation_id), sv_int(now_us),
                              sv_int(spec->answers_from_seq), sv_int(spec->answers_to_seq),
                              sv_text(str_from_c(spec->status)), sv_int(spec->hand_off_to_human)),
                         &rows, err);
    if (st == ST_NOT_FOUND)
        return err_set(err, ST_CONFLICT,
                       "these messages are answered already, or a person has the "
                       "conversation");
    if (st != ST_OK)
        return st;
    *seq_out = store_col_int(rows, 0);
    st = store_rows_close(&rows, err);
    if (spec->answers_to_seq > 0) {
        from = sv_int(spec->answers_from_seq);
        to = sv_int(spec->answers_to_seq);
    }
    if (st != ST_OK)
        return st;
    st = store_exec(tx, &SQL_MESSAGE_INSERT,
                    ARGS(sv_id(spec->id), sv_id(spec->conversation_id), sv_int(*seq_out),
                         sv_text(str_from_c(spec->role)), sv_text(place.source),
                         sv_id(place.channel_id), sv_id(place.user_id), sv_id(place.contact_id),
                         sv_null(), sv_null(), sv_text(place.external_chat_id), sv_text(spec->body),
                         sv_text(metadata), sv_text(envelope), sv_text(str_from_c(spec->delivery)),
                         from, to, sv_null(), sv_int(now_us)),
                    NULL, err);
    return st == ST_OK ? tell_outbound(tx, spec, err) : st;
}

enum status
conversation_mark_answered(struct store_tx *tx, struct conversation_id id, int64_t to_seq,
                           struct err *err)
{
    return store_exec(tx, &SQL_CONVERSATION_ANSWERED, ARGS(sv_id(id), sv_int(to_seq)), NULL, err);
}

enum status
conversation_set_status(struct store_tx *tx, struct conversation_id id, const char *status,
                        struct err *err)
{
    enum status st = change_one(tx, &SQL_CONVERSATION_STATUS,
                                ARGS(sv_id(id), sv_text(str_from_c(status))), "conversation", err);

    return st == ST_OK ? tell_conversation(tx, EVENT_CONVERSATION_STATUS, id, err) : st;
}

enum status
conversation_note_sent(struct store_tx *tx, struct conversation_id id, struct err *err)
{
    bool changed;
    enum status st = change_told(tx, EVENT_CONVERSATION_STATUS, &SQL_CONVERSATION_SENT,
                                 ARGS(sv_id(id)), &changed, err);

    return st == ST_OK && changed ? tell_conversation(tx, EVENT_CONVERSATION_STATUS, id, err) : st;
}

/* changed_out: a person had it. */
static enum status
give_back(struct store_tx *tx, struct conversation_id id, bool *changed_out, struct err *err)
{
    struct conversation conversation;
    int64_t changed = 0;
    enum status st = store_exec(tx, &SQL_CONVERSATION_GIVE_BACK, ARGS(sv_id(id)), &changed, err);

    *changed_out = changed > 0;
    return st == ST_OK && changed == 0
               ? conversation_get(tx, id, store_tx_arena(tx), &conversation, err)
               : st;
}

enum status
conversation_hand_over(struct store_tx *tx, struct conversation_id id, bool on,
                       struct user_id user_id, struct err *err)
{
    bool changed = true;
    enum status st = on ? change_one(tx, &SQL_CONVERSATION_TAKE, ARGS(sv_id(id), sv_id(user_id)),
                                     "conversation", err)
                        : give_back(tx, id, &changed, err);

    if (st != ST_OK || !changed)
        return st;
    st = tell_conversation(tx, on ? EVENT_CONVERSATION_HANDED_OFF : EVENT_CONVERSATION_HANDED_BACK,
                           id, err);
    return st == ST_OK ? tell_conversation(tx, EVENT_CONVERSATION_STATUS, id, err) : st;
}

enum status
conversation_archive(struct store_tx *tx, struct conversation_id id, int64_t now_us,
                     struct err *err)
{
    enum status st = change_one(tx, &SQL_CONVERSATION_ARCHIVE, ARGS(sv_id(id), sv_int(now_us)),
                                "open conversation", err);

    return st == ST_OK ? tell_conversation(tx, EVENT_CONVERSATION_STATUS, id, err) : st;
}

/* How far a new delivery state reaches; SQL_MESSAGE_DELIVERY ranks the stored one, and the higher
 * wins. A new "failed" is ranked above the stored one: it ends what is uncertain, and what failed
 * can still be sent. */
static int
delivery_rank(struct str state)
{
    static const struct {
        const char *name;
        int rank;
    } ranks[] = {{"queued", 0}, {"sending", 1},   {"failed", 3}, {"uncertain", 2},
                 {"sent", 3},   {"delivered", 4}, {"read", 5}};
    size_t i;

    for (i = 0; i < sizeof(ranks) / sizeof(ranks[0]); i++)
        if (str_eq_c(state, ranks[i].name))
            return ranks[i].rank;
    return -1;
}

enum status
message_set_delivery(struct store_tx *tx, struct message_id id, const char *delivery,
                     struct str envelope, struct err *err)
{
    int rank = delivery_rank(str_from_c(delivery));
    enum event_kind kind = tell_delivery_kind(str_from_c(delivery));
    bool changed = false;
    enum status st;

    if (rank < 0)
        return err_set(err, ST_INVALID, "no such delivery state: %s", delivery);
    st =
        change_told(tx, kind, &SQL_MESSAGE_DELIVERY,
                    ARGS(sv_id(id), sv_text(str_from_c(delivery)), sv_text(envelope), sv_int(rank)),
                    &changed, err);
    return st == ST_OK && changed ? tell_message(tx, kind, id, err) : st;
}

enum status
escalation_open(struct store_tx *tx, struct conversation_id conversation_id,
                struct message_id message_id, const char *reason, struct str draft, int64_t now_us,
                struct escalation_id *id_out, struct err *err)
{
    struct escalation_id id = ID_NEW(escalation_id);
    struct str words = draft.ptr == NULL ? STR("") : draft;
    struct store_rows *rows = NULL;
    enum status st;

    st = store_query_one(tx, &SQL_ESCALATION_REUSE,
                         ARGS(sv_id(conversation_id), sv_id(message_id),
                              sv_text(str_from_c(reason)), sv_text(words)),
                         &rows, err);
    if (st == ST_OK) {
        *id_out = STORE_COL_ID(rows, 0, escalation_id);
        return store_rows_close(&rows, err);
    }
    if (st != ST_NOT_FOUND)
        return st;
    *id_out = id;
    st = store_exec(tx, &SQL_ESCALATION_INSERT,
                    ARGS(sv_id(id), sv_id(conversation_id), sv_id(message_id),
                         sv_text(str_from_c(reason)), sv_text(words), sv_int(now_us)),
                    NULL, err);
    return st == ST_OK ? tell_escalation(tx, EVENT_ESCALATION_OPENED, id, err) : st;
}

enum status
escalation_resolve(struct store_tx *tx, struct escalation_id id, const char *status,
                   struct str resolved_by, int64_t now_us, struct err *err)
{
    struct arena *arena = store_tx_arena(tx);
    struct escalation known;
    int64_t changed = 0;
    enum status st = escalation_get(tx, id, arena, &known, err);

    if (st == ST_OK)
        st = store_exec(
            tx, &SQL_ESCALATION_RESOLVE,
            ARGS(sv_id(id), sv_text(str_from_c(status)), sv_text(resolved_by), sv_int(now_us)),
            &changed, err);
    if (st == ST_OK && changed == 0)
        return err_set(err, ST_CONFLICT, "this escalation is %.*s already", STR_ARG(known.status));
    return st == ST_OK ? tell_escalation(tx, EVENT_ESCALATION_RESOLVED, id, err) : st;
}
