/*
 * Type path_set in SQL: an expanded object around a table of paths, flat as
 * path_set.h tells, and the aggregates that make it.
 */
#include "attribution/path_set.h"

#include "attribution/path.h"
#include "core/core.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/expandeddatum.h"
#include "utils/memutils.h"

#define SET_MAGIC 0x50534554

/* Stands between the channels of a path in text. */
#define TEXT_SEPARATOR '>'

typedef struct SetState
{
	ExpandedObjectHeader hdr;
	int magic;
	PathSetTable *table;
	struct varlena *flat; /* while the table is not changed */
} SetState;

/* Makes the table flat, once for a change. */
static struct varlena *
set_flat(SetState *state)
{
	if (state->flat == NULL)
		state->flat = path_set_write(state->table, state->hdr.eoh_context);
	return state->flat;
}

/* Expanded object: the size when flat. */
static Size
set_flat_size(ExpandedObjectHeader *header)
{
	return VARSIZE(set_flat((SetState *) header));
}

/* Expanded object: the flat form. */
static void
set_flatten(ExpandedObjectHeader *header, void *result, Size size)
{
	struct varlena *flat = set_flat((SetState *) header);

	Assert(VARSIZE(flat) == size);
	memcpy(result, flat, size);
}

static const ExpandedObjectMethods set_methods = {set_flat_size, set_flatten};

/* Makes an empty state in a context of its own below parent. */
static SetState *
set_create(MemoryContext parent)
{
	MemoryContext context =
		AllocSetContextCreate(parent, "iaros path_set", ALLOCSET_SMALL_SIZES);
	SetState *state = MemoryContextAllocZero(context, sizeof(SetState));

	EOH_init_header(&state->hdr, &set_methods, context);
	state->magic = SET_MAGIC;
	state->table = path_set_table_create(context);
	return state;
}

/* Returns a set in its flat form, not to be changed. */
static struct varlena *
set_from_datum(Datum datum)
{
	SetState *state;

	if (!VARATT_IS_EXTERNAL_EXPANDED(DatumGetPointer(datum)))
		return PG_DETOAST_DATUM_PACKED(datum);
	state = (SetState *) DatumGetEOHP(datum);
	Assert(state->magic == SET_MAGIC);
	return set_flat(state);
}

/* Returns a copy of a set as a state below parent. */
static SetState *
set_copy(Datum datum, MemoryContext parent)
{
	SetState *state = set_create(parent);

	path_set_table_merge(state->table, set_from_datum(datum));
	return state;
}

/*
 * Returns the state that a transition function may change: its own, a new
 * one at the first row, or a copy when it is not called by an aggregate.
 */
static SetState *
set_writable(FunctionCallInfo fcinfo)
{
	MemoryContext context;
	bool aggregate = AggCheckCallContext(fcinfo, &context) != 0;
	Datum datum = PG_GETARG_DATUM(0);
	SetState *state;

	if (!aggregate)
		context = CurrentMemoryContext;
	if (PG_ARGISNULL(0))
		return set_create(context);
	if (!aggregate || !VARATT_IS_EXTERNAL_EXPANDED_RW(DatumGetPointer(datum)))
		return set_copy(datum, context);
	state = (SetState *) DatumGetEOHP(datum);
	if (state->flat != NULL)
		pfree(state->flat);
	state->flat = NULL;
	return state;
}

/* Returns a state as the result of a function. */
#define PG_RETURN_SET(state) return EOHPGetRWDatum(&(state)->hdr)

/* Reads a count, which must not be below 0; NULL is 0. */
static int64
count_argument(FunctionCallInfo fcinfo, int arg, const char *name)
{
	int64 count;

	if (PG_ARGISNULL(arg))
		return 0;
	count = PG_GETARG_INT64(arg);
	if (count < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must not be below 0, not \"%lld\"", name,
							   (long long) count)));
	return count;
}

/* Reads what a path counts: arguments 2 to 4, or once without conversion. */
static PathSetCounts
counts_arguments(FunctionCallInfo fcinfo)
{
	PathSetCounts counts = {.nulls = 1};
	int128 value;
	bool scaled;

	if (PG_NARGS() <= 2)
		return counts;
	counts.conversions = count_argument(fcinfo, 2, "conversions");
	counts.nulls = count_argument(fcinfo, 4, "nulls");
	if (PG_ARGISNULL(3))
		return counts;
	value = path_set_numeric(PG_GETARG_DATUM(3), &scaled);
	counts.is_wide = !scaled;
	if (scaled)
		counts.scaled = (int64) value;
	else
		counts.wide = value;
	return counts;
}

/* Adds the touches of a path; each label's channel is looked up once. */
static void
add_path(PathSetTable *table, const struct varlena *path)
{
	uint32 few[PATH_READER_LABELS];
	uint32 *numbers = few;
	PathReader reader;
	PathTouch touch;

	path_read(&reader, path);
	path_set_table_begin(table, reader.ntouches);
	if (reader.nlabels > PATH_READER_LABELS)
		numbers = palloc_array(uint32, reader.nlabels);
	for (uint32 i = 0; i < reader.nlabels; i++)
		numbers[i] = path_set_table_channel(table, reader.labels[i].channel,
											reader.labels[i].channel_length);
	while (path_next(&reader, &touch))
		path_set_table_number(table, numbers[touch.label]);
	path_read_end(&reader);
	if (numbers != few)
		pfree(numbers);
}

/* Steps over blanks. */
static inline const char *
skip_blanks(const char *at, const char *end)
{
	while (at < end && *at == ' ')
		at++;
	return at;
}

/* Adds a touch whose name stands between blanks. */
static void
add_name(PathSetTable *table, const char *name, const char *end)
{
	name = skip_blanks(name, end);
	while (end > name && end[-1] == ' ')
		end--;
	path_set_table_touch(table, name, (int) (end - name));
}

/* Returns where the next separator is, or the end. */
static inline const char *
next_separator(const char *at, const char *end)
{
	const char *next = memchr(at, TEXT_SEPARATOR, end - at);

	return next != NULL ? next : end;
}

/* Adds the touches of a path in text. */
static void
add_text(PathSetTable *table, const char *at, Size length)
{
	const char *end = at + length;

	path_set_table_begin(table, length / 2 + 1);
	if (skip_blanks(at, end) == end)
		return;
	for (;;)
	{
		const char *next = next_separator(at, end);

		add_name(table, at, next);
		if (next == end)
			return;
		at = next + 1;
	}
}

PG_FUNCTION_INFO_V1(path_agg_transition);

/*
 * SQL: path_agg_transition(state path_set, path touch_path [, conversions
 * bigint, value numeric, nulls bigint])
 */
Datum
path_agg_transition(PG_FUNCTION_ARGS)
{
	PathSetCounts counts = counts_arguments(fcinfo);
	SetState *state = set_writable(fcinfo);

	if (PG_ARGISNULL(1))
		path_set_table_begin(state->table, 0);
	else
	{
		Datum datum = PG_GETARG_DATUM(1);
		struct varlena *path = path_flat(datum);

		add_path(state->table, path);
		if (path != (struct varlena *) DatumGetPointer(datum))
			pfree(path);
	}
	path_set_table_end(state->table, &counts);
	PG_RETURN_SET(state);
}

PG_FUNCTION_INFO_V1(path_agg_text_transition);

/*
 * SQL: path_agg_text_transition(state path_set, path text, conversions
 * bigint, value numeric, nulls bigint)
 */
Datum
path_agg_text_transition(PG_FUNCTION_ARGS)
{
	PathSetCounts counts = counts_arguments(fcinfo);
	SetState *state = set_writable(fcinfo);

	if (PG_ARGISNULL(1))
		path_set_table_begin(state->table, 0);
	else
	{
		text *path = PG_GETARG_TEXT_PP(1);

		add_text(state->table, VARDATA_ANY(path), VARSIZE_ANY_EXHDR(path));
		PG_FREE_IF_COPY(path, 1);
	}
	path_set_table_end(state->table, &counts);
	PG_RETURN_SET(state);
}

PG_FUNCTION_INFO_V1(path_set_merge);

/* SQL: path_set_merge(path_set, path_set), either may be NULL */
Datum
path_set_merge(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	SetState *state;

	if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(1))
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	if (PG_ARGISNULL(0))
	{
		if (AggCheckCallContext(fcinfo, &context) == 0)
			PG_RETURN_DATUM(PG_GETARG_DATUM(1));
		state = set_copy(PG_GETARG_DATUM(1), context);
		PG_RETURN_SET(state);
	}
	state = set_writable(fcinfo);
	path_set_table_merge(state->table, set_from_datum(PG_GETARG_DATUM(1)));
	PG_RETURN_SET(state);
}

/* Returns a set from outside when it is one. */
static struct varlena *
set_validate(struct varlena *set)
{
	const char *flaw = path_set_flaw(set);

	if (flaw != NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("invalid path_set"), errdetail("%s", flaw)));
	return set;
}

PG_FUNCTION_INFO_V1(path_set_in);

/* SQL: input of type path_set, the hexadecimal form of its bytes */
Datum
path_set_in(PG_FUNCTION_ARGS)
{
	char *text = PG_GETARG_CSTRING(0);

	if (text[0] != '\\' || text[1] != 'x')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type path_set"),
				 errdetail("It begins with \"\\x\" and is hexadecimal.")));
	PG_RETURN_POINTER(set_validate((struct varlena *) DatumGetByteaPP(
		DirectFunctionCall1(byteain, CStringGetDatum(text)))));
}

PG_FUNCTION_INFO_V1(path_set_out);

/* SQL: output of type path_set */
Datum
path_set_out(PG_FUNCTION_ARGS)
{
	struct varlena *set = set_from_datum(PG_GETARG_DATUM(0));
	Size size = VARSIZE_ANY_EXHDR(set);
	char *text;

	if (size > (MaxAllocSize - 3) / 2)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("path_set is too large to be text"),
						errhint("Read it in binary form, or by path_top().")));
	text = palloc(2 * size + 3);
	text[0] = '\\';
	text[1] = 'x';
	text[2 + hex_encode(VARDATA_ANY(set), size, text + 2)] = '\0';
	PG_RETURN_CSTRING(text);
}

PG_FUNCTION_INFO_V1(path_set_recv);

/* SQL: binary input of type path_set */
Datum
path_set_recv(PG_FUNCTION_ARGS)
{
	StringInfo message = (StringInfo) PG_GETARG_POINTER(0);
	Size size = message->len - message->cursor;
	struct varlena *set = palloc(add_size(size, VARHDRSZ));

	SET_VARSIZE(set, size + VARHDRSZ);
	pq_copymsgbytes(message, VARDATA(set), (int) size);
	PG_RETURN_POINTER(set_validate(set));
}

PG_FUNCTION_INFO_V1(path_set_send);

/* SQL: binary output of type path_set */
Datum
path_set_send(PG_FUNCTION_ARGS)
{
	struct varlena *set = set_from_datum(PG_GETARG_DATUM(0));
	Size size = VARSIZE_ANY_EXHDR(set);
	bytea *bytes = palloc(size + VARHDRSZ);

	SET_VARSIZE(bytes, size + VARHDRSZ);
	memcpy(VARDATA(bytes), VARDATA_ANY(set), size);
	PG_RETURN_BYTEA_P(bytes);
}

PG_FUNCTION_INFO_V1(path_set_eq);

/* SQL: path_set = path_set */
Datum
path_set_eq(PG_FUNCTION_ARGS)
{
	struct varlena *a = set_from_datum(PG_GETARG_DATUM(0));
	struct varlena *b = set_from_datum(PG_GETARG_DATUM(1));
	Size size = VARSIZE_ANY_EXHDR(a);

	PG_RETURN_BOOL(size == VARSIZE_ANY_EXHDR(b) &&
				   memcmp(VARDATA_ANY(a), VARDATA_ANY(b), size) == 0);
}

PG_FUNCTION_INFO_V1(path_set_ne);

/* SQL: path_set <> path_set */
Datum
path_set_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!DatumGetBool(path_set_eq(fcinfo)));
}

/* Begins to read the set that is an argument; false for NULL. */
bool
path_set_argument(FunctionCallInfo fcinfo, int arg, PathSetReader *reader)
{
	if (PG_ARGISNULL(arg))
		return false;
	path_set_read(reader, set_from_datum(PG_GETARG_DATUM(arg)));
	return true;
}
