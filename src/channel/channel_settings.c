/*
 * channel_settings.c - settings and credentials as a person gave them, checked before they are kept
 */
#include <stdlib.h>
#include <string.h>

#include "channel/channel_driver.h"
#include "text/json.h"

#define BURST_WINDOW_MAX_MS 600000
#define API_BASE_MAX_LEN 500
#define REPLY_ONLY_MAX_BYTES 1000
#define REPLY_ONLY_TEXT                                                                            \
    "Thank you for your message. Messages that begin here are not read: only replies to messages " \
    "that we sent are answered. Please reach us in another way."

static enum status
check_keys(const json_t *object, const char *const *common, const char *const *own,
           const char *what, struct err *err)
{
    const char *key;
    json_t *value;

    /* jansson's iteration wants a pointer that may change; nothing is changed. */
    json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
        bool known = false;

        for (size_t i = 0; common[i] != NULL && !known; i++)
            known = strcmp(key, common[i]) == 0;
        for (size_t i = 0; own[i] != NULL && !known; i++)
            known = strcmp(key, own[i]) == 0;
        if (!known)
            return err_set(err, ST_INVALID, "this channel has no %s \"%.60s\"", what, key);
    }
    return ST_OK;
}

static enum status
check_common_settings(const json_t *settings, struct err *err)
{
    const json_t *burst = json_object_get(settings, "burst_window_ms");
    const json_t *uncertain = json_object_get(settings, "on_uncertain");

    if (burst != NULL && (!json_is_integer(burst) || json_integer_value(burst) < 0 ||
                          json_integer_value(burst) > BURST_WINDOW_MAX_MS))
        return err_set(err, ST_INVALID, "burst_window_ms must be a whole number from 0 to %d",
                       BURST_WINDOW_MAX_MS);
    if (uncertain != NULL) {
        struct str word = json_get_str(settings, "on_uncertain");

        if (!str_eq_c(word, "hold") && !str_eq_c(word, "resend"))
            return err_set(err, ST_INVALID, "on_uncertain must be \"hold\" or \"resend\"");
    }
    return ST_OK;
}

bool
channel_is_api_base(struct str url)
{
    struct str rest = STR_EMPTY;

    if (str_starts_with(url, STR("https://")))
        rest = str_sub(url, 8, url.len);
    else if (str_starts_with(url, STR("http://")))
        rest = str_sub(url, 7, url.len);
    if (rest.len == 0 || rest.len > API_BASE_MAX_LEN || rest.ptr[0] == '/' ||
        str_ends_with(rest, STR("//")))
        return false;
    for (size_t i = 0; i < rest.len; i++)
        if (rest.ptr[i] <= ' ' || rest.ptr[i] > '~' || strchr("?#@\\\"<>", rest.ptr[i]) != NULL)
            return false;
    return true;
}

static enum status
check_reply_only(const struct channel_driver *driver, const json_t *settings, struct err *err)
{
    const json_t *reply_only = json_object_get(settings, "reply_only");
    const json_t *text = json_object_get(settings, "reply_only_text");

    if ((reply_only != NULL || text != NULL) && (driver->caps & CHANNEL_LOCAL) != 0)
        return err_set(err, ST_INVALID,
                       "people begin the conversations of this channel: it cannot be reply_only");
    if (reply_only != NULL && !json_is_boolean(reply_only))
        return err_set(err, ST_INVALID, "reply_only must be true or false");
    if (text != NULL && (!json_is_string(text) || json_string_length(text) == 0 ||
                         json_string_length(text) > REPLY_ONLY_MAX_BYTES))
        return err_set(err, ST_INVALID, "reply_only_text must be a text of at most %d bytes",
                       REPLY_ONLY_MAX_BYTES);
    return ST_OK;
}

/* {"name", "language", "parameters": [text, ...]}, of channels that need one. */
static enum status
check_window_template(const struct channel_driver *driver, const json_t *settings, struct err *err)
{
    const unsigned needs = CHANNEL_HAS_WINDOW | CHANNEL_SENDS_TEMPLATES;
    const json_t *template = json_object_get(settings, "window_template");
    const json_t *parameters = json_object_get(template, "parameters");
    json_t *parameter;
    size_t i;

    if (template == NULL)
        return ST_OK;
    if ((driver->caps & needs) != needs)
        return err_set(err, ST_INVALID, "this channel has no setting \"window_template\"");
    bool is_valid = json_is_object(template) && json_get_str(template, "name").len > 0 &&
                    (parameters == NULL || json_is_array(parameters));
    json_array_foreach (parameters, i, parameter) {
        is_valid = is_valid && json_is_string(parameter);
    }
    if (!is_valid)
        return err_set(err, ST_INVALID,
                       "window_template needs a name, and may have a language and parameters, a "
                       "list of texts");
    return ST_OK;
}

static enum status
check_person_echo(const struct channel_driver *driver, const json_t *settings, struct err *err)
{
    struct str word = json_get_str(settings, "on_person_echo");

    if (json_object_get(settings, "on_person_echo") == NULL)
        return ST_OK;
    if ((driver->caps & CHANNEL_ECHOES) == 0)
        return err_set(err, ST_INVALID, "this channel has no setting \"on_person_echo\"");
    if (!str_eq_c(word, "hand_off") && !str_eq_c(word, "ignore"))
        return err_set(err, ST_INVALID, "on_person_echo must be \"hand_off\" or \"ignore\"");
    return ST_OK;
}

enum status
channel_check_spec(const struct channel_registry *registry, struct channel_spec *spec,
                   struct arena *arena, struct err *err)
{
    static const char *const common_settings[] = {"burst_window_ms",
                                                  "on_uncertain",
                                                  "window_template",
                                                  "reply_only",
                                                  "reply_only_text",
                                                  "on_person_echo",
                                                  NULL};
    static const char *const no_keys[] = {NULL};
    const struct channel_driver *driver = channel_driver_find(registry, spec->source);
    struct str given_account = spec->account;

    if (driver == NULL)
        return err_set(err, ST_INVALID, "there are no channels of the kind \"%.*s\"",
                       STR_ARG(str_sub(spec->source, 0, 40)));
    if ((spec->settings != NULL && !json_is_object(spec->settings)) ||
        (spec->credentials != NULL && !json_is_object(spec->credentials)))
        return err_set(err, ST_INVALID, "settings and credentials must be objects");

    json_t *settings = spec->settings == NULL ? json_object() : json_deep_copy(spec->settings);
    json_t *credentials =
        spec->credentials == NULL ? json_object() : json_deep_copy(spec->credentials);
    if (settings == NULL || credentials == NULL)
        abort();
    enum status st = check_keys(settings, common_settings, driver->setting_keys, "setting", err);
    if (st == ST_OK)
        st = check_keys(credentials, no_keys, driver->credential_keys, "credential", err);
    if (st == ST_OK)
        st = check_common_settings(settings, err);
    if (st == ST_OK)
        st = check_reply_only(driver, settings, err);
    if (st == ST_OK)
        st = check_window_template(driver, settings, err);
    if (st == ST_OK)
        st = check_person_echo(driver, settings, err);
    if (st == ST_OK)
        st = driver->check_spec(spec, settings, credentials, arena, err);
    if (st != ST_OK) {
        json_decref(settings);
        json_decref(credentials);
        spec->account = given_account;
        return st;
    }
    spec->settings = settings;
    spec->credentials = credentials;
    return ST_OK;
}

void
channel_spec_deinit(struct channel_spec *spec)
{
    /* channel_check_spec made both; only the type of the field says const. */
    json_decref((json_t *)(uintptr_t)spec->settings);
    json_decref((json_t *)(uintptr_t)spec->credentials);
    spec->settings = spec->credentials = NULL;
}

/* --- what is read from them --- */

bool
channel_is_taken_by_echo(const struct channel_record *record)
{
    return !str_eq_c(json_get_str(record->settings, "on_person_echo"), "ignore");
}

/* One pass over the text, so that a name in braces is not read again. */
struct str
channel_reply_only_text(const struct channel_record *record, struct str name, struct arena *arena)
{
    struct str text = json_get_str(record->settings, "reply_only_text"), out = STR_EMPTY;

    if (text.len == 0)
        text = STR(REPLY_ONLY_TEXT);
    while (text.len > 0) {
        ptrdiff_t open = str_find_byte(text, '{');
        size_t before = open < 0 ? text.len : (size_t)open, taken = 0;
        struct str rest = str_sub(text, before, text.len), filled = STR_EMPTY;

        if (str_starts_with(rest, STR("{name}"))) {
            filled = name;
            taken = 6;
        } else if (str_starts_with(rest, STR("{channel}"))) {
            filled = record->name;
            taken = 9;
        } else if (rest.len > 0) {
            filled = str_sub(rest, 0, 1);
            taken = 1;
        }
        out = arena_printf(arena, "%.*s%.*s%.*s", STR_ARG(out), STR_ARG(str_sub(text, 0, before)),
                           STR_ARG(filled));
        text = str_sub(rest, taken, rest.len);
    }
    return str_trim(out);
}
