/*
 * Values of one type as values of another. What cannot be cast, such as 2.5
 * to a whole number or "abc" to any number, becomes missing.
 */
#include "postgres.h"

#include "common/shortest_dec.h"
#include "model/expression.h"
#include "utils/datetime.h"

/* Room for a number, a date, or a time: two of them fit VALUE_FORMAT_SIZE. */
#define CAST_PIECE 32

/* The longest text that can be a value of another type. */
#define CAST_MAX_TEXT 128

/*
 * Writes digits as Java does: 1.0, 0.001, 1.0E7, 1.2345E-5. The point stands
 * before the digit at exponent + 1.
 */
static int
format_digits(char *buffer, const char *digits, int ndigits, int exponent)
{
	char *out = buffer;

	if (exponent >= -3 && exponent < 7)
	{
		if (exponent < 0)
			out += snprintf(out, CAST_PIECE, "0.%.*s", -1 - exponent, "00");
		for (int i = 0; i < Max(ndigits, exponent + 2); i++)
		{
			*out++ = i < ndigits ? digits[i] : '0';
			if (i == exponent && exponent >= 0)
				*out++ = '.';
			if (exponent < 0 && i == ndigits - 1)
				break;
		}
		*out = '\0';
	}
	else
		out += snprintf(out, CAST_PIECE, "%c.%.*sE%d", digits[0],
						Max(ndigits - 1, 1), ndigits > 1 ? digits + 1 : "0",
						exponent);
	return (int) (out - buffer);
}

/* Writes a number of 64 or 32 bits with the fewest digits that tell it. */
static int
format_real(char *buffer, double value, bool single)
{
	char shortest[DOUBLE_SHORTEST_DECIMAL_LEN];
	char digits[DOUBLE_SHORTEST_DECIMAL_LEN];
	char *out = buffer;
	int ndigits = 0;
	int point = -1;
	int exponent = 0;
	char *at = shortest;

	if (isinf(value))
		return snprintf(buffer, CAST_PIECE,
						value < 0 ? "-Infinity" : "Infinity");
	if (single)
		float_to_shortest_decimal_buf((float) value, shortest);
	else
		double_to_shortest_decimal_buf(value, shortest);
	if (*at == '-')
		*out++ = *at++;
	for (; *at != '\0' && *at != 'e'; at++)
	{
		if (*at == '.')
			point = ndigits;
		else
			digits[ndigits++] = *at;
	}
	exponent = (point < 0 ? ndigits : point) - 1;
	if (*at == 'e')
		exponent += (int) strtol(at + 1, NULL, 10);
	/* Zeros in front only move the point, zeros behind mean nothing. */
	at = digits;
	while (ndigits > 1 && *at == '0')
	{
		at++;
		ndigits--;
		exponent--;
	}
	while (ndigits > 1 && at[ndigits - 1] == '0')
		ndigits--;
	if (*at == '0')
		exponent = 0;
	out += format_digits(out, at, ndigits, exponent);
	return (int) (out - buffer);
}

/* Writes days since 1970-01-01 as a date. */
static int
format_date(char *buffer, double days)
{
	int year;
	int month;
	int day;

	if (!(fabs(days) < 1e8))
		return 0;
	j2date((int) days + UNIX_EPOCH_JDATE, &year, &month, &day);
	return snprintf(buffer, CAST_PIECE, "%04d-%02d-%02d", year, month, day);
}

/* Writes seconds of a day as a time. */
static int
format_time(char *buffer, double seconds)
{
	int second;

	if (!(fabs(seconds) < 1e9))
		return 0;
	second = (int) seconds;
	return snprintf(buffer, CAST_PIECE, "%02d:%02d:%02d",
					second / SECS_PER_HOUR, second / SECS_PER_MINUTE % 60,
					second % 60);
}

/*
 * Writes a value that is not text and not missing, as Java prints numbers;
 * returns the length, 0 if there is no such date: then nothing is written.
 */
int
value_format(char *buffer, ValueType type, double value)
{
	double days = floor(value / SECS_PER_DAY);
	int size;

	switch (type)
	{
		case VALUE_DOUBLE:
		case VALUE_FLOAT:
			return format_real(buffer, value, type == VALUE_FLOAT);
		case VALUE_BOOLEAN:
			return snprintf(buffer, CAST_PIECE, "%s",
							value != 0 ? "true" : "false");
		case VALUE_DATE:
			return format_date(buffer, value);
		case VALUE_TIME:
			return format_time(buffer, value);
		case VALUE_TIMESTAMP:
			size = format_date(buffer, days);
			if (size == 0)
				return 0;
			buffer[size++] = 'T';
			return size +
				   format_time(buffer + size, value - days * SECS_PER_DAY);
		default:
			if (fabs(value) < 1e18)
				return snprintf(buffer, CAST_PIECE, INT64_FORMAT,
								(int64) value);
			return format_real(buffer, value, false);
	}
}

/* A value as days since 1970-01-01, NaN if it is none. */
static double
cast_to_days(ValueType from, int year, double value)
{
	switch (from)
	{
		case VALUE_DATE:
			return value;
		case VALUE_TIMESTAMP:
			return floor(value / SECS_PER_DAY);
		case VALUE_DAYS_SINCE:
			return value + value_epoch(year);
		case VALUE_SECONDS_SINCE:
			return floor(value / SECS_PER_DAY) + value_epoch(year);
		default:
			return NAN;
	}
}

/* A value as seconds since 1970-01-01, NaN if it is none. */
static double
cast_to_seconds(ValueType from, int year, double value)
{
	switch (from)
	{
		case VALUE_TIMESTAMP:
			return value;
		case VALUE_SECONDS_SINCE:
			return value + value_epoch(year) * SECS_PER_DAY;
		default:
			return cast_to_days(from, year, value) * SECS_PER_DAY;
	}
}

/* A value as seconds of the day, NaN if it is none. */
static double
cast_to_time(ValueType from, double value)
{
	switch (from)
	{
		case VALUE_TIME:
		case VALUE_SECONDS:
			return value;
		case VALUE_TIMESTAMP:
		case VALUE_SECONDS_SINCE:
			return value - floor(value / SECS_PER_DAY) * SECS_PER_DAY;
		default:
			return NAN;
	}
}

/* Tells whether values of a type are counts or measures. */
static bool
cast_is_number(ValueType type)
{
	return type == VALUE_DOUBLE || type == VALUE_FLOAT ||
		   type == VALUE_INTEGER || type == VALUE_BOOLEAN ||
		   type == VALUE_DAYS_SINCE || type == VALUE_SECONDS_SINCE ||
		   type == VALUE_SECONDS;
}

/* A value that is no text as one of another type that is no text. */
double
cast_value(ValueType from, int from_year, ValueType to, int to_year,
		   double value)
{
	bool counts = cast_is_number(from);
	bool number = counts && (from == VALUE_DOUBLE || from == VALUE_FLOAT ||
							 from == VALUE_INTEGER);

	switch (to)
	{
		case VALUE_DOUBLE:
			return counts ? value : NAN;
		case VALUE_FLOAT:
			return counts ? (double) (float) value : NAN;
		case VALUE_INTEGER:
			return counts && value == floor(value) && !isinf(value) ? value
																	: NAN;
		case VALUE_BOOLEAN:
			return counts && (value == 0 || value == 1) ? value : NAN;
		case VALUE_DATE:
			return cast_to_days(from, from_year, value);
		case VALUE_TIME:
			return cast_to_time(from, value);
		case VALUE_TIMESTAMP:
			return cast_to_seconds(from, from_year, value);
		case VALUE_DAYS_SINCE:
			return number ? floor(value)
						  : cast_to_days(from, from_year, value) -
								value_epoch(to_year);
		case VALUE_SECONDS_SINCE:
			return number ? floor(value)
						  : cast_to_seconds(from, from_year, value) -
								value_epoch(to_year) * SECS_PER_DAY;
		case VALUE_SECONDS:
			return number ? floor(value) : cast_to_time(from, value);
		case VALUE_TEXT:
			break;
	}
	return NAN;
}

/* The value that a text is written for, NaN if it is none. */
static double
cast_from_text(const Run *run, double code, ValueType type, int year)
{
	char copy[CAST_MAX_TEXT + 1];
	double value;
	Size size;
	const char *text = run_text_get(run, code, &size);

	if (text == NULL || size > CAST_MAX_TEXT)
		return NAN;
	memcpy(copy, text, size);
	copy[size] = '\0';
	return value_from_text(copy, type, year, &value) ? value : NAN;
}

/* The text that a value is written as. */
static double
cast_to_text(const Run *run, ValueType type, double value)
{
	char buffer[VALUE_FORMAT_SIZE];
	int size = value_format(buffer, type, value);

	return size == 0 ? NAN : run_text(run, buffer, size);
}

/* from, its year, to, its year, value. */
static double
eval_cast(const Run *run, const uint32 *args, const double *row)
{
	double value = expression_eval(run, args[4], row);

	if (isnan(value))
		return value;
	if (args[0] == VALUE_TEXT)
		return cast_from_text(run, value, args[2], (int) args[3]);
	if (args[2] == VALUE_TEXT)
		return cast_to_text(run, args[0], value);
	return cast_value(args[0], (int) args[1], args[2], (int) args[3], value);
}

static bool
check_cast(const Model *model, const uint32 *args)
{
	return args[0] < VALUE_TYPES && args[1] <= MODEL_MAX_YEAR &&
		   args[2] < VALUE_TYPES && args[3] <= MODEL_MAX_YEAR;
}

const ModelOp model_op_cast = {"cast", "iiiix", check_cast, eval_cast, NULL};

/* A number that is known as one of another type. */
static Operand
cast_constant(Compiler *c, Operand value, FieldType type)
{
	double result = value.value;

	if (isnan(result))
		return expression_number(c, result, type);
	if (type.type == VALUE_TEXT)
	{
		char buffer[VALUE_FORMAT_SIZE];
		int size = value_format(buffer, value.type.type, result);

		result = size == 0 ? NAN : builder_text(c, buffer);
	}
	else if (value.type.type != VALUE_TEXT)
		result = cast_value(value.type.type, value.type.year, type.type,
							type.year, result);
	else if (!value_from_text(builder_text_get(c, (uint32) result), type.type,
							  type.year, &result))
		result = NAN;
	return expression_number(c, result, type);
}

/* Tells whether each value of a type is held alike by another. */
static bool
cast_is_same(FieldType from, FieldType to)
{
	if (from.type == to.type)
		return from.year == to.year;
	return (from.type == VALUE_FLOAT || from.type == VALUE_INTEGER ||
			from.type == VALUE_BOOLEAN) &&
		   to.type == VALUE_DOUBLE;
}

/* The value of an operand as one of another type. */
Operand
expression_cast(Compiler *c, Operand value, FieldType type)
{
	if (cast_is_same(value.type, type))
	{
		value.type = type;
		return value;
	}
	if (value.constant)
		return cast_constant(c, value, type);
	code_begin(c, OP_cast);
	code_word(c, value.type.type);
	code_word(c, value.type.year);
	code_word(c, type.type);
	code_word(c, type.year);
	code_word(c, value.at);
	return operand_make(code_end(c), type);
}
