/* The op of a tree: rows get what the leaves tell in which they end. */
#include "postgres.h"

#include "model/tree_walk.h"

/* The operands of a tree. */
typedef struct TreeArgs
{
	uint32 owner;
	uint32 nnodes;
	uint32 depth;
	uint32 plain;
	uint32 slots;
	uint32 width;
	uint32 rows;
	uint32 nrows; /* numbers in them */
	uint32 lists[];
} TreeArgs;

/* Checks a tree. */
static bool
tree_check(const Model *model, const uint32 *args)
{
	const TreeArgs *tree = (const TreeArgs *) args;
	TreeLists lists;

	tree_lists(tree->lists, &lists);
	return tree->width > 0 && tree->nrows % tree->width == 0 &&
		   tree_check_owner(model, args, tree->nnodes) &&
		   tree_check_nodes(model, &lists, tree->owner + 1, tree->nnodes,
							tree->depth, tree->plain != 0,
							tree->width == 1 ? TREE_VALUES : TREE_ROWS,
							tree->nrows / tree->width);
}

/* Puts what a leaf tells into the slots of a row. */
static inline void
tree_put(const Run *run, const TreeArgs *tree, int row, double leaf)
{
	const double *from = run->num + tree->rows;
	double *to = run_row(run, row) + tree->slots;

	if (tree->width == 1)
	{
		*to = leaf;
		return;
	}
	from += (Size) tree_number(leaf) * tree->width;
	for (uint32 i = 0; i < tree->width; i++)
		to[i] = from[i];
}

/* Runs a tree for rows. */
static void
tree_step(Run *run, const uint32 *args, int first, int n)
{
	const TreeArgs *tree = (const TreeArgs *) args;
	uint32 root = tree->owner + 1;
	double leaves[TREE_LANES];
	Walk walk;

	tree_lists(tree->lists, &walk.lists);
	walk_begin(&walk, run, n, 0);
	if (n < TREE_LANES / 4)
	{
		for (int i = 0; i < n; i++)
		{
			const double *row = run_row(run, first + i);

			walk_load(&walk, walk.columns, row);
			tree_put(run, tree, first + i,
					 walk_row(&walk, root, walk.columns, row));
		}
		walk_end(&walk);
		return;
	}
	walk_load_all(&walk, first, n);
	for (int i = 0; i < n; i += TREE_LANES)
	{
		int lanes = Min(n - i, TREE_LANES);

		walk_group(&walk, root, tree->depth, tree->plain != 0, first,
				   i / TREE_LANES, lanes, leaves);
		for (int j = 0; j < lanes; j++)
			tree_put(run, tree, first + i + j, leaves[j]);
	}
	walk_end(&walk);
}

const ModelOp model_op_tree = {"tree", "TiiiSN*s*s*x", tree_check, NULL,
							   tree_step};
