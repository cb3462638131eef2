/*
 * inbound_test.c - a conversation's turn: answered, unsure, handed on, overtaken
 */
#include "conversation/conversation_test_sql.h"
#include "conversation/deletion.h"
#include "conversation/view.h"
#include "orchestrator/orchestrator_test_support.h"
#include "orchestrator/phrases.h"
#include "text/json.h"

#define GROUNDED "[{\"driver\": \"fake\", \"text\": \"We ship to Norway within five days [1].\"}]"

static struct desk *
open_desk(void **state, const char *source, const char *models)
{
    struct desk *desk = calloc(1, sizeof(*desk));

    assert_non_null(desk);
    desk_open(desk, source, models);
    *state = desk;
    return desk;
}

static int
tear_down(void **state)
{
    desk_close(*state);
    free(*state);
    return 0;
}

static bool
nothing_escalated(struct desk *desk)
{
    return talk_count(&desk->talk, 0).escalations == 0;
}

static void
assert_status(struct desk *desk, struct conversation_id id, const char *status)
{
    ASSERT_STR(talk_conversation(&desk->talk, id).status, status);
}

static void
answer_is_grounded_and_queued(void **state)
{
    struct desk *desk = open_desk(state, "fake", GROUNDED);
    struct inbound_result asked = desk_ask(desk, "Do you ship to Norway?");
    struct message answer = desk_answer(desk, asked.conversation_id);
    json_auto_t *metadata = NULL, *envelope = NULL;
    json_t *citation, *processing, *times;
    struct err err;

    ASSERT_STR(answer.body, "We ship to Norway within five days [1].");
    ASSERT_STR(answer.delivery, "queued");
    assert_int_equal(answer.answers_from_seq, 1);
    assert_int_equal(answer.answers_to_seq, 1);
    assert_int_equal(desk->queued, 1);
    assert_int_equal(talk_conversation(&desk->talk, asked.conversation_id).answered_seq, 1);
    assert_status(desk, asked.conversation_id, STATUS_USER_REPLY_RECEIVED); /* not sent yet */
    ASSERT_OK(json_parse(answer.metadata, &metadata, &err), &err);
    assert_int_equal(json_array_size(json_get_array(metadata, "citations")), 1);
    citation = json_array_get(json_get_array(metadata, "citations"), 0);
    ASSERT_STR(json_get_str(citation, "title"), "Shipping");
    ASSERT_STR(json_get_str(citation, "heading_path"), "Abroad");
    assert_int_equal(json_get_int(citation, "number", 0), 1);
    ASSERT_STR(
        json_string_value(json_array_get(json_get_array(metadata, "answers"), 0)) == NULL
            ? STR_EMPTY
            : str_from_c(json_string_value(json_array_get(json_get_array(metadata, "answers"), 0))),
        asked.message_id.id.text);
    assert_true(nothing_escalated(desk));
    /* The test's inbound envelope is {}: nothing can be enriched, and nothing is lost by it. */
    ASSERT_OK(json_parse(answer.envelope, &envelope, &err), &err);
    processing = json_get_object(envelope, "processing");
    times = json_get_object(processing, "processing_timestamps");
    assert_null(times);
}

static void
local_answer_is_delivered_by_its_commit(void **state)
{
    struct desk *desk = open_desk(state, "local", GROUNDED);
    struct inbound_result asked = desk_ask(desk, "Do you ship to Norway?");

    ASSERT_STR(desk_answer(desk, asked.conversation_id).delivery, "delivered");
    assert_status(desk, asked.conversation_id, STATUS_AI_RESPONSE_SENT);
    assert_int_equal(desk->queued, 0);
}

static void
unsure_answer_waits_for_a_person(void **state)
{
    static const struct {
        const char *name, *models, *draft;
    } table[] = {
        {"the model says so", "[{\"driver\": \"fake\", \"text\": \"NO_ANSWER\"}]", ""},
        {"the model flags it",
         "[{\"driver\": \"fake\", \"text\": \"Perhaps [1]\", \"no_answer\": true}]", ""},
        {"invented",
         "[{\"driver\": \"fake\", \"text\": \"Elephants graze peacefully near mountains [1].\"}]",
         "Elephants graze peacefully near mountains."},
        {"another number",
         "[{\"driver\": \"fake\", \"text\": \"We ship to Norway within ten days [1].\"}]",
         "We ship to Norway within ten days."},
        {"nothing", "[{\"driver\": \"fake\", \"text\": \"[1]\"}]", ""},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct desk *desk = open_desk(state, "fake", table[i].models);
        struct inbound_result asked = desk_ask(desk, "Do you ship to Norway?");
        struct escalation escalation = desk_escalation(desk);

        print_message("           %s\n", table[i].name);
        assert_true(str_eq(desk_answer(desk, asked.conversation_id).body,
                           phrase_get(PHRASE_UNSURE, STR("en"))));
        assert_status(desk, asked.conversation_id, STATUS_AWAITING_APPROVAL);
        ASSERT_STR(escalation.reason, "low_confidence");
        ASSERT_STR(escalation.status, "open");
        ASSERT_STR(escalation.draft, table[i].draft);
        assert_true(id_eq(&escalation.message_id.id, &asked.message_id.id));
        assert_int_equal(desk->queued, 1);
        if (i + 1 < sizeof(table) / sizeof(table[0]))
            (void)tear_down(state);
    }
}

static void
model_that_fails_is_replaced_by_the_documents(void **state)
{
    struct desk *desk =
        open_desk(state, "fake", "[{\"driver\": \"failing\", \"status\": \"unavailable\"}]");
    struct inbound_result asked = desk_ask(desk, "Do you ship to Norway?");
    struct message answer = desk_answer(desk, asked.conversation_id);
    json_auto_t *metadata = NULL;
    struct err err;

    assert_true(str_find(answer.body, STR("Norway")) >= 0);
    assert_true(str_find(answer.body, STR("[1]")) >= 0);
    ASSERT_OK(json_parse(answer.metadata, &metadata, &err), &err);
    ASSERT_STR(json_get_str(metadata, "model"), "extractive");
}

static enum status
set_persona(struct store_tx *tx, void *persona, struct err *err)
{
    return store_exec(tx, &SQL_TEST_PERSONA, ARGS(sv_text(*(struct str *)persona)), NULL, err);
}

static void
customer_hears_something_true_when_all_fails(void **state)
{
    struct desk *desk = open_desk(state, "fake", GROUNDED);
    struct str damaged = STR("{damaged");
    struct inbound_result asked;

    ASSERT_OK(talk_run(&desk->talk, 0, set_persona, &damaged), &desk->talk.err);
    asked = desk_ask(desk, "Do you ship to Norway?");
    assert_true(str_eq(desk_answer(desk, asked.conversation_id).body,
                       phrase_get(PHRASE_UNSURE, STR("en"))));
    ASSERT_STR(desk_escalation(desk).reason, "model_failed");
    assert_status(desk, asked.conversation_id, STATUS_AWAITING_APPROVAL);
    assert_int_equal(bed_count(&desk->talk.bed, 0, NULL).dead, 0);
}

static void
wish_for_a_person_hands_over(void **state)
{
    struct desk *desk = open_desk(state, "fake", GROUNDED);
    struct inbound_result asked = desk_ask(desk, "Can I talk to a human?"), later;
    struct escalation escalation;
    struct message *messages;

    assert_true(str_eq(desk_answer(desk, asked.conversation_id).body,
                       phrase_get(PHRASE_PERSON, STR("en"))));
    assert_status(desk, asked.conversation_id, STATUS_HANDED_OFF);
    assert_true(talk_conversation(&desk->talk, asked.conversation_id).hand_off_to_human);
    ASSERT_STR(desk_escalation(desk).reason, "asked_for_person");
    later = desk_ask(desk, "Do you ship to Norway?"); /* no AI runs any more */
    assert_true(later.hand_off_to_human);
    assert_int_equal(desk_messages(desk, asked.conversation_id, &messages), 3);
    escalation = desk_escalation(desk);
    assert_true(id_eq(&escalation.message_id.id, &later.message_id.id));
    assert_int_equal(talk_count(&desk->talk, 0).escalations, 1);
}

static void
courtesies_are_returned(void **state)
{
    struct desk *desk = open_desk(state, "fake", GROUNDED);
    struct inbound_result asked = desk_ask(desk, "Hello");
    json_auto_t *metadata = NULL;
    struct err err;

    assert_true(str_eq(desk_answer(desk, asked.conversation_id).body,
                       phrase_get(PHRASE_GREETING, STR("en"))));
    ASSERT_OK(json_parse(desk_answer(desk, asked.conversation_id).metadata, &metadata, &err), &err);
    assert_int_equal(json_array_size(json_get_array(metadata, "citations")), 0);
    asked = desk_ask(desk, "Thanks");
    assert_true(str_eq(desk_answer(desk, asked.conversation_id).body,
                       phrase_get(PHRASE_WELCOME, STR("en"))));
    asked = desk_ask(desk, ""); /* a picture, say */
    assert_true(str_eq(desk_answer(desk, asked.conversation_id).body,
                       phrase_get(PHRASE_UNREADABLE, STR("en"))));
    assert_true(nothing_escalated(desk));
}

static void
what_waits_is_answered_together(void **state)
{
    struct desk *desk = open_desk(state, "fake", "[{\"driver\": \"fake\"}]"); /* an echo */
    struct inbound_result asked;
    struct message answer;
    struct message *messages;

    (void)desk_hear(desk, "Parcels to Norway");
    (void)desk_hear(desk, "");
    asked = desk_ask(desk, "what do they cost?");
    answer = desk_answer(desk, asked.conversation_id);
    assert_int_equal(answer.answers_from_seq, 1);
    assert_int_equal(answer.answers_to_seq, 3);
    assert_int_equal(desk_messages(desk, asked.conversation_id, &messages), 4);
    assert_true(str_find(desk_escalation(desk).draft, STR("Norway\nwhat do they cost?")) >= 0 ||
                str_find(answer.body, STR("Norway\nwhat do they cost?")) >= 0);
    desk_queue(desk, asked.conversation_id, QUEUE_TOPIC_INBOUND); /* a job too many */
    desk_wait(desk);
    assert_int_equal(desk_messages(desk, asked.conversation_id, &messages), 4);
    assert_int_equal(bed_count(&desk->talk.bed, 0, NULL).dead, 0);
}

/* --- while the model works --- */

struct intruder {
    struct desk *desk;
    struct conversation_id id;
    unsigned deltas;
    store_work work; /* at the first delta; may be NULL */
};

static enum status
take_over(struct store_tx *tx, void *arg, struct err *err)
{
    const struct intruder *intruder = arg;

    return conversation_hand_over(tx, intruder->id, true, (struct user_id){{""}}, err);
}

/* Of the question that is being answered. */
static enum status
delete_question(struct store_tx *tx, void *arg, struct err *err)
{
    const struct intruder *intruder = arg;
    struct inbound deletion = talk_event("deletion", "d1", "m1");
    struct deletion deleted;
    enum status st = conversation_record_deletion(tx, intruder->desk->talk.records[0], &deletion,
                                                  clock_wall_us(clock_system()), &deleted, err);

    return st == ST_CONFLICT ? ST_OK : st; /* told before */
}

/* On the worker's thread, within the model's call. */
static bool
on_event(const struct live_event *event, void *context)
{
    struct intruder *intruder = context;
    struct err err;

    if (!str_eq_c(event->type, "answer_delta"))
        return true;
    if (intruder->deltas++ == 0 && intruder->work != NULL)
        ASSERT_OK(store_run(intruder->desk->talk.bed.store, intruder->desk->talk.bed.scopes[0],
                            "test", STORE_DURABLE, intruder->work, intruder, &err),
                  &err);
    return true;
}

static void
watch(struct desk *desk, store_work work, struct intruder *intruder)
{
    struct live_subscription *subscription;
    struct str topic = chat_topic(desk->talk.records[0]->id, STR("u1"), desk->talk.arena);
    struct err err;

    *intruder = (struct intruder){.desk = desk, .work = work};
    intruder->id = desk_hear(desk, "Do you ship to Norway?").conversation_id;
    ASSERT_OK(live_subscribe(desk->live, desk->talk.bed.scopes[0], topic, STR_EMPTY, on_event,
                             intruder, &subscription, &err),
              &err);
    desk_queue(desk, intruder->id, QUEUE_TOPIC_INBOUND);
    desk_wait(desk);
    live_unsubscribe(&subscription);
}

static void
answer_streams_as_it_is_made(void **state)
{
    static const char models[] =
        "[{\"driver\": \"fake\", \"text\": \"We ship to Norway within five days [1]. Elephants "
        "graze. Shipping to Norway costs nine euros [1].\"}]";
    struct desk *desk = open_desk(state, "streaming", models);
    struct intruder intruder;

    watch(desk, NULL, &intruder);
    assert_int_equal(intruder.deltas, 2); /* a sentence at a time, what nobody wrote left out */
    ASSERT_STR(desk_answer(desk, intruder.id).body,
               "We ship to Norway within five days [1]. Shipping to Norway costs nine euros [1].");
}

static bool
take_no_text(struct str piece, void *context)
{
    (void)piece;
    (void)context;
    return true;
}

static void
restart_nothing(void *context)
{
    (void)context;
}

/* A model's text takes its time; what the documents say is at hand at once. */
static void
only_a_model_is_slow(void **state)
{
    static const struct {
        const char *models, *persona;
        bool is_slow;
    } table[] = {
        {GROUNDED, "{}", true},
        {GROUNDED, "{\"model\": \"extractive\"}", false},
        {"[]", "{}", false},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct desk *desk = open_desk(state, "streaming", table[i].models);
        struct arena *arena = arena_create(65536);
        struct question question = {.text = STR("Do you ship to Norway?")};
        struct str persona = str_from_c(table[i].persona);
        bool is_slow = !table[i].is_slow;
        struct answer_stream stream = {take_no_text, restart_nothing, NULL, &is_slow};
        struct answer answer;
        struct err err;

        ASSERT_OK(talk_run(&desk->talk, 0, set_persona, &persona), &desk->talk.err);
        ASSERT_OK(orchestrator_answer(desk->orchestrator, desk->talk.bed.scopes[0], &question,
                                      &stream, arena, &answer, &err),
                  &err);
        assert_true(str_find(answer.text, STR("Norway")) >= 0);
        assert_int_equal(is_slow, table[i].is_slow);
        arena_destroy(&arena);
        if (i + 1 < sizeof(table) / sizeof(table[0]))
            (void)tear_down(state);
    }
}

static void
withheld_answer_does_not_stream(void **state)
{
    struct desk *desk =
        open_desk(state, "streaming", "[{\"driver\": \"fake\", \"text\": \"NO_ANSWER\"}]");
    struct intruder intruder;

    watch(desk, NULL, &intruder);
    assert_int_equal(intruder.deltas, 0);
    assert_status(desk, intruder.id, STATUS_AWAITING_APPROVAL);
}

static void
person_who_takes_over_has_the_word(void **state)
{
    struct desk *desk = open_desk(state, "streaming", GROUNDED);
    struct intruder intruder;
    struct message *messages;

    watch(desk, take_over, &intruder);
    assert_true(intruder.deltas > 0);
    assert_int_equal(desk_messages(desk, intruder.id, &messages), 1); /* the draft is dropped */
    assert_status(desk, intruder.id, STATUS_HANDED_OFF);
    assert_int_equal(desk->queued, 0);
    assert_int_equal(bed_count(&desk->talk.bed, 0, NULL).dead, 0);
    assert_int_equal(bed_count(&desk->talk.bed, 0, NULL).ready, 0);
}

static void
deleted_question_is_answered_no_more(void **state)
{
    struct desk *desk = open_desk(state, "streaming", GROUNDED);
    struct intruder intruder;
    struct message *messages;

    watch(desk, delete_question, &intruder);
    assert_int_equal(intruder.deltas, 1); /* it is not asked again */
    assert_int_equal(desk_messages(desk, intruder.id, &messages), 1);
    assert_int_equal(talk_conversation(&desk->talk, intruder.id).answered_seq, 1);
    assert_int_equal(desk->queued, 0);
    assert_int_equal(bed_count(&desk->talk.bed, 0, NULL).ready, 0);
    assert_int_equal(bed_count(&desk->talk.bed, 0, NULL).dead, 0);
}

/* What else was asked is answered, without what was taken back. */
static void
what_is_left_is_answered(void **state)
{
    struct desk *desk = open_desk(state, "streaming", "[{\"driver\": \"fake\"}]"); /* an echo */
    struct intruder intruder;
    struct message answer;

    (void)desk_hear(desk, "Do you ship to Norway, to my aunt?");
    watch(desk, delete_question, &intruder);
    answer = desk_answer(desk, intruder.id);
    assert_true(str_find(answer.body, STR("Norway")) >= 0);
    assert_true(str_find(answer.body, STR("aunt")) < 0);
    assert_int_equal(answer.answers_from_seq, 2);
    assert_int_equal(answer.answers_to_seq, 2);
}

/* --- what cannot be answered at all --- */

static void
dead_turn_is_told_to_staff(void **state)
{
    struct desk *desk = open_desk(state, "fake", GROUNDED);
    struct inbound_result asked = desk_hear(desk, "Do you ship to Norway?");
    struct talk *talk = &desk->talk;

    ASSERT_OK(
        channel_delete(talk->bed.tenants, talk->bed.scopes[0], talk->records[0]->id, &talk->err),
        &talk->err);
    desk_queue(desk, asked.conversation_id, QUEUE_TOPIC_INBOUND);
    desk_wait(desk);
    assert_int_equal(bed_count(&talk->bed, 0, QUEUE_TOPIC_INBOUND).dead, 1);
    assert_int_equal(talk_count(talk, 0).messages, 1);
}

static void
turn_of_nothing_dies_alone(void **state)
{
    struct desk *desk = open_desk(state, "fake", GROUNDED);

    desk_queue(desk, ID_NEW(conversation_id), QUEUE_TOPIC_INBOUND);
    desk_wait(desk);
    assert_int_equal(bed_count(&desk->talk.bed, 0, QUEUE_TOPIC_INBOUND).dead, 1);
    (void)desk_ask(desk, "Do you ship to Norway?");
    assert_int_equal(desk->queued, 1);
}

int
main(void)
{
#define CASE(fn) cmocka_unit_test_teardown(fn, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(answer_is_grounded_and_queued),
        CASE(local_answer_is_delivered_by_its_commit),
        CASE(unsure_answer_waits_for_a_person),
        CASE(model_that_fails_is_replaced_by_the_documents),
        CASE(customer_hears_something_true_when_all_fails),
        CASE(wish_for_a_person_hands_over),
        CASE(courtesies_are_returned),
        CASE(what_waits_is_answered_together),
        CASE(answer_streams_as_it_is_made),
        CASE(only_a_model_is_slow),
        CASE(withheld_answer_does_not_stream),
        CASE(person_who_takes_over_has_the_word),
        CASE(deleted_question_is_answered_no_more),
        CASE(what_is_left_is_answered),
        CASE(dead_turn_is_told_to_staff),
        CASE(turn_of_nothing_dies_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
