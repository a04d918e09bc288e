/* Division of a whole among channels, see share.h. */
#include "attribution/share.h"

#include <math.h>

#include "attribution/path_set.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

/* Weights become integers that add up to about this. */
#define SHARE_WEIGHT 2305843009213693952.0 /* 2^61 */

/* Digits of 128 bits, a sign, a point and an end. */
#define SHARE_TEXT 48

/* Returns 10 to a power of up to 38. */
int128
share_power(int exponent)
{
	int128 power = 1;

	while (exponent-- > 0)
		power *= 10;
	return power;
}

/* Puts the larger remainder first, of equal ones the first. */
static inline int
remainder_cmp(const uint32 *a, const uint32 *b, const uint64 *remainders)
{
	if (remainders[*a] != remainders[*b])
		return remainders[*a] > remainders[*b] ? -1 : 1;
	return *a < *b ? -1 : *a > *b;
}

#define ST_SORT sort_remainders
#define ST_ELEMENT_TYPE uint32
#define ST_COMPARE_ARG_TYPE const uint64
#define ST_COMPARE(a, b, remainders) remainder_cmp(a, b, remainders)
#define ST_SCOPE static
#define ST_DEFINE
#define ST_CHECK_FOR_INTERRUPTS
#include "lib/sort_template.h"

/*
 * Gives what is left of a whole to parts that were rounded down. What is left
 * may be a little below 0 when remainders come from rounded numbers.
 */
void
share_round(int128 whole, int128 *parts, const uint64 *remainders, uint32 n)
{
	uint32 *order = palloc_extended(mul_size(n + (Size) 1, sizeof(uint32)),
									MCXT_ALLOC_HUGE);
	int128 rest = whole;

	for (uint32 i = 0; i < n; i++)
	{
		rest -= parts[i];
		order[i] = i;
	}
	sort_remainders(order, n, remainders);
	for (uint32 i = 0; i < n; i++)
	{
		int128 each = (rest >= 0 ? rest + (n - i - 1) : rest) / (n - i);

		parts[order[i]] += each;
		rest -= each;
	}
	pfree(order);
}

/*
 * Divides a whole by weights, of which one at least is not 0; the sum of
 * their magnitudes must not be far above that of the weights.
 */
void
share_divide(int128 whole, const double *weights, int128 *parts, uint32 n)
{
	Size size = mul_size(n + (Size) 1, sizeof(uint64));
	uint64 *remainders = palloc_extended(size, MCXT_ALLOC_HUGE);
	int64 *integers = palloc_extended(size, MCXT_ALLOC_HUGE);
	double largest = 0.0;
	double sum = 0.0;
	int64 total = 0;

	for (uint32 i = 0; i < n; i++)
		largest = Max(largest, fabs(weights[i]));
	for (uint32 i = 0; i < n; i++)
		sum += fabs(weights[i] / largest);
	for (uint32 i = 0; i < n; i++)
	{
		integers[i] = (int64) (weights[i] / largest / sum * SHARE_WEIGHT);
		total += integers[i];
	}
	if (total < 0)
	{
		total = -total;
		for (uint32 i = 0; i < n; i++)
			integers[i] = -integers[i];
	}
	for (uint32 i = 0; i < n; i++)
	{
		int128 product = whole % total * integers[i];
		int128 rest = product % total;

		parts[i] = whole / total * integers[i] + product / total;
		if (rest < 0)
		{
			rest += total;
			parts[i]--;
		}
		remainders[i] = (uint64) rest;
	}
	share_round(whole, parts, remainders, n);
	pfree(remainders);
	pfree(integers);
}

/* Returns a number of units of the last of some decimals. */
Datum
share_numeric(int128 units, int decimals)
{
	char text[SHARE_TEXT];
	char *at = text + sizeof(text);
	uint128 rest = units < 0 ? -(uint128) units : (uint128) units;

	if (units >= PG_INT64_MIN && units <= PG_INT64_MAX)
		return NumericGetDatum(
			int64_div_fast_to_numeric((int64) units, decimals));
	*--at = '\0';
	for (int digit = 0; rest > 0 || digit <= decimals; digit++)
	{
		if (digit == decimals && decimals > 0)
			*--at = '.';
		*--at = '0' + (int) (rest % 10);
		rest /= 10;
	}
	if (units < 0)
		*--at = '-';
	return DirectFunctionCall3(numeric_in, CStringGetDatum(at),
							   ObjectIdGetDatum(InvalidOid),
							   Int32GetDatum(-1));
}

/* Reads an argument that is a number of decimals. */
int
share_decimals(FunctionCallInfo fcinfo, int arg)
{
	int decimals;

	if (PG_ARGISNULL(arg))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("decimals must not be NULL")));
	decimals = PG_GETARG_INT32(arg);
	if (decimals < 0 || decimals > SHARE_DECIMALS_MAX)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("decimals must be between 0 and %d, not \"%d\"",
							   SHARE_DECIMALS_MAX, decimals)));
	return decimals;
}

/* Returns the decimals, or more when a value of PATH_SET_SCALE has more. */
int
share_fit(int decimals, int128 value)
{
	int needed = PATH_SET_SCALE;

	for (; needed > decimals && value % 10 == 0; value /= 10)
		needed--;
	return Max(decimals, needed);
}
