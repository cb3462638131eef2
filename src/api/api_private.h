/*
 * api_private.h - what a resource's file uses; for src/api/ alone
 */
#ifndef PARLEY_API_API_PRIVATE_H
#define PARLEY_API_API_PRIVATE_H

#include "api/api.h"
#include "net/http_problem.h"
#include "text/json.h"

/* Who may call an operation. */
enum api_access {
    ACCESS_PUBLIC,  /* nobody is asked: health, OpenAPI, the widget's files */
    ACCESS_KEY,     /* an API key with the operation's scopes */
    ACCESS_VISITOR, /* a visitor's token of the web chat named in the path */
    ACCESS_PROVIDER /* the provider's signature; the gateway checks it */
};

struct api_call; /* an admitted request */

typedef enum status (*api_handler)(struct api_call *call, struct err *err);

/* One operation: everything that routes, checks, documents and tests it. */
struct api_operation {
    enum http_method method;
    const char *path;
    const char *id; /* operationId: "conversations.list" */
    const char *tag, *summary;
    enum api_access access;
    unsigned scopes; /* of ACCESS_KEY: all of them are needed */
    api_handler handler;
    unsigned route_flags; /* enum http_route_flags */
    size_t max_body_bytes;
    const char *request_schema;  /* JSON Schema text, or NULL: no body */
    const char *response_schema; /* of the 2xx answer, or NULL: not JSON */
    const char *query;           /* "limit:integer:How many ...;cursor:string:..." or NULL */
    int success;                 /* 200, 201, 202, 204 */
};

struct api_call {
    struct api *api;
    const struct api_config *config;
    struct http_request *req;
    struct http_response *resp;
    struct arena *arena;
    const struct tenant_scope *scope;     /* NULL when public */
    struct principal principal;           /* of ACCESS_KEY */
    const struct channel_record *channel; /* of ACCESS_VISITOR; released after the handler */
    struct str visitor_id;                /* of ACCESS_VISITOR */
    const json_t *body;                   /* parsed object, or NULL without request_schema */
    struct str idempotency_key;           /* kept for this call; "" when none was sent */
    struct str kept_answer;               /* kept instead of the answer that holds a secret */
    bool answered;                        /* the handler answered by itself: stream, file, HTML */
};

/* Answers 2xx (the operation's success) with the object, which is taken. */
enum status api_reply(struct api_call *call, json_t *body);
enum status api_reply_status(struct api_call *call, int status, json_t *body);
/* {id} of the path as an id. ST_NOT_FOUND when it is not one: no id of that form can exist. */
MUST_USE enum status api_path_id(struct api_call *call, const char *name, struct id_text *id_out,
                                 struct err *err);
#define API_PATH_ID(call, name, id_struct_out, err)                                                \
    api_path_id((call), (name), &(id_struct_out)->id, (err))

/* limit (1..100, default 50) and cursor of a list. */
struct api_page {
    size_t limit;
    struct str cursor; /* decoded: what api_reply_page was given, or "" */
};
MUST_USE enum status api_page_read(struct api_call *call, struct api_page *page_out,
                                   struct err *err);
/* {"data": [...], "next_cursor": "..." | null}; takes data. next empty: the last page. */
enum status api_reply_page(struct api_call *call, json_t *data, struct str next);

/* A work of one transaction of the caller's organization. */
MUST_USE enum status api_read(struct api_call *call, const char *name, store_work work, void *arg,
                              struct err *err);
MUST_USE enum status api_write(struct api_call *call, const char *name, store_work work, void *arg,
                               struct err *err);

#define API_PAGE_SCHEMA                                                                            \
    "{\"type\":\"object\",\"properties\":{\"data\":{\"type\":\"array\",\"items\":{\"type\":"       \
    "\"object\"}},\"next_cursor\":{\"type\":[\"string\",\"null\"]}}}"
#define API_PAGE_QUERY                                                                             \
    "limit:integer:How many at most, 1 to 100 (50);cursor:string:next_cursor of the page before"

/* Of a link to an object: when it expires, by ?expires_in=, 300 s unless it says more. */
MUST_USE enum status api_link_expiry(struct api_call *call, int64_t *expires_at_us_out,
                                     struct err *err);
/* A number from 0 among the query's. ST_INVALID. */
MUST_USE enum status api_query_number(const struct api_call *call, const char *name,
                                      int64_t fallback, int64_t *out, struct err *err);
enum status api_reply_url(struct api_call *call, struct str url, int64_t expires_at_us);
/* {"url", "expires_at"} of a token that blob_link_make gave. */
enum status api_reply_link(struct api_call *call, struct str token, int64_t expires_at_us);
#define API_LINK_SCHEMA                                                                            \
    "{\"type\":\"object\",\"properties\":{\"url\":{\"type\":\"string\"},\"expires_at\":{"          \
    "\"type\":\"string\"}}}"
#define API_LINK_QUERY "expires_in:integer:Seconds that it lasts (300), at most a week"

/* On upload routes: the file of a form, or the whole body; NULL: none was sent. */
const struct http_part *api_uploaded_file(const struct api_call *call);
json_t *api_upload_json(const struct upload_result *result);

/* What a persona may say. ST_INVALID. */
MUST_USE enum status api_check_persona(const json_t *persona, struct err *err);

json_t *api_time(int64_t at_us); /* RFC 3339, or null for 0 */

bool api_is_stopping(const struct api *api);
struct api_reaper *api_reaper_of(const struct api *api);
/* Threads for answers that are streamed while they are made. */
struct thread_pool *api_streamers_of(const struct api *api);

/* Every resource's operations, each ended by a row whose path is NULL. */
extern const struct api_operation api_health_operations[];
extern const struct api_operation api_organization_operations[];
extern const struct api_operation api_brand_operations[];
extern const struct api_operation api_channel_operations[];
extern const struct api_operation api_key_operations[];
extern const struct api_operation api_conversation_operations[];
extern const struct api_operation api_escalation_operations[];
extern const struct api_operation api_knowledge_operations[];
extern const struct api_operation api_blob_operations[];
extern const struct api_operation api_dead_letter_operations[];
extern const struct api_operation api_query_operations[];
extern const struct api_operation api_webchat_operations[];
extern const struct api_operation api_webhook_operations[];
extern const struct api_operation api_widget_operations[];
extern const struct api_operation api_instance_operations[];
extern const struct api_operation api_event_endpoint_operations[];
extern const struct api_operation api_contact_operations[];
extern const struct api_operation api_evaluation_operations[];
extern const struct api_operation api_site_operations[];
/* The list of these tables, ended by NULL. */
extern const struct api_operation *const api_operations[];

#endif
