/*
 * say_test.c - what we add: answers and their conditions, states, hand-over, escalations, lists
 */
#include "conversation/talk_suite_test_support.h"

/* One call with its arguments, so that it can be a transaction's work. */
struct step {
    struct talk *talk;
    struct conversation_id conversation;
    struct message_id message;
    struct escalation_id escalation;
    struct outbound_spec spec;
    struct user_id user;
    struct str text;
    const char *word;
    int64_t number;
    bool on;
    struct arena *arena;
};

static enum status
add_outbound(struct store_tx *tx, void *arg, struct err *err)
{
    struct step *s = arg;

    return conversation_add_outbound(tx, &s->spec, clock_wall_us(s->talk->clock), &s->number, err);
}

static enum status
note_sent(struct store_tx *tx, void *arg, struct err *err)
{
    return conversation_note_sent(tx, ((struct step *)arg)->conversation, err);
}

static enum status
set_status(struct store_tx *tx, void *arg, struct err *err)
{
    const struct step *s = arg;

    return conversation_set_status(tx, s->conversation, s->word, err);
}

static enum status
hand_over(struct store_tx *tx, void *arg, struct err *err)
{
    const struct step *s = arg;

    return conversation_hand_over(tx, s->conversation, s->on, s->user, err);
}

static enum status
archive(struct store_tx *tx, void *arg, struct err *err)
{
    return conversation_archive(tx, ((struct step *)arg)->conversation, TALK_START_US, err);
}

static enum status
mark_answered(struct store_tx *tx, void *arg, struct err *err)
{
    const struct step *s = arg;

    return conversation_mark_answered(tx, s->conversation, s->number, err);
}

static enum status
set_delivery(struct store_tx *tx, void *arg, struct err *err)
{
    const struct step *s = arg;

    return message_set_delivery(tx, s->message, s->word, s->text, err);
}

static enum status
open_escalation(struct store_tx *tx, void *arg, struct err *err)
{
    struct step *s = arg;

    return escalation_open(tx, s->conversation, s->message, s->word, s->text, TALK_START_US,
                           &s->escalation, err);
}

static enum status
resolve(struct store_tx *tx, void *arg, struct err *err)
{
    const struct step *s = arg;

    return escalation_resolve(tx, s->escalation, s->word, STR("someone"), TALK_START_US + 1, err);
}

static enum status
say(struct talk *talk, struct conversation_id id, const char *role, int64_t from, int64_t to,
    const char *status, struct message_id *message_out)
{
    struct step step = {.talk = talk};

    step.spec = (struct outbound_spec){.conversation_id = id,
                                       .id = ID_NEW(message_id),
                                       .role = role,
                                       .body = STR("An answer"),
                                       .delivery = "queued",
                                       .answers_from_seq = from,
                                       .answers_to_seq = to,
                                       .status = status};
    if (message_out != NULL)
        *message_out = step.spec.id;
    return talk_run(talk, 0, add_outbound, &step);
}

static void
answer_names_what_it_covers(void **state)
{
    struct talk *talk = *state;
    struct conversation_id id = talk_hear(talk, "m1", "u1", "c1", "One").conversation_id;
    struct message_id answer;
    struct conversation c;
    struct message m;

    (void)talk_hear(talk, "m2", "u1", "c1", "Two");
    clock_advance_us(talk->clock, US_PER_S);
    ASSERT_OK(say(talk, id, "assistant", 1, 2, NULL, &answer), &talk->err);
    c = talk_conversation(talk, id);
    m = talk_get(talk, answer);
    assert_int_equal(c.answered_seq, 2);
    assert_int_equal(c.last_seq, 3);
    assert_int_equal(c.last_message_at_us, TALK_START_US + US_PER_S);
    ASSERT_STR(c.status, STATUS_USER_REPLY_RECEIVED); /* it has not left yet */
    assert_int_equal(m.seq, 3);
    assert_int_equal(m.answers_from_seq, 1);
    assert_int_equal(m.answers_to_seq, 2);
    ASSERT_STR(m.delivery, "queued");
    ASSERT_STR(m.external_chat_id, "c1");
    ASSERT_STR(m.source, "fake");
    ASSERT_STR(m.metadata, "{}");
    assert_true(id_eq(&m.channel_id.id, &talk->records[0]->id.id));
    assert_true(id_eq(&m.user_id.id, &c.user_id.id));
}

static void
answered_is_answered_once(void **state)
{
    struct talk *talk = *state;
    struct conversation_id id = talk_hear(talk, "m1", "u1", "c1", "One").conversation_id;
    struct talk_counts before;

    (void)talk_hear(talk, "m2", "u1", "c1", "Two");
    ASSERT_OK(say(talk, id, "assistant", 1, 2, NULL, NULL), &talk->err);
    before = talk_count(talk, 0);
    assert_int_equal(say(talk, id, "assistant", 1, 2, NULL, NULL), ST_CONFLICT);
    assert_int_equal(say(talk, id, "assistant", 1, 1, NULL, NULL), ST_CONFLICT);
    assert_int_equal(say(talk, id, "assistant", 2, 2, NULL, NULL), ST_CONFLICT);
    assert_int_equal(talk_count(talk, 0).messages, before.messages);
    assert_int_equal(talk_conversation(talk, id).last_seq, 3);

    (void)talk_hear(talk, "m3", "u1", "c1", "Three"); /* seq 4 */
    ASSERT_OK(say(talk, id, "assistant", 4, 4, NULL, NULL), &talk->err);
    assert_int_equal(talk_conversation(talk, id).answered_seq, 4);
}

static void
person_keeps_the_assistant_out(void **state)
{
    struct talk *talk = *state;
    struct step step = {.talk = talk, .on = true, .user = ID_NEW(user_id)};
    struct inbound_result later;
    struct conversation c;

    step.conversation = talk_hear(talk, "m1", "u1", "c1", "One").conversation_id;
    ASSERT_OK(talk_run(talk, 0, hand_over, &step), &talk->err);
    c = talk_conversation(talk, step.conversation);
    assert_true(c.hand_off_to_human);
    ASSERT_STR(c.status, STATUS_HANDED_OFF);
    assert_true(id_eq(&c.user_id.id, &step.user.id));
    assert_int_equal(say(talk, step.conversation, "assistant", 1, 1, NULL, NULL), ST_CONFLICT);
    ASSERT_OK(say(talk, step.conversation, "agent", 0, 0, NULL, NULL), &talk->err);
    later = talk_hear(talk, "m2", "u1", "c1", "Thank you");
    assert_true(later.hand_off_to_human);
    ASSERT_STR(talk_conversation(talk, step.conversation).status, STATUS_HANDED_OFF);

    step.on = false;
    ASSERT_OK(talk_run(talk, 0, hand_over, &step), &talk->err);
    c = talk_conversation(talk, step.conversation);
    assert_false(c.hand_off_to_human);
    ASSERT_STR(c.status, STATUS_USER_REPLY_RECEIVED);
    assert_int_equal(c.last_seq, 3);
    assert_int_equal(c.answered_seq, 2); /* up to the agent's word; what came after it waits */
    ASSERT_OK(say(talk, step.conversation, "agent", 0, 0, NULL, NULL), &talk->err);
    step.on = true;
    ASSERT_OK(talk_run(talk, 0, hand_over, &step), &talk->err);
    step.on = false;
    ASSERT_OK(talk_run(talk, 0, hand_over, &step), &talk->err);
    c = talk_conversation(talk, step.conversation);
    assert_int_equal(c.answered_seq, c.last_seq); /* staff dealt with all that came */
    assert_true(id_eq(&c.user_id.id, &step.user.id));
}

static int64_t
taken_and_given_back(struct talk *talk, struct conversation_id id)
{
    struct step step = {.talk = talk, .conversation = id, .on = true};

    ASSERT_OK(talk_run(talk, 0, hand_over, &step), &talk->err);
    step.on = false;
    ASSERT_OK(talk_run(talk, 0, hand_over, &step), &talk->err);
    return talk_conversation(talk, id).answered_seq;
}

static void
answer_deals_with_what_it_names(void **state)
{
    struct talk *talk = *state;
    struct step step = {.talk = talk, .number = 6};
    struct conversation c;

    step.conversation = talk_hear(talk, "m1", "u1", "c1", "One").conversation_id;
    (void)talk_hear(talk, "m2", "u1", "c1", "While the answer to one is made");
    ASSERT_OK(say(talk, step.conversation, "assistant", 1, 1, STATUS_AI_RESPONSE_SENT, NULL),
              &talk->err);
    ASSERT_OK(talk_run(talk, 0, hand_over, &step), &talk->err); /* nobody had it */
    c = talk_conversation(talk, step.conversation);
    assert_int_equal(c.answered_seq, 1);
    ASSERT_STR(c.status, STATUS_AI_RESPONSE_SENT);
    assert_int_equal(taken_and_given_back(talk, step.conversation), 1);

    /* A draft that a person let go names nothing. */
    ASSERT_OK(say(talk, step.conversation, "assistant", 0, 0, NULL, NULL), &talk->err);
    assert_int_equal(taken_and_given_back(talk, step.conversation), 4);

    (void)talk_hear(talk, "m3", "u1", "c1", "Three"); /* seq 5 */
    (void)talk_hear(talk, "m4", "u1", "c1", "Four");
    ASSERT_OK(say(talk, step.conversation, "assistant", 5, 5, NULL, NULL), &talk->err);
    ASSERT_OK(talk_run(talk, 0, mark_answered, &step), &talk->err);
    assert_int_equal(taken_and_given_back(talk, step.conversation), 6); /* never back */
}

static void
taking_without_a_name_keeps_the_owner(void **state)
{
    struct talk *talk = *state;
    struct step step = {.talk = talk, .on = true};
    struct conversation c;

    step.conversation = talk_hear(talk, "m1", "u1", "c1", "One").conversation_id;
    ASSERT_OK(talk_run(talk, 0, hand_over, &step), &talk->err);
    c = talk_conversation(talk, step.conversation);
    assert_true(id_eq(&c.user_id.id, &talk->records[0]->user_id.id));
}

static void
sent_is_noted_when_nothing_waits(void **state)
{
    static const struct {
        const char *name, *status;
        bool answered, handed_off;
        const char *want;
    } table[] = {
        {"answered", STATUS_USER_REPLY_RECEIVED, true, false, STATUS_AI_RESPONSE_SENT},
        {"sent after a failure", STATUS_FAILED, true, false, STATUS_AI_RESPONSE_SENT},
        {"newer message waits", STATUS_USER_REPLY_RECEIVED, false, false,
         STATUS_USER_REPLY_RECEIVED},
        {"a draft waits", STATUS_AWAITING_APPROVAL, true, false, STATUS_AWAITING_APPROVAL},
        {"a person has it", NULL, true, true, STATUS_HANDED_OFF},
    };
    struct talk *talk = *state;

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char name[] = {'n', (char)('0' + i), 0};
        struct step step = {.talk = talk, .on = true, .word = table[i].status, .number = 1};

        step.conversation = talk_hear(talk, name, name, name, "One").conversation_id;
        if (table[i].answered)
            ASSERT_OK(talk_run(talk, 0, mark_answered, &step), &talk->err);
        if (table[i].status != NULL)
            ASSERT_OK(talk_run(talk, 0, set_status, &step), &talk->err);
        if (table[i].handed_off)
            ASSERT_OK(talk_run(talk, 0, hand_over, &step), &talk->err);
        ASSERT_OK(talk_run(talk, 0, note_sent, &step), &talk->err);
        if (!str_eq_c(talk_conversation(talk, step.conversation).status, table[i].want))
            fail_msg("%s: %.*s", table[i].name,
                     STR_ARG(talk_conversation(talk, step.conversation).status));
    }
}

static void
archived_stays_archived(void **state)
{
    struct talk *talk = *state;
    struct step step = {.talk = talk, .word = STATUS_FAILED, .number = 1};

    step.conversation = talk_hear(talk, "m1", "u1", "c1", "One").conversation_id;
    ASSERT_OK(talk_run(talk, 0, archive, &step), &talk->err);
    assert_int_equal(talk_run(talk, 0, archive, &step), ST_NOT_FOUND); /* once */
    ASSERT_OK(say(talk, step.conversation, "assistant", 1, 1, STATUS_AWAITING_APPROVAL, NULL),
              &talk->err); /* an answer that was under way */
    ASSERT_STR(talk_conversation(talk, step.conversation).status, STATUS_ARCHIVED);
    ASSERT_OK(talk_run(talk, 0, set_status, &step), &talk->err);
    ASSERT_STR(talk_conversation(talk, step.conversation).status, STATUS_ARCHIVED);
    ASSERT_OK(talk_run(talk, 0, note_sent, &step), &talk->err);
    ASSERT_STR(talk_conversation(talk, step.conversation).status, STATUS_ARCHIVED);
    step.on = true;
    ASSERT_OK(talk_run(talk, 0, hand_over, &step), &talk->err);
    ASSERT_STR(talk_conversation(talk, step.conversation).status, STATUS_ARCHIVED);
    step.on = false;
    ASSERT_OK(talk_run(talk, 0, hand_over, &step), &talk->err);
    ASSERT_STR(talk_conversation(talk, step.conversation).status, STATUS_ARCHIVED);
}

/* From every state to every state: forward only. */
static void
delivery_moves_only_forward(void **state)
{
    static const char *const names[] = {"queued", "sending",   "uncertain", "failed",
                                        "sent",   "delivered", "read"};
    static const bool moves[7][7] = {
        /* to:  queued sending uncertain failed sent delivered read */
        {false, true, true, true, true, true, true},      /* queued */
        {false, false, true, true, true, true, true},     /* sending */
        {false, false, false, true, true, true, true},    /* uncertain */
        {false, false, false, false, true, true, true},   /* failed: a resend may succeed */
        {false, false, false, false, false, true, true},  /* sent */
        {false, false, false, false, false, false, true}, /* delivered */
        {false, false, false, false, false, false, false} /* read */
    };
    struct talk *talk = *state;
    struct step step = {.talk = talk};
    struct conversation_id id = talk_hear(talk, "m1", "u1", "c1", "One").conversation_id;

    for (size_t from = 0; from < 7; from++)
        for (size_t to = 0; to < 7; to++) {
            struct message m;

            ASSERT_OK(say(talk, id, "agent", 0, 0, NULL, &step.message), &talk->err);
            step.word = names[from];
            step.text = STR("{\"first\":1}");
            ASSERT_OK(talk_run(talk, 0, set_delivery, &step), &talk->err);
            step.word = names[to];
            step.text = STR("{\"second\":2}");
            ASSERT_OK(talk_run(talk, 0, set_delivery, &step), &talk->err);
            m = talk_get(talk, step.message);
            if (!str_eq_c(m.delivery, names[moves[from][to] ? to : from]))
                fail_msg("%s -> %s gave %.*s", names[from], names[to], STR_ARG(m.delivery));
            if (moves[from][to])
                ASSERT_STR(m.envelope, "{\"second\":2}");
        }
    step.word = "teleported";
    assert_int_equal(talk_run(talk, 0, set_delivery, &step), ST_INVALID);
}

static void
delivery_keeps_an_envelope_that_is_not_replaced(void **state)
{
    struct talk *talk = *state;
    struct step step = {.talk = talk, .word = "sending", .text = STR("{\"kept\":1}")};
    struct inbound_result heard = talk_hear(talk, "m1", "u1", "c1", "One");

    ASSERT_OK(say(talk, heard.conversation_id, "agent", 0, 0, NULL, &step.message), &talk->err);
    ASSERT_OK(talk_run(talk, 0, set_delivery, &step), &talk->err);
    step.word = "sent";
    step.text = STR_EMPTY;
    ASSERT_OK(talk_run(talk, 0, set_delivery, &step), &talk->err);
    ASSERT_STR(talk_get(talk, step.message).envelope, "{\"kept\":1}");
    step.message = heard.message_id; /* what people say has no delivery */
    ASSERT_OK(talk_run(talk, 0, set_delivery, &step), &talk->err);
    ASSERT_STR(talk_get(talk, step.message).delivery, "");
}

static enum status
get_escalation(struct store_tx *tx, void *arg, struct err *err)
{
    struct step *s = arg;
    struct escalation found;
    enum status st = escalation_get(tx, s->escalation, s->arena, &found, err);

    if (st != ST_OK)
        return st;
    s->text = found.draft;
    s->word = arena_cstr(s->arena, found.status);
    s->message = found.message_id;
    s->number = found.resolved_at_us;
    return ST_OK;
}

static void
one_open_escalation_a_conversation(void **state)
{
    struct talk *talk = *state;
    struct step step = {
        .talk = talk, .arena = talk->arena, .word = "low_confidence", .text = STR("A draft")};
    struct inbound_result heard = talk_hear(talk, "m1", "u1", "c1", "One");
    struct escalation_id first;

    step.conversation = heard.conversation_id;
    step.message = heard.message_id;
    ASSERT_OK(talk_run(talk, 0, open_escalation, &step), &talk->err);
    first = step.escalation;
    step.word = "asked_for_person";
    step.text = STR_EMPTY;
    step.message = talk_hear(talk, "m2", "u1", "c1", "Two").message_id;
    ASSERT_OK(talk_run(talk, 0, open_escalation, &step), &talk->err);
    assert_true(id_eq(&first.id, &step.escalation.id));
    assert_int_equal(talk_count(talk, 0).escalations, 1);
    step.word = "approved";
    ASSERT_OK(talk_run(talk, 0, resolve, &step), &talk->err);
    assert_int_equal(talk_run(talk, 0, resolve, &step), ST_CONFLICT);
    assert_non_null(strstr(talk->err.public_text, "approved"));
    ASSERT_OK(talk_run(talk, 0, get_escalation, &step), &talk->err);
    ASSERT_STR(step.text, ""); /* the newer reason's draft */
    assert_string_equal(step.word, "approved");
    assert_int_equal(step.number, TALK_START_US + 1);

    step.word = "low_confidence"; /* resolved ones are not opened again */
    ASSERT_OK(talk_run(talk, 0, open_escalation, &step), &talk->err);
    assert_false(id_eq(&first.id, &step.escalation.id));
    assert_int_equal(talk_count(talk, 0).escalations, 2);
}

/* --- lists --- */

struct listing {
    struct arena *arena;
    struct conversation_filter filter;
    struct conversation_id id;
    int64_t seq;
    size_t limit, count;
    struct conversation *conversations;
    struct message *messages;
    struct escalation *escalations;
    struct str status;
    struct escalation_id before;
};

static enum status
list_conversations(struct store_tx *tx, void *arg, struct err *err)
{
    struct listing *l = arg;

    return conversation_list(tx, &l->filter, l->limit, l->arena, &l->conversations, &l->count, err);
}

static enum status
list_messages(struct store_tx *tx, void *arg, struct err *err)
{
    struct listing *l = arg;

    return message_list(tx, l->id, l->seq, l->limit, l->arena, &l->messages, &l->count, err);
}

static enum status
window_messages(struct store_tx *tx, void *arg, struct err *err)
{
    struct listing *l = arg;

    return message_window(tx, l->id, l->seq, l->limit, l->arena, &l->messages, &l->count, err);
}

static enum status
list_escalations(struct store_tx *tx, void *arg, struct err *err)
{
    struct listing *l = arg;

    return escalation_list(tx, l->status, l->before, l->limit, l->arena, &l->escalations, &l->count,
                           err);
}

static void
conversations_come_newest_first_in_pages(void **state)
{
    struct talk *talk = *state;
    struct listing l = {.arena = talk->arena, .limit = 2};
    struct conversation_id ids[5];
    unsigned seen = 0;

    for (size_t i = 0; i < 5; i++) {
        char name[] = {'n', (char)('0' + i), 0};

        if (i != 3) /* two within the same microsecond */
            clock_advance_us(talk->clock, US_PER_S);
        ids[i] = talk_hear(talk, name, name, name, "One").conversation_id;
    }
    do {
        ASSERT_OK(talk_run(talk, 0, list_conversations, &l), &talk->err);
        for (size_t i = 0; i < l.count; i++, seen++) {
            assert_in_range(seen, 0, 4);
            assert_true(id_eq(&l.conversations[i].id.id, &ids[4 - seen].id));
            l.filter.before_id = l.conversations[i].id;
            l.filter.before_last_message_us = l.conversations[i].last_message_at_us;
        }
    } while (l.count == l.limit);
    assert_int_equal(seen, 5);

    l = (struct listing){.arena = talk->arena, .limit = 10};
    l.filter.status = STR(STATUS_ARCHIVED);
    ASSERT_OK(talk_run(talk, 0, list_conversations, &l), &talk->err);
    assert_int_equal(l.count, 0);
    l.filter =
        (struct conversation_filter){.contact_id = talk_conversation(talk, ids[1]).contact_id};
    ASSERT_OK(talk_run(talk, 0, list_conversations, &l), &talk->err);
    assert_int_equal(l.count, 1);
    assert_true(id_eq(&l.conversations[0].id.id, &ids[1].id));
}

static void
messages_come_in_order_and_in_windows(void **state)
{
    struct talk *talk = *state;
    struct listing l = {.arena = talk->arena, .limit = 3};

    for (size_t i = 0; i < 7; i++) {
        char name[] = {'m', (char)('0' + i), 0};

        l.id = talk_hear(talk, name, "u1", "c1", name).conversation_id;
    }
    for (int64_t seen = 0; seen < 7; seen += (int64_t)l.count) {
        l.seq = seen;
        ASSERT_OK(talk_run(talk, 0, list_messages, &l), &talk->err);
        assert_int_equal(l.count, seen == 6 ? 1 : 3);
        for (size_t i = 0; i < l.count; i++)
            assert_int_equal(l.messages[i].seq, seen + 1 + (int64_t)i);
    }
    l.seq = 5;
    ASSERT_OK(talk_run(talk, 0, window_messages, &l), &talk->err);
    assert_int_equal(l.count, 3);
    assert_int_equal(l.messages[0].seq, 3);
    assert_int_equal(l.messages[2].seq, 5);
    l.seq = 2;
    ASSERT_OK(talk_run(talk, 0, window_messages, &l), &talk->err);
    assert_int_equal(l.count, 2);
    assert_int_equal(l.messages[0].seq, 1);
}

static void
escalations_come_newest_first_in_pages(void **state)
{
    struct talk *talk = *state;
    struct listing l = {.arena = talk->arena, .limit = 2};
    struct escalation_id ids[3];

    for (size_t i = 0; i < 3; i++) {
        char name[] = {'n', (char)('0' + i), 0};
        struct step step = {.talk = talk, .word = "low_confidence", .text = STR("A draft")};

        step.conversation = talk_hear(talk, name, name, name, "One").conversation_id;
        ASSERT_OK(talk_run(talk, 0, open_escalation, &step), &talk->err);
        ids[i] = step.escalation;
        step.word = "closed";
        if (i == 1)
            ASSERT_OK(talk_run(talk, 0, resolve, &step), &talk->err);
    }
    ASSERT_OK(talk_run(talk, 0, list_escalations, &l), &talk->err);
    assert_int_equal(l.count, 2);
    assert_true(id_eq(&l.escalations[0].id.id, &ids[2].id));
    l.before = l.escalations[1].id;
    ASSERT_OK(talk_run(talk, 0, list_escalations, &l), &talk->err);
    assert_int_equal(l.count, 1);
    assert_true(id_eq(&l.escalations[0].id.id, &ids[0].id));
    l = (struct listing){.arena = talk->arena, .limit = 10, .status = STR("open")};
    ASSERT_OK(talk_run(talk, 0, list_escalations, &l), &talk->err);
    assert_int_equal(l.count, 2);
    l.status = STR("closed");
    ASSERT_OK(talk_run(talk, 0, list_escalations, &l), &talk->err);
    assert_int_equal(l.count, 1);
    ASSERT_STR(l.escalations[0].resolved_by, "someone");
}

/* --- the other organization --- */

static enum status
get_conversation(struct store_tx *tx, void *arg, struct err *err)
{
    struct step *s = arg;
    struct conversation found;

    return conversation_get(tx, s->conversation, s->arena, &found, err);
}

static enum status
get_by_chat(struct store_tx *tx, void *arg, struct err *err)
{
    struct step *s = arg;
    struct conversation found;

    return conversation_get_by_chat(tx, s->talk->records[0]->id, STR("c1"), s->arena, &found, err);
}

static enum status
get_message(struct store_tx *tx, void *arg, struct err *err)
{
    struct step *s = arg;
    struct message found;

    return message_get(tx, s->message, s->arena, &found, err);
}

static enum status
find_external(struct store_tx *tx, void *arg, struct err *err)
{
    struct message_id found;

    (void)arg;
    return message_find_external(tx, STR("fake"), STR("m1"), &found, err);
}

static void
another_organizations_ids_are_not_found(void **state)
{
    static const struct {
        const char *name;
        store_work work;
    } calls[] = {
        {"conversation_get", get_conversation},
        {"conversation_get_by_chat", get_by_chat},
        {"message_get", get_message},
        {"message_find_external", find_external},
        {"escalation_get", get_escalation},
        {"conversation_set_status", set_status},
        {"conversation_hand_over", hand_over},
        {"conversation_archive", archive},
        {"conversation_add_outbound", add_outbound},
        {"escalation_resolve", resolve},
    };
    struct talk *talk = *state;
    struct inbound_result heard = talk_hear(talk, "m1", "u1", "c1", "One");
    struct step step = {.talk = talk,
                        .arena = talk->arena,
                        .conversation = heard.conversation_id,
                        .message = heard.message_id,
                        .word = "low_confidence",
                        .text = STR("A draft")};
    struct talk_counts mine, theirs;

    ASSERT_OK(talk_run(talk, 0, open_escalation, &step), &talk->err);
    step.spec = (struct outbound_spec){.conversation_id = heard.conversation_id,
                                       .id = ID_NEW(message_id),
                                       .role = "agent",
                                       .body = STR("x"),
                                       .delivery = "queued"};
    mine = talk_count(talk, 0);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        enum status st = talk_run(talk, 1, calls[i].work, &step);

        if (st != ST_NOT_FOUND)
            fail_msg("%s: %s", calls[i].name, status_name(st));
    }
    /* These find nothing to change, and say so by changing nothing. */
    step.number = 1;
    step.word = "sent";
    ASSERT_OK(talk_run(talk, 1, mark_answered, &step), &talk->err);
    ASSERT_OK(talk_run(talk, 1, note_sent, &step), &talk->err);
    ASSERT_OK(talk_run(talk, 1, set_delivery, &step), &talk->err);
    theirs = talk_count(talk, 0);
    assert_memory_equal(&mine, &theirs, sizeof(mine));
    theirs = talk_count(talk, 1);
    assert_int_equal(theirs.messages + theirs.conversations + theirs.escalations, 0);
    ASSERT_STR(talk_conversation(talk, heard.conversation_id).status, STATUS_USER_REPLY_RECEIVED);
    assert_int_equal(talk_conversation(talk, heard.conversation_id).answered_seq, 0);
}

static void
another_organizations_lists_are_empty(void **state)
{
    struct talk *talk = *state;
    struct step step = {.talk = talk, .word = "low_confidence", .text = STR("A draft")};
    struct listing l = {.arena = talk->arena, .limit = 10, .seq = 0};

    step.conversation = l.id = talk_hear(talk, "m1", "u1", "c1", "One").conversation_id;
    ASSERT_OK(talk_run(talk, 0, open_escalation, &step), &talk->err);
    ASSERT_OK(talk_run(talk, 1, list_conversations, &l), &talk->err);
    assert_int_equal(l.count, 0);
    ASSERT_OK(talk_run(talk, 1, list_messages, &l), &talk->err);
    assert_int_equal(l.count, 0);
    l.seq = INT64_MAX;
    ASSERT_OK(talk_run(talk, 1, window_messages, &l), &talk->err);
    assert_int_equal(l.count, 0);
    ASSERT_OK(talk_run(talk, 1, list_escalations, &l), &talk->err);
    assert_int_equal(l.count, 0);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TALK_CASE(answer_names_what_it_covers),
        TALK_CASE(answered_is_answered_once),
        TALK_CASE(person_keeps_the_assistant_out),
        TALK_CASE(answer_deals_with_what_it_names),
        TALK_CASE(taking_without_a_name_keeps_the_owner),
        TALK_CASE(sent_is_noted_when_nothing_waits),
        TALK_CASE(archived_stays_archived),
        TALK_CASE(delivery_moves_only_forward),
        TALK_CASE(delivery_keeps_an_envelope_that_is_not_replaced),
        TALK_CASE(one_open_escalation_a_conversation),
        TALK_CASE(conversations_come_newest_first_in_pages),
        TALK_CASE(messages_come_in_order_and_in_windows),
        TALK_CASE(escalations_come_newest_first_in_pages),
        TALK_CASE(another_organizations_ids_are_not_found),
        TALK_CASE(another_organizations_lists_are_empty),
    };
    int failed;

    if (!talk_suite_begin(argc, argv, "say"))
        return PGSQL_SKIPPED;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    talk_suite_end();
    return failed;
}
