/* SupportVectorMachineModel: from PMML to a record. */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "model/compile.h"
#include "model/svm.h"

/* A model while it is compiled. */
typedef struct Svm
{
	Compiler *c;
	Scope *scope;
	XmlNode *node;
	SvmKernel kernel;
	SvmMethod method;
	double gamma;
	double coef0;
	double degree;
	int nfields;
	uint32 *fields; /* slots */
	int nvectors;
	double *vectors; /* of each field those of all vectors */
	FieldTable ids;  /* slot is the number of the vector */
	uint32 nsupport; /* of all machines */
	uint32 maxsupport;
	uint32 *support;
	double *coefficients;
	int nmachines;
	uint32 *machines;
	Result *result;
} Svm;

/* Reads the kernel. */
static void
svm_kernel(Svm *svm)
{
	static const char *const names[] = {
		"LinearKernelType",
		"PolynomialKernelType",
		"RadialBasisKernelType",
		"SigmoidKernelType",
	};
	bool single = svm->scope->single;
	XmlNode *kernel = NULL;

	for (int i = 0; i < lengthof(names) && kernel == NULL; i++)
	{
		kernel = xml_child(svm->node, names[i]);
		svm->kernel = i;
	}
	if (kernel == NULL)
		xml_fail(svm->node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "model has no kernel");
	if (svm->kernel != SVM_LINEAR)
		svm->gamma = model_round(xml_number(kernel, "gamma", 1), single);
	if (svm->kernel == SVM_POLYNOMIAL || svm->kernel == SVM_SIGMOID)
		svm->coef0 = model_round(xml_number(kernel, "coef0", 1), single);
	if (svm->kernel == SVM_POLYNOMIAL)
		svm->degree = model_round(xml_number(kernel, "degree", 1), single);
}

/* Whether a field has the value that an element tells, as a number. */
static Operand
svm_category(Svm *svm, XmlNode *node)
{
	const char *name = xml_attr(node, "name");
	Operand field;
	Operand value = {.type = {VALUE_DOUBLE, OPTYPE_CONTINUOUS, 0}};
	double category;

	if (name == NULL)
		name = xml_need(node, "field");
	if (xml_number(node, "coefficient", 1) != 1)
		xml_unsupported(node, "coefficient", xml_attr(node, "coefficient"));
	field = expression_field(svm->c, svm->scope, node, name);
	category = value_parse(svm->c, node, xml_need(node, "value"), field.type);
	code_begin(svm->c, OP_norm_discrete);
	code_word(svm->c, field.at);
	code_num(svm->c, category);
	code_num(svm->c, NAN);
	value.at = code_end(svm->c);
	return value;
}

/* Reads the fields that vectors are of. */
static void
svm_fields(Svm *svm, XmlNode *fields)
{
	int n = 0;

	(void) xml_count(fields, "numberOfFields", 0);
	for (XmlNode *node = xml_first(fields); node != NULL;
		 node = xml_after(node))
		n++;
	svm->fields = palloc(Max(n, 1) * sizeof(uint32));
	for (XmlNode *node = xml_first(fields); node != NULL;
		 node = xml_after(node))
	{
		Operand value;

		if (xml_named(node, "FieldRef"))
			value = expression_compile(svm->c, svm->scope, node);
		else if (xml_named(node, "CategoricalPredictor"))
			value = svm_category(svm, node);
		else
			xml_unsupported(node, NULL, NULL);
		if (value.type.type == VALUE_TEXT)
			value = expression_cast(svm->c, value, type_double);
		svm->fields[svm->nfields++] = scope_set(svm->c, svm->scope, value);
	}
	if (n == 0)
		xml_fail(fields, ERRCODE_INVALID_PARAMETER_VALUE,
				 "model has no fields");
}

/* Reads a vector. */
static void
svm_vector(Svm *svm, XmlNode *node, int at)
{
	XmlNode *array = xml_child(node, "Array");
	Field *id = palloc0(sizeof(Field));
	double *values;
	int n;

	if (array == NULL)
		array = xml_need_child(node, "REAL-SparseArray");
	values = value_numbers(array, &n);
	/* What a sparse array leaves out at its end is told by no index. */
	if (n > svm->nfields ||
		(n < svm->nfields &&
		 (xml_named(array, "Array") || xml_attr(array, "n") != NULL)))
		xml_fail(array, ERRCODE_INVALID_PARAMETER_VALUE,
				 "vector has %d values for %d fields", n, svm->nfields);
	for (int i = 0; i < svm->nfields; i++)
		svm->vectors[(Size) i * svm->nvectors + at] =
			i < n ? model_round(values[i], svm->scope->single)
				  : xml_number(array, "defaultValue", 0);
	pfree(values);
	id->name = xml_need(node, "id");
	id->slot = at;
	field_add(&svm->ids, id);
}

/* Reads the dictionary of vectors. */
static void
svm_vectors(Svm *svm)
{
	XmlNode *dictionary = xml_need_child(svm->node, "VectorDictionary");
	int at = 0;

	(void) xml_count(dictionary, "numberOfVectors", 0);
	svm_fields(svm, xml_need_child(dictionary, "VectorFields"));
	svm->nvectors = xml_children(dictionary, "VectorInstance");
	svm->vectors = palloc_extended(((Size) svm->nvectors * svm->nfields + 1) *
									   sizeof(double),
								   MCXT_ALLOC_HUGE);
	for (XmlNode *node = xml_child(dictionary, "VectorInstance"); node != NULL;
		 node = xml_next(node, "VectorInstance"))
	{
		CHECK_FOR_INTERRUPTS();
		svm_vector(svm, node, at++);
	}
	if (svm->kernel == SVM_COEFFICIENTS)
		svm->nvectors = svm->nfields;
}

/* Adds a vector of a machine and its coefficient. */
static void
svm_support(Svm *svm, uint32 vector, double coefficient)
{
	if (svm->nsupport == svm->maxsupport)
	{
		uint32 size = Max(64, svm->maxsupport * 2);

		if (svm->maxsupport == 0)
		{
			svm->support = palloc(size * sizeof(uint32));
			svm->coefficients = palloc(size * sizeof(double));
		}
		else
		{
			svm->support = repalloc_huge(svm->support, size * sizeof(uint32));
			svm->coefficients =
				repalloc_huge(svm->coefficients, size * sizeof(double));
		}
		svm->maxsupport = size;
	}
	svm->support[svm->nsupport] = vector;
	svm->coefficients[svm->nsupport++] =
		model_round(coefficient, svm->scope->single);
}

/* The vector that an element names. */
static uint32
svm_vector_of(Svm *svm, XmlNode *node)
{
	Field *vector = field_find(&svm->ids, xml_need(node, "vectorId"));

	if (vector == NULL)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "there is no vector \"%s\"", xml_attr(node, "vectorId"));
	return vector->slot;
}

/* Reads the vectors and coefficients of a machine; returns their number. */
static uint32
svm_coefficients(Svm *svm, XmlNode *machine, XmlNode *coefficients)
{
	XmlNode *vectors = svm->kernel == SVM_COEFFICIENTS
						   ? xml_child(machine, "SupportVectors")
						   : xml_need_child(machine, "SupportVectors");
	XmlNode *vector = NULL;
	XmlNode *node;
	uint32 n = 0;

	if (vectors != NULL && svm->kernel == SVM_COEFFICIENTS)
		xml_unsupported(vectors, NULL, NULL);
	if (vectors != NULL)
	{
		(void) xml_count(vectors, "numberOfSupportVectors", 0);
		(void) xml_count(vectors, "numberOfAttributes", 0);
		vector = xml_child(vectors, "SupportVector");
	}
	for (node = xml_child(coefficients, "Coefficient"); node != NULL;
		 node = xml_next(node, "Coefficient"), n++)
	{
		if (vectors != NULL ? vector == NULL : n >= (uint32) svm->nfields)
			break;
		svm_support(svm, vectors != NULL ? svm_vector_of(svm, vector) : n,
					xml_number(node, "value", 0));
		if (vectors != NULL)
			vector = xml_next(vector, "SupportVector");
	}
	if (node != NULL || vector != NULL ||
		(vectors == NULL && n != (uint32) svm->nfields))
		xml_fail(machine, ERRCODE_INVALID_PARAMETER_VALUE,
				 "numbers of vectors and coefficients differ");
	return n;
}

/* The number of the class that an attribute names. */
static uint32
svm_class(Svm *svm, XmlNode *node, const char *attr)
{
	const char *text = xml_need(node, attr);
	double label = scope_label(svm->c, svm->scope, node, text);
	Result *result = svm->result;

	for (int i = 0; i < result->nlabels; i++)
		if (result->labels[i] == label)
			return i;
	result->labels[result->nlabels] = label;
	return result->nlabels++;
}

/* Finds the classes that a machine decides between. */
static void
svm_classes(Svm *svm, XmlNode *machine, uint32 *below, uint32 *above)
{
	int before = svm->result->nlabels;

	*below = *above = 0;
	if (svm->method == SVM_REGRESSION)
		return;
	*below = svm_class(svm, machine, "targetCategory");
	if (svm->method == SVM_AGAINST_ONE)
		*above = svm_class(svm, machine, "alternateTargetCategory");
	else if (xml_attr(machine, "alternateTargetCategory") != NULL)
		xml_fail(machine, ERRCODE_INVALID_PARAMETER_VALUE,
				 "alternateTargetCategory has no meaning here");
	else if (svm->method == SVM_BINARY)
		*above = svm_class(svm, svm->node, "alternateBinaryTargetCategory");
	else if (svm->result->nlabels == before)
		xml_fail(machine, ERRCODE_INVALID_PARAMETER_VALUE,
				 "class \"%s\" has two machines",
				 xml_attr(machine, "targetCategory"));
}

/* Reads a machine. */
static void
svm_machine(Svm *svm, XmlNode *node)
{
	uint32 *machine = svm->machines + SVM_MACHINE_WORDS * svm->nmachines++;
	XmlNode *coefficients = xml_need_child(node, "Coefficients");
	bool single = svm->scope->single;
	double threshold =
		xml_number(node, "threshold", xml_number(svm->node, "threshold", 0));

	(void) xml_count(coefficients, "numberOfCoefficients", 0);
	machine[0] = svm_coefficients(svm, node, coefficients);
	machine[1] = builder_num(
		svm->c,
		model_round(xml_number(coefficients, "absoluteValue", 0), single));
	machine[2] = builder_num(svm->c, model_round(threshold, single));
	svm_classes(svm, node, &machine[3], &machine[4]);
	if (svm->method == SVM_REGRESSION)
	{
		(void) xml_attr(node, "targetCategory");
		(void) xml_attr(node, "alternateTargetCategory");
	}
}

/*
 * Finds out how classes are told. Writers of old versions do not say it, and
 * what they leave out is not always what the standard assumes.
 */
static SvmMethod
svm_method(Svm *svm, XmlNode *machine)
{
	bool binary = xml_attr(svm->node, "alternateBinaryTargetCategory") != NULL;
	int method = xml_choice(svm->node, "classificationMethod",
							"OneAgainstAll|OneAgainstOne", -1);

	if (!svm->scope->classifies)
		return SVM_REGRESSION;
	if (method < 0)
		method =
			binary || xml_attr(machine, "alternateTargetCategory") != NULL;
	if (method == 0)
		return SVM_AGAINST_ALL;
	return binary ? SVM_BINARY : SVM_AGAINST_ONE;
}

/* Reads the machines. */
static void
svm_machines(Svm *svm)
{
	XmlNode *node = xml_child(svm->node, "SupportVectorMachine");
	int n = xml_children(svm->node, "SupportVectorMachine");

	if (node == NULL)
		xml_fail(svm->node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "model has no machines");
	svm->method = svm_method(svm, node);
	if (svm->method == SVM_REGRESSION && n != 1)
		xml_fail(svm->node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "model has %d machines for one number", n);
	svm->machines = palloc(n * SVM_MACHINE_WORDS * sizeof(uint32));
	svm->result->labels = palloc(2 * n * sizeof(double));
	for (; node != NULL; node = xml_next(node, "SupportVectorMachine"))
	{
		CHECK_FOR_INTERRUPTS();
		svm_machine(svm, node);
	}
}

/* Writes the record of the model. */
static void
svm_emit(Svm *svm, uint32 slots)
{
	Compiler *c = svm->c;
	const Result *result = svm->result;
	uint64 n = svm->kernel == SVM_COEFFICIENTS
				   ? 0
				   : (uint64) svm->nvectors * svm->nfields;

	if (n > PG_INT32_MAX)
		xml_fail(svm->node, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
				 "model has too many vectors");
	code_begin(c, OP_svm);
	code_word(c, svm->scope->single);
	code_word(c, svm->kernel);
	code_word(c, svm->method);
	code_num(c, svm->gamma);
	code_num(c, svm->coef0);
	code_num(c, svm->degree);
	code_words(c, svm->fields, svm->nfields);
	code_nums(c, svm->vectors, n);
	code_words(c, svm->support, svm->nsupport);
	code_nums(c, svm->coefficients, svm->nsupport);
	code_word(c, svm->nmachines);
	for (int i = 0; i < svm->nmachines * SVM_MACHINE_WORDS; i++)
		code_word(c, svm->machines[i]);
	code_nums(c, result->labels, result->nlabels);
	code_word(c, slots);
	code_word(c, result->nlabels);
	code_word(c, result->value);
	scope_step(svm->scope, code_end(c));
}

/* Compiles a SupportVectorMachineModel. */
void
model_compile_svm(Compiler *c, Scope *scope, XmlNode *node, Result *result)
{
	Svm svm = {.c = c, .scope = scope, .node = node, .result = result};
	bool largest = xml_flag(node, "maxWins", false);
	uint32 slots;

	svm_kernel(&svm);
	if (xml_choice(node, "svmRepresentation", "SupportVectors|Coefficients",
				   0) == 1)
	{
		if (svm.kernel != SVM_LINEAR)
			xml_unsupported(node, "svmRepresentation", "Coefficients");
		svm.kernel = SVM_COEFFICIENTS;
	}
	svm_vectors(&svm);
	svm_machines(&svm);
	if (largest && svm.method != SVM_AGAINST_ALL)
		xml_unsupported(node, "maxWins", "true");
	slots = builder_slots(c, result->nlabels);
	result->value = builder_slots(c, 1);
	result->type =
		scope->classifies ? scope->predicts : type_real(scope->single);
	svm_emit(&svm, slots);
	if (svm.method == SVM_AGAINST_ALL)
		result_best(c, scope, result, slots, !largest);
	else if (svm.method != SVM_REGRESSION)
		result->probability = slots;
}
