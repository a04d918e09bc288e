/* The rows of RFM that functions return, and the start of the domain. */
#include "postgres.h"

#include "core/core.h"
#include "miscadmin.h"
#include "rfm/compute.h"
#include "utils/builtins.h"

/* Customers with their scores, as rows. */
typedef struct RfmRows
{
	CoreRows rows; /* one a customer, and perhaps one without */
	RfmScored *scored;
	const RfmScheme *scheme;
	int32 nobody_days;
} RfmRows;

/* Fills in the segment of a cell. */
static inline void
result_segment(const RfmScheme *scheme, Rfm cell, Datum *segment, bool *isnull)
{
	int levels = scheme->levels;
	int place;

	*segment = (Datum) 0;
	if (cell != 0 && scheme->segments != NULL)
	{
		place = (RFM_R(cell) - 1) * levels + RFM_F(cell) - 1;
		*segment = scheme->segments[place * levels + RFM_M(cell) - 1];
	}
	*isnull = *segment == (Datum) 0;
}

/* Fills in the row of the purchases without customer. */
static void
result_nobody(const RfmRows *result, Datum *values, bool *nulls)
{
	memset(nulls, true, RFM_COLUMNS * sizeof(bool));
	nulls[RFM_COLUMN_RECENCY] = false;
	values[RFM_COLUMN_RECENCY] = Int32GetDatum(result->nobody_days);
	nulls[RFM_COLUMN_FREQUENCY] = false;
	values[RFM_COLUMN_FREQUENCY] =
		Int64GetDatum(result->scored->table->nobody.purchases);
	nulls[RFM_COLUMN_MONETARY] = false;
	values[RFM_COLUMN_MONETARY] = NumericGetDatum(rfm_table_amount(
		result->scored->table, &result->scored->table->nobody));
}

/* Fills in row i. */
static void
result_get(const CoreRows *rows, uint64 i, const bool *wanted, Datum *values,
		   bool *nulls)
{
	const RfmRows *result = (const RfmRows *) rows;
	const RfmScored *scored = result->scored;
	const RfmEntry *entry = &scored->entries[i];
	Rfm cell;

	if (i >= scored->n)
	{
		result_nobody(result, values, nulls);
		return;
	}
	memset(nulls, false, RFM_COLUMNS * sizeof(bool));
	cell = scored->cells[i];
	values[RFM_COLUMN_CUSTOMER] = Int64GetDatum(entry->customer);
	values[RFM_COLUMN_RECENCY] = Int32GetDatum(scored->days[i]);
	values[RFM_COLUMN_FREQUENCY] = Int64GetDatum(entry->purchases);
	if (wanted[RFM_COLUMN_MONETARY])
		values[RFM_COLUMN_MONETARY] =
			NumericGetDatum(rfm_table_amount(scored->table, entry));
	values[RFM_COLUMN_SCORE] = RfmGetDatum(cell);
	nulls[RFM_COLUMN_SCORE] = cell == 0;
	result_segment(result->scheme, cell, &values[RFM_COLUMN_SEGMENT],
				   &nulls[RFM_COLUMN_SEGMENT]);
}

/* Tells of the purchases that no row shows. */
static void
result_undated(const RfmTable *table)
{
	if (table->undated > 0)
		ereport(
			WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("purchases without a time were left out: " INT64_FORMAT,
					table->undated)));
}

/* Drops the customers whose score is the one they had, and without news. */
static void
result_drop_unchanged(RfmScored *scored)
{
	uint64 n = 0;

	for (uint64 i = 0; i < scored->n; i++)
	{
		if (scored->cells[i] == scored->entries[i].score &&
			!(scored->entries[i].flags & RFM_CHANGED))
			continue;
		scored->entries[n] = scored->entries[i];
		scored->days[n] = scored->days[i];
		scored->cells[n++] = scored->cells[i];
	}
	scored->n = n;
}

/* Scores the customers of a table, which is closed, and returns them. */
CoreRows *
rfm_result(RfmTable *table, const RfmScheme *scheme, bool changed_only)
{
	RfmRows *result = palloc0(sizeof(RfmRows));

	result_undated(table);
	result->scheme = scheme;
	result->scored = rfm_score(table, scheme);
	if (changed_only)
		result_drop_unchanged(result->scored);
	result->rows.get = result_get;
	result->rows.n = result->scored->n;
	if ((table->nobody.flags & RFM_USED) && !changed_only)
	{
		result->nobody_days = *rfm_days(scheme, &table->nobody, 1);
		result->rows.n++;
	}
	return &result->rows;
}

/* Starts the domain. */
void
rfm_init(void)
{
	rfm_compute_init();
	rfm_state_init();
}
