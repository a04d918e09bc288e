/* TreeModel elements: attributes, results, and many of them as a forest. */
#include "postgres.h"

#include "model/tree.h"
#include "model/tree_build.h"

/* Begins building trees in a scope. */
static void
build_init(TreeBuild *build, Compiler *c, Scope *scope, bool classifies)
{
	memset(build, 0, sizeof(*build));
	build->c = c;
	build->scope = scope;
	build->classifies = classifies;
	build->nowhere = -1;
	memset(&build->parts, 0xFF, sizeof(build->parts));
	build->parts.width = 0;
}

/* Adds a part to the row of leaves. */
static void
build_part(TreeBuild *build, uint32 *part, uint32 width)
{
	*part = build->parts.width;
	build->parts.width += width;
	build->rows.width = build->parts.width;
}

/* Reads the attributes of a TreeModel. */
static void
build_attributes(TreeBuild *build, XmlNode *node, bool single)
{
	build->tree_single = single;
	build->missing = xml_choice(node, "missingValueStrategy",
								"none|nullPrediction|lastPrediction|"
								"defaultChild|weightedConfidence|"
								"aggregateNodes",
								TREE_NONE);
	build->last_prediction =
		xml_choice(node, "noTrueChildStrategy",
				   "returnNullPrediction|returnLastPrediction", 0) == 1;
	build->penalty = xml_number(node, "missingValuePenalty", 1);
	/* It promises something that nothing here depends on. */
	xml_choice(node, "splitCharacteristic", "multiSplit|binarySplit", 0);
	if (!(build->penalty >= 0 && build->penalty <= 1))
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "missingValuePenalty is not between 0 and 1");
}

/* Adds the lists of columns and predicates as operands. */
static void
build_lists(TreeBuild *build)
{
	code_words(build->c, build->plain.slots, build->plain.n);
	code_words(build->c, build->flipped.slots, build->flipped.n);
	code_words(build->c, build->predicates, build->npredicates);
}

/* Adds the rows of leaves as an operand; single numbers are in the nodes. */
static void
build_rows(TreeBuild *build)
{
	uint64 count = (uint64) build->rows.n * build->rows.width;

	if (count > PG_INT32_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("compiled model is too large"),
						errdetail("Its trees have too many results.")));
	code_nums(build->c, build->rows.rows,
			  build->rows.width == 1 ? 0 : (uint32) count);
}

/* Reserves the node that tells to which record the nodes after it belong. */
static uint32
build_owner(TreeBuild *build)
{
	return builder_nodes(build->c, 1);
}

/* Ends the record to which nodes belong, and adds it to the steps. */
static void
build_end(TreeBuild *build, uint32 owner)
{
	uint32 at = code_end(build->c);
	TreeNode *node = builder_node(build->c, owner);

	node->threshold = tree_threshold(at);
	node->skip = 0;
	node->test = TREE_OWNER;
	scope_step(build->scope, at);
}

/* Tells whether a model or one around it has an output of a feature. */
static bool
tree_wants(const Scope *scope, const char *feature)
{
	for (; scope != NULL; scope = scope->parent)
	{
		XmlNode *output =
			scope->node == NULL ? NULL : xml_child(scope->node, "Output");

		if (output == NULL)
			continue;
		for (XmlNode *field = xml_child(output, "OutputField"); field != NULL;
			 field = xml_next(field, "OutputField"))
			if (xml_is(field, "feature", feature))
				return true;
	}
	return false;
}

/* Decides what leaves tell, and where the result is found. */
static void
tree_parts(TreeBuild *build, XmlNode *node, bool combined, Result *result)
{
	TreeParts *parts = &build->parts;
	bool shares;

	build_part(build, &parts->value, 1);
	if (tree_wants(build->scope, "entityId"))
		build_part(build, &parts->entity, 1);
	if (build->classifies)
	{
		shares = tree_labels(build, &node, 1);
		if (shares)
			build_part(build, &parts->probability, build->labels.n);
		if (shares && (combined || tree_wants(build->scope, "confidence")))
			build_part(build, &parts->confidence, build->labels.n);
		result->nlabels = (int) build->labels.n;
		result->labels = build->labels.rows;
		result->type = build->scope->predicts;
	}
	else
		result->type = type_real(build->tree_single);
}

/* Reserves the slots of the result. */
static uint32
tree_slots(TreeBuild *build, uint32 width, Result *result)
{
	const TreeParts *parts = &build->parts;
	uint32 first = builder_slots(build->c, width);

	result->value = first + parts->value;
	if (parts->entity != MODEL_NONE)
		result->entity = first + parts->entity;
	if (parts->probability != MODEL_NONE)
		result->probability = first + parts->probability;
	if (parts->confidence != MODEL_NONE)
		result->confidence = first + parts->confidence;
	return first;
}

/* Compiles a tree whose rows end in one leaf each. */
static void
tree_compile(TreeBuild *build, XmlNode *root, Result *result)
{
	uint32 owner = build_owner(build);
	uint32 slots = tree_slots(build, build->parts.width, result);
	int state = tree_build(build, root);
	TreePlace place;

	if (owner + 1 != builder_nodes(build->c, 0))
		elog(ERROR, "nodes of a tree do not stand together");
	tree_state_place(build, state, &place);
	tree_state_columns(build, place.first, place.nnodes);
	code_begin(build->c, OP_tree);
	code_word(build->c, owner);
	code_word(build->c, place.nnodes);
	code_word(build->c, place.depth);
	code_word(build->c, place.plain);
	code_word(build->c, slots);
	code_word(build->c, build->parts.width);
	build_rows(build);
	build_lists(build);
	build_end(build, owner);
}

/* Compiles a TreeModel. */
void
model_compile_tree(Compiler *c, Scope *scope, XmlNode *node, Result *result)
{
	XmlNode *root = xml_need_child(node, "Node");
	TreeBuild build;
	bool combined;

	if (xml_next(root, "Node") != NULL)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "tree has more than one root");
	if (!scope->classifies && !xml_is(node, "functionName", "regression"))
		xml_unsupported(node, "functionName", xml_attr(node, "functionName"));
	build_init(&build, c, scope, scope->classifies);
	build_attributes(&build, node, scope->single);
	combined = build.missing >= TREE_WEIGHTED_CONFIDENCE;
	tree_parts(&build, node, combined, result);
	if (combined ||
		(build.penalty != 1 && build.parts.confidence != MODEL_NONE))
	{
		uint32 width = build.parts.width;
		uint32 slots = tree_slots(&build, width, result);

		build_part(&build, &build.parts.count, 1);
		if (build.missing == TREE_AGGREGATE_NODES && build.labels.n > 0)
			build_part(&build, &build.parts.records, build.labels.n);
		tree_weighted_compile(&build, root, slots, width);
	}
	else
		tree_compile(&build, root, result);
}

/* Tells whether an attribute is there and has a value. */
static bool
peek_is(const XmlNode *node, const char *name, const char *value)
{
	const char *actual = xml_peek(node, name);

	return actual != NULL && strcmp(actual, value) == 0;
}

/* Tells whether a TreeModel can be one of a forest. */
bool
tree_forest_fits(const XmlNode *model, bool classifies)
{
	if (!xml_named(model, "TreeModel") ||
		!peek_is(model, "functionName",
				 classifies ? "classification" : "regression") ||
		(xml_peek(model, "isScorable") != NULL &&
		 !peek_is(model, "isScorable", "true")) ||
		peek_is(model, "missingValueStrategy", "weightedConfidence") ||
		peek_is(model, "missingValueStrategy", "aggregateNodes"))
		return false;
	for (const XmlNode *child = model->child; child != NULL;
		 child = child->next)
		if (!xml_named(child, "MiningSchema") && !xml_named(child, "Node") &&
			!xml_named(child, "Extension") &&
			!xml_named(child, "ModelStats") &&
			!xml_named(child, "ModelExplanation"))
			return false;
	return true;
}

/* Builds a tree of a forest. */
static void
forest_tree(TreeBuild *build, XmlNode *node, TreePlace *place)
{
	XmlNode *root = xml_need_child(node, "Node");

	if (xml_next(root, "Node") != NULL)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "tree has more than one root");
	xml_attr(node, "functionName");
	xml_attr(node, "isScorable");
	build_attributes(build, node,
					 xml_choice(node, "x-mathContext", "double|float", 0) ==
						 1);
	tree_state_place(build, tree_build(build, root), place);
}

/* Decides what leaves tell, and reserves the slots of the result. */
static void
forest_parts(TreeBuild *build, XmlNode **trees, int ntrees,
			 ForestMethod method, Result *result)
{
	bool votes = method == FOREST_VOTE || method == FOREST_WEIGHTED_VOTE;

	result->value = builder_slots(build->c, 1);
	result->type = build->scope->predicts;
	if (!build->classifies)
	{
		build_part(build, &build->parts.value, 1);
		result->type = type_real(build->single);
		return;
	}
	tree_labels(build, trees, ntrees);
	if (build->labels.n == 0)
		xml_fail(trees[0], ERRCODE_INVALID_PARAMETER_VALUE,
				 "classification has no labels");
	if (votes)
		build_part(build, &build->parts.vote, 1);
	else
		build_part(build, &build->parts.probability, build->labels.n);
	result->nlabels = (int) build->labels.n;
	result->labels = build->labels.rows;
	result->probability = builder_slots(build->c, build->labels.n);
}

/* Adds the weights of trees as an operand. */
static void
forest_weights(TreeBuild *build, const double *weights, int ntrees,
			   ForestMethod method)
{
	double *rounded = palloc(Max(ntrees, 1) * sizeof(double));
	bool weighted = method == FOREST_WEIGHTED_SUM ||
					method == FOREST_WEIGHTED_AVERAGE ||
					method == FOREST_WEIGHTED_VOTE;

	for (int i = 0; weighted && i < ntrees; i++)
		rounded[i] =
			model_round(weights == NULL ? 1 : weights[i], build->single);
	code_nums(build->c, rounded, weighted ? ntrees : 0);
	pfree(rounded);
}

/* Writes the record of a forest. */
static void
forest_record(TreeBuild *build, uint32 owner, const TreePlace *places,
			  const double *weights, int ntrees, uint32 flags,
			  ForestMethod method, const Result *result)
{
	Compiler *c = build->c;
	uint32 nlabels = build->classifies ? build->labels.n : 0;

	code_begin(c, OP_forest);
	code_word(c, owner);
	code_word(c, method);
	code_word(c, flags);
	code_word(c, result->value);
	code_word(c, nlabels == 0 ? 0 : result->probability);
	code_word(c, nlabels);
	code_nums(c, build->labels.rows, nlabels);
	build_rows(build);
	forest_weights(build, weights, ntrees, method);
	build_lists(build);
	code_word(c, ntrees);
	for (int i = 0; i < ntrees; i++)
	{
		code_word(c, places[i].nnodes);
		code_word(c, places[i].depth);
		code_word(c, places[i].plain);
	}
	build_end(build, owner);
}

/* Compiles trees into one step. */
void
tree_forest_compile(Compiler *c, Scope *scope, XmlNode **trees,
					const double *weights, int ntrees, ForestMethod method,
					bool missing_votes, Result *result)
{
	TreePlace *places = palloc(Max(ntrees, 1) * sizeof(TreePlace));
	TreeBuild build;
	uint32 owner = builder_nodes(c, 1);
	uint32 flags = 0;

	build_init(&build, c, scope, scope->classifies);
	build.single = scope->single;
	forest_parts(&build, trees, ntrees, method, result);
	for (int i = 0; i < ntrees; i++)
	{
		forest_tree(&build, trees[i], &places[i]);
		if (!places[i].plain)
			flags |= FOREST_PREDICATES;
	}
	for (int i = 0; i < ntrees; i++)
		tree_state_columns(&build, places[i].first, places[i].nnodes);
	flags |= build.single ? FOREST_SINGLE : 0;
	flags |= missing_votes ? FOREST_MISSING_VOTES : 0;
	forest_record(&build, owner, places, weights, ntrees, flags, method,
				  result);
	pfree(places);
}
