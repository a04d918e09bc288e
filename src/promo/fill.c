/* Fills in code patterns such as BDAY{{customer.id}}. */
#include "postgres.h"

#include "promo/code.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

/* Most bytes of a pattern and of the name of an attribute. */
#define FILL_PATTERN_MAX 10000
#define FILL_NAME_MAX 200

/*
 * Returns the attribute of a name: a key as a whole, or one for each part of
 * the name up to a dot; NULL when there is none.
 */
static JsonbValue *
fill_find(JsonbContainer *object, const char *name, int length)
{
	JsonbValue *value =
		getKeyJsonValueFromContainer(object, name, length, NULL);

	for (int dot = 1; value == NULL && dot < length - 1; dot++)
	{
		if (name[dot] != '.')
			continue;
		value = getKeyJsonValueFromContainer(object, name, dot, NULL);
		if (value != NULL && value->type == jbvBinary &&
			JsonContainerIsObject(value->val.binary.data))
			value = fill_find(value->val.binary.data, name + dot + 1,
							  length - dot - 1);
		else
			value = NULL;
	}
	return value;
}

/* Raises an error about an attribute. */
static void
pg_attribute_noreturn() fill_error(int code, const char *what,
								   const char *problem, const char *hint)
{
	ereport(ERROR, (errcode(code), errmsg("%s %s", what, problem),
					errhint("%s", hint)));
}

/* Adds the value of an attribute, named by what. */
static void
fill_add(PromoCodeText *code, JsonbValue *value, const char *what)
{
	int before = code->length;
	char *number;

	if (value == NULL || value->type == jbvNull)
		fill_error(ERRCODE_UNDEFINED_OBJECT, what, "is missing",
				   "Give it a text or a whole number.");
	if (value->type == jbvString)
		promo_code_append(code, value->val.string.val, value->val.string.len,
						  0, what, NULL);
	else if (value->type == jbvNumeric)
	{
		number = numeric_normalize(value->val.numeric);
		/* Without sign and point, -1.5 would be 15. */
		if (strspn(number, "0123456789") != strlen(number))
			fill_error(ERRCODE_INVALID_PARAMETER_VALUE, what,
					   psprintf("is %s, not a whole number of 0 or more",
								promo_code_clip(number, strlen(number))),
					   "Give it as a text in the form that codes shall have.");
		promo_code_append(code, number, strlen(number), 0, what, NULL);
	}
	else
		fill_error(ERRCODE_INVALID_PARAMETER_VALUE, what,
				   "is neither a text nor a number",
				   "Give it a text or a whole number.");
	if (code->length == before)
		fill_error(ERRCODE_INVALID_PARAMETER_VALUE, what,
				   "has no character that codes have",
				   "Codes are of letters A to Z and digits.");
}

/* Returns where two of a character begin, the end when they do not. */
static int
fill_seek(const char *pattern, int length, int from, char c)
{
	while (from < length && !(pattern[from] == c && from + 1 < length &&
							  pattern[from + 1] == c))
		from++;
	return from;
}

/* Raises the error for a placeholder that is none. */
static void
pg_attribute_noreturn() fill_error_name(const char *pattern, int length,
										int open, const char *problem)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("pattern of codes has a placeholder %s", problem),
					errdetail("It begins with %s.",
							  promo_code_clip(pattern + open, length - open)),
					errhint("Write the name of an attribute in two braces: "
							"{{customer.id}}.")));
}

/* Adds the attribute whose placeholder opens at a place; returns its end. */
static int
fill_placeholder(PromoCodeText *code, const char *pattern, int length,
				 int open, Jsonb *attributes)
{
	int close = fill_seek(pattern, length, open + 2, '}');
	const char *name = pattern + open + 2;
	int n = close - open - 2;

	if (close == length)
		fill_error_name(pattern, length, open, "without an end");
	while (n > 0 && *name == ' ')
	{
		name++;
		n--;
	}
	while (n > 0 && name[n - 1] == ' ')
		n--;
	if (n == 0)
		fill_error_name(pattern, length, open, "without a name");
	if (n > FILL_NAME_MAX)
		fill_error_name(pattern, length, open, "with too long a name");
	fill_add(code, fill_find(&attributes->root, name, n),
			 psprintf("attribute %s", promo_code_clip(name, n)));
	return close + 2;
}

/* Fills in a pattern. */
static void
fill_pattern(PromoCodeText *code, const char *pattern, int length,
			 Jsonb *attributes)
{
	int at = 0;

	while (at < length)
	{
		int open = fill_seek(pattern, length, at, '{');

		promo_code_append(code, pattern, open, at, "pattern", NULL);
		at = open;
		if (open < length)
			at = fill_placeholder(code, pattern, length, open, attributes);
	}
}

PG_FUNCTION_INFO_V1(promo_code_fill);
/* SQL: promo_code_fill(pattern text, attributes jsonb) */
Datum
promo_code_fill(PG_FUNCTION_ARGS)
{
	text *pattern = PG_GETARG_TEXT_PP(0);
	Jsonb *attributes = PG_GETARG_JSONB_P(1);
	int length = VARSIZE_ANY_EXHDR(pattern);
	PromoCodeText code = {0};

	if (length > FILL_PATTERN_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("pattern of codes is longer than %d bytes",
							   FILL_PATTERN_MAX)));
	if (!JB_ROOT_IS_OBJECT(attributes))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("attributes of a code are not a JSON object"),
						errhint("Give them as {\"customer\": {\"id\": 7}} or "
								"{\"customer.id\": 7}.")));
	fill_pattern(&code, VARDATA_ANY(pattern), length, attributes);
	if (code.length == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("pattern of codes %s has no characters",
							   promo_code_clip(VARDATA_ANY(pattern), length)),
						errhint("Codes are of letters A to Z and digits, at "
								"least one.")));
	PG_RETURN_POINTER(promo_code_make(&code));
}
