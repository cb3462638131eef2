/*
 * fake.c - a model for tests that says what its configuration tells it, word by word
 *
 *   {"driver": "fake", "text": "…", "no_answer": false, "finish": "stop"}
 * Without "text" it repeats the question and cites the first passage.
 */
#include "model/model_driver.h"

#include "text/json.h"

struct fake_config {
    struct str driver, text, finish;
    bool no_answer;
};

static const struct json_field fake_fields[] = {
    {"driver", JSON_FIELD_STR, true, offsetof(struct fake_config, driver), 64, 0, 0},
    {"text", JSON_FIELD_STR, false, offsetof(struct fake_config, text), MODEL_MAX_TEXT_BYTES, 0, 0},
    {"finish", JSON_FIELD_STR, false, offsetof(struct fake_config, finish), 16, 0, 0},
    {"no_answer", JSON_FIELD_BOOL, false, offsetof(struct fake_config, no_answer), 0, 0, 0},
    {NULL, JSON_FIELD_STR, false, 0, 0, 0, 0},
};

struct fake_model {
    struct model base;
    struct str text; /* NULL ptr: repeat the question */
    bool no_answer;
    enum model_finish finish;
};

static enum status
read_finish(struct str name, enum model_finish *finish_out, struct err *err)
{
    static const char *const names[] = {"stop", "length", "filter"};

    *finish_out = MODEL_FINISH_STOP;
    if (name.ptr == NULL)
        return ST_OK;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (str_eq_c(name, names[i])) {
            *finish_out = (enum model_finish)i;
            return ST_OK;
        }
    }
    return err_set(err, ST_INVALID, "\"finish\" must be stop, length or filter");
}

static enum status
fake_open(struct model *model, const json_t *config, struct err *err)
{
    struct fake_model *fake = (struct fake_model *)model;
    struct fake_config read = {0};
    enum status st;

    st = json_read(config, fake_fields, &read, err);
    if (st == ST_OK)
        st = read_finish(read.finish, &fake->finish, err);
    if (st == ST_OK && read.text.ptr != NULL)
        st = arena_try_str(model->arena, read.text, &fake->text, err);
    fake->no_answer = read.no_answer;
    return st;
}

static void
fake_close(struct model *model)
{
    (void)model;
}

static enum status
fake_complete(struct model *model, const struct model_request *request, struct model_sink *sink,
              struct arena *arena, struct model_reply *reply, struct err *err)
{
    const struct fake_model *fake = (const struct fake_model *)model;
    struct str text = fake->text;
    struct str question = str_sub(request->question, 0, 4096);

    (void)err;
    question.len = str_utf8_valid_prefix(question);
    if (text.ptr == NULL)
        text = arena_printf(arena, "You asked: %.*s%s", STR_ARG(question),
                            request->passage_count > 0 ? " [1]" : "");
    (void)model_sink_words(sink, text);
    reply->finish = fake->finish;
    reply->no_answer = fake->no_answer;
    reply->prompt_tokens = (int64_t)request->message_count;
    reply->completion_tokens = (int64_t)text.len;
    return ST_OK;
}

const struct model_driver model_driver_fake = {
    .name = "fake",
    .caps = MODEL_READS_MESSAGES | MODEL_READS_PASSAGES,
    .size = sizeof(struct fake_model),
    .open = fake_open,
    .close = fake_close,
    .complete = fake_complete,
};
