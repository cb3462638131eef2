/*
 * refresh_test.c - when credentials that end are refreshed, and what is kept of it
 */
#include "gateway/refresh.h"

#include "channel/channel_driver.h"
#include "gateway/gateway_test_support.h"
#include "text/json.h"

#define DAY_US (INT64_C(86400) * US_PER_S)
#define HOUR_US (INT64_C(3600) * US_PER_S)

/* The provider of these tests: what it says next, and how often it was asked. One test at a time.
 */
static struct {
    enum status says;
    int64_t lasts_us;
    int asked;
} provider; /* lint-allow(globals): the driver's table has no place for it */

static enum status
fake_refresh(struct channel *channel, struct arena *arena, json_t **credentials_out,
             int64_t *lasts_us_out, struct err *err)
{
    struct str former = json_get_str(channel->record->credentials, "secret");

    provider.asked++;
    if (provider.says != ST_OK)
        return err_set(err, provider.says, "the token %.*s is too young", STR_ARG(former));
    *credentials_out = json_object();
    json_set_str(*credentials_out, "secret",
                 arena_printf(arena, "fresh secret %d", provider.asked));
    *lasts_us_out = provider.lasts_us;
    return ST_OK;
}

static struct channel_driver ending; /* lint-allow(globals): a copy with one hook more */

static struct gate *
open_gate(void **state)
{
    struct gate *gate = calloc(1, sizeof(*gate));

    assert_non_null(gate);
    ending = channel_driver_fake;
    ending.source = "ending";
    ending.refresh = fake_refresh;
    provider.says = ST_OK;
    provider.lasts_us = 60 * DAY_US;
    provider.asked = 0;
    gate_open(gate, "ending", "{}", NULL, &ending);
    *state = gate;
    return gate;
}

struct reading {
    struct gate *gate;
    struct credentials_end end;
};

static enum status
read_end(struct store_tx *tx, void *arg, struct err *err)
{
    struct reading *r = arg;

    return credentials_end_get(tx, r->gate->talk.records[0]->id, r->gate->talk.arena, &r->end, err);
}

/* Time passes, the duty comes round. */
static struct credentials_end
come_round(struct gate *gate, const char *name, int64_t by_us, int asked, const char *secret)
{
    struct talk *talk = &gate->talk;
    struct reading reading = {.gate = gate};
    struct channel *channel;

    clock_advance_us(talk->clock, by_us);
    ASSERT_OK(
        gateway_refresh_credentials(gate->gateway, talk->bed.scopes[0], talk->arena, &talk->err),
        &talk->err);
    channel = gate_channel(gate);
    if (provider.asked != asked ||
        !str_eq_c(json_get_str(channel_record(channel)->credentials, "secret"), secret))
        fail_msg("%s: asked %d times, want %d", name, provider.asked, asked);
    channel_release(&channel);
    ASSERT_OK(talk_run(talk, 0, read_end, &reading), &talk->err);
    return reading.end;
}

static void
refreshed_before_the_end(void **state)
{
    struct gate *gate = open_gate(state);
    struct credentials_end end = come_round(gate, "seen first", 0, 1, "fresh secret 1");

    assert_int_equal(end.ends_us, clock_wall_us(gate->talk.clock) + 60 * DAY_US);
    assert_int_equal(end.failures, 0);
    (void)come_round(gate, "an hour later", HOUR_US, 1, "fresh secret 1");
    (void)come_round(gate, "more than 30 days left", 29 * DAY_US, 1, "fresh secret 1");
    end = come_round(gate, "less than 30 days left", DAY_US, 2, "fresh secret 2");
    assert_int_equal(end.ends_us, clock_wall_us(gate->talk.clock) + 60 * DAY_US);
    (void)come_round(gate, "and again an hour later", HOUR_US, 2, "fresh secret 2");
    /* The other organization's channel was nobody's business. */
    assert_int_equal(gate->talk.records[1]->revision, 1);
}

static void
failure_is_tried_again_in_a_day(void **state)
{
    struct gate *gate = open_gate(state);
    struct credentials_end end;

    provider.says = ST_DENIED;
    end = come_round(gate, "refused", 0, 1, "a test's secret");
    assert_int_equal(end.failures, 1);
    ASSERT_STR(end.reason, "the token *** is too young"); /* not the secret itself */
    end = come_round(gate, "an hour later", HOUR_US, 1, "a test's secret");
    assert_int_equal(end.failures, 1);
    end = come_round(gate, "a day later", DAY_US, 2, "a test's secret");
    assert_int_equal(end.failures, 2);
    provider.says = ST_OK;
    end = come_round(gate, "works", DAY_US, 3, "fresh secret 3");
    assert_int_equal(end.failures, 0);
    assert_int_equal(end.reason.len, 0);
}

static void
given_by_a_person_is_refreshed_anew(void **state)
{
    struct gate *gate = open_gate(state);
    struct talk *talk = &gate->talk;
    json_auto_t *credentials = json_pack("{s:s}", "secret", "typed by a person");
    const struct channel_spec spec = {.source = STR("ending"), .credentials = credentials};

    (void)come_round(gate, "seen first", 0, 1, "fresh secret 1");
    ASSERT_OK(channel_update(talk->bed.tenants, talk->bed.scopes[0], talk->records[0]->id, &spec,
                             &talk->err),
              &talk->err);
    provider.says = ST_UNAVAILABLE;
    (void)come_round(gate, "changed", HOUR_US, 2, "typed by a person");
    provider.says = ST_OK;
    (void)come_round(gate, "a day later", DAY_US, 3, "fresh secret 3");
}

static void
endless_ones_are_left_alone(void **state)
{
    struct gate *gate = open_gate(state);

    provider.says = ST_NOT_FOUND;
    assert_int_equal(come_round(gate, "endless", 0, 1, "a test's secret").failures, 0);
    provider.says = ST_OK;
    ASSERT_OK(channel_set_status(gate->talk.bed.tenants, gate->talk.bed.scopes[0],
                                 gate->talk.records[0]->id, STR("disabled"), STR_EMPTY,
                                 &gate->talk.err),
              &gate->talk.err);
    (void)come_round(gate, "disabled", DAY_US, 1, "a test's secret");
}

int
main(void)
{
#define CASE(fn) cmocka_unit_test_teardown(fn, gate_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(refreshed_before_the_end),
        CASE(failure_is_tried_again_in_a_day),
        CASE(given_by_a_person_is_refreshed_anew),
        CASE(endless_ones_are_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
