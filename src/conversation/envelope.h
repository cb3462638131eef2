/*
 * envelope.h - the structured context object that travels with a message (version "1.0")
 *
 * Written once when a message arrives, then enriched: each step stamps its time under
 * processing.processing_timestamps and fills what it learned. Credentials never travel, only their
 * reference. message.body is left out of the stored text, because the message row holds it;
 * envelope_complete puts it back for readers. Field names are a contract:
 * docs/contracts/envelope.md. Threads: any. Blocks: nothing.
 */
#ifndef PARLEY_CONVERSATION_ENVELOPE_H
#define PARLEY_CONVERSATION_ENVELOPE_H

#include <jansson.h>

#include "base/buf.h"
#include "channel/channel.h"

struct envelope_origin {
    struct str request_id; /* trace id of the request that brought it */
    int64_t received_us, validated_us, queued_us;
};

/* Everything known at the gateway; conversation_id and status are filled by envelope_complete from
 * the rows, which own them. */
void envelope_begin(struct buf *out, const struct channel_record *channel,
                    const struct inbound *inbound, struct message_id message_id,
                    const struct envelope_origin *origin);

/* Adds processing.processing_timestamps[step] = at. ST_INVALID: text is no envelope. */
MUST_USE enum status envelope_stamp(json_t *envelope, const char *step, int64_t at_us,
                                    struct err *err);
/* processing.ai_response or .sent_response */
MUST_USE enum status envelope_set_processing(json_t *envelope, const char *key, struct str value,
                                             struct err *err);

struct envelope_rows {
    struct str conversation_id, conversation_status, thread_id, body, company_name;
    bool hand_off_to_human;
};
/* The envelope as readers see it; a new reference. */
MUST_USE enum status envelope_complete(struct str stored, const struct envelope_rows *rows,
                                       json_t **envelope_out, struct err *err);
/* Parses and checks the shape: every contract field there with its type, version "1.0". For bytes
 * from outside (replay, import) and the fuzzer. */
MUST_USE enum status envelope_parse(struct str text, json_t **envelope_out, struct err *err);

#endif
