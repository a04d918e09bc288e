/*
 * Targets: what becomes of a predicted number, and what is predicted when a
 * model finds nothing.
 */
#include "postgres.h"

#include "model/expression.h"

/* How a number is made whole. */
#define TARGET_AS_IS 0
#define TARGET_ROUND 1
#define TARGET_CEILING 2
#define TARGET_FLOOR 3

/* The element Target of a field; NULL if there is none. */
XmlNode *
target_find(Scope *scope, XmlNode *targets)
{
	const char *name = scope->target == NULL ? NULL : scope->target->name;
	XmlNode *found = NULL;

	if (targets == NULL)
		return NULL;
	for (XmlNode *node = xml_child(targets, "Target"); node != NULL;
		 node = xml_next(node, "Target"))
	{
		const char *field = xml_attr(node, "field");

		if (field == NULL || (name != NULL && strcmp(field, name) == 0) ||
			(name == NULL && strcmp(field, "_target") == 0))
			found = node;
		else
			xml_skip(node);
	}
	return found;
}

/* The value that stands in for a missing result. */
static double
target_default(XmlNode *target)
{
	XmlNode *value = xml_child(target, "TargetValue");

	return value == NULL ? NAN : xml_number(value, "defaultValue", NAN);
}

/* A predicted number as changed: numbers are min, max, factor, constant. */
static double
target_change(const double *numbers, uint32 whole, bool single, double value)
{
	value = Min(Max(value, numbers[0]), numbers[1]);
	value = model_round(value * model_round(numbers[2], single), single);
	value = model_round(value + model_round(numbers[3], single), single);
	switch (whole)
	{
		case TARGET_ROUND:
			return model_whole(value);
		case TARGET_CEILING:
			return ceil(value);
		case TARGET_FLOOR:
			return floor(value);
		default:
			return value;
	}
}

/*
 * Adds the step that puts a number where no segment passed anything. What a
 * segment passed is changed by its own Targets only.
 */
static void
target_passed(Compiler *c, Scope *scope, double given, Result *result)
{
	Operand value = expression_slot(c, result->value, result->type);
	Operand number = expression_number(c, given, result->type);
	Operand nothing;

	if (isnan(given) || result->nothing == MODEL_NONE)
		return;
	nothing = expression_slot(c, result->nothing, result->type);
	scope_put(c, scope, result->value,
			  choose_emit(c, logic_emit(c, LOGIC_MISSING, &nothing.at, 1),
						  number.at, value.at));
}

/* Adds the step that changes a predicted number as its Target says. */
static void
target_number(Compiler *c, Scope *scope, XmlNode *target, Result *result)
{
	double numbers[5];
	uint32 whole = xml_choice(target, "castInteger",
							  "none|round|ceiling|floor", TARGET_AS_IS);
	Operand value;

	numbers[0] = xml_number(target, "min", -INFINITY);
	numbers[1] = xml_number(target, "max", INFINITY);
	numbers[2] = xml_number(target, "rescaleFactor", 1);
	numbers[3] = xml_number(target, "rescaleConstant", 0);
	numbers[4] = target_default(target);
	if (result->passed)
	{
		target_passed(
			c, scope,
			isnan(numbers[4])
				? NAN
				: target_change(numbers, whole, scope->single, numbers[4]),
			result);
		return;
	}
	value = expression_slot(c, result->value, result->type);
	code_begin(c, OP_target);
	code_word(c, value.at);
	code_word(c, whole);
	code_word(c, scope->single);
	code_nums(c, numbers, lengthof(numbers));
	scope_put(c, scope, result->value, code_end(c));
	if (whole != TARGET_AS_IS)
		result->type = (FieldType){VALUE_INTEGER, OPTYPE_CONTINUOUS, 0};
}

/* What a label counts for where a model finds nothing, NaN if not told. */
static double
target_prior(Compiler *c, Scope *scope, XmlNode *target, double label)
{
	for (XmlNode *node = xml_child(target, "TargetValue"); node != NULL;
		 node = xml_next(node, "TargetValue"))
		if (xml_attr(node, "value") != NULL &&
			scope_label(c, scope, node, xml_attr(node, "value")) == label)
			return xml_number(node, "priorProbability", NAN);
	return NAN;
}

/* Adds a step that puts a number into a slot that has none. */
static void
target_fill(Compiler *c, Scope *scope, uint32 slot, double number,
			FieldType type)
{
	Operand value = expression_slot(c, slot, type);
	Operand fill = expression_number(c, number, type);

	code_begin(c, OP_default);
	code_word(c, value.at);
	code_word(c, fill.at);
	scope_put(c, scope, slot, code_end(c));
}

/* Adds the steps that predict by prior probabilities what is not known. */
static void
target_labels(Compiler *c, Scope *scope, XmlNode *target, Result *result)
{
	double *priors = palloc(Max(result->nlabels, 1) * sizeof(double));
	double sum = 0;
	int best = 0;

	for (int i = 0; i < result->nlabels; i++)
	{
		priors[i] = target_prior(c, scope, target, result->labels[i]);
		sum += priors[i];
		if (priors[i] > priors[best])
			best = i;
	}
	if (result->nlabels == 0 || !(sum > 0))
		return;
	if (result->probability != MODEL_NONE)
		for (int i = 0; i < result->nlabels; i++)
			target_fill(c, scope, result->probability + i, priors[i] / sum,
						type_double);
	target_fill(c, scope, result->value, result->labels[best], result->type);
}

/* Gives a predicted number the type of its field. */
static void
target_cast(Compiler *c, Scope *scope, Result *result)
{
	if (result->type.type == scope->predicts.type)
		return;
	/* A whole number is not made of one that is not: it stays as it is. */
	if (scope->predicts.type == VALUE_DOUBLE)
		result->type.type = VALUE_DOUBLE;
	else if (scope->predicts.type == VALUE_FLOAT)
	{
		Operand value = expression_slot(c, result->value, result->type);

		value = expression_cast(c, value, scope->predicts);
		scope_put(c, scope, result->value, value.at);
		result->type = value.type;
	}
}

/* Refuses to change the values of targets beside the first. */
static void
target_check_others(Scope *scope, XmlNode *targets)
{
	static const char *const numbers[] = {"min", "max", "rescaleFactor",
										  "rescaleConstant", "castInteger"};

	for (int i = 1; targets != NULL && i < scope->ntargets; i++)
		for (XmlNode *node = xml_child(targets, "Target"); node != NULL;
			 node = xml_next(node, "Target"))
		{
			if (!xml_is(node, "field", scope->targets[i]->name))
				continue;
			for (int j = 0; j < lengthof(numbers); j++)
				if (xml_attr(node, numbers[j]) != NULL)
					xml_unsupported(node, numbers[j],
									xml_attr(node, numbers[j]));
		}
}

/* Adds the steps of the Targets of a model; targets may be NULL. */
void
target_compile(Compiler *c, Scope *scope, XmlNode *targets, Result *result)
{
	XmlNode *target = target_find(scope, targets);
	bool number = result->nlabels == 0 && result->type.type <= VALUE_INTEGER;

	target_check_others(scope, targets);
	if (target != NULL)
	{
		for (XmlNode *node = xml_child(target, "TargetValue"); node != NULL;
			 node = xml_next(node, "TargetValue"))
		{
			xml_attr(node, "value");
			xml_attr(node, "displayValue");
			/* One is of numbers, the other of labels; both may be there. */
			xml_attr(node, "priorProbability");
			xml_attr(node, "defaultValue");
			if (c->version <= 310)
				xml_attr(node, "rawDataValue");
		}
		xml_choice(target, "optype", "continuous|categorical|ordinal", 0);
		if (number)
			target_number(c, scope, target, result);
		else
			target_labels(c, scope, target, result);
	}
	if (number && result->ntargets == 0 && !result->passed)
		target_cast(c, scope, result);
}

/* The number that a Target makes of a predicted one. */
static double
eval_target(const Run *run, const uint32 *args, const double *row)
{
	double value = model_eval(run, args[0], row);
	const double *numbers = run->num + args[3];

	if (isnan(value))
		value = numbers[4];
	return isnan(value) ? value
						: target_change(numbers, args[1], args[2] != 0, value);
}

/* There are five numbers. */
static bool
check_target(const Model *model, const uint32 *args)
{
	return args[4] == 5;
}

const ModelOp model_op_target = {"target", "xiiN", check_target, eval_target,
								 NULL};
