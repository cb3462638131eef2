/*
 * email.h - private to the e-mail driver's files: the open channel, and a mail as they all see it
 *
 *   email.c          table, settings, ids            email_verify.c  who delivered the webhook
 *   email_mime.c     a mail's bytes to struct email  email_form.c    the providers' forms and JSON
 *   email_header.c   what a mail's header says       email_quote.c   what is new in a reply's text
 *   email_parse.c    struct email to inbound items   email_event.c   a provider's delivery events
 *   email_build.c    an answer to a mail's bytes     email_send.c    SMTP
 *   email_poll.c     a mailbox by IMAP               email_find.c    its copies of what we sent
 *   email_login.c    by password, or by OAuth's tokens
 *   email_proof.c    whether From is proven
 *
 * Ids outside: "<our address>:<Message-ID without brackets>" names a mail, an address in lower case
 * a person and their chat. Ours have the Message-ID "parley.<message id>.<part>@<our domain>", the
 * same at each attempt, so that what left before a crash is recognised. MIME by GMime (RFC 2045 to
 * 2047, 2231, 5322). Threads: a channel is shared and frozen after open.
 */
#ifndef PARLEY_CHANNEL_DRIVERS_EMAIL_H
#define PARLEY_CHANNEL_DRIVERS_EMAIL_H

#include "channel/channel_driver.h"
#include "channel/oauth.h"
#include "net/mail_server.h"

#define EMAIL_TEXT_MAX_BYTES ((size_t)256 * 1024) /* of the text that people read; more is cut */
#define EMAIL_MAX_FILES 100
#define EMAIL_FETCH_MAX_BYTES ((size_t)25 * 1024 * 1024) /* of a mailbox's mail; more is cut */
#define EMAIL_SECRET_MIN_LEN 16

/* Where mails come from. */
enum email_inbound { EMAIL_IMAP, EMAIL_MAILGUN, EMAIL_SENDGRID, EMAIL_POSTMARK };

struct email_channel {
    struct channel base;
    enum email_inbound inbound;
    struct str address, domain, name; /* ours; borrowed from the record */
    struct str authserv_id; /* whose Authentication-Results count; borrowed; "": nobody's */
    bool uses_reply_to;
    struct mail_server smtp;
    struct mail_server imap;
    const json_t *folders; /* of the mailbox; borrowed from the record; NULL: INBOX alone */
    int64_t since_us;      /* mails that the mailbox got before are not ours */
    struct oauth_client oauth_client; /* token_url empty: logins are by password */
    struct oauth *oauth;              /* owned; NULL: likewise */
    struct email_box *box;            /* owned; its connection; NULL: none is polled */
};

static inline struct email_channel *
email_of(struct channel *channel)
{
    return (struct email_channel *)channel;
}

/* Of records, without opening: ST_INVALID leaves it EMAIL_IMAP. */
enum email_inbound email_inbound_of(const struct channel_record *record);

/* --- a mail, whatever brought it; all of it in the arena of its reading --- */

struct email_header {
    struct str name, value; /* unfolded, as it was sent */
};

struct email_file {
    struct str name, mime_type; /* may be empty */
    struct str bytes;           /* decoded */
    bool is_inline;             /* shown within the HTML */
};

struct email {
    struct email_header *headers;
    size_t header_count;
    /* From the header, by email_header_read: */
    struct str from, from_name, reply_to; /* addresses in lower case; "" when absent */
    bool has_one_sender;                  /* one From, with one address */
    struct str subject, message_id, in_reply_to;
    struct str references; /* ids without brackets, a space between, oldest first */
    int64_t date_us;       /* 0: none */
    /* The body: */
    struct str text; /* UTF-8; HTML made text when the mail has nothing else */
    bool was_html;
    bool is_cut; /* the rest of it was not read */
    struct email_file *files;
    size_t file_count;
    /* Of multipart/report: "delivery-status", "feedback-report", ...; else "". */
    struct str report_type, report; /* report: its machine-readable part */
    struct str dkim_verdict;        /* SendGrid's; else "" */
};

/* A MIME message. ST_INVALID: no mail. */
MUST_USE enum status email_mime_read(struct str bytes, struct arena *arena, struct email *email_out,
                                     struct err *err);
/* Only its header. */
void email_mime_read_headers(struct str bytes, struct arena *arena, struct email *email);

/* One field of a posted form. */
struct email_field {
    struct str name, value;          /* value decoded; bytes of a file */
    struct str file_name, mime_type; /* of files */
    bool is_file;
};
struct email_form {
    struct email_field *fields;
    size_t count;
};
/* application/x-www-form-urlencoded or multipart/form-data. ST_INVALID. */
MUST_USE enum status email_form_read(struct str content_type, struct str body, struct arena *arena,
                                     struct email_form *form_out, struct err *err);
/* NULL: no such field. */
const struct email_field *email_form_find(const struct email_form *form, const char *name);
struct str email_form_get(const struct email_form *form, const char *name);
/* GMime's: the fields of multipart/form-data. */
MUST_USE enum status email_mime_read_form(struct str content_type, struct str body,
                                          struct arena *arena, struct email_form *form_out,
                                          struct err *err);
/* What the provider of inbound posted about one mail. ST_INVALID. */
MUST_USE enum status email_form_to_email(enum email_inbound inbound, struct str content_type,
                                         struct str body, struct arena *arena,
                                         struct email *email_out, struct err *err);

/* --- header --- */

/* The first field of that name, else the empty view. */
struct str email_header_get(const struct email *email, const char *name);
/* Fills the fields that come from the header, and report_type from Content-Type. */
void email_header_read(struct email *email, struct arena *arena);
/* Why nothing may be answered by itself to this mail, in a word: "auto_reply", "list_mail",
 * "bounce", "own"; NULL: a person wrote it. RFC 3834. */
const char *email_header_automatic(const struct email *email, struct str own_address);
/* Whether address stands in To or in Cc. */
bool email_header_addresses(const struct email *email, const char *name, struct str address,
                            struct arena *arena);
/* The address alone, in lower case, and the name; false when value holds none. */
bool email_address_read(struct str value, struct arena *arena, struct str *address_out,
                        struct str *name_out);
/* Something that may stand in an SMTP command and in our header: local@domain, ASCII. */
bool email_address_is_valid(struct str address);
/* Valid UTF-8 without control characters but LF and TAB; CR LF becomes LF. */
struct str email_clean(struct str s, size_t max_bytes, struct arena *arena, bool *is_cut);

/* Whether the address in From is proven to be the sender's. */
bool email_sender_is_proven(const struct email_channel *channel, const struct email *email,
                            struct arena *arena);

/* Sets text: the plain one, else the HTML made text. */
void email_body_set(struct email *email, struct str text, struct str html, struct arena *arena);

/* --- text --- */

struct email_text {
    struct str visible;   /* what the person wrote now; the whole when that would be nothing */
    struct str quoted;    /* of the mails before; "" */
    struct str signature; /* "" */
};
void email_quote_strip(struct str text, struct arena *arena, struct email_text *text_out);

/* --- inbound --- */

/* The provider's public key, when one is given, is one. ST_INVALID. */
MUST_USE enum status email_verification_key_check(const json_t *credentials, struct err *err);
enum status email_verify(const struct channel_record *record, const struct webhook *webhook,
                         const struct channel_env *env, struct err *err);
enum status email_parse(struct channel *channel, const struct webhook *webhook,
                        struct inbound_batch *batch, struct err *err);
enum status email_read_carried(struct channel *channel, struct str content_type, struct str body,
                               struct arena *arena, struct str **files_out, size_t *count_out,
                               struct err *err);
struct str email_id_format(const struct email_channel *email, struct str message_id,
                           struct arena *arena);
/* --- logins --- */

typedef enum status (*email_use)(const struct mail_server *server, void *context, struct err *err);
/* Calls use with the server, and with an access token where the channel logs in by tokens. */
MUST_USE enum status email_log_in(struct email_channel *email, const struct mail_server *server,
                                  email_use use, void *context, struct arena *arena,
                                  struct err *err);
bool email_renew_credentials(struct channel *channel, json_t *credentials);
void email_inherit(struct channel *channel, struct channel *former);

/* --- a mailbox --- */

size_t email_folder_count(const struct email_channel *email);
struct str email_folder_at(const struct email_channel *email, size_t index);
struct email_box *email_box_create(void);
void email_box_destroy(struct email_box **box);
/* Another connection, the caller's. */
struct imap;
MUST_USE enum status email_box_open(struct email_channel *email, struct arena *arena,
                                    struct imap **imap_out, struct err *err);
enum status email_poll(struct channel *channel, struct str cursor, unsigned wait_ms,
                       struct arena *arena, struct channel_poll *poll_out, struct err *err);
bool email_is_polled(const struct channel_record *record);
/* Logs in and opens each folder. */
MUST_USE enum status email_box_probe(struct email_channel *email, struct arena *arena,
                                     struct err *err);

/* Events of what was sent through the provider's relay. ST_NOT_FOUND: the body is none. */
MUST_USE enum status email_event_parse(const struct email_channel *channel, struct str content_type,
                                       struct str body, struct inbound_batch *batch,
                                       struct err *err);

/* --- outbound --- */

/* Message-ID of what we send, without brackets. */
struct str email_own_id(const struct email_channel *email, const struct outbound *outbound,
                        struct arena *arena);
/* Notes in item which mail of ours it is about, by that mail's Message-ID without brackets; if we
 * made it, also our reference of it. */
void email_note_about(const struct email_channel *email, struct str message_id,
                      struct inbound *item, struct arena *arena);
/* The whole mail, CR LF. ST_INVALID. */
MUST_USE enum status email_build(const struct email_channel *email, const struct outbound *outbound,
                                 int64_t now_us, struct arena *arena, struct str *bytes_out,
                                 struct err *err);
size_t email_split(struct channel *channel, struct str text, struct arena *arena,
                   struct str **parts_out);
enum status email_send(struct channel *channel, const struct outbound *outbound,
                       struct arena *arena, struct delivery *delivery_out, struct err *err);
enum status email_find(struct channel *channel, const struct outbound *outbound, int64_t sent_us,
                       struct arena *arena, struct delivery *delivery_out, struct err *err);
enum status email_probe(struct channel *channel, struct arena *arena, struct str *account_out,
                        struct err *err);

#endif
