/*
 * linking.c - "/link" and the codes that it gives: said in a chat, answered without a model
 */
#include "orchestrator/linking.h"

#include <string.h>

#include "base/log.h"
#include "base/metrics.h"
#include "orchestrator/phrases.h"

#define TRIES_PER_MINUTE 5         /* of one contact */
#define ORGANIZATION_PER_MINUTE 60 /* of all: guessing by many is guessing, too */

static struct metric links_total = {
    .name = "parley_contact_links_total",
    .help = "Codes asked for and shown in chats, by what became of it",
    .kind = METRIC_COUNTER,
    .labels = {"result"},
};

static bool
is_request(struct str text)
{
    text = str_trim(text);
    return str_eq_nocase(text, STR("/link")) ||
           (str_starts_with(text, STR("/link@")) && str_find_byte(text, ' ') < 0);
}

enum linking
linking_of(struct str text)
{
    if (is_request(text))
        return LINKING_ASKED;
    return link_code_is(text) ? LINKING_SHOWN : LINKING_NONE;
}

static bool
has_code(struct str body)
{
    struct str rest = body, line = STR_EMPTY;

    while (str_split(&rest, '\n', &line))
        if (link_code_is(line))
            return true;
    return false;
}

static struct str
without_codes(struct str body, struct arena *arena)
{
    struct str rest = body, line = STR_EMPTY;
    char *kept = arena_alloc(arena, body.len + 1);
    size_t len = 0;

    while (str_split(&rest, '\n', &line)) {
        if (link_code_is(line))
            continue;
        memcpy(kept + len, line.ptr, line.len);
        len += line.len;
        kept[len++] = '\n';
    }
    return str_trim(str_of(kept, len));
}

void
linking_strip(struct history *history, struct arena *arena)
{
    struct message *kept = ARENA_NEW_N(arena, struct message, history->count + 1);
    size_t count = 0;

    for (size_t i = 0; i < history->count; i++) {
        const struct message *message = &history->messages[i];

        if (linking_of(message->body) != LINKING_NONE)
            continue;
        kept[count] = *message;
        if (has_code(message->body))
            kept[count].body = without_codes(message->body, arena);
        count++;
    }
    *history = (struct history){kept, count};
}

enum status
linking_admit(struct tenants *tenants, const struct tenant_scope *scope,
              const struct message *message, struct arena *arena, bool *busy_out, struct err *err)
{
    struct str key = arena_printf(arena, "link:%s", message->contact_id.id.text);
    enum status st =
        tenant_limit_take(tenants, scope, key, TRIES_PER_MINUTE, TRIES_PER_MINUTE, err);

    if (st == ST_OK)
        st = tenant_limit_take(tenants, scope, STR("link"), ORGANIZATION_PER_MINUTE,
                               ORGANIZATION_PER_MINUTE, err);
    *busy_out = st == ST_BUSY;
    return st == ST_BUSY ? ST_OK : st;
}

/* In a group everybody could use the code. */
static bool
is_private(const struct message *message)
{
    return chat_is_private(message->source, message->external_user_id, message->external_chat_id);
}

static enum status
give_code(struct store_tx *tx, const struct message *message, int64_t now_us, struct str locale,
          struct arena *arena, struct str *text_out, struct err *err)
{
    struct str code;
    enum status st;

    if (!is_private(message)) {
        *text_out = phrase_get(PHRASE_LINK_PRIVATE, locale);
        return ST_OK;
    }
    st = link_code_make(tx, message->contact_id, now_us, arena, &code, err);
    if (st == ST_OK)
        *text_out = arena_printf(arena, "%.*s\n\n%.*s",
                                 STR_ARG(phrase_get(PHRASE_LINK_CODE, locale)), STR_ARG(code));
    return st;
}

enum status
linking_do(struct store_tx *tx, const struct message *message, bool busy, int64_t now_us,
           struct str locale, struct arena *arena, struct str *text_out, struct err *err)
{
    static const struct {
        enum phrase phrase;
        struct str word;
    } outcomes[] = {
        [LINK_DONE] = {PHRASE_LINK_DONE, STR_INIT("linked")},
        [LINK_SAME] = {PHRASE_LINK_SAME, STR_INIT("same")},
        [LINK_INVALID] = {PHRASE_LINK_INVALID, STR_INIT("invalid")},
    };
    enum link_outcome outcome = LINK_INVALID;
    enum status st;

    if (busy) {
        METRIC_INC(&links_total, STR("busy"));
        *text_out = phrase_get(PHRASE_LINK_BUSY, locale);
        return ST_OK;
    }
    if (linking_of(message->body) == LINKING_ASKED) {
        METRIC_INC(&links_total, STR("asked"));
        return give_code(tx, message, now_us, locale, arena, text_out, err);
    }
    st = link_code_redeem(tx, message->body, message->contact_id, now_us, &outcome, err);
    if (st != ST_OK)
        return st;
    METRIC_INC(&links_total, outcomes[outcome].word);
    *text_out = phrase_get(outcomes[outcome].phrase, locale);
    return ST_OK;
}
