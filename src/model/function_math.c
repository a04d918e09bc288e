/* Built-in functions of numbers. Whole numbers have 32 bits. */
#include "postgres.h"

#include "model/function.h"

/* Adds two numbers. */
double
function_add(const FunctionCall *call)
{
	return call->args[0] + call->args[1];
}

/* Subtracts a number from another. */
double
function_subtract(const FunctionCall *call)
{
	return call->args[0] - call->args[1];
}

/* Multiplies two numbers. */
double
function_multiply(const FunctionCall *call)
{
	return call->args[0] * call->args[1];
}

/* Divides a number by another; whole ones towards zero. */
double
function_divide(const FunctionCall *call)
{
	double y = call->args[1];

	if (!(call->flags & FUNCTION_INTEGER))
		return call->args[0] / y;
	if (y == 0)
		return function_invalid(call);
	return trunc(call->args[0] / y);
}

/* The remainder of a division, which has the sign of the divisor. */
double
function_modulo(const FunctionCall *call)
{
	double x = call->args[0];
	double y = call->args[1];

	if (!(call->flags & FUNCTION_INTEGER))
		return x - floor(x / y) * y;
	if (y == 0)
		return function_invalid(call);
	x = fmod(x, y);
	return x != 0 && (x < 0) != (y < 0) ? x + y : x;
}

/* The least of the numbers that are there. */
double
function_min(const FunctionCall *call)
{
	double result = NAN;
	int i;

	for (i = 0; i < call->n; i++)
		result = fmin(result, call->args[i]);
	return result;
}

/* The greatest of the numbers that are there. */
double
function_max(const FunctionCall *call)
{
	double result = NAN;
	int i;

	for (i = 0; i < call->n; i++)
		result = fmax(result, call->args[i]);
	return result;
}

/* The sum of the numbers that are there. */
double
function_sum(const FunctionCall *call)
{
	double result = 0;
	bool any = false;
	int i;

	for (i = 0; i < call->n; i++)
	{
		if (isnan(call->args[i]))
			continue;
		result += call->args[i];
		any = true;
	}
	return any ? result : NAN;
}

/* The mean of the numbers that are there, brought up to date by each. */
double
function_avg(const FunctionCall *call)
{
	double result = 0;
	int n = 0;
	int i;

	for (i = 0; i < call->n; i++)
	{
		if (isnan(call->args[i]))
			continue;
		n++;
		result += (call->args[i] - result) / n;
	}
	return n > 0 ? result : NAN;
}

/* The number in the middle of those that are there. */
double
function_median(const FunctionCall *call)
{
	double *sorted = palloc(sizeof(double) * call->n);
	double result = NAN;
	int n = 0;
	int i;

	for (i = 0; i < call->n; i++)
		if (!isnan(call->args[i]))
			sorted[n++] = call->args[i];
	number_sort(sorted, n);
	if (n > 0 && n % 2 == 1)
		result = sorted[n / 2];
	else if (n > 0)
		result = (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
	pfree(sorted);
	return result;
}

/* The product of the numbers that are there. */
double
function_product(const FunctionCall *call)
{
	double result = 1;
	bool any = false;
	int i;

	for (i = 0; i < call->n; i++)
	{
		if (isnan(call->args[i]))
			continue;
		result *= call->args[i];
		any = true;
	}
	return any ? result : NAN;
}

/* Raises a number to a power. */
double
function_pow(const FunctionCall *call)
{
	double x = call->args[0];
	double y = call->args[1];

	if ((call->flags & FUNCTION_INTEGER) && y < 0)
		return function_invalid(call);
	if (isinf(y) && fabs(x) == 1)
		return NAN;
	return pow(x, y);
}

/* 1 if the first number is greater than the second, else 0. */
double
function_threshold(const FunctionCall *call)
{
	return call->args[0] > call->args[1];
}

/* The nearest whole number, the greater one of two. */
double
function_round(const FunctionCall *call)
{
	return model_whole(call->args[0]);
}

/* The length of the hypotenuse. */
double
function_hypot(const FunctionCall *call)
{
	return hypot(call->args[0], call->args[1]);
}

/* The angle of a point. */
double
function_atan2(const FunctionCall *call)
{
	return atan2(call->args[0], call->args[1]);
}
