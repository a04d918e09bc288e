/*
 * The DataDictionary and MiningSchemas: which fields there are, and what
 * becomes of missing, invalid and extreme values of them.
 */
#include "postgres.h"

#include "model/compile.h"
#include "model/layout.h"
#include "model/treat.h"

/* Which values of a field of the dictionary are valid. */
typedef struct Domain
{
	int nvalid;
	double *valid; /* in the order of the dictionary */
	int ninvalid;
	double *invalid;
	int nmissing;
	double *missing;
	int nmarks;
	uint32 *marks; /* texts that mean missing, though not of the type */
	int nintervals;
	double *intervals; /* low, high, closed (TREAT_CLOSED_*) of each */
} Domain;

/* What a MiningField does to values. */
typedef struct Treatment
{
	int invalid; /* TREAT_RETURN_INVALID … */
	bool refuses_missing;
	const char *missing_value; /* replacement, NULL if none */
	const char *invalid_value;
	int outliers; /* TREAT_OUTLIER_* */
	double low;
	double high;
} Treatment;

/* Reads the Interval elements of a field. */
static void
domain_intervals(XmlNode *node, Domain *domain)
{
	int n = xml_children(node, "Interval");

	domain->intervals = palloc(Max(n, 1) * 3 * sizeof(double));
	for (XmlNode *interval = xml_child(node, "Interval"); interval != NULL;
		 interval = xml_next(interval, "Interval"))
	{
		double *at = domain->intervals + 3 * domain->nintervals++;

		at[0] = xml_number(interval, "leftMargin", -INFINITY);
		at[1] = xml_number(interval, "rightMargin", INFINITY);
		/* Uranie begins them with a capital letter. */
		at[2] = xml_choice(interval, "closure",
						   "openOpen|openClosed|closedOpen|closedClosed|"
						   "OpenOpen|OpenClosed|ClosedOpen|ClosedClosed",
						   TREAT_CLOSED_LEFT | TREAT_CLOSED_RIGHT) %
				4;
	}
}

/* Reads a Value element of a field. */
static void
domain_value(Compiler *c, XmlNode *node, FieldType type, Domain *domain)
{
	const char *text = xml_need(node, "value");
	int property = xml_choice(node, "property", "valid|invalid|missing", 0);
	double value;

	xml_attr(node, "displayValue");
	if (!value_try(c, text, type, &value))
	{
		/* No value of the type is equal to it, but an input's text may. */
		if (property == 2)
			domain->marks[domain->nmarks++] = builder_text(c, text);
		else if (property == 0)
			value_parse(c, node, text, type);
		return;
	}
	if (property == 0)
		domain->valid[domain->nvalid++] = value;
	else if (property == 1)
		domain->invalid[domain->ninvalid++] = value;
	else if (!isnan(value))
		domain->missing[domain->nmissing++] = value;
}

/* Reads which values of a field are valid. */
static Domain *
domain_read(Compiler *c, XmlNode *node, FieldType type)
{
	Domain *domain = palloc0(sizeof(Domain));
	int n = Max(xml_children(node, "Value"), 1);

	domain->valid = palloc(n * sizeof(double));
	domain->invalid = palloc(n * sizeof(double));
	domain->missing = palloc(n * sizeof(double));
	domain->marks = palloc(n * sizeof(uint32));
	for (XmlNode *value = xml_child(node, "Value"); value != NULL;
		 value = xml_next(value, "Value"))
		domain_value(c, value, type, domain);
	domain_intervals(node, domain);
	return domain;
}

/* Reads the fields of the DataDictionary. */
void
schema_dictionary(Compiler *c, XmlNode *dictionary)
{
	xml_attr(dictionary, "numberOfFields");
	for (XmlNode *node = xml_child(dictionary, "DataField"); node != NULL;
		 node = xml_next(node, "DataField"))
	{
		Field *field = palloc0(sizeof(Field));

		field->name = xml_need(node, "name");
		if (field_find(&c->dictionary, field->name) != NULL)
			xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
					 "field \"%s\" is declared twice", field->name);
		if (!xml_is(node, "isCyclic", "0") && xml_attr(node, "isCyclic"))
			xml_unsupported(node, "isCyclic", xml_attr(node, "isCyclic"));
		/* Fields of old documents need not tell their type. */
		field->type =
			type_parse(node, xml_is(node, "optype", "continuous") ? type_double
																  : type_text);
		field->node = node;
		field->slot = MODEL_NONE;
		field->domain = domain_read(c, node, field->type);
		field->nvalues = field->domain->nvalid;
		field->values = field->domain->valid;
		field_add(&c->dictionary, field);
	}
}

/* Reads what a MiningField does to values. */
static void
treatment_read(XmlNode *node, Treatment *treatment)
{
	int missing;

	memset(treatment, 0, sizeof(*treatment));
	treatment->invalid = xml_choice(node, "invalidValueTreatment",
									"returnInvalid|asIs|asMissing|asValue", 0);
	/* asMean, asMode … only tell where the replacement is from. */
	missing =
		xml_choice(node, "missingValueTreatment",
				   "asIs|asMean|asMode|asMedian|asValue|returnInvalid", 0);
	treatment->refuses_missing = missing == 5;
	treatment->missing_value = xml_attr(node, "missingValueReplacement");
	treatment->invalid_value = xml_attr(node, "invalidValueReplacement");
	if (treatment->invalid_value == NULL)
		treatment->invalid_value = xml_attr(node, "x-invalidValueReplacement");
	treatment->outliers = xml_choice(
		node, "outliers", "asIs|asMissingValues|asExtremeValues", 0);
	treatment->low = xml_number(node, "lowValue", -INFINITY);
	treatment->high = xml_number(node, "highValue", INFINITY);
	if (treatment->invalid == TREAT_AS_VALUE &&
		treatment->invalid_value == NULL)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "invalidValueTreatment asValue needs a replacement");
}

/* Tells whether a value of an enclosing model passes unchanged. */
static bool
treatment_is_default(const Treatment *treatment)
{
	return treatment->missing_value == NULL && !treatment->refuses_missing &&
		   treatment->outliers == TREAT_OUTLIER_AS_IS;
}

/* Adds a set of values as an operand, sorted. */
static void
treat_set(Compiler *c, const double *values, int n)
{
	double *sorted = palloc(Max(n, 1) * sizeof(double));

	if (n > 0)
		memcpy(sorted, values, n * sizeof(double));
	number_sort(sorted, n);
	code_nums(c, sorted, n);
	pfree(sorted);
}

/* Adds a replacement as an operand. */
static void
treat_value(Compiler *c, XmlNode *node, const char *text, FieldType type)
{
	if (text == NULL)
		code_word(c, MODEL_NONE);
	else
		code_num(c, value_parse(c, node, text, type));
}

/* Adds the step that treats the values of a field; domain NULL: of a model
 * around, which has checked them. */
static void
treat_compile(Compiler *c, Scope *scope, Field *field, uint32 from,
			  const Domain *domain, const Treatment *treatment)
{
	static const Domain all = {0};
	uint32 flags = treatment->invalid;

	flags |= treatment->refuses_missing ? TREAT_REFUSE_MISSING : 0;
	flags |= treatment->outliers << TREAT_OUTLIER_SHIFT;
	if (domain == NULL)
		flags |= TREAT_INNER;
	else if (treatment_is_default(treatment) && domain->ninvalid == 0 &&
			 domain->nmissing == 0 &&
			 ((treatment->invalid == TREAT_AS_IS &&
			   treatment->invalid_value == NULL) ||
			  (domain->nvalid == 0 && domain->nintervals == 0)))
		flags |= TREAT_TRIVIAL;
	if (domain == NULL)
		domain = &all;
	code_begin(c, OP_treat);
	code_word(c, from);
	code_word(c, field->slot);
	code_word(c, flags);
	treat_set(c, domain->valid, domain->nvalid);
	treat_set(c, domain->missing, domain->nmissing);
	treat_set(c, domain->invalid, domain->ninvalid);
	code_words(c, domain->marks, domain->nmarks);
	code_nums(c, domain->intervals, domain->nintervals * 3);
	treat_value(c, field->node, treatment->missing_value, field->type);
	treat_value(c, field->node, treatment->invalid_value, field->type);
	code_num(c, treatment->low);
	code_num(c, treatment->high);
	scope_step(scope, code_end(c));
}

/* Makes a field of a mining schema an input of the whole model. */
static void
schema_input(Compiler *c, Scope *scope, Field *field, uint32 flags)
{
	Field *declared = field_find(&c->dictionary, field->name);
	Treatment treatment;

	if (declared == NULL)
		xml_fail(field->node, ERRCODE_UNDEFINED_OBJECT,
				 "field \"%s\" is not in the DataDictionary", field->name);
	treatment_read(field->node, &treatment);
	field->type = declared->type;
	field->type.optype =
		xml_choice(field->node, "optype", "continuous|categorical|ordinal",
				   field->type.optype);
	field->domain = declared->domain;
	field->nvalues = declared->nvalues;
	field->values = declared->values;
	field->slot = builder_slots(c, 1);
	compile_input(c, field, flags);
	treat_compile(c, scope, field, field->slot, declared->domain, &treatment);
	field->state = FIELD_READY;
}

/* The field of the models around that a field of a mining schema means. */
static Field *
schema_outer(Compiler *c, Scope *scope, Field *field)
{
	Field *outer = scope_find(c, scope->parent, field->name);
	Field *input;

	if (outer != NULL)
		return outer;
	/* Only this model names it: it is an input of the whole all the same. */
	input = palloc(sizeof(Field));
	*input = *field;
	input->state = FIELD_MINED;
	field_add(&c->top->fields, input);
	return scope_find(c, c->top, field->name);
}

/* Takes a field of a mining schema from the models around. */
static void
schema_inherit(Compiler *c, Scope *scope, Field *field)
{
	Field *outer = schema_outer(c, scope, field);
	Treatment treatment;

	treatment_read(field->node, &treatment);
	field->type = outer->type;
	field->type.optype =
		xml_choice(field->node, "optype", "continuous|categorical|ordinal",
				   field->type.optype);
	field->domain = outer->domain;
	field->nvalues = outer->nvalues;
	field->values = outer->values;
	field->slot = outer->slot;
	field->state = FIELD_READY;
	if (treatment_is_default(&treatment))
		return;
	field->slot = builder_slots(c, 1);
	treat_compile(c, scope, field, outer->slot, NULL, &treatment);
}

/* What is special of an input. */
static uint32
schema_flags(XmlNode *node)
{
	return xml_is(node, "usageType", "target") ||
				   xml_is(node, "usageType", "predicted")
			   ? MODEL_INPUT_LABEL
			   : 0;
}

/*
 * Makes a field that a mining schema lists ready for use. Fields that nothing
 * refers to are no inputs, and their values cannot be invalid.
 */
void
schema_use(Compiler *c, Scope *scope, Field *field)
{
	field->state = FIELD_RUNNING;
	if (scope->parent == NULL)
		schema_input(c, scope, field, schema_flags(field->node));
	else
		schema_inherit(c, scope, field);
}

/* Notes a target of a model. */
static void
schema_target(Compiler *c, Scope *scope, XmlNode *node, const char *name)
{
	Field *declared = field_find(&c->dictionary, name);
	Field *field;

	if (declared == NULL)
		xml_fail(node, ERRCODE_UNDEFINED_OBJECT,
				 "field \"%s\" is not in the DataDictionary", name);
	field = palloc(sizeof(Field));
	*field = *declared;
	field->node = node;
	field->type.optype = xml_choice(
		node, "optype", "continuous|categorical|ordinal", field->type.optype);
	if (scope->ntargets % 8 == 0)
		scope->targets = scope->ntargets == 0
							 ? palloc(8 * sizeof(Field *))
							 : repalloc(scope->targets, (scope->ntargets + 8) *
															sizeof(Field *));
	scope->targets[scope->ntargets++] = field;
	if (scope->target == NULL)
		scope->target = field;
}

/* Declares a field that a mining schema lists. */
static void
schema_field(Scope *scope, XmlNode *node)
{
	Field *field = palloc0(sizeof(Field));
	Treatment treatment;

	field->name = xml_need(node, "name");
	field->node = node;
	field->state = FIELD_MINED;
	field->slot = MODEL_NONE;
	treatment_read(node, &treatment);
	if (!treatment_is_default(&treatment))
		scope->treats = true;
	field_add(&scope->fields, field);
}

/* Reads the MiningSchema of a model. */
void
schema_mining(Compiler *c, Scope *scope, XmlNode *schema)
{
	for (XmlNode *node = xml_child(schema, "MiningField"); node != NULL;
		 node = xml_next(node, "MiningField"))
	{
		const char *name = xml_need(node, "name");
		int usage =
			xml_choice(node, "usageType",
					   "active|predicted|target|supplementary|group|order|"
					   "frequencyWeight|analysisWeight",
					   0);

		xml_choice(node, "optype", "continuous|categorical|ordinal", 0);
		/* How the field was trained with; nothing to score by. */
		xml_attr(node, "importance");
		if (field_find(&scope->fields, name) != NULL)
			xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
					 "field \"%s\" is listed twice", name);
		if (usage == 1 || usage == 2)
			schema_target(c, scope, node, name);
		schema_field(scope, node);
	}
}
