/*
 * channel_fuzz_support.h - what the channel drivers' fuzzers share: a channel without a database,
 * and what is true of everything that any driver accepts
 *
 * For one translation unit a program: it stands in for src/tenant's counting of records, whose
 * records here live as long as the program does.
 */
#ifndef PARLEY_TESTS_CHANNEL_FUZZ_SUPPORT_H
#define PARLEY_TESTS_CHANNEL_FUZZ_SUPPORT_H

#include <assert.h>
#include <stdlib.h>

#include "channel/channel_driver.h"

#define FUZZ_MB ((size_t)1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

const struct channel_record *
channel_record_ref(const struct channel_record *record)
{
    return record;
}

void
channel_record_unref(const struct channel_record **record)
{
    *record = NULL;
}

/* Takes settings and credentials. */
static inline struct channel *
fuzz_channel_open(const struct channel_driver *driver, const char *account, json_t *settings,
                  json_t *credentials)
{
    const struct channel_driver *const drivers[] = {driver, NULL};
    struct channel_env *env = calloc(1, sizeof *env);
    struct channel_record *record = calloc(1, sizeof *record);
    static struct channel_registry *registries[4]; /* nobody else holds them */
    static size_t count;
    struct channel *channel = NULL;
    struct err err;

    assert(count < sizeof registries / sizeof registries[0]);
    struct channel_registry **registry = &registries[count++];

    if (env == NULL || record == NULL || settings == NULL || credentials == NULL)
        abort();
    env->clock = clock_system();
    record->id = ID_NEW(channel_id);
    record->source = str_from_c(driver->source);
    record->account = str_from_c(account);
    record->revision = 1;
    record->settings = settings;
    record->credentials = credentials;
    if (channel_registry_create(env, NULL, drivers, registry, &err) != ST_OK ||
        channel_acquire(*registry, record, &channel, &err) != ST_OK)
        abort();
    return channel;
}

/* A message has its ids and leads somewhere, an event its kind; all text is UTF-8. */
static inline void
fuzz_check_item(const struct inbound *item)
{
    assert(json_is_object(item->metadata));
    assert(str_is_utf8(item->text) && str_is_utf8(item->display_name));
    assert(str_is_utf8(item->delivery_reason) && str_is_utf8(item->reference));
    if (item->kind == INBOUND_MESSAGE) {
        assert(item->external_message_id.len > 0 && item->external_user_id.len > 0);
        assert(item->external_chat_id.len > 0 && item->event_kind.len == 0);
        assert(item->delivery_state == DELIVERY_NONE);
        return;
    }
    assert(item->event_kind.len > 0 && item->external_event_id.len > 0 && item->raw.len > 0);
    assert(item->external_message_id.len == 0);
    assert(!item->wants_answer && !item->starts_new_conversation);
    assert(item->delivery_state == DELIVERY_NONE || str_eq_c(item->event_kind, "delivery"));
}

/* Parses input as a webhook's body, and checks all that came of it, by check (may be NULL), too. */
static inline void
fuzz_parse(struct channel *channel, struct str input, struct arena *arena,
           void (*check)(const struct inbound *item))
{
    const struct webhook webhook = {.body = input};
    struct inbound_batch batch;
    struct err err;

    if (channel_parse(channel, &webhook, arena, &batch, &err) == ST_OK)
        for (size_t i = 0; i < batch.count; i++) {
            fuzz_check_item(&batch.items[i]);
            if (check != NULL)
                check(&batch.items[i]);
        }
    inbound_batch_deinit(&batch);
}

/* Sorts input as a webhook at an address that several accounts share: each share names its account,
 * and nobody else's; sorted again it is the same. */
static inline void
fuzz_sort(const struct channel *channel, struct str input, struct arena *arena)
{
    struct http_request request = {.method = HTTP_POST, .arena = arena};
    const struct webhook webhook = {.body = input, .request = &request};
    struct channel_share *shares = NULL, *again = NULL;
    size_t count = 0, count_again = 0;
    struct err err;

    if (channel->driver->sort(&webhook, arena, &shares, &count, &err) != ST_OK)
        return;
    for (size_t i = 0; i < count && i < 8; i++) {
        const struct webhook own = {.body = shares[i].body, .request = &request};

        assert(shares[i].account.len > 0 && str_is_utf8(shares[i].account));
        if (channel->driver->sort(&own, arena, &again, &count_again, &err) != ST_OK)
            abort();
        assert(count_again == 1 && str_eq(again->account, shares[i].account));
    }
}

#endif
