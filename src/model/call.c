/*
 * Apply: functions of conditions, which are lowered to operations of logic,
 * functions that the document defines, whose bodies are put in where they are
 * called, and all others, which function.c knows.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "model/expression.h"

/* Most elements of bodies of functions that are put in, in a document. */
#define CALL_MAX_EXPANDED 1000000

/* A call that is being compiled. */
typedef struct Call
{
	XmlNode *node;
	const char *function;
	int n;
	XmlNode **nodes; /* of the arguments */
	Operand *args;
} Call;

typedef Operand (*CallCompile)(Compiler *c, Scope *scope, Call *call, int arg);

/* Raises an error unless the number of arguments is in a range. */
static void
call_check_arity(const Call *call, int min, int max)
{
	if (call->n < min || call->n > max)
		xml_fail(call->node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "function \"%s\" does not take %d arguments", call->function,
				 call->n);
}

/* An argument as a truth. */
static uint32
call_truth(Compiler *c, const Call *call, int i)
{
	return expression_cast(c, call->args[i], type_boolean).at;
}

/* if: the branch that is not taken is not evaluated. */
static Operand
call_if(Compiler *c, Scope *scope, Call *call, int arg)
{
	Operand *args = call->args;
	uint32 no = MODEL_NONE;
	FieldType type;
	uint32 yes;
	uint32 test;

	call_check_arity(call, 2, 3);
	type = args[1].type;
	if (call->n == 3)
	{
		/* A constant that is missing is of any type. */
		if (args[1].constant && isnan(args[1].value))
			type = args[2].type;
		else if (!args[2].constant || !isnan(args[2].value))
			type = type_common(type, args[2].type);
		no = expression_cast(c, args[2], type).at;
	}
	yes = expression_cast(c, args[1], type).at;
	test = call_truth(c, call, 0);
	return operand_make(choose_emit(c, test, yes, no), type);
}

/* and, or, not: arg is the kind of logic. */
static Operand
call_logic(Compiler *c, Scope *scope, Call *call, int arg)
{
	uint32 *operands;
	uint32 at;

	if (arg == LOGIC_NOT)
		call_check_arity(call, 1, 1);
	else
		call_check_arity(call, 2, PG_INT32_MAX);
	operands = palloc(call->n * sizeof(uint32));
	for (int i = 0; i < call->n; i++)
		operands[i] = call_truth(c, call, i);
	at = logic_emit(c, arg, operands, call->n);
	pfree(operands);
	return operand_make(at, type_boolean);
}

/* isMissing, isNotMissing: arg is the kind of logic. */
static Operand
call_missing(Compiler *c, Scope *scope, Call *call, int arg)
{
	call_check_arity(call, 1, 1);
	return operand_make(logic_emit(c, arg, &call->args[0].at, 1),
						type_boolean);
}

/* The field that an argument names, NULL if it is something else. */
static Field *
call_field(Compiler *c, Scope *scope, const Call *call, int i)
{
	XmlNode *node = call->nodes[i];
	const char *name;

	if (!xml_named(node, "FieldRef"))
		return NULL;
	name = xml_need(node, "field");
	for (Parameter *parameter = scope->parameters; parameter != NULL;
		 parameter = parameter->next)
		if (strcmp(parameter->name, name) == 0)
			return NULL;
	return scope_field(c, scope, node, name);
}

/*
 * The right side of a comparison in the type of the left side, so that a
 * float is compared with what a constant is as a float. Other numbers are
 * compared as they are.
 */
static Operand
call_right(Compiler *c, const Call *call, FieldType left, int i)
{
	Operand right = call->args[i];
	bool number = type_is_number(left) || left.type == VALUE_BOOLEAN;

	if (number && left.type != VALUE_FLOAT &&
		(type_is_number(right.type) || right.type.type == VALUE_BOOLEAN))
		return right;
	/* A whole number can be compared with a text that is no whole number. */
	if (left.type == VALUE_INTEGER)
		left = type_double;
	return expression_cast(c, right, left);
}

/* equal to greaterOrEqual: arg is the kind of comparison. */
static Operand
call_compare(Compiler *c, Scope *scope, Call *call, int arg)
{
	const double *order = NULL;
	Operand left;
	Operand right;
	int norder = 0;
	Field *field;

	call_check_arity(call, 2, 2);
	left = call->args[0];
	right = call_right(c, call, left.type, 1);
	field = call_field(c, scope, call, 0);
	if (arg == COMPARE_EQUAL || arg == COMPARE_NOT_EQUAL)
		field = NULL;
	else if (left.type.type == VALUE_TEXT)
		arg |= COMPARE_TEXT;
	if (field != NULL && field->type.optype == OPTYPE_ORDINAL)
	{
		order = field->values;
		norder = field->nvalues;
	}
	return operand_make(compare_emit(c, arg, left.at, right.at, order, norder),
						type_boolean);
}

/* Whether a value is equal to one of others that are not all constants. */
static Operand
call_in_any(Compiler *c, Scope *scope, Call *call, bool not )
{
	Operand value = operand_cheap(c, scope, call->args[0]);
	uint32 *tests = palloc(call->n * sizeof(uint32));
	uint32 none;
	uint32 at;

	for (int i = 1; i < call->n; i++)
		tests[i - 1] =
			compare_emit(c, COMPARE_EQUAL, value.at,
						 call_right(c, call, value.type, i).at, NULL, 0);
	at = logic_emit(c, LOGIC_OR, tests, call->n - 1);
	none = expression_number(c, 0, type_boolean).at;
	code_begin(c, OP_default);
	code_word(c, at);
	code_word(c, none);
	at = code_end(c);
	if (not )
		at = logic_emit(c, LOGIC_NOT, &at, 1);
	pfree(tests);
	return operand_make(at, type_boolean);
}

/* isIn, isNotIn: arg is MEMBER_NOT or 0. A missing value is in no list. */
static Operand
call_in(Compiler *c, Scope *scope, Call *call, int arg)
{
	uint32 flags = MEMBER_MISSING | arg;
	double *values;
	uint32 n = 0;
	uint32 at;

	call_check_arity(call, 2, PG_INT32_MAX);
	values = palloc(call->n * sizeof(double));
	for (int i = 1; i < call->n; i++)
	{
		Operand value = call->args[i];

		if (!value.constant)
			return call_in_any(c, scope, call, arg != 0);
		if (isnan(value.value))
		{
			flags |= MEMBER_HAS_NONE;
			continue;
		}
		value = call_right(c, call, call->args[0].type, i);
		if (!isnan(value.value))
			values[n++] = value.value;
	}
	at = member_emit(c, flags, call->args[0].at, values, n);
	pfree(values);
	return operand_make(at, type_boolean);
}

/* Tells whether the dictionary limits a field by intervals. */
static bool
call_has_intervals(Compiler *c, const Field *field)
{
	XmlNode *node = xml_child(c->root, "DataDictionary");

	if (node == NULL || field->domain == NULL)
		return false;
	for (node = node->child; node != NULL; node = node->next)
		if (xml_named(node, "DataField") && xml_is(node, "name", field->name))
			return xml_children(node, "Interval") > 0;
	return false;
}

/* isValid, isNotValid: arg is the kind of logic when any value is valid. */
static Operand
call_valid(Compiler *c, Scope *scope, Call *call, int arg)
{
	uint32 flags = MEMBER_MISSING | (arg == LOGIC_MISSING ? MEMBER_NOT : 0);
	double *values;
	Field *field;
	Size size;

	call_check_arity(call, 1, 1);
	field = call_field(c, scope, call, 0);
	if (field != NULL && call_has_intervals(c, field))
		xml_unsupported(call->node, "function", call->function);
	if (field == NULL || field->nvalues == 0)
		return call_missing(c, scope, call, arg);
	size = field->nvalues * sizeof(double);
	values = memcpy(palloc(size), field->values, size);
	return operand_make(
		member_emit(c, flags, call->args[0].at, values, field->nvalues),
		type_boolean);
}

static const struct
{
	const char *name;
	CallCompile compile;
	int arg;
} call_kinds[] = {
	{"if", call_if, 0},
	{"and", call_logic, LOGIC_AND},
	{"or", call_logic, LOGIC_OR},
	{"not", call_logic, LOGIC_NOT},
	{"equal", call_compare, COMPARE_EQUAL},
	{"notEqual", call_compare, COMPARE_NOT_EQUAL},
	{"lessThan", call_compare, COMPARE_LESS},
	{"lessOrEqual", call_compare, COMPARE_LESS_EQUAL},
	{"greaterThan", call_compare, COMPARE_GREATER},
	{"greaterOrEqual", call_compare, COMPARE_GREATER_EQUAL},
	{"isIn", call_in, 0},
	{"isNotIn", call_in, MEMBER_NOT},
	{"isMissing", call_missing, LOGIC_MISSING},
	{"isNotMissing", call_missing, LOGIC_PRESENT},
	{"isValid", call_valid, LOGIC_PRESENT},
	{"isNotValid", call_valid, LOGIC_MISSING},
};

/* The definition of a function, NULL if the document does not define it. */
static XmlNode *
call_definition(Compiler *c, const char *function)
{
	XmlNode *node;

	if (c->transformations == NULL)
		return NULL;
	for (node = c->transformations->child; node != NULL; node = node->next)
		if (xml_named(node, "DefineFunction") &&
			strcmp(xml_need(node, "name"), function) == 0)
		{
			node->read = true;
			return node;
		}
	return NULL;
}

/* Refuses a function that calls itself, and too many calls. */
static void
call_check_body(Compiler *c, Scope *scope, const Call *call,
				XmlNode *definition)
{
	for (; xml_named(scope->node, "DefineFunction"); scope = scope->parent)
		if (scope->node == definition)
			xml_fail(call->node, ERRCODE_INVALID_PARAMETER_VALUE,
					 "function \"%s\" calls itself", call->function);
	for (XmlNode *node = definition; node != NULL;
		 node = xml_walk(definition, node, true))
		c->expanded++;
	if (c->expanded > CALL_MAX_EXPANDED)
		xml_fail(call->node, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
				 "functions that are called have more than %d elements",
				 CALL_MAX_EXPANDED);
}

/* How often the body of a function names a parameter. */
static int
call_uses(XmlNode *definition, const char *name)
{
	int uses = 0;

	for (XmlNode *node = definition; node != NULL;
		 node = xml_walk(definition, node, true))
		for (int i = 0; i < node->nattrs; i++)
			if ((strcmp(node->attrs[i].name, "field") == 0 ||
				 strcmp(node->attrs[i].name, "textField") == 0) &&
				strcmp(node->attrs[i].value, name) == 0)
				uses++;
	return uses;
}

/*
 * Binds parameters to arguments. One that the body names more than once is
 * evaluated before, else only if the body evaluates it.
 */
static Parameter *
call_bind(Compiler *c, Scope *scope, const Call *call, XmlNode *definition)
{
	Parameter *parameters = NULL;
	int i = 0;

	for (XmlNode *node = xml_child(definition, "ParameterField"); node != NULL;
		 node = xml_next(node, "ParameterField"))
	{
		Parameter *parameter = palloc0(sizeof(Parameter));
		Operand value;

		if (i == call->n)
			call_check_arity(call, i + 1, PG_INT32_MAX);
		value = call->args[i++];
		value = expression_cast(c, value, type_parse(node, value.type));
		parameter->name = xml_need(node, "name");
		parameter->value = call_uses(definition, parameter->name) > 1
							   ? operand_cheap(c, scope, value)
							   : value;
		parameter->next = parameters;
		parameters = parameter;
	}
	call_check_arity(call, i, i);
	return parameters;
}

/* Puts the body of a function in. */
static Operand
call_body(Compiler *c, Scope *scope, const Call *call, XmlNode *definition)
{
	Scope *body = palloc0(sizeof(Scope));
	XmlNode *child = expression_child(definition);
	Operand value;

	if (child == NULL)
		xml_fail(definition, ERRCODE_INVALID_PARAMETER_VALUE,
				 "function \"%s\" has no expression", call->function);
	call_check_body(c, scope, call, definition);
	body->parent = scope;
	body->node = definition;
	body->single = scope->single;
	body->parameters = call_bind(c, scope, call, definition);
	value = expression_compile(c, body, child);
	/* What ran in the body runs in the model. */
	for (uint32 i = 0; i < body->nsteps; i++)
		scope_step(expression_model(scope), body->steps[i]);
	return expression_cast(c, value, type_parse(definition, value.type));
}

/* Calls the function by its name. */
static Operand
call_function(Compiler *c, Scope *scope, Call *call)
{
	XmlNode *definition;

	for (int i = 0; i < lengthof(call_kinds); i++)
		if (strcmp(call->function, call_kinds[i].name) == 0)
			return call_kinds[i].compile(c, scope, call, call_kinds[i].arg);
	definition = call_definition(c, call->function);
	if (definition != NULL)
		return call_body(c, scope, call, definition);
	return expression_apply(c, call->node, call->function, call->args,
							call->n);
}

/* Compiles the arguments. With again, they may be evaluated again. */
static void
call_arguments(Compiler *c, Scope *scope, Call *call, bool again)
{
	int size = 0;

	for (XmlNode *node = call->node->child; node != NULL; node = node->next)
		size++;
	call->nodes = palloc(Max(size, 1) * sizeof(XmlNode *));
	call->args = palloc(Max(size, 1) * sizeof(Operand));
	for (XmlNode *node = expression_child(call->node); node != NULL;
		 node = expression_among(node->next))
	{
		Operand value = expression_compile(c, scope, node);

		call->nodes[call->n] = node;
		call->args[call->n++] = again ? operand_cheap(c, scope, value) : value;
	}
}

/* The result, or what the attribute says where an argument is missing. */
static Operand
call_map_missing(Compiler *c, const Call *call, Operand value,
				 const char *text)
{
	uint32 *operands = palloc(Max(call->n, 1) * sizeof(uint32));
	double number;
	uint32 test;

	for (int i = 0; i < call->n; i++)
		operands[i] = call->args[i].at;
	test = logic_emit(c, LOGIC_MISSING, operands, call->n);
	pfree(operands);
	if (!value_try(c, text, value.type, &number))
	{
		value = expression_cast(c, value, type_text);
		number = value_parse(c, call->node, text, type_text);
	}
	return operand_make(
		choose_emit(c, test, expression_number(c, number, value.type).at,
					value.at),
		value.type);
}

/* Compiles Apply. */
Operand
call_compile(Compiler *c, Scope *scope, XmlNode *node)
{
	Call call = {.node = node, .function = xml_need(node, "function")};
	const char *missing = xml_attr(node, "mapMissingTo");
	const char *otherwise = xml_attr(node, "defaultValue");
	bool lazy = strcmp(call.function, "if") == 0;
	Operand value;

	/* Version 4.1 has no other attribute for what is not defined. */
	if (c->version == 410 && otherwise == NULL)
	{
		otherwise = missing;
		missing = NULL;
	}

	/* What becomes of results that are not defined: function.c. */
	xml_choice(node, "invalidValueTreatment", "returnInvalid|asIs|asMissing",
			   0);
	call_arguments(c, scope, &call, missing != NULL && !lazy);
	value = call_function(c, scope, &call);
	/* if is missing when its condition or the branch that is taken is. */
	if (missing != NULL && lazy)
		return operand_default(c, node, value, missing);
	value = operand_default(c, node, value, otherwise);
	if (missing != NULL && call.n > 0)
		value = call_map_missing(c, &call, value, missing);
	return value;
}
