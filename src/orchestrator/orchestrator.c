/*
 * orchestrator.c - life of the orchestrator: open, start, stop, close
 */
#include "orchestrator/orchestrator.h"

#include <stdlib.h>

#include "orchestrator/orchestrator_private.h"

enum status
orchestrator_open(const struct orchestrator_config *config, struct orchestrator **orchestrator_out,
                  struct err *err)
{
    struct orchestrator *orchestrator = calloc(1, sizeof(*orchestrator));
    enum status st;

    *orchestrator_out = NULL;
    if (orchestrator == NULL)
        return err_set(err, ST_UNAVAILABLE, "no memory for the orchestrator");
    orchestrator->config = *config;
    st = typing_keeper_create(config->channels, &orchestrator->typing, err);
    if (st != ST_OK) {
        free(orchestrator);
        return err_wrap(err, "open orchestrator");
    }
    *orchestrator_out = orchestrator;
    return ST_OK;
}

enum status
orchestrator_start(struct orchestrator *orchestrator, struct err *err)
{
    struct queue *queue = orchestrator->config.queue;
    enum status st = queue_workers_start(queue, QUEUE_TOPIC_INBOUND, orchestrator->config.workers,
                                         inbound_answer, inbound_on_dead, orchestrator,
                                         &orchestrator->inbound, err);

    if (st == ST_OK)
        st = queue_workers_start(queue, QUEUE_TOPIC_HANDOFF, 1, handoff_notify, NULL, orchestrator,
                                 &orchestrator->handoff, err);
    return st;
}

void
orchestrator_stop(struct orchestrator *orchestrator, int64_t deadline_ms)
{
    queue_workers_stop(&orchestrator->inbound, deadline_ms);
    queue_workers_stop(&orchestrator->handoff, deadline_ms);
}

void
orchestrator_close(struct orchestrator **orchestrator_ref)
{
    struct orchestrator *orchestrator = *orchestrator_ref;

    if (orchestrator == NULL)
        return;
    typing_keeper_destroy(&orchestrator->typing);
    free(orchestrator);
    *orchestrator_ref = NULL;
}
