/*
 * question_table.c - what people say when they ask, and what documents write for the same
 *
 * Everyday words of customers and staff, no trade's own: prices, hours, ways to reach somebody,
 * buying, bringing back, booking, mending, working. A row is found by its ways of asking ("how
 * much", "_" between the words) and by each of its words; it leads to its words alone. Words are
 * stemmed as the index stems them, so one form of each is enough, and irregular ones are written
 * out. A word may stand in several rows.
 */
#include "text/question_private.h"

const struct question_row question_rows[] = {
    /* --- English: sides of a subject --- */
    {"en", SIDE, "how_much how_expensive how_pricey quote",
     "price cost fee charge rate tariff euro dollar pound € $ £"},
    {"en", OWN_SIDE, "opening_hours opening_times what_time when_do when_are business_hours",
     "open hours closed close opening time"},
    {"en", OWN_SIDE,
     "where_are where_is where_do find_you find_your get_there get_to your_address the_address "
     "your_location",
     "address location street located directions find"},
    {"en", OWN_SIDE,
     "contact_you reach_you get_in_touch get_hold talk_to speak_to call_you phone_you email_you "
     "e_mail_you write_you message_you your_phone your_telephone your_number your_email "
     "your_e_mail phone_number",
     "contact telephone phone call mail e-mail reach"},
    {"en", SIDE, "how_long how_quickly how_fast how_soon how_late until_when",
     "minutes hours day week month year"},
    {"en", SIDE, "what_time", "am pm hour morning evening"},
    {"en", SIDE, "how_old", "age years"},
    {"en", SIDE, "how_far", "kilometres km miles distance"},
    {"en", SIDE, "who_do", "contact mail ask"},
    {"en", SIDE, "when_is when_are_the what_date what_day", "date day month week year every"},
    /* --- English: the same subject in other words --- */
    {"en", SUBJECT, NULL, "cost price"},
    {"en", SUBJECT, "for_free", "free gratis complimentary charge cost"},
    {"en", SUBJECT, NULL, "rent rental hire borrow lend loan lease"},
    {"en", SUBJECT, "bring_back send_back give_back take_back brought_back sent_back",
     "return exchange refund"},
    {"en", SUBJECT, "bring_back brought_back", "bringing back"},
    {"en", SUBJECT, "return_policy returns_policy refund_policy", "return exchange refund back"},
    {"en", SUBJECT, "money_back get_money paid_back", "refund reimburse repay return money back"},
    {"en", SUBJECT, NULL, "exchange swap change replace"},
    {"en", SUBJECT, NULL, "buy purchase bought"},
    {"en", SUBJECT, NULL, "repair fix mend"},
    {"en", SUBJECT, NULL, "maintenance service inspection check-up tune-up overhaul"},
    {"en", SUBJECT, NULL, "broken broke defective faulty damaged damage defect broken-down"},
    {"en", SUBJECT, NULL, "warranty guarantee"},
    {"en", SUBJECT, NULL, "covered cover include"},
    {"en", SUBJECT, NULL, "include contain comprise consist come"},
    {"en", SUBJECT, NULL, "deliver delivery ship send sent shipment shipping dispatch parcel"},
    {"en", SUBJECT, NULL, "shipping postage parcel delivery"},
    {"en", SUBJECT, NULL, "package parcel"},
    {"en", SUBJECT, NULL, "cancel cancellation withdraw terminate"},
    {"en", SUBJECT, "make_an_appointment", "book booking reserve reservation appointment schedule"},
    {"en", SUBJECT, "pick_up picked_up picking_up pickup", "collect collection fetch pick"},
    {"en", SUBJECT, NULL, "collect fetch picked"},
    {"en", SUBJECT, "drop_off bring_in hand_in", "leave drop drop-off"},
    {"en", SUBJECT, NULL, "voucher coupon"},
    {"en", SUBJECT, "gift_card", "voucher"},
    {"en", SUBJECT, "voucher gift_certificate", "gift card"},
    {"en", SUBJECT, NULL, "valid expire expiry validity"},
    {"en", SUBJECT, NULL, "discount reduction rebate percent % off less"},
    {"en", SUBJECT, NULL, "deposit security"},
    {"en", SUBJECT, NULL, "instalment installment financing finance monthly"},
    {"en", SUBJECT, NULL, "pay payment paid"},
    {"en", SUBJECT, "payment_method payment_option", "pay ways card cash"},
    {"en", SUBJECT, "credit_card debit_card", "bank card"},
    {"en", SUBJECT, NULL, "invoice bill receipt"},
    {"en", SUBJECT, NULL, "receipt proof"},
    {"en", SUBJECT, "identity_card id_card", "identity passport identification document"},
    {"en", SUBJECT, NULL, "id passport identity document"},
    {"en", SUBJECT, NULL, "complain complaint"},
    {"en", SUBJECT, NULL, "bike bicycle cycle"},
    {"en", SUBJECT, NULL, "ebike e-bike"},
    {"en", SUBJECT, NULL, "car vehicle auto"},
    {"en", SUBJECT, NULL, "child children kid kids"},
    {"en", SUBJECT, "daughter son baby toddler teenager teen minor", "child children years"},
    {"en", SUBJECT, "year_old years_old", "age years"},
    {"en", SUBJECT, NULL, "tyre tire"},
    {"en", SUBJECT, "flat_tyre flat_tire got_a_flat have_a_flat had_a_flat", "puncture"},
    {"en", SUBJECT, NULL, "colour color"},
    {"en", SUBJECT, NULL, "shop store"},
    {"en", SUBJECT, NULL, "workshop garage"},
    {"en", SUBJECT, "public_transport public_transportation",
     "bus tram train metro subway station"},
    {"en", SUBJECT, "bus metro subway underground", "tram bus train station"},
    {"en", SUBJECT, NULL, "taxi cab"},
    {"en", SUBJECT, "car_park", "parking"},
    {"en", SUBJECT, "wheelchair disabled accessible accessibility",
     "ramp lift step wheelchair barrier"},
    {"en", SUBJECT, "abroad overseas internationally international foreign",
     "abroad country countries international"},
    {"en", SUBJECT, "another_country other_countries", "abroad"},
    {"en", SUBJECT,
     "france germany austria switzerland italy spain portugal belgium netherlands holland "
     "luxembourg "
     "denmark sweden norway finland iceland ireland scotland england britain uk poland czechia "
     "hungary greece turkey croatia romania ukraine europe usa america canada mexico brazil "
     "argentina australia zealand india china japan korea singapore israel",
     "abroad country international worldwide"},
    {"en", SUBJECT, NULL, "human person people somebody agent colleague employee"},
    {"en", SUBJECT, NULL, "manager boss manage owner head run"},
    {"en", SUBJECT, NULL, "supervisor manager boss"},
    {"en", SUBJECT, NULL, "colleague coworker employee staff team"},
    {"en", SUBJECT, NULL, "phone telephone mobile call"},
    {"en", SUBJECT, NULL, "email e-mail mail"},
    {"en", SUBJECT, NULL, "chat message"},
    {"en", SUBJECT, NULL, "data information personal"},
    {"en", SUBJECT, NULL, "delete erase remove deleted"},
    {"en", SUBJECT, NULL, "keep store retain save"},
    {"en", SUBJECT, "share give_to", "sell see pass share"},
    {"en", SUBJECT, NULL, "vacation holiday leave"},
    {"en", SUBJECT, "day_off days_off time_off", "leave vacation holiday"},
    {"en", SUBJECT, NULL, "sick ill illness sickness"},
    {"en", SUBJECT, NULL, "funeral bereavement"},
    {"en", SUBJECT, "maternity paternity", "parental"},
    {"en", SUBJECT, NULL, "quit resign leave leaving"},
    {"en", SUBJECT, NULL, "salary pay wage"},
    {"en", SUBJECT, NULL, "approve approval permission"},
    {"en", SUBJECT, NULL, "allowed permitted ok okay may"},
    {"en", SUBJECT, NULL, "eligible eligibility entitled qualify"},
    {"en", SUBJECT, NULL, "start begin beginning"},
    {"en", SUBJECT, NULL, "end finish"},
    {"en", SUBJECT, NULL, "maximum max most limit"},
    {"en", SUBJECT, NULL, "minimum min least"},
    {"en", SUBJECT, "smallest cheapest", "small minimum from"},
    {"en", SUBJECT, "biggest largest highest", "large maximum"},
    {"en", SUBJECT, NULL, "late delay overdue beyond"},
    {"en", SUBJECT, NULL, "early ahead advance before"},
    {"en", SUBJECT, NULL, "stolen theft steal thief"},
    {"en", SUBJECT, NULL, "lost lose missing without"},
    {"en", SUBJECT, NULL, "accident fall crash crashed"},
    {"en", SUBJECT, NULL, "course class lesson workshop training"},
    {"en", SUBJECT, NULL, "event meeting"},
    {"en", SUBJECT, NULL, "tour ride trip"},
    {"en", SUBJECT, NULL, "register sign enrol registration"},
    {"en", SUBJECT, "trade_in part_exchange", "trading old offer"},
    {"en", SUBJECT, NULL, "used second-hand secondhand"},
    {"en", SUBJECT, NULL, "loan replacement courtesy"},
    {"en", SUBJECT, NULL, "winter november december january february"},
    {"en", SUBJECT, NULL, "summer june july august"},
    {"en", SUBJECT, "christmas new_year xmas", "december january"},
    {"en", SUBJECT, "weekend", "saturday sunday"},
    {"en", SUBJECT, "weekday working_day", "monday tuesday wednesday thursday friday"},
    {"en", SUBJECT, "monday tuesday wednesday thursday friday", "weekdays"},
    {"en", SUBJECT, NULL, "daily day"},
    {"en", SUBJECT, NULL, "clothes clothing jacket jersey shirt shoes"},
    {"en", SUBJECT, NULL, "goods item product article"},
    {"en", SUBJECT, NULL, "tools equipment"},
    {"en", SUBJECT, NULL, "laptop computer macbook"},
    {"en", SUBJECT, NULL, "badge card"},
    {"en", SUBJECT, NULL, "form request paperwork document"},
    {"en", SUBJECT, NULL, "unsubscribe newsletter"},
    {"en", SUBJECT, NULL, "decide decision"},
    {"en", SUBJECT, NULL, "text sms message"},
    {"en", SUBJECT, NULL, "ready done finished"},
    {"en", SUBJECT, NULL, "estimate quote"},
    {"en", SUBJECT, NULL, "storage store keep hold"},
    {"en", SUBJECT, NULL, "worn used wear wore"},
    {"en", SUBJECT, NULL, "weather storm rain"},
    {"en", SUBJECT, NULL, "accept take"},
    {"en", SUBJECT, NULL, "job vacancy position"},
    /* --- German --- */
    {"de", SIDE, "wie_viel_kostet was_kostet was_kosten wie_teuer wieviel wie_viel",
     "preis kosten kostet gebühr euro € entgelt tarif"},
    {"de", OWN_SIDE, "öffnungszeiten wann_haben wann_ist wann_sind wann_habt wann_macht",
     "geöffnet öffnungszeiten uhr offen geschlossen öffnet schließt"},
    {"de", OWN_SIDE, "wo_ist wo_sind wo_finde wo_seid", "adresse anschrift straße standort lage"},
    {"de", OWN_SIDE, "wie_erreiche wie_kontaktiere", "telefon kontakt e-mail mail anruf"},
    {"de", SIDE, "wie_lange wie_schnell bis_wann", "tage stunden wochen monate jahre minuten"},
    {"de", SUBJECT, NULL, "mieten miete leihen ausleihen verleih vermietung"},
    {"de", SUBJECT, "zurückgeben zurückschicken zurückbringen",
     "rückgabe retoure umtausch zurück zurückgeben"},
    {"de", SUBJECT, "geld_zurück", "erstattung rückzahlung erstatten"},
    {"de", SUBJECT, NULL, "kaufen kauf erwerben"},
    {"de", SUBJECT, NULL, "bestellen bestellung"},
    {"de", SUBJECT, NULL, "reparatur reparieren instandsetzung wartung"},
    {"de", SUBJECT, NULL, "kaputt defekt beschädigt schaden"},
    {"de", SUBJECT, NULL, "garantie gewährleistung"},
    {"de", SUBJECT, NULL, "liefern lieferung versand versenden zustellung"},
    {"de", SUBJECT, NULL, "stornieren absagen kündigen stornierung kündigung"},
    {"de", SUBJECT, NULL, "termin buchen reservieren buchung reservierung"},
    {"de", SUBJECT, NULL, "abholen abholung"},
    {"de", SUBJECT, NULL, "gutschein geschenkkarte"},
    {"de", SUBJECT, NULL, "rabatt ermäßigung nachlass"},
    {"de", SUBJECT, NULL, "kaution pfand anzahlung"},
    {"de", SUBJECT, NULL, "zahlen bezahlen zahlung bezahlung"},
    {"de", SUBJECT, NULL, "rechnung beleg quittung kassenbon"},
    {"de", SUBJECT, NULL, "fahrrad rad bike"},
    {"de", SUBJECT, NULL, "auto wagen pkw parken parkplatz"},
    {"de", SUBJECT, NULL, "kind kinder"},
    {"de", SUBJECT, NULL, "laden geschäft filiale"},
    {"de", SUBJECT, NULL, "urlaub ferien"},
    {"de", SUBJECT, NULL, "krank krankheit krankmeldung"},
    {"de", SUBJECT, NULL, "chef leiter vorgesetzter geschäftsführer"},
    {"de", SUBJECT, NULL, "beschwerde reklamation beschweren reklamieren"},
    {"de", SUBJECT, NULL, "ausland international"},
    {"de", SUBJECT, NULL, "telefon telefonnummer handy"},
    {"de", SUBJECT, "wochenende", "samstag sonntag"},
    /* --- French --- */
    {"fr", SIDE, "combien combien_coûte quel_prix quel_est_le_prix",
     "prix tarif coût coûte frais euro €"},
    {"fr", OWN_SIDE, "quelle_heure quels_horaires",
     "horaires ouvert ouverture fermé heures fermeture"},
    {"fr", OWN_SIDE, "où_est où_êtes où_se_trouve", "adresse rue situé lieu"},
    {"fr", OWN_SIDE, "contacter joindre", "téléphone contact e-mail courriel"},
    {"fr", SIDE, "combien_de_temps jusqu'à_quand quel_délai",
     "jours heures semaines mois ans délai"},
    {"fr", SUBJECT, NULL, "louer location loyer"},
    {"fr", SUBJECT, NULL, "retourner rendre retour renvoyer échange"},
    {"fr", SUBJECT, NULL, "rembourser remboursement"},
    {"fr", SUBJECT, NULL, "acheter achat"},
    {"fr", SUBJECT, NULL, "commander commande"},
    {"fr", SUBJECT, NULL, "réparer réparation entretien"},
    {"fr", SUBJECT, NULL, "cassé défectueux panne endommagé"},
    {"fr", SUBJECT, NULL, "livrer livraison expédition envoi colis"},
    {"fr", SUBJECT, NULL, "annuler annulation résilier"},
    {"fr", SUBJECT, "prendre_rendez-vous", "réserver réservation rendez-vous"},
    {"fr", SUBJECT, NULL, "récupérer retirer retrait"},
    {"fr", SUBJECT, NULL, "remise réduction rabais"},
    {"fr", SUBJECT, NULL, "caution dépôt acompte"},
    {"fr", SUBJECT, NULL, "payer paiement régler"},
    {"fr", SUBJECT, NULL, "facture reçu ticket"},
    {"fr", SUBJECT, NULL, "vélo bicyclette"},
    {"fr", SUBJECT, NULL, "voiture parking"},
    {"fr", SUBJECT, NULL, "magasin boutique"},
    {"fr", SUBJECT, NULL, "congé vacances"},
    {"fr", SUBJECT, NULL, "réclamation plainte"},
    {"fr", SUBJECT, NULL, "étranger international"},
    {"fr", SUBJECT, "week-end weekend", "samedi dimanche"},
    /* --- Spanish --- */
    {"es", SIDE, "cuánto_cuesta cuánto_cuestan cuánto_vale qué_precio cuánto",
     "precio coste tarifa cuesta euro €"},
    {"es", OWN_SIDE, "qué_hora cuándo_abren qué_horario",
     "horario abierto abre apertura cerrado cierra horas"},
    {"es", OWN_SIDE, "dónde_está dónde_están", "dirección calle ubicación"},
    {"es", OWN_SIDE, "contactar", "teléfono contacto correo"},
    {"es", SIDE, "cuánto_tiempo cuánto_tarda hasta_cuándo", "días horas semanas meses años plazo"},
    {"es", SUBJECT, NULL, "alquilar alquiler"},
    {"es", SUBJECT, NULL, "devolver devolución cambio"},
    {"es", SUBJECT, NULL, "reembolso reembolsar"},
    {"es", SUBJECT, NULL, "comprar compra"},
    {"es", SUBJECT, NULL, "pedir pedido"},
    {"es", SUBJECT, NULL, "reparar reparación arreglar arreglo"},
    {"es", SUBJECT, NULL, "roto defectuoso dañado avería"},
    {"es", SUBJECT, NULL, "enviar envío entrega entregar"},
    {"es", SUBJECT, NULL, "cancelar cancelación anular"},
    {"es", SUBJECT, NULL, "reservar reserva cita"},
    {"es", SUBJECT, NULL, "recoger recogida"},
    {"es", SUBJECT, NULL, "descuento rebaja"},
    {"es", SUBJECT, NULL, "depósito fianza"},
    {"es", SUBJECT, NULL, "pagar pago"},
    {"es", SUBJECT, NULL, "factura recibo"},
    {"es", SUBJECT, NULL, "bicicleta bici"},
    {"es", SUBJECT, NULL, "coche aparcamiento aparcar"},
    {"es", SUBJECT, NULL, "tienda comercio"},
    {"es", SUBJECT, NULL, "vacaciones permiso"},
    {"es", SUBJECT, NULL, "reclamación queja"},
    {"es", SUBJECT, NULL, "extranjero internacional"},
};
const size_t question_row_count = sizeof(question_rows) / sizeof(question_rows[0]);

/* Words that ask, and say little of what about. */
const struct question_weak_row question_weak_rows[] = {
    {"en",
     "want wanna need sell sold stock carry like know get gets got goes nearby near around "
     "elsewhere anyway each every "
     "make take accept use give tell show ask say please thing way kind "
     "sort type possible able allowed happen help look try come go going let put work question "
     "information info someone somebody something anything anyone everything else really actually "
     "still already also now today soon nice good best better great okay hello hey hi thank thanks "
     "dear much many long often maybe wonder wondering mean explain describe offer provide find "
     "got gotten think believe understand right able bit little lot lots people guys team here "
     "there via per name named called call would could should must option case issue problem "
     "currently exactly usually normally general number available anywhere place"},
    {"de",
     "möchte mag will wollen brauche brauchen gibt geben machen mache geht gehen bekommen bekomme "
     "sagen wissen kann können darf dürfen hallo danke gern gerne vielleicht eigentlich möglich "
     "frage hilfe etwas jemand heute viel lange bieten bietet haben anbieten sollte könnte"},
    {"fr",
     "veux voudrais vouloir besoin faire fait peux peut pouvoir pouvez avoir savoir donner dire "
     "bonjour merci possible question aide quelque chose aujourd'hui beaucoup proposez proposer "
     "faut doit dois devoir est-ce"},
    {"es",
     "quiero quisiera querer necesito necesitar puedo puede pueden poder tener tengo hacer hace "
     "saber dar decir hola gracias posible pregunta ayuda algo alguien hoy mucho ofrecen ofrecer "
     "hay debo debe gustaría"},
};
/* Everyday words: where documents have them they say something, where no document has them little
 * is missing. */
const struct question_weak_row question_common_rows[] = {
    {"en",
     "guys folks buddy sir madam run start stop begin finish again later quickly fast soon early "
     "late quick slow easy hard difficult simple true correct wrong fine cool awesome perfect big "
     "small large huge tiny long short high low old young different similar certain special "
     "specific particular main major whole full half part piece pair couple few several many more "
     "most less least enough too quite almost nearly just only even ever never always often "
     "sometimes usually recently lately yesterday tomorrow tonight morning afternoon evening night "
     "moment minute while time times date bring brought carry hold keep kept leave left stay wait "
     "watch see saw seen hear heard listen read write wrote written speak talk tell told ask "
     "answer "
     "reply turn move walk drive ride fly sit stand lie fall catch throw pull push cut break open "
     "close shut fill empty clean wash dry change choose pick decide plan prepare expect hope wish "
     "prefer love hate enjoy care mind matter seem appear look feel touch smell taste become "
     "remain "
     "happen occur follow lead join meet visit receive gave given took taken came went gone done "
     "made bought sold paid spent lost found won built grown known shown thought meant kids kid "
     "man woman men women friend friends family wife husband girlfriend boyfriend mother father "
     "mum "
     "dad son daughter brother sister myself yourself somebody nobody everybody everything nothing "
     "house home office city town country world street road side front back inside outside nearby "
     "week weeks weekend month months year years summer spring autumn reason idea point example "
     "case fact sort amount level rest end top bottom next last first second third another such "
     "own "
     "buy purchase step steps procedure process policy policies rule rules regarding concerning "
     "related available required necessary important interested curious planning looking trying "
     "thinking suddenly shortly directly personally basically literally together alone already "
     "ahead myself straight away far"},
    {"de",
     "leute schnell langsam bald früh spät einfach schwer groß klein lang kurz hoch alt neu jung "
     "anders gleich bestimmt besonders ganz halb teil paar wenige genug fast nur immer nie oft "
     "manchmal gestern morgen abend nacht moment zeit bringen tragen halten lassen bleiben warten "
     "sehen hören lesen schreiben sprechen fragen drehen fahren sitzen stehen fallen öffnen "
     "schließen ändern wählen planen hoffen freund freundin familie frau mann mutter vater haus "
     "stadt land straße seite woche monat jahr grund idee beispiel fall ende nächste letzte erste "
     "schritt regel nötig wichtig selbst zusammen allein"},
    {"fr",
     "gens vite bientôt tôt tard simple facile grand petit long court haut vieux nouveau jeune "
     "différent certain entier moitié partie quelques assez presque toujours jamais souvent "
     "parfois "
     "hier demain matin soir nuit moment temps apporter porter garder laisser rester attendre voir "
     "entendre lire écrire parler demander tourner conduire ouvrir fermer changer choisir espérer "
     "ami famille femme homme mère père maison ville pays rue côté semaine mois an année raison "
     "idée exemple cas fin prochain dernier premier étape règle nécessaire important ensemble "
     "seul"},
    {"es",
     "gente rápido pronto temprano tarde fácil grande pequeño largo corto alto viejo nuevo joven "
     "diferente cierto entero medio parte varios bastante casi siempre nunca ayer mañana noche "
     "momento tiempo traer llevar guardar dejar quedar esperar ver oír leer escribir hablar "
     "preguntar abrir cerrar cambiar elegir amigo familia mujer hombre madre padre casa ciudad "
     "país "
     "calle lado semana mes año razón idea ejemplo caso fin próximo último primero paso regla "
     "necesario importante junto solo"},
};
const size_t question_common_row_count =
    sizeof(question_common_rows) / sizeof(question_common_rows[0]);

const size_t question_weak_row_count = sizeof(question_weak_rows) / sizeof(question_weak_rows[0]);

const struct question_weak_row question_name_rows[] = {
    {"en", "shop store office branch showroom company business"},
    {"de", "laden geschäft filiale büro firma"},
    {"fr", "magasin boutique bureau agence"},
    {"es", "tienda oficina local negocio"},
};
const size_t question_name_row_count = sizeof(question_name_rows) / sizeof(question_name_rows[0]);
