/*
 * The states of a chain, numbered anew such that each strongly connected
 * component is in one piece, after all those that it leads to: solved in this
 * order, a state needs only what is before it and its own component.
 */
#include "attribution/markov.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#define NOT_SEEN 0
#define DONE PG_UINT32_MAX

/* The edges by their first state, and a walk over them (R. Tarjan, 1972). */
typedef struct GraphWalk
{
	const MarkovChain *chain;
	uint64 *first; /* of the edges of each state */
	uint32 *edges; /* edge numbers by state */
	uint32 *seen;  /* when a state was come to; DONE when in a component */
	uint32 *low;   /* the earliest it can go back to */
	uint64 *next;  /* edge to be looked at */
	uint32 *path;  /* states on the way */
	uint32 *open;  /* states in no component yet */
	uint32 npath;
	uint32 nopen;
	uint32 clock;
	uint32 *number; /* new number of each state */
	uint32 nnumbers;
	MarkovGraph *graph;
} GraphWalk;

/* Allocates an array that may be large. */
static void *
graph_array(Size n, Size size)
{
	return palloc_extended(mul_size(n + 1, size),
						   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* Puts the edges in the order of their states. */
static void
walk_edges(GraphWalk *walk)
{
	const MarkovChain *chain = walk->chain;
	uint64 *at = graph_array(chain->nstates + (Size) 1, sizeof(uint64));

	walk->first = graph_array(chain->nstates + (Size) 1, sizeof(uint64));
	walk->edges = graph_array(chain->nedges, sizeof(uint32));
	for (uint32 i = 0; i < chain->nedges; i++)
		walk->first[chain->edges[i].from + 1]++;
	for (uint32 i = 0; i < chain->nstates; i++)
		walk->first[i + 1] += walk->first[i];
	memcpy(at, walk->first, (chain->nstates + (Size) 1) * sizeof(uint64));
	for (uint32 i = 0; i < chain->nedges; i++)
		walk->edges[at[chain->edges[i].from]++] = i;
	pfree(at);
}

/* Comes to a state for the first time. */
static void
walk_enter(GraphWalk *walk, uint32 state)
{
	walk->seen[state] = walk->low[state] = ++walk->clock;
	walk->next[state] = walk->first[state];
	walk->path[walk->npath++] = state;
	walk->open[walk->nopen++] = state;
}

/* Closes the component of which a state was the first to be come to. */
static void
walk_close(GraphWalk *walk, uint32 state)
{
	uint32 member;

	walk->graph->component[walk->graph->ncomponents++] = walk->nnumbers;
	do
	{
		member = walk->open[--walk->nopen];
		walk->seen[member] = DONE;
		walk->number[member] = walk->nnumbers++;
	} while (member != state);
}

/* Follows edges from a state until one leads to a new one or none is left. */
static void
walk_step(GraphWalk *walk, uint32 state)
{
	while (walk->next[state] < walk->first[state + 1])
	{
		uint32 edge = walk->edges[walk->next[state]++];
		uint32 to = walk->chain->edges[edge].to;

		if (walk->chain->edges[edge].weight == 0)
			continue;
		if (walk->seen[to] == NOT_SEEN)
		{
			walk_enter(walk, to);
			return;
		}
		if (walk->seen[to] != DONE)
			walk->low[state] = Min(walk->low[state], walk->seen[to]);
	}
	walk->npath--;
	if (walk->npath > 0)
	{
		uint32 before = walk->path[walk->npath - 1];

		walk->low[before] = Min(walk->low[before], walk->low[state]);
	}
	if (walk->low[state] == walk->seen[state])
		walk_close(walk, state);
}

/* Finds the components of all states that can be come to. */
static void
walk_run(GraphWalk *walk)
{
	Size n = walk->chain->nstates;

	walk->seen = graph_array(n, sizeof(uint32));
	walk->low = graph_array(n, sizeof(uint32));
	walk->next = graph_array(n, sizeof(uint64));
	walk->path = graph_array(n, sizeof(uint32));
	walk->open = graph_array(n, sizeof(uint32));
	walk->number = graph_array(n, sizeof(uint32));
	walk_enter(walk, 0);
	while (walk->npath > 0)
	{
		CHECK_FOR_INTERRUPTS();
		walk_step(walk, walk->path[walk->npath - 1]);
	}
	walk->graph->component[walk->graph->ncomponents] = walk->nnumbers;
	pfree(walk->low);
	pfree(walk->next);
	pfree(walk->path);
	pfree(walk->open);
}

/* Copies a state and its edges to where they belong. */
static void
graph_state(GraphWalk *walk, uint32 old, uint64 *at)
{
	MarkovGraph *graph = walk->graph;
	const MarkovState *state = &walk->chain->states[old];
	uint32 new = walk->number[old];
	double end = (double) (state->conversions + state->nulls);
	double leaving = 0.0;
	double self = 0.0;

	graph->first[new] = *at;
	for (uint64 i = walk->first[old]; i < walk->first[old + 1]; i++)
	{
		const MarkovEdge *edge = &walk->chain->edges[walk->edges[i]];

		if (edge->weight == 0)
			continue;
		if (edge->to == old)
		{
			self = (double) edge->weight;
			continue;
		}
		graph->target[*at] = walk->number[edge->to];
		graph->weight[(*at)++] = (double) edge->weight;
		leaving += (double) edge->weight;
	}
	graph->leaving[new] = leaving + end;
	graph->ending[new] = end;
	graph->total[new] = leaving + end + self;
	graph->conversions[new] = (double) state->conversions;
	graph->value[new] = state->value;
	graph->channel[new] = state->channel;
}

/* Makes the graph of a chain. */
MarkovGraph *
markov_graph_create(const MarkovChain *chain)
{
	MarkovGraph *graph = palloc0(sizeof(MarkovGraph));
	GraphWalk walk = {.chain = chain, .graph = graph};
	uint32 *old = graph_array(chain->nstates, sizeof(uint32));
	uint64 at = 0;

	graph->component = graph_array(chain->nstates + (Size) 1, sizeof(uint32));
	walk_edges(&walk);
	walk_run(&walk);
	graph->nstates = walk.nnumbers;
	graph->start = walk.number[0];
	graph->first = graph_array(graph->nstates + (Size) 1, sizeof(uint64));
	graph->target = graph_array(chain->nedges, sizeof(uint32));
	graph->weight = graph_array(chain->nedges, sizeof(double));
	graph->leaving = graph_array(graph->nstates, sizeof(double));
	graph->ending = graph_array(graph->nstates, sizeof(double));
	graph->total = graph_array(graph->nstates, sizeof(double));
	graph->conversions = graph_array(graph->nstates, sizeof(double));
	graph->value = graph_array(graph->nstates, sizeof(double));
	graph->channel = graph_array(graph->nstates, sizeof(uint32));
	for (uint32 i = 0; i < chain->nstates; i++)
		if (walk.seen[i] == DONE)
			old[walk.number[i]] = i;
	for (uint32 i = 0; i < graph->nstates; i++)
		graph_state(&walk, old[i], &at);
	graph->first[graph->nstates] = at;
	pfree(walk.first);
	pfree(walk.edges);
	pfree(walk.seen);
	pfree(walk.number);
	pfree(old);
	return graph;
}
