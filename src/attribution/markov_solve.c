/*
 * Solves systems of equations over a graph, one component after another. A
 * component of one state is its own solution, a small one is eliminated, and
 * a large one is repeated (Gauss-Seidel) until the error is bounded.
 *
 * The bound: what a sweep still changes, at most d in any state, bounds the
 * residual of all equations, and by it the error at a state is at most d
 * times the expected number of steps from there to the end. Those steps are a
 * system of their own; once its residual is at most 1/2 everywhere, twice its
 * solution is above them.
 *
 * Where nothing is removed, the lanes are: chance of a conversion, expected
 * value, steps. Else they are those of the channels of the block: what is got
 * by way of the channel, which in its own states is the whole.
 */
#include "attribution/markov.h"

#include <math.h>

#include "miscadmin.h"

/* Components of up to so many states are eliminated at once. */
#define SOLVE_SMALL 12

/* What is wanted, and what is the least to be had, relative to the largest. */
#define SOLVE_WANTED 2e-14
#define SOLVE_LEAST 1e-9

/* A change that is nothing but rounding. */
#define SOLVE_ROUNDING 4.5e-16

/* Most looks at an edge in one component. */
#define SOLVE_WORK INT64CONST(4000000000)

#define LANE_BASE 0
#define LANE_VALUE 1
#define LANE_STEPS 2

/* What a sweep changed at most, and the largest number, for each lane. */
typedef struct SolveSweep
{
	double change[MARKOV_LANES];
	double largest[MARKOV_LANES];
} SolveSweep;

/* Returns the first lane in which the channel of a state is removed, or -1. */
int
markov_removed_lane(const MarkovBlock *block, uint32 state)
{
	uint32 channel = block->graph->channel[state];

	if (block->base == NULL || channel == MARKOV_NONE ||
		channel - block->channel >= (uint32) block->nchannels)
		return -1;
	return (int) (channel - block->channel) * block->lanes;
}

/* Begins the sum of a state: what it gets without another. */
static inline void
row_begin(const MarkovBlock *block, uint32 state, double *sum)
{
	const MarkovGraph *graph = block->graph;

	for (int j = 0; j < MARKOV_LANES; j++)
		sum[j] = 0.0;
	if (block->base != NULL)
		return;
	sum[LANE_BASE] = graph->conversions[state];
	sum[LANE_VALUE] = graph->value[state];
	sum[LANE_STEPS] = graph->total[state];
}

/* Computes the sum of a state over all states that it leads to. */
static inline void
row_sum(const MarkovBlock *block, uint32 state, double *restrict sum)
{
	const MarkovGraph *graph = block->graph;

	row_begin(block, state, sum);
	for (uint64 i = graph->first[state]; i < graph->first[state + 1]; i++)
	{
		const double *restrict x = block->x[graph->target[i]];
		double weight = graph->weight[i];

		for (int j = 0; j < MARKOV_LANES; j++)
			sum[j] += weight * x[j];
	}
}

/* The same for others. */
void
markov_row(const MarkovBlock *block, uint32 state, double *sum)
{
	row_sum(block, state, sum);
}

/* Computes a state from those that it leads to. */
static inline void
row_solve(const MarkovBlock *block, uint32 state, double *restrict result)
{
	double leaving = block->graph->leaving[state];
	double factor = leaving > 0.0 ? 1.0 / leaving : 0.0;
	int removed = markov_removed_lane(block, state);

	row_sum(block, state, result);
	for (int j = 0; j < MARKOV_LANES; j++)
		result[j] *= factor;
	if (removed < 0)
		return;
	result[removed] = block->base[state];
	if (block->lanes > 1)
		result[removed + 1] = block->value[state];
}

/* Goes over a component once. */
static void
sweep_run(MarkovBlock *block, uint32 first, uint32 next, SolveSweep *sweep)
{
	memset(sweep, 0, sizeof(*sweep));
	for (uint32 state = first; state < next; state++)
	{
		double *x = block->x[state];
		double result[MARKOV_LANES];

		row_solve(block, state, result);
		for (int j = 0; j < MARKOV_LANES; j++)
		{
			double change = fabs(result[j] - x[j]);
			double size = fabs(result[j]);

			sweep->change[j] =
				change > sweep->change[j] ? change : sweep->change[j];
			sweep->largest[j] =
				size > sweep->largest[j] ? size : sweep->largest[j];
			x[j] = result[j];
		}
	}
}

/* Returns the most steps from a state of a component to the end. */
static double
most_steps(const MarkovBlock *block, uint32 first, uint32 next)
{
	double most = 1.0;

	for (uint32 state = first; state < next; state++)
		most = Max(most, block->base != NULL ? block->steps[state]
											 : block->x[state][LANE_STEPS]);
	return 2.0 * most;
}

/*
 * Tells whether a sweep was the last: each lane is as good as wanted, or
 * only rounding moves it and it is good enough.
 */
static bool
sweep_done(const MarkovBlock *block, const SolveSweep *sweep, double steps)
{
	for (int j = 0; j < MARKOV_LANES; j++)
	{
		double change = sweep->change[j];
		double largest = sweep->largest[j];

		if (block->base == NULL && j == LANE_STEPS)
		{
			if (change > 0.5)
				return false;
		}
		else if (change * steps > SOLVE_WANTED * largest &&
				 (change > SOLVE_ROUNDING * largest ||
				  change * steps > SOLVE_LEAST * largest))
			return false;
	}
	return true;
}

/* Repeats a component; false when it takes too long. */
static bool
solve_sweeps(MarkovBlock *block, uint32 first, uint32 next)
{
	int64 edges = block->graph->first[next] - block->graph->first[first] +
				  (next - first);
	int64 most = Max(SOLVE_WORK / edges, 100);

	if (next - first <= MARKOV_DENSE_MAX)
	{
		int64 n = next - first;

		/* Elimination takes about this long. */
		most = Min(most, Max(n * n * n / edges, 100));
	}
	for (int64 i = 0; i < most; i++)
	{
		SolveSweep sweep;

		CHECK_FOR_INTERRUPTS();
		sweep_run(block, first, next, &sweep);
		if (sweep_done(block, &sweep, most_steps(block, first, next)))
			return true;
	}
	return false;
}

/* Solves a component of more than one state. */
static void
solve_component(MarkovBlock *block, uint32 first, uint32 next)
{
	if (next - first > SOLVE_SMALL && solve_sweeps(block, first, next))
		return;
	if (next - first > MARKOV_DENSE_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the Markov chain is too large to be solved"),
				 errdetail("%u states lead to each other, and a path comes "
						   "back to them too often.",
						   next - first),
				 errhint("Use a lower order or fewer channels.")));
	markov_dense(block, first, next);
}

/* Solves a block; its numbers are 0 before. */
void
markov_solve(MarkovBlock *block)
{
	const MarkovGraph *graph = block->graph;

	for (uint32 i = 0; i < graph->ncomponents; i++)
	{
		uint32 first = graph->component[i];
		uint32 next = graph->component[i + 1];

		if (next - first == 1)
			row_solve(block, first, block->x[first]);
		else
			solve_component(block, first, next);
		if ((i & 0xFFF) == 0)
			CHECK_FOR_INTERRUPTS();
	}
}
