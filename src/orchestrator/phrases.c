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
      "Hello! How can I help you?", "You are welcome!",
      "To go on here from another channel, send us this code there within ten minutes. Give it to "
      "nobody else.",
      "I give such codes in private chats only. Please write to me directly.",
      "Done: I know now that this is you, and what we talked about there.",
      "Those are known as the same person already.",
      "This code is not valid, or not any more. Nothing was changed. Write /link for a new one.",
      "Those were too many tries. Please wait a minute."}},
    {"de",
     "German",
     {"Das habe ich in unseren Unterlagen nicht gefunden und möchte nicht raten. Jemand aus dem "
      "Team sieht sich Ihre Frage an und antwortet Ihnen hier.",
      "Gern. Ich gebe Sie an jemanden aus dem Team weiter; die Antwort kommt hier.",
      "Ich kann bisher nur Text lesen. Können Sie Ihre Frage in Worten schreiben?",
      "Guten Tag! Wie kann ich helfen?", "Gern geschehen!",
      "Um hier auf einem anderen Kanal weiterzumachen, senden Sie uns dort innerhalb von zehn "
      "Minuten diesen Code. Geben Sie ihn niemandem sonst.",
      "Solche Codes gebe ich nur in privaten Chats. Bitte schreiben Sie mir direkt.",
      "Erledigt: Ich weiß nun, dass Sie es sind und worüber wir dort gesprochen haben.",
      "Beide sind schon als dieselbe Person bekannt.",
      "Dieser Code gilt nicht oder nicht mehr. Es wurde nichts geändert. Mit /link bekommen Sie "
      "einen neuen.",
      "Das waren zu viele Versuche. Bitte warten Sie eine Minute."}},
    {"fr",
     "French",
     {"Je n'ai pas trouvé cela dans nos documents et je préfère ne pas deviner. Un collègue "
      "regardera votre question et vous répondra ici.",
      "Bien sûr. Je vous passe un collègue, qui vous répondra ici.",
      "Pour l'instant je ne lis que du texte. Pouvez-vous écrire votre question ?",
      "Bonjour ! Comment puis-je vous aider ?", "Avec plaisir !",
      "Pour continuer depuis un autre canal, envoyez-nous ce code là-bas dans les dix minutes. Ne "
      "le donnez à personne d'autre.",
      "Je ne donne ces codes que dans une conversation privée. Écrivez-moi directement, s'il vous "
      "plaît.",
      "C'est fait : je sais maintenant que c'est vous et de quoi nous avons parlé là-bas.",
      "Les deux sont déjà connus comme la même personne.",
      "Ce code n'est pas valable, ou ne l'est plus. Rien n'a été changé. Écrivez /link pour en "
      "avoir un nouveau.",
      "Cela faisait trop d'essais. Attendez une minute, s'il vous plaît."}},
    {"es",
     "Spanish",
     {"No lo he encontrado en nuestros documentos y prefiero no adivinar. Un compañero mirará su "
      "pregunta y le responderá aquí.",
      "Por supuesto. Le paso con un compañero, que le responderá aquí.",
      "Por ahora solo puedo leer texto. ¿Puede escribir su pregunta con palabras?",
      "¡Hola! ¿En qué puedo ayudarle?", "¡De nada!",
      "Para seguir desde otro canal, envíenos allí este código en los próximos diez minutos. No se "
      "lo dé a nadie más.",
      "Solo doy estos códigos en chats privados. Escríbame directamente, por favor.",
      "Hecho: ahora sé que es usted y de qué hablamos allí.",
      "Ya se conocen como la misma persona.",
      "Este código no es válido, o ya no lo es. No se ha cambiado nada. Escriba /link para recibir "
      "otro.",
      "Han sido demasiados intentos. Espere un minuto, por favor."}},
    {"it",
     "Italian",
     {"Non l'ho trovato nei nostri documenti e preferisco non tirare a indovinare. Un collega "
      "guarderà la sua domanda e le risponderà qui.",
      "Certo. La passo a un collega, che le risponderà qui.",
      "Per ora posso leggere solo testo. Può scrivere la sua domanda?",
      "Buongiorno! Come posso aiutarla?", "Prego!",
      "Per continuare da un altro canale, ci mandi lì questo codice entro dieci minuti. Non lo dia "
      "a nessun altro.",
      "Do questi codici solo nelle chat private. Mi scriva direttamente, per favore.",
      "Fatto: ora so che è lei e di che cosa abbiamo parlato lì.",
      "Sono già noti come la stessa persona.",
      "Questo codice non è valido, o non lo è più. Non è cambiato nulla. Scriva /link per averne "
      "un altro.",
      "I tentativi sono stati troppi. Attenda un minuto, per favore."}},
    {"pt",
     "Portuguese",
     {"Não encontrei isso nos nossos documentos e prefiro não adivinhar. Um colega verá a sua "
      "pergunta e responderá aqui.",
      "Claro. Vou passar a conversa a um colega, que responderá aqui.",
      "Por enquanto só consigo ler texto. Pode escrever a sua pergunta?", "Olá! Como posso ajudar?",
      "De nada!",
      "Para continuar a partir de outro canal, envie-nos lá este código dentro de dez minutos. Não "
      "o dê a mais ninguém.",
      "Só dou estes códigos em conversas privadas. Escreva-me diretamente, por favor.",
      "Feito: agora sei que é você e sobre o que falámos lá.",
      "Já são conhecidos como a mesma pessoa.",
      "Este código não é válido, ou já não é. Nada foi alterado. Escreva /link para receber outro.",
      "Foram demasiadas tentativas. Espere um minuto, por favor."}},
    {"nl",
     "Dutch",
     {"Ik heb dit niet in onze documenten gevonden en wil niet gokken. Een collega bekijkt uw "
      "vraag en antwoordt hier.",
      "Natuurlijk. Ik geef u door aan een collega, die hier antwoordt.",
      "Ik kan voorlopig alleen tekst lezen. Kunt u uw vraag in woorden schrijven?",
      "Hallo! Waarmee kan ik helpen?", "Graag gedaan!",
      "Om vanaf een ander kanaal verder te gaan, stuurt u ons daar binnen tien minuten deze code. "
      "Geef hem aan niemand anders.",
      "Zulke codes geef ik alleen in privégesprekken. Schrijf mij rechtstreeks, alstublieft.",
      "Klaar: ik weet nu dat u het bent en waarover we daar spraken.",
      "Beide zijn al bekend als dezelfde persoon.",
      "Deze code is niet geldig, of niet meer. Er is niets veranderd. Schrijf /link voor een "
      "nieuwe.",
      "Dat waren te veel pogingen. Wacht een minuut, alstublieft."}},
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
