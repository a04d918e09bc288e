/* Operands of expressions: numbers, slots, and what is made of them. */
#include "postgres.h"

#include "model/expression.h"

const FieldType type_double = {VALUE_DOUBLE, OPTYPE_CONTINUOUS, 0};
const FieldType type_float = {VALUE_FLOAT, OPTYPE_CONTINUOUS, 0};
const FieldType type_text = {VALUE_TEXT, OPTYPE_CATEGORICAL, 0};
const FieldType type_boolean = {VALUE_BOOLEAN, OPTYPE_CATEGORICAL, 0};

/* The operand that a record is. */
Operand
operand_make(uint32 at, FieldType type)
{
	return (Operand){.at = at, .type = type};
}

/* A number, or a missing value if it is NaN. */
Operand
expression_number(Compiler *c, double value, FieldType type)
{
	Operand operand = {.type = type, .cheap = true, .constant = true};

	operand.value = value;
	code_begin(c, OP_number);
	code_num(c, value);
	operand.at = code_end(c);
	return operand;
}

/* What a slot holds. */
Operand
expression_slot(Compiler *c, uint32 slot, FieldType type)
{
	Operand operand = {.type = type, .cheap = true};

	code_begin(c, OP_slot);
	code_word(c, slot);
	operand.at = code_end(c);
	return operand;
}

/* The model around the body of a function. */
Scope *
expression_model(Scope *scope)
{
	while (xml_named(scope->node, "DefineFunction"))
		scope = scope->parent;
	return scope;
}

/* The same value, so that it may be evaluated many times. */
Operand
operand_cheap(Compiler *c, Scope *scope, Operand value)
{
	if (value.cheap)
		return value;
	return expression_slot(c, scope_set(c, expression_model(scope), value),
						   value.type);
}

/* The type that values of either type can be cast to. */
FieldType
type_common(FieldType left, FieldType right)
{
	static const ValueType wider[] = {VALUE_TEXT, VALUE_DOUBLE, VALUE_FLOAT,
									  VALUE_INTEGER};

	if (left.type == right.type)
		return left;
	for (int i = 0; i < lengthof(wider); i++)
	{
		if (left.type == wider[i])
			return left;
		if (right.type == wider[i])
			return right;
	}
	return type_text;
}

/*
 * The value, or one that is written as text where it is missing. A text that
 * is no value of the type makes all a text.
 */
Operand
operand_default(Compiler *c, XmlNode *node, Operand value, const char *text)
{
	Operand missing;
	double number;

	if (text == NULL)
		return value;
	if (!value_try(c, text, value.type, &number))
	{
		value = expression_cast(c, value, type_text);
		number = value_parse(c, node, text, type_text);
	}
	missing = expression_number(c, number, value.type);
	code_begin(c, OP_default);
	code_word(c, value.at);
	code_word(c, missing.at);
	return operand_make(code_end(c), value.type);
}

static double
eval_number(const Run *run, const uint32 *args, const double *row)
{
	return run->num[args[0]];
}

const ModelOp model_op_number = {"number", "n", NULL, eval_number, NULL};

static double
eval_slot(const Run *run, const uint32 *args, const double *row)
{
	return row[args[0]];
}

const ModelOp model_op_slot = {"slot", "s", NULL, eval_slot, NULL};

/* The first, or the second where the first is missing. */
static double
eval_default(const Run *run, const uint32 *args, const double *row)
{
	double value = expression_eval(run, args[0], row);

	return isnan(value) ? expression_eval(run, args[1], row) : value;
}

const ModelOp model_op_default = {"default", "xx", NULL, eval_default, NULL};
