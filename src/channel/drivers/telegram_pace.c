/*
 * telegram_pace.c - Telegram's sending limits, kept here so that Telegram need not enforce them
 *
 * Generic cell rate: a bucket is the time at which its next message fits without a burst; a message
 * may come early by the burst's length, and moves that time on by one interval. About one message a
 * second into a chat (short bursts are fine), 20 a minute into a group whichever minute is looked
 * at, 30 a second for the bot (providers: Bot FAQ).
 */
#include "channel/drivers/telegram.h"

#include <stdlib.h>

#define CHATS_MAX 8192
#define CHAT_BURST 5
#define GROUP_BURST 4
#define PROMISE_MAX_US (60 * US_PER_S)
#define MINUTE_US (60 * US_PER_S)

struct pace_chat {
    int64_t free_us;         /* when a message fits without a burst */
    int64_t paused_until_us; /* Telegram asked for rest */
};

void
telegram_pace_init(struct telegram_pace *pace, const struct telegram_pace_limits *limits)
{
    *pace = (struct telegram_pace){.limits = *limits};
    pthread_mutex_init(&pace->lock, NULL);
    map_init(&pace->chats, CHATS_MAX);
}

void
telegram_pace_deinit(struct telegram_pace *pace)
{
    struct map_entry *entry;

    MAP_FOREACH (&pace->chats, entry) {
        free(entry->value);
    }
    map_deinit(&pace->chats);
    pthread_mutex_destroy(&pace->lock);
}

static bool
is_group(int64_t chat_id)
{
    return chat_id < 0;
}

static int64_t
chat_interval_us(const struct telegram_pace *pace, int64_t chat_id)
{
    if (!is_group(chat_id))
        return MINUTE_US / pace->limits.chat_per_minute;
    /* The burst counts within the minute too: it is taken off what the rate may add. */
    int64_t steady = pace->limits.group_per_minute - GROUP_BURST;
    return steady > 0 ? MINUTE_US / steady : MINUTE_US;
}

static int64_t
chat_burst(const struct telegram_pace *pace, int64_t chat_id)
{
    if (!is_group(chat_id))
        return CHAT_BURST;
    return pace->limits.group_per_minute > GROUP_BURST ? GROUP_BURST
                                                       : pace->limits.group_per_minute;
}

/* Chats at rest carry nothing. A map must not change while it is walked, so the busy ones move. */
static void
throw_away_resting(struct telegram_pace *pace, int64_t now_us)
{
    struct map kept;
    struct map_entry *entry;
    struct err ignored;

    map_init(&kept, CHATS_MAX);
    MAP_FOREACH (&pace->chats, entry) {
        struct pace_chat *chat = entry->value;
        void *replaced;

        if ((chat->free_us <= now_us && chat->paused_until_us <= now_us) ||
            map_put(&kept, entry->key, chat, &replaced, &ignored) != ST_OK)
            free(chat);
    }
    map_deinit(&pace->chats);
    pace->chats = kept;
}

/* NULL when the table is full of busy chats: then only the bot's own limit is kept here, and
 * Telegram answers for the rest. */
static struct pace_chat *
find_chat(struct telegram_pace *pace, int64_t chat_id, int64_t now_us)
{
    struct str key = str_of((const char *)&chat_id, sizeof chat_id);
    struct pace_chat *chat = map_find(&pace->chats, key);
    struct err ignored;
    void *replaced;

    if (chat != NULL)
        return chat;
    if (pace->chats.count >= CHATS_MAX)
        throw_away_resting(pace, now_us);
    chat = calloc(1, sizeof *chat);
    if (chat == NULL)
        abort();
    if (map_put(&pace->chats, key, chat, &replaced, &ignored) == ST_OK)
        return chat;
    free(chat);
    return NULL;
}

/* How long until a message fits into the bucket; 0: now. */
static int64_t
bucket_wait_us(int64_t free_us, int64_t interval_us, int64_t burst, int64_t now_us)
{
    int64_t earliest_us = free_us - (burst - 1) * interval_us;

    return earliest_us > now_us ? earliest_us - now_us : 0;
}

static int64_t
later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Those who wait for the bot's own limit are called back one after another at its rate: told the
 * same time they would all come at once, and all but a few in vain. */
static int64_t
queue_up_us(struct telegram_pace *pace, int64_t wait_us, int64_t interval_us, int64_t now_us)
{
    int64_t promised_us = later(pace->bot_promised_us, now_us + wait_us);

    if (promised_us > now_us + PROMISE_MAX_US)
        promised_us = now_us + PROMISE_MAX_US;
    pace->bot_promised_us = promised_us + interval_us;
    return promised_us - now_us;
}

int
telegram_pace_take(struct telegram_pace *pace, int64_t chat_id, int64_t now_us)
{
    pthread_mutex_lock(&pace->lock);
    struct pace_chat *chat = find_chat(pace, chat_id, now_us);
    int64_t bot_interval_us = US_PER_S / pace->limits.bot_per_second;
    int64_t wait_us = bucket_wait_us(pace->bot_free_us, bot_interval_us,
                                     pace->limits.bot_per_second / 3 + 1, now_us);

    wait_us = later(wait_us, pace->bot_paused_until_us - now_us);
    if (wait_us > 0)
        wait_us = queue_up_us(pace, wait_us, bot_interval_us, now_us);
    if (chat != NULL) {
        wait_us = later(wait_us, chat->paused_until_us - now_us);
        wait_us = later(wait_us, bucket_wait_us(chat->free_us, chat_interval_us(pace, chat_id),
                                                chat_burst(pace, chat_id), now_us));
    }
    if (wait_us <= 0) {
        pace->bot_free_us = later(pace->bot_free_us, now_us) + bot_interval_us;
        if (chat != NULL)
            chat->free_us = later(chat->free_us, now_us) + chat_interval_us(pace, chat_id);
        wait_us = 0;
    }
    pthread_mutex_unlock(&pace->lock);
    return (int)((wait_us + US_PER_MS - 1) / US_PER_MS);
}

void
telegram_pace_inherit(struct telegram_pace *pace, struct telegram_pace *former)
{
    pthread_mutex_lock(&former->lock);
    int64_t free_us = former->bot_free_us, paused_until_us = former->bot_paused_until_us;
    pthread_mutex_unlock(&former->lock);
    pthread_mutex_lock(&pace->lock);
    pace->bot_free_us = later(pace->bot_free_us, free_us);
    pace->bot_paused_until_us = later(pace->bot_paused_until_us, paused_until_us);
    pthread_mutex_unlock(&pace->lock);
}

void
telegram_pace_rest(struct telegram_pace *pace, int64_t chat_id, int64_t now_us, int wait_ms)
{
    int64_t until_us = now_us + wait_ms * US_PER_MS;
    struct map_entry *entry;
    bool others_rest = false;

    pthread_mutex_lock(&pace->lock);
    struct pace_chat *chat = find_chat(pace, chat_id, now_us);
    MAP_FOREACH (&pace->chats, entry) {
        const struct pace_chat *other = entry->value;
        others_rest = others_rest || (other != chat && other->paused_until_us > now_us);
    }
    if (chat != NULL)
        chat->paused_until_us = later(chat->paused_until_us, until_us);
    if (others_rest || chat == NULL)
        pace->bot_paused_until_us = later(pace->bot_paused_until_us, until_us);
    pthread_mutex_unlock(&pace->lock);
}
