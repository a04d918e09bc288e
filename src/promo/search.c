/*
 * Finds the best set and the second best: depth first, promotions in the
 * order in which they apply, so that what a branch starts from is exact. For
 * the customer a branch is left when even its bound is not above the second
 * best; for the margin, when what it takes off already is not below.
 *
 * A set counts when it is allowed and each of its promotions takes something
 * off, or gives points, where it is applied.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "promo/promo.h"

/* Lines that a search may look at: a few seconds. */
#define SEARCH_WORK_MAX UINT64CONST(1000000000)

/* What a node costs beside its lines. */
#define SEARCH_NODE_WORK 20

typedef struct Search
{
	PromoCase *a;
	bool margin;
	PromoBound bound;
	PromoFound *found;
	int64 *left; /* of each depth, one a line */
	int64 *used;
} Search;

/* A branch of the search: a set and what may be added to it. */
typedef struct SearchNode
{
	int depth;
	uint64 chosen;
	uint64 available;
	uint64 refused; /* for the margin: could be added, were left out */
	int64 total;
	int64 benefit;
	int64 room;
} SearchNode;

/* Tells whether a set comes before another: has the first that one lacks. */
static bool
search_before(uint64 one, uint64 other)
{
	uint64 differs = one ^ other;

	return (differs & (~differs + 1) & one) != 0;
}

/* Notes a set among the best two. */
static void
search_note(PromoFound *found, PromoSet set)
{
	PromoSet *best = &found->best;
	PromoSet *second = &found->second;

	if (best->found && best->mask == set.mask)
		return;
	if (!best->found || set.value > best->value ||
		(set.value == best->value && search_before(set.mask, best->mask)))
	{
		*second = *best;
		*best = set;
	}
	else if (!second->found || set.value > second->value)
		*second = set;
}

/* Counts work and stops a search that takes too long. */
static void
search_work(Search *search, uint64 lines)
{
	CHECK_FOR_INTERRUPTS();
	search->bound.work += lines + SEARCH_NODE_WORK;
	if (search->bound.work > SEARCH_WORK_MAX)
		ereport(
			ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("there are too many sets of promotions to compare"),
			 errdetail("%d promotions apply to the cart.", search->a->nbits),
			 errhint("Give max_promotions in the policy, make promotions "
					 "exclude each other, or ask for the objective "
					 "\"priority\".")));
}

/* Returns how many promotions may still be added. */
static int
search_count(const PromoCase *a, uint64 chosen)
{
	return a->policy.max_promotions == PROMO_NONE
			   ? PROMO_SEARCH_MAX
			   : a->policy.max_promotions - pg_popcount64(chosen);
}

/* Tells whether nothing below a node can be among the best two. */
static bool
search_is_done(Search *search, SearchNode *node, const int64 *left,
			   const int64 *used)
{
	const PromoFound *found = search->found;
	int64 most;

	if (!found->second.found)
		return false;
	if (search->margin)
		most = -node->benefit;
	else
	{
		search->bound.best = found->best.mask;
		most = node->benefit +
			   promo_bound(search->a, &search->bound, left, used,
						   &node->available,
						   search_count(search->a, node->chosen), node->room,
						   found->second.value - node->benefit);
	}
	if (most > found->second.value)
		return false;
	return most < found->best.value ||
		   !search_before(node->chosen | node->available, found->best.mask);
}

/*
 * Tells whether a set without the promotions that were refused may still
 * become one to which none of them can be added.
 */
static bool
search_can_close(const PromoCase *a, const SearchNode *node)
{
	uint64 rest = node->refused;

	if (a->policy.max_promotions != PROMO_NONE || a->limited != 0)
		return true;
	for (; rest != 0; rest &= rest - 1)
		if ((a->conflicts[pg_rightmost_one_pos64(rest)] &
			 (node->chosen | node->available)) == 0)
			return false;
	return true;
}

/* Notes the set of a node. */
static void
search_note_node(Search *search, const SearchNode *node)
{
	PromoSet set = {.found = true,
					.mask = node->chosen,
					.value = search->margin ? -node->benefit : node->benefit,
					.total = node->total};

	search_note(search->found, set);
}

/* Searches the sets of a node. */
static void
search_node(Search *search, SearchNode node)
{
	PromoCase *a = search->a;
	int nlines = a->cart.nlines;
	int64 *left = search->left + (Size) node.depth * nlines;
	int64 *used =
		search->used + (a->with_units ? (Size) node.depth * nlines : 0);

	if (!search->margin)
		search_note_node(search, &node);
	while (node.available != 0)
	{
		int bit;
		SearchNode with;
		PromoTaken taken;

		search_work(search, 2 * nlines);
		if (search_is_done(search, &node, left, used))
			return;
		if (node.available == 0)
			break;
		bit = pg_rightmost_one_pos64(node.available);
		with = node;
		memcpy(left + nlines, left, nlines * sizeof(int64));
		if (a->with_units)
			memcpy(used + nlines, used, nlines * sizeof(int64));
		taken = promo_apply(a, a->ordered[bit], left + nlines, used + nlines,
							node.room, NULL);
		node.available &= node.available - 1;
		if (taken.total == 0 && taken.points == 0)
			continue;
		with.depth++;
		with.chosen |= UINT64CONST(1) << bit;
		with.available = promo_room_for(a, with.chosen, node.available);
		with.total += taken.total;
		with.benefit += taken.benefit;
		with.room -= taken.total;
		search_node(search, with);
		if (!search->margin)
			continue;
		node.refused |= UINT64CONST(1) << bit;
		if (!search_can_close(a, &node))
			return;
	}
	if (search->margin && promo_room_for(a, node.chosen, node.refused) == 0)
		search_note_node(search, &node);
}

/* Makes the first node: the empty set. */
static SearchNode
search_start(PromoCase *a, int64 *left, int64 *used)
{
	SearchNode node = {.room = a->room};

	for (int i = 0; i < a->cart.nlines; i++)
		left[i] = a->cart.lines[i].amount;
	memset(used, 0, a->cart.nlines * sizeof(int64));
	for (int i = 0; i < a->nbits; i++)
		node.available |= UINT64CONST(1) << i;
	node.available = promo_room_for(a, 0, node.available);
	return node;
}

/* Prices a set of promotions; idle are those that take nothing. */
PromoSet
promo_price_mask(PromoCase *a, uint64 mask, uint64 *idle)
{
	int nlines = Max(a->cart.nlines, 1);
	int64 *left = palloc(2 * nlines * sizeof(int64));
	SearchNode node = search_start(a, left, left + nlines);
	PromoSet set = {.found = true, .mask = mask};

	*idle = 0;
	for (uint64 rest = mask; rest != 0; rest &= rest - 1)
	{
		int bit = pg_rightmost_one_pos64(rest);
		PromoTaken taken = promo_apply(a, a->ordered[bit], left, left + nlines,
									   node.room, NULL);

		if (taken.total == 0 && taken.points == 0)
			*idle |= UINT64CONST(1) << bit;
		set.total += taken.total;
		set.value += taken.benefit;
		node.room -= taken.total;
	}
	pfree(left);
	return set;
}

/* Compares promotions by strength: priority, what they give alone, id. */
int
promo_compare_strength(const void *a, const void *b)
{
	const Promotion *one = *(Promotion *const *) a;
	const Promotion *other = *(Promotion *const *) b;

	if (one->priority != other->priority)
		return one->priority < other->priority ? -1 : 1;
	if (one->alone != other->alone)
		return one->alone > other->alone ? -1 : 1;
	return one->id < other->id ? -1 : one->id > other->id;
}

/* Adds promotions to a set, in the order of a comparison, where allowed. */
static PromoSet
search_greedy(PromoCase *a, int (*compare)(const void *, const void *))
{
	Promotion *sorted[PROMO_SEARCH_MAX];
	PromoSet best = {.found = true};

	memcpy(sorted, a->ordered, a->nbits * sizeof(Promotion *));
	qsort(sorted, a->nbits, sizeof(Promotion *), compare);
	for (int i = 0; i < a->nbits; i++)
	{
		uint64 idle;
		PromoSet set;

		if (!promo_fits(a, best.mask, sorted[i]->bit))
			continue;
		set = promo_price_mask(a, best.mask | UINT64CONST(1) << sorted[i]->bit,
							   &idle);
		if (idle == 0)
			best = set;
	}
	return best;
}

/* Compares promotions by what they give alone. */
static int
compare_alone(const void *a, const void *b)
{
	const Promotion *one = *(Promotion *const *) a;
	const Promotion *other = *(Promotion *const *) b;

	if (one->alone != other->alone)
		return one->alone > other->alone ? -1 : 1;
	return one->bit - other->bit;
}

/* Finds what each promotion would give by itself. */
static void
search_alone(PromoCase *a)
{
	for (int i = 0; i < a->nbits; i++)
	{
		uint64 idle;

		a->ordered[i]->alone =
			promo_price_mask(a, UINT64CONST(1) << i, &idle).value;
	}
}

/* Returns how many lines all promotions have. */
static Size
search_steps(const PromoCase *a)
{
	Size steps = 0;

	for (int i = 0; i < a->nbits; i++)
		steps += a->ordered[i]->nlines;
	return steps;
}

/* Finds the best set by an objective, and the second best if there is one. */
void
promo_search(PromoCase *a, PromoObjective objective, PromoFound *found)
{
	int nlines = Max(a->cart.nlines, 1);
	Size depth = a->nbits + 2;
	Search search = {
		.a = a, .margin = objective == PROMO_MARGIN, .found = found};

	*found = (PromoFound){0};
	search_alone(a);
	if (objective == PROMO_PRIORITY)
	{
		found->best = search_greedy(a, promo_compare_strength);
		return;
	}
	search.left = palloc(depth * nlines * sizeof(int64));
	search.used = a->with_units ? palloc(depth * nlines * sizeof(int64))
								: palloc0(2 * nlines * sizeof(int64));
	search.bound.left = palloc(nlines * sizeof(double));
	search.bound.steps = palloc((search_steps(a) + 1) * sizeof(BoundStep));
	promo_units_start(a, &search.bound);
	if (objective == PROMO_CUSTOMER)
		search_note(found, search_greedy(a, compare_alone));
	search_node(&search, search_start(a, search.left, search.used));
	if (search.margin)
	{
		found->best.value = -found->best.value;
		found->second.value = -found->second.value;
	}
}
