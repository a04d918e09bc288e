/*
 * Sets of 64-bit keys as ranges. Memory comes from the current context and
 * is released with it.
 */
#include "postgres.h"

#include "segment/set.h"

/* Returns the set of all values, without NULL. */
SegmentSet
segment_set_all(void)
{
	SegmentSet set = {0};

	segment_set_add(&set, PG_INT64_MIN, PG_INT64_MAX);
	return set;
}

/* Adds a range, which may be empty; segment_set_sort() has to follow. */
void
segment_set_add(SegmentSet *set, int64 first, int64 last)
{
	if (first > last)
		return;
	if (set->n == set->room)
	{
		set->room = Max(4, set->room * 2);
		set->ranges =
			set->ranges == NULL
				? palloc(set->room * sizeof(SegmentRange))
				: repalloc(set->ranges, set->room * sizeof(SegmentRange));
	}
	set->ranges[set->n].first = first;
	set->ranges[set->n].last = last;
	set->n++;
}

/* Adds the members of another set; segment_set_sort() has to follow. */
void
segment_set_join(SegmentSet *set, const SegmentSet *other)
{
	set->null = set->null || other->null;
	for (int i = 0; i < other->n; i++)
		segment_set_add(set, other->ranges[i].first, other->ranges[i].last);
}

/* Orders ranges by their first key. */
static int
range_compare(const void *a, const void *b)
{
	int64 first_a = ((const SegmentRange *) a)->first;
	int64 first_b = ((const SegmentRange *) b)->first;

	return (first_a > first_b) - (first_a < first_b);
}

/* Puts the ranges of a set in order and joins those that touch. */
void
segment_set_sort(SegmentSet *set)
{
	int n = 0;

	if (set->n < 2)
		return;
	qsort(set->ranges, set->n, sizeof(SegmentRange), range_compare);
	for (int i = 1; i < set->n; i++)
	{
		SegmentRange *last = &set->ranges[n];
		const SegmentRange *next = &set->ranges[i];

		if (last->last == PG_INT64_MAX || next->first <= last->last + 1)
			last->last = Max(last->last, next->last);
		else
			set->ranges[++n] = *next;
	}
	set->n = n + 1;
}

/* Returns the values that are not in a set, without NULL. */
SegmentSet
segment_set_rest(const SegmentSet *set)
{
	SegmentSet rest = {0};
	int64 from = PG_INT64_MIN;

	for (int i = 0; i < set->n; i++)
	{
		if (set->ranges[i].first > from)
			segment_set_add(&rest, from, set->ranges[i].first - 1);
		if (set->ranges[i].last == PG_INT64_MAX)
			return rest;
		from = set->ranges[i].last + 1;
	}
	segment_set_add(&rest, from, PG_INT64_MAX);
	return rest;
}

/* Returns what is in both sets. */
SegmentSet
segment_set_and(const SegmentSet *a, const SegmentSet *b)
{
	SegmentSet both = {.null = a->null && b->null};
	int i = 0;
	int j = 0;

	while (i < a->n && j < b->n)
	{
		const SegmentRange *one = &a->ranges[i];
		const SegmentRange *two = &b->ranges[j];

		segment_set_add(&both, Max(one->first, two->first),
						Min(one->last, two->last));
		if (one->last < two->last)
			i++;
		else
			j++;
	}
	return both;
}
