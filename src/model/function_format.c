/*
 * formatNumber. Patterns may come from anybody, so each is taken apart here
 * and no text of its own ever reaches printf().
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "model/function.h"

#define FORMAT_MAX_WIDTH 200
#define FORMAT_MAX_PATTERN 1000

/* Conversions of whole numbers. */
#define FORMAT_WHOLE "dioxX"

/* The one conversion of a pattern. */
typedef struct Format
{
	Size start; /* of the conversion, */
	Size end;   /* and behind it */
	char flags[4];
	int width;
	int precision; /* -1 if there is none */
	char letter;
} Format;

/* Reads a number; its caller refuses one that is too large. */
static int
read_number(const char *pattern, Size size, Size *at)
{
	int result = 0;

	for (; *at < size && isdigit((unsigned char) pattern[*at]); (*at)++)
		if (result < 1000)
			result = result * 10 + (pattern[*at] - '0');
	return result;
}

/* Reads the conversion that begins at a percent sign. */
static const char *
read_conversion(const char *pattern, Size size, Size at, Format *format)
{
	int n = 0;

	format->start = at++;
	while (at < size && pattern[at] != '\0' &&
		   strchr("-+0", pattern[at]) != NULL)
	{
		if (n + 1 >= sizeof(format->flags) ||
			memchr(format->flags, pattern[at], n) != NULL)
			return "it has a flag twice";
		format->flags[n++] = pattern[at++];
	}
	format->flags[n] = '\0';
	format->width = read_number(pattern, size, &at);
	format->precision = -1;
	if (at < size && pattern[at] == '.')
	{
		at++;
		format->precision = read_number(pattern, size, &at);
	}
	if (format->width > FORMAT_MAX_WIDTH ||
		format->precision > FORMAT_MAX_WIDTH)
		return "it asks for too many digits";
	if (at >= size || pattern[at] == '\0' ||
		strchr(FORMAT_WHOLE "eEfgG", pattern[at]) == NULL)
		return "it has a conversion that is not supported";
	if (format->precision >= 0 && strchr(FORMAT_WHOLE, pattern[at]) != NULL)
		return "an integer has no precision";
	format->letter = pattern[at];
	format->end = at + 1;
	return NULL;
}

/* Reads a pattern, which has one conversion; else tells why it cannot. */
static const char *
read_pattern(const char *pattern, Size size, Format *format)
{
	const char *error;
	Size at;

	memset(format, 0, sizeof(Format));
	if (size > FORMAT_MAX_PATTERN)
		return "it is too long";
	for (at = 0; at < size; at++)
	{
		if (pattern[at] != '%')
			continue;
		if (at + 1 < size && pattern[at + 1] == '%')
		{
			at++;
			continue;
		}
		if (format->letter != '\0')
			return "it has more than one conversion";
		error = read_conversion(pattern, size, at, format);
		if (error != NULL)
			return error;
		at = format->end - 1;
	}
	return format->letter == '\0' ? "it has no conversion" : NULL;
}

/* Why a pattern cannot write numbers, whole or not; NULL if it can. */
const char *
function_number_format_error(const char *pattern, Size size, bool whole)
{
	Format format;
	const char *error = read_pattern(pattern, size, &format);

	if (error == NULL && !whole && strchr(FORMAT_WHOLE, format.letter) != NULL)
		return "its conversion needs an integer";
	return error;
}

/* Writes a part of a pattern that is no conversion. */
static void
append_plain(StringInfo out, const char *from, const char *to)
{
	for (; from < to; from++)
	{
		appendStringInfoChar(out, *from);
		if (*from == '%')
			from++;
	}
}

/* Writes the number. */
static void
append_number(StringInfo out, const Format *format, double value)
{
	char spec[24];

	if (strchr(FORMAT_WHOLE, format->letter) != NULL)
	{
		snprintf(spec, sizeof(spec), "%%%s*%c", format->flags, format->letter);
		appendStringInfo(out, spec, format->width, (int) value);
		return;
	}
	snprintf(spec, sizeof(spec), "%%%s*.*%c", format->flags, format->letter);
	appendStringInfo(out, spec, format->width,
					 format->precision < 0 ? 6 : format->precision, value);
}

/* Writes a number by a pattern as printf() of C has them. */
double
function_format_number(const FunctionCall *call)
{
	double value = call->args[0];
	StringInfoData out;
	Format format;
	Size size;
	const char *pattern = run_text_get(call->run, call->args[1], &size);
	double result;

	if (pattern == NULL || read_pattern(pattern, size, &format) != NULL)
		return function_invalid(call);
	if (strchr(FORMAT_WHOLE, format.letter) != NULL &&
		!(value == floor(value) && value >= PG_INT32_MIN &&
		  value <= PG_INT32_MAX))
		return function_invalid(call);
	initStringInfo(&out);
	append_plain(&out, pattern, pattern + format.start);
	append_number(&out, &format, value);
	append_plain(&out, pattern + format.end, pattern + size);
	result = run_text(call->run, out.data, out.len);
	pfree(out.data);
	return result;
}
