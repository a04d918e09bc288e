/*
 * Time in a zone: local time and calendar days of moments, and the moments
 * of local times.
 */
#include "postgres.h"

#include "segment/program.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

/* Days of which the offsets are remembered. */
#define ZONE_DAYS 1024

/* From the epoch of Unix to that of PostgreSQL. */
#define ZONE_EPOCH                                                            \
	((pg_time_t) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY)

/* The offset of a day of UTC, and the one after a turn of the clock. */
typedef struct ZoneDay
{
	int64 day;
	TimestampTz turn; /* DT_NOEND when there is none on that day */
	int64 before;     /* microseconds east of UTC */
	int64 after;
	bool odd; /* the clock turns more than once */
} ZoneDay;

struct SegmentZone
{
	pg_tz *zone;
	bool fixed; /* one offset at all times */
	int64 offset;
	ZoneDay days[ZONE_DAYS]; /* by the lower bits of the day */
};

/* Returns the zone of that name. */
pg_tz *
segment_zone(const char *name)
{
	pg_tz *zone = pg_tzset(name);

	if (zone == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%s\" does not exist", name),
				 errhint("View pg_timezone_names lists those there are.")));
	return zone;
}

/* Raises the error for a time that has no place in the calendar. */
static void
time_error_range(void)
{
	ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
					errmsg("timestamp out of range")));
}

/* Returns the local time of a moment. */
Timestamp
segment_time_local(TimestampTz at, pg_tz *zone)
{
	struct pg_tm tm;
	fsec_t fsec;
	int west;

	if (TIMESTAMP_NOT_FINITE(at))
		return at;
	if (timestamp2tm(at, &west, &tm, &fsec, NULL, zone) != 0)
		time_error_range();
	return at - (int64) west * USECS_PER_SEC;
}

/* Returns the moment of a local time, as AT TIME ZONE does. */
TimestampTz
segment_time_utc(Timestamp local, pg_tz *zone)
{
	struct pg_tm tm;
	fsec_t fsec;

	if (TIMESTAMP_NOT_FINITE(local))
		return local;
	if (timestamp2tm(local, NULL, &tm, &fsec, NULL, NULL) != 0)
		time_error_range();
	return local + (int64) DetermineTimeZoneOffset(&tm, zone) * USECS_PER_SEC;
}

/* Returns the day of a local time, from 2000-01-01. */
int64
segment_time_floor(Timestamp at)
{
	int64 day = at / USECS_PER_DAY;

	return at % USECS_PER_DAY < 0 ? day - 1 : day;
}

/*
 * Returns 32 * month + day of a day counted from 2000-01-01. Years begin in
 * March here, so that the odd day is the last.
 */
int
segment_time_calendar(int64 day)
{
	/* Days from 0000-03-01; an era is 400 years. */
	int64 shifted = day + 730425;
	int64 era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
	uint32 of_era = (uint32) (shifted - era * 146097);
	uint32 year =
		(of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint32 of_year = of_era - (365 * year + year / 4 - year / 100);
	uint32 month = (5 * of_year + 2) / 153;
	uint32 of_month = of_year - (153 * month + 2) / 5 + 1;

	return 32 * (month < 10 ? month + 3 : month - 9) + of_month;
}

/* Returns the moment of a question. */
SegmentTime
segment_time(TimestampTz as_of, pg_tz *zone)
{
	SegmentTime time = {.as_of = as_of, .zone = zone};

	if (TIMESTAMP_NOT_FINITE(as_of))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("as_of is \"%s\"",
						TIMESTAMP_IS_NOEND(as_of) ? "infinity" : "-infinity"),
				 errdetail("It must be finite.")));
	time.day = (DateADT) segment_time_floor(segment_time_local(as_of, zone));
	return time;
}

/* Makes an empty cache of the offsets of a zone. */
SegmentZone *
segment_zone_create(MemoryContext context, pg_tz *zone)
{
	SegmentZone *cache = MemoryContextAlloc(context, sizeof(SegmentZone));
	long offset = 0;

	cache->zone = zone;
	cache->fixed = pg_get_timezone_offset(zone, &offset);
	cache->offset = (int64) offset * USECS_PER_SEC;
	for (int i = 0; i < ZONE_DAYS; i++)
		cache->days[i].day = PG_INT64_MIN;
	return cache;
}

/* Finds the offsets of a day. */
static void
zone_fill(const SegmentZone *cache, ZoneDay *entry, int64 day)
{
	pg_time_t start = (pg_time_t) day * SECS_PER_DAY + ZONE_EPOCH;
	pg_time_t turn;
	pg_time_t next;
	long before;
	long after;
	int dst;

	entry->day = day;
	entry->turn = DT_NOEND;
	entry->odd = false;
	switch (pg_next_dst_boundary(&start, &before, &dst, &turn, &after, &dst,
								 cache->zone))
	{
		case 0:
			break;
		case 1:
			if (turn >= start + SECS_PER_DAY)
				break;
			entry->turn = (turn - ZONE_EPOCH) * USECS_PER_SEC;
			entry->after = (int64) after * USECS_PER_SEC;
			entry->odd =
				pg_next_dst_boundary(&turn, &after, &dst, &next, &after, &dst,
									 cache->zone) == 1 &&
				next < start + SECS_PER_DAY;
			break;
		default:
			entry->odd = true;
			before = 0;
	}
	entry->before = (int64) before * USECS_PER_SEC;
}

/* Returns the local time of a finite moment; fast for many. */
Timestamp
segment_zone_local(SegmentZone *cache, TimestampTz at)
{
	int64 day;
	ZoneDay *entry;

	if (cache->fixed)
		return at + cache->offset;
	day = segment_time_floor(at);
	entry = &cache->days[(uint64) day % ZONE_DAYS];
	if (unlikely(entry->day != day))
		zone_fill(cache, entry, day);
	if (unlikely(entry->odd))
		return segment_time_local(at, cache->zone);
	return at + (at < entry->turn ? entry->before : entry->after);
}
