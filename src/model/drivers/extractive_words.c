/*
 * extractive_words.c - the words the extractive answerer knows: question forms, months, numbers,
 * pronouns that point back, and its one sentence of its own
 *
 * English, German, French, Spanish, Italian, Portuguese, Dutch. A language that is not here is
 * answered too, by its terms alone.
 */
#include "model/drivers/extractive.h"

struct question_form {
    const char *language;
    const char *phrase; /* folded words with one space between */
    enum ex_want want;
};

/* Longer phrases first where one begins another: the first that fits wins. */
static const struct question_form forms[] = {
    {"en", "how many", EX_WANT_NUMBER},
    {"en", "how much", EX_WANT_NUMBER},
    {"en", "how long", EX_WANT_NUMBER},
    {"en", "how old", EX_WANT_NUMBER},
    {"en", "how far", EX_WANT_NUMBER},
    {"en", "how tall", EX_WANT_NUMBER},
    {"en", "how high", EX_WANT_NUMBER},
    {"en", "how large", EX_WANT_NUMBER},
    {"en", "how big", EX_WANT_NUMBER},
    {"en", "how often", EX_WANT_NUMBER},
    {"en", "how fast", EX_WANT_NUMBER},
    {"en", "what percentage", EX_WANT_NUMBER},
    {"en", "what percent", EX_WANT_NUMBER},
    {"en", "what proportion", EX_WANT_NUMBER},
    {"en", "what fraction", EX_WANT_NUMBER},
    {"en", "what number", EX_WANT_NUMBER},
    {"en", "which number", EX_WANT_NUMBER},
    {"en", "what year", EX_WANT_DATE},
    {"en", "which year", EX_WANT_DATE},
    {"en", "what years", EX_WANT_DATE},
    {"en", "what date", EX_WANT_DATE},
    {"en", "what day", EX_WANT_DATE},
    {"en", "what month", EX_WANT_DATE},
    {"en", "what decade", EX_WANT_DATE},
    {"en", "what century", EX_WANT_DATE},
    {"en", "what time", EX_WANT_DATE},
    {"en", "what city", EX_WANT_PLACE},
    {"en", "what country", EX_WANT_PLACE},
    {"en", "what state", EX_WANT_PLACE},
    {"en", "what place", EX_WANT_PLACE},
    {"en", "what location", EX_WANT_PLACE},
    {"en", "which city", EX_WANT_PLACE},
    {"en", "which country", EX_WANT_PLACE},
    {"en", "how do", EX_WANT_STEPS},
    {"en", "how can", EX_WANT_STEPS},
    {"en", "how to", EX_WANT_STEPS},
    {"en", "how should", EX_WANT_STEPS},
    {"en", "how would", EX_WANT_STEPS},
    {"en", "what is the price", EX_WANT_NUMBER},
    {"en", "what is the cost", EX_WANT_NUMBER},
    {"en", "what does it cost", EX_WANT_NUMBER},
    {"en", "cost", EX_WANT_NUMBER},
    {"en", "costs", EX_WANT_NUMBER},
    {"en", "what is", EX_WANT_DEFINITION},
    {"en", "what are", EX_WANT_DEFINITION},
    {"en", "what s", EX_WANT_DEFINITION},
    {"en", "what's", EX_WANT_DEFINITION},
    {"de", "kostet", EX_WANT_NUMBER},
    {"de", "kosten", EX_WANT_NUMBER},
    {"fr", "coûte", EX_WANT_NUMBER},
    {"fr", "coûtent", EX_WANT_NUMBER},
    {"es", "cuesta", EX_WANT_NUMBER},
    {"es", "cuestan", EX_WANT_NUMBER},
    {"it", "costa", EX_WANT_NUMBER},
    {"it", "costano", EX_WANT_NUMBER},
    {"pt", "custa", EX_WANT_NUMBER},
    {"pt", "custam", EX_WANT_NUMBER},
    {"nl", "kost", EX_WANT_NUMBER},
    {"nl", "kosten", EX_WANT_NUMBER},
    {"de", "was ist", EX_WANT_DEFINITION},
    {"de", "was sind", EX_WANT_DEFINITION},
    {"de", "was bedeutet", EX_WANT_DEFINITION},
    {"fr", "est ce que", EX_WANT_DEFINITION},
    {"fr", "c'est quoi", EX_WANT_DEFINITION},
    {"es", "qué es", EX_WANT_DEFINITION},
    {"es", "que es", EX_WANT_DEFINITION},
    {"es", "qué son", EX_WANT_DEFINITION},
    {"it", "cosa è", EX_WANT_DEFINITION},
    {"it", "cos'è", EX_WANT_DEFINITION},
    {"it", "cosa sono", EX_WANT_DEFINITION},
    {"pt", "que é", EX_WANT_DEFINITION},
    {"pt", "que são", EX_WANT_DEFINITION},
    {"nl", "wat is", EX_WANT_DEFINITION},
    {"nl", "wat zijn", EX_WANT_DEFINITION},
    {"en", "when", EX_WANT_DATE},
    {"en", "where", EX_WANT_PLACE},
    {"en", "who", EX_WANT_PERSON},
    {"en", "whom", EX_WANT_PERSON},
    {"en", "whose", EX_WANT_PERSON},
    {"en", "why", EX_WANT_REASON},
    {"de", "wie viele", EX_WANT_NUMBER},
    {"de", "wie viel", EX_WANT_NUMBER},
    {"de", "wieviele", EX_WANT_NUMBER},
    {"de", "wieviel", EX_WANT_NUMBER},
    {"de", "wie lange", EX_WANT_NUMBER},
    {"de", "wie alt", EX_WANT_NUMBER},
    {"de", "wie hoch", EX_WANT_NUMBER},
    {"de", "wie groß", EX_WANT_NUMBER},
    {"de", "wie gross", EX_WANT_NUMBER},
    {"de", "wie weit", EX_WANT_NUMBER},
    {"de", "wie oft", EX_WANT_NUMBER},
    {"de", "welchem jahr", EX_WANT_DATE},
    {"de", "welches jahr", EX_WANT_DATE},
    {"de", "wie kann", EX_WANT_STEPS},
    {"de", "wie bekomme", EX_WANT_STEPS},
    {"de", "wie mache", EX_WANT_STEPS},
    {"de", "wann", EX_WANT_DATE},
    {"de", "woher", EX_WANT_PLACE},
    {"de", "wohin", EX_WANT_PLACE},
    {"de", "wer", EX_WANT_PERSON},
    {"de", "wem", EX_WANT_PERSON},
    {"de", "wessen", EX_WANT_PERSON},
    {"de", "warum", EX_WANT_REASON},
    {"de", "weshalb", EX_WANT_REASON},
    {"de", "wieso", EX_WANT_REASON},
    {"de", "wo", EX_WANT_PLACE},
    {"fr", "combien", EX_WANT_NUMBER},
    {"fr", "quel pourcentage", EX_WANT_NUMBER},
    {"fr", "quelle année", EX_WANT_DATE},
    {"fr", "quelle annee", EX_WANT_DATE},
    {"fr", "quand", EX_WANT_DATE},
    {"fr", "où", EX_WANT_PLACE},
    {"fr", "qui", EX_WANT_PERSON},
    {"fr", "pourquoi", EX_WANT_REASON},
    {"fr", "comment", EX_WANT_STEPS},
    {"es", "cuántos", EX_WANT_NUMBER},
    {"es", "cuántas", EX_WANT_NUMBER},
    {"es", "cuánto", EX_WANT_NUMBER},
    {"es", "cuánta", EX_WANT_NUMBER},
    {"es", "cuantos", EX_WANT_NUMBER},
    {"es", "cuantas", EX_WANT_NUMBER},
    {"es", "cuanto", EX_WANT_NUMBER},
    {"es", "cuanta", EX_WANT_NUMBER},
    {"es", "qué año", EX_WANT_DATE},
    {"es", "que año", EX_WANT_DATE},
    {"es", "cuándo", EX_WANT_DATE},
    {"es", "cuando", EX_WANT_DATE},
    {"es", "dónde", EX_WANT_PLACE},
    {"es", "donde", EX_WANT_PLACE},
    {"es", "quién", EX_WANT_PERSON},
    {"es", "quiénes", EX_WANT_PERSON},
    {"es", "quien", EX_WANT_PERSON},
    {"es", "por qué", EX_WANT_REASON},
    {"es", "por que", EX_WANT_REASON},
    {"es", "cómo", EX_WANT_STEPS},
    {"es", "como", EX_WANT_STEPS},
    {"it", "quanti", EX_WANT_NUMBER},
    {"it", "quante", EX_WANT_NUMBER},
    {"it", "quanto", EX_WANT_NUMBER},
    {"it", "quanta", EX_WANT_NUMBER},
    {"it", "che anno", EX_WANT_DATE},
    {"it", "quale anno", EX_WANT_DATE},
    {"it", "quando", EX_WANT_DATE},
    {"it", "dove", EX_WANT_PLACE},
    {"it", "chi", EX_WANT_PERSON},
    {"it", "perché", EX_WANT_REASON},
    {"it", "perche", EX_WANT_REASON},
    {"it", "come", EX_WANT_STEPS},
    {"pt", "quantos", EX_WANT_NUMBER},
    {"pt", "quantas", EX_WANT_NUMBER},
    {"pt", "que ano", EX_WANT_DATE},
    {"pt", "qual ano", EX_WANT_DATE},
    {"pt", "onde", EX_WANT_PLACE},
    {"pt", "quem", EX_WANT_PERSON},
    {"pt", "porque", EX_WANT_REASON},
    {"pt", "porquê", EX_WANT_REASON},
    {"nl", "hoeveel", EX_WANT_NUMBER},
    {"nl", "hoe lang", EX_WANT_NUMBER},
    {"nl", "hoe oud", EX_WANT_NUMBER},
    {"nl", "hoe hoog", EX_WANT_NUMBER},
    {"nl", "hoe vaak", EX_WANT_NUMBER},
    {"nl", "hoe ver", EX_WANT_NUMBER},
    {"nl", "welk jaar", EX_WANT_DATE},
    {"nl", "wanneer", EX_WANT_DATE},
    {"nl", "waar", EX_WANT_PLACE},
    {"nl", "wie", EX_WANT_PERSON},
    {"nl", "waarom", EX_WANT_REASON},
    {"nl", "hoe", EX_WANT_STEPS},
};

/* True when the phrase's words stand at words[at...]; their number in *used_out. */
static bool
phrase_at(const char *phrase, const struct str *words, size_t count, size_t at, size_t *used_out)
{
    struct str rest = str_from_c(phrase), head;
    size_t used = 0;

    while (str_split(&rest, ' ', &head)) {
        if (at + used >= count || !str_eq(words[at + used], head))
            return false;
        used++;
    }
    *used_out = used;
    return true;
}

enum ex_want
ex_words_want(struct str language, const struct str *words, size_t count, size_t *at_out,
              size_t *used_out)
{
    struct str primary = str_sub(language, 0, 2);

    /* A word of one language is another's question word ("come", "wie"), so the language decides
     * unless it is unknown. The earliest form decides: "Who knows when ..." asks for a person. */
    for (size_t at = 0; at < count; at++) {
        for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
            if (primary.len > 0 && !str_eq_c(primary, forms[i].language))
                continue;
            if (phrase_at(forms[i].phrase, words, count, at, used_out)) {
                *at_out = at;
                return forms[i].want;
            }
        }
    }
    *at_out = 0;
    *used_out = 0;
    return EX_WANT_ANY;
}

bool
ex_words_is_form(struct str word)
{
    static const char *const list[] = {
        "name",   "named",    "call",      "called",   "kind",   "type",    "sort",    "term",
        "many",   "much",     "long",      "give",     "tell",   "please",  "thing",   "know",
        "happen", "happened", "explain",   "describe", "need",   "want",    "get",     "find",
        "use",    "used",     "according", "what",     "which",  "whose",   "would",   "could",
        "should", "heißt",    "heisst",    "genannt",  "welche", "welcher", "welches", "bitte",
        "nom",    "appelle",  "quel",      "quelle",   "quels",  "quelles", "nombre",  "llama",
        "cuál",   "cual",     "qué",       "nome",     "chiama", "quale",   "quali",   "chama",
        "qual",   "quais",    "naam",      "heet",     "welk",   "wat",     "was",     "wie",
        NULL};

    return str_is_one_of(word, list);
}

bool
ex_words_begins_with_capital(struct str word)
{
    if (word.len >= 1 && word.ptr[0] >= 'A' && word.ptr[0] <= 'Z')
        return true;
    /* Latin-1 and Greek, Cyrillic capitals as UTF-8: enough to see a name. */
    if (word.len >= 2) {
        unsigned char a = (unsigned char)word.ptr[0], b = (unsigned char)word.ptr[1];

        return (a == 0xC3 && b >= 0x80 && b <= 0x9E) || (a == 0xCE && b >= 0x91 && b <= 0xA9) ||
               (a == 0xD0 && b >= 0x90 && b <= 0xAF);
    }
    return false;
}

bool
ex_words_is_date(struct str word)
{
    static const char *const list[] = {
        "january",   "february",  "march",     "april",    "june",     "july",       "august",
        "september", "october",   "november",  "december", "monday",   "tuesday",    "wednesday",
        "thursday",  "friday",    "saturday",  "sunday",   "century",  "decade",     "januar",
        "februar",   "märz",      "juni",      "juli",     "oktober",  "dezember",   "jahrhundert",
        "janvier",   "février",   "mars",      "avril",    "juin",     "juillet",    "août",
        "septembre", "octobre",   "novembre",  "décembre", "siècle",   "enero",      "febrero",
        "marzo",     "abril",     "junio",     "julio",    "agosto",   "septiembre", "octubre",
        "noviembre", "diciembre", "siglo",     "gennaio",  "febbraio", "aprile",     "maggio",
        "giugno",    "luglio",    "settembre", "ottobre",  "dicembre", "secolo",     "janeiro",
        "fevereiro", "março",     "junho",     "julho",    "setembro", "outubro",    "novembro",
        "dezembro",  "século",    "januari",   "februari", "maart",    "augustus",   "eeuw",
        "monday's",  "maandag",   "montag",    "lundi",    "lunes",    "lunedì",     "bc",
        "ad",        "bce",       "ce",        NULL};

    return str_is_one_of(word, list);
}

bool
ex_words_is_number(struct str word)
{
    static const char *const list[] = {
        "one",     "two",      "three",   "four",     "five",     "six",       "seven",
        "eight",   "nine",     "ten",     "eleven",   "twelve",   "dozen",     "twenty",
        "thirty",  "forty",    "fifty",   "sixty",    "hundred",  "thousand",  "million",
        "billion", "trillion", "half",    "third",    "quarter",  "twice",     "once",
        "several", "percent",  "double",  "triple",   "thirteen", "fourteen",  "fifteen",
        "sixteen", "zwei",     "drei",    "vier",     "fünf",     "sechs",     "sieben",
        "acht",    "neun",     "zehn",    "hundert",  "tausend",  "millionen", "prozent",
        "hälfte",  "deux",     "trois",   "quatre",   "cinq",     "sept",      "huit",
        "neuf",    "dix",      "cent",    "mille",    "millions", "moitié",    "dos",
        "tres",    "cuatro",   "cinco",   "seis",     "siete",    "ocho",      "nueve",
        "diez",    "cien",     "mil",     "millones", "mitad",    "due",       "tre",
        "quattro", "cinque",   "sei",     "sette",    "otto",     "nove",      "dieci",
        "cento",   "mila",     "milioni", "metà",     "dois",     "duas",      "três",
        "quatro",  "sete",     "oito",    "dez",      "milhões",  "twee",      "drie",
        "vijf",    "zes",      "zeven",   "negen",    "tien",     "honderd",   "duizend",
        "miljoen", NULL};

    return str_is_one_of(word, list);
}

bool
ex_words_is_reason(struct str word)
{
    static const char *const list[] = {
        "because", "since",   "due",    "reason", "reasons", "cause",  "caused", "therefore",
        "thus",    "so",      "weil",   "da",     "denn",    "wegen",  "grund",  "deshalb",
        "car",     "puisque", "raison", "cause",  "afin",    "porque", "debido", "razón",
        "ya",      "perché",  "poiché", "causa",  "motivo",  "porquê", "razão",  "omdat",
        "want",    "doordat", "reden",  "order",  NULL};

    return str_is_one_of(word, list);
}

bool
ex_words_points_back(struct str word)
{
    static const char *const list[] = {
        "he",      "she",    "it",        "they",   "his",     "her",       "its",     "their",
        "this",    "these",  "those",     "such",   "that",    "him",       "them",    "both",
        "another", "others", "similarly", "then",   "thus",    "therefore", "hence",   "er",
        "sie",     "es",     "dies",      "diese",  "dieser",  "dieses",    "diesen",  "sein",
        "seine",   "ihre",   "ihr",       "dabei",  "dadurch", "daher",     "deshalb", "il",
        "elle",    "ils",    "elles",     "ce",     "cet",     "cette",     "ces",     "cela",
        "celui",   "celle",  "son",       "sa",     "ses",     "leur",      "leurs",   "él",
        "ella",    "ellos",  "ellas",     "esto",   "este",    "esta",      "estos",   "estas",
        "ese",     "esa",    "eso",       "su",     "sus",     "egli",      "ella",    "esso",
        "essa",    "essi",   "questo",    "questa", "questi",  "queste",    "suo",     "sua",
        "loro",    "ele",    "ela",       "eles",   "elas",    "isso",      "isto",    "esse",
        "seu",     "seus",   "suas",      "hij",    "zij",     "ze",        "het",     "dit",
        "deze",    "zijn",   "haar",      "hun",    NULL};

    return str_is_one_of(word, list);
}

bool
ex_words_is_demonstrative(struct str word)
{
    static const char *const list[] = {"this",   "these",  "those",  "such",  "dieser", "diese",
                                       "dieses", "diesem", "diesen", "cette", "ces",    "cet",
                                       "este",   "esta",   "estos",  "estas", "questo", "questa",
                                       "questi", "queste", "deze",   "dit",   NULL};

    return str_is_one_of(word, list);
}

bool
ex_words_is_connective(struct str word)
{
    static const char *const list[] = {"however",
                                       "moreover",
                                       "furthermore",
                                       "additionally",
                                       "also",
                                       "consequently",
                                       "nevertheless",
                                       "nonetheless",
                                       "meanwhile",
                                       "instead",
                                       "finally",
                                       "likewise",
                                       "jedoch",
                                       "außerdem",
                                       "ferner",
                                       "cependant",
                                       "toutefois",
                                       "ainsi",
                                       "enfin",
                                       "sin",
                                       "además",
                                       "finalmente",
                                       "tuttavia",
                                       "inoltre",
                                       "infine",
                                       "porém",
                                       "além",
                                       "entretanto",
                                       "echter",
                                       "bovendien",
                                       NULL};

    return str_is_one_of(word, list);
}

struct str
ex_words_no_answer(struct str language)
{
    static const struct {
        const char *language, *text;
    } sentences[] = {
        {"en", "I could not find the answer to this in the documents I have."},
        {"de", "In den Dokumenten, die mir vorliegen, habe ich darauf keine Antwort gefunden."},
        {"fr",
         "Je n’ai pas trouvé la réponse à cette question dans les documents dont je dispose."},
        {"es",
         "No he encontrado la respuesta a esta pregunta en los documentos de los que dispongo."},
        {"it", "Non ho trovato la risposta a questa domanda nei documenti a mia disposizione."},
        {"pt", "Não encontrei a resposta a esta pergunta nos documentos de que disponho."},
        {"nl", "Ik heb het antwoord op deze vraag niet gevonden in de documenten die ik heb."},
    };
    struct str primary = str_sub(language, 0, 2); /* "pt-BR" is "pt" */

    for (size_t i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++) {
        if (str_eq_nocase(primary, str_from_c(sentences[i].language)))
            return str_from_c(sentences[i].text);
    }
    return str_from_c(sentences[0].text);
}
