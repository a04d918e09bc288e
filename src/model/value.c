/* Types of PMML, values and arrays of them written as text. */
#include "postgres.h"

#include <ctype.h>

#include "miscadmin.h"
#include "model/compile.h"
#include "utils/datetime.h"

/* Most values of an array that are told by a number only. */
#define VALUE_MAX_SPARSE 1000000

typedef struct TypeName
{
	const char *name;
	ValueType type;
	OpType optype;
} TypeName;

static const TypeName type_names[] = {
	{"string", VALUE_TEXT, OPTYPE_CATEGORICAL},
	{"integer", VALUE_INTEGER, OPTYPE_CONTINUOUS},
	{"float", VALUE_FLOAT, OPTYPE_CONTINUOUS},
	{"double", VALUE_DOUBLE, OPTYPE_CONTINUOUS},
	{"boolean", VALUE_BOOLEAN, OPTYPE_CATEGORICAL},
	{"date", VALUE_DATE, OPTYPE_ORDINAL},
	{"time", VALUE_TIME, OPTYPE_ORDINAL},
	{"dateTime", VALUE_TIMESTAMP, OPTYPE_ORDINAL},
	{"timeSeconds", VALUE_SECONDS, OPTYPE_CONTINUOUS},
};

/* Reads the year of a type like dateDaysSince[1960]. */
static bool
type_since(const char *name, const char *prefix, ValueType value,
		   FieldType *type)
{
	Size size = strlen(prefix);
	char *end;
	long year;

	if (strncmp(name, prefix, size) != 0 ||
		!isdigit((unsigned char) name[size]))
		return false;
	year = strtol(name + size, &end, 10);
	if (strcmp(end, "]") != 0 || year > MODEL_MAX_YEAR)
		return false;
	*type = (FieldType){value, OPTYPE_CONTINUOUS, (int) year};
	return true;
}

/* The type with a name of PMML, with the usual operational type. */
bool
type_try(const char *name, FieldType *type)
{
	for (int i = 0; i < lengthof(type_names); i++)
		if (strcmp(name, type_names[i].name) == 0)
		{
			*type = (FieldType){type_names[i].type, type_names[i].optype, 0};
			return true;
		}
	return type_since(name, "dateDaysSince[", VALUE_DAYS_SINCE, type) ||
		   type_since(name, "dateTimeSecondsSince[", VALUE_SECONDS_SINCE,
					  type);
}

/* The type that the attributes dataType and optype of an element tell. */
FieldType
type_parse(XmlNode *node, FieldType missing)
{
	const char *name = xml_attr(node, "dataType");
	FieldType type = missing;

	if (name != NULL && !type_try(name, &type))
		xml_unsupported(node, "dataType", name);
	type.optype = xml_choice(node, "optype", "continuous|categorical|ordinal",
							 type.optype);
	return type;
}

/* Reads so many digits. */
static bool
value_digits(const char **at, int digits, int *value)
{
	*value = 0;
	for (int i = 0; i < digits; i++, (*at)++)
	{
		if (!isdigit((unsigned char) **at))
			return false;
		*value = *value * 10 + (**at - '0');
	}
	return true;
}

/* Reads a date, 2026-01-31, as days since 1970-01-01. */
static bool
value_date(const char **at, double *days)
{
	int year;
	int month;
	int day;

	if (!value_digits(at, 4, &year) || *(*at)++ != '-' ||
		!value_digits(at, 2, &month) || *(*at)++ != '-' ||
		!value_digits(at, 2, &day))
		return false;
	if (month < 1 || month > 12 || day < 1 ||
		day > day_tab[isleap(year)][month - 1])
		return false;
	*days = date2j(year, month, day) - UNIX_EPOCH_JDATE;
	return true;
}

/* Reads a time of day, 23:59:59 with an ignored fraction, as seconds. */
static bool
value_time(const char **at, double *seconds)
{
	int hour;
	int minute;
	int second = 0;

	if (!value_digits(at, 2, &hour) || *(*at)++ != ':' ||
		!value_digits(at, 2, &minute))
		return false;
	if (**at == ':')
	{
		(*at)++;
		if (!value_digits(at, 2, &second))
			return false;
	}
	if (**at == '.')
		for ((*at)++; isdigit((unsigned char) **at);)
			(*at)++;
	if (hour > 23 || minute > 59 || second > 59)
		return false;
	*seconds = (hour * 60 + minute) * 60 + second;
	return true;
}

/* Reads Z or an offset from UTC, +05:30, +0530 or +05, if there is one. */
static bool
value_offset(const char **at, double *seconds)
{
	int sign = **at == '-' ? -1 : 1;
	int hours;
	int minutes = 0;

	*seconds = 0;
	if (**at == 'Z')
		(*at)++;
	else if (**at == '+' || **at == '-')
	{
		(*at)++;
		if (!value_digits(at, 2, &hours))
			return false;
		if (**at == ':')
			(*at)++;
		if (**at != '\0' && !value_digits(at, 2, &minutes))
			return false;
		*seconds = sign * (hours * 60 + minutes) * 60;
	}
	return true;
}

/*
 * Reads a date and maybe a time after it, as seconds since 1970-01-01, of UTC
 * where there is an offset.
 */
static bool
value_timestamp(const char **at, double *seconds)
{
	double time = 0;
	double offset = 0;

	if (!value_date(at, seconds))
		return false;
	if (**at == 'T' || **at == ' ')
	{
		(*at)++;
		if (!value_time(at, &time) || !value_offset(at, &offset))
			return false;
	}
	*seconds = *seconds * SECS_PER_DAY + time - offset;
	return true;
}

/* Reads true or false. */
static bool
value_truth(const char *text, double *value)
{
	*value = pg_strcasecmp(text, "true") == 0;
	return *value != 0 || pg_strcasecmp(text, "false") == 0;
}

/*
 * Reads a number, which may have white space around it; 32 bits are rounded
 * once, from the decimal digits.
 */
static bool
value_number(const char *text, bool single, double *value)
{
	char *end;

	if (strpbrk(text, "xXpP") != NULL)
		return false;
	*value = single ? strtof(text, &end) : strtod(text, &end);
	if (end == text)
		return false;
	while (isspace((unsigned char) *end))
		end++;
	return *end == '\0';
}

/* Reads true or false, or 1 or 0. */
static bool
value_boolean(const char *text, double *value)
{
	return value_truth(text, value) ||
		   (value_number(text, false, value) && (*value == 0 || *value == 1));
}

/* Days from 1970-01-01 to January 1 of a year. */
double
value_epoch(int year)
{
	return date2j(year, 1, 1) - UNIX_EPOCH_JDATE;
}

/* Reads a value of a type that says when it counts from. */
static bool
value_since(const char *text, ValueType type, int year, double *value)
{
	const char *at = text;

	/* A number is one already, as predicates and tables write it. */
	if (value_number(text, false, value))
		return *value == floor(*value);
	switch (type)
	{
		case VALUE_DAYS_SINCE:
			if (!value_timestamp(&at, value))
				return false;
			*value = floor(*value / SECS_PER_DAY) - value_epoch(year);
			break;
		case VALUE_SECONDS_SINCE:
			if (!value_timestamp(&at, value))
				return false;
			*value -= value_epoch(year) * SECS_PER_DAY;
			break;
		default:
			if (!value_time(&at, value))
				return false;
	}
	return *at == '\0';
}

/* Reads a value of a type that is not text; false when it is none. */
bool
value_from_text(const char *text, ValueType type, int year, double *value)
{
	const char *at = text;

	switch (type)
	{
		case VALUE_DOUBLE:
		case VALUE_FLOAT:
			return value_number(text, type == VALUE_FLOAT, value) ||
				   value_truth(text, value);
		case VALUE_INTEGER:
			if (value_number(text, false, value))
				return *value == floor(*value) && !isinf(*value);
			return value_truth(text, value);
		case VALUE_BOOLEAN:
			return value_boolean(text, value);
		case VALUE_DATE:
			if (!value_timestamp(&at, value))
				return false;
			*value = floor(*value / SECS_PER_DAY);
			return *at == '\0';
		case VALUE_TIME:
			return value_time(&at, value) && *at == '\0';
		case VALUE_TIMESTAMP:
			return value_timestamp(&at, value) && *at == '\0';
		case VALUE_DAYS_SINCE:
		case VALUE_SECONDS_SINCE:
		case VALUE_SECONDS:
			return value_since(text, type, year, value);
		case VALUE_TEXT:
			break;
	}
	return false;
}

/* As value_from_text(), for all types: a text enters the dictionary. */
bool
value_try(Compiler *c, const char *text, FieldType type, double *value)
{
	if (type.type != VALUE_TEXT)
		return value_from_text(text, type.type, type.year, value);
	*value = builder_text(c, text);
	return true;
}

/* The value that a text stands for, or an error. */
double
value_parse(Compiler *c, XmlNode *node, const char *text, FieldType type)
{
	double value;

	if (!value_try(c, text, type, &value))
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "value \"%s\" does not have the type of its field", text);
	return value;
}

/* The next word of an array, in quotes or not; NULL at the end. */
static char *
word_next(XmlNode *array, const char **at)
{
	const char *start;
	const char *end;
	char *word;
	char *out;

	while (isspace((unsigned char) **at))
		(*at)++;
	if (**at == '\0')
		return NULL;
	start = *at;
	if (*start != '"')
	{
		while (**at != '\0' && !isspace((unsigned char) **at))
			(*at)++;
		return pnstrdup(start, *at - start);
	}
	for (end = ++start; *end != '"'; end++)
	{
		if (*end == '\\' && end[1] == '"')
			end++;
		if (*end == '\0')
			xml_fail(array, ERRCODE_INVALID_PARAMETER_VALUE,
					 "quoted text in an array does not end");
	}
	*at = end + 1;
	out = word = palloc(end - start + 1);
	for (; start < end; start++)
	{
		if (*start == '\\' && start[1] == '"')
			start++;
		*out++ = *start;
	}
	*out = '\0';
	return word;
}

/* The words of an Array, whose number must be the one it tells; or NULL. */
char **
value_words(XmlNode *array, int *n)
{
	int told = xml_count(array, "n", -1);
	const char *at = array->text == NULL ? "" : array->text;
	uint32 size = 0;
	char **words = NULL;
	char *word;

	xml_choice(array, "type", "int|real|string", 0);
	*n = 0;
	while ((word = word_next(array, &at)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		words = builder_grow(words, *n, 1, &size, sizeof(char *));
		words[(*n)++] = word;
	}
	if (told >= 0 && told != *n)
		xml_fail(array, ERRCODE_INVALID_PARAMETER_VALUE,
				 "array has %d values, not %d", *n, told);
	return words;
}

/* The values of an Array, as slots hold values of a type. */
double *
value_array(Compiler *c, XmlNode *array, FieldType type, int *n)
{
	char **words = value_words(array, n);
	double *values = palloc(Max(*n, 1) * sizeof(double));

	for (int i = 0; i < *n; i++)
	{
		values[i] = value_parse(c, array, words[i], type);
		pfree(words[i]);
	}
	if (words != NULL)
		pfree(words);
	return values;
}

/* The words of an element as numbers. */
static double *
number_words(XmlNode *array, int *n)
{
	char **words = value_words(array, n);
	double *values = palloc(Max(*n, 1) * sizeof(double));

	for (int i = 0; i < *n; i++)
	{
		values[i] = xml_parse_number(array, words[i]);
		pfree(words[i]);
	}
	if (words != NULL)
		pfree(words);
	return values;
}

/* The numbers of a part of a sparse array. */
static double *
sparse_part(XmlNode *array, const char *name, int *n)
{
	XmlNode *part = xml_child(array, name);

	*n = 0;
	return part == NULL ? NULL : number_words(part, n);
}

/* The numbers of a sparse array, with its default value in between. */
static double *
sparse_parse(XmlNode *array, bool real, int *n)
{
	int nindices;
	int nentries;
	double *indices = sparse_part(array, "Indices", &nindices);
	double *entries =
		sparse_part(array, real ? "REAL-Entries" : "INT-Entries", &nentries);
	double missing = xml_number(array, "defaultValue", 0);
	double last;
	double *values;

	last = nindices > 0 ? indices[nindices - 1] : 0;
	if (!(last <= VALUE_MAX_SPARSE))
		last = VALUE_MAX_SPARSE + 1;
	*n = xml_count(array, "n", (int) Max(last, 0));
	if (*n > VALUE_MAX_SPARSE)
		xml_fail(array, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
				 "sparse array has more than %d values", VALUE_MAX_SPARSE);
	if (nindices != nentries)
		xml_fail(array, ERRCODE_INVALID_PARAMETER_VALUE,
				 "sparse array has %d indices for %d entries", nindices,
				 nentries);
	values = palloc(Max(*n, 1) * sizeof(double));
	for (int i = 0; i < *n; i++)
		values[i] = missing;
	for (int i = 0; i < nindices; i++)
	{
		if (!(indices[i] >= 1 && indices[i] <= *n))
			xml_fail(array, ERRCODE_INVALID_PARAMETER_VALUE,
					 "sparse array has no place %g", indices[i]);
		values[(int) indices[i] - 1] = entries[i];
	}
	return values;
}

/* The numbers of an Array, REAL-SparseArray or INT-SparseArray. */
double *
value_numbers(XmlNode *array, int *n)
{
	if (xml_named(array, "REAL-SparseArray") ||
		xml_named(array, "INT-SparseArray"))
		return sparse_parse(array, xml_named(array, "REAL-SparseArray"), n);
	return number_words(array, n);
}
