/*
 * Markov chains over the paths of a path_set. A state of a chain of order k
 * is the last k channels of a path, fewer at its beginning; the last state of
 * a path leads to conversion or to null. Paths that count neither conversions
 * nor nulls have no part in it.
 */
#ifndef IAROS_ATTRIBUTION_MARKOV_H
#define IAROS_ATTRIBUTION_MARKOV_H

#include "postgres.h"

#include "attribution/path_set.h"

#define MARKOV_ORDER_MAX 4

/* The channel of the state before the first touch. */
#define MARKOV_NONE PG_UINT32_MAX

/* The last channels, the latest in the lowest 32 bits of low; 0 is none. */
typedef struct MarkovKey
{
	uint64 high;
	uint64 low;
} MarkovKey;

typedef struct MarkovState
{
	MarkovKey key;
	uint32 channel; /* the last one */
	int64 conversions;
	int64 nulls;
	double value;
} MarkovState;

typedef struct MarkovEdge
{
	uint32 from;
	uint32 to;
	uint32 channel;
	int64 weight;
} MarkovEdge;

typedef struct MarkovSlot
{
	uint64 key;    /* of an edge: its state and channel */
	uint32 number; /* 1 + its number, 0 when free */
} MarkovSlot;

typedef struct MarkovChain
{
	int order;
	uint32 nchannels;
	MarkovState *states; /* the first is the start */
	uint32 nstates;
	uint32 states_size;
	uint32 *state_slots;
	int state_bits;
	MarkovEdge *edges;
	uint32 nedges;
	uint32 edges_size;
	MarkovSlot *edge_slots;
	int edge_bits;
	uint64 salt;
} MarkovChain;

/* What the channels of a chain do. */
typedef struct MarkovEffects
{
	bool valued;        /* there are values other than 0 */
	double base;        /* chance of a conversion */
	double value;       /* expected value of a path */
	double *lost;       /* of base, without each channel */
	double *lost_value; /* of value */
} MarkovEffects;

/* markov_chain.c */
extern MarkovChain *markov_chain_create(int order, uint32 nchannels);
extern uint32 markov_edge_add(MarkovChain *chain, uint32 from, MarkovKey *key,
							  uint32 channel);
extern void markov_chain_add(MarkovChain *chain, const PathSetPath *path);
extern MarkovChain *markov_chain_read(PathSetReader *reader, int order);
extern int markov_order_argument(FunctionCallInfo fcinfo, int arg,
								 const char *name);

/* markov_effect.c */
extern void markov_effects(const MarkovChain *chain, MarkovEffects *effects);

/* markov_first.c: order 1 by one inverse. */
#define MARKOV_FIRST_MAX 768
extern void markov_first_effects(const MarkovChain *chain,
								 MarkovEffects *effects);

/* markov_graph.c: the states in the order in which they are solved. */
typedef struct MarkovGraph
{
	uint32 nstates;
	uint32 start;
	uint64 *first;       /* edge of each state; one more */
	uint32 *target;      /* of each edge */
	double *weight;      /* of each edge */
	double *leaving;     /* weight of a state other than to itself */
	double *ending;      /* weight of a state to the end */
	double *conversions; /* weight of a state to conversion */
	double *total;       /* weight of a state */
	double *value;       /* that a state pays in all */
	uint32 *channel;     /* of a state */
	uint32 *component;   /* first state of each, and one more */
	uint32 ncomponents;
} MarkovGraph;

extern MarkovGraph *markov_graph_create(const MarkovChain *chain);

/* markov_solve.c */
#define MARKOV_LANES 8

/* Systems of equations that are solved side by side. */
typedef struct MarkovBlock
{
	const MarkovGraph *graph;
	double (*x)[MARKOV_LANES];
	const double *base;  /* of each state, NULL while they are sought */
	const double *value; /* the same */
	const double *steps; /* at least half of those to the end; the same */
	uint32 channel;      /* first that is removed */
	int nchannels;
	int lanes; /* of a channel: 1, or 2 with the value */
} MarkovBlock;

extern void markov_solve(MarkovBlock *block);

/* markov_dense.c: one component by elimination. */
#define MARKOV_DENSE_MAX 2048
extern void markov_dense(MarkovBlock *block, uint32 first, uint32 next);
extern void markov_row(const MarkovBlock *block, uint32 state, double *sum);
extern int markov_removed_lane(const MarkovBlock *block, uint32 state);

#endif /* IAROS_ATTRIBUTION_MARKOV_H */
