/*
 * channel_check.h - connecting a channel: credentials asked about, webhook registered, or what to
 * paste where
 *
 * Blocks: on the provider, with deadlines. Threads: any worker.
 */
#ifndef PARLEY_CHANNEL_CHANNEL_CHECK_H
#define PARLEY_CHANNEL_CHANNEL_CHECK_H

#include "channel/channel.h"

/* All texts in the arena or the record; none of them is secret. */
struct channel_check {
    bool is_proven;         /* the provider takes the credentials */
    struct str account;     /* as the provider names it */
    struct str webhook_url; /* where the provider is to deliver; "": nowhere (web chat, polled
                               mailboxes, no http.public_url) */
    bool is_registered;     /* we entered it at the provider just now */
    bool can_read;          /* registered_url was read there */
    struct str registered_url;
    struct str trouble; /* what the provider last complained of; "" */
    struct str setup;   /* what is left for a person to do at the provider; "": nothing */
};

/* registers: also enter the webhook where the provider lets us (CHANNEL_CAN_REGISTER). Errors as of
 * channel_probe and channel_register; after is_proven they are of the registration. */
MUST_USE enum status channel_check(struct channel *channel, bool registers, struct arena *arena,
                                   struct channel_check *check_out, struct err *err);
/* The provider delivers somewhere, and not here. */
bool channel_check_is_elsewhere(const struct channel_check *check);

/* Without asking anybody. */
struct str channel_webhook_url(const struct channel *channel, struct arena *arena);
struct str channel_setup(const struct channel *channel, struct arena *arena);

/* Whether what is sent once 24 hours are over can be: words_out says what there is to say, "" when
 * all is well or the channel has no such window. ST_INVALID: the template is not there or not
 * approved. */
MUST_USE enum status channel_check_template(struct channel *channel, struct arena *arena,
                                            struct str *words_out, struct err *err);

#endif
