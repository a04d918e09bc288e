/* The bytes of a profile_state, whose layout state.c describes. */
#include "postgres.h"

#include "airport.h"
#include "common/int.h"
#include "core/core.h"
#include "miscadmin.h"
#include "profile/profile.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define WIRE_VERSION 1

/* Most bytes of a number, a booking, an entry, the head of a list. */
#define WIRE_NUMBER_MAX 10
#define WIRE_BOOKING_MAX (WIRE_NUMBER_MAX * (8 + PROFILE_ITEMS) + 2)
#define WIRE_ENTRY_MAX (WIRE_NUMBER_MAX * 3)
#define WIRE_HEAD_MAX (WIRE_NUMBER_MAX * 4)

/* Most bytes of a name. */
#define WIRE_NAME_MAX 255

/* First byte of the facts of a booking: two bits of status, then */
#define WIRE_CABIN_SHIFT 2
#define WIRE_REACH_SHIFT 5
#define WIRE_HAS_ITEMS 0x80

/* Second byte: two bits of haul, then */
#define WIRE_WEEKDAY_SHIFT 2
#define WIRE_SEASON_SHIFT 4
#define WIRE_HAS_DEPARTURE 0x40
#define WIRE_HAS_PARTY 0x80

#define WIRE_LETTERS 26
#define WIRE_AIRPORTS (WIRE_LETTERS * WIRE_LETTERS * WIRE_LETTERS)

/* Reads bytes that nobody checked. */
typedef struct WireReader
{
	const char *at;
	const char *end;
} WireReader;

/* How the bookings of a history are written. */
typedef struct WireForm
{
	uint8 unit;           /* of times, index */
	uint8 departure_unit; /* of times from booking to departure */
	uint8 decimals;
} WireForm;

/* Units of time, in microseconds, the largest first. */
static const int64 wire_units[] = {
	USECS_PER_DAY, USECS_PER_HOUR, USECS_PER_MINUTE, USECS_PER_SEC, 1000, 1};

static const int64 wire_pow10[CORE_MONEY_SCALE + 1] = {1, 10, 100, 1000,
													   10000};

/* Writes a number. */
static inline char *
wire_put_number(char *at, uint64 value)
{
	for (; value >= 0x80; value >>= 7)
		*at++ = (char) (value | 0x80);
	*at++ = (char) value;
	return at;
}

/* Writes a signed number. */
static inline char *
wire_put_signed(char *at, int64 value)
{
	return wire_put_number(at, ((uint64) value << 1) ^ (uint64) (value >> 63));
}

/* The difference of two numbers, which wraps around. */
static inline int64
wire_less(int64 value, int64 before)
{
	return (int64) ((uint64) value - (uint64) before);
}

/*
 * Returns the units between two times. Microseconds may take 65 bits, and
 * wrap around.
 */
static inline int64
wire_steps(TimestampTz at, TimestampTz before, int64 unit)
{
	return unit == 1 ? wire_less(at, before)
					 : (int64) (((int128) at - before) / unit);
}

/* Takes a finer unit until it divides a time. */
static inline void
wire_fit_unit(uint8 *unit, int128 time)
{
	while (time % wire_units[*unit] != 0)
		(*unit)++;
}

/* Packs an airport into a number. */
static inline uint32
wire_pack_airport(uint32 code)
{
	return (((code >> 16 & 0xFF) - 'A') * WIRE_LETTERS +
			((code >> 8 & 0xFF) - 'A')) *
			   WIRE_LETTERS +
		   ((code & 0xFF) - 'A');
}

/* Unpacks it. */
static inline uint32
wire_unpack_airport(uint32 packed)
{
	return (packed / (WIRE_LETTERS * WIRE_LETTERS) + 'A') << 16 |
		   (packed / WIRE_LETTERS % WIRE_LETTERS + 'A') << 8 |
		   (packed % WIRE_LETTERS + 'A');
}

/* Finds the coarsest units of time and the fewest decimals that do. */
static WireForm
wire_form(const ProfileHistory *history)
{
	WireForm form = {0};

	for (int i = 0; i < history->nbookings; i++)
	{
		const ProfileBooking *booking = &history->bookings[i];

		wire_fit_unit(&form.unit, booking->at);
		if (booking->departure != PROFILE_NO_DEPARTURE)
			wire_fit_unit(&form.departure_unit,
						  (int128) booking->departure - booking->at);
		while (booking->amount % wire_pow10[CORE_MONEY_SCALE - form.decimals])
			form.decimals++;
	}
	return form;
}

/* Are lines of a booking known? */
static bool
wire_has_items(const ProfileBooking *booking)
{
	for (int i = 0; i < PROFILE_ITEMS; i++)
		if (booking->items[i] != 0)
			return true;
	return false;
}

/* Writes the facts of a booking, and what they say follows. */
static char *
wire_put_facts(char *at, const WireForm *form, const ProfileBooking *booking)
{
	bool items = wire_has_items(booking);
	bool departs = booking->departure != PROFILE_NO_DEPARTURE;

	*at++ = (char) (booking->status | booking->cabin << WIRE_CABIN_SHIFT |
					booking->reach << WIRE_REACH_SHIFT |
					(items ? WIRE_HAS_ITEMS : 0));
	*at++ = (char) (booking->haul | booking->weekday << WIRE_WEEKDAY_SHIFT |
					booking->season << WIRE_SEASON_SHIFT |
					(departs ? WIRE_HAS_DEPARTURE : 0) |
					(booking->party != 1 ? WIRE_HAS_PARTY : 0));
	if (departs)
		at = wire_put_signed(at, wire_steps(booking->departure, booking->at,
											wire_units[form->departure_unit]));
	if (booking->party != 1)
		at = wire_put_number(at, (uint32) booking->party);
	if (items)
		for (int i = 0; i < PROFILE_ITEMS; i++)
			at = wire_put_number(at, booking->items[i]);
	return at;
}

/* Writes the route of a booking, and the region where it ends. */
static char *
wire_put_route(char *at, const ProfileBooking *booking)
{
	uint64 route = 0;

	if (booking->origin != 0)
		route =
			(1 + (uint64) wire_pack_airport(booking->origin) * WIRE_AIRPORTS +
			 wire_pack_airport(booking->destination)) *
				(AIRPORT_REGIONS + 1) +
			booking->region;
	return wire_put_number(at, route);
}

/* Writes the bookings. */
static char *
wire_put_bookings(char *at, const ProfileHistory *history)
{
	WireForm form = wire_form(history);
	ProfileBooking before = {0};

	at = wire_put_number(at, history->nbookings);
	if (history->nbookings == 0)
		return at;
	*at++ = (char) form.unit;
	*at++ = (char) form.departure_unit;
	*at++ = (char) form.decimals;
	for (int i = 0; i < history->nbookings; i++)
	{
		const ProfileBooking *booking = &history->bookings[i];

		at = wire_put_signed(
			at, wire_steps(booking->at, before.at, wire_units[form.unit]));
		at = wire_put_signed(at, wire_less(booking->owner, before.owner));
		at = wire_put_signed(at, wire_less(booking->id, before.id));
		at = wire_put_signed(at,
							 booking->amount /
								 wire_pow10[CORE_MONEY_SCALE - form.decimals]);
		at = wire_put_number(at, booking->channel + 1);
		at = wire_put_route(at, booking);
		at = wire_put_facts(at, &form, booking);
		before = *booking;
	}
	return at;
}

/* Writes a series. */
static char *
wire_put_series(char *at, const ProfileSeries *series)
{
	uint8 unit = 0;
	ProfileEntry before = {0};

	for (int i = 0; i < series->n; i++)
		wire_fit_unit(&unit, series->entries[i].at);
	at = wire_put_number(at, series->name);
	*at++ = (char) series->flags;
	*at++ = (char) unit;
	at = wire_put_number(at, series->n);
	for (int i = 0; i < series->n; i++)
	{
		const ProfileEntry *entry = &series->entries[i];

		at = wire_put_signed(
			at, wire_steps(entry->at, before.at, wire_units[unit]));
		if (series->flags & PROFILE_VALUED)
		{
			at = wire_put_signed(at, wire_less(entry->id, before.id));
			at = wire_put_signed(at, entry->value);
		}
		before = *entry;
	}
	return at;
}

/* Returns how many bytes a history takes at most. */
static Size
wire_bound(const ProfileHistory *history)
{
	Size bound = VARHDRSZ + 3 * WIRE_HEAD_MAX +
				 (Size) history->nbookings * WIRE_BOOKING_MAX;

	for (int i = 0; i < history->nnames; i++)
		bound += WIRE_NUMBER_MAX + history->names[i].length;
	for (int i = 0; i < history->nseries; i++)
		bound += WIRE_HEAD_MAX + (Size) history->series[i].n * WIRE_ENTRY_MAX;
	return bound;
}

/* Sorts a history and returns its bytes, in a context. */
bytea *
profile_wire_write(ProfileHistory *history, MemoryContext context)
{
	bytea *bytes;
	char *at;

	profile_history_sort(history);
	bytes = MemoryContextAllocHuge(context, wire_bound(history));
	at = VARDATA(bytes);
	*at++ = WIRE_VERSION;
	at = wire_put_number(at, history->nnames);
	for (int i = 0; i < history->nnames; i++)
	{
		at = wire_put_number(at, history->names[i].length);
		memcpy(at, history->names[i].text, history->names[i].length);
		at += history->names[i].length;
	}
	at = wire_put_bookings(at, history);
	at = wire_put_number(at, history->nseries);
	for (int i = 0; i < history->nseries; i++)
	{
		CHECK_FOR_INTERRUPTS();
		at = wire_put_series(at, &history->series[i]);
	}
	if (at - (char *) bytes > MaxAllocSize)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the history of one person is too long"),
				 errdetail("It would take %zu bytes; a value may have %zu.",
						   (Size) (at - (char *) bytes), MaxAllocSize)));
	SET_VARSIZE(bytes, at - (char *) bytes);
	return bytes;
}

/* Raises the error of bytes that are no profile_state. */
static void
pg_attribute_noreturn() wire_corrupt(const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
					errmsg("invalid profile_state"),
					errdetail("Its bytes have a wrong %s.", what)));
}

/* Reads one byte. */
static inline uint8
wire_get_byte(WireReader *reader)
{
	if (reader->at >= reader->end)
		wire_corrupt("end");
	return (uint8) *reader->at++;
}

/* Reads a number. */
static inline uint64
wire_get_number(WireReader *reader)
{
	uint64 value = 0;

	for (int shift = 0; shift < 64; shift += 7)
	{
		uint8 byte = wire_get_byte(reader);

		value |= (uint64) (byte & 0x7F) << shift;
		if (!(byte & 0x80))
			return value;
	}
	wire_corrupt("number");
}

/* Reads a signed number. */
static inline int64
wire_get_signed(WireReader *reader)
{
	uint64 value = wire_get_number(reader);

	return (int64) (value >> 1) ^ -(int64) (value & 1);
}

/* Reads a number that has a most. */
static inline uint64
wire_get_most(WireReader *reader, uint64 most, const char *what)
{
	uint64 value = wire_get_number(reader);

	if (value > most)
		wire_corrupt(what);
	return value;
}

/* Reads how many things follow, each of at least so many bytes. */
static int
wire_get_count(WireReader *reader, int bytes, const char *what)
{
	return (int) wire_get_most(
		reader, Min((reader->end - reader->at) / bytes, PG_INT32_MAX / 2),
		what);
}

/* Reads a unit of time. */
static inline int64
wire_get_unit(WireReader *reader)
{
	uint8 unit = wire_get_byte(reader);

	if (unit >= lengthof(wire_units))
		wire_corrupt("unit of time");
	return wire_units[unit];
}

/* Reads a time that follows another. */
static inline TimestampTz
wire_get_time(WireReader *reader, TimestampTz before, int64 unit)
{
	int64 steps = wire_get_signed(reader);
	int128 at = (int128) before + (int128) steps * unit;

	if (unit == 1)
		at = (int64) ((uint64) before + (uint64) steps);
	if (!IS_VALID_TIMESTAMP(at))
		wire_corrupt("time");
	return (TimestampTz) at;
}

/* Are two names in order, and different? */
static inline bool
wire_names_ascend(const ProfileName *a, const ProfileName *b)
{
	if (a->length != b->length)
		return a->length < b->length;
	return memcmp(a->text, b->text, a->length) < 0;
}

/* Reads the names. */
static void
wire_get_names(WireReader *reader, ProfileHistory *history)
{
	int n = wire_get_count(reader, 1, "number of names");

	if (n > PROFILE_NAMES_MAX)
		wire_corrupt("number of names");
	history->names_room = n;
	history->names =
		MemoryContextAlloc(history->context, Max(n, 1) * sizeof(ProfileName));
	for (int i = 0; i < n; i++)
	{
		int length = (int) wire_get_most(reader, WIRE_NAME_MAX, "name");

		if (length > reader->end - reader->at)
			wire_corrupt("end");
		history->names[i].text = reader->at;
		history->names[i].length = length;
		reader->at += length;
		if (i > 0 &&
			!wire_names_ascend(&history->names[i - 1], &history->names[i]))
			wire_corrupt("order of names");
	}
	history->nnames = n;
}

/* Reads a route and the region where it ends. */
static inline void
wire_get_route(WireReader *reader, ProfileBooking *booking)
{
	uint64 route = wire_get_most(reader,
								 ((uint64) WIRE_AIRPORTS * WIRE_AIRPORTS + 1) *
									 (AIRPORT_REGIONS + 1),
								 "route");

	booking->region = route % (AIRPORT_REGIONS + 1);
	route /= AIRPORT_REGIONS + 1;
	if (route == 0)
	{
		if (booking->region != 0)
			wire_corrupt("route");
		return;
	}
	route--;
	if (route >= (uint64) WIRE_AIRPORTS * WIRE_AIRPORTS)
		wire_corrupt("route");
	booking->origin = wire_unpack_airport(route / WIRE_AIRPORTS);
	booking->destination = wire_unpack_airport(route % WIRE_AIRPORTS);
}

/* Reads the facts of a booking, and what they say follows. */
static inline void
wire_get_facts(WireReader *reader, int64 departure_unit,
			   ProfileBooking *booking)
{
	uint8 first = wire_get_byte(reader);
	uint8 second = wire_get_byte(reader);

	booking->status = first & 3;
	booking->cabin = first >> WIRE_CABIN_SHIFT & 7;
	booking->reach = first >> WIRE_REACH_SHIFT & 3;
	booking->haul = second & 3;
	booking->weekday = second >> WIRE_WEEKDAY_SHIFT & 3;
	booking->season = second >> WIRE_SEASON_SHIFT & 3;
	if (booking->status > PROFILE_REFUNDED || booking->cabin > 4 ||
		booking->weekday > PROFILE_WEEKEND || booking->season > PROFILE_SUMMER)
		wire_corrupt("booking");
	booking->departure =
		second & WIRE_HAS_DEPARTURE
			? wire_get_time(reader, booking->at, departure_unit)
			: PROFILE_NO_DEPARTURE;
	booking->party = second & WIRE_HAS_PARTY
						 ? (int32) wire_get_most(reader, PG_INT32_MAX, "party")
						 : 1;
	if (first & WIRE_HAS_ITEMS)
		for (int i = 0; i < PROFILE_ITEMS; i++)
			booking->items[i] =
				(uint32) wire_get_most(reader, PG_UINT32_MAX, "line");
}

/* Reads the bookings. */
static void
wire_get_bookings(WireReader *reader, ProfileHistory *history)
{
	int n = wire_get_count(reader, 8, "number of bookings");
	ProfileBooking before = {0};
	int64 unit;
	int64 departure_unit;
	uint8 decimals;

	if (n == 0)
		return;
	unit = wire_get_unit(reader);
	departure_unit = wire_get_unit(reader);
	decimals = wire_get_byte(reader);
	if (decimals > CORE_MONEY_SCALE)
		wire_corrupt("number of decimals");
	history->bookings_room = n;
	history->bookings = MemoryContextAllocHuge(
		history->context, (Size) n * sizeof(ProfileBooking));
	for (int i = 0; i < n; i++)
	{
		ProfileBooking *booking = &history->bookings[i];

		memset(booking, 0, sizeof(ProfileBooking));
		booking->at = wire_get_time(reader, before.at, unit);
		booking->owner =
			(int64) ((uint64) before.owner + (uint64) wire_get_signed(reader));
		booking->id =
			(int64) ((uint64) before.id + (uint64) wire_get_signed(reader));
		if (pg_mul_s64_overflow(wire_get_signed(reader),
								wire_pow10[CORE_MONEY_SCALE - decimals],
								&booking->amount))
			wire_corrupt("amount");
		booking->channel =
			(int) wire_get_most(reader, history->nnames, "name") - 1;
		wire_get_route(reader, booking);
		wire_get_facts(reader, departure_unit, booking);
		before = *booking;
	}
	history->nbookings = n;
}

/* Reads a series. */
static void
wire_get_series(WireReader *reader, ProfileHistory *history,
				ProfileSeries *series)
{
	ProfileEntry before = {0};
	int64 unit;

	memset(series, 0, sizeof(ProfileSeries));
	if (history->nnames == 0)
		wire_corrupt("name");
	series->name = (int) wire_get_most(reader, history->nnames - 1, "name");
	series->flags = wire_get_byte(reader);
	if (series->flags & ~(PROFILE_VALUED | PROFILE_VISIT))
		wire_corrupt("series");
	unit = wire_get_unit(reader);
	series->room = wire_get_count(
		reader, series->flags & PROFILE_VALUED ? 3 : 1, "number of entries");
	series->entries = MemoryContextAllocHuge(
		history->context, (Size) Max(series->room, 1) * sizeof(ProfileEntry));
	for (; series->n < series->room; series->n++)
	{
		ProfileEntry *entry = &series->entries[series->n];

		entry->at = wire_get_time(reader, before.at, unit);
		entry->id = entry->value = 0;
		if (series->flags & PROFILE_VALUED)
		{
			entry->id = (int64) ((uint64) before.id +
								 (uint64) wire_get_signed(reader));
			entry->value = wire_get_signed(reader);
		}
		before = *entry;
	}
}

/*
 * Reads bytes into a history in a context, which must not outlive them.
 * Nothing but the order of bookings and entries is taken on trust.
 */
ProfileHistory *
profile_wire_read(const bytea *bytes, MemoryContext context)
{
	WireReader reader = {.at = VARDATA_ANY(bytes),
						 .end = VARDATA_ANY(bytes) + VARSIZE_ANY_EXHDR(bytes)};
	ProfileHistory *history = profile_history_create(context);
	int n;

	if (wire_get_byte(&reader) != WIRE_VERSION)
		wire_corrupt("version");
	wire_get_names(&reader, history);
	wire_get_bookings(&reader, history);
	n = wire_get_count(&reader, 4, "number of series");
	if (n > history->nnames)
		wire_corrupt("number of series");
	history->series_room = n;
	history->series =
		MemoryContextAlloc(context, Max(n, 1) * sizeof(ProfileSeries));
	for (; history->nseries < n; history->nseries++)
	{
		ProfileSeries *series = &history->series[history->nseries];

		CHECK_FOR_INTERRUPTS();
		wire_get_series(&reader, history, series);
		if (history->nseries > 0 && series[-1].name >= series->name)
			wire_corrupt("order of series");
	}
	if (reader.at != reader.end)
		wire_corrupt("end");
	return history;
}
