/*
 * upload.c - a document comes in, is read again, or goes
 *
 * Who may read a document changes at two moments. Made narrower (customer to staff, or to a
 * role's), it counts at once: what is searched of it is taken out in the upload's own commit. Made
 * wider, it counts when the new version is searched: the old one's words were not written for
 * customers.
 */
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/failpoint.h"
#include "index/index.h"
#include "knowledge/content_type.h"
#include "knowledge/knowledge_private.h"
#include "knowledge/knowledge_sql.h"
#include "knowledge/site_sql.h"

#define HASH_TEXT_BYTES (2 * crypto_hash_sha256_BYTES + 1)
#define URI_MAX_BYTES 2000
/* A document we cannot read fails the same way each time; only our own faults are tried again. */
#define INGEST_MAX_ATTEMPTS 5
#define UPLOAD_TRIES 16

struct upload_work {
    struct knowledge *knowledge;
    struct upload_spec spec; /* complete: defaults filled in */
    struct str charset;      /* that the type named; "": none, or UTF-8 */
    struct arena *arena;     /* of one upload */
    char hash[HASH_TEXT_BYTES];
    /* Planned before the transaction, which refuses when it finds something else. */
    struct source_id source_id;
    int64_t version;
    bool is_new;
    struct str object; /* its key; empty: none was put, the bytes are the newest already */

    /* Set by the transaction. */
    bool is_stale; /* the plan was overtaken */
    bool uses_object;
    struct upload_result result;
};

/* The source as the transaction found it; texts in the transaction's arena. */
struct found_source {
    struct source_id id;
    struct str audience, language;
    int64_t current_version, last_version;
    bool same_bytes;   /* as its newest version */
    bool must_be_read; /* that failed, or what was made of it was taken out */
};

/* --- checking --- */

static enum status
check_name(struct str name, struct err *err)
{
    if (str_trim(name).len == 0)
        return err_set(err, ST_INVALID, "A document needs a name.");
    if (name.len > KNOWLEDGE_NAME_MAX_BYTES)
        return err_set(err, ST_INVALID, "The document's name is longer than %d bytes.",
                       KNOWLEDGE_NAME_MAX_BYTES);
    if (!str_is_utf8(name))
        return err_set(err, ST_INVALID, "The document's name is not UTF-8.");
    for (size_t i = 0; i < name.len; i++) {
        if ((unsigned char)name.ptr[i] < 0x20 || name.ptr[i] == 0x7f)
            return err_set(err, ST_INVALID, "The document's name holds control characters.");
    }
    return ST_OK;
}

enum status
language_check(struct str code, struct err *err)
{
    bool is_code = code.len == 0 || code.len == 2 || code.len == 3;

    for (size_t i = 0; is_code && i < code.len; i++)
        is_code = code.ptr[i] >= 'a' && code.ptr[i] <= 'z';
    return is_code ? ST_OK : err_set(err, ST_INVALID, "The language is a code such as \"en\".");
}

static bool
is_draft(const struct upload_spec *spec)
{
    return str_eq(spec->kind, STR(DRAFT_KIND));
}

/* A member has what holds it has. */
static enum status
check_audience(struct upload_spec *spec, struct arena *arena, struct err *err)
{
    if (str_eq(spec->kind, STR("member")))
        return ST_OK;
    if (index_audience_parse(spec->audience, arena, &spec->audience, err) != ST_OK)
        return ST_INVALID;
    if (is_draft(spec))
        spec->audience = index_audience_of_draft(spec->audience, arena);
    return ST_OK;
}

static enum status
check_spec(const struct knowledge *knowledge, struct upload_spec *spec, struct arena *arena,
           struct err *err)
{
    enum status st = check_name(spec->name, err);

    if (st != ST_OK)
        return st;
    if (spec->kind.len == 0)
        spec->kind = STR("upload");
    if (!str_eq(spec->kind, STR("upload")) && !str_eq(spec->kind, STR("folder")) &&
        !str_eq(spec->kind, STR("url")) && !str_eq(spec->kind, STR("member")) &&
        !str_eq(spec->kind, STR(PACK_KIND)) && !is_draft(spec))
        return err_set(err, ST_INVALID,
                       "A source is an upload, a folder, a url, a member, a pack or a draft.");
    if (spec->audience.len != 0)
        st = check_audience(spec, arena, err);
    if (st == ST_OK)
        st = label_check("category", spec->labels.category, err);
    if (st == ST_OK)
        st = label_check("tone", spec->labels.tone, err);
    if (st == ST_OK)
        st = language_check(spec->language, err);
    if (st != ST_OK)
        return st;
    if (spec->uri.len > URI_MAX_BYTES || !str_is_utf8(spec->uri) ||
        (spec->uri.len > 0 && memchr(spec->uri.ptr, '\0', spec->uri.len) != NULL))
        return err_set(err, ST_INVALID, "The document's address cannot be one.");
    if (spec->uri.ptr == NULL)
        spec->uri = STR("");
    if (spec->content.len == 0 && spec->failure.len == 0)
        return err_set(err, ST_INVALID, "The document is empty.");
    if (spec->content.len > knowledge->max_document_bytes)
        return err_set(err, ST_TOO_LARGE, "The document is larger than %zu MB.",
                       knowledge->max_document_bytes >> 20);
    spec->content_type = content_type_essence(spec->content_type);
    if (spec->content_type.len == 0 ||
        str_eq_nocase(spec->content_type, STR("application/octet-stream")))
        spec->content_type = str_from_c(content_type_guess(spec->name, spec->content));
    if (spec->content_type.len > 100 || !str_is_utf8(spec->content_type) ||
        memchr(spec->content_type.ptr, '\0', spec->content_type.len) != NULL)
        return err_set(err, ST_INVALID, "The content type cannot be one.");
    return ST_OK;
}

enum status
document_file_read(const char *path, size_t max_bytes, struct buf *content, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat stat;
    char piece[65536];
    ssize_t n = 0;

    if (fd < 0 || fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode)) {
        if (fd >= 0)
            close(fd);
        return err_set(err, ST_NOT_FOUND, "There is no such file that can be read.");
    }
    /* One byte too many is kept, so that check_spec sees that it is too large. */
    while (content->len <= max_bytes && (n = read(fd, piece, sizeof(piece))) > 0)
        buf_append(content, str_of(piece, (size_t)n));
    close(fd);
    if (n < 0)
        return err_set(err, ST_NOT_FOUND, "The file could not be read.");
    return ST_OK;
}

static void
hash_text(struct str content, char text_out[HASH_TEXT_BYTES])
{
    unsigned char hash[crypto_hash_sha256_BYTES];

    crypto_hash_sha256(hash, (const unsigned char *)content.ptr, content.len);
    sodium_bin2hex(text_out, HASH_TEXT_BYTES, hash, sizeof(hash));
}

/* --- the transaction --- */

enum status
passages_changed(struct knowledge *knowledge, struct store_tx *tx, struct err *err)
{
    return knowledge->engine == NULL ? ST_OK : index_sync_queue(knowledge->queue, tx, err);
}

enum status
passages_delete(struct store_tx *tx, struct source_id id, struct err *err)
{
    enum status st = index_delete(tx, id, 0, err);

    if (st == ST_OK)
        st = store_exec(tx, &SQL_CHUNK_DELETE_ALL, ARGS(sv_id(id)), NULL, err);
    return st;
}

enum status
brand_check(struct store_tx *tx, struct brand_id id, struct err *err)
{
    struct brand brand;

    if (id_is_none(&id.id))
        return ST_OK;
    return brand_get(tx, id, store_tx_arena(tx), &brand, err);
}

/* With all that is made of it. */
static enum status
unsearch(struct store_tx *tx, struct source_id id, struct str audience, int64_t now_us,
         struct err *err)
{
    enum status st = passages_delete(tx, id, err);

    if (st == ST_OK)
        st = store_exec(tx, &SQL_SOURCE_SEARCHED,
                        ARGS(sv_id(id), sv_int(0), sv_text(audience), sv_int(now_us)), NULL, err);
    return st;
}

/* What lies within a document is for no wider audience than the document. */
static enum status
unsearch_members(struct store_tx *tx, struct source_id id, struct str audience, int64_t now_us,
                 struct err *err)
{
    struct member *members;
    size_t count;
    enum status st = member_list(tx, id, store_tx_arena(tx), &members, &count, err);

    for (size_t i = 0; st == ST_OK && i < count; i++)
        st = unsearch(tx, members[i].id, audience, now_us, err);
    return st;
}

static enum status
insert_ingestion(struct knowledge *knowledge, struct store_tx *tx,
                 const struct ingest_payload *payload, struct err *err)
{
    return store_exec(tx, &SQL_INGESTION_INSERT,
                      ARGS(sv_id(payload->ingestion_id), sv_id(payload->source_id),
                           sv_int(payload->version), sv_int(clock_wall_us(knowledge->clock))),
                      NULL, err);
}

static enum status
queue_ingestion(struct knowledge *knowledge, struct store_tx *tx,
                const struct ingest_payload *payload, struct err *err)
{
    struct job_spec job = {
        .topic = QUEUE_TOPIC_INGEST,
        .lane = ID_STR(payload->source_id),
        .payload = ingest_payload_format(payload, store_tx_arena(tx)),
        .max_attempts = INGEST_MAX_ATTEMPTS,
    };
    struct job_id job_id;
    enum status st = insert_ingestion(knowledge, tx, payload, err);

    if (st == ST_OK)
        st = queue_put(knowledge->queue, tx, &job, &job_id, err);
    return st;
}

/* A member of which there is nothing to read. */
static enum status
insert_failed(struct knowledge *knowledge, struct store_tx *tx,
              const struct ingest_payload *payload, struct str sentence, struct err *err)
{
    enum status st = insert_ingestion(knowledge, tx, payload, err);

    return st == ST_OK ? ingestion_fail(knowledge, tx, payload, sentence, err) : st;
}

static enum status
insert_version(struct upload_work *work, struct store_tx *tx, int64_t version, struct err *err)
{
    const struct upload_spec *spec = &work->spec;

    work->uses_object = true;
    return store_exec(tx, &SQL_VERSION_INSERT,
                      ARGS(sv_id(work->result.source_id), sv_int(version),
                           sv_text(spec->content_type), sv_text(str_from_c(work->hash)),
                           sv_int((int64_t)spec->content.len), sv_blob(STR("")),
                           sv_text(work->object), sv_int(clock_wall_us(work->knowledge->clock)),
                           sv_text(work->charset)),
                      NULL, err);
}

static enum status
reader_may_replace(const struct upload_spec *spec, struct str audience, struct err *err)
{
    return spec->reader == NULL ||
                   index_audience_may_read(audience, spec->reader->for_staff, spec->reader->roles)
               ? ST_OK
               : err_set(err, ST_CONFLICT, "The name is that of a document out of your reach.");
}

/* What a draft is to replace must be in the reader's reach, whatever the draft says of itself; a
 * new one that says nothing is for the same people. audience_out: of a new source. */
static enum status
check_target(const struct upload_spec *spec, struct store_tx *tx, struct str *audience_out,
             struct err *err)
{
    struct draft_target target;
    enum status st;

    *audience_out = spec->audience.len > 0 ? spec->audience : STR("customer");
    if (!is_draft(spec))
        return ST_OK;
    st = draft_target_find(tx, spec->brand_id, spec->name, &target, err);
    if (st != ST_OK)
        return st;
    if (spec->audience.len == 0)
        *audience_out = index_audience_of_draft(target.audience, store_tx_arena(tx));
    return reader_may_replace(spec, target.audience, err);
}

static enum status
insert_source(struct upload_work *work, struct store_tx *tx, struct str audience, struct err *err)
{
    const struct upload_spec *spec = &work->spec;
    struct upload_result *result = &work->result;

    *result = (struct upload_result){.source_id = work->source_id, .version = 1, .created = true};
    return store_exec(tx, &SQL_SOURCE_INSERT,
                      ARGS(sv_id(result->source_id), sv_id(spec->brand_id), sv_text(spec->name),
                           sv_text(spec->kind), sv_text(spec->uri), sv_text(audience),
                           sv_text(spec->language.len > 0 ? spec->language : STR("")),
                           sv_int(clock_wall_us(work->knowledge->clock)), sv_id(spec->parent_id)),
                      NULL, err);
}

static enum status
compare_newest(struct upload_work *work, struct store_tx *tx, struct found_source *found,
               struct err *err)
{
    struct store_rows *rows;
    enum status st = store_query_one(
        tx, &SQL_VERSION_HASH, ARGS(sv_id(found->id), sv_int(found->last_version)), &rows, err);

    if (st != ST_OK)
        return st;
    found->same_bytes = str_eq_c(store_col_text(rows, 0), work->hash) &&
                        str_eq(store_col_text(rows, 1), work->spec.content_type) &&
                        str_eq_nocase(store_col_text(rows, 2), work->charset);
    st = store_rows_close(&rows, err);
    if (st == ST_OK)
        st = store_query_one(tx, &SQL_INGESTION_NEWEST, ARGS(sv_id(found->id)), &rows, err);
    if (st != ST_OK)
        return st;
    found->must_be_read =
        str_eq(store_col_text(rows, 0), STR("failed")) ||
        (str_eq(store_col_text(rows, 0), STR("done")) && found->current_version == 0);
    return store_rows_close(&rows, err);
}

static enum status
find_source(struct upload_work *work, struct store_tx *tx, struct found_source *found,
            struct err *err)
{
    struct arena *arena = store_tx_arena(tx);
    const struct upload_spec *spec = &work->spec;
    struct str brand = id_is_none(&spec->brand_id.id) ? STR("") : ID_STR(spec->brand_id);
    struct store_rows *rows;
    enum status st = store_query_one(
        tx, &SQL_SOURCE_FIND_BY_NAME,
        ARGS(sv_text(brand), sv_text(spec->kind), sv_text(spec->name),
             sv_text(id_is_none(&spec->parent_id.id) ? STR("") : ID_STR(spec->parent_id))),
        &rows, err);

    if (st != ST_OK)
        return st;
    *found = (struct found_source){
        .id = STORE_COL_ID(rows, 0, source_id),
        .audience = arena_str(arena, store_col_text(rows, 1)),
        .language = arena_str(arena, store_col_text(rows, 2)),
        .current_version = store_col_int(rows, 3),
        .last_version = store_col_int(rows, 4),
    };
    st = store_rows_close(&rows, err);
    if (st == ST_OK)
        st = reader_may_replace(spec, found->audience, err);
    return st == ST_OK ? compare_newest(work, tx, found, err) : st;
}

/* A known source: its next version, or its newest one again, or nothing. */
static enum status
update_source(struct upload_work *work, struct store_tx *tx, const struct found_source *found,
              struct ingest_payload *payload, struct err *err)
{
    const struct upload_spec *spec = &work->spec;
    struct upload_result *result = &work->result;
    int64_t now_us = clock_wall_us(work->knowledge->clock);
    struct str audience = spec->audience.len > 0 ? spec->audience : found->audience;
    struct str language = spec->language.len > 0 ? spec->language : found->language;
    bool audience_changed = !str_eq(audience, found->audience);
    bool narrower = !index_audience_includes(audience, found->audience);
    enum status st = ST_OK;

    *result = (struct upload_result){.source_id = found->id, .unchanged = found->same_bytes};
    result->version = found->last_version + !found->same_bytes;
    if (!found->same_bytes)
        st = insert_version(work, tx, result->version, err);
    if (st == ST_OK && narrower && found->current_version > 0)
        st = unsearch(tx, found->id, audience, now_us, err);
    if (st == ST_OK && narrower)
        st = unsearch_members(tx, found->id, audience, now_us, err);
    if (st == ST_OK && narrower)
        st = passages_changed(work->knowledge, tx, err);
    if (audience_changed && !narrower && found->current_version > 0) {
        payload->audience = audience;
        payload->instead_of = audience = found->audience;
    }
    if (st == ST_OK)
        st = store_exec(tx, &SQL_SOURCE_UPDATE,
                        ARGS(sv_id(found->id), sv_text(spec->uri), sv_text(audience),
                             sv_text(language), sv_int(result->version), sv_int(now_us)),
                        NULL, err);
    if (found->same_bytes && !found->must_be_read && !audience_changed &&
        str_eq(language, found->language))
        return st;
    payload->ingestion_id = ID_NEW(ingestion_id);
    return st;
}

/* The object's key names source and version: what is found must be what was planned. */
static bool
is_overtaken(const struct upload_work *work, enum status found_status,
             const struct found_source *found)
{
    if (found_status == ST_NOT_FOUND)
        return !work->is_new || work->object.len == 0;
    if (found_status != ST_OK || found->same_bytes)
        return false;
    return work->is_new || work->object.len == 0 || !id_eq(&found->id.id, &work->source_id.id) ||
           found->last_version + 1 != work->version;
}

/* What holds it is there still, for whom and whose it was when the members were taken from it. */
static enum status
check_parent(struct store_tx *tx, const struct upload_spec *spec, struct err *err)
{
    struct store_rows *rows;
    struct brand_id brand;
    bool same;
    enum status st;

    if (id_is_none(&spec->parent_id.id))
        return ST_OK;
    st = store_query_one(tx, &SQL_SOURCE_FIND, ARGS(sv_id(spec->parent_id)), &rows, err);
    if (st != ST_OK)
        return st;
    brand = STORE_COL_ID(rows, 0, brand_id);
    same = id_eq(&brand.id, &spec->brand_id.id) &&
           str_eq(store_col_text(rows, 1), spec->parent_audience);
    st = store_rows_close(&rows, err);
    if (st == ST_OK && !same)
        return err_set(err, ST_BUSY, "What holds the document was changed at the same moment.");
    return st;
}

static enum status
take_upload(struct upload_work *work, struct store_tx *tx, struct err *err)
{
    struct ingest_payload payload = {.version = 0};
    struct found_source found = {.last_version = 0};
    struct str audience;
    enum status st = brand_check(tx, work->spec.brand_id, err);

    if (st == ST_OK)
        st = check_parent(tx, &work->spec, err);
    if (st != ST_OK)
        return st;
    st = check_target(&work->spec, tx, &audience, err);
    if (st != ST_OK)
        return st;
    st = find_source(work, tx, &found, err);
    if (is_overtaken(work, st, &found)) {
        work->is_stale = true;
        return err_set(err, ST_CONFLICT, "The document was changed at the same moment.");
    }
    if (st == ST_NOT_FOUND) {
        st = insert_source(work, tx, audience, err);
        if (st == ST_OK)
            st = insert_version(work, tx, 1, err);
        payload.ingestion_id = ID_NEW(ingestion_id);
    } else if (st == ST_OK) {
        st = update_source(work, tx, &found, &payload, err);
    }
    if (st == ST_OK)
        st = labels_write(work->knowledge, tx, work->result.source_id, &work->spec.labels, err);
    if (st != ST_OK || id_is_none(&payload.ingestion_id.id))
        return st;
    payload.source_id = work->result.source_id;
    payload.version = work->result.version;
    work->result.ingestion_id = payload.ingestion_id;
    return work->spec.failure.len > 0
               ? insert_failed(work->knowledge, tx, &payload, work->spec.failure, err)
               : queue_ingestion(work->knowledge, tx, &payload, err);
}

static enum status
upload_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct upload_work *work = arg;
    const struct draft_publishing *publishing = work->spec.publishing;
    enum status st = ST_OK;

    work->is_stale = work->uses_object = false;
    if (publishing != NULL)
        st = draft_publishing_check(tx, publishing, err);
    if (st == ST_OK)
        st = take_upload(work, tx, err);
    return st == ST_OK && publishing != NULL
               ? source_delete_in_tx(work->knowledge, tx, publishing->draft.id, err)
               : st;
}

/* --- before and after it --- */

static enum status
plan_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct upload_work *work = arg;
    struct found_source found = {.last_version = 0};
    enum status st = brand_check(tx, work->spec.brand_id, err);

    if (st != ST_OK)
        return st;
    st = find_source(work, tx, &found, err);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    work->is_new = st == ST_NOT_FOUND;
    work->source_id = work->is_new ? ID_NEW(source_id) : found.id;
    work->version = found.last_version + 1;
    work->object = STR_EMPTY;
    if (work->is_new || !found.same_bytes)
        work->object = original_new_key(work->source_id, work->version, work->arena);
    return ST_OK;
}

/* The object first: whoever finds the row finds the bytes. An object that came to nothing goes
 * again, unless the row may be there; what stays then, or when we die, is knowledge_upkeep's. */
static enum status
upload_once(struct upload_work *work, const struct tenant_scope *scope, struct err *err)
{
    struct knowledge *knowledge = work->knowledge;
    struct blob_put_spec object = {.content_type = work->spec.content_type,
                                   .sha256 = str_from_c(work->hash),
                                   .if_absent = true};
    struct err ignored;
    enum status st = store_read(knowledge->store, scope, "knowledge_plan", plan_in_tx, work, err);

    if (st != ST_OK)
        return st;
    object.key = work->object;
    if (object.key.len > 0)
        st = blob_put_bytes(knowledge->blobs, scope, &object, work->spec.content, NULL, err);
    if (st != ST_OK)
        return st;
    FAILPOINT("ingest.original_put");
    st = store_run(knowledge->store, scope, "knowledge_upload", STORE_DURABLE, upload_in_tx, work,
                   err);
    if (object.key.len > 0 && st != ST_UNCERTAIN && (st != ST_OK || !work->uses_object))
        (void)!blob_delete(knowledge->blobs, scope, object.key, &ignored);
    return st;
}

static enum status
upload_checked(struct upload_work *work, const struct tenant_scope *scope, struct err *err)
{
    enum status st = ST_CONFLICT;

    work->is_stale = true;
    for (int i = 0; i < UPLOAD_TRIES && st == ST_CONFLICT && work->is_stale; i++) {
        work->is_stale = false;
        st = upload_once(work, scope, err);
    }
    if (st == ST_CONFLICT && work->is_stale)
        st = err_set(err, ST_BUSY, "The document is being changed by others: try again.");
    return st;
}

enum status
knowledge_upload(struct knowledge *knowledge, const struct tenant_scope *scope,
                 const struct upload_spec *spec, struct upload_result *result_out, struct err *err)
{
    struct upload_work work = {
        .knowledge = knowledge, .spec = *spec, .charset = content_type_charset(spec->content_type)};
    struct buf content;
    enum status st = ST_OK;

    if (work.charset.len == 0)
        work.charset = STR(""); /* never NULL in a row */
    work.arena = arena_create((size_t)65536);
    buf_init(&content, knowledge->max_document_bytes + 2 * (size_t)65536);
    if (spec->content.ptr == NULL && spec->file != NULL) {
        st = document_file_read(spec->file, knowledge->max_document_bytes, &content, err);
        work.spec.content = buf_str(&content);
    }
    if (st == ST_OK)
        st = check_spec(knowledge, &work.spec, work.arena, err);
    if (st == ST_OK) {
        hash_text(work.spec.content, work.hash);
        st = upload_checked(&work, scope, err);
    }
    buf_deinit(&content);
    arena_destroy(&work.arena);
    if (st == ST_OK)
        *result_out = work.result;
    return st;
}

/* --- again, and away --- */

struct source_work {
    struct knowledge *knowledge;
    struct source_id id;
    struct ingestion_id ingestion_id;
};

static enum status
reprocess_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct source_work *work = arg;
    struct ingest_payload payload = {.source_id = work->id};
    struct store_rows *rows;
    enum status st = store_query_one(tx, &SQL_SOURCE_FIND, ARGS(sv_id(work->id)), &rows, err);

    if (st != ST_OK)
        return st;
    payload.version = store_col_int(rows, 4);
    st = store_rows_close(&rows, err);
    if (st != ST_OK)
        return st;
    payload.ingestion_id = work->ingestion_id = ID_NEW(ingestion_id);
    return queue_ingestion(work->knowledge, tx, &payload, err);
}

enum status
knowledge_reprocess(struct knowledge *knowledge, const struct tenant_scope *scope,
                    struct source_id id, struct ingestion_id *ingestion_id_out, struct err *err)
{
    struct source_work work = {.knowledge = knowledge, .id = id};
    enum status st = store_run(knowledge->store, scope, "knowledge_reprocess", STORE_DURABLE,
                               reprocess_in_tx, &work, err);

    if (st == ST_OK)
        *ingestion_id_out = work.ingestion_id;
    return st;
}

static enum status
delete_one(struct knowledge *knowledge, struct store_tx *tx, struct source_id id, struct err *err)
{
    int64_t deleted = 0;
    enum status st = passages_delete(tx, id, err);

    if (st == ST_OK)
        st = store_exec(tx, &SQL_INGESTION_DELETE_ALL, ARGS(sv_id(id)), NULL, err);
    if (st == ST_OK)
        st = store_exec(tx, &SQL_VERSION_DELETE_ALL, ARGS(sv_id(id)), NULL, err);
    if (st == ST_OK)
        st = store_exec(tx, &SQL_SOURCE_DELETE, ARGS(sv_id(id)), &deleted, err);
    if (st == ST_OK && deleted == 0)
        return err_set(err, ST_NOT_FOUND, "There is no such document.");
    return st == ST_OK ? originals_queue_removal(knowledge, tx, id, err) : st;
}

enum status
source_delete_in_tx(struct knowledge *knowledge, struct store_tx *tx, struct source_id id,
                    struct err *err)
{
    struct member *members;
    size_t count;
    enum status st = member_list(tx, id, store_tx_arena(tx), &members, &count, err);

    for (size_t i = 0; st == ST_OK && i < count; i++)
        st = delete_one(knowledge, tx, members[i].id, err);
    if (st == ST_OK)
        st = delete_one(knowledge, tx, id, err);
    if (st == ST_OK)
        st = store_exec(tx, &SQL_SITE_PAGE_DELETE_ALL, ARGS(sv_id(id)), NULL, err);
    if (st == ST_OK)
        st = store_exec(tx, &SQL_SITE_DELETE, ARGS(sv_id(id)), NULL, err);
    return st == ST_OK ? passages_changed(knowledge, tx, err) : st;
}

static enum status
delete_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    const struct source_work *work = arg;

    return source_delete_in_tx(work->knowledge, tx, work->id, err);
}

enum status
knowledge_delete(struct knowledge *knowledge, const struct tenant_scope *scope, struct source_id id,
                 struct err *err)
{
    struct source_work work = {.knowledge = knowledge, .id = id};

    return store_run(knowledge->store, scope, "knowledge_delete", STORE_DURABLE, delete_in_tx,
                     &work, err);
}
