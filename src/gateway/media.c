/*
 * media.c - attachments: what arrived, fetched by a job, looked at, kept as objects; and bytes or
 * addresses of what is sent
 *
 *   provider --bytes--> object being written, and virus scanner --verdict--> object kept | nothing
 *   webhook, kept --bytes--'
 *
 * One job a message, put in the transaction that adds it. Each attachment's end is recorded by
 * itself, under a key that its message and number make: a job that runs again goes on after the
 * last one, and writes over what a killed one has left. Without a verdict nothing is kept. A
 * message that is deleted by its writer has another job, which removes what was kept. A
 * webhook that carries attachments is an object itself, "incoming/<message>", from before the
 * message is committed until after the last attachment is recorded; upkeep removes what a kill
 * between has left over.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "channel/slots.h"
#include "conversation/attachment.h"
#include "gateway/gateway_private.h"
#include "net/virus_scan.h"
#include "text/json.h"

#define ATTACHMENTS_MAX 32
#define WEBHOOK_MAX_BYTES ((size_t)32 * 1024 * 1024)
#define READING_BYTES (4 * WEBHOOK_MAX_BYTES)
#define CONTENT_TYPE_MAX_LEN 300
#define UPKEEP_PAGE 200
#define REMOVAL_ATTEMPTS 100 /* a backup may take long */
#define SCAN_DEADLINE_MS 120000
#define TYPE_MAX_LEN 100
#define MEDIA_PREFIX "media/"
#define INCOMING_PREFIX "incoming/"

static struct metric media_total = {
    .name = "parley_gateway_media_total",
    .help = "Attachments that arrived, by source and what became of them",
    .kind = METRIC_COUNTER,
    .labels = {"source", "result"},
};

/* The attachments of one message; belongs to the worker that holds the lease. */
struct fetching {
    struct gateway *gateway;
    struct lease *lease;
    struct channel *channel;
    struct message_id message_id;
    struct message message;
    json_t *attachments; /* borrowed from metadata */
    json_t *metadata;
    size_t index;
    bool was_removed; /* attachments[index], while it was fetched */
    json_t *facts;    /* about attachments[index], for the next transaction; owned */
    struct str content_type;
    struct str *carried; /* within the webhook: bytes of each attachment */
    size_t carried_count;
    struct arena *carried_arena; /* owned; NULL: not yet read */
    struct slot *slot;           /* NULL: it holds none */
};

/* Bytes on their way from the provider. */
struct copying {
    struct blob_put *put;
    struct virus_scan *scan; /* NULL: none is configured */
    uint64_t left;
    enum status failed; /* ours, not the provider's */
    struct err err;
};

static bool
take_bytes(struct str bytes, void *context)
{
    struct copying *copying = context;

    if (bytes.len > copying->left)
        copying->failed = err_set(&copying->err, ST_TOO_LARGE, "larger than media.max_size");
    else
        copying->failed = blob_put_write(copying->put, bytes, &copying->err);
    copying->left -= copying->failed == ST_OK ? bytes.len : 0;
    if (copying->failed == ST_OK && copying->scan != NULL)
        copying->failed = virus_scan_write(copying->scan, bytes, &copying->err);
    return copying->failed == ST_OK;
}

/* "image/png; charset=x" against "image/" followed by a star, or the type itself. */
static bool
is_allowed(struct str types, struct str type)
{
    struct str rest = types, parameters = type, pattern;

    (void)str_split(&parameters, ';', &type);
    type = str_trim(type);
    if (type.len == 0 || types.len == 0)
        return true;
    while (str_split(&rest, ',', &pattern)) {
        pattern = str_trim(pattern);
        if (pattern.len > 0 && pattern.ptr[pattern.len - 1] == '*'
                ? type.len >= pattern.len - 1 && str_eq_nocase(str_sub(type, 0, pattern.len - 1),
                                                               str_sub(pattern, 0, pattern.len - 1))
                : str_eq_nocase(type, pattern))
            return true;
    }
    return false;
}

/* The type without its parameters, as a header may carry it; empty when it is none. */
static struct str
plain_type(struct str type)
{
    struct str head = STR_EMPTY;

    (void)str_split(&type, ';', &head);
    head = str_trim(head);
    for (size_t i = 0; i < head.len; i++)
        if (head.ptr[i] <= ' ' || head.ptr[i] >= 127 || head.ptr[i] == '"')
            return STR_EMPTY;
    return head.len <= TYPE_MAX_LEN && str_find_byte(head, '/') > 0 ? head : STR_EMPTY;
}

static enum status
refuse(struct fetching *f, const char *why, const char *signature)
{
    json_set_str(f->facts, "refused", str_from_c(why));
    if (signature != NULL)
        json_set_str(f->facts, "signature", str_from_c(signature));
    METRIC_INC(&media_total, f->message.source, str_from_c(why));
    return ST_OK;
}

/* Failures that another try will not change become facts; the others are returned. */
static enum status
settle(struct fetching *f, enum status st, const struct err *err)
{
    switch (st) {
    case ST_TOO_LARGE:
        return refuse(f, "too_large", NULL);
    case ST_NOT_FOUND:
    case ST_INVALID:
    case ST_CONFLICT:
        LOG_ERR(LOG_WARN, "media.gone", err, log_str("message_id", ID_STR(f->message_id)));
        return refuse(f, "gone", NULL);
    case ST_DENIED:
        LOG_ERR(LOG_WARN, "media.denied", err, log_str("message_id", ID_STR(f->message_id)));
        return refuse(f, "denied", NULL);
    default:
        return st;
    }
}

/* All bytes are there: kept, unless the scanner or the type says no. */
static enum status
keep(struct fetching *f, struct copying *copying, struct str key, struct str type, struct err *err)
{
    struct virus_verdict verdict = {.is_infected = false};
    struct blob_info info;
    enum status st = ST_OK;

    if (!is_allowed(f->gateway->config.media_types, type))
        return refuse(f, "type", NULL);
    if (copying->scan != NULL)
        st = virus_scan_end(&copying->scan, &verdict, err);
    if (st == ST_TOO_LARGE)
        return refuse(f, "too_large", NULL);
    if (st != ST_OK)
        return st;
    if (verdict.is_infected) {
        LOG(LOG_WARN, "media.infected", log_str("message_id", ID_STR(f->message_id)),
            log_int("attachment", (int64_t)f->index), log_cstr("signature", verdict.name));
        return refuse(f, "infected", verdict.name);
    }
    st = blob_put_commit(&copying->put, &info, err);
    if (st != ST_OK)
        return st;
    json_set_str(f->facts, "object", key);
    json_set_int(f->facts, "size_bytes", (int64_t)info.size_bytes);
    json_set_str(f->facts, "sha256", str_from_c(info.sha256));
    if (type.len > 0)
        json_set_str(f->facts, "mime_type", type);
    METRIC_INC(&media_total, f->message.source, STR("kept"));
    return ST_OK;
}

struct str
gateway_media_key(struct message_id id, size_t number, struct arena *arena)
{
    return arena_printf(arena, MEDIA_PREFIX "%s/%zu", id.id.text, number);
}

static struct str
kept_key(struct message_id id, struct arena *arena)
{
    return arena_printf(arena, INCOMING_PREFIX "%s", id.id.text);
}

static bool
carries_media(const struct channel *channel)
{
    return (channel_caps(channel) & CHANNEL_CARRIES_MEDIA) != 0;
}

/* Once for all attachments. ST_NOT_FOUND: the webhook was not kept. */
static enum status
read_carried(struct fetching *f, struct err *err)
{
    struct str key = kept_key(f->message_id, lease_arena(f->lease)), body;
    enum status st;

    if (f->carried_arena != NULL)
        return ST_OK;
    f->carried_arena = arena_create(READING_BYTES);
    st = blob_get(f->gateway->config.blobs, lease_scope(f->lease), key, WEBHOOK_MAX_BYTES,
                  f->carried_arena, &body, err);
    if (st == ST_OK)
        st = channel_read_carried(f->channel, f->content_type, body, f->carried_arena, &f->carried,
                                  &f->carried_count, err);
    if (st != ST_OK) /* each attachment asks again */
        arena_destroy(&f->carried_arena);
    return st;
}

static enum status
fetch_bytes(struct fetching *f, const json_t *attachment, const struct media_sink *sink,
            struct str *type_out, struct err *err)
{
    enum status st;

    if (!carries_media(f->channel))
        return channel_fetch_media(f->channel, attachment, sink, lease_arena(f->lease), type_out,
                                   err);
    st = read_carried(f, err);
    if (st == ST_OK && f->index >= f->carried_count)
        st = err_set(err, ST_NOT_FOUND, "the webhook has no such attachment");
    if (st == ST_OK && f->carried[f->index].len > 0)
        (void)sink->write(f->carried[f->index], sink->context);
    return st;
}

/* Sets facts: ST_OK when there is an end, good or bad. */
static enum status
fetch_one(struct fetching *f, const json_t *attachment, struct err *err)
{
    const struct gateway_config *config = &f->gateway->config;
    struct arena *arena = lease_arena(f->lease);
    struct str said = plain_type(json_get_str(attachment, "mime_type")), found = STR_EMPTY;
    struct str key = gateway_media_key(f->message_id, f->index, arena);
    const struct blob_put_spec spec = {.key = key, .content_type = said};
    struct copying copying = {.left = config->media_max_bytes, .failed = ST_OK};
    const struct media_sink sink = {
        .max_bytes = config->media_max_bytes, .write = take_bytes, .context = &copying};
    enum status st;

    if (json_get_int(attachment, "size_bytes", 0) > (int64_t)config->media_max_bytes)
        return refuse(f, "too_large", NULL);
    if (!is_allowed(config->media_types, said))
        return refuse(f, "type", NULL);
    st = blob_put_begin(config->blobs, lease_scope(f->lease), &spec, &copying.put, err);
    if (st == ST_OK && config->media_scanner.len > 0)
        st = virus_scan_begin(config->media_scanner, SCAN_DEADLINE_MS, &copying.scan, err);
    if (st == ST_OK) {
        st = fetch_bytes(f, attachment, &sink, &found, err);
        if (copying.failed != ST_OK) {
            *err = copying.err;
            st = copying.failed;
        }
        if (st == ST_OK)
            st = keep(f, &copying, key, plain_type(found).len > 0 ? plain_type(found) : said, err);
        else
            st = settle(f, st, err);
    }
    virus_scan_abort(&copying.scan);
    blob_put_rollback(&copying.put);
    return st;
}

static enum status
record(struct store_tx *tx, void *arg, struct err *err)
{
    struct fetching *f = arg;
    enum status st = queue_lease_check(tx, f->lease, err);

    f->was_removed = false;
    if (st == ST_OK)
        st = attachment_note(tx, f->message_id, f->index, f->facts, err);
    if (st != ST_NOT_FOUND)
        return st;
    f->was_removed = true;
    return ST_OK;
}

static enum status
finish(struct store_tx *tx, void *arg, struct err *err)
{
    struct fetching *f = arg;

    return queue_lease_done(tx, f->lease, err);
}

static enum status
load(struct store_tx *tx, void *arg, struct err *err)
{
    struct fetching *f = arg;
    enum status st = message_get(tx, f->message_id, lease_arena(f->lease), &f->message, err);

    return st == ST_OK ? json_parse(f->message.metadata, &f->metadata, err) : st;
}

static void
tell_staff(struct fetching *f)
{
    struct arena *arena = lease_arena(f->lease);

    live_publish(f->gateway->config.live, lease_scope(f->lease), STR("inbox"), STR("attachments"),
                 arena_printf(arena, "{\"message_id\":\"%s\",\"conversation_id\":\"%s\"}",
                              f->message_id.id.text, f->message.conversation_id.id.text));
}

static enum status
fetch_all(struct fetching *f, struct err *err)
{
    const struct gateway_config *config = &f->gateway->config;
    const struct tenant_scope *scope = lease_scope(f->lease);
    json_t *attachment;
    enum status st = ST_OK;

    f->attachments = json_get_array(f->metadata, "attachments");
    json_array_foreach (f->attachments, f->index, attachment) {
        if (attachment_is_settled(attachment))
            continue;
        f->facts = json_object();
        slots_renew(f->gateway->fetch_slots, f->slot);
        if (f->index >= ATTACHMENTS_MAX)
            st = refuse(f, "too_many", NULL);
        else
            st = queue_lease_hold(f->lease, err);
        if (st == ST_OK && f->index < ATTACHMENTS_MAX)
            st = fetch_one(f, attachment, err);
        if (st == ST_OK)
            st = store_run(config->store, scope, "media_record", STORE_DURABLE, record, f, err);
        json_decref(f->facts);
        f->facts = NULL;
        if (st == ST_OK && f->was_removed)
            st =
                blob_delete(config->blobs, scope,
                            gateway_media_key(f->message_id, f->index, lease_arena(f->lease)), err);
        if (st != ST_OK)
            return err_wrap(err, "attachment %zu", f->index);
    }
    if (carries_media(f->channel)) /* before the job goes: nobody would come back for it */
        st = blob_delete(config->blobs, scope, kept_key(f->message_id, lease_arena(f->lease)), err);
    if (st != ST_OK)
        return err_wrap(err, "the kept webhook");
    st = store_run(config->store, scope, "media_finished", STORE_DURABLE, finish, f, err);
    if (st == ST_OK)
        tell_staff(f);
    return st;
}

static enum status
postpone(struct store_tx *tx, void *arg, struct err *err)
{
    struct fetching *f = arg;

    return queue_lease_postpone(tx, f->lease,
                                clock_wall_us(f->gateway->config.clock) + SLOT_WAIT_US, err);
}

/* A provider that does not answer holds its channel's share of the fetchers, and no more. */
static enum status
fetch_in_turn(struct fetching *f, struct err *err)
{
    struct slots *slots = f->gateway->fetch_slots;
    enum status st;

    if (!carries_media(f->channel) &&
        (f->slot = slots_enter(slots, channel_record(f->channel))) == NULL)
        return store_run(f->gateway->config.store, lease_scope(f->lease), "media_delayed",
                         STORE_RELAXED, postpone, f, err);
    st = fetch_all(f, err);
    slots_leave(slots, &f->slot);
    return st;
}

static enum status
read_payload(struct str payload, struct arena *arena, struct message_id *id_out,
             struct str *content_type_out, bool *removes_out, struct err *err)
{
    json_auto_t *json = NULL;
    enum status st = json_parse(payload, &json, err);

    *content_type_out = arena_str(arena, json_get_str(json, "content_type"));
    *removes_out = json_get_bool(json, "removes", false);
    return st == ST_OK ? ID_PARSE(json_get_str(json, "message_id"), id_out, err) : st;
}

/* Its attachments are among its row's no more: the numbers that there can be are gone through. */
static enum status
remove_all(struct fetching *f, struct err *err)
{
    const struct gateway_config *config = &f->gateway->config;
    const struct tenant_scope *scope = lease_scope(f->lease);
    struct arena *arena = lease_arena(f->lease);
    enum status st = blob_delete(config->blobs, scope, kept_key(f->message_id, arena), err);

    for (size_t i = 0; st == ST_OK && i < ATTACHMENTS_MAX; i++)
        st = blob_delete(config->blobs, scope, gateway_media_key(f->message_id, i, arena), err);
    if (st != ST_OK)
        return err_wrap(err, "attachments of a deleted message");
    return store_run(config->store, scope, "media_removed", STORE_DURABLE, finish, f, err);
}

enum status
media_fetch(struct lease *lease, void *context, struct err *err)
{
    struct fetching f = {.gateway = context, .lease = lease};
    const struct gateway_config *config = &f.gateway->config;
    const struct channel_record *record = NULL;
    const struct tenant_scope *scope = lease_scope(lease);
    bool removes;
    enum status st = read_payload(lease_job(lease)->payload, lease_arena(lease), &f.message_id,
                                  &f.content_type, &removes, err);

    if (st == ST_OK && removes)
        return remove_all(&f, err);
    if (st == ST_OK)
        st = store_read(config->store, scope, "media_load", load, &f, err);
    if (st == ST_OK)
        st = channel_record_get(config->tenants, scope, f.message.channel_id, &record, err);
    if (st == ST_OK)
        st = channel_acquire(config->channels, record, &f.channel, err);
    if (st == ST_OK)
        st = fetch_in_turn(&f, err);
    channel_release(&f.channel);
    channel_record_unref(&record);
    json_decref(f.metadata);
    arena_destroy(&f.carried_arena);
    return st == ST_OK ? ST_OK : err_wrap(err, "media");
}

/* What could not be had in all its tries says so. */
enum status
media_on_dead(struct store_tx *tx, const struct job *job, struct str reason, void *context,
              struct err *err)
{
    json_auto_t *metadata = NULL;
    json_auto_t *facts = json_object();
    struct message_id id;
    struct message message;
    json_t *attachment;
    size_t index;
    struct str content_type;
    bool removes;
    enum status st =
        read_payload(job->payload, store_tx_arena(tx), &id, &content_type, &removes, err);

    (void)context;
    (void)reason;
    if (st == ST_OK && removes) /* upkeep comes by */
        return ST_OK;
    if (st == ST_OK)
        st = message_get(tx, id, store_tx_arena(tx), &message, err);
    if (st == ST_OK)
        st = json_parse(message.metadata, &metadata, err);
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    json_set_str(facts, "refused", STR("unavailable"));
    json_array_foreach (json_get_array(metadata, "attachments"), index, attachment) {
        if (st == ST_OK && !attachment_is_settled(attachment))
            st = attachment_note(tx, id, index, facts, err);
    }
    return st;
}

bool
media_is_wanted(const struct gateway *gateway, const struct channel *channel,
                const struct inbound *item)
{
    return gateway->config.blobs != NULL &&
           (channel_caps(channel) & (CHANNEL_HAS_MEDIA | CHANNEL_CARRIES_MEDIA)) != 0 &&
           json_array_size(json_get_array(item->metadata, "attachments")) > 0;
}

enum status
media_queue(struct gateway *gateway, struct store_tx *tx, struct message_id id,
            struct user_id user_id, struct str content_type, struct err *err)
{
    json_auto_t *payload = json_object();
    struct job_spec job = {
        .topic = QUEUE_TOPIC_MEDIA,
        .user_id = user_id,
        .dedup_key = ID_STR(id),
    };
    struct job_id job_id;

    json_set_str(payload, "message_id", ID_STR(id));
    if (content_type.len > 0 && content_type.len <= CONTENT_TYPE_MAX_LEN)
        json_set_str(payload, "content_type", content_type);
    job.payload = json_text(payload, store_tx_arena(tx));
    return queue_put(gateway->config.queue, tx, &job, &job_id, err);
}

enum status
media_queue_removal(struct gateway *gateway, struct store_tx *tx, const struct deletion *deletion,
                    struct err *err)
{
    struct arena *arena = store_tx_arena(tx);
    const char *id = deletion->message_id.id.text;
    const struct job_spec job = {
        .topic = QUEUE_TOPIC_MEDIA,
        .dedup_key = arena_printf(arena, "remove:%s", id),
        .payload = arena_printf(arena, "{\"message_id\":\"%s\",\"removes\":true}", id),
        .max_attempts = REMOVAL_ATTEMPTS,
    };
    struct job_id job_id;

    if (gateway->config.blobs == NULL || !deletion->had_media)
        return ST_OK;
    return queue_put(gateway->config.queue, tx, &job, &job_id, err);
}

/* --- webhooks that carry attachments --- */

bool
media_may_block(const struct gateway *gateway, struct str source)
{
    const struct channel_driver *driver = channel_driver_find(gateway->config.channels, source);

    return gateway->config.blobs != NULL && driver != NULL &&
           (channel_driver_caps(driver) & CHANNEL_CARRIES_MEDIA) != 0;
}

enum status
media_keep(struct gateway *gateway, const struct tenant_scope *scope, const struct channel *channel,
           struct message_id id, struct str body, struct err *err)
{
    struct arena *arena;
    enum status st;

    if (!carries_media(channel))
        return ST_OK;
    arena = arena_create(4096);
    const struct blob_put_spec spec = {.key = kept_key(id, arena)};
    st = blob_put_bytes(gateway->config.blobs, scope, &spec, body, NULL, err);
    arena_destroy(&arena);
    return st == ST_OK ? ST_OK : err_wrap(err, "keep the webhook");
}

void
media_forget(struct gateway *gateway, const struct tenant_scope *scope,
             const struct channel *channel, struct message_id id)
{
    struct arena *arena;
    struct err ignored; /* upkeep removes it then */

    if (!carries_media(channel))
        return;
    arena = arena_create(4096);
    (void)!blob_delete(gateway->config.blobs, scope, kept_key(id, arena), &ignored);
    arena_destroy(&arena);
}

static enum status
find_message(struct store_tx *tx, void *arg, struct err *err)
{
    struct message message;
    enum status st =
        message_get(tx, *(const struct message_id *)arg, store_tx_arena(tx), &message, err);

    return st == ST_OK && message.deleted_at_us > 0 ? ST_NOT_FOUND : st;
}

/* A message that is there, and not deleted, still has its job, or a dead letter that a person may
 * try again. */
static enum status
remove_unless_used(struct gateway *gateway, const struct tenant_scope *scope, struct str key,
                   unsigned *removed, struct err *err)
{
    struct str rest = key, part = STR_EMPTY;
    struct message_id id;
    enum status st;

    (void)str_split(&rest, '/', &part); /* the prefix */
    (void)str_split(&rest, '/', &part);
    st = ID_PARSE(part, &id, err);
    if (st == ST_OK)
        st = store_read(gateway->config.store, scope, "media_find", find_message, &id, err);
    if (st != ST_NOT_FOUND && st != ST_INVALID)
        return st;
    st = blob_delete(gateway->config.blobs, scope, key, err);
    *removed += st == ST_OK;
    return st;
}

static enum status
remove_unused(struct gateway *gateway, const struct tenant_scope *scope, struct str prefix,
              int64_t before_us, unsigned *removed, struct err *err)
{
    char last[BLOB_KEY_MAX_BYTES];
    struct str after = STR("");
    bool more = true;
    enum status st = ST_OK;

    while (st == ST_OK && more) {
        struct arena *arena = arena_create((size_t)1024 * 1024);
        struct blob_entry *entries = NULL;
        size_t count = 0;

        st = blob_list(gateway->config.blobs, scope, prefix, after, UPKEEP_PAGE, arena, &entries,
                       &count, &more, err);
        for (size_t i = 0; st == ST_OK && i < count; i++) {
            after = str_of(last, entries[i].key.len);
            memcpy(last, entries[i].key.ptr, after.len);
            if (entries[i].modified_at_us < before_us)
                st = remove_unless_used(gateway, scope, after, removed, err);
        }
        arena_destroy(&arena);
    }
    return st;
}

enum status
gateway_upkeep(struct gateway *gateway, const struct tenant_scope *scope, int64_t age_us,
               unsigned *removed, struct err *err)
{
    int64_t before_us = clock_wall_us(gateway->config.clock) - age_us;
    enum status st = ST_OK;

    if (gateway->config.blobs == NULL)
        return ST_OK;
    st = remove_unused(gateway, scope, STR(INCOMING_PREFIX), before_us, removed, err);
    if (st == ST_OK)
        st = remove_unused(gateway, scope, STR(MEDIA_PREFIX), before_us, removed, err);
    return st == ST_OK ? ST_OK : err_wrap(err, "files of messages");
}

/* --- what is sent --- */

/* Longer than a provider needs to fetch it: it may be the person who follows the link. */
static enum status
link_file(struct gateway *gateway, const struct tenant_scope *scope, json_t *attachment,
          struct arena *arena, struct err *err)
{
    const struct blob_link_spec link = {.key = json_get_str(attachment, "object"),
                                        .content_type = json_get_str(attachment, "mime_type"),
                                        .file_name = json_get_str(attachment, "file_name"),
                                        .expires_at_us = clock_wall_us(gateway->config.clock) +
                                                         BLOB_LINK_MAX_S * US_PER_S};
    struct str token;
    enum status st;

    if (link.key.len == 0)
        return ST_OK;
    if (gateway->config.blobs == NULL || gateway->config.public_url.len == 0)
        return err_set(err, ST_INVALID,
                       "files cannot be sent without http.public_url, from where they are fetched");
    st = blob_link_make(gateway->config.blobs, scope, &link, arena, &token, err);
    if (st == ST_OK)
        json_set_str(attachment, "url",
                     arena_printf(arena, "%.*s/v1/blobs/%.*s", STR_ARG(gateway->config.public_url),
                                  STR_ARG(token)));
    return st;
}

static enum status
enclose_file(struct gateway *gateway, const struct tenant_scope *scope, struct str key,
             size_t max_bytes, struct arena *arena, struct str *bytes_out, struct err *err)
{
    enum status st = blob_get(gateway->config.blobs, scope, key, max_bytes, arena, bytes_out, err);

    return st == ST_NOT_FOUND ? err_set(err, ST_INVALID, "the file is no longer kept") : st;
}

enum status
media_attach(struct gateway *gateway, const struct tenant_scope *scope,
             const struct channel *channel, json_t *metadata, struct arena *arena,
             const struct str **files_out, struct err *err)
{
    const json_t *attachments = json_get_array(metadata, "attachments");
    bool encloses = (channel_caps(channel) & CHANNEL_ENCLOSES) != 0;
    uint64_t left = encloses && gateway->config.blobs != NULL ? CHANNEL_ENCLOSED_MAX_BYTES : 0;
    struct str *files = ARENA_NEW_N(arena, struct str, json_array_size(attachments) + 1);
    json_t *attachment;
    size_t i;
    enum status st = ST_OK;

    *files_out = files;
    json_array_foreach (attachments, i, attachment) {
        struct str key = json_get_str(attachment, "object");
        int64_t size = json_get_int(attachment, "size_bytes", 0);

        files[i] = STR_EMPTY;
        if (st == ST_OK && key.len > 0 && size > 0 && (uint64_t)size <= left)
            st = enclose_file(gateway, scope, key, (size_t)size, arena, &files[i], err);
        else if (st == ST_OK)
            st = link_file(gateway, scope, attachment, arena, err);
        left -= files[i].len;
    }
    return st == ST_OK ? ST_OK : err_wrap(err, "attachments");
}
