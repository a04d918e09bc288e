/*
 * How many units of which lines a promotion may discount, when it is not
 * known which of the promotions before it are taken. Each uses units of the
 * lines it shares with others, so many of a line at most. A promotion that
 * takes nothing, whatever was used before, is in no set and uses none.
 */
#include "postgres.h"

#include "port/pg_bitutils.h"
#include "promo/promo.h"
#include "utils/float.h"

/* Units used before of which each number is tried. */
#define UNITS_TRIED 64

/* Returns how many units of a line are not used. */
static inline int64
units_free(const PromoCase *a, const int64 *used, int line)
{
	return a->cart.lines[line].quantity - used[line];
}

/* Returns how many units of the lines of a promotion are not used. */
static int64
units_free_of(const PromoCase *a, const Promotion *promotion,
			  const int64 *used)
{
	int64 free = 0;

	for (int i = 0; i < promotion->nlines; i++)
		free += units_free(a, used, promotion->lines[i]);
	return free;
}

/* Returns how many of so many units a promotion discounts at most. */
static int64
units_get(const Promotion *promotion, int64 free)
{
	const PromoDiscount *discount = &promotion->discount;

	if (discount->kind != PROMO_BUY_X_GET_Y)
		return Min(discount->get, free);
	if (discount->buy_of.data == NULL)
		free = free / (discount->buy + discount->get) * discount->get;
	return Min(discount->times * discount->get,
			   free / discount->get * discount->get);
}

/* Finds which promotions that count units share lines; makes room for them. */
void
promo_units_start(const PromoCase *a, PromoBound *bound)
{
	uint64 *lines = palloc0(Max(a->cart.nlines, 1) * sizeof(uint64));

	bound->uses = palloc0(Max(a->cart.nlines, 1) * sizeof(int64));
	bound->used = palloc0(Max(a->cart.nlines, 1) * sizeof(int64));
	for (int pass = 0; pass < 2; pass++)
		for (int bit = 0; bit < a->nbits; bit++)
		{
			const Promotion *one = a->ordered[bit];
			int n = one->nlines + one->nbuy;

			if (!promo_counts_units(one))
				continue;
			if (pass == 0)
			{
				bound->units[bit].picked = palloc(n * sizeof(int64));
				bound->units[bit].used = palloc(n * sizeof(int64));
			}
			for (int i = 0; i < n; i++)
			{
				int line = i < one->nlines ? one->lines[i]
										   : one->buy_lines[i - one->nlines];

				if (pass == 0)
					lines[line] |= UINT64CONST(1) << bit;
				else
					bound->units[bit].rivals |= lines[line];
			}
		}
	pfree(lines);
}

/*
 * Finds the most units of each line that are among the first so many of a
 * promotion, the cheapest first or the dearest: others leave it at least what
 * they do not use of the lines that come first.
 */
static void
units_reach(const PromoCase *a, const PromoBound *bound,
			const Promotion *promotion, const int64 *used, int64 count,
			int64 *reached)
{
	bool dearest = promotion->discount.kind == PROMO_DEAREST;
	int n = promotion->nlines;

	for (int i = 0; i < n; i++)
	{
		int at = promotion->by_price[dearest ? n - 1 - i : i];
		int64 free = units_free(a, used, promotion->lines[at]);

		reached[at] = Min(free, count);
		count -= Min(Max(free - bound->uses[promotion->lines[at]], 0), count);
	}
}

/* Finds the most units of each line that a promotion may use. */
static void
units_use(const PromoCase *a, const PromoBound *bound,
		  const Promotion *promotion, const int64 *used)
{
	const PromoDiscount *discount = &promotion->discount;
	const PromoUnits *units = &bound->units[promotion->bit];
	int64 *reached = units->used + promotion->nlines;
	int64 buy = 0;

	if (discount->kind == PROMO_BUY_X_GET_Y)
		buy = units->get / discount->get * discount->buy;
	if (discount->buy_of.data == NULL)
	{
		units_reach(a, bound, promotion, used, units->get + buy, units->used);
		return;
	}
	memcpy(units->used, units->picked, promotion->nlines * sizeof(int64));
	for (int i = 0; i < promotion->nbuy; i++)
	{
		int line = promotion->buy_lines[i];
		int64 free = units_free(a, used, line);

		reached[i] = Min(free, buy);
		buy -= Min(Max(free - bound->uses[line], 0), buy);
	}
}

/* Adds what promotions may use, or takes it away again. */
static void
units_add(const PromoCase *a, PromoBound *bound, uint64 promotions, int sign)
{
	for (; promotions != 0; promotions &= promotions - 1)
	{
		const Promotion *promotion =
			a->ordered[pg_rightmost_one_pos64(promotions)];
		const int64 *used = bound->units[promotion->bit].used;

		for (int i = 0; i < promotion->nlines; i++)
			bound->uses[promotion->lines[i]] += sign * used[i];
		for (int i = 0; i < promotion->nbuy; i++)
			bound->uses[promotion->buy_lines[i]] +=
				sign * used[promotion->nlines + i];
		bound->work += promotion->nlines + promotion->nbuy;
	}
}

/* Returns what units cost that come after so many of the cheapest. */
static double
units_after(const PromoCase *a, const Promotion *promotion, const int64 *used,
			int64 skip, int64 get)
{
	double sum = 0;

	for (int i = 0; i < promotion->nlines && get > 0; i++)
	{
		int line = promotion->lines[promotion->by_price[i]];
		int64 free = units_free(a, used, line);
		int64 units = Min(Max(free - skip, 0), get);

		skip -= Min(free, skip);
		get -= units;
		sum += (double) units * a->cart.lines[line].price;
	}
	return sum;
}

/*
 * Returns what the units cost at most that a promotion discounts, of those it
 * also makes the customer buy. What others use leaves it dearer ones, but
 * fewer.
 */
static double
units_dearest(const PromoCase *a, const PromoBound *bound,
			  const Promotion *promotion, const int64 *used)
{
	int64 free = units_free_of(a, promotion, used);
	int64 others = 0;
	double most = 0;

	for (int i = 0; i < promotion->nlines; i++)
		others += Min(bound->uses[promotion->lines[i]],
					  units_free(a, used, promotion->lines[i]));
	if (others > UNITS_TRIED)
		return get_float8_infinity();
	for (int64 n = 0; n <= others; n++)
		most = Max(most, units_after(a, promotion, used, n,
									 units_get(promotion, free - n)));
	return most;
}

/* Returns what a promotion takes off the units that it may reach, at most. */
static int64
units_most(const PromoCase *a, const PromoBound *bound,
		   const Promotion *promotion, const int64 *left, const int64 *used)
{
	const PromoUnits *units = &bound->units[promotion->bit];
	double sum = 0;
	double dearest = 0;
	double initial = 0;
	int64 rest = units->get;
	int n = 0;

	for (int i = promotion->nlines - 1; i >= 0; i--)
	{
		int at = promotion->by_price[i];
		const PromoLine *line = &a->cart.lines[promotion->lines[at]];
		int64 picked = units->picked[at];
		double unit = (double) left[promotion->lines[at]] / line->quantity;

		if (unit == 0 || picked == 0)
			continue;
		if (promotion->initial)
			unit = line->price;
		n++;
		sum += picked * unit;
		dearest = Max(dearest, unit);
		picked = Min(picked, rest);
		rest -= picked;
		initial += (double) picked * line->price;
	}
	if (sum == 0)
		return 0;
	if (promotion->discount.kind == PROMO_BUY_X_GET_Y &&
		promotion->discount.buy_of.data == NULL)
		initial = Min(initial, units_dearest(a, bound, promotion, used));
	sum = Min(Min(sum, initial), units->get * dearest) + n;
	sum *= (double) promotion->discount.percent / PROMO_WHOLE;
	sum += 1 + sum * 1e-12;
	return promotion->discount.cap == PROMO_NONE
			   ? (int64) sum
			   : Min((int64) sum, promotion->discount.cap);
}

/*
 * Returns how many units of its lines a promotion that is taken leaves at
 * most, whatever was used before.
 */
static int64
units_rest(const PromoCase *a, const Promotion *promotion, const int64 *used)
{
	const PromoDiscount *discount = &promotion->discount;
	int64 free = units_free_of(a, promotion, used);
	int64 each = discount->buy + discount->get;

	if (discount->kind != PROMO_BUY_X_GET_Y || discount->buy_of.data != NULL)
		return Max(free - discount->get, 0);
	return Max(Min(free, each - 1), free - each * discount->times);
}

/*
 * Leaves a promotion no more units of the lines of one that is taken before
 * than that leaves; returns how many fewer it has.
 */
static int64
units_leave(const PromoCase *a, PromoBound *bound, const Promotion *promotion,
			const Promotion *before, const int64 *used)
{
	int64 *picked = bound->units[promotion->bit].picked;
	int64 rest = bound->units[before->bit].rest;
	int64 shared = 0;

	for (int i = 0, j = 0; i < promotion->nlines && j < before->nlines;)
	{
		int line = promotion->lines[i];

		if (line < before->lines[j])
			i++;
		else if (line > before->lines[j])
			j++;
		else
		{
			shared += units_free(a, used, line);
			picked[i] = Min(picked[i], rest);
			i++;
			j++;
		}
	}
	bound->work += promotion->nlines + before->nlines;
	return Max(shared - rest, 0);
}

/* Finds the units that a promotion reaches after others. */
static void
units_find(const PromoCase *a, PromoBound *bound, const Promotion *promotion,
		   const int64 *used, uint64 before)
{
	PromoUnits *units = &bound->units[promotion->bit];
	int64 free = units_free_of(a, promotion, used);
	int64 fewer = 0;

	units_reach(a, bound, promotion, used, units_get(promotion, free),
				units->picked);
	for (before &= bound->must; before != 0; before &= before - 1)
		fewer =
			Max(fewer,
				units_leave(a, bound, promotion,
							a->ordered[pg_rightmost_one_pos64(before)], used));
	units->get = units_get(promotion, free - fewer);
	for (int i = 0; i < promotion->nlines; i++)
		units->picked[i] = Min(units->picked[i], units->get);
}

/*
 * Returns what a promotion takes at most, after some of those that are
 * available and come before it, of which before has the bits.
 */
int64
promo_units(PromoCase *a, PromoBound *bound, const Promotion *promotion,
			const int64 *left, const int64 *used, uint64 before)
{
	PromoUnits *units = &bound->units[promotion->bit];
	uint64 rivals = units->rivals & before;
	uint64 excluded = rivals & a->conflicts[promotion->bit];
	uint64 mask = UINT64CONST(1) << promotion->bit;
	int64 most;
	int64 points;
	int64 times = 0;

	units_add(a, bound, excluded, -1);
	units->shared = (rivals & ~excluded & ~bound->known) != 0;
	if (units->shared)
	{
		units_find(a, bound, promotion, used, rivals & ~excluded);
		most = units_most(a, bound, promotion, left, used);
	}
	else
	{
		most = promo_amount(a, promotion, left, bound->used, &points);
		memcpy(units->picked, a->picked, promotion->nlines * sizeof(int64));
		units->get = 0;
		for (int i = 0; i < promotion->nlines; i++)
			units->get += units->picked[i];
		if (promotion->discount.kind == PROMO_BUY_X_GET_Y)
			times = units->get / promotion->discount.get;
	}
	if (most > 0)
	{
		units_use(a, bound, promotion, used);
		units->rest = units_rest(a, promotion, used);
	}
	units_add(a, bound, excluded, 1);
	if (most > 0)
		units_add(a, bound, mask, 1);
	if (!units->shared && (bound->must & mask) != 0)
	{
		promo_use(a, promotion, bound->used, times, units->picked);
		bound->known |= mask;
	}
	return most;
}
