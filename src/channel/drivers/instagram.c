/*
 * instagram.c - the Instagram driver: its table and settings
 */
#include "channel/drivers/instagram.h"

#include "text/json.h"

#define INSTAGRAM_BASE "https://graph.instagram.com"
#define FACEBOOK_BASE "https://graph.facebook.com"
#define ID_MAX_LEN 32

bool
instagram_is_person(struct str s)
{
    return meta_is_number(s, ID_MAX_LEN);
}

static const char *const setting_keys[] = {META_SETTING_KEYS, "login", "mark_read", NULL};
static const char *const credential_keys[] = {META_CREDENTIAL_KEYS, "instagram_account_id", NULL};

static enum status
instagram_check_spec(struct channel_spec *spec, json_t *settings, json_t *credentials,
                     struct arena *arena, struct err *err)
{
    struct str account_id = json_get_str(credentials, "instagram_account_id");
    struct str login = json_get_str(settings, "login");
    enum status st;

    if (!meta_is_number(account_id, ID_MAX_LEN))
        return err_set(err, ST_INVALID,
                       "instagram_account_id must be the professional account's id as text");
    if (json_object_get(settings, "login") != NULL && !str_eq_c(login, "instagram") &&
        !str_eq_c(login, "facebook"))
        return err_set(err, ST_INVALID, "login must be \"instagram\" or \"facebook\"");
    st = meta_check_bool(settings, "mark_read", err);
    if (st == ST_OK)
        st = meta_check_spec(settings, credentials, err);
    if (st == ST_OK)
        spec->account = arena_str(arena, account_id);
    return st;
}

static enum status
instagram_open(struct channel *channel, struct err *err)
{
    struct instagram_channel *instagram = instagram_of(channel);
    const json_t *settings = channel->record->settings;

    instagram->account_id = json_get_str(channel->record->credentials, "instagram_account_id");
    instagram->is_facebook_login = str_eq_c(json_get_str(settings, "login"), "facebook");
    instagram->marks_read = json_get_bool(settings, "mark_read", true);
    if (!meta_is_number(instagram->account_id, ID_MAX_LEN))
        return err_set(err, ST_INVALID, "the channel has no valid instagram_account_id");
    return meta_open(&instagram->account, channel,
                     instagram->is_facebook_login ? FACEBOOK_BASE : INSTAGRAM_BASE, err);
}

static void
instagram_close(struct channel *channel)
{
    (void)channel;
}

static const char *
instagram_setup(const struct channel_record *record)
{
    (void)record;
    return "in Meta's App Dashboard, Instagram, Configure webhooks, paste as the Callback URL, "
           "with "
           "the verify_token that you gave:\n  {url}\nand subscribe to messages, "
           "messaging_postbacks, message_reactions and messaging_seen";
}

static struct str
account_of(const json_t *entry, const json_t *change)
{
    (void)change;
    return json_get_str(entry, "id");
}

static enum status
instagram_sort(const struct webhook *webhook, struct arena *arena,
               struct channel_share **shares_out, size_t *count_out, struct err *err)
{
    return meta_sort(webhook, account_of, arena, shares_out, count_out, err);
}

const struct channel_driver channel_driver_instagram = {
    .source = "instagram",
    .caps = CHANNEL_CAN_TYPE | CHANNEL_HAS_MEDIA | CHANNEL_SENDS_MEDIA | CHANNEL_SENDS_BUTTONS |
            CHANNEL_REPORTS_DELIVERY | CHANNEL_HAS_WINDOW | CHANNEL_ECHOES,
    .size = sizeof(struct instagram_channel),
    .burst_window_ms = 2000,
    .typing_interval_ms = 15000, /* the indicator lasts about 20 seconds */
    .setting_keys = setting_keys,
    .credential_keys = credential_keys,
    .check_spec = instagram_check_spec,
    .open = instagram_open,
    .close = instagram_close,
    .sort = instagram_sort,
    .handshake = meta_handshake,
    .verify = meta_verify,
    .parse = instagram_parse,
    .split = instagram_split,
    .send = instagram_send,
    .probe = instagram_probe,
    .setup = instagram_setup,
    .registered = instagram_registered,
    .refresh = instagram_refresh,
    .typing = instagram_typing,
    .acknowledge = instagram_acknowledge,
    .fetch_media = instagram_fetch_media,
};
