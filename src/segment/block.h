/*
 * A block of rows on its way to audiences: their ids, and for each rule a
 * bit a row.
 */
#ifndef IAROS_SEGMENT_BLOCK_H
#define IAROS_SEGMENT_BLOCK_H

#include "postgres.h"

#include "segment/audience.h"
#include "segment/program.h"

/* Rows from id to id + length - 1, one after the other. */
typedef struct SegmentRun
{
	uint32 row;
	uint32 length;
	uint64 id;
} SegmentRun;

typedef struct SegmentBlock
{
	MemoryContext context;
	int nrules;
	uint32 room; /* rows, a multiple of those of a batch */
	uint32 n;
	uint64 *ids;
	uint64 *bits; /* by rule, room bits each */
	/* While it is emptied: */
	SegmentRun *runs;
	uint32 *places;   /* of rows: offset to base, or rank of the id */
	uint64 *ranked;   /* ids in order */
	uint64 *spread;   /* bits by place */
	uint64 *summary;  /* one bit for 64 words of spread */
	Size spread_room; /* words */
} SegmentBlock;

extern SegmentBlock *segment_block_create(int nrules);
extern void segment_block_advance(SegmentBlock *block, int n);
extern void segment_block_flush(SegmentBlock *block,
								AudienceBuilder **members);

/* Sets the id of row i after those of the block. */
static inline void
segment_block_id(SegmentBlock *block, int i, uint64 id)
{
	block->ids[block->n + i] = id;
}

/* Sets the bits of the rows after those of the block for a rule. */
static inline void
segment_block_put(SegmentBlock *block, int rule, const uint64 *mask)
{
	memcpy(block->bits + ((Size) rule * block->room + block->n) / 64, mask,
		   SEGMENT_WORDS * sizeof(uint64));
}

/* Tells whether there is no room for another batch. */
static inline bool
segment_block_full(const SegmentBlock *block)
{
	return block->n + SEGMENT_BATCH > block->room;
}

#endif /* IAROS_SEGMENT_BLOCK_H */
