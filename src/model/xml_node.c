/*
 * Asking elements for their attributes and children. Whatever is asked for
 * is marked; what was never asked for is refused at the end.
 */
#include "postgres.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "model/xml.h"

/*
 * Elements without meaning for scoring, with all that is in them: extensions
 * that nobody asked for, where the model comes from, statistics of the data
 * it was trained on, and how well it did.
 */
static const char *const informational_elements[] = {
	"Annotation",        "Covariances",     "Extension",        "Header",
	"KohonenMap",        "MiningBuildTask", "ModelExplanation", "ModelStats",
	"ModelVerification", "PCovMatrix",      "Partition",        "Taxonomy",
	"Timestamp",
};

/*
 * Attributes without meaning for scoring: of any element, or element/name.
 * Counts are what the document tells of itself or of the training data.
 */
static const char *const informational_attributes[] = {
	/* Names and remarks for people. */
	"algorithmName",
	"description",
	"displayName",
	"modelName",
	"Characteristic/name",
	"Cluster/name",
	"DataField/taxonomy",
	"Decisions/businessProblem",
	"PMML/x-baseVersion",
	"Parameter/label",
	"RegressionModel/targetFieldName",
	/* What other elements tell as well, or only training needs. */
	"ComparisonMeasure/maximum",
	"ComparisonMeasure/minimum",
	"GeneralRegressionModel/modelDF",
	"MiningField/importance",
	"NumericPredictor/mean",
	"PCell/df",
	"RegressionModel/modelType",
	"Scorecard/baselineMethod",
	"TreeModel/splitCharacteristic",
	/* Read where they mean something: of rules, and of numbers. */
	"OutputField/algorithm",
	"OutputField/ruleFeature",
	"Target/castInteger",
	"Target/max",
	"Target/min",
	"Target/rescaleConstant",
	"Target/rescaleFactor",
	/* Names of things that nothing refers to. */
	"Cluster/id",
	"CompoundRule/id",
	"Node/id",
	"Segment/id",
	"SimpleRule/id",
	/* Counts. */
	"AssociationModel/avgNumberOfItemsPerTA",
	"AssociationModel/lengthLimit",
	"AssociationModel/maxNumberOfItemsPerTA",
	"AssociationModel/minimumConfidence",
	"AssociationModel/minimumSupport",
	"AssociationModel/numberOfItems",
	"AssociationModel/numberOfItemsets",
	"AssociationModel/numberOfRules",
	"AssociationModel/numberOfTransactions",
	"Cluster/size",
	"ClusteringModel/numberOfClusters",
	"Coefficients/numberOfCoefficients",
	"DataDictionary/numberOfFields",
	"Itemset/numberOfItems",
	"Itemset/support",
	"NeuralInputs/numberOfInputs",
	"NeuralLayer/numberOfNeurons",
	"NeuralNetwork/numberOfLayers",
	"NeuralOutputs/numberOfOutputs",
	"Node/recordCount",
	"RuleSet/nbCorrect",
	"RuleSet/recordCount",
	"SimpleRule/nbCorrect",
	"SimpleRule/recordCount",
	"SupportVectors/numberOfAttributes",
	"SupportVectors/numberOfSupportVectors",
	"TrainingInstances/fieldCount",
	"TrainingInstances/recordCount",
	"VectorDictionary/numberOfVectors",
	"VectorFields/numberOfFields",
};

/* Raises an error about an element. */
void
xml_fail(const XmlNode *node, int sqlstate, const char *format, ...)
{
	char message[1024];
	va_list args;
	int size;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	/* A message that was cut must not end inside a character. */
	size = pg_encoding_mbcliplen(PG_UTF8, message, strlen(message),
								 sizeof(message) - 8);
	message[size] = '\0';
	ereport(
		ERROR,
		(errcode(sqlstate),
		 errmsg_internal("%s", pg_any_to_server(message, size, PG_UTF8)),
		 errdetail("Element \"%s\" in line %d of the PMML document.",
				   pg_any_to_server(node->name, strlen(node->name), PG_UTF8),
				   node->line)));
}

/* Refuses an element, an attribute of it, or a value of the attribute. */
void
xml_unsupported(const XmlNode *node, const char *attr, const char *value)
{
	if (attr == NULL)
		xml_fail(node, ERRCODE_FEATURE_NOT_SUPPORTED,
				 "element \"%s\" is not supported here", node->name);
	if (value == NULL)
		xml_fail(node, ERRCODE_FEATURE_NOT_SUPPORTED,
				 "attribute \"%s\" of \"%s\" is not supported", attr,
				 node->name);
	xml_fail(node, ERRCODE_FEATURE_NOT_SUPPORTED,
			 "%s=\"%s\" of \"%s\" is not supported", attr, value, node->name);
}

/* The value of an attribute, or NULL. */
const char *
xml_attr(XmlNode *node, const char *name)
{
	for (int i = 0; i < node->nattrs; i++)
		if (strcmp(node->attrs[i].name, name) == 0)
		{
			node->attrs[i].read = true;
			return node->attrs[i].value;
		}
	return NULL;
}

/* The value of an attribute, or NULL; it is not marked. */
const char *
xml_peek(const XmlNode *node, const char *name)
{
	for (int i = 0; i < node->nattrs; i++)
		if (strcmp(node->attrs[i].name, name) == 0)
			return node->attrs[i].value;
	return NULL;
}

/* The value of an attribute that must be there. */
const char *
xml_need(XmlNode *node, const char *name)
{
	const char *value = xml_attr(node, name);

	if (value == NULL)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "element \"%s\" lacks attribute \"%s\"", node->name, name);
	return value;
}

/* Tells whether an attribute is there and has a value. */
bool
xml_is(XmlNode *node, const char *attr, const char *value)
{
	const char *actual = xml_attr(node, attr);

	return actual != NULL && strcmp(actual, value) == 0;
}

/* Tells whether a character is white space of XML. */
static inline bool
xml_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Tells whether a text is a word but for white space around it. */
static bool
xml_is_word(const char *text, Size size, const char *word)
{
	return strlen(word) == size && memcmp(text, word, size) == 0;
}

/* Reads a number in decimal digits, or a name of one that is not finite. */
static bool
xml_try_number(const char *text, double *number)
{
	Size size;
	char *end;

	while (xml_is_space(*text))
		text++;
	size = strlen(text);
	while (size > 0 && xml_is_space(text[size - 1]))
		size--;
	if (xml_is_word(text, size, "INF") || xml_is_word(text, size, "Infinity"))
		*number = INFINITY;
	else if (xml_is_word(text, size, "-INF") ||
			 xml_is_word(text, size, "-Infinity"))
		*number = -INFINITY;
	else if (xml_is_word(text, size, "NaN"))
		*number = NAN;
	else
	{
		if (size == 0 || strspn(text, "+-.0123456789eE") < size)
			return false;
		*number = strtod(text, &end);
		return end == text + size;
	}
	return true;
}

/* Reads a number that the element holds somewhere. */
double
xml_parse_number(XmlNode *node, const char *text)
{
	double number;

	if (!xml_try_number(text, &number))
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "\"%s\" in element \"%s\" is not a number", text, node->name);
	return number;
}

/* The number an attribute holds. */
double
xml_need_number(XmlNode *node, const char *name)
{
	const char *value = xml_need(node, name);
	double number;

	if (!xml_try_number(value, &number))
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "%s=\"%s\" of \"%s\" is not a number", name, value,
				 node->name);
	return number;
}

/* The number an attribute holds, or another if there is none. */
double
xml_number(XmlNode *node, const char *name, double missing)
{
	return xml_attr(node, name) == NULL ? missing
										: xml_need_number(node, name);
}

/* The number an attribute holds, which counts something. */
int
xml_count(XmlNode *node, const char *name, int missing)
{
	double number;

	if (xml_attr(node, name) == NULL)
		return missing;
	number = xml_need_number(node, name);
	if (!(number >= 0 && number <= INT_MAX) || number != floor(number))
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "%s=\"%s\" of \"%s\" is not a count", name,
				 xml_attr(node, name), node->name);
	return (int) number;
}

/* The truth an attribute holds. */
bool
xml_flag(XmlNode *node, const char *name, bool missing)
{
	const char *value = xml_attr(node, name);

	if (value == NULL)
		return missing;
	if (strcmp(value, "true") == 0 || strcmp(value, "1") == 0)
		return true;
	if (strcmp(value, "false") != 0 && strcmp(value, "0") != 0)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "%s=\"%s\" of \"%s\" is neither true nor false", name, value,
				 node->name);
	return false;
}

/* Which of the words, separated by "|", an attribute holds: 0 the first. */
int
xml_choice(XmlNode *node, const char *name, const char *words, int missing)
{
	const char *value = xml_attr(node, name);
	Size size;

	if (value == NULL)
		return missing;
	size = strlen(value);
	for (int i = 0;; i++)
	{
		Size word = strcspn(words, "|");

		if (word == size && memcmp(words, value, size) == 0)
			return i;
		if (words[word] == '\0')
			xml_unsupported(node, name, value);
		words += word + 1;
	}
}

/* The first of these siblings that has the name, marked; or NULL. */
static XmlNode *
xml_find(XmlNode *node, const char *name)
{
	while (node != NULL && strcmp(node->name, name) != 0)
		node = node->next;
	if (node != NULL)
		node->read = true;
	return node;
}

/* The first child of that name, or NULL. */
XmlNode *
xml_child(XmlNode *node, const char *name)
{
	return xml_find(node->child, name);
}

/* The first child of that name, or NULL; it is not marked. */
const XmlNode *
xml_peek_child(const XmlNode *node, const char *name)
{
	const XmlNode *child = node->child;

	while (child != NULL && strcmp(child->name, name) != 0)
		child = child->next;
	return child;
}

/* The first child of that name, which must be there. */
XmlNode *
xml_need_child(XmlNode *node, const char *name)
{
	XmlNode *child = xml_child(node, name);

	if (child == NULL)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "element \"%s\" lacks element \"%s\"", node->name, name);
	return child;
}

/* The next sibling of that name, or NULL. */
XmlNode *
xml_next(XmlNode *node, const char *name)
{
	return xml_find(node->next, name);
}

/* The first of these siblings that is no extension, marked; or NULL. */
static XmlNode *
xml_pass_extensions(XmlNode *node)
{
	while (node != NULL && strcmp(node->name, "Extension") == 0)
		node = node->next;
	if (node != NULL)
		node->read = true;
	return node;
}

/* The first child that is no extension, or NULL. */
XmlNode *
xml_first(XmlNode *node)
{
	return xml_pass_extensions(node->child);
}

/* The next sibling that is no extension, or NULL. */
XmlNode *
xml_after(XmlNode *node)
{
	return xml_pass_extensions(node->next);
}

/* How many children have that name; they are not marked. */
int
xml_children(XmlNode *node, const char *name)
{
	int n = 0;

	for (XmlNode *child = node->child; child != NULL; child = child->next)
		if (strcmp(child->name, name) == 0)
			n++;
	return n;
}

/* Tells whether an element has that name. */
bool
xml_named(const XmlNode *node, const char *name)
{
	return strcmp(node->name, name) == 0;
}

/* A name without its prefix, as elements have it. */
const char *
xml_local(const char *name)
{
	const char *colon = strrchr(name, ':');

	return colon == NULL ? name : colon + 1;
}

/*
 * The element after this one, in the order of the document: one that is in
 * it, or else one behind it; NULL at the end of root.
 */
XmlNode *
xml_walk(const XmlNode *root, XmlNode *node, bool below)
{
	if (below && node->child != NULL)
		return node->child;
	while (node != root && node->next == NULL)
		node = node->parent;
	return node == root ? NULL : node->next;
}

/* Marks an element and all that is in it. */
void
xml_skip(XmlNode *root)
{
	for (XmlNode *node = root; node != NULL; node = xml_walk(root, node, true))
	{
		node->read = true;
		for (int i = 0; i < node->nattrs; i++)
			node->attrs[i].read = true;
	}
}

/* Tells whether an element needs not be understood. */
static bool
xml_is_informational(const XmlNode *node)
{
	for (int i = 0; i < lengthof(informational_elements); i++)
		if (strcmp(node->name, informational_elements[i]) == 0)
			return true;
	return false;
}

/* Tells whether an attribute needs not be understood. */
static bool
xml_attr_is_informational(const XmlNode *node, const XmlAttr *attr)
{
	Size size = strlen(node->name);

	for (int i = 0; i < lengthof(informational_attributes); i++)
	{
		const char *entry = informational_attributes[i];

		if (strcmp(entry, attr->name) == 0 ||
			(strncmp(entry, node->name, size) == 0 && entry[size] == '/' &&
			 strcmp(entry + size + 1, attr->name) == 0))
			return true;
	}
	return false;
}

/* Refuses attributes that nobody asked for. */
static void
xml_check_attributes(const XmlNode *node)
{
	for (int i = 0; i < node->nattrs; i++)
	{
		const XmlAttr *attr = &node->attrs[i];

		if (!attr->read && !xml_attr_is_informational(node, attr))
			xml_unsupported(node, attr->name, attr->value);
	}
}

/* Refuses what nobody asked for, below the root and in it. */
void
xml_check_read(XmlNode *root)
{
	bool below;

	for (XmlNode *node = root; node != NULL;
		 node = xml_walk(root, node, below))
	{
		CHECK_FOR_INTERRUPTS();
		below = node->read || node == root;
		if (below)
			xml_check_attributes(node);
		else if (!xml_is_informational(node))
			xml_unsupported(node, NULL, NULL);
	}
}
