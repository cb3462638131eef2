/*
 * answer.c - one question: wish, passages, model, check
 */
#include "base/log.h"
#include "base/metrics.h"
#include "orchestrator/orchestrator_private.h"
#include "orchestrator/phrases.h"
#include "text/json.h"
#include "text/text.h"

/* What a language model is told to say when the passages do not hold the answer. */
#define NO_ANSWER STR("NO_ANSWER")

static struct metric answers_total = {
    .name = "parley_answers_total",
    .help = "Answers by kind and model",
    .kind = METRIC_COUNTER,
    .labels = {"kind", "model"},
};
static struct metric answer_seconds = {
    .name = "parley_answer_seconds",
    .help = "Time of an answer's steps: understand within retrieve, check within model",
    .kind = METRIC_HISTOGRAM,
    .labels = {"step"},
};

static const char *const kind_names[] = {"grounded", "courtesy", "unsure", "person", "unreadable"};

/* What an answer is made from. */
struct looking {
    const struct question *question;
    struct arena *arena;
    struct persona persona;
    struct retrieved retrieved;
};

static enum status
look_up_persona(struct store_tx *tx, void *arg, struct err *err)
{
    struct looking *l = arg;

    return persona_read(tx, l->question->brand_id, l->question->persona, l->arena, &l->persona,
                        err);
}

/* The customer's words tell the language; short ones leave it to the locale and the persona. */
static struct str
answer_language(const struct question *question)
{
    struct str language = text_language(question->text);
    size_t i;

    for (i = question->history_count; language.len == 0 && i > 0; i--)
        if (str_eq_c(question->history[i - 1].role, "user"))
            language = text_language(question->history[i - 1].body);
    if (language.len == 0)
        language = str_sub(question->locale, 0, 2);
    return language;
}

/* The question in whole words, as it is looked for; a language model reads it as it was written. */
static struct question
spell_out(const struct question *question, const struct persona *persona, struct arena *arena,
          struct answer *answer)
{
    struct question asked = *question;

    asked.text = text_spell_out(
        question->text,
        str_sub(answer->language.len > 0 ? answer->language : persona->language, 0, 2), arena);
    if (answer->language.len == 0)
        answer->language = text_language(asked.text);
    return asked;
}

static void
set_phrase(struct answer *answer, enum answer_kind kind, enum phrase phrase, const char *reason)
{
    answer->kind = kind;
    answer->text = phrase_get(phrase, answer->language);
    answer->reason = reason;
    answer->citation_count = 0;
}

/* What needs no documents. */
static bool
answer_wish(const struct question *question, const struct persona *persona, struct arena *arena,
            struct answer *answer)
{
    switch (wish_of(question->text, arena)) {
    case WISH_PERSON:
        set_phrase(answer, ANSWER_PERSON, PHRASE_PERSON, "asked_for_person");
        return true;
    case WISH_GREETING:
        set_phrase(answer, ANSWER_COURTESY, PHRASE_GREETING, NULL);
        if (persona->greeting.len > 0)
            answer->text = persona->greeting;
        return true;
    case WISH_THANKS:
        set_phrase(answer, ANSWER_COURTESY, PHRASE_WELCOME, NULL);
        return true;
    case WISH_ANSWER:
        break;
    }
    return false;
}

static void
keep_cited(const struct retrieved *retrieved, const unsigned char *cited, struct arena *arena,
           struct answer *answer)
{
    size_t i;

    answer->citations = ARENA_NEW_N(arena, struct citation, retrieved->count + 1);
    answer->citation_count = 0;
    for (i = 0; i < retrieved->count; i++)
        if (cited[i])
            answer->citations[answer->citation_count++] = retrieved->citations[i];
}

/* The model's words become the answer only if the passages bear them. */
static void
judge(const struct model_reply *reply, const struct guard_config *guard, const struct looking *l,
      struct arena *arena, struct answer *answer)
{
    struct guarded guarded;

    answer->model_name = reply->model_name;
    if (reply->no_answer || str_starts_with(str_trim(reply->text), NO_ANSWER)) {
        set_phrase(answer, ANSWER_UNSURE, PHRASE_UNSURE, "low_confidence");
        return;
    }
    guard_answer(guard, reply->text, arena, &guarded);
    if (!guarded.grounded) {
        set_phrase(answer, ANSWER_UNSURE, PHRASE_UNSURE, "low_confidence");
        answer->draft = guarded.said;
        return;
    }
    answer->kind = ANSWER_GROUNDED;
    answer->text = guarded.text;
    keep_cited(&l->retrieved, guarded.cited, arena, answer);
}

static void
observe_step(const char *step, int64_t took_us)
{
    metric_observe(&answer_seconds, (double)took_us / (double)US_PER_S, str_from_c(step), STR_EMPTY,
                   STR_EMPTY);
}

static enum status
ask_model(struct orchestrator *orchestrator, const struct question *question,
          const struct looking *l, const struct answer_stream *stream, struct arena *arena,
          struct answer *answer, struct err *err)
{
    const struct orchestrator_config *config = &orchestrator->config;
    struct model_chain *chain = l->persona.extractive_only ? config->extractive : config->models;
    const struct guard_config guard = {
        .retrieved = &l->retrieved,
        .language = answer->language,
        .known = arena_printf(arena, "%.*s %.*s", STR_ARG(l->persona.name),
                              STR_ARG(l->persona.organization_name)),
        .embedder = config->embedder,
    };
    struct guard_stream *checked =
        stream == NULL ? NULL : guard_stream_create(&guard, stream, arena);
    struct model_message *messages = NULL;
    struct model_reply reply;
    struct model_request request = {
        .question = l->retrieved.question,
        .language = answer->language,
        .passages = l->retrieved.passages,
        .passage_count = l->retrieved.count,
        .confidence = l->retrieved.confidence,
        .min_confidence =
            l->persona.min_confidence < 0 ? l->retrieved.threshold : l->persona.min_confidence,
        .deadline_ms =
            question->deadline_ms > 0 ? question->deadline_ms : config->model_deadline_ms,
    };
    enum status st;

    prompt_build(&l->persona, question, answer->language, &l->retrieved, arena, &messages,
                 &request.message_count);
    request.messages = messages;
    if (stream != NULL && stream->is_slow != NULL)
        *stream->is_slow = model_chain_streams(chain);
    st = model_chain_complete(chain, &request, stream == NULL ? NULL : guard_stream_text,
                              guard_stream_restart, checked, arena, &reply, err);
    if (st == ST_OK) {
        int64_t start_us = clock_mono_us(config->clock);

        judge(&reply, &guard, l, arena, answer);
        observe_step("check", clock_mono_us(config->clock) - start_us);
    } else {
        err_wrap(err, "ask the model");
    }
    if (checked != NULL)
        guard_stream_end(checked,
                         st == ST_OK && answer->kind == ANSWER_GROUNDED ? answer->text : STR_EMPTY);
    guard_stream_destroy(&checked);
    return st;
}

static void
observe(const struct answer *answer)
{
    METRIC_INC(&answers_total, str_from_c(kind_names[answer->kind]), answer->model_name);
    observe_step("understand", answer->timings.understand_us);
    observe_step("retrieve", answer->timings.total_us - answer->timings.model_us);
    observe_step("model", answer->timings.model_us);
    observe_step("all", answer->timings.total_us);
}

enum status
orchestrator_answer(struct orchestrator *orchestrator, const struct tenant_scope *scope,
                    const struct question *question, const struct answer_stream *stream,
                    struct arena *arena, struct answer *answer_out, struct err *err)
{
    struct clock *clock = orchestrator->config.clock;
    int64_t start_us = clock_mono_us(clock), understood_us, retrieved_us;
    struct answer answer = {.kind = ANSWER_UNSURE, .model_name = STR("rules")};
    struct looking l = {.question = question, .arena = arena};
    struct question asked;
    size_t seen = orchestrator->config.passages,
           wanted = question->depth > seen ? question->depth : seen;
    bool reranks;
    enum status st;

    answer.language = answer_language(question);
    st = store_read(orchestrator->config.store, scope, "answer_look_up", look_up_persona, &l, err);
    if (st != ST_OK)
        return err_wrap(err, "look up the persona");
    asked = spell_out(question, &l.persona, arena, &answer);
    understood_us = clock_mono_us(clock);
    reranks = orchestrator->config.rerank_ms > 0 && l.persona.rerank &&
              !l.persona.extractive_only && wish_of(asked.text, arena) == WISH_ANSWER;
    st = retrieve(orchestrator, scope, &asked, answer.language, &l.persona,
                  reranks && wanted < RERANK_PASSAGES ? RERANK_PASSAGES : wanted, arena,
                  &l.retrieved, err);
    if (st != ST_OK)
        return err_wrap(err, "look up passages");
    if (reranks)
        rerank(orchestrator, &l.retrieved, arena);
    if (l.retrieved.count > wanted)
        l.retrieved.count = wanted;
    if (answer.language.len == 0)
        answer.language = l.persona.language;
    retrieved_us = clock_mono_us(clock);
    answer.retrieve_ms = (unsigned)((retrieved_us - start_us) / US_PER_MS);
    answer.timings = l.retrieved.timings;
    answer.timings.understand_us += understood_us - start_us;
    answer.confidence = l.retrieved.confidence;
    answer.passages = l.retrieved.citations;
    answer.passage_count = l.retrieved.count;
    if (l.retrieved.count > seen)
        l.retrieved.count = seen;
    answer.seen_count = l.retrieved.count;
    if (str_trim(question->text).len == 0)
        set_phrase(&answer, ANSWER_UNREADABLE, PHRASE_UNREADABLE, NULL);
    else if (!answer_wish(&asked, &l.persona, arena, &answer))
        st = ask_model(orchestrator, question, &l, stream, arena, &answer, err);
    answer.timings.total_us = clock_mono_us(clock) - start_us;
    answer.timings.model_us = answer.timings.total_us - (retrieved_us - start_us);
    answer.model_ms = (unsigned)(answer.timings.model_us / US_PER_MS);
    if (st != ST_OK)
        return st;
    observe(&answer);
    *answer_out = answer;
    return ST_OK;
}

json_t *
answer_citations_json(const struct citation *citations, size_t count)
{
    json_t *list = json_array();
    size_t i;

    for (i = 0; i < count; i++) {
        const struct citation *c = &citations[i];
        json_t *row = json_object();

        json_set_int(row, "number", c->number);
        json_set_str(row, "source_id", ID_STR(c->source_id));
        json_set_int(row, "version", c->version);
        json_set_str(row, "title", c->title);
        json_set_str(row, "heading_path", c->heading_path);
        json_set_str(row, "quote", c->quote);
        json_set_int(row, "start", c->start_char);
        json_set_int(row, "end", c->end_char);
        if (c->page > 0)
            json_set_int(row, "page", c->page);
        json_set_double(row, "score", c->score);
        json_array_append_new(list, row);
    }
    return list;
}

json_t *
answer_timings_json(const struct answer *answer)
{
    const struct answer_timings *timings = &answer->timings;
    const struct {
        const char *name;
        int64_t us;
    } steps[] = {
        {"understand_ms", timings->understand_us},
        {"words_ms", timings->words_us},
        {"rerank_ms", timings->rerank_us},
        {"vectors_ms", timings->vectors_us},
        {"rank_ms", timings->rank_us},
        {"total_ms", timings->total_us},
    };
    json_t *json = json_object();

    json_set_int(json, "retrieve_ms", answer->retrieve_ms);
    json_set_int(json, "model_ms", answer->model_ms);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        json_set_double(json, steps[i].name, (double)steps[i].us / US_PER_MS);
    return json;
}
