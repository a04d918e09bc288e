/*
 * rfm_compute(): RFM of all customers of a source, in one pass over its
 * rows, which come slot by slot and in parallel where the plan allows.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/int.h"
#include "core/core.h"
#include "core/hash.h"
#include "core/source.h"
#include "core/stream.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "rfm/compute.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* What a source tells of a purchase. */
typedef enum SourceField
{
	FIELD_CUSTOMER,
	FIELD_AT,
	FIELD_AMOUNT,
	FIELD_PURCHASES,
	FIELD_SCORE,
	FIELD_CHANGED,
	FIELD_COUNT
} SourceField;

#define FIELD_NEEDED 3

static const char *const field_names[FIELD_COUNT] = {
	"customer_id", "at", "amount", "purchases", "score", "changed"};

/* Days whose first moment is remembered. */
#define DAY_CACHE 1024

/* The sink's arguments: the window, and where the fields are. */
typedef struct ComputeArgs
{
	char zone[TZ_STRLEN_MAX + 1]; /* of times without zone */
	uint64 salt;
	double customers; /* so many are expected in a relation, 0: not known */
	TimestampTz since;
	TimestampTz until;
	int16 attnos[FIELD_COUNT]; /* 0 when the source has no such column */
	Oid types[FIELD_COUNT];
	int16 last; /* the last of them in the row */
	bool more;  /* there are fields that few sources have */
} ComputeArgs;

/* The first moment of a day. */
typedef struct DayStart
{
	DateADT day;
	TimestampTz at;
} DayStart;

/* The sink's state. */
typedef struct ComputeState
{
	ComputeArgs args;
	RfmTable *table;
	pg_tz *zone;
	DayStart *days;    /* DAY_CACHE of them, by the lower bits of the day */
	MemoryContext row; /* what reading one row takes */
} ComputeState;

/* Raises the error for a column whose type does not fit. */
static void
field_error_type(SourceField field, const char *column, Oid type)
{
	static const char *const wanted[FIELD_COUNT] = {
		"It must be smallint, integer or bigint.",
		"It must be timestamp with or without time zone, or date.",
		"It must be numeric, an integer type, real or double precision.",
		"It must be smallint, integer or bigint.",
		"It must be rfm.",
		"It must be boolean."};

	ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
					errmsg("column \"%s\" of the source is of type %s", column,
						   format_type_be(type)),
					errdetail("It stands for %s. %s", field_names[field],
							  wanted[field]),
					field < FIELD_NEEDED
						? errhint("Make it one in a query as the source.")
						: errhint("Leave it out in a query as the source.")));
}

/* Tells whether a column of this type can stand for the field. */
static bool
field_type_fits(SourceField field, Oid type, Oid rfm)
{
	switch (field)
	{
		case FIELD_CUSTOMER:
		case FIELD_PURCHASES:
			return type == INT8OID || type == INT4OID || type == INT2OID;
		case FIELD_AT:
			return type == TIMESTAMPTZOID || type == TIMESTAMPOID ||
				   type == DATEOID;
		case FIELD_AMOUNT:
			return type == NUMERICOID || type == INT8OID || type == INT4OID ||
				   type == INT2OID || type == FLOAT8OID || type == FLOAT4OID;
		case FIELD_SCORE:
			return type == rfm;
		default:
			return type == BOOLOID;
	}
}

/* Takes column attno of the source for a field. */
static void
field_bind(ComputeArgs *args, SourceField field, TupleDesc desc, int attno,
		   Oid rfm)
{
	Form_pg_attribute column = TupleDescAttr(desc, attno - 1);
	Oid type = getBaseType(column->atttypid);

	if (!field_type_fits(field, type, rfm))
		field_error_type(field, NameStr(column->attname), column->atttypid);
	args->attnos[field] = attno;
	args->types[field] = type;
	args->last = Max(args->last, attno);
	args->more |= field >= FIELD_NEEDED;
}

/* Returns the names that the caller gave to the columns, which are three. */
static Datum *
column_names(ArrayType *array)
{
	Datum *names;
	bool *nulls;
	int n;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls,
					  &n);
	for (int i = 0; i < n; i++)
		if (nulls[i])
			n = 0;
	if (n != FIELD_NEEDED || ARR_NDIM(array) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("columns must be three names"),
				 errhint("Name the columns of customer, time and amount, say "
						 "ARRAY['customer_no', 'booked_at', 'total'].")));
	return names;
}

/* Finds the column of a field that the caller named. */
static int
column_named(const CoreSource *source, const char *name)
{
	int attno = core_source_attno(source, name);

	if (attno == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of the source does not exist", name),
				 errdetail("The source has %s.", core_source_columns(source)),
				 errhint("Names are taken as they are, case included.")));
	return attno;
}

/*
 * Finds the three columns that each source has: those the caller named,
 * else those of our names, else the three that there are.
 */
static void
columns_find(const CoreSource *source, ArrayType *named, int *attnos)
{
	Datum *names = named == NULL ? NULL : column_names(named);
	int found = 0;

	for (int i = 0; i < FIELD_NEEDED; i++)
	{
		attnos[i] = names == NULL
						? core_source_attno(source, field_names[i])
						: column_named(source, TextDatumGetCString(names[i]));
		found += attnos[i] > 0;
	}
	if (found == FIELD_NEEDED)
		return;
	if (source->desc->natts != FIELD_NEEDED)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the source has no columns customer_id, at and "
						"amount"),
				 errdetail("The source has %s.", core_source_columns(source)),
				 errhint("Name its columns of customer, time and amount in "
						 "columns, or make it a query of these three.")));
	for (int i = 0; i < FIELD_NEEDED; i++)
		attnos[i] = i + 1;
}

/*
 * Binds the columns of a source to the fields. Scores and news are read only
 * where they are asked for, and like numbers of purchases only where columns
 * go by our names.
 */
static void
args_bind(ComputeArgs *args, const CoreSource *source, ArrayType *named,
		  Oid rfm, bool changed_only)
{
	int attnos[FIELD_COUNT];

	columns_find(source, named, attnos);
	for (int field = FIELD_NEEDED; field < FIELD_COUNT; field++)
		attnos[field] =
			named == NULL && (field == FIELD_PURCHASES || changed_only)
				? core_source_attno(source, field_names[field])
				: 0;
	for (int field = 0; field < FIELD_COUNT; field++)
		if (attnos[field] > 0)
			field_bind(args, field, source->desc, attnos[field], rfm);
}

/* Reads an integer of one of the three types. */
static inline int64
integer_get(Datum value, Oid type)
{
	if (type == INT8OID)
		return DatumGetInt64(value);
	return type == INT4OID ? DatumGetInt32(value) : DatumGetInt16(value);
}

/* Returns the time at which it is this local time in the zone. */
static TimestampTz
time_from_local(Timestamp local, pg_tz *zone)
{
	struct pg_tm tm;
	fsec_t fsec;
	TimestampTz at;

	if (TIMESTAMP_NOT_FINITE(local))
		return local;
	if (timestamp2tm(local, NULL, &tm, &fsec, NULL, NULL) == 0)
	{
		at =
			local + (int64) DetermineTimeZoneOffset(&tm, zone) * USECS_PER_SEC;
		if (IS_VALID_TIMESTAMP(at))
			return at;
	}
	ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
					errmsg("time of a purchase is out of range")));
	return 0;
}

/* Returns the first moment of a day in the zone. */
static TimestampTz
time_from_day(ComputeState *state, DateADT day)
{
	DayStart *start = &state->days[(uint32) day % DAY_CACHE];

	if (DATE_NOT_FINITE(day))
		return DATE_IS_NOBEGIN(day) ? DT_NOBEGIN : DT_NOEND;
	if (start->day != day)
	{
		start->at = time_from_local(DatumGetTimestamp(DirectFunctionCall1(
										date_timestamp, DateADTGetDatum(day))),
									state->zone);
		start->day = day;
	}
	return start->at;
}

/* Reads a time that has no zone: it is meant in that of the customers. */
static TimestampTz
time_convert(ComputeState *state, Datum value)
{
	if (state->args.types[FIELD_AT] == DATEOID)
		return time_from_day(state, DatumGetDateADT(value));
	return time_from_local(DatumGetTimestamp(value), state->zone);
}

/* Reads a numeric amount, detoasted or not. */
RfmAmount
rfm_amount_numeric(Datum value, const int64 *customer)
{
	Numeric number = (Numeric) PG_DETOAST_DATUM_PACKED(value);
	RfmAmount amount = {0};

	if (likely(core_numeric_scaled(number, CORE_MONEY_SCALE, &amount.scaled)))
		return amount;
	if (numeric_is_nan(DatumGetNumeric(PointerGetDatum(number))) ||
		numeric_is_inf(DatumGetNumeric(PointerGetDatum(number))))
		rfm_error_not_finite(customer, "amount");
	amount.scaled = 0;
	amount.wide = number;
	return amount;
}

/* Reads a float amount as the shortest decimal, as the cast to numeric. */
static RfmAmount
amount_float(Datum value, Oid type, const int64 *customer)
{
	float8 number =
		type == FLOAT8OID ? DatumGetFloat8(value) : DatumGetFloat4(value);
	float8 scaled = rint(number * 10000.0);

	if (type == FLOAT8OID && fabs(scaled) < 1e15 && scaled / 10000.0 == number)
		return (RfmAmount){.scaled = (int64) scaled};
	return rfm_amount_numeric(
		DirectFunctionCall1(
			type == FLOAT8OID ? float8_numeric : float4_numeric, value),
		customer);
}

/* Reads an amount that is not numeric. */
static RfmAmount
amount_convert(Datum value, Oid type, const int64 *customer)
{
	int64 number;
	int64 scaled;

	if (type == FLOAT8OID || type == FLOAT4OID)
		return amount_float(value, type, customer);
	number = integer_get(value, type);
	if (!pg_mul_s64_overflow(number, 10000, &scaled))
		return (RfmAmount){.scaled = scaled};
	return rfm_amount_numeric(NumericGetDatum(int64_to_numeric(number)),
							  customer);
}

/* Returns how many purchases a row stands for. */
static int32
purchases_get(Datum value, Oid type)
{
	int64 purchases = integer_get(value, type);

	if (purchases < -PG_INT32_MAX || purchases > PG_INT32_MAX)
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("a row of the source stands for " INT64_FORMAT
							   " purchases",
							   purchases),
						errdetail("There may be up to %d.", PG_INT32_MAX)));
	return purchases;
}

/* Sink: begins a table. */
static void *
compute_begin(const void *bytes, double rows)
{
	ComputeState *state = palloc(sizeof(ComputeState));

	memcpy(&state->args, bytes, sizeof(ComputeArgs));
	state->table = rfm_table_create(CurrentMemoryContext, state->args.since,
									state->args.until, state->args.salt,
									Min(state->args.customers, rows));
	state->zone = rfm_zone(state->args.zone);
	state->days = palloc(DAY_CACHE * sizeof(DayStart));
	for (int i = 0; i < DAY_CACHE; i++)
		state->days[i].day = DATEVAL_NOBEGIN;
	state->row = AllocSetContextCreate(CurrentMemoryContext, "iaros purchase",
									   ALLOCSET_SMALL_SIZES);
	return state;
}

/* Reads the fields that few sources have. */
static void
compute_read_more(const ComputeArgs *args, TupleTableSlot *slot, RfmRow *row)
{
	int purchases = args->attnos[FIELD_PURCHASES] - 1;
	int score = args->attnos[FIELD_SCORE] - 1;
	int changed = args->attnos[FIELD_CHANGED] - 1;

	if (purchases >= 0 && !slot->tts_isnull[purchases])
		row->purchases = purchases_get(slot->tts_values[purchases],
									   args->types[FIELD_PURCHASES]);
	if (score >= 0 && !slot->tts_isnull[score])
		row->score = DatumGetRfm(slot->tts_values[score]);
	if (changed >= 0 && !slot->tts_isnull[changed])
		row->changed = DatumGetBool(slot->tts_values[changed]);
}

/* Adds the purchase of a row. */
static inline void
compute_add(ComputeState *state, TupleTableSlot *slot)
{
	const ComputeArgs *args = &state->args;
	RfmTable *table = state->table;
	int customer = args->attnos[FIELD_CUSTOMER] - 1;
	int at = args->attnos[FIELD_AT] - 1;
	int money = args->attnos[FIELD_AMOUNT] - 1;
	RfmRow row = {.purchases = 1};
	RfmAmount amount = {0};
	bool nobody;

	slot_getsomeattrs(slot, args->last);
	if (slot->tts_isnull[at])
	{
		table->undated++;
		return;
	}
	row.at = args->types[FIELD_AT] == TIMESTAMPTZOID
				 ? DatumGetTimestampTz(slot->tts_values[at])
				 : time_convert(state, slot->tts_values[at]);
	nobody = slot->tts_isnull[customer];
	if (!nobody)
		row.customer = integer_get(slot->tts_values[customer],
								   args->types[FIELD_CUSTOMER]);
	if (row.at > args->until && !TIMESTAMP_IS_NOEND(row.at))
		return;
	if (unlikely(TIMESTAMP_NOT_FINITE(row.at)))
		rfm_error_not_finite(nobody ? NULL : &row.customer, "time");
	if (unlikely(args->more))
		compute_read_more(args, slot, &row);
	if (!slot->tts_isnull[money])
		amount = args->types[FIELD_AMOUNT] == NUMERICOID
					 ? rfm_amount_numeric(slot->tts_values[money],
										  nobody ? NULL : &row.customer)
					 : amount_convert(slot->tts_values[money],
									  args->types[FIELD_AMOUNT],
									  nobody ? NULL : &row.customer);
	row.amount = amount.scaled;
	if (unlikely(nobody || amount.wide != NULL))
		rfm_table_add_odd(table, &row, amount.wide, nobody);
	else
		rfm_table_add(table, &row);
}

/* Sink: adds the purchase of a row. */
static void
compute_receive(void *sink_state, TupleTableSlot *slot)
{
	ComputeState *state = sink_state;
	MemoryContext caller = MemoryContextSwitchTo(state->row);

	compute_add(state, slot);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(state->row);
}

/* Sink: a worker's table goes to shared memory. */
static dsa_pointer
compute_publish(void *state, dsa_area *area)
{
	return rfm_table_publish(((ComputeState *) state)->table, area);
}

/* Sink: the leader takes a worker's table. */
static void
compute_merge(void *state, dsa_area *area, dsa_pointer published)
{
	rfm_table_adopt(((ComputeState *) state)->table, area, published);
}

static const CoreSink compute_sink = {
	.name = "rfm",
	.begin = compute_begin,
	.receive = compute_receive,
	.publish = compute_publish,
	.merge = compute_merge,
};

/* Opens rfm_compute(): runs the source and scores its customers. */
static CoreRows *
compute_open(TupleDesc desc, const NullableDatum *params)
{
	ComputeArgs args = {0};
	RfmScheme *scheme = rfm_scheme_load(&params[1]);
	CoreSource *source = core_source_open(
		params[0].isnull ? NULL : TextDatumGetCString(params[0].value));
	bool changed_only = !params[6].isnull && DatumGetBool(params[6].value);
	ComputeState *state;
	CoreRows *rows;

	strlcpy(args.zone, pg_get_timezone_name(scheme->zone), sizeof(args.zone));
	args.salt = core_salt();
	args.since = scheme->since;
	args.until = scheme->until;
	args_bind(&args, source,
			  params[5].isnull ? NULL : DatumGetArrayTypeP(params[5].value),
			  TupleDescAttr(desc, RFM_COLUMN_SCORE)->atttypid, changed_only);
	args.customers = core_source_distinct(source, args.attnos[FIELD_CUSTOMER]);
	state = core_source_run(source, &compute_sink, &args, sizeof(args));
	rows = rfm_result(state->table, scheme, changed_only);
	rows->workers = source->workers;
	return rows;
}

PG_FUNCTION_INFO_V1(rfm_compute);

static const CoreStream compute_stream = {
	.name = "rfm_compute",
	.function = rfm_compute,
	.open = compute_open,
};

/*
 * SQL: rfm_compute(source text, scheme text, as_of timestamptz, period
 * interval, currency text, columns text[], changed_only boolean)
 */
Datum
rfm_compute(PG_FUNCTION_ARGS)
{
	return core_stream_call(fcinfo, &compute_stream);
}

/* Makes rfm_compute() known to the nodes that run it. */
void
rfm_compute_init(void)
{
	core_sink_register(&compute_sink);
	core_stream_register(&compute_stream);
}
