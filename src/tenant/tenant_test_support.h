/*
 * tenant_test_support.h - two organizations in a fresh data folder, for the tests of src/tenant/
 */
#ifndef PARLEY_TENANT_TENANT_TEST_SUPPORT_H
#define PARLEY_TENANT_TENANT_TEST_SUPPORT_H

#include "base/testing.h"
#include "tenant/tenant.h"

#define WALL_US INT64_C(1780000000000000) /* when the bed's clock begins */
#define TOKEN "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"

struct bed {
    char folder[64];
    char key_file[96];
    struct clock *clock; /* manual */
    struct store *store;
    struct tenants *tenants;
    struct arena *arena;
    struct organization organizations[2]; /* "one", "other" */
    const struct tenant_scope *scopes[2];
};

void make_bed(struct bed *bed);
void end_bed(struct bed *bed);
/* As a process's end and the next one's start. */
void close_all(struct bed *bed);
void open_all(struct bed *bed);

enum status create_organization(struct bed *bed, const char *slug,
                                struct organization *organization_out, struct err *err);
/* A Telegram channel of bed->organizations[at] with TOKEN among its credentials. */
enum status connect_account(struct bed *bed, int at, const char *account, struct channel_id *id_out,
                            struct err *err);

#endif
