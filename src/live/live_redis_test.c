/*
 * live_redis_test.c - two hubs on one Redis: order, resume anywhere, nothing missed unknowingly
 */
#include "base/testing.h"

#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/thread.h"
#include "live/live_driver.h"
#include "net/redis_test_support.h"
#include "store/tenant_scope_driver.h"

#define WAIT_US (30 * US_PER_S)
#define EVENTS 8

/* Data of what came, "!" for a reset, each followed by a space. */
struct seen {
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    char text[20000];
    char last_id[64];
    uint64_t last_number;
    unsigned count, resets;
    bool wrong; /* a number twice or left out, without a reset */
};

static void
seen_init(struct seen *seen)
{
    memset(seen, 0, sizeof(*seen));
    pthread_mutex_init(&seen->lock, NULL);
    cond_init(&seen->changed);
}

static bool
note(const struct live_event *event, void *context)
{
    struct seen *seen = context;
    bool reset = str_eq_c(event->type, "reset");
    struct str number = event->id;
    struct str epoch;
    int64_t value = -1;
    size_t len;

    pthread_mutex_lock(&seen->lock);
    len = strlen(seen->text);
    if (!str_split(&number, '-', &epoch) || !str_to_i64(number, &value))
        seen->wrong = true;
    if (!reset && seen->last_id[0] != '\0' && (uint64_t)value != seen->last_number + 1)
        seen->wrong = true;
    seen->last_number = (uint64_t)value;
    (void)snprintf(seen->text + len, sizeof(seen->text) - len, "%.*s ",
                   reset ? 1 : (int)event->data.len, reset ? "!" : event->data.ptr);
    (void)snprintf(seen->last_id, sizeof(seen->last_id), "%.*s", STR_ARG(event->id));
    seen->count++;
    seen->resets += reset;
    pthread_cond_broadcast(&seen->changed);
    pthread_mutex_unlock(&seen->lock);
    return true;
}

static void
wait_text(struct seen *seen, const char *text)
{
    int64_t deadline_us = clock_mono_us(clock_system()) + WAIT_US;
    bool in_time = true;

    pthread_mutex_lock(&seen->lock);
    while (strcmp(seen->text, text) != 0 && in_time)
        in_time = cond_wait_until(&seen->changed, &seen->lock, deadline_us);
    if (!in_time)
        fail_msg("got \"%s\", want \"%s\"", seen->text, text);
    pthread_mutex_unlock(&seen->lock);
    assert_false(seen->wrong);
}

/* Waits for one more; true when the last was an event. */
static bool
wait_count(struct seen *seen, unsigned more_than)
{
    int64_t deadline_us = clock_mono_us(clock_system()) + WAIT_US;
    bool in_time = true;
    bool event;

    pthread_mutex_lock(&seen->lock);
    while (seen->count <= more_than && in_time)
        in_time = cond_wait_until(&seen->changed, &seen->lock, deadline_us);
    event = !str_ends_with(str_from_c(seen->text), STR("! "));
    pthread_mutex_unlock(&seen->lock);
    assert_true(in_time);
    assert_false(seen->wrong);
    return event;
}

struct scene {
    struct test_redis server;
    struct tenant_scope scope;
    struct live_hub *a, *b;
    struct seen seen_a, seen_b;
};

static struct live_hub *
make_hub(const struct test_redis *server, unsigned events)
{
    struct live_config config = {.clock = clock_system(),
                                 .max_topics = 100,
                                 .events_per_topic = events,
                                 .max_bytes = 10000000,
                                 .keep_us = 60 * US_PER_S,
                                 .driver = &live_redis,
                                 .addresses = str_from_c(server->url),
                                 .join_ms = 10000};
    struct live_hub *hub;
    struct err err;

    ASSERT_OK(live_hub_create(&config, &hub, &err), &err);
    return hub;
}

static struct live_subscription *
subscribe(struct live_hub *hub, const struct tenant_scope *scope, const char *last_id,
          struct seen *seen)
{
    struct live_subscription *subscription;
    struct err err;

    ASSERT_OK(
        live_subscribe(hub, scope, STR("t"), str_from_c(last_id), note, seen, &subscription, &err),
        &err);
    return subscription;
}

static void
publish(struct live_hub *hub, const struct tenant_scope *scope, const char *data)
{
    live_publish(hub, scope, STR("t"), STR("m"), str_from_c(data));
}

/* Until a hub has its link: before that a subscriber does not wait for it. */
static void
wait_linked(struct live_hub *hub)
{
    struct tenant_scope scope = {ID_NEW(organization_id), "test"};
    int64_t end_us = clock_mono_us(clock_system()) + WAIT_US;

    for (bool linked = false; !linked;) {
        struct seen seen;
        struct live_subscription *sub;
        char bytes[80];
        char epoch[17];
        uint64_t number;

        seen_init(&seen);
        (void)snprintf(bytes, sizeof(bytes), "%s/t", scope.organization_id.id.text);
        sub = subscribe(hub, &scope, "", &seen);
        publish(hub, &scope, "x");
        for (int i = 0; i < 100000 && !linked; i++)
            linked = live_hub_place(hub, str_from_c(bytes), epoch, &number) && number > 0;
        live_unsubscribe(&sub);
        assert_true(clock_mono_us(clock_system()) < end_us);
    }
}

static void
open_scene(struct scene *scene, bool limited)
{
    memset(scene, 0, sizeof(*scene));
    test_redis_start(&scene->server, NULL, NULL);
    if (limited) /* the rights that the operator's guide names are enough */
        test_redis_limit(&scene->server,
                         "resetchannels &parley:* +@pubsub +@scripting +@string +@hash +@list"
                         " +@keyspace");
    scene->scope = (struct tenant_scope){ID_NEW(organization_id), "test"};
    scene->a = make_hub(&scene->server, EVENTS);
    scene->b = make_hub(&scene->server, EVENTS);
    wait_linked(scene->a);
    wait_linked(scene->b);
    seen_init(&scene->seen_a);
    seen_init(&scene->seen_b);
}

static void
close_scene(struct scene *scene)
{
    live_hub_destroy(&scene->a);
    live_hub_destroy(&scene->b);
    test_redis_stop(&scene->server);
}

static void
test_resume_anywhere(void **state)
{
    static struct scene scene;
    static struct seen again, late, other;
    struct tenant_scope theirs = {ID_NEW(organization_id), "test"};
    struct live_subscription *sub_a, *sub_b, *sub_other;
    char after_two[64];

    (void)state;
    if (!test_redis_installed())
        skip();
    open_scene(&scene, true);
    seen_init(&again);
    seen_init(&late);
    seen_init(&other);
    publish(scene.a, &scene.scope, "0"); /* nobody listens */
    sub_a = subscribe(scene.a, &scene.scope, "", &scene.seen_a);
    sub_other = subscribe(scene.b, &theirs, "", &other);
    publish(scene.b, &scene.scope, "1");
    publish(scene.b, &scene.scope, "2");
    wait_text(&scene.seen_a, "1 2 ");
    memcpy(after_two, scene.seen_a.last_id, sizeof(after_two));
    assert_string_equal(strchr(after_two, '-'), "-2");
    publish(scene.a, &scene.scope, "3");
    wait_text(&scene.seen_a, "1 2 3 ");
    /* Elsewhere, where nobody had listened. */
    sub_b = subscribe(scene.b, &scene.scope, after_two, &scene.seen_b);
    assert_string_equal(scene.seen_b.text, "3 ");
    publish(scene.b, &scene.scope, "4");
    wait_text(&scene.seen_a, "1 2 3 4 ");
    wait_text(&scene.seen_b, "3 4 ");
    live_unsubscribe(&sub_b);
    live_unsubscribe(&sub_a);
    assert_string_equal(scene.seen_a.last_id, scene.seen_b.last_id);
    for (int i = 0; i < EVENTS; i++)
        publish(scene.a, &scene.scope, "x");
    sub_b = subscribe(scene.b, &scene.scope, scene.seen_a.last_id, &again);
    wait_text(&again, "x x x x x x x x ");
    sub_a = subscribe(scene.b, &scene.scope, after_two, &late);
    wait_text(&late, "! "); /* 3 and 4 are gone */
    assert_string_equal(other.text, "");
    live_unsubscribe(&sub_a);
    live_unsubscribe(&sub_b);
    live_unsubscribe(&sub_other);
    close_scene(&scene);
}

static void
flush(struct scene *scene, const char *words)
{
    struct redis *redis = test_redis_connect(&scene->server);
    struct redis_reply *reply = test_redis_do(redis, words);

    redis_reply_free(&reply);
    redis_close(&redis);
}

/* What Redis forgot is not missing silently: a reset, then what follows. */
static void
test_forgetting(void **state)
{
    static struct scene scene;
    struct live_subscription *sub_a, *sub_b;
    int64_t begun_us;

    (void)state;
    if (!test_redis_installed())
        skip();
    open_scene(&scene, false);
    sub_a = subscribe(scene.a, &scene.scope, "", &scene.seen_a);
    sub_b = subscribe(scene.b, &scene.scope, "", &scene.seen_b);
    publish(scene.b, &scene.scope, "1");
    wait_text(&scene.seen_a, "1 ");
    flush(&scene, "FLUSHALL");
    publish(scene.b, &scene.scope, "lost");
    wait_text(&scene.seen_a, "1 ! ");
    wait_text(&scene.seen_b, "1 ! ");
    publish(scene.a, &scene.scope, "2");
    wait_text(&scene.seen_a, "1 ! 2 ");
    wait_text(&scene.seen_b, "1 ! 2 ");
    flush(&scene, "SCRIPT FLUSH");
    publish(scene.a, &scene.scope, "3");
    wait_text(&scene.seen_b, "1 ! 2 3 ");
    wait_text(&scene.seen_a, "1 ! 2 3 ");
    test_redis_kill(&scene.server);
    begun_us = clock_mono_us(clock_system());
    for (int i = 0; i < 1000; i++)
        live_publish(scene.a, &scene.scope, STR("unheard"), STR("m"), STR("x"));
    assert_true(clock_mono_us(clock_system()) - begun_us < US_PER_S);
    test_redis_restart(&scene.server);
    wait_text(&scene.seen_a, "1 ! 2 3 ! ");
    wait_text(&scene.seen_b, "1 ! 2 3 ! ");
    publish(scene.b, &scene.scope, "4");
    wait_text(&scene.seen_a, "1 ! 2 3 ! 4 ");
    live_unsubscribe(&sub_a);
    live_unsubscribe(&sub_b);
    close_scene(&scene);
}

struct talker {
    struct live_hub *hub;
    const struct tenant_scope *scope;
};

enum { SAID = 400 };

static void *
talk(void *arg)
{
    struct talker *talker = arg;

    for (int i = 0; i < SAID; i++)
        publish(talker->hub, talker->scope, "x");
    return NULL;
}

/* Both hubs publish while their connections are cut again and again, and Redis stands still for a
 * while: everybody gets each event once, in the same order. */
static void
test_cuts(void **state)
{
    static struct scene scene;
    struct live_subscription *sub_a, *sub_b;
    struct talker talkers[2];
    struct seen *const seen[2] = {&scene.seen_a, &scene.seen_b};
    pthread_t threads[2];
    struct err err;

    (void)state;
    if (!test_redis_installed())
        skip();
    open_scene(&scene, false);
    live_hub_destroy(&scene.a);
    live_hub_destroy(&scene.b);
    scene.a = make_hub(&scene.server, 4 * SAID); /* a ring for all of it */
    scene.b = make_hub(&scene.server, 4 * SAID);
    wait_linked(scene.a);
    wait_linked(scene.b);
    sub_a = subscribe(scene.a, &scene.scope, "", &scene.seen_a);
    sub_b = subscribe(scene.b, &scene.scope, "", &scene.seen_b);
    talkers[0] = (struct talker){scene.a, &scene.scope};
    talkers[1] = (struct talker){scene.b, &scene.scope};
    for (int i = 0; i < 2; i++)
        ASSERT_OK(thread_start("talker", talk, &talkers[i], &threads[i], &err), &err);
    for (int i = 0; i < 6; i++)
        flush(&scene, i % 2 == 0 ? "CLIENT KILL TYPE pubsub" : "CLIENT KILL TYPE normal");
    test_redis_freeze(&scene.server);
    publish(scene.a, &scene.scope, "x");
    test_redis_thaw(&scene.server);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++) {
        int64_t deadline_us = clock_mono_us(clock_system()) + WAIT_US;
        bool in_time = true;

        pthread_mutex_lock(&seen[i]->lock);
        while (seen[i]->last_number < 2 * SAID + 1 && in_time)
            in_time = cond_wait_until(&seen[i]->changed, &seen[i]->lock, deadline_us);
        assert_true(in_time);
        assert_false(seen[i]->wrong);
        assert_int_equal(seen[i]->resets, 0);
        assert_int_equal(seen[i]->count, 2 * SAID + 1);
        pthread_mutex_unlock(&seen[i]->lock);
    }
    assert_string_equal(scene.seen_a.last_id, scene.seen_b.last_id);
    live_unsubscribe(&sub_a);
    live_unsubscribe(&sub_b);
    close_scene(&scene);
}

/* More than can be kept, or one that is too large: everybody reads anew. */
static void
test_too_much(void **state)
{
    static struct scene scene;
    static char large[300000];
    struct live_subscription *sub;

    (void)state;
    if (!test_redis_installed())
        skip();
    open_scene(&scene, false);
    sub = subscribe(scene.a, &scene.scope, "", &scene.seen_a);
    publish(scene.b, &scene.scope, "1");
    wait_text(&scene.seen_a, "1 ");
    live_publish(scene.b, &scene.scope, STR("t"), STR("m"), str_of(large, sizeof(large)));
    wait_text(&scene.seen_a, "1 ! ");
    publish(scene.b, &scene.scope, "2");
    wait_text(&scene.seen_a, "1 ! 2 ");
    test_redis_freeze(&scene.server);
    for (int i = 0; i < 30000; i++)
        live_publish(scene.b, &scene.scope, STR("unheard"), STR("m"), STR("x"));
    publish(scene.b, &scene.scope, "dropped");
    test_redis_thaw(&scene.server);
    wait_text(&scene.seen_a, "1 ! 2 ! ");
    /* While the rest is being sent there may be no room yet, and that is told, too. */
    for (bool came = false; !came;) {
        unsigned count;

        pthread_mutex_lock(&scene.seen_a.lock);
        count = scene.seen_a.count;
        pthread_mutex_unlock(&scene.seen_a.lock);
        publish(scene.b, &scene.scope, "3");
        came = wait_count(&scene.seen_a, count);
    }
    live_unsubscribe(&sub);
    close_scene(&scene);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resume_anywhere),
        cmocka_unit_test(test_forgetting),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_too_much),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
