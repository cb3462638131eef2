/*
 * gateway.c - life of the gateway: open, start, stop, close
 */
#include "gateway/gateway.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "channel/slots.h"
#include "gateway/breakers.h"
#include "gateway/gateway_private.h"

#define ACKNOWLEDGERS 2
#define MAX_ACKNOWLEDGEMENTS 256
#define FETCHERS 8
/* So long after the last webhook that had to be put aside a flood is not yet over. */
#define FLOOD_ECHO_US (50 * US_PER_MS)

enum status
gateway_open(const struct gateway_config *config, struct gateway **gateway_out, struct err *err)
{
    const struct thread_pool_config pool = {
        .name = "ack", .threads = ACKNOWLEDGERS, .max_queued = MAX_ACKNOWLEDGEMENTS};
    struct gateway *gateway = calloc(1, sizeof(*gateway));
    enum status st;

    *gateway_out = NULL;
    if (gateway == NULL)
        return err_set(err, ST_UNAVAILABLE, "no memory for the gateway");
    gateway->config = *config;
    st = thread_pool_create(&pool, &gateway->acknowledgers, err);
    if (st != ST_OK) {
        free(gateway);
        return err_wrap(err, "open gateway");
    }
    gateway->breakers = breakers_create();
    gateway->slots = slots_create(config->senders, clock_system());
    gateway->fetch_slots = slots_create(FETCHERS, clock_system());
    *gateway_out = gateway;
    return ST_OK;
}

enum status
gateway_start(struct gateway *gateway, struct instance *instance, struct err *err)
{
    enum status st = ST_OK;

    if (gateway->config.senders > 0)
        st = queue_workers_start(gateway->config.queue, QUEUE_TOPIC_OUTBOUND,
                                 gateway->config.senders, sender_deliver, sender_on_dead, gateway,
                                 &gateway->senders, err);
    if (st == ST_OK && gateway->config.senders > 0 && gateway->config.blobs != NULL)
        st = queue_workers_start(gateway->config.queue, QUEUE_TOPIC_MEDIA, FETCHERS, media_fetch,
                                 media_on_dead, gateway, &gateway->fetchers, err);
    if (st == ST_OK && gateway->config.recorders > 0)
        st = queue_workers_start(gateway->config.queue, QUEUE_TOPIC_INTAKE,
                                 gateway->config.recorders, intake_record, NULL, gateway,
                                 &gateway->recorders, err);
    if (st == ST_OK && gateway->config.recorders > 0)
        st = queue_workers_start(gateway->config.queue, QUEUE_TOPIC_UPKEEP, 1, deletions_sweep,
                                 NULL, gateway, &gateway->sweepers, err);
    if (st == ST_OK && gateway->config.poll)
        st = poller_start(gateway, instance, &gateway->poller, err);
    return st;
}

bool
gateway_is_flooded(const struct gateway *gateway)
{
    return atomic_load_explicit(&gateway->receiving, memory_order_relaxed) >
           gateway->config.record_at_once;
}

void
gateway_note_flood(struct gateway *gateway)
{
    atomic_store_explicit(&gateway->flooded_at_us, clock_mono_us(clock_system()),
                          memory_order_relaxed);
}

bool
gateway_was_just_flooded(const struct gateway *gateway)
{
    int64_t at_us = atomic_load_explicit(&gateway->flooded_at_us, memory_order_relaxed);

    return gateway_is_flooded(gateway) ||
           (at_us > 0 && clock_mono_us(clock_system()) - at_us < FLOOD_ECHO_US);
}

void
gateway_stop(struct gateway *gateway, int64_t deadline_ms)
{
    poller_stop(&gateway->poller);
    queue_workers_stop(&gateway->sweepers, deadline_ms);
    queue_workers_stop(&gateway->recorders, deadline_ms);
    queue_workers_stop(&gateway->fetchers, deadline_ms);
    queue_workers_stop(&gateway->senders, deadline_ms);
}

void
gateway_close(struct gateway **gateway_ref)
{
    struct gateway *gateway = *gateway_ref;

    if (gateway == NULL)
        return;
    thread_pool_destroy(&gateway->acknowledgers);
    breakers_destroy(&gateway->breakers);
    slots_destroy(&gateway->slots);
    slots_destroy(&gateway->fetch_slots);
    free(gateway);
    *gateway_ref = NULL;
}

enum status
gateway_store_credentials(struct gateway *gateway, const struct tenant_scope *scope,
                          const struct channel_record *used, const json_t *credentials,
                          int64_t *revision_out, struct err *err)
{
    struct tenants *tenants = gateway->config.tenants;
    const struct channel_spec spec = {.credentials = credentials};
    const struct channel_record *stored = NULL;
    enum status st = channel_record_get(tenants, scope, used->id, &stored, err);

    if (st == ST_OK && stored->revision != used->revision)
        st = err_set(err, ST_CONFLICT, "the channel was changed meanwhile");
    channel_record_unref(&stored);
    if (st == ST_OK)
        st = channel_update(tenants, scope, used->id, &spec, err);
    if (st == ST_OK)
        st = channel_record_get(tenants, scope, used->id, &stored, err);
    if (st == ST_OK)
        *revision_out = stored->revision;
    channel_record_unref(&stored);
    return st;
}

/* What cannot be stored now is tried again at the channel's next use. */
void
gateway_keep_credentials(struct gateway *gateway, const struct tenant_scope *scope,
                         struct channel *channel)
{
    json_auto_t *credentials = channel_new_credentials(channel);
    const struct channel_record *used = channel_record(channel);
    int64_t revision;
    struct err err;
    enum status st;

    if (credentials == NULL)
        return;
    st = gateway_store_credentials(gateway, scope, used, credentials, &revision, &err);
    if (st != ST_OK && st != ST_CONFLICT)
        LOG_ERR(LOG_WARN, "channel.credentials_not_kept", &err,
                log_str("channel_id", ID_STR(used->id)));
}
