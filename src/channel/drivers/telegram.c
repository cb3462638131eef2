/*
 * telegram.c - the Telegram driver: its table, settings, ids and verification
 *
 * Telegram proves a webhook by echoing the secret that setWebhook was given: an equality, compared
 * in constant time, over nothing of the body. While a secret is being replaced the previous one
 * counts too, because updates under way still carry it.
 */
#include "channel/drivers/telegram.h"

#include <stdlib.h>
#include <string.h>

#include "channel/markup.h"
#include "channel/secrets.h"
#include "text/json.h"

#define DEFAULT_API_BASE "https://api.telegram.org"
#define SECRET_MIN_LEN 8
#define SECRET_MAX_LEN 256 /* of setWebhook */
#define TOKEN_SECRET_MIN_LEN 16
#define TOKEN_MAX_LEN 160
#define CHAT_ID_MAX (INT64_C(1) << 52)
#define DEFAULT_BOT_PER_SECOND 30
#define DEFAULT_CHAT_PER_MINUTE 60
#define DEFAULT_GROUP_PER_MINUTE 20

/* --- ids --- */

enum status
telegram_chat_id_parse(struct str external_chat_id, int64_t *chat_out, int64_t *topic_out,
                       struct err *err)
{
    struct str rest = external_chat_id, chat = STR_EMPTY;

    *topic_out = 0;
    (void)str_split(&rest, ':', &chat);
    bool is_valid = str_to_i64(chat, chat_out) && *chat_out > -CHAT_ID_MAX &&
                    *chat_out < CHAT_ID_MAX && *chat_out != 0;
    if (is_valid && chat.len < external_chat_id.len)
        is_valid = str_to_i64(rest, topic_out) && *topic_out > 0;
    if (!is_valid)
        return err_set(err, ST_INVALID, "\"%.*s\" names no Telegram chat",
                       STR_ARG(str_sub(external_chat_id, 0, 60)));
    return ST_OK;
}

struct str
telegram_chat_id_format(struct arena *arena, int64_t chat_id, int64_t topic_id)
{
    if (topic_id > 0)
        return arena_printf(arena, "%lld:%lld", (long long)chat_id, (long long)topic_id);
    return arena_printf(arena, "%lld", (long long)chat_id);
}

struct str
telegram_message_id_format(struct arena *arena, struct str bot_id, int64_t chat_id,
                           int64_t message_id)
{
    return arena_printf(arena, "%.*s:%lld:%lld", STR_ARG(bot_id), (long long)chat_id,
                        (long long)message_id);
}

struct str
telegram_business_message_id_format(struct arena *arena, struct str bot_id, int64_t chat_id,
                                    int64_t message_id, struct str connection_id)
{
    return arena_printf(arena, "%.*s:%lld:%lld:%.*s", STR_ARG(bot_id), (long long)chat_id,
                        (long long)message_id, STR_ARG(connection_id));
}

bool
telegram_message_id_parse(struct str external_message_id, int64_t *chat_out, int64_t *message_out)
{
    struct str rest = external_message_id, bot, chat, message;

    return str_split(&rest, ':', &bot) && str_split(&rest, ':', &chat) &&
           str_split(&rest, ':', &message) && rest.ptr == NULL && str_to_i64(chat, chat_out) &&
           str_to_i64(message, message_out);
}

/* --- our name --- */

void
telegram_learn_name(struct telegram_channel *telegram, const json_t *user)
{
    struct str name = json_get_str(user, "username");

    if (name.len == 0 || name.len > TELEGRAM_NAME_MAX ||
        json_get_int(user, "id", 0) != telegram->bot_id)
        return;
    pthread_mutex_lock(&telegram->name_lock);
    memcpy(telegram->name, name.ptr, name.len);
    telegram->name[name.len] = '\0';
    pthread_mutex_unlock(&telegram->name_lock);
}

bool
telegram_name_is_ours(struct telegram_channel *telegram, struct str name)
{
    pthread_mutex_lock(&telegram->name_lock);
    bool is_ours = name.len > 0 && str_eq_nocase(name, str_from_c(telegram->name));
    pthread_mutex_unlock(&telegram->name_lock);
    return is_ours;
}

/* --- settings --- */

static const char *const setting_keys[] = {
    "api_base",       "group_policy",    "commands",         "bot_username",
    "bot_per_second", "chat_per_minute", "group_per_minute", NULL};
static const char *const credential_keys[] = {"bot_token", "secret_token", "previous_secret_token",
                                              NULL};

static bool
is_secret_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

static bool
is_secret(struct str s, size_t min, size_t max)
{
    if (s.len < min || s.len > max)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!is_secret_byte(s.ptr[i]))
            return false;
    return true;
}

/* "<bot id>:<secret>"; the parts are borrowed. */
static bool
split_token(struct str token, struct str *bot_id_out, int64_t *bot_id_number_out)
{
    struct str rest = token;

    return token.len <= TOKEN_MAX_LEN && str_split(&rest, ':', bot_id_out) &&
           str_to_i64(*bot_id_out, bot_id_number_out) && *bot_id_number_out > 0 &&
           *bot_id_number_out < CHAT_ID_MAX && bot_id_out->ptr[0] != '0' &&
           is_secret(rest, TOKEN_SECRET_MIN_LEN, TOKEN_MAX_LEN);
}

static enum status
check_rate(const json_t *settings, const char *key, int64_t max, struct err *err)
{
    const json_t *value = json_object_get(settings, key);

    if (value != NULL && (!json_is_integer(value) || json_integer_value(value) < 1 ||
                          json_integer_value(value) > max))
        return err_set(err, ST_INVALID, "%s must be a whole number from 1 to %lld", key,
                       (long long)max);
    return ST_OK;
}

static enum status
check_commands(const json_t *settings, struct err *err)
{
    const json_t *commands = json_object_get(settings, "commands");
    size_t i;
    json_t *entry;

    if (commands != NULL && (!json_is_array(commands) || json_array_size(commands) > 100))
        return err_set(err, ST_INVALID, "commands must be a list of at most 100");
    json_array_foreach (commands, i, entry) {
        struct str name = json_get_str(entry, "command");
        struct str description = json_get_str(entry, "description");
        bool is_valid = name.len >= 1 && name.len <= 32 && description.len >= 1 &&
                        description.len <= 256 && json_object_size(entry) == 2;

        for (size_t k = 0; k < name.len && is_valid; k++)
            is_valid = (name.ptr[k] >= 'a' && name.ptr[k] <= 'z') ||
                       (name.ptr[k] >= '0' && name.ptr[k] <= '9') || name.ptr[k] == '_';
        if (!is_valid)
            return err_set(err, ST_INVALID,
                           "each of commands needs \"command\" (1 to 32 of a-z 0-9 _) and "
                           "\"description\" (1 to 256 bytes)");
    }
    return ST_OK;
}

static enum status
check_settings(const json_t *settings, struct err *err)
{
    const json_t *policy = json_object_get(settings, "group_policy");
    const json_t *name = json_object_get(settings, "bot_username");
    struct str policy_text = json_get_str(settings, "group_policy");
    enum status st;

    if (json_object_get(settings, "api_base") != NULL &&
        !channel_is_api_base(json_get_str(settings, "api_base")))
        return err_set(err, ST_INVALID, "api_base must be an http or https address");
    if (policy != NULL && !str_eq_c(policy_text, "addressed") && !str_eq_c(policy_text, "all") &&
        !str_eq_c(policy_text, "never"))
        return err_set(err, ST_INVALID, "group_policy must be \"addressed\", \"all\" or \"never\"");
    if (name != NULL && !is_secret(json_get_str(settings, "bot_username"), 3, TELEGRAM_NAME_MAX))
        return err_set(err, ST_INVALID, "bot_username is the bot's name without @");
    st = check_rate(settings, "bot_per_second", 1000, err);
    if (st == ST_OK)
        st = check_rate(settings, "chat_per_minute", 6000, err);
    if (st == ST_OK)
        st = check_rate(settings, "group_per_minute", 6000, err);
    return st == ST_OK ? check_commands(settings, err) : st;
}

static enum status
telegram_check_spec(struct channel_spec *spec, json_t *settings, json_t *credentials,
                    struct arena *arena, struct err *err)
{
    struct str bot_id;
    int64_t bot_id_number;
    const json_t *previous = json_object_get(credentials, "previous_secret_token");

    if (!split_token(json_get_str(credentials, "bot_token"), &bot_id, &bot_id_number))
        return err_set(err, ST_INVALID,
                       "bot_token must be the token that @BotFather gave, like 123456:ABC...");
    if (json_object_get(credentials, "secret_token") == NULL) {
        char secret[SECRET_MADE_LEN + 1];

        secret_make(secret);
        json_set_str(credentials, "secret_token", str_from_c(secret));
        explicit_bzero(secret, sizeof secret);
    }
    if (!is_secret(json_get_str(credentials, "secret_token"), SECRET_MIN_LEN, SECRET_MAX_LEN) ||
        (previous != NULL && !is_secret(json_get_str(credentials, "previous_secret_token"),
                                        SECRET_MIN_LEN, SECRET_MAX_LEN)))
        return err_set(err, ST_INVALID, "secret_token must be %d to %d of A-Z a-z 0-9 _ -",
                       SECRET_MIN_LEN, SECRET_MAX_LEN);
    enum status st = check_settings(settings, err);
    if (st == ST_OK)
        spec->account = arena_str(arena, bot_id);
    return st;
}

/* --- verification --- */

static enum status
telegram_verify(const struct channel_record *record, const struct webhook *webhook,
                const struct channel_env *env, struct err *err)
{
    (void)env; /* the proof carries no time */
    if (webhook->request == NULL)
        return err_set(err, ST_DENIED, "no request to verify");
    struct str shown = http_request_header(webhook->request, "X-Telegram-Bot-Api-Secret-Token");
    if (!channel_secret_is(record, "secret_token", SECRET_MIN_LEN, shown))
        return err_set(err, ST_DENIED, "wrong or missing X-Telegram-Bot-Api-Secret-Token");
    return ST_OK;
}

/* --- opening --- */

static enum telegram_group_policy
read_policy(const json_t *settings)
{
    struct str word = json_get_str(settings, "group_policy");

    if (str_eq_c(word, "all"))
        return TELEGRAM_GROUP_ALL;
    return str_eq_c(word, "never") ? TELEGRAM_GROUP_NEVER : TELEGRAM_GROUP_ADDRESSED;
}

static enum status
telegram_open(struct channel *channel, struct err *err)
{
    struct telegram_channel *telegram = telegram_of(channel);
    const json_t *settings = channel->record->settings;
    const json_t *credentials = channel->record->credentials;
    struct str secret = json_get_str(credentials, "secret_token");
    struct str name = json_get_str(settings, "bot_username");
    const struct telegram_pace_limits limits = {
        .bot_per_second = json_get_int(settings, "bot_per_second", DEFAULT_BOT_PER_SECOND),
        .chat_per_minute = json_get_int(settings, "chat_per_minute", DEFAULT_CHAT_PER_MINUTE),
        .group_per_minute = json_get_int(settings, "group_per_minute", DEFAULT_GROUP_PER_MINUTE)};

    /* First what close takes down, so that it may be called whatever fails below. */
    telegram_pace_init(&telegram->pace, &limits);
    pthread_mutex_init(&telegram->name_lock, NULL);
    telegram->token = json_get_str(credentials, "bot_token");
    telegram->group_policy = read_policy(settings);
    telegram->api_base = json_get_str(settings, "api_base");
    if (telegram->api_base.len == 0)
        telegram->api_base = STR(DEFAULT_API_BASE);
    if (str_ends_with(telegram->api_base, STR("/")))
        telegram->api_base.len--;
    if (!split_token(telegram->token, &telegram->bot_id_text, &telegram->bot_id))
        return err_set(err, ST_INVALID, "the channel has no valid bot_token");
    if (!is_secret(secret, SECRET_MIN_LEN, SECRET_MAX_LEN))
        return err_set(err, ST_INVALID, "the channel has no valid secret_token");
    if (name.len <= TELEGRAM_NAME_MAX && name.len > 0)
        memcpy(telegram->name, name.ptr, name.len);
    return ST_OK;
}

static void
telegram_close(struct channel *channel)
{
    struct telegram_channel *telegram = telegram_of(channel);

    telegram_pace_deinit(&telegram->pace);
    pthread_mutex_destroy(&telegram->name_lock);
}

static void
telegram_inherit(struct channel *channel, struct channel *former)
{
    struct telegram_channel *telegram = telegram_of(channel), *before = telegram_of(former);
    char name[TELEGRAM_NAME_MAX + 1];

    if (telegram->bot_id != before->bot_id)
        return;
    telegram_pace_inherit(&telegram->pace, &before->pace);
    pthread_mutex_lock(&before->name_lock);
    memcpy(name, before->name, sizeof name);
    pthread_mutex_unlock(&before->name_lock);
    pthread_mutex_lock(&telegram->name_lock);
    if (telegram->name[0] == '\0')
        memcpy(telegram->name, name, sizeof name);
    pthread_mutex_unlock(&telegram->name_lock);
}

/* Telegram counts after it took the tags out, so marks cost less than they are counted here. */
static size_t
telegram_split(struct channel *channel, struct str text, struct arena *arena,
               struct str **parts_out)
{
    (void)channel;
    return markup_split(text, TELEGRAM_TEXT_MAX_UNITS, arena, parts_out);
}

const struct channel_driver channel_driver_telegram = {
    .source = "telegram",
    .caps = CHANNEL_CAN_TYPE | CHANNEL_CAN_POLL | CHANNEL_CAN_REGISTER | CHANNEL_SENDS_BUTTONS |
            CHANNEL_SENDS_MEDIA | CHANNEL_HAS_MEDIA | CHANNEL_SHOWS_DRAFTS,
    .size = sizeof(struct telegram_channel),
    .burst_window_ms = 2000,
    .typing_interval_ms = 4000, /* the indicator lasts five seconds */
    .draft_interval_ms = 1000,  /* what is tolerated as a rate of messages in one chat */
    .setting_keys = setting_keys,
    .credential_keys = credential_keys,
    .check_spec = telegram_check_spec,
    .open = telegram_open,
    .close = telegram_close,
    .verify = telegram_verify,
    .parse = telegram_parse,
    .split = telegram_split,
    .send = telegram_send,
    .probe = telegram_probe,
    .typing = telegram_typing,
    .draft = telegram_draft,
    .registration = telegram_register,
    .registered = telegram_registered,
    .poll = telegram_poll,
    .fetch_media = telegram_fetch_media,
    .acknowledge = telegram_acknowledge,
    .inherit = telegram_inherit,
};
