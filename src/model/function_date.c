/* Built-in functions of dates and times. */
#include "postgres.h"

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "model/function.h"
#include "utils/datetime.h"

/* Days that the calendar of PostgreSQL can tell. */
#define MIN_DAY (-2000000.0)
#define MAX_DAY 100000000.0

/* What a conversion of formatDatetime asks for. */
#define DATE_LETTERS "YCymBbhAajdeDF"
#define TIME_LETTERS "HIklMSpRTr"

static const char *const month_names[] = {
	"January", "February", "March",     "April",   "May",      "June",
	"July",    "August",   "September", "October", "November", "December"};

static const char *const day_names[] = {"Sunday",    "Monday",   "Tuesday",
										"Wednesday", "Thursday", "Friday",
										"Saturday"};

/* The first day of a year, as slots hold it; false beyond what there is. */
static bool
year_start(double year, double *day)
{
	if (!(year >= 1 && year <= MODEL_MAX_YEAR))
		return false;
	*day = value_epoch((int) year);
	return true;
}

/* Days since January 1 of a year. */
double
function_days_since(const FunctionCall *call)
{
	double start;

	if (!year_start(call->args[1], &start))
		return function_invalid(call);
	return call->args[0] - start;
}

/* Whole seconds since January 1 of a year. */
double
function_seconds_since(const FunctionCall *call)
{
	double start;

	if (!year_start(call->args[1], &start))
		return function_invalid(call);
	return trunc(call->args[0] - start * SECS_PER_DAY);
}

/* Whole seconds since midnight. */
double
function_seconds_of_day(const FunctionCall *call)
{
	return floor(call->args[0]);
}

/* A time taken apart. */
typedef struct Moment
{
	int day; /* since 1970-01-01 */
	int year;
	int month;
	int mday;
	int hour;
	int minute;
	int second;
} Moment;

/* Takes seconds since 1970-01-01 apart. */
static bool
moment_of(double seconds, Moment *moment)
{
	double day = floor(seconds / SECS_PER_DAY);
	int rest;

	if (!(day >= MIN_DAY && day <= MAX_DAY))
		return false;
	rest = (int) (floor(seconds) - day * SECS_PER_DAY);
	moment->day = (int) day;
	j2date(moment->day + UNIX_EPOCH_JDATE, &moment->year, &moment->month,
		   &moment->mday);
	moment->hour = rest / SECS_PER_HOUR;
	moment->minute = rest / SECS_PER_MINUTE % 60;
	moment->second = rest % 60;
	return true;
}

/* Writes what a conversion of a date asks for. */
static void
format_date(StringInfo out, const Moment *m, char letter)
{
	int weekday = ((m->day + 4) % 7 + 7) % 7;
	int yday = m->day + UNIX_EPOCH_JDATE - date2j(m->year, 1, 1) + 1;

	if (letter == 'Y')
		appendStringInfo(out, "%04d", m->year);
	else if (letter == 'C')
		appendStringInfo(out, "%02d", m->year / 100);
	else if (letter == 'y')
		appendStringInfo(out, "%02d", m->year % 100);
	else if (letter == 'm')
		appendStringInfo(out, "%02d", m->month);
	else if (letter == 'B')
		appendStringInfoString(out, month_names[m->month - 1]);
	else if (letter == 'b' || letter == 'h')
		appendStringInfo(out, "%.3s", month_names[m->month - 1]);
	else if (letter == 'A')
		appendStringInfoString(out, day_names[weekday]);
	else if (letter == 'a')
		appendStringInfo(out, "%.3s", day_names[weekday]);
	else if (letter == 'j')
		appendStringInfo(out, "%03d", yday);
	else if (letter == 'd')
		appendStringInfo(out, "%02d", m->mday);
	else if (letter == 'e')
		appendStringInfo(out, "%d", m->mday);
	else if (letter == 'D')
		appendStringInfo(out, "%02d/%02d/%02d", m->month, m->mday,
						 m->year % 100);
	else
		appendStringInfo(out, "%04d-%02d-%02d", m->year, m->month, m->mday);
}

/* Writes what a conversion of a time asks for. */
static void
format_time(StringInfo out, const Moment *m, char letter)
{
	int hour12 = (m->hour + 11) % 12 + 1;

	if (letter == 'H')
		appendStringInfo(out, "%02d", m->hour);
	else if (letter == 'I')
		appendStringInfo(out, "%02d", hour12);
	else if (letter == 'k')
		appendStringInfo(out, "%d", m->hour);
	else if (letter == 'l')
		appendStringInfo(out, "%d", hour12);
	else if (letter == 'M')
		appendStringInfo(out, "%02d", m->minute);
	else if (letter == 'S')
		appendStringInfo(out, "%02d", m->second);
	else if (letter == 'p')
		appendStringInfoString(out, m->hour < 12 ? "am" : "pm");
	else if (letter == 'R')
		appendStringInfo(out, "%02d:%02d", m->hour, m->minute);
	else if (letter == 'T')
		appendStringInfo(out, "%02d:%02d:%02d", m->hour, m->minute, m->second);
	else
		appendStringInfo(out, "%02d:%02d:%02d %s", hour12, m->minute,
						 m->second, m->hour < 12 ? "AM" : "PM");
}

/* Why a pattern cannot write values of a type; NULL if it can. */
const char *
function_datetime_format_error(const char *pattern, Size size, ValueType type)
{
	const char *end = pattern + size;

	for (; pattern < end; pattern++)
	{
		if (*pattern != '%')
			continue;
		if (++pattern >= end || *pattern == '\0')
			return "it ends in \"%\"";
		if (*pattern == '%' || strchr(TIME_LETTERS, *pattern) != NULL)
			continue;
		if (strchr(DATE_LETTERS, *pattern) == NULL)
			return "it has a conversion that is not supported";
		if (type == VALUE_TIME)
			return "it asks for the date of a time of day";
	}
	return NULL;
}

/*
 * Writes a time by a pattern whose conversions are those that the function
 * strftime() of C and the formatter of Java share.
 */
double
function_format_datetime(const FunctionCall *call)
{
	StringInfoData out;
	Moment moment;
	Size size;
	Size i;
	const char *pattern = run_text_get(call->run, call->args[1], &size);
	double result;

	if (pattern == NULL || !moment_of(call->args[0], &moment) ||
		function_datetime_format_error(pattern, size, VALUE_TIMESTAMP) != NULL)
		return function_invalid(call);
	initStringInfo(&out);
	for (i = 0; i < size; i++)
	{
		if (pattern[i] != '%' || pattern[++i] == '%')
			appendStringInfoChar(&out, pattern[i]);
		else if (strchr(DATE_LETTERS, pattern[i]) != NULL)
			format_date(&out, &moment, pattern[i]);
		else
			format_time(&out, &moment, pattern[i]);
	}
	result = run_text(call->run, out.data, out.len);
	pfree(out.data);
	return result;
}
