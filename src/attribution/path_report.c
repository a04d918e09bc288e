/*
 * What the paths of a path_set look like: the most frequent ones, their steps
 * one after another, and the transitions of a Markov chain.
 */
#include "attribution/markov.h"
#include "attribution/share.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/tuplestore.h"

/* Most steps of path_steps(). */
#define STEP_MAX 1000

/* What a step leads to when it is no channel. */
#define STEP_CONVERSION (PG_UINT32_MAX - 1)
#define STEP_NULL PG_UINT32_MAX

/* Where a step comes from when it is the first. */
#define STEP_START PG_UINT32_MAX

#define STEP_COLUMNS 5
#define TOP_COLUMNS 6
#define TRANSITION_COLUMNS 5

/* How many paths go from one channel to another at a step. */
typedef struct StepKey
{
	uint32 step;
	uint32 from;
	uint32 to;
} StepKey;

typedef struct StepEntry
{
	StepKey key;
	int64 paths;
} StepEntry;

/* Returns the name of a channel. */
static Datum
channel_text(const PathSetReader *reader, uint32 channel)
{
	return PointerGetDatum(cstring_to_text_with_len(reader->names[channel],
													reader->lengths[channel]));
}

/* Returns the names of channels as an array. */
static Datum
channel_array(const PathSetReader *reader, const uint32 *channels, int n)
{
	Datum *names = palloc(mul_size(n + (Size) 1, sizeof(Datum)));

	for (int i = 0; i < n; i++)
		names[i] = channel_text(reader, channels[i]);
	return PointerGetDatum(
		construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Puts out a row and frees what it needed. */
static void
put_row(FunctionCallInfo fcinfo, Datum *values, bool *nulls, MemoryContext row)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	MemoryContextReset(row);
}

/* Makes a context for one row at a time. */
static MemoryContext
row_context(void)
{
	return AllocSetContextCreate(CurrentMemoryContext, "iaros path row",
								 ALLOCSET_DEFAULT_SIZES);
}

/* Reads an argument that is a number of rows or steps. */
static int64
limit_argument(FunctionCallInfo fcinfo, int arg, const char *name, int64 most)
{
	int64 limit;

	if (PG_ARGISNULL(arg))
		return most;
	limit = PG_GETARG_INT32(arg);
	if (limit < 1 || limit > most)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must be between 1 and %lld, not \"%lld\"",
							   name, (long long) most, (long long) limit)));
	return limit;
}

/* Puts more conversions first, then more nulls, then the first path. */
static int
top_cmp(const PathSetPath *a, const PathSetPath *b)
{
	if (a->conversions != b->conversions)
		return a->conversions > b->conversions ? -1 : 1;
	if (a->nulls != b->nulls)
		return a->nulls > b->nulls ? -1 : 1;
	return a->touches < b->touches ? -1 : a->touches > b->touches;
}

#define ST_SORT top_sort
#define ST_ELEMENT_TYPE PathSetPath
#define ST_COMPARE(a, b) top_cmp(a, b)
#define ST_SCOPE static
#define ST_DEFINE
#define ST_CHECK_FOR_INTERRUPTS
#include "lib/sort_template.h"

/*
 * Reads the first n paths by top_cmp(): a buffer of twice as many is sorted
 * whenever it is full.
 */
static PathSetPath *
top_read(PathSetReader *reader, int64 *n)
{
	Size size = Min((uint64) *n * 2, reader->npaths);
	PathSetPath *paths = palloc_extended(
		mul_size(size + 1, sizeof(PathSetPath)), MCXT_ALLOC_HUGE);
	Size used = 0;

	while (path_set_next(reader, &paths[used]))
	{
		CHECK_FOR_INTERRUPTS();
		if (++used < size || size <= *n)
			continue;
		top_sort(paths, used);
		used = *n;
	}
	top_sort(paths, used);
	*n = Min(*n, used);
	return paths;
}

/* Puts out a path. */
static void
put_path(FunctionCallInfo fcinfo, const PathSetReader *reader,
		 const PathSetPath *path, MemoryContext row)
{
	MemoryContext caller = MemoryContextSwitchTo(row);
	const unsigned char *at = path->touches;
	uint32 *channels = palloc(mul_size(path->end - at + 1, sizeof(uint32)));
	double all = (double) path->conversions + (double) path->nulls;
	Datum values[TOP_COLUMNS] = {0};
	bool nulls[TOP_COLUMNS] = {false};
	int n = 0;

	while (at < path->end)
		channels[n++] = path_set_touch(&at);
	values[0] = channel_array(reader, channels, n);
	values[1] = Int32GetDatum(n);
	values[2] = Int64GetDatum(path->conversions);
	values[3] = Int64GetDatum(path->nulls);
	values[4] = share_numeric(
		path->value / share_power(PATH_SET_SCALE - share_fit(0, path->value)),
		share_fit(0, path->value));
	/* Paths without touches are conversions alone: they have no rate. */
	nulls[5] = n == 0 || all <= 0;
	if (!nulls[5])
		values[5] = Float8GetDatum(path->conversions / all);
	MemoryContextSwitchTo(caller);
	put_row(fcinfo, values, nulls, row);
}

PG_FUNCTION_INFO_V1(path_top);

/* SQL: path_top(paths path_set, n int) */
Datum
path_top(PG_FUNCTION_ARGS)
{
	int64 n = limit_argument(fcinfo, 1, "n", PG_INT32_MAX);
	MemoryContext row = row_context();
	PathSetReader reader;
	PathSetPath *paths;

	SetSingleFuncCall(fcinfo, 0);
	if (!path_set_argument(fcinfo, 0, &reader))
		return (Datum) 0;
	paths = top_read(&reader, &n);
	for (int64 i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		put_path(fcinfo, &reader, &paths[i], row);
	}
	return (Datum) 0;
}

/* Adds paths to a step. */
static void
step_add(HTAB *steps, uint32 step, uint32 from, uint32 to, int64 paths)
{
	StepKey key = {step, from, to};
	bool found;
	StepEntry *entry;

	if (paths == 0)
		return;
	entry = hash_search(steps, &key, HASH_ENTER, &found);
	if (!found)
		entry->paths = 0;
	entry->paths += paths;
}

/* Adds the first steps of a path. */
static void
step_add_path(HTAB *steps, const PathSetPath *path, int64 depth)
{
	const unsigned char *at = path->touches;
	uint32 from = STEP_START;
	uint32 step = 1;

	for (; at < path->end && step <= depth; step++)
	{
		uint32 to = path_set_touch(&at);

		step_add(steps, step, from, to, path->conversions + path->nulls);
		from = to;
	}
	if (at < path->end || step > depth)
		return;
	step_add(steps, step, from, STEP_CONVERSION, path->conversions);
	step_add(steps, step, from, STEP_NULL, path->nulls);
}

/* Puts steps in order, then those from the start, then by channels. */
static int
step_cmp(const StepEntry *a, const StepEntry *b)
{
	if (a->key.step != b->key.step)
		return a->key.step < b->key.step ? -1 : 1;
	if (a->key.from != b->key.from)
		return a->key.from < b->key.from ? -1 : 1;
	return a->key.to < b->key.to ? -1 : a->key.to > b->key.to;
}

#define ST_SORT step_sort
#define ST_ELEMENT_TYPE StepEntry
#define ST_COMPARE(a, b) step_cmp(a, b)
#define ST_SCOPE static
#define ST_DEFINE
#define ST_CHECK_FOR_INTERRUPTS
#include "lib/sort_template.h"

/* Returns the steps of a table in order. */
static StepEntry *
step_list(HTAB *steps, Size *n)
{
	StepEntry *list = palloc_extended(
		mul_size(hash_get_num_entries(steps) + 1, sizeof(StepEntry)),
		MCXT_ALLOC_HUGE);
	HASH_SEQ_STATUS status;
	StepEntry *entry;

	*n = 0;
	hash_seq_init(&status, steps);
	while ((entry = hash_seq_search(&status)) != NULL)
		list[(*n)++] = *entry;
	step_sort(list, *n);
	return list;
}

/* Fills in where a row leads to: a channel, or an end. */
static void
fill_to(const PathSetReader *reader, uint32 to, Datum *values, bool *nulls)
{
	nulls[0] = to >= STEP_CONVERSION;
	nulls[1] = to < STEP_CONVERSION;
	if (to < STEP_CONVERSION)
		values[0] = channel_text(reader, to);
	else
		values[1] =
			CStringGetTextDatum(to == STEP_CONVERSION ? "conversion" : "null");
}

/* Puts out a step. */
static void
put_step(FunctionCallInfo fcinfo, const PathSetReader *reader,
		 const StepEntry *entry, MemoryContext row)
{
	MemoryContext caller = MemoryContextSwitchTo(row);
	Datum values[STEP_COLUMNS] = {0};
	bool nulls[STEP_COLUMNS] = {false};

	values[0] = Int32GetDatum((int32) entry->key.step);
	nulls[1] = entry->key.from == STEP_START;
	if (!nulls[1])
		values[1] = channel_text(reader, entry->key.from);
	fill_to(reader, entry->key.to, values + 2, nulls + 2);
	values[4] = Int64GetDatum(entry->paths);
	MemoryContextSwitchTo(caller);
	put_row(fcinfo, values, nulls, row);
}

PG_FUNCTION_INFO_V1(path_steps);

/* SQL: path_steps(paths path_set, depth int) */
Datum
path_steps(PG_FUNCTION_ARGS)
{
	int64 depth = limit_argument(fcinfo, 1, "depth", STEP_MAX);
	MemoryContext row = row_context();
	HASHCTL control = {.keysize = sizeof(StepKey),
					   .entrysize = sizeof(StepEntry),
					   .hcxt = CurrentMemoryContext};
	HTAB *steps = hash_create("iaros path steps", 1024, &control,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	PathSetReader reader;
	PathSetPath path;
	StepEntry *list;
	Size n;

	SetSingleFuncCall(fcinfo, 0);
	if (!path_set_argument(fcinfo, 0, &reader))
		return (Datum) 0;
	while (path_set_next(&reader, &path))
	{
		CHECK_FOR_INTERRUPTS();
		step_add_path(steps, &path, depth);
	}
	list = step_list(steps, &n);
	for (Size i = 0; i < n; i++)
		put_step(fcinfo, &reader, &list[i], row);
	return (Datum) 0;
}

/* Puts edges in the order of their states, then of their channels. */
static int
edge_cmp(const MarkovEdge *a, const MarkovEdge *b)
{
	if (a->from != b->from)
		return a->from < b->from ? -1 : 1;
	return a->channel < b->channel ? -1 : a->channel > b->channel;
}

#define ST_SORT edge_sort
#define ST_ELEMENT_TYPE MarkovEdge
#define ST_COMPARE(a, b) edge_cmp(a, b)
#define ST_SCOPE static
#define ST_DEFINE
#define ST_CHECK_FOR_INTERRUPTS
#include "lib/sort_template.h"

/* Returns the channels of a state, the earliest first. */
static Datum
state_array(const PathSetReader *reader, MarkovKey key)
{
	uint64 words[2] = {key.high, key.low};
	uint32 channels[MARKOV_ORDER_MAX];
	int n = 0;

	for (int i = 0; i < MARKOV_ORDER_MAX; i++)
	{
		uint32 code = (uint32) (words[i / 2] >> (i % 2 == 0 ? 32 : 0));

		if (code != 0)
			channels[n++] = code - 1;
	}
	return channel_array(reader, channels, n);
}

/* Puts out one transition of a state, of which there are total. */
static void
put_transition(FunctionCallInfo fcinfo, const PathSetReader *reader,
			   const MarkovState *state, uint32 to, int64 paths, double total,
			   MemoryContext row)
{
	MemoryContext caller;
	Datum values[TRANSITION_COLUMNS] = {0};
	bool nulls[TRANSITION_COLUMNS] = {false};

	if (paths == 0)
		return;
	caller = MemoryContextSwitchTo(row);
	values[0] = state_array(reader, state->key);
	fill_to(reader, to, values + 1, nulls + 1);
	values[3] = Int64GetDatum(paths);
	values[4] = Float8GetDatum((double) paths / total);
	MemoryContextSwitchTo(caller);
	put_row(fcinfo, values, nulls, row);
}

/* Puts out the transitions of a chain whose edges are in order. */
static void
put_transitions(FunctionCallInfo fcinfo, const PathSetReader *reader,
				const MarkovChain *chain, MemoryContext row)
{
	const MarkovEdge *edge = chain->edges;
	const MarkovEdge *end = edge + chain->nedges;

	for (uint32 i = 0; i < chain->nstates; i++)
	{
		const MarkovState *state = &chain->states[i];
		double total = (double) state->conversions + (double) state->nulls;

		CHECK_FOR_INTERRUPTS();
		for (const MarkovEdge *e = edge; e < end && e->from == i; e++)
			total += (double) e->weight;
		for (; edge < end && edge->from == i; edge++)
			put_transition(fcinfo, reader, state, edge->channel, edge->weight,
						   total, row);
		put_transition(fcinfo, reader, state, STEP_CONVERSION,
					   state->conversions, total, row);
		put_transition(fcinfo, reader, state, STEP_NULL, state->nulls, total,
					   row);
	}
}

PG_FUNCTION_INFO_V1(path_transitions);

/* SQL: path_transitions(paths path_set, "order" int) */
Datum
path_transitions(PG_FUNCTION_ARGS)
{
	int order = markov_order_argument(fcinfo, 1, "order");
	MemoryContext row = row_context();
	PathSetReader reader;
	MarkovChain *chain;

	SetSingleFuncCall(fcinfo, 0);
	if (!path_set_argument(fcinfo, 0, &reader))
		return (Datum) 0;
	chain = markov_chain_read(&reader, order);
	edge_sort(chain->edges, chain->nedges);
	put_transitions(fcinfo, &reader, chain, row);
	return (Datum) 0;
}
