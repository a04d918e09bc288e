/* States of trees: tests, and where they stand in the compiled form. */
#include "postgres.h"

#include "miscadmin.h"
#include "model/expression.h"
#include "model/tree_build.h"

/* Most states of a tree: their blocks are numbered by 32 bits. */
#define STATE_MAX 100000000

/* Marks the column of a negated slot until all columns are known. */
#define STATE_FLIPPED 0x8000

/* Adds a state. */
static int
state_add(TreeBuild *build, TreeStateKind kind, uint32 number, int yes, int no)
{
	TreeState *state;

	if (build->nstates == build->maxstates)
	{
		Size size = Max(256, (Size) build->maxstates * 2);

		if (size > STATE_MAX)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("compiled model is too large"),
					 errdetail("A tree has more than %d tests.", STATE_MAX)));
		build->states =
			build->states == NULL
				? palloc_extended(size * sizeof(TreeState), MCXT_ALLOC_HUGE)
				: repalloc_huge(build->states, size * sizeof(TreeState));
		build->maxstates = (int) size;
	}
	state = &build->states[build->nstates];
	memset(state, 0, sizeof(*state));
	state->kind = kind;
	state->number = number;
	state->yes = yes;
	state->no = no;
	return build->nstates++;
}

/* The state of rows that end in a leaf. */
int
tree_state_leaf(TreeBuild *build, uint32 row)
{
	return state_add(build, STATE_LEAF, row, -1, -1);
}

/* The number of a predicate's record in the list of the record. */
uint32
tree_state_add_predicate(TreeBuild *build, uint32 record)
{
	build->predicates = builder_grow(build->predicates, build->npredicates, 1,
									 &build->maxpredicates, sizeof(uint32));
	build->predicates[build->npredicates] = record;
	return build->npredicates++;
}

/* Makes room in the map for a slot. */
static void
column_map(TreeColumns *columns, uint32 slot)
{
	uint32 size = Max(64, columns->nmap);

	if (slot < columns->nmap)
		return;
	while (size <= slot)
		size *= 2;
	columns->map = columns->map == NULL
					   ? palloc(size * sizeof(uint32))
					   : repalloc(columns->map, size * sizeof(uint32));
	memset(columns->map + columns->nmap, 0,
		   (size - columns->nmap) * sizeof(uint32));
	columns->nmap = size;
}

/* Makes a column of a slot; tells whether there can be one more. */
static bool
column_add(TreeBuild *build, uint32 slot, bool flipped)
{
	TreeColumns *columns = flipped ? &build->flipped : &build->plain;

	column_map(columns, slot);
	if (columns->map[slot] != 0)
		return true;
	if (build->plain.n + build->flipped.n >= TREE_MAX_COLUMNS)
		return false;
	columns->slots = builder_grow(columns->slots, columns->n, 1,
								  &columns->size, sizeof(uint32));
	columns->slots[columns->n++] = slot;
	columns->map[slot] = columns->n;
	return true;
}

/* A test that has no column any more becomes a predicate of the record. */
static int
state_compare_slowly(TreeBuild *build, uint32 slot, bool flipped,
					 double threshold, int yes, int no)
{
	Operand left = expression_slot(build->c, slot, type_double);
	Operand right = expression_number(
		build->c, flipped ? -threshold : threshold, type_double);
	uint32 record =
		compare_emit(build->c, flipped ? COMPARE_GREATER : COMPARE_LESS,
					 left.at, right.at, NULL, 0);

	return state_add(build, STATE_PREDICATE,
					 tree_state_add_predicate(build, record), yes, no);
}

/* A test whether a value, or its negative, is less than a threshold. */
static int
state_compare(TreeBuild *build, uint32 slot, bool flipped, double threshold,
			  int yes, int no)
{
	int state;

	if (yes == no)
		return yes;
	if (!column_add(build, slot, flipped))
		return state_compare_slowly(build, slot, flipped, threshold, yes, no);
	state = state_add(build, STATE_LESS, slot, yes, no);
	build->states[state].flipped = flipped;
	build->states[state].threshold = threshold;
	return state;
}

/* A test whether a value is not less than a threshold; missing goes on as
 * if it were less. */
static int
state_not_less(TreeBuild *build, uint32 slot, double threshold, int yes,
			   int no)
{
	return state_compare(build, slot, true, nextafter(-threshold, INFINITY),
						 yes, no);
}

/* A test whether a value is less than a threshold, or unknown. */
int
tree_state_less(TreeBuild *build, uint32 slot, double threshold, int yes,
				int no, int unknown)
{
	if (unknown == yes)
		return state_not_less(build, slot, threshold, no, yes);
	if (unknown != no)
		no = state_not_less(build, slot, threshold, no, unknown);
	return state_compare(build, slot, false, threshold, yes, no);
}

/* A test whether a value is equal to another, below the next larger one. */
int
tree_state_equal(TreeBuild *build, uint32 slot, double value, double next,
				 int yes, int no, int unknown)
{
	int above = tree_state_less(build, slot, next, yes, no, unknown);

	return state_compare(build, slot, false, value, no, above);
}

/* A test whether a value is missing: neither less than 0 nor not less. */
int
tree_state_missing(TreeBuild *build, uint32 slot, int yes, int no)
{
	return tree_state_less(build, slot, 0, no, no, yes);
}

/* A test by a predicate of the record. */
int
tree_state_predicate(TreeBuild *build, uint32 predicate, int yes, int no,
					 int unknown)
{
	if (no != unknown)
		no = state_add(build, STATE_REFUTED, predicate, no, unknown);
	return yes == no ? yes
					 : state_add(build, STATE_PREDICATE, predicate, yes, no);
}

/* Lists the tests that can be reached, each after those that lead to it. */
static int *
state_order(TreeBuild *build, int root, int *count)
{
	int *stack = palloc_extended(((Size) build->nstates * 2 + 1) * sizeof(int),
								 MCXT_ALLOC_HUGE);
	int *order =
		palloc_extended((Size) build->nstates * sizeof(int), MCXT_ALLOC_HUGE);
	char *seen =
		palloc_extended(build->nstates, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	int depth = 0;
	int first = build->nstates;

	stack[depth++] = root;
	while (depth > 0)
	{
		int at = stack[depth - 1];
		const TreeState *state = &build->states[at];

		if (state->kind == STATE_LEAF || seen[at] != 0)
		{
			/* What was entered comes before all that it leads to. */
			if (seen[at] == 1)
				order[--first] = at;
			seen[at] = 2;
			depth--;
			continue;
		}
		seen[at] = 1;
		stack[depth++] = state->no;
		stack[depth++] = state->yes;
	}
	*count = build->nstates - first;
	memmove(order, order + first, *count * sizeof(int));
	pfree(stack);
	pfree(seen);
	return order;
}

/* Writes the node of a test whose yes and no stand at a distance. */
static void
state_put_test(TreeBuild *build, uint32 at, const TreeState *state,
			   uint32 skip)
{
	TreeNode *node = builder_node(build->c, at);

	node->skip = (uint16) skip;
	node->threshold = state->threshold;
	if (state->kind == STATE_LESS && state->flipped)
		node->test = STATE_FLIPPED | (build->flipped.map[state->number] - 1);
	else if (state->kind == STATE_LESS)
		node->test = build->plain.map[state->number] - 1;
	else
	{
		node->test =
			state->kind == STATE_PREDICATE ? TREE_PREDICATE : TREE_REFUTED;
		node->threshold = tree_threshold(state->number);
	}
}

/* Writes the node of a state. */
static void
state_put(TreeBuild *build, uint32 at, int number, const TreePlace *place)
{
	const TreeState *state = &build->states[number];
	TreeNode *node = builder_node(build->c, at);

	if (state->kind == STATE_LEAF)
	{
		node->skip = 0;
		node->test = TREE_LEAF;
		node->threshold = build->rows.width == 1
							  ? build->rows.rows[state->number]
							  : tree_threshold(state->number);
	}
	else if (place->far)
	{
		node->skip = 0;
		node->test = TREE_FAR;
		node->threshold = tree_threshold(state->block - place->first);
	}
	else
		state_put_test(build, at, state, state->block + 1 - at);
}

/*
 * Finds where the nodes of tests go, and how deep the tree is. In a large
 * tree, where a skip could not reach them, the test stands before its two
 * nodes, and others refer to it from afar.
 */
static void
state_arrange(TreeBuild *build, const int *order, int count, TreePlace *place)
{
	uint32 size = place->far ? 3 : 2;

	place->depth = 0;
	place->plain = !place->far;
	for (int i = 0; i < count; i++)
		build->states[order[i]].block = place->first + 1 + size * (uint32) i;
	for (int i = 0; i < count; i++)
	{
		TreeState *state = &build->states[order[i]];
		TreeState *yes = &build->states[state->yes];
		TreeState *no = &build->states[state->no];
		uint32 level = state->level + 1;

		yes->level = Max(yes->level, level);
		no->level = Max(no->level, level);
		place->depth = Max(place->depth, level);
		if (state->kind != STATE_LESS)
			place->plain = false;
	}
}

/* Writes the nodes of a tree and forgets its states. */
void
tree_state_place(TreeBuild *build, int root, TreePlace *place)
{
	int count;
	int *order = state_order(build, root, &count);

	place->far = count > TREE_MAX_SKIP / 2;
	place->nnodes = 1 + (place->far ? 3 : 2) * (uint32) count;
	place->first = builder_nodes(build->c, place->nnodes);
	state_arrange(build, order, count, place);
	state_put(build, place->first, root, place);
	for (int i = 0; i < count; i++)
	{
		const TreeState *state = &build->states[order[i]];
		uint32 at = state->block;

		if (place->far)
			state_put_test(build, at++, state, 2);
		state_put(build, at, state->yes, place);
		state_put(build, at + 1, state->no, place);
	}
	pfree(order);
	build->nstates = 0;
	build->nowhere = -1;
}

/* Numbers the columns of the tests when all are known. */
void
tree_state_columns(TreeBuild *build, uint32 first, uint32 nnodes)
{
	for (uint32 i = 0; i < nnodes; i++)
	{
		TreeNode *node = builder_node(build->c, first + i);
		uint32 column = node->test & ~STATE_FLIPPED;

		if (node->test >= TREE_OWNER || node->skip == 0)
			continue;
		if ((node->test & STATE_FLIPPED) != 0)
			column += build->plain.n;
		node->test = (uint16) ((column + 1) * TREE_LANES);
	}
}
