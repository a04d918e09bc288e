/*
 * Scores: what a scheme makes of the recency, frequency and monetary value
 * of all customers of a table.
 *
 * Each dimension becomes a 64-bit integer a customer, larger is better, and
 * each scheme becomes cuts: the score is 1 plus the number of cuts that the
 * customer reaches.
 */
#include "postgres.h"

#include "core/core.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "rfm/score.h"
#include "utils/builtins.h"

/* Reached by (value, customer) at or after it. */
typedef struct ScoreCut
{
	int64 value;
	int64 customer;
} ScoreCut;

/* The cuts of one dimension; those that nobody can reach are left out. */
typedef struct ScoreCuts
{
	int n;
	ScoreCut cuts[RFM_SCORE_MAX];
} ScoreCuts;

/* The amount of a customer, where some amounts are no 64-bit integers. */
typedef struct ScoreAmount
{
	Numeric amount;
	uint64 i;
} ScoreAmount;

/* Appends a cut that every customer with this value reaches. */
static void
cuts_append(ScoreCuts *cuts, int64 value)
{
	cuts->cuts[cuts->n++] =
		(ScoreCut){.value = value, .customer = PG_INT64_MIN};
}

/* Returns the score of a customer in one dimension. */
static inline int
cuts_score(const ScoreCuts *cuts, int64 value, int64 customer)
{
	int score = 1;

	for (int i = 0; i < cuts->n; i++)
		/* Without branches, which nobody could predict. */
		score += (value > cuts->cuts[i].value) |
				 ((value == cuts->cuts[i].value) &
				  (customer >= cuts->cuts[i].customer));
	return score;
}

/* Compares two numerics. */
static inline int
amount_compare(Numeric a, Numeric b)
{
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(a),
											 NumericGetDatum(b)));
}

/* Compares two amounts for qsort(). */
static int
amount_compare_entries(const void *a, const void *b)
{
	CHECK_FOR_INTERRUPTS();
	return amount_compare(((const ScoreAmount *) a)->amount,
						  ((const ScoreAmount *) b)->amount);
}

/*
 * Where each bucket of NTILE begins but the first: of n rows in some
 * buckets, the first n % levels buckets have one row more than the others.
 * Returns how many begin before the end.
 */
static int
ntile_starts(uint64 n, int levels, uint64 *starts)
{
	uint64 start = 0;
	int nstarts = 0;

	for (int bucket = 0; bucket < levels - 1; bucket++)
	{
		start += n / levels + (bucket < n % levels ? 1 : 0);
		if (start < n)
			starts[nstarts++] = start;
	}
	return nstarts;
}

/* Moves a cut of NTILE to the customer that stands at its position. */
static void
cut_at_customer(ScoreCut *cut, const int64 *values, const RfmEntry *entries,
				uint64 n, uint64 position)
{
	int64 *customers = palloc_extended(n * sizeof(int64), MCXT_ALLOC_HUGE);
	uint64 ties = 0;

	for (uint64 i = 0; i < n; i++)
	{
		if (values[i] < cut->value)
			position--;
		else if (values[i] == cut->value)
			customers[ties++] = entries[i].customer;
	}
	rfm_select(customers, ties, &position, 1, &cut->customer);
	pfree(customers);
}

/* Finds the cuts of a dimension between equal shares of the customers. */
static void
cuts_by_rank(ScoreCuts *cuts, const RfmScheme *scheme, const int64 *values,
			 const RfmEntry *entries, uint64 n)
{
	uint64 starts[RFM_SCORE_MAX];
	int64 found[RFM_SCORE_MAX];
	int nstarts = ntile_starts(n, scheme->levels, starts);
	bool low = scheme->kind != RFM_NTILE && !scheme->ties_high;

	if (nstarts == 0)
		return;
	/* Low: equal values stay with the last customer of the bucket below. */
	for (int i = 0; low && i < nstarts; i++)
		starts[i]--;
	rfm_select(values, n, starts, nstarts, found);
	for (int i = 0; i < nstarts; i++)
	{
		if (low && found[i] == PG_INT64_MAX)
			continue;
		cuts_append(cuts, low ? found[i] + 1 : found[i]);
		if (scheme->kind == RFM_NTILE)
			cut_at_customer(&cuts->cuts[cuts->n - 1], values, entries, n,
							starts[i]);
	}
}

/* Returns the smallest integer that is at least bound * 10^scale. */
static bool
bound_ceil(Numeric bound, int scale, int64 *result)
{
	Datum scaled = DirectFunctionCall2(
		numeric_mul, NumericGetDatum(bound),
		NumericGetDatum(int64_to_numeric(scale == 0 ? 1 : 10000)));
	Datum whole = DirectFunctionCall1(numeric_ceil, scaled);

	return core_numeric_scaled(DatumGetNumeric(whole), 0, result);
}

/* Turns lower bounds of scores into cuts of integers. */
static void
cuts_by_bounds(ScoreCuts *cuts, const Numeric *bounds, int nbounds, int scale)
{
	for (int i = 0; i < nbounds; i++)
	{
		int64 value;

		if (bound_ceil(bounds[i], scale, &value))
			cuts_append(cuts, value);
		else if (amount_compare(bounds[i], int64_to_numeric(0)) < 0)
			cuts_append(cuts, PG_INT64_MIN);
	}
}

/* Scores recency: fewer days are better. */
static ScoreCuts
score_recency(const RfmScheme *scheme, const RfmScored *scored, uint64 n,
			  int64 *values)
{
	ScoreCuts cuts = {0};

	for (uint64 i = 0; i < n; i++)
		values[i] = -(int64) scored->days[i];
	if (scheme->recency_bounds == NULL)
		cuts_by_rank(&cuts, scheme, values, scored->entries, n);
	else
		for (int i = 0; i < scheme->levels - 1; i++)
			cuts_append(&cuts, 1 - (int64) scheme->recency_bounds[i]);
	return cuts;
}

/* Scores frequency. */
static ScoreCuts
score_frequency(const RfmScheme *scheme, const RfmScored *scored, uint64 n,
				int64 *values)
{
	ScoreCuts cuts = {0};

	for (uint64 i = 0; i < n; i++)
		values[i] = scored->entries[i].purchases;
	if (scheme->frequency_bounds == NULL)
		cuts_by_rank(&cuts, scheme, values, scored->entries, n);
	else
		cuts_by_bounds(&cuts, scheme->frequency_bounds, scheme->levels - 1, 0);
	return cuts;
}

/*
 * Replaces amounts, where some are no 64-bit integers, by their dense ranks
 * and bounds by the ranks of the first amounts that reach them.
 */
static ScoreCuts
score_wide_monetary(const RfmScheme *scheme, const RfmScored *scored, uint64 n,
					int64 *values)
{
	ScoreAmount *amounts =
		palloc_extended(n * sizeof(ScoreAmount), MCXT_ALLOC_HUGE);
	ScoreCuts cuts = {0};
	int64 rank = -1;
	int nbounds = scheme->monetary_bounds == NULL ? 0 : scheme->levels - 1;
	int next = 0;

	for (uint64 i = 0; i < n; i++)
		amounts[i] = (ScoreAmount){
			.amount = rfm_table_amount(scored->table, &scored->entries[i]),
			.i = i};
	qsort(amounts, n, sizeof(ScoreAmount), amount_compare_entries);
	for (uint64 i = 0; i < n; i++)
	{
		if (i == 0 ||
			amount_compare(amounts[i].amount, amounts[i - 1].amount) != 0)
			rank++;
		values[amounts[i].i] = rank;
		for (; next < nbounds &&
			   amount_compare(amounts[i].amount,
							  scheme->monetary_bounds[next]) >= 0;
			 next++)
			cuts_append(&cuts, rank);
	}
	if (scheme->monetary_bounds == NULL)
		cuts_by_rank(&cuts, scheme, values, scored->entries, n);
	return cuts;
}

/* Scores monetary value. */
static ScoreCuts
score_monetary(const RfmScheme *scheme, const RfmScored *scored, uint64 n,
			   int64 *values)
{
	ScoreCuts cuts = {0};

	for (uint64 i = 0; i < n; i++)
	{
		if (scored->entries[i].flags & RFM_WIDE)
			return score_wide_monetary(scheme, scored, n, values);
		values[i] = scored->entries[i].sum;
	}
	if (scheme->monetary_bounds == NULL)
		cuts_by_rank(&cuts, scheme, values, scored->entries, n);
	else
		cuts_by_bounds(&cuts, scheme->monetary_bounds, scheme->levels - 1,
					   CORE_MONEY_SCALE);
	return cuts;
}

/*
 * Moves the customers that the scheme does not score behind the others and
 * returns how many there are to score.
 */
static uint64
score_partition(RfmEntry *entries, uint64 n, bool lapsed)
{
	uint64 end = n;

	if (lapsed)
		return n;
	for (uint64 i = 0; i < end;)
	{
		RfmEntry entry = entries[i];

		if (entry.purchases > 0)
		{
			i++;
			continue;
		}
		entries[i] = entries[--end];
		entries[end] = entry;
	}
	return end;
}

/* Raises the error of more purchases taken back than there were. */
static void
score_error_negative(const RfmEntry *entry, bool nobody)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
		 errmsg("frequency of a customer is negative"),
		 nobody ? errdetail("Without customer there are %d.", entry->purchases)
				: errdetail("Customer " INT64_FORMAT " has %d.",
							entry->customer, entry->purchases),
		 errhint("A row that takes a purchase back needs the time of that "
				 "purchase.")));
}

/* Raises an error when more purchases were taken back than there were. */
static void
score_check(const RfmTable *table, const RfmEntry *entries)
{
	for (uint64 i = 0; i < table->used; i++)
		if (entries[i].purchases < 0)
			score_error_negative(&entries[i], false);
	if (table->nobody.purchases < 0)
		score_error_negative(&table->nobody, true);
}

/* Adds the scores of one dimension to the cells: worth 100, 10 or 1. */
static void
score_add(RfmScored *scored, uint64 n, const ScoreCuts *cuts,
		  const int64 *values, int worth)
{
	for (uint64 i = 0; i < n; i++)
		scored->cells[i] +=
			worth * cuts_score(cuts, values[i], scored->entries[i].customer);
}

/* Closes a table and scores its customers by a scheme. */
RfmScored *
rfm_score(RfmTable *table, const RfmScheme *scheme)
{
	RfmScored *scored = palloc0(sizeof(RfmScored));
	RfmEntry *entries = rfm_table_entries(table);
	uint64 n;
	int64 *values;
	ScoreCuts cuts;

	score_check(table, entries);
	n = score_partition(entries, table->used, scheme->lapsed);
	scored->table = table;
	scored->entries = entries;
	scored->n = table->used;
	scored->days = rfm_days(scheme, entries, table->used);
	scored->cells = palloc_extended(scored->n * sizeof(Rfm),
									MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	values = palloc_extended(n * sizeof(int64), MCXT_ALLOC_HUGE);
	cuts = score_recency(scheme, scored, n, values);
	score_add(scored, n, &cuts, values, 100);
	cuts = score_frequency(scheme, scored, n, values);
	score_add(scored, n, &cuts, values, 10);
	cuts = score_monetary(scheme, scored, n, values);
	score_add(scored, n, &cuts, values, 1);
	pfree(values);
	return scored;
}
