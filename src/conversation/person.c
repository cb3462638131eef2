/*
 * person.c - links between contacts, the proofs that make them, and what a person brings along
 *
 * A code has 8 of 31 letters and digits, 39 bits: with a few tries a minute and ten minutes to live
 * there is nothing to be gained by guessing. Callers count the tries.
 */
#include "conversation/person.h"

#include <ctype.h>
#include <sodium.h>
#include <string.h>

#include "conversation/person_sql.h"
#include "conversation/tell.h"
#include "text/json.h"

#define CODE_WORD "LINK"
#define CODE_LETTERS "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
#define CODE_LEN 8
#define CODE_TEXT_MAX 40
#define TOKEN_BYTES 32
#define TOKEN_TEXT_LEN 43
#define IDENTITIES_MAX 50
#define PERSON_CHATS_MAX 5
#define SCORE_PHONE 0.95 /* the network proves the number */
#define SCORE_EMAIL 0.7  /* the domain proves the address, which may be a team's */
#define PHONE_MIN_DIGITS 7
#define PHONE_MAX_DIGITS 15 /* E.164 */

struct hash_text {
    char text[2 * crypto_hash_sha256_BYTES + 1];
};

static struct hash_text
hash_of(struct str text)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    struct hash_text out;

    (void)crypto_hash_sha256(hash, (const unsigned char *)text.ptr, text.len);
    (void)sodium_bin2hex(out.text, sizeof(out.text), hash, sizeof(hash));
    return out;
}

/* --- contacts --- */

static void
read_contact(struct store_rows *rows, struct arena *arena, struct contact *out)
{
    *out = (struct contact){
        .id = STORE_COL_ID(rows, 0, contact_id),
        .display_name = arena_str(arena, store_col_text(rows, 1)),
        .locale = arena_str(arena, store_col_text(rows, 2)),
        .linked_by = arena_str(arena, store_col_text(rows, 3)),
        .created_at_us = store_col_int(rows, 4),
        .last_seen_at_us = store_col_int(rows, 5),
        .linked_at_us = store_col_int(rows, 6),
    };
}

enum status
contact_get(struct store_tx *tx, struct contact_id id, struct arena *arena,
            struct contact *contact_out, struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st = store_query_one(tx, &SQL_CONTACT_GET, ARGS(sv_id(id)), &rows, err);

    if (st == ST_NOT_FOUND)
        return err_set(err, ST_NOT_FOUND, "no such contact");
    if (st != ST_OK)
        return st;
    read_contact(rows, arena, contact_out);
    return store_rows_close(&rows, err);
}

enum status
contact_list(struct store_tx *tx, struct str find, struct contact_id before, size_t limit,
             struct arena *arena, struct contact **contacts_out, size_t *count_out, struct err *err)
{
    struct contact *list = ARENA_NEW_N(arena, struct contact, limit);
    struct str last = id_is_none(&before.id) ? STR("~") : ID_STR(before); /* after all ids */
    struct store_rows *rows = NULL;
    enum status st = store_query(
        tx, &SQL_CONTACT_LIST,
        ARGS(sv_text(last), sv_text(find.len == 0 ? STR("") : find), sv_int((int64_t)limit)), &rows,
        err);

    *contacts_out = list;
    *count_out = 0;
    while (st == ST_OK && *count_out < limit && store_rows_next(rows))
        read_contact(rows, arena, &list[(*count_out)++]);
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

enum status
contact_list_linked(struct store_tx *tx, struct contact_id id, struct arena *arena,
                    struct contact **contacts_out, size_t *count_out, struct err *err)
{
    struct contact *list = ARENA_NEW_N(arena, struct contact, PERSON_CONTACTS_MAX);
    struct store_rows *rows = NULL;
    enum status st = store_query(tx, &SQL_CONTACT_LINKED,
                                 ARGS(sv_id(id), sv_int(PERSON_CONTACTS_MAX)), &rows, err);

    *contacts_out = list;
    *count_out = 0;
    while (st == ST_OK && *count_out < PERSON_CONTACTS_MAX && store_rows_next(rows))
        read_contact(rows, arena, &list[(*count_out)++]);
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

enum status
contact_list_identities(struct store_tx *tx, struct contact_id id, struct arena *arena,
                        struct identity **identities_out, size_t *count_out, struct err *err)
{
    struct identity *list = ARENA_NEW_N(arena, struct identity, IDENTITIES_MAX);
    struct store_rows *rows = NULL;
    enum status st = store_query(tx, &SQL_CONTACT_IDENTITIES,
                                 ARGS(sv_id(id), sv_int(IDENTITIES_MAX)), &rows, err);

    *identities_out = list;
    *count_out = 0;
    while (st == ST_OK && *count_out < IDENTITIES_MAX && store_rows_next(rows))
        list[(*count_out)++] = (struct identity){
            .id = STORE_COL_ID(rows, 0, identity_id),
            .channel_id = STORE_COL_ID(rows, 1, channel_id),
            .source = arena_str(arena, store_col_text(rows, 2)),
            .external_user_id = arena_str(arena, store_col_text(rows, 3)),
            .reachable = store_col_int(rows, 4) != 0,
        };
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

static struct str
phone_key(struct str user, struct arena *arena)
{
    if (str_starts_with(user, STR("whatsapp:")))
        user = str_sub(user, 9, user.len);
    if (str_starts_with(user, STR("+")))
        user = str_sub(user, 1, user.len);
    for (size_t i = 0; i < user.len; i++)
        if (user.ptr[i] < '0' || user.ptr[i] > '9')
            return STR_EMPTY;
    if (user.len < PHONE_MIN_DIGITS || user.len > PHONE_MAX_DIGITS)
        return STR_EMPTY;
    return arena_printf(arena, "phone:%.*s", STR_ARG(user));
}

bool
chat_is_private(struct str source, struct str external_user_id, struct str external_chat_id)
{
    if (str_eq(external_user_id, external_chat_id))
        return true;
    /* As SQL_PERSON_CHATS has it: Slack's direct conversations, and Teams' personal ones. */
    if (str_eq_c(source, "slack"))
        return str_starts_with(external_chat_id, STR("D"));
    return str_eq_c(source, "teams") && str_find(external_chat_id, STR("|a:")) >= 0;
}

struct str
identity_match_key(struct str source, struct str external_user_id, const json_t *metadata,
                   struct arena *arena)
{
    struct str phone = json_get_str(metadata, "phone");
    char *key;

    if (str_eq_c(source, "whatsapp_business") || str_eq_c(source, "twilio_whatsapp") ||
        str_eq_c(source, "twilio_sms"))
        return phone_key(phone.len > 0 ? phone : external_user_id, arena);
    if (!str_eq_c(source, "email") || external_user_id.len == 0 ||
        !json_get_bool(json_get_object(metadata, "email"), "verified", false) ||
        str_find_byte(external_user_id, '\0') >= 0)
        return STR_EMPTY;
    key = arena_cstr(arena, external_user_id);
    for (size_t i = 0; key[i] != '\0'; i++)
        if (key[i] >= 'A' && key[i] <= 'Z')
            key[i] = (char)(key[i] - 'A' + 'a');
    return arena_printf(arena, "email:%s", key);
}

/* --- linking --- */

static enum status
person_of(struct store_tx *tx, struct contact_id id, struct id_text *person_out, struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st = store_query_one(tx, &SQL_PERSON_OF, ARGS(sv_id(id)), &rows, err);

    *person_out = (struct id_text){""};
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    *person_out = store_col_id(rows, 0);
    return store_rows_close(&rows, err);
}

static enum status
lock(struct store_tx *tx, struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st = store_query_one(tx, &SQL_LINK_LOCK, NO_ARGS, &rows, err);

    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

static enum status
check_room(struct store_tx *tx, struct id_text a, struct id_text b, struct err *err)
{
    struct store_rows *rows = NULL;
    int64_t count;
    enum status st = store_query_one(tx, &SQL_PERSON_COUNT,
                                     ARGS(sv_text(id_str(&a)), sv_text(id_str(&b))), &rows, err);

    if (st != ST_OK)
        return st;
    count = store_col_int(rows, 0);
    st = store_rows_close(&rows, err);
    if (st == ST_OK && count + 1 >= PERSON_CONTACTS_MAX)
        st = err_set(err, ST_INVALID, "a person has at most %d contacts", PERSON_CONTACTS_MAX);
    return st;
}

static enum status
join(struct store_tx *tx, struct contact_id id, struct id_text person, const char *how,
     int64_t now_us, struct err *err)
{
    return store_exec(
        tx, &SQL_LINK_INSERT,
        ARGS(sv_id(id), sv_text(id_str(&person)), sv_text(str_from_c(how)), sv_int(now_us)), NULL,
        err);
}

enum status
contact_link(struct store_tx *tx, struct contact_id a, struct contact_id b, const char *how,
             int64_t now_us, bool *changed_out, struct err *err)
{
    struct id_text of_a, of_b, person;
    struct contact contact;
    enum status st;

    *changed_out = false;
    if (id_eq(&a.id, &b.id))
        return err_set(err, ST_INVALID, "a contact is linked with another one");
    st = lock(tx, err);
    if (st == ST_OK)
        st = contact_get(tx, a, store_tx_arena(tx), &contact, err);
    if (st == ST_OK)
        st = contact_get(tx, b, store_tx_arena(tx), &contact, err);
    if (st == ST_OK)
        st = person_of(tx, a, &of_a, err);
    if (st == ST_OK)
        st = person_of(tx, b, &of_b, err);
    if (st != ST_OK || (!id_is_none(&of_a) && id_eq(&of_a, &of_b)))
        return st;
    st = check_room(tx, of_a, of_b, err);
    person = !id_is_none(&of_a) ? of_a : !id_is_none(&of_b) ? of_b : id_new();
    if (st == ST_OK && id_is_none(&of_a))
        st = join(tx, a, person, how, now_us, err);
    if (st == ST_OK && id_is_none(&of_b))
        st = join(tx, b, person, how, now_us, err);
    if (st == ST_OK && !id_is_none(&of_a) && !id_is_none(&of_b))
        st = store_exec(tx, &SQL_PERSON_MERGE,
                        ARGS(sv_text(id_str(&of_b)), sv_text(id_str(&person))), NULL, err);
    *changed_out = st == ST_OK;
    return st == ST_OK ? tell_contacts(tx, EVENT_CONTACT_LINKED, a, b, how, err) : st;
}

enum status
contact_unlink(struct store_tx *tx, struct contact_id id, struct err *err)
{
    struct store_rows *rows = NULL;
    struct contact contact;
    struct id_text person;
    enum status st = lock(tx, err);

    if (st == ST_OK)
        st = contact_get(tx, id, store_tx_arena(tx), &contact, err);
    if (st != ST_OK)
        return st;
    st = store_query_one(tx, &SQL_LINK_DELETE, ARGS(sv_id(id)), &rows, err);
    if (st == ST_NOT_FOUND)
        return err_set(err, ST_CONFLICT, "this contact is linked with none");
    if (st != ST_OK)
        return st;
    person = store_col_id(rows, 0);
    st = store_rows_close(&rows, err);
    if (st == ST_OK)
        st = store_exec(tx, &SQL_LINK_DELETE_LAST, ARGS(sv_text(id_str(&person))), NULL, err);
    return st == ST_OK
               ? tell_contacts(tx, EVENT_CONTACT_UNLINKED, id, (struct contact_id){{""}}, NULL, err)
               : st;
}

/* --- codes and links --- */

static enum status
put_code(struct store_tx *tx, const char *kind, struct contact_id id, struct str secret,
         struct str channel_id, int64_t now_us, int64_t lasts_us, struct err *err)
{
    struct hash_text hash = hash_of(secret);
    struct contact contact;
    enum status st = contact_get(tx, id, store_tx_arena(tx), &contact, err);

    if (st == ST_OK)
        st = store_exec(tx, &SQL_LINK_CODE_CLEAR,
                        ARGS(sv_id(id), sv_text(str_from_c(kind)), sv_int(now_us)), NULL, err);
    return st == ST_OK ? store_exec(tx, &SQL_LINK_CODE_INSERT,
                                    ARGS(sv_text(str_from_c(hash.text)), sv_text(str_from_c(kind)),
                                         sv_id(id), sv_text(channel_id), sv_int(now_us + lasts_us)),
                                    NULL, err)
                       : st;
}

enum status
link_code_make(struct store_tx *tx, struct contact_id id, int64_t now_us, struct arena *arena,
               struct str *code_out, struct err *err)
{
    char code[CODE_LEN + 1] = {0};

    for (size_t i = 0; i < CODE_LEN; i++)
        code[i] = CODE_LETTERS[random_below(sizeof(CODE_LETTERS) - 1)];
    *code_out = arena_printf(arena, CODE_WORD "-%.4s-%.4s", code, code + CODE_LEN / 2);
    return put_code(tx, "code", id, str_of(code, CODE_LEN), STR(""), now_us, LINK_CODE_LASTS_US,
                    err);
}

enum status
link_token_make(struct store_tx *tx, struct contact_id id, struct channel_id web_channel_id,
                int64_t now_us, struct arena *arena, struct str *token_out, struct err *err)
{
    unsigned char bytes[TOKEN_BYTES];
    char text[TOKEN_TEXT_LEN + 1];

    random_bytes(bytes, sizeof(bytes));
    (void)sodium_bin2base64(text, sizeof(text), bytes, sizeof(bytes),
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    *token_out = arena_str(arena, str_from_c(text));
    return put_code(tx, "link", id, *token_out, ID_STR(web_channel_id), now_us, LINK_LASTS_US, err);
}

/* The letters of a code; false: the text is none. */
static bool
read_code(struct str text, char code_out[CODE_LEN])
{
    const size_t word = sizeof(CODE_WORD) - 1;
    size_t len = 0;

    text = str_trim(text);
    if (text.len > CODE_TEXT_MAX || text.len < word + CODE_LEN ||
        !str_eq_nocase(str_sub(text, 0, word), STR(CODE_WORD)))
        return false;
    for (size_t i = word; i < text.len; i++) {
        char c = (char)toupper((unsigned char)text.ptr[i]);

        if (c == '-' || c == ' ')
            continue;
        if (c == '\0' || strchr(CODE_LETTERS, c) == NULL || len == CODE_LEN)
            return false;
        code_out[len++] = c;
    }
    return len == CODE_LEN;
}

bool
link_code_is(struct str text)
{
    char code[CODE_LEN];

    return read_code(text, code);
}

/* Takes the code away and links whoever it is of with whoever shows it. */
static enum status
redeem(struct store_tx *tx, const char *kind, struct str secret, struct str channel_id,
       struct contact_id shown_by, int64_t now_us, enum link_outcome *outcome, struct err *err)
{
    struct hash_text hash = hash_of(secret);
    struct store_rows *rows = NULL;
    struct contact_id id;
    int64_t expires_at_us;
    bool changed = false;
    enum status st = store_query_one(
        tx, &SQL_LINK_CODE_TAKE,
        ARGS(sv_text(str_from_c(hash.text)), sv_text(str_from_c(kind)), sv_text(channel_id)), &rows,
        err);

    *outcome = LINK_INVALID;
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    id = STORE_COL_ID(rows, 0, contact_id);
    expires_at_us = store_col_int(rows, 1);
    st = store_rows_close(&rows, err);
    if (st != ST_OK || expires_at_us <= now_us)
        return st;
    *outcome = LINK_SAME;
    if (id_eq(&id.id, &shown_by.id))
        return ST_OK;
    st = contact_link(tx, id, shown_by, kind, now_us, &changed, err);
    if (st == ST_OK && changed)
        *outcome = LINK_DONE;
    return st;
}

enum status
link_code_redeem(struct store_tx *tx, struct str text, struct contact_id shown_by, int64_t now_us,
                 enum link_outcome *outcome_out, struct err *err)
{
    char code[CODE_LEN];

    *outcome_out = LINK_INVALID;
    if (!read_code(text, code))
        return ST_OK;
    return redeem(tx, "code", str_of(code, CODE_LEN), STR(""), shown_by, now_us, outcome_out, err);
}

enum status
link_token_redeem(struct store_tx *tx, struct str token, struct channel_id web_channel_id,
                  struct contact_id shown_by, int64_t now_us, enum link_outcome *outcome_out,
                  struct err *err)
{
    *outcome_out = LINK_INVALID;
    if (token.len != TOKEN_TEXT_LEN)
        return ST_OK;
    return redeem(tx, "link", token, ID_STR(web_channel_id), shown_by, now_us, outcome_out, err);
}

/* --- suggestions --- */

static void
read_suggestion(struct store_rows *rows, struct arena *arena, struct link_suggestion *out)
{
    bool by_phone = str_starts_with(store_col_text(rows, 4), STR("phone:"));

    *out = (struct link_suggestion){
        .contact_id = STORE_COL_ID(rows, 0, contact_id),
        .other_id = STORE_COL_ID(rows, 1, contact_id),
        .display_name = arena_str(arena, store_col_text(rows, 2)),
        .other_name = arena_str(arena, store_col_text(rows, 3)),
        .reason = by_phone ? STR("phone") : STR("email"),
        .score = by_phone ? SCORE_PHONE : SCORE_EMAIL,
    };
}

enum status
link_suggestion_list(struct store_tx *tx, struct contact_id after, struct contact_id after_other,
                     size_t limit, struct arena *arena, struct link_suggestion **suggestions_out,
                     size_t *count_out, struct err *err)
{
    struct link_suggestion *list = ARENA_NEW_N(arena, struct link_suggestion, limit);
    struct store_rows *rows = NULL;
    enum status st = store_query(
        tx, &SQL_LINK_SUGGESTIONS,
        ARGS(sv_text(ID_STR(after)), sv_text(ID_STR(after_other)), sv_int((int64_t)limit)), &rows,
        err);

    *suggestions_out = list;
    *count_out = 0;
    while (st == ST_OK && *count_out < limit && store_rows_next(rows))
        read_suggestion(rows, arena, &list[(*count_out)++]);
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

enum status
link_suggestion_dismiss(struct store_tx *tx, struct contact_id a, struct contact_id b,
                        int64_t now_us, struct err *err)
{
    bool in_order = strcmp(a.id.text, b.id.text) < 0;
    struct contact_id first = in_order ? a : b, second = in_order ? b : a;
    struct contact contact;
    enum status st;

    if (id_eq(&a.id, &b.id))
        return err_set(err, ST_INVALID, "a contact is never suggested as itself");
    st = contact_get(tx, a, store_tx_arena(tx), &contact, err);
    if (st == ST_OK)
        st = contact_get(tx, b, store_tx_arena(tx), &contact, err);
    return st == ST_OK ? store_exec(tx, &SQL_LINK_DISMISS,
                                    ARGS(sv_id(first), sv_id(second), sv_int(now_us)), NULL, err)
                       : st;
}

/* --- what a person brings along --- */

/* The person's other private conversations; none unless this is one of them. */
static enum status
other_chats(struct store_tx *tx, const struct conversation *conversation,
            struct conversation_id *ids_out, size_t *count_out, struct err *err)
{
    struct store_rows *rows = NULL;
    bool is_one = false;
    size_t seen = 0;
    enum status st =
        store_query(tx, &SQL_PERSON_CHATS,
                    ARGS(sv_id(conversation->contact_id), sv_int(PERSON_CHATS_MAX)), &rows, err);

    *count_out = 0;
    while (st == ST_OK && seen < PERSON_CHATS_MAX && store_rows_next(rows)) {
        struct conversation_id id = STORE_COL_ID(rows, 0, conversation_id);

        seen++;
        if (id_eq(&id.id, &conversation->id.id))
            is_one = true;
        else
            ids_out[(*count_out)++] = id;
    }
    if (!is_one)
        *count_out = 0;
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

/* Two runs in the order of time into one. */
static struct message *
merge(const struct message *a, size_t a_count, const struct message *b, size_t b_count,
      struct arena *arena)
{
    struct message *merged = ARENA_NEW_N(arena, struct message, a_count + b_count);
    size_t i = 0, j = 0;

    while (i < a_count || j < b_count)
        if (j == b_count || (i < a_count && a[i].created_at_us <= b[j].created_at_us)) {
            merged[i + j] = a[i];
            i++;
        } else {
            merged[i + j] = b[j];
            j++;
        }
    return merged;
}

enum status
person_add_history(struct store_tx *tx, const struct conversation *conversation, size_t limit,
                   struct arena *arena, struct history *history, struct err *err)
{
    struct conversation_id ids[PERSON_CHATS_MAX];
    size_t chats = 0;
    enum status st = ST_OK;

    if (limit > 0 && conversation->is_linked)
        st = other_chats(tx, conversation, ids, &chats, err);
    for (size_t i = 0; st == ST_OK && i < chats; i++) {
        struct message *other = NULL;
        size_t count = 0;

        st = message_window(tx, ids[i], INT64_MAX, limit, arena, &other, &count, err);
        if (st != ST_OK || count == 0)
            continue;
        history->messages = merge(history->messages, history->count, other, count, arena);
        history->count += count;
    }
    if (st == ST_OK && history->count > limit) {
        history->messages += history->count - limit;
        history->count = limit;
    }
    return st;
}
