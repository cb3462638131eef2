/*
 * extractive.c - the answerer that needs no model: sentences of the documents, joined and cited
 *
 *   {"driver": "extractive"}
 * It can neither be away nor make anything up: every word of an answer stands in a passage. When no
 * unit carries evidence, or the index is not confident, it says that the documents do not tell.
 */
#include "model/drivers/extractive.h"

#include <stdlib.h>

#include "text/json.h"

#define WORK_BYTES ((size_t)64 * 1024 * 1024)
#define MAX_ANSWER_BYTES ((size_t)32 * 1024)

struct extractive_config {
    struct str driver;
};

static const struct json_field extractive_fields[] = {
    {"driver", JSON_FIELD_STR, true, offsetof(struct extractive_config, driver), 64, 0, 0},
    {NULL, JSON_FIELD_STR, false, 0, 0, 0, 0},
};

static enum status
extractive_open(struct model *model, const json_t *config, struct err *err)
{
    struct extractive_config read = {0};

    (void)model;
    return json_read(config, extractive_fields, &read, err);
}

static void
extractive_close(struct model *model)
{
    (void)model;
}

/* --- composing --- */

static bool
ends_sentence(struct str text)
{
    static const char *const marks[] = {".",
                                        "!",
                                        "?",
                                        ":",
                                        "\xe2\x80\xa6",
                                        "\xe3\x80\x82",
                                        "\xef\xbc\x81",
                                        "\xef\xbc\x9f",
                                        "\xd8\x9f",
                                        "\xe0\xa5\xa4"};
    static const char *const closers[] = {"\"",           "'",       ")", "]", "\xe2\x80\x9d",
                                          "\xe2\x80\x99", "\xc2\xbb"};
    bool closed = true;

    while (closed) {
        closed = false;
        for (size_t i = 0; i < sizeof(closers) / sizeof(closers[0]); i++) {
            struct str closer = str_from_c(closers[i]);

            if (str_ends_with(text, closer)) {
                text.len -= closer.len;
                closed = true;
            }
        }
    }
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        if (str_ends_with(text, str_from_c(marks[i])))
            return true;
    }
    return false;
}

/* What a list stands under, when no sentence introduces it. */
static struct str
list_heading(const struct ex_text *text, const struct ex_unit *item)
{
    const struct model_passage *passage = &text->request->passages[item->passage];
    struct str path = passage->heading_path, heading = STR_EMPTY, part;

    if (item->heading != EX_NONE)
        return text->units[item->heading].text;
    while (str_split(&path, '>', &part)) {
        if (str_trim(part).len > 0)
            heading = str_trim(part);
    }
    return heading.len > 0 ? heading : str_trim(passage->title);
}

/* One line of a list. Numbers go on from the number before, for many documents write "1."
 * throughout; steps without the first get none. */
static void
append_item(struct buf *out, const struct ex_unit *unit, bool first, size_t *number)
{
    if (unit->is_nested && !first) {
        buf_append_c(out, "  - ");
    } else if (unit->marker == 1 || (unit->marker > 0 && *number > 0)) {
        *number = unit->marker > *number ? unit->marker : *number + 1;
        buf_printf(out, "%zu. ", *number);
    } else {
        buf_append_c(out, "- ");
    }
    buf_append(out, unit->text);
}

/* "Cargo bike: 55 € a day": one item says by itself what it is about. */
static bool
speaks_alone(const struct ex_unit *unit, const struct ex_unit *before, const struct ex_unit *after)
{
    bool first = before == NULL || before->passage != unit->passage ||
                 (before->kind != EX_ITEM && !before->goes_on && !before->is_lead_in);
    bool last = after == NULL || after->passage != unit->passage ||
                (after->kind != EX_ITEM && !after->goes_on);

    return unit->kind == EX_ITEM && unit->marker == 0 && !unit->is_nested && first && last &&
           str_find(unit->text, STR(": ")) > 0;
}

struct composing {
    struct buf out;
    const struct ex_text *text;
    size_t number; /* of the list being written */
    bool in_list;
};

static void
append_sentence(struct composing *c, const struct ex_unit *unit, const struct ex_unit *before)
{
    bool goes_on = unit->goes_on && before != NULL && before->passage == unit->passage;

    if (before != NULL)
        buf_append_c(&c->out, c->in_list && !goes_on ? "\n\n" : " ");
    buf_append(&c->out, unit->text);
    if (!ends_sentence(unit->text))
        buf_append_byte(&c->out, '.');
    if (!goes_on) {
        c->in_list = false;
        c->number = 0;
    }
}

static void
append_unit(struct composing *c, const struct ex_unit *unit, const struct ex_unit *before,
            const struct ex_unit *after)
{
    bool same = before != NULL && before->passage == unit->passage, first = false;
    const struct ex_unit *lead_in =
        unit->lead_in == EX_NONE ? NULL : &c->text->units[unit->lead_in];

    if (unit->kind != EX_ITEM ||
        ((before == NULL || before != lead_in) && speaks_alone(unit, before, after))) {
        append_sentence(c, unit, before);
        return;
    }
    if (same && (c->in_list || before == lead_in)) {
        buf_append_c(&c->out, "\n");
    } else {
        struct str heading = list_heading(c->text, unit);

        first = true;
        c->number = 0;
        if (before != NULL)
            buf_append_c(&c->out, "\n\n");
        if (heading.len > 0) {
            ex_clean_inline(heading, &c->out);
            buf_append_c(&c->out, ends_sentence(heading) ? "\n" : ":\n");
        }
    }
    c->in_list = true;
    append_item(&c->out, unit, first, &c->number);
}

struct str
ex_compose(struct ex_text *text, const struct ex_choice *choice)
{
    struct composing c = {.text = text};
    struct str composed;

    buf_init(&c.out, MAX_ANSWER_BYTES);
    for (size_t i = 0; i < choice->count; i++) {
        const struct ex_unit *unit = &text->units[choice->units[i]];
        const struct ex_unit *before = i > 0 ? &text->units[choice->units[i - 1]] : NULL;
        const struct ex_unit *after =
            i + 1 < choice->count ? &text->units[choice->units[i + 1]] : NULL;

        append_unit(&c, unit, before, after);
        if (after == NULL && unit->kind == EX_ITEM && choice->list_was_cut)
            buf_append_c(&c.out, " \xe2\x80\xa6");
        /* One citation closes what was taken from one passage. */
        if (after == NULL || after->passage != unit->passage)
            buf_printf(&c.out, " [%zu]", unit->passage + 1);
    }
    composed = arena_str(text->arena, buf_str(&c.out));
    buf_deinit(&c.out);
    return composed;
}

/* --- answering --- */

/* Of the stems: the documents' language, for the question is often too short to tell. */
static struct str
passages_language(const struct model_request *request)
{
    struct str sample = str_sub(request->passages[0].text, 0, 2000), language;

    sample.len = str_utf8_floor(sample, sample.len);
    language = text_language(sample);
    if (language.len == 0)
        language = text_language(request->question);
    return language.len == 0 ? request->language : language;
}

static bool
input_is_utf8(const struct model_request *request)
{
    if (!str_is_utf8(request->question))
        return false;
    for (size_t i = 0; i < request->passage_count && i < EX_MAX_PASSAGES; i++) {
        const struct model_passage *passage = &request->passages[i];

        if (!str_is_utf8(passage->text) || !str_is_utf8(passage->title) ||
            !str_is_utf8(passage->heading_path))
            return false;
    }
    return true;
}

/* The answer in the arena, or the empty view when the passages do not hold one. */
static struct str
find_answer(const struct model_request *request, struct arena *arena)
{
    struct ex_text *text = ARENA_NEW(arena, struct ex_text);
    struct ex_choice *choice = ARENA_NEW(arena, struct ex_choice);
    struct str question = request->question;

    text->request = request;
    text->arena = arena;
    text->passage_count =
        request->passage_count > EX_MAX_PASSAGES ? EX_MAX_PASSAGES : request->passage_count;
    text->question.language = passages_language(request);
    question.len = str_utf8_floor(question, EX_MAX_QUESTION_BYTES);
    ex_question_read(&text->question, question, arena);
    ex_units_cut(text);
    ex_score(text);
    ex_select(text, choice);
    return choice->count == 0 ? STR_EMPTY : ex_compose(text, choice);
}

static enum status
extractive_complete(struct model *model, const struct model_request *request,
                    struct model_sink *sink, struct arena *arena, struct model_reply *reply,
                    struct err *err)
{
    struct str answer = STR_EMPTY, language = request->language;
    struct arena *work;

    (void)model;
    (void)arena;
    if (!input_is_utf8(request))
        return err_set_detail(err, ST_INVALID, "question or passages are not UTF-8");
    work = arena_create(WORK_BYTES);
    if (request->passage_count > 0 && request->confidence >= request->min_confidence)
        answer = find_answer(request, work);
    if (answer.len == 0) {
        reply->no_answer = true;
        if (language.len == 0)
            language = text_language(request->question);
        answer = ex_words_no_answer(language);
    }
    (void)model_sink_text(sink, answer);
    reply->finish = MODEL_FINISH_STOP;
    arena_destroy(&work);
    return ST_OK;
}

const struct model_driver model_driver_extractive = {
    .name = "extractive",
    .caps = MODEL_READS_PASSAGES,
    .size = sizeof(struct model),
    .open = extractive_open,
    .close = extractive_close,
    .complete = extractive_complete,
};
