/*
 * audience.c - who may read a passage, as it stands in the index's key
 */
#include "index/index.h"

#include <stdlib.h>

#include "base/buf.h"
#include "tenant/tenant.h"

#define ROLES_MAX 16

static const struct str customers = STR_INIT("customer"), staff = STR_INIT("staff"),
                        roles_head = STR_INIT("staff:"), draft_head = STR_INIT("draft:");

static int
role_compare(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

enum status
index_audience_parse(struct str text, struct arena *arena, struct str *audience_out,
                     struct err *err)
{
    struct str roles[ROLES_MAX], rest, word;
    struct buf out;
    size_t count = 0;

    *audience_out = str_eq(text, staff) ? staff : customers;
    if (str_eq(text, customers) || str_eq(text, staff))
        return ST_OK;
    if (!str_starts_with(text, roles_head))
        return err_set(err, ST_INVALID, "The audience is customer, staff or staff:ROLE,ROLE.");
    rest = str_sub(text, roles_head.len, text.len);
    while (str_split(&rest, ',', &word)) {
        word = str_trim(word);
        if (!role_name_is_valid(word) || count == ROLES_MAX)
            return err_set(err, ST_INVALID,
                           "An audience's roles are up to %d names of a-z, 0-9 and -.", ROLES_MAX);
        roles[count++] = word;
    }
    if (count == 0)
        return err_set(err, ST_INVALID, "The audience is customer, staff or staff:ROLE,ROLE.");
    qsort(roles, count, sizeof(roles[0]), role_compare);
    buf_init(&out, (size_t)ROLES_MAX * (ROLE_NAME_MAX_BYTES + 1) + roles_head.len);
    buf_append(&out, roles_head);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && str_eq(roles[i], roles[i - 1]))
            continue;
        if (i > 0)
            buf_append_byte(&out, ',');
        buf_append(&out, roles[i]);
    }
    *audience_out = arena_str(arena, buf_str(&out));
    buf_deinit(&out);
    return ST_OK;
}

static bool
has_word(struct str words, char separator, struct str wanted)
{
    struct str word;

    while (str_split(&words, separator, &word))
        if (str_eq(word, wanted))
            return true;
    return false;
}

struct str
index_audience_of_draft(struct str audience, struct arena *arena)
{
    return str_starts_with(audience, draft_head)
               ? audience
               : arena_printf(arena, "%.*s%.*s", STR_ARG(draft_head), STR_ARG(audience));
}

struct str
index_audience_published(struct str audience)
{
    return str_starts_with(audience, draft_head) ? str_sub(audience, draft_head.len, audience.len)
                                                 : audience;
}

bool
index_audience_may_read(struct str audience, bool for_staff, struct str roles)
{
    struct str wanted, role;

    if (str_eq(audience, customers))
        return true;
    if (!for_staff)
        return false;
    audience = index_audience_published(audience);
    if (str_eq(audience, customers))
        return true;
    if (str_eq(audience, staff))
        return true;
    if (!str_starts_with(audience, roles_head))
        return false;
    if (str_eq(roles, STR("*")))
        return true;
    wanted = str_sub(audience, roles_head.len, audience.len);
    while (str_split(&wanted, ',', &role))
        if (has_word(roles, ' ', role))
            return true;
    return false;
}

bool
index_audience_includes(struct str wide, struct str narrow)
{
    struct str roles, role;

    wide = index_audience_published(wide);
    narrow = index_audience_published(narrow);
    if (str_eq(wide, customers) || str_eq(wide, narrow))
        return true;
    if (str_eq(narrow, customers) || str_eq(narrow, staff))
        return false;
    if (str_eq(wide, staff))
        return true;
    roles = str_sub(narrow, roles_head.len, narrow.len);
    while (str_split(&roles, ',', &role))
        if (!has_word(str_sub(wide, roles_head.len, wide.len), ',', role))
            return false;
    return true;
}
