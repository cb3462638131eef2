/*
 * beir.c - reading labelled retrieval sets
 */
#include "eval/beir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"

#define BEIR_MAX_BYTES ((size_t)4 << 30)
#define BEIR_MAX_DOCUMENTS 10000000

static enum status
open_file(const char *folder, const char *name, FILE **file_out, struct err *err)
{
    char path[4096];

    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
        return err_set(err, ST_INVALID, "the path is too long");
    *file_out = fopen(path, "r");
    if (*file_out == NULL)
        return err_set(err, ST_NOT_FOUND, "%s: %s", path, strerror(errno));
    return ST_OK;
}

static size_t
count_lines(FILE *file)
{
    char *line = NULL;
    size_t capacity = 0, count = 0;

    while (getline(&line, &capacity, file) > 0)
        count++;
    free(line);
    rewind(file);
    return count;
}

/* One JSON value a line; lines are added to the set's. */
static enum status
read_lines(struct beir_set *set, const char *folder, const char *name, size_t *first_out,
           struct err *err)
{
    FILE *file = NULL;
    enum status st = open_file(folder, name, &file, err);
    char *line = NULL;
    size_t capacity = 0, room;
    ssize_t length;
    json_t **lines;

    if (st != ST_OK)
        return st;
    room = set->line_count + count_lines(file);
    lines = ARENA_NEW_N(set->arena, json_t *, room + 1);
    if (set->line_count > 0)
        memcpy(lines, set->lines, set->line_count * sizeof(json_t *));
    set->lines = lines;
    *first_out = set->line_count;
    while (st == ST_OK && (length = getline(&line, &capacity, file)) > 0) {
        st = json_parse(str_of(line, (size_t)length), &lines[set->line_count], err);
        if (st == ST_OK)
            set->line_count++;
    }
    free(line);
    (void)fclose(file);
    return st == ST_OK ? ST_OK : err_wrap(err, "%s/%s", folder, name);
}

static void
add_relevant(struct arena *arena, struct beir_query *query, size_t document, double grade)
{
    size_t count = query->relevant_count;

    if ((count & (count - 1)) == 0) { /* full at every power of two */
        size_t *relevant = ARENA_NEW_N(arena, size_t, count * 2 + 1);
        double *grades = ARENA_NEW_N(arena, double, count * 2 + 1);

        if (count > 0) {
            memcpy(relevant, query->relevant, count * sizeof(*relevant));
            memcpy(grades, query->grades, count * sizeof(*grades));
        }
        query->relevant = relevant;
        query->grades = grades;
    }
    query->relevant[count] = document;
    query->grades[count] = grade;
    query->relevant_count++;
}

/* Lines whose query or document the set does not have, and the heading, are left out. */
static enum status
read_judgements(struct beir_set *set, const char *folder, const struct map *documents,
                const struct map *queries, struct err *err)
{
    FILE *file = NULL;
    enum status st = open_file(folder, "qrels.tsv", &file, err);
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;

    if (st != ST_OK)
        return st;
    while ((length = getline(&line, &capacity, file)) > 0) {
        struct str rest = str_trim(str_of(line, (size_t)length)), query_id, document_id;
        struct beir_query *query;
        struct beir_document *document;
        double grade;

        if (!str_split(&rest, '\t', &query_id) || !str_split(&rest, '\t', &document_id) ||
            !str_to_double(rest, &grade) || grade <= 0)
            continue;
        query = map_find(queries, query_id);
        document = map_find(documents, document_id);
        if (query != NULL && document != NULL)
            add_relevant(set->arena, query, (size_t)(document - set->documents), grade);
    }
    free(line);
    (void)fclose(file);
    return ST_OK;
}

static enum status
fill(struct beir_set *set, size_t first_document, size_t first_query, struct map *documents,
     struct map *queries, struct err *err)
{
    enum status st = ST_OK;
    void *replaced;

    set->document_count = first_query - first_document;
    set->query_count = set->line_count - first_query;
    set->documents = ARENA_NEW_N(set->arena, struct beir_document, set->document_count + 1);
    set->queries = ARENA_NEW_N(set->arena, struct beir_query, set->query_count + 1);
    for (size_t i = 0; i < set->document_count && st == ST_OK; i++) {
        const json_t *json = set->lines[first_document + i];
        struct beir_document *document = &set->documents[i];

        *document = (struct beir_document){json_get_str(json, "_id"), json_get_str(json, "title"),
                                           json_get_str(json, "text")};
        st = map_put(documents, document->id, document, &replaced, err);
    }
    for (size_t i = 0; i < set->query_count && st == ST_OK; i++) {
        json_t *json = set->lines[first_query + i];
        struct beir_query *query = &set->queries[i];

        query->json = json;
        query->id = json_get_str(json, "_id");
        query->text = json_get_str(json, "text");
        st = map_put(queries, query->id, query, &replaced, err);
    }
    return st;
}

enum status
beir_load(const char *folder, struct beir_set *set_out, struct err *err)
{
    struct map documents, queries;
    size_t first_document = 0, first_query = 0;
    enum status st;

    *set_out = (struct beir_set){.arena = arena_create(BEIR_MAX_BYTES)};
    map_init(&documents, BEIR_MAX_DOCUMENTS);
    map_init(&queries, BEIR_MAX_DOCUMENTS);
    st = read_lines(set_out, folder, "corpus.jsonl", &first_document, err);
    if (st == ST_OK)
        st = read_lines(set_out, folder, "queries.jsonl", &first_query, err);
    if (st == ST_OK)
        st = fill(set_out, first_document, first_query, &documents, &queries, err);
    if (st == ST_OK)
        st = read_judgements(set_out, folder, &documents, &queries, err);
    map_deinit(&documents);
    map_deinit(&queries);
    if (st != ST_OK)
        beir_free(set_out);
    return st;
}

double
beir_grade(const struct beir_query *query, size_t document)
{
    for (size_t i = 0; i < query->relevant_count; i++)
        if (query->relevant[i] == document)
            return query->grades[i];
    return 0;
}

void
beir_free(struct beir_set *set)
{
    for (size_t i = 0; i < set->line_count; i++)
        json_decref(set->lines[i]);
    arena_destroy(&set->arena);
    *set = (struct beir_set){0};
}
