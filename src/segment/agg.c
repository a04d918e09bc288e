/*
 * segment_agg(): the audiences of many rules as an aggregate, and
 * audience_set, the type of its state: an expanded object around a builder a
 * rule, changed in place. Flat it is a head and the audiences one after
 * another, each as it is by itself; that is its binary form, too.
 */
#include "postgres.h"

#include "core/stream.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "segment/audience_layout.h"
#include "segment/program.h"
#include "utils/builtins.h"
#include "utils/expandeddatum.h"

#define SET_MAGIC 0x53455453
#define SET_VERSION 1

/* Arguments of the transition function; an id stands between. */
#define ARG_STATE 0
#define ARG_ID 2

static const SegmentArgs set_args = {
	.rules = 1, .record = 3, .as_of = 4, .zone = 5};

/* The flat form; all numbers are little-endian. */
typedef struct AudienceSet
{
	int32 vl_len_; /* varlena header, not to be touched directly */
	uint32 version;
	uint64 hash; /* of the rules */
	uint32 nrules;
	uint32 zero;
	char audiences[FLEXIBLE_ARRAY_MEMBER]; /* each aligned */
} AudienceSet;

#define SET_HEADER offsetof(AudienceSet, audiences)

StaticAssertDecl(SET_HEADER % MAXIMUM_ALIGNOF == 0, "audiences are aligned");

typedef struct SetState
{
	ExpandedObjectHeader hdr;
	int magic;
	uint64 hash;
	int nrules;
	AudienceBuilder **members; /* NULL for one without any */
	AudienceSet *flat;         /* while there is no change */
} SetState;

/* The rows of audience_rows(). */
typedef struct SetRows
{
	CoreRows rows;
	const Audience **audiences;
} SetRows;

/* Returns the audience of a rule, palloc'd. */
static Audience *
set_audience(AudienceBuilder *builder)
{
	if (builder == NULL)
		builder = audience_builder_create(CurrentMemoryContext);
	return audience_builder_finish(builder);
}

/* Raises the error for a set that is too large. */
static void
set_error_size(void)
{
	ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					errmsg("audience_set is larger than 1 GB"),
					errhint("Aggregate fewer rules at a time, or by groups "
							"of ids, or use segment_scan().")));
}

/* Makes the state flat, once for a change. */
static AudienceSet *
set_flat(SetState *state)
{
	MemoryContext caller;
	Audience **audiences;
	Size size = SET_HEADER;
	char *at;

	if (state->flat != NULL)
		return state->flat;
	caller = MemoryContextSwitchTo(state->hdr.eoh_context);
	audiences = palloc(Max(state->nrules, 1) * sizeof(Audience *));
	for (int i = 0; i < state->nrules; i++)
	{
		CHECK_FOR_INTERRUPTS();
		audiences[i] = set_audience(state->members[i]);
		size = add_size(size, VARSIZE(audiences[i]));
		if (size >= MaxAllocSize)
			set_error_size();
	}
	state->flat = palloc0(size);
	SET_VARSIZE(state->flat, size);
	state->flat->version = SET_VERSION;
	state->flat->hash = state->hash;
	state->flat->nrules = state->nrules;
	at = state->flat->audiences;
	for (int i = 0; i < state->nrules; i++)
	{
		Assert(VARSIZE(audiences[i]) % MAXIMUM_ALIGNOF == 0);
		memcpy(at, audiences[i], VARSIZE(audiences[i]));
		at += VARSIZE(audiences[i]);
		pfree(audiences[i]);
	}
	pfree(audiences);
	MemoryContextSwitchTo(caller);
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
	AudienceSet *flat = set_flat((SetState *) header);

	Assert(VARSIZE(flat) == size);
	memcpy(result, flat, size);
}

static const ExpandedObjectMethods set_methods = {set_flat_size, set_flatten};

/* Makes a state of empty audiences in a context of its own below parent. */
static SetState *
set_create(MemoryContext parent, uint64 hash, int nrules)
{
	MemoryContext context = AllocSetContextCreate(parent, "iaros audience_set",
												  ALLOCSET_SMALL_SIZES);
	SetState *state = MemoryContextAllocZero(context, sizeof(SetState));

	EOH_init_header(&state->hdr, &set_methods, context);
	state->magic = SET_MAGIC;
	state->hash = hash;
	state->nrules = nrules;
	state->members = MemoryContextAllocZero(
		context, Max(nrules, 1) * sizeof(AudienceBuilder *));
	return state;
}

/* Returns a set in its flat form, not to be changed. */
static AudienceSet *
set_from_datum(Datum datum)
{
	SetState *state;

	if (!VARATT_IS_EXTERNAL_EXPANDED(DatumGetPointer(datum)))
		return (AudienceSet *) PG_DETOAST_DATUM(datum);
	state = (SetState *) DatumGetEOHP(datum);
	Assert(state->magic == SET_MAGIC);
	return set_flat(state);
}

/* Returns the members of a rule, to add to. */
static AudienceBuilder *
set_members(SetState *state, int rule)
{
	if (state->members[rule] == NULL)
		state->members[rule] = audience_builder_create(state->hdr.eoh_context);
	return state->members[rule];
}

/* Adds the members of a flat set. */
static void
set_add(SetState *state, const AudienceSet *set)
{
	const char *at = set->audiences;

	if (set->hash != state->hash || set->nrules != state->nrules)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("audience_set values of different rules "
							   "cannot be merged"),
						errdetail("One is of %d rules, the other of %d.",
								  state->nrules, (int) set->nrules)));
	for (int i = 0; i < state->nrules; i++)
	{
		const Audience *audience = (const Audience *) at;

		CHECK_FOR_INTERRUPTS();
		if (audience->cardinality > 0)
			audience_builder_merge(set_members(state, i), audience);
		at += VARSIZE(audience);
	}
}

/* Returns a copy of a set as a state below parent. */
static SetState *
set_copy(Datum datum, MemoryContext parent)
{
	AudienceSet *set = set_from_datum(datum);
	SetState *state = set_create(parent, set->hash, set->nrules);

	set_add(state, set);
	return state;
}

/*
 * Returns the state that a transition function may change: its own, or a
 * copy when it is not called by an aggregate.
 */
static SetState *
set_writable(FunctionCallInfo fcinfo)
{
	MemoryContext context;
	Datum datum = PG_GETARG_DATUM(ARG_STATE);
	SetState *state;

	if (AggCheckCallContext(fcinfo, &context) == 0)
		return set_copy(datum, CurrentMemoryContext);
	if (!VARATT_IS_EXTERNAL_EXPANDED_RW(DatumGetPointer(datum)))
		return set_copy(datum, context);
	state = (SetState *) DatumGetEOHP(datum);
	if (state->flat != NULL)
		pfree(state->flat);
	state->flat = NULL;
	return state;
}

/* Returns a state as the result of a function. */
#define PG_RETURN_SET(state) return EOHPGetRWDatum(&(state)->hdr)

/* Makes the state of an aggregate at its first row. */
static SetState *
set_first(FunctionCallInfo fcinfo)
{
	MemoryContext context;
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(set_args.rules);
	int nrules;
	const SegmentRule **rules = segment_rules(array, &nrules);
	SetState *state;

	if (AggCheckCallContext(fcinfo, &context) == 0)
		context = CurrentMemoryContext;
	state = set_create(context, segment_rules_hash(rules, nrules), nrules);
	pfree(rules);
	PG_FREE_IF_COPY(array, set_args.rules);
	return state;
}

/* Raises an error for an argument that is NULL. */
static void
set_check_null(FunctionCallInfo fcinfo, int arg, const char *name)
{
	if (arg < PG_NARGS() && PG_ARGISNULL(arg))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("%s must not be NULL", name)));
}

PG_FUNCTION_INFO_V1(segment_agg_transition);

/*
 * SQL: segment_agg_transition(state audience_set, rules segment_rule[], id
 * bigint, record record [, as_of timestamptz [, zone text]])
 *
 * The program is kept in fn_extra, compared with the rules and the record of
 * each row. A state has none of its own, since there may be many groups.
 */
Datum
segment_agg_transition(PG_FUNCTION_ARGS)
{
	SetState *state;
	SegmentCall *call;
	uint64 id;

	set_check_null(fcinfo, set_args.rules, "rules");
	set_check_null(fcinfo, set_args.as_of, "as_of");
	set_check_null(fcinfo, set_args.zone, "zone");
	state = PG_ARGISNULL(ARG_STATE) ? set_first(fcinfo) : set_writable(fcinfo);
	if (PG_ARGISNULL(ARG_ID) || PG_ARGISNULL(set_args.record))
		PG_RETURN_SET(state);
	id = audience_id_check(PG_GETARG_INT64(ARG_ID));
	call = segment_call_evaluate(fcinfo, &set_args, true);
	if (call->hash != state->hash || call->program->nrules != state->nrules)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("rules must be the same for every row of a "
							   "group")));
	for (int i = 0; i < state->nrules; i++)
		if (segment_program_true(call->program, call->program->roots[i]))
			audience_builder_add(set_members(state, i), id);
	PG_RETURN_SET(state);
}

PG_FUNCTION_INFO_V1(audience_set_merge);

/* SQL: audience_set_merge(audience_set, audience_set), either may be NULL */
Datum
audience_set_merge(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	SetState *state;
	AudienceSet *other;

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
	other = set_from_datum(PG_GETARG_DATUM(1));
	state = set_writable(fcinfo);
	set_add(state, other);
	PG_RETURN_SET(state);
}

/* Fills in the wanted columns of a row. */
static void
set_get(const CoreRows *rows, uint64 i, const bool *wanted, Datum *values,
		bool *nulls)
{
	const Audience *audience = ((const SetRows *) rows)->audiences[i];

	nulls[0] = false;
	values[0] = Int32GetDatum((int32) i + 1);
	nulls[1] = !wanted[1];
	if (wanted[1])
		values[1] = PointerGetDatum(
			memcpy(palloc(VARSIZE(audience)), audience, VARSIZE(audience)));
}

/* Opens audience_rows(). */
static CoreRows *
set_open(TupleDesc desc, const NullableDatum *params)
{
	SetRows *rows = palloc0(sizeof(SetRows));
	AudienceSet *set;
	const char *at;

	rows->rows.get = set_get;
	if (params[0].isnull)
		return &rows->rows;
	set = (AudienceSet *) PG_DETOAST_DATUM_COPY(params[0].value);
	rows->rows.n = set->nrules;
	rows->audiences = palloc(Max(set->nrules, 1) * sizeof(Audience *));
	at = set->audiences;
	for (uint32 i = 0; i < set->nrules; i++)
	{
		rows->audiences[i] = (const Audience *) at;
		at += VARSIZE(at);
	}
	return &rows->rows;
}

PG_FUNCTION_INFO_V1(audience_rows);

static const CoreStream set_stream = {
	.name = "audience_rows",
	.function = audience_rows,
	.open = set_open,
};

/* SQL: audience_rows(audience_set) */
Datum
audience_rows(PG_FUNCTION_ARGS)
{
	return core_stream_call(fcinfo, &set_stream);
}

/* Makes audience_rows() known to the node that runs it. */
void
segment_agg_init(void)
{
	core_stream_register(&set_stream);
}

/* Returns what is wrong with the audiences of a set, or NULL. */
static const char *
set_flaw_audiences(const AudienceSet *set, Size room)
{
	const char *at = set->audiences;

	for (uint32 i = 0; i < set->nrules; i++)
	{
		const char *flaw;
		Size size;

		CHECK_FOR_INTERRUPTS();
		if (room < sizeof(Audience))
			return "It is shorter than its audiences.";
		if (!VARATT_IS_4B_U(at))
			return "The length of an audience is not as it should be.";
		size = VARSIZE_4B(at);
		if (size > room)
			return "An audience goes beyond the end.";
		flaw = audience_flaw((const Audience *) at, size);
		if (flaw != NULL)
			return flaw;
		at += size;
		room -= size;
	}
	return room == 0 ? NULL : "There are bytes after the last audience.";
}

/* Raises an error unless bytes from outside are a set. */
static AudienceSet *
set_validate(AudienceSet *set)
{
	Size size = VARSIZE(set);
	const char *flaw;

	if (size < SET_HEADER)
		flaw = "It is shorter than its head.";
	else if (set->version != SET_VERSION)
		flaw = "Its version is not 1.";
	else if (set->zero != 0 || set->nrules > PG_INT32_MAX)
		flaw = "Its head is not as it should be.";
	else
		flaw = set_flaw_audiences(set, size - SET_HEADER);
	if (flaw != NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("invalid binary form of an audience_set"),
						errdetail("%s", flaw)));
	return set;
}

PG_FUNCTION_INFO_V1(audience_set_recv);

/* SQL: binary input of type audience_set */
Datum
audience_set_recv(PG_FUNCTION_ARGS)
{
	StringInfo message = (StringInfo) PG_GETARG_POINTER(0);
	Size size = message->len - message->cursor;
	AudienceSet *set = palloc(add_size(size, VARHDRSZ));

	pq_copymsgbytes(message, (char *) set + VARHDRSZ, (int) size);
	SET_VARSIZE(set, size + VARHDRSZ);
	PG_RETURN_POINTER(set_validate(set));
}

PG_FUNCTION_INFO_V1(audience_set_send);

/* SQL: binary output of type audience_set */
Datum
audience_set_send(PG_FUNCTION_ARGS)
{
	AudienceSet *set = set_from_datum(PG_GETARG_DATUM(0));

	PG_RETURN_POINTER(memcpy(palloc(VARSIZE(set)), set, VARSIZE(set)));
}

PG_FUNCTION_INFO_V1(audience_set_in);

/* SQL: input of type audience_set, the hexadecimal form of its bytes */
Datum
audience_set_in(PG_FUNCTION_ARGS)
{
	char *text = PG_GETARG_CSTRING(0);

	if (text[0] != '\\' || text[1] != 'x')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type audience_set"),
				 errdetail("It begins with \"\\x\" and is hexadecimal.")));
	PG_RETURN_POINTER(set_validate((AudienceSet *) DatumGetByteaP(
		DirectFunctionCall1(byteain, CStringGetDatum(text)))));
}

PG_FUNCTION_INFO_V1(audience_set_out);

/* SQL: output of type audience_set */
Datum
audience_set_out(PG_FUNCTION_ARGS)
{
	AudienceSet *set = set_from_datum(PG_GETARG_DATUM(0));
	Size size = VARSIZE(set) - VARHDRSZ;
	char *text;

	if (size > (MaxAllocSize - 3) / 2)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("audience_set is too large to be text"),
				 errhint("Read it in binary form, or by audience_rows().")));
	text = palloc(2 * size + 3);
	text[0] = '\\';
	text[1] = 'x';
	text[2 + hex_encode(VARDATA(set), size, text + 2)] = '\0';
	PG_RETURN_CSTRING(text);
}

PG_FUNCTION_INFO_V1(audience_set_eq);

/* SQL: audience_set = audience_set */
Datum
audience_set_eq(PG_FUNCTION_ARGS)
{
	AudienceSet *a = set_from_datum(PG_GETARG_DATUM(0));
	AudienceSet *b = set_from_datum(PG_GETARG_DATUM(1));

	PG_RETURN_BOOL(VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0);
}

PG_FUNCTION_INFO_V1(audience_set_ne);

/* SQL: audience_set <> audience_set */
Datum
audience_set_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!DatumGetBool(audience_set_eq(fcinfo)));
}
