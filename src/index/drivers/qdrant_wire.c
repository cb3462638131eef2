/*
 * qdrant_wire.c - see the header
 */
#include "index/drivers/qdrant_wire.h"

#include <math.h>
#include <string.h>

#include <sodium.h>

#include "index/scan.h"

#define DENSE "dense"
#define SPARSE "bm25"
#define ERROR_MAX_BYTES 200

const struct qdrant_field qdrant_fields[] = {
    {"organization_id", "keyword", true}, {"source_id", "keyword", false},
    {"audience", "keyword", false},       {"partition", "integer", false},
    {"change", "integer", false},         {NULL, NULL, false},
};
_Static_assert(sizeof(qdrant_fields) / sizeof(qdrant_fields[0]) == QDRANT_FIELDS + 1,
               "as many as a check answers for");

/* --- what the collection is --- */

static void
set_text(json_t *object, const char *key, const char *value)
{
    json_set_str(object, key, str_from_c(value));
}

json_t *
qdrant_collection_json(const struct qdrant_shape *shape)
{
    json_t *body = json_object(), *vectors = json_object(), *sparse = json_object();
    json_t *words = json_object(), *graph = json_object();

    if (shape->dimension > 0) {
        json_t *dense = json_object();

        json_set_int(dense, "size", shape->dimension);
        set_text(dense, "distance", "Cosine");
        json_set(vectors, DENSE, dense);
    }
    json_set(body, "vectors", vectors);
    set_text(words, "modifier", "idf");
    json_set(sparse, SPARSE, words);
    json_set(body, "sparse_vectors", sparse);
    /* Many tenants in one collection: a graph within each, none over all. */
    json_set_int(graph, "m", 0);
    json_set_int(graph, "payload_m", 16);
    json_set(body, "hnsw_config", graph);
    if (shape->quantized && shape->dimension > 0) {
        json_t *quantization = json_object(), *scalar = json_object();

        set_text(scalar, "type", "int8");
        json_set_bool(scalar, "always_ram", true);
        json_set(quantization, "scalar", scalar);
        json_set(body, "quantization_config", quantization);
    }
    return body;
}

json_t *
qdrant_field_json(const struct qdrant_field *field)
{
    json_t *body = json_object(), *schema = json_object();

    set_text(schema, "type", field->type);
    if (field->is_tenant)
        json_set_bool(schema, "is_tenant", true);
    set_text(body, "field_name", field->name);
    json_set(body, "field_schema", schema);
    return body;
}

static enum status
not_understood(const char *what, struct err *err)
{
    return err_set_detail(err, ST_UNAVAILABLE, "Qdrant's answer is not understood: %s", what);
}

/* result of {"result": ..., "status": "ok"}; borrowed from *json_out. */
static enum status
read_result(struct str body, json_t **json_out, json_t **result_out, struct err *err)
{
    enum status st = json_parse(body, json_out, err);

    if (st != ST_OK)
        return not_understood("no JSON", err);
    *result_out = json_object_get(*json_out, "result");
    if (*result_out == NULL || json_is_null(*result_out) ||
        !str_eq_c(json_get_str(*json_out, "status"), "ok"))
        return not_understood("no result", err);
    return ST_OK;
}

static enum status
other_shape(const struct qdrant_shape *shape, struct err *err, const char *what)
{
    return err_set(err, ST_CONFLICT,
                   "the collection %.*s in Qdrant %s: give qdrant.collection another name, or "
                   "delete it there and run parley index rebuild",
                   STR_ARG(shape->name), what);
}

static enum status
check_vectors(const json_t *config, const struct qdrant_shape *shape, struct err *err)
{
    const json_t *params = json_get_object(config, "params");
    const json_t *dense = json_get_object(json_get_object(params, "vectors"), DENSE);
    const json_t *words = json_get_object(json_get_object(params, "sparse_vectors"), SPARSE);
    bool quantized =
        json_get_object(json_get_object(config, "quantization_config"), "scalar") != NULL;

    if (shape->dimension > 0 && dense == NULL)
        return other_shape(shape, err, "has no vectors named " DENSE);
    if (shape->dimension > 0 && json_get_int(dense, "size", 0) != shape->dimension)
        return other_shape(shape, err, "has vectors of another size than the encoder's");
    if (shape->dimension > 0 && !str_eq_c(json_get_str(dense, "distance"), "Cosine"))
        return other_shape(shape, err, "compares vectors by another distance than Cosine");
    if (words == NULL)
        return other_shape(shape, err, "has no sparse vectors named " SPARSE);
    if (!str_eq_c(json_get_str(words, "modifier"), "idf"))
        return other_shape(shape, err, "has sparse vectors without the modifier idf");
    if (shape->dimension > 0 && quantized != shape->quantized)
        return other_shape(shape, err,
                           quantized ? "keeps vectors as int8, and qdrant.quantization is none"
                                     : "keeps vectors as floats, and qdrant.quantization is int8");
    return ST_OK;
}

enum status
qdrant_read_collection(struct str body, const struct qdrant_shape *shape,
                       bool has_out[QDRANT_FIELDS], struct err *err)
{
    json_auto_t *json = NULL;
    json_t *result = NULL;
    const json_t *schema;
    enum status st = read_result(body, &json, &result, err);

    memset(has_out, 0, QDRANT_FIELDS * sizeof(*has_out));
    if (st == ST_OK && json_get_object(result, "config") == NULL)
        st = not_understood("a collection without its configuration", err);
    if (st == ST_OK)
        st = check_vectors(json_get_object(result, "config"), shape, err);
    if (st != ST_OK)
        return st;
    schema = json_get_object(result, "payload_schema");
    for (size_t i = 0; qdrant_fields[i].name != NULL; i++) {
        const struct qdrant_field *field = &qdrant_fields[i];
        const json_t *found = json_get_object(schema, field->name);

        has_out[i] = found != NULL;
        if (found == NULL)
            continue;
        if (!str_eq_c(json_get_str(found, "data_type"), field->type))
            return other_shape(shape, err, "has another kind of index of a payload field");
        if (field->is_tenant &&
            !json_get_bool(json_get_object(found, "params"), "is_tenant", false))
            return other_shape(shape, err, "does not know organization_id as its tenants");
    }
    return ST_OK;
}

static bool
take_number(struct str *text, unsigned *number_out)
{
    size_t at = 0;

    *number_out = 0;
    while (at < text->len && at < 4 && text->ptr[at] >= '0' && text->ptr[at] <= '9')
        *number_out = *number_out * 10 + (unsigned)(text->ptr[at++] - '0');
    *text = str_sub(*text, at, text->len);
    return at > 0;
}

enum status
qdrant_read_version(struct str body, unsigned *version_out, struct err *err)
{
    json_auto_t *json = NULL;
    struct str text;
    unsigned major, minor;

    if (json_parse(body, &json, err) != ST_OK)
        return not_understood("no JSON", err);
    text = json_get_str(json, "version");
    if (!take_number(&text, &major) || text.len == 0 || text.ptr[0] != '.')
        return not_understood("no version", err);
    text = str_sub(text, 1, text.len);
    if (!take_number(&text, &minor) || minor > 999)
        return not_understood("no version", err);
    *version_out = major * 1000 + minor;
    return ST_OK;
}

/* --- filters --- */

static void
must(json_t *filter, const char *key, const char *how, json_t *value)
{
    json_t *condition = json_object(), *match = json_object();

    json_set(match, how, value);
    set_text(condition, "key", key);
    json_set(condition, "match", match);
    json_array_append_new(json_get_array(filter, "must"), condition);
}

json_t *
qdrant_filter_begin(const struct tenant_scope *scope)
{
    const struct organization_id id = tenant_scope_organization(scope);
    json_t *filter = json_object();

    json_set(filter, "must", json_array());
    must(filter, "organization_id", "value", json_from_str(ID_STR(id)));
    return filter;
}

json_t *
qdrant_source_filter(const struct tenant_scope *scope, struct source_id source_id,
                     int64_t but_change)
{
    json_t *filter = qdrant_filter_begin(scope);

    must(filter, "source_id", "value", json_from_str(ID_STR(source_id)));
    if (but_change > 0) {
        json_t *except = json_array();

        json_array_append_new(except, json_integer(but_change));
        must(filter, "change", "except", except);
    }
    return filter;
}

/* What may be seen, and whose it is. */
static json_t *
search_filter(const struct tenant_scope *scope, const struct engine_search *search)
{
    json_t *filter = qdrant_filter_begin(scope), *audiences = json_array();
    json_t *partitions = json_array();

    for (size_t i = 0; i < search->audience_count; i++)
        json_array_append_new(audiences, json_from_str(search->audiences[i]));
    must(filter, "audience", "any", audiences);
    for (size_t i = 0; i < search->partition_count; i++)
        json_array_append_new(partitions, json_integer(search->partitions[i]));
    must(filter, "partition", "any", partitions);
    return filter;
}

static void
must_be_of_sources(json_t *filter, const struct engine_search *search)
{
    json_t *sources;

    if (!search->by_source)
        return;
    sources = json_array();
    for (size_t i = 0; i < search->source_count; i++)
        json_array_append_new(sources, json_from_str(search->sources[i]));
    must(filter, "source_id", "any", sources);
}

/* --- points --- */

/* UUID version 8 (RFC 9562) of a hash of organization and passage. */
static json_t *
point_id(struct str organization, int64_t chunk_id)
{
    unsigned char hash[crypto_hash_sha256_BYTES], number[8];
    char hex[33], text[37];
    crypto_hash_sha256_state state;

    for (unsigned i = 0; i < sizeof(number); i++)
        number[i] = (unsigned char)((uint64_t)chunk_id >> (8 * i));
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, (const unsigned char *)organization.ptr, organization.len);
    crypto_hash_sha256_update(&state, number, sizeof(number));
    crypto_hash_sha256_final(&state, hash);
    hash[6] = (unsigned char)((hash[6] & 0x0F) | 0x80);
    hash[8] = (unsigned char)((hash[8] & 0x3F) | 0x80);
    sodium_bin2hex(hex, sizeof(hex), hash, 16);
    for (size_t i = 0, at = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20)
            text[at++] = '-';
        text[at++] = hex[i];
    }
    return json_stringn(text, 36);
}

struct sparse_number {
    uint32_t word;
    double value;
};

static int
sparse_compare(const void *a, const void *b)
{
    const struct sparse_number *left = a, *right = b;

    return (left->word > right->word) - (left->word < right->word);
}

/* Each number once: words that come to the same one add up. */
static json_t *
sparse_json(struct sparse_number *numbers, size_t count)
{
    json_t *sparse = json_object(), *indices = json_array(), *values = json_array();

    if (count > 0)
        qsort(numbers, count, sizeof(*numbers), sparse_compare);
    for (size_t i = 0, end; i < count; i = end) {
        double sum = 0;

        for (end = i; end < count && numbers[end].word == numbers[i].word; end++)
            sum += numbers[end].value;
        json_array_append_new(indices, json_integer(numbers[i].word));
        json_array_append_new(values, json_real(sum));
    }
    json_set(sparse, "indices", indices);
    json_set(sparse, "values", values);
    return sparse;
}

static json_t *
dense_json(const float *vector, unsigned dimension)
{
    json_t *numbers = json_array();

    for (unsigned i = 0; i < dimension; i++)
        json_array_append_new(numbers, json_real((double)vector[i]));
    return numbers;
}

static enum status
words_json(const struct engine_point *point, struct arena *arena, json_t **json_out,
           struct err *err)
{
    const struct index_chunk *chunk = point->chunk;
    double norm = RANK_K1 * (1 - RANK_B + RANK_B * (double)chunk->term_count / point->mean_length);
    struct sparse_number *numbers = ARENA_NEW_N(arena, struct sparse_number, chunk->terms.len + 1);
    struct str rest = chunk->terms;
    struct chunk_term term;
    size_t count = 0;

    while (chunk_terms_next(&rest, &term))
        numbers[count++] = (struct sparse_number){
            engine_word(term.term), term.frequency * (RANK_K1 + 1) / (term.frequency + norm)};
    if (rest.len > 0)
        return err_set_detail(err, ST_INTERNAL, "damaged terms of chunk %lld",
                              (long long)chunk->chunk_id);
    *json_out = count == 0 ? NULL : sparse_json(numbers, count);
    return ST_OK;
}

static enum status
vectors_json(const struct engine_point *point, unsigned dimension, struct arena *arena,
             json_t *vectors, struct err *err)
{
    json_t *words = NULL;
    enum status st = words_json(point, arena, &words, err);

    if (words != NULL)
        json_set(vectors, SPARSE, words);
    if (st == ST_OK && dimension > 0 && point->chunk->code.len > 0) {
        float *vector = ARENA_NEW_N(arena, float, dimension);

        if (!scan_decode(point->chunk->code, dimension, vector))
            return err_set_detail(err, ST_INTERNAL, "chunk %lld has a vector of another length",
                                  (long long)point->chunk->chunk_id);
        json_set(vectors, DENSE, dense_json(vector, dimension));
    }
    return st;
}

static json_t *
payload_json(struct str organization, const struct engine_point *point, int64_t change)
{
    json_t *payload = json_object();

    json_set_str(payload, "organization_id", organization);
    json_set_str(payload, "source_id", ID_STR(point->chunk->source_id));
    json_set_str(payload, "audience", point->audience);
    json_set_int(payload, "partition", point->chunk->partition_id);
    json_set_int(payload, "chunk", point->chunk->chunk_id);
    json_set_int(payload, "change", change);
    return payload;
}

enum status
qdrant_points_json(const struct tenant_scope *scope, const struct engine_point *points,
                   size_t count, unsigned dimension, int64_t change, json_t **json_out,
                   struct err *err)
{
    const struct organization_id id = tenant_scope_organization(scope);
    struct arena *arena = arena_create((size_t)1 << 30);
    json_t *body = json_object(), *list = json_array();
    enum status st = ST_OK;

    json_set(body, "points", list);
    for (size_t i = 0; i < count && st == ST_OK; i++) {
        json_t *point = json_object(), *vectors = json_object();

        arena_reset(arena);
        st = vectors_json(&points[i], dimension, arena, vectors, err);
        json_set(point, "id", point_id(ID_STR(id), points[i].chunk->chunk_id));
        json_set(point, "vector", vectors);
        json_set(point, "payload", payload_json(ID_STR(id), &points[i], change));
        json_array_append_new(list, point);
    }
    arena_destroy(&arena);
    if (st == ST_OK)
        *json_out = body;
    else
        json_decref(body);
    return st;
}

static json_t *
question_json(const struct engine_search *search, unsigned dimension)
{
    json_t *question, *indices, *values;

    if (search->vector != NULL)
        return dense_json(search->vector, dimension);
    question = json_object();
    indices = json_array();
    values = json_array();
    for (size_t i = 0; i < search->word_count; i++) {
        json_array_append_new(indices, json_integer(search->words[i]));
        json_array_append_new(values, json_real((double)search->weights[i]));
    }
    json_set(question, "indices", indices);
    json_set(question, "values", values);
    return question;
}

json_t *
qdrant_searches_json(const struct tenant_scope *scope, const struct engine_search *searches,
                     size_t count, unsigned dimension, bool with_corpus)
{
    json_t *body = json_object(), *list = json_array();

    for (size_t i = 0; i < count; i++) {
        json_t *one = json_object(), *fields = json_array();
        json_t *filter = search_filter(scope, &searches[i]);

        json_set(one, "query", question_json(&searches[i], dimension));
        set_text(one, "using", searches[i].vector == NULL ? SPARSE : DENSE);
        if (searches[i].vector == NULL && with_corpus) {
            json_t *params = json_object(), *idf = json_object();

            json_set(idf, "corpus", json_deep_copy(filter));
            json_set(params, "idf", idf);
            json_set(one, "params", params);
        }
        must_be_of_sources(filter, &searches[i]);
        json_set(one, "filter", filter);
        json_set_int(one, "limit", (int64_t)searches[i].limit);
        json_array_append_new(fields, json_string("chunk"));
        json_set(one, "with_payload", fields);
        json_array_append_new(list, one);
    }
    json_set(body, "searches", list);
    return body;
}

/* --- answers --- */

enum status
qdrant_read_write(struct str body, struct err *err)
{
    json_auto_t *json = NULL;
    json_t *result = NULL;
    enum status st = read_result(body, &json, &result, err);

    if (st == ST_OK && !str_eq_c(json_get_str(result, "status"), "completed"))
        st = err_set_detail(err, ST_UNAVAILABLE,
                            "Qdrant took what was sent, and has not applied it in time");
    return st;
}

enum status
qdrant_read_count(struct str body, int64_t *count_out, struct err *err)
{
    json_auto_t *json = NULL;
    json_t *result = NULL;
    enum status st = read_result(body, &json, &result, err);

    *count_out = 0;
    if (st != ST_OK)
        return st;
    *count_out = json_get_int(result, "count", -1);
    return *count_out < 0 ? not_understood("no count", err) : ST_OK;
}

static enum status
read_hit(const json_t *point, struct engine_hit *hit, struct err *err)
{
    const json_t *score = json_object_get(point, "score");

    hit->chunk_id = json_get_int(json_get_object(point, "payload"), "chunk", 0);
    hit->score = json_number_value(score);
    if (!json_is_number(score) || !isfinite(hit->score) || hit->chunk_id < 1)
        return not_understood("a point without its passage or score", err);
    return ST_OK;
}

enum status
qdrant_read_hits(struct str body, const struct engine_search *searches, size_t count,
                 struct arena *arena, struct engine_hits *hits_out, struct err *err)
{
    json_auto_t *json = NULL;
    json_t *result = NULL;
    enum status st = read_result(body, &json, &result, err);

    memset(hits_out, 0, count * sizeof(*hits_out));
    if (st == ST_OK && (!json_is_array(result) || json_array_size(result) != count))
        st = not_understood("not as many lists as searches", err);
    for (size_t i = 0; i < count && st == ST_OK; i++) {
        const json_t *points = json_get_array(json_array_get(result, i), "points");
        size_t found = json_array_size(points);

        if (points == NULL || found > searches[i].limit)
            return not_understood("no list of points, or a longer one than was asked for", err);
        hits_out[i].hits = ARENA_NEW_N(arena, struct engine_hit, found + 1);
        for (size_t h = 0; h < found && st == ST_OK; h++)
            st = read_hit(json_array_get(points, h), &hits_out[i].hits[h], err);
        hits_out[i].count = st == ST_OK ? found : 0;
    }
    return st;
}

struct str
qdrant_read_error(struct str body, struct arena *arena)
{
    json_auto_t *json = NULL;
    struct err ignored;
    struct str text;

    if (json_parse(body, &json, &ignored) != ST_OK)
        return STR_EMPTY;
    text = json_get_str(json_get_object(json, "status"), "error");
    return arena_str(arena, str_sub(text, 0, str_utf8_floor(text, ERROR_MAX_BYTES)));
}
