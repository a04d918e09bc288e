/* Which lines a promotion applies to, and whether a cart qualifies. */
#include "postgres.h"

#include "miscadmin.h"
#include "promo/promo.h"
#include "utils/builtins.h"

/* Keys that are of a line itself, not of its attributes. */
static const PromoText select_own[] = {{"id", 2}, {"product", 7}, {"kind", 4}};

/* Tells whether two scalars are equal. */
static bool
select_equal(const JsonbValue *a, const JsonbValue *b)
{
	if (a->type != b->type)
		return false;
	if (a->type == jbvString)
		return a->val.string.len == b->val.string.len &&
			   memcmp(a->val.string.val, b->val.string.val,
					  a->val.string.len) == 0;
	if (a->type == jbvNumeric)
		return DatumGetBool(
			DirectFunctionCall2(numeric_eq, NumericGetDatum(a->val.numeric),
								NumericGetDatum(b->val.numeric)));
	return a->val.boolean == b->val.boolean;
}

/* Finds what a line has under a key; false when nothing. */
static bool
select_value(const PromoLine *line, PromoText key, JsonbValue *value)
{
	if (promo_text_equal(key, select_own[0]))
	{
		value->type = jbvString;
		value->val.string.val = unconstify(char *, line->id.data);
		value->val.string.len = line->id.length;
		return true;
	}
	if (promo_text_equal(key, select_own[1]) ||
		promo_text_equal(key, select_own[2]))
		return getKeyJsonValueFromContainer(line->object, key.data, key.length,
											value) != NULL;
	return line->attributes != NULL &&
		   getKeyJsonValueFromContainer(line->attributes, key.data, key.length,
										value) != NULL;
}

/* Raises the error for a value that a line cannot be compared with. */
static void
select_check(const PromoItem *item, JsonbValue *value)
{
	if (!promo_item_scalar(item, value))
		promo_item_refuse(item, "a text, a number or a boolean");
}

/* Tells whether a line has one of the values of a condition. */
static bool
select_holds(const PromoLine *line, const PromoItem *condition)
{
	PromoWalk walk;
	PromoItem item;
	JsonbValue has;
	JsonbValue wanted;
	bool known = select_value(line, condition->key, &has);

	if (!promo_item_is_list(condition))
	{
		select_check(condition, &wanted);
		return known && select_equal(&has, &wanted);
	}
	(void) promo_walk_list(&walk, condition,
						   promo_text_equal(condition->key, select_own[0])
							   ? PROMO_LINES_MAX
							   : PROMO_LIST_MAX);
	while (promo_walk_next(&walk, &item))
	{
		select_check(&item, &wanted);
		if (known && select_equal(&has, &wanted))
			return true;
	}
	return false;
}

/* Tells whether a line fulfils all conditions, or any of them. */
static bool
select_line(const PromoLine *line, const PromoItem *conditions, bool any)
{
	PromoWalk walk;
	PromoItem item;

	promo_walk(&walk, conditions);
	while (promo_walk_next(&walk, &item))
		if (select_holds(line, &item) == any)
			return any;
	return !any;
}

/* Finds the lines that fulfil conditions and no exception. */
static int *
select_lines(const PromoCart *cart, const PromoItem *conditions,
			 const PromoItem *except, const Promotion *restricted, int *n)
{
	int *lines = palloc(Max(cart->nlines, 1) * sizeof(int));

	*n = 0;
	for (int i = 0; i < cart->nlines; i++)
	{
		const PromoLine *line = &cart->lines[i];

		CHECK_FOR_INTERRUPTS();
		if (conditions->data != NULL && !select_line(line, conditions, false))
			continue;
		if (except->data != NULL && select_line(line, except, true))
			continue;
		if (restricted != NULL && !promo_restrict_line(cart, restricted, i))
			continue;
		lines[(*n)++] = i;
	}
	return lines;
}

/* Checks conditions as far as no line is needed for that. */
static void
select_check_conditions(const PromoItem *conditions)
{
	static const PromoLine none = {.id = {.data = "", .length = 0}};
	PromoWalk walk;
	PromoItem item;
	PromoLine line = none;
	JsonbContainer empty = {.header = JB_FOBJECT};

	if (conditions->data == NULL)
		return;
	line.object = &empty;
	promo_walk(&walk, conditions);
	while (promo_walk_next(&walk, &item))
		(void) select_holds(&line, &item);
}

/* Checks the conditions of a promotion. */
void
promo_select_check(const Promotion *promotion)
{
	select_check_conditions(&promotion->applies_to);
	select_check_conditions(&promotion->except);
	select_check_conditions(&promotion->discount.buy_of);
}

/* Compares lines by the price of a unit, then by their place. */
static int
compare_price(const void *a, const void *b, void *arg)
{
	const PromoLine *lines = arg;
	int one = *(const int *) a;
	int other = *(const int *) b;

	if (lines[one].price != lines[other].price)
		return lines[one].price < lines[other].price ? -1 : 1;
	return one - other;
}

/* Sorts the lines of a promotion that counts units by the price of one. */
static void
select_sort(PromoCart *cart, Promotion *promotion)
{
	int n = promotion->nlines;
	int *place = palloc(Max(cart->nlines, 1) * sizeof(int));
	int *sorted = palloc(Max(n, 1) * sizeof(int));

	for (int i = 0; i < n; i++)
	{
		sorted[i] = promotion->lines[i];
		place[sorted[i]] = i;
	}
	qsort_arg(sorted, n, sizeof(int), compare_price, cart->lines);
	for (int i = 0; i < n; i++)
		sorted[i] = place[sorted[i]];
	promotion->by_price = sorted;
	qsort_arg(promotion->buy_lines, promotion->nbuy, sizeof(int),
			  compare_price, cart->lines);
	pfree(place);
}

/* Takes the lines to buy out of those that are given. */
static void
select_apart(const PromoCart *cart, Promotion *promotion)
{
	bool *bought = palloc0(Max(cart->nlines, 1) * sizeof(bool));
	int n = 0;

	for (int i = 0; i < promotion->nbuy; i++)
		bought[promotion->buy_lines[i]] = true;
	for (int i = 0; i < promotion->nlines; i++)
		if (!bought[promotion->lines[i]])
			promotion->lines[n++] = promotion->lines[i];
	promotion->nlines = n;
	pfree(bought);
}

/* Returns how many units lines have. */
static int64
select_units(const PromoCart *cart, const int *lines, int n)
{
	int64 units = 0;

	for (int i = 0; i < n; i++)
		units += cart->lines[lines[i]].quantity;
	return units;
}

/* Makes of a tiered discount that of its band. */
static void
select_band(Promotion *promotion)
{
	PromoDiscount *discount = &promotion->discount;
	int64 measure = discount->by_spend ? promotion->spend : promotion->units;

	for (int i = 0; i < discount->nbands; i++)
	{
		const PromoBand *band = &discount->bands[i];

		if (measure < band->from)
		{
			promotion->missing_band = band->from - measure;
			return;
		}
		if (band->to != PROMO_NONE && measure >= band->to)
			continue;
		discount->kind =
			band->percent > 0 ? PROMO_PERCENTAGE : PROMO_FIXED_AMOUNT;
		discount->percent = band->percent;
		discount->amount = band->amount;
		return;
	}
	promotion->missing_band = PROMO_NONE;
}

/* Notes how many units are missing from a promotion that counts them. */
static void
select_enough(const PromoCart *cart, Promotion *promotion)
{
	const PromoDiscount *discount = &promotion->discount;
	int64 buy;

	if (discount->kind != PROMO_BUY_X_GET_Y)
		return;
	if (discount->buy_of.data == NULL)
	{
		promotion->missing_units =
			Max(discount->buy + discount->get - promotion->units, 0);
		return;
	}
	buy = select_units(cart, promotion->buy_lines, promotion->nbuy);
	promotion->missing_units =
		Max(discount->buy - buy, 0) + Max(discount->get - promotion->units, 0);
}

/* Notes what the cart lacks of the minimum of a promotion. */
static void
select_minimum(const PromoCart *cart, Promotion *promotion)
{
	int64 spend = promotion->spend;
	int64 units = promotion->units;

	if (promotion->min_of_cart)
	{
		spend = cart->amount;
		if (promotion->min_quantity > 0)
		{
			units = 0;
			for (int i = 0; i < cart->nlines; i++)
				units += cart->lines[i].quantity;
		}
	}
	promotion->missing_purchase = Max(promotion->min_purchase - spend, 0);
	promotion->missing_quantity = Max(promotion->min_quantity - units, 0);
}

/* Finds the lines of a promotion and what the cart lacks for it. */
static void
select_promotion(PromoCase *a, Promotion *promotion)
{
	static const PromoItem none = {.data = NULL};
	PromoCart *cart = &a->cart;
	PromoDiscount *discount = &promotion->discount;

	promo_select_check(promotion);
	promo_restrict(cart, promotion);
	promotion->lines =
		select_lines(cart, &promotion->applies_to, &promotion->except,
					 promotion, &promotion->nlines);
	if (promotion->nlines == 0)
		promo_restrict_lines(cart, promotion);
	if (discount->buy_of.data != NULL)
	{
		promotion->buy_lines = select_lines(cart, &discount->buy_of, &none,
											NULL, &promotion->nbuy);
		select_apart(cart, promotion);
	}
	for (int i = 0; i < promotion->nlines; i++)
		promotion->spend += cart->lines[promotion->lines[i]].amount;
	promotion->units = select_units(cart, promotion->lines, promotion->nlines);
	if (promotion->wrong_currency)
		return;
	select_minimum(cart, promotion);
	if (discount->kind == PROMO_TIERED)
		select_band(promotion);
	select_enough(cart, promotion);
	if (promo_counts_units(promotion))
		select_sort(cart, promotion);
	promotion->eligible =
		promotion->nlines > 0 &&
		(promotion->restricted == NULL ||
		 promotion->restricted->failed == 0) &&
		promotion->missing_purchase == 0 && promotion->missing_quantity == 0 &&
		promotion->missing_units == 0 && promotion->missing_band == 0;
}

/* Finds the lines of all promotions and what the cart lacks for each. */
void
promo_select(PromoCase *a)
{
	for (int i = 0; i < a->n; i++)
	{
		select_promotion(a, &a->promotions[i]);
		a->with_units |=
			a->promotions[i].eligible && promo_counts_units(&a->promotions[i]);
	}
}
