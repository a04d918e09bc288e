/*
 * The bytes of an attribution_state, the same on every machine, which are
 * also its binary form:
 *
 *   1 byte    version
 *   1 byte    decimals
 *   number    models; for each a number of bytes, and its text
 *   number    channels, without that for no touch
 *   for each channel, ascending byte by byte, no touch first:
 *     but for no touch, number of bytes, and its name
 *     for each model two sums: credit and conversions, each a sign-folded
 *     number of up to 19 bytes with 7 bits each
 *
 * Models are in the order they were given in; a channel has some sum that is
 * not 0, or was in a path.
 */
#include "attribution/credit_state.h"

#include "core/wire.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define WIRE_VERSION 1

/* Longest text of a model in its usual form. */
#define WIRE_MODEL_MAX 10000

#define ST_SORT wire_sort_channels
#define ST_ELEMENT_TYPE uint32
#define ST_COMPARE_ARG_TYPE const StateChannel
#define ST_COMPARE(a, b, channels)                                            \
	wire_channel_cmp(&channels[*(a)], &channels[*(b)])
#define ST_SCOPE static
#define ST_DEFINE

/* Compares the names of two channels byte by byte. */
static inline int
wire_channel_cmp(const StateChannel *a, const StateChannel *b)
{
	int result = memcmp(a->name, b->name, Min(a->length, b->length));

	return result != 0 ? result : a->length - b->length;
}

#include "lib/sort_template.h"

/* Reads a signed number of 128 bits. */
static bool
wire_read_sum(const unsigned char **at, const unsigned char *end, int128 *sum)
{
	uint128 folded;

	if (!core_wire_read_wide(at, end, &folded))
		return false;
	*sum = core_wire_unfold_wide(folded);
	return true;
}

/* Returns how many bytes a state takes at most. */
static Size
wire_bound(const AttributionState *state)
{
	Size size = VARHDRSZ + 2 + 2 * CORE_WIRE_MAX;

	for (int i = 0; i < state->nmodels; i++)
		size = add_size(size, CORE_WIRE_MAX + strlen(state->models[i].name));
	for (uint32 i = 0; i < state->nchannels; i++)
		size = add_size(size, CORE_WIRE_MAX + state->channels[i].length);
	return add_size(size, mul_size(mul_size(state->nchannels, state->nmodels),
								   2 * CORE_WIRE_WIDE_MAX));
}

/* Writes the sums of a channel. */
static unsigned char *
wire_put_sums(unsigned char *to, const AttributionState *state, uint32 channel)
{
	const StateSum *sums = &state->sums[(Size) channel * state->nmodels];

	for (int m = 0; m < state->nmodels; m++)
	{
		to = core_wire_put_wide(to, core_wire_fold_wide(sums[m].credit));
		to = core_wire_put_wide(to, core_wire_fold_wide(sums[m].conversions));
	}
	return to;
}

/* Writes a text. */
static unsigned char *
wire_put_text(unsigned char *to, const char *text, int length)
{
	to = core_wire_put(to, length);
	memcpy(to, text, length);
	return to + length;
}

/* Makes the flat form of a state, palloc'd. */
struct varlena *
credit_state_wire_write(const AttributionState *state)
{
	Size size = wire_bound(state);
	uint32 *order = palloc_array(uint32, state->nchannels);
	struct varlena *flat;
	unsigned char *to;

	if (size > MaxAllocSize)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("attribution_state is larger than 1 GB"),
						errhint("Attribute to fewer channels or by fewer "
								"models at a time.")));
	flat = palloc(size);
	to = (unsigned char *) VARDATA(flat);
	*to++ = WIRE_VERSION;
	*to++ = (unsigned char) state->decimals;
	to = core_wire_put(to, state->nmodels);
	for (int i = 0; i < state->nmodels; i++)
		to = wire_put_text(to, state->models[i].name,
						   strlen(state->models[i].name));
	to = core_wire_put(to, state->nchannels - 1);
	to = wire_put_sums(to, state, 0);
	for (uint32 i = 1; i < state->nchannels; i++)
		order[i] = i;
	wire_sort_channels(order + 1, state->nchannels - 1, state->channels);
	for (uint32 i = 1; i < state->nchannels; i++)
	{
		const StateChannel *channel = &state->channels[order[i]];

		CHECK_FOR_INTERRUPTS();
		to = wire_put_text(to, channel->name, channel->length);
		to = wire_put_sums(to, state, order[i]);
	}
	pfree(order);
	SET_VARSIZE(flat, to - (unsigned char *) flat);
	return flat;
}

/* Raises the error for bytes that are no state. */
static void
pg_attribute_noreturn() wire_fail(const char *detail)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
					errmsg("invalid bytes for type attribution_state"),
					errdetail("What is wrong: %s.", detail)));
}

/* Reads a text of a length within bounds. */
static const char *
wire_read_text(const unsigned char **at, const unsigned char *end,
			   uint64 longest, int *length)
{
	const char *text;
	uint64 size;

	if (!core_wire_read(at, end, &size) || size == 0 || size > longest ||
		size > end - *at)
		wire_fail("a text is too long");
	text = (const char *) *at;
	if (memchr(text, '\0', size) != NULL ||
		!pg_verify_mbstr(GetDatabaseEncoding(), text, (int) size, true))
		wire_fail("a text is not valid");
	*at += size;
	*length = (int) size;
	return text;
}

/* Reads the models. */
static void
wire_read_models(AttributionState *state, const unsigned char **at,
				 const unsigned char *end)
{
	MemoryContext old = MemoryContextSwitchTo(state->hdr.eoh_context);

	for (int i = 0; i < state->nmodels; i++)
	{
		int length;
		const char *text = wire_read_text(at, end, WIRE_MODEL_MAX, &length);

		credit_parse(text, length, &state->models[i]);
		if (strlen(state->models[i].name) != length ||
			memcmp(state->models[i].name, text, length) != 0)
			wire_fail("a model is not in its usual form");
	}
	MemoryContextSwitchTo(old);
}

/* Reads the sums of a channel. */
static void
wire_read_sums(AttributionState *state, uint32 channel,
			   const unsigned char **at, const unsigned char *end)
{
	StateSum *sums = &state->sums[(Size) channel * state->nmodels];

	for (int m = 0; m < state->nmodels; m++)
		if (!wire_read_sum(at, end, &sums[m].credit) ||
			!wire_read_sum(at, end, &sums[m].conversions))
			wire_fail("a sum is not valid");
}

/* Reads the channels. */
static void
wire_read_channels(AttributionState *state, const unsigned char **at,
				   const unsigned char *end, uint64 n)
{
	StateChannel last = {"", 0, 0};

	wire_read_sums(state, 0, at, end);
	for (uint64 i = 0; i < n; i++)
	{
		StateChannel next = {0};

		CHECK_FOR_INTERRUPTS();
		next.name = wire_read_text(at, end, PATH_NAME_MAX, &next.length);
		if (wire_channel_cmp(&last, &next) >= 0)
			wire_fail("channels are not in order");
		wire_read_sums(state,
					   credit_state_channel(state, next.name, next.length), at,
					   end);
		last = next;
	}
	if (*at != end)
		wire_fail("there are bytes behind it");
}

/* Reads a state, of which every byte is checked, below parent. */
AttributionState *
credit_state_wire_read(const struct varlena *flat, MemoryContext parent)
{
	const unsigned char *at = (const unsigned char *) VARDATA_ANY(flat);
	const unsigned char *end = at + VARSIZE_ANY_EXHDR(flat);
	AttributionState *state;
	uint64 nmodels;
	uint64 nchannels;
	int decimals;

	if (end - at < 4 || at[0] != WIRE_VERSION)
		wire_fail("its version is not known");
	decimals = at[1];
	at += 2;
	if (decimals > STATE_SCALE || !core_wire_read(&at, end, &nmodels) ||
		nmodels == 0 || nmodels > STATE_MODEL_MAX)
		wire_fail("its head is not valid");
	state = credit_state_create(parent, (int) nmodels, decimals);
	wire_read_models(state, &at, end);
	if (!core_wire_read(&at, end, &nchannels) || nchannels > end - at)
		wire_fail("its number of channels is not valid");
	wire_read_channels(state, &at, end, nchannels);
	return state;
}
