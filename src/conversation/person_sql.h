/*
 * person_sql.h - statements of contacts that are one person; $1 is always the organization
 */
#ifndef PARLEY_CONVERSATION_PERSON_SQL_H
#define PARLEY_CONVERSATION_PERSON_SQL_H

#include "store/store.h"

/* Links are made one after the other: two at once could each miss what the other joins. */
#define LINK_LOCK "SELECT id FROM brand WHERE organization_id = $1 AND is_default = 1"
static const struct store_sql SQL_LINK_LOCK = {
    .name = "link_lock", .sqlite = LINK_LOCK, .pgsql = LINK_LOCK " FOR UPDATE"};

#define CONTACT_COLUMNS                                                                            \
    "p.id, p.display_name, p.locale, coalesce(l.linked_by, ''), p.created_at, p.last_seen_at, "    \
    "l.created_at "
static const struct store_sql SQL_CONTACT_GET = {
    .name = "contact_get",
    .text = "SELECT " CONTACT_COLUMNS "FROM contact p LEFT JOIN contact_link l "
            "ON l.organization_id = $1 AND l.contact_id = p.id "
            "WHERE p.organization_id = $1 AND p.id = $2"};

/* $3: what is sought. Letters' case does not matter, of whatever script; nor does a final sigma. */
#define CONTACT_LIST(find, lower)                                                                  \
    "SELECT " CONTACT_COLUMNS "FROM contact p LEFT JOIN contact_link l "                           \
    "ON l.organization_id = $1 AND l.contact_id = p.id "                                           \
    "WHERE p.organization_id = $1 AND p.id < $2 AND ($3 = '' "                                     \
    "OR " find "(" lower("p.display_name") ", " lower(                                             \
        "$3") ") > 0 OR EXISTS (SELECT 1 FROM identity i "                                         \
              "WHERE i.organization_id = $1 AND i.contact_id = p.id "                              \
              "AND " find "(" lower("i.external_user_id") ", " lower(                              \
                  "$3") ") > 0)) ORDER BY p.id DESC LIMIT $4"
#define LOWER_SQLITE(x) "replace(small_letters(" x "), 'ς', 'σ')"
#define LOWER_PGSQL(x) "replace(lower(" x " COLLATE \"und-x-icu\"), 'ς', 'σ')"
static const struct store_sql SQL_CONTACT_LIST = {.name = "contact_list",
                                                  .sqlite = CONTACT_LIST("instr", LOWER_SQLITE),
                                                  .pgsql = CONTACT_LIST("strpos", LOWER_PGSQL)};

static const struct store_sql SQL_CONTACT_LINKED = {
    .name = "contact_linked",
    .text = "SELECT " CONTACT_COLUMNS "FROM contact_link o "
            "JOIN contact_link l ON l.organization_id = $1 AND l.person_id = o.person_id "
            "JOIN contact p ON p.organization_id = $1 AND p.id = l.contact_id "
            "WHERE o.organization_id = $1 AND o.contact_id = $2 ORDER BY p.id LIMIT $3"};

static const struct store_sql SQL_CONTACT_IDENTITIES = {
    .name = "contact_identities",
    .text = "SELECT i.id, i.channel_id, c.source, i.external_user_id, i.reachable FROM identity i "
            "JOIN channel c ON c.organization_id = $1 AND c.id = i.channel_id "
            "WHERE i.organization_id = $1 AND i.contact_id = $2 ORDER BY i.channel_id, "
            "i.external_user_id LIMIT $3"};

static const struct store_sql SQL_PERSON_OF = {
    .name = "person_of",
    .text = "SELECT person_id FROM contact_link WHERE organization_id = $1 AND contact_id = $2"};

static const struct store_sql SQL_PERSON_COUNT = {
    .name = "person_count",
    .text = "SELECT count(*) FROM contact_link WHERE organization_id = $1 "
            "AND person_id IN ($2, $3)"};

static const struct store_sql SQL_LINK_INSERT = {
    .name = "contact_link_insert",
    .text = "INSERT INTO contact_link (organization_id, contact_id, person_id, linked_by, "
            "created_at) VALUES ($1, $2, $3, $4, $5)"};

static const struct store_sql SQL_PERSON_MERGE = {
    .name = "person_merge",
    .text = "UPDATE contact_link SET person_id = $3 WHERE organization_id = $1 AND person_id = $2"};

static const struct store_sql SQL_LINK_DELETE = {
    .name = "contact_link_delete",
    .text = "DELETE FROM contact_link WHERE organization_id = $1 AND contact_id = $2 "
            "RETURNING person_id"};

/* Whoever is left alone is no group. */
static const struct store_sql SQL_LINK_DELETE_LAST = {
    .name = "contact_link_delete_last",
    .text = "DELETE FROM contact_link WHERE organization_id = $1 AND person_id = $2 "
            "AND (SELECT count(*) FROM contact_link o WHERE o.organization_id = $1 "
            "AND o.person_id = $2) = 1"};

static const struct store_sql SQL_LINK_CODE_CLEAR = {
    .name = "link_code_clear",
    .text = "DELETE FROM link_code WHERE organization_id = $1 "
            "AND (expires_at <= $4 OR (contact_id = $2 AND kind = $3))"};

static const struct store_sql SQL_LINK_CODE_INSERT = {
    .name = "link_code_insert",
    .text = "INSERT INTO link_code (organization_id, hash, kind, contact_id, channel_id, "
            "expires_at) VALUES ($1, $2, $3, $4, $5, $6)"};

static const struct store_sql SQL_LINK_CODE_TAKE = {
    .name = "link_code_take",
    .text = "DELETE FROM link_code WHERE organization_id = $1 AND hash = $2 AND kind = $3 "
            "AND channel_id = $4 RETURNING contact_id, expires_at"};

static const struct store_sql SQL_LINK_SUGGESTIONS = {
    .name = "link_suggestions",
    .text =
        "SELECT DISTINCT a.contact_id, b.contact_id, p.display_name, o.display_name, a.match_key "
        "FROM identity a JOIN identity b ON b.organization_id = $1 AND b.match_key = a.match_key "
        "AND b.contact_id > a.contact_id "
        "JOIN contact p ON p.organization_id = $1 AND p.id = a.contact_id "
        "JOIN contact o ON o.organization_id = $1 AND o.id = b.contact_id "
        "WHERE a.organization_id = $1 AND a.match_key IS NOT NULL AND b.match_key IS NOT NULL "
        "AND (a.contact_id, b.contact_id) > ($2, $3) "
        "AND NOT EXISTS (SELECT 1 FROM contact_link x JOIN contact_link y "
        "ON y.organization_id = $1 AND y.person_id = x.person_id AND y.contact_id = b.contact_id "
        "WHERE x.organization_id = $1 AND x.contact_id = a.contact_id) "
        "AND NOT EXISTS (SELECT 1 FROM link_dismissed d WHERE d.organization_id = $1 "
        "AND d.contact_id = a.contact_id AND d.other_id = b.contact_id) "
        "ORDER BY a.contact_id, b.contact_id LIMIT $4"};

static const struct store_sql SQL_LINK_DISMISS = {
    .name = "link_dismiss",
    .text = "INSERT INTO link_dismissed (organization_id, contact_id, other_id, created_at) "
            "VALUES ($1, $2, $3, $4) ON CONFLICT (organization_id, contact_id, other_id) "
            "DO NOTHING"};

/* The conversations of the person's private chats: where the chat is the person, and where the
 * provider has a name of its own for a conversation with one. */
static const struct store_sql SQL_PERSON_CHATS = {
    .name = "person_chats",
    .text = "SELECT id FROM (SELECT c.id, c.last_message_at FROM contact_link o "
            "JOIN contact_link l ON l.organization_id = $1 AND l.person_id = o.person_id "
            "JOIN identity i ON i.organization_id = $1 AND i.contact_id = l.contact_id "
            "JOIN chat t ON t.organization_id = $1 AND t.channel_id = i.channel_id "
            "AND t.external_chat_id = i.external_user_id "
            "JOIN conversation c ON c.organization_id = $1 AND c.id = t.conversation_id "
            "WHERE o.organization_id = $1 AND o.contact_id = $2 "
            "UNION SELECT c.id, c.last_message_at FROM contact_link o "
            "JOIN contact_link l ON l.organization_id = $1 AND l.person_id = o.person_id "
            "JOIN conversation c ON c.organization_id = $1 AND c.contact_id = l.contact_id "
            "JOIN chat t ON t.organization_id = $1 AND t.channel_id = c.channel_id "
            "AND t.external_chat_id = c.external_chat_id AND t.conversation_id = c.id "
            "JOIN channel h ON h.organization_id = $1 AND h.id = c.channel_id "
            "WHERE o.organization_id = $1 AND o.contact_id = $2 AND "
            "((h.source = 'slack' AND substr(c.external_chat_id, 1, 1) = 'D') OR "
            "(h.source = 'teams' AND c.external_chat_id LIKE '%|a:%'))) p "
            "ORDER BY last_message_at DESC, id LIMIT $3"};

#endif
