/*
 * Rules in canonical form, flat and as JSON.
 *
 * The flat form has the nodes in the order in which the JSON names them:
 *
 *   1 byte    kind
 *   group     number of children (not after NOT), and the children
 *   field     1 byte operator, name, number of values, and of each 1 byte
 *             kind and text
 *   event     name, at_least, at_most + 1, text of within or an empty one,
 *             JSON of where or an empty one
 *   segment   name
 *
 * A number has 7 bits a byte, lowest first, the upper bit set when more
 * follow; a text is its number of bytes, the bytes and a zero.
 */
#include "postgres.h"

#include <limits.h>

#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "segment/rule.h"
#include "utils/json.h"

/* Reads the flat form. */
typedef struct RuleReader
{
	const char *at;
	const char *end;
} RuleReader;

/* A part of a group with what it is sorted by. */
typedef struct RulePart
{
	RuleNode *node;
	char *json;
	int length;
} RulePart;

static const char *const operator_names[] = {
	[RULE_EQ] = "=",
	[RULE_NE] = "!=",
	[RULE_LT] = "<",
	[RULE_LE] = "<=",
	[RULE_GT] = ">",
	[RULE_GE] = ">=",
	[RULE_IN] = "IN",
	[RULE_NOT_IN] = "NOT IN",
	[RULE_BETWEEN] = "BETWEEN",
	[RULE_CONTAINS] = "CONTAINS",
	[RULE_STARTS_WITH] = "STARTS WITH",
	[RULE_IS_NULL] = "IS NULL",
	[RULE_IS_NOT_NULL] = "IS NOT NULL",
	[RULE_WITHIN] = "WITHIN",
	[RULE_BEFORE] = "BEFORE",
	[RULE_NEXT] = "NEXT",
	[RULE_MONTH] = "MONTH",
	[RULE_ANNIVERSARY] = "ANNIVERSARY",
	[RULE_TOP] = "TOP",
	[RULE_BOTTOM] = "BOTTOM",
};

/*
 * Operators that are exactly each other's negation, NULL staying NULL. Of a
 * day or an age, too: each takes it as a whole.
 */
static const RuleOperator complements[][2] = {
	{RULE_EQ, RULE_NE},
	{RULE_LT, RULE_GE},
	{RULE_LE, RULE_GT},
	{RULE_IN, RULE_NOT_IN},
	{RULE_IS_NULL, RULE_IS_NOT_NULL},
};

static RuleNode *rule_canonical(RuleNode *node);

/* Returns how an operator is written. */
const char *
rule_operator_name(RuleOperator operator)
{
	return operator_names[operator];
}

/* JSON ------------------------------------------------------------------ */

/* Writes a value. */
static void
json_value(StringInfo out, const RuleValue *value)
{
	if (value->kind == RULE_BOOLEAN || value->kind == RULE_NUMBER)
		appendStringInfoString(out, value->text);
	else
		escape_json(out, value->text);
}

/* Writes values, as a list if asked for. */
static void
json_values(StringInfo out, const RuleNode *node, bool list)
{
	if (list)
		appendStringInfoChar(out, '[');
	for (int i = 0; i < node->nvalues; i++)
	{
		if (i > 0)
			appendStringInfoString(out, ", ");
		json_value(out, &node->values[i]);
	}
	if (list)
		appendStringInfoChar(out, ']');
}

/* Writes a condition on a field. */
static void
json_field(StringInfo out, const RuleNode *node)
{
	bool list =
		node->operator== RULE_IN || node->operator== RULE_NOT_IN ||
		node->
		operator== RULE_BETWEEN || node->nvalues> 1;

	appendStringInfoString(out, "{\"field\": ");
	escape_json(out, node->name);
	appendStringInfo(out, ", \"operator\": \"%s\"",
					 rule_operator_name(node->operator));
	if (node->nvalues > 0)
	{
		appendStringInfoString(out, ", \"value\": ");
		json_values(out, node, list);
	}
	appendStringInfoChar(out, '}');
}

/* Writes a condition on events, or what it counts, without the bounds. */
static void
json_event(StringInfo out, const RuleNode *node, bool bounds)
{
	appendStringInfoString(out, "{\"event\": ");
	escape_json(out, node->name);
	if (bounds && (node->at_least > 0 || node->at_most < 0))
		appendStringInfo(out, ", \"at_least\": %d", node->at_least);
	if (bounds && node->at_most >= 0)
		appendStringInfo(out, ", \"at_most\": %d", node->at_most);
	if (node->bounded)
		appendStringInfo(out, ", \"within\": \"%s\"",
						 rule_duration_text(&node->within));
	if (node->condition != NULL)
		appendStringInfo(out, ", \"where\": %s", node->condition);
	appendStringInfoChar(out, '}');
}

/* Writes a condition on another segment. */
static void
json_segment(StringInfo out, const RuleNode *node)
{
	appendStringInfoString(out, "{\"segment\": ");
	escape_json(out, node->name);
	appendStringInfoChar(out, '}');
}

/* Writes a rule. */
static void
json_node(StringInfo out, const RuleNode *node)
{
	switch (node->kind)
	{
		case RULE_FIELD:
			json_field(out, node);
			return;
		case RULE_EVENT:
			json_event(out, node, true);
			return;
		case RULE_SEGMENT:
			json_segment(out, node);
			return;
		default:
			break;
	}
	CHECK_FOR_INTERRUPTS();
	appendStringInfo(out, "{\"logic\": \"%s\", \"rules\": [",
					 node->kind == RULE_AND  ? "AND"
					 : node->kind == RULE_OR ? "OR"
											 : "NOT");
	for (int i = 0; i < node->nchildren; i++)
	{
		if (i > 0)
			appendStringInfoString(out, ", ");
		json_node(out, node->children[i]);
	}
	appendStringInfoString(out, "]}");
}

/* Returns the JSON of a canonical rule. */
char *
rule_json(const RuleNode *node)
{
	StringInfoData out;

	initStringInfo(&out);
	json_node(&out, node);
	return out.data;
}

/* Returns the JSON that defines the fact which a condition reads. */
char *
rule_fact_json(const RuleNode *node)
{
	StringInfoData out;

	if (node->operator== RULE_TOP || node->operator== RULE_BOTTOM)
		return rule_json(node);
	initStringInfo(&out);
	if (node->kind == RULE_EVENT)
		json_event(&out, node, false);
	else if (node->kind == RULE_SEGMENT)
		json_segment(&out, node);
	else
	{
		appendStringInfoString(&out, "{\"field\": ");
		escape_json(&out, node->name);
		appendStringInfoChar(&out, '}');
	}
	return out.data;
}

/* Canonical form -------------------------------------------------------- */

/* Orders values: numbers by size, texts by bytes. */
static int
value_compare(const void *a, const void *b)
{
	const RuleValue *x = a;
	const RuleValue *y = b;

	if (x->kind == RULE_NUMBER && y->kind == RULE_NUMBER)
		return rule_number_compare(x->text, y->text);
	return strcmp(x->text, y->text);
}

/* Sorts the values of a list, which are of one type, and drops repeats. */
static void
canonical_list(RuleNode *node)
{
	int n = 1;

	qsort(node->values, node->nvalues, sizeof(RuleValue), value_compare);
	for (int i = 1; i < node->nvalues; i++)
		if (value_compare(&node->values[n - 1], &node->values[i]) != 0)
			node->values[n++] = node->values[i];
	node->nvalues = n;
}

/* Makes a condition on a field canonical. */
static void
canonical_field(RuleNode *node)
{
	bool in = node->operator== RULE_IN || node->operator== RULE_NOT_IN;

	if (in || node->operator== RULE_MONTH)
		canonical_list(node);
	if (in && node->nvalues == 1)
		node->operator= node->operator== RULE_IN ? RULE_EQ : RULE_NE;
}

/* Turns a condition into its negation if there is an operator for it. */
static bool
canonical_complement(RuleNode *node)
{
	if (node->kind != RULE_FIELD)
		return false;
	for (int i = 0; i < lengthof(complements); i++)
		for (int j = 0; j < 2; j++)
			if (node->operator== complements[i][j])
			{
				node->operator= complements[i][1 - j];
				return true;
			}
	return false;
}

/* Makes a negation canonical. */
static RuleNode *
canonical_not(RuleNode *node)
{
	RuleNode *child = rule_canonical(node->children[0]);

	if (child->kind == RULE_NOT)
		return child->children[0];
	if (canonical_complement(child))
		return child;
	node->children[0] = child;
	return node;
}

/* Makes the children of a group canonical and joins those of its logic. */
static void
canonical_join(RuleNode *node)
{
	RuleNode **children;
	int n = 0;

	for (int i = 0; i < node->nchildren; i++)
	{
		RuleNode *child = rule_canonical(node->children[i]);

		node->children[i] = child;
		n += child->kind == node->kind ? child->nchildren : 1;
	}
	children = palloc(n * sizeof(RuleNode *));
	n = 0;
	for (int i = 0; i < node->nchildren; i++)
	{
		RuleNode *child = node->children[i];

		if (child->kind != node->kind)
			children[n++] = child;
		else
			for (int j = 0; j < child->nchildren; j++)
				children[n++] = child->children[j];
	}
	node->children = children;
	node->nchildren = n;
}

/* Orders the parts of a group by the bytes of their JSON. */
static int
part_compare(const void *a, const void *b)
{
	return strcmp(((const RulePart *) a)->json, ((const RulePart *) b)->json);
}

/* Sorts the parts of a group and drops repeats. */
static void
canonical_sort(RuleNode *node)
{
	RulePart *parts = palloc(node->nchildren * sizeof(RulePart));
	int n = 0;

	for (int i = 0; i < node->nchildren; i++)
	{
		parts[i].node = node->children[i];
		parts[i].json = rule_json(node->children[i]);
	}
	qsort(parts, node->nchildren, sizeof(RulePart), part_compare);
	for (int i = 0; i < node->nchildren; i++)
		if (i == 0 || part_compare(&parts[i - 1], &parts[i]) != 0)
			node->children[n++] = parts[i].node;
	for (int i = 0; i < node->nchildren; i++)
		pfree(parts[i].json);
	pfree(parts);
	node->nchildren = n;
}

/* Makes a rule canonical, which changes it. */
static RuleNode *
rule_canonical(RuleNode *node)
{
	CHECK_FOR_INTERRUPTS();
	check_stack_depth();
	switch (node->kind)
	{
		case RULE_FIELD:
			canonical_field(node);
			return node;
		case RULE_NOT:
			return canonical_not(node);
		case RULE_AND:
		case RULE_OR:
			canonical_join(node);
			canonical_sort(node);
			return node->nchildren == 1 ? node->children[0] : node;
		default:
			return node;
	}
}

/* Orders properties by name. */
static int
property_compare(const void *a, const void *b)
{
	return strcmp((*(RuleNode *const *) a)->name,
				  (*(RuleNode *const *) b)->name);
}

/* Returns properties and their values as JSON; NULL when there are none. */
char *
rule_condition_json(RuleNode **properties, int n)
{
	StringInfoData out;

	if (n == 0)
		return NULL;
	qsort(properties, n, sizeof(RuleNode *), property_compare);
	initStringInfo(&out);
	for (int i = 0; i < n; i++)
	{
		canonical_list(properties[i]);
		appendStringInfoString(&out, i == 0 ? "{" : ", ");
		escape_json(&out, properties[i]->name);
		appendStringInfoString(&out, ": ");
		json_values(&out, properties[i], properties[i]->nvalues > 1);
	}
	appendStringInfoChar(&out, '}');
	return out.data;
}

/* Flat form ------------------------------------------------------------- */

/* Writes a number. */
static void
flat_number(StringInfo out, uint32 value)
{
	for (; value >= 0x80; value >>= 7)
		appendStringInfoChar(out, (char) (value | 0x80));
	appendStringInfoChar(out, (char) value);
}

/* Writes a text. */
static void
flat_text(StringInfo out, const char *text)
{
	int length = strlen(text);

	flat_number(out, length);
	appendBinaryStringInfo(out, text, length + 1);
}

/* Writes a condition on a field. */
static void
flat_field(StringInfo out, const RuleNode *node)
{
	appendStringInfoChar(out, (char) node->operator);
	flat_text(out, node->name);
	flat_number(out, node->nvalues);
	for (int i = 0; i < node->nvalues; i++)
	{
		appendStringInfoChar(out, (char) node->values[i].kind);
		flat_text(out, node->values[i].text);
	}
}

/* Writes a condition on events. */
static void
flat_event(StringInfo out, const RuleNode *node)
{
	flat_text(out, node->name);
	flat_number(out, node->at_least);
	flat_number(out, (uint32) node->at_most + 1);
	flat_text(out, node->bounded ? rule_duration_text(&node->within) : "");
	flat_text(out, node->condition != NULL ? node->condition : "");
}

static int flat_node(StringInfo out, const RuleNode *node, int *nnodes);

/* Writes the children of a group and returns how many levels they have. */
static int
flat_group(StringInfo out, const RuleNode *node, int *nnodes)
{
	int depth = 0;

	if (node->kind != RULE_NOT)
		flat_number(out, node->nchildren);
	for (int i = 0; i < node->nchildren; i++)
	{
		int below = flat_node(out, node->children[i], nnodes);

		depth = Max(depth, below);
	}
	return depth + 1;
}

/* Writes a rule; returns its levels of groups and counts its nodes. */
static int
flat_node(StringInfo out, const RuleNode *node, int *nnodes)
{
	(*nnodes)++;
	appendStringInfoChar(out, (char) node->kind);
	switch (node->kind)
	{
		case RULE_FIELD:
			flat_field(out, node);
			return 0;
		case RULE_EVENT:
			flat_event(out, node);
			return 0;
		case RULE_SEGMENT:
			flat_text(out, node->name);
			return 0;
		default:
			return flat_group(out, node, nnodes);
	}
}

/* Checks the size of a rule that is made of others. */
void
rule_check_size(int nnodes, int depth, Size size)
{
	if (nnodes > RULE_NODES_MAX || depth > RULE_LEVELS_MAX ||
		size > RULE_BYTES_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("rule made of rules is too large"),
				 errdetail("The limits are %d conditions and groups, %d "
						   "levels and %d bytes.",
						   RULE_NODES_MAX, RULE_LEVELS_MAX, RULE_BYTES_MAX),
				 errhint("Lists of customers belong into a static "
						 "segment.")));
}

/* Returns the value of a tree, which it changes into canonical form. */
SegmentRule *
rule_make(RuleNode *tree)
{
	StringInfoData out;
	SegmentRule *rule;
	int nnodes = 0;
	int depth;

	tree = rule_canonical(tree);
	initStringInfo(&out);
	appendStringInfoSpaces(&out, offsetof(SegmentRule, data));
	depth = flat_node(&out, tree, &nnodes);
	rule_check_size(nnodes, depth, out.len);
	rule = (SegmentRule *) out.data;
	SET_VARSIZE(rule, out.len);
	rule->version = RULE_VERSION;
	rule->depth = (uint8) depth;
	rule->nnodes = (uint16) nnodes;
	return rule;
}

static void flat_error(void) pg_attribute_noreturn();

/* Raises the error for bytes that this version did not write. */
static void
flat_error(void)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("segment_rule is damaged, or of another version "
						   "of iaros")));
}

/* Reads one byte, which must not exceed a limit. */
static int
tree_byte(RuleReader *reader, int limit)
{
	int value;

	if (reader->at >= reader->end)
		flat_error();
	value = (unsigned char) *reader->at++;
	if (value > limit)
		flat_error();
	return value;
}

/* Reads a number. */
static uint32
tree_number(RuleReader *reader)
{
	uint32 value = 0;

	for (int shift = 0; shift < 32; shift += 7)
	{
		int byte = tree_byte(reader, UCHAR_MAX);

		value |= (uint32) (byte & 0x7F) << shift;
		if (!(byte & 0x80))
			return value;
	}
	flat_error();
}

/* Reads a number of things that take a byte at least. */
static int
tree_count(RuleReader *reader)
{
	uint32 count = tree_number(reader);

	if (count > reader->end - reader->at)
		flat_error();
	return (int) count;
}

/* Reads a text. */
static const char *
tree_text(RuleReader *reader, int *length)
{
	const char *text;

	*length = tree_count(reader);
	text = reader->at;
	if (*length >= reader->end - reader->at || text[*length] != '\0')
		flat_error();
	reader->at += *length + 1;
	return text;
}

/* Reads a duration. */
static void
tree_duration(const char *text, int length, RuleDuration *duration)
{
	if (!rule_duration_parse(text, length, duration))
		flat_error();
}

/* Returns the column that a condition on a field reads. */
static const char *
tree_field_fact(const RuleNode *node)
{
	if (node->operator== RULE_TOP || node->operator== RULE_BOTTOM)
		return psprintf("%s:%s:%s",
						node->operator== RULE_TOP ? "top" : "bottom",
						node->values[0].text, node->name);
	return node->name;
}

/* Reads a condition on a field. */
static void
tree_field(RuleReader *reader, RuleNode *node)
{
	int length;

	node->operator= tree_byte(reader, lengthof(operator_names) - 1);
	node->name = tree_text(reader, &length);
	node->nvalues = tree_count(reader);
	node->values = palloc0(Max(node->nvalues, 1) * sizeof(RuleValue));
	for (int i = 0; i < node->nvalues; i++)
	{
		RuleValue *value = &node->values[i];

		value->kind = tree_byte(reader, RULE_DURATION);
		value->text = tree_text(reader, &value->length);
		if (value->kind == RULE_DURATION)
			tree_duration(value->text, value->length, &value->duration);
	}
	node->fact = tree_field_fact(node);
}

/*
 * Returns the column that a condition on another segment reads: its name, or
 * a hash of one that would be too long for a column.
 */
static const char *
tree_segment_fact(const char *name)
{
	const char *fact = psprintf("segment:%s", name);

	if (strlen(fact) < NAMEDATALEN)
		return fact;
	return psprintf(
		"segment:#%016" INT64_MODIFIER "x",
		hash_bytes_extended((const unsigned char *) name, strlen(name), 0));
}

/* Reads a condition on events. */
static void
tree_event(RuleReader *reader, RuleNode *node)
{
	const char *text;
	int length;

	node->name = tree_text(reader, &length);
	node->at_least = (int32) tree_number(reader);
	node->at_most = (int32) (tree_number(reader) - 1);
	text = tree_text(reader, &length);
	node->bounded = length > 0;
	if (node->bounded)
		tree_duration(text, length, &node->within);
	text = tree_text(reader, &length);
	node->condition = length > 0 ? text : NULL;
	text = rule_fact_json(node);
	node->fact = psprintf(
		"event:%016" INT64_MODIFIER "x",
		hash_bytes_extended((const unsigned char *) text, strlen(text), 0));
}

/* Reads a rule. */
static RuleNode *
tree_node(RuleReader *reader)
{
	RuleNode *node = palloc0(sizeof(RuleNode));
	int length;

	check_stack_depth();
	node->kind = tree_byte(reader, RULE_SEGMENT);
	switch (node->kind)
	{
		case RULE_FIELD:
			tree_field(reader, node);
			return node;
		case RULE_EVENT:
			tree_event(reader, node);
			return node;
		case RULE_SEGMENT:
			node->name = tree_text(reader, &length);
			node->fact = tree_segment_fact(node->name);
			return node;
		default:
			break;
	}
	node->nchildren = node->kind == RULE_NOT ? 1 : tree_count(reader);
	node->children = palloc(Max(node->nchildren, 1) * sizeof(RuleNode *));
	for (int i = 0; i < node->nchildren; i++)
		node->children[i] = tree_node(reader);
	return node;
}

/* Returns the tree of a rule, with the facts that its conditions read. */
RuleNode *
rule_tree(const SegmentRule *rule)
{
	int size = VARSIZE(rule) - offsetof(SegmentRule, data);
	char *data = palloc(Max(size, 1));
	RuleReader reader = {.at = data, .end = data + size};
	RuleNode *node;

	if (rule->version != RULE_VERSION)
		flat_error();
	memcpy(data, rule->data, size);
	node = tree_node(&reader);
	if (reader.at != reader.end)
		flat_error();
	return node;
}
