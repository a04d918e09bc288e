/*
 * RegressionModel: sums of terms, and what turns them into predictions.
 */
#include "postgres.h"

#include "model/compile.h"
#include "model/normalize.h"

/* Terms while they are read, two words each. */
typedef struct TermList
{
	uint32 n;
	uint32 max;
	uint32 *words;
} TermList;

/* The terms of a table. */
typedef struct Terms
{
	TermList plain; /* slot, coefficient */
	TermList other; /* record, coefficient */
} Terms;

/* Adds the terms that are expressions, and the intercept. */
static double
linear_rest(const Run *run, const uint32 *args, const double *row, double sum)
{
	bool single = args[0] != 0;
	const uint32 *other = args + 4 + 2 * args[3];
	uint32 nother = *other++;

	for (uint32 i = 0; i < nother; i++, other += 2)
	{
		double value = model_round(model_eval(run, other[0], row), single);
		double part = run->num[other[1]];

		part = model_round(model_round(part, single) * value, single);
		sum = model_round(sum + part, single);
	}
	if (run->num[args[2]] == 0)
		return sum;
	return model_round(sum + model_round(run->num[args[2]], single), single);
}

/* The sum of the plain terms of a row. */
static double
linear_plain(const Run *run, const uint32 *args, const double *row)
{
	const uint32 *term = args + 4;
	double sum = 0;

	for (uint32 i = 0; i < args[3]; i++, term += 2)
		sum += run->num[term[1]] * row[term[0]];
	return sum;
}

/* The same in floats of 32 bits. */
static double
linear_single(const Run *run, const uint32 *args, const double *row)
{
	const uint32 *term = args + 4;
	float sum = 0;

	for (uint32 i = 0; i < args[3]; i++, term += 2)
		sum += (float) run->num[term[1]] * (float) row[term[0]];
	return sum;
}

/*
 * The plain terms of four rows: four sums at a time, because each addition
 * waits for the one before it in the same sum.
 */
static void
linear_four(Run *run, const uint32 *args, int first)
{
	const uint32 *term = args + 4;
	double *row[4];
	double sum[4] = {0, 0, 0, 0};

	for (int i = 0; i < 4; i++)
		row[i] = run_row(run, first + i);
	for (uint32 i = 0; i < args[3]; i++, term += 2)
	{
		double factor = run->num[term[1]];

		sum[0] += factor * row[0][term[0]];
		sum[1] += factor * row[1][term[0]];
		sum[2] += factor * row[2][term[0]];
		sum[3] += factor * row[3][term[0]];
	}
	for (int i = 0; i < 4; i++)
		row[i][args[1]] = linear_rest(run, args, row[i], sum[i]);
}

/* Writes intercept + sum of value * coefficient; missing makes missing. */
static void
linear_step(Run *run, const uint32 *args, int first, int n)
{
	int end = first + n;
	int r = first;

	if (args[0] == 0)
		for (; r + 4 <= end; r += 4)
			linear_four(run, args, r);
	for (; r < end; r++)
	{
		double *row = run_row(run, r);
		double sum = args[0] == 0 ? linear_plain(run, args, row)
								  : linear_single(run, args, row);

		row[args[1]] = linear_rest(run, args, row, sum);
	}
}

/* args: is it 32 bits wide, where to, intercept, slots, expressions. */
static bool
linear_check(const Model *model, const uint32 *args)
{
	return args[0] <= 1;
}

const ModelOp model_op_linear = {"linear", "isn*(sn)*(xn)", linear_check, NULL,
								 linear_step};

/* The number that belongs to the value of a slot; 0 if there is none. */
static double
coefficient_eval(const Run *run, const uint32 *args, const double *row)
{
	uint32 n = args[2];
	uint32 at = number_find(run->num + args[1], n, row[args[0]]);

	return at < n ? run->num[args[3] + at] : 0;
}

/* args: slot, keys in ascending order, numbers. */
static bool
coefficient_check(const Model *model, const uint32 *args)
{
	return args[2] == args[4];
}

const ModelOp model_op_coefficient = {"coefficient", "sNN", coefficient_check,
									  coefficient_eval, NULL};

/* Terms: what is multiplied, a slot or a record, and its coefficient. */
static void
terms_add(TermList *list, uint32 what, uint32 coefficient)
{
	list->words =
		builder_grow(list->words, list->n, 1, &list->max, 2 * sizeof(uint32));
	list->words[2 * list->n] = what;
	list->words[2 * list->n++ + 1] = coefficient;
}

/* Can the slot of such a field be multiplied as it is? */
static bool
slot_is_number(ValueType type)
{
	return type == VALUE_DOUBLE || type == VALUE_FLOAT ||
		   type == VALUE_INTEGER || type == VALUE_BOOLEAN;
}

/* An operand as a number, of 32 bits in a model that is so wide. */
static Operand
operand_number(Compiler *c, Scope *scope, Operand value)
{
	if (scope->single && value.type.type != VALUE_FLOAT)
		return expression_cast(c, value, type_float);
	if (value.type.type != VALUE_DOUBLE && value.type.type != VALUE_FLOAT)
		return expression_cast(c, value, type_double);
	return value;
}

/* Adds a NumericPredictor. */
static void
numeric_compile(Compiler *c, Scope *scope, XmlNode *node, Terms *terms)
{
	const char *name = xml_need(node, "name");
	uint32 factor = builder_num(c, xml_need_number(node, "coefficient"));
	double exponent = xml_number(node, "exponent", 1);
	Field *field = scope_field(c, scope, node, name);
	Operand value;

	if (exponent == 1 && slot_is_number(field->type.type))
	{
		terms_add(&terms->plain, field->slot, factor);
		return;
	}
	value = operand_number(c, scope, expression_field(c, scope, node, name));
	if (exponent != 1)
	{
		Operand args[2] = {value, expression_number(c, exponent, type_double)};

		value = expression_apply(c, node, "pow", args, 2);
	}
	terms_add(&terms->other, value.at, factor);
}

/* Adds a PredictorTerm: a product of fields. */
static void
term_compile(Compiler *c, Scope *scope, XmlNode *node, Terms *terms)
{
	double coefficient = xml_need_number(node, "coefficient");
	XmlNode *ref = xml_need_child(node, "FieldRef");
	Operand value = expression_number(
		c, model_round(coefficient, scope->single), type_real(scope->single));

	(void) xml_attr(node, "name");
	for (; ref != NULL; ref = xml_next(ref, "FieldRef"))
	{
		Operand args[2] = {value, expression_compile(c, scope, ref)};

		args[1] = operand_number(c, scope, args[1]);
		value = expression_apply(c, node, "*", args, 2);
	}
	terms_add(&terms->other, value.at, builder_num(c, 1));
}

/* A value of a categorical predictor and its coefficient. */
typedef struct Choice
{
	double key;
	double number;
	uint32 order;
} Choice;

/* Orders by value, and equal ones as they are declared. */
static int
choice_compare(const void *left, const void *right)
{
	const Choice *a = left;
	const Choice *b = right;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return a->order < b->order ? -1 : 1;
}

/* Emits the record that picks the coefficient of the value of a slot. */
static uint32
coefficient_emit(Compiler *c, uint32 slot, Choice *choices, uint32 n)
{
	double *keys = palloc(sizeof(double) * n);
	double *numbers = palloc(sizeof(double) * n);
	uint32 kept = 0;

	qsort(choices, n, sizeof(Choice), choice_compare);
	for (uint32 i = 0; i < n; i++)
	{
		if (kept > 0 && keys[kept - 1] == choices[i].key)
			continue;
		keys[kept] = choices[i].key;
		numbers[kept++] = choices[i].number;
	}
	code_begin(c, OP_coefficient);
	code_word(c, slot);
	code_nums(c, keys, kept);
	code_nums(c, numbers, kept);
	return code_end(c);
}

/*
 * Adds the CategoricalPredictors of a field that follow each other: the first
 * that matches counts, and none if the field is missing. Returns the one
 * after them.
 */
static XmlNode *
categorical_compile(Compiler *c, Scope *scope, XmlNode *node, Terms *terms)
{
	const char *name = xml_need(node, "name");
	Field *field = scope_field(c, scope, node, name);
	uint32 n = 0;
	uint32 max = 0;
	Choice *choices = NULL;

	while (node != NULL && strcmp(xml_need(node, "name"), name) == 0)
	{
		choices = builder_grow(choices, n, 1, &max, sizeof(Choice));
		choices[n].key =
			value_parse(c, node, xml_need(node, "value"), field->type);
		choices[n].number = xml_need_number(node, "coefficient");
		choices[n].order = n;
		n++;
		node = xml_next(node, "CategoricalPredictor");
	}
	terms_add(&terms->other, coefficient_emit(c, field->slot, choices, n),
			  builder_num(c, 1));
	pfree(choices);
	return node;
}

/* Adds the step that writes the sum of a table to a slot. */
static void
table_compile(Compiler *c, Scope *scope, XmlNode *table, uint32 slot)
{
	Terms terms = {0};
	double intercept = xml_number(table, "intercept", 0);
	XmlNode *node;

	for (node = xml_child(table, "NumericPredictor"); node != NULL;
		 node = xml_next(node, "NumericPredictor"))
		numeric_compile(c, scope, node, &terms);
	for (node = xml_child(table, "CategoricalPredictor"); node != NULL;)
		node = categorical_compile(c, scope, node, &terms);
	for (node = xml_child(table, "PredictorTerm"); node != NULL;
		 node = xml_next(node, "PredictorTerm"))
		term_compile(c, scope, node, &terms);
	code_begin(c, OP_linear);
	code_word(c, scope->single);
	code_word(c, slot);
	code_num(c, intercept);
	code_word(c, terms.plain.n);
	for (uint32 i = 0; i < 2 * terms.plain.n; i++)
		code_word(c, terms.plain.words[i]);
	code_word(c, terms.other.n);
	for (uint32 i = 0; i < 2 * terms.other.n; i++)
		code_word(c, terms.other.words[i]);
	scope_step(scope, code_end(c));
}

/* Adds the step that turns sums into results. */
static void
normalize_emit(Compiler *c, Scope *scope, NormalKind kind, NormalLink link,
			   uint32 slot, uint32 n)
{
	code_begin(c, OP_normalize);
	code_word(c, kind);
	code_word(c, link);
	code_word(c, scope->single);
	code_word(c, slot);
	code_word(c, n);
	scope_step(scope, code_end(c));
}

/* A regression: one table. */
static void
regression_compile(Compiler *c, Scope *scope, XmlNode *node, NormalLink link,
				   Result *result)
{
	XmlNode *table = xml_need_child(node, "RegressionTable");

	if (xml_next(table, "RegressionTable") != NULL)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "a regression has one RegressionTable");
	if (link == LINK_SIMPLEMAX)
		xml_unsupported(node, "normalizationMethod", "simplemax");
	(void) xml_attr(table, "targetCategory");
	result->type = type_real(scope->single);
	result->value = builder_slots(c, 1);
	table_compile(c, scope, table, result->value);
	if (link != LINK_NONE)
		normalize_emit(c, scope, NORMAL_EACH,
					   link == LINK_SOFTMAX ? LINK_LOGIT : link, result->value,
					   1);
}

/* Has a table nothing in it, so that its sum is always 0? */
static bool
table_is_empty(XmlNode *table)
{
	return xml_child(table, "NumericPredictor") == NULL &&
		   xml_child(table, "CategoricalPredictor") == NULL &&
		   xml_child(table, "PredictorTerm") == NULL &&
		   xml_number(table, "intercept", 0) == 0;
}

/* How the sums of n tables of a classification become probabilities. */
static NormalKind
normalize_kind(Scope *scope, XmlNode *node, NormalLink *link, uint32 n)
{
	XmlNode *table = xml_child(node, "RegressionTable");
	bool maximum = *link == LINK_SOFTMAX || *link == LINK_SIMPLEMAX;
	const char *method = xml_attr(node, "normalizationMethod");

	if (*link == LINK_EXP)
		xml_unsupported(node, "normalizationMethod", method);
	if (scope->predicts.optype == OPTYPE_ORDINAL)
	{
		if (maximum)
			xml_unsupported(node, "normalizationMethod", method);
		return NORMAL_ORDINAL;
	}
	if (n == 2 && !maximum)
		return NORMAL_BINOMIAL;
	table = xml_next(table, "RegressionTable");
	if (n == 2 && *link == LINK_SOFTMAX &&
		(table == NULL || table_is_empty(table)))
	{
		*link = LINK_LOGIT;
		return NORMAL_BINOMIAL;
	}
	if (!maximum && *link != LINK_NONE && *link != LINK_LOGIT)
		xml_unsupported(node, "normalizationMethod", method);
	return NORMAL_MULTINOMIAL;
}

/* The label that the target has beside that of the only table. */
static double
other_label(Scope *scope, XmlNode *node, double label)
{
	Field *target = scope->target;

	if (target == NULL || target->nvalues != 2 ||
		(target->values[0] != label && target->values[1] != label))
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "a classification by one RegressionTable needs a target with "
				 "two values, of which targetCategory is one");
	return target->values[target->values[0] == label ? 1 : 0];
}

/* A classification: a table for each label, the second of two can miss. */
static void
classification_compile(Compiler *c, Scope *scope, XmlNode *node,
					   NormalLink link, Result *result)
{
	XmlNode *table = xml_need_child(node, "RegressionTable");
	int n = xml_children(node, "RegressionTable");
	NormalKind kind;

	result->nlabels = Max(n, 2);
	result->labels = palloc(sizeof(double) * result->nlabels);
	result->type = scope->predicts;
	result->value = builder_slots(c, 1);
	result->probability = builder_slots(c, result->nlabels);
	kind = normalize_kind(scope, node, &link, result->nlabels);
	for (int i = 0; i < n; i++, table = xml_next(table, "RegressionTable"))
	{
		result->labels[i] =
			scope_label(c, scope, table, xml_need(table, "targetCategory"));
		table_compile(c, scope, table, result->probability + i);
	}
	if (n == 1)
	{
		Operand zero = expression_number(c, 0, type_double);

		if (link == LINK_SIMPLEMAX)
			xml_unsupported(node, "normalizationMethod", "simplemax");
		result->labels[1] = other_label(scope, node, result->labels[0]);
		scope_put(c, scope, result->probability + 1, zero.at);
	}
	normalize_emit(c, scope, kind, link, result->probability, result->nlabels);
	result_best(c, scope, result, result->probability, false);
}

/* A RegressionModel. */
void
model_compile_regression(Compiler *c, Scope *scope, XmlNode *node,
						 Result *result)
{
	const char *target = xml_attr(node, "targetFieldName");
	NormalLink link =
		xml_choice(node, "normalizationMethod",
				   "none|logit|probit|cloglog|loglog|cauchit|exp|"
				   "simplemax|softmax",
				   LINK_NONE);

	(void) xml_attr(node, "modelType");
	if (target != NULL && scope->target != NULL &&
		strcmp(target, scope->target->name) != 0)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "targetFieldName \"%s\" is not the target \"%s\"", target,
				 scope->target->name);
	if (scope->classifies)
		classification_compile(c, scope, node, link, result);
	else
		regression_compile(c, scope, node, link, result);
}
