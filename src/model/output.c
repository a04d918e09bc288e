/* Output: what a model tells beside its predicted value. */
#include "postgres.h"

#include "miscadmin.h"
#include "model/expression.h"
#include "model/association.h"
#include "model/import.h"
#include "model/layout.h"

typedef enum OutputFeature
{
	FEATURE_VALUE,
	FEATURE_DISPLAY_VALUE,
	FEATURE_TRANSFORMED,
	FEATURE_DECISION,
	FEATURE_PROBABILITY,
	FEATURE_CONFIDENCE,
	FEATURE_AFFINITY,
	FEATURE_CLUSTER_AFFINITY,
	FEATURE_ENTITY_AFFINITY,
	FEATURE_ENTITY,
	FEATURE_CLUSTER,
	FEATURE_REASON,
	FEATURE_RESIDUAL,
	FEATURE_REPORT,
	FEATURE_RULE,
	FEATURE_OTHER
} OutputFeature;

static const char feature_names[] =
	"predictedValue|predictedDisplayValue|transformedValue|decision|"
	"probability|confidence|affinity|clusterAffinity|entityAffinity|entityId|"
	"clusterId|reasonCode|residual|x-report|ruleValue|antecedent|consequent|"
	"rule|"
	"ruleId|support|lift|leverage";

/* What an output field is asked of: a model, or a segment of one. */
typedef struct OutputSource
{
	Compiler *c;
	Scope *scope;
	XmlNode *node;
	Result *result; /* NULL: a segment that the model does not have */
	Scope *segment; /* of the segment, else NULL */
	XmlNode *target;
} OutputSource;

/* How an output field is shown: those of intermediate results as others. */
uint32
output_flags(const Field *field)
{
	xml_flag(field->node, "isFinalResult", true);
	return association_is_list(field->node) ? MODEL_OUTPUT_LIST : 0;
}

/* A value that is always missing. */
static Operand
output_missing(OutputSource *source)
{
	return expression_number(source->c, NAN, type_double);
}

/* The value of one of the slots of a result; missing if it has no such. */
static Operand
output_slot(OutputSource *source, uint32 first, int i, FieldType type)
{
	if (first == MODEL_NONE)
		xml_fail(source->node, ERRCODE_FEATURE_NOT_SUPPORTED,
				 "model does not give feature \"%s\"",
				 xml_attr(source->node, "feature"));
	return expression_slot(source->c, first + i, type);
}

/* The value that belongs to the predicted label. */
static Operand
output_of_best(OutputSource *source, uint32 first, int n, const double *labels,
			   uint32 best)
{
	uint32 at;

	if (first == MODEL_NONE || best == MODEL_NONE)
		return output_slot(source, MODEL_NONE, 0, type_double);
	code_begin(source->c, OP_pick);
	code_word(source->c, best);
	code_word(source->c, first);
	code_word(source->c, n);
	code_nums(source->c, labels, n);
	at = code_end(source->c);
	return operand_make(at, type_double);
}

/* A number for each label: that of the label told, or of the predicted. */
static Operand
output_label(OutputSource *source, uint32 first)
{
	const char *text = xml_attr(source->node, "value");
	Result *result = source->result;
	double label;

	if (first == MODEL_NONE)
		return output_slot(source, first, 0, type_double);
	if (text == NULL)
		return output_of_best(source, first, result->nlabels, result->labels,
							  result->value);
	if (!value_try(source->c, text, result->type, &label))
		return expression_number(source->c, 0, type_double);
	for (int i = 0; i < result->nlabels; i++)
		if (result->labels[i] == label)
			return output_slot(source, first, i, type_double);
	/* The model knows of no such label. */
	return expression_number(source->c, 0, type_double);
}

/* The rank that an output field asks for, from 1. */
static int
output_rank(OutputSource *source)
{
	int rank = xml_count(source->node, "rank", 1);

	xml_choice(source->node, "rankBasis",
			   "confidence|support|lift|leverage|affinity", 0);
	if (xml_choice(source->node, "rankOrder", "descending|ascending", 0) == 1)
		xml_unsupported(source->node, "rankOrder", "ascending");
	if (rank < 1)
		xml_fail(source->node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "rank %d is not positive", rank);
	return rank;
}

/* The affinity of an entity: the one told, of a rank, or the best. */
static Operand
output_affinity(OutputSource *source)
{
	const char *text = xml_attr(source->node, "value");
	Result *result = source->result;
	int rank = output_rank(source);
	double entity;

	if (text == NULL && (rank > 1 || result->affinity == MODEL_NONE))
	{
		if (result->ranked == MODEL_NONE)
			return output_slot(source, MODEL_NONE, 0, type_double);
		if (rank > result->nranked)
			return output_missing(source);
		return output_slot(source, result->ranked, rank - 1, type_double);
	}
	if (result->affinity == MODEL_NONE)
		return output_slot(source, MODEL_NONE, 0, type_double);
	if (text == NULL)
		return output_of_best(source, result->affinity, result->nentities,
							  result->entities, result->entity);
	entity = builder_text(source->c, text);
	for (int i = 0; i < result->nentities; i++)
		if (result->entities[i] == entity)
			return output_slot(source, result->affinity, i, type_double);
	return output_missing(source);
}

/* The id of an entity of a rank, or of the best. */
static Operand
output_entity(OutputSource *source)
{
	int rank = output_rank(source);

	if (rank > 1 && rank > source->result->nranked)
		return expression_number(source->c, NAN, type_text);
	return output_slot(source, source->result->entity, rank - 1, type_text);
}

/* The reason code of a rank. */
static Operand
output_reason(OutputSource *source)
{
	int rank = output_rank(source);

	if (source->result->reason == MODEL_NONE)
		return output_slot(source, MODEL_NONE, 0, type_text);
	if (rank > source->result->nreasons)
		return expression_number(source->c, NAN, type_text);
	return output_slot(source, source->result->reason, rank - 1, type_text);
}

/* Adds a pair to a table from values to what is shown for them. */
static int
display_add(double *pairs, int n, double value, double shown)
{
	for (int i = 0; i < n; i++)
		if (pairs[2 * i] == value)
			return n;
	pairs[2 * n] = value;
	pairs[2 * n + 1] = shown;
	return n + 1;
}

/* Reads what elements say should be shown for values. */
static int
display_read(OutputSource *source, XmlNode *parent, const char *element,
			 FieldType type, double *pairs, int n)
{
	for (XmlNode *node = xml_child(parent, element); node != NULL;
		 node = xml_next(node, element))
	{
		const char *value = xml_attr(node, "value");
		const char *shown = xml_attr(node, "displayValue");
		double code;

		/* As it was called up to version 3.1. */
		if (shown == NULL && source->c->version <= 310)
			shown = xml_attr(node, "rawDataValue");
		if (value != NULL && shown != NULL &&
			value_try(source->c, value, type, &code))
			n = display_add(pairs, n, code, builder_text(source->c, shown));
	}
	return n;
}

/* The text that is shown for a value, else the value as a text. */
static Operand
display_choose(OutputSource *source, Operand value, const double *pairs, int n)
{
	Compiler *c = source->c;
	Operand shown = expression_cast(c, value, type_text);

	for (int i = n - 1; i >= 0; i--)
	{
		Operand key = expression_number(c, pairs[2 * i], value.type);
		Operand text = expression_number(c, pairs[2 * i + 1], type_text);
		uint32 test =
			compare_emit(c, COMPARE_EQUAL, value.at, key.at, NULL, 0);

		shown.at = choose_emit(c, test, text.at, shown.at);
	}
	return shown;
}

/* What is shown for the predicted value, else the value itself. */
static Operand
output_display(OutputSource *source)
{
	Scope *scope = source->segment != NULL ? source->segment : source->scope;
	Result *result = source->result;
	Operand value = output_slot(source, result->value, 0, result->type);
	Field *declared =
		scope->target == NULL
			? NULL
			: field_find(&source->c->dictionary, scope->target->name);
	int most = 1;
	int n = 0;
	double *pairs;

	if (result->display != MODEL_NONE)
		return output_slot(source, result->display, 0, type_text);
	if (source->target != NULL)
		most += xml_children(source->target, "TargetValue");
	if (declared != NULL)
		most += xml_children(declared->node, "Value");
	pairs = palloc(2 * most * sizeof(double));
	if (source->target != NULL)
		n = display_read(source, source->target, "TargetValue", result->type,
						 pairs, n);
	if (declared != NULL)
		n = display_read(source, declared->node, "Value", result->type, pairs,
						 n);
	if (n == 0)
		return value;
	return display_choose(source, value, pairs, n);
}

/* What the target is beyond the predicted value. */
static Operand
output_residual(OutputSource *source)
{
	Compiler *c = source->c;
	Result *result = source->result;
	Operand args[2];

	if (source->scope->target == NULL)
		xml_fail(source->node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "model has no target");
	args[0] = expression_field(c, source->scope, source->node,
							   source->scope->target->name);
	if (result->nlabels == 0)
	{
		args[1] = output_slot(source, result->value, 0, result->type);
		return expression_apply(c, source->node, "-", args, 2);
	}
	args[1] = output_slot(source, result->value, 0, result->type);
	args[0] = operand_make(
		compare_emit(c, COMPARE_EQUAL, args[0].at, args[1].at, NULL, 0),
		type_double);
	args[1] = output_of_best(source, result->probability, result->nlabels,
							 result->labels, result->value);
	return expression_apply(c, source->node, "-", args, 2);
}

/* The value of an output field's own expression. */
static Operand
output_expression(OutputSource *source)
{
	const char *name = xml_attr(source->node, "value");
	XmlNode *child = expression_child(source->node);

	if (source->segment != NULL && child == NULL && name != NULL)
		return expression_field(source->c, source->segment, source->node,
								name);
	if (child == NULL)
		xml_fail(source->node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "output field has no expression");
	return expression_compile(source->c, source->scope, child);
}

/* The value of an output field before it is given the field's type. */
static Operand
output_value(OutputSource *source, OutputFeature feature)
{
	Result *result = source->result;
	FieldType type = type_double;
	uint32 at;

	switch (feature)
	{
		case FEATURE_VALUE:
			return output_slot(source, result->value, 0, result->type);
		case FEATURE_DISPLAY_VALUE:
			return output_display(source);
		case FEATURE_TRANSFORMED:
		case FEATURE_DECISION:
			return output_expression(source);
		case FEATURE_PROBABILITY:
			return output_label(source, result->probability);
		case FEATURE_CONFIDENCE:
			if (result->confidence == MODEL_NONE && result->feature != NULL)
				break;
			return output_label(source, result->confidence);
		case FEATURE_AFFINITY:
		case FEATURE_CLUSTER_AFFINITY:
		case FEATURE_ENTITY_AFFINITY:
			return output_affinity(source);
		case FEATURE_ENTITY:
			/* Of a model that selects a segment, that segment. */
			if (result->segment != MODEL_NONE && source->segment == NULL)
				return output_slot(source, result->segment, 0, type_text);
			/* FALLTHROUGH */
		case FEATURE_CLUSTER:
			if (result->entity == MODEL_NONE && result->feature != NULL)
				break;
			return output_entity(source);
		case FEATURE_REASON:
			return output_reason(source);
		case FEATURE_RESIDUAL:
			return output_residual(source);
		case FEATURE_REPORT:
			/* How the value of x-reportField came about: never told. */
			xml_need(source->node, "x-reportField");
			return expression_number(source->c, NAN, type_text);
		default:
			break;
	}
	if (result->feature == NULL)
		return output_slot(source, MODEL_NONE, 0, type_double);
	at = result->feature(result->feature_arg, source->node, &type);
	return operand_make(at, type);
}

/* Reads what may be told of an output field, but its feature does not need. */
static void
output_rest(XmlNode *node, OutputFeature feature)
{
	static const char *const unused[] = {"value", "rankBasis", "rankOrder",
										 "algorithm", "ruleFeature"};
	XmlNode *decisions = xml_child(node, "Decisions");

	/* Decisions describe values, they do not make them. */
	if (decisions != NULL)
		xml_skip(decisions);
	if (expression_child(node) != NULL)
		xml_skip(expression_child(node));
	if (feature > FEATURE_PROBABILITY && feature != FEATURE_RESIDUAL)
		return;
	for (int i = 0; i < lengthof(unused); i++)
		xml_attr(node, unused[i]);
	if (xml_count(node, "rank", 1) != 1)
		xml_unsupported(node, "rank", xml_attr(node, "rank"));
	if (xml_flag(node, "isMultiValued", false))
		xml_unsupported(node, "isMultiValued",
						xml_attr(node, "isMultiValued"));
}

/* Finds the model or segment that an output field asks of. */
static void
output_source(OutputSource *source, Result *result, Result *other)
{
	const char *id = xml_attr(source->node, "segmentId");
	const char *target = xml_attr(source->node, "targetField");

	source->result = result;
	if (id != NULL)
	{
		source->result = NULL;
		for (SegmentResult *at = source->scope->segments; at != NULL;
			 at = at->next)
			if (strcmp(at->id, id) == 0)
			{
				source->result = at->result;
				source->segment = at->scope;
			}
		return;
	}
	if (target == NULL)
		return;
	for (int i = 0; i < result->ntargets; i++)
		if (strcmp(result->targets[i]->name, target) == 0)
		{
			if (result->target_results != NULL &&
				result->target_results[i] != NULL)
				source->result = result->target_results[i];
			else
			{
				*other = *result;
				other->value = result->target_slots[i];
				other->type = result->targets[i]->type;
				source->result = other;
			}
			return;
		}
}

/* Makes a value missing where there is no predicted value. */
static Operand
output_gate(OutputSource *source, Operand value)
{
	uint32 slot = source->result->value;

	if (slot == MODEL_NONE)
		return value;
	code_begin(source->c, OP_gate);
	code_word(source->c, slot);
	code_word(source->c, value.at);
	return operand_make(code_end(source->c), value.type);
}

/* Compiles one output field, which other fields and models may name. */
static Field *
output_field(Compiler *c, Scope *scope, XmlNode *node, XmlNode *target,
			 Result *result)
{
	OutputSource source = {c, scope, node, NULL, NULL, target};
	Result other;
	Field *field = palloc0(sizeof(Field));
	OutputFeature feature =
		xml_choice(node, "feature", feature_names, FEATURE_VALUE);
	Operand value;

	field->name = xml_need(node, "name");
	field->node = node;
	(void) output_flags(field);
	output_source(&source, result, &other);
	if (source.result == NULL)
		value = output_missing(&source);
	else
		value = output_value(&source, feature);
	/* Own expressions and ids of segments need no predicted value. */
	if (source.result != NULL && feature != FEATURE_TRANSFORMED &&
		feature != FEATURE_DECISION &&
		(feature != FEATURE_ENTITY || source.result->segment == MODEL_NONE))
		value = output_gate(&source, value);
	output_rest(node, feature);
	field->type = type_parse(node, value.type);
	if (field->type.type != value.type.type)
		value = expression_cast(c, value, field->type);
	field->slot = scope_set(c, scope, value);
	field->state = FIELD_READY;
	return field;
}

/* Compiles the Output of a model. */
void
output_compile(Compiler *c, Scope *scope, XmlNode *output, Result *result)
{
	Field **tail = &scope->outputs;
	XmlNode *targets = xml_child(scope->node, "Targets");
	XmlNode *target = target_find(scope, targets);

	/* Those that segments gave to the model come first. */
	while (*tail != NULL)
		tail = &(*tail)->next;
	for (XmlNode *node = xml_child(output, "OutputField"); node != NULL;
		 node = xml_next(node, "OutputField"))
	{
		Field *field = output_field(c, scope, node, target, result);
		Field *listed = palloc(sizeof(Field));
		Field *outer = palloc(sizeof(Field));

		CHECK_FOR_INTERRUPTS();
		*listed = *outer = *field;
		field_add(&scope->fields, field);
		/* Models that follow in a chain see it. */
		if (scope->parent != NULL)
			field_add(&scope->parent->fields, outer);
		listed->next = NULL;
		*tail = listed;
		tail = &listed->next;
	}
}

/* A value, if there is a predicted one. */
static double
eval_gate(const Run *run, const uint32 *args, const double *row)
{
	return isnan(row[args[0]]) ? NAN : model_eval(run, args[1], row);
}

const ModelOp model_op_gate = {"gate", "sx", NULL, eval_gate, NULL};

/* The number that belongs to the label in a slot. */
static double
eval_pick(const Run *run, const uint32 *args, const double *row)
{
	double label = row[args[0]];
	const double *labels = run->num + args[3];

	for (uint32 i = 0; i < args[2]; i++)
		if (labels[i] == label)
			return row[args[1] + i];
	return NAN;
}

/* There are as many numbers as labels. */
static bool
check_pick(const Model *model, const uint32 *args)
{
	return args[2] == args[4];
}

const ModelOp model_op_pick = {"pick", "sSN", check_pick, eval_pick, NULL};
