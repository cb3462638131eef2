/*
 * inbound.c - a conversation's turn: its waiting messages, answered together
 *
 * plan (read) -> answer (no transaction) -> commit: message, outbound job, state, job done. A run
 * that is repeated after its commit finds nothing waiting and only finishes its job.
 */
#include <ctype.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "conversation/envelope.h"
#include "conversation/growing.h"
#include "conversation/person.h"
#include "conversation/view.h"
#include "orchestrator/linking.h"
#include "orchestrator/orchestrator_private.h"
#include "orchestrator/phrases.h"
#include "text/json.h"

#define MAX_WAITING 100

/* One turn; belongs to the worker that holds the lease. */
struct turn {
    struct orchestrator *orchestrator;
    struct lease *lease;
    struct conversation_id conversation_id;
    /* plan */
    struct conversation conversation;
    struct message *messages; /* history, then what waits */
    size_t message_count, first_waiting;
    struct history history;        /* before what waits, on all the person's channels */
    const struct message *linking; /* the first that waits and is about linking; NULL: none */
    bool linking_is_busy;          /* too many of that */
    bool left_growing;             /* nothing waits, but an earlier run began to show an answer */
    /* answer */
    struct channel *channel;
    bool grows; /* the answer, while it is made */
    struct growth growth;
    bool is_slow; /* its text */
    struct typing *typing;
    struct answer answer;
    json_t *envelope; /* of the last waiting message, enriched */
    int64_t picked_us, answered_us;
    /* commit */
    struct message_id message_id;
    struct message said;
    bool is_outdated; /* one of the waiting messages was deleted while they were answered */
    size_t streamed;
    struct str topic;
};

static enum status
read_conversation_id(struct lease *lease, struct conversation_id *id_out, struct err *err)
{
    json_auto_t *payload = NULL;
    enum status st = json_parse(lease_job(lease)->payload, &payload, err);

    return st == ST_OK ? ID_PARSE(json_get_str(payload, "conversation_id"), id_out, err) : st;
}

static bool
is_waiting(const struct turn *t, const struct message *message)
{
    return message->seq > t->conversation.answered_seq && str_eq_c(message->role, "user") &&
           message->deleted_at_us == 0;
}

static enum status
look_for_growing(struct store_tx *tx, struct turn *t, struct err *err)
{
    struct growing found;
    enum status st = growing_get(tx, t->conversation_id, lease_arena(t->lease), &found, err);

    t->left_growing = st == ST_OK;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum status
plan(struct store_tx *tx, void *arg, struct err *err)
{
    struct turn *t = arg;
    struct arena *arena = lease_arena(t->lease);
    size_t history = t->orchestrator->config.history_messages;
    enum status st = conversation_get(tx, t->conversation_id, arena, &t->conversation, err);

    t->message_count = 0;
    t->first_waiting = 0;
    t->left_growing = false;
    if (st != ST_OK)
        return st;
    if (t->conversation.hand_off_to_human)
        return look_for_growing(tx, t, err);
    st = message_window(tx, t->conversation_id, INT64_MAX, MAX_WAITING + history, arena,
                        &t->messages, &t->message_count, err);
    while (t->first_waiting < t->message_count && !is_waiting(t, &t->messages[t->first_waiting]))
        t->first_waiting++;
    t->history.count = t->first_waiting < history ? t->first_waiting : history;
    t->history.messages = t->messages + (t->first_waiting - t->history.count);
    if (st == ST_OK && t->first_waiting < t->message_count)
        st = person_add_history(tx, &t->conversation, history, arena, &t->history, err);
    else if (st == ST_OK)
        st = look_for_growing(tx, t, err);
    if (st == ST_OK)
        linking_strip(&t->history, arena);
    return st;
}

/* --- streaming to whoever watches the chat --- */

static bool
stream_text(struct str piece, void *context)
{
    struct turn *t = context;
    struct arena *arena = lease_arena(t->lease);
    json_auto_t *delta = json_object();

    if (t->is_slow)
        typing_text(t->orchestrator->typing, t->typing, piece);
    if ((channel_caps(t->channel) & CHANNEL_STREAMS) == 0)
        return true;
    json_set_int(delta, "answers_to_seq", t->messages[t->message_count - 1].seq);
    json_set_int(delta, "offset", (int64_t)t->streamed);
    json_set_str(delta, "text", piece);
    t->streamed += piece.len;
    live_publish(t->orchestrator->config.live, lease_scope(t->lease), t->topic, STR("answer_delta"),
                 json_text(delta, arena));
    return true;
}

static void
stream_restart(void *context)
{
    struct turn *t = context;

    typing_restart(t->orchestrator->typing, t->typing);
    if ((channel_caps(t->channel) & CHANNEL_STREAMS) == 0)
        return;
    t->streamed = 0;
    live_publish(t->orchestrator->config.live, lease_scope(t->lease), t->topic,
                 STR("answer_restart"), STR("{}"));
}

/* --- answering --- */

static bool
is_handle(struct str word)
{
    size_t i;

    for (i = 1; i < word.len; i++)
        if (!isalnum((unsigned char)word.ptr[i]) && word.ptr[i] != '_')
            return false;
    return word.len > 3 && word.ptr[0] == '@';
}

/* The text without "@name": it says who is meant, and as a rare word would only mislead the search.
 */
static void
append_words(struct buf *out, struct str text)
{
    size_t start = 0, i;

    for (i = 0; i <= text.len; i++) {
        struct str word = str_sub(text, start, i - start);
        ptrdiff_t at;

        if (i < text.len && text.ptr[i] != ' ' && text.ptr[i] != '\n')
            continue;
        at = str_find_byte(word, '@');
        if (word.len > 0 && word.ptr[0] == '/' && at > 0)
            word.len = (size_t)at; /* "/command@name" */
        if (!is_handle(word))
            buf_append(out, word);
        if (i < text.len)
            buf_append_byte(out, text.ptr[i]);
        start = i + 1;
    }
}

static struct str
join_waiting(const struct turn *t, struct arena *arena)
{
    struct buf joined;
    struct str text;
    size_t i;

    buf_init(&joined, 1024 * 1024);
    for (i = t->first_waiting; i < t->message_count; i++) {
        if (!is_waiting(t, &t->messages[i]) || t->messages[i].body.len == 0 ||
            linking_of(t->messages[i].body) != LINKING_NONE)
            continue;
        if (joined.len > 0)
            buf_append_byte(&joined, '\n');
        append_words(&joined, t->messages[i].body);
    }
    text = str_trim(arena_str(arena, buf_str(&joined)));
    buf_deinit(&joined);
    return text;
}

/* In one chat answers are told apart by when they were asked for, whatever conversation they are
 * of; an answer that is made again after a crash goes on in its draft. */
static int64_t
draft_id_of(const struct message *last)
{
    return last->created_at_us / US_PER_MS % INT32_MAX + 1;
}

static enum status
make_answer(struct turn *t, struct err *err)
{
    struct orchestrator *orchestrator = t->orchestrator;
    struct arena *arena = lease_arena(t->lease);
    struct question question = {
        .text = join_waiting(t, arena),
        .history = t->history.messages,
        .history_count = t->history.count,
        .brand_id = t->conversation.brand_id,
        .locale = t->conversation.locale,
    };
    struct answer_stream stream = {stream_text, stream_restart, t, &t->is_slow};
    bool streams =
        t->grows || (channel_caps(t->channel) & (CHANNEL_STREAMS | CHANNEL_SHOWS_DRAFTS)) != 0;

    t->typing =
        typing_begin(orchestrator->typing, t->channel, t->conversation.external_chat_id,
                     draft_id_of(&t->messages[t->message_count - 1]), t->grows ? &t->growth : NULL);
    enum status st = orchestrator_answer(orchestrator, lease_scope(t->lease), &question,
                                         streams ? &stream : NULL, arena, &t->answer, err);

    typing_end(orchestrator->typing, &t->typing);
    return st;
}

/* Every model failed, extractive among them: the customer still gets something true. */
static void
apologise(struct turn *t)
{
    struct str locale = t->conversation.locale;

    t->answer = (struct answer){.kind = ANSWER_UNSURE, .model_name = STR("none")};
    t->answer.text = phrase_get(PHRASE_UNSURE, locale);
    t->answer.reason = "model_failed";
}

/* --- linking --- */

static enum status
find_linking(struct turn *t, struct err *err)
{
    t->linking = NULL;
    for (size_t i = t->first_waiting; t->linking == NULL && i < t->message_count; i++)
        if (is_waiting(t, &t->messages[i]) && linking_of(t->messages[i].body) != LINKING_NONE)
            t->linking = &t->messages[i];
    if (t->linking == NULL)
        return ST_OK;
    return linking_admit(t->orchestrator->config.tenants, lease_scope(t->lease), t->linking,
                         lease_arena(t->lease), &t->linking_is_busy, err);
}

/* Nothing else was asked. */
static bool
is_only_linking(const struct turn *t)
{
    for (size_t i = t->first_waiting; i < t->message_count; i++)
        if (is_waiting(t, &t->messages[i]) && linking_of(t->messages[i].body) == LINKING_NONE)
            return false;
    return t->linking != NULL;
}

/* What the linking came to stands before the answer to the rest. */
static enum status
do_linking(struct store_tx *tx, struct turn *t, struct str *body, struct err *err)
{
    struct arena *arena = store_tx_arena(tx);
    struct str said = STR("");
    enum status st = ST_OK;

    if (t->linking != NULL)
        st = linking_do(tx, t->linking, t->linking_is_busy, t->answered_us, t->conversation.locale,
                        arena, &said, err);
    if (st == ST_OK && said.len > 0)
        *body = body->len == 0 ? said
                               : arena_printf(arena, "%.*s\n\n%.*s", STR_ARG(said), STR_ARG(*body));
    return st;
}

/* --- committing --- */

static struct str
answer_metadata(const struct turn *t, struct arena *arena)
{
    const struct answer *a = &t->answer;
    json_auto_t *metadata = json_object();
    json_t *answers = json_array();
    size_t i;

    for (i = t->first_waiting; i < t->message_count; i++)
        if (is_waiting(t, &t->messages[i]))
            json_array_append_new(answers, json_from_str(ID_STR(t->messages[i].id)));
    json_set(metadata, "answers", answers);
    json_set(metadata, "citations", answer_citations_json(a->citations, a->citation_count));
    json_set_double(metadata, "confidence", a->confidence);
    json_set_str(metadata, "model", a->model_name);
    json_set_int(metadata, "retrieve_ms", a->retrieve_ms);
    json_set_int(metadata, "model_ms", a->model_ms);
    return json_text(metadata, arena);
}

static void
enrich_envelope(struct turn *t)
{
    const struct message *last = &t->messages[t->message_count - 1];
    struct err err;

    t->envelope = NULL;
    if (json_parse(last->envelope, &t->envelope, &err) != ST_OK ||
        envelope_stamp(t->envelope, "picked", t->picked_us, &err) != ST_OK ||
        envelope_stamp(t->envelope, "answered", t->answered_us, &err) != ST_OK ||
        envelope_set_processing(t->envelope, "ai_response", t->answer.text, &err) != ST_OK)
        LOG_ERR(LOG_ERROR, "answer.envelope_damaged", &err,
                log_str("message_id", ID_STR(last->id)));
}

static const char *
status_after(const struct turn *t, bool local)
{
    switch (t->answer.kind) {
    case ANSWER_UNSURE:
        return STATUS_AWAITING_APPROVAL;
    case ANSWER_PERSON:
        return STATUS_HANDED_OFF;
    default:
        /* Elsewhere the sender says so, once the provider has it. */
        return local ? STATUS_AI_RESPONSE_SENT : NULL;
    }
}

static enum status
commit_follow_ups(struct store_tx *tx, struct turn *t, bool local, struct err *err)
{
    const struct orchestrator_config *config = &t->orchestrator->config;
    const struct conversation *c = &t->conversation;
    struct escalation_id escalation;
    enum status st = ST_OK;

    if (t->answer.reason != NULL)
        st = escalation_open(tx, c->id, t->messages[t->message_count - 1].id, t->answer.reason,
                             t->answer.draft, t->answered_us, &escalation, err);
    if (st == ST_OK && !local)
        st = config->queue_outbound(config->queue_outbound_context, tx, t->message_id,
                                    c->channel_id, c->external_chat_id, err);
    return st;
}

static enum status
commit_answer(struct store_tx *tx, struct turn *t, struct err *err)
{
    bool local = (channel_caps(t->channel) & CHANNEL_LOCAL) != 0;
    struct arena *arena = store_tx_arena(tx);
    struct outbound_spec spec = {
        .conversation_id = t->conversation.id,
        .id = t->message_id,
        .role = "assistant",
        .body = t->answer.text,
        .metadata = answer_metadata(t, arena),
        .envelope = t->envelope == NULL ? STR("{}") : json_text(t->envelope, arena),
        .delivery = local ? "delivered" : "queued",
        .answers_from_seq = t->messages[t->first_waiting].seq,
        .answers_to_seq = t->messages[t->message_count - 1].seq,
        .status = status_after(t, local),
        .hand_off_to_human = t->answer.kind == ANSWER_PERSON,
    };
    int64_t seq;
    enum status st = do_linking(tx, t, &spec.body, err);

    if (st == ST_OK)
        st = conversation_add_outbound(tx, &spec, t->answered_us, &seq, err);
    if (st == ST_OK && t->grows)
        st = growing_finish(tx, t->conversation_id, t->message_id, err);
    if (st == ST_OK)
        st = commit_follow_ups(tx, t, local, err);
    if (st == ST_OK)
        st = queue_lease_done(tx, t->lease, err);
    if (st == ST_OK)
        st = message_get(tx, t->message_id, lease_arena(t->lease), &t->said, err);
    FAILPOINT("answer.in_transaction");
    return st;
}

static enum status
look_for_deleted(struct store_tx *tx, struct turn *t, struct err *err)
{
    int64_t known = 0, deleted = 0;
    enum status st;

    for (size_t i = t->first_waiting; i < t->message_count; i++)
        known += t->messages[i].deleted_at_us > 0 && str_eq_c(t->messages[i].role, "user");
    st = message_count_deleted(tx, t->conversation_id, t->messages[t->first_waiting].seq,
                               t->messages[t->message_count - 1].seq, &deleted, err);
    t->is_outdated = st == ST_OK && deleted > known;
    return st;
}

/* What was deleted is not to be answered: the turn begins again, with what is left of it. */
static enum status
commit(struct store_tx *tx, void *arg, struct err *err)
{
    struct turn *t = arg;
    enum status st = look_for_deleted(tx, t, err);

    if (st != ST_OK)
        return st;
    return t->is_outdated ? queue_lease_postpone(tx, t->lease, t->answered_us, err)
                          : commit_answer(tx, t, err);
}

/* A mere answer that a sender takes along need not wait for the disk: the sender's intent is
 * committed after it, and waits for both before the provider is called. A loss of power before
 * takes it back, and it is made again. */
static enum store_durability
durability_of(const struct turn *t)
{
    bool local = (channel_caps(t->channel) & CHANNEL_LOCAL) != 0;

    return local || status_after(t, local) != NULL || t->linking != NULL ? STORE_DURABLE
                                                                         : STORE_RELAXED;
}

/* Messages that were deleted before their turn are dealt with. */
static enum status
only_finish(struct store_tx *tx, void *arg, struct err *err)
{
    struct turn *t = arg;
    const struct message *last = t->message_count > 0 ? &t->messages[t->message_count - 1] : NULL;
    enum status st = ST_OK;

    if (last != NULL && t->first_waiting == t->message_count && last->deleted_at_us > 0)
        st = conversation_mark_answered(tx, t->conversation_id, last->seq, err);
    if (st == ST_OK && t->grows)
        st = growing_forget(tx, t->conversation_id, err);
    return st == ST_OK ? queue_lease_done(tx, t->lease, err) : st;
}

static enum status
finish_quietly(struct turn *t, struct err *err)
{
    return store_run(t->orchestrator->config.store, lease_scope(t->lease), "answer_nothing",
                     STORE_RELAXED, only_finish, t, err);
}

/* What was shown of it must not stay. */
static enum status
finish_without_answer(struct turn *t, struct err *err)
{
    enum status st = ST_OK;

    if (t->grows)
        st = growth_withdraw(&t->growth, t->channel, err);
    return st == ST_OK ? finish_quietly(t, err) : st;
}

/* Whether the answer grows, and which one it is. */
static enum status
begin_growth(struct turn *t, struct err *err)
{
    t->message_id = ID_NEW(message_id);
    t->grows = channel_grows_in(t->channel, t->conversation.external_chat_id);
    if (!t->grows)
        return ST_OK;
    t->growth = (struct growth){.orchestrator = t->orchestrator,
                                .lease = t->lease,
                                .conversation_id = t->conversation_id,
                                .message_id = t->message_id,
                                .channel_id = t->conversation.channel_id,
                                .external_chat_id = t->conversation.external_chat_id};
    enum status st = growth_take_over(&t->growth, err);

    t->message_id = t->growth.message_id;
    return st;
}

static enum status
answer_turn(struct turn *t, struct err *err)
{
    const struct orchestrator_config *config = &t->orchestrator->config;
    const struct tenant_scope *scope = lease_scope(t->lease);
    enum status st = find_linking(t, err);

    if (st != ST_OK)
        return st;
    if (is_only_linking(t))
        t->answer = (struct answer){
            .kind = ANSWER_COURTESY, .text = STR(""), .confidence = 1, .model_name = STR("none")};
    else
        st = make_answer(t, err);
    if (st != ST_OK) {
        if (status_is_passing(st) &&
            lease_job(t->lease)->attempts < lease_job(t->lease)->max_attempts)
            return st;
        LOG_ERR(LOG_ERROR, "answer.failed", err,
                log_str("conversation_id", ID_STR(t->conversation_id)));
        apologise(t);
    }
    FAILPOINT("answer.modelled");
    t->answered_us = clock_wall_us(config->clock);
    enrich_envelope(t);
    st = store_run(config->store, scope, "answer_commit", durability_of(t), commit, t, err);
    json_decref(t->envelope);
    FAILPOINT("answer.committed");
    if (st == ST_CONFLICT) {
        LOG(LOG_INFO, "answer.overtaken", log_str("conversation_id", ID_STR(t->conversation_id)));
        stream_restart(t);
        return finish_without_answer(t, err); /* a person took it, or another run answered */
    }
    if (st == ST_OK && t->is_outdated) {
        LOG(LOG_INFO, "answer.outdated", log_str("conversation_id", ID_STR(t->conversation_id)));
        stream_restart(t);
        return ST_OK;
    }
    if (st == ST_OK)
        message_publish(config->live, scope, &t->said, lease_arena(t->lease));
    if (st == ST_OK && t->answer.kind == ANSWER_PERSON)
        chat_publish_reset(config->live, scope, t->conversation.channel_id,
                           t->conversation.external_chat_id, lease_arena(t->lease));
    return st;
}

enum status
inbound_answer(struct lease *lease, void *context, struct err *err)
{
    struct orchestrator *orchestrator = context;
    const struct orchestrator_config *config = &orchestrator->config;
    struct turn t = {.orchestrator = orchestrator, .lease = lease};
    const struct channel_record *record = NULL;
    enum status st;

    t.picked_us = clock_wall_us(config->clock);
    st = read_conversation_id(lease, &t.conversation_id, err);
    if (st == ST_OK)
        st = store_read(config->store, lease_scope(lease), "answer_plan", plan, &t, err);
    FAILPOINT("answer.planned");
    if (st != ST_OK)
        return err_wrap(err, "plan answer");
    if (t.first_waiting == t.message_count && !t.left_growing)
        return finish_quietly(&t, err);
    t.topic =
        chat_topic(t.conversation.channel_id, t.conversation.external_chat_id, lease_arena(lease));
    st = channel_record_get(config->tenants, lease_scope(lease), t.conversation.channel_id, &record,
                            err);
    if (st == ST_OK)
        st = channel_acquire(config->channels, record, &t.channel, err);
    if (st == ST_OK)
        st = begin_growth(&t, err);
    if (st == ST_OK)
        st = t.first_waiting == t.message_count ? finish_without_answer(&t, err)
                                                : answer_turn(&t, err);
    channel_release(&t.channel);
    channel_record_unref(&record);
    return st;
}

enum status
inbound_on_dead(struct store_tx *tx, const struct job *job, struct str reason, void *context,
                struct err *err)
{
    struct orchestrator *orchestrator = context;
    json_auto_t *payload = NULL;
    struct conversation_id id;
    struct escalation_id escalation;
    enum status st = json_parse(job->payload, &payload, err);

    (void)reason;
    if (st == ST_OK)
        st = ID_PARSE(json_get_str(payload, "conversation_id"), &id, err);
    if (st == ST_OK)
        st = conversation_set_status(tx, id, STATUS_FAILED, err);
    if (st == ST_OK)
        st = escalation_open(tx, id, (struct message_id){{""}}, "model_failed", STR_EMPTY,
                             clock_wall_us(orchestrator->config.clock), &escalation, err);
    return st == ST_NOT_FOUND ? ST_OK : st; /* the conversation is gone: nobody to be told */
}
