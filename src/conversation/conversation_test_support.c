/*
 * conversation_test_support.c - see the header
 */
#include "conversation/conversation_test_support.h"

#include "conversation/conversation_test_sql.h"

void
talk_open(struct talk *talk, const char *source, const char *settings, struct clock *clock)
{
    json_auto_t *settings_json = json_loads(settings, 0, NULL);
    json_auto_t *credentials =
        json_pack("{s:s, s:s, s:s}", "secret", "a test's secret", "username", "u", "password", "p");
    struct err *err = &talk->err;

    *talk = (struct talk){.clock = clock == NULL ? clock_create_manual(TALK_START_US) : clock};
    assert_non_null(settings_json);
    talk->arena = arena_create((size_t)64 * 1024 * 1024);
    bed_open(&talk->bed, 2, talk->clock, NULL);
    for (unsigned i = 0; i < 2; i++) {
        const struct channel_spec spec = {.source = str_from_c(source),
                                          .name = STR("Test"),
                                          .settings = settings_json,
                                          .credentials = credentials};
        struct channel_id id;

        ASSERT_OK(channel_create(talk->bed.tenants, talk->bed.scopes[i], &spec, &id, err), err);
        ASSERT_OK(
            channel_record_get(talk->bed.tenants, talk->bed.scopes[i], id, &talk->records[i], err),
            err);
    }
}

void
talk_close(struct talk *talk)
{
    channel_record_unref(&talk->records[0]);
    channel_record_unref(&talk->records[1]);
    bed_close(&talk->bed, true);
    arena_destroy(&talk->arena);
    if (talk->clock != clock_system())
        clock_destroy(&talk->clock);
}

enum status
talk_run(struct talk *talk, unsigned organization, store_work work, void *arg)
{
    return store_run(talk->bed.store, talk->bed.scopes[organization], "test", STORE_DURABLE, work,
                     arg, &talk->err);
}

struct inbound
talk_message(struct talk *talk, const char *id, const char *user, const char *chat,
             const char *text)
{
    return (struct inbound){.kind = INBOUND_MESSAGE,
                            .external_message_id = str_from_c(id),
                            .external_user_id = str_from_c(user),
                            .external_chat_id = str_from_c(chat),
                            .text = str_from_c(text),
                            .display_name = STR("Ada"),
                            .locale = STR("en"),
                            .timestamp_us = clock_wall_us(talk->clock) - US_PER_S,
                            .wants_answer = true};
}

struct inbound
talk_event(const char *kind, const char *id, const char *about)
{
    return (struct inbound){.kind = INBOUND_EVENT,
                            .event_kind = str_from_c(kind),
                            .external_event_id = str_from_c(id),
                            .about_external_message_id = str_from_c(about),
                            .external_user_id = STR("u1"),
                            .external_chat_id = STR("c1"),
                            .raw = STR("{\"raw\":true}")};
}

struct receiving {
    const struct talk *talk;
    const struct inbound *inbound;
    struct message_id id;
    int64_t now_us;
    struct inbound_result result;
};

static enum status
receive_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct receiving *r = arg;

    return conversation_record_inbound(tx, r->talk->records[0], r->inbound, STR("{}"), r->id,
                                       r->now_us, false, &r->result, err);
}

enum status
talk_receive(struct talk *talk, const struct inbound *inbound, struct inbound_result *result_out)
{
    struct receiving r = {.talk = talk, .inbound = inbound, .id = ID_NEW(message_id)};
    enum status st;

    r.now_us = clock_wall_us(talk->clock);
    st = talk_run(talk, 0, receive_work, &r);
    *result_out = r.result;
    return st;
}

struct inbound_result
talk_hear(struct talk *talk, const char *id, const char *user, const char *chat, const char *text)
{
    struct inbound inbound = talk_message(talk, id, user, chat, text);
    struct inbound_result result;

    ASSERT_OK(talk_receive(talk, &inbound, &result), &talk->err);
    return result;
}

static enum status
event_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct receiving *r = arg;

    return conversation_record_event(tx, r->talk->records[0], r->inbound, r->now_us, err);
}

enum status
talk_receive_event(struct talk *talk, const struct inbound *event)
{
    struct receiving r = {.talk = talk, .inbound = event};

    r.now_us = clock_wall_us(talk->clock);
    return talk_run(talk, 0, event_work, &r);
}

struct getting {
    struct arena *arena;
    struct conversation_id conversation_id;
    struct message_id message_id;
    struct conversation conversation;
    struct message message;
};

static enum status
get_conversation_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct getting *g = arg;

    return conversation_get(tx, g->conversation_id, g->arena, &g->conversation, err);
}

struct conversation
talk_conversation(struct talk *talk, struct conversation_id id)
{
    struct getting g = {.arena = talk->arena, .conversation_id = id};

    ASSERT_OK(talk_run(talk, 0, get_conversation_work, &g), &talk->err);
    return g.conversation;
}

static enum status
get_message_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct getting *g = arg;

    return message_get(tx, g->message_id, g->arena, &g->message, err);
}

struct message
talk_get(struct talk *talk, struct message_id id)
{
    struct getting g = {.arena = talk->arena, .message_id = id};

    ASSERT_OK(talk_run(talk, 0, get_message_work, &g), &talk->err);
    return g.message;
}

struct asking {
    const struct talk *talk;
    const char *user;
    bool reachable;
    struct talk_counts counts;
};

static enum status
reachable_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct asking *a = arg;
    struct channel_id channel_id = a->talk->records[0]->id;
    struct store_rows *rows = NULL;
    enum status st = store_query_one(
        tx, &SQL_TEST_REACHABLE, ARGS(sv_id(channel_id), sv_text(str_from_c(a->user))), &rows, err);

    if (st != ST_OK)
        return st;
    a->reachable = store_col_int(rows, 0) != 0;
    return store_rows_close(&rows, err);
}

bool
talk_reachable(struct talk *talk, const char *user)
{
    struct asking a = {.talk = talk, .user = user};

    ASSERT_OK(talk_run(talk, 0, reachable_work, &a), &talk->err);
    return a.reachable;
}

static enum status
count_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct talk_counts *counts = &((struct asking *)arg)->counts;
    struct store_rows *rows = NULL;
    enum status st = store_query_one(tx, &SQL_TEST_COUNTS, NO_ARGS, &rows, err);

    if (st != ST_OK)
        return st;
    *counts = (struct talk_counts){
        .contacts = store_col_int(rows, 0),
        .identities = store_col_int(rows, 1),
        .chats = store_col_int(rows, 2),
        .conversations = store_col_int(rows, 3),
        .messages = store_col_int(rows, 4),
        .events = store_col_int(rows, 5),
        .quarantined = store_col_int(rows, 6),
        .escalations = store_col_int(rows, 7),
    };
    return store_rows_close(&rows, err);
}

struct talk_counts
talk_count(struct talk *talk, unsigned organization)
{
    struct asking a = {.talk = talk};

    ASSERT_OK(talk_run(talk, organization, count_work, &a), &talk->err);
    return a.counts;
}
