/* Makes an audience, container by container, each in its smallest form. */
#include "postgres.h"

#include "segment/audience_layout.h"

/* Raises the error for a set that is larger than a value can be. */
void
audience_error_size(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("audience is larger than 1 GB"),
			 errhint("Keep several audiences, each of a range of ids.")));
	pg_unreachable();
}

/*
 * Begins an audience of at most so many containers, whose data take at most
 * max_data bytes when none lies in the directory.
 */
void
audience_write_begin(AudienceWriter *writer, Size max_entries, Size max_data)
{
	Size head = add_size(sizeof(Audience),
						 mul_size(max_entries, sizeof(AudienceEntry)));

	if (max_entries > AUDIENCE_ENTRIES_MAX)
		audience_error_size();
	writer->audience =
		palloc_extended(add_size(head, max_data), MCXT_ALLOC_HUGE);
	memset(writer->audience, 0, sizeof(Audience));
	writer->audience->version = AUDIENCE_VERSION;
	writer->data = (char *) writer->audience + head;
	writer->used = 0;
	writer->room = max_data;
	writer->max_entries = max_entries;
}

/* Adds a container and returns where its data are to be written. */
static void *
write_container(AudienceWriter *writer, uint64 key, AudienceKind kind,
				uint32 members, uint32 nruns)
{
	Audience *audience = writer->audience;
	AudienceEntry *entry = &audience->entries[audience->nentries++];
	uint32 bytes;
	char *data;

	Assert(audience->nentries <= writer->max_entries);
	Assert(members > 0 && members <= AUDIENCE_CHUNK);
	Assert(kind == audience_kind(members, nruns) || nruns == 0);
	entry->head = key << 16 | (members - 1);
	entry->offset = 0;
	entry->kind = kind;
	entry->nruns = kind == AUDIENCE_RUNS ? nruns : 0;
	audience->cardinality += members;
	bytes = audience_bytes(entry);
	if (bytes <= AUDIENCE_INLINE_MAX)
		return &entry->offset;
	if (writer->used > AUDIENCE_SIZE_MAX)
		audience_error_size();
	entry->offset = (uint32) writer->used;
	data = writer->data + writer->used;
	writer->used += audience_space(entry);
	Assert(writer->used <= writer->room);
	/* What fills up the last 8 bytes. */
	if (bytes % 8 != 0)
		memset(writer->data + writer->used - 8, 0, 8);
	return data;
}

/* Adds a container of the ids in an array, at most 4,096. */
void
audience_write_array(AudienceWriter *writer, uint64 key, const uint16 *values,
					 uint32 n)
{
	uint32 nruns = 1;
	AudienceRun *runs;

	if (n == 0)
		return;
	Assert(n <= AUDIENCE_ARRAY_MAX);
	for (uint32 i = 1; i < n; i++)
		nruns += values[i] != values[i - 1] + 1;
	if (audience_kind(n, nruns) == AUDIENCE_ARRAY)
	{
		memcpy(write_container(writer, key, AUDIENCE_ARRAY, n, nruns), values,
			   n * sizeof(uint16));
		return;
	}
	runs = write_container(writer, key, AUDIENCE_RUNS, n, nruns);
	for (uint32 i = 0; i < n; i++)
	{
		if (i > 0 && values[i] == values[i - 1] + 1)
		{
			runs[-1].more++;
			continue;
		}
		runs->first = values[i];
		runs->more = 0;
		runs++;
	}
}

/* Adds a container of the ids in bits, of which so many are set. */
void
audience_write_bits(AudienceWriter *writer, uint64 key, const uint64 *words,
					uint32 members)
{
	const AudienceKernels *kernels = audience_kernels();
	uint32 nruns;
	uint16 values[AUDIENCE_ARRAY_MAX + AUDIENCE_LIST_SLACK];

	if (members == 0)
		return;
	nruns = kernels->count_runs(words, AUDIENCE_RUNS_MAX);
	switch (audience_kind(members, nruns))
	{
		case AUDIENCE_ARRAY:
			/* The directory may have room for less than is listed at once. */
			kernels->list(words, values);
			memcpy(
				write_container(writer, key, AUDIENCE_ARRAY, members, nruns),
				values, members * sizeof(uint16));
			break;
		case AUDIENCE_BITS:
			memcpy(write_container(writer, key, AUDIENCE_BITS, members, nruns),
				   words, AUDIENCE_BITS_SIZE);
			break;
		case AUDIENCE_RUNS:
			audience_bits_runs(
				words,
				write_container(writer, key, AUDIENCE_RUNS, members, nruns));
			break;
	}
}

/* Returns the number of ids in runs. */
uint32
audience_runs_members(const AudienceRun *runs, uint32 nruns)
{
	uint32 members = 0;

	for (uint32 i = 0; i < nruns; i++)
		members += runs[i].more + 1;
	return members;
}

/* Adds a container of the ids in runs. */
void
audience_write_runs(AudienceWriter *writer, uint64 key,
					const AudienceRun *runs, uint32 nruns)
{
	uint32 members = audience_runs_members(runs, nruns);
	AudienceKind kind;
	void *data;
	uint16 *values;

	if (nruns == 0)
		return;
	kind = audience_kind(members, nruns);
	data = write_container(writer, key, kind, members, nruns);
	switch (kind)
	{
		case AUDIENCE_ARRAY:
			values = data;
			for (uint32 i = 0; i < nruns; i++)
				for (uint32 k = 0; k <= runs[i].more; k++)
					*values++ = (uint16) (runs[i].first + k);
			break;
		case AUDIENCE_BITS:
			memset(data, 0, AUDIENCE_BITS_SIZE);
			audience_bits_add(data, runs, AUDIENCE_RUNS, nruns);
			break;
		case AUDIENCE_RUNS:
			memcpy(data, runs, nruns * sizeof(AudienceRun));
			break;
	}
}

/* Adds a container of another audience as it is. */
void
audience_write_entry(AudienceWriter *writer, const Audience *audience,
					 const AudienceEntry *entry)
{
	memcpy(write_container(writer, audience_key(entry), entry->kind,
						   audience_members(entry), entry->nruns),
		   audience_data(audience, entry), audience_bytes(entry));
}

/* Returns the largest id of an audience that has one. */
uint64
audience_largest(const Audience *audience)
{
	const AudienceEntry *entry = &audience->entries[audience->nentries - 1];
	const void *data = audience_data(audience, entry);
	const AudienceRun *run = (const AudienceRun *) data + entry->nruns - 1;
	const uint64 *words = data;
	uint64 low = 0;
	int i = AUDIENCE_WORDS - 1;

	switch ((AudienceKind) entry->kind)
	{
		case AUDIENCE_ARRAY:
			low = ((const uint16 *) data)[audience_members(entry) - 1];
			break;
		case AUDIENCE_BITS:
			while (words[i] == 0)
				i--;
			low = i * 64 + 63 - __builtin_clzll(words[i]);
			break;
		case AUDIENCE_RUNS:
			low = (uint64) run->first + run->more;
			break;
	}
	return audience_key(entry) << 16 | low;
}

/* Returns the audience, in the memory that was taken at the beginning. */
Audience *
audience_write_end(AudienceWriter *writer)
{
	Audience *audience = writer->audience;
	Size head = sizeof(Audience) + audience->nentries * sizeof(AudienceEntry);
	Size size = head + writer->used;
	Size room = (writer->data - (char *) audience) + writer->room;

	if (size > AUDIENCE_SIZE_MAX)
		audience_error_size();
	if (audience->nentries < writer->max_entries)
		memmove((char *) audience + head, writer->data, writer->used);
	SET_VARSIZE(audience, size);
	if (audience->nentries > 0)
		audience->last = audience_largest(audience);
	/* It may live long, in an array of many. */
	if (room - size > size / 8)
		audience = repalloc_huge(audience, size);
	return audience;
}
