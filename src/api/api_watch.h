/*
 * api_watch.h - a live topic as an event stream of the answer
 *
 * The stream and the subscription end in either order, on any thread, also while an event is being
 * delivered; whoever comes second gives both to the api's reaper, which frees them.
 */
#ifndef PARLEY_API_API_WATCH_H
#define PARLEY_API_API_WATCH_H

#include "api/api_private.h"

struct api_reaper;

MUST_USE enum status api_reaper_create(struct api_reaper **reaper_out, struct err *err);
/* All streams must have ended: stop the HTTP server first. */
void api_reaper_destroy(struct api_reaper **reaper);

struct api_watch_first { /* an event to send before the topic's, such as the present state */
    struct str event, data;
};

/* Answers with an event stream of the topic, from Last-Event-ID on (header, or ?last_event_id=).
 * first (may be NULL) is asked after the subscription stands, so that nothing falls between.
 * end_after (may be NULL): names of events after which the stream ends, ended by NULL; also of the
 * first. Such a stream ends with "reset", too, when events were missed: whoever asks again gets the
 * first. grows (may be NULL): a number in the data that never falls; an event where it is smaller
 * than in one before it came late, behind a newer state that the first told, and is left out. */
MUST_USE enum status
api_watch_topic(struct api_call *call, struct str topic,
                enum status (*first)(struct api_call *call, void *arg,
                                     struct api_watch_first *first_out, struct err *err),
                void *arg, const char *const *end_after, const char *grows, struct err *err);

#endif
