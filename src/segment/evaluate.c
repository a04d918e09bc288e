/*
 * Programs on rows: a batch of rows becomes codes and then masks, one bit a
 * row; a single row becomes codes and then one byte a term.
 */
#include "postgres.h"

#include "segment/program.h"
#include "utils/memutils.h"

/* A range of codes for which a leaf is true. */
typedef struct RowRange
{
	uint16 first;
	uint16 width;
	int column;
	int term;
} RowRange;

/* A leaf that looks codes up. */
typedef struct RowTable
{
	const uint8 *table;
	int column;
	int term;
} RowTable;

/* Two terms that become one: both or any of them. */
typedef struct RowPair
{
	int term;
	int one;
	int other;
	uint8 any;
} RowPair;

/*
 * What one row needs: lists that are worked off without a branch, since what
 * is true of one row says nothing about the next.
 */
typedef struct SegmentRow
{
	uint16 *codes; /* by column */
	uint8 *truth;  /* by term */
	RowRange *ranges;
	int nranges;
	RowTable *tables;
	int ntables;
	RowPair *pairs;
	int npairs;
	MemoryContext scratch;
} SegmentRow;

/* Puts the columns of a batch in the order in which rows are taken. */
static void
batch_order(SegmentBatch *batch)
{
	const SegmentProgram *program = batch->program;
	int n = 0;

	batch->fetches = palloc(Max(program->ncolumns, 1) * sizeof(SegmentFetch));
	for (SegmentTake take = 0; take < SEGMENT_TAKES; take++)
	{
		for (int attno = 0; attno < program->last; attno++)
			for (int i = 0; i < program->ncolumns; i++)
				if (program->columns[i].attno == attno &&
					segment_column_take(&program->columns[i]) == take)
					batch->fetches[n++] = (SegmentFetch){
						.column = &program->columns[i],
						.attno = attno,
						.keys = batch->keys + (Size) i * SEGMENT_KEYS,
						.nulls = batch->nulls + (Size) i * SEGMENT_NULLS};
		batch->ends[take] = n;
	}
}

/* Makes an empty batch. */
SegmentBatch *
segment_batch_create(const SegmentProgram *program)
{
	SegmentBatch *batch = palloc0(sizeof(SegmentBatch));
	Size columns = Max(program->ncolumns, 1);
	Size terms = Max(program->nterms, 1);

	batch->program = program;
	batch->keys = palloc_extended(columns * SEGMENT_KEYS * sizeof(int64),
								  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	batch->nulls = palloc_extended(columns * SEGMENT_NULLS,
								   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	/* The codes of up to 64 rows are read at once. */
	batch->codes = (uint8 *) TYPEALIGN(
		64, palloc_extended(columns * SEGMENT_BATCH * sizeof(uint16) + 64,
							MCXT_ALLOC_HUGE));
	batch->masks = palloc_extended(terms * SEGMENT_WORDS * sizeof(uint64),
								   MCXT_ALLOC_HUGE);
	batch->scratch = AllocSetContextCreate(
		CurrentMemoryContext, "iaros segment values", ALLOCSET_SMALL_SIZES);
	batch_order(batch);
	return batch;
}

/* Takes the texts of a row. */
static void
batch_put_texts(const SegmentBatch *batch, int row, const Datum *values,
				const bool *nulls)
{
	const SegmentFetch *end = batch->fetches + batch->ends[SEGMENT_TAKE_TEXT];
	const SegmentFetch *from =
		batch->fetches + batch->ends[SEGMENT_TAKE_TEXT - 1];
	const SegmentFetch *to;

	for (; from < end; from = to)
	{
		int attno = from->attno;

		for (to = from; to < end && to->attno == attno; to++)
			to->nulls[row] = -(uint8) nulls[attno];
		if (!nulls[attno])
			segment_column_texts(from, to - from, values[attno], row);
	}
}

/* Adds a row to a batch that has room, in a context for what it takes. */
void
segment_batch_put(SegmentBatch *batch, const Datum *values, const bool *nulls)
{
	const SegmentProgram *program = batch->program;
	MemoryContext caller = MemoryContextSwitchTo(batch->scratch);
	const SegmentFetch *fetch = batch->fetches;
	const SegmentFetch *end = fetch + batch->ends[SEGMENT_TAKE_COPY];
	int row = batch->n++;

	Assert(row < SEGMENT_BATCH);
	for (; fetch < end; fetch++)
	{
		fetch->keys[row] = (int64) values[fetch->attno];
		fetch->nulls[row] = -(uint8) nulls[fetch->attno];
	}
	batch_put_texts(batch, row, values, nulls);
	fetch = batch->fetches + batch->ends[SEGMENT_TAKE_TEXT];
	end = batch->fetches + program->ncolumns;
	for (; fetch < end; fetch++)
		fetch->nulls[row] =
			nulls[fetch->attno] || !segment_column_key(fetch->column, program,
													   values[fetch->attno],
													   &fetch->keys[row])
				? PG_UINT8_MAX
				: 0;
	MemoryContextSwitchTo(caller);
	if (!MemoryContextIsEmpty(batch->scratch))
		MemoryContextReset(batch->scratch);
}

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
	const SegmentKernels *kernels = segment_kernels();

	if (segment_column_narrow(column))
	{
		if (leaf->table != NULL)
			mask_table_narrow(codes, leaf->table, mask);
		else
			kernels->mask_narrow(codes, leaf->codes, leaf->ncodes, mask);
	}
	else
	{
		const uint16 *wide = (const uint16 *) codes;

		if (leaf->table != NULL)
			mask_table_wide(wide, leaf->table, mask);
		else
			kernels->mask_wide(wide, leaf->codes, leaf->ncodes, mask);
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

	for (int i = 0; i < batch->ends[SEGMENT_TAKE_COPY]; i++)
		segment_column_keys(batch->fetches[i].column, program, batch->n,
							batch->fetches[i].keys, batch->fetches[i].nulls);
	for (int i = 0; i < program->ncolumns; i++)
		segment_column_codes(
			&program->columns[i], batch->keys + (Size) i * SEGMENT_KEYS,
			batch->nulls + (Size) i * SEGMENT_NULLS,
			batch->codes + (Size) i * SEGMENT_BATCH * sizeof(uint16));
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

/* Lists the codes of a leaf. */
static void
row_add_leaf(SegmentRow *row, const SegmentTerm *leaf, int number)
{
	if (leaf->table != NULL)
		row->tables[row->ntables++] = (RowTable){
			.table = leaf->table, .column = leaf->column, .term = number};
	else
		for (int i = 0; i < leaf->ncodes; i++)
			row->ranges[row->nranges++] =
				(RowRange){.first = leaf->codes[i].first,
						   .width = leaf->codes[i].width,
						   .column = leaf->column,
						   .term = number};
}

/* Lists the parts of a group. */
static void
row_add_group(SegmentRow *row, const SegmentTerm *group, int number)
{
	for (int i = 1; i < group->nparts; i++)
		row->pairs[row->npairs++] =
			(RowPair){.term = number,
					  .one = i == 1 ? group->parts[0] : number,
					  .other = group->parts[i],
					  .any = group->kind == SEGMENT_OR};
}

/* Makes what one row needs, until the moment is another. */
static SegmentRow *
row_create(const SegmentProgram *program)
{
	MemoryContext caller = MemoryContextSwitchTo(program->bounds);
	SegmentRow *row = palloc0(sizeof(SegmentRow));
	Size nranges = 1;
	Size npairs = 1;

	for (int i = 0; i < program->nterms; i++)
		if (program->terms[i].kind == SEGMENT_LEAF)
			nranges += program->terms[i].ncodes;
		else
			npairs += program->terms[i].nparts;
	row->codes = palloc(Max(program->ncolumns, 1) * sizeof(uint16));
	row->truth = palloc(Max(program->nterms, 1));
	row->ranges = palloc_extended(nranges * sizeof(RowRange), MCXT_ALLOC_HUGE);
	row->tables = palloc(Max(program->nterms, 1) * sizeof(RowTable));
	row->pairs = palloc_extended(npairs * sizeof(RowPair), MCXT_ALLOC_HUGE);
	for (int i = 0; i < program->nterms; i++)
		if (program->terms[i].kind == SEGMENT_LEAF)
			row_add_leaf(row, &program->terms[i], i);
		else
			row_add_group(row, &program->terms[i], i);
	row->scratch = AllocSetContextCreate(
		program->bounds, "iaros segment values", ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(caller);
	return row;
}

/* Makes the codes of one row. */
static void
row_codes(const SegmentProgram *program, const Datum *values,
		  const bool *nulls)
{
	SegmentRow *row = program->row;
	MemoryContext caller = MemoryContextSwitchTo(row->scratch);

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
}

/* Evaluates all terms on one row. */
void
segment_program_row(SegmentProgram *program, const Datum *values,
					const bool *nulls)
{
	SegmentRow *row;
	const uint16 *codes;
	uint8 *restrict truth;

	if (program->row == NULL)
		program->row = row_create(program);
	row_codes(program, values, nulls);
	row = program->row;
	codes = row->codes;
	truth = row->truth;
	memset(truth, 0, program->nterms);
	for (int i = 0; i < row->nranges; i++)
	{
		const RowRange *range = &row->ranges[i];

		truth[range->term] |=
			(uint16) (codes[range->column] - range->first) <= range->width;
	}
	for (int i = 0; i < row->ntables; i++)
		truth[row->tables[i].term] =
			row->tables[i].table[codes[row->tables[i].column]];
	for (int i = 0; i < row->npairs; i++)
	{
		const RowPair *pair = &row->pairs[i];
		uint8 one = truth[pair->one];
		uint8 other = truth[pair->other];

		truth[pair->term] = (one & other) | ((one | other) & pair->any);
	}
}

/* Tells whether a term is true for the row evaluated last. */
bool
segment_program_true(const SegmentProgram *program, int term)
{
	return program->row->truth[term];
}
