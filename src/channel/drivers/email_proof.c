/*
 * email_proof.c - whether the address in From is proven to be the sender's
 *
 * Anybody can write any From. It is proven by the server that took the mail in, in the header
 * Authentication-Results (RFC 8601) that it put above all others, when the channel names that
 * server (authserv_id) and DMARC passed for the domain in From; or by SendGrid, which says whose
 * DKIM signature it found good, when that domain is the sender's or above it.
 */
#include "channel/drivers/email.h"

#define RESULTS_MAX_BYTES 8192

static bool
is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Comments become a space, what is quoted an underscore, and no space stands around "=". Empty when
 * something does not end. */
static struct str
plain(struct str value, struct arena *arena)
{
    char *out = arena_alloc(arena, value.len + 1);
    size_t len = 0;
    int depth = 0;
    bool quoted = false;

    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];

        if (c == '\\' && (quoted || depth > 0)) {
            i++;
        } else if (quoted) {
            quoted = c != '"';
        } else if (c == '(') {
            depth++;
        } else if (c == ')' && depth > 0) {
            depth--;
        } else if (depth == 0) {
            quoted = c == '"';
            if (quoted)
                c = '_';
            if (c == '=')
                while (len > 0 && out[len - 1] == ' ')
                    len--;
            if (!is_space(c))
                out[len++] = c;
        }
        if (len > 0 && (is_space(c) || depth > 0) && !quoted && out[len - 1] != ' ' &&
            out[len - 1] != '=')
            out[len++] = ' ';
    }
    return depth == 0 && !quoted ? str_of(out, len) : STR_EMPTY;
}

static struct str
first_word(struct str *rest)
{
    struct str word = STR_EMPTY;

    *rest = str_trim(*rest);
    (void)str_split(rest, ' ', &word);
    return word;
}

/* "dmarc=pass header.from=example.org" */
static bool
passes(struct str result, struct str domain)
{
    static const struct str from = STR_INIT("header.from=");
    bool passed = str_eq_nocase(first_word(&result), STR("dmarc=pass"));

    while (passed && result.len > 0) {
        struct str word = first_word(&result);

        if (str_eq_nocase(str_sub(word, 0, from.len), from))
            return str_eq_nocase(str_sub(word, from.len, word.len), domain);
    }
    return false;
}

static bool
server_says_so(struct str results, struct str server, struct str domain, struct arena *arena)
{
    struct str rest, part = STR_EMPTY;

    if (server.len == 0 || results.len > RESULTS_MAX_BYTES)
        return false;
    rest = plain(results, arena);
    if (!str_split(&rest, ';', &part) || !str_eq_nocase(first_word(&part), server))
        return false;
    while (str_split(&rest, ';', &part))
        if (str_eq_nocase(str_sub(str_trim(part), 0, 6), STR("dmarc=")))
            return passes(part, domain);
    return false;
}

/* "{@example.org : pass, @other.example : fail}" */
static bool
sendgrid_says_so(struct str verdict, struct str domain)
{
    struct str rest = str_trim(verdict), part;

    if (!str_starts_with(rest, STR("{")) || !str_ends_with(rest, STR("}")))
        return false;
    rest = str_sub(rest, 1, rest.len - 2);
    while (str_split(&rest, ',', &part)) {
        struct str result = part, signer = STR_EMPTY;

        if (!str_split(&result, ':', &signer) || !str_eq_nocase(str_trim(result), STR("pass")))
            continue;
        signer = str_trim(signer);
        if (signer.len < 2 || signer.ptr[0] != '@')
            continue;
        signer = str_sub(signer, 1, signer.len);
        if (str_eq_nocase(signer, domain))
            return true;
        if (domain.len > signer.len && domain.ptr[domain.len - signer.len - 1] == '.' &&
            str_find_byte(signer, '.') > 0 &&
            str_eq_nocase(str_sub(domain, domain.len - signer.len, signer.len), signer))
            return true;
    }
    return false;
}

bool
email_sender_is_proven(const struct email_channel *channel, const struct email *email,
                       struct arena *arena)
{
    ptrdiff_t at = str_find_byte(email->from, '@');
    struct str domain = at < 0 ? STR_EMPTY : str_sub(email->from, (size_t)at + 1, email->from.len);

    return domain.len > 0 && email->has_one_sender &&
           (server_says_so(email_header_get(email, "Authentication-Results"), channel->authserv_id,
                           domain, arena) ||
            sendgrid_says_so(email->dkim_verdict, domain));
}
