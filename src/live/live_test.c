/*
 * live_test.c - order, resume, limits, and that a subscriber never misses anything unknowingly
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/thread.h"
#include "live/live.h"
#include "store/tenant_scope_driver.h"

static struct tenant_scope
make_scope(void)
{
    return (struct tenant_scope){ID_NEW(organization_id), "test"};
}

static struct live_hub *
make_hub(struct clock *clock, unsigned max_topics, unsigned events, size_t max_bytes)
{
    struct live_config config = {.clock = clock,
                                 .max_topics = max_topics,
                                 .events_per_topic = events,
                                 .max_bytes = max_bytes,
                                 .keep_us = 60 * US_PER_S};
    struct live_hub *hub;
    struct err err;

    assert_int_equal(live_hub_create(&config, &hub, &err), ST_OK);
    return hub;
}

/* What one subscriber saw: the data of each event, or "!" for a reset, each followed by a space. */
struct seen {
    char text[512];
    char last_id[64];
    unsigned stop_after; /* 0: never */
    unsigned count;
};

static bool
note(const struct live_event *event, void *context)
{
    struct seen *seen = context;
    size_t len = strlen(seen->text);
    bool reset = str_eq_c(event->type, "reset");

    (void)snprintf(seen->text + len, sizeof(seen->text) - len, "%.*s ",
                   reset ? 1 : (int)event->data.len, reset ? "!" : event->data.ptr);
    (void)snprintf(seen->last_id, sizeof(seen->last_id), "%.*s", STR_ARG(event->id));
    seen->count++;
    return seen->stop_after == 0 || seen->count < seen->stop_after;
}

static struct live_subscription *
subscribe(struct live_hub *hub, const struct tenant_scope *scope, const char *topic,
          const char *last_id, struct seen *seen)
{
    struct live_subscription *subscription;
    struct err err;

    assert_int_equal(live_subscribe(hub, scope, str_from_c(topic), str_from_c(last_id), note, seen,
                                    &subscription, &err),
                     ST_OK);
    return subscription;
}

static void
publish(struct live_hub *hub, const struct tenant_scope *scope, const char *topic, const char *data)
{
    live_publish(hub, scope, str_from_c(topic), STR("m"), str_from_c(data));
}

static void
test_order_and_resume(void **state)
{
    struct tenant_scope scope = make_scope();
    struct live_hub *hub = make_hub(clock_system(), 10, 3, 10000);
    struct seen a = {.text = ""};
    struct seen b = {.text = ""};
    struct seen c = {.text = ""};
    struct seen none = {.text = ""};
    struct live_subscription *sub;
    char after_two[64];

    (void)state;
    publish(hub, &scope, "t", "0"); /* nobody listens: forgotten */
    sub = subscribe(hub, &scope, "t", "", &a);
    publish(hub, &scope, "t", "1");
    publish(hub, &scope, "t", "2");
    (void)snprintf(after_two, sizeof(after_two), "%s", a.last_id);
    assert_string_equal(strchr(after_two, '-'), "-2");
    live_unsubscribe(&sub);
    assert_null(sub);
    publish(hub, &scope, "t", "3");
    publish(hub, &scope, "t", "4");
    publish(hub, &scope, "t", "5");
    assert_string_equal(a.text, "1 2 ");

    sub = subscribe(hub, &scope, "t", after_two, &b);
    assert_string_equal(b.text, "3 4 5 ");
    publish(hub, &scope, "t", "6"); /* pushes 3 out of the ring of 3 */
    assert_string_equal(b.text, "3 4 5 6 ");
    live_unsubscribe(&sub);

    sub = subscribe(hub, &scope, "t", after_two, &c);
    publish(hub, &scope, "t", "7");
    assert_string_equal(c.text, "! 7 ");
    live_unsubscribe(&sub);

    sub = subscribe(hub, &scope, "t", c.last_id, &none);
    assert_string_equal(none.text, ""); /* up to date */
    live_unsubscribe(&sub);
    live_hub_destroy(&hub);
    assert_null(hub);
}

static void
test_ids_that_are_not_ours(void **state)
{
    static const char *const tails[] = {
        "-9", "-", "-x", "", "--1", "-1-1", "-18446744073709551616"};
    struct tenant_scope scope = make_scope();
    struct live_hub *hub = make_hub(clock_system(), 10, 3, 10000);
    struct seen a = {.text = ""};
    struct live_subscription *sub = subscribe(hub, &scope, "t", "", &a);

    (void)state;
    publish(hub, &scope, "t", "1");
    for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
        struct seen b = {.text = ""};
        struct live_subscription *other;
        char id[128];

        (void)snprintf(id, sizeof(id), "%.16s%s", a.last_id, tails[i]);
        other = subscribe(hub, &scope, "t", id, &b);
        assert_string_equal(b.text, "! ");
        assert_string_equal(b.last_id, a.last_id);
        live_unsubscribe(&other);
    }
    for (size_t i = 0; i < 2; i++) {
        struct seen b = {.text = ""};
        struct live_subscription *other =
            subscribe(hub, &scope, "t", i == 0 ? "0123456789abcdef-1" : "rubbish", &b);

        assert_string_equal(b.text, "! ");
        live_unsubscribe(&other);
    }
    live_unsubscribe(&sub);
    live_hub_destroy(&hub);
}

static void
test_organizations_are_apart(void **state)
{
    struct tenant_scope ours = make_scope();
    struct tenant_scope theirs = make_scope();
    struct live_hub *hub = make_hub(clock_system(), 10, 3, 10000);
    struct seen a = {.text = ""};
    struct seen b = {.text = ""};
    struct live_subscription *sub_a = subscribe(hub, &ours, "t", "", &a);
    struct live_subscription *sub_b = subscribe(hub, &theirs, "t", "", &b);

    (void)state;
    publish(hub, &ours, "t", "ours");
    publish(hub, &theirs, "t", "theirs");
    publish(hub, &ours, "other", "nobody");
    assert_string_equal(a.text, "ours ");
    assert_string_equal(b.text, "theirs ");
    assert_int_equal(live_subscriber_count(hub), 2);
    live_unsubscribe(&sub_a);
    /* An id of the other organization's ring means nothing here. */
    memset(&a, 0, sizeof(a));
    sub_a = subscribe(hub, &ours, "t", b.last_id, &a);
    assert_string_equal(a.text, "! ");
    live_unsubscribe(&sub_a);
    live_unsubscribe(&sub_b);
    assert_int_equal(live_subscriber_count(hub), 0);
    live_hub_destroy(&hub);
}

static void
test_saying_no_ends_it(void **state)
{
    struct tenant_scope scope = make_scope();
    struct live_hub *hub = make_hub(clock_system(), 10, 8, 10000);
    struct seen a = {.stop_after = 2};
    struct seen b = {.stop_after = 1};
    struct live_subscription *sub = subscribe(hub, &scope, "t", "", &a);
    struct live_subscription *replay;
    char first_id[64];

    (void)state;
    publish(hub, &scope, "t", "1");
    (void)snprintf(first_id, sizeof(first_id), "%s", a.last_id);
    publish(hub, &scope, "t", "2");
    assert_int_equal(live_subscriber_count(hub), 0);
    publish(hub, &scope, "t", "3");
    assert_string_equal(a.text, "1 2 ");
    replay = subscribe(hub, &scope, "t", first_id, &b);
    assert_string_equal(b.text, "2 ");
    assert_int_equal(live_subscriber_count(hub), 0);
    live_unsubscribe(&replay);
    live_unsubscribe(&sub);
    live_hub_destroy(&hub);
}

static void
test_topics_are_bounded(void **state)
{
    struct clock *clock = clock_create_manual(US_PER_S);
    struct tenant_scope scope = make_scope();
    struct live_hub *hub = make_hub(clock, 2, 8, 10000);
    struct seen a = {.text = ""};
    struct seen b = {.text = ""};
    struct seen c = {.text = ""};
    struct live_subscription *sub_a = subscribe(hub, &scope, "a", "", &a);
    struct live_subscription *sub_b = subscribe(hub, &scope, "b", "", &b);
    struct live_subscription *refused;
    char last_a[64];
    char last_b[64];
    struct err err;

    (void)state;
    publish(hub, &scope, "a", "1");
    publish(hub, &scope, "b", "1");
    memcpy(last_a, a.last_id, sizeof(last_a));
    memcpy(last_b, b.last_id, sizeof(last_b));
    assert_int_equal(live_subscribe(hub, &scope, STR("c"), STR_EMPTY, note, &c, &refused, &err),
                     ST_BUSY);
    assert_null(refused);
    live_unsubscribe(&sub_b); /* b is now unused longer than a */
    clock_advance_us(clock, 1);
    live_unsubscribe(&sub_a);
    sub_b = subscribe(hub, &scope, "c", "", &c); /* takes b's place */
    memset(&a, 0, sizeof(a));
    sub_a = subscribe(hub, &scope, "a", last_a, &a);
    assert_string_equal(a.text, "");
    live_unsubscribe(&sub_a);
    memset(&b, 0, sizeof(b));
    sub_a = subscribe(hub, &scope, "b", last_b, &b); /* takes a's place */
    assert_string_equal(b.text, "! ");
    live_unsubscribe(&sub_a);
    live_unsubscribe(&sub_b);

    /* Unused rings end after keep_us: the id is then from another epoch. */
    memcpy(last_b, b.last_id, sizeof(last_b));
    clock_advance_us(clock, 60 * US_PER_S - 1);
    memset(&b, 0, sizeof(b));
    sub_b = subscribe(hub, &scope, "b", last_b, &b);
    assert_string_equal(b.text, "");
    live_unsubscribe(&sub_b);
    clock_advance_us(clock, 60 * US_PER_S);
    sub_b = subscribe(hub, &scope, "b", last_b, &b);
    assert_string_equal(b.text, "! ");
    live_unsubscribe(&sub_b);
    live_hub_destroy(&hub);
    clock_destroy(&clock);
}

static void
test_bytes_are_bounded(void **state)
{
    enum { MAX_BYTES = 64 * 1024, DATA_BYTES = 1000, TOPICS = 20 };
    struct tenant_scope scope = make_scope();
    struct live_hub *hub = make_hub(clock_system(), 100, 1000, MAX_BYTES);
    struct live_subscription *subs[TOPICS];
    static struct seen seen[TOPICS];
    static char data[MAX_BYTES * 2];
    struct mallinfo2 before = mallinfo2();
    struct mallinfo2 after;

    (void)state;
    memset(data, 'x', sizeof(data) - 1);
    memset(seen, 0, sizeof(seen));
    for (int i = 0; i < TOPICS; i++) {
        char topic[16];

        (void)snprintf(topic, sizeof(topic), "t%d", i);
        subs[i] = subscribe(hub, &scope, topic, "", &seen[i]);
        if (i % 2 == 0)
            live_unsubscribe(&subs[i]);
        for (int n = 0; n < 200; n++)
            live_publish(hub, &scope, str_from_c(topic), STR("m"), str_of(data, DATA_BYTES));
        if (subs[i] != NULL)
            assert_int_equal(seen[i].count, 200); /* who listens gets all of it */
    }
    after = mallinfo2();
    /* Sanitizers' allocators report nothing here; then this compares 0 with 0. */
    assert_true(after.uordblks <= before.uordblks + 2 * MAX_BYTES);

    /* Too large to be held: the listener is told to read anew. */
    memset(&seen[1], 0, sizeof(seen[1]));
    publish(hub, &scope, "t1", data);
    assert_string_equal(seen[1].text, "! ");
    publish(hub, &scope, "t1", "small");
    assert_string_equal(seen[1].text, "! small ");
    for (int i = 0; i < TOPICS; i++)
        live_unsubscribe(&subs[i]);
    live_hub_destroy(&hub);
}

struct echo {
    struct live_hub *hub;
    const struct tenant_scope *scope;
    struct seen seen;
};

static bool
answer_ping(const struct live_event *event, void *context)
{
    struct echo *echo = context;

    if (str_eq_c(event->data, "ping"))
        publish(echo->hub, echo->scope, "t", "pong");
    return note(event, &echo->seen);
}

static void
test_publishing_from_a_callback(void **state)
{
    struct tenant_scope scope = make_scope();
    struct echo echo = {.hub = make_hub(clock_system(), 10, 8, 10000), .scope = &scope};
    struct live_subscription *sub;
    struct err err;

    (void)state;
    assert_int_equal(
        live_subscribe(echo.hub, &scope, STR("t"), STR_EMPTY, answer_ping, &echo, &sub, &err),
        ST_OK);
    publish(echo.hub, &scope, "t", "ping");
    assert_string_equal(echo.seen.text, "ping pong ");
    live_unsubscribe(&sub);
    live_hub_destroy(&echo.hub);
}

/* ---------------------------------------------------------------- a slow callback */

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool entered, open;
    bool finished; /* set as on_event's last act */
    struct live_hub *hub;
    struct live_subscription *sub;
    struct tenant_scope scope;
};

static bool
wait_at_gate(const struct live_event *event, void *context)
{
    struct gate *gate = context;

    (void)event;
    pthread_mutex_lock(&gate->lock);
    gate->entered = true;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open)
        pthread_cond_wait(&gate->changed, &gate->lock);
    gate->finished = true;
    pthread_mutex_unlock(&gate->lock);
    return true;
}

static void *
publish_to_gate(void *arg)
{
    struct gate *gate = arg;

    publish(gate->hub, &gate->scope, "t", "x");
    return NULL;
}

static void *
unsubscribe_gate(void *arg)
{
    struct gate *gate = arg;

    live_unsubscribe(&gate->sub);
    pthread_mutex_lock(&gate->lock);
    assert_true(gate->finished);
    pthread_mutex_unlock(&gate->lock);
    return NULL;
}

static void
test_a_slow_callback_holds_nobody_up(void **state)
{
    struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .scope = make_scope()};
    struct seen seen = {.text = ""};
    struct live_subscription *sub;
    pthread_t publisher;
    pthread_t unsubscriber;
    struct err err;

    (void)state;
    cond_init(&gate.changed);
    gate.hub = make_hub(clock_system(), 10, 2, 10000);
    assert_int_equal(live_subscribe(gate.hub, &gate.scope, STR("t"), STR_EMPTY, wait_at_gate, &gate,
                                    &gate.sub, &err),
                     ST_OK);
    assert_int_equal(thread_start("publisher", publish_to_gate, &gate, &publisher, &err), ST_OK);
    pthread_mutex_lock(&gate.lock);
    while (!gate.entered)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);

    /* While on_event stands still, everybody else goes on, in the same topic too. */
    sub = subscribe(gate.hub, &gate.scope, "t", "", &seen);
    publish(gate.hub, &gate.scope, "t", "1");
    publish(gate.hub, &gate.scope, "t", "2");
    publish(gate.hub, &gate.scope, "t", "3");
    assert_string_equal(seen.text, "1 2 3 ");
    live_unsubscribe(&sub);

    assert_int_equal(thread_start("leaver", unsubscribe_gate, &gate, &unsubscriber, &err), ST_OK);
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    pthread_join(unsubscriber, NULL);
    pthread_join(publisher, NULL);
    assert_int_equal(live_subscriber_count(gate.hub), 0);
    live_hub_destroy(&gate.hub);
    pthread_cond_destroy(&gate.changed);
}

/* ---------------------------------------------------------------- resume, at random, on threads */

enum { WALK_TOPICS = 3, WALK_PUBLISHERS = 2, WALK_EVENTS = 4000, WALK_READERS = 4 };

struct walk {
    struct live_hub *hub;
    struct tenant_scope scope;
    _Atomic int publishers_left;
    pthread_mutex_t publish_lock[WALK_TOPICS]; /* makes each topic's data its number */
    int64_t published[WALK_TOPICS];
    _Atomic int64_t resets, resumes;
};

struct reader {
    struct walk *walk;
    int topic;
    int64_t last; /* number seen last; after a reset: unknown until the next event */
    bool after_reset;
    bool wrong;
    unsigned leave_after;
    char last_id[64];
};

static bool
check_next(const struct live_event *event, void *context)
{
    struct reader *reader = context;
    int64_t number = -1;

    (void)snprintf(reader->last_id, sizeof(reader->last_id), "%.*s", STR_ARG(event->id));
    if (str_eq_c(event->type, "reset")) {
        atomic_fetch_add(&reader->walk->resets, 1);
        reader->after_reset = true;
    } else {
        if (!str_to_i64(event->data, &number) || number <= reader->last ||
            (number != reader->last + 1 && !reader->after_reset))
            reader->wrong = true;
        reader->last = number;
        reader->after_reset = false;
    }
    return reader->leave_after == 0 || --reader->leave_after > 0;
}

static void *
walk_publish(void *arg)
{
    struct walk *walk = arg;

    for (int i = 0; i < WALK_EVENTS; i++) {
        int topic = (int)random_below(WALK_TOPICS);
        char name[8];
        char data[24];

        (void)snprintf(name, sizeof(name), "t%d", topic);
        /* Held over live_publish: two numbers must be published in their order. It shows at the
         * same time that a lock of the publisher's does no harm. */
        pthread_mutex_lock(&walk->publish_lock[topic]);
        (void)snprintf(data, sizeof(data), "%lld", (long long)++walk->published[topic]);
        publish(walk->hub, &walk->scope, name, data);
        pthread_mutex_unlock(&walk->publish_lock[topic]);
    }
    atomic_fetch_sub(&walk->publishers_left, 1);
    return NULL;
}

static void *
walk_read(void *arg)
{
    struct reader *reader = arg;
    struct walk *walk = reader->walk;
    char name[8];
    bool over = false;

    (void)snprintf(name, sizeof(name), "t%d", reader->topic);
    while (!over) {
        struct live_subscription *sub;
        struct err err;

        /* Read before subscribing: what was published until then is in the replay. */
        over = atomic_load(&walk->publishers_left) == 0;
        reader->leave_after = over ? 0 : random_below(20);
        atomic_fetch_add(&walk->resumes, 1);
        if (live_subscribe(walk->hub, &walk->scope, str_from_c(name), str_from_c(reader->last_id),
                           check_next, reader, &sub, &err) != ST_OK)
            reader->wrong = true;
        if (random_below(2) == 0)
            sched_yield();
        live_unsubscribe(&sub);
    }
    return NULL;
}

static void
test_resume_at_random(void **state)
{
    struct walk walk = {.scope = make_scope(), .publishers_left = WALK_PUBLISHERS};
    struct reader readers[WALK_READERS];
    pthread_t threads[WALK_PUBLISHERS + WALK_READERS];
    struct err err;

    (void)state;
    walk.hub = make_hub(clock_system(), 8, 32, 4000);
    for (int i = 0; i < WALK_TOPICS; i++)
        pthread_mutex_init(&walk.publish_lock[i], NULL);
    for (int i = 0; i < WALK_READERS; i++) {
        readers[i] = (struct reader){.walk = &walk, .topic = i % WALK_TOPICS};
        (void)snprintf(readers[i].last_id, sizeof(readers[i].last_id),
                       "none-0"); /* a reset first */
    }
    for (int i = 0; i < WALK_READERS; i++)
        assert_int_equal(
            thread_start("reader", walk_read, &readers[i], &threads[WALK_PUBLISHERS + i], &err),
            ST_OK);
    for (int i = 0; i < WALK_PUBLISHERS; i++)
        assert_int_equal(thread_start("publisher", walk_publish, &walk, &threads[i], &err), ST_OK);
    for (int i = 0; i < WALK_PUBLISHERS + WALK_READERS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < WALK_READERS; i++) {
        assert_false(readers[i].wrong);
        /* Nothing published is unknown to anybody who was not told to read anew. */
        assert_true(readers[i].after_reset || readers[i].last == walk.published[readers[i].topic]);
    }
    assert_true(atomic_load(&walk.resumes) > WALK_READERS);
    for (int i = 0; i < WALK_TOPICS; i++)
        pthread_mutex_destroy(&walk.publish_lock[i]);
    print_message("           %lld connections, %lld resets\n", (long long)walk.resumes,
                  (long long)walk.resets);
    live_hub_destroy(&walk.hub);
}

static bool
count_one(const struct live_event *event, void *context)
{
    (void)event;
    (*(unsigned *)context)++;
    return true;
}

static void
test_ten_thousand_subscribers(void **state)
{
    enum { COUNT = 10000 };
    struct tenant_scope scope = make_scope();
    struct live_hub *hub = make_hub(clock_system(), COUNT, 64, 1000000);
    struct live_subscription **subs = calloc(COUNT, sizeof(struct live_subscription *));
    struct mallinfo2 before = mallinfo2();
    struct mallinfo2 after;
    unsigned received = 0;
    struct err err;

    (void)state;
    assert_non_null(subs);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(
            live_subscribe(hub, &scope, STR("t"), STR_EMPTY, count_one, &received, &subs[i], &err),
            ST_OK);
    after = mallinfo2();
    assert_int_equal(live_subscriber_count(hub), COUNT);
    publish(hub, &scope, "t", "x");
    assert_int_equal(received, COUNT);
    print_message("           %.1f bytes of heap a subscriber\n",
                  (double)(after.uordblks - before.uordblks) / COUNT);
    assert_true(after.uordblks - before.uordblks <= (size_t)COUNT * 112);
    for (int i = 0; i < COUNT; i++)
        live_unsubscribe(&subs[i]);
    free(subs);
    live_hub_destroy(&hub);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_resume),
        cmocka_unit_test(test_ids_that_are_not_ours),
        cmocka_unit_test(test_organizations_are_apart),
        cmocka_unit_test(test_saying_no_ends_it),
        cmocka_unit_test(test_topics_are_bounded),
        cmocka_unit_test(test_bytes_are_bounded),
        cmocka_unit_test(test_publishing_from_a_callback),
        cmocka_unit_test(test_a_slow_callback_holds_nobody_up),
        cmocka_unit_test(test_resume_at_random),
        cmocka_unit_test(test_ten_thousand_subscribers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
