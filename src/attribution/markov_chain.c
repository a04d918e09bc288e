/* The chain that paths make: its states and the edges between them. */
#include "attribution/markov.h"

#include "common/int.h"
#include "core/hash.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define CHAIN_BITS_MIN 6
#define CHAIN_BITS_MAX 31
#define CHAIN_SIZE_MIN 32

/* Bits of a channel in a key. */
#define CHAIN_SHIFT 32

#define CHAIN_FACTOR UINT64CONST(0xBF58476D1CE4E5B9)

/*
 * Which slot is looked at first. A salt keeps anybody from choosing paths
 * that look for one slot; no result depends on it.
 */
static inline uint32
chain_hash(const MarkovChain *chain, uint64 a, uint64 b)
{
	uint128 product =
		(uint128) (a ^ chain->salt) * (b ^ UINT64CONST(0x9E3779B97F4A7C15));

	return (uint32) (((uint64) product ^ (uint64) (product >> 64)) *
						 CHAIN_FACTOR >>
					 32);
}

/* Allocates memory that may be more than 1 GB. */
static void *
chain_allocate(Size n, Size size, int flags)
{
	return palloc_extended(mul_size(n, size), MCXT_ALLOC_HUGE | flags);
}

/* Raises the error for a chain that is too large. */
static void
chain_error_size(void)
{
	ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					errmsg("the Markov chain has too many states"),
					errhint("Use a lower order or fewer channels.")));
}

/* Finds the state of a key, which may be new. */
static uint32
chain_state(MarkovChain *chain, MarkovKey key, uint32 channel)
{
	uint32 mask = (UINT64CONST(1) << chain->state_bits) - 1;
	uint32 at = chain_hash(chain, key.low, key.high) & mask;

	for (; chain->state_slots[at] != 0; at = (at + 1) & mask)
	{
		const MarkovState *state = &chain->states[chain->state_slots[at] - 1];

		if (state->key.low == key.low && state->key.high == key.high)
			return chain->state_slots[at] - 1;
	}
	if (chain->nstates == chain->states_size)
	{
		chain->states_size *= 2;
		chain->states = repalloc_huge(
			chain->states, mul_size(chain->states_size, sizeof(MarkovState)));
	}
	chain->states[chain->nstates] =
		(MarkovState){.key = key, .channel = channel};
	chain->state_slots[at] = ++chain->nstates;
	return chain->nstates - 1;
}

/* Makes room for one more state. */
static void
chain_grow_states(MarkovChain *chain)
{
	uint32 mask;

	if (chain->nstates < (UINT64CONST(1) << chain->state_bits) / 2)
		return;
	if (chain->state_bits == CHAIN_BITS_MAX)
		chain_error_size();
	pfree(chain->state_slots);
	chain->state_slots = chain_allocate((Size) 1 << ++chain->state_bits,
										sizeof(uint32), MCXT_ALLOC_ZERO);
	mask = (UINT64CONST(1) << chain->state_bits) - 1;
	for (uint32 i = 0; i < chain->nstates; i++)
	{
		MarkovKey key = chain->states[i].key;
		uint32 at = chain_hash(chain, key.low, key.high) & mask;

		while (chain->state_slots[at] != 0)
			at = (at + 1) & mask;
		chain->state_slots[at] = i + 1;
	}
}

/* Puts an edge into the first free slot. */
static void
chain_put_edge(MarkovSlot *slots, uint32 at, uint32 mask, uint64 key,
			   uint32 number)
{
	at &= mask;
	while (slots[at].number != 0)
		at = (at + 1) & mask;
	slots[at] = (MarkovSlot){key, number};
}

/* Makes room for one more edge. */
static void
chain_grow_edges(MarkovChain *chain)
{
	Size n = (Size) 1 << chain->edge_bits;
	MarkovSlot *slots;

	if (chain->nedges == chain->edges_size)
	{
		chain->edges_size *= 2;
		chain->edges = repalloc_huge(
			chain->edges, mul_size(chain->edges_size, sizeof(MarkovEdge)));
	}
	if (chain->nedges < n / 2)
		return;
	if (chain->edge_bits == CHAIN_BITS_MAX)
		chain_error_size();
	slots = chain_allocate((Size) 1 << ++chain->edge_bits, sizeof(MarkovSlot),
						   MCXT_ALLOC_ZERO);
	for (Size i = 0; i < n; i++)
		if (chain->edge_slots[i].number != 0)
			chain_put_edge(
				slots, chain_hash(chain, chain->edge_slots[i].key, 0),
				(UINT64CONST(1) << chain->edge_bits) - 1,
				chain->edge_slots[i].key, chain->edge_slots[i].number);
	pfree(chain->edge_slots);
	chain->edge_slots = slots;
}

/* Makes a chain of one state, the start. */
MarkovChain *
markov_chain_create(int order, uint32 nchannels)
{
	MarkovChain *chain = palloc0(sizeof(MarkovChain));

	chain->order = order;
	chain->nchannels = nchannels;
	chain->salt = core_salt();
	chain->state_bits = chain->edge_bits = CHAIN_BITS_MIN;
	chain->states_size = chain->edges_size = CHAIN_SIZE_MIN;
	chain->states = palloc(CHAIN_SIZE_MIN * sizeof(MarkovState));
	chain->edges = palloc(CHAIN_SIZE_MIN * sizeof(MarkovEdge));
	chain->state_slots = palloc0(sizeof(uint32) << CHAIN_BITS_MIN);
	chain->edge_slots = palloc0(sizeof(MarkovSlot) << CHAIN_BITS_MIN);
	chain_state(chain, (MarkovKey){0, 0}, MARKOV_NONE);
	return chain;
}

/* Steps a key on to the next channel, of which it keeps the last ones. */
static inline MarkovKey
chain_step(const MarkovChain *chain, MarkovKey key, uint32 channel)
{
	MarkovKey next = {.high =
						  (key.high << CHAIN_SHIFT) | (key.low >> CHAIN_SHIFT),
					  .low = (key.low << CHAIN_SHIFT) | (channel + 1)};

	if (chain->order < 4)
		next.high &= chain->order < 3 ? 0 : PG_UINT32_MAX;
	if (chain->order < 2)
		next.low &= chain->order < 1 ? 0 : PG_UINT32_MAX;
	return next;
}

/* Adds the edge of a channel that is new at its state. */
static uint32
chain_new_edge(MarkovChain *chain, uint32 from, MarkovKey next, uint32 channel)
{
	uint64 key = ((uint64) from << 32) | channel;
	uint32 to;

	chain_grow_states(chain);
	to = chain_state(chain, next, chain->order > 0 ? channel : MARKOV_NONE);
	chain_grow_edges(chain);
	chain->edges[chain->nedges] =
		(MarkovEdge){.from = from, .to = to, .channel = channel};
	chain->nedges++;
	chain_put_edge(chain->edge_slots, chain_hash(chain, key, 0),
				   (UINT64CONST(1) << chain->edge_bits) - 1, key,
				   chain->nedges);
	return chain->nedges - 1;
}

/*
 * Returns the edge by which a channel leaves a state, and steps the key,
 * which begins with zeros.
 */
uint32
markov_edge_add(MarkovChain *chain, uint32 from, MarkovKey *key,
				uint32 channel)
{
	uint64 wanted = ((uint64) from << 32) | channel;
	uint32 mask = (UINT64CONST(1) << chain->edge_bits) - 1;
	uint32 at = chain_hash(chain, wanted, 0) & mask;

	*key = chain_step(chain, *key, channel);
	for (; chain->edge_slots[at].number != 0; at = (at + 1) & mask)
		if (chain->edge_slots[at].key == wanted)
			return chain->edge_slots[at].number - 1;
	return chain_new_edge(chain, from, *key, channel);
}

/* Adds a path. */
void
markov_chain_add(MarkovChain *chain, const PathSetPath *path)
{
	const unsigned char *at = path->touches;
	int64 weight = path->conversions + path->nulls;
	MarkovKey key = {0, 0};
	uint32 state = 0;
	MarkovState *last;

	if (weight == 0)
		return;
	while (at < path->end)
	{
		uint32 number =
			markov_edge_add(chain, state, &key, path_set_touch(&at));
		MarkovEdge *edge = &chain->edges[number];

		if (pg_add_s64_overflow(edge->weight, weight, &edge->weight))
			path_set_error_count();
		state = edge->to;
	}
	last = &chain->states[state];
	last->conversions += path->conversions;
	last->nulls += path->nulls;
	last->value += (double) path->value;
}

/* Makes the chain of all paths of a set, then begins again. */
MarkovChain *
markov_chain_read(PathSetReader *reader, int order)
{
	MarkovChain *chain = markov_chain_create(order, reader->nchannels);
	PathSetPath path;

	while (path_set_next(reader, &path))
	{
		CHECK_FOR_INTERRUPTS();
		markov_chain_add(chain, &path);
	}
	path_set_rewind(reader);
	return chain;
}

/* Reads an argument that is an order. */
int
markov_order_argument(FunctionCallInfo fcinfo, int arg, const char *name)
{
	int order;

	if (PG_ARGISNULL(arg))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("%s must not be NULL", name)));
	order = PG_GETARG_INT32(arg);
	if (order < 1 || order > MARKOV_ORDER_MAX)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must be between 1 and %d, not \"%d\"", name,
							   MARKOV_ORDER_MAX, order)));
	return order;
}
