/*
 * openai_stream.h - the body of a chat completion: bytes to text; for openai_chat.c and the fuzzer
 *
 *   bytes -> event stream? -> chunks -> delta.content -> sink
 *         -> one JSON object? -> choices[0].message.content -> sink
 * Which of the two it is shows in the first byte: servers answer with an event stream, a plain
 * completion, or an error object, whatever was asked for. Reasoning is kept apart: its own fields
 * are passed over, and a leading <think> block is taken off the text.
 * Threads: one.
 */
#ifndef PARLEY_MODEL_DRIVERS_OPENAI_STREAM_H
#define PARLEY_MODEL_DRIVERS_OPENAI_STREAM_H

#include "model/drivers/openai_error.h"
#include "model/model_driver.h"
#include "net/sse_parser.h"

enum openai_form { OPENAI_FORM_UNKNOWN, OPENAI_FORM_EVENTS, OPENAI_FORM_OBJECT };
enum openai_think { OPENAI_THINK_MAYBE, OPENAI_THINK_INSIDE, OPENAI_THINK_OVER };

struct openai_stream {
    struct model_sink *sink;
    struct str secret; /* never in an error's text */
    struct sse_parser events;
    struct buf object;
    enum openai_form form;
    struct buf held; /* text that may be, or is inside, a <think> block */
    enum openai_think think;
    bool is_done;    /* [DONE] */
    bool has_finish; /* a finish reason came */
    bool was_filtered, was_cut, was_refused;
    bool has_error;
    struct openai_error error;
    int64_t prompt_tokens, completion_tokens; /* -1: not told */
    enum status status;                       /* of reading: malformed, too large */
    struct err err;
};

void openai_stream_init(struct openai_stream *stream, struct model_sink *sink, struct str secret);
void openai_stream_deinit(struct openai_stream *stream);
/* False: no more bytes are wanted (stopped by the reader, or failed). */
bool openai_stream_push(struct openai_stream *stream, struct str bytes);
/* After the last byte. ST_OK when the answer is whole; fills finish and tokens of the reply.
 * ST_UNAVAILABLE: it ended too early, was empty or not understood; else the code of error. */
MUST_USE enum status openai_stream_end(struct openai_stream *stream, struct model_reply *reply,
                                       struct err *err);

#endif
