/* Numbers in order: sets of values, tables that are looked up. */
#include "postgres.h"

#include "model/model.h"
#include "utils/float.h"

/* Up to so many numbers are searched from the first one on. */
#define NUMBER_FEW 8

/* Orders numbers; those that are missing come last. */
static int
number_compare(const void *a, const void *b)
{
	return float8_cmp_internal(*(const double *) a, *(const double *) b);
}

/* Puts numbers into order, those that are missing behind all others. */
void
number_sort(double *values, Size n)
{
	if (n > 1)
		qsort(values, n, sizeof(double), number_compare);
}

/* Where a number is among numbers in order; n if it is not there. */
uint32
number_find(const double *values, uint32 n, double value)
{
	uint32 low = 0;
	uint32 high = n;

	if (n <= NUMBER_FEW)
	{
		while (low < n && values[low] != value)
			low++;
		return low;
	}
	while (low < high)
	{
		uint32 middle = low + (high - low) / 2;

		if (values[middle] < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && values[low] == value ? low : n;
}
