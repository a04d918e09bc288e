/*
 * The rebuild of profiles in one pass over each table: rows become records
 * of fixed size, grouped by person (core/group.h), out of which the history
 * of one person after the other is made.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "core/core.h"
#include "core/group.h"
#include "core/source.h"
#include "core/stream.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "profile/build.h"
#include "profile/profile.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Values of an enum whose meaning a sink keeps. */
#define BUILD_ENUM_CACHE 16

/* Most names that rows may use. */
#define BUILD_NAMES_MAX PG_INT16_MAX

/* Columns of the three sources. */
enum
{
	BUILD_PERSON,
	BUILD_OWNER,
	BUILD_BOOKING,
	BUILD_BOOKED_AT,
	BUILD_STATUS,
	BUILD_AMOUNT,
	BUILD_CABIN,
	BUILD_CHANNEL,
	BUILD_ORIGIN,
	BUILD_DESTINATION,
	BUILD_PARTY,
	BUILD_DEPARTURE,
	BUILD_BOOKING_COLUMNS,
	/* items, after person, owner and booking */
	BUILD_ITEMS = BUILD_BOOKED_AT,
	BUILD_ITEM_COLUMNS,
	/* entries, after person */
	BUILD_KIND = BUILD_OWNER,
	BUILD_AT,
	BUILD_VISIT,
	BUILD_ID,
	BUILD_VALUE,
	BUILD_ENTRY_COLUMNS
};

typedef struct BuildBooking
{
	CoreRecord head; /* person, booked_at */
	int64 owner;
	int64 id;
	int64 amount;
	TimestampTz departure;
	uint32 origin;
	uint32 destination;
	int32 party;
	int16 channel; /* index of a name, -1: none */
	uint8 status;
	uint8 cabin;
	uint8 reach;
	uint8 haul;
	uint8 weekday;
	uint8 season;
	uint8 region;
	uint8 unused[3];
} BuildBooking;

typedef struct BuildItem
{
	CoreRecord head; /* person, booking */
	int64 owner;
	int64 lines; /* bit i: is counted as item i */
} BuildItem;

typedef struct BuildEntry
{
	CoreRecord head; /* person, at */
	int64 id;
	int64 value;
	int32 name;
	int32 flags;
} BuildEntry;

/* Arguments of a sink: the names follow, each ended by a zero byte. */
typedef struct BuildArgs
{
	Size record; /* bytes of a record */
	int nnames;
	Size size; /* of the names */
} BuildArgs;

/* Names by number, and numbers by name. */
typedef struct BuildNames
{
	int n;
	const char **names;
	int *lengths;
	uint32 mask;
	int *slots; /* index + 1, 0: free */
} BuildNames;

/* What values of an enum mean. */
typedef struct BuildEnum
{
	int n;
	Oid values[BUILD_ENUM_CACHE];
	int meanings[BUILD_ENUM_CACHE];
} BuildEnum;

/* State of a sink. */
typedef struct BuildSink
{
	CoreGroup *group;
	BuildNames names;
	BuildEnum statuses;
	BuildEnum cabins;
	MemoryContext row; /* what reading one row takes */
} BuildSink;

/* The rows of a call of profile_build(). */
typedef struct BuildRows
{
	CoreRows rows;
	CoreGroup *stores[3];
	CoreWalk walk;
	uint64 next; /* row that the walk comes to next */
	BuildNames names;
	TimestampTz as_of;
	MemoryContext person; /* what one person takes */
} BuildRows;

/* Finds the slot of a name. */
static uint32
names_slot(const BuildNames *names, const char *text, int length)
{
	uint32 slot = hash_bytes((const unsigned char *) text, length);

	for (;; slot++)
	{
		int index = names->slots[slot & names->mask] - 1;

		if (index < 0 || (names->lengths[index] == length &&
						  memcmp(names->names[index], text, length) == 0))
			return slot & names->mask;
	}
}

/* Makes names out of arguments, which must stay where they are. */
static void
names_begin(BuildNames *names, const BuildArgs *args)
{
	const char *at = (const char *) (args + 1);

	names->n = args->nnames;
	names->names = palloc((names->n + 1) * sizeof(char *));
	names->lengths = palloc((names->n + 1) * sizeof(int));
	names->mask = pg_nextpower2_32(Max(2 * names->n, 16)) - 1;
	names->slots = palloc0((names->mask + 1) * sizeof(int));
	for (int i = 0; i < names->n; i++)
	{
		names->names[i] = at;
		names->lengths[i] = strlen(at);
		names->slots[names_slot(names, at, names->lengths[i])] = i + 1;
		at += names->lengths[i] + 1;
	}
}

/* Returns the number of a name; rows may only use those that were given. */
static int
names_find(const BuildNames *names, Datum value)
{
	text *name = DatumGetTextPP(value);
	int index = names->slots[names_slot(names, VARDATA_ANY(name),
										VARSIZE_ANY_EXHDR(name))] -
				1;

	if (index < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" is not one of the names of "
							   "profile_build()",
							   text_to_cstring(name))));
	return index;
}

/* Returns what a value of an enum means, by a function asked once. */
static int
enum_meaning(BuildEnum *cache, Oid value, int (*ask)(Oid value))
{
	for (int i = 0; i < cache->n; i++)
		if (cache->values[i] == value)
			return cache->meanings[i];
	if (cache->n == BUILD_ENUM_CACHE)
		return ask(value);
	cache->values[cache->n] = value;
	cache->meanings[cache->n] = ask(value);
	return cache->meanings[cache->n++];
}

/* Returns the number of a cabin. */
static int
build_cabin(Oid value)
{
	return profile_cabin(value);
}

/* Sink: begins a store. */
static void *
build_begin(const void *bytes, double rows)
{
	BuildSink *sink = palloc0(sizeof(BuildSink));
	Size size = sizeof(BuildArgs) + ((const BuildArgs *) bytes)->size;
	BuildArgs *args = palloc(size);

	memcpy(args, bytes, size);
	sink->group = core_group_create(args->record);
	names_begin(&sink->names, args);
	sink->row = AllocSetContextCreate(CurrentMemoryContext, "iaros row",
									  ALLOCSET_SMALL_SIZES);
	return sink;
}

/* Returns a column that must not be NULL. */
static inline Datum
slot_need(TupleTableSlot *slot, int column)
{
	if (slot->tts_isnull[column])
		ereport(
			ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("column \"%s\" of a source of profile_build() is NULL",
					NameStr(TupleDescAttr(slot->tts_tupleDescriptor, column)
								->attname))));
	return slot->tts_values[column];
}

/* Returns a time of a row. */
static inline TimestampTz
slot_time(TupleTableSlot *slot, int column)
{
	TimestampTz at = DatumGetTimestampTz(slot_need(slot, column));

	if (TIMESTAMP_NOT_FINITE(at))
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("a time of a source of profile_build() is not "
							   "finite")));
	return at;
}

/* Reads where and when a booking goes. */
static void
booking_journey(TupleTableSlot *slot, ProfileBooking *booking)
{
	booking->departure = PROFILE_NO_DEPARTURE;
	if (!slot->tts_isnull[BUILD_ORIGIN] &&
		!slot->tts_isnull[BUILD_DESTINATION])
	{
		booking->origin =
			profile_airport(DatumGetBpCharPP(slot->tts_values[BUILD_ORIGIN]));
		booking->destination = profile_airport(
			DatumGetBpCharPP(slot->tts_values[BUILD_DESTINATION]));
	}
	if (!slot->tts_isnull[BUILD_DEPARTURE])
		booking->departure = slot_time(slot, BUILD_DEPARTURE);
	profile_facts(booking);
}

/* Adds a booking to the store. */
static void
booking_add(BuildSink *sink, TupleTableSlot *slot, int status)
{
	ProfileBooking booking = {0};
	BuildBooking *record;

	booking_journey(slot, &booking);
	record = core_group_add(sink->group,
							DatumGetInt64(slot_need(slot, BUILD_PERSON)),
							slot_time(slot, BUILD_BOOKED_AT));
	memset((char *) record + sizeof(CoreRecord), 0,
		   sizeof(BuildBooking) - sizeof(CoreRecord));
	record->owner = DatumGetInt64(slot_need(slot, BUILD_OWNER));
	record->id = DatumGetInt64(slot_need(slot, BUILD_BOOKING));
	record->status = status;
	record->amount =
		slot->tts_isnull[BUILD_AMOUNT]
			? 0
			: profile_amount(DatumGetNumeric(slot->tts_values[BUILD_AMOUNT]));
	if (!slot->tts_isnull[BUILD_CABIN])
		record->cabin = enum_meaning(
			&sink->cabins, DatumGetObjectId(slot->tts_values[BUILD_CABIN]),
			build_cabin);
	record->channel =
		slot->tts_isnull[BUILD_CHANNEL]
			? -1
			: names_find(&sink->names, slot->tts_values[BUILD_CHANNEL]);
	record->party = DatumGetInt32(slot_need(slot, BUILD_PARTY));
	if (record->party < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("party_size must be at least 1")));
	record->departure = booking.departure;
	record->origin = booking.origin;
	record->destination = booking.destination;
	record->reach = booking.reach;
	record->haul = booking.haul;
	record->weekday = booking.weekday;
	record->season = booking.season;
	record->region = booking.region;
}

/* Sink: takes a booking. */
static void
booking_receive(void *state, TupleTableSlot *slot)
{
	BuildSink *sink = state;
	MemoryContext caller = MemoryContextSwitchTo(sink->row);
	int status;

	slot_getsomeattrs(slot, BUILD_BOOKING_COLUMNS);
	status = enum_meaning(&sink->statuses,
						  DatumGetObjectId(slot_need(slot, BUILD_STATUS)),
						  profile_status);
	if (status >= 0)
		booking_add(sink, slot, status);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(sink->row);
}

/* Sink: takes a line of a booking. */
static void
item_receive(void *state, TupleTableSlot *slot)
{
	BuildSink *sink = state;
	BuildItem *record;

	slot_getsomeattrs(slot, BUILD_ITEM_COLUMNS);
	record = core_group_add(sink->group,
							DatumGetInt64(slot_need(slot, BUILD_PERSON)),
							DatumGetInt64(slot_need(slot, BUILD_BOOKING)));
	record->owner = DatumGetInt64(slot_need(slot, BUILD_OWNER));
	record->lines = DatumGetInt32(slot_need(slot, BUILD_ITEMS));
}

/* Sink: takes an entry of a series. */
static void
entry_receive(void *state, TupleTableSlot *slot)
{
	BuildSink *sink = state;
	MemoryContext caller = MemoryContextSwitchTo(sink->row);
	BuildEntry *record;
	bool valued;

	slot_getsomeattrs(slot, BUILD_ENTRY_COLUMNS);
	valued = !slot->tts_isnull[BUILD_ID] && !slot->tts_isnull[BUILD_VALUE];
	record = core_group_add(sink->group,
							DatumGetInt64(slot_need(slot, BUILD_PERSON)),
							slot_time(slot, BUILD_AT));
	record->name = names_find(&sink->names, slot_need(slot, BUILD_KIND));
	record->id = valued ? DatumGetInt64(slot->tts_values[BUILD_ID]) : 0;
	record->value = valued ? DatumGetInt64(slot->tts_values[BUILD_VALUE]) : 0;
	record->flags = valued ? PROFILE_VALUED : 0;
	if (!slot->tts_isnull[BUILD_VISIT] &&
		DatumGetBool(slot->tts_values[BUILD_VISIT]))
		record->flags |= PROFILE_VISIT;
	MemoryContextSwitchTo(caller);
	MemoryContextReset(sink->row);
}

/* Sink: a worker's records go to shared memory. */
static dsa_pointer
build_publish(void *state, dsa_area *area)
{
	return core_group_publish(((BuildSink *) state)->group, area);
}

/* Sink: the leader takes a worker's records. */
static void
build_merge(void *state, dsa_area *area, dsa_pointer published)
{
	core_group_adopt(((BuildSink *) state)->group, area, published);
}

static const CoreSink build_sinks[] = {
	{"profile bookings", build_begin, booking_receive, build_publish,
	 build_merge},
	{"profile items", build_begin, item_receive, build_publish, build_merge},
	{"profile entries", build_begin, entry_receive, build_publish,
	 build_merge},
};

/* The types of the columns of each source, and the bytes of a record. */
static const struct
{
	const char *name;
	Size record;
	int ncolumns;
	Oid types[BUILD_BOOKING_COLUMNS]; /* InvalidOid: an enum */
} build_sources[] = {
	{"bookings",
	 sizeof(BuildBooking),
	 BUILD_BOOKING_COLUMNS,
	 {INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID, InvalidOid, NUMERICOID,
	  InvalidOid, TEXTOID, BPCHAROID, BPCHAROID, INT4OID, TIMESTAMPTZOID}},
	{"items",
	 sizeof(BuildItem),
	 BUILD_ITEM_COLUMNS,
	 {INT8OID, INT8OID, INT8OID, INT4OID}},
	{"entries",
	 sizeof(BuildEntry),
	 BUILD_ENTRY_COLUMNS,
	 {INT8OID, TEXTOID, TIMESTAMPTZOID, BOOLOID, INT8OID, INT8OID}},
};

/* Raises an error unless the columns of a source are as they must be. */
static void
build_check(int i, TupleDesc desc)
{
	if (desc->natts != build_sources[i].ncolumns)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("source %s of profile_build() has %d columns",
						build_sources[i].name, desc->natts),
				 errdetail("It must have %d.", build_sources[i].ncolumns)));
	for (int c = 0; c < desc->natts; c++)
	{
		Oid type = getBaseType(TupleDescAttr(desc, c)->atttypid);
		Oid wanted = build_sources[i].types[c];

		if (OidIsValid(wanted) ? type != wanted : !type_is_enum(type))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of source %s of profile_build() is "
							"of type %s",
							NameStr(TupleDescAttr(desc, c)->attname),
							build_sources[i].name, format_type_be(type)),
					 errdetail("It must be %s.", OidIsValid(wanted)
													 ? format_type_be(wanted)
													 : "an enum")));
	}
}

/* Returns the arguments of the sinks with the names of an array. */
static BuildArgs *
build_args(ArrayType *array)
{
	BuildArgs *args;
	Datum *names;
	bool *nulls;
	char *at;
	int n;
	Size size = 0;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls,
					  &n);
	for (int i = 0; i < n; i++)
		size += nulls[i] ? 0 : VARSIZE_ANY_EXHDR(names[i]) + 1;
	args = palloc0(sizeof(BuildArgs) + size);
	args->size = size;
	at = (char *) (args + 1);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			continue;
		text_to_cstring_buffer(DatumGetTextPP(names[i]), at,
							   VARSIZE_ANY_EXHDR(names[i]) + 1);
		at += strlen(at) + 1;
		args->nnames++;
	}
	if (args->nnames > BUILD_NAMES_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("profile_build() takes at most %d names",
							   BUILD_NAMES_MAX)));
	return args;
}

/* Adds the bookings of the person at whom the walk is. */
static void
person_bookings(const BuildRows *rows, ProfileHistory *history)
{
	CoreSpan span = rows->walk.spans[0];

	for (uint64 i = 0; i < span.n; i++)
	{
		const BuildBooking *record =
			(BuildBooking *) (span.first + i * sizeof(BuildBooking));
		ProfileBooking *booking = profile_history_add_booking(history);

		booking->at = record->head.order;
		booking->owner = record->owner;
		booking->id = record->id;
		booking->amount = record->amount;
		booking->departure = record->departure;
		booking->party = record->party;
		booking->origin = record->origin;
		booking->destination = record->destination;
		booking->status = record->status;
		booking->cabin = record->cabin;
		booking->reach = record->reach;
		booking->haul = record->haul;
		booking->weekday = record->weekday;
		booking->season = record->season;
		booking->region = record->region;
		if (record->channel >= 0)
			booking->channel = profile_history_name(
				history, rows->names.names[record->channel],
				rows->names.lengths[record->channel]);
	}
}

/* Adds the lines to the bookings of the person. */
static void
person_items(const BuildRows *rows, ProfileHistory *history)
{
	CoreSpan span = rows->walk.spans[1];

	if (span.n == 0)
		return;
	profile_history_sort_keys(history);
	for (uint64 i = 0; i < span.n; i++)
	{
		const BuildItem *record =
			(BuildItem *) (span.first + i * sizeof(BuildItem));
		ProfileBooking *booking =
			profile_history_key(history, record->owner, record->head.order);

		/* Lines of bookings that are held are not counted either. */
		if (booking == NULL)
			continue;
		for (int item = 0; item < PROFILE_ITEMS; item++)
			booking->items[item] += record->lines >> item & 1;
	}
}

/* Adds what the person did and said. */
static void
person_entries(const BuildRows *rows, ProfileHistory *history)
{
	CoreSpan span = rows->walk.spans[2];

	for (uint64 i = 0; i < span.n; i++)
	{
		const BuildEntry *record =
			(BuildEntry *) (span.first + i * sizeof(BuildEntry));
		ProfileSeries *series = profile_history_series(
			history, rows->names.names[record->name],
			rows->names.lengths[record->name], (uint8) record->flags);

		profile_history_add(history, series, record->head.order, record->id,
							record->value);
	}
}

/* Goes to the person of row i; rows are mostly asked for in order. */
static void
build_seek(BuildRows *rows, uint64 i)
{
	if (i < rows->next || rows->next == 0)
	{
		core_walk_begin(&rows->walk, rows->stores, lengthof(rows->stores));
		rows->next = 0;
	}
	for (; rows->next <= i; rows->next++)
		if (!core_walk_next(&rows->walk))
			elog(ERROR, "profile_build() has no row " UINT64_FORMAT, i);
}

/* Is a column wanted that is computed? */
static bool
build_wants_columns(const bool *wanted)
{
	for (int i = 0; i < profile_ncolumns + 1; i++)
		if (wanted[2 + i])
			return true;
	return false;
}

/* Gives the columns of row i: customer_id, state, due_at, the columns. */
static void
build_get(const CoreRows *core_rows, uint64 i, const bool *wanted,
		  Datum *values, bool *nulls)
{
	BuildRows *rows = (BuildRows *) core_rows;
	MemoryContext caller = CurrentMemoryContext;
	ProfileHistory *history;
	bytea *state;

	build_seek(rows, i);
	MemoryContextSwitchTo(rows->person);
	history = profile_history_create(rows->person);
	person_bookings(rows, history);
	person_items(rows, history);
	person_entries(rows, history);
	state = profile_wire_write(history, caller);
	MemoryContextSwitchTo(caller);
	values[0] = Int64GetDatum(rows->walk.key);
	values[1] = PointerGetDatum(state);
	nulls[0] = nulls[1] = false;
	if (build_wants_columns(wanted))
	{
		values[2] = TimestampTzGetDatum(
			profile_columns_read(history, rows->as_of, values + 3, nulls + 3));
		nulls[2] = false;
	}
	MemoryContextReset(rows->person);
}

/* Runs a source and returns the store of its records. */
static CoreGroup *
build_run(int i, const char *query, BuildArgs *args, BuildRows *rows)
{
	CoreSource *source = core_source_open(query);
	BuildSink *sink;

	build_check(i, source->desc);
	args->record = build_sources[i].record;
	sink = core_source_run(source, &build_sinks[i], args,
						   sizeof(BuildArgs) + args->size);
	rows->rows.workers = Max(rows->rows.workers, source->workers);
	return sink->group;
}

/* Opens profile_build(): runs the sources, groups and counts. */
static CoreRows *
build_open(TupleDesc desc, const NullableDatum *params)
{
	BuildRows *rows = palloc0(sizeof(BuildRows));
	BuildArgs *args;

	core_require_install();
	for (int i = 0; i < 5; i++)
		if (params[i].isnull)
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("an argument of profile_build() is NULL")));
	rows->as_of = DatumGetTimestampTz(params[4].value);
	if (TIMESTAMP_NOT_FINITE(rows->as_of))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a profile cannot be as of \"%s\"",
							   timestamptz_to_str(rows->as_of)),
						errhint("Give a finite time.")));
	args = build_args(DatumGetArrayTypeP(params[3].value));
	for (int i = 0; i < lengthof(rows->stores); i++)
		rows->stores[i] =
			build_run(i, TextDatumGetCString(params[i].value), args, rows);
	names_begin(&rows->names, args);
	core_walk_begin(&rows->walk, rows->stores, lengthof(rows->stores));
	while (core_walk_next(&rows->walk))
		rows->rows.n++;
	rows->rows.get = build_get;
	rows->person = AllocSetContextCreate(CurrentMemoryContext, "iaros person",
										 ALLOCSET_DEFAULT_SIZES);
	return &rows->rows;
}

PG_FUNCTION_INFO_V1(profile_build);

static const CoreStream build_stream = {
	.name = "profile_build",
	.function = profile_build,
	.open = build_open,
};

/*
 * SQL: profile_build(bookings text, items text, entries text, names text[],
 * as_of timestamptz)
 */
Datum
profile_build(PG_FUNCTION_ARGS)
{
	return core_stream_call(fcinfo, &build_stream);
}

/* Makes profile_build() known to the nodes that run it. */
void
profile_build_init(void)
{
	for (int i = 0; i < lengthof(build_sinks); i++)
		core_sink_register(&build_sinks[i]);
	core_stream_register(&build_stream);
}
