/*
 * Trees whose rows may end in several leaves, or whose confidence depends on
 * how often a value was missing on the way. Their nodes are kept as they are
 * in the document, each with its predicates.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "model/tree_build.h"

/* A node, followed by those below it. */
typedef struct WeightedNode
{
	uint32 predicate; /* the first; the next one counts if it is unknown */
	uint32 npredicates;
	uint32 size; /* nodes, with those below it */
	uint32 row;
	uint32 preferred; /* default child, from here; 0 if none */
	uint32 scored;
} WeightedNode;

#define WEIGHTED_WORDS 6

/* Parts that a row does not have begin at MODEL_NONE. */
typedef struct WeightedArgs
{
	uint32 missing; /* TreeMissing */
	uint32 last_prediction;
	uint32 single;
	uint32 entity;
	uint32 probability;
	uint32 confidence;
	uint32 count;
	uint32 records;
	uint32 width; /* of rows; the first nslots of it are results */
	uint32 penalty;
	uint32 slots;
	uint32 nslots;
	uint32 labels;
	uint32 nlabels;
	uint32 rows;
	uint32 nrows; /* numbers in them */
	uint32 npredicates;
	uint32 predicates[];
} WeightedArgs;

/* Nodes while they are collected. */
typedef struct WeightedBuild
{
	TreeBuild *build;
	uint32 n;
	uint32 size;
	WeightedNode *nodes;
} WeightedBuild;

/* Adds the predicates of a node. */
static void
weighted_predicates(TreeBuild *build, XmlNode *predicate, WeightedNode *node)
{
	bool surrogate = xml_named(predicate, "CompoundPredicate") &&
					 xml_is(predicate, "booleanOperator", "surrogate");
	XmlNode *part = surrogate ? predicate_child(predicate) : predicate;

	node->predicate = build->npredicates;
	for (; part != NULL; part = surrogate ? xml_after(part) : NULL)
	{
		uint32 at = predicate_compile(build->c, build->scope, part);

		tree_state_add_predicate(build, at);
		node->npredicates++;
	}
}

/* Adds a node; returns its number. */
static uint32
weighted_add(WeightedBuild *weighted)
{
	weighted->nodes = builder_grow(weighted->nodes, weighted->n, 1,
								   &weighted->size, sizeof(WeightedNode));
	memset(&weighted->nodes[weighted->n], 0, sizeof(WeightedNode));
	return weighted->n++;
}

/* Adds a Node element and those below it; returns its number. */
static uint32
weighted_node(WeightedBuild *weighted, XmlNode *element)
{
	TreeBuild *build = weighted->build;
	const char *preferred = xml_attr(element, "defaultChild");
	uint32 number = weighted_add(weighted);
	WeightedNode node = {0};
	TreeElement parts;

	CHECK_FOR_INTERRUPTS();
	check_stack_depth();
	tree_element(element, &parts);
	parts.index = number + 1;
	weighted_predicates(build, parts.predicate, &node);
	node.row = tree_row(build, &parts);
	node.scored = xml_attr(element, "score") != NULL;
	for (XmlNode *child = parts.child; child != NULL;
		 child = xml_next(child, "Node"))
	{
		uint32 at = weighted_node(weighted, child);

		if (preferred != NULL && node.preferred == 0 &&
			xml_is(child, "id", preferred))
			node.preferred = at - number;
	}
	if (preferred != NULL && parts.nchildren > 0 && node.preferred == 0)
		xml_fail(element, ERRCODE_INVALID_PARAMETER_VALUE,
				 "defaultChild=\"%s\" is not a child", preferred);
	node.size = weighted->n - number;
	weighted->nodes[number] = node;
	return number;
}

/* Compiles a tree, whose results are put into slots. */
void
tree_weighted_compile(TreeBuild *build, XmlNode *root, uint32 slots,
					  uint32 nslots)
{
	WeightedBuild weighted = {build};
	const TreeParts *parts = &build->parts;
	Compiler *c = build->c;

	weighted_node(&weighted, root);
	code_begin(c, OP_tree_weighted);
	code_word(c, build->missing);
	code_word(c, build->last_prediction);
	code_word(c, build->tree_single);
	code_word(c, parts->entity);
	code_word(c, parts->probability);
	code_word(c, parts->confidence);
	code_word(c, parts->count);
	code_word(c, parts->records);
	code_word(c, parts->width);
	code_num(c, build->penalty);
	code_word(c, slots);
	code_word(c, nslots);
	code_nums(c, build->labels.rows, build->labels.n);
	code_nums(c, build->rows.rows, build->rows.n * build->rows.width);
	code_words(c, build->predicates, build->npredicates);
	code_word(c, weighted.n);
	for (uint32 i = 0; i < weighted.n; i++)
		for (int j = 0; j < WEIGHTED_WORDS; j++)
			code_word(c, ((const uint32 *) &weighted.nodes[i])[j]);
	scope_step(build->scope, code_end(c));
}

/* A row under way to a leaf, or to several. */
typedef struct WeightedPlace
{
	uint32 node;
	int levels; /* how often something else stood in for a value */
	double weight;
} WeightedPlace;

/* A tree at work. */
typedef struct Weighted
{
	const Run *run;
	const WeightedArgs *args;
	uint32 nnodes;
	const WeightedNode *nodes;
	double *sums; /* as a row of a leaf */
	int nleaves;  /* in which the row ended */
	int levels;   /* how often something else stood in for a value */
	uint32 nstack;
	WeightedPlace *stack;
} Weighted;

/* Finds the parts of a tree. */
static void
weighted_open(Weighted *weighted, const uint32 *args)
{
	const WeightedArgs *fixed = (const WeightedArgs *) args;
	const uint32 *nodes = fixed->predicates + fixed->npredicates;

	memset(weighted, 0, sizeof(*weighted));
	weighted->args = fixed;
	weighted->nnodes = nodes[0];
	weighted->nodes = (const WeightedNode *) (nodes + 1);
}

/* Tells whether a part of rows is inside them. */
static bool
weighted_part_fits(const WeightedArgs *args, uint32 part, uint32 width)
{
	return part == MODEL_NONE ||
		   (part < args->width && width <= args->width - part);
}

/* Tells whether a node fits those below it, and what the record has. */
static bool
weighted_node_fits(const Weighted *weighted, uint32 at)
{
	const WeightedArgs *args = weighted->args;
	const WeightedNode *node = &weighted->nodes[at];
	bool preferred = node->preferred == 0;
	uint32 below = 1;

	if (node->size == 0 || node->size > weighted->nnodes - at ||
		node->row >= args->nrows / args->width ||
		node->predicate > args->npredicates ||
		node->npredicates > args->npredicates - node->predicate)
		return false;
	while (below < node->size)
	{
		uint32 size = weighted->nodes[at + below].size;

		if (node->preferred == below)
			preferred = true;
		if (size == 0 || size > node->size - below)
			return false;
		below += size;
	}
	return preferred;
}

/* Checks a tree. */
static bool
weighted_check(const Model *model, const uint32 *args)
{
	Weighted weighted;
	const WeightedArgs *fixed;

	weighted_open(&weighted, args);
	fixed = weighted.args;
	if (fixed->missing > TREE_AGGREGATE_NODES || fixed->width == 0 ||
		fixed->count >= fixed->width || fixed->nslots == 0 ||
		fixed->nslots > fixed->width || fixed->nrows % fixed->width != 0 ||
		weighted.nnodes == 0 || weighted.nodes[0].size != weighted.nnodes ||
		!weighted_part_fits(fixed, fixed->entity, 1) ||
		!weighted_part_fits(fixed, fixed->probability, fixed->nlabels) ||
		!weighted_part_fits(fixed, fixed->confidence, fixed->nlabels) ||
		!weighted_part_fits(fixed, fixed->records, fixed->nlabels))
		return false;
	for (uint32 i = 0; i < weighted.nnodes; i++)
		if (!weighted_node_fits(&weighted, i))
			return false;
	return true;
}

/* The predicate of a node: the first that is known. */
static double
weighted_predicate(Weighted *weighted, const WeightedNode *node,
				   const double *row)
{
	const uint32 *at = weighted->args->predicates + node->predicate;
	double value = 1;

	for (uint32 i = 0; i < node->npredicates; i++)
	{
		CHECK_FOR_INTERRUPTS();
		value = model_eval(weighted->run, at[i], row);
		if (isnan(value))
			continue;
		if (i > 0)
			weighted->levels++;
		break;
	}
	return value;
}

/* The row of numbers of a node. */
static const double *
weighted_numbers(const Weighted *weighted, uint32 node)
{
	return weighted->run->num + weighted->args->rows +
		   (Size) weighted->nodes[node].row * weighted->args->width;
}

/* The number of records of a node, 1 if they are not to be considered. */
static double
weighted_count(const Weighted *weighted, uint32 node)
{
	if (weighted->args->missing == TREE_AGGREGATE_NODES)
		return 1;
	return weighted_numbers(weighted, node)[weighted->args->count];
}

/* Takes a row on to a node. */
static void
weighted_push(Weighted *weighted, uint32 node, double weight)
{
	WeightedPlace *place = &weighted->stack[weighted->nstack++];

	place->node = node;
	place->levels = weighted->levels;
	place->weight = weight;
}

/* What a number of a leaf counts: confidence less if values were missing. */
static double
weighted_factor(const Weighted *weighted, uint32 part, const double *leaf)
{
	const WeightedArgs *args = weighted->args;

	/* The mean of values is that of their records. */
	if (part == 0 && args->nlabels == 0 &&
		args->missing == TREE_AGGREGATE_NODES)
		return leaf[args->count];
	if (weighted->levels == 0 || args->confidence == MODEL_NONE ||
		part < args->confidence || part - args->confidence >= args->nlabels)
		return 1;
	return pow(weighted->run->num[args->penalty], weighted->levels);
}

/* Ends the way of a row, or of a part of it, at a node. */
static void
weighted_end(Weighted *weighted, uint32 node, double weight)
{
	const double *leaf = weighted_numbers(weighted, node);
	bool single = weighted->args->single != 0;

	for (uint32 i = 0; i < weighted->args->width; i++)
	{
		double factor = weighted_factor(weighted, i, leaf);
		double value = leaf[i];

		if (factor != 1)
			value = model_round(value * factor, single);
		value *= weight;
		weighted->sums[i] =
			weighted->nleaves == 0 ? value : weighted->sums[i] + value;
	}
	weighted->nleaves++;
}

/* Ends the way of a row without a result. */
static void
weighted_nowhere(Weighted *weighted)
{
	for (uint32 i = 0; i < weighted->args->width; i++)
		weighted->sums[i] = NAN;
	weighted->nleaves++;
}

/* Sends a row to a child of a node and its siblings that may be true. */
static void
weighted_split(Weighted *weighted, uint32 at, uint32 child, double weight,
			   const double *row)
{
	const WeightedNode *nodes = weighted->nodes;
	uint32 end = at + nodes[at].size;
	uint32 bottom = weighted->nstack;
	int levels = weighted->levels;
	double total = 0;

	for (; child < end; child += nodes[child].size)
	{
		weighted->levels = levels;
		if (weighted_predicate(weighted, &nodes[child], row) == 0)
			continue;
		weighted_push(weighted, child, weighted_count(weighted, child));
		total += weighted_count(weighted, child);
	}
	if (weighted->args->missing == TREE_AGGREGATE_NODES)
		total = 1;
	for (uint32 i = bottom; i < weighted->nstack; i++)
		weighted->stack[i].weight *= weight / total;
	/* An only one need not know how many records it has. */
	if (weighted->nstack == bottom + 1)
		weighted->stack[bottom].weight = weight;
}

/* What becomes of a row at a node when a child's predicate is unknown. */
static void
weighted_unknown(Weighted *weighted, uint32 at, uint32 child, double weight,
				 const double *row)
{
	const WeightedNode *node = &weighted->nodes[at];

	switch (weighted->args->missing)
	{
		case TREE_LAST_PREDICTION:
			weighted_end(weighted, at, weight);
			break;
		case TREE_DEFAULT_CHILD:
			if (node->preferred == 0)
				weighted_nowhere(weighted);
			else
			{
				weighted->levels++;
				weighted_push(weighted, at + node->preferred, weight);
			}
			break;
		case TREE_WEIGHTED_CONFIDENCE:
		case TREE_AGGREGATE_NODES:
			weighted_split(weighted, at, child, weight, row);
			break;
		default:
			weighted_nowhere(weighted);
	}
}

/* Takes a row on from a node that it has come to. */
static void
weighted_go_on(Weighted *weighted, uint32 at, double weight, const double *row)
{
	const WeightedNode *nodes = weighted->nodes;
	uint32 end = at + nodes[at].size;

	for (uint32 child = at + 1; child < end; child += nodes[child].size)
	{
		double value = weighted_predicate(weighted, &nodes[child], row);

		/* What is unknown has not added to the levels. */
		if (isnan(value) && weighted->args->missing != TREE_NONE)
		{
			weighted_unknown(weighted, at, child, weight, row);
			return;
		}
		if (value == 1)
		{
			weighted_push(weighted, child, weight);
			return;
		}
	}
	if (nodes[at].size == 1 ||
		(weighted->args->last_prediction != 0 && nodes[at].scored))
		weighted_end(weighted, at, weight);
	else
		weighted_nowhere(weighted);
}

/* The label with the largest number. */
static double
weighted_best(const Weighted *weighted, const double *numbers)
{
	uint32 best = 0;

	for (uint32 i = 1; i < weighted->args->nlabels; i++)
		if (numbers[i] > numbers[best])
			best = i;
	return isnan(numbers[best])
			   ? NAN
			   : weighted->run->num[weighted->args->labels + best];
}

/* Makes one result of several leaves. */
static void
weighted_combine(Weighted *weighted)
{
	const WeightedArgs *args = weighted->args;
	double *sums = weighted->sums;
	bool aggregate = args->missing == TREE_AGGREGATE_NODES;
	double total = 0;

	if (args->entity != MODEL_NONE)
		sums[args->entity] = NAN;
	if (args->nlabels == 0)
	{
		if (aggregate)
			sums[0] /= sums[args->count];
		return;
	}
	if (args->confidence == MODEL_NONE ||
		(aggregate && args->records == MODEL_NONE))
	{
		sums[0] = NAN;
		return;
	}
	for (uint32 i = 0; aggregate && i < args->nlabels; i++)
		total += sums[args->records + i];
	for (uint32 i = 0; aggregate && i < args->nlabels; i++)
	{
		sums[args->confidence + i] = sums[args->records + i] / total;
		if (args->probability != MODEL_NONE)
			sums[args->probability + i] = sums[args->confidence + i];
	}
	sums[0] = weighted_best(weighted, sums + args->confidence);
}

/* Runs a tree for one row. */
static void
weighted_row(Weighted *weighted, double *row)
{
	const WeightedArgs *args = weighted->args;

	weighted->nleaves = 0;
	weighted->levels = 0;
	weighted->nstack = 0;
	if (weighted_predicate(weighted, &weighted->nodes[0], row) == 1)
		weighted_push(weighted, 0, 1);
	else
		weighted_nowhere(weighted);
	while (weighted->nstack > 0)
	{
		WeightedPlace place = weighted->stack[--weighted->nstack];

		weighted->levels = place.levels;
		weighted_go_on(weighted, place.node, place.weight, row);
	}
	if (weighted->nleaves > 1)
		weighted_combine(weighted);
	for (uint32 i = 0; i < args->nslots; i++)
		row[args->slots + i] = weighted->sums[i];
}

/* Runs a tree for rows. */
static void
weighted_step(Run *run, const uint32 *args, int first, int n)
{
	Weighted weighted;

	weighted_open(&weighted, args);
	weighted.run = run;
	/* Predicates may want the scratch of the run for themselves. */
	weighted.sums = palloc(weighted.args->width * sizeof(double));
	weighted.stack = palloc_extended(
		(Size) weighted.nnodes * sizeof(WeightedPlace), MCXT_ALLOC_HUGE);
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		weighted_row(&weighted, run_row(run, first + i));
	}
	pfree(weighted.sums);
	pfree(weighted.stack);
}

const ModelOp model_op_tree_weighted = {"tree_weighted",
										"iiiiiiiiinSNN*x*(iiiiii)",
										weighted_check, NULL, weighted_step};
