/*
 * inbound_bytes.c - packing and unpacking by one table of fields
 */
#include "channel/inbound_bytes.h"

#include <string.h>

#include "text/json.h"

#define VERSION 1
#define HEAD_BYTES 12 /* version, kind, flags, delivery state, time */
#define WANTS_ANSWER 1
#define STARTS_NEW_CONVERSATION 2

static const size_t texts[] = {
    offsetof(struct inbound, external_message_id),
    offsetof(struct inbound, external_user_id),
    offsetof(struct inbound, external_chat_id),
    offsetof(struct inbound, text),
    offsetof(struct inbound, display_name),
    offsetof(struct inbound, locale),
    offsetof(struct inbound, event_kind),
    offsetof(struct inbound, external_event_id),
    offsetof(struct inbound, about_external_message_id),
    offsetof(struct inbound, raw),
    offsetof(struct inbound, new_external_chat_id),
    offsetof(struct inbound, delivery_reason),
    offsetof(struct inbound, reference),
    offsetof(struct inbound, acknowledge),
};
#define TEXTS (sizeof(texts) / sizeof(texts[0]))
/* kind, its filling, time, metadata, two flags, state: a new field has to be packed, too. */
_Static_assert(sizeof(struct inbound) == TEXTS * sizeof(struct str) + 40,
               "inbound_bytes.c does not know all fields");

static void
put_number(char **at, uint64_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        *(*at)++ = (char)(number >> (8 * i));
}

static uint64_t
take_number(struct str *from, size_t bytes)
{
    uint64_t number = 0;

    for (size_t i = 0; i < bytes; i++)
        number |= (uint64_t)(unsigned char)from->ptr[i] << (8 * i);
    *from = str_sub(*from, bytes, from->len);
    return number;
}

static void
put_text(char **at, struct str text)
{
    put_number(at, text.ptr == NULL ? 0 : text.len + 1, 4);
    if (text.ptr == NULL)
        return;
    memcpy(*at, text.ptr, text.len);
    *at += text.len;
}

static bool
take_text(struct str *from, struct str *text_out)
{
    uint64_t len;

    if (from->len < 4)
        return false;
    len = take_number(from, 4);
    *text_out = (struct str){NULL, 0};
    if (len == 0)
        return true;
    if (from->len < len - 1)
        return false;
    *text_out = str_of(from->ptr, len - 1);
    *from = str_sub(*from, len - 1, from->len);
    return true;
}

struct str
inbound_pack(const struct inbound *item, struct arena *arena)
{
    const char *base = (const char *)item;
    struct str metadata = {NULL, 0};
    size_t size = HEAD_BYTES + 4 * (TEXTS + 1);
    char *bytes, *at;

    if (item->metadata != NULL)
        metadata = json_text(item->metadata, arena);
    size += metadata.len;
    for (size_t i = 0; i < TEXTS; i++)
        size += ((const struct str *)(base + texts[i]))->len;
    at = bytes = arena_alloc(arena, size);
    put_number(&at, VERSION, 1);
    put_number(&at, item->kind, 1);
    put_number(&at,
               (item->wants_answer ? WANTS_ANSWER : 0U) |
                   (item->starts_new_conversation ? STARTS_NEW_CONVERSATION : 0U),
               1);
    put_number(&at, item->delivery_state, 1);
    put_number(&at, (uint64_t)item->timestamp_us, 8);
    for (size_t i = 0; i < TEXTS; i++)
        put_text(&at, *(const struct str *)(base + texts[i]));
    put_text(&at, metadata);
    return str_of(bytes, size);
}

enum status
inbound_unpack(struct str bytes, struct inbound *item_out, struct err *err)
{
    char *base = (char *)item_out;
    struct str metadata = {NULL, 0};
    uint64_t kind, flags, state;
    bool whole = true;

    *item_out = (struct inbound){.metadata = NULL};
    if (bytes.len < HEAD_BYTES || take_number(&bytes, 1) != VERSION)
        return err_set(err, ST_INVALID, "waiting item: not of a known version");
    kind = take_number(&bytes, 1);
    flags = take_number(&bytes, 1);
    state = take_number(&bytes, 1);
    item_out->timestamp_us = (int64_t)take_number(&bytes, 8);
    for (size_t i = 0; whole && i < TEXTS; i++)
        whole = take_text(&bytes, (struct str *)(base + texts[i]));
    whole = whole && take_text(&bytes, &metadata);
    if (!whole || bytes.len > 0 || kind > INBOUND_EVENT || state > DELIVERY_WINDOW_CLOSED)
        return err_set(err, ST_INVALID, "waiting item: damaged");
    item_out->kind = (enum inbound_kind)kind;
    item_out->delivery_state = (enum delivery_state)state;
    item_out->wants_answer = (flags & WANTS_ANSWER) != 0;
    item_out->starts_new_conversation = (flags & STARTS_NEW_CONVERSATION) != 0;
    return metadata.ptr == NULL ? ST_OK : json_parse(metadata, &item_out->metadata, err);
}
