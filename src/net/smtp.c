/*
 * smtp.c - one mail by libcurl, and what its end means
 *
 * libcurl's code does not tell which command was refused, nor whether the mail was out already; so
 * the commands are watched as they leave, and the message's bytes as they are taken. An answer to
 * the final dot that does not come is the one uncertain end: RFC 5321, section 4.1.1.4.
 */
#include "net/smtp.h"

#include <stdio.h>
#include <string.h>

#include "net/mail_server_private.h"

#define GREYLIST_WAIT_MS (5 * 60 * 1000)

struct submission {
    struct mail_handle handle;
    struct str message;
    size_t taken;
    bool all_taken;
    char command[5]; /* the last one's first word: "MAIL", "RCPT", "DATA", "AUTH" */
};

static int
on_debug(CURL *easy, curl_infotype type, char *bytes, size_t size, void *context)
{
    struct submission *s = context;

    (void)easy;
    if (type == CURLINFO_HEADER_OUT && size >= 4 && memcmp(bytes, "QUIT", 4) == 0) {
        s->handle.is_over = true;
    } else if (type == CURLINFO_HEADER_OUT && size >= 4) {
        memcpy(s->command, bytes, 4);
        s->command[4] = '\0';
    }
    return 0;
}

static size_t
on_read(char *out, size_t size, size_t count, void *context)
{
    struct submission *s = context;
    struct str piece = str_sub(s->message, s->taken, size * count);

    if (piece.len > 0)
        memcpy(out, piece.ptr, piece.len);
    s->taken += piece.len;
    if (s->taken == s->message.len && !s->all_taken) {
        s->all_taken = true;
        s->handle.has_reply = false; /* from here on only an answer to the whole mail counts */
    }
    return piece.len;
}

/* "5.1.1" after the code, else "". RFC 3463. */
static struct str
enhanced_code(struct str line)
{
    struct str rest = str_trim(str_sub(line, 4, line.len));
    size_t length = 0, dots = 0;

    while (length < rest.len &&
           ((rest.ptr[length] >= '0' && rest.ptr[length] <= '9') || rest.ptr[length] == '.'))
        dots += rest.ptr[length++] == '.';
    return dots == 2 ? str_sub(rest, 0, length) : STR_EMPTY;
}

static enum status
sort_refusal(const struct submission *s, const struct mail_server *server, struct err *err)
{
    struct str line = str_from_c(s->handle.last.line);
    struct str enhanced = enhanced_code(line);
    int code = s->handle.last.code;
    bool is_recipient = strcmp(s->command, "RCPT") == 0 || str_starts_with(enhanced, STR("5.1."));
    bool is_size = code == 552 || str_starts_with(enhanced, STR("5.3.4"));
    const char *what = strcmp(s->command, "RCPT") == 0   ? "the recipient"
                       : strcmp(s->command, "MAIL") == 0 ? "the sender"
                                                         : "the mail";
    enum status st = code < 500     ? ST_UNAVAILABLE
                     : is_size      ? ST_TOO_LARGE
                     : is_recipient ? ST_NOT_FOUND
                                    : ST_INVALID;

    if (code == 530 || code == 534 || code == 535)
        return err_set(err, ST_DENIED, "the mail server %.*s refuses the login (%d)",
                       STR_ARG(server->host), code);
    err_set(err, st, "the mail server %s %s (%d%s%.*s)", code < 500 ? "puts off" : "refuses", what,
            code, enhanced.len > 0 ? " " : "", STR_ARG(enhanced));
    if (code == 450 || code == 451) /* mostly greylisting */
        err->retry_after_ms = GREYLIST_WAIT_MS;
    return err_wrap(err, "%.*s", STR_ARG(str_sub(line, 0, 160)));
}

static enum status
sort(const struct submission *s, const struct mail_server *server, CURLcode code, struct err *err)
{
    int reply = s->handle.last.code;

    if (code == CURLE_OK)
        return ST_OK;
    if (s->all_taken && !s->handle.has_reply)
        return err_set(err, ST_UNCERTAIN, "the mail server did not answer the mail: %s",
                       curl_easy_strerror(code));
    if (s->handle.has_reply && reply >= 400 && code != CURLE_LOGIN_DENIED)
        return sort_refusal(s, server, err);
    return mail_handle_sort(&s->handle, server, code, err);
}

/* name: what we call ourselves. */
static enum status
open_submission(struct submission *s, struct http_client *client, const struct mail_server *server,
                struct str name, unsigned deadline_ms, struct err *err)
{
    char path[300];
    enum status st;

    (void)snprintf(path, sizeof path, "%.*s", STR_ARG(name));
    st = mail_handle_open(&s->handle, client, server, "smtp", path, deadline_ms, err);

    if (st != ST_OK)
        return st;
    (void)curl_easy_setopt(s->handle.easy, CURLOPT_SASL_IR, 1L); /* RFC 4954 */
    (void)curl_easy_setopt(s->handle.easy, CURLOPT_VERBOSE, 1L);
    (void)curl_easy_setopt(s->handle.easy, CURLOPT_DEBUGFUNCTION, on_debug);
    (void)curl_easy_setopt(s->handle.easy, CURLOPT_DEBUGDATA, s);
    return ST_OK;
}

static bool
is_address(struct str address)
{
    if (address.len == 0 || address.len > 320)
        return false;
    for (size_t i = 0; i < address.len; i++)
        if ((unsigned char)address.ptr[i] <= ' ' || address.ptr[i] == 127 ||
            strchr("<>\"\\", address.ptr[i]) != NULL)
            return false;
    return true;
}

enum status
smtp_send(struct http_client *client, const struct mail_server *server,
          const struct smtp_mail *mail, unsigned deadline_ms, struct err *err)
{
    struct submission s = {.message = mail->message};
    struct curl_slist *recipients = NULL;
    char from[340], to[340];
    enum status st;

    if (!is_address(mail->from) || !is_address(mail->to))
        return err_set(err, ST_INVALID, "the mail's address is not valid");
    if (mail->message.len == 0)
        return err_set(err, ST_INVALID, "the mail is empty");
    (void)snprintf(from, sizeof from, "<%.*s>", STR_ARG(mail->from));
    (void)snprintf(to, sizeof to, "<%.*s>", STR_ARG(mail->to));
    struct str domain = str_sub(mail->from, (size_t)(str_find_byte(mail->from, '@') + 1), 253);
    st = open_submission(&s, client, server, domain, deadline_ms, err);
    if (st == ST_OK) {
        recipients = curl_slist_append(NULL, to);
        (void)curl_easy_setopt(s.handle.easy, CURLOPT_MAIL_FROM, from);
        (void)curl_easy_setopt(s.handle.easy, CURLOPT_MAIL_RCPT, recipients);
        (void)curl_easy_setopt(s.handle.easy, CURLOPT_UPLOAD, 1L);
        (void)curl_easy_setopt(s.handle.easy, CURLOPT_INFILESIZE_LARGE,
                               (curl_off_t)mail->message.len);
        (void)curl_easy_setopt(s.handle.easy, CURLOPT_READFUNCTION, on_read);
        (void)curl_easy_setopt(s.handle.easy, CURLOPT_READDATA, &s);
        st = sort(&s, server, curl_easy_perform(s.handle.easy), err);
    }
    mail_handle_close(&s.handle);
    curl_slist_free_all(recipients);
    return st;
}

enum status
smtp_probe(struct http_client *client, const struct mail_server *server, unsigned deadline_ms,
           struct err *err)
{
    struct submission s = {.command = ""};
    enum status st = open_submission(&s, client, server, STR("localhost"), deadline_ms, err);

    if (st == ST_OK) {
        (void)curl_easy_setopt(s.handle.easy, CURLOPT_CUSTOMREQUEST, "NOOP");
        (void)curl_easy_setopt(s.handle.easy, CURLOPT_NOBODY, 1L);
        st = sort(&s, server, curl_easy_perform(s.handle.easy), err);
    }
    mail_handle_close(&s.handle);
    return st;
}
