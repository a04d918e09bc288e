/*
 * The queries that read the sources of paths: the columns that are there,
 * customers as the persons that they are, and of touches those of the
 * persons and times that matter.
 */
#include "attribution/paths_query.h"

#include "attribution/paths.h"
#include "catalog/pg_type.h"
#include "core/source.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/* A column that a source may have. */
typedef struct QueryColumn
{
	PathsColumn column;
	const char *name;
	const Oid *types;
	const char *wanted;
	bool optional;
} QueryColumn;

static const Oid integer_types[] = {INT8OID, INT4OID, INT2OID, InvalidOid};
static const Oid time_types[] = {TIMESTAMPTZOID, InvalidOid};
static const Oid text_types[] = {TEXTOID, VARCHAROID, InvalidOid};
static const Oid number_types[] = {NUMERICOID, INT8OID,   INT4OID,   INT2OID,
								   FLOAT8OID,  FLOAT4OID, InvalidOid};

#define INTEGERS "smallint, integer or bigint"
#define TIMES "timestamp with time zone"
#define TEXTS "text or character varying"
#define NUMBERS "numeric, smallint, integer, bigint, real or double precision"

static const QueryColumn goal_columns[] = {
	{PATHS_CUSTOMER, "customer_id", integer_types, INTEGERS, false},
	{PATHS_AT, "at", time_types, TIMES, false},
	{PATHS_VALUE, "value", number_types, NUMBERS, true},
	{PATHS_ID, "conversion_id", integer_types, INTEGERS, true},
};

static const QueryColumn touch_columns[] = {
	{PATHS_CUSTOMER, "customer_id", integer_types, INTEGERS, false},
	{PATHS_AT, "at", time_types, TIMES, false},
	{PATHS_CHANNEL, "channel", text_types, TEXTS, false},
	{PATHS_CAMPAIGN, "campaign", text_types, TEXTS, true},
	{PATHS_KIND, "kind", text_types, TEXTS, true},
	{PATHS_WEIGHT, "weight", number_types, NUMBERS, true},
	{PATHS_STAGE, "stage", text_types, TEXTS, true},
};

static const QueryColumn alias_columns[] = {
	{PATHS_CUSTOMER, "customer_id", integer_types, INTEGERS, false},
	{PATHS_ORIGINAL, "master_id", integer_types, INTEGERS, false},
};

/* Returns the type of a column, none when it may be missing and is. */
static Oid
column_type(const CoreSource *source, const char *what,
			const QueryColumn *column)
{
	int attno = core_source_attno(source, column->name);
	Oid type;

	if (attno == 0 && column->optional)
		return InvalidOid;
	if (attno == 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("the source of %s has no column %s", what,
							   column->name),
						errdetail("It has %s.", core_source_columns(source)),
						errhint("Name its columns in a query.")));
	type = getBaseType(TupleDescAttr(source->desc, attno - 1)->atttypid);
	for (int i = 0; OidIsValid(column->types[i]); i++)
		if (column->types[i] == type)
			return type;
	ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
					errmsg("column %s of the source of %s is of type %s",
						   column->name, what, format_type_be(type)),
					errdetail("It must be %s.", column->wanted),
					errhint("Make it one in a query.")));
	return InvalidOid;
}

/* Returns the query of aliases, whose columns fit; NULL without them. */
static const char *
alias_query(const char *aliases)
{
	CoreSource *source;

	if (aliases == NULL)
		return NULL;
	source = core_source_open(aliases);
	for (int i = 0; i < lengthof(alias_columns); i++)
		(void) column_type(source, "aliases", &alias_columns[i]);
	return source->query;
}

/* Says where a column of the query is. */
static void
put_column(PathsColumns *columns, PathsColumn column, Oid type, int *n)
{
	columns->types[column] = type;
	columns->places[column] = (*n)++;
}

/*
 * Writes the query of a source. With aliases the first column is the person,
 * and a last one the customer.
 */
static void
put_query(StringInfo text, const char *what, const char *source_text,
		  const QueryColumn *wanted, int nwanted, const char *aliases,
		  PathsColumns *columns)
{
	CoreSource *source = core_source_open(source_text);
	int n = 0;

	memset(columns->places, -1, sizeof(columns->places));
	for (int i = 0; i < nwanted; i++)
	{
		Oid type = column_type(source, what, &wanted[i]);

		if (!OidIsValid(type))
			continue;
		if (wanted[i].column == PATHS_CUSTOMER && aliases != NULL)
			appendStringInfoString(text, "SELECT coalesce(m.master_id, "
										 "s.customer_id::pg_catalog.int8)");
		else
			appendStringInfo(text, "%s s.%s", n == 0 ? "SELECT" : ",",
							 wanted[i].name);
		put_column(columns, wanted[i].column, type, &n);
	}
	if (aliases != NULL)
	{
		appendStringInfoString(text, ", s.customer_id");
		put_column(columns, PATHS_ORIGINAL, columns->types[PATHS_CUSTOMER],
				   &n);
		columns->types[PATHS_CUSTOMER] = INT8OID;
	}
	appendStringInfo(text, " FROM (%s) s", source->query);
	if (aliases != NULL)
		appendStringInfo(
			text,
			" LEFT JOIN (SELECT a.customer_id::pg_catalog.int8 AS id, "
			"pg_catalog.min(a.master_id::pg_catalog.int8) AS master_id "
			"FROM (%s) a GROUP BY 1) m "
			"ON m.id OPERATOR(pg_catalog.=) s.customer_id",
			aliases);
}

/* Returns the query of conversions. */
char *
paths_query_goals(const char *source, const char *aliases,
				  PathsColumns *columns)
{
	StringInfoData text;

	initStringInfo(&text);
	put_query(&text, "conversions", source, goal_columns,
			  lengthof(goal_columns), alias_query(aliases), columns);
	return text.data;
}

/* Makes the query of touches, all of them. */
void
paths_query_touches(PathsQuery *query, const char *source, const char *aliases)
{
	initStringInfo(&query->text);
	query->aliases = alias_query(aliases);
	put_query(&query->text, "touches", source, touch_columns,
			  lengthof(touch_columns), query->aliases, &query->columns);
	query->columns.record = query->columns.places[PATHS_WEIGHT] >= 0
								? sizeof(PathsWeighted)
								: sizeof(PathsTouch);
}

/* Appends a list of ids as a constant array. */
static void
put_ids(StringInfo text, const int64 *ids, uint64 n)
{
	appendStringInfoString(text, "'{");
	for (uint64 i = 0; i < n; i++)
		appendStringInfo(text, i == 0 ? INT64_FORMAT : "," INT64_FORMAT,
						 ids[i]);
	appendStringInfoString(text, "}'::pg_catalog.int8[]");
}

/*
 * Limits a query of touches to [first, last), and to all ids of the persons
 * when they are few.
 */
void
paths_query_limit(PathsQuery *query, TimestampTz first, TimestampTz last,
				  const int64 *persons, uint64 npersons)
{
	StringInfo text = &query->text;

	appendStringInfo(
		text,
		" WHERE s.at OPERATOR(pg_catalog.<) '%s'::pg_catalog.timestamptz",
		timestamptz_to_str(last));
	appendStringInfo(
		text, " AND s.at OPERATOR(pg_catalog.>=) '%s'::pg_catalog.timestamptz",
		timestamptz_to_str(first));
	if (npersons > PATHS_LISTED_MAX)
		return;
	appendStringInfoString(text,
						   " AND s.customer_id OPERATOR(pg_catalog.=) ANY (");
	if (query->aliases == NULL)
		put_ids(text, persons, npersons);
	else
	{
		appendStringInfoString(text, "ARRAY(SELECT pg_catalog.unnest(");
		put_ids(text, persons, npersons);
		appendStringInfo(text,
						 ") UNION ALL SELECT a.customer_id FROM (%s) a "
						 "WHERE a.master_id OPERATOR(pg_catalog.=) ANY (",
						 query->aliases);
		put_ids(text, persons, npersons);
		appendStringInfoString(text, "))");
	}
	appendStringInfoChar(text, ')');
}
