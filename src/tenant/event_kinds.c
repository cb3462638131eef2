/*
 * event_kinds.c - the words of what can be told to an organization's own systems
 */
#include "tenant/event_endpoint.h"

#include "base/buf.h"
#include "text/json.h"

static const char *const names[EVENT_KINDS] = {
    [EVENT_MESSAGE_RECEIVED] = "message.received",
    [EVENT_MESSAGE_SENT] = "message.sent",
    [EVENT_MESSAGE_DELIVERED] = "message.delivered",
    [EVENT_MESSAGE_READ] = "message.read",
    [EVENT_MESSAGE_FAILED] = "message.failed",
    [EVENT_MESSAGE_UNCERTAIN] = "message.uncertain",
    [EVENT_MESSAGE_DELETED] = "message.deleted",
    [EVENT_CONVERSATION_STATUS] = "conversation.status",
    [EVENT_CONVERSATION_HANDED_OFF] = "conversation.handed_off",
    [EVENT_CONVERSATION_HANDED_BACK] = "conversation.handed_back",
    [EVENT_ESCALATION_OPENED] = "escalation.opened",
    [EVENT_ESCALATION_RESOLVED] = "escalation.resolved",
    [EVENT_DOCUMENT_READY] = "document.ready",
    [EVENT_DOCUMENT_FAILED] = "document.failed",
    [EVENT_CONTACT_LINKED] = "contact.linked",
    [EVENT_CONTACT_UNLINKED] = "contact.unlinked",
    [EVENT_ENDPOINT_DISABLED] = "endpoint.disabled",
    [EVENT_ENDPOINT_TEST] = "endpoint.test",
};

const char *
event_kind_name(enum event_kind kind)
{
    return names[kind];
}

/* The kinds that a word stands for; 0: none. */
static uint32_t
kinds_of(struct str word)
{
    bool all = str_ends_with(word, STR(".*"));
    struct str head = all ? str_sub(word, 0, word.len - 1) : word;
    uint32_t kinds = 0;

    for (unsigned i = 0; i < EVENT_KINDS; i++)
        if (all ? str_starts_with(str_from_c(names[i]), head) : str_eq_c(word, names[i]))
            kinds |= EVENT_BIT(i);
    return kinds;
}

enum status
event_kinds_read(const json_t *words, uint32_t *kinds_out, struct err *err)
{
    const json_t *word;
    size_t i;

    *kinds_out = json_array_size(words) == 0 ? EVENT_KINDS_ALL : 0;
    json_array_foreach (words, i, word) {
        struct str text = str_of(json_string_value(word), json_string_length(word));
        uint32_t kinds = json_is_string(word) ? kinds_of(text) : 0;

        if (kinds == 0)
            return err_set(err, ST_INVALID, "events: there is no kind \"%.*s\"",
                           (int)(text.len < 64 ? text.len : 64), text.ptr == NULL ? "" : text.ptr);
        *kinds_out |= kinds;
    }
    return ST_OK;
}

struct str
event_kinds_format(uint32_t kinds, struct arena *arena)
{
    struct str text = STR("");

    if (kinds == EVENT_KINDS_ALL)
        return text;
    for (unsigned i = 0; i < EVENT_KINDS; i++)
        if ((kinds & EVENT_BIT(i)) != 0)
            text =
                arena_printf(arena, "%.*s%s%s", STR_ARG(text), text.len == 0 ? "" : " ", names[i]);
    return text;
}

uint32_t
event_kinds_parse(struct str words)
{
    uint32_t kinds = 0;
    struct str word;

    if (words.len == 0)
        return EVENT_KINDS_ALL;
    while (str_split(&words, ' ', &word))
        kinds |= kinds_of(word);
    return kinds;
}

json_t *
event_kinds_json(uint32_t kinds)
{
    json_t *words = json_array();

    for (unsigned i = 0; kinds != EVENT_KINDS_ALL && i < EVENT_KINDS; i++)
        if ((kinds & EVENT_BIT(i)) != 0)
            json_array_append_new(words, json_from_str(str_from_c(names[i])));
    return words;
}
