/* Built-in functions of texts, which are UTF-8; characters are code points. */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "model/function.h"
#include "model/regex.h"

/* Longest text that a function makes. */
#define FUNCTION_MAX_TEXT (16 * 1024 * 1024)

/* An argument that is a text; an empty one if there is none. */
static const char *
text_argument(const FunctionCall *call, int i, Size *size)
{
	const char *text = run_text_get(call->run, call->args[i], size);

	return text == NULL ? "" : text;
}

/* The number of a text that was made; its memory is given back. */
static double
text_result(const FunctionCall *call, StringInfo text)
{
	double result = run_text(call->run, text->data, text->len);

	pfree(text->data);
	return result;
}

/* Writes a text in another case. */
static double
change_case(const FunctionCall *call, bool upper)
{
	StringInfoData out;
	Size size;
	const char *text = text_argument(call, 0, &size);

	initStringInfo(&out);
	regex_case(call->run, &out, text, size, upper);
	return text_result(call, &out);
}

/* Writes a text in upper case. */
double
function_uppercase(const FunctionCall *call)
{
	return change_case(call, true);
}

/* Writes a text in lower case. */
double
function_lowercase(const FunctionCall *call)
{
	return change_case(call, false);
}

/* Bytes of so many characters of a text, or of all. */
static Size
text_bytes(const char *text, Size size, double characters)
{
	Size at = 0;

	for (; at < size && characters >= 1; characters--)
		at += pg_utf_mblen((const unsigned char *) text + at);
	return Min(at, size);
}

/* The number of characters of a text. */
double
function_length(const FunctionCall *call)
{
	Size size;
	const char *text = text_argument(call, 0, &size);
	double result = 0;
	Size i;

	for (i = 0; i < size; i++)
		result += (text[i] & 0xC0) != 0x80;
	return result;
}

/* A part of a text: from a place, which counts from 1, so many characters. */
double
function_substring(const FunctionCall *call)
{
	Size size;
	const char *text = text_argument(call, 0, &size);
	Size from;

	if (call->args[1] < 1 || call->args[2] < 0)
		return function_invalid(call);
	from = text_bytes(text, size, call->args[1] - 1);
	return run_text(call->run, text + from,
					text_bytes(text + from, size - from, call->args[2]));
}

/* A text without blanks and control characters around it. */
double
function_trim(const FunctionCall *call)
{
	Size size;
	const char *text = text_argument(call, 0, &size);

	while (size > 0 && (unsigned char) text[size - 1] <= ' ')
		size--;
	while (size > 0 && (unsigned char) *text <= ' ')
	{
		text++;
		size--;
	}
	return run_text(call->run, text, size);
}

/* Texts behind each other; those that are missing are left out. */
double
function_concat(const FunctionCall *call)
{
	StringInfoData out;
	int i;

	initStringInfo(&out);
	for (i = 0; i < call->n; i++)
	{
		Size size;
		const char *text = text_argument(call, i, &size);

		if (size > FUNCTION_MAX_TEXT || out.len + size > FUNCTION_MAX_TEXT)
			ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
							errmsg("text becomes too long")));
		appendBinaryStringInfo(&out, text, (int) size);
	}
	return text_result(call, &out);
}

/* The regular expression that is an argument. */
static Regex *
regex_argument(const FunctionCall *call, int i)
{
	Size size;
	const char *pattern = text_argument(call, i, &size);

	return regex_get(call->run, pattern, size, 0);
}

/* A text with all matches of a regular expression replaced. */
double
function_replace(const FunctionCall *call)
{
	StringInfoData out;
	Regex *regex = regex_argument(call, 1);
	Size size;
	Size length;
	const char *text = text_argument(call, 0, &size);
	const char *replacement = text_argument(call, 2, &length);

	initStringInfo(&out);
	regex_replace(&out, regex, text, size, replacement, length);
	return text_result(call, &out);
}

/* Whether a regular expression matches some part of a text. */
double
function_matches(const FunctionCall *call)
{
	Regex *regex = regex_argument(call, 1);
	Size size;
	const char *text = text_argument(call, 0, &size);
	Size start;
	Size end;

	return regex_find(regex, text, size, 0, &start, &end);
}
