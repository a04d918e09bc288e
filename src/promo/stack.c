/* Which promotions may be combined, and the order in which they apply. */
#include "postgres.h"

#include "port/pg_bitutils.h"
#include "promo/code.h"
#include "promo/promo.h"

/* Tells whether two texts are one code: look-alikes and case are one. */
static bool
stack_same_code(PromoText a, PromoText b)
{
	if (a.length != b.length)
		return false;
	for (int i = 0; i < a.length; i++)
	{
		int class = promo_code_class(a.data[i]);

		if (class < 0 ? a.data[i] != b.data[i]
					  : class != promo_code_class(b.data[i]))
			return false;
	}
	return true;
}

/* Tells whether a list names a promotion by its id or code. */
static bool
stack_names(const PromoRefs *refs, const Promotion *promotion)
{
	for (int i = 0; i < refs->n; i++)
	{
		const struct PromoRef *ref = &refs->refs[i];

		if (ref->code.data == NULL
				? ref->id == promotion->id
				: promotion->code.data != NULL &&
					  stack_same_code(ref->code, promotion->code))
			return true;
	}
	return false;
}

/* Returns the bits of the categories that a promotion is in, of some kind. */
static uint64
stack_categories(const PromoPolicy *policy, const Promotion *promotion,
				 bool exclusive)
{
	uint64 result = 0;
	uint64 rest = promotion->categories;

	for (; rest != 0; rest &= rest - 1)
	{
		int i = pg_rightmost_one_pos64(rest);

		if (exclusive ? policy->categories[i].exclusive
					  : policy->categories[i].joint)
			result |= UINT64CONST(1) << i;
	}
	return result;
}

/*
 * Tells whether an exclusive category of one promotion keeps the other out:
 * who is in none of its exclusive categories and in no joint one.
 */
static bool
stack_exclusive(const PromoPolicy *policy, const Promotion *one,
				const Promotion *other)
{
	uint64 exclusive = stack_categories(policy, one, true);

	return exclusive != 0 && (exclusive & other->categories) == 0 &&
		   stack_categories(policy, other, false) == 0;
}

/* Tells whether two promotions share a category of which one may be had. */
static bool
stack_single(const PromoPolicy *policy, const Promotion *one,
			 const Promotion *other)
{
	uint64 shared = one->categories & other->categories;

	for (; shared != 0; shared &= shared - 1)
		if (policy->categories[pg_rightmost_one_pos64(shared)].max == 1)
			return true;
	return false;
}

/* Returns all reasons why two promotions may not be combined. */
int
promo_clash(const PromoCase *a, const Promotion *one, const Promotion *other)
{
	const PromoPolicy *policy = &a->policy;
	int clash = PROMO_CLASH_NONE;

	if ((!one->stackable && !stack_names(&one->combine_with, other)) ||
		(!other->stackable && !stack_names(&other->combine_with, one)))
		clash |= PROMO_CLASH_STACKABLE;
	if (stack_names(&one->excludes, other) ||
		stack_names(&other->excludes, one))
		clash |= PROMO_CLASH_EXCLUDES;
	if ((one->categories | other->categories) == 0)
		return clash;
	if (stack_exclusive(policy, one, other) ||
		stack_exclusive(policy, other, one))
		clash |= PROMO_CLASH_EXCLUSIVE;
	if (stack_single(policy, one, other))
		clash |= PROMO_CLASH_CATEGORY;
	return clash;
}

/* Compares promotions by the order in which they are applied. */
static int
stack_compare(const void *a, const void *b)
{
	const Promotion *one = *(Promotion *const *) a;
	const Promotion *other = *(Promotion *const *) b;

	if (one->order != other->order)
		return one->order ? 1 : -1;
	if (one->rank != other->rank)
		return one->rank < other->rank ? -1 : 1;
	if (one->priority != other->priority)
		return one->priority < other->priority ? -1 : 1;
	return one->id < other->id ? -1 : one->id > other->id;
}

/* Compares candidates: those that were asked for first, then by strength. */
static int
stack_compare_candidates(const void *a, const void *b)
{
	const Promotion *one = *(Promotion *const *) a;
	const Promotion *other = *(Promotion *const *) b;

	if (one->asked != other->asked)
		return one->asked ? -1 : 1;
	if (one->priority != other->priority)
		return one->priority < other->priority ? -1 : 1;
	return one->id < other->id ? -1 : one->id > other->id;
}

/* Marks the eligible promotions that are more than there may be candidates. */
static void
stack_candidates(PromoCase *a)
{
	Promotion **sorted;
	int n = 0;

	if (a->policy.candidates == PROMO_NONE)
		return;
	sorted = palloc(Max(a->n, 1) * sizeof(Promotion *));
	for (int i = 0; i < a->n; i++)
		if (a->promotions[i].eligible)
			sorted[n++] = &a->promotions[i];
	if (n > a->policy.candidates)
		qsort(sorted, n, sizeof(Promotion *), stack_compare_candidates);
	for (int i = a->policy.candidates; i < n; i++)
		sorted[i]->beyond = true;
	pfree(sorted);
}

/* Numbers the eligible promotions in order and finds which exclude others. */
void
promo_order(PromoCase *a)
{
	stack_candidates(a);
	for (int i = 0; i < a->n; i++)
	{
		if (!a->promotions[i].eligible || a->promotions[i].beyond)
			continue;
		if (a->nbits == PROMO_SEARCH_MAX)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("more than %d promotions apply to the cart",
							PROMO_SEARCH_MAX),
					 errhint("Leave out promotions that are of no use to the "
							 "customer.")));
		a->ordered[a->nbits++] = &a->promotions[i];
	}
	qsort(a->ordered, a->nbits, sizeof(Promotion *), stack_compare);
	for (int i = 0; i < a->nbits; i++)
	{
		Promotion *one = a->ordered[i];
		uint64 rest = one->categories;

		one->bit = i;
		for (; rest != 0; rest &= rest - 1)
			a->category_bits[pg_rightmost_one_pos64(rest)] |= UINT64CONST(1)
															  << i;
		for (int j = 0; j < i; j++)
		{
			if (promo_clash(a, one, a->ordered[j]) == PROMO_CLASH_NONE)
				continue;
			a->conflicts[i] |= UINT64CONST(1) << j;
			a->conflicts[j] |= UINT64CONST(1) << i;
		}
	}
	for (int i = 0; i < a->policy.ncategories; i++)
		if (a->policy.categories[i].max != PROMO_NONE)
			a->limited |= UINT64CONST(1) << i;
}

/* Tells whether a promotion may be added to a set that is allowed. */
bool
promo_fits(const PromoCase *a, uint64 chosen, int bit)
{
	return promo_room_for(a, chosen, UINT64CONST(1) << bit) != 0;
}

/* Returns which of the available promotions may be added to a set. */
uint64
promo_room_for(const PromoCase *a, uint64 chosen, uint64 available)
{
	uint64 rest;

	if (a->policy.max_promotions != PROMO_NONE &&
		pg_popcount64(chosen) >= a->policy.max_promotions)
		return 0;
	for (rest = chosen; rest != 0; rest &= rest - 1)
		available &= ~a->conflicts[pg_rightmost_one_pos64(rest)];
	for (rest = a->limited; rest != 0; rest &= rest - 1)
	{
		int i = pg_rightmost_one_pos64(rest);

		if (pg_popcount64(chosen & a->category_bits[i]) >=
			a->policy.categories[i].max)
			available &= ~a->category_bits[i];
	}
	return available;
}
