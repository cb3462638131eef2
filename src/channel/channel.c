/*
 * channel.c - the front of all drivers, and the bounded cache of open channels
 *
 * The cache maps a channel's id to the channel opened from one revision of its record. One lock
 * guards the map and the list of use; opening and closing happen outside it. A channel that fell
 * out of the cache lives on until its last holder lets it go.
 */
#include "channel/channel_driver.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/metrics.h"
#include "channel/scrub.h"
#include "text/json.h"

#define CACHED_CHANNELS_MAX 4096
#define DRIVERS_MAX 32

struct channel_registry {
    const struct channel_env *env;
    struct tenants *tenants; /* of drivers that keep durable notes; frozen */
    const struct channel_driver *drivers[DRIVERS_MAX];
    size_t driver_count;
    size_t cached_max;

    pthread_mutex_t lock; /* guards all below and newer/older of cached channels */
    struct map open;      /* id -> struct channel, one reference each */
    struct channel *newest, *oldest;
};

/* --- drivers --- */

static bool
driver_is_complete(const struct channel_driver *driver)
{
    bool always = driver->source != NULL && driver->source[0] != '\0' &&
                  driver->size >= sizeof(struct channel) && driver->burst_window_ms >= 0 &&
                  driver->setting_keys != NULL && driver->credential_keys != NULL &&
                  driver->check_spec != NULL && driver->open != NULL && driver->close != NULL &&
                  driver->verify != NULL && driver->parse != NULL && driver->split != NULL &&
                  driver->send != NULL && driver->probe != NULL;
    bool types = (driver->caps & CHANNEL_CAN_TYPE) != 0;
    bool grows = (driver->caps & CHANNEL_GROWS) != 0;
    bool finds = (driver->caps & CHANNEL_FINDS) != 0;
    bool registers = (driver->caps & CHANNEL_CAN_REGISTER) != 0;
    bool polls = (driver->caps & CHANNEL_CAN_POLL) != 0;
    bool has_media = (driver->caps & CHANNEL_HAS_MEDIA) != 0;
    bool carries = (driver->caps & CHANNEL_CARRIES_MEDIA) != 0;
    bool drafts = (driver->caps & CHANNEL_SHOWS_DRAFTS) != 0;

    return always && (driver->typing != NULL) == types &&
           (driver->typing_interval_ms > 0) == types && (driver->draft != NULL) == drafts &&
           (driver->draft_interval_ms > 0) == (drafts || grows) && !(drafts && grows) &&
           (driver->begin != NULL) == grows && (driver->grow != NULL) == grows &&
           (driver->edit != NULL) == grows && (driver->withdraw != NULL) == grows &&
           (driver->grows_in == NULL || grows) && (driver->find != NULL) == finds &&
           (driver->registration != NULL) == registers && (driver->poll != NULL) == polls &&
           (driver->fetch_media != NULL) == has_media &&
           (driver->read_carried != NULL) == carries && !(carries && has_media) &&
           (driver->is_polled == NULL || polls) &&
           (driver->accepted_type == NULL) == (driver->accepted_body == NULL);
}

static enum status
drivers_take(struct channel_registry *registry, const struct channel_driver *const *drivers,
             struct err *err)
{
    for (size_t i = 0; drivers[i] != NULL; i++) {
        const struct channel_driver *driver = drivers[i];

        if (i == DRIVERS_MAX)
            return err_set(err, ST_INTERNAL, "more than %d channel drivers", DRIVERS_MAX);
        if (!driver_is_complete(driver))
            return err_set(err, ST_INTERNAL, "the table of channel driver \"%s\" is incomplete",
                           driver->source == NULL ? "" : driver->source);
        if (channel_driver_find(registry, str_from_c(driver->source)) != NULL)
            return err_set(err, ST_INTERNAL, "two channel drivers are called \"%s\"",
                           driver->source);
        if (driver->start != NULL)
            driver->start();
        registry->drivers[registry->driver_count++] = driver;
    }
    return ST_OK;
}

const struct channel_driver *
channel_driver_find(const struct channel_registry *registry, struct str source)
{
    for (size_t i = 0; i < registry->driver_count; i++)
        if (str_eq_c(source, registry->drivers[i]->source))
            return registry->drivers[i];
    return NULL;
}

unsigned
channel_driver_caps(const struct channel_driver *driver)
{
    return driver->caps;
}

const char *
channel_driver_source(const struct channel_driver *driver)
{
    return driver->source;
}

const struct channel_driver *
channel_driver_at(const struct channel_registry *registry, size_t index)
{
    return index < registry->driver_count ? registry->drivers[index] : NULL;
}

enum status
channel_registry_create(const struct channel_env *env, struct tenants *tenants,
                        const struct channel_driver *const *drivers,
                        struct channel_registry **registry_out, struct err *err)
{
    struct channel_registry *registry = calloc(1, sizeof *registry);

    if (registry == NULL)
        abort();
    registry->env = env;
    registry->tenants = tenants;
    registry->cached_max = CACHED_CHANNELS_MAX;
    map_init(&registry->open, CACHED_CHANNELS_MAX);
    pthread_mutex_init(&registry->lock, NULL);

    enum status st = drivers_take(registry, drivers, err);
    if (st != ST_OK)
        channel_registry_destroy(&registry);
    *registry_out = registry;
    return st;
}

/* --- the cache; callers hold the lock --- */

static void
cache_unlink(struct channel_registry *registry, struct channel *channel)
{
    if (channel->newer != NULL)
        channel->newer->older = channel->older;
    else
        registry->newest = channel->older;
    if (channel->older != NULL)
        channel->older->newer = channel->newer;
    else
        registry->oldest = channel->newer;
    channel->newer = channel->older = NULL;
}

static void
cache_link_newest(struct channel_registry *registry, struct channel *channel)
{
    channel->older = registry->newest;
    channel->newer = NULL;
    if (registry->newest != NULL)
        registry->newest->newer = channel;
    else
        registry->oldest = channel;
    registry->newest = channel;
}

/* Takes the channel out; its reference becomes the caller's. */
static struct channel *
cache_take_out(struct channel_registry *registry, struct channel *channel)
{
    void *removed = map_remove(&registry->open, ID_STR(channel->record->id));

    assert(removed == channel);
    cache_unlink(registry, channel);
    return channel;
}

static struct channel *
cache_find(struct channel_registry *registry, const struct channel_record *record)
{
    struct channel *channel = map_find(&registry->open, ID_STR(record->id));

    if (channel == NULL || channel->record->revision != record->revision)
        return NULL;
    cache_unlink(registry, channel);
    cache_link_newest(registry, channel);
    atomic_fetch_add(&channel->refs, 1);
    return channel;
}

/* --- opening and closing --- */

static enum status
open_channel(const struct channel_registry *registry, const struct channel_record *record,
             struct channel **channel_out, struct err *err)
{
    const struct channel_driver *driver = channel_driver_find(registry, record->source);

    *channel_out = NULL;
    if (driver == NULL)
        return err_set(err, ST_NOT_FOUND, "no driver for channels of \"%.*s\"",
                       STR_ARG(record->source));
    struct channel *channel = calloc(1, driver->size);
    if (channel == NULL)
        abort();
    channel->driver = driver;
    channel->env = registry->env;
    channel->record = channel_record_ref(record);
    atomic_init(&channel->refs, 1);

    enum status st = driver->open(channel, err);
    if (st != ST_OK) {
        channel_release(&channel);
        return err_wrap(err, "open %s channel %s", driver->source, record->id.id.text);
    }
    *channel_out = channel;
    return ST_OK;
}

void
channel_release(struct channel **channel_ptr)
{
    struct channel *channel = *channel_ptr;

    *channel_ptr = NULL;
    if (channel == NULL)
        return;
    int before = atomic_fetch_sub(&channel->refs, 1);
    assert(before > 0);
    if (before > 1)
        return;
    channel->driver->close(channel);
    channel_record_unref(&channel->record);
    free(channel);
}

enum status
channel_open_draft(const struct channel_registry *registry, const struct channel_record *draft,
                   struct channel **channel_out, struct err *err)
{
    return open_channel(registry, draft, channel_out, err);
}

/* The cached channel of this record, else NULL and what is cached of another revision; both with a
 * reference of the caller. */
static struct channel *
find_cached(struct channel_registry *registry, const struct channel_record *record,
            struct channel **former_out)
{
    pthread_mutex_lock(&registry->lock);
    struct channel *channel = cache_find(registry, record);
    struct channel *former = channel == NULL ? map_find(&registry->open, ID_STR(record->id)) : NULL;
    if (former != NULL)
        atomic_fetch_add(&former->refs, 1);
    pthread_mutex_unlock(&registry->lock);
    *former_out = former;
    return channel;
}

/* Puts a fresh channel into the cache, or finds that another thread was faster: then everyone
 * shares that thread's channel, and so its pacing. Takes fresh, gives what the caller uses. */
static struct channel *
publish(struct channel_registry *registry, struct channel *fresh)
{
    const struct channel_record *record = fresh->record;
    struct channel *stale = NULL, *crowded = NULL, *used = fresh;

    pthread_mutex_lock(&registry->lock);
    struct channel *cached = map_find(&registry->open, ID_STR(record->id));
    if (cached != NULL && cached->record->revision == record->revision) {
        used = cache_find(registry, record);
        stale = fresh;
    } else if (cached == NULL || cached->record->revision < record->revision) {
        /* A holder of an old record does not push the newer channel out: it keeps its own. */
        struct err ignored;
        void *replaced = NULL;

        if (cached != NULL)
            stale = cache_take_out(registry, cached);
        if (registry->open.count >= registry->cached_max && registry->oldest != NULL)
            crowded = cache_take_out(registry, registry->oldest);
        if (map_put(&registry->open, ID_STR(record->id), fresh, &replaced, &ignored) == ST_OK) {
            atomic_fetch_add(&fresh->refs, 1);
            cache_link_newest(registry, fresh);
        }
    }
    pthread_mutex_unlock(&registry->lock);
    channel_release(&stale);
    channel_release(&crowded);
    return used;
}

enum status
channel_acquire(struct channel_registry *registry, const struct channel_record *record,
                struct channel **channel_out, struct err *err)
{
    struct channel *former = NULL, *fresh = NULL;
    enum status st;

    *channel_out = find_cached(registry, record, &former);
    if (*channel_out != NULL)
        return ST_OK;
    st = open_channel(registry, record, &fresh, err);
    if (fresh != NULL && former != NULL && former->driver == fresh->driver &&
        fresh->driver->inherit != NULL)
        fresh->driver->inherit(fresh, former);
    channel_release(&former);
    if (fresh != NULL)
        *channel_out = publish(registry, fresh);
    return st;
}

void
channel_registry_limit(struct channel_registry *registry, size_t cached_max)
{
    assert(cached_max >= 1 && cached_max <= CACHED_CHANNELS_MAX);
    pthread_mutex_lock(&registry->lock);
    registry->cached_max = cached_max;
    pthread_mutex_unlock(&registry->lock);
}

void
channel_registry_destroy(struct channel_registry **registry_ptr)
{
    struct channel_registry *registry = *registry_ptr;

    *registry_ptr = NULL;
    if (registry == NULL)
        return;
    while (registry->oldest != NULL) {
        struct channel *channel = cache_take_out(registry, registry->oldest);
        channel_release(&channel);
    }
    map_deinit(&registry->open);
    pthread_mutex_destroy(&registry->lock);
    free(registry);
}

/* --- what a channel does --- */

unsigned
channel_caps(const struct channel *channel)
{
    return channel->driver->caps;
}

const struct channel_record *
channel_record(const struct channel *channel)
{
    return channel->record;
}

int64_t
channel_burst_window_ms(const struct channel *channel)
{
    return json_get_int(channel->record->settings, "burst_window_ms",
                        channel->driver->burst_window_ms);
}

bool
channel_resends_uncertain(const struct channel *channel)
{
    return str_eq_c(json_get_str(channel->record->settings, "on_uncertain"), "resend");
}

bool
channel_is_reply_only(const struct channel *channel)
{
    return (channel->driver->caps & CHANNEL_REPLY_ONLY) != 0 ||
           json_get_bool(channel->record->settings, "reply_only", false);
}

/* ST_NOT_FOUND: an ordinary webhook. */
static enum status
shake_hands(const struct channel_driver *driver, const struct channel_record *record,
            struct channel_verification *verification, struct err *err)
{
    const struct webhook *webhook = verification->webhook;
    enum status st = ST_NOT_FOUND;

    if (driver->handshake != NULL)
        st = driver->handshake(record, webhook, verification->registry->env, verification->arena,
                               &verification->reply, err);
    verification->is_handshake = st == ST_OK;
    if (st == ST_NOT_FOUND && webhook->request->method == HTTP_GET)
        return err_set(err, ST_DENIED, "the provider posts to this address");
    return st;
}

static struct metric verify_seconds = {
    .name = "parley_channel_verify_seconds",
    .help = "Time of proving who calls a webhook, by source and result",
    .kind = METRIC_HISTOGRAM,
    .labels = {"source", "result"},
};

static enum status
verify(const struct channel_driver *driver, const struct channel_record *record,
       struct channel_verification *verification, struct err *err)
{
    const struct webhook *webhook = verification->webhook;

    verification->is_handshake = false;
    if (verification->arena != NULL && webhook->request != NULL) {
        enum status st = shake_hands(driver, record, verification, err);

        if (st != ST_NOT_FOUND)
            return st;
    }
    return driver->verify(record, webhook, verification->registry->env, err);
}

enum status
channel_verify(const struct channel_record *record, void *arg, struct err *err)
{
    struct channel_verification *verification = arg;
    const struct channel_registry *registry = verification->registry;
    const struct channel_driver *driver = channel_driver_find(registry, record->source);
    int64_t start_us = clock_mono_us(clock_system());
    enum status st;

    if (driver == NULL)
        return err_set(err, ST_DENIED, "no driver for channels of \"%.*s\"",
                       STR_ARG(record->source));
    st = verify(driver, record, verification, err);
    metric_observe(&verify_seconds,
                   (double)(clock_mono_us(clock_system()) - start_us) / (double)US_PER_S,
                   record->source, str_from_c(status_name(st)), STR_EMPTY);
    return st;
}

const char *
channel_attachment_kind(struct str mime_type)
{
    if (str_starts_with(mime_type, STR("image/")))
        return "image";
    if (str_starts_with(mime_type, STR("audio/")))
        return "audio";
    return str_starts_with(mime_type, STR("video/")) ? "video" : "document";
}

enum status
channel_sort(const struct channel_registry *registry, struct str source,
             const struct webhook *webhook, struct arena *arena, struct channel_share **shares_out,
             size_t *count_out, struct err *err)
{
    const struct channel_driver *driver = channel_driver_find(registry, source);

    *shares_out = NULL;
    *count_out = 0;
    if (driver == NULL || driver->sort == NULL)
        return ST_OK;
    return driver->sort(webhook, arena, shares_out, count_out, err);
}

struct webhook_reply
channel_accepted(const struct channel *channel)
{
    const struct channel_driver *driver = channel->driver;

    if (driver->accepted_type != NULL)
        return (struct webhook_reply){200, driver->accepted_type,
                                      str_from_c(driver->accepted_body)};
    return (struct webhook_reply){200, "application/json", STR("{\"ok\":true}")};
}

enum status
channel_parse(struct channel *channel, const struct webhook *webhook, struct arena *arena,
              struct inbound_batch *batch_out, struct err *err)
{
    *batch_out = (struct inbound_batch){.arena = arena};
    enum status st = channel->driver->parse(channel, webhook, batch_out, err);
    if (st != ST_OK)
        inbound_batch_deinit(batch_out);
    return st;
}

void
inbound_batch_deinit(struct inbound_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        json_decref(batch->items[i].metadata);
        batch->items[i].metadata = NULL;
    }
    batch->count = 0;
    batch->items = NULL;
}

size_t
channel_split(struct channel *channel, struct str text, struct arena *arena, struct str **parts_out)
{
    *parts_out = NULL;
    if (text.len == 0)
        return 0;
    size_t count = channel->driver->split(channel, text, arena, parts_out);
    if (count > 0)
        return count;
    /* Nothing but white space: the provider's own refusal is a better answer than silence. */
    *parts_out = ARENA_NEW(arena, struct str);
    (*parts_out)[0] = text;
    return 1;
}

/* A provider's words, before anybody logs or keeps them. */
static enum status
scrubbed(const struct channel *channel, const struct outbound *outbound, enum status st,
         struct err *err)
{
    struct scrub scrub = {.credentials = channel->record->credentials};

    if (outbound != NULL) {
        scrub.text = outbound->text;
        scrub.recipient = outbound->external_chat_id;
    }
    if (st != ST_OK)
        scrub_err(&scrub, err);
    return st;
}

enum status
channel_send(struct channel *channel, const struct outbound *outbound, struct arena *arena,
             struct delivery *delivery_out, struct err *err)
{
    *delivery_out = (struct delivery){.external_message_id = STR_EMPTY};
    if (outbound->external_chat_id.len == 0)
        return err_set(err, ST_INVALID, "the message has no chat to go to");
    return scrubbed(channel, outbound,
                    channel->driver->send(channel, outbound, arena, delivery_out, err), err);
}

void
channel_typing(struct channel *channel, struct str external_chat_id)
{
    if ((channel->driver->caps & CHANNEL_CAN_TYPE) != 0 && external_chat_id.len > 0)
        channel->driver->typing(channel, external_chat_id);
}

unsigned
channel_typing_interval_ms(const struct channel *channel)
{
    return channel->driver->typing_interval_ms;
}

void
channel_draft(struct channel *channel, struct str external_chat_id, int64_t draft_id,
              struct str text)
{
    if ((channel->driver->caps & CHANNEL_SHOWS_DRAFTS) != 0 && external_chat_id.len > 0)
        channel->driver->draft(channel, external_chat_id, draft_id, text);
}

unsigned
channel_draft_interval_ms(const struct channel *channel)
{
    return channel->driver->draft_interval_ms;
}

void
channel_acknowledge(struct channel *channel, struct str acknowledge)
{
    if (channel->driver->acknowledge != NULL && acknowledge.len > 0)
        channel->driver->acknowledge(channel, acknowledge);
}

static enum status
cannot(const struct channel *channel, const char *what, struct err *err)
{
    return err_set(err, ST_INVALID, "channels of %s cannot %s", channel->driver->source, what);
}

bool
channel_grows_in(const struct channel *channel, struct str external_chat_id)
{
    const struct channel_driver *driver = channel->driver;

    return (driver->caps & CHANNEL_GROWS) != 0 &&
           (driver->grows_in == NULL || driver->grows_in(external_chat_id));
}

enum status
channel_begin(struct channel *channel, const struct outbound *outbound, struct arena *arena,
              struct delivery *delivery_out, struct err *err)
{
    *delivery_out = (struct delivery){.external_message_id = STR_EMPTY};
    if (!channel_grows_in(channel, outbound->external_chat_id))
        return cannot(channel, "show an answer that is being made", err);
    return scrubbed(channel, outbound,
                    channel->driver->begin(channel, outbound, arena, delivery_out, err), err);
}

void
channel_grow(struct channel *channel, const struct outbound *outbound,
             struct str external_message_id, unsigned step)
{
    if ((channel->driver->caps & CHANNEL_GROWS) != 0)
        channel->driver->grow(channel, outbound, external_message_id, step);
}

/* It may be repeated: without an answer it is simply to be done again. */
static enum status
repeatable(enum status st, struct err *err)
{
    return st == ST_UNCERTAIN ? err_set(err, ST_UNAVAILABLE, "the provider did not answer") : st;
}

enum status
channel_edit(struct channel *channel, const struct outbound *outbound,
             struct str external_message_id, struct err *err)
{
    if ((channel->driver->caps & CHANNEL_GROWS) == 0)
        return cannot(channel, "edit a sent message", err);
    return repeatable(scrubbed(channel, outbound,
                               channel->driver->edit(channel, outbound, external_message_id, err),
                               err),
                      err);
}

enum status
channel_withdraw(struct channel *channel, struct str external_chat_id,
                 struct str external_message_id, struct err *err)
{
    if ((channel->driver->caps & CHANNEL_GROWS) == 0)
        return cannot(channel, "withdraw a message", err);
    return repeatable(
        scrubbed(channel, NULL,
                 channel->driver->withdraw(channel, external_chat_id, external_message_id, err),
                 err),
        err);
}

enum status
channel_find(struct channel *channel, const struct outbound *outbound, int64_t sent_us,
             struct arena *arena, struct delivery *delivery_out, struct err *err)
{
    *delivery_out = (struct delivery){.external_message_id = STR_EMPTY};
    if ((channel->driver->caps & CHANNEL_FINDS) == 0)
        return cannot(channel, "be searched for what was sent", err);
    return repeatable(
        scrubbed(channel, outbound,
                 channel->driver->find(channel, outbound, sent_us, arena, delivery_out, err), err),
        err);
}

enum status
channel_fetch_media(struct channel *channel, const json_t *attachment,
                    const struct media_sink *sink, struct arena *arena, struct str *mime_type_out,
                    struct err *err)
{
    *mime_type_out = STR_EMPTY;
    if ((channel->driver->caps & CHANNEL_HAS_MEDIA) == 0)
        return cannot(channel, "fetch attachments", err);
    return scrubbed(
        channel, NULL,
        channel->driver->fetch_media(channel, attachment, sink, arena, mime_type_out, err), err);
}

enum status
channel_read_carried(struct channel *channel, struct str content_type, struct str body,
                     struct arena *arena, struct str **files_out, size_t *count_out,
                     struct err *err)
{
    *files_out = NULL;
    *count_out = 0;
    if ((channel->driver->caps & CHANNEL_CARRIES_MEDIA) == 0)
        return cannot(channel, "carry attachments", err);
    return channel->driver->read_carried(channel, content_type, body, arena, files_out, count_out,
                                         err);
}

struct str
channel_reference(const struct outbound *outbound, struct arena *arena)
{
    return arena_printf(arena, "%s:%u", outbound->message_id.id.text, outbound->part);
}

struct str
channel_list_buttons(struct str text, const json_t *metadata, struct arena *arena)
{
    const json_t *buttons = json_get_array(metadata, "buttons");
    struct str out = text;
    size_t i;
    json_t *button;

    json_array_foreach (buttons, i, button) {
        struct str title = json_get_str(button, "title"), url = json_get_str(button, "url");

        out = arena_printf(arena, "%.*s%s%zu. %.*s%s%.*s", STR_ARG(out),
                           i > 0          ? "\n"
                           : text.len > 0 ? "\n\n"
                                          : "",
                           i + 1, STR_ARG(title), url.len > 0 ? ": " : "", STR_ARG(url));
    }
    return out;
}

enum status
channel_probe(struct channel *channel, struct arena *arena, struct str *account_out,
              struct err *err)
{
    *account_out = STR_EMPTY;
    return scrubbed(channel, NULL, channel->driver->probe(channel, arena, account_out, err), err);
}

bool
channel_is_refreshed(const struct channel_registry *registry, const struct channel_record *record)
{
    const struct channel_driver *driver = channel_driver_find(registry, record->source);

    return driver != NULL && driver->refresh != NULL;
}

enum status
channel_refresh(struct channel *channel, struct arena *arena, json_t **credentials_out,
                int64_t *lasts_us_out, struct err *err)
{
    *credentials_out = NULL;
    if (channel->driver->refresh == NULL)
        return err_set(err, ST_NOT_FOUND, "these credentials do not end");
    return scrubbed(channel, NULL,
                    channel->driver->refresh(channel, arena, credentials_out, lasts_us_out, err),
                    err);
}

enum status
channel_register(struct channel *channel, struct str url, struct err *err)
{
    if ((channel->driver->caps & CHANNEL_CAN_REGISTER) == 0)
        return cannot(channel, "register their own webhook", err);
    return scrubbed(channel, NULL, channel->driver->registration(channel, url, err), err);
}

bool
channel_driver_is_polled(const struct channel_registry *registry,
                         const struct channel_driver *driver)
{
    return (driver->caps & CHANNEL_CAN_POLL) != 0 &&
           (driver->is_polled != NULL || registry->env->public_url.len == 0);
}

bool
channel_is_polled(const struct channel_registry *registry, const struct channel_record *record)
{
    const struct channel_driver *driver = channel_driver_find(registry, record->source);

    return driver != NULL && channel_driver_is_polled(registry, driver) &&
           (driver->is_polled == NULL || driver->is_polled(record));
}

json_t *
channel_new_credentials(struct channel *channel)
{
    json_t *credentials;

    if (channel->driver->renew_credentials == NULL)
        return NULL;
    credentials = json_deep_copy(channel->record->credentials);
    if (credentials == NULL)
        abort();
    if (channel->driver->renew_credentials(channel, credentials))
        return credentials;
    json_decref(credentials);
    return NULL;
}

enum status
channel_poll(struct channel *channel, struct str cursor, unsigned wait_ms, struct arena *arena,
             struct channel_poll *poll_out, struct err *err)
{
    *poll_out = (struct channel_poll){.cursor = cursor};
    if ((channel->driver->caps & CHANNEL_CAN_POLL) == 0)
        return cannot(channel, "be polled", err);
    return scrubbed(channel, NULL,
                    channel->driver->poll(channel, cursor, wait_ms, arena, poll_out, err), err);
}
