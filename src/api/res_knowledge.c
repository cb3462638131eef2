/*
 * res_knowledge.c - documents: upload, look, read again, remove; progress as events
 */
#include "api/api_documents.h"
#include "api/api_reader.h"
#include "api/api_watch.h"

#define MAX_RANGE_BYTES (64 * 1024)

/* What they may not read is not there for whoever asks, by any of these routes. */
static enum status
find_source(struct api_call *call, struct source_id id, struct source *source_out, struct err *err)
{
    enum status st =
        source_get(call->config->knowledge, call->scope, id, call->arena, source_out, err);

    if (st == ST_OK && !api_may_read(call, source_out->audience))
        return err_set(err, ST_NOT_FOUND, "There is no such document.");
    return st;
}

/* The document of the path. */
static enum status
path_source(struct api_call *call, struct source *source_out, struct err *err)
{
    struct source_id id;
    enum status st = API_PATH_ID(call, "source_id", &id, err);

    return st == ST_OK ? find_source(call, id, source_out, err) : st;
}

/* What is for customers now need not have been before: of old versions only staff may read. 0 stays
 * 0 for staff. */
static enum status
readable_version(const struct api_call *call, const struct source *source, int64_t *version,
                 struct err *err)
{
    if (api_reader_of(call).for_staff)
        return ST_OK;
    if (source->current_version == 0 || (*version != 0 && *version != source->current_version))
        return err_set(err, ST_NOT_FOUND, "There is no such document or version.");
    *version = source->current_version;
    return ST_OK;
}

static enum status
path_ingestion(struct api_call *call, struct ingestion *ingestion_out, struct err *err)
{
    struct ingestion_id id;
    struct source source;
    enum status st = API_PATH_ID(call, "ingestion_id", &id, err);

    if (st == ST_OK)
        st = ingestion_get(call->config->knowledge, call->scope, id, call->arena, ingestion_out,
                           err);
    if (st == ST_OK)
        st = find_source(call, ingestion_out->source_id, &source, err);
    return st == ST_NOT_FOUND ? err_set(err, st, "There is no such ingestion.") : st;
}

static json_t *
source_json(const struct source *s)
{
    json_t *row = json_object();

    json_set_str(row, "id", ID_STR(s->id));
    json_set_str(row, "name", s->name);
    json_set_str(row, "kind", s->kind);
    json_set_str(row, "uri", s->uri);
    json_set(row, "parent_id",
             id_is_none(&s->parent_id.id) ? json_null() : json_from_str(ID_STR(s->parent_id)));
    json_set_str(row, "title", s->title);
    json_set_str(row, "audience", index_audience_published(s->audience));
    json_set_bool(row, "draft", index_audience_published(s->audience).len != s->audience.len);
    json_set(row, "brand_id",
             id_is_none(&s->brand_id.id) ? json_null() : json_from_str(ID_STR(s->brand_id)));
    json_set_str(row, "category", s->category);
    json_set_str(row, "tone", s->tone);
    json_set(row, "dated_at", api_time(s->dated_at_us));
    json_set_str(row, "language", s->language);
    json_set_str(row, "content_type", s->content_type);
    json_set_int(row, "current_version", s->current_version);
    json_set_int(row, "last_version", s->last_version);
    json_set_int(row, "size_bytes", s->size_bytes);
    json_set_int(row, "chunk_count", s->chunk_count);
    json_set_str(row, "status", s->status);
    json_set(row, "error", s->error.len > 0 ? json_from_str(s->error) : json_null());
    json_set(row, "note", s->note.len > 0 ? json_from_str(s->note) : json_null());
    json_set(row, "created_at", api_time(s->created_at_us));
    json_set(row, "updated_at", api_time(s->updated_at_us));
    return row;
}

static json_t *
ingestion_json(const struct ingestion *i)
{
    json_t *row = json_object();

    json_set_str(row, "id", ID_STR(i->id));
    json_set_str(row, "source_id", ID_STR(i->source_id));
    json_set_int(row, "version", i->version);
    json_set_str(row, "status", i->status);
    json_set_str(row, "stage", i->stage);
    json_set_double(row, "progress", i->progress);
    json_set_int(row, "chunk_count", i->chunk_count);
    json_set(row, "error", i->error.len > 0 ? json_from_str(i->error) : json_null());
    json_set(row, "note", i->note.len > 0 ? json_from_str(i->note) : json_null());
    json_set(row, "created_at", api_time(i->created_at_us));
    json_set(row, "updated_at", api_time(i->updated_at_us));
    return row;
}

/* --- uploading --- */

static const struct http_part *
find_part(const struct http_request *req, const char *name)
{
    const struct http_part *part;

    for (part = req->parts; part != NULL; part = part->next)
        if (str_eq_c(part->name, name))
            return part;
    return NULL;
}

static struct str
text_part(const struct http_request *req, const char *name)
{
    const struct http_part *part = find_part(req, name);

    return part == NULL ? http_request_query(req, name) : part->text;
}

const struct http_part *
api_uploaded_file(const struct api_call *call)
{
    const struct http_part *part;

    for (part = call->req->parts; part != NULL; part = part->next)
        if (part->file_path != NULL)
            return part;
    return NULL;
}

/* A draft is for staff to look at, until it is published. */
static enum status
read_kind(struct api_call *call, struct upload_spec *spec, struct err *err)
{
    struct str draft = text_part(call->req, "draft");

    if (draft.len == 0 || str_eq_c(draft, "false"))
        return ST_OK;
    if (!str_eq_c(draft, "true"))
        return err_set(err, ST_INVALID, "draft: true or false");
    spec->kind = STR(DRAFT_KIND);
    return api_check_audience(call, STR("staff"), err);
}

/* What is empty stays as it is. */
static enum status
read_labels(struct api_call *call, struct upload_spec *spec, struct err *err)
{
    struct str category = text_part(call->req, "category"), tone = text_part(call->req, "tone");
    struct str date = text_part(call->req, "dated_at"), brand = text_part(call->req, "brand_id");
    enum status st = source_date_parse(date, &spec->labels.dated_at_us, err);

    spec->labels.has_date = date.len > 0;
    spec->labels.category = category.len > 0 ? category : STR_EMPTY;
    spec->labels.tone = tone.len > 0 ? tone : STR_EMPTY;
    return st == ST_OK && brand.len > 0 ? ID_PARSE(brand, &spec->brand_id, err) : st;
}

json_t *
api_upload_json(const struct upload_result *result)
{
    json_t *body = json_object();

    json_set_str(body, "source_id", ID_STR(result->source_id));
    json_set_int(body, "version", result->version);
    json_set(body, "ingestion_id",
             id_is_none(&result->ingestion_id.id) ? json_null()
                                                  : json_from_str(ID_STR(result->ingestion_id)));
    json_set_bool(body, "created", result->created);
    json_set_bool(body, "unchanged", result->unchanged);
    return body;
}

static enum status
upload(struct api_call *call, struct err *err)
{
    const struct http_part *file = api_uploaded_file(call);
    const struct knowledge_reader reader = api_reader_of(call);
    struct upload_spec spec;
    struct upload_result result;
    enum status st;

    if (file == NULL)
        return err_set(
            err, ST_INVALID,
            "send a form with the part \"file\", or the document as the body with ?name=");
    spec = (struct upload_spec){
        .reader = &reader,
        .name = text_part(call->req, "name"),
        .uri = text_part(call->req, "uri"),
        .audience = text_part(call->req, "audience"),
        .language = text_part(call->req, "language"),
        .content_type = file->content_type,
        .file = file->file_path,
    };
    if (spec.name.len == 0)
        spec.name = file->file_name;
    if (spec.name.len == 0)
        return err_set(err, ST_INVALID, "name: what the document is called, such as prices.md");
    st = api_check_audience(call, spec.audience, err);
    if (st == ST_OK)
        st = read_kind(call, &spec, err);
    if (st == ST_OK)
        st = read_labels(call, &spec, err);
    if (st == ST_OK)
        st = knowledge_upload(call->config->knowledge, call->scope, &spec, &result, err);
    return st == ST_OK ? api_reply(call, api_upload_json(&result)) : st;
}

/* --- sources --- */

static enum status
list_sources(struct api_call *call, struct err *err)
{
    const struct knowledge_reader reader = api_reader_of(call);
    struct source_id before = {{""}};
    struct source *sources = NULL;
    struct str next = STR("");
    struct api_page page;
    size_t count = 0, i;
    json_t *data;
    enum status st = api_page_read(call, &page, err);

    if (st == ST_OK && page.cursor.len > 0)
        st = ID_PARSE(page.cursor, &before, err);
    if (st == ST_OK)
        st = source_list(call->config->knowledge, call->scope, &reader, before, page.limit + 1,
                         call->arena, &sources, &count, err);
    if (st != ST_OK)
        return st;
    data = json_array();
    for (i = 0; i < count && i < page.limit; i++)
        json_array_append_new(data, source_json(&sources[i]));
    if (count > page.limit)
        next = ID_STR(sources[page.limit - 1].id);
    return api_reply_page(call, data, next);
}

static enum status
get_source(struct api_call *call, struct err *err)
{
    struct source source;
    enum status st = path_source(call, &source, err);

    return st == ST_OK ? api_reply(call, source_json(&source)) : st;
}

struct change_body {
    struct str audience, category, tone, dated_at, brand_id;
};

/* null takes back what was said, so that the document's own label counts. The body without those
 * keys; its values are the body's. */
static json_t *
take_unsaid(const json_t *body, unsigned *unsaid_out)
{
    static const struct {
        const char *key;
        enum source_label label;
    } labels[] = {{"category", SOURCE_CATEGORY}, {"tone", SOURCE_TONE}, {"dated_at", SOURCE_DATE}};
    json_t *said = json_copy((json_t *)(uintptr_t)body);

    *unsaid_out = 0;
    for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
        if (!json_is_null(json_object_get(said, labels[i].key)))
            continue;
        *unsaid_out |= labels[i].label;
        (void)json_object_del(said, labels[i].key);
    }
    return said;
}

static enum status
change_source(struct api_call *call, struct err *err)
{
#define TEXT_FIELD(name, max)                                                                      \
    {                                                                                              \
        .key = #name, .kind = JSON_FIELD_STR, .offset = offsetof(struct change_body, name),        \
        .max_len = (max)                                                                           \
    }
    static const struct json_field fields[] = {
        TEXT_FIELD(audience, 1000), TEXT_FIELD(category, 1000), TEXT_FIELD(tone, 1000),
        TEXT_FIELD(dated_at, 40),   TEXT_FIELD(brand_id, 40),   {.key = NULL},
    };
#undef TEXT_FIELD
    struct change_body body = {.audience = STR_EMPTY};
    struct source_change change = {.audience = STR_EMPTY};
    json_auto_t *said = take_unsaid(call->body, &change.labels.unsaid);
    struct source source;
    enum status st = path_source(call, &source, err);

    if (st == ST_OK)
        st = json_read(said, fields, &body, err);
    if (st == ST_OK && body.audience.ptr != NULL && body.audience.len == 0)
        st = err_set(err, ST_INVALID, "The audience is customer, staff or staff:ROLE,ROLE.");
    if (st == ST_OK)
        st = api_check_audience(call, body.audience, err);
    if (st == ST_OK)
        st = source_date_parse(body.dated_at, &change.labels.dated_at_us, err);
    if (st == ST_OK && body.brand_id.len > 0)
        st = ID_PARSE(body.brand_id, &change.brand_id, err);
    change.audience = body.audience;
    change.has_brand = body.brand_id.ptr != NULL;
    change.labels.category = body.category;
    change.labels.tone = body.tone;
    change.labels.has_date = body.dated_at.ptr != NULL;
    if (st == ST_OK)
        st = knowledge_update(call->config->knowledge, call->scope, source.id, &change, err);
    if (st == ST_OK)
        st = find_source(call, source.id, &source, err);
    return st == ST_OK ? api_reply(call, source_json(&source)) : st;
}

static enum status
delete_source(struct api_call *call, struct err *err)
{
    struct source source;
    enum status st = path_source(call, &source, err);

    if (st == ST_OK)
        st = knowledge_delete(call->config->knowledge, call->scope, source.id, err);
    return st == ST_OK ? api_reply(call, NULL) : st;
}

static enum status
reprocess_source(struct api_call *call, struct err *err)
{
    struct ingestion_id ingestion;
    struct source source;
    json_t *body;
    enum status st = path_source(call, &source, err);

    if (st == ST_OK)
        st = knowledge_reprocess(call->config->knowledge, call->scope, source.id, &ingestion, err);
    if (st != ST_OK)
        return st;
    body = json_object();
    json_set_str(body, "ingestion_id", ID_STR(ingestion));
    return api_reply(call, body);
}

static enum status
publish_source(struct api_call *call, struct err *err)
{
    const struct knowledge_reader reader = api_reader_of(call);
    struct upload_result result;
    struct source source;
    enum status st = path_source(call, &source, err);

    if (st == ST_OK)
        st = knowledge_publish(call->config->knowledge, call->scope, &reader, source.id, &result,
                               err);
    return st == ST_OK ? api_reply(call, api_upload_json(&result)) : st;
}

static enum status
list_versions(struct api_call *call, struct err *err)
{
    struct source_version *versions = NULL;
    struct str next = STR("");
    struct api_page page;
    struct source source;
    int64_t before = 0;
    size_t count = 0, i;
    json_t *data;
    enum status st = path_source(call, &source, err);

    if (st == ST_OK)
        st = api_page_read(call, &page, err);
    if (st == ST_OK && page.cursor.len > 0 && !str_to_i64(page.cursor, &before))
        st = err_set(err, ST_INVALID, "cursor: not one of this list");
    if (st == ST_OK)
        st = source_version_list(call->config->knowledge, call->scope, source.id, before,
                                 page.limit + 1, call->arena, &versions, &count, err);
    if (st != ST_OK)
        return st;
    data = json_array();
    for (i = 0; i < count && i < page.limit; i++) {
        json_t *row;

        if (!versions[i].is_current && !api_reader_of(call).for_staff)
            continue; /* readable_version */
        row = json_object();
        json_set_int(row, "version", versions[i].version);
        json_set_str(row, "title", versions[i].title);
        json_set_str(row, "content_type", versions[i].content_type);
        json_set_str(row, "content_hash", versions[i].content_hash);
        json_set_int(row, "size_bytes", versions[i].size_bytes);
        json_set_bool(row, "is_current", versions[i].is_current);
        json_set(row, "created_at", api_time(versions[i].created_at_us));
        json_array_append_new(data, row);
    }
    if (count > page.limit)
        next = arena_printf(call->arena, "%lld", (long long)versions[page.limit - 1].version);
    return api_reply_page(call, data, next);
}

/* The passage behind a citation. */
static enum status
get_text(struct api_call *call, struct err *err)
{
    int64_t version = 0, start = 0, end = 0;
    struct source source;
    struct str text;
    json_t *body;
    enum status st = path_source(call, &source, err);

    if (st == ST_OK)
        st = api_query_number(call, "version", 0, &version, err);
    if (st == ST_OK)
        st = readable_version(call, &source, &version, err);
    if (st == ST_OK)
        st = api_query_number(call, "start", 0, &start, err);
    if (st == ST_OK)
        st = api_query_number(call, "end", start + MAX_RANGE_BYTES, &end, err);
    if (st == ST_OK && end - start > MAX_RANGE_BYTES)
        st = err_set(err, ST_TOO_LARGE, "at most %d bytes at once", MAX_RANGE_BYTES);
    if (st == ST_OK)
        st = source_text_get(call->config->knowledge, call->scope, source.id, version, start, end,
                             call->arena, &text, err);
    if (st != ST_OK)
        return st;
    body = json_object();
    json_set_str(body, "text", text);
    json_set_int(body, "start", start);
    return api_reply(call, body);
}

/* Whoever may read the document may hand it on for a while. With a place, as a citation says it,
 * the address opens the document there; without, it is the file's. */
static enum status
link_source(struct api_call *call, struct err *err)
{
    struct document_place place = {.version = 0};
    struct source source;
    struct source_link link;
    int64_t expires_at_us = 0;
    struct document_address address;
    enum status st = path_source(call, &source, err);

    if (st == ST_OK)
        st = api_query_number(call, "version", 0, &place.version, err);
    if (st == ST_OK)
        st = readable_version(call, &source, &place.version, err);
    if (st == ST_OK)
        st = api_query_number(call, "start", 0, &place.start, err);
    if (st == ST_OK)
        st = api_query_number(call, "end", 0, &place.end, err);
    if (st == ST_OK)
        st = api_query_number(call, "page", 0, &place.page, err);
    if (st == ST_OK)
        st = api_link_expiry(call, &expires_at_us, err);
    if (st != ST_OK)
        return st;
    place.source_id = source.id;
    if (place.end > 0 || place.page > 0) {
        st = api_document_url(call->config, call->scope, &place, false, expires_at_us, call->arena,
                              &address, err);
        return st == ST_OK ? api_reply_url(call, address.url, expires_at_us) : st;
    }
    st =
        source_link_make(call->config->knowledge, call->scope,
                         &(struct source_link_spec){source.id, place.version, expires_at_us, false},
                         call->arena, &link, err);
    return st == ST_OK ? api_reply_link(call, link.token, expires_at_us) : st;
}

/* --- ingestions --- */

static enum status
list_ingestions(struct api_call *call, struct err *err)
{
    struct str of = http_request_query(call->req, "source_id"), next = STR("");
    const struct knowledge_reader reader = api_reader_of(call);
    struct ingestion_id before = {{""}};
    struct source_id source = {{""}};
    struct source known;
    struct ingestion *list = NULL;
    struct api_page page;
    size_t count = 0, i;
    json_t *data;
    enum status st = api_page_read(call, &page, err);

    if (st == ST_OK && page.cursor.len > 0)
        st = ID_PARSE(page.cursor, &before, err);
    if (st == ST_OK && of.len > 0)
        st = ID_PARSE(of, &source, err);
    if (st == ST_OK && of.len > 0)
        st = find_source(call, source, &known, err);
    if (st == ST_OK)
        st = ingestion_list(call->config->knowledge, call->scope, &reader, source, before,
                            page.limit + 1, call->arena, &list, &count, err);
    if (st != ST_OK)
        return st;
    data = json_array();
    for (i = 0; i < count && i < page.limit; i++)
        json_array_append_new(data, ingestion_json(&list[i]));
    if (count > page.limit)
        next = ID_STR(list[page.limit - 1].id);
    return api_reply_page(call, data, next);
}

static enum status
get_ingestion(struct api_call *call, struct err *err)
{
    struct ingestion ingestion;
    enum status st = path_ingestion(call, &ingestion, err);

    return st == ST_OK ? api_reply(call, ingestion_json(&ingestion)) : st;
}

/* How far it is now: sent first, so that a watcher who comes late still sees the end. */
static enum status
present_state(struct api_call *call, void *arg, struct api_watch_first *first_out, struct err *err)
{
    const struct ingestion_id *id = arg;
    struct ingestion ingestion;
    json_auto_t *data = NULL;
    enum status st =
        ingestion_get(call->config->knowledge, call->scope, *id, call->arena, &ingestion, err);

    if (st != ST_OK)
        return st;
    data = ingestion_json(&ingestion);
    first_out->data = json_text(data, call->arena);
    first_out->event = str_eq_c(ingestion.status, "done")     ? STR("done")
                       : str_eq_c(ingestion.status, "failed") ? STR("failed")
                                                              : STR("progress");
    return ST_OK;
}

static enum status
watch_ingestion(struct api_call *call, struct err *err)
{
    static const char *const ends[] = {"done", "failed", NULL};
    struct ingestion ingestion;
    enum status st = path_ingestion(call, &ingestion, err); /* the topic would not tell */

    return st == ST_OK ? api_watch_topic(call, ingestion_topic(ingestion.id, call->arena),
                                         present_state, &ingestion.id, ends, "progress", err)
                       : st;
}

#define SOURCE_SCHEMA                                                                              \
    "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"name\":{\"type\":"        \
    "\"string\"},\"kind\":{\"type\":\"string\"},\"draft\":{\"type\":\"boolean\"},\"audience\":{"   \
    "\"type\":\"string\"},\"category\":{"                                                          \
    "\"type\":\"string\"},\"tone\":{"                                                              \
    "\"type\":\"string\"},\"dated_at\":{\"type\":[\"string\",\"null\"]},\"brand_id\":{\"type\":["  \
    "\"string\",\"null\"]},\"parent_id\":{\"type\":[\"string\",\"null\"]},"                        \
    "\"current_version\":{\"type\":\"integer\"},\"chunk_count\":{\"type\":\"integer\"},"           \
    "\"status\":{\"type\":\"string\"},\"error\":{\"type\":[\"string\",\"null\"]},\"note\":{"       \
    "\"type\":[\"string\",\"null\"]}}}"
#define OWN_LABEL_SCHEMA(name)                                                                     \
    "\"" name                                                                                      \
    "\":{\"type\":[\"string\",\"null\"],\"description\":\"null: as the document says itself\"}"
#define INGESTION_SCHEMA                                                                           \
    "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"status\":{\"type\":"      \
    "\"string\",\"enum\":[\"queued\",\"running\",\"done\",\"failed\"]},\"progress\":{\"type\":"    \
    "\"number\"},\"error\":{\"type\":[\"string\",\"null\"]},\"note\":{\"type\":[\"string\","       \
    "\"null\"]}}}"
#define UPLOAD_SCHEMA                                                                              \
    "{\"type\":\"object\",\"required\":[\"file\"],\"properties\":{\"file\":{\"type\":\"string\","  \
    "\"format\":\"binary\"},\"name\":{\"type\":\"string\"},\"audience\":{\"type\":\"string\"},"    \
    "\"category\":{\"type\":\"string\"},\"tone\":{\"type\":\"string\"},\"dated_at\":{\"type\":"    \
    "\"string\"},\"brand_id\":{\"type\":\"string\"},\"language\":{\"type\":\"string\"},\"uri\":{"  \
    "\"type\":"                                                                                    \
    "\"string\"},\"draft\":{\"type\":\"boolean\"}}}"

#define UPLOAD_RESULT_SCHEMA                                                                       \
    "{\"type\":\"object\",\"properties\":{\"source_id\":{\"type\":\"string\"},\"ingestion_id\":{"  \
    "\"type\":[\"string\",\"null\"]},\"version\":{\"type\":\"integer\"},\"unchanged\":{\"type\":"  \
    "\"boolean\"}}}"

const struct api_operation api_knowledge_operations[] = {
    {HTTP_POST, "/v1/tenant/upload", "knowledge.upload", "Knowledge",
     "Upload a document: a form with the part \"file\", or the document itself with ?name=",
     ACCESS_KEY, SCOPE_KNOWLEDGE_WRITE, upload, HTTP_ROUTE_UPLOAD, 0, UPLOAD_SCHEMA,
     UPLOAD_RESULT_SCHEMA,
     "name:string:What the document is called;"
     "audience:string:customer, staff or staff:ROLE,ROLE;category:string:What it is about (as it "
     "says itself);"
     "tone:string:How it speaks (as it says itself);"
     "dated_at:string:Its own date, 2026-05-01 (as it says itself);"
     "brand_id:string:Whose it is (every brand);"
     "draft:boolean:Only searches and evaluations with drafts find it, in place of the document of "
     "its name, until it is published;"
     "language:string:ISO 639-1;uri:string:Where it came from",
     202},
    {HTTP_GET, "/v1/sources", "sources.list", "Knowledge", "Documents, newest first", ACCESS_KEY,
     SCOPE_KNOWLEDGE_READ, list_sources, 0, 0, NULL, API_PAGE_SCHEMA, API_PAGE_QUERY, 200},
    {HTTP_GET, "/v1/sources/{source_id}", "sources.get", "Knowledge", "One document", ACCESS_KEY,
     SCOPE_KNOWLEDGE_READ, get_source, 0, 0, NULL, SOURCE_SCHEMA, NULL, 200},
    {HTTP_PATCH, "/v1/sources/{source_id}", "sources.change", "Knowledge",
     "Say anew who may read a document, whose it is, what it is about; nothing is read again",
     ACCESS_KEY, SCOPE_KNOWLEDGE_WRITE, change_source, 0, 0,
     "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"audience\":{\"type\":"
     "\"string\"}," OWN_LABEL_SCHEMA("category") "," OWN_LABEL_SCHEMA("tone") "," OWN_LABEL_SCHEMA(
         "dated_at") ",\"brand_id\":{\"type\":\"string\"}}}",
     SOURCE_SCHEMA, NULL, 200},
    {HTTP_DELETE, "/v1/sources/{source_id}", "sources.delete", "Knowledge",
     "Remove a document with everything made from it", ACCESS_KEY, SCOPE_KNOWLEDGE_WRITE,
     delete_source, 0, 0, NULL, NULL, NULL, 204},
    {HTTP_POST, "/v1/sources/{source_id}/reprocess", "sources.reprocess", "Knowledge",
     "Read the newest version again", ACCESS_KEY, SCOPE_KNOWLEDGE_WRITE, reprocess_source, 0, 0,
     "{\"type\":\"object\"}", "{\"type\":\"object\"}", NULL, 202},
    {HTTP_POST, "/v1/sources/{source_id}/publish", "sources.publish", "Knowledge",
     "Make a draft the next version of the document that it stands for, or a document of its own",
     ACCESS_KEY, SCOPE_KNOWLEDGE_WRITE, publish_source, 0, 0, NULL, UPLOAD_RESULT_SCHEMA, NULL,
     202},
    {HTTP_GET, "/v1/sources/{source_id}/versions", "sources.versions", "Knowledge",
     "Its versions, newest first", ACCESS_KEY, SCOPE_KNOWLEDGE_READ, list_versions, 0, 0, NULL,
     API_PAGE_SCHEMA, API_PAGE_QUERY, 200},
    {HTTP_GET, "/v1/sources/{source_id}/text", "sources.text", "Knowledge",
     "The text that a citation points to", ACCESS_KEY, SCOPE_KNOWLEDGE_READ, get_text, 0, 0, NULL,
     "{\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\"}}}",
     "version:integer:Which version (the one that is searched);start:integer:First byte;"
     "end:integer:Byte after the last",
     200},
    {HTTP_GET, "/v1/sources/{source_id}/link", "sources.link", "Knowledge",
     "An expiring link to the original file, or to where a citation's page, start and end are in "
     "it",
     ACCESS_KEY, SCOPE_KNOWLEDGE_READ, link_source, 0, 0, NULL, API_LINK_SCHEMA,
     "version:integer:Which version (the newest);page:integer:Open a PDF at this page;"
     "start:integer:Mark the text from this byte;end:integer:to this;" API_LINK_QUERY,
     200},
    {HTTP_GET, "/v1/ingestions", "ingestions.list", "Knowledge", "Reading jobs, newest first",
     ACCESS_KEY, SCOPE_KNOWLEDGE_READ, list_ingestions, 0, 0, NULL, API_PAGE_SCHEMA,
     API_PAGE_QUERY ";source_id:string:Only of this document", 200},
    {HTTP_GET, "/v1/ingestions/{ingestion_id}", "ingestions.get", "Knowledge", "One reading job",
     ACCESS_KEY, SCOPE_KNOWLEDGE_READ, get_ingestion, 0, 0, NULL, INGESTION_SCHEMA, NULL, 200},
    {HTTP_GET, "/v1/ingestions/{ingestion_id}/events", "ingestions.watch", "Knowledge",
     "Its progress as server-sent events: progress, done, failed; reset: ask again", ACCESS_KEY,
     SCOPE_KNOWLEDGE_READ, watch_ingestion, 0, 0, NULL, NULL, NULL, 200},
    {.path = NULL},
};
