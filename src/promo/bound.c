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

#include "port/pg_bitutils.h"
#include "promo/promo.h"

/* Relative error of the sums of a bound, for each promotion. */
#define BOUND_ERROR 1e-15

/* Returns how many units a promotion discounts at most. */
static int64
bound_get(const Promotion *promotion, int64 free)
{
	const PromoDiscount *discount = &promotion->discount;

	if (discount->kind != PROMO_BUY_X_GET_Y)
		return Min(discount->get, free);
	if (discount->buy_of.data == NULL)
		free = free / (discount->buy + discount->get) * discount->get;
	return Min(discount->times * discount->get,
			   free / discount->get * discount->get);
}

/* Returns how many units a promotion uses at most. */
static int64
bound_uses(const Promotion *promotion)
{
	const PromoDiscount *discount = &promotion->discount;
	int64 get = bound_get(promotion, promotion->units);

	if (discount->kind == PROMO_BUY_X_GET_Y)
		get += get / discount->get * discount->buy;
	return get;
}

/* Returns how many units some promotions use at most. */
static int64
bound_uses_of(const PromoCase *a, uint64 promotions)
{
	int64 uses = 0;

	for (; promotions != 0; promotions &= promotions - 1)
		uses += bound_uses(a->ordered[pg_rightmost_one_pos64(promotions)]);
	return uses;
}

/* Finds which promotions that count units share lines with each other. */
void
promo_bound_rivals(const PromoCase *a, PromoBound *bound)
{
	uint64 *lines = palloc0(Max(a->cart.nlines, 1) * sizeof(uint64));

	memset(bound->rivals, 0, sizeof(bound->rivals));
	for (int pass = 0; pass < 2; pass++)
		for (int bit = 0; bit < a->nbits; bit++)
		{
			const Promotion *one = a->ordered[bit];

			if (!promo_counts_units(one))
				continue;
			for (int i = 0; i < one->nlines + one->nbuy; i++)
			{
				int line = i < one->nlines ? one->lines[i]
										   : one->buy_lines[i - one->nlines];

				if (pass == 0)
					lines[line] |= UINT64CONST(1) << bit;
				else
					bound->rivals[bit] |= lines[line];
			}
		}
	pfree(lines);
}

/*
 * Returns what a promotion that counts units takes at most when others use up
 * to so many before: it takes get of the (before + get) cheapest, or of all
 * when it takes the dearest.
 */
static int64
bound_units(const PromoCase *a, const Promotion *promotion, const int64 *left,
			const int64 *used, int64 before)
{
	const PromoDiscount *discount = &promotion->discount;
	int64 free = 0;
	int64 get;
	int64 skip;
	double sum = 0;
	double dearest = 0;

	for (int i = 0; i < promotion->nlines; i++)
		free += a->cart.lines[promotion->lines[i]].quantity -
				used[promotion->lines[i]];
	get = bound_get(promotion, free);
	skip =
		discount->kind == PROMO_DEAREST ? free - get : Min(before, free - get);
	free = get;
	for (int i = 0; i < promotion->nlines && free > 0; i++)
	{
		int at = promotion->lines[promotion->by_price[i]];
		const PromoLine *line = &a->cart.lines[at];
		int64 units = line->quantity - used[at];
		int64 skipped = Min(units, skip);

		if (units > 0)
			dearest = Max(dearest, (double) left[at] / line->quantity);
		skip -= skipped;
		units = Min(units - skipped, free);
		free -= units;
		sum += (double) units * line->price;
	}
	if (!promotion->initial)
		sum = Min(sum, get * dearest + promotion->nlines);
	sum *= (double) discount->percent / PROMO_WHOLE;
	sum += 1 + sum * 1e-12;
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
			return promotion->initial ? Min(line->amount * share, left)
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

/* Returns how far rounding may be off, on so many lines of a promotion. */
static double
bound_slack(const Promotion *promotion, int n)
{
	if (promo_counts_units(promotion))
		return 0.5 + n;
	if (n == 1)
		return 0.5;
	return 0.5 + n / (promotion->initial ? 2.0 : 4.0);
}

/*
 * Makes the price of an order's lines, which may be lower than now when the
 * promotion is applied, a percentage of what they come to now: it takes no
 * more of any line then.
 */
static double
bound_price(const Promotion *promotion, double sum, double now)
{
	double price = promotion->discount.amount;

	return now > price ? sum * (1 - price / now) : 0;
}

/* Takes a promotion without rounding; returns how far that may be off. */
static double
bound_take(PromoCase *a, const Promotion *promotion, double *left,
		   const int64 *now, const int64 *used)
{
	const PromoDiscount *discount = &promotion->discount;
	double sum = 0;
	double sum_now = 0;
	double whole = 0;
	double taken;
	int n = 0;

	if (promo_counts_units(promotion))
		(void) promo_pick(a, promotion, used, a->picked);
	for (int i = 0; i < promotion->nlines; i++)
	{
		int at = promotion->lines[i];
		double part = bound_line(a, promotion, i, left[at]);

		sum += left[at];
		sum_now += now[at];
		whole += part;
		n += part > 0;
	}
	taken = bound_order(promotion, sum);
	if (promotion->order && discount->kind == PROMO_FIXED_PRICE)
	{
		taken = bound_price(promotion, sum, sum_now);
		n = promotion->nlines;
	}
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
	return bound_slack(promotion, n);
}

/* Tells whether a promotion parts an amount over the whole cart. */
static bool
bound_is_whole(const PromoCase *a, const Promotion *promotion)
{
	return promotion->order && promotion->nlines == a->cart.nlines &&
		   promotion->discount.kind <= PROMO_FIXED_PRICE;
}

/* Takes a promotion of the whole cart off what is left at least. */
static void
bound_take_whole(const Promotion *promotion, double *sum)
{
	const PromoDiscount *discount = &promotion->discount;
	double taken = bound_order(promotion, *sum);

	if (discount->kind == PROMO_FIXED_PRICE)
		taken = Max(*sum - discount->amount, 0);
	else if (taken < 0)
		taken = *sum * discount->percent / PROMO_WHOLE;
	if (discount->cap != PROMO_NONE)
		taken = Min(taken, (double) discount->cap);
	/* A percentage is rounded, the others are whole. */
	*sum -= taken + (discount->kind == PROMO_PERCENTAGE ? 0.5 : 0);
	*sum = Max(*sum, 0);
}

/* Returns what promotions take in turn, at most. */
static double
bound_in_turn(PromoCase *a, PromoBound *bound, const int64 *left,
			  const int64 *used, uint64 promotions)
{
	double before = 0;
	double slack = 0;
	double sum = 0;
	uint64 last = 0;

	/* Of the last ones only the sum matters while they take the whole cart. */
	for (uint64 rest = promotions; rest != 0;)
	{
		int bit = pg_leftmost_one_pos64(rest);

		if (!bound_is_whole(a, a->ordered[bit]))
			break;
		rest &= ~(UINT64CONST(1) << bit);
		last |= UINT64CONST(1) << bit;
	}
	for (int i = 0; i < a->cart.nlines; i++)
		before += bound->left[i] = left[i];
	bound->work += a->cart.nlines;
	for (promotions &= ~last; promotions != 0; promotions &= promotions - 1)
	{
		const Promotion *promotion =
			a->ordered[pg_rightmost_one_pos64(promotions)];

		slack += bound_take(a, promotion, bound->left, left, used);
		bound->work += promotion->nlines;
	}
	for (int i = 0; i < a->cart.nlines; i++)
		sum += bound->left[i];
	sum = Max(sum - slack, 0);
	for (; last != 0; last &= last - 1)
		bound_take_whole(a->ordered[pg_rightmost_one_pos64(last)], &sum);
	return before - sum;
}

/*
 * Returns the most that promotions of which none exclude each other weigh:
 * weights are taken off by cliques, of each of which one can be had. Uses up
 * the weights.
 */
static double
bound_cover(const PromoCase *a, uint64 promotions, double *weights)
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
bound_heaviest(uint64 promotions, const double *weights, int count)
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
static double
bound_weight(const PromoCase *a, uint64 promotions, double *weights, int count)
{
	double most = -1;
	double cover;

	if (count < pg_popcount64(promotions))
		most = bound_heaviest(promotions, weights, count);
	cover = bound_cover(a, promotions, weights);
	return most >= 0 ? Min(most, cover) : cover;
}

/*
 * Tells whether what a promotion takes off one line depends on what is left
 * of others.
 */
static bool
bound_is_coupled(const Promotion *promotion, int64 alone)
{
	const PromoDiscount *discount = &promotion->discount;

	if (promotion->nlines == 1)
		return false;
	if (discount->cap != PROMO_NONE && alone >= discount->cap)
		return true;
	return promotion->order &&
		   (discount->kind == PROMO_FIXED_AMOUNT ||
			(discount->kind == PROMO_PERCENTAGE && promotion->initial));
}

/*
 * Returns the least part of a change in what is there that a coupled
 * promotion leaves, on all its lines together.
 */
static double
bound_coupled_slope(const PromoCase *a, const Promotion *promotion,
					const double *left, const BoundStep *steps)
{
	const PromoDiscount *discount = &promotion->discount;

	if (discount->kind == PROMO_FIXED_PRICE)
		return 0;
	if (!promotion->initial &&
		(discount->kind == PROMO_PERCENTAGE || promo_counts_units(promotion)))
		return 1 - (double) discount->percent / PROMO_WHOLE;
	for (int i = 0; i < promotion->nlines; i++)
	{
		int at = promotion->lines[i];

		/* Taken until nothing is left: more there leaves no more. */
		if (steps[i].taken > 0 && left[at] <= 0)
			return 0;
		if (!promotion->order &&
			bound_line(a, promotion, i, left[at] + steps[i].taken) >=
				left[at] + steps[i].taken)
			return 0;
	}
	return 1;
}

/* Takes a coupled promotion; returns how far rounding may be off. */
static double
bound_coupled(PromoCase *a, PromoBound *bound, const Promotion *promotion,
			  const int64 *now, const int64 *used, BoundStep *steps)
{
	double slack;

	for (int i = 0; i < promotion->nlines; i++)
	{
		steps[i].taken = bound->left[promotion->lines[i]];
		steps[i].slope = 0;
	}
	slack = bound_take(a, promotion, bound->left, now, used);
	for (int i = 0; i < promotion->nlines; i++)
		steps[i].taken -= bound->left[promotion->lines[i]];
	steps[0].slope = bound_coupled_slope(a, promotion, bound->left, steps);
	return slack;
}

/* Takes a promotion of one line off what is left of it; sets the slope. */
static double
bound_step(const PromoCase *a, const Promotion *promotion, int i, double left,
		   double now, double sum_now, double *slope)
{
	const PromoDiscount *discount = &promotion->discount;
	const PromoLine *line = &a->cart.lines[promotion->lines[i]];
	double part;

	if (discount->kind == PROMO_FIXED_PRICE)
	{
		double price = discount->amount;

		if (!promotion->order)
		{
			price *= line->quantity;
			sum_now = now;
		}
		*slope = sum_now > price ? price / sum_now : 1;
		part = left * (1 - *slope);
	}
	else
	{
		part = bound_line(a, promotion, i, left);
		if (promotion->initial || discount->kind == PROMO_FIXED_AMOUNT ||
			discount->kind == PROMO_PER_UNIT)
			*slope = part < left ? 1 : 0;
		else
			*slope = left > 0 ? 1 - part / left : 0;
	}
	if (discount->cap != PROMO_NONE && part > discount->cap)
	{
		part = discount->cap;
		*slope = 1;
	}
	return part;
}

/* Takes a promotion line by line; returns how far rounding may be off. */
static double
bound_steps(PromoCase *a, PromoBound *bound, const Promotion *promotion,
			const int64 *now, const int64 *used, BoundStep *steps)
{
	double sum_now = 0;
	int n = 0;

	if (promo_counts_units(promotion))
		(void) promo_pick(a, promotion, used, a->picked);
	if (promotion->order)
		for (int i = 0; i < promotion->nlines; i++)
			sum_now += now[promotion->lines[i]];
	for (int i = 0; i < promotion->nlines; i++)
	{
		double *left = &bound->left[promotion->lines[i]];

		steps[i].taken =
			bound_step(a, promotion, i, *left, now[promotion->lines[i]],
					   sum_now, &steps[i].slope);
		*left = Max(*left - steps[i].taken, 0);
		n += steps[i].taken > 0;
	}
	return n > 0 ? bound_slack(promotion, n) : 0;
}

/* Takes a promotion of the whole cart; sets how the sum's slope changes. */
static double
bound_step_whole(const Promotion *promotion, double now, double *sum,
				 double *slope)
{
	const PromoDiscount *discount = &promotion->discount;
	double taken = bound_order(promotion, *sum);

	if (discount->kind == PROMO_FIXED_PRICE)
	{
		*slope = now > discount->amount ? discount->amount / now : 1;
		taken = *sum * (1 - *slope);
	}
	else if (taken >= 0)
		*slope = taken < *sum ? 1 : 0;
	else
	{
		*slope = 1 - (double) discount->percent / PROMO_WHOLE;
		taken = *sum * (1 - *slope);
	}
	if (discount->cap != PROMO_NONE && taken > discount->cap)
	{
		taken = discount->cap;
		*slope = 1;
	}
	*sum = Max(*sum - taken, 0);
	return taken;
}

/*
 * Parts promotions into those to be taken line by line and those that, last
 * of all, can be taken off the sum.
 */
static uint64
bound_split(const PromoCase *a, uint64 in_turn, uint64 *last)
{
	uint64 lines = 0;

	*last = 0;
	for (uint64 rest = in_turn; rest != 0;)
	{
		int bit = pg_leftmost_one_pos64(rest);
		uint64 mask = UINT64CONST(1) << bit;
		const Promotion *promotion = a->ordered[bit];

		rest &= ~mask;
		if (lines == 0 && bound_is_whole(a, promotion))
			*last |= mask;
		else
			lines |= mask;
	}
	return lines;
}

/*
 * Goes back over a promotion: changes the slopes of its lines to what they
 * are before it, and returns what it adds at least.
 */
static double
bound_back(const Promotion *promotion, const BoundStep *steps, double *slopes,
		   bool coupled)
{
	double adds = 0;
	double taken = 0;
	double least = 1;

	for (int i = 0; i < promotion->nlines; i++)
	{
		double *slope = &slopes[promotion->lines[i]];

		adds += steps[i].taken * *slope;
		taken += steps[i].taken;
		least = Min(least, *slope);
		*slope *= steps[i].slope;
	}
	if (!coupled)
		return adds;
	for (int i = 0; i < promotion->nlines; i++)
		slopes[promotion->lines[i]] = least * steps[0].slope;
	return taken * least;
}

/*
 * Takes promotions in turn; what they take at most is the result and, of
 * those that are taken in truth, what each adds to all others. What is left is
 * convex in what was there, so one more promotion counts for less the more
 * there are: leaving one out costs at least what it adds to all others. That
 * is found going back, from what it takes and the slopes of those after it.
 */
static double
bound_convex(PromoCase *a, PromoBound *bound, const int64 *left,
			 const int64 *used, uint64 lines, uint64 last, double *adds)
{
	double before = 0;
	double slack = 0;
	double sum = 0;
	double slope = 1;
	double slopes[PROMO_SEARCH_MAX] = {0};
	BoundStep *steps = bound->steps;

	for (int i = 0; i < a->cart.nlines; i++)
		before += bound->left[i] = left[i];
	for (uint64 rest = lines; rest != 0; rest &= rest - 1)
	{
		const Promotion *promotion = a->ordered[pg_rightmost_one_pos64(rest)];

		slack += bound_is_coupled(promotion,
								  bound->alone[pg_rightmost_one_pos64(rest)])
					 ? bound_coupled(a, bound, promotion, left, used, steps)
					 : bound_steps(a, bound, promotion, left, used, steps);
		steps += promotion->nlines;
		bound->work += 2 * promotion->nlines;
	}
	for (int i = 0; i < a->cart.nlines; i++)
		sum += bound->left[i];
	for (uint64 rest = last; rest != 0; rest &= rest - 1)
	{
		int bit = pg_rightmost_one_pos64(rest);

		adds[bit] =
			bound_step_whole(a->ordered[bit], before, &sum, &slopes[bit]);
		slack += 0.5;
	}
	for (uint64 rest = last; rest != 0;)
	{
		int bit = pg_leftmost_one_pos64(rest);

		rest &= ~(UINT64CONST(1) << bit);
		adds[bit] *= slope;
		slope *= slopes[bit];
	}
	for (int i = 0; i < a->cart.nlines; i++)
		bound->left[i] = slope;
	for (uint64 rest = lines; rest != 0;)
	{
		int bit = pg_leftmost_one_pos64(rest);
		const Promotion *promotion = a->ordered[bit];

		rest &= ~(UINT64CONST(1) << bit);
		steps -= promotion->nlines;
		adds[bit] = bound_back(promotion, steps, bound->left,
							   bound_is_coupled(promotion, bound->alone[bit]));
	}
	for (uint64 rest = lines | last; rest != 0; rest &= rest - 1)
		sum += adds[pg_rightmost_one_pos64(rest)];
	return before - sum + slack;
}

/*
 * Finds what each available promotion takes now, at most, and which of them
 * can be taken in turn.
 */
static uint64
bound_each(PromoCase *a, PromoBound *bound, const int64 *left,
		   const int64 *used, uint64 available, int64 *points)
{
	uint64 all = available;
	uint64 in_turn = 0;

	*points = 0;
	for (; available != 0; available &= available - 1)
	{
		int bit = pg_rightmost_one_pos64(available);
		const Promotion *promotion = a->ordered[bit];
		/* Others that may use units of the same lines before. */
		uint64 others = bound->rivals[bit] & all & ~available;
		int64 given;

		if (others != 0)
			bound->alone[bit] = bound_units(a, promotion, left, used,
											bound_uses_of(a, others));
		else
		{
			bound->alone[bit] = promo_amount(a, promotion, left, used, &given);
			if (given > 0)
			{
				bound->alone[bit] = promo_points_worth(a, given);
				*points += bound->alone[bit];
			}
			else
				in_turn |= UINT64CONST(1) << bit;
		}
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
	uint64 lines;
	uint64 last;
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
	result = Min(most, bound_largest(largest, n, count));
	if (result <= enough)
		return result;
	lines = bound_split(a, in_turn, &last);
	if ((lines | last) != 0)
	{
		double weights[PROMO_SEARCH_MAX];
		double others =
			bound_convex(a, bound, left, used, lines, last, weights);

		for (uint64 rest = available & ~(lines | last); rest != 0;
			 rest &= rest - 1)
		{
			int bit = pg_rightmost_one_pos64(rest);

			weights[bit] = bound->alone[bit];
		}
		others += bound_weight(a, available, weights, count);
		result = Min(result, (int64) (others + error));
	}
	if (result > enough)
	{
		double others = sum;

		for (uint64 rest = in_turn; rest != 0; rest &= rest - 1)
			others -= bound->alone[pg_rightmost_one_pos64(rest)];
		others += bound_in_turn(a, bound, left, used, in_turn);
		result = Min(result, (int64) (others + error));
	}
	return result;
}
