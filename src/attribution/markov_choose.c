/*
 * The order of a Markov chain by the likelihood of paths it has not seen. The
 * occurrences of each path are dealt out to folds; each fold's paths are
 * predicted by the counts of the other folds, touch by touch and with their
 * end.
 *
 * A chance is that of the state's own counts, mixed with that of the state of
 * one order less by the rule of Witten and Bell (I. H. Witten, T. C. Bell,
 * The Zero-Frequency Problem, IEEE Transactions on Information Theory 37,
 * 1991): (count + kinds * chance below) / (total + kinds), where kinds is the
 * number of different things that followed the state. Below order 0 all
 * channels and both ends are equally likely.
 */
#include "attribution/markov.h"

#include "core/core.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/tuplestore.h"

#define CHOOSE_FOLDS_MAX 20
#define CHOOSE_LEVELS (MARKOV_ORDER_MAX + 1)
#define CHOOSE_COLUMNS 4

/* Ends of a path, as events after its last channel. */
#define END_CONVERSION 0
#define END_NULL 1
#define ENDS 2

/* One order: its chain, and counts of each fold, the last of all. */
typedef struct ChooseLevel
{
	MarkovChain *chain;
	int64 *edges;  /* folds + 1 of each edge */
	int64 *ends;   /* folds + 1 of each end of each state */
	int64 *totals; /* folds + 1 of each state */
	int64 *kinds;  /* of the counts without a fold, folds of each state */
} ChooseLevel;

typedef struct Choose
{
	PathSetReader *reader;
	int max_order;
	int folds;
	int64 seed;
	ChooseLevel levels[CHOOSE_LEVELS];
	double sums[CHOOSE_LEVELS];
	int64 paths;
} Choose;

/* What a path counts in each fold, the last of all. */
typedef int64 ChooseShare[ENDS][CHOOSE_FOLDS_MAX + 1];

/*
 * Deals the occurrences of a path out to the folds: as many to each as
 * possible, and those that are left to folds that follow each other.
 */
static void
deal_path(const Choose *choose, const PathSetPath *path, ChooseShare share)
{
	uint64 hash = (uint64) path_set_hash(path, choose->seed);
	int64 counts[ENDS] = {path->conversions, path->nulls};
	int fold = (int) (hash % choose->folds);

	for (int end = 0; end < ENDS; end++)
	{
		for (int i = 0; i < choose->folds; i++)
			share[end][i] = counts[end] / choose->folds;
		for (int i = 0; i < counts[end] % choose->folds; i++)
		{
			share[end][fold]++;
			fold = (fold + 1) % choose->folds;
		}
		share[end][choose->folds] = counts[end];
	}
}

/* Allocates counts. */
static int64 *
counts_create(uint32 n, int each)
{
	return palloc_extended(mul_size(n, each * sizeof(int64)),
						   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* Makes the counts of a level whose chain has all states and edges. */
static void
level_create(ChooseLevel *level, int folds)
{
	const MarkovChain *chain = level->chain;

	level->edges = counts_create(chain->nedges, folds + 1);
	level->ends = counts_create(chain->nstates, ENDS * (folds + 1));
	level->totals = counts_create(chain->nstates, folds + 1);
	level->kinds = counts_create(chain->nstates, folds);
}

/* Adds to a number of paths. */
static inline void
count_add(int64 *sum, int64 n)
{
	if (pg_add_s64_overflow(*sum, n, sum))
		path_set_error_count();
}

/* Counts a path in a level. */
static void
level_count(ChooseLevel *level, const PathSetPath *path, ChooseShare share,
			int folds)
{
	const unsigned char *at = path->touches;
	MarkovKey key = {0, 0};
	uint32 state = 0;
	int each = folds + 1;

	while (at < path->end)
	{
		uint32 edge =
			markov_edge_add(level->chain, state, &key, path_set_touch(&at));

		for (int i = 0; i < each; i++)
		{
			int64 n = share[END_CONVERSION][i] + share[END_NULL][i];

			level->edges[(Size) edge * each + i] += n;
			count_add(&level->totals[(Size) state * each + i], n);
		}
		state = level->chain->edges[edge].to;
	}
	for (int end = 0; end < ENDS; end++)
		for (int i = 0; i < each; i++)
		{
			level->ends[((Size) state * ENDS + end) * each + i] +=
				share[end][i];
			count_add(&level->totals[(Size) state * each + i], share[end][i]);
		}
}

/* Counts how many different things follow each state without each fold. */
static void
level_kinds(ChooseLevel *level, int folds)
{
	int each = folds + 1;

	for (uint32 i = 0; i < level->chain->nedges; i++)
	{
		const int64 *counts = level->edges + (Size) i * each;
		Size state = level->chain->edges[i].from;

		for (int fold = 0; fold < folds; fold++)
			level->kinds[state * folds + fold] += counts[folds] > counts[fold];
	}
	for (Size i = 0; i < (Size) level->chain->nstates * ENDS; i++)
	{
		const int64 *counts = level->ends + i * each;

		for (int fold = 0; fold < folds; fold++)
			level->kinds[i / ENDS * folds + fold] +=
				counts[folds] > counts[fold];
	}
}

/* Mixes the chance of an event at a state with that of the level below. */
static inline double
level_chance(const ChooseLevel *level, uint32 state, const int64 *counts,
			 int fold, int folds, double below)
{
	const int64 *totals = level->totals + (Size) state * (folds + 1);
	double total = (double) (totals[folds] - totals[fold]);
	double kinds = (double) level->kinds[(Size) state * folds + fold];

	if (total <= 0.0)
		return below;
	return ((double) (counts[folds] - counts[fold]) + kinds * below) /
		   (total + kinds);
}

/* Adds logarithms of the chances of an end of a path to those of all orders.
 */
static void
score_end(const Choose *choose, const uint32 *states, int end, int fold,
		  int64 times, double *sums)
{
	double chance = 1.0 / (choose->reader->nchannels + ENDS);

	for (int k = 0; k <= choose->max_order; k++)
	{
		const ChooseLevel *level = &choose->levels[k];

		chance = level_chance(level, states[k],
							  level->ends + ((Size) states[k] * ENDS + end) *
												(choose->folds + 1),
							  fold, choose->folds, chance);
		sums[k] += (double) times * core_log(chance);
	}
}

/* Adds up logarithms of the chances of a touch, and steps on to it. */
static void
score_touch(Choose *choose, uint32 *states, MarkovKey *keys, uint32 channel,
			const int64 *times, double (*sums)[CHOOSE_LEVELS])
{
	double chances[CHOOSE_FOLDS_MAX];

	for (int fold = 0; fold < choose->folds; fold++)
		chances[fold] = 1.0 / (choose->reader->nchannels + ENDS);
	for (int k = 0; k <= choose->max_order; k++)
	{
		ChooseLevel *level = &choose->levels[k];
		uint32 edge =
			markov_edge_add(level->chain, states[k], &keys[k], channel);
		const int64 *counts = level->edges + (Size) edge * (choose->folds + 1);

		for (int fold = 0; fold < choose->folds; fold++)
			if (times[fold] > 0)
			{
				chances[fold] = level_chance(level, states[k], counts, fold,
											 choose->folds, chances[fold]);
				sums[fold][k] += core_log(chances[fold]);
			}
		states[k] = level->chain->edges[edge].to;
	}
}

/* Adds what the chains say of a path, each fold of the others. */
static void
score_path(Choose *choose, const PathSetPath *path)
{
	const unsigned char *at = path->touches;
	uint32 states[CHOOSE_LEVELS] = {0};
	MarkovKey keys[CHOOSE_LEVELS] = {{0, 0}};
	double sums[CHOOSE_FOLDS_MAX][CHOOSE_LEVELS] = {{0.0}};
	int64 times[CHOOSE_FOLDS_MAX];
	ChooseShare share;

	deal_path(choose, path, share);
	for (int fold = 0; fold < choose->folds; fold++)
		times[fold] = share[END_CONVERSION][fold] + share[END_NULL][fold];
	while (at < path->end)
		score_touch(choose, states, keys, path_set_touch(&at), times, sums);
	for (int fold = 0; fold < choose->folds; fold++)
	{
		if (times[fold] == 0)
			continue;
		for (int k = 0; k <= choose->max_order; k++)
			choose->sums[k] += (double) times[fold] * sums[fold][k];
		for (int end = 0; end < ENDS; end++)
			if (share[end][fold] > 0)
				score_end(choose, states, end, fold, share[end][fold],
						  choose->sums);
	}
}

/* Builds the chains of all orders with the counts of the folds. */
static void
choose_count(Choose *choose)
{
	PathSetPath path;

	for (int k = 0; k <= choose->max_order; k++)
	{
		ChooseLevel *level = &choose->levels[k];

		level->chain = markov_chain_read(choose->reader, k);
		level_create(level, choose->folds);
		while (path_set_next(choose->reader, &path))
		{
			ChooseShare share;

			CHECK_FOR_INTERRUPTS();
			if (path.conversions + path.nulls == 0)
				continue;
			deal_path(choose, &path, share);
			level_count(level, &path, share, choose->folds);
		}
		path_set_rewind(choose->reader);
		level_kinds(level, choose->folds);
	}
}

/* Scores all paths. */
static void
choose_score(Choose *choose)
{
	PathSetPath path;

	while (path_set_next(choose->reader, &path))
	{
		CHECK_FOR_INTERRUPTS();
		choose->paths += path.conversions + path.nulls;
		if (path.conversions + path.nulls > 0)
			score_path(choose, &path);
	}
	path_set_rewind(choose->reader);
}

/* Puts out a row for each order. */
static void
choose_put(FunctionCallInfo fcinfo, const Choose *choose)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int best = 1;

	if (choose->paths == 0)
		return;
	for (int k = 2; k <= choose->max_order; k++)
		if (choose->sums[k] > choose->sums[best])
			best = k;
	for (int k = 1; k <= choose->max_order; k++)
	{
		Datum values[CHOOSE_COLUMNS];
		bool nulls[CHOOSE_COLUMNS] = {false};

		values[0] = Int32GetDatum(k);
		values[1] = Int64GetDatum(choose->levels[k].chain->nstates);
		values[2] = Float8GetDatum(choose->sums[k] / (double) choose->paths);
		values[3] = BoolGetDatum(k == best);
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
	}
}

/* Reads the arguments after the set and checks them. */
static void
choose_arguments(FunctionCallInfo fcinfo, Choose *choose)
{
	choose->max_order = markov_order_argument(fcinfo, 1, "max_order");
	if (PG_ARGISNULL(2) || PG_ARGISNULL(3))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("folds and seed must not be NULL")));
	choose->folds = PG_GETARG_INT32(2);
	choose->seed = PG_GETARG_INT64(3);
	if (choose->folds < 2 || choose->folds > CHOOSE_FOLDS_MAX)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("folds must be between 2 and %d, not \"%d\"",
							   CHOOSE_FOLDS_MAX, choose->folds)));
}

PG_FUNCTION_INFO_V1(attribution_markov_order);

/*
 * SQL: attribution_markov_order(paths path_set, max_order int, folds int,
 * seed bigint)
 */
Datum
attribution_markov_order(PG_FUNCTION_ARGS)
{
	PathSetReader reader;
	Choose choose = {.reader = &reader};

	choose_arguments(fcinfo, &choose);
	SetSingleFuncCall(fcinfo, 0);
	if (!path_set_argument(fcinfo, 0, &reader))
		return (Datum) 0;
	choose_count(&choose);
	choose_score(&choose);
	choose_put(fcinfo, &choose);
	return (Datum) 0;
}
