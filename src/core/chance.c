/*
 * Chance as a pure function of its arguments: the same key, seed and draw
 * give the same value in every plan, on every server.
 *
 * A draw is a 64-bit word, made from its arguments by the finaliser of
 * splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
 * Generators, OOPSLA 2014; the constants are Stafford's "Mix13").  A salt
 * becomes a seed by FNV-1a (Fowler, Noll, Vo, 64 bits).
 *
 * The distributions use only + - * / and comparisons of float8 and the exact
 * functions floor, frexp, ldexp, fabs and sqrt, which IEEE 754 fixes to the
 * last digit.  log and exp of the C library differ in the last digit between
 * machines, so this file has its own.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "catalog/pg_type.h"
#include "core/core.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

/* A fused multiply-add rounds once instead of twice: other digits. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

#define CHANCE_GOLDEN UINT64CONST(0x9E3779B97F4A7C15)
#define FNV_OFFSET UINT64CONST(0xCBF29CE484222325)
#define FNV_PRIME UINT64CONST(0x00000100000001B3)

/* ln 2 as a sum of two doubles; the first has 21 trailing zero bits. */
#define LN2_HIGH 6.93147180369123816490e-01
#define LN2_LOW 1.90821492927058770002e-10

/* Terms of the series of log and exp that matter at double precision. */
#define LOG_TERMS 12
#define EXP_TERMS 15

/* Below this, exp() is zero even as a subnormal number. */
#define EXP_LOWEST (-746.0)

/* Each try is accepted with a chance above 2/3. */
#define CHANCE_MAX_TRIES 200

/* From this mean on, inversion is slower than rejection. */
#define POISSON_INVERSION_BELOW 10.0
#define POISSON_MAX_MEAN 1e6

/* Ends of the range for which log(k!) is taken from the series. */
#define STIRLING_FROM 16

/* What identifies a draw; each of its words has a number of its own. */
typedef struct ChanceDraw
{
	uint64 base;
	uint32 next_word;
} ChanceDraw;

/* Mixes 64 bits so that each depends on all; one to one. */
static inline uint64
mix64(uint64 z)
{
	z = (z ^ (z >> 30)) * UINT64CONST(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64CONST(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* Mixes a value into a hash; one to one in the value. */
static inline uint64
mix_in(uint64 hash, uint64 value)
{
	return mix64((hash ^ value) + CHANCE_GOLDEN);
}

/* Starts the words of a draw. */
static inline ChanceDraw
start_draw(int64 key, int64 seed, int32 draw)
{
	uint64 hash = mix64((uint64) seed + CHANCE_GOLDEN);
	ChanceDraw result;

	hash = mix_in(hash, (uint64) key);
	result.base = mix_in(hash, (uint64) (uint32) draw);
	result.next_word = 0;
	return result;
}

/* The next word of a draw; the first is the draw's own hash. */
static inline uint64
next_word(ChanceDraw *draw)
{
	uint32 word = draw->next_word++;

	return word == 0 ? draw->base : mix_in(draw->base, word);
}

/*
 * The word of draw 0, of which chance() shows the upper 53 bits; different
 * for each key of a seed.
 */
uint64
core_chance_word(int64 key, int64 seed)
{
	return start_draw(key, seed, 0).base;
}

/* The next number of a draw, from [0, 1): a multiple of 2^-53. */
static inline double
next_uniform(ChanceDraw *draw)
{
	return (double) (next_word(draw) >> 11) * (1.0 / 9007199254740992.0);
}

/* The next number of a draw, from (0, 1): an odd multiple of 2^-53. */
static inline double
next_open(ChanceDraw *draw)
{
	return ((double) (next_word(draw) >> 12) + 0.5) *
		   (1.0 / 4503599627370496.0);
}

/* Hashes the bytes of a salt into a seed. */
static uint64
hash_salt(const char *data, Size length)
{
	uint64 hash = FNV_OFFSET;

	for (Size i = 0; i < length; i++)
		hash = (hash ^ (unsigned char) data[i]) * FNV_PRIME;
	return hash;
}

/*
 * Natural logarithm of a positive number: x = m 2^e with m near 1, and
 * log m = 2 atanh((m - 1) / (m + 1)) as a series.
 */
static double
portable_log(double x)
{
	int exponent;
	double m = frexp(x, &exponent);
	double s;
	double z;
	double sum = 0.0;

	if (m < 0.70710678118654752440)
	{
		m *= 2.0;
		exponent--;
	}
	s = (m - 1.0) / (m + 1.0);
	z = s * s;
	for (int i = LOG_TERMS; i >= 1; i--)
		sum = (sum + 1.0 / (2 * i + 1)) * z;
	return exponent * LN2_HIGH +
		   (2.0 * s + (2.0 * s * sum + exponent * LN2_LOW));
}

/* Exponential function for x <= 0: exp x = 2^k exp r, exp r as a series. */
static double
portable_exp(double x)
{
	double k;
	double r;
	double sum = 1.0;

	if (x < EXP_LOWEST)
		return 0.0;
	k = floor(x / (LN2_HIGH + LN2_LOW) + 0.5);
	r = (x - k * LN2_HIGH) - k * LN2_LOW;
	for (int i = EXP_TERMS; i >= 1; i--)
		sum = 1.0 + sum * r / i;
	return ldexp(sum, (int) k);
}

/* Logarithm of k!, by products for small k and Stirling's series above. */
static double
log_factorial(double k)
{
	double product = 1.0;
	double inverse;
	double square;

	if (k < STIRLING_FROM)
	{
		for (int i = 2; i <= (int) k; i++)
			product *= i;
		return portable_log(product);
	}
	inverse = 1.0 / k;
	square = inverse * inverse;
	return (k + 0.5) * portable_log(k) - k + 0.91893853320467274178 +
		   inverse *
			   (1.0 / 12 -
				square * (1.0 / 360 - square * (1.0 / 1260 - square / 1680)));
}

/* Value of a polynomial of degree 7, coefficients from the constant up. */
static inline double
polynomial7(const double *c, double x)
{
	double sum = c[7];

	for (int i = 6; i >= 0; i--)
		sum = sum * x + c[i];
	return sum;
}

/*
 * Quantile of the standard normal distribution, for p in (0, 1), to about 16
 * digits: M. J. Wichura, Algorithm AS 241 (PPND16), Applied Statistics 37,
 * 1988.
 */
double
core_normal_quantile(double p)
{
	static const double a[8] = {
		3.3871328727963666080e0,  1.3314166789178437745e+2,
		1.9715909503065514427e+3, 1.3731693765509461125e+4,
		4.5921953931549871457e+4, 6.7265770927008700853e+4,
		3.3430575583588128105e+4, 2.5090809287301226727e+3};
	static const double b[8] = {1.0,
								4.2313330701600911252e+1,
								6.8718700749205790830e+2,
								5.3941960214247511077e+3,
								2.1213794301586595867e+4,
								3.9307895800092710610e+4,
								2.8729085735721942674e+4,
								5.2264952788528545610e+3};
	static const double c[8] = {
		1.42343711074968357734e0,  4.63033784615654529590e0,
		5.76949722146069140550e0,  3.64784832476320460504e0,
		1.27045825245236838258e0,  2.41780725177450611770e-1,
		2.27238449892691845833e-2, 7.74545014278341407640e-4};
	static const double d[8] = {1.0,
								2.05319162663775882187e0,
								1.67638483018380384940e0,
								6.89767334985100004550e-1,
								1.48103976427480074590e-1,
								1.51986665636164571966e-2,
								5.47593808499534494600e-4,
								1.05075007164441684324e-9};
	static const double e[8] = {
		6.65790464350110377720e0,  5.46378491116411436990e0,
		1.78482653991729133580e0,  2.96560571828504891230e-1,
		2.65321895265761230930e-2, 1.24266094738807843860e-3,
		2.71155556874348757815e-5, 2.01033439929228813265e-7};
	static const double f[8] = {1.0,
								5.99832206555887937690e-1,
								1.36929880922735805310e-1,
								1.48753612908506148525e-2,
								7.86869131145613259100e-4,
								1.84631831751005468180e-5,
								1.42151175831644588870e-7,
								2.04426310338993978564e-15};
	double q = p - 0.5;
	double r;
	double tail;

	if (fabs(q) <= 0.425)
	{
		r = 0.180625 - q * q;
		return q * polynomial7(a, r) / polynomial7(b, r);
	}
	r = sqrt(-portable_log(q < 0 ? p : 1.0 - p));
	if (r <= 5.0)
		tail = polynomial7(c, r - 1.6) / polynomial7(d, r - 1.6);
	else
		tail = polynomial7(e, r - 5.0) / polynomial7(f, r - 5.0);
	return q < 0 ? -tail : tail;
}

/* The next number of a draw from the standard normal distribution. */
static inline double
next_normal(ChanceDraw *draw)
{
	return core_normal_quantile(next_open(draw));
}

/*
 * A number from the gamma distribution of scale 1 and a shape of at least 1:
 * G. Marsaglia, W. W. Tsang, A Simple Method for Generating Gamma Variables,
 * ACM TOMS 26, 2000.  A try is accepted with a chance above 0.95.
 */
static double
next_gamma(ChanceDraw *draw, double shape)
{
	double d = shape - 1.0 / 3.0;
	double c = 1.0 / sqrt(9.0 * d);

	for (int i = 0; i < CHANCE_MAX_TRIES; i++)
	{
		double x = next_normal(draw);
		double u = next_open(draw);
		double v = 1.0 + c * x;

		if (v <= 0.0)
			continue;
		v = v * v * v;
		if (u < 1.0 - 0.0331 * (x * x) * (x * x) ||
			portable_log(u) < 0.5 * x * x + d * (1.0 - v + portable_log(v)))
			return d * v;
	}
	elog(ERROR, "no gamma variate in %d tries", CHANCE_MAX_TRIES);
}

/*
 * A number from the Poisson distribution of a small mean, by inversion:
 * walks up from 0 until the probability so far passes a uniform number (L.
 * Devroye, Non-Uniform Random Variate Generation, 1986, chapter X.3).
 */
static int32
poisson_inversion(ChanceDraw *draw, double mean)
{
	double probability = portable_exp(-mean);
	double rest = next_uniform(draw);
	int32 k = 0;

	while (rest >= probability && probability > 0.0)
	{
		rest -= probability;
		k++;
		probability *= mean / k;
	}
	return k;
}

/*
 * A number from the Poisson distribution of a mean of 10 or more: W.
 * Hoermann, The Transformed Rejection Method for Generating Poisson Random
 * Variables (PTRS), Insurance: Mathematics and Economics 12, 1993.
 */
static int32
poisson_rejection(ChanceDraw *draw, double mean)
{
	double log_mean = portable_log(mean);
	double b = 0.931 + 2.53 * sqrt(mean);
	double a = -0.059 + 0.02483 * b;
	double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
	double v_r = 0.9277 - 3.6224 / (b - 2.0);

	for (int i = 0; i < CHANCE_MAX_TRIES; i++)
	{
		double u = next_open(draw) - 0.5;
		double v = next_open(draw);
		double us = 0.5 - fabs(u);
		double k = floor((2.0 * a / us + b) * u + mean + 0.43);

		if (k < 0.0 || k > PG_INT32_MAX || (us < 0.013 && v > us))
			continue;
		if (us >= 0.07 && v <= v_r)
			return (int32) k;
		if (portable_log(v * inverse_alpha / (a / (us * us) + b)) <=
			k * log_mean - mean - log_factorial(k))
			return (int32) k;
	}
	elog(ERROR, "no Poisson variate in %d tries", CHANCE_MAX_TRIES);
}

/* Natural logarithm of a positive number, the same on every machine. */
double
core_log(double x)
{
	return portable_log(x);
}

/*
 * A number from the Poisson distribution, as chance_poisson() draws it; one
 * of a mean above its limit is from the normal distribution of that mean and
 * variance, rounded.
 */
double
core_chance_poisson(int64 key, int64 seed, int32 number, double mean)
{
	ChanceDraw draw = start_draw(key, seed, number);

	if (mean > POISSON_MAX_MEAN)
		return floor(mean + sqrt(mean) * next_normal(&draw) + 0.5);
	return mean < POISSON_INVERSION_BELOW ? poisson_inversion(&draw, mean)
										  : poisson_rejection(&draw, mean);
}

/* Refuses a parameter that is not a positive, finite number. */
static void
check_positive(const char *name, double value)
{
	if (!(value > 0.0) || isinf(value))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must be positive and finite, not \"%.15g\"",
							   name, value),
						errhint("Pass a number above 0.")));
}

/* Refuses a result that float8 cannot hold. */
static double
check_result(double value)
{
	if (isinf(value) || isnan(value))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("value out of range: overflow"),
						errdetail("The parameters are so extreme that the "
								  "value drawn is beyond float8."),
						errhint("Scale the parameters down.")));
	return value;
}

/* Refuses an array of weights, or one of its elements. */
static void
pg_attribute_noreturn()
	bad_weights(const char *problem, int element, double weight)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s", problem),
			 element > 0
				 ? errdetail("Element %d is \"%.15g\".", element, weight)
				 : errdetail("No element could be picked."),
			 errhint("Pass an array of finite numbers of 0 or more, at "
					 "least one of them above 0.")));
}

/* Sums up weights after checking each. */
static double
sum_weights(const double *weights, int n)
{
	double sum = 0.0;

	for (int i = 0; i < n; i++)
	{
		if (!(weights[i] >= 0.0) || isinf(weights[i]))
			bad_weights("weights must be finite and not below zero", i + 1,
						weights[i]);
		sum += weights[i];
	}
	if (sum == 0.0)
		bad_weights("weights must not all be zero", 0, 0.0);
	return check_result(sum);
}

/* Picks a position, from 1, by its share u in the sum of the weights. */
static int32
pick_weighted(const double *weights, int n, double u)
{
	double target = u * sum_weights(weights, n);
	double sum = 0.0;
	int last = 0;

	for (int i = 0; i < n; i++)
	{
		if (weights[i] == 0.0)
			continue;
		sum += weights[i];
		last = i + 1;
		if (target < sum)
			break;
	}
	return last;
}

PG_FUNCTION_INFO_V1(chance_seed);
/* Makes a seed of a salt. */
PGDLLEXPORT Datum
chance_seed(PG_FUNCTION_ARGS)
{
	text *salt = PG_GETARG_TEXT_PP(0);

	PG_RETURN_INT64(
		(int64) hash_salt(VARDATA_ANY(salt), VARSIZE_ANY_EXHDR(salt)));
}

PG_FUNCTION_INFO_V1(chance_by_salt);
/* Draws a uniform number from [0, 1) for a key and a salt. */
PGDLLEXPORT Datum
chance_by_salt(PG_FUNCTION_ARGS)
{
	text *salt = PG_GETARG_TEXT_PP(1);
	uint64 seed = hash_salt(VARDATA_ANY(salt), VARSIZE_ANY_EXHDR(salt));
	ChanceDraw draw = start_draw(PG_GETARG_INT64(0), (int64) seed, 0);

	PG_RETURN_FLOAT8(next_uniform(&draw));
}

/* The draw that the first three arguments of a call name. */
static inline ChanceDraw
call_draw(FunctionCallInfo fcinfo)
{
	return start_draw(PG_GETARG_INT64(0), PG_GETARG_INT64(1),
					  PG_GETARG_INT32(2));
}

PG_FUNCTION_INFO_V1(chance_by_seed);
/* Draws a uniform number from [0, 1). */
PGDLLEXPORT Datum
chance_by_seed(PG_FUNCTION_ARGS)
{
	ChanceDraw draw = call_draw(fcinfo);

	PG_RETURN_FLOAT8(next_uniform(&draw));
}

PG_FUNCTION_INFO_V1(chance_normal);
/* Draws from the standard normal distribution. */
PGDLLEXPORT Datum
chance_normal(PG_FUNCTION_ARGS)
{
	ChanceDraw draw = call_draw(fcinfo);

	PG_RETURN_FLOAT8(next_normal(&draw));
}

PG_FUNCTION_INFO_V1(chance_exponential);
/* Draws from the exponential distribution, by inversion. */
PGDLLEXPORT Datum
chance_exponential(PG_FUNCTION_ARGS)
{
	ChanceDraw draw = call_draw(fcinfo);
	double rate = PG_GETARG_FLOAT8(3);

	check_positive("rate", rate);
	PG_RETURN_FLOAT8(check_result(-portable_log(next_open(&draw)) / rate));
}

PG_FUNCTION_INFO_V1(chance_gamma);
/*
 * Draws from the gamma distribution.  A shape below 1 is drawn with shape + 1
 * and multiplied by a uniform number to the power of 1 / shape.
 */
PGDLLEXPORT Datum
chance_gamma(PG_FUNCTION_ARGS)
{
	ChanceDraw draw = call_draw(fcinfo);
	double shape = PG_GETARG_FLOAT8(3);
	double scale = PG_GETARG_FLOAT8(4);
	double value;

	check_positive("shape", shape);
	check_positive("scale", scale);
	value = next_gamma(&draw, shape < 1.0 ? shape + 1.0 : shape);
	if (shape < 1.0)
		value *= portable_exp(portable_log(next_open(&draw)) / shape);
	PG_RETURN_FLOAT8(check_result(value * scale));
}

PG_FUNCTION_INFO_V1(chance_poisson);
/* Draws from the Poisson distribution. */
PGDLLEXPORT Datum
chance_poisson(PG_FUNCTION_ARGS)
{
	ChanceDraw draw = call_draw(fcinfo);
	double mean = PG_GETARG_FLOAT8(3);

	if (!(mean >= 0.0 && mean <= POISSON_MAX_MEAN))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("mean must be between 0 and %.0f, not \"%.15g\"",
						POISSON_MAX_MEAN, mean),
				 errhint("Above that, draw from a normal distribution with "
						 "the mean as its variance.")));
	PG_RETURN_INT32(mean < POISSON_INVERSION_BELOW
						? poisson_inversion(&draw, mean)
						: poisson_rejection(&draw, mean));
}

PG_FUNCTION_INFO_V1(chance_int);
/*
 * Draws an integer from [0, n): the upper half of word * n, so that two
 * results differ in chance by less than one part in 2^32.
 */
PGDLLEXPORT Datum
chance_int(PG_FUNCTION_ARGS)
{
	ChanceDraw draw = call_draw(fcinfo);
	int32 n = PG_GETARG_INT32(3);
	uint64 word = next_word(&draw);
	uint64 low = (word & 0xFFFFFFFF) * (uint64) n;

	if (n < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("n must be at least 1, not \"%d\"", n),
						errhint("Results are from 0 to n - 1.")));
	PG_RETURN_INT32((int32) (((word >> 32) * (uint64) n + (low >> 32)) >> 32));
}

PG_FUNCTION_INFO_V1(chance_pick);
/* Draws a position in an array of weights. */
PGDLLEXPORT Datum
chance_pick(PG_FUNCTION_ARGS)
{
	ChanceDraw draw = call_draw(fcinfo);
	ArrayType *weights = PG_GETARG_ARRAYTYPE_P(3);
	int n = ArrayGetNItems(ARR_NDIM(weights), ARR_DIMS(weights));

	if (ARR_NDIM(weights) > 1)
		bad_weights("weights must have one dimension", 0, 0.0);
	if (n == 0)
		bad_weights("weights must not be empty", 0, 0.0);
	if (array_contains_nulls(weights))
		bad_weights("weights must not be null", 0, 0.0);
	PG_RETURN_INT32(pick_weighted((const double *) ARR_DATA_PTR(weights), n,
								  next_uniform(&draw)));
}
