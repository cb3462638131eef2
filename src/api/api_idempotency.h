/*
 * api_idempotency.h - Idempotency-Key: the same request again gets the same answer and no effect
 *
 *   reserved (before the handler) --answered--> kept for a day
 *        '--handler failed--> gone        '--killed between--> stays reserved: a repetition is told
 *                                             that its first try may have had its effect (409)
 *
 * Keys belong to an organization. The same key with another request is 409. Only for operations
 * with an API key. Threads: the worker of the call. Blocks: on the store.
 */
#ifndef PARLEY_API_API_IDEMPOTENCY_H
#define PARLEY_API_API_IDEMPOTENCY_H

#include "api/api_private.h"

/* replayed_out: answered from what was kept; the handler must not run. */
MUST_USE enum status api_idempotency_begin(struct api_call *call, bool *replayed_out,
                                           struct err *err);
void api_idempotency_keep(struct api_call *call, int status, struct str body);
/* Forgets the reservation when the handler failed. */
void api_idempotency_end(struct api_call *call, enum status outcome);

#endif
