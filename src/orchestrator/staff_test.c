/*
 * staff_test.c - what a person does with a conversation: reply, take over, approve, override, close
 */
#include "orchestrator/orchestrator_test_support.h"
#include "text/json.h"

#define UNSURE                                                                                     \
    "[{\"driver\": \"fake\", \"text\": \"Parcels for Norway leave by train on Tuesdays.\"}]"

static int
set_up(void **state)
{
    struct desk *desk = calloc(1, sizeof(*desk));

    assert_non_null(desk);
    desk_open(desk, "fake", UNSURE);
    *state = desk;
    return 0;
}

static int
tear_down(void **state)
{
    desk_close(*state);
    free(*state);
    return 0;
}

static enum status
reply_as(struct desk *desk, unsigned organization, struct conversation_id id, const char *text)
{
    struct message said;

    const struct staff_words words = {.text = str_from_c(text)};

    return orchestrator_staff_reply(desk->orchestrator, desk->talk.bed.scopes[organization], id,
                                    desk->talk.records[0]->user_id, &words, desk->talk.arena, &said,
                                    &desk->talk.err);
}

static enum status
hand_over_as(struct desk *desk, unsigned organization, struct conversation_id id, bool on)
{
    return orchestrator_hand_over(desk->orchestrator, desk->talk.bed.scopes[organization], id,
                                  desk->talk.records[0]->user_id, on, desk->talk.arena,
                                  &desk->talk.err);
}

static enum status
resolve_as(struct desk *desk, unsigned organization, struct escalation_id id, const char *text,
           bool close_only)
{
    const struct staff_words words = {.text = str_from_c(text)};

    return orchestrator_resolve(desk->orchestrator, desk->talk.bed.scopes[organization], id,
                                desk->talk.records[0]->user_id, &words, close_only,
                                desk->talk.arena, &desk->talk.err);
}

static struct message
last_message(struct desk *desk, struct conversation_id id)
{
    struct message *messages;
    size_t count = desk_messages(desk, id, &messages);

    assert_true(count > 0);
    return messages[count - 1];
}

static void
assert_status(struct desk *desk, struct conversation_id id, const char *status)
{
    ASSERT_STR(talk_conversation(&desk->talk, id).status, status);
}

static void
reply_is_an_agents(void **state)
{
    struct desk *desk = *state;
    struct conversation_id id = desk_hear(desk, "Do you ship to Norway?").conversation_id;
    struct message said;

    ASSERT_OK(reply_as(desk, 0, id, "Yes, every day."), &desk->talk.err);
    said = last_message(desk, id);
    ASSERT_STR(said.role, "agent");
    ASSERT_STR(said.body, "Yes, every day.");
    ASSERT_STR(said.delivery, "queued");
    assert_int_equal(said.answers_to_seq, 0);
    assert_int_equal(desk->queued, 1);
    assert_false(talk_conversation(&desk->talk, id).hand_off_to_human);
}

static void
taken_and_given_back(void **state)
{
    struct desk *desk = *state;
    struct conversation_id id = desk_hear(desk, "Do you ship to Norway?").conversation_id;
    struct message *messages;

    ASSERT_OK(hand_over_as(desk, 0, id, true), &desk->talk.err);
    assert_status(desk, id, STATUS_HANDED_OFF);
    desk_queue(desk, id, QUEUE_TOPIC_INBOUND); /* was waiting when the person took it */
    desk_wait(desk);
    assert_int_equal(desk_messages(desk, id, &messages), 1);
    ASSERT_OK(reply_as(desk, 0, id, "I see to it."), &desk->talk.err);
    assert_status(desk, id, STATUS_HANDED_OFF);
    ASSERT_OK(hand_over_as(desk, 0, id, false), &desk->talk.err);
    desk_queue(desk, id, QUEUE_TOPIC_INBOUND); /* all that came is dealt with */
    desk_wait(desk);
    assert_int_equal(desk_messages(desk, id, &messages), 2);
    (void)desk_ask(desk, "And to Denmark?");
    assert_int_equal(desk_messages(desk, id, &messages), 4);
    ASSERT_STR(messages[3].role, "assistant");
}

/* addressed: 't', 'f', or '-' where the provider has no such thing. */
static struct conversation_id
hear_in(struct desk *desk, const char *chat, unsigned number, char addressed, bool wants_answer)
{
    struct arena *arena = desk->talk.arena;
    struct str id = arena_printf(arena, "%s-%u", chat, number);
    struct inbound inbound =
        talk_message(&desk->talk, id.ptr, "u1", chat, "Do you ship to Norway?");
    struct inbound_result heard;

    inbound.wants_answer = wants_answer;
    inbound.metadata = json_object();
    if (addressed != '-')
        json_set_bool(inbound.metadata, "addressed", addressed == 't');
    ASSERT_OK(talk_receive(&desk->talk, &inbound, &heard), &desk->talk.err);
    json_decref(inbound.metadata);
    return heard.conversation_id;
}

static void
given_back_is_answered_as_it_would_have_been(void **state)
{
    static const struct {
        const char *name;
        char addressed;
        bool wants_answer;
        unsigned before; /* so many that want none */
    } table[] = {
        {"between two", '-', true, 0},
        {"the provider has answered", '-', false, 0},
        {"to us", 't', true, 0},
        {"to us where none is answered", 't', false, 0},
        {"among the others", 'f', false, 0},
        {"where all are answered", 'f', true, 0},
        {"after many others", 't', true, 120},
    };
    struct desk *desk = *state;

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct conversation_id id = hear_in(desk, table[i].name, 0, 'f', false);

        ASSERT_OK(hand_over_as(desk, 0, id, true), &desk->talk.err);
        for (unsigned other = 0; other < table[i].before; other++)
            (void)hear_in(desk, table[i].name, other + 1, 'f', false);
        (void)hear_in(desk, table[i].name, 1000, table[i].addressed, table[i].wants_answer);
        ASSERT_OK(hand_over_as(desk, 0, id, false), &desk->talk.err);
        desk_wait(desk);
        if ((talk_conversation(&desk->talk, id).answered_seq > 0) != table[i].wants_answer)
            fail_msg("%s: not as it should be", table[i].name);
    }
}

static enum status
archive_work(struct store_tx *tx, void *arg, struct err *err)
{
    return conversation_archive(tx, *(struct conversation_id *)arg, TALK_START_US, err);
}

static void
archived_is_not_answered(void **state)
{
    struct desk *desk = *state;
    struct conversation_id id = desk_hear(desk, "Do you ship to Norway?").conversation_id;
    struct message *messages;

    ASSERT_OK(hand_over_as(desk, 0, id, true), &desk->talk.err);
    ASSERT_OK(talk_run(&desk->talk, 0, archive_work, &id), &desk->talk.err);
    ASSERT_OK(hand_over_as(desk, 0, id, false), &desk->talk.err);
    desk_wait(desk);
    assert_int_equal(desk_messages(desk, id, &messages), 1);
    assert_status(desk, id, STATUS_ARCHIVED);
    assert_false(talk_conversation(&desk->talk, id).hand_off_to_human);
}

static void
draft_is_approved(void **state)
{
    struct desk *desk = *state;
    struct conversation_id id = desk_ask(desk, "Do you ship to Norway?").conversation_id;
    struct escalation escalation = desk_escalation(desk);
    struct message said;

    assert_status(desk, id, STATUS_AWAITING_APPROVAL);
    ASSERT_OK(resolve_as(desk, 0, escalation.id, "", false), &desk->talk.err);
    said = last_message(desk, id);
    ASSERT_STR(said.role, "assistant"); /* its own words, which a person let go */
    ASSERT_STR(said.body, "Parcels for Norway leave by train on Tuesdays.");
    assert_status(desk, id, STATUS_AI_RESPONSE_SENT);
    escalation = desk_escalation(desk);
    ASSERT_STR(escalation.status, "approved");
    ASSERT_STR(escalation.resolved_by, desk->talk.records[0]->user_id.id.text);
    assert_int_equal(desk->queued, 2);
    assert_int_equal(resolve_as(desk, 0, escalation.id, "", false), ST_CONFLICT);
    assert_int_equal(resolve_as(desk, 0, escalation.id, "Another", false), ST_CONFLICT);
    assert_int_equal(resolve_as(desk, 0, escalation.id, "", true), ST_CONFLICT);
    assert_int_equal(desk->queued, 2);
}

static void
draft_is_overridden(void **state)
{
    struct desk *desk = *state;
    struct conversation_id id = desk_ask(desk, "Do you ship to Norway?").conversation_id;
    struct escalation escalation = desk_escalation(desk);
    struct message said;

    ASSERT_OK(resolve_as(desk, 0, escalation.id, "In four days.", false), &desk->talk.err);
    said = last_message(desk, id);
    ASSERT_STR(said.role, "agent");
    ASSERT_STR(said.body, "In four days.");
    ASSERT_STR(desk_escalation(desk).status, "overridden");
    assert_status(desk, id, STATUS_AI_RESPONSE_SENT);
}

static void
draft_is_closed(void **state)
{
    struct desk *desk = *state;
    struct conversation_id id = desk_ask(desk, "Do you ship to Norway?").conversation_id;
    struct message *messages;
    size_t before = desk_messages(desk, id, &messages);

    ASSERT_OK(resolve_as(desk, 0, desk_escalation(desk).id, "", true), &desk->talk.err);
    assert_int_equal(desk_messages(desk, id, &messages), before);
    ASSERT_STR(desk_escalation(desk).status, "closed");
    assert_status(desk, id, STATUS_AI_RESPONSE_SENT); /* nothing waits for approval any more */
    assert_int_equal(desk->queued, 1);
}

static void
newer_question_is_not_closed_with_the_draft(void **state)
{
    struct desk *desk = *state;
    struct conversation_id id = desk_ask(desk, "Do you ship to Norway?").conversation_id;

    (void)desk_hear(desk, "Hello?");
    ASSERT_OK(resolve_as(desk, 0, desk_escalation(desk).id, "", true), &desk->talk.err);
    assert_status(desk, id, STATUS_USER_REPLY_RECEIVED);
}

static void
without_a_draft_there_is_nothing_to_approve(void **state)
{
    struct desk *desk = *state;
    struct conversation_id id = desk_ask(desk, "Can I talk to a human?").conversation_id;
    struct escalation escalation = desk_escalation(desk);

    assert_int_equal(resolve_as(desk, 0, escalation.id, "", false), ST_INVALID);
    ASSERT_STR(desk_escalation(desk).status, "open");
    ASSERT_OK(resolve_as(desk, 0, escalation.id, "Here I am.", false), &desk->talk.err);
    ASSERT_STR(last_message(desk, id).role, "agent");
    assert_status(desk, id, STATUS_HANDED_OFF); /* a person has it until it is given back */
}

static void
another_organization_finds_nothing(void **state)
{
    struct desk *desk = *state;
    struct conversation_id id = desk_ask(desk, "Do you ship to Norway?").conversation_id;
    struct escalation escalation = desk_escalation(desk);
    struct talk_counts before = talk_count(&desk->talk, 0), after;

    assert_int_equal(reply_as(desk, 1, id, "Hm"), ST_NOT_FOUND);
    assert_int_equal(hand_over_as(desk, 1, id, true), ST_NOT_FOUND);
    assert_int_equal(hand_over_as(desk, 1, id, false), ST_NOT_FOUND);
    assert_int_equal(resolve_as(desk, 1, escalation.id, "", false), ST_NOT_FOUND);
    assert_int_equal(resolve_as(desk, 1, escalation.id, "", true), ST_NOT_FOUND);
    after = talk_count(&desk->talk, 0);
    assert_memory_equal(&before, &after, sizeof(before));
    ASSERT_STR(desk_escalation(desk).status, "open");
    assert_status(desk, id, STATUS_AWAITING_APPROVAL);
}

struct heard {
    unsigned count;
    char type[32];
};

static bool
on_inbox(const struct live_event *event, void *context)
{
    struct heard *heard = context;

    heard->count++;
    memcpy(heard->type, event->type.ptr, event->type.len);
    return true;
}

static void
staff_hears_of_messages_for_a_person(void **state)
{
    struct desk *desk = *state;
    struct heard heard = {.count = 0};
    struct live_subscription *subscription;
    struct err *err = &desk->talk.err;

    ASSERT_OK(live_subscribe(desk->live, desk->talk.bed.scopes[0], STR("inbox"), STR_EMPTY,
                             on_inbox, &heard, &subscription, err),
              err);
    (void)desk_ask(desk, "Can I talk to a human?");
    assert_int_equal(heard.count, 0);
    (void)desk_ask(desk, "Is anybody there?");
    live_unsubscribe(&subscription);
    assert_int_equal(heard.count, 1);
    assert_string_equal(heard.type, "waiting_for_person");
    assert_int_equal(talk_count(&desk->talk, 0).escalations, 1);
}

int
main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(reply_is_an_agents),
        CASE(taken_and_given_back),
        CASE(archived_is_not_answered),
        CASE(given_back_is_answered_as_it_would_have_been),
        CASE(draft_is_approved),
        CASE(draft_is_overridden),
        CASE(draft_is_closed),
        CASE(newer_question_is_not_closed_with_the_draft),
        CASE(without_a_draft_there_is_nothing_to_approve),
        CASE(another_organization_finds_nothing),
        CASE(staff_hears_of_messages_for_a_person),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
