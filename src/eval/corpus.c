/*
 * corpus.c - documents of a labelled set, a passage each, with their vectors
 */
#include "eval/corpus.h"

#include "eval/eval_sql.h"
#include "text/text.h"

#define DOCUMENTS_A_WORK 50
#define EMBED_MS 600000
#define WORK_BYTES ((size_t)256 << 20)

struct put_work {
    struct index_entry entries[DOCUMENTS_A_WORK];
    size_t count;
};

static enum status
put_entries(struct store_tx *tx, void *arg, struct err *err)
{
    const struct put_work *work = arg;
    enum status st = ST_OK;

    for (size_t i = 0; i < work->count && st == ST_OK; i++) {
        const struct index_entry *entry = &work->entries[i];

        st = store_exec(tx, &SQL_EVAL_CHUNK_INSERT,
                        ARGS(sv_int(entry->chunk_id), sv_id(entry->source_id),
                             sv_int(entry->chunk_id), sv_text(entry->text),
                             sv_int((int64_t)entry->text.len), sv_text(entry->language)),
                        NULL, err);
    }
    return st == ST_OK ? index_put(tx, work->entries, work->count, err) : st;
}

/* Some sets have documents without words: they have no vector to speak of, and none that is
 * missing. */
static enum status
embed_entries(const struct eval_corpus *corpus, struct put_work *work, struct arena *arena,
              struct err *err)
{
    unsigned dimension;
    struct str texts[DOCUMENTS_A_WORK];
    float *values;
    enum status st;

    if (corpus->embedder == NULL)
        return ST_OK;
    dimension = embed_dimension(corpus->embedder);
    values = ARENA_NEW_N(arena, float, work->count *dimension);
    for (size_t i = 0; i < work->count; i++) {
        const struct index_entry *entry = &work->entries[i];

        texts[i] = index_vector_text(entry->title, entry->heading_path, entry->text, arena);
        if (str_trim(texts[i]).len == 0)
            texts[i] = STR("nothing");
    }
    st = embed_texts(corpus->embedder, texts, work->count, EMBED_MS, values, err);
    for (size_t i = 0; i < work->count; i++)
        work->entries[i].vector = (struct index_vector){embed_version(corpus->embedder), dimension,
                                                        values + i * dimension};
    return st;
}

static enum status
put_some(const struct eval_corpus *corpus, const struct beir_set *set, size_t first, size_t count,
         struct eval_asker *asker, struct arena *arena, struct err *err)
{
    struct put_work *work = ARENA_NEW(arena, struct put_work);
    enum status st = ST_OK;

    work->count = count;
    for (size_t i = 0; i < count && st == ST_OK; i++) {
        const struct beir_document *document = &set->documents[first + i];
        struct source_id id = ID_NEW(source_id);
        struct str language = text_language(document->text);

        work->entries[i] = (struct index_entry){
            .chunk_id = (int64_t)(first + i) + 1,
            .source_id = id,
            .version = 1,
            .audience = STR("customer"),
            .language = language.len == 0 ? STR("en") : language,
            .title = document->title,
            .text = document->text.ptr == NULL ? STR("") : document->text,
        };
        st = eval_asker_name(asker, id, document->id, err);
    }
    if (st == ST_OK)
        st = embed_entries(corpus, work, arena, err);
    return st == ST_OK ? store_run(corpus->store, corpus->scope, "eval_corpus_put", STORE_RELAXED,
                                   put_entries, work, err)
                       : st;
}

enum status
eval_corpus_put(const struct eval_corpus *corpus, const struct beir_set *set,
                struct eval_asker *asker, struct err *err)
{
    struct arena *arena = arena_create(WORK_BYTES);
    enum status st = ST_OK;

    for (size_t at = 0; at < set->document_count && st == ST_OK; at += DOCUMENTS_A_WORK) {
        size_t left = set->document_count - at;

        arena_reset(arena);
        st = put_some(corpus, set, at, left < DOCUMENTS_A_WORK ? left : DOCUMENTS_A_WORK, asker,
                      arena, err);
        if (corpus->on_progress != NULL)
            corpus->on_progress(at, set->document_count, corpus->context);
    }
    arena_destroy(&arena);
    return st == ST_OK ? ST_OK : err_wrap(err, "put the set's documents");
}
