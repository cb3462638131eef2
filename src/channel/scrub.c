/*
 * scrub.c - marks bytes to be hidden, then writes the words anew
 */
#include "channel/scrub.h"

#include <stdio.h>
#include <string.h>

#include "text/json.h"

#define HIDDEN "***"
#define WORDS_MAX sizeof(((struct err *)NULL)->detail)
#define DETAIL_MAX_BYTES 240
#define TEXT_LOOKED_AT 8192
#define SHARED_MIN 12 /* bytes in common with the message that are no accident */
#define WHOLE_MIN 4   /* of a short message, or of an address */
#define SECRET_MIN 6
#define TOKEN_MIN 20 /* letters and digits in one run */

/* Every occurrence of the whole needle. */
static void
mark_all(struct str words, struct str needle, bool *marks)
{
    size_t at = 0;

    while (needle.len > 0 && at + needle.len <= words.len) {
        ptrdiff_t found = str_find(str_sub(words, at, words.len), needle);

        if (found < 0)
            return;
        memset(marks + at + found, 1, needle.len);
        at += (size_t)found + needle.len;
    }
}

/* Whatever words and text have in common that is long enough. */
static void
mark_shared(struct str words, struct str text, bool *marks)
{
    text = str_sub(text, 0, TEXT_LOOKED_AT);
    if (text.len < SHARED_MIN) {
        if (text.len >= WHOLE_MIN)
            mark_all(words, text, marks);
        return;
    }
    for (size_t at = 0; at + SHARED_MIN <= words.len;) {
        size_t len = SHARED_MIN;

        if (str_find(text, str_sub(words, at, len)) < 0) {
            at++;
            continue;
        }
        while (at + len < words.len && str_find(text, str_sub(words, at, len + 1)) >= 0)
            len++;
        memset(marks + at, 1, len);
        at += len;
    }
}

static bool
is_token_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '=' || c == '+' || c == ':';
}

/* Long runs with letters and digits: tokens, signatures, ids; words have no digits. */
static void
mark_tokens(struct str words, bool *marks)
{
    size_t begin = 0;

    for (size_t at = 0; at <= words.len; at++) {
        size_t digits = 0;

        if (at < words.len && is_token_byte(words.ptr[at]))
            continue;
        for (size_t i = begin; i < at; i++)
            digits += words.ptr[i] >= '0' && words.ptr[i] <= '9';
        if (at - begin >= TOKEN_MIN && digits > 0)
            memset(marks + begin, 1, at - begin);
        begin = at + 1;
    }
}

static void
mark_secrets(struct str words, const json_t *credentials, bool *marks)
{
    const char *key;
    json_t *value;

    /* jansson's iteration wants a pointer that may change; nothing is changed. */
    json_object_foreach ((json_t *)(uintptr_t)credentials, key, value) {
        struct str secret = json_get_str(credentials, key);

        if (secret.len >= SECRET_MIN)
            mark_all(words, secret, marks);
    }
}

/* Marks begin and end within a UTF-8 sequence nowhere: the whole sequence goes. */
static void
widen(struct str words, bool *marks)
{
    for (size_t i = 1; i < words.len; i++)
        if (((unsigned char)words.ptr[i] & 0xC0) == 0x80 && marks[i - 1])
            marks[i] = true;
    for (size_t i = words.len; i-- > 1;)
        if (((unsigned char)words.ptr[i] & 0xC0) == 0x80 && marks[i])
            marks[i - 1] = true;
}

static void
scrub_words(const struct scrub *scrub, char *words, size_t size, size_t max_bytes)
{
    struct str before = str_from_c(words);
    bool marks[WORDS_MAX] = {false};
    char after[WORDS_MAX];
    size_t len = 0;

    mark_shared(before, scrub->text, marks);
    if (scrub->recipient.len >= WHOLE_MIN)
        mark_all(before, scrub->recipient, marks);
    mark_secrets(before, scrub->credentials, marks);
    mark_tokens(before, marks);
    widen(before, marks);
    for (size_t i = 0; i < before.len && len < sizeof(after) - sizeof(HIDDEN); i++) {
        unsigned char c = (unsigned char)before.ptr[i];

        if (!marks[i]) {
            after[len++] = c < ' ' || c == 0x7F ? ' ' : (char)c;
        } else if (i == 0 || !marks[i - 1]) {
            memcpy(after + len, HIDDEN, sizeof(HIDDEN) - 1);
            len += sizeof(HIDDEN) - 1;
        }
    }
    len = str_utf8_floor(str_of(after, len), size - 1 < max_bytes ? size - 1 : max_bytes);
    memcpy(words, after, len);
    words[len] = '\0';
}

void
scrub_err(const struct scrub *scrub, struct err *err)
{
    scrub_words(scrub, err->public_text, sizeof(err->public_text), sizeof(err->public_text));
    scrub_words(scrub, err->detail, sizeof(err->detail), DETAIL_MAX_BYTES);
}
