/*
 * channel_check.c - is a channel connected, and what is left for a person to do
 */
#include "channel/channel_check.h"

#include "channel/channel_driver.h"
#include "channel/scrub.h"
#include "text/json.h"

#define URL_FIELD STR("{url}")

static bool
is_polled(const struct channel *channel)
{
    const struct channel_driver *driver = channel->driver;

    if ((driver->caps & CHANNEL_CAN_POLL) == 0)
        return false;
    return driver->is_polled != NULL ? driver->is_polled(channel->record)
                                     : channel->env->public_url.len == 0;
}

struct str
channel_webhook_url(const struct channel *channel, struct arena *arena)
{
    const struct channel_record *record = channel->record;
    struct str own = json_get_str(record->settings, "webhook_url");

    if ((channel->driver->caps & CHANNEL_LOCAL) != 0 || is_polled(channel))
        return STR("");
    if (own.len > 0)
        return own;
    if (channel->env->public_url.len == 0)
        return STR("");
    return arena_printf(arena, "%.*s/webhooks/%.*s/%s", STR_ARG(channel->env->public_url),
                        STR_ARG(record->source), record->id.id.text);
}

struct str
channel_setup(const struct channel *channel, struct arena *arena)
{
    struct str words, url = channel_webhook_url(channel, arena), out = STR("");
    bool goes_on = true;

    if (channel->driver->setup == NULL || (channel->driver->caps & CHANNEL_LOCAL) != 0 ||
        is_polled(channel))
        return out;
    words = str_from_c(channel->driver->setup(channel->record));
    if (url.len == 0)
        return arena_printf(
            arena, "set http.public_url to the https address by which the internet reaches "
                   "this server: the provider delivers to nothing else");
    while (goes_on) {
        ptrdiff_t at = str_find(words, URL_FIELD);

        goes_on = at >= 0;
        out = arena_printf(arena, "%.*s%.*s%.*s", STR_ARG(out),
                           STR_ARG(str_sub(words, 0, goes_on ? (size_t)at : words.len)),
                           STR_ARG(goes_on ? url : STR("")));
        if (goes_on)
            words = str_sub(words, (size_t)at + URL_FIELD.len, words.len);
    }
    return out;
}

static enum status
register_webhook(struct channel *channel, struct channel_check *check, struct err *err)
{
    enum status st = channel_register(channel, check->webhook_url, err);

    check->is_registered = st == ST_OK;
    return st;
}

/* What could not be read is not held against the channel: its credentials were taken. */
static void
read_registration(struct channel *channel, struct arena *arena, struct channel_check *check)
{
    struct err err;

    if (channel->driver->registered == NULL ||
        channel->driver->registered(channel, arena, &check->registered_url, &check->trouble,
                                    &err) != ST_OK)
        return;
    check->can_read = check->registered_url.ptr != NULL;
    /* The provider's own words about our answers may quote. */
    (void)err_set(&err, ST_UNAVAILABLE, "%.*s", STR_ARG(check->trouble));
    scrub_err(&(struct scrub){.credentials = channel->record->credentials}, &err);
    check->trouble = arena_str(arena, str_from_c(err.public_text));
}

enum status
channel_check(struct channel *channel, bool registers, struct arena *arena,
              struct channel_check *check_out, struct err *err)
{
    enum status st;

    *check_out = (struct channel_check){.webhook_url = channel_webhook_url(channel, arena)};
    st = channel_probe(channel, arena, &check_out->account, err);
    if (st != ST_OK)
        return st;
    check_out->is_proven = true;
    check_out->setup = channel_setup(channel, arena);
    if (registers && check_out->webhook_url.len > 0 &&
        (channel->driver->caps & CHANNEL_CAN_REGISTER) != 0)
        st = register_webhook(channel, check_out, err);
    if (st == ST_OK)
        read_registration(channel, arena, check_out);
    return st;
}

bool
channel_check_is_elsewhere(const struct channel_check *check)
{
    struct str there = check->registered_url;
    /* Twilio takes its own options behind a hash. */
    ptrdiff_t hash = str_find_byte(there, '#');

    if (hash >= 0)
        there = str_sub(there, 0, (size_t)hash);
    return check->can_read && check->webhook_url.len > 0 && !str_eq(there, check->webhook_url);
}

enum status
channel_check_template(struct channel *channel, struct arena *arena, struct str *words_out,
                       struct err *err)
{
    const json_t *template = json_get_object(channel->record->settings, "window_template");
    enum status st = ST_OK;

    *words_out = STR("");
    if ((channel->driver->caps & CHANNEL_HAS_WINDOW) == 0)
        return ST_OK;
    if (template == NULL) {
        if ((channel->driver->caps & CHANNEL_SENDS_TEMPLATES) != 0)
            *words_out =
                STR("no window_template: whoever was silent for 24 hours gets nothing, and "
                    "a person is asked");
        return ST_OK;
    }
    if (channel->driver->template_state == NULL) {
        *words_out = STR("the window_template cannot be looked up at the provider from here");
        return ST_OK;
    }
    st = channel->driver->template_state(channel, template, arena, words_out, err);
    if (st != ST_OK)
        scrub_err(&(struct scrub){.credentials = channel->record->credentials}, err);
    return st;
}
