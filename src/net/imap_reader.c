/*
 * imap_reader.c - see the header
 *
 * A literal is announced at the end of a line, "{5}", and follows it: so a response ends with the
 * first line that announces none. Status responses end in words for people, which may look like
 * anything: in them nothing is announced.
 */
#include "net/imap_reader.h"

#include <stdio.h>

#include "base/clock.h"

#define LEVELS_MAX 20
#define ATOM_MAX_BYTES 200

/* --- framing --- */

/* "... {12}", also "{12+}": the literal's length; false: the line announces none. */
static bool
announces_literal(struct str line, int64_t *length_out)
{
    size_t end = line.len, at;

    if (end < 3 || line.ptr[end - 1] != '}')
        return false;
    end--;
    if (line.ptr[end - 1] == '+')
        end--;
    for (at = end; at > 0 && line.ptr[at - 1] >= '0' && line.ptr[at - 1] <= '9'; at--)
        ;
    return at > 0 && at < end && line.ptr[at - 1] == '{' &&
           str_to_i64(str_sub(line, at, end - at), length_out);
}

static struct str
without_line_end(struct str line)
{
    while (line.len > 0 && (line.ptr[line.len - 1] == '\n' || line.ptr[line.len - 1] == '\r'))
        line.len--;
    return line;
}

static enum imap_condition
condition_of(struct str word)
{
    static const char *const words[] = {"", "OK", "NO", "BAD", "BYE", "PREAUTH"};

    for (int i = IMAP_OK; i <= IMAP_PREAUTH; i++)
        if (str_eq_nocase(word, str_from_c(words[i])))
            return (enum imap_condition)i;
    return IMAP_NONE;
}

/* The response is a condition or "+": words for people at its end. */
static bool
ends_in_words(struct str line)
{
    struct str first, second;

    if (str_starts_with(line, STR("+")))
        return true;
    return str_split(&line, ' ', &first) && str_split(&line, ' ', &second) &&
           condition_of(second) != IMAP_NONE;
}

enum status
imap_frame(struct str bytes, size_t max_bytes, struct imap_framing *framing, size_t *length_out,
           struct err *err)
{
    *length_out = 0;
    while (framing->line_at < bytes.len) {
        struct str rest = str_sub(bytes, framing->line_at, bytes.len);
        ptrdiff_t end = str_find_byte(rest, '\n');
        int64_t literal = 0;

        if (end < 0)
            break;
        struct str line = without_line_end(str_sub(rest, 0, (size_t)end + 1));
        if (!framing->has_begun)
            framing->is_words = ends_in_words(line);
        framing->has_begun = true;
        if (framing->is_words || !announces_literal(line, &literal)) {
            framing->line_at += (size_t)end + 1;
            *length_out = framing->line_at <= max_bytes ? framing->line_at : 0;
            break;
        }
        framing->line_at += (size_t)end + 1;
        framing->line_at += literal > (int64_t)max_bytes ? max_bytes + 1 : (size_t)literal;
        if (framing->line_at > max_bytes)
            break;
    }
    if (*length_out == 0 && (framing->line_at > max_bytes || bytes.len >= max_bytes))
        return err_set(err, ST_TOO_LARGE, "the mail server says too much at once");
    return ST_OK;
}

/* --- responses --- */

/* Cuts at the first space; the rest may be empty. */
static struct str
take_word(struct str *rest)
{
    struct str word = STR_EMPTY;

    (void)str_split(rest, ' ', &word);
    if (rest->ptr == NULL)
        *rest = STR("");
    return word;
}

static bool
to_number(struct str word, uint32_t *number_out)
{
    int64_t number;

    if (!str_to_i64(word, &number) || number < 0 || number > UINT32_MAX)
        return false;
    *number_out = (uint32_t)number;
    return true;
}

static void
read_words(struct str rest, struct imap_response *response)
{
    ptrdiff_t end = str_find_byte(rest, ']');

    if (str_starts_with(rest, STR("[")) && end > 0) {
        response->code = str_sub(rest, 1, (size_t)end - 1);
        rest = str_sub(rest, (size_t)end + 1, rest.len);
    }
    response->text = str_trim(rest);
}

enum status
imap_response_read(struct str bytes, struct imap_response *response_out, struct err *err)
{
    struct imap_response *r = response_out;
    struct str rest = without_line_end(bytes), first;

    *r = (struct imap_response){.kind = IMAP_UNTAGGED,
                                .tag = STR_INIT(""),
                                .code = STR_INIT(""),
                                .text = STR_INIT(""),
                                .name = STR_INIT(""),
                                .rest = STR_INIT("")};
    first = take_word(&rest);
    if (str_eq_c(first, "+")) {
        r->kind = IMAP_CONTINUE;
        r->text = rest;
        return ST_OK;
    }
    struct str word = take_word(&rest);
    r->condition = condition_of(word);
    if (!str_eq_c(first, "*")) {
        r->kind = IMAP_TAGGED;
        r->tag = first;
        if (first.len == 0 || r->condition == IMAP_NONE)
            return err_set(err, ST_INVALID, "the mail server does not speak IMAP");
    }
    if (r->condition != IMAP_NONE) {
        read_words(rest, r);
        return ST_OK;
    }
    if (to_number(word, &r->number))
        word = take_word(&rest);
    if (word.len == 0 || word.len > ATOM_MAX_BYTES)
        return err_set(err, ST_INVALID, "the mail server does not speak IMAP");
    r->name = word;
    r->rest = rest;
    return ST_OK;
}

bool
imap_code_number(struct str code, const char *name, uint32_t *number_out)
{
    struct str word = take_word(&code);

    return str_eq_nocase(word, str_from_c(name)) && to_number(str_trim(code), number_out);
}

bool
imap_has_word(struct str words, const char *word)
{
    struct str one;

    while (str_split(&words, ' ', &one))
        if (str_eq_nocase(one, str_from_c(word)))
            return true;
    return false;
}

bool
imap_search_next(struct str *rest, uint32_t *uid_out, enum status *st_out)
{
    struct str word;

    *st_out = ST_OK;
    while (str_split(rest, ' ', &word)) {
        if (word.len == 0)
            continue;
        if (word.ptr[0] == '(') /* (MODSEQ 7): RFC 7162 */
            return false;
        if (to_number(word, uid_out) && *uid_out > 0)
            return true;
        *st_out = ST_INVALID;
        return false;
    }
    return false;
}

/* --- FETCH --- */

enum token { TOKEN_END, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_ATOM, TOKEN_TEXT, TOKEN_BAD };

/* A quoted string; what is escaped in it stays so. */
static enum token
take_quoted(struct str *rest, struct str *text_out)
{
    for (size_t i = 1; i < rest->len; i++) {
        if (rest->ptr[i] == '\\') {
            i++;
        } else if (rest->ptr[i] == '"') {
            *text_out = str_sub(*rest, 1, i - 1);
            *rest = str_sub(*rest, i + 1, rest->len);
            return TOKEN_TEXT;
        }
    }
    return TOKEN_BAD;
}

static enum token
take_literal(struct str *rest, struct str *text_out)
{
    ptrdiff_t end = str_find_byte(*rest, '\n');
    int64_t length;

    if (end < 0 || !announces_literal(without_line_end(str_sub(*rest, 0, (size_t)end)), &length) ||
        length > (int64_t)(rest->len - (size_t)end - 1))
        return TOKEN_BAD;
    *text_out = str_sub(*rest, (size_t)end + 1, (size_t)length);
    *rest = str_sub(*rest, (size_t)end + 1 + (size_t)length, rest->len);
    return TOKEN_TEXT;
}

/* BODY[HEADER.FIELDS (DATE)]<0>: what stands in brackets belongs to the atom. */
static size_t
atom_length(struct str rest)
{
    bool in_brackets = false;
    size_t length = 0;

    for (; length < rest.len; length++) {
        char c = rest.ptr[length];

        if (c == '[')
            in_brackets = true;
        else if (c == ']')
            in_brackets = false;
        else if (c == '\r' || c == '\n' || c == '"' ||
                 (!in_brackets && (c == ' ' || c == '(' || c == ')')))
            break;
    }
    return length;
}

static enum token
take_token(struct str *rest, struct str *text_out)
{
    size_t length;

    *text_out = STR_EMPTY;
    while (rest->len > 0 && rest->ptr[0] == ' ')
        *rest = str_sub(*rest, 1, rest->len);
    if (rest->len == 0)
        return TOKEN_END;
    if (rest->ptr[0] == '(' || rest->ptr[0] == ')') {
        bool opens = rest->ptr[0] == '(';

        *rest = str_sub(*rest, 1, rest->len);
        return opens ? TOKEN_OPEN : TOKEN_CLOSE;
    }
    if (rest->ptr[0] == '"')
        return take_quoted(rest, text_out);
    if (rest->ptr[0] == '{' || str_starts_with(*rest, STR("~{")))
        return take_literal(rest, text_out);
    length = atom_length(*rest);
    if (length == 0)
        return TOKEN_BAD;
    *text_out = str_sub(*rest, 0, length);
    *rest = str_sub(*rest, length, rest->len);
    return TOKEN_ATOM;
}

/* The rest of a list whose opening was taken. */
static bool
skip_list(struct str *rest)
{
    struct str text;

    for (int level = 1; level > 0 && level <= LEVELS_MAX;) {
        enum token token = take_token(rest, &text);

        if (token == TOKEN_END || token == TOKEN_BAD)
            return false;
        level += token == TOKEN_OPEN ? 1 : token == TOKEN_CLOSE ? -1 : 0;
        if (level == 0)
            return true;
    }
    return false;
}

/* "17-Jul-1996 02:44:25 -0700", the day perhaps with a space before it. */
static bool
read_date(struct str text, int64_t *us_out)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char plain[40];
    struct err ignored;
    int month = 0;

    if (text.len != 26 || text.ptr[2] != '-' || text.ptr[6] != '-' || text.ptr[11] != ' ' ||
        text.ptr[20] != ' ')
        return false;
    for (int i = 0; i < 12; i++)
        if (str_eq_nocase(str_sub(text, 3, 3), str_of(months + 3 * i, 3)))
            month = i + 1;
    int length = snprintf(plain, sizeof plain, "%.4s-%02d-%c%cT%.8s%.3s:%.2s", text.ptr + 7, month,
                          text.ptr[0] == ' ' ? '0' : text.ptr[0], text.ptr[1], text.ptr + 12,
                          text.ptr + 21, text.ptr + 24);
    return length > 0 &&
           time_parse_rfc3339(str_of(plain, (size_t)length), us_out, &ignored) == ST_OK;
}

static bool
take_value(struct str name, enum token token, struct str value, struct imap_fetched *fetched)
{
    bool is_text = token == TOKEN_TEXT;
    int64_t number = 0;

    if (str_eq_nocase(name, STR("UID")))
        return token == TOKEN_ATOM && to_number(value, &fetched->uid) && fetched->uid > 0;
    if (str_eq_nocase(name, STR("RFC822.SIZE"))) {
        fetched->size_bytes = str_to_i64(value, &number) && number >= 0 ? number : 0;
        return token == TOKEN_ATOM && number >= 0;
    }
    if (str_eq_nocase(name, STR("INTERNALDATE")))
        return is_text && read_date(value, &fetched->date_us);
    if (is_text && (str_eq_nocase(name, STR("BODY[]")) || str_eq_nocase(name, STR("BODY[]<0>")))) {
        fetched->body = value;
        fetched->has_body = true;
    }
    return true;
}

enum status
imap_fetch_read(struct str rest, struct imap_fetched *fetched_out, struct err *err)
{
    struct str name, value;
    enum token token;
    bool is_good = take_token(&rest, &name) == TOKEN_OPEN;

    while (is_good) {
        token = take_token(&rest, &name);
        if (token == TOKEN_CLOSE)
            return ST_OK;
        is_good = token == TOKEN_ATOM;
        token = is_good ? take_token(&rest, &value) : TOKEN_BAD;
        if (token == TOKEN_OPEN)
            is_good = skip_list(&rest);
        else
            is_good = (token == TOKEN_ATOM || token == TOKEN_TEXT) &&
                      take_value(name, token, value, fetched_out);
    }
    return err_set(err, ST_INVALID, "the mail server's FETCH cannot be read");
}

/* --- LIST --- */

enum status
imap_list_read(struct str rest, bool *is_sent_out, struct str *name_out, struct err *err)
{
    struct str text;
    enum token token;
    bool is_good = take_token(&rest, &text) == TOKEN_OPEN;

    *is_sent_out = false;
    *name_out = STR("");
    while (is_good && (token = take_token(&rest, &text)) != TOKEN_CLOSE) {
        is_good = token == TOKEN_ATOM;
        *is_sent_out |= is_good && str_eq_nocase(text, STR("\\Sent"));
    }
    for (int i = 0; is_good && i < 2; i++) { /* what separates levels; the name */
        token = take_token(&rest, &text);
        is_good = token == TOKEN_ATOM || token == TOKEN_TEXT;
    }
    if (!is_good)
        return err_set(err, ST_INVALID, "the mail server's LIST cannot be read");
    if (str_find_byte(text, '"') < 0 && str_find_byte(text, '\\') < 0)
        *name_out = text;
    return ST_OK;
}
