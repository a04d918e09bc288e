/* NaiveBayesModel: logarithms of probabilities, summed for each label. */
#include "postgres.h"

#include "miscadmin.h"
#include "model/compile.h"
#include "model/model.h"
#include "model/normalize.h"

/*
 * Operands: is it 32 bits wide, slots of the labels' sums, least density,
 * what the sums begin with; then the inputs, seven words each: kind, slot of
 * the field, value, values that are told apart, table. The table of an input
 * that tells values apart has a logarithm for each value and label; of one
 * that does not, three numbers for each label: distribution, mean, deviation.
 */
enum
{
	BAYES_SINGLE,
	BAYES_SLOTS,
	BAYES_NSLOTS,
	BAYES_THRESHOLD,
	BAYES_PRIORS,
	BAYES_NPRIORS,
	BAYES_INPUTS,
	BAYES_HEAD
};

typedef enum BayesKind
{
	BAYES_VALUES,
	BAYES_DENSITY
} BayesKind;

typedef enum BayesDistribution
{
	BAYES_NONE,
	BAYES_GAUSSIAN,
	BAYES_POISSON
} BayesDistribution;

/* The tables are as large as the labels and values need. */
static bool
check_bayes(const Model *model, const uint32 *args)
{
	const uint32 *input = args + BAYES_HEAD;
	uint64 n = args[BAYES_NSLOTS];

	if (args[BAYES_NPRIORS] != n)
		return false;
	for (uint32 i = 0; i < args[BAYES_INPUTS]; i++, input += 7)
	{
		uint64 rows = input[0] == BAYES_VALUES ? input[4] : 3;

		if (input[0] > BAYES_DENSITY || input[6] != rows * n)
			return false;
	}
	return true;
}

/* Adds the logarithm of a probability; missing is none for this label. */
static inline void
bayes_add(double *slot, double logarithm, bool single)
{
	if (!isnan(logarithm))
		*slot = model_round(*slot + model_round(logarithm, single), single);
}

/* Adds what an input that tells values apart has for a value. */
static void
bayes_value(const Run *run, const uint32 *input, double value, double *slot,
			uint32 n, bool single)
{
	const double *values = run->num + input[3];
	const double *table = run->num + input[5];

	for (uint32 i = 0; i < input[4]; i++)
		if (values[i] == value)
		{
			for (uint32 label = 0; label < n; label++)
				bayes_add(slot + label, table[(Size) i * n + label], single);
			return;
		}
}

/* The probability or density of a value. */
static double
bayes_density(const double *distribution, double value)
{
	double mean = distribution[1];
	double x;

	if (distribution[0] == BAYES_POISSON)
	{
		if (value < 0 || value != floor(value))
			return 0;
		return value == 0 ? exp(-mean)
						  : exp(value * log(mean) - mean - lgamma(value + 1));
	}
	x = (value - mean) / distribution[2];
	return exp(-0.5 * x * x - (log(distribution[2]) + 0.5 * log(2 * M_PI)));
}

/* Adds the densities of a value, which are not below the threshold. */
static void
bayes_number(const Run *run, const uint32 *args, const uint32 *input,
			 double value, double *slot)
{
	const double *distribution = run->num + input[5];
	double threshold = run->num[args[BAYES_THRESHOLD]];
	bool single = args[BAYES_SINGLE] != 0;

	for (uint32 i = 0; i < args[BAYES_NSLOTS]; i++, distribution += 3)
	{
		double density;

		if (distribution[0] == BAYES_NONE)
			continue;
		density = bayes_density(distribution, value);
		if (density < threshold)
			density = threshold;
		bayes_add(slot + i, log(model_round(density, single)), single);
	}
}

/* Sums what the inputs of a row say of each label; missing ones say nothing.
 */
static void
bayes_row(Run *run, const uint32 *args, double *row)
{
	bool single = args[BAYES_SINGLE] != 0;
	double *slot = row + args[BAYES_SLOTS];
	const uint32 *input = args + BAYES_HEAD;
	uint32 n = args[BAYES_NSLOTS];

	for (uint32 i = 0; i < n; i++)
		slot[i] = model_round(run->num[args[BAYES_PRIORS] + i], single);
	for (uint32 i = 0; i < args[BAYES_INPUTS]; i++, input += 7)
	{
		double value = row[input[1]];

		if (isnan(value))
			continue;
		value = model_eval(run, input[2], row);
		if (isnan(value))
			continue;
		if (input[0] == BAYES_VALUES)
			bayes_value(run, input, value, slot, n, single);
		else
			bayes_number(run, args, input, value, slot);
	}
}

/* Sums logarithms for rows. */
static void
step_bayes(Run *run, const uint32 *args, int first, int n)
{
	for (int i = first; i < first + n; i++)
		bayes_row(run, args, run_row(run, i));
}

const ModelOp model_op_bayes = {"bayes", "iSnN*(isxNN)", check_bayes, NULL,
								step_bayes};

/* A model that is being compiled. */
typedef struct BayesBuilder
{
	Compiler *c;
	Scope *scope;
	XmlNode *node;
	Result *result;
	double threshold;
	uint32 ninputs;
	uint32 maxinputs;
	uint32 *inputs; /* seven words each */
} BayesBuilder;

/* The number of the label that an element is about. */
static int
bayes_label(BayesBuilder *b, XmlNode *node)
{
	double label = scope_label(b->c, b->scope, node, xml_need(node, "value"));

	for (int i = 0; i < b->result->nlabels; i++)
		if (b->result->labels[i] == label)
			return i;
	xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
			 "BayesOutput does not count \"%s\"", xml_attr(node, "value"));
}

/* Reads the counts of labels into a row that has missing elsewhere. */
static void
bayes_counts(BayesBuilder *b, XmlNode *list, double *counts)
{
	XmlNode *node = xml_child(list, "TargetValueCount");

	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < b->result->nlabels; i++)
		counts[i] = NAN;
	for (; node != NULL; node = xml_next(node, "TargetValueCount"))
	{
		double count = xml_need_number(node, "count");

		if (!(count >= 0))
			xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
					 "count is negative");
		counts[bayes_label(b, node)] = count;
	}
}

/* Makes logarithms of probabilities of the counts of n values. */
static void
bayes_logarithms(const BayesBuilder *b, double *table, int n)
{
	int labels = b->result->nlabels;

	for (int label = 0; label < labels; label++)
	{
		double sum = 0;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < n; i++)
			if (!isnan(table[(Size) i * labels + label]))
				sum += table[(Size) i * labels + label];
		for (int i = 0; i < n; i++)
		{
			double *count = &table[(Size) i * labels + label];

			if (!isnan(*count))
				*count = log(*count == 0 ? b->threshold : *count / sum);
		}
	}
}

/* Adds an input whose words are known. */
static void
bayes_input_add(BayesBuilder *b, const uint32 *words)
{
	b->inputs = builder_grow(b->inputs, b->ninputs, 1, &b->maxinputs,
							 7 * sizeof(uint32));
	memcpy(b->inputs + 7 * (Size) b->ninputs++, words, 7 * sizeof(uint32));
}

/* Compiles an input that tells values apart. */
static void
bayes_pairs(BayesBuilder *b, XmlNode *node, FieldType type, uint32 *words)
{
	int labels = b->result->nlabels;
	int n = xml_children(node, "PairCounts");
	double *values = palloc(mul_size(n, sizeof(double)));
	double *table = palloc(mul_size(mul_size(n, labels), sizeof(double)));
	XmlNode *pair = xml_child(node, "PairCounts");

	for (int i = 0; pair != NULL; pair = xml_next(pair, "PairCounts"), i++)
	{
		/* A value that fields of the type cannot have still counts. */
		if (!value_try(b->c, xml_need(pair, "value"), type, &values[i]))
			values[i] = NAN;
		bayes_counts(b, xml_need_child(pair, "TargetValueCounts"),
					 table + (Size) i * labels);
	}
	bayes_logarithms(b, table, n);
	words[0] = BAYES_VALUES;
	words[3] = builder_nums(b->c, values, n);
	words[4] = n;
	words[5] = builder_nums(b->c, table, n * labels);
	words[6] = n * labels;
	pfree(values);
	pfree(table);
}

/* Reads the distribution of a label. */
static void
bayes_distribution(BayesBuilder *b, XmlNode *stat, double *table)
{
	XmlNode *node = xml_first(stat);
	double *row = table + 3 * (Size) bayes_label(b, stat);

	if (node == NULL)
		xml_fail(stat, ERRCODE_INVALID_PARAMETER_VALUE,
				 "value has no distribution");
	if (xml_named(node, "GaussianDistribution"))
	{
		double variance = xml_need_number(node, "variance");

		row[1] = xml_need_number(node, "mean");
		row[0] = variance > 0 ? BAYES_GAUSSIAN : BAYES_NONE;
		row[2] = variance > 0 ? sqrt(variance) : 1;
	}
	else if (xml_named(node, "PoissonDistribution"))
	{
		row[1] = xml_need_number(node, "mean");
		row[0] = BAYES_POISSON;
	}
	else
		xml_unsupported(node, NULL, NULL);
}

/* Compiles an input of numbers. */
static void
bayes_stats(BayesBuilder *b, XmlNode *stats, uint32 *words)
{
	int n = 3 * b->result->nlabels;
	double *table = palloc0(mul_size(n, sizeof(double)));

	for (XmlNode *node = xml_child(stats, "TargetValueStat"); node != NULL;
		 node = xml_next(node, "TargetValueStat"))
		bayes_distribution(b, node, table);
	words[0] = BAYES_DENSITY;
	words[3] = 0;
	words[4] = 0;
	words[5] = builder_nums(b->c, table, n);
	words[6] = n;
	pfree(table);
}

/* Compiles what an input says of its field before it is looked up. */
static Operand
bayes_derived(BayesBuilder *b, XmlNode *node)
{
	XmlNode *expression = expression_child(node);
	Operand value;

	if (expression == NULL || !xml_named(expression, "Discretize"))
		xml_unsupported(expression == NULL ? node : expression, NULL, NULL);
	xml_attr(node, "name");
	value = expression_compile(b->c, b->scope, expression);
	return expression_cast(b->c, value, type_parse(node, value.type));
}

/* Compiles an input. */
static void
bayes_input(BayesBuilder *b, XmlNode *node)
{
	const char *name = xml_need(node, "fieldName");
	Field *field = scope_field(b->c, b->scope, node, name);
	Operand value = expression_field(b->c, b->scope, node, name);
	XmlNode *stats = xml_child(node, "TargetValueStats");
	XmlNode *derived = xml_child(node, "DerivedField");
	uint32 words[7];

	if (stats != NULL && value.type.type == VALUE_TEXT)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "field \"%s\" does not hold numbers", name);
	if (stats != NULL && (derived != NULL || xml_children(node, "PairCounts")))
		xml_unsupported(stats, NULL, NULL);
	if (derived != NULL)
		value = bayes_derived(b, derived);
	words[1] = field->slot;
	words[2] = value.at;
	if (stats != NULL)
		bayes_stats(b, stats, words);
	else
		bayes_pairs(b, node, value.type, words);
	bayes_input_add(b, words);
}

/* Compiles inputs of numbers that are extensions: before 4.2, they were. */
static void
bayes_extensions(BayesBuilder *b, XmlNode *list)
{
	for (XmlNode *node = list->child; node != NULL; node = node->next)
	{
		if (!xml_named(node, "Extension") ||
			xml_children(node, "BayesInput") == 0)
			continue;
		node->read = true;
		xml_attr(node, "extender");
		xml_attr(node, "name");
		xml_attr(node, "value");
		for (XmlNode *input = xml_child(node, "BayesInput"); input != NULL;
			 input = xml_next(input, "BayesInput"))
			bayes_input(b, input);
	}
}

/* Reads the labels and writes what their sums begin with. */
static uint32
bayes_output(BayesBuilder *b)
{
	XmlNode *output = xml_need_child(b->node, "BayesOutput");
	XmlNode *list = xml_need_child(output, "TargetValueCounts");
	int n = xml_children(list, "TargetValueCount");
	double *priors = palloc(mul_size(n, sizeof(double)));
	XmlNode *node = xml_child(list, "TargetValueCount");
	uint32 first;

	if (n < 2)
		xml_fail(list, ERRCODE_INVALID_PARAMETER_VALUE,
				 "model needs two categories at least");
	xml_attr(output, "fieldName");
	b->result->labels = palloc(mul_size(n, sizeof(double)));
	b->result->nlabels = n;
	for (int i = 0; node != NULL; node = xml_next(node, "TargetValueCount"))
		b->result->labels[i++] =
			scope_label(b->c, b->scope, node, xml_need(node, "value"));
	bayes_counts(b, list, priors);
	for (int i = 0; i < n; i++)
	{
		if (isnan(priors[i]))
			xml_fail(list, ERRCODE_INVALID_PARAMETER_VALUE,
					 "a category is counted twice");
		priors[i] = log(priors[i]);
	}
	first = builder_nums(b->c, priors, n);
	pfree(priors);
	return first;
}

/* Writes the records. */
static void
bayes_write(BayesBuilder *b, uint32 priors)
{
	Compiler *c = b->c;
	uint32 slot = b->result->probability;
	uint32 n = b->result->nlabels;

	code_begin(c, OP_bayes);
	code_word(c, b->scope->single);
	code_word(c, slot);
	code_word(c, n);
	code_num(c, b->threshold);
	code_word(c, priors);
	code_word(c, n);
	code_word(c, b->ninputs);
	for (uint32 i = 0; i < 7 * b->ninputs; i++)
		code_word(c, b->inputs[i]);
	scope_step(b->scope, code_end(c));
	code_begin(c, OP_normalize);
	code_word(c, NORMAL_MULTINOMIAL);
	code_word(c, LINK_SOFTMAX);
	code_word(c, b->scope->single);
	code_word(c, slot);
	code_word(c, n);
	scope_step(b->scope, code_end(c));
}

/* Compiles a naive Bayes model. */
void
model_compile_bayes(Compiler *c, Scope *scope, XmlNode *node, Result *result)
{
	BayesBuilder b = {c, scope, node, result};
	XmlNode *list = xml_need_child(node, "BayesInputs");
	uint32 priors;

	if (!scope->classifies)
		xml_unsupported(node, "functionName", xml_attr(node, "functionName"));
	b.threshold = xml_need_number(node, "threshold");
	priors = bayes_output(&b);
	for (XmlNode *input = xml_child(list, "BayesInput"); input != NULL;
		 input = xml_next(input, "BayesInput"))
		bayes_input(&b, input);
	bayes_extensions(&b, list);
	result->type = scope->predicts;
	result->probability = builder_slots(c, result->nlabels);
	bayes_write(&b, priors);
	result_best(c, scope, result, result->probability, false);
}
