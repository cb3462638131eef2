/*
 * events_sql.h - statements of outgoing events; $1 is always the organization
 */
#ifndef PARLEY_EVENTS_EVENTS_SQL_H
#define PARLEY_EVENTS_EVENTS_SQL_H

#include "store/store.h"

/* --- telling --- */

static const struct store_sql SQL_EVENT_INSERT = {
    .name = "event_insert",
    .text = "INSERT INTO event (organization_id, id, kind, body, body_with_text, created_at, "
            "message_id) VALUES ($1, $2, $3, $4, $5, $6, $7)"};

static const struct store_sql SQL_EVENT_FORGET_TEXT = {
    .name = "event_forget_text",
    .text = "UPDATE event SET body_with_text = NULL "
            "WHERE organization_id = $1 AND message_id = $2 AND body_with_text IS NOT NULL"};

/* One that was sent before is sent again from the beginning. */
static const struct store_sql SQL_EVENT_DELIVERY_PUT = {
    .name = "event_delivery_put",
    .text = "INSERT INTO event_delivery (organization_id, endpoint_id, event_id, lane, state, "
            "due_at, updated_at) VALUES ($1, $2, $3, $4, 'pending', $5, $5) "
            "ON CONFLICT (organization_id, endpoint_id, event_id) DO UPDATE SET "
            "lane = excluded.lane, state = 'pending', due_at = excluded.due_at, attempts = 0, "
            "updated_at = excluded.updated_at"};

static const struct store_sql SQL_EVENT_KIND = {
    .name = "event_kind", .text = "SELECT kind FROM event WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_EVENT_PAGE = {
    .name = "event_page",
    .text = "SELECT id, kind, created_at FROM event WHERE organization_id = $1 "
            "AND (created_at, id) > ($2, $3) AND created_at <= $4 ORDER BY created_at, id "
            "LIMIT $5"};

/* --- sending --- */

static const struct store_sql SQL_EVENT_DUE = {
    .name = "event_due",
    .text = "SELECT d.event_id, d.attempts, e.kind, "
            "CASE WHEN $5 = 1 THEN coalesce(e.body_with_text, e.body) ELSE e.body END "
            "FROM event_delivery d "
            "JOIN event e ON e.organization_id = $1 AND e.id = d.event_id "
            "WHERE d.organization_id = $1 AND d.endpoint_id = $2 AND d.lane = $3 "
            "AND d.state = 'pending' AND d.due_at <= $4 ORDER BY d.due_at, d.event_id LIMIT $6"};

static const struct store_sql SQL_EVENT_NEXT_DUE = {
    .name = "event_next_due",
    .text = "SELECT due_at FROM event_delivery WHERE organization_id = $1 AND endpoint_id = $2 "
            "AND lane = $3 AND state = 'pending' ORDER BY due_at LIMIT 1"};

/* Not over one that was queued anew meanwhile. */
static const struct store_sql SQL_EVENT_TRIED = {
    .name = "event_tried",
    .text = "UPDATE event_delivery SET state = $4, due_at = $5, attempts = attempts + 1, "
            "http_status = $6, error = $7, response = $8, updated_at = $9 "
            "WHERE organization_id = $1 AND endpoint_id = $2 AND event_id = $3 "
            "AND state = 'pending' AND attempts = $10"};

static const struct store_sql SQL_EVENT_DELIVERY_LIST = {
    .name = "event_delivery_list",
    .text = "SELECT d.event_id, e.kind, d.state, d.attempts, d.http_status, d.error, d.response, "
            "d.due_at, e.created_at, d.updated_at FROM event_delivery d "
            "JOIN event e ON e.organization_id = $1 AND e.id = d.event_id "
            "WHERE d.organization_id = $1 AND d.endpoint_id = $2 AND ($3 = '' OR d.state = $3) "
            "AND ($4 = '' OR d.event_id < $4) ORDER BY d.event_id DESC LIMIT $5"};

/* --- removing --- */

#define OLD_EVENTS                                                                                 \
    "(SELECT id FROM event WHERE organization_id = $1 AND created_at < $2 "                        \
    "ORDER BY created_at, id LIMIT $3)"
static const struct store_sql SQL_EVENT_DELIVERY_REMOVE_OLD = {
    .name = "event_delivery_remove_old",
    .text = "DELETE FROM event_delivery WHERE organization_id = $1 AND endpoint_id IN "
            "(SELECT id FROM event_endpoint WHERE organization_id = $1) "
            "AND event_id IN " OLD_EVENTS};

static const struct store_sql SQL_EVENT_REMOVE_OLD = {
    .name = "event_remove_old",
    .text = "DELETE FROM event WHERE organization_id = $1 AND id IN " OLD_EVENTS};

static const struct store_sql SQL_EVENT_OLDEST = {
    .name = "event_oldest",
    .text = "SELECT created_at FROM event WHERE organization_id = $1 ORDER BY created_at LIMIT 1"};

static const struct store_sql SQL_EVENT_DELIVERY_REMOVE_OF = {
    .name = "event_delivery_remove_of",
    .text = "DELETE FROM event_delivery WHERE organization_id = $1 AND endpoint_id = $2 "
            "AND event_id IN (SELECT event_id FROM event_delivery WHERE organization_id = $1 "
            "AND endpoint_id = $2 ORDER BY event_id LIMIT $3)"};

static const struct store_sql SQL_EVENT_ANY_ENDPOINT = {
    .name = "event_any_endpoint",
    .text = "SELECT 1 FROM event_endpoint WHERE organization_id = $1 LIMIT 1"};

#endif
