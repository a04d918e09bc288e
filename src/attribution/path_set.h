/*
 * Type path_set: how often each sequence of channels was seen, how often it
 * ended in a conversion, and what the conversions are worth.
 *
 * A value is a string of bytes after its header, the same for equal sets:
 *
 *   1 byte    version, PATH_SET_VERSION
 *   1 byte    decimals of values, 0 to PATH_SET_SCALE, as few as they need
 *   number    channels; for each, ascending byte by byte:
 *     number    length of its name, and its bytes
 *   number    paths; for each, ascending by the numbers of its channels:
 *     number    bytes of its touches
 *     touches   for each the number of its channel, from 0
 *     number    conversions
 *     number    nulls: times it ended without a conversion
 *     number    value in units of the last decimal; a signed number of up to
 *               128 bits, as 2n, or -2n - 1 when negative
 *
 * A number has 7 bits a byte, lowest first, the upper bit set when more
 * follow. Every channel is used; no path has 0 three times.
 */
#ifndef IAROS_ATTRIBUTION_PATH_SET_H
#define IAROS_ATTRIBUTION_PATH_SET_H

#include "postgres.h"

#include "core/wire.h"
#include "fmgr.h"
#include "lib/stringinfo.h"

#define PATH_SET_VERSION 1

/* Most decimals of a value; totals are in units of the last of them. */
#define PATH_SET_SCALE 12

/* Largest sum of values, in whole units: 10^25. */
#define PATH_SET_VALUE_DIGITS 25

/* One path of a set, as read. */
typedef struct PathSetPath
{
	const unsigned char *touches;
	const unsigned char *end; /* of the touches */
	int64 conversions;
	int64 nulls;
	int128 value; /* in units of 10^-PATH_SET_SCALE */
} PathSetPath;

/* Reads a flat set; what it points to belongs to the set. */
typedef struct PathSetReader
{
	uint32 nchannels;
	uint64 npaths;
	const char **names;
	uint32 *lengths;
	int64 unit; /* of values, in units of 10^-PATH_SET_SCALE */
	uint64 next;
	const unsigned char *cursor;
	const unsigned char *first; /* the first path */
} PathSetReader;

/* Sums over a set; those of the empty path are apart. */
typedef struct PathSetTotals
{
	int64 conversions;
	int64 nulls;
	int128 value;
	int64 empty_conversions;
	int64 empty_nulls;
	int128 empty_value;
} PathSetTotals;

/* path_set_table.c: a set that grows. */
typedef struct PathSetTable PathSetTable;

typedef struct PathSetCounts
{
	int64 conversions;
	int64 nulls;
	int64 scaled; /* value in 4 decimals, when wide is not set */
	bool is_wide;
	int128 wide; /* value in PATH_SET_SCALE decimals */
} PathSetCounts;

extern PathSetTable *path_set_table_create(MemoryContext context);
extern void path_set_table_begin(PathSetTable *table, Size touches);
extern void path_set_table_touch(PathSetTable *table, const char *name,
								 int length);
extern uint32 path_set_table_channel(PathSetTable *table, const char *name,
									 int length);
extern void path_set_table_number(PathSetTable *table, uint32 channel);
extern void path_set_table_end(PathSetTable *table,
							   const PathSetCounts *counts);
extern void path_set_table_merge(PathSetTable *table,
								 const struct varlena *set);
extern int128 path_set_numeric(Datum value, bool *scaled);

/* path_set_flat.c: to bytes and from them. */
extern struct varlena *path_set_write(const PathSetTable *table,
									  MemoryContext context);
extern void path_set_read(PathSetReader *reader, const struct varlena *set);
extern bool path_set_next(PathSetReader *reader, PathSetPath *path);
extern void path_set_rewind(PathSetReader *reader);
extern int64 path_set_hash(const PathSetPath *path, int64 seed);
extern void path_set_totals(PathSetReader *reader, PathSetTotals *totals);
extern void path_set_error_count(void) pg_attribute_noreturn();
extern void path_set_error_value(void) pg_attribute_noreturn();

/* path_set_check.c: returns what is wrong with bytes, or NULL. */
extern const char *path_set_flaw(const struct varlena *set);

/* path_set.c: the argument of a function, NULL for an empty set. */
extern bool path_set_argument(FunctionCallInfo fcinfo, int arg,
							  PathSetReader *reader);

/* Returns the channel of the next touch, which there must be. */
static inline uint32
path_set_touch(const unsigned char **at)
{
	if (**at < 0x80)
		return *(*at)++;
	return (uint32) core_wire_get(at);
}

/* A signed number of one without sign, see core_wire_fold(). */
static inline int128
path_set_unfold(uint128 number)
{
	return (int128) (number >> 1) ^ -(int128) (number & 1);
}

/* For path_set_table.c and path_set_flat.c alone from here. */

/* Keys of so many bytes are kept in the entry. */
#define PATH_SET_SHORT 8

typedef struct PathSetEntry
{
	union
	{
		uint64 offset; /* in the arena */
		unsigned char bytes[PATH_SET_SHORT];
	} key;
	uint32 length; /* of the key, in bytes */
	uint32 tag;
	int64 conversions;
	int64 nulls;
	int128 value; /* in the scale of the table */
} PathSetEntry;

typedef struct PathSetName
{
	Size offset; /* among the names */
	uint32 length;
	uint32 tag;
} PathSetName;

typedef struct PathSetSlot
{
	uint32 tag;
	uint32 entry; /* 1 + its number, 0 when free */
} PathSetSlot;

/* Keys are channel numbers in the order in which they came, as bytes. */
struct PathSetTable
{
	MemoryContext context;
	uint64 salt;
	int scale; /* of values: 4, or PATH_SET_SCALE */
	int64 conversions;
	int64 nulls;

	unsigned char *arena;
	Size arena_used;
	Size arena_size;
	Size pending; /* bytes of the path being added, after arena_used */

	PathSetEntry *entries;
	uint32 nentries;
	uint32 entries_size;
	PathSetSlot *slots;
	int bits;

	char *name_bytes;
	Size name_used;
	Size name_size;
	PathSetName *names;
	uint32 nnames;
	uint32 names_size;
	PathSetSlot *name_slots;
	int name_bits;
};

/* Returns the bytes of the key of an entry. */
static inline const unsigned char *
path_set_key(const PathSetTable *table, const PathSetEntry *entry)
{
	return entry->length <= PATH_SET_SHORT ? entry->key.bytes
										   : table->arena + entry->key.offset;
}

#endif /* IAROS_ATTRIBUTION_PATH_SET_H */
