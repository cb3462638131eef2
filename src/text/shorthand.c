/*
 * shorthand.c - what people write in chats for short, as the words that they mean
 */
#include "base/buf.h"
#include "text/text.h"

#define EXPANSION_MAX_BYTES 24

/* A word as text_terms folds it, and what it stands for. No word that has a meaning of its own in
 * its language ("sat", "ill"), and none that is a stop word without its apostrophe ("whats"),
 * unless that hides what is asked. */
static const struct {
    const char *language, *word, *means;
} shorthand[] = {
    {"en", "u", "you"},
    {"en", "ur", "your"},
    {"en", "r", "are"},
    {"en", "ya", "you"},
    {"en", "yall", "you"},
    {"en", "pls", "please"},
    {"en", "plz", "please"},
    {"en", "thx", "thanks"},
    {"en", "tnx", "thanks"},
    {"en", "ty", "thank you"},
    {"en", "tysm", "thank you"},
    {"en", "whens", "when is"},
    {"en", "wheres", "where is"},
    {"en", "hows", "how is"},
    {"en", "wat", "what"},
    {"en", "wher", "where"},
    {"en", "wen", "when"},
    {"en", "hrs", "hours"},
    {"en", "hr", "hour"},
    {"en", "yr", "year"},
    {"en", "yrs", "years"},
    {"en", "wk", "week"},
    {"en", "wks", "weeks"},
    {"en", "wknd", "weekend"},
    {"en", "tmrw", "tomorrow"},
    {"en", "tmr", "tomorrow"},
    {"en", "2day", "today"},
    {"en", "2nite", "tonight"},
    {"en", "2moro", "tomorrow"},
    {"en", "tues", "tuesday"},
    {"en", "weds", "wednesday"},
    {"en", "thurs", "thursday"},
    {"en", "b4", "before"},
    {"en", "gr8", "great"},
    {"en", "abt", "about"},
    {"en", "bc", "because"},
    {"en", "cuz", "because"},
    {"en", "btw", "by the way"},
    {"en", "idk", "i do not know"},
    {"en", "dunno", "do not know"},
    {"en", "lmk", "let me know"},
    {"en", "wanna", "want to"},
    {"en", "gonna", "going to"},
    {"en", "gotta", "have to"},
    {"en", "gimme", "give me"},
    {"en", "appt", "appointment"},
    {"en", "addr", "address"},
    {"en", "acct", "account"},
    {"en", "amt", "amount"},
    {"en", "qty", "quantity"},
    {"en", "pmt", "payment"},
    {"en", "pwd", "password"},
    {"en", "pw", "password"},
    {"en", "msg", "message"},
    {"en", "msgs", "messages"},
    {"en", "pic", "picture"},
    {"en", "pics", "pictures"},
    {"en", "dept", "department"},
    {"en", "approx", "about"},
    {"de", "u", "und"},
    {"de", "vllt", "vielleicht"},
    {"de", "evtl", "eventuell"},
    {"de", "bzgl", "bezüglich"},
    {"de", "wg", "wegen"},
    {"de", "gibts", "gibt es"},
    {"de", "gehts", "geht es"},
    {"de", "kriegt", "bekommt"},
    {"de", "nix", "nichts"},
    {"de", "ne", "eine"},
    {"de", "nen", "einen"},
    {"de", "nem", "einem"},
    {"de", "tel", "telefon"},
    {"de", "std", "stunden"},
    {"de", "thx", "danke"},
    {"de", "bissl", "bisschen"},
    {"fr", "bjr", "bonjour"},
    {"fr", "slt", "salut"},
    {"fr", "svp", "s'il vous plaît"},
    {"fr", "stp", "s'il te plaît"},
    {"fr", "pk", "pourquoi"},
    {"fr", "pq", "pourquoi"},
    {"fr", "qd", "quand"},
    {"fr", "vs", "vous"},
    {"fr", "ns", "nous"},
    {"fr", "bcp", "beaucoup"},
    {"fr", "rdv", "rendez-vous"},
    {"fr", "mtn", "maintenant"},
    {"fr", "dispo", "disponible"},
    {"fr", "tel", "téléphone"},
    {"fr", "jsp", "je ne sais pas"},
    {"fr", "mrc", "merci"},
    {"es", "q", "que"},
    {"es", "k", "que"},
    {"es", "xq", "por que"},
    {"es", "pq", "por que"},
    {"es", "x", "por"},
    {"es", "xfa", "por favor"},
    {"es", "porfa", "por favor"},
    {"es", "tb", "también"},
    {"es", "tmb", "también"},
    {"es", "dnd", "dónde"},
    {"es", "tlf", "teléfono"},
    {"es", "tel", "teléfono"},
    {"es", "hrs", "horas"},
    {"es", "finde", "fin de semana"},
};

/* Capitals alone are somebody's abbreviation ("HR", "the R language"), unless all is in capitals.
 */
static bool
is_in_capitals(struct str word)
{
    for (size_t i = 0; i < word.len; i++)
        if (word.ptr[i] >= 'a' && word.ptr[i] <= 'z')
            return false;
    return true;
}

static struct str
meaning_of(struct str language, struct str word)
{
    for (size_t i = 0; i < sizeof(shorthand) / sizeof(shorthand[0]); i++)
        if (str_eq_c(word, shorthand[i].word) && str_eq_c(language, shorthand[i].language))
            return str_from_c(shorthand[i].means);
    return STR_EMPTY;
}

struct str
text_spell_out(struct str text, struct str language, struct arena *arena)
{
    struct text_term *words;
    size_t count = text_terms(text, STR_EMPTY, arena, &words), at = 0;
    bool shouts = is_in_capitals(text);
    struct str spelled;
    struct buf out;

    buf_init(&out, text.len + count * EXPANSION_MAX_BYTES + 1);
    for (size_t i = 0; i < count; i++) {
        struct text_span span = words[i].span;
        struct str means = meaning_of(language, words[i].term);

        if (means.len == 0 ||
            (!shouts && is_in_capitals(str_sub(text, span.start, span.end - span.start))))
            continue;
        buf_append(&out, str_sub(text, at, span.start - at));
        buf_append(&out, means);
        at = span.end;
    }
    buf_append(&out, str_sub(text, at, text.len));
    spelled = at == 0 ? text : arena_str(arena, buf_str(&out));
    buf_deinit(&out);
    return spelled;
}
