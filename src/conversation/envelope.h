/*
 * envelope.h - the structured context object that travels with a message (version "1.0")
 *
 * Written once when a message arrives, then enriched: each step stamps its time under
 * processing.processing_timestamps and fills what it learned. Stored is only what no row holds (the
 * request's id, the stamps, the two responses): most messages are short, and the whole object would
 * be two thirds of their bytes. envelope_complete adds the rest for readers. Credentials never
 * travel, only their reference. Field names are a contract: docs/contracts/envelope.md.
 * Threads: any. Blocks: nothing.
 */
#ifndef PARLEY_CONVERSATION_ENVELOPE_H
#define PARLEY_CONVERSATION_ENVELOPE_H

#include <jansson.h>

#include "base/buf.h"
#include "base/clock.h"

struct envelope_origin {
    struct str request_id; /* trace id of the request that brought it */
    int64_t received_us, validated_us, queued_us;
};

/* The stored form of a message that has just arrived. */
void envelope_begin(struct buf *out, const struct envelope_origin *origin);

/* Adds processing.processing_timestamps[step] = at. ST_INVALID: text is no envelope. */
MUST_USE enum status envelope_stamp(json_t *envelope, const char *step, int64_t at_us,
                                    struct err *err);
/* processing.ai_response or .sent_response */
MUST_USE enum status envelope_set_processing(json_t *envelope, const char *key, struct str value,
                                             struct err *err);

/* What the rows of message, conversation, channel and organization say. */
struct envelope_rows {
    struct str channel_type; /* the message's source */
    struct str primary_channel, conversation_id, conversation_status, thread_id;
    struct str from, to, body, message_id;
    struct str company_id, project_id, company_name;
    struct str credentials_reference; /* "": the channel has none, or is gone */
    int64_t timestamp_us;             /* the provider's; ours where it says none */
    bool hand_off_to_human;
};
/* The envelope as readers see it; a new reference. ST_INVALID: stored is none. */
MUST_USE enum status envelope_complete(struct str stored, const struct envelope_rows *rows,
                                       json_t **envelope_out, struct err *err);
/* Parses and checks the shape: every contract field there with its type, version "1.x". For bytes
 * from outside (replay, import) and the fuzzer. */
MUST_USE enum status envelope_parse(struct str text, json_t **envelope_out, struct err *err);

#endif
