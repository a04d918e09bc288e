/*
 * How far apart or how alike two cases are: comparison measures, which
 * clusters and neighbours share. What a case is compared to lies in a matrix
 * with a row for each field, so that a loop over one field runs through
 * memory in order.
 */
#ifndef IAROS_MODEL_MEASURE_H
#define IAROS_MODEL_MEASURE_H

#include "model/compile.h"
#include "model/model.h"

typedef enum MeasureMetric
{
	MEASURE_EUCLIDEAN,
	MEASURE_SQUARED,
	MEASURE_CITY_BLOCK,
	MEASURE_CHEBYCHEV,
	MEASURE_MINKOWSKI,
	MEASURE_SIMPLE_MATCHING, /* from here on similarities */
	MEASURE_JACCARD,
	MEASURE_TANIMOTO,
	MEASURE_BINARY
} MeasureMetric;

#define MEASURE_METRICS (MEASURE_BINARY + 1)

typedef enum MeasureCompare
{
	MEASURE_ABS_DIFF,
	MEASURE_GAUSS_SIM,
	MEASURE_DELTA,
	MEASURE_EQUAL
} MeasureCompare;

#define MEASURE_COMPARES (MEASURE_EQUAL + 1)

/* Parameters of a metric: those of MEASURE_BINARY are the most. */
#define MEASURE_PARAMS 8

/* A field that is compared, while it is compiled. */
typedef struct MeasureField
{
	Field *field;
	MeasureCompare compare;
	double weight;
	double scale;
} MeasureField;

/* A measure while it is compiled. */
typedef struct MeasurePlan
{
	MeasureMetric metric;
	MeasureCompare compare; /* of fields that do not say */
	bool single;
	int nparams;
	double params[MEASURE_PARAMS];
	int nfields;
	uint32 maxfields;
	MeasureField *fields;
} MeasurePlan;

/*
 * The operands a record begins with: metric, whether arithmetic is single,
 * parameters; of each field the slot, how it is compared, weight, scale.
 */
#define MEASURE_SIGNATURE "iiN*(sinn)"
#define MEASURE_FIELD_WORDS 4

/* A measure while it runs. */
typedef struct Measure
{
	MeasureMetric metric;
	bool single;
	const double *num;
	const double *params;
	uint32 nfields;
	const uint32 *fields;
} Measure;

static inline bool
measure_is_similarity(MeasureMetric metric)
{
	return metric >= MEASURE_SIMPLE_MATCHING;
}

extern void measure_begin(Scope *scope, XmlNode *model, MeasurePlan *plan);
extern void measure_field(Compiler *c, Scope *scope, XmlNode *node,
						  MeasurePlan *plan);
extern void measure_reference(const MeasurePlan *plan, XmlNode *node,
							  int field, double *value);
extern void measure_emit(Compiler *c, const MeasurePlan *plan);
extern int measure_ranks(XmlNode *model, int limit);

extern const uint32 *measure_check(const Model *model, const uint32 *args,
								   uint32 *nfields);
extern const uint32 *measure_read(Measure *measure, const Run *run,
								  const uint32 *args);
extern bool measure_run(const Measure *measure, const double *row,
						const double *weights, const double *refs, uint32 n,
						double *out);
extern void measure_select(const double *values, uint32 n, uint32 k,
						   bool largest, uint32 *best);

#endif /* IAROS_MODEL_MEASURE_H */
