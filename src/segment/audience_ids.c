/* Reads the ids of an audience: as runs, one by one, as an array, a sample. */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "segment/audience_layout.h"
#include "utils/array.h"

/* Finds the next run in a container from *at on, and sets *at behind it. */
static inline bool
container_next_run(const AudienceEntry *entry, const void *data, uint32 *at,
				   uint32 *first, uint32 *last)
{
	const uint16 *values = data;
	const AudienceRun *run = (const AudienceRun *) data + *at;
	uint32 n = audience_members(entry);
	uint32 i = *at;

	switch ((AudienceKind) entry->kind)
	{
		case AUDIENCE_ARRAY:
			if (i == n)
				return false;
			*first = values[i];
			while (i + 1 < n && values[i + 1] == values[i] + 1)
				i++;
			*last = values[i];
			*at = i + 1;
			return true;
		case AUDIENCE_BITS:
			return audience_bits_next_run(data, at, first, last);
		case AUDIENCE_RUNS:
			if (i == entry->nruns)
				return false;
			*first = run->first;
			*last = *first + run->more;
			*at = i + 1;
			return true;
	}
	pg_unreachable();
}

/* Finds the next run of ids; it ends where the next id is no member. */
bool
audience_next_run(AudienceCursor *cursor, uint64 *first, uint64 *last)
{
	const Audience *audience = cursor->audience;
	bool found = false;

	while (cursor->entry < audience->nentries)
	{
		const AudienceEntry *entry = &audience->entries[cursor->entry];
		uint64 base = audience_key(entry) << 16;
		uint32 at = cursor->at;
		uint32 low;
		uint32 high;

		if (!container_next_run(entry, audience_data(audience, entry), &at,
								&low, &high))
		{
			cursor->entry++;
			cursor->at = 0;
			continue;
		}
		if (found && base + low != *last + 1)
			break;
		if (!found)
			*first = base + low;
		*last = base + high;
		found = true;
		cursor->at = at;
		/* Only a run up to the end of a chunk may go on in the next. */
		if (high != AUDIENCE_CHUNK - 1)
			break;
	}
	return found;
}

/* Makes an array of n ids, n > 0, that are to be filled in. */
ArrayType *
audience_make_array(uint64 n)
{
	Size head = ARR_OVERHEAD_NONULLS(1);
	ArrayType *array;

	if (n > (MaxAllocSize - head) / sizeof(int64))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%llu ids are too many for an array",
						(unsigned long long) n),
				 errhint("Read them by audience_ids(), which returns rows.")));
	array = palloc0(head + n * sizeof(int64));
	SET_VARSIZE(array, head + n * sizeof(int64));
	array->ndim = 1;
	array->elemtype = INT8OID;
	ARR_DIMS(array)[0] = (int) n;
	ARR_LBOUND(array)[0] = 1;
	return array;
}
