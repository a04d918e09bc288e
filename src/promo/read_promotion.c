/* Reads promotions. */
#include "postgres.h"

#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "promo/promo.h"
#include "utils/jsonb.h"

/* Keys of a discount. */
enum
{
	KEY_KIND,
	KEY_VALUE,
	KEY_CAP,
	KEY_BY,
	KEY_BANDS,
	KEY_BUY,
	KEY_GET,
	KEY_TIMES,
	KEY_BUY_OF,
	KEY_PERCENTAGE,
	KEY_UNITS,
	KEY_POINTS,
	KEY_PER,
};

static const char *const discount_keys[] = {
	"kind",  "value",  "cap",        "by",    "bands",  "buy", "get",
	"times", "buy_of", "percentage", "units", "points", "per"};

static const char *const discount_kinds[] = {
	"percentage",  "fixed_amount", "fixed_price", "per_unit", "tiered",
	"buy_x_get_y", "cheapest",     "dearest",     "free",     "points"};

/* Weaker than what people number. */
#define PRIORITY_DEFAULT 100

#define KEY(k) (1 << KEY_##k)

/* Keys that each kind may have beside its kind, and must have. */
static const struct
{
	int may;
	int must;
} discount_uses[] = {
	[PROMO_PERCENTAGE] = {KEY(VALUE) | KEY(CAP), KEY(VALUE)},
	[PROMO_FIXED_AMOUNT] = {KEY(VALUE) | KEY(CAP), KEY(VALUE)},
	[PROMO_FIXED_PRICE] = {KEY(VALUE) | KEY(CAP), KEY(VALUE)},
	[PROMO_PER_UNIT] = {KEY(VALUE) | KEY(CAP), KEY(VALUE)},
	[PROMO_TIERED] = {KEY(BY) | KEY(BANDS) | KEY(CAP), KEY(BANDS)},
	[PROMO_BUY_X_GET_Y] = {KEY(BUY) | KEY(GET) | KEY(TIMES) | KEY(BUY_OF) |
							   KEY(PERCENTAGE) | KEY(CAP),
						   KEY(BUY) | KEY(GET)},
	[PROMO_CHEAPEST] = {KEY(UNITS) | KEY(PERCENTAGE) | KEY(CAP), 0},
	[PROMO_DEAREST] = {KEY(UNITS) | KEY(PERCENTAGE) | KEY(CAP), 0},
	[PROMO_FREE] = {KEY(UNITS) | KEY(CAP), 0},
	[PROMO_POINTS] = {KEY(POINTS) | KEY(PER), KEY(POINTS)},
};

/* Returns a percentage above 0 up to 100. */
static int64
read_percentage(const PromoItem *item)
{
	int64 percent = promo_item_scaled(item, PROMO_PERCENT_SCALE, PROMO_WHOLE);

	if (percent == 0)
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("percentage is zero"), promo_place(item)));
	return percent;
}

/* Returns an amount of money above zero. */
static int64
read_amount(const PromoItem *item, int minor_unit)
{
	int64 amount = promo_item_scaled(item, minor_unit, PROMO_AMOUNT_MAX);

	if (amount == 0)
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("amount is zero"), promo_place(item)));
	return amount;
}

/* Reads a band of a tiered discount. */
static void
read_band(const PromoItem *item, int minor_unit, bool by_spend,
		  PromoBand *band)
{
	static const char *const keys[] = {"from", "to", "percentage", "amount"};
	PromoWalk walk;
	PromoItem value;
	int scale = by_spend ? minor_unit : 0;

	*band = (PromoBand){.from = PROMO_NONE, .to = PROMO_NONE};
	promo_walk(&walk, item);
	while (promo_walk_next(&walk, &value))
	{
		int key = promo_item_key(&value, keys, lengthof(keys));

		if (promo_item_is_null(&value))
			continue;
		if (key == 0)
			band->from = promo_item_scaled(&value, scale, PG_INT64_MAX);
		else if (key == 1)
			band->to = promo_item_scaled(&value, scale, PG_INT64_MAX);
		else if (key == 2)
			band->percent = read_percentage(&value);
		else
			band->amount = read_amount(&value, minor_unit);
	}
	if (band->from == PROMO_NONE)
		promo_item_missing(item, "from");
	if ((band->percent == 0) == (band->amount == 0))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("band needs either percentage or amount"),
						promo_place(item)));
	if (band->to != PROMO_NONE && band->to <= band->from)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("band ends before it begins"), promo_place(item)));
}

/* Compares bands by where they begin. */
static int
compare_bands(const void *a, const void *b)
{
	const PromoBand *one = a;
	const PromoBand *other = b;

	return one->from < other->from ? -1 : one->from > other->from;
}

/*
 * Reads the bands of a tiered discount and sorts them. A band without an end
 * reaches to the next.
 */
static void
read_bands(const PromoItem *item, int minor_unit, PromoDiscount *discount)
{
	PromoWalk walk;
	PromoItem value;
	PromoBand *bands;
	int n = promo_walk_list(&walk, item, PROMO_BANDS_MAX);

	if (n == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("there are no bands"), promo_place(item)));
	bands = palloc(n * sizeof(PromoBand));
	for (int i = 0; promo_walk_next(&walk, &value); i++)
		read_band(&value, minor_unit, discount->by_spend, &bands[i]);
	qsort(bands, n, sizeof(PromoBand), compare_bands);
	for (int i = 1; i < n; i++)
	{
		if (bands[i - 1].to == PROMO_NONE)
			bands[i - 1].to = bands[i].from;
		if (bands[i].from < bands[i - 1].to ||
			bands[i].from == bands[i - 1].from)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("bands overlap"), promo_place(item)));
	}
	discount->bands = bands;
	discount->nbands = n;
}

/* Copies an item that outlives the walk, with its parent. */
static PromoItem
keep_item(const PromoItem *item)
{
	PromoItem kept = *item;
	PromoItem *parent = palloc(sizeof(PromoItem));

	*parent = *item->parent;
	kept.parent = parent;
	return kept;
}

/* Reads the value of one key of a discount. */
static void
read_discount_key(const PromoItem *value, int key, int minor_unit,
				  PromoDiscount *discount)
{
	if (key == KEY_VALUE && discount->kind == PROMO_PERCENTAGE)
		discount->percent = read_percentage(value);
	else if (key == KEY_VALUE && discount->kind == PROMO_FIXED_PRICE)
		discount->amount =
			promo_item_scaled(value, minor_unit, PROMO_AMOUNT_MAX);
	else if (key == KEY_VALUE)
		discount->amount = read_amount(value, minor_unit);
	else if (key == KEY_CAP)
		discount->cap = read_amount(value, minor_unit);
	else if (key == KEY_BUY)
		discount->buy = promo_item_integer(value, 1, PROMO_QUANTITY_MAX);
	else if (key == KEY_GET || key == KEY_UNITS)
		discount->get = promo_item_integer(value, 1, PROMO_QUANTITY_MAX);
	else if (key == KEY_TIMES)
		discount->times = promo_item_integer(value, 1, PROMO_QUANTITY_MAX);
	else if (key == KEY_BUY_OF)
		discount->buy_of = keep_item(value);
	else if (key == KEY_PERCENTAGE)
		discount->percent = read_percentage(value);
	else if (key == KEY_POINTS)
		discount->points = promo_item_integer(value, 1, PROMO_POINTS_MAX);
	else if (key == KEY_PER)
		discount->per = read_amount(value, minor_unit);
}

/* Reads what kind of discount it is, and how a tiered one is measured. */
static void
read_discount_kind(const PromoItem *item, PromoDiscount *discount)
{
	static const char *const measures[] = {"spend", "quantity"};
	PromoItem value;

	if (!promo_item_find(item, "kind", &value))
		promo_item_missing(item, "kind");
	discount->kind =
		promo_item_choice(&value, discount_kinds, lengthof(discount_kinds));
	if (discount->kind == PROMO_TIERED && promo_item_find(item, "by", &value))
		discount->by_spend =
			promo_item_choice(&value, measures, lengthof(measures)) == 0;
}

/* Reads a discount. */
static void
read_discount(const PromoItem *item, int minor_unit, PromoDiscount *discount)
{
	PromoWalk walk;
	PromoItem value;
	int given = 0;
	int must;

	*discount = (PromoDiscount){.percent = PROMO_WHOLE,
								.cap = PROMO_NONE,
								.get = 1,
								.times = PROMO_QUANTITY_MAX * PROMO_LINES_MAX,
								.per = PROMO_NONE,
								.by_spend = true};
	read_discount_kind(item, discount);
	promo_walk(&walk, item);
	while (promo_walk_next(&walk, &value))
	{
		int key = promo_item_key(&value, discount_keys, KEY_PER + 1);

		if (promo_item_is_null(&value) || key == KEY_KIND)
			continue;
		if ((discount_uses[discount->kind].may & 1 << key) == 0)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("a discount of kind \"%s\" has no \"%s\"",
								   discount_kinds[discount->kind],
								   discount_keys[key]),
							promo_place(&value)));
		given |= 1 << key;
		if (key == KEY_BANDS)
			read_bands(&value, minor_unit, discount);
		else
			read_discount_key(&value, key, minor_unit, discount);
	}
	must = discount_uses[discount->kind].must & ~given;
	if (must != 0)
		promo_item_missing(item, discount_keys[pg_rightmost_one_pos32(must)]);
}

/* Reads a list of ids and codes, or one of them. */
static void
read_refs(const PromoItem *item, PromoRefs *refs)
{
	PromoWalk walk;
	PromoItem value;
	int n = promo_walk_list(&walk, item, PROMO_LIST_MAX);

	refs->refs = palloc0(Max(n, 1) * sizeof(struct PromoRef));
	refs->n = n;
	for (int i = 0; promo_walk_next(&walk, &value); i++)
	{
		if (promo_item_is_text(&value))
			refs->refs[i].code = promo_item_text(&value);
		else
			refs->refs[i].id =
				promo_item_integer(&value, PG_INT64_MIN, PG_INT64_MAX);
	}
}

/* Reads names of categories; those that the policy lists count. */
static void
read_categories(const PromoItem *item, const PromoPolicy *policy,
				Promotion *promotion)
{
	PromoWalk walk;
	PromoItem value;

	(void) promo_walk_list(&walk, item, PROMO_LIST_MAX);
	while (promo_walk_next(&walk, &value))
	{
		PromoText name = promo_item_text(&value);

		for (int i = 0; i < policy->ncategories; i++)
		{
			if (!promo_text_equal(name, policy->categories[i].name))
				continue;
			promotion->categories |= UINT64CONST(1) << i;
			promotion->rank = Min(promotion->rank, policy->categories[i].rank);
		}
	}
}

/* Keys of a promotion. */
enum
{
	KEY_ID,
	KEY_CODE,
	KEY_PRIORITY,
	KEY_LEVEL,
	KEY_BASE,
	KEY_DISCOUNT,
	KEY_APPLIES_TO,
	KEY_EXCEPT,
	KEY_MIN_PURCHASE,
	KEY_MIN_QUANTITY,
	KEY_MIN_OF,
	KEY_CURRENCY,
	KEY_STACKABLE,
	KEY_COMBINE_WITH,
	KEY_EXCLUDES,
	KEY_CATEGORIES,
	KEY_ASKED,
	KEY_RESTRICTION, /* and all after it: PromoRestriction */
};

static const char *const promotion_keys[] = {
	"id",
	"code",
	"priority",
	"level",
	"base",
	"discount",
	"applies_to",
	"except",
	"min_purchase",
	"min_quantity",
	"min_of",
	"currency",
	"stackable",
	"combine_with",
	"excludes",
	"categories",
	"asked",
	"refused",
	"valid",
	"booking_weekdays",
	"channels",
	"currencies",
	"segments",
	"except_segments",
	"tiers",
	"party",
	"first_booking",
	"routes",
	"except_routes",
	"fare_classes",
	"except_fare_classes",
	"cabins",
	"except_cabins",
	"travel",
	"blackout",
	"weekdays",
};

StaticAssertDecl(lengthof(promotion_keys) ==
					 KEY_RESTRICTION + PROMO_RESTRICTIONS,
				 "keys and restrictions differ");

/* Reads what a promotion asks of other promotions; false for other keys. */
static bool
read_stacking(const PromoItem *value, int key, const PromoPolicy *policy,
			  Promotion *promotion)
{
	if (key == KEY_STACKABLE)
		promotion->stackable = promo_item_boolean(value);
	else if (key == KEY_COMBINE_WITH)
		read_refs(value, &promotion->combine_with);
	else if (key == KEY_EXCLUDES)
		read_refs(value, &promotion->excludes);
	else if (key == KEY_CATEGORIES)
		read_categories(value, policy, promotion);
	else
		return false;
	return true;
}

/* Reads the value of one key of a promotion. */
static void
read_key(const PromoItem *value, int key, int minor_unit,
		 const PromoPolicy *policy, Promotion *promotion)
{
	static const char *const levels[] = {"item", "order"};
	static const char *const bases[] = {"discounted", "initial"};
	static const char *const wholes[] = {"lines", "cart"};

	if (read_stacking(value, key, policy, promotion))
		return;
	if (key == KEY_ID)
		promotion->id = promo_item_integer(value, PG_INT64_MIN, PG_INT64_MAX);
	else if (key == KEY_CODE)
		promotion->code = promo_item_text(value);
	else if (key == KEY_PRIORITY)
		promotion->priority =
			promo_item_integer(value, PG_INT32_MIN, PG_INT32_MAX);
	else if (key == KEY_LEVEL)
		promotion->order =
			promo_item_choice(value, levels, lengthof(levels)) == 1;
	else if (key == KEY_BASE)
		promotion->initial =
			promo_item_choice(value, bases, lengthof(bases)) == 1;
	else if (key == KEY_DISCOUNT)
		read_discount(value, minor_unit, &promotion->discount);
	else if (key == KEY_APPLIES_TO)
		promotion->applies_to = *value;
	else if (key == KEY_EXCEPT)
		promotion->except = *value;
	else if (key == KEY_MIN_PURCHASE)
		promotion->min_purchase =
			promo_item_scaled(value, minor_unit, PROMO_AMOUNT_MAX);
	else if (key == KEY_MIN_QUANTITY)
		promotion->min_quantity =
			promo_item_integer(value, 0, PROMO_QUANTITY_MAX * PROMO_LINES_MAX);
	else if (key == KEY_MIN_OF)
		promotion->min_of_cart =
			promo_item_choice(value, wholes, lengthof(wholes)) == 1;
	else if (key == KEY_ASKED)
		promotion->asked = promo_item_boolean(value);
	else if (key >= KEY_RESTRICTION)
		promo_read_restriction(value, key - KEY_RESTRICTION, promotion);
}

/* A discount on units is of item level, others are of order level by rule. */
static void
read_level(const PromoItem *item, bool given, Promotion *promotion)
{
	if (promotion->discount.kind != PROMO_PER_UNIT &&
		!promo_counts_units(promotion))
		return;
	if (given && promotion->order)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a discount of kind \"%s\" is of level item",
							   discount_kinds[promotion->discount.kind]),
						promo_place(item)));
	promotion->order = false;
}

/* Reads a promotion; its item must stay where it is. */
void
promo_read_one(const PromoItem *item, const PromoCase *a, Promotion *promotion)
{
	PromoWalk walk;
	PromoItem value;
	uint64 given = 0;
	int minor_unit = a->cart.minor_unit;

	*promotion = (Promotion){.item = *item,
							 .priority = PRIORITY_DEFAULT,
							 .order = true,
							 .min_of_cart = true,
							 .stackable = true,
							 .rank = PG_INT32_MAX,
							 .bit = PROMO_NONE};
	item = &promotion->item;
	if (promo_item_find(item, "currency", &value))
		promo_read_currency(&value, promotion->currency, &minor_unit);
	promo_walk(&walk, item);
	while (promo_walk_next(&walk, &value))
	{
		int key =
			promo_item_key(&value, promotion_keys, lengthof(promotion_keys));

		if (promo_item_is_null(&value))
			continue;
		given |= UINT64CONST(1) << key;
		read_key(&value, key, minor_unit, &a->policy, promotion);
	}
	if ((given & 1 << KEY_ID) == 0)
		promo_item_missing(item, "id");
	if ((given & 1 << KEY_DISCOUNT) == 0)
		promo_item_missing(item, "discount");
	if ((given & 1 << KEY_COMBINE_WITH) != 0)
	{
		if ((given & 1 << KEY_STACKABLE) != 0 && promotion->stackable)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("combine_with contradicts stackable"),
					 promo_place(item),
					 errhint("A promotion that combines with all others "
							 "needs no combine_with; one that combines only "
							 "with these is not stackable.")));
		promotion->stackable = false;
	}
	read_level(item, (given & 1 << KEY_LEVEL) != 0, promotion);
	promotion->wrong_currency =
		promotion->currency[0] != '\0' &&
		strcmp(promotion->currency, a->cart.currency) != 0;
}

/* Compares promotions by their ids. */
static int
compare_ids(const void *a, const void *b)
{
	const Promotion *one = *(Promotion *const *) a;
	const Promotion *other = *(Promotion *const *) b;

	return one->id < other->id ? -1 : one->id > other->id;
}

/* Reads a list of promotions. */
void
promo_read_list(const PromoItem *item, PromoCase *a)
{
	PromoWalk walk;
	PromoItem value;
	Promotion **sorted;

	a->n = promo_walk_list(&walk, item, PROMO_PROMOTIONS_MAX);
	a->promotions = palloc(Max(a->n, 1) * sizeof(Promotion));
	sorted = palloc(Max(a->n, 1) * sizeof(Promotion *));
	for (int i = 0; promo_walk_next(&walk, &value); i++)
	{
		CHECK_FOR_INTERRUPTS();
		promo_read_one(&value, a, &a->promotions[i]);
		sorted[i] = &a->promotions[i];
	}
	qsort(sorted, a->n, sizeof(Promotion *), compare_ids);
	for (int i = 1; i < a->n; i++)
		if (sorted[i - 1]->id == sorted[i]->id)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("two promotions have the id " INT64_FORMAT,
								   sorted[i]->id),
							promo_place(item)));
	a->by_id = sorted;
}
