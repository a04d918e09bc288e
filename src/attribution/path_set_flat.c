/* The flat form of path_set, see path_set.h: writing and reading. */
#include "attribution/path_set.h"

#include "core/core.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* Fewer paths than these are sorted without counting their keys. */
#define SORT_SMALL 512

#define RADIX_BITS 8
#define RADIX_SIZE (1 << RADIX_BITS)
#define RADIX_PASSES (64 / RADIX_BITS)

/* Bytes that a path may take besides its touches. */
#define PATH_EXTRA 60

/* An entry with the first of its channels, which mostly tell the order. */
typedef struct SortKey
{
	uint64 prefix;
	uint32 entry;
} SortKey;

/* What the writing of a table needs. */
typedef struct SetWriter
{
	const PathSetTable *table;
	uint32 nchannels;
	uint32 *order; /* numbers of the table's channels by name */
	uint32 *ranks; /* of each number of the table, from 0 */
	int code_bits; /* of a channel in a prefix */
	SortKey *keys;
	uint32 npaths;
	int decimals;
	int64 unit;
	unsigned char *bytes;
	Size size;
	unsigned char *at;
} SetWriter;

/* Returns 10 to a power of up to 18. */
static int64
power_of_ten(int exponent)
{
	int64 power = 1;

	while (exponent-- > 0)
		power *= 10;
	return power;
}

/* Compares the names of two channels of a table. */
static int
name_cmp(const uint32 *a, const uint32 *b, const PathSetTable *table)
{
	const PathSetName *x = &table->names[*a];
	const PathSetName *y = &table->names[*b];
	int result =
		memcmp(table->name_bytes + x->offset, table->name_bytes + y->offset,
			   Min(x->length, y->length));

	return result != 0 ? result : (int) x->length - (int) y->length;
}

#define ST_SORT sort_names
#define ST_ELEMENT_TYPE uint32
#define ST_COMPARE_ARG_TYPE const PathSetTable
#define ST_COMPARE(a, b, table) name_cmp(a, b, table)
#define ST_SCOPE static
#define ST_DEFINE
#define ST_CHECK_FOR_INTERRUPTS
#include "lib/sort_template.h"

/* Compares two paths of a table by the ranks of their channels. */
static int
path_cmp(const SortKey *a, const SortKey *b, const SetWriter *writer)
{
	const PathSetEntry *x = &writer->table->entries[a->entry];
	const PathSetEntry *y = &writer->table->entries[b->entry];
	const unsigned char *at = path_set_key(writer->table, x);
	const unsigned char *end = at + x->length;
	const unsigned char *other = path_set_key(writer->table, y);
	const unsigned char *other_end = other + y->length;

	if (a->prefix != b->prefix)
		return a->prefix < b->prefix ? -1 : 1;
	while (at < end && other < other_end)
	{
		uint32 left = writer->ranks[path_set_touch(&at)];
		uint32 right = writer->ranks[path_set_touch(&other)];

		if (left != right)
			return left < right ? -1 : 1;
	}
	return (at < end) - (other < other_end);
}

#define ST_SORT sort_paths
#define ST_ELEMENT_TYPE SortKey
#define ST_COMPARE_ARG_TYPE const SetWriter
#define ST_COMPARE(a, b, writer) path_cmp(a, b, writer)
#define ST_SCOPE static
#define ST_DEFINE
#define ST_CHECK_FOR_INTERRUPTS
#include "lib/sort_template.h"

/* Tells whether a path counts nothing. */
static inline bool
entry_empty(const PathSetEntry *entry)
{
	return entry->conversions == 0 && entry->nulls == 0 && entry->value == 0;
}

/* Marks the channels of a path as used. */
static void
mark_used(SetWriter *writer, const PathSetEntry *entry)
{
	const unsigned char *at = path_set_key(writer->table, entry);
	const unsigned char *end = at + entry->length;

	while (at < end)
		writer->ranks[path_set_touch(&at)] = 1;
}

/* Counts the paths that count something, and ranks their channels. */
static void
write_channels(SetWriter *writer)
{
	const PathSetTable *table = writer->table;
	Size size = mul_size(table->nnames + (Size) 1, sizeof(uint32));

	for (uint32 i = 0; i < table->nentries; i++)
		writer->npaths += !entry_empty(&table->entries[i]);
	writer->order = palloc_extended(size, MCXT_ALLOC_HUGE);
	writer->ranks = palloc_extended(size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (uint32 i = 0; i < table->nentries && writer->npaths < table->nentries;
		 i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!entry_empty(&table->entries[i]))
			mark_used(writer, &table->entries[i]);
	}
	for (uint32 i = 0; i < table->nnames; i++)
		if (writer->npaths == table->nentries || writer->ranks[i])
			writer->order[writer->nchannels++] = i;
	sort_names(writer->order, writer->nchannels, table);
	for (uint32 i = 0; i < writer->nchannels; i++)
		writer->ranks[writer->order[i]] = i;
	writer->code_bits = writer->nchannels < 0xFF     ? 8
						: writer->nchannels < 0xFFFF ? 16
													 : 32;
}

/* Returns the first channels of a path in one word; fewer come first. */
static inline uint64
path_prefix(const SetWriter *writer, const PathSetEntry *entry)
{
	const unsigned char *at = path_set_key(writer->table, entry);
	const unsigned char *end = at + entry->length;
	uint64 prefix = 0;

	for (int shift = 64 - writer->code_bits; shift >= 0 && at < end;
		 shift -= writer->code_bits)
		prefix |= (uint64) (writer->ranks[path_set_touch(&at)] + 1) << shift;
	return prefix;
}

/* One pass of the counting sort; false when all keys have one digit. */
static bool
radix_pass(const SortKey *from, SortKey *to, uint32 n, int shift,
		   const uint32 *counts)
{
	uint32 starts[RADIX_SIZE];
	uint32 sum = 0;

	for (int i = 0; i < RADIX_SIZE; i++)
	{
		if (counts[i] == n)
			return false;
		starts[i] = sum;
		sum += counts[i];
	}
	for (uint32 i = 0; i < n; i++)
		to[starts[(from[i].prefix >> shift) & (RADIX_SIZE - 1)]++] = from[i];
	return true;
}

/* Sorts many keys by their prefixes. */
static void
sort_prefixes(SetWriter *writer)
{
	uint32(*counts)[RADIX_SIZE] =
		palloc0(RADIX_PASSES * sizeof(uint32[RADIX_SIZE]));
	SortKey *other = palloc_extended(mul_size(writer->npaths, sizeof(SortKey)),
									 MCXT_ALLOC_HUGE);

	for (uint32 i = 0; i < writer->npaths; i++)
		for (int pass = 0; pass < RADIX_PASSES; pass++)
			counts[pass][(writer->keys[i].prefix >> (pass * RADIX_BITS)) &
						 (RADIX_SIZE - 1)]++;
	for (int pass = 0; pass < RADIX_PASSES; pass++)
	{
		SortKey *swap = writer->keys;

		CHECK_FOR_INTERRUPTS();
		if (!radix_pass(writer->keys, other, writer->npaths, pass * RADIX_BITS,
						counts[pass]))
			continue;
		writer->keys = other;
		other = swap;
	}
	pfree(other);
	pfree(counts);
}

/* Sorts the paths. */
static void
write_sort(SetWriter *writer)
{
	const PathSetTable *table = writer->table;
	uint32 n = 0;

	writer->keys = palloc_extended(
		mul_size(writer->npaths + (Size) 1, sizeof(SortKey)), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < table->nentries; i++)
		if (!entry_empty(&table->entries[i]))
			writer->keys[n++] =
				(SortKey){path_prefix(writer, &table->entries[i]), i};
	if (n <= SORT_SMALL)
	{
		sort_paths(writer->keys, n, writer);
		return;
	}
	sort_prefixes(writer);
	for (uint32 first = 0, next; first < n; first = next)
	{
		for (next = first + 1; next < n && writer->keys[next].prefix ==
											   writer->keys[first].prefix;
			 next++)
			;
		if (next - first > 1)
			sort_paths(writer->keys + first, next - first, writer);
	}
}

/* Finds the fewest decimals that all values have. */
static void
write_decimals(SetWriter *writer)
{
	const PathSetTable *table = writer->table;
	int64 unit = power_of_ten(table->scale);

	for (uint32 i = 0; i < table->nentries && unit > 1; i++)
	{
		int128 value = table->entries[i].value;

		if (value >= PG_INT64_MIN && value <= PG_INT64_MAX)
			while ((int64) value % unit != 0)
				unit /= 10;
		else
			while (value % unit != 0)
				unit /= 10;
	}
	writer->unit = unit;
	writer->decimals = table->scale;
	for (; unit > 1; unit /= 10)
		writer->decimals--;
}

/* Makes room for more bytes. */
static void
write_reserve(SetWriter *writer, Size more)
{
	Size used = writer->at - writer->bytes;

	if (used + more <= writer->size)
		return;
	if (used + more > MaxAllocSize)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("path_set is larger than 1 GB"),
				 errhint("Aggregate by groups, or paths without campaigns "
						 "and cut to their last touches.")));
	writer->size = Min(Max(writer->size * 2, used + more), MaxAllocSize);
	writer->bytes = repalloc(writer->bytes, writer->size);
	writer->at = writer->bytes + used;
}

/* Returns how many bytes the touches of a path will have. */
static Size
touches_size(const SetWriter *writer, const PathSetEntry *entry)
{
	const unsigned char *at = path_set_key(writer->table, entry);
	const unsigned char *end = at + entry->length;
	Size size = 0;

	if (writer->table->nnames <= 0x80)
		return entry->length;
	while (at < end)
		size += core_wire_size(writer->ranks[path_set_touch(&at)]);
	return size;
}

/* Writes a path. */
static void
write_path(SetWriter *writer, const PathSetEntry *entry)
{
	const unsigned char *at = path_set_key(writer->table, entry);
	const unsigned char *end = at + entry->length;
	Size size = touches_size(writer, entry);
	unsigned char *to;

	write_reserve(writer, size + PATH_EXTRA);
	to = core_wire_put(writer->at, size);
	while (at < end)
		to = core_wire_put(to, writer->ranks[path_set_touch(&at)]);
	to = core_wire_put(to, entry->conversions);
	to = core_wire_put(to, entry->nulls);
	if (entry->value >= PG_INT64_MIN / 2 && entry->value <= PG_INT64_MAX / 2)
		to = core_wire_put(
			to, core_wire_fold((int64) entry->value / writer->unit));
	else
		to = core_wire_put_wide(
			to, core_wire_fold_wide(entry->value / writer->unit));
	writer->at = to;
}

/* Writes the head with the names of the channels. */
static void
write_head(SetWriter *writer)
{
	const PathSetTable *table = writer->table;

	writer->size =
		Min(VARHDRSZ + 64 + (Size) writer->npaths * 16, MaxAllocSize);
	writer->bytes = palloc(writer->size);
	writer->at = writer->bytes + VARHDRSZ;
	*writer->at++ = PATH_SET_VERSION;
	*writer->at++ = writer->decimals;
	writer->at = core_wire_put(writer->at, writer->nchannels);
	for (uint32 i = 0; i < writer->nchannels; i++)
	{
		const PathSetName *name = &table->names[writer->order[i]];

		write_reserve(writer, name->length + PATH_EXTRA);
		writer->at = core_wire_put(writer->at, name->length);
		memcpy(writer->at, table->name_bytes + name->offset, name->length);
		writer->at += name->length;
	}
	write_reserve(writer, PATH_EXTRA);
	writer->at = core_wire_put(writer->at, writer->npaths);
}

/* Returns a table as a flat value, in a context. */
struct varlena *
path_set_write(const PathSetTable *table, MemoryContext context)
{
	MemoryContext work = AllocSetContextCreate(
		CurrentMemoryContext, "iaros path_set bytes", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(work);
	SetWriter writer = {.table = table};
	struct varlena *set;
	Size size;

	write_channels(&writer);
	write_sort(&writer);
	write_decimals(&writer);
	write_head(&writer);
	for (uint32 i = 0; i < writer.npaths; i++)
	{
		CHECK_FOR_INTERRUPTS();
		write_path(&writer, &table->entries[writer.keys[i].entry]);
	}
	size = writer.at - writer.bytes;
	set = MemoryContextAlloc(context, size);
	memcpy(set, writer.bytes, size);
	SET_VARSIZE(set, size);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
	return set;
}

/* Begins to read a set, which is flat, without its channels. */
static void
read_head(PathSetReader *reader, const struct varlena *set)
{
	const unsigned char *at = (const unsigned char *) VARDATA_ANY(set);

	Assert(at[0] == PATH_SET_VERSION);
	reader->unit = power_of_ten(PATH_SET_SCALE - at[1]);
	reader->cursor = at + 2;
	reader->nchannels = (uint32) core_wire_get(&reader->cursor);
	reader->next = 0;
}

/* Begins to read a flat set, which must stay. */
void
path_set_read(PathSetReader *reader, const struct varlena *set)
{
	read_head(reader, set);
	reader->names =
		palloc_extended(mul_size(reader->nchannels + (Size) 1, sizeof(char *)),
						MCXT_ALLOC_HUGE);
	reader->lengths =
		palloc_extended(mul_size(reader->nchannels + (Size) 1, sizeof(uint32)),
						MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < reader->nchannels; i++)
	{
		reader->lengths[i] = (uint32) core_wire_get(&reader->cursor);
		reader->names[i] = (const char *) reader->cursor;
		reader->cursor += reader->lengths[i];
	}
	reader->npaths = core_wire_get(&reader->cursor);
	reader->first = reader->cursor;
}

/* Begins again with the first path. */
void
path_set_rewind(PathSetReader *reader)
{
	reader->cursor = reader->first;
	reader->next = 0;
}

/* Reads the next path; false after the last. */
bool
path_set_next(PathSetReader *reader, PathSetPath *path)
{
	const unsigned char *at = reader->cursor;
	uint128 value = 0;
	uint64 size;

	if (reader->next == reader->npaths)
		return false;
	reader->next++;
	size = core_wire_get(&at);
	path->touches = at;
	path->end = at += size;
	path->conversions = (int64) core_wire_get(&at);
	path->nulls = (int64) core_wire_get(&at);
	for (int shift = 0;; shift += 7)
	{
		value |= (uint128) (*at & 0x7F) << shift;
		if (!(*at++ & 0x80))
			break;
	}
	path->value = value == 0 ? 0 : path_set_unfold(value) * reader->unit;
	reader->cursor = at;
	return true;
}

/* Returns a hash of the channels of a path, by their numbers. */
int64
path_set_hash(const PathSetPath *path, int64 seed)
{
	const unsigned char *at = path->touches;
	int64 hash = (int64) core_chance_word(path->end - at, seed);

	while (at < path->end)
		hash = (int64) core_chance_word(path_set_touch(&at), hash);
	return hash;
}

/* Adds up what the paths count, then begins again. */
void
path_set_totals(PathSetReader *reader, PathSetTotals *totals)
{
	PathSetPath path;

	memset(totals, 0, sizeof(*totals));
	while (path_set_next(reader, &path))
	{
		CHECK_FOR_INTERRUPTS();
		if (__builtin_add_overflow(totals->value, path.value, &totals->value))
			path_set_error_value();
		totals->conversions += path.conversions;
		totals->nulls += path.nulls;
		if (path.touches < path.end)
			continue;
		totals->empty_conversions = path.conversions;
		totals->empty_nulls = path.nulls;
		totals->empty_value = path.value;
	}
	path_set_rewind(reader);
}
