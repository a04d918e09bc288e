/*
 * Features of one person at one time. The rows of the person are walked
 * from as_of back: their age says in which window they come to lie first,
 * and what is counted for a window counts for all longer ones.
 */
#include "postgres.h"

#include <math.h>

#include "common/int.h"
#include "port/pg_bitutils.h"
#include "profile/feature.h"
#include "utils/memutils.h"

/*
 * Sum of values: exact while they have FEATURE_SCALE decimals and fit 64
 * bits, the rest a float with the digits that its additions lost. As rows
 * come in one order, the result is one whatever the plan.
 */
typedef struct SumValues
{
	int64 n;
	int64 scaled;
	float8 rest;
	float8 lost;
	float8 min;
	float8 max;
} SumValues;

struct FeatureSums
{
	const FeaturePlan *plan;
	MemoryContext context;
	int64 *counts;      /* by series and window */
	int64 *days;        /* by series and window */
	SumValues *values;  /* by series and window */
	int64 *last_day;    /* of a series, -1 before the first */
	TimestampTz *last;  /* by series */
	TimestampTz *first; /* by series */
	int64 *items;       /* of a person, by open addressing */
	bool *items_used;
	uint64 nitems; /* places for them, a power of 2 */
};

/* Makes the sums of a plan, in the current context. */
FeatureSums *
feature_sums_create(const FeaturePlan *plan)
{
	FeatureSums *sums = palloc0(sizeof(FeatureSums));
	Size cells = (Size) plan->nslots * plan->nwindows;

	sums->plan = plan;
	sums->context = CurrentMemoryContext;
	sums->counts = palloc_extended(cells * sizeof(int64), MCXT_ALLOC_HUGE);
	sums->days = palloc_extended(cells * sizeof(int64), MCXT_ALLOC_HUGE);
	sums->values = palloc_extended(cells * sizeof(SumValues), MCXT_ALLOC_HUGE);
	sums->last_day = palloc(plan->nslots * sizeof(int64));
	sums->last = palloc(plan->nslots * sizeof(TimestampTz));
	sums->first = palloc(plan->nslots * sizeof(TimestampTz));
	return sums;
}

/* Notes an item of a person; false when it is there already. */
static bool
items_add(FeatureSums *sums, int64 item)
{
	uint64 at = (uint64) item;

	for (;; at++)
	{
		at &= sums->nitems - 1;
		if (!sums->items_used[at])
			break;
		if (sums->items[at] == item)
			return false;
	}
	sums->items_used[at] = true;
	sums->items[at] = item;
	return true;
}

/* Makes room for so many items, of which there are none. */
static void
items_reset(FeatureSums *sums, uint64 n)
{
	if (sums->nitems < 2 * n)
	{
		sums->nitems = pg_nextpower2_64(2 * n);
		if (sums->items != NULL)
		{
			pfree(sums->items);
			pfree(sums->items_used);
		}
		sums->items = MemoryContextAllocHuge(
			sums->context, mul_size(sums->nitems, sizeof(int64)));
		sums->items_used = MemoryContextAllocHuge(sums->context, sums->nitems);
	}
	memset(sums->items_used, false, sums->nitems);
}

/*
 * Takes the rows of a person, in order of time, before features of theirs
 * are computed: of rows with one item all but the first will not count.
 */
void
feature_sums_begin(FeatureSums *sums, const CoreSpan *rows)
{
	FeatureRow *row = (FeatureRow *) rows->first;
	uint64 n = 0;

	for (uint64 i = 0; i < rows->n; i++)
		n += row[i].kind == FEATURE_VALUE_ITEM;
	if (n == 0)
		return;
	items_reset(sums, n);
	for (uint64 i = 0; i < rows->n; i++)
		if (row[i].kind == FEATURE_VALUE_ITEM &&
			!items_add(sums, row[i].value))
			row[i].slot = -1;
}

/* Begins anew, without rows. */
static void
sums_reset(FeatureSums *sums)
{
	const FeaturePlan *plan = sums->plan;
	int nwindows = plan->nwindows;

	memset(sums->counts, 0, sizeof(int64) * plan->nslots * nwindows);
	for (int slot = 0; slot < plan->nslots; slot++)
	{
		Size cell = (Size) slot * nwindows;

		if (plan->wanted[slot] & FEATURE_WANT_DAYS)
			memset(&sums->days[cell], 0, nwindows * sizeof(int64));
		if (plan->wanted[slot] & FEATURE_WANT_VALUES)
			memset(&sums->values[cell], 0, nwindows * sizeof(SumValues));
		sums->last_day[slot] = -1;
	}
}

/* Adds to the float part, and keeps what the addition loses (Neumaier). */
static inline void
values_add_float(SumValues *to, float8 value)
{
	float8 sum = to->rest + value;

	if (fabs(to->rest) >= fabs(value))
		to->lost += (to->rest - sum) + value;
	else
		to->lost += (value - sum) + to->rest;
	to->rest = sum;
}

/* Adds to the exact part; what no longer fits goes to the float part. */
static inline void
values_add_scaled(SumValues *to, int64 value)
{
	int64 sum;

	if (unlikely(pg_add_s64_overflow(to->scaled, value, &sum)))
	{
		values_add_float(to, to->scaled / FEATURE_UNIT);
		sum = value;
	}
	to->scaled = sum;
}

/* Widens the bounds. */
static inline void
values_bound(SumValues *to, float8 min, float8 max)
{
	to->min = to->n == 0 ? min : Min(to->min, min);
	to->max = to->n == 0 ? max : Max(to->max, max);
}

/* Adds the value of a row. */
static inline void
values_add(SumValues *to, const FeatureRow *row)
{
	float8 value;

	if (row->kind == FEATURE_VALUE_SCALED)
	{
		value = row->value / FEATURE_UNIT;
		values_add_scaled(to, row->value);
	}
	else
	{
		memcpy(&value, &row->value, sizeof(float8));
		values_add_float(to, value);
	}
	values_bound(to, value, value);
	to->n++;
}

/* Adds what a shorter window has. */
static void
values_merge(SumValues *to, const SumValues *from)
{
	if (from->n == 0)
		return;
	values_add_scaled(to, from->scaled);
	values_add_float(to, from->rest);
	to->lost += from->lost;
	values_bound(to, from->min, from->max);
	to->n += from->n;
}

/* Adds a row to its series and those that it is part of. */
static inline void
sums_add(FeatureSums *sums, const FeatureRow *row, int window, int64 day)
{
	const FeaturePlan *plan = sums->plan;

	for (int slot = row->slot; slot >= 0; slot = plan->parents[slot])
	{
		Size cell = (Size) slot * plan->nwindows + window;
		uint8 wanted = plan->wanted[slot];

		sums->counts[cell]++;
		if (sums->last_day[slot] < 0)
			sums->last[slot] = row->head.order;
		if ((wanted & FEATURE_WANT_DAYS) && day != sums->last_day[slot])
			sums->days[cell]++;
		sums->last_day[slot] = day;
		sums->first[slot] = row->head.order;
		if ((wanted & FEATURE_WANT_VALUES) &&
			row->kind != FEATURE_VALUE_NULL && row->kind != FEATURE_VALUE_ITEM)
			values_add(&sums->values[cell], row);
	}
}

/* Adds all rows up to as_of, from the last one back. */
static void
sums_add_rows(FeatureSums *sums, const CoreSpan *rows, TimestampTz as_of)
{
	const FeaturePlan *plan = sums->plan;
	const FeatureRow *first = (const FeatureRow *) rows->first;
	uint64 low = 0;
	uint64 high = rows->n;
	int window = 0;

	while (low < high)
	{
		uint64 middle = low + (high - low) / 2;

		if (first[middle].head.order <= as_of)
			low = middle + 1;
		else
			high = middle;
	}
	while (low > 0)
	{
		const FeatureRow *row = &first[--low];
		/* Two times may be further apart than an int64. */
		uint64 age = (uint64) as_of - (uint64) row->head.order;
		int64 day = (int64) (age / USECS_PER_DAY);

		while (plan->windows[window] != 0 && day >= plan->windows[window])
			if (++window == plan->nwindows)
				return;
		sums_add(sums, row, window, day);
	}
}

/* Adds to each window what the shorter ones have. */
static void
sums_widen(FeatureSums *sums)
{
	const FeaturePlan *plan = sums->plan;

	for (int slot = 0; slot < plan->nslots; slot++)
	{
		Size cell = (Size) slot * plan->nwindows;
		uint8 wanted = plan->wanted[slot];

		if (sums->last_day[slot] < 0)
			continue;
		for (int i = 1; i < plan->nwindows; i++)
		{
			cell++;
			sums->counts[cell] += sums->counts[cell - 1];
			if (wanted & FEATURE_WANT_DAYS)
				sums->days[cell] += sums->days[cell - 1];
			if (wanted & FEATURE_WANT_VALUES)
				values_merge(&sums->values[cell], &sums->values[cell - 1]);
		}
	}
}

/* Returns the days from one time to a later one. */
static float8
days_between(TimestampTz from, TimestampTz to)
{
	return (float8) ((uint64) to - (uint64) from) / USECS_PER_DAY;
}

/* Returns a sum of values. */
static inline float8
values_sum(const SumValues *values)
{
	float8 sum = values->scaled / FEATURE_UNIT;

	if (values->rest == 0 && values->lost == 0)
		return sum;
	return sum + (values->rest + values->lost);
}

/* Returns an aggregate of values. */
static inline float8
values_aggregate(const SumValues *values, FeatureAggregate aggregate,
				 bool *isnull)
{
	*isnull = values->n == 0 && aggregate != FEATURE_SUM;
	switch (aggregate)
	{
		case FEATURE_SUM:
			return values_sum(values);
		case FEATURE_MEAN:
			return values_sum(values) / values->n;
		case FEATURE_MIN:
			return values->min;
		default:
			return values->max;
	}
}

/* Returns the value of a part. */
static inline float8
part_value(const FeatureSums *sums, const FeaturePart *part, TimestampTz as_of,
		   bool *isnull)
{
	Size cell = (Size) part->slot * sums->plan->nwindows + part->window;

	*isnull = false;
	switch (part->aggregate)
	{
		case FEATURE_COUNT:
			return sums->counts[cell];
		case FEATURE_DAYS:
			return sums->days[cell];
		case FEATURE_RECENCY:
			*isnull = sums->last_day[part->slot] < 0;
			return *isnull ? 0 : days_between(sums->last[part->slot], as_of);
		case FEATURE_TENURE:
			*isnull = sums->last_day[part->slot] < 0;
			return *isnull ? 0 : days_between(sums->first[part->slot], as_of);
		default:
			return values_aggregate(&sums->values[cell], part->aggregate,
									isnull);
	}
}

/* Raises the error for a feature beyond float8. */
static void
feature_error_overflow(const Feature *feature)
{
	ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					errmsg("feature \"%s\" is out of range", feature->name),
					errdetail("It is beyond what double precision holds.")));
}

/* Computes the features at as_of over the rows of a person. */
void
feature_sums_compute(FeatureSums *sums, const CoreSpan *rows,
					 TimestampTz as_of, float8 *values, bool *nulls)
{
	const FeaturePlan *plan = sums->plan;

	sums_reset(sums);
	sums_add_rows(sums, rows, as_of);
	sums_widen(sums);
	for (int i = 0; i < plan->nfeatures; i++)
	{
		const Feature *feature = &plan->features[i];

		values[i] = part_value(sums, &feature->part, as_of, &nulls[i]);
		if (feature->divided)
		{
			bool isnull;
			float8 by = part_value(sums, &feature->divisor, as_of, &isnull);

			nulls[i] |= isnull || by == 0;
			if (!nulls[i])
				values[i] /= by;
		}
		if (unlikely(!nulls[i] && !isfinite(values[i])))
			feature_error_overflow(feature);
	}
}
