/*
 * id.h - UUIDv7 in text, one struct type per kind of id
 *
 * Ids are made by id_new: RFC 9562 version 7, 48 bits of milliseconds, then a 12-bit counter and 62
 * random bits; within a process they never go backwards, also when the clock does. Being structs,
 * passing a message_id where a job_id belongs does not compile. Threads: any.
 */
#ifndef PARLEY_BASE_ID_H
#define PARLEY_BASE_ID_H

#include "base/err.h"
#include "base/str.h"

#define ID_TEXT_LEN 36

struct id_text {
    char text[ID_TEXT_LEN + 1]; /* "" means none */
};

#define ID_TYPE(kind)                                                                              \
    struct kind {                                                                                  \
        struct id_text id;                                                                         \
    }

ID_TYPE(organization_id);
ID_TYPE(user_id);
ID_TYPE(brand_id);
ID_TYPE(channel_id);
ID_TYPE(api_key_id);
ID_TYPE(contact_id);
ID_TYPE(identity_id);
ID_TYPE(conversation_id);
ID_TYPE(message_id);
ID_TYPE(job_id);
ID_TYPE(escalation_id);
ID_TYPE(source_id);
ID_TYPE(ingestion_id);
ID_TYPE(event_endpoint_id);
ID_TYPE(event_id);
ID_TYPE(evaluation_set_id);
ID_TYPE(evaluation_id);

struct id_text id_new(void);
/* Milliseconds since 1970 that the id carries. */
int64_t id_time_ms(const struct id_text *id);
/* ST_INVALID unless s is a lower-case UUID in its 36-character form. */
MUST_USE enum status id_parse(struct str s, struct id_text *id_out, struct err *err);
struct str id_str(const struct id_text *id); /* borrows from the id */
bool id_eq(const struct id_text *a, const struct id_text *b);
bool id_is_none(const struct id_text *id);

/* ID_STR(conversation.id): the view of any id struct. */
#define ID_STR(id_struct) id_str(&(id_struct).id)
/* ID_NEW(message_id): a fresh id of that type. */
#define ID_NEW(kind) ((struct kind){id_new()})
/* ID_PARSE(str, &conversation_id, err) */
#define ID_PARSE(s, id_struct_out, err) id_parse((s), &(id_struct_out)->id, (err))

/* 16 lower-case hexadecimal digits of randomness: trace and span ids. out holds 17 (33) bytes. */
void id_span(char out[17]);
void id_trace(char out[33]);
/* Fills with bytes of the system's random source. */
void random_bytes(void *out, size_t len);
/* 0 <= result < bound, uniform. */
uint32_t random_below(uint32_t bound);

#endif
