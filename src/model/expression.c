/* Expressions, by their element: constants, fields, and what others do. */
#include "postgres.h"

#include "miscadmin.h"
#include "model/expression.h"

typedef Operand (*ExpressionCompile)(Compiler *c, Scope *scope, XmlNode *node);

/* The type that a constant has when none is declared, by how it is written. */
static FieldType
constant_type(const char *text)
{
	FieldType type = type_double;
	double value;

	/* True and false can be read as numbers, but are not written as such. */
	if (pg_strcasecmp(text, "true") == 0 || pg_strcasecmp(text, "false") == 0)
		return type_text;
	if (value_from_text(text, VALUE_INTEGER, 0, &value) &&
		strpbrk(text, ".eE") == NULL)
		type.type = VALUE_INTEGER;
	else if (pg_strcasecmp(text, "NaN") != 0 &&
			 !value_from_text(text, VALUE_DOUBLE, 0, &value))
		type = type_text;
	return type;
}

/* A text without the white space around it. */
static const char *
constant_trim(const char *text)
{
	Size size;

	text += strspn(text, " \t\r\n");
	size = strlen(text);
	while (size > 0 && strchr(" \t\r\n", text[size - 1]) != NULL)
		size--;
	return pnstrdup(text, size);
}

/* Compiles Constant. White space counts in texts only. */
static Operand
constant_compile(Compiler *c, Scope *scope, XmlNode *node)
{
	const char *text = node->text == NULL ? "" : node->text;
	const char *trimmed = constant_trim(text);
	FieldType type = type_parse(node, constant_type(trimmed));

	if (xml_flag(node, "missing", false))
		return expression_number(c, NAN, type);
	if (type.type != VALUE_TEXT)
		text = trimmed;
	return expression_number(c, value_parse(c, node, text, type), type);
}

/* Compiles FieldRef. */
static Operand
field_ref_compile(Compiler *c, Scope *scope, XmlNode *node)
{
	Operand field = expression_field(c, scope, node, xml_need(node, "field"));

	return operand_default(c, node, field, xml_attr(node, "mapMissingTo"));
}

/* Refuses what aggregates many rows. */
static Operand
refused_compile(Compiler *c, Scope *scope, XmlNode *node)
{
	xml_unsupported(node, NULL, NULL);
}

static const struct
{
	const char *name;
	ExpressionCompile compile;
} expression_kinds[] = {
	{"Constant", constant_compile},
	{"FieldRef", field_ref_compile},
	{"Apply", call_compile},
	{"NormContinuous", norm_continuous_compile},
	{"NormDiscrete", norm_discrete_compile},
	{"Discretize", discretize_compile},
	{"MapValues", map_compile},
	{"TextIndex", expression_text_index},
	{"Aggregate", refused_compile},
	{"Lag", refused_compile},
};

/* How an element is compiled, NULL if it is no expression. */
static ExpressionCompile
expression_find(const XmlNode *node)
{
	for (int i = 0; i < lengthof(expression_kinds); i++)
		if (xml_named(node, expression_kinds[i].name))
			return expression_kinds[i].compile;
	return NULL;
}

/* The first of these siblings that is an expression, marked; or NULL. */
XmlNode *
expression_among(XmlNode *node)
{
	while (node != NULL && expression_find(node) == NULL)
		node = node->next;
	if (node != NULL)
		node->read = true;
	return node;
}

/* The expression in an element, NULL if it has none. */
XmlNode *
expression_child(XmlNode *node)
{
	return expression_among(node->child);
}

/* Compiles any expression. */
Operand
expression_compile(Compiler *c, Scope *scope, XmlNode *node)
{
	ExpressionCompile compile = expression_find(node);
	Operand value;

	CHECK_FOR_INTERRUPTS();
	check_stack_depth();
	if (compile == NULL)
		xml_unsupported(node, NULL, NULL);
	if (++c->depth > EXPRESSION_MAX_DEPTH)
		xml_fail(node, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
				 "expressions are nested too deeply");
	value = compile(c, scope, node);
	c->depth--;
	return value;
}

/* The value of a field, or of a parameter inside the body of a function. */
Operand
expression_field(Compiler *c, Scope *scope, XmlNode *node, const char *name)
{
	Field *field;

	for (Parameter *parameter = scope->parameters; parameter != NULL;
		 parameter = parameter->next)
		if (strcmp(parameter->name, name) == 0)
			return parameter->value;
	field = scope_field(c, scope, node, name);
	return expression_slot(c, field->slot, field->type);
}

/*
 * The type of the values that are written in MapValues or Discretize: text,
 * if nothing else is said. Those of a derived field are read in its type at
 * once, so that they need not be cast for each row.
 */
FieldType
expression_written_type(XmlNode *node)
{
	const char *name = NULL;
	FieldType type;

	if (xml_attr(node, "dataType") != NULL)
		return type_parse(node, type_text);
	if (node->parent != NULL && xml_named(node->parent, "DerivedField"))
		name = xml_attr(node->parent, "dataType");
	return name != NULL && type_try(name, &type) ? type : type_text;
}

/*
 * A value that is written in such a type. One that is not of the type is
 * missing, as it would be when it is cast.
 */
double
expression_written_value(Compiler *c, const char *text, FieldType type)
{
	double value;

	return text != NULL && value_try(c, text, type, &value) ? value : NAN;
}
