/*
 * profile_state: the history of a person as a value, which can be stored,
 * merged, changed and read as of any time.
 *
 * In memory it is an expanded object around a history. Flat, it is a string
 * of bytes, the same on every machine, which is also its binary form:
 *
 *   1 byte    version
 *   number    names; each: number of bytes, bytes
 *   number    bookings; when there are any:
 *     3 bytes   unit of times, unit of the time from booking to departure
 *               (0 day, 1 hour, 2 minute, 3 second, 4 millisecond, 5
 *               microsecond), decimals of amounts
 *     and for each, in the order of (booked_at, owner, booking_id):
 *       signed    units of time since the one before, of the first since
 *                 2000-01-01 UTC
 *       signed    owner less the one before; booking_id likewise
 *       signed    amount in the decimals above
 *       number    1 + name of the sales channel, 0: none
 *       number    7 * (1 + origin * 26^3 + destination) + region, 0: none
 *       2 bytes   facts, see wire.c; they tell whether there follow
 *       signed    units from booking to departure
 *       number    party size, unless it is 1
 *       numbers   lines: ancillary, seat, bag, meal, upgrade, bundle
 *   number    series; for each, in the order of names:
 *     number    name
 *     2 bytes   flags (1 valued, 2 visits), unit of times
 *     number    entries; each:
 *       signed    units of time since the one before
 *       signed    id less the one before, signed value; when valued
 *
 * A number has 7 bits a byte, lowest first, the upper bit set when more
 * follow; signed ones are 2n, or -2n - 1 when negative. Names are in order
 * of length, then bytes. Equal histories have equal bytes.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "airport.h"
#include "catalog/pg_enum.h"
#include "core/core.h"
#include "fmgr.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "profile/build.h"
#include "profile/profile.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/expandeddatum.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#define STATE_MAGIC 0x50524F46

/* Longest name of a channel or a kind of event. */
#define STATE_NAME_MAX 255

typedef struct ProfileState
{
	ExpandedObjectHeader hdr;
	int magic;
	ProfileHistory *history;
	bytea *flat; /* the history as bytes, while it is not changed */
} ProfileState;

/* Makes the history flat, once for a change. */
static bytea *
state_flat(ProfileState *state)
{
	if (state->flat == NULL)
		state->flat =
			profile_wire_write(state->history, state->hdr.eoh_context);
	return state->flat;
}

/* Expanded object: the size when flat. */
static Size
state_flat_size(ExpandedObjectHeader *header)
{
	return VARSIZE(state_flat((ProfileState *) header));
}

/* Expanded object: the flat form. */
static void
state_flatten(ExpandedObjectHeader *header, void *result, Size size)
{
	bytea *flat = state_flat((ProfileState *) header);

	Assert(VARSIZE(flat) == size);
	memcpy(result, flat, size);
}

static const ExpandedObjectMethods state_methods = {state_flat_size,
													state_flatten};

/* Makes an empty state in a context of its own below parent. */
static ProfileState *
state_create(MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(
		parent, "iaros profile_state", ALLOCSET_SMALL_SIZES);
	ProfileState *state =
		MemoryContextAllocZero(context, sizeof(ProfileState));

	EOH_init_header(&state->hdr, &state_methods, context);
	state->magic = STATE_MAGIC;
	state->history = profile_history_create(context);
	return state;
}

/* Returns the bytes of a state, flat or in memory. */
bytea *
profile_state_bytes(Datum datum)
{
	if (VARATT_IS_EXTERNAL_EXPANDED(DatumGetPointer(datum)))
		return state_flat((ProfileState *) DatumGetEOHP(datum));
	return DatumGetByteaPP(datum);
}

/* Returns the history of a state to read, in the current context. */
static ProfileHistory *
state_history(Datum datum)
{
	return profile_wire_read(profile_state_bytes(datum), CurrentMemoryContext);
}

/*
 * Returns the state that a transition function may change: its own, a copy
 * when it is not called by an aggregate, an empty one instead of NULL.
 */
static ProfileState *
state_writable(FunctionCallInfo fcinfo)
{
	MemoryContext context;
	bool aggregate = AggCheckCallContext(fcinfo, &context) != 0;
	ProfileState *state;
	bytea *bytes;

	if (!aggregate)
		context = CurrentMemoryContext;
	if (PG_ARGISNULL(0))
		return state_create(context);
	if (aggregate &&
		VARATT_IS_EXTERNAL_EXPANDED_RW(DatumGetPointer(PG_GETARG_DATUM(0))))
	{
		state = (ProfileState *) DatumGetEOHP(PG_GETARG_DATUM(0));
		Assert(state->magic == STATE_MAGIC);
		if (state->flat != NULL)
			pfree(state->flat);
		state->flat = NULL;
		return state;
	}
	bytes = profile_state_bytes(PG_GETARG_DATUM(0));
	state = state_create(context);
	state->flat =
		MemoryContextAlloc(state->hdr.eoh_context, VARSIZE_ANY(bytes));
	memcpy(state->flat, bytes, VARSIZE_ANY(bytes));
	/* Names stay where they are in the bytes. */
	state->history = profile_wire_read(state->flat, state->hdr.eoh_context);
	state->flat = NULL;
	return state;
}

/* Returns a state as the result of a function. */
#define PG_RETURN_STATE(state) return EOHPGetRWDatum(&(state)->hdr)

/* Raises the error of an argument that must not be NULL. */
static void
pg_attribute_noreturn() state_error_null(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("%s must not be NULL", name),
			 errhint("Leave such rows out with FILTER (WHERE %s IS NOT NULL).",
					 name)));
}

/* Checks that a time is one that can be counted from. */
static TimestampTz
state_check_time(TimestampTz at, const char *name)
{
	if (TIMESTAMP_NOT_FINITE(at) || !IS_VALID_TIMESTAMP(at))
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("%s must be a finite time", name)));
	return at;
}

/* Returns a time that is an argument. */
static TimestampTz
state_time(FunctionCallInfo fcinfo, int arg, const char *name)
{
	if (PG_ARGISNULL(arg))
		state_error_null(name);
	return state_check_time(PG_GETARG_TIMESTAMPTZ(arg), name);
}

/* Returns an amount as a number of its smallest decimals. */
int64
profile_amount(Numeric amount)
{
	int64 scaled;

	if (!core_numeric_scaled(amount, CORE_MONEY_SCALE, &scaled))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("amount %s is not one of numeric(16,4)",
							   DatumGetCString(DirectFunctionCall1(
								   numeric_out, NumericGetDatum(amount)))),
						errdetail("Amounts of bookings have at most 12 digits "
								  "before the point and 4 after it.")));
	return scaled;
}

/* Returns the label of a value of an enum. */
static char *
state_label(Oid value)
{
	HeapTuple tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(value));
	char *label;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for enum value %u", value);
	label = pstrdup(NameStr(((Form_pg_enum) GETSTRUCT(tuple))->enumlabel));
	ReleaseSysCache(tuple);
	return label;
}

/* Returns what a booking of a status is in a history, -1: nothing. */
int
profile_status(Oid value)
{
	char *label = state_label(value);

	if (strcmp(label, "held") == 0)
		return -1;
	if (strcmp(label, "cancelled") == 0)
		return PROFILE_CANCELLED;
	return strcmp(label, "refunded") == 0 ? PROFILE_REFUNDED : PROFILE_COUNTED;
}

/* Returns the number of a cabin. */
uint8
profile_cabin(Oid value)
{
	char *label = state_label(value);

	if (strcmp(label, "economy") == 0)
		return 1;
	if (strcmp(label, "premium_economy") == 0)
		return 2;
	return strcmp(label, "business") == 0 ? 3 : 4;
}

/* Packs the code of an airport. */
uint32
profile_airport(const BpChar *code)
{
	const char *letters = VARDATA_ANY(code);
	bool valid = VARSIZE_ANY_EXHDR(code) == AIRPORT_CODE_LEN;

	for (int i = 0; valid && i < AIRPORT_CODE_LEN; i++)
		valid = letters[i] >= 'A' && letters[i] <= 'Z';
	if (!valid)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" is not the code of an airport",
							   text_to_cstring((const text *) code)),
						errhint("Codes are three capital letters.")));
	return airport_code(letters);
}

/* Reads the numbers of lines of a booking. */
static void
state_items(ArrayType *array, uint32 *items)
{
	const int32 *lines = (const int32 *) ARR_DATA_PTR(array);

	if (ARR_NDIM(array) != 1 || ARR_DIMS(array)[0] != PROFILE_ITEMS ||
		ARR_HASNULL(array))
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("items must be an array of %d integers", PROFILE_ITEMS),
			 errhint("Give the lines that are ancillaries, seats, bags, "
					 "meals, upgrades and bundles.")));
	for (int i = 0; i < PROFILE_ITEMS; i++)
	{
		if (lines[i] < 0)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("a number of items must not be negative")));
		items[i] = lines[i];
	}
}

/* Returns the name of a channel or a kind, an argument. */
static text *
state_name(FunctionCallInfo fcinfo, int arg, const char *what)
{
	text *name;

	if (PG_ARGISNULL(arg))
		state_error_null(what);
	name = PG_GETARG_TEXT_PP(arg);
	if (VARSIZE_ANY_EXHDR(name) > STATE_NAME_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
				 errmsg("%s is longer than %d bytes", what, STATE_NAME_MAX)));
	return name;
}

/* Reads where and when a booking goes. */
static void
state_journey(FunctionCallInfo fcinfo, ProfileBooking *booking)
{
	if (!PG_ARGISNULL(8) && !PG_ARGISNULL(9))
	{
		booking->origin = profile_airport(PG_GETARG_BPCHAR_PP(8));
		booking->destination = profile_airport(PG_GETARG_BPCHAR_PP(9));
	}
	if (!PG_ARGISNULL(11))
		booking->departure =
			state_check_time(PG_GETARG_TIMESTAMPTZ(11), "departure_at");
	profile_facts(booking);
}

PG_FUNCTION_INFO_V1(profile_booking_transition);

/*
 * SQL: profile_booking_transition(state, customer_id bigint, booking_id
 * bigint, booked_at timestamptz, status booking_status, amount numeric,
 * cabin cabin, sales_channel text, origin char, destination char,
 * party_size integer, departure_at timestamptz, items integer[])
 */
Datum
profile_booking_transition(PG_FUNCTION_ARGS)
{
	ProfileState *state = state_writable(fcinfo);
	ProfileBooking booking = {
		.departure = PROFILE_NO_DEPARTURE, .channel = -1, .party = 1};
	int status;

	/* It asks for airports. */
	if (PG_ARGISNULL(0))
		core_require_install();
	if (PG_ARGISNULL(1))
		state_error_null("customer_id");
	if (PG_ARGISNULL(2))
		state_error_null("booking_id");
	booking.at = state_time(fcinfo, 3, "booked_at");
	if (PG_ARGISNULL(4))
		state_error_null("status");
	status = profile_status(PG_GETARG_OID(4));
	if (status < 0)
		PG_RETURN_STATE(state);
	booking.status = status;
	booking.owner = PG_GETARG_INT64(1);
	booking.id = PG_GETARG_INT64(2);
	if (!PG_ARGISNULL(5))
		booking.amount = profile_amount(PG_GETARG_NUMERIC(5));
	if (!PG_ARGISNULL(6))
		booking.cabin = profile_cabin(PG_GETARG_OID(6));
	if (!PG_ARGISNULL(7))
	{
		text *channel = state_name(fcinfo, 7, "sales_channel");

		booking.channel = profile_history_name(
			state->history, VARDATA_ANY(channel), VARSIZE_ANY_EXHDR(channel));
	}
	if (!PG_ARGISNULL(10))
		booking.party = PG_GETARG_INT32(10);
	if (booking.party < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("party_size must be at least 1")));
	if (!PG_ARGISNULL(12))
		state_items(PG_GETARG_ARRAYTYPE_P(12), booking.items);
	state_journey(fcinfo, &booking);
	*profile_history_add_booking(state->history) = booking;
	PG_RETURN_STATE(state);
}

PG_FUNCTION_INFO_V1(profile_event_transition);

/*
 * SQL: profile_event_transition(state, kind text, at timestamptz, visit
 * boolean, id bigint, value bigint)
 */
Datum
profile_event_transition(PG_FUNCTION_ARGS)
{
	ProfileState *state = state_writable(fcinfo);
	text *kind = state_name(fcinfo, 1, "kind");
	TimestampTz at = state_time(fcinfo, 2, "at");
	bool valued = !PG_ARGISNULL(4) && !PG_ARGISNULL(5);
	uint8 flags = 0;
	ProfileSeries *series;

	if (!PG_ARGISNULL(3) && PG_GETARG_BOOL(3))
		flags |= PROFILE_VISIT;
	if (valued)
		flags |= PROFILE_VALUED;
	series = profile_history_series(state->history, VARDATA_ANY(kind),
									VARSIZE_ANY_EXHDR(kind), flags);
	profile_history_add(state->history, series, at,
						valued ? PG_GETARG_INT64(4) : 0,
						valued ? PG_GETARG_INT64(5) : 0);
	PG_RETURN_STATE(state);
}

PG_FUNCTION_INFO_V1(profile_state_merge);

/* SQL: profile_state_merge(profile_state, profile_state) */
Datum
profile_state_merge(PG_FUNCTION_ARGS)
{
	ProfileState *state;
	ProfileHistory *other;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	other = state_history(PG_GETARG_DATUM(1));
	state = state_writable(fcinfo);
	profile_history_merge(state->history, other);
	PG_RETURN_STATE(state);
}

/* Raises an error unless the names of a history are text of this database. */
static void
state_check_names(const ProfileHistory *history)
{
	for (int i = 0; i < history->nnames; i++)
		if (!pg_verifymbstr(history->names[i].text, history->names[i].length,
							true))
			ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
							errmsg("invalid profile_state"),
							errdetail("A name is no text in encoding %s.",
									  GetDatabaseEncodingName())));
}

/* Checks bytes from outside and returns them in their one form. */
static bytea *
state_validate(bytea *bytes)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "iaros profile_state input",
												  ALLOCSET_DEFAULT_SIZES);
	ProfileHistory *history = profile_wire_read(bytes, context);
	bytea *flat;

	state_check_names(history);
	flat = profile_wire_write(history, CurrentMemoryContext);
	MemoryContextDelete(context);
	return flat;
}

PG_FUNCTION_INFO_V1(profile_state_in);

/* SQL: input of type profile_state, the hexadecimal form of its bytes */
Datum
profile_state_in(PG_FUNCTION_ARGS)
{
	char *text = PG_GETARG_CSTRING(0);

	if (text[0] != '\\' || text[1] != 'x')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type profile_state"),
				 errdetail("It begins with \"\\x\" and is hexadecimal.")));
	PG_RETURN_BYTEA_P(state_validate(
		DatumGetByteaPP(DirectFunctionCall1(byteain, CStringGetDatum(text)))));
}

PG_FUNCTION_INFO_V1(profile_state_out);

/* SQL: output of type profile_state */
Datum
profile_state_out(PG_FUNCTION_ARGS)
{
	bytea *flat = profile_state_bytes(PG_GETARG_DATUM(0));
	Size size = VARSIZE_ANY_EXHDR(flat);
	char *text;

	if (size > (MaxAllocSize - 3) / 2)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("profile_state is too large to be text"),
				 errhint("Read it in binary form, or by profile_read().")));
	text = palloc(2 * size + 3);
	text[0] = '\\';
	text[1] = 'x';
	text[2 + hex_encode(VARDATA_ANY(flat), size, text + 2)] = '\0';
	PG_RETURN_CSTRING(text);
}

PG_FUNCTION_INFO_V1(profile_state_recv);

/* SQL: binary input of type profile_state */
Datum
profile_state_recv(PG_FUNCTION_ARGS)
{
	StringInfo message = (StringInfo) PG_GETARG_POINTER(0);
	Size size = message->len - message->cursor;
	bytea *bytes = palloc(add_size(size, VARHDRSZ));

	SET_VARSIZE(bytes, size + VARHDRSZ);
	pq_copymsgbytes(message, VARDATA(bytes), size);
	PG_RETURN_BYTEA_P(state_validate(bytes));
}

PG_FUNCTION_INFO_V1(profile_state_send);

/* SQL: binary output of type profile_state */
Datum
profile_state_send(PG_FUNCTION_ARGS)
{
	PG_RETURN_BYTEA_P(PG_GETARG_BYTEA_P_COPY(0));
}

PG_FUNCTION_INFO_V1(profile_state_eq);

/* SQL: profile_state = profile_state */
Datum
profile_state_eq(PG_FUNCTION_ARGS)
{
	bytea *a = profile_state_bytes(PG_GETARG_DATUM(0));
	bytea *b = profile_state_bytes(PG_GETARG_DATUM(1));
	Size size = VARSIZE_ANY_EXHDR(a);

	PG_RETURN_BOOL(size == VARSIZE_ANY_EXHDR(b) &&
				   memcmp(VARDATA_ANY(a), VARDATA_ANY(b), size) == 0);
}

PG_FUNCTION_INFO_V1(profile_state_ne);

/* SQL: profile_state <> profile_state */
Datum
profile_state_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!DatumGetBool(profile_state_eq(fcinfo)));
}

/* Returns the time that a profile is asked as of. */
TimestampTz
profile_as_of(FunctionCallInfo fcinfo, int arg)
{
	TimestampTz as_of = PG_GETARG_TIMESTAMPTZ(arg);

	if (TIMESTAMP_NOT_FINITE(as_of))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a profile cannot be as of \"%s\"",
							   timestamptz_to_str(as_of)),
						errhint("Give a finite time.")));
	return as_of;
}

/* Returns the row type of a function's result, looked up once a query. */
static TupleDesc
state_row_type(FunctionCallInfo fcinfo)
{
	if (fcinfo->flinfo->fn_extra == NULL)
	{
		MemoryContext before = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
		TupleDesc desc;

		if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "function must return a row");
		fcinfo->flinfo->fn_extra = BlessTupleDesc(desc);
		MemoryContextSwitchTo(before);
	}
	return fcinfo->flinfo->fn_extra;
}

/* Returns a row: what comes first, due_at, and the columns. */
static Datum
state_row(FunctionCallInfo fcinfo, const ProfileHistory *history,
		  TimestampTz as_of, bytea *first)
{
	TupleDesc desc = state_row_type(fcinfo);
	int before = (first != NULL) + 1;
	Datum *values = palloc0((profile_ncolumns + before) * sizeof(Datum));
	bool *nulls = palloc0((profile_ncolumns + before) * sizeof(bool));
	TimestampTz due;

	if (desc->natts != profile_ncolumns + before)
		elog(ERROR, "a profile has %d columns", profile_ncolumns + before);
	due =
		profile_columns_read(history, as_of, values + before, nulls + before);
	values[0] = PointerGetDatum(first);
	values[before - 1] = TimestampTzGetDatum(due);
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

PG_FUNCTION_INFO_V1(profile_read);

/* SQL: profile_read(state profile_state, as_of timestamptz) */
Datum
profile_read(PG_FUNCTION_ARGS)
{
	TimestampTz as_of = profile_as_of(fcinfo, 1);

	return state_row(fcinfo, state_history(PG_GETARG_DATUM(0)), as_of, NULL);
}

PG_FUNCTION_INFO_V1(profile_change);

/*
 * SQL: profile_change(state profile_state, removed profile_state, added
 * profile_state, as_of timestamptz), of which the first three may be NULL
 */
Datum
profile_change(PG_FUNCTION_ARGS)
{
	ProfileHistory *history;
	TimestampTz as_of;

	if (PG_ARGISNULL(3))
		state_error_null("as_of");
	as_of = profile_as_of(fcinfo, 3);
	history = PG_ARGISNULL(0) ? profile_history_create(CurrentMemoryContext)
							  : state_history(PG_GETARG_DATUM(0));
	if (!PG_ARGISNULL(1))
		profile_history_remove(history, state_history(PG_GETARG_DATUM(1)));
	if (!PG_ARGISNULL(2))
		profile_history_merge(history, state_history(PG_GETARG_DATUM(2)));
	/* Writing sorts, and the columns are read from what is sorted. */
	return state_row(fcinfo, history, as_of,
					 profile_wire_write(history, CurrentMemoryContext));
}

/* Starts the domain. */
void
profile_init(void)
{
	profile_build_init();
	profile_arrive_init();
}
