/*
 * queue_sql.h - the statements of the queue; $1 is the organization
 *
 * Conditions repeat the words of the partial indexes, because that is how an engine recognises
 * them.
 */
#ifndef PARLEY_QUEUE_QUEUE_SQL_H
#define PARLEY_QUEUE_QUEUE_SQL_H

#include "store/store.h"

static const struct store_sql SQL_INSERT = {
    .name = "job_insert",
    .text = "INSERT INTO job (organization_id, id, topic, lane, place, dedup_key, state, due_at,"
            " max_attempts, payload, created_at, updated_at, user_id)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $12)",
};
static const struct store_sql SQL_FIND_DEDUP = {
    .name = "job_find_dedup",
    .sqlite = "SELECT id, state, due_at, attempts, created_at FROM job WHERE organization_id = $1"
              " AND topic = $2 AND dedup_key = $3 AND state IN ('waiting', 'ready')",
    .pgsql_many =
        "SELECT a.n, j.* FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS a (topic, key, n)"
        " CROSS JOIN LATERAL (SELECT id, state, due_at, attempts, created_at FROM job"
        " WHERE organization_id = $1 AND topic = a.topic AND dedup_key = a.key"
        " AND state IN ('waiting', 'ready') LIMIT 1) j",
};
/* PostgreSQL only, where a statement is a journey: puts jobs that nothing is in the way of, of each
 * dedup key and each lane the first. No row: it was not put. */
static const struct store_sql SQL_INSERT_FREE = {
    .name = "job_insert_free",
    .pgsql_many =
        "WITH asked AS MATERIALIZED (SELECT *,"
        " row_number() OVER (PARTITION BY topic, dedup_key ORDER BY n) AS nth,"
        " row_number() OVER (PARTITION BY topic, lane ORDER BY n) AS nth_of_lane"
        " FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],"
        " $8::text[], $9::bigint[], $10::text[]) WITH ORDINALITY AS a (id, topic, lane, dedup_key,"
        " due_at, max_attempts, payload, now_at, user_id, n)),"
        " free AS MATERIALIZED (SELECT * FROM asked a WHERE a.nth < 2 AND a.nth_of_lane < 2"
        " AND coalesce((SELECT false FROM job WHERE organization_id = $1 AND topic = a.topic"
        " AND dedup_key = a.dedup_key AND state IN ('waiting', 'ready') LIMIT 1), true)"
        " AND coalesce((SELECT false FROM job WHERE organization_id = $1 AND topic = a.topic"
        " AND lane = a.lane AND state IN ('ready', 'leased') LIMIT 1), true)),"
        " written AS (INSERT INTO job (organization_id, id, topic, lane, place, dedup_key, state,"
        " due_at, max_attempts, payload, created_at, updated_at, user_id)"
        " SELECT $1, id, topic, lane, 1, dedup_key, 'ready', due_at, max_attempts, payload, now_at,"
        " now_at, user_id FROM free) SELECT n, id, due_at FROM free",
};
static const struct store_sql SQL_MOVE_DUE = {
    .name = "job_move_due",
    .text = "UPDATE job SET due_at = $3, updated_at = $4 WHERE organization_id = $1 AND id = $2",
};
static const struct store_sql SQL_LANE_HEAD = {
    .name = "job_lane_head",
    .text = "SELECT place FROM job WHERE organization_id = $1 AND topic = $2 AND lane = $3"
            " AND state IN ('ready', 'leased')",
};
static const struct store_sql SQL_LANE_TAIL = {
    .name = "job_lane_tail",
    .text = "SELECT place FROM job WHERE organization_id = $1 AND topic = $2 AND lane = $3"
            " AND state = 'waiting' ORDER BY place DESC LIMIT 1",
};
/* The outer state matters where two claims run at once: the second finds no row. On PostgreSQL it
 * goes on to the next one that nobody is claiming. */
#define TAKE_HEAD                                                                                  \
    "UPDATE job SET state = 'leased', attempts = attempts + 1, lease_holder = $4,"                 \
    " lease_until = $5, updated_at = $3 WHERE organization_id = $1 AND state = 'ready'"            \
    " AND id = (SELECT id FROM job WHERE organization_id = $1 AND topic = $2"                      \
    " AND state = 'ready' AND due_at <= $3 ORDER BY due_at, id LIMIT 1"
#define TAKE_TAIL                                                                                  \
    ") RETURNING id, lane, dedup_key, payload, attempts, max_attempts, due_at, created_at,"        \
    " user_id"
static const struct store_sql SQL_TAKE = {
    .name = "job_take",
    .sqlite = TAKE_HEAD TAKE_TAIL,
    .pgsql = TAKE_HEAD " FOR UPDATE SKIP LOCKED" TAKE_TAIL,
};
static const struct store_sql SQL_NEXT_DUE = {
    .name = "job_next_due",
    .text = "SELECT due_at FROM job WHERE organization_id = $1 AND topic = $2 AND state = 'ready'"
            " ORDER BY due_at, id LIMIT 1",
};
static const struct store_sql SQL_FINISH = {
    .name = "job_finish",
    .text = "DELETE FROM job WHERE organization_id = $1 AND id = $2 AND state = 'leased'"
            " AND lease_holder = $3",
};
static const struct store_sql SQL_PROMOTE = {
    .name = "job_promote",
    .text = "UPDATE job SET state = 'ready' WHERE organization_id = $1 AND state = 'waiting'"
            " AND id = (SELECT id FROM job WHERE organization_id = $1 AND topic = $2 AND lane = $3"
            " AND state = 'waiting' ORDER BY place LIMIT 1) RETURNING id, due_at, user_id",
};
static const struct store_sql SQL_PUT_BACK = {
    .name = "job_put_back",
    .text = "UPDATE job SET state = 'ready', due_at = $4, attempts = $5, last_error = $6,"
            " updated_at = $7, lease_holder = NULL, lease_until = NULL"
            " WHERE organization_id = $1 AND id = $2 AND state = 'leased' AND lease_holder = $3",
};
static const struct store_sql SQL_MERGE = {
    .name = "job_merge",
    .text = "DELETE FROM job WHERE organization_id = $1 AND topic = $2 AND dedup_key = $3"
            " AND state IN ('waiting', 'ready') RETURNING state, lane, due_at",
};
static const struct store_sql SQL_BURY = {
    .name = "job_bury",
    .text = "UPDATE job SET state = 'dead', last_error = $4, updated_at = $5, lease_holder = NULL,"
            " lease_until = NULL WHERE organization_id = $1 AND id = $2 AND state = 'leased'"
            " AND lease_holder = $3",
};
static const struct store_sql SQL_RENEW = {
    .name = "job_renew",
    .text = "UPDATE job SET lease_until = $4 WHERE organization_id = $1 AND id = $2"
            " AND state = 'leased' AND lease_holder = $3",
};
static const struct store_sql SQL_IS_HELD = {
    .name = "job_is_held",
    .text = "SELECT 1 FROM job WHERE organization_id = $1 AND id = $2 AND state = 'leased'"
            " AND lease_holder = $3",
};
static const struct store_sql SQL_EXPIRED = {
    .name = "job_expired",
    .text =
        "SELECT id, topic, dedup_key, due_at, attempts, lease_holder, last_error, user_id FROM job"
        " WHERE organization_id = $1 AND state = 'leased' AND lease_until <= $2"
        " ORDER BY lease_until LIMIT 1",
};
static const struct store_sql SQL_REMOVE_OLD_DEAD = {
    .name = "job_remove_old_dead",
    .text = "DELETE FROM job WHERE organization_id = $1 AND state = 'dead' AND id IN"
            " (SELECT id FROM job WHERE organization_id = $1 AND state = 'dead'"
            " AND updated_at < $2 ORDER BY updated_at LIMIT 1000)",
};
static const struct store_sql SQL_OLDEST_DEAD = {
    .name = "job_oldest_dead",
    .text = "SELECT updated_at FROM job WHERE organization_id = $1 AND state = 'dead'"
            " ORDER BY updated_at LIMIT 1",
};
static const struct store_sql SQL_DEAD_LIST = {
    .name = "job_dead_list",
    .text =
        "SELECT id, topic, lane, payload, attempts, max_attempts, created_at, last_error,"
        " updated_at, user_id FROM job WHERE organization_id = $1 AND state = 'dead' AND id < $2"
        " ORDER BY id DESC LIMIT $3",
};
static const struct store_sql SQL_DEAD_GET = {
    .name = "job_dead_get",
    .text = "SELECT topic, lane, dedup_key, user_id FROM job WHERE organization_id = $1 AND id = $2"
            " AND state = 'dead'",
};
static const struct store_sql SQL_DEAD_REVIVE = {
    .name = "job_dead_revive",
    .text = "UPDATE job SET state = $3, place = $4, due_at = $5, attempts = 0, updated_at = $5"
            " WHERE organization_id = $1 AND id = $2 AND state = 'dead'",
};
static const struct store_sql SQL_DEAD_DISCARD = {
    .name = "job_dead_discard",
    .text = "DELETE FROM job WHERE organization_id = $1 AND id = $2 AND state = 'dead'",
};
/* Reads the partial indexes from end to end: for gauges and people, not for serving. */
static const struct store_sql SQL_COUNT = {
    .name = "job_count",
    .text = "SELECT 'ready', topic, count(*), sum(CASE WHEN due_at <= $2 THEN 1 ELSE 0 END),"
            " min(due_at) FROM job WHERE organization_id = $1 AND state = 'ready' GROUP BY topic"
            " UNION ALL SELECT 'waiting', topic, count(*), 0, 0 FROM job"
            " WHERE organization_id = $1 AND state = 'waiting' GROUP BY topic"
            " UNION ALL SELECT 'leased', topic, count(*), 0, 0 FROM job"
            " WHERE organization_id = $1 AND state = 'leased' GROUP BY topic"
            " UNION ALL SELECT 'dead', topic, count(*), 0, 0 FROM job"
            " WHERE organization_id = $1 AND state = 'dead' GROUP BY topic",
};

#endif
