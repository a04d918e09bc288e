/*
 * What promotions weigh together, at most, of which some exclude each other:
 * of a clique of these one can be had.
 */
#include "postgres.h"

#include "port/pg_bitutils.h"
#include "promo/promo.h"

/*
 * Returns the most that promotions of which none exclude each other weigh:
 * weights are taken off by cliques, of each of which one can be had. Uses up
 * the weights.
 */
static double
cover_cliques(const PromoCase *a, uint64 promotions, double *weights)
{
	double sum = 0;

	while (promotions != 0)
	{
		int bit = pg_rightmost_one_pos64(promotions);
		uint64 clique = UINT64CONST(1) << bit;
		uint64 others = a->conflicts[bit] & promotions;
		double least = weights[bit];

		while (others != 0)
		{
			int other = pg_rightmost_one_pos64(others);

			clique |= UINT64CONST(1) << other;
			others &= a->conflicts[other];
			least = Min(least, weights[other]);
		}
		sum += least;
		for (; clique != 0; clique &= clique - 1)
		{
			int one = pg_rightmost_one_pos64(clique);

			weights[one] -= least;
			if (weights[one] <= 0)
				promotions &= ~(UINT64CONST(1) << one);
		}
	}
	return sum;
}

/* Returns the sum of the count largest weights. */
static double
cover_heaviest(uint64 promotions, const double *weights, int count)
{
	double sum = 0;

	for (; promotions != 0 && count > 0; count--)
	{
		int heaviest = pg_rightmost_one_pos64(promotions);

		for (uint64 rest = promotions; rest != 0; rest &= rest - 1)
		{
			int bit = pg_rightmost_one_pos64(rest);

			if (weights[bit] > weights[heaviest])
				heaviest = bit;
		}
		sum += weights[heaviest];
		promotions &= ~(UINT64CONST(1) << heaviest);
	}
	return sum;
}

/* Returns the most that count promotions weigh that may be combined. */
double
promo_cover_weight(const PromoCase *a, uint64 promotions, double *weights,
				   int count)
{
	double most = -1;
	double cover;

	if (count < pg_popcount64(promotions))
		most = cover_heaviest(promotions, weights, count);
	cover = cover_cliques(a, promotions, weights);
	return most >= 0 ? Min(most, cover) : cover;
}

/* Returns the sum of the count largest of some amounts. */
static int64
cover_largest(int64 *amounts, int n, int count)
{
	int64 sum = 0;

	if (count >= n)
	{
		for (int i = 0; i < n; i++)
			sum += amounts[i];
		return sum;
	}
	for (int i = 0; i < count; i++)
	{
		int largest = i;
		int64 amount;

		for (int j = i + 1; j < n; j++)
			if (amounts[j] > amounts[largest])
				largest = j;
		amount = amounts[largest];
		amounts[largest] = amounts[i];
		amounts[i] = amount;
		sum += amount;
	}
	return sum;
}

/*
 * Returns what available promotions take alone, together at most: of those
 * that exclude each other the largest, and of these count.
 */
int64
promo_cover_alone(const PromoCase *a, const PromoBound *bound,
				  uint64 available, int count)
{
	uint64 cliques[PROMO_SEARCH_MAX];
	int64 largest[PROMO_SEARCH_MAX];
	int n = 0;

	for (uint64 rest = available; rest != 0; rest &= rest - 1)
	{
		int bit = pg_rightmost_one_pos64(rest);
		int i = (a->conflicts[bit] & available) != 0 ? 0 : n;

		while (i < n && (cliques[i] & ~a->conflicts[bit]) != 0)
			i++;
		if (i == n)
		{
			cliques[n] = 0;
			largest[n++] = 0;
		}
		cliques[i] |= UINT64CONST(1) << bit;
		largest[i] = Max(largest[i], bound->alone[bit]);
	}
	return cover_largest(largest, n, count);
}

/*
 * Returns the promotions that are expected to be left out: those that exclude
 * one of the best set, or one that takes more.
 */
uint64
promo_cover_out(const PromoCase *a, const PromoBound *bound, uint64 available)
{
	uint64 in = available & bound->best;
	uint64 out = 0;

	for (uint64 rest = in; rest != 0; rest &= rest - 1)
		out |= a->conflicts[pg_rightmost_one_pos64(rest)] & available & ~in;
	for (available &= ~(in | out); available != 0;)
	{
		int most = pg_rightmost_one_pos64(available);

		if ((a->conflicts[most] & available) == 0)
		{
			available &= available - 1;
			continue;
		}
		for (uint64 rest = available; rest != 0; rest &= rest - 1)
			if (bound->alone[pg_rightmost_one_pos64(rest)] >
				bound->alone[most])
				most = pg_rightmost_one_pos64(rest);
		available &= ~(UINT64CONST(1) << most);
		out |= a->conflicts[most] & available;
		available &= ~out;
	}
	return out;
}
