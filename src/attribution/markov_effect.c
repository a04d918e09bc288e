/* What is lost of a chain without each channel. */
#include "attribution/markov.h"

#include "miscadmin.h"
#include "utils/memutils.h"

/* Allocates the numbers of a block, a cache line a state. */
static void *
effect_numbers(uint32 nstates)
{
	char *raw = palloc_extended(
		add_size(mul_size(nstates, MARKOV_LANES * sizeof(double)),
				 PG_CACHE_LINE_SIZE),
		MCXT_ALLOC_HUGE);

	return (char *) CACHELINEALIGN(raw);
}

/* Copies a lane of a block. */
static double *
effect_lane(const MarkovBlock *block, int lane)
{
	uint32 n = block->graph->nstates;
	double *copy =
		palloc_extended(mul_size(n, sizeof(double)), MCXT_ALLOC_HUGE);

	for (uint32 i = 0; i < n; i++)
		copy[i] = block->x[i][lane];
	return copy;
}

/* Solves a block from zeros. */
static void
effect_solve(MarkovBlock *block)
{
	memset(block->x, 0, (Size) block->graph->nstates * sizeof(*block->x));
	markov_solve(block);
}

/* Solves for the chances of the whole chain. */
static void
effect_base(MarkovBlock *block, MarkovEffects *effects)
{
	block->lanes = 1;
	effect_solve(block);
	block->base = effect_lane(block, 0);
	block->value = effect_lane(block, 1);
	block->steps = effect_lane(block, 2);
	effects->base = block->base[block->graph->start];
	effects->value = block->value[block->graph->start];
}

/* Solves for the channels, as many at a time as there are lanes. */
static void
effect_channels(MarkovBlock *block, MarkovEffects *effects, uint32 nchannels)
{
	uint32 start = block->graph->start;

	block->lanes = effects->valued ? 2 : 1;
	block->nchannels = MARKOV_LANES / block->lanes;
	for (block->channel = 0; block->channel < nchannels;
		 block->channel += block->nchannels)
	{
		effect_solve(block);
		for (int i = 0; i < block->nchannels && block->channel + i < nchannels;
			 i++)
		{
			const double *x = &block->x[start][i * block->lanes];

			effects->lost[block->channel + i] = x[0];
			if (effects->valued)
				effects->lost_value[block->channel + i] = x[1];
		}
	}
}

/* Computes the effects of removal; the arrays have a place a channel. */
void
markov_effects(const MarkovChain *chain, MarkovEffects *effects)
{
	MemoryContext work;
	MemoryContext caller;
	MarkovBlock block = {0};

	work = AllocSetContextCreate(CurrentMemoryContext, "iaros markov",
								 ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(work);
	effects->valued = false;
	for (uint32 i = 0; i < chain->nstates; i++)
		effects->valued |= chain->states[i].value != 0.0;
	if (chain->order == 1 && chain->nchannels <= MARKOV_FIRST_MAX)
		markov_first_effects(chain, effects);
	else
	{
		block.graph = markov_graph_create(chain);
		block.x = effect_numbers(block.graph->nstates);
		effect_base(&block, effects);
		effect_channels(&block, effects, chain->nchannels);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
}
