/*
 * email_quote.c - what is new in a reply: above the quotation, without the signature
 *
 * Mail programs agree on little, so this goes by lines: "> " and the line that announces it ("On
 * ... wrote:" in the languages that Gmail, Apple Mail, Outlook and Thunderbird write), "-----
 * Original Message -----", Outlook's block of From, Sent, To and Subject, and "-- ". When nothing
 * would be left, all of it is new: a forwarded mail, or an answer between the quoted lines.
 */
#include "channel/drivers/email.h"

#include <string.h>

#include "base/buf.h"

#define ANNOUNCEMENT_LINES 4 /* over which "On ... wrote:" may be broken */

struct line {
    struct str text; /* without its end */
    size_t start;    /* in the whole */
};

struct lines {
    struct line *items;
    size_t count;
};

static struct lines
split_lines(struct str text, struct arena *arena)
{
    struct lines lines = {.count = 0};
    struct str rest = text, line;
    size_t count = 1;

    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == '\n';
    lines.items = ARENA_NEW_N(arena, struct line, count);
    while (lines.count < count && str_split(&rest, '\n', &line))
        lines.items[lines.count++] = (struct line){line, (size_t)(line.ptr - text.ptr)};
    return lines;
}

static bool
contains_one_of(struct str line, const char *const *words)
{
    for (size_t i = 0; words[i] != NULL; i++)
        if (str_find(line, str_from_c(words[i])) >= 0)
            return true;
    return false;
}

static bool
starts_with_one_of(struct str line, const char *const *words)
{
    for (size_t i = 0; words[i] != NULL; i++)
        if (str_starts_with(line, str_from_c(words[i])))
            return true;
    return false;
}

/* How many lines, beginning here, announce a quotation: "On Monday, Ada wrote:". */
static size_t
announcement(const struct lines *lines, size_t at)
{
    static const char *const starts[] = {"On ", "Am ",  "Le ",     "El ",  "Il ", "Op ",
                                         "Em ", "Den ", "W dniu ", "Dne ", "På ", NULL};
    static const char *const verbs[] = {"wrote",      "schrieb",   "a écrit",  "escribió",
                                        "ha scritto", "schreef",   "escreveu", "skrev",
                                        "napisał",    "napsal(a)", NULL};
    bool has_verb = false;

    if (!starts_with_one_of(str_trim(lines->items[at].text), starts))
        return 0;
    for (size_t i = at; i < lines->count && i < at + ANNOUNCEMENT_LINES; i++) {
        struct str line = str_trim(lines->items[i].text);

        has_verb = has_verb || contains_one_of(line, verbs);
        if (line.len == 0)
            return 0;
        if (str_ends_with(line, STR(":")))
            return has_verb ? i - at + 1 : 0;
    }
    return 0;
}

static bool
is_divider(struct str line)
{
    static const char *const words[] = {"Original Message",          "Original message",
                                        "Original Appointment",      "Forwarded message",
                                        "Forwarded Message",         "Ursprüngliche Nachricht",
                                        "Weitergeleitete Nachricht", "Message d'origine",
                                        "Message transféré",         "Mensaje original",
                                        "Messaggio originale",       "Mensagem original",
                                        "Oorspronkelijk bericht",    NULL};

    return str_starts_with(line, STR("--")) && str_ends_with(line, STR("--")) &&
           contains_one_of(line, words);
}

/* Outlook's block: a line of From, and soon the others. */
static bool
begins_block(const struct lines *lines, size_t at)
{
    static const char *const from[] = {
        "From: ", "Von: ", "De : ", "De: ", "Da: ", "Van: ", "Från: ", "*From:*", NULL};
    static const char *const others[] = {
        "Sent:",    "Date:",    "To:",      "Subject:", "Gesendet:",  "Datum:",
        "An:",      "Betreff:", "Envoyé",   "À :",      "Objet",      "Enviado",
        "Para:",    "Asunto:",  "Inviato:", "Oggetto:", "Verzonden:", "Onderwerp:",
        "Assunto:", "Skickat:", "*Sent:*",  "*Date:*",  "*To:*",      NULL};
    size_t found = 0;

    if (!starts_with_one_of(str_trim(lines->items[at].text), from))
        return false;
    for (size_t i = at + 1; i < lines->count && i <= at + 5; i++)
        found += starts_with_one_of(str_trim(lines->items[i].text), others);
    return found >= 2;
}

static bool
is_rule(struct str line)
{
    for (size_t i = 0; i < line.len; i++)
        if (line.ptr[i] != '_')
            return false;
    return line.len >= 10;
}

/* Whether everything from this line on is of mails before. */
static bool
begins_rest(const struct lines *lines, size_t at)
{
    struct str line = str_trim(lines->items[at].text);

    if (is_divider(line) || begins_block(lines, at))
        return true;
    return is_rule(line) && at + 1 < lines->count && begins_block(lines, at + 1);
}

static bool
begins_signature(struct str line)
{
    static const char *const phones[] = {"Sent from my ",         "Von meinem ", "Envoyé de mon ",
                                         "Enviado desde mi ",     "Inviato da ", "Get Outlook for ",
                                         "Verzonden vanaf mijn ", NULL};

    if (str_eq_c(line, "-- ") || str_eq_c(line, "--"))
        return true;
    return line.len < 80 && starts_with_one_of(line, phones);
}

static bool
is_quoted(struct str line)
{
    return str_starts_with(line, STR(">"));
}

static void
append_line(struct buf *out, struct str line)
{
    buf_append(out, line);
    buf_append_byte(out, '\n');
}

static struct str
take(struct buf *buf, struct arena *arena)
{
    struct str text = arena_str(arena, str_trim(buf_str(buf)));

    buf_deinit(buf);
    return text.len == 0 ? STR("") : text;
}

void
email_quote_strip(struct str text, struct arena *arena, struct email_text *text_out)
{
    struct lines lines = split_lines(text, arena);
    struct buf visible, quoted, signature;
    bool in_signature = false;

    buf_init(&visible, text.len + lines.count + 1);
    buf_init(&quoted, text.len + lines.count + 1);
    buf_init(&signature, text.len + lines.count + 1);
    for (size_t i = 0; i < lines.count; i++) {
        struct str line = lines.items[i].text;
        size_t announced = announcement(&lines, i);

        if (begins_rest(&lines, i)) {
            buf_append(&quoted, str_sub(text, lines.items[i].start, text.len));
            break;
        }
        if (announced > 0) {
            for (size_t k = 0; k < announced; k++)
                append_line(&quoted, lines.items[i + k].text);
            i += announced - 1;
            in_signature = false;
            /* Web mail quotes without signs: then all that follows is old. */
            while (i + 1 < lines.count && str_trim(lines.items[i + 1].text).len == 0)
                append_line(&quoted, lines.items[++i].text);
            if (i + 1 < lines.count && !is_quoted(lines.items[i + 1].text)) {
                buf_append(&quoted, str_sub(text, lines.items[i + 1].start, text.len));
                break;
            }
        } else if (is_quoted(line)) {
            append_line(&quoted, line);
            in_signature = false;
        } else {
            in_signature = in_signature || begins_signature(line);
            append_line(in_signature ? &signature : &visible, line);
        }
    }
    text_out->visible = take(&visible, arena);
    text_out->quoted = take(&quoted, arena);
    text_out->signature = take(&signature, arena);
    if (text_out->visible.len == 0)
        *text_out = (struct email_text){str_trim(text), STR(""), STR("")};
}
