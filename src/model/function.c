/*
 * The operation "apply": a built-in function of PMML and its arguments. What
 * each function takes and gives is in one table.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "model/expression.h"
#include "model/function.h"
#include "model/regex.h"

/* Arguments for which there is room on the stack. */
#define FUNCTION_FEW 8

/* How the type of a result follows from those of the arguments. */
typedef enum FunctionResult
{
	RESULT_COMMON,  /* that of the arguments: integer, float or double */
	RESULT_AVERAGE, /* the same, but double for integers */
	RESULT_DOUBLE,
	RESULT_INTEGER,
	RESULT_TEXT,
	RESULT_BOOLEAN
} FunctionResult;

/*
 * A function. It takes, one letter an argument, the last for all that follow:
 *   n number   i integer   t text   d date   m time   s timestamp
 *   f date, time or timestamp
 *   p text that is a regular expression   r text that replaces its matches
 *   q text that is a format
 */
typedef struct Function
{
	const char *name; /* an x- may be before it */
	int min;
	int max;
	bool tolerant; /* is called though arguments are missing */
	const char *takes;
	FunctionResult gives;
	FunctionBody body;
	double (*math)(double); /* instead of a body */
} Function;

#define MANY PG_INT32_MAX
#define MATH(name, gives, function)                                           \
	{                                                                         \
		name, 1, 1, false, "n", gives, NULL, function                         \
	}

/* Its order is part of the layout of compiled models. */
static const Function functions[] = {
	{"+", 2, 2, false, "n", RESULT_COMMON, function_add},
	{"-", 2, 2, false, "n", RESULT_COMMON, function_subtract},
	{"*", 2, 2, false, "n", RESULT_COMMON, function_multiply},
	{"/", 2, 2, false, "n", RESULT_COMMON, function_divide},
	{"modulo", 2, 2, false, "n", RESULT_COMMON, function_modulo},
	{"min", 1, MANY, true, "n", RESULT_COMMON, function_min},
	{"max", 1, MANY, true, "n", RESULT_COMMON, function_max},
	{"sum", 1, MANY, true, "n", RESULT_COMMON, function_sum},
	{"avg", 1, MANY, true, "n", RESULT_AVERAGE, function_avg},
	{"median", 1, MANY, true, "n", RESULT_AVERAGE, function_median},
	{"product", 1, MANY, true, "n", RESULT_COMMON, function_product},
	MATH("log10", RESULT_DOUBLE, log10),
	MATH("ln", RESULT_DOUBLE, log),
	MATH("sqrt", RESULT_DOUBLE, sqrt),
	MATH("abs", RESULT_COMMON, fabs),
	MATH("exp", RESULT_DOUBLE, exp),
	{"pow", 2, 2, false, "n", RESULT_COMMON, function_pow},
	{"threshold", 2, 2, false, "n", RESULT_COMMON, function_threshold},
	MATH("floor", RESULT_INTEGER, floor),
	MATH("ceil", RESULT_INTEGER, ceil),
	{"round", 1, 1, false, "n", RESULT_INTEGER, function_round},
	MATH("rint", RESULT_COMMON, rint),
	MATH("expm1", RESULT_DOUBLE, expm1),
	MATH("ln1p", RESULT_DOUBLE, log1p),
	{"hypot", 2, 2, false, "n", RESULT_DOUBLE, function_hypot},
	MATH("sin", RESULT_DOUBLE, sin),
	MATH("asin", RESULT_DOUBLE, asin),
	MATH("sinh", RESULT_DOUBLE, sinh),
	MATH("cos", RESULT_DOUBLE, cos),
	MATH("acos", RESULT_DOUBLE, acos),
	MATH("cosh", RESULT_DOUBLE, cosh),
	MATH("tan", RESULT_DOUBLE, tan),
	MATH("atan", RESULT_DOUBLE, atan),
	MATH("tanh", RESULT_DOUBLE, tanh),
	{"atan2", 2, 2, false, "n", RESULT_DOUBLE, function_atan2},
	{"normalCDF", 3, 3, false, "n", RESULT_DOUBLE, function_normal_cdf},
	{"normalPDF", 3, 3, false, "n", RESULT_DOUBLE, function_normal_pdf},
	{"normalIDF", 3, 3, false, "n", RESULT_DOUBLE, function_normal_idf},
	{"stdNormalCDF", 1, 1, false, "n", RESULT_DOUBLE, function_normal_cdf},
	{"stdNormalPDF", 1, 1, false, "n", RESULT_DOUBLE, function_normal_pdf},
	{"stdNormalIDF", 1, 1, false, "n", RESULT_DOUBLE, function_normal_idf},
	MATH("erf", RESULT_DOUBLE, erf),
	{"uppercase", 1, 1, false, "t", RESULT_TEXT, function_uppercase},
	{"lowercase", 1, 1, false, "t", RESULT_TEXT, function_lowercase},
	{"stringLength", 1, 1, false, "t", RESULT_INTEGER, function_length},
	{"substring", 3, 3, false, "ti", RESULT_TEXT, function_substring},
	{"trimBlanks", 1, 1, false, "t", RESULT_TEXT, function_trim},
	{"concat", 2, MANY, true, "t", RESULT_TEXT, function_concat},
	{"replace", 3, 3, false, "tpr", RESULT_TEXT, function_replace},
	{"matches", 2, 2, false, "tp", RESULT_BOOLEAN, function_matches},
	{"formatNumber", 2, 2, false, "nq", RESULT_TEXT, function_format_number},
	{"formatDatetime", 2, 2, false, "fq", RESULT_TEXT,
	 function_format_datetime},
	{"dateDaysSinceYear", 2, 2, false, "di", RESULT_INTEGER,
	 function_days_since},
	{"dateSecondsSinceYear", 2, 2, false, "si", RESULT_INTEGER,
	 function_seconds_since},
	{"dateSecondsSinceMidnight", 1, 1, false, "m", RESULT_INTEGER,
	 function_seconds_of_day}};

/* Marks the row as one without a result, or makes the value missing. */
double
function_invalid(const FunctionCall *call)
{
	if (!(call->flags & FUNCTION_MISSING))
		run_refuse(unconstify(Run *, call->run), call->row);
	return NAN;
}

/* Tells whether the number of a function, its flags and arguments fit. */
static bool
check_apply(const Model *model, const uint32 *args)
{
	uint32 number = args[0] & FUNCTION_NUMBER;
	uint32 flags = args[0] & ~FUNCTION_NUMBER;

	if (number >= lengthof(functions) || (flags & ~FUNCTION_FLAGS) != 0)
		return false;
	return args[1] >= functions[number].min &&
		   args[1] <= functions[number].max;
}

/* Evaluates arguments; false if the function is not to be called. */
static bool
evaluate_arguments(const Run *run, const uint32 *records, uint32 n,
				   const double *row, bool tolerant, double *values)
{
	uint32 i;

	for (i = 0; i < n; i++)
	{
		values[i] = expression_eval(run, records[i], row);
		if (isnan(values[i]) && !tolerant)
			return false;
	}
	return true;
}

/* Gives a result the type it has. */
static double
finish(const FunctionCall *call, double value)
{
	if (isnan(value) || !(call->flags & (FUNCTION_FLOAT | FUNCTION_INTEGER)))
		return value;
	if (call->flags & FUNCTION_FLOAT)
		return (float) value;
	if (value != floor(value) || value < PG_INT32_MIN || value > PG_INT32_MAX)
		return function_invalid(call);
	return value + 0.0; /* there is no negative zero among integers */
}

/* Calls a function with the values of its arguments. */
static double
eval_apply(const Run *run, const uint32 *args, const double *row)
{
	const Function *function = &functions[args[0] & FUNCTION_NUMBER];
	uint32 n = args[1];
	double few[FUNCTION_FEW];
	double *values = few;
	double result = NAN;

	check_stack_depth();
	if (n > FUNCTION_FEW)
		values = palloc(sizeof(double) * n);
	if (evaluate_arguments(run, args + 2, n, row, function->tolerant, values))
	{
		FunctionCall call = {.run = run,
							 .row = row,
							 .args = values,
							 .n = n,
							 .flags = args[0] & FUNCTION_FLAGS};

		result = function->math != NULL ? function->math(values[0])
										: function->body(&call);
		result = finish(&call, result);
	}
	if (values != few)
		pfree(values);
	return result;
}

const ModelOp model_op_apply = {"apply", "i*x", check_apply, eval_apply, NULL};

/* The function that has a name; those of extensions may begin with x-. */
static const Function *
find_function(const char *name)
{
	int i;

	if (strncmp(name, "x-", 2) == 0)
		name += 2;
	for (i = 0; i < lengthof(functions); i++)
		if (strcmp(functions[i].name, name) == 0)
			return &functions[i];
	return NULL;
}

/* What an argument of a function is taken as. */
static char
argument_letter(const Function *function, int i)
{
	return function->takes[Min(i, (int) strlen(function->takes) - 1)];
}

/* The numeric type that holds the values of a type. */
static ValueType
numeric_type(const XmlNode *node, const char *function, ValueType type)
{
	switch (type)
	{
		case VALUE_DOUBLE:
		case VALUE_FLOAT:
			return type;
		case VALUE_INTEGER:
		case VALUE_BOOLEAN:
		case VALUE_DAYS_SINCE:
		case VALUE_SECONDS_SINCE:
		case VALUE_SECONDS:
			return VALUE_INTEGER;
		default:
			xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
					 "function \"%s\" needs numbers", function);
	}
}

/* Brings an argument to the type that a function needs. */
static Operand
prepare_argument(Compiler *c, XmlNode *node, const Function *function,
				 char letter, Operand value)
{
	FieldType type = {VALUE_TEXT, OPTYPE_CATEGORICAL, 0};

	if (letter == 'n')
	{
		numeric_type(node, function->name, value.type.type);
		return value;
	}
	if (letter == 'f')
	{
		if (value.type.type == VALUE_TIME ||
			value.type.type == VALUE_TIMESTAMP)
			return value;
		type.type = VALUE_TIMESTAMP;
	}
	else if (letter == 'i')
		type.type = VALUE_INTEGER;
	else if (letter == 'd')
		type.type = VALUE_DATE;
	else if (letter == 'm')
		type.type = VALUE_TIME;
	else if (letter == 's')
		type.type = VALUE_TIMESTAMP;
	if (value.type.type == type.type)
		return value;
	return expression_cast(c, value, type);
}

/* The text of an argument that is constant, else NULL. */
static const char *
constant_text(Compiler *c, const Operand *value)
{
	if (!value->constant || value->type.type != VALUE_TEXT ||
		isnan(value->value))
		return NULL;
	return builder_text_get(c, (uint32) value->value);
}

/* Refuses regular expressions and formats that could not run. */
static void
check_constants(Compiler *c, XmlNode *node, const Function *function,
				const Operand *args)
{
	const char *text;
	const char *error;

	if (strlen(function->takes) < 2)
		return;
	text = constant_text(c, &args[1]);
	if (text != NULL && function->takes[1] == 'p')
		regex_check(node, text, 0,
					function->max == 3 ? constant_text(c, &args[2]) : NULL);
	if (function->takes[1] != 'q')
		return;
	if (text == NULL && args[0].type.type == VALUE_TIME)
		xml_fail(node, ERRCODE_FEATURE_NOT_SUPPORTED,
				 "the format of a time must be a constant");
	if (text == NULL)
		return;
	if (function->takes[0] == 'f')
		error = function_datetime_format_error(text, strlen(text),
											   args[0].type.type);
	else
		error = function_number_format_error(
			text, strlen(text),
			numeric_type(node, function->name, args[0].type.type) ==
				VALUE_INTEGER);
	if (error != NULL)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "invalid format \"%s\": %s", text, error);
}

/* The type that numbers have in common. */
static ValueType
common_type(const XmlNode *node, const Function *function, const Operand *args,
			int n)
{
	ValueType common = VALUE_INTEGER;
	int i;

	for (i = 0; i < n; i++)
	{
		ValueType type = numeric_type(node, function->name, args[i].type.type);

		if (type == VALUE_DOUBLE ||
			(type == VALUE_FLOAT && common == VALUE_INTEGER))
			common = type;
	}
	return common;
}

/* The type of a result. */
static FieldType
result_type(const XmlNode *node, const Function *function, const Operand *args,
			int n)
{
	FieldType type = {VALUE_DOUBLE, OPTYPE_CONTINUOUS, 0};

	switch (function->gives)
	{
		case RESULT_DOUBLE:
			break;
		case RESULT_COMMON:
			type.type = common_type(node, function, args, n);
			break;
		case RESULT_AVERAGE:
			type.type = common_type(node, function, args, n);
			if (type.type == VALUE_INTEGER)
				type.type = VALUE_DOUBLE;
			break;
		case RESULT_INTEGER:
			type.type = VALUE_INTEGER;
			break;
		case RESULT_TEXT:
			type.type = VALUE_TEXT;
			type.optype = OPTYPE_CATEGORICAL;
			break;
		case RESULT_BOOLEAN:
			type.type = VALUE_BOOLEAN;
			type.optype = OPTYPE_CATEGORICAL;
			break;
	}
	return type;
}

/* The flags of a call whose result has a type. */
static uint32
call_flags(XmlNode *node, FieldType type)
{
	uint32 flags = 0;

	if (xml_is(node, "invalidValueTreatment", "asMissing"))
		flags |= FUNCTION_MISSING;
	if (type.type == VALUE_FLOAT)
		flags |= FUNCTION_FLOAT;
	else if (type.type == VALUE_INTEGER)
		flags |= FUNCTION_INTEGER;
	return flags;
}

/* Compiles a call of a built-in function. */
Operand
expression_apply(Compiler *c, XmlNode *node, const char *name, Operand *args,
				 int n)
{
	const Function *function = find_function(name);
	Operand result = {0};
	int i;

	if (function == NULL)
		xml_fail(node, ERRCODE_FEATURE_NOT_SUPPORTED,
				 "function \"%s\" does not exist", name);
	if (n < function->min || n > function->max)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "function \"%s\" cannot have %d arguments", name, n);
	for (i = 0; i < n; i++)
		args[i] = prepare_argument(c, node, function,
								   argument_letter(function, i), args[i]);
	check_constants(c, node, function, args);
	result.type = result_type(node, function, args, n);
	code_begin(c, OP_apply);
	code_word(c,
			  (uint32) (function - functions) | call_flags(node, result.type));
	code_word(c, n);
	for (i = 0; i < n; i++)
		code_word(c, args[i].at);
	result.at = code_end(c);
	return result;
}
