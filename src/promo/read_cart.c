/* Reads a cart and a policy. */
#include "postgres.h"

#include "common/int.h"
#include "core/core.h"
#include "miscadmin.h"
#include "promo/promo.h"
#include "segment/rule.h"
#include "utils/builtins.h"

/* Reads a currency that prices are paid in. */
void
promo_read_currency(const PromoItem *item, char *currency, int *minor_unit)
{
	PromoText text = promo_item_text(item);

	*minor_unit = PROMO_NONE;
	if (text.length == 3)
	{
		memcpy(currency, text.data, 3);
		currency[3] = '\0';
		*minor_unit = core_currency_minor_unit(currency);
	}
	if (*minor_unit < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is no currency of ISO 4217 that prices are "
						"paid in",
						promo_clip(text)),
				 promo_place(item),
				 errhint("List the currencies with SELECT * FROM "
						 "iaros.currency_iso().")));
}

/* Returns the id of a line: a text, or a number as it is written. */
static PromoText
cart_line_id(const PromoItem *item)
{
	PromoText text;

	if (promo_item_is_text(item))
		return promo_item_text(item);
	text.data =
		psprintf(INT64_FORMAT, promo_item_integer(item, 0, PG_INT64_MAX));
	text.length = strlen(text.data);
	return text;
}

/* Checks the attributes of a line: an object of scalars. */
static JsonbContainer *
cart_attributes(const PromoItem *item)
{
	PromoWalk walk;
	PromoItem value;
	JsonbValue scalar;

	promo_walk(&walk, item);
	while (promo_walk_next(&walk, &value))
		if (!promo_item_is_null(&value) && !promo_item_scalar(&value, &scalar))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("attribute \"%s\" is %s", promo_clip(value.key),
							promo_item_shown(&value)),
					 promo_place(&value),
					 errhint("An attribute is a text, a number or a "
							 "boolean.")));
	return walk.container;
}

/* Refuses a line in another currency than that of the cart. */
static void
cart_same_currency(const PromoCart *cart, const PromoItem *item)
{
	PromoText text = promo_item_text(item);

	if (text.length != 3 || memcmp(text.data, cart->currency, 3) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("currency \"%s\" of a line is not that of the "
						"cart, \"%s\"",
						promo_clip(text), cart->currency),
				 promo_place(item), errhint("A cart has one currency.")));
}

/* Multiplies a price by the units of a line and adds to the cart's sum. */
static int64
cart_amount(int64 price, int64 quantity, int64 *sum, const PromoItem *line)
{
	int64 amount;

	if (pg_mul_s64_overflow(price, quantity, &amount) ||
		amount > PROMO_AMOUNT_MAX || *sum + amount > PROMO_AMOUNT_MAX)
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("cart is worth more than " INT64_FORMAT
							   " minor units of its currency",
							   PROMO_AMOUNT_MAX),
						promo_place(line)));
	*sum += amount;
	return amount;
}

/* Reads a line of a cart. */
static void
cart_line(const PromoItem *item, PromoCart *cart, PromoLine *line)
{
	static const char *const keys[] = {"id",         "product", "kind",
									   "quantity",   "price",   "cost",
									   "attributes", "currency"};
	PromoWalk walk;
	PromoItem value;
	int64 cost = PROMO_NONE;

	*line = (PromoLine){.quantity = 1, .price = PROMO_NONE};
	promo_walk(&walk, item);
	line->object = walk.container;
	while (promo_walk_next(&walk, &value))
	{
		int key = promo_item_key(&value, keys, lengthof(keys));

		if (promo_item_is_null(&value))
			continue;
		if (key == 0)
			line->id = cart_line_id(&value);
		else if (key <= 2)
			(void) promo_item_text(&value);
		else if (key == 3)
			line->quantity = promo_item_integer(&value, 1, PROMO_QUANTITY_MAX);
		else if (key == 4)
			line->price =
				promo_item_scaled(&value, cart->minor_unit, PROMO_AMOUNT_MAX);
		else if (key == 5)
			cost =
				promo_item_scaled(&value, cart->minor_unit, PROMO_AMOUNT_MAX);
		else if (key == 6)
			line->attributes = cart_attributes(&value);
		else
			cart_same_currency(cart, &value);
	}
	if (line->id.data == NULL)
		promo_item_missing(item, "id");
	if (line->price == PROMO_NONE)
		promo_item_missing(item, "price");
	line->amount =
		cart_amount(line->price, line->quantity, &cart->amount, item);
	line->cost = cost;
	if (cost == PROMO_NONE)
		cart->cost = PROMO_NONE;
	else if (cart->cost != PROMO_NONE)
		line->cost = cart_amount(cost, line->quantity, &cart->cost, item);
}

/* Compares lines by their ids. */
static int
cart_compare(const void *a, const void *b)
{
	PromoText one = (*(PromoLine *const *) a)->id;
	PromoText other = (*(PromoLine *const *) b)->id;

	if (one.length != other.length)
		return one.length < other.length ? -1 : 1;
	return memcmp(one.data, other.data, one.length);
}

/* Refuses a cart with two lines of the same id. */
static void
cart_check_ids(const PromoCart *cart, const PromoItem *lines)
{
	PromoLine **sorted = palloc(Max(cart->nlines, 1) * sizeof(PromoLine *));

	for (int i = 0; i < cart->nlines; i++)
		sorted[i] = &cart->lines[i];
	qsort(sorted, cart->nlines, sizeof(PromoLine *), cart_compare);
	for (int i = 1; i < cart->nlines; i++)
		if (cart_compare(&sorted[i - 1], &sorted[i]) == 0)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("two lines have the id \"%s\"",
								   promo_clip(sorted[i]->id)),
							promo_place(lines)));
	pfree(sorted);
}

/* Reads when a cart was made; local is what the clock showed there. */
static void
cart_at(const PromoItem *item, PromoFacts *facts)
{
	PromoText text = promo_item_text(item);
	RuleMoment moment;

	if (!rule_moment_parse(text.data, text.length, &moment) || moment.day)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" is no time", promo_clip(text)),
						promo_place(item),
						errhint("Write it as 2026-07-04T12:00:00+02:00.")));
	facts->with_at = true;
	facts->at = moment.at;
	facts->local = moment.at;
	/* An offset is Z or has six characters, +02:00, behind the time. */
	if (moment.zoned)
	{
		text.length -=
			pg_strncasecmp(&text.data[text.length - 1], "Z", 1) == 0 ? 1 : 6;
		(void) rule_moment_parse(text.data, text.length, &moment);
		facts->local = moment.at;
	}
}

/* Checks what places airports are in: an object of lists of texts. */
static void
cart_places(const PromoItem *item)
{
	PromoWalk walk;
	PromoItem value;

	promo_walk(&walk, item);
	while (promo_walk_next(&walk, &value))
		promo_item_texts(&value, PROMO_LIST_MAX);
}

/* Keys of a cart; customer and booking are for others than the kernel. */
static const char *const cart_keys[] = {
	"currency", "lines",         "at",     "channel",  "segments", "tiers",
	"party",    "first_booking", "places", "customer", "booking"};

/* Reads the value of one key of a cart. */
static void
cart_key(const PromoItem *value, int key, PromoFacts *facts)
{
	if (key == 2)
		cart_at(value, facts);
	else if (key == 3)
	{
		(void) promo_item_text(value);
		facts->channel = *value;
	}
	else if (key == 4 || key == 5)
	{
		promo_item_texts(value, 100 * PROMO_LIST_MAX);
		*(key == 4 ? &facts->segments : &facts->tiers) = *value;
	}
	else if (key == 6)
	{
		(void) promo_item_integer(value, 1, PROMO_QUANTITY_MAX);
		facts->party = *value;
	}
	else if (key == 7)
	{
		(void) promo_item_boolean(value);
		facts->first_booking = *value;
	}
	else if (key == 8)
	{
		cart_places(value);
		facts->places = *value;
	}
}

/* Reads a cart. */
void
promo_read_cart(const PromoItem *item, PromoCart *cart)
{
	PromoWalk walk;
	PromoItem value;
	PromoItem lines;

	*cart = (PromoCart){.minor_unit = PROMO_NONE,
						.context = CurrentMemoryContext,
						.facts.cart = item};
	promo_walk(&walk, item);
	while (promo_walk_next(&walk, &value))
	{
		int key = promo_item_key(&value, cart_keys, lengthof(cart_keys));

		if (!promo_item_is_null(&value))
			cart_key(&value, key, &cart->facts);
	}
	if (!promo_item_find(item, "currency", &value))
		promo_item_missing(item, "currency");
	promo_read_currency(&value, cart->currency, &cart->minor_unit);
	if (!promo_item_find(item, "lines", &lines))
		promo_item_missing(item, "lines");
	cart->nlines = promo_walk_list(&walk, &lines, PROMO_LINES_MAX);
	cart->list = lines;
	cart->lines = palloc(Max(cart->nlines, 1) * sizeof(PromoLine));
	for (int i = 0; promo_walk_next(&walk, &value); i++)
	{
		CHECK_FOR_INTERRUPTS();
		cart_line(&value, cart, &cart->lines[i]);
	}
	cart_check_ids(cart, &lines);
}

/* Reads a category of a policy. */
static void
policy_category(const PromoItem *item, PromoCategory *category)
{
	static const char *const keys[] = {"name", "rank", "kind", "max"};
	static const char *const kinds[] = {"plain", "joint", "exclusive"};
	PromoWalk walk;
	PromoItem value;

	*category = (PromoCategory){.max = PROMO_NONE, .rank = 0};
	promo_walk(&walk, item);
	while (promo_walk_next(&walk, &value))
	{
		int key = promo_item_key(&value, keys, lengthof(keys));

		if (promo_item_is_null(&value))
			continue;
		if (key == 0)
			category->name = promo_item_text(&value);
		else if (key == 1)
			category->rank = promo_item_integer(&value, 0, 1000000);
		else if (key == 2)
		{
			int kind = promo_item_choice(&value, kinds, lengthof(kinds));

			category->joint = kind == 1;
			category->exclusive = kind == 2;
		}
		else
			category->max = promo_item_integer(&value, 1, 1000000);
	}
	if (category->name.data == NULL)
		promo_item_missing(item, "name");
}

/* Reads the categories of a policy. */
static void
policy_categories(const PromoItem *item, PromoPolicy *policy)
{
	PromoWalk walk;
	PromoItem value;
	int n = promo_walk_list(&walk, item, PROMO_CATEGORIES_MAX);

	policy->categories = palloc(Max(n, 1) * sizeof(PromoCategory));
	while (promo_walk_next(&walk, &value))
	{
		PromoCategory *category = &policy->categories[policy->ncategories];

		policy_category(&value, category);
		for (int i = 0; i < policy->ncategories; i++)
			if (promo_text_equal(policy->categories[i].name, category->name))
				ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
								errmsg("category \"%s\" is given twice",
									   promo_clip(category->name)),
								promo_place(&value)));
		policy->ncategories++;
	}
}

/* Reads a policy. */
void
promo_read_policy(const PromoItem *item, int minor_unit, PromoPolicy *policy)
{
	static const char *const keys[] = {"max_promotions",       "total_cap",
									   "total_cap_percentage", "point_value",
									   "categories",           "candidates"};
	PromoWalk walk;
	PromoItem value;

	*policy = (PromoPolicy){.max_promotions = PROMO_NONE,
							.candidates = PROMO_NONE,
							.total_cap = PROMO_NONE,
							.total_percent = PROMO_NONE};
	promo_walk(&walk, item);
	while (promo_walk_next(&walk, &value))
	{
		int key = promo_item_key(&value, keys, lengthof(keys));

		if (promo_item_is_null(&value))
			continue;
		if (key == 0)
			policy->max_promotions = promo_item_integer(&value, 0, 1000000);
		else if (key == 1)
			policy->total_cap =
				promo_item_scaled(&value, minor_unit, PROMO_AMOUNT_MAX);
		else if (key == 2)
			policy->total_percent =
				promo_item_scaled(&value, PROMO_PERCENT_SCALE, PROMO_WHOLE);
		else if (key == 3)
			policy->point_value = promo_item_scaled(&value, PROMO_POINT_SCALE,
													INT64CONST(1000000000));
		else if (key == 4)
			policy_categories(&value, policy);
		else
			policy->candidates =
				promo_item_integer(&value, 1, PROMO_SEARCH_MAX);
	}
}
