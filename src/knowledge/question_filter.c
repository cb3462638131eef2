/*
 * question_filter.c - see the header
 */
#include "knowledge/question_filter.h"

#include "knowledge/knowledge_private.h"
#include "tenant/tenant.h"
#include "text/json.h"

#define VALUES_MAX 1000
#define DAY_US (INT64_C(24) * 3600 * US_PER_S)
#define DAY_LEN 10 /* 2026-05-01 */

static const struct {
    const char *name;
    enum index_filter_field field;
} names[] = {
    {"brand_id", INDEX_FILTER_BRAND},    {"audience", INDEX_FILTER_AUDIENCE},
    {"language", INDEX_FILTER_LANGUAGE}, {"source_id", INDEX_FILTER_SOURCE},
    {"kind", INDEX_FILTER_KIND},         {"category", INDEX_FILTER_CATEGORY},
    {"tone", INDEX_FILTER_TONE},         {"content_type", INDEX_FILTER_CONTENT_TYPE},
};

/* What no document can have is a slip of whoever asks. */
static enum status
check_value(enum index_filter_field field, const char *name, struct str *value, struct arena *arena,
            struct err *err)
{
    struct brand_id brand;
    struct source_id source;

    switch (field) {
    case INDEX_FILTER_BRAND:
        return ID_PARSE(*value, &brand, err);
    case INDEX_FILTER_SOURCE:
        return ID_PARSE(*value, &source, err);
    case INDEX_FILTER_AUDIENCE:
        return index_audience_parse(*value, arena, value, err);
    case INDEX_FILTER_LANGUAGE:
        if (value->len != 2 || value->ptr[0] < 'a' || value->ptr[0] > 'z' || value->ptr[1] < 'a' ||
            value->ptr[1] > 'z')
            return err_set(err, ST_INVALID, "A language is two letters of ISO 639-1, like en.");
        return ST_OK;
    case INDEX_FILTER_KIND:
    case INDEX_FILTER_CONTENT_TYPE:
        if (value->len == 0)
            return err_set(err, ST_INVALID, "The filter %s is empty.", name);
        return label_check(name, *value, err);
    case INDEX_FILTER_CATEGORY:
    case INDEX_FILTER_TONE:
    case INDEX_FILTER_FIELDS:
        break;
    }
    return label_check(name, *value, err);
}

/* A day is meant from its beginning to its end. */
static enum status
add_date(struct index_filter *filter, bool is_end, struct str value, struct err *err)
{
    int64_t at_us = 0;
    enum status st = value.len == 0 ? err_set(err, ST_INVALID, "A filter's date is empty.")
                                    : source_date_parse(value, &at_us, err);

    if (st != ST_OK)
        return st;
    if (!filter->has_dates) {
        filter->dated_from_us = INT64_MIN;
        filter->dated_to_us = INT64_MAX;
    }
    filter->has_dates = true;
    if (is_end ? filter->dated_to_us != INT64_MAX : filter->dated_from_us != INT64_MIN)
        return err_set(err, ST_INVALID, "A filter has one dated_from and one dated_to.");
    if (!is_end)
        filter->dated_from_us = at_us;
    else
        filter->dated_to_us = value.len == DAY_LEN ? at_us + DAY_US - 1 : at_us;
    return ST_OK;
}

enum status
question_filter_add(struct index_filter *filter, struct str name, struct str value,
                    struct arena *arena, struct err *err)
{
    if (str_eq_c(name, "dated_from") || str_eq_c(name, "dated_to"))
        return add_date(filter, str_eq_c(name, "dated_to"), value, err);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        enum status st;

        if (!str_eq_c(name, names[i].name))
            continue;
        st = check_value(names[i].field, names[i].name, &value, arena, err);
        if (st == ST_OK)
            index_filter_add(filter, names[i].field, value, arena);
        return st;
    }
    return err_set(err, ST_INVALID,
                   "Filters are brand_id, audience, language, source_id, kind, category, tone, "
                   "content_type, dated_from and dated_to.");
}

static enum status
read_one(const char *name, const json_t *value, struct arena *arena, struct index_filter *filter,
         struct err *err)
{
    if (!json_is_string(value))
        return err_set(err, ST_INVALID, "A filter's value is a text, or a list of texts.");
    return question_filter_add(filter, str_from_c(name),
                               str_of(json_string_value(value), json_string_length(value)), arena,
                               err);
}

enum status
question_filter_read(const json_t *json, struct arena *arena, struct index_filter *filter_out,
                     struct err *err)
{
    json_t *value;
    const char *name;
    size_t count = 0;
    enum status st = ST_OK;

    *filter_out = (struct index_filter){.has_dates = false};
    json_object_foreach ((json_t *)(uintptr_t)json, name, value) {
        bool is_list = json_is_array(value);
        size_t size = is_list ? json_array_size(value) : 1;

        count += size;
        if (size == 0 || count > VALUES_MAX)
            return err_set(err, ST_INVALID, "A filter has 1 to %d values.", VALUES_MAX);
        for (size_t i = 0; i < size && st == ST_OK; i++)
            st = read_one(name, is_list ? json_array_get(value, i) : value, arena, filter_out, err);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}
