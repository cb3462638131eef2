/*
 * channel_driver.h - what a provider's adapter offers; for src/channel/ alone
 *
 * One file a provider under drivers/: verify, parse, send. A driver's table is constant and
 * complete for its caps: channel_registry_create checks it at start.
 */
#ifndef PARLEY_CHANNEL_CHANNEL_DRIVER_H
#define PARLEY_CHANNEL_CHANNEL_DRIVER_H

#include "channel/channel.h"

struct channel {
    const struct channel_driver *driver;
    const struct channel_record *record; /* one reference */
    const struct channel_env *env;
    _Atomic int refs;
    /* Private to channel.c, under the registry's lock: the cached ones, latest used first. */
    struct channel *newer, *older;
};

struct channel_driver {
    const char *source; /* config key, route and log field */
    unsigned caps;
    size_t size; /* of the struct that begins with struct channel */
    int64_t burst_window_ms;
    unsigned typing_interval_ms, draft_interval_ms;

    /* Keys a person may give, ended by NULL. The front refuses others, and knows the settings that
     * every channel has: burst_window_ms, on_uncertain; window_template where there is a window. */
    const char *const *setting_keys;
    const char *const *credential_keys;

    /* Prepares libraries, when a registry is made: before any thread, and perhaps again. May be
     * NULL. */
    void (*start)(void);

    /* Always set. */
    /* settings and credentials are copies that the driver may complete; spec->account is its to
     * set. */
    enum status (*check_spec)(struct channel_spec *spec, json_t *settings, json_t *credentials,
                              struct arena *arena, struct err *err);
    /* open, close, verify and parse do not block: webhooks run them on the HTTP server's threads.
     */
    enum status (*open)(struct channel *channel, struct err *err);
    void (*close)(struct channel *channel); /* accepts a channel whose open failed */
    /* ST_DENIED unless the bytes are proven to come from the provider. Constant-time. With keys to
     * be fetched: ST_BUSY while !webhook->request->may_block. */
    enum status (*verify)(const struct channel_record *record, const struct webhook *webhook,
                          const struct channel_env *env, struct err *err);
    /* batch has its arena and nothing else; on failure the front frees what was put in. */
    enum status (*parse)(struct channel *channel, const struct webhook *webhook,
                         struct inbound_batch *batch, struct err *err);
    size_t (*split)(struct channel *channel, struct str text, struct arena *arena,
                    struct str **parts_out);
    enum status (*send)(struct channel *channel, const struct outbound *outbound,
                        struct arena *arena, struct delivery *delivery_out, struct err *err);
    enum status (*probe)(struct channel *channel, struct arena *arena, struct str *account_out,
                         struct err *err);

    /* Set exactly when the capability is. */
    void (*typing)(struct channel *channel, struct str external_chat_id);
    void (*draft)(struct channel *channel, struct str external_chat_id, int64_t draft_id,
                  struct str text);
    /* With CHANNEL_GROWS; grows_in may be NULL: in all chats. */
    bool (*grows_in)(struct str external_chat_id);
    enum status (*begin)(struct channel *channel, const struct outbound *outbound,
                         struct arena *arena, struct delivery *delivery_out, struct err *err);
    void (*grow)(struct channel *channel, const struct outbound *outbound,
                 struct str external_message_id, unsigned step);
    enum status (*edit)(struct channel *channel, const struct outbound *outbound,
                        struct str external_message_id, struct err *err);
    enum status (*withdraw)(struct channel *channel, struct str external_chat_id,
                            struct str external_message_id, struct err *err);
    enum status (*find)(struct channel *channel, const struct outbound *outbound, int64_t sent_us,
                        struct arena *arena, struct delivery *delivery_out, struct err *err);
    enum status (*registration)(struct channel *channel, struct str url, struct err *err);
    enum status (*poll)(struct channel *channel, struct str cursor, unsigned wait_ms,
                        struct arena *arena, struct channel_poll *poll_out, struct err *err);
    /* With CHANNEL_CAN_POLL: whether this channel is to be polled, whatever the server's address.
     * NULL: all are, where no public address is set. */
    bool (*is_polled)(const struct channel_record *record);
    enum status (*fetch_media)(struct channel *channel, const json_t *attachment,
                               const struct media_sink *sink, struct arena *arena,
                               struct str *mime_type_out, struct err *err);
    enum status (*read_carried)(struct channel *channel, struct str content_type, struct str body,
                                struct arena *arena, struct str **files_out, size_t *count_out,
                                struct err *err);
    /* Which accounts a webhook at an address that several share says it is for; it is proven of
     * each by its own channel. Bodies of several name each only what is its own. ST_INVALID: it
     * cannot be read. May be NULL: it does not say. */
    enum status (*sort)(const struct webhook *webhook, struct arena *arena,
                        struct channel_share **shares_out, size_t *count_out, struct err *err);
    /* Answers the request by which a provider tests an address (a GET with a challenge, a signed
     * first POST): ST_OK with reply_out; ST_NOT_FOUND: an ordinary webhook, to be verified;
     * ST_DENIED. Asked before verify about every request, so the ordinary must be seen at a glance.
     * May be NULL: then every GET is refused. */
    enum status (*handshake)(const struct channel_record *record, const struct webhook *webhook,
                             const struct channel_env *env, struct arena *arena,
                             struct webhook_reply *reply_out, struct err *err);
    /* Fresh ones of credentials that end by themselves: the keys that changed, the caller's object,
     * and how long they last. The old ones go on working meanwhile. ST_NOT_FOUND: these do not end.
     * Errors as of probe. May be NULL. */
    enum status (*refresh)(struct channel *channel, struct arena *arena, json_t **credentials_out,
                           int64_t *lasts_us_out, struct err *err);
    /* What a person does at the provider so that it delivers to {url}; a literal. NULL where
     * registration does it. May be NULL. */
    const char *(*setup)(const struct channel_record *record);
    /* The webhook that the provider has now, "" for none, STR_EMPTY where it tells no address but
     * of trouble; and what it last complained of. In the arena. May be NULL: it cannot be read. */
    enum status (*registered)(struct channel *channel, struct arena *arena, struct str *url_out,
                              struct str *trouble_out, struct err *err);
    /* Whether settings.window_template may be sent: ST_INVALID says why not. words_out: in the
     * arena, may stay empty. May be NULL. */
    enum status (*template_state)(struct channel *channel, const json_t *template,
                                  struct arena *arena, struct str *words_out, struct err *err);
    /* What the 200 of an accepted webhook carries where the provider reads it; NULL: as usual. */
    const char *accepted_type, *accepted_body;
    /* May be NULL. */
    void (*acknowledge)(struct channel *channel, struct str acknowledge);
    /* Puts what the provider replaced into credentials, a copy of the record's; false: nothing. May
     * be NULL. */
    bool (*renew_credentials)(struct channel *channel, json_t *credentials);
    /* Takes over what was learned by the channel opened from the record before this one; former
     * may be in use. May be NULL. */
    void (*inherit)(struct channel *channel, struct channel *former);
};

/* For settings: where a provider's API is. http or https, a host, no query, fragment or user; at
 * most one slash at the end. */
bool channel_is_api_base(struct str url);

extern const struct channel_driver channel_driver_instagram;
extern const struct channel_driver channel_driver_slack;
extern const struct channel_driver channel_driver_teams;
extern const struct channel_driver channel_driver_email;
extern const struct channel_driver channel_driver_telegram;
extern const struct channel_driver channel_driver_twilio_sms;
extern const struct channel_driver channel_driver_twilio_whatsapp;
extern const struct channel_driver channel_driver_web;
extern const struct channel_driver channel_driver_whatsapp;
/* For tests: in memory; fails on command; keeps what it was told. */
extern const struct channel_driver channel_driver_fake;
extern const struct channel_driver channel_driver_failing;
extern const struct channel_driver channel_driver_recording;

#endif
