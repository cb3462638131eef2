/*
 * person_test.c - who is whom: codes, links made at once, suggestions, ids and numbers, what a
 * group does not hear
 */
#include "conversation/person.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/thread.h"
#include "conversation/talk_suite_test_support.h"
#include "text/json.h"

#define CROWD 12

/* --- helpers --- */

struct linking {
    const struct talk *talk;
    struct contact_id a, b;
    bool changed;
    struct str text;
    enum link_outcome outcome;
    struct contact *contacts;
    struct link_suggestion *suggestions;
    size_t count;
    struct conversation conversation;
    struct history history;
};

static enum status
link_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct linking *l = arg;

    return contact_link(tx, l->a, l->b, "staff", TALK_START_US, &l->changed, err);
}

static enum status
unlink_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct linking *l = arg;

    return contact_unlink(tx, l->a, err);
}

static enum status
linked_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct linking *l = arg;

    return contact_list_linked(tx, l->a, l->talk->arena, &l->contacts, &l->count, err);
}

static enum status
code_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct linking *l = arg;

    return link_code_make(tx, l->a, clock_wall_us(l->talk->clock), l->talk->arena, &l->text, err);
}

static enum status
redeem_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct linking *l = arg;

    return link_code_redeem(tx, l->text, l->b, clock_wall_us(l->talk->clock), &l->outcome, err);
}

static struct contact_id
person(struct talk *talk, const char *user)
{
    struct inbound_result heard = talk_hear(talk, user, user, user, "Hello");

    return talk_conversation(talk, heard.conversation_id).contact_id;
}

static size_t
linked_with(struct talk *talk, struct contact_id id)
{
    struct linking l = {.talk = talk, .a = id};

    ASSERT_OK(talk_run(talk, 0, linked_work, &l), &talk->err);
    return l.count;
}

static void
connect(struct talk *talk, struct contact_id a, struct contact_id b)
{
    struct linking l = {.talk = talk, .a = a, .b = b};

    ASSERT_OK(talk_run(talk, 0, link_work, &l), &talk->err);
}

/* --- tests --- */

static void
one_with_one_is_one_with_all(void **state)
{
    struct talk *talk = *state;
    struct contact_id a = person(talk, "a"), b = person(talk, "b"), c = person(talk, "c"),
                      d = person(talk, "d");
    struct linking l = {.talk = talk, .a = a, .b = a};

    assert_int_equal(talk_run(talk, 0, link_work, &l), ST_INVALID);
    l.b = ID_NEW(contact_id);
    assert_int_equal(talk_run(talk, 0, link_work, &l), ST_NOT_FOUND);
    l.b = b;
    assert_int_equal(talk_run(talk, 1, link_work, &l), ST_NOT_FOUND); /* another organization */
    assert_int_equal(talk_run(talk, 0, unlink_work, &l), ST_CONFLICT);
    assert_int_equal(linked_with(talk, a), 0);
    connect(talk, a, b);
    connect(talk, c, d);
    assert_int_equal(linked_with(talk, a), 2);
    connect(talk, b, c);
    assert_int_equal(linked_with(talk, d), 4);
    l.b = d;
    ASSERT_OK(talk_run(talk, 0, link_work, &l), &talk->err);
    assert_false(l.changed);
    ASSERT_OK(talk_run(talk, 0, unlink_work, &l), &talk->err);
    assert_int_equal(linked_with(talk, a), 0);
    assert_int_equal(linked_with(talk, d), 3);
    l.a = b;
    ASSERT_OK(talk_run(talk, 0, unlink_work, &l), &talk->err);
    l.a = c;
    ASSERT_OK(talk_run(talk, 0, unlink_work, &l), &talk->err);
    assert_int_equal(linked_with(talk, d), 0); /* nobody is one with oneself alone */
}

static void *
link_two(void *arg)
{
    struct linking *l = arg;
    struct err err;

    ASSERT_OK(store_run(l->talk->bed.store, l->talk->bed.scopes[0], "test", STORE_DURABLE,
                        link_work, l, &err),
              &err);
    return NULL;
}

/* A chain, each link by a thread of its own: whatever overlaps, nobody is left out. */
static void
links_made_at_once_miss_nobody(void **state)
{
    struct talk *talk = *state;
    struct contact_id crowd[CROWD];
    struct linking links[CROWD - 1];
    pthread_t threads[CROWD - 1];

    for (int i = 0; i < CROWD; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "p%d", i);
        crowd[i] = person(talk, arena_cstr(talk->arena, str_from_c(name)));
    }
    for (int i = 0; i < CROWD - 1; i++) {
        links[i] = (struct linking){.talk = talk, .a = crowd[i], .b = crowd[i + 1]};
        ASSERT_OK(thread_start("linker", link_two, &links[i], &threads[i], &talk->err), &talk->err);
    }
    for (int i = 0; i < CROWD - 1; i++)
        (void)pthread_join(threads[i], NULL);
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(linked_with(talk, crowd[i]), CROWD);
}

static void *
redeem_one(void *arg)
{
    struct linking *l = arg;
    struct err err;

    ASSERT_OK(store_run(l->talk->bed.store, l->talk->bed.scopes[0], "test", STORE_DURABLE,
                        redeem_work, l, &err),
              &err);
    return NULL;
}

static void
code_counts_once(void **state)
{
    struct talk *talk = *state;
    struct contact_id a = person(talk, "a"), b = person(talk, "b"), c = person(talk, "c");
    struct linking made = {.talk = talk, .a = a}, shown[2];
    struct str first;
    pthread_t threads[2];

    ASSERT_OK(talk_run(talk, 0, code_work, &made), &talk->err);
    first = made.text;
    ASSERT_OK(talk_run(talk, 0, code_work, &made), &talk->err);
    made.b = b;
    made.text = first;
    ASSERT_OK(talk_run(talk, 0, redeem_work, &made), &talk->err);
    assert_int_equal(made.outcome, LINK_INVALID); /* a newer one ends it */

    ASSERT_OK(talk_run(talk, 0, code_work, &made), &talk->err);
    ASSERT_OK(talk_run(talk, 1, redeem_work, &made), &talk->err);
    assert_int_equal(made.outcome, LINK_INVALID); /* of another organization */
    for (int i = 0; i < 2; i++) {
        shown[i] = (struct linking){.talk = talk, .b = i == 0 ? b : c, .text = made.text};
        ASSERT_OK(thread_start("shower", redeem_one, &shown[i], &threads[i], &talk->err),
                  &talk->err);
    }
    for (int i = 0; i < 2; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal((shown[0].outcome == LINK_DONE) + (shown[1].outcome == LINK_DONE), 1);
    assert_int_equal((shown[0].outcome == LINK_INVALID) + (shown[1].outcome == LINK_INVALID), 1);
    assert_int_equal(linked_with(talk, a), 2);

    ASSERT_OK(talk_run(talk, 0, code_work, &made), &talk->err);
    made.b = a;
    ASSERT_OK(talk_run(talk, 0, redeem_work, &made), &talk->err);
    assert_int_equal(made.outcome, LINK_SAME);
    ASSERT_OK(talk_run(talk, 0, code_work, &made), &talk->err);
    clock_advance_us(talk->clock, LINK_CODE_LASTS_US);
    made.b = b;
    ASSERT_OK(talk_run(talk, 0, redeem_work, &made), &talk->err);
    assert_int_equal(made.outcome, LINK_INVALID);
}

static void
codes_by_their_form(void **state)
{
    static const struct {
        const char *text;
        bool is_code;
    } rows[] = {
        {"LINK-7KQ2-M9XT", true},
        {"link 7kq2 m9xt", true},
        {" Link7KQ2M9XT\n", true},
        {"LINK-7KQ2-M9X", false},
        {"LINK-7KQ2-M9XTT", false},
        {"LINK-7KQ0-M9XT", false},
        {"7KQ2-M9XT", false},
        {"link", false},
        {"", false},
        {"LINK-7KQ2-M9XT ?", false},
        {"Please link 7kq2 m9xt", false},
        {"linked accounts", false}, /* of 8 letters, but with letters that no code has */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (link_code_is(str_from_c(rows[i].text)) != rows[i].is_code)
            fail_msg("\"%s\"", rows[i].text);
}

static void
match_keys_by_source(void **state)
{
    static const struct {
        const char *source, *user, *metadata, *want; /* want NULL: none */
    } rows[] = {
        {"whatsapp_business", "4915112345678", "{}", "phone:4915112345678"},
        {"twilio_whatsapp", "whatsapp:+4915112345678", "{}", "phone:4915112345678"},
        {"twilio_sms", "+4915112345678", "{}", "phone:4915112345678"},
        {"twilio_sms", "12345", "{}", NULL}, /* a short code is many people */
        {"twilio_sms", "PARLEY", "{}", NULL},
        {"whatsapp_business", "DE.13491208655302741918", "{}", NULL},
        {"whatsapp_business", "DE.13491208655302741918", "{\"phone\": \"4915112345678\"}",
         "phone:4915112345678"},
        {"whatsapp_business", "DE.1349", "{\"phone\": \"12345\"}", NULL},
        {"whatsapp_business", "DE.1349", "{\"phone\": 4915112345678}", NULL},
        {"email", "Ada@Shop.Example", "{\"email\": {\"verified\": true}}",
         "email:ada@shop.example"},
        {"email", "ada@shop.example", "{\"email\": {\"verified\": false}}", NULL},
        {"email", "ada@shop.example", "{\"email\": {}}", NULL},
        {"email", "ada@shop.example", "{}", NULL},
        {"email", "", "{\"email\": {\"verified\": true}}", NULL},
        {"telegram", "4915112345678", "{}", NULL},
        {"web", "01a22000-0000-7000-8000-000000000000", "{\"phone\": \"4915112345678\"}", NULL},
    };
    struct arena *arena = arena_create(65536);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_auto_t *metadata = json_loads(rows[i].metadata, 0, NULL);
        struct str key = identity_match_key(str_from_c(rows[i].source), str_from_c(rows[i].user),
                                            metadata, arena);

        if (rows[i].want == NULL)
            assert_null(key.ptr);
        else
            ASSERT_STR(key, rows[i].want);
    }
    arena_destroy(&arena);
}

/* --- suggestions --- */

struct hearing {
    const struct talk *talk;
    unsigned organization;
    const struct channel_record *channel;
    struct inbound inbound;
    struct inbound_result result;
};

static enum status
hear_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct hearing *h = arg;

    return conversation_record_inbound(tx, h->channel, &h->inbound, STR("{}"), ID_NEW(message_id),
                                       TALK_START_US, false, &h->result, err);
}

/* A new channel of the organization; give it back with channel_record_unref. */
static const struct channel_record *
channel_of(struct talk *talk, unsigned organization, const char *source)
{
    json_auto_t *none = json_object();
    const struct channel_spec spec = {.source = str_from_c(source),
                                      .name = str_from_c(source),
                                      .settings = none,
                                      .credentials = none};
    const struct tenant_scope *scope = talk->bed.scopes[organization];
    const struct channel_record *channel = NULL;
    struct channel_id id;

    ASSERT_OK(channel_create(talk->bed.tenants, scope, &spec, &id, &talk->err), &talk->err);
    ASSERT_OK(channel_record_get(talk->bed.tenants, scope, id, &channel, &talk->err), &talk->err);
    return channel;
}

/* user writes "Hello" in their private chat; phone: "" when the provider does not name it. */
static struct hearing
hearing_of(struct talk *talk, unsigned organization, const struct channel_record *channel,
           const char *user, const char *phone)
{
    const struct id_text id = id_new();
    const char *own_user = arena_cstr(talk->arena, str_from_c(user));
    struct hearing hearing = {
        .talk = talk,
        .organization = organization,
        .channel = channel,
        .inbound =
            talk_message(talk, arena_cstr(talk->arena, id_str(&id)), own_user, own_user, "Hello"),
    };

    hearing.inbound.metadata = json_object();
    if (phone[0] != '\0')
        json_set_str(hearing.inbound.metadata, "phone", str_from_c(phone));
    return hearing;
}

static struct inbound_result
hear_in(struct talk *talk, unsigned organization, const struct channel_record *channel,
        const char *user, const char *phone)
{
    struct hearing hearing = hearing_of(talk, organization, channel, user, phone);

    ASSERT_OK(talk_run(talk, organization, hear_work, &hearing), &talk->err);
    json_decref(hearing.inbound.metadata);
    return hearing.result;
}

static void
hear_on(struct talk *talk, const char *source, const char *user)
{
    const struct channel_record *channel = channel_of(talk, 0, source);

    (void)hear_in(talk, 0, channel, user, "");
    channel_record_unref(&channel);
}

static enum status
suggestions_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct linking *l = arg;

    return link_suggestion_list(tx, l->a, l->b, 10, l->talk->arena, &l->suggestions, &l->count,
                                err);
}

static enum status
dismiss_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct linking *l = arg;

    return link_suggestion_dismiss(tx, l->b, l->a, TALK_START_US, err);
}

static void
equal_numbers_are_suggested(void **state)
{
    struct talk *talk = *state;
    struct linking l = {.talk = talk}, next = {.talk = talk};

    hear_on(talk, "twilio_sms", "+4915112345678");
    hear_on(talk, "whatsapp_business", "4915112345678");
    hear_on(talk, "email", "ada@shop.example");
    hear_on(talk, "twilio_whatsapp", "+4915112345678");
    hear_on(talk, "telegram", "4915112345678");
    ASSERT_OK(talk_run(talk, 0, suggestions_work, &l), &talk->err);
    assert_int_equal(l.count, 3);
    for (size_t i = 0; i < l.count; i++) {
        ASSERT_STR(l.suggestions[i].reason, "phone");
        assert_true(l.suggestions[i].score > 0.9 && l.suggestions[i].score < 1);
    }
    next.a = l.suggestions[0].contact_id;
    next.b = l.suggestions[0].other_id;
    ASSERT_OK(talk_run(talk, 0, suggestions_work, &next), &talk->err);
    assert_int_equal(next.count, 2); /* the page behind the first */

    ASSERT_OK(talk_run(talk, 0, dismiss_work, &next), &talk->err);
    ASSERT_OK(talk_run(talk, 0, dismiss_work, &next), &talk->err); /* again is fine */
    ASSERT_OK(talk_run(talk, 0, suggestions_work, &l), &talk->err);
    assert_int_equal(l.count, 2);
    connect(talk, l.suggestions[0].contact_id, l.suggestions[0].other_id);
    ASSERT_OK(talk_run(talk, 0, suggestions_work, &l), &talk->err);
    assert_int_equal(l.count, 1);
    assert_int_equal(talk_run(talk, 1, dismiss_work, &next), ST_NOT_FOUND);
    l.a = l.b = (struct contact_id){{""}};
    ASSERT_OK(talk_run(talk, 1, suggestions_work, &l), &talk->err);
    assert_int_equal(l.count, 0);
}

static size_t
suggestions(struct talk *talk)
{
    struct linking l = {.talk = talk};

    ASSERT_OK(talk_run(talk, 0, suggestions_work, &l), &talk->err);
    return l.count;
}

/* --- an id, a number, or both --- */

#define MESSAGES_MAX 4

/* In the order of arrival: '#' the number alone, '@' the id alone, '&' both, '2' the same number
 * with another id. same_as_first: whether the last message is of the first one's contact. */
static const struct naming {
    const char *name, *messages;
    int64_t contacts;
    size_t suggestions;
    bool same_as_first;
} namings[] = {
    {"the number, then both", "#&", 1, 0, true},
    {"the number, both, then the id", "#&@", 1, 0, true},
    {"both, then the id", "&@", 1, 0, true},
    {"both, then the number", "&#", 1, 0, true},
    {"the id, then both", "@&", 1, 0, true},
    {"the id, both, then the number", "@&#", 1, 0, true},
    {"each is known by one of them", "#@", 2, 0, false},
    {"each is known by one of them, then both", "#@&", 2, 1, false},
    {"each is known by one of them, both, then the number", "#@&#", 2, 1, true},
    {"the number has another owner", "&2", 2, 1, false},
    {"the number has another owner, then the first id", "&2@", 2, 1, true},
    {"the number alone says not which of two", "&2#", 3, 3, false},
};

static struct inbound_result
hear_named(struct talk *talk, const struct channel_record *channel, unsigned number, char how)
{
    char id[32], phone[32];

    (void)snprintf(id, sizeof(id), "DE.%c%u", how == '2' ? '2' : '1', number);
    (void)snprintf(phone, sizeof(phone), "49151%07u", number);
    return hear_in(talk, 0, channel, how == '#' ? phone : id, how == '@' ? "" : phone);
}

static void
same_person_by_id_and_by_number(void **state)
{
    struct talk *talk = *state;
    const struct channel_record *channel = channel_of(talk, 0, "whatsapp_business");
    size_t suggested = 0;

    for (unsigned i = 0; i < sizeof(namings) / sizeof(namings[0]); i++) {
        const struct naming *row = &namings[i];
        struct talk_counts before = talk_count(talk, 0), after;
        struct contact_id first = {{""}}, last = {{""}};

        for (const char *how = row->messages; *how != '\0'; how++) {
            struct inbound_result heard = hear_named(talk, channel, i, *how);

            last = talk_conversation(talk, heard.conversation_id).contact_id;
            if (how == row->messages)
                first = last;
        }
        after = talk_count(talk, 0);
        suggested += row->suggestions;
        if (after.contacts - before.contacts != row->contacts ||
            after.identities - before.identities != row->contacts ||
            after.conversations - before.conversations != row->contacts ||
            after.chats - before.chats != row->contacts)
            fail_msg("%s: %lld contacts, %lld conversations", row->name,
                     (long long)(after.contacts - before.contacts),
                     (long long)(after.conversations - before.conversations));
        if (id_eq(&first.id, &last.id) != row->same_as_first)
            fail_msg("%s: the last is of %s", row->name,
                     row->same_as_first ? "another" : "the first");
        if (suggestions(talk) != suggested)
            fail_msg("%s: %zu suggestions", row->name, suggestions(talk) - suggested);
    }
    channel_record_unref(&channel);
}

/* What is asked for next is sent to the id, although it began under the number. */
static void
answers_go_to_the_id(void **state)
{
    struct talk *talk = *state;
    const struct channel_record *channel = channel_of(talk, 0, "whatsapp_business");
    struct inbound_result heard[3] = {hear_named(talk, channel, 1, '#'),
                                      hear_named(talk, channel, 1, '&'),
                                      hear_named(talk, channel, 1, '#')};

    for (int i = 1; i < 3; i++) {
        assert_true(id_eq(&heard[i].conversation_id.id, &heard[0].conversation_id.id));
        assert_int_equal(heard[i].seq, i + 1);
        ASSERT_STR(talk_get(talk, heard[i].message_id).external_chat_id, "DE.11");
        ASSERT_STR(talk_get(talk, heard[i].message_id).external_user_id, "DE.11");
    }
    ASSERT_STR(talk_conversation(talk, heard[0].conversation_id).external_chat_id, "DE.11");
    channel_record_unref(&channel);
}

static void
numbers_are_of_one_channel(void **state)
{
    struct talk *talk = *state;
    const struct channel_record *ours[2] = {channel_of(talk, 0, "whatsapp_business"),
                                            channel_of(talk, 0, "whatsapp_business")};
    const struct channel_record *theirs = channel_of(talk, 1, "whatsapp_business");

    (void)hear_in(talk, 0, ours[0], "4915112345678", "4915112345678");
    (void)hear_in(talk, 0, ours[1], "DE.1", "4915112345678");
    (void)hear_in(talk, 1, theirs, "DE.1", "4915112345678");
    (void)hear_in(talk, 1, theirs, "4915112345678", "4915112345678");
    assert_int_equal(talk_count(talk, 0).contacts, 2);
    assert_int_equal(suggestions(talk), 1);
    assert_int_equal(talk_count(talk, 1).contacts, 1);
    channel_record_unref(&ours[0]);
    channel_record_unref(&ours[1]);
    channel_record_unref(&theirs);
}

static enum status
migration_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct hearing *h = arg;

    return conversation_record_event(tx, h->channel, &h->inbound, TALK_START_US, err);
}

/* "The number changed", told under the number, of somebody known by an id; and the other way. */
static void
migration_finds_the_person_by_either(void **state)
{
    static const struct {
        char known;
        const char *before, *phone, *after, *next, *next_phone;
    } rows[] = {
        {'&', "491510000000", "491510000000", "4915100000099", "DE.99", "4915100000099"},
        {'#', "DE.11", "491510000001", "DE.98", "DE.98", ""},
    };
    struct talk *talk = *state;
    const struct channel_record *channel = channel_of(talk, 0, "whatsapp_business");

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct inbound_result first = hear_named(talk, channel, i, rows[i].known), last;
        struct hearing event = hearing_of(talk, 0, channel, rows[i].before, rows[i].phone);

        event.inbound.kind = INBOUND_EVENT;
        event.inbound.event_kind = STR("migrated");
        event.inbound.external_event_id = event.inbound.external_message_id;
        event.inbound.new_external_chat_id = str_from_c(rows[i].after);
        event.inbound.raw = STR("{}");
        ASSERT_OK(talk_run(talk, 0, migration_work, &event), &talk->err);
        json_decref(event.inbound.metadata);
        last = hear_in(talk, 0, channel, rows[i].next, rows[i].next_phone);
        assert_true(id_eq(&first.conversation_id.id, &last.conversation_id.id));
        assert_int_equal(talk_count(talk, 0).contacts, i + 1);
    }
    channel_record_unref(&channel);
}

static void *
hear_one(void *arg)
{
    struct hearing *h = arg;
    struct err err;

    ASSERT_OK(store_run(h->talk->bed.store, h->talk->bed.scopes[h->organization], "test",
                        STORE_DURABLE, hear_work, h, &err),
              &err);
    return NULL;
}

/* By the number, and by both: whichever is recorded first, and also when one statement records
 * them together. */
static void
named_both_ways_at_once(void **state)
{
    struct talk *talk = *state;
    const struct channel_record *channel = channel_of(talk, 0, "whatsapp_business");
    struct hearing heard[CROWD];
    pthread_t threads[CROWD];

    for (unsigned i = 0; i < CROWD; i++) {
        char id[32], phone[32];

        (void)snprintf(id, sizeof(id), "DE.1%u", i / 4);
        (void)snprintf(phone, sizeof(phone), "49151%07u", i / 4);
        heard[i] = hearing_of(talk, 0, channel, i % 2 == 0 ? phone : id, phone);
    }
    for (unsigned i = 0; i < CROWD; i++)
        ASSERT_OK(thread_start("hearer", hear_one, &heard[i], &threads[i], &talk->err), &talk->err);
    for (unsigned i = 0; i < CROWD; i++) {
        (void)pthread_join(threads[i], NULL);
        json_decref(heard[i].inbound.metadata);
    }
    assert_int_equal(talk_count(talk, 0).contacts, CROWD / 4);
    assert_int_equal(talk_count(talk, 0).conversations, CROWD / 4);
    assert_int_equal(talk_count(talk, 0).messages, CROWD);
    channel_record_unref(&channel);
}

/* --- context --- */

static enum status
history_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct linking *l = arg;

    l->history = (struct history){NULL, 0};
    return person_add_history(tx, &l->conversation, 3, l->talk->arena, &l->history, err);
}

static size_t
brought_along(struct talk *talk, struct conversation_id id)
{
    struct linking l = {.talk = talk, .conversation = talk_conversation(talk, id)};

    ASSERT_OK(talk_run(talk, 0, history_work, &l), &talk->err);
    for (size_t i = 1; i < l.history.count; i++)
        assert_true(l.history.messages[i - 1].created_at_us <= l.history.messages[i].created_at_us);
    return l.history.count;
}

static void
context_is_not_for_groups(void **state)
{
    struct talk *talk = *state;
    struct contact_id a = person(talk, "a"), b = person(talk, "b");
    struct inbound_result private_a, group_a, private_b;

    for (int i = 0; i < 4; i++) {
        char id[16];

        (void)snprintf(id, sizeof(id), "x%d", i);
        clock_advance_us(talk->clock, US_PER_S);
        private_a = talk_hear(talk, arena_cstr(talk->arena, str_from_c(id)), "a", "a", "Secret");
    }
    group_a = talk_hear(talk, "g1", "a", "group", "Hello all");
    private_b = talk_hear(talk, "b1", "b", "b", "Hello");
    assert_int_equal(brought_along(talk, private_b.conversation_id), 0);
    connect(talk, a, b);
    assert_int_equal(brought_along(talk, private_b.conversation_id), 3); /* the last of 5 */
    assert_int_equal(brought_along(talk, private_a.conversation_id), 2); /* b's, not the group's */
    assert_int_equal(brought_along(talk, group_a.conversation_id), 0);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TALK_CASE(one_with_one_is_one_with_all),
        TALK_CASE(links_made_at_once_miss_nobody),
        TALK_CASE(code_counts_once),
        TALK_CASE(equal_numbers_are_suggested),
        TALK_CASE(same_person_by_id_and_by_number),
        TALK_CASE(answers_go_to_the_id),
        TALK_CASE(numbers_are_of_one_channel),
        TALK_CASE(migration_finds_the_person_by_either),
        TALK_CASE(named_both_ways_at_once),
        TALK_CASE(context_is_not_for_groups),
        cmocka_unit_test(codes_by_their_form),
        cmocka_unit_test(match_keys_by_source),
    };
    int failed;

    if (!talk_suite_begin(argc, argv, "person"))
        return PGSQL_SKIPPED;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    talk_suite_end();
    return failed;
}
