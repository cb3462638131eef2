/*
 * record_test.c - what arrives: contacts, chats, conversations, messages, events
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/thread.h"
#include "conversation/conversation_test_sql.h"
#include "conversation/talk_suite_test_support.h"
#include "text/json.h"

static void
first_message_makes_all_it_needs(void **state)
{
    struct talk *talk = *state;
    struct inbound_result first = talk_hear(talk, "m1", "u1", "c1", "Do you ship to Norway?");
    struct conversation c = talk_conversation(talk, first.conversation_id);
    struct message m = talk_get(talk, first.message_id);
    struct talk_counts counts = talk_count(talk, 0);

    assert_true(first.is_new_conversation);
    assert_false(first.hand_off_to_human);
    assert_int_equal(first.seq, 1);
    ASSERT_STR(c.status, STATUS_USER_REPLY_RECEIVED);
    ASSERT_STR(c.title, "Do you ship to Norway?");
    ASSERT_STR(c.contact_name, "Ada");
    ASSERT_STR(c.locale, "en");
    ASSERT_STR(c.source, "fake");
    ASSERT_STR(c.external_chat_id, "c1");
    assert_int_equal(c.last_seq, 1);
    assert_int_equal(c.answered_seq, 0);
    assert_int_equal(c.last_message_at_us, TALK_START_US);
    assert_int_equal(c.archived_at_us, 0);
    assert_true(id_eq(&c.user_id.id, &talk->records[0]->user_id.id));
    ASSERT_STR(m.role, "user");
    ASSERT_STR(m.body, "Do you ship to Norway?");
    ASSERT_STR(m.external_message_id, "m1");
    ASSERT_STR(m.metadata, "{}");
    ASSERT_STR(m.delivery, "");
    assert_int_equal(m.provider_at_us, TALK_START_US - US_PER_S);
    assert_true(id_eq(&m.contact_id.id, &c.contact_id.id));
    assert_int_equal(counts.contacts, 1);
    assert_int_equal(counts.identities, 1);
    assert_int_equal(counts.chats, 1);
    assert_int_equal(counts.conversations, 1);
    assert_int_equal(talk_count(talk, 1).messages, 0);
}

static void
second_message_joins_the_first(void **state)
{
    struct talk *talk = *state;
    struct inbound_result first = talk_hear(talk, "m1", "u1", "c1", "One");
    struct inbound_result second;
    struct conversation c;

    clock_advance_us(talk->clock, 60 * US_PER_S);
    second = talk_hear(talk, "m2", "u1", "c1", "Two");
    c = talk_conversation(talk, second.conversation_id);
    assert_true(id_eq(&first.conversation_id.id, &second.conversation_id.id));
    assert_false(second.is_new_conversation);
    assert_int_equal(second.seq, 2);
    assert_int_equal(c.last_message_at_us, TALK_START_US + 60 * US_PER_S);
    ASSERT_STR(c.title, "One");
    assert_int_equal(talk_count(talk, 0).contacts, 1);
}

/* How text is cut is split_test.c's; here: that a title is, at that length, whatever is written. */
static void
title_is_the_first_words(void **state)
{
    static const struct {
        const char *id, *piece, *want;
        size_t times;
    } table[] = {
        {"blank lines", "\n\n \n\tHello,\n\nare you open?\n", "Hello, are you open?", 1},
        {"at a word's end",
         "My cargo bike lost its chain on the way here, can you put on a new one today?",
         "My cargo bike lost its chain on the way here, can you put…", 1},
        {"Arabic", "متى يفتح المتجر يوم السبت وكم يكلف إصلاح الإطار المثقوب عندكم من فضلكم",
         "متى يفتح المتجر يوم السبت وكم يكلف إصلاح الإطار المثقوب…", 1},
        {"Chinese", "修理爆胎多少钱",
         "修理爆胎多少钱修理爆胎多少钱修理爆胎多少钱修理爆胎多少钱"
         "修理爆胎多少钱修理爆胎多少钱修理爆胎多少钱修理爆胎多少钱修理爆…",
         1000},
        {"emoji", "👩‍👩‍👧", "👩‍👩‍👧", 1},
        {"one word", "Donaudampf", NULL, 1000},
        {"no words", " \n\n ", "", 1},
    };
    struct talk *talk = *state;

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct inbound_result heard;
        struct str title;
        struct buf text;

        buf_init(&text, 1 << 20);
        for (size_t n = 0; n < table[i].times; n++)
            buf_append_c(&text, table[i].piece);
        buf_append_byte(&text, '\0');
        heard = talk_hear(talk, table[i].id, table[i].id, table[i].id, text.ptr);
        title = talk_conversation(talk, heard.conversation_id).title;
        if (table[i].want != NULL)
            ASSERT_STR(title, table[i].want);
        else
            assert_true(title.len == CONVERSATION_TITLE_CHARS + strlen("…") - 1 &&
                        str_ends_with(title, STR("…")));
        buf_deinit(&text);
    }
}

static void
duplicate_changes_nothing(void **state)
{
    struct talk *talk = *state;
    struct inbound_result first = talk_hear(talk, "m1", "u1", "c1", "One");
    struct inbound again = talk_message(talk, "m1", "u2", "c2", "Another text, the same id");
    struct inbound_result second;
    struct talk_counts before = talk_count(talk, 0), after;

    clock_advance_us(talk->clock, US_PER_S);
    assert_int_equal(talk_receive(talk, &again, &second), ST_CONFLICT);
    again = talk_message(talk, "m1", "u1", "c1", "One");
    assert_int_equal(talk_receive(talk, &again, &second), ST_CONFLICT);
    after = talk_count(talk, 0);
    assert_memory_equal(&before, &after, sizeof(before));
    assert_int_equal(talk_conversation(talk, first.conversation_id).last_seq, 1);
    assert_int_equal(talk_conversation(talk, first.conversation_id).last_message_at_us,
                     TALK_START_US);
    ASSERT_STR(talk_get(talk, first.message_id).body, "One");
}

static void
silence_begins_a_new_conversation(void **state)
{
    static const struct {
        const char *name, *chat;
        int64_t silence_us;
        bool is_new;
    } table[] = {
        {"a day", "c1", INT64_C(24) * 3600 * US_PER_S, false},
        {"exactly seven days", "c2", CONVERSATION_SILENCE_US, false},
        {"a moment more", "c3", CONVERSATION_SILENCE_US + 1, true},
        {"a year", "c4", INT64_C(365) * 24 * 3600 * US_PER_S, true},
    };
    struct talk *talk = *state;

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char ids[2][8] = {{'a', (char)('0' + i), 0}, {'b', (char)('0' + i), 0}};
        struct inbound_result before, after;
        struct conversation old;

        before = talk_hear(talk, ids[0], table[i].chat, table[i].chat, "Before");
        clock_advance_us(talk->clock, table[i].silence_us);
        after = talk_hear(talk, ids[1], table[i].chat, table[i].chat, "After");
        old = talk_conversation(talk, before.conversation_id);
        if (after.is_new_conversation != table[i].is_new)
            fail_msg("%s: new conversation: %d", table[i].name, after.is_new_conversation);
        assert_int_equal(after.seq, table[i].is_new ? 1 : 2);
        if (table[i].is_new) {
            ASSERT_STR(old.status, STATUS_ARCHIVED);
            assert_int_equal(old.archived_at_us, clock_wall_us(talk->clock));
            ASSERT_STR(talk_conversation(talk, after.conversation_id).title, "After");
        } else {
            assert_int_equal(old.archived_at_us, 0);
        }
    }
}

static void
person_may_ask_for_a_new_conversation(void **state)
{
    struct talk *talk = *state;
    struct inbound_result first = talk_hear(talk, "m1", "u1", "c1", "One");
    struct inbound wish = talk_message(talk, "m2", "u1", "c1", "Something else");
    struct inbound event = talk_event("new_conversation", "e1", "");
    struct inbound_result second, third;

    wish.starts_new_conversation = true;
    ASSERT_OK(talk_receive(talk, &wish, &second), &talk->err);
    assert_true(second.is_new_conversation);
    ASSERT_STR(talk_conversation(talk, first.conversation_id).status, STATUS_ARCHIVED);

    ASSERT_OK(talk_receive_event(talk, &event), &talk->err);
    ASSERT_STR(talk_conversation(talk, second.conversation_id).status, STATUS_ARCHIVED);
    event.external_event_id = STR("e2"); /* nothing is open any more: nothing to end */
    ASSERT_OK(talk_receive_event(talk, &event), &talk->err);
    third = talk_hear(talk, "m3", "u1", "c1", "Hello again");
    assert_true(third.is_new_conversation);
    assert_int_equal(talk_count(talk, 0).conversations, 3);
    assert_int_equal(talk_count(talk, 0).chats, 1);
    assert_int_equal(talk_count(talk, 0).contacts, 1);
}

static void
group_has_one_conversation_and_several_contacts(void **state)
{
    struct talk *talk = *state;
    struct inbound_result ada = talk_hear(talk, "m1", "ada", "group", "One");
    struct inbound_result ben = talk_hear(talk, "m2", "ben", "group", "Two");
    struct message of_ada = talk_get(talk, ada.message_id);
    struct message of_ben = talk_get(talk, ben.message_id);
    struct conversation c = talk_conversation(talk, ben.conversation_id);

    assert_true(id_eq(&ada.conversation_id.id, &ben.conversation_id.id));
    assert_false(id_eq(&of_ada.contact_id.id, &of_ben.contact_id.id));
    assert_true(id_eq(&c.contact_id.id, &of_ada.contact_id.id)); /* who began it */
    assert_int_equal(talk_count(talk, 0).contacts, 2);
}

static void
blocked_and_back(void **state)
{
    struct talk *talk = *state;
    struct inbound blocked = talk_event("blocked", "e1", "");
    struct inbound unblocked = talk_event("unblocked", "e2", "");

    (void)talk_hear(talk, "m1", "u1", "c1", "One");
    assert_true(talk_reachable(talk, "u1"));
    ASSERT_OK(talk_receive_event(talk, &blocked), &talk->err);
    assert_false(talk_reachable(talk, "u1"));
    ASSERT_OK(talk_receive_event(talk, &unblocked), &talk->err);
    assert_true(talk_reachable(talk, "u1"));
    blocked.external_event_id = STR("e3");
    ASSERT_OK(talk_receive_event(talk, &blocked), &talk->err);
    (void)talk_hear(talk, "m2", "u1", "c1", "I am back"); /* who writes can be written to */
    assert_true(talk_reachable(talk, "u1"));
}

static void
edit_keeps_the_old_words(void **state)
{
    struct talk *talk = *state;
    struct inbound_result first = talk_hear(talk, "m1", "u1", "c1", "Teh price?");
    struct inbound edit = talk_event("edit", "e1", "m1");
    json_auto_t *metadata = NULL;
    struct message m;
    struct err err;
    json_t *edits;

    edit.text = STR("The price?");
    ASSERT_OK(talk_receive_event(talk, &edit), &talk->err);
    edit.external_event_id = STR("e2");
    edit.text = STR("The price of tea?");
    ASSERT_OK(talk_receive_event(talk, &edit), &talk->err);
    m = talk_get(talk, first.message_id);
    ASSERT_STR(m.body, "The price of tea?");
    ASSERT_OK(json_parse(m.metadata, &metadata, &err), &err);
    edits = json_get_array(metadata, "edits");
    assert_int_equal(json_array_size(edits), 2);
    ASSERT_STR(json_get_str(json_array_get(edits, 0), "body"), "Teh price?");
    ASSERT_STR(json_get_str(json_array_get(edits, 1), "body"), "The price?");
    assert_int_equal(m.seq, 1);
}

/* Whatever id they name. */
static void
nobody_edits_what_another_wrote(void **state)
{
    struct talk *talk = *state;
    struct inbound_result first = talk_hear(talk, "m1", "u1", "c1", "Teh price?");
    struct inbound edit = talk_event("edit", "e1", "m1");

    (void)talk_hear(talk, "m2", "u2", "c2", "Hello");
    edit.external_user_id = STR("u2");
    edit.external_chat_id = STR("c2");
    edit.text = STR("Send it to me");
    ASSERT_OK(talk_receive_event(talk, &edit), &talk->err);
    edit.external_event_id = STR("e2");
    edit.external_user_id = STR("nobody known");
    ASSERT_OK(talk_receive_event(talk, &edit), &talk->err);
    ASSERT_STR(talk_get(talk, first.message_id).body, "Teh price?");
    assert_int_equal(talk_count(talk, 0).events, 2);
}

static void
edit_without_change_changes_nothing(void **state)
{
    struct talk *talk = *state;
    struct inbound_result first = talk_hear(talk, "m1", "u1", "c1", "One");
    struct inbound same = talk_event("edit", "e1", "m1");
    struct inbound stranger = talk_event("edit", "e2", "never seen");
    struct inbound again = talk_event("edit", "e1", "m1");

    same.text = STR("One");
    ASSERT_OK(talk_receive_event(talk, &same), &talk->err);
    ASSERT_STR(talk_get(talk, first.message_id).metadata, "{}");
    stranger.text = STR("Words");
    ASSERT_OK(talk_receive_event(talk, &stranger), &talk->err);
    assert_int_equal(talk_count(talk, 0).events, 2);
    again.text = STR("A repeated event must not edit");
    assert_int_equal(talk_receive_event(talk, &again), ST_CONFLICT);
    ASSERT_STR(talk_get(talk, first.message_id).body, "One");
    assert_int_equal(talk_count(talk, 0).events, 2);
}

static void
migrated_chat_goes_on(void **state)
{
    struct talk *talk = *state;
    struct inbound_result first = talk_hear(talk, "m1", "u1", "c1", "In the group");
    struct inbound moved = talk_event("migrated", "e1", "");
    struct inbound back = talk_event("migrated", "e2", "");
    struct inbound_result second, third;

    moved.new_external_chat_id = STR("c1-super");
    ASSERT_OK(talk_receive_event(talk, &moved), &talk->err);
    ASSERT_STR(talk_conversation(talk, first.conversation_id).external_chat_id, "c1-super");
    second = talk_hear(talk, "m2", "u1", "c1-super", "In the supergroup");
    assert_true(id_eq(&first.conversation_id.id, &second.conversation_id.id));

    back.external_chat_id = STR("c1-super");
    back.new_external_chat_id = STR("c1");
    ASSERT_OK(talk_receive_event(talk, &back), &talk->err);
    third = talk_hear(talk, "m3", "u1", "c1", "And back");
    assert_true(id_eq(&first.conversation_id.id, &third.conversation_id.id));
    assert_int_equal(talk_count(talk, 0).chats, 1);

    back.external_event_id = STR("e3"); /* of a chat that we never saw */
    back.external_chat_id = STR("unknown");
    back.new_external_chat_id = STR("unknown-super");
    ASSERT_OK(talk_receive_event(talk, &back), &talk->err);
    assert_int_equal(talk_count(talk, 0).chats, 1);
}

/* A new phone number: the same contact, the same conversation, under the new id. */
static void
migrated_person_is_known(void **state)
{
    struct talk *talk = *state;
    struct inbound_result first = talk_hear(talk, "m1", "p1", "p1", "From the old number");
    struct inbound moved = talk_event("migrated", "e1", "");
    struct inbound_result second, other, still, also;

    moved.external_user_id = moved.external_chat_id = STR("p1");
    moved.new_external_chat_id = STR("p2");
    ASSERT_OK(talk_receive_event(talk, &moved), &talk->err);
    second = talk_hear(talk, "m2", "p2", "p2", "From the new one");
    assert_true(id_eq(&first.conversation_id.id, &second.conversation_id.id));
    assert_int_equal(talk_count(talk, 0).contacts, 1);

    /* Told again, and told about somebody who is known under the new id already. */
    moved.external_event_id = STR("e2");
    ASSERT_OK(talk_receive_event(talk, &moved), &talk->err);
    other = talk_hear(talk, "m3", "p3", "p3", "Somebody else");
    moved.external_event_id = STR("e3");
    moved.external_user_id = moved.external_chat_id = STR("p3");
    ASSERT_OK(talk_receive_event(talk, &moved), &talk->err);
    still = talk_hear(talk, "m4", "p2", "p2", "Still here");
    also = talk_hear(talk, "m5", "p3", "p3", "And here");
    assert_int_equal(talk_count(talk, 0).contacts, 2);
    assert_true(id_eq(&still.conversation_id.id, &first.conversation_id.id));
    assert_true(id_eq(&also.conversation_id.id, &other.conversation_id.id));
}

struct listing {
    struct arena *arena;
    struct str kind;
    struct id_text before;
    size_t limit, count;
    struct kept_event *events;
};

static enum status
list_events(struct store_tx *tx, void *arg, struct err *err)
{
    struct listing *l = arg;

    return channel_event_list(tx, l->kind, l->before, l->limit, l->arena, &l->events, &l->count,
                              err);
}

static void
unknown_kinds_are_kept_and_listed(void **state)
{
    struct talk *talk = *state;
    struct inbound first = talk_event("unknown", "e1", "");
    struct inbound second = talk_event("reaction", "e2", "m1");
    struct inbound third = talk_event("unknown", "e3", "");
    struct listing l = {.arena = talk->arena, .limit = 1};

    ASSERT_OK(talk_receive_event(talk, &first), &talk->err);
    ASSERT_OK(talk_receive_event(talk, &second), &talk->err);
    ASSERT_OK(talk_receive_event(talk, &third), &talk->err);
    l.kind = STR("unknown");
    ASSERT_OK(talk_run(talk, 0, list_events, &l), &talk->err);
    assert_int_equal(l.count, 1);
    ASSERT_STR(l.events[0].payload, "{\"raw\":true}");
    l.before = l.events[0].id;
    ASSERT_OK(talk_run(talk, 0, list_events, &l), &talk->err);
    assert_int_equal(l.count, 1);
    assert_true(id_eq(&l.events[0].channel_id.id, &talk->records[0]->id.id));
    l.before = l.events[0].id;
    ASSERT_OK(talk_run(talk, 0, list_events, &l), &talk->err);
    assert_int_equal(l.count, 0);
    l = (struct listing){.arena = talk->arena, .limit = 10};
    ASSERT_OK(talk_run(talk, 0, list_events, &l), &talk->err);
    assert_int_equal(l.count, 3);
    ASSERT_OK(talk_run(talk, 1, list_events, &l), &talk->err);
    assert_int_equal(l.count, 0);
}

struct keeping {
    const struct talk *talk;
    struct str body;
    struct listing listing;
};

static enum status
quarantine_and_list(struct store_tx *tx, void *arg, struct err *err)
{
    struct keeping *k = arg;
    enum status st = conversation_quarantine(tx, k->talk->records[0]->id, STR("not JSON"), k->body,
                                             TALK_START_US, err);

    if (st == ST_OK)
        st = quarantine_list(tx, (struct id_text){""}, 10, k->listing.arena, &k->listing.events,
                             &k->listing.count, err);
    return st;
}

static void
unreadable_bytes_are_kept_as_they_are(void **state)
{
    struct talk *talk = *state;
    const char bytes[] = "{\"a\":\0\xff\xfe";
    struct keeping k = {.talk = talk, .body = str_of(bytes, sizeof(bytes) - 1)};

    k.listing.arena = talk->arena;
    ASSERT_OK(talk_run(talk, 0, quarantine_and_list, &k), &talk->err);
    assert_int_equal(k.listing.count, 1);
    ASSERT_STR(k.listing.events[0].kind, "not JSON");
    assert_true(str_eq(k.listing.events[0].payload, k.body));
    k.body = STR_EMPTY;
    ASSERT_OK(talk_run(talk, 0, quarantine_and_list, &k), &talk->err);
    assert_int_equal(k.listing.count, 2);
    assert_int_equal(k.listing.events[0].payload.len, 0);
}

struct seeing {
    const char *user;
    int64_t last_seen_us;
};

static enum status
last_seen_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct seeing *s = arg;
    struct store_rows *rows;
    enum status st =
        store_query_one(tx, &SQL_TEST_LAST_SEEN, ARGS(sv_text(str_from_c(s->user))), &rows, err);

    if (st != ST_OK)
        return st;
    s->last_seen_us = store_col_int(rows, 0);
    return store_rows_close(&rows, err);
}

static int64_t
last_seen(struct talk *talk, const char *user)
{
    struct seeing s = {.user = user};

    ASSERT_OK(talk_run(talk, 0, last_seen_work, &s), &talk->err);
    return s.last_seen_us;
}

/* Written seldom, and of who writes alone. */
static void
person_is_seen(void **state)
{
    struct talk *talk = *state;

    (void)talk_hear(talk, "m1", "u1", "c1", "One");
    (void)talk_hear(talk, "m2", "u2", "c2", "Two");
    assert_int_equal(last_seen(talk, "u1"), TALK_START_US);
    clock_advance_us(talk->clock, 200 * US_PER_S);
    (void)talk_hear(talk, "m3", "u1", "c1", "Three");
    assert_int_equal(last_seen(talk, "u1"), TALK_START_US);
    clock_advance_us(talk->clock, 200 * US_PER_S);
    assert_int_equal(talk_hear(talk, "m4", "u1", "c1", "Four").seq, 3);
    assert_int_equal(last_seen(talk, "u1"), TALK_START_US + 400 * US_PER_S);
    assert_int_equal(last_seen(talk, "u2"), TALK_START_US);
}

/* --- many at once --- */

#define WRITERS 12
#define MESSAGES_EACH 20
#define CHATS 4

struct writer {
    struct talk *talk;
    unsigned number;
    bool repeats;
    unsigned duplicates;
};

/* Its n-th message, to a chat that others write to as well. Of one who repeats every fifth is the
 * same as the next writer's. */
static struct inbound
writers_message(struct writer *w, unsigned n, char id[24], char chat[8])
{
    unsigned of = w->repeats && n % 5 == 4 ? w->number / 2 * 2 : w->number;

    (void)snprintf(id, 24, "m-%u-%u", of, n);
    (void)snprintf(chat, 8, "c%u", (of + n) % CHATS);
    return talk_message(w->talk, id, chat, chat, "Hello");
}

struct writing {
    const struct channel_record *record;
    struct queue *queue;
    struct inbound inbound;
    struct message_id id;
    int64_t now_us;
    struct inbound_result result;
};

static enum status
writing_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct writing *w = arg;
    struct job_id job_id;
    enum status st = conversation_record_inbound(tx, w->record, &w->inbound, STR("{}"), w->id,
                                                 w->now_us, false, &w->result, err);
    struct str key = ID_STR(w->result.conversation_id);
    struct job_spec job = {.topic = QUEUE_TOPIC_INBOUND,
                           .lane = key,
                           .dedup_key = key,
                           .payload = STR("{}"),
                           .due_us = w->now_us + US_PER_S,
                           .coalesce_max_us = US_PER_S};

    return st == ST_OK ? queue_put(w->queue, tx, &job, &job_id, err) : st;
}

static void *
write_messages(void *arg)
{
    struct writer *w = arg;
    struct talk *talk = w->talk;
    int64_t last_seq[CHATS] = {0};
    struct err err;

    for (unsigned n = 0; n < MESSAGES_EACH; n++) {
        char id[24], chat[8];
        struct writing writing = {.record = talk->records[0],
                                  .queue = talk->bed.queue,
                                  .inbound = writers_message(w, n, id, chat),
                                  .id = ID_NEW(message_id),
                                  .now_us = clock_wall_us(talk->clock)};
        int64_t *last = &last_seq[chat[1] - '0'];
        enum status st = store_run(talk->bed.store, talk->bed.scopes[0], "test", STORE_DURABLE,
                                   writing_work, &writing, &err);

        if (st == ST_CONFLICT) {
            w->duplicates++;
            continue;
        }
        ASSERT_OK(st, &err);
        assert_true(writing.result.seq > *last);
        *last = writing.result.seq;
    }
    return NULL;
}

static void
write_at_once(struct talk *talk, bool repeat)
{
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    const unsigned twice = repeat ? WRITERS / 2 * (MESSAGES_EACH / 5) : 0;
    unsigned duplicates = 0;
    int64_t counted = 0;

    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){talk, i, repeat, 0};
        ASSERT_OK(thread_start("writer", write_messages, &writers[i], &threads[i], &talk->err),
                  &talk->err);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        (void)pthread_join(threads[i], NULL);
        duplicates += writers[i].duplicates;
    }
    assert_int_equal(duplicates, twice);
    assert_int_equal(talk_count(talk, 0).messages, WRITERS * MESSAGES_EACH - twice);
    assert_int_equal(talk_count(talk, 0).conversations, CHATS);
    assert_int_equal(talk_count(talk, 0).contacts, CHATS);
    for (unsigned i = 0; i < CHATS; i++) {
        char id[24], chat[8];
        struct inbound_result last;

        (void)snprintf(id, sizeof(id), "last-%u", i);
        (void)snprintf(chat, sizeof(chat), "c%u", i);
        last = talk_hear(talk, id, chat, chat, "Last");
        counted += last.seq - 1;
    }
    assert_int_equal(counted, WRITERS * MESSAGES_EACH - twice); /* no gaps */
    assert_int_equal(bed_count(&talk->bed, 0, QUEUE_TOPIC_INBOUND).delayed, CHATS);
}

/* Batches in which nothing fails: on a server all of one is recorded by one statement. */
static void
many_write_at_once(void **state)
{
    write_at_once(*state, false);
}

static void
many_write_the_same_at_once(void **state)
{
    write_at_once(*state, true);
}

/* People and chats that nobody knows, each in some messages, so that two of a batch begin with the
 * same; one of them comes twice. */
#define STRANGERS 24
#define NEW_USERS 9
#define NEW_CHATS 8

struct stranger {
    struct talk *talk;
    unsigned number;
    char id[24], user[24], chat[24];
    pthread_barrier_t *barrier;
    struct writing writing;
    enum status got;
};

static void *
write_one(void *arg)
{
    struct stranger *s = arg;
    struct err err;

    (void)pthread_barrier_wait(s->barrier);
    s->got = store_run(s->talk->bed.store, s->talk->bed.scopes[0], "test", STORE_DURABLE,
                       writing_work, &s->writing, &err);
    return NULL;
}

static void
strangers_of(struct talk *talk, unsigned round)
{
    struct stranger strangers[STRANGERS];
    pthread_t threads[STRANGERS];
    pthread_barrier_t barrier;
    uint32_t seqs[NEW_CHATS] = {0};
    unsigned conflicts = 0;

    assert_int_equal(pthread_barrier_init(&barrier, NULL, STRANGERS), 0);
    for (unsigned i = 0; i < STRANGERS; i++) {
        struct stranger *s = &strangers[i];
        unsigned of = i == STRANGERS - 1 ? 0 : i; /* the last is the first, again */

        *s = (struct stranger){.talk = talk, .number = of, .barrier = &barrier};
        (void)snprintf(s->id, sizeof(s->id), "m%u-%u", round, of);
        (void)snprintf(s->user, sizeof(s->user), "u%u-%u", round, of % NEW_USERS);
        (void)snprintf(s->chat, sizeof(s->chat), "c%u-%u", round, of % NEW_CHATS);
        s->writing = (struct writing){.record = talk->records[0],
                                      .queue = talk->bed.queue,
                                      .inbound = talk_message(talk, s->id, s->user, s->chat, "Hi"),
                                      .id = ID_NEW(message_id),
                                      .now_us = clock_wall_us(talk->clock)};
        ASSERT_OK(thread_start("stranger", write_one, s, &threads[i], &talk->err), &talk->err);
    }
    for (unsigned i = 0; i < STRANGERS; i++)
        (void)pthread_join(threads[i], NULL);
    (void)pthread_barrier_destroy(&barrier);
    for (unsigned i = 0; i < STRANGERS; i++) {
        const struct stranger *s = &strangers[i];
        uint32_t bit = UINT32_C(1) << s->writing.result.seq;

        conflicts += s->got == ST_CONFLICT;
        if (s->got == ST_CONFLICT)
            continue;
        assert_int_equal(s->got, ST_OK);
        assert_int_equal(seqs[s->number % NEW_CHATS] & bit, 0);
        seqs[s->number % NEW_CHATS] |= bit;
        assert_int_equal(s->writing.result.is_new_conversation, s->writing.result.seq == 1);
    }
    assert_int_equal(conflicts, 1);
    for (unsigned i = 0; i < NEW_CHATS; i++) /* 1, 2, 3 ... */
        assert_int_equal(seqs[i] & (seqs[i] + 2), 0);
}

static void
strangers_write_at_once(void **state)
{
    struct talk *talk = *state;
    struct talk_counts counts;

    for (unsigned round = 0; round < 6; round++)
        strangers_of(talk, round);
    counts = talk_count(talk, 0);
    assert_int_equal(counts.contacts, 6 * NEW_USERS);
    assert_int_equal(counts.identities, 6 * NEW_USERS);
    assert_int_equal(counts.chats, 6 * NEW_CHATS);
    assert_int_equal(counts.conversations, 6 * NEW_CHATS);
    assert_int_equal(counts.messages, 6 * (STRANGERS - 1));
    assert_int_equal(bed_count(&talk->bed, 0, QUEUE_TOPIC_INBOUND).delayed, 6 * NEW_CHATS);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TALK_CASE(first_message_makes_all_it_needs),
        TALK_CASE(second_message_joins_the_first),
        TALK_CASE(title_is_the_first_words),
        TALK_CASE(duplicate_changes_nothing),
        TALK_CASE(silence_begins_a_new_conversation),
        TALK_CASE(person_may_ask_for_a_new_conversation),
        TALK_CASE(group_has_one_conversation_and_several_contacts),
        TALK_CASE(blocked_and_back),
        TALK_CASE(edit_keeps_the_old_words),
        TALK_CASE(nobody_edits_what_another_wrote),
        TALK_CASE(edit_without_change_changes_nothing),
        TALK_CASE(migrated_chat_goes_on),
        TALK_CASE(migrated_person_is_known),
        TALK_CASE(unknown_kinds_are_kept_and_listed),
        TALK_CASE(unreadable_bytes_are_kept_as_they_are),
        TALK_CASE(person_is_seen),
        TALK_CASE(many_write_at_once),
        TALK_CASE(many_write_the_same_at_once),
        TALK_CASE(strangers_write_at_once),
    };
    int failed;

    if (!talk_suite_begin(argc, argv, "record"))
        return PGSQL_SKIPPED;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    talk_suite_end();
    return failed;
}
