/*
 * retention_test.c - what is old goes, what is ours or young stays
 */
#include "conversation/retention.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conversation/conversation_test_sql.h"
#include "conversation/talk_suite_test_support.h"
#include "conversation/delivery.h"

#define DAY_US (INT64_C(86400) * US_PER_S)
#define MANY 1203 /* more than two batches */

struct arrival {
    struct talk *talk;
    int64_t now_us;
    unsigned first, count; /* of events' names */
    struct message_id ours;
    int64_t receipts;
};

static enum status
report(struct store_tx *tx, const struct arrival *a, const char *id, struct err *err)
{
    struct str event = arena_printf(store_tx_arena(tx), "report-%s", id);
    const struct inbound inbound = {.kind = INBOUND_EVENT,
                                    .event_kind = STR("delivery"),
                                    .external_event_id = event,
                                    .about_external_message_id = str_from_c(id),
                                    .delivery_state = DELIVERY_DELIVERED,
                                    .raw = STR("{}")};
    struct delivery_change change = {.delivery = NULL};

    return conversation_record_delivery(tx, a->talk->records[0], &inbound, a->now_us, &change, err);
}

static enum status
arrive_work(struct store_tx *tx, void *arg, struct err *err)
{
    const struct arrival *a = arg;
    struct channel_id channel = a->talk->records[0]->id;
    enum status st = ST_OK;

    for (unsigned i = a->first; st == ST_OK && i < a->first + a->count; i++) {
        char name[24];
        struct inbound event = {
            .kind = INBOUND_EVENT, .event_kind = STR("reaction"), .raw = STR("{}")};

        (void)snprintf(name, sizeof(name), "e%u", i);
        event.external_event_id = str_from_c(name);
        st = conversation_record_event(tx, a->talk->records[0], &event, a->now_us, err);
        if (st == ST_OK)
            st = report(tx, a, name, err);
        if (st == ST_OK)
            st = conversation_quarantine(tx, channel, STR("not JSON"), STR("{"), a->now_us, err);
    }
    if (st == ST_OK && !id_is_none(&a->ours.id))
        st = delivery_note_part(tx, channel, a->ours, 0, STR("ours"), a->now_us, err);
    return st;
}

static void
arrive(struct talk *talk, unsigned first, unsigned count, int64_t age_us)
{
    struct arrival a = {.talk = talk,
                        .now_us = clock_wall_us(talk->clock) - age_us,
                        .first = first,
                        .count = count};

    ASSERT_OK(talk_run(talk, 0, arrive_work, &a), &talk->err);
}

static enum status
count_receipts(struct store_tx *tx, void *arg, struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st = store_query_one(tx, &SQL_TEST_RECEIPTS, NO_ARGS, &rows, err);

    if (st != ST_OK)
        return st;
    *(int64_t *)arg = store_col_int(rows, 0);
    return store_rows_close(&rows, err);
}

static void
assert_left(struct talk *talk, const char *name, int64_t events, int64_t unreadable,
            int64_t receipts)
{
    struct talk_counts counts = talk_count(talk, 0);
    int64_t counted = 0;

    ASSERT_OK(talk_run(talk, 0, count_receipts, &counted), &talk->err);
    if (counts.events != events || counts.quarantined != unreadable || counted != receipts)
        fail_msg("%s: %lld events, %lld unreadable, %lld receipts", name, (long long)counts.events,
                 (long long)counts.quarantined, (long long)counted);
}

static int64_t
tidy(struct talk *talk, int64_t events_us, int64_t quarantine_us, int64_t receipts_us)
{
    int64_t now_us = clock_wall_us(talk->clock), removed = 0;
    const struct retention retention = {now_us - events_us, now_us - quarantine_us,
                                        now_us - receipts_us};

    ASSERT_OK(conversation_retention(talk->bed.store, talk->bed.scopes[0], &retention, &removed,
                                     &talk->err),
              &talk->err);
    return removed;
}

static void
old_goes_and_young_stays(void **state)
{
    struct talk *talk = *state;
    struct arrival ours = {.talk = talk, .now_us = clock_wall_us(talk->clock) - 400 * DAY_US};

    ours.ours = ID_NEW(message_id);
    ASSERT_OK(talk_run(talk, 0, arrive_work, &ours), &talk->err);
    arrive(talk, 0, MANY, 100 * DAY_US);
    arrive(talk, MANY, 5, 40 * DAY_US);
    arrive(talk, MANY + 5, 3, 0);
    assert_left(talk, "before", 2 * (MANY + 8), MANY + 8, MANY + 9);
    assert_int_equal(tidy(talk, 90 * DAY_US, 30 * DAY_US, 200 * DAY_US), 2 * MANY + MANY + 5);
    assert_left(talk, "events and quarantine", 16, 3, MANY + 9);
    assert_int_equal(tidy(talk, 90 * DAY_US, 30 * DAY_US, 90 * DAY_US), MANY);
    assert_left(talk, "receipts, but not our own", 16, 3, 9);
    assert_int_equal(tidy(talk, 90 * DAY_US, 30 * DAY_US, 90 * DAY_US), 0);
    /* Messages are another matter. */
    (void)talk_hear(talk, "m1", "u1", "c1", "Hi");
    clock_advance_us(talk->clock, 500 * DAY_US);
    assert_int_equal(tidy(talk, DAY_US, DAY_US, DAY_US), 16 + 3 + 8);
    assert_left(talk, "all of it", 0, 0, 1);
    assert_int_equal(talk_count(talk, 0).messages, 1);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TALK_CASE(old_goes_and_young_stays),
    };
    int failed;

    if (!talk_suite_begin(argc, argv, "retention"))
        return PGSQL_SKIPPED;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    talk_suite_end();
    return failed;
}
