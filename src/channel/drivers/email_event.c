/*
 * email_event.c - what the providers' relays say about mails that we sent through them
 *
 * Mailgun posts one event as JSON, SendGrid a list, Postmark a record with its type. Only their
 * answers "delivered", "bounced", "opened" become delivery states; the rest is kept as it came.
 */
#include "channel/drivers/email.h"

#include <string.h>

#include "text/json.h"

#define MAX_EVENTS 1000
#define REASON_MAX_BYTES 200

struct meaning {
    const char *word;
    const char *event_kind;
    enum delivery_state state;
};

static const struct meaning mailgun_meanings[] = {
    {"accepted", "delivery", DELIVERY_SENT},
    {"delivered", "delivery", DELIVERY_DELIVERED},
    {"opened", "delivery", DELIVERY_READ},
    {"rejected", "delivery", DELIVERY_FAILED},
    {"complained", "complaint", DELIVERY_NONE},
    {"unsubscribed", "unsubscribed", DELIVERY_NONE},
    {NULL, NULL, DELIVERY_NONE},
};
static const struct meaning sendgrid_meanings[] = {
    {"processed", "delivery", DELIVERY_SENT},
    {"delivered", "delivery", DELIVERY_DELIVERED},
    {"open", "delivery", DELIVERY_READ},
    {"bounce", "delivery", DELIVERY_FAILED},
    {"dropped", "delivery", DELIVERY_FAILED},
    {"deferred", "delayed", DELIVERY_NONE},
    {"spamreport", "complaint", DELIVERY_NONE},
    {"unsubscribe", "unsubscribed", DELIVERY_NONE},
    {NULL, NULL, DELIVERY_NONE},
};
static const struct meaning postmark_meanings[] = {
    {"Delivery", "delivery", DELIVERY_DELIVERED},
    {"Open", "delivery", DELIVERY_READ},
    {"Bounce", "delivery", DELIVERY_FAILED},
    {"SpamComplaint", "complaint", DELIVERY_NONE},
    {NULL, NULL, DELIVERY_NONE},
};

static struct meaning
look_up(const struct meaning *meanings, struct str word)
{
    for (; meanings->word != NULL; meanings++)
        if (str_eq_c(word, meanings->word))
            return *meanings;
    return (struct meaning){NULL, "unknown", DELIVERY_NONE};
}

struct told {
    struct meaning meaning;
    struct str id, message_id, reason;
    int64_t timestamp_us;
};

static struct str
without_brackets(struct str id)
{
    id = str_trim(id);
    if (str_starts_with(id, STR("<")) && str_ends_with(id, STR(">")))
        id = str_sub(id, 1, id.len - 2);
    return id;
}

static void
make_item(const struct email_channel *channel, const struct told *told, const json_t *raw,
          struct arena *arena, struct inbound *item)
{
    struct str message_id = without_brackets(told->message_id);

    item->kind = INBOUND_EVENT;
    item->metadata = json_object();
    item->event_kind = str_from_c(told->meaning.event_kind);
    item->delivery_state = told->meaning.state;
    item->external_event_id = arena_str(arena, told->id);
    item->raw = json_text(raw, arena);
    item->timestamp_us =
        told->timestamp_us > 0 ? told->timestamp_us : clock_wall_us(channel->base.env->clock);
    if (message_id.len <= 250)
        email_note_about(channel, message_id, item, arena);
    if (told->meaning.state == DELIVERY_FAILED)
        item->delivery_reason = email_clean(str_sub(told->reason, 0, REASON_MAX_BYTES),
                                            2 * REASON_MAX_BYTES, arena, NULL);
}

static void
read_mailgun(const json_t *root, struct told *told)
{
    const json_t *data = json_get_object(root, "event-data");
    const json_t *status = json_get_object(data, "delivery-status");
    struct str word = json_get_str(data, "event");

    told->meaning = look_up(mailgun_meanings, word);
    if (str_eq_c(word, "failed"))
        told->meaning = str_eq_c(json_get_str(data, "severity"), "permanent")
                            ? (struct meaning){"", "delivery", DELIVERY_FAILED}
                            : (struct meaning){"", "delayed", DELIVERY_NONE};
    told->id = json_get_str(data, "id");
    told->message_id =
        json_get_str(json_get_object(json_get_object(data, "message"), "headers"), "message-id");
    told->reason = json_get_str(status, "message");
    if (told->reason.len == 0)
        told->reason = json_get_str(status, "description");
    if (told->reason.len == 0)
        told->reason = json_get_str(data, "reason");
    told->timestamp_us = (int64_t)(json_number_value(json_object_get(data, "timestamp")) * 1e6);
}

static void
read_sendgrid(const json_t *event, struct told *told)
{
    told->meaning = look_up(sendgrid_meanings, json_get_str(event, "event"));
    told->id = json_get_str(event, "sg_event_id");
    told->message_id = json_get_str(event, "smtp-id");
    told->reason = json_get_str(event, "reason");
    told->timestamp_us = json_get_int(event, "timestamp", 0);
    told->timestamp_us = told->timestamp_us < INT64_MAX / US_PER_S && told->timestamp_us > 0
                             ? told->timestamp_us * US_PER_S
                             : 0;
}

/* Postmark knows mails by a number of its own, and gives back what the X-PM-Metadata- fields said.
 */
static void
read_postmark(const json_t *root, struct arena *arena, struct told *told)
{
    struct str type = json_get_str(root, "RecordType");
    struct str at = json_get_str(root, "DeliveredAt");
    struct err ignored;

    told->meaning = look_up(postmark_meanings, type);
    told->id = arena_printf(arena, "%.*s:%.*s:%lld", STR_ARG(str_sub(type, 0, 40)),
                            STR_ARG(str_sub(json_get_str(root, "MessageID"), 0, 60)),
                            (long long)json_get_int(root, "ID", 0));
    told->message_id = json_get_str(json_get_object(root, "Metadata"), "parley");
    told->reason = json_get_str(root, "Details");
    if (told->reason.len == 0)
        told->reason = json_get_str(root, "Description");
    if (at.len == 0)
        at = json_get_str(root, "BouncedAt");
    if (at.len == 0)
        at = json_get_str(root, "ReceivedAt");
    if (time_parse_rfc3339(at, &told->timestamp_us, &ignored) != ST_OK)
        told->timestamp_us = 0;
}

/* Whether the JSON is about mails that left, and not one that came. */
static bool
is_about_sent(enum email_inbound inbound, const json_t *root)
{
    if (inbound == EMAIL_MAILGUN)
        return json_get_object(root, "event-data") != NULL;
    if (inbound == EMAIL_SENDGRID)
        return json_is_array(root);
    return json_get_str(root, "RecordType").len > 0 &&
           !str_eq_c(json_get_str(root, "RecordType"), "Inbound");
}

enum status
email_event_parse(const struct email_channel *channel, struct str content_type, struct str body,
                  struct inbound_batch *batch, struct err *err)
{
    json_auto_t *root = NULL;
    size_t count;
    enum status st;

    if (!str_starts_with(content_type, STR("application/json")) &&
        channel->inbound != EMAIL_POSTMARK)
        return ST_NOT_FOUND;
    st = json_parse(body, &root, err);
    if (st != ST_OK)
        return st;
    if (!is_about_sent(channel->inbound, root))
        return ST_NOT_FOUND;
    count = json_is_array(root) ? json_array_size(root) : 1;
    if (count > MAX_EVENTS)
        return err_set(err, ST_INVALID, "more than %d events at once", MAX_EVENTS);
    batch->items = ARENA_NEW_N(batch->arena, struct inbound, count + 1);
    for (size_t i = 0; i < count; i++) {
        const json_t *event = json_is_array(root) ? json_array_get(root, i) : root;
        struct told told = {.timestamp_us = 0};

        if (channel->inbound == EMAIL_MAILGUN)
            read_mailgun(event, &told);
        else if (channel->inbound == EMAIL_SENDGRID)
            read_sendgrid(event, &told);
        else
            read_postmark(event, batch->arena, &told);
        if (told.id.len == 0)
            return err_set(err, ST_INVALID, "an event has no id");
        make_item(channel, &told, event, batch->arena, &batch->items[batch->count++]);
    }
    return ST_OK;
}
