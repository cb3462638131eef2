/*
 * pgsql_types.h - numbers of PostgreSQL's types, which its documentation promises never to change
 */
#ifndef PARLEY_STORE_DRIVERS_PGSQL_TYPES_H
#define PARLEY_STORE_DRIVERS_PGSQL_TYPES_H

#define PGSQL_BOOL 16
#define PGSQL_BYTEA 17
#define PGSQL_INT8 20
#define PGSQL_INT2 21
#define PGSQL_INT4 23
#define PGSQL_TEXT 25
#define PGSQL_FLOAT8 701
#define PGSQL_NUMERIC 1700
#define PGSQL_BYTEA_ARRAY 1001
#define PGSQL_INT8_ARRAY 1016
#define PGSQL_TEXT_ARRAY 1009
#define PGSQL_FLOAT8_ARRAY 1022

#endif
