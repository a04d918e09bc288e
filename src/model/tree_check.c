/* Checking trees of a compiled form that comes from outside. */
#include "postgres.h"

#include "miscadmin.h"
#include "model/tree.h"

/* Finds the lists of a record; returns what follows them. */
const uint32 *
tree_lists(const uint32 *args, TreeLists *lists)
{
	lists->nplain = args[0];
	lists->plain = args + 1;
	args += 1 + lists->nplain;
	lists->nflipped = args[0];
	lists->flipped = args + 1;
	args += 1 + lists->nflipped;
	lists->npredicates = args[0];
	lists->predicates = args + 1;
	return args + 1 + lists->npredicates;
}

/*
 * Tells whether the nodes that a record names first, and so many after the
 * first, belong to it. No record has nodes in common with another, so that
 * checking all takes time in proportion to their number.
 */
bool
tree_check_owner(const Model *model, const uint32 *args, uint32 nnodes)
{
	uint32 owner = args[0];
	const TreeNode *node = model->nodes + owner;

	return nnodes < model->head->nnodes - owner && node->test == TREE_OWNER &&
		   tree_number(node->threshold) == (uint32) (args - 1 - model->code);
}

/* A tree that is checked. */
typedef struct TreeCheck
{
	const TreeLists *lists;
	uint32 first;
	uint32 end;
	bool plain;
	TreeLeaves leaves;
	uint32 limit;
} TreeCheck;

/* Tells whether a leaf is well formed. */
static bool
check_leaf(const TreeCheck *check, const TreeNode *node)
{
	double value = node->threshold;

	if (node->test != TREE_LEAF)
		return false;
	if (check->leaves == TREE_ROWS)
		return tree_number(node->threshold) < check->limit;
	return check->leaves == TREE_VALUES || isnan(value) ||
		   (value >= 0 && value < check->limit);
}

/* Tells whether a node that refers to one far away is well formed. */
static bool
check_far(const TreeCheck *check, const TreeNode *node, uint32 at)
{
	uint32 number = tree_number(node->threshold);

	return !check->plain && number < check->end - check->first &&
		   number > at - check->first;
}

/* Tells whether an inner node is well formed. */
static bool
check_inner(const TreeCheck *check, const TreeNode *node, uint32 at)
{
	const TreeLists *lists = check->lists;

	if (node->skip < 2 || node->skip >= check->end - at)
		return false;
	if (node->test == TREE_PREDICATE || node->test == TREE_REFUTED)
		return !check->plain &&
			   tree_number(node->threshold) < lists->npredicates;
	return node->test % TREE_LANES == 0 && node->test / TREE_LANES > 0 &&
		   node->test / TREE_LANES <= (uint64) lists->nplain + lists->nflipped;
}

/* Tells whether walks from the first node end after so many steps. */
static bool
check_depth(const TreeNode *nodes, uint32 nnodes, uint32 depth)
{
	uint32 *level = palloc_extended((Size) nnodes * sizeof(uint32),
									MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	bool ok = true;

	for (uint32 at = 0; at < nnodes && ok; at++)
	{
		uint32 *no = level + at + nodes[at].skip;

		if (nodes[at].skip == 0)
			continue;
		ok = level[at] < depth;
		no[-1] = Max(no[-1], level[at] + 1);
		no[0] = Max(no[0], level[at] + 1);
	}
	pfree(level);
	return ok;
}

/*
 * Tells whether the nodes of one tree are well formed, so that a walk from
 * the first of them stays inside and ends in a leaf, after depth steps if the
 * tree is plain.
 */
bool
tree_check_nodes(const Model *model, const TreeLists *lists, uint32 first,
				 uint32 nnodes, uint32 depth, bool plain, TreeLeaves leaves,
				 uint32 limit)
{
	TreeCheck check = {lists, first, first + nnodes, plain, leaves, limit};

	if (nnodes == 0 || depth > nnodes ||
		(uint64) lists->nplain + lists->nflipped > TREE_MAX_COLUMNS)
		return false;
	for (uint32 at = first; at < check.end; at++)
	{
		const TreeNode *node = model->nodes + at;
		bool ok = node->test == TREE_FAR ? check_far(&check, node, at)
				  : node->skip == 0      ? check_leaf(&check, node)
										 : check_inner(&check, node, at);

		if (!ok)
			return false;
	}
	return !plain || check_depth(model->nodes + first, nnodes, depth);
}
