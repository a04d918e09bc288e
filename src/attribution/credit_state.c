/* The sums of an attribution_state. */
#include "attribution/credit_state.h"

#include "core/hash.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define STATE_MAGIC 0x41545253
#define STATE_FIRST_ROOM 32

/* One conversion is so many units. */
#define STATE_UNIT INT64CONST(1000000000000000000)

/* 10^0 to 10^STATE_SCALE */
static const int64 state_pow10[STATE_SCALE + 1] = {1,
												   10,
												   100,
												   1000,
												   10000,
												   100000,
												   1000000,
												   10000000,
												   100000000,
												   1000000000,
												   INT64CONST(10000000000),
												   INT64CONST(100000000000),
												   INT64CONST(1000000000000)};

/* Raises the error for a sum that does not fit. */
static void
state_fail_range(void)
{
	ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					errmsg("credit of a channel out of range")));
}

/* Adds a number to a sum. */
static inline void
sum_add(int128 *sum, int128 number)
{
	if (unlikely(__builtin_add_overflow(*sum, number, sum)))
		state_fail_range();
}

/* Adds a product to a sum. */
static inline void
sum_add_product(int128 *sum, int64 a, int64 b)
{
	sum_add(sum, (int128) a * b);
}

/* Makes room for channels and their slots. */
static void
state_grow(AttributionState *state)
{
	MemoryContext context = state->hdr.eoh_context;
	uint32 room = state->room * 2;
	Size sums = mul_size(mul_size(room, state->nmodels), sizeof(StateSum));
	uint32 mask = room * 2 - 1;

	if (state->nchannels > STATE_CHANNEL_MAX || sums > MaxAllocHugeSize)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("there are more than %d channels",
							   STATE_CHANNEL_MAX)));
	state->channels =
		repalloc_huge(state->channels, mul_size(room, sizeof(StateChannel)));
	state->sums = repalloc_huge(state->sums, sums);
	pfree(state->slots);
	state->slots = MemoryContextAllocExtended(
		context, mul_size((Size) mask + 1, sizeof(uint32)),
		MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	state->room = room;
	state->nslots = mask + 1;
	for (uint32 i = 1; i < state->nchannels; i++)
	{
		uint32 slot = state->channels[i].hash & mask;

		while (state->slots[slot] != 0)
			slot = (slot + 1) & mask;
		state->slots[slot] = i;
	}
}

/* Makes a state without channels in a context of its own below parent. */
AttributionState *
credit_state_create(MemoryContext parent, int nmodels, int decimals)
{
	MemoryContext context = AllocSetContextCreate(
		parent, "iaros attribution_state", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	AttributionState *state = palloc0(sizeof(AttributionState));

	state->magic = STATE_MAGIC;
	state->decimals = decimals;
	state->nmodels = nmodels;
	state->models = palloc0_array(CreditModel, Max(nmodels, 1));
	state->room = STATE_FIRST_ROOM;
	state->channels = palloc_array(StateChannel, state->room);
	state->sums =
		palloc_array(StateSum, mul_size(state->room, Max(nmodels, 1)));
	state->nslots = state->room * 2;
	state->slots = palloc0_array(uint32, state->nslots);
	state->channels[0] = (StateChannel){NULL, 0, 0};
	memset(state->sums, 0, nmodels * sizeof(StateSum));
	state->nchannels = 1;
	MemoryContextSwitchTo(old);
	/* The header is filled in by credit_agg.c, which has the methods. */
	state->hdr.eoh_context = context;
	return state;
}

/* Returns the number of a channel, which is new or known. */
uint32
credit_state_channel(AttributionState *state, const char *name, int length)
{
	uint32 hash = (uint32) (core_hash_bytes(core_salt(), name, length) >> 32);
	uint32 mask = state->nslots - 1;
	uint32 slot = hash & mask;
	StateChannel *channel;
	char *copy;

	for (; state->slots[slot] != 0; slot = (slot + 1) & mask)
	{
		channel = &state->channels[state->slots[slot]];
		if (channel->hash == hash && channel->length == length &&
			memcmp(channel->name, name, length) == 0)
			return state->slots[slot];
	}
	if (state->nchannels == state->room)
	{
		state_grow(state);
		return credit_state_channel(state, name, length);
	}
	copy = MemoryContextAlloc(state->hdr.eoh_context, length);
	memcpy(copy, name, length);
	state->channels[state->nchannels] = (StateChannel){copy, length, hash};
	memset(&state->sums[(Size) state->nchannels * state->nmodels], 0,
		   state->nmodels * sizeof(StateSum));
	state->slots[slot] = state->nchannels;
	return state->nchannels++;
}

/* Finds the channels of the labels of a path. */
static void
state_number(AttributionState *state, const PathReader *reader)
{
	if (reader->nlabels > state->nnumbers)
	{
		MemoryContext old = MemoryContextSwitchTo(state->hdr.eoh_context);

		if (state->nnumbers > 0)
		{
			pfree(state->numbers);
			pfree(state->direct);
		}
		state->nnumbers = Max(reader->nlabels, 64);
		state->numbers = palloc_array(uint32, state->nnumbers);
		state->direct = palloc_array(bool, state->nnumbers);
		MemoryContextSwitchTo(old);
	}
	for (uint32 i = 0; i < reader->nlabels; i++)
	{
		const PathLabel *label = &reader->labels[i];

		state->numbers[i] =
			credit_state_channel(state, label->channel, label->channel_length);
		state->direct[i] = credit_direct(label);
	}
}

/* Returns the sums of a model and channel. */
static inline StateSum *
state_sum(AttributionState *state, uint32 channel, int model)
{
	return &state->sums[(Size) channel * state->nmodels + model];
}

/* Adds conversions that one channel gets alone. */
static void
state_add_whole(AttributionState *state, uint32 channel, int model,
				int64 conversions, int128 credit)
{
	StateSum *sum = state_sum(state, channel, model);

	sum_add(&sum->credit, credit);
	sum_add_product(&sum->conversions, conversions, STATE_UNIT);
}

/* Adds conversions whose shares were made. */
static void
state_add_shares(AttributionState *state, int model, int64 conversions,
				 int64 amount, int64 unit)
{
	CreditPath *path = &state->path;
	int64 left = STATE_UNIT;
	uint32 last = path->n - 1;

	if (amount != 0)
	{
		credit_divide(path, amount);
		for (uint32 i = 0; i < path->n; i++)
			sum_add_product(
				&state_sum(state, state->numbers[path->label[i]], model)
					 ->credit,
				path->part[i], unit);
	}
	while (path->share[last] == 0)
		last--;
	for (uint32 i = 0; i <= last; i++)
	{
		int64 part = (int64) (path->share[i] * STATE_UNIT);

		/* The last touch gets what rounding leaves, some 10^-16. */
		if (i == last)
			part = left;
		left -= part;
		sum_add_product(
			&state_sum(state, state->numbers[path->label[i]], model)
				 ->conversions,
			part, conversions);
	}
}

/* Adds a conversion, or several of the same path. */
void
credit_state_add(AttributionState *state, const struct varlena *path,
				 int64 conversions, int64 amount, int scale)
{
	int64 unit = state_pow10[STATE_SCALE - scale];
	int128 credit = (int128) amount * unit;
	PathReader reader;

	state->path.n = 0;
	if (path != NULL)
	{
		path_read(&reader, path);
		state_number(state, &reader);
		credit_path_read(&state->path, &reader, state->hdr.eoh_context);
		path_read_end(&reader);
	}
	for (int m = 0; m < state->nmodels; m++)
	{
		int64 only = -1;

		CHECK_FOR_INTERRUPTS();
		if (state->path.n == 0)
		{
			state_add_whole(state, 0, m, conversions, credit);
			continue;
		}
		only = credit_share(&state->models[m], &state->path, state->direct);
		if (only >= 0)
			state_add_whole(state, state->numbers[state->path.label[only]], m,
							conversions, credit);
		else
			state_add_shares(state, m, conversions, amount, unit);
	}
}

/* Tells whether two states are of the same models. */
bool
credit_state_same_models(const AttributionState *a, const AttributionState *b)
{
	if (a->nmodels != b->nmodels || a->decimals != b->decimals)
		return false;
	for (int i = 0; i < a->nmodels; i++)
		if (strcmp(a->models[i].name, b->models[i].name) != 0)
			return false;
	return true;
}

/* Adds the sums of another state. */
void
credit_state_merge(AttributionState *state, const AttributionState *from)
{
	if (!credit_state_same_models(state, from))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("attribution_state values of different models cannot "
						"be merged"),
				 errhint("Give the same models and decimals, in the same "
						 "order.")));
	for (uint32 i = 0; i < from->nchannels; i++)
	{
		const StateChannel *channel = &from->channels[i];
		uint32 number = i == 0 ? 0
							   : credit_state_channel(state, channel->name,
													  channel->length);

		CHECK_FOR_INTERRUPTS();
		for (int m = 0; m < state->nmodels; m++)
		{
			const StateSum *add = &from->sums[(Size) i * from->nmodels + m];
			StateSum *sum = state_sum(state, number, m);

			sum_add(&sum->credit, add->credit);
			sum_add(&sum->conversions, add->conversions);
		}
	}
}
