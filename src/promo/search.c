/*
 * Finds the best set and the second best: depth first, promotions in the
 * order in which they apply, so that what a branch starts from is exact. For
 * the customer a branch is left when even its bound is not above the second
 * best; for the margin, when what it takes off already is not below. For the
 * customer a good set is made first, and promotions on which bounds depend
 * most are decided on before the others.
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

/* Of more promotions all that count units are decided on first. */
#define SEARCH_MANY 30

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
	int64 *scratch; /* two a line */
	Size nsteps;    /* lines of all promotions */
	uint64 ties_of; /* best set for which ties is known */
	uint64 ties;    /* first promotions of sets that would win a tie */
} Search;

/* A branch of the search: a set and what may be added to it. */
typedef struct SearchNode
{
	int depth;
	uint64 chosen;
	uint64 available;
	uint64 must;    /* of those available: are in all sets */
	uint64 refused; /* for the margin: could be added, were left out */
	uint64 twin;    /* chosen, may be left out, others alike; 0: none */
	int64 worth;    /* of its points */
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

/* Makes the state of the empty set. */
static void
search_clear(const PromoCase *a, int64 *left, int64 *used)
{
	for (int i = 0; i < a->cart.nlines; i++)
		left[i] = a->cart.lines[i].amount;
	memset(used, 0, a->cart.nlines * sizeof(int64));
}

/*
 * Finds the promotions that could be taken where the best set leaves them
 * out: a set that comes to the same wins when it has one of them and, of
 * those before, has what the best set has.
 */
static void
search_find_ties(Search *search)
{
	PromoCase *a = search->a;
	uint64 best = search->found->best.mask;
	int64 *left = search->scratch;
	int64 *used = left + a->cart.nlines;
	int64 room = a->room;

	search->ties_of = best;
	search->ties = 0;
	search_clear(a, left, used);
	for (int bit = 0; bit < a->nbits; bit++)
	{
		uint64 mask = UINT64CONST(1) << bit;
		const Promotion *promotion = a->ordered[bit];
		int64 points;

		if ((best & mask) != 0)
			room -= promo_apply(a, promotion, left, used, room, NULL).total;
		else if (promo_fits(a, best & (mask - 1), bit) &&
				 (Min(promo_amount(a, promotion, left, used, &points), room) >
					  0 ||
				  points > 0))
			search->ties |= mask;
	}
}

/* Tells whether a set of a node can win a tie with the best set. */
static bool
search_can_tie(Search *search, const SearchNode *node)
{
	uint64 best = search->found->best.mask;
	uint64 all = node->chosen | node->available;
	uint64 rest;

	if (!search_before(all, best))
		return false;
	if (search->ties_of != best)
		search_find_ties(search);
	for (rest = search->ties & all; rest != 0; rest &= rest - 1)
	{
		uint64 before = (rest & (~rest + 1)) - 1;

		if ((best & before & ~all) != 0)
			return false;
		if (((node->chosen | node->must) & before & ~best) == 0)
			return true;
	}
	return false;
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
		search->bound.must = node->must;
		most = node->benefit +
			   promo_bound(search->a, &search->bound, left, used,
						   &node->available,
						   search_count(search->a, node->chosen), node->room,
						   found->second.value - node->benefit);
	}
	if (most > found->second.value)
		return false;
	return most < found->best.value || !search_can_tie(search, node);
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
	if (node->twin == 0)
		return;
	set.mask &= ~node->twin;
	set.value -= node->worth;
	search_note(search->found, set);
}

/*
 * Tells whether each set with a promotion that was taken is at least as good
 * as that without it: it gives points only and keeps nothing out. The best
 * one without it is noted as the twin of that with it.
 */
static bool
search_is_free(const Search *search, const SearchNode *node, SearchNode *with,
			   PromoTaken taken)
{
	const PromoCase *a = search->a;
	uint64 mask = with->chosen & ~node->chosen;
	const Promotion *promotion = a->ordered[pg_rightmost_one_pos64(mask)];

	if (search->margin || taken.total != 0 ||
		with->available != node->available ||
		(promotion->categories & a->limited) != 0 ||
		a->policy.max_promotions != PROMO_NONE)
		return false;
	if (with->twin == 0 || taken.benefit < with->worth)
	{
		with->twin = mask;
		with->worth = taken.benefit;
	}
	return true;
}

/*
 * Returns which of the available promotions may be added to a set, with those
 * that must be.
 */
static uint64
search_room_for(const PromoCase *a, uint64 chosen, uint64 must,
				uint64 available)
{
	return must | promo_room_for(a, chosen | must, available & ~must);
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

	if (!search->margin && node.must == 0)
		search_note_node(search, &node);
	while (node.available != 0)
	{
		int bit;
		SearchNode with;
		PromoTaken taken;
		bool without;

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
		{
			if ((node.must & UINT64CONST(1) << bit) != 0)
				return;
			continue;
		}
		with.depth++;
		with.chosen |= UINT64CONST(1) << bit;
		with.must &= ~with.chosen;
		with.available =
			search_room_for(a, with.chosen, with.must, node.available);
		with.total += taken.total;
		with.benefit += taken.benefit;
		with.room -= taken.total;
		without = !search_is_free(search, &node, &with, taken) &&
				  (node.must & UINT64CONST(1) << bit) == 0;
		search_node(search, with);
		if (!without)
			return;
		if (!search->margin)
			continue;
		node.refused |= UINT64CONST(1) << bit;
		if (!search_can_close(a, &node))
			return;
	}
	if (search->margin && promo_room_for(a, node.chosen, node.refused) == 0)
		search_note_node(search, &node);
}

/*
 * Returns the one of some promotions to decide on next: the one that takes
 * most alone. Those that count units come after the others, in the order of
 * application, so that it is known what those before them use.
 */
static uint64
search_next(const Search *search, uint64 promotions)
{
	int most = -1;

	for (uint64 rest = promotions; rest != 0; rest &= rest - 1)
	{
		int bit = pg_rightmost_one_pos64(rest);

		if (!promo_counts_units(search->a->ordered[bit]) &&
			(most < 0 || search->bound.alone[bit] > search->bound.alone[most]))
			most = bit;
	}
	return most < 0 ? promotions & (~promotions + 1) : UINT64CONST(1) << most;
}

/*
 * Searches the sets of the first node: decides on some promotions before all
 * others, first as the best set has it.
 */
static void
search_decide(Search *search, SearchNode node, uint64 first)
{
	const PromoCase *a = search->a;
	SearchNode with;
	uint64 mask;
	bool in;

	if ((first & node.available) != 0)
	{
		search_work(search, 2 * a->cart.nlines);
		if (search_is_done(search, &node, search->left, search->used))
			return;
	}
	first &= node.available;
	if (first == 0)
	{
		search_node(search, node);
		return;
	}
	mask = search_next(search, first);
	first &= ~mask;
	with = node;
	with.must |= mask;
	with.available =
		search_room_for(a, node.chosen, with.must, node.available);
	node.available &= ~mask;
	in = (search->found->best.mask & mask) != 0;
	search_decide(search, in ? with : node, first);
	search_decide(search, in ? node : with, first);
}

/* Makes the first node: the empty set. */
static SearchNode
search_start(PromoCase *a, int64 *left, int64 *used)
{
	SearchNode node = {.room = a->room};

	search_clear(a, left, used);
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

/* Tells whether a promotion excludes most of the others. */
static bool
search_is_loner(const PromoCase *a, const Promotion *promotion)
{
	return pg_popcount64(a->conflicts[promotion->bit]) > a->nbits / 2;
}

/*
 * Adds promotions to a set, in the order of a comparison, where allowed, with
 * or without those that exclude most others.
 */
static PromoSet
search_greedy(PromoCase *a, int (*compare)(const void *, const void *),
			  bool loners)
{
	Promotion *sorted[PROMO_SEARCH_MAX];
	PromoSet best = {.found = true};

	memcpy(sorted, a->ordered, a->nbits * sizeof(Promotion *));
	qsort(sorted, a->nbits, sizeof(Promotion *), compare);
	for (int i = 0; i < a->nbits; i++)
	{
		uint64 idle;
		PromoSet set;

		if (!promo_fits(a, best.mask, sorted[i]->bit) ||
			(!loners && search_is_loner(a, sorted[i])))
			continue;
		set = promo_price_mask(a, best.mask | UINT64CONST(1) << sorted[i]->bit,
							   &idle);
		if (idle == 0)
			best = set;
	}
	return best;
}

/*
 * Prices a set without the promotions that take nothing in it, and notes it;
 * tells whether it is the best.
 */
static bool
search_try(Search *search, uint64 mask)
{
	PromoFound *found = search->found;
	int64 value = found->best.value;
	uint64 idle;
	PromoSet set;

	do
	{
		set = promo_price_mask(search->a, mask, &idle);
		search_work(search, search->nsteps);
		mask &= ~idle;
	} while (idle != 0);
	search_note(found, set);
	return set.value > value;
}

/*
 * Makes the best set better as long as that takes one promotion more, for
 * those that it excludes, or one less.
 */
static void
search_improve(Search *search)
{
	PromoCase *a = search->a;
	bool better = true;

	while (better && search->bound.work < SEARCH_WORK_MAX / 100)
	{
		better = false;
		for (int bit = 0; bit < a->nbits; bit++)
		{
			uint64 mask = search->found->best.mask ^ UINT64CONST(1) << bit;

			if ((mask & UINT64CONST(1) << bit) != 0)
			{
				mask &= ~a->conflicts[bit];
				if (!promo_fits(a, mask & ~(UINT64CONST(1) << bit), bit))
					continue;
			}
			better |= search_try(search, mask);
		}
	}
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

/*
 * Returns the promotions to decide on first, on which bounds depend most:
 * those that make a price of several lines, which is what is left of these,
 * those that use up units by buying them, and those that exclude most others.
 * Of many promotions these are all that count units.
 */
static uint64
search_first(const PromoCase *a)
{
	uint64 first = 0;
	bool many =
		a->nbits > SEARCH_MANY && a->policy.max_promotions == PROMO_NONE;

	for (int i = 0; i < a->nbits; i++)
		if (promo_is_price(a->ordered[i]) ||
			a->ordered[i]->discount.kind == PROMO_BUY_X_GET_Y ||
			(many && promo_counts_units(a->ordered[i])) ||
			search_is_loner(a, a->ordered[i]))
			first |= UINT64CONST(1) << i;
	return first;
}

/* Makes room for a search. */
static void
search_open(Search *search)
{
	PromoCase *a = search->a;
	int nlines = Max(a->cart.nlines, 1);
	Size depth = a->nbits + 2;

	search->nsteps = search_steps(a);
	search->left = palloc(depth * nlines * sizeof(int64));
	search->used = a->with_units ? palloc(depth * nlines * sizeof(int64))
								 : palloc0(2 * nlines * sizeof(int64));
	search->scratch = palloc(2 * nlines * sizeof(int64));
	search->bound.left = palloc(nlines * sizeof(double));
	search->bound.steps = palloc((search->nsteps + 1) * sizeof(BoundStep));
	promo_units_start(a, &search->bound);
}

/* Finds the best set by an objective, and the second best if there is one. */
void
promo_search(PromoCase *a, PromoObjective objective, PromoFound *found)
{
	Search search = {
		.a = a, .margin = objective == PROMO_MARGIN, .found = found};
	uint64 first = 0;

	*found = (PromoFound){0};
	search_alone(a);
	if (objective == PROMO_PRIORITY)
	{
		found->best = search_greedy(a, promo_compare_strength, true);
		return;
	}
	search_open(&search);
	if (objective == PROMO_CUSTOMER)
	{
		search_note(found, search_greedy(a, compare_alone, true));
		search_note(found, search_greedy(a, compare_alone, false));
		search_improve(&search);
		first = search_first(a);
	}
	search_decide(&search, search_start(a, search.left, search.used), first);
	if (search.margin)
	{
		found->best.value = -found->best.value;
		found->second.value = -found->second.value;
	}
}
