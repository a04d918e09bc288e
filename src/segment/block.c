/*
 * Bits of rows become members of audiences. Ids that follow each other are
 * added 64 at a time as they are; ids close to each other are first put at
 * their places; all others are sorted once for all rules.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "segment/block.h"
#include "utils/memutils.h"

/* Bytes that the bits of a block may take, and its rows. */
#define BLOCK_BITS_BYTES (32 * 1024 * 1024)
#define BLOCK_ROWS_MIN (16 * 1024)
#define BLOCK_ROWS_MAX (1024 * 1024)

/* Rows of a run, on average, that make runs worthwhile. */
#define BLOCK_RUN_MIN 32

/* Ids from the first to the last, in proportion to rows, that are close. */
#define BLOCK_SPREAD_MAX 32

/* An id and its row, to be sorted. */
typedef struct BlockId
{
	uint64 id;
	uint32 row;
} BlockId;

#define ST_SORT block_sort
#define ST_ELEMENT_TYPE BlockId
#define ST_COMPARE(a, b) (((a)->id > (b)->id) - ((a)->id < (b)->id))
#define ST_SCOPE static
#define ST_DECLARE
#define ST_DEFINE
#include "lib/sort_template.h"

/* Returns memory that lives as long as the block. */
static void *
block_alloc(const SegmentBlock *block, Size size, int flags)
{
	return MemoryContextAllocExtended(block->context, size,
									  flags | MCXT_ALLOC_HUGE);
}

/* Makes an empty block, the larger the fewer rules there are. */
SegmentBlock *
segment_block_create(int nrules)
{
	SegmentBlock *block = palloc0(sizeof(SegmentBlock));
	Size room = BLOCK_ROWS_MAX;

	while (room > BLOCK_ROWS_MIN && room / 8 * nrules > BLOCK_BITS_BYTES)
		room /= 2;
	block->context = CurrentMemoryContext;
	block->nrules = nrules;
	block->room = room;
	block->ids = block_alloc(block, room * sizeof(uint64), 0);
	block->bits = block_alloc(block, room / 8 * Max(nrules, 1), 0);
	return block;
}

/* Adds rows of which ids and bits are set; the bits after them are noise. */
void
segment_block_advance(SegmentBlock *block, int n)
{
	uint32 from = block->n + n;

	block->n = from;
	if (from % SEGMENT_BATCH == 0)
		return;
	/* The last batch: nothing comes after it in this block. */
	for (int rule = 0; rule < block->nrules; rule++)
	{
		uint64 *bits = block->bits + (Size) rule * block->room / 64;

		if (from % 64 != 0)
			bits[from / 64] &= (UINT64CONST(1) << from % 64) - 1;
		for (uint32 word = (from + 63) / 64; word % SEGMENT_WORDS != 0; word++)
			bits[word] = 0;
	}
}

/* Finds runs of ids; returns how many, or 0 when there are too many. */
static uint32
block_runs(SegmentBlock *block)
{
	uint32 most = block->n / BLOCK_RUN_MIN + 1;
	SegmentRun *run = NULL;
	uint32 n = 0;

	if (block->runs == NULL)
		block->runs = block_alloc(
			block, (block->room / BLOCK_RUN_MIN + 1) * sizeof(SegmentRun), 0);
	for (uint32 row = 0; row < block->n; row++)
	{
		if (run != NULL && block->ids[row] == run->id + run->length)
		{
			run->length++;
			continue;
		}
		if (n == most)
			return 0;
		run = &block->runs[n++];
		*run = (SegmentRun){.row = row, .length = 1, .id = block->ids[row]};
	}
	return n;
}

/* Returns up to 64 bits from a place on, which need not be aligned. */
static inline uint64
bits_get(const uint64 *bits, uint32 from, uint32 length)
{
	uint32 shift = from % 64;
	uint64 word = bits[from / 64] >> shift;

	if (shift + length > 64)
		word |= bits[from / 64 + 1] << (64 - shift);
	return length < 64 ? word & ((UINT64CONST(1) << length) - 1) : word;
}

/* Adds the members of a rule, by runs. */
static void
block_add_runs(const SegmentBlock *block, const uint64 *bits, uint32 nruns,
			   AudienceBuilder *members)
{
	for (uint32 i = 0; i < nruns; i++)
	{
		const SegmentRun *run = &block->runs[i];
		/* The first ids up to a multiple of 64. */
		uint32 length = Min(64 - run->id % 64, run->length);

		for (uint32 at = 0; at < run->length;
			 at += length, length = Min(64, run->length - at))
		{
			uint64 word = bits_get(bits, run->row + at, length);

			if (word != 0)
				audience_builder_add_bits(members, run->id + at, word);
		}
	}
}

/* Makes room for bits by place. */
static void
block_spread_room(SegmentBlock *block, Size words)
{
	if (block->places == NULL)
		block->places = block_alloc(block, block->room * sizeof(uint32), 0);
	if (block->spread_room >= words)
		return;
	if (block->spread != NULL)
	{
		pfree(block->spread);
		pfree(block->summary);
	}
	block->spread_room = words;
	block->spread = block_alloc(block, TYPEALIGN(64, words) * sizeof(uint64),
								MCXT_ALLOC_ZERO);
	block->summary = block_alloc(block, (words / 4096 + 1) * sizeof(uint64),
								 MCXT_ALLOC_ZERO);
}

/* Puts the bits of a rule at their places. */
static void
block_spread(SegmentBlock *block, const uint64 *bits)
{
	for (uint32 word = 0; word * 64 < block->n; word++)
	{
		uint64 rest = bits[word];

		while (rest != 0)
		{
			uint32 place =
				block->places[word * 64 + pg_rightmost_one_pos64(rest)];

			rest &= rest - 1;
			block->spread[place / 64] |= UINT64CONST(1) << place % 64;
			block->summary[place / 262144] |= UINT64CONST(1)
											  << place / 4096 % 64;
		}
	}
}

/* Adds 64 bits by rank. */
static inline void
block_add_ranked(const SegmentBlock *block, uint32 first, uint64 word,
				 AudienceBuilder *members)
{
	while (word != 0)
	{
		audience_builder_add(
			members, block->ranked[first + pg_rightmost_one_pos64(word)]);
		word &= word - 1;
	}
}

/* Adds the bits at their places to a rule and clears them. */
static void
block_collect(SegmentBlock *block, uint64 base, bool ranked, Size words,
			  AudienceBuilder *members)
{
	for (Size part = 0; part * 4096 < words; part++)
	{
		uint64 rest = block->summary[part];

		block->summary[part] = 0;
		for (; rest != 0; rest &= rest - 1)
		{
			Size from = part * 4096 + pg_rightmost_one_pos64(rest) * 64;

			for (Size word = from; word < from + 64; word++)
			{
				uint64 bits = block->spread[word];

				if (bits == 0)
					continue;
				block->spread[word] = 0;
				if (ranked)
					block_add_ranked(block, word * 64, bits, members);
				else
					audience_builder_add_bits(members, base + word * 64, bits);
			}
		}
	}
}

/* Sorts the ids and gives each row the rank of its id. */
static void
block_rank(SegmentBlock *block)
{
	BlockId *ids =
		palloc_extended(block->n * sizeof(BlockId), MCXT_ALLOC_HUGE);

	if (block->ranked == NULL)
		block->ranked = block_alloc(block, block->room * sizeof(uint64), 0);
	for (uint32 row = 0; row < block->n; row++)
		ids[row] = (BlockId){.id = block->ids[row], .row = row};
	block_sort(ids, block->n);
	for (uint32 rank = 0; rank < block->n; rank++)
	{
		block->ranked[rank] = ids[rank].id;
		block->places[ids[rank].row] = rank;
	}
	pfree(ids);
}

/* Adds the members of all rules, by places. */
static void
block_add_places(SegmentBlock *block, AudienceBuilder **members)
{
	uint64 least = PG_UINT64_MAX;
	uint64 most = 0;
	uint64 base;
	Size words;
	bool ranked;

	for (uint32 row = 0; row < block->n; row++)
	{
		least = Min(least, block->ids[row]);
		most = Max(most, block->ids[row]);
	}
	base = least - least % 64;
	ranked = most - base >= (uint64) block->n * BLOCK_SPREAD_MAX;
	words = (ranked ? block->n : most - base + 1) / 64 + 1;
	block_spread_room(block, words);
	if (ranked)
		block_rank(block);
	else
		for (uint32 row = 0; row < block->n; row++)
			block->places[row] = (uint32) (block->ids[row] - base);
	for (int rule = 0; rule < block->nrules; rule++)
	{
		CHECK_FOR_INTERRUPTS();
		block_spread(block, block->bits + (Size) rule * block->room / 64);
		block_collect(block, base, ranked, words, members[rule]);
	}
}

/* Adds what the block says to the audiences of the rules and empties it. */
void
segment_block_flush(SegmentBlock *block, AudienceBuilder **members)
{
	uint32 nruns;

	if (block->n == 0)
		return;
	nruns = block_runs(block);
	if (nruns == 0)
		block_add_places(block, members);
	else
		for (int rule = 0; rule < block->nrules; rule++)
		{
			CHECK_FOR_INTERRUPTS();
			block_add_runs(block, block->bits + (Size) rule * block->room / 64,
						   nruns, members[rule]);
		}
	block->n = 0;
}
