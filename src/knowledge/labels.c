/*
 * labels.c - what is said of a document and can be said anew without reading it: who may read it,
 * whose it is, category, tone, date
 *
 * The last three a document may say of itself, too. Both are kept, so that whoever takes back what
 * they said has what the document says; what was said counts first. Who may read a document and
 * whose it is are never the document's to say.
 */
#include <string.h>

#include "base/buf.h"
#include "index/index.h"
#include "knowledge/knowledge_private.h"
#include "knowledge/knowledge_sql.h"

#define LABEL_MAX_BYTES 100
#define DATE_LEN 10 /* 2026-05-01 */

_Static_assert(EXTRACT_LABEL_MAX_LEN == LABEL_MAX_BYTES, "a document may say what anybody may say");

enum status
source_date_parse(struct str text, int64_t *at_us_out, struct err *err)
{
    char full[DATE_LEN + 10];
    struct err ignored;

    *at_us_out = 0;
    if (text.len == 0)
        return ST_OK;
    if (text.len == DATE_LEN) {
        memcpy(full, text.ptr, DATE_LEN);
        memcpy(full + DATE_LEN, "T00:00:00Z", 10);
        text = str_of(full, sizeof(full));
    }
    if (time_parse_rfc3339(text, at_us_out, &ignored) != ST_OK || *at_us_out == 0)
        return err_set(err, ST_INVALID, "A document's date is like 2026-05-01.");
    return ST_OK;
}

enum status
label_check(const char *name, struct str label, struct err *err)
{
    for (size_t i = 0; i < label.len; i++)
        if ((unsigned char)label.ptr[i] < 0x20 || label.ptr[i] == 0x7f)
            return err_set(err, ST_INVALID, "The %s holds control characters.", name);
    if (label.len > LABEL_MAX_BYTES || !str_is_utf8(label))
        return err_set(err, ST_INVALID, "The %s is up to %d bytes of UTF-8.", name,
                       LABEL_MAX_BYTES);
    return ST_OK;
}

enum status
labels_write(struct knowledge *knowledge, struct store_tx *tx, struct source_id id,
             const struct source_labels *labels, struct err *err)
{
    return store_exec(tx, &SQL_SOURCE_LABEL,
                      ARGS(sv_id(id),
                           labels->category.ptr == NULL ? sv_null() : sv_text(labels->category),
                           labels->tone.ptr == NULL ? sv_null() : sv_text(labels->tone),
                           labels->has_date ? sv_int(labels->dated_at_us) : sv_null(),
                           sv_int(clock_wall_us(knowledge->clock)),
                           sv_int((labels->unsaid & SOURCE_CATEGORY) != 0),
                           sv_int((labels->unsaid & SOURCE_TONE) != 0),
                           sv_int((labels->unsaid & SOURCE_DATE) != 0)),
                      NULL, err);
}

static struct str
own_label(struct str label)
{
    struct err ignored;

    return label.len > 0 && label_check("label", label, &ignored) == ST_OK ? label : STR("");
}

enum status
labels_write_own(struct store_tx *tx, struct source_id id, const struct extracted *extracted,
                 struct err *err)
{
    int64_t dated_at_us;
    struct err ignored;

    if (source_date_parse(extracted->date, &dated_at_us, &ignored) != ST_OK)
        dated_at_us = 0;
    return store_exec(tx, &SQL_SOURCE_LABEL_OWN,
                      ARGS(sv_id(id), sv_text(own_label(extracted->category)),
                           sv_text(own_label(extracted->tone)), sv_int(dated_at_us)),
                      NULL, err);
}

static struct str
read_text(struct store_rows *rows, int column, struct arena *arena)
{
    struct str text;

    if (store_col_is_null(rows, column))
        return STR_EMPTY;
    text = store_col_text(rows, column);
    return text.len == 0 ? STR("") : arena_str(arena, text);
}

struct source_labels
labels_read(struct store_rows *rows, int first, struct arena *arena)
{
    return (struct source_labels){
        .category = read_text(rows, first, arena),
        .tone = read_text(rows, first + 1, arena),
        .has_date = !store_col_is_null(rows, first + 2),
        .dated_at_us = store_col_int(rows, first + 2),
    };
}

/* What was not said is not what was said to be none. */
static bool
label_eq(struct str a, struct str b)
{
    return a.ptr == NULL || b.ptr == NULL ? a.ptr == b.ptr : str_eq(a, b);
}

bool
labels_eq(const struct source_labels *a, const struct source_labels *b)
{
    return label_eq(a->category, b->category) && label_eq(a->tone, b->tone) &&
           a->has_date == b->has_date && a->dated_at_us == b->dated_at_us;
}

/* --- changing --- */

struct update_work {
    struct knowledge *knowledge;
    struct source_id id;
    struct source_change change;
};

static enum status
update_one(struct store_tx *tx, const struct update_work *work, struct source_id id,
           struct err *err)
{
    const struct source_change *change = &work->change;
    struct str audience, wanted;
    struct brand_id brand;
    struct store_rows *rows;
    bool moves;
    enum status st = store_query_one(tx, &SQL_SOURCE_FIND, ARGS(sv_id(id)), &rows, err);

    if (st == ST_NOT_FOUND)
        return err_set(err, ST_NOT_FOUND, "There is no such document.");
    if (st != ST_OK)
        return st;
    brand = STORE_COL_ID(rows, 0, brand_id);
    audience = arena_str(store_tx_arena(tx), store_col_text(rows, 1));
    st = store_rows_close(&rows, err);
    wanted = change->audience.len > 0 ? change->audience : audience;
    if (!str_eq(audience, index_audience_published(audience)))
        wanted = index_audience_of_draft(wanted, store_tx_arena(tx));
    moves =
        !str_eq(audience, wanted) || (change->has_brand && !id_eq(&brand.id, &change->brand_id.id));
    audience = wanted;
    if (change->has_brand)
        brand = change->brand_id;
    if (st == ST_OK && moves)
        st = brand_check(tx, brand, err);
    if (st == ST_OK && moves)
        st = store_exec(tx, &SQL_SOURCE_ACCESS, ARGS(sv_id(id), sv_id(brand), sv_text(audience)),
                        NULL, err);
    if (st == ST_CONFLICT)
        return err_set(err, ST_CONFLICT, "That brand has a document of this name already.");
    if (st == ST_OK && moves)
        st = index_move(tx, id, brand, audience, err);
    return st == ST_OK ? labels_write(work->knowledge, tx, id, &change->labels, err) : st;
}

/* What lies within a document is labelled as it is. */
enum status
source_change_in_tx(struct knowledge *knowledge, struct store_tx *tx, struct source_id id,
                    const struct source_change *change, struct err *err)
{
    const struct update_work work = {knowledge, id, *change};
    struct member *members = NULL;
    size_t count = 0;
    enum status st = update_one(tx, &work, id, err);

    if (st == ST_OK)
        st = member_list(tx, id, store_tx_arena(tx), &members, &count, err);
    for (size_t i = 0; st == ST_OK && i < count; i++)
        st = update_one(tx, &work, members[i].id, err);
    return st == ST_OK ? passages_changed(knowledge, tx, err) : st;
}

static enum status
update_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    const struct update_work *work = arg;

    return source_change_in_tx(work->knowledge, tx, work->id, &work->change, err);
}

enum status
knowledge_update(struct knowledge *knowledge, const struct tenant_scope *scope, struct source_id id,
                 const struct source_change *change, struct err *err)
{
    struct update_work work = {.knowledge = knowledge, .id = id, .change = *change};
    struct arena *arena = arena_create((size_t)65536);
    enum status st = label_check("category", change->labels.category, err);

    if (st == ST_OK)
        st = label_check("tone", change->labels.tone, err);
    if (st == ST_OK && change->audience.len > 0)
        st = index_audience_parse(change->audience, arena, &work.change.audience, err);
    if (st == ST_OK)
        st = store_run(knowledge->store, scope, "knowledge_update", STORE_DURABLE, update_in_tx,
                       &work, err);
    arena_destroy(&arena);
    return st;
}

/* --- who may read it --- */

enum status
readable_audiences(struct store_tx *tx, const struct knowledge_reader *reader,
                   struct str *audiences_out, struct err *err)
{
    struct store_rows *rows;
    struct str list = STR("");
    enum status st;

    *audiences_out = list;
    if (reader == NULL)
        return ST_OK;
    st = store_query(tx, &SQL_AUDIENCE_LIST, NO_ARGS, &rows, err);
    if (st != ST_OK)
        return st;
    list = STR("|"); /* not empty: that would be everything */
    while (store_rows_next(rows)) {
        struct str audience = store_col_text(rows, 0);

        if (index_audience_may_read(audience, reader->for_staff, reader->roles))
            list = arena_printf(store_tx_arena(tx), "%.*s|%.*s|", STR_ARG(list), STR_ARG(audience));
    }
    *audiences_out = list;
    return store_rows_close(&rows, err);
}
