/*
 * xlsx_cell.h - a sheet's number as the person who wrote the sheet sees it
 *
 * Times are day numbers in a cell; what makes one a time, or a percentage, is its number format
 * (ECMA-376 part 1, 18.8.30). Threads: any. Blocks: nothing.
 */
#ifndef PARLEY_EXTRACT_XLSX_CELL_H
#define PARLEY_EXTRACT_XLSX_CELL_H

#include "base/buf.h"

enum xlsx_format { XLSX_PLAIN, XLSX_DATE, XLSX_TIME, XLSX_DATE_TIME, XLSX_PERCENT };

/* Of a format that every workbook knows by its number. */
enum xlsx_format xlsx_format_built_in(int64_t id);
/* Of a format that the workbook spells: "yyyy-mm-dd", "0.0%". */
enum xlsx_format xlsx_format_of_code(struct str code);
/* value as it stands in the file. base_1904: day 0 is 1904-01-01. Writes what is no number as it
 * is. */
void xlsx_cell_write(struct buf *out, struct str value, enum xlsx_format format, bool base_1904);

#endif
