/*
 * model_sse_fuzz.c - any bytes as the body of a chat completion, cut into pieces of any size
 *
 * The first byte is the size of the pieces; the same body in one piece must give the same text.
 */
#include <assert.h>

#include "model/drivers/openai_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum status
read_body(struct str body, size_t piece, struct model_sink *sink, struct model_reply *reply)
{
    struct openai_stream stream;
    enum status st;
    struct err err;

    openai_stream_init(&stream, sink, STR("sk-secret"));
    for (size_t at = 0; at < body.len; at += piece) {
        if (!openai_stream_push(&stream, str_sub(body, at, piece)))
            break;
    }
    st = openai_stream_end(&stream, reply, &err);
    assert(st == ST_OK || err.code == st);
    assert(str_find(str_from_c(stream.error.text), STR("sk-secret")) < 0);
    openai_stream_deinit(&stream);
    return st;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct model_sink *whole, *cut;
    struct model_reply whole_reply = {0}, cut_reply = {0};
    struct str body;

    if (size < 2)
        return 0;
    body = str_of((const char *)data + 1, size - 1);
    whole = model_sink_create(clock_system(), NULL, NULL);
    cut = model_sink_create(clock_system(), NULL, NULL);
    assert(read_body(body, body.len, whole, &whole_reply) ==
           read_body(body, (size_t)data[0] + 1, cut, &cut_reply));
    assert(str_is_utf8(model_sink_so_far(whole)));
    assert(str_eq(model_sink_so_far(whole), model_sink_so_far(cut)));
    assert(whole_reply.finish == cut_reply.finish);
    model_sink_destroy(&whole);
    model_sink_destroy(&cut);
    return 0;
}
