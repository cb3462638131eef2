/*
 * json_document.c - JSON as a document: members become lines, arrays of records become tables
 *
 * A member that holds more than a value is a section under its key, so that a passage says where it
 * stood. Keys are shown as they are: they are the words people search with.
 */
#include <jansson.h>
#include <string.h>

#include "extract/flow.h"
#include "extract/format.h"

#define MAX_COLUMNS 64
/* Sections below this one are written as JSON. */
#define MAX_HEADING 6
/* Any number but 0 keeps jansson from asking the system for one, which the sandbox forbids. What it
 * guards against, a table of equal hashes, ends at the limit of processor time. */
#define HASH_SEED 0x5eed

static void walk(struct flow *flow, const json_t *value, unsigned level);

static bool
is_scalar(const json_t *value)
{
    return !json_is_object(value) && !json_is_array(value);
}

static void
put_scalar(struct flow *flow, const json_t *value)
{
    char *text;

    if (json_is_string(value)) {
        flow_text(flow, str_of(json_string_value(value), json_string_length(value)));
        return;
    }
    text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
    if (text != NULL && !json_is_null(value))
        flow_text(flow, str_from_c(text));
    free(text);
}

/* An array of objects whose members are values. */
static bool
is_table(const json_t *array)
{
    const json_t *record, *value;
    const char *key;
    size_t i;

    json_array_foreach (array, i, record) {
        if (!json_is_object(record) || json_object_size(record) > MAX_COLUMNS)
            return false;
        json_object_foreach ((json_t *)(uintptr_t)record, key, value) {
            if (!is_scalar(value))
                return false;
        }
    }
    return json_array_size(array) > 1;
}

/* The keys of all records, in the order they first come. */
static size_t
find_columns(const json_t *array, const char **columns)
{
    const json_t *record, *value;
    const char *key;
    size_t i, count = 0;

    json_array_foreach (array, i, record) {
        json_object_foreach ((json_t *)(uintptr_t)record, key, value) {
            size_t c = 0;

            while (c < count && strcmp(columns[c], key) != 0)
                c++;
            if (c == count && count < MAX_COLUMNS)
                columns[count++] = key;
        }
    }
    return count;
}

static void
walk_table(struct flow *flow, const json_t *array)
{
    const char *columns[MAX_COLUMNS];
    size_t i, count = find_columns(array, columns);
    const json_t *record;

    flow_begin_table(flow);
    for (size_t c = 0; c < count; c++) {
        flow_text(flow, str_from_c(columns[c]));
        flow_end_cell(flow, 1);
    }
    flow_end_row(flow, true);
    json_array_foreach (array, i, record) {
        for (size_t c = 0; c < count; c++) {
            const json_t *value = json_object_get(record, columns[c]);

            if (value != NULL)
                put_scalar(flow, value);
            flow_end_cell(flow, 1);
        }
        flow_end_row(flow, false);
    }
    flow_end_table(flow);
}

/* What a person would call the record. */
static struct str
name_of(const json_t *record)
{
    static const char *const keys[] = {"title", "name", "question", "label", "id"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const json_t *value = json_object_get(record, keys[i]);

        if (json_is_string(value) && json_string_length(value) > 0)
            return str_of(json_string_value(value), json_string_length(value));
    }
    return STR_EMPTY;
}

static void
walk_array(struct flow *flow, const json_t *array, unsigned level)
{
    const json_t *value;
    size_t i;

    if (is_table(array)) {
        walk_table(flow, array);
        return;
    }
    json_array_foreach (array, i, value) {
        struct str name = name_of(value);

        if (is_scalar(value)) {
            flow_text(flow, STR("- "));
            put_scalar(flow, value);
            flow_end_paragraph(flow, EXTRACT_LIST_ITEM, 1);
            continue;
        }
        if (name.len > 0 && level <= MAX_HEADING) {
            flow_text(flow, name);
            flow_end_paragraph(flow, EXTRACT_HEADING, level);
        }
        walk(flow, value, name.len > 0 ? level + 1 : level);
    }
}

static void
walk_object(struct flow *flow, const json_t *object, unsigned level)
{
    const json_t *value;
    const char *key;

    json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
        if (!is_scalar(value) || json_is_null(value))
            continue;
        flow_text(flow, str_from_c(key));
        flow_text(flow, STR(": "));
        put_scalar(flow, value);
        flow_end_paragraph(flow, EXTRACT_PARAGRAPH, 0);
    }
    json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
        if (is_scalar(value))
            continue;
        flow_text(flow, str_from_c(key));
        flow_end_paragraph(flow, EXTRACT_HEADING, level);
        walk(flow, value, level + 1);
    }
}

/* Recurses no deeper than jansson lets a document be. */
static void
walk(struct flow *flow, const json_t *value, unsigned level)
{
    if (is_scalar(value) || level > MAX_HEADING) {
        put_scalar(flow, value);
        flow_end_paragraph(flow, EXTRACT_PARAGRAPH, 0);
    } else if (json_is_array(value)) {
        walk_array(flow, value, level);
    } else {
        walk_object(flow, value, level);
    }
}

enum status
format_read_json(const struct format_input *input, struct document *document, struct err *err)
{
    struct str text = input->bytes;
    struct flow flow;
    json_error_t error;
    json_t *root;
    enum status st;

    json_object_seed(HASH_SEED);
    if (str_starts_with(text, STR("\xef\xbb\xbf")))
        text = str_sub(text, 3, text.len);
    root = json_loadb(text.ptr, text.len, JSON_DECODE_ANY, &error);
    if (root == NULL)
        return err_set(err, ST_INVALID, "It is no proper JSON: line %d, column %d.", error.line,
                       error.column);
    flow_init(&flow, document, input->max_memory_bytes);
    walk(&flow, root, 1);
    st = flow_check(&flow, err);
    flow_deinit(&flow);
    json_decref(root);
    return st;
}
