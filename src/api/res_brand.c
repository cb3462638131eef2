/*
 * res_brand.c - the brand's name and persona, and how its documents are cut into passages; a brand
 * pack, which brings them with its documents
 */
#include "api/api_private.h"
#include "api/api_reader.h"
#include "knowledge/content_type.h"

struct brand_change {
    struct arena *arena;
    struct knowledge *knowledge;
    struct brand brand;
    int64_t documents_left; /* that are not cut as the brand's passages say */
    struct str name;
    json_t *persona;  /* NULL: unchanged */
    json_t *passages; /* NULL: unchanged */
    struct passage_settings settings;
};

static enum status
read_brand(struct store_tx *tx, void *arg, struct err *err)
{
    struct brand_change *c = arg;
    enum status st = brand_get(tx, (struct brand_id){{""}}, c->arena, &c->brand, err);

    return st == ST_OK ? knowledge_count_uncut(c->knowledge, tx, &c->documents_left, err) : st;
}

static enum status
write_brand(struct store_tx *tx, void *arg, struct err *err)
{
    struct brand_change *c = arg;
    enum status st = read_brand(tx, c, err);

    if (st != ST_OK)
        return st;
    if (c->name.ptr != NULL)
        c->brand.name = c->name;
    if (c->persona != NULL)
        c->brand.persona = json_text(c->persona, c->arena);
    if (c->passages != NULL)
        c->brand.passages = c->settings;
    st = brand_update(tx, &c->brand, err);
    return st == ST_OK && c->passages != NULL
               ? knowledge_cut_anew(c->knowledge, tx, &c->documents_left, err)
               : st;
}

static json_t *
setting_json(int64_t setting)
{
    return setting == PASSAGES_AS_SERVER ? json_null() : json_integer(setting);
}

static enum status
brand_json(const struct brand_change *c, json_t **json_out, struct err *err)
{
    const struct brand *brand = &c->brand;
    json_t *persona = NULL, *passages;
    enum status st = json_parse(brand->persona, &persona, err);

    if (st != ST_OK)
        return err_wrap(err, "stored persona");
    *json_out = json_object();
    json_set_str(*json_out, "id", ID_STR(brand->id));
    json_set_str(*json_out, "name", brand->name);
    json_set(*json_out, "persona", persona);
    passages = json_object();
    json_set(passages, "words", setting_json(brand->passages.words));
    json_set(passages, "overlap", setting_json(brand->passages.overlap));
    json_set(*json_out, "passages", passages);
    json_set_int(*json_out, "documents_left", c->documents_left);
    return ST_OK;
}

static enum status
reply_brand(struct api_call *call, const struct brand_change *c, struct err *err)
{
    json_t *body = NULL;
    enum status st = brand_json(c, &body, err);

    return st == ST_OK ? api_reply(call, body) : st;
}

static enum status
get_brand(struct api_call *call, struct err *err)
{
    struct brand_change c = {.arena = call->arena, .knowledge = call->config->knowledge};
    enum status st = api_read(call, "brand_get", read_brand, &c, err);

    return st == ST_OK ? reply_brand(call, &c, err) : st;
}

/* What a persona may say; the orchestrator reads it. */
struct persona_fields {
    struct str text;
    double number;
    json_t *list;
    bool flag;
};

static enum status
check_synonyms(const json_t *list, struct err *err)
{
    enum status st = ST_OK;
    const json_t *group;
    size_t i;

    if (json_array_size(list) > INDEX_SYNONYMS_GROUPS)
        return err_set(err, ST_INVALID, "persona.synonyms: at most %d groups",
                       INDEX_SYNONYMS_GROUPS);
    json_array_foreach (list, i, group) {
        if (!json_is_string(group))
            return err_set(err, ST_INVALID,
                           "persona.synonyms: a list of lines, \"pram, stroller\"");
        if (st == ST_OK)
            st = index_synonyms_check(str_of(json_string_value(group), json_string_length(group)),
                                      err);
    }
    return st;
}

enum status
api_check_persona(const json_t *persona, struct err *err)
{
    static const struct json_field fields[] = {
        {.key = "name",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct persona_fields, text),
         .max_len = 200},
        {.key = "organization",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct persona_fields, text),
         .max_len = 200},
        {.key = "voice",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct persona_fields, text),
         .max_len = 2000},
        {.key = "language",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct persona_fields, text),
         .max_len = 16},
        {.key = "greeting",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct persona_fields, text),
         .max_len = 1000},
        {.key = "instructions",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct persona_fields, text),
         .max_len = 8000},
        {.key = "model",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct persona_fields, text),
         .max_len = 32},
        {.key = "min_confidence",
         .kind = JSON_FIELD_DOUBLE,
         .offset = offsetof(struct persona_fields, number)},
        {.key = "rerank", .kind = JSON_FIELD_BOOL, .offset = offsetof(struct persona_fields, flag)},
        {.key = "synonyms",
         .kind = JSON_FIELD_ARRAY,
         .offset = offsetof(struct persona_fields, list)},
        {.key = NULL},
    };
    struct persona_fields read = {.number = 0};
    struct str model = json_get_str(persona, "model");
    enum status st = json_read(persona, fields, &read, err);

    if (st != ST_OK)
        return st;
    if (model.ptr != NULL && !str_eq_c(model, "default") && !str_eq_c(model, "extractive"))
        return err_set(err, ST_INVALID, "persona.model: \"default\" or \"extractive\"");
    if (read.number < 0 || read.number > 1)
        return err_set(err, ST_INVALID, "persona.min_confidence: a number from 0 to 1");
    return check_synonyms(read.list, err);
}

/* null: as the server is set to, as if it were not said. */
static enum status
read_setting(const json_t *passages, const char *key, int64_t *setting_out, struct err *err)
{
    const json_t *value = json_object_get(passages, key);

    *setting_out = PASSAGES_AS_SERVER;
    if (value == NULL || json_is_null(value))
        return ST_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return err_set(err, ST_INVALID, "passages.%s: a number of words, or null", key);
    *setting_out = json_integer_value(value);
    return ST_OK;
}

static enum status
read_passages(const json_t *passages, struct passage_settings *settings_out, struct err *err)
{
    json_t *value;
    const char *key;
    enum status st = ST_OK;

    json_object_foreach ((json_t *)(uintptr_t)passages, key, value)
        if (strcmp(key, "words") != 0 && strcmp(key, "overlap") != 0)
            return err_set(err, ST_INVALID, "passages: words and overlap");
    st = read_setting(passages, "words", &settings_out->words, err);
    if (st == ST_OK)
        st = read_setting(passages, "overlap", &settings_out->overlap, err);
    return st == ST_OK ? passage_settings_check(settings_out, err) : st;
}

static enum status
put_brand(struct api_call *call, struct err *err)
{
    static const struct json_field fields[] = {
        {.key = "name",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct brand_change, name),
         .max_len = 200},
        {.key = "persona",
         .kind = JSON_FIELD_OBJECT,
         .offset = offsetof(struct brand_change, persona)},
        {.key = "passages",
         .kind = JSON_FIELD_OBJECT,
         .offset = offsetof(struct brand_change, passages)},
        {.key = NULL},
    };
    struct brand_change c = {.arena = call->arena, .knowledge = call->config->knowledge};
    enum status st = json_read(call->body, fields, &c, err);

    if (st == ST_OK && c.persona != NULL)
        st = api_check_persona(c.persona, err);
    if (st == ST_OK && c.passages != NULL)
        st = read_passages(c.passages, &c.settings, err);
    if (st == ST_OK)
        st = api_write(call, "brand_update", write_brand, &c, err);
    return st == ST_OK ? reply_brand(call, &c, err) : st;
}

/* --- a brand pack --- */

/* Always the same, so that the next pack replaces this one. */
#define PACK_NAME "Brand pack"

struct manifest {
    struct brand_change change;
    struct str audience, category, tone, language;
};

#define TEXT_FIELD(name, max)                                                                      \
    {                                                                                              \
        .key = #name, .kind = JSON_FIELD_STR, .offset = offsetof(struct manifest, name),           \
        .max_len = (max)                                                                           \
    }

static enum status
read_manifest(struct api_call *call, const json_t *json, struct manifest *manifest, struct err *err)
{
    static const struct json_field fields[] = {
        {.key = "name",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct manifest, change.name),
         .max_len = 200},
        {.key = "persona",
         .kind = JSON_FIELD_OBJECT,
         .offset = offsetof(struct manifest, change.persona)},
        {.key = "passages",
         .kind = JSON_FIELD_OBJECT,
         .offset = offsetof(struct manifest, change.passages)},
        TEXT_FIELD(audience, 400),
        TEXT_FIELD(category, 200),
        TEXT_FIELD(tone, 200),
        TEXT_FIELD(language, 16),
        {.key = NULL},
    };
    enum status st = json_read(json, fields, manifest, err);

    if (st == ST_OK && manifest->change.persona != NULL)
        st = api_check_persona(manifest->change.persona, err);
    if (st == ST_OK && manifest->change.passages != NULL)
        st = read_passages(manifest->change.passages, &manifest->change.settings, err);
    if (st == ST_OK)
        st = api_check_audience(call, manifest->audience, err);
    return st;
}

/* Its name tells what kind of archive it is; without one, whoever sends it does. */
static struct str
type_of_pack(struct api_call *call, const struct http_part *file)
{
    struct str name =
        file->file_name.len > 0 ? file->file_name : http_request_query(call->req, "name");
    struct str type = str_from_c(content_type_guess(name, STR("")));

    return content_type_is_container(type) ? type : file->content_type;
}

/* What is in the archive is taken first: a pack that is refused there has changed nothing. */
static enum status
take_pack(struct api_call *call, const struct http_part *file, struct manifest *manifest,
          struct upload_result *result, struct err *err)
{
    const struct knowledge_reader reader = api_reader_of(call);
    const struct upload_spec spec = {
        .reader = &reader,
        .name = STR(PACK_NAME),
        .kind = STR("pack"),
        .audience = manifest->audience,
        .language = manifest->language,
        .labels = {.category = manifest->category, .tone = manifest->tone},
        .content_type = type_of_pack(call, file),
        .file = file->file_path,
    };
    enum status st = knowledge_upload(call->config->knowledge, call->scope, &spec, result, err);

    manifest->change.arena = call->arena;
    manifest->change.knowledge = call->config->knowledge;
    return st == ST_OK ? api_write(call, "brand_update", write_brand, &manifest->change, err) : st;
}

static enum status
reply_pack(struct api_call *call, const struct manifest *manifest,
           const struct upload_result *result, struct err *err)
{
    json_t *brand = NULL, *body;
    enum status st = brand_json(&manifest->change, &brand, err);

    if (st != ST_OK)
        return st;
    body = api_upload_json(result);
    json_set(body, "brand", brand);
    return api_reply(call, body);
}

static enum status
put_pack(struct api_call *call, struct err *err)
{
    const struct http_part *file = api_uploaded_file(call);
    struct manifest manifest = {.audience = STR_EMPTY};
    struct upload_result result;
    struct str text;
    json_t *json = NULL;
    enum status st;

    if (file == NULL)
        return err_set(err, ST_INVALID,
                       "send a form with the part \"file\", or the archive as the body");
    st = pack_manifest_read(call->config->knowledge, type_of_pack(call, file), file->file_path,
                            call->arena, &text, err);
    if (st == ST_OK && (json_parse(text, &json, err) != ST_OK || !json_is_object(json)))
        st = err_set(err, ST_INVALID, PACK_MANIFEST " is not a JSON object.");
    if (st == ST_OK)
        st = read_manifest(call, json, &manifest, err);
    if (st == ST_OK)
        st = take_pack(call, file, &manifest, &result, err);
    if (st == ST_OK)
        st = reply_pack(call, &manifest, &result, err);
    json_decref(json);
    return st;
}

#define PASSAGES_SCHEMA                                                                            \
    "\"passages\":{\"type\":\"object\",\"additionalProperties\":false,\"description\":\"How "      \
    "documents are cut into passages; null: as the server is set to\",\"properties\":{\"words\":{" \
    "\"type\":[\"integer\",\"null\"],\"minimum\":80,\"maximum\":400,\"description\":\"About how "  \
    "many words a passage has\"},\"overlap\":{\"type\":[\"integer\",\"null\"],\"minimum\":0,"      \
    "\"maximum\":100,\"description\":\"How many words of the passage before it may repeat, at "    \
    "most "                                                                                        \
    "half of words\"}}}"
#define BRAND_SCHEMA                                                                               \
    "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"name\":{\"type\":"        \
    "\"string\"},\"persona\":{\"type\":\"object\"}," PASSAGES_SCHEMA                               \
    ",\"documents_left\":{\"type\":\"integer\",\"description\":\"Searched documents that are cut " \
    "otherwise than passages say\"}}}"

const struct api_operation api_brand_operations[] = {
    {HTTP_GET, "/v1/brand", "brand.get", "Organization",
     "Name and persona of the brand, and how its documents are cut into passages", ACCESS_KEY,
     SCOPE_ADMIN, get_brand, 0, 0, NULL, BRAND_SCHEMA, NULL, 200},
    {HTTP_PUT, "/v1/brand", "brand.update", "Organization",
     "Change name, persona or passages; other passages have the documents cut anew in the "
     "background",
     ACCESS_KEY, SCOPE_ADMIN, put_brand, 0, 0,
     "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"name\":{\"type\":"
     "\"string\"},\"persona\":{\"type\":\"object\"}," PASSAGES_SCHEMA "}}",
     BRAND_SCHEMA, NULL, 200},
    {HTTP_POST, "/v1/brand/pack", "brand.pack", "Organization",
     "A brand pack: an archive of documents with brand.json, which has name, persona and passages",
     ACCESS_KEY, SCOPE_ADMIN | SCOPE_KNOWLEDGE_WRITE, put_pack, HTTP_ROUTE_UPLOAD, 0,
     "{\"type\":\"object\",\"required\":[\"file\"],\"properties\":{\"file\":{\"type\":"
     "\"string\",\"format\":\"binary\"}}}",
     "{\"type\":\"object\",\"properties\":{\"brand\":{\"type\":\"object\"},\"source_id\":{\"type\":"
     "\"string\"},\"ingestion_id\":{\"type\":[\"string\",\"null\"]},\"version\":{\"type\":"
     "\"integer\"},\"unchanged\":{\"type\":\"boolean\"}}}",
     "name:string:Of the archive, when it is the body: pack.zip", 202},
    {.path = NULL},
};
