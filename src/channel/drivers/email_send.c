/*
 * email_send.c - what the product calls to send: SMTP, one mail a message
 */
#include "channel/drivers/email.h"
#include "net/smtp.h"

#define SEND_DEADLINE_MS 60000
#define SEND_BYTES_PER_MS 50 /* the slowest line that a mail's files are given time for */
#define PROBE_DEADLINE_MS 20000

/* A mail has no limit that an answer could reach: one part, however long. */
size_t
email_split(struct channel *channel, struct str text, struct arena *arena, struct str **parts_out)
{
    (void)channel;
    *parts_out = ARENA_NEW(arena, struct str);
    (*parts_out)[0] = str_trim(text);
    return (*parts_out)[0].len > 0 ? 1 : 0;
}

struct submitting {
    struct http_client *http;
    const struct smtp_mail *mail; /* NULL: nothing is sent */
    unsigned deadline_ms;
};

static enum status
submit(const struct mail_server *server, void *context, struct err *err)
{
    const struct submitting *s = context;

    return s->mail == NULL ? smtp_probe(s->http, server, s->deadline_ms, err)
                           : smtp_send(s->http, server, s->mail, s->deadline_ms, err);
}

enum status
email_send(struct channel *channel, const struct outbound *outbound, struct arena *arena,
           struct delivery *delivery_out, struct err *err)
{
    struct email_channel *email = email_of(channel);
    struct smtp_mail mail = {.from = email->address, .to = outbound->external_chat_id};
    struct submitting submitting = {channel->env->http, &mail, SEND_DEADLINE_MS};
    enum status st =
        email_build(email, outbound, clock_wall_us(channel->env->clock), arena, &mail.message, err);

    submitting.deadline_ms += (unsigned)(mail.message.len / SEND_BYTES_PER_MS);
    if (st == ST_OK)
        st = email_log_in(email, &email->smtp, submit, &submitting, arena, err);
    if (st == ST_OK)
        delivery_out->external_message_id =
            email_id_format(email, email_own_id(email, outbound, arena), arena);
    return st;
}

enum status
email_probe(struct channel *channel, struct arena *arena, struct str *account_out, struct err *err)
{
    struct email_channel *email = email_of(channel);
    struct submitting submitting = {channel->env->http, NULL, PROBE_DEADLINE_MS};
    enum status st = email_log_in(email, &email->smtp, submit, &submitting, arena, err);

    if (st != ST_OK)
        return err_wrap(err, "SMTP");
    if (email->inbound == EMAIL_IMAP)
        st = email_box_probe(email, arena, err);
    if (st != ST_OK)
        return err_wrap(err, "IMAP");
    *account_out = arena_str(arena, email->address);
    return ST_OK;
}
