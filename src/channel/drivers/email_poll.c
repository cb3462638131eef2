/*
 * email_poll.c - mails from a mailbox by IMAP, one after the other
 *
 * Of each folder every mail that the server took since "imap_since" comes once, in the order of its
 * UIDs. The cursor, {"INBOX": {validity, uid, from_us, newest_us}}, says up to which; it is written
 * after the mail is, so a mail may be handed over twice, and its Message-ID makes the second one a
 * duplicate. A new UIDVALIDITY makes all UIDs new: then mails since two days before the newest one
 * are handed over again. Nothing is changed in the mailbox, so people can work with it, too.
 *
 * One mail a call: its place is durable before the next one is fetched. The connection stays open
 * between calls.
 */
#include <gmime/gmime.h>
#include <stdlib.h>

#include "base/log.h"
#include "channel/drivers/email.h"
#include "net/imap.h"
#include "text/json.h"

#define OPEN_DEADLINE_MS 30000
#define SCRATCH_BYTES (EMAIL_FETCH_MAX_BYTES + (size_t)1024 * 1024)
#define UIDS_MAX 1000
/* Only the first folder tells by itself what comes: the others are asked so often. */
#define OTHERS_WAIT_MS 10000
#define AGAIN_US (48 * 3600 * US_PER_S)
/* So often the server may refuse to give a mail before it counts as unreadable. */
#define REFUSALS_MAX 5
#define UID_MAX INT64_C(4294967295)

/* The open connection, and what is known of the folder that is open in it. */
struct email_box {
    pthread_mutex_t lock; /* guards all below; held while the server is waited for */
    struct imap *imap;    /* NULL: not connected */
    size_t folder;        /* number of the one that is open */
    bool is_selected;
    uint32_t uid_validity;
    struct arena *arena; /* of uids */
    uint32_t *uids;      /* of mails to come; those up to the cursor's are done */
    size_t count, at;
    uint32_t refused_uid;
    unsigned refusals;
};

struct place {
    int64_t validity, uid; /* 0: not yet known */
    int64_t from_us;       /* older mails are not for us */
    int64_t newest_us;     /* when the server took the newest one that came */
};

struct polling {
    struct email_channel *email;
    struct email_box *box;
    struct arena *arena;
    json_t *places; /* folder -> place, of the configured ones */
    struct channel_poll *poll;
};

struct email_box *
email_box_create(void)
{
    struct email_box *box = calloc(1, sizeof *box);

    if (box == NULL)
        abort();
    pthread_mutex_init(&box->lock, NULL);
    box->arena = arena_create(UIDS_MAX * sizeof(uint32_t) + 4096);
    return box;
}

void
email_box_destroy(struct email_box **box_ref)
{
    struct email_box *box = *box_ref;

    if (box == NULL)
        return;
    imap_close(&box->imap);
    arena_destroy(&box->arena);
    pthread_mutex_destroy(&box->lock);
    free(box);
    *box_ref = NULL;
}

/* --- folders --- */

size_t
email_folder_count(const struct email_channel *email)
{
    size_t count = json_array_size(email->folders);

    return count == 0 ? 1 : count;
}

struct str
email_folder_at(const struct email_channel *email, size_t index)
{
    const char *name = json_string_value(json_array_get(email->folders, index));

    return name == NULL ? STR("INBOX") : str_from_c(name);
}

/* As servers name it: RFC 3501, section 5.1.3. */
static enum status
encode_folder(struct str name, struct arena *arena, struct str *encoded_out, struct err *err)
{
    gsize length = 0;
    char *encoded =
        g_convert(name.ptr, (gssize)name.len, "UTF-7-IMAP", "UTF-8", NULL, &length, NULL);

    if (encoded == NULL)
        return err_set(err, ST_NOT_FOUND, "the folder's name cannot be");
    *encoded_out = arena_str(arena, str_of(encoded, length));
    g_free(encoded);
    return ST_OK;
}

static void
forget_uids(struct email_box *box)
{
    arena_reset(box->arena);
    box->uids = NULL;
    box->count = box->at = 0;
}

struct opening {
    struct http_client *http;
    struct imap **imap;
};

static enum status
open_imap(const struct mail_server *server, void *context, struct err *err)
{
    const struct opening *opening = context;

    return imap_open(opening->http, server, OPEN_DEADLINE_MS, opening->imap, err);
}

enum status
email_box_open(struct email_channel *email, struct arena *arena, struct imap **imap_out,
               struct err *err)
{
    struct opening opening = {email->base.env->http, imap_out};

    return email_log_in(email, &email->imap, open_imap, &opening, arena, err);
}

static enum status
connect_box(struct polling *p, struct err *err)
{
    struct email_box *box = p->box;

    if (box->imap != NULL)
        return ST_OK;
    box->is_selected = false;
    return email_box_open(p->email, p->arena, &box->imap, err);
}

static enum status
select_folder(struct polling *p, size_t index, struct err *err)
{
    struct email_box *box = p->box;
    struct imap_mailbox mailbox;
    struct str name;
    enum status st;

    if (box->is_selected && box->folder == index)
        return ST_OK;
    box->is_selected = false;
    forget_uids(box);
    st = encode_folder(email_folder_at(p->email, index), p->arena, &name, err);
    if (st == ST_OK)
        st = imap_examine(box->imap, name, &mailbox, err);
    if (st == ST_NOT_FOUND) /* it may come */
        return err->code = ST_UNAVAILABLE;
    if (st != ST_OK)
        return st;
    box->is_selected = true;
    box->folder = index;
    box->uid_validity = mailbox.uid_validity;
    return ST_OK;
}

/* --- the cursor --- */

static json_t *
place_of(struct polling *p, size_t index)
{
    return json_object_get(p->places, email_folder_at(p->email, index).ptr);
}

static struct place
read_place(struct polling *p, size_t index)
{
    const json_t *json = place_of(p, index);
    struct place place = {
        .validity = json_get_int(json, "validity", 0),
        .uid = json_get_int(json, "uid", 0),
        .from_us = json_get_int(json, "from_us", 0),
        .newest_us = json_get_int(json, "newest_us", 0),
    };

    if (place.uid < 0 || place.uid > UID_MAX)
        place.uid = 0;
    return place;
}

static void
write_place(struct polling *p, size_t index, const struct place *place)
{
    json_t *json = json_object();

    json_set_int(json, "validity", place->validity);
    json_set_int(json, "uid", place->uid);
    json_set_int(json, "from_us", place->from_us);
    json_set_int(json, "newest_us", place->newest_us);
    json_set(p->places, email_folder_at(p->email, index).ptr, json);
    p->poll->cursor = json_text(p->places, p->arena);
}

/* Places of folders that are configured no longer are dropped. */
static enum status
read_cursor(struct polling *p, struct str cursor, struct err *err)
{
    json_auto_t *old = NULL;
    enum status st = ST_OK;

    p->places = json_object();
    if (cursor.len > 0)
        st = json_parse(cursor, &old, err);
    for (size_t i = 0; st == ST_OK && i < email_folder_count(p->email); i++) {
        const char *name = email_folder_at(p->email, i).ptr;
        json_t *place = json_object_get(old, name);

        if (place != NULL && json_object_set(p->places, name, place) != 0)
            abort();
    }
    return st == ST_OK ? ST_OK : err_wrap(err, "cursor");
}

/* A mailbox that was made anew, or whose server was: UIDs mean other mails now. */
static void
begin_anew(struct polling *p, size_t index, struct place *place)
{
    int64_t from_us = p->email->since_us;

    if (place->validity != 0) {
        LOG(LOG_WARN, "email.uidvalidity", log_str("channel_id", ID_STR(p->email->base.record->id)),
            log_int("before", place->validity), log_int("now", p->box->uid_validity));
        if (place->newest_us - AGAIN_US > from_us)
            from_us = place->newest_us - AGAIN_US;
    }
    *place = (struct place){
        .validity = p->box->uid_validity, .from_us = from_us, .newest_us = place->newest_us};
    forget_uids(p->box);
    write_place(p, index, place);
}

/* --- mails --- */

/* The next UID of the folder that is open; *uid_out 0: there is none. */
static enum status
next_uid(struct polling *p, const struct place *place, uint32_t *uid_out, struct err *err)
{
    struct email_box *box = p->box;
    enum status st = ST_OK;

    *uid_out = 0;
    while (box->at < box->count && box->uids[box->at] <= (uint32_t)place->uid)
        box->at++;
    if (box->at == box->count) {
        forget_uids(box);
        st = imap_search(box->imap, (uint32_t)place->uid, place->from_us, UIDS_MAX, box->arena,
                         &box->uids, &box->count, err);
    }
    if (st == ST_OK && box->at < box->count)
        *uid_out = box->uids[box->at];
    return st;
}

/* ST_NOT_FOUND: not there any more, or too old to be ours. body stays empty when the server has
 * refused to give it too often. */
static enum status
fetch_mail(struct polling *p, const struct place *place, uint32_t uid, struct arena *scratch,
           struct imap_fetched *fetched, struct err *err)
{
    struct email_box *box = p->box;
    enum status st = imap_fetch(box->imap, uid, 0, scratch, fetched, err);

    if (st == ST_OK && fetched->date_us > 0 && fetched->date_us < place->from_us)
        return err_set(err, ST_NOT_FOUND, "the mail is older than imap_since");
    if (st == ST_OK) {
        struct imap_fetched known = *fetched;

        st = imap_fetch(box->imap, uid, EMAIL_FETCH_MAX_BYTES, scratch, fetched, err);
        fetched->date_us = known.date_us;
        fetched->size_bytes = known.size_bytes;
    }
    if (st != ST_INVALID)
        return st;
    box->refusals = box->refused_uid == uid ? box->refusals + 1 : 1;
    box->refused_uid = uid;
    fetched->body = STR("");
    return box->refusals < REFUSALS_MAX ? err->code = ST_UNAVAILABLE : ST_OK;
}

/* The next mail of the folder, into the poll; it has none when there is none. */
static enum status
poll_folder(struct polling *p, size_t index, struct err *err)
{
    struct place place = read_place(p, index);
    struct arena *scratch = NULL;
    enum status st = select_folder(p, index, err);

    if (st == ST_OK && place.validity != p->box->uid_validity)
        begin_anew(p, index, &place);
    while (st == ST_OK && p->poll->count == 0) {
        struct imap_fetched mail;
        uint32_t uid;

        st = next_uid(p, &place, &uid, err);
        if (st != ST_OK || uid == 0)
            break;
        if (scratch == NULL)
            scratch = arena_create(SCRATCH_BYTES);
        arena_reset(scratch);
        st = fetch_mail(p, &place, uid, scratch, &mail, err);
        if (st != ST_OK && st != ST_NOT_FOUND)
            break;
        if (st == ST_OK) {
            p->poll->updates[p->poll->count++].body = arena_printf(
                p->arena, "IMAP %u %u %lld %lld\n%.*s", p->box->uid_validity, uid,
                (long long)mail.size_bytes, (long long)mail.date_us, STR_ARG(mail.body));
            if (mail.date_us > place.newest_us)
                place.newest_us = mail.date_us;
        }
        st = ST_OK;
        place.uid = uid;
        write_place(p, index, &place);
    }
    arena_destroy(&scratch);
    return st;
}

static enum status
poll_all(struct polling *p, unsigned wait_ms, struct err *err)
{
    size_t count = email_folder_count(p->email);
    enum status st = connect_box(p, err);

    for (size_t i = 0; st == ST_OK && p->poll->count == 0 && i < count; i++)
        st = poll_folder(p, i, err);
    if (st != ST_OK || p->poll->count > 0)
        return st;
    if (count > 1 && wait_ms > OTHERS_WAIT_MS)
        wait_ms = OTHERS_WAIT_MS;
    st = select_folder(p, 0, err);
    return st == ST_OK ? imap_wait(p->box->imap, wait_ms, err) : st;
}

enum status
email_poll(struct channel *channel, struct str cursor, unsigned wait_ms, struct arena *arena,
           struct channel_poll *poll_out, struct err *err)
{
    struct email_channel *email = email_of(channel);
    struct polling p = {.email = email, .box = email->box, .arena = arena, .poll = poll_out};
    enum status st;

    if (email->inbound != EMAIL_IMAP)
        return err_set(err, ST_NOT_FOUND, "the channel has no mailbox");
    poll_out->updates = ARENA_NEW(arena, struct webhook);
    poll_out->updates[0] = (struct webhook){.request = NULL};
    st = read_cursor(&p, cursor, err);
    if (st == ST_OK) {
        pthread_mutex_lock(&p.box->lock);
        st = poll_all(&p, wait_ms, err);
        if (st != ST_OK)
            imap_close(&p.box->imap);
        pthread_mutex_unlock(&p.box->lock);
    }
    json_decref(p.places);
    return st == ST_OK ? ST_OK : err_wrap(err, "IMAP");
}

bool
email_is_polled(const struct channel_record *record)
{
    return email_inbound_of(record) == EMAIL_IMAP;
}

enum status
email_box_probe(struct email_channel *email, struct arena *arena, struct err *err)
{
    struct imap *imap = NULL;
    struct imap_mailbox mailbox;
    enum status st = email_box_open(email, arena, &imap, err);

    for (size_t i = 0; st == ST_OK && i < email_folder_count(email); i++) {
        struct str name;

        st = encode_folder(email_folder_at(email, i), arena, &name, err);
        if (st == ST_OK)
            st = imap_examine(imap, name, &mailbox, err);
    }
    imap_close(&imap);
    return st;
}
