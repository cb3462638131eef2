/*
 * echo_test.c - who said what came back from the provider's own app: somebody there, or we
 */
#include <stdio.h>
#include <stdlib.h>

#include "conversation/delivery.h"
#include "conversation/talk_suite_test_support.h"
#include "text/json.h"

#define LONG_TEXT                                                                                  \
    "We open at **nine**, and the workshop at ten. We open at nine, and the workshop at ten. "     \
    "We open at nine, and the workshop at ten. We open at nine, and the workshop at ten. "         \
    "We open at nine, and the workshop at ten. We open at nine, and the workshop at ten. "         \
    "We open at nine, and the workshop at ten. We open at nine, and the workshop at ten. "         \
    "We open at nine, and the workshop at ten. We open at nine. See you soon!"

struct saying {
    struct talk *talk;
    struct outbound_spec spec;
    const char *known_as; /* NULL: the provider's id is not recorded */
    /* of an echo */
    struct inbound echo;
    bool takes_over, is_person;
    struct inbound_result result;
};

static enum status
say_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct saying *s = arg;
    int64_t now_us = clock_wall_us(s->talk->clock), seq;
    enum status st = conversation_add_outbound(tx, &s->spec, now_us, &seq, err);

    if (st == ST_OK && s->known_as != NULL)
        st = delivery_note_part(tx, s->talk->records[0]->id, s->spec.id, 0, str_from_c(s->known_as),
                                now_us, err);
    return st;
}

static enum status
echo_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct saying *s = arg;

    return conversation_record_echo(tx, s->talk->records[0], &s->echo, ID_NEW(message_id),
                                    s->takes_over, clock_wall_us(s->talk->clock), &s->is_person,
                                    &s->result, err);
}

static struct inbound
echo_of(const char *event_id, const char *about, const char *text)
{
    struct inbound echo = talk_event("echo", event_id, about);

    echo.external_user_id = echo.external_chat_id = STR("c1");
    echo.text = str_from_c(text);
    return echo;
}

static void
own_words_are_known_again(void **state)
{
    static const struct {
        const char *name, *said, *metadata, *known_as, *echo, *about;
        int64_t later_us;
        bool is_person;
    } table[] = {
        {"by its id", "An answer", "{}", "x1", "whatever it says", "x1", 0, false},
        {"another id and other words", "An answer", "{}", "x1", "Ines here", "x2", 0, true},
        {"by its words, before the id is known", "An **answer** [1].", "{}", NULL, "An answer [1]",
         "x1", 0, false},
        {"other words", "An answer", "{}", NULL, "Answer", "x1", 0, true},
        {"a first part", LONG_TEXT, "{}", NULL, "We open at nine, and the workshop at ten.", "x1",
         0, false},
        {"a short last part", LONG_TEXT, "{}", NULL, "See you soon!", "x1", 0, false},
        {"short words that stand within", LONG_TEXT, "{}", NULL, "at ten", "x1", 0, true},
        {"with buttons listed under it", "Which of these do you mean by that?", "{}", NULL,
         "Which of these do you mean by that?\n1. This\n2. That", "x1", 0, false},
        {"more words than ours", "Yes", "{}", NULL, "Yes, on Monday", "x1", 0, true},
        {"a file of ours", "Here", "{\"attachments\": [{\"object\": \"o\"}]}", NULL, "", "x1", 0,
         false},
        {"a file, long after ours", "Here", "{\"attachments\": [{\"object\": \"o\"}]}", NULL, "",
         "x1", 601 * US_PER_S, true},
        {"a file of somebody", "Here", "{}", NULL, "", "x1", 0, true},
        {"letters beyond ASCII", "Grüße", "{}", NULL, "Grüße!", "x1", 0, false},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct talk *talk = *state;
        char id[16], chat[16], about[32], known[32];

        (void)snprintf(id, sizeof(id), "m%zu", i);
        (void)snprintf(chat, sizeof(chat), "c%zu", i + 1);
        (void)snprintf(about, sizeof(about), "%s:%zu", table[i].about, i);
        (void)snprintf(known, sizeof(known), "%s:%zu",
                       table[i].known_as == NULL ? "" : table[i].known_as, i);
        struct inbound_result first = talk_hear(talk, id, chat, chat, "Hello");
        struct saying s = {.talk = talk,
                           .spec = {.conversation_id = first.conversation_id,
                                    .id = ID_NEW(message_id),
                                    .role = "assistant",
                                    .body = str_from_c(table[i].said),
                                    .metadata = str_from_c(table[i].metadata),
                                    .delivery = "sending"},
                           .known_as = table[i].known_as == NULL ? NULL : known,
                           .echo = echo_of(id, about, table[i].echo),
                           .takes_over = true};

        s.echo.external_user_id = s.echo.external_chat_id = str_from_c(chat);
        ASSERT_OK(talk_run(talk, 0, say_work, &s), &talk->err);
        clock_advance_us(talk->clock, table[i].later_us);
        ASSERT_OK(talk_run(talk, 0, echo_work, &s), &talk->err);
        if (s.is_person != table[i].is_person ||
            talk_conversation(talk, first.conversation_id).hand_off_to_human != s.is_person)
            fail_msg("%s: %s", table[i].name, s.is_person ? "somebody's" : "ours");
    }
}

/* What somebody says answers what waited; the conversation is theirs, unless they do not take it.
 */
static void
person_takes_the_conversation(void **state)
{
    for (unsigned takes_over = 0; takes_over < 2; takes_over++) {
        struct talk *talk = *state;
        const char *chat = takes_over ? "c1" : "c2";
        struct inbound_result first =
            talk_hear(talk, takes_over ? "m1" : "m2", chat, chat, "Are you open?");
        struct saying s = {
            .talk = talk,
            .echo = echo_of(takes_over ? "e1" : "e2", takes_over ? "x1" : "x2", "Until six."),
            .takes_over = takes_over != 0};
        struct conversation c;
        struct message m;

        s.echo.external_user_id = s.echo.external_chat_id = str_from_c(chat);
        ASSERT_OK(talk_run(talk, 0, echo_work, &s), &talk->err);
        assert_true(s.is_person);
        assert_true(id_eq(&s.result.conversation_id.id, &first.conversation_id.id));
        c = talk_conversation(talk, first.conversation_id);
        assert_int_equal(c.hand_off_to_human, takes_over);
        ASSERT_STR(c.status, takes_over ? STATUS_HANDED_OFF : STATUS_AI_RESPONSE_SENT);
        assert_int_equal(c.last_seq, 2);
        assert_int_equal(c.answered_seq, 2);
        m = talk_get(talk, s.result.message_id);
        ASSERT_STR(m.role, "agent");
        ASSERT_STR(m.body, "Until six.");
        ASSERT_STR(m.delivery, "sent");
        ASSERT_STR(m.external_message_id, takes_over ? "x1" : "x2");
        assert_int_equal(talk_run(talk, 0, echo_work, &s), ST_CONFLICT);
        assert_int_equal(talk_conversation(talk, c.id).last_seq, 2);
    }
}

/* Whoever writes first from the app begins the conversation, and has it. */
static void
person_begins(void **state)
{
    struct talk *talk = *state;
    struct saying s = {
        .talk = talk, .echo = echo_of("e1", "x1", "Your bike is ready."), .takes_over = true};

    ASSERT_OK(talk_run(talk, 0, echo_work, &s), &talk->err);
    assert_true(s.is_person && s.result.is_new_conversation);
    assert_true(talk_hear(talk, "m1", "c1", "c1", "Thanks!").hand_off_to_human);
    assert_int_equal(talk_count(talk, 0).contacts, 1);
    assert_int_equal(talk_count(talk, 0).events, 1);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TALK_CASE(own_words_are_known_again),
        TALK_CASE(person_takes_the_conversation),
        TALK_CASE(person_begins),
    };
    int failed;

    if (!talk_suite_begin(argc, argv, "echo"))
        return PGSQL_SKIPPED;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    talk_suite_end();
    return failed;
}
