/*
 * judge_model.c - a language model judges: what it is sent is JSON, what it answers is checked
 */
#include "base/embedded.h"
#include "eval/judge_private.h"
#include "eval/metrics.h"

#define MAX_OUTPUT_TOKENS 2000
#define MAX_QUESTIONS 5

extern const struct embedded_file eval_prompts[];

/* The object in the model's words: it may stand in a fence, or have a sentence around it. */
static enum status
read_object(struct str text, json_t **object_out, struct err *err)
{
    size_t start = 0, end = text.len;

    while (start < end && text.ptr[start] != '{')
        start++;
    while (end > start && text.ptr[end - 1] != '}')
        end--;
    if (start == end || json_parse(str_sub(text, start, end - start), object_out, err) != ST_OK)
        return err_set_detail(err, ST_UNAVAILABLE, "the judging model's answer is not JSON");
    return ST_OK;
}

/* Takes data. */
static enum status
ask(const struct eval_judge *judge, const char *prompt, json_t *data, struct arena *arena,
    json_t **answer_out, struct eval_verdict *verdict, struct err *err)
{
    const struct model_message messages[] = {
        {MODEL_SYSTEM, embedded_find(eval_prompts, str_from_c(prompt))},
        {MODEL_USER, json_text(data, arena)}};
    const struct model_request request = {.messages = messages,
                                          .message_count = 2,
                                          .max_output_tokens = MAX_OUTPUT_TOKENS,
                                          .deadline_ms = judge->deadline_ms};
    struct model_reply reply;
    enum status st;

    json_decref(data);
    *answer_out = NULL;
    st = model_chain_complete(judge->models, &request, NULL, NULL, NULL, arena, &reply, err);
    if (st == ST_OK && str_eq_c(reply.model_name, "extractive"))
        st = err_set_detail(err, ST_UNAVAILABLE, "no language model could be reached");
    if (st != ST_OK)
        return err_wrap(err, "judge by a model");
    verdict->judge = reply.model_name;
    return read_object(reply.text, answer_out, err);
}

static json_t *
passages_json(const struct eval_case *one)
{
    json_t *list = json_array();

    for (size_t i = 0; i < one->passage_count; i++) {
        json_t *row = json_object();

        json_set_str(row, "title", one->passages[i].title);
        json_set_str(row, "heading", one->passages[i].heading);
        json_set_str(row, "text", one->passages[i].text);
        json_array_append_new(list, row);
    }
    return list;
}

/* EVAL_NOT_MEASURED: it claims nothing. */
static enum status
judge_claims(const struct eval_judge *judge, const struct eval_case *one, struct str text,
             struct arena *arena, double *share_out, struct eval_verdict *verdict, struct err *err)
{
    json_auto_t *answer = NULL;
    const json_t *claims, *claim;
    json_t *data = json_object();
    size_t i, supported = 0;
    enum status st;

    json_set_str(data, "question", one->question->text);
    json_set_str(data, "text", eval_without_citations(text, arena));
    json_set(data, "passages", passages_json(one));
    st = ask(judge, "claims.txt", data, arena, &answer, verdict, err);
    if (st != ST_OK)
        return st;
    claims = json_get_array(answer, "claims");
    json_array_foreach (claims, i, claim) {
        if (!json_is_boolean(json_object_get(claim, "supported")))
            claims = NULL;
        supported += json_is_true(json_object_get(claim, "supported"));
    }
    if (claims == NULL)
        return err_set_detail(err, ST_UNAVAILABLE, "the judging model told no claims");
    *share_out = json_array_size(claims) == 0 ? EVAL_NOT_MEASURED
                                              : (double)supported / (double)json_array_size(claims);
    return ST_OK;
}

static enum status
judge_passages(const struct eval_judge *judge, const struct eval_case *one, struct arena *arena,
               struct eval_verdict *verdict, struct err *err)
{
    bool *useful = ARENA_NEW_N(arena, bool, one->passage_count + 1);
    json_auto_t *answer = NULL;
    json_t *data = json_object();
    const json_t *list;
    enum status st;

    json_set_str(data, "question", one->question->text);
    json_set_str(data, "reference", one->question->reference);
    json_set(data, "passages", passages_json(one));
    st = ask(judge, "passages.txt", data, arena, &answer, verdict, err);
    if (st != ST_OK)
        return st;
    list = json_get_array(answer, "useful");
    if (json_array_size(list) != one->passage_count)
        return err_set_detail(err, ST_UNAVAILABLE,
                              "the judging model judged %zu passages, not all %zu",
                              json_array_size(list), one->passage_count);
    for (size_t i = 0; i < one->passage_count; i++)
        useful[i] = json_is_true(json_array_get(list, i));
    verdict->context_precision = eval_context_precision(useful, one->passage_count);
    return ST_OK;
}

static enum status
judge_relevancy(const struct eval_judge *judge, const struct eval_case *one, struct arena *arena,
                struct eval_verdict *verdict, struct err *err)
{
    struct str texts[MAX_QUESTIONS + 1] = {one->question->text};
    double cosines[MAX_QUESTIONS], sum = 0;
    json_auto_t *answer = NULL;
    json_t *data = json_object();
    const json_t *list, *entry;
    size_t count = 1, i;
    enum status st;

    json_set_str(data, "answer", eval_without_citations(one->answer, arena));
    st = ask(judge, "questions.txt", data, arena, &answer, verdict, err);
    if (st != ST_OK)
        return st;
    verdict->relevancy = 0;
    if (json_is_true(json_object_get(answer, "noncommittal")))
        return ST_OK;
    list = json_get_array(answer, "questions");
    json_array_foreach (list, i, entry) {
        struct str text = str_trim(str_of(json_string_value(entry), json_string_length(entry)));

        if (text.len > 0 && count <= MAX_QUESTIONS)
            texts[count++] = text;
    }
    if (count == 1)
        return err_set_detail(err, ST_UNAVAILABLE, "the judging model made no questions");
    st = judge_cosines(judge, texts, count, arena, cosines, err);
    for (i = 0; st == ST_OK && i + 1 < count; i++)
        sum += cosines[i];
    verdict->relevancy = sum < 0 ? 0 : sum / (double)(count - 1);
    return st;
}

enum status
judge_by_model(const struct eval_judge *judge, const struct eval_case *one, struct arena *arena,
               struct eval_verdict *verdict, struct err *err)
{
    struct str reference = one->question->reference;
    enum status st = ST_OK;

    if (one->passage_count > 0)
        st = judge_passages(judge, one, arena, verdict, err);
    if (st == ST_OK && reference.len > 0)
        st = judge_claims(judge, one, reference, arena, &verdict->context_recall, verdict, err);
    if (st == ST_OK && one->answer.len > 0)
        st = judge_claims(judge, one, one->answer, arena, &verdict->faithfulness, verdict, err);
    if (st == ST_OK && judge->embedder != NULL) {
        verdict->relevancy = 0;
        if (one->answer.len > 0)
            st = judge_relevancy(judge, one, arena, verdict, err);
    }
    return st;
}
