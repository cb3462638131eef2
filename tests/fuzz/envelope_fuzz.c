/*
 * envelope_fuzz.c - an envelope out of any bytes, and any text through an envelope
 *
 * What envelope_parse accepts can be stamped and is accepted again. What envelope_begin writes for
 * any valid text can be completed and is accepted, with that text in it.
 */
#include <assert.h>
#include <stdlib.h>

#include "conversation/envelope.h"
#include "text/json.h"

#define ARENA_BYTES ((size_t)16 * 1024 * 1024)

static void
check_accepted_again(json_t *envelope, struct arena *arena)
{
    json_t *again = NULL;
    struct err err;

    if (envelope_stamp(envelope, "sent", 1, &err) != ST_OK ||
        envelope_set_processing(envelope, "sent_response", STR("said"), &err) != ST_OK ||
        envelope_parse(json_text(envelope, arena), &again, &err) != ST_OK)
        abort();
    assert(json_equal(envelope, again));
    json_decref(again);
}

static void
check_text_comes_back(struct str text, struct arena *arena)
{
    const struct envelope_origin origin = {.request_id = text};
    const struct envelope_rows rows = {.channel_type = STR("fake"),
                                       .primary_channel = STR("fake"),
                                       .conversation_id = STR("c"),
                                       .conversation_status = STR("s"),
                                       .from = text,
                                       .to = STR("account"),
                                       .body = text,
                                       .message_id = STR("m"),
                                       .company_id = STR("o"),
                                       .project_id = STR("b"),
                                       .company_name = text};
    json_t *complete = NULL, *parsed = NULL;
    struct buf out;
    struct err err;

    buf_init(&out, ARENA_BYTES);
    envelope_begin(&out, &origin);
    if (buf_check(&out, &err) != ST_OK ||
        envelope_complete(buf_str(&out), &rows, &complete, &err) != ST_OK ||
        envelope_parse(json_text(complete, arena), &parsed, &err) != ST_OK)
        abort();
    assert(str_eq(json_get_str(json_get_object(parsed, "message"), "body"), text));
    assert(str_eq(json_get_str(json_get_object(parsed, "message"), "from"), text));
    json_decref(complete);
    json_decref(parsed);
    buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str input = str_of((const char *)data, size);
    struct arena *arena = arena_create(ARENA_BYTES);
    json_t *envelope = NULL;
    struct err err = {.code = ST_OK};

    if (envelope_parse(input, &envelope, &err) == ST_OK)
        check_accepted_again(envelope, arena);
    else
        assert(envelope == NULL && err.code != ST_OK && str_is_utf8(str_from_c(err.detail)));
    json_decref(envelope);
    /* Drivers give valid text without NUL: json_read sees to it. */
    if (size > 0 && str_is_utf8(input) && str_find_byte(input, '\0') < 0)
        check_text_comes_back(input, arena);
    arena_destroy(&arena);
    return 0;
}
