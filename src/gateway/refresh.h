/*
 * refresh.h - credentials that end by themselves are refreshed long before they do
 *
 * An upkeep duty: of several processes one at a time does it. Blocks: on providers, with deadlines.
 * Threads: shared.
 */
#ifndef PARLEY_GATEWAY_REFRESH_H
#define PARLEY_GATEWAY_REFRESH_H

#include "gateway/gateway.h"

/* What is known of a channel's credentials; all 0: they do not end, or were not looked at yet. */
struct credentials_end {
    int64_t ends_us;   /* wall; 0: not known */
    int64_t failures;  /* in a row; a fresh token may be too young for the first try */
    struct str reason; /* of the last failure, for a person; in the arena */
};
MUST_USE enum status credentials_end_get(struct store_tx *tx, struct channel_id id,
                                         struct arena *arena, struct credentials_end *end_out,
                                         struct err *err);

/* Those of the organization that are due. A provider that refuses is noted and logged, and no
 * failure of this. */
MUST_USE enum status gateway_refresh_credentials(struct gateway *gateway,
                                                 const struct tenant_scope *scope,
                                                 struct arena *arena, struct err *err);

#endif
