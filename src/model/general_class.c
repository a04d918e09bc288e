/* GeneralRegressionModel: labels and their probabilities, and survival. */
#include "postgres.h"

#include "miscadmin.h"
#include "model/compile.h"
#include "model/general.h"

/* The linear predictor of the baseline: all at their reference points. */
static double
cox_reference(General *g)
{
	XmlNode *list = xml_need_child(g->node, "ParameterList");
	bool single = g->scope->single;
	double sum = 0;

	for (int i = 0; i < g->ncells; i++)
	{
		XmlNode *node = xml_child(list, "Parameter");
		double x;

		CHECK_FOR_INTERRUPTS();
		while (node != NULL &&
			   strcmp(xml_need(node, "name"), g->cells[i].parameter) != 0)
			node = xml_next(node, "Parameter");
		if (node == NULL)
			general_fail(g->cells[i].node, "parameter is not declared");
		x = model_round(xml_number(node, "referencePoint", 0), single);
		x = model_round(model_round(g->cells[i].beta, single) * x, single);
		sum = model_round(sum + x, single);
	}
	return sum;
}

/* A point of a baseline. */
typedef struct Baseline
{
	double time;
	double hazard;
	int order;
} Baseline;

/* Orders the points of a baseline by time. */
static int
baseline_compare(const void *left, const void *right)
{
	const Baseline *a = left;
	const Baseline *b = right;

	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	return a->order - b->order;
}

/* Reads a baseline; writes its times and its hazards as numbers. */
static void
baseline_read(Compiler *c, XmlNode *node, uint32 *words)
{
	int n = xml_children(node, "BaselineCell");
	Baseline *points = palloc(mul_size(n + 1, sizeof(Baseline)));
	double *numbers = palloc(mul_size(n + 1, 2 * sizeof(double)));
	XmlNode *cell = xml_child(node, "BaselineCell");
	int used = 0;

	for (int i = 0; cell != NULL; cell = xml_next(cell, "BaselineCell"), i++)
	{
		points[i].time = xml_need_number(cell, "time");
		points[i].hazard = xml_need_number(cell, "cumHazard");
		points[i].order = i;
	}
	if (n == 0)
		general_fail(node, "baseline lacks cells");
	qsort(points, n, sizeof(Baseline), baseline_compare);
	for (int i = 0; i < n; i++)
		if (used == 0 || points[i].time != numbers[used - 1])
		{
			numbers[used] = points[i].time;
			numbers[n + used++] = points[i].hazard;
		}
	words[1] = builder_num(c, xml_need_number(node, "maxTime"));
	words[2] = builder_nums(c, numbers, used);
	words[4] = builder_nums(c, numbers + n, used);
	words[3] = words[5] = used;
	pfree(points);
	pfree(numbers);
}

/* Reads the baselines of all strata, or the only one, six words each. */
static uint32 *
cox_tables(General *g, Field *stratum, uint32 *n)
{
	XmlNode *tables = xml_need_child(g->node, "BaseCumHazardTables");
	XmlNode *node = xml_child(tables, "BaselineStratum");
	uint32 *words;

	*n = stratum == NULL ? 1 : xml_children(tables, "BaselineStratum");
	words = palloc0(mul_size(*n + 1, 6 * sizeof(uint32)));
	if (stratum == NULL)
	{
		if (node != NULL)
			xml_unsupported(node, NULL, NULL);
		words[0] = builder_num(g->c, NAN);
		baseline_read(g->c, tables, words);
		return words;
	}
	xml_attr(tables, "maxTime");
	if (node == NULL || xml_child(tables, "BaselineCell") != NULL)
		general_fail(tables, "baselines must be those of the strata");
	for (int i = 0; node != NULL;
		 node = xml_next(node, "BaselineStratum"), i++)
	{
		xml_attr(node, "label");
		words[6 * i] =
			builder_num(g->c, value_parse(g->c, node, xml_need(node, "value"),
										  stratum->type));
		baseline_read(g->c, node, words + 6 * i);
	}
	return words;
}

/* Compiles a model of survival, which predicts the cumulative hazard. */
Operand
general_hazard(General *g)
{
	Compiler *c = g->c;
	const char *strata = xml_attr(g->node, "baselineStrataVariable");
	Operand time = general_number(g, xml_need(g->node, "endTimeVariable"));
	uint32 risk = general_sum_all(g);
	uint32 stratum = MODEL_NONE;
	Field *field = NULL;
	uint32 n;
	uint32 *words;

	if (strata != NULL)
	{
		field = scope_field(c, g->scope, g->node, strata);
		stratum = expression_field(c, g->scope, g->node, strata).at;
	}
	words = cox_tables(g, field, &n);
	code_begin(c, OP_hazard);
	code_word(c, g->scope->single);
	code_word(c, risk);
	code_word(c, time.at);
	code_word(c, stratum);
	code_num(c, cox_reference(g));
	code_word(c, n);
	for (uint32 i = 0; i < 6 * n; i++)
		code_word(c, words[i]);
	return (Operand){code_end(c), type_real(g->scope->single)};
}

/* The labels: those of the target, or those that the estimates name. */
static void
class_labels(General *g, Result *result)
{
	Field *target = g->scope->target;
	int n = target == NULL ? 0 : target->nvalues;
	int known = 0;

	result->labels = palloc(mul_size(Max(n, g->ncells + 1), sizeof(double)));
	result->nlabels = n;
	if (n > 0)
		memcpy(result->labels, target->values, n * sizeof(double));
	for (int i = 0; n == 0 && i < g->ncells; i++)
	{
		for (known = 0; known < result->nlabels; known++)
			if (result->labels[known] == g->cells[i].label)
				break;
		if (known == result->nlabels && !isnan(g->cells[i].label))
			result->labels[result->nlabels++] = g->cells[i].label;
	}
}

/* The only label that has no estimates, -1 if there is none. */
static int
class_without_estimates(const General *g, const Result *result)
{
	int found = -1;

	for (int i = 0; i < result->nlabels; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (general_cells_count(g->cells, g->ncells, result->labels[i]) > 0)
			continue;
		if (found >= 0)
			return -1;
		found = i;
	}
	return found;
}

/* Makes the reference category the last label. */
static void
class_reference(General *g, Result *result)
{
	const char *name = xml_attr(g->node, "targetReferenceCategory");
	Field *target = g->scope->target;
	int at = result->nlabels;
	double label;

	if (name == NULL && g->type == GENERAL_ORDINAL)
		return;
	if (name != NULL)
	{
		label = scope_label(g->c, g->scope, g->node, name);
		for (at = 0; at < result->nlabels; at++)
			if (result->labels[at] == label)
				break;
		if (at == result->nlabels && (target == NULL || target->nvalues == 0))
			result->labels[result->nlabels++] = label;
	}
	else
		at = class_without_estimates(g, result);
	if (at < 0 || at >= result->nlabels)
		general_fail(g->node, "model has no reference category");
	label = result->labels[at];
	memmove(result->labels + at, result->labels + at + 1,
			(result->nlabels - 1 - at) * sizeof(double));
	result->labels[result->nlabels - 1] = label;
}

/* The linear predictor of a label, or the prediction that follows from it. */
static uint32
class_sum(General *g, const Result *result, double label)
{
	int own = general_cells_count(g->cells, g->ncells, label);
	int common = general_cells_count(g->cells, g->ncells, NAN);

	CHECK_FOR_INTERRUPTS();
	if (g->type == GENERAL_ORDINAL)
	{
		if (own != 1)
			general_fail(g->node, "ParamMatrix needs one intercept for each "
								  "category but the last");
		return general_sum(g, label, true, true);
	}
	if (own == 0 && (result->nlabels != 2 || common == 0))
		general_fail(g->node, "ParamMatrix does not cover all categories");
	return general_sum(g, label, own > 0, own == 0);
}

/* Compiles a model that tells labels apart. */
void
general_class(General *g, Result *result)
{
	Compiler *c = g->c;
	GeneralClass kind = g->type == GENERAL_ORDINAL       ? CLASS_CUMULATIVE
						: g->type == GENERAL_MULTINOMIAL ? CLASS_MULTINOMIAL
														 : CLASS_COMPLEMENT;

	if (g->type != GENERAL_ORDINAL && g->type != GENERAL_MULTINOMIAL &&
		g->type != GENERAL_GENERALIZED)
		general_fail(g->node, "type of the model does not classify");
	class_labels(g, result);
	class_reference(g, result);
	if (result->nlabels < 2)
		general_fail(g->node, "model needs two categories at least");
	result->probability = builder_slots(c, result->nlabels);
	for (int i = 0; i < result->nlabels - 1; i++)
		scope_put(c, g->scope, result->probability + i,
				  class_sum(g, result, result->labels[i]));
	code_begin(c, OP_general_class);
	code_word(c, g->scope->single);
	code_word(c, kind);
	code_word(c, result->probability);
	code_word(c, result->nlabels);
	scope_step(g->scope, code_end(c));
	result->type = g->scope->predicts;
	result_best(c, g->scope, result, result->probability, false);
}
