/*
 * teams.c - the Microsoft Teams driver: its table, settings and verification
 *
 * A request proves itself by a token that the Bot Connector signed: for our app id, now, and for
 * the service URL that the activity names. The token says nothing of the body's other bytes; what
 * keeps them whole is TLS. Keys are Microsoft's and are fetched by openid, on workers only.
 */
#include "channel/drivers/teams.h"

#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "channel/openid.h"
#include "text/json.h"

#define GUID_LEN 36
#define PASSWORD_MIN_LEN 8
#define PASSWORD_MAX_LEN 1024
#define URL_MAX_BYTES 500
#define TENANTS_MAX 100
#define HOSTS_MAX 50

/* --- settings --- */

static const char *const setting_keys[] = {
    "tenant_id",       "allowed_tenants", "group_policy", "service_hosts", "cloud",
    "openid_metadata", "issuer",          "login_base",   "token_scope",   NULL};
static const char *const credential_keys[] = {"app_id", "app_password", NULL};

static const struct {
    const char *name;
    struct teams_home home;
} clouds[] = {
    {"public",
     {STR_INIT("https://login.botframework.com/v1/.well-known/openidconfiguration"),
      STR_INIT("https://api.botframework.com"), STR_INIT("https://login.microsoftonline.com"),
      STR_INIT("botframework.com"), STR_INIT("https://api.botframework.com/.default")}},
    {"us_government",
     {STR_INIT("https://login.botframework.azure.us/v1/.well-known/openidconfiguration"),
      STR_INIT("https://api.botframework.us"), STR_INIT("https://login.microsoftonline.us"),
      STR_INIT("botframework.com"), STR_INIT("https://api.botframework.us/.default")}},
};

static struct str
setting_or(const json_t *settings, const char *key, struct str otherwise)
{
    struct str value = json_get_str(settings, key);

    return value.len > 0 ? value : otherwise;
}

void
teams_home_of(const json_t *settings, struct teams_home *home_out)
{
    struct str cloud = json_get_str(settings, "cloud");
    struct teams_home home = clouds[0].home;

    for (size_t i = 0; i < sizeof clouds / sizeof clouds[0]; i++)
        if (str_eq_c(cloud, clouds[i].name))
            home = clouds[i].home;
    home.metadata_url = setting_or(settings, "openid_metadata", home.metadata_url);
    home.issuer = setting_or(settings, "issuer", home.issuer);
    home.login_base = setting_or(settings, "login_base", home.login_base);
    home.authority = setting_or(settings, "tenant_id", home.authority);
    home.scope = setting_or(settings, "token_scope", home.scope);
    if (str_ends_with(home.login_base, STR("/")))
        home.login_base.len--;
    *home_out = home;
}

static bool
is_guid(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');

        if (is_dash ? c != '-' : !is_hex)
            return false;
    }
    return s.len == GUID_LEN;
}

static bool
is_password(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] >= 127)
            return false;
    return s.len >= PASSWORD_MIN_LEN && s.len <= PASSWORD_MAX_LEN;
}

/* http too: a server of one's own, which then wants send.allow_private_addresses. */
static bool
is_url(struct str url)
{
    struct str rest = str_starts_with(url, STR("https://"))  ? str_sub(url, 8, url.len)
                      : str_starts_with(url, STR("http://")) ? str_sub(url, 7, url.len)
                                                             : STR_EMPTY;

    for (size_t i = 0; i < rest.len; i++)
        if (rest.ptr[i] <= ' ' || rest.ptr[i] >= 127 || strchr("?#@\\\"<>", rest.ptr[i]) != NULL)
            return false;
    return rest.len > 0 && rest.ptr[0] != '/' && url.len <= URL_MAX_BYTES;
}

static enum status
check_list(const json_t *settings, const char *key, size_t max, bool (*is_valid)(struct str),
           const char *what, struct err *err)
{
    const json_t *list = json_object_get(settings, key);
    size_t i;
    json_t *one;

    if (list == NULL)
        return ST_OK;
    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > max)
        return err_set(err, ST_INVALID, "%s must be a list of 1 to %zu %s", key, max, what);
    json_array_foreach (list, i, one) {
        if (!json_is_string(one) ||
            !is_valid(str_of(json_string_value(one), json_string_length(one))))
            return err_set(err, ST_INVALID, "%s must be a list of %s", key, what);
    }
    return ST_OK;
}

static bool
has_bad_word(const json_t *settings, const char *key, const char *const *words)
{
    if (json_object_get(settings, key) == NULL)
        return false;
    for (size_t i = 0; words[i] != NULL; i++)
        if (str_eq_c(json_get_str(settings, key), words[i]))
            return false;
    return true;
}

static enum status
check_settings(const json_t *settings, struct err *err)
{
    static const char *const urls[] = {"openid_metadata", "login_base", "issuer", "token_scope"};
    static const char *const policies[] = {"addressed", "all", "never", NULL};
    static const char *const cloud_words[] = {"public", "us_government", NULL};
    enum status st;

    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++)
        if (json_object_get(settings, urls[i]) != NULL && !is_url(json_get_str(settings, urls[i])))
            return err_set(err, ST_INVALID, "%s must be an http or https address", urls[i]);
    if (has_bad_word(settings, "group_policy", policies))
        return err_set(err, ST_INVALID, "group_policy must be \"addressed\", \"all\" or \"never\"");
    if (has_bad_word(settings, "cloud", cloud_words))
        return err_set(err, ST_INVALID, "cloud must be \"public\" or \"us_government\"");
    if (json_object_get(settings, "tenant_id") != NULL &&
        !is_guid(json_get_str(settings, "tenant_id")))
        return err_set(err, ST_INVALID, "tenant_id must be the directory's id, a GUID");
    st = check_list(settings, "allowed_tenants", TENANTS_MAX, is_guid, "tenant ids", err);
    if (st == ST_OK)
        st = check_list(settings, "service_hosts", HOSTS_MAX, teams_service_host_is_valid,
                        "hosts: \"host\", \"*.domain\" or \"https://host:port\"", err);
    return st;
}

static enum status
teams_check_spec(struct channel_spec *spec, json_t *settings, json_t *credentials,
                 struct arena *arena, struct err *err)
{
    struct str app_id = json_get_str(credentials, "app_id");

    if (!is_guid(app_id))
        return err_set(err, ST_INVALID,
                       "app_id must be the bot's Microsoft App ID, like 00000000-0000-...");
    if (!is_password(json_get_str(credentials, "app_password")))
        return err_set(err, ST_INVALID, "app_password must be the value of a client secret");
    enum status st = check_settings(settings, err);
    if (st == ST_OK)
        spec->account = arena_str(arena, app_id);
    return st;
}

/* --- verification --- */

struct openid_wanted
teams_wanted(const struct channel_record *record)
{
    struct teams_home home;

    teams_home_of(record->settings, &home);
    return (struct openid_wanted){.metadata_url = home.metadata_url,
                                  .issuer = home.issuer,
                                  .audience = json_get_str(record->credentials, "app_id")};
}

static struct str
bearer_of(const struct http_request *request)
{
    struct str header = http_request_header(request, "Authorization");

    if (header.len <= 7 || !str_eq_nocase(str_sub(header, 0, 7), STR("Bearer ")))
        return STR_EMPTY;
    return str_sub(header, 7, header.len);
}

/* A bot of one directory serves that directory, unless the settings say otherwise. */
static bool
tenant_is_allowed(const json_t *settings, struct str tenant)
{
    const json_t *list = json_get_array(settings, "allowed_tenants");
    struct str own = json_get_str(settings, "tenant_id");
    size_t i;
    json_t *one;

    if (list == NULL)
        return own.len == 0 || str_eq_nocase(tenant, own);
    json_array_foreach (list, i, one) {
        if (str_eq_nocase(tenant, str_from_c(json_string_value(one))))
            return true;
    }
    return false;
}

static struct str
tenant_of(const json_t *activity)
{
    struct str tenant =
        json_get_str(json_get_object(json_get_object(activity, "channelData"), "tenant"), "id");

    return tenant.len > 0 ? tenant
                          : json_get_str(json_get_object(activity, "conversation"), "tenantId");
}

static struct str
without_slash(struct str url)
{
    while (str_ends_with(url, STR("/")))
        url.len--;
    return url;
}

/* What the token must agree with in the activity. Parsing refuses an activity without a service
 * URL, so that nothing unchecked gets past both. */
static enum status
check_activity(const struct channel_record *record, const struct openid_proof *proof,
               struct str body, struct err *err)
{
    json_auto_t *activity = NULL;
    struct err ignored;
    struct str claimed = openid_claim(proof, "serviceurl");

    if (claimed.len == 0)
        return err_set(err, ST_DENIED, "the token names no service URL");
    if (json_parse(body, &activity, &ignored) != ST_OK)
        return ST_OK; /* the sender's, and unreadable: parsing says so */
    struct str named = json_get_str(activity, "serviceUrl");
    struct str tenant = tenant_of(activity);

    if (named.ptr == NULL)
        return ST_OK;
    if (!str_eq(without_slash(named), without_slash(claimed)))
        return err_set(err, ST_DENIED, "the token is for another service URL");
    if (!openid_is_endorsed(proof, json_get_str(activity, "channelId")))
        return err_set(err, ST_DENIED, "the key may not speak for this channel");
    if (!tenant_is_allowed(record->settings, tenant))
        return err_set(err, ST_DENIED, "the tenant is not allowed");
    return ST_OK;
}

static enum status
teams_verify(const struct channel_record *record, const struct webhook *webhook,
             const struct channel_env *env, struct err *err)
{
    struct openid_wanted wanted = teams_wanted(record);
    const struct openid_proof *proof = NULL;

    if (webhook->request == NULL)
        return err_set(err, ST_DENIED, "activities are posted");
    if (!is_guid(wanted.audience) ||
        !is_password(json_get_str(record->credentials, "app_password")))
        return err_set(err, ST_DENIED, "the channel has no valid app_id and app_password");
    struct str token = bearer_of(webhook->request);
    if (token.len == 0)
        return err_set(err, ST_DENIED, "the request shows no bearer token");
    wanted.may_block = webhook->request->may_block;
    enum status st = openid_check(env->openid, &wanted, token, &proof, err);
    if (st == ST_OK)
        st = check_activity(record, proof, webhook->body, err);
    openid_proof_unref(&proof);
    return st;
}

/* --- opening --- */

static enum teams_group_policy
read_policy(const json_t *settings)
{
    struct str word = json_get_str(settings, "group_policy");

    if (str_eq_c(word, "all"))
        return TEAMS_GROUP_ALL;
    return str_eq_c(word, "never") ? TEAMS_GROUP_NEVER : TEAMS_GROUP_ADDRESSED;
}

static enum status
teams_open(struct channel *channel, struct err *err)
{
    struct teams_channel *teams = teams_of(channel);

    pthread_mutex_init(&teams->lock, NULL);
    cond_init(&teams->fetched);
    teams->app_id = json_get_str(channel->record->credentials, "app_id");
    teams->app_password = json_get_str(channel->record->credentials, "app_password");
    teams->group_policy = read_policy(channel->record->settings);
    teams_home_of(channel->record->settings, &teams->home);
    if (!is_guid(teams->app_id) || !is_password(teams->app_password))
        return err_set(err, ST_INVALID, "the channel has no valid app_id and app_password");
    return ST_OK;
}

static void
teams_close(struct channel *channel)
{
    struct teams_channel *teams = teams_of(channel);

    if (teams->token != NULL)
        explicit_bzero(teams->token, strlen(teams->token));
    free(teams->token);
    pthread_cond_destroy(&teams->fetched);
    pthread_mutex_destroy(&teams->lock);
}

/* A token that was got with the same words is as good in the reopened channel. */
static void
teams_inherit(struct channel *channel, struct channel *former)
{
    struct teams_channel *teams = teams_of(channel), *before = teams_of(former);
    char *token = NULL;
    int64_t ends_us;

    if (!str_eq(teams->app_id, before->app_id) ||
        !str_eq_secret(teams->app_password, before->app_password) ||
        !str_eq(teams->home.login_base, before->home.login_base) ||
        !str_eq(teams->home.authority, before->home.authority) ||
        !str_eq(teams->home.scope, before->home.scope))
        return;
    pthread_mutex_lock(&before->lock);
    if (before->token != NULL)
        token = strdup(before->token);
    ends_us = before->token_ends_us;
    pthread_mutex_unlock(&before->lock);
    pthread_mutex_lock(&teams->lock);
    free(teams->token);
    teams->token = token;
    teams->token_ends_us = ends_us;
    pthread_mutex_unlock(&teams->lock);
}

static const char *
teams_setup(const struct channel_record *record)
{
    (void)record;
    return "in the Azure portal, in the bot's Configuration, paste as the Messaging endpoint:\n"
           "  {url}";
}

const struct channel_driver channel_driver_teams = {
    .source = "teams",
    .caps = CHANNEL_CAN_TYPE | CHANNEL_GROWS | CHANNEL_HAS_MEDIA | CHANNEL_SENDS_MEDIA |
            CHANNEL_SENDS_BUTTONS | CHANNEL_REPORTS_DELIVERY,
    .size = sizeof(struct teams_channel),
    .burst_window_ms = 2000,
    .typing_interval_ms = 3000,
    .draft_interval_ms = 1500, /* one request a second is taken */
    .setting_keys = setting_keys,
    .credential_keys = credential_keys,
    .check_spec = teams_check_spec,
    .open = teams_open,
    .close = teams_close,
    .verify = teams_verify,
    .parse = teams_parse,
    .split = teams_split,
    .send = teams_send,
    .probe = teams_probe,
    .setup = teams_setup,
    .typing = teams_typing,
    .grows_in = teams_grows_in,
    .begin = teams_begin,
    .grow = teams_grow,
    .edit = teams_edit,
    .withdraw = teams_withdraw,
    .fetch_media = teams_fetch_media,
    .accepted_type = "application/json",
    /* Read by Teams after an invoke, where it ends the button's waiting; of no effect otherwise. */
    .accepted_body = "{\"statusCode\":200,\"type\":\"application/vnd.microsoft.activity.message\","
                     "\"value\":\"OK\"}",
    .inherit = teams_inherit,
};
