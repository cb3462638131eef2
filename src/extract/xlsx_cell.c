/*
 * xlsx_cell.c - number formats told apart, numbers written
 */
#include "extract/xlsx_cell.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SECONDS_A_DAY 86400
/* Day numbers a sheet may hold: 1900-01-01 to 9999-12-31. */
#define MAX_DAY 2958466
#define DAYS_1900_TO_1970 25569
#define DAYS_1904_TO_1970 24107

enum xlsx_format
xlsx_format_built_in(int64_t id)
{
    if (id == 9 || id == 10)
        return XLSX_PERCENT;
    if (id == 22)
        return XLSX_DATE_TIME;
    if ((id >= 14 && id <= 17) || (id >= 27 && id <= 31) || id == 36 || (id >= 50 && id <= 58))
        return XLSX_DATE;
    if ((id >= 18 && id <= 21) || (id >= 32 && id <= 35) || (id >= 45 && id <= 47))
        return XLSX_TIME;
    return XLSX_PLAIN;
}

/* What stands in quotes, in brackets or behind a backslash is no part of the format. "m" is a month
 * or a minute: whichever the others are. */
enum xlsx_format
xlsx_format_of_code(struct str code)
{
    bool date = false, time = false, percent = false;

    for (size_t i = 0; i < code.len && code.ptr[i] != ';'; i++) {
        char c = code.ptr[i];

        if (c == '"' || c == '[') {
            char close = c == '"' ? '"' : ']';

            /* "[h]" counts hours. */
            time |= c == '[' && i + 2 < code.len && code.ptr[i + 2] == ']' &&
                    strchr("hms", code.ptr[i + 1]) != NULL;
            for (i++; i < code.len && code.ptr[i] != close; i++)
                continue;
        } else if (c == '\\' || c == '_' || c == '*') {
            i++;
        } else {
            c = (char)(c | 0x20);
            date |= c == 'y' || c == 'd';
            time |= c == 'h' || c == 's';
            percent |= code.ptr[i] == '%';
        }
    }
    if (date)
        return time ? XLSX_DATE_TIME : XLSX_DATE;
    if (time)
        return XLSX_TIME;
    return percent ? XLSX_PERCENT : XLSX_PLAIN;
}

/* Days since 1970 to a date of the Gregorian calendar, by H. Hinnant's civil_from_days. */
static void
write_date(struct buf *out, int64_t days)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;
    int64_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;

    buf_printf(out, "%04d-%02d-%02d", (int)(year_of_era + era * 400 + (month <= 2)), (int)month,
               (int)(day_of_year - (153 * shifted_month + 2) / 5 + 1));
}

static void
write_time(struct buf *out, double number, enum xlsx_format format, bool base_1904)
{
    int64_t seconds = llround(number * SECONDS_A_DAY);
    int64_t day = seconds / SECONDS_A_DAY, rest = seconds % SECONDS_A_DAY;

    /* The format counts a 29th of February 1900, which was none. */
    if (!base_1904 && day < 60)
        day++;
    if (format != XLSX_TIME)
        write_date(out, day - (base_1904 ? DAYS_1904_TO_1970 : DAYS_1900_TO_1970));
    if (format == XLSX_DATE)
        return;
    if (format == XLSX_DATE_TIME)
        buf_append_byte(out, ' ');
    buf_printf(out, "%02d:%02d", (int)(rest / 3600), (int)(rest / 60 % 60));
    if (rest % 60 != 0)
        buf_printf(out, ":%02d", (int)(rest % 60));
}

void
xlsx_cell_write(struct buf *out, struct str value, enum xlsx_format format, bool base_1904)
{
    char text[40];
    double number;

    if (!str_to_double(value, &number)) {
        buf_append(out, value);
        return;
    }
    if (format != XLSX_PLAIN && format != XLSX_PERCENT && number >= 0 && number < MAX_DAY) {
        write_time(out, number, format, base_1904);
        return;
    }
    /* 15 digits, as a sheet shows at most: 0.1 is stored as 0.10000000000000001. */
    snprintf(text, sizeof(text), "%.15g", format == XLSX_PERCENT ? number * 100 : number);
    buf_append_c(out, text);
    if (format == XLSX_PERCENT)
        buf_append_byte(out, '%');
}
