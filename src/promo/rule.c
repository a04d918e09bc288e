/* Reads rules of code generation, counts their codes and makes them. */
#include "postgres.h"

#include "promo/rule.h"

#include "core/core.h"
#include "utils/builtins.h"

#define RULE_HINT                                                             \
	"Keys are prefix, suffix, length, includeChecksum, pattern, "             \
	"excludeAmbiguous and caseInsensitive."
#define RULE_PATTERN_HINT                                                     \
	"Patterns are ALPHANUMERIC, ALPHABETIC, NUMERIC, or a mask such as "      \
	"\"###-???\": # is a digit, ? a letter, * either."

/* Bits of a random word that are a fraction, and characters made of it. */
#define RULE_FRACTION_BITS 56
#define RULE_FRACTION_CHARS 6

static const char *const rule_keys[] = {
	"prefix",  "suffix",           "length",         "includeChecksum",
	"pattern", "excludeAmbiguous", "caseInsensitive"};

/* Returns a JSON value as a message shows it. */
static const char *
rule_value(JsonbValue *value)
{
	Jsonb *json;
	char *text;

	if (value->type == jbvString)
		return psprintf("the text %s", promo_code_clip(value->val.string.val,
													   value->val.string.len));
	json = JsonbValueToJsonb(value);
	text = JsonbToCString(NULL, &json->root, VARSIZE(json));
	return promo_code_clip(text, strlen(text));
}

/* Raises an error unless JSON is an object of keys that rules have. */
static void
rule_check_keys(Jsonb *json)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue key;

	if (!JB_ROOT_IS_OBJECT(json))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("rule of codes is not a JSON object"),
						errhint(RULE_HINT)));
	iterator = JsonbIteratorInit(&json->root);
	while ((token = JsonbIteratorNext(&iterator, &key, true)) != WJB_DONE)
	{
		bool known = false;

		if (token != WJB_KEY)
			continue;
		for (int i = 0; i < lengthof(rule_keys); i++)
			known |= strlen(rule_keys[i]) == key.val.string.len &&
					 memcmp(rule_keys[i], key.val.string.val,
							key.val.string.len) == 0;
		if (!known)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("rule of codes has no key %s",
								   promo_code_clip(key.val.string.val,
												   key.val.string.len)),
							errhint(RULE_HINT)));
	}
}

/* Returns the value of a key, NULL when it is not given or null. */
static JsonbValue *
rule_find(Jsonb *json, const char *key, enum jbvType type, const char *wanted)
{
	JsonbValue *value =
		getKeyJsonValueFromContainer(&json->root, key, strlen(key), NULL);

	if (value == NULL || value->type == jbvNull)
		return NULL;
	if (value->type != type)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" of a rule of codes is not %s", key, wanted),
				 errdetail("It is %s.", rule_value(value)),
				 errhint("Give \"%s\" as %s.", key, wanted)));
	return value;
}

/* Returns the boolean of a key. */
static bool
rule_boolean(Jsonb *json, const char *key, bool missing)
{
	JsonbValue *value = rule_find(json, key, jbvBool, "true or false");

	return value == NULL ? missing : value->val.boolean;
}

/* Returns how many characters are random, 0 when it is not given. */
static int
rule_length(Jsonb *json)
{
	JsonbValue *value = rule_find(json, "length", jbvNumeric, "a number");
	int64 length;

	if (value == NULL)
		return 0;
	if (!core_numeric_scaled(value->val.numeric, 0, &length) || length < 1 ||
		length > PROMO_CODE_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"length\" of a rule of codes is not a whole number "
						"from 1 to %d",
						PROMO_CODE_MAX),
				 errdetail("It is %s.", rule_value(value)),
				 errhint("It counts the random characters, without prefix, "
						 "suffix and check character.")));
	return (int) length;
}

/* Fills an alphabet with characters of different classes. */
static void
rule_alphabet(PromoAlphabet *alphabet, const char *chars, bool unambiguous)
{
	alphabet->n = 0;
	for (; *chars != '\0'; chars++)
		/* The classes of more than one character are the first two. */
		if (!unambiguous || promo_code_class(*chars) > 1)
			alphabet->chars[alphabet->n++] = *chars;
}

/* Adds a character that is to be filled in; '0' adds nothing to the sum. */
static int
rule_add(PromoCodeRule *rule)
{
	if (rule->code.length == PROMO_CODE_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("codes of the rule are longer than %d "
							   "characters",
							   PROMO_CODE_MAX),
						errdetail("Prefix, random characters, check character "
								  "and suffix count."),
						errhint("Make one of them shorter.")));
	rule->code.data[rule->code.length] = '0';
	return rule->code.length++;
}

/* Adds a random character. */
static void
rule_add_place(PromoCodeRule *rule, const PromoAlphabet *alphabet)
{
	PromoPlace *place;
	int at = rule_add(rule);

	place = &rule->places[rule->nplaces++];
	place->at = at;
	place->alphabet = alphabet;
}

/* Adds the text of a key, which may be missing or empty. */
static void
rule_add_text(PromoCodeRule *rule, Jsonb *json, const char *key)
{
	JsonbValue *value = rule_find(json, key, jbvString, "a text");

	if (value != NULL)
		promo_code_append(&rule->code, value->val.string.val,
						  value->val.string.len, 0, key, NULL);
}

/* Returns the alphabet of a character of a mask, NULL for itself. */
static const PromoAlphabet *
rule_mask_alphabet(const PromoCodeRule *rule, char c)
{
	return c == '#'   ? &rule->digits
		   : c == '?' ? &rule->letters
		   : c == '*' ? &rule->either
					  : NULL;
}

/* Adds what a mask says. */
static void
rule_add_mask(PromoCodeRule *rule, const char *mask, int n, int length)
{
	int i = 0;

	while (i < n)
	{
		const PromoAlphabet *alphabet = rule_mask_alphabet(rule, mask[i]);
		int end = i + 1;

		if (alphabet != NULL)
			rule_add_place(rule, alphabet);
		else
		{
			while (end < n && rule_mask_alphabet(rule, mask[end]) == NULL)
				end++;
			promo_code_append(&rule->code, mask, end, i, "pattern", NULL);
		}
		i = end;
	}
	if (rule->nplaces == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("pattern %s of a rule of codes has no random "
							   "character",
							   promo_code_clip(mask, n)),
						errhint(RULE_PATTERN_HINT)));
	if (length != 0 && length != rule->nplaces)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"length\" of a rule of codes is %d, but its "
							   "pattern has %d random characters",
							   length, rule->nplaces),
						errhint("Leave out \"length\" with a mask.")));
}

/* Adds the random characters. */
static void
rule_add_pattern(PromoCodeRule *rule, Jsonb *json)
{
	JsonbValue *value = rule_find(json, "pattern", jbvString, "a text");
	int length = rule_length(json);
	const PromoAlphabet *alphabet = NULL;
	const char *text = value == NULL ? "ALPHANUMERIC" : value->val.string.val;
	int n = value == NULL ? strlen(text) : value->val.string.len;

	if (n == 12 && memcmp(text, "ALPHANUMERIC", n) == 0)
		alphabet = &rule->either;
	else if (n == 10 && memcmp(text, "ALPHABETIC", n) == 0)
		alphabet = &rule->letters;
	else if (n == 7 && memcmp(text, "NUMERIC", n) == 0)
		alphabet = &rule->digits;
	if (alphabet == NULL)
	{
		rule_add_mask(rule, text, n, length);
		return;
	}
	if (length == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("rule of codes has no \"length\""),
						errhint("Give the number of random characters, or a "
								"mask as \"pattern\".")));
	for (int i = 0; i < length; i++)
		rule_add_place(rule, alphabet);
}

/* Adds the check character, one of those that may be random. */
static void
rule_add_check(PromoCodeRule *rule)
{
	const PromoAlphabet *alphabet = rule->places[0].alphabet;

	for (int i = 1; i < rule->nplaces; i++)
		if (rule->places[i].alphabet != alphabet)
			alphabet = &rule->either;
	rule->check_at = rule_add(rule);
	for (int i = 0; i < alphabet->n; i++)
		rule->check_chars[promo_code_class(alphabet->chars[i])] =
			alphabet->chars[i];
}

/* Returns the check character of a sum, 0 when none may stand there. */
static inline char
rule_check_char(const PromoCodeRule *rule, int sum)
{
	int following = rule->code.length - 1 - rule->check_at;

	return rule->check_chars[promo_code_check_class(sum, following)];
}

/* Counts the ways to go on, from the last random character back. */
static void
rule_count(PromoCodeRule *rule)
{
	for (int sum = 0; sum < PROMO_CODE_CLASSES; sum++)
		rule->counts[rule->nplaces][sum] =
			rule->check_at < 0 || rule_check_char(rule, sum) != 0;
	for (int i = rule->nplaces - 1; i >= 0; i--)
	{
		const PromoPlace *place = &rule->places[i];

		for (int sum = 0; sum < PROMO_CODE_CLASSES; sum++)
		{
			uint64 count = 0;

			for (int k = 0; k < place->alphabet->n; k++)
			{
				int class = promo_code_class(place->alphabet->chars[k]);

				count += rule->counts[i + 1][(sum + place->weight * class) %
											 PROMO_CODE_CLASSES];
			}
			rule->counts[i][sum] = Min(count, PROMO_SPACE_MANY);
		}
	}
}

/* Reads a rule. */
PromoCodeRule *
promo_rule_read(Jsonb *json)
{
	PromoCodeRule *rule = palloc0(sizeof(PromoCodeRule));
	bool unambiguous;

	rule_check_keys(json);
	unambiguous = rule_boolean(json, "excludeAmbiguous", false);
	if (!rule_boolean(json, "caseInsensitive", true))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("codes cannot be case-sensitive"),
						errdetail("Codes are equal that differ in upper and "
								  "lower case, as people type them."),
						errhint("Leave out \"caseInsensitive\" or make it "
								"true.")));
	rule_alphabet(&rule->digits, "0123456789", unambiguous);
	rule_alphabet(&rule->letters, "ABCDEFGHIJKMNOPQRSTUVWXYZ", unambiguous);
	rule_alphabet(&rule->either, promo_code_symbols, unambiguous);
	rule_add_text(rule, json, "prefix");
	rule_add_pattern(rule, json);
	rule->check_at = -1;
	if (rule_boolean(json, "includeChecksum", false))
		rule_add_check(rule);
	rule_add_text(rule, json, "suffix");
	for (int i = 0; i < rule->nplaces; i++)
		rule->places[i].weight =
			promo_code_weight(rule->code.length - 1 - rule->places[i].at);
	rule->fixed_sum = promo_code_sum(rule->code.data, rule->code.length, 0);
	rule_count(rule);
	return rule;
}

/* Returns how many codes of different meaning a rule has. */
uint64
promo_rule_space(const PromoCodeRule *rule)
{
	return rule->counts[0][rule->fixed_sum];
}

/* Puts the check character in; false when none may stand there. */
static inline bool
rule_put_check(const PromoCodeRule *rule, int sum, PromoCodeText *code)
{
	char check;

	if (rule->check_at < 0)
		return true;
	check = rule_check_char(rule, sum % PROMO_CODE_CLASSES);
	code->data[rule->check_at] = check;
	return check != 0;
}

/* Draws a code; each is as likely. */
void
promo_rule_draw(const PromoCodeRule *rule, PromoRandom *random,
				PromoCodeText *code)
{
	int sum;

	*code = rule->code;
	do
	{
		uint64 fraction = 0;

		sum = rule->fixed_sum;
		for (int i = 0; i < rule->nplaces; i++)
		{
			const PromoPlace *place = &rule->places[i];
			char c;

			if (i % RULE_FRACTION_CHARS == 0)
				fraction =
					promo_random_next(random) >> (64 - RULE_FRACTION_BITS);
			/* The whole part is below n, the rest is a fraction again. */
			fraction *= place->alphabet->n;
			c = place->alphabet->chars[fraction >> RULE_FRACTION_BITS];
			fraction &= (UINT64CONST(1) << RULE_FRACTION_BITS) - 1;
			code->data[place->at] = c;
			sum += promo_code_class(c) * place->weight;
		}
	} while (!rule_put_check(rule, sum, code));
}

/* Makes the code of a number below the space, which is no more than many. */
void
promo_rule_number(const PromoCodeRule *rule, uint64 number,
				  PromoCodeText *code)
{
	int sum = rule->fixed_sum;

	*code = rule->code;
	for (int i = 0; i < rule->nplaces; i++)
	{
		const PromoPlace *place = &rule->places[i];
		int next = sum;

		for (int k = 0; k < place->alphabet->n; k++)
		{
			char c = place->alphabet->chars[k];
			uint64 count;

			next = (sum + place->weight * promo_code_class(c)) %
				   PROMO_CODE_CLASSES;
			count = rule->counts[i + 1][next];
			code->data[place->at] = c;
			if (number < count)
				break;
			number -= count;
		}
		sum = next;
	}
	rule_put_check(rule, sum, code);
}
