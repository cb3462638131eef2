/*
 * email_parse.c - struct email to one inbound item: a message, or an event when a machine wrote it
 *
 * Nothing of a mail decides where an answer goes but the address in From (or Reply-To, where the
 * channel says so). Bounces about our own mails become delivery states; other mails of machines,
 * lists and ourselves are kept as events, and so are never answered: RFC 3834.
 */
#include "channel/drivers/email.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "text/json.h"

#define OWN_ID_PREFIX STR("parley.")
#define RAW_TEXT_MAX_BYTES 4000
#define REASON_MAX_BYTES 200

/* Where in the mailbox it lies: the first line of what was polled. */
struct origin {
    bool is_mailbox, is_cut;
    int64_t uid_validity, uid, size_bytes, internal_date_us;
};

struct parsing {
    const struct email_channel *channel;
    struct arena *arena;
    struct email email;
    struct origin origin;
    struct inbound *item;
};

/* --- ids --- */

/* Mails without a Message-ID are told apart by what they say. */
static struct str
message_id_of(const struct email *email, struct arena *arena)
{
    crypto_hash_sha256_state state;
    unsigned char digest[crypto_hash_sha256_BYTES];
    char hex[2 * crypto_hash_sha256_BYTES + 1];
    const struct str parts[] = {email->from, email_header_get(email, "Date"), email->subject,
                                email->text};

    if (email->message_id.len > 0)
        return email->message_id;
    crypto_hash_sha256_init(&state);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].len > 0)
            crypto_hash_sha256_update(&state, (const unsigned char *)parts[i].ptr, parts[i].len);
        crypto_hash_sha256_update(&state, (const unsigned char *)"\0", 1);
    }
    crypto_hash_sha256_final(&state, digest);
    sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
    return arena_printf(arena, "sha256-%s", hex);
}

/* --- attachments --- */

static json_t *
attachment_of(const struct parsing *p, size_t index)
{
    const struct email_file *file = &p->email.files[index];
    json_t *attachment = json_object();
    unsigned char digest[crypto_hash_sha256_BYTES];
    char hex[2 * crypto_hash_sha256_BYTES + 1];

    crypto_hash_sha256(digest, (const unsigned char *)(file->bytes.len == 0 ? "" : file->bytes.ptr),
                       file->bytes.len);
    sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
    json_set_str(attachment, "kind", str_from_c(channel_attachment_kind(file->mime_type)));
    if (p->origin.is_mailbox)
        json_set_str(attachment, "file_id",
                     arena_printf(p->arena, "%lld:%lld:%zu", (long long)p->origin.uid_validity,
                                  (long long)p->origin.uid, index));
    if (file->mime_type.len > 0)
        json_set_str(attachment, "mime_type", file->mime_type);
    if (file->name.len > 0)
        json_set_str(attachment, "file_name", file->name);
    json_set_int(attachment, "size_bytes", (int64_t)file->bytes.len);
    json_set_str(attachment, "sha256", str_from_c(hex));
    if (file->is_inline)
        json_set_bool(attachment, "inline", true);
    if (p->origin.is_cut && index + 1 == p->email.file_count) /* its end is missing */
        json_set_str(attachment, "refused", STR("too_large"));
    return attachment;
}

/* --- metadata --- */

static void
set_if_any(json_t *object, const char *key, struct str value)
{
    if (value.len > 0)
        json_set_str(object, key, value);
}

static json_t *
about_mail(const struct parsing *p, struct str person, const struct email_text *text)
{
    const struct email *email = &p->email;
    json_t *about = json_object();

    json_set_str(about, "message_id", message_id_of(email, p->arena));
    set_if_any(about, "subject", email->subject);
    set_if_any(about, "in_reply_to", email->in_reply_to);
    set_if_any(about, "references", email->references);
    set_if_any(about, "to", email_clean(email_header_get(email, "To"), 2000, p->arena, NULL));
    set_if_any(about, "cc", email_clean(email_header_get(email, "Cc"), 2000, p->arena, NULL));
    set_if_any(about, "reply_to", email->reply_to);
    set_if_any(about, "quoted_text", text->quoted);
    set_if_any(about, "signature", text->signature);
    if (str_eq(person, email->from) && email_sender_is_proven(p->channel, email, p->arena))
        json_set_bool(about, "verified", true);
    if (email->was_html)
        json_set_bool(about, "html", true);
    if (email->is_cut)
        json_set_bool(about, "truncated", true);
    if (p->origin.is_mailbox)
        json_set_int(about, "size_bytes", p->origin.size_bytes);
    return about;
}

static json_t *
reply_of(const struct parsing *p)
{
    json_t *reply_to = json_object();

    json_set_str(reply_to, "external_message_id",
                 email_id_format(p->channel, p->email.in_reply_to, p->arena));
    json_set_bool(reply_to, "is_ours", str_starts_with(p->email.in_reply_to, OWN_ID_PREFIX));
    return reply_to;
}

/* The first mail of the thread names it. */
static struct str
thread_of(const struct parsing *p)
{
    struct str rest = p->email.references, first = STR_EMPTY;

    if (rest.len > 0 && str_split(&rest, ' ', &first) && first.len > 0)
        return first;
    return p->email.in_reply_to.len > 0 ? p->email.in_reply_to : message_id_of(&p->email, p->arena);
}

/* --- items --- */

static int64_t
time_of(const struct parsing *p)
{
    int64_t now_us = clock_wall_us(p->channel->base.env->clock);

    if (p->email.date_us > 0 && p->email.date_us <= now_us)
        return p->email.date_us;
    return p->origin.internal_date_us > 0 ? p->origin.internal_date_us : now_us;
}

static void
make_message(struct parsing *p)
{
    struct inbound *item = p->item;
    const struct email *email = &p->email;
    struct str own = p->channel->address;
    struct str person =
        p->channel->uses_reply_to && email->reply_to.len > 0 ? email->reply_to : email->from;
    struct email_text text;
    bool is_copy = !email_header_addresses(email, "To", own, p->arena) &&
                   email_header_addresses(email, "Cc", own, p->arena);

    email_quote_strip(email->text, p->arena, &text);
    item->kind = INBOUND_MESSAGE;
    item->external_message_id =
        email_id_format(p->channel, message_id_of(email, p->arena), p->arena);
    item->external_user_id = item->external_chat_id = person;
    item->text = text.visible.len > 0 ? text.visible : email->subject;
    if (item->text.ptr == NULL)
        item->text = STR("");
    item->display_name = email->from_name;
    item->wants_answer = !is_copy;
    json_set_str(item->metadata, "raw_kind", STR("email"));
    json_set_bool(item->metadata, "addressed", !is_copy);
    json_set_str(item->metadata, "thread", thread_of(p));
    json_set(item->metadata, "email", about_mail(p, person, &text));
    if (email->in_reply_to.len > 0)
        json_set(item->metadata, "reply_to", reply_of(p));
    if (email->file_count > 0) {
        json_t *attachments = json_array();

        for (size_t i = 0; i < email->file_count; i++)
            json_array_append_new(attachments, attachment_of(p, i));
        json_set(item->metadata, "attachments", attachments);
    }
}

/* "parley.<id>.<part>@..." wherever it stands. */
static struct str
own_id_in(struct str text)
{
    ptrdiff_t at = str_find(text, OWN_ID_PREFIX);
    size_t length = 0;

    if (at < 0)
        return STR_EMPTY;
    text = str_sub(text, (size_t)at, 200);
    while (length < text.len && ((text.ptr[length] >= 'a' && text.ptr[length] <= 'z') ||
                                 (text.ptr[length] >= 'A' && text.ptr[length] <= 'Z') ||
                                 (text.ptr[length] >= '0' && text.ptr[length] <= '9') ||
                                 strchr("@.-_", text.ptr[length]) != NULL))
        length++;
    text = str_sub(text, 0, length);
    return str_find_byte(text, '@') > 0 ? text : STR_EMPTY;
}

/* Which of our mails a bounce is about: the mail itself comes back with it, or its header, or the
 * text quotes it, or the bounce is a reply. */
static struct str
bounced_id(const struct email *email)
{
    struct str id = STR_EMPTY;

    for (size_t i = 0; i < email->file_count && id.len == 0; i++)
        id = own_id_in(email->files[i].bytes);
    if (id.len == 0)
        id = own_id_in(email->report);
    if (id.len == 0)
        id = own_id_in(email->text);
    if (id.len == 0)
        id = own_id_in(email->in_reply_to);
    return id.len == 0 ? own_id_in(email->references) : id;
}

/* The value of a field of the report, "Status: 5.1.1". RFC 3464. */
static struct str
report_field(struct str report, const char *name)
{
    struct str rest = report, line;

    while (str_split(&rest, '\n', &line)) {
        struct str value = line, key;

        if (str_find_byte(line, ':') > 0 && str_split(&value, ':', &key) &&
            str_eq_nocase(str_trim(key), str_from_c(name)))
            return str_trim(value);
    }
    return STR_EMPTY;
}

static struct str
failure_reason(const struct email *email, struct arena *arena)
{
    struct str status = report_field(email->report, "Status");
    struct str diagnostic = report_field(email->report, "Diagnostic-Code");
    struct str text = arena_printf(arena, "%.*s%s%.*s", STR_ARG(str_sub(status, 0, 20)),
                                   status.len > 0 && diagnostic.len > 0 ? " " : "",
                                   STR_ARG(str_sub(diagnostic, 0, 2 * REASON_MAX_BYTES)));

    if (str_trim(text).len == 0)
        text = email->subject.len > 0 ? email->subject : STR("the mail came back");
    return email_clean(str_sub(text, 0, REASON_MAX_BYTES), 2 * REASON_MAX_BYTES, arena, NULL);
}

static void
make_bounce(struct parsing *p)
{
    struct inbound *item = p->item;
    struct str about = bounced_id(&p->email);
    struct str action = report_field(p->email.report, "Action");

    if (str_eq_nocase(p->email.report_type, STR("feedback-report"))) {
        item->event_kind = STR("complaint");
    } else if (about.len == 0) {
        item->event_kind = STR("bounce");
    } else if (str_eq_nocase(action, STR("failed")) || action.len == 0) {
        item->event_kind = STR("delivery");
        item->delivery_state = DELIVERY_FAILED;
        item->delivery_reason = failure_reason(&p->email, p->arena);
    } else if (str_eq_nocase(action, STR("delivered"))) {
        item->event_kind = STR("delivery");
        item->delivery_state = DELIVERY_DELIVERED;
    } else {
        item->event_kind = STR("delayed");
    }
    email_note_about(p->channel, about, item, p->arena);
}

static void
make_event(struct parsing *p, const char *kind)
{
    struct inbound *item = p->item;
    const struct email *email = &p->email;
    json_auto_t *raw = json_object();

    item->kind = INBOUND_EVENT;
    item->event_kind = str_from_c(kind);
    if (strcmp(kind, "bounce") == 0)
        make_bounce(p);
    item->external_event_id = message_id_of(email, p->arena);
    json_set_str(raw, "from", email->from);
    set_if_any(raw, "subject", email->subject);
    set_if_any(raw, "message_id", email->message_id);
    set_if_any(raw, "in_reply_to", email->in_reply_to);
    set_if_any(raw, "auto_submitted",
               email_clean(email_header_get(email, "Auto-Submitted"), 200, p->arena, NULL));
    set_if_any(raw, "list_id",
               email_clean(email_header_get(email, "List-Id"), 200, p->arena, NULL));
    set_if_any(raw, "report", email->report);
    json_set_str(raw, "text",
                 str_sub(email->text, 0, str_utf8_floor(email->text, RAW_TEXT_MAX_BYTES)));
    if (email->text.ptr == NULL)
        json_set_str(raw, "text", STR(""));
    item->raw = json_text(raw, p->arena);
}

/* --- entry --- */

/* "IMAP <uidvalidity> <uid> <size> <internal date>\n" and the mail. */
static enum status
read_origin(struct str *body, struct origin *origin, struct err *err)
{
    struct str line, word;

    if (!str_split(body, '\n', &line) || !str_split(&line, ' ', &word) || !str_eq_c(word, "IMAP"))
        return err_set(err, ST_INVALID, "this is no mail of the mailbox");
    int64_t *const numbers[] = {&origin->uid_validity, &origin->uid, &origin->size_bytes,
                                &origin->internal_date_us};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (!str_split(&line, ' ', &word) || !str_to_i64(word, numbers[i]) || *numbers[i] < 0)
            return err_set(err, ST_INVALID, "this is no mail of the mailbox");
    origin->is_mailbox = true;
    return ST_OK;
}

static enum status
read_mail(struct parsing *p, struct str content_type, struct str body, struct err *err)
{
    enum status st;

    if (p->channel->inbound != EMAIL_IMAP)
        return email_form_to_email(p->channel->inbound, content_type, body, p->arena, &p->email,
                                   err);
    st = read_origin(&body, &p->origin, err);
    if (st == ST_OK)
        st = email_mime_read(body, p->arena, &p->email, err);
    p->origin.is_cut = body.len >= EMAIL_FETCH_MAX_BYTES;
    p->email.is_cut |= p->origin.is_cut;
    return st;
}

enum status
email_read_carried(struct channel *channel, struct str content_type, struct str body,
                   struct arena *arena, struct str **files_out, size_t *count_out, struct err *err)
{
    struct parsing p = {.channel = email_of(channel), .arena = arena};
    enum status st = read_mail(&p, content_type, body, err);

    if (st != ST_OK)
        return st;
    *count_out = p.email.file_count;
    *files_out = ARENA_NEW_N(arena, struct str, p.email.file_count + 1);
    for (size_t i = 0; i < p.email.file_count; i++)
        (*files_out)[i] = p.email.files[i].bytes;
    return ST_OK;
}

enum status
email_parse(struct channel *channel, const struct webhook *webhook, struct inbound_batch *batch,
            struct err *err)
{
    struct parsing p = {.channel = email_of(channel), .arena = batch->arena};
    struct str content_type = STR_EMPTY;
    const char *automatic;
    enum status st = ST_NOT_FOUND;

    if (webhook->request != NULL) {
        content_type = http_request_header(webhook->request, "Content-Type");
        st = email_event_parse(p.channel, content_type, webhook->body, batch, err);
    }
    if (st != ST_NOT_FOUND)
        return st;
    st = read_mail(&p, content_type, webhook->body, err);
    if (st == ST_TOO_LARGE && webhook->request == NULL) /* the mails behind it must not wait */
        return err->code = ST_INVALID;
    if (st != ST_OK)
        return st;
    batch->items = ARENA_NEW(batch->arena, struct inbound);
    batch->count = 1;
    p.item = batch->items;
    p.item->metadata = json_object();
    p.item->timestamp_us = time_of(&p);
    automatic = email_header_automatic(&p.email, p.channel->address);
    if (automatic == NULL)
        make_message(&p);
    else
        make_event(&p, automatic);
    return ST_OK;
}
