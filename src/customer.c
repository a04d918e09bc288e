/* Text of sources, read as days and times: in ISO 8601 form or not at all. */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

/* Offsets from UTC are up to 14 hours and 59 minutes. */
#define LOAD_ZONE_HOURS 14

/* What is left of a text that is read. */
typedef struct LoadText
{
	const char *at;
	const char *end;
} LoadText;

/* Returns the whole of an argument. */
static LoadText
load_text(const text *value)
{
	LoadText rest = {VARDATA_ANY(value),
					 VARDATA_ANY(value) + VARSIZE_ANY_EXHDR(value)};

	return rest;
}

/* Reads one of some characters, none at the end. */
static bool
load_one_of(LoadText *rest, const char *characters)
{
	if (rest->at == rest->end || *rest->at == '\0' ||
		strchr(characters, *rest->at) == NULL)
		return false;
	rest->at++;
	return true;
}

/* Reads so many digits, of a number that lies between two others. */
static bool
load_digits(LoadText *rest, int digits, int least, int most, int *number)
{
	*number = 0;
	for (int i = 0; i < digits; i++)
	{
		const char *digit = rest->at;

		if (!load_one_of(rest, "0123456789"))
			return false;
		*number = *number * 10 + (*digit - '0');
	}
	return *number >= least && *number <= most;
}

/* Reads a day of the years 1000 to 2999, counted from 2000-01-01. */
static bool
load_day(LoadText *rest, int *day)
{
	int y;
	int m;
	int d;

	if (!load_digits(rest, 4, 1000, 2999, &y) || !load_one_of(rest, "-") ||
		!load_digits(rest, 2, 1, MONTHS_PER_YEAR, &m) ||
		!load_one_of(rest, "-") ||
		!load_digits(rest, 2, 1, day_tab[isleap(y)][m - 1], &d))
		return false;
	*day = date2j(y, m, d) - POSTGRES_EPOCH_JDATE;
	return true;
}

/* Reads what may follow the seconds: at most six digits. */
static bool
load_fraction(LoadText *rest, int64 *time)
{
	int digits = 0;

	if (!load_one_of(rest, "."))
		return true;
	for (int64 unit = USECS_PER_SEC / 10; unit > 0; unit /= 10, digits++)
	{
		const char *digit = rest->at;

		if (!load_one_of(rest, "0123456789"))
			break;
		*time += (*digit - '0') * unit;
	}
	return digits > 0;
}

/* Reads a time of day: hours and minutes, seconds, and their fraction. */
static bool
load_clock(LoadText *rest, int64 *time)
{
	int hours;
	int minutes;
	int seconds;

	if (!load_digits(rest, 2, 0, HOURS_PER_DAY - 1, &hours) ||
		!load_one_of(rest, ":") ||
		!load_digits(rest, 2, 0, MINS_PER_HOUR - 1, &minutes))
		return false;
	*time = hours * USECS_PER_HOUR + minutes * USECS_PER_MINUTE;
	if (!load_one_of(rest, ":"))
		return true;
	if (!load_digits(rest, 2, 0, SECS_PER_MINUTE - 1, &seconds))
		return false;
	*time += seconds * USECS_PER_SEC;
	return load_fraction(rest, time);
}

/* Reads the offset from UTC up to the end: Z, UTC, +HH, +HHMM, +HH:MM. */
static bool
load_zone(LoadText *rest, int64 *offset)
{
	const char *sign;
	int hours;
	int minutes = 0;

	*offset = 0;
	if (rest->at == rest->end)
		return true;
	load_one_of(rest, " ");
	sign = rest->at;
	if (load_one_of(rest, "Z"))
		return rest->at == rest->end;
	if (load_one_of(rest, "U"))
		return load_one_of(rest, "T") && load_one_of(rest, "C") &&
			   rest->at == rest->end;
	if (!load_one_of(rest, "+-") ||
		!load_digits(rest, 2, 0, LOAD_ZONE_HOURS, &hours))
		return false;
	if (rest->at != rest->end)
	{
		load_one_of(rest, ":");
		if (!load_digits(rest, 2, 0, MINS_PER_HOUR - 1, &minutes))
			return false;
	}
	*offset = hours * USECS_PER_HOUR + minutes * USECS_PER_MINUTE;
	if (*sign == '-')
		*offset = -*offset;
	return rest->at == rest->end;
}

PG_FUNCTION_INFO_V1(load_date);

/* SQL: load_date(value text) */
Datum
load_date(PG_FUNCTION_ARGS)
{
	LoadText rest = load_text(PG_GETARG_TEXT_PP(0));
	int day;
	int64 time = 0;

	if (!load_day(&rest, &day))
		PG_RETURN_NULL();
	if (rest.at != rest.end &&
		(!load_one_of(&rest, "T ") ||
		 memchr(rest.at, '.', rest.end - rest.at) ||
		 !load_clock(&rest, &time) || time != 0 || rest.at != rest.end))
		PG_RETURN_NULL();
	PG_RETURN_DATEADT(day);
}

PG_FUNCTION_INFO_V1(load_time);

/* SQL: load_time(value text) */
Datum
load_time(PG_FUNCTION_ARGS)
{
	LoadText rest = load_text(PG_GETARG_TEXT_PP(0));
	int day;
	int64 time = 0;
	int64 offset = 0;

	if (!load_day(&rest, &day))
		PG_RETURN_NULL();
	if (rest.at != rest.end &&
		(!load_one_of(&rest, "T ") || !load_clock(&rest, &time) ||
		 !load_zone(&rest, &offset)))
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(day * USECS_PER_DAY + time - offset);
}
