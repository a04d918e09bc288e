/*
 * The one check of bytes that claim to be an audience. Nothing is read that
 * was not first found to lie within them.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "segment/audience_layout.h"

/* Returns what is wrong with an array, or NULL. */
static const char *
array_flaw(const uint16 *values, uint32 n, uint32 *nruns)
{
	*nruns = 1;
	for (uint32 i = 1; i < n; i++)
	{
		if (values[i] <= values[i - 1])
			return "The ids of a container do not ascend.";
		*nruns += values[i] != values[i - 1] + 1;
	}
	return NULL;
}

/* Returns what is wrong with runs, or NULL. */
static const char *
runs_flaw(const AudienceRun *runs, uint32 nruns, uint32 members)
{
	uint32 total = 0;
	uint32 next = 0;

	for (uint32 i = 0; i < nruns; i++)
	{
		if (runs[i].first < next)
			return "The runs of a container do not ascend.";
		next = (uint32) runs[i].first + runs[i].more + 2;
		total += runs[i].more + 1;
		if (next > AUDIENCE_CHUNK + 1)
			return "A run goes beyond its container.";
	}
	return total == members ? NULL
							: "The runs of a container have another number "
							  "of ids than is said.";
}

/* Returns what is wrong with the data of a container, or NULL. */
static const char *
data_flaw(const AudienceEntry *entry, const void *data)
{
	const AudienceKernels *kernels = audience_kernels();
	uint32 members = audience_members(entry);
	uint32 nruns = entry->nruns;
	const char *flaw = NULL;

	switch ((AudienceKind) entry->kind)
	{
		case AUDIENCE_ARRAY:
			flaw = array_flaw(data, members, &nruns);
			break;
		case AUDIENCE_BITS:
			if (kernels->count(data) != members)
				flaw = "The bits of a container are another number than is "
					   "said.";
			nruns = kernels->count_runs(data, AUDIENCE_RUNS_MAX);
			break;
		case AUDIENCE_RUNS:
			flaw = runs_flaw(data, nruns, members);
			break;
	}
	if (flaw == NULL && audience_kind(members, nruns) != entry->kind)
		flaw = "A container is not in its smallest form.";
	return flaw;
}

/* Returns what is wrong with an entry before its data are read, or NULL. */
static const char *
entry_flaw(const AudienceEntry *entry, Size used, Size room)
{
	uint32 members = audience_members(entry);

	if (entry->kind > AUDIENCE_RUNS)
		return "There is no such kind of container.";
	if (entry->kind == AUDIENCE_RUNS
			? entry->nruns == 0 || entry->nruns > members
			: entry->nruns != 0)
		return "The number of runs does not fit the container.";
	if (entry->kind == AUDIENCE_ARRAY && members > AUDIENCE_ARRAY_MAX)
		return "A container is not in its smallest form.";
	if (audience_space(entry) == 0)
		return NULL;
	if (entry->offset != used)
		return "A container is not where it should be.";
	if (audience_space(entry) > room - used)
		return "A container goes beyond the end.";
	return NULL;
}

/* Returns whether the bytes that fill up a container are zero. */
static bool
is_filled_up(const AudienceEntry *entry, const void *data)
{
	uint32 bytes = audience_bytes(entry);
	uint32 space = audience_space(entry);
	const char *at = data;

	for (space = space == 0 ? AUDIENCE_INLINE_MAX : space; bytes < space;
		 bytes++)
		if (at[bytes] != 0)
			return false;
	return true;
}

/* Returns what is wrong with the containers, or NULL. */
static const char *
containers_flaw(const Audience *audience, Size room)
{
	Size used = 0;
	uint64 members = 0;

	for (uint32 i = 0; i < audience->nentries; i++)
	{
		const AudienceEntry *entry = &audience->entries[i];
		const char *flaw = entry_flaw(entry, used, room);
		const void *data;

		CHECK_FOR_INTERRUPTS();
		if (flaw != NULL)
			return flaw;
		if (audience_key(entry) >> AUDIENCE_KEY_BITS != 0)
			return "An id is above 9223372036854775807.";
		if (i > 0 && audience_key(entry) <= audience_key(entry - 1))
			return "The containers do not ascend.";
		data = audience_data(audience, entry);
		flaw = data_flaw(entry, data);
		if (flaw != NULL)
			return flaw;
		if (!is_filled_up(entry, data))
			return "A container is not filled up with zeros.";
		used += audience_space(entry);
		members += audience_members(entry);
	}
	if (used != room)
		return "There are bytes after the last container.";
	if (members != audience->cardinality)
		return "The number of ids is another than is said.";
	return NULL;
}

/*
 * Returns what is wrong with an audience of size bytes, or NULL. Only its
 * varlena header is taken as it is.
 */
const char *
audience_flaw(const Audience *audience, Size size)
{
	const char *flaw;
	uint64 last;

	if (size < sizeof(Audience))
		return "It is shorter than its head.";
	if (audience->version != AUDIENCE_VERSION)
		return "Its version is not 1.";
	if (audience->zero != 0)
		return "A field that must be 0 is not.";
	size -= sizeof(Audience);
	if (audience->nentries > size / sizeof(AudienceEntry))
		return "It is shorter than its directory.";
	size -= audience->nentries * sizeof(AudienceEntry);
	flaw = containers_flaw(audience, size);
	if (flaw != NULL)
		return flaw;
	last = audience->nentries == 0 ? 0 : audience_largest(audience);
	return audience->last == last ? NULL
								  : "The largest id is another than is said.";
}
