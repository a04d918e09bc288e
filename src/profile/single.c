/* One column of a history, and the columns of the last history, kept. */
#include "postgres.h"

#include "access/detoast.h"
#include "access/xact.h"
#include "fmgr.h"
#include "profile/profile.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"

/* Most bytes of a history whose columns are kept. */
#define SINGLE_KEPT_MAX (1024 * 1024)

/*
 * The columns that were read last. profile_at() asks for fifty columns of a
 * history one by one, and reading it is the same for all of them. Columns
 * follow from the bytes and the time alone, so that nothing but another
 * history or time makes them wrong.
 */
static struct
{
	bool valid;
	MemoryContext context; /* of what follows */
	TimestampTz as_of;
	Size size;
	char *bytes;
	Datum *values;
	bool *nulls;
	bool stored; /* the bytes were read from where this points */
	struct varatt_external pointer;
	TimestampTz statement; /* start of the statement that did so */
} kept;

/* Copies the value of a column into the current context. */
static Datum
single_copy(Datum value, ProfileKind kind)
{
	return datumCopy(value, kind != PROFILE_NUMBER && kind != PROFILE_TEXT,
					 -1);
}

/*
 * Tells whether a datum points to the bytes kept, so that they need not be
 * read. In one statement what it points to stays what it is.
 */
static bool
single_is_kept_pointer(const struct varlena *datum)
{
	struct varatt_external pointer;

	if (!kept.stored || !VARATT_IS_EXTERNAL_ONDISK(datum) ||
		kept.statement != GetCurrentStatementStartTimestamp())
		return false;
	VARATT_EXTERNAL_GET_POINTER(pointer, datum);
	return memcmp(&pointer, &kept.pointer, sizeof(pointer)) == 0;
}

/* Tells whether bytes are those kept. */
static bool
single_is_kept(const bytea *bytes)
{
	return kept.size == VARSIZE_ANY_EXHDR(bytes) &&
		   memcmp(kept.bytes, VARDATA_ANY(bytes), kept.size) == 0;
}

/* Notes from where the bytes kept were read. */
static void
single_keep_pointer(const struct varlena *datum)
{
	kept.stored = VARATT_IS_EXTERNAL_ONDISK(datum);
	if (!kept.stored)
		return;
	VARATT_EXTERNAL_GET_POINTER(kept.pointer, datum);
	kept.statement = GetCurrentStatementStartTimestamp();
}

/* Keeps bytes and their columns as of a time, in place of others. */
static void
single_keep(const bytea *bytes, TimestampTz as_of, const Datum *values,
			const bool *nulls)
{
	MemoryContext before;

	/* After an error on the way there is nothing. */
	kept.valid = false;
	if (kept.context == NULL)
		kept.context = AllocSetContextCreate(
			TopMemoryContext, "iaros profile columns", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(kept.context);
	before = MemoryContextSwitchTo(kept.context);
	kept.as_of = as_of;
	kept.size = VARSIZE_ANY_EXHDR(bytes);
	kept.bytes = palloc(kept.size);
	memcpy(kept.bytes, VARDATA_ANY(bytes), kept.size);
	kept.values = palloc0(profile_ncolumns * sizeof(Datum));
	kept.nulls = palloc(profile_ncolumns * sizeof(bool));
	for (int i = 0; i < profile_ncolumns; i++)
	{
		kept.nulls[i] = nulls[i];
		if (!nulls[i])
			kept.values[i] = single_copy(values[i], profile_columns[i].kind);
	}
	MemoryContextSwitchTo(before);
	kept.valid = true;
}

/*
 * Returns the number of a column of a kind. It is remembered with the call
 * and compared by name, since a call mostly asks for one column all along.
 */
static int
single_find(FunctionCallInfo fcinfo, ProfileKind kind, const char *kind_name)
{
	const text *name = PG_GETARG_TEXT_PP(1);
	const ProfileColumn *last = fcinfo->flinfo->fn_extra;
	const ProfileColumn *found;
	int length = VARSIZE_ANY_EXHDR(name);
	int column;

	if (last != NULL && strlen(last->name) == length &&
		memcmp(last->name, VARDATA_ANY(name), length) == 0)
		return last - profile_columns;
	column = profile_column_find(VARDATA_ANY(name), length);
	found = column < 0 ? NULL : &profile_columns[column];
	if (found == NULL || found->kind != kind)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("\"%s\" is no column of a profile that is %s",
							   text_to_cstring(name), kind_name),
						errhint("See the columns of profile_read().")));
	fcinfo->flinfo->fn_extra = unconstify(ProfileColumn *, found);
	return column;
}

/* Returns a column as the result of a function. */
static Datum
single_result(FunctionCallInfo fcinfo, int column, const Datum *values,
			  const bool *nulls)
{
	if (nulls[column])
		PG_RETURN_NULL();
	/* A copy: what is kept may be gone before the result is used. */
	return single_copy(values[column], profile_columns[column].kind);
}

/* Returns one column of a state, of the kind that the function is for. */
static Datum
single_column(FunctionCallInfo fcinfo, ProfileKind kind, const char *kind_name)
{
	int column = single_find(fcinfo, kind, kind_name);
	const struct varlena *datum =
		(const struct varlena *) DatumGetPointer(PG_GETARG_DATUM(0));
	TimestampTz as_of = profile_as_of(fcinfo, 2);
	bool usable = kept.valid && kept.as_of == as_of;
	bytea *bytes;
	Datum *values;
	bool *nulls;

	if (usable && single_is_kept_pointer(datum))
		return single_result(fcinfo, column, kept.values, kept.nulls);
	bytes = profile_state_bytes(PG_GETARG_DATUM(0));
	if (usable && single_is_kept(bytes))
	{
		single_keep_pointer(datum);
		return single_result(fcinfo, column, kept.values, kept.nulls);
	}
	values = palloc0(profile_ncolumns * sizeof(Datum));
	nulls = palloc0(profile_ncolumns * sizeof(bool));
	profile_columns_read(profile_wire_read(bytes, CurrentMemoryContext), as_of,
						 values, nulls);
	if (VARSIZE_ANY_EXHDR(bytes) <= SINGLE_KEPT_MAX)
	{
		single_keep(bytes, as_of, values, nulls);
		single_keep_pointer(datum);
	}
	return single_result(fcinfo, column, values, nulls);
}

PG_FUNCTION_INFO_V1(profile_integer);

/* SQL: profile_integer(state, column text, as_of timestamptz) */
Datum
profile_integer(PG_FUNCTION_ARGS)
{
	return single_column(fcinfo, PROFILE_INTEGER, "an integer");
}

PG_FUNCTION_INFO_V1(profile_number);

/* SQL: profile_number(state, column text, as_of timestamptz) */
Datum
profile_number(PG_FUNCTION_ARGS)
{
	return single_column(fcinfo, PROFILE_NUMBER, "numeric");
}

PG_FUNCTION_INFO_V1(profile_time);

/* SQL: profile_time(state, column text, as_of timestamptz) */
Datum
profile_time(PG_FUNCTION_ARGS)
{
	return single_column(fcinfo, PROFILE_TIME, "a time");
}

PG_FUNCTION_INFO_V1(profile_text);

/* SQL: profile_text(state, column text, as_of timestamptz) */
Datum
profile_text(PG_FUNCTION_ARGS)
{
	return single_column(fcinfo, PROFILE_TEXT, "text");
}

PG_FUNCTION_INFO_V1(profile_boolean);

/* SQL: profile_boolean(state, column text, as_of timestamptz) */
Datum
profile_boolean(PG_FUNCTION_ARGS)
{
	return single_column(fcinfo, PROFILE_BOOLEAN, "a truth value");
}
