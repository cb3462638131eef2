/*
 * roles.c - words and bits
 */
#include "app/roles.h"

static const struct {
    const char *word;
    unsigned role;
} role_words[] = {
    {"gateway", ROLE_GATEWAY},
    {"api", ROLE_API},
    {"worker", ROLE_WORKER},
    {"scheduler", ROLE_SCHEDULER},
};
#define ROLE_COUNT (sizeof(role_words) / sizeof(role_words[0]))

static unsigned
role_of(struct str word)
{
    for (size_t i = 0; i < ROLE_COUNT; i++)
        if (str_eq_c(word, role_words[i].word))
            return role_words[i].role;
    return 0;
}

enum status
roles_parse(struct str words, unsigned *roles_out, struct err *err)
{
    struct str rest = words;
    bool more = true;

    *roles_out = 0;
    while (more) {
        int64_t comma = str_find_byte(rest, ',');
        struct str word = str_trim(comma < 0 ? rest : str_sub(rest, 0, (size_t)comma));
        unsigned role = role_of(word);

        if (role == 0)
            return err_set(err, ST_INVALID,
                           "serve.roles: gateway, api, worker, scheduler; not \"%.*s\"",
                           (int)(word.len > 20 ? 20 : word.len), word.ptr == NULL ? "" : word.ptr);
        *roles_out |= role;
        more = comma >= 0;
        if (more)
            rest = str_sub(rest, (size_t)comma + 1, rest.len);
    }
    return ST_OK;
}

struct str
roles_format(unsigned roles, struct arena *arena)
{
    struct str text = STR("");

    for (size_t i = 0; i < ROLE_COUNT; i++)
        if ((roles & role_words[i].role) != 0)
            text = arena_printf(arena, "%.*s%s%s", STR_ARG(text), text.len > 0 ? "," : "",
                                role_words[i].word);
    return text;
}
