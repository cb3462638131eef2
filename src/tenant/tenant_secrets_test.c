/*
 * tenant_secrets_test.c - sealed credentials, master keys and their rotation, token buckets
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tenant/tenant_private.h"
#include "tenant/tenant_test_support.h"
#include "text/json.h"

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
    ASSERT_OK(api_key_create(bed.tenants, bed.scopes[0], STR("k"), SCOPE_QUERY, STR(""), 0,
                             bed.arena, &key, &secret, &err),
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
        cmocka_unit_test(test_no_clear_secret), cmocka_unit_test(test_key_rotation),
        cmocka_unit_test(test_bad_key_files),   cmocka_unit_test(test_sealed_values),
        cmocka_unit_test(test_limits),          cmocka_unit_test(test_limits_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
