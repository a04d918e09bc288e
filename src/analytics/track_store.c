/*
 * The store of a track: events are appended in any order and sorted when
 * they are first read, by customer with a stable radix sort, which takes
 * time in proportion to the events whatever they are, then by time within
 * each customer, which most sources already are.
 */
#include "postgres.h"

#include "analytics/track.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "storage/shmem.h"
#include "utils/memutils.h"

#define STORE_FIRST 16

/* Most bits of a digit of the radix sort. */
#define STORE_DIGIT_BITS 11
#define STORE_RADIX (1 << STORE_DIGIT_BITS)

/* So few events are compared with each other. */
#define STORE_SMALL 256

/* Compares two events. */
static inline int
event_compare(const TrackEvent *a, const TrackEvent *b)
{
	if (a->customer != b->customer)
		return a->customer < b->customer ? -1 : 1;
	return (a->mark > b->mark) - (a->mark < b->mark);
}

#define ST_SORT sort_small
#define ST_ELEMENT_TYPE TrackEvent
#define ST_COMPARE(a, b) event_compare(a, b)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Makes room for more events. */
void
track_reserve(TrackStore *store, uint64 more)
{
	uint64 size = add_size(store->n, more);

	if (size <= store->size)
		return;
	size = Max(size, add_size(store->size, store->size));
	size = Max(size, STORE_FIRST);
	if (store->events == NULL)
		store->events = MemoryContextAllocHuge(
			store->context, mul_size(size, sizeof(TrackEvent)));
	else
		store->events =
			repalloc_huge(store->events, mul_size(size, sizeof(TrackEvent)));
	store->size = size;
}

/* The number by which one sort goes: of the mark, or the customer. */
static inline uint64
sort_key(const TrackEvent *event, bool marks)
{
	int64 key = marks ? event->mark : event->customer;

	return (uint64) key ^ (UINT64CONST(1) << 63);
}

/* Moves events into the order of one digit, equal ones as they stood. */
static inline void
sort_pass(const TrackEvent *from, TrackEvent *to, uint64 n, bool marks,
		  uint64 lowest, int shift, int bits, uint64 *counts)
{
	uint64 mask = (UINT64CONST(1) << bits) - 1;
	uint64 before = 0;

	CHECK_FOR_INTERRUPTS();
	memset(counts, 0, (mask + 1) * sizeof(uint64));
	for (uint64 i = 0; i < n; i++)
		counts[((sort_key(&from[i], marks) - lowest) >> shift) & mask]++;
	for (uint64 digit = 0; digit <= mask; digit++)
	{
		uint64 count = counts[digit];

		counts[digit] = before;
		before += count;
	}
	for (uint64 i = 0; i < n; i++)
	{
		uint64 digit = ((sort_key(&from[i], marks) - lowest) >> shift) & mask;

		to[counts[digit]++] = from[i];
	}
}

/*
 * Sorts events by mark or by customer alone, with the help of as many
 * others, and returns in which of the two they are.
 */
static inline TrackEvent *
sort_radix(TrackEvent *events, TrackEvent *others, uint64 n, bool marks)
{
	uint64 lowest = PG_UINT64_MAX;
	uint64 highest = 0;
	uint64 *counts;
	int width;
	int bits;

	for (uint64 i = 0; i < n; i++)
	{
		lowest = Min(lowest, sort_key(&events[i], marks));
		highest = Max(highest, sort_key(&events[i], marks));
	}
	if (highest == lowest)
		return events;
	width = pg_leftmost_one_pos64(highest - lowest) + 1;
	bits = (width + STORE_DIGIT_BITS - 1) / STORE_DIGIT_BITS;
	bits = (width + bits - 1) / bits;
	counts = palloc(STORE_RADIX * sizeof(uint64));
	for (int shift = 0; shift < width; shift += bits)
	{
		TrackEvent *sorted = others;

		sort_pass(events, sorted, n, marks, lowest, shift, bits, counts);
		others = events;
		events = sorted;
	}
	pfree(counts);
	return events;
}

/* Are these events in order? Equal ones may stand side by side. */
static bool
sort_done(const TrackEvent *events, uint64 n)
{
	for (uint64 i = 1; i < n; i++)
		if (event_compare(&events[i - 1], &events[i]) > 0)
			return false;
	return true;
}

/* Sorts the events of one customer, with the help of as many others. */
static void
sort_customer(TrackEvent *events, TrackEvent *others, uint64 n)
{
	if (sort_done(events, n))
		return;
	if (n <= STORE_SMALL)
		sort_small(events, n);
	else if (sort_radix(events, others, n, true) == others)
		memcpy(events, others, n * sizeof(TrackEvent));
}

/* Sorts events with the help of as many others; returns where they are. */
static TrackEvent *
sort_all(TrackEvent *events, TrackEvent *others, uint64 n)
{
	TrackEvent *sorted = sort_radix(events, others, n, false);

	others = sorted == events ? others : events;
	for (uint64 i = 0; i < n;)
	{
		uint64 first = i;

		while (i < n && sorted[i].customer == sorted[first].customer)
			i++;
		sort_customer(&sorted[first], &others[first], i - first);
	}
	return sorted;
}

/* Sorts events by customer, then mark. */
void
track_sort(TrackEvent *events, uint64 n)
{
	TrackEvent *others;

	if (sort_done(events, n))
		return;
	if (n <= STORE_SMALL)
	{
		sort_small(events, n);
		return;
	}
	others = MemoryContextAllocHuge(CurrentMemoryContext,
									mul_size(n, sizeof(TrackEvent)));
	if (sort_all(events, others, n) == others)
		memcpy(events, others, n * sizeof(TrackEvent));
	pfree(others);
}

/* Leaves one of events that are the same; returns how many remain. */
static uint64
store_unique(TrackEvent *events, uint64 n)
{
	uint64 kept = Min(n, 1);

	for (uint64 i = 1; i < n; i++)
		if (event_compare(&events[kept - 1], &events[i]) != 0)
			events[kept++] = events[i];
	return kept;
}

/* Merges the events in order with the sorted ones behind them. */
static void
store_merge(TrackStore *store)
{
	const TrackEvent *a = store->events;
	const TrackEvent *a_end = a + store->settled;
	const TrackEvent *b = a_end;
	const TrackEvent *b_end = a + store->n;
	TrackEvent *merged = MemoryContextAllocHuge(
		store->context, mul_size(store->n, sizeof(TrackEvent)));
	TrackEvent *to = merged;

	while (a < a_end && b < b_end)
		*to++ = event_compare(a, b) <= 0 ? *a++ : *b++;
	memcpy(to, a, (a_end - a) * sizeof(TrackEvent));
	memcpy(to + (a_end - a), b, (b_end - b) * sizeof(TrackEvent));
	pfree(store->events);
	store->events = merged;
	store->size = store->n;
}

/* Brings all events into order and leaves each once. */
void
track_settle(TrackStore *store)
{
	TrackEvent *tail = store->events + store->settled;

	if (store->settled == store->n)
		return;
	track_sort(tail, store->n - store->settled);
	if (store->settled > 0 && event_compare(tail - 1, tail) >= 0)
		store_merge(store);
	store->n = store_unique(store->events, store->n);
	store->settled = store->n;
}

/*
 * Goes to the next customer of a settled store, the first when the span has
 * no events yet; false at the end.
 */
bool
track_next(const TrackStore *store, TrackSpan *span)
{
	const TrackEvent *end = store->events + store->n;

	CHECK_FOR_INTERRUPTS();
	span->events =
		span->events == NULL ? store->events : span->events + span->n;
	span->n = 0;
	if (span->events == end)
		return false;
	while (span->events + span->n < end &&
		   span->events[span->n].customer == span->events->customer)
		span->n++;
	return true;
}
