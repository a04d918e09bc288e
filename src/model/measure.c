/* Comparison measures: compiling and running them. */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "model/measure.h"

/* Elements of the metrics, in the order of MeasureMetric. */
static const char *const measure_elements[MEASURE_METRICS] = {
	"euclidean", "squaredEuclidean", "cityBlock",
	"chebychev", "minkowski",        "simpleMatching",
	"jaccard",   "tanimoto",         "binarySimilarity",
};

/* Distances that are made together. */
#define MEASURE_PART 1024

#define MEASURE_COMPARE_WORDS "absDiff|gaussSim|delta|equal"

/* Reads the parameters that an element of a metric has. */
static void
measure_params(XmlNode *node, MeasurePlan *plan)
{
	static const char *const names[MEASURE_PARAMS] = {
		"c11-parameter", "c10-parameter", "c01-parameter", "c00-parameter",
		"d11-parameter", "d10-parameter", "d01-parameter", "d00-parameter",
	};

	plan->nparams = 0;
	if (plan->metric == MEASURE_MINKOWSKI)
	{
		plan->params[plan->nparams++] = xml_need_number(node, "p-parameter");
		if (!(plan->params[0] > 0))
			xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
					 "p-parameter=\"%s\" must be greater than 0",
					 xml_attr(node, "p-parameter"));
	}
	else if (plan->metric == MEASURE_BINARY)
		for (int i = 0; i < MEASURE_PARAMS; i++)
			plan->params[plan->nparams++] = xml_need_number(node, names[i]);
}

/* Reads the measure of a model; fields are added by measure_field(). */
void
measure_begin(Scope *scope, XmlNode *model, MeasurePlan *plan)
{
	XmlNode *node = xml_need_child(model, "ComparisonMeasure");
	XmlNode *metric = xml_first(node);
	int kind = xml_choice(node, "kind", "distance|similarity", -1);
	int i = 0;

	memset(plan, 0, sizeof(*plan));
	if (metric == NULL)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "element \"ComparisonMeasure\" names no metric");
	while (i < MEASURE_METRICS && !xml_named(metric, measure_elements[i]))
		i++;
	if (i == MEASURE_METRICS)
		xml_unsupported(metric, NULL, NULL);
	plan->metric = i;
	plan->single = scope->single;
	plan->compare = xml_choice(node, "compareFunction", MEASURE_COMPARE_WORDS,
							   MEASURE_ABS_DIFF);
	/* A function with a scale of its own cannot be that of all fields. */
	if (plan->compare == MEASURE_GAUSS_SIM ||
		(kind >= 0 && (kind == 1) != measure_is_similarity(plan->metric)))
		xml_unsupported(
			node,
			plan->compare == MEASURE_GAUSS_SIM ? "compareFunction" : "kind",
			plan->compare == MEASURE_GAUSS_SIM ? "gaussSim"
											   : xml_attr(node, "kind"));
	/* The range that results have is told for people. */
	(void) xml_number(node, "minimum", 0);
	(void) xml_number(node, "maximum", 0);
	measure_params(metric, plan);
}

/* Refuses to take the difference of what is no number. */
static void
measure_need_number(XmlNode *node, const MeasureField *field)
{
	if (field->compare <= MEASURE_GAUSS_SIM &&
		field->field->type.type == VALUE_TEXT)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "values of field \"%s\" are no numbers", field->field->name);
}

/* Adds the field that an element names. */
void
measure_field(Compiler *c, Scope *scope, XmlNode *node, MeasurePlan *plan)
{
	MeasureField *field;

	plan->fields = builder_grow(plan->fields, plan->nfields, 1,
								&plan->maxfields, sizeof(MeasureField));
	field = &plan->fields[plan->nfields++];
	field->field = scope_field(c, scope, node, xml_need(node, "field"));
	field->compare = xml_choice(node, "compareFunction", MEASURE_COMPARE_WORDS,
								plan->compare);
	field->weight = xml_number(node, "fieldWeight", 1);
	field->scale = xml_number(node, "similarityScale", 1);
	if (field->compare == MEASURE_GAUSS_SIM)
		(void) xml_need(node, "similarityScale");
	if (!measure_is_similarity(plan->metric))
		measure_need_number(node, field);
}

/* Checks and rounds a value that a field is compared to. */
void
measure_reference(const MeasurePlan *plan, XmlNode *node, int field,
				  double *value)
{
	const MeasureField *f = &plan->fields[field];

	if (measure_is_similarity(plan->metric))
	{
		if (*value != 0 && *value != 1)
			xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
					 "values of field \"%s\" must be 0 or 1", f->field->name);
	}
	else if (isnan(*value) && f->compare <= MEASURE_GAUSS_SIM)
		xml_fail(node, ERRCODE_INVALID_PARAMETER_VALUE,
				 "value of field \"%s\" is missing", f->field->name);
	*value = model_round(*value, plan->single);
}

/* Writes the operands of MEASURE_SIGNATURE. */
void
measure_emit(Compiler *c, const MeasurePlan *plan)
{
	code_word(c, plan->metric);
	code_word(c, plan->single);
	code_nums(c, plan->params, plan->nparams);
	code_word(c, plan->nfields);
	for (int i = 0; i < plan->nfields; i++)
	{
		const MeasureField *field = &plan->fields[i];

		code_word(c, field->field->slot);
		code_word(c, field->compare);
		code_num(c, model_round(field->weight, plan->single));
		code_num(c, model_round(field->scale, plan->single));
	}
}

/* The lowest rank that outputs of a model ask for, at most limit. */
int
measure_ranks(XmlNode *model, int limit)
{
	XmlNode *output = xml_child(model, "Output");
	XmlNode *field = output == NULL ? NULL : xml_child(output, "OutputField");
	int ranks = 1;

	for (; field != NULL; field = xml_next(field, "OutputField"))
		ranks = Max(ranks, xml_count(field, "rank", 1));
	return Min(ranks, limit);
}

/* Checks the operands; returns what follows them, or NULL. */
const uint32 *
measure_check(const Model *model, const uint32 *args, uint32 *nfields)
{
	uint32 nparams = args[0] == MEASURE_MINKOWSKI ? 1
					 : args[0] == MEASURE_BINARY  ? MEASURE_PARAMS
												  : 0;

	if (args[0] >= MEASURE_METRICS || args[1] > 1 || args[3] != nparams)
		return NULL;
	*nfields = args[4];
	args += 5;
	for (uint32 i = 0; i < *nfields; i++, args += MEASURE_FIELD_WORDS)
		if (args[1] >= MEASURE_COMPARES)
			return NULL;
	return args;
}

/* Finds the operands; returns what follows them. */
const uint32 *
measure_read(Measure *measure, const Run *run, const uint32 *args)
{
	measure->metric = args[0];
	measure->single = args[1];
	measure->num = run->num;
	measure->params = run->num + args[2];
	measure->nfields = args[4];
	measure->fields = args + 5;
	return args + 5 + measure->nfields * MEASURE_FIELD_WORDS;
}

/* Compares two values of a field. */
static inline double
measure_compare(MeasureCompare compare, double x, double ref, double scale,
				bool single)
{
	double z;

	switch (compare)
	{
		case MEASURE_DELTA:
			return x == ref ? 0 : 1;
		case MEASURE_EQUAL:
			return x == ref ? 1 : 0;
		case MEASURE_GAUSS_SIM:
			z = model_round(x - ref, single);
			return model_round(exp(-M_LN2 * (z * z) / (scale * scale)),
							   single);
		case MEASURE_ABS_DIFF:
			break;
	}
	return fabs(model_round(x - ref, single));
}

/* Raises a comparison to the power of the metric. */
static inline double
measure_power(const Measure *measure, double d)
{
	switch (measure->metric)
	{
		case MEASURE_EUCLIDEAN:
		case MEASURE_SQUARED:
			return model_round(d * d, measure->single);
		case MEASURE_MINKOWSKI:
			return model_round(pow(d, measure->params[0]), measure->single);
		default:
			return d;
	}
}

/* Adds the weighted squares of differences: the common case. */
static void
measure_add_squares(double *restrict out, const double *restrict refs,
					uint32 n, double x, double weight)
{
	for (uint32 i = 0; i < n; i++)
	{
		double d = x - refs[i];

		out[i] += d * d * weight;
	}
}

/* Adds what one field has to say to all distances. */
static void
measure_add(const Measure *measure, const uint32 *field, double x,
			const double *refs, uint32 n, double *out)
{
	MeasureCompare compare = field[1];
	double weight = measure->num[field[2]];
	double scale = measure->num[field[3]];
	bool single = measure->single;

	if (measure->metric <= MEASURE_SQUARED && compare == MEASURE_ABS_DIFF &&
		!single)
	{
		measure_add_squares(out, refs, n, x, weight);
		return;
	}
	x = model_round(x, single);
	for (uint32 i = 0; i < n; i++)
	{
		double d = measure_compare(compare, x, refs[i], scale, single);

		d = model_round(measure_power(measure, d) * weight, single);
		if (measure->metric == MEASURE_CHEBYCHEV)
			out[i] = Max(out[i], d);
		else
			out[i] = model_round(out[i] + d, single);
	}
}

/* Makes distances of sums: the share of missing fields, the root. */
static void
measure_finish(const Measure *measure, double adjust, uint32 n, double *out)
{
	for (uint32 i = 0; i < n; i++)
	{
		double d = model_round(out[i] * adjust, measure->single);

		if (measure->metric == MEASURE_EUCLIDEAN)
			d = model_round(sqrt(d), measure->single);
		else if (measure->metric == MEASURE_MINKOWSKI)
			d = model_round(pow(d, 1 / measure->params[0]), measure->single);
		out[i] = d;
	}
}

/*
 * By how much distances of a row grow for the fields that are missing; NaN
 * if all are.
 */
static double
measure_adjust(const Measure *measure, const double *row,
			   const double *weights)
{
	double sum = 0;
	double known = 0;

	for (uint32 f = 0; f < measure->nfields; f++)
	{
		double weight = weights != NULL ? weights[f] : 1;

		sum = model_round(sum + weight, measure->single);
		if (!isnan(row[measure->fields[f * MEASURE_FIELD_WORDS]]))
			known = model_round(known + weight, measure->single);
	}
	return known == 0 ? NAN : model_round(sum / known, measure->single);
}

/*
 * Distances of a row; false if no field has a value. They are made in parts
 * that stay in the cache while the fields pass.
 */
static bool
measure_distances(const Measure *measure, const double *row,
				  const double *weights, const double *refs, uint32 n,
				  double *out)
{
	double adjust = measure_adjust(measure, row, weights);
	double start = measure->metric == MEASURE_CHEBYCHEV ? -INFINITY : 0;

	if (isnan(adjust))
		return false;
	for (uint32 at = 0; at < n; at += MEASURE_PART)
	{
		uint32 part = Min(MEASURE_PART, n - at);

		for (uint32 i = 0; i < part; i++)
			out[at + i] = start;
		for (uint32 f = 0; f < measure->nfields; f++)
		{
			const uint32 *field = measure->fields + f * MEASURE_FIELD_WORDS;

			if (!isnan(row[field[0]]))
				measure_add(measure, field, row[field[0]],
							refs + (Size) f * n + at, part, out + at);
		}
		measure_finish(measure, adjust, part, out + at);
	}
	return true;
}

/* The share that a metric makes of counts of pairs 11, 10, 01, 00. */
static double
measure_share(const Measure *measure, const double *a)
{
	const double *p = measure->params;
	double above = a[0] + a[3];
	double below = a[0] + a[1] + a[2] + a[3];

	switch (measure->metric)
	{
		case MEASURE_JACCARD:
			above = a[0];
			below = a[0] + a[1] + a[2];
			break;
		case MEASURE_TANIMOTO:
			below += a[1] + a[2];
			break;
		case MEASURE_BINARY:
			above = p[0] * a[0] + p[1] * a[1] + p[2] * a[2] + p[3] * a[3];
			below = p[4] * a[0] + p[5] * a[1] + p[6] * a[2] + p[7] * a[3];
			break;
		default:
			break;
	}
	return below == 0 ? NAN : model_round(above / below, measure->single);
}

/* Similarities of a row; false if a value is neither 0 nor 1, or none. */
static bool
measure_similarities(const Measure *measure, const double *row,
					 const double *refs, uint32 n, double *out)
{
	for (uint32 f = 0; f < measure->nfields; f++)
	{
		double x = row[measure->fields[f * MEASURE_FIELD_WORDS]];

		if (x != 0 && x != 1)
			return false;
	}
	for (uint32 i = 0; i < n; i++)
	{
		double pairs[4] = {0};

		for (uint32 f = 0; f < measure->nfields; f++)
		{
			double x = row[measure->fields[f * MEASURE_FIELD_WORDS]];

			pairs[(x == 0) * 2 + (refs[(Size) f * n + i] == 0)]++;
		}
		out[i] = measure_share(measure, pairs);
		if (isnan(out[i]))
			return false;
	}
	return true;
}

/*
 * Compares a row to n others, whose values of a field lie together; weights
 * tell how much a missing field counts. False if there is no result.
 */
bool
measure_run(const Measure *measure, const double *row, const double *weights,
			const double *refs, uint32 n, double *out)
{
	if (measure_is_similarity(measure->metric))
		return measure_similarities(measure, row, refs, n, out);
	return measure_distances(measure, row, weights, refs, n, out);
}

/* Tells whether a value goes before another one. */
static inline bool
measure_better(double a, double b, bool largest)
{
	if (isnan(b))
		return !isnan(a);
	return largest ? a > b : a < b;
}

/* Finds the k best of n values, best first; of equal ones the first. */
void
measure_select(const double *values, uint32 n, uint32 k, bool largest,
			   uint32 *best)
{
	uint32 found = 0;

	for (uint32 i = 0; i < n; i++)
	{
		uint32 at = found;

		if (found == k &&
			!measure_better(values[i], values[best[k - 1]], largest))
			continue;
		CHECK_FOR_INTERRUPTS();
		if (found < k)
			found++;
		else
			at = k - 1;
		for (; at > 0 &&
			   measure_better(values[i], values[best[at - 1]], largest);
			 at--)
			best[at] = best[at - 1];
		best[at] = i;
	}
}
