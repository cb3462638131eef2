/*
 * http_stream.c - event streams that sleep in the library until somebody has something to say
 *
 *   created (worker) --queued--> attached --(idle: suspended <--> resumed: writing)--> detached
 *
 * While the flag is_suspended is set the library does not touch the connection and cannot free it,
 * and exactly one party clears the flag and resumes. fd is valid under the stream's lock while it
 * is
 * >= 0: the library calls stream_detach before it closes the socket.
 *
 * The library does not watch suspended connections, so a second epoll set does, for hang-ups only.
 * Its thread also sends the heartbeats. It may hold a pointer to a stream out of epoll_wait while
 * the stream is detached: so detached streams wait in a graveyard that only this thread empties,
 * between two rounds.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/thread.h"
#include "net/http_server_private.h"

#define DEFAULT_MAX_PENDING_BYTES ((size_t)256 * 1024)
#define MAX_EVENTS 256
/* The library's own buffer, which it uses for HTTP/1.0 clients only; others are written in place.
 */
#define BLOCK_BYTES_HTTP_1_0 512
#define BLOCK_BYTES 1

struct http_stream {
    _Atomic unsigned refs;
    struct http_streams *streams;
    struct http_stream_config config;
    pthread_mutex_t lock; /* guards the fields down to last_write_us */
    struct MHD_Connection *connection;
    int fd;                           /* -1 unless attached */
    struct MHD_Response *unsent_head; /* NULL once the library has sent the header fields */
    bool is_suspended;
    bool is_closing; /* ends after what is pending */
    bool is_dead;    /* ends now */
    struct buf pending;
    size_t taken; /* bytes of pending that were written: cut off in large pieces, not each time */
    int64_t last_write_us;
    struct http_stream *prev, *next; /* streams->attached, or next in the graveyard */
};

struct http_streams {
    struct http_server *server;
    pthread_mutex_t lock; /* guards the fields down to is_closing */
    struct http_stream *attached;
    struct http_stream *graveyard;
    bool is_closing;
    _Atomic bool is_ending;
    int epoll_fd;
    int end_fd; /* wakes the thread to end it */
    pthread_t thread;
    bool has_thread;
};

struct http_stream *
http_stream_ref(struct http_stream *stream)
{
    atomic_fetch_add_explicit(&stream->refs, 1, memory_order_relaxed);
    return stream;
}

void
http_stream_unref(struct http_stream **stream)
{
    struct http_stream *s = *stream;

    *stream = NULL;
    if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    buf_deinit(&s->pending);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

struct http_stream *
http_stream_create(struct http_streams *streams, const struct http_stream_config *config)
{
    struct http_stream *s = calloc(1, sizeof(*s));
    size_t max_pending = config->max_pending_bytes;

    if (s == NULL)
        abort();
    atomic_init(&s->refs, 1);
    s->streams = streams;
    s->config = *config;
    s->fd = -1;
    pthread_mutex_init(&s->lock, NULL);
    buf_init(&s->pending, max_pending == 0 ? DEFAULT_MAX_PENDING_BYTES : max_pending);
    return s;
}

/* Lock held. */
static void
wake(struct http_stream *s)
{
    if (!s->is_suspended)
        return;
    s->is_suspended = false;
    MHD_resume_connection(s->connection);
}

/* Lock held. A connection that waits for a slow reader is not suspended: only the socket's end
 * tells the library. */
static void
drop(struct http_stream *s)
{
    s->is_dead = true;
    if (s->fd >= 0)
        (void)shutdown(s->fd, SHUT_RDWR);
    wake(s);
}

/* The body is asked for after the header fields were sent: their copies are of no use any more, and
 * there may be ten thousand of them. */
static void
forget_head(struct http_stream *s)
{
    struct MHD_Response *response = s->unsent_head;
    const char *const names[] = {"Content-Type", "X-Content-Type-Options", "Cache-Control",
                                 "X-Accel-Buffering", "Access-Control-Allow-Origin"};

    s->unsent_head = NULL;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = MHD_get_response_header(response, names[i]);

        if (value != NULL)
            (void)MHD_del_response_header(response, names[i], value);
    }
}

/* Lock held. */
static void
tell_reconnect(struct http_stream *s)
{
    if (!s->is_closing && !s->is_dead)
        buf_append_c(&s->pending, "event: reconnect\ndata: {}\n\n");
    s->is_closing = true;
    wake(s);
}

/* Lock held. */
static void
cut_taken(struct http_stream *s)
{
    buf_consume(&s->pending, s->taken);
    s->taken = 0;
}

static ssize_t
stream_read(void *cls, uint64_t position, char *out, size_t max)
{
    struct http_stream *s = cls;
    ssize_t result = 0;

    (void)position;
    pthread_mutex_lock(&s->lock);
    if (s->unsent_head != NULL)
        forget_head(s);
    if (s->is_dead) {
        result = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (s->pending.len > 0) {
        size_t left = s->pending.len - s->taken;
        size_t n = left < max ? left : max;

        memcpy(out, s->pending.ptr + s->taken, n);
        s->taken += n;
        if (n == left) {
            size_t max_bytes = s->pending.max_bytes;

            /* An idle stream keeps no buffer: there may be ten thousand of them. */
            buf_deinit(&s->pending);
            buf_init(&s->pending, max_bytes);
            s->taken = 0;
        } else if (s->taken > s->pending.len / 2) {
            cut_taken(s);
        }
        s->last_write_us = clock_mono_us(clock_system());
        result = (ssize_t)n;
    } else if (s->is_closing) {
        result = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        s->is_suspended = true;
        MHD_suspend_connection(s->connection);
    }
    pthread_mutex_unlock(&s->lock);
    return result;
}

static void
list_remove(struct http_streams *streams, struct http_stream *s)
{
    if (s->prev != NULL)
        s->prev->next = s->next;
    else
        streams->attached = s->next;
    if (s->next != NULL)
        s->next->prev = s->prev;
    s->prev = s->next = NULL;
}

/* The library is done with the response: the one end of every attached stream. */
static void
stream_detach(void *cls)
{
    struct http_stream *s = cls;
    struct http_streams *streams = s->streams;
    int fd;

    pthread_mutex_lock(&s->lock);
    fd = s->fd;
    s->fd = -1;
    s->connection = NULL;
    s->is_dead = true;
    buf_clear(&s->pending);
    s->taken = 0;
    pthread_mutex_unlock(&s->lock);
    if (fd >= 0)
        (void)epoll_ctl(streams->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    if (s->config.on_close != NULL)
        s->config.on_close(s->config.context);
    pthread_mutex_lock(&streams->lock);
    list_remove(streams, s);
    s->next = streams->graveyard;
    streams->graveyard = s;
    pthread_mutex_unlock(&streams->lock);
    http_server_count_down(streams->server, &streams->server->open_streams);
}

struct MHD_Response *
http_stream_response(struct http_stream *s, struct MHD_Connection *connection, bool is_http_1_0)
{
    struct http_streams *streams = s->streams;
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, is_http_1_0 ? BLOCK_BYTES_HTTP_1_0 : BLOCK_BYTES, stream_read, s,
        stream_detach);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = s};
    bool is_closing;

    if (response == NULL || info == NULL)
        abort(); /* out of memory */
    atomic_fetch_add(&streams->server->open_streams, 1);
    pthread_mutex_lock(&streams->lock);
    is_closing = streams->is_closing;
    s->next = streams->attached;
    if (s->next != NULL)
        s->next->prev = s;
    streams->attached = s;
    pthread_mutex_unlock(&streams->lock);

    pthread_mutex_lock(&s->lock);
    s->connection = connection;
    s->unsent_head = response;
    s->fd = info->connect_fd;
    if (is_closing)
        tell_reconnect(s);
    s->last_write_us = clock_mono_us(clock_system());
    pthread_mutex_unlock(&s->lock);
    (void)epoll_ctl(streams->epoll_fd, EPOLL_CTL_ADD, info->connect_fd, &event);
    return response;
}

void
http_stream_abandon(struct http_stream *s)
{
    pthread_mutex_lock(&s->lock);
    s->is_dead = true;
    pthread_mutex_unlock(&s->lock);
    if (s->config.on_close != NULL)
        s->config.on_close(s->config.context);
    http_stream_unref(&s);
}

static bool
has_line_end(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == '\r' || s.ptr[i] == '\n' || s.ptr[i] == '\0')
            return true;
    return false;
}

static void
append_field(struct buf *out, const char *name, struct str value)
{
    buf_append_c(out, name);
    buf_append_c(out, ": ");
    buf_append(out, value);
    buf_append_byte(out, '\n');
}

/* LF, CR LF and CR end a line in the event format, so each starts a new data field. */
static void
append_data(struct buf *out, struct str data)
{
    size_t start = 0;

    for (size_t i = 0; i < data.len; i++) {
        if (data.ptr[i] != '\n' && data.ptr[i] != '\r')
            continue;
        append_field(out, "data", str_sub(data, start, i - start));
        if (data.ptr[i] == '\r' && i + 1 < data.len && data.ptr[i + 1] == '\n')
            i++;
        start = i + 1;
    }
    append_field(out, "data", str_sub(data, start, data.len));
}

enum status
http_stream_send(struct http_stream *s, struct str id, struct str event, struct str data,
                 struct err *err)
{
    enum status st = ST_OK;

    if (has_line_end(id) || has_line_end(event))
        return err_set(err, ST_INVALID, "an event's id and name must be one line");
    pthread_mutex_lock(&s->lock);
    if (s->is_dead || s->is_closing) {
        st = err_set(err, ST_UNAVAILABLE, "the stream is closed");
    } else {
        /* What was written must not count against a reader near the limit. */
        if (s->taken > 0 && s->pending.len > s->pending.max_bytes / 2)
            cut_taken(s);
        if (id.len > 0)
            append_field(&s->pending, "id", id);
        if (event.len > 0)
            append_field(&s->pending, "event", event);
        append_data(&s->pending, data);
        buf_append_byte(&s->pending, '\n');
        st = buf_check(&s->pending, err);
        if (st == ST_OK)
            wake(s);
        else
            drop(s);
    }
    pthread_mutex_unlock(&s->lock);
    return st == ST_TOO_LARGE ? err_wrap(err, "event stream") : st;
}

void
http_stream_close(struct http_stream *s)
{
    pthread_mutex_lock(&s->lock);
    s->is_closing = true;
    wake(s);
    pthread_mutex_unlock(&s->lock);
}

void
http_streams_close_all(struct http_streams *streams)
{
    pthread_mutex_lock(&streams->lock);
    streams->is_closing = true;
    for (struct http_stream *s = streams->attached; s != NULL; s = s->next) {
        pthread_mutex_lock(&s->lock);
        tell_reconnect(s);
        pthread_mutex_unlock(&s->lock);
    }
    pthread_mutex_unlock(&streams->lock);
}

void
http_streams_drop_all(struct http_streams *streams)
{
    pthread_mutex_lock(&streams->lock);
    for (struct http_stream *s = streams->attached; s != NULL; s = s->next) {
        pthread_mutex_lock(&s->lock);
        drop(s);
        pthread_mutex_unlock(&s->lock);
    }
    pthread_mutex_unlock(&streams->lock);
}

static void
send_heartbeats(struct http_streams *streams, int64_t now_us)
{
    int64_t idle_us = (int64_t)streams->server->config.heartbeat_ms * US_PER_MS;

    pthread_mutex_lock(&streams->lock);
    for (struct http_stream *s = streams->attached; s != NULL; s = s->next) {
        pthread_mutex_lock(&s->lock);
        if (s->pending.len == 0 && !s->is_dead && !s->is_closing && s->is_suspended &&
            now_us - s->last_write_us >= idle_us) {
            buf_append_c(&s->pending, ":\n\n");
            wake(s);
        }
        pthread_mutex_unlock(&s->lock);
    }
    pthread_mutex_unlock(&streams->lock);
}

static void
bury(struct http_streams *streams)
{
    struct http_stream *s;

    pthread_mutex_lock(&streams->lock);
    s = streams->graveyard;
    streams->graveyard = NULL;
    pthread_mutex_unlock(&streams->lock);
    while (s != NULL) {
        struct http_stream *next = s->next;

        s->next = NULL;
        http_stream_unref(&s);
        s = next;
    }
}

static void *
run_timer(void *arg)
{
    struct http_streams *streams = arg;
    const struct http_server *server = streams->server;
    struct epoll_event events[MAX_EVENTS];
    int64_t tick_us = (int64_t)server->config.heartbeat_ms * US_PER_MS / 4;
    int64_t next_us;

    if (tick_us > US_PER_S / 2)
        tick_us = US_PER_S / 2;
    if (tick_us < US_PER_MS)
        tick_us = US_PER_MS;
    next_us = clock_mono_us(clock_system()) + tick_us;
    while (!atomic_load(&streams->is_ending)) {
        int64_t now_us = clock_mono_us(clock_system());
        int wait_ms = next_us > now_us ? (int)((next_us - now_us + 999) / US_PER_MS) : 0;
        int count = epoll_wait(streams->epoll_fd, events, MAX_EVENTS, wait_ms);

        for (int i = 0; i < count; i++) {
            struct http_stream *s = events[i].data.ptr;

            if (s == NULL || (events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0)
                continue;
            pthread_mutex_lock(&s->lock);
            drop(s);
            pthread_mutex_unlock(&s->lock);
        }
        bury(streams);
        now_us = clock_mono_us(clock_system());
        if (now_us < next_us)
            continue;
        next_us = now_us + tick_us;
        send_heartbeats(streams, now_us);
        if (server->tls != NULL)
            http_tls_check_files(server->tls);
    }
    return NULL;
}

enum status
http_streams_create(struct http_server *server, struct http_streams **streams_out, struct err *err)
{
    struct http_streams *streams = calloc(1, sizeof(*streams));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    enum status st = ST_OK;

    if (streams == NULL)
        abort();
    streams->server = server;
    pthread_mutex_init(&streams->lock, NULL);
    streams->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    streams->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (streams->epoll_fd < 0 || streams->end_fd < 0 ||
        epoll_ctl(streams->epoll_fd, EPOLL_CTL_ADD, streams->end_fd, &event) != 0)
        st = err_set_detail(err, ST_UNAVAILABLE, "epoll: %s", strerrordesc_np(errno));
    if (st == ST_OK)
        st = thread_start("http-timer", run_timer, streams, &streams->thread, err);
    streams->has_thread = st == ST_OK;
    *streams_out = streams;
    if (st != ST_OK)
        http_streams_destroy(streams_out);
    return st;
}

void
http_streams_destroy(struct http_streams **streams)
{
    struct http_streams *s = *streams;
    uint64_t one = 1;

    if (s == NULL)
        return;
    atomic_store(&s->is_ending, true);
    if (s->has_thread) {
        if (write(s->end_fd, &one, sizeof(one)) < 0)
            abort();
        (void)pthread_join(s->thread, NULL);
    }
    bury(s);
    if (s->epoll_fd >= 0)
        (void)close(s->epoll_fd);
    if (s->end_fd >= 0)
        (void)close(s->end_fd);
    pthread_mutex_destroy(&s->lock);
    free(s);
    *streams = NULL;
}
