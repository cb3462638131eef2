/*
 * ledger.h - what is known of each part of a message on its way out; for sender.c and ledger.c
 * alone
 *
 *   (none) --begin--> intent --outcome--> sent | retry | failed | window_closed
 *                        '--held--> uncertain
 *
 * Functions are store works: arg is a struct sending, and each makes sure of the lease before it
 * changes anything. They may run again. Threads: the worker that holds the lease. Blocks: nothing
 * but the transaction.
 */
#ifndef PARLEY_GATEWAY_LEDGER_H
#define PARLEY_GATEWAY_LEDGER_H

#include "conversation/delivery.h"
#include "gateway/gateway_private.h"

#define MAX_PARTS 64 /* of a text; behind them there is room for the template */

enum part_state { PART_NEW, PART_INTENT, PART_GROWING, PART_SENT, PART_UNCERTAIN };

/* One message on its way out; belongs to the worker that holds the lease. */
struct sending {
    struct gateway *gateway;
    struct lease *lease;
    struct channel *channel;
    struct slot *slot; /* NULL: a local channel's */
    struct message_id message_id;
    struct message message;
    struct str reply_to, answers;
    struct str answers_metadata; /* JSON */
    bool is_refused;   /* the window was closed and the message has failed: nobody may try it again
                          but a person */
    bool is_overtaken; /* by a person who has not seen it */
    enum part_state states[MAX_PARTS + 1];
    int64_t since_us[MAX_PARTS + 1]; /* when the intent was committed, or the call began */
    struct str grown;                /* the id of what is PART_GROWING; "": not known */
    struct str *parts;
    size_t part_count, next;
    int64_t now_us;
    /* The outcome of parts[next] that the next transaction records. */
    const char *state;
    struct delivery delivery;
    const char *reason;
    int64_t postponed_to_us;
    struct delivery_change reported; /* by the provider, before the message's end was recorded */
    bool window_closed, replaced;    /* what window_close was asked for, and said */
};

/* The message, and how far it has come. */
enum status ledger_load(struct store_tx *tx, void *arg, struct err *err);
/* parts[next] is about to be handed over. */
enum status ledger_begin(struct store_tx *tx, void *arg, struct err *err);
/* state, delivery and reason of parts[next], with what follows from it. */
enum status ledger_outcome(struct store_tx *tx, void *arg, struct err *err);
/* The same, and nobody is to be reached there. */
enum status ledger_unreachable(struct store_tx *tx, void *arg, struct err *err);
/* The provider asks for patience: nothing failed, so no attempt counts. */
enum status ledger_postponed(struct store_tx *tx, void *arg, struct err *err);
/* Later, and nothing was tried: at postponed_to_us. */
enum status ledger_delayed(struct store_tx *tx, void *arg, struct err *err);
/* Held: nothing is sent again by itself; staff sees it and may resend. Unless the provider told of
 * the part until now: then it has left, and state says so. */
enum status ledger_held(struct store_tx *tx, void *arg, struct err *err);
/* What the provider called parts[next] (delivery), if it told of it while nobody here knew that it
 * has it. */
enum status ledger_find_known(struct store_tx *tx, void *arg, struct err *err);
/* Finds whether it is_overtaken; and fails one that is. */
enum status ledger_find_overtaken(struct store_tx *tx, void *arg, struct err *err);
enum status ledger_overtaken(struct store_tx *tx, void *arg, struct err *err);
/* The message is_refused. */
enum status ledger_ended(struct store_tx *tx, void *arg, struct err *err);
/* Every part has left. */
enum status ledger_finished(struct store_tx *tx, void *arg, struct err *err);
/* The provider refuses parts[next] because its window is closed (reason): window.h. */
enum status ledger_refused(struct store_tx *tx, void *arg, struct err *err);
/* By our own clock it is. reason NULL: a template takes the text's place, and is loaded. */
enum status ledger_closed(struct store_tx *tx, void *arg, struct err *err);

#endif
