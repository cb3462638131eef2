/*
 * tenant_test_support.c - see the header
 */
#include "tenant/tenant_test_support.h"

#include <ftw.h>
#include <jansson.h>
#include <stdio.h>

static int
remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
    (void)info;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void
open_all(struct bed *bed)
{
    struct store_config store = {.data_folder = bed->folder};
    struct tenants_config tenants = {.clock = bed->clock, .key_file = bed->key_file};
    struct err err;

    ASSERT_OK(store_open(&store, &bed->store, &err), &err);
    tenants.store = bed->store;
    ASSERT_OK(tenants_open(&tenants, &bed->tenants, &err), &err);
}

void
close_all(struct bed *bed)
{
    tenants_close(&bed->tenants);
    store_close(&bed->store);
}

enum status
create_organization(struct bed *bed, const char *slug, struct organization *organization_out,
                    struct err *err)
{
    struct organization_spec spec = {.name = STR("A Firm"),
                                     .slug = str_from_c(slug),
                                     .owner_email = STR("owner@example.org"),
                                     .owner_name = STR("Olga Owner")};

    return organization_create(bed->tenants, &spec, bed->arena, organization_out, err);
}

void
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
        ASSERT_OK(create_organization(bed, i == 0 ? "one" : "other", &bed->organizations[i], &err),
                  &err);
        ASSERT_OK(tenant_admit_operator(bed->tenants, ID_STR(bed->organizations[i].id), bed->arena,
                                        &bed->scopes[i], &err),
                  &err);
    }
}

void
end_bed(struct bed *bed)
{
    close_all(bed);
    clock_destroy(&bed->clock);
    arena_destroy(&bed->arena);
    (void)nftw(bed->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

enum status
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
