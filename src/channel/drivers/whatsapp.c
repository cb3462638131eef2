/*
 * whatsapp.c - the WhatsApp driver: its table, settings, ids, and which message was heard last
 */
#include "channel/drivers/whatsapp.h"

#include <stdlib.h>
#include <string.h>

#include "text/json.h"
#include "text/text.h"

#define API_BASE "https://graph.facebook.com"
#define HEARD_MAX 8192
#define NUMBER_ID_MAX_LEN 32
#define USER_ID_MAX_LEN 160 /* a country, a parent's mark, up to 128 letters and digits */
#define PHONE_MIN_LEN 5
#define PHONE_MAX_LEN 20
#define GROUP_ID_MAX_LEN 128
#define LIST_LABEL_MAX_UNITS 20

/* --- ids --- */

static bool
is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool
whatsapp_is_user_id(struct str s)
{
    if (s.len < 4 || s.len > USER_ID_MAX_LEN || s.ptr[2] != '.' || s.ptr[0] < 'A' ||
        s.ptr[0] > 'Z' || s.ptr[1] < 'A' || s.ptr[1] > 'Z' || s.ptr[s.len - 1] == '.')
        return false;
    for (size_t i = 3; i < s.len; i++)
        if (!is_letter_or_digit(s.ptr[i]) && s.ptr[i] != '.')
            return false;
    return true;
}

bool
whatsapp_is_phone(struct str s)
{
    return s.len >= PHONE_MIN_LEN && meta_is_number(s, PHONE_MAX_LEN);
}

bool
whatsapp_is_group_id(struct str s)
{
    if (s.len == 0 || s.len > GROUP_ID_MAX_LEN)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~')
            return false;
    return true;
}

enum status
whatsapp_chat_parse(struct str external_chat_id, struct whatsapp_chat *chat_out, struct err *err)
{
    static const struct str group = STR_INIT("group:");

    *chat_out = (struct whatsapp_chat){.user_id = STR_EMPTY};
    if (str_starts_with(external_chat_id, group)) {
        chat_out->group_id = str_sub(external_chat_id, group.len, external_chat_id.len);
        if (whatsapp_is_group_id(chat_out->group_id))
            return ST_OK;
    } else if (whatsapp_is_user_id(external_chat_id)) {
        chat_out->user_id = external_chat_id;
        return ST_OK;
    } else if (whatsapp_is_phone(external_chat_id)) {
        chat_out->phone = external_chat_id;
        return ST_OK;
    }
    return err_set(err, ST_INVALID, "\"%.*s\" names no WhatsApp chat",
                   STR_ARG(str_sub(external_chat_id, 0, str_utf8_floor(external_chat_id, 60))));
}

struct str
whatsapp_wamid_of(const struct whatsapp_channel *whatsapp, struct str external_message_id)
{
    struct str rest = external_message_id, number = STR_EMPTY;

    if (!str_split(&rest, ':', &number) || !str_eq(number, whatsapp->number_id))
        return STR_EMPTY;
    return rest;
}

/* --- what was heard --- */

static void
heard_forget(struct map *last)
{
    struct map_entry *entry;

    MAP_FOREACH (last, entry) {
        free(entry->value);
    }
    map_deinit(last);
    map_init(last, HEARD_MAX);
}

void
whatsapp_heard_put(struct whatsapp_heard *heard, struct str chat, struct str wamid)
{
    char *copy = str_dup(wamid);
    void *replaced = NULL;
    struct err ignored;

    if (copy == NULL)
        abort();
    pthread_mutex_lock(&heard->lock);
    if (heard->last.count >= HEARD_MAX && map_find(&heard->last, chat) == NULL)
        heard_forget(&heard->last);
    if (map_put(&heard->last, chat, copy, &replaced, &ignored) != ST_OK)
        replaced = copy;
    pthread_mutex_unlock(&heard->lock);
    free(replaced);
}

struct str
whatsapp_heard_get(struct whatsapp_heard *heard, struct str chat, struct arena *arena)
{
    pthread_mutex_lock(&heard->lock);
    const char *wamid = map_find(&heard->last, chat);
    struct str copy = wamid == NULL ? STR_EMPTY : arena_str(arena, str_from_c(wamid));
    pthread_mutex_unlock(&heard->lock);
    return copy;
}

/* --- settings --- */

static const char *const setting_keys[] = {META_SETTING_KEYS, "group_policy", "mark_read",
                                           "list_label",      "waba_id",      NULL};
static const char *const credential_keys[] = {META_CREDENTIAL_KEYS, "phone_number_id", NULL};

static enum status
check_settings(const json_t *settings, struct err *err)
{
    const json_t *policy = json_object_get(settings, "group_policy");
    const json_t *label = json_object_get(settings, "list_label");
    struct str policy_text = json_get_str(settings, "group_policy");
    struct str label_text = json_get_str(settings, "list_label");

    if (policy != NULL && !str_eq_c(policy_text, "addressed") && !str_eq_c(policy_text, "all") &&
        !str_eq_c(policy_text, "never"))
        return err_set(err, ST_INVALID, "group_policy must be \"addressed\", \"all\" or \"never\"");
    if (label != NULL && (label_text.len == 0 || text_utf16_len(label_text) > LIST_LABEL_MAX_UNITS))
        return err_set(err, ST_INVALID, "list_label must be 1 to %d characters",
                       LIST_LABEL_MAX_UNITS);
    if (json_object_get(settings, "waba_id") != NULL &&
        !meta_is_number(json_get_str(settings, "waba_id"), NUMBER_ID_MAX_LEN))
        return err_set(err, ST_INVALID,
                       "waba_id is the WhatsApp Business account's number, as text");
    return meta_check_bool(settings, "mark_read", err);
}

static enum status
whatsapp_check_spec(struct channel_spec *spec, json_t *settings, json_t *credentials,
                    struct arena *arena, struct err *err)
{
    struct str number_id = json_get_str(credentials, "phone_number_id");
    enum status st;

    if (!meta_is_number(number_id, NUMBER_ID_MAX_LEN))
        return err_set(err, ST_INVALID,
                       "phone_number_id must be the number's id (not the number) as text");
    st = meta_check_spec(settings, credentials, err);
    if (st == ST_OK)
        st = check_settings(settings, err);
    if (st == ST_OK)
        spec->account = arena_str(arena, number_id);
    return st;
}

/* --- opening --- */

static enum whatsapp_group_policy
read_policy(const json_t *settings)
{
    struct str word = json_get_str(settings, "group_policy");

    if (str_eq_c(word, "all"))
        return WHATSAPP_GROUP_ALL;
    return str_eq_c(word, "never") ? WHATSAPP_GROUP_NEVER : WHATSAPP_GROUP_ADDRESSED;
}

static enum status
whatsapp_open(struct channel *channel, struct err *err)
{
    struct whatsapp_channel *whatsapp = whatsapp_of(channel);
    const json_t *settings = channel->record->settings;

    /* First what close takes down, so that it may be called whatever fails below. */
    pthread_mutex_init(&whatsapp->heard.lock, NULL);
    map_init(&whatsapp->heard.last, HEARD_MAX);
    whatsapp->number_id = json_get_str(channel->record->credentials, "phone_number_id");
    whatsapp->group_policy = read_policy(settings);
    whatsapp->marks_read = json_get_bool(settings, "mark_read", true);
    whatsapp->list_label = json_get_str(settings, "list_label");
    if (whatsapp->list_label.len == 0)
        whatsapp->list_label = STR("Options");
    if (!meta_is_number(whatsapp->number_id, NUMBER_ID_MAX_LEN))
        return err_set(err, ST_INVALID, "the channel has no valid phone_number_id");
    return meta_open(&whatsapp->account, channel, API_BASE, err);
}

static void
whatsapp_close(struct channel *channel)
{
    struct whatsapp_channel *whatsapp = whatsapp_of(channel);

    heard_forget(&whatsapp->heard.last);
    map_deinit(&whatsapp->heard.last);
    pthread_mutex_destroy(&whatsapp->heard.lock);
}

/* News of the business account name no number, and so no channel. */
static struct str
account_of(const json_t *entry, const json_t *change)
{
    const json_t *value = json_get_object(change, "value");

    (void)entry;
    return json_get_str(json_get_object(value, "metadata"), "phone_number_id");
}

static enum status
whatsapp_sort(const struct webhook *webhook, struct arena *arena, struct channel_share **shares_out,
              size_t *count_out, struct err *err)
{
    return meta_sort(webhook, account_of, arena, shares_out, count_out, err);
}

const struct channel_driver channel_driver_whatsapp = {
    .source = "whatsapp_business",
    .caps = CHANNEL_CAN_TYPE | CHANNEL_CAN_REGISTER | CHANNEL_HAS_MEDIA | CHANNEL_SENDS_MEDIA |
            CHANNEL_SENDS_BUTTONS | CHANNEL_SENDS_TEMPLATES | CHANNEL_REPORTS_DELIVERY |
            CHANNEL_HAS_WINDOW | CHANNEL_ECHOES,
    .size = sizeof(struct whatsapp_channel),
    .burst_window_ms = 2000,
    .typing_interval_ms = 20000, /* the indicator lasts 25 seconds */
    .setting_keys = setting_keys,
    .credential_keys = credential_keys,
    .check_spec = whatsapp_check_spec,
    .open = whatsapp_open,
    .close = whatsapp_close,
    .sort = whatsapp_sort,
    .handshake = meta_handshake,
    .verify = meta_verify,
    .parse = whatsapp_parse,
    .split = whatsapp_split,
    .send = whatsapp_send,
    .probe = whatsapp_probe,
    .typing = whatsapp_typing,
    .registration = whatsapp_register,
    .registered = whatsapp_registered,
    .template_state = whatsapp_template_state,
    .acknowledge = whatsapp_acknowledge,
    .fetch_media = whatsapp_fetch_media,
};
