/*
 * live_tasks.c - see the header
 */
#include "live/drivers/live_tasks.h"

#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "base/thread.h"

#define MAX_TASKS 20000
#define MAX_TASK_BYTES ((size_t)32 * 1024 * 1024)
#define REST_MS 300 /* at the end */

/* Process-wide: metrics. */
static struct metric dropped_metric = {
    .name = "parley_live_dropped_total",
    .help = "Live events that could not be kept until their server was back: browsers read anew",
    .kind = METRIC_COUNTER};

void
live_tasks_init(struct live_tasks *tasks)
{
    *tasks = (struct live_tasks){.first = NULL};
    pthread_mutex_init(&tasks->lock, NULL);
    cond_init(&tasks->filled);
    cond_init(&tasks->drained);
    metric_register(&dropped_metric);
}

static size_t
task_size(const struct task *task)
{
    return sizeof(*task) + task->key_len + task->item_len;
}

/* Under the lock: the first task is gone. */
static void
drop_first(struct live_tasks *tasks)
{
    struct task *task = tasks->first;

    tasks->first = task->next;
    if (tasks->first == NULL)
        tasks->last = NULL;
    tasks->count--;
    tasks->bytes -= task_size(task);
    free(task);
}

void
live_tasks_deinit(struct live_tasks *tasks)
{
    while (tasks->first != NULL)
        drop_first(tasks);
    pthread_cond_destroy(&tasks->drained);
    pthread_cond_destroy(&tasks->filled);
    pthread_mutex_destroy(&tasks->lock);
}

static struct task *
task_create(enum task_kind kind, struct str key, struct str type, struct str data)
{
    size_t item_len = kind == TASK_PUBLISH ? type.len + 1 + data.len : 0;
    struct task *task = calloc(1, sizeof(*task) + key.len + item_len + 1);

    if (task == NULL)
        abort();
    task->kind = kind;
    task->key_len = key.len;
    task->item_len = item_len;
    memcpy(task->bytes, key.ptr, key.len);
    if (kind == TASK_PUBLISH) {
        char *item = task->bytes + key.len;

        if (type.len > 0)
            memcpy(item, type.ptr, type.len);
        item[type.len] = '\n';
        if (data.len > 0)
            memcpy(item + type.len + 1, data.ptr, data.len);
    }
    return task;
}

static bool
add(struct live_tasks *tasks, struct task *task)
{
    bool is_first = false;

    pthread_mutex_lock(&tasks->lock);
    if (task->kind == TASK_PUBLISH)
        task->count = ++tasks->published;
    if (task->kind == TASK_PUBLISH &&
        (tasks->count >= MAX_TASKS || tasks->bytes + task_size(task) > MAX_TASK_BYTES)) {
        tasks->lost = true;
        METRIC_INC(&dropped_metric);
        free(task);
    } else {
        is_first = tasks->first == NULL;
        if (is_first)
            tasks->first = task;
        else
            tasks->last->next = task;
        tasks->last = task;
        tasks->count++;
        tasks->bytes += task_size(task);
        pthread_cond_signal(&tasks->filled);
    }
    pthread_mutex_unlock(&tasks->lock);
    return is_first;
}

bool
live_tasks_publish(struct live_tasks *tasks, struct str key, struct str type, struct str data)
{
    bool too_large = type.len + data.len > LIVE_MAX_EVENT_BYTES;
    struct task *task = task_create(TASK_PUBLISH, key, type, too_large ? STR_EMPTY : data);

    task->too_large = too_large;
    return add(tasks, task);
}

bool
live_tasks_join(struct live_tasks *tasks, struct str key)
{
    return add(tasks, task_create(TASK_JOIN, key, STR_EMPTY, STR_EMPTY));
}

void
live_tasks_stop(struct live_tasks *tasks)
{
    pthread_mutex_lock(&tasks->lock);
    tasks->stopping = true;
    pthread_cond_broadcast(&tasks->filled);
    pthread_mutex_unlock(&tasks->lock);
}

void
live_tasks_send_rest(struct live_tasks *tasks)
{
    int64_t deadline_us = clock_mono_us(clock_system()) + REST_MS * US_PER_MS;
    bool in_time = true;

    pthread_mutex_lock(&tasks->lock);
    while (tasks->first != NULL && in_time)
        in_time = cond_wait_until(&tasks->drained, &tasks->lock, deadline_us);
    pthread_mutex_unlock(&tasks->lock);
}

struct str
live_task_key(const struct task *task)
{
    return str_of(task->bytes, task->key_len);
}

struct str
live_task_item(const struct task *task)
{
    return str_of(task->bytes + task->key_len, task->item_len);
}

struct live_item
live_item_of(struct str text)
{
    struct live_item item = {.data = text};

    (void)str_split(&item.data, '\n', &item.type);
    return item;
}

const struct task *
live_tasks_wait(struct live_tasks *tasks, size_t max, int64_t deadline_us, size_t *count_out)
{
    const struct task *first;
    bool in_time = deadline_us > 0;

    pthread_mutex_lock(&tasks->lock);
    while (tasks->first == NULL && !tasks->stopping && in_time)
        in_time = cond_wait_until(&tasks->filled, &tasks->lock, deadline_us);
    first = tasks->stopping ? NULL : tasks->first;
    *count_out = first == NULL ? 0 : tasks->count < max ? tasks->count : max;
    pthread_mutex_unlock(&tasks->lock);
    return first;
}

void
live_tasks_done(struct live_tasks *tasks, bool refused)
{
    pthread_mutex_lock(&tasks->lock);
    drop_first(tasks);
    tasks->lost = tasks->lost || refused;
    pthread_cond_signal(&tasks->drained);
    pthread_mutex_unlock(&tasks->lock);
}

bool
live_tasks_take_lost(struct live_tasks *tasks)
{
    bool lost;

    pthread_mutex_lock(&tasks->lock);
    lost = tasks->lost;
    tasks->lost = false;
    pthread_mutex_unlock(&tasks->lock);
    return lost;
}

void
live_tasks_set_lost(struct live_tasks *tasks)
{
    pthread_mutex_lock(&tasks->lock);
    tasks->lost = true;
    pthread_mutex_unlock(&tasks->lock);
}
