/*
 * A hash table of customers for millions of purchases.
 *
 * A table of a million customers fits no cache, so that each purchase would
 * wait for memory. Rows therefore wait in a batch: the line of each is
 * fetched ahead, and when the batch is applied the lines are there. The
 * slot of a customer is given by the upper bits of the hash, so that slots
 * are in the order of hashes whatever the size: growing and merging two
 * tables run through both from end to end.
 */
#include "postgres.h"

#include <sys/mman.h>

#include "common/int.h"
#include "core/core.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "rfm/table.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define TABLE_BITS_MIN 4
#define TABLE_BITS_MAX 40

/* What is expected may be wrong: no more than 256 MB for that. */
#define TABLE_BITS_EXPECTED 23

/* So many customers tell how many of a table are new to another. */
#define TABLE_SAMPLE 1024

#define TABLE_HUGE_PAGE ((Size) 2 * 1024 * 1024)

/* Smaller tables are in the cache: nothing to wait for. */
#define TABLE_BATCH_BITS 14

/* What a worker leaves in shared memory; entries and wide amounts follow. */
typedef struct TablePublished
{
	uint64 used;
	uint64 nwide;
	Size nobody_wide_size;
	RfmEntry nobody;
	int64 undated;
} TablePublished;

/* Slots may fill up to three quarters. */
static inline uint64
table_limit(const RfmTable *table)
{
	return (UINT64CONST(3) << table->bits) / 4;
}

/* Returns the entry of a customer, or the free one where it belongs. */
static inline RfmEntry *
table_find(const RfmTable *table, int64 customer, uint64 slot)
{
	uint64 mask = (UINT64CONST(1) << table->bits) - 1;

	for (;; slot++)
	{
		RfmEntry *entry = &table->entries[slot & mask];

		if (!(entry->flags & RFM_USED) || entry->customer == customer)
			return entry;
	}
}

/*
 * Asks for huge pages below a large table: with small ones each purchase
 * also misses the table of pages. Advice only, so that nothing is checked.
 */
static void
table_huge_pages(void *start, Size size)
{
#ifdef MADV_HUGEPAGE
	Size page = TABLE_HUGE_PAGE;
	char *from = (char *) TYPEALIGN(page, start);
	char *to = (char *) TYPEALIGN_DOWN(page, (char *) start + size);

	if (to > from)
		(void) madvise(from, to - from, MADV_HUGEPAGE);
#endif
}

/* Allocates the slots of a table, all free. */
static RfmEntry *
table_allocate(MemoryContext context, int bits)
{
	RfmEntry *entries;
	Size size;

	if (bits > TABLE_BITS_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("too many customers for one computation"),
						errhint("Group the customers and compute each group "
								"by itself.")));
	size = sizeof(RfmEntry) << bits;
	entries = MemoryContextAllocExtended(context, size, MCXT_ALLOC_HUGE);
	table_huge_pages(entries, size);
	memset(entries, 0, size);
	return entries;
}

/* Lets the rows of a large table wait. */
static void
table_create_batch(RfmTable *table)
{
	if (table->batch == NULL && table->bits >= TABLE_BATCH_BITS)
		table->batch =
			MemoryContextAlloc(table->context, RFM_BATCH * sizeof(RfmRow));
}

/* Doubles the number of slots. */
static void
table_grow(RfmTable *table)
{
	RfmEntry *old = table->entries;
	uint64 nslots = UINT64CONST(1) << table->bits;

	table->entries = table_allocate(table->context, table->bits + 1);
	table->bits++;
	for (uint64 i = 0; i < nslots; i++)
		if (old[i].flags & RFM_USED)
			*table_find(table, old[i].customer,
						rfm_table_slot(table, old[i].customer)) = old[i];
	pfree(old);
	table_create_batch(table);
}

/* Returns the size of a table for so many customers, not above a limit. */
static int
table_bits(double expected)
{
	int bits = TABLE_BITS_MIN;

	while (bits < TABLE_BITS_EXPECTED &&
		   (UINT64CONST(3) << bits) / 4 < expected)
		bits++;
	return bits;
}

/*
 * Makes an empty table, for as many customers as are expected; all its
 * memory is in the context.
 */
RfmTable *
rfm_table_create(MemoryContext context, TimestampTz since, TimestampTz until,
				 uint64 salt, double expected)
{
	RfmTable *table = MemoryContextAllocZero(context, sizeof(RfmTable));

	table->context = context;
	table->since = since;
	table->until = until;
	table->salt = salt;
	table->bits = table_bits(expected);
	table->entries = table_allocate(context, table->bits);
	table_create_batch(table);
	table->nobody.last = DT_NOBEGIN;
	return table;
}

/*
 * Raises the error for an amount or a time that is not finite; customer is
 * NULL when there is none.
 */
void
rfm_error_not_finite(const int64 *customer, const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					errmsg("%s of a purchase is not finite", what),
					customer == NULL
						? errdetail("It has no customer.")
						: errdetail("It belongs to customer " INT64_FORMAT ".",
									*customer)));
}

/* Adds to the number of purchases of an entry. */
static inline void
entry_count(RfmEntry *entry, int32 purchases)
{
	if (unlikely(pg_add_s32_overflow(entry->purchases, purchases,
									 &entry->purchases)))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("number of purchases of a customer is out of "
							   "range"),
						errdetail("Customer " INT64_FORMAT
								  " may have up to %d purchases.",
								  entry->customer, PG_INT32_MAX)));
}

/* Returns a sum in the scale of money as numeric. */
static inline Numeric
sum_numeric(int64 sum)
{
	return int64_div_fast_to_numeric(sum, CORE_MONEY_SCALE);
}

/* Returns the sum of two numerics, which must be finite. */
static Numeric
numeric_plus(Numeric a, Numeric b)
{
	return DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(a),
											   NumericGetDatum(b)));
}

/* Returns a copy of a numeric in a context. */
static Numeric
numeric_keep(MemoryContext context, Numeric value)
{
	Numeric copy = MemoryContextAlloc(context, VARSIZE_ANY(value));

	memcpy(copy, value, VARSIZE_ANY(value));
	return copy;
}

/* Adds to a wide amount, which is NULL at first. */
static void
amount_add(MemoryContext context, Numeric *total, Numeric amount)
{
	Numeric old = *total;
	Numeric sum;

	if (old == NULL)
	{
		*total = numeric_keep(context, amount);
		return;
	}
	sum = numeric_plus(old, amount);
	*total = numeric_keep(context, sum);
	pfree(sum);
	pfree(old);
}

/* Returns where the wide amount of an entry is, made if there is none. */
static Numeric *
entry_wide(RfmTable *table, const RfmEntry *entry)
{
	RfmWide *wide;
	bool found;

	if (entry == &table->nobody)
		return &table->nobody_wide;
	if (table->wide == NULL)
	{
		HASHCTL ctl = {.keysize = sizeof(int64),
					   .entrysize = sizeof(RfmWide),
					   .hcxt = table->context};

		table->wide = hash_create("iaros wide amounts", 64, &ctl,
								  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	wide = hash_search(table->wide, &entry->customer, HASH_ENTER, &found);
	if (!found)
		wide->amount = NULL;
	return &wide->amount;
}

/* Adds to the wide part of the amount of an entry. */
static void
entry_add_wide(RfmTable *table, RfmEntry *entry, Numeric amount)
{
	amount_add(table->context, entry_wide(table, entry), amount);
	entry->flags |= RFM_WIDE;
}

/* Adds to the sum of an entry; what does not fit goes to its wide part. */
static inline void
entry_add(RfmTable *table, RfmEntry *entry, int64 amount)
{
	int64 sum;

	/* Not into entry->sum: an overflow leaves nonsense there. */
	if (unlikely(pg_add_s64_overflow(entry->sum, amount, &sum)))
	{
		entry_add_wide(table, entry, sum_numeric(entry->sum));
		sum = amount;
	}
	entry->sum = sum;
}

/* Applies a row to the entry of its customer. */
static inline void
entry_apply(RfmTable *table, RfmEntry *entry, const RfmRow *row)
{
	/* To take a purchase back is not to buy. */
	if (row->at > entry->last && row->purchases >= 0)
		entry->last = row->at;
	if (row->score != 0)
		entry->score = row->score;
	if (row->changed)
		entry->flags |= RFM_CHANGED;
	if (row->at > table->since)
	{
		entry_count(entry, row->purchases);
		entry_add(table, entry, row->amount);
	}
}

/* Gives a free entry to a customer. */
static inline void
table_use(RfmTable *table, RfmEntry *entry, int64 customer)
{
	entry->customer = customer;
	entry->last = DT_NOBEGIN;
	entry->flags = RFM_USED;
	table->used++;
}

/* Applies the rows of the batch, whose lines have come into the cache. */
void
rfm_table_flush(RfmTable *table)
{
	int n = table->nbatch;

	if (n == 0)
		return;
	table->nbatch = 0;
	while (table->used + n > table_limit(table))
		table_grow(table);
	for (int i = 0; i < n; i++)
	{
		const RfmRow *row = &table->batch[i];
		uint64 slot = rfm_table_slot(table, row->customer);
		RfmEntry *entry = table_find(table, row->customer, slot);

		if (!(entry->flags & RFM_USED))
			table_use(table, entry, row->customer);
		entry_apply(table, entry, row);
	}
}

/* Returns the entry of a customer, made if there is none. */
static RfmEntry *
table_entry(RfmTable *table, int64 customer)
{
	RfmEntry *entry;

	if (table->used >= table_limit(table))
		table_grow(table);
	entry = table_find(table, customer, rfm_table_slot(table, customer));
	if (!(entry->flags & RFM_USED))
		table_use(table, entry, customer);
	return entry;
}

/* Adds a purchase at once. */
void
rfm_table_add_slow(RfmTable *table, const RfmRow *row)
{
	entry_apply(table, table_entry(table, row->customer), row);
}

/*
 * Adds a purchase that is unlike the others: wide is what of its amount does
 * not fit the row, or NULL; nobody that it has no customer.
 */
void
rfm_table_add_odd(RfmTable *table, const RfmRow *row, Numeric wide,
				  bool nobody)
{
	RfmEntry *entry =
		nobody ? &table->nobody : table_entry(table, row->customer);

	entry->flags |= RFM_USED;
	entry_apply(table, entry, row);
	if (wide != NULL && row->at > table->since)
		entry_add_wide(table, entry, wide);
}

/* Returns the wide part of the amount of an entry, NULL when it has none. */
static Numeric
entry_get_wide(const RfmTable *table, const RfmEntry *entry)
{
	RfmWide *wide;

	if (!(entry->flags & RFM_WIDE))
		return NULL;
	if (entry == &table->nobody)
		return table->nobody_wide;
	wide = hash_search(table->wide, &entry->customer, HASH_FIND, NULL);
	Assert(wide != NULL);
	return wide->amount;
}

/* Returns the exact amount of an entry. */
Numeric
rfm_table_amount(const RfmTable *table, const RfmEntry *entry)
{
	Numeric sum = sum_numeric(entry->sum);
	Numeric wide = entry_get_wide(table, entry);

	return wide == NULL ? sum : numeric_plus(sum, wide);
}

/* Adds what another table has of a customer, or of nobody. */
static void
entry_merge(RfmTable *table, RfmEntry *entry, const RfmEntry *other,
			Numeric wide)
{
	entry->last = Max(entry->last, other->last);
	if (other->score != 0)
		entry->score = other->score;
	entry->flags |= other->flags & RFM_CHANGED;
	entry_count(entry, other->purchases);
	entry_add(table, entry, other->sum);
	if (wide != NULL)
		entry_add_wide(table, entry, wide);
}

/* Adds what another table has of nobody, and without time. */
static void
table_merge_rest(RfmTable *table, const RfmEntry *nobody, Numeric wide,
				 int64 undated)
{
	if (pg_add_s64_overflow(table->undated, undated, &table->undated))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("too many purchases without time")));
	if (!(nobody->flags & RFM_USED))
		return;
	table->nobody.flags |= RFM_USED;
	entry_merge(table, &table->nobody, nobody, wide);
}

/*
 * Makes room for the customers of another table, which come in the order of
 * hashes. They would fill a small table from its start, slot after slot, and
 * each would look for a free slot behind all those before it. How many of
 * them are new is told by the first of them.
 */
static void
table_make_room(RfmTable *table, const RfmEntry *others, uint64 nslots,
				uint64 used)
{
	uint64 seen = 0;
	uint64 fresh = 0;

	for (uint64 i = 0; i < nslots && seen < TABLE_SAMPLE; i++)
	{
		int64 customer = others[i].customer;
		uint64 slot = rfm_table_slot(table, customer);

		if (!(others[i].flags & RFM_USED))
			continue;
		seen++;
		if (!(table_find(table, customer, slot)->flags & RFM_USED))
			fresh++;
	}
	if (fresh == 0)
		return;
	while (table->used + used / seen * fresh + fresh > table_limit(table))
		table_grow(table);
}

/* Merges another table of the same window into this one. */
void
rfm_table_merge(RfmTable *table, const RfmTable *other)
{
	uint64 nslots = UINT64CONST(1) << other->bits;

	Assert(other->nbatch == 0);
	rfm_table_flush(table);
	table_make_room(table, other->entries, nslots, other->used);
	for (uint64 i = 0; i < nslots; i++)
	{
		const RfmEntry *from = &other->entries[i];

		if (!(from->flags & RFM_USED))
			continue;
		CHECK_FOR_INTERRUPTS();
		entry_merge(table, table_entry(table, from->customer), from,
					entry_get_wide(other, from));
	}
	table_merge_rest(table, &other->nobody,
					 entry_get_wide(other, &other->nobody), other->undated);
}

/*
 * Lets the window of a table begin later: customers who did not buy since
 * keep their last purchase, the others what they bought.
 */
void
rfm_table_since(RfmTable *table, TimestampTz since)
{
	uint64 nslots = UINT64CONST(1) << table->bits;

	table->since = since;
	for (uint64 i = 0; i < nslots; i++)
	{
		RfmEntry *entry = &table->entries[i];

		if (!(entry->flags & RFM_USED) || entry->last > since)
			continue;
		if (entry->flags & RFM_WIDE)
			hash_search(table->wide, &entry->customer, HASH_REMOVE, NULL);
		entry->flags &= ~RFM_WIDE;
		entry->purchases = 0;
		entry->sum = 0;
	}
	if (table->nobody.last > since)
		return;
	table->nobody.flags &= ~RFM_WIDE;
	table->nobody.purchases = 0;
	table->nobody.sum = 0;
	table->nobody_wide = NULL;
}

/*
 * Closes a table: its entries become an array of table->used customers, in
 * no order, and nothing can be added any more.
 */
RfmEntry *
rfm_table_entries(RfmTable *table)
{
	uint64 nslots = UINT64CONST(1) << table->bits;
	uint64 n = 0;

	rfm_table_flush(table);
	/* Without a branch: every second slot is free, at random. */
	for (uint64 i = 0; i < nslots; i++)
	{
		bool used = (table->entries[i].flags & RFM_USED) != 0;

		table->entries[n] = table->entries[i];
		n += used;
	}
	Assert(n == table->used);
	table->bits = 0;
	return table->entries;
}

/* Writes bytes and returns where the next ones go, aligned. */
static char *
published_put(char *at, const void *bytes, Size size)
{
	memcpy(at, bytes, size);
	return at + MAXALIGN(size);
}

/* Returns how many bytes the table takes in shared memory. */
static Size
published_size(const RfmTable *table)
{
	Size size = MAXALIGN(sizeof(TablePublished));
	HASH_SEQ_STATUS scan;
	RfmWide *wide;

	size = add_size(size, mul_size(table->used, sizeof(RfmEntry)));
	if (table->nobody_wide != NULL)
		size = add_size(size, MAXALIGN(VARSIZE_ANY(table->nobody_wide)));
	if (table->wide == NULL)
		return size;
	hash_seq_init(&scan, table->wide);
	while ((wide = hash_seq_search(&scan)) != NULL)
		size = add_size(size, MAXALIGN(sizeof(int64)) +
								  MAXALIGN(VARSIZE_ANY(wide->amount)));
	return size;
}

/* Writes the wide amounts of a table into shared memory. */
static uint64
published_put_wide(const RfmTable *table, char *at)
{
	HASH_SEQ_STATUS scan;
	RfmWide *wide;
	uint64 n = 0;

	if (table->nobody_wide != NULL)
		at = published_put(at, table->nobody_wide,
						   VARSIZE_ANY(table->nobody_wide));
	if (table->wide == NULL)
		return 0;
	hash_seq_init(&scan, table->wide);
	while ((wide = hash_seq_search(&scan)) != NULL)
	{
		at = published_put(at, &wide->customer, sizeof(int64));
		at = published_put(at, wide->amount, VARSIZE_ANY(wide->amount));
		n++;
	}
	return n;
}

/* Copies a table into shared memory, in the order of hashes. */
dsa_pointer
rfm_table_publish(RfmTable *table, dsa_area *area)
{
	dsa_pointer pointer;
	TablePublished *published;
	RfmEntry *entries;
	uint64 nslots = UINT64CONST(1) << table->bits;
	uint64 n = 0;

	rfm_table_flush(table);
	pointer =
		dsa_allocate_extended(area, published_size(table), DSA_ALLOC_HUGE);
	published = dsa_get_address(area, pointer);
	entries =
		(RfmEntry *) ((char *) published + MAXALIGN(sizeof(TablePublished)));
	for (uint64 i = 0; i < nslots; i++)
		if (table->entries[i].flags & RFM_USED)
			entries[n++] = table->entries[i];
	published->used = n;
	published->nobody = table->nobody;
	published->undated = table->undated;
	published->nobody_wide_size =
		table->nobody_wide == NULL ? 0 : VARSIZE_ANY(table->nobody_wide);
	published->nwide = published_put_wide(table, (char *) &entries[n]);
	return pointer;
}

/* Merges a table that a worker published. */
void
rfm_table_adopt(RfmTable *table, dsa_area *area, dsa_pointer pointer)
{
	TablePublished *published = dsa_get_address(area, pointer);
	RfmEntry *entries =
		(RfmEntry *) ((char *) published + MAXALIGN(sizeof(TablePublished)));
	char *at = (char *) &entries[published->used];
	Numeric nobody_wide = NULL;

	rfm_table_flush(table);
	table_make_room(table, entries, published->used, published->used);
	for (uint64 i = 0; i < published->used; i++)
	{
		CHECK_FOR_INTERRUPTS();
		entry_merge(table, table_entry(table, entries[i].customer),
					&entries[i], NULL);
	}
	if (published->nobody_wide_size > 0)
	{
		nobody_wide = (Numeric) at;
		at += MAXALIGN(published->nobody_wide_size);
	}
	table_merge_rest(table, &published->nobody, nobody_wide,
					 published->undated);
	for (uint64 i = 0; i < published->nwide; i++)
	{
		int64 customer = *(int64 *) at;
		Numeric amount = (Numeric) (at + MAXALIGN(sizeof(int64)));

		entry_add_wide(table, table_entry(table, customer), amount);
		at = (char *) amount + MAXALIGN(VARSIZE_ANY(amount));
	}
	dsa_free(area, pointer);
}
