/*
 * Elimination of one component of a graph, without subtraction: each pivot is
 * the sum of the weights that leave a state for those that are left and for
 * what is outside, see markov_first.c.
 */
#include "attribution/markov.h"

#include "miscadmin.h"

/* A component with some of its states taken out. */
typedef struct DenseSystem
{
	int n;
	uint32 *states;
	int32 *index;  /* of a state of the component; -1 for one taken out */
	double *w;     /* n * n weights */
	double *leave; /* weight to the outside */
	double (*x)[MARKOV_LANES];
} DenseSystem;

/* Chooses the states of a component but for those of a removed lane. */
static void
dense_choose(DenseSystem *system, const MarkovBlock *block, uint32 first,
			 uint32 next, int removed)
{
	system->n = 0;
	for (uint32 state = first; state < next; state++)
	{
		bool out =
			removed >= 0 && markov_removed_lane(block, state) == removed;

		system->index[state - first] = out ? -1 : system->n;
		if (!out)
			system->states[system->n++] = state;
	}
}

/* Fills in the weights between the states, and what comes from outside. */
static void
dense_fill(DenseSystem *system, const MarkovBlock *block, uint32 first,
		   uint32 next)
{
	const MarkovGraph *graph = block->graph;
	int n = system->n;

	memset(system->w, 0, (Size) n * n * sizeof(double));
	for (int k = 0; k < n; k++)
	{
		uint32 state = system->states[k];
		double *row = system->w + (Size) k * n;

		system->leave[k] = graph->ending[state];
		memset(block->x[state], 0, sizeof(block->x[state]));
		for (uint64 i = graph->first[state]; i < graph->first[state + 1]; i++)
		{
			uint32 target = graph->target[i];

			if (target < first || target >= next ||
				system->index[target - first] < 0)
				system->leave[k] += graph->weight[i];
			else
				row[system->index[target - first]] = graph->weight[i];
		}
	}
	for (int k = 0; k < n; k++)
		markov_row(block, system->states[k], system->x[k]);
}

/* Eliminates the states and solves for them. */
static void
dense_solve(DenseSystem *system)
{
	int n = system->n;
	double *pivot = palloc(Max(n, 1) * sizeof(double));

	for (int k = 0; k < n; k++)
	{
		const double *out = system->w + (Size) k * n;
		double sum = system->leave[k];

		CHECK_FOR_INTERRUPTS();
		for (int j = k + 1; j < n; j++)
			sum += out[j];
		pivot[k] = sum > 0.0 ? 1.0 / sum : 0.0;
		for (int i = k + 1; i < n; i++)
		{
			double *row = system->w + (Size) i * n;
			double factor = row[k] * pivot[k];

			if (factor == 0.0)
				continue;
			for (int j = k + 1; j < n; j++)
				row[j] += factor * out[j];
			system->leave[i] += factor * system->leave[k];
			for (int j = 0; j < MARKOV_LANES; j++)
				system->x[i][j] += factor * system->x[k][j];
		}
	}
	for (int k = n - 1; k >= 0; k--)
	{
		for (int i = k + 1; i < n; i++)
			for (int j = 0; j < MARKOV_LANES; j++)
				system->x[k][j] +=
					system->w[(Size) k * n + i] * system->x[i][j];
		for (int j = 0; j < MARKOV_LANES; j++)
			system->x[k][j] *= pivot[k];
	}
	pfree(pivot);
}

/* Solves for the lanes of which a mask has bits. */
static void
dense_lanes(DenseSystem *system, MarkovBlock *block, uint32 first, uint32 next,
			int removed, uint32 lanes, double (*results)[MARKOV_LANES])
{
	dense_choose(system, block, first, next, removed);
	dense_fill(system, block, first, next);
	dense_solve(system);
	for (uint32 state = first; state < next; state++)
	{
		int32 k = system->index[state - first];

		for (int j = 0; j < MARKOV_LANES; j++)
			if ((lanes >> j) & 1)
				results[state - first][j] =
					k < 0 ? block->x[state][j] : system->x[k][j];
	}
}

/* Sets the removed lanes of the states to what their channel has. */
static uint32
dense_removed(MarkovBlock *block, uint32 first, uint32 next)
{
	uint32 found = 0;

	for (uint32 state = first; state < next; state++)
	{
		int removed = markov_removed_lane(block, state);

		if (removed < 0)
			continue;
		found |= 1 << removed;
		block->x[state][removed] = block->base[state];
		if (block->lanes > 1)
			block->x[state][removed + 1] = block->value[state];
	}
	return found;
}

/*
 * Solves a component: once for each channel of the block that is in it, and
 * once for all lanes from which nothing is removed here.
 */
void
markov_dense(MarkovBlock *block, uint32 first, uint32 next)
{
	int n = (int) (next - first);
	double(*results)[MARKOV_LANES] = palloc(n * sizeof(*results));
	uint32 all = (1 << MARKOV_LANES) - 1;
	uint32 found;
	DenseSystem system = {
		.states = palloc(n * sizeof(uint32)),
		.index = palloc(n * sizeof(int32)),
		.w = palloc_extended((Size) n * n * sizeof(double), MCXT_ALLOC_HUGE),
		.leave = palloc(n * sizeof(double)),
		.x = palloc(n * sizeof(*system.x))};

	memset(block->x[first], 0, n * sizeof(block->x[first]));
	found = dense_removed(block, first, next);
	for (int lane = 0; lane < MARKOV_LANES; lane += block->lanes)
	{
		uint32 lanes = (block->lanes > 1 ? 3 : 1) << lane;

		if ((found >> lane) & 1)
		{
			dense_lanes(&system, block, first, next, lane, lanes, results);
			all &= ~lanes;
			dense_removed(block, first, next);
		}
	}
	if (all != 0)
		dense_lanes(&system, block, first, next, -1, all, results);
	memcpy(block->x[first], results, n * sizeof(*results));
	pfree(system.states);
	pfree(system.index);
	pfree(system.w);
	pfree(system.leave);
	pfree(system.x);
	pfree(results);
}
