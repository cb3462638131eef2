/*
 * res_dead_letters.c - jobs that could not be done: why, again, or away
 */
#include "api/api_private.h"

struct letters {
    struct queue *queue;
    struct arena *arena;
    struct job_id id;
    size_t limit, count;
    struct dead_letter *list;
    struct queue_counts counts;
    int64_t now_us;
};

static enum status
read_letters(struct store_tx *tx, void *arg, struct err *err)
{
    struct letters *l = arg;

    return queue_dead_list(tx, l->id, l->limit + 1, l->arena, &l->list, &l->count, err);
}

static json_t *
letter_json(const struct dead_letter *letter)
{
    json_t *row = json_object(), *payload = NULL;
    struct err err;

    json_set_str(row, "id", ID_STR(letter->job.id));
    json_set_str(row, "topic", letter->job.topic);
    json_set_str(row, "lane", letter->job.lane);
    json_set_str(row, "reason", letter->reason);
    json_set_int(row, "attempts", letter->job.attempts);
    json_set(row, "created_at", api_time(letter->job.created_at_us));
    json_set(row, "died_at", api_time(letter->died_at_us));
    if (json_parse(letter->job.payload, &payload, &err) == ST_OK)
        json_set(row, "payload", payload);
    return row;
}

static enum status
list_letters(struct api_call *call, struct err *err)
{
    struct letters l = {.arena = call->arena};
    struct str next = STR("");
    struct api_page page;
    json_t *data;
    size_t i;
    enum status st = api_page_read(call, &page, err);

    l.limit = page.limit;
    if (st == ST_OK && page.cursor.len > 0)
        st = ID_PARSE(page.cursor, &l.id, err);
    if (st == ST_OK)
        st = api_read(call, "dead_letter_list", read_letters, &l, err);
    if (st != ST_OK)
        return st;
    data = json_array();
    for (i = 0; i < l.count && i < page.limit; i++)
        json_array_append_new(data, letter_json(&l.list[i]));
    if (l.count > page.limit)
        next = ID_STR(l.list[page.limit - 1].job.id);
    return api_reply_page(call, data, next);
}

static enum status
replay_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct letters *l = arg;

    return queue_dead_replay(l->queue, tx, l->id, err);
}

static enum status
discard_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct letters *l = arg;

    return queue_dead_discard(tx, l->id, err);
}

static enum status
change(struct api_call *call, const char *name, store_work work, struct err *err)
{
    struct letters l = {.queue = call->config->queue};
    enum status st = API_PATH_ID(call, "job_id", &l.id, err);

    return st == ST_OK ? api_write(call, name, work, &l, err) : st;
}

static enum status
replay(struct api_call *call, struct err *err)
{
    enum status st = change(call, "dead_letter_replay", replay_work, err);

    return st == ST_OK ? api_reply(call, json_object()) : st;
}

static enum status
discard(struct api_call *call, struct err *err)
{
    enum status st = change(call, "dead_letter_discard", discard_work, err);

    return st == ST_OK ? api_reply(call, NULL) : st;
}

static enum status
count_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct letters *l = arg;

    return queue_count(tx, NULL, l->now_us, &l->counts, err);
}

static enum status
get_queue(struct api_call *call, struct err *err)
{
    struct letters l = {.now_us = clock_wall_us(call->config->clock)};
    json_t *body;
    enum status st = api_read(call, "queue_count", count_work, &l, err);

    if (st != ST_OK)
        return st;
    body = json_object();
    json_set_int(body, "ready", l.counts.ready);
    json_set_int(body, "delayed", l.counts.delayed);
    json_set_int(body, "waiting", l.counts.waiting);
    json_set_int(body, "leased", l.counts.leased);
    json_set_int(body, "dead", l.counts.dead);
    json_set_double(body, "oldest_ready_age_seconds",
                    (double)l.counts.oldest_ready_age_us / (double)US_PER_S);
    return api_reply(call, body);
}

const struct api_operation api_dead_letter_operations[] = {
    {HTTP_GET, "/v1/queue", "queue.get", "Operation", "How many jobs are in which state",
     ACCESS_KEY, SCOPE_OPERATE, get_queue, 0, 0, NULL, "{\"type\":\"object\"}", NULL, 200},
    {HTTP_GET, "/v1/dead-letters", "dead_letters.list", "Operation",
     "Jobs that could not be done, newest first", ACCESS_KEY, SCOPE_OPERATE, list_letters, 0, 0,
     NULL, API_PAGE_SCHEMA, API_PAGE_QUERY, 200},
    {HTTP_POST, "/v1/dead-letters/{job_id}/replay", "dead_letters.replay", "Operation",
     "Try it again", ACCESS_KEY, SCOPE_OPERATE, replay, 0, 0, "{\"type\":\"object\"}",
     "{\"type\":\"object\"}", NULL, 202},
    {HTTP_DELETE, "/v1/dead-letters/{job_id}", "dead_letters.discard", "Operation", "Give it up",
     ACCESS_KEY, SCOPE_OPERATE, discard, 0, 0, NULL, NULL, NULL, 204},
    {.path = NULL},
};
