/* funnel_state: what customers did when, and the funnels that it answers. */
#include "postgres.h"

#include "analytics/funnel.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "core/stream.h"
#include "datatype/timestamp.h"
#include "rfm/score.h"
#include "storage/shmem.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

static const TrackType funnel_type = {
	.name = "funnel_state",
	.reader = "funnel_rows",
	.at_min = TRACK_AT_MIN,
	.at_max = TRACK_AT_MAX,
	.step_max = FUNNEL_STEPS,
};

/* Microseconds from one step to the next, of those who made it. */
typedef struct FunnelGaps
{
	int64 *values;
	uint64 n;
	uint64 size;
} FunnelGaps;

typedef struct FunnelRows
{
	CoreRows rows;
	const Datum *names; /* texts, or NULL */
	const bool *unnamed;
	int64 customers[FUNNEL_STEPS];
	FunnelGaps gaps[FUNNEL_STEPS];
} FunnelRows;

/* How far one customer got. */
typedef struct FunnelCustomer
{
	int64 customer;
	int64 started;
	int64 reached;
	int level;
} FunnelCustomer;

typedef struct FunnelCustomers
{
	CoreRows rows;
	FunnelCustomer *customers;
	uint64 size;
} FunnelCustomers;

/* Returns the event of a row as a mark. */
static int64
event_mark(int64 customer, TimestampTz at, int32 step)
{
	if (at < TRACK_AT_MIN || at > TRACK_AT_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("time \"%s\" of an event is out of range",
						timestamptz_to_str(at)),
				 errdetail("It is of customer " INT64_FORMAT ".", customer),
				 errhint("Give times between the years 2000 BC and "
						 "6000.")));
	if (step < 0 || step > FUNNEL_STEPS)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("step \"%d\" of a funnel is out of range", step),
				 errhint("Steps are 1 to %d, 0 is an event of no step.",
						 FUNNEL_STEPS)));
	return TRACK_MARK(at, step);
}

PG_FUNCTION_INFO_V1(funnel_agg_transition);

/*
 * SQL: funnel_agg_transition(state funnel_state, customer_id bigint, at
 * timestamptz, step integer)
 */
Datum
funnel_agg_transition(PG_FUNCTION_ARGS)
{
	TrackStore *store;
	Datum result;
	int64 mark;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	mark = event_mark(PG_GETARG_INT64(1), PG_GETARG_TIMESTAMPTZ(2),
					  PG_ARGISNULL(3) ? 0 : PG_GETARG_INT32(3));
	store = track_writable(fcinfo, &funnel_type, &result);
	track_add(store, PG_GETARG_INT64(1), mark);
	PG_RETURN_DATUM(result);
}

PG_FUNCTION_INFO_V1(funnel_state_merge);

/* SQL: funnel_state_merge(a funnel_state, b funnel_state) */
Datum
funnel_state_merge(PG_FUNCTION_ARGS)
{
	return track_merge(fcinfo, &funnel_type);
}

PG_FUNCTION_INFO_V1(funnel_state_in);

/* SQL: input of type funnel_state */
Datum
funnel_state_in(PG_FUNCTION_ARGS)
{
	return track_in(fcinfo, &funnel_type);
}

PG_FUNCTION_INFO_V1(funnel_state_out);

/* SQL: output of type funnel_state */
Datum
funnel_state_out(PG_FUNCTION_ARGS)
{
	return track_out(fcinfo, &funnel_type);
}

PG_FUNCTION_INFO_V1(funnel_state_recv);

/* SQL: binary input of type funnel_state */
Datum
funnel_state_recv(PG_FUNCTION_ARGS)
{
	return track_recv(fcinfo, &funnel_type);
}

PG_FUNCTION_INFO_V1(funnel_state_send);

/* SQL: binary output of type funnel_state */
Datum
funnel_state_send(PG_FUNCTION_ARGS)
{
	PG_RETURN_BYTEA_P(PG_GETARG_BYTEA_P_COPY(0));
}

PG_FUNCTION_INFO_V1(funnel_state_eq);

/* SQL: funnel_state = funnel_state */
Datum
funnel_state_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(track_equal(fcinfo));
}

PG_FUNCTION_INFO_V1(funnel_state_ne);

/* SQL: funnel_state <> funnel_state */
Datum
funnel_state_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!track_equal(fcinfo));
}

/* Returns the store of a state, an empty one for NULL. */
static TrackStore *
state_read(const NullableDatum *arg)
{
	if (arg->isnull)
		return palloc0(sizeof(TrackStore));
	return track_read(arg->value, &funnel_type);
}

/* Reads a window, in which a day has 24 hours. */
static int64
terms_window(const NullableDatum *arg)
{
	const Interval *window =
		arg->isnull ? NULL : DatumGetIntervalP(arg->value);
	int64 days;

	if (window != NULL && window->month == 0 &&
		!pg_mul_s64_overflow(window->day, USECS_PER_DAY, &days) &&
		!pg_add_s64_overflow(days, window->time, &days) && days >= 0)
		/* No two times are further apart, and sums of both are safe. */
		return Min(days, TRACK_AT_MAX - TRACK_AT_MIN);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid window \"%s\" of a funnel",
					window == NULL ? "NULL"
								   : DatumGetCString(DirectFunctionCall1(
										 interval_out, arg->value))),
			 errhint("Give an interval of days, hours or less that is not "
					 "negative, such as 30 days.")));
}

/* Reads a mode. */
static FunnelMode
terms_mode(const NullableDatum *arg)
{
	static const char *const names[] = {"ordered", "strict", "unordered"};
	char *name = arg->isnull ? NULL : TextDatumGetCString(arg->value);

	for (int mode = 0; name != NULL && mode < lengthof(names); mode++)
		if (strcmp(name, names[mode]) == 0)
			return (FunnelMode) mode;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("invalid mode \"%s\" of a funnel",
						   name == NULL ? "NULL" : name),
					errhint("Give ordered, strict or unordered.")));
}

/* Returns the highest step of a track. */
static int
terms_highest(const TrackStore *store)
{
	int highest = 0;

	for (uint64 i = 0; i < store->n; i++)
		highest = Max(highest, TRACK_STEP(store->events[i].mark));
	return highest;
}

/* Raises the error of a number of steps that no funnel has. */
static void
terms_fail_steps(int steps, int names)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("a funnel cannot have \"%d\" steps", steps),
			 names >= 0 ? errdetail("There are names for %d.", names) : 0,
			 errhint("Give 1 to %d steps, and as many names or none.",
					 FUNNEL_STEPS)));
}

/* Reads the number of steps: as said, as named, or as the track has. */
static int
terms_steps(const NullableDatum *arg, int names, const TrackStore *store)
{
	int steps = names;

	if (arg->isnull && names < 0)
		return terms_highest(store);
	if (!arg->isnull)
		steps = DatumGetInt32(arg->value);
	if (steps < 1 || steps > FUNNEL_STEPS || (names >= 0 && names != steps))
		terms_fail_steps(steps, names);
	return steps;
}

/* Reads the names of steps and returns how many there are, -1 for NULL. */
static int
terms_names(const NullableDatum *arg, FunnelRows *rows)
{
	ArrayType *array;
	Datum *names;
	bool *unnamed;
	int n;

	if (arg->isnull)
		return -1;
	array = DatumGetArrayTypeP(arg->value);
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("names of steps must have one dimension, not %d",
						ARR_NDIM(array))));
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &names,
					  &unnamed, &n);
	rows->names = names;
	rows->unnamed = unnamed;
	return n;
}

/* Adds the time that a customer took for a step. */
static inline void
gaps_add(FunnelGaps *gaps, int64 gap)
{
	if (gaps->n == gaps->size)
	{
		gaps->size = Max(64, gaps->size * 2);
		gaps->values =
			gaps->values == NULL
				? palloc(gaps->size * sizeof(int64))
				: repalloc_huge(gaps->values,
								mul_size(gaps->size, sizeof(int64)));
	}
	gaps->values[gaps->n++] = gap;
}

/* Returns the median of times, half a microsecond rounded down. */
static int64
gaps_median(const FunnelGaps *gaps)
{
	uint64 positions[2] = {(gaps->n - 1) / 2, gaps->n / 2};
	int64 values[2];

	rfm_select(gaps->values, gaps->n, positions, lengthof(positions), values);
	return values[0] + (values[1] - values[0]) / 2;
}

/* Returns the mean of times, rounded down to the microsecond. */
static int64
gaps_mean(const FunnelGaps *gaps)
{
	int128 sum = 0;

	for (uint64 i = 0; i < gaps->n; i++)
		sum += gaps->values[i];
	return (int64) (sum / (int128) gaps->n);
}

/* Returns microseconds as an interval of days of 24 hours. */
static Datum
gap_interval(int64 gap)
{
	Interval *interval = palloc0(sizeof(Interval));

	interval->day = gap / USECS_PER_DAY;
	interval->time = gap % USECS_PER_DAY;
	return IntervalPGetDatum(interval);
}

/* Fills in a step of the funnel. */
static void
rows_get(const CoreRows *base, uint64 i, const bool *wanted, Datum *values,
		 bool *nulls)
{
	const FunnelRows *rows = (const FunnelRows *) base;
	const FunnelGaps *gaps = &rows->gaps[i];
	int64 before = i == 0 ? 0 : rows->customers[i - 1];

	memset(nulls, false, 7 * sizeof(bool));
	values[0] = Int32GetDatum(i + 1);
	nulls[1] = rows->names == NULL || rows->unnamed[i];
	if (!nulls[1])
		values[1] = rows->names[i];
	values[2] = Int64GetDatum(rows->customers[i]);
	nulls[3] = before == 0;
	if (!nulls[3])
		values[3] = NumericGetDatum(track_rate(rows->customers[i], before));
	nulls[4] = rows->customers[0] == 0;
	if (!nulls[4])
		values[4] = NumericGetDatum(
			track_rate(rows->customers[i], rows->customers[0]));
	nulls[5] = nulls[6] = gaps->n == 0;
	if (gaps->n == 0)
		return;
	values[5] = gap_interval(gaps_median(gaps));
	values[6] = gap_interval(gaps_mean(gaps));
}

/* Counts how far the customers of a track get. */
static void
rows_count(FunnelRows *rows, FunnelRun *run, const TrackStore *store)
{
	TrackSpan span = {0};

	while (track_next(store, &span))
	{
		const FunnelAttempt *best = &run->best;

		funnel_attempt(run, &span);
		for (int step = 0; step < best->level; step++)
		{
			rows->customers[step]++;
			if (step > 0)
				gaps_add(&rows->gaps[step],
						 best->at[step] - best->at[step - 1]);
		}
	}
}

PG_FUNCTION_INFO_V1(funnel_rows);

/*
 * SQL: funnel_rows(state funnel_state, steps integer, names text[], "window"
 * interval, mode text)
 */
Datum
funnel_rows(PG_FUNCTION_ARGS)
{
	FunnelRows *rows = palloc0(sizeof(FunnelRows));
	FunnelRun *run = palloc0(sizeof(FunnelRun));
	int names = terms_names(&fcinfo->args[2], rows);
	TrackStore *store;

	rows->rows.get = rows_get;
	run->terms.window = terms_window(&fcinfo->args[3]);
	run->terms.mode = terms_mode(&fcinfo->args[4]);
	store = state_read(&fcinfo->args[0]);
	run->terms.steps = terms_steps(&fcinfo->args[1], names, store);
	rows->rows.n = run->terms.steps;
	rows_count(rows, run, store);
	return core_rows_return(fcinfo, &rows->rows);
}

/* Fills in how far a customer got. */
static void
customers_get(const CoreRows *base, uint64 i, const bool *wanted,
			  Datum *values, bool *nulls)
{
	const FunnelCustomer *row =
		&((const FunnelCustomers *) base)->customers[i];

	memset(nulls, false, 4 * sizeof(bool));
	values[0] = Int64GetDatum(row->customer);
	values[1] = Int32GetDatum(row->level);
	values[2] = TimestampTzGetDatum(row->started);
	values[3] = TimestampTzGetDatum(row->reached);
}

/* Adds a customer, with the times of the best attempt. */
static void
customers_add(FunnelCustomers *rows, int64 customer, const FunnelAttempt *best)
{
	if (rows->rows.n == rows->size)
	{
		rows->size = Max(64, rows->size * 2);
		rows->customers =
			rows->customers == NULL
				? palloc(rows->size * sizeof(FunnelCustomer))
				: repalloc_huge(rows->customers,
								mul_size(rows->size, sizeof(FunnelCustomer)));
	}
	rows->customers[rows->rows.n++] =
		(FunnelCustomer){.customer = customer,
						 .started = best->at[0],
						 .reached = best->at[best->level - 1],
						 .level = best->level};
}

PG_FUNCTION_INFO_V1(funnel_customers);

/*
 * SQL: funnel_customers(state funnel_state, steps integer, "window"
 * interval, mode text)
 */
Datum
funnel_customers(PG_FUNCTION_ARGS)
{
	FunnelCustomers *rows = palloc0(sizeof(FunnelCustomers));
	FunnelRun *run = palloc0(sizeof(FunnelRun));
	TrackSpan span = {0};
	TrackStore *store;

	rows->rows.get = customers_get;
	run->terms.window = terms_window(&fcinfo->args[2]);
	run->terms.mode = terms_mode(&fcinfo->args[3]);
	store = state_read(&fcinfo->args[0]);
	run->terms.steps = terms_steps(&fcinfo->args[1], -1, store);
	while (track_next(store, &span))
	{
		funnel_attempt(run, &span);
		if (run->best.level > 0)
			customers_add(rows, span.events->customer, &run->best);
	}
	return core_rows_return(fcinfo, &rows->rows);
}
