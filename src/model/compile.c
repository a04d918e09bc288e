/* From a PMML document to a compiled form: models and their scopes. */
#include "postgres.h"

#include "miscadmin.h"
#include "model/import.h"
#include "model/layout.h"

/* Most models inside each other. */
#define COMPILE_MAX_DEPTH 64

/* Newest version of PMML that is known, and oldest. */
#define COMPILE_NEWEST 441
#define COMPILE_OLDEST 300

typedef struct ModelKind
{
	const char *element;
	ModelCompile compile;
} ModelKind;

static const ModelKind model_kinds[] = {
	{"TreeModel", model_compile_tree},
	{"RegressionModel", model_compile_regression},
	{"GeneralRegressionModel", model_compile_general},
	{"MiningModel", model_compile_mining},
	{"NeuralNetwork", model_compile_network},
	{"NaiveBayesModel", model_compile_bayes},
	{"Scorecard", model_compile_scorecard},
	{"ClusteringModel", model_compile_cluster},
	{"SupportVectorMachineModel", model_compile_svm},
	{"NearestNeighborModel", model_compile_neighbor},
	{"RuleSetModel", model_compile_ruleset},
	{"AssociationModel", model_compile_association},
};

/* The compiler of an element, NULL if it is not a model that is known. */
static ModelCompile
compile_find(const XmlNode *node)
{
	for (int i = 0; i < lengthof(model_kinds); i++)
		if (xml_named(node, model_kinds[i].element))
			return model_kinds[i].compile;
	return NULL;
}

/* The first child that is a model, NULL if there is none. */
XmlNode *
compile_model_child(XmlNode *node)
{
	for (XmlNode *child = node->child; child != NULL; child = child->next)
		if (compile_find(child) != NULL)
		{
			child->read = true;
			return child;
		}
	return NULL;
}

/* Adds a step to those of a scope. */
void
scope_step(Scope *scope, uint32 step)
{
	scope->steps = builder_grow(scope->steps, scope->nsteps, 1,
								&scope->maxsteps, sizeof(uint32));
	scope->steps[scope->nsteps++] = step;
}

/* Adds a step that puts the value of an expression into a slot. */
void
scope_put(Compiler *c, Scope *scope, uint32 slot, uint32 at)
{
	code_begin(c, OP_set);
	code_word(c, slot);
	code_word(c, at);
	scope_step(scope, code_end(c));
}

/* As scope_put(), into a new slot, which is returned. */
uint32
scope_set(Compiler *c, Scope *scope, Operand value)
{
	uint32 slot = builder_slots(c, 1);

	scope_put(c, scope, slot, value.at);
	return slot;
}

/* A result that has nothing yet. */
void
result_init(Result *result)
{
	memset(result, 0, sizeof(*result));
	result->value = MODEL_NONE;
	result->probability = MODEL_NONE;
	result->confidence = MODEL_NONE;
	result->affinity = MODEL_NONE;
	result->entity = MODEL_NONE;
	result->ranked = MODEL_NONE;
	result->reason = MODEL_NONE;
	result->display = MODEL_NONE;
	result->segment = MODEL_NONE;
	result->nothing = MODEL_NONE;
}

/*
 * Adds the step that sets value to the label of the best of the slots; value
 * gets a slot when it has none.
 */
void
result_best(Compiler *c, Scope *scope, Result *result, uint32 slots,
			bool smallest)
{
	if (result->value == MODEL_NONE)
		result->value = builder_slots(c, 1);
	code_begin(c, OP_best);
	code_word(c, smallest ? 1 : 0);
	code_word(c, result->value);
	code_word(c, slots);
	code_word(c, result->nlabels);
	code_nums(c, result->labels, result->nlabels);
	scope_step(scope, code_end(c));
}

/* The label that a text means, as slots of the target hold it. */
double
scope_label(Compiler *c, Scope *scope, XmlNode *node, const char *text)
{
	return value_parse(c, node, text, scope->predicts);
}

/* Adds an input of the whole model. */
void
compile_input(Compiler *c, Field *field, uint32 flags)
{
	uint32 *words;

	c->inputs = builder_grow(c->inputs, c->ninputs, 1, &c->maxinputs,
							 MODEL_INPUT_WORDS * sizeof(uint32));
	words = c->inputs + MODEL_INPUT_WORDS * c->ninputs++;
	words[0] = builder_text(c, field->name);
	words[1] = field->slot;
	words[2] = field->type.type;
	words[3] = field->type.year;
	words[4] = flags;
}

/* The type of what a model predicts. */
static FieldType
scope_predicts(const Scope *scope, int function)
{
	if (scope->target != NULL)
		return scope->target->type;
	if (scope->classifies && scope->parent != NULL &&
		scope->parent->classifies)
		return scope->parent->predicts;
	if (function == MODEL_REGRESSION)
		return type_real(scope->single);
	return type_text;
}

/* Begins the scope of a model: its fields and what it predicts. */
static Scope *
scope_begin(Compiler *c, Scope *parent, XmlNode *node)
{
	Scope *scope = palloc0(sizeof(Scope));
	XmlNode *child;
	int function;

	scope->parent = parent;
	scope->node = node;
	if (!xml_flag(node, "isScorable", true))
		xml_unsupported(node, "isScorable", "false");
	xml_need(node, "functionName");
	function = xml_choice(node, "functionName",
						  "regression|classification|clustering|"
						  "associationRules|mixed",
						  0);
	scope->classifies = function == MODEL_CLASSIFICATION;
	scope->single = xml_choice(node, "x-mathContext", "double|float", 0) == 1;
	if (c->top == NULL)
		c->top = scope;
	schema_mining(c, scope, xml_need_child(node, "MiningSchema"));
	child = xml_child(node, "LocalTransformations");
	if (child != NULL)
		scope_derived(scope, child);
	scope->predicts = scope_predicts(scope, function);
	return scope;
}

/* Makes the steps of a scope one step. */
static uint32
scope_end(Compiler *c, Scope *scope)
{
	code_begin(c, OP_sequence);
	code_words(c, scope->steps, scope->nsteps);
	return code_end(c);
}

/*
 * Compiles a model: its fields, itself, its targets and outputs. Returns the
 * step that runs it.
 */
uint32
compile_model(Compiler *c, Scope *parent, XmlNode *node, Result *result,
			  Scope **scope_out)
{
	ModelCompile compile = compile_find(node);
	Scope *scope;
	XmlNode *child;

	CHECK_FOR_INTERRUPTS();
	check_stack_depth();
	if (compile == NULL)
		xml_unsupported(node, NULL, NULL);
	if (++c->depth > COMPILE_MAX_DEPTH)
		xml_fail(node, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
				 "models are inside each other more than %d deep",
				 COMPILE_MAX_DEPTH);
	scope = scope_begin(c, parent, node);
	result_init(result);
	compile(c, scope, node, result);
	child = xml_child(node, "Targets");
	target_compile(c, scope, child, result);
	child = xml_child(node, "Output");
	if (child != NULL)
		output_compile(c, scope, child, result);
	c->depth--;
	if (scope_out != NULL)
		*scope_out = scope;
	return scope_end(c, scope);
}

/* Reads the version of the document. */
static int
compile_version(XmlNode *root)
{
	const char *text = xml_need(root, "version");
	int major;
	int minor = 0;
	int patch = 0;
	int version;

	if (sscanf(text, "%d.%d.%d", &major, &minor, &patch) < 2 || major < 0 ||
		major > 99 || minor < 0 || minor > 9 || patch < 0 || patch > 9)
		xml_unsupported(root, "version", text);
	version = major * 100 + minor * 10 + patch;
	if (version < COMPILE_OLDEST || version > COMPILE_NEWEST)
		xml_unsupported(root, "version", text);
	return version;
}

/* Passes over derived fields and functions that nothing refers to. */
static void
compile_skip_unused(XmlNode *node)
{
	check_stack_depth();
	for (XmlNode *child = node->child; child != NULL; child = child->next)
	{
		XmlNode *expression;

		if (!xml_named(child, "DerivedField") &&
			!xml_named(child, "DefineFunction"))
		{
			if (xml_named(child, "LocalTransformations") ||
				xml_named(child, "TransformationDictionary") ||
				xml_named(child, "Segmentation") ||
				xml_named(child, "Segment") || compile_find(child) != NULL)
				compile_skip_unused(child);
			continue;
		}
		for (expression = child->child; expression != NULL;
			 expression = expression->next)
			if (expression->read)
				break;
		if (expression == NULL)
			xml_skip(child);
	}
}

/* Adds an output to the record of the whole. */
static void
compile_output(Compiler *c, const Field *field, uint32 flags)
{
	code_word(c, builder_text(c, field->name));
	code_word(c, field->slot);
	code_word(c, field->type.type);
	code_word(c, field->type.year);
	code_word(c, flags);
}

/* Adds the targets and the output fields to the record of the whole. */
static void
compile_outputs(Compiler *c, Scope *scope, const Result *result)
{
	int n = 0;
	Field target = {.name = "_target"};

	for (Field *field = scope->outputs; field != NULL; field = field->next)
		n++;
	code_word(c, n + Max(1, result->ntargets));
	for (int i = 0; i < result->ntargets; i++)
	{
		target = *result->targets[i];
		target.slot = result->target_slots[i];
		compile_output(c, &target, MODEL_OUTPUT_TARGET);
	}
	if (result->ntargets == 0)
	{
		if (scope->target != NULL)
			target.name = scope->target->name;
		target.type = result->type;
		target.slot = result->value;
		compile_output(c, &target,
					   MODEL_OUTPUT_TARGET |
						   (result->list ? MODEL_OUTPUT_LIST : 0));
	}
	for (Field *field = scope->outputs; field != NULL; field = field->next)
		compile_output(c, field, output_flags(field));
}

/*
 * Which of two labels is the one to tell the probability of: the greater of
 * two numbers; else the later one in the order of the target's values, or of
 * the model.
 */
static uint32
compile_positive(Compiler *c, Scope *scope, const Result *result)
{
	double number[2];
	const Field *target = scope->target;

	if (result->nlabels != 2)
		return 0;
	for (int i = 0; i < 2; i++)
	{
		number[i] = result->labels[i];
		if (result->type.type == VALUE_TEXT &&
			!value_from_text(builder_text_get(c, (uint32) number[i]),
							 VALUE_DOUBLE, 0, &number[i]))
			break;
		if (i == 1 && number[0] != number[1])
			return number[1] > number[0];
	}
	if (target != NULL && target->nvalues == 2 &&
		target->values[1] == result->labels[0])
		return 0;
	return 1;
}

/* Writes the record of the whole. */
static uint32
compile_root(Compiler *c, Scope *scope, uint32 step, const Result *result)
{
	const char *name = xml_attr(scope->node, "modelName");
	uint32 texts[3];
	bool probable = result->probability != MODEL_NONE;

	texts[0] = builder_text(c, name == NULL ? "" : name);
	texts[1] = builder_text(c, scope->node->name);
	texts[2] = builder_text(c, xml_need(scope->node, "functionName"));
	code_begin(c, OP_model);
	for (int i = 0; i < lengthof(texts); i++)
		code_word(c, texts[i]);
	code_word(c, step);
	code_word(c, result->value);
	code_word(c, result->type.type);
	code_word(c, result->type.year);
	code_nums(c, result->labels, probable ? result->nlabels : 0);
	code_word(c, probable ? result->probability : 0);
	code_word(c, probable ? result->nlabels : 0);
	code_word(c, probable ? compile_positive(c, scope, result) : 0);
	code_word(c, c->ninputs);
	for (uint32 i = 0; i < c->ninputs * MODEL_INPUT_WORDS; i++)
		code_word(c, c->inputs[i]);
	compile_outputs(c, scope, result);
	return code_end(c);
}

/* Reads what belongs to the document, not to a model. */
static void
compile_document(Compiler *c, XmlNode *root)
{
	XmlNode *child;

	if (!xml_named(root, "PMML"))
		xml_fail(root, ERRCODE_INVALID_PARAMETER_VALUE,
				 "document is not PMML");
	root->read = true;
	c->root = root;
	c->version = compile_version(root);
	schema_dictionary(c, xml_need_child(root, "DataDictionary"));
	child = xml_child(root, "TransformationDictionary");
	c->transformations = child;
}

/* The compiled form of a PMML document in UTF-8. */
struct varlena *
model_compile_pmml(const char *text, Size size)
{
	Compiler c = {0};
	XmlNode *root = xml_parse(text, size);
	XmlNode *node;
	Scope *scope;
	Result result;
	struct varlena *compiled;
	uint32 step;

	builder_init(&c);
	compile_document(&c, root);
	node = compile_model_child(root);
	if (node == NULL)
		xml_fail(root, ERRCODE_FEATURE_NOT_SUPPORTED,
				 "document has no model that can be scored");
	step = compile_model(&c, NULL, node, &result, &scope);
	compiled = builder_finish(&c, compile_root(&c, scope, step, &result));
	verify_model(node, compiled);
	/* A document may hold several models; the first is the one to score. */
	for (XmlNode *other = node->next; other != NULL; other = other->next)
		xml_skip(other);
	compile_skip_unused(root);
	xml_check_read(root);
	return compiled;
}
