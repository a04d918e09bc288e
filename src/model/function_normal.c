/* The normal distribution. */
#include "postgres.h"

#include "model/function.h"

/* The value of a polynomial of degree 7. */
static double
polynomial(const double *coefficients, double x)
{
	double result = coefficients[7];
	int i;

	for (i = 6; i >= 0; i--)
		result = result * x + coefficients[i];
	return result;
}

/*
 * Where the standard normal distribution function has a value, to about 15
 * digits: M. J. Wichura, The percentage points of the normal distribution,
 * Applied Statistics 37 (1988), algorithm AS 241, PPND16.
 */
static double
normal_quantile(double p)
{
	static const double a[] = {
		3.3871328727963666080e0, 1.3314166789178437745e2,
		1.9715909503065514427e3, 1.3731693765509461125e4,
		4.5921953931549871457e4, 6.7265770927008700853e4,
		3.3430575583588128105e4, 2.5090809287301226727e3};
	static const double b[] = {1.0,
							   4.2313330701600911252e1,
							   6.8718700749205790830e2,
							   5.3941960214247511077e3,
							   2.1213794301586595867e4,
							   3.9307895800092710610e4,
							   2.8729085735721942674e4,
							   5.2264952788528545610e3};
	static const double c[] = {
		1.42343711074968357734e0,  4.63033784615654529590e0,
		5.76949722146069140550e0,  3.64784832476320460504e0,
		1.27045825245236838258e0,  2.41780725177450611770e-1,
		2.27238449892691845833e-2, 7.74545014278341407640e-4};
	static const double d[] = {1.0,
							   2.05319162663775882187e0,
							   1.67638483018380384940e0,
							   6.89767334985100004550e-1,
							   1.48103976427480074590e-1,
							   1.51986665636164571966e-2,
							   5.47593808499534494600e-4,
							   1.05075007164441684324e-9};
	static const double e[] = {
		6.65790464350110377720e0,  5.46378491116411436990e0,
		1.78482653991729133580e0,  2.96560571828504891230e-1,
		2.65321895265761230930e-2, 1.24266094738807843860e-3,
		2.71155556874348757815e-5, 2.01033439929228813265e-7};
	static const double f[] = {1.0,
							   5.99832206555887937690e-1,
							   1.36929880922735805310e-1,
							   1.48753612908506148525e-2,
							   7.86869131145613259100e-4,
							   1.84631831751005468180e-5,
							   1.42151175831644588870e-7,
							   2.04426310338993978564e-15};
	double q = p - 0.5;
	double r;
	double x;

	if (fabs(q) <= 0.425)
	{
		r = 0.180625 - q * q;
		return q * polynomial(a, r) / polynomial(b, r);
	}
	r = sqrt(-log(q < 0 ? p : 1 - p));
	if (r <= 5)
		x = polynomial(c, r - 1.6) / polynomial(d, r - 1.6);
	else
		x = polynomial(e, r - 5) / polynomial(f, r - 5);
	return q < 0 ? -x : x;
}

/*
 * The quantile to the last digits: a step of Halley's method against the
 * error function, below the mean, where probabilities have all their digits.
 */
static double
normal_refined(double p)
{
	double x = normal_quantile(p);
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
