/*
 * The op of a forest: the results of many trees are added up, or counted as
 * votes. The sums are those of a loop over the trees, in their order.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "model/tree_walk.h"

/* Trees that one row walks at once. */
#define TREE_PARALLEL 8

/* A tree of a forest. */
typedef struct ForestTree
{
	uint32 nnodes;
	uint32 depth;
	uint32 plain;
} ForestTree;

/* The operands of a forest, before its lists. */
typedef struct ForestArgs
{
	uint32 owner;
	uint32 method;
	uint32 flags;
	uint32 value;
	uint32 probability;
	uint32 nprobabilities;
	uint32 labels;
	uint32 nlabels;
	uint32 rows;
	uint32 nrows; /* numbers in them */
	uint32 weights;
	uint32 nweights;
	uint32 lists[];
} ForestArgs;

/* How the results of trees are put together. */
typedef enum ForestKind
{
	FOREST_VALUES,
	FOREST_SHARES,
	FOREST_VOTES
} ForestKind;

/* A forest at work. */
typedef struct Forest
{
	const ForestArgs *args;
	ForestKind kind;
	bool single;
	bool weighted;
	uint32 ntrees;
	const ForestTree *trees;
	uint32 nlabels;
	uint32 nshares; /* numbers that a leaf stands for */
	const double *labels;
	const double *rows;
	const double *weights;
	double divisor; /* of averages */
	Size width;     /* doubles that a row collects */
	Walk walk;
} Forest;

/* Finds the parts of a forest. */
static void
forest_open(Forest *forest, const double *num, const uint32 *args)
{
	const ForestArgs *fixed = (const ForestArgs *) args;
	const uint32 *trees = tree_lists(fixed->lists, &forest->walk.lists);

	forest->args = fixed;
	forest->single = (fixed->flags & FOREST_SINGLE) != 0;
	forest->weighted = fixed->nweights > 0;
	forest->ntrees = trees[0];
	forest->trees = (const ForestTree *) (trees + 1);
	forest->nlabels = fixed->nlabels;
	forest->labels = num + fixed->labels;
	forest->rows = num + fixed->rows;
	forest->weights = num + fixed->weights;
	forest->kind = fixed->method >= FOREST_VOTE ? FOREST_VOTES
				   : fixed->nlabels > 0         ? FOREST_SHARES
												: FOREST_VALUES;
	forest->nshares = forest->kind == FOREST_SHARES ? fixed->nlabels : 1;
	/* Votes: sums, then when a label was first voted for; one is missing. */
	forest->width = forest->kind == FOREST_VALUES   ? 1
					: forest->kind == FOREST_SHARES ? fixed->nlabels
													: 2 * (fixed->nlabels + 1);
}

/* Finds what sums are divided by. */
static void
forest_divisor(Forest *forest)
{
	double sum = 0;

	for (uint32 i = 0; forest->weighted && i < forest->ntrees; i++)
		sum = model_round(sum + forest->weights[i], forest->single);
	forest->divisor = forest->weighted ? sum : forest->ntrees;
	if (forest->divisor == 0)
		forest->divisor = NAN;
	if (forest->args->method == FOREST_SUM ||
		forest->args->method == FOREST_WEIGHTED_SUM)
		forest->divisor = 1;
}

/* Checks the trees of a forest. */
static bool
forest_check_trees(const Model *model, const Forest *forest)
{
	const ForestArgs *args = forest->args;
	uint32 first = args->owner + 1;
	TreeLeaves leaves = forest->kind == FOREST_VOTES ? TREE_VOTES
						: forest->nshares > 1        ? TREE_ROWS
													 : TREE_VALUES;
	uint32 limit =
		leaves == TREE_VOTES ? forest->nlabels : args->nrows / forest->nshares;

	for (uint32 i = 0; i < forest->ntrees; i++)
	{
		const ForestTree *tree = &forest->trees[i];

		if (!tree_check_nodes(model, &forest->walk.lists, first, tree->nnodes,
							  tree->depth, tree->plain != 0, leaves, limit))
			return false;
		first += tree->nnodes;
	}
	return true;
}

/* Checks a forest. */
static bool
forest_check(const Model *model, const uint32 *args)
{
	Forest forest;
	const ForestArgs *fixed = (const ForestArgs *) args;
	bool plain = true;
	uint64 nnodes = 0;

	forest_open(&forest, model->num, args);
	for (uint32 i = 0; i < forest.ntrees; i++)
	{
		nnodes += forest.trees[i].nnodes;
		plain = plain && forest.trees[i].plain != 0;
	}
	return fixed->method < FOREST_METHODS &&
		   fixed->nprobabilities == fixed->nlabels &&
		   (forest.kind != FOREST_VOTES || fixed->nlabels > 0) &&
		   (!forest.weighted || fixed->nweights == forest.ntrees) &&
		   (plain || (fixed->flags & FOREST_PREDICATES) != 0) &&
		   fixed->nrows % forest.nshares == 0 &&
		   nnodes <= model->head->nnodes &&
		   tree_check_owner(model, args, (uint32) nnodes) &&
		   forest_check_trees(model, &forest);
}

/* Adds the values of leaves of a tree to what rows have collected. */
static inline void
forest_add_values(const Forest *forest, uint32 tree, const double *leaves,
				  int n, double *sums)
{
	if (forest->weighted)
		for (int i = 0; i < n; i++)
			sums[i] = model_round(
				sums[i] + model_round(forest->weights[tree] * leaves[i],
									  forest->single),
				forest->single);
	else if (forest->single)
		for (int i = 0; i < n; i++)
			sums[i] = (float) (sums[i] + leaves[i]);
	else
		for (int i = 0; i < n; i++)
			sums[i] += leaves[i];
}

/* Adds the probabilities in leaves of a tree to what rows have collected. */
static void
forest_add_shares(const Forest *forest, uint32 tree, const double *leaves,
				  int n, double *sums)
{
	uint32 nlabels = forest->nlabels;
	bool single = forest->single;

	for (int i = 0; i < n; i++, sums += nlabels)
	{
		const double *from =
			nlabels == 1
				? &leaves[i]
				: forest->rows + (Size) tree_number(leaves[i]) * nlabels;

		if (forest->weighted)
			for (uint32 j = 0; j < nlabels; j++)
				sums[j] = model_round(
					sums[j] +
						model_round(forest->weights[tree] * from[j], single),
					single);
		else
			for (uint32 j = 0; j < nlabels; j++)
				sums[j] = model_round(sums[j] + from[j], single);
	}
}

/* Counts the votes of a tree. */
static void
forest_add_votes(const Forest *forest, uint32 tree, const double *leaves,
				 int n, double *sums)
{
	uint32 nlabels = forest->nlabels;
	double weight = forest->weighted ? forest->weights[tree] : 1;

	for (int i = 0; i < n; i++, sums += forest->width)
	{
		double vote = leaves[i];
		uint32 label = isnan(vote) ? nlabels : (uint32) vote;
		double *when = sums + nlabels + 1;

		if (when[label] == 0)
			when[label] = tree + 1.0;
		sums[label] = model_round(sums[label] + weight, forest->single);
	}
}

/* Adds what leaves of a tree tell to what rows have collected. */
static inline void
forest_add(const Forest *forest, uint32 tree, const double *leaves, int n,
		   double *sums)
{
	if (forest->kind == FOREST_VALUES)
		forest_add_values(forest, tree, leaves, n, sums);
	else if (forest->kind == FOREST_SHARES)
		forest_add_shares(forest, tree, leaves, n, sums);
	else
		forest_add_votes(forest, tree, leaves, n, sums);
}

/* Collects what the trees tell of rows whose columns are loaded. */
static void
forest_walk(const Forest *forest, int first, int n, double *sums)
{
	uint32 root = forest->args->owner + 1;
	double leaves[TREE_LANES];

	for (uint32 i = 0; i < forest->ntrees; i++)
	{
		const ForestTree *tree = &forest->trees[i];

		for (int j = 0; j < n; j += TREE_LANES)
		{
			int lanes = Min(n - j, TREE_LANES);

			walk_group(&forest->walk, root, tree->depth, tree->plain != 0,
					   first, j / TREE_LANES, lanes, leaves);
			forest_add(forest, i, leaves, lanes, sums + j * forest->width);
		}
		root += tree->nnodes;
	}
}

/* Lets one row walk down some trees, the first of which has this root. */
static inline uint32
forest_walk_some(const Forest *forest, uint32 tree, uint32 root,
				 const double *row, double *leaves)
{
	const Walk *walk = &forest->walk;
	uint32 depth = 0;
	uint32 ahead = 1;
	uint32 at[TREE_PARALLEL];

	for (int i = 0; i < TREE_PARALLEL; i++)
	{
		at[i] = root;
		depth = Max(depth, forest->trees[tree + i].depth);
		root += forest->trees[tree + i].nnodes;
	}
	while (depth > 0 && ahead != 0)
	{
		uint32 steps = depth <= TREE_FIXED_DEPTH ? depth : 4;

		depth -= steps;
		for (; steps > 0; steps--)
		{
#pragma GCC unroll 8
			for (int i = 0; i < TREE_PARALLEL; i++)
				at[i] = walk_step(walk->nodes, at[i], walk->columns);
		}
		ahead = 0;
		for (int i = 0; i < TREE_PARALLEL; i++)
			ahead |= walk->nodes[at[i]].skip;
	}
	for (int i = 0; i < TREE_PARALLEL; i++)
		leaves[i] = walk->nodes[at[i]].threshold;
	return root;
}

/* Collects what the trees tell of one row, whose columns are loaded. */
static void
forest_walk_one(const Forest *forest, const double *row, double *sums)
{
	uint32 root = forest->args->owner + 1;
	double leaves[TREE_PARALLEL];
	uint32 i = 0;

	if ((forest->args->flags & FOREST_PREDICATES) == 0)
		for (; i + TREE_PARALLEL <= forest->ntrees; i += TREE_PARALLEL)
		{
			root = forest_walk_some(forest, i, root, row, leaves);
			for (uint32 j = 0; j < TREE_PARALLEL; j++)
				forest_add(forest, i + j, leaves + j, 1, sums);
		}
	for (; i < forest->ntrees; i++)
	{
		leaves[0] = walk_row(&forest->walk, root, forest->walk.columns, row);
		forest_add(forest, i, leaves, 1, sums);
		root += forest->trees[i].nnodes;
	}
}

/* Puts the average of probabilities of a row into its slots. */
static void
forest_end_shares(const Forest *forest, double *row, const double *sums)
{
	double *probability = row + forest->args->probability;
	uint32 best = 0;

	for (uint32 i = 0; i < forest->nlabels; i++)
	{
		probability[i] =
			model_round(sums[i] / forest->divisor, forest->single);
		if (probability[i] > probability[best])
			best = i;
	}
	row[forest->args->value] =
		isnan(probability[best]) ? NAN : forest->labels[best];
}

/* Tells whether votes have a winner; which it is. */
static bool
forest_winner(const Forest *forest, const double *sums, uint32 *winner)
{
	uint32 nlabels = forest->nlabels;
	const double *when = sums + nlabels + 1;
	bool found = false;

	if (when[nlabels] > 0 && (forest->args->flags & FOREST_MISSING_VOTES) == 0)
		return false;
	for (uint32 i = 0; i < nlabels; i++)
	{
		if (when[i] == 0)
			continue;
		if (!found || sums[i] > sums[*winner] ||
			(sums[i] == sums[*winner] && when[i] < when[*winner]))
			*winner = i;
		found = true;
	}
	return found && !(sums[nlabels] > sums[*winner]);
}

/* Puts the result of votes into the slots of a row. */
static void
forest_end_votes(const Forest *forest, double *row, const double *sums)
{
	double *probability = row + forest->args->probability;
	double total = 0;
	uint32 winner = 0;

	if (!forest_winner(forest, sums, &winner))
	{
		row[forest->args->value] = NAN;
		for (uint32 i = 0; i < forest->nlabels; i++)
			probability[i] = NAN;
		return;
	}
	for (uint32 i = 0; i < forest->nlabels; i++)
		total = model_round(total + sums[i], forest->single);
	for (uint32 i = 0; i < forest->nlabels; i++)
		probability[i] = model_round(sums[i] / total, forest->single);
	row[forest->args->value] = forest->labels[winner];
}

/* Puts what rows have collected into their slots. */
static void
forest_end(const Forest *forest, int first, int n, const double *sums)
{
	for (int i = 0; i < n; i++, sums += forest->width)
	{
		double *row = run_row(forest->walk.run, first + i);

		if (forest->kind == FOREST_VALUES)
			row[forest->args->value] =
				model_round(*sums / forest->divisor, forest->single);
		else if (forest->kind == FOREST_SHARES)
			forest_end_shares(forest, row, sums);
		else
			forest_end_votes(forest, row, sums);
	}
}

/* Runs a forest for rows, some at a time. */
static void
forest_step(Run *run, const uint32 *args, int first, int n)
{
	Forest forest;
	int some;
	double *sums;

	forest_open(&forest, run->num, args);
	forest_divisor(&forest);
	some = n < TREE_LANES / 4 ? 1 : walk_rows(run, &forest.walk.lists, n);
	sums = walk_begin(&forest.walk, run, some, some * forest.width);
	for (int end = first + n; first < end; first += some)
	{
		some = Min(some, end - first);
		CHECK_FOR_INTERRUPTS();
		memset(sums, 0, some * forest.width * sizeof(double));
		if (some == 1)
		{
			const double *row = run_row(run, first);

			walk_load(&forest.walk, forest.walk.columns, row);
			forest_walk_one(&forest, row, sums);
		}
		else
		{
			walk_load_all(&forest.walk, first, some);
			forest_walk(&forest, first, some, sums);
		}
		forest_end(&forest, first, some, sums);
	}
	walk_end(&forest.walk);
}

const ModelOp model_op_forest = {"forest", "TiisSNNN*s*s*x*(iii)",
								 forest_check, NULL, forest_step};
