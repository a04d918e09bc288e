/*
 * Reading for features: requests, the ids of the persons requested, and the
 * rows of a source that are theirs.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "common/int.h"
#include "core/core.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "profile/feature.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* So many ids are looked up by an index, if the planner likes. */
#define READ_LISTED_MAX 2000

/* Bits of a filter: so many for each id, within bounds. */
#define FILTER_BITS_EACH 8
#define FILTER_BITS_MIN 6
#define FILTER_BITS_MAX 27

/* Columns of the query that reads a source. */
enum
{
	COLUMN_CUSTOMER,
	COLUMN_AT,
	COLUMN_SERIES,
	COLUMN_VALUE,
	COLUMN_ITEM,
	COLUMN_COUNT
};

/* An id and the person it stands for. */
typedef struct PersonEntry
{
	int64 id;
	int64 person;
} PersonEntry;

/* Ids and persons, by open addressing; one id may be any number. */
typedef struct PersonTable
{
	PersonEntry *entries;
	uint64 *used; /* a bit an entry */
	int bits;
	uint64 n;
} PersonTable;

/*
 * Tells ids that may be in a set from those that are not: a bit for each,
 * by its hash. It fits the cache where a table of the ids does not.
 */
typedef struct IdFilter
{
	uint64 *words;
	int bits; /* there are 2^bits of them */
} IdFilter;

/*
 * Arguments of the sink of a source, plain bytes. Behind them come the
 * filters of the ids to read and of the aliases among them, the aliases, the
 * table of series (numbers + 1), where the names of the series begin, and the
 * names.
 */
typedef struct RowArgs
{
	Oid types[COLUMN_COUNT];
	int known_bits;
	int alias_bits;
	int person_bits;
	int series_bits;
	int nslots;
	Size known_at;
	Size alias_at;
	Size used_at;
	Size entries_at;
	Size slots_at;
	Size starts_at;
	Size names_at;
	Size size;
} RowArgs;

/* State of the sink of a source. */
typedef struct RowState
{
	const RowArgs *args;
	IdFilter known;
	IdFilter alias;
	PersonTable persons; /* aliases only */
	const uint16 *slots;
	const uint32 *starts;
	const char *names;
	CoreGroup *rows;
	MemoryContext context; /* what reading one row takes */
} RowState;

/* Arguments of the sink of pairs. */
typedef struct PairArgs
{
	Oid types[2];
	bool requests; /* and not aliases */
} PairArgs;

/* State of the sink of pairs of a bigint and a time or a bigint. */
typedef struct PairState
{
	PairArgs args;
	CoreGroup *pairs;
} PairState;

/* Spreads ids over the table (finaliser of splitmix64). */
static inline uint64
person_hash(int64 id)
{
	uint64 hash = (uint64) id;

	hash = (hash ^ (hash >> 30)) * UINT64CONST(0xbf58476d1ce4e5b9);
	hash = (hash ^ (hash >> 27)) * UINT64CONST(0x94d049bb133111eb);
	return hash ^ (hash >> 31);
}

/* Returns where an id is, or would be. */
static inline uint64
person_slot(const PersonTable *table, int64 id, bool *found)
{
	uint64 mask = (UINT64CONST(1) << table->bits) - 1;
	uint64 slot = person_hash(id);

	for (;; slot++)
	{
		slot &= mask;
		*found = (table->used[slot / 64] >> (slot % 64)) & 1;
		if (!*found || table->entries[slot].id == id)
			return slot;
	}
}

/* Allocates the entries of a table. */
static void
person_allocate(PersonTable *table, int bits)
{
	Size n = (Size) 1 << bits;

	table->bits = bits;
	table->entries = palloc_extended(n * sizeof(PersonEntry), MCXT_ALLOC_HUGE);
	table->used = palloc_extended(Max(n / 8, sizeof(uint64)),
								  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* Says what person an id stands for. */
static void
person_put(PersonTable *table, int64 id, int64 person)
{
	bool found;
	uint64 slot;

	if (table->n * 2 >= UINT64CONST(1) << table->bits)
	{
		PersonTable old = *table;

		person_allocate(table, old.bits + 1);
		table->n = 0;
		for (uint64 i = 0; i < UINT64CONST(1) << old.bits; i++)
			if ((old.used[i / 64] >> (i % 64)) & 1)
				person_put(table, old.entries[i].id, old.entries[i].person);
		pfree(old.entries);
		pfree(old.used);
	}
	slot = person_slot(table, id, &found);
	table->entries[slot].id = id;
	table->entries[slot].person = person;
	table->used[slot / 64] |= UINT64CONST(1) << (slot % 64);
	table->n += !found;
}

/* Finds the person that an id stands for; false when it is not there. */
static inline bool
person_get(const PersonTable *table, int64 id, int64 *person)
{
	bool found;
	uint64 slot = person_slot(table, id, &found);

	if (found)
		*person = table->entries[slot].person;
	return found;
}

/* Returns how many bits, as a power of 2, a filter of n ids needs. */
static int
filter_bits(uint64 n)
{
	int bits = FILTER_BITS_MIN;

	while (bits < FILTER_BITS_MAX &&
		   UINT64CONST(1) << bits < n * FILTER_BITS_EACH)
		bits++;
	return bits;
}

/* Adds an id, by its hash. */
static inline void
filter_add(IdFilter *filter, uint64 hash)
{
	uint64 bit = hash >> (64 - filter->bits);

	filter->words[bit / 64] |= UINT64CONST(1) << (bit % 64);
}

/* Tells whether an id may be there. */
static inline bool
filter_has(const IdFilter *filter, uint64 hash)
{
	uint64 bit = hash >> (64 - filter->bits);

	return (filter->words[bit / 64] >> (bit % 64)) & 1;
}

/* Reads an integer of one of the three types. */
static inline int64
integer_get(Datum value, Oid type)
{
	if (type == INT8OID)
		return DatumGetInt64(value);
	return type == INT4OID ? DatumGetInt32(value) : DatumGetInt16(value);
}

/* Sink of pairs: begins a store. */
static void *
pair_begin(const void *args, double rows)
{
	PairState *state = palloc(sizeof(PairState));

	memcpy(&state->args, args, sizeof(PairArgs));
	state->pairs = core_group_create(sizeof(CoreRecord));
	return state;
}

/* Raises an error for a request without customer or time. */
static void
request_check(const TupleTableSlot *slot, const PairArgs *args)
{
	for (int i = 0; i < 2; i++)
		if (slot->tts_isnull[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("%s of a request is NULL",
								   i == 0 ? "customer_id" : "as_of")));
	if (TIMESTAMP_NOT_FINITE(DatumGetTimestampTz(slot->tts_values[1])))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("as_of of a request is not finite"),
				 errdetail("It is that of customer " INT64_FORMAT ".",
						   integer_get(slot->tts_values[0], args->types[0]))));
}

/* Sink of pairs: adds one. */
static void
pair_receive(void *sink_state, TupleTableSlot *slot)
{
	PairState *state = sink_state;
	int64 second;

	slot_getsomeattrs(slot, 2);
	if (state->args.requests)
		request_check(slot, &state->args);
	else if (slot->tts_isnull[0] || slot->tts_isnull[1])
		return;
	second = state->args.requests
				 ? DatumGetTimestampTz(slot->tts_values[1])
				 : integer_get(slot->tts_values[1], state->args.types[1]);
	(void) core_group_add(
		state->pairs, integer_get(slot->tts_values[0], state->args.types[0]),
		second);
}

/* Sink of pairs: a worker's pairs go to shared memory. */
static dsa_pointer
pair_publish(void *state, dsa_area *area)
{
	return core_group_publish(((PairState *) state)->pairs, area);
}

/* Sink of pairs: the leader takes those of a worker. */
static void
pair_merge(void *state, dsa_area *area, dsa_pointer published)
{
	core_group_adopt(((PairState *) state)->pairs, area, published);
}

static const CoreSink pair_sink = {
	.name = "feature pairs",
	.begin = pair_begin,
	.receive = pair_receive,
	.publish = pair_publish,
	.merge = pair_merge,
};

/* Finds the series of a row, or the nearest one that it is part of. */
static int
row_slot(const RowState *state, const char *series, int length)
{
	uint32 mask = (1U << state->args->series_bits) - 1;

	while (length > 0)
	{
		uint32 at = hash_bytes((const unsigned char *) series, length) & mask;

		for (; state->slots[at] != 0; at = (at + 1) & mask)
		{
			int slot = state->slots[at] - 1;
			uint32 start = state->starts[slot];

			if (state->starts[slot + 1] - start == length &&
				memcmp(state->names + start, series, length) == 0)
				return slot;
		}
		do
			length--;
		while (length > 0 && series[length] != '.');
	}
	return -1;
}

/* Raises the error for a value that is not finite. */
static void
row_error_value(const FeatureRow *row)
{
	ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					errmsg("value of customer " INT64_FORMAT
						   " is not finite, or too large",
						   row->head.key)));
}

/* Writes a float as the value of a row: a decimal where it is a short one. */
static void
row_put_float(FeatureRow *row, float8 value)
{
	float8 scaled = rint(value * FEATURE_UNIT);

	if (!isfinite(value))
		row_error_value(row);
	if (fabs(scaled) < 1e15 && scaled / FEATURE_UNIT == value)
	{
		row->value = (int64) scaled;
		row->kind = FEATURE_VALUE_SCALED;
		return;
	}
	memcpy(&row->value, &value, sizeof(float8));
	row->kind = FEATURE_VALUE_FLOAT;
}

/* Writes a numeric as the value of a row. */
static void
row_put_numeric(FeatureRow *row, Datum value)
{
	Numeric number = (Numeric) PG_DETOAST_DATUM_PACKED(value);

	if (likely(core_numeric_scaled(number, FEATURE_SCALE, &row->value)))
	{
		row->kind = FEATURE_VALUE_SCALED;
		return;
	}
	if (numeric_is_nan(DatumGetNumeric(PointerGetDatum(number))) ||
		numeric_is_inf(DatumGetNumeric(PointerGetDatum(number))))
		row_error_value(row);
	row_put_float(
		row, DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
												PointerGetDatum(number))));
}

/* Writes the value of a row. */
static void
row_put_value(FeatureRow *row, Datum value, Oid type)
{
	int64 number;

	switch (type)
	{
		case NUMERICOID:
			row_put_numeric(row, value);
			return;
		case FLOAT8OID:
			row_put_float(row, DatumGetFloat8(value));
			return;
		case FLOAT4OID:
			row_put_float(row, DatumGetFloat4(value));
			return;
		default:
			number = integer_get(value, type);
			row->kind = FEATURE_VALUE_SCALED;
			if (pg_mul_s64_overflow(number, (int64) FEATURE_UNIT, &row->value))
				row_put_float(row, (float8) number);
	}
}

/*
 * Writes the item of a row: a hash tells it from other items of its series,
 * as the source names that.
 */
static void
row_put_item(FeatureRow *row, Datum value, const text *series)
{
	text *item = (text *) PG_DETOAST_DATUM_PACKED(value);
	uint64 seed =
		hash_bytes_extended((const unsigned char *) VARDATA_ANY(series),
							(int) VARSIZE_ANY_EXHDR(series), 0);

	row->kind = FEATURE_VALUE_ITEM;
	row->value =
		(int64) hash_bytes_extended((const unsigned char *) VARDATA_ANY(item),
									(int) VARSIZE_ANY_EXHDR(item), seed);
}

/* Sink of a source: begins a store. */
static void *
row_begin(const void *bytes, double rows)
{
	RowState *state = palloc(sizeof(RowState));
	const RowArgs *args = bytes;
	char *base = (char *) bytes;

	state->args = args;
	state->known.bits = args->known_bits;
	state->known.words = (uint64 *) (base + args->known_at);
	state->alias.bits = args->alias_bits;
	state->alias.words = (uint64 *) (base + args->alias_at);
	state->persons.bits = args->person_bits;
	state->persons.used = (uint64 *) (base + args->used_at);
	state->persons.entries = (PersonEntry *) (base + args->entries_at);
	state->slots = (const uint16 *) (base + args->slots_at);
	state->starts = (const uint32 *) (base + args->starts_at);
	state->names = base + args->names_at;
	state->rows = core_group_create(sizeof(FeatureRow));
	state->context = AllocSetContextCreate(
		CurrentMemoryContext, "iaros feature row", ALLOCSET_SMALL_SIZES);
	return state;
}

/* Adds a row that has a customer, a time and a series. */
static inline void
row_add(RowState *state, const Datum *values, const bool *nulls)
{
	const RowArgs *args = state->args;
	TimestampTz at = DatumGetTimestampTz(values[COLUMN_AT]);
	int64 person =
		integer_get(values[COLUMN_CUSTOMER], args->types[COLUMN_CUSTOMER]);
	FeatureRow value = {{0}};
	uint64 hash;
	FeatureRow *row;
	text *series;
	int slot;

	hash = person_hash(person);
	if (!filter_has(&state->known, hash))
		return;
	if (filter_has(&state->alias, hash))
		(void) person_get(&state->persons, person, &person);
	series = (text *) PG_DETOAST_DATUM_PACKED(values[COLUMN_SERIES]);
	slot =
		row_slot(state, VARDATA_ANY(series), (int) VARSIZE_ANY_EXHDR(series));
	if (slot < 0)
		return;
	if (unlikely(TIMESTAMP_NOT_FINITE(at)))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("time of customer " INT64_FORMAT " is not finite",
						person)));
	value.head.key = person;
	if (!nulls[COLUMN_ITEM])
		row_put_item(&value, values[COLUMN_ITEM], series);
	else if (!nulls[COLUMN_VALUE])
		row_put_value(&value, values[COLUMN_VALUE], args->types[COLUMN_VALUE]);
	row = core_group_add(state->rows, person, at);
	row->value = value.value;
	row->slot = slot;
	row->kind = value.kind;
}

/* Sink of a source: adds a row, unless it belongs to nobody. */
static void
row_receive(void *sink_state, TupleTableSlot *slot)
{
	RowState *state = sink_state;
	MemoryContext caller;

	slot_getsomeattrs(slot, COLUMN_COUNT);
	if (slot->tts_isnull[COLUMN_CUSTOMER] || slot->tts_isnull[COLUMN_AT] ||
		slot->tts_isnull[COLUMN_SERIES])
		return;
	caller = MemoryContextSwitchTo(state->context);
	row_add(state, slot->tts_values, slot->tts_isnull);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(state->context);
}

/* Sink of a source: a worker's rows go to shared memory. */
static dsa_pointer
row_publish(void *state, dsa_area *area)
{
	return core_group_publish(((RowState *) state)->rows, area);
}

/* Sink of a source: the leader takes those of a worker. */
static void
row_merge(void *state, dsa_area *area, dsa_pointer published)
{
	core_group_adopt(((RowState *) state)->rows, area, published);
}

static const CoreSink row_sink = {
	.name = "feature rows",
	.begin = row_begin,
	.receive = row_receive,
	.publish = row_publish,
	.merge = row_merge,
};

/* Returns the type of a column of a source, which must be one of a list. */
static Oid
read_column(const CoreSource *source, const char *what, const char *name,
			const Oid *types, const char *wanted)
{
	int attno = core_source_attno(source, name);
	Oid type;

	if (attno == 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("the %s has no column %s", what, name),
						errdetail("It has %s.", core_source_columns(source)),
						errhint("Name its columns in a query.")));
	type = getBaseType(TupleDescAttr(source->desc, attno - 1)->atttypid);
	for (int i = 0; OidIsValid(types[i]); i++)
		if (types[i] == type)
			return type;
	ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
					errmsg("column %s of the %s is of type %s", name, what,
						   format_type_be(type)),
					errdetail("It must be %s.", wanted),
					errhint("Make it one in a query.")));
	return InvalidOid;
}

static const Oid integer_types[] = {INT8OID, INT4OID, INT2OID, InvalidOid};
static const Oid time_types[] = {TIMESTAMPTZOID, InvalidOid};
static const Oid text_types[] = {TEXTOID, VARCHAROID, InvalidOid};
static const Oid number_types[] = {NUMERICOID, INT8OID,   INT4OID,   INT2OID,
								   FLOAT8OID,  FLOAT4OID, InvalidOid};

#define INTEGERS "smallint, integer or bigint"

/* Appends a list of ids as a constant array. */
static void
append_ids(StringInfo query, const int64 *ids, uint64 n)
{
	appendStringInfoString(query, "'{");
	for (uint64 i = 0; i < n; i++)
		appendStringInfo(query, i == 0 ? INT64_FORMAT : "," INT64_FORMAT,
						 ids[i]);
	appendStringInfoString(query, "}'::pg_catalog.int8[]");
}

/*
 * Reads pairs out of a relation or a query: two of its columns, of the rows
 * where a column is one of some ids, or of all when there are none.
 */
static CoreGroup *
read_pairs(const char *text, const char *where, const int64 *ids, uint64 n)
{
	CoreSource *source = core_source_open(text);
	bool requests = where == NULL;
	const char *what = requests ? "query of requests" : "source of aliases";
	const char *second = requests ? "as_of" : "master_id";
	PairArgs args = {.requests = requests};
	StringInfoData query;
	PairState *state;

	args.types[0] =
		read_column(source, what, "customer_id", integer_types, INTEGERS);
	args.types[1] =
		requests ? read_column(source, what, second, time_types,
							   "timestamp with time zone")
				 : read_column(source, what, second, integer_types, INTEGERS);
	initStringInfo(&query);
	appendStringInfo(&query, "SELECT s.customer_id, s.%s FROM (%s) s", second,
					 source->query);
	if (n > 0)
	{
		appendStringInfo(&query, " WHERE s.%s OPERATOR(pg_catalog.=) ANY (",
						 where);
		append_ids(&query, ids, n);
		appendStringInfoChar(&query, ')');
	}
	state = core_source_run(core_source_open(query.data), &pair_sink, &args,
							sizeof(args));
	return state->pairs;
}

/* Returns the different keys of a store. */
static int64 *
read_keys(CoreGroup *group, uint64 *n)
{
	uint64 size = core_group_count(group);
	int64 *keys =
		palloc_extended(Max(size, 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	CoreWalk walk;

	*n = 0;
	core_walk_begin(&walk, &group, 1);
	while (core_walk_next(&walk))
		keys[(*n)++] = walk.key;
	return keys;
}

/* Calls a function for each alias and its master. */
static void
aliases_each(CoreGroup *aliases, PersonTable *persons,
			 void (*call)(PersonTable *, int64, int64))
{
	CoreWalk walk;

	core_walk_begin(&walk, &aliases, 1);
	while (core_walk_next(&walk))
		call(persons, walk.key, ((CoreRecord *) walk.spans[0].first)->order);
}

/* Lets a requested id that is an alias stand for its master. */
static void
alias_requested(PersonTable *persons, int64 alias, int64 master)
{
	int64 person;

	if (!person_get(persons, alias, &person))
		return;
	person_put(persons, alias, master);
	person_put(persons, master, master);
}

/* Lets an alias of a requested person stand for it. */
static void
alias_of_requested(PersonTable *persons, int64 alias, int64 master)
{
	int64 person;

	if (person_get(persons, master, &person) && person == master)
		person_put(persons, alias, master);
}

/* Finds the persons of the requested ids, and all ids of theirs. */
static void
read_persons(PersonTable *persons, const char *aliases, const int64 *ids,
			 uint64 n)
{
	bool few = n <= READ_LISTED_MAX;
	CoreGroup *pairs;

	person_allocate(persons, 4);
	for (uint64 i = 0; i < n; i++)
		person_put(persons, ids[i], ids[i]);
	if (aliases == NULL || n == 0)
		return;
	pairs = read_pairs(aliases, "customer_id", ids, few ? n : 0);
	aliases_each(pairs, persons, alias_requested);
	if (few)
	{
		int64 *masters = palloc(n * sizeof(int64));

		for (uint64 i = 0; i < n; i++)
			(void) person_get(persons, ids[i], &masters[i]);
		pairs = read_pairs(aliases, "master_id", masters, n);
	}
	aliases_each(pairs, persons, alias_of_requested);
}

/* Returns the requests under the persons that they are of. */
static CoreGroup *
read_fold(CoreGroup *requests, const PersonTable *persons)
{
	CoreGroup *folded = core_group_create(sizeof(FeatureRequest));
	CoreWalk walk;

	core_walk_begin(&walk, &requests, 1);
	while (core_walk_next(&walk))
	{
		const CoreRecord *record = (CoreRecord *) walk.spans[0].first;
		int64 person = walk.key;

		(void) person_get(persons, walk.key, &person);
		for (uint64 i = 0; i < walk.spans[0].n; i++)
		{
			FeatureRequest *request =
				core_group_add(folded, person, record[i].order);

			request->customer_id = walk.key;
		}
	}
	return folded;
}

/* Finds the first and the last time of requests. */
static void
read_times(CoreGroup *requests, TimestampTz *first, TimestampTz *last)
{
	CoreWalk walk;

	*first = DT_NOEND;
	*last = DT_NOBEGIN;
	core_walk_begin(&walk, &requests, 1);
	while (core_walk_next(&walk))
	{
		const CoreRecord *record = (CoreRecord *) walk.spans[0].first;

		*first = Min(*first, record[0].order);
		*last = Max(*last, record[walk.spans[0].n - 1].order);
	}
}

/*
 * Returns the query that reads a source: its columns, of the ids when they
 * are few, and of the times that any window of a request covers.
 */
static char *
row_query(const FeaturePlan *plan, const CoreSource *source,
		  CoreGroup *requests, const PersonTable *persons)
{
	StringInfoData query;
	TimestampTz first;
	TimestampTz last;
	int64 longest = plan->windows[plan->nwindows - 1] * USECS_PER_DAY;
	bool items = core_source_attno(source, "item") > 0;

	read_times(requests, &first, &last);
	initStringInfo(&query);
	appendStringInfo(
		&query,
		"SELECT s.customer_id, s.at, s.series, %s, %s FROM (%s) s "
		"WHERE s.at OPERATOR(pg_catalog.<=) '%s'::pg_catalog.timestamptz",
		core_source_attno(source, "value") > 0 ? "s.value"
											   : "NULL::pg_catalog.int8",
		items ? "s.item" : "NULL::pg_catalog.text", source->query,
		timestamptz_to_str(last));
	/* The first row of an item may be before all windows. */
	if (!plan->forever && !items && first > MIN_TIMESTAMP + longest)
		appendStringInfo(
			&query,
			" AND s.at OPERATOR(pg_catalog.>) '%s'::pg_catalog.timestamptz",
			timestamptz_to_str(first - longest));
	if (persons->n <= READ_LISTED_MAX)
	{
		int64 *ids = palloc(Max(persons->n, 1) * sizeof(int64));
		uint64 n = 0;

		for (uint64 i = 0; i < UINT64CONST(1) << persons->bits; i++)
			if ((persons->used[i / 64] >> (i % 64)) & 1)
				ids[n++] = persons->entries[i].id;
		appendStringInfoString(
			&query, " AND s.customer_id OPERATOR(pg_catalog.=) ANY (");
		append_ids(&query, ids, n);
		appendStringInfoChar(&query, ')');
	}
	return query.data;
}

/* Returns where the next part begins, behind one of that size. */
static Size
layout_add(Size *at, Size size)
{
	Size start = *at;

	*at = add_size(start, MAXALIGN(size));
	return start;
}

/* Lays out the arguments of the sink. */
static RowArgs
row_layout(const FeaturePlan *plan, uint64 nknown, const PersonTable *aliases)
{
	RowArgs args = {0};
	Size nentries = (Size) 1 << aliases->bits;
	Size names = 0;

	for (int i = 0; i < plan->nslots; i++)
		names += strlen(plan->series[i]);
	args.nslots = plan->nslots;
	args.known_bits = filter_bits(nknown);
	args.alias_bits = filter_bits(aliases->n);
	args.person_bits = aliases->bits;
	args.series_bits = pg_ceil_log2_32(2 * plan->nslots + 1);
	args.size = MAXALIGN(sizeof(RowArgs));
	args.known_at = layout_add(&args.size, (Size) 1 << (args.known_bits - 3));
	args.alias_at = layout_add(&args.size, (Size) 1 << (args.alias_bits - 3));
	args.used_at = layout_add(&args.size, Max(nentries / 8, sizeof(uint64)));
	args.entries_at = layout_add(&args.size, nentries * sizeof(PersonEntry));
	args.slots_at = layout_add(&args.size, ((Size) 1 << args.series_bits) *
											   sizeof(uint16));
	args.starts_at =
		layout_add(&args.size, (plan->nslots + 1) * sizeof(uint32));
	args.names_at = layout_add(&args.size, names);
	return args;
}

/* Writes the series of a plan into the arguments of the sink. */
static void
row_put_series(RowArgs *args, const FeaturePlan *plan)
{
	char *base = (char *) args;
	uint16 *slots = (uint16 *) (base + args->slots_at);
	uint32 *starts = (uint32 *) (base + args->starts_at);
	uint32 mask = (1U << args->series_bits) - 1;
	uint32 start = 0;

	for (int i = 0; i < plan->nslots; i++)
	{
		int length = strlen(plan->series[i]);
		uint32 at =
			hash_bytes((const unsigned char *) plan->series[i], length) & mask;

		while (slots[at] != 0)
			at = (at + 1) & mask;
		slots[at] = i + 1;
		starts[i] = start;
		memcpy(base + args->names_at + start, plan->series[i], length);
		start += length;
	}
	starts[plan->nslots] = start;
}

/* Copies the ids that are aliases to a table of their own. */
static void
row_aliases(PersonTable *aliases, const PersonTable *persons)
{
	person_allocate(aliases, 4);
	for (uint64 i = 0; i < UINT64CONST(1) << persons->bits; i++)
		if (((persons->used[i / 64] >> (i % 64)) & 1) &&
			persons->entries[i].id != persons->entries[i].person)
			person_put(aliases, persons->entries[i].id,
					   persons->entries[i].person);
}

/* Fills a filter with the ids of a table. */
static void
row_put_filter(IdFilter filter, const PersonTable *persons)
{
	for (uint64 i = 0; i < UINT64CONST(1) << persons->bits; i++)
		if ((persons->used[i / 64] >> (i % 64)) & 1)
			filter_add(&filter, person_hash(persons->entries[i].id));
}

/* Makes the arguments of the sink. */
static RowArgs *
row_args(const FeaturePlan *plan, const PersonTable *persons)
{
	PersonTable aliases = {0};
	RowArgs layout;
	char *base;

	row_aliases(&aliases, persons);
	layout = row_layout(plan, persons->n, &aliases);
	base = palloc_extended(layout.size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	memcpy(base, &layout, sizeof(RowArgs));
	row_put_filter((IdFilter){.words = (uint64 *) (base + layout.known_at),
							  .bits = layout.known_bits},
				   persons);
	row_put_filter((IdFilter){.words = (uint64 *) (base + layout.alias_at),
							  .bits = layout.alias_bits},
				   &aliases);
	memcpy(base + layout.used_at, aliases.used,
		   Max(((Size) 1 << aliases.bits) / 8, sizeof(uint64)));
	memcpy(base + layout.entries_at, aliases.entries,
		   ((Size) 1 << aliases.bits) * sizeof(PersonEntry));
	row_put_series((RowArgs *) base, plan);
	return (RowArgs *) base;
}

/* Finds the types of the columns of a source. */
static void
row_types(const CoreSource *source, Oid *types)
{
	types[COLUMN_CUSTOMER] =
		read_column(source, "source", "customer_id", integer_types, INTEGERS);
	types[COLUMN_AT] = read_column(source, "source", "at", time_types,
								   "timestamp with time zone");
	types[COLUMN_SERIES] = read_column(source, "source", "series", text_types,
									   "text or character varying");
	if (core_source_attno(source, "value") > 0)
		types[COLUMN_VALUE] = read_column(
			source, "source", "value", number_types,
			"numeric, smallint, integer, bigint, real or double precision");
	if (core_source_attno(source, "item") > 0)
		types[COLUMN_ITEM] = read_column(source, "source", "item", text_types,
										 "text or character varying");
}

/* Reads the rows of a source that the requests need. */
FeatureData
feature_read(const FeaturePlan *plan, const char *text, const char *requests,
			 const char *aliases)
{
	CoreSource *source = core_source_open(text);
	PersonTable persons = {0};
	Oid types[COLUMN_COUNT] = {0};
	CoreGroup *pairs;
	CoreSource *reading;
	RowArgs *args;
	RowState *state;
	int64 *ids;
	uint64 n;

	row_types(source, types);
	pairs = read_pairs(requests, NULL, NULL, 0);
	ids = read_keys(pairs, &n);
	read_persons(&persons, aliases, ids, n);
	pfree(ids);
	args = row_args(plan, &persons);
	memcpy(args->types, types, sizeof(types));
	reading = core_source_open(row_query(plan, source, pairs, &persons));
	state = core_source_run(reading, &row_sink, args, args->size);
	return (FeatureData){.requests = read_fold(pairs, &persons),
						 .rows = state->rows,
						 .workers = reading->workers};
}

/* Makes the sinks known; at library load. */
void
feature_read_init(void)
{
	core_sink_register(&pair_sink);
	core_sink_register(&row_sink);
}
