/*
 * Attribution by Markov chains in SQL: what conversions and value are lost
 * when a channel is removed, and what credit each gets for it.
 */
#include "attribution/markov.h"

#include "attribution/share.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

/* Tells whether effects can be shared by: none below 0, one above. */
static bool
effects_usable(const double *effects, uint32 n, double sign)
{
	bool any = false;

	for (uint32 i = 0; i < n; i++)
	{
		if (effects[i] * sign < 0.0)
			return false;
		any |= effects[i] != 0.0;
	}
	return any;
}

/*
 * Divides the value of paths with touches: by the effects on value when they
 * all have its sign, else by those on conversions.
 */
static int128
divide_value(int128 whole, const MarkovEffects *effects, int128 *parts,
			 uint32 n)
{
	const double *weights = effects->lost;

	memset(parts, 0, n * sizeof(int128));
	if (whole == 0)
		return 0;
	if (effects->valued &&
		effects_usable(effects->lost_value, n, whole > 0 ? 1.0 : -1.0))
		weights = effects->lost_value;
	else if (!effects_usable(weights, n, 1.0))
		return whole;
	share_divide(whole, weights, parts, n);
	return 0;
}

/* Divides the conversions of paths with touches. */
static int128
divide_conversions(int128 whole, const MarkovEffects *effects, int128 *parts,
				   uint32 n)
{
	memset(parts, 0, n * sizeof(int128));
	if (!effects_usable(effects->lost, n, 1.0))
		return whole;
	share_divide(whole, effects->lost, parts, n);
	return 0;
}

/* Puts out what no channel gets, if there is any. */
static void
put_rest(FunctionCallInfo fcinfo, int128 conversions, int128 value,
		 int decimals)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum values[4] = {0};
	bool nulls[4] = {true, true, false, false};

	if (conversions == 0 && value == 0)
		return;
	values[2] = share_numeric(conversions, SHARE_DECIMALS);
	values[3] = share_numeric(value, decimals);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* Puts out the channels. */
static void
put_channels(FunctionCallInfo fcinfo, const PathSetReader *reader,
			 const MarkovEffects *effects, const int128 *conversions,
			 const int128 *credits, int decimals)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	for (uint32 i = 0; i < reader->nchannels; i++)
	{
		Datum values[4];
		bool nulls[4] = {false};

		CHECK_FOR_INTERRUPTS();
		values[0] = PointerGetDatum(
			cstring_to_text_with_len(reader->names[i], reader->lengths[i]));
		values[1] = Float8GetDatum(
			effects->base > 0.0 ? effects->lost[i] / effects->base : 0.0);
		values[2] = share_numeric(conversions[i], SHARE_DECIMALS);
		values[3] = share_numeric(credits[i], decimals);
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
	}
}

/* Computes the effects of a chain of the paths of a set. */
static void
read_effects(PathSetReader *reader, int order, MarkovEffects *effects)
{
	Size size = mul_size(reader->nchannels + (Size) 1, sizeof(double));
	MarkovChain *chain = markov_chain_read(reader, order);

	effects->lost = palloc_extended(size, MCXT_ALLOC_HUGE);
	effects->lost_value = palloc_extended(size, MCXT_ALLOC_HUGE);
	markov_effects(chain, effects);
}

/* Computes and puts out the rows of attribution_markov(). */
static void
put_result(FunctionCallInfo fcinfo, PathSetReader *reader, int order,
		   int decimals)
{
	int128 unit = share_power(SHARE_DECIMALS);
	uint32 n = reader->nchannels;
	int128 *conversions = palloc(mul_size(n + (Size) 1, sizeof(int128)));
	int128 *credits = palloc(mul_size(n + (Size) 1, sizeof(int128)));
	PathSetTotals totals;
	MarkovEffects effects;
	int128 rest;
	int128 value_rest;

	path_set_totals(reader, &totals);
	read_effects(reader, order, &effects);
	decimals =
		share_fit(share_fit(decimals, totals.value), totals.empty_value);
	totals.value /= share_power(PATH_SET_SCALE - decimals);
	totals.empty_value /= share_power(PATH_SET_SCALE - decimals);
	rest = divide_conversions((totals.conversions - totals.empty_conversions) *
								  unit,
							  &effects, conversions, n);
	value_rest =
		divide_value(totals.value - totals.empty_value, &effects, credits, n);
	put_channels(fcinfo, reader, &effects, conversions, credits, decimals);
	put_rest(fcinfo, rest + totals.empty_conversions * unit,
			 value_rest + totals.empty_value, decimals);
}

PG_FUNCTION_INFO_V1(attribution_markov);

/* SQL: attribution_markov(paths path_set, "order" int, decimals int) */
Datum
attribution_markov(PG_FUNCTION_ARGS)
{
	int order = markov_order_argument(fcinfo, 1, "order");
	int decimals = share_decimals(fcinfo, 2);
	PathSetReader reader;

	SetSingleFuncCall(fcinfo, 0);
	if (path_set_argument(fcinfo, 0, &reader))
		put_result(fcinfo, &reader, order, decimals);
	return (Datum) 0;
}
