/*
 * recording.h - one message or event into one transaction; for src/gateway/ alone
 *
 * By the webhook that brought it or, when that found others waiting or was one of too many, later
 * from the intake (intake.c). Threads: any worker. Blocks: nothing but the transaction.
 */
#ifndef PARLEY_GATEWAY_RECORDING_H
#define PARLEY_GATEWAY_RECORDING_H

#include "conversation/deletion.h"
#include "conversation/delivery.h"
#include "gateway/gateway_private.h"

/* What a webhook does with what it brings. */
enum recording_turn {
    RECORD_NOW,     /* whatever else waits: its order does not matter, or it is its turn */
    RECORD_IN_TURN, /* waits when others wait */
    RECORD_LATER    /* waits: too much comes at this moment */
};

struct recording {
    struct gateway *gateway;
    const struct channel_record *record;
    const struct inbound *item;
    struct str envelope;
    struct message_id id;
    int64_t now_us, burst_window_us;
    uint64_t lane; /* of its chat */
    enum recording_turn turn;
    bool streams;            /* the channel has live streams */
    bool has_media;          /* attachments to be fetched */
    struct str content_type; /* of the request, for media_queue; may be none */
    bool reply_only;         /* strangers are not answered */
    struct arena *arena;     /* for packed */
    struct str packed;       /* the item for the intake, once it was needed: a work may run again */
    /* Set anew each time the work runs. */
    bool waits; /* it is in the intake, and nothing else was done */
    struct inbound_result result;
    struct delivery_change delivery;
    struct deletion deletion;
    struct message closed; /* of delivery.window_closed, in the arena */
    bool replaced;         /* by its template */
};

/* All but turn; item and envelope are borrowed, and the arena, which nobody else uses while it is
 * run. */
void recording_init(struct recording *r, struct gateway *gateway,
                    const struct channel_record *record, const struct channel *channel,
                    const struct inbound *item, struct str envelope, struct arena *arena);
/* A store_work; arg is a struct recording. ST_CONFLICT: known already. */
enum status recording_run(struct store_tx *tx, void *arg, struct err *err);
/* Once it is durable: windows that look on are told, the provider too, and it is counted. Not for
 * what waits. */
void recording_tell(const struct recording *r, const struct tenant_scope *scope,
                    struct arena *arena);
/* Counts what came of it: "message", "duplicate", a status ... */
void recording_count(struct str source, const char *result);

#endif
