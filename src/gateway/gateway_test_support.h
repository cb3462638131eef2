/*
 * gateway_test_support.h - a gateway over a talk, with a fake provider behind it
 */
#ifndef PARLEY_GATEWAY_GATEWAY_TEST_SUPPORT_H
#define PARLEY_GATEWAY_GATEWAY_TEST_SUPPORT_H

#include "channel/drivers/fake.h"
#include "conversation/conversation_test_support.h"
#include "gateway/gateway.h"

#define GATE_WAIT_MS 60000

struct gate {
    struct talk talk;
    struct channel_env env;
    struct channel_registry *registry;
    struct live_hub *live;
    struct gateway *gateway;
    struct gateway_result result;   /* of the last webhook */
    struct channel_breaker breaker; /* as last read */
};

/* source: fake, failing, recording, or one of extra's (may be NULL). config's services are filled
 * in; NULL: no limits, one sender. The clock is manual. */
void gate_open(struct gate *gate, const char *source, const char *settings,
               const struct gateway_config *config, const struct channel_driver *extra);
/* Another gateway over the same data, once the former was stopped and closed. */
void gate_open_gateway(struct gate *gate, const struct gateway_config *config);
void gate_close(struct gate *gate);
/* cmocka's: closes and frees the gate that *state is. */
int gate_tear_down(void **state);
/* Starts its workers and waits until nothing is due. */
void gate_start(struct gate *gate);

/* A verified webhook of the first organization's channel. */
enum status gate_receive(struct gate *gate, const char *body);
/* The same as gateway_receive's in_turn. */
enum status gate_receive_in_turn(struct gate *gate, const char *body);
/* {"id", "user": "u1", "chat": "c1", "text": "Hello"} */
enum status gate_receive_message(struct gate *gate, const char *id);
struct queue_counts gate_jobs(struct gate *gate, const char *topic);

/* The first organization's channel; give it back with channel_release. */
struct channel *gate_channel(struct gate *gate);
/* Queues text as an agent's words in the conversation. */
struct message_id gate_say(struct gate *gate, struct conversation_id id, const char *text);
/* Waits until nothing is due. */
void gate_wait(struct gate *gate);
/* Moves the clock and waits until nothing is due again. */
void gate_pass(struct gate *gate, int64_t by_us);

struct gate_part {
    char state[16];
    int64_t attempts;
    bool has_external_id;
};
/* The ledger's rows of a message; parts holds 8. Returns how many. */
size_t gate_parts(struct gate *gate, struct message_id id, struct gate_part *parts);
/* A row as a killed process left it. */
void gate_leave_part(struct gate *gate, struct message_id id, int64_t part, const char *state);

/* The conversation that u1 begins by saying "Hello". */
struct conversation_id gate_begin(struct gate *gate);
/* name: of the case. */
void gate_assert_state(struct gate *gate, const char *name, struct message_id id,
                       const char *delivery);

#endif
