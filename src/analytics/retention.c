/* retention_state: in which periods customers were active, and who stayed. */
#include "postgres.h"

#include "analytics/track.h"
#include "core/stream.h"
#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* A period is the time of a track, and its step whether it may start one. */
static const TrackType retention_type = {
	.name = "retention_state",
	.reader = "retention_rows",
	.at_min = PG_INT32_MIN,
	.at_max = PG_INT32_MAX,
	.step_max = 1,
};

/* Most periods that cohorts are followed for. */
#define RETENTION_PERIODS 1000

/* What is asked of a track. */
typedef struct RetentionTerms
{
	int periods;
	bool or_after;
	int64 until; /* the last period that counts */
} RetentionTerms;

/*
 * The rows of all cohorts, of which one is counted at a time: rows are asked
 * for in their order.
 */
typedef struct RetentionRows
{
	CoreRows rows;
	RetentionTerms terms;
	const TrackStore *store;
	TrackEvent *cohorts; /* a cohort, and where a customer of it starts */
	uint64 n;            /* customers in cohorts */
	uint64 next;         /* the first of them that is not counted yet */
	uint64 begin;        /* rows of the cohort that is counted */
	uint64 end;
	int64 cohort;
	int64 customers;
	int64 *counts; /* by period */
} RetentionRows;

PG_FUNCTION_INFO_V1(retention_agg_transition);

/*
 * SQL: retention_agg_transition(state retention_state, customer_id bigint,
 * period integer [, starts boolean])
 */
Datum
retention_agg_transition(PG_FUNCTION_ARGS)
{
	TrackStore *store;
	Datum result;
	bool starts = PG_NARGS() < 4 || (!PG_ARGISNULL(3) && PG_GETARG_BOOL(3));

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	store = track_writable(fcinfo, &retention_type, &result);
	track_add(store, PG_GETARG_INT64(1),
			  TRACK_MARK((int64) PG_GETARG_INT32(2), starts));
	PG_RETURN_DATUM(result);
}

PG_FUNCTION_INFO_V1(retention_state_merge);

/* SQL: retention_state_merge(a retention_state, b retention_state) */
Datum
retention_state_merge(PG_FUNCTION_ARGS)
{
	return track_merge(fcinfo, &retention_type);
}

PG_FUNCTION_INFO_V1(retention_state_in);

/* SQL: input of type retention_state */
Datum
retention_state_in(PG_FUNCTION_ARGS)
{
	return track_in(fcinfo, &retention_type);
}

PG_FUNCTION_INFO_V1(retention_state_out);

/* SQL: output of type retention_state */
Datum
retention_state_out(PG_FUNCTION_ARGS)
{
	return track_out(fcinfo, &retention_type);
}

PG_FUNCTION_INFO_V1(retention_state_recv);

/* SQL: binary input of type retention_state */
Datum
retention_state_recv(PG_FUNCTION_ARGS)
{
	return track_recv(fcinfo, &retention_type);
}

PG_FUNCTION_INFO_V1(retention_state_send);

/* SQL: binary output of type retention_state */
Datum
retention_state_send(PG_FUNCTION_ARGS)
{
	PG_RETURN_BYTEA_P(PG_GETARG_BYTEA_P_COPY(0));
}

PG_FUNCTION_INFO_V1(retention_state_eq);

/* SQL: retention_state = retention_state */
Datum
retention_state_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(track_equal(fcinfo));
}

PG_FUNCTION_INFO_V1(retention_state_ne);

/* SQL: retention_state <> retention_state */
Datum
retention_state_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!track_equal(fcinfo));
}

/* Reads the number of periods. */
static int
terms_periods(const NullableDatum *arg)
{
	int periods = arg->isnull ? 0 : DatumGetInt32(arg->value);

	if (periods < 1 || periods > RETENTION_PERIODS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot follow a cohort for %s periods",
						arg->isnull ? "NULL" : psprintf("%d", periods)),
				 errhint("Give a number from 1 to %d.", RETENTION_PERIODS)));
	return periods;
}

/* Reads a mode: does a later period count for the ones before it? */
static bool
terms_or_after(const NullableDatum *arg)
{
	char *name = arg->isnull ? NULL : TextDatumGetCString(arg->value);

	if (name != NULL && strcmp(name, "on_or_after") == 0)
		return true;
	if (name == NULL || strcmp(name, "on") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid mode \"%s\" of retention",
							   name == NULL ? "NULL" : name),
						errhint("Give on or on_or_after.")));
	return false;
}

/* Reads the last period: as said, or the last of the track. */
static int64
terms_until(const NullableDatum *arg, const TrackStore *store)
{
	int64 until = PG_INT32_MIN;

	if (!arg->isnull)
		return DatumGetInt32(arg->value);
	for (uint64 i = 0; i < store->n; i++)
		until = Max(until, TRACK_AT(store->events[i].mark));
	return until;
}

/*
 * Lists each customer's cohort, as the customer of an event whose mark is
 * where the customer is found. Returns how many there are.
 */
static uint64
cohorts_list(const TrackStore *store, int64 until, TrackEvent *cohorts)
{
	TrackSpan span = {0};
	uint64 n = 0;

	while (track_next(store, &span))
	{
		uint64 i = 0;

		while (i < span.n && TRACK_STEP(span.events[i].mark) == 0)
			i++;
		if (i < span.n && TRACK_AT(span.events[i].mark) <= until)
			cohorts[n++] =
				(TrackEvent){.customer = TRACK_AT(span.events[i].mark),
							 .mark = &span.events[i] - store->events};
	}
	return n;
}

/* Returns how many customers a settled store has. */
static uint64
cohorts_most(const TrackStore *store)
{
	TrackSpan span = {0};
	uint64 n = 0;

	while (track_next(store, &span))
		n++;
	return n;
}

/* Counts the periods of a customer, from the one that starts on. */
static void
count_customer(RetentionRows *rows, const TrackStore *store, uint64 start)
{
	const RetentionTerms *terms = &rows->terms;
	int64 customer = store->events[start].customer;
	int64 cohort = TRACK_AT(store->events[start].mark);
	int64 last = -1;

	for (uint64 i = start; i < store->n; i++)
	{
		int64 at = TRACK_AT(store->events[i].mark);

		if (store->events[i].customer != customer || at > terms->until)
			break;
		if (at - cohort == last)
			continue;
		last = at - cohort;
		if (!terms->or_after && last < terms->periods)
			rows->counts[last]++;
	}
	/* Who comes back later was there until then. */
	if (terms->or_after)
		rows->counts[Min(last, terms->periods - 1)]++;
}

/* Returns in how many periods a cohort is looked at. */
static inline uint64
cohort_periods(const RetentionTerms *terms, int64 cohort)
{
	return Min(terms->periods, terms->until - cohort + 1);
}

/* Counts the next cohort. */
static void
count_cohort(RetentionRows *rows)
{
	const RetentionTerms *terms = &rows->terms;
	uint64 first = rows->next;

	rows->cohort = rows->cohorts[first].customer;
	memset(rows->counts, 0, terms->periods * sizeof(int64));
	for (; rows->next < rows->n &&
		   rows->cohorts[rows->next].customer == rows->cohort;
		 rows->next++)
	{
		CHECK_FOR_INTERRUPTS();
		count_customer(rows, rows->store, rows->cohorts[rows->next].mark);
	}
	if (terms->or_after)
		for (int period = terms->periods - 1; period > 0; period--)
			rows->counts[period - 1] += rows->counts[period];
	rows->customers = rows->next - first;
	rows->begin = rows->end;
	rows->end += cohort_periods(terms, rows->cohort);
}

/* Finds all cohorts, in order, and how many rows they have. */
static void
rows_begin(RetentionRows *rows, const TrackStore *store)
{
	rows->store = store;
	rows->cohorts = MemoryContextAllocHuge(
		CurrentMemoryContext,
		mul_size(cohorts_most(store), sizeof(TrackEvent)));
	rows->n = cohorts_list(store, rows->terms.until, rows->cohorts);
	rows->counts = palloc(rows->terms.periods * sizeof(int64));
	track_sort(rows->cohorts, rows->n);
	for (uint64 i = 0; i < rows->n; i++)
		if (i == 0 ||
			rows->cohorts[i].customer != rows->cohorts[i - 1].customer)
			rows->rows.n +=
				cohort_periods(&rows->terms, rows->cohorts[i].customer);
}

/* Fills in a cohort in one of its periods. */
static void
rows_get(const CoreRows *base, uint64 i, const bool *wanted, Datum *values,
		 bool *nulls)
{
	RetentionRows *rows = (RetentionRows *) base;
	int64 retained;

	if (i == rows->end)
		count_cohort(rows);
	Assert(i >= rows->begin && i < rows->end);
	retained = rows->counts[i - rows->begin];
	memset(nulls, false, 5 * sizeof(bool));
	values[0] = Int32GetDatum(rows->cohort);
	values[1] = Int32GetDatum(i - rows->begin);
	values[2] = Int64GetDatum(rows->customers);
	values[3] = Int64GetDatum(retained);
	values[4] = NumericGetDatum(track_rate(retained, rows->customers));
}

PG_FUNCTION_INFO_V1(retention_rows);

/*
 * SQL: retention_rows(state retention_state, periods integer, mode text,
 * until integer)
 */
Datum
retention_rows(PG_FUNCTION_ARGS)
{
	RetentionRows *rows = palloc0(sizeof(RetentionRows));

	rows->rows.get = rows_get;
	rows->terms.periods = terms_periods(&fcinfo->args[1]);
	rows->terms.or_after = terms_or_after(&fcinfo->args[2]);
	if (!PG_ARGISNULL(0))
	{
		TrackStore *store = track_read(PG_GETARG_DATUM(0), &retention_type);

		rows->terms.until = terms_until(&fcinfo->args[3], store);
		rows_begin(rows, store);
	}
	return core_rows_return(fcinfo, &rows->rows);
}
