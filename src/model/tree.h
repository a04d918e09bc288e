/*
 * Decision trees, alone and many at once.
 *
 * The op forest runs many trees in one step: no slots of their own, no copies
 * of leaves, and the loop over the trees is inside the kernel.
 */
#ifndef IAROS_MODEL_TREE_H
#define IAROS_MODEL_TREE_H

#include "postgres.h"

#include "model/compile.h"

/*
 * What is done with the trees. Sum to weighted average are for regression;
 * the averages of probabilities and the votes for classification.
 */
typedef enum ForestMethod
{
	FOREST_SUM,
	FOREST_AVERAGE,
	FOREST_WEIGHTED_SUM,
	FOREST_WEIGHTED_AVERAGE,
	FOREST_VOTE,
	FOREST_WEIGHTED_VOTE
} ForestMethod;

#define FOREST_METHODS (FOREST_WEIGHTED_VOTE + 1)

/* Flags of the record. */
#define FOREST_SINGLE 0x01
#define FOREST_MISSING_VOTES 0x02
#define FOREST_PREDICATES 0x04 /* a tree is not plain */

/*
 * Whether tree_forest_compile() takes this TreeModel, judged without its
 * mining schema: it has no output, targets, transformations or verification of
 * its own, is of the function asked for, is scorable, and its rows end in one
 * leaf. Marks nothing as read.
 */
extern bool tree_forest_fits(const XmlNode *model, bool classifies);

/*
 * Compiles TreeModel elements that fit into one step of the scope, which is
 * that of the MiningModel; fields are looked up there. The functionName and
 * the other attributes of each are read here, its MiningSchema is not.
 *
 * weights are NULL, or one for each tree, and used by the weighted methods.
 * A tree without a result makes the whole result missing; but it is one vote
 * against all labels with missing_votes (missingPredictionTreatment
 * "continue" of the votes). A forest cannot skip such trees.
 *
 * Sets type, value, and for classification nlabels, labels, probability of
 * the result; value is the best label already, ties go to the label that the
 * first of the trees favours. Sums are in 32 bits if scope->single.
 */
extern void tree_forest_compile(Compiler *c, Scope *scope, XmlNode **trees,
								const double *weights, int ntrees,
								ForestMethod method, bool missing_votes,
								Result *result);

/* What trees are run over: columns and predicates, as records list them. */
typedef struct TreeLists
{
	uint32 nplain;
	const uint32 *plain; /* slots */
	uint32 nflipped;
	const uint32 *flipped; /* slots whose negative is compared */
	uint32 npredicates;
	const uint32 *predicates;
} TreeLists;

/* What leaves hold. */
typedef enum TreeLeaves
{
	TREE_VALUES,
	TREE_VOTES, /* numbers below the limit, or NaN */
	TREE_ROWS   /* numbers of rows below the limit */
} TreeLeaves;

/* tree_check.c: whether nodes of trees from outside are well formed. */
extern const uint32 *tree_lists(const uint32 *args, TreeLists *lists);
extern bool tree_check_owner(const Model *model, const uint32 *args,
							 uint32 nnodes);
extern bool tree_check_nodes(const Model *model, const TreeLists *lists,
							 uint32 first, uint32 nnodes, uint32 depth,
							 bool plain, TreeLeaves leaves, uint32 limit);

#endif /* IAROS_MODEL_TREE_H */
