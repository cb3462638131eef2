/*
 * teams_grow.c - answers that are shown while they are made: Teams' streams, in personal chats
 *
 *   typing, informative --> its id names the stream --> typing, streaming: all the text so far ...
 *   --> message, final. A stream ends after two minutes, and the person may stop it: then
 *   (ContentStreamNotAllowed) the activity is replaced by the message. An informative update shows
 *   no words of the answer, and ends with its stream: one whose id got lost leaves none behind.
 */
#include "channel/drivers/teams.h"
#include "text/json.h"

#define LOSSY_DEADLINE_MS 5000
#define EDIT_DEADLINE_MS 20000
#define ARENA_BYTES (1024 * 1024)
#define INFORMATION "..."

bool
teams_grows_in(struct str external_chat_id)
{
    struct str rest = external_chat_id, service;

    /* "a:..." is the conversation of one person with the bot. */
    return str_split(&rest, '|', &service) && str_starts_with(rest, STR("a:"));
}

void
teams_mark_stream(json_t *activity, const char *type, struct str stream_id, unsigned sequence)
{
    json_t *data = json_object(), *entities = json_array();

    json_set_str(data, "streamType", str_from_c(type));
    if (stream_id.len > 0)
        json_set_str(data, "streamId", stream_id);
    if (sequence > 0)
        json_set_int(data, "streamSequence", sequence);
    json_t *entity = json_copy(data);

    json_set_str(entity, "type", STR("streaminfo"));
    json_array_append_new(entities, entity);
    json_set(activity, "channelData", data);
    json_set(activity, "entities", entities);
}

static enum status
say_on(struct channel *channel, const struct teams_chat *chat, const json_t *activity,
       struct arena *arena, json_t **answer_out, struct err *err)
{
    const struct teams_call call = {.method = "POST",
                                    .service_url = chat->service_url,
                                    .path = teams_path_of(chat->conversation_id, STR_EMPTY, arena),
                                    .body = activity,
                                    .deadline_ms = LOSSY_DEADLINE_MS};

    return teams_call(teams_of(channel), &call, arena, answer_out, err);
}

enum status
teams_begin(struct channel *channel, const struct outbound *outbound, struct arena *arena,
            struct delivery *delivery_out, struct err *err)
{
    json_auto_t *activity = json_object();
    json_t *answer = NULL;
    struct teams_chat chat;
    enum status st =
        teams_chat_parse(channel->record->settings, outbound->external_chat_id, &chat, err);

    if (st != ST_OK)
        return st;
    json_set_str(activity, "type", STR("typing"));
    json_set_str(activity, "text", STR(INFORMATION));
    teams_mark_stream(activity, "informative", STR_EMPTY, 1);
    st = say_on(channel, &chat, activity, arena, &answer, err);
    struct str id = json_get_str(answer, "id");

    if (st == ST_OK && (!teams_id_is_valid(id) || str_find_byte(id, '|') >= 0))
        st = err_set_detail(err, ST_UNCERTAIN, "teams began a stream without an id");
    if (st == ST_OK)
        delivery_out->external_message_id = teams_message_format(
            arena, teams_of(channel)->app_id, chat.conversation_id, arena_str(arena, id));
    json_decref(answer);
    return st;
}

static enum status
read_target(struct channel *channel, struct str external_chat_id, struct str external_message_id,
            struct teams_chat *chat_out, struct str *activity_id_out, struct err *err)
{
    struct str conversation_id;
    enum status st = teams_chat_parse(channel->record->settings, external_chat_id, chat_out, err);

    if (st == ST_OK &&
        (!teams_message_parse(external_message_id, &conversation_id, activity_id_out) ||
         !str_eq(conversation_id, chat_out->conversation_id)))
        st = err_set(err, ST_INVALID, "\"%.*s\" names no message of this Teams conversation",
                     STR_ARG(str_sub(external_message_id, 0, 60)));
    return st;
}

/* The text as it is written: each is to begin with all of the one before it, which it would not
 * when marks that open become marks that close. */
void
teams_grow(struct channel *channel, const struct outbound *outbound, struct str external_message_id,
           unsigned step)
{
    struct teams_chat chat;
    struct str stream_id;
    struct err ignored;
    json_t *answer = NULL;

    if (read_target(channel, outbound->external_chat_id, external_message_id, &chat, &stream_id,
                    &ignored) != ST_OK)
        return;
    struct arena *arena = arena_create(ARENA_BYTES);
    json_auto_t *activity = json_object();

    json_set_str(activity, "type", STR("typing"));
    json_set_str(activity, "text", outbound->text);
    teams_mark_stream(activity, "streaming", stream_id, step + 1); /* the first was the beginning */
    if (say_on(channel, &chat, activity, arena, &answer, &ignored) == ST_OK)
        json_decref(answer);
    arena_destroy(&arena);
}

enum status
teams_edit(struct channel *channel, const struct outbound *outbound, struct str external_message_id,
           struct err *err)
{
    struct teams_sending sending = {.teams = teams_of(channel), .outbound = outbound};
    struct teams_chat chat;
    struct str activity_id;
    json_t *answer = NULL;
    enum status st = read_target(channel, outbound->external_chat_id, external_message_id, &chat,
                                 &activity_id, err);

    if (st != ST_OK)
        return st;
    sending.arena = arena_create(ARENA_BYTES);
    sending.stream_id = activity_id;
    st = teams_post(&sending, &answer, err);
    if (st == ST_CONFLICT) {
        sending.stream_id = STR_EMPTY;
        sending.activity_id = activity_id;
        st = teams_post(&sending, &answer, err);
    }
    json_decref(answer);
    arena_destroy(&sending.arena);
    return st;
}

enum status
teams_withdraw(struct channel *channel, struct str external_chat_id, struct str external_message_id,
               struct err *err)
{
    struct teams_chat chat;
    struct str activity_id;
    json_t *answer = NULL;
    enum status st =
        read_target(channel, external_chat_id, external_message_id, &chat, &activity_id, err);

    if (st != ST_OK)
        return st;
    struct arena *arena = arena_create(ARENA_BYTES);
    const struct teams_call call = {
        .method = "DELETE",
        .service_url = chat.service_url,
        .path = teams_path_of(chat.conversation_id, activity_id, arena),
        .deadline_ms = EDIT_DEADLINE_MS,
    };

    st = teams_call(teams_of(channel), &call, arena, &answer, err);
    if (st == ST_OK)
        json_decref(answer);
    arena_destroy(&arena);
    return st == ST_CONFLICT ? ST_OK : st; /* gone already */
}
