/*
 * redis_reader.c - the two threads that read wake-ups from Redis
 *
 * Sharing: an entry goes to one process, which asks only for topics it has free workers for: what
 * it does not take stays for others. Entries are acknowledged when the queue has heard of them;
 * what a consumer that died had not acknowledged is claimed by whoever looks next.
 * Hearing: each process keeps its own place in the one stream of what is due later.
 * Whenever entries may have been lost (a new connection, a group that is gone) the queue is told to
 * look into the tables.
 */
#include "queue/transports/redis_transport.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

#define CLAIM_IDLE_MS 10000
#define CLAIM_EVERY_MS 5000
#define STALE_CONSUMER_MS (3600 * 1000)
#define BLOCK_MS 500     /* a topic that is served from now on is read after this */
#define BLOCK_FULL_MS 50 /* a worker that became free gets new entries after this */
#define REPLY_MS 2000
#define READ_COUNT STR_INIT("16")
#define CLAIM_COUNT STR_INIT("100")

static int64_t
now_us(void)
{
    return clock_mono_us(clock_system());
}

static struct str
key_of(const char *topic, char out[sizeof(REDIS_WAKEUP_KEY) + TURNS_MAX_TOPIC_BYTES])
{
    int len = snprintf(out, sizeof(REDIS_WAKEUP_KEY) + TURNS_MAX_TOPIC_BYTES, "%s%s",
                       REDIS_WAKEUP_KEY, topic);

    return str_of(out, (size_t)len);
}

/* ---------------------------------------------------------------- entries */

/* [name, value, ...] in any order; others are ignored, so that a newer version may add some. */
static bool
parse(const struct redis_reply *fields, struct queue_wakeup *wakeup_out)
{
    struct str values[REDIS_FIELDS] = {{NULL, 0}};
    struct err err;

    for (size_t i = 0; i + 1 < redis_reply_count(fields); i += 2) {
        for (size_t f = 0; f < REDIS_FIELDS; f++) {
            if (str_eq(redis_reply_text(redis_reply_at(fields, i)), redis_field_names[f]))
                values[f] = redis_reply_text(redis_reply_at(fields, i + 1));
        }
    }
    *wakeup_out = (struct queue_wakeup){.topic = values[FIELD_TOPIC], .lane = values[FIELD_LANE]};
    return ID_PARSE(values[FIELD_ORGANIZATION], &wakeup_out->organization_id, &err) == ST_OK &&
           (values[FIELD_USER].len == 0 ||
            ID_PARSE(values[FIELD_USER], &wakeup_out->user_id, &err) == ST_OK) &&
           ID_PARSE(values[FIELD_JOB], &wakeup_out->job_id, &err) == ST_OK &&
           str_to_i64(values[FIELD_DUE], &wakeup_out->due_us) && wakeup_out->due_us >= 0;
}

static void
deliver(struct redis_transport *transport, const struct redis_reply *entry, struct str how)
{
    const struct redis_reply *fields = redis_reply_at(entry, 1);
    struct queue_wakeup wakeup;

    if (redis_reply_count(fields) == 0)
        return; /* trimmed before it was claimed */
    if (!parse(fields, &wakeup)) {
        wakeup_count_bad();
        return;
    }
    if (!wakeup_is_served(&transport->base, wakeup.topic))
        return;
    wakeup_count_received(how);
    transport->base.on_wakeup(&wakeup, transport->base.context);
}

/* Delivers entries [[id, fields], ...] and acknowledges them: the reply is due then. */
static enum status
deliver_and_ack(struct redis_transport *transport, struct str key,
                const struct redis_reply *entries, struct str how, struct err *err)
{
    enum status st = ST_OK;

    for (size_t i = 0; i < redis_reply_count(entries) && st == ST_OK; i++) {
        const struct redis_reply *entry = redis_reply_at(entries, i);

        deliver(transport, entry, how);
        st = redis_send(
            transport->sharing,
            REDIS_ARGS(STR("XACK"), key, REDIS_GROUP, redis_reply_text(redis_reply_at(entry, 0))),
            err);
    }
    return st;
}

/* ---------------------------------------------------------------- groups */

/* From the stream's beginning: what came before the group was there is not lost. */
static enum status
make_group(struct redis_transport *transport, const char *topic, struct err *err)
{
    char key[sizeof(REDIS_WAKEUP_KEY) + TURNS_MAX_TOPIC_BYTES];
    enum status st = redis_call(transport->sharing, REPLY_MS,
                                REDIS_ARGS(STR("XGROUP"), STR("CREATE"), key_of(topic, key),
                                           REDIS_GROUP, STR("0"), STR("MKSTREAM")),
                                NULL, err);

    return st == ST_CONFLICT ? ST_OK : st;
}

static enum status
make_new_groups(struct redis_transport *transport, const struct queue_served_topic *topics,
                size_t count, struct err *err)
{
    enum status st = ST_OK;

    for (size_t i = 0; i < count && st == ST_OK; i++) {
        bool known = false;

        for (size_t k = 0; k < transport->known_count; k++)
            known = known || strcmp(transport->known_topics[k], topics[i].name) == 0;
        if (known)
            continue;
        st = make_group(transport, topics[i].name, err);
        if (st == ST_OK)
            memcpy(transport->known_topics[transport->known_count++], topics[i].name,
                   sizeof(topics[i].name));
    }
    return st;
}

/* ---------------------------------------------------------------- the dead */

/* A consumer's fields: [name, value, ...] */
static const struct redis_reply *
find_field(const struct redis_reply *fields, const char *name)
{
    for (size_t i = 0; i + 1 < redis_reply_count(fields); i += 2) {
        if (str_eq_c(redis_reply_text(redis_reply_at(fields, i)), name))
            return redis_reply_at(fields, i + 1);
    }
    return NULL;
}

/* Processes that ended leave their names. One with entries is kept until these are claimed. */
static enum status
remove_stale(struct redis_transport *transport, struct str key, struct err *err)
{
    struct redis_reply *reply = NULL;
    enum status st =
        redis_call(transport->sharing, REPLY_MS,
                   REDIS_ARGS(STR("XINFO"), STR("CONSUMERS"), key, REDIS_GROUP), &reply, err);

    for (size_t i = 0; i < redis_reply_count(reply) && st == ST_OK; i++) {
        const struct redis_reply *consumer = redis_reply_at(reply, i);

        if (redis_reply_int(find_field(consumer, "pending")) == 0 &&
            redis_reply_int(find_field(consumer, "idle")) > STALE_CONSUMER_MS)
            st = redis_call(transport->sharing, REPLY_MS,
                            REDIS_ARGS(STR("XGROUP"), STR("DELCONSUMER"), key, REDIS_GROUP,
                                       redis_reply_text(find_field(consumer, "name"))),
                            NULL, err);
    }
    redis_reply_free(&reply);
    return st;
}

/* All replies that are due, which say nothing new. */
static enum status
take_acks(struct redis_transport *transport, struct err *err)
{
    int64_t deadline_us = now_us() + REPLY_MS * US_PER_MS;
    enum status st = ST_OK;

    while (st == ST_OK && redis_due(transport->sharing) > 0) {
        struct redis_reply *reply;

        st = redis_receive(transport->sharing, deadline_us, &reply, err);
        redis_reply_free(&reply);
    }
    return st;
}

static enum status
claim_topic(struct redis_transport *transport, const char *topic, struct err *err)
{
    char key_bytes[sizeof(REDIS_WAKEUP_KEY) + TURNS_MAX_TOPIC_BYTES];
    struct str key = key_of(topic, key_bytes);
    int idle_ms =
        transport->base.claim_idle_ms == 0 ? CLAIM_IDLE_MS : transport->base.claim_idle_ms;
    char idle[16];
    char cursor[48] = "0-0";
    enum status st = ST_OK;

    (void)snprintf(idle, sizeof(idle), "%d", idle_ms);
    do {
        struct redis_reply *reply = NULL;

        st =
            redis_call(transport->sharing, REPLY_MS,
                       REDIS_ARGS(STR("XAUTOCLAIM"), key, REDIS_GROUP, id_str(&transport->consumer),
                                  str_from_c(idle), str_from_c(cursor), STR("COUNT"), CLAIM_COUNT),
                       &reply, err);
        if (st == ST_OK) {
            (void)snprintf(cursor, sizeof(cursor), "%.*s",
                           STR_ARG(redis_reply_text(redis_reply_at(reply, 0))));
            st = deliver_and_ack(transport, key, redis_reply_at(reply, 1), STR("claimed"), err);
        }
        redis_reply_free(&reply);
        if (st == ST_OK)
            st = take_acks(transport, err);
    } while (st == ST_OK && strcmp(cursor, "0-0") != 0);
    return st == ST_OK ? remove_stale(transport, key, err) : st;
}

static enum status
claim_when_due(struct redis_transport *transport, struct err *err)
{
    int every_ms =
        transport->base.claim_every_ms == 0 ? CLAIM_EVERY_MS : transport->base.claim_every_ms;
    enum status st = ST_OK;

    if (now_us() < transport->claim_at_us)
        return ST_OK;
    /* Half of it at random: processes do not all look at once. */
    transport->claim_at_us =
        now_us() + (every_ms / 2 + random_below((uint32_t)every_ms / 2 + 1)) * US_PER_MS;
    for (size_t i = 0; i < transport->known_count && st == ST_OK; i++)
        st = claim_topic(transport, transport->known_topics[i], err);
    return st;
}

/* ---------------------------------------------------------------- sharing */

#define READ_ARGS (9 + 2 * TURNS_MAX_TOPICS)

/* Asks for entries of the topics with room. False: there is no such topic. */
static bool
ask(struct redis_transport *transport, const struct queue_served_topic *topics, size_t count,
    enum status *st_out, struct err *err)
{
    char keys[TURNS_MAX_TOPICS][sizeof(REDIS_WAKEUP_KEY) + TURNS_MAX_TOPIC_BYTES];
    struct str args[READ_ARGS] = {
        STR("XREADGROUP"), STR("GROUP"), REDIS_GROUP, id_str(&transport->consumer),
        STR("COUNT"),      READ_COUNT,   STR("BLOCK")};
    char block[16];
    size_t asked = 0;

    for (size_t i = 0; i < count; i++) {
        if (topics[i].room > 0)
            args[9 + asked] = key_of(topics[i].name, keys[asked]), asked++;
    }
    if (asked == 0)
        return false;
    for (size_t i = 0; i < asked; i++)
        args[9 + asked + i] = STR(">");
    (void)snprintf(block, sizeof(block), "%d", asked < count ? BLOCK_FULL_MS : BLOCK_MS);
    args[7] = str_from_c(block);
    args[8] = STR("STREAMS");
    *st_out = redis_send(transport->sharing, args, 9 + 2 * asked, err);
    return true;
}

/* The last reply that is due is the read's; those before it are of acknowledgements. */
static enum status
take_entries(struct redis_transport *transport, struct err *err)
{
    int64_t deadline_us = now_us() + (BLOCK_MS + REPLY_MS) * US_PER_MS;
    struct redis_reply *reply = NULL;
    enum status st;

    do {
        redis_reply_free(&reply);
        st = redis_receive(transport->sharing, deadline_us, &reply, err);
    } while (st == ST_OK && redis_due(transport->sharing) > 0);
    if (st == ST_OK)
        st = redis_check(transport->sharing, reply, err);
    for (size_t i = 0; i < redis_reply_count(reply) && st == ST_OK; i++) {
        const struct redis_reply *stream = redis_reply_at(reply, i);

        st = deliver_and_ack(transport, redis_reply_text(redis_reply_at(stream, 0)),
                             redis_reply_at(stream, 1), STR("shared"), err);
    }
    redis_reply_free(&reply);
    return st;
}

static enum status
share_once(struct redis_transport *transport, struct err *err)
{
    struct queue_served_topic topics[TURNS_MAX_TOPICS];
    size_t count = transport->base.served(topics, transport->base.context);
    enum status st = make_new_groups(transport, topics, count, err);

    if (st == ST_OK)
        st = claim_when_due(transport, err);
    if (st != ST_OK)
        return st;
    if (ask(transport, topics, count, &st, err))
        return st == ST_OK ? take_entries(transport, err) : st;
    st = take_acks(transport, err);
    if (st == ST_OK) { /* nothing will come: this only waits, and notices a lost connection */
        struct redis_reply *reply;

        st = redis_receive(transport->sharing, now_us() + BLOCK_FULL_MS * US_PER_MS, &reply, err);
        redis_reply_free(&reply);
    }
    return st == ST_BUSY && redis_is_connected(transport->sharing) ? ST_OK : st;
}

void *
redis_transport_share(void *arg)
{
    struct redis_transport *transport = arg;
    struct redis *redis = transport->sharing;

    while (!redis_is_stopped(redis)) {
        bool fresh = !redis_is_connected(redis);
        struct err err;
        enum status st = redis_connect(redis, &err);

        if (st != ST_OK)
            continue;
        if (fresh)
            transport->base.on_gap(transport->base.context);
        st = share_once(transport, &err);
        if (st == ST_NOT_FOUND) { /* flushed: groups and entries are gone */
            LOG_ERR(LOG_WARN, "queue.transport_flushed", &err);
            transport->known_count = 0;
            transport->base.on_gap(transport->base.context);
        } else if (st != ST_OK && st != ST_UNAVAILABLE) {
            LOG_ERR(LOG_ERROR, "queue.transport_failed", &err);
        }
        if (st != ST_OK && st != ST_NOT_FOUND && redis_is_connected(redis))
            redis_give_up(redis);
        if (!redis_is_connected(redis))
            transport->known_count = 0; /* another server may know no group */
    }
    return NULL;
}

/* ---------------------------------------------------------------- hearing */

static bool
parse_entry_id(struct str id, int64_t *time_out, int64_t *number_out)
{
    struct str time;

    return str_split(&id, '-', &time) && str_to_i64(time, time_out) && str_to_i64(id, number_out);
}

static bool
is_behind(struct str id, struct str other)
{
    int64_t a_time, a_number, b_time, b_number;

    if (!parse_entry_id(id, &a_time, &a_number) || !parse_entry_id(other, &b_time, &b_number))
        return true;
    return a_time < b_time || (a_time == b_time && a_number < b_number);
}

/* The first time: from now on. Later: from where we were, unless the stream began anew before that.
 */
static enum status
find_place(struct redis_transport *transport, struct err *err)
{
    struct redis_reply *reply = NULL;
    struct str last;
    enum status st = redis_call(
        transport->hearing, REPLY_MS,
        REDIS_ARGS(STR("XREVRANGE"), REDIS_LATER_KEY, STR("+"), STR("-"), STR("COUNT"), STR("1")),
        &reply, err);

    if (st == ST_OK) {
        last = redis_reply_text(redis_reply_at(redis_reply_at(reply, 0), 0));
        if (transport->heard[0] == '\0' && last.len > 0)
            (void)snprintf(transport->heard, sizeof(transport->heard), "%.*s", STR_ARG(last));
        else if (last.len == 0 || is_behind(last, str_from_c(transport->heard)))
            (void)snprintf(transport->heard, sizeof(transport->heard), "0-0");
    }
    redis_reply_free(&reply);
    return st;
}

static enum status
hear_once(struct redis_transport *transport, struct err *err)
{
    struct redis_reply *reply = NULL;
    const struct redis_reply *entries;
    char block[16];
    enum status st;

    (void)snprintf(block, sizeof(block), "%d", BLOCK_MS);
    st = redis_call(transport->hearing, BLOCK_MS + REPLY_MS,
                    REDIS_ARGS(STR("XREAD"), STR("COUNT"), CLAIM_COUNT, STR("BLOCK"),
                               str_from_c(block), STR("STREAMS"), REDIS_LATER_KEY,
                               str_from_c(transport->heard)),
                    &reply, err);
    entries = redis_reply_at(redis_reply_at(reply, 0), 1);
    for (size_t i = 0; i < redis_reply_count(entries); i++) {
        const struct redis_reply *entry = redis_reply_at(entries, i);

        deliver(transport, entry, STR("heard"));
        (void)snprintf(transport->heard, sizeof(transport->heard), "%.*s",
                       STR_ARG(redis_reply_text(redis_reply_at(entry, 0))));
    }
    redis_reply_free(&reply);
    return st;
}

void *
redis_transport_hear(void *arg)
{
    struct redis_transport *transport = arg;
    struct redis *redis = transport->hearing;

    while (!redis_is_stopped(redis)) {
        bool fresh = !redis_is_connected(redis);
        struct err err;
        enum status st = redis_connect(redis, &err);

        if (st != ST_OK)
            continue;
        if (fresh) {
            st = find_place(transport, &err);
            transport->base.on_gap(transport->base.context);
        }
        if (st == ST_OK)
            st = hear_once(transport, &err);
        if (st == ST_NOT_FOUND) { /* flushed */
            (void)snprintf(transport->heard, sizeof(transport->heard), "0-0");
            transport->base.on_gap(transport->base.context);
            continue;
        }
        if (st != ST_OK && st != ST_UNAVAILABLE)
            LOG_ERR(LOG_ERROR, "queue.transport_failed", &err);
        if (st != ST_OK && redis_is_connected(redis))
            redis_give_up(redis);
    }
    return NULL;
}
