/* Reads the ids of an audience: as runs, one by one, as an array, a sample. */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "core/core.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "segment/audience_layout.h"
#include "utils/array.h"

/* Finds the next run in a container from *at on, and sets *at behind it. */
bool
audience_container_run(const AudienceEntry *entry, const void *data,
					   uint32 *at, uint32 *first, uint32 *last)
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

		if (!audience_container_run(entry, audience_data(audience, entry), &at,
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

/* Reads ids one by one. */
typedef struct IdReader
{
	AudienceCursor cursor;
	uint64 next; /* ids of the run that are left, when there are */
	uint64 last;
	uint64 at; /* ids that were read */
} IdReader;

typedef struct IdRows
{
	CoreRows rows;
	IdReader *reader;
} IdRows;

/* Begins to read an audience. */
static IdReader *
reader_open(const Audience *audience)
{
	IdReader *reader = palloc0(sizeof(IdReader));

	reader->cursor.audience = audience;
	reader->next = 1;
	return reader;
}

/* Reads the next id; there must be one. */
static inline uint64
reader_next(IdReader *reader)
{
	if (reader->next > reader->last &&
		!audience_next_run(&reader->cursor, &reader->next, &reader->last))
		elog(ERROR, "there are no more ids in the audience");
	reader->at++;
	return reader->next++;
}

/* Returns id number i; quick when the one before was asked for last. */
static void
ids_get(const CoreRows *rows, uint64 i, const bool *wanted, Datum *values,
		bool *nulls)
{
	IdReader *reader = ((const IdRows *) rows)->reader;

	if (i < reader->at)
	{
		const Audience *audience = reader->cursor.audience;

		memset(reader, 0, sizeof(IdReader));
		reader->cursor.audience = audience;
		reader->next = 1;
	}
	while (reader->at < i)
		reader_next(reader);
	values[0] = Int64GetDatum((int64) reader_next(reader));
	nulls[0] = false;
}

/* Opens audience_ids(). */
static CoreRows *
ids_open(TupleDesc desc, const NullableDatum *args)
{
	IdRows *ids = palloc0(sizeof(IdRows));

	ids->rows.get = ids_get;
	if (args[0].isnull)
		return &ids->rows;
	ids->reader = reader_open(DatumGetAudienceP(args[0].value));
	ids->rows.n = ids->reader->cursor.audience->cardinality;
	return &ids->rows;
}

PG_FUNCTION_INFO_V1(audience_ids);

static const CoreStream ids_stream = {
	.name = "audience_ids",
	.function = audience_ids,
	.open = ids_open,
};

/* SQL: audience_ids(audience), where the node of streams does not stand */
Datum
audience_ids(PG_FUNCTION_ARGS)
{
	FuncCallContext *context;
	IdReader *reader;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext caller;

		context = SRF_FIRSTCALL_INIT();
		caller = MemoryContextSwitchTo(context->multi_call_memory_ctx);
		if (!PG_ARGISNULL(0))
		{
			reader = reader_open(PG_GETARG_AUDIENCE_P(0));
			context->user_fctx = reader;
			context->max_calls = reader->cursor.audience->cardinality;
		}
		MemoryContextSwitchTo(caller);
	}
	context = SRF_PERCALL_SETUP();
	reader = context->user_fctx;
	if (context->call_cntr >= context->max_calls)
		SRF_RETURN_DONE(context);
	SRF_RETURN_NEXT(context, Int64GetDatum((int64) reader_next(reader)));
}

/* Makes the functions that return rows known to the node that runs them. */
void
audience_init(void)
{
	core_stream_register(&ids_stream);
	core_stream_register(&audience_transpose_stream);
}

/* Lists of ids and their words of chance, in the order of ids. */
typedef struct Draws
{
	uint64 *words;
	int64 *ids;
	Size n;
	Size room;
} Draws;

/* Collects the ids whose word is not above the most. */
static void
draws_collect(Draws *draws, const Audience *audience, int64 seed, uint64 most)
{
	AudienceCursor cursor = {.audience = audience};
	uint64 first;
	uint64 last;

	draws->n = 0;
	while (audience_next_run(&cursor, &first, &last))
		for (uint64 id = first; id <= last; id++)
		{
			uint64 word = core_chance_word((int64) id, seed);

			if (id % AUDIENCE_CHUNK == 0)
				CHECK_FOR_INTERRUPTS();
			if (word > most)
				continue;
			if (draws->n == draws->room)
			{
				draws->room *= 2;
				draws->words =
					repalloc_huge(draws->words, draws->room * sizeof(uint64));
				draws->ids =
					repalloc_huge(draws->ids, draws->room * sizeof(int64));
			}
			draws->words[draws->n] = word;
			draws->ids[draws->n++] = (int64) id;
		}
}

/* Compares two words. */
static int
compare_words(const void *a, const void *b)
{
	uint64 x = *(const uint64 *) a;
	uint64 y = *(const uint64 *) b;

	return x < y ? -1 : x > y;
}

/* Returns the n-th lowest word. */
static uint64
draws_cut(const Draws *draws, uint64 n)
{
	uint64 *sorted =
		palloc_extended(draws->n * sizeof(uint64), MCXT_ALLOC_HUGE);
	uint64 cut;

	memcpy(sorted, draws->words, draws->n * sizeof(uint64));
	qsort(sorted, draws->n, sizeof(uint64), compare_words);
	cut = sorted[n - 1];
	pfree(sorted);
	return cut;
}

/* Returns the n ids with the lowest words, 0 < n < all. */
static ArrayType *
draw_sample(const Audience *audience, uint64 n, int64 seed)
{
	ArrayType *array = audience_make_array(n);
	int64 *result = (int64 *) ARR_DATA_PTR(array);
	double wanted = (double) n;
	Draws draws = {.room = n + 64};
	uint64 cut;

	draws.words =
		palloc_extended(draws.room * sizeof(uint64), MCXT_ALLOC_HUGE);
	draws.ids = palloc_extended(draws.room * sizeof(int64), MCXT_ALLOC_HUGE);
	/* Words are uniform: few more than n are below this, seldom fewer. */
	do
	{
		double share;

		wanted += 6 * sqrt(wanted) + 16;
		share = wanted / (double) audience->cardinality;
		draws_collect(&draws, audience, seed,
					  share >= 1 ? PG_UINT64_MAX
								 : (uint64) (share * 18446744073709551615.0));
	} while (draws.n < n);
	cut = draws_cut(&draws, n);
	for (Size i = 0; i < draws.n; i++)
		if (draws.words[i] <= cut)
			*result++ = draws.ids[i];
	pfree(draws.words);
	pfree(draws.ids);
	return array;
}

PG_FUNCTION_INFO_V1(audience_sample);

/* SQL: audience_sample(audience, n integer, seed bigint) */
Datum
audience_sample(PG_FUNCTION_ARGS)
{
	int32 n = PG_GETARG_INT32(1);
	Audience *audience;

	if (n < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("size %d of a sample is below 0", n)));
	audience = PG_GETARG_AUDIENCE_P(0);
	if (n >= audience->cardinality)
		return DirectFunctionCall1(audience_to_array,
								   AudiencePGetDatum(audience));
	if (n == 0)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(INT8OID));
	PG_RETURN_ARRAYTYPE_P(draw_sample(audience, n, PG_GETARG_INT64(2)));
}
