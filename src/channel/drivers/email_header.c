/*
 * email_header.c - what a mail's header says: who, what about, which mails before, and whether a
 * machine wrote it
 */
#include "channel/drivers/email.h"

#include <gmime/gmime.h>
#include <string.h>

#include "base/buf.h"
#include "channel/html_text.h"

#define ADDRESS_MAX_BYTES 254 /* of a path without < >, RFC 5321 */
#define SUBJECT_MAX_BYTES 998
#define NAME_MAX_BYTES 200
#define ID_MAX_BYTES 250
#define REFERENCES_MAX_BYTES 8000
#define LIST_HEADER_MAX_BYTES 65536
#define HTML_MAX_BYTES ((size_t)2 * 1024 * 1024)

struct str
email_header_get(const struct email *email, const char *name)
{
    for (size_t i = 0; i < email->header_count; i++)
        if (str_eq_nocase(email->headers[i].name, str_from_c(name)))
            return email->headers[i].value;
    return STR_EMPTY;
}

struct str
email_clean(struct str s, size_t max_bytes, struct arena *arena, bool *is_cut)
{
    struct buf out;
    size_t at = 0;

    buf_init(&out, max_bytes);
    while (at < s.len && !out.failed) {
        size_t valid = str_utf8_valid_prefix(str_sub(s, at, s.len));

        for (size_t end = at + valid; at < end && !out.failed;) {
            unsigned char c = (unsigned char)s.ptr[at];
            size_t run = 0;

            while (at + run < end && (unsigned char)s.ptr[at + run] >= ' ' &&
                   s.ptr[at + run] != 127)
                run++;
            if (run > 0) {
                size_t space = max_bytes - out.len;
                struct str piece = str_sub(s, at, run);

                if (run > space)
                    piece.len = str_utf8_floor(piece, space);
                buf_append(&out, piece);
                if (run > space)
                    buf_append_c(&out, "...."); /* over the limit: marks the buffer failed */
                at += run;
                continue;
            }
            if (c == '\n' || c == '\t' || (c == '\r' && !(at + 1 < s.len && s.ptr[at + 1] == '\n')))
                buf_append_byte(&out, c == '\t' ? '\t' : '\n');
            at++;
        }
        if (at < s.len && !out.failed) {
            buf_append(&out, STR("\xef\xbf\xbd"));
            at++;
        }
    }
    if (is_cut != NULL)
        *is_cut = *is_cut || out.failed;
    struct str result = arena_str(arena, str_of(out.ptr, out.len));
    buf_deinit(&out);
    return result;
}

void
email_body_set(struct email *email, struct str text, struct str html, struct arena *arena)
{
    text = str_trim(text);
    email->was_html = text.len == 0 && html.len > 0;
    if (email->was_html)
        text = html_text(email_clean(html, HTML_MAX_BYTES, arena, &email->is_cut),
                         EMAIL_TEXT_MAX_BYTES, arena, &email->is_cut);
    else
        text = email_clean(text, EMAIL_TEXT_MAX_BYTES, arena, &email->is_cut);
    email->text = str_trim(text);
}

/* --- addresses --- */

bool
email_address_is_valid(struct str address)
{
    ptrdiff_t at = -1;

    if (address.len < 3 || address.len > ADDRESS_MAX_BYTES)
        return false;
    for (size_t i = 0; i < address.len; i++) {
        unsigned char c = (unsigned char)address.ptr[i];

        if (c <= ' ' || c >= 127 || strchr("<>()[],;:\"\\", c) != NULL)
            return false;
        if (c == '@') {
            if (at >= 0)
                return false;
            at = (ptrdiff_t)i;
        }
    }
    return at > 0 && (size_t)at + 1 < address.len &&
           mail_host_is_valid(str_sub(address, (size_t)at + 1, address.len));
}

static struct str
lower(struct str s, struct arena *arena)
{
    struct str copy = arena_str(arena, s);

    for (size_t i = 0; i < copy.len; i++)
        if (copy.ptr[i] >= 'A' && copy.ptr[i] <= 'Z')
            ((char *)(uintptr_t)copy.ptr)[i] += 'a' - 'A';
    return copy;
}

/* The first mailbox of a list, also when it stands in a group. */
static InternetAddressMailbox *
first_mailbox(InternetAddressList *list, int depth)
{
    int count = list == NULL ? 0 : internet_address_list_length(list);

    for (int i = 0; i < count && depth < 4; i++) {
        InternetAddress *address = internet_address_list_get_address(list, i);

        if (INTERNET_ADDRESS_IS_MAILBOX(address))
            return INTERNET_ADDRESS_MAILBOX(address);
        if (INTERNET_ADDRESS_IS_GROUP(address)) {
            InternetAddressMailbox *found = first_mailbox(
                internet_address_group_get_members(INTERNET_ADDRESS_GROUP(address)), depth + 1);

            if (found != NULL)
                return found;
        }
    }
    return NULL;
}

/* As a C string: NUL bytes end it. */
static const char *
c_string(struct str value, size_t max, struct arena *arena)
{
    struct str cut = str_sub(value, 0, max);
    ptrdiff_t nul = str_find_byte(cut, '\0');

    return arena_cstr(arena, nul < 0 ? cut : str_sub(cut, 0, (size_t)nul));
}

bool
email_address_read(struct str value, struct arena *arena, struct str *address_out,
                   struct str *name_out)
{
    InternetAddressList *list =
        internet_address_list_parse(NULL, c_string(value, LIST_HEADER_MAX_BYTES, arena));
    InternetAddressMailbox *mailbox = first_mailbox(list, 0);
    bool found = false;

    *address_out = *name_out = STR_EMPTY;
    if (mailbox != NULL) {
        const char *text = internet_address_mailbox_get_idn_addr(mailbox);
        struct str address = str_from_c(text);

        found = email_address_is_valid(address);
        if (found) {
            *address_out = lower(address, arena);
            *name_out = str_trim(
                email_clean(str_from_c(internet_address_get_name(INTERNET_ADDRESS(mailbox))),
                            NAME_MAX_BYTES, arena, NULL));
        }
    }
    if (list != NULL)
        g_object_unref(list);
    return found;
}

/* Who is proven to have sent it is so of one address only. */
static bool
has_one_sender(const struct email *email, struct arena *arena)
{
    struct str value = STR_EMPTY;
    InternetAddressList *list;
    bool is_one;
    int froms = 0;

    for (size_t i = 0; i < email->header_count; i++)
        if (str_eq_nocase(email->headers[i].name, STR("From"))) {
            value = email->headers[i].value;
            froms++;
        }
    list = internet_address_list_parse(NULL, c_string(value, LIST_HEADER_MAX_BYTES, arena));
    is_one = froms == 1 && list != NULL && internet_address_list_length(list) == 1 &&
             INTERNET_ADDRESS_IS_MAILBOX(internet_address_list_get_address(list, 0));
    if (list != NULL)
        g_object_unref(list);
    return is_one;
}

bool
email_header_addresses(const struct email *email, const char *name, struct str address,
                       struct arena *arena)
{
    struct str value = email_header_get(email, name);
    InternetAddressList *list;
    bool found = false;

    if (value.len == 0)
        return false;
    list = internet_address_list_parse(NULL, c_string(value, LIST_HEADER_MAX_BYTES, arena));
    int count = list == NULL ? 0 : internet_address_list_length(list);
    for (int i = 0; i < count && !found; i++) {
        InternetAddress *entry = internet_address_list_get_address(list, i);

        if (INTERNET_ADDRESS_IS_MAILBOX(entry))
            found = str_eq_nocase(
                str_from_c(internet_address_mailbox_get_idn_addr(INTERNET_ADDRESS_MAILBOX(entry))),
                address);
    }
    if (list != NULL)
        g_object_unref(list);
    return found;
}

/* --- ids --- */

static bool
is_id(struct str id)
{
    if (id.len == 0 || id.len > ID_MAX_BYTES)
        return false;
    for (size_t i = 0; i < id.len; i++)
        if ((unsigned char)id.ptr[i] <= ' ' || (unsigned char)id.ptr[i] >= 127 ||
            strchr("<>\"\\", id.ptr[i]) != NULL)
            return false;
    return true;
}

/* The next <id> of rest; false at the end. */
static bool
next_id(struct str *rest, struct str *id_out)
{
    ptrdiff_t open, close;

    while ((open = str_find_byte(*rest, '<')) >= 0) {
        *rest = str_sub(*rest, (size_t)open + 1, rest->len);
        close = str_find_byte(*rest, '>');
        if (close < 0)
            return false;
        *id_out = str_sub(*rest, 0, (size_t)close);
        *rest = str_sub(*rest, (size_t)close + 1, rest->len);
        if (is_id(*id_out))
            return true;
    }
    return false;
}

static struct str
first_id(struct str value, struct arena *arena)
{
    struct str rest = str_sub(value, 0, LIST_HEADER_MAX_BYTES), id;

    return next_id(&rest, &id) ? arena_str(arena, id) : STR_EMPTY;
}

static struct str
all_ids(struct str value, struct arena *arena)
{
    struct str rest = str_sub(value, 0, LIST_HEADER_MAX_BYTES), id, result;
    struct buf out;

    buf_init(&out, REFERENCES_MAX_BYTES);
    while (next_id(&rest, &id)) {
        if (out.len > 0)
            buf_append_byte(&out, ' ');
        buf_append(&out, id);
    }
    result = arena_str(arena, str_of(out.ptr, out.len));
    buf_deinit(&out);
    return result;
}

/* --- all of it --- */

static struct str
decoded(struct str value, size_t max, struct arena *arena)
{
    char *text =
        g_mime_utils_header_decode_text(NULL, c_string(value, LIST_HEADER_MAX_BYTES, arena));
    struct str result = str_trim(email_clean(str_from_c(text), max, arena, NULL));

    g_free(text);
    for (size_t i = 0; i < result.len; i++) /* a header is one line */
        if (result.ptr[i] == '\n' || result.ptr[i] == '\t')
            ((char *)(uintptr_t)result.ptr)[i] = ' ';
    return result;
}

static int64_t
date_of(struct str value, struct arena *arena)
{
    GDateTime *date =
        value.len == 0 ? NULL : g_mime_utils_header_decode_date(c_string(value, 200, arena));
    int64_t us = 0;

    if (date != NULL) {
        us = g_date_time_to_unix(date) * US_PER_S;
        g_date_time_unref(date);
    }
    return us > 0 ? us : 0;
}

static void
read_report_type(struct email *email, struct arena *arena)
{
    struct str type = email_header_get(email, "Content-Type");
    GMimeContentType *content;

    if (email->report_type.len > 0 || type.len == 0)
        return;
    content = g_mime_content_type_parse(NULL, c_string(type, 4096, arena));
    if (content != NULL && g_mime_content_type_is_type(content, "multipart", "report")) {
        const char *report = g_mime_content_type_get_parameter(content, "report-type");

        email->report_type =
            lower(str_sub(str_from_c(report == NULL ? "unknown" : report), 0, 60), arena);
    }
    if (content != NULL)
        g_object_unref(content);
}

void
email_header_read(struct email *email, struct arena *arena)
{
    struct str ignored;

    (void)email_address_read(email_header_get(email, "From"), arena, &email->from,
                             &email->from_name);
    email->has_one_sender = has_one_sender(email, arena);
    (void)email_address_read(email_header_get(email, "Reply-To"), arena, &email->reply_to,
                             &ignored);
    email->subject = decoded(email_header_get(email, "Subject"), SUBJECT_MAX_BYTES, arena);
    email->message_id = first_id(email_header_get(email, "Message-ID"), arena);
    email->in_reply_to = first_id(email_header_get(email, "In-Reply-To"), arena);
    email->references = all_ids(email_header_get(email, "References"), arena);
    email->date_us = date_of(email_header_get(email, "Date"), arena);
    read_report_type(email, arena);
}

/* --- machines --- */

static bool
local_part_is_one_of(struct str address, const char *const *names)
{
    ptrdiff_t at = str_find_byte(address, '@');
    struct str local = at < 0 ? address : str_sub(address, 0, (size_t)at);

    for (size_t i = 0; names[i] != NULL; i++)
        if (str_eq_c(local, names[i]))
            return true;
    return false;
}

static bool
is_list_mail(const struct email *email)
{
    static const char *const fields[] = {"List-Id",    "List-Unsubscribe", "List-Post", "List-Help",
                                         "List-Owner", "Feedback-ID",      NULL};
    struct str precedence = str_trim(email_header_get(email, "Precedence"));

    for (size_t i = 0; fields[i] != NULL; i++)
        if (email_header_get(email, fields[i]).ptr != NULL)
            return true;
    return str_eq_nocase(precedence, STR("bulk")) || str_eq_nocase(precedence, STR("list")) ||
           str_eq_nocase(precedence, STR("junk"));
}

static bool
is_auto_reply(const struct email *email)
{
    static const char *const fields[] = {"X-Autoreply",         "X-Autorespond",
                                         "X-Auto-Reply-From",   "X-Auto-Response-Suppress",
                                         "X-Failed-Recipients", NULL};
    static const char *const robots[] = {"noreply", "no-reply", "donotreply", "do-not-reply",
                                         "bounce",  "bounces",  NULL};
    struct str submitted = str_trim(email_header_get(email, "Auto-Submitted"));

    for (size_t i = 0; fields[i] != NULL; i++)
        if (email_header_get(email, fields[i]).ptr != NULL)
            return true;
    if (str_eq_nocase(str_trim(email_header_get(email, "Precedence")), STR("auto_reply")))
        return true;
    /* "no" may be followed by parameters or a comment. */
    bool is_no = str_eq_nocase(str_sub(submitted, 0, 2), STR("no")) &&
                 (submitted.len == 2 || strchr(" ;(\t\r\n", submitted.ptr[2]) != NULL);

    return (submitted.len > 0 && !is_no) || local_part_is_one_of(email->from, robots);
}

const char *
email_header_automatic(const struct email *email, struct str own_address)
{
    static const char *const daemons[] = {"mailer-daemon", "postmaster", NULL};
    struct str return_path = str_trim(email_header_get(email, "Return-Path"));

    if (str_eq_nocase(email->from, own_address) ||
        str_eq_nocase(str_trim(email_header_get(email, "X-Loop")), own_address))
        return "own";
    if (email->report_type.len > 0 || str_eq_c(return_path, "<>") ||
        local_part_is_one_of(email->from, daemons))
        return "bounce";
    if (is_auto_reply(email))
        return "auto_reply";
    return is_list_mail(email) ? "list_mail" : NULL;
}
