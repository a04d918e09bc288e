/* Schemes: their terms, read once a computation, and days in their zone. */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/core.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "rfm/score.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Columns of rfm_terms(), in its order. */
enum
{
	TERM_SCHEME = 1,
	TERM_KIND,
	TERM_LEVELS,
	TERM_TIES,
	TERM_LAPSED,
	TERM_SINCE,
	TERM_UNTIL,
	TERM_ZONE,
	TERM_RECENCY,
	TERM_FREQUENCY,
	TERM_MONETARY,
	TERM_SEGMENTS
};

/* A span of time in which the zone has one distance from UTC. */
typedef struct ZoneSpan
{
	TimestampTz until; /* excluded */
	int64 offset;      /* in microseconds */
} ZoneSpan;

typedef struct ZoneSpans
{
	ZoneSpan *spans;
	int n;
	int size;
} ZoneSpans;

/* Returns a column of the one row of terms, which must not be NULL. */
static Datum
term_get(int column)
{
	bool isnull;
	Datum value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
								column, &isnull);

	if (isnull)
		elog(ERROR, "column %d of rfm_terms() is NULL", column);
	return value;
}

/* Returns a text column of the terms. */
static char *
term_text(int column)
{
	return TextDatumGetCString(term_get(column));
}

/* Returns the elements of an array column of the terms, NULL for NULL. */
static Datum *
term_array(int column, Oid type, int n, bool nullable)
{
	bool isnull;
	Datum value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
								column, &isnull);
	Datum *elements;
	bool *nulls;
	int count;
	int16 length = type == INT4OID ? sizeof(int32) : -1;

	if (isnull)
		return NULL;
	deconstruct_array(DatumGetArrayTypePCopy(value), type, length,
					  type == INT4OID, TYPALIGN_INT, &elements, &nulls,
					  &count);
	if (count != n)
		elog(ERROR, "column %d of rfm_terms() has %d elements, not %d", column,
			 count, n);
	for (int i = 0; i < n; i++)
	{
		if (!nulls[i])
			continue;
		if (!nullable)
			elog(ERROR, "column %d of rfm_terms() has a NULL", column);
		elements[i] = (Datum) 0;
	}
	return elements;
}

/* Returns the kind of a scheme by its name. */
static RfmKind
term_kind(void)
{
	char *kind = term_text(TERM_KIND);

	if (strcmp(kind, "threshold") == 0)
		return RFM_THRESHOLD;
	return strcmp(kind, "ntile") == 0 ? RFM_NTILE : RFM_QUANTILE;
}

/* Copies the bounds of recency. */
static int32 *
term_recency(int n)
{
	Datum *elements = term_array(TERM_RECENCY, INT4OID, n, false);
	int32 *bounds;

	if (elements == NULL)
		return NULL;
	bounds = palloc(n * sizeof(int32));
	for (int i = 0; i < n; i++)
		bounds[i] = DatumGetInt32(elements[i]);
	return bounds;
}

/* Returns the time zone of that name. */
pg_tz *
rfm_zone(const char *name)
{
	pg_tz *zone = pg_tzset(name);

	if (zone == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("time zone \"%s\" does not exist", name),
						errhint("Correct setting brand_time_zone.")));
	return zone;
}

/* Fills a scheme from the row of terms that SPI holds. */
static void
scheme_fill(RfmScheme *scheme)
{
	int levels = DatumGetInt32(term_get(TERM_LEVELS));

	scheme->name = term_text(TERM_SCHEME);
	scheme->kind = term_kind();
	scheme->levels = levels;
	scheme->ties_high = strcmp(term_text(TERM_TIES), "high") == 0;
	scheme->lapsed = DatumGetBool(term_get(TERM_LAPSED));
	scheme->since = DatumGetTimestampTz(term_get(TERM_SINCE));
	scheme->until = DatumGetTimestampTz(term_get(TERM_UNTIL));
	scheme->zone = rfm_zone(term_text(TERM_ZONE));
	scheme->recency_bounds = term_recency(levels - 1);
	scheme->frequency_bounds =
		(Numeric *) term_array(TERM_FREQUENCY, NUMERICOID, levels - 1, false);
	scheme->monetary_bounds =
		(Numeric *) term_array(TERM_MONETARY, NUMERICOID, levels - 1, false);
	scheme->segments =
		term_array(TERM_SEGMENTS, TEXTOID, levels * levels * levels, true);
}

/*
 * Reads a scheme by rfm_terms(scheme, as_of, period, currency), in the
 * current memory context.
 */
RfmScheme *
rfm_scheme_load(const NullableDatum *terms)
{
	Oid types[4] = {TEXTOID, TIMESTAMPTZOID, INTERVALOID, TEXTOID};
	Datum args[4];
	char nulls[4];
	RfmScheme *scheme = palloc0(sizeof(RfmScheme));
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext spi;

	core_require_install();
	for (int i = 0; i < 4; i++)
	{
		args[i] = terms[i].value;
		nulls[i] = terms[i].isnull ? 'n' : ' ';
	}
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args("SELECT * FROM iaros.rfm_terms($1, $2, $3, $4)",
							  4, types, args, nulls, true,
							  0) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not read the terms of an RFM scheme");
	spi = MemoryContextSwitchTo(caller);
	scheme_fill(scheme);
	MemoryContextSwitchTo(spi);
	SPI_finish();
	return scheme;
}

/* Adds a span at the end. */
static void
zone_append(ZoneSpans *spans, TimestampTz until, long offset)
{
	if (spans->n == spans->size)
	{
		spans->size = Max(16, 2 * spans->size);
		spans->spans =
			spans->spans == NULL
				? palloc(spans->size * sizeof(ZoneSpan))
				: repalloc(spans->spans, spans->size * sizeof(ZoneSpan));
	}
	spans->spans[spans->n++] =
		(ZoneSpan){.until = until, .offset = (int64) offset * USECS_PER_SEC};
}

/* Lists the spans of a zone that touch the time from first to last. */
static ZoneSpans
zone_spans(const pg_tz *zone, TimestampTz first, TimestampTz last)
{
	ZoneSpans spans = {0};
	pg_time_t at = timestamptz_to_time_t(first) - 1;
	pg_time_t end = timestamptz_to_time_t(last) + 1;

	for (;;)
	{
		long offset;
		long offset_after;
		int dst;
		int dst_after;
		pg_time_t boundary;
		int found = pg_next_dst_boundary(&at, &offset, &dst, &boundary,
										 &offset_after, &dst_after, zone);

		if (found < 0)
			elog(ERROR, "could not read time zone \"%s\"",
				 pg_get_timezone_name((pg_tz *) zone));
		if (found == 0 || boundary > end)
		{
			zone_append(&spans, DT_NOEND, offset);
			return spans;
		}
		zone_append(&spans, time_t_to_timestamptz(boundary), offset);
		/* At the last boundary it knows, the library sees no next one. */
		at = boundary + 1;
	}
}

/* Returns the number of the calendar day of a time in the zone. */
static inline int64
zone_day(const ZoneSpans *spans, TimestampTz at)
{
	int64 local;
	int64 day;
	int low = 0;
	int high = spans->n - 1;

	while (low < high)
	{
		int middle = (low + high) / 2;

		if (at < spans->spans[middle].until)
			high = middle;
		else
			low = middle + 1;
	}
	local = at + spans->spans[low].offset;
	day = local / USECS_PER_DAY;
	return local % USECS_PER_DAY < 0 ? day - 1 : day;
}

/* Returns the days from each customer's last purchase to the scheme's time. */
int32 *
rfm_days(const RfmScheme *scheme, const RfmEntry *entries, uint64 n)
{
	int32 *days = palloc_extended(n * sizeof(int32), MCXT_ALLOC_HUGE);
	TimestampTz first = scheme->until;
	ZoneSpans spans;
	int64 today;

	for (uint64 i = 0; i < n; i++)
		first = Min(first, entries[i].last);
	spans = zone_spans(scheme->zone, first, scheme->until);
	today = zone_day(&spans, scheme->until);
	for (uint64 i = 0; i < n; i++)
		days[i] = today - zone_day(&spans, entries[i].last);
	pfree(spans.spans);
	return days;
}
