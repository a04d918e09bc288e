/* What rfm_compute(), rfm_agg() and rfm_rows() share. */
#ifndef IAROS_RFM_COMPUTE_H
#define IAROS_RFM_COMPUTE_H

#include "postgres.h"

#include "core/stream.h"
#include "rfm/score.h"

/* The columns of the rows of RFM. */
enum
{
	RFM_COLUMN_CUSTOMER,
	RFM_COLUMN_RECENCY,
	RFM_COLUMN_FREQUENCY,
	RFM_COLUMN_MONETARY,
	RFM_COLUMN_SCORE,
	RFM_COLUMN_SEGMENT,
	RFM_COLUMNS
};

/* An amount: a 64-bit integer in the scale of money, or a numeric. */
typedef struct RfmAmount
{
	int64 scaled;
	Numeric wide; /* NULL when scaled says it all */
} RfmAmount;

extern void rfm_compute_init(void);
extern void rfm_state_init(void);
extern RfmAmount rfm_amount_numeric(Datum value, const int64 *customer);
extern CoreRows *rfm_result(RfmTable *table, const RfmScheme *scheme,
							bool changed_only);

#endif /* IAROS_RFM_COMPUTE_H */
