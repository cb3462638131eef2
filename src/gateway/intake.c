/*
 * intake.c - what waits in the intake, recorded in order
 *
 *   page of rows -> item after item into its own transaction, with its row's removal; several at a
 *   time, but never two of one chat
 *
 * One job an organization, in a lane, so that one process records at a time. The transactions need
 * not reach the disk: their rows did, and a loss of power brings both back. An item that cannot be
 * recorded goes to the quarantine; a failure of the store ends the run, and the job is tried again.
 * While the flood goes on the recorder rests between pages, fifteen times as long as a page took:
 * the processor is for accepting then, and what is recorded is still more than can be answered.
 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "channel/inbound_bytes.h"
#include "conversation/intake.h"
#include "gateway/recording.h"

#define PAGE 256
#define PAGES 8 /* a run: then other organizations have their turn */
#define PAGE_ARENA_BYTES ((size_t)512 * 1024 * 1024)
#define SLOT_ARENA_BYTES ((size_t)64 * 1024 * 1024)
#define RESTS 15
#define REST_MAX_US US_PER_S
#define REST_STEP_US (2 * US_PER_MS)
#define RETRY_US US_PER_S /* after a failure of the store */
#define SLOTS 64
/* Fewer in a flood, so that what arrives does not stand behind many. */
#define SLOTS_IN_FLOOD 16

struct run;

/* An item on its way into the store. */
struct slot {
    struct run *run;
    bool busy;
    struct arena *arena;
    const struct intake_item *row;
    struct inbound item;
    const struct channel_record *record;
    struct channel *channel;
    struct recording recording;
    struct err why; /* it cannot be recorded */
};

struct run {
    struct gateway *gateway;
    const struct tenant_scope *scope;
    struct slot slots[SLOTS];
    pthread_mutex_t lock; /* guards slots' busy, and the fields below */
    pthread_cond_t freed;
    unsigned busy;
    enum status failed;
    struct err err;
};

/* --- one item --- */

/* A failure that another time need not meet. */
static bool
may_pass(enum status st)
{
    return st == ST_BUSY || st == ST_UNAVAILABLE || st == ST_UNCERTAIN || st == ST_INTERNAL;
}

static enum status
record_and_remove(struct store_tx *tx, void *arg, struct err *err)
{
    struct slot *slot = arg;
    enum status st = recording_run(tx, &slot->recording, err);

    return st == ST_OK ? intake_remove(tx, slot->row->seq, err) : st;
}

static enum status
remove_alone(struct store_tx *tx, void *arg, struct err *err)
{
    const struct slot *slot = arg;

    return intake_remove(tx, slot->row->seq, err);
}

static enum status
quarantine_and_remove(struct store_tx *tx, void *arg, struct err *err)
{
    const struct slot *slot = arg;
    const struct intake_item *row = slot->row;
    struct str reason = str_from_c(slot->why.detail);
    enum status st =
        conversation_quarantine(tx, row->channel_id, reason, row->item, row->accepted_at_us, err);

    return st == ST_OK ? intake_remove(tx, row->seq, err) : st;
}

/* The slot is free, whatever came of it. */
static void
free_slot(struct slot *slot, enum status st, const struct err *err)
{
    struct run *run = slot->run;

    pthread_mutex_lock(&run->lock);
    slot->busy = false;
    run->busy--;
    if (st != ST_OK && run->failed == ST_OK) {
        run->failed = st;
        run->err = *err;
    }
    pthread_cond_signal(&run->freed);
    pthread_mutex_unlock(&run->lock);
}

static void
on_removed(enum status st, struct err *err, void *context)
{
    free_slot(context, st, err);
}

static void
set_aside(struct slot *slot, const struct err *why)
{
    slot->why = *why;
    LOG_ERR(LOG_WARN, "intake.unrecordable", why,
            log_str("channel_id", ID_STR(slot->row->channel_id)));
    store_submit(slot->run->gateway->config.store, slot->run->scope, "intake_quarantine",
                 STORE_DURABLE, quarantine_and_remove, slot, slot->arena, on_removed, slot);
}

static void
on_recorded(enum status st, struct err *err, void *context)
{
    struct slot *slot = context;
    struct run *run = slot->run;

    if (st == ST_OK) {
        recording_tell(&slot->recording, run->scope, slot->arena);
        free_slot(slot, ST_OK, err);
    } else if (st == ST_CONFLICT) {
        recording_count(slot->record->source, "duplicate");
        store_submit(run->gateway->config.store, run->scope, "intake_duplicate", STORE_RELAXED,
                     remove_alone, slot, slot->arena, on_removed, slot);
    } else if (may_pass(st)) {
        free_slot(slot, st, err);
    } else {
        set_aside(slot, err);
    }
}

/* readable: what came of unpacking it. ST_OK: under way, or on its way to the quarantine. */
static enum status
slot_begin(struct slot *slot, enum status readable, struct err *err)
{
    struct run *run = slot->run;
    struct gateway *gateway = run->gateway;
    enum status st = readable;

    if (st == ST_OK)
        st = channel_record_get(gateway->config.tenants, run->scope, slot->row->channel_id,
                                &slot->record, err);
    if (st == ST_OK)
        st = channel_acquire(gateway->config.channels, slot->record, &slot->channel, err);
    if (may_pass(st))
        return st;
    if (st != ST_OK) {
        set_aside(slot, err);
        return ST_OK;
    }
    recording_init(&slot->recording, gateway, slot->record, slot->channel, &slot->item,
                   slot->row->envelope, slot->arena);
    slot->recording.id = slot->row->id;
    slot->recording.now_us = slot->row->accepted_at_us;
    store_submit(gateway->config.store, run->scope, "intake_record", STORE_RELAXED,
                 record_and_remove, slot, slot->arena, on_recorded, slot);
    return ST_OK;
}

/* What the last item left in it. */
static void
slot_clear(struct slot *slot)
{
    channel_release(&slot->channel);
    channel_record_unref(&slot->record);
    json_decref(slot->item.metadata);
    slot->item.metadata = NULL;
    if (slot->arena == NULL)
        slot->arena = arena_create(SLOT_ARENA_BYTES);
    arena_reset(slot->arena);
}

/* --- a page --- */

/* Of the same chat, or perhaps: an event may name none. */
static bool
is_before(const struct slot *slot, const struct intake_item *row, const struct inbound *item)
{
    return slot->busy && id_eq(&slot->row->channel_id.id, &row->channel_id.id) &&
           (slot->item.external_chat_id.len == 0 || item->external_chat_id.len == 0 ||
            str_eq(slot->item.external_chat_id, item->external_chat_id));
}

/* A free slot, marked busy, once nothing is under way that has to be recorded before, and not too
 * much; NULL: the run has failed. */
static struct slot *
take_slot(struct run *run, const struct intake_item *row, const struct inbound *item)
{
    struct slot *found = NULL;
    bool waits = true;

    pthread_mutex_lock(&run->lock);
    while (waits && run->failed == ST_OK) {
        found = NULL;
        waits = run->busy >= SLOTS_IN_FLOOD && gateway_was_just_flooded(run->gateway);
        for (size_t i = 0; i < SLOTS; i++) {
            waits = waits || is_before(&run->slots[i], row, item);
            if (!run->slots[i].busy)
                found = &run->slots[i];
        }
        waits = waits || found == NULL;
        if (waits)
            pthread_cond_wait(&run->freed, &run->lock);
    }
    if (run->failed != ST_OK)
        found = NULL;
    if (found != NULL) {
        found->busy = true;
        run->busy++;
    }
    pthread_mutex_unlock(&run->lock);
    return found;
}

static void
record_page(struct run *run, const struct intake_item *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct inbound item;
        struct err err = {.code = ST_OK};
        enum status st = inbound_unpack(rows[i].item, &item, &err);
        struct slot *slot = take_slot(run, &rows[i], &item);

        if (slot == NULL) {
            json_decref(item.metadata);
            break;
        }
        slot_clear(slot);
        slot->row = &rows[i];
        slot->item = item;
        st = slot_begin(slot, st, &err);
        if (st != ST_OK)
            free_slot(slot, st, &err);
    }
    pthread_mutex_lock(&run->lock);
    while (run->busy > 0)
        pthread_cond_wait(&run->freed, &run->lock);
    pthread_mutex_unlock(&run->lock);
}

struct page {
    struct arena *arena;
    struct intake_item *rows;
    size_t count;
};

static enum status
read_page(struct store_tx *tx, void *arg, struct err *err)
{
    struct page *page = arg;

    arena_reset(page->arena);
    return intake_list(tx, PAGE, page->arena, &page->rows, &page->count, err);
}

/* --- the job --- */

struct ending {
    struct lease *lease;
    bool all; /* none was left when the run ended */
    int64_t again_us;
};

/* Who puts a row aside where others wait counts on the job that is to record them. */
static enum status
end_run(struct store_tx *tx, void *arg, struct err *err)
{
    const struct ending *ending = arg;
    bool any = true;
    enum status st = ending->all ? intake_any(tx, &any, err) : ST_OK;

    if (st != ST_OK)
        return st;
    return any ? queue_lease_postpone(tx, ending->lease, ending->again_us, err)
               : queue_lease_done(tx, ending->lease, err);
}

static void
rest(const struct gateway *gateway, int64_t page_us)
{
    int64_t rest_us = page_us * RESTS < REST_MAX_US ? page_us * RESTS : REST_MAX_US;

    for (; rest_us > 0 && gateway_was_just_flooded(gateway); rest_us -= REST_STEP_US)
        (void)usleep(REST_STEP_US);
}

static enum status
record_pages(struct run *run, struct lease *lease, bool *all_out, struct err *err)
{
    struct page page = {.arena = arena_create(PAGE_ARENA_BYTES)};
    enum status st = ST_OK;

    *all_out = false;
    for (unsigned i = 0; st == ST_OK && !*all_out && i < PAGES; i++) {
        int64_t start_us = clock_mono_us(clock_system());

        st = queue_lease_hold(lease, err);
        if (st == ST_OK)
            st = store_read(run->gateway->config.store, run->scope, "intake_read", read_page, &page,
                            err);
        if (st != ST_OK)
            break;
        *all_out = page.count == 0;
        record_page(run, page.rows, page.count);
        if (run->failed != ST_OK) {
            *err = run->err;
            st = run->failed;
        }
        rest(run->gateway, clock_mono_us(clock_system()) - start_us);
    }
    for (size_t i = 0; i < SLOTS; i++) {
        slot_clear(&run->slots[i]);
        arena_destroy(&run->slots[i].arena);
    }
    arena_destroy(&page.arena);
    return st;
}

enum status
intake_record(struct lease *lease, void *context, struct err *err)
{
    struct gateway *gateway = context;
    struct run *run = calloc(1, sizeof(*run));
    struct ending ending = {.lease = lease};
    enum status st;

    if (run == NULL)
        return err_set(err, ST_UNAVAILABLE, "no memory to record what waits");
    run->gateway = gateway;
    run->scope = lease_scope(lease);
    run->failed = ST_OK;
    pthread_mutex_init(&run->lock, NULL);
    pthread_cond_init(&run->freed, NULL);
    for (size_t i = 0; i < SLOTS; i++)
        run->slots[i].run = run;
    st = record_pages(run, lease, &ending.all, err);
    ending.again_us = clock_wall_us(gateway->config.clock);
    if (may_pass(st)) {
        LOG_ERR(LOG_WARN, "intake.waits", err);
        ending.again_us += RETRY_US;
        ending.all = false;
        st = ST_OK;
    }
    if (st == ST_OK)
        st = store_run(gateway->config.store, run->scope, "intake_end", STORE_RELAXED, end_run,
                       &ending, err);
    pthread_cond_destroy(&run->freed);
    pthread_mutex_destroy(&run->lock);
    free(run);
    return st;
}
