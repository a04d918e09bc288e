/*
 * Tracks: what each customer did when, the state behind funnel_state and
 * retention_state. A track is a set: an event that is added twice is there
 * once, so states that overlap can be merged.
 *
 * Flat, it is a string of bytes, the same on every machine, which is also
 * its binary form:
 *
 *   1 byte    version
 *   number    customers; when there are any:
 *     number    events
 *     word      first customer_id
 *     word      earliest time
 *     number    unit of times: the largest that divides how far each is
 *               from the earliest, 1 when all are the same
 *     number    bits of a step: as few as the highest needs
 *     and for each customer, in the order of customer_id:
 *       number    customer_id less the one before (0 for the first)
 *       number    events less 1
 *       and for each event, in the order of time and step:
 *         number    step, and above its bits the units since the event
 *                   before, the earliest time for the first
 *
 * Numbers and words are those of core/wire.h. Equal sets have equal bytes.
 */
#ifndef IAROS_ANALYTICS_TRACK_H
#define IAROS_ANALYTICS_TRACK_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/numeric.h"

/* A time and a step are one number, which sorts by time, then step. */
#define TRACK_STEP_BITS 6
#define TRACK_STEPS (1 << TRACK_STEP_BITS)
#define TRACK_AT_MIN (-(INT64CONST(1) << (63 - TRACK_STEP_BITS)))
#define TRACK_AT_MAX ((INT64CONST(1) << (63 - TRACK_STEP_BITS)) - 1)
#define TRACK_MARK(at, step) ((at) *TRACK_STEPS + (step))
#define TRACK_AT(mark) ((mark) >> TRACK_STEP_BITS)
#define TRACK_STEP(mark) ((int) ((mark) & (TRACK_STEPS - 1)))

typedef struct TrackEvent
{
	int64 customer;
	int64 mark;
} TrackEvent;

/* Events; the first of them are in order, each once. */
typedef struct TrackStore
{
	MemoryContext context;
	TrackEvent *events;
	uint64 n;
	uint64 size; /* for how many there is room */
	uint64 settled;
} TrackStore;

/* A type of state: its name and what its events may say. */
typedef struct TrackType
{
	const char *name;
	const char *reader; /* the function that reads it */
	int64 at_min;
	int64 at_max;
	int step_max;
} TrackType;

/* The events of one customer. */
typedef struct TrackSpan
{
	const TrackEvent *events;
	uint64 n;
} TrackSpan;

/* track_store.c */
extern void track_reserve(TrackStore *store, uint64 more);
extern void track_settle(TrackStore *store);
extern void track_sort(TrackEvent *events, uint64 n);
extern bool track_next(const TrackStore *store, TrackSpan *span);

/* track_wire.c */
extern bytea *track_wire_write(const TrackStore *store, const TrackType *type,
							   MemoryContext context);
extern void track_wire_read(const bytea *bytes, const TrackType *type,
							TrackStore *store);

/* track.c */
extern TrackStore *track_writable(FunctionCallInfo fcinfo,
								  const TrackType *type, Datum *state);
extern TrackStore *track_read(Datum datum, const TrackType *type);
extern Datum track_merge(FunctionCallInfo fcinfo, const TrackType *type);
extern Datum track_in(FunctionCallInfo fcinfo, const TrackType *type);
extern Datum track_out(FunctionCallInfo fcinfo, const TrackType *type);
extern Datum track_recv(FunctionCallInfo fcinfo, const TrackType *type);
extern bool track_equal(FunctionCallInfo fcinfo);
extern Numeric track_rate(int64 part, int64 whole);

/* Adds an event whose values are within the bounds of its type. */
static inline void
track_add(TrackStore *store, int64 customer, int64 mark)
{
	TrackEvent *event;

	if (unlikely(store->n == store->size))
		track_reserve(store, 1);
	event = &store->events[store->n++];
	event->customer = customer;
	event->mark = mark;
}

#endif /* IAROS_ANALYTICS_TRACK_H */
