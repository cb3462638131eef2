/*
 * imap.c - the dialogue, over a connection that libcurl made
 */
#include "net/imap.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "net/mail_server_private.h"

#define ANSWER_MS 60000 /* for an answer to a command, and between its bytes */
#define LOOK_UP_MS 250  /* how often cancel is looked at */
#define PIECE_BYTES 16384
#define SEARCH_MARGIN_US (24 * 3600 * US_PER_S)
#define NAME_MAX_BYTES 500

struct imap {
    struct mail_handle handle;
    struct mail_server server;
    int fd;
    struct buf in;
    struct imap_framing framing;
    size_t used; /* of in: the response that was given last */
    unsigned tags;
    bool can_idle;
    uint32_t exists;
    bool has_news; /* the number of mails has changed since the last search */
};

/* Takes what is not tagged; may be NULL. */
typedef enum status (*imap_take)(const struct imap_response *response, void *context,
                                 struct err *err);

/* --- bytes --- */

/* ST_BUSY: the time has passed. */
static enum status
await(struct imap *imap, short events, int64_t until_us, struct err *err)
{
    for (;;) {
        struct pollfd fd = {.fd = imap->fd, .events = events};
        int64_t left_ms = (until_us - clock_mono_us(clock_system())) / US_PER_MS;

        if (imap->server.cancel != NULL && *imap->server.cancel)
            return err_set(err, ST_UNAVAILABLE, "this server stops");
        if (left_ms <= 0)
            return err_set(err, ST_BUSY, "the mail server %.*s does not answer",
                           STR_ARG(imap->server.host));
        int ready = poll(&fd, 1, left_ms < LOOK_UP_MS ? (int)left_ms + 1 : LOOK_UP_MS);
        if (ready > 0)
            return ST_OK;
        if (ready < 0 && errno != EINTR)
            return err_set_detail(err, ST_UNAVAILABLE, "poll: %s", strerrordesc_np(errno));
    }
}

static enum status
gone(struct imap *imap, struct err *err)
{
    return err_set(err, ST_UNAVAILABLE, "the mail server %.*s closed the connection",
                   STR_ARG(imap->server.host));
}

static enum status
send_all(struct imap *imap, struct str bytes, struct err *err)
{
    int64_t until_us = clock_mono_us(clock_system()) + ANSWER_MS * US_PER_MS;

    while (bytes.len > 0) {
        size_t sent = 0;
        CURLcode code = curl_easy_send(imap->handle.easy, bytes.ptr, bytes.len, &sent);

        if (code != CURLE_OK && code != CURLE_AGAIN)
            return gone(imap, err);
        bytes = str_sub(bytes, sent, bytes.len);
        if (code == CURLE_AGAIN) {
            enum status st = await(imap, POLLOUT, until_us, err);

            if (st != ST_OK)
                return err_set(err, ST_UNAVAILABLE, "the mail server %.*s does not listen",
                               STR_ARG(imap->server.host));
        }
    }
    return ST_OK;
}

/* One piece more. ST_BUSY: none came in time. */
static enum status
receive(struct imap *imap, int64_t until_us, struct err *err)
{
    char piece[PIECE_BYTES];

    for (;;) {
        size_t got = 0;
        CURLcode code = curl_easy_recv(imap->handle.easy, piece, sizeof piece, &got);

        if (code == CURLE_OK && got > 0) {
            buf_append(&imap->in, str_of(piece, got));
            return buf_check(&imap->in, err);
        }
        if (code != CURLE_AGAIN)
            return gone(imap, err);
        enum status st = await(imap, POLLIN, until_us, err);
        if (st != ST_OK)
            return st;
    }
}

/* The next response, valid until the next call. until_us: for its first byte; then each piece has
 * ANSWER_MS. ST_BUSY: none began in time. */
static enum status
next(struct imap *imap, int64_t until_us, struct imap_response *response_out, struct err *err)
{
    buf_consume(&imap->in, imap->used);
    imap->used = 0;
    for (;;) {
        size_t length = 0;
        enum status st =
            imap_frame(buf_str(&imap->in), IMAP_RESPONSE_MAX_BYTES, &imap->framing, &length, err);

        if (st == ST_OK && length > 0) {
            imap->framing = (struct imap_framing){.line_at = 0};
            imap->used = length;
            return imap_response_read(str_sub(buf_str(&imap->in), 0, length), response_out, err);
        }
        if (st == ST_OK && imap->in.len > 0)
            until_us = clock_mono_us(clock_system()) + ANSWER_MS * US_PER_MS;
        if (st == ST_OK)
            st = receive(imap, until_us, err);
        if (st == ST_BUSY && imap->in.len > 0)
            err->code = st = ST_UNAVAILABLE;
        if (st != ST_OK)
            return st;
    }
}

/* --- commands --- */

static void
notice(struct imap *imap, const struct imap_response *response)
{
    if (response->kind != IMAP_UNTAGGED || !str_eq_nocase(response->name, STR("EXISTS")))
        return;
    imap->has_news |= response->number != imap->exists;
    imap->exists = response->number;
}

/* Codes of RFC 5530 that say that another try may succeed, and Gmail's and Microsoft's. */
static bool
says_later(struct str code)
{
    static const char *const words[] = {"UNAVAILABLE", "INUSE",     "LIMIT",
                                        "SERVERBUG",   "THROTTLED", "OVERQUOTA"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (imap_has_word(code, words[i]))
            return true;
    return false;
}

static enum status
sort_end(struct imap *imap, const struct imap_response *response, struct err *err)
{
    struct str host = imap->server.host;

    if (response->condition == IMAP_OK)
        return ST_OK;
    if (says_later(response->code))
        err_set(err, ST_UNAVAILABLE, "the mail server %.*s says: later", STR_ARG(host));
    else
        err_set(err, ST_INVALID, "the mail server %.*s refuses a command", STR_ARG(host));
    return err_wrap(err, "it said \"[%.*s] %.*s\"", STR_ARG(str_sub(response->code, 0, 60)),
                    STR_ARG(str_sub(response->text, 0, 120)));
}

/* Until the tagged end of the command. A "+" ends it, too, when it is what is waited for. */
static enum status
finish(struct imap *imap, struct str tag, bool until_continue, imap_take take, void *context,
       struct err *err)
{
    for (;;) {
        struct imap_response response;
        int64_t until_us = clock_mono_us(clock_system()) + ANSWER_MS * US_PER_MS;
        enum status st = next(imap, until_us, &response, err);

        if (st == ST_BUSY)
            return err->code = ST_UNAVAILABLE;
        if (st == ST_INVALID || st == ST_TOO_LARGE) /* what follows cannot be read either */
            return err->code = ST_UNAVAILABLE;
        if (st != ST_OK)
            return st;
        if (response.kind == IMAP_CONTINUE && until_continue)
            return ST_OK;
        if (response.kind == IMAP_TAGGED && str_eq(response.tag, tag))
            return sort_end(imap, &response, err);
        if (response.kind != IMAP_UNTAGGED)
            continue;
        if (response.condition == IMAP_BYE) {
            err_set(err, ST_UNAVAILABLE, "the mail server %.*s says good-bye",
                    STR_ARG(imap->server.host));
            return err_wrap(err, "\"%.*s\"", STR_ARG(str_sub(response.text, 0, 120)));
        }
        notice(imap, &response);
        if (take != NULL)
            st = take(&response, context, err);
        if (st != ST_OK)
            return st;
    }
}

static struct str
new_tag(struct imap *imap, char out[16])
{
    (void)snprintf(out, 16, "p%u", ++imap->tags);
    return str_from_c(out);
}

static enum status
command(struct imap *imap, const char *words, imap_take take, void *context, struct err *err)
{
    char line[NAME_MAX_BYTES * 2 + 100], tag[16];
    struct str name = new_tag(imap, tag);
    int length = snprintf(line, sizeof line, "%s %s\r\n", tag, words);
    enum status st = send_all(imap, str_of(line, (size_t)length), err);

    return st == ST_OK ? finish(imap, name, false, take, context, err) : st;
}

/* --- opening --- */

static enum status
take_capability(const struct imap_response *response, void *context, struct err *err)
{
    (void)err;
    if (str_eq_nocase(response->name, STR("CAPABILITY")))
        *(bool *)context |= imap_has_word(response->rest, "IDLE");
    return ST_OK;
}

enum status
imap_open(struct http_client *client, const struct mail_server *server, unsigned deadline_ms,
          struct imap **imap_out, struct err *err)
{
    struct imap *imap = calloc(1, sizeof *imap);
    curl_socket_t fd = CURL_SOCKET_BAD;
    enum status st;

    if (imap == NULL)
        abort();
    imap->server = *server;
    imap->server.user = imap->server.password = imap->server.bearer = STR_EMPTY;
    buf_init(&imap->in, IMAP_RESPONSE_MAX_BYTES + PIECE_BYTES);
    st = mail_handle_open(&imap->handle, client, server, "imap", "", deadline_ms, err);
    if (st == ST_OK) {
        (void)curl_easy_setopt(imap->handle.easy, CURLOPT_CONNECT_ONLY, 1L);
        (void)curl_easy_setopt(imap->handle.easy, CURLOPT_SASL_IR, 1L);
        CURLcode code = curl_easy_perform(imap->handle.easy);

        if (code == CURLE_OK)
            code = curl_easy_getinfo(imap->handle.easy, CURLINFO_ACTIVESOCKET, &fd);
        if (code != CURLE_OK || fd == CURL_SOCKET_BAD)
            st = mail_handle_sort(&imap->handle, server, code, err);
    }
    imap->fd = fd;
    if (st == ST_OK)
        st = command(imap, "CAPABILITY", take_capability, &imap->can_idle, err);
    if (st != ST_OK)
        imap_close(&imap);
    *imap_out = imap;
    return st;
}

void
imap_close(struct imap **imap_ref)
{
    struct imap *imap = *imap_ref;
    struct err ignored;

    if (imap == NULL)
        return;
    if (imap->handle.easy != NULL && imap->tags > 0)
        (void)!send_all(imap, STR("bye LOGOUT\r\n"), &ignored);
    mail_handle_close(&imap->handle);
    buf_deinit(&imap->in);
    free(imap);
    *imap_ref = NULL;
}

/* --- a mailbox --- */

static enum status
take_mailbox(const struct imap_response *response, void *context, struct err *err)
{
    struct imap_mailbox *mailbox = context;

    (void)err;
    (void)imap_code_number(response->code, "UIDVALIDITY", &mailbox->uid_validity);
    if (str_eq_nocase(response->name, STR("EXISTS")))
        mailbox->count = response->number;
    return ST_OK;
}

enum status
imap_examine(struct imap *imap, struct str name, struct imap_mailbox *mailbox_out, struct err *err)
{
    char words[NAME_MAX_BYTES * 2 + 20] = "EXAMINE \"";
    size_t length = strlen(words);
    enum status st;

    *mailbox_out = (struct imap_mailbox){.count = 0};
    if (name.len > NAME_MAX_BYTES)
        return err_set(err, ST_NOT_FOUND, "the folder's name is too long");
    for (size_t i = 0; i < name.len; i++) {
        if ((unsigned char)name.ptr[i] < ' ' || (unsigned char)name.ptr[i] > '~')
            return err_set(err, ST_NOT_FOUND, "the folder's name cannot be");
        if (name.ptr[i] == '"' || name.ptr[i] == '\\')
            words[length++] = '\\';
        words[length++] = name.ptr[i];
    }
    words[length++] = '"';
    words[length] = '\0';
    st = command(imap, words, take_mailbox, mailbox_out, err);
    imap->exists = mailbox_out->count;
    imap->has_news = false;
    if (st == ST_INVALID) {
        err->code = ST_NOT_FOUND;
        (void)snprintf(err->public_text, sizeof err->public_text,
                       "the mailbox has no folder %.*s that can be read", STR_ARG(name));
        return ST_NOT_FOUND;
    }
    if (st == ST_OK && mailbox_out->uid_validity == 0)
        return err_set(err, ST_UNAVAILABLE, "the mail server %.*s gives no UIDVALIDITY",
                       STR_ARG(imap->server.host));
    return st;
}

/* --- searching --- */

struct searching {
    uint32_t after, *uids;
    size_t count, room;
};

static enum status
take_uids(const struct imap_response *response, void *context, struct err *err)
{
    struct searching *s = context;
    struct str rest = response->rest;
    enum status st = ST_OK;
    uint32_t uid;

    if (!str_eq_nocase(response->name, STR("SEARCH")))
        return ST_OK;
    while (imap_search_next(&rest, &uid, &st)) {
        if (uid <= s->after) /* "8:*" names the last mail in any case */
            continue;
        if (s->count == s->room) {
            s->room = s->room == 0 ? 64 : 2 * s->room;
            s->uids = reallocarray(s->uids, s->room, sizeof *s->uids);
            if (s->uids == NULL)
                abort();
        }
        s->uids[s->count++] = uid;
    }
    return st == ST_OK ? ST_OK
                       : err_set(err, ST_UNAVAILABLE, "the mail server's SEARCH cannot be read");
}

static int
compare_uids(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return left < right ? -1 : left > right;
}

/* "2026-11-28T..." -> "28-Nov-2026" */
static void
format_date(int64_t us, char out[16])
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char text[32];
    struct str date = time_format_rfc3339(us, text);
    int month = (date.ptr[5] - '0') * 10 + date.ptr[6] - '0';

    (void)snprintf(out, 16, "%.2s-%.3s-%.4s", date.ptr + 8, months + (ptrdiff_t)3 * (month - 1),
                   date.ptr);
}

enum status
imap_search(struct imap *imap, uint32_t after, int64_t since_us, size_t count_max,
            struct arena *arena, uint32_t **uids_out, size_t *count_out, struct err *err)
{
    struct searching s = {.after = after};
    char words[100], date[16];
    enum status st;

    *uids_out = NULL;
    *count_out = 0;
    imap->has_news = false;
    if (after == UINT32_MAX)
        return ST_OK;
    /* Servers compare days, in their own time zone. */
    format_date(since_us > SEARCH_MARGIN_US ? since_us - SEARCH_MARGIN_US : 0, date);
    (void)snprintf(words, sizeof words, "UID SEARCH UID %u:* SINCE %s", after + 1, date);
    st = command(imap, words, take_uids, &s, err);
    if (st == ST_OK && s.count > 0) {
        qsort(s.uids, s.count, sizeof *s.uids, compare_uids);
        *count_out = s.count < count_max ? s.count : count_max;
        *uids_out = ARENA_NEW_N(arena, uint32_t, *count_out);
        memcpy(*uids_out, s.uids, *count_out * sizeof *s.uids);
    }
    free(s.uids);
    return st;
}

/* --- sent mails --- */

struct listing {
    struct arena *arena;
    struct str name;
};

static enum status
take_listed(const struct imap_response *response, void *context, struct err *err)
{
    struct listing *l = context;
    struct str name;
    bool is_sent;

    if (!str_eq_nocase(response->name, STR("LIST")))
        return ST_OK;
    if (imap_list_read(response->rest, &is_sent, &name, err) != ST_OK)
        return err->code = ST_UNAVAILABLE;
    if (is_sent && name.len > 0 && l->name.len == 0)
        l->name = arena_str(l->arena, name);
    return ST_OK;
}

enum status
imap_find_sent(struct imap *imap, struct arena *arena, struct str *name_out, struct err *err)
{
    struct listing l = {.arena = arena, .name = STR_INIT("")};
    enum status st = command(imap, "LIST \"\" \"*\"", take_listed, &l, err);

    *name_out = l.name;
    if (st == ST_OK && l.name.len == 0)
        return err_set(err, ST_NOT_FOUND, "the mail server %.*s names no folder of sent mails",
                       STR_ARG(imap->server.host));
    return st;
}

enum status
imap_has_mail(struct imap *imap, struct str message_id, bool *found_out, struct err *err)
{
    struct searching s = {.after = 0};
    char words[NAME_MAX_BYTES + 60];
    enum status st;

    *found_out = false;
    for (size_t i = 0; i < message_id.len; i++)
        if (message_id.ptr[i] <= ' ' || message_id.ptr[i] > '~' || message_id.ptr[i] == '"' ||
            message_id.ptr[i] == '\\')
            return err_set(err, ST_INVALID, "the Message-ID cannot be searched for");
    if (message_id.len == 0 || message_id.len > NAME_MAX_BYTES)
        return err_set(err, ST_INVALID, "the Message-ID cannot be searched for");
    (void)snprintf(words, sizeof words, "UID SEARCH HEADER Message-ID \"<%.*s>\"",
                   STR_ARG(message_id));
    st = command(imap, words, take_uids, &s, err);
    *found_out = st == ST_OK && s.count > 0;
    free(s.uids);
    return st;
}

/* --- fetching --- */

struct fetching {
    uint32_t uid;
    struct arena *arena;
    struct imap_fetched *fetched;
    bool is_found;
    enum status failed; /* ours: the dialogue goes on */
};

static enum status
take_mail(const struct imap_response *response, void *context, struct err *err)
{
    struct fetching *f = context;
    struct imap_fetched fetched = {.uid = 0};
    struct err ignored;

    if (!str_eq_nocase(response->name, STR("FETCH")))
        return ST_OK;
    if (imap_fetch_read(response->rest, &fetched, err) != ST_OK)
        return err->code = ST_UNAVAILABLE;
    if (fetched.uid != f->uid || f->is_found) /* another mail's flags have changed */
        return ST_OK;
    if (fetched.has_body)
        f->failed = arena_try_str(f->arena, fetched.body, &fetched.body, &ignored);
    *f->fetched = fetched;
    f->is_found = true;
    return ST_OK;
}

enum status
imap_fetch(struct imap *imap, uint32_t uid, size_t max_bytes, struct arena *arena,
           struct imap_fetched *fetched_out, struct err *err)
{
    struct fetching f = {.uid = uid, .arena = arena, .fetched = fetched_out};
    char words[120], body[40] = "";
    enum status st;

    *fetched_out = (struct imap_fetched){.uid = 0};
    if (max_bytes > 0)
        (void)snprintf(body, sizeof body, " BODY.PEEK[]<0.%zu>", max_bytes);
    (void)snprintf(words, sizeof words, "UID FETCH %u (UID INTERNALDATE RFC822.SIZE%s)", uid, body);
    st = command(imap, words, take_mail, &f, err);
    if (st == ST_OK && f.failed != ST_OK)
        return err_set(err, ST_TOO_LARGE, "the mail is too large");
    if (st == ST_OK && (!f.is_found || (max_bytes > 0 && !fetched_out->has_body)))
        return err_set(err, ST_NOT_FOUND, "the mail has gone");
    return st;
}

/* --- waiting --- */

/* What comes by itself. */
static enum status
hear(struct imap *imap, int64_t until_us, struct err *err)
{
    enum status st = ST_OK;

    while (st == ST_OK && !imap->has_news) {
        struct imap_response response;

        st = next(imap, until_us, &response, err);
        if (st == ST_OK)
            notice(imap, &response);
        if (st == ST_OK && response.condition == IMAP_BYE)
            st = err_set(err, ST_UNAVAILABLE, "the mail server %.*s says good-bye",
                         STR_ARG(imap->server.host));
    }
    if (st == ST_INVALID || st == ST_TOO_LARGE)
        return err->code = ST_UNAVAILABLE;
    return st == ST_BUSY ? ST_OK : st;
}

enum status
imap_wait(struct imap *imap, unsigned wait_ms, struct err *err)
{
    int64_t until_us = clock_mono_us(clock_system()) + wait_ms * US_PER_MS;
    char line[32], tag[16];
    struct str name;
    enum status st;

    if (imap->has_news || wait_ms == 0)
        return ST_OK;
    if (!imap->can_idle) {
        st = hear(imap, until_us, err);
        return st == ST_OK && !imap->has_news ? command(imap, "NOOP", NULL, NULL, err) : st;
    }
    name = new_tag(imap, tag);
    int length = snprintf(line, sizeof line, "%s IDLE\r\n", tag);
    st = send_all(imap, str_of(line, (size_t)length), err);
    if (st == ST_OK)
        st = finish(imap, name, true, NULL, NULL, err);
    if (st == ST_OK)
        st = hear(imap, until_us, err);
    if (st == ST_OK)
        st = send_all(imap, STR("DONE\r\n"), err);
    return st == ST_OK ? finish(imap, name, false, NULL, NULL, err) : st;
}
