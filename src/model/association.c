/*
 * AssociationModel: rules from items that are there to items that may be
 * wanted. Each item has a slot, 1 when a row has it; outputs look for the
 * rules that apply, in the order they are to be told in.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "model/association.h"
#include "model/expression.h"

static const char *const feature_words =
	"antecedent|consequent|rule|ruleId|confidence|support|lift|leverage|"
	"affinity";

typedef enum RuleFeature
{
	RULE_ANTECEDENT,
	RULE_CONSEQUENT,
	RULE_RULE,
	RULE_ID,
	RULE_CONFIDENCE,
	RULE_SUPPORT,
	RULE_LIFT,
	RULE_LEVERAGE,
	RULE_AFFINITY,
	RULE_FEATURES
} RuleFeature;

typedef struct Item
{
	const char *id;
	XmlNode *node;
	int number;
} Item;

typedef struct Itemset
{
	const char *id;
	XmlNode *node;
	uint32 first; /* of its items */
	uint32 n;
} Itemset;

typedef struct AssociationRule
{
	const Itemset *antecedent;
	const Itemset *consequent;
	const char *id;
	double number[RULE_FEATURES]; /* from RULE_CONFIDENCE on */
	double basis;                 /* what it is to be ranked by */
	int order;
} AssociationRule;

typedef struct Association
{
	Compiler *c;
	Scope *scope;
	XmlNode *node;
	uint32 nitems;
	Item *items;         /* by id */
	const char **values; /* what items are called, as in the document */
	uint32 slot;         /* of the first item */
	uint32 nmembers;
	uint32 *members; /* items of the sets, one after the other */
	uint32 nsets;
	Itemset *sets; /* by id */
	uint32 nrules;
	AssociationRule *rules;
} Association;

/* Orders items and sets, which begin with their id. */
static int
id_compare(const void *left, const void *right)
{
	return strcmp(*(const char *const *) left, *(const char *const *) right);
}

/* Finds the item or the set that an attribute names. */
static void *
id_find(XmlNode *node, const char *attr, void *things, uint32 n, Size size)
{
	const char *id = xml_need(node, attr);
	void *found = bsearch(&id, things, n, size, id_compare);

	if (found == NULL)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "%s=\"%s\" names nothing that there is", attr, id);
	return found;
}

/* Sorts items or sets by id, which must differ. */
static void
id_sort(XmlNode *node, void *things, uint32 n, Size size)
{
	qsort(things, n, size, id_compare);
	for (uint32 i = 1; i < n; i++)
		if (id_compare((char *) things + (i - 1) * size,
					   (char *) things + i * size) == 0)
			xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
					 "id \"%s\" is used twice",
					 *(const char **) ((char *) things + i * size));
}

/* Reads the items. */
static void
association_items(Association *a)
{
	XmlNode *node = xml_child(a->node, "Item");
	uint32 n = xml_children(a->node, "Item");

	a->items = palloc(mul_size(n, sizeof(Item)));
	a->values = palloc(mul_size(n, sizeof(char *)));
	for (; node != NULL; node = xml_next(node, "Item"))
	{
		Item *item = &a->items[a->nitems];

		item->id = xml_need(node, "id");
		item->node = node;
		item->number = a->nitems;
		a->values[a->nitems++] = xml_need(node, "value");
		xml_attr(node, "mappedValue");
		xml_attr(node, "weight");
	}
}

/* Reads the sets of items; items are by id then. */
static void
association_sets(Association *a)
{
	XmlNode *node = xml_child(a->node, "Itemset");
	uint32 most = 0;

	id_sort(a->node, a->items, a->nitems, sizeof(Item));
	a->sets =
		palloc(mul_size(xml_children(a->node, "Itemset"), sizeof(Itemset)));
	for (; node != NULL; node = xml_next(node, "Itemset"))
	{
		Itemset *set = &a->sets[a->nsets++];

		CHECK_FOR_INTERRUPTS();
		*set = (Itemset){xml_need(node, "id"), node, a->nmembers};
		xml_attr(node, "support");
		xml_attr(node, "numberOfItems");
		for (XmlNode *ref = xml_child(node, "ItemRef"); ref != NULL;
			 ref = xml_next(ref, "ItemRef"))
		{
			Item *item =
				id_find(ref, "itemRef", a->items, a->nitems, sizeof(Item));

			a->members = builder_grow(a->members, a->nmembers, 1, &most,
									  sizeof(uint32));
			a->members[a->nmembers++] = item->number;
			set->n++;
		}
	}
	id_sort(a->node, a->sets, a->nsets, sizeof(Itemset));
}

/* Reads the rules. */
static void
association_rules(Association *a)
{
	static const char *const numbers[] = {"confidence", "support", "lift",
										  "leverage", "affinity"};
	XmlNode *node = xml_child(a->node, "AssociationRule");

	a->rules = palloc(mul_size(xml_children(a->node, "AssociationRule"),
							   sizeof(AssociationRule)));
	for (; node != NULL; node = xml_next(node, "AssociationRule"))
	{
		AssociationRule *rule = &a->rules[a->nrules];

		CHECK_FOR_INTERRUPTS();
		memset(rule, 0, sizeof(AssociationRule));
		rule->order = a->nrules++;
		rule->antecedent =
			id_find(node, "antecedent", a->sets, a->nsets, sizeof(Itemset));
		rule->consequent =
			id_find(node, "consequent", a->sets, a->nsets, sizeof(Itemset));
		rule->id = xml_attr(node, "id");
		if (rule->id == NULL)
			rule->id = psprintf("%u", a->nrules);
		for (int i = 0; i < lengthof(numbers); i++)
			rule->number[RULE_CONFIDENCE + i] =
				xml_number(node, numbers[i], NAN);
	}
}

/* The field whose value is the list of items, or NULL if fields are items. */
static Field *
association_list(Association *a)
{
	XmlNode *schema = xml_need_child(a->node, "MiningSchema");
	const char *active = NULL;
	int ngroups = 0;
	int nactive = 0;
	Field *field;

	for (XmlNode *node = xml_child(schema, "MiningField"); node != NULL;
		 node = xml_next(node, "MiningField"))
	{
		const char *usage = xml_attr(node, "usageType");

		if (usage != NULL && strcmp(usage, "group") == 0)
			ngroups++;
		else if (usage == NULL || strcmp(usage, "active") == 0)
		{
			active = xml_need(node, "name");
			nactive++;
		}
	}
	if (ngroups == 0)
		return NULL;
	if (ngroups > 1 || nactive != 1)
		xml_fail(schema, ERRCODE_INVALID_PARAMETER_VALUE,
				 "model of transactions needs one group field and one active "
				 "field");
	field = scope_field(a->c, a->scope, schema, active);
	if (field->type.type != VALUE_TEXT)
		xml_fail(schema, ERRCODE_FEATURE_NOT_SUPPORTED,
				 "items of field \"%s\" are not texts", active);
	return field;
}

/* Adds the step that finds the items of a list. */
static void
items_of_list(Association *a, const Field *list)
{
	Compiler *c = a->c;
	uint32 *texts = palloc(mul_size(a->nitems, sizeof(uint32)));

	for (uint32 i = 0; i < a->nitems; i++)
	{
		XmlNode *node = a->items[i].node;
		const char *field = xml_attr(node, "field");
		const char *value = xml_attr(node, "category");

		if (field != NULL && strcmp(field, list->name) != 0)
			xml_unsupported(node, "field", field);
		if (field == NULL || value == NULL)
			value = xml_attr(node, "value");
		texts[a->items[i].number] = builder_text(c, value);
	}
	code_begin(c, OP_items);
	code_word(c, list->slot);
	code_word(c, a->slot);
	code_word(c, a->nitems);
	code_words(c, texts, a->nitems);
	scope_step(a->scope, code_end(c));
	pfree(texts);
}

/* The values of a field that mean an item which is named like the field. */
static int
item_true(Association *a, const Field *field, double *values)
{
	if (field->type.type == VALUE_TEXT)
	{
		values[0] = builder_text(a->c, "T");
		values[1] = builder_text(a->c, "true");
		return 2;
	}
	values[0] = 1;
	return 1;
}

/* Adds the step that tells whether a field makes a row have an item. */
static void
item_of_field(Association *a, const Item *item)
{
	Compiler *c = a->c;
	XmlNode *node = item->node;
	const char *name = xml_attr(node, "field");
	const char *category = xml_attr(node, "category");
	const char *value = xml_attr(node, "value");
	const char *equals = strchr(value, '=');
	double values[2];
	int n = 0;
	Field *field;

	if (name != NULL)
		category = xml_need(node, "category");
	else if (scope_find(c, a->scope, value) != NULL || equals == NULL)
		name = value;
	else
	{
		name = pnstrdup(value, equals - value);
		category = equals + 1;
	}
	field = scope_field(c, a->scope, node, name);
	if (name == value)
		n = item_true(a, field, values);
	else if (value_try(c, category, field->type, &values[0]))
		n = 1;
	scope_put(c, a->scope, a->slot + item->number,
			  member_emit(c, 0, expression_field(c, a->scope, node, name).at,
						  values, n));
}

/* Adds the steps that find out which items a row has. */
static void
association_find_items(Association *a)
{
	Field *list = association_list(a);

	a->slot = builder_slots(a->c, a->nitems);
	if (list != NULL)
	{
		items_of_list(a, list);
		return;
	}
	for (uint32 i = 0; i < a->nitems; i++)
	{
		CHECK_FOR_INTERRUPTS();
		item_of_field(a, &a->items[i]);
	}
}

/* Appends what the items of a set are called. */
static void
set_append(const Association *a, const Itemset *set, char separator,
		   StringInfo text)
{
	for (uint32 i = 0; i < set->n; i++)
	{
		if (i > 0)
			appendStringInfoChar(text, separator);
		appendStringInfoString(text, a->values[a->members[set->first + i]]);
	}
}

/* What a rule has of a feature, as slots hold it. */
static double
rule_feature(const Association *a, const AssociationRule *rule,
			 RuleFeature feature)
{
	StringInfoData text;
	double code;

	if (feature >= RULE_CONFIDENCE)
		return rule->number[feature];
	if (feature == RULE_ID)
		return builder_text(a->c, rule->id);
	initStringInfo(&text);
	if (feature == RULE_RULE)
	{
		appendStringInfoChar(&text, '{');
		set_append(a, rule->antecedent, ',', &text);
		appendStringInfoString(&text, "}->{");
		set_append(a, rule->consequent, ',', &text);
		appendStringInfoChar(&text, '}');
	}
	else
		set_append(a,
				   feature == RULE_ANTECEDENT ? rule->antecedent
											  : rule->consequent,
				   MODEL_LIST_SEPARATOR, &text);
	code = builder_text(a->c, text.data);
	pfree(text.data);
	return code;
}

/* Orders rules from small to large, equal ones as in the document. */
static int
rule_ascending(const void *left, const void *right)
{
	const AssociationRule *a = left;
	const AssociationRule *b = right;

	if (a->basis != b->basis)
		return a->basis < b->basis ? -1 : 1;
	return a->order - b->order;
}

/* Orders rules from large to small, equal ones as in the document. */
static int
rule_descending(const void *left, const void *right)
{
	const AssociationRule *a = left;
	const AssociationRule *b = right;

	if (a->basis != b->basis)
		return a->basis > b->basis ? -1 : 1;
	return a->order - b->order;
}

/* Ranks the rules as an output wants them. */
static void
rules_rank(Association *a, XmlNode *output, RuleFeature basis, bool ascending)
{
	for (uint32 i = 0; i < a->nrules; i++)
	{
		a->rules[i].basis = a->rules[i].number[basis];
		if (isnan(a->rules[i].basis))
			xml_fail(output, ERRCODE_INVALID_PARAMETER_VALUE,
					 "rule \"%s\" lacks what it is to be ranked by",
					 a->rules[i].id);
	}
	qsort(a->rules, a->nrules, sizeof(AssociationRule),
		  ascending ? rule_ascending : rule_descending);
}

/* Writes the record of what is told of the rules that apply to a row. */
static uint32
rules_write(Association *a, AssociationAlgorithm algorithm,
			RuleFeature feature, uint32 rank, bool many)
{
	Compiler *c = a->c;
	uint32 *values = palloc(mul_size(a->nrules, sizeof(uint32)));
	uint32 at;

	for (uint32 i = 0; i < a->nrules; i++)
		values[i] = builder_num(c, rule_feature(a, &a->rules[i], feature));
	code_begin(c, OP_association);
	code_word(c, algorithm);
	code_word(c, rank);
	code_word(c, many);
	code_word(c, a->slot);
	code_word(c, a->nitems);
	code_words(c, a->members, a->nmembers);
	code_word(c, a->nrules);
	for (uint32 i = 0; i < a->nrules; i++)
	{
		code_word(c, a->rules[i].antecedent->first);
		code_word(c, a->rules[i].antecedent->n);
		code_word(c, a->rules[i].consequent->first);
		code_word(c, a->rules[i].consequent->n);
		code_word(c, values[i]);
	}
	at = code_end(c);
	pfree(values);
	return at;
}

/* What an output field asks of rules, -1 if it asks nothing of them. */
static int
association_feature(XmlNode *output)
{
	const char *feature = xml_attr(output, "feature");
	const char *word = feature_words;

	if (feature == NULL)
		return -1;
	if (strcmp(feature, "ruleValue") == 0)
		return xml_choice(output, "ruleFeature", feature_words,
						  RULE_CONSEQUENT);
	if (strcmp(feature, "entityId") == 0)
		return RULE_ID;
	for (int i = 0; i < RULE_FEATURES; i++)
	{
		Size size = strcspn(word, "|");

		if (strlen(feature) == size && memcmp(feature, word, size) == 0)
			return i;
		word += size + (word[size] == '|');
	}
	return -1;
}

/* Tells whether what an output field of rules yields is a list. */
bool
association_is_list(XmlNode *output)
{
	int feature = association_feature(output);

	return feature == RULE_ANTECEDENT || feature == RULE_CONSEQUENT ||
		   (feature >= 0 && xml_is(output, "isMultiValued", "1"));
}

/* Compiles an output field that asks of rules. */
static uint32
association_output(void *arg, XmlNode *output, FieldType *type)
{
	Association *a = arg;
	int feature = association_feature(output);
	AssociationAlgorithm algorithm =
		xml_choice(output, "algorithm",
				   "recommendation|exclusiveRecommendation|ruleAssociation",
				   ASSOCIATION_EXCLUSIVE);
	int rank = xml_count(output, "rank", 1);
	int basis = xml_choice(output, "rankBasis",
						   "confidence|support|lift|leverage|affinity", 0);
	int order = xml_choice(output, "rankOrder", "descending|ascending", 0);
	bool many = xml_choice(output, "isMultiValued", "0|1", 0) == 1;

	if (feature < 0)
		xml_unsupported(output, "feature", xml_attr(output, "feature"));
	if (rank == 0 && !many)
		xml_fail(output, ERRCODE_INVALID_PARAMETER_VALUE,
				 "rank 0 is not positive");
	/* A list of lists, or of numbers, has no type here. */
	if (many && feature != RULE_ID && feature != RULE_RULE)
		xml_unsupported(output, "isMultiValued", "1");
	rules_rank(a, output, RULE_CONFIDENCE + basis, order == 1);
	*type = feature >= RULE_CONFIDENCE ? type_double : type_text;
	return rules_write(a, algorithm, feature, rank, many);
}

/* The predicted value: what an output field without attributes would tell. */
static void
association_value(Association *a, Result *result)
{
	Compiler *c = a->c;
	uint32 none = expression_number(c, builder_text(c, ""), type_text).at;
	uint32 best;

	rules_rank(a, a->node, RULE_CONFIDENCE, false);
	best = rules_write(a, ASSOCIATION_EXCLUSIVE, RULE_CONSEQUENT, 1, false);
	code_begin(c, OP_default);
	code_word(c, best);
	code_word(c, none);
	result->type = type_text;
	result->list = true;
	result->value = builder_slots(c, 1);
	scope_put(c, a->scope, result->value, code_end(c));
}

/* Compiles an association model. */
void
model_compile_association(Compiler *c, Scope *scope, XmlNode *node,
						  Result *result)
{
	static const char *const informational[] = {
		"numberOfTransactions",  "maxNumberOfItemsPerTA",
		"avgNumberOfItemsPerTA", "minimumSupport",
		"minimumConfidence",     "lengthLimit",
		"numberOfItems",         "numberOfItemsets",
		"numberOfRules"};
	Association *a = palloc0(sizeof(Association));

	for (int i = 0; i < lengthof(informational); i++)
		xml_attr(node, informational[i]);
	if (!xml_is(node, "functionName", "associationRules"))
		xml_unsupported(node, "functionName", xml_attr(node, "functionName"));
	if (scope->single)
		xml_unsupported(node, "x-mathContext", "float");
	a->c = c;
	a->scope = scope;
	a->node = node;
	association_items(a);
	association_sets(a);
	association_rules(a);
	association_find_items(a);
	association_value(a, result);
	result->feature = association_output;
	result->feature_arg = a;
}
