/*
 * instance_test.c - several processes on one PostgreSQL: who is there, who has a duty, and what one
 * changed is not in the memory of another for long
 */
#include <stdio.h>
#include <unistd.h>

#include "base/testing.h"
#include "store/pgsql_test_support.h"
#include "tenant/instance.h"
#include "tenant/revisions.h"

#define BEAT_US (20 * US_PER_MS)
#define SILENT_US (3600 * US_PER_S)   /* between beats */
#define GONE_US (300 * US_PER_MS)     /* of who is silent */
#define NOT_GONE_US (3600 * US_PER_S) /* of who beats, however slow this machine is */

static struct pgsql_server server; /* lint-allow(globals): one server for the tests of a program */

/* One of several processes. */
struct process {
    struct store *store;
    struct tenants *tenants;
    struct instance *instance;
};

struct scene {
    struct pgsql_database database;
    char key_file[64];
    struct arena *arena;
    struct organization organization;
    struct process one, other;
};

static void
open_process(struct scene *scene, struct process *process, int64_t beat_us)
{
    struct store_config store = {.database_url = scene->database.url};
    struct tenants_config tenants = {.clock = clock_system(), .key_file = scene->key_file};
    struct instance_config instance = {.roles = STR("worker"),
                                       .version = STR("9.9"),
                                       .beat_us = beat_us,
                                       .gone_us = beat_us == SILENT_US ? GONE_US : NOT_GONE_US};
    struct err err;

    ASSERT_OK(store_open(&store, &process->store, &err), &err);
    tenants.store = process->store;
    ASSERT_OK(tenants_open(&tenants, &process->tenants, &err), &err);
    instance.tenants = process->tenants;
    ASSERT_OK(instance_open(&instance, &process->instance, &err), &err);
}

static void
close_process(struct process *process)
{
    instance_close(&process->instance);
    tenants_close(&process->tenants);
    store_close(&process->store);
}

/* other_beat_us: SILENT_US of a process that fell silent. */
static void
open_scene(struct scene *scene, int64_t other_beat_us)
{
    struct organization_spec spec = {.name = STR("A Firm"),
                                     .slug = STR("firm"),
                                     .owner_email = STR("owner@example.org"),
                                     .owner_name = STR("Olga Owner")};
    struct err err;

    memset(scene, 0, sizeof(*scene));
    (void)snprintf(scene->key_file, sizeof(scene->key_file), "/tmp/parley-keys-%d", (int)getpid());
    pgsql_database_make(&server, &scene->database);
    scene->arena = arena_create((size_t)16 * 1024 * 1024);
    open_process(scene, &scene->one, BEAT_US);
    open_process(scene, &scene->other, other_beat_us);
    ASSERT_OK(
        organization_create(scene->one.tenants, &spec, scene->arena, &scene->organization, &err),
        &err);
}

static void
close_scene(struct scene *scene)
{
    close_process(&scene->one);
    if (scene->other.store != NULL)
        close_process(&scene->other);
    arena_destroy(&scene->arena);
    (void)unlink(scene->key_file);
}

static const struct tenant_scope *
scope_of(struct scene *scene, const struct process *process)
{
    const struct tenant_scope *scope;
    struct err err;

    ASSERT_OK(tenant_admit_operator(process->tenants, ID_STR(scene->organization.id), scene->arena,
                                    &scope, &err),
              &err);
    return scope;
}

/* --- who is there --- */

static const struct instance_row *
find_row(struct scene *scene, struct str id, size_t *count_out)
{
    struct instance_row *rows;
    struct err err;

    ASSERT_OK(instance_list(scene->one.tenants, scene->arena, &rows, count_out, &err), &err);
    for (size_t i = 0; i < *count_out; i++)
        if (str_eq(id_str(&rows[i].id), id))
            return &rows[i];
    return NULL;
}

static void
test_listed(void **state)
{
    struct scene scene;
    const struct instance_row *row;
    struct str other_id;
    int64_t first_beat_us;
    size_t count;

    (void)state;
    open_scene(&scene, BEAT_US);
    other_id = arena_str(scene.arena, instance_id(scene.other.instance));
    row = find_row(&scene, other_id, &count);
    assert_int_equal(count, 2);
    assert_non_null(row);
    assert_false(row->gone);
    assert_int_equal(row->pid, getpid());
    assert_true(str_eq_c(row->roles, "worker") && str_eq_c(row->version, "9.9"));
    assert_true(row->host.len > 0);
    first_beat_us = row->heartbeat_at_us;
    assert_true(first_beat_us >= row->started_at_us);
    while (row->heartbeat_at_us == first_beat_us) {
        arena_reset(scene.arena);
        other_id = arena_str(scene.arena, instance_id(scene.other.instance));
        row = find_row(&scene, other_id, &count);
        assert_non_null(row);
    }
    close_process(&scene.other); /* takes leave: not even gone */
    memset(&scene.other, 0, sizeof(scene.other));
    assert_null(find_row(&scene, other_id, &count));
    assert_int_equal(count, 1);
    close_scene(&scene);
}

/* --- duties --- */

static void
test_duty(void **state)
{
    struct scene scene;
    struct duty one = {.name = STR("upkeep")}, other = {.name = STR("upkeep")},
                another = {.name = STR("poll:1")};
    struct err err;

    (void)state;
    open_scene(&scene, BEAT_US);
    ASSERT_OK(instance_keep_duty(scene.one.instance, &one, &err), &err);
    ASSERT_OK(instance_keep_duty(scene.one.instance, &one, &err), &err);
    assert_int_equal(instance_keep_duty(scene.other.instance, &other, &err), ST_BUSY);
    ASSERT_OK(instance_keep_duty(scene.other.instance, &another, &err), &err);
    one.asked_us = 1; /* long ago: it asks the database, and has it still */
    ASSERT_OK(instance_keep_duty(scene.one.instance, &one, &err), &err);
    instance_give_duty(scene.one.instance, &one);
    ASSERT_OK(instance_keep_duty(scene.other.instance, &other, &err), &err);
    assert_int_equal(instance_keep_duty(scene.one.instance, &one, &err), ST_BUSY);
    close_process(&scene.other); /* its end gives back what it had */
    memset(&scene.other, 0, sizeof(scene.other));
    ASSERT_OK(instance_keep_duty(scene.one.instance, &one, &err), &err);
    another.asked_us = 0;
    ASSERT_OK(instance_keep_duty(scene.one.instance, &another, &err), &err);
    close_scene(&scene);
}

/* A process that says nothing is seen to be gone; another takes its duty; when it wakes up it finds
 * out before it does anything. */
static void
test_silent(void **state)
{
    struct scene scene;
    struct duty frozen = {.name = STR("poll:1")}, heir = {.name = STR("poll:1")};
    const struct instance_row *row;
    enum status st;
    struct str id;
    size_t count;
    struct err err;

    (void)state;
    open_scene(&scene, SILENT_US);
    /* On a slow machine it may be gone before it took its duty. */
    while ((st = instance_keep_duty(scene.other.instance, &frozen, &err)) == ST_BUSY) {
        close_scene(&scene);
        open_scene(&scene, SILENT_US);
    }
    ASSERT_OK(st, &err);
    st = ST_BUSY;
    while (st == ST_BUSY) /* until the heartbeat expires */
        st = instance_keep_duty(scene.one.instance, &heir, &err);
    ASSERT_OK(st, &err);
    id = arena_str(scene.arena, instance_id(scene.other.instance));
    row = find_row(&scene, id, &count);
    assert_non_null(row);
    assert_true(row->gone);
    assert_int_equal(row->duties, 0);
    frozen.asked_us = clock_mono_us(clock_system()) - SILENT_US; /* it was frozen so long */
    assert_int_equal(instance_keep_duty(scene.other.instance, &frozen, &err), ST_BUSY);
    assert_int_equal(frozen.asked_us, 0);
    /* Nobody's duty is nothing for one that is seen to be gone, either. */
    instance_give_duty(scene.one.instance, &heir);
    assert_int_equal(instance_keep_duty(scene.other.instance, &frozen, &err), ST_BUSY);
    close_scene(&scene);
}

/* --- what is kept in memory --- */

/* One request with the key. The bound holds however slow this machine is: whoever asks after it may
 * not be admitted. */
static enum status
ask(const struct process *process, struct str secret, int64_t changed_us, struct err *err)
{
    int64_t asked_us = clock_mono_us(clock_system());
    struct principal principal;
    struct arena *arena = arena_create((size_t)64 * 1024);
    enum status st = tenant_admit_key(process->tenants, secret, arena, &principal, err);

    arena_destroy(&arena);
    if (st == ST_OK && changed_us != 0)
        assert_true(asked_us < changed_us + RECORDS_TRUSTED_US);
    return st;
}

static void
test_key_revoked(void **state)
{
    struct scene scene;
    const struct tenant_scope *scope;
    struct api_key key;
    struct str secret;
    int64_t revoked_us;
    enum status st = ST_OK;
    struct err err;

    (void)state;
    open_scene(&scene, BEAT_US);
    scope = scope_of(&scene, &scene.one);
    ASSERT_OK(api_key_create(scene.one.tenants, scope, STR("key"), SCOPE_QUERY, STR(""), 0,
                             scene.arena, &key, &secret, &err),
              &err);
    ASSERT_OK(ask(&scene.other, secret, 0, &err), &err);
    ASSERT_OK(api_key_revoke(scene.one.tenants, scope, key.id, &err), &err);
    revoked_us = clock_mono_us(clock_system());
    assert_int_equal(ask(&scene.one, secret, 0, &err), ST_DENIED);
    while (st == ST_OK)
        st = ask(&scene.other, secret, revoked_us, &err);
    assert_int_equal(st, ST_DENIED);
    close_scene(&scene);
}

static int64_t
revision_seen(struct scene *scene, const struct process *process, struct channel_id id,
              bool *active)
{
    const struct channel_record *record;
    int64_t revision;
    struct err err;

    ASSERT_OK(channel_record_get(process->tenants, scope_of(scene, process), id, &record, &err),
              &err);
    revision = record->revision;
    *active = str_eq_c(record->status, "active");
    channel_record_unref(&record);
    return revision;
}

static void
test_channel_changed(void **state)
{
    struct scene scene;
    struct channel_spec spec = {
        .source = STR("telegram"), .name = STR("Bot"), .account = STR("@bot")};
    struct channel_spec renamed = {.name = STR("Robot")};
    const struct tenant_scope *scope;
    const struct channel_record *record;
    struct channel_id id;
    int64_t before, changed_us, asked_us = 0;
    bool active;
    struct err err;

    (void)state;
    open_scene(&scene, BEAT_US);
    scope = scope_of(&scene, &scene.one);
    ASSERT_OK(channel_create(scene.one.tenants, scope, &spec, &id, &err), &err);
    (void)revision_seen(&scene, &scene.other, id, &active);
    assert_true(active);
    ASSERT_OK(channel_set_status(scene.one.tenants, scope, id, STR("disabled"), STR("test"), &err),
              &err);
    changed_us = clock_mono_us(clock_system());
    while (active) {
        asked_us = clock_mono_us(clock_system());
        arena_reset(scene.arena);
        (void)revision_seen(&scene, &scene.other, id, &active);
        if (active)
            assert_true(asked_us < changed_us + RECORDS_TRUSTED_US);
    }
    scope = scope_of(&scene, &scene.one);
    before = revision_seen(&scene, &scene.other, id, &active);
    ASSERT_OK(channel_update(scene.one.tenants, scope, id, &renamed, &err), &err);
    while (revision_seen(&scene, &scene.other, id, &active) == before) {
        arena_reset(scene.arena);
        continue;
    }
    scope = scope_of(&scene, &scene.one);
    ASSERT_OK(channel_delete(scene.one.tenants, scope, id, &err), &err);
    while (channel_record_get(scene.other.tenants, scope_of(&scene, &scene.other), id, &record,
                              &err) == ST_OK) {
        channel_record_unref(&record);
        arena_reset(scene.arena);
    }
    close_scene(&scene);
}

/* While the database cannot be asked, what is in memory counts no longer than the bound. */
static void
test_database_away(void **state)
{
    struct scene scene;
    struct api_key key;
    struct str secret;
    int64_t stopped_us;
    enum status st = ST_OK;
    struct err err;

    (void)state;
    open_scene(&scene, BEAT_US);
    ASSERT_OK(api_key_create(scene.one.tenants, scope_of(&scene, &scene.one), STR("key"),
                             SCOPE_QUERY, STR(""), 0, scene.arena, &key, &secret, &err),
              &err);
    ASSERT_OK(ask(&scene.other, secret, 0, &err), &err);
    pgsql_server_command(&server, "stop immediate");
    stopped_us = clock_mono_us(clock_system());
    while (st == ST_OK)
        st = ask(&scene.other, secret, stopped_us, &err);
    assert_int_equal(st, ST_UNAVAILABLE);
    pgsql_server_command(&server, "start");
    while (st == ST_UNAVAILABLE)
        st = ask(&scene.other, secret, 0, &err);
    ASSERT_OK(st, &err);
    close_scene(&scene);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listed),          cmocka_unit_test(test_duty),
        cmocka_unit_test(test_silent),          cmocka_unit_test(test_key_revoked),
        cmocka_unit_test(test_channel_changed), cmocka_unit_test(test_database_away),
    };
    int failed;

    if (!pgsql_server_start(&server)) {
        (void)fprintf(stderr, "tenant/instance: skipped, because PostgreSQL is not installed\n");
        return PGSQL_SKIPPED;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    pgsql_server_stop(&server);
    return failed;
}
