/*
 * prompt.c - persona, language, history and numbered passages into a model's messages
 *
 * Templates are files under prompts/, compiled in; {{name}} is replaced once, never again inside of
 * what was put in. Passages stand between fences with a random mark, so that a document cannot end
 * its own quotation.
 */
#include "base/embedded.h"
#include "base/id.h"
#include "orchestrator/orchestrator_private.h"
#include "orchestrator/phrases.h"

#define PROMPT_MAX_BYTES (256u * 1024)
#define HISTORY_MESSAGE_BYTES 2000

extern const struct embedded_file orchestrator_prompts[];

struct replacement {
    const char *name;
    struct str value;
};

static struct str
replacement_find(const struct replacement *replacements, struct str name)
{
    for (; replacements->name != NULL; replacements++)
        if (str_eq_c(name, replacements->name))
            return replacements->value;
    return STR_EMPTY;
}

static void
fill(struct str template, const struct replacement *replacements, struct buf *out)
{
    while (template.len > 0) {
        ptrdiff_t open = str_find(template, STR("{{"));
        ptrdiff_t close = str_find(template, STR("}}"));

        if (open < 0 || close < open) {
            buf_append(out, template);
            return;
        }
        buf_append(out, str_sub(template, 0, (size_t)open));
        buf_append(out, replacement_find(replacements, str_sub(template, (size_t)open + 2,
                                                               (size_t)(close - open) - 2)));
        template = str_sub(template, (size_t)close + 2, template.len);
    }
}

static void
write_passages(const struct retrieved *retrieved, struct buf *out)
{
    char mark[17];
    size_t i;

    id_span(mark);
    for (i = 0; i < retrieved->count; i++) {
        const struct model_passage *passage = &retrieved->passages[i];

        buf_printf(out, "[%zu] %.*s", i + 1, STR_ARG(passage->title));
        if (passage->heading_path.len > 0)
            buf_printf(out, " > %.*s", STR_ARG(passage->heading_path));
        buf_printf(out, "\n<passage-%s>\n%.*s\n</passage-%s>\n", mark, STR_ARG(passage->text),
                   mark);
    }
    if (retrieved->count == 0)
        buf_append_c(out, "(none)\n");
}

static enum model_role
role_of(const struct message *message)
{
    return str_eq_c(message->role, "user") ? MODEL_USER : MODEL_ASSISTANT;
}

void
prompt_build(const struct persona *persona, const struct question *question, struct str language,
             const struct retrieved *retrieved, struct arena *arena,
             struct model_message **messages_out, size_t *count_out)
{
    struct model_message *messages =
        ARENA_NEW_N(arena, struct model_message, question->history_count + 2);
    struct buf passages, system;
    size_t i, count = 0;

    buf_init(&passages, PROMPT_MAX_BYTES);
    buf_init(&system, PROMPT_MAX_BYTES);
    write_passages(retrieved, &passages);
    {
        const struct replacement replacements[] = {
            {"name", persona->name},
            {"organization", persona->organization_name},
            {"voice", persona->voice},
            {"language", phrase_language_name(language)},
            {"instructions", persona->instructions},
            {"passages", buf_str(&passages)},
            {NULL, STR_EMPTY},
        };

        fill(embedded_find(orchestrator_prompts, STR("system.txt")), replacements, &system);
    }
    messages[count++] = (struct model_message){MODEL_SYSTEM, arena_str(arena, buf_str(&system))};
    for (i = 0; i < question->history_count; i++) {
        struct str body = question->history[i].body;

        body = str_sub(body, 0, str_utf8_floor(body, HISTORY_MESSAGE_BYTES));
        if (body.len > 0)
            messages[count++] = (struct model_message){role_of(&question->history[i]), body};
    }
    messages[count++] = (struct model_message){MODEL_USER, question->text};
    *messages_out = messages;
    *count_out = count;
    buf_deinit(&system);
    buf_deinit(&passages);
}
