/*
 * Order statistics: the values at some positions of the sorted order,
 * without sorting. Values are counted by their upper 16 bits within the
 * range, and only the buckets that hold a wanted position are looked into
 * again: at most four passes over the values, whatever they are.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "rfm/score.h"

#define SELECT_BITS 16
#define SELECT_BUCKETS (1 << SELECT_BITS)

/* So few values are sorted. */
#define SELECT_SORT 256

/* Compares two values for qsort(). */
static int
select_compare(const void *a, const void *b)
{
	int64 left = *(const int64 *) a;
	int64 right = *(const int64 *) b;

	return (left > right) - (left < right);
}

/* Finds the smallest value, and how far the largest is from it. */
static void
select_range(const int64 *values, uint64 n, int64 *min, uint64 *range)
{
	int64 lowest = values[0];
	int64 highest = values[0];

	for (uint64 i = 1; i < n; i++)
	{
		lowest = Min(lowest, values[i]);
		highest = Max(highest, values[i]);
	}
	*min = lowest;
	*range = (uint64) highest - (uint64) lowest;
}

/* Copies the values of one bucket and returns how many there are. */
static uint64
select_gather(const int64 *values, uint64 n, int64 min, int shift,
			  uint64 bucket, int64 *gathered)
{
	uint64 count = 0;

	for (uint64 i = 0; i < n; i++)
		if (((uint64) values[i] - (uint64) min) >> shift == bucket)
			gathered[count++] = values[i];
	return count;
}

/* Looks into the one bucket that holds some of the positions. */
static void
select_bucket(const int64 *values, uint64 n, int64 min, int shift,
			  uint64 bucket, uint64 before, uint64 count,
			  const uint64 *positions, int npositions, int64 *results)
{
	uint64 *inside;
	int64 *gathered;

	if (shift == 0)
	{
		for (int i = 0; i < npositions; i++)
			results[i] = (int64) ((uint64) min + bucket);
		return;
	}
	inside = palloc(npositions * sizeof(uint64));
	for (int i = 0; i < npositions; i++)
		inside[i] = positions[i] - before;
	gathered = palloc_extended(count * sizeof(int64), MCXT_ALLOC_HUGE);
	select_gather(values, n, min, shift, bucket, gathered);
	rfm_select(gathered, count, inside, npositions, results);
	pfree(gathered);
	pfree(inside);
}

/* Sorts a copy of a few values and looks them up. */
static void
select_sort(const int64 *values, uint64 n, const uint64 *positions,
			int npositions, int64 *results)
{
	int64 sorted[SELECT_SORT];

	memcpy(sorted, values, n * sizeof(int64));
	qsort(sorted, n, sizeof(int64), select_compare);
	for (int i = 0; i < npositions; i++)
		results[i] = sorted[positions[i]];
}

/*
 * Writes to results the values that would stand at the ascending positions
 * if the values were sorted.
 */
void
rfm_select(const int64 *values, uint64 n, const uint64 *positions,
		   int npositions, int64 *results)
{
	uint64 *counts;
	uint64 before = 0;
	uint64 range;
	int64 min;
	int shift;
	int done = 0;

	CHECK_FOR_INTERRUPTS();
	if (n <= SELECT_SORT)
	{
		select_sort(values, n, positions, npositions, results);
		return;
	}
	select_range(values, n, &min, &range);
	shift = range < SELECT_BUCKETS
				? 0
				: pg_leftmost_one_pos64(range) + 1 - SELECT_BITS;
	counts = palloc0(SELECT_BUCKETS * sizeof(uint64));
	for (uint64 i = 0; i < n; i++)
		counts[((uint64) values[i] - (uint64) min) >> shift]++;
	for (uint64 bucket = 0; done < npositions; bucket++)
	{
		uint64 after = before + counts[bucket];
		int first = done;

		while (done < npositions && positions[done] < after)
			done++;
		if (done > first)
			select_bucket(values, n, min, shift, bucket, before,
						  counts[bucket], &positions[first], done - first,
						  &results[first]);
		before = after;
	}
	pfree(counts);
}
