/*
 * persona.c - reads a brand's persona; what it leaves out has a default
 */
#include "base/buf.h"
#include "orchestrator/orchestrator_private.h"
#include "text/json.h"

static struct str
copy_or(const json_t *persona, const char *key, struct str fallback, struct arena *arena)
{
    struct str value = json_get_str(persona, key);

    return value.ptr == NULL ? fallback : arena_str(arena, value);
}

/* Groups of words, a line each; checked when they were written. */
static struct str
synonyms_of(const json_t *persona, struct arena *arena)
{
    const json_t *list = json_object_get(persona, "synonyms");
    const json_t *group;
    struct str all;
    struct buf out;
    size_t i;

    buf_init(&out, (size_t)INDEX_SYNONYMS_GROUPS * (INDEX_SYNONYMS_GROUP_BYTES + 1));
    json_array_foreach (list, i, group)
        if (i < INDEX_SYNONYMS_GROUPS && json_string_length(group) <= INDEX_SYNONYMS_GROUP_BYTES) {
            buf_append(&out, str_of(json_string_value(group), json_string_length(group)));
            buf_append_byte(&out, '\n');
        }
    all = arena_str(arena, buf_str(&out));
    buf_deinit(&out);
    return all;
}

enum status
persona_read(struct store_tx *tx, struct brand_id brand_id, const json_t *draft,
             struct arena *arena, struct persona *persona_out, struct err *err)
{
    json_auto_t *kept = NULL;
    const json_t *persona = draft;
    struct brand brand;
    const json_t *min;
    enum status st = brand_get(tx, brand_id, arena, &brand, err);

    if (st == ST_OK && draft == NULL) {
        st = json_parse(brand.persona, &kept, err);
        persona = kept;
    }
    if (st != ST_OK)
        return err_wrap(err, "read persona");
    *persona_out = (struct persona){
        .name = copy_or(persona, "name", brand.name, arena),
        .organization_name = copy_or(persona, "organization", brand.name, arena),
        .voice = copy_or(persona, "voice", STR("friendly, clear and brief"), arena),
        .language = copy_or(persona, "language", STR("en"), arena),
        .greeting = copy_or(persona, "greeting", STR(""), arena),
        .instructions = copy_or(persona, "instructions", STR(""), arena),
        .synonyms = synonyms_of(persona, arena),
        .extractive_only = str_eq_c(json_get_str(persona, "model"), "extractive"),
        .rerank = json_get_bool(persona, "rerank", false),
        .min_confidence = -1,
    };
    min = json_object_get(persona, "min_confidence");
    if (json_is_number(min))
        persona_out->min_confidence = json_number_value(min);
    return ST_OK;
}
