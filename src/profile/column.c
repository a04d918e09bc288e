/*
 * The columns of a profile, out of a history as of a time, and until when
 * they stay what they are if nothing happens.
 */
#include "postgres.h"

#include "airport.h"
#include "catalog/pg_type.h"
#include "core/core.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "profile/profile.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

/* A session ends when nothing is done for so long. */
#define COLUMN_SESSION_GAP (30 * USECS_PER_MINUTE)
#define COLUMN_SESSION_DAYS 30

/* Days before departure, and travellers, that have a name. */
#define COLUMN_LAST_MINUTE (7 * USECS_PER_DAY)
#define COLUMN_EARLY (30 * USECS_PER_DAY)
#define COLUMN_GROUP 10

#define COLUMN_CABINS 4
#define COLUMN_PREMIUM 3 /* business, and above */

/* Longer than any year. */
#define COLUMN_YEAR_MOST (367 * USECS_PER_DAY)

/* Decimals of averages and shares. */
#define COLUMN_AVG_SCALE 2
#define COLUMN_SHARE_SCALE 4

/* In the order of profile_columns. */
enum
{
	BOOKING_COUNT,
	BOOKING_COUNT_30D,
	BOOKING_COUNT_90D,
	BOOKING_COUNT_180D,
	BOOKING_COUNT_12M,
	SPEND_TOTAL,
	SPEND_90D,
	SPEND_12M,
	FIRST_BOOKED_AT,
	LAST_BOOKED_AT,
	PREV_BOOKED_AT,
	NEXT_DEPARTURE_AT,
	CANCELLED_COUNT,
	REFUNDED_COUNT,
	CABIN_TOP,
	PREMIUM_SHARE,
	SALES_CHANNEL_TOP,
	ROUTE_TOP,
	ROUTE_COUNT,
	HAUL_TOP,
	REGION_TOP,
	INTERNATIONAL_SHARE,
	INTERCONTINENTAL_SHARE,
	WEEKEND_SHARE,
	SEASON_TOP,
	PARTY_SIZE_AVG,
	GROUP_COUNT,
	SOLO_SHARE,
	LEAD_DAYS_AVG,
	LAST_MINUTE_SHARE,
	EARLY_SHARE,
	ANCILLARY_COUNT,
	SEAT_COUNT,
	BAG_COUNT,
	MEAL_COUNT,
	UPGRADE_COUNT,
	BUNDLE_COUNT,
	EMAIL_OPEN_30D,
	EMAIL_OPEN_90D,
	EMAIL_CLICK_90D,
	SESSION_30D,
	APP_OPEN_30D,
	SEARCH_7D,
	SEARCH_30D,
	CART_ABANDONED_7D,
	CART_ABANDONED_30D,
	COMPLAINT_90D,
	TOUCH_30D,
	TOUCH_90D,
	LAST_EVENT_AT,
	LAST_SEARCH_AT,
	LAST_COMPLAINT_AT,
	LAST_TOUCH_AT,
	NPS_SCORE,
	NPS_AT,
	APP_OPENED,
	REFERRED,
	EMAIL_OPT_IN,
	SMS_OPT_IN,
	PUSH_OPT_IN,
	COLUMNS
};

const ProfileColumn profile_columns[] = {
	{"booking_count", PROFILE_INTEGER},
	{"booking_count_30d", PROFILE_INTEGER},
	{"booking_count_90d", PROFILE_INTEGER},
	{"booking_count_180d", PROFILE_INTEGER},
	{"booking_count_12m", PROFILE_INTEGER},
	{"spend_total", PROFILE_NUMBER},
	{"spend_90d", PROFILE_NUMBER},
	{"spend_12m", PROFILE_NUMBER},
	{"first_booked_at", PROFILE_TIME},
	{"last_booked_at", PROFILE_TIME},
	{"prev_booked_at", PROFILE_TIME},
	{"next_departure_at", PROFILE_TIME},
	{"cancelled_count", PROFILE_INTEGER},
	{"refunded_count", PROFILE_INTEGER},
	{"cabin_top", PROFILE_TEXT},
	{"premium_share", PROFILE_NUMBER},
	{"sales_channel_top", PROFILE_TEXT},
	{"route_top", PROFILE_TEXT},
	{"route_count", PROFILE_INTEGER},
	{"haul_top", PROFILE_TEXT},
	{"region_top", PROFILE_TEXT},
	{"international_share", PROFILE_NUMBER},
	{"intercontinental_share", PROFILE_NUMBER},
	{"weekend_share", PROFILE_NUMBER},
	{"season_top", PROFILE_TEXT},
	{"party_size_avg", PROFILE_NUMBER},
	{"group_count", PROFILE_INTEGER},
	{"solo_share", PROFILE_NUMBER},
	{"lead_days_avg", PROFILE_NUMBER},
	{"last_minute_share", PROFILE_NUMBER},
	{"early_share", PROFILE_NUMBER},
	{"ancillary_count", PROFILE_INTEGER},
	{"seat_count", PROFILE_INTEGER},
	{"bag_count", PROFILE_INTEGER},
	{"meal_count", PROFILE_INTEGER},
	{"upgrade_count", PROFILE_INTEGER},
	{"bundle_count", PROFILE_INTEGER},
	{"email_open_30d", PROFILE_INTEGER},
	{"email_open_90d", PROFILE_INTEGER},
	{"email_click_90d", PROFILE_INTEGER},
	{"session_30d", PROFILE_INTEGER},
	{"app_open_30d", PROFILE_INTEGER},
	{"search_7d", PROFILE_INTEGER},
	{"search_30d", PROFILE_INTEGER},
	{"cart_abandoned_7d", PROFILE_INTEGER},
	{"cart_abandoned_30d", PROFILE_INTEGER},
	{"complaint_90d", PROFILE_INTEGER},
	{"touch_30d", PROFILE_INTEGER},
	{"touch_90d", PROFILE_INTEGER},
	{"last_event_at", PROFILE_TIME},
	{"last_search_at", PROFILE_TIME},
	{"last_complaint_at", PROFILE_TIME},
	{"last_touch_at", PROFILE_TIME},
	{"nps_score", PROFILE_INTEGER},
	{"nps_at", PROFILE_TIME},
	{"app_opened", PROFILE_BOOLEAN},
	{"referred", PROFILE_BOOLEAN},
	{"email_opt_in", PROFILE_BOOLEAN},
	{"sms_opt_in", PROFILE_BOOLEAN},
	{"push_opt_in", PROFILE_BOOLEAN},
};

const int profile_ncolumns = lengthof(profile_columns);

StaticAssertDecl(lengthof(profile_columns) == COLUMNS,
				 "every column has a name");

/* Columns that count a series in a window of days. */
static const struct
{
	const char *series;
	int days;
	int column;
} column_windows[] = {
	{"email_open", 30, EMAIL_OPEN_30D},
	{"email_open", 90, EMAIL_OPEN_90D},
	{"email_click", 90, EMAIL_CLICK_90D},
	{"app_open", 30, APP_OPEN_30D},
	{"search", 7, SEARCH_7D},
	{"search", 30, SEARCH_30D},
	{"cart_abandoned", 7, CART_ABANDONED_7D},
	{"cart_abandoned", 30, CART_ABANDONED_30D},
	{"complaint", 90, COMPLAINT_90D},
};

/* Columns that tell what a customer said last of a channel, or of all. */
static const struct
{
	const char *series;
	int column;
} column_consents[] = {
	{"consent:marketing:email", EMAIL_OPT_IN},
	{"consent:marketing:sms", SMS_OPT_IN},
	{"consent:marketing:push", PUSH_OPT_IN},
};

#define COLUMN_CONSENT_ALL "consent:marketing:all"
#define COLUMN_TOUCH "touch:"
#define COLUMN_NPS_MAX 10

static const char *const column_cabins[] = {"economy", "premium_economy",
											"business", "first"};
static const char *const column_hauls[] = {"short", "medium", "long"};
static const char *const column_seasons[] = {"winter", "summer"};

/* How often something was chosen, and when last. */
typedef struct ColumnChoice
{
	int times;
	TimestampTz last;
} ColumnChoice;

/* What the columns are read from, and where they go. */
typedef struct ColumnReader
{
	const ProfileHistory *history;
	TimestampTz as_of;
	TimestampTz due;
	Datum *values;
	bool *nulls;
} ColumnReader;

/* What is added up over the bookings that count. */
typedef struct ColumnTotals
{
	int counted;
	int cancelled;
	int refunded;
	int128 spend;
	int64 party;
	int groups;
	int solos;
	int leads;
	int64 lead_seconds;
	int last_minutes;
	int earlies;
	int cabins;
	int premiums;
	int reaches;
	int internationals;
	int intercontinentals;
	int departures;
	int weekends;
	int64 items[PROFILE_ITEMS];
	TimestampTz first;
	TimestampTz last;
	TimestampTz before_last;
	TimestampTz next_departure;
	ColumnChoice cabin[COLUMN_CABINS];
	ColumnChoice haul[lengthof(column_hauls)];
	ColumnChoice season[lengthof(column_seasons)];
	ColumnChoice region[AIRPORT_REGIONS];
	ColumnChoice *channel; /* by name */
} ColumnTotals;

typedef struct ColumnRoute
{
	uint64 route;
	TimestampTz at;
} ColumnRoute;

#define ST_SORT column_sort_routes
#define ST_ELEMENT_TYPE ColumnRoute
#define ST_COMPARE(a, b)                                                      \
	((a)->route != (b)->route ? ((a)->route < (b)->route ? -1 : 1)            \
							  : ((a)->at < (b)->at ? -1 : (a)->at > (b)->at))
#define ST_SCOPE static
#define ST_DEFINE
#define ST_CHECK_FOR_INTERRUPTS
#include "lib/sort_template.h"

#define ST_SORT column_sort_times
#define ST_ELEMENT_TYPE TimestampTz
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_SCOPE static
#define ST_DEFINE
#define ST_CHECK_FOR_INTERRUPTS
#include "lib/sort_template.h"

/* Returns the number of a column, -1 when there is none of that name. */
int
profile_column_find(const char *name, int length)
{
	for (int i = 0; i < profile_ncolumns; i++)
		if (strlen(profile_columns[i].name) == length &&
			memcmp(profile_columns[i].name, name, length) == 0)
			return i;
	return -1;
}

/* Returns when a time leaves a window; after the end of time: never. */
static inline TimestampTz
column_after(TimestampTz at, int64 width)
{
	return at >= END_TIMESTAMP - width ? DT_NOEND : at + width;
}

/* Notes a time at which a column changes. */
static inline void
column_due(ColumnReader *reader, TimestampTz at)
{
	if (at > reader->as_of && at < reader->due)
		reader->due = at;
}

/* Sets an integer. */
static inline void
column_integer(ColumnReader *reader, int column, int64 value)
{
	reader->values[column] = Int32GetDatum((int32) Min(value, PG_INT32_MAX));
	reader->nulls[column] = false;
}

/* Sets a truth value. */
static inline void
column_boolean(ColumnReader *reader, int column, bool value)
{
	reader->values[column] = BoolGetDatum(value);
	reader->nulls[column] = false;
}

/* Sets a time, NULL for DT_NOBEGIN. */
static inline void
column_time(ColumnReader *reader, int column, TimestampTz value)
{
	reader->values[column] = TimestampTzGetDatum(value);
	reader->nulls[column] = TIMESTAMP_IS_NOBEGIN(value);
}

/* Sets a text, NULL for NULL. */
static inline void
column_text(ColumnReader *reader, int column, const char *value, int length)
{
	reader->nulls[column] = value == NULL;
	if (value != NULL)
		reader->values[column] =
			PointerGetDatum(cstring_to_text_with_len(value, length));
}

/* Sets an amount of money. */
static void
column_money(ColumnReader *reader, int column, int128 value)
{
	char digits[64];
	char *at = digits + sizeof(digits);
	int128 rest = value;

	reader->nulls[column] = false;
	if (value >= PG_INT64_MIN && value <= PG_INT64_MAX)
	{
		reader->values[column] = NumericGetDatum(
			int64_div_fast_to_numeric((int64) value, CORE_MONEY_SCALE));
		return;
	}
	*--at = '\0';
	for (int i = 0; rest != 0; i++, rest /= 10)
	{
		if (i == CORE_MONEY_SCALE)
			*--at = '.';
		*--at = '0' + (int) (rest < 0 ? -(rest % 10) : rest % 10);
	}
	if (value < 0)
		*--at = '-';
	reader->values[column] =
		DirectFunctionCall3(numeric_in, CStringGetDatum(at),
							ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

/* Sets a fraction that is not negative, half away from zero; NULL: of 0. */
static void
column_fraction(ColumnReader *reader, int column, int128 part, int128 whole,
				int scale)
{
	int64 units = scale == COLUMN_AVG_SCALE ? 100 : 10000;

	reader->nulls[column] = whole == 0;
	if (whole == 0)
		return;
	reader->values[column] = NumericGetDatum(int64_div_fast_to_numeric(
		(int64) ((part * units * 2 + whole) / (whole * 2)), scale));
}

/* Sets a share. */
static void
column_share(ColumnReader *reader, int column, int part, int whole)
{
	column_fraction(reader, column, part, whole, COLUMN_SHARE_SCALE);
}

/* Counts a choice. */
static inline void
column_choose(ColumnChoice *choice, TimestampTz at)
{
	choice->times++;
	choice->last = at;
}

/* Is a choice better than another: more frequent, or later? 0: equal. */
static inline int
column_prefer(const ColumnChoice *a, const ColumnChoice *b)
{
	if (a->times != b->times)
		return a->times > b->times ? 1 : -1;
	return a->last > b->last ? 1 : a->last < b->last ? -1 : 0;
}

/* Sets the text of the top choice; of equal ones the first in the list. */
static void
column_top(ColumnReader *reader, int column, const ColumnChoice *choices,
		   const char *const *names, int n)
{
	int top = -1;

	for (int i = 0; i < n; i++)
		if (choices[i].times > 0 &&
			(top < 0 || column_prefer(&choices[i], &choices[top]) > 0))
			top = i;
	column_text(reader, column, top < 0 ? NULL : names[top],
				top < 0 ? 0 : strlen(names[top]));
}

/* Order of names by their bytes. */
static int
column_compare_names(const ProfileName *a, const ProfileName *b)
{
	int order = memcmp(a->text, b->text, Min(a->length, b->length));

	return order != 0 ? order : a->length - b->length;
}

/* Sets the top channel; of equal ones the first by its bytes. */
static void
column_top_channel(ColumnReader *reader, const ColumnChoice *choices)
{
	const ProfileName *names = reader->history->names;
	int top = -1;

	for (int i = 0; i < reader->history->nnames; i++)
	{
		int order;

		if (choices[i].times == 0)
			continue;
		order = top < 0 ? 1 : column_prefer(&choices[i], &choices[top]);
		if (order > 0 ||
			(order == 0 && column_compare_names(&names[i], &names[top]) < 0))
			top = i;
	}
	column_text(reader, SALES_CHANNEL_TOP, top < 0 ? NULL : names[top].text,
				top < 0 ? 0 : names[top].length);
}

/* Adds what is known of the journey. */
static void
column_add_journey(ColumnTotals *totals, const ProfileBooking *booking)
{
	int128 lead = (int128) booking->departure - booking->at;

	if (booking->reach != 0)
	{
		totals->reaches++;
		totals->internationals += booking->reach != PROFILE_DOMESTIC;
		totals->intercontinentals +=
			booking->reach == PROFILE_INTERCONTINENTAL;
	}
	if (booking->haul != 0)
		column_choose(&totals->haul[booking->haul - 1], booking->at);
	if (booking->region != 0)
		column_choose(&totals->region[booking->region - 1], booking->at);
	if (booking->departure == PROFILE_NO_DEPARTURE)
		return;
	if (booking->weekday != 0)
	{
		totals->departures++;
		totals->weekends += booking->weekday == PROFILE_WEEKEND;
	}
	if (booking->season != 0)
		column_choose(&totals->season[booking->season - 1], booking->at);
	if (lead >= 0)
	{
		totals->leads++;
		/* Whole seconds, since averages of integers are exact. */
		totals->lead_seconds += (lead + USECS_PER_SEC / 2) / USECS_PER_SEC;
		totals->last_minutes += lead < COLUMN_LAST_MINUTE;
		totals->earlies += lead >= COLUMN_EARLY;
	}
}

/* Adds a booking that counts. */
static void
column_add(ColumnTotals *totals, const ProfileBooking *booking)
{
	totals->counted++;
	totals->spend += booking->amount;
	totals->party += booking->party;
	totals->groups += booking->party >= COLUMN_GROUP;
	totals->solos += booking->party == 1;
	if (totals->counted == 1)
		totals->first = booking->at;
	totals->before_last = totals->last;
	totals->last = booking->at;
	if (booking->cabin != 0)
	{
		totals->cabins++;
		totals->premiums += booking->cabin >= COLUMN_PREMIUM;
		column_choose(&totals->cabin[booking->cabin - 1], booking->at);
	}
	if (booking->channel >= 0)
		column_choose(&totals->channel[booking->channel], booking->at);
	for (int i = 0; i < PROFILE_ITEMS; i++)
		totals->items[i] += booking->items[i];
	column_add_journey(totals, booking);
}

/* Sets the columns that are totals. */
static void
column_put_totals(ColumnReader *reader, const ColumnTotals *totals)
{
	const char *regions[AIRPORT_REGIONS];

	for (int i = 0; i < AIRPORT_REGIONS; i++)
		regions[i] = airport_region_name(i + 1);
	column_integer(reader, BOOKING_COUNT, totals->counted);
	column_integer(reader, CANCELLED_COUNT, totals->cancelled);
	column_integer(reader, REFUNDED_COUNT, totals->refunded);
	column_money(reader, SPEND_TOTAL, totals->spend);
	column_time(reader, FIRST_BOOKED_AT, totals->first);
	column_time(reader, LAST_BOOKED_AT, totals->last);
	column_time(reader, PREV_BOOKED_AT, totals->before_last);
	column_top(reader, CABIN_TOP, totals->cabin, column_cabins, COLUMN_CABINS);
	column_top(reader, HAUL_TOP, totals->haul, column_hauls,
			   lengthof(column_hauls));
	column_top(reader, SEASON_TOP, totals->season, column_seasons,
			   lengthof(column_seasons));
	column_top(reader, REGION_TOP, totals->region, regions, AIRPORT_REGIONS);
	column_top_channel(reader, totals->channel);
	column_share(reader, PREMIUM_SHARE, totals->premiums, totals->cabins);
	column_share(reader, INTERNATIONAL_SHARE, totals->internationals,
				 totals->reaches);
	column_share(reader, INTERCONTINENTAL_SHARE, totals->intercontinentals,
				 totals->reaches);
	column_share(reader, WEEKEND_SHARE, totals->weekends, totals->departures);
	column_fraction(reader, PARTY_SIZE_AVG, totals->party, totals->counted,
					COLUMN_AVG_SCALE);
	column_integer(reader, GROUP_COUNT, totals->groups);
	column_share(reader, SOLO_SHARE, totals->solos, totals->counted);
	column_fraction(reader, LEAD_DAYS_AVG, totals->lead_seconds,
					(int128) totals->leads * SECS_PER_DAY, COLUMN_AVG_SCALE);
	column_share(reader, LAST_MINUTE_SHARE, totals->last_minutes,
				 totals->leads);
	column_share(reader, EARLY_SHARE, totals->earlies, totals->leads);
	for (int i = 0; i < PROFILE_ITEMS; i++)
		column_integer(reader, ANCILLARY_COUNT + i, totals->items[i]);
}

/*
 * Returns the moment at which a booking is a year old, as in "booked_at +
 * interval '12 months'" in UTC: a day that the next year lacks is 28
 * February.
 */
static TimestampTz
column_year_after(TimestampTz at)
{
	struct pg_tm tm;
	fsec_t fsec;
	TimestampTz after;

	if (timestamp2tm(at, NULL, &tm, &fsec, NULL, NULL) != 0)
		return DT_NOEND;
	tm.tm_year++;
	if (tm.tm_mon == 2 && tm.tm_mday == 29)
		tm.tm_mday = 28;
	if (tm2timestamp(&tm, fsec, NULL, &after) != 0)
		return DT_NOEND;
	return after;
}

/* Returns when a time leaves a window; of 0 days: of 12 months. */
static inline TimestampTz
column_leave(TimestampTz at, int days)
{
	return days == 0 ? column_year_after(at)
					 : column_after(at, days * USECS_PER_DAY);
}

/* Sets columns of the bookings of a window; spend may be -1. */
static void
column_put_window(ColumnReader *reader, int past, int days, int count_column,
				  int spend_column)
{
	const ProfileBooking *bookings = reader->history->bookings;
	TimestampTz oldest =
		reader->as_of - (days == 0 ? COLUMN_YEAR_MOST : days * USECS_PER_DAY);
	int counted = 0;
	int128 spend = 0;

	for (int i = past - 1; i >= 0 && bookings[i].at > oldest; i--)
	{
		TimestampTz leave = column_leave(bookings[i].at, days);

		/* Of 28 and 29 February the later one may leave first. */
		if (leave <= reader->as_of)
			continue;
		if (bookings[i].status != PROFILE_COUNTED)
			continue;
		column_due(reader, leave);
		counted++;
		spend += bookings[i].amount;
	}
	column_integer(reader, count_column, counted);
	if (spend_column >= 0)
		column_money(reader, spend_column, spend);
}

/* Sets the columns about routes. */
static void
column_put_routes(ColumnReader *reader, int past)
{
	const ProfileBooking *bookings = reader->history->bookings;
	ColumnRoute *routes = MemoryContextAllocHuge(
		CurrentMemoryContext, (Size) Max(past, 1) * sizeof(ColumnRoute));
	ColumnChoice top = {0};
	uint64 best = 0;
	int n = 0;
	int different = 0;
	char text[8];

	for (int i = 0; i < past; i++)
		if (bookings[i].status == PROFILE_COUNTED && bookings[i].origin != 0)
		{
			routes[n].route =
				(uint64) bookings[i].origin << 32 | bookings[i].destination;
			routes[n++].at = bookings[i].at;
		}
	column_sort_routes(routes, n);
	for (int i = 0, from = 0; i < n; i++)
	{
		ColumnChoice choice;

		if (i + 1 < n && routes[i + 1].route == routes[i].route)
			continue;
		different++;
		choice.times = i + 1 - from;
		choice.last = routes[i].at;
		if (column_prefer(&choice, &top) > 0)
		{
			top = choice;
			best = routes[i].route;
		}
		from = i + 1;
	}
	for (int i = 0; i < 3; i++)
	{
		text[i] = (char) (best >> (48 - 8 * i));
		text[4 + i] = (char) (best >> (16 - 8 * i));
	}
	text[3] = '-';
	column_text(reader, ROUTE_TOP, best == 0 ? NULL : text, 7);
	column_integer(reader, ROUTE_COUNT, different);
	pfree(routes);
}

/* Returns the next departure after as_of of a booking made until then. */
static TimestampTz
column_next_departure(const ColumnReader *reader, int past)
{
	TimestampTz next = DT_NOEND;

	for (int i = 0; i < past; i++)
	{
		const ProfileBooking *booking = &reader->history->bookings[i];

		if (booking->status == PROFILE_COUNTED &&
			booking->departure > reader->as_of && booking->departure < next)
			next = booking->departure;
	}
	return next == DT_NOEND ? DT_NOBEGIN : next;
}

/* Sets the columns about bookings. */
static void
column_put_bookings(ColumnReader *reader)
{
	const ProfileHistory *history = reader->history;
	ColumnTotals totals = {
		.first = DT_NOBEGIN, .last = DT_NOBEGIN, .before_last = DT_NOBEGIN};
	int past = 0;

	totals.channel = palloc0(Max(history->nnames, 1) * sizeof(ColumnChoice));
	for (; past < history->nbookings &&
		   history->bookings[past].at <= reader->as_of;
		 past++)
	{
		const ProfileBooking *booking = &history->bookings[past];

		if (booking->status == PROFILE_COUNTED)
			column_add(&totals, booking);
		else if (booking->status == PROFILE_CANCELLED)
			totals.cancelled++;
		else
			totals.refunded++;
	}
	if (past < history->nbookings)
		column_due(reader, history->bookings[past].at);
	totals.next_departure = column_next_departure(reader, past);
	column_due(reader, totals.next_departure);
	column_time(reader, NEXT_DEPARTURE_AT, totals.next_departure);
	column_put_totals(reader, &totals);
	column_put_routes(reader, past);
	column_put_window(reader, past, 30, BOOKING_COUNT_30D, -1);
	column_put_window(reader, past, 90, BOOKING_COUNT_90D, SPEND_90D);
	column_put_window(reader, past, 180, BOOKING_COUNT_180D, -1);
	column_put_window(reader, past, 0, BOOKING_COUNT_12M, SPEND_12M);
	pfree(totals.channel);
}

/* Returns how many entries of a series are not after a time. */
static int
column_until(const ProfileSeries *series, TimestampTz at)
{
	int low = 0;
	int high = series->n;

	while (low < high)
	{
		int middle = low + (high - low) / 2;

		if (series->entries[middle].at <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Counts the entries of a series in a window of days. */
static int
column_count(ColumnReader *reader, const ProfileSeries *series, int days)
{
	int64 width = days * USECS_PER_DAY;
	int past = column_until(series, reader->as_of);
	int before = column_until(series, reader->as_of - width);

	if (past < series->n)
		column_due(reader, series->entries[past].at);
	if (before < past)
		column_due(reader, column_after(series->entries[before].at, width));
	return past - before;
}

/* Returns the last time of a series until as_of, DT_NOBEGIN for none. */
static TimestampTz
column_last(ColumnReader *reader, const ProfileSeries *series)
{
	int past = series == NULL ? 0 : column_until(series, reader->as_of);

	if (series != NULL && past < series->n)
		column_due(reader, series->entries[past].at);
	return past == 0 ? DT_NOBEGIN : series->entries[past - 1].at;
}

/* Is a name of this family? */
static inline bool
column_has_prefix(const ProfileName *name, const char *prefix)
{
	int length = strlen(prefix);

	return name->length >= length && memcmp(name->text, prefix, length) == 0;
}

/* Sets the columns about contacts, and the last event. */
static void
column_put_times(ColumnReader *reader)
{
	const ProfileHistory *history = reader->history;
	TimestampTz last_event = DT_NOBEGIN;
	TimestampTz last_touch = DT_NOBEGIN;
	int touches_30d = 0;
	int touches_90d = 0;

	for (int i = 0; i < history->nseries; i++)
	{
		const ProfileSeries *series = &history->series[i];
		const ProfileName *name = &history->names[series->name];

		if (column_has_prefix(name, COLUMN_TOUCH))
		{
			last_touch = Max(last_touch, column_last(reader, series));
			touches_30d += column_count(reader, series, 30);
			touches_90d += column_count(reader, series, 90);
		}
		/* Kinds of events have no colon. */
		else if (memchr(name->text, ':', name->length) == NULL)
			last_event = Max(last_event, column_last(reader, series));
	}
	column_time(reader, LAST_EVENT_AT, last_event);
	column_time(reader, LAST_TOUCH_AT, last_touch);
	column_integer(reader, TOUCH_30D, touches_30d);
	column_integer(reader, TOUCH_90D, touches_90d);
}

/* Adds the times of a series in which sessions of the window may begin. */
static int
column_collect_visits(const ColumnReader *reader, const ProfileSeries *series,
					  TimestampTz **times, int n)
{
	int64 width = COLUMN_SESSION_DAYS * USECS_PER_DAY + COLUMN_SESSION_GAP;
	int past = column_until(series, reader->as_of);
	int from = column_until(series, reader->as_of - width - 1);
	Size size = (Size) (n + past - from + 1) * sizeof(TimestampTz);

	*times = *times == NULL
				 ? MemoryContextAllocHuge(CurrentMemoryContext, size)
				 : repalloc_huge(*times, size);
	for (; from < past; from++)
		(*times)[n++] = series->entries[from].at;
	return n;
}

/*
 * Sets the number of sessions that began in 30 days: a session begins when
 * a customer does something on our site or in our application for the first
 * time in 30 minutes.
 */
static void
column_put_sessions(ColumnReader *reader)
{
	const ProfileHistory *history = reader->history;
	int64 width = COLUMN_SESSION_DAYS * USECS_PER_DAY;
	TimestampTz *times = NULL;
	int n = 0;
	int sessions = 0;

	for (int i = 0; i < history->nseries; i++)
		if (history->series[i].flags & PROFILE_VISIT)
			n = column_collect_visits(reader, &history->series[i], &times, n);
	if (n > 0)
		column_sort_times(times, n);
	for (int i = 0; i < n; i++)
	{
		if (i > 0 && times[i] - times[i - 1] < COLUMN_SESSION_GAP)
			continue;
		if (column_after(times[i], width) <= reader->as_of)
			continue;
		column_due(reader, column_after(times[i], width));
		sessions++;
	}
	column_integer(reader, SESSION_30D, sessions);
	if (times != NULL)
		pfree(times);
}

/* Returns the last entry that is not after as_of, NULL for none. */
static const ProfileEntry *
column_newest(ColumnReader *reader, const char *name)
{
	const ProfileSeries *series = profile_history_find(reader->history, name);
	int past = series == NULL ? 0 : column_until(series, reader->as_of);

	if (series != NULL && past < series->n)
		column_due(reader, series->entries[past].at);
	return past == 0 ? NULL : &series->entries[past - 1];
}

/* Sets the columns about consents. */
static void
column_put_consents(ColumnReader *reader)
{
	const ProfileEntry *all = column_newest(reader, COLUMN_CONSENT_ALL);

	for (int i = 0; i < lengthof(column_consents); i++)
	{
		const ProfileEntry *said =
			column_newest(reader, column_consents[i].series);

		if (said == NULL ||
			(all != NULL && (all->at > said->at ||
							 (all->at == said->at && all->id > said->id))))
			said = all;
		column_boolean(reader, column_consents[i].column,
					   said != NULL && said->value != 0);
	}
}

/* Sets the last answer to the recommendation question. */
static void
column_put_nps(ColumnReader *reader)
{
	const ProfileSeries *series =
		profile_history_find(reader->history, PROFILE_NPS);
	int at = series == NULL ? 0 : column_until(series, reader->as_of);

	/* Answers without a score are no answers. */
	while (at > 0 && (series->entries[at - 1].value < 0 ||
					  series->entries[at - 1].value > COLUMN_NPS_MAX))
		at--;
	column_time(reader, NPS_AT,
				at == 0 ? DT_NOBEGIN : series->entries[at - 1].at);
	if (at > 0)
		column_integer(reader, NPS_SCORE, series->entries[at - 1].value);
	else
		reader->nulls[NPS_SCORE] = true;
}

/* Sets the columns about events, contacts and consents. */
static void
column_put_series(ColumnReader *reader)
{
	const ProfileHistory *history = reader->history;

	column_put_times(reader);
	column_put_sessions(reader);
	column_put_consents(reader);
	column_put_nps(reader);
	for (int i = 0; i < lengthof(column_windows); i++)
	{
		const ProfileSeries *series =
			profile_history_find(history, column_windows[i].series);

		column_integer(reader, column_windows[i].column,
					   series == NULL ? 0
									  : column_count(reader, series,
													 column_windows[i].days));
	}
	column_time(reader, LAST_SEARCH_AT,
				column_last(reader, profile_history_find(history, "search")));
	column_time(
		reader, LAST_COMPLAINT_AT,
		column_last(reader, profile_history_find(history, "complaint")));
	column_boolean(reader, APP_OPENED,
				   column_newest(reader, "app_open") != NULL);
	column_boolean(reader, REFERRED,
				   column_newest(reader, "referral") != NULL);
}

/*
 * Fills in the columns of a sorted history as of a time, and returns until
 * when, excluded, they stay so.
 */
TimestampTz
profile_columns_read(const ProfileHistory *history, TimestampTz as_of,
					 Datum *values, bool *nulls)
{
	ColumnReader reader = {.history = history,
						   .as_of = as_of,
						   .due = DT_NOEND,
						   .values = values,
						   .nulls = nulls};

	column_put_bookings(&reader);
	column_put_series(&reader);
	return reader.due;
}
