/*
 * queue_test_support.c - see the header
 */
#include "queue/queue_test_support.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BED_ARENA_BYTES ((size_t)4 * 1024 * 1024)

static void
check(enum status st, const struct err *err, const char *what)
{
    if (st != ST_OK)
        fail_msg("%s: %s: %s", what, status_name(st), err->detail);
}

static void
open_all(struct bed *bed, struct clock *clock, const struct queue_config *config)
{
    struct queue_config own = {.store = NULL};
    const char *url = getenv("PARLEY_TEST_DATABASE_URL");
    struct store_config store = {.data_folder = bed->folder,
                                 .database_url = url == NULL ? bed->database_url : url};
    struct tenants_config tenants = {.clock = clock};
    char key_file[96];
    struct err err;

    if (config != NULL)
        own = *config;
    bed->clock = clock;
    bed->arena = arena_create(BED_ARENA_BYTES);
    check(store_open(&store, &bed->store, &err), &err, "store_open");
    (void)snprintf(key_file, sizeof(key_file), "%s/keys", bed->folder);
    tenants.store = bed->store;
    tenants.key_file = key_file;
    check(tenants_open(&tenants, &bed->tenants, &err), &err, "tenants_open");
    own.store = bed->store;
    own.tenants = bed->tenants;
    own.clock = clock;
    check(queue_open(&own, &bed->queue, &err), &err, "queue_open");
}

static void
add_scope(struct bed *bed, struct organization_id id)
{
    unsigned at = bed->organization_count++;
    struct err err;

    bed->ids[at] = id;
    check(tenant_admit_operator(bed->tenants, ID_STR(bed->ids[at]), bed->arena, &bed->scopes[at],
                                &err),
          &err, "admit");
}

void
bed_open(struct bed *bed, unsigned organizations, struct clock *clock,
         const struct queue_config *config)
{
    bed_open_on(bed, NULL, organizations, clock, config);
}

void
bed_reopen(struct bed *bed, const char *folder, struct clock *clock,
           const struct queue_config *config)
{
    bed_reopen_on(bed, NULL, folder, clock, config);
}

void
bed_open_on(struct bed *bed, const char *database_url, unsigned organizations, struct clock *clock,
            const struct queue_config *config)
{
    *bed = (struct bed){.folder = "/tmp/parley-queue-XXXXXX", .database_url = database_url};
    assert_non_null(mkdtemp(bed->folder));
    open_all(bed, clock, config);
    for (unsigned i = 0; i < organizations; i++) {
        struct organization organization;
        struct organization_spec spec;
        char slug[16];
        struct err err;

        (void)snprintf(slug, sizeof(slug), "org-%u", i);
        spec = (struct organization_spec){.name = STR("Test"),
                                          .slug = str_from_c(slug),
                                          .owner_email = STR("owner@example.org"),
                                          .owner_name = STR("Owner")};
        check(organization_create(bed->tenants, &spec, bed->arena, &organization, &err), &err,
              "organization_create");
        add_scope(bed, organization.id);
        queue_add_organization(bed->queue, organization.id);
    }
}

void
bed_reopen_on(struct bed *bed, const char *database_url, const char *folder, struct clock *clock,
              const struct queue_config *config)
{
    struct organization *organizations;
    struct organization_id none = {0};
    size_t count;
    struct err err;

    *bed = (struct bed){.folder = "", .database_url = database_url};
    (void)snprintf(bed->folder, sizeof(bed->folder), "%s", folder);
    open_all(bed, clock, config);
    check(organization_list(bed->tenants, none, TEST_MAX_ORGANIZATIONS, bed->arena, &organizations,
                            &count, &err),
          &err, "organization_list");
    for (size_t i = 0; i < count; i++)
        add_scope(bed, organizations[i].id);
}

static int
remove_entry(const char *path, const struct stat *stat, int flag, struct FTW *ftw)
{
    (void)stat;
    (void)flag;
    (void)ftw;
    return remove(path);
}

void
bed_close(struct bed *bed, bool remove_folder)
{
    queue_close(&bed->queue);
    tenants_close(&bed->tenants);
    store_close(&bed->store);
    arena_destroy(&bed->arena);
    if (remove_folder)
        assert_int_equal(nftw(bed->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

struct put {
    struct queue *queue;
    struct job_spec spec;
    struct job_id id;
};

static enum status
put_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct put *put = arg;

    return queue_put(put->queue, tx, &put->spec, &put->id, err);
}

enum status
bed_put(struct bed *bed, unsigned organization, const struct job_spec *spec, struct job_id *id_out)
{
    struct put put = {bed->queue, *spec, {{""}}};
    enum status st;
    struct err err;

    if (put.spec.payload.len == 0)
        put.spec.payload = STR("{}");
    st = store_run(bed->store, bed->scopes[organization], "test_put", STORE_DURABLE, put_work, &put,
                   &err);
    if (st != ST_OK && st != ST_CONFLICT)
        check(st, &err, "put");
    if (id_out != NULL)
        *id_out = put.id;
    return st;
}

struct count {
    const char *topic;
    int64_t now_us;
    struct queue_counts counts;
};

static enum status
count_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct count *count = arg;

    return queue_count(tx, count->topic, count->now_us, &count->counts, err);
}

struct queue_counts
bed_count(struct bed *bed, unsigned organization, const char *topic)
{
    struct count count = {.topic = topic, .now_us = clock_wall_us(bed->clock)};
    struct err err;

    check(store_read(bed->store, bed->scopes[organization], "test_count", count_work, &count, &err),
          &err, "count");
    return count.counts;
}

/* ---------------------------------------------------------------- effects */

static const struct store_sql SQL_EFFECT_INSERT = {
    .name = "test_effect_insert",
    .text = "INSERT INTO channel_state (organization_id, channel_id, name, value, updated_at)"
            " VALUES ($1, $2, $3, $4, 0)",
};
static const struct store_sql SQL_EFFECTS = {
    .name = "test_effects",
    .text = "SELECT name, value FROM channel_state WHERE organization_id = $1 AND channel_id = $2"
            " ORDER BY name",
};

enum status
effect_insert(struct store_tx *tx, struct str group, int64_t number, int64_t value, struct err *err)
{
    char name[24];
    char text[24];
    int name_len = snprintf(name, sizeof(name), "%010lld", (long long)number);
    int text_len = snprintf(text, sizeof(text), "%lld", (long long)value);

    return store_exec(tx, &SQL_EFFECT_INSERT,
                      ARGS(sv_text(group), sv_text(str_of(name, (size_t)name_len)),
                           sv_text(str_of(text, (size_t)text_len))),
                      NULL, err);
}

struct read {
    struct str group;
    effect_visit visit;
    void *context;
    size_t count;
};

static enum status
read_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct read *read = arg;
    struct store_rows *rows;
    enum status st = store_query(tx, &SQL_EFFECTS, ARGS(sv_text(read->group)), &rows, err);

    if (st != ST_OK)
        return st;
    read->count = 0;
    while (store_rows_next(rows)) {
        int64_t number = 0;
        int64_t value = 0;

        assert_true(str_to_i64(store_col_text(rows, 0), &number));
        assert_true(str_to_i64(store_col_text(rows, 1), &value));
        if (read->visit != NULL)
            read->visit(number, value, read->context);
        read->count++;
    }
    return store_rows_close(&rows, err);
}

size_t
effects_read(struct bed *bed, unsigned organization, struct str group, effect_visit visit,
             void *context)
{
    struct read read = {group, visit, context, 0};
    struct err err;

    check(store_read(bed->store, bed->scopes[organization], "test_effects", read_work, &read, &err),
          &err, "effects");
    return read.count;
}

int64_t
payload_number(struct str payload)
{
    int64_t number = -1;

    if (!str_starts_with(payload, STR("{\"n\":")) ||
        !str_to_i64(str_sub(payload, 5, payload.len - 6), &number))
        return -1;
    return number;
}
