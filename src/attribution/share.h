/*
 * Division of a whole among channels so that the parts add up to it exactly:
 * each gets its share rounded down, and what is left goes, a unit each, to
 * the largest remainders, of equal ones to the first.
 */
#ifndef IAROS_ATTRIBUTION_SHARE_H
#define IAROS_ATTRIBUTION_SHARE_H

#include "postgres.h"

#include "fmgr.h"

/* Decimals of conversions that are divided. */
#define SHARE_DECIMALS 6

/* Most decimals of a credit. */
#define SHARE_DECIMALS_MAX 12

extern int128 share_power(int exponent);
extern void share_round(int128 whole, int128 *parts, const uint64 *remainders,
						uint32 n);
extern void share_divide(int128 whole, const double *weights, int128 *parts,
						 uint32 n);
extern Datum share_numeric(int128 units, int decimals);
extern int share_decimals(FunctionCallInfo fcinfo, int arg);
extern int share_fit(int decimals, int128 value);

#endif /* IAROS_ATTRIBUTION_SHARE_H */
