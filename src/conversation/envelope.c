/*
 * envelope.c - writes, enriches and reads the envelope
 *
 * The gateway writes it by hand into a buffer, because it does so for every message before the
 * provider gets its answer; later steps go through jansson.
 */
#include "conversation/envelope.h"

#include "text/json.h"

#define ENVELOPE_VERSION "1.0"

static void
field(struct buf *out, const char *key, struct str value)
{
    buf_append_byte(out, '"');
    buf_append_c(out, key);
    if (value.ptr == NULL) {
        buf_append_c(out, "\":null");
        return;
    }
    buf_append_c(out, "\":\"");
    buf_append_json_escaped(out, value);
    buf_append_byte(out, '"');
}

static void
time_field(struct buf *out, const char *key, int64_t at_us)
{
    char text[32];

    field(out, key, time_format_rfc3339(at_us, text));
}

void
envelope_begin(struct buf *out, const struct envelope_origin *origin)
{
    buf_append_c(out, "{\"meta\":{");
    field(out, "request_id", origin->request_id);
    buf_append_c(out, "},\"processing\":{\"processing_timestamps\":{");
    time_field(out, "received", origin->received_us);
    buf_append_byte(out, ',');
    time_field(out, "validated", origin->validated_us);
    buf_append_byte(out, ',');
    time_field(out, "queued", origin->queued_us);
    buf_append_c(out, "}}}");
}

/* An empty text and none are the same here. */
static void
set_str_or_null(json_t *object, const char *key, struct str value)
{
    if (value.len > 0)
        json_set_str(object, key, value);
    else
        json_set(object, key, json_null());
}

static enum status
get_processing(json_t *envelope, json_t **processing_out, struct err *err)
{
    *processing_out = json_get_object(envelope, "processing");
    if (*processing_out == NULL)
        return err_set(err, ST_INVALID, "not an envelope: no object \"processing\"");
    return ST_OK;
}

enum status
envelope_stamp(json_t *envelope, const char *step, int64_t at_us, struct err *err)
{
    json_t *processing, *times;
    char text[32];
    enum status st = get_processing(envelope, &processing, err);

    if (st != ST_OK)
        return st;
    times = json_get_object(processing, "processing_timestamps");
    if (times == NULL)
        return err_set(err, ST_INVALID, "not an envelope: no object \"processing_timestamps\"");
    json_set_str(times, step, time_format_rfc3339(at_us, text));
    return ST_OK;
}

enum status
envelope_set_processing(json_t *envelope, const char *key, struct str value, struct err *err)
{
    json_t *processing;
    enum status st = get_processing(envelope, &processing, err);

    if (st == ST_OK)
        json_set_str(processing, key, value);
    return st;
}

/* The rows' parts; processing belongs to the caller. */
static json_t *
parts_of_rows(const struct envelope_rows *rows)
{
    json_t *envelope = json_object(), *conversation = json_object(), *message = json_object(),
           *company = json_object();
    char text[32];

    json_set_str(conversation, "conversation_id", rows->conversation_id);
    json_set_str(conversation, "primary_channel", rows->primary_channel);
    json_set_str(conversation, "conversation_status", rows->conversation_status);
    json_set_bool(conversation, "hand_off_to_human", rows->hand_off_to_human);
    set_str_or_null(conversation, "thread_id", rows->thread_id);
    json_set_str(message, "from", rows->from);
    json_set_str(message, "to", rows->to);
    json_set_str(message, "body", rows->body);
    json_set_str(message, "message_id", rows->message_id);
    json_set_str(message, "timestamp", time_format_rfc3339(rows->timestamp_us, text));
    json_set_str(company, "company_id", rows->company_id);
    json_set_str(company, "project_id", rows->project_id);
    json_set_str(company, "company_name", rows->company_name);
    set_str_or_null(company, "credentials_reference", rows->credentials_reference);
    json_set(envelope, "meta", json_object());
    json_set(envelope, "conversation", conversation);
    json_set(envelope, "message", message);
    json_set(envelope, "company", company);
    return envelope;
}

enum status
envelope_complete(struct str stored, const struct envelope_rows *rows, json_t **envelope_out,
                  struct err *err)
{
    json_auto_t *kept = NULL;
    json_t *envelope, *meta, *processing = NULL, *times;
    struct str request_id;
    enum status st = json_parse(stored, &kept, err);

    *envelope_out = NULL;
    if (st == ST_OK)
        st = get_processing(kept, &processing, err);
    if (st != ST_OK)
        return err_wrap(err, "stored envelope");
    request_id = json_get_str(json_get_object(kept, "meta"), "request_id");
    times = json_get_object(processing, "processing_timestamps");
    if (request_id.ptr == NULL || times == NULL)
        return err_set_detail(err, ST_INVALID, "stored envelope has lost its parts");
    envelope = parts_of_rows(rows);
    meta = json_get_object(envelope, "meta");
    json_set_str(meta, "request_id", request_id);
    json_set_str(meta, "channel_type", rows->channel_type);
    json_set_str(meta, "timestamp", json_get_str(times, "received"));
    json_set_str(meta, "version", STR(ENVELOPE_VERSION));
    json_set_str(processing, "validation_status", STR("valid"));
    set_str_or_null(processing, "ai_response", json_get_str(processing, "ai_response"));
    set_str_or_null(processing, "sent_response", json_get_str(processing, "sent_response"));
    json_set(envelope, "processing", json_incref(processing));
    *envelope_out = envelope;
    return ST_OK;
}

/* The contract's fields; '?' after a name: may be null. */
static const struct {
    const char *part, *key;
    char type; /* s string, b boolean, o object */
    bool nullable;
} contract[] = {
    {"meta", "request_id", 's', false},
    {"meta", "channel_type", 's', false},
    {"meta", "timestamp", 's', false},
    {"meta", "version", 's', false},
    {"conversation", "conversation_id", 's', false},
    {"conversation", "primary_channel", 's', false},
    {"conversation", "conversation_status", 's', false},
    {"conversation", "hand_off_to_human", 'b', false},
    {"conversation", "thread_id", 's', true},
    {"message", "from", 's', false},
    {"message", "to", 's', false},
    {"message", "body", 's', false},
    {"message", "message_id", 's', false},
    {"message", "timestamp", 's', false},
    {"company", "company_id", 's', false},
    {"company", "project_id", 's', false},
    {"company", "company_name", 's', false},
    {"company", "credentials_reference", 's', true},
    {"processing", "validation_status", 's', false},
    {"processing", "ai_response", 's', true},
    {"processing", "sent_response", 's', true},
    {"processing", "processing_timestamps", 'o', false},
};

static bool
has_type(const json_t *value, char type, bool nullable)
{
    if (value == NULL)
        return false;
    if (nullable && json_is_null(value))
        return true;
    if (type == 's')
        return json_is_string(value);
    return type == 'b' ? json_is_boolean(value) : json_is_object(value);
}

static enum status
check_times(const json_t *envelope, struct err *err)
{
    json_t *processing = json_get_object(envelope, "processing");
    json_t *times = json_get_object(processing, "processing_timestamps");
    const char *step;
    json_t *value;
    int64_t at_us;

    json_object_foreach (times, step, value) {
        struct str text = json_get_str(times, step);

        if (text.ptr == NULL || time_parse_rfc3339(text, &at_us, err) != ST_OK)
            return err_set(err, ST_INVALID, "envelope: processing_timestamps.%.40s is no time",
                           step);
    }
    return ST_OK;
}

/* A minor version adds fields, which are let through. */
static bool
version_is_known(struct str version)
{
    struct str minor = str_sub(version, 2, version.len);

    if (!str_starts_with(version, STR("1.")) || minor.len == 0 || minor.len > 4 ||
        (minor.ptr[0] == '0' && minor.len > 1))
        return false;
    for (size_t i = 0; i < minor.len; i++)
        if (minor.ptr[i] < '0' || minor.ptr[i] > '9')
            return false;
    return true;
}

enum status
envelope_parse(struct str text, json_t **envelope_out, struct err *err)
{
    json_t *envelope = NULL;
    size_t i;
    enum status st = json_parse(text, &envelope, err);

    *envelope_out = NULL;
    for (i = 0; st == ST_OK && i < sizeof(contract) / sizeof(contract[0]); i++) {
        json_t *part = json_get_object(envelope, contract[i].part);
        json_t *value = part == NULL ? NULL : json_object_get(part, contract[i].key);

        if (!has_type(value, contract[i].type, contract[i].nullable))
            st = err_set(err, ST_INVALID, "envelope: %s.%s is missing or of the wrong type",
                         contract[i].part, contract[i].key);
    }
    if (st == ST_OK &&
        !version_is_known(json_get_str(json_get_object(envelope, "meta"), "version")))
        st = err_set(err, ST_INVALID, "envelope: only versions 1.x are known");
    if (st == ST_OK)
        st = check_times(envelope, err);
    if (st != ST_OK) {
        json_decref(envelope);
        return st;
    }
    *envelope_out = envelope;
    return ST_OK;
}
