/*
 * pgsql.c - wake-ups between processes through PostgreSQL's LISTEN and NOTIFY
 *
 * One thread with one session listens and sends. publish puts a copy into a bounded list; the
 * thread packs many into one notification, and forgets them when the server has confirmed it.
 * Notifications are not part of the transactions whose jobs they tell of: a commit that notifies
 * holds a lock of the whole server until it is on the disk, and would make all organizations wait
 * for each other.
 *
 * A notification reaches every process. Each that serves the topic notes it as one mark for
 * organization and topic, which a worker looks at once it is free; a process that forgot it while
 * all are busy would leave the job to a sweep. Claims come one after the other and skip what is
 * claimed, so a mark too many costs one look into an index.
 *
 * Nothing is kept for whoever does not listen: a new session is told to the queue as a gap.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/thread.h"
#include "queue/transports/pgsql_transport_sql.h"
#include "queue/transports/wakeup_list.h"
#include "store/pgsql_session.h"

#define BATCH 64
#define MAX_PAYLOAD_BYTES 7900 /* the server's limit is 8000 */
#define REPLY_MS 2000
#define PING_US (2 * US_PER_S)

struct pgsql_transport {
    struct queue_transport base;
    struct pgsql_session *session; /* of the thread */
    struct wakeup_list list;
    pthread_t thread;
    bool opened, started;
    _Atomic bool connected;
    struct buf payload; /* of the thread, as the next */
    int64_t ping_us;
};

/* ---------------------------------------------------------------- the payload's lines */

/* Outsiders choose lanes: whatever their bytes are, a line stays one, in ASCII. */
static void
append_escaped(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];

        if (byte > ' ' && byte < 0x7f && byte != '%')
            buf_append_byte(out, text.ptr[i]);
        else
            buf_printf(out, "%%%02X", byte);
    }
}

static void
append_wakeup(struct buf *out, const struct pending_wakeup *wakeup)
{
    buf_printf(out, "%s %s ", wakeup->organization_id.id.text, wakeup->user_id.id.text);
    append_escaped(out, str_from_c(wakeup->topic));
    buf_append_byte(out, ' ');
    append_escaped(out, str_of(wakeup->lane, wakeup->lane_len));
    buf_printf(out, " %s %" PRId64 "\n", wakeup->job_id.id.text, wakeup->due_us);
}

static int
hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

static bool
unescape(struct str text, char *out, size_t size, struct str *text_out)
{
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        char byte = text.ptr[i];

        if (byte == '%') {
            int high = text.len - i > 2 ? hex_value(text.ptr[i + 1]) : -1;
            int low = text.len - i > 2 ? hex_value(text.ptr[i + 2]) : -1;

            if (high < 0 || low < 0)
                return false;
            byte = (char)(high * 16 + low);
            i += 2;
        }
        if (len == size)
            return false;
        out[len++] = byte;
    }
    *text_out = str_of(out, len);
    return true;
}

/* Further fields are ignored, so that a newer version may add some. */
static void
deliver(struct pgsql_transport *transport, struct str line)
{
    char topic[TURNS_MAX_TOPIC_BYTES], lane[WAKEUP_MAX_LANE_BYTES];
    struct str fields[6] = {STR_EMPTY};
    struct queue_wakeup wakeup = {.due_us = -1};
    struct err err;
    size_t count = 0;

    while (count < 6 && str_split(&line, ' ', &fields[count]))
        count++;
    if (count < 6 || ID_PARSE(fields[0], &wakeup.organization_id, &err) != ST_OK ||
        (fields[1].len > 0 && ID_PARSE(fields[1], &wakeup.user_id, &err) != ST_OK) ||
        !unescape(fields[2], topic, sizeof(topic), &wakeup.topic) ||
        !unescape(fields[3], lane, sizeof(lane), &wakeup.lane) ||
        ID_PARSE(fields[4], &wakeup.job_id, &err) != ST_OK ||
        !str_to_i64(fields[5], &wakeup.due_us) || wakeup.due_us < 0) {
        wakeup_count_bad();
        return;
    }
    if (!wakeup_is_served(&transport->base, wakeup.topic))
        return;
    wakeup_count_received(STR("heard"));
    transport->base.on_wakeup(&wakeup, transport->base.context);
}

static void
deliver_all(struct pgsql_transport *transport, PGnotify *notify)
{
    for (; notify != NULL; notify = pgsql_session_heard(transport->session)) {
        struct str lines = str_from_c(notify->extra);
        struct str line;

        while (str_split(&lines, '\n', &line)) {
            if (line.len > 0)
                deliver(transport, line);
        }
        PQfreemem(notify);
    }
}

/* ---------------------------------------------------------------- the thread */

/* As many as fit into one notification. */
static size_t
pack_payload(struct pgsql_transport *transport, const struct pending_wakeup *wakeup, size_t count)
{
    struct buf *payload = &transport->payload;
    size_t packed = 0;

    buf_clear(payload);
    while (packed < count) {
        size_t before = payload->len;

        append_wakeup(payload, wakeup);
        if (payload->len > MAX_PAYLOAD_BYTES && packed > 0) {
            payload->len = before;
            break;
        }
        if (++packed < count)
            wakeup = wakeup->next;
    }
    buf_append_byte(payload, '\0');
    return packed;
}

/* Until the list is empty. A server's answer comes behind what it notified of before, so what
 * others sent is delivered in between. */
static enum status
send_pending(struct pgsql_transport *transport, struct err *err)
{
    const struct pending_wakeup *first;
    size_t count;
    enum status st = ST_OK;

    while (st == ST_OK && (first = wakeup_list_look(&transport->list, BATCH, &count)) != NULL) {
        size_t packed = pack_payload(transport, first, count);
        const char *payload = transport->payload.ptr;

        st = pgsql_session_call(transport->session, REPLY_MS, "parley_wakeup", 1, &payload, NULL,
                                err);
        if (st == ST_UNAVAILABLE)
            break;
        if (st != ST_OK) /* it would be refused again */
            LOG_ERR(LOG_ERROR, "queue.wakeup_refused", err);
        wakeup_list_forget(&transport->list, packed, st == ST_OK);
        st = ST_OK;
        deliver_all(transport, pgsql_session_heard(transport->session));
    }
    return st;
}

/* A server that says nothing is asked whether it is there. */
static enum status
serve(struct pgsql_transport *transport, struct err *err)
{
    PGnotify *notify = NULL;
    enum status st = send_pending(transport, err);

    if (st == ST_OK)
        st = pgsql_session_hear(transport->session, transport->ping_us, &notify, err);
    if (st == ST_OK)
        deliver_all(transport, notify);
    if (st == ST_BUSY) /* woken, or silence */
        st = ST_OK;
    if (st == ST_OK && clock_mono_us(clock_system()) >= transport->ping_us) {
        st = pgsql_session_call(transport->session, REPLY_MS, "parley_ping", 0, NULL, NULL, err);
        transport->ping_us = clock_mono_us(clock_system()) + PING_US;
    }
    return st;
}

static void *
run(void *arg)
{
    struct pgsql_transport *transport = arg;
    struct pgsql_session *session = transport->session;

    while (!pgsql_session_is_stopped(session)) {
        struct err err;
        enum status st = pgsql_session_connect(session, &err);

        if (st != ST_OK)
            continue;
        atomic_store(&transport->connected, true);
        transport->ping_us = clock_mono_us(clock_system()) + PING_US;
        transport->base.on_gap(transport->base.context); /* nothing was heard meanwhile */
        while (st == ST_OK && !pgsql_session_is_stopped(session))
            st = serve(transport, &err);
        atomic_store(&transport->connected, false);
        if (pgsql_session_is_stopped(session))
            break;
        if (st != ST_UNAVAILABLE)
            LOG_ERR(LOG_ERROR, "queue.transport_failed", &err);
        if (pgsql_session_is_connected(session))
            pgsql_session_give_up(session);
        /* Our own workers need not wait for what is kept until it can be sent. */
        transport->base.on_gap(transport->base.context);
    }
    return NULL;
}

/* ---------------------------------------------------------------- for the queue */

static void
pgsql_publish(struct queue_transport *base, const struct queue_wakeup *wakeup)
{
    struct pgsql_transport *transport = (struct pgsql_transport *)base;

    if (wakeup_list_add(&transport->list, wakeup, clock_wall_us(base->clock)))
        pgsql_session_wake(transport->session);
    if (!atomic_load(&transport->connected) && wakeup_is_served(base, wakeup->topic))
        base->on_wakeup(wakeup, base->context);
}

static enum status
pgsql_transport_open(struct queue_transport *base, struct err *err)
{
    struct pgsql_transport *transport = (struct pgsql_transport *)base;
    struct pgsql_session_config config = {
        .url = base->addresses, .use = "queue", .set_up = PGSQL_WAKEUP_SET_UP};
    enum status st;

    wakeup_list_init(&transport->list);
    buf_init(&transport->payload, (size_t)2 * MAX_PAYLOAD_BYTES);
    transport->opened = true;
    st = pgsql_session_open(&config, &transport->session, err);
    if (st == ST_OK)
        st = thread_start("wakeup", run, transport, &transport->thread, err);
    transport->started = st == ST_OK;
    base->addresses = base->ca_file = STR_EMPTY;
    return st == ST_OK ? ST_OK : err_wrap(err, "open the PostgreSQL transport");
}

static void
pgsql_transport_close(struct queue_transport *base)
{
    struct pgsql_transport *transport = (struct pgsql_transport *)base;

    if (!transport->opened)
        return;
    if (transport->started) {
        pgsql_session_stop(transport->session);
        pthread_join(transport->thread, NULL);
    }
    pgsql_session_close(&transport->session);
    wakeup_list_deinit(&transport->list);
    buf_deinit(&transport->payload);
    transport->opened = transport->started = false;
}

const struct queue_transport_driver queue_transport_pgsql = {
    .name = "pgsql",
    .size = sizeof(struct pgsql_transport),
    .open = pgsql_transport_open,
    .close = pgsql_transport_close,
    .publish = pgsql_publish,
};
