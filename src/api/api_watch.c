/*
 * api_watch.c - subscriptions behind event streams
 */
#include "api/api_watch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/thread.h"
#include "text/json.h"

#define MAX_PENDING_BYTES (256u * 1024)

struct watch {
    struct http_stream *stream;
    struct live_subscription *subscription; /* NULL when subscribing failed */
    const char *const *end_after;
    const char *grows;
    _Atomic bool stands;  /* the subscription: the first is asked after that */
    pthread_mutex_t lock; /* guards highest, and the order of what is sent where something grows */
    double highest;
    struct api_reaper *reaper;
    _Atomic int ended; /* of two: the handler is done with it, the stream is closed */
    struct watch *next;
};

struct api_reaper {
    pthread_t thread;
    pthread_mutex_t lock; /* guards dead, stopping */
    pthread_cond_t changed;
    struct watch *dead;
    bool stopping;
};

static void
free_watch(struct watch *watch)
{
    if (watch->subscription != NULL)
        live_unsubscribe(&watch->subscription);
    http_stream_unref(&watch->stream);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
}

static void *
reap(void *arg)
{
    struct api_reaper *reaper = arg;

    pthread_mutex_lock(&reaper->lock);
    while (!reaper->stopping || reaper->dead != NULL) {
        struct watch *watch = reaper->dead;

        if (watch == NULL) {
            pthread_cond_wait(&reaper->changed, &reaper->lock);
            continue;
        }
        reaper->dead = watch->next;
        pthread_mutex_unlock(&reaper->lock);
        free_watch(watch);
        pthread_mutex_lock(&reaper->lock);
    }
    pthread_mutex_unlock(&reaper->lock);
    return NULL;
}

enum status
api_reaper_create(struct api_reaper **reaper_out, struct err *err)
{
    struct api_reaper *reaper = calloc(1, sizeof(*reaper));
    enum status st;

    *reaper_out = NULL;
    if (reaper == NULL)
        return err_set(err, ST_UNAVAILABLE, "no memory");
    pthread_mutex_init(&reaper->lock, NULL);
    cond_init(&reaper->changed);
    st = thread_start("api-reaper", reap, reaper, &reaper->thread, err);
    if (st != ST_OK) {
        free(reaper);
        return st;
    }
    *reaper_out = reaper;
    return ST_OK;
}

void
api_reaper_destroy(struct api_reaper **reaper_ref)
{
    struct api_reaper *reaper = *reaper_ref;

    if (reaper == NULL)
        return;
    pthread_mutex_lock(&reaper->lock);
    reaper->stopping = true;
    pthread_cond_signal(&reaper->changed);
    pthread_mutex_unlock(&reaper->lock);
    pthread_join(reaper->thread, NULL);
    pthread_cond_destroy(&reaper->changed);
    pthread_mutex_destroy(&reaper->lock);
    free(reaper);
    *reaper_ref = NULL;
}

/* The second of the two ends hands the watch to the reaper. */
static void
end_one(struct watch *watch)
{
    struct api_reaper *reaper = watch->reaper;

    if (atomic_fetch_add(&watch->ended, 1) == 0)
        return;
    pthread_mutex_lock(&reaper->lock);
    watch->next = reaper->dead;
    reaper->dead = watch;
    pthread_cond_signal(&reaper->changed);
    pthread_mutex_unlock(&reaper->lock);
}

static void
on_close(void *context)
{
    end_one(context);
}

/* Behind a reset the last event may have been missed, and whoever waits for it would do so for
 * ever. Before the subscription stood it does no harm: the first tells what is. */
static bool
is_last(const struct watch *watch, struct str event)
{
    const char *const *name = watch->end_after;

    if (name != NULL && watch->stands && str_eq_c(event, "reset"))
        return true;
    for (; name != NULL && *name != NULL; name++)
        if (str_eq_c(event, *name))
            return true;
    return false;
}

static bool
forward(struct watch *watch, struct str id, struct str event, struct str data)
{
    struct err err;

    if (http_stream_send(watch->stream, id, event, data, &err) != ST_OK)
        return false;
    if (!is_last(watch, event))
        return true;
    http_stream_close(watch->stream);
    return false;
}

static double
number_in(struct str data, const char *key, double or_else)
{
    json_auto_t *json = NULL;
    struct err ignored;
    const json_t *number =
        json_parse(data, &json, &ignored) == ST_OK ? json_object_get(json, key) : NULL;

    return json_is_number(number) ? json_number_value(number) : or_else;
}

/* True also of an event that is left out: the stream goes on. */
static bool
forward_growing(struct watch *watch, struct str id, struct str event, struct str data)
{
    double number;
    bool goes_on = true;

    if (watch->grows == NULL)
        return forward(watch, id, event, data);
    pthread_mutex_lock(&watch->lock);
    number = number_in(data, watch->grows, watch->highest);
    if (number >= watch->highest) {
        watch->highest = number;
        goes_on = forward(watch, id, event, data);
    }
    pthread_mutex_unlock(&watch->lock);
    return goes_on;
}

static bool
on_event(const struct live_event *event, void *context)
{
    return forward_growing(context, event->id, event->type, event->data);
}

enum status
api_watch_topic(struct api_call *call, struct str topic,
                enum status (*first)(struct api_call *call, void *arg,
                                     struct api_watch_first *first_out, struct err *err),
                void *arg, const char *const *end_after, const char *grows, struct err *err)
{
    struct str last_id = http_request_header(call->req, "Last-Event-ID");
    struct watch *watch = calloc(1, sizeof(*watch));
    struct http_stream_config config = {
        .max_pending_bytes = MAX_PENDING_BYTES, .on_close = on_close, .context = watch};
    struct api_watch_first event = {STR_EMPTY, STR_EMPTY};
    enum status st;

    if (watch == NULL)
        return err_set(err, ST_UNAVAILABLE, "no memory for another stream");
    if (last_id.len == 0)
        last_id = http_request_query(call->req, "last_event_id");
    watch->reaper = api_reaper_of(call->api);
    watch->end_after = end_after;
    watch->grows = grows;
    pthread_mutex_init(&watch->lock, NULL);
    watch->stream = http_respond_stream(call->resp, &config);
    call->answered = true;
    st = live_subscribe(call->config->live, call->scope, topic, last_id, on_event, watch,
                        &watch->subscription, err);
    watch->stands = true;
    if (st == ST_OK && first != NULL)
        st = first(call, arg, &event, err);
    if (st == ST_OK && event.event.len > 0)
        (void)forward_growing(watch, STR_EMPTY, event.event, event.data);
    if (st != ST_OK) { /* the answer has begun: the error is an event */
        (void)!http_stream_send(watch->stream, STR_EMPTY, STR("error"),
                                arena_printf(call->arena, "{\"detail\":\"%s\"}", status_name(st)),
                                err);
        http_stream_close(watch->stream);
    }
    end_one(watch);
    return ST_OK;
}
