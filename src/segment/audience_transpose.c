/*
 * The sets that each id is in, ascending by id: the audiences are read side
 * by side, chunk by chunk, and in a chunk by blocks of 4,096 ids.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/binaryheap.h"
#include "miscadmin.h"
#include "segment/audience_layout.h"
#include "utils/lsyscache.h"

#define BLOCK 4096 /* ids */
#define BLOCK_WORDS (BLOCK / 64)
#define BLOCKS (AUDIENCE_CHUNK / BLOCK)

/* One of the sets. */
typedef struct Source
{
	int64 segment;
	const Audience *audience;
	uint32 next; /* container */
} Source;

/* A container of the chunk at hand. */
typedef struct Member
{
	int source;
	const AudienceEntry *entry;
	const void *data;
	/* Unless it is bits: */
	uint32 at;    /* next value or run */
	uint32 first; /* of the run that is not used up, while first <= last */
	uint32 last;
	uint64 words[BLOCK_WORDS]; /* its ids of the block */
} Member;

typedef struct Transpose
{
	Source *sources; /* ascending by segment */
	int nsources;
	binaryheap *heap; /* of sources, by their next chunk */
	uint64 key;       /* of the chunk */
	Member *members;  /* ascending by segment */
	int nmembers;
	uint32 block; /* of the chunk, BLOCKS after the last */
	/* Of the block: */
	uint64 base;
	uint64 present[BLOCK_WORDS];
	uint32 counts[BLOCK];  /* sources of each id */
	uint32 offsets[BLOCK]; /* where they end in list */
	int *list;
	Size room;
	uint32 word;  /* next word to look at */
	uint64 left;  /* bits of the word before that are left */
	uint64 nrows; /* rows that were returned */
} Transpose;

typedef struct TransposeRows
{
	CoreRows rows;
	Transpose *transpose;
} TransposeRows;

/* Compares two sources for the heap, whose root is the largest. */
static int
compare_sources(Datum a, Datum b, void *arg)
{
	Transpose *t = arg;
	int i = DatumGetInt32(a);
	int k = DatumGetInt32(b);
	const Source *x = &t->sources[i];
	const Source *y = &t->sources[k];
	uint64 key = audience_key(&x->audience->entries[x->next]);
	uint64 other = audience_key(&y->audience->entries[y->next]);

	if (key != other)
		return key < other ? 1 : -1;
	return i < k ? 1 : i > k ? -1 : 0;
}

/* Begins before the first chunk. */
static void
transpose_rewind(Transpose *t)
{
	binaryheap_reset(t->heap);
	for (int i = 0; i < t->nsources; i++)
	{
		t->sources[i].next = 0;
		if (t->sources[i].audience->nentries > 0)
			binaryheap_add_unordered(t->heap, Int32GetDatum(i));
	}
	binaryheap_build(t->heap);
	t->nmembers = 0;
	t->block = BLOCKS;
	t->word = BLOCK_WORDS;
	t->left = 0;
	t->nrows = 0;
}

/* Goes to the next chunk. */
static bool
next_chunk(Transpose *t)
{
	t->nmembers = 0;
	while (!binaryheap_empty(t->heap))
	{
		int i = DatumGetInt32(binaryheap_first(t->heap));
		Source *source = &t->sources[i];
		const AudienceEntry *entry = &source->audience->entries[source->next];
		Member *member = &t->members[t->nmembers];

		if (t->nmembers > 0 && audience_key(entry) != t->key)
			break;
		t->key = audience_key(entry);
		t->nmembers++;
		member->source = i;
		member->entry = entry;
		member->data = audience_data(source->audience, entry);
		member->at = 0;
		member->first = 1;
		member->last = 0;
		if (++source->next < source->audience->nentries)
			binaryheap_replace_first(t->heap, Int32GetDatum(i));
		else
			binaryheap_remove_first(t->heap);
	}
	return t->nmembers > 0;
}

/* Finds the first run of a container that is not used up. */
static inline bool
member_run(Member *member)
{
	return member->first <= member->last ||
		   audience_container_run(member->entry, member->data, &member->at,
								  &member->first, &member->last);
}

/* Finds the first block from t->block on that may have ids. */
static bool
find_block(Transpose *t)
{
	uint32 from = t->block;

	t->block = BLOCKS;
	for (int i = 0; i < t->nmembers; i++)
	{
		Member *member = &t->members[i];

		if (member->entry->kind == AUDIENCE_BITS)
			t->block = Min(t->block, from);
		else if (member_run(member))
			t->block = Min(t->block, member->first / BLOCK);
	}
	return t->block < BLOCKS;
}

/* Takes the ids of a container that are in the block. */
static void
member_load(Member *member, uint32 block)
{
	uint32 begin = block * BLOCK;
	uint32 end = begin + BLOCK - 1;

	if (member->entry->kind == AUDIENCE_BITS)
	{
		memcpy(member->words,
			   (const uint64 *) member->data + block * BLOCK_WORDS,
			   sizeof(member->words));
		return;
	}
	memset(member->words, 0, sizeof(member->words));
	while (member_run(member) && member->first <= end)
	{
		audience_bits_fill(member->words, member->first - begin,
						   Min(member->last, end) - begin);
		member->first = Min(member->last, end) + 1;
	}
}

/* Does something with the position of each bit that is set. */
#define foreach_bit(position, words)                                          \
	for (uint32 w_ = 0; w_ < BLOCK_WORDS; w_++)                               \
		for (uint64 left_ = (words)[w_];                                      \
			 left_ != 0 &&                                                    \
			 ((position) = w_ * 64 + audience_lowest(left_), true);           \
			 left_ &= left_ - 1)

/* Lists the sources of each id of the block. */
static void
block_load(Transpose *t)
{
	uint32 n = 0;
	uint32 i;

	memset(t->present, 0, sizeof(t->present));
	memset(t->counts, 0, sizeof(t->counts));
	for (int m = 0; m < t->nmembers; m++)
	{
		member_load(&t->members[m], t->block);
		foreach_bit(i, t->members[m].words)
		{
			t->counts[i]++;
		}
		for (int w = 0; w < BLOCK_WORDS; w++)
			t->present[w] |= t->members[m].words[w];
	}
	foreach_bit(i, t->present)
	{
		t->offsets[i] = n;
		n += t->counts[i];
	}
	if (n > t->room)
	{
		t->room = n;
		pfree(t->list);
		t->list =
			MemoryContextAllocHuge(GetMemoryChunkContext(t), n * sizeof(int));
	}
	for (int m = 0; m < t->nmembers; m++)
		foreach_bit(i, t->members[m].words)
		{
			t->list[t->offsets[i]++] = t->members[m].source;
		}
}

/* Goes to the next block that may have ids. */
static bool
next_block(Transpose *t)
{
	CHECK_FOR_INTERRUPTS();
	t->block++;
	while (t->block >= BLOCKS || !find_block(t))
	{
		if (!next_chunk(t))
			return false;
		t->block = 0;
	}
	block_load(t);
	t->word = 0;
	return true;
}

/* Goes to the next id and returns its place in the block. */
static uint32
next_id(Transpose *t)
{
	uint32 place;

	while (t->left == 0)
	{
		if (t->word == BLOCK_WORDS && !next_block(t))
			elog(ERROR, "there are no more ids in the audiences");
		t->left = t->present[t->word++];
	}
	place = (t->word - 1) * 64 + audience_lowest(t->left);
	t->left &= t->left - 1;
	t->nrows++;
	return place;
}

/* Returns row number i; quick when the one before was asked for last. */
static void
transpose_get(const CoreRows *rows, uint64 i, const bool *wanted,
			  Datum *values, bool *nulls)
{
	Transpose *t = ((const TransposeRows *) rows)->transpose;
	uint32 place;

	if (i < t->nrows)
		transpose_rewind(t);
	while (t->nrows < i)
		next_id(t);
	place = next_id(t);
	nulls[0] = nulls[1] = false;
	values[0] =
		Int64GetDatum((int64) (t->key << 16 | (t->block * BLOCK + place)));
	if (wanted[1])
	{
		uint32 n = t->counts[place];
		ArrayType *array = audience_make_array(n);
		int64 *segments = (int64 *) ARR_DATA_PTR(array);
		const int *from = &t->list[t->offsets[place] - n];

		for (uint32 k = 0; k < n; k++)
			segments[k] = t->sources[from[k]].segment;
		values[1] = PointerGetDatum(array);
	}
}

/* Counts the ids that are in any of the sets. */
static uint64
count_rows(Transpose *t)
{
	uint64 words[AUDIENCE_WORDS];
	uint64 n = 0;

	transpose_rewind(t);
	while (next_chunk(t))
	{
		CHECK_FOR_INTERRUPTS();
		if (t->nmembers == 1)
		{
			n += audience_members(t->members[0].entry);
			continue;
		}
		memset(words, 0, sizeof(words));
		for (int m = 0; m < t->nmembers; m++)
		{
			const AudienceEntry *entry = t->members[m].entry;

			audience_bits_add(words, t->members[m].data, entry->kind,
							  audience_units(entry));
		}
		n += audience_kernels()->count(words);
	}
	transpose_rewind(t);
	return n;
}

/* Compares two sources by their segments. */
static int
compare_segments(const void *a, const void *b)
{
	const Source *x = a;
	const Source *y = b;

	return x->segment < y->segment ? -1 : x->segment > y->segment;
}

/* Takes the elements of an array, none of which may be NULL. */
static int
take_elements(Datum datum, const char *name, Datum **elements)
{
	ArrayType *array = DatumGetArrayTypeP(datum);
	int16 length;
	bool by_value;
	char align;
	bool *nulls;
	int n;

	get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &align);
	deconstruct_array(array, ARR_ELEMTYPE(array), length, by_value, align,
					  elements, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("element %d of %s is NULL", i + 1, name)));
	return n;
}

/* Takes the arguments of audience_transpose(). */
static void
take_sources(Transpose *t, const NullableDatum *args)
{
	Datum *segments;
	Datum *audiences;
	int n = take_elements(args[0].value, "ids", &segments);
	int other = take_elements(args[1].value, "audiences", &audiences);

	if (n != other)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("there are %d ids for %d audiences", n, other),
						errhint("Give each audience one id.")));
	t->nsources = n;
	t->sources = palloc0(Max(n, 1) * sizeof(Source));
	for (int i = 0; i < n; i++)
	{
		t->sources[i].segment = DatumGetInt64(segments[i]);
		t->sources[i].audience = DatumGetAudienceP(audiences[i]);
	}
	qsort(t->sources, n, sizeof(Source), compare_segments);
	for (int i = 1; i < n; i++)
		if (t->sources[i].segment == t->sources[i - 1].segment)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("id %lld is given to two audiences",
								   (long long) t->sources[i].segment)));
}

/* Opens audience_transpose(). */
static CoreRows *
transpose_open(TupleDesc desc, const NullableDatum *args)
{
	TransposeRows *rows = palloc0(sizeof(TransposeRows));
	Transpose *t;

	rows->rows.get = transpose_get;
	if (args[0].isnull || args[1].isnull)
		return &rows->rows;
	t = rows->transpose = palloc0(sizeof(Transpose));
	take_sources(t, args);
	t->heap = binaryheap_allocate(Max(t->nsources, 1), compare_sources, t);
	t->members =
		palloc_extended(Max(t->nsources, 1) * sizeof(Member), MCXT_ALLOC_HUGE);
	t->room = BLOCK;
	t->list = palloc(BLOCK * sizeof(int));
	rows->rows.n = count_rows(t);
	return &rows->rows;
}

PG_FUNCTION_INFO_V1(audience_transpose);

const CoreStream audience_transpose_stream = {
	.name = "audience_transpose",
	.function = audience_transpose,
	.open = transpose_open,
};

/* SQL: audience_transpose(ids bigint[], audiences audience[]) */
Datum
audience_transpose(PG_FUNCTION_ARGS)
{
	return core_stream_call(fcinfo, &audience_transpose_stream);
}
