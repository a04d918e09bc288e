/*
 * Type rfm_stat: what RFM needs to know of a set of purchases, in a value
 * that can be stored, sent and merged: the first and last time, how many
 * there are, and their exact sum.
 *
 * Text    first/last purchases sum, as in
 *         2025-06-01T00:00:00Z/2025-12-31T00:00:00Z 2 501.5
 *         times in UTC or infinite, "-" for both where none is known.
 * Binary  uint8 version (1), int64 purchases, int64 first, int64 last
 *         (microseconds since 2000), then the sum as numeric is sent.
 */
#include "postgres.h"

#include <ctype.h>
#include <math.h>

#include "common/hashfn.h"
#include "common/int.h"
#include "core/core.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "rfm/rfm.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

/* Version of the binary form. */
#define STAT_WIRE_VERSION 1

/* Integers below this have at most 15 digits, which a float8 keeps. */
#define STAT_FLOAT_EXACT 1e15

/* 10^CORE_MONEY_SCALE, by which the sum is scaled. */
#define STAT_UNIT 10000

/* An exact sum: scaled by STAT_UNIT, or a numeric where that cannot be. */
typedef struct StatSum
{
	int64 scaled;
	Numeric wide; /* NULL: scaled holds */
} StatSum;

/* The contents of an rfm_stat; purchases is 0 while there are none. */
typedef struct StatFields
{
	TimestampTz first; /* DT_NOEND and ... */
	TimestampTz last;  /* ... DT_NOBEGIN when no time is known */
	int64 purchases;
	StatSum sum;
} StatFields;

static const StatFields stat_none = {DT_NOEND, DT_NOBEGIN, 0, {0, NULL}};

/* Is a time known, of the first and hence of the last purchase? */
static inline bool
stat_dated(const StatFields *fields)
{
	return fields->first <= fields->last;
}

/* Is it said that no time is known? */
static inline bool
stat_undated(const StatFields *fields)
{
	return fields->first == DT_NOEND && fields->last == DT_NOBEGIN;
}

/* Is this a time that timestamptz can hold? */
static inline bool
time_possible(TimestampTz at)
{
	return TIMESTAMP_NOT_FINITE(at) || IS_VALID_TIMESTAMP(at);
}

/* Refuses an amount that is not finite. */
static void
check_finite(Numeric amount, int sqlstate)
{
	if (numeric_is_nan(amount) || numeric_is_inf(amount))
		ereport(ERROR,
				(errcode(sqlstate),
				 errmsg("amount \"%s\" is not finite",
						DatumGetCString(DirectFunctionCall1(
							numeric_out, NumericGetDatum(amount)))),
				 errdetail("The sum of purchases is exact, so every amount "
						   "must be a number.")));
}

/* Makes a sum of a numeric, which may have a short header. */
static StatSum
sum_from_numeric(Numeric amount, int sqlstate)
{
	StatSum sum = {0, NULL};

	if (!core_numeric_scaled(amount, CORE_MONEY_SCALE, &sum.scaled))
	{
		amount = DatumGetNumeric(NumericGetDatum(amount));
		check_finite(amount, sqlstate);
		/* Without trailing zeros equal sums have equal bytes. */
		sum.wide = DatumGetNumeric(
			DirectFunctionCall1(numeric_trim_scale, NumericGetDatum(amount)));
	}
	return sum;
}

/* Makes a sum of an integer. */
static StatSum
sum_from_bigint(int64 amount)
{
	StatSum sum = {0, NULL};

	if (pg_mul_s64_overflow(amount, STAT_UNIT, &sum.scaled))
		sum = sum_from_numeric(int64_to_numeric(amount),
							   ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE);
	return sum;
}

/*
 * Makes a sum of a float8, which stands for the decimal of 15 digits that
 * the cast to numeric makes of it.  A decimal of at most 15 digits that reads
 * as this float8 is that one, so most amounts need no printing.
 */
static StatSum
sum_from_float8(float8 amount)
{
	float8 scaled = rint(amount * STAT_UNIT);
	StatSum sum = {0, NULL};

	if (fabs(scaled) < STAT_FLOAT_EXACT && scaled / STAT_UNIT == amount)
		sum.scaled = (int64) scaled;
	else
		sum = sum_from_numeric(DatumGetNumeric(DirectFunctionCall1(
								   float8_numeric, Float8GetDatum(amount))),
							   ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE);
	return sum;
}

/* Turns a sum into a numeric without trailing zeros. */
static Numeric
sum_to_numeric(const StatSum *sum)
{
	if (sum->wide != NULL)
		return sum->wide;
	return DatumGetNumeric(DirectFunctionCall1(
		numeric_trim_scale, NumericGetDatum(int64_div_fast_to_numeric(
								sum->scaled, CORE_MONEY_SCALE))));
}

/* Adds two sums. */
static StatSum
sum_add(const StatSum *a, const StatSum *b)
{
	StatSum sum = {0, NULL};

	if (a->wide == NULL && b->wide == NULL &&
		!pg_add_s64_overflow(a->scaled, b->scaled, &sum.scaled))
		return sum;
	return sum_from_numeric(
		DatumGetNumeric(DirectFunctionCall2(
			numeric_add, NumericGetDatum(sum_to_numeric(a)),
			NumericGetDatum(sum_to_numeric(b)))),
		ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE);
}

/* Compares two sums. */
static int
sum_cmp(const StatSum *a, const StatSum *b)
{
	if (a->wide == NULL && b->wide == NULL)
		return (a->scaled > b->scaled) - (a->scaled < b->scaled);
	return DatumGetInt32(
		DirectFunctionCall2(numeric_cmp, NumericGetDatum(sum_to_numeric(a)),
							NumericGetDatum(sum_to_numeric(b))));
}

/* Reads a value; a wide sum stays where it is. */
static inline void
stat_get(const RfmStat *stat, StatFields *fields)
{
	fields->first = stat->first;
	fields->last = stat->last;
	fields->purchases = stat->purchases;
	fields->sum.wide = stat->wide ? (Numeric) &stat->scaled : NULL;
	fields->sum.scaled = stat->wide ? 0 : stat->scaled;
}

/* Writes a value, into room if there is some and the sum fits. */
static RfmStat *
stat_put(const StatFields *fields, RfmStat *room)
{
	Size size = sizeof(RfmStat);
	RfmStat *stat = room;

	Assert(fields->purchases > 0);
	if (fields->sum.wide != NULL)
		size = RFM_STAT_HEADER_SIZE + VARSIZE(fields->sum.wide);
	if (room == NULL || room->wide || fields->sum.wide != NULL)
	{
		stat = palloc0(size);
		SET_VARSIZE(stat, size);
		stat->version = RFM_STAT_VERSION;
	}
	stat->first = fields->first;
	stat->last = fields->last;
	stat->purchases = fields->purchases;
	stat->wide = fields->sum.wide != NULL;
	if (stat->wide)
		memcpy(&stat->scaled, fields->sum.wide, VARSIZE(fields->sum.wide));
	else
		stat->scaled = fields->sum.scaled;
	return stat;
}

/* Adds other purchases to those of fields. */
static void
stat_add(StatFields *fields, const StatFields *other)
{
	if (pg_add_s64_overflow(fields->purchases, other->purchases,
							&fields->purchases))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("number of purchases is out of range"),
						errdetail("It is at most \"%lld\".",
								  (long long) PG_INT64_MAX)));
	fields->first = Min(fields->first, other->first);
	fields->last = Max(fields->last, other->last);
	fields->sum = sum_add(&fields->sum, &other->sum);
}

/* Order: last time, purchases, sum, then the first time. */
static int
stat_cmp(const RfmStat *a, const RfmStat *b)
{
	StatFields left;
	StatFields right;
	int order;

	stat_get(a, &left);
	stat_get(b, &right);
	if (left.last != right.last)
		return left.last < right.last ? -1 : 1;
	if (left.purchases != right.purchases)
		return left.purchases < right.purchases ? -1 : 1;
	order = sum_cmp(&left.sum, &right.sum);
	if (order != 0)
		return order;
	return (left.first > right.first) - (left.first < right.first);
}

/* Compares the two values of a call, which an index may make. */
static int
stat_cmp_call(FunctionCallInfo fcinfo)
{
	RfmStat *left = PG_GETARG_RFM_STAT_P(0);
	RfmStat *right = PG_GETARG_RFM_STAT_P(1);
	int order = stat_cmp(left, right);

	PG_FREE_IF_COPY(left, 0);
	PG_FREE_IF_COPY(right, 1);
	return order;
}

/* Appends a time in UTC as ISO 8601 has it, years before 1 as 0000, -0001. */
static void
append_time(StringInfo out, TimestampTz at)
{
	struct pg_tm tm;
	fsec_t fraction;

	if (TIMESTAMP_NOT_FINITE(at))
	{
		appendStringInfoString(out, TIMESTAMP_IS_NOBEGIN(at) ? "-infinity"
															 : "infinity");
		return;
	}
	if (timestamp2tm(at, NULL, &tm, &fraction, NULL, NULL) != 0)
		elog(ERROR, "time of purchase out of range");
	appendStringInfo(out, "%s%04d-%02d-%02dT%02d:%02d:%02d",
					 tm.tm_year < 0 ? "-" : "", abs(tm.tm_year), tm.tm_mon,
					 tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	if (fraction != 0)
	{
		appendStringInfo(out, ".%06d", fraction);
		while (out->data[out->len - 1] == '0')
			out->data[--out->len] = '\0';
	}
	appendStringInfoChar(out, 'Z');
}

/* Appends the first and the last time, "-" when none is known. */
static void
append_times(StringInfo out, const StatFields *fields)
{
	if (!stat_dated(fields))
	{
		appendStringInfoChar(out, '-');
		return;
	}
	append_time(out, fields->first);
	appendStringInfoChar(out, '/');
	append_time(out, fields->last);
}

/* Refuses a first time after the last one. */
static Datum
stat_disordered(const StatFields *fields, int sqlstate, Node *escontext)
{
	StringInfoData times;

	initStringInfo(&times);
	append_time(&times, fields->first);
	appendStringInfoString(&times, "\", the last is at \"");
	append_time(&times, fields->last);
	ereturn(escontext, (Datum) 0,
			(errcode(sqlstate), errmsg("first purchase is after the last one"),
			 errdetail("The first is at \"%s\".", times.data)));
}

/*
 * Checks what came from outside and makes a value of it. Every way into the
 * type but those that add to a value ends here.
 */
static Datum
stat_checked(const StatFields *fields, bool dated, int sqlstate,
			 Node *escontext)
{
	if (fields->purchases <= 0)
		ereturn(escontext, (Datum) 0,
				(errcode(sqlstate),
				 errmsg("number of purchases \"%lld\" is out of range",
						(long long) fields->purchases),
				 errdetail("It is at least \"1\".")));
	if (!time_possible(fields->first) || !time_possible(fields->last))
		ereturn(escontext, (Datum) 0,
				(errcode(sqlstate),
				 errmsg("time of purchase \"%lld\" is out of range",
						(long long) (time_possible(fields->first)
										 ? fields->last
										 : fields->first)),
				 errdetail("It is in microseconds since 2000-01-01.")));
	if (dated && fields->first > fields->last)
		return stat_disordered(fields, sqlstate, escontext);
	return RfmStatPGetDatum(stat_put(fields, NULL));
}

/* Steps over a piece of text; false if it is not there. */
static bool
scan_text(const char **at, const char *text)
{
	Size length = strlen(text);

	if (strncmp(*at, text, length) != 0)
		return false;
	*at += length;
	return true;
}

/* Reads a number of min to max digits, at most 18. */
static bool
scan_digits(const char **at, int min, int max, int64 *number)
{
	int digits = 0;

	*number = 0;
	while (digits < max && isdigit((unsigned char) **at))
	{
		*number = *number * 10 + (**at - '0');
		(*at)++;
		digits++;
	}
	return digits >= min;
}

/* Reads two digits, from low to high, for a part of a time. */
static bool
scan_part(const char **at, int low, int high, int *part)
{
	int64 number;

	if (!scan_digits(at, 2, 2, &number))
		return false;
	*part = (int) number;
	return number >= low && number <= high;
}

/* Reads the fraction of a second, if there is one, as microseconds. */
static bool
scan_fraction(const char **at, fsec_t *fraction)
{
	const char *start;
	int64 number = 0;

	*fraction = 0;
	if (!scan_text(at, "."))
		return true;
	start = *at;
	if (!scan_digits(at, 1, 6, &number))
		return false;
	for (int digits = (int) (*at - start); digits < 6; digits++)
		number *= 10;
	*fraction = (fsec_t) number;
	return true;
}

/* Reads a time as append_time() writes it. */
static bool
scan_time(const char **at, TimestampTz *time)
{
	struct pg_tm tm = {0};
	fsec_t fraction;
	int64 year;
	int zone = 0;
	bool negative;

	*time = **at == '-' ? DT_NOBEGIN : DT_NOEND;
	negative = scan_text(at, "-");
	if (scan_text(at, "infinity"))
		return true;
	if (!scan_digits(at, 4, 6, &year) || !scan_text(at, "-") ||
		!scan_part(at, 1, MONTHS_PER_YEAR, &tm.tm_mon) ||
		!scan_text(at, "-") || !scan_part(at, 1, 31, &tm.tm_mday) ||
		!scan_text(at, "T") ||
		!scan_part(at, 0, HOURS_PER_DAY - 1, &tm.tm_hour) ||
		!scan_text(at, ":") ||
		!scan_part(at, 0, MINS_PER_HOUR - 1, &tm.tm_min) ||
		!scan_text(at, ":") ||
		!scan_part(at, 0, SECS_PER_MINUTE - 1, &tm.tm_sec) ||
		!scan_fraction(at, &fraction) || !scan_text(at, "Z"))
		return false;
	tm.tm_year = (int) (negative ? -year : year);
	return tm.tm_mday <= day_tab[isleap(tm.tm_year)][tm.tm_mon - 1] &&
		   tm2timestamp(&tm, fraction, &zone, time) == 0;
}

/* Reads a plain decimal, the rest of the text, as a sum. */
static bool
scan_sum(const char **at, StatSum *sum)
{
	const char *start = *at;
	const char *digits;

	if (**at == '-')
		(*at)++;
	digits = *at;
	*at += strspn(*at, "0123456789");
	if (*at == digits)
		return false;
	if (scan_text(at, "."))
	{
		digits = *at;
		*at += strspn(*at, "0123456789");
		if (*at == digits)
			return false;
	}
	if (**at != '\0')
		return false;
	*sum =
		sum_from_numeric(DatumGetNumeric(DirectFunctionCall3(
							 numeric_in, CStringGetDatum(start),
							 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1))),
						 ERRCODE_INVALID_TEXT_REPRESENTATION);
	return true;
}

/* Reads the text form. */
static bool
scan_stat(const char *at, StatFields *fields, bool *dated)
{
	*dated = strncmp(at, "- ", 2) != 0;
	if (!*dated)
		at++;
	else if (!scan_time(&at, &fields->first) || !scan_text(&at, "/") ||
			 !scan_time(&at, &fields->last))
		return false;
	if (!scan_text(&at, " "))
		return false;
	if (!scan_digits(&at, 1, 18, &fields->purchases))
		return false;
	if (isdigit((unsigned char) *at) &&
		(pg_mul_s64_overflow(fields->purchases, 10, &fields->purchases) ||
		 pg_add_s64_overflow(fields->purchases, *at++ - '0',
							 &fields->purchases)))
		return false;
	return scan_text(&at, " ") && scan_sum(&at, &fields->sum);
}

PG_FUNCTION_INFO_V1(rfm_stat_in);
/* Reads the text form. */
PGDLLEXPORT Datum
rfm_stat_in(PG_FUNCTION_ARGS)
{
	const char *input = PG_GETARG_CSTRING(0);
	StatFields fields = stat_none;
	bool dated;

	if (!scan_stat(input, &fields, &dated))
		ereturn(fcinfo->context, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type rfm_stat: \"%s\"",
						rfm_quote(input)),
				 errdetail("It is first/last purchases sum, times in UTC."),
				 errhint("Write it like 2025-06-01T00:00:00Z/"
						 "2025-12-31T00:00:00Z 2 501.5.")));
	return stat_checked(&fields, dated, ERRCODE_INVALID_TEXT_REPRESENTATION,
						fcinfo->context);
}

PG_FUNCTION_INFO_V1(rfm_stat_out);
/* Writes the text form. */
PGDLLEXPORT Datum
rfm_stat_out(PG_FUNCTION_ARGS)
{
	StatFields fields;
	StringInfoData out;

	stat_get(PG_GETARG_RFM_STAT_P(0), &fields);
	initStringInfo(&out);
	append_times(&out, &fields);
	appendStringInfo(
		&out, " " INT64_FORMAT " %s", fields.purchases,
		DatumGetCString(DirectFunctionCall1(
			numeric_out, NumericGetDatum(sum_to_numeric(&fields.sum)))));
	PG_RETURN_CSTRING(out.data);
}

PG_FUNCTION_INFO_V1(rfm_stat_recv);
/* Reads the binary form. */
PGDLLEXPORT Datum
rfm_stat_recv(PG_FUNCTION_ARGS)
{
	StringInfo message = (StringInfo) PG_GETARG_POINTER(0);
	int version = pq_getmsgbyte(message);
	StatFields fields;

	if (version != STAT_WIRE_VERSION)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("unsupported version \"%d\" of rfm_stat", version),
			 errdetail("This server reads version %d.", STAT_WIRE_VERSION)));
	fields.purchases = pq_getmsgint64(message);
	fields.first = pq_getmsgint64(message);
	fields.last = pq_getmsgint64(message);
	fields.sum =
		sum_from_numeric(DatumGetNumeric(DirectFunctionCall3(
							 numeric_recv, PointerGetDatum(message),
							 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1))),
						 ERRCODE_INVALID_BINARY_REPRESENTATION);
	pq_getmsgend(message);
	return stat_checked(&fields, !stat_undated(&fields),
						ERRCODE_INVALID_BINARY_REPRESENTATION, NULL);
}

PG_FUNCTION_INFO_V1(rfm_stat_send);
/* Writes the binary form. */
PGDLLEXPORT Datum
rfm_stat_send(PG_FUNCTION_ARGS)
{
	StatFields fields;
	StringInfoData message;
	bytea *sum;

	stat_get(PG_GETARG_RFM_STAT_P(0), &fields);
	sum = DatumGetByteaPP(DirectFunctionCall1(
		numeric_send, NumericGetDatum(sum_to_numeric(&fields.sum))));
	pq_begintypsend(&message);
	pq_sendbyte(&message, STAT_WIRE_VERSION);
	pq_sendint64(&message, fields.purchases);
	pq_sendint64(&message, fields.first);
	pq_sendint64(&message, fields.last);
	pq_sendbytes(&message, VARDATA_ANY(sum), VARSIZE_ANY_EXHDR(sum));
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

PG_FUNCTION_INFO_V1(rfm_stat_make);
/* Makes a value of its parts; no purchases give NULL. */
PGDLLEXPORT Datum
rfm_stat_make(PG_FUNCTION_ARGS)
{
	StatFields fields = stat_none;

	if (PG_ARGISNULL(2) || PG_GETARG_INT64(2) == 0)
		PG_RETURN_NULL();
	if (PG_ARGISNULL(0) != PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("only one of first and last is NULL"),
						errhint("Pass both times, or NULL for both when the "
								"purchases have no time.")));
	if (!PG_ARGISNULL(0))
	{
		fields.first = PG_GETARG_TIMESTAMPTZ(0);
		fields.last = PG_GETARG_TIMESTAMPTZ(1);
	}
	fields.purchases = PG_GETARG_INT64(2);
	if (!PG_ARGISNULL(3))
		fields.sum = sum_from_numeric((Numeric) PG_GETARG_VARLENA_PP(3),
									  ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE);
	return stat_checked(&fields, !PG_ARGISNULL(0),
						ERRCODE_INVALID_PARAMETER_VALUE, NULL);
}

/*
 * Adds a purchase to the state of a call: a transition function.  A row that
 * has neither time nor amount, as an outer join makes it, is no purchase.
 */
static Datum
stat_accumulate(FunctionCallInfo fcinfo, const StatSum *amount)
{
	StatFields purchase = stat_none;
	StatFields fields = stat_none;
	RfmStat *room = NULL;

	if (!PG_ARGISNULL(0))
	{
		RfmStat *state = PG_GETARG_RFM_STAT_P(0);

		stat_get(state, &fields);
		/* Only the state of an aggregate is ours to write to. */
		if (AggCheckCallContext(fcinfo, NULL))
			room = state;
	}
	if (PG_ARGISNULL(1) && PG_ARGISNULL(2))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	purchase.purchases = 1;
	if (!PG_ARGISNULL(1))
		purchase.first = purchase.last = PG_GETARG_TIMESTAMPTZ(1);
	if (amount != NULL)
		purchase.sum = *amount;
	stat_add(&fields, &purchase);
	PG_RETURN_RFM_STAT_P(stat_put(&fields, room));
}

PG_FUNCTION_INFO_V1(rfm_stat_accum_numeric);
/* Adds a purchase whose amount is a numeric. */
PGDLLEXPORT Datum
rfm_stat_accum_numeric(PG_FUNCTION_ARGS)
{
	StatSum amount;

	if (PG_ARGISNULL(2))
		return stat_accumulate(fcinfo, NULL);
	amount = sum_from_numeric((Numeric) PG_GETARG_VARLENA_PP(2),
							  ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE);
	return stat_accumulate(fcinfo, &amount);
}

PG_FUNCTION_INFO_V1(rfm_stat_accum_float8);
/* Adds a purchase whose amount is a float8. */
PGDLLEXPORT Datum
rfm_stat_accum_float8(PG_FUNCTION_ARGS)
{
	StatSum amount;

	if (PG_ARGISNULL(2))
		return stat_accumulate(fcinfo, NULL);
	amount = sum_from_float8(PG_GETARG_FLOAT8(2));
	return stat_accumulate(fcinfo, &amount);
}

PG_FUNCTION_INFO_V1(rfm_stat_accum_bigint);
/* Adds a purchase whose amount is an integer. */
PGDLLEXPORT Datum
rfm_stat_accum_bigint(PG_FUNCTION_ARGS)
{
	StatSum amount;

	if (PG_ARGISNULL(2))
		return stat_accumulate(fcinfo, NULL);
	amount = sum_from_bigint(PG_GETARG_INT64(2));
	return stat_accumulate(fcinfo, &amount);
}

PG_FUNCTION_INFO_V1(rfm_stat_add);
/* Merges two values; NULL stands for no purchases. */
PGDLLEXPORT Datum
rfm_stat_add(PG_FUNCTION_ARGS)
{
	StatFields fields;
	StatFields other;
	RfmStat *left;

	if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(1))
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	if (PG_ARGISNULL(0))
		PG_RETURN_RFM_STAT_P(PG_GETARG_RFM_STAT_P(1));
	left = PG_GETARG_RFM_STAT_P(0);
	stat_get(left, &fields);
	stat_get(PG_GETARG_RFM_STAT_P(1), &other);
	stat_add(&fields, &other);
	PG_RETURN_RFM_STAT_P(
		stat_put(&fields, AggCheckCallContext(fcinfo, NULL) ? left : NULL));
}

PG_FUNCTION_INFO_V1(rfm_stat_first);
/* Tells the time of the first purchase. */
PGDLLEXPORT Datum
rfm_stat_first(PG_FUNCTION_ARGS)
{
	StatFields fields;

	stat_get(PG_GETARG_RFM_STAT_P(0), &fields);
	if (!stat_dated(&fields))
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(fields.first);
}

PG_FUNCTION_INFO_V1(rfm_stat_last);
/* Tells the time of the last purchase. */
PGDLLEXPORT Datum
rfm_stat_last(PG_FUNCTION_ARGS)
{
	StatFields fields;

	stat_get(PG_GETARG_RFM_STAT_P(0), &fields);
	if (!stat_dated(&fields))
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(fields.last);
}

PG_FUNCTION_INFO_V1(rfm_stat_frequency);
/* Tells the number of purchases. */
PGDLLEXPORT Datum
rfm_stat_frequency(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(PG_GETARG_RFM_STAT_P(0)->purchases);
}

PG_FUNCTION_INFO_V1(rfm_stat_monetary);
/* Tells the sum of the amounts. */
PGDLLEXPORT Datum
rfm_stat_monetary(PG_FUNCTION_ARGS)
{
	StatFields fields;

	stat_get(PG_GETARG_RFM_STAT_P(0), &fields);
	PG_RETURN_NUMERIC(sum_to_numeric(&fields.sum));
}

PG_FUNCTION_INFO_V1(rfm_stat_eq);
/* Are the values equal? */
PGDLLEXPORT Datum
rfm_stat_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(stat_cmp_call(fcinfo) == 0);
}

PG_FUNCTION_INFO_V1(rfm_stat_ne);
/* Do the values differ? */
PGDLLEXPORT Datum
rfm_stat_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(stat_cmp_call(fcinfo) != 0);
}

PG_FUNCTION_INFO_V1(rfm_stat_lt);
/* Does the first value come before the second? */
PGDLLEXPORT Datum
rfm_stat_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(stat_cmp_call(fcinfo) < 0);
}

PG_FUNCTION_INFO_V1(rfm_stat_le);
/* Does the first value come before the second, or are they equal? */
PGDLLEXPORT Datum
rfm_stat_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(stat_cmp_call(fcinfo) <= 0);
}

PG_FUNCTION_INFO_V1(rfm_stat_gt);
/* Does the first value come after the second? */
PGDLLEXPORT Datum
rfm_stat_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(stat_cmp_call(fcinfo) > 0);
}

PG_FUNCTION_INFO_V1(rfm_stat_ge);
/* Does the first value come after the second, or are they equal? */
PGDLLEXPORT Datum
rfm_stat_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(stat_cmp_call(fcinfo) >= 0);
}

PG_FUNCTION_INFO_V1(rfm_stat_cmp);
/* Compares two values for a btree. */
PGDLLEXPORT Datum
rfm_stat_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(stat_cmp_call(fcinfo));
}

/* Hashes a value from its first time on: equal values have equal bytes. */
static uint64
stat_hash(const RfmStat *stat, uint64 seed)
{
	const unsigned char *start = (const unsigned char *) &stat->first;

	return DatumGetUInt64(hash_any_extended(
		start, VARSIZE(stat) - offsetof(RfmStat, first), seed));
}

PG_FUNCTION_INFO_V1(rfm_stat_hash);
/* Hashes a value to 32 bits. */
PGDLLEXPORT Datum
rfm_stat_hash(PG_FUNCTION_ARGS)
{
	RfmStat *stat = PG_GETARG_RFM_STAT_P(0);
	uint64 hash = stat_hash(stat, 0);

	PG_FREE_IF_COPY(stat, 0);
	PG_RETURN_INT32((int32) hash);
}

PG_FUNCTION_INFO_V1(rfm_stat_hash_extended);
/* Hashes a value to 64 bits with a seed. */
PGDLLEXPORT Datum
rfm_stat_hash_extended(PG_FUNCTION_ARGS)
{
	RfmStat *stat = PG_GETARG_RFM_STAT_P(0);
	uint64 hash = stat_hash(stat, PG_GETARG_INT64(1));

	PG_FREE_IF_COPY(stat, 0);
	PG_RETURN_INT64((int64) hash);
}
