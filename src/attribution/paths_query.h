/* The queries that read the sources of paths. */
#ifndef IAROS_ATTRIBUTION_PATHS_QUERY_H
#define IAROS_ATTRIBUTION_PATHS_QUERY_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"

/* So many persons are looked up by an index, if the planner likes. */
#define PATHS_LISTED_MAX 2000

/* Columns of both sources. */
typedef enum PathsColumn
{
	PATHS_CUSTOMER, /* the person, when there are aliases */
	PATHS_AT,
	PATHS_CHANNEL,
	PATHS_CAMPAIGN,
	PATHS_KIND,
	PATHS_WEIGHT,
	PATHS_STAGE,
	PATHS_VALUE,
	PATHS_ID,
	PATHS_ORIGINAL, /* the customer, when there are aliases */
	PATHS_COLUMNS
} PathsColumn;

/* What a query returns. */
typedef struct PathsColumns
{
	Oid types[PATHS_COLUMNS];
	int places[PATHS_COLUMNS]; /* from 0; -1 for what is not there */
	Size record;               /* of the touches */
} PathsColumns;

/* A query of touches. */
typedef struct PathsQuery
{
	StringInfoData text;
	PathsColumns columns;
	const char *aliases; /* as a query; NULL: none */
} PathsQuery;

extern char *paths_query_goals(const char *source, const char *aliases,
							   PathsColumns *columns);
extern void paths_query_touches(PathsQuery *query, const char *source,
								const char *aliases);
extern void paths_query_limit(PathsQuery *query, TimestampTz first,
							  TimestampTz last, const int64 *persons,
							  uint64 npersons);

#endif /* IAROS_ATTRIBUTION_PATHS_QUERY_H */
