/* Predicates: true, false, or unknown where a value is missing. */
#include "postgres.h"

#include "miscadmin.h"
#include "model/expression.h"

static const char *const predicate_names[] = {
	"SimplePredicate", "CompoundPredicate", "SimpleSetPredicate", "True",
	"False"};

/* Tells whether an element is a predicate. */
static bool
predicate_is(const XmlNode *node)
{
	for (int i = 0; i < lengthof(predicate_names); i++)
		if (xml_named(node, predicate_names[i]))
			return true;
	return false;
}

/* The first of these siblings that is a predicate, marked; or NULL. */
static XmlNode *
predicate_find(XmlNode *node)
{
	while (node != NULL && !predicate_is(node))
		node = node->next;
	if (node != NULL)
		node->read = true;
	return node;
}

/* The predicate in an element, NULL if it has none. */
XmlNode *
predicate_child(XmlNode *node)
{
	return predicate_find(node->child);
}

/* Tells whether a predicate holds whatever the values are. */
bool
predicate_is_true(XmlNode *node)
{
	return xml_named(node, "True");
}

/*
 * The value that a field is compared with. Numbers need not be of the type
 * of the field: a whole number or a truth is less than 0.5 or not.
 */
double
predicate_value(Compiler *c, XmlNode *node, const Field *field,
				const char *text)
{
	FieldType type = field->type;
	double value;

	if (value_try(c, text, type, &value))
		return value;
	if (type.type == VALUE_INTEGER || type.type == VALUE_BOOLEAN)
		type = type_double;
	return value_parse(c, node, text, type);
}

/* Compiles the comparison of a field with a value. */
static uint32
predicate_compare(Compiler *c, XmlNode *node, const Field *field, int kind)
{
	double value = predicate_value(c, node, field, xml_need(node, "value"));
	Operand left = expression_slot(c, field->slot, field->type);
	Operand right = expression_number(c, value, field->type);

	if (kind == COMPARE_EQUAL || kind == COMPARE_NOT_EQUAL)
		return compare_emit(c, kind, left.at, right.at, NULL, 0);
	if (field->type.optype == OPTYPE_ORDINAL && field->nvalues > 0)
		return compare_emit(c, kind, left.at, right.at, field->values,
							field->nvalues);
	if (field->type.type == VALUE_TEXT)
	{
		if (field->type.optype != OPTYPE_ORDINAL)
			xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
					 "values of field \"%s\" have no order", field->name);
		kind |= COMPARE_TEXT;
	}
	return compare_emit(c, kind, left.at, right.at, NULL, 0);
}

/* Compiles a SimplePredicate. */
static uint32
predicate_simple(Compiler *c, Scope *scope, XmlNode *node)
{
	Field *field = scope_field(c, scope, node, xml_need(node, "field"));
	Operand value;
	int test;

	xml_need(node, "operator");
	test = xml_choice(node, "operator",
					  "equal|notEqual|lessThan|lessOrEqual|greaterThan|"
					  "greaterOrEqual|isMissing|isNotMissing",
					  0);
	if (test < COMPARE_KINDS)
		return predicate_compare(c, node, field, test);
	value = expression_slot(c, field->slot, field->type);
	return logic_emit(c, test == COMPARE_KINDS ? LOGIC_MISSING : LOGIC_PRESENT,
					  &value.at, 1);
}

/* Compiles a SimpleSetPredicate. */
static uint32
predicate_set(Compiler *c, Scope *scope, XmlNode *node)
{
	Field *field = scope_field(c, scope, node, xml_need(node, "field"));
	XmlNode *array = xml_need_child(node, "Array");
	Operand value = expression_slot(c, field->slot, field->type);
	int n;
	double *values = value_array(c, array, field->type, &n);

	xml_need(node, "booleanOperator");
	return member_emit(
		c,
		xml_choice(node, "booleanOperator", "isIn|isNotIn", 0) == 1
			? MEMBER_NOT
			: 0,
		value.at, values, n);
}

/* Compiles a CompoundPredicate. */
static uint32
predicate_compound(Compiler *c, Scope *scope, XmlNode *node)
{
	uint32 *operands = NULL;
	uint32 size = 0;
	uint32 n = 0;
	uint32 at;
	int kind;

	xml_need(node, "booleanOperator");
	kind = xml_choice(node, "booleanOperator", "and|or|xor|surrogate", 0);
	for (XmlNode *child = predicate_child(node); child != NULL;
		 child = predicate_find(child->next))
	{
		operands = builder_grow(operands, n, 1, &size, sizeof(uint32));
		operands[n++] = predicate_compile(c, scope, child);
	}
	if (n == 0)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "compound predicate is empty");
	at = logic_emit(c, kind, operands, n);
	pfree(operands);
	return at;
}

/* Compiles a predicate by its kind. */
static uint32
predicate_dispatch(Compiler *c, Scope *scope, XmlNode *node)
{
	if (xml_named(node, "SimplePredicate"))
		return predicate_simple(c, scope, node);
	if (xml_named(node, "SimpleSetPredicate"))
		return predicate_set(c, scope, node);
	if (xml_named(node, "CompoundPredicate"))
		return predicate_compound(c, scope, node);
	if (xml_named(node, "True"))
		return expression_number(c, 1, type_boolean).at;
	if (!xml_named(node, "False"))
		xml_unsupported(node, NULL, NULL);
	return expression_number(c, 0, type_boolean).at;
}

/* Compiles a predicate to an expression: 1 true, 0 false, NaN unknown. */
uint32
predicate_compile(Compiler *c, Scope *scope, XmlNode *node)
{
	uint32 at;

	CHECK_FOR_INTERRUPTS();
	check_stack_depth();
	if (++c->depth > EXPRESSION_MAX_DEPTH)
		xml_fail(node, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
				 "expressions are nested too deeply");
	at = predicate_dispatch(c, scope, node);
	c->depth--;
	return at;
}
