/*
 * Customers with their last purchase, number of purchases and amount: the
 * hash table behind rfm_compute() and rfm_state.
 */
#ifndef IAROS_RFM_TABLE_H
#define IAROS_RFM_TABLE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/dsa.h"
#include "utils/hsearch.h"
#include "utils/numeric.h"

#include "rfm/rfm.h"

/* Rows that wait for their customer to come into the cache. */
#define RFM_BATCH 32

/*
 * One customer, 32 bytes. The amount is sum / 10^CORE_MONEY_SCALE, plus an
 * exact numeric in the table's hash of wide amounts when the flag says so.
 */
typedef struct RfmEntry
{
	int64 customer;
	TimestampTz last;
	int64 sum;
	int32 purchases;
	Rfm score; /* the customer has now, 0 for none */
	uint16 flags;
} RfmEntry;

#define RFM_USED 0x0001
#define RFM_WIDE 0x0002
#define RFM_CHANGED 0x0004

/* The part of an amount that does not fit a sum. */
typedef struct RfmWide
{
	int64 customer; /* hash key */
	Numeric amount;
} RfmWide;

/* A purchase, or several of one customer. */
typedef struct RfmRow
{
	int64 customer;
	TimestampTz at;
	int64 amount;    /* times 10^CORE_MONEY_SCALE */
	int32 purchases; /* negative to take some back */
	Rfm score;
	bool changed; /* the customer is to come back, whatever the score */
} RfmRow;

/*
 * Purchases count when since < at <= until; those before count for the last
 * purchase only, those after not at all.
 */
typedef struct RfmTable
{
	MemoryContext context;
	TimestampTz since;
	TimestampTz until;
	uint64 salt;       /* of the hash, which nobody can foresee */
	RfmEntry *entries; /* by the upper bits of the hash, open addressing */
	int bits;          /* there are 2^bits of them */
	uint64 used;
	HTAB *wide;          /* RfmWide, NULL while there is none */
	RfmEntry nobody;     /* purchases without customer */
	Numeric nobody_wide; /* wide part of their amount, or NULL */
	int64 undated;       /* purchases without time */
	RfmRow *batch;
	int nbatch;
} RfmTable;

/* table.c */
extern RfmTable *rfm_table_create(MemoryContext context, TimestampTz since,
								  TimestampTz until, uint64 salt,
								  double expected);
extern void rfm_table_flush(RfmTable *table);
extern void rfm_table_add_slow(RfmTable *table, const RfmRow *row);
extern void rfm_table_add_odd(RfmTable *table, const RfmRow *row, Numeric wide,
							  bool nobody);
extern void rfm_table_merge(RfmTable *table, const RfmTable *other);
extern void rfm_table_since(RfmTable *table, TimestampTz since);
extern RfmEntry *rfm_table_entries(RfmTable *table);
extern Numeric rfm_table_amount(const RfmTable *table, const RfmEntry *entry);
extern dsa_pointer rfm_table_publish(RfmTable *table, dsa_area *area);
extern void rfm_table_adopt(RfmTable *table, dsa_area *area,
							dsa_pointer published);
extern void rfm_error_not_finite(const int64 *customer, const char *what);

/* Returns the first slot where a customer may be. */
static inline uint64
rfm_table_slot(const RfmTable *table, int64 customer)
{
	uint64 hash = (uint64) customer ^ table->salt;

	hash ^= hash >> 32;
	hash *= UINT64CONST(0xd6e8feb86659fd93);
	hash ^= hash >> 32;
	hash *= UINT64CONST(0xd6e8feb86659fd93);
	hash ^= hash >> 32;
	return hash >> (64 - table->bits);
}

/* Adds a purchase of a customer, and fetches the line that it will need. */
static inline void
rfm_table_add(RfmTable *table, const RfmRow *row)
{
	if (table->batch == NULL)
	{
		rfm_table_add_slow(table, row);
		return;
	}
	__builtin_prefetch(&table->entries[rfm_table_slot(table, row->customer)],
					   1);
	table->batch[table->nbatch++] = *row;
	if (table->nbatch == RFM_BATCH)
		rfm_table_flush(table);
}

#endif /* IAROS_RFM_TABLE_H */
