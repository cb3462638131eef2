/*
 * handoff.c - a message for a person: the escalation is open and staff is told
 */
#include "orchestrator/orchestrator_private.h"
#include "text/json.h"

struct handing {
    struct orchestrator *orchestrator;
    struct lease *lease;
    struct conversation_id conversation_id;
    struct conversation conversation;
};

static enum status
open_for_person(struct store_tx *tx, void *arg, struct err *err)
{
    struct handing *h = arg;
    struct message *last = NULL;
    struct escalation_id escalation;
    struct arena *arena = lease_arena(h->lease);
    size_t count = 0;
    enum status st = conversation_get(tx, h->conversation_id, arena, &h->conversation, err);

    if (st == ST_OK)
        st = message_window(tx, h->conversation_id, INT64_MAX, 1, arena, &last, &count, err);
    /* Handed back meanwhile: the message is dealt with, or waits for the assistant. */
    if (st == ST_OK && h->conversation.hand_off_to_human)
        st = escalation_open(tx, h->conversation_id,
                             count > 0 ? last->id : (struct message_id){{""}}, "asked_for_person",
                             STR_EMPTY, clock_wall_us(h->orchestrator->config.clock), &escalation,
                             err);
    if (st == ST_OK)
        st = queue_lease_done(tx, h->lease, err);
    return st;
}

enum status
handoff_notify(struct lease *lease, void *context, struct err *err)
{
    struct orchestrator *orchestrator = context;
    const struct orchestrator_config *config = &orchestrator->config;
    struct handing h = {.orchestrator = orchestrator, .lease = lease};
    json_auto_t *payload = NULL;
    enum status st = json_parse(lease_job(lease)->payload, &payload, err);

    if (st == ST_OK)
        st = ID_PARSE(json_get_str(payload, "conversation_id"), &h.conversation_id, err);
    if (st == ST_OK)
        st = store_run(config->store, lease_scope(lease), "handoff_notify", STORE_DURABLE,
                       open_for_person, &h, err);
    if (st == ST_OK)
        live_publish(config->live, lease_scope(lease), STR("inbox"), STR("waiting_for_person"),
                     arena_printf(lease_arena(lease), "{\"conversation_id\":\"%s\"}",
                                  h.conversation_id.id.text));
    return st;
}
