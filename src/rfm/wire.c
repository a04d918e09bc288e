/* The bytes of an rfm_state, whose layout state.c describes. */
#include "postgres.h"

#include "common/int.h"
#include "core/core.h"
#include "core/hash.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "rfm/wire.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define WIRE_VERSION 1

/* A customer takes at least so many bytes. */
#define WIRE_CUSTOMER_MIN 4

/* Longest decimal number: digits before and after the point, and signs. */
#define WIRE_DECIMAL_MAX (131072 + 16383 + 8)

/* Writes bytes, or only counts them while at is NULL. */
typedef struct WireWriter
{
	char *at;
	Size size;
} WireWriter;

/* Reads bytes that nobody checked. */
typedef struct WireReader
{
	const char *at;
	const char *end;
} WireReader;

/* How the customers of a table are written. */
typedef struct WireForm
{
	TimestampTz base;
	uint64 unit;
	int decimals;
	int64 divisor; /* 10^(CORE_MONEY_SCALE - decimals) */
} WireForm;

/* Units of time, in microseconds, the largest first. */
static const uint64 wire_units[] = {
	USECS_PER_DAY, USECS_PER_HOUR, USECS_PER_MINUTE, USECS_PER_SEC, 1000, 1};

static const int64 wire_pow10[CORE_MONEY_SCALE + 1] = {1, 10, 100, 1000,
													   10000};

#define ST_SORT wire_sort_entries
#define ST_ELEMENT_TYPE RfmEntry
#define ST_COMPARE(a, b)                                                      \
	((a)->customer < (b)->customer ? -1 : (a)->customer > (b)->customer)
#define ST_SCOPE static
#define ST_DEFINE
#define ST_CHECK_FOR_INTERRUPTS
#include "lib/sort_template.h"

/* Writes some bytes. */
static void
wire_put(WireWriter *writer, const void *bytes, Size size)
{
	if (writer->at != NULL)
	{
		memcpy(writer->at, bytes, size);
		writer->at += size;
	}
	writer->size = add_size(writer->size, size);
}

/* Writes one byte. */
static void
wire_put_byte(WireWriter *writer, uint8 byte)
{
	wire_put(writer, &byte, 1);
}

/* Writes 8 bytes, the highest first. */
static void
wire_put_fixed(WireWriter *writer, int64 value)
{
	uint64 bytes = pg_hton64((uint64) value);

	wire_put(writer, &bytes, sizeof(bytes));
}

/* Writes a number. */
static inline void
wire_put_number(WireWriter *writer, uint64 value)
{
	char bytes[10];
	int n = 0;

	for (; value >= 0x80; value >>= 7)
		bytes[n++] = (char) (value | 0x80);
	bytes[n++] = (char) value;
	wire_put(writer, bytes, n);
}

/* Writes a signed number. */
static inline void
wire_put_signed(WireWriter *writer, int64 value)
{
	wire_put_number(writer, ((uint64) value << 1) ^ (uint64) (value >> 63));
}

/* Writes an amount as characters, without zeros at the end. */
static void
wire_put_decimal(WireWriter *writer, Numeric amount)
{
	Datum trimmed =
		DirectFunctionCall1(numeric_trim_scale, NumericGetDatum(amount));
	char *text = DatumGetCString(DirectFunctionCall1(numeric_out, trimmed));

	wire_put_number(writer, strlen(text));
	wire_put(writer, text, strlen(text));
	pfree(text);
	pfree(DatumGetPointer(trimmed));
}

/* Returns how far a last time is from the earliest. */
static inline uint64
wire_distance(const WireForm *form, const RfmEntry *entry)
{
	return (uint64) entry->last - (uint64) form->base;
}

/* Finds the coarsest unit of time and the fewest decimals that do. */
static WireForm
wire_form(const RfmEntry *entries, uint64 n)
{
	WireForm form = {.base = n > 0 ? entries[0].last : 0};
	int unit = 0;
	int decimals = 0;

	for (uint64 i = 1; i < n; i++)
		form.base = Min(form.base, entries[i].last);
	for (uint64 i = 0; i < n; i++)
	{
		while (wire_distance(&form, &entries[i]) % wire_units[unit] != 0)
			unit++;
		while (!(entries[i].flags & RFM_WIDE) &&
			   entries[i].sum % wire_pow10[CORE_MONEY_SCALE - decimals] != 0)
			decimals++;
	}
	form.unit = wire_units[unit];
	form.decimals = decimals;
	form.divisor = wire_pow10[CORE_MONEY_SCALE - decimals];
	return form;
}

/* Writes one customer. */
static void
wire_put_customer(WireWriter *writer, const RfmTable *table,
				  const WireForm *form, const RfmEntry *entry, uint64 step)
{
	bool wide = (entry->flags & RFM_WIDE) != 0;

	wire_put_number(writer, step);
	wire_put_number(writer, wire_distance(form, entry) / form->unit);
	wire_put_number(writer, ((uint64) entry->purchases << 1) | wide);
	if (wide)
		wire_put_decimal(writer, rfm_table_amount(table, entry));
	else
		wire_put_signed(writer, entry->sum / form->divisor);
}

/* Writes the purchases without customer. */
static void
wire_put_nobody(WireWriter *writer, const RfmTable *table)
{
	wire_put_byte(writer, (table->nobody.flags & RFM_USED) != 0);
	if (!(table->nobody.flags & RFM_USED))
		return;
	wire_put_fixed(writer, table->nobody.last);
	wire_put_number(writer, table->nobody.purchases);
	wire_put_decimal(writer, rfm_table_amount(table, &table->nobody));
}

/* Writes all that is known, or counts its bytes. */
static void
wire_put_all(WireWriter *writer, const RfmTable *table,
			 const RfmEntry *entries)
{
	WireForm form = wire_form(entries, table->used);
	int64 before;

	wire_put_byte(writer, WIRE_VERSION);
	wire_put_fixed(writer, table->since);
	wire_put_fixed(writer, table->until);
	wire_put_number(writer, table->undated);
	wire_put_nobody(writer, table);
	wire_put_number(writer, table->used);
	if (table->used == 0)
		return;
	before = entries[0].customer;
	wire_put_fixed(writer, before);
	wire_put_fixed(writer, form.base);
	wire_put_number(writer, form.unit);
	wire_put_byte(writer, form.decimals);
	for (uint64 i = 0; i < table->used; i++)
	{
		CHECK_FOR_INTERRUPTS();
		wire_put_customer(writer, table, &form, &entries[i],
						  (uint64) entries[i].customer - (uint64) before);
		before = entries[i].customer;
	}
}

/*
 * Turns a wide amount that fits a sum into one, so that equal tables have
 * equal bytes.
 */
static void
wire_narrow(const RfmTable *table, RfmEntry *entry)
{
	int64 sum;

	if (!(entry->flags & RFM_WIDE))
		return;
	if (core_numeric_scaled(rfm_table_amount(table, entry), CORE_MONEY_SCALE,
							&sum))
	{
		entry->sum = sum;
		entry->flags &= ~RFM_WIDE;
	}
}

/* Copies the customers of a table and sorts them. */
static RfmEntry *
wire_entries(const RfmTable *table)
{
	uint64 nslots = UINT64CONST(1) << table->bits;
	RfmEntry *entries = palloc_extended(
		mul_size(Max(table->used, 1), sizeof(RfmEntry)), MCXT_ALLOC_HUGE);
	uint64 n = 0;

	for (uint64 i = 0; i < nslots; i++)
		if (table->entries[i].flags & RFM_USED)
		{
			entries[n] = table->entries[i];
			wire_narrow(table, &entries[n++]);
		}
	wire_sort_entries(entries, n);
	return entries;
}

/* Allocates the bytes of a state, which must not be too many. */
static bytea *
wire_allocate(MemoryContext context, Size size)
{
	bytea *bytes;

	if (size > MaxAllocSize - VARHDRSZ)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("rfm_state is too large to be a value"),
				 errdetail("It would take %zu bytes, the limit is %zu.", size,
						   (Size) MaxAllocSize - VARHDRSZ),
				 errhint("Group the customers, say by customer_id %% 10, or "
						 "use rfm_compute(), which needs no value.")));
	bytes = MemoryContextAlloc(context, size + VARHDRSZ);
	SET_VARSIZE(bytes, size + VARHDRSZ);
	return bytes;
}

/* Returns a table as bytes, in a context. */
bytea *
rfm_wire_write(RfmTable *table, MemoryContext context)
{
	MemoryContext work = AllocSetContextCreate(
		CurrentMemoryContext, "iaros rfm_state bytes", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(work);
	WireWriter counter = {0};
	WireWriter writer = {0};
	RfmEntry *entries;
	bytea *bytes;

	rfm_table_flush(table);
	entries = wire_entries(table);
	wire_put_all(&counter, table, entries);
	bytes = wire_allocate(context, counter.size);
	writer.at = VARDATA(bytes);
	wire_put_all(&writer, table, entries);
	Assert(writer.size == counter.size);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
	return bytes;
}

static void wire_error(const char *detail) pg_attribute_noreturn();

/* Raises the error for bytes that are no rfm_state. */
static void
wire_error(const char *detail)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
					errmsg("invalid rfm_state"), errdetail("%s", detail)));
}

/* Steps over some bytes and returns where they are. */
static const char *
wire_get(WireReader *reader, Size size)
{
	const char *at = reader->at;

	if (size > reader->end - reader->at)
		wire_error("It ends too early.");
	reader->at += size;
	return at;
}

/* Reads one byte. */
static uint8
wire_get_byte(WireReader *reader)
{
	return *(const uint8 *) wire_get(reader, 1);
}

/* Reads 8 bytes. */
static int64
wire_get_fixed(WireReader *reader)
{
	uint64 bytes;

	memcpy(&bytes, wire_get(reader, sizeof(bytes)), sizeof(bytes));
	return (int64) pg_ntoh64(bytes);
}

/* Reads a number. */
static uint64
wire_get_number(WireReader *reader)
{
	uint64 value = 0;

	for (int shift = 0; shift < 64; shift += 7)
	{
		uint8 byte = wire_get_byte(reader);

		if (shift == 63 && byte > 1)
			break;
		value |= (uint64) (byte & 0x7F) << shift;
		if (!(byte & 0x80))
			return value;
	}
	wire_error("A number has too many bits.");
}

/* Reads a number that must not exceed a limit. */
static uint64
wire_get_limited(WireReader *reader, uint64 limit, const char *detail)
{
	uint64 value = wire_get_number(reader);

	if (value > limit)
		wire_error(detail);
	return value;
}

/* Reads a signed number. */
static int64
wire_get_signed(WireReader *reader)
{
	uint64 value = wire_get_number(reader);

	return (int64) ((value >> 1) ^ -(value & 1));
}

/* Tells whether a text is a decimal number as numeric prints it. */
static bool
wire_is_decimal(const char *text)
{
	const char *at = text + (*text == '-');
	Size whole = strspn(at, "0123456789");
	Size fraction;

	at += whole;
	if (whole == 0 || *at == '\0')
		return whole > 0;
	fraction = strspn(at + 1, "0123456789");
	return *at == '.' && fraction > 0 && at[1 + fraction] == '\0';
}

/* Reads an amount that is written in characters. */
static Numeric
wire_get_decimal(WireReader *reader)
{
	Size size = wire_get_limited(reader, WIRE_DECIMAL_MAX,
								 "An amount has too many digits.");
	char *text = pnstrdup(wire_get(reader, size), size);
	Numeric amount;

	if (strlen(text) != size || !wire_is_decimal(text))
		wire_error("An amount is no decimal number.");
	amount = DatumGetNumeric(
		DirectFunctionCall3(numeric_in, CStringGetDatum(text),
							ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	pfree(text);
	return amount;
}

/* Reads the purchases without customer. */
static void
wire_get_nobody(WireReader *reader, RfmTable *table)
{
	RfmRow row = {0};
	uint8 any = wire_get_byte(reader);
	Numeric amount;

	if (any > 1)
		wire_error("A flag is neither 0 nor 1.");
	if (any == 0)
		return;
	row.at = wire_get_fixed(reader);
	row.purchases = wire_get_limited(reader, PG_INT32_MAX,
									 "There are too many purchases.");
	if (TIMESTAMP_NOT_FINITE(row.at) || row.at > table->until ||
		(row.at <= table->since && row.purchases > 0))
		wire_error("A time is out of range.");
	amount = wire_get_decimal(reader);
	if (core_numeric_scaled(amount, CORE_MONEY_SCALE, &row.amount))
		rfm_table_add_odd(table, &row, NULL, true);
	else
		rfm_table_add_odd(table, &row, amount, true);
}

/* Reads how the customers are written. */
static WireForm
wire_get_form(WireReader *reader)
{
	WireForm form;

	form.base = wire_get_fixed(reader);
	form.unit = wire_get_limited(reader, USECS_PER_DAY,
								 "The unit of time is out of range.");
	form.decimals = wire_get_byte(reader);
	if (form.unit > 0 && form.decimals <= CORE_MONEY_SCALE)
	{
		form.divisor = wire_pow10[CORE_MONEY_SCALE - form.decimals];
		return form;
	}
	wire_error("The unit of times or amounts is out of range.");
}

/* Reads the last time of a customer. */
static TimestampTz
wire_get_last(WireReader *reader, const WireForm *form, TimestampTz until)
{
	uint64 distance;
	TimestampTz last;

	if (pg_mul_u64_overflow(wire_get_number(reader), form->unit, &distance) ||
		distance > (uint64) PG_INT64_MAX - (uint64) form->base)
		wire_error("A time is out of range.");
	last = (TimestampTz) ((uint64) form->base + distance);
	if (!IS_VALID_TIMESTAMP(last) || last > until)
		wire_error("A time is out of range.");
	return last;
}

/* Reads one customer. */
static void
wire_get_customer(WireReader *reader, RfmTable *table, const WireForm *form,
				  int64 customer)
{
	RfmRow row = {.customer = customer};
	Numeric wide = NULL;
	uint64 purchases;

	row.at = wire_get_last(reader, form, table->until);
	purchases = wire_get_limited(reader, ((uint64) PG_INT32_MAX << 1) | 1,
								 "There are too many purchases.");
	row.purchases = purchases >> 1;
	if (row.at <= table->since && row.purchases > 0)
		wire_error("A time is out of range.");
	if (purchases & 1)
	{
		wide = wire_get_decimal(reader);
		if (core_numeric_scaled(wide, CORE_MONEY_SCALE, &row.amount))
			wire_error("An amount is written longer than it needs.");
	}
	else if (pg_mul_s64_overflow(wire_get_signed(reader), form->divisor,
								 &row.amount))
		wire_error("An amount is out of range.");
	if (wide == NULL)
	{
		rfm_table_add_slow(table, &row);
		return;
	}
	row.amount = 0;
	rfm_table_add_odd(table, &row, wide, false);
	pfree(wide);
}

/* Reads all customers. */
static void
wire_get_customers(WireReader *reader, RfmTable *table)
{
	uint64 n = wire_get_limited(reader,
								(reader->end - reader->at) / WIRE_CUSTOMER_MIN,
								"There are fewer bytes than customers need.");
	WireForm form;
	int64 customer;

	if (n == 0)
		return;
	customer = wire_get_fixed(reader);
	form = wire_get_form(reader);
	for (uint64 i = 0; i < n; i++)
	{
		uint64 step = wire_get_number(reader);

		CHECK_FOR_INTERRUPTS();
		if ((i == 0) != (step == 0) ||
			step > (uint64) PG_INT64_MAX - (uint64) customer)
			wire_error("The customers are out of order.");
		customer = (int64) ((uint64) customer + step);
		wire_get_customer(reader, table, &form, customer);
	}
}

/* Reads bytes into a table; nothing about them is taken for granted. */
RfmTable *
rfm_wire_read(const bytea *bytes, MemoryContext context)
{
	WireReader reader = {.at = VARDATA_ANY(bytes),
						 .end = VARDATA_ANY(bytes) + VARSIZE_ANY_EXHDR(bytes)};
	TimestampTz since;
	TimestampTz until;
	RfmTable *table;

	if (wire_get_byte(&reader) != WIRE_VERSION)
		wire_error("Its version is not known.");
	since = wire_get_fixed(&reader);
	until = wire_get_fixed(&reader);
	if (since >= until)
		wire_error("Its window is empty.");
	table = rfm_table_create(context, since, until, core_salt(), 0);
	table->undated = wire_get_limited(&reader, PG_INT64_MAX,
									  "There are too many purchases.");
	wire_get_nobody(&reader, table);
	wire_get_customers(&reader, table);
	if (reader.at != reader.end)
		wire_error("There are bytes after its end.");
	return table;
}
