/* Writes what was found: promotions, lines, and why others were left out. */
#include "postgres.h"

#include "port/pg_bitutils.h"
#include "promo/promo.h"
#include "utils/numeric.h"

/* Names of the bits of PromoClash. */
const char *const promo_clash_names[] = {"stackable", "excludes",
										 "exclusive_category", "category"};

/* The JSON that is written. */
typedef struct Result
{
	JsonbParseState *state;
	JsonbValue *value;
	int minor_unit;
} Result;

/* Writes the start or end of an object or list. */
static void
put(Result *out, JsonbIteratorToken token)
{
	out->value = pushJsonbValue(&out->state, token, NULL);
}

/* Writes a text as key or value. */
static void
put_text(Result *out, JsonbIteratorToken token, const char *text, int length)
{
	JsonbValue value = {.type = jbvString};

	value.val.string.val = unconstify(char *, text);
	value.val.string.len = length;
	out->value = pushJsonbValue(&out->state, token, &value);
}

/* Writes a key. */
static void
put_key(Result *out, const char *key)
{
	put_text(out, WJB_KEY, key, strlen(key));
}

/* Writes a number of so many decimals. */
static void
put_scaled(Result *out, JsonbIteratorToken token, int64 number, int scale)
{
	JsonbValue value = {.type = jbvNumeric};

	value.val.numeric = scale == 0 ? int64_to_numeric(number)
								   : int64_div_fast_to_numeric(number, scale);
	out->value = pushJsonbValue(&out->state, token, &value);
}

/* Writes a key and a whole number. */
static void
put_number(Result *out, const char *key, int64 number)
{
	put_key(out, key);
	put_scaled(out, WJB_VALUE, number, 0);
}

/* Writes a key and an amount of money. */
static void
put_money(Result *out, const char *key, int64 amount)
{
	put_key(out, key);
	put_scaled(out, WJB_VALUE, amount, out->minor_unit);
}

/* Writes a key and a text. */
static void
put_field(Result *out, const char *key, const char *text)
{
	put_key(out, key);
	put_text(out, WJB_VALUE, text, strlen(text));
}

/* Writes a key and null. */
static void
put_null(Result *out, const char *key)
{
	JsonbValue value = {.type = jbvNull};

	put_key(out, key);
	out->value = pushJsonbValue(&out->state, WJB_VALUE, &value);
}

/* Writes a key and the ids of a set of promotions. */
static void
put_ids(Result *out, const char *key, const PromoCase *a, uint64 mask)
{
	put_key(out, key);
	put(out, WJB_BEGIN_ARRAY);
	for (; mask != 0; mask &= mask - 1)
		put_scaled(out, WJB_ELEM, a->ordered[pg_rightmost_one_pos64(mask)]->id,
				   0);
	put(out, WJB_END_ARRAY);
}

/* Writes the codes of a set of promotions, of those that have one. */
static void
put_codes(Result *out, const PromoCase *a, uint64 mask)
{
	put_key(out, "codes");
	put(out, WJB_BEGIN_ARRAY);
	for (; mask != 0; mask &= mask - 1)
	{
		PromoText code = a->ordered[pg_rightmost_one_pos64(mask)]->code;

		if (code.data != NULL)
			put_text(out, WJB_ELEM, code.data, code.length);
	}
	put(out, WJB_END_ARRAY);
}

/* Writes id and code of a promotion. */
static void
put_promotion(Result *out, const Promotion *promotion)
{
	put_number(out, "id", promotion->id);
	if (promotion->code.data == NULL)
		return;
	put_key(out, "code");
	put_text(out, WJB_VALUE, promotion->code.data, promotion->code.length);
}

/* Writes what a promotion takes off the lines. */
static void
put_taken(Result *out, const PromoCase *a, const Promotion *promotion,
		  PromoTaken taken, const int64 *lines)
{
	put(out, WJB_BEGIN_OBJECT);
	put_promotion(out, promotion);
	put_money(out, "discount", taken.total);
	if (promotion->discount.kind == PROMO_POINTS)
		put_number(out, "points", taken.points);
	put_key(out, "lines");
	put(out, WJB_BEGIN_ARRAY);
	for (int i = 0; i < promotion->nlines; i++)
	{
		const PromoLine *line = &a->cart.lines[promotion->lines[i]];

		if (lines[promotion->lines[i]] == 0)
			continue;
		put(out, WJB_BEGIN_OBJECT);
		put_key(out, "id");
		put_text(out, WJB_VALUE, line->id.data, line->id.length);
		put_money(out, "discount", lines[promotion->lines[i]]);
		put(out, WJB_END_OBJECT);
	}
	put(out, WJB_END_ARRAY);
	put(out, WJB_END_OBJECT);
}

/* Applies and writes the promotions of a set; returns what is left. */
static int64 *
put_set(Result *out, PromoCase *a, uint64 mask, int64 *room, int64 *points)
{
	int nlines = Max(a->cart.nlines, 1);
	int64 *left = palloc0(3 * nlines * sizeof(int64));
	int64 *used = left + nlines;
	int64 *lines = used + nlines;

	*room = a->room;
	*points = 0;
	for (int i = 0; i < a->cart.nlines; i++)
		left[i] = a->cart.lines[i].amount;
	put_key(out, "promotions");
	put(out, WJB_BEGIN_ARRAY);
	for (; mask != 0; mask &= mask - 1)
	{
		const Promotion *promotion = a->ordered[pg_rightmost_one_pos64(mask)];
		PromoTaken taken;

		memset(lines, 0, nlines * sizeof(int64));
		taken = promo_apply(a, promotion, left, used, *room, lines);
		*room -= taken.total;
		*points += taken.points;
		put_taken(out, a, promotion, taken, lines);
	}
	put(out, WJB_END_ARRAY);
	return left;
}

/* Writes the lines and what is left of each; returns what is left in all. */
static int64
put_lines(Result *out, const PromoCase *a, const int64 *left)
{
	int64 sum = 0;

	put_key(out, "lines");
	put(out, WJB_BEGIN_ARRAY);
	for (int i = 0; i < a->cart.nlines; i++)
	{
		const PromoLine *line = &a->cart.lines[i];

		put(out, WJB_BEGIN_OBJECT);
		put_key(out, "id");
		put_text(out, WJB_VALUE, line->id.data, line->id.length);
		put_money(out, "amount", line->amount);
		put_money(out, "discount", line->amount - left[i]);
		put_money(out, "to_pay", left[i]);
		put(out, WJB_END_OBJECT);
		sum += left[i];
	}
	put(out, WJB_END_ARRAY);
	return sum;
}

/* Begins to write a reason. */
static void
begin_reason(Result *out, const char *reason)
{
	put(out, WJB_BEGIN_OBJECT);
	put_field(out, "reason", reason);
}

/* Writes a reason without anything more. */
static void
put_reason(Result *out, const char *reason)
{
	begin_reason(out, reason);
	put(out, WJB_END_OBJECT);
}

/* Writes a reason with how much is missing: an amount or a number. */
static void
put_missing(Result *out, const char *reason, int64 missing, bool money)
{
	begin_reason(out, reason);
	if (money)
		put_money(out, "missing", missing);
	else
		put_number(out, "missing", missing);
	put(out, WJB_END_OBJECT);
}

/* Writes a key with what an item has, a container or a scalar. */
static void
put_item(Result *out, JsonbIteratorToken token, const PromoItem *item)
{
	JsonbValue value;

	if (!promo_item_scalar(item, &value))
	{
		value.type = jbvBinary;
		value.val.binary.data = (JsonbContainer *) item->data;
		value.val.binary.len = item->length;
	}
	out->value = pushJsonbValue(&out->state, token, &value);
}

/* Writes reasons that somebody else gave. */
static void
put_refused(Result *out, const PromoItem *item)
{
	PromoWalk walk;
	PromoItem reason;

	(void) promo_walk_list(&walk, item, PROMO_LIST_MAX);
	while (promo_walk_next(&walk, &reason))
		put_item(out, WJB_ELEM, &reason);
}

/* Writes one end of the window that a cart was not made in. */
static void
put_window(Result *out, const PromoRestricted *restricted)
{
	const char *key = restricted->early ? "from" : "to";
	PromoItem end;

	begin_reason(out, restricted->early ? "not_started" : "expired");
	if (promo_item_find(&restricted->items[PROMO_R_VALID], key, &end))
	{
		put_key(out, key);
		put_item(out, WJB_VALUE, &end);
	}
	put(out, WJB_END_OBJECT);
}

/* Writes which restrictions keep a cart out, each with what it asks for. */
static void
put_restricted(Result *out, const PromoRestricted *restricted)
{
	uint32 failed = restricted->failed;

	for (; failed != 0; failed &= failed - 1)
	{
		int i = pg_rightmost_one_pos32(failed);
		const PromoItem *item = &restricted->items[i];

		if (i == PROMO_R_REFUSED)
			put_refused(out, item);
		else if (i == PROMO_R_VALID)
			put_window(out, restricted);
		else
		{
			begin_reason(out, promo_restriction_reasons[i]);
			put_text(out, WJB_KEY, item->key.data, item->key.length);
			put_item(out, WJB_VALUE, item);
			put(out, WJB_END_OBJECT);
		}
	}
}

/* Writes why a cart does not qualify for a promotion. */
static void
put_unqualified(Result *out, const Promotion *promotion)
{
	const PromoRestricted *restricted = promotion->restricted;

	if (restricted != NULL)
		put_restricted(out, restricted);
	if (promotion->wrong_currency)
	{
		begin_reason(out, "currency");
		put_field(out, "currency", promotion->currency);
		put(out, WJB_END_OBJECT);
	}
	/* No line has all that is asked for, and nothing alone is the cause. */
	if (promotion->nlines == 0 &&
		(restricted == NULL || restricted->failed >> PROMO_R_ROUTES == 0))
		put_reason(out, "no_line");
	if (promotion->missing_purchase > 0)
		put_missing(out, "min_purchase", promotion->missing_purchase, true);
	if (promotion->missing_quantity > 0)
		put_missing(out, "min_quantity", promotion->missing_quantity, false);
	if (promotion->missing_units > 0)
		put_missing(out, "units", promotion->missing_units, false);
	if (promotion->missing_band > 0)
		put_missing(out, "band", promotion->missing_band,
					promotion->discount.by_spend);
	if (promotion->missing_band < 0)
		put_reason(out, "beyond_bands");
}

/* Writes which promotions of a set exclude one, and by which rules. */
static uint64
put_excluded(Result *out, const PromoCase *a, const Promotion *promotion,
			 uint64 mask)
{
	uint64 by = 0;
	int rules = 0;

	for (; mask != 0; mask &= mask - 1)
	{
		int bit = pg_rightmost_one_pos64(mask);
		int clash = promo_clash(a, promotion, a->ordered[bit]);

		rules |= clash;
		if (clash != PROMO_CLASH_NONE)
			by |= UINT64CONST(1) << bit;
	}
	if (by == 0)
		return by;
	begin_reason(out, "excluded_by");
	put_ids(out, "promotions", a, by);
	put_codes(out, a, by);
	put_key(out, "rules");
	put(out, WJB_BEGIN_ARRAY);
	for (int i = 0; i < 4; i++)
		if ((rules & 1 << i) != 0)
			put_text(out, WJB_ELEM, promo_clash_names[i],
					 strlen(promo_clash_names[i]));
	put(out, WJB_END_ARRAY);
	put(out, WJB_END_OBJECT);
	return by;
}

/* Writes which limits a set has reached that keep a promotion out. */
static void
put_limits(Result *out, const PromoCase *a, const Promotion *promotion,
		   uint64 mask, int64 room)
{
	const PromoPolicy *policy = &a->policy;

	if (policy->max_promotions != PROMO_NONE &&
		pg_popcount64(mask) >= policy->max_promotions)
	{
		begin_reason(out, "max_promotions");
		put_number(out, "limit", policy->max_promotions);
		put(out, WJB_END_OBJECT);
	}
	for (int i = 0; i < policy->ncategories; i++)
	{
		const PromoCategory *category = &policy->categories[i];

		if (category->max <= 1 ||
			(promotion->categories & UINT64CONST(1) << i) == 0 ||
			pg_popcount64(mask & a->category_bits[i]) < category->max)
			continue;
		begin_reason(out, "category");
		put_key(out, "category");
		put_text(out, WJB_VALUE, category->name.data, category->name.length);
		put_number(out, "limit", category->max);
		put(out, WJB_END_OBJECT);
	}
	if (room == 0 && a->room < a->cart.amount)
		put_reason(out, "total_cap");
}

/* Returns the weakest promotion of a set. */
static int
weakest(const PromoCase *a, uint64 mask)
{
	const Promotion *found = a->ordered[pg_rightmost_one_pos64(mask)];

	for (mask &= mask - 1; mask != 0; mask &= mask - 1)
	{
		const Promotion *one = a->ordered[pg_rightmost_one_pos64(mask)];

		if (promo_compare_strength(&one, &found) > 0)
			found = one;
	}
	return found->bit;
}

/*
 * Writes what the set would give with a promotion that was left out, in the
 * place of those that exclude it and, while there are too many, the weakest.
 */
static void
put_with_it(Result *out, PromoCase *a, const Promotion *promotion, uint64 mask)
{
	uint64 bit = UINT64CONST(1) << promotion->bit;
	uint64 kept = mask & ~a->conflicts[promotion->bit];
	uint64 idle;
	PromoSet set;

	while (kept != 0 && !promo_fits(a, kept, promotion->bit))
		kept &= ~(UINT64CONST(1) << weakest(a, kept));
	if (!promo_fits(a, kept, promotion->bit))
		return;
	set = promo_price_mask(a, kept | bit, &idle);
	if ((idle & bit) != 0)
	{
		put_reason(out, "no_effect");
		return;
	}
	begin_reason(out, "not_best");
	put_money(out, "with_it", set.value);
	put_ids(out, "without", a, mask & ~kept);
	put(out, WJB_END_OBJECT);
}

/* Writes the promotions that were left out, each with all reasons. */
static void
put_left_out(Result *out, PromoCase *a, uint64 mask, int64 room)
{
	put_key(out, "left_out");
	put(out, WJB_BEGIN_ARRAY);
	for (int i = 0; i < a->n; i++)
	{
		const Promotion *promotion = a->by_id[i];

		if (promotion->bit != PROMO_NONE &&
			(mask & UINT64CONST(1) << promotion->bit) != 0)
			continue;
		put(out, WJB_BEGIN_OBJECT);
		put_promotion(out, promotion);
		put_key(out, "reasons");
		put(out, WJB_BEGIN_ARRAY);
		put_unqualified(out, promotion);
		if (promotion->beyond)
		{
			begin_reason(out, "too_many");
			put_number(out, "limit", a->policy.candidates);
			put(out, WJB_END_OBJECT);
		}
		(void) put_excluded(out, a, promotion, mask);
		put_limits(out, a, promotion, mask, room);
		if (promotion->bit != PROMO_NONE)
			put_with_it(out, a, promotion, mask);
		put(out, WJB_END_ARRAY);
		put(out, WJB_END_OBJECT);
	}
	put(out, WJB_END_ARRAY);
}

/* Writes what was found; without an objective, what a set comes to. */
Jsonb *
promo_result(PromoCase *a, const char *objective, const PromoFound *found)
{
	Result out = {.minor_unit = a->cart.minor_unit};
	int64 room;
	int64 points;
	int64 *left;
	int64 to_pay;

	put(&out, WJB_BEGIN_OBJECT);
	left = put_set(&out, a, found->best.mask, &room, &points);
	to_pay = put_lines(&out, a, left);
	put_field(&out, "currency", a->cart.currency);
	put_money(&out, "amount", a->cart.amount);
	put_money(&out, "discount", a->cart.amount - to_pay);
	put_money(&out, "to_pay", to_pay);
	put_number(&out, "points", points);
	put_money(&out, "points_worth", found->best.value - found->best.total);
	if (a->cart.cost != PROMO_NONE)
		put_money(&out, "margin", to_pay - a->cart.cost);
	if (objective != NULL)
	{
		put_field(&out, "objective", objective);
		if (found->second.found)
			put_money(&out, "second_best", found->second.value);
		else
			put_null(&out, "second_best");
		put_left_out(&out, a, found->best.mask, room);
	}
	put(&out, WJB_END_OBJECT);
	return JsonbValueToJsonb(out.value);
}
