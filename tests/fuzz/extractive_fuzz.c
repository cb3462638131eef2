/*
 * extractive_fuzz.c - any text as question and passages of the extractive answerer
 *
 * Parts are separated by a zero byte: question, then title, heading path and text of each passage.
 */
#include <assert.h>

#include "model/model.h"
#include "text/json.h"

#define MAX_PASSAGES 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str
next_part(struct str *rest)
{
    struct str part = STR_EMPTY;

    return str_split(rest, '\0', &part) ? part : STR_EMPTY;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_of((const char *)data, size);
    struct model_passage passages[MAX_PASSAGES];
    struct model_request request = {.passages = passages, .confidence = 1, .deadline_ms = 1000};
    struct model_env env = {.clock = clock_system()};
    struct arena *arena = arena_create((size_t)64 * 1024 * 1024);
    json_t *config = json_object();
    struct model_reply reply;
    struct model *model;
    enum status st;
    struct err err;

    request.question = next_part(&rest);
    while (request.passage_count < MAX_PASSAGES && rest.len > 0) {
        struct model_passage *passage = &passages[request.passage_count++];

        passage->title = next_part(&rest);
        passage->heading_path = next_part(&rest);
        passage->text = next_part(&rest);
        passage->score = 1;
    }
    json_set_str(config, "driver", STR("extractive"));
    assert(model_open(&env, config, &model, &err) == ST_OK);
    st = model_complete(model, &request, NULL, NULL, arena, &reply, &err);
    assert(st == ST_OK || st == ST_INVALID);
    if (st == ST_OK)
        assert(reply.text.len > 0 && str_is_utf8(reply.text));
    model_close(&model);
    json_decref(config);
    arena_destroy(&arena);
    return 0;
}
