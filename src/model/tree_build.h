/*
 * From the nodes of a TreeModel to binary decisions.
 *
 * While it is compiled a tree is a graph of states: where a row may be. A
 * state that can be reached in several ways (by a default child, by siblings
 * that are tried one after the other) is built once.
 */
#ifndef IAROS_MODEL_TREE_BUILD_H
#define IAROS_MODEL_TREE_BUILD_H

#include "postgres.h"

#include "model/compile.h"

/* Rows of numbers, each kept once. */
typedef struct RowSet
{
	uint32 width;
	uint32 n;
	uint32 size;
	double *rows;
	uint32 nbuckets;
	uint32 *buckets; /* number of the row + 1 */
} RowSet;

typedef enum TreeStateKind
{
	STATE_LEAF,
	STATE_LESS,
	STATE_PREDICATE, /* it is true */
	STATE_REFUTED    /* it is false */
} TreeStateKind;

typedef struct TreeState
{
	TreeStateKind kind;
	bool flipped;
	double threshold;
	uint32 number; /* of the row of a leaf, of a slot, of a predicate */
	int yes;
	int no;
	uint32 block; /* where its yes and no will stand */
	uint32 level;
} TreeState;

/* What is done with a row when a predicate is unknown. */
typedef enum TreeMissing
{
	TREE_NONE,
	TREE_NULL_PREDICTION,
	TREE_LAST_PREDICTION,
	TREE_DEFAULT_CHILD,
	TREE_WEIGHTED_CONFIDENCE,
	TREE_AGGREGATE_NODES
} TreeMissing;

/* Where parts of a leaf's row are; MODEL_NONE where it does not have them. */
typedef struct TreeParts
{
	uint32 width;
	uint32 value;
	uint32 vote; /* number of the label */
	uint32 entity;
	uint32 probability;
	uint32 confidence;
	uint32 count;   /* of records at the node */
	uint32 records; /* of records with each label */
} TreeParts;

/* Slots a kind of column is made of. */
typedef struct TreeColumns
{
	uint32 n;
	uint32 size;
	uint32 *slots;
	uint32 nmap;
	uint32 *map; /* by slot: number of the column + 1 */
} TreeColumns;

typedef struct TreeBuild
{
	Compiler *c;
	Scope *scope;
	bool classifies;
	/* What the trees of a forest have in common. */
	bool single; /* values of leaves are added in 32 bits */
	TreeColumns plain;
	TreeColumns flipped;
	uint32 npredicates;
	uint32 maxpredicates;
	uint32 *predicates;
	RowSet labels;
	RowSet rows;
	TreeParts parts;
	double *row;
	/* The tree at work. */
	bool tree_single;
	bool last_prediction; /* noTrueChildStrategy */
	TreeMissing missing;
	double penalty;
	uint32 nnodes; /* PMML nodes so far */
	int nowhere;   /* state of rows without a result, -1 until needed */
	int nstates;
	int maxstates;
	TreeState *states;
} TreeBuild;

/* A tree as it stands in the compiled form. */
typedef struct TreePlace
{
	uint32 first; /* node */
	uint32 nnodes;
	uint32 depth;
	bool plain; /* no predicates, nothing far away */
	bool far;   /* too large to skip to all nodes */
} TreePlace;

/* What a Node element is made of. */
typedef struct TreeElement
{
	XmlNode *node;
	XmlNode *predicate;
	XmlNode *child;        /* first Node */
	XmlNode *distribution; /* first ScoreDistribution */
	uint32 nchildren;
	uint32 index; /* from 1, in the order of the document */
} TreeElement;

/* tree_leaf.c */
extern uint32 tree_rowset_add(RowSet *set, const double *row);
extern int32 tree_rowset_find(const RowSet *set, const double *row);
extern void tree_element(XmlNode *node, TreeElement *element);
extern uint32 tree_row(TreeBuild *build, const TreeElement *element);
extern uint32 tree_row_missing(TreeBuild *build);
extern bool tree_labels(TreeBuild *build, XmlNode **trees, int ntrees);

/* tree_state.c */
extern int tree_state_leaf(TreeBuild *build, uint32 row);
extern int tree_state_less(TreeBuild *build, uint32 slot, double threshold,
						   int yes, int no, int unknown);
extern int tree_state_equal(TreeBuild *build, uint32 slot, double value,
							double next, int yes, int no, int unknown);
extern int tree_state_missing(TreeBuild *build, uint32 slot, int yes, int no);
extern int tree_state_predicate(TreeBuild *build, uint32 predicate, int yes,
								int no, int unknown);
extern void tree_state_place(TreeBuild *build, int root, TreePlace *place);
extern void tree_state_columns(TreeBuild *build, uint32 first, uint32 nnodes);
extern uint32 tree_state_add_predicate(TreeBuild *build, uint32 record);

/* tree_test.c */
extern int tree_build(TreeBuild *build, XmlNode *root);

/* tree_weighted.c */
extern void tree_weighted_compile(TreeBuild *build, XmlNode *root,
								  uint32 slots, uint32 nslots);

#endif /* IAROS_MODEL_TREE_BUILD_H */
