/*
 * teams_fuzz.c - any bytes as an activity, a bearer token, a key set, an answer of the connector or
 * of the login, as an id, as text to send
 *
 * What is accepted must be whole: a message has its ids, an event its kind, text is UTF-8; no
 * address but one of the listed hosts becomes the place where an answer and its token go.
 */
#include "channel/drivers/teams.h"
#include "channel/openid_token.h"
#include "text/json.h"
#include "text/text.h"
#include "channel_fuzz_support.h"

#define ARENA_BYTES (64 * 1024 * 1024)

static bool
leads_to_microsoft(struct str chat)
{
    struct str rest = chat, url, host;

    if (!str_split(&rest, '|', &url) || !str_starts_with(url, STR("https://")))
        return false;
    url = str_sub(url, 8, url.len);
    (void)str_split(&url, '/', &host);
    return str_eq_nocase(host, STR("smba.trafficmanager.net")) ||
           str_eq_nocase(str_sub(host, host.len < 14 ? 0 : host.len - 14, 14),
                         STR(".microsoft.com")) ||
           str_eq_nocase(str_sub(host, host.len < 13 ? 0 : host.len - 13, 13),
                         STR(".microsoft.us")) ||
           str_eq_nocase(str_sub(host, host.len < 17 ? 0 : host.len - 17, 17),
                         STR(".botframework.com")) ||
           str_eq_nocase(str_sub(host, host.len < 22 ? 0 : host.len - 22, 22),
                         STR(".botframework.azure.us"));
}

static void
check_item(const struct inbound *item)
{
    assert(leads_to_microsoft(item->external_chat_id));
}

static void
check_answers(struct str input, struct arena *arena)
{
    struct str token = STR_EMPTY;
    int64_t lasts_us = 0;
    json_t *answer;
    struct err err;

    if (teams_sort_answer(input.len % 2 == 0 ? 200 : 403, input, -1, &answer, &err) != ST_OK)
        assert(answer == NULL && err.retry_after_ms >= 0);
    json_decref(answer);
    if (teams_sort_token(200, input, -1, arena, &token, &lasts_us, &err) == ST_OK)
        assert(token.len > 0 && lasts_us > 0 && str_find_byte(token, '\n') < 0);
}

static void
check_tokens(struct str input, struct arena *arena)
{
    struct openid_token token;
    struct openid_keys *keys;
    struct str issuer, uri;
    struct err err;

    if (openid_token_read(input, arena, &token, &err) == ST_OK)
        assert(json_is_object(token.claims) && token.kid.len > 0 && token.signature.len > 0);
    else
        assert(token.claims == NULL);
    json_decref(token.claims);
    if (openid_keys_read(input, STR("issuer"), &keys, &err) == ST_OK)
        assert(keys->count > 0 && keys->keys[0].modulus.len >= 256);
    openid_keys_unref(&keys);
    if (openid_metadata_read(input, arena, &issuer, &uri, &err) == ST_OK)
        assert(issuer.len > 0 && uri.len > 0);
}

static void
check_ids(struct channel *channel, struct str input)
{
    struct str conversation, activity;
    struct teams_chat chat;
    struct err err;

    if (teams_chat_parse(channel->record->settings, input, &chat, &err) == ST_OK)
        assert(leads_to_microsoft(input) && chat.conversation_id.len > 0);
    if (teams_message_parse(input, &conversation, &activity))
        assert(conversation.len > 0 && activity.len > 0 && str_find_byte(activity, '|') < 0);
    (void)teams_url_is_of_service(channel->record->settings, input);
    (void)teams_service_host_is_valid(input);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct channel *channel;
    struct arena *arena = arena_create(ARENA_BYTES);
    struct str input = arena_str(arena, str_of((const char *)data, size)), *parts;

    if (channel == NULL)
        channel = fuzz_channel_open(&channel_driver_teams, "11111111", json_object(),
                                    json_pack("{s:s, s:s}", "app_id",
                                              "11111111-2222-4333-8444-555555555555",
                                              "app_password", "pass-word-1"));
    fuzz_parse(channel, input, arena, check_item);
    check_answers(input, arena);
    check_tokens(input, arena);
    check_ids(channel, input);
    if (str_is_utf8(input)) {
        size_t count = channel_split(channel, input, arena, &parts);

        for (size_t i = 0; i < count && count > 1; i++)
            assert(text_utf16_len(parts[i]) <= TEAMS_TEXT_MAX_UNITS);
    }
    arena_destroy(&arena);
    return 0;
}
