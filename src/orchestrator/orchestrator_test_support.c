/*
 * orchestrator_test_support.c - see the header
 */
#include "orchestrator/orchestrator_test_support.h"

#include <stdio.h>

#include "channel/channel_driver.h"
#include "index/index.h"
#include "index/index_test_sql.h"

static const struct {
    const char *title, *heading, *text;
} documents[] = {
    {"Shipping", "Abroad",
     "We ship to Norway within five days. Shipping to Norway costs nine euros."},
    {"Shipping", "At home",
     "Parcels within the country arrive after two days and cost four euros."},
    {"Returns", "How", "You may return everything within thirty days with the receipt."},
    {"Opening hours", "Shop", "The shop is open from Monday to Saturday, nine to six o'clock."},
    {"Payment", "Ways", "You can pay by card, by bank transfer or in cash at the counter."},
    {"Repairs", "Bicycles", "Our workshop repairs bicycles of every make, usually in a week."},
    {"Gift cards", "Use", "A gift card is valid for three years and can be used in parts."},
};

static enum status
put_documents(struct store_tx *tx, void *arg, struct err *err)
{
    struct index_entry entries[sizeof(documents) / sizeof(documents[0])];
    const size_t count = sizeof(documents) / sizeof(documents[0]);
    struct source_id source = ID_NEW(source_id);
    enum status st = ST_OK;

    (void)arg;
    for (size_t i = 0; i < count && st == ST_OK; i++) {
        entries[i] = (struct index_entry){.chunk_id = (int64_t)i + 1,
                                          .source_id = source,
                                          .version = 1,
                                          .audience = STR("customer"),
                                          .language = STR("en"),
                                          .title = str_from_c(documents[i].title),
                                          .heading_path = str_from_c(documents[i].heading),
                                          .text = str_from_c(documents[i].text)};
        st = store_exec(tx, &SQL_TEST_CHUNK_INSERT,
                        ARGS(sv_int(entries[i].chunk_id), sv_id(source), sv_int(1),
                             sv_text(entries[i].heading_path), sv_text(entries[i].text),
                             sv_text(entries[i].language)),
                        NULL, err);
    }
    return st == ST_OK ? index_put(tx, entries, count, err) : st;
}

static enum status
count_outbound(void *context, struct store_tx *tx, struct message_id message_id,
               struct channel_id channel_id, struct str external_chat_id, struct err *err)
{
    (void)tx;
    (void)message_id;
    (void)channel_id;
    (void)external_chat_id;
    (void)err;
    ((struct desk *)context)->queued++;
    return ST_OK;
}

static void
open_services(struct desk *desk, const char *models)
{
    const struct channel_driver *drivers[] = {&channel_driver_fake, &channel_driver_recording,
                                              &desk->streaming, &desk->local, NULL};
    const struct live_config live = {.clock = desk->talk.clock,
                                     .max_topics = 100,
                                     .events_per_topic = 1000,
                                     .max_bytes = (size_t)1024 * 1024,
                                     .keep_us = 600 * US_PER_S};
    const struct model_env env = {.clock = desk->talk.clock};
    json_auto_t *configs = json_loads(models, 0, NULL);
    json_auto_t *none = json_array();
    struct err *err = &desk->talk.err;

    assert_non_null(configs);
    desk->env.clock = desk->talk.clock;
    ASSERT_OK(
        channel_registry_create(&desk->env, desk->talk.bed.tenants, drivers, &desk->registry, err),
        err);
    ASSERT_OK(live_hub_create(&live, &desk->live, err), err);
    ASSERT_OK(model_chain_open(&env, configs, &desk->models, err), err);
    ASSERT_OK(model_chain_open(&env, none, &desk->extractive, err), err);
}

void
desk_open(struct desk *desk, const char *source, const char *models)
{
    struct orchestrator_config config = {.workers = 2,
                                         .history_messages = 10,
                                         .passages = 5,
                                         .model_deadline_ms = 10000,
                                         .queue_outbound = count_outbound,
                                         .queue_outbound_context = desk};
    struct err *err = &desk->talk.err;

    *desk = (struct desk){.streaming = channel_driver_fake, .local = channel_driver_fake};
    desk->streaming.source = "streaming";
    desk->streaming.caps |= CHANNEL_STREAMS;
    desk->local.source = "local";
    desk->local.caps |= CHANNEL_LOCAL | CHANNEL_STREAMS;
    talk_open(&desk->talk, source, "{}", NULL);
    open_services(desk, models);
    ASSERT_OK(talk_run(&desk->talk, 0, put_documents, NULL), err);
    config.store = desk->talk.bed.store;
    config.tenants = desk->talk.bed.tenants;
    config.queue = desk->talk.bed.queue;
    config.channels = desk->registry;
    config.live = desk->live;
    config.clock = desk->talk.clock;
    config.models = desk->models;
    config.extractive = desk->extractive;
    ASSERT_OK(orchestrator_open(&config, &desk->orchestrator, err), err);
    ASSERT_OK(orchestrator_start(desk->orchestrator, err), err);
}

void
desk_close(struct desk *desk)
{
    orchestrator_stop(desk->orchestrator, DESK_WAIT_MS);
    orchestrator_close(&desk->orchestrator);
    model_chain_close(&desk->models);
    model_chain_close(&desk->extractive);
    channel_registry_destroy(&desk->registry);
    live_hub_destroy(&desk->live);
    talk_close(&desk->talk);
}

struct desk_turn {
    struct desk *desk;
    struct conversation_id id;
    const char *topic;
    struct message *messages;
    size_t count;
    struct escalation *escalations;
};

static enum status
queue_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct desk_turn *t = arg;
    const struct job_spec job = {
        .topic = t->topic,
        .lane = ID_STR(t->id),
        .dedup_key = ID_STR(t->id),
        .payload = arena_printf(store_tx_arena(tx), "{\"conversation_id\":\"%s\"}", t->id.id.text),
        .coalesce_max_us = 1};
    struct job_id id;

    return queue_put(t->desk->talk.bed.queue, tx, &job, &id, err);
}

void
desk_queue(struct desk *desk, struct conversation_id id, const char *topic)
{
    struct desk_turn t = {.desk = desk, .id = id, .topic = topic};

    ASSERT_OK(talk_run(&desk->talk, 0, queue_work, &t), &desk->talk.err);
}

struct inbound_result
desk_hear(struct desk *desk, const char *text)
{
    char id[16];

    (void)snprintf(id, sizeof(id), "m%u", ++desk->heard);
    return talk_hear(&desk->talk, id, "u1", "u1", text);
}

void
desk_wait(struct desk *desk)
{
    struct err *err = &desk->talk.err;

    ASSERT_OK(queue_wait_idle(desk->talk.bed.queue, DESK_WAIT_MS, err), err);
}

struct inbound_result
desk_ask(struct desk *desk, const char *text)
{
    struct inbound_result heard = desk_hear(desk, text);

    desk_queue(desk, heard.conversation_id,
               heard.hand_off_to_human ? QUEUE_TOPIC_HANDOFF : QUEUE_TOPIC_INBOUND);
    desk_wait(desk);
    return heard;
}

static enum status
list_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct desk_turn *t = arg;

    return message_list(tx, t->id, 0, 100, t->desk->talk.arena, &t->messages, &t->count, err);
}

size_t
desk_messages(struct desk *desk, struct conversation_id id, struct message **messages_out)
{
    struct desk_turn t = {.desk = desk, .id = id};

    ASSERT_OK(talk_run(&desk->talk, 0, list_work, &t), &desk->talk.err);
    *messages_out = t.messages;
    return t.count;
}

struct message
desk_answer(struct desk *desk, struct conversation_id id)
{
    struct message *messages;
    size_t count = desk_messages(desk, id, &messages);

    assert_true(count > 0);
    ASSERT_STR(messages[count - 1].role, "assistant");
    return messages[count - 1];
}

static enum status
escalations_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct desk_turn *t = arg;

    return escalation_list(tx, STR_EMPTY, (struct escalation_id){{""}}, 1, t->desk->talk.arena,
                           &t->escalations, &t->count, err);
}

struct escalation
desk_escalation(struct desk *desk)
{
    struct desk_turn t = {.desk = desk};

    ASSERT_OK(talk_run(&desk->talk, 0, escalations_work, &t), &desk->talk.err);
    return t.count > 0 ? t.escalations[0] : (struct escalation){.created_at_us = 0};
}
