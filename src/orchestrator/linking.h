/*
 * linking.h - "/link" and the codes that it gives: said in a chat, answered without a model
 *
 * Whoever writes "/link" in a private chat gets a code; whoever sends it on another channel of the
 * same organization is from then on the same person. Threads: any worker. Blocks: on the store and
 * on limits.
 */
#ifndef PARLEY_ORCHESTRATOR_LINKING_H
#define PARLEY_ORCHESTRATOR_LINKING_H

#include "conversation/person.h"

enum linking {
    LINKING_NONE,
    LINKING_ASKED, /* "/link" */
    LINKING_SHOWN  /* a code and nothing else */
};
enum linking linking_of(struct str text);
/* Takes what was said about linking out of what was said before: a question that leans on the one
 * before means the one before that, and no model sees a code. */
void linking_strip(struct history *history, struct arena *arena);

/* Counts a try; busy_out: too many, to be said. Not in a transaction. */
MUST_USE enum status linking_admit(struct tenants *tenants, const struct tenant_scope *scope,
                                   const struct message *message, struct arena *arena,
                                   bool *busy_out, struct err *err);
/* Does what the message wants, in the transaction of its answer, which is text_out. */
MUST_USE enum status linking_do(struct store_tx *tx, const struct message *message, bool busy,
                                int64_t now_us, struct str locale, struct arena *arena,
                                struct str *text_out, struct err *err);

#endif
