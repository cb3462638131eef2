/*
 * breakers.h - which channels' providers are left alone for a while
 *
 * One circuit breaker (base/breaker.h) a channel, of this process: a channel whose provider is away
 * is not tried again and again, and delays nobody else. Only channels that failed lately have one.
 * What the others are to know, the API among them, is a durable note, written when a breaker opens
 * and when it closes.
 * Threads: shared. Blocks: breakers_tell and channel_breaker_get, on the store. Crash: a process
 * begins with every breaker closed; a note that nobody renews is void five minutes after its wait.
 */
#ifndef PARLEY_GATEWAY_BREAKERS_H
#define PARLEY_GATEWAY_BREAKERS_H

#include "base/breaker.h"
#include "gateway/gateway.h"

struct breakers;

struct breakers *breakers_create(void);
void breakers_destroy(struct breakers **breakers);

/* How long the channel's provider is to be left alone, in milliseconds. 0: it may be called; then
 * breakers_note must follow. A wait for refused credentials ends when the channel is no longer
 * marked as broken: somebody mended it. */
int64_t breakers_wait_ms(struct breakers *breakers, struct channel_id id, bool is_broken,
                         int64_t mono_us);

struct breaker_change {
    enum breaker_state state; /* when it changed */
    bool changed;
    unsigned wait_ms; /* of BREAKER_OPEN */
};
/* st and err: what channel_send said. */
struct breaker_change breakers_note(struct breakers *breakers, struct channel_id id,
                                    struct str source, enum status st, const struct err *err,
                                    int64_t mono_us);
/* In place of breakers_note: it was not called after all. */
void breakers_give_back(struct breakers *breakers, struct channel_id id);
/* Keeps a change as the channel's durable note. reason: the failure's public text. */
MUST_USE enum status breakers_tell(const struct gateway_config *config,
                                   const struct tenant_scope *scope, struct channel_id id,
                                   struct breaker_change change, struct str reason,
                                   struct err *err);

#endif
