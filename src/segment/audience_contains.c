/*
 * Looks into an audience without reading all of it: of a stored value, the
 * head, the part of the directory where the chunk must be, and its container
 * are read.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/heaptoast.h"
#include "fmgr.h"
#include "segment/audience_layout.h"

/* A slice of as many bytes is one row of the toast table. */
#define SLICE_ENTRIES                                                         \
	((TOAST_MAX_CHUNK_SIZE - (sizeof(Audience) - VARHDRSZ)) /                 \
	 sizeof(AudienceEntry))

/* How much larger each further slice of the directory is. */
#define SLICE_GROWTH 8

/* A value of so many bytes may be kept by a statement. */
#define KEEP_MAX (64 * 1024 * 1024)

/* Reading the whole takes as long as so many bytes a look. */
#define KEEP_BYTES_A_LOOK 65536
#define KEEP_LOOKS 8

/* What a statement keeps of the value that it asked last. */
typedef struct Kept
{
	struct varatt_external pointer; /* to the stored value */
	Size looks;
	Audience *whole; /* or NULL */
} Kept;

/* A part of a directory. */
typedef struct Part
{
	const AudienceEntry *entries;
	uint32 first; /* its place in the directory */
	uint32 n;
} Part;

/* Returns how many entries of a part come before a chunk. */
static uint32
part_search(const Part *part, uint64 key)
{
	uint32 low = 0;
	uint32 high = part->n;

	while (low < high)
	{
		uint32 middle = (low + high) / 2;

		if (audience_key(&part->entries[middle]) < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Returns whether a value is in an array. */
static bool
array_contains(const uint16 *values, uint32 n, uint16 value)
{
	uint32 low = 0;

	while (low < n)
	{
		uint32 middle = (low + n) / 2;

		if (values[middle] < value)
			low = middle + 1;
		else if (values[middle] == value)
			return true;
		else
			n = middle;
	}
	return false;
}

/* Returns whether a value is in runs. */
static bool
runs_contain(const AudienceRun *runs, uint32 n, uint16 value)
{
	uint32 low = 0;

	while (low < n)
	{
		uint32 middle = (low + n) / 2;

		if (runs[middle].first > value)
			n = middle;
		else if ((uint32) runs[middle].first + runs[middle].more < value)
			low = middle + 1;
		else
			return true;
	}
	return false;
}

/* Returns whether a value is in a container; of bits, word is its word. */
static bool
container_contains(const AudienceEntry *entry, const void *data,
				   const uint64 *word, uint16 value)
{
	switch ((AudienceKind) entry->kind)
	{
		case AUDIENCE_ARRAY:
			return array_contains(data, audience_members(entry), value);
		case AUDIENCE_BITS:
			return *word >> (value & 63) & 1;
		case AUDIENCE_RUNS:
			return runs_contain(data, entry->nruns, value);
	}
	pg_unreachable();
}

/* Returns whether an id is in an audience in memory. */
static bool
flat_contains(const Audience *audience, uint64 id)
{
	Part all = {audience->entries, 0, audience->nentries};
	uint32 at = part_search(&all, id >> 16);
	const AudienceEntry *entry = &audience->entries[at];
	const void *data;

	if (at == audience->nentries || audience_key(entry) != id >> 16)
		return false;
	data = audience_data(audience, entry);
	return container_contains(entry, data,
							  (const uint64 *) data + ((id & 0xFFFF) >> 6),
							  (uint16) id);
}

/* Reads bytes of a stored audience, by their offset in it, a multiple of 8. */
static const void *
read_slice(Datum stored, Size offset, Size size)
{
	struct varlena *slice = PG_DETOAST_DATUM_SLICE(
		stored, (int32) (offset - 2 * VARHDRSZ), (int32) (size + VARHDRSZ));

	/* So that what was asked for is aligned. */
	return (const char *) slice + 2 * VARHDRSZ;
}

/* Guesses where a chunk is between the ends of a part of the directory. */
static uint32
guess(uint64 key, uint32 low, uint64 low_key, uint32 high, uint64 high_key)
{
	double share = (double) (key - low_key) / (double) (high_key - low_key);

	return low + (uint32) (share * (high - low));
}

/*
 * Finds the entry of a chunk. head is the beginning of the value, with at
 * least the first SLICE_ENTRIES entries if there are as many.
 */
static bool
find_entry(Datum stored, const Audience *head, uint64 key,
		   AudienceEntry *entry)
{
	Part part = {head->entries, 0, Min(head->nentries, SLICE_ENTRIES)};
	uint32 low = 0; /* the entry is from here to before high */
	uint32 high = head->nentries;
	uint64 low_key = 0;
	uint64 high_key = head->last >> 16;
	uint32 size = SLICE_ENTRIES;

	for (;;)
	{
		uint32 at = part_search(&part, key);
		uint32 from;

		if (at < part.n && audience_key(&part.entries[at]) == key)
		{
			*entry = part.entries[at];
			return true;
		}
		if (at > 0)
		{
			low = part.first + at;
			low_key = audience_key(&part.entries[at - 1]) + 1;
		}
		if (at < part.n)
		{
			high = part.first + at;
			high_key = audience_key(&part.entries[at]) - 1;
		}
		if (low == high || key < low_key || key > high_key)
			return false;
		from = guess(key, low, low_key, high - 1, high_key + 1);
		part.first = Max(low, from - Min(from, size / 2));
		part.n = Min(size, high - part.first);
		part.entries = read_slice(
			stored, sizeof(Audience) + part.first * sizeof(AudienceEntry),
			part.n * sizeof(AudienceEntry));
		size *= SLICE_GROWTH;
	}
}

/* Returns whether an id is in a stored audience. */
static bool
stored_contains(Datum stored, uint64 id)
{
	const Audience *head = (const Audience *) PG_DETOAST_DATUM_SLICE(
		stored, 0,
		sizeof(Audience) - VARHDRSZ + SLICE_ENTRIES * sizeof(AudienceEntry));
	AudienceEntry entry;
	Size offset;

	if (id > head->last || !find_entry(stored, head, id >> 16, &entry))
		return false;
	if (audience_space(&entry) == 0)
		return container_contains(&entry, &entry.offset, NULL, (uint16) id);
	offset = sizeof(Audience) + head->nentries * sizeof(AudienceEntry) +
			 entry.offset;
	if (entry.kind == AUDIENCE_BITS)
		return container_contains(
			&entry, NULL,
			read_slice(stored, offset + ((id & 0xFFFF) >> 6) * 8, 8),
			(uint16) id);
	return container_contains(
		&entry, read_slice(stored, offset, audience_bytes(&entry)), NULL,
		(uint16) id);
}

/*
 * Returns the stored audience as a whole if it was asked so often by this
 * statement that reading it once costs less, else NULL.
 */
static const Audience *
kept_whole(FmgrInfo *flinfo, Datum stored,
		   const struct varatt_external *pointer)
{
	Kept *kept = flinfo->fn_extra;
	Size size = VARATT_EXTERNAL_GET_EXTSIZE(*pointer);
	MemoryContext caller;

	if (kept == NULL)
		kept = flinfo->fn_extra =
			MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(Kept));
	if (memcmp(&kept->pointer, pointer, sizeof(*pointer)) != 0)
	{
		if (kept->whole != NULL)
			pfree(kept->whole);
		kept->whole = NULL;
		kept->looks = 0;
		kept->pointer = *pointer;
	}
	if (kept->whole != NULL || size > KEEP_MAX ||
		kept->looks++ < KEEP_LOOKS + size / KEEP_BYTES_A_LOOK)
		return kept->whole;
	caller = MemoryContextSwitchTo(flinfo->fn_mcxt);
	kept->whole = (Audience *) PG_DETOAST_DATUM(stored);
	MemoryContextSwitchTo(caller);
	return kept->whole;
}

PG_FUNCTION_INFO_V1(audience_contains);

/* SQL: audience_contains(audience, id bigint) */
Datum
audience_contains(PG_FUNCTION_ARGS)
{
	Datum datum = PG_GETARG_DATUM(0);
	int64 id = PG_GETARG_INT64(1);
	const Audience *audience;
	struct varatt_external pointer;

	if (id < 0)
		PG_RETURN_BOOL(false);
	if (!VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(datum)))
	{
		audience = DatumGetAudienceP(datum);
		PG_RETURN_BOOL(flat_contains(audience, (uint64) id));
	}
	VARATT_EXTERNAL_GET_POINTER(pointer, DatumGetPointer(datum));
	audience = kept_whole(fcinfo->flinfo, datum, &pointer);
	if (audience != NULL)
		PG_RETURN_BOOL(flat_contains(audience, (uint64) id));
	/* A part of a compressed value takes as long as the whole. */
	if (VARATT_EXTERNAL_IS_COMPRESSED(pointer))
		PG_RETURN_BOOL(flat_contains(DatumGetAudienceP(datum), (uint64) id));
	PG_RETURN_BOOL(stored_contains(datum, (uint64) id));
}

PG_FUNCTION_INFO_V1(audience_count);

/* SQL: audience_count(audience) */
Datum
audience_count(PG_FUNCTION_ARGS)
{
	Datum datum = PG_GETARG_DATUM(0);
	const Audience *head;

	if (VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(datum)))
		head = (const Audience *) PG_DETOAST_DATUM_SLICE(
			datum, 0, sizeof(Audience) - VARHDRSZ);
	else
		head = DatumGetAudienceP(datum);
	PG_RETURN_INT64((int64) head->cardinality);
}
