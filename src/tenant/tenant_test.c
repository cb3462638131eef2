/*
 * tenant_test.c - organizations, channels, keys, admission; and that another organization's ids are
 * not found
 */
#include "tenant/tenant.h"

#include <dirent.h>
#include <stdio.h>

#include "base/failpoint.h"
#include "tenant/tenant_test_support.h"
#include "text/json.h"

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
    assert_int_equal(create_organization(&bed, "one", &found, &err), ST_CONFLICT);
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
        assert_int_equal(create_organization(&bed, slugs[i], &organization, &err), ST_INVALID);
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
    ASSERT_OK(api_key_create(bed.tenants, bed.scopes[0], STR("k"), SCOPE_QUERY, STR(""), 0,
                             bed.arena, &key, &secret, &err),
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
    ASSERT_OK(create_organization(&bed, "one", &found, &err), &err);
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
                create_organization(&bed, "third", &found, &err) != ST_OK)
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
            ASSERT_OK(create_organization(&bed, "third", &found, &err), &err);
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
        assert_int_equal(create_organization(&bed, "third", &found, &err), ST_UNAVAILABLE);
        ASSERT_OK(failpoint_configure("", &err), &err);
        assert_int_equal(organization_find(bed.tenants, STR("third"), bed.arena, &found, &err),
                         ST_NOT_FOUND);
        close_all(&bed);
        open_all(&bed);
        assert_int_equal(files_of_tenants(&bed), 2);
    }
    ASSERT_OK(create_organization(&bed, "third", &found, &err), &err);
    end_bed(&bed);
}
#else
SKIPPED_WITHOUT_FAILPOINTS(test_killed_while_created)
SKIPPED_WITHOUT_FAILPOINTS(test_failed_create_leaves_nothing)
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
                             STR("finance hr"), WALL_US + 100 * US_PER_S, bed.arena, &key, &secret,
                             &err),
              &err);
    assert_int_equal(secret.len, 3 + 12 + 1 + 43);
    ASSERT_OK(tenant_admit_key(bed.tenants, secret, bed.arena, &principal, &err), &err);
    assert_int_equal(principal.scopes, SCOPE_QUERY | SCOPE_ADMIN);
    ASSERT_STR(principal.roles, "finance hr");
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
    ASSERT_OK(api_key_create(bed.tenants, bed.scopes[0], STR("2"), SCOPE_QUERY, STR(""), 0,
                             bed.arena, &key, &secret, &err),
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
    static const char *const refused[] = {"role:",   "role:HR",  "role:a b|",
                                          "role:**", "roles:hr", "hr"};
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
    ASSERT_OK(api_scopes_parse(STR("role:hr query role:2nd-line role:hr"), &scopes, &err), &err);
    assert_int_equal(scopes, SCOPE_QUERY);
    ASSERT_STR(api_roles_of(STR("role:hr query role:2nd-line role:hr"), arena), "2nd-line hr");
    ASSERT_STR(api_roles_of(STR("role:hr role:*"), arena), "*");
    ASSERT_STR(api_roles_of(STR("query"), arena), "");
    ASSERT_STR(api_rights_format(SCOPE_QUERY, STR("2nd-line hr"), arena),
               "query role:2nd-line role:hr");
    ASSERT_STR(api_rights_format(0, STR("*"), arena), "role:*");
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        assert_int_equal(api_scopes_parse(str_from_c(refused[i]), &scopes, &err), ST_INVALID);
    assert_true(api_roles_include(STR("*"), STR("hr")));
    assert_true(api_roles_include(STR("*"), STR("*")));
    assert_true(api_roles_include(STR("finance hr"), STR("hr")));
    assert_true(api_roles_include(STR("hr"), STR("")));
    assert_true(api_roles_include(STR(""), STR("")));
    assert_false(api_roles_include(STR(""), STR("hr")));
    assert_false(api_roles_include(STR("hr"), STR("hr sales")));
    assert_false(api_roles_include(STR("hr"), STR("*")));
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_organizations),
        cmocka_unit_test(test_bad_specs),
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_killed_while_created),
        cmocka_unit_test(test_failed_create_leaves_nothing),
        cmocka_unit_test(test_channels),
        cmocka_unit_test(test_accounts_are_unique),
        cmocka_unit_test(test_admit_webhook),
        cmocka_unit_test(test_api_keys),
        cmocka_unit_test(test_scope_words),
        cmocka_unit_test(test_isolation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
