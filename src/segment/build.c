/*
 * A set of ids that grows. Its ids lie by chunk, as in an audience: in an
 * array that may be unsorted and hold ids twice, in bits, or in runs as they
 * came from an audience. A table finds the chunk of an id; the chunk of the
 * last id is at hand.
 *
 * The first ids wait in one list. A query with many groups adds an id to one
 * set and then to another, so that each touch of memory waits for it: a list
 * is touched in one place, and its ids go to their chunks all at once.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "segment/audience_layout.h"

/* Values that a chunk holds itself. */
#define CHUNK_SMALL 4

/* Ids that wait, at first and at most. */
#define PENDING_MIN 8
#define PENDING_MAX 1024

/* Fewer values than this are sorted one by one. */
#define CHUNK_INSERTION 32

typedef struct BuilderChunk
{
	uint64 key;
	uint8 kind;      /* an AudienceKind */
	bool sorted;     /* the array ascends and holds no id twice */
	uint16 n;        /* values or runs */
	uint16 capacity; /* of values or runs */
	union
	{
		uint16 small[CHUNK_SMALL]; /* while capacity is CHUNK_SMALL */
		uint16 *values;
		uint64 *words;
		AudienceRun *runs;
	} u;
} BuilderChunk;

struct AudienceBuilder
{
	MemoryContext context;
	Size memory;
	BuilderChunk *chunks; /* in the order in which they came */
	uint32 nchunks;
	uint32 capacity;
	bool ascending; /* the keys of chunks ascend */
	uint32 *slots;  /* hash table of 1 + positions in chunks, 0 is free */
	uint32 mask;    /* number of slots less 1 */
	BuilderChunk *current;
	bool direct;     /* no id waits, nor will */
	uint32 npending; /* ids that wait */
	uint32 pending_room;
	uint64 *pending;
};

/* Takes memory for a builder. */
static void *
builder_alloc(AudienceBuilder *builder, Size size)
{
	builder->memory += size;
	return MemoryContextAllocHuge(builder->context, size);
}

/* Gives memory of a builder back. */
static void
builder_free(AudienceBuilder *builder, void *memory, Size size)
{
	builder->memory -= size;
	pfree(memory);
}

/* Makes an empty set, whose memory is in context. */
AudienceBuilder *
audience_builder_create(MemoryContext context)
{
	AudienceBuilder *builder =
		MemoryContextAllocZero(context, sizeof(AudienceBuilder));

	builder->context = context;
	builder->memory = sizeof(AudienceBuilder);
	builder->ascending = true;
	return builder;
}

/* Returns the slot in which a key is to be looked for first. */
static inline uint32
slot_of(const AudienceBuilder *builder, uint64 key)
{
	/* Fibonacci hashing: keys are often close to each other. */
	return (uint32) (key * UINT64CONST(0x9E3779B97F4A7C15) >> 32) &
		   builder->mask;
}

/* Makes room for twice as many chunks. */
static void
builder_grow(AudienceBuilder *builder)
{
	uint32 old = builder->capacity;
	uint32 capacity = Max(2 * old, 8);
	BuilderChunk *chunks =
		builder_alloc(builder, capacity * sizeof(BuilderChunk));

	if (old > 0)
	{
		memcpy(chunks, builder->chunks, old * sizeof(BuilderChunk));
		builder_free(builder, builder->chunks, old * sizeof(BuilderChunk));
		builder_free(builder, builder->slots, 2 * old * sizeof(uint32));
	}
	builder->chunks = chunks;
	builder->capacity = capacity;
	builder->mask = 2 * capacity - 1;
	builder->slots = builder_alloc(builder, 2 * capacity * sizeof(uint32));
	memset(builder->slots, 0, 2 * capacity * sizeof(uint32));
	for (uint32 i = 0; i < builder->nchunks; i++)
	{
		uint32 slot = slot_of(builder, chunks[i].key);

		while (builder->slots[slot] != 0)
			slot = (slot + 1) & builder->mask;
		builder->slots[slot] = i + 1;
	}
}

/* Makes an empty chunk, for which there is a free slot. */
static BuilderChunk *
builder_new_chunk(AudienceBuilder *builder, uint64 key, uint32 slot)
{
	BuilderChunk *chunk;

	builder->slots[slot] = builder->nchunks + 1;
	chunk = &builder->chunks[builder->nchunks];
	if (builder->nchunks > 0 && key < chunk[-1].key)
		builder->ascending = false;
	builder->nchunks++;
	chunk->key = key;
	chunk->kind = AUDIENCE_ARRAY;
	chunk->sorted = true;
	chunk->n = 0;
	chunk->capacity = CHUNK_SMALL;
	return chunk;
}

/* Makes the chunk of a key, new or not, the current one. */
static BuilderChunk *
builder_find(AudienceBuilder *builder, uint64 key)
{
	uint32 slot;

	Assert(key >> AUDIENCE_KEY_BITS == 0);
	if (builder->nchunks == builder->capacity)
	{
		if (builder->nchunks > AUDIENCE_ENTRIES_MAX)
			audience_error_size();
		CHECK_FOR_INTERRUPTS();
		builder_grow(builder);
	}
	slot = slot_of(builder, key);
	while (builder->slots[slot] != 0)
	{
		builder->current = &builder->chunks[builder->slots[slot] - 1];
		if (builder->current->key == key)
			return builder->current;
		slot = (slot + 1) & builder->mask;
	}
	return builder->current = builder_new_chunk(builder, key, slot);
}

/* Returns the chunk of a key. */
static inline BuilderChunk *
builder_chunk(AudienceBuilder *builder, uint64 key)
{
	BuilderChunk *chunk = builder->current;

	return chunk != NULL && chunk->key == key ? chunk
											  : builder_find(builder, key);
}

/* Returns the values of an array. */
static inline uint16 *
chunk_values(BuilderChunk *chunk)
{
	return chunk->capacity == CHUNK_SMALL ? chunk->u.small : chunk->u.values;
}

/* Returns the data of a chunk. */
static const void *
chunk_data(BuilderChunk *chunk)
{
	if (chunk->kind == AUDIENCE_ARRAY)
		return chunk_values(chunk);
	return chunk->kind == AUDIENCE_BITS ? (void *) chunk->u.words
										: (void *) chunk->u.runs;
}

/* Gives the memory of a chunk's data back. */
static void
chunk_release(AudienceBuilder *builder, BuilderChunk *chunk)
{
	switch ((AudienceKind) chunk->kind)
	{
		case AUDIENCE_ARRAY:
			if (chunk->capacity > CHUNK_SMALL)
				builder_free(builder, chunk->u.values,
							 chunk->capacity * sizeof(uint16));
			break;
		case AUDIENCE_BITS:
			builder_free(builder, chunk->u.words, AUDIENCE_BITS_SIZE);
			break;
		case AUDIENCE_RUNS:
			builder_free(builder, chunk->u.runs,
						 chunk->capacity * sizeof(AudienceRun));
			break;
	}
}

/* Makes bits of a chunk. */
static void
chunk_to_bits(AudienceBuilder *builder, BuilderChunk *chunk)
{
	uint64 *words;

	if (chunk->kind == AUDIENCE_BITS)
		return;
	words = builder_alloc(builder, AUDIENCE_BITS_SIZE);
	memset(words, 0, AUDIENCE_BITS_SIZE);
	audience_bits_add(words, chunk_data(chunk), chunk->kind, chunk->n);
	chunk_release(builder, chunk);
	chunk->kind = AUDIENCE_BITS;
	chunk->sorted = true;
	chunk->u.words = words;
}

/* Sorts many values, each once, and returns their number. */
static uint32
sort_values(uint16 *values, uint32 n)
{
	uint64 words[AUDIENCE_WORDS] = {0};
	uint16 sorted[AUDIENCE_ARRAY_MAX + AUDIENCE_LIST_SLACK];

	audience_bits_add(words, values, AUDIENCE_ARRAY, n);
	n = audience_kernels()->list(words, sorted);
	memcpy(values, sorted, n * sizeof(uint16));
	return n;
}

/* Sorts the values of an array, each once. */
static void
chunk_sort(BuilderChunk *chunk)
{
	uint16 *values = chunk_values(chunk);
	uint32 n = 0;

	if (chunk->sorted)
		return;
	chunk->sorted = true;
	if (chunk->n >= CHUNK_INSERTION)
	{
		chunk->n = (uint16) sort_values(values, chunk->n);
		return;
	}
	for (uint32 i = 0; i < chunk->n; i++)
	{
		uint16 value = values[i];
		uint32 at = n;

		while (at > 0 && values[at - 1] > value)
			at--;
		if (at > 0 && values[at - 1] == value)
			continue;
		memmove(&values[at + 1], &values[at], (n - at) * sizeof(uint16));
		values[at] = value;
		n++;
	}
	chunk->n = (uint16) n;
}

/* Gives an array room for so many values, at most 4,096. */
static void
chunk_reserve(AudienceBuilder *builder, BuilderChunk *chunk, uint32 n)
{
	uint32 capacity = chunk->capacity;
	uint16 *values;

	while (capacity < n)
		capacity *= 2;
	if (capacity == chunk->capacity)
		return;
	Assert(capacity <= AUDIENCE_ARRAY_MAX);
	values = builder_alloc(builder, capacity * sizeof(uint16));
	memcpy(values, chunk_values(chunk), chunk->n * sizeof(uint16));
	chunk_release(builder, chunk);
	chunk->u.values = values;
	chunk->capacity = (uint16) capacity;
}

/* Makes room for one more value in an array, which may become bits. */
static void
chunk_make_room(AudienceBuilder *builder, BuilderChunk *chunk)
{
	/* Much of it may be the same ids again. */
	chunk_sort(chunk);
	if (chunk->n <= chunk->capacity / 2)
		return;
	if (chunk->capacity < AUDIENCE_ARRAY_MAX)
		chunk_reserve(builder, chunk, 2 * chunk->capacity);
	else
		chunk_to_bits(builder, chunk);
}

/* Returns whether runs hold all ids of a chunk. */
static inline bool
runs_are_full(const AudienceRun *runs)
{
	return runs->more == AUDIENCE_CHUNK - 1;
}

/* Makes an array or bits of runs, unless they hold all ids. */
static void
chunk_open_runs(AudienceBuilder *builder, BuilderChunk *chunk)
{
	BuilderChunk runs = *chunk;
	uint32 members = audience_runs_members(chunk->u.runs, chunk->n);
	uint16 *values;

	if (runs_are_full(chunk->u.runs))
		return;
	if (members > AUDIENCE_ARRAY_MAX / 2)
	{
		chunk_to_bits(builder, chunk);
		return;
	}
	chunk->kind = AUDIENCE_ARRAY;
	chunk->n = 0;
	chunk->capacity = CHUNK_SMALL;
	chunk_reserve(builder, chunk, members);
	values = chunk_values(chunk);
	for (uint32 i = 0; i < runs.n; i++)
		for (uint32 k = 0; k <= runs.u.runs[i].more; k++)
			values[chunk->n++] = (uint16) (runs.u.runs[i].first + k);
	chunk_release(builder, &runs);
}

/* Appends to an array. */
static inline void
chunk_append(AudienceBuilder *builder, BuilderChunk *chunk, uint16 value)
{
	uint16 *values = chunk_values(chunk);

	if (chunk->n > 0 && value <= values[chunk->n - 1])
	{
		if (value == values[chunk->n - 1])
			return;
		chunk->sorted = false;
	}
	if (chunk->n == chunk->capacity)
	{
		bool sorted = chunk->sorted;

		chunk_make_room(builder, chunk);
		if (chunk->kind == AUDIENCE_BITS)
		{
			chunk->u.words[value >> 6] |= UINT64CONST(1) << (value & 63);
			return;
		}
		values = chunk_values(chunk);
		chunk->sorted = sorted && chunk->sorted;
	}
	values[chunk->n++] = value;
}

/* Adds a value to a chunk. */
static inline void
chunk_add(AudienceBuilder *builder, BuilderChunk *chunk, uint16 value)
{
	if (chunk->kind == AUDIENCE_RUNS)
		chunk_open_runs(builder, chunk);
	if (chunk->kind == AUDIENCE_BITS)
		chunk->u.words[value >> 6] |= UINT64CONST(1) << (value & 63);
	else if (chunk->kind == AUDIENCE_ARRAY)
		chunk_append(builder, chunk, value);
}

/* Adds an id to its chunk. */
static inline void
builder_add_direct(AudienceBuilder *builder, uint64 id)
{
	chunk_add(builder, builder_chunk(builder, id >> 16), (uint16) id);
}

/* Adds the ids that wait to their chunks; from now on, none waits. */
static void
builder_settle(AudienceBuilder *builder)
{
	if (builder->direct)
		return;
	builder->direct = true;
	for (uint32 i = 0; i < builder->npending; i++)
		builder_add_direct(builder, builder->pending[i]);
	if (builder->pending != NULL)
		builder_free(builder, builder->pending,
					 builder->pending_room * sizeof(uint64));
	builder->pending = NULL;
	builder->npending = builder->pending_room = 0;
}

/* Makes room for more ids that wait, or has them wait no longer. */
static void
builder_make_pending_room(AudienceBuilder *builder)
{
	uint32 old = builder->pending_room;
	uint32 room = Max(PENDING_MIN, 2 * old);
	uint64 *pending;

	if (old == PENDING_MAX)
	{
		builder_settle(builder);
		return;
	}
	pending = builder_alloc(builder, room * sizeof(uint64));
	if (old > 0)
	{
		memcpy(pending, builder->pending, old * sizeof(uint64));
		builder_free(builder, builder->pending, old * sizeof(uint64));
	}
	builder->pending = pending;
	builder->pending_room = room;
}

/* Adds an id, which is below 2^63. */
void
audience_builder_add(AudienceBuilder *builder, uint64 id)
{
	Assert(id <= PG_INT64_MAX);
	if (!builder->direct && builder->npending == builder->pending_room)
		builder_make_pending_room(builder);
	if (builder->direct)
		builder_add_direct(builder, id);
	else
		builder->pending[builder->npending++] = id;
}

/* Appends the bits of a word to an array, if all are new and have room. */
static inline bool
chunk_append_word(BuilderChunk *chunk, uint16 first, uint64 bits)
{
	uint16 *values = chunk_values(chunk);
	uint16 *at = values + chunk->n;

	if (chunk->kind != AUDIENCE_ARRAY || chunk->n == 0 ||
		chunk->n + 64 > chunk->capacity || at[-1] >= first)
		return false;
	for (; bits != 0; bits &= bits - 1)
		*at++ = (uint16) (first + audience_lowest(bits));
	chunk->n = (uint16) (at - values);
	return true;
}

/* Adds the ids of bits in a word of 64 ids. */
static void
builder_add_word(AudienceBuilder *builder, uint64 word, uint64 bits)
{
	BuilderChunk *chunk;

	if (bits == 0)
		return;
	chunk = builder_chunk(builder, word >> 10);
	if (chunk->kind == AUDIENCE_BITS)
	{
		chunk->u.words[word & (AUDIENCE_WORDS - 1)] |= bits;
		return;
	}
	if (chunk_append_word(chunk, (uint16) (word << 6), bits))
		return;
	for (; bits != 0; bits &= bits - 1)
		builder_add_direct(builder, word << 6 | audience_lowest(bits));
}

/* Adds first + i for each bit i of bits that is set; ids below 2^63. */
void
audience_builder_add_bits(AudienceBuilder *builder, uint64 first, uint64 bits)
{
	uint64 word = first >> 6;
	int shift = (int) (first & 63);

	builder_settle(builder);
	builder_add_word(builder, word, bits << shift);
	if (shift != 0)
		builder_add_word(builder, word + 1, bits >> (64 - shift));
}

/* Makes runs of an array that is sorted. */
static uint32
values_to_runs(const uint16 *values, uint32 n, AudienceRun *runs)
{
	uint32 nruns = 0;

	for (uint32 i = 0; i < n; i++)
	{
		if (i > 0 && values[i] == values[i - 1] + 1)
		{
			runs[nruns - 1].more++;
			continue;
		}
		runs[nruns].first = values[i];
		runs[nruns++].more = 0;
	}
	return nruns;
}

/* Unites runs, and returns the number of the result. */
static uint32
runs_unite(const AudienceRun *a, uint32 na, const AudienceRun *b, uint32 nb,
		   AudienceRun *result)
{
	uint32 n = 0;
	uint32 i = 0;
	uint32 k = 0;

	while (i < na || k < nb)
	{
		const AudienceRun *next =
			k == nb || (i < na && a[i].first <= b[k].first) ? &a[i++]
															: &b[k++];
		uint32 end = (uint32) next->first + next->more;
		uint32 before;

		if (n > 0)
		{
			before = (uint32) result[n - 1].first + result[n - 1].more;
			if (next->first <= before + 1)
			{
				if (end > before)
					result[n - 1].more += (uint16) (end - before);
				continue;
			}
		}
		result[n++] = *next;
	}
	return n;
}

/* Unites a chunk with a container, where both fit in few runs. */
static void
chunk_unite_runs(AudienceBuilder *builder, BuilderChunk *chunk,
				 const void *data, AudienceKind kind, uint32 units)
{
	AudienceRun room[2][AUDIENCE_RUNS_MAX];
	AudienceRun united[AUDIENCE_RUNS_MAX];
	const AudienceRun *mine = chunk->u.runs;
	const AudienceRun *others = data;
	uint32 n;

	if (chunk->kind == AUDIENCE_ARRAY)
	{
		chunk_sort(chunk);
		n = values_to_runs(chunk_values(chunk), chunk->n, room[0]);
		mine = room[0];
	}
	else
		n = chunk->n;
	if (kind == AUDIENCE_ARRAY)
	{
		units = values_to_runs(data, units, room[1]);
		others = room[1];
	}
	n = runs_unite(mine, n, others, units, united);
	chunk_release(builder, chunk);
	chunk->kind = AUDIENCE_RUNS;
	chunk->n = chunk->capacity = (uint16) n;
	chunk->u.runs = builder_alloc(builder, n * sizeof(AudienceRun));
	memcpy(chunk->u.runs, united, n * sizeof(AudienceRun));
}

/* Adds a container to a chunk that has no ids. */
static void
chunk_copy(AudienceBuilder *builder, BuilderChunk *chunk, const void *data,
		   AudienceKind kind, uint32 units)
{
	switch (kind)
	{
		case AUDIENCE_ARRAY:
			chunk_reserve(builder, chunk, units);
			memcpy(chunk_values(chunk), data, units * sizeof(uint16));
			chunk->n = (uint16) units;
			break;
		case AUDIENCE_BITS:
			chunk_release(builder, chunk);
			chunk->kind = AUDIENCE_BITS;
			chunk->u.words = builder_alloc(builder, AUDIENCE_BITS_SIZE);
			memcpy(chunk->u.words, data, AUDIENCE_BITS_SIZE);
			break;
		case AUDIENCE_RUNS:
			chunk_unite_runs(builder, chunk, data, kind, units);
			break;
	}
}

/* Adds a container of so many values or runs to a chunk. */
static void
chunk_merge(AudienceBuilder *builder, BuilderChunk *chunk, const void *data,
			AudienceKind kind, uint32 units)
{
	const uint16 *values = data;

	if (chunk->kind == AUDIENCE_ARRAY && chunk->n == 0)
		chunk_copy(builder, chunk, data, kind, units);
	else if (kind == AUDIENCE_ARRAY && chunk->kind == AUDIENCE_ARRAY &&
			 chunk->n + units <= AUDIENCE_ARRAY_MAX)
		for (uint32 i = 0; i < units; i++)
			chunk_add(builder, chunk, values[i]);
	else if (chunk->kind != AUDIENCE_BITS && kind != AUDIENCE_BITS &&
			 chunk->n + units <= AUDIENCE_RUNS_MAX)
		chunk_unite_runs(builder, chunk, data, kind, units);
	else
	{
		chunk_to_bits(builder, chunk);
		audience_bits_add(chunk->u.words, data, kind, units);
	}
}

/* Adds all ids of an audience. */
void
audience_builder_merge(AudienceBuilder *builder, const Audience *audience)
{
	/* An aggregate begins with the empty set. */
	if (audience->nentries == 0)
		return;
	builder_settle(builder);
	for (uint32 i = 0; i < audience->nentries; i++)
	{
		const AudienceEntry *entry = &audience->entries[i];

		CHECK_FOR_INTERRUPTS();
		chunk_merge(builder, builder_chunk(builder, audience_key(entry)),
					audience_data(audience, entry), entry->kind,
					audience_units(entry));
	}
}

/* Returns the number of different ids. */
uint64
audience_builder_count(AudienceBuilder *builder)
{
	uint64 count = 0;

	builder_settle(builder);
	for (uint32 i = 0; i < builder->nchunks; i++)
	{
		BuilderChunk *chunk = &builder->chunks[i];

		CHECK_FOR_INTERRUPTS();
		switch ((AudienceKind) chunk->kind)
		{
			case AUDIENCE_ARRAY:
				chunk_sort(chunk);
				count += chunk->n;
				break;
			case AUDIENCE_BITS:
				count += audience_kernels()->count(chunk->u.words);
				break;
			case AUDIENCE_RUNS:
				count += audience_runs_members(chunk->u.runs, chunk->n);
				break;
		}
	}
	return count;
}

/* Returns the bytes of memory in use. */
Size
audience_builder_memory(const AudienceBuilder *builder)
{
	return builder->memory;
}

/* Compares two chunks by their keys. */
static int
compare_chunks(const void *a, const void *b)
{
	const BuilderChunk *const *x = a;
	const BuilderChunk *const *y = b;

	return (*x)->key < (*y)->key ? -1 : (*x)->key > (*y)->key;
}

/* Returns the chunks in the order of their keys. */
static BuilderChunk **
builder_order(AudienceBuilder *builder)
{
	BuilderChunk **order = palloc_extended(
		Max(builder->nchunks, 1) * sizeof(BuilderChunk *), MCXT_ALLOC_HUGE);

	for (uint32 i = 0; i < builder->nchunks; i++)
		order[i] = &builder->chunks[i];
	if (!builder->ascending)
		qsort(order, builder->nchunks, sizeof(BuilderChunk *), compare_chunks);
	return order;
}

/* Returns the most bytes that the data of a builder's chunks can take. */
static Size
builder_room(AudienceBuilder *builder)
{
	Size room = 0;

	for (uint32 i = 0; i < builder->nchunks; i++)
	{
		BuilderChunk *chunk = &builder->chunks[i];

		chunk_sort(chunk);
		room += chunk->kind == AUDIENCE_BITS
					? AUDIENCE_BITS_SIZE
					: TYPEALIGN(8, chunk->n * sizeof(AudienceRun));
	}
	return room;
}

/* The flat form, palloc'd in the current context; the builder stays. */
Audience *
audience_builder_finish(AudienceBuilder *builder)
{
	const AudienceKernels *kernels = audience_kernels();
	AudienceWriter writer;
	BuilderChunk **order;
	Size room;

	builder_settle(builder);
	room = builder_room(builder);
	order = builder_order(builder);
	audience_write_begin(&writer, builder->nchunks, room);
	for (uint32 i = 0; i < builder->nchunks; i++)
	{
		BuilderChunk *chunk = order[i];

		CHECK_FOR_INTERRUPTS();
		switch ((AudienceKind) chunk->kind)
		{
			case AUDIENCE_ARRAY:
				audience_write_array(&writer, chunk->key, chunk_values(chunk),
									 chunk->n);
				break;
			case AUDIENCE_BITS:
				audience_write_bits(&writer, chunk->key, chunk->u.words,
									kernels->count(chunk->u.words));
				break;
			case AUDIENCE_RUNS:
				audience_write_runs(&writer, chunk->key, chunk->u.runs,
									chunk->n);
				break;
		}
	}
	pfree(order);
	return audience_write_end(&writer);
}
