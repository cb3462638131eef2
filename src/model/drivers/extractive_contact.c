/*
 * extractive_contact.c - how the organization is reached, known by its looks
 *
 * "What's your address?" is not answered by a sentence that says "address", but by one that has a
 * street and a number in it, whatever that is called there.
 */
#include "model/drivers/extractive.h"

#include <string.h>

#define PHONE_DIGITS 6
#define PHONE_GAP_BYTES 3 /* "0555 0142", "(030) 123-456" */
#define HOUSE_DIGITS 4
#define STREET_REACH 3 /* words from the number to what names a street */

enum ex_contact
ex_contact_asked(const struct str *folded_words, size_t count)
{
    static const char *const mail[] = {"email", "mail", "courriel", "correo", NULL};
    static const char *const phone[] = {"phone",         "telephone", "number",   "telefon",
                                        "telefonnummer", "téléphone", "teléfono", NULL};
    static const char *const address[] = {"address",   "street", "adresse", "anschrift", "straße",
                                          "dirección", "calle",  "rue",     NULL};
    enum ex_contact contact = EX_CONTACT_NONE;

    for (size_t i = 0; i < count; i++) {
        if (str_is_one_of(folded_words[i], mail))
            return EX_CONTACT_MAIL; /* "email address" */
        if (str_is_one_of(folded_words[i], phone))
            contact = EX_CONTACT_PHONE;
        else if (contact == EX_CONTACT_NONE && str_is_one_of(folded_words[i], address))
            contact = EX_CONTACT_ADDRESS;
    }
    return contact;
}

/* 0 unless the word is a number, but for one letter at its end ("14b"). */
static size_t
digits_of(struct str word)
{
    size_t digits = 0;

    while (digits < word.len && word.ptr[digits] >= '0' && word.ptr[digits] <= '9')
        digits++;
    return digits + 1 >= word.len ? digits : 0;
}

static bool
is_phone(const struct ex_unit *unit, size_t at)
{
    size_t digits = 0;

    for (size_t i = at; i < unit->term_count && digits < PHONE_DIGITS; i++) {
        size_t more = digits_of(ex_unit_word(unit, i));

        if (more == 0 ||
            (i > at && unit->terms[i].span.start - unit->terms[i - 1].span.end > PHONE_GAP_BYTES))
            break;
        digits += more;
    }
    return digits >= PHONE_DIGITS;
}

/* As they are written in a name: "14 Ropewalk Quay" is an address, "2 on the way" is none. */
static bool
names_street(struct str word)
{
    static const char *const whole[] = {
        "Street",    "St",        "Road",   "Rd",    "Avenue", "Ave",     "Lane",    "Quay",
        "Square",    "Drive",     "Way",    "Place", "Court",  "Row",     "Wharf",   "Terrace",
        "Boulevard", "Blvd",      "Close",  "Hill",  "Park",   "Parade",  "Highway", "rue",
        "Rue",       "avenue",    "quai",   "place", "calle",  "Calle",   "avenida", "Avenida",
        "plaza",     "Plaza",     "paseo",  "Paseo", "via",    "Via",     "piazza",  "Piazza",
        "Straße",    "boulevard", "chemin", "Platz", "Allee",  "impasse", NULL};
    static const char *const ends[] = {"straße", "strasse", "str",    "weg",  "platz", "gasse",
                                       "allee",  "ufer",    "straat", "laan", NULL};

    for (size_t i = 0; ends[i] != NULL; i++)
        if (word.len > strlen(ends[i]) && str_ends_with(word, str_from_c(ends[i])))
            return true;
    return str_is_one_of(word, whole);
}

/* "14 Ropewalk Quay", "14b, rue du Port"; "Hafenstraße 14", "Calle Mayor 14"; not "tram 10 to
 * Postplatz". */
static bool
is_address(const struct ex_unit *unit, size_t at)
{
    size_t digits = digits_of(ex_unit_word(unit, at));

    if (digits == 0 || digits > HOUSE_DIGITS)
        return false;
    for (size_t i = at + 1; i < unit->term_count && i <= at + STREET_REACH; i++) {
        if (names_street(ex_unit_word(unit, i)))
            return true;
        if (!ex_words_begins_with_capital(ex_unit_word(unit, i)))
            break;
    }
    for (size_t i = at; i > 0 && i + STREET_REACH > at; i--) {
        if (names_street(ex_unit_word(unit, i - 1)))
            return true;
        if (!ex_words_begins_with_capital(ex_unit_word(unit, i - 1)))
            break;
    }
    return false;
}

/* The sign stands right behind a word and before another: the terms are the parts of it. */
static bool
is_mail(const struct ex_unit *unit, size_t at)
{
    size_t end = unit->terms[at].span.end;

    return (end + 1 < unit->text.len && unit->text.ptr[end] == '@' &&
            unit->text.ptr[end + 1] != ' ') ||
           str_find_byte(ex_unit_word(unit, at), '@') > 0;
}

size_t
ex_contact_at(const struct ex_unit *unit, enum ex_contact contact)
{
    for (size_t i = 0; i < unit->term_count; i++)
        if ((contact == EX_CONTACT_MAIL && is_mail(unit, i)) ||
            (contact == EX_CONTACT_PHONE && is_phone(unit, i)) ||
            (contact == EX_CONTACT_ADDRESS && is_address(unit, i)))
            return i;
    return EX_NONE;
}
