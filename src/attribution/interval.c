/*
 * How sure attribution by data is: intervals by the Poisson bootstrap. In
 * each replicate the conversions and nulls of every distinct path are drawn
 * again from the Poisson distribution with their number as its mean, and the
 * channels are credited as from any other set. What is drawn depends on the
 * seed, the replicate and the path, and on nothing else.
 */
#include "attribution/markov.h"
#include "attribution/shapley.h"

#include <math.h>

#include "attribution/share.h"
#include "core/core.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#define INTERVAL_REPLICATES_MAX 10000
#define INTERVAL_COLUMNS 4

/* Most numbers that are kept, one a channel and replicate. */
#define INTERVAL_NUMBERS_MAX (MaxAllocSize / sizeof(double))

/* Estimates above this are not printed with SHARE_DECIMALS. */
#define INTERVAL_LARGEST 9e12

typedef enum IntervalMethod
{
	INTERVAL_MARKOV,
	INTERVAL_SHAPLEY,
	INTERVAL_RATE
} IntervalMethod;

typedef struct IntervalCall
{
	PathSetReader *reader;
	IntervalMethod method;
	int order;
	int replicates;
	double level;
	int64 seed;
	MarkovChain *chain;
	ShapleyGame *game;
	uint32 *steps; /* edges of all paths, or the coalition of each */
	MarkovEffects effects;
	double *estimates; /* of each channel */
	double *drawn;     /* of each channel and replicate */
} IntervalCall;

/* Allocates numbers for the channels. */
static double *
interval_numbers(const IntervalCall *interval)
{
	return palloc_extended(
		mul_size(interval->reader->nchannels + (Size) 1, sizeof(double)),
		MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* Counts the touches of all paths, as edges that must be kept. */
static Size
count_touches(PathSetReader *reader)
{
	PathSetPath path;
	Size n = 0;

	while (path_set_next(reader, &path))
	{
		CHECK_FOR_INTERRUPTS();
		while (path.touches < path.end)
		{
			path_set_touch(&path.touches);
			n++;
		}
	}
	path_set_rewind(reader);
	return n;
}

/* Notes the edges of a path. */
static uint32 *
note_path(MarkovChain *chain, const PathSetPath *path, uint32 *step)
{
	const unsigned char *at = path->touches;
	MarkovKey key = {0, 0};
	uint32 state = 0;

	while (at < path->end)
	{
		*step = markov_edge_add(chain, state, &key, path_set_touch(&at));
		state = chain->edges[*step++].to;
	}
	return step;
}

/* Notes the way of every path, which is the same in all replicates. */
static void
interval_note(IntervalCall *interval)
{
	PathSetReader *reader = interval->reader;
	Size n = interval->method == INTERVAL_MARKOV ? count_touches(reader)
												 : reader->npaths;
	PathSetPath path;
	uint32 *step;

	interval->steps = step =
		palloc_extended(mul_size(n + 1, sizeof(uint32)), MCXT_ALLOC_HUGE);
	interval->chain = markov_chain_create(interval->order, reader->nchannels);
	interval->game = shapley_game_create(reader->nchannels);
	while (path_set_next(reader, &path))
	{
		CHECK_FOR_INTERRUPTS();
		if (interval->method == INTERVAL_MARKOV)
			step = note_path(interval->chain, &path, step);
		else
			*step++ = shapley_game_path(interval->game, &path);
	}
	path_set_rewind(reader);
}

/* Draws the counts of a path for a replicate; replicate 0 is as it is. */
static void
draw_path(const IntervalCall *interval, PathSetPath *path, int replicate)
{
	int64 hash;
	double drawn;

	if (replicate == 0)
		return;
	hash = path_set_hash(path, 0);
	if (path->conversions > 0)
	{
		drawn = core_chance_poisson(hash, interval->seed, 2 * replicate,
									(double) path->conversions);
		path->conversions = (int64) Min(drawn, 9e18);
	}
	if (path->nulls > 0)
	{
		drawn = core_chance_poisson(hash, interval->seed, 2 * replicate + 1,
									(double) path->nulls);
		path->nulls = (int64) Min(drawn, 9e18);
	}
}

/* Adds counts, which must not overflow. */
static inline void
add_count(int64 *sum, int64 count)
{
	if (__builtin_add_overflow(*sum, count, sum))
		path_set_error_count();
}

/* Adds the counts of a path to the chain along its way. */
static uint32 *
count_path(IntervalCall *interval, const PathSetPath *path, uint32 *step)
{
	MarkovChain *chain = interval->chain;
	const unsigned char *at = path->touches;
	uint32 state = 0;
	int64 weight = path->conversions;

	add_count(&weight, path->nulls);
	while (at < path->end)
	{
		MarkovEdge *edge = &chain->edges[*step++];

		path_set_touch(&at);
		add_count(&edge->weight, weight);
		state = edge->to;
	}
	add_count(&chain->states[state].conversions, path->conversions);
	add_count(&chain->states[state].nulls, path->nulls);
	return step;
}

/* Sets all counts back. */
static void
interval_reset(IntervalCall *interval)
{
	for (uint32 i = 0; i < interval->chain->nedges; i++)
		interval->chain->edges[i].weight = 0;
	for (uint32 i = 0; i < interval->chain->nstates; i++)
		interval->chain->states[i].conversions =
			interval->chain->states[i].nulls = 0;
	for (uint32 i = 0; i < interval->game->ncoalitions; i++)
		interval->game->coalitions[i].conversions =
			interval->game->coalitions[i].nulls = 0;
}

/* Counts a replicate; returns the conversions of paths with touches. */
static double
interval_count(IntervalCall *interval, int replicate)
{
	PathSetReader *reader = interval->reader;
	uint32 *step = interval->steps;
	double total = 0.0;
	PathSetPath path;

	interval_reset(interval);
	while (path_set_next(reader, &path))
	{
		CHECK_FOR_INTERRUPTS();
		draw_path(interval, &path, replicate);
		if (path.touches < path.end)
			total += (double) path.conversions;
		if (interval->method == INTERVAL_MARKOV)
			step = count_path(interval, &path, step);
		else
		{
			ShapleyCoalition *coalition = &interval->game->coalitions[*step++];

			add_count(&coalition->conversions, path.conversions);
			add_count(&coalition->nulls, path.nulls);
		}
	}
	path_set_rewind(reader);
	return total;
}

/* Divides conversions by weights. */
static void
estimate_by(const IntervalCall *interval, const double *weights, double total)
{
	double sum = 0.0;

	for (uint32 i = 0; i < interval->reader->nchannels; i++)
		sum += weights[i];
	for (uint32 i = 0; i < interval->reader->nchannels; i++)
		interval->estimates[i] = sum > 0.0 ? weights[i] / sum * total : 0.0;
}

/* Divides the conversions of each coalition equally. */
static void
estimate_equally(const IntervalCall *interval)
{
	const ShapleyGame *game = interval->game;

	memset(interval->estimates, 0,
		   interval->reader->nchannels * sizeof(double));
	for (uint32 i = 0; i < game->ncoalitions; i++)
	{
		const ShapleyCoalition *coalition = &game->coalitions[i];

		for (uint32 j = 0; j < coalition->n; j++)
			interval->estimates[game->members[coalition->first + j]] +=
				(double) coalition->conversions / coalition->n;
	}
}

/* Forgets the paths without touches, which have no part in rates. */
static void
drop_empty(ShapleyGame *game)
{
	for (uint32 i = 0; i < game->ncoalitions; i++)
		if (game->coalitions[i].n == 0)
			game->coalitions[i].conversions = game->coalitions[i].nulls = 0;
}

/* Computes the estimates of a replicate. */
static void
interval_estimate(IntervalCall *interval, int replicate)
{
	double total = interval_count(interval, replicate);

	switch (interval->method)
	{
		case INTERVAL_MARKOV:
			markov_effects(interval->chain, &interval->effects);
			estimate_by(interval, interval->effects.lost, total);
			break;
		case INTERVAL_SHAPLEY:
			estimate_equally(interval);
			break;
		case INTERVAL_RATE:
			drop_empty(interval->game);
			shapley_rate_exact(interval->game, interval->effects.lost);
			estimate_by(interval, interval->effects.lost, total);
			break;
	}
}

#define ST_SORT sort_numbers
#define ST_ELEMENT_TYPE double
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Returns a quantile of sorted numbers, between two of them in proportion. */
static double
quantile(const double *numbers, int n, double p)
{
	double at = p * (n - 1);
	int below = (int) floor(at);

	if (below >= n - 1)
		return numbers[n - 1];
	return numbers[below] +
		   (at - below) * (numbers[below + 1] - numbers[below]);
}

/* Returns an estimate with SHARE_DECIMALS. */
static Datum
estimate_numeric(double estimate)
{
	if (fabs(estimate) > INTERVAL_LARGEST)
		return DirectFunctionCall1(float8_numeric, Float8GetDatum(estimate));
	return share_numeric((int128) rint(estimate * 1e6), SHARE_DECIMALS);
}

/* Puts out a channel. */
static void
interval_put(FunctionCallInfo fcinfo, const IntervalCall *interval,
			 uint32 channel, double estimate)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const PathSetReader *reader = interval->reader;
	double *numbers = interval->drawn + (Size) channel * interval->replicates;
	double tail = (1.0 - interval->level) / 2.0;
	Datum values[INTERVAL_COLUMNS];
	bool nulls[INTERVAL_COLUMNS] = {false};

	sort_numbers(numbers, interval->replicates);
	values[0] = PointerGetDatum(cstring_to_text_with_len(
		reader->names[channel], reader->lengths[channel]));
	values[1] = estimate_numeric(estimate);
	values[2] =
		estimate_numeric(quantile(numbers, interval->replicates, tail));
	values[3] =
		estimate_numeric(quantile(numbers, interval->replicates, 1.0 - tail));
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* Draws all replicates and puts out the channels. */
static void
interval_run(FunctionCallInfo fcinfo, IntervalCall *interval)
{
	uint32 n = interval->reader->nchannels;
	Size replicates = interval->replicates;
	double *first = interval_numbers(interval);

	if (mul_size(n, replicates) > INTERVAL_NUMBERS_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("%zu replicates of %u channels are too many",
							   replicates, n)));
	interval->drawn = palloc_extended((n * replicates + 1) * sizeof(double),
									  MCXT_ALLOC_HUGE);
	interval->estimates = interval_numbers(interval);
	interval->effects.lost = interval_numbers(interval);
	interval->effects.lost_value = interval_numbers(interval);
	interval_note(interval);
	interval_estimate(interval, 0);
	memcpy(first, interval->estimates, n * sizeof(double));
	for (Size i = 0; i < replicates; i++)
	{
		interval_estimate(interval, (int) i + 1);
		for (uint32 c = 0; c < n; c++)
			interval->drawn[c * replicates + i] = interval->estimates[c];
	}
	for (uint32 c = 0; c < n; c++)
		interval_put(fcinfo, interval, c, first[c]);
}

/* Reads the method. */
static void
interval_method(FunctionCallInfo fcinfo, IntervalCall *interval)
{
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	Size length = strlen(name);

	interval->order = 1;
	if (strcmp(name, "shapley") == 0)
		interval->method = INTERVAL_SHAPLEY;
	else if (strcmp(name, "shapley(rate)") == 0)
		interval->method = INTERVAL_RATE;
	else if (strcmp(name, "markov") == 0)
		interval->method = INTERVAL_MARKOV;
	else if (length == 9 && strncmp(name, "markov(", 7) == 0 &&
			 name[7] >= '1' && name[7] <= '0' + MARKOV_ORDER_MAX &&
			 name[8] == ')')
		interval->order = name[7] - '0';
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no method \"%s\" with intervals", name),
				 errhint("It is markov(1) to markov(4), shapley or "
						 "shapley(rate).")));
}

/* Reads the arguments after the set and checks them. */
static void
interval_arguments(FunctionCallInfo fcinfo, IntervalCall *interval)
{
	for (int arg = 1; arg <= 4; arg++)
		if (PG_ARGISNULL(arg))
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("method, replicates, level and seed must "
								   "not be NULL")));
	interval_method(fcinfo, interval);
	interval->replicates = PG_GETARG_INT32(2);
	interval->level = PG_GETARG_FLOAT8(3);
	interval->seed = PG_GETARG_INT64(4);
	if (interval->replicates < 2 ||
		interval->replicates > INTERVAL_REPLICATES_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("replicates must be between 2 and %d, not \"%d\"",
						INTERVAL_REPLICATES_MAX, interval->replicates)));
	if (!(interval->level > 0.0 && interval->level < 1.0))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("level must be between 0 and 1, not \"%g\"",
							   interval->level),
						errhint("Pass 0.95 for an interval of 95 %%.")));
}

PG_FUNCTION_INFO_V1(attribution_interval);

/*
 * SQL: attribution_interval(paths path_set, method text, replicates int,
 * level float8, seed bigint)
 */
Datum
attribution_interval(PG_FUNCTION_ARGS)
{
	PathSetReader reader;
	IntervalCall interval = {.reader = &reader};

	interval_arguments(fcinfo, &interval);
	SetSingleFuncCall(fcinfo, 0);
	if (!path_set_argument(fcinfo, 0, &reader))
		return (Datum) 0;
	if (interval.method == INTERVAL_RATE &&
		reader.nchannels > SHAPLEY_EXACT_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("shapley(rate) has intervals up to %d channels, not "
						"%u",
						SHAPLEY_EXACT_MAX, reader.nchannels),
				 errhint("Merge channels, or use markov(1) or shapley.")));
	interval_run(fcinfo, &interval);
	return (Datum) 0;
}
