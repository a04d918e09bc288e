/*
 * The kernel of RFM: cells, and what is known of a customer's purchases.
 */
#ifndef IAROS_RFM_H
#define IAROS_RFM_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "fmgr.h"

/*
 * Type rfm, a cell: the scores of recency, frequency and monetary value,
 * each 1 to 9. It is passed by value and stored as a signed integer of two
 * bytes, r * 100 + f * 10 + m; hence it is ordered by r, then f, then m, and
 * 0 is no cell.
 */
typedef int16 Rfm;

#define RFM_SCORE_MIN 1
#define RFM_SCORE_MAX 9

#define RFM_MAKE(r, f, m) ((Rfm) ((r) *100 + (f) *10 + (m)))
#define RFM_R(cell) ((cell) / 100)
#define RFM_F(cell) ((cell) / 10 % 10)
#define RFM_M(cell) ((cell) % 10)

#define DatumGetRfm(datum) ((Rfm) DatumGetInt16(datum))
#define RfmGetDatum(cell) Int16GetDatum(cell)
#define PG_GETARG_RFM(n) DatumGetRfm(PG_GETARG_DATUM(n))
#define PG_RETURN_RFM(cell) return RfmGetDatum(cell)

/* Is this number the form of a cell: three digits, none of them 0? */
static inline bool
rfm_valid(int32 number)
{
	return number >= 111 && number <= 999 && number / 10 % 10 != 0 &&
		   number % 10 != 0;
}

/*
 * Type rfm_stat: the first and last time of a set of purchases, how many
 * there are, and their exact sum. A varlena, aligned as double:
 *
 *   offset 4   uint8   version of this layout
 *          5   bool    is the sum wide?
 *          6   uint16  0
 *          8   int64   first time, microseconds since 2000
 *         16   int64   last time
 *         24   int64   purchases, at least 1
 *         32   int64   sum times 10^4, unless it is wide
 *         32   numeric with its header of 4 bytes and no trailing zeros, a
 *                      sum that has more decimals or is no int64 then
 *
 * The sum is wide only if it must be, so equal values have equal bytes. If
 * no time is known, first is DT_NOEND and last is DT_NOBEGIN; else first is
 * not after last.
 */
typedef struct RfmStat
{
	int32 vl_len_; /* varlena header, not to be touched directly */
	uint8 version;
	bool wide;
	uint16 unused;
	TimestampTz first;
	TimestampTz last;
	int64 purchases;
	int64 scaled; /* or the start of a numeric */
} RfmStat;

#define RFM_STAT_VERSION 1
#define RFM_STAT_HEADER_SIZE offsetof(RfmStat, scaled)

#define DatumGetRfmStatP(datum) ((RfmStat *) PG_DETOAST_DATUM(datum))
#define RfmStatPGetDatum(stat) PointerGetDatum(stat)
#define PG_GETARG_RFM_STAT_P(n) DatumGetRfmStatP(PG_GETARG_DATUM(n))
#define PG_RETURN_RFM_STAT_P(stat) PG_RETURN_POINTER(stat)

/* cell.c */
extern const char *rfm_quote(const char *input);

extern void rfm_init(void);

#endif /* IAROS_RFM_H */
