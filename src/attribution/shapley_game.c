/*
 * Games of channels: the coalitions that paths show, and Shapley values over
 * all coalitions, or over a sample of the orders in which channels may join.
 */
#include "attribution/shapley.h"

#include <math.h>

#include "core/core.h"
#include "core/hash.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define GAME_BITS_MIN 6
#define GAME_BITS_MAX 31
#define GAME_SIZE_MIN 64

#define GAME_FACTOR UINT64CONST(0x9E3779B97F4A7C15)

/* Probability that an error bound of sampled values does not hold. */
#define SAMPLE_DOUBT 0.05

/* A marginal rate is between -1 and 1. */
#define SAMPLE_RANGE 2.0

/* Makes a game without coalitions. */
ShapleyGame *
shapley_game_create(uint32 nchannels)
{
	ShapleyGame *game = palloc0(sizeof(ShapleyGame));

	game->nchannels = nchannels;
	game->stamp =
		palloc_extended(mul_size(nchannels + (Size) 1, sizeof(uint32)),
						MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	game->members_size = game->coalitions_size = GAME_SIZE_MIN;
	game->members = palloc(GAME_SIZE_MIN * sizeof(uint32));
	game->coalitions = palloc(GAME_SIZE_MIN * sizeof(ShapleyCoalition));
	game->bits = GAME_BITS_MIN;
	game->slots = palloc0(sizeof(uint32) << GAME_BITS_MIN);
	game->salt = core_salt();
	return game;
}

#define ST_SORT sort_channels
#define ST_ELEMENT_TYPE uint32
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Hashes a coalition; the salt keeps it from being chosen for one slot. */
static uint32
game_hash(const ShapleyGame *game, const uint32 *members, uint32 n)
{
	uint64 hash = game->salt;

	for (uint32 i = 0; i < n; i++)
	{
		uint128 product = (uint128) (hash ^ members[i]) * (game->salt | 1);

		hash = ((uint64) product ^ (uint64) (product >> 64)) + GAME_FACTOR;
	}
	return (uint32) (hash * GAME_FACTOR >> 32);
}

/* Reads the distinct channels of a path, in order, behind the members. */
static uint32
game_read(ShapleyGame *game, const PathSetPath *path)
{
	const unsigned char *at = path->touches;
	uint32 *found;
	uint32 n = 0;

	while (game->nmembers + (path->end - at) > game->members_size)
	{
		game->members_size = mul_size(game->members_size, 2);
		game->members = repalloc_huge(
			game->members, mul_size(game->members_size, sizeof(uint32)));
	}
	found = game->members + game->nmembers;
	game->clock++;
	while (at < path->end)
	{
		uint32 channel = path_set_touch(&at);

		if (game->stamp[channel] == game->clock)
			continue;
		game->stamp[channel] = game->clock;
		found[n++] = channel;
	}
	sort_channels(found, n);
	return n;
}

/* Doubles the slots. */
static void
game_grow(ShapleyGame *game)
{
	uint32 mask;

	if (game->bits == GAME_BITS_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("there are too many coalitions of channels")));
	pfree(game->slots);
	game->slots = palloc_extended(sizeof(uint32) << ++game->bits,
								  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	mask = (UINT64CONST(1) << game->bits) - 1;
	for (uint32 i = 0; i < game->ncoalitions; i++)
	{
		const ShapleyCoalition *coalition = &game->coalitions[i];
		uint32 at =
			game_hash(game, game->members + coalition->first, coalition->n) &
			mask;

		while (game->slots[at] != 0)
			at = (at + 1) & mask;
		game->slots[at] = i + 1;
	}
}

/* Adds a coalition whose channels are behind the members. */
static uint32
game_add(ShapleyGame *game, uint32 n)
{
	if (game->ncoalitions == game->coalitions_size)
	{
		game->coalitions_size *= 2;
		game->coalitions = repalloc_huge(
			game->coalitions,
			mul_size(game->coalitions_size, sizeof(ShapleyCoalition)));
	}
	game->coalitions[game->ncoalitions] =
		(ShapleyCoalition){.first = game->nmembers, .n = n};
	game->nmembers += n;
	return game->ncoalitions++;
}

/* Returns the coalition of the channels of a path, which may be new. */
uint32
shapley_game_path(ShapleyGame *game, const PathSetPath *path)
{
	uint32 n = game_read(game, path);
	const uint32 *found = game->members + game->nmembers;
	uint32 mask;
	uint32 at;

	if (game->ncoalitions >= (UINT64CONST(1) << game->bits) / 2)
		game_grow(game);
	mask = (UINT64CONST(1) << game->bits) - 1;
	at = game_hash(game, found, n) & mask;
	for (; game->slots[at] != 0; at = (at + 1) & mask)
	{
		const ShapleyCoalition *known = &game->coalitions[game->slots[at] - 1];

		if (known->n == n && memcmp(game->members + known->first, found,
									n * sizeof(uint32)) == 0)
			return game->slots[at] - 1;
	}
	game->slots[at] = game->ncoalitions + 1;
	return game_add(game, n);
}

/*
 * Computes the Shapley values of a game: worth has an element for each
 * coalition, whose bits are its players. Of a coalition of size s without a
 * player, what the player adds counts s! (n - s - 1)! / n!.
 */
void
shapley_values_exact(int n, const double *worth, double *values)
{
	uint32 all = (UINT32_C(1) << n) - 1;
	double weights[SHAPLEY_EXACT_MAX + 1];
	double weight = 1.0 / Max(n, 1);

	for (int s = 0; s < n; s++)
	{
		weights[s] = weight;
		weight *= (s + 1.0) / Max(n - s - 1, 1);
	}
	for (int i = 0; i < n; i++)
	{
		uint32 bit = UINT32_C(1) << i;
		double sum = 0.0;

		CHECK_FOR_INTERRUPTS();
		for (uint32 set = 0; set <= all; set++)
			if (!(set & bit))
				sum += weights[__builtin_popcount(set)] *
					   (worth[set | bit] - worth[set]);
		values[i] = sum;
	}
}

/* Sums up, for each coalition, the numbers of all that are in it. */
static void
sum_subsets(int n, double *numbers)
{
	for (int i = 0; i < n; i++)
	{
		uint32 bit = UINT32_C(1) << i;

		CHECK_FOR_INTERRUPTS();
		for (uint32 set = 0; set < (UINT32_C(1) << n); set++)
			if (set & bit)
				numbers[set] += numbers[set ^ bit];
	}
}

/* Computes the Shapley values of conversion rates, over all coalitions. */
void
shapley_rate_exact(const ShapleyGame *game, double *values)
{
	int n = (int) game->nchannels;
	Size size = sizeof(double) << n;
	double *worth = palloc0(size);
	double *paths = palloc0(size);

	for (uint32 i = 0; i < game->ncoalitions; i++)
	{
		const ShapleyCoalition *coalition = &game->coalitions[i];
		uint32 set = 0;

		for (uint32 j = 0; j < coalition->n; j++)
			set |= UINT32_C(1) << game->members[coalition->first + j];
		worth[set] = (double) coalition->conversions;
		paths[set] =
			(double) coalition->conversions + (double) coalition->nulls;
	}
	sum_subsets(n, worth);
	sum_subsets(n, paths);
	for (uint32 set = 0; set < (UINT32_C(1) << n); set++)
		worth[set] = paths[set] > 0.0 ? worth[set] / paths[set] : 0.0;
	shapley_values_exact(n, worth, values);
	pfree(worth);
	pfree(paths);
}

/* Puts the channels in an order drawn at random (Fisher, Yates). */
static void
sample_order(const ShapleyGame *game, int64 sample, int64 seed, uint32 *order,
			 uint32 *position)
{
	int64 own = (int64) core_chance_word(sample, seed);

	for (uint32 i = 0; i < game->nchannels; i++)
	{
		uint64 word = core_chance_word(i, own);
		uint32 j = (uint32) (((uint128) word * (i + 1)) >> 64);

		order[i] = order[j];
		order[j] = i;
	}
	for (uint32 i = 0; i < game->nchannels; i++)
		position[order[i]] = i;
}

/* Counts at each place of an order the coalitions that it completes. */
static void
sample_count(const ShapleyGame *game, const uint32 *position,
			 double *conversions, double *paths)
{
	memset(conversions, 0, game->nchannels * sizeof(double));
	memset(paths, 0, game->nchannels * sizeof(double));
	for (uint32 i = 0; i < game->ncoalitions; i++)
	{
		const ShapleyCoalition *coalition = &game->coalitions[i];
		uint32 last = 0;

		for (uint32 j = 0; j < coalition->n; j++)
			last = Max(last, position[game->members[coalition->first + j]]);
		conversions[last] += (double) coalition->conversions;
		paths[last] +=
			(double) coalition->conversions + (double) coalition->nulls;
	}
}

/*
 * Turns sums and sums of squares into means and error bounds, each of which
 * holds with 95 %: the empirical Bernstein bound (A. Maurer, M. Pontil,
 * Empirical Bernstein Bounds and Sample-Variance Penalization, COLT 2009),
 * for both sides.
 */
static void
sample_finish(uint32 n, int samples, double *values, double *bounds)
{
	double log_term = core_log(4.0 / SAMPLE_DOUBT);

	for (uint32 i = 0; i < n; i++)
	{
		double mean = values[i] / samples;
		double variance =
			Max(bounds[i] - samples * mean * mean, 0.0) / (samples - 1.0);

		values[i] = mean;
		bounds[i] = sqrt(2.0 * variance * log_term / samples) +
					SAMPLE_RANGE * 7.0 * log_term / (3.0 * (samples - 1.0));
	}
}

/* Estimates the Shapley values of conversion rates by orders at random. */
void
shapley_rate_sampled(const ShapleyGame *game, int samples, int64 seed,
					 double *values, double *bounds)
{
	uint32 n = game->nchannels;
	Size size = mul_size(n + (Size) 1, sizeof(double));
	uint32 *order = palloc_extended(size, MCXT_ALLOC_HUGE);
	uint32 *position = palloc_extended(size, MCXT_ALLOC_HUGE);
	double *conversions = palloc_extended(size, MCXT_ALLOC_HUGE);
	double *paths = palloc_extended(size, MCXT_ALLOC_HUGE);

	memset(values, 0, size);
	memset(bounds, 0, size);
	for (int sample = 0; sample < samples; sample++)
	{
		double converted = 0.0;
		double all = 0.0;
		double before = 0.0;

		CHECK_FOR_INTERRUPTS();
		sample_order(game, sample, seed, order, position);
		sample_count(game, position, conversions, paths);
		for (uint32 i = 0; i < n; i++)
		{
			double rate;
			double added;

			converted += conversions[i];
			all += paths[i];
			rate = all > 0.0 ? converted / all : 0.0;
			added = rate - before;
			before = rate;
			values[order[i]] += added;
			bounds[order[i]] += added * added;
		}
	}
	sample_finish(n, samples, values, bounds);
	pfree(order);
	pfree(position);
	pfree(conversions);
	pfree(paths);
}
