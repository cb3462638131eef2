/*
 * group_commit.c - leaders, batches, and what happens when the engine drops a batch
 */
#include "store/group_commit.h"

#include <assert.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/id.h"
#include "store/store_private.h"

/* After a work failed that had written, so many batches run with savepoints: where such failures
 * are frequent, running twice would cost more. */
#define CAREFUL_BATCHES 64

/* A work that the engine wants run again is, so many times, with a pause that grows. */
#define RERUNS_MAX 5
#define RERUN_PAUSE_MS 4

enum turn { TURN_WAIT, TURN_LEAD, TURN_SETTLE, TURN_DONE };

struct hook_head {
    store_commit_hook hook;
    void *context;
    size_t len; /* of the payload that follows */
};

struct commit_hook_more {
    struct commit_hook_more *next;
    struct hook_head head;
    char payload[];
};

struct batch {
    struct commit_work *works[COMMIT_BATCH_MAX];
    unsigned count;
    int64_t ticket; /* 0: nothing to wait for */
};

/* --- hooks --- */

static size_t
hook_bytes(size_t payload_len)
{
    return (sizeof(struct hook_head) + payload_len + 15) & ~(size_t)15;
}

void
commit_hooks_add(struct commit_hooks *hooks, store_commit_hook hook, void *context,
                 struct str payload)
{
    struct hook_head head = {hook, context, payload.len};
    size_t needed = hook_bytes(payload.len);

    /* Once one is on the heap the rest follows it there, so that they run in order. */
    if (hooks->more == NULL && needed <= sizeof(hooks->bytes) - hooks->used) {
        memcpy(hooks->bytes + hooks->used, &head, sizeof(head));
        if (payload.len > 0)
            memcpy(hooks->bytes + hooks->used + sizeof(head), payload.ptr, payload.len);
        hooks->used += needed;
    } else {
        struct commit_hook_more *more = malloc(sizeof(*more) + payload.len);
        struct commit_hook_more **at = &hooks->more;

        if (more == NULL)
            abort();
        more->next = NULL;
        more->head = head;
        if (payload.len > 0)
            memcpy(more->payload, payload.ptr, payload.len);
        while (*at != NULL)
            at = &(*at)->next;
        *at = more;
    }
}

static void
hooks_forget(struct commit_hooks *hooks)
{
    while (hooks->more != NULL) {
        struct commit_hook_more *more = hooks->more;

        hooks->more = more->next;
        free(more);
    }
    hooks->used = 0;
}

static void
hooks_run(struct commit_work *work)
{
    struct commit_hooks *hooks = &work->hooks;
    size_t at = 0;

    while (at < hooks->used) {
        struct hook_head head;

        memcpy(&head, hooks->bytes + at, sizeof(head));
        head.hook(work->scope, str_of(hooks->bytes + at + sizeof(head), head.len), head.context);
        at += hook_bytes(head.len);
    }
    for (struct commit_hook_more *more = hooks->more; more != NULL; more = more->next)
        more->head.hook(work->scope, str_of(more->payload, more->head.len), more->head.context);
}

/* --- waiting: a futex per work, because the waker knows exactly whom it wakes --- */

static uint32_t
wait_turn(struct commit_work *work)
{
    uint32_t turn = atomic_load_explicit(&work->turn, memory_order_acquire);

    while (turn == TURN_WAIT) {
        (void)syscall(SYS_futex, &work->turn, FUTEX_WAIT_PRIVATE, TURN_WAIT, NULL, NULL, 0);
        turn = atomic_load_explicit(&work->turn, memory_order_acquire);
    }
    return turn;
}

static void
finish_hooks(struct commit_work *work)
{
    if (work->status == ST_OK)
        hooks_run(work);
    hooks_forget(&work->hooks);
}

/* The work may be gone as soon as its turn is set: the address is only a key for the kernel then.
 */
static void
give_turn(struct commit_work *work, uint32_t turn)
{
    _Atomic uint32_t *word = &work->turn;

    atomic_store_explicit(word, turn, memory_order_release);
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* --- one batch --- */

static enum status
run_work(struct commit_group *group, struct store_connection *connection, struct commit_work *work,
         const struct batch *asking)
{
    struct store_tx tx = {
        .store = work->store,
        .connection = connection,
        .scope = work->scope,
        .hooks = &work->hooks,
        .arena_ref = &group->arena,
        .name = work->name,
    };

    if (asking != NULL && group->driver->ask != NULL) {
        tx.asks = &work->asks;
        tx.work = work;
        tx.batch = asking->works;
    }
    work->lane = 0;
    work->behind = false;
    hooks_forget(&work->hooks);
    return store_tx_run(&tx, work->work, work->arg, work->err);
}

static void
settle_work(struct commit_work *work, enum status status)
{
    work->status = status;
    work->final = true;
    work->saw = false;
}

/* How a batch went on after one of its works. */
enum outcome {
    GOES_ON,
    UNDO_ALL, /* a work failed that cannot be undone alone, or it is not known which: to be run
                 again with savepoints */
    DROPPED   /* by the engine: the others are to be run alone */
};

/* The engine dropped the transaction in the middle of this work: it has its answer, for it or the
 * bytes it added were the cause. Or the engine says that they were not. */
static enum outcome
lost(const struct store_connection *connection, struct commit_work *work, enum status st)
{
    if (connection->rerun)
        return DROPPED;
    if (st == ST_OK)
        st = err_set_detail(work->err, ST_UNAVAILABLE, "%s lost its transaction", work->name);
    settle_work(work, st);
    return DROPPED;
}

static bool
waits_for_answer(const struct commit_work *work)
{
    return work->asks.count > work->asks.answered;
}

enum status
commit_await_lane(struct commit_work *work, struct commit_work *const *batch, uint64_t lane,
                  unsigned step, struct err *err)
{
    for (; *batch != work; batch++) {
        const struct commit_work *other = *batch;

        if (other->lane == lane && (other->step != step || step == 0) && !other->final &&
            (other->behind || waits_for_answer(other)))
            work->behind = true;
    }
    work->lane = lane;
    work->step = step;
    return work->behind ? err_set_detail(err, ST_BUSY, "one of its lane is before it") : ST_OK;
}

/* A savepoint costs a copy of every page that the work changes. Most works succeed, and most that
 * fail have only looked: neither needs one. */
static enum outcome
run_plainly(struct commit_group *group, struct store_connection *connection,
            const struct batch *batch, struct commit_work *work)
{
    const struct store_driver *driver = group->driver;
    int64_t before = driver->rows_changed(connection);
    bool asked = work->asks.count > 0;
    enum status st = run_work(group, connection, work, batch);

    if (!driver->in_transaction(connection))
        return lost(connection, work, st);
    work->status = st;
    if (st == ST_OK || work->behind || waits_for_answer(work))
        return GOES_ON;
    if (asked || before < 0 || driver->rows_changed(connection) != before)
        return UNDO_ALL;
    work->final = work->saw = true;
    return GOES_ON;
}

static enum outcome
run_guarded(struct commit_group *group, struct store_connection *connection,
            struct commit_work *work)
{
    const struct store_driver *driver = group->driver;
    struct err undo_err;
    enum status st = driver->savepoint_set(connection, work->err);

    if (st == ST_OK)
        st = run_work(group, connection, work, NULL);
    if (!driver->in_transaction(connection))
        return lost(connection, work, st);
    if (st == ST_OK)
        st = driver->savepoint_keep(connection, work->err);
    work->status = st;
    if (st == ST_OK)
        return GOES_ON;
    work->final = work->saw = true;
    return driver->savepoint_undo(connection, &undo_err) == ST_OK ? GOES_ON : DROPPED;
}

static enum status
commit(struct commit_group *group, struct store_connection *connection,
       enum store_durability durability, int64_t *ticket_out, struct err *err)
{
    bool refused;
    enum status st;

    FAILPOINT("store.commit");
    st = FAILPOINT_ERROR("store.disk_full", err);
    if (st == ST_OK)
        st = group->driver->commit(connection, durability, ticket_out, err);
    else
        group->driver->rollback(connection);
    atomic_fetch_add_explicit(&group->counters->commits, 1, memory_order_relaxed);
    refused = st != ST_OK && !connection->late;
    if (refused != atomic_load_explicit(&group->counters->refused, memory_order_relaxed))
        atomic_store_explicit(&group->counters->refused, refused, memory_order_relaxed);
    return st;
}

static enum status
try_alone(struct commit_group *group, struct store_connection *connection, struct commit_work *work,
          int64_t *ticket_out)
{
    enum status st = group->driver->begin(connection, STORE_WRITE, &group->place, work->err);

    *ticket_out = 0;
    if (st == ST_OK) {
        st = run_work(group, connection, work, NULL);
        if (!group->driver->in_transaction(connection)) {
            if (st == ST_OK)
                st = err_set_detail(work->err, ST_UNAVAILABLE, "%s lost its transaction",
                                    work->name);
        } else if (st == ST_OK) {
            st = commit(group, connection, work->durability, ticket_out, work->err);
        } else {
            *ticket_out = group->driver->seen(connection);
            group->driver->rollback(connection);
        }
    }
    return st;
}

void
commit_pause_before_rerun(unsigned reruns)
{
    (void)poll(NULL, 0, (int)(1 + random_below((uint32_t)RERUN_PAUSE_MS << reruns)));
}

/* Alone in its transaction. */
static void
run_alone(struct commit_group *group, struct store_connection *connection, struct batch *batch,
          struct commit_work *work)
{
    int64_t ticket = 0;
    enum status st = try_alone(group, connection, work, &ticket);

    for (unsigned reruns = 0; connection->rerun && reruns < RERUNS_MAX; reruns++) {
        commit_pause_before_rerun(reruns);
        st = try_alone(group, connection, work, &ticket);
    }
    settle_work(work, st);
    if (ticket > batch->ticket)
        batch->ticket = ticket;
}

/* Those that asked for something, with its answer, and those behind them, until none asks for more.
 */
static enum outcome
run_asking(struct commit_group *group, struct store_connection *connection, struct batch *batch)
{
    enum outcome outcome = GOES_ON;
    bool any = true;
    struct err err;

    while (any && outcome == GOES_ON) {
        any = false;
        for (unsigned i = 0; i < batch->count; i++)
            any = any || (!batch->works[i]->final && waits_for_answer(batch->works[i]));
        /* Who is behind is behind one who waits. */
        if (any && group->driver->collect(connection, &err) != ST_OK)
            outcome = group->driver->in_transaction(connection) ? UNDO_ALL : DROPPED;
        for (unsigned i = 0; any && i < batch->count && outcome == GOES_ON; i++) {
            struct commit_work *work = batch->works[i];

            if (work->final || (!work->behind && !waits_for_answer(work)))
                continue;
            work->asks.answered = work->asks.count;
            outcome = run_plainly(group, connection, batch, work);
        }
    }
    return outcome;
}

static enum outcome
run_works(struct commit_group *group, struct store_connection *connection, struct batch *batch,
          bool guarded)
{
    enum outcome outcome = GOES_ON;

    for (unsigned i = 0; i < batch->count; i++)
        batch->works[i]->final = false;
    for (unsigned i = 0; i < batch->count && outcome == GOES_ON; i++) {
        struct commit_work *work = batch->works[i];

        work->asks = (struct store_asks){0};
        outcome = guarded ? run_guarded(group, connection, work)
                          : run_plainly(group, connection, batch, work);
    }
    return outcome == GOES_ON && !guarded ? run_asking(group, connection, batch) : outcome;
}

/* Nothing of the transaction was kept, or it is not known: what was seen in it counts no more. */
static void
forget_seen(struct batch *batch)
{
    for (unsigned i = 0; i < batch->count; i++)
        if (batch->works[i]->final && batch->works[i]->saw)
            batch->works[i]->final = false;
}

/* What the batch's commit means for each. Works that are not final afterwards are to be run alone,
 * or again. */
static enum outcome
commit_together(struct commit_group *group, struct store_connection *connection,
                struct batch *batch)
{
    enum store_durability durability = STORE_RELAXED;
    bool any = false;
    struct err err;
    enum status st;

    for (unsigned i = 0; i < batch->count; i++) {
        any = any || !batch->works[i]->final;
        if (!batch->works[i]->final && batch->works[i]->durability == STORE_DURABLE)
            durability = STORE_DURABLE;
    }
    if (!any) {
        batch->ticket = group->driver->seen(connection);
        group->driver->rollback(connection);
        return GOES_ON;
    }
    st = commit(group, connection, durability, &batch->ticket, &err);
    if (st != ST_OK && st != ST_UNCERTAIN)
        return connection->late ? UNDO_ALL : DROPPED;
    for (unsigned i = 0; i < batch->count; i++) {
        struct commit_work *work = batch->works[i];

        if (!work->final && st == ST_UNCERTAIN)
            *work->err = err;
        if (!work->final)
            settle_work(work, st);
    }
    return st == ST_OK ? GOES_ON : DROPPED;
}

static enum status
begin_together(struct commit_group *group, struct store_connection *connection, bool guarded,
               struct err *err)
{
    const struct store_driver *driver = group->driver;

    return guarded || driver->begin_ahead == NULL
               ? driver->begin(connection, STORE_WRITE, &group->place, err)
               : driver->begin_ahead(connection, &group->place, err);
}

/* All in one transaction. A begin that fails is not told here: each finds out alone, with words of
 * its own. */
static void
run_together(struct commit_group *group, struct store_connection *connection, struct batch *batch)
{
    bool guarded = group->careful > 0;
    enum outcome outcome = UNDO_ALL;
    struct err err;

    if (guarded)
        group->careful--;
    while (outcome == UNDO_ALL) {
        bool again = !guarded;

        if (begin_together(group, connection, guarded, &err) != ST_OK)
            return;
        outcome = run_works(group, connection, batch, guarded);
        if (outcome == GOES_ON)
            outcome = commit_together(group, connection, batch);
        else
            group->driver->rollback(connection);
        if (outcome == UNDO_ALL) {
            group->careful = CAREFUL_BATCHES;
            guarded = true;
        }
        if (outcome != GOES_ON)
            forget_seen(batch);
        if (!again) /* each knows by now, or finds out alone */
            return;
    }
}

static void
run_batch(struct commit_group *group, struct batch *batch)
{
    struct store_connection *connection = NULL;
    struct err err;
    enum status st = group->driver->take(group->database, STORE_WRITE, &connection, &err);

    for (unsigned i = 0; st != ST_OK && i < batch->count; i++) {
        *batch->works[i]->err = err;
        settle_work(batch->works[i], st);
    }
    if (st != ST_OK)
        return;
    if (batch->count > 1)
        run_together(group, connection, batch);
    for (unsigned i = 0; i < batch->count; i++) {
        if (!batch->works[i]->final)
            run_alone(group, connection, batch, batch->works[i]);
    }
    group->driver->give(group->database, &connection);
    atomic_fetch_add_explicit(&group->counters->works, batch->count, memory_order_relaxed);
}

/* --- leading --- */

/* Those of one name behind the first of it, in their order: what they ask for then follows each
 * other, and is one run of a statement. */
static void
sort_by_name(struct batch *batch)
{
    struct commit_work *sorted[COMMIT_BATCH_MAX] = {NULL};
    bool placed[COMMIT_BATCH_MAX] = {false};
    unsigned count = 0;

    for (unsigned i = 0; i < batch->count; i++) {
        for (unsigned k = i; k < batch->count && !placed[i]; k++) {
            if (placed[k] || batch->works[k]->name != batch->works[i]->name)
                continue;
            sorted[count++] = batch->works[k];
            placed[k] = k != i;
        }
        placed[i] = true;
    }
    assert(count == batch->count);
    memcpy(batch->works, sorted, count * sizeof(sorted[0]));
}

static void
take_batch(struct commit_group *group, struct batch *batch)
{
    batch->count = 0;
    batch->ticket = 0;
    pthread_mutex_lock(&group->lock);
    while (group->first != NULL && batch->count < COMMIT_BATCH_MAX) {
        batch->works[batch->count++] = group->first;
        group->first = group->first->next;
    }
    if (group->first == NULL)
        group->last = NULL;
    group->waiting -= batch->count;
    pthread_mutex_unlock(&group->lock);
    if (group->driver->ask != NULL)
        sort_by_name(batch);
}

/* The outcome is there; the work may be gone afterwards. */
static void
complete(struct commit_work *work)
{
    if (work->done == NULL) {
        give_turn(work, TURN_DONE);
        return;
    }
    finish_hooks(work);
    work->done(work);
}

/* Gives up leadership, to the first who waits or, when at_least have to and do not, not at all. */
static bool
hand_on(struct commit_group *group, unsigned at_least)
{
    struct commit_work *next;
    bool handed;

    pthread_mutex_lock(&group->lock);
    handed = group->waiting >= at_least;
    next = group->first;
    if (handed)
        group->led = next != NULL;
    pthread_mutex_unlock(&group->lock);
    if (handed && next != NULL && next->done != NULL)
        (void)task_pool_submit(group->committers, &group->lead, true);
    else if (handed && next != NULL)
        give_turn(next, TURN_LEAD);
    return handed;
}

/* Gives up leadership if nobody waits; those who do keep the group alive. */
static bool
leads_on(struct commit_group *group)
{
    bool leads;

    pthread_mutex_lock(&group->lock);
    leads = group->first != NULL;
    group->led = leads;
    pthread_mutex_unlock(&group->lock);
    return leads;
}

/* What it wrote, or what it saw and tells of: "it is known already" has to stay so. */
static bool
waits_for_disk(const struct commit_work *work)
{
    return work->durability == STORE_DURABLE && work->status <= ST_TOO_LARGE;
}

static bool
anybody_waits_for_disk(const struct batch *batch)
{
    bool any = false;

    for (unsigned i = 0; i < batch->count && batch->ticket != 0; i++)
        any = any || waits_for_disk(batch->works[i]);
    return any;
}

/* Takes those who have to wait for the disk out of the batch, linked, a waiting thread first when
 * there is one. The others stay. */
static struct commit_work *
take_unsettled(struct batch *batch)
{
    struct commit_work *first = NULL;
    struct commit_work **last = &first;
    unsigned others = 0;

    for (unsigned i = 0; i < batch->count; i++) {
        struct commit_work *work = batch->works[i];

        if (batch->ticket == 0 || !waits_for_disk(work)) {
            batch->works[others++] = work;
        } else if (first != NULL && first->done != NULL && work->done == NULL) {
            work->next = first;
            first = work;
        } else {
            work->next = NULL;
            *last = work;
            last = &work->next;
        }
    }
    batch->count = others;
    return first;
}

/* By the first of those who wait for the same ticket, linked, or by a committer for all. leads: the
 * group is led from here. Returns whether it still is, which only a committer can tell. */
static bool
settle(struct commit_group *group, struct commit_work *first, bool leads, bool committer)
{
    struct commit_work *next;
    struct err err;
    enum status st = FAILPOINT_ERROR("store.sync", &err);

    if (st == ST_OK)
        st = group->driver->settle(group->database, first->ticket, &err);
    else
        st = err_set_detail(&err, ST_UNCERTAIN, "as after a sync that failed");
    atomic_fetch_add_explicit(&group->counters->settles, 1, memory_order_relaxed);
    if (leads && committer)
        leads = leads_on(group);
    else if (leads)
        leads = !hand_on(group, 0);
    for (struct commit_work *work = first; work != NULL; work = next) {
        next = work->next; /* it may be gone once it has its turn */
        if (st != ST_OK) {
            *work->err = err;
            work->status = st;
        }
        if (work != first || committer)
            complete(work);
    }
    return leads;
}

static void
run_settle(struct pool_task *task)
{
    struct commit_work *first =
        (struct commit_work *)((char *)task - offsetof(struct commit_work, settle));
    struct commit_group *group = first->group;

    if (settle(group, first, !first->handed, true))
        (void)task_pool_submit(group->committers, &group->lead, true);
}

/* After hand_on the fields that are the leader's belong to the next one. A leader that need not
 * wait for the disk leaves that to one that has to. self: the leader's own work, NULL for a
 * committer. Returns whether the caller, a committer, still leads. */
static bool
finish(struct commit_group *group, struct batch *batch, struct commit_work *self)
{
    int64_t ticket = batch->ticket;
    bool handed = anybody_waits_for_disk(batch) && hand_on(group, batch->count);
    struct commit_work *first = take_unsettled(batch);
    bool leads = !handed;

    if (first == NULL && leads && self != NULL)
        leads = !hand_on(group, 0);
    else if (first == NULL && leads)
        leads = leads_on(group);
    for (unsigned i = 0; i < batch->count; i++)
        if (batch->works[i] != self)
            complete(batch->works[i]);
    if (first == NULL)
        return leads;
    first->ticket = ticket;
    first->handed = handed;
    if (first == self || self == NULL)
        return settle(group, first, leads, self == NULL);
    if (first->done == NULL) {
        give_turn(first, TURN_SETTLE);
    } else {
        first->group = group;
        first->settle.run = run_settle;
        (void)task_pool_submit(group->committers, &first->settle, true);
    }
    return false;
}

static void
run_lead(struct pool_task *task)
{
    struct commit_group *group =
        (struct commit_group *)((char *)task - offsetof(struct commit_group, lead));
    struct batch batch;

    do {
        take_batch(group, &batch);
        run_batch(group, &batch);
    } while (finish(group, &batch, NULL));
}

/* True: the caller has to see to it that the group is led. */
static bool
enqueue(struct commit_group *group, struct commit_work *work)
{
    bool leads;

    work->next = NULL;
    work->final = false;
    work->status = ST_INTERNAL;
    work->hooks.used = 0;
    work->hooks.more = NULL;
    atomic_init(&work->turn, TURN_WAIT);
    pthread_mutex_lock(&group->lock);
    if (group->last == NULL)
        group->first = work;
    else
        group->last->next = work;
    group->last = work;
    group->waiting++;
    leads = !group->led;
    group->led = true;
    pthread_mutex_unlock(&group->lock);
    return leads;
}

enum status
commit_group_run(struct commit_group *group, struct commit_work *work)
{
    uint32_t turn = TURN_LEAD;

    assert(work->done == NULL);
    if (!enqueue(group, work))
        turn = wait_turn(work);
    if (turn == TURN_LEAD) {
        struct batch batch;

        take_batch(group, &batch);
        assert(batch.count > 0 && batch.works[0] == work);
        run_batch(group, &batch);
        (void)finish(group, &batch, work);
    } else if (turn == TURN_SETTLE) {
        (void)settle(group, work, !work->handed, false);
    }
    finish_hooks(work);
    return work->status;
}

void
commit_group_submit(struct commit_group *group, struct commit_work *work)
{
    assert(work->done != NULL);
    if (enqueue(group, work))
        (void)task_pool_submit(group->committers, &group->lead, true);
}

void
commit_group_init(struct commit_group *group, const struct store_driver *driver,
                  struct store_database *database, const struct store_place *place,
                  struct commit_counters *counters, struct task_pool *committers)
{
    memset(group, 0, sizeof(*group));
    group->driver = driver;
    group->database = database;
    group->place = *place;
    group->counters = counters;
    group->committers = committers;
    group->lead.run = run_lead;
    pthread_mutex_init(&group->lock, NULL);
}

void
commit_group_deinit(struct commit_group *group)
{
    assert(group->first == NULL && !group->led);
    arena_destroy(&group->arena);
    pthread_mutex_destroy(&group->lock);
}
