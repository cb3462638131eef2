/*
 * knowledge.c - opening, the job's payload, telling types apart
 */
#include "knowledge/knowledge_private.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/thread.h"
#include "text/json.h"

#define DEFAULT_MAX_DOCUMENT_BYTES ((size_t)16 * 1024 * 1024)

enum status
knowledge_open(const struct knowledge_config *config, struct knowledge **knowledge_out,
               struct err *err)
{
    struct extractor_config extractor = {.path = config->extractor_path};
    struct knowledge *knowledge = calloc(1, sizeof(*knowledge));
    enum status st;

    *knowledge_out = NULL;
    if (knowledge == NULL)
        abort();
    knowledge->store = config->store;
    knowledge->queue = config->queue;
    knowledge->blobs = config->blobs;
    knowledge->live = config->live;
    knowledge->clock = config->clock;
    knowledge->embedder = config->embedder;
    knowledge->max_document_bytes =
        config->max_document_bytes ? config->max_document_bytes : DEFAULT_MAX_DOCUMENT_BYTES;
    extractor.max_input_bytes = knowledge->max_document_bytes;
    extractor.max_output_bytes = 2 * knowledge->max_document_bytes + 65536;
    pthread_mutex_init(&knowledge->lock, NULL);
    cond_init(&knowledge->changed);
    st = extractor_open(&extractor, &knowledge->extractor, err);
    if (st != ST_OK) {
        knowledge_close(&knowledge);
        return st;
    }
    *knowledge_out = knowledge;
    return ST_OK;
}

void
knowledge_close(struct knowledge **knowledge)
{
    if (*knowledge == NULL)
        return;
    extractor_close(&(*knowledge)->extractor);
    pthread_cond_destroy(&(*knowledge)->changed);
    pthread_mutex_destroy(&(*knowledge)->lock);
    free(*knowledge);
    *knowledge = NULL;
}

enum status
knowledge_check(struct knowledge *knowledge, struct err *err)
{
    struct arena *arena = arena_create((size_t)1024 * 1024);
    struct extracted extracted;
    enum status st = extractor_run(knowledge->extractor, STR("text/markdown"),
                                   STR("# Title\n\nWords.\n"), arena, &extracted, err);

    if (st == ST_OK && (extracted.block_count != 2 || !str_eq(extracted.title, STR("Title"))))
        st = err_set_detail(err, ST_INTERNAL, "parley-extract reads Markdown wrongly");
    arena_destroy(&arena);
    if (st == ST_OK)
        return ST_OK;
    err_wrap(err, "try %s", extractor_path(knowledge->extractor));
    err->code = ST_UNAVAILABLE;
    return err->code;
}

void
knowledge_tell_finished(struct knowledge *knowledge)
{
    pthread_mutex_lock(&knowledge->lock);
    knowledge->finished++;
    pthread_cond_broadcast(&knowledge->changed);
    pthread_mutex_unlock(&knowledge->lock);
}

/* --- payload --- */

struct str
ingest_payload_format(const struct ingest_payload *payload, struct arena *arena)
{
    json_auto_t *json = json_object();

    json_set_str(json, "ingestion_id", ID_STR(payload->ingestion_id));
    json_set_str(json, "source_id", ID_STR(payload->source_id));
    json_set_int(json, "version", payload->version);
    if (payload->audience.len > 0)
        json_set_str(json, "audience", payload->audience);
    if (payload->instead_of.len > 0)
        json_set_str(json, "instead_of", payload->instead_of);
    return json_text(json, arena);
}

enum status
ingest_payload_parse(struct str text, struct arena *arena, struct ingest_payload *payload_out,
                     struct err *err)
{
    json_auto_t *json = NULL;
    struct ingest_payload payload = {.version = 0};
    enum status st = json_parse(text, &json, err);

    if (st == ST_OK)
        st = ID_PARSE(json_get_str(json, "ingestion_id"), &payload.ingestion_id, err);
    if (st == ST_OK)
        st = ID_PARSE(json_get_str(json, "source_id"), &payload.source_id, err);
    payload.version = json_get_int(json, "version", 0);
    if (st != ST_OK || payload.version <= 0)
        return err_set_detail(err, ST_INTERNAL, "a job of ingestion without its ids");
    payload.audience = arena_str(arena, json_get_str(json, "audience"));
    payload.instead_of = arena_str(arena, json_get_str(json, "instead_of"));
    *payload_out = payload;
    return ST_OK;
}

/* --- types --- */

static const struct {
    const char *extension, *content_type;
} extensions[] = {
    {".md", "text/markdown"},
    {".markdown", "text/markdown"},
    {".mdown", "text/markdown"},
    {".html", "text/html"},
    {".htm", "text/html"},
    {".xhtml", "application/xhtml+xml"},
    {".txt", "text/plain"},
    {".text", "text/plain"},
    {".csv", "text/csv"},
    {".tsv", "text/tab-separated-values"},
    {".json", "application/json"},
    {".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {".pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
    {".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    {".odt", "application/vnd.oasis.opendocument.text"},
    {".pdf", "application/pdf"},
};

static bool
ends_with_nocase(struct str name, struct str extension)
{
    return name.len > extension.len &&
           str_eq_nocase(str_sub(name, name.len - extension.len, extension.len), extension);
}

/* Whether the name has an extension at all ("notes v1.2 final" has none worth the name). */
static bool
has_other_extension(struct str name)
{
    for (size_t i = name.len; i > 0 && name.len - i < 6; i--) {
        char c = name.ptr[i - 1];

        if (c == '.')
            return i < name.len && i > 1;
        if (!((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && !(c >= '0' && c <= '9'))
            return false;
    }
    return false;
}

static bool
looks_like_html(struct str content)
{
    static const char *const beginnings[] = {"<!doctype html", "<html", "<head", "<body"};
    struct str head = str_trim(str_sub(content, 0, 1024));

    if (str_starts_with(head, STR("\xef\xbb\xbf")))
        head = str_trim(str_sub(head, 3, head.len));
    for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
        size_t len = strlen(beginnings[i]);

        if (head.len >= len && strncasecmp(head.ptr, beginnings[i], len) == 0)
            return true;
    }
    return false;
}

const char *
knowledge_guess_type(struct str name, struct str content)
{
    for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
        if (ends_with_nocase(name, str_from_c(extensions[i].extension)))
            return extensions[i].content_type;
    }
    if (looks_like_html(content))
        return "text/html";
    if (str_starts_with(content, STR("%PDF-")))
        return "application/pdf";
    if (has_other_extension(name))
        return "application/octet-stream";
    if (str_starts_with(content, STR("---\n")) || str_starts_with(content, STR("# ")) ||
        str_starts_with(content, STR("---\r\n")))
        return "text/markdown";
    if (content.len > 0 && memchr(content.ptr, '\0', content.len) == NULL)
        return "text/plain";
    if (str_starts_with(content, STR("\xff\xfe")) || str_starts_with(content, STR("\xfe\xff")))
        return "text/plain";
    return "application/octet-stream";
}
