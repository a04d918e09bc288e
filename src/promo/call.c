/* The functions that SQL calls. */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/stream.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "promo/promo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* Decimals of amounts where no cart says the currency. */
#define CALL_MINOR_UNIT 4

/* Returns the most that may be taken off. */
static int64
call_room(const PromoCase *a)
{
	int64 room = a->cart.amount;

	if (a->policy.total_cap != PROMO_NONE)
		room = Min(room, a->policy.total_cap);
	if (a->policy.total_percent != PROMO_NONE)
		room = Min(room, (a->cart.amount * a->policy.total_percent +
						  PROMO_WHOLE / 2) /
							 PROMO_WHOLE);
	return room;
}

/* Reads the arguments; the items must stay where they are. */
static void
call_read(PromoCase *a, const PromoItem *promotions, const PromoItem *cart,
		  const PromoItem *policy)
{
	Size nlines;

	memset(a, 0, sizeof(*a));
	promo_read_cart(cart, &a->cart);
	promo_read_policy(policy, a->cart.minor_unit, &a->policy);
	promo_read_list(promotions, a);
	nlines = Max(a->cart.nlines, 1);
	a->weights = palloc0(nlines * sizeof(int64));
	a->picked = palloc0(nlines * sizeof(int64));
	a->room = call_room(a);
	promo_select(a);
	promo_order(a);
}

/* Reads the objective. */
static PromoObjective
call_objective(const text *name, const char **shown)
{
	static const char *const names[] = {"customer", "margin", "priority"};
	PromoText text = {VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name)};

	for (int i = 0; i < lengthof(names); i++)
	{
		*shown = names[i];
		if (text.length == (int) strlen(names[i]) &&
			memcmp(text.data, names[i], text.length) == 0)
			return i;
	}
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("objective \"%s\" is not known", promo_clip(text)),
					errhint("It is one of customer, margin, priority.")));
}

PG_FUNCTION_INFO_V1(promo_best_set);

/* SQL: promo_best_set(promotions, cart jsonb, objective text, policy jsonb) */
PGDLLEXPORT Datum
promo_best_set(PG_FUNCTION_ARGS)
{
	PromoItem promotions = promo_item_top(PG_GETARG_JSONB_P(0), "promotions");
	PromoItem cart = promo_item_top(PG_GETARG_JSONB_P(1), "cart");
	PromoItem policy = promo_item_top(PG_GETARG_JSONB_P(3), "policy");
	const char *name;
	PromoObjective objective = call_objective(PG_GETARG_TEXT_PP(2), &name);
	PromoCase a;
	PromoFound found;

	call_read(&a, &promotions, &cart, &policy);
	promo_search(&a, objective, &found);
	PG_RETURN_JSONB_P(promo_result(&a, name, &found));
}

/* Raises the error for a promotion that the cart does not qualify for. */
static void
call_check_qualified(const PromoCase *a)
{
	for (int i = 0; i < a->n; i++)
	{
		const Promotion *promotion = &a->promotions[i];

		if (promotion->bit == PROMO_NONE)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("promotion " INT64_FORMAT
								   " does not apply to the cart",
								   promotion->id),
							promo_place(&promotion->item),
							errhint("promo_best_set() says why.")));
	}
}

/* Raises the error for promotions that may not be combined. */
static void
call_check_allowed(const PromoCase *a)
{
	uint64 chosen = 0;

	for (int i = 0; i < a->nbits; i++)
	{
		uint64 others = chosen & a->conflicts[i];

		if (others != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("promotions " INT64_FORMAT " and " INT64_FORMAT
							" cannot be combined",
							a->ordered[pg_rightmost_one_pos64(others)]->id,
							a->ordered[i]->id),
					 promo_place(&a->ordered[i]->item),
					 errhint("List the pairs with promo_conflicts().")));
		if (!promo_fits(a, chosen, i))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("promotion " INT64_FORMAT
								   " is one more than the policy allows",
								   a->ordered[i]->id),
							promo_place(&a->ordered[i]->item)));
		chosen |= UINT64CONST(1) << i;
	}
}

PG_FUNCTION_INFO_V1(promo_price);

/* SQL: promo_price(promotions jsonb, cart jsonb, policy jsonb) */
PGDLLEXPORT Datum
promo_price(PG_FUNCTION_ARGS)
{
	PromoItem promotions = promo_item_top(PG_GETARG_JSONB_P(0), "promotions");
	PromoItem cart = promo_item_top(PG_GETARG_JSONB_P(1), "cart");
	PromoItem policy = promo_item_top(PG_GETARG_JSONB_P(2), "policy");
	PromoCase a;
	PromoFound found = {0};
	uint64 idle;

	call_read(&a, &promotions, &cart, &policy);
	call_check_qualified(&a);
	call_check_allowed(&a);
	for (int i = 0; i < a.nbits; i++)
		found.best.mask |= UINT64CONST(1) << i;
	found.best = promo_price_mask(&a, found.best.mask, &idle);
	PG_RETURN_JSONB_P(promo_result(&a, NULL, &found));
}

PG_FUNCTION_INFO_V1(promo_stackable);

/* SQL: promo_stackable(a jsonb, b jsonb, policy jsonb) */
PGDLLEXPORT Datum
promo_stackable(PG_FUNCTION_ARGS)
{
	PromoItem one = promo_item_top(PG_GETARG_JSONB_P(0), "a");
	PromoItem other = promo_item_top(PG_GETARG_JSONB_P(1), "b");
	PromoItem policy = promo_item_top(PG_GETARG_JSONB_P(2), "policy");
	PromoCase a = {.cart = {.minor_unit = CALL_MINOR_UNIT}};
	Promotion promotions[2];

	promo_read_policy(&policy, CALL_MINOR_UNIT, &a.policy);
	promo_read_one(&one, &a, &promotions[0]);
	promo_read_one(&other, &a, &promotions[1]);
	if (a.policy.max_promotions != PROMO_NONE && a.policy.max_promotions < 2)
		PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(promo_clash(&a, &promotions[0], &promotions[1]) ==
				   PROMO_CLASH_NONE);
}

PG_FUNCTION_INFO_V1(promo_check);

/* SQL: promo_check(promotion jsonb) */
PGDLLEXPORT Datum
promo_check(PG_FUNCTION_ARGS)
{
	PromoItem item = promo_item_top(PG_GETARG_JSONB_P(0), "promotion");
	PromoCase a = {.cart = {.minor_unit = CALL_MINOR_UNIT}};
	Promotion promotion;

	promo_read_one(&item, &a, &promotion);
	promo_select_check(&promotion);
	PG_RETURN_BOOL(true);
}

/* A cart that many promotions are asked about, as it was read. */
typedef struct CallCart
{
	MemoryContext context;
	Jsonb *json; /* NULL: none */
	PromoItem item;
	PromoCart cart;
} CallCart;

/* Reads a cart, unless it is the one that this call site had before. */
static PromoCart *
call_cart(FunctionCallInfo fcinfo, Jsonb *json)
{
	CallCart *known = fcinfo->flinfo->fn_extra;
	MemoryContext outer;

	if (known == NULL)
	{
		known =
			MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(CallCart));
		known->context = AllocSetContextCreate(
			fcinfo->flinfo->fn_mcxt, "promo_applies", ALLOCSET_DEFAULT_SIZES);
		fcinfo->flinfo->fn_extra = known;
	}
	if (known->json != NULL && VARSIZE(known->json) == VARSIZE(json) &&
		memcmp(known->json, json, VARSIZE(json)) == 0)
		return &known->cart;
	known->json = NULL;
	MemoryContextReset(known->context);
	outer = MemoryContextSwitchTo(known->context);
	json = memcpy(palloc(VARSIZE(json)), json, VARSIZE(json));
	known->item = promo_item_top(json, "cart");
	promo_read_cart(&known->item, &known->cart);
	MemoryContextSwitchTo(outer);
	known->json = json;
	return &known->cart;
}

PG_FUNCTION_INFO_V1(promo_applies);

/* SQL: promo_applies(promotion jsonb, cart jsonb) */
PGDLLEXPORT Datum
promo_applies(PG_FUNCTION_ARGS)
{
	PromoItem item = promo_item_top(PG_GETARG_JSONB_P(0), "promotion");
	PromoCart *cart = call_cart(fcinfo, PG_GETARG_JSONB_P(1));
	PromoCase a = {.cart = *cart, .n = 1};
	Promotion promotion;

	promo_read_one(&item, &a, &promotion);
	a.promotions = &promotion;
	promo_select(&a);
	cart->trips = a.cart.trips;
	PG_RETURN_BOOL(promotion.eligible);
}

/* The pairs that promo_conflicts() returns. */
typedef struct CallPairs
{
	CoreRows rows; /* must be first */
	struct CallPair
	{
		int64 one;
		int64 other;
		int clash;
	} * pairs;
} CallPairs;

/* Fills in a row of promo_conflicts(). */
static void
call_pair(const CoreRows *rows, uint64 i, const bool *wanted, Datum *values,
		  bool *nulls)
{
	const struct CallPair *pair = &((const CallPairs *) rows)->pairs[i];
	Datum rules[4];
	int n = 0;

	memset(nulls, false, 3 * sizeof(bool));
	for (int j = 0; j < lengthof(rules); j++)
		if ((pair->clash & 1 << j) != 0)
			rules[n++] = CStringGetTextDatum(promo_clash_names[j]);
	values[0] = Int64GetDatum(pair->one);
	values[1] = Int64GetDatum(pair->other);
	values[2] = PointerGetDatum(
		construct_array(rules, n, TEXTOID, -1, false, TYPALIGN_INT));
}

PG_FUNCTION_INFO_V1(promo_conflicts);

/* SQL: promo_conflicts(promotions jsonb, policy jsonb) */
PGDLLEXPORT Datum
promo_conflicts(PG_FUNCTION_ARGS)
{
	PromoItem promotions = promo_item_top(PG_GETARG_JSONB_P(0), "promotions");
	PromoItem policy = promo_item_top(PG_GETARG_JSONB_P(1), "policy");
	PromoCase a = {.cart = {.minor_unit = CALL_MINOR_UNIT}};
	CallPairs pairs = {.rows = {.get = call_pair}};
	Size room = 64;

	promo_read_policy(&policy, CALL_MINOR_UNIT, &a.policy);
	promo_read_list(&promotions, &a);
	pairs.pairs = palloc(room * sizeof(struct CallPair));
	for (int i = 0; i < a.n; i++)
		for (int j = i + 1; j < a.n; j++)
		{
			const Promotion *one = a.by_id[i];
			const Promotion *other = a.by_id[j];
			int clash = promo_clash(&a, one, other);

			CHECK_FOR_INTERRUPTS();
			if (clash == PROMO_CLASH_NONE)
				continue;
			if (pairs.rows.n == room)
			{
				room *= 2;
				pairs.pairs =
					repalloc(pairs.pairs, room * sizeof(struct CallPair));
			}
			pairs.pairs[pairs.rows.n++] =
				(struct CallPair){one->id, other->id, clash};
		}
	return core_rows_return(fcinfo, &pairs.rows);
}
