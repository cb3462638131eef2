/*
 * phrases.c - our own sentences in several languages
 */
#include "orchestrator/phrases.h"

static const struct {
    const char *code;
    const char *name;
    const char *texts[PHRASE_COUNT];
} languages[] = {
    {"en",
     "English",
     {"I could not find that in our documents, so I would rather not guess. A colleague will look "
      "at your question and answer you here.",
      "Of course. I am passing you on to a colleague, who will answer you here.",
      "I can only read text for now. Could you write your question in words?",
      "Hello! How can I help you?", "You are welcome!"}},
    {"de",
     "German",
     {"Das habe ich in unseren Unterlagen nicht gefunden und möchte nicht raten. Jemand aus dem "
      "Team sieht sich Ihre Frage an und antwortet Ihnen hier.",
      "Gern. Ich gebe Sie an jemanden aus dem Team weiter; die Antwort kommt hier.",
      "Ich kann bisher nur Text lesen. Können Sie Ihre Frage in Worten schreiben?",
      "Guten Tag! Wie kann ich helfen?", "Gern geschehen!"}},
    {"fr",
     "French",
     {"Je n'ai pas trouvé cela dans nos documents et je préfère ne pas deviner. Un collègue "
      "regardera votre question et vous répondra ici.",
      "Bien sûr. Je vous passe un collègue, qui vous répondra ici.",
      "Pour l'instant je ne lis que du texte. Pouvez-vous écrire votre question ?",
      "Bonjour ! Comment puis-je vous aider ?", "Avec plaisir !"}},
    {"es",
     "Spanish",
     {"No lo he encontrado en nuestros documentos y prefiero no adivinar. Un compañero mirará su "
      "pregunta y le responderá aquí.",
      "Por supuesto. Le paso con un compañero, que le responderá aquí.",
      "Por ahora solo puedo leer texto. ¿Puede escribir su pregunta con palabras?",
      "¡Hola! ¿En qué puedo ayudarle?", "¡De nada!"}},
    {"it",
     "Italian",
     {"Non l'ho trovato nei nostri documenti e preferisco non tirare a indovinare. Un collega "
      "guarderà la sua domanda e le risponderà qui.",
      "Certo. La passo a un collega, che le risponderà qui.",
      "Per ora posso leggere solo testo. Può scrivere la sua domanda?",
      "Buongiorno! Come posso aiutarla?", "Prego!"}},
    {"pt",
     "Portuguese",
     {"Não encontrei isso nos nossos documentos e prefiro não adivinhar. Um colega verá a sua "
      "pergunta e responderá aqui.",
      "Claro. Vou passar a conversa a um colega, que responderá aqui.",
      "Por enquanto só consigo ler texto. Pode escrever a sua pergunta?", "Olá! Como posso ajudar?",
      "De nada!"}},
    {"nl",
     "Dutch",
     {"Ik heb dit niet in onze documenten gevonden en wil niet gokken. Een collega bekijkt uw "
      "vraag en antwoordt hier.",
      "Natuurlijk. Ik geef u door aan een collega, die hier antwoordt.",
      "Ik kan voorlopig alleen tekst lezen. Kunt u uw vraag in woorden schrijven?",
      "Hallo! Waarmee kan ik helpen?", "Graag gedaan!"}},
};

#define LANGUAGE_COUNT (sizeof(languages) / sizeof(languages[0]))

static size_t
find_language(struct str language, size_t fallback)
{
    size_t i;

    for (i = 0; i < LANGUAGE_COUNT; i++)
        if (str_eq_nocase(str_sub(language, 0, 2), str_from_c(languages[i].code)))
            return i;
    return fallback;
}

struct str
phrase_get(enum phrase phrase, struct str language)
{
    return str_from_c(languages[find_language(language, 0)].texts[phrase]);
}

struct str
phrase_language_name(struct str language)
{
    size_t i = find_language(language, LANGUAGE_COUNT);

    if (i < LANGUAGE_COUNT)
        return str_from_c(languages[i].name);
    return language.len > 0 ? language : STR("the customer's language");
}
