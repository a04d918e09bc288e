/*
 * Attribution by Shapley values in SQL. The worth of channels is the number
 * of conversions of paths with no other channels, whose values need no
 * coalitions: each path's conversions are divided equally among its channels
 * (J. C. Harsanyi, 1963: the dividend of a coalition). Or it is the rate of
 * conversion of these paths.
 */
#include "attribution/shapley.h"

#include <math.h>

#include "attribution/share.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#define SHAPLEY_COLUMNS 5
#define SHAPLEY_SAMPLES_MAX 10000000

/* Least part of gains and losses that their sum may be. */
#define SHAPLEY_RATE_LEAST 1e-6

/* Fractions are in units of 2^-SHAPLEY_BITS. */
#define SHAPLEY_BITS 60

/* What is asked for. */
typedef struct ShapleyCall
{
	bool rate;
	int samples;
	int64 seed;
	int decimals;
} ShapleyCall;

/* What comes out. */
typedef struct ShapleyResult
{
	double *share;
	int128 *conversions; /* SHARE_DECIMALS */
	int128 *credit;
	double *bound;
	int128 rest_conversions; /* of no channel */
	int128 rest_credit;
} ShapleyResult;

/* A sum of parts of integers, and of what is left of them. */
typedef struct ShapleyPart
{
	int128 whole;
	int128 fraction;
} ShapleyPart;

/* Adds 1 / n of a number; below 0 it is rounded down. */
static inline void
part_add(ShapleyPart *part, int128 number, int64 n)
{
	int128 quotient = number / n;
	int64 rest = (int64) (number % n);

	if (rest < 0)
	{
		quotient--;
		rest += n;
	}
	part->whole += quotient;
	part->fraction += ((int128) rest << SHAPLEY_BITS) / n;
}

/*
 * Rounds sums of parts to units of a power of ten, so that they add up to a
 * whole. A unit is divisor of the parts, or a factor of them is one.
 */
static void
parts_round(const ShapleyPart *parts, uint32 n, int128 whole, int128 factor,
			int128 divisor, int128 *results)
{
	uint64 *remainders = palloc_extended(
		mul_size(n + (Size) 1, sizeof(uint64)), MCXT_ALLOC_HUGE);
	int128 one = (int128) 1 << SHAPLEY_BITS;

	for (uint32 i = 0; i < n; i++)
	{
		int128 fraction = (parts[i].fraction & (one - 1)) * factor;
		int128 sum = parts[i].whole + (parts[i].fraction >> SHAPLEY_BITS);
		int128 rest;

		sum = sum * factor + (fraction >> SHAPLEY_BITS);
		rest = sum % divisor;
		if (rest < 0)
			rest += divisor;
		results[i] = (sum - rest) / divisor;
		remainders[i] = (uint64) ((rest << SHAPLEY_BITS) / divisor) +
						(uint64) ((fraction & (one - 1)) / divisor);
	}
	share_round(whole, results, remainders, n);
	pfree(remainders);
}

/* Divides conversions and value of each path equally among its channels. */
static void
divide_paths(PathSetReader *reader, ShapleyGame *game,
			 ShapleyPart *conversions, ShapleyPart *values)
{
	PathSetPath path;

	while (path_set_next(reader, &path))
	{
		uint32 number = shapley_game_path(game, &path);
		const ShapleyCoalition *coalition = &game->coalitions[number];
		const uint32 *members = game->members + coalition->first;

		CHECK_FOR_INTERRUPTS();
		for (uint32 i = 0; i < coalition->n; i++)
		{
			part_add(&conversions[members[i]], path.conversions, coalition->n);
			part_add(&values[members[i]], path.value, coalition->n);
		}
	}
	path_set_rewind(reader);
}

/* Computes the result for the worth conversions. */
static void
result_conversions(PathSetReader *reader, const PathSetTotals *totals,
				   const ShapleyCall *call, ShapleyResult *result)
{
	uint32 n = reader->nchannels;
	Size size = mul_size(n + (Size) 1, sizeof(ShapleyPart));
	ShapleyPart *conversions =
		palloc_extended(size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	ShapleyPart *values =
		palloc_extended(size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	int128 unit = share_power(PATH_SET_SCALE - call->decimals);
	int64 all = totals->conversions - totals->empty_conversions;

	divide_paths(reader, shapley_game_create(n), conversions, values);
	parts_round(conversions, n, all * share_power(SHARE_DECIMALS),
				share_power(SHARE_DECIMALS), 1, result->conversions);
	parts_round(values, n, totals->value / unit - totals->empty_value / unit,
				1, unit, result->credit);
	for (uint32 i = 0; i < n; i++)
		result->share[i] =
			all == 0
				? 0.0
				: ((double) conversions[i].whole +
				   ldexp((double) conversions[i].fraction, -SHAPLEY_BITS)) /
					  (double) all;
}

/* Counts how the paths of each coalition ended. */
static ShapleyGame *
game_read_set(PathSetReader *reader)
{
	ShapleyGame *game = shapley_game_create(reader->nchannels);
	PathSetPath path;

	while (path_set_next(reader, &path))
	{
		ShapleyCoalition *coalition;
		uint32 number;

		CHECK_FOR_INTERRUPTS();
		if (path.touches == path.end)
			continue;
		number = shapley_game_path(game, &path);
		coalition = &game->coalitions[number];
		coalition->conversions += path.conversions;
		coalition->nulls += path.nulls;
	}
	path_set_rewind(reader);
	return game;
}

/*
 * Raises an error when gains and losses cancel so far that nothing can be
 * divided by what is left.
 */
static void
result_check_rate(const double *share, uint32 n)
{
	double sum = 0.0;
	double size = 0.0;

	for (uint32 i = 0; i < n; i++)
	{
		sum += share[i];
		size += fabs(share[i]);
	}
	if (sum > size * SHAPLEY_RATE_LEAST)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("conversions are too rare to be divided by their rate"),
			 errdetail("What channels add to the rate of conversions and take "
					   "from it is more than a million times their sum."),
			 errhint("Use worth conversions.")));
}

/* Computes the result for the worth rate. */
static void
result_rate(PathSetReader *reader, const PathSetTotals *totals,
			const ShapleyCall *call, ShapleyResult *result)
{
	uint32 n = reader->nchannels;
	ShapleyGame *game = game_read_set(reader);
	int128 unit = share_power(PATH_SET_SCALE - call->decimals);
	int64 converted = totals->conversions - totals->empty_conversions;
	int64 paths = converted + totals->nulls - totals->empty_nulls;
	int128 whole = converted * share_power(SHARE_DECIMALS);
	int128 value = totals->value / unit - totals->empty_value / unit;

	if (converted == 0)
	{
		result->rest_credit += value;
		return;
	}
	if (n <= SHAPLEY_EXACT_MAX)
		shapley_rate_exact(game, result->share);
	else
		shapley_rate_sampled(game, call->samples, call->seed, result->share,
							 result->bound);
	result_check_rate(result->share, n);
	share_divide(whole, result->share, result->conversions, n);
	share_divide(value, result->share, result->credit, n);
	for (uint32 i = 0; i < n; i++)
	{
		result->share[i] *= (double) paths / (double) converted;
		result->bound[i] *= (double) paths;
	}
}

/* Makes a result of zeros. */
static void
result_create(uint32 n, ShapleyResult *result)
{
	Size size = n + (Size) 1;
	int flags = MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO;

	memset(result, 0, sizeof(*result));
	result->share = palloc_extended(mul_size(size, sizeof(double)), flags);
	result->bound = palloc_extended(mul_size(size, sizeof(double)), flags);
	result->conversions =
		palloc_extended(mul_size(size, sizeof(int128)), flags);
	result->credit = palloc_extended(mul_size(size, sizeof(int128)), flags);
}

/* Puts out the channels, and what none of them gets. */
static void
result_put(FunctionCallInfo fcinfo, const PathSetReader *reader,
		   const ShapleyResult *result, int decimals)
{
	ReturnSetInfo *info = (ReturnSetInfo *) fcinfo->resultinfo;
	bool nulls[SHAPLEY_COLUMNS] = {false};
	Datum values[SHAPLEY_COLUMNS];

	for (uint32 i = 0; i < reader->nchannels; i++)
	{
		CHECK_FOR_INTERRUPTS();
		values[0] = PointerGetDatum(
			cstring_to_text_with_len(reader->names[i], reader->lengths[i]));
		values[1] = Float8GetDatum(result->share[i]);
		values[2] = share_numeric(result->conversions[i], SHARE_DECIMALS);
		values[3] = share_numeric(result->credit[i], decimals);
		values[4] = Float8GetDatum(result->bound[i]);
		tuplestore_putvalues(info->setResult, info->setDesc, values, nulls);
	}
	if (result->rest_conversions == 0 && result->rest_credit == 0)
		return;
	nulls[0] = nulls[1] = nulls[4] = true;
	values[2] = share_numeric(result->rest_conversions, SHARE_DECIMALS);
	values[3] = share_numeric(result->rest_credit, decimals);
	tuplestore_putvalues(info->setResult, info->setDesc, values, nulls);
}

/* Computes and puts out the rows of attribution_shapley(). */
static void
put_result(FunctionCallInfo fcinfo, PathSetReader *reader, ShapleyCall *call)
{
	PathSetTotals totals;
	ShapleyResult result;

	path_set_totals(reader, &totals);
	call->decimals =
		share_fit(share_fit(call->decimals, totals.value), totals.empty_value);
	result_create(reader->nchannels, &result);
	result.rest_conversions =
		totals.empty_conversions * share_power(SHARE_DECIMALS);
	result.rest_credit =
		totals.empty_value / share_power(PATH_SET_SCALE - call->decimals);
	if (reader->nchannels > 0 && call->rate)
		result_rate(reader, &totals, call, &result);
	else if (reader->nchannels > 0)
		result_conversions(reader, &totals, call, &result);
	result_put(fcinfo, reader, &result, call->decimals);
}

/* Reads the worth that is asked for. */
static bool
call_rate(FunctionCallInfo fcinfo)
{
	char *worth;

	for (int arg = 1; arg <= 3; arg++)
		if (PG_ARGISNULL(arg))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("worth, samples and seed must not be NULL")));
	worth = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (strcmp(worth, "rate") == 0)
		return true;
	if (strcmp(worth, "conversions") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("there is no worth \"%s\"", worth),
						errhint("It is \"conversions\" or \"rate\".")));
	return false;
}

PG_FUNCTION_INFO_V1(attribution_shapley);

/*
 * SQL: attribution_shapley(paths path_set, worth text, samples int, seed
 * bigint, decimals int)
 */
Datum
attribution_shapley(PG_FUNCTION_ARGS)
{
	ShapleyCall call = {.rate = call_rate(fcinfo),
						.samples = PG_GETARG_INT32(2),
						.seed = PG_GETARG_INT64(3),
						.decimals = share_decimals(fcinfo, 4)};
	PathSetReader reader;

	if (call.samples < 2 || call.samples > SHAPLEY_SAMPLES_MAX)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("samples must be between 2 and %d, not \"%d\"",
							   SHAPLEY_SAMPLES_MAX, call.samples)));
	SetSingleFuncCall(fcinfo, 0);
	if (path_set_argument(fcinfo, 0, &reader))
		put_result(fcinfo, &reader, &call);
	return (Datum) 0;
}

/* Raises the error for a game that is none. */
static void
pg_attribute_noreturn() game_error(const char *detail)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("worth is no game"), errdetail("%s", detail)));
}

/* Checks the worths of a game and returns how many players it has. */
static int
game_players(ArrayType *array, int *nworths)
{
	const double *worth = (const double *) ARR_DATA_PTR(array);
	int players = 0;

	*nworths = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	if (ARR_NDIM(array) > 1 || *nworths < 1 ||
		*nworths > (1 << SHAPLEY_EXACT_MAX) ||
		(*nworths & (*nworths - 1)) != 0)
		game_error("It has one dimension and 2^n elements for n players, of "
				   "which there are at most 20.");
	if (array_contains_nulls(array))
		game_error("It has a NULL.");
	for (int i = 0; i < *nworths; i++)
		if (!isfinite(worth[i]))
			game_error("An element is not finite.");
	if (worth[0] != 0.0)
		game_error("The first element, the worth of no player, must be 0.");
	while ((1 << players) < *nworths)
		players++;
	return players;
}

PG_FUNCTION_INFO_V1(shapley_values);

/* SQL: shapley_values(worth float8[]) */
Datum
shapley_values(PG_FUNCTION_ARGS)
{
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(0);
	double values[SHAPLEY_EXACT_MAX];
	Datum datums[SHAPLEY_EXACT_MAX];
	int nworths;
	int n = game_players(array, &nworths);

	shapley_values_exact(n, (const double *) ARR_DATA_PTR(array), values);
	for (int i = 0; i < n; i++)
	{
		if (!isfinite(values[i]))
			ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
							errmsg("value out of range: overflow")));
		datums[i] = Float8GetDatum(values[i]);
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(datums, n, FLOAT8OID, sizeof(float8),
										  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}
