/*
 * api_scopes.c - the words of an API key's scopes and roles
 */
#include "tenant/tenant.h"

#include <stdlib.h>

static const struct {
    unsigned bit;
    struct str word;
} words[] = {
    {SCOPE_ADMIN, STR_INIT("admin")},
    {SCOPE_CONVERSATIONS_READ, STR_INIT("conversations:read")},
    {SCOPE_CONVERSATIONS_WRITE, STR_INIT("conversations:write")},
    {SCOPE_KNOWLEDGE_READ, STR_INIT("knowledge:read")},
    {SCOPE_KNOWLEDGE_WRITE, STR_INIT("knowledge:write")},
    {SCOPE_QUERY, STR_INIT("query")},
    {SCOPE_QUERY_STAFF, STR_INIT("query:staff")},
    {SCOPE_OPERATE, STR_INIT("operate")},
};

#define WORD_COUNT (sizeof(words) / sizeof(words[0]))

#define ROLE_HEAD STR("role:")
#define ROLES_MAX 64

bool
role_name_is_valid(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && (c != '-' || i == 0))
            return false;
    }
    return name.len > 0 && name.len <= ROLE_NAME_MAX_BYTES;
}

/* False: the word is of no role. */
static bool
read_role(struct str word, struct str *role_out)
{
    if (!str_starts_with(word, ROLE_HEAD))
        return false;
    *role_out = str_sub(word, ROLE_HEAD.len, word.len);
    return str_eq_c(*role_out, "*") || role_name_is_valid(*role_out);
}

enum status
api_scopes_parse(struct str text, unsigned *scopes_out, struct err *err)
{
    struct str word, role;
    size_t roles = 0;

    *scopes_out = 0;
    while (str_split(&text, ' ', &word)) {
        size_t i = 0;

        if (word.len == 0)
            continue;
        if (read_role(word, &role)) {
            if (++roles > ROLES_MAX)
                return err_set(err, ST_INVALID, "a key has at most %d roles", ROLES_MAX);
            continue;
        }
        while (i < WORD_COUNT && !str_eq(words[i].word, word))
            i++;
        if (i == WORD_COUNT)
            return err_set(err, ST_INVALID, "there is no scope \"%.*s\"",
                           (int)(word.len < 64 ? word.len : 64), word.ptr);
        *scopes_out |= words[i].bit;
    }
    return ST_OK;
}

struct str
api_scopes_format(unsigned scopes, struct arena *arena)
{
    struct str text = STR("");

    for (size_t i = 0; i < WORD_COUNT; i++) {
        if ((scopes & words[i].bit) != 0)
            text = arena_printf(arena, "%.*s%s%.*s", STR_ARG(text), text.len == 0 ? "" : " ",
                                STR_ARG(words[i].word));
    }
    return text;
}

static int
role_compare(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

struct str
api_roles_of(struct str text, struct arena *arena)
{
    struct str roles[ROLES_MAX] = {{NULL, 0}}, word, out = STR("");
    size_t count = 0;

    while (count < ROLES_MAX && str_split(&text, ' ', &word))
        if (read_role(word, &roles[count]))
            count++;
    qsort(roles, count, sizeof(roles[0]), role_compare);
    for (size_t i = 0; i < count; i++) {
        if (str_eq_c(roles[i], "*")) /* sorts before all names */
            return STR("*");
        if (i == 0 || !str_eq(roles[i], roles[i - 1]))
            out = arena_printf(arena, "%.*s%s%.*s", STR_ARG(out), out.len == 0 ? "" : " ",
                               STR_ARG(roles[i]));
    }
    return out;
}

struct str
api_rights_format(unsigned scopes, struct str roles, struct arena *arena)
{
    struct str text = api_scopes_format(scopes, arena), role;

    while (str_split(&roles, ' ', &role))
        if (role.len > 0)
            text = arena_printf(arena, "%.*s%srole:%.*s", STR_ARG(text), text.len == 0 ? "" : " ",
                                STR_ARG(role));
    return text;
}

bool
api_roles_include(struct str roles, struct str wanted)
{
    struct str role;

    while (!str_eq_c(roles, "*") && str_split(&wanted, ' ', &role)) {
        struct str rest = roles, has;
        bool found = role.len == 0;

        while (!found && str_split(&rest, ' ', &has))
            found = str_eq(has, role);
        if (!found)
            return false;
    }
    return true;
}
