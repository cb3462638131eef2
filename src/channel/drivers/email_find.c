/*
 * email_find.c - looks for a mail of ours in the mailbox's own folder of sent mails
 *
 * Where what is submitted is kept there (Gmail), a copy proves that it has left. None
 * proves nothing: other servers keep none. So what is not found stays uncertain, and is not sent
 * again because of that.
 */
#include "channel/drivers/email.h"
#include "net/imap.h"

#define LOOK_AGAIN_MS 3000
#define OUTAGE_MAX_US (INT64_C(120) * US_PER_S) /* so long a mailbox that is away is waited for */

static enum status
look(struct email_channel *email, struct str id, struct arena *arena, bool *found_out,
     struct err *err)
{
    struct imap *imap = NULL;
    struct imap_mailbox mailbox;
    struct str folder;
    enum status st = email_box_open(email, arena, &imap, err);

    *found_out = false;
    if (st == ST_OK)
        st = imap_find_sent(imap, arena, &folder, err);
    if (st == ST_OK)
        st = imap_examine(imap, folder, &mailbox, err);
    if (st == ST_OK)
        st = imap_has_mail(imap, id, found_out, err);
    imap_close(&imap);
    return st;
}

enum status
email_find(struct channel *channel, const struct outbound *outbound, int64_t sent_us,
           struct arena *arena, struct delivery *delivery_out, struct err *err)
{
    struct email_channel *email = email_of(channel);
    struct str id = email_own_id(email, outbound, arena);
    int64_t age_us = clock_wall_us(channel->env->clock) - sent_us;
    bool found = false;
    enum status st;

    if (email->inbound != EMAIL_IMAP)
        return err_set(err, ST_INVALID, "there is no mailbox to look into");
    st = look(email, id, arena, &found, err);
    if (st == ST_OK && found) {
        delivery_out->external_message_id = email_id_format(email, id, arena);
        return ST_OK;
    }
    if (st == ST_OK)
        err_set(err, ST_INVALID, "the mailbox has no copy of it");
    if (age_us >= (st == ST_UNAVAILABLE ? OUTAGE_MAX_US : CHANNEL_SETTLES_US) ||
        (st != ST_OK && st != ST_UNAVAILABLE))
        return err->code = ST_INVALID;
    err->retry_after_ms = LOOK_AGAIN_MS;
    return err->code = ST_BUSY;
}
