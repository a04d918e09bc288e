/*
 * rfm_state: the customers of an aggregate as a value, which can be stored,
 * merged and read by any scheme.
 *
 * In memory it is an expanded object around a table. Flat, it is a string of
 * bytes, the same on every machine, which is also its binary form:
 *
 *   1 byte    version
 *   8 bytes   since, 8 bytes until (big-endian, as sent for timestamptz)
 *   number    purchases without time
 *   1 byte    1 when there are purchases without customer; then their last
 *             time (8 bytes), number and amount
 *   number    customers; when there are any:
 *     8 bytes   first customer_id
 *     8 bytes   earliest last time
 *     number    unit of times, in microseconds
 *     1 byte    decimals of amounts, 0 to CORE_MONEY_SCALE
 *     and for each customer, in the order of customer_id:
 *       number    customer_id less the one before (0 for the first)
 *       number    units from the earliest last time
 *       number    twice the purchases, plus 1 when the amount is wide
 *       amount    a signed number in the decimals above; when wide, a number
 *                 of characters and the decimal number in them
 *
 * A number has 7 bits a byte, lowest first, the upper bit set when more
 * follow; signed ones are 2n, or -2n - 1 when negative. Equal states have
 * equal bytes.
 */
#include "postgres.h"

#include "core/core.h"
#include "core/hash.h"
#include "fmgr.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "rfm/compute.h"
#include "rfm/wire.h"
#include "utils/builtins.h"
#include "utils/expandeddatum.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define STATE_MAGIC 0x52464D53

typedef struct RfmState
{
	ExpandedObjectHeader hdr;
	int magic;
	RfmTable *table;
	bytea *flat; /* the table as bytes, while it is not changed */
} RfmState;

/* Makes the table flat, once for a change. */
static bytea *
state_flat(RfmState *state)
{
	if (state->flat == NULL)
		state->flat = rfm_wire_write(state->table, state->hdr.eoh_context);
	return state->flat;
}

/* Expanded object: the size when flat. */
static Size
state_flat_size(ExpandedObjectHeader *header)
{
	return VARSIZE(state_flat((RfmState *) header));
}

/* Expanded object: the flat form. */
static void
state_flatten(ExpandedObjectHeader *header, void *result, Size size)
{
	bytea *flat = state_flat((RfmState *) header);

	Assert(VARSIZE(flat) == size);
	memcpy(result, flat, size);
}

static const ExpandedObjectMethods state_methods = {state_flat_size,
													state_flatten};

/* Makes a state without table in a context of its own below parent. */
static RfmState *
state_make(MemoryContext parent)
{
	MemoryContext context =
		AllocSetContextCreate(parent, "iaros rfm_state", ALLOCSET_SMALL_SIZES);
	RfmState *state = MemoryContextAllocZero(context, sizeof(RfmState));

	EOH_init_header(&state->hdr, &state_methods, context);
	state->magic = STATE_MAGIC;
	return state;
}

/* Returns a time as text of its own. */
static char *
state_time(TimestampTz at)
{
	return pstrdup(timestamptz_to_str(at));
}

/* Makes an empty state. */
static RfmState *
state_create(MemoryContext parent, TimestampTz since, TimestampTz until)
{
	RfmState *state;

	if (since >= until)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the window of an rfm_state is empty"),
						errdetail("Purchases after %s and not after %s are "
								  "to be counted.",
								  state_time(since), state_time(until))));
	state = state_make(parent);
	state->table =
		rfm_table_create(state->hdr.eoh_context, since, until, core_salt(), 0);
	return state;
}

/* Returns the state of a datum if it is one in memory, else NULL. */
static RfmState *
state_expanded(Datum datum)
{
	RfmState *state;

	if (!VARATT_IS_EXTERNAL_EXPANDED(DatumGetPointer(datum)))
		return NULL;
	state = (RfmState *) DatumGetEOHP(datum);
	Assert(state->magic == STATE_MAGIC);
	return state;
}

/* Reads a state into a table of its own below parent. */
static RfmState *
state_copy(Datum datum, MemoryContext parent)
{
	RfmState *state = state_make(parent);
	RfmState *from = state_expanded(datum);
	bytea *flat = from != NULL ? state_flat(from) : DatumGetByteaPP(datum);

	state->table = rfm_wire_read(flat, state->hdr.eoh_context);
	return state;
}

/*
 * Returns the state that a transition function may change: its own, or a
 * copy when it is not called by an aggregate.
 */
static RfmState *
state_writable(FunctionCallInfo fcinfo, int arg)
{
	MemoryContext context;
	Datum datum = PG_GETARG_DATUM(arg);
	bool aggregate = AggCheckCallContext(fcinfo, &context) != 0;

	if (aggregate && VARATT_IS_EXTERNAL_EXPANDED_RW(DatumGetPointer(datum)))
	{
		RfmState *state = state_expanded(datum);

		if (state->flat != NULL)
			pfree(state->flat);
		state->flat = NULL;
		return state;
	}
	return state_copy(datum, aggregate ? context : CurrentMemoryContext);
}

/* Returns a state as the result of a function. */
#define PG_RETURN_STATE(state) return EOHPGetRWDatum(&(state)->hdr)

/* Makes the state of an aggregate at its first row. */
static RfmState *
state_first(FunctionCallInfo fcinfo)
{
	MemoryContext context;
	TimestampTz since = DT_NOBEGIN;
	TimestampTz until = DT_NOEND;

	if (AggCheckCallContext(fcinfo, &context) == 0)
		context = CurrentMemoryContext;
	if (PG_NARGS() > 4 && !PG_ARGISNULL(4))
		since = PG_GETARG_TIMESTAMPTZ(4);
	if (PG_NARGS() > 5 && !PG_ARGISNULL(5))
		until = PG_GETARG_TIMESTAMPTZ(5);
	return state_create(context, since, until);
}

/* Raises an error when the window differs from that of the first row. */
static void
state_check_window(FunctionCallInfo fcinfo, const RfmTable *table)
{
	if (PG_NARGS() <= 4)
		return;
	if ((PG_ARGISNULL(4) ? DT_NOBEGIN : PG_GETARG_TIMESTAMPTZ(4)) !=
			table->since ||
		(PG_ARGISNULL(5) ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(5)) !=
			table->until)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the window of an rfm_state must not change"),
				 errhint("Give since and until the same values for every "
						 "row of a group.")));
}

/* Adds a purchase to a table. */
static void
state_add(RfmTable *table, FunctionCallInfo fcinfo)
{
	RfmRow row = {.purchases = 1};
	RfmAmount amount = {0};
	bool nobody = PG_ARGISNULL(1);

	if (PG_ARGISNULL(2))
	{
		table->undated++;
		return;
	}
	row.at = PG_GETARG_TIMESTAMPTZ(2);
	if (!nobody)
		row.customer = PG_GETARG_INT64(1);
	if (row.at > table->until && !TIMESTAMP_IS_NOEND(row.at))
		return;
	if (TIMESTAMP_NOT_FINITE(row.at))
		rfm_error_not_finite(nobody ? NULL : &row.customer, "time");
	if (!PG_ARGISNULL(3))
		amount = rfm_amount_numeric(PG_GETARG_DATUM(3),
									nobody ? NULL : &row.customer);
	row.amount = amount.scaled;
	if (nobody || amount.wide != NULL)
		rfm_table_add_odd(table, &row, amount.wide, nobody);
	else
		rfm_table_add(table, &row);
}

PG_FUNCTION_INFO_V1(rfm_agg_transition);

/*
 * SQL: rfm_agg_transition(state rfm_state, customer_id bigint, at
 * timestamptz, amount numeric [, since timestamptz, until timestamptz])
 */
Datum
rfm_agg_transition(PG_FUNCTION_ARGS)
{
	RfmState *state =
		PG_ARGISNULL(0) ? state_first(fcinfo) : state_writable(fcinfo, 0);

	state_check_window(fcinfo, state->table);
	state_add(state->table, fcinfo);
	PG_RETURN_STATE(state);
}

/* Returns the table of a state to read, its rows all applied. */
static RfmTable *
state_table(Datum datum)
{
	RfmState *state = state_expanded(datum);

	if (state == NULL)
		return rfm_wire_read(DatumGetByteaPP(datum), CurrentMemoryContext);
	rfm_table_flush(state->table);
	return state->table;
}

PG_FUNCTION_INFO_V1(rfm_state_merge);

/* SQL: rfm_state_merge(rfm_state, rfm_state), of which either may be NULL */
Datum
rfm_state_merge(PG_FUNCTION_ARGS)
{
	RfmState *state;
	RfmTable *other;
	MemoryContext context;

	if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(1))
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	if (PG_ARGISNULL(0))
	{
		if (AggCheckCallContext(fcinfo, &context) == 0)
			PG_RETURN_DATUM(PG_GETARG_DATUM(1));
		state = state_copy(PG_GETARG_DATUM(1), context);
		PG_RETURN_STATE(state);
	}
	other = state_table(PG_GETARG_DATUM(1));
	state = state_writable(fcinfo, 0);
	if (state->table->since != other->since ||
		state->table->until != other->until)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("rfm_state values of different windows cannot be "
					"merged"),
			 errdetail("One counts purchases after %s and not after %s, "
					   "the other after %s and not after %s.",
					   state_time(state->table->since),
					   state_time(state->table->until),
					   state_time(other->since), state_time(other->until))));
	rfm_table_merge(state->table, other);
	PG_RETURN_STATE(state);
}

PG_FUNCTION_INFO_V1(rfm_state_since);

/* SQL: rfm_state_since(state rfm_state, since timestamptz) */
Datum
rfm_state_since(PG_FUNCTION_ARGS)
{
	TimestampTz since = PG_GETARG_TIMESTAMPTZ(1);
	RfmState *state = state_copy(PG_GETARG_DATUM(0), CurrentMemoryContext);

	if (since < state->table->since || since >= state->table->until)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the window of an rfm_state cannot begin at %s",
							   state_time(since)),
						errdetail("It is after %s and not after %s.",
								  state_time(state->table->since),
								  state_time(state->table->until))));
	rfm_table_since(state->table, since);
	PG_RETURN_STATE(state);
}

/* Checks bytes from outside and returns them in their one form. */
static bytea *
state_validate(bytea *bytes)
{
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "iaros rfm_state input", ALLOCSET_DEFAULT_SIZES);
	RfmTable *table = rfm_wire_read(bytes, context);
	bytea *flat = rfm_wire_write(table, CurrentMemoryContext);

	MemoryContextDelete(context);
	return flat;
}

PG_FUNCTION_INFO_V1(rfm_state_in);

/* SQL: input of type rfm_state, the hexadecimal form of its bytes */
Datum
rfm_state_in(PG_FUNCTION_ARGS)
{
	char *text = PG_GETARG_CSTRING(0);

	if (text[0] != '\\' || text[1] != 'x')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type rfm_state"),
				 errdetail("It begins with \"\\x\" and is hexadecimal.")));
	PG_RETURN_BYTEA_P(state_validate(
		DatumGetByteaPP(DirectFunctionCall1(byteain, CStringGetDatum(text)))));
}

PG_FUNCTION_INFO_V1(rfm_state_out);

/* SQL: output of type rfm_state */
Datum
rfm_state_out(PG_FUNCTION_ARGS)
{
	bytea *flat = PG_GETARG_BYTEA_PP(0);
	Size size = VARSIZE_ANY_EXHDR(flat);
	char *text;

	if (size > (MaxAllocSize - 3) / 2)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("rfm_state is too large to be text"),
						errhint("Read it in binary form, or by rfm_rows().")));
	text = palloc(2 * size + 3);
	text[0] = '\\';
	text[1] = 'x';
	text[2 + hex_encode(VARDATA_ANY(flat), size, text + 2)] = '\0';
	PG_RETURN_CSTRING(text);
}

PG_FUNCTION_INFO_V1(rfm_state_recv);

/* SQL: binary input of type rfm_state */
Datum
rfm_state_recv(PG_FUNCTION_ARGS)
{
	StringInfo message = (StringInfo) PG_GETARG_POINTER(0);
	Size size = message->len - message->cursor;
	bytea *bytes = palloc(add_size(size, VARHDRSZ));

	SET_VARSIZE(bytes, size + VARHDRSZ);
	pq_copymsgbytes(message, VARDATA(bytes), size);
	PG_RETURN_BYTEA_P(state_validate(bytes));
}

PG_FUNCTION_INFO_V1(rfm_state_send);

/* SQL: binary output of type rfm_state */
Datum
rfm_state_send(PG_FUNCTION_ARGS)
{
	PG_RETURN_BYTEA_P(PG_GETARG_BYTEA_P_COPY(0));
}

PG_FUNCTION_INFO_V1(rfm_state_eq);

/* SQL: rfm_state = rfm_state */
Datum
rfm_state_eq(PG_FUNCTION_ARGS)
{
	bytea *a = PG_GETARG_BYTEA_PP(0);
	bytea *b = PG_GETARG_BYTEA_PP(1);
	Size size = VARSIZE_ANY_EXHDR(a);
	bool equal = size == VARSIZE_ANY_EXHDR(b) &&
				 memcmp(VARDATA_ANY(a), VARDATA_ANY(b), size) == 0;

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	PG_RETURN_BOOL(equal);
}

PG_FUNCTION_INFO_V1(rfm_state_ne);

/* SQL: rfm_state <> rfm_state */
Datum
rfm_state_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!DatumGetBool(rfm_state_eq(fcinfo)));
}

/* Returns the last time of all purchases, -infinity when there are none. */
static TimestampTz
state_last(const RfmTable *table)
{
	uint64 nslots = UINT64CONST(1) << table->bits;
	TimestampTz last = table->nobody.last;

	for (uint64 i = 0; i < nslots; i++)
		if (table->entries[i].flags & RFM_USED)
			last = Max(last, table->entries[i].last);
	return last;
}

/* Raises an error when a table holds purchases after as_of. */
static void
state_check_as_of(const RfmTable *table, TimestampTz as_of)
{
	if (state_last(table) > as_of)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the rfm_state holds purchases after %s",
						timestamptz_to_str(as_of)),
				 errhint("Aggregate with FILTER (WHERE at <= as_of).")));
}

/* Warns when a state counts other purchases than the scheme means. */
static void
state_warn_window(const RfmTable *table, const RfmScheme *scheme)
{
	if (TIMESTAMP_IS_NOBEGIN(scheme->since) || table->since == scheme->since)
		return;
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("the rfm_state counts purchases after %s, scheme \"%s\" "
					"those after %s",
					state_time(table->since), scheme->name,
					state_time(scheme->since)),
			 errhint("Give rfm_agg() that window, or rfm_state_since() the "
					 "states of days before they are merged.")));
}

/* Opens rfm_rows(): scores a copy of the state. */
static CoreRows *
rows_open(TupleDesc desc, const NullableDatum *params)
{
	NullableDatum terms[4] = {
		params[1], params[2], {.isnull = true}, params[3]};
	RfmScheme *scheme = rfm_scheme_load(terms);
	RfmState *copy;

	if (params[0].isnull)
		return palloc0(sizeof(CoreRows));
	copy = state_copy(params[0].value, CurrentMemoryContext);
	state_check_as_of(copy->table, scheme->until);
	state_warn_window(copy->table, scheme);
	return rfm_result(copy->table, scheme, false);
}

PG_FUNCTION_INFO_V1(rfm_rows);

static const CoreStream rows_stream = {
	.name = "rfm_rows",
	.function = rfm_rows,
	.open = rows_open,
};

/*
 * SQL: rfm_rows(state rfm_state, scheme text, as_of timestamptz, currency
 * text)
 */
Datum
rfm_rows(PG_FUNCTION_ARGS)
{
	return core_stream_call(fcinfo, &rows_stream);
}

/* Makes rfm_rows() known to the node that runs it. */
void
rfm_state_init(void)
{
	core_stream_register(&rows_stream);
}

/* Adds up the amounts of all customers. */
static Numeric
state_total(const RfmTable *table, uint64 *purchases)
{
	uint64 nslots = UINT64CONST(1) << table->bits;
	Numeric total = rfm_table_amount(table, &table->nobody);

	*purchases = table->nobody.purchases;
	for (uint64 i = 0; i < nslots; i++)
	{
		const RfmEntry *entry = &table->entries[i];
		Numeric sum;

		if (!(entry->flags & RFM_USED))
			continue;
		CHECK_FOR_INTERRUPTS();
		*purchases += entry->purchases;
		sum = DatumGetNumeric(DirectFunctionCall2(
			numeric_add, NumericGetDatum(total),
			NumericGetDatum(rfm_table_amount(table, entry))));
		pfree(total);
		total = sum;
	}
	return total;
}

PG_FUNCTION_INFO_V1(rfm_summary);

/* SQL: rfm_summary(state rfm_state) */
Datum
rfm_summary(PG_FUNCTION_ARGS)
{
	RfmTable *table = state_table(PG_GETARG_DATUM(0));
	Datum values[8];
	bool nulls[8] = {false};
	uint64 purchases;
	TimestampTz last = state_last(table);
	TupleDesc desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "rfm_summary() must return a row");
	values[0] = Int64GetDatum(table->used);
	values[2] = NumericGetDatum(state_total(table, &purchases));
	values[1] = Int64GetDatum(purchases);
	values[3] = TimestampTzGetDatum(last);
	nulls[3] = TIMESTAMP_IS_NOBEGIN(last);
	values[4] = TimestampTzGetDatum(table->since);
	values[5] = TimestampTzGetDatum(table->until);
	values[6] = Int64GetDatum(table->nobody.purchases);
	values[7] = Int64GetDatum(table->undated);
	return HeapTupleGetDatum(
		heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}
