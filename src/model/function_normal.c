/* The normal distribution. */
#include "postgres.h"

#include "core/core.h"
#include "model/function.h"

/*
 * The quantile to the last digits: a step of Halley's method against the
 * error function, below the mean, where probabilities have all their digits.
 */
static double
normal_refined(double p)
{
	double x = core_normal_quantile(p);
	double step;

	if (fabs(x) > 37) /* exp() would overflow */
		return x;
	if (x > 0)
		return -normal_refined(1 - p);
	step = (0.5 * erfc(-x / M_SQRT2) - p) * sqrt(2 * M_PI) * exp(x * x / 2);
	return x - step / (1 + x * step / 2);
}

/* Reads mean and standard deviation, if the call has any. */
static bool
parameters(const FunctionCall *call, double *mean, double *deviation)
{
	*mean = call->n == 3 ? call->args[1] : 0;
	*deviation = call->n == 3 ? call->args[2] : 1;
	return *deviation > 0;
}

/* The probability that a normal variable is at most a number. */
double
function_normal_cdf(const FunctionCall *call)
{
	double mean;
	double deviation;

	if (!parameters(call, &mean, &deviation))
		return function_invalid(call);
	return 0.5 * erfc((mean - call->args[0]) / (deviation * M_SQRT2));
}

/* The density of a normal distribution. */
double
function_normal_pdf(const FunctionCall *call)
{
	double mean;
	double deviation;
	double x;

	if (!parameters(call, &mean, &deviation))
		return function_invalid(call);
	x = (call->args[0] - mean) / deviation;
	return exp(-0.5 * x * x) / (deviation * sqrt(2 * M_PI));
}

/* The number that a normal variable is at most with a probability. */
double
function_normal_idf(const FunctionCall *call)
{
	double p = call->args[0];
	double mean;
	double deviation;

	if (!parameters(call, &mean, &deviation) || p < 0 || p > 1)
		return function_invalid(call);
	if (p == 0 || p == 1)
		return p == 0 ? -INFINITY : INFINITY;
	return mean + deviation * normal_refined(p);
}
