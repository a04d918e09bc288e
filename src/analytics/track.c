/*
 * A track as a value: in memory an expanded object around a store, flat the
 * bytes of track.h. What the types funnel_state and retention_state share.
 */
#include "postgres.h"

#include "analytics/track.h"
#include "libpq/pqformat.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/expandeddatum.h"
#include "utils/memutils.h"

#define TRACK_MAGIC 0x54524B53

/* Decimals of a rate. */
#define TRACK_RATE_SCALE 4

typedef struct TrackState
{
	ExpandedObjectHeader hdr;
	int magic;
	const TrackType *type;
	TrackStore store;
	bytea *flat; /* the store as bytes, while it is not changed */
} TrackState;

/* Makes the store flat, once for a change. */
static bytea *
state_flat(TrackState *state)
{
	if (state->flat == NULL)
	{
		track_settle(&state->store);
		state->flat = track_wire_write(&state->store, state->type,
									   state->hdr.eoh_context);
	}
	return state->flat;
}

/* Expanded object: the size when flat. */
static Size
state_flat_size(ExpandedObjectHeader *header)
{
	return VARSIZE(state_flat((TrackState *) header));
}

/* Expanded object: the flat form. */
static void
state_flatten(ExpandedObjectHeader *header, void *result, Size size)
{
	bytea *flat = state_flat((TrackState *) header);

	Assert(VARSIZE(flat) == size);
	memcpy(result, flat, size);
}

static const ExpandedObjectMethods state_methods = {state_flat_size,
													state_flatten};

/* Makes an empty state in a context of its own below parent. */
static TrackState *
state_make(const TrackType *type, MemoryContext parent)
{
	MemoryContext context =
		AllocSetContextCreate(parent, "iaros track", ALLOCSET_SMALL_SIZES);
	TrackState *state = MemoryContextAllocZero(context, sizeof(TrackState));

	EOH_init_header(&state->hdr, &state_methods, context);
	state->magic = TRACK_MAGIC;
	state->type = type;
	state->store.context = context;
	return state;
}

/* Returns the state of a datum if it is one in memory, else NULL. */
static TrackState *
state_expanded(Datum datum)
{
	TrackState *state;

	if (!VARATT_IS_EXTERNAL_EXPANDED(DatumGetPointer(datum)))
		return NULL;
	state = (TrackState *) DatumGetEOHP(datum);
	Assert(state->magic == TRACK_MAGIC);
	return state;
}

/* Adds the events of a state to a store. */
static void
state_append(TrackStore *store, Datum datum, const TrackType *type)
{
	TrackState *from = state_expanded(datum);

	if (from == NULL)
	{
		bytea *bytes = DatumGetByteaPP(datum);

		track_wire_read(bytes, type, store);
		if ((Pointer) bytes != DatumGetPointer(datum))
			pfree(bytes);
		return;
	}
	if (from->store.n == 0)
		return;
	track_reserve(store, from->store.n);
	memcpy(store->events + store->n, from->store.events,
		   from->store.n * sizeof(TrackEvent));
	store->n += from->store.n;
}

/* Reads a state into one of its own below parent. */
static TrackState *
state_copy(Datum datum, const TrackType *type, MemoryContext parent)
{
	TrackState *state = state_make(type, parent);

	state_append(&state->store, datum, type);
	return state;
}

/*
 * Returns the store that a transition function may change: that of its
 * first argument, or of a copy when it is not called by an aggregate, or an
 * empty one when the argument is NULL. Its state is the function's result.
 */
TrackStore *
track_writable(FunctionCallInfo fcinfo, const TrackType *type, Datum *result)
{
	MemoryContext context;
	Datum datum = PG_GETARG_DATUM(0);
	bool aggregate = AggCheckCallContext(fcinfo, &context) != 0;
	TrackState *state;

	if (!aggregate)
		context = CurrentMemoryContext;
	if (PG_ARGISNULL(0))
		state = state_make(type, context);
	else if (aggregate &&
			 VARATT_IS_EXTERNAL_EXPANDED_RW(DatumGetPointer(datum)))
	{
		state = state_expanded(datum);
		if (state->flat != NULL)
			pfree(state->flat);
		state->flat = NULL;
	}
	else
		state = state_copy(datum, type, context);
	*result = EOHPGetRWDatum(&state->hdr);
	return &state->store;
}

/* Returns the store of a state to read, in order. */
TrackStore *
track_read(Datum datum, const TrackType *type)
{
	TrackState *state = state_expanded(datum);

	if (state == NULL)
		state = state_copy(datum, type, CurrentMemoryContext);
	track_settle(&state->store);
	return &state->store;
}

/* The merge of two states, of which either may be NULL. */
Datum
track_merge(FunctionCallInfo fcinfo, const TrackType *type)
{
	TrackStore *store;
	MemoryContext context;
	Datum result;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	if (PG_ARGISNULL(0) && AggCheckCallContext(fcinfo, &context) == 0)
		PG_RETURN_DATUM(PG_GETARG_DATUM(1));
	store = track_writable(fcinfo, type, &result);
	state_append(store, PG_GETARG_DATUM(1), type);
	PG_RETURN_DATUM(result);
}

/* The input function of a type: hexadecimal digits of its bytes. */
Datum
track_in(FunctionCallInfo fcinfo, const TrackType *type)
{
	char *text = PG_GETARG_CSTRING(0);
	bytea *bytes;

	if (text[0] != '\\' || text[1] != 'x')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s", type->name),
				 errdetail("It begins with \"\\x\" and is hexadecimal.")));
	bytes =
		DatumGetByteaPP(DirectFunctionCall1(byteain, CStringGetDatum(text)));
	track_wire_read(bytes, type, NULL);
	PG_RETURN_BYTEA_P(bytes);
}

/* The output function of a type. */
Datum
track_out(FunctionCallInfo fcinfo, const TrackType *type)
{
	bytea *flat = PG_GETARG_BYTEA_PP(0);
	Size size = VARSIZE_ANY_EXHDR(flat);
	char *text;

	if (size > (MaxAllocSize - 3) / 2)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("%s is too large to be text", type->name),
						errhint("Read it in binary form, or by %s().",
								type->reader)));
	text = palloc(2 * size + 3);
	text[0] = '\\';
	text[1] = 'x';
	text[2 + hex_encode(VARDATA_ANY(flat), size, text + 2)] = '\0';
	PG_RETURN_CSTRING(text);
}

/* The binary input function of a type. */
Datum
track_recv(FunctionCallInfo fcinfo, const TrackType *type)
{
	StringInfo message = (StringInfo) PG_GETARG_POINTER(0);
	Size size = message->len - message->cursor;
	bytea *bytes = palloc(add_size(size, VARHDRSZ));

	SET_VARSIZE(bytes, size + VARHDRSZ);
	pq_copymsgbytes(message, VARDATA(bytes), size);
	track_wire_read(bytes, type, NULL);
	PG_RETURN_BYTEA_P(bytes);
}

/* Are the first two arguments, states of one type, the same? */
bool
track_equal(FunctionCallInfo fcinfo)
{
	bytea *a = PG_GETARG_BYTEA_PP(0);
	bytea *b = PG_GETARG_BYTEA_PP(1);
	Size size = VARSIZE_ANY_EXHDR(a);
	bool equal = size == VARSIZE_ANY_EXHDR(b) &&
				 memcmp(VARDATA_ANY(a), VARDATA_ANY(b), size) == 0;

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return equal;
}

/* Returns a part of a whole, which is above 0, as analytics_rate() does. */
Numeric
track_rate(int64 part, int64 whole)
{
	Datum rate = DirectFunctionCall2(numeric_div,
									 NumericGetDatum(int64_to_numeric(part)),
									 NumericGetDatum(int64_to_numeric(whole)));

	return DatumGetNumeric(DirectFunctionCall2(
		numeric_round, rate, Int32GetDatum(TRACK_RATE_SCALE)));
}
