/* What a route and a departure say of a booking. */
#include "postgres.h"

#include "airport.h"
#include "core/core.h"
#include "pgtime.h"
#include "profile/profile.h"
#include "utils/timestamp.h"

/* Bands of EUROCONTROL, as haul(). */
#define FACT_SHORT_KM 1500
#define FACT_MEDIUM_KM 4000

/* Days of struct pg_tm. */
#define FACT_SUNDAY 0
#define FACT_SATURDAY 6

/* Months of struct pg_tm. */
#define FACT_MARCH 2
#define FACT_OCTOBER 9

#define FACT_LAST_DAY 31

/* Tells how far a route reaches, as route_kind(). */
static uint8
fact_reach(const Airport *from, const Airport *to)
{
	if (from->country == to->country)
		return PROFILE_DOMESTIC;
	return from->region == to->region ? PROFILE_INTERNATIONAL
									  : PROFILE_INTERCONTINENTAL;
}

/* Tells how long a flight is, as haul(). */
static uint8
fact_haul(const Airport *from, const Airport *to)
{
	float8 km = airport_distance_km(from, to);

	if (km < FACT_SHORT_KM)
		return PROFILE_SHORT;
	return km <= FACT_MEDIUM_KM ? PROFILE_MEDIUM : PROFILE_LONG;
}

/* Is a day on or after the last Sunday of its month, which has 31 days? */
static bool
fact_from_last_sunday(const struct pg_tm *day)
{
	int to_sunday = (FACT_SUNDAY - day->tm_wday + 7) % 7;

	/* Past it when the next Sunday, or this one, is of the next month. */
	if (day->tm_wday == FACT_SUNDAY)
		return day->tm_mday + 7 > FACT_LAST_DAY;
	return day->tm_mday + to_sunday > FACT_LAST_DAY;
}

/*
 * Season of timetables: summer from the last Sunday of March until the day
 * before the last Sunday of October (IATA, Worldwide Airport Slot
 * Guidelines), the rest winter.
 */
static uint8
fact_season(const struct pg_tm *day)
{
	bool summer = day->tm_mon > FACT_MARCH && day->tm_mon < FACT_OCTOBER;

	if (day->tm_mon == FACT_MARCH)
		summer = fact_from_last_sunday(day);
	else if (day->tm_mon == FACT_OCTOBER)
		summer = !fact_from_last_sunday(day);
	return summer ? PROFILE_SUMMER : PROFILE_WINTER;
}

/* Returns the time zone of bookings without airport. */
static pg_tz *
fact_brand_zone(void)
{
	const char *name = core_setting("brand_time_zone");
	pg_tz *zone = name == NULL ? NULL : pg_tzset(name);

	return zone == NULL ? pg_tzset("UTC") : zone;
}

/* Fills in weekday and season of the departure, in local time. */
static void
fact_departure(ProfileBooking *booking, const Airport *from)
{
	int64 part = booking->departure % USECS_PER_SEC;
	pg_time_t at = timestamptz_to_time_t(
		booking->departure - (part < 0 ? part + USECS_PER_SEC : part));
	pg_tz *zone =
		from != NULL && from->zone != NULL ? from->zone : fact_brand_zone();
	struct pg_tm *day = pg_localtime(&at, zone);

	if (day == NULL)
		return;
	booking->weekday =
		day->tm_wday == FACT_SATURDAY || day->tm_wday == FACT_SUNDAY
			? PROFILE_WEEKEND
			: PROFILE_WEEKDAY;
	booking->season = fact_season(day);
}

/* Fills in what is known of the route and the departure of a booking. */
void
profile_facts(ProfileBooking *booking)
{
	const Airport *from = NULL;
	const Airport *to = NULL;
	Airport origin;

	if (booking->origin != 0)
	{
		from = airport_find(booking->origin);
		/* Copied, since the next look-up may read all airports anew. */
		if (from != NULL)
		{
			origin = *from;
			from = &origin;
		}
		to = airport_find(booking->destination);
	}
	if (from != NULL && to != NULL)
	{
		booking->reach = fact_reach(from, to);
		booking->haul = fact_haul(from, to);
	}
	if (to != NULL)
		booking->region = to->region;
	if (booking->departure != PROFILE_NO_DEPARTURE)
		fact_departure(booking, from);
}
