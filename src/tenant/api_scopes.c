/*
 * api_scopes.c - the words of an API key's scopes
 */
#include "tenant/tenant.h"

#include "base/buf.h"

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

enum status
api_scopes_parse(struct str text, unsigned *scopes_out, struct err *err)
{
    struct str word;

    *scopes_out = 0;
    while (str_split(&text, ' ', &word)) {
        size_t i = 0;

        if (word.len == 0)
            continue;
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
