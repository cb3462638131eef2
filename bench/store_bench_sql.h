/*
 * store_bench_sql.h - statements of store_bench: those of the gateway's transaction
 */
#ifndef PARLEY_BENCH_STORE_BENCH_SQL_H
#define PARLEY_BENCH_STORE_BENCH_SQL_H

#include "store/store.h"

#define BENCH_PRAGMAS "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
#define BENCH_BEGIN "BEGIN IMMEDIATE"
#define BENCH_COMMIT "COMMIT"
#define BENCH_BODY                                                                                 \
    "Hello! When will my order arrive, and can I still change the address? Thank you."
#define BENCH_ENVELOPE                                                                             \
    "{\"meta\":{\"request_id\":\"0193d1f2a7b84c1e9f3a5b6c7d8e9f00\",\"channel_type\":\"web\","     \
    "\"timestamp\":\"2026-11-20T09:30:00Z\",\"version\":\"1.0\"},\"conversation\":{"               \
    "\"conversation_status\":\"user_reply_received\",\"hand_off_to_human\":false},"                \
    "\"processing\":{\"validation_status\":\"valid\",\"processing_timestamps\":{"                  \
    "\"received\":\"2026-11-20T09:30:00.123Z\",\"validated\":\"2026-11-20T09:30:00.124Z\","        \
    "\"queued\":\"2026-11-20T09:30:00.125Z\"}}}"

static const struct store_sql BENCH_CONTACT = {
    .name = "bench_contact",
    .text = "INSERT INTO contact (organization_id, id, created_at, last_seen_at) "
            "VALUES ($1, $2, 0, 0)"};

static const struct store_sql BENCH_IDENTITY = {
    .name = "bench_identity",
    .text = "INSERT INTO identity (organization_id, channel_id, external_user_id, id, contact_id, "
            "created_at) VALUES ($1, $2, $3, $4, $5, 0)"};

static const struct store_sql BENCH_CHAT = {
    .name = "bench_chat",
    .text = "INSERT INTO chat (organization_id, channel_id, external_chat_id, conversation_id, "
            "created_at) VALUES ($1, $2, $3, $4, 0)"};

static const struct store_sql BENCH_CONVERSATION = {
    .name = "bench_conversation",
    .text = "INSERT INTO conversation (organization_id, id, channel_id, external_chat_id, "
            "contact_id, brand_id, user_id, status, last_message_at, created_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, 'owner', 'user_reply_received', 0, 0)"};

static const struct store_sql BENCH_IDENTITY_FIND = {
    .name = "bench_identity_find",
    .text = "SELECT contact_id, reachable FROM identity "
            "WHERE organization_id = $1 AND channel_id = $2 AND external_user_id = $3"};

static const struct store_sql BENCH_CHAT_FIND = {
    .name = "bench_chat_find",
    .text = "SELECT conversation_id FROM chat "
            "WHERE organization_id = $1 AND channel_id = $2 AND external_chat_id = $3"};

static const struct store_sql BENCH_INBOUND = {
    .name = "bench_inbound",
    .text = "UPDATE conversation SET last_seq = last_seq + 1, last_message_at = $3, "
            "status = 'user_reply_received' WHERE organization_id = $1 AND id = $2 "
            "RETURNING last_seq"};

static const struct store_sql BENCH_MESSAGE = {
    .name = "bench_message",
    .text = "INSERT INTO message (organization_id, id, conversation_id, seq, role, source, "
            "channel_id, user_id, contact_id, external_message_id, external_user_id, "
            "external_chat_id, body, envelope, created_at) VALUES ($1, $2, $3, $4, 'user', 'web', "
            "$5, 'owner', $6, $7, $8, $9, $10, $11, $12) "
            "ON CONFLICT (source, external_message_id) "
            "WHERE external_message_id IS NOT NULL DO NOTHING"};

/* A lane of its own for each, where the queue would have found the lane free. */
static const struct store_sql BENCH_JOB = {
    .name = "bench_job",
    .text =
        "INSERT INTO job (organization_id, id, topic, lane, state, due_at, max_attempts, payload, "
        "created_at, updated_at) VALUES ($1, $2, 'inbound', $2, 'ready', $3, 8, "
        "'{\"conversation_id\":\"0193d1f2-a7b8-7c1e-9f3a-5b6c7d8e9f00\"}', $3, $3)"};

#endif
