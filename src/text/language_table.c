/*
 * language_table.c - what is known of each language: stemmer, stop words, elisions
 *
 * Stop words are function words; they carry no subject, so the index does not count them, and they
 * are frequent, so they tell the language. Written in lower case without apostrophes; accents as
 * the language has them or without, where it folds them.
 */
#include "text/text_private.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

static const struct text_language_row rows[LANG_COUNT] = {
    [LANG_EN] =
        {"en", "english",
         "a about above after again against all also am an and any are arent as at be because been "
         "before being below between both but by can cannot cant could couldnt did didnt do does "
         "doesnt "
         "doing dont down during each else ever few for from further had hadnt has hasnt have "
         "havent "
         "having he her here hers herself hi him himself his how however i id if ill im in into is "
         "isnt "
         "it itd itll its itself ive just let lets may me might more most must my myself no nor "
         "not of "
         "off on once only or other ought our ours ourselves out over own please quite rather same "
         "shall "
         "she should shouldnt so some such than that thats the their theirs them themselves then "
         "there "
         "theres these they theyd theyll theyre theyve this those though through thus to too under "
         "until "
         "up upon us very was wasnt we were werent weve what whats when where wheres whether which "
         "while "
         "who whom whos whose why will with without wont would wouldnt yes yet you youd youll your "
         "youre "
         "yours yourself yourselves youve",
         false, NULL},
    [LANG_DE] = {"de", "german",
                 "aber alle allem allen aller alles als also am an ander andere anderem anderen "
                 "anderer anderes "
                 "auch auf aus bei beim bin bis bist bitte da dabei dadurch dafur dagegen daher "
                 "damit danach dann "
                 "daran darauf daraus darf das dass dazu dein deine deinem deinen deiner dem den "
                 "denn der deren "
                 "des dessen dich die dies diese diesem diesen dieser dieses dir doch dort du "
                 "durch ein eine einem "
                 "einen einer eines einige einigen einiger er es etwa etwas euch euer eure eurem "
                 "euren fur gegen "
                 "gewesen hab habe haben habt hat hatte hatten hier hin hinter ich ihm ihn ihnen "
                 "ihr ihre ihrem "
                 "ihren ihrer im in indem ins ist ja jede jedem jeden jeder jedes jene jenem jenen "
                 "jener jenes "
                 "jetzt kann kannst kein keine keinem keinen keiner konnen konnte konnten man "
                 "manche mehr mein "
                 "meine meinem meinen meiner mich mir mit mochte muss mussen musste nach nein "
                 "nicht nichts noch "
                 "nun nur ob oder ohne schon sehr sein seine seinem seinen seiner seit selbst sich "
                 "sie sind so "
                 "solche solchem solchen soll sollen sollte sondern sonst sowie uber um und uns "
                 "unser unsere "
                 "unserem unseren unserer unter viel vom von vor wahrend wann war waren warst "
                 "warum was weg weil "
                 "weiter welche welchem welchen welcher welches wenn wer werde werden wie wieder "
                 "wieso will wir "
                 "wird wo wohin wollen wurde wurden zu zum zur zwar zwischen",
                 false, NULL},
    [LANG_FR] = {"fr", "french",
                 "a afin ai ainsi ait alors apres as assez au aucun aucune aujourdhui auquel aura "
                 "aurait aussi "
                 "autre autres aux avait avant avec avez avoir avons beaucoup bien c ca car ce "
                 "ceci cela celle "
                 "celles celui cependant ces cet cette ceux chaque chez ci combien comme comment d "
                 "dans de depuis "
                 "des deux doit donc dont du elle elles en encore entre est et etaient etait etant "
                 "ete etes etre "
                 "eu fait faut furent fut ici il ils j je jusqu l la laquelle le lequel les "
                 "lesquelles lesquels "
                 "leur leurs lors lorsqu lorsque lui m ma mais me meme memes mes moi moins mon n "
                 "ne ni non nos "
                 "notre nous on ont ou par parce pas pendant peu peut peuvent plus pour pourquoi "
                 "pouvez puis qu "
                 "quand que quel quelle quelles quelque quelques quels qui quoi s sa sans se sera "
                 "serait ses si "
                 "sien soit sommes son sont sous suis sur t ta tandis te tel telle tes toi ton "
                 "tous tout toute "
                 "toutes tres tu un une vers veux voici voila vos votre vous vu y",
                 false, "l d j qu n s t m c lorsqu puisqu jusqu quoiqu"},
    [LANG_ES] = {"es", "spanish",
                 "a ademas al algo alguna algunas alguno algunos algun ante antes aquel aquella "
                 "aquellas aquello "
                 "aquellos aqui asi aun aunque bajo bien cada casi como con contra cual cuales "
                 "cuando cuanto "
                 "cuantos cuya cuyo de debe debo del desde donde dos durante e el ella ellas ello "
                 "ellos en entre "
                 "era eran eras eres es esa esas ese eso esos esta estaba estaban estado estamos "
                 "estan estar estas "
                 "este esto estos estoy fue fueron fui gran ha haber habia habian han has hasta "
                 "hay haya he hemos "
                 "hola la las le les lo los mas me mi mia mio mis mucha muchas mucho muchos muy "
                 "nada ni no nos "
                 "nosotras nosotros nuestra nuestras nuestro nuestros o os otra otras otro otros "
                 "para pero poco "
                 "por porque puede pueden puedo pues que quien quienes quiero se sea sean segun "
                 "ser si sido siempre "
                 "sin sino sobre solo somos son soy su sus suya suyo tal tambien tampoco tan tanto "
                 "te tener tengo "
                 "ti tiene tienen toda todas todo todos tras tu tus tuya tuyo un una unas uno unos "
                 "usted ustedes "
                 "vosotras vosotros vuestra vuestro y ya yo",
                 false, NULL},
    [LANG_IT] =
        {"it", "italian",
         "a abbia abbiamo ad agli ai al alcuna alcune alcuni all alla alle allo allora altra altre "
         "altri "
         "altro anche ancora avere aveva avevano avete c che chi ci cio coi col come con contro "
         "cosa cosi "
         "cui d da dagli dai dal dall dalla dalle dallo dei degli del dell della delle dello deve "
         "devo di "
         "dopo dove due e ed ebbe era erano essere fa fanno fare fino fra fu furono gia gli ha hai "
         "hanno "
         "ho i il in io l la le lei li lo loro lui ma me mentre mi mia mie miei mio molta molte "
         "molti molto "
         "ne negli nei nel nell nella nelle nello no noi non nostra nostre nostri nostro o ogni "
         "oppure per "
         "perche pero piu poi possiamo posso prima puo pure qual quale quali quando quanta quante "
         "quanti "
         "quanto quasi quella quelle quelli quello questa queste questi questo qui quindi sara se "
         "sei "
         "sempre senza si sia siamo siano siete sono sopra sta stata state stati stato su sua sue "
         "sugli sui "
         "sul sull sulla sulle sullo suo suoi tra tu tua tue tuo tuoi tutta tutte tutti tutto un "
         "una uno "
         "vi voi vorrei vostra vostre vostri vostro",
         false,
         "l un d c all dall dell nell sull coll quest quell dov com cos s m t v n tutt anch"},
    [LANG_PT] = {"pt", "portuguese",
                 "a agora ainda alem algo alguem algum alguma algumas alguns ali ao aos apenas "
                 "apos aquela aquelas "
                 "aquele aqueles aquilo as assim ate atraves bem cada com como contra cujo da "
                 "daquela daquele das "
                 "de dela delas dele deles depois desde dessa desse desta deste deve devo disso do "
                 "dois dos "
                 "durante e ela elas ele eles em enquanto entao entre era eram essa essas esse "
                 "esses esta estamos "
                 "estao estar estas estava estavam este estes estou eu faz foi fomos for foram "
                 "fosse ha havia isso "
                 "isto ja la lhe lhes lo mais mas me mesma mesmo meu meus minha minhas muita "
                 "muitas muito muitos "
                 "na nada nao nas nem nenhum nenhuma nessa nesse nesta neste no nos nossa nossas "
                 "nosso nossos num "
                 "numa o onde os ou outra outras outro outros para pela pelas pelo pelos pode "
                 "podem pois por "
                 "porem porque posso pouco pra qual quais quando quanto que quem quero sao se sem "
                 "sempre sendo ser "
                 "sera seu seus si sido sim so sob sobre somos sou sua suas tal tambem tanto te "
                 "tem temos tenho "
                 "ter teu teus tinha toda todas todo todos tu tua tuas tudo um uma umas uns vez "
                 "voce voces vos",
                 false, NULL},
    [LANG_NL] = {"nl", "dutch",
                 "aan aangaande af al alle alleen alles als altijd ander andere anders ben bent "
                 "bij binnen boven "
                 "daar daarna daarom dan dat de den der deze die dit doch doe doen door dus een "
                 "eens elk elke en "
                 "enige er erg etc even ge geen geweest haar had hadden heb hebben hebt heeft hem "
                 "hen het hier "
                 "hij hoe hoewel hun ie iemand iets ik in is ja je jij jouw jullie kan kon konden "
                 "kunnen kunt maar "
                 "mag me meer men met mij mijn moet moeten mogen na naar nadat net niemand niet "
                 "niets nog nu of om "
                 "omdat ons onze ook op over reeds sinds te tegen tijdens toch toen tot tussen u "
                 "uit uw van vanaf "
                 "vanuit veel via volgens voor vooral waar waarom wanneer want waren was wat we "
                 "weer wel welk "
                 "welke werd werden wie wij wil worden wordt wou zal ze zei zelf zich zij zijn zo "
                 "zoals zonder zou "
                 "zouden zowel zullen",
                 false, NULL},
    [LANG_SV] = {"sv", "swedish",
                 "alla allt att av blev bli blir da de dem den denna deras dess det detta dig din "
                 "dina ditt du dar "
                 "då där eller en er ert ett från för ha hade han hans har henne hennes hon honom "
                 "hur här i icke "
                 "ingen inom inte jag ju kan kunde man med mellan men mig min mina mitt mot mycket "
                 "ni nu när någon "
                 "något några och om oss på samma sedan sig sin sina sitta själv skulle som så "
                 "sådan till under upp "
                 "ut utan vad var vara varför varit varje vars vem vi vid vilka vilken vilket vår "
                 "våra vårt än är "
                 "åt över ska vill måste också finns",
                 true, NULL},
    [LANG_DA] = {"da", "danish",
                 "ad af alle alt anden at blev blive bliver da de dem den denne der deres det "
                 "dette dig din disse "
                 "dog du efter eller en end er et for fra ham han hans har havde have hende hendes "
                 "her hos hun "
                 "hvad hvis hvor hvordan i ikke ind jeg jer jo kan kunne man mange med meget men "
                 "mig min mine mit "
                 "mod ned noget nogle nu når og også om op os over på selv sig sin sine sit skal "
                 "skulle som sådan "
                 "thi til ud under var vi vil ville vor være været af hvornår hvorfor gør",
                 true, NULL},
    [LANG_NO] = {"no", "norwegian",
                 "alle at av bare begge ble bli blir da de deg dei dem den denne der dere deres "
                 "det dette di din "
                 "disse dit du eller en enn er et ett etter for fordi fra før ha hadde han hans "
                 "har henne hennes "
                 "her hun hva hvem hver hvilken hvis hvor hvordan hvorfor i ikke ingen inn ja jeg "
                 "kan kom kunne man "
                 "mange med meg meget men mer min mitt mot mye ned noe noen nå når og også om opp "
                 "oss over på samme "
                 "seg selv sin sine sitt skal skulle slik som så til ut uten var ved vi vil ville "
                 "vår være vært",
                 true, NULL},
    [LANG_FI] = {"fi", "finnish",
                 "ei eivät emme en että he hän häntä ja jo joka jos jotka jälkeen kanssa koska "
                 "kuin kuinka kun "
                 "kuten me mihin mikä minkä minun minä missä mistä mitä mukaan mutta myös ne niin "
                 "nyt näin olen "
                 "oli olisi olla on ovat sekä se sen siellä sinun sinä siitä sitä tai te tämä "
                 "tämän tässä vain "
                 "voi voin voiko vielä",
                 true, NULL},
    [LANG_PL] = {"pl", NULL,
                 "a aby albo ale bardzo bez być był była było być bo czy co dla do gdy gdzie go i "
                 "ich ile ja jak "
                 "jaki jako je jego jej jest jestem już każdy kiedy kto która które który ma mam "
                 "może mnie mój moja "
                 "mi między na nad nie niż o od on ona oni ono oraz po pod przed przez przy się są "
                 "sobie tak także "
                 "tam te tego tej ten to tu tylko tym w we wszystko za ze z że żeby",
                 true, NULL},
    [LANG_CS] = {"cs", NULL,
                 "a aby aj ale ani asi až bez být byl byla bylo co což či do jak jako je jeho jej "
                 "její jen ještě "
                 "jsem jsme jsou k kde kdo kdy když která které který mám máte má mezi může můžu "
                 "my na nad nebo "
                 "není než o od on ona oni po pod podle pokud pro proč protože před při s se si "
                 "svůj tak také tam "
                 "ten tento to tu ty už v ve více však všechny z za ze že",
                 true, NULL},
    [LANG_RO] = {"ro", "romanian",
                 "a acest aceasta acestea ai al ale am ar are as asta au avea ca care ce cel cu "
                 "cum cand da daca "
                 "de decat deci din dintre doar dupa ea ei el ele era este eu fara fi fie foarte "
                 "fost iar ii il in "
                 "inca intre isi la le lor lui mai mea meu mi mult ne nici noi nu o ori pe pentru "
                 "pana poate prin "
                 "sa sau se si sunt suntem tot toate un una unde unei unor unui va voi vor",
                 false, NULL},
    [LANG_HU] = {"hu", "hungarian",
                 "a ahol aki akkor alatt amely ami amikor az azok azt be csak de e egy egyik el ez "
                 "ezt és fel ha "
                 "hanem hogy hogyan igen is itt jó ki kell kérem le lehet lesz lett maga már meg "
                 "mert mi mikor "
                 "milyen minden mint miért mit most nagyon ne nem nincs ő ők össze s sem szerint "
                 "után utána vagy "
                 "vagyok van vannak vissza volt volna",
                 true, NULL},
    [LANG_TR] = {"tr", "turkish",
                 "acaba ama ancak bana bazı belki ben bence beni benim bir biri biz bize bu buna "
                 "bunda bunu bunun "
                 "çok çünkü da daha de değil diye en gibi hem hep hepsi her hiç için ile ise kadar "
                 "ki kim mi mı mu "
                 "mü nasıl ne neden nerede niçin o olan olarak oldu olduğu olur ona onlar onu onun "
                 "sen senin siz "
                 "sonra şey şu ta tüm var ve veya ya yani yok",
                 true, NULL},
    [LANG_ID] = {"id", "indonesian",
                 "ada adalah agar akan aku anda apa apakah atau bagaimana bahwa bisa bukan dalam "
                 "dan dapat dari "
                 "dengan di dia harus hanya ini itu jika juga kami kamu karena ke kepada ketika "
                 "kita lagi maka "
                 "mana masih mengapa mereka oleh pada para saat saja saya sebagai secara sedang "
                 "sudah telah tentang "
                 "tersebut tetapi tidak untuk yang",
                 false, NULL},
    [LANG_CA] = {"ca", "catalan",
                 "a al als amb aquell aquesta aquest aquests aixo així aqui com d de del dels des "
                 "doncs el ella "
                 "els em en entre era es esta estan et fins ha han hi ho i ja jo l la les li "
                 "llavors m mes meu "
                 "molt molts n nosaltres o on per pero perque pot puc qual quan que qui quin quina "
                 "s sense ser seu "
                 "si sobre son soc te també tan tots tu un una unes uns va vostre",
                 false, "l d n s m t"},
    [LANG_RU] =
        {"ru", "russian",
         "а без более бы был была были было быть в вам вас весь во вот все всего всех вы где да "
         "даже для "
         "до его ее если есть еще же за здесь и из или им их к как какая какой ко когда кто ли "
         "либо мне "
         "может можно мой моя мы на над надо наш не него нет ни них но ну о об однако он она они "
         "оно от "
         "очень по под после потом потому почему при про с сам свой себя со так также такой там "
         "тебя тем "
         "то того тоже только том ты у уже хотя чего чей чем что чтобы чье эта эти это этот я",
         false, NULL},
    [LANG_UK] = {"uk", NULL,
                 "а або але без був була були було бути в вам вас ви від він вона вони все всі де "
                 "для до дуже є же "
                 "з за зі і із інші його її їх й коли ли мене мені ми можна може на навіть над нам "
                 "нас не немає ні "
                 "ніж о один по під після при про та так також там те ти тим то тобто того тому "
                 "тут у хто це цей "
                 "ця ці чи чому щоб що як яка які який якщо я",
                 false, NULL},
    [LANG_EL] = {"el", "greek",
                 "αλλα αν αντι απο αυτα αυτη αυτο αυτος για δεν εαν ειμαι ειναι εκεινα εκεινη "
                 "εκεινο εκεινος ενα "
                 "ενας επι η θα και κατα κι μα με μετα μη μην μια μπορω να ο οι ομως οπως οσο οτι "
                 "παρα ποια ποιο "
                 "ποιος που πως προς σε στη στην στο στον στους στις τα της τι τις το τον του τους "
                 "των τη την ως",
                 false, NULL},
    [LANG_AR] = {"ar", "arabic",
                 "في من على إلى الى عن مع هذا هذه ذلك تلك التي الذي الذين اللذين ما ماذا متى أين "
                 "كيف لماذا هل كم "
                 "هو هي هم هن أنا نحن أنت أنتم كان كانت يكون تكون ليس ليست لا لم لن قد لقد إن أن "
                 "ان او أو ثم بل "
                 "لكن حتى كل بعض غير بين عند عندما بعد قبل فوق تحت كما إذا اذا و يا أي اي",
                 false, NULL},
};

const struct text_language_row *
text_language_row(enum text_language_id id)
{
    return &rows[id];
}

enum text_language_id
text_language_find(struct str code)
{
    if (str_eq(code, STR("nb")) || str_eq(code, STR("nn")))
        return LANG_NO;
    for (int id = 0; id < LANG_COUNT; id++)
        if (str_eq_c(code, rows[id].code))
            return (enum text_language_id)id;
    return LANG_NONE;
}

/* All stop words of all languages in one table, built once and then frozen: one look-up tells a
 * word's languages, where twenty sorted lists would need twenty. */
#define STOP_SLOTS 8192
#define STOP_BYTES 32768

struct stop_slot {
    struct str word;
    uint32_t languages;
};

/* Process-wide: made from the constant rows by the first who asks, then frozen. */
static struct stop_slot stop_slots[STOP_SLOTS];
/* Process-wide: the bytes of the words in stop_slots, frozen with them. */
static char stop_bytes[STOP_BYTES];
/* Process-wide: who asks first. */
static pthread_once_t stop_once = PTHREAD_ONCE_INIT;

static struct stop_slot *
stop_slot_of(struct str word)
{
    uint32_t at =
        2166136261u; /* FNV-1a: as good, and half as long, as a keyed hash for own words */

    for (size_t i = 0; i < word.len; i++)
        at = (at ^ (unsigned char)word.ptr[i]) * 16777619u;
    at ^= at >> 15;
    for (at %= STOP_SLOTS; stop_slots[at].languages != 0; at = (at + 1) % STOP_SLOTS)
        if (str_eq(stop_slots[at].word, word))
            break;
    return &stop_slots[at];
}

static void
stop_words_build(void)
{
    size_t used = 0, bytes = 0;

    for (int id = 0; id < LANG_COUNT; id++) {
        struct str rest = str_from_c(rows[id].stop_words), word;

        while (str_split(&rest, ' ', &word)) {
            struct stop_slot *slot;

            assert(bytes + TEXT_FOLD_MAX < STOP_BYTES);
            word = text_fold(word, (enum text_language_id)id, stop_bytes + bytes);
            slot = stop_slot_of(word);
            if (slot->languages == 0) {
                slot->word = word;
                bytes += word.len;
                used++;
            }
            assert(used < STOP_SLOTS / 2);
            slot->languages |= 1u << id;
        }
    }
}

uint32_t
text_stop_word_languages(struct str folded)
{
    pthread_once(&stop_once, stop_words_build);
    return stop_slot_of(folded)->languages;
}
