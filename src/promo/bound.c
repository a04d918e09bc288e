/*
 * How much promotions could still take off, at most. All bounds rest on one
 * property: what a promotion takes never grows when less is left (a band of
 * a tiered discount is found by initial amounts for this reason). So
 *
 * - the sum of what each takes now is a bound, and of promotions that exclude
 *   each other the largest is enough;
 * - taking all of them in turn is a bound as well, though some exclude each
 *   other, wherever taking one leaves less on every line. Rounding is left
 *   out there, and what it could change is added.
 */
#include "postgres.h"

#include <math.h>

#include "port/pg_bitutils.h"
#include "promo/promo.h"

/* Relative error of the sums of a bound, for each promotion. */
#define BOUND_ERROR 1e-15

/* Tells whether taking a promotion may leave more on some line. */
static bool
bound_is_loose(const Promotion *promotion)
{
	return promotion->order && promotion->discount.kind == PROMO_FIXED_PRICE;
}

/* Returns what a promotion that counts units could take of any free ones. */
static int64
bound_units(const PromoCase *a, const Promotion *promotion, const int64 *left,
			const int64 *used)
{
	const PromoDiscount *discount = &promotion->discount;
	double share = (double) discount->percent / PROMO_WHOLE;
	double dearest = 0;
	double sum = 0;
	double units = 0;
	double most;

	for (int i = 0; i < promotion->nlines; i++)
	{
		int at = promotion->lines[i];
		const PromoLine *line = &a->cart.lines[at];
		double free = line->quantity - used[at];
		double price = promotion->initial ? line->price
										  : (double) left[at] / line->quantity;

		if (free <= 0)
			continue;
		units += free;
		dearest = Max(dearest, price);
		sum += Min(free * price, left[at]);
	}
	most = discount->kind == PROMO_BUY_X_GET_Y
			   ? Min(discount->times, floor(units / discount->get)) *
					 discount->get
			   : discount->get;
	sum = Min(sum, most * dearest) * share;
	sum += 1 + promotion->nlines + sum * 1e-12;
	return discount->cap == PROMO_NONE ? (int64) sum
									   : Min((int64) sum, discount->cap);
}

/* Returns what a promotion takes off a line, by itself, if not rounded. */
static double
bound_line(const PromoCase *a, const Promotion *promotion, int i, double left)
{
	const PromoDiscount *discount = &promotion->discount;
	const PromoLine *line = &a->cart.lines[promotion->lines[i]];
	double share = (double) discount->percent / PROMO_WHOLE;

	switch (discount->kind)
	{
		case PROMO_PERCENTAGE:
			return promotion->initial && !promotion->order
					   ? Min(line->amount * share, left)
					   : left * share;
		case PROMO_FIXED_AMOUNT:
			return Min((double) discount->amount, left);
		case PROMO_FIXED_PRICE:
			return Max(left - (double) discount->amount * line->quantity, 0);
		case PROMO_PER_UNIT:
			return Min((double) discount->amount * line->quantity, left);
		default:
			return promotion->initial
					   ? Min((double) a->picked[i] * line->price * share, left)
					   : left * a->picked[i] / line->quantity * share;
	}
}

/* Returns what an order's promotion takes off; -1 when lines say it. */
static double
bound_order(const Promotion *promotion, double sum)
{
	const PromoDiscount *discount = &promotion->discount;

	if (!promotion->order)
		return -1;
	if (discount->kind == PROMO_FIXED_AMOUNT)
		return Min((double) discount->amount, sum);
	if (discount->kind == PROMO_PERCENTAGE && promotion->initial)
		return Min((double) promotion->spend * discount->percent / PROMO_WHOLE,
				   sum);
	return -1;
}

/* Returns how far rounding may be off, on all lines of a promotion. */
static double
bound_slack(const Promotion *promotion)
{
	int n = promotion->nlines;

	if (promotion->initial || promo_counts_units(promotion))
		return 1 + n;
	return n == 1 ? 0.5 : 0.5 + n / 4.0;
}

/* Takes a promotion without rounding; returns what it takes at most. */
static double
bound_take(PromoCase *a, const Promotion *promotion, double *left,
		   const int64 *used)
{
	const PromoDiscount *discount = &promotion->discount;
	double sum = 0;
	double whole = 0;
	double taken;

	if (promo_counts_units(promotion))
		(void) promo_pick(a, promotion, used, a->picked);
	for (int i = 0; i < promotion->nlines; i++)
	{
		sum += left[promotion->lines[i]];
		whole += bound_line(a, promotion, i, left[promotion->lines[i]]);
	}
	taken = bound_order(promotion, sum);
	if (taken >= 0)
		whole = sum;
	else
		taken = whole;
	if (discount->cap != PROMO_NONE)
		taken = Min(taken, (double) discount->cap);
	if (whole <= 0 || taken <= 0)
		return 0;
	for (int i = 0; i < promotion->nlines; i++)
	{
		double *at = &left[promotion->lines[i]];
		double part = whole == sum ? *at : bound_line(a, promotion, i, *at);

		*at = Max(*at - part * (taken / whole), 0);
	}
	return taken + bound_slack(promotion);
}

/* Returns what promotions take in turn, at most. */
static double
bound_in_turn(PromoCase *a, PromoBound *bound, const int64 *left,
			  const int64 *used, uint64 promotions)
{
	double result = 0;

	for (int i = 0; i < a->cart.nlines; i++)
		bound->left[i] = left[i];
	bound->work += a->cart.nlines;
	for (; promotions != 0; promotions &= promotions - 1)
	{
		const Promotion *promotion =
			a->ordered[pg_rightmost_one_pos64(promotions)];

		result += bound_take(a, promotion, bound->left, used);
		bound->work += promotion->nlines;
	}
	return result;
}

/*
 * Finds what each available promotion takes now, at most, and which of them
 * can be taken in turn.
 */
static uint64
bound_each(PromoCase *a, PromoBound *bound, const int64 *left,
		   const int64 *used, uint64 available, int64 *points)
{
	bool first = true;
	uint64 in_turn = 0;

	*points = 0;
	for (; available != 0; available &= available - 1)
	{
		int bit = pg_rightmost_one_pos64(available);
		const Promotion *promotion = a->ordered[bit];
		bool units = promo_counts_units(promotion);
		int64 given;

		/* Which units are free is known to the first that counts them. */
		if (units && !first)
			bound->alone[bit] = bound_units(a, promotion, left, used);
		else
		{
			bound->alone[bit] = promo_amount(a, promotion, left, used, &given);
			if (given > 0)
			{
				bound->alone[bit] = promo_points_worth(a, given);
				*points += bound->alone[bit];
			}
			else if (!bound_is_loose(promotion))
				in_turn |= UINT64CONST(1) << bit;
		}
		first &= !units;
		bound->work += promotion->nlines;
	}
	return in_turn;
}

/* Returns the sum of the count largest of some amounts. */
static int64
bound_largest(int64 *amounts, int n, int count)
{
	int64 sum = 0;

	for (int i = 0; i < n && i < count; i++)
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
 * Returns how much available promotions could take off, and their points be
 * worth, at most: count of them at most, room at most. A result that is not
 * above enough may be larger than it needs to be.
 */
int64
promo_bound(PromoCase *a, PromoBound *bound, const int64 *left,
			const int64 *used, uint64 available, int count, int64 room,
			int64 enough)
{
	uint64 cliques[PROMO_SEARCH_MAX];
	int64 largest[PROMO_SEARCH_MAX];
	int n = 0;
	int64 points;
	int64 sum = 0;
	int64 most = 0;
	int64 result;
	uint64 single = 0;
	uint64 in_turn = bound_each(a, bound, left, used, available, &points);
	double error = 1e-3;

	for (uint64 rest = available; rest != 0; rest &= rest - 1)
	{
		int bit = pg_rightmost_one_pos64(rest);
		int i = 0;

		while (i < n && (cliques[i] & ~a->conflicts[bit]) != 0)
			i++;
		if (i == n)
		{
			cliques[n] = 0;
			largest[n++] = 0;
		}
		cliques[i] |= UINT64CONST(1) << bit;
		largest[i] = Max(largest[i], bound->alone[bit]);
		sum += bound->alone[bit];
	}
	for (int i = 0; i < a->cart.nlines; i++)
		most += left[i];
	error += (double) most * (a->nbits + 8) * BOUND_ERROR;
	most = Min(most, room) + points;
	for (int i = 0; i < n; i++)
	{
		if ((cliques[i] & (cliques[i] - 1)) != 0 ||
			(cliques[i] & in_turn) == 0)
			continue;
		single |= cliques[i];
	}
	result = Min(most, bound_largest(largest, n, count));
	if (result <= enough)
		return result;
	if (single != 0)
	{
		double others = 0;

		for (int i = 0; i < n; i++)
			others += largest[i];
		for (uint64 rest = single; rest != 0; rest &= rest - 1)
			others -= bound->alone[pg_rightmost_one_pos64(rest)];
		others += bound_in_turn(a, bound, left, used, single);
		result = Min(result, (int64) (others + error));
	}
	if (result > enough && in_turn != single)
	{
		double others = sum;

		for (uint64 rest = in_turn; rest != 0; rest &= rest - 1)
			others -= bound->alone[pg_rightmost_one_pos64(rest)];
		others += bound_in_turn(a, bound, left, used, in_turn);
		result = Min(result, (int64) (others + error));
	}
	return result;
}
