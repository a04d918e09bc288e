/*
 * Finding fields by name: those of a model, of the models around it, and of
 * the TransformationDictionary.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "model/compile.h"

/* The bucket of a name. */
static uint32
field_bucket(const FieldTable *table, const char *name)
{
	return hash_bytes((const unsigned char *) name, (int) strlen(name)) &
		   (table->nbuckets - 1);
}

/* Doubles the buckets of a table. */
static void
field_rehash(FieldTable *table)
{
	FieldTable grown = {0};

	grown.nbuckets = table->nbuckets == 0 ? 16 : table->nbuckets * 4;
	grown.buckets = palloc0(grown.nbuckets * sizeof(Field *));
	for (uint32 i = 0; i < table->nbuckets; i++)
	{
		Field *field;
		Field *reversed = NULL;

		/* What was added last is found first, there as here. */
		while ((field = table->buckets[i]) != NULL)
		{
			table->buckets[i] = field->next;
			field->next = reversed;
			reversed = field;
		}
		while ((field = reversed) != NULL)
		{
			reversed = field->next;
			field_add(&grown, field);
		}
	}
	*table = grown;
}

/* Adds a field, before fields of the same name. */
void
field_add(FieldTable *table, Field *field)
{
	uint32 bucket;

	if (table->n >= table->nbuckets)
		field_rehash(table);
	bucket = field_bucket(table, field->name);
	field->next = table->buckets[bucket];
	table->buckets[bucket] = field;
	table->n++;
}

/* The field of a table with a name, NULL if there is none. */
Field *
field_find(const FieldTable *table, const char *name)
{
	if (table->nbuckets == 0)
		return NULL;
	for (Field *field = table->buckets[field_bucket(table, name)];
		 field != NULL; field = field->next)
		if (strcmp(field->name, name) == 0)
			return field;
	return NULL;
}

/* Declares a DerivedField in a scope, to be compiled when it is named. */
static Field *
field_derived(Scope *scope, XmlNode *node)
{
	Field *field = palloc0(sizeof(Field));

	field->name = xml_need(node, "name");
	field->node = node;
	field->state = FIELD_DERIVED;
	field_add(&scope->fields, field);
	return field;
}

/* Declares the fields of LocalTransformations. */
void
scope_derived(Scope *scope, XmlNode *transformations)
{
	for (XmlNode *node = xml_child(transformations, "DerivedField");
		 node != NULL; node = xml_next(node, "DerivedField"))
	{
		Field *field = field_find(&scope->fields, xml_need(node, "name"));

		if (field != NULL && field->state == FIELD_DERIVED)
			xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
					 "field \"%s\" is declared twice", field->name);
		field_derived(scope, node);
	}
}

/* Declares a field of the TransformationDictionary in a scope. */
static Field *
field_global(Compiler *c, Scope *scope, const char *name)
{
	if (c->transformations == NULL)
		return NULL;
	for (XmlNode *node = xml_child(c->transformations, "DerivedField");
		 node != NULL; node = xml_next(node, "DerivedField"))
		if (strcmp(xml_need(node, "name"), name) == 0)
			return field_derived(scope, node);
	return NULL;
}

/* Reads the values that a DerivedField lists. */
static void
field_values(Compiler *c, Field *field)
{
	int n = xml_children(field->node, "Value");

	if (n == 0)
		return;
	field->values = palloc(n * sizeof(double));
	for (XmlNode *node = xml_child(field->node, "Value"); node != NULL;
		 node = xml_next(node, "Value"))
	{
		xml_attr(node, "displayValue");
		if (xml_choice(node, "property", "valid|invalid|missing", 0) == 0)
			field->values[field->nvalues++] =
				value_parse(c, node, xml_need(node, "value"), field->type);
		else
			xml_attr(node, "value");
	}
}

/* Compiles a DerivedField into a step of the scope that declares it. */
static void
field_compile(Compiler *c, Scope *scope, Field *field)
{
	XmlNode *child = expression_child(field->node);
	Operand value;

	if (child == NULL)
		xml_fail(field->node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "field \"%s\" has no expression", field->name);
	field->state = FIELD_RUNNING;
	value = expression_compile(c, scope, child);
	field->type = type_parse(field->node, value.type);
	value = expression_cast(c, value, field->type);
	field_values(c, field);
	field->slot = scope_set(c, scope, value);
	field->state = FIELD_READY;
}

/* Makes a field of a scope ready for use. */
static Field *
field_use(Compiler *c, Scope *scope, XmlNode *node, Field *field)
{
	switch (field->state)
	{
		case FIELD_READY:
			break;
		case FIELD_DERIVED:
			field_compile(c, scope, field);
			break;
		case FIELD_MINED:
			schema_use(c, scope, field);
			break;
		case FIELD_RUNNING:
			xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
					 "field \"%s\" refers to itself", field->name);
	}
	return field;
}

/* The field that a name means in a scope, NULL if there is none. */
Field *
scope_find(Compiler *c, Scope *scope, const char *name)
{
	for (; scope != NULL; scope = scope->parent)
	{
		Field *field = field_find(&scope->fields, name);

		/* A model that treats its inputs has global fields of its own. */
		if (field == NULL && (scope->parent == NULL || scope->treats))
			field = field_global(c, scope, name);
		if (field != NULL)
			return field_use(c, scope, field->node, field);
	}
	return NULL;
}

/* The field that a name means in a scope, or an error. */
Field *
scope_field(Compiler *c, Scope *scope, XmlNode *node, const char *name)
{
	Field *field = scope_find(c, scope, name);

	if (field == NULL)
		xml_fail(node, ERRCODE_UNDEFINED_OBJECT, "field \"%s\" is not defined",
				 name);
	return field;
}
