/*
 * openai_stream.c - chunks of an OpenAI-compatible chat completion
 */
#include "model/drivers/openai_stream.h"

#include "text/json.h"

#define MAX_EVENT_BYTES ((size_t)1024 * 1024)
#define MAX_OBJECT_BYTES ((size_t)8 * 1024 * 1024)
#define MAX_THINK_BYTES ((size_t)4 * 1024 * 1024)

/* --- text --- */

/* How much of text's end could be the beginning of mark. */
static size_t
partial_end(struct str text, struct str mark)
{
    for (size_t len = mark.len - 1; len > 0; len--) {
        if (text.len >= len && str_eq(str_sub(text, text.len - len, len), str_sub(mark, 0, len)))
            return len;
    }
    return 0;
}

static struct str
trim_start(struct str text)
{
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\n' || text.ptr[0] == '\t' ||
                            text.ptr[0] == '\r'))
        text = str_sub(text, 1, text.len);
    return text;
}

static void
release_held(struct openai_stream *stream, struct str text)
{
    stream->think = OPENAI_THINK_OVER;
    (void)model_sink_text(stream->sink, text);
    buf_clear(&stream->held);
}

static void
take_text(struct openai_stream *stream, struct str piece)
{
    static const struct str open = STR_INIT("<think>"), close = STR_INIT("</think>");
    struct str held, begin;
    ptrdiff_t end;

    if (stream->think == OPENAI_THINK_OVER) {
        (void)model_sink_text(stream->sink, piece);
        return;
    }
    buf_append(&stream->held, piece);
    if (stream->held.failed) {
        stream->status = err_set_detail(&stream->err, ST_UNAVAILABLE, "reasoning without end");
        return;
    }
    held = buf_str(&stream->held);
    if (stream->think == OPENAI_THINK_MAYBE) {
        begin = trim_start(held);
        if (str_starts_with(begin, open))
            stream->think = OPENAI_THINK_INSIDE;
        else if (begin.len >= open.len || !str_starts_with(open, begin)) {
            release_held(stream, begin);
            return;
        }
    }
    if (stream->think == OPENAI_THINK_INSIDE) {
        end = str_find(held, close);
        if (end >= 0) {
            begin = trim_start(str_sub(held, (size_t)end + close.len, held.len));
            if (begin.len > 0)
                release_held(stream, begin);
            else {
                /* White space after the block goes too, as it comes. */
                buf_clear(&stream->held);
                stream->think = OPENAI_THINK_MAYBE;
            }
        } else {
            /* Only what may begin the closing mark is worth keeping. */
            buf_consume(&stream->held, held.len - partial_end(held, close));
        }
    }
}

/* content is a string, null, or an array of {"type": "text", "text": ...}. */
static void
take_content(struct openai_stream *stream, const json_t *content)
{
    size_t i;
    json_t *part;

    if (json_is_string(content)) {
        take_text(stream, str_of(json_string_value(content), json_string_length(content)));
        return;
    }
    json_array_foreach (content, i, part) {
        struct str type = json_get_str(part, "type"), text = json_get_str(part, "text");

        if (text.len > 0 && (type.ptr == NULL || str_eq(type, STR("text"))))
            take_text(stream, text);
    }
}

/* --- chunks --- */

static void
take_error(struct openai_stream *stream, int http_status, const json_t *json)
{
    stream->has_error = true;
    openai_error_read(http_status, json, stream->secret, &stream->error);
}

static void
take_finish(struct openai_stream *stream, const json_t *json, struct str reason)
{
    if (reason.len == 0)
        return;
    if (str_eq(reason, STR("error"))) {
        take_error(stream, 200, json);
        return;
    }
    stream->has_finish = true;
    stream->was_cut = str_eq(reason, STR("length"));
    stream->was_filtered = str_eq(reason, STR("content_filter"));
}

static void
take_usage(struct openai_stream *stream, const json_t *json)
{
    const json_t *usage = json_get_object(json, "usage");
    int64_t prompt = json_get_int(usage, "prompt_tokens", -1);
    int64_t completion = json_get_int(usage, "completion_tokens", -1);

    if (prompt >= 0)
        stream->prompt_tokens = prompt;
    if (completion >= 0)
        stream->completion_tokens = completion;
}

static void
take_object(struct openai_stream *stream, const json_t *json)
{
    const json_t *choice, *message;

    if (openai_error_is(json)) {
        take_error(stream, 200, json);
        return;
    }
    take_usage(stream, json);
    choice = json_array_get(json_get_array(json, "choices"), 0); /* may be empty: usage, Azure */
    if (choice == NULL || json_get_int(choice, "index", 0) != 0)
        return;
    message = json_get_object(choice, "delta");
    if (message == NULL)
        message = json_get_object(choice, "message");
    take_content(stream, json_object_get(message, "content"));
    if (json_get_str(message, "refusal").len > 0)
        stream->was_refused = true;
    take_finish(stream, json, json_get_str(choice, "finish_reason"));
}

static bool
take_json(struct openai_stream *stream, struct str text)
{
    json_auto_t *json = NULL;

    if (json_parse(text, &json, &stream->err) != ST_OK || !json_is_object(json)) {
        stream->status =
            err_set_detail(&stream->err, ST_UNAVAILABLE, "the server sent what is not JSON");
        return false;
    }
    take_object(stream, json);
    return stream->status == ST_OK && !stream->has_error && !model_sink_is_stopped(stream->sink);
}

static bool
on_event(const struct sse_event *event, void *context)
{
    struct openai_stream *stream = context;
    struct str data = str_trim(event->data);

    /* Bytes after [DONE] are read and dropped, so that the connection can be used again. */
    if (stream->is_done || data.len == 0)
        return true;
    if (str_eq(data, STR("[DONE]"))) {
        stream->is_done = true;
        return true;
    }
    return take_json(stream, data);
}

/* --- bytes --- */

void
openai_stream_init(struct openai_stream *stream, struct model_sink *sink, struct str secret)
{
    *stream = (struct openai_stream){
        .sink = sink, .secret = secret, .prompt_tokens = -1, .completion_tokens = -1};
    sse_parser_init(&stream->events, MAX_EVENT_BYTES, on_event, stream);
    buf_init(&stream->object, MAX_OBJECT_BYTES);
    buf_init(&stream->held, MAX_THINK_BYTES);
}

void
openai_stream_deinit(struct openai_stream *stream)
{
    sse_parser_deinit(&stream->events);
    buf_deinit(&stream->object);
    buf_deinit(&stream->held);
}

static void
see_form(struct openai_stream *stream, struct str bytes)
{
    struct str text = trim_start(bytes);

    if (stream->form == OPENAI_FORM_UNKNOWN && text.len > 0)
        stream->form = text.ptr[0] == '{' ? OPENAI_FORM_OBJECT : OPENAI_FORM_EVENTS;
}

bool
openai_stream_push(struct openai_stream *stream, struct str bytes)
{
    enum status st;

    see_form(stream, bytes);
    if (stream->form == OPENAI_FORM_OBJECT) {
        buf_append(&stream->object, bytes);
        if (stream->object.failed)
            stream->status =
                err_set_detail(&stream->err, ST_UNAVAILABLE, "the server's answer is too long");
        return stream->status == ST_OK;
    }
    st = sse_parser_push(&stream->events, bytes, &stream->err);
    if (st != ST_OK && stream->status == ST_OK)
        stream->status =
            err_set_detail(&stream->err, ST_UNAVAILABLE, "one event of the stream is too long");
    return stream->status == ST_OK && !stream->has_error && !model_sink_is_stopped(stream->sink);
}

static enum status
error_status(const struct openai_stream *stream, struct err *err)
{
    const struct openai_error *error = &stream->error;

    return err_set_detail(err, error->status, "the server told of an error: %s %s", error->code,
                          error->text);
}

enum status
openai_stream_end(struct openai_stream *stream, struct model_reply *reply, struct err *err)
{
    bool has_text;

    /* A last event without its blank line counts: some servers close right after it. */
    if (stream->form == OPENAI_FORM_EVENTS && stream->status == ST_OK && !stream->has_error)
        (void)openai_stream_push(stream, STR("\n\n"));
    else if (stream->form == OPENAI_FORM_OBJECT && stream->status == ST_OK)
        (void)take_json(stream, buf_str(&stream->object));
    if (stream->think == OPENAI_THINK_MAYBE && stream->held.len > 0)
        release_held(stream, trim_start(buf_str(&stream->held)));

    reply->prompt_tokens = stream->prompt_tokens;
    reply->completion_tokens = stream->completion_tokens;
    if (model_sink_is_stopped(stream->sink))
        return ST_OK;
    if (stream->has_error)
        return error_status(stream, err);
    if (stream->status != ST_OK) {
        *err = stream->err;
        return stream->status;
    }
    has_text = model_sink_so_far(stream->sink).len > 0;
    if (!stream->is_done && !stream->has_finish &&
        !(stream->form == OPENAI_FORM_OBJECT && has_text))
        return err_set_detail(err, ST_UNAVAILABLE, "the answer ended before it was whole");
    if (stream->was_filtered || stream->was_refused) {
        reply->finish = MODEL_FINISH_FILTER;
        return ST_OK;
    }
    if (!has_text && stream->was_cut)
        return err_set_detail(err, ST_INVALID, "max_output_tokens were used up before any text");
    if (!has_text)
        return err_set_detail(err, ST_UNAVAILABLE, "the answer is empty");
    reply->finish = stream->was_cut ? MODEL_FINISH_LENGTH : MODEL_FINISH_STOP;
    return ST_OK;
}
