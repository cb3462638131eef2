/*
 * tenant_test.c - organizations, channels, keys, admission, secrets, limits; and that another
 * organization's ids are not found
 */
#include "tenant/tenant.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/failpoint.h"
#include "base/testing.h"
#include "base/thread.h"
#include "tenant/tenant_private.h"
#include "text/json.h"

#define WALL_US INT64_C(1780000000000000)
#define TOKEN "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"

struct bed {
    char folder[64];
    char key_file[96];
    struct clock *clock;
    struct store *store;
    struct tenants *tenants;
    struct arena *arena;
    struct organization organizations[2];
    const struct tenant_scope *scopes[2];
};

static int
remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
    (void)info;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void
open_all(struct bed *bed)
{
    struct store_config store = {.data_folder = bed->folder};
    struct tenants_config tenants = {.clock = bed->clock, .key_file = bed->key_file};
    struct err err;

    ASSERT_OK(store_open(&store, &bed->store, &err), &err);
    tenants.store = bed->store;
    ASSERT_OK(tenants_open(&tenants, &bed->tenants, &err), &err);
}

static void
close_all(struct bed *bed)
{
    tenants_close(&bed->tenants);
    store_close(&bed->store);
}

static enum status
create(struct bed *bed, const char *slug, struct organization *organization_out, struct err *err)
{
    struct organization_spec spec = {.name = STR("A Firm"),
                                     .slug = str_from_c(slug),
                                     .owner_email = STR("owner@example.org"),
                                     .owner_name = STR("Olga Owner")};

    return organization_create(bed->tenants, &spec, bed->arena, organization_out, err);
}

static void
make_bed(struct bed *bed)
{
    struct err err;

    memset(bed, 0, sizeof(*bed));
    (void)snprintf(bed->folder, sizeof(bed->folder), "/tmp/parley-tenant-XXXXXX");
    assert_non_null(mkdtemp(bed->folder));
    (void)snprintf(bed->key_file, sizeof(bed->key_file), "%s/keys", bed->folder);
    bed->clock = clock_create_manual(WALL_US);
    bed->arena = arena_create((size_t)16 * 1024 * 1024);
    open_all(bed);
    for (int i = 0; i < 2; i++) {
        ASSERT_OK(create(bed, i == 0 ? "one" : "other", &bed->organizations[i], &err), &err);
        ASSERT_OK(tenant_admit_operator(bed->tenants, ID_STR(bed->organizations[i].id), bed->arena,
                                        &bed->scopes[i], &err),
                  &err);
    }
}

static void
end_bed(struct bed *bed)
{
    close_all(bed);
    clock_destroy(&bed->clock);
    arena_destroy(&bed->arena);
    (void)nftw(bed->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static enum status
connect_account(struct bed *bed, int at, const char *account, struct channel_id *id_out,
                struct err *err)
{
    json_auto_t *settings = json_pack("{s:i}", "burst_window_ms", 2000);
    json_auto_t *credentials =
        json_pack("{s:s, s:{s:[s]}}", "token", TOKEN, "nested", "list", "another-secret-value");
    struct channel_spec spec = {.source = STR("telegram"),
                                .name = STR("Bot"),
                                .account = str_from_c(account),
                                .settings = settings,
                                .credentials = credentials};

    return channel_create(bed->tenants, bed->scopes[at], &spec, id_out, err);
}

/* --- organizations --- */

static enum status
brand_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct brand *brand = arg;

    return brand_get(tx, brand->id, store_tx_arena(tx), brand, err);
}

static enum status
brand_change_work(struct store_tx *tx, void *arg, struct err *err)
{
    return brand_update(tx, arg, err);
}

static void
test_organizations(void **state)
{
    struct bed bed;
    struct organization found;
    struct organization *list = NULL;
    struct user *users = NULL;
    struct brand brand = {.name = STR_EMPTY};
    struct brand changed = {.name = STR("New"), .persona = STR("{\"voice\":\"calm\"}")};
    size_t count = 0;
    struct err err;

    (void)state;
    make_bed(&bed);
    ASSERT_OK(organization_find(bed.tenants, STR("one"), bed.arena, &found, &err), &err);
    assert_true(id_eq(&found.id.id, &bed.organizations[0].id.id));
    ASSERT_STR(found.name, "A Firm");
    ASSERT_STR(found.status, "active");
    assert_true(found.created_at_us == WALL_US);
    ASSERT_OK(organization_find(bed.tenants, ID_STR(found.id), bed.arena, &found, &err), &err);
    assert_int_equal(organization_find(bed.tenants, STR("none"), bed.arena, &found, &err),
                     ST_NOT_FOUND);
    assert_int_equal(organization_find(bed.tenants, STR_EMPTY, bed.arena, &found, &err),
                     ST_NOT_FOUND);
    assert_int_equal(create(&bed, "one", &found, &err), ST_CONFLICT);
    ASSERT_OK(organization_list(bed.tenants, (struct organization_id){{""}}, 1, bed.arena, &list,
                                &count, &err),
              &err);
    assert_int_equal(count, 1);
    ASSERT_STR(list[0].slug, "one");
    ASSERT_OK(organization_list(bed.tenants, list[0].id, 10, bed.arena, &list, &count, &err), &err);
    assert_int_equal(count, 1);
    ASSERT_STR(list[0].slug, "other");
    ASSERT_OK(user_list(bed.tenants, bed.scopes[0], bed.arena, &users, &count, &err), &err);
    assert_int_equal(count, 1);
    ASSERT_STR(users[0].email, "owner@example.org");
    ASSERT_STR(users[0].role, "owner");
    ASSERT_OK(store_read(bed.store, bed.scopes[0], "test", brand_work, &brand, &err), &err);
    changed.id = brand.id;
    ASSERT_OK(store_run(bed.store, bed.scopes[0], "test", STORE_DURABLE, brand_change_work,
                        &changed, &err),
              &err);
    assert_int_equal(store_run(bed.store, bed.scopes[1], "test", STORE_DURABLE, brand_change_work,
                               &changed, &err),
                     ST_NOT_FOUND);
    assert_int_equal(store_read(bed.store, bed.scopes[1], "test", brand_work, &changed, &err),
                     ST_NOT_FOUND);
    changed.persona = STR("[]");
    assert_int_equal(store_run(bed.store, bed.scopes[0], "test", STORE_DURABLE, brand_change_work,
                               &changed, &err),
                     ST_INVALID);
    end_bed(&bed);
}

static void
test_bad_specs(void **state)
{
    static const struct organization_spec good = {STR_INIT("A"), STR_INIT("a"), STR_INIT("a@b.c"),
                                                  STR_INIT("N")};
    static const char *const slugs[] = {"",
                                        "Big",
                                        "a b",
                                        "ä",
                                        "0193d1f2-a7b8-7c1e-9f3a-5b6c7d8e9f00",
                                        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    struct bed bed;
    struct organization organization;
    struct organization_spec spec;
    struct err err;

    (void)state;
    make_bed(&bed);
    for (size_t i = 0; i < sizeof(slugs) / sizeof(slugs[0]); i++)
        assert_int_equal(create(&bed, slugs[i], &organization, &err), ST_INVALID);
    for (int i = 0; i < 4; i++) {
        spec = good;
        if (i == 0)
            spec.name = STR_EMPTY;
        else if (i == 1)
            spec.owner_email = STR("nobody");
        else if (i == 2)
            spec.owner_name = STR("a\nb");
        else
            spec.name = STR("\xff");
        assert_int_equal(organization_create(bed.tenants, &spec, bed.arena, &organization, &err),
                         ST_INVALID);
    }
    end_bed(&bed);
}

static unsigned
files_of_tenants(const struct bed *bed)
{
    char path[128];
    DIR *dir;
    struct dirent *entry;
    unsigned files = 0;

    (void)snprintf(path, sizeof(path), "%s/tenants", bed->folder);
    dir = opendir(path);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        files += str_ends_with(str_from_c(entry->d_name), STR(".db"));
    assert_int_equal(closedir(dir), 0);
    return files;
}

static void
test_delete(void **state)
{
    struct bed bed;
    struct api_key key;
    struct str secret;
    struct principal principal;
    struct channel_id channel;
    struct organization found;
    const struct tenant_scope *scope;
    struct err err;

    (void)state;
    make_bed(&bed);
    ASSERT_OK(api_key_create(bed.tenants, bed.scopes[0], STR("k"), SCOPE_QUERY, 0, bed.arena, &key,
                             &secret, &err),
              &err);
    ASSERT_OK(tenant_admit_key(bed.tenants, secret, bed.arena, &principal, &err), &err);
    ASSERT_OK(connect_account(&bed, 0, "bot", &channel, &err), &err);
    ASSERT_OK(tenant_admit_lease(bed.tenants, bed.organizations[0].id, bed.arena, &scope, &err),
              &err);
    ASSERT_OK(organization_delete(bed.tenants, bed.scopes[0], &err), &err);
    assert_int_equal(tenant_admit_key(bed.tenants, secret, bed.arena, &principal, &err), ST_DENIED);
    assert_int_equal(
        tenant_admit_lease(bed.tenants, bed.organizations[0].id, bed.arena, &scope, &err),
        ST_NOT_FOUND);
    assert_null(scope);
    assert_int_equal(organization_find(bed.tenants, STR("one"), bed.arena, &found, &err),
                     ST_NOT_FOUND);
    assert_int_equal(organization_delete(bed.tenants, bed.scopes[0], &err), ST_NOT_FOUND);
    assert_int_equal(files_of_tenants(&bed), 1);
    /* The account is free again, and so is the short name. */
    ASSERT_OK(connect_account(&bed, 1, "bot", &channel, &err), &err);
    ASSERT_OK(create(&bed, "one", &found, &err), &err);
    end_bed(&bed);
}

#ifdef PARLEY_WITH_FAILPOINTS
/* Killed at the nth commit of creating: afterwards it is whole or not there, and can be made. */
static void
test_killed_while_created(void **state)
{
    (void)state;
    for (int at = 1; at <= 5; at++) {
        struct bed bed;
        struct organization found;
        char spec[40];
        int status = 0;
        pid_t child;
        enum status st;
        struct err err;

        make_bed(&bed);
        close_all(&bed);
        (void)snprintf(spec, sizeof(spec), "store.commit=crash:%d", at);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            open_all(&bed);
            if (failpoint_configure(spec, &err) != ST_OK ||
                create(&bed, "third", &found, &err) != ST_OK)
                _exit(3);
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        open_all(&bed);
        st = organization_find(bed.tenants, STR("third"), bed.arena, &found, &err);
        assert_int_equal(st, WIFSIGNALED(status) ? ST_NOT_FOUND : ST_OK);
        assert_int_equal(files_of_tenants(&bed), st == ST_OK ? 3 : 2);
        if (st != ST_OK)
            ASSERT_OK(create(&bed, "third", &found, &err), &err);
        end_bed(&bed);
        if (!WIFSIGNALED(status)) {
            assert_true(at > 3); /* three commits at least were cut */
            return;
        }
    }
    fail_msg("creating an organization never ended");
}

static void
test_failed_create_leaves_nothing(void **state)
{
    struct bed bed;
    struct organization found;
    struct err err;

    (void)state;
    make_bed(&bed);
    for (int at = 1; at <= 3; at++) {
        char spec[40];

        /* From the nth on everything fails, also what would clean up: the next start does. */
        (void)snprintf(spec, sizeof(spec), "store.disk_full=error:%d", at);
        ASSERT_OK(failpoint_configure(spec, &err), &err);
        assert_int_equal(create(&bed, "third", &found, &err), ST_UNAVAILABLE);
        ASSERT_OK(failpoint_configure("", &err), &err);
        assert_int_equal(organization_find(bed.tenants, STR("third"), bed.arena, &found, &err),
                         ST_NOT_FOUND);
        close_all(&bed);
        open_all(&bed);
        assert_int_equal(files_of_tenants(&bed), 2);
    }
    ASSERT_OK(create(&bed, "third", &found, &err), &err);
    end_bed(&bed);
}
#endif

/* --- channels --- */

static enum status
say_yes(const struct channel_record *record, void *arg, struct err *err)
{
    (void)err;
    if (arg != NULL)
        *(struct str *)arg = json_get_str(record->credentials, "token");
    return ST_OK;
}

static enum status
say_no(const struct channel_record *record, void *arg, struct err *err)
{
    (void)record;
    (void)arg;
    return err_set(err, ST_DENIED, "the signature is wrong");
}

static void
test_channels(void **state)
{
    struct bed bed;
    struct channel_id id;
    struct channel_id *ids = NULL;
    const struct channel_record *record = NULL;
    const struct channel_record *again = NULL;
    json_auto_t *settings = json_pack("{s:i}", "burst_window_ms", 5);
    struct channel_spec change = {.name = STR("Renamed"), .settings = settings};
    size_t count = 0;
    struct err err;

    (void)state;
    make_bed(&bed);
    ASSERT_OK(connect_account(&bed, 0, "bot", &id, &err), &err);
    ASSERT_OK(channel_record_get(bed.tenants, bed.scopes[0], id, &record, &err), &err);
    ASSERT_STR(record->source, "telegram");
    ASSERT_STR(record->account, "bot");
    ASSERT_STR(record->status, "active");
    ASSERT_STR(json_get_str(record->credentials, "token"), TOKEN);
    assert_int_equal(json_get_int(record->settings, "burst_window_ms", 0), 2000);
    assert_int_equal(record->revision, 1);
    assert_int_equal(record->credentials_reference.len, ID_TEXT_LEN);
    assert_false(id_is_none(&record->user_id.id));
    assert_false(id_is_none(&record->brand_id.id));
    ASSERT_OK(channel_record_get(bed.tenants, bed.scopes[0], id, &again, &err), &err);
    assert_ptr_equal(record, again); /* from memory */
    channel_record_unref(&again);
    ASSERT_OK(channel_update(bed.tenants, bed.scopes[0], id, &change, &err), &err);
    ASSERT_STR(record->name, "Bot"); /* frozen */
    channel_record_unref(&record);
    ASSERT_OK(channel_record_get(bed.tenants, bed.scopes[0], id, &record, &err), &err);
    ASSERT_STR(record->name, "Renamed");
    ASSERT_STR(record->account, "bot");
    assert_int_equal(json_get_int(record->settings, "burst_window_ms", 0), 5);
    ASSERT_STR(json_get_str(record->credentials, "token"), TOKEN);
    assert_int_equal(record->revision, 2);
    channel_record_unref(&record);
    ASSERT_OK(channel_set_status(bed.tenants, bed.scopes[0], id, STR("broken"), STR("401"), &err),
              &err);
    assert_int_equal(
        channel_set_status(bed.tenants, bed.scopes[0], id, STR("odd"), STR_EMPTY, &err),
        ST_INVALID);
    ASSERT_OK(channel_record_get(bed.tenants, bed.scopes[0], id, &record, &err), &err);
    ASSERT_STR(record->status, "broken");
    ASSERT_STR(record->status_reason, "401");
    channel_record_unref(&record);
    ASSERT_OK(channel_list(bed.tenants, bed.scopes[0], &ids, &count, bed.arena, &err), &err);
    assert_int_equal(count, 1);
    assert_true(id_eq(&ids[0].id, &id.id));
    ASSERT_OK(channel_delete(bed.tenants, bed.scopes[0], id, &err), &err);
    assert_int_equal(channel_delete(bed.tenants, bed.scopes[0], id, &err), ST_NOT_FOUND);
    assert_int_equal(channel_record_get(bed.tenants, bed.scopes[0], id, &record, &err),
                     ST_NOT_FOUND);
    ASSERT_OK(channel_list(bed.tenants, bed.scopes[0], &ids, &count, bed.arena, &err), &err);
    assert_int_equal(count, 0);
    end_bed(&bed);
}

static void
test_accounts_are_unique(void **state)
{
    struct bed bed;
    struct channel_id id;
    struct channel_id second;
    struct channel_id web[2];
    struct channel_spec change = {.account = STR("bot")};
    struct err err;

    (void)state;
    make_bed(&bed);
    ASSERT_OK(connect_account(&bed, 0, "bot", &id, &err), &err);
    assert_int_equal(connect_account(&bed, 0, "bot", &second, &err), ST_CONFLICT);
    assert_int_equal(connect_account(&bed, 1, "bot", &second, &err), ST_CONFLICT);
    assert_null(strstr(err.public_text, "one"));
    ASSERT_OK(connect_account(&bed, 1, "bot2", &second, &err), &err);
    assert_int_equal(channel_update(bed.tenants, bed.scopes[1], second, &change, &err),
                     ST_CONFLICT);
    /* Web chats have no account: any number of them. */
    for (int i = 0; i < 2; i++) {
        struct channel_spec spec = {.source = STR("web"), .name = STR("Chat")};

        ASSERT_OK(channel_create(bed.tenants, bed.scopes[0], &spec, &web[i], &err), &err);
    }
    ASSERT_OK(channel_delete(bed.tenants, bed.scopes[0], id, &err), &err);
    ASSERT_OK(channel_update(bed.tenants, bed.scopes[1], second, &change, &err), &err);
    end_bed(&bed);
}

/* --- admission --- */

static void
test_admit_webhook(void **state)
{
    struct bed bed;
    struct channel_id id;
    const struct tenant_scope *scope = NULL;
    const struct channel_record *record = NULL;
    struct organization_id organization;
    struct str token;
    struct err err;

    (void)state;
    make_bed(&bed);
    ASSERT_OK(connect_account(&bed, 1, "bot", &id, &err), &err);
    for (int i = 0; i < 2; i++) { /* from the database, from memory */
        ASSERT_OK(tenant_admit_webhook(bed.tenants, STR("telegram"), ID_STR(id), say_yes, &token,
                                       bed.arena, &scope, &record, &err),
                  &err);
        ASSERT_STR(token, TOKEN);
        organization = tenant_scope_organization(scope);
        assert_true(id_eq(&organization.id, &bed.organizations[1].id.id));
        channel_record_unref(&record);
        ASSERT_OK(tenant_admit_account(bed.tenants, STR("telegram"), STR("bot"), say_yes, &token,
                                       bed.arena, &scope, &record, &err),
                  &err);
        channel_record_unref(&record);
        assert_int_equal(tenant_admit_webhook(bed.tenants, STR("telegram"), ID_STR(id), say_no,
                                              NULL, bed.arena, &scope, &record, &err),
                         ST_DENIED);
        assert_null(scope);
        assert_null(record);
        assert_int_equal(tenant_admit_webhook(bed.tenants, STR("web"), ID_STR(id), say_yes, NULL,
                                              bed.arena, &scope, &record, &err),
                         ST_NOT_FOUND);
    }
    assert_int_equal(tenant_admit_webhook(bed.tenants, STR("telegram"), STR("x' OR 1=1"), say_yes,
                                          NULL, bed.arena, &scope, &record, &err),
                     ST_NOT_FOUND);
    id = ID_NEW(channel_id);
    assert_int_equal(tenant_admit_webhook(bed.tenants, STR("telegram"), ID_STR(id), say_yes, NULL,
                                          bed.arena, &scope, &record, &err),
                     ST_NOT_FOUND);
    assert_int_equal(tenant_admit_account(bed.tenants, STR("telegram"), STR("bot\n"), say_yes, NULL,
                                          bed.arena, &scope, &record, &err),
                     ST_NOT_FOUND);
    assert_int_equal(tenant_admit_account(bed.tenants, STR("telegram"), STR_EMPTY, say_yes, NULL,
                                          bed.arena, &scope, &record, &err),
                     ST_NOT_FOUND);
    end_bed(&bed);
}

static void
test_api_keys(void **state)
{
    struct bed bed;
    struct api_key key;
    struct api_key *keys = NULL;
    struct str secret;
    struct principal principal;
    struct organization_id organization;
    char forged[80];
    size_t count = 0;
    struct err err;

    (void)state;
    make_bed(&bed);
    ASSERT_OK(api_key_create(bed.tenants, bed.scopes[0], STR("CI"), SCOPE_QUERY | SCOPE_ADMIN,
                             WALL_US + 100 * US_PER_S, bed.arena, &key, &secret, &err),
              &err);
    assert_int_equal(secret.len, 3 + 12 + 1 + 43);
    ASSERT_OK(tenant_admit_key(bed.tenants, secret, bed.arena, &principal, &err), &err);
    assert_int_equal(principal.scopes, SCOPE_QUERY | SCOPE_ADMIN);
    assert_true(id_eq(&principal.key_id.id, &key.id.id));
    organization = tenant_scope_organization(principal.scope);
    assert_true(id_eq(&organization.id, &bed.organizations[0].id.id));
    for (size_t i = 0; i < secret.len; i++) { /* any other character anywhere */
        memcpy(forged, secret.ptr, secret.len);
        forged[i] = forged[i] == 'x' ? 'y' : 'x';
        assert_int_equal(
            tenant_admit_key(bed.tenants, str_of(forged, secret.len), bed.arena, &principal, &err),
            ST_DENIED);
        assert_int_equal(
            tenant_admit_key(bed.tenants, str_of(secret.ptr, i), bed.arena, &principal, &err),
            ST_DENIED);
    }
    clock_advance_us(bed.clock, 99 * US_PER_S);
    ASSERT_OK(tenant_admit_key(bed.tenants, secret, bed.arena, &principal, &err), &err);
    clock_advance_us(bed.clock, US_PER_S);
    assert_int_equal(tenant_admit_key(bed.tenants, secret, bed.arena, &principal, &err), ST_DENIED);
    ASSERT_OK(api_key_create(bed.tenants, bed.scopes[0], STR("2"), SCOPE_QUERY, 0, bed.arena, &key,
                             &secret, &err),
              &err);
    ASSERT_OK(tenant_admit_key(bed.tenants, secret, bed.arena, &principal, &err), &err);
    assert_int_equal(api_key_revoke(bed.tenants, bed.scopes[1], key.id, &err), ST_NOT_FOUND);
    ASSERT_OK(tenant_admit_key(bed.tenants, secret, bed.arena, &principal, &err), &err);
    ASSERT_OK(api_key_revoke(bed.tenants, bed.scopes[0], key.id, &err), &err);
    assert_int_equal(tenant_admit_key(bed.tenants, secret, bed.arena, &principal, &err), ST_DENIED);
    ASSERT_OK(api_key_revoke(bed.tenants, bed.scopes[0], key.id, &err), &err);
    ASSERT_OK(api_key_list(bed.tenants, bed.scopes[0], bed.arena, &keys, &count, &err), &err);
    assert_int_equal(count, 2);
    ASSERT_STR(keys[0].name, "CI");
    assert_int_equal(keys[0].scopes, SCOPE_QUERY | SCOPE_ADMIN);
    assert_true(keys[0].last_used_at_us == WALL_US + 99 * US_PER_S);
    assert_true(keys[1].revoked_at_us == WALL_US + 100 * US_PER_S);
    ASSERT_OK(api_key_list(bed.tenants, bed.scopes[1], bed.arena, &keys, &count, &err), &err);
    assert_int_equal(count, 0);
    end_bed(&bed);
}

static void
test_scope_words(void **state)
{
    struct arena *arena = arena_create(65536);
    unsigned scopes = 0;
    struct err err;

    (void)state;
    ASSERT_OK(api_scopes_parse(STR("admin  query:staff knowledge:read"), &scopes, &err), &err);
    assert_int_equal(scopes, SCOPE_ADMIN | SCOPE_QUERY_STAFF | SCOPE_KNOWLEDGE_READ);
    ASSERT_STR(api_scopes_format(scopes, arena), "admin knowledge:read query:staff");
    for (unsigned bits = 0; bits < 256; bits++) {
        ASSERT_OK(api_scopes_parse(api_scopes_format(bits, arena), &scopes, &err), &err);
        assert_int_equal(scopes, bits);
    }
    assert_int_equal(api_scopes_parse(STR("admin root"), &scopes, &err), ST_INVALID);
    assert_non_null(strstr(err.public_text, "root"));
    arena_destroy(&arena);
}

/* --- another organization's ids --- */

struct state_note {
    struct channel_id channel;
    struct arena *arena;
    struct str value;
};

static enum status
state_get_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct state_note *note = arg;

    return channel_state_get(tx, note->channel, STR("offset"), note->arena, &note->value, err);
}

static enum status
state_put_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct state_note *note = arg;

    return channel_state_put(tx, note->channel, STR("offset"), note->value, err);
}

static void
test_isolation(void **state)
{
    struct bed bed;
    struct channel_id id;
    struct channel_id made;
    struct brand brand = {.name = STR_EMPTY};
    struct user *users = NULL;
    size_t count = 0;
    const struct channel_record *record = NULL;
    struct channel_spec change = {.name = STR("Mine now")};
    struct state_note note = {.value = STR("42")};
    struct err err;

    (void)state;
    make_bed(&bed);
    ASSERT_OK(connect_account(&bed, 0, "bot", &id, &err), &err);
    for (int i = 0; i < 2; i++) { /* from the database, then from memory */
        assert_int_equal(channel_record_get(bed.tenants, bed.scopes[1], id, &record, &err),
                         ST_NOT_FOUND);
        ASSERT_OK(channel_record_get(bed.tenants, bed.scopes[0], id, &record, &err), &err);
        channel_record_unref(&record);
    }
    assert_int_equal(channel_update(bed.tenants, bed.scopes[1], id, &change, &err), ST_NOT_FOUND);
    assert_int_equal(
        channel_set_status(bed.tenants, bed.scopes[1], id, STR("disabled"), STR_EMPTY, &err),
        ST_NOT_FOUND);
    assert_int_equal(channel_delete(bed.tenants, bed.scopes[1], id, &err), ST_NOT_FOUND);
    note.channel = id;
    note.arena = bed.arena;
    ASSERT_OK(
        store_run(bed.store, bed.scopes[0], "test", STORE_DURABLE, state_put_work, &note, &err),
        &err);
    assert_int_equal(store_read(bed.store, bed.scopes[1], "test", state_get_work, &note, &err),
                     ST_NOT_FOUND);
    ASSERT_OK(store_read(bed.store, bed.scopes[0], "test", state_get_work, &note, &err), &err);
    ASSERT_STR(note.value, "42");
    /* Another's brand or user on a channel of one's own. */
    ASSERT_OK(store_read(bed.store, bed.scopes[0], "test", brand_work, &brand, &err), &err);
    ASSERT_OK(user_list(bed.tenants, bed.scopes[0], bed.arena, &users, &count, &err), &err);
    for (int i = 0; i < 2; i++) {
        struct channel_spec spec = {.source = STR("web"), .name = STR("Chat")};

        if (i == 0)
            spec.brand_id = brand.id;
        else
            spec.user_id = users[0].id;
        assert_int_equal(channel_create(bed.tenants, bed.scopes[1], &spec, &made, &err),
                         ST_NOT_FOUND);
    }
    ASSERT_OK(channel_record_get(bed.tenants, bed.scopes[0], id, &record, &err), &err);
    ASSERT_STR(record->name, "Bot");
    channel_record_unref(&record);
    end_bed(&bed);
}

/* --- secrets --- */

static bool
file_holds(const char *path, const char *needle)
{
    static char bytes[4 * 1024 * 1024];
    int fd = open(path, O_RDONLY);
    size_t len = 0;
    ssize_t got;

    assert_true(fd >= 0);
    while ((got = read(fd, bytes + len, sizeof(bytes) - len)) > 0)
        len += (size_t)got;
    assert_int_equal(got, 0);
    assert_true(len < sizeof(bytes));
    assert_int_equal(close(fd), 0);
    return memmem(bytes, len, needle, strlen(needle)) != NULL;
}

static unsigned
databases_with(const struct bed *bed, const char *folder, const char *needle)
{
    char path[160];
    DIR *dir;
    struct dirent *entry;
    unsigned found = 0;

    (void)snprintf(path, sizeof(path), "%s/%s", bed->folder, folder);
    dir = opendir(path);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        char file[460];

        if (entry->d_type != DT_REG)
            continue;
        (void)snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        found += file_holds(file, needle);
    }
    assert_int_equal(closedir(dir), 0);
    return found;
}

static void
test_no_clear_secret(void **state)
{
    struct bed bed;
    struct channel_id id;
    struct api_key key;
    struct str secret;
    struct stat info;
    char clear[64];
    struct err err;

    (void)state;
    make_bed(&bed);
    ASSERT_OK(connect_account(&bed, 0, "bot-account-name", &id, &err), &err);
    ASSERT_OK(api_key_create(bed.tenants, bed.scopes[0], STR("k"), SCOPE_QUERY, 0, bed.arena, &key,
                             &secret, &err),
              &err);
    (void)snprintf(clear, sizeof(clear), "%.*s", 43, secret.ptr + 16);
    /* That the scan sees what is there. */
    assert_true(databases_with(&bed, "tenants", "bot-account-name") > 0);
    assert_true(databases_with(&bed, ".", "bot-account-name") > 0);
    assert_int_equal(databases_with(&bed, "tenants", TOKEN), 0);
    assert_int_equal(databases_with(&bed, "tenants", "another-secret-value"), 0);
    assert_int_equal(databases_with(&bed, ".", TOKEN), 0);
    assert_int_equal(databases_with(&bed, ".", clear), 0);
    assert_int_equal(stat(bed.key_file, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    end_bed(&bed);
}

static void
expect_token(struct bed *bed, struct channel_id id)
{
    const struct channel_record *record = NULL;
    struct err err;

    ASSERT_OK(channel_record_get(bed->tenants, bed->scopes[0], id, &record, &err), &err);
    ASSERT_STR(json_get_str(record->credentials, "token"), TOKEN);
    channel_record_unref(&record);
}

/* Leaves only the file's first key. */
static void
drop_old_keys(const struct bed *bed)
{
    char line[256];
    FILE *file = fopen(bed->key_file, "r+");

    assert_non_null(file);
    assert_non_null(fgets(line, sizeof(line), file));
    assert_int_equal(ftruncate(fileno(file), (off_t)strlen(line)), 0);
    assert_int_equal(fclose(file), 0);
}

static void
test_key_rotation(void **state)
{
    struct bed bed;
    struct channel_id ids[3];
    struct channel_id late;
    int64_t resealed = -1;
    const struct channel_record *record = NULL;
    struct err err;

    (void)state;
    make_bed(&bed);
    for (int i = 0; i < 3; i++) {
        char account[32];

        (void)snprintf(account, sizeof(account), "bot%d", i);
        ASSERT_OK(connect_account(&bed, 0, account, &ids[i], &err), &err);
    }
    ASSERT_OK(tenant_reseal(bed.tenants, &resealed, &err), &err);
    assert_int_equal(resealed, 0);
    ASSERT_OK(tenant_add_master_key(bed.tenants, &err), &err);
    ASSERT_OK(connect_account(&bed, 0, "late", &late, &err), &err);
    close_all(&bed);
    open_all(&bed); /* both keys are read */
    expect_token(&bed, ids[0]);
    expect_token(&bed, late);
    ASSERT_OK(tenant_reseal(bed.tenants, &resealed, &err), &err);
    assert_int_equal(resealed, 3);
    close_all(&bed);
    drop_old_keys(&bed);
    open_all(&bed);
    for (int i = 0; i < 3; i++)
        expect_token(&bed, ids[i]);
    expect_token(&bed, late);
    close_all(&bed);
    assert_int_equal(unlink(bed.key_file), 0); /* another key file */
    open_all(&bed);
    assert_int_equal(channel_record_get(bed.tenants, bed.scopes[0], late, &record, &err),
                     ST_INTERNAL);
    end_bed(&bed);
}

static void
test_bad_key_files(void **state)
{
    static const char *const texts[] = {"", "\n\n", "garbage\n", "0123456789abcdef AAAA\n",
                                        "short AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"};
    struct bed bed;
    struct master_keys *keys = NULL;
    char path[128];
    struct err err;

    (void)state;
    make_bed(&bed);
    assert_int_equal(chmod(bed.key_file, 0640), 0);
    assert_int_equal(master_keys_open(bed.key_file, &keys, &err), ST_DENIED);
    (void)snprintf(path, sizeof(path), "%s/bad", bed.folder);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        assert_int_equal(fchmod(fileno(file), 0600), 0);
        assert_true(fputs(texts[i], file) >= 0);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(master_keys_open(path, &keys, &err), ST_INVALID);
        assert_null(keys);
    }
    end_bed(&bed);
}

static void
test_sealed_values(void **state)
{
    struct bed bed;
    struct master_keys *keys = NULL;
    struct sealed sealed;
    struct str key_id;
    struct str secret;
    struct err err;

    (void)state;
    make_bed(&bed);
    ASSERT_OK(master_keys_open(bed.key_file, &keys, &err), &err);
    sealed = master_keys_seal(keys, STR("owner a"), STR("s3cret"), bed.arena);
    key_id = str_from_c(sealed.key_id);
    ASSERT_OK(master_keys_unseal(keys, STR("owner a"), key_id, sealed.bytes, &secret, &err), &err);
    ASSERT_STR(secret, "s3cret");
    secret_wipe(&secret);
    assert_null(secret.ptr);
    assert_int_equal(master_keys_unseal(keys, STR("owner b"), key_id, sealed.bytes, &secret, &err),
                     ST_INTERNAL);
    assert_int_equal(
        master_keys_unseal(keys, STR("a much longer owner"), key_id, sealed.bytes, &secret, &err),
        ST_INTERNAL);
    for (size_t i = 0; i < sealed.bytes.len; i++) {
        struct str changed = arena_str(bed.arena, sealed.bytes);

        ((char *)(uintptr_t)changed.ptr)[i] ^= 1;
        assert_int_equal(master_keys_unseal(keys, STR("owner a"), key_id, changed, &secret, &err),
                         ST_INTERNAL);
        assert_int_equal(master_keys_unseal(keys, STR("owner a"), key_id,
                                            str_sub(sealed.bytes, 0, i), &secret, &err),
                         ST_INTERNAL);
    }
    master_keys_close(&keys);
    end_bed(&bed);
}

/* --- limits --- */

static void
test_limits(void **state)
{
    struct bed bed;
    struct err err;

    (void)state;
    make_bed(&bed);
    for (int i = 0; i < 5; i++)
        ASSERT_OK(tenant_limit_take(bed.tenants, bed.scopes[0], STR("api:1"), 60, 5, &err), &err);
    assert_int_equal(tenant_limit_take(bed.tenants, bed.scopes[0], STR("api:1"), 60, 5, &err),
                     ST_BUSY);
    assert_int_equal(err.retry_after_ms, 1000);
    ASSERT_OK(tenant_limit_take(bed.tenants, bed.scopes[0], STR("api:2"), 60, 5, &err), &err);
    ASSERT_OK(tenant_limit_take(bed.tenants, bed.scopes[1], STR("api:1"), 60, 5, &err), &err);
    clock_advance_us(bed.clock, 400 * US_PER_MS);
    assert_int_equal(tenant_limit_take(bed.tenants, bed.scopes[0], STR("api:1"), 60, 5, &err),
                     ST_BUSY);
    assert_int_equal(err.retry_after_ms, 600);
    clock_advance_us(bed.clock, 600 * US_PER_MS);
    ASSERT_OK(tenant_limit_take(bed.tenants, bed.scopes[0], STR("api:1"), 60, 5, &err), &err);
    clock_advance_us(bed.clock, 3600 * US_PER_S); /* no more than the burst is saved up */
    for (int i = 0; i < 5; i++)
        ASSERT_OK(tenant_limit_take(bed.tenants, bed.scopes[0], STR("api:1"), 60, 5, &err), &err);
    assert_int_equal(tenant_limit_take(bed.tenants, bed.scopes[0], STR("api:1"), 60, 5, &err),
                     ST_BUSY);
    ASSERT_OK(tenant_limit_take(bed.tenants, bed.scopes[0], STR("api:1"), 0, 0, &err), &err);
    end_bed(&bed);
}

static void
test_limits_are_bounded(void **state)
{
    struct clock *clock = clock_create_manual(WALL_US);
    struct limits *limits = limits_create(clock, 160);
    struct err err;

    (void)state;
    /* An outsider's keys, each used once, do not free the one that is used up ... */
    for (int i = 0; i < 20000; i++) {
        char key[24];
        int len = snprintf(key, sizeof(key), "sender:%d", i);

        ASSERT_OK(limits_take(limits, str_of(key, (size_t)len), 60, 1, &err), &err);
        clock_advance_us(clock, US_PER_S); /* full again before the next */
    }
    ASSERT_OK(limits_take(limits, STR("mine"), 1, 1, &err), &err);
    for (int i = 0; i < 200; i++) {
        char key[24];
        int len = snprintf(key, sizeof(key), "again:%d", i);

        ASSERT_OK(limits_take(limits, str_of(key, (size_t)len), 6000, 1, &err), &err);
        clock_advance_us(clock, 20 * US_PER_MS);
    }
    assert_int_equal(limits_take(limits, STR("mine"), 1, 1, &err), ST_BUSY);
    limits_destroy(&limits);
    clock_destroy(&clock);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_organizations),
        cmocka_unit_test(test_bad_specs),
        cmocka_unit_test(test_delete),
#ifdef PARLEY_WITH_FAILPOINTS
        cmocka_unit_test(test_killed_while_created),
        cmocka_unit_test(test_failed_create_leaves_nothing),
#endif
        cmocka_unit_test(test_channels),
        cmocka_unit_test(test_accounts_are_unique),
        cmocka_unit_test(test_admit_webhook),
        cmocka_unit_test(test_api_keys),
        cmocka_unit_test(test_scope_words),
        cmocka_unit_test(test_isolation),
        cmocka_unit_test(test_no_clear_secret),
        cmocka_unit_test(test_key_rotation),
        cmocka_unit_test(test_bad_key_files),
        cmocka_unit_test(test_sealed_values),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_limits_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
