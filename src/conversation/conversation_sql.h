/*
 * conversation_sql.h - statements of src/conversation/; $1 is always the organization
 */
#ifndef PARLEY_CONVERSATION_CONVERSATION_SQL_H
#define PARLEY_CONVERSATION_CONVERSATION_SQL_H

#include "conversation/conversation.h"

#define CONVERSATION_COLUMNS                                                                       \
    "c.id, c.channel_id, c.contact_id, c.brand_id, c.user_id, h.source, c.external_chat_id, "      \
    "c.status, c.title, c.thread_id, p.display_name, p.locale, c.hand_off_to_human, c.last_seq, "  \
    "c.answered_seq, c.last_message_at, c.created_at, c.archived_at, "                             \
    "(SELECT count(*) FROM contact_link l WHERE l.organization_id = $1 "                           \
    "AND l.contact_id = c.contact_id) "
#define CONVERSATION_JOINS                                                                         \
    "JOIN channel h ON h.organization_id = $1 AND h.id = c.channel_id "                            \
    "JOIN contact p ON p.organization_id = $1 AND p.id = c.contact_id "
#define MESSAGE_COLUMNS                                                                            \
    "id, conversation_id, seq, role, source, channel_id, user_id, contact_id, "                    \
    "external_message_id, external_user_id, external_chat_id, body, metadata, envelope, "          \
    "delivery, "                                                                                   \
    "answers_from_seq, answers_to_seq, provider_at, created_at, deleted_at "

/* --- recording --- */

static const struct store_sql SQL_IDENTITY_FIND = {
    .name = "identity_find",
    .text = "SELECT i.contact_id, i.reachable, p.last_seen_at, i.match_key "
            "FROM identity i JOIN contact p ON p.organization_id = $1 AND p.id = i.contact_id "
            "WHERE i.organization_id = $1 AND i.channel_id = $2 AND i.external_user_id = $3"};

/* Who has the number on this channel, under whatever id; a second row: more than one. The channel
 * is no key here, lest PostgreSQL goes over all of its people. */
static const struct store_sql SQL_IDENTITY_BY_KEY = {
    .name = "identity_by_key",
    .text = "SELECT external_user_id FROM identity WHERE organization_id = $1 AND match_key = $3 "
            "AND channel_id || '' = $2 LIMIT 2"};

static const struct store_sql SQL_IDENTITY_SET_KEY = {
    .name = "identity_set_key",
    .text = "UPDATE identity SET match_key = $4 "
            "WHERE organization_id = $1 AND channel_id = $2 AND external_user_id = $3"};

static const struct store_sql SQL_CONTACT_INSERT = {
    .name = "contact_insert",
    .text = "INSERT INTO contact (organization_id, id, display_name, locale, created_at, "
            "last_seen_at) VALUES ($1, $2, $3, $4, $5, $5)"};

static const struct store_sql SQL_CONTACT_SEEN = {
    .name = "contact_seen",
    .text = "UPDATE contact SET last_seen_at = $3 WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_IDENTITY_INSERT = {
    .name = "identity_insert",
    .text = "INSERT INTO identity (organization_id, channel_id, external_user_id, id, contact_id, "
            "created_at, match_key) VALUES ($1, $2, $3, $4, $5, $6, $7)"};

static const struct store_sql SQL_IDENTITY_REACHABLE = {
    .name = "identity_reachable",
    .text = "UPDATE identity SET reachable = $4 "
            "WHERE organization_id = $1 AND channel_id = $2 AND external_user_id = $3"};

/* Not over a person who is known under the new id already. */
static const struct store_sql SQL_IDENTITY_MOVE = {
    .name = "identity_move",
    .text = "UPDATE identity SET external_user_id = $4, match_key = $5 "
            "WHERE organization_id = $1 AND channel_id = $2 AND external_user_id = $3 "
            "AND NOT EXISTS (SELECT 1 FROM identity k WHERE k.organization_id = $1 "
            "AND k.channel_id = $2 AND k.external_user_id = $4)"};

/* Read to be counted on: where several processes write, nobody else may until the commit. A join
 * would let PostgreSQL go over every conversation when it plans while there are few. */
#define CHAT_FIND                                                                                  \
    "SELECT id, last_message_at, archived_at, last_seq, hand_off_to_human FROM conversation "      \
    "WHERE organization_id = $1 AND id = (SELECT conversation_id FROM chat "                       \
    "WHERE organization_id = $1 AND channel_id = $2 AND external_chat_id = $3)"
static const struct store_sql SQL_CHAT_FIND = {
    .name = "chat_find", .sqlite = CHAT_FIND, .pgsql = CHAT_FIND " FOR UPDATE"};

static const struct store_sql SQL_CHAT_PUT = {
    .name = "chat_put",
    .text = "INSERT INTO chat (organization_id, channel_id, external_chat_id, conversation_id, "
            "created_at) VALUES ($1, $2, $3, $4, $5) "
            "ON CONFLICT (organization_id, channel_id, external_chat_id) "
            "DO UPDATE SET conversation_id = excluded.conversation_id"};

static const struct store_sql SQL_CHAT_COPY = {
    .name = "chat_copy",
    .text = "INSERT INTO chat (organization_id, channel_id, external_chat_id, conversation_id, "
            "created_at) SELECT organization_id, channel_id, $4, conversation_id, created_at "
            "FROM chat WHERE organization_id = $1 AND channel_id = $2 AND external_chat_id = $3 "
            "ON CONFLICT (organization_id, channel_id, external_chat_id) "
            "DO UPDATE SET conversation_id = excluded.conversation_id"};

static const struct store_sql SQL_CHAT_REMOVE = {
    .name = "chat_remove",
    .text = "DELETE FROM chat "
            "WHERE organization_id = $1 AND channel_id = $2 AND external_chat_id = $3"};

static const struct store_sql SQL_CONVERSATION_MOVE = {
    .name = "conversation_move",
    .text = "UPDATE conversation SET external_chat_id = $4 "
            "WHERE organization_id = $1 AND channel_id = $2 AND external_chat_id = $3"};

/* With the message that begins it, whose seq is 1. */
static const struct store_sql SQL_CONVERSATION_INSERT = {
    .name = "conversation_insert",
    .text = "INSERT INTO conversation (organization_id, id, channel_id, external_chat_id, "
            "contact_id, brand_id, user_id, status, title, last_seq, last_message_at, created_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, '" STATUS_USER_REPLY_RECEIVED "', $8, 1, $9, $9)"};

static const struct store_sql SQL_CONVERSATION_ARCHIVE = {
    .name = "conversation_archive",
    .text = "UPDATE conversation SET status = '" STATUS_ARCHIVED "', archived_at = $3 "
            "WHERE organization_id = $1 AND id = $2 AND archived_at IS NULL"};

/* A person's message never takes a conversation out of a person's hands. */
static const struct store_sql SQL_CONVERSATION_INBOUND = {
    .name = "conversation_inbound",
    .text = "UPDATE conversation SET last_seq = $4, last_message_at = $3, "
            "status = CASE WHEN hand_off_to_human = 1 THEN status "
            "ELSE '" STATUS_USER_REPLY_RECEIVED "' END "
            "WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_MESSAGE_INSERT = {
    .name = "message_insert",
    .text = "INSERT INTO message (organization_id, id, conversation_id, seq, role, source, "
            "channel_id, user_id, contact_id, external_message_id, external_user_id, "
            "external_chat_id, body, metadata, envelope, delivery, answers_from_seq, "
            "answers_to_seq, provider_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, "
            "$10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)"};

/* PostgreSQL only, where a statement is a journey: all of the above for people who were here
 * before, into the conversations that are open, for all messages of a batch. Without conversation:
 * others wait in the intake, and it is in turn. No row: something else is not so, or the message is
 * known. Either way nothing was done. LIMIT, and OFFSET 0: whatever is known of
 * the tables, each is sought by its key; "+ 0": and not by time. "nth < 2", coalesce: an equation
 * would be taken for a rare thing, and the few rows of it be compared each with each. */
static const struct store_sql SQL_MESSAGE_OF_KNOWN = {
    .name = "message_of_known",
    .pgsql_many =
        "WITH asked AS MATERIALIZED (SELECT *, row_number() OVER (PARTITION BY source, "
        "external_message_id ORDER BY n) AS nth FROM unnest($2::text[], $3::text[], $4::text[], "
        "$5::bigint[], $6::bigint[], $7::bigint[], $8::text[], $9::text[], $10::text[], "
        "$11::text[], $12::text[], $13::text[], $14::text[], $15::bigint[], $16::bigint[], "
        "$17::text[]) "
        "WITH ORDINALITY AS a (channel_id, external_user_id, external_chat_id, now_at, seen_from, "
        "silent_from, source, external_message_id, id, user_id, body, metadata, envelope, "
        "provider_at, in_turn, proven_key, n)), "
        "entered AS (UPDATE conversation c SET last_seq = c.last_seq + k.added, "
        "last_message_at = k.now_at, status = CASE WHEN c.hand_off_to_human = 1 THEN c.status "
        "ELSE '" STATUS_USER_REPLY_RECEIVED "' END "
        "FROM (SELECT t.conversation_id, count(*) AS added, max(a.now_at) AS now_at, "
        "max(a.silent_from) AS silent_from, array_agg(a.n ORDER BY a.n) AS numbers, "
        "array_agg(p.id ORDER BY a.n) AS contacts, "
        "array_agg(p.last_seen_at < a.seen_from ORDER BY a.n) AS unseen FROM asked a "
        "CROSS JOIN LATERAL (SELECT contact_id FROM identity WHERE organization_id = $1 "
        "AND channel_id = a.channel_id AND external_user_id = a.external_user_id "
        "AND reachable = 1 "
        "AND coalesce(match_key = a.proven_key, a.proven_key IS NULL) LIMIT 1) i "
        "CROSS JOIN LATERAL (SELECT id, last_seen_at FROM contact WHERE organization_id = $1 "
        "AND id = i.contact_id LIMIT 1) p "
        "CROSS JOIN LATERAL (SELECT conversation_id FROM chat WHERE organization_id = $1 "
        "AND channel_id = a.channel_id AND external_chat_id = a.external_chat_id LIMIT 1) t "
        "WHERE a.nth < 2 AND (a.in_turn = 0 OR coalesce((SELECT false FROM intake "
        "WHERE organization_id = $1 LIMIT 1), true)) "
        "AND coalesce((SELECT false FROM message m WHERE m.organization_id = $1 "
        "AND m.source = a.source AND m.external_message_id = a.external_message_id LIMIT 1), true) "
        "GROUP BY t.conversation_id OFFSET 0) k WHERE c.organization_id = $1 "
        "AND c.id = k.conversation_id AND c.archived_at IS NULL "
        "AND c.last_message_at + 0 >= k.silent_from RETURNING c.id, c.last_seq - k.added AS "
        "before, c.hand_off_to_human, k.now_at, k.numbers, k.contacts, k.unseen), "
        "placed AS MATERIALIZED (SELECT u.n, u.contact_id, u.unseen, e.now_at, "
        "e.id AS conversation_id, e.before + u.place AS seq, e.hand_off_to_human FROM entered e "
        "CROSS JOIN LATERAL unnest(e.numbers, e.contacts, e.unseen) WITH ORDINALITY "
        "AS u (n, contact_id, unseen, place)), "
        "seen AS (UPDATE contact p SET last_seen_at = s.now_at FROM (SELECT contact_id, "
        "max(now_at) AS now_at FROM placed WHERE unseen GROUP BY contact_id OFFSET 0) s "
        "WHERE p.organization_id = $1 AND p.id = s.contact_id), "
        "written AS (INSERT INTO message (organization_id, id, conversation_id, seq, role, source, "
        "channel_id, user_id, contact_id, external_message_id, external_user_id, "
        "external_chat_id, body, metadata, envelope, provider_at, created_at) "
        "SELECT $1, a.id, p.conversation_id, p.seq, 'user', a.source, a.channel_id, a.user_id, "
        "p.contact_id, a.external_message_id, a.external_user_id, a.external_chat_id, a.body, "
        "a.metadata, a.envelope, a.provider_at, a.now_at FROM placed p JOIN asked a ON a.n = p.n) "
        "SELECT n, conversation_id, seq, hand_off_to_human FROM placed UNION ALL "
        "SELECT n, NULL, NULL, NULL FROM asked WHERE in_turn <> 0 AND NOT coalesce((SELECT false "
        "FROM intake WHERE organization_id = $1 LIMIT 1), true)"};

/* PostgreSQL only: the same for people and chats that were never here, of each the first message of
 * a batch: contact, identity, chat, conversation and message. No row: one of that is not so, and
 * nothing was done. */
static const struct store_sql SQL_MESSAGE_OF_NEW = {
    .name = "message_of_new",
    .pgsql_many =
        "WITH asked AS MATERIALIZED (SELECT *, "
        "row_number() OVER (PARTITION BY source, external_message_id ORDER BY n) AS nth, "
        "row_number() OVER (PARTITION BY channel_id, external_user_id ORDER BY n) AS nth_of_user, "
        "row_number() OVER (PARTITION BY channel_id, external_chat_id ORDER BY n) AS nth_of_chat, "
        "row_number() OVER (PARTITION BY channel_id, coalesce(match_key, external_user_id) "
        "ORDER BY n) AS nth_of_key "
        "FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[], "
        "$8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::bigint[], "
        "$14::text[], $15::text[], $16::text[], $17::text[], $18::text[], $19::text[], "
        "$20::text[], $21::text[]) "
        "WITH ORDINALITY AS a (channel_id, external_user_id, external_chat_id, now_at, source, "
        "external_message_id, id, user_id, body, metadata, envelope, provider_at, contact_id, "
        "identity_id, conversation_id, display_name, locale, brand_id, title, match_key, n)), "
        "fresh AS MATERIALIZED (SELECT * FROM asked a "
        "WHERE a.nth < 2 AND a.nth_of_user < 2 AND a.nth_of_chat < 2 AND a.nth_of_key < 2 "
        "AND coalesce((SELECT false FROM identity WHERE organization_id = $1 "
        "AND match_key = a.match_key AND channel_id || '' = a.channel_id LIMIT 1), true) "
        "AND coalesce((SELECT false FROM identity WHERE organization_id = $1 "
        "AND channel_id = a.channel_id AND external_user_id = a.external_user_id LIMIT 1), true) "
        "AND coalesce((SELECT false FROM chat WHERE organization_id = $1 "
        "AND channel_id = a.channel_id AND external_chat_id = a.external_chat_id LIMIT 1), true) "
        "AND coalesce((SELECT false FROM message m WHERE m.organization_id = $1 "
        "AND m.source = a.source AND m.external_message_id = a.external_message_id LIMIT 1), "
        "true)), "
        "new_contact AS (INSERT INTO contact (organization_id, id, display_name, locale, "
        "created_at, last_seen_at) SELECT $1, contact_id, display_name, locale, now_at, now_at "
        "FROM fresh), "
        "new_identity AS (INSERT INTO identity (organization_id, channel_id, external_user_id, id, "
        "contact_id, created_at, match_key) SELECT $1, channel_id, external_user_id, identity_id, "
        "contact_id, now_at, match_key FROM fresh), "
        "new_chat AS (INSERT INTO chat (organization_id, channel_id, external_chat_id, "
        "conversation_id, created_at) SELECT $1, channel_id, external_chat_id, conversation_id, "
        "now_at FROM fresh), "
        "new_conversation AS (INSERT INTO conversation (organization_id, id, channel_id, "
        "external_chat_id, contact_id, brand_id, user_id, status, title, last_seq, "
        "last_message_at, created_at) SELECT $1, conversation_id, channel_id, external_chat_id, "
        "contact_id, brand_id, user_id, '" STATUS_USER_REPLY_RECEIVED "', title, 1, now_at, now_at "
        "FROM fresh), "
        "new_message AS (INSERT INTO message (organization_id, id, conversation_id, seq, role, "
        "source, channel_id, user_id, contact_id, external_message_id, external_user_id, "
        "external_chat_id, body, metadata, envelope, provider_at, created_at) "
        "SELECT $1, id, conversation_id, 1, 'user', source, channel_id, user_id, contact_id, "
        "external_message_id, external_user_id, external_chat_id, body, metadata, envelope, "
        "provider_at, now_at FROM fresh) "
        "SELECT n, conversation_id FROM fresh"};

static const struct store_sql SQL_EVENT_INSERT = {
    .name = "channel_event_insert",
    .text = "INSERT INTO channel_event (organization_id, id, channel_id, external_event_id, kind, "
            "message_id, payload, created_at, about) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, nullif($9, ''))"};

static const struct store_sql SQL_EVENT_DELETION = {
    .name = "channel_event_deletion",
    .text = "SELECT id FROM channel_event WHERE organization_id = $1 AND channel_id = $2 "
            "AND about = $3 AND kind = 'deletion' LIMIT 1"};

/* The provider calls a message of ours so. */
static const struct store_sql SQL_RECEIPT_OWN = {
    .name = "receipt_own",
    .text = "SELECT 1 FROM receipt WHERE organization_id = $1 AND channel_id = $2 "
            "AND external_message_id = $3 AND message_id IS NOT NULL"};

static const struct store_sql SQL_MESSAGE_BY_EXTERNAL = {
    .name = "message_by_external",
    .text = "SELECT id FROM message "
            "WHERE organization_id = $1 AND source = $2 AND external_message_id = $3"};

static const struct store_sql SQL_MESSAGE_EDITED = {
    .name = "message_edited",
    .text = "SELECT id, body, metadata, deleted_at, role, external_user_id, external_chat_id, "
            "contact_id FROM message WHERE organization_id = $1 AND source = $2 "
            "AND external_message_id = $3 AND channel_id = $4"};

static const struct store_sql SQL_MESSAGE_EDIT = {
    .name = "message_edit",
    .text = "UPDATE message SET body = $3, metadata = $4 WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_QUARANTINE_INSERT = {
    .name = "quarantine_insert",
    .text = "INSERT INTO quarantine (organization_id, id, channel_id, reason, body, created_at) "
            "VALUES ($1, $2, $3, $4, $5, $6)"};

/* --- reading --- */

static const struct store_sql SQL_CONVERSATION_GET = {
    .name = "conversation_get",
    .text = "SELECT " CONVERSATION_COLUMNS "FROM conversation c " CONVERSATION_JOINS
            "WHERE c.organization_id = $1 AND c.id = $2"};

static const struct store_sql SQL_CONVERSATION_BY_CHAT = {
    .name = "conversation_by_chat",
    .text = "SELECT " CONVERSATION_COLUMNS "FROM chat t "
            "JOIN conversation c ON c.organization_id = $1 AND c.id = "
            "t.conversation_id " CONVERSATION_JOINS
            "WHERE t.organization_id = $1 AND t.channel_id = $2 AND t.external_chat_id = $3"};

static const struct store_sql SQL_CONVERSATION_LIST = {
    .name = "conversation_list",
    .text = "SELECT " CONVERSATION_COLUMNS "FROM conversation c " CONVERSATION_JOINS
            "WHERE c.organization_id = $1 AND (c.last_message_at, c.id) < ($2, $3) "
            "AND ($4 = '' OR c.status = $4) AND ($5 = '' OR c.contact_id = $5) "
            "ORDER BY c.last_message_at DESC, c.id DESC LIMIT $6"};

static const struct store_sql SQL_MESSAGE_GET = {
    .name = "message_get",
    .text = "SELECT " MESSAGE_COLUMNS "FROM message WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_MESSAGE_LIST = {
    .name = "message_list",
    .text = "SELECT " MESSAGE_COLUMNS "FROM message "
            "WHERE organization_id = $1 AND conversation_id = $2 AND seq > $3 "
            "ORDER BY seq LIMIT $4"};

static const struct store_sql SQL_MESSAGE_WAITING = {
    .name = "message_waiting",
    .text = "SELECT metadata FROM message WHERE organization_id = $1 AND conversation_id = $2 "
            "AND seq > (SELECT answered_seq FROM conversation WHERE organization_id = $1 "
            "AND id = $2) AND role = 'user' ORDER BY seq"};

static const struct store_sql SQL_MESSAGE_WINDOW = {
    .name = "message_window",
    .text = "SELECT " MESSAGE_COLUMNS "FROM message "
            "WHERE organization_id = $1 AND conversation_id = $2 AND seq <= $3 "
            "ORDER BY seq DESC LIMIT $4"};

static const struct store_sql SQL_MESSAGE_COUNT_DELETED = {
    .name = "message_count_deleted",
    .text = "SELECT count(*) FROM message WHERE organization_id = $1 AND conversation_id = $2 "
            "AND seq BETWEEN $3 AND $4 AND role = 'user' AND deleted_at IS NOT NULL"};

/* --- saying --- */

/* What is archived stays so, also when an answer that was under way still reaches it. */
static const struct store_sql SQL_CONVERSATION_OUTBOUND = {
    .name = "conversation_outbound",
    .text = "UPDATE conversation SET last_seq = last_seq + 1, last_message_at = $3, "
            "answered_seq = CASE WHEN $5 > answered_seq THEN $5 ELSE answered_seq END, "
            "status = CASE WHEN archived_at IS NULL THEN coalesce($6, status) ELSE status END, "
            "hand_off_to_human = CASE WHEN $7 = 1 THEN 1 ELSE hand_off_to_human END "
            "WHERE organization_id = $1 AND id = $2 "
            "AND ($4 = 0 OR (answered_seq < $4 AND hand_off_to_human = 0)) RETURNING last_seq"};

static const struct store_sql SQL_CONVERSATION_FOR_OUTBOUND = {
    .name = "conversation_for_outbound",
    .text = "SELECT c.channel_id, c.user_id, c.contact_id, c.external_chat_id, h.source "
            "FROM conversation c JOIN channel h ON h.organization_id = $1 AND h.id = c.channel_id "
            "WHERE c.organization_id = $1 AND c.id = $2"};

static const struct store_sql SQL_CONVERSATION_ANSWERED = {
    .name = "conversation_answered",
    .text = "UPDATE conversation SET answered_seq = $3 "
            "WHERE organization_id = $1 AND id = $2 AND answered_seq < $3"};

static const struct store_sql SQL_CONVERSATION_STATUS = {
    .name = "conversation_status",
    .text =
        "UPDATE conversation SET status = CASE WHEN archived_at IS NULL THEN $3 ELSE status END "
        "WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_CONVERSATION_SENT = {
    .name = "conversation_sent",
    .text = "UPDATE conversation SET status = '" STATUS_AI_RESPONSE_SENT "' "
            "WHERE organization_id = $1 AND id = $2 AND status IN ('" STATUS_USER_REPLY_RECEIVED
            "', '" STATUS_FAILED "') AND NOT EXISTS (SELECT 1 FROM message m "
            "WHERE m.organization_id = $1 AND m.conversation_id = $2 "
            "AND m.seq > conversation.answered_seq AND m.role = 'user')"};

static const struct store_sql SQL_CONVERSATION_TAKE = {
    .name = "conversation_take",
    .text = "UPDATE conversation SET hand_off_to_human = 1, user_id = coalesce($3, user_id), "
            "status = CASE WHEN archived_at IS NULL THEN '" STATUS_HANDED_OFF "' ELSE status END "
            "WHERE organization_id = $1 AND id = $2"};

/* An answer deals with what it names; what came while it was made has a lower number, and waits. */
static const struct store_sql SQL_CONVERSATION_GIVE_BACK = {
    .name = "conversation_give_back",
    .text =
        "UPDATE conversation SET hand_off_to_human = 0, status = CASE WHEN archived_at IS NULL "
        "THEN '" STATUS_USER_REPLY_RECEIVED
        "' ELSE status END, answered_seq = coalesce((SELECT max(coalesce(m.answers_to_seq, m.seq)) "
        "FROM message m WHERE m.organization_id = $1 AND m.conversation_id = $2 "
        "AND m.seq > conversation.answered_seq AND m.role IN ('agent', 'assistant') "
        "AND coalesce(m.answers_to_seq, m.seq) > conversation.answered_seq), answered_seq) "
        "WHERE organization_id = $1 AND id = $2 AND hand_off_to_human = 1"};

/* $3 ranks the new state; states only move forward. */
static const struct store_sql SQL_MESSAGE_DELIVERY = {
    .name = "message_delivery",
    .text = "UPDATE message SET delivery = $3, envelope = coalesce($4, envelope) "
            "WHERE organization_id = $1 AND id = $2 AND CASE delivery WHEN 'queued' THEN 0 "
            "WHEN 'sending' THEN 1 WHEN 'uncertain' THEN 2 WHEN 'failed' THEN 2 WHEN 'sent' THEN 3 "
            "WHEN 'delivered' THEN 4 WHEN 'read' THEN 5 ELSE 9 END < $5"};

/* --- escalations --- */

#define ESCALATION_COLUMNS                                                                         \
    "id, conversation_id, message_id, reason, draft, status, resolved_by, created_at, "            \
    "resolved_at "

static const struct store_sql SQL_ESCALATION_REUSE = {
    .name = "escalation_reuse",
    .text = "UPDATE escalation SET message_id = $3, reason = $4, draft = $5 "
            "WHERE organization_id = $1 AND conversation_id = $2 AND status = 'open' RETURNING id"};

static const struct store_sql SQL_ESCALATION_INSERT = {
    .name = "escalation_insert",
    .text = "INSERT INTO escalation (organization_id, id, conversation_id, message_id, reason, "
            "draft, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)"};

static const struct store_sql SQL_ESCALATION_GET = {
    .name = "escalation_get",
    .text = "SELECT " ESCALATION_COLUMNS "FROM escalation WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_ESCALATION_LIST = {
    .name = "escalation_list",
    .text = "SELECT " ESCALATION_COLUMNS "FROM escalation "
            "WHERE organization_id = $1 AND ($2 = '' OR status = $2) AND ($3 = '' OR id < $3) "
            "ORDER BY id DESC LIMIT $4"};

static const struct store_sql SQL_ESCALATION_RESOLVE = {
    .name = "escalation_resolve",
    .text = "UPDATE escalation SET status = $3, resolved_by = $4, resolved_at = $5 "
            "WHERE organization_id = $1 AND id = $2 AND status = 'open'"};

static const struct store_sql SQL_EVENT_LIST = {
    .name = "channel_event_list",
    .text = "SELECT id, channel_id, kind, payload, created_at FROM channel_event "
            "WHERE organization_id = $1 AND ($2 = '' OR kind = $2) AND ($3 = '' OR id < $3) "
            "ORDER BY id DESC LIMIT $4"};

static const struct store_sql SQL_QUARANTINE_LIST = {
    .name = "quarantine_list",
    .text = "SELECT id, channel_id, reason, body, created_at FROM quarantine "
            "WHERE organization_id = $1 AND ($2 = '' OR id < $2) ORDER BY id DESC LIMIT $3"};

#endif
