/*
 * queue_test_support.h - a store with organizations in a folder of its own, and a queue on it
 */
#ifndef PARLEY_QUEUE_QUEUE_TEST_SUPPORT_H
#define PARLEY_QUEUE_QUEUE_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "queue/queue_private.h"

#define TEST_MAX_ORGANIZATIONS 16

struct bed {
    char folder[64];
    const char *database_url; /* NULL: files in the folder */
    struct clock *clock;
    struct store *store;
    struct tenants *tenants;
    struct queue *queue;
    struct arena *arena;
    unsigned organization_count;
    struct organization_id ids[TEST_MAX_ORGANIZATIONS];
    const struct tenant_scope *scopes[TEST_MAX_ORGANIZATIONS];
};

/* On the server that PARLEY_TEST_DATABASE_URL names, when a test has set it, or else on SQLite.
 * config's store, tenants and clock are filled in; NULL: the defaults. */
void bed_open(struct bed *bed, unsigned organizations, struct clock *clock,
              const struct queue_config *config);
/* Opens what is in folder already, made by another process. */
void bed_reopen(struct bed *bed, const char *folder, struct clock *clock,
                const struct queue_config *config);
/* The same two on a PostgreSQL server, migrated. The folder is of the beds together. */
void bed_open_on(struct bed *bed, const char *database_url, unsigned organizations,
                 struct clock *clock, const struct queue_config *config);
void bed_reopen_on(struct bed *bed, const char *database_url, const char *folder,
                   struct clock *clock, const struct queue_config *config);
void bed_close(struct bed *bed, bool remove_folder);

/* spec->payload may be empty: then {}. */
enum status bed_put(struct bed *bed, unsigned organization, const struct job_spec *spec,
                    struct job_id *id_out);
struct queue_counts bed_count(struct bed *bed, unsigned organization, const char *topic);

/* Effects: rows that can be inserted once each, in a table that has a unique key. */
enum status effect_insert(struct store_tx *tx, struct str group, int64_t number, int64_t value,
                          struct err *err);
/* Calls visit for the effects of a group, by number. Returns how many. */
typedef void (*effect_visit)(int64_t number, int64_t value, void *context);
size_t effects_read(struct bed *bed, unsigned organization, struct str group, effect_visit visit,
                    void *context);

/* The only member of {"n":123}. */
int64_t payload_number(struct str payload);

#endif
