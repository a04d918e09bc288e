/*
 * Reads rules: what each JSON object may hold, and what each operator takes.
 * Values come out in their canonical spelling.
 */
#include "postgres.h"

#include "common/jsonapi.h"
#include "segment/json.h"
#include "segment/rule.h"
#include "utils/builtins.h"

#define DURATION_HINT                                                         \
	"Give a duration of at most 200 years, such as \"30 days\"."

/* Days after which an anniversary has come again. */
#define ANNIVERSARY_MAX 366

static const char *const group_keys[] = {"logic", "rules", NULL};
static const char *const field_keys[] = {"field", "operator", "value", NULL};
static const char *const event_keys[] = {"event",  "at_least", "at_most",
										 "within", "where",    NULL};
static const char *const segment_keys[] = {"segment", NULL};

/* Operators that may be the key of their value. */
static const struct
{
	const char *key;
	RuleOperator operator;
} shorthands[] = {
	{"within", RULE_WITHIN}, {"before", RULE_BEFORE}, {"next", RULE_NEXT}};

static RuleNode *parse_rule(const RuleItem *item, int depth);

/* Returns what an item is, for messages. */
static const char *
parse_describe(const RuleItem *item)
{
	switch (item->kind)
	{
		case RULE_ITEM_TEXT:
			return psprintf("the text \"%s\"", rule_clip(item->text));
		case RULE_ITEM_NUMBER:
			return psprintf("the number %s", rule_clip(item->text));
		case RULE_ITEM_LIST:
			return item->nchildren == 0
					   ? "an empty list"
					   : psprintf("a list of %d", item->nchildren);
		case RULE_ITEM_OBJECT:
			return "an object";
		default:
			return item->text; /* true, false, null */
	}
}

static void parse_mismatch(const RuleItem *item, const char *expected,
						   const char *hint) pg_attribute_noreturn();

/* Raises the error for an item that is something else than expected. */
static void
parse_mismatch(const RuleItem *item, const char *expected, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("expected %s, not %s", expected, parse_describe(item)),
			 rule_item_place(item), errhint("%s", hint)));
}

/* Checks that an object has no keys but those listed. */
static void
parse_check_keys(const RuleItem *object, const char *const *keys,
				 const char *hint)
{
	for (int i = 0; i < object->nchildren; i++)
	{
		const char *const *key = keys;

		while (*key != NULL && strcmp(*key, object->children[i]->key) != 0)
			key++;
		if (*key == NULL)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("key \"%s\" does not belong here",
								   rule_clip(object->children[i]->key)),
							rule_item_place(object), errhint("%s", hint)));
	}
}

/* Returns the value of a key that must be there. */
static const RuleItem *
parse_need(const RuleItem *object, const char *key, const char *hint)
{
	const RuleItem *item = rule_item_find(object, key);

	if (item == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("key \"%s\" is missing", key),
						rule_item_place(object), errhint("%s", hint)));
	return item;
}

/* Checks the number of bytes of a text. */
static void
parse_check_length(const RuleItem *item, const char *text, int limit)
{
	if (strlen(text) > limit)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("text \"%s\" is longer than %d bytes",
							   rule_clip(text), limit),
						rule_item_place(item)));
}

/* Returns a text as it is compared: upper case, runs of blanks as one. */
static char *
parse_fold(const char *text)
{
	char *result = palloc(strlen(text) + 1);
	int n = 0;

	for (; *text != '\0'; text++)
	{
		bool blank = *text == ' ' || (*text >= '\t' && *text <= '\r');

		if (!blank)
			result[n++] = pg_ascii_toupper((unsigned char) *text);
		else if (n > 0 && result[n - 1] != ' ')
			result[n++] = ' ';
	}
	if (n > 0 && result[n - 1] == ' ')
		n--;
	result[n] = '\0';
	return result;
}

/* Returns a name: a text that is neither empty nor too long. */
static const char *
parse_name(const RuleItem *item, int limit)
{
	if (item->kind != RULE_ITEM_TEXT || item->text[0] == '\0')
		parse_mismatch(item, "a name", "Give a text that is not empty.");
	parse_check_length(item, item->text, limit);
	return item->text;
}

/* Sets a value to a text. */
static void
parse_set(RuleValue *value, RuleValueKind kind, const char *text)
{
	value->kind = kind;
	value->text = text;
	value->length = strlen(text);
}

/* Reads a number. */
static void
parse_number(const RuleItem *item, RuleValue *value)
{
	const char *text = rule_number_text(item->text);

	if (text == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number %s is out of range", rule_clip(item->text)),
				 rule_item_place(item),
				 errhint("Numbers are between -1e15 and 1e15 and have at "
						 "most 9 decimals.")));
	parse_set(value, RULE_NUMBER, text);
}

/* Reads a text, boolean or number as it is written. */
static void
parse_scalar(const RuleItem *item, RuleValue *value)
{
	switch (item->kind)
	{
		case RULE_ITEM_BOOLEAN:
			parse_set(value, RULE_BOOLEAN, item->text);
			return;
		case RULE_ITEM_NUMBER:
			parse_number(item, value);
			return;
		case RULE_ITEM_TEXT:
			parse_check_length(item, item->text, RULE_VALUE_MAX);
			parse_set(value, RULE_TEXT, item->text);
			return;
		default:
			parse_mismatch(item, "a number, a text, true or false",
						   "For no value there are IS NULL and IS NOT NULL.");
	}
}

/* Reads a scalar, and marks a text that reads as a duration. */
static void
parse_any(const RuleItem *item, RuleValue *value)
{
	parse_scalar(item, value);
	if (value->kind == RULE_TEXT &&
		rule_duration_parse(value->text, value->length, &value->duration))
		value->kind = RULE_DURATION;
}

/* Sets a value to a duration; exact when only its length counts. */
static void
parse_set_duration(RuleValue *value, bool exact)
{
	if (exact)
		rule_duration_shorten(&value->duration);
	parse_set(value, RULE_DURATION, rule_duration_text(&value->duration));
}

/* Reads a number, a day, a time or a duration; exact as above. */
static void
parse_order(const RuleItem *item, RuleValue *value, bool exact)
{
	RuleMoment moment;

	if (item->kind != RULE_ITEM_NUMBER && item->kind != RULE_ITEM_TEXT)
		parse_mismatch(item, "a number, a day, a time or a duration",
					   "Only these have an order.");
	parse_any(item, value);
	if (value->kind == RULE_DURATION)
		parse_set_duration(value, exact);
	if (value->kind != RULE_TEXT)
		return;
	if (!rule_moment_parse(value->text, value->length, &moment))
		parse_mismatch(item, "a number, a day, a time or a duration",
					   "Write a day as \"2026-01-31\", a time as "
					   "\"2026-01-31T12:00Z\", a duration as \"30 days\".");
	parse_set(value, RULE_TEXT, rule_moment_text(&moment));
}

/* Reads a duration. */
static void
parse_duration(const RuleItem *item, RuleValue *value)
{
	if (item->kind != RULE_ITEM_TEXT ||
		!rule_duration_parse(item->text, strlen(item->text), &value->duration))
		parse_mismatch(item, "a duration", DURATION_HINT);
	parse_set_duration(value, true);
}

/* Makes room for values. */
static void
parse_allocate(RuleNode *node, int n)
{
	node->nvalues = n;
	node->values = palloc0(n * sizeof(RuleValue));
}

/* Checks that the values of a list are of one JSON type. */
static void
parse_check_types(const RuleItem *list)
{
	for (int i = 1; i < list->nchildren; i++)
		if (list->children[i]->kind != list->children[0]->kind)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("values of a list are of several types"),
							rule_item_place(list->children[i]),
							errhint("Give only numbers, only texts or only "
									"booleans.")));
}

/* Checks that an item is a list of values that is not too long. */
static void
parse_check_list(const RuleItem *item)
{
	if (item->kind != RULE_ITEM_LIST || item->nchildren == 0)
		parse_mismatch(item, "a list of values",
					   "Give a list with at least one value.");
	if (item->nchildren > RULE_LIST_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("list of %d values is longer than %d",
							   item->nchildren, RULE_LIST_MAX),
						rule_item_place(item)));
	parse_check_types(item);
}

/* = and !=: a scalar; null asks for IS NULL and IS NOT NULL. */
static void
parse_equal(RuleNode *node, const RuleItem *item)
{
	if (item->kind == RULE_ITEM_NULL)
	{
		node->operator= node->operator== RULE_EQ ? RULE_IS_NULL
												 : RULE_IS_NOT_NULL;
		return;
	}
	parse_allocate(node, 1);
	parse_any(item, &node->values[0]);
}

/* < <= > >=: a value that has an order. */
static void
parse_compare(RuleNode *node, const RuleItem *item)
{
	parse_allocate(node, 1);
	parse_order(item, &node->values[0],
				node->operator== RULE_LT || node->operator== RULE_GE);
}

/* IN, NOT IN: a list of scalars of one type. */
static void
parse_in(RuleNode *node, const RuleItem *item)
{
	parse_check_list(item);
	parse_allocate(node, item->nchildren);
	for (int i = 0; i < item->nchildren; i++)
		parse_any(item->children[i], &node->values[i]);
}

/* BETWEEN: two values that have an order, the lower one first. */
static void
parse_between(RuleNode *node, const RuleItem *item)
{
	if (item->kind != RULE_ITEM_LIST || item->nchildren != 2)
		parse_mismatch(item, "a list of two values",
					   "Give the lowest and the highest value.");
	parse_check_types(item);
	parse_allocate(node, 2);
	parse_order(item->children[0], &node->values[0], true);
	parse_order(item->children[1], &node->values[1], false);
	if (node->values[0].kind != node->values[1].kind)
		parse_mismatch(item->children[1], "a value of the kind of the first",
					   "Give two durations, or two days or times.");
	if (!rule_ordered(&node->values[0], &node->values[1]))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("nothing is between %s and %s",
							   node->values[0].text, node->values[1].text),
						rule_item_place(item),
						errhint("Give the lower value first.")));
}

/* CONTAINS, STARTS WITH: a text. */
static void
parse_part(RuleNode *node, const RuleItem *item)
{
	if (item->kind != RULE_ITEM_TEXT || item->text[0] == '\0')
		parse_mismatch(item, "a text", "Give a text that is not empty.");
	parse_allocate(node, 1);
	parse_scalar(item, &node->values[0]);
}

/* WITHIN, NEXT: a duration. */
static void
parse_length(RuleNode *node, const RuleItem *item)
{
	parse_allocate(node, 1);
	parse_duration(item, &node->values[0]);
}

/* BEFORE: a duration, or a day or a time, which asks for <. */
static void
parse_before(RuleNode *node, const RuleItem *item)
{
	RuleValue *value;

	parse_allocate(node, 1);
	value = &node->values[0];
	if (item->kind != RULE_ITEM_TEXT)
		parse_mismatch(item, "a duration, a day or a time", DURATION_HINT);
	parse_order(item, value, true);
	if (value->kind != RULE_DURATION)
		node->operator= RULE_LT;
}

/* Reads a month by its number. */
static void
parse_month_number(const RuleItem *item, RuleValue *value)
{
	if (item->kind == RULE_ITEM_NUMBER)
		parse_number(item, value);
	if (item->kind != RULE_ITEM_NUMBER || strchr(value->text, '.') != NULL ||
		rule_number_compare(value->text, "1") < 0 ||
		rule_number_compare(value->text, "12") > 0)
		parse_mismatch(item, "a month",
					   "Give \"this\", \"last\", \"next\", a number from 1 "
					   "to 12, or a list of such numbers.");
}

/* MONTH: this, last, next, a month or a list of months. */
static void
parse_month(RuleNode *node, const RuleItem *item)
{
	static const char *const names[] = {"this", "last", "next"};

	if (item->kind == RULE_ITEM_LIST)
	{
		parse_check_list(item);
		parse_allocate(node, item->nchildren);
		for (int i = 0; i < item->nchildren; i++)
			parse_month_number(item->children[i], &node->values[i]);
		return;
	}
	parse_allocate(node, 1);
	for (int i = 0; i < lengthof(names) && item->kind == RULE_ITEM_TEXT; i++)
		if (pg_strcasecmp(parse_fold(item->text), names[i]) == 0)
		{
			parse_set(&node->values[0], RULE_TEXT, names[i]);
			return;
		}
	parse_month_number(item, &node->values[0]);
}

/* ANNIVERSARY: a duration in days. */
static void
parse_anniversary(RuleNode *node, const RuleItem *item)
{
	const RuleDuration *duration;

	parse_length(node, item);
	duration = &node->values[0].duration;
	if (duration->unit != 'd' || duration->count > ANNIVERSARY_MAX)
		parse_mismatch(item, "a duration of 0 to 366 whole days",
					   "Give \"0 days\" for anniversaries of today.");
}

/* TOP, BOTTOM: percent, as a number or with a percent sign. */
static void
parse_percent(RuleNode *node, const RuleItem *item)
{
	RuleItem number = *item;

	parse_allocate(node, 1);
	if (item->kind == RULE_ITEM_TEXT)
	{
		char *text = parse_fold(item->text);
		int length = strlen(text);

		if (length > 0 && text[length - 1] == '%')
			length--;
		else
			length = 0;
		if (length > 0 && text[length - 1] == ' ')
			length--;
		text[length] = '\0';
		if (IsValidJsonNumber(text, length))
			number.kind = RULE_ITEM_NUMBER;
		number.text = text;
	}
	if (number.kind == RULE_ITEM_NUMBER)
		parse_number(&number, &node->values[0]);
	if (number.kind != RULE_ITEM_NUMBER ||
		rule_number_compare(node->values[0].text, "0") <= 0 ||
		rule_number_compare(node->values[0].text, "100") > 0)
		parse_mismatch(item, "a percentage above 0 and up to 100",
					   "Give a number, or a text such as \"1 %\".");
}

/* What reads the value of an operator; NULL where there is none. */
static void (*const value_parsers[])(RuleNode *, const RuleItem *) = {
	[RULE_EQ] = parse_equal,
	[RULE_NE] = parse_equal,
	[RULE_LT] = parse_compare,
	[RULE_LE] = parse_compare,
	[RULE_GT] = parse_compare,
	[RULE_GE] = parse_compare,
	[RULE_IN] = parse_in,
	[RULE_NOT_IN] = parse_in,
	[RULE_BETWEEN] = parse_between,
	[RULE_CONTAINS] = parse_part,
	[RULE_STARTS_WITH] = parse_part,
	[RULE_IS_NULL] = NULL,
	[RULE_IS_NOT_NULL] = NULL,
	[RULE_WITHIN] = parse_length,
	[RULE_BEFORE] = parse_before,
	[RULE_NEXT] = parse_length,
	[RULE_MONTH] = parse_month,
	[RULE_ANNIVERSARY] = parse_anniversary,
	[RULE_TOP] = parse_percent,
	[RULE_BOTTOM] = parse_percent,
};

/* Reads an operator. */
static RuleOperator
parse_operator(const RuleItem *item)
{
	if (item->kind == RULE_ITEM_TEXT)
	{
		const char *name = parse_fold(item->text);

		if (strcmp(name, "<>") == 0)
			return RULE_NE;
		for (int i = 0; i < lengthof(value_parsers); i++)
			if (strcmp(name, rule_operator_name(i)) == 0)
				return i;
	}
	parse_mismatch(item, "an operator",
				   "Operators are =, !=, >, <, >=, <=, IN, NOT IN, BETWEEN, "
				   "CONTAINS, STARTS WITH, IS NULL, IS NOT NULL, WITHIN, "
				   "BEFORE, NEXT, MONTH, ANNIVERSARY, TOP, BOTTOM.");
}

/* Refuses names of fields that are kept for facts. */
static void
parse_check_field(const RuleItem *item)
{
	static const char *const kept[] = {
		"segment:", "event:", "top:", "bottom:"};

	for (int i = 0; i < lengthof(kept); i++)
		if (pg_strncasecmp(item->text, kept[i], strlen(kept[i])) == 0)
			ereport(
				ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("field cannot be named \"%s\"", rule_clip(item->text)),
				 rule_item_place(item),
				 errhint("Names that begin with \"%s\" are columns that "
						 "other conditions read.",
						 kept[i])));
}

/* Reads operator and value of a condition on a field. */
static void
parse_operation(RuleNode *node, const RuleItem *item, const char *hint)
{
	const RuleItem *value;

	parse_check_keys(item, field_keys, hint);
	node->operator= parse_operator(parse_need(item, "operator", hint));
	if (value_parsers[node->operator] != NULL)
	{
		value_parsers[node->operator](node, parse_need(item, "value", hint));
		return;
	}
	value = rule_item_find(item, "value");
	if (value != NULL && value->kind != RULE_ITEM_NULL)
		parse_mismatch(value, "no value", "Leave the key out.");
}

/* Reads a condition on a field. */
static RuleNode *
parse_field(const RuleItem *item)
{
	const char *hint = "A condition on a field has the keys \"field\", "
					   "\"operator\" and \"value\", or \"field\" and one of "
					   "\"within\", \"before\" and \"next\".";
	RuleNode *node = palloc0(sizeof(RuleNode));
	const RuleItem *field = parse_need(item, "field", hint);

	node->kind = RULE_FIELD;
	node->name = parse_name(field, RULE_NAME_MAX);
	parse_check_field(field);
	for (int i = 0; i < lengthof(shorthands) && item->nchildren == 2; i++)
	{
		const RuleItem *value = rule_item_find(item, shorthands[i].key);

		if (value == NULL)
			continue;
		node->operator= shorthands[i].operator;
		value_parsers[node->operator](node, value);
		return node;
	}
	parse_operation(node, item, hint);
	return node;
}

/* Reads a number of events; -1 when the key is not there. */
static int32
parse_times(const RuleItem *object, const char *key)
{
	const RuleItem *item = rule_item_find(object, key);
	const char *text;

	if (item == NULL)
		return -1;
	text =
		item->kind == RULE_ITEM_NUMBER ? rule_number_text(item->text) : NULL;
	if (text == NULL || *text == '-' || strchr(text, '.') != NULL ||
		rule_number_compare(text, "2147483647") > 0)
		parse_mismatch(item, "a number of events",
					   "Give a whole number from 0 to 2147483647.");
	return pg_strtoint32(text);
}

/* Reads how often an event must have happened. */
static void
parse_counts(RuleNode *node, const RuleItem *item)
{
	node->at_least = parse_times(item, "at_least");
	node->at_most = parse_times(item, "at_most");
	if (node->at_least < 0)
		node->at_least = node->at_most < 0 ? 1 : 0;
	if (node->at_most >= 0 && node->at_least > node->at_most)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("nothing happens at least %d and at most %d "
							   "times",
							   node->at_least, node->at_most),
						rule_item_place(item)));
}

/* Reads the values that a property may have. */
static RuleNode *
parse_property(const RuleItem *item)
{
	RuleNode *node = palloc0(sizeof(RuleNode));

	if (item->key[0] == '\0')
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("property has no name"),
						rule_item_place(item->parent)));
	parse_check_length(item, item->key, RULE_NAME_MAX);
	node->kind = RULE_FIELD;
	node->operator= RULE_IN;
	node->name = item->key;
	if (item->kind == RULE_ITEM_LIST)
		parse_check_list(item);
	parse_allocate(node, item->kind == RULE_ITEM_LIST ? item->nchildren : 1);
	for (int i = 0; i < node->nvalues; i++)
		parse_scalar(item->kind == RULE_ITEM_LIST ? item->children[i] : item,
					 &node->values[i]);
	return node;
}

/* Reads the properties that an event must have. */
static void
parse_where(RuleNode *node, const RuleItem *item)
{
	RuleNode **properties;

	if (item->kind != RULE_ITEM_OBJECT)
		parse_mismatch(item, "an object",
					   "Give properties and their values, as in "
					   "{\"cabin\": \"business\"}.");
	properties = palloc(Max(item->nchildren, 1) * sizeof(RuleNode *));
	for (int i = 0; i < item->nchildren; i++)
		properties[i] = parse_property(item->children[i]);
	node->condition = rule_condition_json(properties, item->nchildren);
}

/* Reads a condition on events. */
static RuleNode *
parse_event(const RuleItem *item)
{
	RuleNode *node = palloc0(sizeof(RuleNode));
	const RuleItem *within = rule_item_find(item, "within");
	const RuleItem *where = rule_item_find(item, "where");
	RuleValue length;

	node->kind = RULE_EVENT;
	parse_check_keys(item, event_keys,
					 "A condition on events has the keys \"event\", "
					 "\"at_least\", \"at_most\", \"within\" and \"where\".");
	node->name = parse_name(rule_item_find(item, "event"), RULE_NAME_MAX);
	parse_counts(node, item);
	if (within != NULL)
	{
		parse_duration(within, &length);
		node->bounded = true;
		node->within = length.duration;
	}
	if (where != NULL)
		parse_where(node, where);
	return node;
}

/* Reads a condition on another segment. */
static RuleNode *
parse_segment(const RuleItem *item)
{
	RuleNode *node = palloc0(sizeof(RuleNode));

	node->kind = RULE_SEGMENT;
	parse_check_keys(item, segment_keys,
					 "A condition on a segment has only the key "
					 "\"segment\".");
	node->name = parse_name(rule_item_find(item, "segment"), RULE_SEGMENT_MAX);
	return node;
}

/* Reads the logic of a group. */
static RuleKind
parse_logic(const RuleItem *item)
{
	const char *logic =
		item->kind == RULE_ITEM_TEXT ? parse_fold(item->text) : "";

	if (strcmp(logic, "AND") == 0)
		return RULE_AND;
	if (strcmp(logic, "OR") == 0)
		return RULE_OR;
	if (strcmp(logic, "NOT") == 0)
		return RULE_NOT;
	parse_mismatch(item, "a logic", "Give \"AND\", \"OR\" or \"NOT\".");
}

/* Reads a group, in which there are depth groups with it. */
static RuleNode *
parse_group(const RuleItem *item, int depth)
{
	const char *hint = "A group has the keys \"logic\" and \"rules\".";
	RuleNode *node = palloc0(sizeof(RuleNode));
	const RuleItem *rules;

	if (depth > RULE_DEPTH_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("rule has more than %d levels", RULE_DEPTH_MAX),
						rule_item_place(item),
						errhint("Groups of the same logic can be one.")));
	parse_check_keys(item, group_keys, hint);
	node->kind = parse_logic(parse_need(item, "logic", hint));
	rules = parse_need(item, "rules", hint);
	if (rules->kind != RULE_ITEM_LIST || rules->nchildren == 0)
		parse_mismatch(rules, "a list of rules",
					   "Give a list with at least one rule.");
	if (node->kind == RULE_NOT && rules->nchildren != 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("NOT takes one rule, not %d", rules->nchildren),
						rule_item_place(rules),
						errhint("Nest a group in it: AND for not all of "
								"them, OR for none of them.")));
	node->nchildren = rules->nchildren;
	node->children = palloc(rules->nchildren * sizeof(RuleNode *));
	for (int i = 0; i < rules->nchildren; i++)
		node->children[i] = parse_rule(rules->children[i], depth);
	return node;
}

/* Reads a rule inside depth groups. */
static RuleNode *
parse_rule(const RuleItem *item, int depth)
{
	const char *hint = "A rule is {\"logic\": ..., \"rules\": [...]}, "
					   "{\"field\": ..., \"operator\": ..., \"value\": ...}, "
					   "{\"event\": ...} or {\"segment\": ...}.";

	if (item->kind != RULE_ITEM_OBJECT)
		parse_mismatch(item, "an object", hint);
	if (rule_item_find(item, "logic") || rule_item_find(item, "rules"))
		return parse_group(item, depth + 1);
	if (rule_item_find(item, "event"))
		return parse_event(item);
	if (rule_item_find(item, "segment"))
		return parse_segment(item);
	if (rule_item_find(item, "field"))
		return parse_field(item);
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("object is neither a condition nor a group"),
					rule_item_place(item), errhint("%s", hint)));
}

/* Reads the JSON of a rule. */
RuleNode *
rule_parse(const char *json, int length)
{
	if (length > RULE_TEXT_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("rule of %d bytes is longer than %d bytes",
							   length, RULE_TEXT_MAX),
						errdetail("At the top."),
						errhint("Lists of customers belong into a static "
								"segment.")));
	return parse_rule(rule_item_read(json, length), 0);
}
