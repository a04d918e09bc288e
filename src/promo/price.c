/*
 * Applies a promotion to what is left of the lines. What it takes off in all
 * is rounded once, half away from zero, and parted over its lines by largest
 * remainder, so that lines add up to promotions and no line falls below zero.
 *
 * What a promotion takes never grows when less is left, which the bounds of
 * the search need.
 */
#include "postgres.h"

#include "common/int.h"
#include "promo/promo.h"

/* Half of PROMO_WHOLE. */
#define PRICE_HALF (PROMO_WHOLE / 2)

/* Tells whether what a promotion takes depends on units that are free. */
bool
promo_counts_units(const Promotion *promotion)
{
	PromoKind kind = promotion->discount.kind;

	return kind >= PROMO_BUY_X_GET_Y && kind <= PROMO_FREE;
}

/* Returns what points are worth, rounded half away from zero. */
int64
promo_points_worth(const PromoCase *a, int64 points)
{
	int128 worth = (int128) points * a->policy.point_value;
	int scale = PROMO_POINT_SCALE - a->cart.minor_unit;
	int64 unit = 1;

	for (; scale > 0; scale--)
		unit *= 10;
	return (int64) ((worth + unit / 2) / unit);
}

/* Picks up to n units of lines, in an order, that are not yet used. */
static int64
price_pick(const PromoCase *a, const Promotion *promotion, const int64 *used,
		   int64 n, bool dearest, int64 *picked)
{
	int64 rest = n;

	for (int i = 0; i < promotion->nlines && rest > 0; i++)
	{
		int at = promotion->by_price[dearest ? promotion->nlines - 1 - i : i];
		int line = promotion->lines[at];
		int64 units = Min(a->cart.lines[line].quantity - used[line], rest);

		picked[at] = units;
		rest -= units;
	}
	return n - rest;
}

/* Returns how many units of lines are not yet used. */
static int64
price_free_units(const PromoCase *a, const int *lines, int n,
				 const int64 *used)
{
	int64 units = 0;

	for (int i = 0; i < n; i++)
		units += a->cart.lines[lines[i]].quantity - used[lines[i]];
	return units;
}

/* Returns how often buy-x-get-y can be had. */
static int64
price_times(const PromoCase *a, const Promotion *promotion, const int64 *used)
{
	const PromoDiscount *discount = &promotion->discount;
	int64 get = price_free_units(a, promotion->lines, promotion->nlines, used);
	int64 buy;

	if (discount->buy_of.data == NULL)
		return Min(discount->times, get / (discount->buy + discount->get));
	buy = price_free_units(a, promotion->buy_lines, promotion->nbuy, used);
	return Min(discount->times, Min(get / discount->get, buy / discount->buy));
}

/* Picks the units that a promotion discounts; returns how often it applies. */
int64
promo_pick(const PromoCase *a, const Promotion *promotion, const int64 *used,
		   int64 *picked)
{
	const PromoDiscount *discount = &promotion->discount;
	int64 times = 1;

	memset(picked, 0, promotion->nlines * sizeof(int64));
	if (discount->kind == PROMO_BUY_X_GET_Y)
		times = price_times(a, promotion, used);
	(void) price_pick(a, promotion, used, times * discount->get,
					  discount->kind == PROMO_DEAREST, picked);
	return times;
}

/* Marks the units as used that were picked, and those that were bought. */
void
promo_use(const PromoCase *a, const Promotion *promotion, int64 *used,
		  int64 times, const int64 *picked)
{
	int64 rest = 0;

	for (int i = 0; i < promotion->nlines; i++)
		used[promotion->lines[i]] += picked[i];
	if (promotion->discount.kind == PROMO_BUY_X_GET_Y)
		rest = times * promotion->discount.buy;
	for (int i = 0; rest > 0; i++)
	{
		int line = promotion->discount.buy_of.data == NULL
					   ? promotion->lines[promotion->by_price[i]]
					   : promotion->buy_lines[i];
		int64 units = Min(a->cart.lines[line].quantity - used[line], rest);

		used[line] += units;
		rest -= units;
	}
}

/* Returns the share of some units in what is left of a line, rounded. */
static int64
price_share(int64 left, int64 units, int64 quantity)
{
	int64 product;

	if (units == quantity)
		return left;
	if (!pg_mul_s64_overflow(2 * left, units, &product) &&
		product <= PG_INT64_MAX - quantity)
		return (product + quantity) / (2 * quantity);
	return (int64) (((int128) 2 * left * units + quantity) / (2 * quantity));
}

/*
 * Returns what a promotion takes off line number i of its own, by itself, in
 * units of *scale to the minor unit.
 */
static inline int64
price_line(const PromoCase *a, const Promotion *promotion, int i,
		   const int64 *left)
{
	const PromoDiscount *discount = &promotion->discount;
	int at = promotion->lines[i];
	const PromoLine *line = &a->cart.lines[at];

	switch (discount->kind)
	{
		case PROMO_PERCENTAGE:
			if (promotion->initial && !promotion->order)
				return Min(line->amount * discount->percent,
						   left[at] * PROMO_WHOLE);
			return left[at];
		case PROMO_FIXED_AMOUNT:
			return promotion->order ? left[at]
									: Min(discount->amount, left[at]);
		case PROMO_FIXED_PRICE:
			if (promotion->order)
				return left[at];
			return discount->amount >= line->price
					   ? 0
					   : Max(left[at] - discount->amount * line->quantity, 0);
		case PROMO_PER_UNIT:
			return discount->amount >= line->price
					   ? left[at]
					   : Min(discount->amount * line->quantity, left[at]);
		default:
			if (promotion->initial)
				return Min(a->picked[i] * line->price * discount->percent,
						   left[at] * PROMO_WHOLE);
			return price_share(left[at], a->picked[i], line->quantity);
	}
}

/*
 * Returns the sum that the weights of a promotion's lines come to as an
 * amount, before caps: rounded half away from zero.
 */
static int64
price_total(const PromoCase *a, const Promotion *promotion, int64 sum)
{
	const PromoDiscount *discount = &promotion->discount;
	bool units = promo_counts_units(promotion);

	if (discount->kind == PROMO_PERCENTAGE || units)
	{
		if (promotion->initial && (units || !promotion->order))
			return (sum + PRICE_HALF) / PROMO_WHOLE;
		if (promotion->initial)
			return Min((promotion->spend * discount->percent + PRICE_HALF) /
						   PROMO_WHOLE,
					   sum);
		return (sum * discount->percent + PRICE_HALF) / PROMO_WHOLE;
	}
	if (promotion->order && discount->kind == PROMO_FIXED_AMOUNT)
		return Min(discount->amount, sum);
	if (promotion->order && discount->kind == PROMO_FIXED_PRICE)
		return Max(sum - discount->amount, 0);
	return sum;
}

/* Returns how many points a promotion gives. */
static int64
price_points(const PromoCase *a, const Promotion *promotion, const int64 *left)
{
	const PromoDiscount *discount = &promotion->discount;
	int64 spend = promotion->spend;

	if (discount->per == PROMO_NONE)
		return discount->points;
	if (!promotion->initial)
	{
		spend = 0;
		for (int i = 0; i < promotion->nlines; i++)
			spend += left[promotion->lines[i]];
	}
	if (spend / discount->per > PROMO_POINTS_MAX / discount->points)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("promotion gives more than " INT64_FORMAT " points",
						PROMO_POINTS_MAX),
				 promo_place(&promotion->item)));
	return spend / discount->per * discount->points;
}

/*
 * Returns what a promotion takes off, its weights, their sum and how often it
 * applies.
 */
static int64
price_weigh(PromoCase *a, const Promotion *promotion, const int64 *left,
			const int64 *used, int64 *sum, int64 *times)
{
	const PromoDiscount *discount = &promotion->discount;
	int64 total;

	*sum = 0;
	*times = 0;
	if (promo_counts_units(promotion))
		*times = promo_pick(a, promotion, used, a->picked);
	for (int i = 0; i < promotion->nlines; i++)
	{
		a->weights[i] = price_line(a, promotion, i, left);
		*sum += a->weights[i];
	}
	total = price_total(a, promotion, *sum);
	return discount->cap == PROMO_NONE ? total : Min(total, discount->cap);
}

/* Returns what a promotion takes off, and its points, without doing it. */
int64
promo_amount(PromoCase *a, const Promotion *promotion, const int64 *left,
			 const int64 *used, int64 *points)
{
	int64 sum;
	int64 times;

	*points = 0;
	if (promotion->discount.kind == PROMO_POINTS)
	{
		*points = price_points(a, promotion, left);
		return 0;
	}
	return price_weigh(a, promotion, left, used, &sum, &times);
}

/* Returns a * b / c and what remains. */
static inline int64
price_divide(int64 a, int64 b, int64 c, int64 *remainder)
{
	int64 product;
	int128 wide;

	if (!pg_mul_s64_overflow(a, b, &product))
	{
		*remainder = product % c;
		return product / c;
	}
	wide = (int128) a * b;
	*remainder = (int64) (wide % c);
	return (int64) (wide / c);
}

/* A line that may get a minor unit more. */
typedef struct PriceRest
{
	int64 remainder;
	int at;
} PriceRest;

/* Compares by the remainder, the largest first, then by place. */
static int
compare_rest(const void *a, const void *b)
{
	const PriceRest *one = a;
	const PriceRest *other = b;

	if (one->remainder != other->remainder)
		return one->remainder > other->remainder ? -1 : 1;
	return one->at - other->at;
}

/* Hands out the minor units that rounding down left over. */
static void
price_hand_out(const PromoCase *a, const Promotion *promotion, int64 *left,
			   int64 *lines, PriceRest *rests, int64 rest)
{
	int n = promotion->nlines;

	qsort(rests, n, sizeof(PriceRest), compare_rest);
	for (int i = 0; rest > 0; i = (i + 1) % n)
	{
		int at = promotion->lines[rests[i].at];

		if (left[at] == 0 || a->weights[rests[i].at] == 0)
			continue;
		left[at]--;
		if (lines != NULL)
			lines[at]++;
		rest--;
	}
}

/* Parts a total over the lines of a promotion by their weights. */
static void
price_part(PromoCase *a, const Promotion *promotion, int64 *left, int64 total,
		   int64 sum, int64 *lines)
{
	PriceRest few[16];
	PriceRest *rests = promotion->nlines <= lengthof(few)
						   ? few
						   : palloc(promotion->nlines * sizeof(PriceRest));
	int64 rest = total;

	for (int i = 0; i < promotion->nlines; i++)
	{
		int at = promotion->lines[i];
		int64 share =
			price_divide(total, a->weights[i], sum, &rests[i].remainder);

		rests[i].at = i;
		share = Min(share, left[at]);
		left[at] -= share;
		if (lines != NULL)
			lines[at] += share;
		rest -= share;
	}
	if (rest > 0)
		price_hand_out(a, promotion, left, lines, rests, rest);
	if (rests != few)
		pfree(rests);
}

/*
 * Applies a promotion: changes what is left of the lines and which units are
 * used, and adds what it takes off each line to lines, unless that is NULL.
 * It takes room at most.
 */
PromoTaken
promo_apply(PromoCase *a, const Promotion *promotion, int64 *left, int64 *used,
			int64 room, int64 *lines)
{
	PromoTaken taken = {0};
	int64 sum;
	int64 times;

	if (promotion->discount.kind == PROMO_POINTS)
	{
		taken.points = price_points(a, promotion, left);
		taken.benefit = promo_points_worth(a, taken.points);
		return taken;
	}
	taken.total = price_weigh(a, promotion, left, used, &sum, &times);
	taken.total = Min(taken.total, room);
	taken.benefit = taken.total;
	if (taken.total == 0)
		return taken;
	if (promo_counts_units(promotion))
		promo_use(a, promotion, used, times, a->picked);
	price_part(a, promotion, left, taken.total, sum, lines);
	return taken;
}
