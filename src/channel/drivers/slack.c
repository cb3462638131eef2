/*
 * slack.c - the Slack driver: its table, settings, ids, verification and the address's test
 *
 * Slack signs time and bytes with the app's signing secret. All workspaces of an app share that
 * secret, so a proven request still has to name this channel's workspace: parsing looks at it.
 */
#include "channel/drivers/slack.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "channel/markup.h"
#include "channel/secrets.h"
#include "text/json.h"

#define DEFAULT_API_BASE "https://slack.com/api"
#define DEFAULT_FILES_BASE "https://files.slack.com"
#define SECRET_MIN_LEN 16
#define SECRET_MAX_LEN 256
#define CLOCK_TOLERANCE_S 300
#define CHALLENGE_MAX_BYTES 4096

/* --- ids --- */

bool
slack_id_is_valid(struct str id)
{
    if (id.len == 0 || id.len > SLACK_ID_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++)
        if (!((id.ptr[i] >= '0' && id.ptr[i] <= '9') || (id.ptr[i] >= 'A' && id.ptr[i] <= 'Z') ||
              (id.ptr[i] >= 'a' && id.ptr[i] <= 'z')))
            return false;
    return true;
}

bool
slack_ts_read(struct str ts, int64_t *wall_us_out)
{
    struct str rest = ts, whole;
    int64_t seconds, fraction;

    if (ts.len > 24 || !str_split(&rest, '.', &whole) || !str_to_i64(whole, &seconds) ||
        rest.len != 6 || !str_to_i64(rest, &fraction) || seconds < 0 || fraction < 0 ||
        seconds > INT64_C(253402300799))
        return false;
    *wall_us_out = seconds * US_PER_S + fraction;
    return true;
}

struct str
slack_chat_format(struct arena *arena, const struct slack_chat *chat)
{
    if (chat->thread_ts.len == 0)
        return arena_str(arena, chat->channel_id);
    return arena_printf(arena, "%.*s:%.*s", STR_ARG(chat->channel_id), STR_ARG(chat->thread_ts));
}

enum status
slack_chat_parse(struct str external_chat_id, struct slack_chat *chat_out, struct err *err)
{
    struct str rest = external_chat_id;
    int64_t when_us;

    (void)str_split(&rest, ':', &chat_out->channel_id);
    chat_out->thread_ts = rest.ptr == NULL ? STR("") : rest;
    if (!slack_id_is_valid(chat_out->channel_id) ||
        (rest.ptr != NULL && !slack_ts_read(rest, &when_us)))
        return err_set(err, ST_INVALID, "\"%.*s\" names no Slack channel",
                       STR_ARG(str_sub(external_chat_id, 0, 60)));
    return ST_OK;
}

struct str
slack_message_format(const struct slack_channel *slack, struct arena *arena, struct str channel_id,
                     struct str ts)
{
    return arena_printf(arena, "%.*s:%.*s:%.*s:%.*s", STR_ARG(slack->app_id),
                        STR_ARG(slack->team_id), STR_ARG(channel_id), STR_ARG(ts));
}

bool
slack_message_parse(struct str external_message_id, struct str *channel_id_out, struct str *ts_out)
{
    struct str rest = external_message_id, app, team;
    int64_t when_us;

    if (!str_split(&rest, ':', &app) || !str_split(&rest, ':', &team) ||
        !str_split(&rest, ':', channel_id_out) || rest.ptr == NULL)
        return false;
    *ts_out = rest;
    return slack_id_is_valid(*channel_id_out) && slack_ts_read(rest, &when_us);
}

/* --- our user --- */

void
slack_learn_user(struct slack_channel *slack, struct str user_id)
{
    if (!slack_id_is_valid(user_id))
        return;
    pthread_mutex_lock(&slack->lock);
    memcpy(slack->user_id, user_id.ptr, user_id.len);
    slack->user_id[user_id.len] = '\0';
    pthread_mutex_unlock(&slack->lock);
}

bool
slack_user_is_ours(struct slack_channel *slack, struct str user_id)
{
    pthread_mutex_lock(&slack->lock);
    bool is_ours = user_id.len > 0 && str_eq_c(user_id, slack->user_id);
    pthread_mutex_unlock(&slack->lock);
    return is_ours;
}

/* --- settings --- */

static const char *const setting_keys[] = {"group_policy", "bot_user_id", "api_base", "files_base",
                                           NULL};
static const char *const credential_keys[] = {
    "app_id", "team_id", "bot_token", "signing_secret", "previous_signing_secret", NULL};

/* Printable, no white space: it goes into a header field. */
static bool
is_secret(struct str s)
{
    if (s.len < SECRET_MIN_LEN || s.len > SECRET_MAX_LEN)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] >= 127)
            return false;
    return true;
}

static bool
is_base(struct str url)
{
    struct str rest = STR_EMPTY;

    if (str_starts_with(url, STR("https://")))
        rest = str_sub(url, 8, url.len);
    else if (str_starts_with(url, STR("http://")))
        rest = str_sub(url, 7, url.len);
    if (rest.len == 0 || rest.len > 500 || rest.ptr[0] == '/')
        return false;
    for (size_t i = 0; i < rest.len; i++)
        if (rest.ptr[i] <= ' ' || rest.ptr[i] >= 127 || strchr("?#@\\\"<>", rest.ptr[i]) != NULL)
            return false;
    return true;
}

static enum status
check_credentials(const json_t *credentials, struct err *err)
{
    struct str app = json_get_str(credentials, "app_id");
    struct str team = json_get_str(credentials, "team_id");
    struct str token = json_get_str(credentials, "bot_token");
    const json_t *previous = json_object_get(credentials, "previous_signing_secret");

    if (!slack_id_is_valid(app) || app.ptr[0] != 'A')
        return err_set(err, ST_INVALID, "app_id must be the app's id, like A012ABCD0A0");
    if (!slack_id_is_valid(team) || (team.ptr[0] != 'T' && team.ptr[0] != 'E'))
        return err_set(err, ST_INVALID, "team_id must be the workspace's id, like T012ABCD0A0");
    if (!is_secret(token) || !str_starts_with(token, STR("xoxb-")))
        return err_set(err, ST_INVALID, "bot_token must be the bot user's token, xoxb-...");
    if (!is_secret(json_get_str(credentials, "signing_secret")) ||
        (previous != NULL && !is_secret(json_get_str(credentials, "previous_signing_secret"))))
        return err_set(err, ST_INVALID,
                       "signing_secret must be that of the app's Basic Information");
    return ST_OK;
}

static enum status
check_settings(const json_t *settings, struct err *err)
{
    static const char *const bases[] = {"api_base", "files_base"};
    struct str policy = json_get_str(settings, "group_policy");

    if (json_object_get(settings, "group_policy") != NULL && !str_eq_c(policy, "addressed") &&
        !str_eq_c(policy, "all") && !str_eq_c(policy, "never"))
        return err_set(err, ST_INVALID, "group_policy must be \"addressed\", \"all\" or \"never\"");
    if (json_object_get(settings, "bot_user_id") != NULL &&
        !slack_id_is_valid(json_get_str(settings, "bot_user_id")))
        return err_set(err, ST_INVALID, "bot_user_id must be a user's id, like U012ABCD0A0");
    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++)
        if (json_object_get(settings, bases[i]) != NULL &&
            !is_base(json_get_str(settings, bases[i])))
            return err_set(err, ST_INVALID, "%s must be an http or https address", bases[i]);
    return ST_OK;
}

static enum status
slack_check_spec(struct channel_spec *spec, json_t *settings, json_t *credentials,
                 struct arena *arena, struct err *err)
{
    enum status st = check_credentials(credentials, err);

    if (st == ST_OK)
        st = check_settings(settings, err);
    if (st == ST_OK)
        spec->account =
            arena_printf(arena, "%.*s:%.*s", STR_ARG(json_get_str(credentials, "app_id")),
                         STR_ARG(json_get_str(credentials, "team_id")));
    return st;
}

/* --- verification --- */

static enum status
slack_verify(const struct channel_record *record, const struct webhook *webhook,
             const struct channel_env *env, struct err *err)
{
    if (webhook->request == NULL)
        return err_set(err, ST_DENIED, "no request to verify");
    struct str when = http_request_header(webhook->request, "X-Slack-Request-Timestamp");
    struct str shown = http_request_header(webhook->request, "X-Slack-Signature");
    const struct str pieces[] = {STR("v0:"), when, STR(":"), webhook->body};
    const struct hmac_proof proof = {
        .hash = HMAC_SHA256,
        .text = HMAC_HEX,
        .pieces = pieces,
        .piece_count = sizeof pieces / sizeof pieces[0],
        .shown = str_sub(shown, 3, shown.len),
    };
    int64_t seconds, now_s = clock_wall_us(env->clock) / US_PER_S;

    if (!str_to_i64(when, &seconds) || seconds < now_s - CLOCK_TOLERANCE_S ||
        seconds > now_s + CLOCK_TOLERANCE_S)
        return err_set(err, ST_DENIED, "X-Slack-Request-Timestamp is not of now");
    if (!str_starts_with(shown, STR("v0=")) ||
        !channel_secret_signed(record, "signing_secret", SECRET_MIN_LEN, &proof))
        return err_set(err, ST_DENIED, "wrong or missing X-Slack-Signature");
    return ST_OK;
}

/* {"type": "url_verification", "challenge": ...}, signed as all else; and ssl_check=1 of commands.
 */
static enum status
slack_handshake(const struct channel_record *record, const struct webhook *webhook,
                const struct channel_env *env, struct arena *arena, struct webhook_reply *reply_out,
                struct err *err)
{
    bool is_ssl_check = str_starts_with(webhook->body, STR("ssl_check=1"));
    json_auto_t *body = NULL;

    if (webhook->request == NULL || webhook->request->method != HTTP_POST ||
        webhook->body.len > CHALLENGE_MAX_BYTES ||
        (!is_ssl_check && str_find(webhook->body, STR("url_verification")) < 0))
        return err_set(err, ST_NOT_FOUND, "an ordinary webhook");
    if (!is_ssl_check && (json_parse(webhook->body, &body, err) != ST_OK ||
                          !str_eq_c(json_get_str(body, "type"), "url_verification")))
        return err_set(err, ST_NOT_FOUND, "an ordinary webhook");
    enum status st = slack_verify(record, webhook, env, err);
    if (st == ST_OK)
        *reply_out = (struct webhook_reply){
            200, "text/plain",
            is_ssl_check ? STR("") : arena_str(arena, json_get_str(body, "challenge"))};
    return st;
}

/* --- opening --- */

static struct str
read_base(const json_t *settings, const char *key, const char *otherwise)
{
    struct str base = json_get_str(settings, key);

    if (base.len == 0)
        return str_from_c(otherwise);
    if (str_ends_with(base, STR("/")))
        base.len--;
    return base;
}

static enum status
slack_open(struct channel *channel, struct err *err)
{
    struct slack_channel *slack = slack_of(channel);
    const json_t *settings = channel->record->settings;
    const json_t *credentials = channel->record->credentials;
    struct str policy = json_get_str(settings, "group_policy");

    pthread_mutex_init(&slack->lock, NULL);
    enum status st = check_credentials(credentials, err);
    if (st != ST_OK)
        return st;
    slack->app_id = json_get_str(credentials, "app_id");
    slack->team_id = json_get_str(credentials, "team_id");
    slack->api_base = read_base(settings, "api_base", DEFAULT_API_BASE);
    slack->files_base = read_base(settings, "files_base", DEFAULT_FILES_BASE);
    slack->group_policy = str_eq_c(policy, "all")     ? SLACK_GROUP_ALL
                          : str_eq_c(policy, "never") ? SLACK_GROUP_NEVER
                                                      : SLACK_GROUP_ADDRESSED;
    slack_learn_user(slack, json_get_str(settings, "bot_user_id"));
    struct str token = json_get_str(credentials, "bot_token");
    slack->authorization = calloc(1, sizeof "Bearer " + token.len);
    if (slack->authorization == NULL)
        abort();
    memcpy(slack->authorization, "Bearer ", 7);
    memcpy(slack->authorization + 7, token.ptr, token.len);
    return ST_OK;
}

static void
slack_close(struct channel *channel)
{
    struct slack_channel *slack = slack_of(channel);

    if (slack->authorization != NULL)
        sodium_memzero(slack->authorization, strlen(slack->authorization));
    free(slack->authorization);
    pthread_mutex_destroy(&slack->lock);
}

static void
slack_inherit(struct channel *channel, struct channel *former)
{
    struct slack_channel *slack = slack_of(channel), *before = slack_of(former);
    char user_id[SLACK_ID_MAX + 1];

    if (!str_eq(slack->app_id, before->app_id) || !str_eq(slack->team_id, before->team_id))
        return;
    pthread_mutex_lock(&before->lock);
    memcpy(user_id, before->user_id, sizeof user_id);
    pthread_mutex_unlock(&before->lock);
    if (json_object_get(channel->record->settings, "bot_user_id") == NULL)
        slack_learn_user(slack, str_from_c(user_id));
}

static size_t
slack_split(struct channel *channel, struct str text, struct arena *arena, struct str **parts_out)
{
    (void)channel;
    return markup_split(text, SLACK_PART_MAX_UNITS, arena, parts_out);
}

static const char *
slack_setup(const struct channel_record *record)
{
    (void)record;
    return "on api.slack.com/apps, in your app, paste under Event Subscriptions as the Request "
           "URL, under Interactivity & Shortcuts, and at each slash command:\n  {url}\nand "
           "subscribe to the bot events message.im and app_mention";
}

const struct channel_driver channel_driver_slack = {
    .source = "slack",
    .caps = CHANNEL_CAN_TYPE | CHANNEL_GROWS | CHANNEL_FINDS | CHANNEL_HAS_MEDIA |
            CHANNEL_SENDS_MEDIA | CHANNEL_SENDS_BUTTONS,
    .size = sizeof(struct slack_channel),
    .burst_window_ms = 2000,
    .typing_interval_ms = 30000,
    .draft_interval_ms = 1500,
    .setting_keys = setting_keys,
    .credential_keys = credential_keys,
    .check_spec = slack_check_spec,
    .open = slack_open,
    .close = slack_close,
    .verify = slack_verify,
    .handshake = slack_handshake,
    .parse = slack_parse,
    .split = slack_split,
    .send = slack_send,
    .probe = slack_probe,
    .setup = slack_setup,
    .typing = slack_typing,
    .begin = slack_begin,
    .grow = slack_grow,
    .edit = slack_edit,
    .withdraw = slack_withdraw,
    .find = slack_find,
    .fetch_media = slack_fetch_media,
    .inherit = slack_inherit,
    /* A command's answer with words in it would be shown to the person. */
    .accepted_type = "text/plain",
    .accepted_body = "",
};
