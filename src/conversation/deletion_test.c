/*
 * deletion_test.c - what a person deletes is gone: words, files, former words, quotations
 */
#include "conversation/deletion.h"

#include <stdio.h>
#include <stdlib.h>

#include "conversation/conversation_test_sql.h"
#include "conversation/talk_suite_test_support.h"
#include "text/json.h"

struct deleting {
    struct talk *talk;
    const struct inbound *event;
    struct deletion deletion, early[DELETIONS_AT_ONCE];
    size_t count;
};

static enum status
delete_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct deleting *d = arg;

    return conversation_record_deletion(tx, d->talk->records[0], d->event,
                                        clock_wall_us(d->talk->clock), &d->deletion, err);
}

static enum status
early_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct deleting *d = arg;

    return deletion_apply_early(tx, 0, d->early, &d->count, err);
}

static struct deletion
delete_message(struct talk *talk, const char *event_id, const char *about)
{
    struct inbound event = talk_event("deletion", event_id, about);
    struct deleting d = {.talk = talk, .event = &event};

    event.raw = STR("{\"previous_message\":{\"text\":\"the secret words\"}}");
    ASSERT_OK(talk_run(talk, 0, delete_work, &d), &talk->err);
    return d.deletion;
}

static size_t
apply_early(struct talk *talk, struct deletion *first_out)
{
    struct deleting *d = calloc(1, sizeof *d);
    size_t count;

    assert_non_null(d);
    d->talk = talk;
    ASSERT_OK(talk_run(talk, 0, early_work, d), &talk->err);
    count = d->count;
    *first_out = d->early[0];
    free(d);
    return count;
}

static struct inbound_result
hear_as(struct talk *talk, const char *id, const char *user, const char *text, const char *metadata)
{
    struct inbound inbound = talk_message(talk, id, user, "c1", text);
    struct inbound_result result;

    json_decref(inbound.metadata);
    inbound.metadata = json_loads(metadata, 0, NULL);
    assert_non_null(inbound.metadata);
    ASSERT_OK(talk_receive(talk, &inbound, &result), &talk->err);
    json_decref(inbound.metadata);
    return result;
}

static struct inbound_result
hear_with(struct talk *talk, const char *id, const char *text, const char *metadata)
{
    return hear_as(talk, id, "u1", text, metadata);
}

struct listing {
    struct arena *arena;
    struct kept_event *events;
    size_t count;
};

static enum status
list_events(struct store_tx *tx, void *arg, struct err *err)
{
    struct listing *l = arg;

    return channel_event_list(tx, STR(""), (struct id_text){""}, 100, l->arena, &l->events,
                              &l->count, err);
}

/* Of count that there are. */
static size_t
events_that_say(struct talk *talk, const char *word, size_t count)
{
    struct listing l = {.arena = talk->arena};
    size_t say = 0;

    ASSERT_OK(talk_run(talk, 0, list_events, &l), &talk->err);
    assert_int_equal(l.count, count);
    for (size_t i = 0; i < l.count; i++)
        if (str_find(l.events[i].payload, str_from_c(word)) >= 0)
            say++;
    return say;
}

static void
assert_no_event_says(struct talk *talk, const char *word, size_t count)
{
    assert_int_equal(events_that_say(talk, word, count), 0);
}

static void
words_and_files_go_the_row_stays(void **state)
{
    struct talk *talk = *state;
    struct inbound_result first =
        hear_with(talk, "m1", "the secret words",
                  "{\"raw_kind\":\"image\",\"addressed\":true,\"thread\":\"t1\",\"phone\":\"4915\","
                  "\"attachments\":[{\"kind\":\"image\",\"object\":\"media/x/0\"}],"
                  "\"location\":{\"latitude\":1}}");
    struct deletion deletion;
    struct message m;

    clock_advance_us(talk->clock, 5 * US_PER_S);
    deletion = delete_message(talk, "e1", "m1");
    assert_true(id_eq(&deletion.message_id.id, &first.message_id.id));
    assert_true(id_eq(&deletion.conversation_id.id, &first.conversation_id.id));
    assert_true(deletion.had_media);
    m = talk_get(talk, first.message_id);
    ASSERT_STR(m.body, "");
    ASSERT_STR(m.metadata, "{\"raw_kind\":\"image\",\"addressed\":true,\"thread\":\"t1\"}");
    assert_int_equal(m.deleted_at_us, TALK_START_US + 5 * US_PER_S);
    assert_int_equal(m.created_at_us, TALK_START_US);
    assert_int_equal(m.seq, 1);
    ASSERT_STR(m.external_message_id, "m1");
    ASSERT_STR(talk_conversation(talk, first.conversation_id).title, "");
    assert_no_event_says(talk, "secret", 1);

    /* Told again in other words, nothing is left to do. */
    deletion = delete_message(talk, "e2", "m1");
    assert_true(id_is_none(&deletion.message_id.id));
    assert_int_equal(talk_get(talk, first.message_id).deleted_at_us, TALK_START_US + 5 * US_PER_S);
}

static void
former_words_go_too(void **state)
{
    struct talk *talk = *state;
    struct inbound_result first = talk_hear(talk, "m0", "u1", "c1", "Hello");
    struct inbound_result second = talk_hear(talk, "m1", "u1", "c1", "the secret words");
    struct inbound edit = talk_event("edit", "e1", "m1");
    struct inbound other = talk_event("edit", "e2", "m0");

    edit.text = STR("the secret word");
    edit.raw = STR("{\"text\":\"the secret word\"}");
    ASSERT_OK(talk_receive_event(talk, &edit), &talk->err);
    other.text = STR("Hello there");
    other.raw = STR("{\"text\":\"Hello there\"}");
    ASSERT_OK(talk_receive_event(talk, &other), &talk->err);
    assert_false(delete_message(talk, "e3", "m1").had_media);
    ASSERT_STR(talk_get(talk, second.message_id).metadata, "{}");
    ASSERT_STR(talk_get(talk, first.message_id).body, "Hello there");
    ASSERT_STR(talk_conversation(talk, first.conversation_id).title, "Hello");
    assert_no_event_says(talk, "secret", 3);

    /* An edit that was late does not bring them back. */
    edit.external_event_id = STR("e4");
    ASSERT_OK(talk_receive_event(talk, &edit), &talk->err);
    ASSERT_STR(talk_get(talk, second.message_id).body, "");
    assert_no_event_says(talk, "secret", 4);
    edit.external_event_id = STR("e5");
    edit.event_kind = STR("service"); /* a preview */
    ASSERT_OK(talk_receive_event(talk, &edit), &talk->err);
    assert_no_event_says(talk, "secret", 5);
}

static void
quotations_go_too(void **state)
{
    struct talk *talk = *state;
    struct inbound_result quoting, other;

    (void)talk_hear(talk, "m\"1", "u1", "c1", "the secret words");
    quoting = hear_with(
        talk, "m2", "As I said",
        "{\"reply_to\":{\"external_message_id\":\"m\\\"1\",\"text\":\"the secret words\"}}");
    other = hear_with(talk, "m3", "And this",
                      "{\"reply_to\":{\"external_message_id\":\"m2\",\"text\":\"As I said\"},"
                      "\"about\":\"m\\\"1\"}");
    (void)delete_message(talk, "e1", "m\"1");
    ASSERT_STR(talk_get(talk, quoting.message_id).metadata,
               "{\"reply_to\":{\"external_message_id\":\"m\\\"1\"}}");
    ASSERT_STR(talk_get(talk, quoting.message_id).body, "As I said");
    assert_true(str_find(talk_get(talk, other.message_id).metadata, STR("As I said")) >= 0);
}

#define QUOTATIONS 230
#define QUOTING_M1 "{\"reply_to\":{\"external_message_id\":\"m1\",\"text\":\"the secret words\"}}"

static enum status
count_quoting(struct store_tx *tx, void *arg, struct err *err)
{
    int64_t *count_out = arg;
    struct store_rows *rows = NULL;
    enum status st = store_query_one(tx, &SQL_TEST_QUOTING, NO_ARGS, &rows, err);

    if (st != ST_OK)
        return st;
    *count_out = store_col_int(rows, 0);
    return store_rows_close(&rows, err);
}

static enum status
quote_often(struct store_tx *tx, void *arg, struct err *err)
{
    const struct talk *talk = arg;
    enum status st = ST_OK;

    for (unsigned i = 0; st == ST_OK && i < QUOTATIONS; i++) {
        struct inbound inbound = talk_message(arg, "", "u1", "c1", "As I said");
        struct inbound_result result;

        inbound.external_message_id = arena_printf(store_tx_arena(tx), "q%u", i);
        inbound.metadata = json_loads(QUOTING_M1, 0, NULL);
        inbound.starts_new_conversation = i == QUOTATIONS / 2;
        st = conversation_record_inbound(tx, talk->records[0], &inbound, STR("{}"),
                                         ID_NEW(message_id), TALK_START_US, false, &result, err);
        json_decref(inbound.metadata);
    }
    return st;
}

/* Also in the conversation that was begun after it. */
static void
all_quotations_of_the_chat_go(void **state)
{
    struct talk *talk = *state;
    struct inbound_result elsewhere;
    struct inbound inbound = talk_message(talk, "other", "u2", "c2", "As they said");
    int64_t quoting = -1;

    (void)talk_hear(talk, "m1", "u1", "c1", "the secret words");
    inbound.metadata = json_loads(QUOTING_M1, 0, NULL);
    ASSERT_OK(talk_receive(talk, &inbound, &elsewhere), &talk->err);
    json_decref(inbound.metadata);
    ASSERT_OK(talk_run(talk, 0, quote_often, talk), &talk->err);
    ASSERT_OK(talk_run(talk, 0, count_quoting, &quoting), &talk->err);
    assert_int_equal(quoting, QUOTATIONS + 1);
    (void)delete_message(talk, "e1", "m1");
    ASSERT_OK(talk_run(talk, 0, count_quoting, &quoting), &talk->err);
    assert_int_equal(quoting, 1); /* another chat's, of another message with that id */
}

static void
nobody_elses_message_goes(void **state)
{
    struct talk *talk = *state;
    struct inbound_result first = talk_hear(talk, "m1", "u1", "c1", "Hello");
    struct inbound event = talk_event("deletion", "e1", "m1");
    struct deleting d = {.talk = talk, .event = &event};
    struct deletion none;

    /* The same id at another channel's account. */
    ASSERT_OK(talk_run(talk, 1, delete_work, &d), &talk->err);
    assert_true(id_is_none(&d.deletion.message_id.id));
    none = delete_message(talk, "e2", "");
    assert_true(id_is_none(&none.message_id.id));
    ASSERT_STR(talk_get(talk, first.message_id).body, "Hello");
    assert_int_equal(talk_get(talk, first.message_id).deleted_at_us, 0);
}

/* Another channel of the first organization takes the place of the first. */
static void
be_whatsapp(struct talk *talk)
{
    json_auto_t *settings = json_object();
    json_auto_t *credentials = json_pack("{s:s}", "secret", "a test's secret");
    const struct channel_spec spec = {.source = STR_INIT("whatsapp_business"),
                                      .name = STR_INIT("Test"),
                                      .settings = settings,
                                      .credentials = credentials};
    struct err *err = &talk->err;
    struct channel_id id;

    ASSERT_OK(channel_create(talk->bed.tenants, talk->bed.scopes[0], &spec, &id, err), err);
    channel_record_unref(&talk->records[0]);
    ASSERT_OK(
        channel_record_get(talk->bed.tenants, talk->bed.scopes[0], id, &talk->records[0], err),
        err);
}

static struct deletion
delete_as(struct talk *talk, const char *event_id, const char *about, const char *user,
          const char *phone)
{
    struct inbound event = talk_event("deletion", event_id, about);
    struct deleting d = {.talk = talk, .event = &event};
    json_auto_t *metadata = json_pack("{s:s}", "phone", phone);

    event.external_user_id = str_from_c(user);
    event.metadata = metadata;
    ASSERT_OK(talk_run(talk, 0, delete_work, &d), &talk->err);
    return d.deletion;
}

static void
another_persons_message_stays(void **state)
{
    struct talk *talk = *state;
    struct inbound_result first, numbered, late;
    struct inbound edit = talk_event("edit", "e1", "m1");
    struct deletion deletion, applied;

    be_whatsapp(talk);
    first = talk_hear(talk, "m1", "u1", "group", "Hello");
    (void)talk_hear(talk, "m2", "u2", "group", "Hi");
    edit.raw = edit.text = STR("Hello there");
    ASSERT_OK(talk_receive_event(talk, &edit), &talk->err);
    deletion = delete_as(talk, "e2", "m1", "u2", "4917");
    assert_true(deletion.is_refused && id_is_none(&deletion.message_id.id));
    assert_true(delete_as(talk, "e3", "m1", "nobody knows", "4918").is_refused);
    ASSERT_STR(talk_get(talk, first.message_id).body, "Hello there");
    assert_int_equal(events_that_say(talk, "Hello there", 3), 1);
    deletion = delete_as(talk, "e4", "m1", "u1", "4916");
    assert_true(id_eq(&deletion.message_id.id, &first.message_id.id));
    assert_no_event_says(talk, "Hello", 4);

    /* Somebody who wrote when the provider told the number alone. */
    numbered = hear_as(talk, "m3", "4915", "My words", "{\"phone\":\"4915\"}");
    deletion = delete_as(talk, "e5", "m3", "US.1", "4915");
    assert_true(id_eq(&deletion.message_id.id, &numbered.message_id.id));

    /* Before its message, too. */
    assert_false(delete_as(talk, "e6", "m4", "u2", "4917").is_refused);
    late = talk_hear(talk, "m4", "u1", "group", "Here I am");
    assert_int_equal(apply_early(talk, &applied), 1);
    assert_true(applied.is_refused && id_is_none(&applied.message_id.id));
    ASSERT_STR(talk_get(talk, late.message_id).body, "Here I am");
    assert_int_equal(apply_early(talk, &applied), 0);
}

static void
repeated_event_is_known(void **state)
{
    struct talk *talk = *state;
    struct inbound event = talk_event("deletion", "e1", "m1");
    struct deleting d = {.talk = talk, .event = &event};

    (void)talk_hear(talk, "m1", "u1", "c1", "Hello");
    (void)delete_message(talk, "e1", "m1");
    assert_int_equal(talk_run(talk, 0, delete_work, &d), ST_CONFLICT);
}

/* A provider brought the message a second time, after its deletion. */
static void
deletion_before_its_message(void **state)
{
    struct talk *talk = *state;
    struct deletion applied;
    struct inbound_result late, other;

    (void)delete_message(talk, "e1", "m1");
    (void)delete_message(talk, "e2", "never seen");
    assert_int_equal(apply_early(talk, &applied), 0);
    clock_advance_us(talk->clock, 60 * US_PER_S);
    other = talk_hear(talk, "m0", "u1", "c1", "Hello");
    late = talk_hear(talk, "m1", "u1", "c1", "the secret words");
    assert_int_equal(apply_early(talk, &applied), 1);
    assert_true(id_eq(&applied.message_id.id, &late.message_id.id));
    ASSERT_STR(talk_get(talk, late.message_id).body, "");
    assert_int_equal(talk_get(talk, late.message_id).deleted_at_us, TALK_START_US);
    ASSERT_STR(talk_get(talk, other.message_id).body, "Hello");
    assert_int_equal(apply_early(talk, &applied), 0);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TALK_CASE(words_and_files_go_the_row_stays),
        TALK_CASE(former_words_go_too),
        TALK_CASE(quotations_go_too),
        TALK_CASE(all_quotations_of_the_chat_go),
        TALK_CASE(nobody_elses_message_goes),
        TALK_CASE(another_persons_message_stays),
        TALK_CASE(repeated_event_is_known),
        TALK_CASE(deletion_before_its_message),
    };
    int failed;

    if (!talk_suite_begin(argc, argv, "deletion"))
        return PGSQL_SKIPPED;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    talk_suite_end();
    return failed;
}
