/*
 * live_shared_test.c - two hubs on one server, for each driver: order, resume anywhere, nothing
 * missed unknowingly
 */
#include "base/testing.h"

#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/thread.h"
#include "live/live_driver.h"
#include "net/redis_test_support.h"
#include "store/pgsql_test_support.h"
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

struct place;

struct scene {
    const struct place *place;
    struct test_redis redis;
    struct pgsql_server pgsql;
    struct pgsql_database database;
    struct tenant_scope scope;
    struct live_hub *a, *b;
    struct seen seen_a, seen_b;
};

/* A server and how it is disturbed. */
struct place {
    const struct live_driver *driver;
    /* False: it is not installed. limited: with the rights that the operator's guide names. */
    bool (*start)(struct scene *scene, bool limited);
    void (*stop)(struct scene *scene);
    struct str (*address)(const struct scene *scene);
    void (*freeze)(struct scene *scene);
    void (*thaw)(struct scene *scene);
    void (*kill)(struct scene *scene);
    void (*restart)(struct scene *scene);
    void (*cut)(struct scene *scene, int number); /* connections end */
    /* What it kept is gone while connections stay; then what it prepared. NULL: cannot be. */
    void (*flush)(struct scene *scene);
    void (*unprepare)(struct scene *scene);
};

static struct live_hub *
make_hub(const struct scene *scene, unsigned events)
{
    struct live_config config = {.clock = clock_system(),
                                 .max_topics = 100,
                                 .events_per_topic = events,
                                 .max_bytes = 10000000,
                                 .keep_us = 60 * US_PER_S,
                                 .driver = scene->place->driver,
                                 .addresses = scene->place->address(scene),
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
redis_do(struct scene *scene, const char *words)
{
    struct redis *redis = test_redis_connect(&scene->redis);
    struct redis_reply *reply = test_redis_do(redis, words);

    redis_reply_free(&reply);
    redis_close(&redis);
}

static bool
redis_start(struct scene *scene, bool limited)
{
    if (!test_redis_installed())
        return false;
    test_redis_start(&scene->redis, NULL, NULL);
    if (limited)
        test_redis_limit(&scene->redis,
                         "resetchannels &parley:* +@pubsub +@scripting +@string +@hash +@list"
                         " +@keyspace");
    return true;
}

static void
redis_stop_server(struct scene *scene)
{
    test_redis_stop(&scene->redis);
}

static struct str
redis_address(const struct scene *scene)
{
    return str_from_c(scene->redis.url);
}

static void
redis_freeze(struct scene *scene)
{
    test_redis_freeze(&scene->redis);
}

static void
redis_thaw(struct scene *scene)
{
    test_redis_thaw(&scene->redis);
}

static void
redis_kill(struct scene *scene)
{
    test_redis_kill(&scene->redis);
}

static void
redis_restart(struct scene *scene)
{
    test_redis_restart(&scene->redis);
}

static void
redis_cut(struct scene *scene, int number)
{
    redis_do(scene, number % 2 == 0 ? "CLIENT KILL TYPE pubsub" : "CLIENT KILL TYPE normal");
}

static void
redis_flush(struct scene *scene)
{
    redis_do(scene, "FLUSHALL");
}

static void
redis_unprepare(struct scene *scene)
{
    redis_do(scene, "SCRIPT FLUSH");
}

static const struct place on_redis = {
    .driver = &live_redis,
    .start = redis_start,
    .stop = redis_stop_server,
    .address = redis_address,
    .freeze = redis_freeze,
    .thaw = redis_thaw,
    .kill = redis_kill,
    .restart = redis_restart,
    .cut = redis_cut,
    .flush = redis_flush,
    .unprepare = redis_unprepare,
};

/* The role that serves is limited in any case. */
static bool
pgsql_start(struct scene *scene, bool limited)
{
    (void)limited;
    if (!pgsql_server_start(&scene->pgsql))
        return false;
    pgsql_database_make(&scene->pgsql, &scene->database);
    return true;
}

static void
pgsql_stop(struct scene *scene)
{
    pgsql_server_stop(&scene->pgsql);
}

static struct str
pgsql_address(const struct scene *scene)
{
    return str_from_c(scene->database.url);
}

static void
pgsql_freeze(struct scene *scene)
{
    pgsql_server_command(&scene->pgsql, "freeze");
}

static void
pgsql_thaw(struct scene *scene)
{
    pgsql_server_command(&scene->pgsql, "thaw");
}

static void
pgsql_kill(struct scene *scene)
{
    pgsql_server_command(&scene->pgsql, "stop immediate");
}

static void
pgsql_restart(struct scene *scene)
{
    pgsql_server_command(&scene->pgsql, "start");
}

/* Its first row and column, as a role. */
static void
expect_row(struct scene *scene, const char *role, const char *text, const char *want)
{
    char answer[64];

    pgsql_run(&scene->database, role, text, answer);
    assert_string_equal(answer, want);
}

static void
pgsql_cut(struct scene *scene, int number)
{
    (void)number;
    expect_row(scene, PGSQL_SUPERUSER,
               "SELECT count(pg_terminate_backend(pid)) >= 0 FROM pg_stat_activity WHERE pid <>"
               " pg_backend_pid() AND datname = current_database()",
               "t");
}

static const struct place on_pgsql = {
    .driver = &live_pgsql,
    .start = pgsql_start,
    .stop = pgsql_stop,
    .address = pgsql_address,
    .freeze = pgsql_freeze,
    .thaw = pgsql_thaw,
    .kill = pgsql_kill,
    .restart = pgsql_restart,
    .cut = pgsql_cut,
};

/* Skips where there is no such server. */
static void
open_scene(struct scene *scene, void *const *state, bool limited)
{
    memset(scene, 0, sizeof(*scene));
    scene->place = *state;
    if (!scene->place->start(scene, limited))
        skip(); /* this server is not installed */
    scene->scope = (struct tenant_scope){ID_NEW(organization_id), "test"};
    scene->a = make_hub(scene, EVENTS);
    scene->b = make_hub(scene, EVENTS);
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
    scene->place->stop(scene);
}

static void
test_resume_anywhere(void **state)
{
    static struct scene scene;
    static struct seen again, late, other;
    struct tenant_scope theirs = {ID_NEW(organization_id), "test"};
    struct live_subscription *sub_a, *sub_b, *sub_other;
    char after_two[64];

    open_scene(&scene, state, true);
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

/* What both are to have seen now: this, too. */
static void
expect_more(struct scene *scene, char *seen, size_t size, const char *more)
{
    size_t len = strlen(seen);

    (void)snprintf(seen + len, size - len, "%s", more);
    wait_text(&scene->seen_a, seen);
    wait_text(&scene->seen_b, seen);
}

/* What the server forgot is not missing silently: a reset, then what follows. */
static void
test_forgetting(void **state)
{
    static struct scene scene;
    struct live_subscription *sub_a, *sub_b;
    char seen[64] = "";
    int64_t begun_us;

    open_scene(&scene, state, false);
    sub_a = subscribe(scene.a, &scene.scope, "", &scene.seen_a);
    sub_b = subscribe(scene.b, &scene.scope, "", &scene.seen_b);
    publish(scene.b, &scene.scope, "1");
    expect_more(&scene, seen, sizeof(seen), "1 ");
    if (scene.place->flush != NULL) {
        scene.place->flush(&scene);
        publish(scene.b, &scene.scope, "lost");
        expect_more(&scene, seen, sizeof(seen), "! ");
    }
    publish(scene.a, &scene.scope, "2");
    expect_more(&scene, seen, sizeof(seen), "2 ");
    if (scene.place->unprepare != NULL)
        scene.place->unprepare(&scene);
    publish(scene.a, &scene.scope, "3");
    expect_more(&scene, seen, sizeof(seen), "3 ");
    scene.place->kill(&scene);
    begun_us = clock_mono_us(clock_system());
    for (int i = 0; i < 1000; i++)
        live_publish(scene.a, &scene.scope, STR("unheard"), STR("m"), STR("x"));
    assert_true(clock_mono_us(clock_system()) - begun_us < 10 * US_PER_S); /* nobody waits */
    scene.place->restart(&scene);
    expect_more(&scene, seen, sizeof(seen), "! ");
    publish(scene.b, &scene.scope, "4");
    expect_more(&scene, seen, sizeof(seen), "4 ");
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

/* Both hubs publish while their connections are cut again and again, and the server stands still
 * for a while: everybody gets each event once, in the same order. */
static void
test_cuts(void **state)
{
    static struct scene scene;
    struct live_subscription *sub_a, *sub_b;
    struct talker talkers[2];
    struct seen *const seen[2] = {&scene.seen_a, &scene.seen_b};
    pthread_t threads[2];
    struct err err;

    open_scene(&scene, state, false);
    live_hub_destroy(&scene.a);
    live_hub_destroy(&scene.b);
    scene.a = make_hub(&scene, 4 * SAID); /* a ring for all of it */
    scene.b = make_hub(&scene, 4 * SAID);
    wait_linked(scene.a);
    wait_linked(scene.b);
    sub_a = subscribe(scene.a, &scene.scope, "", &scene.seen_a);
    sub_b = subscribe(scene.b, &scene.scope, "", &scene.seen_b);
    talkers[0] = (struct talker){scene.a, &scene.scope};
    talkers[1] = (struct talker){scene.b, &scene.scope};
    for (int i = 0; i < 2; i++)
        ASSERT_OK(thread_start("talker", talk, &talkers[i], &threads[i], &err), &err);
    for (int i = 0; i < 6; i++)
        scene.place->cut(&scene, i);
    scene.place->freeze(&scene);
    publish(scene.a, &scene.scope, "x");
    scene.place->thaw(&scene);
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

    open_scene(&scene, state, false);
    sub = subscribe(scene.a, &scene.scope, "", &scene.seen_a);
    publish(scene.b, &scene.scope, "1");
    wait_text(&scene.seen_a, "1 ");
    live_publish(scene.b, &scene.scope, STR("t"), STR("m"), str_of(large, sizeof(large)));
    wait_text(&scene.seen_a, "1 ! ");
    publish(scene.b, &scene.scope, "2");
    wait_text(&scene.seen_a, "1 ! 2 ");
    scene.place->freeze(&scene);
    for (int i = 0; i < 30000; i++)
        live_publish(scene.b, &scene.scope, STR("unheard"), STR("m"), STR("x"));
    publish(scene.b, &scene.scope, "dropped");
    scene.place->thaw(&scene);
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

/* The tables show an organization its own rows, what nobody listens to is removed, and who listens
 * in the database hears no data. */
static void
test_pgsql_rows(void **state)
{
    static struct scene scene;
    static char large[20000]; /* more than a notification could hold */
    struct live_subscription *sub;
    char text[160];

    open_scene(&scene, state, false);
    memset(large, 'x', sizeof(large) - 1);
    sub = subscribe(scene.a, &scene.scope, "", &scene.seen_a);
    publish(scene.b, &scene.scope, "1");
    wait_text(&scene.seen_a, "1 ");
    publish(scene.b, &scene.scope, large);
    (void)wait_count(&scene.seen_a, 1);
    assert_int_equal(scene.seen_a.resets, 0);
    expect_row(&scene, PGSQL_SUPERUSER,
               "SELECT count(*) FROM live_event WHERE topic = 't' AND length(item) > 19000", "1");
    expect_row(&scene, PGSQL_APP, "SELECT count(*) FROM live_event", "0");
    expect_row(&scene, PGSQL_APP, "SELECT count(*) FROM live_topic", "0");
    (void)snprintf(text, sizeof(text),
                   "SELECT set_config('parley.organization_id', '%s', false);"
                   "SELECT count(*) FROM live_event",
                   scene.scope.organization_id.id.text);
    expect_row(&scene, PGSQL_APP, text, "2");
    expect_row(&scene, PGSQL_APP, "SELECT parley_live_prune()", "");
    expect_row(&scene, PGSQL_APP, text, "2");
    expect_row(&scene, PGSQL_SUPERUSER, "UPDATE live_topic SET expires_at = 0", "");
    expect_row(&scene, PGSQL_APP, "SELECT parley_live_prune()", "");
    expect_row(&scene, PGSQL_SUPERUSER, "SELECT count(*) FROM live_event", "0");
    expect_row(&scene, PGSQL_SUPERUSER, "SELECT count(*) FROM live_topic", "0");
    live_unsubscribe(&sub);
    close_scene(&scene);
}

#define ON(place, test)                                                                            \
    {                                                                                              \
#test " " #place, test, NULL, NULL, (void *)(uintptr_t) & (place)                          \
    }

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ON(on_redis, test_resume_anywhere),
        ON(on_pgsql, test_resume_anywhere),
        ON(on_redis, test_forgetting),
        ON(on_pgsql, test_forgetting),
        ON(on_redis, test_cuts),
        ON(on_pgsql, test_cuts),
        ON(on_redis, test_too_much),
        ON(on_pgsql, test_too_much),
        ON(on_pgsql, test_pgsql_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
