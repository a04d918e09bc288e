/*
 * A store of records grouped by key.
 *
 * A record goes to the partition that a hash of its key says, into the last
 * of its chunks: appending moves nothing. A partition is sorted when it is
 * first walked: by then its records mostly fit the cache. Pointers to them
 * are sorted by key with a radix sort, those of one key by order, which
 * most sources already have, and the records are then copied once into
 * their places. Records that are equal in both are put in the order of
 * their other bytes, so that the result is the same whatever the plan.
 */
#include "postgres.h"

#include "core/group.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#define GROUP_BITS 8
#define GROUP_PARTITIONS (1 << GROUP_BITS)

/* Bytes of the first chunk of a partition, and of the largest. */
#define GROUP_CHUNK_MIN ((Size) 1024)
#define GROUP_CHUNK_MAX ((Size) 64 * 1024)

/* Digits of the radix sort. */
#define GROUP_DIGIT_BITS 8
#define GROUP_DIGITS (64 / GROUP_DIGIT_BITS)
#define GROUP_RADIX (1 << GROUP_DIGIT_BITS)

/* Memory of a chunk; its records follow. */
typedef struct GroupChunk
{
	struct GroupChunk *next;
	char *end; /* of its records, when it is no longer the first */
} GroupChunk;

typedef struct GroupPartition
{
	GroupChunk *chunks; /* the one appended to first */
	char *at;           /* where the next record goes */
	char *end;
	uint64 n;
	bool sorted; /* its one chunk is in order */
} GroupPartition;

struct CoreGroup
{
	MemoryContext context;
	Size size;   /* of a record */
	Size memory; /* of all chunks */
	GroupPartition partitions[GROUP_PARTITIONS];
};

/* What a worker leaves in shared memory. */
typedef struct GroupPublished
{
	uint64 n[GROUP_PARTITIONS];
	dsa_pointer records[GROUP_PARTITIONS];
} GroupPublished;

/* A record that is sorted. */
typedef struct GroupEntry
{
	int64 key;
	int64 order;
	const char *record;
} GroupEntry;

/* Setting iaros.group_memory, in kB. */
static int group_memory = 2 * 1024 * 1024;

/* Compares two records of one key; rest is the size of what is behind. */
static inline int
entry_compare(const GroupEntry *a, const GroupEntry *b, Size rest)
{
	if (a->order != b->order)
		return a->order < b->order ? -1 : 1;
	return memcmp(a->record + sizeof(CoreRecord),
				  b->record + sizeof(CoreRecord), rest);
}

#define ST_SORT entry_sort
#define ST_ELEMENT_TYPE GroupEntry
#define ST_COMPARE(a, b, rest) entry_compare(a, b, *(rest))
#define ST_COMPARE_ARG_TYPE Size
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Returns the partition of a key. */
static inline int
group_partition(int64 key)
{
	return (int) (((uint64) key * UINT64CONST(0x9e3779b97f4a7c15)) >>
				  (64 - GROUP_BITS));
}

/* The records of a chunk. */
static inline char *
chunk_records(GroupChunk *chunk)
{
	return (char *) chunk + MAXALIGN(sizeof(GroupChunk));
}

/* Makes an empty store of records of that size, in the current context. */
CoreGroup *
core_group_create(Size size)
{
	CoreGroup *group = palloc0(sizeof(CoreGroup));

	Assert(size >= sizeof(CoreRecord) && size % sizeof(int64) == 0 &&
		   size <= GROUP_CHUNK_MIN);
	group->context = CurrentMemoryContext;
	group->size = size;
	return group;
}

/* Returns how many records a store has. */
uint64
core_group_count(const CoreGroup *group)
{
	uint64 n = 0;

	for (int i = 0; i < GROUP_PARTITIONS; i++)
		n += group->partitions[i].n;
	return n;
}

/* Puts a new chunk of that many bytes before the others of a partition. */
static void
group_add_chunk(CoreGroup *group, GroupPartition *partition, Size size)
{
	GroupChunk *chunk;

	Assert(!partition->sorted);
	group->memory = add_size(group->memory, size);
	if (group->memory / 1024 > group_memory)
		ereport(
			ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("rows of the source take more than %d kB", group_memory),
			 errdetail("Each row takes %zu bytes; the limit is "
					   "iaros.group_memory.",
					   group->size),
			 errhint("Compute some of the customers at a time, leave rows "
					 "out in a query as the source, or raise "
					 "iaros.group_memory.")));
	chunk = MemoryContextAllocHuge(
		group->context, add_size(MAXALIGN(sizeof(GroupChunk)), size));
	if (partition->chunks != NULL)
		partition->chunks->end = partition->at;
	chunk->next = partition->chunks;
	partition->chunks = chunk;
	partition->at = chunk_records(chunk);
	partition->end = partition->at + size;
}

/* Makes room for a record in a partition whose chunk is full. */
static void
group_grow(CoreGroup *group, GroupPartition *partition)
{
	Size size = partition->n * group->size;

	/* As large as all there is, within bounds, and of whole records. */
	size = Min(Max(size, GROUP_CHUNK_MIN), GROUP_CHUNK_MAX);
	group_add_chunk(group, partition, size - size % group->size);
}

/*
 * Adds a record and returns where it is. The caller fills in all the bytes
 * behind its head, as they are compared.
 */
void *
core_group_add(CoreGroup *group, int64 key, int64 order)
{
	GroupPartition *partition = &group->partitions[group_partition(key)];
	CoreRecord *record;

	if (unlikely(partition->at == partition->end))
		group_grow(group, partition);
	record = (CoreRecord *) partition->at;
	partition->at += group->size;
	partition->n++;
	record->key = key;
	record->order = order;
	return record;
}

/* Frees the chunks of a partition. */
static void
group_free_chunks(CoreGroup *group, GroupPartition *partition)
{
	GroupChunk *chunk = partition->chunks;

	while (chunk != NULL)
	{
		GroupChunk *next = chunk->next;

		pfree(chunk);
		chunk = next;
	}
	partition->chunks = NULL;
	partition->at = partition->end = NULL;
}

/* Copies the records of a partition to one place. */
static void
group_copy(const CoreGroup *group, const GroupPartition *partition, char *to)
{
	for (GroupChunk *chunk = partition->chunks; chunk != NULL;
		 chunk = chunk->next)
	{
		char *records = chunk_records(chunk);
		char *end = chunk == partition->chunks ? partition->at : chunk->end;

		memcpy(to, records, end - records);
		to += end - records;
	}
}

/*
 * Worker: moves the records into shared memory, partition by partition, so
 * that no more than one is held twice.
 */
dsa_pointer
core_group_publish(CoreGroup *group, dsa_area *area)
{
	dsa_pointer pointer = dsa_allocate0(area, sizeof(GroupPublished));

	for (int i = 0; i < GROUP_PARTITIONS; i++)
	{
		GroupPartition *partition = &group->partitions[i];
		GroupPublished *published;
		dsa_pointer records;

		CHECK_FOR_INTERRUPTS();
		if (partition->n == 0)
			continue;
		records = dsa_allocate_extended(
			area, mul_size(partition->n, group->size), DSA_ALLOC_HUGE);
		group_copy(group, partition, dsa_get_address(area, records));
		published = dsa_get_address(area, pointer);
		published->n[i] = partition->n;
		published->records[i] = records;
		group_free_chunks(group, partition);
	}
	return pointer;
}

/* Leader: takes the records that a worker published. */
void
core_group_adopt(CoreGroup *group, dsa_area *area, dsa_pointer pointer)
{
	for (int i = 0; i < GROUP_PARTITIONS; i++)
	{
		GroupPublished *published = dsa_get_address(area, pointer);
		GroupPartition *partition = &group->partitions[i];
		Size size = mul_size(published->n[i], group->size);
		dsa_pointer records = published->records[i];

		CHECK_FOR_INTERRUPTS();
		if (size == 0)
			continue;
		group_add_chunk(group, partition, size);
		memcpy(partition->at, dsa_get_address(area, records), size);
		partition->at += size;
		partition->n += published->n[i];
		dsa_free(area, records);
	}
	dsa_free(area, pointer);
}

/* Lists the records of a partition. */
static void
sort_list(const CoreGroup *group, const GroupPartition *partition,
		  GroupEntry *entries)
{
	for (GroupChunk *chunk = partition->chunks; chunk != NULL;
		 chunk = chunk->next)
	{
		char *end = chunk == partition->chunks ? partition->at : chunk->end;

		for (char *at = chunk_records(chunk); at < end; at += group->size)
		{
			const CoreRecord *record = (const CoreRecord *) at;

			*entries++ = (GroupEntry){
				.key = record->key, .order = record->order, .record = at};
		}
	}
}

/* A key as a number that is never negative, in the same order. */
static inline uint64
sort_digits(int64 key)
{
	return (uint64) key ^ (UINT64CONST(1) << 63);
}

/* Moves entries into the order of one digit of their keys. */
static void
sort_pass(const GroupEntry *from, GroupEntry *to, uint64 n, int shift,
		  uint64 *starts)
{
	for (uint64 i = 0; i < n; i++)
	{
		int digit = (sort_digits(from[i].key) >> shift) & (GROUP_RADIX - 1);

		to[starts[digit]++] = from[i];
	}
}

/* Sorts entries by key, with the help of others; returns where they are. */
static GroupEntry *
sort_keys(GroupEntry *entries, GroupEntry *others, uint64 n)
{
	uint64(*counts)[GROUP_RADIX] =
		palloc0(GROUP_DIGITS * sizeof(uint64[GROUP_RADIX]));

	for (uint64 i = 0; i < n; i++)
		for (int digit = 0; digit < GROUP_DIGITS; digit++)
			counts[digit][(sort_digits(entries[i].key) >>
						   (digit * GROUP_DIGIT_BITS)) &
						  (GROUP_RADIX - 1)]++;
	for (int digit = 0; digit < GROUP_DIGITS; digit++)
	{
		int shift = digit * GROUP_DIGIT_BITS;
		uint64 before = 0;
		GroupEntry *sorted = others;

		CHECK_FOR_INTERRUPTS();
		if (counts[digit][(sort_digits(entries[0].key) >> shift) &
						  (GROUP_RADIX - 1)] == n)
			continue;
		for (int i = 0; i < GROUP_RADIX; i++)
		{
			uint64 count = counts[digit][i];

			counts[digit][i] = before;
			before += count;
		}
		sort_pass(entries, sorted, n, shift, counts[digit]);
		others = entries;
		entries = sorted;
	}
	pfree(counts);
	return entries;
}

/* Sorts the entries of each key by order and the rest of their bytes. */
static void
sort_orders(GroupEntry *entries, uint64 n, Size rest)
{
	for (uint64 i = 0; i < n;)
	{
		uint64 first = i;

		while (i < n && entries[i].key == entries[first].key)
			i++;
		entry_sort(&entries[first], i - first, &rest);
	}
}

/* Sorts a partition: its records then stand in one chunk, in order. */
static void
group_sort(CoreGroup *group, GroupPartition *partition)
{
	uint64 n = partition->n;
	GroupEntry *memory;
	GroupEntry *entries;
	GroupChunk *chunk;
	char *at;

	if (partition->sorted || n == 0)
		return;
	memory = MemoryContextAllocHuge(group->context,
									mul_size(n, 2 * sizeof(GroupEntry)));
	sort_list(group, partition, memory);
	entries = sort_keys(memory, memory + n, n);
	sort_orders(entries, n, group->size - sizeof(CoreRecord));
	chunk = MemoryContextAllocHuge(
		group->context,
		add_size(MAXALIGN(sizeof(GroupChunk)), mul_size(n, group->size)));
	chunk->next = NULL;
	at = chunk_records(chunk);
	for (uint64 i = 0; i < n; i++)
	{
		memcpy(at, entries[i].record, group->size);
		at += group->size;
	}
	pfree(memory);
	group_free_chunks(group, partition);
	partition->chunks = chunk;
	partition->at = partition->end = at;
	partition->sorted = true;
}

/* Returns the records of a partition, in order. */
static CoreSpan
group_sorted(CoreGroup *group, int i)
{
	GroupPartition *partition = &group->partitions[i];

	group_sort(group, partition);
	if (partition->n == 0)
		return (CoreSpan){0};
	return (CoreSpan){.first = chunk_records(partition->chunks),
					  .n = partition->n};
}

/* Returns the key of the first record of a span that is not empty. */
static inline int64
span_key(const CoreSpan *span)
{
	return ((const CoreRecord *) span->first)->key;
}

/* Takes the records of a key from the beginning of those of a partition. */
static CoreSpan
span_take(CoreSpan *rest, int64 key, Size size)
{
	CoreSpan span = {.first = rest->first};

	while (span.n < rest->n &&
		   ((const CoreRecord *) (rest->first + span.n * size))->key == key)
		span.n++;
	rest->first += span.n * size;
	rest->n -= span.n;
	return span;
}

/* Begins a walk through stores, before their first key. */
void
core_walk_begin(CoreWalk *walk, CoreGroup **stores, int nstores)
{
	Assert(nstores > 0 && nstores <= CORE_GROUP_STORES);
	memset(walk, 0, sizeof(CoreWalk));
	walk->nstores = nstores;
	memcpy(walk->stores, stores, nstores * sizeof(CoreGroup *));
	walk->partition = -1;
}

/* Finds the next key of the partition; false when there is none. */
static bool
walk_key(CoreWalk *walk)
{
	bool found = false;

	for (int i = 0; i < walk->nstores; i++)
	{
		if (walk->rest[i].n == 0)
			continue;
		if (!found || span_key(&walk->rest[i]) < walk->key)
			walk->key = span_key(&walk->rest[i]);
		found = true;
	}
	return found;
}

/* Goes to the next key that any of the stores has; false at the end. */
bool
core_walk_next(CoreWalk *walk)
{
	CHECK_FOR_INTERRUPTS();
	while (!walk_key(walk))
	{
		if (walk->partition == GROUP_PARTITIONS - 1)
			return false;
		walk->partition++;
		for (int i = 0; i < walk->nstores; i++)
			walk->rest[i] = group_sorted(walk->stores[i], walk->partition);
	}
	for (int i = 0; i < walk->nstores; i++)
		walk->spans[i] =
			span_take(&walk->rest[i], walk->key, walk->stores[i]->size);
	return true;
}

/* Defines the limit of memory; at library load. */
void
group_init(void)
{
	DefineCustomIntVariable(
		"iaros.group_memory",
		"Most memory that the rows of one computation may take in a process.",
		NULL, &group_memory, 2 * 1024 * 1024, 64, MAX_KILOBYTES, PGC_USERSET,
		GUC_UNIT_KB, NULL, NULL, NULL);
	MarkGUCPrefixReserved("iaros");
}
