/*
 * rerank.c - a language model puts the passages in order, where operator and organization want that
 *
 * It is shown the passages as data and answers with their numbers. Whatever else it answers, or
 * nothing in time, leaves the order as it is: no answer is worse than without it. How sure the
 * passages hold the answer was calibrated on the order before and stays that.
 */
#include "base/embedded.h"
#include "base/log.h"
#include "base/metrics.h"
#include "orchestrator/orchestrator_private.h"
#include "text/json.h"

#define TEXT_MAX_BYTES 1500
#define MAX_OUTPUT_TOKENS 400

extern const struct embedded_file orchestrator_prompts[];

static struct metric reranks_total = {
    .name = "parley_answer_reranks_total",
    .help =
        "Questions whose passages a language model was to put in order: ordered, kept (as it was), "
        "unusable (its answer) or failed",
    .kind = METRIC_COUNTER,
    .labels = {"outcome"},
};

static struct str
cut(struct str text)
{
    return str_sub(text, 0, str_utf8_floor(text, TEXT_MAX_BYTES));
}

static struct str
data_of(const struct retrieved *retrieved, size_t count, struct arena *arena)
{
    json_auto_t *data = json_object();
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++) {
        const struct model_passage *passage = &retrieved->passages[i];
        json_t *row = json_object();

        json_set_int(row, "number", (int64_t)i + 1);
        json_set_str(row, "title", passage->title);
        json_set_str(row, "heading", passage->heading_path);
        json_set_str(row, "text", cut(passage->text));
        json_array_append_new(list, row);
    }
    json_set_str(data, "question", cut(retrieved->question));
    json_set(data, "passages", list);
    return json_text(data, arena);
}

bool
rerank_read(struct str text, size_t count, size_t *order)
{
    bool seen[RERANK_PASSAGES] = {false};
    json_auto_t *json = NULL;
    const json_t *list, *number;
    struct err ignored;
    size_t start = 0, end = text.len, at = 0, i;

    /* It may stand in a fence. */
    while (start < end && text.ptr[start] != '{')
        start++;
    while (end > start && text.ptr[end - 1] != '}')
        end--;
    if (json_parse(str_sub(text, start, end - start), &json, &ignored) != ST_OK)
        return false;
    list = json_get_array(json, "order");
    json_array_foreach (list, i, number) {
        json_int_t value = json_is_integer(number) ? json_integer_value(number) : 0;

        if (value < 1 || (size_t)value > count || seen[value - 1])
            return false;
        seen[value - 1] = true;
        order[at++] = (size_t)value - 1;
    }
    if (at == 0)
        return false;
    for (i = 0; i < count; i++)
        if (!seen[i])
            order[at++] = i;
    return true;
}

/* True: it is another order. */
static bool
put_in_order(struct retrieved *retrieved, const size_t *order, size_t count, struct arena *arena)
{
    struct citation *citations = ARENA_NEW_N(arena, struct citation, count);
    struct model_passage *passages = ARENA_NEW_N(arena, struct model_passage, count);
    bool is_other = false;

    for (size_t i = 0; i < count; i++) {
        citations[i] = retrieved->citations[order[i]];
        citations[i].number = (unsigned)i + 1;
        passages[i] = retrieved->passages[order[i]];
        is_other = is_other || order[i] != i;
    }
    for (size_t i = 0; i < count; i++) {
        retrieved->citations[i] = citations[i];
        retrieved->passages[i] = passages[i];
    }
    return is_other;
}

void
rerank(const struct orchestrator *orchestrator, struct retrieved *retrieved, struct arena *arena)
{
    const struct orchestrator_config *config = &orchestrator->config;
    size_t order[RERANK_PASSAGES],
        count = retrieved->count < RERANK_PASSAGES ? retrieved->count : RERANK_PASSAGES;
    const struct model_message messages[] = {
        {MODEL_SYSTEM, embedded_find(orchestrator_prompts, STR("rerank.txt"))},
        {MODEL_USER, data_of(retrieved, count, arena)}};
    const struct model_request request = {.messages = messages,
                                          .message_count = 2,
                                          .max_output_tokens = MAX_OUTPUT_TOKENS,
                                          .deadline_ms = config->rerank_ms};
    int64_t start_us = clock_mono_us(config->clock);
    struct model_reply reply;
    struct err err;
    enum status st;

    if (count < 2)
        return;
    st = model_chain_complete(config->models, &request, NULL, NULL, NULL, arena, &reply, &err);
    retrieved->timings.rerank_us = clock_mono_us(config->clock) - start_us;
    if (st != ST_OK || str_eq_c(reply.model_name, "extractive")) {
        METRIC_INC(&reranks_total, STR("failed"));
        if (st != ST_OK)
            LOG_ERR(LOG_WARN, "answer.not_reranked", &err);
    } else if (!rerank_read(reply.text, count, order)) {
        METRIC_INC(&reranks_total, STR("unusable"));
    } else {
        METRIC_INC(&reranks_total,
                   put_in_order(retrieved, order, count, arena) ? STR("ordered") : STR("kept"));
    }
}
