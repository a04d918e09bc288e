/*
 * A path_set that grows: a hash table of sequences of channel numbers, and
 * one of the names of channels. The hashes are salted, so that nobody can
 * choose names that look for one slot; no result depends on them.
 */
#include "attribution/path_set.h"

#include "attribution/path.h"
#include "common/int.h"
#include "core/core.h"
#include "core/hash.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define TABLE_BITS_MIN 4
#define TABLE_BITS_MAX 31

/* Decimals of values while they need no more. */
#define TABLE_SCALE CORE_MONEY_SCALE

/* 10 to the power of PATH_SET_SCALE - TABLE_SCALE. */
#define TABLE_WIDEN INT64CONST(100000000)

/* Raises the error for counts beyond 64 bits. */
void
path_set_error_count(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("conversions and nulls of a path_set are out of range"),
			 errdetail("Their sum over all paths, and over all touches, must "
					   "be below 2^63.")));
}

/* Raises the error for values that are too large. */
void
path_set_error_value(void)
{
	ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					errmsg("value of a path_set is out of range"),
					errdetail("The sum of the values of a path must be below "
							  "10^%d, and so must that of all paths.",
							  PATH_SET_VALUE_DIGITS)));
}

/* Raises the error for a value that is no amount. */
static void
pg_attribute_noreturn() error_amount(Datum value)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("value \"%s\" is out of range",
					DatumGetCString(DirectFunctionCall1(numeric_out, value))),
			 errdetail("A value is finite and below 10^%d.",
					   PATH_SET_VALUE_DIGITS)));
}

/* Reads a number of characters, rounded to PATH_SET_SCALE decimals. */
static int128
numeric_slow(Datum value)
{
	char *text = DatumGetCString(DirectFunctionCall1(
		numeric_out, DirectFunctionCall2(numeric_round, value,
										 Int32GetDatum(PATH_SET_SCALE))));
	const char *at = text + (*text == '-');
	bool point = false;
	int whole = 0;
	int decimals = 0;
	int128 sum = 0;

	for (; *at != '\0'; at++)
	{
		if (*at == '.' && !point)
		{
			point = true;
			continue;
		}
		if (*at < '0' || *at > '9')
			error_amount(value);
		whole += !point && (whole > 0 || *at != '0');
		decimals += point;
		if (whole > PATH_SET_VALUE_DIGITS)
			error_amount(value);
		sum = sum * 10 + (*at - '0');
	}
	for (; decimals < PATH_SET_SCALE; decimals++)
		sum *= 10;
	sum = *text == '-' ? -sum : sum;
	pfree(text);
	return sum;
}

/*
 * Reads a value: scaled when it has up to TABLE_SCALE decimals and then is in
 * units of the last of them, else of the last of PATH_SET_SCALE.
 */
int128
path_set_numeric(Datum value, bool *scaled)
{
	Numeric number = (Numeric) PG_DETOAST_DATUM_PACKED(value);
	int64 small;

	*scaled = core_numeric_scaled(number, TABLE_SCALE, &small);
	return *scaled ? small : numeric_slow(value);
}

/* Allocates slots that are all free. */
static PathSetSlot *
slots_create(MemoryContext context, int bits)
{
	return MemoryContextAllocExtended(context, sizeof(PathSetSlot) << bits,
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* Makes an empty table; it lives in the context and does not free. */
PathSetTable *
path_set_table_create(MemoryContext context)
{
	PathSetTable *table = MemoryContextAllocZero(context, sizeof(*table));

	table->context = context;
	table->salt = core_salt();
	table->scale = TABLE_SCALE;
	table->bits = TABLE_BITS_MIN;
	table->slots = slots_create(context, table->bits);
	table->name_bits = TABLE_BITS_MIN;
	table->name_slots = slots_create(context, table->name_bits);
	return table;
}

/* Makes an array so large that it has room for more bytes. */
static void *
array_grow(MemoryContext context, void *array, Size *size, Size needed)
{
	Size wanted = Max(*size, 64);

	while (wanted < needed)
		wanted = mul_size(wanted, 2);
	*size = wanted;
	if (array == NULL)
		return MemoryContextAllocExtended(context, wanted, MCXT_ALLOC_HUGE);
	return repalloc_huge(array, wanted);
}

/* Puts a tag with its number into the first free slot. */
static inline void
slots_put(PathSetSlot *slots, int bits, uint32 tag, uint32 number)
{
	uint32 mask = (UINT64CONST(1) << bits) - 1;
	uint32 at = tag & mask;

	while (slots[at].entry != 0)
		at = (at + 1) & mask;
	slots[at].tag = tag;
	slots[at].entry = number + 1;
}

/* Doubles slots; every one of them knows its tag. */
static PathSetSlot *
slots_double(MemoryContext context, PathSetSlot *slots, int *bits)
{
	Size n = (Size) 1 << *bits;
	PathSetSlot *larger;

	if (*bits == TABLE_BITS_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("path_set has too many paths"),
						errhint("Aggregate by groups.")));
	larger = slots_create(context, ++*bits);
	for (Size i = 0; i < n; i++)
		if (slots[i].entry != 0)
			slots_put(larger, *bits, slots[i].tag, slots[i].entry - 1);
	pfree(slots);
	return larger;
}

/* Tells whether one more is too many for slots to be quick. */
static inline bool
slots_full(uint32 used, int bits)
{
	return used >= (UINT64CONST(3) << bits) / 4;
}

/* Adds a name that is new. */
static uint32
name_add(PathSetTable *table, const char *name, int length, uint32 tag)
{
	Size needed = add_size(table->name_used, length);
	uint32 number = table->nnames;

	path_check_name("channel", name, length);
	if (slots_full(number, table->name_bits))
		table->name_slots =
			slots_double(table->context, table->name_slots, &table->name_bits);
	if (number == table->names_size)
	{
		Size size = mul_size(table->names_size, sizeof(PathSetName));

		table->names = array_grow(table->context, table->names, &size,
								  size + 16 * sizeof(PathSetName));
		table->names_size = size / sizeof(PathSetName);
	}
	if (needed > table->name_size)
		table->name_bytes = array_grow(table->context, table->name_bytes,
									   &table->name_size, needed);
	memcpy(table->name_bytes + table->name_used, name, length);
	table->names[number] = (PathSetName){table->name_used, length, tag};
	table->name_used = needed;
	table->nnames++;
	slots_put(table->name_slots, table->name_bits, tag, number);
	return number;
}

/* Returns the number of a channel. */
uint32
path_set_table_channel(PathSetTable *table, const char *name, int length)
{
	uint32 tag = core_hash_bytes(table->salt, name, length) >> 32;
	uint32 mask = (UINT64CONST(1) << table->name_bits) - 1;
	const PathSetSlot *slot;

	for (uint32 at = tag & mask; (slot = &table->name_slots[at])->entry != 0;
		 at = (at + 1) & mask)
	{
		const PathSetName *known = &table->names[slot->entry - 1];

		if (slot->tag == tag && known->length == length &&
			memcmp(table->name_bytes + known->offset, name, length) == 0)
			return slot->entry - 1;
	}
	return name_add(table, name, length, tag);
}

/* Begins a path of up to so many touches. */
void
path_set_table_begin(PathSetTable *table, Size touches)
{
	Size needed =
		add_size(table->arena_used, mul_size(touches, 5) + PATH_SET_SHORT);

	table->pending = 0;
	if (needed > table->arena_size)
		table->arena = array_grow(table->context, table->arena,
								  &table->arena_size, needed);
}

/* Adds a touch of a channel by its number. */
void
path_set_table_number(PathSetTable *table, uint32 channel)
{
	unsigned char *at = table->arena + table->arena_used + table->pending;

	table->pending += core_wire_put(at, channel) - at;
}

/* Adds a touch of a channel by its name. */
void
path_set_table_touch(PathSetTable *table, const char *name, int length)
{
	path_set_table_number(table, path_set_table_channel(table, name, length));
}

/* Adds the pending path as an entry of its own. */
static PathSetEntry *
entry_add(PathSetTable *table, uint32 tag)
{
	const unsigned char *key = table->arena + table->arena_used;
	PathSetEntry *entry;

	if (slots_full(table->nentries, table->bits))
		table->slots =
			slots_double(table->context, table->slots, &table->bits);
	if (table->nentries == table->entries_size)
	{
		Size size = mul_size(table->entries_size, sizeof(PathSetEntry));

		table->entries = array_grow(table->context, table->entries, &size,
									size + 8 * sizeof(PathSetEntry));
		table->entries_size =
			Min(size / sizeof(PathSetEntry), PG_UINT32_MAX - 1);
	}
	slots_put(table->slots, table->bits, tag, table->nentries);
	entry = &table->entries[table->nentries++];
	memset(entry, 0, sizeof(*entry));
	entry->length = table->pending;
	entry->tag = tag;
	if (table->pending <= PATH_SET_SHORT)
		memcpy(entry->key.bytes, key, table->pending);
	else
	{
		entry->key.offset = table->arena_used;
		table->arena_used += table->pending;
	}
	return entry;
}

/* Returns the entry of the pending path. */
static PathSetEntry *
entry_find(PathSetTable *table)
{
	const unsigned char *key = table->arena + table->arena_used;
	uint32 tag = core_hash_bytes(table->salt, key, table->pending) >> 32;
	uint32 mask = (UINT64CONST(1) << table->bits) - 1;
	const PathSetSlot *slot;

	for (uint32 at = tag & mask; (slot = &table->slots[at])->entry != 0;
		 at = (at + 1) & mask)
	{
		PathSetEntry *entry;

		if (slot->tag != tag)
			continue;
		entry = &table->entries[slot->entry - 1];
		if (entry->length == table->pending &&
			memcmp(path_set_key(table, entry), key, entry->length) == 0)
			return entry;
	}
	return entry_add(table, tag);
}

/* Gives all values PATH_SET_SCALE decimals. */
static void
table_widen(PathSetTable *table)
{
	for (uint32 i = 0; i < table->nentries; i++)
		table->entries[i].value *= TABLE_WIDEN;
	table->scale = PATH_SET_SCALE;
}

/* Adds a value to an entry. */
static inline void
entry_value(PathSetTable *table, PathSetEntry *entry,
			const PathSetCounts *counts)
{
	int128 limit = (int128) INT64CONST(10000000000000) * 10000000000000000;
	int128 value = counts->scaled;

	if (counts->is_wide)
	{
		if (table->scale == TABLE_SCALE)
			table_widen(table);
		value = counts->wide;
	}
	else if (table->scale != TABLE_SCALE)
		value *= TABLE_WIDEN;
	entry->value += value;
	if (table->scale != TABLE_SCALE)
		limit *= TABLE_WIDEN;
	if (entry->value >= limit || entry->value <= -limit)
		path_set_error_value();
}

/* Ends a path: adds what it counts. */
void
path_set_table_end(PathSetTable *table, const PathSetCounts *counts)
{
	PathSetEntry *entry = entry_find(table);
	int64 sum;

	if (pg_add_s64_overflow(table->conversions, counts->conversions,
							&table->conversions) ||
		pg_add_s64_overflow(table->nulls, counts->nulls, &table->nulls) ||
		pg_add_s64_overflow(table->conversions, table->nulls, &sum))
		path_set_error_count();
	entry->conversions += counts->conversions;
	entry->nulls += counts->nulls;
	if (counts->is_wide || counts->scaled != 0)
		entry_value(table, entry, counts);
}

/* Returns a value as what a path counts. */
static inline void
counts_value(PathSetCounts *counts, int128 value)
{
	int128 narrow = value / TABLE_WIDEN;

	counts->is_wide = value % TABLE_WIDEN != 0 || narrow > PG_INT64_MAX ||
					  narrow < PG_INT64_MIN;
	counts->wide = value;
	counts->scaled = counts->is_wide ? 0 : (int64) narrow;
}

/* Adds the paths of a flat set. */
void
path_set_table_merge(PathSetTable *table, const struct varlena *set)
{
	PathSetReader reader;
	PathSetPath path;
	uint32 *numbers;

	path_set_read(&reader, set);
	numbers = palloc_extended(mul_size(reader.nchannels + 1, sizeof(uint32)),
							  MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < reader.nchannels; i++)
		numbers[i] =
			path_set_table_channel(table, reader.names[i], reader.lengths[i]);
	while (path_set_next(&reader, &path))
	{
		PathSetCounts counts = {path.conversions, path.nulls};

		CHECK_FOR_INTERRUPTS();
		path_set_table_begin(table, path.end - path.touches);
		while (path.touches < path.end)
			path_set_table_number(table,
								  numbers[path_set_touch(&path.touches)]);
		if (path.value != 0)
			counts_value(&counts, path.value);
		path_set_table_end(table, &counts);
	}
	pfree(numbers);
}
