/* The bytes of a track, which track.h describes: written, read, checked. */
#include "postgres.h"

#include "analytics/track.h"
#include "core/wire.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "storage/shmem.h"
#include "utils/memutils.h"

#define WIRE_VERSION 1

/* Most bytes before the first customer, and of the head of one. */
#define WIRE_HEAD 64
#define WIRE_CUSTOMER (2 * CORE_WIRE_MAX)

/* What all events of a track have in common. */
typedef struct WireTerms
{
	int64 earliest;
	uint64 unit;
	int bits; /* of a step */
} WireTerms;

typedef struct WireWriter
{
	bytea *bytes;
	Size size;
	unsigned char *at;
	const TrackType *type;
} WireWriter;

/* What is being read; the last members say what was seen. */
typedef struct WireReader
{
	const TrackType *type;
	const unsigned char *at;
	const unsigned char *end;
	TrackStore *store; /* NULL: the bytes are only checked */
	WireTerms terms;
	uint64 events; /* that are still to come */
	int64 customer;
	uint64 unit; /* greatest common divisor of all distances */
	int steps;   /* all steps, bit by bit */
	bool earliest;
} WireReader;

/* Returns the greatest common divisor of two numbers; 0 divides by all. */
static uint64
wire_divisor(uint64 a, uint64 b)
{
	while (b != 0)
	{
		uint64 rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* Adds a distance to a common divisor, which mostly stays as it is. */
static inline uint64
wire_unit(uint64 unit, uint64 distance)
{
	if (unit == 1 || distance == 0 || (unit != 0 && distance % unit == 0))
		return unit;
	return wire_divisor(distance, unit);
}

/* Returns how many bits a number has. */
static inline int
wire_bits(int number)
{
	return number == 0 ? 0 : pg_leftmost_one_pos32(number) + 1;
}

/* Finds what all events of a store have in common. */
static WireTerms
wire_terms(const TrackStore *store)
{
	WireTerms terms = {.earliest = TRACK_AT_MAX};
	int steps = 0;

	for (uint64 i = 0; i < store->n; i++)
	{
		terms.earliest = Min(terms.earliest, TRACK_AT(store->events[i].mark));
		steps |= TRACK_STEP(store->events[i].mark);
	}
	for (uint64 i = 0; i < store->n && terms.unit != 1; i++)
		terms.unit = wire_unit(terms.unit, TRACK_AT(store->events[i].mark) -
											   terms.earliest);
	terms.unit = Max(terms.unit, 1);
	terms.bits = wire_bits(steps);
	return terms;
}

/* Makes room for that many bytes more. */
static void
writer_reserve(WireWriter *writer, Size more)
{
	Size used = writer->at - (unsigned char *) writer->bytes;
	Size size = add_size(used, more);

	if (used > MaxAllocSize)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("%s is too large", writer->type->name),
						errdetail("As a value it has at most 1 GB."),
						errhint("Aggregate fewer customers in one group.")));
	if (size <= writer->size)
		return;
	writer->size = Max(size, writer->size * 2);
	writer->bytes = repalloc_huge(writer->bytes, writer->size);
	writer->at = (unsigned char *) writer->bytes + used;
}

/* Writes the events of a customer. */
static void
write_customer(WireWriter *writer, const TrackSpan *span, int64 before,
			   const WireTerms *terms)
{
	int64 at = terms->earliest;
	unsigned char *to;

	writer_reserve(writer,
				   add_size(WIRE_CUSTOMER, mul_size(span->n, CORE_WIRE_MAX)));
	to = writer->at;
	to = core_wire_put(to, (uint64) span->events->customer - (uint64) before);
	to = core_wire_put(to, span->n - 1);
	for (uint64 i = 0; i < span->n; i++)
	{
		int64 mark = span->events[i].mark;
		uint64 units = TRACK_AT(mark) - at;

		if (terms->unit != 1)
			units /= terms->unit;
		to = core_wire_put(to, units << terms->bits | TRACK_STEP(mark));
		at = TRACK_AT(mark);
	}
	writer->at = to;
}

/* Writes how many customers there are, and what all events have in common. */
static void
write_head(WireWriter *writer, const TrackStore *store, const WireTerms *terms)
{
	TrackSpan span = {0};
	uint64 customers = 0;

	while (track_next(store, &span))
		customers++;
	*writer->at++ = WIRE_VERSION;
	writer->at = core_wire_put(writer->at, customers);
	if (customers == 0)
		return;
	writer->at = core_wire_put(writer->at, store->n);
	writer->at = core_wire_put_word(writer->at, store->events[0].customer);
	writer->at = core_wire_put_word(writer->at, terms->earliest);
	writer->at = core_wire_put(writer->at, terms->unit);
	writer->at = core_wire_put(writer->at, terms->bits);
}

/* Returns a settled store as bytes. */
bytea *
track_wire_write(const TrackStore *store, const TrackType *type,
				 MemoryContext context)
{
	WireWriter writer = {.type = type};
	WireTerms terms = wire_terms(store);
	TrackSpan span = {0};
	Size size;
	int64 before;

	Assert(store->settled == store->n);
	writer.size = add_size(WIRE_HEAD, store->n * 6);
	writer.bytes = MemoryContextAllocHuge(context, writer.size);
	writer.at = (unsigned char *) VARDATA(writer.bytes);
	write_head(&writer, store, &terms);
	before = store->n > 0 ? store->events[0].customer : 0;
	while (track_next(store, &span))
	{
		write_customer(&writer, &span, before, &terms);
		before = span.events->customer;
	}
	size = writer.at - (unsigned char *) writer.bytes;
	writer_reserve(&writer, 0);
	SET_VARSIZE(writer.bytes, size);
	return repalloc_huge(writer.bytes, size);
}

/* Raises the error of bytes that are no track. */
static void
reader_fail(const WireReader *reader, const char *detail)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
					errmsg("invalid %s", reader->type->name),
					errdetail("%s", detail)));
}

/* Reads a number. */
static inline uint64
read_number(WireReader *reader)
{
	uint64 number;

	if (unlikely(!core_wire_read(&reader->at, reader->end, &number)))
		reader_fail(reader, "A number is cut off, too large or too long.");
	return number;
}

/* Reads a word. */
static int64
read_word(WireReader *reader)
{
	if (reader->end - reader->at < sizeof(uint64))
		reader_fail(reader, "It is cut off.");
	return (int64) core_wire_get_word(&reader->at);
}

/* Reads what all events have in common. */
static void
read_terms(WireReader *reader)
{
	uint64 bits;

	reader->events = read_number(reader);
	reader->customer = read_word(reader);
	reader->terms.earliest = read_word(reader);
	reader->terms.unit = read_number(reader);
	bits = read_number(reader);
	if (reader->terms.earliest < reader->type->at_min ||
		reader->terms.earliest > reader->type->at_max)
		reader_fail(reader, "Its earliest time is out of range.");
	if (reader->terms.unit == 0 || bits > TRACK_STEP_BITS)
		reader_fail(reader, "The unit of times or of steps is out of range.");
	/* An event takes a byte at least: what follows can be relied on. */
	if (reader->events > reader->end - reader->at)
		reader_fail(reader, "It is cut off.");
	reader->terms.bits = bits;
}

/* Returns the time of an event, which is so many units after another. */
static inline int64
read_at(WireReader *reader, int64 before, uint64 units)
{
	uint64 distance;

	if (unlikely(
			__builtin_mul_overflow(units, reader->terms.unit, &distance) ||
			distance > (uint64) reader->type->at_max - (uint64) before))
		reader_fail(reader, "A time is out of range.");
	return before + (int64) distance;
}

/* Reads the events of a customer. */
static void
read_events(WireReader *reader, uint64 n)
{
	int64 at = reader->terms.earliest;
	int64 before = 0;

	for (uint64 i = 0; i < n; i++)
	{
		uint64 number = read_number(reader);
		uint64 units = number >> reader->terms.bits;
		int step = number & ((UINT64CONST(1) << reader->terms.bits) - 1);

		at = read_at(reader, at, units);
		if (i > 0 && TRACK_MARK(at, step) <= before)
			reader_fail(reader, "Events are not in order.");
		before = TRACK_MARK(at, step);
		reader->earliest |= at == reader->terms.earliest;
		reader->unit = wire_unit(reader->unit, units);
		reader->steps |= step;
		if (step > reader->type->step_max)
			reader_fail(reader, "A step is out of range.");
		if (reader->store != NULL)
			track_add(reader->store, reader->customer, before);
	}
}

/* Reads a customer. */
static void
read_customer(WireReader *reader, bool first)
{
	uint64 gap = read_number(reader);
	uint64 n = read_number(reader);

	CHECK_FOR_INTERRUPTS();
	if ((gap == 0) != first ||
		gap > (uint64) PG_INT64_MAX - (uint64) reader->customer)
		reader_fail(reader, "Customers are not in order.");
	reader->customer += gap;
	if (n >= reader->events)
		reader_fail(reader, "It has other events than it says.");
	reader->events -= n + 1;
	read_events(reader, n + 1);
}

/* Checks that the terms are the ones that these events have. */
static void
read_check(const WireReader *reader)
{
	if (!reader->earliest || Max(reader->unit, 1) != 1 ||
		(reader->unit == 0 && reader->terms.unit != 1) ||
		reader->terms.bits != wire_bits(reader->steps))
		reader_fail(reader, "It is not in its one form.");
}

/*
 * Reads bytes, all of which are checked, and appends their events to a
 * store unless that is NULL.
 */
void
track_wire_read(const bytea *bytes, const TrackType *type, TrackStore *store)
{
	WireReader reader = {.type = type, .store = store};
	uint64 customers;

	reader.at = (const unsigned char *) VARDATA_ANY(bytes);
	reader.end = reader.at + VARSIZE_ANY_EXHDR(bytes);
	if (reader.at == reader.end || *reader.at++ != WIRE_VERSION)
		reader_fail(&reader, "Its version is another.");
	customers = read_number(&reader);
	if (customers > 0)
		read_terms(&reader);
	if (store != NULL)
		track_reserve(store, reader.events);
	for (uint64 i = 0; i < customers; i++)
		read_customer(&reader, i == 0);
	if (reader.events != 0 || reader.at != reader.end)
		reader_fail(&reader, "It has other events than it says.");
	if (customers > 0)
		read_check(&reader);
}
