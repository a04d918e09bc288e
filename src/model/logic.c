/* Conditions: three-valued logic, comparisons, sets of values, choices. */
#include "postgres.h"

#include "miscadmin.h"
#include "model/expression.h"

/* Orders above this size are searched for so long that it can be stopped. */
#define COMPARE_LONG 1000

/* Emits a logic operation. */
uint32
logic_emit(Compiler *c, LogicKind kind, const uint32 *operands, uint32 n)
{
	code_begin(c, OP_logic);
	code_word(c, kind);
	code_words(c, operands, n);
	return code_end(c);
}

/* Emits a comparison; order are the values from low to high, if any. */
uint32
compare_emit(Compiler *c, int kind, uint32 left, uint32 right,
			 const double *order, uint32 norder)
{
	code_begin(c, OP_compare);
	code_word(c, kind);
	code_word(c, left);
	code_word(c, right);
	code_nums(c, order, norder);
	return code_end(c);
}

/* Emits whether a value is in a set, which is put into order. */
uint32
member_emit(Compiler *c, uint32 flags, uint32 value, double *values, uint32 n)
{
	number_sort(values, n);
	code_begin(c, OP_member);
	code_word(c, flags);
	code_word(c, value);
	code_nums(c, values, n);
	return code_end(c);
}

/* Emits a choice; no may be MODEL_NONE: missing. */
uint32
choose_emit(Compiler *c, uint32 test, uint32 yes, uint32 no)
{
	code_begin(c, OP_choose);
	code_word(c, test);
	code_word(c, yes);
	code_word(c, no);
	return code_end(c);
}

/* True when all are, false when one is not. */
static double
logic_and(const Run *run, const uint32 *at, uint32 n, const double *row)
{
	double result = 1;

	for (uint32 i = 0; i < n; i++)
	{
		double value = expression_eval(run, at[i], row);

		if (value == 0)
			return 0;
		if (isnan(value))
			result = value;
	}
	return result;
}

/* True when one is, false when none is. */
static double
logic_or(const Run *run, const uint32 *at, uint32 n, const double *row)
{
	double result = 0;

	for (uint32 i = 0; i < n; i++)
	{
		double value = expression_eval(run, at[i], row);

		if (isnan(value))
			result = value;
		else if (value != 0)
			return 1;
	}
	return result;
}

/* True when an odd number of them is. */
static double
logic_xor(const Run *run, const uint32 *at, uint32 n, const double *row)
{
	bool result = false;

	for (uint32 i = 0; i < n; i++)
	{
		double value = expression_eval(run, at[i], row);

		if (isnan(value))
			return value;
		result ^= value != 0;
	}
	return result;
}

/* The first that is known. */
static double
logic_surrogate(const Run *run, const uint32 *at, uint32 n, const double *row)
{
	for (uint32 i = 0; i < n; i++)
	{
		double value = expression_eval(run, at[i], row);

		if (!isnan(value))
			return value;
	}
	return NAN;
}

/* Whether any is missing. */
static bool
logic_missing(const Run *run, const uint32 *at, uint32 n, const double *row)
{
	for (uint32 i = 0; i < n; i++)
		if (isnan(expression_eval(run, at[i], row)))
			return true;
	return false;
}

/* kind, operands. */
static double
eval_logic(const Run *run, const uint32 *args, const double *row)
{
	const uint32 *at = args + 2;
	double value;

	switch ((LogicKind) args[0])
	{
		case LOGIC_AND:
			return logic_and(run, at, args[1], row);
		case LOGIC_OR:
			return logic_or(run, at, args[1], row);
		case LOGIC_XOR:
			return logic_xor(run, at, args[1], row);
		case LOGIC_SURROGATE:
			return logic_surrogate(run, at, args[1], row);
		case LOGIC_NOT:
			value = expression_eval(run, at[0], row);
			return isnan(value) ? value : value == 0;
		case LOGIC_MISSING:
			return logic_missing(run, at, args[1], row);
		case LOGIC_PRESENT:
			return !logic_missing(run, at, args[1], row);
	}
	return NAN;
}

static bool
check_logic(const Model *model, const uint32 *args)
{
	return args[0] < LOGIC_KINDS && args[1] > 0;
}

const ModelOp model_op_logic = {"logic", "i*x", check_logic, eval_logic, NULL};

/* Where a value stands in an order; NaN if it is not in it. */
static double
compare_rank(const double *order, uint32 n, double value)
{
	if (n > COMPARE_LONG)
		CHECK_FOR_INTERRUPTS();
	for (uint32 i = 0; i < n; i++)
		if (order[i] == value)
			return i;
	return NAN;
}

/* Compares texts by their characters: below, at or above 0; NaN if none. */
static double
compare_text(const Run *run, double left, double right)
{
	Size left_size;
	Size right_size;
	const char *left_text = run_text_get(run, left, &left_size);
	const char *right_text = run_text_get(run, right, &right_size);
	int order;

	if (left_text == NULL || right_text == NULL)
		return NAN;
	order = memcmp(left_text, right_text, Min(left_size, right_size));
	if (order == 0)
		order = (left_size > right_size) - (left_size < right_size);
	return order;
}

/* kind, left, right, order. */
static double
eval_compare(const Run *run, const uint32 *args, const double *row)
{
	double left = expression_eval(run, args[1], row);
	double right = expression_eval(run, args[2], row);

	if (args[4] > 0)
	{
		left = compare_rank(run->num + args[3], args[4], left);
		right = compare_rank(run->num + args[3], args[4], right);
	}
	else if ((args[0] & COMPARE_TEXT) != 0 && !isnan(left) && !isnan(right))
	{
		left = compare_text(run, left, right);
		right = 0;
	}
	if (isnan(left) || isnan(right))
		return NAN;
	switch ((CompareKind) (args[0] & ~COMPARE_TEXT))
	{
		case COMPARE_EQUAL:
			return left == right;
		case COMPARE_NOT_EQUAL:
			return left != right;
		case COMPARE_LESS:
			return left < right;
		case COMPARE_LESS_EQUAL:
			return left <= right;
		case COMPARE_GREATER:
			return left > right;
		case COMPARE_GREATER_EQUAL:
			return left >= right;
	}
	return NAN;
}

static bool
check_compare(const Model *model, const uint32 *args)
{
	return (args[0] & ~COMPARE_TEXT) < COMPARE_KINDS;
}

const ModelOp model_op_compare = {"compare", "ixxN", check_compare,
								  eval_compare, NULL};

/* flags, value, values. */
static double
eval_member(const Run *run, const uint32 *args, const double *row)
{
	double value = expression_eval(run, args[1], row);
	bool found;

	if (!isnan(value))
		found = number_find(run->num + args[2], args[3], value) < args[3];
	else if ((args[0] & (MEMBER_MISSING | MEMBER_HAS_NONE)) == 0)
		return value;
	else
		found = (args[0] & MEMBER_HAS_NONE) != 0;
	return found != ((args[0] & MEMBER_NOT) != 0);
}

static bool
check_member(const Model *model, const uint32 *args)
{
	return args[0] <= (MEMBER_NOT | MEMBER_MISSING | MEMBER_HAS_NONE);
}

const ModelOp model_op_member = {"member", "ixN", check_member, eval_member,
								 NULL};

/* The second where the first is true, the third where it is false. */
static double
eval_choose(const Run *run, const uint32 *args, const double *row)
{
	double test = expression_eval(run, args[0], row);

	if (isnan(test))
		return test;
	if (test != 0)
		return expression_eval(run, args[1], row);
	return args[2] == MODEL_NONE ? NAN : expression_eval(run, args[2], row);
}

const ModelOp model_op_choose = {"choose", "xx?x", NULL, eval_choose, NULL};
