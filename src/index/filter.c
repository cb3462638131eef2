/*
 * filter.c - which passages a filter leaves
 *
 * Brand, audience and language are keys of the partitions: whole ones are left out. What else is
 * said of a document stands in its row, where it may change at any time, as it may get a draft: the
 * passages of the documents that are wanted become a set that every scan asks before it scores.
 */
#include "index/index_private.h"

void
index_filter_add(struct index_filter *filter, enum index_filter_field field, struct str value,
                 struct arena *arena)
{
    struct str before = filter->wanted[field];

    if (before.len == 0)
        before = STR(INDEX_FILTER_MARK);
    filter->wanted[field] =
        arena_printf(arena, "%.*s%.*s" INDEX_FILTER_MARK, STR_ARG(before), STR_ARG(value));
}

static bool
wants(const struct index_filter *filter, enum index_filter_field field, struct str value)
{
    struct str rest = filter->wanted[field], one;

    if (rest.len == 0)
        return true;
    while (str_split(&rest, INDEX_FILTER_MARK[0], &one))
        if (one.len > 0 && str_eq(one, value))
            return true;
    return false;
}

bool
filter_is_of_documents(const struct index_filter *filter)
{
    return filter != NULL && (filter->with_drafts || filter->has_dates ||
                              filter->wanted[INDEX_FILTER_SOURCE].len > 0 ||
                              filter->wanted[INDEX_FILTER_KIND].len > 0 ||
                              filter->wanted[INDEX_FILTER_CATEGORY].len > 0 ||
                              filter->wanted[INDEX_FILTER_TONE].len > 0 ||
                              filter->wanted[INDEX_FILTER_CONTENT_TYPE].len > 0);
}

bool
filter_wants_partition(const struct index_filter *filter, const struct index_partition *partition)
{
    return filter == NULL ||
           ((partition->brand_id.len == 0 ||
             wants(filter, INDEX_FILTER_BRAND, partition->brand_id)) &&
            wants(filter, INDEX_FILTER_AUDIENCE, index_audience_published(partition->audience)) &&
            wants(filter, INDEX_FILTER_LANGUAGE, partition->language));
}

enum status
filter_apply(struct search *search, struct err *err)
{
    const struct index_filter *filter = search->query->filter;
    struct chunk_set *set;
    struct index_place *places = NULL;
    bool *is_chosen;
    int64_t partitions = 0;
    size_t count = 0;
    enum status st;

    if (!filter_is_of_documents(filter))
        return ST_OK;
    st = index_driver_of(search->tx)
             ->filter_chunks(search->tx, filter, search->arena, &places, &count, err);
    if (st != ST_OK)
        return st;
    for (size_t p = 0; p < search->partition_count; p++)
        if (search->partitions[p].id >= partitions)
            partitions = search->partitions[p].id + 1;
    is_chosen = ARENA_NEW_N(search->arena, bool, partitions + 1);
    for (size_t p = 0; p < search->partition_count; p++)
        is_chosen[search->partitions[p].id] = search->chosen[p];
    set = ARENA_NEW(search->arena, struct chunk_set);
    for (size_t i = 0; i < count; i++)
        if (places[i].chunk_id >= set->end)
            set->end = places[i].chunk_id + 1;
    set->bits = ARENA_NEW_N(search->arena, unsigned char, set->end / 8 + 1);
    search->chunks = 0;
    for (size_t i = 0; i < count; i++) {
        const struct index_place *place = &places[i];

        if (place->partition_id >= partitions || !is_chosen[place->partition_id])
            continue;
        set->bits[place->chunk_id / 8] |= (unsigned char)(1U << (place->chunk_id % 8));
        search->chunks++;
    }
    search->allowed = set;
    return ST_OK;
}
