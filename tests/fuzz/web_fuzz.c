/*
 * web_fuzz.c - any bytes as a web chat's POST and as a visitor's token
 *
 * Nothing but what was signed is a token. What is accepted has text within its limits, of UTF-8,
 * and the visitor that was proven, never one that the body names.
 */
#include "channel/drivers/web.h"
#include "channel/web_session.h"
#include "text/json.h"
#include "channel_fuzz_support.h"

#define ARENA_BYTES (16 * 1024 * 1024)
#define VISITOR "01900000-0000-7000-8000-000000000001"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct channel *channel;
    struct arena *arena = arena_create(ARENA_BYTES);
    struct str input = arena_str(arena, str_of((const char *)data, size));
    struct inbound_batch batch = {.arena = arena};
    struct web_session session;
    struct err err;

    if (channel == NULL)
        channel =
            fuzz_channel_open(&channel_driver_web, "", json_object(),
                              json_pack("{s:s}", "secret", "a-secret-of-the-web-channel-0001"));
    if (web_session_check(channel_record(channel), input, clock_system(), &session, &err) !=
        ST_DENIED)
        __builtin_trap();
    if (web_parse_body(channel, STR(VISITOR), input, &batch, &err) == ST_OK) {
        const struct inbound *item = &batch.items[0];

        assert(batch.count == 1 && str_eq_c(item->external_user_id, VISITOR));
        assert(str_is_utf8(item->text) && item->text.len <= 32000);
        assert((item->kind == INBOUND_MESSAGE) == (item->external_message_id.len > 0));
        assert((item->kind == INBOUND_EVENT) == (item->external_event_id.len > 0));
        assert(item->kind == INBOUND_EVENT || str_trim(item->text).len > 0);
    }
    inbound_batch_deinit(&batch);
    arena_destroy(&arena);
    return 0;
}
