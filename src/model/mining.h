/* Compiling a MiningModel: its segments. */
#ifndef IAROS_MODEL_MINING_H
#define IAROS_MODEL_MINING_H

#include "model/compile.h"
#include "model/ensemble.h"

/* How the results of the segments become one. */
typedef enum MultipleMethod
{
	METHOD_SUM,
	METHOD_WEIGHTED_SUM,
	METHOD_AVERAGE,
	METHOD_WEIGHTED_AVERAGE,
	METHOD_MEDIAN,
	METHOD_WEIGHTED_MEDIAN,
	METHOD_VOTE,
	METHOD_WEIGHTED_VOTE,
	METHOD_MAX,
	METHOD_FIRST,
	METHOD_ALL,
	METHOD_CHAIN,
	METHOD_MULTI_CHAIN
} MultipleMethod;

/* A segment while it is compiled. */
typedef struct Part
{
	XmlNode *node;
	const char *id;
	double weight;
	XmlNode *predicate;
	XmlNode *model;
	bool always;        /* its predicate is True */
	uint32 ran;         /* slot: 1 where it ran; MODEL_NONE: everywhere */
	uint32 probability; /* first slot, in the order of all labels */
	SegmentResult *found;
} Part;

typedef struct Ensemble
{
	Compiler *c;
	Scope *scope;
	XmlNode *node; /* the Segmentation */
	MultipleMethod method;
	MissingPrediction missing;
	double threshold;
	Part *parts;
	int nparts;
	uint32 over; /* slot: SEGMENT_GOING …; MODEL_NONE: nothing stops */
} Ensemble;

/* Pairs of slots, from and to. */
typedef struct Pairs
{
	uint32 *words;
	uint32 n;
	uint32 max;
} Pairs;

/* mining.c */
extern uint32 mining_part_model(Ensemble *ensemble, Part *part,
								uint32 *condition);
extern void mining_part_compile(Ensemble *ensemble, Part *part, uint32 flags,
								bool told);
extern void mining_part_tell(Ensemble *ensemble, Part *part);
extern void mining_put(Ensemble *ensemble, uint32 slot, double value);
extern void mining_begin(Ensemble *ensemble, bool stops);
extern CombineMethod mining_combine_method(Ensemble *ensemble);

/* mining_result.c */
extern void mining_pair(Pairs *pairs, uint32 from, uint32 to);
extern void mining_pair_labels(Pairs *pairs, const Result *found, uint32 from,
							   const Result *result, uint32 to);
extern void mining_take(Ensemble *ensemble, uint32 when, uint32 value,
						uint32 id_slot, const char *id, const Pairs *pairs);
extern void mining_labels_add(Result *result, const double *labels, int n);
extern void mining_labels_join(const Part *parts, int n, Result *result);
extern void mining_result_last(Ensemble *ensemble, Part *parts, int n,
							   Result *result);
extern void mining_result_only(Ensemble *ensemble, const Part *part,
							   Result *result);
extern void mining_outputs_pass(Ensemble *ensemble, const Part *part,
								Pairs *pairs);
extern void mining_outputs_missed(Ensemble *ensemble, Pairs *missed);

/* mining_select.c */
extern void mining_select(Ensemble *ensemble, Result *result);
extern void mining_multi(Ensemble *ensemble, Result *result);
extern void mining_all(Ensemble *ensemble, Result *result);

/* mining_forest.c */
extern bool mining_forest(Ensemble *ensemble, Result *result);

#endif /* IAROS_MODEL_MINING_H */
