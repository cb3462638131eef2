/*
 * turns.h - whose turn it is: organizations with due work, in rotation, one table a process
 *
 *   IDLE --wake--> TIMED (heap by due time) --due--> LINED UP (rotation) --take--> IDLE
 *
 * What stands here are hints: "this organization may have a job of this topic due at that time". A
 * hint that is too early costs one empty look; one that is too late would cost a job's punctuality.
 * A worker that has taken a turn looks, and says in turns_finish when the next job is due, which is
 * a hint as any other. A wake-up that comes meanwhile lines the organization up again at once: then
 * several workers look at it together, and their claims share a commit. Each take is one claim and
 * puts the organization at the end of the rotation: a backlog of one cannot delay another by more
 * than a job a worker.
 * Threads: shared. Blocks: turns_take, turns_remove_organization (briefly), turns_wait_idle.
 */
#ifndef PARLEY_QUEUE_TURNS_H
#define PARLEY_QUEUE_TURNS_H

#include "base/clock.h"
#include "base/id.h"

#define TURNS_MAX_TOPICS 32
#define TURNS_MAX_TOPIC_BYTES 32
#define TURNS_NEVER INT64_MAX

struct turns;
struct turns_topic;
struct turns_entry;

/* max_wait_us: how long a worker trusts the wall clock not to be set. */
struct turns *turns_create(struct clock *clock, size_t max_organizations, int64_t max_wait_us);
void turns_destroy(struct turns **turns);

/* The topic's table, made when missing; NULL when there are too many topics. A new topic gives
 * every organization a turn, to look. */
struct turns_topic *turns_get_topic(struct turns *turns, struct str topic);
/* Copies the names; returns how many. */
size_t turns_topics(struct turns *turns, char names[TURNS_MAX_TOPICS][TURNS_MAX_TOPIC_BYTES + 1]);

/* Known already: nothing. New, or removed before: a turn in every topic, to look. */
void turns_add_organization(struct turns *turns, struct organization_id organization_id);
/* The same, but one that was removed stays so. */
void turns_see_organization(struct turns *turns, struct organization_id organization_id);
/* Wake-ups are ignored from now on; returns when no claim of it is under way. */
void turns_remove_organization(struct turns *turns, struct organization_id organization_id);
/* Removed organizations are ignored, unknown ones added. */
void turns_wake(struct turns *turns, struct organization_id organization_id, struct str topic,
                int64_t due_us);
/* All waiting threads look at the clock again: after it was set. */
void turns_wake_all(struct turns *turns);

/* Topics that have workers here, and for how many hints a worker is free at this moment. */
struct queue_served_topic {
    char name[TURNS_MAX_TOPIC_BYTES + 1];
    unsigned room;
};
size_t turns_served(struct turns *turns, struct queue_served_topic topics[TURNS_MAX_TOPICS]);

struct turn {
    struct organization_id organization_id;
    struct turns_entry *entry;
};

/* A worker's life: enter, { take, finish the look, end the job } ..., leave. */
void turns_enter(struct turns *turns, struct turns_topic *topic);
void turns_leave(struct turns *turns, struct turns_topic *topic);
/* Waits for a turn. False once *stop is set, by turns_stop, or all are stopped. */
bool turns_take(struct turns *turns, struct turns_topic *topic, const bool *stop,
                struct turn *turn_out);
/* The look is over: when the organization's next job of the topic is due, or TURNS_NEVER. */
void turns_finish(struct turns *turns, const struct turn *turn, int64_t next_due_us);
/* The job that was found (if any) is over; each take needs one. */
void turns_end(struct turns *turns, struct turns_topic *topic);
void turns_stop(struct turns *turns, struct turns_topic *topic, bool *stop);
/* The same for all of all topics. */
void turns_stop_all(struct turns *turns);

/* Waits until no worker is busy and no turn of a topic with workers is due; then says how much has
 * happened until now. False at the deadline. */
bool turns_wait_idle(struct turns *turns, int64_t mono_deadline_us, uint64_t *happened_out);
/* Waits until more has happened. False at the deadline. */
bool turns_wait_change(struct turns *turns, uint64_t happened, int64_t mono_deadline_us);

#endif
