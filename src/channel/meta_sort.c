/*
 * meta_sort.c - whose is what in a POST of Meta's, where several accounts share one address
 *
 * Meta delivers everything of an app to one address, and may put several accounts' news into one
 * POST. The signature is over the whole; what each channel reads holds its own news alone, so that
 * nothing of another account is kept with it, not even what cannot be read.
 */
#include "channel/meta.h"

#include "base/map.h"
#include "text/json.h"

#define ACCOUNTS_MAX 1024 /* Meta puts at most 1000 updates into one POST */

struct sorting {
    meta_account_of account_of;
    const json_t *body;
    struct map places; /* account -> struct place, in the arena */
    struct place *first, **next;
    struct arena *arena;
    bool leaves_some; /* news of nobody */
};

struct place {
    struct str account;
    json_t *entries;
    const json_t *entry; /* which the last of entries is a copy of */
    struct place *next;
};

static struct place *
place_of(struct sorting *s, struct str account, struct err *err)
{
    struct place *place = map_find(&s->places, account);
    void *replaced = NULL;

    if (place != NULL)
        return place;
    place = ARENA_NEW(s->arena, struct place);
    place->account = arena_str(s->arena, account);
    place->entries = json_array();
    if (map_put(&s->places, account, place, &replaced, err) != ST_OK) {
        json_decref(place->entries);
        return NULL;
    }
    *s->next = place;
    s->next = &place->next;
    return place;
}

/* The entry with only those changes that are added to it. */
static json_t *
open_entry(struct place *place, const json_t *entry)
{
    json_t *copy = NULL;

    if (place->entry == entry)
        return json_array_get(place->entries, json_array_size(place->entries) - 1);
    copy = json_object();
    json_object_update(copy, (json_t *)(uintptr_t)entry);
    json_set(copy, "changes", json_array());
    json_array_append_new(place->entries, copy);
    place->entry = entry;
    return copy;
}

static enum status
sort_change(struct sorting *s, const json_t *entry, json_t *change, struct err *err)
{
    struct str account = s->account_of(entry, change);
    struct place *place = NULL;

    if (account.len == 0) {
        s->leaves_some = true;
        return ST_OK;
    }
    place = place_of(s, account, err);
    if (place == NULL)
        return err->code;
    json_array_append(json_get_array(open_entry(place, entry), "changes"), change);
    return ST_OK;
}

static enum status
sort_entry(struct sorting *s, json_t *entry, struct err *err)
{
    struct str account = s->account_of(entry, NULL);
    enum status st = ST_OK;
    size_t i;
    json_t *change;

    if (account.len == 0) {
        s->leaves_some |= json_get_array(entry, "changes") == NULL;
        json_array_foreach (json_get_array(entry, "changes"), i, change)
            if (st == ST_OK)
                st = sort_change(s, entry, change, err);
        return st;
    }
    struct place *place = place_of(s, account, err);

    if (place == NULL)
        return err->code;
    json_array_append(place->entries, entry);
    return ST_OK;
}

static struct str
body_of(const struct sorting *s, const struct place *place)
{
    json_auto_t *body = json_object();

    json_object_update(body, (json_t *)(uintptr_t)s->body);
    json_set(body, "entry", json_incref(place->entries));
    return json_text(body, s->arena);
}

static enum status
sort_body(struct sorting *s, const struct webhook *webhook, struct channel_share **shares_out,
          size_t *count_out, struct err *err)
{
    enum status st = ST_OK;
    size_t i;
    json_t *entry;

    json_array_foreach (json_get_array(s->body, "entry"), i, entry)
        if (st == ST_OK)
            st = sort_entry(s, entry, err);
    *shares_out = ARENA_NEW_N(s->arena, struct channel_share, s->places.count + 1);
    for (struct place *place = s->first; place != NULL; place = place->next) {
        if (st == ST_OK) /* the only one reads what was signed, to the letter */
            (*shares_out)[(*count_out)++] = (struct channel_share){
                place->account,
                s->places.count == 1 && !s->leaves_some ? webhook->body : body_of(s, place)};
        json_decref(place->entries);
    }
    return st;
}

static struct channel_share
share_of_handshake(const struct webhook *webhook)
{
    struct str rest = http_request_query(webhook->request, "hub.verify_token");
    struct str account = STR_EMPTY;

    if (str_find_byte(rest, ':') < 0 || !str_split(&rest, ':', &account))
        return (struct channel_share){STR_EMPTY, STR_EMPTY};
    return (struct channel_share){account, webhook->body};
}

enum status
meta_sort(const struct webhook *webhook, meta_account_of account_of, struct arena *arena,
          struct channel_share **shares_out, size_t *count_out, struct err *err)
{
    json_auto_t *body = NULL;
    struct sorting s = {.account_of = account_of, .arena = arena};
    enum status st = ST_OK;

    *count_out = 0;
    if (webhook->request->method == HTTP_GET) {
        *shares_out = ARENA_NEW(arena, struct channel_share);
        **shares_out = share_of_handshake(webhook);
        *count_out = (*shares_out)->account.len > 0 ? 1 : 0;
        return ST_OK;
    }
    st = json_parse(webhook->body, &body, err);
    if (st != ST_OK)
        return err_wrap(err, "webhook");
    s.body = body;
    s.next = &s.first;
    map_init(&s.places, ACCOUNTS_MAX);
    st = sort_body(&s, webhook, shares_out, count_out, err);
    map_deinit(&s.places);
    return st;
}
