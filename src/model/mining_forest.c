/* MiningModels of trees that run as one forest. */
#include "postgres.h"

#include "model/mining.h"
#include "model/tree.h"

/* Does a field of a mining schema leave the values of the model around? */
static bool
mining_field_is_plain(Ensemble *ensemble, const XmlNode *node)
{
	static const char *const changes[] = {"missingValueReplacement",
										  "invalidValueReplacement",
										  "x-invalidValueReplacement",
										  "lowValue",
										  "highValue",
										  "optype"};
	const char *usage = xml_peek(node, "usageType");
	const char *name = xml_peek(node, "name");
	const char *value;

	if (strcmp(node->name, "MiningField") != 0 || name == NULL)
		return false;
	for (int i = 0; i < lengthof(changes); i++)
		if (xml_peek(node, changes[i]) != NULL)
			return false;
	value = xml_peek(node, "outliers");
	if (value != NULL && strcmp(value, "asIs") != 0)
		return false;
	value = xml_peek(node, "missingValueTreatment");
	if (value != NULL && strcmp(value, "returnInvalid") == 0)
		return false;
	value = xml_peek(node, "invalidValueTreatment");
	if (value != NULL && strcmp(value, "asIs") != 0 &&
		strcmp(value, "returnInvalid") != 0)
		return false;
	if (usage != NULL && strcmp(usage, "active") != 0)
		return true;
	return scope_find(ensemble->c, ensemble->scope, name) != NULL;
}

/* Can a segment be one of the trees of a forest? */
static bool
part_is_tree(Ensemble *ensemble, const Part *part)
{
	const XmlNode *schema = xml_peek_child(part->model, "MiningSchema");

	if (!part->always || strcmp(part->model->name, "TreeModel") != 0 ||
		schema == NULL ||
		!tree_forest_fits(part->model, ensemble->scope->classifies))
		return false;
	for (const XmlNode *field = schema->child; field != NULL;
		 field = field->next)
		if (!mining_field_is_plain(ensemble, field))
			return false;
	return true;
}

/* Does an output ask for the result of one segment? */
static bool
outputs_name_segment(const XmlNode *model)
{
	const XmlNode *output = xml_peek_child(model, "Output");

	for (const XmlNode *field = output == NULL ? NULL : output->child;
		 field != NULL; field = field->next)
		if (xml_peek(field, "segmentId") != NULL)
			return true;
	return false;
}

/* Is there a forest that gives the same as the segments? */
static bool
forest_is_possible(Ensemble *ensemble, ForestMethod *method)
{
	static const ForestMethod methods[] = {FOREST_SUM, FOREST_WEIGHTED_SUM,
										   FOREST_AVERAGE,
										   FOREST_WEIGHTED_AVERAGE};
	bool votes = ensemble->method == METHOD_VOTE ||
				 ensemble->method == METHOD_WEIGHTED_VOTE;

	if (ensemble->missing == MISSING_SKIP ||
		outputs_name_segment(ensemble->scope->node))
		return false;
	if (votes)
	{
		if (ensemble->missing == MISSING_CONTINUE && ensemble->threshold < 1)
			return false;
		*method = ensemble->method == METHOD_VOTE ? FOREST_VOTE
												  : FOREST_WEIGHTED_VOTE;
	}
	else if (ensemble->method > METHOD_WEIGHTED_AVERAGE)
		return false;
	else
		*method = methods[ensemble->method];
	for (int i = 0; i < ensemble->nparts; i++)
		if (!part_is_tree(ensemble, &ensemble->parts[i]))
			return false;
	return true;
}

/* Compiles the segments as a forest, if they are one. */
bool
mining_forest(Ensemble *ensemble, Result *result)
{
	Size n = ensemble->nparts;
	ForestMethod method;
	XmlNode **trees;
	double *weights;

	if (!forest_is_possible(ensemble, &method))
		return false;
	(void) mining_combine_method(ensemble);
	trees = palloc(sizeof(XmlNode *) * n);
	weights = palloc(sizeof(double) * n);
	for (int i = 0; i < ensemble->nparts; i++)
	{
		trees[i] = ensemble->parts[i].model;
		weights[i] = ensemble->parts[i].weight;
		xml_skip(xml_need_child(trees[i], "MiningSchema"));
	}
	tree_forest_compile(ensemble->c, ensemble->scope, trees, weights,
						ensemble->nparts, method,
						ensemble->missing == MISSING_CONTINUE, result);
	return true;
}
