/*
 * The values of rules and their canonical spelling: numbers, durations, days
 * and times. Nothing here depends on settings.
 */
#include "postgres.h"

#include <ctype.h>

#include "lib/stringinfo.h"
#include "segment/rule.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

/* Digits of a number before and after its point. */
#define NUMBER_WHOLE 15
#define NUMBER_DECIMALS 9

/* An exponent beyond this is as good as this. */
#define NUMBER_EXPONENT 1000000

/* The longest duration: 200 years. */
#define DURATION_YEARS 200
#define DURATION_DAYS (DURATION_YEARS * 365 + DURATION_YEARS / 4)

/* The latest year that four digits can write. */
#define MOMENT_YEAR_MAX 9999

typedef struct DurationUnit
{
	const char *name;
	char unit;
	int32 months;
	int64 micros;
} DurationUnit;

/* The units, the largest first among those of months and among the rest. */
static const DurationUnit duration_units[] = {
	{"year", 'y', 12, 0},
	{"month", 'M', 1, 0},
	{"week", 'w', 0, 7 * USECS_PER_DAY},
	{"day", 'd', 0, USECS_PER_DAY},
	{"hour", 'h', 0, USECS_PER_HOUR},
	{"minute", 'm', 0, USECS_PER_MINUTE},
	{"second", 's', 0, USECS_PER_SEC},
};

/* A number as its digits: 0.digits * 10^point. */
typedef struct NumberDigits
{
	bool negative;
	const char *digits; /* neither the first nor the last is 0 */
	int ndigits;
	int point;
} NumberDigits;

/* Reads an exponent, which may have any number of digits. */
static int
number_exponent(const char *text)
{
	bool negative = *text == '-';
	int exponent = 0;

	if (*text == '-' || *text == '+')
		text++;
	for (; isdigit((unsigned char) *text); text++)
		exponent = Min(exponent * 10 + (*text - '0'), NUMBER_EXPONENT);
	return negative ? -exponent : exponent;
}

/* Takes a number of JSON apart. */
static NumberDigits
number_read(const char *number)
{
	NumberDigits result = {.negative = *number == '-'};
	char *digits = palloc(strlen(number) + 1);
	int n = 0;
	int first = 0;
	bool fraction = false;

	for (number += result.negative;
		 *number == '.' || isdigit((unsigned char) *number); number++)
	{
		fraction = fraction || *number == '.';
		if (*number == '.')
			continue;
		digits[n++] = *number;
		result.point += !fraction;
	}
	if (*number == 'e' || *number == 'E')
		result.point += number_exponent(number + 1);
	while (n > 0 && digits[n - 1] == '0')
		n--;
	while (first < n && digits[first] == '0')
		first++;
	result.digits = digits + first;
	result.ndigits = n - first;
	result.point -= first;
	return result;
}

/* Writes digits with a point and the zeros that it needs. */
static char *
number_write(const NumberDigits *number)
{
	StringInfoData out;
	int i;

	initStringInfo(&out);
	if (number->negative)
		appendStringInfoChar(&out, '-');
	if (number->point <= 0)
		appendStringInfoChar(&out, '0');
	for (i = 0; i < number->point; i++)
		appendStringInfoChar(&out,
							 i < number->ndigits ? number->digits[i] : '0');
	if (number->ndigits > number->point)
		appendStringInfoChar(&out, '.');
	for (i = number->point; i < number->ndigits; i++)
		appendStringInfoChar(&out, i < 0 ? '0' : number->digits[i]);
	return out.data;
}

/*
 * Returns the canonical form of a number of JSON: no exponent, no needless
 * zero or sign. NULL when it has more digits than numbers of rules have.
 */
char *
rule_number_text(const char *number)
{
	NumberDigits digits = number_read(number);

	if (digits.ndigits == 0)
		return pstrdup("0");
	if (digits.point > NUMBER_WHOLE ||
		digits.ndigits - digits.point > NUMBER_DECIMALS)
		return NULL;
	return number_write(&digits);
}

/* Compares two numbers in canonical form. */
int
rule_number_compare(const char *a, const char *b)
{
	int sign = *a == '-' ? -1 : 1;
	int diff;

	if ((*a == '-') != (*b == '-'))
		return sign;
	a += *a == '-';
	b += *b == '-';
	/* Without zeros in front, more digits before the point are more. */
	diff = (int) strcspn(a, ".") - (int) strcspn(b, ".");
	return sign * (diff != 0 ? diff : strcmp(a, b));
}

/* Tells whether a character is blank, in any locale. */
static bool
value_is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Steps over blanks. */
static const char *
value_blanks(const char *at, const char *end)
{
	while (at < end && value_is_blank(*at))
		at++;
	return at;
}

/* Reads an unsigned number and returns its end, or NULL. */
static const char *
value_count(const char *at, const char *end, int32 *count)
{
	const char *start = at;
	int64 value = 0;

	for (; at < end && isdigit((unsigned char) *at); at++)
	{
		value = value * 10 + (*at - '0');
		if (value > PG_INT32_MAX)
			return NULL;
	}
	*count = (int32) value;
	return at > start ? at : NULL;
}

/* Reads the name of a unit, singular or plural, and returns its end. */
static const char *
duration_unit(const char *at, const char *end, const DurationUnit **unit)
{
	for (int i = 0; i < lengthof(duration_units); i++)
	{
		int length = strlen(duration_units[i].name);

		if (end - at < length ||
			pg_strncasecmp(at, duration_units[i].name, length) != 0)
			continue;
		*unit = &duration_units[i];
		at += length;
		return at + (at < end && (*at == 's' || *at == 'S'));
	}
	return NULL;
}

/* Reads a duration, "30 days"; false for any other text and a longer one. */
bool
rule_duration_parse(const char *text, int length, RuleDuration *duration)
{
	const char *end = text + length;
	const DurationUnit *unit;
	const char *at;
	int32 count;

	at = value_count(value_blanks(text, end), end, &count);
	if (at == NULL || at == end || !value_is_blank(*at))
		return false;
	at = duration_unit(value_blanks(at, end), end, &unit);
	if (at == NULL || value_blanks(at, end) != end)
		return false;
	if (unit->months > 0
			? count > DURATION_YEARS * 12 / unit->months
			: count > DURATION_DAYS * USECS_PER_DAY / unit->micros)
		return false;
	duration->months = unit->months * count;
	duration->micros = unit->micros * count;
	duration->count = count;
	duration->unit = unit->unit;
	return true;
}

/* Writes a duration in the largest unit that divides it, but never weeks. */
void
rule_duration_shorten(RuleDuration *duration)
{
	for (int i = 0; i < lengthof(duration_units); i++)
	{
		const DurationUnit *unit = &duration_units[i];
		int64 length = unit->months > 0 ? duration->months : duration->micros;
		int64 one = unit->months > 0 ? unit->months : unit->micros;

		if (unit->unit == 'w' || length % one != 0 ||
			(length == 0 && unit->unit != 'd'))
			continue;
		duration->count = (int32) (length / one);
		duration->unit = unit->unit;
		return;
	}
}

/* Returns a duration as text: 1 day, 30 days. */
char *
rule_duration_text(const RuleDuration *duration)
{
	const char *name = "";

	for (int i = 0; i < lengthof(duration_units); i++)
		if (duration_units[i].unit == duration->unit)
			name = duration_units[i].name;
	return psprintf("%d %s%s", duration->count, name,
					duration->count == 1 ? "" : "s");
}

/* Moves a time by a duration; months are of the calendar in UTC. */
TimestampTz
rule_duration_shift(TimestampTz as_of, const RuleDuration *duration, int sign)
{
	Interval length = {.month = sign * duration->months,
					   .time = sign * duration->micros};

	/* As a timestamp, a timestamptz is the local time of UTC. */
	return DatumGetTimestamp(DirectFunctionCall2(timestamp_pl_interval,
												 TimestampTzGetDatum(as_of),
												 IntervalPGetDatum(&length)));
}

/*
 * Reads a text by a pattern, in which 0 is a digit of a number and any other
 * character itself. Returns the text after it, or NULL.
 */
static const char *
moment_match(const char *at, const char *end, const char *pattern,
			 int *numbers)
{
	int n = -1;

	for (const char *p = pattern; *p != '\0'; p++, at++)
	{
		if (at >= end)
			return NULL;
		if (*p != '0' && *at != *p)
			return NULL;
		if (*p != '0')
			continue;
		if (!isdigit((unsigned char) *at))
			return NULL;
		if (p == pattern || p[-1] != '0')
			numbers[++n] = 0;
		numbers[n] = numbers[n] * 10 + (*at - '0');
	}
	return at;
}

/* Reads seconds and up to six decimals of them, which may be left out. */
static const char *
moment_seconds(const char *at, const char *end, int64 *micros)
{
	int64 unit = USECS_PER_SEC / 10;
	int seconds = 0;

	if (at >= end || *at != ':')
		return at;
	at = moment_match(at, end, ":00", &seconds);
	if (at == NULL || seconds > 59)
		return NULL;
	*micros += seconds * USECS_PER_SEC;
	if (at >= end || *at != '.')
		return at;
	for (at++; at < end && isdigit((unsigned char) *at) && unit > 0; at++)
	{
		*micros += (*at - '0') * unit;
		unit /= 10;
	}
	return unit == USECS_PER_SEC / 10 ? NULL : at;
}

/* Reads an offset of UTC, which may be left out. */
static const char *
moment_offset(const char *at, const char *end, RuleMoment *moment)
{
	int numbers[2];
	int sign;

	if (at >= end)
		return at;
	moment->zoned = true;
	if (*at == 'Z' || *at == 'z')
		return at + 1;
	if (*at != '+' && *at != '-')
		return NULL;
	sign = *at == '-' ? 1 : -1;
	at = moment_match(at + 1, end, "00:00", numbers);
	if (at == NULL || numbers[0] > 15 || numbers[1] > 59)
		return NULL;
	moment->at +=
		sign * (numbers[0] * USECS_PER_HOUR + numbers[1] * USECS_PER_MINUTE);
	return at;
}

/* Returns the start of a day of year 1 to 9999, counted from 2000-01-01. */
static Timestamp
moment_midnight(int year, int month, int day)
{
	return (date2j(year, month, day) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
}

/*
 * Reads a day, 2026-01-31, or a time, 2026-01-31T12:00, with seconds and an
 * offset of UTC (Z, +02:00) if there are; false for any other text.
 */
bool
rule_moment_parse(const char *text, int length, RuleMoment *moment)
{
	const char *end = text + length;
	int date[3];
	int clock[2];
	int64 micros = 0;
	const char *at = moment_match(text, end, "0000-00-00", date);

	if (at == NULL || date[0] < 1 || date[1] < 1 || date[1] > 12 ||
		date[2] < 1 || date[2] > day_tab[isleap(date[0])][date[1] - 1])
		return false;
	moment->day = at == end;
	moment->zoned = false;
	moment->at = moment_midnight(date[0], date[1], date[2]);
	if (at == end)
		return true;
	if (*at != 'T' && *at != 't' && *at != ' ')
		return false;
	at = moment_match(at + 1, end, "00:00", clock);
	if (at == NULL || clock[0] > 23 || clock[1] > 59)
		return false;
	at = moment_seconds(at, end, &micros);
	if (at == NULL)
		return false;
	moment->at +=
		clock[0] * USECS_PER_HOUR + clock[1] * USECS_PER_MINUTE + micros;
	at = moment_offset(at, end, moment);
	return at == end && moment->at >= moment_midnight(1, 1, 1) &&
		   moment->at < moment_midnight(MOMENT_YEAR_MAX + 1, 1, 1);
}

/* Returns a day or time as text: with seconds, and in UTC if zoned. */
char *
rule_moment_text(const RuleMoment *moment)
{
	struct pg_tm tm;
	fsec_t fraction;
	char *text;
	int length;

	/* Four digits of a year are always in range. */
	if (timestamp2tm(moment->at, NULL, &tm, &fraction, NULL, NULL) != 0)
		elog(ERROR, "timestamp out of range");
	if (moment->day)
		return psprintf("%04d-%02d-%02d", tm.tm_year, tm.tm_mon, tm.tm_mday);
	text =
		psprintf("%04d-%02d-%02dT%02d:%02d:%02d.%06d", tm.tm_year, tm.tm_mon,
				 tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int) fraction);
	length = strlen(text);
	while (text[length - 1] == '0')
		length--;
	if (text[length - 1] == '.')
		length = strcspn(text, ".");
	return psprintf("%.*s%s", length, text, moment->zoned ? "Z" : "");
}

/* Tells whether two values that can be compared are in order. */
bool
rule_ordered(const RuleValue *low, const RuleValue *high)
{
	RuleMoment a;
	RuleMoment b;

	if (low->kind == RULE_NUMBER)
		return rule_number_compare(low->text, high->text) <= 0;
	/* Months and days have no order. */
	if (low->kind == RULE_DURATION)
		return (low->duration.months > 0) != (high->duration.months > 0) ||
			   low->duration.months < high->duration.months ||
			   (low->duration.months == high->duration.months &&
				low->duration.micros <= high->duration.micros);
	if (!rule_moment_parse(low->text, low->length, &a) ||
		!rule_moment_parse(high->text, high->length, &b))
		return true;
	return a.day != b.day || a.zoned != b.zoned || a.at <= b.at;
}
