/*
 * Programs on rows: a batch of rows becomes codes and then masks, one bit a
 * row; a single row becomes codes and then one byte a term.
 */
#include "postgres.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "segment/program.h"
#include "utils/memutils.h"

/* What one row needs. */
typedef struct SegmentRow
{
	uint16 *codes; /* by column */
	uint8 *truth;  /* by term */
	MemoryContext scratch;
} SegmentRow;

/* Makes an empty batch. */
SegmentBatch *
segment_batch_create(const SegmentProgram *program)
{
	SegmentBatch *batch = palloc0(sizeof(SegmentBatch));
	Size columns = Max(program->ncolumns, 1);
	Size terms = Max(program->nterms, 1);

	batch->program = program;
	batch->keys = palloc_extended(columns * SEGMENT_BATCH * sizeof(int64),
								  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	batch->nulls = palloc_extended(columns * SEGMENT_BATCH,
								   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	/* The code of 16 rows is read at once. */
	batch->codes = (uint8 *) TYPEALIGN(
		64, palloc_extended(columns * SEGMENT_BATCH * sizeof(uint16) + 64,
							MCXT_ALLOC_HUGE));
	batch->masks = palloc_extended(terms * SEGMENT_WORDS * sizeof(uint64),
								   MCXT_ALLOC_HUGE);
	batch->scratch = AllocSetContextCreate(
		CurrentMemoryContext, "iaros segment values", ALLOCSET_SMALL_SIZES);
	return batch;
}

/* Adds a row to a batch that has room, in a context for what it takes. */
void
segment_batch_put(SegmentBatch *batch, const Datum *values, const bool *nulls)
{
	const SegmentProgram *program = batch->program;
	MemoryContext caller = MemoryContextSwitchTo(batch->scratch);
	int row = batch->n++;

	Assert(row < SEGMENT_BATCH);
	for (int i = 0; i < program->ncolumns; i++)
	{
		const SegmentColumn *column = &program->columns[i];
		Size at = (Size) i * SEGMENT_BATCH + row;

		batch->nulls[at] =
			nulls[column->attno] ||
					!segment_column_key(column, program, values[column->attno],
										&batch->keys[at])
				? PG_UINT8_MAX
				: 0;
	}
	MemoryContextSwitchTo(caller);
	if (!MemoryContextIsEmpty(batch->scratch))
		MemoryContextReset(batch->scratch);
}

#ifdef __SSE2__

/* Masks the rows whose codes of one byte are in ranges. */
static inline void
mask_narrow(const uint8 *codes, const SegmentCodes *ranges, int nranges,
			uint64 *mask)
{
	const __m128i zero = _mm_setzero_si128();

	for (int word = 0; word < SEGMENT_WORDS; word++)
	{
		uint64 bits = 0;

		for (int part = 0; part < 64; part += 16)
		{
			__m128i code =
				_mm_load_si128((const __m128i *) (codes + word * 64 + part));
			__m128i in = zero;

			for (int i = 0; i < nranges; i++)
			{
				__m128i above =
					_mm_sub_epi8(code, _mm_set1_epi8((char) ranges[i].first));

				/* Unsigned, what is below the range is far above it. */
				in = _mm_or_si128(
					in, _mm_cmpeq_epi8(
							_mm_subs_epu8(
								above, _mm_set1_epi8((char) ranges[i].width)),
							zero));
			}
			bits |= (uint64) (uint32) _mm_movemask_epi8(in) << part;
		}
		mask[word] = bits;
	}
}

/* Masks the rows whose codes of two bytes are in ranges. */
static inline void
mask_wide(const uint16 *codes, const SegmentCodes *ranges, int nranges,
		  uint64 *mask)
{
	const __m128i zero = _mm_setzero_si128();

	for (int word = 0; word < SEGMENT_WORDS; word++)
	{
		uint64 bits = 0;

		for (int part = 0; part < 64; part += 16)
		{
			const __m128i *at = (const __m128i *) (codes + word * 64 + part);
			__m128i low = _mm_load_si128(at);
			__m128i high = _mm_load_si128(at + 1);
			__m128i in = zero;

			for (int i = 0; i < nranges; i++)
			{
				__m128i first = _mm_set1_epi16((short) ranges[i].first);
				__m128i width = _mm_set1_epi16((short) ranges[i].width);
				__m128i a = _mm_cmpeq_epi16(
					_mm_subs_epu16(_mm_sub_epi16(low, first), width), zero);
				__m128i b = _mm_cmpeq_epi16(
					_mm_subs_epu16(_mm_sub_epi16(high, first), width), zero);

				in = _mm_or_si128(in, _mm_packs_epi16(a, b));
			}
			bits |= (uint64) (uint32) _mm_movemask_epi8(in) << part;
		}
		mask[word] = bits;
	}
}

#else

/* Masks the rows whose codes of one byte are in ranges. */
static inline void
mask_narrow(const uint8 *codes, const SegmentCodes *ranges, int nranges,
			uint64 *mask)
{
	memset(mask, 0, SEGMENT_WORDS * sizeof(uint64));
	for (int i = 0; i < nranges; i++)
		for (int row = 0; row < SEGMENT_BATCH; row++)
			mask[row / 64] |=
				(uint64) ((uint8) (codes[row] - ranges[i].first) <=
						  ranges[i].width)
				<< row % 64;
}

/* Masks the rows whose codes of two bytes are in ranges. */
static inline void
mask_wide(const uint16 *codes, const SegmentCodes *ranges, int nranges,
		  uint64 *mask)
{
	memset(mask, 0, SEGMENT_WORDS * sizeof(uint64));
	for (int i = 0; i < nranges; i++)
		for (int row = 0; row < SEGMENT_BATCH; row++)
			mask[row / 64] |=
				(uint64) ((uint16) (codes[row] - ranges[i].first) <=
						  ranges[i].width)
				<< row % 64;
}

#endif

/* Masks the rows whose codes of one byte are in a table. */
static void
mask_table_narrow(const uint8 *codes, const uint8 *table, uint64 *mask)
{
	for (int word = 0; word < SEGMENT_WORDS; word++)
	{
		uint64 bits = 0;

		for (int i = 0; i < 64; i++)
			bits |= (uint64) table[codes[word * 64 + i]] << i;
		mask[word] = bits;
	}
}

/* Masks the rows whose codes of two bytes are in a table. */
static void
mask_table_wide(const uint16 *codes, const uint8 *table, uint64 *mask)
{
	for (int word = 0; word < SEGMENT_WORDS; word++)
	{
		uint64 bits = 0;

		for (int i = 0; i < 64; i++)
			bits |= (uint64) table[codes[word * 64 + i]] << i;
		mask[word] = bits;
	}
}

/* Masks the rows for which a leaf is true. */
static void
mask_leaf(const SegmentTerm *leaf, const SegmentColumn *column,
		  const uint8 *codes, uint64 *mask)
{
	if (segment_column_narrow(column))
	{
		if (leaf->table != NULL)
			mask_table_narrow(codes, leaf->table, mask);
		else if (leaf->ncodes == 1)
			mask_narrow(codes, leaf->codes, 1, mask);
		else
			mask_narrow(codes, leaf->codes, leaf->ncodes, mask);
	}
	else
	{
		const uint16 *wide = (const uint16 *) codes;

		if (leaf->table != NULL)
			mask_table_wide(wide, leaf->table, mask);
		else if (leaf->ncodes == 1)
			mask_wide(wide, leaf->codes, 1, mask);
		else
			mask_wide(wide, leaf->codes, leaf->ncodes, mask);
	}
}

/* Masks the rows for which a group is true. */
static void
mask_group(const SegmentTerm *group, const uint64 *masks, uint64 *mask)
{
	memcpy(mask, masks + (Size) group->parts[0] * SEGMENT_WORDS,
		   SEGMENT_WORDS * sizeof(uint64));
	for (int i = 1; i < group->nparts; i++)
	{
		const uint64 *part = masks + (Size) group->parts[i] * SEGMENT_WORDS;

		if (group->kind == SEGMENT_AND)
			for (int word = 0; word < SEGMENT_WORDS; word++)
				mask[word] &= part[word];
		else
			for (int word = 0; word < SEGMENT_WORDS; word++)
				mask[word] |= part[word];
	}
}

/* Makes the masks of all terms; bits of rows that are not there are noise. */
void
segment_batch_evaluate(SegmentBatch *batch)
{
	const SegmentProgram *program = batch->program;

	for (int i = 0; i < program->ncolumns; i++)
	{
		Size at = (Size) i * SEGMENT_BATCH;

		segment_column_codes(&program->columns[i], batch->keys + at,
							 batch->nulls + at, batch->n,
							 batch->codes + at * sizeof(uint16));
	}
	for (int i = 0; i < program->nterms; i++)
	{
		const SegmentTerm *term = &program->terms[i];
		uint64 *mask = batch->masks + (Size) i * SEGMENT_WORDS;

		if (term->kind == SEGMENT_LEAF)
			mask_leaf(term, &program->columns[term->column],
					  batch->codes +
						  (Size) term->column * SEGMENT_BATCH * sizeof(uint16),
					  mask);
		else
			mask_group(term, batch->masks, mask);
	}
}

/* Makes what one row needs. */
static SegmentRow *
row_create(const SegmentProgram *program)
{
	MemoryContext caller = MemoryContextSwitchTo(program->context);
	SegmentRow *row = palloc(sizeof(SegmentRow));

	row->codes = palloc(Max(program->ncolumns, 1) * sizeof(uint16));
	row->truth = palloc(Max(program->nterms, 1));
	row->scratch = AllocSetContextCreate(
		program->context, "iaros segment values", ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(caller);
	return row;
}

/* Tells whether a code is one of those of a leaf. */
static inline bool
row_leaf(const SegmentTerm *leaf, uint16 code)
{
	if (leaf->table != NULL)
		return leaf->table[code];
	for (int i = 0; i < leaf->ncodes; i++)
		if ((uint16) (code - leaf->codes[i].first) <= leaf->codes[i].width)
			return true;
	return false;
}

/* Tells whether a group is true. */
static inline bool
row_group(const SegmentTerm *group, const uint8 *truth)
{
	bool all = group->kind == SEGMENT_AND;

	for (int i = 0; i < group->nparts; i++)
		if (truth[group->parts[i]] != all)
			return !all;
	return all;
}

/* Evaluates all terms on one row. */
void
segment_program_row(SegmentProgram *program, const Datum *values,
					const bool *nulls)
{
	SegmentRow *row;
	MemoryContext caller;

	if (program->row == NULL)
		program->row = row_create(program);
	row = program->row;
	caller = MemoryContextSwitchTo(row->scratch);
	for (int i = 0; i < program->ncolumns; i++)
	{
		const SegmentColumn *column = &program->columns[i];
		int64 key;

		row->codes[i] =
			nulls[column->attno] ||
					!segment_column_key(column, program, values[column->attno],
										&key)
				? 0
				: segment_column_code(column, key);
	}
	MemoryContextSwitchTo(caller);
	if (!MemoryContextIsEmpty(row->scratch))
		MemoryContextReset(row->scratch);
	for (int i = 0; i < program->nterms; i++)
	{
		const SegmentTerm *term = &program->terms[i];

		row->truth[i] = term->kind == SEGMENT_LEAF
							? row_leaf(term, row->codes[term->column])
							: row_group(term, row->truth);
	}
}

/* Tells whether a term is true for the row evaluated last. */
bool
segment_program_true(const SegmentProgram *program, int term)
{
	return program->row->truth[term];
}
