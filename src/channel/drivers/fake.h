/*
 * fake.h - three drivers for tests, without a provider: fake, failing, recording
 *
 *   fake       accepts everything          failing    answers sends as it was commanded to
 *   recording  keeps what it was told
 *
 * All three read the same bytes, proven by the header X-Fake-Secret (credentials.secret):
 *   {"id": "m1", "user": "u1", "chat": "c1", "text": "...", "name": "...", "locale": "en",
 *    "time_us": 1, "wants_answer": true, "new_conversation": false}        a message
 *   {"id": "e1", "event": "reaction", "about": "m1"}                       an event
 *   {"id": "e2", "event": "delivery", "about": "sent:1", "state": "failed", "reason": "...",
 *    "reference": "<message>:0"}                                           news of what was sent
 * settings: account, max_units (of a part, default 4096), script (a list of status names for the
 * sends of "failing", like ["busy", "ok"]; after its end all is well). Threads: shared, locks
 * inside.
 */
#ifndef PARLEY_CHANNEL_DRIVERS_FAKE_H
#define PARLEY_CHANNEL_DRIVERS_FAKE_H

#include "channel/channel_driver.h"

#define FAKE_SCRIPT_MAX 64
#define FAKE_RECORDS_MAX 100000

/* Commands the next sends of a "failing" channel, before what was commanded earlier is used up.
 * busy and unavailable ask for a wait of 1 ms. count <= FAKE_SCRIPT_MAX. */
void channel_failing_command(struct channel *channel, const enum status *outcomes, size_t count);

enum fake_call_kind {
    FAKE_SEND,
    FAKE_BEGIN,
    FAKE_GROW, /* part: the step */
    FAKE_EDIT,
    FAKE_WITHDRAW,
    FAKE_FIND,
    FAKE_TYPING,
    FAKE_ACKNOWLEDGE,
    FAKE_DRAFT
};

/* What a "recording" channel was told. */
struct fake_call {
    enum fake_call_kind kind;
    struct message_id message_id;
    struct str chat, text, reply_to; /* text: also the acknowledgement; reply_to: also the
                                        message that is changed */
    unsigned part, part_count;
};
size_t channel_recording_count(struct channel *channel);
/* Copies call number index (from 0) to the arena; false when there is none. */
bool channel_recording_get(struct channel *channel, size_t index, struct arena *arena,
                           struct fake_call *call_out);
/* A draft hook, for copies of channel_driver_recording. part: the draft's id. */
void channel_recording_draft(struct channel *channel, struct str external_chat_id, int64_t draft_id,
                             struct str text);
/* Makes copy, of channel_driver_recording or _failing, one that grows answers and finds messages:
 * each begin, edit, withdraw and find takes the next outcome of the script (as failing's sends do)
 * and is recorded. What is found is called "<channel id>:found". */
void channel_fake_grows(struct channel_driver *copy, unsigned interval_ms);
/* Waits until at least count calls were recorded; false when the deadline passed. */
bool channel_recording_wait(struct channel *channel, size_t count, int64_t deadline_ms);

#endif
