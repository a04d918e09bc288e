/* Scores of customers by a scheme. */
#ifndef IAROS_RFM_SCORE_H
#define IAROS_RFM_SCORE_H

#include "postgres.h"

#include "pgtime.h"
#include "rfm/table.h"

typedef enum RfmKind
{
	RFM_THRESHOLD,
	RFM_QUANTILE,
	RFM_NTILE
} RfmKind;

/* A scheme with its terms for one time; a NULL bound leaves it to the kind. */
typedef struct RfmScheme
{
	char *name;
	RfmKind kind;
	int levels;
	bool ties_high;
	bool lapsed; /* customers without purchase in the period are scored */
	TimestampTz since;
	TimestampTz until; /* as_of */
	pg_tz *zone;
	int32 *recency_bounds; /* levels - 1 each, ascending */
	Numeric *frequency_bounds;
	Numeric *monetary_bounds;
	Datum *segments; /* levels^3 texts in the order of cells, 0 for none */
} RfmScheme;

/* Customers of a table with their scores. */
typedef struct RfmScored
{
	const RfmTable *table;
	RfmEntry *entries;
	uint64 n;
	int32 *days;
	Rfm *cells; /* 0: not scored */
} RfmScored;

/* scheme.c */
extern RfmScheme *rfm_scheme_load(const NullableDatum *terms);
extern int32 *rfm_days(const RfmScheme *scheme, const RfmEntry *entries,
					   uint64 n);

extern pg_tz *rfm_zone(const char *name);

/* select.c */
extern void rfm_select(const int64 *values, uint64 n, const uint64 *positions,
					   int npositions, int64 *results);

/* score.c */
extern RfmScored *rfm_score(RfmTable *table, const RfmScheme *scheme);

#endif /* IAROS_RFM_SCORE_H */
