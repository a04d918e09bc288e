/*
 * How much promotions could still take off, at most. All bounds rest on one
 * property: what a promotion takes never grows when less is left (a band of
 * a tiered discount is found by initial amounts for this reason). So
 *
 * - the sum of what each takes now is a bound, and of promotions that exclude
 *   each other the largest is enough;
 * - taking all of them in turn leaves less on every line than any set does.
 *   From there, what is left in the end is bounded from below by a linear
 *   function of which promotions are taken: going back over them, the slope
 *   of the end in each line gives each promotion a weight. The bound is then
 *   the largest weight of promotions that may be combined.
 *
 * Where what stays is concave in what was there, as with a price, the slope is
 * that of the chord up to what is left now. Of a promotion that is expected to
 * be left out, what it takes alone is counted, and the slope is one. What
 * rounding could change is taken off what is left, by the slopes after it.
 *
 * A price of an order that is in all sets leaves its lines at a sum that does
 * not depend on what was taken off them before, so what comes after it is also
 * taken off the sum, of which each promotion can reach a part.
 */
#include "postgres.h"

#include <float.h>

#include "port/pg_bitutils.h"
#include "promo/promo.h"

/* Relative error of the sums of a bound, for each promotion. */
#define BOUND_ERROR 1e-15

/*
 * Of a line of which so little is left it is not looked at who takes it,
 * which is less than what rounding could take.
 */
#define BOUND_LITTLE 8

/* Promotions that are taken in turn, and what they take. */
typedef struct BoundTurn
{
	const int64 *now;       /* what is left of each line before them */
	double before;          /* the sum of that */
	double left;            /* at least, when all take what they add */
	uint64 lines;           /* those that are taken line by line */
	uint64 last;            /* those that are taken off the sum, after these */
	uint64 out;             /* those that are expected to be left out */
	const Promotion *price; /* in all sets, between these; NULL: none */
	double adds[PROMO_SEARCH_MAX]; /* at most */
} BoundTurn;

/* Returns what a promotion takes off a line, by itself, if not rounded. */
static double
bound_line(const PromoCase *a, const PromoBound *bound,
		   const Promotion *promotion, int i, double left)
{
	const PromoDiscount *discount = &promotion->discount;
	const PromoLine *line = &a->cart.lines[promotion->lines[i]];
	double share = (double) discount->percent / PROMO_WHOLE;
	int64 picked;

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
			picked = bound->units[promotion->bit].picked[i];
			return promotion->initial
					   ? Min((double) picked * line->price * share, left)
					   : left * picked / line->quantity * share;
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

/*
 * Takes the price of a line, or of an order with others of which so much is
 * left now, off what is left at least. What stays is concave in what is left,
 * so the slope is that of the chord to what is left now.
 */
static double
bound_step_price(double price, double left, double now, double others,
				 double *slope)
{
	double after =
		left + others > price ? left * price / (left + others) : left;
	double after_now =
		now + others > price ? now * price / (now + others) : now;

	*slope = now > left ? (after_now - after) / (now - left) : 0;
	*slope = Min(Max(*slope, 0), 1);
	return left - after;
}

/* Takes a price of an order's lines off what is left of them at least. */
static void
bound_take_price(const Promotion *promotion, double *left, const int64 *now)
{
	const PromoDiscount *discount = &promotion->discount;
	double cap = discount->cap;
	double sum = 0;
	double sum_now = 0;
	double slope;

	for (int i = 0; i < promotion->nlines; i++)
	{
		sum += left[promotion->lines[i]];
		sum_now += now[promotion->lines[i]];
	}
	if (sum_now <= discount->amount)
		return;
	for (int i = 0; i < promotion->nlines; i++)
	{
		int at = promotion->lines[i];
		double part = bound_step_price(discount->amount, left[at], now[at],
									   sum_now - now[at], &slope);

		if (discount->cap != PROMO_NONE && sum > cap)
			part = Min(part, left[at] * (cap / sum));
		left[at] = Max(left[at] - part, 0);
	}
}

/* Takes a coupled promotion off what is left of its lines at least. */
static void
bound_take(PromoCase *a, PromoBound *bound, const Promotion *promotion,
		   const int64 *now)
{
	double *left = bound->left;
	const PromoDiscount *discount = &promotion->discount;
	double sum = 0;
	double whole = 0;
	double taken;

	if (promotion->order && discount->kind == PROMO_FIXED_PRICE)
	{
		bound_take_price(promotion, left, now);
		return;
	}
	for (int i = 0; i < promotion->nlines; i++)
	{
		double at = left[promotion->lines[i]];

		sum += at;
		whole += bound_line(a, bound, promotion, i, at);
	}
	taken = bound_order(promotion, sum);
	if (taken >= 0)
		whole = sum;
	else
		taken = whole;
	if (discount->cap != PROMO_NONE)
		taken = Min(taken, (double) discount->cap);
	if (whole <= 0 || taken <= 0)
		return;
	for (int i = 0; i < promotion->nlines; i++)
	{
		double *at = &left[promotion->lines[i]];
		double part =
			whole == sum ? *at : bound_line(a, bound, promotion, i, *at);

		*at = Max(*at - part * (taken / whole), 0);
	}
}

/*
 * Tells whether a promotion makes a price of several lines: they are left at
 * it when the promotion takes anything.
 */
bool
promo_is_price(const Promotion *promotion)
{
	return promotion->order && promotion->nlines > 1 &&
		   promotion->discount.kind == PROMO_FIXED_PRICE &&
		   promotion->discount.cap == PROMO_NONE;
}

/* Tells whether a promotion is in all sets that are bounded. */
static bool
bound_must(const PromoBound *bound, const Promotion *promotion)
{
	return (bound->must & UINT64CONST(1) << promotion->bit) != 0;
}

/* Tells whether a promotion parts an amount over the whole cart. */
static bool
bound_is_whole(const PromoCase *a, const Promotion *promotion)
{
	return promotion->order && promotion->nlines == a->cart.nlines &&
		   promotion->discount.kind <= PROMO_FIXED_PRICE;
}

/*
 * Tells whether what a promotion takes off one line depends on what is left
 * of others.
 */
static bool
bound_is_coupled(const PromoBound *bound, const Promotion *promotion)
{
	const PromoDiscount *discount = &promotion->discount;
	int bit = promotion->bit;

	if (promotion->nlines == 1 || bound->units[bit].shared)
		return false;
	if (discount->cap != PROMO_NONE && bound->alone[bit] >= discount->cap)
		return true;
	return promotion->order &&
		   (discount->kind == PROMO_FIXED_AMOUNT ||
			(discount->kind == PROMO_PERCENTAGE && promotion->initial));
}

/*
 * Takes off what is left of the lines of a promotion what rounding may take
 * of each. What it takes of all together is the rounding of the total; the
 * rest only moves from line to line.
 */
static void
bound_round(PromoBound *bound, const Promotion *promotion, const int64 *now,
			BoundStep *steps)
{
	const PromoDiscount *discount = &promotion->discount;
	bool units = promo_counts_units(promotion);
	bool percent = units || discount->kind == PROMO_PERCENTAGE;
	PromoRounding *rounding = &bound->rounding[promotion->bit];
	double each = percent ? 2 : 1;
	int n = 0;

	for (int i = 0; i < promotion->nlines; i++)
		n += now[promotion->lines[i]] > 0;
	rounding->total = percent ? 0.5 + (units ? n / 2.0 : 0) : 0;
	rounding->moved = n > 1 ? n / 2.0 : 0;
	if (!percent &&
		(n <= 1 || (!promotion->order && !bound_is_coupled(bound, promotion))))
		rounding->moved = 0;
	each = Min(each, rounding->total + rounding->moved);
	for (int i = 0; i < promotion->nlines; i++)
	{
		double *left = &bound->left[promotion->lines[i]];

		steps[i].rounded = Min(*left, each);
		*left -= steps[i].rounded;
		bound->extra += steps[i].rounded;
	}
	bound->extra = Max(bound->extra - rounding->total, 0);
}

/*
 * Returns the least part of a change in what is there that a coupled
 * promotion leaves, on all its lines together.
 */
static double
bound_coupled_slope(const PromoCase *a, const PromoBound *bound,
					const Promotion *promotion, const BoundStep *steps)
{
	const PromoDiscount *discount = &promotion->discount;
	double sum = 0;

	if (discount->kind == PROMO_FIXED_PRICE)
		return 0;
	if (!promotion->initial &&
		(discount->kind == PROMO_PERCENTAGE || promo_counts_units(promotion)))
		return 1 - (double) discount->percent / PROMO_WHOLE;
	for (int i = 0; i < promotion->nlines; i++)
	{
		double left = bound->left[promotion->lines[i]];
		double whole = left + steps[i].taken;

		sum += left;
		if (!promotion->order &&
			bound_line(a, bound, promotion, i, whole) >= whole)
			return 0;
	}
	/* Taken until nothing is left: more there leaves no more. */
	return sum > 0 ? 1 : 0;
}

/* Takes a coupled promotion; notes what that changes. */
static void
bound_coupled(PromoCase *a, PromoBound *bound, const Promotion *promotion,
			  const int64 *now, BoundStep *steps)
{
	for (int i = 0; i < promotion->nlines; i++)
	{
		steps[i].taken = bound->left[promotion->lines[i]];
		steps[i].slope = 0;
	}
	bound_take(a, bound, promotion, now);
	for (int i = 0; i < promotion->nlines; i++)
		steps[i].taken -= bound->left[promotion->lines[i]];
	steps[0].slope = bound_coupled_slope(a, bound, promotion, steps);
	bound->extra *= steps[0].slope;
}

/* Takes a promotion of one line off what is left of it; sets the slope. */
static double
bound_step(const PromoCase *a, const PromoBound *bound,
		   const Promotion *promotion, int i, double left, double now,
		   double sum_now, double *slope)
{
	const PromoDiscount *discount = &promotion->discount;
	const PromoLine *line = &a->cart.lines[promotion->lines[i]];
	double part;

	if (discount->kind == PROMO_FIXED_PRICE)
		part = bound_step_price(
			promotion->order ? (double) discount->amount
							 : (double) discount->amount * line->quantity,
			left, now, promotion->order ? sum_now - now : 0, slope);
	else
	{
		part = bound_line(a, bound, promotion, i, left);
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

/* Returns what a promotion takes off a unit of a line, at most. */
static double
bound_unit(const PromoCase *a, const Promotion *promotion, int i, double left)
{
	const PromoLine *line = &a->cart.lines[promotion->lines[i]];
	double share = (double) promotion->discount.percent / PROMO_WHOLE;

	return promotion->initial ? line->price * share
							  : left / line->quantity * share;
}

/*
 * Finds how much more is left of an order's lines at their price than its
 * lines tell one by one: their sum is the price, or less only when it was.
 */
static void
bound_gain(PromoBound *bound, const Promotion *promotion, double sum_now,
		   const BoundStep *steps)
{
	double price = promotion->discount.amount;
	double sum = 0;
	double after = 0;
	int bit = promotion->bit;

	for (int i = 0; i < promotion->nlines; i++)
	{
		double left = bound->left[promotion->lines[i]];

		sum += left + steps[i].taken;
		after += left;
	}
	if (bound_must(bound, promotion))
	{
		bound->slope[bit] = 0;
		bound->gain[bit] = price - after;
		bound->extra = price - after;
		return;
	}
	(void) bound_step_price(price, sum, sum_now, 0, &bound->slope[bit]);
	bound->gain[bit] = Max(Min(price, sum) - after, 0);
	bound->extra = Max(Min(price, sum + bound->extra) - after, 0);
}

/* Takes a promotion line by line; notes what that changes. */
static void
bound_steps(PromoCase *a, PromoBound *bound, const Promotion *promotion,
			const int64 *now, BoundStep *steps)
{
	double sum_now = 0;
	double least = 1;

	if (promotion->order)
		for (int i = 0; i < promotion->nlines; i++)
			sum_now += now[promotion->lines[i]];
	for (int i = 0; i < promotion->nlines; i++)
	{
		double *left = &bound->left[promotion->lines[i]];

		steps[i].taken =
			bound_step(a, bound, promotion, i, *left, now[promotion->lines[i]],
					   sum_now, &steps[i].slope);
		if (bound->units[promotion->bit].shared)
			steps[i].unit = bound_unit(a, promotion, i, *left);
		*left = Max(*left - steps[i].taken, 0);
		least = Min(least, steps[i].slope);
	}
	if (!promo_is_price(promotion))
		bound->extra *= least;
	else if (sum_now > promotion->discount.amount)
		bound_gain(bound, promotion, sum_now, steps);
	else
	{
		bound->gain[promotion->bit] = 0;
		bound->slope[promotion->bit] = 1;
	}
}

/* Takes a promotion of the whole cart; sets how the sum's slope changes. */
static double
bound_step_whole(const PromoBound *bound, const Promotion *promotion,
				 double now, double *sum, double *slope)
{
	const PromoDiscount *discount = &promotion->discount;
	double taken = bound_order(promotion, *sum);

	if (discount->kind == PROMO_FIXED_PRICE && discount->cap == PROMO_NONE &&
		bound_must(bound, promotion))
	{
		*slope = 0;
		taken = *sum - discount->amount;
	}
	else if (discount->kind == PROMO_FIXED_PRICE)
		taken = bound_step_price(discount->amount, *sum, now, 0, slope);
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
 * Goes back over a promotion that is expected to be taken: changes the slopes
 * of its lines to what they are before it, sets what it adds, and returns what
 * it took. These differ where it took the same units of several lines.
 */
static double
bound_back(PromoBound *bound, const Promotion *promotion,
		   const BoundStep *steps, double *adds)
{
	double *slopes = bound->left;
	int bit = promotion->bit;
	double cap = promotion->discount.cap;
	double sum = 0;
	double taken = 0;
	double least = 1;
	double most = 0;
	double unit = 0;
	bool capped = false;

	for (int i = 0; i < promotion->nlines; i++)
	{
		double *slope = &slopes[promotion->lines[i]];

		sum += steps[i].taken * *slope;
		taken += steps[i].taken;
		least = Min(least, *slope);
		if (bound->units[bit].shared)
		{
			most = Max(most, *slope);
			unit = Max(unit, steps[i].unit * *slope);
			capped |= steps[i].taken > 0 && steps[i].slope == 1 &&
					  steps[i].taken == cap;
		}
		*slope *= steps[i].slope;
	}
	*adds = sum;
	if (promo_is_price(promotion))
	{
		*adds = sum - least * bound->gain[bit];
		for (int i = 0; i < promotion->nlines; i++)
			slopes[promotion->lines[i]] +=
				least * (bound->slope[bit] - steps[i].slope);
	}
	if (bound->units[bit].shared)
	{
		if (!capped)
			*adds = Min(*adds, bound->units[bit].get * unit);
		*adds = Min(*adds, most * bound->alone[bit]);
	}
	if (!bound_is_coupled(bound, promotion))
		return sum;
	for (int i = 0; i < promotion->nlines; i++)
		slopes[promotion->lines[i]] = least * steps[0].slope;
	return *adds = taken * least;
}

/*
 * Goes back over a promotion that is expected to be left out; sets what it
 * adds at most, and returns what it took.
 */
static double
bound_back_out(PromoCase *a, PromoBound *bound, const Promotion *promotion,
			   const int64 *now, const BoundStep *steps, double *adds)
{
	double taken = 0;
	double each = 0;
	double most = 0;
	bool coupled = bound_is_coupled(bound, promotion);
	double unused;
	double sum_now = 0;

	if (promotion->order)
		for (int i = 0; i < promotion->nlines; i++)
			sum_now += now[promotion->lines[i]];
	for (int i = 0; i < promotion->nlines; i++)
	{
		int at = promotion->lines[i];
		double slope = bound->left[at];

		taken += steps[i].taken * slope;
		if (!coupled && slope > 0)
			each += slope * bound_step(a, bound, promotion, i, now[at],
									   now[at], sum_now, &unused);
		most = Max(most, slope);
	}
	*adds = most * bound->alone[promotion->bit];
	if (!coupled)
		*adds = Min(*adds, each);
	return taken;
}

/*
 * Takes a promotion; tells whether more is left beyond what lines say when
 * its amount is taken off that, as of one that is expected to be left out.
 */
static bool
bound_forward(PromoCase *a, PromoBound *bound, const Promotion *promotion,
			  const int64 *now, BoundStep *steps)
{
	double extra = bound->extra - bound->alone[promotion->bit];

	if (bound_is_coupled(bound, promotion))
		bound_coupled(a, bound, promotion, now, steps);
	else
		bound_steps(a, bound, promotion, now, steps);
	if (bound->plain || promo_is_price(promotion))
		return false;
	for (int i = 0; i < promotion->nlines; i++)
		extra += steps[i].taken;
	if (extra <= bound->extra)
		return false;
	bound->extra = extra;
	return true;
}

/* Returns how much less rounding a promotion may leave in the end. */
static double
bound_back_rounded(const PromoBound *bound, const Promotion *promotion,
				   const BoundStep *steps)
{
	const PromoRounding *rounding = &bound->rounding[promotion->bit];
	double most = 0;
	double least = 1;
	double sum = 0;

	for (int i = 0; i < promotion->nlines; i++)
	{
		double slope = bound->left[promotion->lines[i]];

		most = Max(most, slope);
		least = Min(least, slope);
		sum += slope * steps[i].rounded;
	}
	return most * rounding->total + (most - least) * rounding->moved - sum;
}

/* Takes promotions in turn, at most: goes forward over them. */
static void
bound_turn_forward(PromoCase *a, PromoBound *bound, BoundTurn *turn)
{
	BoundStep *steps = bound->steps;

	bound->extra = 0;
	turn->before = 0;
	for (int i = 0; i < a->cart.nlines; i++)
		turn->before += bound->left[i] = turn->now[i];
	for (uint64 rest = turn->lines; rest != 0; rest &= rest - 1)
	{
		const Promotion *promotion = a->ordered[pg_rightmost_one_pos64(rest)];

		if (bound_forward(a, bound, promotion, turn->now, steps))
			turn->out |= UINT64CONST(1) << promotion->bit;
		bound_round(bound, promotion, turn->now, steps);
		steps += promotion->nlines;
		bound->work += 2 * promotion->nlines;
	}
	if (turn->price != NULL)
		bound->extra = 0;
	turn->left = bound->extra;
	for (int i = 0; i < a->cart.nlines; i++)
		turn->left += bound->left[i];
	if (turn->price == NULL)
		return;
	for (int i = 0; i < turn->price->nlines; i++)
		turn->left -= bound->left[turn->price->lines[i]];
	turn->left = Max(turn->left, 0) + (double) turn->price->discount.amount;
}

/*
 * Returns how much of the lines of a promotion is left at most after the
 * price of an order: most of its lines are left when nothing was taken off
 * them before, and all off the others. Rounding moves less than one of each.
 */
static double
bound_reach(const PromoBound *bound, const BoundTurn *turn,
			const Promotion *promotion)
{
	const Promotion *price = turn->price;
	double amount = price->discount.amount;
	double among = 0;
	double beside = 0;
	double others = 0;
	int n = 0;

	for (int j = 0; j < price->nlines; j++)
		others += bound->left[price->lines[j]];
	for (int i = 0, j = 0; i < promotion->nlines; i++)
	{
		int at = promotion->lines[i];

		while (j < price->nlines && price->lines[j] < at)
			j++;
		if (j == price->nlines || price->lines[j] != at)
		{
			beside += turn->now[at];
			continue;
		}
		among += turn->now[at];
		others -= bound->left[at];
		n++;
	}
	if (n == price->nlines)
		return beside + amount;
	if (among > 0)
		amount *= among / (among + Max(others, 0));
	return beside + Min(among, amount + Min(n, price->nlines - n));
}

/*
 * Takes a promotion of the order off a sum of which its lines are so much at
 * most; sets how the sum's slope changes.
 */
static double
bound_step_sum(const Promotion *promotion, double reach, double sum,
			   double *slope)
{
	const PromoDiscount *discount = &promotion->discount;
	double there = Min(sum, reach);
	double most = bound_order(promotion, DBL_MAX);
	double share = 1;

	if (discount->kind == PROMO_FIXED_PRICE)
		there = Max(there - (double) discount->amount, 0);
	else if (most < 0)
		share = (double) discount->percent / PROMO_WHOLE;
	if (most < 0)
		most = DBL_MAX;
	if (discount->cap != PROMO_NONE)
		most = Min(most, (double) discount->cap);
	*slope = sum < reach && there * share < most ? 1 - share : 1;
	return Min(there * share, most);
}

/*
 * Takes a promotion of those after the price off the sum; sets how the sum's
 * slope changes, and lowers to what it takes what it takes alone at most.
 */
static double
bound_step_last(const PromoBound *bound, BoundTurn *turn,
				const Promotion *promotion, double *alone, double *slope)
{
	double reach = bound_reach(bound, turn, promotion);
	double taken = bound_step_sum(promotion, reach, DBL_MAX, slope);

	*alone = Min(*alone, taken);
	taken = bound_step_sum(promotion, reach, turn->left, slope);
	turn->left = Max(turn->left - taken, 0);
	return taken;
}

/*
 * Takes the last promotions off the sum, with what rounding may take; sets
 * what each takes, what it takes alone at most, and how the sum's slope
 * changes.
 */
static void
bound_turn_sum(const PromoCase *a, PromoBound *bound, BoundTurn *turn,
			   double *taken, double *alone, double *slopes)
{
	for (uint64 rest = turn->last; rest != 0; rest &= rest - 1)
	{
		int bit = pg_rightmost_one_pos64(rest);
		const Promotion *promotion = a->ordered[bit];

		alone[bit] = bound->alone[bit];
		if (turn->price == NULL)
			taken[bit] = bound_step_whole(bound, promotion, turn->before,
										  &turn->left, &slopes[bit]);
		else
			taken[bit] = bound_step_last(bound, turn, promotion, &alone[bit],
										 &slopes[bit]);
		if (promotion->discount.kind == PROMO_PERCENTAGE)
			turn->left = Max(turn->left - 0.5, 0);
		bound->work += promotion->nlines;
	}
}

/*
 * Takes the last promotions off the sum and goes back over them; returns the
 * slope of what is left in the sum before them.
 */
static double
bound_turn_last(PromoCase *a, PromoBound *bound, BoundTurn *turn)
{
	double taken[PROMO_SEARCH_MAX];
	double alone[PROMO_SEARCH_MAX];
	double slopes[PROMO_SEARCH_MAX];
	double slope = 1;

	bound_turn_sum(a, bound, turn, taken, alone, slopes);
	for (uint64 rest = turn->last; rest != 0;)
	{
		int bit = pg_leftmost_one_pos64(rest);
		uint64 mask = UINT64CONST(1) << bit;

		rest &= ~mask;
		turn->left += taken[bit] * slope;
		if ((turn->out & mask) != 0)
			turn->adds[bit] = alone[bit] * slope;
		else
		{
			turn->adds[bit] = taken[bit] * slope;
			slope *= slopes[bit];
		}
	}
	turn->left -= bound->extra * slope;
	return slope;
}

/*
 * Sets the slopes of what is left in the end in each line before the last
 * promotions, of which that in the sum is given.
 */
static void
bound_turn_slopes(const PromoCase *a, PromoBound *bound, const BoundTurn *turn,
				  double slope)
{
	for (int i = 0; i < a->cart.nlines; i++)
		bound->left[i] = slope;
	if (turn->price == NULL)
		return;
	for (int i = 0; i < a->cart.nlines; i++)
		if (turn->now[i] <= BOUND_LITTLE)
			bound->left[i] = 0;
	for (int i = 0; i < turn->price->nlines; i++)
		bound->left[turn->price->lines[i]] = 0;
}

/*
 * Takes promotions in turn, at most, and finds what each adds to all others;
 * returns what is taken by none of them. What is left is convex in what was
 * there, so one more promotion counts for less the more there are: leaving
 * one out costs at least what it adds to all others. That is found going
 * back, from what it takes and the slopes of those after it.
 */
static double
bound_turn(PromoCase *a, PromoBound *bound, BoundTurn *turn)
{
	BoundStep *steps = bound->steps;
	double slope;

	bound_turn_forward(a, bound, turn);
	slope = bound_turn_last(a, bound, turn);
	bound_turn_slopes(a, bound, turn, slope);
	for (uint64 rest = turn->lines; rest != 0; rest &= rest - 1)
		steps += a->ordered[pg_rightmost_one_pos64(rest)]->nlines;
	for (uint64 rest = turn->lines; rest != 0;)
	{
		int bit = pg_leftmost_one_pos64(rest);
		uint64 mask = UINT64CONST(1) << bit;
		const Promotion *promotion = a->ordered[bit];

		rest &= ~mask;
		steps -= promotion->nlines;
		turn->left -= bound_back_rounded(bound, promotion, steps);
		turn->left +=
			(turn->out & mask) != 0
				? bound_back_out(a, bound, promotion, turn->now, steps,
								 &turn->adds[bit])
				: bound_back(bound, promotion, steps, &turn->adds[bit]);
	}
	return turn->before - turn->left;
}

/*
 * Finds what each available promotion takes now, at most; leaves those out
 * that take nothing, and returns which of the others can be taken in turn.
 */
static uint64
bound_each(PromoCase *a, PromoBound *bound, const int64 *left,
		   const int64 *used, uint64 *available, int64 *points)
{
	uint64 useful = 0;
	uint64 in_turn = 0;

	*points = 0;
	if (a->with_units)
	{
		memset(bound->uses, 0, a->cart.nlines * sizeof(int64));
		memcpy(bound->used, used, a->cart.nlines * sizeof(int64));
		bound->known = 0;
	}
	for (uint64 rest = *available; rest != 0; rest &= rest - 1)
	{
		int bit = pg_rightmost_one_pos64(rest);
		uint64 mask = UINT64CONST(1) << bit;
		const Promotion *promotion = a->ordered[bit];
		int64 *alone = &bound->alone[bit];
		int64 given = 0;

		*alone = promo_counts_units(promotion)
					 ? promo_units(a, bound, promotion, left, used, useful)
					 : promo_amount(a, promotion, left, used, &given);
		bound->work += promotion->nlines;
		if (given > 0)
		{
			*alone = promo_points_worth(a, given);
			*points += *alone;
			useful |= mask;
		}
		else if (*alone > 0)
		{
			useful |= mask;
			in_turn |= mask;
		}
	}
	*available = useful;
	return in_turn;
}

/*
 * Parts promotions into those to be taken line by line and those that, last
 * of all, can be taken off the sum; these are those after the price.
 */
static void
bound_split(const PromoCase *a, uint64 in_turn, BoundTurn *turn)
{
	turn->lines = 0;
	turn->last = 0;
	if (turn->price != NULL)
	{
		uint64 mask = UINT64CONST(1) << turn->price->bit;

		turn->lines = in_turn & (mask - 1);
		turn->last = in_turn & ~mask & ~(mask - 1);
		return;
	}
	for (uint64 rest = in_turn; rest != 0;)
	{
		int bit = pg_leftmost_one_pos64(rest);
		uint64 mask = UINT64CONST(1) << bit;
		const Promotion *promotion = a->ordered[bit];

		rest &= ~mask;
		if (turn->lines == 0 && bound_is_whole(a, promotion))
			turn->last |= mask;
		else
			turn->lines |= mask;
	}
}

/* Returns the last price of several lines that is in all sets. */
static const Promotion *
bound_last_price(const PromoCase *a, const PromoBound *bound)
{
	for (uint64 rest = bound->must; rest != 0;)
	{
		int bit = pg_leftmost_one_pos64(rest);

		if (promo_is_price(a->ordered[bit]))
			return a->ordered[bit];
		rest &= ~(UINT64CONST(1) << bit);
	}
	return NULL;
}

/*
 * Returns how much available promotions could take off, and their points be
 * worth, when they are taken in turn: those that in_turn has the bits of. If
 * there is a price, those after it are taken off the sum.
 */
static double
bound_sets(PromoCase *a, PromoBound *bound, const int64 *left,
		   uint64 available, uint64 in_turn, int count, const Promotion *price)
{
	BoundTurn turn = {.now = left, .price = price};
	double most;

	bound_split(a, in_turn, &turn);
	if (!bound->plain)
		turn.out = promo_cover_out(a, bound, available);
	most = bound_turn(a, bound, &turn);
	for (uint64 rest = available & ~in_turn; rest != 0; rest &= rest - 1)
	{
		int bit = pg_rightmost_one_pos64(rest);

		turn.adds[bit] = bound->alone[bit];
	}
	for (uint64 rest = bound->must; rest != 0; rest &= rest - 1)
		most += turn.adds[pg_rightmost_one_pos64(rest)];
	return most + promo_cover_weight(a, available & ~bound->must, turn.adds,
									 count - pg_popcount64(bound->must));
}

/*
 * Returns how much available promotions could take off, and their points be
 * worth, at most: count of them at most, room at most. Those that would take
 * nothing are left out of them; when one of these is in all sets, there is
 * none, and -1 is returned. A result that is not above enough may be larger
 * than it needs to be.
 */
int64
promo_bound(PromoCase *a, PromoBound *bound, const int64 *left,
			const int64 *used, uint64 *useful, int count, int64 room,
			int64 enough)
{
	int64 points;
	int64 most = 0;
	int64 result;
	uint64 in_turn = bound_each(a, bound, left, used, useful, &points);
	double error = 1e-3;
	const Promotion *price;

	if ((bound->must & ~*useful) != 0)
		return -1;
	for (int i = 0; i < a->cart.nlines; i++)
		most += left[i];
	error += (double) most * (a->nbits + 8) * BOUND_ERROR;
	result = Min(Min(most, room) + points,
				 promo_cover_alone(a, bound, *useful, count));
	price = bound_last_price(a, bound);
	for (int pass = price == NULL ? 1 : 0;
		 pass < 3 && in_turn != 0 && result > enough; pass++)
	{
		double sets;

		bound->plain = pass == 2;
		sets = bound_sets(a, bound, left, *useful, in_turn, count,
						  pass == 0 ? price : NULL);
		result = Min(result, (int64) (sets + error));
	}
	return result;
}
