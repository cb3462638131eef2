/*
 * clock.c - the system's, a manual and a following clock, RFC 3339
 */
#include "base/clock.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/failpoint.h"

#define SECONDS_PER_DAY INT64_C(86400)
/* 0000-01-01T00:00:00Z and the last microsecond of 9999. */
#define FIRST_US (INT64_C(-62167219200) * US_PER_S)
#define LAST_US (INT64_C(253402300800) * US_PER_S - 1)

/* A following clock stays as it is while the server's differs by less: it does not tremble with the
 * way that answers take. */
#define FOLLOW_US (250 * US_PER_MS)

enum kind { KIND_SYSTEM, KIND_MANUAL, KIND_FOLLOWING };

struct clock {
    enum kind kind;
    _Atomic int64_t wall_us; /* of a manual clock */
    _Atomic int64_t mono_us;
    _Atomic int64_t
        ahead_us; /* of a following one: what to add to the time since the machine's start */
    _Atomic bool told;
};

/* Process-wide: never written; not const because callers hold clocks of both kinds alike. */
static struct clock system_clock;

struct clock *
clock_system(void)
{
    return &system_clock;
}

struct clock *
clock_create_manual(int64_t wall_us)
{
    struct clock *clock = calloc(1, sizeof(*clock));

    if (clock == NULL)
        abort();
    clock->kind = KIND_MANUAL;
    atomic_init(&clock->wall_us, wall_us);
    atomic_init(&clock->mono_us, US_PER_S);
    return clock;
}

void
clock_destroy(struct clock **clock)
{
    if (*clock == NULL)
        return;
    assert((*clock)->kind != KIND_SYSTEM);
    free(*clock);
    *clock = NULL;
}

void
clock_advance_us(struct clock *manual, int64_t by_us)
{
    assert(manual->kind == KIND_MANUAL && by_us >= 0);
    atomic_fetch_add(&manual->wall_us, by_us);
    atomic_fetch_add(&manual->mono_us, by_us);
}

static int64_t
read_us(clockid_t which)
{
    struct timespec now;

    if (clock_gettime(which, &now) != 0)
        abort();
    return (int64_t)now.tv_sec * US_PER_S + now.tv_nsec / 1000;
}

struct clock *
clock_create_following(void)
{
    struct clock *clock = calloc(1, sizeof(*clock));

    if (clock == NULL)
        abort();
    clock->kind = KIND_FOLLOWING;
    return clock;
}

/* CLOCK_BOOTTIME goes on while the machine sleeps. */
void
clock_follow(struct clock *following, int64_t wall_us)
{
    int64_t ahead_us = wall_us - read_us(CLOCK_BOOTTIME);
    int64_t off_us = ahead_us - atomic_load(&following->ahead_us);

    assert(following->kind == KIND_FOLLOWING);
    if (!atomic_load(&following->told) || off_us > FOLLOW_US || off_us < -FOLLOW_US)
        atomic_store(&following->ahead_us, ahead_us);
    atomic_store(&following->told, true);
}

int64_t
clock_wall_us(struct clock *clock)
{
    if (clock->kind == KIND_MANUAL)
        return atomic_load(&clock->wall_us);
    if (clock->kind == KIND_FOLLOWING && atomic_load(&clock->told))
        return read_us(CLOCK_BOOTTIME) + atomic_load(&clock->ahead_us);
    return read_us(CLOCK_REALTIME) + FAILPOINT_CLOCK_US();
}

int64_t
clock_mono_us(struct clock *clock)
{
    return clock->kind == KIND_MANUAL ? atomic_load(&clock->mono_us) : read_us(CLOCK_MONOTONIC);
}

/* Days since 1970 of a date in the proleptic Gregorian calendar. Years are counted from March, so
 * that the leap day is the last of its year; 400 years are 146,097 days. */
static int64_t
days_of_date(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static void
date_of_days(int64_t days, int *year_out, int *month_out, int *day_out)
{
    int64_t since_march_0 = days + 719468;
    int64_t era = (since_march_0 >= 0 ? since_march_0 : since_march_0 - 146096) / 146097;
    int64_t day_of_era = since_march_0 - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;

    *day_out = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    *month_out = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    *year_out = (int)(year_of_era + era * 400 + (*month_out <= 2 ? 1 : 0));
}

static char *
put_digits(char *out, int64_t value, int digits)
{
    for (int i = digits - 1; i >= 0; i--) {
        out[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return out + digits;
}

struct str
time_format_rfc3339(int64_t wall_us, char out[32])
{
    char *at = out;
    int64_t days;
    int64_t us_of_day;
    int64_t second;
    int64_t fraction;
    int year;
    int month;
    int day;

    if (wall_us < FIRST_US)
        wall_us = FIRST_US;
    if (wall_us > LAST_US)
        wall_us = LAST_US;
    us_of_day = wall_us % (SECONDS_PER_DAY * US_PER_S);
    if (us_of_day < 0)
        us_of_day += SECONDS_PER_DAY * US_PER_S;
    days = (wall_us - us_of_day) / (SECONDS_PER_DAY * US_PER_S);
    second = us_of_day / US_PER_S;
    fraction = us_of_day % US_PER_S;
    date_of_days(days, &year, &month, &day);
    at = put_digits(at, year, 4);
    *at++ = '-';
    at = put_digits(at, month, 2);
    *at++ = '-';
    at = put_digits(at, day, 2);
    *at++ = 'T';
    at = put_digits(at, second / 3600, 2);
    *at++ = ':';
    at = put_digits(at, second / 60 % 60, 2);
    *at++ = ':';
    at = put_digits(at, second % 60, 2);
    if (fraction != 0) {
        *at++ = '.';
        at = put_digits(at, fraction, 6);
        while (at[-1] == '0')
            at--;
    }
    *at++ = 'Z';
    *at = '\0';
    return (struct str){out, (size_t)(at - out)};
}

/* Reads exactly digits digits at the head of s and cuts them off. */
static bool
take_digits(struct str *s, size_t digits, int *value_out)
{
    int value = 0;

    if (s->len < digits)
        return false;
    for (size_t i = 0; i < digits; i++) {
        if (s->ptr[i] < '0' || s->ptr[i] > '9')
            return false;
        value = value * 10 + (s->ptr[i] - '0');
    }
    *s = str_of(s->ptr + digits, s->len - digits);
    *value_out = value;
    return true;
}

static bool
take_any_of(struct str *s, const char *bytes, char *taken_out)
{
    if (s->len == 0 || s->ptr[0] == '\0' || strchr(bytes, s->ptr[0]) == NULL)
        return false;
    *taken_out = s->ptr[0];
    *s = str_of(s->ptr + 1, s->len - 1);
    return true;
}

static bool
take_date(struct str *s, int64_t *days_out)
{
    static const int month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year;
    int month;
    int day;
    char dash;

    if (!take_digits(s, 4, &year) || !take_any_of(s, "-", &dash) || !take_digits(s, 2, &month) ||
        !take_any_of(s, "-", &dash) || !take_digits(s, 2, &day))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > month_days[month - 1])
        return false;
    if (month == 2 && day == 29 && (year % 4 != 0 || (year % 100 == 0 && year % 400 != 0)))
        return false;
    *days_out = days_of_date(year, month, day);
    return true;
}

static bool
take_time(struct str *s, int64_t *seconds_out, int64_t *fraction_us_out, bool *leap_out)
{
    int hour;
    int minute;
    int second;
    char byte;
    int64_t unit = US_PER_S / 10;
    int digit;

    if (!take_digits(s, 2, &hour) || !take_any_of(s, ":", &byte) || !take_digits(s, 2, &minute) ||
        !take_any_of(s, ":", &byte) || !take_digits(s, 2, &second))
        return false;
    if (hour > 23 || minute > 59 || second > 60)
        return false;
    *seconds_out = (int64_t)hour * 3600 + (int64_t)minute * 60 + second;
    *leap_out = second == 60;
    *fraction_us_out = 0;
    if (!take_any_of(s, ".", &byte))
        return true;
    if (!take_digits(s, 1, &digit))
        return false;
    do {
        *fraction_us_out += digit * unit;
        unit /= 10;
    } while (take_digits(s, 1, &digit));
    return true;
}

static bool
take_offset(struct str *s, int64_t *seconds_out)
{
    int hours;
    int minutes;
    char byte;

    if (!take_any_of(s, "Zz+-", &byte))
        return false;
    *seconds_out = 0;
    if (byte == 'Z' || byte == 'z')
        return true;
    if (!take_digits(s, 2, &hours) || s->len == 0 || s->ptr[0] != ':')
        return false;
    *s = str_of(s->ptr + 1, s->len - 1);
    if (!take_digits(s, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *seconds_out = ((int64_t)hours * 3600 + (int64_t)minutes * 60) * (byte == '-' ? -1 : 1);
    return true;
}

enum status
time_parse_rfc3339(struct str s, int64_t *wall_us_out, struct err *err)
{
    int64_t days;
    int64_t seconds;
    int64_t fraction_us;
    int64_t offset;
    int64_t wall_s;
    int64_t wall_us;
    char separator;
    bool leap;

    if (!take_date(&s, &days) || !take_any_of(&s, "Tt ", &separator) ||
        !take_time(&s, &seconds, &fraction_us, &leap) || !take_offset(&s, &offset) || s.len != 0)
        return err_set(err, ST_INVALID, "a time must look like 2026-11-20T09:30:00Z");
    wall_s = days * SECONDS_PER_DAY + seconds - offset;
    /* Leap seconds are only ever the last of a UTC day; counted on, they begin the next one. */
    if (leap && wall_s % SECONDS_PER_DAY != 0)
        return err_set(err, ST_INVALID, "second 60 exists only at the end of a UTC day");
    wall_us = wall_s * US_PER_S + fraction_us;
    if (wall_us < FIRST_US || wall_us > LAST_US)
        return err_set(err, ST_INVALID, "a time must be within the years 0000 to 9999");
    *wall_us_out = wall_us;
    return ST_OK;
}
