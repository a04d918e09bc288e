/*
 * Walking trees.
 *
 * Rows walk in groups of TREE_LANES: the columns of a group are copied so
 * that a lane finds its values at a constant distance, and all lanes take a
 * step before any takes the next. The steps of a lane wait for each other,
 * those of different lanes do not; nothing in them branches, so nothing is
 * guessed wrongly. A lane that has come to a leaf stays there.
 *
 * A single row walks down several trees at once in the same manner.
 */
#ifndef IAROS_MODEL_TREE_WALK_H
#define IAROS_MODEL_TREE_WALK_H

#include "postgres.h"

#include "miscadmin.h"
#include "model/tree.h"

/* Deeper trees are looked at for lanes that still walk. */
#define TREE_FIXED_DEPTH 10

/*
 * Doubles of columns that stay in the cache next to the processor; and how
 * many more are taken where the trees themselves do not stay in any cache, so
 * that each is fetched for more rows.
 */
#define TREE_CACHE 4096
#define TREE_CACHE_LARGE (16 * TREE_CACHE)

/* What is needed to walk down the trees of a record. */
typedef struct Walk
{
	Run *run;
	const TreeNode *nodes;
	TreeLists lists;
	uint32 ncolumns;
	double *columns; /* TREE_LANES values of each, then the next group */
} Walk;

/* Where a step from a node leads. */
static inline uint32
walk_step(const TreeNode *nodes, uint32 at, const double *columns)
{
	const TreeNode *node = nodes + at;

	return at + node->skip - (columns[node->test] < node->threshold);
}

/* Copies the columns of a row to a lane. */
static inline void
walk_load(const Walk *walk, double *columns, const double *row)
{
	const TreeLists *lists = &walk->lists;

	*columns = NAN;
	for (uint32 i = 0; i < lists->nplain; i++)
		*(columns += TREE_LANES) = row[lists->plain[i]];
	for (uint32 i = 0; i < lists->nflipped; i++)
		*(columns += TREE_LANES) = -row[lists->flipped[i]];
}

/* Copies the columns of rows; lanes without a row get those of the last. */
static inline void
walk_load_all(const Walk *walk, int first, int n)
{
	Size group = (Size) walk->ncolumns * TREE_LANES;

	for (int i = 0; i < n || i % TREE_LANES != 0; i++)
		walk_load(walk,
				  walk->columns + i / TREE_LANES * group + i % TREE_LANES,
				  run_row(walk->run, first + Min(i, n - 1)));
}

/*
 * Lets the lanes of a group walk from a root to leaves, whose thresholds are
 * told. Where lanes are is kept in an array of its own, which the compiler
 * can keep in registers.
 */
static inline void
walk_lanes(const TreeNode *nodes, uint32 root, uint32 depth,
		   const double *columns, double *leaves)
{
	uint32 at[TREE_LANES];

#pragma GCC unroll 16
	for (int i = 0; i < TREE_LANES; i++)
		at[i] = root;
	while (depth > 0)
	{
		uint32 steps = depth <= TREE_FIXED_DEPTH ? depth : 4;
		uint32 ahead = 0;

		depth -= steps;
		for (; steps > 0; steps--)
		{
#pragma GCC unroll 16
			for (int i = 0; i < TREE_LANES; i++)
				at[i] = walk_step(nodes, at[i], columns + i);
		}
#pragma GCC unroll 16
		for (int i = 0; i < TREE_LANES; i++)
			ahead |= nodes[at[i]].skip;
		if (ahead == 0)
			break;
	}
#pragma GCC unroll 16
	for (int i = 0; i < TREE_LANES; i++)
		leaves[i] = nodes[at[i]].threshold;
}

/* Tells whether a node's predicate is as the node wants it. */
static inline bool
walk_ask(const Walk *walk, const TreeNode *node, const double *row)
{
	uint32 record = walk->lists.predicates[tree_number(node->threshold)];
	double wanted = node->test == TREE_PREDICATE ? 1 : 0;

	CHECK_FOR_INTERRUPTS();
	return model_eval(walk->run, record, row) == wanted;
}

/* Lets one row, whose columns are given, walk; any node may be met. */
static inline double
walk_row(const Walk *walk, uint32 root, const double *columns,
		 const double *row)
{
	uint32 at = root;

	for (;;)
	{
		const TreeNode *node = walk->nodes + at;

		if (node->test == TREE_FAR)
			at = root + tree_number(node->threshold);
		else if (node->skip == 0)
			return node->threshold;
		else if (node->test >= TREE_REFUTED)
			at += node->skip - walk_ask(walk, node, row);
		else
			at = walk_step(walk->nodes, at, columns);
	}
}

/*
 * Finds the leaves of the rows of a group, one of the groups that begin with
 * row first, whose columns are loaded.
 */
static inline void
walk_group(const Walk *walk, uint32 root, uint32 depth, bool plain, int first,
		   int group, int n, double *leaves)
{
	const double *columns =
		walk->columns + (Size) group * walk->ncolumns * TREE_LANES;

	if (plain)
	{
		walk_lanes(walk->nodes, root, depth, columns, leaves);
		return;
	}
	for (int i = 0; i < n; i++)
		leaves[i] =
			walk_row(walk, root, columns + i,
					 run_row(walk->run, first + group * TREE_LANES + i));
}

/* Prepares to walk, with room for the columns of rows and more doubles. */
static inline double *
walk_begin(Walk *walk, Run *run, int rows, Size more)
{
	Size groups = (rows + TREE_LANES - 1) / TREE_LANES;
	Size size;

	walk->run = run;
	walk->nodes = run->model->nodes;
	walk->ncolumns = 1 + walk->lists.nplain + walk->lists.nflipped;
	size = groups * walk->ncolumns * TREE_LANES;
	/* Predicates may want the scratch for themselves. */
	walk->columns =
		walk->lists.npredicates == 0
			? run_scratch(run, size + more)
			: palloc_extended((size + more) * sizeof(double), MCXT_ALLOC_HUGE);
	return walk->columns + size;
}

/* Ends a walk. */
static inline void
walk_end(Walk *walk)
{
	if (walk->lists.npredicates > 0)
		pfree(walk->columns);
}

/* How many rows to load at once, so that their columns stay in the cache. */
static inline int
walk_rows(const Run *run, const TreeLists *lists, int n)
{
	int cache = model_is_large(run->model) ? TREE_CACHE_LARGE : TREE_CACHE;
	int rows = cache / (int) (1 + lists->nplain + lists->nflipped);

	rows -= rows % TREE_LANES;
	return Min(n, Max(rows, TREE_LANES));
}

#endif /* IAROS_MODEL_TREE_WALK_H */
