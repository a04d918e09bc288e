/*
 * Expressions of features:
 *
 *   [name =] series aggregate [window] [/ series aggregate [window]]
 *
 * say "search count 30d", "booking sum lifetime", "booking recency" or
 * "affinity = touch.email count 90d / touch count 90d".
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "parser/scansup.h"
#include "profile/feature.h"
#include "utils/builtins.h"

#define EXPRESSION_BYTES_MAX 1000

static const char *const aggregate_names[] = {
	"count", "sum", "mean", "min", "max", "days", "recency", "tenure"};

/* Where in an expression the parser is. */
typedef struct FeatureParser
{
	const char *text;
	const char *at;
} FeatureParser;

/* Raises the error for an expression that cannot be read. */
static void
parse_error(const FeatureParser *parser, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_SYNTAX_ERROR),
			 errmsg("feature \"%s\" cannot be read", parser->text),
			 errdetail_internal("%s", detail),
			 errhint("Write a series, an aggregate and a window, say "
					 "\"search count 30d\" or \"booking sum lifetime\".")));
}

/* Steps over white space. */
static void
parse_space(FeatureParser *parser)
{
	while (scanner_isspace(*parser->at))
		parser->at++;
}

/* Takes a word in quotes. */
static char *
parse_quoted(FeatureParser *parser)
{
	StringInfoData word;

	initStringInfo(&word);
	for (parser->at++;; parser->at++)
	{
		if (*parser->at == '\0')
			parse_error(parser, "A quote is not closed.");
		if (*parser->at == '"' && *++parser->at != '"')
			break;
		appendStringInfoChar(&word, *parser->at);
	}
	return word.data;
}

/* Takes the next word, NULL when an operator or the end is next. */
static char *
parse_word(FeatureParser *parser)
{
	const char *start;

	parse_space(parser);
	if (*parser->at == '"')
		return parse_quoted(parser);
	start = parser->at;
	while (*parser->at != '\0' && !scanner_isspace(*parser->at) &&
		   strchr("=/\"", *parser->at) == NULL)
		parser->at++;
	return parser->at == start ? NULL : pnstrdup(start, parser->at - start);
}

/* Takes the operator if it is next. */
static bool
parse_operator(FeatureParser *parser, char operator)
{
	parse_space(parser);
	if (*parser->at != operator)
		return false;
	parser->at++;
	return true;
}

/* Takes the name of an aggregate. */
static FeatureAggregate
parse_aggregate(FeatureParser *parser)
{
	char *word = parse_word(parser);

	for (int i = 0; word != NULL && i < lengthof(aggregate_names); i++)
		if (strcmp(word, aggregate_names[i]) == 0)
			return (FeatureAggregate) i;
	parse_error(parser, "An aggregate is count, sum, mean, min, max, days, "
						"recency or tenure.");
	return FEATURE_COUNT;
}

/* Takes a window: a number of days, or 0 for lifetime. */
static int32
parse_window(FeatureParser *parser)
{
	char *word = parse_word(parser);
	char *end;
	long days;

	if (word != NULL && strcmp(word, "lifetime") == 0)
		return 0;
	if (word != NULL && word[0] >= '1' && word[0] <= '9')
	{
		days = strtol(word, &end, 10);
		if (strcmp(end, "d") == 0 && days <= FEATURE_DAYS_MAX)
			return (int32) days;
	}
	parse_error(parser, "A window is lifetime, or 1d to 36500d.");
	return 0;
}

/* Takes series, aggregate and, where there is one, window. */
static FeaturePart
parse_part(FeatureParser *parser, const char *series)
{
	FeaturePart part = {.series = series};

	if (part.series == NULL || part.series[0] == '\0')
		parse_error(parser, "A series is missing.");
	part.aggregate = parse_aggregate(parser);
	if (part.aggregate != FEATURE_RECENCY && part.aggregate != FEATURE_TENURE)
		part.days = parse_window(parser);
	return part;
}

/* Appends the name that a part has when it is not given one. */
static void
part_name(StringInfo name, const FeaturePart *part)
{
	for (const char *c = part->series; *c != '\0'; c++)
		appendStringInfoChar(name, *c == '.' || *c == ' ' ? '_' : *c);
	appendStringInfo(name, "_%s", aggregate_names[part->aggregate]);
	if (part->aggregate == FEATURE_RECENCY ||
		part->aggregate == FEATURE_TENURE)
		return;
	if (part->days == 0)
		appendStringInfoString(name, "_lifetime");
	else
		appendStringInfo(name, "_%dd", part->days);
}

/* Returns the name of a feature that has none of its own. */
static char *
feature_name(const Feature *feature)
{
	StringInfoData name;

	initStringInfo(&name);
	part_name(&name, &feature->part);
	if (feature->divided)
	{
		appendStringInfoString(&name, "_per_");
		part_name(&name, &feature->divisor);
	}
	return name.data;
}

/* Reads an expression. */
static Feature
feature_parse(const char *text)
{
	FeatureParser parser = {.text = text, .at = text};
	Feature feature = {0};
	char *word;

	if (strlen(text) > EXPRESSION_BYTES_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("feature is longer than %d bytes",
							   EXPRESSION_BYTES_MAX)));
	word = parse_word(&parser);
	if (word != NULL && parse_operator(&parser, '='))
	{
		feature.name = word;
		word = parse_word(&parser);
	}
	feature.part = parse_part(&parser, word);
	if (parse_operator(&parser, '/'))
	{
		feature.divided = true;
		feature.divisor = parse_part(&parser, parse_word(&parser));
	}
	parse_space(&parser);
	if (*parser.at != '\0')
		parse_error(&parser, "There is more behind its end.");
	if (feature.name == NULL)
		feature.name = feature_name(&feature);
	return feature;
}

/* Compares two strings for qsort() and bsearch(). */
static int
series_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* Raises an error when two features have one name. */
static void
plan_check_names(const FeaturePlan *plan)
{
	const char **names = palloc(plan->nfeatures * sizeof(char *));

	for (int i = 0; i < plan->nfeatures; i++)
		names[i] = plan->features[i].name;
	qsort(names, plan->nfeatures, sizeof(char *), series_compare);
	for (int i = 1; i < plan->nfeatures; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("two features are named \"%s\"", names[i]),
					 errhint("Give one of them another name, say \"%s_2 = "
							 "...\".",
							 names[i])));
	pfree(names);
}

/* Calls a function for each part of the features. */
static void
plan_each_part(FeaturePlan *plan, void (*call)(FeaturePlan *, FeaturePart *))
{
	for (int i = 0; i < plan->nfeatures; i++)
	{
		call(plan, &plan->features[i].part);
		if (plan->features[i].divided)
			call(plan, &plan->features[i].divisor);
	}
}

/* Lists the series of a part, and notes its window. */
static void
part_list(FeaturePlan *plan, FeaturePart *part)
{
	plan->series[plan->nslots++] = part->series;
	if (part->days == 0)
		plan->forever = true;
	for (int i = 0; i < plan->nwindows; i++)
		if (plan->windows[i] == part->days)
			return;
	if (plan->nwindows == FEATURE_WINDOWS_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("features have more than %d different windows",
							   FEATURE_WINDOWS_MAX),
						errhint("Compute some of them at a time.")));
	plan->windows[plan->nwindows++] = part->days;
}

/* Returns the number of a series, -1 when no feature uses it. */
static int
plan_slot(const FeaturePlan *plan, const char *series)
{
	const char **found = bsearch(&series, plan->series, plan->nslots,
								 sizeof(char *), series_compare);

	return found == NULL ? -1 : found - plan->series;
}

/* Compares two windows for qsort(): lifetime is the longest. */
static int
window_compare(const void *a, const void *b)
{
	uint32 left = (uint32) (*(const int32 *) a - 1);
	uint32 right = (uint32) (*(const int32 *) b - 1);

	return (left > right) - (left < right);
}

/* Finds the numbers of series and window of a part. */
static void
part_resolve(FeaturePlan *plan, FeaturePart *part)
{
	part->slot = plan_slot(plan, part->series);
	while (plan->windows[part->window] != part->days)
		part->window++;
	if (part->aggregate == FEATURE_DAYS)
		plan->wanted[part->slot] |= FEATURE_WANT_DAYS;
	else if (part->aggregate >= FEATURE_SUM &&
			 part->aggregate <= FEATURE_MAX_VALUE)
		plan->wanted[part->slot] |= FEATURE_WANT_VALUES;
}

/* Finds the series that each series is part of. */
static void
plan_parents(FeaturePlan *plan)
{
	plan->parents = palloc(plan->nslots * sizeof(int));
	for (int i = 0; i < plan->nslots; i++)
	{
		char *series = pstrdup(plan->series[i]);
		char *dot;

		plan->parents[i] = -1;
		while (plan->parents[i] < 0 && (dot = strrchr(series, '.')) != NULL)
		{
			*dot = '\0';
			plan->parents[i] = plan_slot(plan, series);
		}
		pfree(series);
	}
}

/* Numbers the different series and windows of all parts. */
static void
plan_number(FeaturePlan *plan)
{
	int n = 0;

	plan->series = palloc(2 * plan->nfeatures * sizeof(char *));
	plan->windows = palloc(FEATURE_WINDOWS_MAX * sizeof(int32));
	plan_each_part(plan, part_list);
	qsort(plan->series, plan->nslots, sizeof(char *), series_compare);
	qsort(plan->windows, plan->nwindows, sizeof(int32), window_compare);
	for (int i = 0; i < plan->nslots; i++)
		if (n == 0 || strcmp(plan->series[n - 1], plan->series[i]) != 0)
			plan->series[n++] = plan->series[i];
	plan->nslots = n;
	plan->wanted = palloc0(n * sizeof(uint8));
	plan_each_part(plan, part_resolve);
	plan_parents(plan);
}

/* Reads expressions and plans their computation. */
FeaturePlan *
feature_plan(ArrayType *expressions)
{
	FeaturePlan *plan = palloc0(sizeof(FeaturePlan));
	Datum *texts;
	bool *nulls;

	deconstruct_array(expressions, TEXTOID, -1, false, TYPALIGN_INT, &texts,
					  &nulls, &plan->nfeatures);
	if (plan->nfeatures == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("there are no features to compute"),
						errhint("Give some, say ARRAY['search count 30d'].")));
	if (plan->nfeatures > FEATURE_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("more than %d features", FEATURE_MAX),
						errhint("Compute some of them at a time.")));
	plan->features = palloc(plan->nfeatures * sizeof(Feature));
	for (int i = 0; i < plan->nfeatures; i++)
	{
		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("feature %d is NULL", i + 1)));
		plan->features[i] = feature_parse(TextDatumGetCString(texts[i]));
	}
	plan_check_names(plan);
	plan_number(plan);
	return plan;
}
