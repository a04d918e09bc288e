/* Rule models out of text such as time_decay(7 days). */
#include "attribution/credit.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* Longest text of a model. */
#define CREDIT_TEXT_MAX 4000

typedef struct CreditForm
{
	const char *name;
	CreditKind kind;
	int least; /* numbers it takes */
	int most;
	double usual[3]; /* without parentheses */
} CreditForm;

static const CreditForm parse_forms[] = {
	{"first", CREDIT_FIRST, 0, 0, {0}},
	{"last", CREDIT_LAST, 0, 0, {0}},
	{"last_non_direct", CREDIT_LAST_NON_DIRECT, 0, 0, {0}},
	{"linear", CREDIT_LINEAR, 0, 0, {0}},
	{"time_decay", CREDIT_TIME_DECAY, 1, 1, {7.0 * USECS_PER_DAY}},
	{"u_shaped", CREDIT_U_SHAPED, 2, 2, {0.4, 0.4}},
	{"w_shaped", CREDIT_W_SHAPED, 3, 3, {0.3, 0.3, 0.3}},
	{"w_shaped_stage", CREDIT_W_SHAPED_STAGE, 3, 3, {0.3, 0.3, 0.3}},
	{"custom", CREDIT_CUSTOM, 1, CREDIT_WEIGHT_MAX, {0}},
	{"weight", CREDIT_WEIGHT, 0, 0, {0}},
};

typedef struct CreditUnit
{
	const char *name;
	double length; /* microseconds */
} CreditUnit;

static const CreditUnit parse_units[] = {
	{"second", USECS_PER_SEC},     {"minute", USECS_PER_MINUTE},
	{"hour", USECS_PER_HOUR},      {"day", USECS_PER_DAY},
	{"week", 7.0 * USECS_PER_DAY},
};

/* Raises the error for a text that is no model. */
static void
pg_attribute_noreturn() parse_fail(const char *text, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%.*s\" is not a model of attribution",
					pg_mbcliplen(text, strlen(text), 80), text),
			 errdetail("%s", detail),
			 errhint("Models are first, last, last_non_direct, linear, "
					 "time_decay(7 days), u_shaped(0.4, 0.4), w_shaped(0.3, "
					 "0.3, 0.3), w_shaped_stage(0.3, 0.3, 0.3), custom(0.5, "
					 "0.3, 0.2) and weight. In an array write "
					 "ARRAY['linear', 'custom(0.5, 0.3)'], or double quotes "
					 "around a model with commas.")));
}

/* Passes over blanks. */
static const char *
parse_blanks(const char *at)
{
	while (*at == ' ')
		at++;
	return at;
}

/* Reads a number: digits with a point or without. */
static const char *
parse_number(const char *text, const char *at, double *number)
{
	Size length = strspn(at, "0123456789.eE+-");
	char *end;

	if (length == 0 || length > 40 || *at == '-' || *at == '+')
		parse_fail(text, "It has something else where a number from 0 on is "
						 "expected.");
	*number = strtod(at, &end);
	if (end != at + length || isinf(*number))
		parse_fail(text, "A number cannot be read.");
	return parse_blanks(end);
}

/* Reads a unit of time, in the singular or plural. */
static const char *
parse_unit(const char *text, const char *at, double *length)
{
	for (int i = 0; i < lengthof(parse_units); i++)
	{
		Size size = strlen(parse_units[i].name);

		if (strncmp(at, parse_units[i].name, size) != 0)
			continue;
		at += size;
		*length = parse_units[i].length;
		return parse_blanks(*at == 's' ? at + 1 : at);
	}
	parse_fail(text,
			   "Its half-life has no unit: seconds, minutes, hours, days "
			   "or weeks.");
}

/* Reads a half-life. */
static const char *
parse_half_life(const char *text, const char *at, CreditModel *model)
{
	double number;
	double unit;

	at = parse_number(text, at, &number);
	at = parse_unit(text, at, &unit);
	model->params[0] = rint(number * unit); /* microseconds */
	model->nparams = 1;
	if (model->params[0] < 1.0 || model->params[0] > 1e6 * USECS_PER_DAY)
		parse_fail(text, "A half-life is a microsecond to a million days.");
	return at;
}

/* Reads the numbers between parentheses. */
static const char *
parse_params(const char *text, const char *at, CreditModel *model, int most)
{
	do
	{
		if (model->nparams == most)
			parse_fail(text, "It has too many numbers.");
		at = parse_number(text, parse_blanks(at + (model->nparams > 0)),
						  &model->params[model->nparams]);
		model->nparams++;
	} while (*at == ',');
	return at;
}

/* Raises an error unless the numbers make sense. */
static void
parse_check(const char *text, const CreditForm *form, const CreditModel *model)
{
	double sum = 0;

	if (model->nparams < form->least)
		parse_fail(text, "It has too few numbers.");
	for (int i = 0; i < model->nparams; i++)
		sum += model->params[i];
	if (model->kind == CREDIT_CUSTOM && sum <= 0)
		parse_fail(text, "Not all weights may be 0.");
	if ((model->kind == CREDIT_U_SHAPED || model->kind == CREDIT_W_SHAPED ||
		 model->kind == CREDIT_W_SHAPED_STAGE) &&
		(sum > 1.0 + 1e-9 || sum <= 0))
		parse_fail(text, "Its shares must add up to more than 0 and to 1 at "
						 "most.");
	if (isinf(sum))
		parse_fail(text, "Its weights are too large.");
}

/* Writes the usual form of a model. */
static char *
parse_name(const CreditForm *form, const CreditModel *model)
{
	StringInfoData name;

	initStringInfo(&name);
	appendStringInfoString(&name, form->name);
	for (int i = 0; i < model->nparams; i++)
	{
		double number = model->params[i];
		const char *unit = "";
		char digits[DOUBLE_SHORTEST_DECIMAL_LEN];

		if (model->kind == CREDIT_TIME_DECAY)
			for (int u = 0; u < lengthof(parse_units) - 1; u++)
				if (u == 0 ||
					fmod(model->params[i], parse_units[u].length) == 0)
				{
					number = model->params[i] / parse_units[u].length;
					unit = parse_units[u].name;
				}
		double_to_shortest_decimal_buf(number, digits);
		appendStringInfo(&name, "%s%s%s%s%s", i == 0 ? "(" : ", ", digits,
						 *unit ? " " : "", unit,
						 *unit && number != 1 ? "s" : "");
	}
	if (model->nparams > 0)
		appendStringInfoChar(&name, ')');
	return name.data;
}

/* Finds the form of a name. */
static const CreditForm *
parse_form(const char *text, const char *at, Size length)
{
	for (int i = 0; i < lengthof(parse_forms); i++)
		if (strlen(parse_forms[i].name) == length &&
			strncmp(parse_forms[i].name, at, length) == 0)
			return &parse_forms[i];
	if (strncmp(at, "markov", length) == 0 ||
		strncmp(at, "shapley", length) == 0)
		parse_fail(text, "It learns from all paths: make a set of them with "
						 "path_agg() for attribution_markov() or "
						 "attribution_shapley().");
	parse_fail(text, "There is no model of that name.");
}

/* Reads a model from its text, which need not be terminated. */
void
credit_parse(const char *from, int length, CreditModel *model)
{
	char *text = pnstrdup(from, Min(length, CREDIT_TEXT_MAX));
	const char *at = parse_blanks(text);
	Size size = strspn(at, "abcdefghijklmnopqrstuvwxyz_");
	const CreditForm *form = parse_form(text, at, size);

	if (length > CREDIT_TEXT_MAX)
		parse_fail(text, "It is too long.");
	model->kind = form->kind;
	model->nparams = 0;
	at = parse_blanks(at + size);
	if (*at == '(')
	{
		at = parse_blanks(at + 1);
		if (form->kind == CREDIT_TIME_DECAY)
			at = parse_half_life(text, at, model);
		else if (form->most > 0)
			at = parse_params(text, at, model, form->most);
		if (*at != ')')
			parse_fail(text, "A closing parenthesis is missing, or stands "
							 "behind something else.");
		at = parse_blanks(at + 1);
	}
	else if (form->kind != CREDIT_CUSTOM)
	{
		model->nparams = form->least;
		memcpy(model->params, form->usual, sizeof(form->usual));
	}
	if (*at != '\0')
		parse_fail(text, "There is something behind it.");
	parse_check(text, form, model);
	model->name = parse_name(form, model);
	pfree(text);
}
